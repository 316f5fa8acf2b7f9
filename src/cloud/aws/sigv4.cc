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
#include "base/url.h"
#include "crypto/hash.h"

namespace sops::aws {

namespace {

using Digest = std::array<uint8_t, 32>;

// "names and values percent-encoded, a parameter without value gets =, sorted by encoded name, then by encoded value".
// What is encoded already stays as it is.
std::string canonical_query(std::string_view query) {
  if (query.empty()) return {};
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string_view piece : split(query, '&')) {
    if (piece.empty()) continue;
    const size_t equals = piece.find('=');
    const std::string_view value = equals == std::string_view::npos ? "" : piece.substr(equals + 1);
    pairs.emplace_back(percent_encode(piece.substr(0, equals), "%"), percent_encode(value, "%"));
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
  return how == SignedPath::kAsSent ? std::string(path) : percent_encode(path, "/");
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
  const std::string_view usual = url.is_https ? ":443" : ":80";
  std::string_view host = url.authority;
  if (host.ends_with(usual)) host.remove_suffix(usual.size());
  return host;
}

}  // namespace

SigningSteps sign(HttpRequest& request, const SigningKey& key, SignedPath path) {
  const auto url = split_url(request.url);
  SOPS_CHECK(url.has_value(), "an url that is to be signed has been split before");
  const std::string date(find_header(request.headers, "x-amz-date"));
  SOPS_CHECK(date.size() == 16, "promised by the caller");
  const std::string day = date.substr(0, 8);
  const std::string scope = format("{}/{}/{}/aws4_request", day, key.region, key.service);
  const std::string_view given_hash = find_header(request.headers, "x-amz-content-sha256");

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

}  // namespace sops::aws
