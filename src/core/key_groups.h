// SPDX-License-Identifier: MPL-2.0
//
// From master keys to the data key and back (format.md 2F, keyservice-shamir.md 5 and 6, keys.md 1).
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/data_key.h"
#include "core/metadata.h"

namespace sops {

/// Key types that are tried first, in this order (keyservice-shamir.md 6.3).
using DecryptionOrder = std::vector<std::string>;

/// Parses --decryption-order: split at commas, nothing trimmed; empty means the default, "age,pgp".
/// Errors: kUsage (exit status 112) for a repeated type.
Result<DecryptionOrder> parse_decryption_order(std::string_view text);

/// Says whether a recovered data key opens the file (keys.md 1.4). kAuthFailed if it does not; kMalformed if it is no
/// data key.
using KeyCheck = std::function<Result<void>(const DataKey&)>;

/// Recovers the data key. Keys of a group are tried in decryption order until one gives a key that `check` accepts; if
/// none does, the first that gave any key counts. Groups are tried until the threshold is reached. Errors: kUnavailable
/// (exit status 128) with one cause for each group, and in it one for each key that was tried.
Result<DataKey> recover_data_key(const Metadata& metadata, const DecryptionOrder& order, const KeyCheck& check,
                                 Services& services);

/// A recovered data key and what it was put together from.
struct RecoveredKey {
  DataKey key;
  std::vector<std::optional<SecureBytes>> shares;  // by group, where its keys were used; empty with a single group
};

/// As recover_data_key().
Result<RecoveredKey> recover_shares(const Metadata& metadata, const DecryptionOrder& order, const KeyCheck& check,
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

/// Wraps for every key, those behind a network all at once; each must succeed (keys.md 1.9). Entries in the order of
/// the requests. Errors: kUnavailable (exit status 1) with one cause for each key that failed.
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

/// The master key of a file's entry. Errors: kUnsupported for a key source that is still to come.
Result<std::unique_ptr<MasterKey>> master_key_of(const KeyEntry& entry);

/// SOPS's KEY_ID of an entry (cli.md 3.7), also of one whose source is still to come.
std::string key_id(const KeyEntry& entry);

}  // namespace sops
