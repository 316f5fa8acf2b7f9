// SPDX-License-Identifier: MPL-2.0
#include "tree/edit.h"

#include <algorithm>
#include <cstring>

namespace sops {

void EditList::append(EditList&& other) {
  edits_.insert(edits_.end(), other.edits_.begin(), other.edits_.end());
  for (SecureArena& arena : other.taken_) taken_.push_back(std::move(arena));
  taken_.push_back(std::move(other.arena_));
  other.edits_ = {};
}

Result<SecureBytes> EditList::apply(std::string_view text) const {
  // Most lists are already in order; sorting an index keeps this const.
  std::vector<Edit> sorted;
  const std::vector<Edit>* edits = &edits_;
  const auto before = [](const Edit& a, const Edit& b) {
    return a.span.begin != b.span.begin ? a.span.begin < b.span.begin : a.span.end < b.span.end;
  };
  if (!std::is_sorted(edits_.begin(), edits_.end(), before)) {
    sorted = edits_;
    std::stable_sort(sorted.begin(), sorted.end(), before);
    edits = &sorted;
  }

  size_t size = text.size();
  size_t end = 0;
  for (const Edit& edit : *edits) {
    if (edit.span.begin < end || edit.span.end > text.size() || edit.span.begin > edit.span.end) {
      return fail(ErrorCode::kMalformed, "two changes overlap").at(position_at(text, edit.span.begin));
    }
    end = edit.span.end;
    size = size - edit.span.size() + edit.text.size();
  }

  SecureBytes result(size);
  uint8_t* out = result.expose_mutable().data();
  const auto put = [&out](std::string_view piece) {
    if (piece.empty()) return;
    std::memcpy(out, piece.data(), piece.size());
    out += piece.size();
  };
  size_t at = 0;
  for (const Edit& edit : *edits) {
    put(text.substr(at, edit.span.begin - at));
    put(edit.text);
    at = edit.span.end;
  }
  put(text.substr(at));
  return result;
}

}  // namespace sops
