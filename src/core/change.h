// SPDX-License-Identifier: MPL-2.0
//
// Changing one value of a plain text: what `set` and `unset` do before the file is encrypted again (cli.md 5,
// editing.md 1). Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/secure_bytes.h"
#include "core/tree_path.h"
#include "formats/format.h"

namespace sops {

/// A plain text with one change.
struct ChangedText {
  SecureBytes text;
  /// Scalars of the first branch that the text shows as integers because SOPS spells whole floats so, but that are
  /// floats: their positions in `text` (editing.md 1.4).
  std::vector<size_t> whole_floats;
  std::vector<std::string> warnings;  // for stderr
};

/// `path`, which counts as SOPS does in the tree of the encrypted file, as it counts in the document of the plain text
/// for set_value() and unset_value(). Items are the same in both, but comments may take up other slots of a list where
/// no metadata stand behind them (yaml.md 1.6). What leads nowhere stays as it is from there on. Errors: kUsage for the
/// place of a comment.
Result<TreePath> path_in_plain(const Value& encrypted, const Document& plain, const TreePath& path);

/// `plain` with `value` at `path` of its first document, by SOPS's rules (cli.md 5.3): a missing entry is appended and
/// built from the rest of the path, an index behind the end appends one item, a scalar in the way is replaced. Nothing
/// else changes: aliases that would change with it are written out with the old content, and a warning says so
/// (editing.md 1.2). What cannot be changed in the author's style is written in SOPS's, with a warning (1.5). The
/// result has been scanned: its tree is the old one with that change.
///
/// Errors: kUsage (1) for an index into a mapping, a key into a list, a negative index, the place of a comment, an
/// empty path (7); 203 for the reserved entry `sops`; kUnsupported (4) for what the format cannot hold.
Result<ChangedText> set_value(const FormatType& format, std::string_view plain, const TreePath& path,
                              const Value& value, const EmitStyle& style);

/// `plain` without the entry or item at `path`. A container that becomes empty is `{}` or `[]`.
/// Errors: as set_value(); kNotFound (1) if there is no such entry or item.
Result<ChangedText> unset_value(const FormatType& format, std::string_view plain, const TreePath& path,
                                const EmitStyle& style);

}  // namespace sops
