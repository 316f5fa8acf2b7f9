// SPDX-License-Identifier: MPL-2.0
#include "base/url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/text.h"

namespace sops {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char c) { return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z'); }
bool is_unreserved(char c) { return is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~'; }
bool is_of_a_name(char c) { return is_alphanumeric(c) || c == '-' || c == '.' || c == '_'; }

bool is_port(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return std::ranges::all_of(text, is_digit) && error == std::errc() && value >= 1 && value <= 65535;
}

void append_percent(std::string& out, char c) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  out += '%';
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

}  // namespace

std::string percent_encode(std::string_view text, std::string_view kept) {
  std::string out;
  for (const char c : text) {
    if (is_unreserved(c) || kept.find(c) != std::string_view::npos) {
      out += c;
    } else {
      append_percent(out, c);
    }
  }
  return out;
}

std::string in_brackets(std::string_view host) {
  return host.find(':') == std::string_view::npos ? std::string(host) : format("[{}]", host);
}

std::optional<UrlAuthority> split_authority(std::string_view text) {
  UrlAuthority result;
  if (const size_t at = text.rfind('@'); at != std::string_view::npos) {
    result.user = text.substr(0, at + 1);
    text.remove_prefix(at + 1);
  }
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    result.host = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    in6_addr address;
    if (inet_pton(AF_INET6, std::string(result.host).c_str(), &address) != 1) return std::nullopt;
  } else {
    result.host = text.substr(0, text.find(':'));
    text.remove_prefix(result.host.size());
    if (result.host.empty() || !std::ranges::all_of(result.host, is_of_a_name)) return std::nullopt;
  }
  if (text.empty()) return result;
  if (text[0] != ':') return std::nullopt;
  result.port = text.substr(1);
  if (!result.port.empty() && !is_port(result.port)) return std::nullopt;
  return result;
}

Result<UrlParts> split_url(std::string_view url) {
  UrlParts parts;
  const size_t colon = url.find("://");
  const std::string scheme = colon == std::string_view::npos ? "" : to_lower(url.substr(0, colon));
  parts.is_https = scheme == "https";
  if (!parts.is_https && scheme != "http") {
    return fail(ErrorCode::kMalformed, "an address must begin with https:// or http://");
  }
  if (std::ranges::any_of(url,
                          [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '\\'; })) {
    return fail(ErrorCode::kMalformed, "an address holds no blanks, backslashes or control characters");
  }
  std::string_view rest = url.substr(colon + 3);
  rest = rest.substr(0, rest.find('#'));
  const size_t end = rest.find_first_of("/?");
  parts.authority = rest.substr(0, end);
  rest = end == std::string_view::npos ? "" : rest.substr(end);
  const size_t question = rest.find('?');
  parts.path = rest.substr(0, question);
  if (question != std::string_view::npos) parts.query = rest.substr(question + 1);

  if (parts.authority.find('@') != std::string_view::npos) {
    return fail(ErrorCode::kMalformed, "an address holds no user name or password");
  }
  const auto authority = split_authority(parts.authority);
  if (!authority || parts.authority.ends_with(':'))
    return fail(ErrorCode::kMalformed, "an address needs a host, and a port that is a number");
  parts.host = authority->host;
  parts.port = authority->port;
  return parts;
}

bool is_loopback(std::string_view host) {
  if (host == "::1" || to_lower(host) == "localhost") return true;
  const std::vector<std::string_view> parts = split(host, '.');
  return parts.size() == 4 && parts[0] == "127" && std::ranges::all_of(parts, [](std::string_view part) {
           return !part.empty() && part.size() <= 3 && std::ranges::all_of(part, is_digit);
         });
}

}  // namespace sops
