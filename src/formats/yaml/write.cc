// SPDX-License-Identifier: MPL-2.0
//
// Rules are quoted from the behaviour specification: in-place.md (which shapes SOPS reads), yaml.md 5 (its spelling),
// format.md 5C (metadata). What a Node's span covers is written in scan.h.
#include "formats/yaml/write.h"

#include <algorithm>
#include <string>
#include <vector>

#include "formats/yaml/emit.h"
#include "formats/yaml/places.h"
#include "formats/yaml/scan.h"

namespace sops::yaml {

namespace {

constexpr std::string_view kMetadataKey = "sops";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// The content lines of a block scalar: from the first character below the header to the end of the last line. Without
/// content, empty and at the end of the header's line.
struct BlockContent {
  Span lines;
  bool empty;
};

BlockContent block_content(const Document& document, NodeId id) {
  const Node& node = document.node(id);
  const size_t header_end = block_header(document, id).end;
  if (has_header_comment(node)) return {node.span, node.span.size() == 0};
  const size_t end = line_end(document.text, header_end);
  if (node.span.end <= header_end) return {make_span(end, end), true};
  return {make_span(end + break_length(document.text, end), node.span.end), false};
}

/// Line breaks that would stay in the value of a block scalar, behind the ciphertext that takes its place: LS and PS
/// are not made into line feeds (YAML 1.1, 5.4).
struct KeptBreaks {
  size_t end = 0;    // of the last such break
  size_t count = 0;  // of all breaks up to there
};

KeptBreaks kept_breaks(const Document& document, NodeId id, size_t at) {
  constexpr size_t kSeparatorSize = 3;  // of LS and PS, U+2028 and U+2029, in UTF-8
  const char chomping = block_header(document, id).chomping;
  KeptBreaks kept{.end = at};
  if (chomping == '-') return kept;
  size_t count = 0;
  for (size_t i = at; i < document.text.size();) {
    const size_t length = break_length(document.text, i);
    if (length == 0 && document.text[i] != ' ') break;
    i += std::max<size_t>(length, 1);
    if (length > 0) ++count;
    if (length == kSeparatorSize) kept = {.end = i, .count = count};
    if (count > 0 && chomping != '+') break;  // only the first one is kept
  }
  return kept;
}

// ---- The metadata entry and its surroundings ----------------------------------------------------------------------

/// The step of new text in a file: that of the metadata entry, or without one that of the first block; 4 where they
/// show none.
size_t metadata_step(const Document& document) {
  constexpr size_t kDefault = 4;
  if (document.branches.empty()) return kDefault;
  if (document.branches[0].metadata == kNoNode) return file_step(document, kDefault);
  const Node& entry = document.node(document.branches[0].metadata);
  if (entry.kind != NodeKind::kMapping || entry.style != NodeStyle::kBlock) return kDefault;
  const size_t root = collection_column(document, document.node(entry.parent));
  const size_t column = collection_column(document, entry);
  return column > root && column - root <= 9 ? column - root : kDefault;
}

/// True if nothing but blank lines stands between `at` and a metadata entry whose removal takes the break before it
/// along.
bool loses_its_break(const Document& document, size_t at) {
  const std::string_view text = document.text;
  if (document.branches.empty() || break_length_before(text, text.size()) > 0) return false;
  const Branch& last = document.branches.back();
  if (last.metadata == kNoNode || document.node(last.root).style != NodeStyle::kBlock) return false;
  const size_t line = line_start(text, document.node(last.metadata).key_span.begin);
  if (at >= line) return false;
  const NodeId entry = last.metadata;
  if (line_end(text, document.node(entry).span.end) != text.size()) return false;
  return text.substr(at, line - at).find_first_not_of(" \t\r\n") == std::string_view::npos;
}

/// Number of breaks in the blank run behind `at`, counted as they will be once the metadata is gone.
size_t breaks_behind(const Document& document, size_t at) {
  const std::string_view text = document.text;
  size_t count = 0;
  for (size_t i = at; i < text.size();) {
    if (const size_t length = break_length(text, i); length > 0) {
      ++count;
      i += length;
    } else if (text[i] == ' ') {
      ++i;
    } else {
      break;
    }
  }
  return count > 0 && loses_its_break(document, at) ? count - 1 : count;
}

// ---- Strings ------------------------------------------------------------------------------------------------------

struct SplitText {
  std::string_view body;  // without the line feeds at the end
  size_t line_feeds = 0;  // at the end
};

SplitText split_end(std::string_view text) {
  const size_t last = text.find_last_not_of('\n');
  const size_t size = last == std::string_view::npos ? 0 : last + 1;
  return {text.substr(0, size), text.size() - size};
}

/// True if the header's chomping, with `breaks` line breaks behind the text, gives exactly `line_feeds` at its end.
bool chomping_fits(char chomping, size_t line_feeds, size_t breaks) {
  if (chomping == '-') return line_feeds == 0;
  if (chomping == '+') return line_feeds == breaks;
  return line_feeds == std::min<size_t>(breaks, 1);
}

bool has_foreign_break(std::string_view text) {
  return text.find('\r') != std::string_view::npos || text.find("\xc2\x85") != std::string_view::npos;
}

/// True if a block scalar with this header shows `body` when its lines are written by append_literal_lines or
/// append_folded_lines.
bool header_holds(const BlockHeader& header, std::string_view body, const TextFacts& facts) {
  if (body.empty() || facts.unprintable || has_foreign_break(body)) return false;
  if (facts.other_break) {
    if (header.style == '>' || break_length(body, 0) > 0 || break_length_before(body, body.size()) > 0) return false;
  }
  if (header.digit > 0) return true;
  // Without a digit the first line that is not empty tells the indentation.
  const char first = body[body.find_first_not_of('\n')];
  return first != ' ' && first != '\t';
}

/// The lines of a folded scalar that shows `body`. Between two lines that start with text, folding turns one break into
/// a space and takes one off several; beside a line that starts with a blank every break counts (YAML 1.1, 9.6).
void append_folded_lines(std::string_view body, size_t indentation, std::string_view line_break, SecureBuffer& out) {
  const auto starts_blank = [&](size_t at) { return body[at] == ' ' || body[at] == '\t'; };
  bool folds = false;  // the line before starts with text
  for (size_t at = 0; at < body.size();) {
    const size_t line = body.find_first_not_of('\n', at);
    size_t breaks = line - at;
    if (folds && !starts_blank(line)) ++breaks;
    folds = !starts_blank(line);
    while (breaks-- > 0) out.append(line_break);
    const size_t end = std::min(body.find('\n', line), body.size());
    out.append(indentation, ' ');
    out.append(body.substr(line, end - line));
    at = end;
  }
}

/// Writes `text` under the header that stands in the document; nullopt, and nothing written, if it cannot hold the
/// text.
std::optional<Span> keep_header(const Document& document, NodeId id, std::string_view text, SecureBuffer& out) {
  const Node& node = document.node(id);
  const BlockHeader header = block_header(document, id);
  const BlockContent content = block_content(document, id);
  if (content.empty) return std::nullopt;
  const auto [body, line_feeds] = split_end(text);
  const size_t breaks = breaks_behind(document, node.span.end);
  const std::string_view above = document.slice(make_span(node.span.begin, content.lines.begin));

  if (body.empty()) {  // nothing but empty lines: take the line of the ciphertext out, with the break before it
    if (header.chomping != '+' || line_feeds == 0 || line_feeds + 1 != breaks) return std::nullopt;
    const size_t removed = break_length_before(document.text, content.lines.begin);
    if (above.empty()) return make_span(content.lines.begin - removed, content.lines.end);
    out.append(above.substr(0, above.size() - removed));
    return node.span;
  }
  if (!chomping_fits(header.chomping, line_feeds, breaks) || !header_holds(header, body, examine(text)))
    return std::nullopt;

  out.append(above);
  const size_t indentation = block_indentation(document, id);
  const std::string_view line_break = file_break(document.text);
  if (node.style == NodeStyle::kLiteral) {
    append_literal_lines(body, indentation, line_break, out);
  } else {
    append_folded_lines(body, indentation, line_break, out);
  }
  return node.span;
}

/// Where SOPS puts the lines of a literal in the place of a node, and what it needs to know of the surroundings.
ScalarPlace sops_place(const Document& document, const Node& node) {
  ScalarPlace place{.line_break = file_break(document.text)};
  if (node.parent == kNoNode) return place;
  const Node& parent = document.node(node.parent);
  place.parent_column = collection_column(document, parent);
  place.text_column = parent.kind == NodeKind::kSequence ? place.parent_column + 2
                                                         : next_column(place.parent_column, metadata_step(document));
  return place;
}

/// True if nothing follows a node on its line: further lines may be added to it.
bool ends_its_line(const Document& document, const Node& node) {
  return node.span.end == document.text.size() || break_length(document.text, node.span.end) > 0;
}

/// A string as SOPS spells it, in the place of the whole node; in flow in double quotes.
Span spell_as_sops(const Document& document, NodeId id, std::string_view text, SecureBuffer& out) {
  const Node& node = document.node(id);
  out.append(document.slice(make_span(node.span.begin, std::max(node.span.begin, node.content))));
  out.append(gap_before(document, node));
  if (node.has(kFlagInFlow)) {
    append_double_quoted(text, Escaping::kMinimal, out);
    return node.span;
  }

  StringStyle style = choose_style(text);
  const bool quoted_for_type = style == StringStyle::kDoubleQuoted || style == StringStyle::kMergeTag;
  if (quoted_for_type && has_string_tag(document, node) && plain_is_possible(text)) {
    const TextFacts facts = examine(text);  // under a tag no spelling can be taken for a number
    if (!facts.special && !facts.tab && !facts.any_break) style = StringStyle::kPlain;
  }
  // Most values are short and plain, and stand where they stood.
  const bool stays = style == StringStyle::kPlain || style == StringStyle::kDoubleQuoted;
  ScalarPlace place = stays ? ScalarPlace{} : sops_place(document, node);
  Span span = node.span;
  SecureBuffer comment;
  if (has_header_comment(node)) {
    comment.append(" ");
    comment.append(header_comment(document, id));
    place.header_comment = comment.view();
    span.begin = node.content;
  }
  if (style == StringStyle::kLiteral) {
    // Its lines would come before what follows the node on its line. The text's last line feed is the break behind the
    // node; a header with `+` takes all that follow too.
    const auto [body, line_feeds] = split_end(text);
    const size_t breaks = breaks_behind(document, node.span.end);
    const bool keeps_all = body.empty() || line_feeds > 1;
    const bool ends_well = line_feeds == 0 || (keeps_all ? breaks == 1 : breaks > 0);
    if (!ends_its_line(document, node) || !ends_well) style = StringStyle::kDoubleQuoted;
  }
  switch (style) {
    case StringStyle::kPlain:
      out.append(text);
      break;
    case StringStyle::kDoubleQuoted:
      append_double_quoted(text, Escaping::kAsSops, out);
      break;
    default:
      append_scalar(ScalarType::kString, text, place, out);
      return span;
  }
  out.append(place.header_comment);
  return span;
}

/// A string that is not UTF-8: `!!binary` in the place of any other tag.
Span spell_binary(const Document& document, NodeId id, std::string_view bytes, SecureBuffer& out) {
  constexpr std::string_view kTag = "!!binary";
  const Node& node = document.node(id);
  ScalarPlace place = sops_place(document, node);
  SecureBuffer value;
  if (has_header_comment(node)) {  // the header cannot be replaced without its comment
    SecureBuffer comment;
    comment.append(" ");
    comment.append(header_comment(document, id));
    place.header_comment = comment.view();
    append_scalar(ScalarType::kString, bytes, place, out);
    return make_span(node.content, node.span.end);
  }
  if (node.has(kFlagInFlow) || !ends_its_line(document, node)) {
    append_flow(Value::string(bytes), {}, value);
  } else {
    append_scalar(ScalarType::kString, bytes, place, value);
  }
  if (node.content == node.span.begin) out.append(gap_before(document, node));
  append_properties(document, node, kTag, out);
  out.append(value.view().substr(kTag.size() + 1));
  return node.span;
}

Span spell_string(const Document& document, NodeId id, std::string_view text, SecureBuffer& out) {
  const Node& node = document.node(id);
  if (!is_utf8(text)) return spell_binary(document, id, text, out);
  if (is_block_scalar(node)) {
    if (const std::optional<Span> kept = keep_header(document, id, text, out)) return *kept;
    return spell_as_sops(document, id, text, out);
  }
  const std::string_view properties = document.slice(make_span(node.span.begin, node.content));
  if (node.style == NodeStyle::kDoubleQuoted) {
    out.append(properties);
    append_double_quoted(text, Escaping::kMinimal, out);
    return node.span;
  }
  if (node.style == NodeStyle::kSingleQuoted) {
    const TextFacts facts = examine(text);
    if (!facts.unprintable && !facts.any_break) {
      out.append(properties);
      append_single_quoted(text, 0, out);
      return node.span;
    }
  }
  return spell_as_sops(document, id, text, out);
}

/// The tag that gives a scalar its type.
std::string_view tag_of(ScalarType type) {
  switch (type) {
    case ScalarType::kNull:
      return "!!null";
    case ScalarType::kBool:
      return "!!bool";
    case ScalarType::kInt:
    case ScalarType::kUnsigned:
      return "!!int";
    case ScalarType::kFloat:
      return "!!float";
    case ScalarType::kTime:
      return "!!timestamp";
    default:
      return "!!str";
  }
}

Span spell_typed(const Document& document, NodeId id, const TypedText& value, SecureBuffer& out) {
  const Node& node = document.node(id);
  if (has_header_comment(node)) {
    append_typed(value.type, value.text, false, out);
    out.append(" ");
    out.append(header_comment(document, id));
    return make_span(node.content, node.span.end);
  }
  if (has_string_tag(document, node)) {
    append_properties(document, node, tag_of(value.type), out);
  } else {
    out.append(document.slice(make_span(node.span.begin, node.content)));
    out.append(gap_before(document, node));
  }
  append_typed(value.type, value.text, false, out);
  return node.span;
}

/// True if the list at `id` holds nothing but encrypted comments in the form of items (format.md 4.8).
bool holds_only_comment_items(const Document& document, NodeId list) {
  for (NodeId id = list + 1; id < document.node(list).next; id = document.node(id).next) {
    const Node& node = document.node(id);
    if (node.kind == NodeKind::kComment) continue;
    if (node.kind != NodeKind::kScalar || !document.slice(node.span).ends_with(",type:comment]")) return false;
  }
  return true;
}

/// `- ENC[…,type:comment]` becomes `#…` where its dash is. A list of nothing else becomes `[]` with the comments below,
/// as SOPS prints it (yaml.md 5.5).
Span spell_comment_item(const Document& document, NodeId id, std::string_view text, SecureBuffer& out) {
  const Node& node = document.node(id);
  const std::string_view line_break = file_break(document.text);
  const Node& list = document.node(node.parent);
  size_t dash = node.span.begin;
  while (dash > 0 && (document.text[dash - 1] == ' ' || document.text[dash - 1] == '\t')) --dash;
  if (dash == 0 || document.text[dash - 1] != '-') {  // not on the line of its dash: a comment cannot stand for it
    append_comment(text, line_break, out);
    return node.span;
  }
  --dash;
  if (list.parent == kNoNode || !holds_only_comment_items(document, node.parent)) {
    append_comment(text, line_break, out);
    return make_span(dash, node.span.end);
  }

  // The list is gone with its items: `[]` behind the key or dash of the list, every comment on a line below.
  const Node& outer = document.node(list.parent);
  const size_t column = collection_column(document, outer);
  const std::string_view document_text = document.text;
  size_t begin = line_start(document_text, dash);
  if (first_element(document, node.parent) == id) {
    size_t before = dash;
    while (before > 0 && (document_text[before - 1] == ' ' || break_length_before(document_text, before) > 0)) {
      before -= std::max<size_t>(break_length_before(document_text, before), 1);
    }
    if (before == 0 || (document_text[before - 1] != ':' && document_text[before - 1] != '-')) {
      append_comment(text, line_break, out);
      return make_span(dash, node.span.end);
    }
    begin = before;
    out.append(" []");
    out.append(line_break);
  }
  out.append(column, ' ');
  append_comment(text, line_break, out);
  return make_span(begin, node.span.end);
}

}  // namespace

Span place(const Document& document, NodeId id, std::string_view ciphertext, SecureBuffer& out) {
  const Node& node = document.node(id);
  if (node.kind == NodeKind::kComment) {
    out.append("#");
    out.append(ciphertext);
    return node.span;
  }
  const bool replace_tag = node.has(kFlagTypedTag) && !has_header_comment(node);
  if (is_block_scalar(node)) {
    const BlockContent content = block_content(document, id);
    if (replace_tag) {
      append_properties(document, node, "!!str", out);
      out.append(document.slice(make_span(node.content, content.lines.begin)));
    }
    // Without content the ciphertext gets a line directly below the header: the empty lines stay behind it.
    if (content.empty) out.append(file_break(document.text));
    out.append(block_indentation(document, id), ' ');
    out.append(ciphertext);
    const KeptBreaks kept = kept_breaks(document, id, content.lines.end);
    for (size_t i = 0; i < kept.count; ++i) out.append(file_break(document.text));
    return make_span(replace_tag ? node.span.begin : content.lines.begin, kept.end);
  }

  if (replace_tag) {
    append_properties(document, node, "!!str", out);
  } else {
    out.append(gap_before(document, node));
  }
  std::string_view quote = "";
  if (node.style == NodeStyle::kSingleQuoted) {
    quote = "'";
  } else if (node.style == NodeStyle::kDoubleQuoted || node.has(kFlagInFlow)) {
    quote = "\"";  // SOPS cannot read a plain ciphertext in a flow collection (in-place.md 1)
  }
  out.append(quote);
  out.append(ciphertext);
  out.append(quote);
  if (replace_tag) return node.span;
  return make_span(node.content, node.span.end);
}

Span spell(const Document& document, NodeId id, const TypedText& value, bool is_comment, SecureBuffer& out) {
  const Node& node = document.node(id);
  if (node.kind == NodeKind::kComment) {
    append_comment(value.text, file_break(document.text), out);
    return node.span;
  }
  if (is_comment && node.parent != kNoNode && document.node(node.parent).kind == NodeKind::kSequence &&
      !node.has(kFlagInFlow)) {
    return spell_comment_item(document, id, value.text, out);
  }
  if (value.type == ScalarType::kString || value.type == ScalarType::kBytes) {
    return spell_string(document, id, value.text, out);
  }
  return spell_typed(document, id, value, out);
}

// ---- Aliases ------------------------------------------------------------------------------------------------------

namespace {

/// Puts the ciphertexts into the leaves of `root` in walk order; true if there is a comment among them.
Result<bool> fill_leaves(Value& root, std::span<const std::string_view> ciphertexts) {
  bool comments = false;
  size_t used = 0;
  std::vector<Value*> open = {&root};
  while (!open.empty()) {
    Value& value = *open.back();
    open.pop_back();
    if (value.kind == ValueKind::kMapping || value.kind == ValueKind::kSequence) {
      for (size_t i = value.children.size(); i-- > 0;) open.push_back(&value.children[i]);
      continue;
    }
    if (value.kind == ValueKind::kComment) comments = true;
    if (used == ciphertexts.size()) return fail(ErrorCode::kUsage, "an alias has more values than ciphertexts");
    const std::string_view ciphertext = ciphertexts[used++];
    if (ciphertext.empty()) continue;
    value.text = ciphertext;
    if (value.kind == ValueKind::kScalar) value.type = ScalarType::kString;
  }
  if (used != ciphertexts.size()) return fail(ErrorCode::kUsage, "an alias has fewer values than ciphertexts");
  return comments;
}

}  // namespace

Result<EditList> expand_alias(const Document& document, NodeId id, std::span<const std::string_view> ciphertexts) {
  const Node& alias = document.node(id);
  SOPS_CHECK(alias.kind == NodeKind::kAlias && alias.parent != kNoNode, "only an alias inside a root can be expanded");
  Value content = TRY(to_value(document, alias.target));
  const bool comments = TRY(fill_leaves(content, ciphertexts));
  const Node& parent = document.node(alias.parent);
  const std::string_view line_break = file_break(document.text);
  EditList edits;
  SecureBuffer out;
  const bool in_flow = alias.has(kFlagInFlow);

  if (content.kind == ValueKind::kScalar) {
    if (in_flow) {
      append_flow(content, {.keep_types = true}, out);
    } else {
      const StringStyle style = choose_style(content.text);
      const bool is_text = content.type == ScalarType::kString || content.type == ScalarType::kBytes;
      if (is_text && (style == StringStyle::kLiteral || style == StringStyle::kBinary)) {
        append_flow(content, {}, out);
      } else {
        append_scalar(content.type, content.text, {.keep_type = true}, out);
      }
    }
    edits.add(alias.span, out.view());
    return edits;
  }

  const bool is_entry = parent.kind == NodeKind::kMapping;
  const size_t comment = comment_behind(document.text, alias.span.end);
  const bool has_comment = comment < document.text.size();
  const bool has_content = std::any_of(content.children.begin(), content.children.end(),
                                       [](const Value& child) { return child.kind != ValueKind::kComment; });
  const bool block = !in_flow && has_content && (comments || (has_comment && is_entry));
  if (!block) {
    append_flow(content, {.keep_types = true, .line_break = line_break}, out);
    edits.add(alias.span, out.view());
    return edits;
  }

  // Under its key, or under its dash: a comment at the head of an item has no place on the dash's line.
  const size_t parent_column = collection_column(document, parent);
  BlockLayout layout{
      .step = file_step(document, 4), .line_break = line_break, .keep_types = true, .keep_comment_order = true};
  layout.column = is_entry ? parent_column + layout.step : parent_column + 2;
  SecureBuffer lines;
  append_block(content, layout, lines);
  out.append(line_break);
  if (line_break == "\r\n" && lines.view().starts_with('#')) out.append(line_break);  // see keep_comment_order
  out.append(layout.column, ' ');
  out.append(lines.view());
  if (has_comment) {
    edits.add(make_span(alias.span.begin, comment), "");
    const size_t end = line_end(document.text, comment);
    edits.add(make_span(end, end), out.view());
  } else {
    edits.add(make_span(alias.span.begin, skip_blanks(document.text, alias.span.end)), out.view());
  }
  return edits;
}

// ---- Metadata -----------------------------------------------------------------------------------------------------

namespace {

/// `value` with the entries of every mapping in byte order (format.md 5.3). Depth is that of metadata: small.
Value sorted(const Value& value) {
  Value copy = value;
  std::vector<Value*> open = {&copy};
  while (!open.empty()) {
    Value& next = *open.back();
    open.pop_back();
    if (next.kind == ValueKind::kMapping) {
      std::stable_sort(next.children.begin(), next.children.end(),
                       [](const Value& a, const Value& b) { return a.key < b.key; });
    }
    for (Value& child : next.children) open.push_back(&child);
  }
  return copy;
}

/// The content of a branch's entry.
Value branch_metadata(const Value& metadata, const Value& first_only, size_t branch) {
  Value all = metadata;
  if (branch == 0) all.children.insert(all.children.end(), first_only.children.begin(), first_only.children.end());
  return sorted(all);
}

/// Removes `span` but for the comments in it that do not belong to `entry`; `instead` is put at its beginning.
void remove_around_comments(const Document& document, NodeId root, NodeId entry, Span span, std::string_view instead,
                            EditList& edits) {
  std::vector<Span> kept;
  const NodeId entry_end = entry == kNoNode ? 0 : document.node(entry).next;
  // Comments outside the entry stand before or behind it in the tree; only those near it can be inside the span.
  for (NodeId id = root; id < document.node(root).next; ++id) {
    if (id == entry) {
      id = entry_end - 1;
      continue;
    }
    const Node& node = document.node(id);
    if (node.kind == NodeKind::kComment && node.span.begin >= span.begin && node.span.end <= span.end) {
      kept.push_back(node.span);
    }
  }
  std::sort(kept.begin(), kept.end(), [](Span a, Span b) { return a.begin < b.begin; });
  size_t at = span.begin;
  for (Span comment : kept) {
    edits.add(make_span(at, comment.begin), at == span.begin ? instead : "");
    at = comment.end + break_length(document.text, comment.end);
    at = std::min<size_t>(at, span.end);
  }
  if (at < span.end || kept.empty()) edits.add(make_span(at, span.end), kept.empty() ? instead : "");
}

/// The entry as a flow text `"sops": {…}`.
void append_flow_entry(const Value& content, std::string_view line_break, SecureBuffer& out) {
  append_flow_key(kMetadataKey, /*always_quoted=*/true, out);
  out.append(": ");
  append_flow(content, {.quote_keys = true, .line_break = line_break}, out);
}

/// The entry in block style: `sops:` and the lines of its content, the first line without indentation.
void append_block_entry(const Value& content, size_t column, size_t step, std::string_view line_break,
                        SecureBuffer& out) {
  Value root = Value::mapping();
  root.add(kMetadataKey, content);
  append_block(root, {.step = step, .column = column, .line_break = line_break}, out);
}

void add_to_flow_root(const Document& document, const Branch& branch, const Value& content, EditList& edits) {
  const std::string_view text = document.text;
  const std::string_view line_break = file_break(text);
  const Node& root = document.node(branch.root);
  NodeId last = kNoNode;
  for (NodeId id = branch.root + 1; id < root.next; id = document.node(id).next) {
    if (document.node(id).kind != NodeKind::kComment) last = id;
  }
  SecureBuffer out;
  if (last == kNoNode) {
    // A comment behind `{` or on the line of `}` would be the entry's: in that case it gets a line below.
    const FlowEnd end = find_flow_end(text, root.content + 1);
    const size_t at = end.comments ? line_start(text, end.close) : root.content + 1;
    append_flow_entry(content, line_break, out);
    if (end.comments) out.append(line_break);
    edits.add(make_span(at, at), out.view());
    return;
  }
  const FlowEnd end = find_flow_end(text, entry_end(document.node(last)));
  // Directly behind a `:` a comma would be text; comments reach to the end of their line.
  const bool colon = end.comma == 0 && text[end.entry_end - 1] == ':';
  // A comma on the line of the bracket, below the comments, has none behind it.
  const bool below_comments = end.comma != 0 && end.comma >= line_start(text, end.close);
  const bool own_line = !below_comments && (end.comments || (colon && break_length(text, end.entry_end) > 0));
  size_t at = end.comma != 0 ? end.comma + 1 : end.entry_end;
  if (own_line) {
    at = line_start(text, end.close);
  } else if (colon && text[at] == ' ') {
    ++at;
  }
  if (end.comma == 0) out.append(", ");
  if (end.comma != 0 && !own_line) out.append(" ");
  append_flow_entry(content, line_break, out);
  if (end.comma != 0) out.append(",");
  if (own_line) out.append(line_break);
  edits.add(make_span(at, at), out.view());
}

/// True if a comment stands behind the root's own text. Behind a block it may belong to the innermost level, which
/// would be that of the metadata (yaml.md 1.3.4).
bool has_comment_behind(const Document& document, const Branch& branch) {
  const Node& root = document.node(branch.root);
  for (NodeId id = branch.root + 1; id < root.next; ++id) {
    const Node& node = document.node(id);
    if (node.kind == NodeKind::kComment && node.span.begin > root.span.begin) return true;
  }
  return false;
}

/// True if a line added at the end of the text would change the value of the literal that ends it.
bool ends_in_open_literal(const Document& document, const Branch& branch) {
  const std::string_view text = document.text;
  if (branch.text.end != text.size() || break_length_before(text, text.size()) > 0) return false;
  for (NodeId id = document.node(branch.root).next; id-- > branch.root;) {
    const Node& node = document.node(id);
    if (node.kind == NodeKind::kComment) {
      if (node.span.end == text.size()) return false;
      continue;
    }
    return is_block_scalar(node) && block_header(document, id).chomping != '-' &&
           text.substr(node.span.end).find_first_not_of(" \r\n") == std::string_view::npos;
  }
  return false;
}

void add_to_block_root(const Document& document, const Branch& branch, const Value& content, size_t step,
                       EditList& edits) {
  const std::string_view text = document.text;
  const std::string_view line_break = file_break(text);
  const Node& root = document.node(branch.root);
  const size_t column = root.style == NodeStyle::kBlock ? collection_column(document, root) : 0;
  SecureBuffer out;
  if (root.style == NodeStyle::kBlock && ends_in_open_literal(document, branch)) {
    out.append(column, ' ');
    append_block_entry(content, column, step, line_break, out);
    out.append(line_break);
    const size_t at = line_start(text, root.content);
    edits.add(make_span(at, at), out.view());
    return;
  }
  const size_t at = branch.text.end;
  const bool fresh_line = at == 0 || break_length_before(text, at) > 0 || (text.starts_with(kByteOrderMark) && at == 3);
  if (!fresh_line) out.append(line_break);
  out.append(column, ' ');
  append_block_entry(content, column, step, line_break, out);
  if (fresh_line) out.append(line_break);
  edits.add(make_span(at, at), out.view());
}

/// Gives a branch that has none its entry (in-place.md 4).
void add_entry(const Document& document, const Branch& branch, const Value& content, size_t step, EditList& edits) {
  const Node& root = document.node(branch.root);
  const std::string_view line_break = file_break(document.text);
  if (root.style == NodeStyle::kBlock || root.style == NodeStyle::kAbsent) {
    return add_to_block_root(document, branch, content, step, edits);
  }
  const bool is_empty = root.style != NodeStyle::kFlow || root.next == branch.root + 1;
  const bool block_fits = has_own_line(document, root) && !has_comment_behind(document, branch);
  if (is_empty && root.content == root.span.begin && block_fits) {
    SecureBuffer out;
    append_block_entry(content, column_of(document.text, root.span.begin), step, line_break, out);
    edits.add(make_span(root.span.begin, skip_blanks(document.text, root.span.end)), out.view());
    return;
  }
  if (root.style == NodeStyle::kFlow) return add_to_flow_root(document, branch, content, edits);
  SecureBuffer out;
  out.append("{");
  append_flow_entry(content, line_break, out);
  out.append("}");
  edits.add(root.span, out.view());
}

void replace_entry(const Document& document, const Branch& branch, const Value& content, size_t step, EditList& edits) {
  const std::string_view text = document.text;
  const std::string_view line_break = file_break(text);
  const Node& entry = document.node(branch.metadata);
  const Node& root = document.node(branch.root);
  SecureBuffer out;
  if (entry.style == NodeStyle::kBlock && entry.is_container()) {
    BlockLayout layout{.step = step, .column = collection_column(document, entry), .line_break = line_break};
    const size_t outer = collection_column(document, root);
    if (layout.column > outer && layout.column - outer <= 9) layout.step = layout.column - outer;
    append_block(content, layout, out);
    const size_t start = text[entry.content] == '?' ? entry.content : line_start(text, entry.content) + layout.column;
    edits.add(make_span(std::min<size_t>(start, entry.content), entry.span.end), out.view());
    return;
  }
  const size_t behind = skip_blanks(text, entry.span.end);
  const bool line_is_free = behind == text.size() || break_length(text, behind) > 0;
  if (root.style == NodeStyle::kBlock && entry.style != NodeStyle::kFlow && line_is_free) {
    const size_t column = collection_column(document, root) + step;
    if (entry.style == NodeStyle::kAbsent && gap_before(document, entry).starts_with(':')) out.append(":");
    out.append(line_break);
    out.append(column, ' ');
    append_block(content, {.step = step, .column = column, .line_break = line_break}, out);
    edits.add(make_span(entry.span.begin, behind), out.view());
    return;
  }
  out.append(gap_before(document, entry));
  append_flow(content, {.quote_keys = true, .line_break = line_break}, out);
  edits.add(entry.span, out.view());
}

void remove_from_block_root(const Document& document, const Branch& branch, EditList& edits) {
  const std::string_view text = document.text;
  const Node& entry = document.node(branch.metadata);
  size_t last = entry_end(entry);
  for (NodeId id = branch.metadata + 1; id < entry.next; ++id) {
    last = std::max<size_t>(last, document.node(id).span.end);  // comments at its end go with it
  }
  size_t begin = line_start(text, entry.key_span.begin);
  const size_t end_of_line = line_end(text, last);
  const size_t end = end_of_line + break_length(text, end_of_line);

  NodeId other = first_element(document, branch.root);
  if (other == branch.metadata) {
    other = kNoNode;
    for (NodeId id = entry.next; id < document.node(branch.root).next; id = document.node(id).next) {
      if (document.node(id).kind != NodeKind::kComment) other = id;
    }
  }
  std::string instead;
  if (other == kNoNode) {
    instead = "{}";
    instead += text.substr(end_of_line, end - end_of_line);
  } else if (end == end_of_line) {
    begin -=
        break_length_before(text, begin);  // the last line has no break: neither had the one before (in-place.md 4)
  }
  remove_around_comments(document, branch.root, branch.metadata, make_span(begin, end), instead, edits);
}

void remove_from_flow_root(const Document& document, const Branch& branch, EditList& edits) {
  const std::string_view text = document.text;
  const Node& root = document.node(branch.root);
  const Node& entry = document.node(branch.metadata);
  NodeId previous = kNoNode;
  for (NodeId id = branch.root + 1; id < branch.metadata; id = document.node(id).next) {
    if (document.node(id).kind != NodeKind::kComment) previous = id;
  }
  size_t key = entry.key_span.begin;
  for (size_t i = key; i > 0 && (text[i - 1] == ' ' || text[i - 1] == '?'); --i) {
    if (text[i - 1] == '?') key = i - 1;
  }
  const size_t value_end = entry_end(entry);
  const FlowEnd behind = find_flow_end(text, value_end);
  const size_t comma = behind.comma;
  const bool is_last = behind.close < text.size() && text[behind.close] == '}';
  const auto through_break = [&](size_t at) { return at + break_length(text, at); };

  Span span;
  if (previous == kNoNode) {
    if (comma == 0) {
      const bool own_line = break_length_before(text, key) > 0 && break_length(text, value_end) > 0;
      span = make_span(key, own_line ? through_break(value_end) : value_end);
    } else if (key == root.content + 1) {
      span = make_span(key, skip_blanks(text, comma + 1));
    } else {
      span = make_span(root.content + 1, comma + 1);
    }
  } else {
    const size_t before = find_flow_end(text, entry_end(document.node(previous))).comma;
    const bool comma_line = break_length_before(text, before) > 0 && break_length(text, value_end) > 0;
    const bool key_line = break_length_before(text, key) > 0 && comma != 0 && break_length(text, comma + 1) > 0;
    if (comma == 0) {
      span = make_span(before, comma_line ? through_break(value_end) : value_end);
    } else if (is_last && key_line) {
      span = make_span(key, through_break(comma + 1));
    } else {
      span = make_span(before + 1, comma + 1);
    }
  }
  remove_around_comments(document, branch.root, branch.metadata, span, "", edits);
}

}  // namespace

Result<Value> read_metadata(const Document& document) {
  if (document.branches.empty() || document.branches[0].metadata == kNoNode) {
    return fail(ErrorCode::kNotFound, "sops metadata not found");
  }
  const Branch& branch = document.branches[0];
  const Node& entry = document.node(branch.metadata);
  for (NodeId id = entry.next; id < document.node(branch.root).next; id = document.node(id).next) {
    const Node& node = document.node(id);
    if (node.kind != NodeKind::kComment && node.key == kMetadataKey) {
      return fail(ErrorCode::kMalformed, "the entry '{}' stands there twice", kMetadataKey)
          .at(position_at(document.text, node.key_span.begin));
    }
  }
  Value metadata = TRY(to_value(document, branch.metadata));
  if (metadata.kind != ValueKind::kMapping) {
    return fail(ErrorCode::kMalformed, "the entry '{}' is no mapping", kMetadataKey)
        .at(position_at(document.text, entry.key_span.begin));
  }
  return metadata;
}

Result<EditList> reserve_metadata(const Document& document, const EmitStyle& style) {
  Value placeholder = Value::mapping();
  placeholder.add("version", Value::string("reserved"));
  return write_metadata(document, placeholder, Value::mapping(), style);
}

Result<EditList> write_metadata(const Document& document, const Value& metadata, const Value& first_only,
                                const EmitStyle& style) {
  const size_t configured = TRY(effective_step(style));
  const size_t step = style.indent ? configured : file_step(document, configured);
  EditList edits;
  for (size_t i = 0; i < document.branches.size(); ++i) {
    const Branch& branch = document.branches[i];
    const Value content = branch_metadata(metadata, first_only, i);
    if (branch.metadata == kNoNode) {
      add_entry(document, branch, content, step, edits);
    } else {
      replace_entry(document, branch, content, step, edits);
    }
  }
  return edits;
}

Result<EditList> remove_metadata(const Document& document) {
  EditList edits;
  for (const Branch& branch : document.branches) {
    if (branch.metadata == kNoNode) continue;
    if (document.node(branch.root).style == NodeStyle::kFlow) {
      remove_from_flow_root(document, branch, edits);
    } else {
      remove_from_block_root(document, branch, edits);
    }
  }
  return edits;
}

// ---- UTF-16 -------------------------------------------------------------------------------------------------------

Result<std::optional<SecureBytes>> decode_text(std::string_view raw) {
  const bool little = raw.starts_with("\xff\xfe");
  const bool big = raw.starts_with("\xfe\xff");
  if (!little && !big) return std::optional<SecureBytes>();
  if (raw.size() % 2 != 0) return fail(ErrorCode::kMalformed, "the UTF-16 text ends in half a character");

  const auto unit = [&](size_t at) {
    const auto first = static_cast<uint8_t>(raw[at]);
    const auto second = static_cast<uint8_t>(raw[at + 1]);
    return static_cast<char32_t>(little ? second << 8 | first : first << 8 | second);
  };
  SecureBuffer out;
  out.reserve(raw.size() / 2 * 3);
  std::string rune_text;
  for (size_t at = 2; at < raw.size(); at += 2) {
    char32_t rune = unit(at);
    if (rune >= 0xd800 && rune <= 0xdfff) {
      const char32_t low = at + 2 < raw.size() ? unit(at + 2) : 0;
      if (rune > 0xdbff || low < 0xdc00 || low > 0xdfff) {
        return fail(ErrorCode::kMalformed, "the UTF-16 text has half of a surrogate pair at byte {}", at);
      }
      rune = 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00);
      at += 2;
    }
    rune_text.clear();
    append_rune(rune_text, rune);
    out.append(rune_text);
  }
  return std::optional<SecureBytes>(out.take());
}

SecureBytes encode_text(std::string_view text, std::string_view like) {
  const bool little = like.starts_with("\xff\xfe");
  SecureBuffer out;
  out.reserve(text.size() * 2 + 2);
  const auto put = [&](char32_t unit) {
    const char high = static_cast<char>(unit >> 8);
    const char low = static_cast<char>(unit & 0xff);
    out.append(1, little ? low : high);
    out.append(1, little ? high : low);
  };
  put(0xfeff);
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const DecodedRune next = utf8_sequence_length(rest) > 0 ? decode_rune(rest) : DecodedRune{0xfffd, 1};
    at += next.length;
    if (next.rune < 0x10000) {
      put(next.rune);
    } else {
      put(0xd800 + ((next.rune - 0x10000) >> 10));
      put(0xdc00 + ((next.rune - 0x10000) & 0x3ff));
    }
  }
  return out.take();
}

}  // namespace sops::yaml
