// SPDX-License-Identifier: MPL-2.0
//
// What the user has set: environment variables and the selected profile, with the precedence of the SDK. Read-only, any
// thread. Source: ../shared/spec/keys-aws.md 2.3, 5.1, 7.1-7.5.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "cloud/aws/config_file.h"
#include "sys/services.h"

namespace sops::aws {

/// Both shared files. One that cannot be read is empty.
struct SharedFiles {
  std::string config_path;
  std::string credentials_path;
  ConfigFile config;
  ConfigFile credentials;

  /// Reads them from where AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE say, else from ~/.aws.
  static SharedFiles load(Services& services);
};

/// An environment variable; empty is the same as unset.
std::optional<std::string> environment_text(Environment& environment, const std::string& name);
/// The same for a secret; empty if it is unset.
SecureBytes environment_secret(Environment& environment, const std::string& name);

/// A profile as both files together have it. Borrows SharedFiles.
class ProfileView {
 public:
  /// nullopt if no file has it.
  static std::optional<ProfileView> find(const SharedFiles& files, std::string_view name);

  const std::string& name() const { return name_; }
  /// A property, "" if there is none: from the credentials file ahead of the config file, but for those that it does
  /// not pass on (keys-aws.md 7.3).
  std::string_view text(std::string_view property) const;
  /// True for a property that reads "true" in any case.
  bool is_true(std::string_view property) const;

  /// Static keys: both or none, from one file.
  struct Keys {
    std::string_view id;
    std::string_view secret;
    std::string_view token;
  };
  std::optional<Keys> keys() const;

  /// The `[sso-session …]` that the profile names, null if it names none or none is there.
  const Section* sso_session() const;
  /// `endpoint_url` of a service ("kms") in the `[services …]` that the profile names, "" if there is none.
  std::string_view service_endpoint(std::string_view service) const;
  /// Any of the keys that ask for IAM Identity Center is there.
  bool has_sso() const;
  /// A source_profile may name this one (keys-aws.md 7.5). The second time on the way its own source does not count.
  enum class IgnoreSource { kNo, kYes };
  bool has_credentials(IgnoreSource ignore) const;
  /// "profile 'prod' in ~/.aws/config"
  std::string describe() const;

  /// Checks the profile and those that it stands on by `source_profile`. Errors: kMalformed for what the SDK refuses,
  /// naming profile, file and key; kNotFound for a source that does not exist or has no credentials.
  Result<void> validate() const;
  /// The profile named by source_profile. REQUIRES: validate() or that of one above it has found nothing wrong.
  ProfileView source() const;

 private:
  ProfileView(const SharedFiles& files, std::string_view name, const Section* config, const Section* credentials)
      : files_(&files), name_(name), config_(config), credentials_(credentials) {}

  // keys-aws.md 7.5: what is checked depends on whether others stand on the profile.
  enum class Place { kSelected, kSource };
  Result<void> validate_alone(Place place) const;

  const SharedFiles* files_;
  std::string name_;
  const Section* config_;
  const Section* credentials_;
};

/// The profile and environment that one call goes by. Borrows SharedFiles and Environment.
class Settings {
 public:
  /// Selects the profile: `key_profile` (what a key asks for), AWS_PROFILE, AWS_DEFAULT_PROFILE, `default`. Errors:
  /// kNotFound if one of the first two does not exist; those of ProfileView::validate; kMalformed for a variable that
  /// is neither true nor false, or no number, naming it.
  static Result<Settings> load(const SharedFiles& files, std::string_view key_profile, Environment& environment);

  const SharedFiles& files() const { return *files_; }
  Environment& environment() const { return *environment_; }
  /// The selected profile; nullopt if none was named and there is no default one.
  const std::optional<ProfileView>& profile() const { return profile_; }
  /// A key asked for the profile: the environment's credentials do not count (keys-aws.md 7.1).
  bool is_key_profile() const { return is_key_profile_; }
  /// "profile 'prod' (named by the key's aws_profile)"
  std::string describe_profile() const;

  /// A variable, or else a property of the profile; "" if neither is set.
  std::string text(const std::string& variable, std::string_view property) const;
  /// A switch: true or false in a variable, else in the profile, where everything but true is false. load() has checked
  /// the variable.
  bool is_on(const std::string& variable, std::string_view property) const;

  /// How often a request is sent at most; 3 unless set.
  int max_attempts() const { return max_attempts_; }

 private:
  const SharedFiles* files_ = nullptr;
  Environment* environment_ = nullptr;
  std::optional<ProfileView> profile_;
  std::string selected_by_;  // "AWS_PROFILE"
  std::string selected_name_;
  bool is_key_profile_ = false;
  int max_attempts_ = 3;
};

}  // namespace sops::aws
