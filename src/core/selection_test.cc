// SPDX-License-Identifier: MPL-2.0
#include "core/selection.h"

#include <gtest/gtest.h>

namespace sops {
namespace {

Selector compile(const SelectionSettings& settings) {
  return *Selector::compile(settings, Selector::Strictness::kStrict);
}

// format.md 3.3.
TEST(Selector, DecidesByKeys) {
  const Selector standard = compile(SelectionSettings::standard());
  EXPECT_TRUE(standard.key_matches("a_unencrypted"));
  EXPECT_FALSE(standard.key_matches("a_Unencrypted"));
  EXPECT_TRUE(standard.selects(false, false));
  EXPECT_FALSE(standard.selects(true, false));

  const Selector regex = compile({.encrypted_regex = "^enc:"});
  EXPECT_TRUE(regex.key_matches("enc:x"));
  EXPECT_FALSE(regex.key_matches("xenc:"));
  EXPECT_TRUE(regex.selects(true, false));
  EXPECT_FALSE(regex.selects(false, false));
}

TEST(Selector, DecidesByComments) {
  const Selector encrypted = compile({.encrypted_comment_regex = "sops:enc"});
  EXPECT_TRUE(encrypted.comment_matches(" sops:enc"));
  EXPECT_TRUE(encrypted.selects(false, true));
  EXPECT_FALSE(encrypted.selects(true, false));
  EXPECT_TRUE(encrypted.skips_judged_comment());
  const Selector unencrypted = compile({.unencrypted_comment_regex = "sops:dec"});
  EXPECT_FALSE(unencrypted.selects(false, true));
  EXPECT_FALSE(unencrypted.skips_judged_comment());
}

TEST(Selector, RefusesSeveralSettings) {
  const auto selector =
      Selector::compile({.encrypted_suffix = "a", .encrypted_regex = "b"}, Selector::Strictness::kStrict);
  ASSERT_FALSE(selector);
  EXPECT_EQ(selector.error().exit_status, ExitStatus::kConflictingParameters);
}

// format.md 3.6 [Ours]: reported when encrypting; when decrypting SOPS's reading, never matching, decides.
TEST(Selector, TreatsBadPatternsByStrictness) {
  const auto strict = Selector::compile({.encrypted_regex = "("}, Selector::Strictness::kStrict);
  ASSERT_FALSE(strict);
  EXPECT_EQ(strict.error().message, "encrypted_regex is no valid pattern: missing ): (");
  const auto lenient = Selector::compile({.encrypted_regex = "("}, Selector::Strictness::kLenient);
  ASSERT_TRUE(lenient);
  EXPECT_FALSE(lenient->key_matches("("));
}

}  // namespace
}  // namespace sops
