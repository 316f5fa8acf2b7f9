// SPDX-License-Identifier: MPL-2.0
#include "base/codec.h"

#include <array>
#include <cstring>

namespace sops {

namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Two characters for each 12-bit number: half the look-ups of the obvious loop.
constexpr auto kPairs = [] {
  std::array<std::array<char, 2>, 4096> pairs{};
  for (size_t i = 0; i < pairs.size(); ++i) pairs[i] = {kAlphabet[i >> 6], kAlphabet[i & 63]};
  return pairs;
}();

constexpr uint8_t kInvalid = 0xff;
constexpr auto kValues = [] {
  std::array<uint8_t, 256> values{};
  values.fill(kInvalid);
  for (size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<uint8_t>(i);
  return values;
}();

uint8_t value_of(char c) { return kValues[static_cast<unsigned char>(c)]; }

// Decodes whole groups of four characters while nothing special is met. Returns how many characters were consumed.
size_t decode_groups(std::string_view text, uint8_t*& out) {
  size_t i = 0;
  while (i + 4 <= text.size()) {
    const uint32_t a = value_of(text[i]), b = value_of(text[i + 1]), c = value_of(text[i + 2]),
                   d = value_of(text[i + 3]);
    if (((a | b | c | d) & 0xc0) != 0) break;
    const uint32_t group = (a << 18) | (b << 12) | (c << 6) | d;
    out[0] = static_cast<uint8_t>(group >> 16);
    out[1] = static_cast<uint8_t>(group >> 8);
    out[2] = static_cast<uint8_t>(group);
    out += 3;
    i += 4;
  }
  return i;
}

std::string to_hex(std::span<const uint8_t> bytes, std::string_view digits) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (uint8_t byte : bytes) {
    text.push_back(digits[byte >> 4]);
    text.push_back(digits[byte & 15]);
  }
  return text;
}

}  // namespace

void base64_encode(std::span<const uint8_t> bytes, char* out) {
  size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3, out += 4) {
    const uint32_t group = (uint32_t{bytes[i]} << 16) | (uint32_t{bytes[i + 1]} << 8) | bytes[i + 2];
    std::memcpy(out, kPairs[group >> 12].data(), 2);
    std::memcpy(out + 2, kPairs[group & 4095].data(), 2);
  }
  const size_t rest = bytes.size() - i;
  if (rest == 0) return;
  const uint32_t group = (uint32_t{bytes[i]} << 16) | (rest == 2 ? uint32_t{bytes[i + 1]} << 8 : 0);
  std::memcpy(out, kPairs[group >> 12].data(), 2);
  out[2] = rest == 2 ? kAlphabet[(group >> 6) & 63] : '=';
  out[3] = '=';
}

std::string base64_encode(std::span<const uint8_t> bytes) {
  std::string text(base64_length(bytes.size()), '\0');
  base64_encode(bytes, text.data());
  return text;
}

std::optional<size_t> base64_decode(std::string_view text, uint8_t* out) {
  uint8_t* const begin = out;
  size_t i = 0;
  while (true) {
    i += decode_groups(text.substr(i), out);
    // A group with a line break, padding, an error or the end in it, character by character.
    std::array<uint32_t, 4> group{};
    size_t count = 0;
    while (count < 4 && i < text.size()) {
      const char c = text[i];
      if (c == '\r' || c == '\n') {
        ++i;
        continue;
      }
      if (c == '=') break;
      const uint8_t value = value_of(c);
      if (value == kInvalid) return std::nullopt;
      group[count++] = value;
      ++i;
    }
    if (count == 0 && i == text.size()) return static_cast<size_t>(out - begin);
    const uint32_t bits = (group[0] << 18) | (group[1] << 12) | (group[2] << 6) | group[3];
    if (count == 4) {
      *out++ = static_cast<uint8_t>(bits >> 16);
      *out++ = static_cast<uint8_t>(bits >> 8);
      *out++ = static_cast<uint8_t>(bits);
      continue;
    }
    if (count < 2) return std::nullopt;
    // Padding up to four characters, then nothing but line breaks.
    size_t padding = 0;
    for (; i < text.size(); ++i) {
      if (text[i] == '=') {
        ++padding;
      } else if (text[i] != '\r' && text[i] != '\n') {
        return std::nullopt;
      }
    }
    if (count + padding != 4) return std::nullopt;
    *out++ = static_cast<uint8_t>(bits >> 16);
    if (count == 3) *out++ = static_cast<uint8_t>(bits >> 8);
    return static_cast<size_t>(out - begin);
  }
}

std::string base64_encode_unpadded(std::span<const uint8_t> bytes) {
  std::string text = base64_encode(bytes);
  while (text.ends_with('=')) text.pop_back();
  return text;
}

std::optional<size_t> base64_decode_unpadded(std::string_view text, uint8_t* out) {
  uint8_t* const begin = out;
  const size_t whole = decode_groups(text, out);
  const std::string_view rest = text.substr(whole);
  if (rest.empty()) return static_cast<size_t>(out - begin);
  if (rest.size() == 1 || rest.size() > 3) return std::nullopt;
  uint32_t bits = 0;
  for (size_t i = 0; i < 4; ++i) {
    const uint8_t value = i < rest.size() ? value_of(rest[i]) : uint8_t{0};
    if (value == kInvalid) return std::nullopt;
    bits = (bits << 6) | value;
  }
  const uint32_t unused = rest.size() == 2 ? 0xffff : 0xff;
  if ((bits & unused) != 0) return std::nullopt;
  *out++ = static_cast<uint8_t>(bits >> 16);
  if (rest.size() == 3) *out++ = static_cast<uint8_t>(bits >> 8);
  return static_cast<size_t>(out - begin);
}

std::string hex_lower(std::span<const uint8_t> bytes) { return to_hex(bytes, "0123456789abcdef"); }
std::string hex_upper(std::span<const uint8_t> bytes) { return to_hex(bytes, "0123456789ABCDEF"); }

}  // namespace sops
