// SPDX-License-Identifier: MPL-2.0
#include "cloud/aws/json.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace sops::aws {
namespace {

Result<Json> parse(std::string_view text) { return Json::parse(SecureBytes::copy_of(text)); }

TEST(Json, IsReadByName) {
  const auto json =
      parse(R"({"a":"x","n":1767323045000,"f":1.5e3,"o":{"a":"y\u0041"},"b":"AAEC","list":[{"a":"z"}],"z":null})");
  ASSERT_TRUE(json);
  EXPECT_EQ(json->text("a"), "x");
  EXPECT_EQ(json->text({"o", "a"}), "yA");
  EXPECT_EQ(json->number({"n"}), 1767323045000);
  EXPECT_EQ(json->number({"f"}), 1500);
  EXPECT_EQ(json->text("n"), std::nullopt);
  EXPECT_EQ(json->text("z"), std::nullopt);
  EXPECT_EQ(json->text({"a", "b"}), std::nullopt);
  EXPECT_EQ(json->text({"list", "a"}), std::nullopt);
  EXPECT_EQ(json->number({"a"}), std::nullopt);
  EXPECT_EQ(json->blob("b")->size(), 3u);
  EXPECT_EQ(json->blob("a").error().message, "a of the answer is no base64");
  EXPECT_EQ(json->blob("q").error().message, "the answer has no q");
}

TEST(Json, IsRefusedWithoutBeingQuoted) {
  for (const std::string_view bad :
       {"", "<html>secret", "[]", "\"secret\"", "{\"a\":\"secret\"", "{\"a\":secret}", "{} {}", "null"}) {
    const auto json = parse(bad);
    ASSERT_FALSE(json) << bad;
    EXPECT_EQ(to_string(json.error()).find("secret"), std::string::npos) << to_string(json.error());
  }
  EXPECT_FALSE(parse(std::string(100000, '[')));
}

TEST(Json, KeepsWhatItDoesNotKnow) {
  const auto json =
      parse("{ \"startUrl\" : \"u\",\n \"accessToken\": \"old\", \"n\": 1.50, \"o\": { \"k\": \"v\" } }\n");
  ASSERT_TRUE(json);
  const SecureBytes changed =
      json->with({{"accessToken", "n\"ew"}, {"expiresAt", "E"}, {"refreshToken", "R"}, {"o.k", "w"}, {"o.l", "m"}});
  EXPECT_EQ(changed.expose_text(),
            "{ \"startUrl\" : \"u\",\n \"accessToken\": \"n\\\"ew\", \"n\": 1.50, \"o\": { \"k\": \"w\" ,\"l\":\"m\"} "
            ",\"expiresAt\":\"E\",\"refreshToken\":\"R\"}\n");
  const auto empty = parse("{}");
  EXPECT_EQ(empty->with({{"a", "1"}, {"b", "2"}}).expose_text(), R"({"a":"1","b":"2"})");
}

}  // namespace
}  // namespace sops::aws
