// SPDX-License-Identifier: MPL-2.0
//
// Credentials of an EC2 instance's role: version 2 of the metadata service with a token, or version 1 without
// (keys-aws.md 7.12, keys.md 3.5).
#include <algorithm>

#include "base/text.h"
#include "base/url.h"
#include "cloud/aws/sources.h"

namespace sops::aws {

namespace {

constexpr Milliseconds kConnectLimit(250);
constexpr Milliseconds kAnswerLimit(1000);
constexpr Milliseconds kWholeLimit(5000);
constexpr Milliseconds kLongestDelay(1000);
constexpr std::string_view kRolePath = "/latest/meta-data/iam/security-credentials/";

class Metadata {
 public:
  Metadata(const Context& context, std::string endpoint)
      : deadline_(context.services.clock, std::min(kWholeLimit, std::max(context.deadline.left(), Milliseconds(1)))),
        context_{.services = context.services,
                 .settings = context.settings,
                 .hosts = context.hosts,
                 .deadline = deadline_,
                 .region = context.region,
                 .partition = context.partition,
                 .may_ask = context.may_ask,
                 .stop = context.stop},
        endpoint_(std::move(endpoint)) {}

  // "Token request fails with 403, 404, 405, or cannot be sent at all → fall back to version 1 unless V1 is disabled;
  // 400 is final."
  Result<void> get_token() {
    Outgoing outgoing = request("PUT", "/latest/api/token");
    outgoing.headers = {{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300"}};
    outgoing.attempts = 2;  // where nobody answers, nobody should wait for long
    const auto incoming = send(outgoing, context_);
    token_ = {};
    if (incoming && !incoming->refusal) {
      const std::string_view ttl = incoming->http.header("X-Aws-Ec2-Metadata-Token-Ttl-Seconds");
      if (ttl.empty() || !std::ranges::all_of(ttl, [](char c) { return c >= '0' && c <= '9'; })) {
        return fail(ErrorCode::kMalformed, "the instance metadata service at {} gave a token without a lifetime",
                    endpoint_);
      }
      token_ = SecureBytes::copy_of(trim(incoming->http.body.expose_text()));
      return {};
    }
    const int status = incoming ? incoming->refusal->status : 0;
    const bool may_fall_back = !incoming || status == 403 || status == 404 || status == 405;
    const bool is_v1_disabled = context_.settings.is_on("AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled");
    if (may_fall_back && !is_v1_disabled) return {};
    if (!incoming) return fail(incoming.error());
    Error error = refusal_error("the token of the instance metadata service", outgoing, *incoming, nullptr);
    if (may_fall_back)
      error.hint = "version 1 of the service is disabled by AWS_EC2_METADATA_V1_DISABLED or ec2_metadata_v1_disabled";
    return fail(std::move(error));
  }

  // "A GET answering 401 → fetch a new token and retry."
  Result<SecureBytes> get(std::string_view path) {
    for (bool is_second = false;; is_second = true) {
      Outgoing outgoing = request("GET", path);
      if (!token_.empty()) {
        outgoing.headers = {{"X-Aws-Ec2-Metadata-Token", std::string(token_.expose_text())}};
      }
      Incoming incoming = TRY(send(outgoing, context_));
      if (!incoming.refusal) return std::move(incoming.http.body);
      if (incoming.refusal->status != 401 || is_second) {
        return fail(refusal_error("the instance metadata service", outgoing, incoming, nullptr));
      }
      TRY(get_token());
    }
  }

 private:
  Outgoing request(std::string method, std::string_view path) const {
    Outgoing outgoing;
    outgoing.method = std::move(method);
    outgoing.url = format("{}{}", endpoint_, path);
    outgoing.is_local = true;
    outgoing.connect_limit = kConnectLimit;
    outgoing.answer_limit = kAnswerLimit;
    outgoing.longest_delay = kLongestDelay;
    return outgoing;
  }

  Deadline deadline_;
  Context context_;
  std::string endpoint_;
  SecureBytes token_;
};

Result<std::string> find_metadata_endpoint(const Settings& settings) {
  std::string endpoint = settings.text("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
  if (endpoint.empty()) {
    const std::string mode =
        settings.text("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");
    return to_lower(mode) == "ipv6" ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
  }
  if (const auto url = split_url(endpoint); !url) {
    return fail(ErrorCode::kMalformed,
                "AWS_EC2_METADATA_SERVICE_ENDPOINT or ec2_metadata_service_endpoint is no address: {}",
                url.error().message);
  }
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return endpoint;
}

}  // namespace

Result<Credentials> fetch_from_metadata(const Context& context) {
  if (to_lower(environment_text(context.services.environment, "AWS_EC2_METADATA_DISABLED").value_or("")) == "true") {
    return fail(ErrorCode::kNotFound, "the instance metadata service is disabled by AWS_EC2_METADATA_DISABLED");
  }
  const std::string endpoint = TRY(find_metadata_endpoint(context.settings));
  Metadata metadata(context, endpoint);
  TRY(metadata.get_token());
  const SecureBytes roles = TRY(metadata.get(kRolePath));
  const std::string_view role = trim(split(roles.expose_text(), '\n')[0]);
  if (role.empty()) return fail(ErrorCode::kNotFound, "the instance metadata service at {} knows no role", endpoint);

  SecureBytes text = TRY(metadata.get(format("{}{}", kRolePath, percent_encode(role))));
  const std::string where = format("the answer of the instance metadata service at {}", endpoint);
  const Json json = TRY(in_context(Json::parse(std::move(text)), "{}", where));
  if (const std::string_view code = json.text("Code").value_or(""); to_lower(code) != "success") {
    return fail(ErrorCode::kDenied, "the instance metadata service at {} has no credentials for role {}: {} {}",
                endpoint, escape_for_message(role), escape_for_message(code),
                escape_for_message(json.text("Message").value_or("")));
  }
  auto source = format("role {} of the instance", escape_for_message(role));
  Credentials credentials = TRY(read_credentials(json, "Token", where, std::move(source)));
  // "valid for at most 1 h; when IMDS cannot refresh, expired credentials are stretched": AWS itself judges them then.
  const WallTime now = context.services.clock.now();
  if (credentials.expiry && *credentials.expiry <= now) credentials.expiry = now + std::chrono::minutes(10);
  if (credentials.expiry) credentials.expiry = std::min(*credentials.expiry, now + std::chrono::hours(1));
  return credentials;
}

}  // namespace sops::aws
