// SPDX-License-Identifier: MPL-2.0
#include "formats/yaml/change.h"

#include <algorithm>

#include "formats/yaml/emit.h"
#include "formats/yaml/places.h"
#include "formats/yaml/scan.h"
#include "formats/yaml/write.h"

namespace sops::yaml {
namespace {

Failure unsupported(std::string_view what) {
  return fail(ErrorCode::kUnsupported, "{}", what).exit(ExitStatus::kCannotSerialize);
}

bool is_text(const Value& value) {
  return value.kind == ValueKind::kScalar && (value.type == ScalarType::kString || value.type == ScalarType::kBytes);
}

// ---- Scalars --------------------------------------------------------------------------------------------------------

// True if `value` under the tag of the node would have another type (editing.md 1.5). A bare `!` gives no type.
bool tag_must_go(const Document& document, const Node& node, const Value& value) {
  if (has_header_comment(node) || find_tag(document, node).size() <= 1) return false;
  if (!node.has(kFlagTypedTag)) return !is_text(value) || !is_utf8(value.text);
  return value.kind != ValueKind::kScalar || is_text(value) || value.type != node.type;
}

// The properties of a node, less its tag if that must go; ends in a blank or break if it is not empty.
void append_kept_properties(const Document& document, const Node& node, bool without_tag, SecureBuffer& out) {
  const size_t end = std::max(node.span.begin, node.content);
  const std::string_view all = document.slice(make_span(node.span.begin, end));
  if (!without_tag) {
    out.append(all);
    out.append(gap_before(document, node));
    return;
  }
  const size_t anchor = all.find('&');
  const Span tag = find_tag(document, node);
  if (anchor != std::string_view::npos &&
      (anchor + node.span.begin < tag.begin || anchor + node.span.begin >= tag.end)) {
    const size_t anchor_end = std::min(all.find_first_of(" \t\r\n", anchor), all.size());
    out.append(all.substr(anchor, anchor_end - anchor));
    out.append(" ");
  } else if (node.style == NodeStyle::kAbsent) {
    out.append(node.span.begin > 0 && document.text[node.span.begin - 1] == ' ' ? "" : " ");
  }
}

// A scalar in the place of a scalar or alias. Returns the span that the text in `out` replaces.
Span write_scalar(const Document& document, NodeId id, const Value& value, SecureBuffer& out) {
  const Node& node = document.node(id);
  const bool without_tag = tag_must_go(document, node, value);
  if (is_text(value) && !without_tag) {
    if (node.has(kFlagInFlow) && node.style == NodeStyle::kPlain && is_flow_word(value.text)) {
      append_kept_properties(document, node, false, out);
      out.append(value.text);
      return node.span;
    }
    return spell(document, id, {ScalarType::kString, value.text}, false, out);
  }
  if (!is_text(value) && has_header_comment(node)) {
    append_typed(value.type, value.text, /*keep_type=*/true, out);
    out.append(" ");
    out.append(header_comment(document, id));
    return make_span(node.content, node.span.end);
  }
  append_kept_properties(document, node, without_tag, out);
  if (!is_text(value)) {
    append_typed(value.type, value.text, /*keep_type=*/true, out);
  } else {
    append_flow(value, {}, out);
  }
  return node.span;
}

}  // namespace

Result<EditList> replace_node(const Document& document, NodeId id, const Value& value, const EmitStyle&) {
  const Node& node = document.node(id);
  if (node.is_container() || value.kind != ValueKind::kScalar) return unsupported("not yet");
  SecureBuffer out;
  const Span span = write_scalar(document, id, value, out);
  EditList edits;
  edits.add(span, out.view());
  return edits;
}

Result<EditList> append_child(const Document&, NodeId, const Value&, const EmitStyle&) {
  return unsupported("not yet");
}

Result<EditList> remove_child(const Document&, NodeId) { return unsupported("not yet"); }

}  // namespace sops::yaml
