// SPDX-License-Identifier: MPL-2.0
#include "pattern/pattern.h"

#include <gtest/gtest.h>

namespace sops {
namespace {

bool matches(std::string_view expression, std::string_view text) { return Pattern::compile(expression)->matches(text); }

// format.md 3.5 and Go's regexp/syntax page.
TEST(Pattern, SearchesUnanchoredWithGoSyntax) {
  EXPECT_TRUE(matches("ass", "password"));
  EXPECT_FALSE(matches("^ass", "password"));
  EXPECT_TRUE(matches("(?i)PASS", "password"));
  EXPECT_TRUE(matches("(?<name>pass)w", "password"));
  EXPECT_TRUE(matches("(?P<name>pass)w", "password"));
  EXPECT_TRUE(matches("[(?<]x", "<x"));
  EXPECT_TRUE(matches("\\Q(?<a>\\E", "x(?<a>"));
  EXPECT_FALSE(matches("a$", "a\n"));
  EXPECT_TRUE(matches("\\pL+", "ключ"));
}

TEST(Pattern, SeesBadUtf8AsReplacementCharacters) {
  EXPECT_TRUE(matches("^a\uFFFDb$",
                      "a\xff"
                      "b"));
}

TEST(Pattern, RefusesWhatGoRefuses) {
  for (const char* bad : {"(", "[ ]\\K(?<!\\d )(?=", "a(?=b)", "\\C", "a{1001}", "(?<n"}) {
    EXPECT_FALSE(Pattern::compile(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace sops
