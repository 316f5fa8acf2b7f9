// SPDX-License-Identifier: MPL-2.0
//
// Where a value stands and what belongs to it, in block style:
//
//   key:  &anchor  # on its line      ← the indicator, properties, a comment of the container around
//     # above                         ← inside the value: goes with it, as in SOPS's tree
//     a: 1
//     # tail                          ← inside too
//
// A scalar in the place of a scalar replaces just its span. Everything else replaces what stands between the indicator
// and the end of the value's last line; comments there that are not the value's (yaml.md 1.3 says whose they are) are
// written again. New text has the author's steps, list indentation, quotes and line breaks, as far as neighbours tell.
//
// Line breaks are the treacherous part: those behind a literal with `+` belong to its text, and a literal without `-`
// that ends the file without a break has none (yaml.md 5.3). So an entry is never put between a literal and its
// breaks, and its removal takes the blank lines along that would be added to the literal before it.
#include "formats/yaml/change.h"

#include <algorithm>
#include <string>
#include <vector>

#include "formats/yaml/emit.h"
#include "formats/yaml/places.h"
#include "formats/yaml/scan.h"
#include "formats/yaml/write.h"

namespace sops::yaml {
namespace {

constexpr size_t kNowhere = std::string_view::npos;

Failure unsupported(std::string_view what) {
  return fail(ErrorCode::kUnsupported, "{}", what).exit(ExitStatus::kCannotSerialize);
}

bool is_text(const Value& value) {
  return value.kind == ValueKind::kScalar && (value.type == ScalarType::kString || value.type == ScalarType::kBytes);
}

bool has_elements(const Value& value) {
  return std::ranges::any_of(value.children, [](const Value& child) { return child.kind != ValueKind::kComment; });
}

bool is_container(const Value& value) {
  return value.kind == ValueKind::kMapping || value.kind == ValueKind::kSequence;
}

// ---- Places ---------------------------------------------------------------------------------------------------------

// A mapping without brackets: the pair inside `[a: b]`.
bool is_bare_pair(const Document& document, const Node& node) {
  return node.kind == NodeKind::kMapping && node.style == NodeStyle::kFlow && node.parent != kNoNode &&
         document.text[node.content] != '{';
}

// An entry `: value` or `?`, whose key is null: nothing that could be encrypted.
bool lacks_key(const Document& document, const Node& node) {
  return document.node(node.parent).kind == NodeKind::kMapping && node.key_span.size() == 0;
}

bool is_block(const Node& node) { return node.is_container() && node.style == NodeStyle::kBlock; }

NodeId last_element(const Document& document, NodeId container) {
  NodeId last = kNoNode;
  for (NodeId id = container + 1; id < document.node(container).next; id = document.node(id).next) {
    if (document.node(id).kind != NodeKind::kComment) last = id;
  }
  return last;
}

NodeId previous_element(const Document& document, NodeId id) {
  NodeId previous = kNoNode;
  for (NodeId other = document.node(id).parent + 1; other < id; other = document.node(other).next) {
    if (document.node(other).kind != NodeKind::kComment) previous = other;
  }
  return previous;
}

NodeId next_element(const Document& document, NodeId id) {
  const NodeId end = document.node(document.node(id).parent).next;
  NodeId next = document.node(id).next;
  while (next < end && document.node(next).kind == NodeKind::kComment) next = document.node(next).next;
  return next < end ? next : kNoNode;
}

// The first position at or behind `at` that is neither blank, break nor comment.
size_t skip_space(std::string_view text, size_t at) {
  while (at < text.size()) {
    if (text[at] == '#') {
      at = line_end(text, at);
    } else if (text[at] == ' ' || text[at] == '\t') {
      ++at;
    } else if (const size_t length = break_length(text, at); length > 0) {
      at += length;
    } else {
      break;
    }
  }
  return at;
}

// The end of the last text in a subtree, comments included.
size_t subtree_end(const Document& document, NodeId id) {
  // SOPS counts a comment at the top of the next document to this one when a blank line follows it (yaml.md 1.3).
  size_t document_end = document.text.size();
  for (const Branch& branch : document.branches) {
    if (branch.root <= id) document_end = branch.text.end;
  }
  size_t end = entry_end(document.node(id));
  for (NodeId inner = id + 1; inner < document.node(id).next; ++inner) {
    const Node& node = document.node(inner);
    if (node.kind == NodeKind::kComment && node.span.begin >= document_end) continue;
    end = std::max(end, entry_end(node));
  }
  return end;
}

// Where the `-` of an item in a block list is.
size_t dash_of(const Document& document, NodeId id) {
  const NodeId previous = previous_element(document, id);
  const size_t from =
      previous == kNoNode ? document.node(document.node(id).parent).content : entry_end(document.node(previous));
  const size_t at = skip_space(document.text, from);
  return at < document.text.size() && document.text[at] == '-' ? at : kNowhere;
}

// Where the `:` behind a key is; kNowhere if the key has none.
size_t colon_of(const Document& document, NodeId id) {
  const size_t at = skip_space(document.text, document.node(id).key_span.end);
  return at < document.text.size() && document.text[at] == ':' ? at : kNowhere;
}

// Behind the `:` or `-` before a value.
size_t indicator_end(const Document& document, NodeId id) {
  const bool is_entry = document.node(document.node(id).parent).kind == NodeKind::kMapping;
  const size_t at = is_entry ? colon_of(document, id) : dash_of(document, id);
  return at == kNowhere ? kNowhere : at + 1;
}

// Where an entry or item begins: at its key or the `?` before it, at its dash.
size_t element_begin(const Document& document, NodeId id) {
  const Node& node = document.node(id);
  const Node& parent = document.node(node.parent);
  const std::string_view text = document.text;
  if (parent.kind == NodeKind::kSequence) return is_block(parent) ? dash_of(document, id) : node.span.begin;
  size_t begin = node.key_span.begin;
  size_t before = begin;
  while (before > 0 && (text[before - 1] == ' ' || text[before - 1] == '\t' || break_length_before(text, before) > 0)) {
    --before;
  }
  const bool question = before > 0 && text[before - 1] == '?' &&
                        (before == 1 || before - 1 == parent.content || before - 1 == parent.span.begin ||
                         std::string_view(" \t\r\n{[,").find(text[before - 2]) != std::string_view::npos);
  return question ? before - 1 : begin;
}

bool starts_line(std::string_view text, size_t at) {
  const size_t start = line_start(text, at);
  return text.substr(start, at - start).find_first_not_of(' ') == std::string_view::npos;
}

// The scalar, alias or empty collection that ends a subtree, if no comment stands behind it.
NodeId last_leaf(const Document& document, NodeId id) {
  NodeId leaf = id;
  while (document.node(leaf).is_container() && is_block(document.node(leaf))) {
    const NodeId last = last_element(document, leaf);
    if (last == kNoNode) break;
    leaf = last;
  }
  return subtree_end(document, id) == entry_end(document.node(leaf)) ? leaf : kNoNode;
}

// True if the line breaks behind a subtree belong to its last literal.
bool keeps_breaks(const Document& document, NodeId id) {
  const NodeId leaf = last_leaf(document, id);
  return leaf != kNoNode && is_block_scalar(document.node(leaf)) && block_header(document, leaf).chomping == '+';
}

// The start of the first line at or behind `at` (a line's start) that is not blank.
size_t skip_blank_lines(std::string_view text, size_t at) {
  while (at < text.size()) {
    size_t end = at;
    while (end < text.size() && text[end] == ' ') ++end;
    const size_t length = break_length(text, end);
    if (length == 0) return end == text.size() ? end : at;
    at = end + length;
  }
  return at;
}

size_t next_line(std::string_view text, size_t at) {
  const size_t end = line_end(text, at);
  return end + break_length(text, end);
}

// The start of the line behind a subtree and the line breaks that belong to it; the end of the text if there is none.
size_t line_behind(const Document& document, NodeId id) {
  const std::string_view text = document.text;
  const size_t next = next_line(text, subtree_end(document, id));
  if (!keeps_breaks(document, id)) return next;
  const size_t at = skip_blank_lines(text, next);
  return at > next && starts_line(text, at) ? line_start(text, at) : at;  // blanks may end the text
}

// The blank lines behind a value, as far as a literal would take them for its own.
struct BlankRun {
  size_t breaks = 0;
  bool has_spaces = false;  // blanks behind a break: more than the literal's indentation would be text
};

BlankRun blank_run(std::string_view text, size_t at) {
  BlankRun run;
  while (at < text.size()) {
    if (const size_t length = break_length(text, at); length > 0) {
      ++run.breaks;
      at += length;
      size_t end = at;
      while (end < text.size() && text[end] == ' ') ++end;
      if (end > at && (end == text.size() || break_length(text, end) > 0)) run.has_spaces = true;
      at = end;
    } else if (text[at] == ' ') {
      ++at;
    } else {
      break;
    }
  }
  return run;
}

// Comments between two positions that are not in the subtree of `id`, which may be kNoNode, in the order of the text.
std::vector<NodeId> foreign_comments(const Document& document, NodeId id, size_t begin, size_t end) {
  std::vector<NodeId> found;
  for (NodeId other = 0; other < document.nodes.size(); ++other) {
    if (other == id) {
      other = document.node(id).next - 1;
      continue;
    }
    const Node& node = document.node(other);
    if (node.kind == NodeKind::kComment && node.span.begin >= begin && node.span.end <= end) found.push_back(other);
  }
  std::ranges::sort(found, {}, [&](NodeId comment) { return document.node(comment).span.begin; });
  return found;
}

// ---- The author's style ---------------------------------------------------------------------------------------------

// How a string is written where SOPS would write plain text; nullopt if it does not tell.
std::optional<StringStyle> quoting_of(std::string_view source, std::string_view text) {
  if (source.empty() || choose_style(text) != StringStyle::kPlain) return std::nullopt;
  if (source.starts_with('"')) return StringStyle::kDoubleQuoted;
  if (source.starts_with('\'')) return StringStyle::kSingleQuoted;
  return StringStyle::kPlain;
}

// The quotes of the values and keys in a container; those of the document where it has none that tell.
struct QuotesView {
  std::optional<StringStyle> values;
  std::optional<StringStyle> keys;
};

QuotesView quotes_near(const Document& document, NodeId container) {
  QuotesView quotes;
  for (NodeId id = container + 1; id < document.node(container).next; id = document.node(id).next) {
    const Node& node = document.node(id);
    if (node.kind == NodeKind::kComment) continue;
    if (node.key_span.size() > 0 && !node.has(kFlagAliasKey)) {
      if (const auto style = quoting_of(document.slice(node.key_span), node.key)) quotes.keys = style;
    }
    if (node.kind != NodeKind::kScalar || node.type != ScalarType::kString || is_block_scalar(node)) continue;
    if (node.content < node.span.begin || node.span.end <= node.content) continue;
    if (const auto style = quoting_of(document.slice(make_span(node.content, node.span.end)), node.text)) {
      quotes.values = style;
    }
  }
  return quotes;
}

// From a block mapping to a block collection under one of its keys; nullopt if `id` is no such collection.
std::optional<size_t> offset_of(const Document& document, NodeId id) {
  const Node& node = document.node(id);
  if (!is_block(node) || node.parent == kNoNode) return std::nullopt;
  const Node& parent = document.node(node.parent);
  if (parent.kind != NodeKind::kMapping || !is_block(parent) || !starts_line(document.text, node.content)) {
    return std::nullopt;
  }
  const size_t column = collection_column(document, node);
  const size_t outer = collection_column(document, parent);
  if (column < outer || column - outer > 9 || (column == outer && node.kind == NodeKind::kMapping)) return std::nullopt;
  return column - outer;
}

// The nearest offset of a collection of this kind: inside the container, its own or those around it, anywhere.
std::optional<size_t> offset_near(const Document& document, NodeId container, NodeKind kind) {
  const auto first_in = [&](NodeId begin, NodeId end) -> std::optional<size_t> {
    for (NodeId id = begin; id < end; ++id) {
      if (document.node(id).kind != kind) continue;
      if (const auto offset = offset_of(document, id)) return offset;
    }
    return std::nullopt;
  };
  if (const auto inside = first_in(container + 1, document.node(container).next)) return inside;
  for (NodeId id = container; id != kNoNode; id = document.node(id).parent) {
    const auto offset = document.node(id).kind == kind ? offset_of(document, id) : std::nullopt;
    if (offset) return offset;
  }
  return first_in(0, static_cast<NodeId>(document.nodes.size()));
}

// The layout of new blocks in `container`, to be completed with a column.
Result<BlockLayout> layout_near(const Document& document, NodeId container, const EmitStyle& style) {
  const size_t configured = TRY(effective_step(style));
  BlockLayout layout{.line_break = file_break(document.text), .keep_types = true};
  const auto mappings = offset_near(document, container, NodeKind::kMapping);
  const auto lists = offset_near(document, container, NodeKind::kSequence);
  if (style.indent) {
    layout.step = configured;
  } else if (mappings) {
    layout.step = *mappings;
  } else {
    layout.step = lists && *lists > 0 ? *lists : configured;
  }
  // A list that stands a step right of its key needs no saying (yaml.md 5.1).
  if (lists && *lists == 0) layout.list_offset = 0;
  if (lists && *lists > 0 && *lists != layout.step && !style.indent) layout.list_offset = *lists;
  const QuotesView quotes = quotes_near(document, container);
  if (quotes.values) layout.quoting.plain_as = *quotes.values;
  if (quotes.keys) layout.plain_keys_as = *quotes.keys;
  return layout;
}

FlowLayout flow_near(const Document& document, NodeId container) {
  const QuotesView quotes = quotes_near(document, container);
  return {.quote_keys = quotes.keys == StringStyle::kDoubleQuoted,
          .keep_types = true,
          .line_break = file_break(document.text),
          .plain_words = !quotes.values || *quotes.values == StringStyle::kPlain};
}

// True if a new collection in `container`, in the place of `replaced` or as a new child, is written in flow style: as
// the one it replaces, else as its last sibling.
bool prefers_flow(const Document& document, NodeId container, NodeId replaced, const Value& value) {
  if (replaced != kNoNode) {
    const Node& old = document.node(replaced);
    if (old.is_container() && first_element(document, replaced) != kNoNode) return old.style == NodeStyle::kFlow;
  }
  const NodeKind kind = value.kind == ValueKind::kSequence ? NodeKind::kSequence : NodeKind::kMapping;
  NodeId model = kNoNode;
  for (NodeId id = container + 1; id < document.node(container).next; id = document.node(id).next) {
    const Node& node = document.node(id);
    if (id == replaced || !node.is_container() || first_element(document, id) == kNoNode) continue;
    if (node.kind == kind || model == kNoNode || document.node(model).kind != kind) model = id;
  }
  return model != kNoNode && document.node(model).style == NodeStyle::kFlow;
}

// True if what ends `value` cannot be a literal before these lines.
bool ends_badly(const Value& value, const BlankRun& behind) {
  const Value* leaf = &value;
  while (is_container(*leaf) && !leaf->children.empty()) leaf = &leaf->children.back();
  if (!is_text(*leaf) || leaf->text.find('\n') == kNowhere) return false;
  if (behind.has_spaces) return true;
  if (!leaf->text.ends_with('\n')) return false;
  const bool keeps_all = leaf->text.size() == 1 || leaf->text.ends_with("\n\n");
  return keeps_all ? behind.breaks != 1 : behind.breaks == 0;
}

// ---- Scalars --------------------------------------------------------------------------------------------------------

// True if `value` under the tag of the node would have another type (editing.md 1.5). A bare `!` gives no type.
bool tag_must_go(const Document& document, const Node& node, const Value& value) {
  if (has_header_comment(node) || find_tag(document, node).size() <= 1) return false;
  if (node.is_container()) {
    return value.kind != (node.kind == NodeKind::kMapping ? ValueKind::kMapping : ValueKind::kSequence);
  }
  if (!node.has(kFlagTypedTag)) return !is_text(value) || !is_utf8(value.text);
  return value.kind != ValueKind::kScalar || is_text(value) || value.type != node.type;
}

// The anchor and the tag of a node, with a blank between them.
std::string kept_properties(const Document& document, const Node& node, bool without_tag) {
  std::string kept;
  for (size_t at = node.span.begin; at < node.content;) {
    at = skip_space(document.text, at);
    if (at >= node.content) break;
    size_t end = at;
    while (end < node.content && document.text[end] != ' ' && document.text[end] != '\t' &&
           break_length(document.text, end) == 0) {
      ++end;
    }
    if (document.text[at] == '&' || !without_tag) {
      if (!kept.empty()) kept += ' ';
      kept += document.text.substr(at, end - at);
    }
    at = end;
  }
  return kept;
}

// What stands before the value of a node: its properties, less the tag if that must go.
void append_head(const Document& document, const Node& node, bool without_tag, SecureBuffer& out) {
  if (!without_tag) {
    out.append(document.slice(make_span(node.span.begin, std::max(node.span.begin, node.content))));
    out.append(gap_before(document, node));
    return;
  }
  const std::string kept = kept_properties(document, node, true);
  out.append(kept);
  if (!kept.empty()) out.append(" ");
}

// A text of several lines before a comment that stays on its line, behind the header (editing.md 1.5). nullopt, and
// nothing written, if it is not that.
std::optional<Span> write_literal_before_comment(const Document& document, NodeId id, const Value& value,
                                                 SecureBuffer& out) {
  const Node& node = document.node(id);
  const size_t comment = comment_behind(document.text, node.span.end);
  if (node.has(kFlagInFlow) || is_block_scalar(node) || node.style == NodeStyle::kDoubleQuoted ||
      comment == document.text.size() || choose_style(value.text) != StringStyle::kLiteral) {
    return std::nullopt;
  }
  const size_t end = line_end(document.text, comment);
  if (ends_badly(value, blank_run(document.text, end))) return std::nullopt;
  const size_t column = collection_column(document, document.node(node.parent));
  const bool is_item = document.node(node.parent).kind == NodeKind::kSequence;
  const size_t step = is_item ? 2 : offset_near(document, node.parent, NodeKind::kMapping).value_or(4);
  append_head(document, node, false, out);
  append_scalar(ScalarType::kString, value.text,
                {.parent_column = column,
                 .text_column = column + step,
                 .line_break = file_break(document.text),
                 .header_comment = document.slice(make_span(node.span.end, end))},
                out);
  return make_span(node.span.begin, end);
}

// A scalar in the place of a scalar or alias. Returns the span that the text in `out` replaces.
Span write_scalar(const Document& document, NodeId id, const Value& value, SecureBuffer& out) {
  const Node& node = document.node(id);
  const bool without_tag = tag_must_go(document, node, value);
  const BlankRun behind = blank_run(document.text, node.span.end);
  const bool keeps_header = is_block_scalar(node) && !behind.has_spaces;  // spell() looks at the breaks itself
  const bool no_literal = !node.has(kFlagInFlow) && !keeps_header && ends_badly(value, behind);
  if (is_text(value) && !without_tag && !no_literal) {
    if (const std::optional<Span> span = write_literal_before_comment(document, id, value, out)) return *span;
    if (node.has(kFlagInFlow) && node.style == NodeStyle::kPlain && is_flow_word(value.text)) {
      append_head(document, node, false, out);
      out.append(value.text);
      return node.span;
    }
    return spell(document, id, {ScalarType::kString, value.text}, false, out);
  }
  if (has_header_comment(node)) {
    if (is_text(value)) {
      append_flow(value, {}, out);
    } else {
      append_typed(value.type, value.text, /*keep_type=*/true, out);
    }
    out.append(" ");
    out.append(header_comment(document, id));
    return make_span(node.content, node.span.end);
  }
  append_head(document, node, without_tag, out);
  if (is_text(value)) {
    append_flow(value, {.plain_words = true}, out);
  } else {
    append_typed(value.type, value.text, /*keep_type=*/true, out);
  }
  return node.span;
}

// ---- Values in block collections ------------------------------------------------------------------------------------

// What a value is replaced by, as text: on the line of its indicator, or as lines below.
struct NewValue {
  SecureBuffer text;
  bool is_block = false;
  bool may_share_line = false;  // a block that may begin behind a dash
};

size_t child_column(const Document& document, NodeId container, const Value& value, const BlockLayout& layout) {
  const size_t column = collection_column(document, document.node(container));
  if (document.node(container).kind == NodeKind::kSequence) return column + 2;
  return column + (value.kind == ValueKind::kSequence ? layout.list_offset.value_or(layout.step) : layout.step);
}

// `value` for a place in the block collection `container`, before these lines.
Result<NewValue> write_value(const Document& document, NodeId container, NodeId replaced, const Value& value,
                             const BlankRun& behind, const EmitStyle& style) {
  NewValue result;
  BlockLayout layout = TRY(layout_near(document, container, style));
  const bool no_literals = ends_badly(value, behind);
  if (is_container(value) && has_elements(value) && !prefers_flow(document, container, replaced, value)) {
    layout.column = child_column(document, container, value, layout);
    layout.quoting.no_literals = no_literals;
    result.is_block = true;
    result.may_share_line =
        document.node(container).kind == NodeKind::kSequence && value.children[0].kind != ValueKind::kComment;
    append_block(value, layout, result.text);
    return result;
  }
  if (is_container(value)) {
    append_flow(value, flow_near(document, container), result.text);
    return result;
  }
  const size_t column = collection_column(document, document.node(container));
  Quoting quoting = layout.quoting;
  quoting.no_literals = no_literals;
  append_scalar(value.type, value.text,
                {.parent_column = column,
                 .text_column = column + (document.node(container).kind == NodeKind::kSequence ? 2 : layout.step),
                 .line_break = layout.line_break,
                 .keep_type = true,
                 .quoting = quoting},
                result.text);
  return result;
}

// Replaces what stands between the indicator of `id` and the end of its last line.
Result<EditList> replace_in_block(const Document& document, NodeId id, const Value& value, const EmitStyle& style) {
  const Node& node = document.node(id);
  const std::string_view text = document.text;
  const std::string_view line_break = file_break(text);
  size_t begin = indicator_end(document, id);
  const size_t value_end = std::max(subtree_end(document, id), begin == kNowhere ? 0 : begin);
  const size_t end = line_end(text, value_end);
  NewValue fresh = TRY(write_value(document, node.parent, id, value, blank_run(text, end), style));

  SecureBuffer out;
  if (begin == kNowhere) {  // `? key` alone
    if (document.node(node.parent).kind != NodeKind::kMapping) return unsupported("an item without a dash");
    begin = end;
    out.append(line_break);
    out.append(collection_column(document, document.node(node.parent)), ' ');
    out.append(":");
  }
  const std::string properties = kept_properties(document, node, tag_must_go(document, node, value));
  if (!properties.empty()) {
    out.append(" ");
    out.append(properties);
  }
  if (!fresh.is_block) {
    out.append(" ");
    out.append(fresh.text.view());
  }

  // Comments that are not the value's: one on the line of the indicator, all others on lines of their own.
  bool line_is_free = true;
  const auto append_comment_text = [&](Span comment) {
    size_t from = comment.begin;
    if (line_is_free && !starts_line(text, from)) {
      while (from > 0 && (text[from - 1] == ' ' || text[from - 1] == '\t')) --from;
      if (from == comment.begin) out.append(" ");
    } else {
      const size_t column =
          starts_line(text, from) ? column_of(text, from) : child_column(document, node.parent, value, {});
      out.append(line_break);
      out.append(column, ' ');
      from = comment.begin;
    }
    out.append(document.slice(make_span(from, comment.end)));
    line_is_free = false;
  };
  for (const NodeId comment : foreign_comments(document, is_block(node) ? id : kNoNode, begin, end)) {
    const Span span = document.node(comment).span;
    const bool inside = span.begin >= node.span.begin && span.end <= node.span.end;
    if (is_block(node) || !inside) append_comment_text(span);
  }

  if (fresh.is_block) {
    if (fresh.may_share_line && line_is_free && properties.empty()) {
      out.append(" ");
    } else {
      BlockLayout layout = TRY(layout_near(document, node.parent, style));
      out.append(line_break);
      out.append(child_column(document, node.parent, value, layout), ' ');
    }
    out.append(fresh.text.view());
  }
  EditList edits;
  edits.add(make_span(begin, end), out.view());
  return edits;
}

// ---- Roots ----------------------------------------------------------------------------------------------------------

size_t branch_of(const Document& document, NodeId root) {
  for (size_t i = 0; i < document.branches.size(); ++i) {
    if (document.branches[i].root == root) return i;
  }
  return 0;
}

// A mapping in the place of a root without entries: where reserve_metadata would put its entry (in-place.md 4).
Result<EditList> fill_empty_root(const Document& document, NodeId id, const Value& value, const EmitStyle& style) {
  const Node& root = document.node(id);
  const Branch& branch = document.branches[branch_of(document, id)];
  const std::string_view text = document.text;
  BlockLayout layout = TRY(layout_near(document, id, style));
  SecureBuffer out;
  EditList edits;
  if (root.style == NodeStyle::kAbsent) {
    const size_t at = branch.text.end;
    const bool fresh_line = at == line_start(text, at);
    if (!fresh_line) out.append(layout.line_break);
    layout.quoting.no_literals = ends_badly(value, fresh_line ? BlankRun{.breaks = 1} : blank_run(text, at));
    append_block(value, layout, out);
    if (fresh_line) out.append(layout.line_break);
    edits.add(make_span(at, at), out.view());
    return edits;
  }
  const size_t behind = skip_blanks(text, root.span.end);
  if (root.content == root.span.begin && has_own_line(document, root)) {
    layout.column = column_of(text, root.span.begin);
    layout.quoting.no_literals = ends_badly(value, blank_run(text, behind));
    append_block(value, layout, out);
    edits.add(make_span(root.span.begin, behind), out.view());
    return edits;
  }
  out.append(document.slice(make_span(root.span.begin, root.content)));
  append_flow(value, flow_near(document, id), out);
  edits.add(root.span, out.view());
  return edits;
}

Result<EditList> replace_root(const Document& document, NodeId id, const Value& value, const EmitStyle& style) {
  const Node& root = document.node(id);
  if (value.kind != ValueKind::kMapping) return unsupported("a YAML file must be a mapping");
  if (first_element(document, id) == kNoNode) return fill_empty_root(document, id, value, style);
  EditList edits;
  SecureBuffer out;
  if (root.style == NodeStyle::kFlow) {
    append_flow(value, flow_near(document, id), out);
    edits.add(make_span(root.content, root.span.end), out.view());
    return edits;
  }
  const std::string_view text = document.text;
  size_t begin = element_begin(document, first_element(document, id));
  for (NodeId inner = id + 1; inner < root.next; ++inner) {
    if (document.node(inner).kind == NodeKind::kComment)
      begin = std::min<size_t>(begin, document.node(inner).span.begin);
  }
  BlockLayout layout = TRY(layout_near(document, id, style));
  const size_t end = line_end(text, subtree_end(document, id));
  layout.quoting.no_literals = ends_badly(value, blank_run(text, end));
  if (starts_line(text, begin)) {
    layout.column = collection_column(document, root);
    begin = line_start(text, begin);
    out.append(layout.column, ' ');
  } else {
    out.append(layout.line_break);
  }
  append_block(value, layout, out);
  edits.add(make_span(begin, end), out.view());
  return edits;
}

// ---- Appending ------------------------------------------------------------------------------------------------------

// A container that holds a copy of `child`.
Value wrapped(NodeKind kind, const Value& child) {
  Value container = kind == NodeKind::kMapping ? Value::mapping() : Value::sequence();
  container.children.push_back(child);
  return container;
}

Result<EditList> append_to_block(const Document& document, NodeId container, const Value& child,
                                 const EmitStyle& style) {
  const Node& node = document.node(container);
  const std::string_view text = document.text;
  BlockLayout layout = TRY(layout_near(document, container, style));
  layout.column = collection_column(document, node);
  EditList edits;
  const size_t at = line_behind(document, container);
  const bool fresh_line = break_length_before(text, at) > 0;
  const NodeId leaf = last_leaf(document, container);
  if (!fresh_line && leaf != kNoNode && is_block_scalar(document.node(leaf))) {
    // A literal that ends the text without a line break: what a `-` in its header says from now on.
    const BlockHeader header = block_header(document, leaf);
    const size_t indicators = document.node(leaf).content + 1;
    const size_t plus = text.substr(0, header.end).find('+', indicators);
    if (plus != kNowhere) {
      edits.add(make_span(plus, plus + 1), "-");
    } else if (header.chomping == 0) {
      edits.add(make_span(header.end, header.end), "-");
    }
  }
  SecureBuffer out;
  if (!fresh_line) out.append(layout.line_break);
  out.append(layout.column, ' ');
  BlankRun behind = blank_run(text, at);
  if (fresh_line) ++behind.breaks;
  const bool in_flow = is_container(child) && has_elements(child) && prefers_flow(document, container, kNoNode, child);
  if (in_flow) {
    if (node.kind == NodeKind::kSequence) {
      out.append("- ");
    } else {
      Value key_only = wrapped(node.kind, Value::mapping());
      key_only.children[0].key = child.key;
      SecureBuffer key;
      append_block(key_only, layout, key);
      out.append(key.view().substr(0, key.size() - 2));  // without the `{}`
    }
    append_flow(child, flow_near(document, container), out);
  } else {
    layout.quoting.no_literals = ends_badly(child, behind);
    append_block(wrapped(node.kind, child), layout, out);
  }
  if (fresh_line) out.append(layout.line_break);
  edits.add(make_span(at, at), out.view());
  return edits;
}

void append_flow_child(const Document& document, NodeId container, const Value& child, SecureBuffer& out) {
  const FlowLayout layout = flow_near(document, container);
  if (document.node(container).kind == NodeKind::kMapping) {
    append_flow_key(child.key, layout.quote_keys, out);
    out.append(": ");
  }
  append_flow(child, layout, out);
}

Result<EditList> append_to_flow(const Document& document, NodeId container, const Value& child) {
  const Node& node = document.node(container);
  const std::string_view text = document.text;
  const NodeId last = last_element(document, container);
  const size_t close = node.span.end - 1;
  SecureBuffer fresh;
  append_flow_child(document, container, child, fresh);
  SecureBuffer out;
  EditList edits;
  if (is_bare_pair(document, node)) {  // gets its braces
    out.append(text[close] == ':' ? " , " : ", ");
    out.append(fresh.view());
    out.append("}");
    edits.add(make_span(node.span.begin, node.span.begin), "{");
    edits.add(make_span(node.span.end, node.span.end), out.view());
    return edits;
  }
  if (last == kNoNode) {
    // A comment inside the brackets reaches to the end of its line.
    const bool comments = text.substr(node.content, close - node.content).find('#') != kNowhere;
    const size_t at = comments ? line_start(text, close) : node.content + 1;
    out.append(fresh.view());
    if (comments) out.append(file_break(text));
    edits.add(make_span(at, comments ? at : close), out.view());
    return edits;
  }
  const FlowEnd end = find_flow_end(text, entry_end(document.node(last)));
  const size_t begin = element_begin(document, last);
  const size_t behind = end.comma != 0 ? end.comma + 1 : end.entry_end;
  const size_t rest = skip_blanks(text, behind);
  const bool line_ends = break_length(text, rest) > 0 || (rest < text.size() && text[rest] == '#');
  if (end.comma == 0) {
    const bool colon = text[end.entry_end - 1] == ':';  // directly behind a `:` a comma would be text
    edits.add(make_span(end.entry_end, end.entry_end), colon ? " ," : ",");
  }
  if (line_ends && (starts_line(text, begin) || text[rest] == '#')) {
    const size_t at = line_end(text, rest);
    out.append(file_break(text));
    const size_t column = starts_line(text, begin) ? column_of(text, begin) : column_of(text, node.content) + 1;
    out.append(column, ' ');
    out.append(fresh.view());
    if (end.comma != 0) out.append(",");
    edits.add(make_span(at, at), out.view());
    return edits;
  }
  out.append(" ");
  out.append(fresh.view());
  if (end.comma != 0) out.append(",");
  edits.add(make_span(behind, behind), out.view());
  return edits;
}

// ---- Removing -------------------------------------------------------------------------------------------------------

// True if the entry or item directly below is a literal that takes line breaks behind it as its own; of any that is not
// `-`, a literal needs at least one.
enum class Takes { kAllBreaks, kOneBreak };
bool follows_literal(const Document& document, NodeId id, Takes takes) {
  const NodeId previous = previous_element(document, id);
  const NodeId leaf = previous == kNoNode ? kNoNode : last_leaf(document, previous);
  if (leaf == kNoNode || !is_block_scalar(document.node(leaf))) return false;
  const size_t end = entry_end(document.node(leaf));
  if (document.text.substr(end, element_begin(document, id) - end).find('#') != kNowhere) return false;
  const char chomping = block_header(document, leaf).chomping;
  return takes == Takes::kAllBreaks ? chomping == '+' : chomping != '-';
}

// Removes [begin, end) but for comments on lines of their own that are not in the subtree of `id`; `instead` is put at
// its beginning.
void remove_but_comments(const Document& document, NodeId id, size_t begin, size_t end, std::string_view instead,
                         EditList& edits) {
  const std::string_view text = document.text;
  size_t at = begin;
  bool first = true;
  for (const NodeId comment : foreign_comments(document, id, begin, end)) {
    const Span span = document.node(comment).span;
    if (!starts_line(text, span.begin)) continue;
    const size_t line = std::max(line_start(text, span.begin), begin);
    edits.add(
        make_span(at, line),
        first ? std::string(instead) + std::string(line > begin && !instead.empty() ? file_break(text) : "") : "");
    first = false;
    at = std::min(next_line(text, span.end), end);
  }
  if (at < end || first) edits.add(make_span(at, end), first ? instead : "");
}

// Removes the lines of an entry or item that starts its line.
void remove_lines(const Document& document, NodeId id, EditList& edits) {
  const std::string_view text = document.text;
  size_t begin = line_start(text, element_begin(document, id));
  size_t end = line_behind(document, id);
  if (follows_literal(document, id, Takes::kAllBreaks)) end = skip_blank_lines(text, end);
  if (end == text.size() && break_length_before(text, end) == 0 && !follows_literal(document, id, Takes::kOneBreak)) {
    begin -= break_length_before(text, begin);  // the last line has no break: neither has the one before, from now on
  }
  remove_but_comments(document, id, begin, end, "", edits);
}

// The only entry or item of a block collection goes: `{}` or `[]` takes its place (editing.md 1.3).
Result<EditList> empty_block(const Document& document, NodeId id) {
  const std::string_view text = document.text;
  const NodeId container = document.node(id).parent;
  const Node& node = document.node(container);
  const std::string_view brackets = node.kind == NodeKind::kMapping ? "{}" : "[]";
  const size_t begin = element_begin(document, id);
  EditList edits;
  if (node.parent == kNoNode || !starts_line(text, begin)) {
    remove_but_comments(document, id, begin, line_end(text, subtree_end(document, id)), brackets, edits);
    return edits;
  }
  size_t at = indicator_end(document, container);
  if (at == kNowhere) return unsupported("a collection without indicator");
  for (size_t property = node.span.begin; property < node.content;) {
    property = skip_space(text, property);
    if (property >= node.content) break;
    while (property < node.content && text[property] != ' ' && text[property] != '\t' &&
           break_length(text, property) == 0) {
      ++property;
    }
    at = property;
  }
  edits.add(make_span(at, at), std::string(" ") + std::string(brackets));
  remove_lines(document, id, edits);
  return edits;
}

Result<EditList> remove_from_block(const Document& document, NodeId id) {
  const NodeId previous = previous_element(document, id);
  const NodeId next = next_element(document, id);
  const size_t begin = element_begin(document, id);
  if (begin == kNowhere) return unsupported("an item without a dash");
  if (previous == kNoNode && next == kNoNode) return empty_block(document, id);
  EditList edits;
  if (starts_line(document.text, begin)) {
    remove_lines(document, id, edits);
    return edits;
  }
  // On the line of a dash: what comes next moves up.
  if (next == kNoNode || previous != kNoNode) return unsupported("an entry in the middle of a line");
  size_t end = element_begin(document, next);
  for (const NodeId comment : foreign_comments(document, id, begin, end)) {
    const size_t at = document.node(comment).span.begin;
    if (starts_line(document.text, at)) end = std::min(end, at);
  }
  edits.add(make_span(begin, end), "");
  return edits;
}

Result<EditList> remove_from_flow(const Document& document, NodeId id) {
  const std::string_view text = document.text;
  const Node& node = document.node(id);
  const Node& container = document.node(node.parent);
  EditList edits;
  if (is_bare_pair(document, container)) {
    edits.add(container.span, "{}");
    return edits;
  }
  const NodeId previous = previous_element(document, id);
  const NodeId next = next_element(document, id);
  const size_t begin = element_begin(document, id);
  const size_t end = entry_end(node);
  const size_t comma = find_flow_end(text, end).comma;
  const size_t end_with_comma = comma != 0 ? comma + 1 : end;
  const auto has_comments = [&](size_t from, size_t to) { return !foreign_comments(document, id, from, to).empty(); };
  const auto remove_comma_before = [&] {
    const size_t before = find_flow_end(text, entry_end(document.node(previous))).comma;
    if (before != 0) edits.add(make_span(before, before + 1), "");
  };

  if (previous == kNoNode && next == kNoNode) {
    const size_t inside = container.content + 1;
    const size_t close = container.span.end - 1;
    edits.add(has_comments(inside, close) ? make_span(begin, end_with_comma) : make_span(inside, close), "");
    return edits;
  }
  const size_t behind = skip_blanks(text, end_with_comma);
  const bool own_lines =
      starts_line(text, begin) && (break_length(text, behind) > 0 || (behind < text.size() && text[behind] == '#'));
  if (own_lines) {
    if (comma == 0) remove_comma_before();
    remove_but_comments(document, id, line_start(text, begin), next_line(text, end_with_comma), "", edits);
  } else if (previous == kNoNode) {
    const size_t to = element_begin(document, next);
    edits.add(make_span(begin, has_comments(begin, to) ? end_with_comma : to), "");
  } else if (const size_t from = entry_end(document.node(previous)); !has_comments(from, end)) {
    edits.add(make_span(from, end), "");
  } else {
    if (comma == 0) remove_comma_before();
    edits.add(make_span(begin, end_with_comma), "");
  }
  return edits;
}

}  // namespace

Result<EditList> replace_node(const Document& document, NodeId id, const Value& value, const EmitStyle& style) {
  const Node& node = document.node(id);
  if (value.kind == ValueKind::kComment) return unsupported("a comment is no value");
  if (node.parent == kNoNode) return replace_root(document, id, value, style);
  if (lacks_key(document, node)) return unsupported("an entry without a key");
  const bool is_scalar = !node.is_container() && value.kind == ValueKind::kScalar;
  EditList edits;
  SecureBuffer out;
  if (node.has(kFlagInFlow)) {
    if (is_scalar) {
      const Span span = write_scalar(document, id, value, out);
      edits.add(span, out.view());
      return edits;
    }
    const std::string properties = kept_properties(document, node, tag_must_go(document, node, value));
    out.append(properties);
    out.append(properties.empty() ? gap_before(document, node) : " ");
    append_flow(value, flow_near(document, node.parent), out);
    edits.add(node.span, out.view());
    return edits;
  }
  if (is_scalar && indicator_end(document, id) != kNowhere) {
    const Span span = write_scalar(document, id, value, out);
    edits.add(span, out.view());
    return edits;
  }
  return replace_in_block(document, id, value, style);
}

Result<EditList> append_child(const Document& document, NodeId container, const Value& child, const EmitStyle& style) {
  const Node& node = document.node(container);
  SOPS_CHECK(node.is_container(), "only mappings and lists have children");
  if (child.kind == ValueKind::kComment) return unsupported("a comment is no value");
  const bool is_empty = first_element(document, container) == kNoNode;
  if (node.parent == kNoNode && is_empty) {
    return fill_empty_root(document, container, wrapped(node.kind, child), style);
  }
  if (is_block(node)) return append_to_block(document, container, child, style);
  if (is_empty && !node.has(kFlagInFlow)) {
    return replace_in_block(document, container, wrapped(node.kind, child), style);
  }
  return append_to_flow(document, container, child);
}

Result<EditList> remove_child(const Document& document, NodeId id) {
  const Node& node = document.node(id);
  SOPS_CHECK(node.parent != kNoNode, "the root is no child");
  const Node& container = document.node(node.parent);
  if (lacks_key(document, node)) return unsupported("an entry without a key");
  return is_block(container) ? remove_from_block(document, id) : remove_from_flow(document, id);
}

}  // namespace sops::yaml
