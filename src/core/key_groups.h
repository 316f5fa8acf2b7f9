// SPDX-License-Identifier: MPL-2.0
//
// From master keys to the data key and back (format.md 2F, keyservice-shamir.md 5 and 6, keys.md 1).
#pragma once

#include <functional>
#include <span>
#include <string>
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

/// Wraps the data key for every master key of the one group `keys`. Every key must succeed.
/// Errors: kUsage for an empty group; else one cause for each key that failed (exit status 1).
Result<std::vector<KeyGroup>> wrap_data_key(const DataKey& key,
                                            std::span<const std::pair<const KeySourceType*, const MasterKey*>> keys,
                                            Services& services);

}  // namespace sops
