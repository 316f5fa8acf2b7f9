// SPDX-License-Identifier: MPL-2.0
//
// Other master keys for a file that exists (updatekeys, groups, rotate). Nothing is written or printed here: metadata
// come in, metadata go out.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/decrypt.h"
#include "core/key_groups.h"

namespace sops {

/// A master key by name. Equal names are one key (cli.md 3.7).
struct KeyName {
  std::string source;  // "age"
  std::string id;
  bool operator==(const KeyName&) const = default;
};

/// How the keys of a file differ from those that are wanted: groups are compared by their index, keys by name
/// (cli.md 6.3).
struct KeyDifference {
  struct Group {
    std::vector<KeyName> kept, added;  // in the order that is wanted, without repetitions
    std::vector<KeyName> removed;      // in the order of the file
    bool operator==(const Group&) const = default;
  };
  std::vector<Group> groups;  // as many as the larger of both
  int64_t threshold_before = 0;
  int64_t threshold_after = 0;

  bool operator==(const KeyDifference&) const = default;
  bool empty() const;
  bool removes_any() const;
};

/// The threshold of a file whose groups become `groups` (keyservice-shamir.md 9.7): its own, as far as that can be.
int64_t threshold_for(const Metadata& metadata, size_t groups);

KeyDifference compare_keys(const Metadata& metadata, std::span<const MasterKeyList> wanted, int64_t threshold);

/// True if every entry must be written again with fresh shares (editing.md 6.5): number, order or threshold of groups
/// change, or a key comes into a group that was in another, so that it would hold two shares of one secret.
bool needs_fresh_shares(const Metadata& metadata, std::span<const MasterKeyList> wanted, int64_t threshold);

/// The metadata of `file` with other keys for the same data key. Entries of keys that stay are kept as they are, in
/// their order, and added ones stand behind them; or everything is wrapped anew, if needs_fresh_shares() or if the
/// share of a group cannot be had. Errors: those of wrap_data_key().
Result<Metadata> change_keys(const OpenedFile& file, const RecoveredKey& recovered,
                             std::span<const MasterKeyList> wanted, int64_t threshold, Services& services);

/// The master keys of a file, group by group; `owner` keeps them alive. Errors: kUnsupported with one cause for each
/// key whose source is still to come.
Result<std::vector<MasterKeyList>> master_keys_of(const Metadata& metadata, MasterKeys& owner);

/// Keys to add to the first group and to remove from all (rotate: cli.md 6.2).
struct KeyEdits {
  MasterKeyList added;  // one that is there already counts for nothing
  std::vector<KeyName> removed;
};

/// The file as encrypted anew with a fresh data key for its keys, changed by `edits`. `plain` is decrypted_text(file).
/// Adds to file.warnings a line for each key to remove that it does not have. Errors: those of master_keys_of(),
/// wrap_data_key(), update_text().
Result<SecureBytes> rotate_data_key(OpenedFile& file, std::string_view plain, const KeyEdits& edits,
                                    const EmitStyle& style, Services& services);

}  // namespace sops
