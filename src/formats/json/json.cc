// SPDX-License-Identifier: MPL-2.0
#include "formats/json/json.h"

#include <array>

#include "formats/json/change.h"
#include "formats/json/emit.h"
#include "formats/json/metadata.h"
#include "formats/json/scan.h"

namespace sops::json {
namespace {

constexpr std::array<std::string_view, 1> kSuffixes = {".json"};

Span place(const Document& document, NodeId id, std::string_view ciphertext, SecureBuffer& out) {
  out.append("\"");
  out.append(ciphertext);  // letters, digits and "[]:,+/=": nothing to escape
  out.append("\"");
  return document.node(id).span;
}

// SOPS stores the comments of a YAML list as items of the JSON list (format.md 4.8), and nothing but the end of the
// ciphertext tells them from the values.
bool is_comment_item(const Node& node) {
  return node.kind == NodeKind::kScalar && node.type == ScalarType::kString && node.text.starts_with("ENC[") &&
         node.text.ends_with(",type:comment]");
}

// An item that turned out to be a comment goes, with one comma (format.md 6.2.9). Comments in front of all values take
// the comma behind them, all others the one before them, so that no two pieces overlap.
Span comment_span(const Document& document, NodeId id) {
  const Node& node = document.node(id);
  NodeId previous = kNoNode;
  bool has_value_before = false;
  for (NodeId item = node.parent + 1; item < id; item = document.node(item).next) {
    has_value_before = has_value_before || !is_comment_item(document.node(item));
    previous = item;
  }
  if (has_value_before) return {document.node(previous).span.end, node.span.end};
  if (node.next < document.node(node.parent).next) return {node.span.begin, document.node(node.next).span.begin};
  return node.span;
}

Span spell(const Document& document, NodeId id, const TypedText& value, bool is_comment, SecureBuffer& out) {
  const Node& node = document.node(id);
  if (is_comment && node.parent != kNoNode && document.node(node.parent).kind == NodeKind::kSequence) {
    return comment_span(document, id);
  }
  if (!append_scalar(value, out)) return node.span;  // infinity: JSON cannot hold it, and nothing was appended
  return node.span;
}

}  // namespace

extern const FormatType type = {
    .id = "json",
    .summary = "JSON, one object per file",
    .suffixes = kSuffixes,
    .scan = scan,
    .read_metadata = read_metadata,
    .reserve_metadata = reserve_metadata,
    .write_metadata = write_metadata,
    .remove_metadata = remove_metadata,
    .place = place,
    .spell = spell,
    .replace_node = replace_node,
    .append_child = append_child,
    .remove_child = remove_child,
    .emit = emit,
    .emit_value = emit_value,
};

}  // namespace sops::json
