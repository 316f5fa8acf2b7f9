// SPDX-License-Identifier: MPL-2.0
//
// Each source of credentials: what it is asked, what it gives, what it says when it fails. Rules: keys-aws.md 7.7-7.12;
// keys.md 3.5.
#include "cloud/aws/sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
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

class EachSource : public ::testing::Test, public FakeAws {};

// --- web identity, 7.7 ----------------------------------------------------------------------------------------------

TEST_F(EachSource, TradeAWebIdentity) {
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

TEST_F(EachSource, SayWhatAWebIdentityLacks) {
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

TEST_F(EachSource, TryAWebIdentityAgain) {
  set("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
  set("AWS_ROLE_ARN", kRole);
  world.files.put("/token", "jwt");
  on(kSts, {xml_error(400, "InvalidIdentityToken", ""), xml_error(400, "IDPCommunicationError", ""), role("W")});
  EXPECT_EQ(failure(), "");
  EXPECT_THAT(places(), ElementsAre(kSts, kSts, kSts, kKms));
}

// --- IAM Identity Center, 7.8 ---------------------------------------------------------------------------------------

constexpr const char* kPortal = "GET https://portal.sso.eu-west-1.amazonaws.com/federation/credentials";
constexpr const char* kOidc = "POST https://oidc.eu-west-1.amazonaws.com/token";
// printf corp | sha1sum; printf https://corp.example/start | sha1sum
const std::string kCorp = "/home/person/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
const std::string kLegacy = "/home/person/.aws/sso/cache/f7c9b39d0b4c7a7d82c79307585f77e1c5e74378.json";

class Sso : public EachSource {
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

// --- aws login, 7.9 -------------------------------------------------------------------------------------------------

TEST_F(EachSource, UseWhatAwsLoginLeft) {
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

// --- credential_process, 7.10 ---------------------------------------------------------------------------------------

class Process : public EachSource {
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

// --- containers, 7.11 -----------------------------------------------------------------------------------------------

const Reply kContainerReply = {
    .body = R"({"AccessKeyId":"BOX","SecretAccessKey":"s","Token":"t","Expiration":"2026-01-02T04:00:00Z"})"};

TEST_F(EachSource, AskTheContainerService) {
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

TEST_F(EachSource, ShowTheContainerServiceAToken) {
  set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
  set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "from-variable");
  set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/pod");
  world.files.put("/pod", "from-file\n");
  on("GET http://169.254.170.23/v1/credentials", kContainerReply);
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(sent[0].header("authorization"), "from-file");
}

TEST_F(EachSource, TellTheContainerTokenToNobodyElse) {
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

TEST_F(EachSource, SayWhatTheContainerServiceRefuses) {
  set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
  on("GET http://169.254.170.2/x", {.status = 404, .body = R"({"code":"NoSuchRole","message":"gone"})"});
  EXPECT_EQ(
      failure(),
      "the container service of AWS_CONTAINER_CREDENTIALS_RELATIVE_URI at 169.254.170.2: NoSuchRole: gone (HTTP 404)");
}

// --- instance metadata, 7.12 ----------------------------------------------------------------------------------------

constexpr const char* kToken = "PUT http://169.254.169.254/latest/api/token";
constexpr const char* kRoles = "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/";
constexpr const char* kInstanceRole = "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/web";

class Metadata : public EachSource {
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

}  // namespace
}  // namespace sops::aws
