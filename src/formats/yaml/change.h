// SPDX-License-Identifier: MPL-2.0
//
// Changing one value of a YAML text: the functions of the same names in FormatType, whose contracts are there. Pure
// functions.
#pragma once

#include "formats/format.h"

namespace sops::yaml {

/// A comment on the line of the old value stays on the line of the new one.
Result<EditList> replace_node(const Document& document, NodeId id, const Value& value, const EmitStyle& style);
Result<EditList> append_child(const Document& document, NodeId container, const Value& child, const EmitStyle& style);
Result<EditList> remove_child(const Document& document, NodeId id);

}  // namespace sops::yaml
