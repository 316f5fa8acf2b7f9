// SPDX-License-Identifier: MPL-2.0
//
// One call: what is sent, what becomes of each answer, when it is sent again. Rules: keys-aws.md 4, 5, 9;
// keys.md 1.8, 3.3.
#include "cloud/aws/client.h"
#include "cloud/aws/transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

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

class Calls : public ::testing::Test, public FakeAws {
 protected:
  Calls() { set_keys(); }
  std::string failure_of(Reply reply) {
    on(kKms, std::move(reply));
    return failure();
  }
};

TEST_F(Calls, AreSignedRequests) {
  set("AWS_SESSION_TOKEN", "tok");
  const auto answer = call();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->blob("Plaintext")->size(), 3u);
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].body, "{}");
  EXPECT_EQ(sent[0].header("content-type"), "application/x-amz-json-1.1");
  EXPECT_EQ(sent[0].header("x-amz-target"), "TrentService.Decrypt");
  EXPECT_EQ(sent[0].header("x-amz-date"), "20260102T030405Z");
  EXPECT_EQ(sent[0].header("x-amz-security-token"), "tok");
  EXPECT_THAT(sent[0].header("authorization"),
              HasSubstr("Credential=AKIDENV/20260102/us-east-1/kms/aws4_request, "
                        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, "));
  EXPECT_FALSE(sent[0].bypass_proxy);
  EXPECT_EQ(sent[0].connect_deadline, milliseconds(3000));  // keys.md 1.8
  EXPECT_EQ(sent[0].answer_deadline, milliseconds(10000));
}

TEST_F(Calls, GoWhereTheUserSays) {
  set("AWS_ENDPOINT_URL", "http://10.0.0.1:4566/base");
  set("AWS_CA_BUNDLE", "/ca.pem");
  on("POST http://10.0.0.1:4566/base", {.body = "{}"});
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(sent[0].ca_bundle, "/ca.pem");
  EXPECT_THAT(notes(Note::Kind::kWarning),
              ElementsAre("requests to http://10.0.0.1:4566/base go over the network unencrypted (AWS_ENDPOINT_URL)"));
}

// keys-aws.md 9.
TEST_F(Calls, SayWhatARefusalMeans) {
  const std::string at = "kms Decrypt at kms.us-east-1.amazonaws.com: ";
  EXPECT_EQ(failure_of(json_error(400, "AccessDeniedException", "User: u is not authorized")),
            at + "AccessDeniedException: User: u is not authorized (HTTP 400, request r-1) / credentials: "
                 "AWS_ACCESS_KEY_ID; their policy, or that of the key or role, does not allow it");
  EXPECT_EQ(failure_of(json_error(400, "ExpiredTokenException", "expired")),
            "the session of AWS_ACCESS_KEY_ID has expired; " + at +
                "ExpiredTokenException: expired (HTTP 400, request r-1) / log in again (for example with aws sso "
                "login), or export new credentials");
  EXPECT_EQ(failure_of(json_error(400, "com.amazonaws.kms#UnrecognizedClientException", "invalid")),
            "the access key AKIDENV of AWS_ACCESS_KEY_ID is not known there; " + at +
                "UnrecognizedClientException: invalid (HTTP 400, request r-1) / the key was deleted, or belongs to "
                "another partition or endpoint; a session key needs its session token");
  EXPECT_EQ(failure_of(json_error(400, "NotFoundException:http://x", "no key")),
            at + "NotFoundException: no key (HTTP 400, request r-1)");
  EXPECT_EQ(failure_of({.status = 403, .body = ""}), at + "no reason was given (HTTP 403)");
  EXPECT_EQ(failure_of({.status = 400, .body = "<html>oops"}), at + "no reason was given (HTTP 400)");
  EXPECT_EQ(failure_of({.status = 302, .body = "", .headers = {{"Location", "http://evil"}}}),
            at + "no reason was given (HTTP 302): redirects are not followed");
  EXPECT_EQ(failure_of({.status = 400, .body = "", .headers = {{"X-Amzn-ErrorType", "DisabledException:"}}}),
            at + "DisabledException (HTTP 400)");
  // As moto refuses, with XML.
  EXPECT_EQ(
      failure_of(xml_error(403, "InvalidClientTokenId", "no such token")),
      "the access key AKIDENV of AWS_ACCESS_KEY_ID is not known there; " + at +
          "InvalidClientTokenId: no such token (HTTP 403, request r-1) / the key was deleted, or belongs to another "
          "partition or endpoint; a session key needs its session token");
  EXPECT_EQ(failure_of(json_error(400, "Bad\\u001b[31m", "\\u0007")),
            at + "Bad\\x1b[31m: \\x07 (HTTP 400, request r-1)");
}

TEST_F(Calls, RefuseAnswersThatAreNone) {
  EXPECT_EQ(failure_of({.body = "<html>secret"}), "line 1, column 1: this is no JSON (the answer to kms Decrypt)");
  EXPECT_THAT(failure_of({.body = ""}), HasSubstr("this is no JSON (the answer to kms Decrypt)"));
  EXPECT_EQ(failure_of({.body = "[]"}), "this is JSON, but no object (the answer to kms Decrypt)");
}

TEST_F(Calls, LetTheCallerExplain) {
  explain = [](const Refusal& refusal) -> std::optional<Error> {
    if (refusal.code != "DisabledException") return std::nullopt;
    return fail(ErrorCode::kDenied, "switched off: {}", to_string(refusal)).error();
  };
  EXPECT_EQ(failure_of(json_error(400, "DisabledException", "m")),
            "switched off: DisabledException: m (HTTP 400, request r-1)");
  EXPECT_THAT(failure_of(json_error(400, "Other", "m")), HasSubstr("kms Decrypt at"));
}

// keys.md 2.1.
TEST_F(Calls, GoNowhereForARegionOrRoleThatIsNone) {
  EXPECT_EQ(failure(call_with({}, "s3")),
            "'s3' is no region of AWS / other names are possible with an endpoint of your own: AWS_ENDPOINT_URL");
  EXPECT_EQ(failure(call_with({}, "cn-north-1")),
            "region cn-north-1 lies in partition aws-cn, not in aws as the ARN says");
  EXPECT_EQ(failure(call_with({.role_arn = "arn:aws:iam::1:role/x"})),
            "'arn:aws:iam::1:role/x' is no role / the ARN of a role is arn:aws:iam::ACCOUNT:role/NAME");
  EXPECT_THAT(sent, IsEmpty());
}

// --- again -----------------------------------------------------------------------------------------------------------

TEST_F(Calls, AreRepeatedWhenThatMayHelp) {
  for (const Reply& trouble :
       {Reply{.status = 500, .body = ""}, Reply{.status = 503, .body = ""},
        json_error(400, "ThrottlingException", "slow down"), json_error(400, "LimitExceededException", ""),
        json_error(400, "RequestTimeout", ""), Reply{.body = "", .failure = ErrorCode::kUnavailable}}) {
    sent.clear();
    on(kKms, {trouble, {.body = "{}"}});
    EXPECT_EQ(failure(), "");
    EXPECT_THAT(sent, SizeIs(2));
  }
}

TEST_F(Calls, AreNotRepeatedWhenItCannotHelp) {
  for (const Reply& trouble : {json_error(400, "AccessDeniedException", ""), Reply{.status = 429, .body = ""},
                               Reply{.status = 501, .body = ""}, Reply{.body = "", .failure = ErrorCode::kNotFound},
                               Reply{.body = "", .failure = ErrorCode::kDenied}}) {
    sent.clear();
    on(kKms, {trouble, {.body = "{}"}});
    EXPECT_NE(failure(), "");
    EXPECT_THAT(sent, SizeIs(1));
  }
}

TEST_F(Calls, AreSentThreeTimesAtMost) {
  EXPECT_EQ(failure_of(json_error(400, "ThrottlingException", "rate")),
            "kms Decrypt at kms.us-east-1.amazonaws.com: ThrottlingException: rate (HTTP 400, request r-1), after 3 "
            "attempts / too many requests: try again later");
  EXPECT_THAT(sent, SizeIs(3));
  ASSERT_THAT(world.clock.sleeps, SizeIs(2));
  EXPECT_LT(world.clock.sleeps[0], milliseconds(2000));  // [0, 2^n) seconds
  EXPECT_LT(world.clock.sleeps[1], milliseconds(4000));
  // Each attempt has its own date.
  EXPECT_NE(sent[0].header("x-amz-date") + sent[0].header("authorization"),
            sent[2].header("x-amz-date") + sent[2].header("authorization"));
  sent.clear();
  set("AWS_MAX_ATTEMPTS", "1");
  EXPECT_EQ(failure_of({.body = "", .failure = ErrorCode::kUnavailable}), "cannot reach it (kms Decrypt)");
  EXPECT_THAT(sent, SizeIs(1));
  set("AWS_MAX_ATTEMPTS", "4");
  EXPECT_EQ(failure(), "cannot reach it (4 attempts) (kms Decrypt)");
}

TEST_F(Calls, EndWithTheTimeOfAKey) {
  set("SOPS_KEY_TIMEOUT", "8s");
  set("AWS_MAX_ATTEMPTS", "50");
  on(kKms, {.status = 503, .body = "", .takes = milliseconds(3000)});
  const auto start = world.clock.time;
  EXPECT_THAT(failure(), HasSubstr("(HTTP 503), after "));
  EXPECT_LE(world.clock.time - start, std::chrono::seconds(11));
  EXPECT_EQ(sent[0].answer_deadline, milliseconds(4000));
  EXPECT_LE(sent.back().answer_deadline, milliseconds(4000));
  for (const auto& [text, first] :
       std::map<std::string, int>{{"90", 45000}, {"1m30s", 45000}, {"500ms", 250}, {"0.5s", 250}}) {
    set("SOPS_KEY_TIMEOUT", text);
    sent.clear();
    on(kKms, {.body = "{}"});
    EXPECT_EQ(failure(), "");
    EXPECT_EQ(sent[0].answer_deadline, milliseconds(first)) << text;
  }
  for (const std::string bad : {"x", "-1s", "0", "5x", "1m30", "s", "1s "}) {
    set("SOPS_KEY_TIMEOUT", bad);
    EXPECT_THAT(failure(), HasSubstr(format("SOPS_KEY_TIMEOUT '{}' is no duration", bad)));
  }
}

TEST_F(Calls, EndWhenTheyAreNoLongerWanted) {
  std::stop_source source;
  source.request_stop();
  const auto result = call_with({.stop = source.get_token()});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(sent, IsEmpty());
}

// keys.md 3.3: "The SDK's retry token bucket counts when there are 1,000 files."
TEST_F(Calls, HaveOneAllowanceForRetries) {
  on(kKms, json_error(400, "ThrottlingException", ""));
  for (int i = 0; i < 1000; ++i) EXPECT_NE(failure(), "");
  EXPECT_THAT(sent, SizeIs(1000 + 500 / 5));
}

// --- the clock, keys-aws.md 5.3 -------------------------------------------------------------------------------------

constexpr const char* kTenMinutesLater = "Fri, 02 Jan 2026 03:14:05 GMT";

TEST_F(Calls, GoByTheClockOfTheService) {
  Reply wrong = json_error(400, "InvalidSignatureException", "Signature expired");
  wrong.headers.push_back({"Date", kTenMinutesLater});
  on(kKms, {wrong, {.body = "{}", .headers = {{"Date", kTenMinutesLater}}}});
  EXPECT_EQ(failure(), "");
  ASSERT_THAT(sent, SizeIs(2));
  EXPECT_EQ(sent[0].header("x-amz-date"), "20260102T030405Z");
  EXPECT_EQ(sent[1].header("x-amz-date"), "20260102T031405Z");
  EXPECT_EQ(failure(), "");
  ASSERT_THAT(sent, SizeIs(3));
  EXPECT_EQ(sent[2].header("x-amz-date"), "20260102T031405Z");
  EXPECT_THAT(notes(Note::Kind::kWarning),
              ElementsAre("the clock of this machine is 10 minutes behind that of kms.us-east-1.amazonaws.com"));
}

TEST_F(Calls, BlameTheClockOnlyIfItIsWrong) {
  const std::string start =
      "the signature with AWS_ACCESS_KEY_ID was not accepted; kms Decrypt at "
      "kms.us-east-1.amazonaws.com: InvalidSignatureException: m (HTTP 400, request r-1)";
  Reply refused = json_error(400, "InvalidSignatureException", "m");
  EXPECT_EQ(failure_of(refused), start + " / the secret access key is wrong, or the clock of this machine");
  refused.headers.push_back({"Date", "Fri, 02 Jan 2026 03:04:00 GMT"});
  const std::string agrees = " / the secret access key is wrong; the time that was signed is that of the service";
  EXPECT_EQ(failure_of(refused), start + agrees);
  EXPECT_THAT(sent, SizeIs(2));
  refused.headers.back().value = "Fri, 02 Jan 2026 02:04:05 GMT";
  EXPECT_EQ(failure_of(refused), start + agrees);
  EXPECT_THAT(sent, SizeIs(4));  // once more with the right time, not twice
  FakeAws other;
  other.set_keys();
  other.set("AWS_DISABLE_CLOCK_SKEW_CORRECTION", "true");
  other.on(kKms, refused);
  EXPECT_EQ(
      other.failure(),
      start + " / the clock of this machine is 60 minutes ahead of that of kms.us-east-1.amazonaws.com: set it right");
}

TEST_F(Calls, LeaveTheClockAloneIfTold) {
  set("AWS_DISABLE_CLOCK_SKEW_CORRECTION", "true");
  Reply wrong = json_error(400, "RequestExpired", "");
  wrong.headers.push_back({"Date", kTenMinutesLater});
  EXPECT_NE(failure_of(wrong), "");
  EXPECT_NE(failure(), "");
  ASSERT_THAT(sent, SizeIs(2));
  EXPECT_EQ(sent[1].header("x-amz-date"), "20260102T030405Z");
}

TEST(HttpDates, MustLieInTheTimeOfClocks) {
  EXPECT_TRUE(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"));  // RFC 9110 5.6.7
  EXPECT_FALSE(parse_http_date("Sun, 06 Nov 3988 08:49:37 GMT"));
  EXPECT_FALSE(parse_http_date("Sun, 06 Nov 1800 08:49:37 GMT"));
}

TEST_F(Calls, DoNotBelieveACachedDate) {
  Reply wrong = json_error(400, "RequestExpired", "");
  wrong.headers = {{"Date", kTenMinutesLater}, {"Age", "600"}};
  EXPECT_NE(failure_of(wrong), "");
  EXPECT_THAT(sent, SizeIs(1));
}

}  // namespace
}  // namespace sops::aws
