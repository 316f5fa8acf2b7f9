// SPDX-License-Identifier: MPL-2.0
#include "core/selection.h"

#include <array>

namespace sops {

int SelectionSettings::count() const {
  int set = 0;
  for (const std::string* setting : {&unencrypted_suffix, &encrypted_suffix, &unencrypted_regex, &encrypted_regex,
                                     &unencrypted_comment_regex, &encrypted_comment_regex}) {
    if (!setting->empty()) ++set;
  }
  return set;
}

namespace {

constexpr std::array<std::string_view, 6> kNames = {"unencrypted_suffix",        "encrypted_suffix",
                                                    "unencrypted_regex",         "encrypted_regex",
                                                    "unencrypted_comment_regex", "encrypted_comment_regex"};

}  // namespace

Result<Selector> Selector::compile(const SelectionSettings& settings, Strictness strictness) {
  if (settings.count() > 1) {
    return fail(ErrorCode::kUsage,
                "more than one of encrypted_suffix, unencrypted_suffix, encrypted_regex, "
                "unencrypted_regex, encrypted_comment_regex and unencrypted_comment_regex is set")
        .hint("keep one of them; a flag does not replace a setting of another kind in .sops.yaml")
        .exit(ExitStatus::kConflictingParameters);
  }
  const std::array<const std::string*, 6> texts = {
      &settings.unencrypted_suffix, &settings.encrypted_suffix,          &settings.unencrypted_regex,
      &settings.encrypted_regex,    &settings.unencrypted_comment_regex, &settings.encrypted_comment_regex};
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i]->empty()) continue;
    Selector selector(static_cast<Kind>(i), *texts[i]);
    if (i >= 2) {
      auto pattern = Pattern::compile(*texts[i]);
      if (pattern) {
        selector.pattern_ = std::move(*pattern);
      } else if (strictness == Strictness::kStrict) {
        return fail(ErrorCode::kMalformed, "{} is no valid pattern: {}", kNames[i], pattern.error().message)
            .hint("patterns have RE2 syntax: no look-around, no back references")
            .exit(ExitStatus::kGeneric);
      }
    }
    return selector;
  }
  return Selector(Kind::kUnencryptedSuffix, "");  // nothing set: everything is selected (binary, format.md 3.2)
}

bool Selector::key_matches(std::string_view key) const {
  switch (kind_) {
    case Kind::kUnencryptedSuffix:
    case Kind::kEncryptedSuffix:
      return !text_.empty() && key.ends_with(text_);
    case Kind::kUnencryptedRegex:
    case Kind::kEncryptedRegex:
      return pattern_ && pattern_->matches(key);
    default:
      return false;
  }
}

bool Selector::comment_matches(std::string_view comment) const {
  return uses_comments() && pattern_ && pattern_->matches(comment);
}

bool Selector::selects(bool any_key_matched, bool any_comment_matched) const {
  switch (kind_) {
    case Kind::kUnencryptedSuffix:
    case Kind::kUnencryptedRegex:
      return !any_key_matched;
    case Kind::kEncryptedSuffix:
    case Kind::kEncryptedRegex:
      return any_key_matched;
    case Kind::kUnencryptedComment:
      return !any_comment_matched;
    case Kind::kEncryptedComment:
      return any_comment_matched;
  }
  return true;
}

std::string Selector::describe() const {
  return format("{} '{}'", kNames[static_cast<size_t>(kind_)], escape_for_message(text_));
}

}  // namespace sops
