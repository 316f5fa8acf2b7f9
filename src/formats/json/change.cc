// SPDX-License-Identifier: MPL-2.0
//
// New text takes its white space from what is there (editing.md 1.1): a new entry begins like the one before it, a new
// object or list is laid out like its siblings, or on one line where its container is. Where nothing tells, SOPS's
// style (format.md 6.2.6).
//
//   {"a": 1}            →  {"a": 1, "b": 2}          behind the last value
//   {                      {
//     "a": 1        →        "a": 1,
//   }                        "b": 2
//                          }
//   {}  []              →  on lines of their own if the container around is
#include "formats/json/change.h"

#include "formats/json/emit.h"
#include "formats/json/json.h"
#include "formats/json/white_space.h"

namespace sops::json {
namespace {

bool is_empty(const Document& document, NodeId container) { return document.node(container).next == container + 1; }

NodeId last_child(const Document& document, NodeId container) {
  NodeId last = kNoNode;
  for (NodeId id = container + 1; id < document.node(container).next; id = document.node(id).next) last = id;
  return last;
}

// How the first entry or item of a container that is not empty begins its line.
LineStart first_line(const Document& document, NodeId container) {
  return line_start(space_before(document, container + 1));
}

bool is_multi_line(const Document& document, NodeId container) {
  return !is_empty(document, container) && !first_line(document, container).line_break.empty();
}

// The indentation of the line that a position is on.
std::string_view indent_at(std::string_view text, size_t at) {
  const size_t last_break = text.substr(0, at).find_last_of("\r\n");
  const size_t begin = last_break == std::string_view::npos ? 0 : last_break + 1;
  const size_t end = std::min(text.find_first_not_of(" \t", begin), text.size());
  return text.substr(begin, end - begin);
}

// The first line break of the text, LF if it has none.
std::string_view file_break(std::string_view text) {
  const size_t at = text.find_first_of("\r\n");
  if (at == std::string_view::npos) return "\n";
  return text.substr(at, text.substr(at).starts_with("\r\n") ? 2 : 1);
}

// One level of indentation: what the first container on several lines adds to its own line.
Result<std::string> step_of(const Document& document, const EmitStyle& style) {
  std::string configured = TRY(indentation_step(style));
  if (style.indent) return configured;
  for (NodeId id = 0; id < document.nodes.size(); ++id) {
    if (!document.node(id).is_container() || !is_multi_line(document, id)) continue;
    const std::string_view inner = first_line(document, id).indent;
    const std::string_view outer = indent_at(document.text, document.node(id).span.begin);
    if (inner.size() > outer.size() && inner.starts_with(outer)) return std::string(inner.substr(outer.size()));
    if (inner == outer) return std::string();
  }
  return configured;
}

// True if what is written into `container` stands on lines of its own.
bool has_own_lines(const Document& document, NodeId container) {
  while (is_empty(document, container)) {
    if (document.node(container).parent == kNoNode) return true;
    container = document.node(container).parent;
  }
  return is_multi_line(document, container);
}

// The last sibling in `container`, other than `replaced`, that shows how a container of this kind is laid out.
NodeId find_model(const Document& document, NodeId container, NodeId replaced, NodeKind kind) {
  NodeId model = kNoNode;
  for (NodeId id = container + 1; id < document.node(container).next; id = document.node(id).next) {
    const Node& node = document.node(id);
    if (id == replaced || !node.is_container() || is_empty(document, id)) continue;
    if (node.kind == kind || model == kNoNode || document.node(model).kind != kind) model = id;
  }
  return model;
}

// The colon of the first entry at or behind `from`, then of any.
std::string colon_near(const Document& document, NodeId from) {
  for (const NodeId start : {from, NodeId{0}}) {
    for (NodeId id = start; id < document.nodes.size(); ++id) {
      if (document.node(id).key_span.size() > 0) return colon_of(document, id);
    }
  }
  return ": ";
}

// The comma of one-line text: that of the first container at or behind `from` with two elements on one line.
std::string comma_near(const Document& document, NodeId from, std::string_view colon) {
  for (const NodeId start : {from, NodeId{0}}) {
    for (NodeId id = start; id < document.nodes.size(); ++id) {
      if (!document.node(id).is_container() || is_empty(document, id) || is_multi_line(document, id)) continue;
      const NodeId second = document.node(id + 1).next;
      if (second < document.node(id).next) return comma_before(document, second);
    }
  }
  return colon == ":" ? "," : ", ";
}

// The layout of `value` in `container`, on a line that is indented by `indent`.
Result<Layout> layout_in(const Document& document, NodeId container, NodeId replaced, const Value& value,
                         std::string_view indent, const EmitStyle& style) {
  Layout layout;
  layout.step = TRY(step_of(document, style));
  layout.indent = indent;
  layout.line_break = file_break(document.text);
  layout.keep_types = true;
  const NodeKind kind = value.kind == ValueKind::kSequence ? NodeKind::kSequence : NodeKind::kMapping;
  NodeId model = kNoNode;
  if (replaced != kNoNode && document.node(replaced).is_container() && !is_empty(document, replaced)) {
    model = replaced;
  } else if (container != kNoNode) {
    model = find_model(document, container, replaced, kind);
  }
  layout.multi_line =
      model != kNoNode ? is_multi_line(document, model) : container == kNoNode || has_own_lines(document, container);
  const NodeId near = model != kNoNode ? model : container != kNoNode ? container : 0;
  layout.colon = colon_near(document, near);
  layout.comma = comma_near(document, near, layout.colon);
  return layout;
}

Result<void> append_child_text(const Value& child, bool is_entry, const Layout& layout, SecureBuffer& out) {
  if (child.kind == ValueKind::kComment) {
    return fail(ErrorCode::kUnsupported, "JSON has no comments").exit(ExitStatus::kCannotSerialize);
  }
  if (is_entry) {
    append_string(child.key, out);
    out.append(layout.colon);
  }
  return append_value(child, layout, out);
}

// The first child of a container without any.
Result<EditList> fill_empty(const Document& document, NodeId container, const Value& child, const EmitStyle& style) {
  const Node& node = document.node(container);
  const std::string_view outer = indent_at(document.text, node.span.begin);
  const std::string step = TRY(step_of(document, style));
  const bool own_lines = has_own_lines(document, container);
  const std::string inner = own_lines ? std::string(outer) + step : std::string(outer);
  const Layout layout = TRY(layout_in(document, container, kNoNode, child, inner, style));
  SecureBuffer out;
  if (own_lines) {
    out.append(layout.line_break);
    out.append(inner);
  }
  TRY(append_child_text(child, node.kind == NodeKind::kMapping, layout, out));
  if (own_lines) {
    out.append(layout.line_break);
    out.append(outer);
  }
  EditList edits;
  edits.add({node.span.begin + 1, node.span.end - 1}, out.view());
  return edits;
}

}  // namespace

Result<EditList> replace_node(const Document& document, NodeId id, const Value& value, const EmitStyle& style) {
  const Node& node = document.node(id);
  if (node.parent == kNoNode && value.kind != ValueKind::kMapping && !document.branches.empty()) {
    return fail(ErrorCode::kUnsupported, "the top level of a JSON file must be an object")
        .exit(ExitStatus::kCannotSerialize);
  }
  const std::string_view indent = indent_at(document.text, node.span.begin);
  const Layout layout = TRY(layout_in(document, node.parent, id, value, indent, style));
  SecureBuffer out;
  TRY(append_child_text(value, /*is_entry=*/false, layout, out));
  EditList edits;
  edits.add(node.span, out.view());
  return edits;
}

Result<EditList> append_child(const Document& document, NodeId container, const Value& child, const EmitStyle& style) {
  const Node& node = document.node(container);
  SOPS_CHECK(node.is_container(), "only objects and lists have children");
  if (is_empty(document, container)) return fill_empty(document, container, child, style);

  const NodeId last = last_child(document, container);
  const LineStart start = line_start(space_before(document, last));
  const std::string_view indent =
      start.line_break.empty() ? indent_at(document.text, begin_of(document.node(last))) : start.indent;
  Layout layout = TRY(layout_in(document, container, kNoNode, child, indent, style));
  SecureBuffer out;
  if (!start.line_break.empty()) {
    out.append(",");
    out.append(start.line_break);
    out.append(start.indent);
  } else if (last > container + 1) {
    out.append(comma_before(document, last));
  } else {
    out.append(layout.comma);
  }
  if (node.kind == NodeKind::kMapping) layout.colon = colon_of(document, last);
  TRY(append_child_text(child, node.kind == NodeKind::kMapping, layout, out));
  EditList edits;
  const uint32_t at = document.node(last).span.end;
  edits.add({at, at}, out.view());
  return edits;
}

Result<EditList> remove_child(const Document& document, NodeId id) {
  const Node& node = document.node(id);
  SOPS_CHECK(node.parent != kNoNode, "the root is no child");
  const Node& container = document.node(node.parent);
  NodeId previous = kNoNode;
  for (NodeId other = node.parent + 1; other < id; other = document.node(other).next) previous = other;
  Span span;
  if (previous != kNoNode) {
    span = {document.node(previous).span.end, node.span.end};
  } else if (node.next < container.next) {
    span = {begin_of(node), begin_of(document.node(node.next))};
  } else {
    span = {container.span.begin + 1, container.span.end - 1};
  }
  EditList edits;
  edits.add(span, "");
  return edits;
}

}  // namespace sops::json
