// SPDX-License-Identifier: MPL-2.0
//
// Changing single entries of a file's metadata in its text, so that all others keep their bytes, order and place
// (editing.md 1.1).
#pragma once

#include "core/metadata.h"
#include "formats/format.h"

namespace sops {

/// Edits of the encrypted `document` after which its metadata, in every branch that has them, read as `after`; `before`
/// is what they read as now. Key entries that are equal in both keep their bytes; added ones stand behind them, in
/// SOPS's style; scalars are replaced in their place, or added where SOPS's order puts them. `layout` goes to the first
/// branch only. Where the block has no shape that can be changed in place (an alias, flow text that would get too long
/// to read), the whole block is written anew with format.write_metadata. Errors: those of the format's functions.
Result<EditList> edit_metadata(const FormatType& format, const Document& document, const Metadata& before,
                               const Metadata& after, const EmitStyle& style);

}  // namespace sops
