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

bool same_tree(const Value& a, const Value& b, Comments comments) {
  std::vector<std::pair<const Value*, const Value*>> open = {{&a, &b}};
  while (!open.empty()) {
    const auto [x, y] = open.back();
    open.pop_back();
    if (x->kind != y->kind) return false;
    if (x->kind == ValueKind::kScalar && (x->type != y->type || x->text != y->text)) return false;
    if (x->kind == ValueKind::kComment && x->text != y->text) return false;
    const auto skip = [comments](const Value& value, size_t at) {
      while (comments == Comments::kIgnore && at < value.children.size() &&
             value.children[at].kind == ValueKind::kComment) {
        ++at;
      }
      return at;
    };
    size_t i = skip(*x, 0);
    size_t j = skip(*y, 0);
    while (i < x->children.size() && j < y->children.size()) {
      const Value& left = x->children[i];
      const Value& right = y->children[j];
      if (x->kind == ValueKind::kMapping && left.kind != ValueKind::kComment && left.key != right.key) return false;
      open.emplace_back(&left, &right);
      i = skip(*x, i + 1);
      j = skip(*y, j + 1);
    }
    if (i < x->children.size() || j < y->children.size()) return false;
  }
  return true;
}

}  // namespace sops
