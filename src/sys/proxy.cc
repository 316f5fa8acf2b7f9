// SPDX-License-Identifier: MPL-2.0
#include "sys/proxy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "base/url.h"

namespace sops {

namespace {

constexpr size_t kMappedBits = 96;  // ::ffff:0:0/96 holds the IPv4 addresses (RFC 4291 2.5.5.2)

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char c) { return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z'); }

// A number of digits only, at most `limit`.
std::optional<int> parse_number(std::string_view text, int limit) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || !is_digit(text[0]) || error != std::errc() || end != text.data() + text.size() || value > limit)
    return std::nullopt;
  return value;
}

// RFC 3986 2.2, 2.3, without '#'.
bool is_url_character(char c) {
  constexpr std::string_view kOthers = "-._~:/?[]@!$&'()*+,;=%";
  return is_alphanumeric(c) || kOthers.find(c) != std::string_view::npos;
}

}  // namespace

std::string HttpTarget::shown() const {
  return port == (is_https ? "443" : "80") ? in_brackets(host) : format("{}:{}", in_brackets(host), port);
}

Result<HttpTarget> parse_http_url(std::string_view url) {
  const auto parts = split_url(url);
  if (!parts || !std::ranges::all_of(url, is_url_character)) {
    return fail(ErrorCode::kMalformed, "'{}' is no URL", escape_for_message(url));
  }
  HttpTarget target{.is_https = parts->is_https, .host = to_lower(parts->host), .port = std::string(parts->port)};
  if (target.port.empty()) target.port = target.is_https ? "443" : "80";
  return target;
}

std::optional<ProxyRules::Address> ProxyRules::parse_address(std::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  Address address{};
  if (inet_pton(AF_INET6, terminated.c_str(), address.data()) == 1) return address;
  address[10] = address[11] = 0xff;
  if (inet_pton(AF_INET, terminated.c_str(), address.data() + 12) == 1) return address;
  return std::nullopt;
}

bool ProxyRules::is_ipv4(const Address& address) {
  return std::all_of(address.begin(), address.begin() + 10, [](uint8_t byte) { return byte == 0; }) &&
         address[10] == 0xff && address[11] == 0xff;
}

// An entry of NO_PROXY in lower case: "10.0.0.0/8", "10.1.2.3", "10.1.2.3:80", "[fd00::1]:80", "example.org",
// ".example.org", "*.example.org", each name also with a port.
std::optional<ProxyRules::Exception> ProxyRules::parse_exception(std::string_view text) {
  Exception result;
  if (const size_t slash = text.find('/'); slash != std::string_view::npos) {
    const auto network = parse_address(text.substr(0, slash));
    const bool is_short = text.substr(0, slash).find(':') == std::string_view::npos;
    const auto bits = parse_number(text.substr(slash + 1), is_short ? 32 : 128);
    if (network && bits) {
      result.address = network;
      result.prefix = *bits + (is_short ? static_cast<int>(kMappedBits) : 0);
      return result;
    }
  }
  // A port stands behind the only colon, or behind brackets; an IPv6 address without brackets has none.
  std::string_view host = text;
  const size_t colon = text.rfind(':');
  const bool has_port = colon != std::string_view::npos &&
                        (text.starts_with('[') ? colon > 0 && text[colon - 1] == ']' : text.find(':') == colon);
  if (has_port) {
    host = text.substr(0, colon);
    result.port = text.substr(colon + 1);
    if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  }
  if (host.empty()) return std::nullopt;
  result.address = parse_address(host);
  if (result.address) return result;
  if (host.starts_with("*.")) host.remove_prefix(1);
  result.with_domain = !host.starts_with('.');
  result.suffix = (result.with_domain ? "." : "") + std::string(host);
  return result;
}

ProxyRules ProxyRules::read(Environment& environment) {
  const auto variable = [&](const std::string& upper, const std::string& lower) {
    for (const std::string& name : {upper, lower}) {
      const std::string value = environment.get(name).value_or("");
      if (!value.empty()) return Variable{name, value};
    }
    return Variable{};
  };
  ProxyRules rules;
  rules.http_ = variable("HTTP_PROXY", "http_proxy");
  rules.https_ = variable("HTTPS_PROXY", "https_proxy");
  rules.is_cgi_ = !environment.get("REQUEST_METHOD").value_or("").empty();
  const std::string exceptions = to_lower(variable("NO_PROXY", "no_proxy").value);
  for (std::string_view part : split(exceptions, ',')) {
    part = trim(part);
    if (part == "*") rules.none_ = true;
    const auto exception = parse_exception(part);
    if (exception) rules.exceptions_.push_back(*exception);
  }
  return rules;
}

bool ProxyRules::covers(const Exception& exception, const std::optional<Address>& address, const HttpTarget& target) {
  if (!exception.port.empty() && exception.port != target.port) return false;
  if (exception.address.has_value() != address.has_value()) return false;
  if (!address) {
    return target.host.ends_with(exception.suffix) ||
           (exception.with_domain && target.host == std::string_view(exception.suffix).substr(1));
  }
  // An IPv4 address lies in no IPv6 network.
  const bool network_is_ipv4 = is_ipv4(*exception.address) && exception.prefix >= static_cast<int>(kMappedBits);
  if (network_is_ipv4 != is_ipv4(*address)) return false;
  for (int bit = 0; bit < exception.prefix; ++bit) {
    const auto byte = static_cast<size_t>(bit / 8);
    const int mask = 0x80 >> (bit % 8);
    if (((*exception.address)[byte] & mask) != ((*address)[byte] & mask)) return false;
  }
  return true;
}

Result<std::optional<ProxyRules::Proxy>> ProxyRules::proxy_for(const HttpTarget& target) const {
  const Variable& variable = target.is_https ? https_ : http_;
  if (variable.value.empty()) return std::optional<Proxy>();
  if (!target.is_https && is_cgi_) {
    return fail(ErrorCode::kMalformed, "{} is set in a CGI program, where the header Proxy of a request sets it",
                variable.name)
        .hint("unset REQUEST_METHOD if this is no CGI program");
  }
  const std::optional<Address> address = parse_address(target.host);
  const bool is_loopback = target.host == "localhost" ||
                           (address && (is_ipv4(*address) ? (*address)[12] == 127 : *address == *parse_address("::1")));
  if (none_ || is_loopback) return std::optional<Proxy>();
  if (std::ranges::any_of(exceptions_, [&](const Exception& one) { return covers(one, address, target); }))
    return std::optional<Proxy>();

  std::string_view text = variable.value;
  std::string scheme = "http";
  if (const size_t colon = text.find("://"); colon != std::string_view::npos) {
    scheme = to_lower(text.substr(0, colon));
    text.remove_prefix(colon + 3);
  }
  std::string_view port;
  if (scheme == "http") port = "80";
  if (scheme == "https") port = "443";
  if (scheme.starts_with("socks5") && (scheme.size() == 6 || scheme == "socks5h")) {
    scheme = "socks5h";
    port = "1080";
  }
  const auto authority = split_authority(text.substr(0, text.find_first_of("/?#")));
  if (port.empty() || !authority || !std::ranges::all_of(authority->user, is_url_character)) {
    return fail(ErrorCode::kMalformed, "{} is no proxy", variable.name)
        .hint("write it as http://host:port; https, socks5 and socks5h are possible too");
  }
  if (!authority->port.empty()) port = authority->port;
  const std::string place = format("{}:{}", in_brackets(authority->host), port);
  return std::optional<Proxy>({.url = format("{}://{}{}", scheme, authority->user, place),
                               .shown = format("the proxy {} of {}", place, variable.name)});
}

}  // namespace sops
