// SPDX-License-Identifier: MPL-2.0
//
// Paths as texts: nothing here looks at a disk, so links are not resolved. The rules are those of Go's path/filepath on
// Unix, because `.sops.yaml` is matched against such paths (config.md 4). Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace sops {

/// The shortest path that names the same by text alone: no double slashes, no `.`, no `..` behind a name or the root,
/// no slash at the end. "" gives ".".
std::string clean_path(std::string_view path);

/// `path`, cleaned, as seen from the directory `cwd` if it is relative. REQUIRES: cwd is absolute.
std::string absolute_path(std::string_view path, std::string_view cwd);

/// The directory part, cleaned: "/a/b" → "/a", "/a/b/" → "/a/b", "b" → ".", "/" → "/".
std::string dirname(std::string_view path);

/// What stands behind the last slash, slashes at the end not counted: "/a/b/" → "b", "/" → "/", "" → ".".
std::string basename(std::string_view path);

}  // namespace sops
