// SPDX-License-Identifier: MPL-2.0
#include "formats/yaml/block_scalar.h"

#include <algorithm>

namespace sops::yaml {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

BlockHeader read_header(std::string_view text, uint32_t begin) {
  BlockHeader header{.style = text[begin]};
  uint32_t at = begin + 1;
  for (; at < text.size(); ++at) {
    if (text[at] == '+' || text[at] == '-') {
      header.chomping = text[at];
    } else if (is_digit(text[at])) {
      header.digit = static_cast<uint32_t>(text[at] - '0');
    } else {
      break;
    }
  }
  header.end = at;
  return header;
}

size_t find_any_line_end(std::string_view text, size_t at, size_t end) {
  while (at < end && break_length(text, at) == 0) ++at;
  return at;
}

// Length of the line break that ends at `end`.
size_t break_length_before(std::string_view text, size_t end) {
  for (const size_t length : {size_t{2}, size_t{3}, size_t{1}}) {
    if (end >= length && break_length(text, end - length) == length) return length;
  }
  return 0;
}

}  // namespace

size_t break_length(std::string_view text, size_t position) {
  if (position >= text.size()) return 0;
  const std::string_view rest = text.substr(position, 3);
  if (rest[0] == '\n') return 1;
  if (rest[0] == '\r') return rest.size() > 1 && rest[1] == '\n' ? 2 : 1;
  if (rest.starts_with("\xC2\x85")) return 2;
  if (rest == "\xE2\x80\xA8" || rest == "\xE2\x80\xA9") return 3;
  return 0;
}

BlockShape shape_of_block(std::string_view text, uint32_t begin, uint32_t token_end, int64_t parent_indentation) {
  BlockShape shape;
  shape.header = read_header(text, begin);
  size_t at = shape.header.end;
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
  shape.has_comment = at < text.size() && text[at] == '#';
  const size_t header_end = find_any_line_end(text, at, text.size());
  shape.header_end = static_cast<uint32_t>(header_end);
  shape.body = static_cast<uint32_t>(header_end + break_length(text, header_end));

  const int64_t least = std::max<int64_t>(parent_indentation + 1, 1);
  if (shape.header.digit > 0) {
    shape.indentation = static_cast<size_t>(std::max<int64_t>(parent_indentation, 0)) + shape.header.digit;
  } else {
    size_t widest = 0;
    for (size_t line = shape.body; line < text.size();) {
      size_t column = line;
      while (column < text.size() && text[column] == ' ') ++column;
      widest = std::max(widest, column - line);
      const size_t length = break_length(text, column);
      if (length == 0) break;
      line = column + length;
    }
    shape.indentation = std::max(widest, static_cast<size_t>(least));
  }

  // From the end of the token upwards over lines that are blank: no more spaces than the indentation.
  size_t end = std::max(token_end, shape.body);
  while (end > shape.body) {
    const size_t length = break_length_before(text, end);
    size_t line = end - length;
    while (line > shape.body && text[line - 1] == ' ') --line;
    const bool starts_line = line == shape.body || break_length_before(text, line) > 0;
    if (!starts_line || end - length - line > shape.indentation) {
      shape.has_content = true;
      end -= length;
      break;
    }
    end = line;
  }
  shape.content_end = static_cast<uint32_t>(end);
  return shape;
}

BlockHeader block_header(const Document& document, NodeId id) {
  return read_header(document.text, document.node(id).content);
}

size_t block_indentation(const Document& document, NodeId id) {
  const Node& node = document.node(id);
  const uint32_t level = document.node(node.parent).content;
  const auto parent = static_cast<int64_t>(column_of(document.text, level));
  return shape_of_block(document.text, node.content, node.content, parent).indentation;
}

size_t column_of(std::string_view text, size_t position) {
  size_t begin = position;
  while (begin > 0) {
    const auto c = static_cast<uint8_t>(text[begin - 1]);
    if (c == '\n' || c == '\r') break;
    if ((c == 0x85 || c == 0xA8 || c == 0xA9) && break_length_before(text, begin) > 0) break;
    --begin;
  }
  if (begin == 0 && text.starts_with("\xEF\xBB\xBF")) begin = std::min<size_t>(3, position);
  return static_cast<size_t>(std::ranges::count_if(text.substr(begin, position - begin),
                                                   [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

}  // namespace sops::yaml
