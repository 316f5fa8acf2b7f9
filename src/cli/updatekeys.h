// SPDX-License-Identifier: MPL-2.0
//
// sops updatekeys, one file at a time and without printing, so that it can also be done for many.
#pragma once

#include "cli/common.h"
#include "core/change_keys.h"

namespace sops {

/// The keys that the configuration wants for a file.
struct WantedKeys {
  std::vector<MasterKeyList> groups;
  MasterKeys keys;            // owns what `groups` borrow
  std::string where;          // "rule 2 at line 7 of .sops.yaml" (editing.md 6.3)
  int64_t threshold = 0;      // of the rule, which does not count here (cli.md 6.3)
  std::optional<int> indent;  // of new text in `format`
};

/// Looks for the rule for `path`, which is absolute. Errors: exit status 1 without configuration, creation rules or a
/// rule that matches, and for keys that are none.
Result<WantedKeys> find_wanted_keys(CommandContext& context, const std::string& path, const FormatType& format);

/// A file and what would change.
struct KeysUpdate {
  OpenedFile file;  // borrows the input
  int64_t threshold = 0;
  KeyDifference difference;
};

/// Needs no key. Errors: exit status 1 for a file that is not encrypted.
Result<KeysUpdate> plan_updatekeys(const InputText& input, const WantedKeys& wanted);

/// The difference as SOPS prints it.
std::string difference_text(const KeyDifference& difference);

/// The new bytes of the file, whose keys are called as `labels` says. Adds to update.file.warnings. Errors: without
/// data key (128); those of change_keys() (1).
Result<SecureBytes> apply_updatekeys(const InputText& input, KeysUpdate& update, const WantedKeys& wanted,
                                     const KeyLabels& labels, const EmitStyle& style, Services& services);

}  // namespace sops
