// SPDX-License-Identifier: MPL-2.0
//
// The rules are those of the specification, keys-age.md 3.6.
#include "base/shell_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sops {
namespace {

using ::testing::ElementsAre;

TEST(ShellWords, FollowsTheRulesOfTheSpecification) {
  const auto words = [](std::string_view text) { return split_shell_words(text).value(); };
  EXPECT_THAT(words(""), ElementsAre());
  EXPECT_THAT(words(" \t\r\n"), ElementsAre());
  EXPECT_THAT(words("cat  /a\tb\r\nc"), ElementsAre("cat", "/a", "b", "c"));
  EXPECT_THAT(words(R"(a "b c" 'd e')"), ElementsAre("a", "b c", "d e"));
  EXPECT_THAT(words(R"(a"b c"'d'e)"), ElementsAre("ab cde"));
  EXPECT_THAT(words(R"("" '')"), ElementsAre("", ""));
  EXPECT_THAT(words(R"("a\"b\n" 'c\d' e\ f\\)"), ElementsAre("a\"bn", "c\\d", "e f\\"));
  EXPECT_THAT(words("a # b 'c\nd"), ElementsAre("a", "d"));
  EXPECT_THAT(words("a#b \"#\" \\#"), ElementsAre("a#b", "#", "#"));
  EXPECT_THAT(words("$HOME ~ *.txt `id` | ; &&"), ElementsAre("$HOME", "~", "*.txt", "`id`", "|", ";", "&&"));
  for (std::string_view text : {"\"a", "'a", "a\\", "\"a\\", "a 'b\" c"}) {
    const auto result = split_shell_words(text);
    ASSERT_FALSE(result.has_value()) << text;
    EXPECT_EQ(result.error().code, ErrorCode::kMalformed);
  }
}

}  // namespace
}  // namespace sops
