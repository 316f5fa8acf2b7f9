// SPDX-License-Identifier: MPL-2.0
#include "formats/json/white_space.h"

#include "base/text.h"

namespace sops::json {

namespace {
constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kBreaks = "\r\n";
}  // namespace

std::string_view space_before(std::string_view text, size_t end) {
  const size_t last = text.substr(0, end).find_last_not_of(kSpace);
  const size_t begin = last == std::string_view::npos ? 0 : last + 1;
  return text.substr(begin, end - begin);
}

uint32_t begin_of(const Node& node) { return node.key_span.size() > 0 ? node.key_span.begin : node.span.begin; }

std::string_view space_before(const Document& document, NodeId id) {
  return space_before(document.text, begin_of(document.node(id)));
}

LineStart line_start(std::string_view space) {
  const size_t at = space.find_last_of(kBreaks);
  if (at == std::string_view::npos) return {};
  const size_t length = at > 0 && space[at] == '\n' && space[at - 1] == '\r' ? 2 : 1;
  return {space.substr(at + 1 - length, length), space.substr(at + 1)};
}

std::string colon_of(const Document& document, NodeId id) {
  const Node& node = document.node(id);
  const std::string_view found = document.text.substr(node.key_span.end, node.span.begin - node.key_span.end);
  for (const std::string_view usual : {":", " : "}) {
    if (found == usual) return std::string(usual);
  }
  return ": ";
}

std::string comma_before(const Document& document, NodeId id) {
  return space_before(document, id).empty() ? "," : ", ";
}

}  // namespace sops::json
