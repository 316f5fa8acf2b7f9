// SPDX-License-Identifier: MPL-2.0
//
// Credentials that `aws login` has left (keys-aws.md 7.9). They are used while they last; renewing them is left to aws.
#include "base/codec.h"
#include "base/text.h"
#include "cloud/aws/sources.h"
#include "crypto/hash.h"

namespace sops::aws {

Result<Credentials> fetch_from_login(const ProfileView& profile, const Context& context) {
  const std::string_view session = trim(profile.text("login_session"));
  const std::string origin = format("login_session of {}", profile.describe());
  const std::string hint = format("run: aws login --profile {}", escape_for_message(profile.name()));
  const std::string folder = environment_text(context.services.environment, "AWS_LOGIN_CACHE_DIRECTORY")
                                 .value_or(context.services.environment.home_folder() + "/.aws/login/cache");
  const std::string path = format("{}/{}.json", folder, hex_lower(sha256(as_bytes(session))));
  auto file = context.services.files.read(path);
  if (!file) return fail(ErrorCode::kNotFound, "{}: nobody has logged in: {}", origin, file.error().message).hint(hint);
  const std::string where = format("{}: {}", origin, escape_for_message(path));
  const Json json = TRY(in_context(Json::parse(std::move(*file)), "{}", where));
  const std::string_view id = TRY(required(json, {"accessToken", "accessKeyId"}, where));
  const std::string_view secret = TRY(required(json, {"accessToken", "secretAccessKey"}, where));
  const std::string_view token = TRY(required(json, {"accessToken", "sessionToken"}, where));
  TRY(required(json, {"accessToken", "expiresAt"}, where));
  Credentials credentials;
  credentials.access_key_id = std::string(id);
  credentials.secret = SecureBytes::copy_of(secret);
  credentials.token = SecureBytes::copy_of(token);
  credentials.expiry = TRY(optional_time(json, {"accessToken", "expiresAt"}, where));
  credentials.source = origin;
  if (*credentials.expiry > context.services.clock.now()) return credentials;
  return fail(ErrorCode::kDenied, "{}: the credentials have expired, and renewing them is left to aws", origin)
      .hint(format("{}, or: eval \"$(aws configure export-credentials --profile {} --format env)\"", hint,
                   escape_for_message(profile.name())));
}

}  // namespace sops::aws
