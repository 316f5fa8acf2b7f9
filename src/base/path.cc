// SPDX-License-Identifier: MPL-2.0
#include "base/path.h"

#include <vector>

#include "base/text.h"

namespace sops {

std::string clean_path(std::string_view path) {
  const bool rooted = path.starts_with('/');
  std::vector<std::string_view> names;
  for (const std::string_view name : split(path, '/')) {
    if (name.empty() || name == ".") continue;
    if (name != "..") {
      names.push_back(name);
    } else if (!names.empty() && names.back() != "..") {
      names.pop_back();
    } else if (!rooted) {
      names.push_back(name);
    }
  }
  std::string result(rooted ? "/" : "");
  for (const std::string_view name : names) {
    if (!result.empty() && result.back() != '/') result += '/';
    result += name;
  }
  return result.empty() ? "." : result;
}

std::string absolute_path(std::string_view path, std::string_view cwd) {
  if (path.starts_with('/')) return clean_path(path);
  return clean_path(std::string(cwd).append("/").append(path));
}

std::string dirname(std::string_view path) {
  const size_t slash = path.rfind('/');
  return clean_path(slash == std::string_view::npos ? std::string_view() : path.substr(0, slash + 1));
}

std::string basename(std::string_view path) {
  if (path.empty()) return ".";
  while (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return "/";
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

}  // namespace sops
