// SPDX-License-Identifier: MPL-2.0
#include "cloud/aws/chain.h"

#include <charconv>
#include <functional>
#include <set>

#include "base/text.h"
#include "cloud/aws/arn.h"
#include "cloud/aws/sources.h"
#include "sys/run_state.h"

namespace sops::aws {

namespace {

std::string shown(std::string_view text) { return escape_for_message(text); }

// keys.md 3.4: "an error with the way out".
constexpr const char* kWayOutOfMfa =
    "get session credentials with a code first: aws sts get-session-token --serial-number ARN --token-code CODE, and "
    "export them";

// keys-aws.md 7.6: "DurationSeconds = duration_seconds only if it is at least 16 whole minutes, otherwise 900".
int role_duration(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return 900;
  return value / 60 > 15 ? value : 900;
}

// keys-aws.md 7.2.
std::optional<Credentials> environment_keys(Environment& environment) {
  const auto id = environment_text(environment, "AWS_ACCESS_KEY_ID");
  const auto old_id = environment_text(environment, "AWS_ACCESS_KEY");
  SecureBytes secret = environment_secret(environment, "AWS_SECRET_ACCESS_KEY");
  if (secret.empty()) secret = environment_secret(environment, "AWS_SECRET_KEY");
  if ((!id && !old_id) || secret.empty()) return std::nullopt;
  return Credentials{.access_key_id = id ? *id : *old_id,
                     .secret = std::move(secret),
                     .token = environment_secret(environment, "AWS_SESSION_TOKEN"),
                     .source = id ? "AWS_ACCESS_KEY_ID" : "AWS_ACCESS_KEY"};
}

class Chain {
 public:
  Chain(CredentialCache& cache, const Context& context) : cache_(cache), context_(context) {}

  // keys-aws.md 7.1.
  Result<Credentials> top() {
    Environment& environment = context_.services.environment;
    const Settings& settings = context_.settings;
    if (!settings.is_key_profile()) {
      if (auto keys = environment_keys(environment)) return *std::move(keys);
      if (const auto file = environment_text(environment, "AWS_WEB_IDENTITY_TOKEN_FILE")) {
        const WebIdentity identity{.token_file = *file,
                                   .role_arn = environment_text(environment, "AWS_ROLE_ARN").value_or(""),
                                   .session_name = environment_text(environment, "AWS_ROLE_SESSION_NAME").value_or(""),
                                   .origin = "AWS_WEB_IDENTITY_TOKEN_FILE"};
        return selected(cached("web", [&] { return assume_role_with_web_identity(identity, context_); }),
                        "AWS_WEB_IDENTITY_TOKEN_FILE");
      }
    }
    if (!settings.profile()) return cached("default", [&] { return of_machine(nullptr); });
    auto found = of_profile(*settings.profile(), {});
    return has_own(*settings.profile()) ? selected(std::move(found), settings.describe_profile()) : std::move(found);
  }

  // The role of a key, keys-aws.md 3: nothing but role and session name is sent.
  Result<Credentials> of_key_role(const Caller& caller) {
    return cached(format("role {} {} '{}'", caller.role_arn, caller.role_session_name, caller.profile),
                  [&]() -> Result<Credentials> {
                    const Credentials base = TRY(top());
                    return assume_role({.arn = caller.role_arn, .session_name = caller.role_session_name}, base,
                                       context_);
                  });
  }

 private:
  using Visited = std::set<std::string, std::less<>>;

  Result<Credentials> cached(const std::string& what, const std::function<Result<Credentials>()>& fetch) {
    return cache_.get(format("{} {}", what, context_.partition), context_, fetch);
  }

  // Says where credentials come from; without that they come from the machine that we run on.
  static bool has_own(const ProfileView& profile) {
    return profile.has_credentials(ProfileView::IgnoreSource::kNo) || !profile.text("login_session").empty();
  }

  Result<Credentials> selected(Result<Credentials> found, const std::string& why) {
    return in_context(std::move(found), "{} was selected; no other credentials were considered", why);
  }

  // A profile and what it stands on. Those on the way here have been `visited`: empty for the selected one.
  Result<Credentials> of_profile(const ProfileView& profile, const Visited& visited) {
    const bool is_second = visited.contains(profile.name());
    std::string key = format("{} '{}'", is_second ? "again" : visited.empty() ? "profile" : "source", profile.name());
    // Two threads in one circle would wait for each other, so there each chain has its own.
    if (!visited.empty() && leads_back(profile)) {
      for (const std::string& name : visited) key += format(" of '{}'", name);
    }
    return cached(key, [&] { return resolve(profile, visited, is_second); });
  }

  // Following source_profile from here, a profile comes up twice.
  static bool leads_back(ProfileView profile) {
    Visited seen;
    while (seen.insert(profile.name()).second) {
      if (profile.text("source_profile").empty() || profile.keys()) return false;
      profile = profile.source();
    }
    return true;
  }

  Result<Credentials> resolve(const ProfileView& profile, const Visited& visited, bool is_second) {
    const std::string_view role_arn = is_second ? "" : profile.text("role_arn");
    const std::string_view token_file = profile.text("web_identity_token_file");
    const bool has_source = !is_second && !profile.text("source_profile").empty();
    const bool own_keys_first = !visited.empty() && profile.keys();
    // "4. web_identity_token_file → with the profile's role_arn; final (no further AssumeRole)"
    if (!has_source && !profile.keys() && profile.text("credential_source").empty() && !token_file.empty()) {
      const WebIdentity identity{.token_file = std::string(token_file),
                                 .role_arn = std::string(role_arn),
                                 .session_name = std::string(profile.text("role_session_name")),
                                 .origin = format("web_identity_token_file of {}", profile.describe())};
      return assume_role_with_web_identity(identity, context_);
    }
    const std::string_view serial = is_second ? "" : profile.text("mfa_serial");
    if (!role_arn.empty() && !serial.empty()) {
      return of_role_with_code(profile, [&] { return base_of(profile, visited, has_source && !own_keys_first); });
    }
    const Credentials base = TRY(base_of(profile, visited, has_source && !own_keys_first));
    if (role_arn.empty()) return base.clone();
    return TRY(in_context(assume_role(role_of(profile), base, context_), "{}", profile.describe()));
  }

  static RoleRequest role_of(const ProfileView& profile) {
    return {.arn = std::string(profile.text("role_arn")),
            .session_name = std::string(profile.text("role_session_name")),
            .duration_seconds = role_duration(profile.text("duration_seconds")),
            .external_id = std::string(profile.text("external_id"))};
  }

  // keys.md 3.4: "one prompt per (role, serial) and run, in pass 2, on the terminal only, shared by all regions and
  // files; a code is never sent twice".
  Result<Credentials> of_role_with_code(const ProfileView& profile,
                                        const std::function<Result<Credentials>()>& base_of) {
    RoleRequest role = role_of(profile);
    role.mfa_serial = std::string(profile.text("mfa_serial"));
    const std::string key = format("mfa {} {}", role.arn, role.mfa_serial);
    const std::string what = format("role {} of {} needs a code of MFA device {}", shown(role.arn), profile.describe(),
                                    shown(role.mfa_serial));
    return cached(key, [&]() -> Result<Credentials> {
      if (auto why = cache_.why_given_up(key)) return fail(*std::move(why));
      if (!context_.services.run.get<Questions>().allowed || !context_.may_ask) {
        return fail(ErrorCode::kNeedsPerson, "{}", what).hint(kWayOutOfMfa);
      }
      const Credentials base = TRY(base_of());
      role.mfa_code = TRY(ask_for_code(role, what));
      auto credentials = in_context(assume_role(role, base, context_), "{}", profile.describe());
      if (!credentials) cache_.give_up(key, credentials.error());
      return credentials;
    });
  }

  Result<SecureBytes> ask_for_code(const RoleRequest& role, const std::string& what) {
    const auto start = context_.deadline.clock().steady_now();
    auto answer = context_.services.terminal.ask_secret(
        format("MFA code of {} for role {}: ", shown(role.mfa_serial), shown(role.arn)));
    context_.deadline.excuse(start);
    if (!answer) {
      return fail(ErrorCode::kNeedsPerson, "{}, but {}", what, answer.error().message).hint(kWayOutOfMfa);
    }
    const std::string_view code = trim(answer->expose_text());
    if (code.size() != 6 || code.find_first_not_of("0123456789") != std::string_view::npos) {
      Error error = fail(ErrorCode::kDenied, "{}: a code has six digits", what).error();
      cache_.give_up(format("mfa {} {}", role.arn, role.mfa_serial), error);
      return fail(std::move(error));
    }
    return SecureBytes::copy_of(code);
  }

  // keys-aws.md 7.4, all but number 4.
  Result<Credentials> base_of(const ProfileView& profile, const Visited& visited, bool uses_source) {
    if (uses_source) return of_source(profile, visited);
    if (const auto keys = profile.keys()) {
      return Credentials{.access_key_id = std::string(keys->id),
                         .secret = SecureBytes::copy_of(keys->secret),
                         .token = SecureBytes::copy_of(keys->token),
                         .source = format("aws_access_key_id of {}", profile.describe())};
    }
    if (const std::string_view name = profile.text("credential_source"); !name.empty()) {
      return in_context(of_named_source(name), "credential_source of {}", profile.describe());
    }
    if (profile.has_sso()) return fetch_from_sso(profile, context_);
    if (!profile.text("login_session").empty()) return fetch_from_login(profile, context_);
    if (!profile.text("credential_process").empty()) return run_credential_process(profile, context_);
    return of_machine(&profile);
  }

  // keys-aws.md 7.5. Settings::load() has checked that the sources are there and lead somewhere.
  Result<Credentials> of_source(const ProfileView& profile, const Visited& visited) {
    Visited on_the_way = visited;
    on_the_way.insert(profile.name());
    return of_profile(profile.source(), on_the_way);
  }

  // keys-aws.md 7.5: "exact case".
  Result<Credentials> of_named_source(std::string_view name) {
    Environment& environment = context_.services.environment;
    if (name == "Environment") {
      if (auto keys = environment_keys(environment)) return *std::move(keys);
      return fail(ErrorCode::kNotFound, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set");
    }
    if (name == "Ec2InstanceMetadata") return fetch_from_metadata(context_);
    if (name == "EcsContainer") {
      if (has_container_service(environment)) return fetch_from_container(context_);
      return fail(ErrorCode::kNotFound,
                  "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set");
    }
    return fail(ErrorCode::kMalformed, "'{}' is not known", shown(name))
        .hint("Environment, Ec2InstanceMetadata and EcsContainer are");
  }

  // What the container or instance has; `profile` has nothing of its own, or there is none (null).
  Result<Credentials> of_machine(const ProfileView* profile) {
    if (has_container_service(context_.services.environment)) return fetch_from_container(context_);
    auto found = fetch_from_metadata(context_);
    if (found) return found;
    Error error = std::move(found.error());
    error.message =
        format("no AWS credentials: {}{}; AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and …_FULL_URI are not set; {}",
               environment_absence(), profile_absence(profile), error.message);
    if (error.code != ErrorCode::kUnavailable || !context_.stop.stop_requested()) error.code = ErrorCode::kNotFound;
    return fail(
        std::move(error).with_hint("log in with aws sso login, export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                                   "name a profile (AWS_PROFILE)"));
  }

  std::string environment_absence() const {
    if (context_.settings.is_key_profile()) return "";
    Environment& environment = context_.services.environment;
    const bool has_id =
        environment_text(environment, "AWS_ACCESS_KEY_ID") || environment_text(environment, "AWS_ACCESS_KEY");
    const bool has_secret = !environment_secret(environment, "AWS_SECRET_ACCESS_KEY").empty() ||
                            !environment_secret(environment, "AWS_SECRET_KEY").empty();
    const std::string keys = has_id       ? "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not"
                             : has_secret ? "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not"
                                          : "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set";
    return keys + "; AWS_WEB_IDENTITY_TOKEN_FILE is not set; ";
  }

  std::string profile_absence(const ProfileView* profile) const {
    if (profile != nullptr) return format("{} has none", profile->describe());
    const SharedFiles& files = context_.settings.files();
    return format("{} is neither in {} nor in {}", context_.settings.describe_profile(), shown(files.config_path),
                  shown(files.credentials_path));
  }

  CredentialCache& cache_;
  const Context& context_;
};

}  // namespace

Result<Credentials> find_credentials(const Caller& caller, CredentialCache& cache, const Context& context) {
  Chain chain(cache, context);
  return caller.role_arn.empty() ? chain.top() : chain.of_key_role(caller);
}

}  // namespace sops::aws
