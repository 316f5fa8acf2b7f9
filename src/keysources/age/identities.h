// SPDX-License-Identifier: MPL-2.0
//
// Where identities are looked for: eight places (spec keys-age.md 3.1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "keysources/age/identity.h"
#include "sys/services.h"

namespace sops::age {

/// The outcome of a search.
struct FoundIdentities {
  Identities identities;
  std::vector<Error> problems;              // places that hold something we could not use
  std::vector<std::string> missing_places;  // places that hold nothing, as SOPS names them

  /// What was not found and what went wrong, for the end of a message: ". <problems>. Did not find keys in locations
  /// …", or "".
  std::string explain() const;
};

/// Looks in all places; nothing stops the search early. `recipient` is what the command of SOPS_AGE_KEY_CMD is told in
/// SOPS_AGE_RECIPIENT. Reads the environment, files, and runs that command.
FoundIdentities find_identities(std::string_view recipient, Services& services);

}  // namespace sops::age
