// SPDX-License-Identifier: MPL-2.0
//
// The key source kms: keys of the AWS Key Management Service. The service itself encrypts and decrypts the data key;
// whoever has AWS credentials that may ask it needs no other secret. A metadata entry is (keys-aws.md 1.6)
//
//   {"arn": "arn:aws:kms:REGION:ACCOUNT:key/ID", "role": "arn:aws:iam::ACCOUNT:role/NAME", "context": {"app": "web"},
//    "aws_profile": "", "created_at": "2025-03-23T10:20:30Z", "enc": "base64"}
//
// `role` is assumed before the call; `context` is bound to the ciphertext: without the same pairs nobody decrypts it.
// Signing, credentials, endpoints and retries are those of cloud/aws. Source: ../shared/spec/keys-aws.md 1, 3, 4.
#include <set>
#include <utility>

#include "base/codec.h"
#include "base/rfc3339.h"
#include "cloud/aws/arn.h"
#include "cloud/aws/client.h"
#include "keysources/key_source.h"
#include "sys/notes.h"
#include "sys/run_state.h"

namespace sops::aws_kms {

namespace {

using StringMap = std::map<std::string, std::string>;

constexpr size_t kLongestCiphertext = 6144;  // keys-aws.md 4.2: "CiphertextBlob (1–6144)"

/// What addresses a key, and how.
struct KeyFields {
  std::string arn;
  std::string role;
  StringMap context;
  std::string profile;
  std::string created_at;  // empty: now
};

std::string context_text(const StringMap& context) {
  std::string text;
  for (const auto& [name, value] : context) text += format("{}{}:{}", text.empty() ? "" : ",", name, value);
  return text;
}

// The names of a context, for a message: they help to find the mistake, and values may be personal.
std::string context_names(const StringMap& context) {
  std::vector<std::string> names;
  for (const auto& [name, value] : context) names.push_back(escape_for_message(name, 60));
  return names.empty() ? "no encryption context" : "the encryption context with " + join(names, ", ");
}

/// One of the two operations, for requests and messages.
struct Operation {
  std::string_view name;  // "Decrypt"
  std::string_view verb;  // "decrypt"
};
constexpr Operation kEncrypt = {"Encrypt", "encrypt"};
constexpr Operation kDecrypt = {"Decrypt", "decrypt"};

// What KMS's own refusals mean here; the others mean the same for every service (keys-aws.md 4.3, 9).
std::optional<Error> explain(const KeyFields& key, const Operation& operation, const aws::Refusal& refusal) {
  const std::string arn = escape_for_message(key.arn);
  const auto refused = [&](ErrorCode code, std::string what, std::string hint) {
    return fail(code, "{}: {}", what, aws::to_string(refusal)).hint(std::move(hint)).error();
  };
  if (refusal.code == "AccessDeniedException") {
    return refused(ErrorCode::kDenied, format("AWS does not allow to {} with {}", operation.verb, arn),
                   format("the key's policy, or the IAM policy of {}, must allow kms:{}, with the conditions on the "
                          "encryption context that are in it",
                          key.role.empty() ? "whoever asks" : escape_for_message(key.role), operation.name));
  }
  if (refusal.code == "NotFoundException") {
    return refused(ErrorCode::kNotFound, format("AWS knows no key {} in this account and region", arn),
                   "compare the region, the account and the id of the ARN with the key");
  }
  if (refusal.code == "DisabledException") {
    return refused(ErrorCode::kDenied, format("the key {} is disabled", arn),
                   "an administrator can enable it: aws kms enable-key");
  }
  if (refusal.code == "KMSInvalidStateException") {
    return refused(ErrorCode::kDenied, format("the key {} is in no state to be used, perhaps about to be deleted", arn),
                   "an administrator can keep it: aws kms cancel-key-deletion, then aws kms enable-key");
  }
  if (refusal.code == "InvalidCiphertextException") {
    return refused(ErrorCode::kAuthFailed,
                   format("the encrypted data key does not fit {} and {}", arn, context_names(key.context)),
                   "either the context in the file is not the one it was encrypted with, or enc is damaged");
  }
  if (refusal.code == "IncorrectKeyException") {
    return refused(ErrorCode::kAuthFailed, format("the data key was encrypted with another key than {}", arn),
                   "if it is an alias, it led to another key then");
  }
  if (refusal.code == "InvalidKeyUsageException") {
    return refused(ErrorCode::kUnsupported, format("{} is no key for symmetric encryption", arn),
                   "choose a key of the type SYMMETRIC_DEFAULT with the usage ENCRYPT_DECRYPT");
  }
  return std::nullopt;
}

// The members that both operations have, behind `first` (keys-aws.md 4.2): "EncryptionContext … always sent, {} if
// none".
SecureBytes request_body(std::string_view first_name, std::string_view first_b64, const std::string& key_id,
                         const StringMap& context) {
  SecureBuffer body;
  body.append(format("{{\"{}\":\"", first_name));
  body.append(first_b64);
  body.append("\",\"EncryptionContext\":{");
  bool is_first = true;
  for (const auto& [name, value] : context) {
    if (!std::exchange(is_first, false)) body.append(",");
    aws::append_json_string(name, body);
    body.append(":");
    aws::append_json_string(value, body);
  }
  body.append("},\"KeyId\":");
  aws::append_json_string(key_id, body);
  body.append("}");
  return body.take();
}

Result<aws::Json> call(const KeyFields& key, const Operation& operation, SecureBytes body, bool may_ask,
                       std::stop_token stop, Services& services) {
  const aws::KmsArn arn = TRY(aws::KmsArn::parse(key.arn));
  aws::Caller caller{.profile = key.profile, .role_arn = key.role, .may_ask = may_ask, .stop = std::move(stop)};
  if (!key.role.empty()) {
    const std::string host = services.environment.host_name();
    if (host.empty())
      return fail(ErrorCode::kUnavailable, "the name of this machine, for the session of the role, is unknown");
    caller.role_session_name = aws::session_name("sops@" + host);
  }
  aws::CallRequest request{.region = arn.region,
                           .partition = arn.partition,
                           .target = format("TrentService.{}", operation.name),
                           .body = std::move(body)};
  request.explain = [&](const aws::Refusal& refusal) { return explain(key, operation, refusal); };
  auto answer = services.run.get<aws::Client>().call(request, caller, services);
  if (!answer && !key.profile.empty()) {  // keys-aws.md 1.4: say where the name of the profile comes from
    answer.error().context.push_back(
        format("with the profile '{}' that the key names", escape_for_message(key.profile)));
  }
  return answer;
}

Result<SecureBytes> decrypt(const KeyFields& key, std::string_view enc, const UnwrapOptions& options,
                            Services& services) {
  SecureBytes body = request_body("CiphertextBlob", enc, key.arn, key.context);
  const aws::Json answer = TRY(call(key, kDecrypt, std::move(body), options.may_ask, options.stop, services));
  return in_context(answer.blob("Plaintext"), "the answer of AWS KMS");
}

// keys-aws.md 1.8: SOPS before 3.3.0 could encrypt with a context all of whose names had the value of one of them. The
// values to try then, none if the context cannot be such a one.
std::set<std::string> single_values(const StringMap& context) {
  std::set<std::string> values;
  for (const auto& [name, value] : context) values.insert(value);
  if (context.size() < 2 || values.size() < 2) values.clear();
  return values;
}

class KmsKey final : public MasterKey {
 public:
  explicit KmsKey(KeyFields key) : key_(std::move(key)) {}

  Result<FieldMap> wrap(const SecureBytes& secret, Services& services) const override {
    SecureBytes secret_b64(base64_length(secret.size()));
    base64_encode(secret.expose(), reinterpret_cast<char*>(secret_b64.expose_mutable().data()));
    SecureBytes body = request_body("Plaintext", secret_b64.expose_text(), key_.arn, key_.context);
    const aws::Json answer = TRY(call(key_, kEncrypt, std::move(body), true, {}, services));
    const SecureBytes blob = TRY(in_context(answer.blob("CiphertextBlob"), "the answer of AWS KMS"));
    if (blob.empty()) return fail(ErrorCode::kMalformed, "AWS KMS gave an empty ciphertext");
    FieldMap fields;
    fields["arn"] = key_.arn;
    fields["aws_profile"] = key_.profile;
    if (!key_.context.empty()) fields["context"] = key_.context;
    fields["created_at"] = key_.created_at.empty() ? utc_seconds(services.clock.now()) : key_.created_at;
    fields["enc"] = base64_encode(blob.expose());
    if (!key_.role.empty()) fields["role"] = key_.role;
    return fields;
  }

  Result<SecureBytes> unwrap(const FieldMap& wrapped, const UnwrapOptions& options, Services& services) const override {
    // keys-aws.md 1.1: "a bad base64 error precedes a bad ARN error".
    const std::string_view enc = field_text(wrapped, "enc");
    std::vector<uint8_t> blob(base64_decoded_bound(enc.size()));
    const auto size = base64_decode(enc, blob.data());
    if (!size || *size == 0 || *size > kLongestCiphertext)
      return fail(ErrorCode::kMalformed, "the encrypted data key (enc) is no base64 of 1 to {} bytes",
                  kLongestCiphertext);
    blob.resize(*size);
    const std::string clean = base64_encode(blob);
    auto secret = decrypt(key_, clean, options, services);
    if (secret || secret.error().code != ErrorCode::kAuthFailed || !options.is_before_3_3) return secret;
    for (const std::string& value : single_values(key_.context)) {
      KeyFields other = key_;
      for (auto& [name, its_value] : other.context) its_value = value;
      auto found = decrypt(other, clean, options, services);
      if (!found) continue;
      services.run.get<Notes>().add(
          Note::Kind::kWarning,
          format("the data key was encrypted for {} with a wrong encryption context, as SOPS before 3.3.0 could do; "
                 "sops rotate puts it right",
                 escape_for_message(key_.arn)));
      return found;
    }
    return secret;
  }

  // keys-aws.md 1.5
  std::string id() const override {
    std::string id = key_.arn;
    if (!key_.role.empty()) id += "+" + key_.role;
    if (!key_.context.empty() || !key_.profile.empty()) id += "|" + context_text(key_.context);
    if (!key_.profile.empty()) id += "|" + key_.profile;
    return id;
  }

 private:
  KeyFields key_;
};

// keys-aws.md 1.2: an item is ARN or ARN+ROLE; all spaces in it are dropped; an empty item is a key that fails when it
// is used.
Result<MasterKeys> from_list(std::string_view comma_list, const KeyOptions& options) {
  MasterKeys keys;
  if (comma_list.empty()) return keys;
  for (const std::string_view item : split(comma_list, ',')) {
    std::string text(item);
    std::erase(text, ' ');
    KeyFields key{.context = options.encryption_context, .profile = options.aws_profile};
    const size_t plus = text.find("+arn:", 1);
    key.arn = text.substr(0, plus);
    if (plus != std::string::npos) key.role = text.substr(plus + 1);
    keys.push_back(std::make_unique<KmsKey>(std::move(key)));
  }
  return keys;
}

Result<std::unique_ptr<MasterKey>> from_metadata(const FieldMap& fields) {
  const auto text = [&](std::string_view name) { return std::string(field_text(fields, name)); };
  KeyFields key{
      .arn = text("arn"), .role = text("role"), .profile = text("aws_profile"), .created_at = text("created_at")};
  if (const auto it = fields.find("context"); it != fields.end()) {
    const auto* context = std::get_if<StringMap>(&it->second);
    if (context == nullptr) return fail(ErrorCode::kMalformed, "the encryption context of a KMS key is no mapping");
    key.context = *context;
  }
  return std::unique_ptr<MasterKey>(std::make_unique<KmsKey>(std::move(key)));
}

}  // namespace

extern const KeySourceType type;
const KeySourceType type{
    .id = "kms",
    .summary = "AWS KMS keys (ARN or ARN+ROLE)",
    .flag = "kms",
    .short_flag = "k",
    .environment = "SOPS_KMS_ARN",
    .rule_field = "kms",
    .value_name = "ARNS",
    .is_remote = true,
    .from_list = from_list,
    .from_metadata = from_metadata,
};

}  // namespace sops::aws_kms
