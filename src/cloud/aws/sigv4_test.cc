// SPDX-License-Identifier: MPL-2.0
//
// Signatures against the vectors of keys-aws.md 8.2 (own script, botocore and curl agreed on them) and the suite that
// AWS publishes.
#include "cloud/aws/sigv4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/codec.h"
#include "base/text.h"
#include "base/url.h"
#include "crypto/hash.h"
#include "tests/support/vectors.h"

namespace sops::aws {
namespace {

using ::testing::HasSubstr;

const SecureBytes& example_secret() {
  static const SecureBytes secret = SecureBytes::copy_of("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
  return secret;
}

HttpRequest request(std::string method, std::string url, std::vector<HttpHeader> headers, std::string_view body) {
  HttpRequest made;
  made.method = std::move(method);
  made.url = std::move(url);
  made.headers = std::move(headers);
  made.headers.push_back({"X-Amz-Date", "20150830T123600Z"});
  made.body = SecureBytes::copy_of(body);
  return made;
}

SigningSteps sign_as_example(HttpRequest& made, std::string_view service, SignedPath path = SignedPath::kEncodedTwice) {
  return sign(made,
              {.access_key_id = "AKIDEXAMPLE", .secret = example_secret(), .region = "us-east-1", .service = service},
              path);
}

std::string hash_of(const SigningSteps& steps) { return hex_lower(sha256(steps.canonical_request.expose())); }

constexpr std::string_view kKmsBody =
    R"({"EncryptionContext":{},"KeyId":"arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555",)"
    R"("Plaintext":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="})";

HttpRequest kms_request() {
  return request("POST", "https://kms.us-east-1.amazonaws.com/",
                 {{"Content-Type", "application/x-amz-json-1.1"}, {"X-Amz-Target", "TrentService.Encrypt"}}, kKmsBody);
}

TEST(Signature, OfKmsEncrypt) {  // vector A
  HttpRequest made = kms_request();
  const SigningSteps steps = sign_as_example(made, "kms");
  EXPECT_EQ(hash_of(steps), "a64f37784a62a8a5305af3c0d154da8eab1cc1a88a0f7f58043ddae6b96ec590");
  EXPECT_EQ(steps.signature_hex, "b1804423839585ceb9726fc115eab3ab5844dcedfaa53b561dc55eeaa76bb689");
  EXPECT_EQ(made.headers.back().name, "Authorization");
  EXPECT_EQ(made.headers.back().value,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/kms/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
            "Signature=b1804423839585ceb9726fc115eab3ab5844dcedfaa53b561dc55eeaa76bb689");
}

TEST(Signature, OfSessionCredentials) {  // vector B
  HttpRequest made = kms_request();
  made.headers.push_back({"X-Amz-Security-Token", "SESSIONTOKENEXAMPLE=="});
  const SigningSteps steps = sign_as_example(made, "kms");
  EXPECT_EQ(hash_of(steps), "366ecb5aeeafeb7b088642a93c81b020cff8c637c269ddc3dd8273a0d146a916");
  EXPECT_EQ(steps.signature_hex, "a6760936c1dfedaaddacc2eaaf31e4fca496fdd501d545df920d245d9afc73c0");
}

TEST(Signature, OfAssumeRole) {  // vector C
  HttpRequest made =
      request("POST", "https://sts.us-east-1.amazonaws.com/", {{"Content-Type", "application/x-www-form-urlencoded"}},
              "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2F"
              "sops-dev&RoleSessionName=sops%40host1");
  const SigningSteps steps = sign_as_example(made, "sts");
  EXPECT_EQ(hash_of(steps), "62ad16cc073e62c932f5416e0e62ea57554702ee6e4642f6cfcd3df2a7f2e907");
  EXPECT_EQ(steps.signature_hex, "c7c92212f001d1ba980e9c54f822a67d81d2df4d85460dffaffcf0db0569e884");
}

TEST(Signature, OfS3PutObject) {  // vector D
  HttpRequest made =
      request("PUT", "https://bkt.s3.us-east-1.amazonaws.com/a%20b/c%3D1.yaml?x-id=PutObject",
              {{"Content-Type", "application/octet-stream"},
               {"x-amz-content-sha256", "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"}},
              "hello\n");
  const SigningSteps steps = sign_as_example(made, "s3", SignedPath::kAsSent);
  EXPECT_EQ(hash_of(steps), "ef41ffe8c75c057124b1d1e7e7420ce54391c36da11a4b8f8a129906ecb0370d");
  EXPECT_EQ(steps.signature_hex, "db264a9b265cec8014545466c4011397536c005ca140bee474842c8d4332c7ad");
}

// botocore 1.44.8's SigV4Auth for the same request: the path of an endpoint of one's own is encoded once more, and the
// port stands in Host.
TEST(Signature, OfAnEndpointWithPathAndPort) {
  HttpRequest made = kms_request();
  made.url = "http://127.0.0.1:4566/a%20b/kms";
  const SigningSteps steps = sign_as_example(made, "kms");
  EXPECT_THAT(std::string(steps.canonical_request.expose_text()), HasSubstr("POST\n/a%2520b/kms\n"));
  EXPECT_THAT(std::string(steps.canonical_request.expose_text()), HasSubstr("\nhost:127.0.0.1:4566\n"));
  EXPECT_EQ(steps.signature_hex, "9f8be3596cba3964c1c2b7ac6b599bc561822fbfdc719d6643030bb0ef2ff7a3");
}

// --- the suite -----------------------------------------------------------------------------------------------------

struct SuiteCase {
  HttpRequest request;
  SecureBytes secret;
  std::string id, region, service;
};

std::string read(const std::filesystem::path& path) { return read_vector_file(path).value_or(""); }

// The request of the suite as ours: its path encoded once, as it would be sent.
SuiteCase load(const std::filesystem::path& folder) {
  const std::string context_text = read(folder / "context.json");
  const VectorJson context = VectorJson::parse(context_text);
  SuiteCase made;
  made.id = context["credentials"]["access_key_id"].text;
  made.secret = SecureBytes::copy_of(context["credentials"]["secret_access_key"].text);
  made.region = context["region"].text;
  made.service = context["service"].text;

  const std::string text = read(folder / "request.txt");
  const size_t blank = text.find("\n\n");
  std::vector<std::string_view> lines = split(std::string_view(text).substr(0, blank), '\n');
  const size_t target = lines[0].find(' ') + 1;
  const std::string_view path_and_query = lines[0].substr(target, lines[0].rfind(' ') - target);
  const size_t question = path_and_query.find('?');
  std::string path;
  for (const std::string_view segment : split(path_and_query.substr(0, question), '/')) {
    path += percent_encode(segment) + "/";
  }
  path.pop_back();
  made.request.method = lines[0].substr(0, target - 1);
  std::string host;
  for (const std::string_view line : std::span(lines).subspan(1)) {
    if (line.empty()) continue;
    if (line.starts_with(' ')) {
      made.request.headers.back().value += format("\n{}", line);
      continue;
    }
    const size_t colon = line.find(':');
    if (to_lower(line.substr(0, colon)) == "host") {
      host = line.substr(colon + 1);
    } else {
      made.request.headers.push_back({std::string(line.substr(0, colon)), std::string(line.substr(colon + 1))});
    }
  }
  made.request.url = format("https://{}{}", host, path);
  if (question != std::string_view::npos) made.request.url += path_and_query.substr(question);
  if (blank != std::string::npos) made.request.body = SecureBytes::copy_of(std::string_view(text).substr(blank + 2));
  made.request.headers.push_back({"X-Amz-Date", "20150830T123600Z"});
  if (context["sign_body"].text == "true") {
    made.request.headers.push_back({"X-Amz-Content-Sha256", hex_lower(sha256(made.request.body.expose()))});
  }
  const std::string token = context["credentials"]["token"].text;
  if (!token.empty() && context["omit_session_token"].text != "true") {
    made.request.headers.push_back({"X-Amz-Security-Token", token});
  }
  return made;
}

TEST(Signature, FollowsTheSuiteOfAws) {
  const std::filesystem::path suite = std::filesystem::path(SOPS_SHARED_DIR) / "vectors" / "aws-sigv4";
  if (!std::filesystem::exists(suite)) GTEST_SKIP() << "not run: the SigV4 suite is not at " << suite;
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(suite)) {
    const std::string name = entry.path().filename();
    // S3 alone normalizes no paths; no path of ours has anything to normalize.
    if (!entry.is_directory() || name.ends_with("-normalized")) continue;
    SCOPED_TRACE(name);
    SuiteCase made = load(entry.path());
    const SigningSteps steps = sign(
        made.request, {.access_key_id = made.id, .secret = made.secret, .region = made.region, .service = made.service},
        SignedPath::kAsSent);
    EXPECT_EQ(steps.canonical_request.expose_text(), read(entry.path() / "header-canonical-request.txt"));
    EXPECT_EQ(steps.string_to_sign, read(entry.path() / "header-string-to-sign.txt"));
    EXPECT_EQ(steps.signature_hex, read(entry.path() / "header-signature.txt"));
    ++count;
  }
  EXPECT_GE(count, 30u);
}

}  // namespace
}  // namespace sops::aws
