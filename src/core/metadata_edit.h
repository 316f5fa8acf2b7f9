// SPDX-License-Identifier: MPL-2.0
//
// Changing single entries of a file's metadata in its text, so that all others keep their bytes, order and place
// (editing.md 1.1).
#pragma once

#include "core/metadata.h"
#include "formats/format.h"

namespace sops {

/// Edits of the encrypted `document` after which its metadata, in every branch that has them, read as `after`; `before`
/// is what they read as now.
///
/// What reads the same keeps its bytes: entries of keys, scalars, empty lists, what we do not know. Of a key entry that
/// has only another `enc` just that changes. Added keys stand behind the others, or in the place of removed ones where
/// the order of `after` allows that; scalars are replaced in their place, or added at the end of the block. `layout`
/// goes to the first branch only. Where the block has no shape that can be changed in place (aliases, a format without
/// nodes for it, what the format's functions do not support), the whole block is written anew with
/// format.write_metadata. Errors: those of the format's functions.
Result<EditList> edit_metadata(const FormatType& format, const Document& document, const Metadata& before,
                               const Metadata& after, const EmitStyle& style);

}  // namespace sops
