// SPDX-License-Identifier: MPL-2.0
//
// The places that credentials come from, one function each. Which of them is asked, chain.h decides. Messages say what
// was looked at; Credentials::source does for messages of later failures. Source: ../shared/spec/keys-aws.md
// 6, 7.6-7.12.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "cloud/aws/credentials.h"
#include "cloud/aws/settings.h"
#include "cloud/aws/transport.h"

namespace sops::aws {

/// A role to assume. (sts.cc)
struct RoleRequest {
  std::string arn;
  std::string session_name;
  std::optional<int> duration_seconds;
  std::string external_id;  // "": none
  std::string mfa_serial;   // "": no code
  SecureBytes mfa_code;     // sent once, whatever happens
};

/// Trades `base` for the role's credentials. Errors: kDenied if STS refuses, naming the role; those of send().
Result<Credentials> assume_role(const RoleRequest& role, const Credentials& base, const Context& context);

/// Trades the token in a file for a role's credentials, unsigned. `origin` says who wants it, for messages. (sts.cc)
struct WebIdentity {
  std::string token_file;
  std::string role_arn;
  std::string session_name;  // "": from the time
  std::string origin;
};
Result<Credentials> assume_role_with_web_identity(const WebIdentity& identity, const Context& context);

/// IAM Identity Center: a token that `aws sso login` has left, traded for a role's credentials. (sso.cc)
Result<Credentials> fetch_from_sso(const ProfileView& profile, const Context& context);

/// What `aws login` has left. (login.cc)
Result<Credentials> fetch_from_login(const ProfileView& profile, const Context& context);

/// The output of a program. Without leave to ask it gets no terminal; if it then fails, kNeedsPerson. (process.cc)
Result<Credentials> run_credential_process(const ProfileView& profile, const Context& context);

/// The container's service: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or …_FULL_URI. REQUIRES: has_container_service().
/// (container.cc)
bool has_container_service(Environment& environment);
Result<Credentials> fetch_from_container(const Context& context);

/// The instance's metadata service. (metadata.cc)
Result<Credentials> fetch_from_metadata(const Context& context);

// What the sources share. (sources.cc)

/// A JSON member that must be there. `where` names the JSON for the message.
Result<std::string_view> required(const Json& json, std::initializer_list<std::string_view> path,
                                  std::string_view where);

/// Credentials as programs and local services spell them: AccessKeyId, SecretAccessKey, Expiration, and the session
/// token under `token_name`. The last two may be missing. `source` is theirs. Errors: kMalformed, naming `where`.
Result<Credentials> read_credentials(const Json& json, std::string_view token_name, std::string_view where,
                                     std::string source);

/// The time in a JSON member, nullopt if there is none. Errors: kMalformed.
Result<std::optional<WallTime>> optional_time(const Json& json, std::initializer_list<std::string_view> path,
                                              std::string_view where);

}  // namespace sops::aws
