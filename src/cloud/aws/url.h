// SPDX-License-Identifier: MPL-2.0
//
// Addresses that users, variables and services name: their parts, and how text becomes part of one. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace sops::aws {

/// `text` with every byte but A-Z a-z 0-9 - . _ ~ and those in `kept` as %XX.
std::string percent_encode(std::string_view text, std::string_view kept = "");

/// The parts of an url: "https", "host:8443", "/path", "a=b". An empty path stays empty.
struct UrlParts {
  std::string_view scheme;
  std::string_view authority;
  std::string_view path;
  std::string_view query;

  /// The host of `authority` without port and brackets.
  std::string_view host() const;
};

/// Splits an url of scheme http or https. Errors: kMalformed, without the text, for another scheme, no host, a user, a
/// port that is none, white space, and control characters.
Result<UrlParts> split_url(std::string_view url);

/// True for localhost, 127.0.0.0/8 and ::1.
bool is_loopback(std::string_view host);

}  // namespace sops::aws
