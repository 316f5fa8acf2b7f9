// SPDX-License-Identifier: MPL-2.0
//
// URLs and the proxy variables: the first line is the URL, the second the proxy, the third NO_PROXY.
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "sys/proxy.h"
#include "tests/support/fake_services.h"

using namespace sops;

void fuzz(std::span<const uint8_t> in) {
  auto lines = split(as_text(in), '\n');
  lines.resize(3);
  const auto target = parse_http_url(lines[0]);
  if (!target) return;
  FUZZ_CHECK(!target->host.empty() && !target->port.empty());
  FUZZ_CHECK(target->host.find_first_of("@/?# \r\n\\") == std::string::npos);
  FakeEnvironment environment;
  environment.set(target->is_https ? "HTTPS_PROXY" : "HTTP_PROXY", std::string(lines[1]));
  environment.set("NO_PROXY", std::string(lines[2]));
  const auto proxy = ProxyRules::read(environment).proxy_for(*target);
  if (!proxy || !*proxy) return;
  // Nothing in it may be taken for more than a proxy.
  FUZZ_CHECK((*proxy)->url.starts_with("http") || (*proxy)->url.starts_with("socks5h://"));
  FUZZ_CHECK((*proxy)->url.find_first_of(" \r\n\\#") == std::string::npos);
}
