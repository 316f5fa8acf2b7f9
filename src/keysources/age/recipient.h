// SPDX-License-Identifier: MPL-2.0
//
// Whom an age file is encrypted to: "age1…", later also ssh keys, post-quantum keys and plugins (spec keys-age.md 2).
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "keysources/age/file.h"
#include "sys/services.h"

namespace sops::age {

/// A parsed recipient. Immutable.
class Recipient {
 public:
  virtual ~Recipient() = default;

  /// The stanzas that hide `file_key` for this recipient: one, but a plugin may give several.
  /// Errors: kMalformed, kUnavailable; kUnsupported for the types that cannot be used yet.
  virtual Result<std::vector<Stanza>> wrap(const SecureBytes& file_key, Services& services) const = 0;
};

/// Reads a recipient, blanks around it removed by the caller. The types that cannot be used yet (ssh-…, age1pq1…,
/// plugins) parse; wrapping with them fails. Errors: kMalformed, naming the recipient.
Result<std::unique_ptr<Recipient>> parse_recipient(std::string_view text);

}  // namespace sops::age
