// SPDX-License-Identifier: MPL-2.0
//
// Who can open an age file: private keys, called identities by age (spec keys-age.md 3.7-3.9, 4).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "keysources/age/file.h"
#include "sys/services.h"

namespace sops::age {

/// An identity. Immutable.
class Identity {
 public:
  virtual ~Identity() = default;

  /// The file key, from all stanzas of a header.
  /// Errors: kNotMine if no stanza is for this identity; kUnsupported if one may be, but identities of this type cannot
  /// be used yet; any other is final for the file (4.4).
  virtual Result<SecureBytes> unwrap(std::span<const Stanza> stanzas, Services& services) const = 0;

  /// Native identities need nothing but themselves and are tried first (4.2).
  virtual bool is_native() const = 0;

  /// The public half, for messages; empty if it is not known.
  virtual std::string recipient() const = 0;
};

using Identities = std::vector<std::unique_ptr<Identity>>;

/// How identities stand in a text.
enum class IdentityLayout {
  kLines,  // one per line
  kWords,  // several per line, separated by blanks: for SOPS_AGE_KEY, where line breaks get lost
};

/// Reads the identities of `text` (3.7-3.9). `place` names where it came from, for messages. An encrypted identity file
/// becomes an identity that cannot be used yet. Errors: kMalformed, "failed to parse '<place>' age identities: …",
/// without quoting the text.
Result<Identities> parse_identities(std::string_view place, std::string_view text, IdentityLayout layout);

/// An SSH private key that was found at `place`: an identity that cannot be used yet.
std::unique_ptr<Identity> unsupported_ssh_identity(std::string_view place);

/// The file key from the first identity that has it, native ones first (4.2-4.6).
/// Errors: kNotMine if none fits; kUnsupported if only one that cannot be used yet may fit; a final error of an
/// identity.
Result<SecureBytes> unwrap_file_key(const Identities& identities, std::span<const Stanza> stanzas, Services& services);

}  // namespace sops::age
