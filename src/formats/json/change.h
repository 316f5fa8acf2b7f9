// SPDX-License-Identifier: MPL-2.0
//
// Changing one value of a JSON text: the functions of the same names in FormatType, whose contracts are there. Pure
// functions.
#pragma once

#include "formats/format.h"

namespace sops::json {

Result<EditList> replace_node(const Document& document, NodeId id, const Value& value, const EmitStyle& style);
Result<EditList> append_child(const Document& document, NodeId container, const Value& child, const EmitStyle& style);
Result<EditList> remove_child(const Document& document, NodeId id);

}  // namespace sops::json
