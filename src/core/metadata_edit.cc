// SPDX-License-Identifier: MPL-2.0
#include "core/metadata_edit.h"

#include <array>
#include <utility>

namespace sops {

Result<EditList> edit_metadata(const FormatType& format, const Document& document, const Metadata& before,
                               const Metadata& after, const EmitStyle& style) {
  // Nearly always only texts change that every file has: each is replaced in its own quotes.
  if (before.groups == after.groups && before.shamir_threshold == after.shamir_threshold &&
      before.selection == after.selection && before.mac_only_encrypted == after.mac_only_encrypted &&
      before.layout.empty() && after.layout.empty() && format.place != nullptr) {
    EditList edits;
    bool all_found = true;
    for (const Branch& branch : document.branches) {
      if (branch.metadata == kNoNode) continue;
      const std::array<std::pair<std::string_view, std::string_view>, 3> texts = {
          {{"lastmodified", after.lastmodified}, {"mac", after.mac}, {"version", after.version}}};
      for (const auto& [name, text] : texts) {
        const NodeId id = find_entry(document, branch.metadata, name);
        if (id == kNoNode || document.node(id).kind != NodeKind::kScalar) {
          all_found = false;
          continue;
        }
        if (document.node(id).text == text) continue;
        SecureBuffer spelled;
        const Span span = format.place(document, id, text, spelled);
        edits.add(span, spelled.view());
      }
    }
    if (all_found) return edits;
  }
  SecureArena arena;
  return format.write_metadata(document, metadata_tree(after, arena), first_branch_tree(after), style);
}

}  // namespace sops
