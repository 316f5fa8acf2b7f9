// SPDX-License-Identifier: MPL-2.0
//
// Which master key of a file is tried when (keys.md 1). Key sources are asked here and nowhere else when a data key is
// to be recovered; what the parts of several groups make is key_groups.h's.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/metadata.h"
#include "keysources/key_source.h"
#include "sys/services.h"

namespace sops {

/// --decryption-order: key types that are tried first, in this order (keyservice-shamir.md 6.3).
struct DecryptionOrder {
  std::vector<std::string> types = {"age", "pgp"};
  bool is_explicit = false;  // somebody asked for it, so that it is followed strictly (keys.md 1.5)
};

/// What the user's configuration calls a key, "" if nothing (keys.md 1.7). Asked only when there is something to
/// report, in the calling thread.
using KeyLabels = std::function<std::string(std::string_view source, std::string_view id)>;

/// How keys are tried.
struct AttemptRules {
  DecryptionOrder order;
  KeyLabels labels;            // may be empty
  size_t needed = 1;           // groups; no further one is tried (keys.md 1.6)
  bool is_before_3_3 = false;  // see UnwrapOptions
  /// Whether what a key gave is what it should be (keys.md 1.4).
  std::function<Result<void>(const SecureBytes&)> accept = [](const SecureBytes&) -> Result<void> { return {}; };
  std::span<const KeySourceType* const> sources = all_key_sources();

  // keys.md 1.2, 1.8. The last is what SOPS_KEY_TIMEOUT does not say otherwise.
  std::chrono::milliseconds silence{250};
  size_t most_in_flight = 4;
  std::chrono::milliseconds deadline{20000};
};

/// What the attempts for one group came to.
struct GroupAttempts {
  std::optional<SecureBytes> part;  // the data key, or the group's share of it
  /// Without a part: what the first key gave that gave anything which `accept` did not take (kAuthFailed).
  std::optional<SecureBytes> unaccepted;
  /// Without a part: why each key failed, in the order of the file, named in the context; empty if the group was not
  /// needed.
  std::vector<Error> failures;
};

/// Tries the keys of all groups until `needed` of them have a part, or none is left. At first nobody is asked: local
/// keys one after another, then those behind a network, the next one when the previous failed or was silent for
/// `silence`. Then, one at a time, those that need an answer of a person. An explicit order is followed key by key
/// instead. One entry for each group. Errors: kUsage (exit status 128) if SOPS_KEY_TIMEOUT is no duration.
Result<std::vector<GroupAttempts>> attempt_keys(std::span<const KeyGroup> groups, const AttemptRules& rules,
                                                Services& services);

/// The master key of a file's entry. Errors: kUnsupported for a key source that is still to come.
Result<std::unique_ptr<MasterKey>> master_key_of(const KeyEntry& entry,
                                                 std::span<const KeySourceType* const> sources = all_key_sources());

/// SOPS's KEY_ID of an entry (cli.md 3.7), also of one whose source is still to come.
std::string key_id(const KeyEntry& entry);

}  // namespace sops
