// SPDX-License-Identifier: MPL-2.0
//
// Signature Version 4, header form. Pure functions. Source: ../shared/spec/keys-aws.md 8.1.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "sys/http.h"

namespace sops::aws {

/// What a signature is made with and for.
struct SigningKey {
  std::string_view access_key_id;
  const SecureBytes& secret;
  std::string_view region;
  std::string_view service;
};

/// How a path becomes part of what is signed: S3 takes it as sent, everybody else encodes it once more.
enum class SignedPath { kEncodedTwice, kAsSent };

/// What leads to the signature, for tests. The canonical request holds the session token.
struct SigningSteps {
  SecureBytes canonical_request;
  std::string string_to_sign;
  std::string signature_hex;
};

/// Signs `request`: every header that it has, and `Host`, whose value is made from the url unless it is there. The
/// caller puts `X-Amz-Date` (amz_date) and, with session credentials, `X-Amz-Security-Token` among the headers before.
/// Nothing may change afterwards but headers that are added. Appends `Authorization`. REQUIRES: X-Amz-Date is there.
SigningSteps sign(HttpRequest& request, const SigningKey& key, SignedPath path = SignedPath::kEncodedTwice);

/// A time as `X-Amz-Date` has it: 20150830T123600Z.
std::string amz_date(std::chrono::system_clock::time_point time);

}  // namespace sops::aws
