// SPDX-License-Identifier: MPL-2.0
//
// Which credentials are used, and what each source says when it fails. Rules: keys-aws.md 3, 7; keys.md 3.3-3.5.
#include "cloud/aws/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/text.h"
#include "sys/run_state.h"
#include "tests/support/fake_aws.h"

namespace sops::aws {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr const char* kRole = "arn:aws:iam::111122223333:role/sops";
const std::string kIn = " in /home/person/.aws/config";
const std::string kOnly = " was selected; no other credentials were considered)";

class Sources : public ::testing::Test, public FakeAws {};

// --- selection, 7.1 ------------------------------------------------------------------------------------------------

TEST_F(Sources, AreSelectedInThisOrder) {
  credentials(
      "[default]\naws_access_key_id=D\naws_secret_access_key=s\n[p]\naws_access_key_id=P\naws_secret_access_key=s\n"
      "aws_session_token=t\n");
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(signer(), "D");
  set("AWS_PROFILE", "p");
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(signer(), "P");
  EXPECT_EQ(sent.back().header("x-amz-security-token"), "t");
  set("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
  set("AWS_ROLE_ARN", kRole);
  world.files.put("/token", "jwt\n");
  on(kSts, role("WEB"));
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(signer(), "WEB");
  set_keys();
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(signer(), "AKIDENV");
  EXPECT_EQ(sent.back().header("x-amz-security-token"), "");
  EXPECT_EQ(failure("p"), "");
  EXPECT_EQ(signer(), "P");
}

TEST_F(Sources, TakeOldNamesOfVariables) {
  set("AWS_ACCESS_KEY", "OLD");
  set("AWS_SECRET_KEY", "s");
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(signer(), "OLD");
}

TEST_F(Sources, AreListedWhenThereAreNone) {
  EXPECT_EQ(
      failure(),
      "no AWS credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set; AWS_WEB_IDENTITY_TOKEN_FILE is not "
      "set; profile 'default' is neither in /home/person/.aws/config nor in /home/person/.aws/credentials; "
      "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and …_FULL_URI are not set; the instance metadata service is disabled by "
      "AWS_EC2_METADATA_DISABLED / log in with aws sso login, export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
      "name a profile (AWS_PROFILE)");
  EXPECT_EQ(call().error().code, ErrorCode::kNotFound);
  set("AWS_ACCESS_KEY_ID", "half");
  config("[default]\nregion = r\n[profile q]\nregion = r\n");
  world.run.get<Client>();
  FakeAws other;  // failures last for some seconds in one run
  other.set("AWS_ACCESS_KEY_ID", "half");
  other.config("[default]\nregion = r\n[profile q]\nregion = r\n");
  EXPECT_THAT(other.failure(),
              StartsWith("no AWS credentials: AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not; "
                         "AWS_WEB_IDENTITY_TOKEN_FILE is not set; profile 'default'" +
                         kIn + " has none; "));
  EXPECT_THAT(other.failure("q"), StartsWith("no AWS credentials: profile 'q'" + kIn + " has none; AWS_CONTAINER"));
  EXPECT_THAT(other.sent, IsEmpty());
}

// --- roles, 3 and 7.4-7.6 --------------------------------------------------------------------------------------------

TEST_F(Sources, AssumeTheRoleOfAKey) {
  set_keys();
  on(kSts, role("ROLE"));
  EXPECT_EQ(failure(call_with({.role_arn = kRole, .role_session_name = "sops@host"})), "");
  EXPECT_THAT(places(), ElementsAre(kSts, kKms));
  EXPECT_EQ(
      sent[0].body,
      "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fsops&RoleSessionName="
      "sops%40host");
  EXPECT_EQ(signer_of(sent[0]), "AKIDENV");
  EXPECT_THAT(sent[0].header("authorization"), HasSubstr("/us-east-1/sts/aws4_request"));
  EXPECT_EQ(sent[0].header("content-type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(signer(), "ROLE");
  EXPECT_EQ(sent[1].header("x-amz-security-token"), "token-of-ROLE");
}

TEST_F(Sources, AskStsInTheRegionOfTheKey) {
  set_keys();
  on("POST https://sts.eu-west-1.amazonaws.com/", role("ROLE"));
  on("POST https://kms.eu-west-1.amazonaws.com/", {.body = "{}"});
  EXPECT_EQ(failure(call_with({.role_arn = kRole, .role_session_name = "s"}, "eu-west-1")), "");
}

TEST_F(Sources, SayWhyARoleWasRefused) {
  set_keys();
  on(kSts, xml_error(403, "AccessDenied", "User u may not assume r"));
  EXPECT_EQ(
      failure(call_with({.role_arn = kRole, .role_session_name = "s"})),
      "failed to assume role 'arn:aws:iam::111122223333:role/sops' at sts.us-east-1.amazonaws.com: AccessDenied: User "
      "u "
      "may not assume r (HTTP 403, request r-1) / credentials: AWS_ACCESS_KEY_ID; their policy, or that of the key or "
      "role, does not allow it");
  for (const std::string body : {"<a", "", "{}", "<a/>", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
                                 "<R><Credentials><AccessKeyId>A</AccessKeyId></Credentials></R>"}) {
    FakeAws other;
    other.set_keys();
    other.on(kSts, {.body = body});
    const auto result = other.call_with({.role_arn = kRole, .role_session_name = "s"});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kMalformed) << body;
  }
}

TEST_F(Sources, ChainProfiles) {
  config(
      "[profile top]\nrole_arn=arn:aws:iam::1:role/top\nsource_profile=mid\nexternal_id=a b/c\nrole_session_name=me\n"
      "duration_seconds=3600\naws_access_key_id=IGNORED\naws_secret_access_key=s\n"
      "[profile mid]\nrole_arn=arn:aws:iam::1:role/mid\nsource_profile=base\nduration_seconds=959\n"
      "[profile base]\naws_access_key_id=BASE\naws_secret_access_key=s\n");
  on(kSts, {role("MID"), role("TOP")});
  EXPECT_EQ(failure("top"), "");
  EXPECT_THAT(places(), ElementsAre(kSts, kSts, kKms));
  EXPECT_EQ(signer_of(sent[0]), "BASE");
  EXPECT_EQ(signer_of(sent[1]), "MID");
  EXPECT_EQ(signer_of(sent[2]), "TOP");
  EXPECT_EQ(sent[0].body,
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fmid&"
            "RoleSessionName=aws-go-sdk-1767323045000000000&DurationSeconds=900");
  EXPECT_EQ(sent[1].body,
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Ftop&"
            "RoleSessionName=me&DurationSeconds=3600&ExternalId=a%20b%2Fc");
  EXPECT_THAT(
      notes(Note::Kind::kDetail),
      ElementsAre(
          "AWS credentials: role arn:aws:iam::1:role/top assumed with role arn:aws:iam::1:role/mid assumed with "
          "aws_access_key_id of profile 'base' in /home/person/.aws/config"));
}

TEST_F(Sources, EndAChainAtStaticKeys) {
  config(
      "[profile a]\nrole_arn=R\nsource_profile=b\n[profile b]\nrole_arn=RB\nsource_profile=gone\naws_access_key_id=B\n"
      "aws_secret_access_key=s\n");
  on(kSts, {role("RB"), role("RA")});
  EXPECT_EQ(failure("a"), "");
  EXPECT_EQ(signer_of(sent[0]), "B");
  EXPECT_EQ(signer(), "RA");
}

TEST_F(Sources, MayNameThemselves) {
  config(
      "[profile a]\nrole_arn=R\nsource_profile=a\naws_access_key_id=A\naws_secret_access_key=s\n"
      "[profile c]\nrole_arn=RC\nsource_profile=d\naws_access_key_id=C\naws_secret_access_key=s\n"
      "[profile d]\nrole_arn=RD\nsource_profile=c\n");
  on(kSts, {role("RA"), role("RD"), role("RC")});
  EXPECT_EQ(failure("a"), "");
  EXPECT_EQ(signer_of(sent[0]), "A");
  EXPECT_EQ(signer(), "RA");
  sent.clear();
  EXPECT_EQ(failure("c"), "");
  EXPECT_THAT(places(), ElementsAre(kSts, kSts, kKms));
  EXPECT_EQ(signer_of(sent[0]), "C");
}

TEST_F(Sources, RefuseChainsThatLeadNowhere) {
  config(
      "[profile a]\nrole_arn=R\nsource_profile=b\n[profile b]\nrole_arn=R\nsource_profile=a\n"
      "[profile c]\nrole_arn=R\nsource_profile=gone\n[profile d]\nrole_arn=R\nsource_profile=e\n[profile e]\nregion=r\n"
      "[profile f]\nrole_arn=R\nsource_profile=g\n[profile g]\naws_access_key_id=G\n");
  const auto by_key = [&](const std::string& name) {
    return " (profile '" + name + "' (named by the key's aws_profile))";
  };
  const std::string start = "role R of profile '";
  EXPECT_EQ(failure("a"), start + "b'" + kIn + " has source_profile 'a', which leads back to itself" + by_key("a"));
  EXPECT_EQ(failure("c"), start + "c'" + kIn + " has source_profile 'gone', which does not exist" + by_key("c"));
  EXPECT_EQ(failure("d"), start + "d'" + kIn + " has source_profile 'e', which has no credentials" + by_key("d"));
  EXPECT_THAT(failure("f"), StartsWith("profile 'g'" + kIn + " has aws_access_key_id, but not aws_secret_access_key"));
  // keys-aws.md 7.1: "structural errors in the selected profile fail the operation even if environment keys exist".
  set_keys();
  set("AWS_PROFILE", "c");
  EXPECT_EQ(failure(), start + "c'" + kIn +
                           " has source_profile 'gone', which does not exist (profile 'c' (named by AWS_PROFILE))");
  EXPECT_THAT(sent, IsEmpty());
}

// As SOPS does: what else a profile with keys says, nobody looks at if others stand on it.
TEST_F(Sources, LookNoFurtherThanStaticKeys) {
  config(
      "[profile a]\nrole_arn=RA\nsource_profile=b\n[profile b]\ncredential_process=x\nrole_arn=RB\n"
      "credential_source=Environment\naws_access_key_id=B\naws_secret_access_key=s\n");
  on(kSts, {role("RB"), role("RA")});
  EXPECT_EQ(failure("a"), "");
  EXPECT_EQ(signer_of(sent[0]), "B");
  EXPECT_THAT(failure("b"), HasSubstr("has both credential_source and credential_process"));
}

TEST_F(Sources, AreNamedByCredentialSource) {
  config(
      "[profile e]\nrole_arn=R\ncredential_source=Environment\n[profile "
      "c]\nrole_arn=R\ncredential_source=EcsContainer\n"
      "[profile m]\nrole_arn=R\ncredential_source=Ec2InstanceMetadata\n[profile "
      "x]\nrole_arn=R\ncredential_source=environment\n");
  EXPECT_THAT(
      failure("e"),
      StartsWith("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set (credential_source of profile 'e'"));
  EXPECT_THAT(
      failure("c"),
      StartsWith("neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set"));
  EXPECT_THAT(failure("m"), StartsWith("the instance metadata service is disabled by AWS_EC2_METADATA_DISABLED"));
  EXPECT_THAT(failure("x"), StartsWith("'environment' is not known (credential_source of"));
  FakeAws other;
  other.config("[profile e]\nrole_arn=R\ncredential_source=Environment\n");
  other.set_keys();
  other.on(kSts, role("RE"));
  EXPECT_EQ(other.failure("e"), "");
  EXPECT_EQ(other.signer_of(other.sent[0]), "AKIDENV");
  EXPECT_EQ(other.signer(), "RE");
}

// --- web identity, 7.7
// -------------------------------------------------------------------------------------------------

TEST_F(Sources, TradeAWebIdentity) {
  world.files.put("/token", "jwt\n");
  config(
      "[profile w]\nweb_identity_token_file=/token\nrole_arn=arn:aws:iam::1:role/w\nrole_session_name=me\n"
      "[profile x]\nsource_profile=w\nrole_arn=arn:aws:iam::1:role/x\n");
  on(kSts, {role("W"), role("W2"), role("X")});
  EXPECT_EQ(failure("w"), "");
  EXPECT_EQ(sent[0].body,
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fw&"
            "RoleSessionName=me&WebIdentityToken=jwt");
  EXPECT_EQ(sent[0].header("authorization"), "");
  EXPECT_EQ(signer(), "W");
  EXPECT_EQ(failure("x"), "");
  EXPECT_EQ(signer(), "X");
}

TEST_F(Sources, SayWhatAWebIdentityLacks) {
  set("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
  const std::string selected = " (AWS_WEB_IDENTITY_TOKEN_FILE" + kOnly;
  EXPECT_EQ(failure(), "AWS_WEB_IDENTITY_TOKEN_FILE needs a role, but AWS_ROLE_ARN is not set" + selected);
  const auto fresh = [&](const std::function<void(FakeAws&)>& prepare) {
    FakeAws other;
    other.set("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
    other.set("AWS_ROLE_ARN", kRole);
    prepare(other);
    return other.failure();
  };
  EXPECT_EQ(fresh([](FakeAws&) {}), "no such file: /token (AWS_WEB_IDENTITY_TOKEN_FILE)" + selected);
  EXPECT_EQ(fresh([](FakeAws& aws) { aws.world.files.put("/token", "\n"); }),
            "the token file /token is empty (AWS_WEB_IDENTITY_TOKEN_FILE)" + selected);
  size_t attempts = 0;
  EXPECT_EQ(fresh([&](FakeAws& aws) {
              aws.world.files.put("/token", "jwt");
              aws.on(kSts, xml_error(403, "AccessDenied", "no"));
              attempts = aws.sent.size();
            }),
            "failed to assume role 'arn:aws:iam::111122223333:role/sops' with the token in /token at "
            "sts.us-east-1.amazonaws.com: AccessDenied: no (HTTP 403, request r-1)" +
                selected + " / the token has expired, or the role does not trust it");
}

TEST_F(Sources, TryAWebIdentityAgain) {
  set("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
  set("AWS_ROLE_ARN", kRole);
  world.files.put("/token", "jwt");
  on(kSts, {xml_error(400, "InvalidIdentityToken", ""), xml_error(400, "IDPCommunicationError", ""), role("W")});
  EXPECT_EQ(failure(), "");
  EXPECT_THAT(places(), ElementsAre(kSts, kSts, kSts, kKms));
}

// --- IAM Identity Center, 7.8
// --------------------------------------------------------------------------------------------

constexpr const char* kPortal = "GET https://portal.sso.eu-west-1.amazonaws.com/federation/credentials";
constexpr const char* kOidc = "POST https://oidc.eu-west-1.amazonaws.com/token";
// printf corp | sha1sum; printf https://corp.example/start | sha1sum
const std::string kCorp = "/home/person/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
const std::string kLegacy = "/home/person/.aws/sso/cache/f7c9b39d0b4c7a7d82c79307585f77e1c5e74378.json";

class Sso : public Sources {
 protected:
  Sso() {
    set("AWS_PROFILE", "s");
    config(
        "[profile s]\nsso_session=corp\nsso_account_id=1 2\nsso_role_name=dev/x\n"
        "[sso-session corp]\nsso_region=eu-west-1\nsso_start_url=https://corp.example/start\n"
        "[profile "
        "old]\nsso_start_url=https://corp.example/start\nsso_region=eu-west-1\nsso_account_id=12\nsso_role_name=dev\n");
    on(kPortal, {.body = R"({"roleCredentials":{"accessKeyId":"SSO","secretAccessKey":"s","sessionToken":"t",)"
                         R"("expiration":1767326645000}})"});
  }
  static std::string token(std::string_view expires, std::string_view access = "bearer-1",
                           std::string_view refresh = "refresh-1") {
    return format(
        R"({{"startUrl": "u", "accessToken": "{}", "expiresAt": "{}", "clientId": "c", "clientSecret": "cs", )"
        R"("refreshToken": "{}", "registrationExpiresAt": "2030-01-01T00:00:00Z"}})",
        access, expires, refresh);
  }
  const std::string hint_ = " / run: aws sso login --sso-session corp";
  const std::string origin_ = "sso_session 'corp' of profile 's'" + kIn;
  const std::string selected_ = " (profile 's' (named by AWS_PROFILE)" + kOnly;
};

TEST_F(Sso, TradesAToken) {
  world.files.put(kCorp, token("2026-01-02T03:05:00Z"));
  EXPECT_EQ(failure(), "");
  EXPECT_THAT(places(), ElementsAre(kPortal, kKms));
  EXPECT_THAT(sent[0].url, testing::EndsWith("?account_id=1%202&role_name=dev%2Fx"));
  EXPECT_EQ(sent[0].header("x-amz-sso_bearer_token"), "bearer-1");
  EXPECT_EQ(sent[0].header("authorization"), "");
  EXPECT_EQ(signer(), "SSO");
  EXPECT_EQ(sent[1].header("x-amz-security-token"), "t");
}

TEST_F(Sso, TradesALegacyTokenButDoesNotRenewIt) {
  world.files.put(kLegacy, token("2026-01-02T03:05:00UTC"));
  EXPECT_EQ(failure("old"), "");
  EXPECT_EQ(signer(), "SSO");
  FakeAws other;
  other.config(*world.files.content("/home/person/.aws/config"));
  other.world.files.put(kLegacy, token("2026-01-02T03:04:05Z"));
  EXPECT_EQ(other.failure("old"), "sso_start_url of profile 'old'" + kIn +
                                      ": the session has expired (profile 'old' (named by the "
                                      "key's aws_profile)" +
                                      kOnly + " / run: aws sso login (start url https://corp.example/start)");
  EXPECT_THAT(other.sent, IsEmpty());
}

TEST_F(Sso, SaysHowToGetAToken) {
  EXPECT_EQ(failure(), origin_ + ": there is no token: no such file: " + kCorp + selected_ + hint_);
  for (const auto& [text, message] : std::map<std::string, std::string>{
           {"{\"accessToken\":\"secret\"", "the token file " + kCorp + ": this is no JSON"},
           {"{\"expiresAt\":\"2026-01-02T03:05:00Z\"}", "the token file " + kCorp + " has no accessToken"},
           {"{\"accessToken\":\"secret\"}", "the token file " + kCorp + " has no expiresAt"},
           {"{\"accessToken\":\"secret\",\"expiresAt\":\"soon\"}",
            "expiresAt of the token file " + kCorp + " is no time"}}) {
    FakeAws other;
    other.set("AWS_PROFILE", "s");
    other.config(*world.files.content("/home/person/.aws/config"));
    other.world.files.put(kCorp, text);
    EXPECT_THAT(other.failure(), StartsWith(message + selected_)) << text;
  }
}

TEST_F(Sso, RenewsAnExpiredToken) {
  world.files.put(kCorp, token("2026-01-02T03:04:05Z"));
  on(kOidc, {.body = R"({"accessToken":"bearer-2","expiresIn":3600,"refreshToken":"refresh-2","tokenType":"Bearer"})"});
  EXPECT_EQ(failure(), "");
  EXPECT_THAT(places(), ElementsAre(kOidc, kPortal, kKms));
  EXPECT_EQ(sent[0].body,
            R"({"grantType":"refresh_token","clientId":"c","clientSecret":"cs","refreshToken":"refresh-1"})");
  EXPECT_EQ(sent[0].header("content-type"), "application/json");
  EXPECT_EQ(sent[0].header("authorization"), "");
  EXPECT_EQ(sent[1].header("x-amz-sso_bearer_token"), "bearer-2");
  EXPECT_EQ(world.files.content(kCorp), token("2026-01-02T04:04:05Z", "bearer-2", "refresh-2"));
  EXPECT_THAT(world.files.log, testing::Contains("lock /home/person/.aws/sso/cache"));
}

TEST_F(Sso, KeepsTheRefreshTokenIfThereIsNoNewOne) {
  world.files.put(kCorp, token("2026-01-02T03:04:05Z"));
  on(kOidc, {.body = R"({"accessToken":"bearer-2","expiresIn":3600})"});
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(world.files.content(kCorp), token("2026-01-02T04:04:05Z", "bearer-2", "refresh-1"));
}

// keys.md 3.5: "locked, re-read first (the refresh token is single use)".
TEST_F(Sso, UsesWhatAnotherProcessHasRenewed) {
  world.files.put(kCorp, token("2026-01-02T03:04:05Z"));
  world.files.before_lock = [&] { world.files.put(kCorp, token("2026-01-02T05:00:00Z", "bearer-3", "refresh-3")); };
  EXPECT_EQ(failure(), "");
  EXPECT_THAT(places(), ElementsAre(kPortal, kKms));
  EXPECT_EQ(sent[0].header("x-amz-sso_bearer_token"), "bearer-3");
}

TEST_F(Sso, LooksAgainWhenTheAnswerWasLost) {
  world.files.put(kCorp, token("2026-01-02T03:04:05Z"));
  on(kOidc, {{.body = "", .failure = ErrorCode::kUnavailable},
             {.body = R"({"accessToken":"bearer-2","expiresIn":3600,"refreshToken":"refresh-2"})"}});
  EXPECT_EQ(failure(), "");
  EXPECT_THAT(places(), ElementsAre(kOidc, kOidc, kPortal, kKms));
  FakeAws other;
  other.set("AWS_PROFILE", "s");
  other.config(*world.files.content("/home/person/.aws/config"));
  other.world.files.put(kCorp, token("2026-01-02T03:04:05Z"));
  other.on(kOidc, {.body = "", .failure = ErrorCode::kUnavailable});
  EXPECT_EQ(other.failure(), "cannot reach it (renewing the token of " + origin_ + ")" + selected_);
  EXPECT_THAT(other.sent, SizeIs(2));
}

TEST_F(Sso, SaysWhenATokenCannotBeRenewed) {
  world.files.put(kCorp, token("2026-01-02T03:04:05Z"));
  on(kOidc, {.status = 400,
             .body = R"({"error":"invalid_grant","error_description":"used up"})",
             .headers = {{"X-Amzn-ErrorType", "InvalidGrantException"}}});
  EXPECT_EQ(failure(), origin_ +
                           ": the session has expired and cannot be renewed at oidc.eu-west-1.amazonaws.com: "
                           "InvalidGrantException: used up (HTTP 400)" +
                           selected_ + hint_);
  EXPECT_EQ(world.files.content(kCorp), token("2026-01-02T03:04:05Z"));
  FakeAws other;
  other.set("AWS_PROFILE", "s");
  other.config(*world.files.content("/home/person/.aws/config"));
  other.world.files.put(kCorp, R"({"accessToken":"b","expiresAt":"2026-01-02T03:04:05Z"})");
  EXPECT_EQ(other.failure(), origin_ + ": the session has expired" + selected_ + hint_);
}

TEST_F(Sso, SaysWhatThePortalRefuses) {
  world.files.put(kCorp, token("2026-01-02T03:05:00Z"));
  on(kPortal, {.status = 401,
               .body = R"({"message":"Session token not found or invalid"})",
               .headers = {{"x-amzn-ErrorType", "UnauthorizedException"}}});
  EXPECT_EQ(failure(), origin_ +
                           ": credentials for role dev/x in account 1 2 at portal.sso.eu-west-1.amazonaws.com: "
                           "UnauthorizedException: Session token not found or invalid (HTTP 401)" +
                           selected_ + hint_);
  FakeAws other;
  other.set("AWS_PROFILE", "s");
  other.config(*world.files.content("/home/person/.aws/config"));
  other.world.files.put(kCorp, token("2026-01-02T03:05:00Z"));
  other.on(kPortal, {.status = 403, .body = R"({"message":"No access","__type":"ForbiddenException"})"});
  EXPECT_THAT(other.failure(), HasSubstr("ForbiddenException: No access (HTTP 403)" + selected_ +
                                         " / check sso_account_id and sso_role_name, and who may use them"));
}

TEST_F(Sso, NeedsACompleteProfile) {
  const auto refused = [&](std::string_view text) {
    FakeAws other;
    other.set("AWS_PROFILE", "s");
    other.config(text);
    return other.failure();
  };
  EXPECT_EQ(refused("[profile s]\nsso_start_url=u\nsso_region=r\nsso_account_id=1\n"),
            "sso_start_url of profile 's'" + kIn + " has no sso_role_name" + selected_);
  EXPECT_EQ(refused("[profile s]\nsso_session=c\nsso_account_id=1\nsso_role_name=r\nsso_region=x\n[sso-session "
                    "c]\nsso_region=y\n"),
            "profile 's'" + kIn + " has another sso_region than [sso-session c]" + selected_);
  EXPECT_EQ(refused("[profile s]\nsso_start_url=u\nsso_region=evil.example\nsso_account_id=1\nsso_role_name=r\n"),
            "'evil.example' is no region of AWS" + selected_ +
                " / other names are possible with an endpoint of your own: AWS_ENDPOINT_URL");
}

// --- aws login, 7.9
// ------------------------------------------------------------------------------------------------------

TEST_F(Sources, UseWhatAwsLoginLeft) {
  config("[profile l]\nlogin_session = arn:aws:iam::1:user/me\n");
  // printf arn:aws:iam::1:user/me | sha256sum
  const std::string path =
      "/home/person/.aws/login/cache/da19974a351c10e6ddab0fe8d7b1fb3a289211121e24f211c7eb19ed08e30e3a.json";
  const auto file = [](std::string_view expires) {
    return format(
        R"({{"accessToken":{{"accessKeyId":"LOGIN","secretAccessKey":"s","sessionToken":"t","accountId":"1","expiresAt":"{}"}}}})",
        expires);
  };
  world.files.put(path, file("2026-01-02T03:05:00Z"));
  EXPECT_EQ(failure("l"), "");
  EXPECT_EQ(signer(), "LOGIN");
  FakeAws other;
  other.config(*world.files.content("/home/person/.aws/config"));
  other.world.files.put(path, file("2026-01-02T03:04:00Z"));
  EXPECT_EQ(
      other.failure("l"),
      "login_session of profile 'l'" + kIn +
          ": the credentials have expired, and renewing them is left to aws (profile 'l' "
          "(named by the key's aws_profile)" +
          kOnly +
          " / run: aws login --profile l, or: eval \"$(aws configure export-credentials --profile l --format env)\"");
  FakeAws third;
  third.config(*world.files.content("/home/person/.aws/config"));
  EXPECT_THAT(third.failure("l"),
              StartsWith("login_session of profile 'l'" + kIn + ": nobody has logged in: no such file: " + path));
}

// --- credential_process, 7.10
// ----------------------------------------------------------------------------------------------

class Process : public Sources {
 protected:
  Process() { config("[profile p]\ncredential_process = get-keys --for \"x y\"\n"); }
  std::string failure_of(FakeProcesses::Answer answer, bool may_ask = true) {
    FakeAws other;
    other.config("[profile p]\ncredential_process = get-keys --for \"x y\"\n");
    other.world.processes.add("sh", answer);
    auto result = other.call_with({.profile = "p", .may_ask = may_ask});
    code_ = result ? std::optional<ErrorCode>() : result.error().code;
    return other.failure(result);
  }
  const std::string origin_ = "credential_process of profile 'p'" + kIn;
  const std::string selected_ = " (profile 'p' (named by the key's aws_profile)" + kOnly;
  std::optional<ErrorCode> code_;
};

// Some programs write the last year of four digits for "never".
TEST_F(Process, MayPrintATimeThatNoClockReaches) {
  world.processes.add("sh", {.output = R"({"Version":1,"AccessKeyId":"PROC","SecretAccessKey":"s",)"
                                       R"("Expiration":"9999-12-31T23:59:59Z"})"});
  EXPECT_EQ(failure("p"), "");
}

TEST_F(Process, PrintsCredentials) {
  world.processes.add("sh", {.output = R"({"Version":1,"AccessKeyId":"PROC","SecretAccessKey":"s","SessionToken":"t",)"
                                       R"("Expiration":"2026-01-02T03:30:00+00:00"})"});
  EXPECT_EQ(failure("p"), "");
  EXPECT_EQ(signer(), "PROC");
  ASSERT_THAT(world.processes.runs, SizeIs(1));
  EXPECT_THAT(world.processes.runs[0].arguments, ElementsAre("sh", "-c", "get-keys --for \"x y\""));
  EXPECT_EQ(failure("p"), "");
  EXPECT_THAT(world.processes.runs, SizeIs(1));
  world.clock.time += std::chrono::minutes(26);
  EXPECT_EQ(failure("p"), "");
  EXPECT_THAT(world.processes.runs, SizeIs(2));
}

// keys.md 1.2, 3.5: in the first pass nobody can be asked; 60 s, which the time of a key does not limit.
TEST_F(Process, GetsTheTerminalOnlyIfItMayAsk) {
  world.processes.add("sh", [&](const FakeProcesses::Run&) -> Result<FakeProcesses::Answer> {
    world.clock.time += std::chrono::seconds(50);
    return FakeProcesses::Answer{
        .output = R"({"Version":1,"AccessKeyId":"P","SecretAccessKey":"s","Expiration":"2026-01-02T03:04:05Z"})"};
  });
  EXPECT_EQ(failure(call_with({.profile = "p", .may_ask = true})), "");
  world.terminal.stderr_terminal = true;
  EXPECT_EQ(failure(call_with({.profile = "p", .may_ask = true})), "");
  EXPECT_EQ(failure(call_with({.profile = "p", .may_ask = false})), "");
  ASSERT_THAT(world.processes.runs, SizeIs(3));
  EXPECT_FALSE(world.processes.runs[0].inherit_terminal);
  EXPECT_TRUE(world.processes.runs[1].inherit_terminal);
  EXPECT_FALSE(world.processes.runs[2].inherit_terminal);
  EXPECT_EQ(world.processes.runs[0].deadline, milliseconds(60000));
}

TEST_F(Process, MayFailWithoutShowingItsOutput) {
  EXPECT_EQ(failure_of({.status = 3, .output = "secret"}),
            origin_ + " ('get-keys --for \"x y\"') ended with status 3" + selected_ +
                " / run the command by hand: it must print credentials as JSON");
  EXPECT_EQ(code_, ErrorCode::kUnavailable);
  EXPECT_NE(failure_of({.status = 3}, false), "");
  EXPECT_EQ(code_, ErrorCode::kNeedsPerson);
  EXPECT_EQ(failure_of({.output = "secret"}),
            "line 1, column 1: this is no JSON (the output of " + origin_ + ")" + selected_);
  EXPECT_EQ(failure_of({.output = R"({"Version":2,"AccessKeyId":"A","SecretAccessKey":"secret"})"}),
            "the output of " + origin_ + " has no \"Version\": 1" + selected_);
  EXPECT_EQ(failure_of({.output = R"({"Version":1,"AccessKeyId":"A"})"}),
            "the output of " + origin_ + " has no SecretAccessKey" + selected_);
  EXPECT_EQ(
      failure_of({.output = R"({"Version":1,"AccessKeyId":"A","SecretAccessKey":"secret","Expiration":"later"})"}),
      "Expiration of the output of " + origin_ + " is no time" + selected_);
  EXPECT_EQ(failure_of({.output = std::string(70000, ' ')}),
            origin_ + " ('get-keys --for \"x y\"'): the program wrote too much" + selected_);
}

// --- containers, 7.11
// ----------------------------------------------------------------------------------------------------

const Reply kContainerReply = {
    .body = R"({"AccessKeyId":"BOX","SecretAccessKey":"s","Token":"t","Expiration":"2026-01-02T04:00:00Z"})"};

TEST_F(Sources, AskTheContainerService) {
  set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x?y=z");
  set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/");
  on("GET http://169.254.170.2/v2/x", {{.status = 429, .body = ""}, kContainerReply});
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(signer(), "BOX");
  EXPECT_EQ(sent[0].url, "http://169.254.170.2/v2/x?y=z");
  EXPECT_EQ(sent[0].header("accept"), "application/json");
  EXPECT_EQ(sent[0].header("authorization"), "");
  EXPECT_TRUE(sent[0].bypass_proxy);
  EXPECT_THAT(sent, SizeIs(3));
}

TEST_F(Sources, ShowTheContainerServiceAToken) {
  set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
  set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "from-variable");
  set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/pod");
  world.files.put("/pod", "from-file\n");
  on("GET http://169.254.170.23/v1/credentials", kContainerReply);
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(sent[0].header("authorization"), "from-file");
}

TEST_F(Sources, TellTheContainerTokenToNobodyElse) {
  const auto refused = [](const std::string& url, const std::string& token = "") {
    FakeAws other;
    other.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
    other.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", token);
    other.on("GET " + url, kContainerReply);
    return other.failure();
  };
  for (const std::string good : {"http://127.0.0.1:1/a", "http://localhost/a", "http://[::1]/a",
                                 "http://[fd00:ec2::23]/a", "http://169.254.170.2/a", "https://any.example/a"}) {
    EXPECT_EQ(refused(good), "") << good;
  }
  for (const std::string bad :
       {"http://evil.example/a", "http://169.254.169.254/a", "http://169.254.170.2.evil/a", "http://10.0.0.1/"}) {
    EXPECT_THAT(refused(bad), HasSubstr("without https only this machine and the hosts of ECS and EKS are allowed"))
        << bad;
  }
  EXPECT_THAT(refused("nonsense"), StartsWith("AWS_CONTAINER_CREDENTIALS_FULL_URI is no address: "));
  EXPECT_EQ(refused("https://a.example/", "two\nlines"),
            "the token of AWS_CONTAINER_AUTHORIZATION_TOKEN has several lines");
}

TEST_F(Sources, SayWhatTheContainerServiceRefuses) {
  set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
  on("GET http://169.254.170.2/x", {.status = 404, .body = R"({"code":"NoSuchRole","message":"gone"})"});
  EXPECT_EQ(
      failure(),
      "the container service of AWS_CONTAINER_CREDENTIALS_RELATIVE_URI at 169.254.170.2: NoSuchRole: gone (HTTP 404)");
}

// --- instance metadata, 7.12
// -----------------------------------------------------------------------------------------------

constexpr const char* kToken = "PUT http://169.254.169.254/latest/api/token";
constexpr const char* kRoles = "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/";
constexpr const char* kInstanceRole = "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/web";

class Metadata : public Sources {
 protected:
  Metadata() {
    set("AWS_EC2_METADATA_DISABLED", "");
    on(kToken, {.body = "imds-token", .headers = {{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300"}}});
    on(kRoles, {.body = "web\nother\n"});
    on(kInstanceRole,
       {.body =
            R"({"Code":"Success","AccessKeyId":"EC2","SecretAccessKey":"s","Token":"t","Expiration":"2026-01-02T09:00:00Z"})"});
  }
};

TEST_F(Metadata, IsAskedWithAToken) {
  EXPECT_EQ(failure(), "");
  EXPECT_THAT(places(), ElementsAre(kToken, kRoles, kInstanceRole, kKms));
  EXPECT_EQ(sent[0].header("x-aws-ec2-metadata-token-ttl-seconds"), "300");
  EXPECT_EQ(sent[1].header("x-aws-ec2-metadata-token"), "imds-token");
  EXPECT_EQ(sent[2].header("x-aws-ec2-metadata-token"), "imds-token");
  EXPECT_TRUE(sent[0].bypass_proxy);
  EXPECT_EQ(sent[0].connect_deadline, milliseconds(250));
  EXPECT_EQ(signer(), "EC2");
  // "valid for at most 1 h"
  sent.clear();
  world.clock.time += std::chrono::minutes(58);
  EXPECT_EQ(failure(), "");
  EXPECT_THAT(sent, SizeIs(1));
  world.clock.time += std::chrono::minutes(2);
  EXPECT_EQ(failure(), "");
  EXPECT_THAT(sent, SizeIs(5));
}

TEST_F(Metadata, FallsBackToVersion1) {
  for (const Reply& trouble :
       {Reply{.status = 403, .body = ""}, Reply{.status = 404, .body = ""}, Reply{.status = 405, .body = ""},
        Reply{.body = "", .failure = ErrorCode::kUnavailable}}) {
    FakeAws other;
    other.set("AWS_EC2_METADATA_DISABLED", "false");
    other.on(kToken, trouble);
    other.on(kRoles, {.body = "web"});
    other.on(kInstanceRole, {.body = R"({"Code":"Success","AccessKeyId":"EC2","SecretAccessKey":"s"})"});
    EXPECT_EQ(other.failure(), "");
    EXPECT_EQ(other.sent.back().header("x-aws-ec2-metadata-token"), "");
    EXPECT_EQ(other.signer(), "EC2");
  }
}

TEST_F(Metadata, DoesNotFallBackWhenThatIsForbidden) {
  on(kToken, {.status = 403, .body = ""});
  set("AWS_EC2_METADATA_V1_DISABLED", "true");
  EXPECT_THAT(
      failure(),
      HasSubstr("the token of the instance metadata service at 169.254.169.254: no reason was given (HTTP 403) / "
                "version 1 of the service is disabled"));
  FakeAws other;
  other.set("AWS_EC2_METADATA_DISABLED", "false");
  other.on(kToken, {.status = 400, .body = ""});
  EXPECT_THAT(
      other.failure(),
      HasSubstr("the token of the instance metadata service at 169.254.169.254: no reason was given (HTTP 400)"));
}

TEST_F(Metadata, GetsANewTokenWhenTheOldOneIsRefused) {
  on(kRoles, {{.status = 401, .body = ""}, {.body = "web"}});
  EXPECT_EQ(failure(), "");
  EXPECT_THAT(places(), ElementsAre(kToken, kRoles, kToken, kRoles, kInstanceRole, kKms));
}

TEST_F(Metadata, SaysWhatIsMissing) {
  const auto refused = [&](const char* where, Reply reply) {
    FakeAws other;
    other.set("AWS_EC2_METADATA_DISABLED", "false");
    other.on(kToken, {.body = "imds-token", .headers = {{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300"}}});
    other.on(kRoles, {.body = "web"});
    other.on(where, std::move(reply));
    return other.failure();
  };
  EXPECT_THAT(refused(kToken, {.body = "t"}),
              HasSubstr("the instance metadata service at http://169.254.169.254 gave a token without a lifetime"));
  EXPECT_THAT(refused(kRoles, {.body = ""}),
              HasSubstr("the instance metadata service at http://169.254.169.254 knows no role"));
  EXPECT_THAT(refused(kRoles, {.status = 404, .body = ""}),
              HasSubstr("the instance metadata service at 169.254.169.254: no reason was given (HTTP 404)"));
  EXPECT_THAT(refused(kInstanceRole, {.body = R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"no trust"})"}),
              HasSubstr("has no credentials for role web: AssumeRoleUnauthorizedAccess no trust"));
  EXPECT_THAT(refused(kInstanceRole, {.body = "secret"}),
              testing::AllOf(HasSubstr("this is no JSON"), Not(HasSubstr("secret"))));
}

TEST_F(Metadata, IsGivenUpSoonWhereThereIsNone) {
  FakeAws other;
  other.set("AWS_EC2_METADATA_DISABLED", "false");
  const Reply silence{.body = "", .failure = ErrorCode::kUnavailable, .takes = milliseconds(250)};
  other.on(kToken, silence);
  other.on(kRoles, silence);
  const auto start = other.world.clock.time;
  EXPECT_THAT(other.failure(),
              StartsWith("no AWS credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set; "));
  EXPECT_LE(other.world.clock.time - start, std::chrono::seconds(6));
}

TEST_F(Metadata, IsWhereTheUserSays) {
  set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv6");
  on("PUT http://[fd00:ec2::254]/latest/api/token", {.status = 400, .body = ""});
  EXPECT_THAT(failure(), HasSubstr("at [fd00:ec2::254]: no reason was given (HTTP 400)"));
  FakeAws other;
  other.set("AWS_EC2_METADATA_DISABLED", "false");
  other.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9/");
  other.on("PUT http://127.0.0.1:9/latest/api/token", {.status = 400, .body = ""});
  EXPECT_THAT(other.failure(), HasSubstr("at 127.0.0.1:9: no reason was given (HTTP 400)"));
}

// --- MFA, keys.md 3.4
// ------------------------------------------------------------------------------------------------------

class Mfa : public Sources {
 protected:
  Mfa() {
    config(
        "[profile m]\nrole_arn=arn:aws:iam::1:role/m\nsource_profile=b\nmfa_serial=arn:aws:iam::1:mfa/me\n"
        "[profile b]\naws_access_key_id=B\naws_secret_access_key=s\n");
    on(kSts, role("MFA"));
    on("POST https://kms.eu-west-1.amazonaws.com/", {.body = "{}"});
  }
  const std::string what_ =
      "role arn:aws:iam::1:role/m of profile 'm'" + kIn + " needs a code of MFA device arn:aws:iam::1:mfa/me";
  const std::string selected_ = " (profile 'm' (named by the key's aws_profile)" + kOnly;
  const std::string way_out_ =
      " / get session credentials with a code first: aws sts get-session-token --serial-number ARN --token-code CODE, "
      "and export them";
};

TEST_F(Mfa, AsksOnceForAllRegionsAndFiles) {
  world.terminal.answers = {" 123456\n", "654321"};
  EXPECT_EQ(failure("m"), "");
  EXPECT_EQ(failure("m"), "");
  EXPECT_EQ(failure(call_with({.profile = "m"}, "eu-west-1")), "");
  EXPECT_THAT(world.terminal.prompts,
              ElementsAre("MFA code of arn:aws:iam::1:mfa/me for role arn:aws:iam::1:role/m: "));
  EXPECT_THAT(
      sent[0].body,
      testing::EndsWith("&DurationSeconds=900&SerialNumber=arn%3Aaws%3Aiam%3A%3A1%3Amfa%2Fme&TokenCode=123456"));
  EXPECT_EQ(signer_of(sent[0]), "B");
  EXPECT_EQ(signer(), "MFA");
  EXPECT_THAT(sent, SizeIs(4));
}

TEST_F(Mfa, AsksNobodyInTheFirstPass) {
  world.terminal.answers = {"123456"};
  const auto first = call_with({.profile = "m", .may_ask = false});
  EXPECT_EQ(failure(first), what_ + selected_ + way_out_);
  EXPECT_EQ(first.error().code, ErrorCode::kNeedsPerson);
  EXPECT_THAT(sent, IsEmpty());
  EXPECT_EQ(failure("m"), "");
}

TEST_F(Mfa, AsksNobodyWithJsonOrWithoutATerminal) {
  EXPECT_EQ(failure("m"), what_ + ", but there is no terminal to ask on" + selected_ + way_out_);
  FakeAws other;
  other.config(*world.files.content("/home/person/.aws/config"));
  other.world.terminal.answers = {"123456"};
  other.world.run.get<Questions>().allowed = false;
  EXPECT_EQ(other.failure("m"), what_ + selected_ + way_out_);
  EXPECT_THAT(other.world.terminal.prompts, IsEmpty());
}

TEST_F(Mfa, SendsACodeOnce) {
  for (const Reply& trouble : {Reply{.status = 503, .body = ""}, Reply{.body = "", .failure = ErrorCode::kUnavailable},
                               xml_error(403, "AccessDenied", "MultiFactorAuthentication failed")}) {
    FakeAws other;
    other.config(*world.files.content("/home/person/.aws/config"));
    other.world.terminal.answers = {"123456", "123456"};
    other.on(kSts, trouble);
    const std::string first = other.failure("m");
    EXPECT_NE(first, "");
    other.world.clock.time += std::chrono::minutes(5);
    EXPECT_EQ(other.failure("m"), first);
    EXPECT_THAT(other.sent, SizeIs(1));
    EXPECT_THAT(other.world.terminal.prompts, SizeIs(1));
  }
  Reply skewed = xml_error(403, "SignatureDoesNotMatch", "expired");
  skewed.headers = {{"Date", "Fri, 02 Jan 2026 03:14:05 GMT"}};
  on(kSts, skewed);
  world.terminal.answers = {"123456"};
  EXPECT_THAT(failure("m"), HasSubstr("10 minutes behind"));
  EXPECT_THAT(sent, SizeIs(1));
}

TEST_F(Mfa, TakesOnlySixDigits) {
  world.terminal.answers = {"12345a", "123456"};
  EXPECT_EQ(failure("m"), what_ + ": a code has six digits" + selected_);
  world.clock.time += std::chrono::minutes(5);
  EXPECT_EQ(failure("m"), what_ + ": a code has six digits" + selected_);
  EXPECT_THAT(sent, IsEmpty());
}

TEST_F(Mfa, DoesNotCountTheTimeOfThePerson) {
  set("SOPS_KEY_TIMEOUT", "1s");
  world.terminal.answers = {"123456"};
  world.terminal.while_asking = [&] { world.clock.time += std::chrono::minutes(10); };
  EXPECT_EQ(failure("m"), "");
}

// --- one fetch for all, keys.md 3.3
// ----------------------------------------------------------------------------------------

TEST_F(Sources, AreAskedOnceUntilShortlyBeforeTheEnd) {
  set_keys();
  on(kSts, role("ONE", "2026-01-02T04:04:05Z"));
  const Caller caller{.role_arn = kRole, .role_session_name = "s"};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(failure(call_with(caller)), "");
  EXPECT_THAT(sent, SizeIs(101));
  world.clock.time += std::chrono::minutes(59) - std::chrono::seconds(1);
  EXPECT_EQ(failure(call_with(caller)), "");
  EXPECT_THAT(sent, SizeIs(102));
  world.clock.time += std::chrono::seconds(1);  // 60 s are left
  on(kSts, role("TWO", "2026-01-02T06:04:05Z"));
  EXPECT_EQ(failure(call_with(caller)), "");
  EXPECT_THAT(sent, SizeIs(104));
  EXPECT_EQ(signer(), "TWO");
}

TEST_F(Sources, KeepWorkingWhileTheyLast) {
  set_keys();
  on(kSts, role("ONE"));
  const Caller caller{.role_arn = kRole, .role_session_name = "s"};
  EXPECT_EQ(failure(call_with(caller)), "");
  on(kSts, xml_error(403, "AccessDenied", "no longer"));
  world.clock.time += std::chrono::minutes(59) + std::chrono::seconds(30);
  EXPECT_EQ(failure(call_with(caller)), "");
  EXPECT_EQ(signer(), "ONE");
  world.clock.time += std::chrono::seconds(30);
  EXPECT_THAT(failure(call_with(caller)), HasSubstr("no longer"));
}

TEST_F(Sources, RememberAFailureForSomeSeconds) {
  set_keys();
  on(kSts, xml_error(403, "AccessDenied", "no"));
  const Caller caller{.role_arn = kRole, .role_session_name = "s"};
  for (int i = 0; i < 10; ++i) EXPECT_NE(failure(call_with(caller)), "");
  EXPECT_THAT(sent, SizeIs(1));
  world.clock.time += std::chrono::seconds(6);
  on(kSts, role("NOW"));
  EXPECT_EQ(failure(call_with(caller)), "");
}

TEST_F(Sources, AreKeptApartByRoleAndProfile) {
  set_keys();
  credentials("[p]\naws_access_key_id=P\naws_secret_access_key=s\n");
  on(kSts, {role("1"), role("2"), role("3")});
  EXPECT_EQ(failure(call_with({.role_arn = kRole, .role_session_name = "s"})), "");
  EXPECT_EQ(failure(call_with({.role_arn = "arn:aws:iam::111122223333:role/other", .role_session_name = "s"})), "");
  EXPECT_EQ(failure(call_with({.profile = "p", .role_arn = kRole, .role_session_name = "s"})), "");
  EXPECT_EQ(signer(), "3");
  EXPECT_THAT(sent, SizeIs(6));
}

TEST_F(Sources, AreFetchedByOneThreadForAll) {
  config("[profile p]\ncredential_process = slow\n");
  std::atomic<int> running = 0;
  world.processes.add("sh", [&](const FakeProcesses::Run&) -> Result<FakeProcesses::Answer> {
    ++running;
    std::this_thread::sleep_for(milliseconds(50));
    return FakeProcesses::Answer{.output = R"({"Version":1,"AccessKeyId":"PROC","SecretAccessKey":"s"})"};
  });
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&] {
        if (call("p")) ++good;
      });
    }
  }
  EXPECT_EQ(good, 16);
  EXPECT_EQ(running, 1);
  EXPECT_THAT(sent, SizeIs(16));
}

TEST_F(Sources, AreNotLostWhenTheFirstToAskGivesUp) {
  config("[profile p]\ncredential_process = slow\n");
  std::stop_source source;
  std::atomic<bool> is_running = false;
  world.processes.add("sh", [&](const FakeProcesses::Run&) -> Result<FakeProcesses::Answer> {
    if (is_running.exchange(true)) {
      return FakeProcesses::Answer{.output = R"({"Version":1,"AccessKeyId":"PROC","SecretAccessKey":"s"})"};
    }
    std::this_thread::sleep_for(milliseconds(50));
    source.request_stop();
    return FakeProcesses::Answer{.status = 1};
  });
  std::jthread first([&] { EXPECT_FALSE(call_with({.profile = "p", .stop = source.get_token()})); });
  while (!is_running) std::this_thread::yield();
  EXPECT_EQ(failure("p"), "");
}

}  // namespace
}  // namespace sops::aws
