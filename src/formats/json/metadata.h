// SPDX-License-Identifier: MPL-2.0
//
// The entry `sops` of a JSON object: reading it, making room for it, writing it, taking it out. Used by json.cc only;
// the contracts are those of FormatType.
#pragma once

#include "formats/format.h"

namespace sops::json {

Result<Value> read_metadata(const Document& document);
Result<EditList> reserve_metadata(const Document& document, const EmitStyle& style);
Result<EditList> write_metadata(const Document& document, const Value& metadata, const Value& first_only,
                                const EmitStyle& style);
Result<EditList> remove_metadata(const Document& document);

}  // namespace sops::json
