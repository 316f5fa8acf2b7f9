// SPDX-License-Identifier: MPL-2.0
//
// The path syntax of --extract, set and unset: ["key"]['key'][0] (cli.md 5.1).
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tree/value.h"

namespace sops {

/// A key of a mapping, or an index of a list.
using PathComponent = std::variant<std::string, int64_t>;
using TreePath = std::vector<PathComponent>;

/// Errors: kUsage (exit status 91) naming the component that is malformed.
Result<TreePath> parse_tree_path(std::string_view text);

/// The path in its own syntax, for messages.
std::string to_string(const TreePath& path);

/// The value at `path`. Comments take up list slots, as in SOPS (cli.md 5.1).
/// Errors: kNotFound (exit status 1) naming the first component that leads nowhere.
Result<const Value*> find_value(const Value& root, const TreePath& path);

}  // namespace sops
