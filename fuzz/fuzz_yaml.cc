// SPDX-License-Identifier: MPL-2.0
//
// The YAML scanner on any bytes, in both modes: the tree is sound, its places lie in the text and in each other, and
// the condensed form (docs/decisions/0003) gives the same one.
#include "formats/yaml/scan.h"
#include "fuzz/fuzz.h"

namespace {

using namespace sops;

// Whether the place of a child lies inside that of its parent.
bool is_inside(Span inner, Span outer) { return inner.begin >= outer.begin && inner.end <= outer.end; }

void check_node(const Document& document, NodeId id) {
  const Node& node = document.node(id);
  const auto count = static_cast<NodeId>(document.nodes.size());
  FUZZ_CHECK(node.span.begin <= node.span.end && node.span.end <= document.text.size());
  FUZZ_CHECK(node.key_span.begin <= node.key_span.end && node.key_span.end <= document.text.size());
  FUZZ_CHECK(node.content <= document.text.size());
  FUZZ_CHECK(node.next > id && node.next <= count);
  if (!node.is_container()) FUZZ_CHECK(node.next == id + 1);
  if (node.kind == NodeKind::kAlias) {
    FUZZ_CHECK(node.target < count && node.target != id);
    FUZZ_CHECK(document.text[node.span.begin] == '*');
  }
  if (node.kind == NodeKind::kComment) FUZZ_CHECK(document.text[node.span.begin] == '#');
  if (node.style == NodeStyle::kLiteral || node.style == NodeStyle::kFolded) {
    FUZZ_CHECK(sops::yaml::block_header(document, id).end > node.content);
    FUZZ_CHECK(sops::yaml::block_indentation(document, id) > 0);
  }
  if (node.parent == kNoNode) return;

  const Node& parent = document.node(node.parent);
  FUZZ_CHECK(node.parent < id && id < parent.next && node.next <= parent.next && parent.is_container());
  // A comment may stand outside of its container; a block scalar's content may be all that is its place.
  if (node.kind == NodeKind::kComment) return;
  FUZZ_CHECK(is_inside(node.span, parent.span));
  FUZZ_CHECK(node.key_span.size() == 0 || is_inside(node.key_span, parent.span));
  FUZZ_CHECK(node.key_span.size() == 0 || node.key_span.end <= node.span.begin);
}

// The children of one container stand one behind the other, comments aside.
void check_order(const Document& document, NodeId container) {
  uint32_t end = 0;
  for (NodeId id = container + 1; id < document.node(container).next; id = document.node(id).next) {
    const Node& node = document.node(id);
    FUZZ_CHECK(node.parent == container);
    if (node.kind == NodeKind::kComment) continue;
    FUZZ_CHECK((node.key_span.size() > 0 ? node.key_span.begin : node.span.begin) >= end);
    end = node.span.end;
  }
}

void check_document(const Document& document) {
  FUZZ_CHECK(!document.branches.empty());
  NodeId next_root = 0;
  uint32_t text_end = 0;
  for (const Branch& branch : document.branches) {
    FUZZ_CHECK(branch.root == next_root && document.node(branch.root).kind == NodeKind::kMapping);
    FUZZ_CHECK(document.node(branch.root).parent == kNoNode);
    FUZZ_CHECK(branch.text.begin >= text_end && branch.text.begin <= branch.text.end);
    FUZZ_CHECK(branch.text.end <= document.text.size());
    text_end = branch.text.end;
    next_root = document.node(branch.root).next;
    if (branch.metadata == kNoNode) continue;
    FUZZ_CHECK(document.node(branch.metadata).parent == branch.root);
    FUZZ_CHECK(document.node(branch.metadata).key == "sops");
  }
  FUZZ_CHECK(next_root == document.nodes.size());
  for (NodeId id = 0; id < document.nodes.size(); ++id) {
    check_node(document, id);
    if (document.node(id).is_container()) check_order(document, id);
  }
}

void check_condensed(std::string_view text, ScanMode mode, const Result<Document>& whole) {
  using namespace sops::yaml;
  const Result<Document> condensed = scan_with(text, mode, Condensing::kAlways);
  FUZZ_CHECK(condensed.has_value() == whole.has_value());
  if (!whole) return;
  FUZZ_CHECK(condensed->nodes.size() == whole->nodes.size() && condensed->warnings == whole->warnings);
  for (NodeId id = 0; id < whole->nodes.size(); ++id) {
    const Node& a = condensed->node(id);
    const Node& b = whole->node(id);
    FUZZ_CHECK(a.kind == b.kind && a.type == b.type && a.style == b.style && a.flags == b.flags && a.next == b.next);
    FUZZ_CHECK(a.parent == b.parent && a.target == b.target && a.span == b.span && a.content == b.content);
    FUZZ_CHECK(a.key_span == b.key_span && a.key == b.key && a.text == b.text);
  }
}

}  // namespace

void fuzz(std::span<const uint8_t> input) {
  const std::string_view text = as_text(input);
  const Result<Document> plain = sops::yaml::scan_with(text, ScanMode::kPlain, sops::yaml::Condensing::kNever);
  const Result<Document> encrypted = sops::yaml::scan_with(text, ScanMode::kEncrypted, sops::yaml::Condensing::kNever);
  check_condensed(text, ScanMode::kPlain, plain);
  check_condensed(text, ScanMode::kEncrypted, encrypted);
  if (plain) check_document(*plain);
  if (encrypted) check_document(*encrypted);
  // What may be encrypted can be read back: kEncrypted accepts more, never less, and sees the same tree.
  if (!plain) return;
  FUZZ_CHECK(encrypted.has_value() && encrypted->nodes.size() == plain->nodes.size());
  FUZZ_CHECK(encrypted->warnings.empty());
}
