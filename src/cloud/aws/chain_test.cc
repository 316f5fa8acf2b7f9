// SPDX-License-Identifier: MPL-2.0
//
// Which source is selected, roles and chains of profiles, MFA, and one fetch for all. Rules: keys-aws.md 3, 7.1-7.6;
// keys.md 3.3, 3.4.
#include "cloud/aws/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

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

// --- MFA, keys.md 3.4 -----------------------------------------------------------------------------------------------

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

// --- one fetch for all, keys.md 3.3 ---------------------------------------------------------------------------------

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
