// SPDX-License-Identifier: MPL-2.0
//
// The last step of a scan: puts the comments between the nodes, in SOPS's order (yaml.md 1.3.6).
#pragma once

#include <span>
#include <vector>

#include "formats/yaml/comments.h"
#include "tree/document.h"

namespace sops::yaml {

/// A chain of comment lines: CommentLine::next leads from first to last.
struct LineList {
  LineId first = kNoLine;
  LineId last = kNoLine;

  bool empty() const { return first == kNoLine; }
  void clear() { *this = {}; }
};

/// The comments of a node, and those of its key.
struct NodeComments {
  LineList key_head, key_line, key_foot;
  LineList head, line, foot;
};

/// Comments at the two ends of a branch.
struct BranchComments {
  LineList head, foot;
};

/// Which node was handed which comments. Most nodes have none, so records are made when they are needed.
class CommentTable {
 public:
  /// The record of a node, made if there is none. Valid until the next call.
  NodeComments& of(NodeId id);
  /// The record of a node, nullptr if there is none.
  NodeComments* find(NodeId id);
  const NodeComments* find(NodeId id) const;
  const std::vector<NodeComments>& all() const { return records_; }

  std::vector<BranchComments> branches;

 private:
  std::vector<uint32_t> slots_;  // by node, index into records_
  std::vector<NodeComments> records_;
};

/// Replaces the nodes of `document` (entries and items in source order) by the same with comments between them. A line
/// that is in no list of `table` becomes a node with kFlagUnseen (yaml.md 1.4), in the innermost block container that
/// spans it.
void weave(Document& document, std::span<const CommentLine> lines, const CommentTable& table);

}  // namespace sops::yaml
