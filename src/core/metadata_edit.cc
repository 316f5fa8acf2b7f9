// SPDX-License-Identifier: MPL-2.0
#include "core/metadata_edit.h"

namespace sops {

Result<EditList> edit_metadata(const FormatType& format, const Document& document, const Metadata&,
                               const Metadata& after, const EmitStyle& style) {
  SecureArena arena;
  return format.write_metadata(document, metadata_tree(after, arena), first_branch_tree(after), style);
}

}  // namespace sops
