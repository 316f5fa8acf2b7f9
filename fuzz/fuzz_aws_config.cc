// SPDX-License-Identifier: MPL-2.0
//
// Any text as ~/.aws/config and ~/.aws/credentials: it is read, profiles are found in it, and what they say leads to an
// endpoint or to an error.
#include "base/text.h"
#include "base/url.h"
#include "cloud/aws/endpoint.h"
#include "fuzz/fuzz.h"
#include "tests/support/fake_services.h"

using namespace sops;
using namespace sops::aws;

void fuzz(std::span<const uint8_t> input) {
  const std::string_view text = as_text(input);
  const SharedFiles files{.config_path = "/c",
                          .credentials_path = "/s",
                          .config = parse_config_file(text),
                          .credentials = parse_config_file(text.substr(text.size() / 2))};
  for (const auto& [name, section] : files.config.sections) {
    for (const auto& [key, property] : section)
      FUZZ_CHECK(key == to_lower(key) && value_of(&section, key) == property.value);
  }
  FakeEnvironment environment;
  for (const std::string_view name : {"", "p", "q", "default"}) {
    const auto settings = Settings::load(files, name, environment);
    if (!settings || !settings->profile()) continue;
    const ProfileView& profile = *settings->profile();
    (void)profile.keys();
    (void)profile.has_credentials(ProfileView::IgnoreSource::kNo);
    FUZZ_CHECK(settings->max_attempts() > 0);
    FUZZ_CHECK(profile.text("sso_session").empty() || profile.sso_session() != nullptr);
    for (const std::string_view service : {"kms", "sts", "sso"}) {
      const auto endpoint = find_endpoint({.service = service, .region = "us-east-1", .sends_bearer = true}, *settings);
      FUZZ_CHECK(!endpoint || split_url(endpoint->at("/")).has_value());
    }
  }
}
