// SPDX-License-Identifier: MPL-2.0
//
// Which values are encrypted: the six settings of SOPS (format.md 3), compiled once.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "pattern/pattern.h"

namespace sops {

/// The settings as they stand in flags, a creation rule or a file's metadata. Empty means unset.
struct SelectionSettings {
  std::string unencrypted_suffix;
  std::string encrypted_suffix;
  std::string unencrypted_regex;
  std::string encrypted_regex;
  std::string unencrypted_comment_regex;
  std::string encrypted_comment_regex;

  /// Number of settings that are set. SOPS allows one.
  int count() const;
  /// The default when none is set (format.md 3.1).
  static SelectionSettings standard() { return {.unencrypted_suffix = "_unencrypted"}; }
  bool operator==(const SelectionSettings&) const = default;
};

/// One compiled setting. const members are thread safe.
class Selector {
 public:
  /// Errors: kUsage if more than one setting is set (exit status 8); kMalformed if a pattern does not compile, unless
  /// `lenient`, then such a pattern never matches, as in SOPS (format.md 3.6).
  enum class Strictness { kStrict, kLenient };
  static Result<Selector> compile(const SelectionSettings& settings, Strictness strictness);

  /// True if the setting looks at keys and `key` matches. A match governs the whole subtree (format.md 3.3).
  bool key_matches(std::string_view key) const;
  /// True if the setting looks at comments and `comment` matches.
  bool comment_matches(std::string_view comment) const;

  /// The decision for a leaf, given whether any key on its path matched, and whether any active comment did.
  bool selects(bool any_key_matched, bool any_comment_matched) const;

  /// True for encrypted_comment_regex, where the comment being judged does not count (format.md 3.10).
  bool skips_judged_comment() const { return kind_ == Kind::kEncryptedComment; }
  bool uses_comments() const { return kind_ == Kind::kEncryptedComment || kind_ == Kind::kUnencryptedComment; }

  /// For messages: "encrypted_regex '^pass'".
  std::string describe() const;

 private:
  enum class Kind {
    kUnencryptedSuffix,
    kEncryptedSuffix,
    kUnencryptedRegex,
    kEncryptedRegex,
    kUnencryptedComment,
    kEncryptedComment
  };
  Selector(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}

  Kind kind_;
  std::string text_;                // the suffix, or the pattern as written
  std::optional<Pattern> pattern_;  // unset for suffixes, and for a pattern that did not compile
};

}  // namespace sops
