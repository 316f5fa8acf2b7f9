// SPDX-License-Identifier: MPL-2.0
//
//   age1 q2r830vhuuedr3duqxm7tqpu5hhlwem2ylr7kjqlzddx0kdaqa3s q4fdc0
//   prefix '1' data, 5 bits per character                     checksum
//
// The checksum is the remainder of a polynomial over GF(32), taken over the prefix, the data and itself; it is 1 for a
// correct text. One to four wrong characters are always noticed.
#include "keysources/age/bech32.h"

#include <algorithm>
#include <array>

namespace sops::age {

namespace {

constexpr std::string_view kAlphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
constexpr size_t kChecksumSize = 6;
constexpr uint8_t kNotInAlphabet = 0xff;

// The value of every lower-case character.
constexpr std::array<uint8_t, 128> kValues = [] {
  std::array<uint8_t, 128> values{};
  values.fill(kNotInAlphabet);
  for (size_t i = 0; i < kAlphabet.size(); ++i) values[static_cast<size_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  return values;
}();

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
bool has_upper(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return lower(c) != c; });
}
bool has_lower(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return upper(c) != c; });
}

// The running remainder of BIP 173's polynomial.
class Checksum {
 public:
  // BIP 173 "Checksum": the prefix goes in as high bits, a zero, low bits; always the lower-case one.
  explicit Checksum(std::string_view prefix) {
    for (char c : prefix) add(static_cast<uint8_t>(lower(c) >> 5));
    add(0);
    for (char c : prefix) add(static_cast<uint8_t>(lower(c) & 31));
  }

  void add(uint8_t value) {
    constexpr std::array<uint32_t, 5> kGenerator = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
    const uint32_t top = state_ >> 25;
    state_ = ((state_ & 0x1ffffff) << 5) ^ value;
    for (size_t i = 0; i < kGenerator.size(); ++i) {
      if (((top >> i) & 1) != 0) state_ ^= kGenerator[i];
    }
  }

  uint32_t state() const { return state_; }

 private:
  uint32_t state_ = 1;
};

}  // namespace

Result<Bech32> bech32_decode(std::string_view text) {
  for (char c : text) {
    if (c < 33 || c > 126) return fail(ErrorCode::kMalformed, "a character that Bech32 does not have");
  }
  const bool is_upper = has_upper(text);
  if (is_upper && has_lower(text)) return fail(ErrorCode::kMalformed, "upper and lower case are mixed");
  const size_t separator = text.rfind('1');
  if (separator == std::string_view::npos) return fail(ErrorCode::kMalformed, "the separator '1' is missing");
  if (separator == 0) return fail(ErrorCode::kMalformed, "the prefix before '1' is missing");
  const std::string_view prefix = text.substr(0, separator);
  const std::string_view characters = text.substr(separator + 1);
  if (characters.size() < kChecksumSize) return fail(ErrorCode::kMalformed, "too short for a checksum");

  // Two passes, so that a wrong checksum is noticed before anything is made of the data.
  Checksum checksum(prefix);
  for (char c : characters) {
    const uint8_t value = kValues[static_cast<size_t>(lower(c))];
    if (value == kNotInAlphabet) return fail(ErrorCode::kMalformed, "a character that Bech32 does not have");
    checksum.add(value);
  }
  if (checksum.state() != 1) {
    return fail(ErrorCode::kMalformed, "the checksum does not match").hint("a character is wrong, missing or too many");
  }

  const std::string_view symbols = characters.substr(0, characters.size() - kChecksumSize);
  // BIP 173: "Any incomplete group at the end MUST be 4 bits or less, MUST be all zeroes, and is discarded."
  const size_t left_over = symbols.size() * 5 % 8;
  if (left_over > 4) return fail(ErrorCode::kMalformed, "the data does not end on a whole byte");
  Bech32 decoded;
  decoded.prefix = std::string(prefix);
  decoded.data = SecureBytes(symbols.size() * 5 / 8);
  uint8_t* out = decoded.data.expose_mutable().data();
  uint32_t bits = 0;
  size_t count = 0;
  for (char c : symbols) {
    bits = (bits << 5) | kValues[static_cast<size_t>(lower(c))];
    count += 5;
    if (count < 8) continue;
    count -= 8;
    *out++ = static_cast<uint8_t>(bits >> count);
  }
  if ((bits & ((1u << count) - 1)) != 0) return fail(ErrorCode::kMalformed, "the unused bits at the end are not zero");
  return decoded;
}

std::string bech32_encode(std::string_view prefix, std::span<const uint8_t> data) {
  SOPS_CHECK(!prefix.empty() && !(has_upper(prefix) && has_lower(prefix)), "prefixes are constants in one case");
  Checksum checksum(prefix);
  std::string text;
  text.reserve(prefix.size() + 1 + (data.size() * 8 + 4) / 5 + kChecksumSize);
  text.append(prefix);
  text += '1';
  const auto append = [&](uint32_t value) {
    checksum.add(static_cast<uint8_t>(value));
    text += kAlphabet[value];
  };

  uint32_t bits = 0;
  size_t count = 0;
  for (uint8_t byte : data) {
    bits = (bits << 8) | byte;
    count += 8;
    while (count >= 5) {
      count -= 5;
      append((bits >> count) & 31);
    }
  }
  if (count > 0) append((bits << (5 - count)) & 31);

  for (size_t i = 0; i < kChecksumSize; ++i) checksum.add(0);
  const uint32_t remainder = checksum.state() ^ 1;
  for (size_t i = 0; i < kChecksumSize; ++i) text += kAlphabet[(remainder >> (5 * (kChecksumSize - 1 - i))) & 31];
  if (has_upper(prefix)) std::ranges::transform(text, text.begin(), upper);
  return text;
}

}  // namespace sops::age
