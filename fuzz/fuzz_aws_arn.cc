// SPDX-License-Identifier: MPL-2.0
//
// ARNs and regions on any text: what is accepted has its form, and no region puts anything into a host name that is no
// label (keys.md 2.1).
#include <algorithm>
#include <string>

#include "base/text.h"
#include "base/url.h"
#include "cloud/aws/arn.h"
#include "cloud/aws/endpoint.h"
#include "fuzz/fuzz.h"
#include "tests/support/fake_services.h"

using namespace sops;
using namespace sops::aws;

namespace {

void check_host(std::string_view region, std::string_view partition) {
  FakeEnvironment environment;
  const SharedFiles files;
  const auto settings = Settings::load(files, "", environment);
  FUZZ_CHECK(settings.has_value());
  for (const std::string_view service : {"kms", "sts", "sso", "sso_oidc", "signin"}) {
    const auto endpoint = find_endpoint({.service = service, .region = region, .partition = partition}, *settings);
    if (!endpoint) continue;
    const std::string address = endpoint->at("/");
    const auto url = split_url(address);
    FUZZ_CHECK(url.has_value() && url->is_https && url->path == "/");
    const std::vector<std::string_view> labels = split(url->authority, '.');
    FUZZ_CHECK(labels.size() >= 3 && std::ranges::all_of(labels, is_host_label));
    // keys.md 2.1: whatever the file says, the host is one of the service's.
    const Partition& of_region = find_partition(endpoint->region);
    const auto is_below = [&](std::string_view domain) { return url->host.ends_with(format(".{}", domain)); };
    FUZZ_CHECK(service == "signin" ? url->host.find(".signin.") != std::string_view::npos
                                   : is_below(of_region.dns_suffix) || is_below(of_region.dual_suffix));
    FUZZ_CHECK(is_region(endpoint->region));
  }
}

}  // namespace

void fuzz(std::span<const uint8_t> input) {
  const std::string_view text = as_text(input);
  check_host(text, "");
  (void)find_partition(text);
  const std::string name = session_name(text);
  FUZZ_CHECK(name.size() <= 64);
  if (is_role_arn(text)) FUZZ_CHECK(text.starts_with("arn:aws") && !partition_of(text).empty());
  if (const auto arn = KmsArn::parse(text)) {
    FUZZ_CHECK(arn->text == text && is_host_label(arn->region) && !arn->account.empty());
    FUZZ_CHECK(text == format("arn:{}:kms:{}:{}:{}", arn->partition, arn->region, arn->account, arn->resource));
    check_host(arn->region, arn->partition);
  }
  if (const auto url = split_url(text)) {
    FUZZ_CHECK(!url->host.empty() && url->authority.find('@') == std::string_view::npos);
    (void)is_loopback(url->host);
  }
}
