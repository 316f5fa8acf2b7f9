// SPDX-License-Identifier: MPL-2.0
//
// Configuration files, profiles and endpoints. Expectations: keys-aws.md 2 and 7, which were taken from the SDK.
#include "cloud/aws/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "cloud/aws/endpoint.h"
#include "tests/support/fake_services.h"

namespace sops::aws {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string shown(const ConfigFile& file) {
  std::string text;
  for (const auto& [name, section] : file.sections) {
    text += format("[{}]", name);
    for (const auto& [key, property] : section) {
      text += format(" {}={}", key, property.value);
      for (const auto& [inner, value] : property.nested) text += format("<{}={}>", inner, value);
    }
    text += "\n";
  }
  return text;
}

// keys-aws.md 7.3, rule by rule.
TEST(ConfigFile, HasTheGrammarOfTheSdk) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"# c\n ; c\n\n[default]\na=1", "[default] a=1\n"},
      {"[ profile \t x ] # c\r\na = 1\r\n", "[profile x] a=1\n"},
      {"[a;b]\n[c]\nk=v", "[c] k=v\n"},
      {"[a\nk=v\n[b]\nk=v", "[b] k=v\n"},
      {"[p]\nA=1\na=2\n[p]\nb=3", "[p] a=2 b=3\n"},
      {"[p]\na=1 # c\nb=1#d\nc=x\t;c", "[p] a=1 b=1#d c=x\n"},
      {"[p]\na: b=c\nd=e:f", "[p] a=b=c d=e:f\n"},
      {"[p]\na=\"x y\"\nb='z'\nc=\"q'\nd=\"", "[p] a=x y b=z c=\"q' d=\"\n"},
      {"[p]\nnothing\na=1", "[p] a=1\n"},
      {"[services x]\nkms =\n  endpoint_url = http://h # kept\n  other=1",
       "[services x] kms=<endpoint_url=http://h # kept><other=1>\n"},
      {"[p]\na=1\n  b = 2 # c\n", "[p] a=1 b=2\n"},
      {"[p]\na=1\n  more\n\tand more\nb=2", "[p] a=1\nmore\nand more b=2\n"},
      {"a=1\n[p]\n", "[p]\n"},
      {"[p]\n  a=1", "[p] a=1\n"},
      {"[p]\na=\n  more", "[p] a=\n"},
      {"", ""},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(shown(parse_config_file(text)), expected) << text;
}

TEST(ConfigFile, TakesAnything) {
  std::string text = "[profile a]\nkey = \"v\" # c\n  sub\nservices =\n x=1\n[default]\nb:2\n";
  for (size_t size = 0; size <= text.size(); ++size) (void)parse_config_file(text.substr(0, size));
  for (size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = text;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      (void)parse_config_file(flipped);
    }
  }
}

class Profiles : public ::testing::Test {
 protected:
  void config(std::string_view text) { world_.files.put("/home/person/.aws/config", text); }
  void credentials(std::string_view text) { world_.files.put("/home/person/.aws/credentials", text); }
  void set(const std::string& name, const std::string& value) { world_.environment.set(name, value); }

  Result<Settings> load(std::string_view key_profile = "") {
    files_ = SharedFiles::load(world_.services());
    return Settings::load(files_, key_profile, world_.environment);
  }
  std::string failure(std::string_view key_profile = "") {
    const auto settings = load(key_profile);
    return settings ? "" : to_string(settings.error());
  }
  std::string endpoint(EndpointQuery query) {
    const auto settings = load();
    if (!settings) return to_string(settings.error());
    const auto found = find_endpoint(query, *settings);
    return found ? found->at("/") : found.error().message;
  }
  std::string kms(std::string_view region = "us-east-1") { return endpoint({.service = "kms", .region = region}); }

  FakeServices world_;
  SharedFiles files_;
};

TEST_F(Profiles, AreSelectedByKeyThenVariables) {
  config("[default]\nregion=d\n[profile a]\nregion=a\n[profile b]\nregion=b\n[profile c]\nregion=c\n");
  EXPECT_EQ(load()->profile()->text("region"), "d");
  set("AWS_DEFAULT_PROFILE", "a");
  EXPECT_EQ(load()->profile()->text("region"), "a");
  set("AWS_PROFILE", "b");
  EXPECT_EQ(load()->profile()->text("region"), "b");
  EXPECT_EQ(load("c")->profile()->text("region"), "c");
  EXPECT_EQ(load("c")->describe_profile(), "profile 'c' (named by the key's aws_profile)");
  set("AWS_PROFILE", "");
  EXPECT_EQ(load()->describe_profile(), "profile 'a' (named by AWS_DEFAULT_PROFILE)");
}

TEST_F(Profiles, MustExistIfSomebodyNamesThem) {
  EXPECT_FALSE(load()->profile());
  EXPECT_EQ(failure("x"),
            "there is no AWS profile 'x' in /home/person/.aws/config or /home/person/.aws/credentials; the key's "
            "aws_profile asks for it");
  set("AWS_DEFAULT_PROFILE", "gone");
  EXPECT_EQ(failure(), "");
  set("AWS_PROFILE", "gone");
  EXPECT_THAT(failure(), StartsWith("there is no AWS profile 'gone'"));
  EXPECT_EQ(load().error().code, ErrorCode::kNotFound);
}

TEST_F(Profiles, LieWhereTheVariablesSay) {
  set("AWS_CONFIG_FILE", "/c");
  set("AWS_SHARED_CREDENTIALS_FILE", "/s");
  world_.files.put("/c", "[profile a]\nregion = r\n");
  world_.files.put("/s", "[a]\naws_access_key_id = I\naws_secret_access_key = S\n");
  const auto settings = load("a");
  EXPECT_EQ(settings->profile()->text("region"), "r");
  EXPECT_EQ(settings->profile()->keys()->id, "I");
  EXPECT_EQ(settings->profile()->describe(), "profile 'a' in /c and /s");
}

TEST_F(Profiles, HaveTheirSections) {
  config("[DEFAULT]\na=1\n[b]\na=2\n[profile c d]\na=3\n");
  EXPECT_EQ(load()->profile()->text("a"), "1");
  EXPECT_FALSE(load("b"));
  EXPECT_EQ(load("c d")->profile()->text("a"), "3");
  config("[profile default]\na=4\n[default]\na=1\n");
  EXPECT_EQ(load()->profile()->text("a"), "4");
  credentials("[profile x]\na=5\n[y]\na=6\n");
  EXPECT_FALSE(load("x"));
  EXPECT_EQ(load("y")->profile()->text("a"), "6");
}

TEST_F(Profiles, AreMergedFromBothFiles) {
  config("[profile a]\nregion=c\nendpoint_url=http://c\naws_access_key_id=CI\naws_secret_access_key=CS\nrole_arn=R\n");
  credentials(
      "[a]\nregion=s\nendpoint_url=http://s\naws_access_key_id=SI\naws_secret_access_key=SS\naws_session_token=ST\n");
  const auto settings = load("a");
  const ProfileView& profile = *settings->profile();
  EXPECT_EQ(profile.text("region"), "s");
  EXPECT_EQ(profile.text("role_arn"), "R");
  EXPECT_EQ(profile.text("endpoint_url"), "http://c");
  EXPECT_EQ(profile.keys()->id, "SI");
  EXPECT_EQ(profile.keys()->secret, "SS");
  EXPECT_EQ(profile.keys()->token, "ST");
  config("");
  EXPECT_EQ(load("a")->profile()->text("endpoint_url"), "http://s");
  config("[profile a]\naws_session_token=CT\n");
  credentials("[a]\naws_access_key_id=SI\naws_secret_access_key=SS\n");
  EXPECT_EQ(load("a")->profile()->keys()->token, "");
}

TEST_F(Profiles, AreRefusedWhenTheyContradictThemselves) {
  const auto refused = [&](std::string_view text) {
    config(format("[profile a]\n{}\n", text));
    return failure("a");
  };
  const std::string in = "profile 'a' in /home/person/.aws/config";
  const std::string by_key = " (profile 'a' (named by the key's aws_profile))";
  EXPECT_EQ(refused("aws_access_key_id=I"), in + " has aws_access_key_id, but not aws_secret_access_key" + by_key);
  EXPECT_EQ(refused("aws_secret_access_key=S"), in + " has aws_secret_access_key, but not aws_access_key_id" + by_key);
  EXPECT_EQ(refused("role_arn=R\nsource_profile=b\ncredential_source=Environment"),
            in + " has both source_profile and credential_source" + by_key);
  EXPECT_EQ(refused("credential_process=x\nweb_identity_token_file=y\nrole_arn=R"),
            in + " has both credential_process and web_identity_token_file" + by_key);
  EXPECT_EQ(refused("source_profile=b"), in + " has source_profile, but no role_arn" + by_key);
  EXPECT_EQ(refused("credential_source=Environment"), in + " has credential_source, but no role_arn" + by_key);
  EXPECT_EQ(refused("sso_session=s"),
            in + " has sso_session = s, but /home/person/.aws/config has no section [sso-session s]" + by_key);
  EXPECT_EQ(refused("max_attempts=many"), format("max_attempts is 'many', but must be a number ({}){}", in, by_key));
  EXPECT_EQ(refused("retry_mode=legacy"),
            format("retry_mode is 'legacy', but only standard and adaptive are known ({}){}", in, by_key));
  EXPECT_EQ(
      refused("ec2_metadata_service_endpoint_mode=IPv5"),
      format("ec2_metadata_service_endpoint_mode is 'IPv5', but only IPv4 and IPv6 are known ({}){}", in, by_key));
  EXPECT_EQ(refused("services=gone\nduration_seconds=x\nuse_fips_endpoint=maybe"), "");
}

TEST_F(Profiles, AreNotReachedWhenAVariableIsBad) {
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"AWS_USE_FIPS_ENDPOINT", "yes"},
                                          {"AWS_MAX_ATTEMPTS", "3x"},
                                          {"AWS_RETRY_MODE", "legacy"},
                                          {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "v4"}}) {
    set(name, value);
    EXPECT_THAT(failure(), StartsWith(format("{} is '{}', but ", name, value)));
    world_.environment.unset(name);
  }
  set("AWS_USE_FIPS_ENDPOINT", "TRUE");
  set("AWS_MAX_ATTEMPTS", "0");
  EXPECT_EQ(load()->max_attempts(), 3);
  set("AWS_MAX_ATTEMPTS", "5");
  EXPECT_EQ(load()->max_attempts(), 5);
}

// --- endpoints, keys-aws.md 2.2 and 2.3 ------------------------------------------------------------------------------

TEST_F(Profiles, ReachTheHostsOfTheTable) {
  EXPECT_EQ(kms(), "https://kms.us-east-1.amazonaws.com/");
  EXPECT_EQ(kms("cn-north-1"), "https://kms.cn-north-1.amazonaws.com.cn/");
  EXPECT_EQ(kms("us-gov-west-1"), "https://kms.us-gov-west-1.amazonaws.com/");
  EXPECT_EQ(kms("eusc-de-east-1"), "https://kms.eusc-de-east-1.amazonaws.eu/");
  EXPECT_EQ(kms("us-isob-east-1"), "https://kms.us-isob-east-1.sc2s.sgov.gov/");
  EXPECT_EQ(kms("fips-us-east-1"), "https://kms-fips.us-east-1.amazonaws.com/");
  EXPECT_EQ(kms("us-east-1-fips"), "https://kms-fips.us-east-1.amazonaws.com/");
  EXPECT_EQ(endpoint({.service = "sts", .region = "eu-west-1"}), "https://sts.eu-west-1.amazonaws.com/");
  EXPECT_EQ(endpoint({.service = "sts", .region = "aws-global"}), "https://sts.amazonaws.com/");
  EXPECT_EQ(endpoint({.service = "sso", .region = "eu-west-1"}), "https://portal.sso.eu-west-1.amazonaws.com/");
  EXPECT_EQ(endpoint({.service = "sso_oidc", .region = "eu-west-1"}), "https://oidc.eu-west-1.amazonaws.com/");
  EXPECT_EQ(endpoint({.service = "signin", .region = "eu-west-1"}), "https://eu-west-1.signin.aws.amazon.com/");
  EXPECT_EQ(endpoint({.service = "signin", .region = "cn-north-1"}), "https://cn-north-1.signin.amazonaws.cn/");
}

TEST_F(Profiles, AskForFipsAndDualStack) {
  config("[default]\nuse_fips_endpoint = true\n");
  EXPECT_EQ(kms(), "https://kms-fips.us-east-1.amazonaws.com/");
  EXPECT_EQ(endpoint({.service = "sts", .region = "us-gov-west-1"}), "https://sts.us-gov-west-1.amazonaws.com/");
  EXPECT_EQ(endpoint({.service = "sso", .region = "us-east-1"}), "https://portal.sso-fips.us-east-1.amazonaws.com/");
  set("AWS_USE_DUALSTACK_ENDPOINT", "true");
  EXPECT_EQ(kms(), "https://kms-fips.us-east-1.api.aws/");
  set("AWS_USE_FIPS_ENDPOINT", "false");
  EXPECT_EQ(kms(), "https://kms.us-east-1.api.aws/");
  EXPECT_EQ(kms("cn-north-1"), "https://kms.cn-north-1.api.amazonwebservices.com.cn/");
}

// keys.md 2.1.
TEST_F(Profiles, ReachNoHostThatAFileMadeUp) {
  EXPECT_EQ(kms("s3"), "'s3' is no region of AWS");
  EXPECT_EQ(kms("us-east-1.evil"), "'us-east-1.evil' is no region of AWS");
  EXPECT_EQ(kms("aws-global"), "'aws-global' is no region of AWS");
  EXPECT_EQ(kms("fips-s3"), "'fips-s3' is no region of AWS");
  EXPECT_EQ(endpoint({.service = "kms", .region = "us-east-1", .partition = "aws-cn"}),
            "region us-east-1 lies in partition aws, not in aws-cn as the ARN says");
  EXPECT_EQ(endpoint({.service = "kms", .region = "us-east-1", .partition = "aws"}),
            "https://kms.us-east-1.amazonaws.com/");
  set("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
  EXPECT_EQ(endpoint({.service = "kms", .region = "bazbam", .partition = "aws-foobar"}), "http://127.0.0.1:1/");
  EXPECT_EQ(kms("a.b"), "'a.b' is no region");
}

TEST_F(Profiles, NameEndpointsInThisOrder) {
  config(
      "[default]\nendpoint_url = https://profile/\nservices = s\n[services s]\nkms =\n  endpoint_url = "
      "https://section/a/\n");
  set("AWS_ENDPOINT_URL", "");
  EXPECT_EQ(kms(), "https://section/a");
  EXPECT_EQ(endpoint({.service = "sts", .region = "us-east-1"}), "https://profile/");
  set("AWS_ENDPOINT_URL", "https://all:8443/base/");
  EXPECT_EQ(kms(), "https://all:8443/base");
  set("AWS_ENDPOINT_URL_KMS", "https://kms.example");
  EXPECT_EQ(kms(), "https://kms.example/");
  EXPECT_EQ(endpoint({.service = "sts", .region = "us-east-1"}), "https://all:8443/base");
  set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
  EXPECT_EQ(kms(), "https://kms.us-east-1.amazonaws.com/");
}

TEST_F(Profiles, MayIgnoreEndpoints) {
  config("[default]\nendpoint_url = https://profile\nignore_configured_endpoint_urls = True\n");
  set("AWS_ENDPOINT_URL", "https://all");
  EXPECT_EQ(kms(), "https://kms.us-east-1.amazonaws.com/");
}

// keys.md 2.4.
TEST_F(Profiles, SendNoBearerTokenInTheClear) {
  const EndpointQuery sso{.service = "sso", .region = "us-east-1", .sends_bearer = true};
  const EndpointQuery web{.service = "sts", .region = "us-east-1", .sends_bearer = true};
  set("AWS_ENDPOINT_URL", "http://10.0.0.1:1");
  EXPECT_EQ(endpoint(sso), "https://portal.sso.us-east-1.amazonaws.com/");
  EXPECT_EQ(endpoint(web), "https://sts.us-east-1.amazonaws.com/");
  EXPECT_EQ(endpoint({.service = "sts", .region = "us-east-1"}), "http://10.0.0.1:1/");
  EXPECT_TRUE(find_endpoint({.service = "kms", .region = "us-east-1"}, *load())->is_clear);
  set("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
  EXPECT_EQ(endpoint(sso), "http://127.0.0.1:1/");
  EXPECT_FALSE(find_endpoint({.service = "kms", .region = "us-east-1"}, *load())->is_clear);
  set("AWS_ENDPOINT_URL", "https://10.0.0.1:1");
  EXPECT_EQ(endpoint(web), "https://10.0.0.1:1/");
  set("AWS_ENDPOINT_URL_SSO", "http://10.0.0.2:1");
  EXPECT_EQ(endpoint(sso), "http://10.0.0.2:1/");
}

TEST_F(Profiles, RefuseEndpointsThatAreNone) {
  set("AWS_ENDPOINT_URL", "localhost:4566");
  EXPECT_EQ(kms(), "AWS_ENDPOINT_URL is no endpoint: an address must begin with https:// or http://");
  set("AWS_ENDPOINT_URL_KMS", "http://u:secret@h/");
  EXPECT_EQ(kms(), "AWS_ENDPOINT_URL_KMS is no endpoint: an address holds no user name or password");
  set("AWS_ENDPOINT_URL_KMS", "http://h/?a=b");
  EXPECT_EQ(kms(), "AWS_ENDPOINT_URL_KMS must not have a query");
  set("AWS_ENDPOINT_URL_KMS", "http://h/");
  set("AWS_USE_FIPS_ENDPOINT", "true");
  EXPECT_EQ(kms(),
            "AWS_ENDPOINT_URL_KMS does not go together with FIPS endpoints (AWS_USE_FIPS_ENDPOINT, use_fips_endpoint "
            "or the region)");
  set("AWS_USE_FIPS_ENDPOINT", "false");
  set("AWS_USE_DUALSTACK_ENDPOINT", "true");
  EXPECT_EQ(kms(),
            "AWS_ENDPOINT_URL_KMS does not go together with dual-stack endpoints (AWS_USE_DUALSTACK_ENDPOINT or "
            "use_dualstack_endpoint)");
}

}  // namespace
}  // namespace sops::aws
