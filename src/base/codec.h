// SPDX-License-Identifier: MPL-2.0
//
// Base64 (RFC 4648 section 4) and hexadecimal. Pure functions, written for throughput: a large file is all base64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sops {

/// Length of the padded base64 text of `size` bytes.
constexpr size_t base64_length(size_t size) { return (size + 2) / 3 * 4; }

/// Writes the padded base64 text of `bytes` to `out`, base64_length(bytes.size()) characters that `bytes` may end.
void base64_encode(std::span<const uint8_t> bytes, char* out);
std::string base64_encode(std::span<const uint8_t> bytes);

/// Upper bound of the number of bytes that `text_length` characters decode to.
constexpr size_t base64_decoded_bound(size_t text_length) { return text_length / 4 * 3 + 3; }

/// Decodes standard base64 as Go's decoder does (format.md 2.8): CR and LF anywhere are ignored, padding is required,
/// unused bits of the last character may be anything. Writes to `out`, returns the number of bytes, nullopt if `text`
/// is not base64. REQUIRES: out has base64_decoded_bound(text.size()) bytes.
std::optional<size_t> base64_decode(std::string_view text, uint8_t* out);

/// base64 without padding, unused bits zero, nothing ignored: the strict form of age (keys-age.md 5.3).
std::string base64_encode_unpadded(std::span<const uint8_t> bytes);
std::optional<size_t> base64_decode_unpadded(std::string_view text, uint8_t* out);

/// Lower-case and upper-case hexadecimal.
std::string hex_lower(std::span<const uint8_t> bytes);
std::string hex_upper(std::span<const uint8_t> bytes);

}  // namespace sops
