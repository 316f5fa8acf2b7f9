// SPDX-License-Identifier: MPL-2.0
//
// Bech32, the spelling of age keys: "age1…", "AGE-SECRET-KEY-1…". Source: BIP 173, without its limit of 90 characters
// (spec keys-age.md 7).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops::age {

/// What a Bech32 text says. `prefix` (BIP 173: human-readable part) keeps the case of the text.
struct Bech32 {
  std::string prefix;
  SecureBytes data;
};

/// Reads `text`, all lower or all upper case. Linear time.
/// Errors: kMalformed; the message never quotes the text, which may be a private key.
Result<Bech32> bech32_decode(std::string_view text);

/// Spells `data`; upper case if `prefix` is. REQUIRES: `prefix` is not empty, of printable ASCII, in one case.
std::string bech32_encode(std::string_view prefix, std::span<const uint8_t> data);

}  // namespace sops::age
