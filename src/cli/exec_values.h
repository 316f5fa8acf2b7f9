// SPDX-License-Identifier: MPL-2.0
//
// The values of a decrypted file as environment variables (cli.md 6.5, editing.md 4.2). Pure.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/secure_bytes.h"
#include "tree/value.h"

namespace sops {

/// Environment variables with their secrets.
class Variables {
 public:
  void add(std::string_view name, std::string_view value);
  /// Adds the entries of `tree`, a mapping. With a separator, what is nested gets the names of its path joined by it,
  /// list items their number from 0. Errors: kUnsupported for a name or value that cannot be in an environment, for a
  /// nested value without separator, for two values of one name with one, and for more than any system takes. They name
  /// the key, never the value.
  Result<void> add_tree(const Value& tree, std::optional<std::string_view> separator);

  /// "NAME=value", in the order of adding: the last of a name counts.
  std::span<const std::string_view> texts() const { return texts_; }

 private:
  Result<void> add_leaf(std::string_view name, const Value& value);

  SecureArena arena_;
  std::vector<std::string_view> texts_;
  size_t size_ = 0;
};

/// A scalar as SOPS writes it into an environment: texts as they are, true and false, null as <nil>, floats with a
/// point or an exponent, times without fractions. What is new is stored in `arena`.
std::string_view variable_text(const Value& scalar, SecureArena& arena);

}  // namespace sops
