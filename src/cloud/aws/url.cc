// SPDX-License-Identifier: MPL-2.0
#include "cloud/aws/url.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace sops::aws {

namespace {

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
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

std::string_view UrlParts::host() const {
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.find(':'));
}

Result<UrlParts> split_url(std::string_view url) {
  UrlParts parts;
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) {
    return fail(ErrorCode::kMalformed, "an address must begin with https:// or http://");
  }
  parts.scheme = url.substr(0, scheme);
  if (parts.scheme != "https" && parts.scheme != "http") {
    return fail(ErrorCode::kMalformed, "an address must begin with https:// or http://");
  }
  if (std::ranges::any_of(url,
                          [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '\\'; })) {
    return fail(ErrorCode::kMalformed, "an address holds no blanks, backslashes or control characters");
  }
  std::string_view rest = url.substr(scheme + 3);
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
  const size_t bracket = parts.authority.starts_with('[') ? parts.authority.find(']') : 0;
  const size_t colon = bracket == std::string_view::npos ? bracket : parts.authority.find(':', bracket);
  const std::string_view port = colon == std::string_view::npos ? "1" : parts.authority.substr(colon + 1);
  const bool is_port =
      !port.empty() && port.size() <= 5 && std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
  if (bracket == std::string_view::npos || parts.host().empty() || !is_port ||
      (bracket > 0 && colon != std::string_view::npos && colon != bracket + 1) ||
      (bracket > 0 && colon == std::string_view::npos && bracket + 1 != parts.authority.size())) {
    return fail(ErrorCode::kMalformed, "an address needs a host, and a port that is a number");
  }
  return parts;
}

bool is_loopback(std::string_view host) {
  if (host == "::1" || to_lower(host) == "localhost") return true;
  const std::vector<std::string_view> parts = split(host, '.');
  return parts.size() == 4 && parts[0] == "127" && std::ranges::all_of(parts, [](std::string_view part) {
           return !part.empty() && part.size() <= 3 &&
                  std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
         });
}

}  // namespace sops::aws
