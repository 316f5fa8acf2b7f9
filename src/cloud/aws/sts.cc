// SPDX-License-Identifier: MPL-2.0
//
// AssumeRole and AssumeRoleWithWebIdentity: a form goes out, XML comes back (keys-aws.md 6).
#include <chrono>

#include "base/text.h"
#include "base/url.h"
#include "cloud/aws/endpoint.h"
#include "cloud/aws/sources.h"
#include "cloud/aws/xml.h"

namespace sops::aws {

namespace {

// "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3A…"
class Form {
 public:
  explicit Form(std::string_view action) {
    text_.append("Action=");
    text_.append(action);
    text_.append("&Version=2011-06-15");
  }
  Form& add(std::string_view name, std::string_view value) {
    if (value.empty()) return *this;
    text_.append("&");
    text_.append(name);
    text_.append("=");
    std::string encoded = percent_encode(value);
    text_.append(encoded);
    wipe({reinterpret_cast<uint8_t*>(encoded.data()), encoded.size()});
    return *this;
  }
  SecureBytes take() { return text_.take(); }

 private:
  SecureBuffer text_;
};

Result<Outgoing> sts_request(SecureBytes body, bool sends_bearer, const Context& context) {
  const Endpoint endpoint =
      TRY(find_endpoint({.service = "sts", .region = context.region, .sends_bearer = sends_bearer}, context.settings));
  Outgoing outgoing;
  outgoing.url = endpoint.at("/");
  outgoing.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  outgoing.body = std::move(body);
  outgoing.region = endpoint.region;
  outgoing.service = "sts";
  outgoing.protocol = Protocol::kXml;
  outgoing.attempts = context.settings.max_attempts();
  return outgoing;
}

Result<Credentials> read_answer(const Incoming& incoming, std::string source) {
  const Xml xml = TRY(in_context(Xml::parse(incoming.http.body.expose_text()), "the answer of STS"));
  Credentials credentials;
  credentials.access_key_id = std::string(xml.text("Credentials/AccessKeyId"));
  credentials.secret = SecureBytes::copy_of(xml.text("Credentials/SecretAccessKey"));
  credentials.token = SecureBytes::copy_of(xml.text("Credentials/SessionToken"));
  credentials.expiry = parse_time(xml.text("Credentials/Expiration"));
  credentials.source = std::move(source);
  if (credentials.access_key_id.empty() || credentials.secret.empty() || credentials.token.empty() ||
      !credentials.expiry) {
    return fail(ErrorCode::kMalformed, "the answer of STS holds no complete credentials");
  }
  return credentials;
}

std::string nanoseconds_now(const Context& context) {
  const auto since = context.services.clock.now().time_since_epoch();
  return format("{}", std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

}  // namespace

Result<Credentials> assume_role(const RoleRequest& role, const Credentials& base, const Context& context) {
  const std::string shown_role = escape_for_message(role.arn);
  Form form("AssumeRole");
  form.add("RoleArn", role.arn);
  // keys-aws.md 7.6: "default aws-go-sdk-<unix time in ns>"; trust policies may look at it.
  form.add("RoleSessionName", role.session_name.empty() ? "aws-go-sdk-" + nanoseconds_now(context) : role.session_name);
  if (role.duration_seconds) form.add("DurationSeconds", format("{}", *role.duration_seconds));
  form.add("ExternalId", role.external_id);
  if (!role.mfa_code.empty()) form.add("SerialNumber", role.mfa_serial).add("TokenCode", role.mfa_code.expose_text());

  Outgoing outgoing = TRY(sts_request(form.take(), false, context));
  outgoing.credentials = &base;
  if (!role.mfa_code.empty()) {  // keys.md 3.4: "a code is never sent twice"
    outgoing.attempts = 1;
    outgoing.retries_clock = false;
  }
  const Incoming incoming = TRY(in_context(send(outgoing, context), "assuming role {}", shown_role));
  if (incoming.refusal) {
    Error error = refusal_error(format("failed to assume role '{}'", shown_role), outgoing, incoming, &base);
    if (!role.mfa_code.empty() && incoming.refusal->code == "AccessDenied") {
      error.hint = "if the code was wrong or used before: wait for the next one, and run the command again";
    }
    return fail(std::move(error));
  }
  return TRY(in_context(read_answer(incoming, format("role {} assumed with {}", shown_role, base.source)),
                        "assuming role {}", shown_role));
}

Result<Credentials> assume_role_with_web_identity(const WebIdentity& identity, const Context& context) {
  if (identity.role_arn.empty()) {
    return fail(ErrorCode::kMalformed, "{} needs a role, but AWS_ROLE_ARN is not set", identity.origin);
  }
  const SecureBytes file = TRY(in_context(context.services.files.read(identity.token_file), "{}", identity.origin));
  const std::string_view token = trim(file.expose_text());
  if (token.empty()) {
    return fail(ErrorCode::kMalformed, "the token file {} is empty ({})", escape_for_message(identity.token_file),
                identity.origin);
  }
  Form form("AssumeRoleWithWebIdentity");
  form.add("RoleArn", identity.role_arn);
  form.add("RoleSessionName", identity.session_name.empty() ? nanoseconds_now(context) : identity.session_name);
  form.add("WebIdentityToken", token);
  Outgoing outgoing = TRY(sts_request(form.take(), true, context));
  outgoing.retried_codes = {"InvalidIdentityToken", "IDPCommunicationError"};
  const Incoming incoming = TRY(in_context(send(outgoing, context), "{}", identity.origin));
  const std::string source = format("role {} by {}", escape_for_message(identity.role_arn), identity.origin);
  if (incoming.refusal) {
    Error error = refusal_error(format("failed to assume role '{}' with the token in {}",
                                       escape_for_message(identity.role_arn), escape_for_message(identity.token_file)),
                                outgoing, incoming, nullptr);
    if (incoming.refusal->status < 500) error.hint = "the token has expired, or the role does not trust it";
    return fail(std::move(error));
  }
  return TRY(in_context(read_answer(incoming, source), "{}", identity.origin));
}

}  // namespace sops::aws
