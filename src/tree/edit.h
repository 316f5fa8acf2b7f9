// SPDX-License-Identifier: MPL-2.0
//
// Edits: what an operation wants to have in place of some pieces of a text, and applying them.
#pragma once

#include <string_view>
#include <vector>

#include "base/secure_bytes.h"
#include "tree/document.h"

namespace sops {

/// Replaces `span` of the old text by `text`. An empty span inserts.
struct Edit {
  Span span;
  std::string_view text;
};

/// Edits with the storage of their texts. Edits are kept in the order they were added; apply() sorts them.
class EditList {
 public:
  /// `text` must outlive the list.
  void add_borrowed(Span span, std::string_view text) { edits_.push_back({span, text}); }
  /// Copies `text`.
  void add(Span span, std::string_view text) { edits_.push_back({span, arena_.store(text)}); }
  /// Takes over the edits of `other` and the storage behind them.
  void append(EditList&& other);

  const std::vector<Edit>& edits() const { return edits_; }
  bool empty() const { return edits_.empty(); }

  /// The new text. Edits at one place are applied in the order they were added.
  /// Errors: kMalformed if two edits overlap (a bug of the format, or a file that has two places in one).
  Result<SecureBytes> apply(std::string_view text) const;

 private:
  std::vector<Edit> edits_;
  std::vector<SecureArena> taken_;
  SecureArena arena_;
};

}  // namespace sops
