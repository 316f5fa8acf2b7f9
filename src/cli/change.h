// SPDX-License-Identifier: MPL-2.0
//
// What set, unset and the deprecated --set share: arguments, and one changed value written back to its file
// (cli.md 5).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/common.h"
#include "core/tree_path.h"
#include "tree/value.h"

namespace sops {

/// A value given in JSON on the command line. Owns what it is made of.
class JsonValue {
 public:
  /// `text` must be one whole JSON text other than a list (cli.md 5.2). Numbers as editing.md 1.4 has them: a float
  /// where a double holds it, else an integer where 64 bits do; nothing is rounded.
  /// Errors: exit status 7.
  static Result<JsonValue> parse(SecureBytes text);

  const Value& value() const { return value_; }

 private:
  SecureBytes text_;
  Document document_;
  SecureArena arena_;
  Value value_;
};

/// The INDEX argument. Errors: kUsage with exit status 7.
Result<TreePath> parse_index(std::string_view text);

/// --ignore-mac, --decryption-order, types, --shamir-secret-sharing-threshold (cli.md 2.3).
std::vector<FlagSpec> change_flags();

struct ChangeRequest {
  std::string file;  // as typed
  TreePath path;
  const Value* value = nullptr;  // nullptr: unset
  bool is_idempotent = false;
};

/// Changes the file. If it changes meanwhile, starts again from its new content, three times in all (editing.md 1.7).
/// Errors: those of reading (2), decrypting (1, 25, 51, 128), set_value() and unset_value(), writing (3).
Result<int> change_file(CommandContext& context, const ChangeRequest& request);

/// The deprecated `--set 'PATH VALUE'` on the first positional (cli.md 5.5). (set.cc)
Result<int> run_deprecated_set(CommandContext& context, std::string_view path_and_value);

}  // namespace sops
