// SPDX-License-Identifier: MPL-2.0
#include "tree/value.h"

namespace sops {

Value& Value::add(std::string_view name, Value value) {
  value.key = name;
  children.push_back(std::move(value));
  return children.back();
}

Value& Value::add(Value item) {
  children.push_back(std::move(item));
  return children.back();
}

const Value* Value::find(std::string_view name) const {
  for (const Value& child : children) {
    if (child.kind != ValueKind::kComment && child.key == name) return &child;
  }
  return nullptr;
}

namespace {

Value make_value(const Node& node, std::string_view key) {
  Value value;
  value.key = key;
  switch (node.kind) {
    case NodeKind::kMapping:
      value.kind = ValueKind::kMapping;
      break;
    case NodeKind::kSequence:
      value.kind = ValueKind::kSequence;
      break;
    case NodeKind::kComment:
      value.kind = ValueKind::kComment;
      value.text = node.text;
      value.is_inline = node.has(kFlagInline);
      break;
    default:
      value.type = node.type;
      value.text = node.text;
  }
  return value;
}

}  // namespace

Result<Value> to_value(const Document& document, NodeId id) {
  // One frame for each open container; aliases are followed to their target under the alias's own key.
  struct Frame {
    Value value;
    NodeId at;
    NodeId end;
  };
  const auto resolve = [&](NodeId from) {
    while (document.node(from).kind == NodeKind::kAlias) from = document.node(from).target;
    return from;
  };
  std::vector<Frame> open;
  Value done;
  NodeId next = id;
  while (true) {
    const NodeId target = resolve(next);
    const Node& node = document.node(target);
    Value value = make_value(node, document.node(next).key);
    if (node.is_container()) {
      if (open.size() >= kMaxDepth) return fail(ErrorCode::kUnsupported, "nested deeper than {} levels", kMaxDepth);
      open.push_back({std::move(value), target + 1, node.next});
    } else if (open.empty()) {
      return value;
    } else {
      open.back().value.children.push_back(std::move(value));
    }
    while (open.back().at >= open.back().end) {
      done = std::move(open.back().value);
      open.pop_back();
      if (open.empty()) return done;
      open.back().value.children.push_back(std::move(done));
    }
    next = open.back().at;
    open.back().at = document.node(next).next;
  }
}

}  // namespace sops
