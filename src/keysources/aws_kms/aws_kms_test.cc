// SPDX-License-Identifier: MPL-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/codec.h"
#include "core/key_groups.h"
#include "keysources/key_source.h"
#include "sys/notes.h"
#include "sys/run_state.h"
#include "tests/support/fake_services.h"

namespace sops::aws_kms {

extern const KeySourceType type;

namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using StringMap = std::map<std::string, std::string>;

constexpr std::string_view kArn = "arn:aws:kms:us-east-1:123456789012:key/920aff2e-c5f1-4040-943a-047fa387b27e";
constexpr std::string_view kRole = "arn:aws:iam::927034868273:role/sops-dev";
constexpr std::string_view kDataKey = "0123456789abcdef0123456789abcdef";

std::vector<std::string> ids_of(std::string_view list, const KeyOptions& options = {}) {
  std::vector<std::string> ids;
  const auto keys = type.from_list(list, options);
  for (const auto& key : *keys) ids.push_back(key->id());
  return ids;
}

HttpAnswer json_answer(int status, const std::string& body) {
  HttpAnswer answer;
  answer.status = status;
  answer.headers = {{"Content-Type", "application/x-amz-json-1.1"}, {"x-amzn-RequestId", "3c0b"}};
  answer.body = SecureBytes::copy_of(body);
  return answer;
}

// A KMS that "encrypts" by putting "made:" in front, and remembers what it was asked.
class KmsTest : public testing::Test {
 protected:
  KmsTest() {
    world.environment.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    world.environment.set("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    world.environment.set("AWS_EC2_METADATA_DISABLED", "true");
    world.http.answer = [this](const HttpRequest& request) -> Result<HttpAnswer> {
      bodies.push_back(std::string(request.body.expose_text()));
      for (const HttpHeader& header : request.headers) {
        if (header.name == "X-Amz-Target") targets.push_back(header.value);
      }
      if (refusal) return json_answer(400, *refusal);
      if (bodies.back().find("CiphertextBlob") != std::string::npos) {
        return json_answer(
            200, format(R"({{"KeyId":"{}","Plaintext":"{}","New":[1]}})", kArn, base64_encode(as_bytes(kDataKey))));
      }
      return json_answer(200,
                         format(R"({{"KeyId":"{}","CiphertextBlob":"{}"}})", kArn, base64_encode(as_bytes("made"))));
    };
  }

  std::unique_ptr<MasterKey> key_of(const FieldMap& fields) { return std::move(*type.from_metadata(fields)); }

  FieldMap entry(std::string_view arn = kArn) {
    return {{"arn", std::string(arn)},
            {"aws_profile", ""},
            {"created_at", "2025-03-23T10:20:30Z"},
            {"enc", base64_encode(as_bytes("made"))}};
  }

  std::string unwrap(const FieldMap& fields, const UnwrapOptions& options = {}) {
    const auto secret = key_of(fields)->unwrap(fields, options, world.services());
    return secret ? std::string(secret->expose_text()) : to_string(secret.error());
  }

  FakeServices world;
  std::vector<std::string> bodies;
  std::vector<std::string> targets;
  std::optional<std::string> refusal;
};

// keys-aws.md 1.2, 11: cases of SOPS's own tests.
TEST(KmsList, IsSplitIntoArnsAndRoles) {
  EXPECT_THAT(ids_of(format("{}+{}, arn:aws:kms:ap-southeast-1:656532927350:key/9006a8aa", kArn, kRole)),
              ElementsAre(format("{}+{}", kArn, kRole), "arn:aws:kms:ap-southeast-1:656532927350:key/9006a8aa"));
  EXPECT_THAT(ids_of(" arn:aws:kms:us-west-2 :107501996527:key/612d5f 0p-p1l3 "),
              ElementsAre("arn:aws:kms:us-west-2:107501996527:key/612d5f0p-p1l3"));
  EXPECT_THAT(ids_of(""), ElementsAre());
  EXPECT_THAT(ids_of("a,"), ElementsAre("a", ""));  // "Empty items are not skipped"
  EXPECT_THAT(ids_of("a+b+arn:c+arn:d"), ElementsAre("a+b+arn:c+arn:d"));
  EXPECT_THAT(ids_of("+arn:x"), ElementsAre("+arn:x"));  // "at an index greater than 0"
}

// keys-aws.md 1.5
TEST(KmsId, NamesRoleContextAndProfile) {
  const KeyOptions context{.encryption_context = {{"b", "2"}, {"a", "1"}}};
  const KeyOptions both{.encryption_context = {{"b", "2"}, {"a", "1"}}, .aws_profile = "work"};
  EXPECT_THAT(ids_of("x+arn:r"), ElementsAre("x+arn:r"));
  EXPECT_THAT(ids_of("x+arn:r", context), ElementsAre("x+arn:r|a:1,b:2"));
  EXPECT_THAT(ids_of("x", both), ElementsAre("x|a:1,b:2|work"));
  EXPECT_THAT(ids_of("x", {.aws_profile = "work"}), ElementsAre("x||work"));
}

TEST_F(KmsTest, WrapsIntoAnEntry) {
  const KeyOptions options{.encryption_context = {{"app", "w\"\n\u00e9b"}}};
  const auto keys = type.from_list(kArn, options);
  const auto fields = (*keys)[0]->wrap(SecureBytes::copy_of(kDataKey), world.services());
  ASSERT_TRUE(fields) << to_string(fields.error());
  EXPECT_EQ(*fields, (FieldMap{{"arn", std::string(kArn)},
                               {"aws_profile", ""},
                               {"context", StringMap{{"app", "w\"\n\u00e9b"}}},
                               {"created_at", "2026-01-02T03:04:05Z"},
                               {"enc", base64_encode(as_bytes("made"))}}));
  EXPECT_THAT(world.http.log, ElementsAre("POST https://kms.us-east-1.amazonaws.com/"));
  EXPECT_THAT(targets, ElementsAre("TrentService.Encrypt"));
  EXPECT_THAT(bodies,
              ElementsAre(format(R"({{"Plaintext":"{}","EncryptionContext":{{"app":"w\"\n{}b"}},"KeyId":"{}"}})",
                                 base64_encode(as_bytes(kDataKey)), "\u00e9", kArn)));
}

TEST_F(KmsTest, UnwrapsWithTheArnAndContextOfTheFile) {
  FieldMap fields = entry();
  EXPECT_EQ(unwrap(fields), kDataKey);
  EXPECT_THAT(targets, ElementsAre("TrentService.Decrypt"));
  EXPECT_EQ(bodies[0], format(R"({{"CiphertextBlob":"bWFkZQ==","EncryptionContext":{{}},"KeyId":"{}"}})", kArn));
  fields["context"] = StringMap{{"a", "1"}, {"b", ""}};
  EXPECT_EQ(unwrap(fields), kDataKey);
  EXPECT_THAT(bodies[1], HasSubstr(R"("EncryptionContext":{"a":"1","b":""})"));
}

// keys-aws.md 1.6: created_at "is not touched by later rotations of the data key".
TEST_F(KmsTest, KeepsTheTimeOfItsMaking) {
  const auto fields = key_of(entry())->wrap(SecureBytes::copy_of(kDataKey), world.services());
  ASSERT_TRUE(fields);
  EXPECT_EQ(field_text(*fields, "created_at"), "2025-03-23T10:20:30Z");
}

TEST_F(KmsTest, AsksEveryPartition) {
  const std::pair<const char*, const char*> cases[] = {
      {"arn:aws-cn:kms:cn-north-1:1:key/x", "POST https://kms.cn-north-1.amazonaws.com.cn/"},
      {"arn:aws-us-gov:kms:us-gov-west-1:1:alias/x", "POST https://kms.us-gov-west-1.amazonaws.com/"},
      {"arn:aws:kms:eu-west-1:1:key/mrk-1234", "POST https://kms.eu-west-1.amazonaws.com/"},
  };
  for (const auto& [arn, asked] : cases) {
    EXPECT_EQ(unwrap(entry(arn)), kDataKey) << arn;
    EXPECT_EQ(world.http.log.back(), asked);
    EXPECT_THAT(bodies.back(), HasSubstr(arn));  // an alias is sent as it is
  }
}

// keys.md 2.1
TEST_F(KmsTest, AsksNobodyForWhatIsNoKey) {
  for (const char* arn :
       {"", "alias/x", "920aff2e-c5f1-4040-943a-047fa387b27e", "arn:gcp:kms:antartica-north-2::key/x",
        "arn:aws:kms::1:key/x", "arn:aws:kms:us-east-1::key/x", "arn:aws:kms:us-east-1:1:key/",
        "arn:aws:s3:us-east-1:1:key/x", "arn:aws:kms:s3:1:key/x", "arn:aws:kms:evil.example/:1:key/x",
        "arn:aws:kms:us-east-1.evil.example:1:key/x", "arn:aws:kms:@evil:1:key/x", "arn:aws:kms:us-east-1#:1:key/x",
        "arn:aws:kms:us-east-1\n:1:key/x", "arn:aws-cn:kms:us-east-1:1:key/x", "arn:aws:kms:cn-north-1:1:key/x",
        "arn:aws:kms:localhost:1:key/x", "arn:aws:kms:127.0.0.1:1:key/x"}) {
    EXPECT_NE(unwrap(entry(arn)), kDataKey) << arn;
  }
  FieldMap with_role = entry();
  for (const char* role : {"x", "arn:aws:iam::1:role/x", "arn:aws:iam::123456789012:user/x", "https://evil/",
                           "arn:aws:sts::123456789012:role/x"}) {
    with_role["role"] = role;
    EXPECT_THAT(unwrap(with_role), HasSubstr("is no role")) << role;
  }
  EXPECT_THAT(world.http.log, ElementsAre());
}

TEST_F(KmsTest, AsksNobodyForWhatIsNoCiphertext) {
  FieldMap fields = entry();
  for (const std::string& enc : {std::string("invalid"), std::string(""), std::string("YQ"), std::string("YQ=!"),
                                 base64_encode(std::vector<uint8_t>(6145, 1))}) {
    fields["enc"] = enc;
    EXPECT_THAT(unwrap(fields), HasSubstr("enc"));
    fields["arn"] = "no arn";  // "a bad base64 error precedes a bad ARN error"
    EXPECT_THAT(unwrap(fields), HasSubstr("enc"));
    fields["arn"] = std::string(kArn);
  }
  EXPECT_THAT(world.http.log, ElementsAre());
  fields["enc"] = "bWFk\r\nZQ==\n";  // 1.6: "CR and LF inside are ignored"
  EXPECT_EQ(unwrap(fields), kDataKey);
}

// keys-aws.md 9
TEST_F(KmsTest, ExplainsRefusals) {
  const std::tuple<const char*, const char*, ErrorCode> cases[] = {
      {"AccessDeniedException", "does not allow to decrypt", ErrorCode::kDenied},
      {"NotFoundException", "knows no key", ErrorCode::kNotFound},
      {"com.amazonaws.kms#DisabledException", "is disabled", ErrorCode::kDenied},
      {"KMSInvalidStateException", "no state to be used", ErrorCode::kDenied},
      {"InvalidCiphertextException:http://x", "does not fit", ErrorCode::kAuthFailed},
      {"IncorrectKeyException", "with another key", ErrorCode::kAuthFailed},
      {"InvalidKeyUsageException", "no key for symmetric encryption", ErrorCode::kUnsupported},
  };
  FieldMap fields = entry();
  fields["context"] = StringMap{{"stage", "secretvalue"}};
  for (const auto& [code, text, error_code] : cases) {
    refusal = format(R"({{"__type":"{}","message":"in \u001b[31m words"}})", code);
    const auto secret = key_of(fields)->unwrap(fields, {}, world.services());
    ASSERT_FALSE(secret);
    const std::string message = to_string(secret.error());
    EXPECT_THAT(message, AllOf(HasSubstr(text), HasSubstr("request 3c0b"), HasSubstr(kArn), Not(HasSubstr("\x1b"))));
    EXPECT_EQ(secret.error().code, error_code) << code;
    EXPECT_NE(secret.error().hint, "");
    EXPECT_THAT(message + secret.error().hint, Not(HasSubstr("secretvalue")));
    EXPECT_THAT(message, Not(HasSubstr("EXAMPLEKEY")));
  }
}

TEST_F(KmsTest, RefusesAnswersThatAreNone) {
  for (const char* body :
       {"", "[]", "{", R"({"Plaintext":1})", R"({"Plaintext":"!"})", R"({"CiphertextBlob":"YQ=="})", "<html>"}) {
    world.http.answer = [&](const HttpRequest&) -> Result<HttpAnswer> { return json_answer(200, body); };
    EXPECT_NE(unwrap(entry()), kDataKey) << body;
  }
}

TEST_F(KmsTest, NamesTheProfileOfTheFile) {
  FieldMap fields = entry();
  fields["aws_profile"] = "elsewhere";
  EXPECT_THAT(unwrap(fields), AllOf(HasSubstr("elsewhere"), HasSubstr("that the key names")));
  EXPECT_THAT(world.http.log, ElementsAre());
}

// keys-aws.md 1.8
TEST_F(KmsTest, FindsTheContextOfOldVersions) {
  world.http.answer = [this](const HttpRequest& request) -> Result<HttpAnswer> {
    bodies.push_back(std::string(request.body.expose_text()));
    if (bodies.back().find(R"("EncryptionContext":{"a":"2","b":"2"})") == std::string::npos)
      return json_answer(400, R"({"__type":"InvalidCiphertextException"})");
    return json_answer(200, format(R"({{"Plaintext":"{}"}})", base64_encode(as_bytes(kDataKey))));
  };
  FieldMap fields = entry();
  fields["context"] = StringMap{{"a", "1"}, {"b", "2"}};
  EXPECT_THAT(unwrap(fields), HasSubstr("does not fit"));
  EXPECT_EQ(bodies.size(), 1u);  // no more requests for files of our time
  EXPECT_EQ(unwrap(fields, {.is_before_3_3 = true}), kDataKey);
  EXPECT_EQ(bodies.size(), 4u);
  const auto notes = world.run.get<Notes>().take();
  EXPECT_TRUE(
      std::ranges::any_of(notes, [](const Note& note) { return note.text.find("3.3.0") != std::string::npos; }));
  fields["context"] = StringMap{{"a", "1"}, {"b", "1"}};
  EXPECT_THAT(unwrap(fields, {.is_before_3_3 = true}), HasSubstr("does not fit"));
  EXPECT_EQ(bodies.size(), 5u);
}

// 1.8: "When a file's `sops.version` is < 3.3.0".
TEST_F(KmsTest, LooksForOldContextsInOldFilesOnly) {
  world.http.answer = [](const HttpRequest& request) -> Result<HttpAnswer> {
    if (request.body.expose_text().find(R"({"a":"1","b":"1"})") == std::string_view::npos)
      return json_answer(400, R"({"__type":"InvalidCiphertextException"})");
    return json_answer(200, format(R"({{"Plaintext":"{}"}})", base64_encode(as_bytes(kDataKey))));
  };
  const auto opens = [&](std::string version) {
    Metadata metadata{.groups = {{{.source = "kms", .fields = entry()}}}};
    metadata.groups[0][0].fields["context"] = StringMap{{"a", "1"}, {"b", "2"}};
    metadata.version = std::move(version);
    const auto check = [](const DataKey&) -> Result<void> { return {}; };
    return recover_data_key(metadata, {}, check, world.services()).has_value();
  };
  for (const char* version : {"3.2.9", "v3.0.0", "1.18", "2.0.9", "3.2.0-rc1"}) EXPECT_TRUE(opens(version)) << version;
  for (const char* version : {"3.3.0", "3.13.3", "4.0.0", "", "x", "3", "3."}) EXPECT_FALSE(opens(version)) << version;
}

TEST_F(KmsTest, TakesAnythingAsMetadata) {
  EXPECT_TRUE(type.from_metadata({}));
  EXPECT_FALSE(type.from_metadata({{"context", "a:b"}}));
  EXPECT_EQ((*type.from_metadata({{"arn", "x"}, {"context", StringMap{}}}))->id(), "x");
  EXPECT_TRUE((*type.from_metadata({{"arn", StringMap{{"a", "b"}}}}))->id().empty());
}

}  // namespace
}  // namespace sops::aws_kms
