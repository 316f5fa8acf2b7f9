// SPDX-License-Identifier: MPL-2.0
#include "cloud/aws/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "base/text.h"

namespace sops::aws {

namespace {

constexpr int kUsualAttempts = 3;

std::string shown(std::string_view text) { return escape_for_message(text); }

// keys-aws.md 7.3: what of a profile in both files the credentials file passes on. Its keys do too, see keys().
constexpr std::string_view kFromCredentialsFile[] = {
    "role_arn",
    "source_profile",
    "credential_source",
    "external_id",
    "mfa_serial",
    "role_session_name",
    "region",
    "credential_process",
    "web_identity_token_file",
    "ec2_metadata_service_endpoint",
    "ec2_metadata_service_endpoint_mode",
    "ec2_metadata_v1_disabled",
    "use_dualstack_endpoint",
    "use_fips_endpoint",
    "retry_mode",
    "max_attempts",
    "ca_bundle",
    "duration_seconds",
    "sso_session",
    "sso_account_id",
    "sso_region",
    "sso_role_name",
    "sso_start_url",
    "login_session",
};

const Section* find_section(const ConfigFile& file, std::string_view name) {
  const auto found = file.sections.find(name);
  return found == file.sections.end() ? nullptr : &found->second;
}

// config: "`[default]` (any case), `[profile X]` → X; `[profile default]` replaces `[default]`".
const Section* find_in_config(const ConfigFile& file, std::string_view name) {
  if (const Section* section = find_section(file, format("profile {}", name))) return section;
  if (name != "default") return nullptr;
  for (const auto& [other, section] : file.sections) {
    if (to_lower(other) == "default") return &section;
  }
  return nullptr;
}

// credentials: "any name except those that start with `profile `".
const Section* find_in_credentials(const ConfigFile& file, std::string_view name) {
  return name.starts_with("profile ") ? nullptr : find_section(file, name);
}

std::optional<int> parse_int(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<void> check_retry_mode(std::string_view mode, std::string_view where) {
  if (mode.empty() || mode == "standard" || mode == "adaptive") return {};
  return fail(ErrorCode::kMalformed, "{} is '{}', but only standard and adaptive are known", where, shown(mode));
}

Result<void> check_metadata_mode(std::string_view mode, std::string_view where) {
  const std::string lower = to_lower(mode);
  if (lower.empty() || lower == "ipv4" || lower == "ipv6") return {};
  return fail(ErrorCode::kMalformed, "{} is '{}', but only IPv4 and IPv6 are known", where, shown(mode));
}

// "more than one of source_profile, credential_source, credential_process, web_identity_token_file"; the first, second
// and last need a role_arn.
struct ExclusiveProperty {
  std::string_view name;
  bool needs_role;
};
constexpr ExclusiveProperty kExclusive[] = {{"source_profile", true},
                                            {"credential_source", true},
                                            {"credential_process", false},
                                            {"web_identity_token_file", true}};

constexpr const char* kSwitches[] = {"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
                                     "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_EC2_METADATA_V1_DISABLED"};

Result<void> check_switches(Environment& environment) {
  for (const char* name : kSwitches) {
    const std::string value = to_lower(environment_text(environment, name).value_or("false"));
    if (value == "true" || value == "false") continue;
    return fail(ErrorCode::kMalformed, "{} is '{}', but must be true or false", name, shown(value));
  }
  return {};
}

// "0 = default; not an integer → configuration error".
Result<int> read_attempts(std::string_view text, std::string_view where) {
  if (text.empty()) return kUsualAttempts;
  const auto number = parse_int(text);
  if (!number || *number < 0) {
    return fail(ErrorCode::kMalformed, "{} is '{}', but must be a number", where, shown(text));
  }
  return *number == 0 ? kUsualAttempts : *number;
}

}  // namespace

SharedFiles SharedFiles::load(Services& services) {
  SharedFiles files;
  const std::string folder = services.environment.home_folder() + "/.aws/";
  files.config_path = environment_text(services.environment, "AWS_CONFIG_FILE").value_or(folder + "config");
  files.credentials_path =
      environment_text(services.environment, "AWS_SHARED_CREDENTIALS_FILE").value_or(folder + "credentials");
  if (const auto text = services.files.read(files.config_path)) {
    files.config = parse_config_file(text->expose_text());
  }
  if (const auto text = services.files.read(files.credentials_path)) {
    files.credentials = parse_config_file(text->expose_text());
  }
  return files;
}

std::optional<std::string> environment_text(Environment& environment, const std::string& name) {
  auto value = environment.get(name);
  if (value && value->empty()) return std::nullopt;
  return value;
}

SecureBytes environment_secret(Environment& environment, const std::string& name) {
  auto value = environment.get(name);
  if (!value) return {};
  SecureBytes secret = SecureBytes::copy_of(*value);
  wipe({reinterpret_cast<uint8_t*>(value->data()), value->size()});
  return secret;
}

std::optional<ProfileView> ProfileView::find(const SharedFiles& files, std::string_view name) {
  const Section* config = find_in_config(files.config, name);
  const Section* credentials = find_in_credentials(files.credentials, name);
  if (config == nullptr && credentials == nullptr) return std::nullopt;
  return ProfileView(files, name, config, credentials);
}

std::string_view ProfileView::text(std::string_view property) const {
  if (config_ == nullptr) return value_of(credentials_, property);
  const std::string_view value = std::ranges::find(kFromCredentialsFile, property) != std::end(kFromCredentialsFile)
                                     ? value_of(credentials_, property)
                                     : std::string_view();
  return value.empty() ? value_of(config_, property) : value;
}

bool ProfileView::is_true(std::string_view property) const { return to_lower(text(property)) == "true"; }

std::optional<ProfileView::Keys> ProfileView::keys() const {
  for (const Section* section : {credentials_, config_}) {
    const Keys keys{.id = value_of(section, "aws_access_key_id"),
                    .secret = value_of(section, "aws_secret_access_key"),
                    .token = value_of(section, "aws_session_token")};
    if (!keys.id.empty() && !keys.secret.empty()) return keys;
  }
  return std::nullopt;
}

const Section* ProfileView::sso_session() const {
  const std::string_view session = text("sso_session");
  return session.empty() ? nullptr : find_section(files_->config, format("sso-session {}", session));
}

std::string_view ProfileView::service_endpoint(std::string_view service) const {
  const std::string_view services = text("services");
  if (services.empty()) return {};
  const Section* section = find_section(files_->config, format("services {}", services));
  if (section == nullptr) return {};
  const auto property = section->find(service);
  if (property == section->end()) return {};
  const auto url = property->second.nested.find("endpoint_url");
  return url == property->second.nested.end() ? std::string_view() : url->second;
}

bool ProfileView::has_sso() const {
  return std::ranges::any_of(
      std::array<std::string_view, 5>{"sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name"},
      [&](std::string_view property) { return !text(property).empty(); });
}

bool ProfileView::has_credentials(IgnoreSource ignore) const {
  return keys() || has_sso() || std::ranges::any_of(kExclusive, [&](const ExclusiveProperty& one) {
           return !text(one.name).empty() && !(ignore == IgnoreSource::kYes && one.name == "source_profile");
         });
}

std::string ProfileView::describe() const {
  const std::string& path = config_ != nullptr ? files_->config_path : files_->credentials_path;
  if (config_ != nullptr && credentials_ != nullptr) {
    return format("profile '{}' in {} and {}", shown(name_), shown(path), shown(files_->credentials_path));
  }
  return format("profile '{}' in {}", shown(name_), shown(path));
}

Result<void> ProfileView::validate_alone(Place place) const {
  for (const Section* section : {config_, credentials_}) {
    const bool has_id = !value_of(section, "aws_access_key_id").empty();
    const bool has_secret = !value_of(section, "aws_secret_access_key").empty();
    if (has_id == has_secret) continue;
    return fail(ErrorCode::kMalformed, "profile '{}' in {} has {}, but not {}", shown(name_),
                shown(section == config_ ? files_->config_path : files_->credentials_path),
                has_id ? "aws_access_key_id" : "aws_secret_access_key",
                has_id ? "aws_secret_access_key" : "aws_access_key_id");
  }
  for (const ExclusiveProperty& one : kExclusive) {
    if (!one.needs_role || text(one.name).empty() || !text("role_arn").empty()) continue;
    return fail(ErrorCode::kMalformed, "{} has {}, but no role_arn", describe(), one.name);
  }
  TRY(in_context(check_retry_mode(text("retry_mode"), "retry_mode"), "{}", describe()));
  constexpr std::string_view kMode = "ec2_metadata_service_endpoint_mode";
  TRY(in_context(check_metadata_mode(text(kMode), kMode), "{}", describe()));
  TRY(in_context(read_attempts(text("max_attempts"), "max_attempts"), "{}", describe()));
  if (place == Place::kSource && keys()) return {};  // the chain ends here, whatever else it says

  std::string_view first;
  for (const ExclusiveProperty& one : kExclusive) {
    if (text(one.name).empty()) continue;
    if (!first.empty()) {
      return fail(ErrorCode::kMalformed, "{} has both {} and {}", describe(), first, one.name).hint("keep one of them");
    }
    first = one.name;
  }
  if (const std::string_view session = text("sso_session"); !session.empty() && sso_session() == nullptr) {
    return fail(ErrorCode::kMalformed, "{} has sso_session = {}, but {} has no section [sso-session {}]", describe(),
                shown(session), shown(files_->config_path), shown(session));
  }
  return {};
}

// keys-aws.md 7.5: a profile that is met for the second time has no source and no role any more.
Result<void> ProfileView::validate() const {
  TRY(validate_alone(Place::kSelected));
  std::set<std::string, std::less<>> visited;
  ProfileView profile = *this;
  while (!profile.text("source_profile").empty() && (visited.empty() || !profile.keys())) {
    visited.insert(profile.name());
    const std::string_view name = profile.text("source_profile");
    const std::string what = format("role {} of {} has source_profile '{}'", shown(profile.text("role_arn")),
                                    profile.describe(), shown(name));
    const auto next = find(*files_, name);
    if (!next) return fail(ErrorCode::kNotFound, "{}, which does not exist", what);
    if (visited.contains(name)) {
      if (next->has_credentials(IgnoreSource::kYes)) return {};
      return fail(ErrorCode::kMalformed, "{}, which leads back to itself", what);
    }
    TRY(in_context(next->validate_alone(Place::kSource), "{}", what));
    if (!next->has_credentials(IgnoreSource::kNo)) {
      return fail(ErrorCode::kNotFound, "{}, which has no credentials", what);
    }
    profile = *next;
  }
  return {};
}

ProfileView ProfileView::source() const {
  const auto found = find(*files_, text("source_profile"));
  SOPS_CHECK(found.has_value(), "promised by the caller");
  return *found;
}

Result<Settings> Settings::load(const SharedFiles& files, std::string_view key_profile, Environment& environment) {
  TRY(check_switches(environment));
  Settings settings;
  settings.files_ = &files;
  settings.environment_ = &environment;
  const auto variable = [&](const char* name) {
    const auto value = environment_text(environment, name);
    if (!value || !settings.selected_by_.empty()) return;
    settings.selected_by_ = name;
    settings.selected_name_ = *value;
  };
  if (!key_profile.empty()) {
    settings.is_key_profile_ = true;
    settings.selected_by_ = "the key's aws_profile";
    settings.selected_name_ = key_profile;
  }
  variable("AWS_PROFILE");
  const bool must_exist = !settings.selected_by_.empty();
  variable("AWS_DEFAULT_PROFILE");
  if (settings.selected_name_.empty()) settings.selected_name_ = "default";

  settings.profile_ = ProfileView::find(files, settings.selected_name_);
  if (!settings.profile_ && must_exist) {
    return fail(ErrorCode::kNotFound, "there is no AWS profile '{}' in {} or {}; {} asks for it",
                shown(settings.selected_name_), shown(files.config_path), shown(files.credentials_path),
                settings.selected_by_)
        .hint(settings.is_key_profile_
                  ? "the profile's name comes from the encrypted file or --aws-profile: make a profile of that name"
                  : "unset the variable, or make a profile of that name");
  }
  if (settings.profile_) TRY(in_context(settings.profile_->validate(), "{}", settings.describe_profile()));
  TRY(check_retry_mode(environment_text(environment, "AWS_RETRY_MODE").value_or(""), "AWS_RETRY_MODE"));
  TRY(check_metadata_mode(environment_text(environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").value_or(""),
                          "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"));
  settings.max_attempts_ = TRY(read_attempts(settings.text("AWS_MAX_ATTEMPTS", "max_attempts"), "AWS_MAX_ATTEMPTS"));
  return settings;
}

std::string Settings::describe_profile() const {
  if (selected_by_.empty()) return format("profile '{}'", shown(selected_name_));
  return format("profile '{}' (named by {})", shown(selected_name_), selected_by_);
}

std::string Settings::text(const std::string& variable, std::string_view property) const {
  if (auto value = environment_text(*environment_, variable)) return *value;
  return profile_ ? std::string(profile_->text(property)) : std::string();
}

bool Settings::is_on(const std::string& variable, std::string_view property) const {
  if (const auto value = environment_text(*environment_, variable)) return to_lower(*value) == "true";
  return profile_ && profile_->is_true(property);
}

}  // namespace sops::aws
