// SPDX-License-Identifier: MPL-2.0
//
// Opening an encrypted file: data key, values, MAC; and what can be made of it: the plain text, or a tree. Every
// command that reads encrypted files starts here (cli.md 3.9).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/ciphertext.h"
#include "core/key_groups.h"
#include "core/metadata.h"
#include "core/walk.h"
#include "formats/format.h"

namespace sops {

struct OpenOptions {
  RecoverOptions keys;
  bool ignore_mac = false;
  const DataKey* known_key = nullptr;  // taken if it opens the MAC; else, and without it, the master keys are asked
};

/// The plaintext of one leaf.
struct LeafValue {
  TypedText value;
  bool was_encrypted = false;  // a ciphertext stood there and was decrypted
  bool is_comment = false;     // a comment, or a list item that decrypted to one (format.md 4.8)
  /// The ciphertext may stay when the file is written again (editing.md 1.6): its plaintext is canonical, nothing
  /// stands behind it, and a comment was found at the path that we compute for it.
  bool may_stay = false;
};

/// An encrypted file with its plaintext beside it. Owns everything but the text, which must outlive it.
struct OpenedFile {
  const FormatType* format = nullptr;
  Document document;
  Metadata metadata;
  Walk walk;
  std::vector<LeafValue> values;     // one for each leaf of the walk
  std::vector<SecureArena> storage;  // of the decrypted texts
  SecureBytes layout;                // decrypted layout entry; empty if there is none
  std::optional<DataKey> key;
  std::vector<std::string> warnings;  // for stderr
};

/// Opens a file. On success everything is authenticated that the format authenticates (docs/threat_model.md).
/// Errors: kNotFound without metadata (1); kMalformed (1); kUnavailable without a data key (128); values (25); MAC
/// (51).
Result<OpenedFile> open_file(std::string_view text, const FormatType& format, const OpenOptions& options,
                             Services& services);

/// The file without a key: text, tree and metadata. Errors: kNotFound without metadata (1); kMalformed (1).
Result<OpenedFile> read_encrypted(std::string_view text, const FormatType& format);

/// The data key of such a file, to wrap it for others (updatekeys, groups): as in SOPS no value needs to be intact, but
/// the key must open the MAC or, where that is damaged, at least one value; then a warning is added to the file.
/// Errors: kUnavailable without a data key, or with one that opens nothing (128).
Result<RecoveredKey> recover_file_key(OpenedFile& file, const RecoverOptions& options, Services& services);

/// The whole file in the clear, in its own format: only ciphertexts and metadata differ from the encrypted text. Adds
/// to file.warnings if the layout hints do not fit.
Result<SecureBytes> decrypted_text(OpenedFile& file);

/// The edits of the encrypted text that give decrypted_text(). They borrow from `file`. Errors:
/// kUnsupported if the text comes from a layout hint for the whole of it.
Result<EditList> plain_edits(const OpenedFile& file);

/// The first branch as a tree with plaintext values, without metadata (for --extract). Views into `file`.
Result<Value> decrypted_value(const OpenedFile& file);

/// Decrypts what can be decrypted of `walk` and adds it to `values` and `storage`; shared with the check after
/// encrypting.
Result<void> decrypt_leaves(const Document& document, const Walk& walk, const DataKey& key,
                            std::vector<LeafValue>& values, std::vector<SecureArena>& storage,
                            std::vector<std::string>& warnings);

/// The text after decryption, given the plaintext of each leaf and the encoded layout ("" for none). Sets `hints_fit`
/// to false if there were hints and they had to be dropped.
Result<SecureBytes> render_plain(const FormatType& format, const Document& document, const Walk& walk,
                                 const std::vector<LeafValue>& values, std::string_view layout, bool& hints_fit);

}  // namespace sops
