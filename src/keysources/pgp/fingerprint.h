// SPDX-License-Identifier: MPL-2.0
//
// How a PGP key is named: a fingerprint or long key id in hexadecimal (spec keys-pgp.md 2). Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace sops::pgp {

/// True for what gpg takes as the name of exactly one key: 16, 40 or 64 hexadecimal digits, perhaps with 0x in front
/// and ! behind (keys-pgp.md 2.6). Nothing else may reach gpg as a recipient: it would look for a user id.
bool is_fingerprint(std::string_view fingerprint);

/// What --trusted-key takes (keys-pgp.md 2.5): the last 16 characters, 17 if the last is !; all of a shorter one.
std::string_view short_form(std::string_view fingerprint);

/// The digits alone. REQUIRES: is_fingerprint(fingerprint).
std::string_view digits_of(std::string_view fingerprint);

/// Without any space (keys-pgp.md 2.1).
std::string without_spaces(std::string_view text);

}  // namespace sops::pgp
