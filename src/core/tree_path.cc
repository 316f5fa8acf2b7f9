// SPDX-License-Identifier: MPL-2.0
#include "core/tree_path.h"

#include <charconv>

namespace sops {

namespace {

Failure malformed(std::string_view component) {
  return fail(ErrorCode::kUsage, "malformed path component '{}'", escape_for_message(component))
      .hint(
          "a path looks like '[\"database\"][\"users\"][0]': keys in quotes, list positions as numbers, nothing in "
          "between")
      .exit(ExitStatus::kBadTreePath);
}

}  // namespace

// cli.md 5.1: cut at every '[', each non-empty piece ends with ']'; in a quoted piece the first and last characters go,
// and nothing is escaped. [Q] `[]` and `["]` are malformed here.
Result<TreePath> parse_tree_path(std::string_view text) {
  TreePath path;
  for (std::string_view piece : split(text, '[')) {
    if (piece.empty()) continue;
    if (!piece.ends_with(']')) return malformed(piece);
    std::string_view body = piece.substr(0, piece.size() - 1);
    if (body.starts_with('"') || body.starts_with('\'')) {
      if (body.size() < 2 || body.back() != body.front()) return malformed(piece);
      path.emplace_back(std::string(body.substr(1, body.size() - 2)));
      continue;
    }
    int64_t index = 0;
    std::string_view digits = body;
    if (digits.starts_with('+')) digits.remove_prefix(1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return malformed(piece);
    path.emplace_back(index);
  }
  return path;
}

std::string to_string(const TreePath& path) {
  std::string text;
  for (const PathComponent& component : path) {
    if (const auto* key = std::get_if<std::string>(&component)) {
      text += format("[\"{}\"]", escape_for_message(*key));
    } else {
      text += format("[{}]", std::get<int64_t>(component));
    }
  }
  return text;
}

Result<const Value*> find_value(const Value& root, const TreePath& path) {
  const Value* value = &root;
  for (const PathComponent& component : path) {
    if (const auto* key = std::get_if<std::string>(&component)) {
      const Value* child = value->kind == ValueKind::kMapping ? value->find(*key) : nullptr;
      if (child == nullptr) {
        return fail(ErrorCode::kNotFound, "component ['{}'] not found", escape_for_message(*key))
            .hint(value->kind == ValueKind::kMapping ? "keys are case-sensitive" : "the value above it is no mapping");
      }
      value = child;
    } else {
      const int64_t index = std::get<int64_t>(component);
      if (value->kind != ValueKind::kSequence) {
        return fail(ErrorCode::kNotFound, "component [{}] is an integer, but the value above it is no list", index);
      }
      if (index < 0 || static_cast<uint64_t>(index) >= value->children.size()) {
        return fail(ErrorCode::kNotFound, "component [{}] is out of bounds: the list has {} items", index,
                    value->children.size());
      }
      value = &value->children[static_cast<size_t>(index)];
    }
  }
  return value;
}

}  // namespace sops
