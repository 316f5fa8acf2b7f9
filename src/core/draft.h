// SPDX-License-Identifier: MPL-2.0
//
// Drafts: what a person typed in an editor and what could not be written to its file (editing.md 2.3). A draft is an
// ordinary SOPS binary file with the wrapped keys and the data key of the file that was edited, so making one needs no
// key service, and `sops decrypt` of any program prints the text. Beside `data`, where binary files have nothing, it
// holds, encrypted too:
//
//   draft:  target, made, reason; base_sha256 (absent: there was no file); keys_shown (only for edit -s)
//   swap:   a list of {name, content}: what the editor had put aside
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/data_key.h"
#include "core/key_groups.h"
#include "core/metadata.h"
#include "sys/services.h"

namespace sops {

/// A swap, auto-save or backup file of an editor.
struct SwapFile {
  std::string name;
  SecureBytes content;
};

struct Draft {
  std::string target;       // absolute path of the file that was edited
  std::string base_sha256;  // of the bytes it held at the beginning, hexadecimal; empty: there was no file
  std::string made;         // when, RFC 3339
  std::string reason;       // why the text could not be written
  bool keys_shown = false;  // the text has the metadata block: edit -s
  SecureBytes text;
  std::vector<SwapFile> swap_files;
};

/// The encrypted draft. Of `keys` the groups and the threshold are taken. Errors: kMalformed for a data key that is
/// none; the result has been opened again with `key`.
Result<SecureBytes> seal_draft(const Draft& draft, const Metadata& keys, const DataKey& key, Services& services);

/// An opened draft, with what sealing it again needs.
struct OpenedDraft {
  Draft draft;
  Metadata keys;
  DataKey key;
};

/// Opens what seal_draft() made: with `key` if that is its data key, else with its master keys. Errors: kNotFound and
/// kMalformed if it is no draft; those of open_file().
Result<OpenedDraft> open_draft(std::string_view text, const DataKey* key, const DecryptionOrder& order,
                               Services& services);

/// A name for `target` (an absolute path): 32 hexadecimal digits of its hash.
std::string target_hash(std::string_view target);

/// Stores a sealed draft of `target` under a free name, mode 0600, and returns its path: below
/// ${XDG_STATE_HOME:-~/.local/state}/sops/drafts, else beside the target. Errors: kIo, kDenied if neither works.
Result<std::string> store_draft(const std::string& target, const SecureBytes& sealed, Services& services);

/// The drafts of `target`, the newest first.
std::vector<std::string> find_drafts(const std::string& target, Services& services);

}  // namespace sops
