// SPDX-License-Identifier: MPL-2.0
//
// Where the pieces of a literal or folded scalar are: libyaml's tokens do not tell. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "formats/yaml/scan.h"

namespace sops::yaml {

/// Where the pieces of a block scalar are.
struct BlockShape {
  BlockHeader header;
  bool has_comment = false;
  uint32_t header_end = 0;  // end of the header line, its break not included
  uint32_t body = 0;        // start of the line below the header
  size_t indentation = 0;
  bool has_content = false;
  uint32_t content_end = 0;  // end of the last content line, its break not included
};

/// Finds the pieces of the literal or folded scalar whose header is at `begin` and whose token ends at `token_end`, by
/// libyaml's rules. `parent_indentation` is the column of the innermost open block collection, or -1.
BlockShape shape_of_block(std::string_view text, uint32_t begin, uint32_t token_end, int64_t parent_indentation);

/// Length of the line break at `position`: LF, CR, CR LF, NEL, LS, PS; 0 if there is none.
size_t break_length(std::string_view text, size_t position);

}  // namespace sops::yaml
