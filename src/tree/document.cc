// SPDX-License-Identifier: MPL-2.0
#include "tree/document.h"

#include <algorithm>

namespace sops {

TextPosition position_at(std::string_view text, size_t offset) {
  TextPosition position{.line = 1, .column = 1};
  offset = std::min(offset, text.size());
  for (size_t i = 0; i < offset; ++i) {
    const char c = text[i];
    if (c == '\n' || (c == '\r' && !(i + 1 < text.size() && text[i + 1] == '\n'))) {
      ++position.line;
      position.column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80 && c != '\r') {
      ++position.column;
    }
  }
  return position;
}

NodeId find_entry(const Document& document, NodeId container, std::string_view key) {
  const Node& parent = document.node(container);
  if (parent.kind != NodeKind::kMapping) return kNoNode;
  for (NodeId id = container + 1; id < parent.next; id = document.node(id).next) {
    const Node& node = document.node(id);
    if (node.kind != NodeKind::kComment && node.key == key) return id;
  }
  return kNoNode;
}

}  // namespace sops
