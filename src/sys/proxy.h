// SPDX-License-Identifier: MPL-2.0
//
// Which proxy a request takes. The rules are those of Go's HTTP client, because they are what SOPS follows (keys.md
// 3.2, keys-aws.md 2.4); libcurl's own differ, so they are off and the module is told the proxy of each request.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/services.h"

namespace sops {

/// Where a request goes.
struct HttpTarget {
  bool is_https = false;
  std::string host;  // lower case; an IPv6 address without brackets
  std::string port;  // digits

  /// "host:port" for messages, without the port that the scheme implies.
  std::string shown() const;
};

/// The target of an absolute http or https URL, which has neither user nor fragment, and no character that would have
/// to be escaped. Errors: kMalformed.
Result<HttpTarget> parse_http_url(std::string_view url);

/// What the variables HTTP_PROXY, HTTPS_PROXY, NO_PROXY, their lower-case forms and REQUEST_METHOD say.
class ProxyRules {
 public:
  static ProxyRules read(Environment& environment);

  /// A proxy as libcurl takes it: "http://user:password@host:port", also with https and socks5h (which leaves the name
  /// of the target to the proxy, as Go does).
  struct Proxy {
    std::string url;    // may hold a password
    std::string shown;  // for messages: "the proxy host:port of HTTPS_PROXY"
  };
  /// nullopt: directly. Errors: kMalformed for a variable that is no proxy, which is named, and for HTTP_PROXY in a
  /// CGI program, where a stranger's header sets it.
  Result<std::optional<Proxy>> proxy_for(const HttpTarget& target) const;

 private:
  using Address = std::array<uint8_t, 16>;  // IPv4 as ::ffff:0:0/96
  struct Exception {
    std::optional<Address> address;
    int prefix = 128;          // bits of `address` that count
    std::string suffix;        // ".example.org": the names below it; used if there is no address
    bool with_domain = false;  // … and example.org itself
    std::string port;          // empty: any
  };
  struct Variable {
    std::string name;
    std::string value;
  };

  static std::optional<Address> parse_address(std::string_view text);
  static bool is_ipv4(const Address& address);
  static std::optional<Exception> parse_exception(std::string_view text);
  static bool covers(const Exception& exception, const std::optional<Address>& address, const HttpTarget& target);

  Variable http_;
  Variable https_;
  bool is_cgi_ = false;
  bool none_ = false;  // NO_PROXY=*
  std::vector<Exception> exceptions_;
};

}  // namespace sops
