// SPDX-License-Identifier: MPL-2.0
//
// What the sources have in common: members of their JSON.
#include "cloud/aws/sources.h"

#include "base/text.h"

namespace sops::aws {

Result<std::string_view> required(const Json& json, std::initializer_list<std::string_view> path,
                                  std::string_view where) {
  const auto text = json.text(path);
  if (text && !text->empty()) return *text;
  return fail(ErrorCode::kMalformed, "{} has no {}", where, *(path.end() - 1));
}

Result<Credentials> read_credentials(const Json& json, std::string_view token_name, std::string_view where,
                                     std::string source) {
  const std::string_view id = TRY(required(json, {"AccessKeyId"}, where));
  const std::string_view secret = TRY(required(json, {"SecretAccessKey"}, where));
  Credentials credentials;
  credentials.access_key_id = std::string(id);
  credentials.secret = SecureBytes::copy_of(secret);
  credentials.token = SecureBytes::copy_of(json.text(token_name).value_or(""));
  credentials.expiry = TRY(optional_time(json, {"Expiration"}, where));
  credentials.source = std::move(source);
  return credentials;
}

Result<std::optional<WallTime>> optional_time(const Json& json, std::initializer_list<std::string_view> path,
                                              std::string_view where) {
  const auto text = json.text(path);
  if (!text || text->empty()) return std::optional<WallTime>();
  const auto time = parse_time(*text);
  if (!time) return fail(ErrorCode::kMalformed, "{} of {} is no time", *(path.end() - 1), where);
  return time;
}

}  // namespace sops::aws
