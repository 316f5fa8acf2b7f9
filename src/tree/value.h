// SPDX-License-Identifier: MPL-2.0
//
// Value: a small tree that belongs to no text: metadata, configuration, a value given to `set`. Also the input of
// emitting.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tree/document.h"

namespace sops {

/// What a Value is. kComment stands among the children of a container, in SOPS's order.
enum class ValueKind : uint8_t { kScalar, kMapping, kSequence, kComment };

/// A tree of borrowed texts. Whoever makes it keeps the storage (an arena, a Metadata) alive. Depth is at most
/// kMaxDepth.
struct Value {
  ValueKind kind = ValueKind::kScalar;
  ScalarType type = ScalarType::kString;
  bool is_inline = false;       // of a comment
  std::string_view key;         // of an entry of a mapping
  std::string_view text;        // scalar: canonical plaintext (format.md 2.10); comment: its text
  std::vector<Value> children;  // entries, items and comments

  static Value string(std::string_view text) { return {.text = text}; }
  static Value scalar(ScalarType type, std::string_view text) { return {.type = type, .text = text}; }
  static Value mapping() { return {.kind = ValueKind::kMapping}; }
  static Value sequence() { return {.kind = ValueKind::kSequence}; }
  static Value comment(std::string_view text) { return {.kind = ValueKind::kComment, .text = text}; }

  /// Appends an entry to a mapping and returns it.
  Value& add(std::string_view name, Value value);
  /// Appends an item to a sequence and returns it.
  Value& add(Value item);
  /// First entry `name`, nullptr if there is none. Comments are skipped.
  const Value* find(std::string_view name) const;
};

/// The subtree at `id` with aliases expanded and comments kept. Views into `document`.
/// Errors: kUnsupported beyond kMaxDepth.
Result<Value> to_value(const Document& document, NodeId id);

/// What same_tree does with comments.
enum class Comments : uint8_t { kCompare, kIgnore };

/// True if both trees have the same structure, keys, types and texts in the same order. The keys of `a` and `b`
/// themselves do not count, and neither does whether a comment is inline.
bool same_tree(const Value& a, const Value& b, Comments comments = Comments::kCompare);

}  // namespace sops
