// SPDX-License-Identifier: MPL-2.0
#include <gtest/gtest.h>

#include "tree/document.h"
#include "tree/edit.h"

namespace sops {
namespace {

TEST(EditList, AppliesInOrderOfPlace) {
  EditList edits;
  edits.add({6, 11}, "there");
  edits.add({0, 5}, "hi");
  edits.add({11, 11}, "!");
  edits.add({11, 11}, "?");
  EXPECT_EQ(edits.apply("hello world")->expose_text(), "hi there!?");
}

TEST(EditList, RefusesOverlaps) {
  EditList edits;
  edits.add({0, 3}, "x");
  edits.add({2, 4}, "y");
  const auto result = edits.apply("hello");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().message, "two changes overlap");
}

TEST(EditList, TakesOverTheStorageOfAnother) {
  EditList edits;
  {
    EditList other;
    other.add({0, 0}, "kept ");
    edits.append(std::move(other));
  }
  EXPECT_EQ(edits.apply("text")->expose_text(), "kept text");
}

TEST(PositionAt, CountsLinesAndCharacters) {
  const std::string_view text = "a\r\nüb\rc";
  EXPECT_EQ(position_at(text, 0).line, 1u);
  EXPECT_EQ(position_at(text, 5).line, 2u);
  EXPECT_EQ(position_at(text, 5).column, 2u);
  EXPECT_EQ(position_at(text, 7).line, 3u);
}

}  // namespace
}  // namespace sops
