// SPDX-License-Identifier: MPL-2.0
//
// Writing an opened file again: after its plain text was changed (set, unset, edit), with other master keys
// (updatekeys, edit -s), with a new data key (rotate). What did not change keeps its bytes (editing.md 1.1). Nothing is
// written here: like encrypt_text(), the result has been scanned as SOPS will scan it.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/decrypt.h"
#include "core/encrypt.h"

namespace sops {

/// What else changes when a file is written again.
struct UpdateOptions {
  bool new_data_key = false;     // rotate: a fresh key, and no ciphertext of the old text stays (editing.md 1.6)
  bool write_version = false;    // edit: `version` becomes ours if it is older; set and unset leave it (cli.md 5.3)
  bool allow_plaintext = false;  // as EncryptOptions
  EmitStyle style;               // of new text
  /// Positions in `plain` of scalars that read as integers but are floats: set writes them (editing.md 1.4).
  std::vector<size_t> whole_floats;
  /// The metadata to write: groups (complete, `enc` included), threshold, selection settings, mac_only_encrypted.
  /// `mac`, `lastmodified`, `layout` and `version` are set by update_text(). nullopt: those of the file.
  std::optional<Metadata> metadata;
  /// The key that the values are encrypted with, if `new_data_key` is set; the caller has wrapped it for the groups of
  /// `metadata`.
  const DataKey* data_key = nullptr;
};

/// The encrypted text for `plain`, which is what decrypted_text(file) gave, changed. A value whose path, type and
/// plaintext are those of a value of the file keeps its ciphertext, quotes included; everything else gets a fresh
/// nonce. The metadata block keeps its place and every entry that does not change. REQUIRES: `file` was opened from the
/// text that the user's file holds. Errors: those of encrypt_text(), without the ones of keys.
Result<EncryptResult> update_text(const OpenedFile& file, std::string_view plain, const UpdateOptions& options,
                                  Services& services);

/// The encrypted text with other metadata and nothing else changed: `lastmodified`, `mac`, `layout` and all values stay
/// (updatekeys, groups: editing.md 1.6). `metadata` is complete.
Result<SecureBytes> replace_metadata(const OpenedFile& file, const Metadata& metadata, const EmitStyle& style);

}  // namespace sops
