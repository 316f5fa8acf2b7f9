// SPDX-License-Identifier: MPL-2.0
#include "formats/yaml/places.h"

#include <algorithm>

namespace sops::yaml {

namespace {
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
}  // namespace

// ---- Lines --------------------------------------------------------------------------------------------------------

size_t break_length_before(std::string_view text, size_t at) {
  for (size_t length : {size_t{3}, size_t{2}, size_t{1}}) {
    if (at >= length && break_length(text, at - length) == length) return length;
  }
  return 0;
}

size_t line_start(std::string_view text, size_t at) {
  while (at > 0 && break_length_before(text, at) == 0) --at;
  if (at == 0 && text.starts_with(kByteOrderMark)) at = kByteOrderMark.size();
  return at;
}

size_t line_end(std::string_view text, size_t at) {
  while (at < text.size() && break_length(text, at) == 0) ++at;
  return at;
}

size_t skip_blanks(std::string_view text, size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
  return at;
}

std::string_view file_break(std::string_view text) {
  // Not find_first_of(), which searches its set for every character of a line that may be the whole file.
  const size_t feed = text.find('\n');
  const size_t at = std::min(feed, text.substr(0, feed).find('\r'));
  return at == std::string_view::npos ? "\n" : text.substr(at, break_length(text, at));
}

Span make_span(size_t begin, size_t end) { return {static_cast<uint32_t>(begin), static_cast<uint32_t>(end)}; }

size_t comment_behind(std::string_view text, size_t at) {
  const size_t next = skip_blanks(text, at);
  return next < text.size() && text[next] == '#' ? next : text.size();
}

// ---- Nodes --------------------------------------------------------------------------------------------------------

bool is_block_scalar(const Node& node) { return node.style == NodeStyle::kLiteral || node.style == NodeStyle::kFolded; }

bool has_header_comment(const Node& node) { return is_block_scalar(node) && node.content < node.span.begin; }

size_t collection_column(const Document& document, const Node& node) {
  size_t at = node.content;
  size_t before = at;
  while (before > 0 && document.text[before - 1] == ' ') --before;
  const bool question = before > 0 && before < at && document.text[before - 1] == '?';
  if (question &&
      (before == 1 || document.text[before - 2] == ' ' || break_length_before(document.text, before - 1) > 0)) {
    at = before - 1;
  }
  return column_of(document.text, at);
}

NodeId first_element(const Document& document, NodeId container) {
  for (NodeId id = container + 1; id < document.node(container).next; id = document.node(id).next) {
    if (document.node(id).kind != NodeKind::kComment) return id;
  }
  return kNoNode;
}

Span find_tag(const Document& document, const Node& node) {
  size_t at = node.span.begin;
  while (at < node.content) {
    const char c = document.text[at];
    if (c == '#') {
      at = line_end(document.text, at);
    } else if (c == '!' || c == '&') {
      size_t end = at;
      while (end < node.content && document.text[end] != ' ' && document.text[end] != '\t' &&
             break_length(document.text, end) == 0) {
        ++end;
      }
      if (c == '!') return make_span(at, end);
      at = end;
    } else {
      ++at;
    }
  }
  return {};
}

bool has_string_tag(const Document& document, const Node& node) {
  return !has_header_comment(node) && find_tag(document, node).size() > 1;
}

void append_properties(const Document& document, const Node& node, std::string_view tag, SecureBuffer& out) {
  const Span old = find_tag(document, node);
  const auto ends_in_space = [&](size_t at) {
    return document.text[at - 1] == ' ' || document.text[at - 1] == '\t' || break_length_before(document.text, at) > 0;
  };
  if (old.size() == 0) {
    out.append(document.slice(make_span(node.span.begin, node.content)));
    if (node.content > node.span.begin && !ends_in_space(node.content)) out.append(" ");
    out.append(tag);
    out.append(" ");
    return;
  }
  out.append(document.slice(make_span(node.span.begin, old.begin)));
  out.append(tag);
  out.append(document.slice(make_span(old.end, node.content)));
  if (old.end == node.content || !ends_in_space(node.content)) out.append(" ");
}

std::string_view gap_before(const Document& document, const Node& node) {
  const size_t at = std::max(node.span.begin, node.content);
  if (at == 0) return "";
  const char before = document.text[at - 1];
  if (at > node.span.begin) {
    return before == ' ' || before == '\t' || break_length_before(document.text, at) > 0 ? "" : " ";
  }
  if (node.style != NodeStyle::kAbsent) return "";
  return before == ':' || before == '-' || before == '?' ? " " : ": ";
}

std::string_view header_comment(const Document& document, NodeId id) {
  const size_t begin = comment_behind(document.text, block_header(document, id).end);
  return document.slice(make_span(begin, line_end(document.text, begin)));
}

size_t file_step(const Document& document, size_t otherwise) {
  for (const Node& node : document.nodes) {
    if (!node.is_container() || node.style != NodeStyle::kBlock || node.parent == kNoNode) continue;
    const Node& parent = document.node(node.parent);
    if (parent.kind != NodeKind::kMapping || parent.style != NodeStyle::kBlock) continue;
    const size_t start = line_start(document.text, node.content);
    const std::string_view before = document.text.substr(start, node.content - start);
    if (before.find_first_not_of(' ') != std::string_view::npos) continue;
    const size_t outer = collection_column(document, parent);
    if (before.size() > outer) return before.size() - outer <= 9 ? before.size() - outer : otherwise;
  }
  return otherwise;
}

FlowEnd find_flow_end(std::string_view text, size_t at) {
  FlowEnd end{.entry_end = at};
  while (at < text.size() && text[at] != '}' && text[at] != ']') {
    if (text[at] == '#') {
      end.comments = true;
      at = line_end(text, at);
      continue;
    }
    if (text[at] == ',') {
      if (end.comma != 0) break;
      end.comma = at;
    } else if (text[at] != ' ' && text[at] != '\t' && text[at] != ':' && break_length(text, at) == 0) {
      break;
    }
    ++at;
  }
  end.close = at;
  return end;
}

size_t entry_end(const Node& node) { return std::max<size_t>(node.span.end, node.key_span.end); }

bool has_own_line(const Document& document, const Node& root) {
  const std::string_view text = document.text;
  const size_t start = line_start(text, root.span.begin);
  const size_t behind = skip_blanks(text, root.span.end);
  return text.substr(start, root.span.begin - start).find_first_not_of(' ') == std::string_view::npos &&
         (behind == text.size() || break_length(text, behind) > 0);
}

}  // namespace sops::yaml
