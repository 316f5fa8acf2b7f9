// SPDX-License-Identifier: MPL-2.0
//
// The walk over a document in SOPS's order: every leaf with its path and with the decision whether it is selected.
// Aliases are expanded, metadata is left out (format.md 3.3, 3.8; yaml.md 3.1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/selection.h"
#include "tree/document.h"

namespace sops {

/// A scalar or comment on its way through the walk.
struct Leaf {
  NodeId node = kNoNode;   // the scalar or comment
  NodeId entry = kNoNode;  // the node whose key names the leaf (the alias, if one stands there); kNoNode for items
  NodeId alias = kNoNode;  // the outermost alias through which the leaf was reached
  uint32_t container = 0;  // index into Walk::containers
  uint32_t branch = 0;
  bool selected = false;  // by the rule; says nothing about nulls and empty texts
  bool is_comment = false;
};

/// All leaves of a document. Borrows the document.
struct Walk {
  std::vector<Leaf> leaves;
  std::vector<std::string> containers;  // path prefixes: every key above, each followed by ':'

  /// The leaf's path as additional authenticated data: keys joined and ended by ':'; ":" at the top
  /// (format.md 2.4, 2.5). Replaces the content of `out`.
  void aad(const Document& document, const Leaf& leaf, std::string& out) const;
};

/// Errors: kUnsupported where SOPS refuses to walk: a key that is no string, an unsigned integer beyond int64 (with
/// `refusal_status`: 23 when encrypting, 25 when decrypting); and aliases that expand to more than kMaxLeaves.
Result<Walk> walk(const Document& document, const Selector& selector, ExitStatus refusal_status);

/// Limit against alias bombs; a document without aliases is smaller by itself.
inline constexpr size_t kMaxLeaves = 50'000'000;

/// The path prefix of a container inside the tree, aliases not considered.
std::string container_path(const Document& document, NodeId container);

/// A leaf's place for messages: "db:password", and its line and column.
std::string describe_place(const Document& document, const Walk& walk, const Leaf& leaf);

}  // namespace sops
