// SPDX-License-Identifier: MPL-2.0
//
// Where a service is reached: the user's own endpoint, or a host of the fixed tables (keys.md 2.1). Pure functions.
// Source: ../shared/spec/keys-aws.md 2.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "cloud/aws/settings.h"

namespace sops::aws {

/// What is to be reached.
struct EndpointQuery {
  std::string_view service;    // "kms", "sts", "sso", "sso_oidc", "signin"
  std::string_view region;     // also "fips-us-east-1" and "us-east-1-fips"
  std::string_view partition;  // of the ARN that the region stands in; "": none
  bool sends_bearer = false;   // the request carries a token that whoever reads it can use (keys.md 2.4)
};

/// An address, and what requests to it are signed for.
struct Endpoint {
  std::string url;        // without a path, or with the user's own and no slash at its end
  std::string region;     // for signing
  std::string origin;     // the setting that it comes from: "AWS_ENDPOINT_URL"; "" for a host of the tables
  bool is_clear = false;  // plain http to somewhere else

  /// The address of a path below it: "/" gives the user's own path, "/" if there is none.
  std::string at(std::string_view path) const;
};

/// Errors: kMalformed if a region that would become part of a host name is none, if the ARN's partition is not that of
/// its region, for a user's endpoint that is no address (naming the setting), and for one together with FIPS or dual
/// stack.
Result<Endpoint> find_endpoint(const EndpointQuery& query, const Settings& settings);

}  // namespace sops::aws
