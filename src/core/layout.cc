// SPDX-License-Identifier: MPL-2.0
#include "core/layout.h"

#include <algorithm>

#include "base/codec.h"

namespace sops {

namespace {

constexpr char kVersion = 1;

void put_varint(SecureBuffer& out, uint64_t value) {
  char bytes[10];
  size_t count = 0;
  do {
    bytes[count++] = static_cast<char>((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>= 7;
  } while (value != 0);
  out.append({bytes, count});
}

std::optional<uint64_t> take_varint(std::string_view& text) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    if (text.empty()) return std::nullopt;
    const auto byte = static_cast<unsigned char>(text[0]);
    text.remove_prefix(1);
    value |= uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string tag_bytes(std::string_view tag_b64) {
  std::string bytes(base64_decoded_bound(tag_b64.size()), '\0');
  const auto size = base64_decode(tag_b64, reinterpret_cast<uint8_t*>(bytes.data()));
  bytes.resize(size.value_or(0));
  return bytes;
}

std::optional<SecureBytes> encode_layout(std::span<const LayoutHint> hints, size_t text_size) {
  SecureBuffer out;
  out.append({&kVersion, 1});
  for (const LayoutHint& hint : hints) {
    put_varint(out, hint.whole ? 0 : uint64_t{hint.levels_up} + 1);
    if (!hint.whole) out.append(tag_bytes(hint.tag_b64).substr(0, kTagPrefix));
    put_varint(out, hint.original.size());
    out.append(hint.original);
    if (out.size() > layout_limit(text_size)) return std::nullopt;
  }
  return out.take();
}

std::optional<std::vector<DecodedHint>> decode_layout(std::string_view encoded) {
  if (!encoded.starts_with(kVersion)) return std::nullopt;
  encoded.remove_prefix(1);
  std::vector<DecodedHint> hints;
  while (!encoded.empty()) {
    DecodedHint hint;
    const auto kind = take_varint(encoded);
    if (!kind || *kind > kMaxDepth + 1) return std::nullopt;
    hint.whole = *kind == 0;
    if (!hint.whole) {
      if (encoded.size() < kTagPrefix) return std::nullopt;
      hint.levels_up = static_cast<uint32_t>(*kind - 1);
      hint.prefix = encoded.substr(0, kTagPrefix);
      encoded.remove_prefix(kTagPrefix);
    }
    const auto size = take_varint(encoded);
    if (!size || *size > encoded.size()) return std::nullopt;
    hint.original = encoded.substr(0, *size);
    encoded.remove_prefix(*size);
    hints.push_back(hint);
  }
  return hints;
}

}  // namespace sops
