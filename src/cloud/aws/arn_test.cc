// SPDX-License-Identifier: MPL-2.0
#include "cloud/aws/arn.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace sops::aws {
namespace {

std::string parse(std::string_view text) {
  const auto arn = KmsArn::parse(text);
  if (!arn) return arn.error().message;
  return format("{} {} {} {}", arn->partition, arn->region, arn->account, arn->resource);
}

// keys-aws.md 1.1 and the table of 11.4.
TEST(KmsArn, IsWhatSopsAccepts) {
  EXPECT_EQ(parse("arn:aws:kms:us-west-2:107501996527:key/612d5f0p-p1l3-45e6-aca6-a5b005693a48"),
            "aws us-west-2 107501996527 key/612d5f0p-p1l3-45e6-aca6-a5b005693a48");
  EXPECT_EQ(parse("arn:aws-us-gov:kms:us-gov-west-1:1:alias/a/b"), "aws-us-gov us-gov-west-1 1 alias/a/b");
  EXPECT_EQ(parse("arn:aws-cn:kms:cn-north-1:12:key/mrk-1"), "aws-cn cn-north-1 12 key/mrk-1");
  EXPECT_EQ(parse("arn:aws-foobar:kms:bazbam:927034868273:key/x"), "aws-foobar bazbam 927034868273 key/x");
  EXPECT_EQ(parse("arn:awsfoo_1:kms:r:1:key/x"), "awsfoo_1 r 1 key/x");
  EXPECT_EQ(parse("arn:aws:kms:r:1:key/x:2:key/y"),
            "'r:1:key/x' is no region (in the ARN arn:aws:kms:r:1:key/x:2:key/y)");
}

TEST(KmsArn, IsNothingElse) {
  for (const std::string text :
       {"", "alias/x", "1234abcd-12ab-34cd-56ef-1234567890ab", "arn:gcp:kms:antartica-north-2::key/x",
        "arn:aws:kms::1:key/x", "arn:aws:kms:us-east-1::key/x", "arn:aws:kms:us-east-1:1a:key/x",
        "arn:aws:s3:us-east-1:1:key/x", "arn:aws:kms:us-east-1:1:key/", "arn:aws:kms:us-east-1:1:grant/x",
        "arn:aws:kms:us-east-1:1:key", " arn:aws:kms:r:1:key/x", "arn:aw:kms:r:1:key/x", "arn:aws/:kms:r:1:key/x",
        "arn:aws", "arn:aws:kms:", "arn:aws:kms:r:1:key/x\ny"}) {
    EXPECT_EQ(parse(text), format("no valid ARN found in '{}'", escape_for_message(text)));
  }
}

TEST(KmsArn, HasARegionThatIsAHostLabel) {
  for (const std::string_view region : {"a.b", "a/b", "us-east-1@evil", "us_east", "a b", "\xc3\xa9"}) {
    EXPECT_FALSE(KmsArn::parse(format("arn:aws:kms:{}:1:key/x", region))) << region;
  }
}

TEST(KmsArn, FailsOnEveryPrefixWithoutACrash) {
  const std::string_view whole = "arn:aws:kms:us-east-1:123456789012:key/x";
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(KmsArn::parse(whole.substr(0, size)));
}

// keys.md 2.1.
TEST(RoleArn, HasItsForm) {
  for (const std::string_view good :
       {"arn:aws:iam::927034868273:role/sops-dev", "arn:aws-cn:iam::927034868273:role/a/b",
        "arn:aws-foobar:iam::927034868273:role/y"}) {
    EXPECT_TRUE(is_role_arn(good)) << good;
  }
  for (const std::string_view bad :
       {"", "sops-dev", "arn:aws:iam::92703486827:role/x", "arn:aws:iam::9270348682731:role/x",
        "arn:aws:iam:us-east-1:927034868273:role/x", "arn:aws:iam::927034868273:role/",
        "arn:aws:iam::927034868273:user/x", "arn:aws:sts::927034868273:role/x", "arn:aws:iam::92703486827x:role/x"}) {
    EXPECT_FALSE(is_role_arn(bad)) << bad;
  }
}

// keys.md 2.1: "`s3` would give `kms.s3.amazonaws.com`".
TEST(Regions, AreToldFromEverythingElse) {
  for (const std::string_view good : {"us-east-1", "ap-southeast-3", "us-gov-west-1", "us-isob-east-1",
                                      "eusc-de-east-1", "mx-central-1", "cn-north-1"}) {
    EXPECT_TRUE(is_region(good)) << good;
  }
  for (const std::string_view bad : {"", "s3", "us-east", "east-1", "us-east-1.evil", "US-EAST-1", "us-east-123",
                                     "us--east-1", "-us-east-1", "us-east-1-", "u-east-1", "usaeast-east-1",
                                     "aws-global", "us-a-b-c-d-1", "us-east-1\n", "us-e4st-1", "1-us-1"}) {
    EXPECT_FALSE(is_region(bad)) << bad;
  }
  EXPECT_FALSE(is_region("us-" + std::string(64, 'a') + "-1"));  // longer than a label of a host may be
}

// keys-aws.md 2.1.
TEST(Regions, HaveTheirPartition) {
  const std::pair<std::string_view, std::string_view> cases[] = {{"us-east-1", "aws"},
                                                                 {"mx-central-1", "aws"},
                                                                 {"cn-north-1", "aws-cn"},
                                                                 {"us-gov-west-1", "aws-us-gov"},
                                                                 {"us-iso-east-1", "aws-iso"},
                                                                 {"us-isob-east-1", "aws-iso-b"},
                                                                 {"eu-isoe-west-1", "aws-iso-e"},
                                                                 {"us-isof-south-1", "aws-iso-f"},
                                                                 {"eusc-de-east-1", "aws-eusc"},
                                                                 {"nowhere-north-1", "aws"},
                                                                 {"us-gov-west", "aws"}};
  for (const auto& [region, partition] : cases) EXPECT_EQ(find_partition(region).name, partition) << region;
  EXPECT_EQ(find_partition("cn-northwest-1").dns_suffix, "amazonaws.com.cn");
}

// keys-aws.md 3 and the table of 11.4.
TEST(SessionName, IsTheOneThatSopsMakes) {
  EXPECT_EQ(session_name("sops@some-hostname"), "sops@somehostname");
  EXPECT_EQ(session_name("sops@my \"host\"+1.example,x=_y"), "sops@myhost1.example,x=_y");
  EXPECT_EQ(session_name("sops@a[b\\c]d^e"), "sops@abcde");
  EXPECT_EQ(session_name("sops@" + std::string(100, 'a')), "sops@" + std::string(59, 'a'));
}

}  // namespace
}  // namespace sops::aws
