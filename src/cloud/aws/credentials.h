// SPDX-License-Identifier: MPL-2.0
//
// What requests are signed with. Plain data.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/secure_bytes.h"

namespace sops::aws {

using WallTime = std::chrono::system_clock::time_point;

/// An access key, permanent or of a session.
struct Credentials {
  std::string access_key_id;  // no secret
  SecureBytes secret;
  SecureBytes token;               // of a session; empty: none
  std::optional<WallTime> expiry;  // nullopt: they do not expire, or nobody says when
  std::string source;              // for messages: "AWS_ACCESS_KEY_ID", "role arn:… by profile 'prod' in ~/.aws/config"

  Credentials clone() const {
    return {.access_key_id = access_key_id,
            .secret = secret.clone(),
            .token = token.clone(),
            .expiry = expiry,
            .source = source};
  }
};

}  // namespace sops::aws
