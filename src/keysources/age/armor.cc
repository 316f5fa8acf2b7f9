// SPDX-License-Identifier: MPL-2.0
#include "keysources/age/armor.h"

#include <algorithm>

#include "base/codec.h"

namespace sops::age {

namespace {

constexpr size_t kColumns = 64;
constexpr size_t kBytesPerLine = 48;
constexpr size_t kMaxSpaceAround = 1024;  // keys-age.md 6.2

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\n\v\f\r") == std::string_view::npos; }

// Takes the next line off `rest`, without its LF or CRLF. `line` has the bytes as they stand, for counting.
struct Line {
  std::string_view text;
  size_t size;
};
Line take_line(std::string_view& rest) {
  const size_t end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  const size_t size = end == std::string_view::npos ? rest.size() : end + 1;
  rest.remove_prefix(size);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return {line, size};
}

Failure invalid(std::string_view why) { return fail(ErrorCode::kMalformed, "invalid armor: {}", why); }

// Appends the bytes of one data line; returns how many.
Result<size_t> decode_line(std::string_view line, std::vector<uint8_t>& bytes) {
  if (line.empty()) return invalid("an empty line inside");
  if (line.size() > kColumns) return invalid("a line is longer than 64 columns");
  if (line.size() % 4 != 0) return invalid("a line is no padded base64");
  // The padding is right if and only if what is left without it decodes strictly: the length is a multiple of four
  // already.
  std::string_view unpadded = line;
  for (int i = 0; i < 2 && unpadded.ends_with('='); ++i) unpadded.remove_suffix(1);
  uint8_t decoded[base64_decoded_bound(kColumns)];
  const auto count = base64_decode_unpadded(unpadded, decoded);
  if (!count) return invalid("a line is no padded base64");
  bytes.insert(bytes.end(), decoded, decoded + *count);
  return *count;
}

}  // namespace

std::string armor_encode(std::span<const uint8_t> bytes) {
  std::string text;
  text.reserve(kArmorBegin.size() + kArmorEnd.size() + 2 + (bytes.size() / kBytesPerLine + 1) * (kColumns + 1));
  text.append(kArmorBegin);
  text += '\n';
  for (size_t done = 0; done < bytes.size(); done += kBytesPerLine) {
    text += base64_encode(bytes.subspan(done, std::min(kBytesPerLine, bytes.size() - done)));
    text += '\n';
  }
  text.append(kArmorEnd);
  text += '\n';
  return text;
}

Result<std::vector<uint8_t>> armor_decode(std::string_view text) {
  std::string_view rest = text;
  Line line;
  size_t blank = 0;
  do {
    if (rest.empty()) return invalid("it does not begin with -----BEGIN AGE ENCRYPTED FILE-----");
    line = take_line(rest);
    if (!is_blank(line.text)) break;
    blank += line.size;
    if (blank > kMaxSpaceAround) return invalid("too much blank space before it");
  } while (true);
  if (line.text != kArmorBegin) return invalid("it does not begin with -----BEGIN AGE ENCRYPTED FILE-----");

  std::vector<uint8_t> bytes;
  bytes.reserve(rest.size() / 4 * 3);
  for (bool is_last = false;;) {
    if (rest.empty()) return invalid("the line -----END AGE ENCRYPTED FILE----- is missing");
    line = take_line(rest);
    if (line.text == kArmorEnd) break;
    if (is_last) return invalid("a short line is followed by another");
    const size_t count = TRY(decode_line(line.text, bytes));
    is_last = count < kBytesPerLine;
  }
  if (!is_blank(rest)) return invalid("something follows -----END AGE ENCRYPTED FILE-----");
  if (rest.size() >= kMaxSpaceAround) return invalid("too much blank space after it");
  return bytes;
}

}  // namespace sops::age
