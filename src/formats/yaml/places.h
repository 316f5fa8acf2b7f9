// SPDX-License-Identifier: MPL-2.0
//
// The surroundings of a node in a YAML text: lines, breaks, properties, what stands behind a flow entry. Shared by
// write.cc and change.cc. Pure functions; positions are bytes of the text.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/secure_bytes.h"
#include "formats/yaml/block_scalar.h"
#include "formats/yaml/scan.h"
#include "tree/document.h"

namespace sops::yaml {

// ---- Lines --------------------------------------------------------------------------------------------------------

/// Length of the line break that ends just before `at`, 0 if there is none.
size_t break_length_before(std::string_view text, size_t at);

/// The start of the line that `at` is in, behind a byte-order mark.
size_t line_start(std::string_view text, size_t at);

/// The end of the line that `at` is in, before its break.
size_t line_end(std::string_view text, size_t at);

/// Past spaces and tabs.
size_t skip_blanks(std::string_view text, size_t at);

/// The break that new lines end in: the first one of the text, LF if it has none.
std::string_view file_break(std::string_view text);

Span make_span(size_t begin, size_t end);

/// Position of the `#` of a comment that stands behind `at` on the same line, the size of the text if there is none.
size_t comment_behind(std::string_view text, size_t at);

// ---- Nodes --------------------------------------------------------------------------------------------------------

bool is_block_scalar(const Node& node);

/// True if a block scalar's header ends in a comment: the span then leaves the header out (scan.h).
bool has_header_comment(const Node& node);

/// The column of a block collection; for a mapping with explicit keys that of its first `?`.
size_t collection_column(const Document& document, const Node& node);

/// The first child of a container that is not a comment, kNoNode if there is none.
NodeId first_element(const Document& document, NodeId container);

/// The tag among the properties of a node, empty if it has none.
Span find_tag(const Document& document, const Node& node);

/// True if the node's tag makes a string of any text. A bare `!` does not (yaml.md 2.4).
bool has_string_tag(const Document& document, const Node& node);

/// The properties of a node with `tag` in the place of its tag, or behind them if it has none; ends in a blank or
/// break.
void append_properties(const Document& document, const Node& node, std::string_view tag, SecureBuffer& out);

/// What must be written between a value and what stands before it, where the text has no room yet: behind a key, `:` or
/// `-` without value (scan.h, kAbsent), and behind an anchor like that of `&a:b`, which is followed by the text `:b`
/// (yaml.md 3.2).
std::string_view gap_before(const Document& document, const Node& node);

/// The comment behind the header of a block scalar, which a replacement of the header must repeat.
std::string_view header_comment(const Document& document, NodeId id);

/// The step of new blocks in a text: that of the first block collection under a key, else `otherwise`.
size_t file_step(const Document& document, size_t otherwise);

/// What stands between the last entry of a flow root and its closing bracket.
struct FlowEnd {
  size_t entry_end = 0;  // of the last entry; behind `{` if there is none
  size_t comma = 0;      // position of the comma behind it, 0 if there is none
  bool comments = false;
  size_t close = 0;  // position of `}`
};

/// Goes from `at` over blanks, breaks, comments and `:` to the next `,` or bracket.
FlowEnd find_flow_end(std::string_view text, size_t at);

/// Where the last text of an entry ends: its value or, without one, its key.
size_t entry_end(const Node& node);

/// True if the root's text stands alone on its line (comments excluded too).
bool has_own_line(const Document& document, const Node& root);

}  // namespace sops::yaml
