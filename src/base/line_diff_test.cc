// SPDX-License-Identifier: MPL-2.0
#include "base/line_diff.h"

#include <gtest/gtest.h>

#include <string>

namespace sops {
namespace {

std::string diff(std::string_view before, std::string_view after) {
  SecureBuffer out;
  append_line_diff(before, after, out);
  return std::string(out.view());
}

TEST(LineDiff, SaysNothingOfEqualTexts) {
  EXPECT_EQ(diff("", ""), "");
  EXPECT_EQ(diff("a\nb\n", "a\nb\n"), "");
}

TEST(LineDiff, ShowsWhatWentAndCame) {
  EXPECT_EQ(diff("a\nb\nc\n", "a\nx\nc\n"), "@@ line 1 @@\n a\n-b\n+x\n c\n");
  EXPECT_EQ(diff("", "a\n"), "@@ line 1 @@\n+a\n");
  EXPECT_EQ(diff("a\n", ""), "@@ line 1 @@\n-a\n");
  EXPECT_EQ(diff("a\nb\nc\nd\n", "b\nc\nnew\nd\n"), "@@ line 1 @@\n-a\n b\n c\n+new\n d\n");
  EXPECT_EQ(diff("a\n", "a"), "(the last line break)\n");
}

TEST(LineDiff, LeavesOutWhatIsFarFromAnyChange) {
  std::string before, after;
  for (int i = 1; i <= 20; ++i) {
    before += std::to_string(i) + "\n";
    after += (i == 2 || i == 19 ? "x" : std::to_string(i)) + "\n";
  }
  EXPECT_EQ(diff(before, after), "@@ line 1 @@\n 1\n-2\n+x\n 3\n 4\n 5\n@@ line 16 @@\n 16\n 17\n 18\n-19\n+x\n 20\n");
}

// Texts so short that everything is shown: without '+' it is the old text, without '-' the new one.
TEST(LineDiff, LeadsFromOneTextToTheOther) {
  uint32_t state = 1;
  for (int round = 0; round < 2000; ++round) {
    std::string before, after;
    for (std::string* text : {&before, &after}) {
      for (int i = 0; i < 4; ++i) {
        state = state * 1664525 + 1013904223;
        if ((state >> 24) % 4 != 0) *text += std::string(1, static_cast<char>('a' + (state >> 26) % 3)) + "\n";
      }
    }
    const std::string shown = diff(before, after);
    if (before == after) {
      EXPECT_EQ(shown, "");
      continue;
    }
    std::string without_came, without_gone;
    for (size_t at = shown.find('\n') + 1; at < shown.size(); at = shown.find('\n', at) + 1) {
      const std::string line = shown.substr(at, shown.find('\n', at) + 1 - at);
      if (line[0] != '+') without_came += line.substr(1);
      if (line[0] != '-') without_gone += line.substr(1);
    }
    EXPECT_EQ(without_came, before) << shown;
    EXPECT_EQ(without_gone, after) << shown;
  }
}

TEST(LineDiff, TakesTextsThatDifferInEverything) {
  std::string before, after;
  for (int i = 0; i < 5000; ++i) {
    before += "a" + std::to_string(i) + "\n";
    after += "b" + std::to_string(i) + "\n";
  }
  EXPECT_EQ(diff(before, after).size(), before.size() + after.size() + 10000 + std::string("@@ line 1 @@\n").size());
}

}  // namespace
}  // namespace sops
