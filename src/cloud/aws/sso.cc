// SPDX-License-Identifier: MPL-2.0
//
// IAM Identity Center. `aws sso login` leaves a token in ~/.aws/sso/cache; the portal trades it for credentials
// (keys-aws.md 7.8). A token of the session form can be renewed, with a refresh token that is good for one use: so the
// folder is locked meanwhile and the file is read again under the lock, because another process may have done it
// (keys.md 3.5).
#include "base/codec.h"
#include "base/rfc3339.h"
#include "base/text.h"
#include "base/url.h"
#include "cloud/aws/endpoint.h"
#include "cloud/aws/sources.h"
#include "crypto/hash.h"

namespace sops::aws {

namespace {

// What a profile says of its access.
struct SsoAccess {
  std::string region;
  std::string start_url;
  std::string account_id;
  std::string role_name;
  std::string session;  // "": the legacy form
  std::string origin;   // for messages

  std::string login_hint() const {
    return session.empty() ? format("run: aws sso login (start url {})", escape_for_message(start_url))
                           : format("run: aws sso login --sso-session {}", escape_for_message(session));
  }
};

Result<SsoAccess> read_access(const ProfileView& profile) {
  SsoAccess access;
  access.session = std::string(profile.text("sso_session"));
  access.region = std::string(profile.text("sso_region"));
  access.start_url = std::string(profile.text("sso_start_url"));
  access.account_id = std::string(profile.text("sso_account_id"));
  access.role_name = std::string(profile.text("sso_role_name"));
  access.origin = access.session.empty()
                      ? format("sso_start_url of {}", profile.describe())
                      : format("sso_session '{}' of {}", escape_for_message(access.session), profile.describe());
  if (const Section* session = profile.sso_session()) {
    // "If the profile repeats sso_region/sso_start_url they must equal those of the session."
    for (const auto& [name, value] :
         {std::pair<const char*, std::string*>{"sso_region", &access.region}, {"sso_start_url", &access.start_url}}) {
      const std::string_view own = value_of(session, name);
      if (!value->empty() && *value != own) {
        return fail(ErrorCode::kMalformed, "{} has another {} than [sso-session {}]", profile.describe(), name,
                    escape_for_message(access.session));
      }
      *value = std::string(own);
    }
  }
  for (const auto& [name, value] :
       std::initializer_list<std::pair<const char*, const std::string*>>{{"sso_region", &access.region},
                                                                         {"sso_start_url", &access.start_url},
                                                                         {"sso_account_id", &access.account_id},
                                                                         {"sso_role_name", &access.role_name}}) {
    if (value->empty()) return fail(ErrorCode::kMalformed, "{} has no {}", access.origin, name);
  }
  return access;
}

// A cached token.
struct Token {
  SecureBytes file;  // as it was read
  Json json;
  WallTime expiry;

  std::string_view access_token() const { return *json.text("accessToken"); }
};

class TokenCache {
 public:
  TokenCache(const SsoAccess& access, const Context& context)
      : access_(access),
        context_(context),
        folder_(context.services.environment.home_folder() + "/.aws/sso/cache"),
        // "lower-case hex SHA-1 of K, K = session name or start URL, bytes as written in the config"
        path_(format("{}/{}.json", folder_,
                     hex_lower(sha1(as_bytes(access.session.empty() ? access.start_url : access.session))))) {}

  Result<Token> read() const {
    auto file = context_.services.files.read(path_);
    if (!file) {
      return fail(ErrorCode::kNotFound, "{}: there is no token: {}", access_.origin, file.error().message)
          .hint(access_.login_hint());
    }
    Token token;
    token.file = file->clone();
    const std::string where = format("the token file {}", escape_for_message(path_));
    auto json = Json::parse(std::move(*file));
    if (!json) return fail(ErrorCode::kMalformed, "{}: {}", where, json.error().message).hint(access_.login_hint());
    token.json = std::move(*json);
    TRY(required(token.json, {"accessToken"}, where));
    TRY(required(token.json, {"expiresAt"}, where));
    const auto expiry = TRY(optional_time(token.json, {"expiresAt"}, where));
    token.expiry = *expiry;
    return token;
  }

  bool is_valid(const Token& token) const { return token.expiry > context_.services.clock.now(); }

  // A token that is valid, renewed if it must be.
  Result<Token> get() const {
    Token token = TRY(read());
    if (is_valid(token)) return token;
    const bool can_renew =
        !access_.session.empty() && has(token, "clientId") && has(token, "clientSecret") && has(token, "refreshToken");
    if (!can_renew) {
      return fail(ErrorCode::kDenied, "{}: the session has expired", access_.origin).hint(access_.login_hint());
    }
    const auto lock = TRY(context_.services.files.lock_folder(folder_, context_.deadline.for_answer(), context_.stop));
    token = TRY(read());
    if (is_valid(token)) return token;
    return renew(std::move(token));
  }

 private:
  static bool has(const Token& token, std::string_view name) { return !token.json.text(name).value_or("").empty(); }

  Result<Outgoing> renewal(const Token& token) const {
    const Endpoint endpoint =
        TRY(find_endpoint({.service = "sso_oidc", .region = access_.region, .sends_bearer = true}, context_.settings));
    Outgoing outgoing;
    outgoing.url = endpoint.at("/token");
    outgoing.headers = {{"Content-Type", "application/json"}};
    outgoing.attempts = 1;
    const Json grant = TRY(Json::parse(SecureBytes::copy_of(std::string_view(R"({"grantType":"refresh_token"})"))));
    outgoing.body = grant.with({{"clientId", token.json.text("clientId").value_or("")},
                                {"clientSecret", token.json.text("clientSecret").value_or("")},
                                {"refreshToken", token.json.text("refreshToken").value_or("")}});
    return outgoing;
  }

  // keys-aws.md 5.2: a request without an answer may have used up the refresh token, so "re-read the cache file before
  // repeating".
  Result<Token> renew(Token token) const {
    for (bool is_second = false;; is_second = true) {
      const Outgoing outgoing = TRY(renewal(token));
      const auto incoming = send(outgoing, context_);
      if (incoming && incoming->refusal) {
        Error error = refusal_error(format("{}: the session has expired and cannot be renewed", access_.origin),
                                    outgoing, *incoming, nullptr);
        error.hint = access_.login_hint();
        return fail(std::move(error));
      }
      if (incoming) return store(token, *incoming);
      Token again = TRY(read());
      if (is_valid(again)) return again;
      if (is_second || incoming.error().code != ErrorCode::kUnavailable || context_.stop.stop_requested()) {
        return in_context(Result<Token>(std::unexpect, incoming.error()), "renewing the token of {}", access_.origin);
      }
      token = std::move(again);
    }
  }

  Result<Token> store(const Token& token, const Incoming& incoming) const {
    const std::string where = format("the renewed token of {}", access_.origin);
    const Json answer = TRY(in_context(Json::parse(incoming.http.body.clone()), "{}", where));
    const std::string_view access_token = TRY(required(answer, {"accessToken"}, where));
    const auto lifetime = answer.number({"expiresIn"});
    if (!lifetime || *lifetime <= 0) return fail(ErrorCode::kMalformed, "{} has no lifetime", where);
    constexpr int64_t kLongest = 10 * 365 * 24 * 3600LL;
    const std::string expires_at =
        utc_seconds(context_.services.clock.now() + std::chrono::seconds(std::min(*lifetime, kLongest)));
    std::map<std::string, std::string_view> changed = {{"accessToken", access_token}, {"expiresAt", expires_at}};
    // "A response without refreshToken makes the reference drop the old one (keep it)".
    if (const auto next = answer.text("refreshToken"); next && !next->empty()) changed["refreshToken"] = *next;
    SecureBytes text = token.json.with(changed);
    const auto written =
        context_.services.files.replace(path_, text.expose(), {.is_private = true, .expected = token.file.expose()});
    if (!written) {
      // Somebody who knows nothing of our lock, such as `aws sso login`, was faster; the new token is good all the
      // same.
      if (written.error().code != ErrorCode::kUnavailable) {
        return fail(written.error().code, "{} cannot be stored: {}", where, written.error().message);
      }
    }
    Token renewed;
    renewed.file = text.clone();
    renewed.json = TRY(Json::parse(std::move(text)));
    renewed.expiry = *parse_time(expires_at);
    return renewed;
  }

  const SsoAccess& access_;
  const Context& context_;
  std::string folder_;
  std::string path_;
};

}  // namespace

Result<Credentials> fetch_from_sso(const ProfileView& profile, const Context& context) {
  const SsoAccess access = TRY(read_access(profile));
  const Endpoint endpoint =
      TRY(find_endpoint({.service = "sso", .region = access.region, .sends_bearer = true}, context.settings));
  const Token token = TRY(TokenCache(access, context).get());

  Outgoing outgoing;
  outgoing.method = "GET";
  outgoing.url = endpoint.at(format("/federation/credentials?account_id={}&role_name={}",
                                    percent_encode(access.account_id), percent_encode(access.role_name)));
  outgoing.headers = {{"x-amz-sso_bearer_token", std::string(token.access_token())}};
  outgoing.attempts = context.settings.max_attempts();
  const Incoming incoming = TRY(in_context(send(outgoing, context), "{}", access.origin));
  const std::string what = format("{}: credentials for role {} in account {}", access.origin,
                                  escape_for_message(access.role_name), escape_for_message(access.account_id));
  if (incoming.refusal) {
    Error error = refusal_error(what, outgoing, incoming, nullptr);
    error.hint = incoming.refusal->code == "UnauthorizedException"
                     ? access.login_hint()
                     : "check sso_account_id and sso_role_name, and who may use them";
    return fail(std::move(error));
  }
  const std::string where = format("the answer for {}", access.origin);
  const Json json = TRY(in_context(Json::parse(incoming.http.body.clone()), "{}", where));
  const std::string_view id = TRY(required(json, {"roleCredentials", "accessKeyId"}, where));
  const std::string_view secret = TRY(required(json, {"roleCredentials", "secretAccessKey"}, where));
  const auto expiry = json.number({"roleCredentials", "expiration"});
  Credentials credentials;
  credentials.access_key_id = std::string(id);
  credentials.secret = SecureBytes::copy_of(secret);
  credentials.token = SecureBytes::copy_of(json.text({"roleCredentials", "sessionToken"}).value_or(""));
  constexpr int64_t kLatest = 7'000'000'000'000;  // of the milliseconds since 1970 that a WallTime can hold
  if (expiry && *expiry > 0 && *expiry < kLatest) credentials.expiry = WallTime(Milliseconds(*expiry));
  credentials.source = format("role {} in account {} by {}", escape_for_message(access.role_name),
                              escape_for_message(access.account_id), access.origin);
  return credentials;
}

}  // namespace sops::aws
