// SPDX-License-Identifier: MPL-2.0
//
// Where the entry `sops` stands, and how taking it out knows what putting it in has done (architecture.md 1, promise
// 2):
//
//   the root has entries   `, "sops": …` directly behind the last value; taken out from the end of the value before it
//   the root is `{}`       SOPS's style, white space on both sides; taken out with it
//   the root is `{ }`      directly before the brace, nothing between; taken out alone
//
// White space comes from the neighbours: what stands before the last key and behind it also stands there for ours.
#include "formats/json/metadata.h"

#include <algorithm>

#include "formats/json/emit.h"
#include "formats/json/white_space.h"

namespace sops::json {
namespace {

// The first and the last entry of the root, and the one before `sops`.
struct Entries {
  NodeId first = kNoNode;
  NodeId last = kNoNode;
  NodeId before_metadata = kNoNode;
  size_t count = 0;
};

Entries root_entries(const Document& document) {
  const Branch& branch = document.branches.front();
  Entries entries;
  for (NodeId id = branch.root + 1; id < document.node(branch.root).next; id = document.node(id).next) {
    if (id == branch.metadata) entries.before_metadata = entries.last;
    if (entries.count++ == 0) entries.first = id;
    entries.last = id;
  }
  return entries;
}

// One level of the author's indentation below entries that are indented by `indent`, from the first one that has a
// level.
std::string step_of(const Document& document, std::string_view indent) {
  const Branch& branch = document.branches.front();
  for (NodeId id = branch.root + 1; id < document.node(branch.root).next; id = document.node(id).next) {
    if (!document.node(id).is_container() || document.node(id).next == id + 1) continue;
    const LineStart inner = line_start(space_before(document, id + 1));
    if (inner.line_break.empty() || !inner.indent.starts_with(indent)) continue;
    return std::string(inner.indent.substr(indent.size()));
  }
  return std::string(indent);
}

// The layout that the entry `sops` has, or that its neighbours suggest while it is still empty.
Result<Layout> layout_of_metadata(const Document& document, const EmitStyle& style) {
  const std::string style_step = TRY(indentation_step(style));
  const NodeId id = document.branches.front().metadata;
  const LineStart own = line_start(space_before(document, id));
  Layout layout;
  layout.colon = colon_of(document, id);
  layout.multi_line = !own.line_break.empty();
  layout.line_break = own.line_break;
  layout.indent = own.indent;
  const Entries entries = root_entries(document);
  if (entries.count > 1) {
    layout.comma = comma_before(document, id == entries.first ? document.node(id).next : id);
  } else if (layout.colon == ":") {
    layout.comma = ",";
  }
  if (const Node& node = document.node(id); node.is_container() && node.next > id + 1) {
    const NodeId child = id + 1;
    const LineStart inner = line_start(space_before(document, child));
    layout.multi_line = !inner.line_break.empty();
    layout.line_break = inner.line_break;
    layout.step = inner.indent.starts_with(layout.indent) ? inner.indent.substr(layout.indent.size()) : inner.indent;
    if (node.kind == NodeKind::kMapping) layout.colon = colon_of(document, child);
    if (const NodeId second = document.node(child).next; second < node.next)
      layout.comma = comma_before(document, second);
  } else if (layout.multi_line) {
    layout.step = style.indent ? style_step : step_of(document, layout.indent);
  }
  return layout;
}

// What stands between the last value and ours, and behind our key.
std::string separator_behind(const Document& document, const Entries& entries, std::string_view colon) {
  const LineStart start = line_start(space_before(document, entries.last));
  if (!start.line_break.empty()) return format(",{}{}", start.line_break, start.indent);
  if (entries.count > 1) return comma_before(document, entries.last);
  return colon == ":" ? "," : ", ";
}

}  // namespace

Result<Value> read_metadata(const Document& document) {
  const Branch& branch = document.branches.front();
  if (branch.metadata == kNoNode) return fail(ErrorCode::kNotFound, "sops metadata not found");
  const Node& node = document.node(branch.metadata);
  for (NodeId id = node.next; id < document.node(branch.root).next; id = document.node(id).next) {
    if (document.node(id).key == "sops") {
      return fail(ErrorCode::kMalformed, "duplicate sops entry")
          .at(position_at(document.text, document.node(id).key_span.begin))
          .hint("remove the one that is out of date");
    }
  }
  if (node.kind != NodeKind::kMapping) {
    return fail(ErrorCode::kMalformed, "the sops entry is not an object")
        .at(position_at(document.text, node.span.begin));
  }
  if (node.next == branch.metadata + 1) return fail(ErrorCode::kNotFound, "sops metadata not found");  // format.md 10
  return to_value(document, branch.metadata);
}

Result<EditList> reserve_metadata(const Document& document, const EmitStyle& style) {
  const std::string step = TRY(indentation_step(style));
  const Node& root = document.node(document.branches.front().root);
  const Entries entries = root_entries(document);
  EditList edits;
  if (entries.count > 0) {
    const std::string colon = colon_of(document, entries.last);
    const uint32_t at = document.node(entries.last).span.end;
    edits.add({at, at}, format("{}\"sops\"{}{{}}", separator_behind(document, entries, colon), colon));
    return edits;
  }
  const uint32_t at = root.span.end - 1;
  if (root.span.size() == 2) {
    const std::string_view line_break = document.text.substr(root.span.end).starts_with("\r\n") ? "\r\n" : "\n";
    edits.add({at, at}, format("{}{}\"sops\": {{}}{}", line_break, step, line_break));
  } else {
    edits.add({at, at}, "\"sops\": {}");
  }
  return edits;
}

Result<EditList> write_metadata(const Document& document, const Value& metadata, const Value& first_only,
                                const EmitStyle& style) {
  const NodeId id = document.branches.front().metadata;
  if (id == kNoNode) return fail(ErrorCode::kNotFound, "sops metadata not found");
  Value merged = metadata;
  for (const Value& entry : first_only.children) {
    const auto after = std::find_if(merged.children.begin(), merged.children.end(),
                                    [&](const Value& other) { return other.key > entry.key; });
    merged.children.insert(after, entry);
  }
  const Layout layout = TRY(layout_of_metadata(document, style));
  SecureBuffer text;
  TRY(append_value(merged, layout, text));
  EditList edits;
  edits.add(document.node(id).span, text.view());
  return edits;
}

Result<EditList> remove_metadata(const Document& document) {
  const Branch& branch = document.branches.front();
  EditList edits;
  if (branch.metadata == kNoNode) return edits;
  const Node& root = document.node(branch.root);
  const Node& node = document.node(branch.metadata);
  const Entries entries = root_entries(document);
  Span span = {node.key_span.begin, node.span.end};
  if (entries.before_metadata != kNoNode) {
    span.begin = document.node(entries.before_metadata).span.end;
  } else if (entries.count > 1) {
    span.end = document.node(node.next).key_span.begin;
  } else if (node.span.end + 1 < root.span.end) {  // white space behind it: the whole content is ours
    span = {root.span.begin + 1, root.span.end - 1};
  }
  edits.add(span, "");
  return edits;
}

}  // namespace sops::json
