// SPDX-License-Identifier: MPL-2.0
#include <gtest/gtest.h>

#include "core/layout.h"
#include "core/mac.h"
#include "core/tree_path.h"

namespace sops {
namespace {

// format.md 4.5.
TEST(Mac, AgreesWithTheSpecsVectors) {
  Mac all(false);
  for (std::string_view leaf : {"bar", "5", "False", "2.12", "True"}) all.add(leaf, false);
  EXPECT_EQ(all.finish(),
            "0319164C98F5D12497EA5267312FA1FC13FDA0B893AE69050604578845047F1BCDF86F8E5E4D32C398A06224D4BE249F757C61E954"
            "C2E62F756D2B880623"
            "DFEF");
  Mac only(true);
  only.add("bar", true);
  only.add("ignored", false);
  only.add("5", true);
  EXPECT_EQ(only.finish(),
            "3390936B6660468E644287AAD495046C8B27857E2E4FB2545A088D8903AB1900DC49BEF0F8835901D3C035F80C106E5CBA127DCDC0"
            "31415535C89615A932"
            "2A1C");
  EXPECT_TRUE(Mac(false).finish().starts_with("CF83E135"));
}

// cli.md 5.1 with the [Q] rows decided as malformed.
TEST(TreePath, FollowsSopsGrammar) {
  EXPECT_EQ(to_string(*parse_tree_path("[\"a\"]['b'][0]")), "[\"a\"][\"b\"][0]");
  EXPECT_EQ(to_string(*parse_tree_path("[\"a]b\"][-1]")), "[\"a]b\"][-1]");
  EXPECT_TRUE(parse_tree_path("")->empty());
  for (std::string_view bad : {"a", "[\"a\"] [\"b\"]", "[a]", "[]", "[\"]", "[\"a]", "[\"a\"] "}) {
    const auto path = parse_tree_path(bad);
    ASSERT_FALSE(path) << bad;
    EXPECT_EQ(path.error().exit_status, ExitStatus::kBadTreePath);
  }
}

TEST(Layout, DecodesWhatItEncodes) {
  const std::string tag = "1xzewusSh6hzs55BJEAuSA==";
  const std::string long_text(300, 'x');
  const std::vector<LayoutHint> hints = {{.tag_b64 = tag, .original = "0x1F"},
                                         {.levels_up = 2, .tag_b64 = tag, .original = long_text}};
  const auto encoded = encode_layout(hints, 1000);
  ASSERT_TRUE(encoded);
  const auto decoded = decode_layout(encoded->expose_text());
  ASSERT_TRUE(decoded);
  ASSERT_EQ(decoded->size(), 2u);
  EXPECT_EQ((*decoded)[0].original, "0x1F");
  EXPECT_EQ((*decoded)[0].prefix, tag_bytes(tag).substr(0, 4));
  EXPECT_EQ((*decoded)[1].levels_up, 2u);
  EXPECT_EQ((*decoded)[1].original, long_text);
}

TEST(Layout, StaysWithinItsLimit) {
  const std::vector<LayoutHint> many(100000, {.tag_b64 = "1xzewusSh6hzs55BJEAuSA==", .original = "00"});
  EXPECT_TRUE(encode_layout(many, 100000 * 8));
  EXPECT_FALSE(encode_layout(many, 100000 * 7));
}

TEST(Layout, RefusesDamage) {
  const std::vector<LayoutHint> hints = {{.tag_b64 = "1xzewusSh6hzs55BJEAuSA==", .original = "0x1F"}};
  const SecureBytes encoded = std::move(*encode_layout(hints, 1000));
  for (size_t i = 0; i < encoded.size(); ++i) {
    // After one byte there is a complete layout without hints.
    EXPECT_EQ(decode_layout(encoded.expose_text().substr(0, i)).has_value(), i == 1) << i;
  }
  EXPECT_FALSE(decode_layout(std::string("\x02", 1)));
  EXPECT_FALSE(decode_layout(std::string("\x01\xff\xff\xff\xff\xff\xff", 7)));
}

}  // namespace
}  // namespace sops
