// SPDX-License-Identifier: MPL-2.0
//
// The author's white space: what stands before and between the entries and items of a JSON text, so that new ones look
// like them. Used by metadata.cc and change.cc. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "tree/document.h"

namespace sops::json {

/// White space of `text` that ends at `end`.
std::string_view space_before(std::string_view text, size_t end);

/// Where an entry (its key) or an item begins.
uint32_t begin_of(const Node& node);

/// White space before an entry or item.
std::string_view space_before(const Document& document, NodeId id);

/// The last line break of some white space with what follows it: how the entry behind it begins its line.
struct LineStart {
  std::string_view line_break;  // empty if there is none
  std::string_view indent;
};
LineStart line_start(std::string_view space);

/// How the author writes the colon behind the key of `id`; anything unusual (aligned columns, line breaks) counts as
/// usual.
std::string colon_of(const Document& document, NodeId id);

/// What stands behind the commas of one-line text, judged by the entry `id`, which is not the first of its container.
std::string comma_before(const Document& document, NodeId id);

}  // namespace sops::json
