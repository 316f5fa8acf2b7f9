// SPDX-License-Identifier: MPL-2.0
#include "cloud/aws/endpoint.h"

#include <optional>

#include "base/text.h"
#include "base/url.h"
#include "cloud/aws/arn.h"

namespace sops::aws {

namespace {

// An endpoint that the user has set, and where.
struct Custom {
  std::string url;
  std::string origin;
  bool is_for_all = false;  // for every service
};

// keys-aws.md 2.3, in this order.
std::optional<Custom> find_custom(std::string_view service, const Settings& settings) {
  if (settings.is_on("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls")) return std::nullopt;
  const std::string own = "AWS_ENDPOINT_URL_" + to_upper(service);
  if (const auto url = environment_text(settings.environment(), own)) return Custom{*url, own, false};
  if (const auto url = environment_text(settings.environment(), "AWS_ENDPOINT_URL")) {
    return Custom{*url, "AWS_ENDPOINT_URL", true};
  }
  if (!settings.profile()) return std::nullopt;
  const ProfileView& profile = *settings.profile();
  if (const std::string_view url = profile.service_endpoint(service); !url.empty()) {
    return Custom{std::string(url), format("endpoint_url of {} (services of {})", service, profile.describe()), false};
  }
  if (const std::string_view url = profile.text("endpoint_url"); !url.empty()) {
    return Custom{std::string(url), format("endpoint_url of {}", profile.describe()), true};
  }
  return std::nullopt;
}

struct Variants {
  bool fips = false;
  bool dual = false;
};

// keys-aws.md 2.2.
std::string table_host(std::string_view service, std::string_view region, Variants variants) {
  const Partition& partition = find_partition(region);
  if (service == "signin") {
    if (partition.name == "aws-cn") return format("{}.signin.amazonaws.cn", region);
    if (partition.name == "aws-us-gov") return format("{}.signin.amazonaws-us-gov.com", region);
    if (partition.name == "aws-eusc") return format("{}.signin.amazonaws-eusc.eu", region);
    return format("{}.signin.aws.amazon.com", region);
  }
  std::string_view name = service;
  if (service == "sso") name = "portal.sso";
  if (service == "sso_oidc") name = "oidc";
  const bool fips = variants.fips && !(service == "sts" && partition.name == "aws-us-gov" && !variants.dual);
  return format("{}{}.{}.{}", name, fips ? "-fips" : "", region,
                variants.dual ? partition.dual_suffix : partition.dns_suffix);
}

Result<Endpoint> custom_endpoint(const Custom& custom, const UrlParts& url, std::string_view region) {
  if (!is_host_label(region)) {
    return fail(ErrorCode::kMalformed, "'{}' is no region", escape_for_message(region));
  }
  if (!url.query.empty()) return fail(ErrorCode::kMalformed, "{} must not have a query", custom.origin);
  std::string_view path = url.path;
  while (path.ends_with('/')) path.remove_suffix(1);
  return Endpoint{.url = format("{}://{}{}", url.is_https ? "https" : "http", url.authority, path),
                  .region = std::string(region),
                  .origin = custom.origin,
                  .is_clear = !url.is_https && !is_loopback(url.host)};
}

}  // namespace

std::string Endpoint::at(std::string_view path) const {
  const bool has_path = url.find('/', url.find("://") + 3) != std::string::npos;
  if (path == "/" && has_path) return url;
  return format("{}{}", url, path);
}

Result<Endpoint> find_endpoint(const EndpointQuery& query, const Settings& settings) {
  Variants variants{.fips = settings.is_on("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"),
                    .dual = settings.is_on("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")};
  // keys-aws.md 2.1: "A region of the form fips-X or X-fips means region X with FIPS switched on".
  std::string_view region = query.region;
  if (region.starts_with("fips-") || region.ends_with("-fips")) {
    region = region.starts_with("fips-") ? region.substr(5) : region.substr(0, region.size() - 5);
    variants.fips = true;
  }

  if (const auto custom = find_custom(query.service, settings)) {
    const auto url = split_url(custom->url);
    if (!url) return fail(ErrorCode::kMalformed, "{} is no endpoint: {}", custom->origin, url.error().message);
    // keys.md 2.4: an endpoint for all services gets no bearer token in the clear; those go to their own host then.
    const bool is_clear = !url->is_https && !is_loopback(url->host);
    if (!(query.sends_bearer && custom->is_for_all && is_clear)) {
      if (variants.fips || variants.dual) {
        return fail(ErrorCode::kMalformed, "{} does not go together with {}", custom->origin,
                    variants.fips ? "FIPS endpoints (AWS_USE_FIPS_ENDPOINT, use_fips_endpoint or the region)"
                                  : "dual-stack endpoints (AWS_USE_DUALSTACK_ENDPOINT or use_dualstack_endpoint)")
            .hint("unset one of the two");
      }
      return custom_endpoint(*custom, *url, region);
    }
  }

  if (query.service == "sts" && region == "aws-global") {
    return Endpoint{.url = "https://sts.amazonaws.com", .region = "us-east-1"};
  }
  if (!is_region(region)) {
    return fail(ErrorCode::kMalformed, "'{}' is no region of AWS", escape_for_message(query.region))
        .hint("other names are possible with an endpoint of your own: AWS_ENDPOINT_URL");
  }
  const Partition& partition = find_partition(region);
  if (!query.partition.empty() && query.partition != partition.name) {
    return fail(ErrorCode::kMalformed, "region {} lies in partition {}, not in {} as the ARN says", region,
                partition.name, escape_for_message(query.partition));
  }
  return Endpoint{.url = format("https://{}", table_host(query.service, region, variants)),
                  .region = std::string(region)};
}

}  // namespace sops::aws
