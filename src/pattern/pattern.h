// SPDX-License-Identifier: MPL-2.0
//
// Patterns that users write: selection rules, path_regex. RE2 with the differences between Go's engine and the
// distribution's older library evened out (architecture.md 6). The only folder that includes RE2. const members are
// thread safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace sops {

/// A compiled pattern, searched unanchored, as Go's regexp.MatchString does (format.md 3.5).
class Pattern {
 public:
  /// Errors: kMalformed with RE2's complaint; kUnsupported for \C, which Go does not have.
  static Result<Pattern> compile(std::string_view expression);
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  /// True if the pattern matches anywhere in `text`. Bytes that are not UTF-8 count as U+FFFD.
  bool matches(std::string_view text) const;

 private:
  struct State;
  explicit Pattern(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sops
