// SPDX-License-Identifier: MPL-2.0
//
// The recipient type X25519: "age1…" and "AGE-SECRET-KEY-1…" (spec keys-age.md 8). Pure functions.
#pragma once

#include <span>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "crypto/x25519.h"
#include "keysources/age/file.h"

namespace sops::age {

/// The stanza that hides `file_key` for `recipient`. `ephemeral`: 32 fresh random bytes.
/// Errors: kMalformed if the recipient is a point of low order.
Result<Stanza> wrap_x25519(const SecureBytes& file_key, const X25519Point& recipient, const SecureBytes& ephemeral);

/// The file key out of the first X25519 stanza that `identity` opens; the identity is a 32-byte scalar.
/// Errors: kNotMine if there is none; kMalformed if an X25519 stanza breaks the rules (8.4), before any later one is
/// tried.
Result<SecureBytes> unwrap_x25519(std::span<const Stanza> stanzas, const SecureBytes& identity);

}  // namespace sops::age
