// SPDX-License-Identifier: MPL-2.0
//
// Credentials of a container: ECS, EKS Pod Identity, CloudShell (keys-aws.md 7.11).
#include <algorithm>

#include "base/text.h"
#include "base/url.h"
#include "cloud/aws/sources.h"

namespace sops::aws {

namespace {

constexpr const char* kRelative = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
constexpr const char* kFull = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
constexpr const char* kToken = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
constexpr const char* kTokenFile = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

struct Address {
  std::string url;
  std::string origin;  // the variable
};

// "`https` → any host; `http` → host must be loopback, 169.254.170.2, 169.254.170.23 or fd00:ec2::23". Names are not
// looked up here, so of those only localhost counts.
bool may_send_to(const UrlParts& url) {
  const std::string_view host = url.host;
  return url.is_https || is_loopback(host) || host == "169.254.170.2" || host == "169.254.170.23" ||
         to_lower(host) == "fd00:ec2::23";
}

Result<Address> find_address(Environment& environment) {
  if (const auto path = environment_text(environment, kRelative)) {
    Address address{.url = "http://169.254.170.2" + *path, .origin = kRelative};
    const auto url = split_url(address.url);
    if (!path->starts_with('/') || !url) return fail(ErrorCode::kMalformed, "{} is no path", kRelative);
    return address;
  }
  Address address{.url = environment_text(environment, kFull).value_or(""), .origin = kFull};
  const auto url = split_url(address.url);
  if (!url) return fail(ErrorCode::kMalformed, "{} is no address: {}", kFull, url.error().message);
  if (!may_send_to(*url)) {
    return fail(ErrorCode::kMalformed,
                "{} names {}, but without https only this machine and the hosts of ECS and EKS are allowed", kFull,
                escape_for_message(url->host));
  }
  return address;
}

// "Token: content of …_TOKEN_FILE (read at each call; wins), else …_TOKEN"; an end of line at its end is cut off.
Result<SecureBytes> read_token(const Context& context) {
  Environment& environment = context.services.environment;
  SecureBytes token;
  std::string origin = kToken;
  if (const auto path = environment_text(environment, kTokenFile)) {
    token = TRY(in_context(context.services.files.read(*path), "{}", kTokenFile));
    origin = kTokenFile;
  } else {
    token = environment_secret(environment, kToken);
  }
  std::string_view text = token.expose_text();
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
    return fail(ErrorCode::kMalformed, "the token of {} has several lines", origin);
  }
  token.shrink(text.size());
  return token;
}

}  // namespace

bool has_container_service(Environment& environment) {
  return environment_text(environment, kRelative) || environment_text(environment, kFull);
}

Result<Credentials> fetch_from_container(const Context& context) {
  const Address address = TRY(find_address(context.services.environment));
  const std::string origin = format("the container service of {}", address.origin);
  const SecureBytes token = TRY(read_token(context));
  Outgoing outgoing;
  outgoing.method = "GET";
  outgoing.url = address.url;
  outgoing.headers = {{"Accept", "application/json"}};
  if (!token.empty()) outgoing.headers.push_back({"Authorization", std::string(token.expose_text())});
  outgoing.attempts = context.settings.max_attempts();
  outgoing.retried_status = 429;
  outgoing.is_local = true;
  const Incoming incoming = TRY(in_context(send(outgoing, context), "{}", origin));
  if (incoming.refusal) return fail(refusal_error(origin, outgoing, incoming, nullptr));

  const Json json = TRY(in_context(Json::parse(incoming.http.body.clone()), "the answer of {}", origin));
  const std::string where = format("the answer of {}", origin);
  return read_credentials(json, "Token", where, origin);
}

}  // namespace sops::aws
