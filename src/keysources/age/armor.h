// SPDX-License-Identifier: MPL-2.0
//
// ASCII armor: an age file as text, the way it stands in the field `enc` (spec keys-age.md 6).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace sops::age {

inline constexpr std::string_view kArmorBegin = "-----BEGIN AGE ENCRYPTED FILE-----";
inline constexpr std::string_view kArmorEnd = "-----END AGE ENCRYPTED FILE-----";

/// The armored text of `bytes`: 64 columns, LF, ends in a newline.
std::string armor_encode(std::span<const uint8_t> bytes);

/// The bytes of an armored text. Strict: one spelling per content, but for CRLF and blank space around
/// (keys-age.md 6.2). Linear time; memory in proportion to `text`. Errors: kMalformed, "invalid armor: …".
Result<std::vector<uint8_t>> armor_decode(std::string_view text);

}  // namespace sops::age
