// SPDX-License-Identifier: MPL-2.0
//
// From master keys to the data key and back (format.md 2F, keyservice-shamir.md 5 and 6, keys.md 1). key_attempts.h
// says in which order they are tried.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/data_key.h"
#include "core/key_attempts.h"
#include "core/metadata.h"

namespace sops {

/// Parses --decryption-order: split at commas, nothing trimmed; empty means the default, "age,pgp".
/// Errors: kUsage (exit status 112) for a repeated type.
Result<DecryptionOrder> parse_decryption_order(std::string_view text);

/// Says whether a recovered data key opens the file (keys.md 1.4). kAuthFailed if it does not; kMalformed if it is no
/// data key.
using KeyCheck = std::function<Result<void>(const DataKey&)>;

/// How keys are tried, and what the report calls them.
struct RecoverOptions {
  DecryptionOrder order;
  KeyLabels labels;  // may be empty
};

/// Recovers the data key. Keys of a group are tried until one gives a key that `check` accepts; if none does, the first
/// that gave any key counts. Groups are tried until the threshold is reached. Errors: kUnavailable (exit status 128)
/// with one cause for each group without its part, and in it one for each key, in the order of the file; with a single
/// group the causes are those of its keys. kUsage for a SOPS_KEY_TIMEOUT that is none.
Result<DataKey> recover_data_key(const Metadata& metadata, const RecoverOptions& options, const KeyCheck& check,
                                 Services& services);

/// A recovered data key and what it was put together from.
struct RecoveredKey {
  DataKey key;
  std::vector<std::optional<SecureBytes>> shares;  // by group, where its keys were used; empty with a single group
};

/// As recover_data_key().
Result<RecoveredKey> recover_shares(const Metadata& metadata, const RecoverOptions& options, const KeyCheck& check,
                                    Services& services);

/// A master key and its source, borrowed.
using MasterKeyRef = std::pair<const KeySourceType*, const MasterKey*>;

/// The master keys of one key group, in the order of the metadata.
using MasterKeyList = std::vector<MasterKeyRef>;

/// What is to be wrapped for one master key: the data key or a share of it.
struct WrapRequest {
  MasterKeyRef key;
  const SecureBytes* secret = nullptr;
};

/// Wraps for every key, those behind a network all at once and meanwhile the local ones; each must succeed
/// (keys.md 1.9). Entries in the order of the requests. Errors: kUnavailable (exit status 1) with one cause for each
/// key that failed.
Result<std::vector<KeyEntry>> wrap_for_keys(std::span<const WrapRequest> requests, Services& services);

/// A data key, wrapped.
struct WrappedKey {
  std::vector<KeyGroup> groups;
  int64_t shamir_threshold = 0;  // as it is written into the file
};

/// Wraps the data key for every master key of `groups`. With several groups each gets a fresh share of it, and a
/// threshold of 0 becomes their number; with one group each key gets all of it, and the threshold is passed on unused
/// (keyservice-shamir.md 5.3, 5.4). Errors: kUsage for no group, an empty one, or a threshold that cannot be; those of
/// wrap_for_keys().
Result<WrappedKey> wrap_data_key(const DataKey& key, std::span<const MasterKeyList> groups, int64_t threshold,
                                 Services& services);

}  // namespace sops
