// SPDX-License-Identifier: MPL-2.0
//
// Both sides write the request down in one agreed way (the canonical request), hash it, and key that hash with a secret
// that is bound to day, region and service:
//
//   HMAC(HMAC(HMAC(HMAC(HMAC("AWS4" + secret, day), region), service), "aws4_request"), string to sign)
//
// libcurl has an implementation of its own, which signs other things than it sends in the distribution's version
// (keys-aws.md 8.3).
#include "cloud/aws/sigv4.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/codec.h"
#include "base/text.h"
#include "crypto/hash.h"

namespace sops::aws {

namespace {

using Digest = std::array<uint8_t, 32>;

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

std::string encode(std::string_view text, std::string_view kept) {
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

// "names and values percent-encoded, a parameter without value gets =, sorted by encoded name, then by encoded value".
// What is encoded already stays as it is.
std::string canonical_query(std::string_view query) {
  if (query.empty()) return {};
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string_view piece : split(query, '&')) {
    if (piece.empty()) continue;
    const size_t equals = piece.find('=');
    const std::string_view value = equals == std::string_view::npos ? "" : piece.substr(equals + 1);
    pairs.emplace_back(encode(piece.substr(0, equals), "%"), encode(value, "%"));
  }
  std::ranges::sort(pairs);
  std::string out;
  for (const auto& [name, value] : pairs) out += format("{}{}={}", out.empty() ? "" : "&", name, value);
  return out;
}

// "values trimmed, inner runs of blanks reduced to one".
void append_canonical_value(std::string_view value, SecureBuffer& out) {
  bool after_blank = false;
  for (const char c : trim(value)) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!blank) out.append(1, c);
    if (blank && !after_blank) out.append(1, ' ');
    after_blank = blank;
  }
}

// Writes the header lines and returns the names: "names lower-case, sorted bytewise by name; repeated headers joined by
// `,`". Pointers are sorted rather than headers: values may be tokens, of which no copies should be left behind.
std::string append_canonical_headers(const HttpRequest& request, std::string_view host, SecureBuffer& out) {
  std::vector<std::pair<std::string, std::string_view>> fields;
  for (const HttpHeader& header : request.headers) fields.emplace_back(to_lower(header.name), header.value);
  if (!std::ranges::any_of(fields, [](const auto& field) { return field.first == "host"; })) {
    fields.emplace_back("host", host);
  }
  std::ranges::stable_sort(fields, {}, [](const auto& field) -> const std::string& { return field.first; });
  std::string names;
  for (size_t i = 0; i < fields.size(); ++i) {
    const auto& [name, value] = fields[i];
    if (i > 0 && fields[i - 1].first == name) {
      out.append(",");
    } else {
      out.append(i > 0 ? "\n" : "");
      out.append(name);
      out.append(":");
      names += format("{}{}", names.empty() ? "" : ";", name);
    }
    append_canonical_value(value, out);
  }
  out.append("\n");
  return names;
}

std::string canonical_path(std::string_view path, SignedPath how) {
  if (path.empty()) return "/";
  return how == SignedPath::kAsSent ? std::string(path) : encode(path, "/");
}

std::string_view header_value(const HttpRequest& request, std::string_view lower_name) {
  for (const HttpHeader& header : request.headers) {
    if (to_lower(header.name) == lower_name) return header.value;
  }
  return {};
}

std::string sha256_hex(std::span<const uint8_t> bytes) { return hex_lower(sha256(bytes)); }

// The key of a day, region and service.
Digest derive_key(const SigningKey& key, std::string_view day) {
  SecureBuffer first;
  first.append("AWS4");
  first.append(key.secret.expose_text());
  const SecureBytes start = first.take();
  Digest derived = hmac_sha256(start.expose(), as_bytes(day));
  for (const std::string_view part : {key.region, key.service, std::string_view("aws4_request")}) {
    Digest next = hmac_sha256(derived, as_bytes(part));
    std::swap(derived, next);
    wipe(next);
  }
  return derived;
}

// The authority as `Host` has it: without the port that the scheme has anyway.
std::string_view host_header(const UrlParts& url) {
  const std::string_view usual = url.scheme == "https" ? ":443" : ":80";
  std::string_view host = url.authority;
  if (host.ends_with(usual)) host.remove_suffix(usual.size());
  return host;
}

}  // namespace

SigningSteps sign(HttpRequest& request, const SigningKey& key, SignedPath path) {
  const auto url = split_url(request.url);
  SOPS_CHECK(url.has_value(), "an url that is to be signed has been split before");
  const std::string date(header_value(request, "x-amz-date"));
  SOPS_CHECK(date.size() == 16, "promised by the caller");
  const std::string day = date.substr(0, 8);
  const std::string scope = format("{}/{}/{}/aws4_request", day, key.region, key.service);
  const std::string_view given_hash = header_value(request, "x-amz-content-sha256");

  SecureBuffer canonical;
  canonical.append(
      format("{}\n{}\n{}\n", request.method, canonical_path(url->path, path), canonical_query(url->query)));
  const std::string names = append_canonical_headers(request, host_header(*url), canonical);
  canonical.append(format("\n{}\n{}", names, given_hash.empty() ? sha256_hex(request.body.expose()) : given_hash));

  SigningSteps steps;
  steps.canonical_request = canonical.take();
  steps.string_to_sign =
      format("AWS4-HMAC-SHA256\n{}\n{}\n{}", date, scope, sha256_hex(steps.canonical_request.expose()));
  Digest derived = derive_key(key, day);
  steps.signature_hex = hex_lower(hmac_sha256(derived, as_bytes(steps.string_to_sign)));
  wipe(derived);
  request.headers.push_back(
      {"Authorization", format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}", key.access_key_id,
                               scope, names, steps.signature_hex)});
  return steps;
}

std::string amz_date(std::chrono::system_clock::time_point time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - days));
  return format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(),
                clock.seconds().count());
}

std::string percent_encode(std::string_view text) { return encode(text, ""); }

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
