// SPDX-License-Identifier: MPL-2.0
#include "core/walk.h"

#include <algorithm>

namespace sops {

void Walk::aad(const Document& document, const Leaf& leaf, std::string& out) const {
  out = containers[leaf.container];
  if (leaf.entry != kNoNode) {
    out += document.node(leaf.entry).key;
    out += ':';
  }
  if (out.empty()) out = ":";
}

namespace {

// A container that the walk is inside of.
struct Level {
  NodeId at;  // next child
  NodeId end;
  bool is_mapping;
  uint32_t container;            // index of its path prefix
  NodeId alias;                  // outermost alias on the way here
  bool key_matched;              // a key at or above matched the rule
  bool comments_above_matched;   // an active comment of an outer level matched
  bool comment_matched = false;  // an active comment of this level matched (format.md 3.8)
};

class Walker {
 public:
  Walker(const Document& document, const Selector& selector, ExitStatus refusal_status)
      : document_(document), selector_(selector), refusal_status_(refusal_status) {}

  Result<Walk> run() {
    result_.leaves.reserve(document_.nodes.size());
    for (size_t i = 0; i < document_.branches.size(); ++i) {
      branch_ = static_cast<uint32_t>(i);
      TRY(walk_branch(document_.branches[i]));
    }
    return std::move(result_);
  }

 private:
  Result<void> walk_branch(const Branch& branch) {
    const uint32_t top = add_container("");
    levels_.clear();
    enter(branch.root, Level{.at = 0,
                             .end = 0,
                             .is_mapping = true,
                             .container = top,
                             .alias = kNoNode,
                             .key_matched = false,
                             .comments_above_matched = false});
    while (!levels_.empty()) {
      Level& level = levels_.back();
      if (level.at >= level.end) {
        levels_.pop_back();
        continue;
      }
      const NodeId id = level.at;
      level.at = document_.node(id).next;
      if (id == branch.metadata) continue;
      TRY(visit(id, level));
    }
    return {};
  }

  // `level` is borrowed from levels_ and must not be used after a new level is entered.
  Result<void> visit(NodeId id, Level& level) {
    const Node& node = document_.node(id);
    if (node.kind == NodeKind::kComment) return visit_comment(id, node, level);

    if (level.is_mapping && node.has(kFlagKeyNotString)) {
      return fail(ErrorCode::kUnsupported, "the key '{}' is not a string",
                  escape_for_message(document_.slice(node.key_span), 60))
          .hint("put the key in quotes: only string keys can be bound to their values")
          .at(position_at(document_.text, node.key_span.begin))
          .exit(refusal_status_);
    }
    const bool key_matched = level.key_matched || (level.is_mapping && selector_.key_matches(node.key));
    const bool comment_matched = level.comments_above_matched || level.comment_matched;
    level.comment_matched = false;  // the comments served this entry and everything in it

    NodeId alias = level.alias;
    NodeId target = id;
    while (document_.node(target).kind == NodeKind::kAlias) {
      if (alias == kNoNode) alias = target;
      target = document_.node(target).target;
    }
    const Node& content = document_.node(target);
    if (content.is_container()) {
      if (levels_.size() > kMaxDepth) {
        return fail(ErrorCode::kUnsupported, "nested deeper than {} levels", kMaxDepth)
            .at(position_at(document_.text, node.span.begin));
      }
      const uint32_t container = level.is_mapping
                                     ? add_container(result_.containers[level.container] + std::string(node.key) + ":")
                                     : level.container;
      enter(target, Level{.at = 0,
                          .end = 0,
                          .is_mapping = true,
                          .container = container,
                          .alias = alias,
                          .key_matched = key_matched,
                          .comments_above_matched = comment_matched});
      return {};
    }
    if (content.type == ScalarType::kUnsigned) {
      return fail(ErrorCode::kUnsupported, "the integer is larger than 9223372036854775807")
          .hint("put it in quotes: SOPS refuses such integers")
          .at(position_at(document_.text, content.span.begin))
          .exit(refusal_status_);
    }
    return add_leaf({.node = target,
                     .entry = level.is_mapping ? id : kNoNode,
                     .alias = alias,
                     .container = level.container,
                     .branch = branch_,
                     .selected = selector_.selects(key_matched, comment_matched)});
  }

  Result<void> visit_comment(NodeId id, const Node& node, Level& level) {
    // format.md 3.8, 3.10: the comment becomes active before it is judged; encrypted_comment_regex skips it.
    const bool before = level.comments_above_matched || level.comment_matched;
    const bool matches = selector_.comment_matches(node.text);
    const bool judged = before || (matches && !selector_.skips_judged_comment());
    if (matches && !node.has(kFlagUnseen)) level.comment_matched = true;
    return add_leaf({.node = id,
                     .alias = level.alias,
                     .container = level.container,
                     .branch = branch_,
                     .selected = selector_.selects(level.key_matched, judged),
                     .is_comment = true});
  }

  void enter(NodeId container, Level level) {
    const Node& node = document_.node(container);
    level.at = container + 1;
    level.end = node.next;
    level.is_mapping = node.kind == NodeKind::kMapping;
    levels_.push_back(level);
  }

  uint32_t add_container(std::string prefix) {
    result_.containers.push_back(std::move(prefix));
    return static_cast<uint32_t>(result_.containers.size() - 1);
  }

  Result<void> add_leaf(const Leaf& leaf) {
    if (result_.leaves.size() >= kMaxLeaves) {
      return fail(ErrorCode::kUnsupported, "aliases expand to more than {} values", kMaxLeaves);
    }
    result_.leaves.push_back(leaf);
    return {};
  }

  const Document& document_;
  const Selector& selector_;
  ExitStatus refusal_status_;
  Walk result_;
  std::vector<Level> levels_;
  uint32_t branch_ = 0;
};

}  // namespace

Result<Walk> walk(const Document& document, const Selector& selector, ExitStatus refusal_status) {
  return Walker(document, selector, refusal_status).run();
}

std::string container_path(const Document& document, NodeId container) {
  std::vector<NodeId> chain;
  for (NodeId id = container; id != kNoNode; id = document.node(id).parent) chain.push_back(id);
  std::string path;
  for (auto it = chain.rbegin(); it != chain.rend(); ++it) {
    const Node& node = document.node(*it);
    if (node.parent == kNoNode || document.node(node.parent).kind != NodeKind::kMapping) continue;
    path += node.key;
    path += ':';
  }
  return path;
}

std::string describe_place(const Document& document, const Walk& walk, const Leaf& leaf) {
  std::string path;
  walk.aad(document, leaf, path);
  path.pop_back();
  const std::string_view what = leaf.is_comment ? "comment" : "value";
  if (path.empty()) return std::string(what);
  return leaf.is_comment ? format("comment in {}", escape_for_message(path))
                         : format("value {}", escape_for_message(path));
}

}  // namespace sops
