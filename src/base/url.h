// SPDX-License-Identifier: MPL-2.0
//
// Addresses that users, variables and services name: their parts, and how text becomes part of one. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace sops {

/// `text` with every byte but A-Z a-z 0-9 - . _ ~ and those in `kept` as %XX (RFC 3986 2.1).
std::string percent_encode(std::string_view text, std::string_view kept = "");

/// `host`, in brackets if it is an IPv6 address.
std::string in_brackets(std::string_view host);

/// [user@]host[:port], views of the text that was split (RFC 3986 3.2).
struct UrlAuthority {
  std::string_view user;  // with the '@', as written; may be empty
  std::string_view host;  // without brackets
  std::string_view port;  // digits, 1 to 65535; may be empty, also behind a ':'
};

/// nullopt without a host, for a host with characters that no host name has, brackets around what is no IPv6
/// address, and a port that is none.
std::optional<UrlAuthority> split_authority(std::string_view text);

/// The parts of an url, views of it: "host:8443", "/path", "a=b". An empty path stays empty.
struct UrlParts {
  bool is_https = false;
  std::string_view authority;  // without a user
  std::string_view host;
  std::string_view port;
  std::string_view path;
  std::string_view query;
};

/// Splits an absolute url of scheme http or https, in any case; a fragment is dropped. Errors: kMalformed, without the
/// text, for another scheme, an authority that is none or has a user or an empty port, blanks, backslashes and control
/// characters.
Result<UrlParts> split_url(std::string_view url);

/// True for localhost, 127.0.0.0/8 and ::1, as they are usually written.
bool is_loopback(std::string_view host);

}  // namespace sops
