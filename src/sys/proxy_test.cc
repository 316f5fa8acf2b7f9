// SPDX-License-Identifier: MPL-2.0
#include "sys/proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/fake_services.h"

namespace sops {
namespace {

using testing::HasSubstr;

// The proxy of `url` with these variables, "direct", or the error.
std::string proxy_of(const std::map<std::string, std::string>& variables, const std::string& url) {
  FakeEnvironment environment;
  for (const auto& [name, value] : variables) environment.set(name, value);
  const auto target = parse_http_url(url);
  if (!target) return to_string(target.error());
  const auto proxy = ProxyRules::read(environment).proxy_for(*target);
  if (!proxy) return to_string(proxy.error());
  return *proxy ? (*proxy)->url : "direct";
}

TEST(ProxyRules, AreThoseOfGo) {
  std::ifstream cases(std::string(SOPS_SOURCE_DIR) + "/src/sys/proxy_cases.tsv");
  int count = 0;
  for (std::string line; std::getline(cases, line);) {
    const auto fields = split(line, '\t');
    if (line.starts_with('#') || fields.size() != 3) continue;
    ++count;
    const std::string proxy = "http://proxy:3128";
    const std::string got = proxy_of(
        {{"HTTP_PROXY", proxy}, {"HTTPS_PROXY", proxy}, {"NO_PROXY", std::string(fields[0])}}, std::string(fields[1]));
    EXPECT_EQ(got == proxy ? "proxy" : got, fields[2]) << line;
  }
  EXPECT_EQ(count, 462);
}

// keys.md 3.2: "no scheme = http, `socks5://`". Go adds the scheme's port when it connects, and libcurl would add 1080.
TEST(ProxyRules, UnderstandProxies) {
  const std::pair<const char*, const char*> cases[] = {
      {"proxy", "http://proxy:80"},
      {"proxy:3128", "http://proxy:3128"},
      {"proxy:", "http://proxy:80"},
      {"10.0.0.1:8080", "http://10.0.0.1:8080"},
      {"[fd00::9]:1", "http://[fd00::9]:1"},
      {"http://proxy", "http://proxy:80"},
      {"HTTP://proxy:1", "http://proxy:1"},
      {"https://proxy", "https://proxy:443"},
      {"socks5://proxy", "socks5h://proxy:1080"},
      {"socks5h://proxy:9", "socks5h://proxy:9"},
      {"http://u:p%40@proxy:1", "http://u:p%40@proxy:1"},
      {"u:p@proxy:1", "http://u:p@proxy:1"},
      {"http://proxy:3128/path?x", "http://proxy:3128"},
  };
  for (const auto& [value, expected] : cases) {
    EXPECT_EQ(proxy_of({{"HTTPS_PROXY", value}}, "https://example.org/"), expected) << value;
    EXPECT_EQ(proxy_of({{"HTTPS_PROXY", value}}, "http://example.org/"), "direct") << value;
  }
}

TEST(ProxyRules, NameAVariableThatIsNoProxy) {
  for (const char* value : {"http://", "ftp://proxy:1", "socks4://p:1", "http://pro xy", "http://proxy:99999",
                            "http://proxy:x", "http://proxy:0", "http://[::1", " proxy ", "http://u\n@proxy",
                            "://proxy", "@", ":", "[]", "http://proxy:1\r\nX: y"}) {
    EXPECT_EQ(proxy_of({{"https_proxy", value}}, "https://example.org/"), "https_proxy is no proxy") << value;
  }
}

TEST(ProxyRules, PreferUpperCase) {
  EXPECT_EQ(proxy_of({{"HTTPS_PROXY", "a:1"}, {"https_proxy", "b:1"}}, "https://example.org/"), "http://a:1");
  EXPECT_EQ(proxy_of({{"HTTPS_PROXY", ""}, {"https_proxy", "b:1"}}, "https://example.org/"), "http://b:1");
  EXPECT_EQ(proxy_of({{"http_proxy", "b:1"}}, "http://example.org/"), "http://b:1");
  EXPECT_EQ(proxy_of({{"HTTPS_PROXY", "a:1"}, {"NO_PROXY", "x"}, {"no_proxy", "example.org"}}, "https://example.org/"),
            "http://a:1");
  EXPECT_EQ(proxy_of({{"ALL_PROXY", "a:1"}, {"all_proxy", "a:1"}}, "https://example.org/"), "direct");
}

// In a CGI program HTTP_PROXY is the header Proxy of a stranger's request; Go refuses it.
TEST(ProxyRules, RefuseHttpProxyInCgi) {
  EXPECT_THAT(proxy_of({{"HTTP_PROXY", "a:1"}, {"REQUEST_METHOD", "GET"}}, "http://example.org/"), HasSubstr("CGI"));
  EXPECT_EQ(proxy_of({{"HTTPS_PROXY", "a:1"}, {"REQUEST_METHOD", "GET"}}, "https://example.org/"), "http://a:1");
  EXPECT_EQ(proxy_of({{"REQUEST_METHOD", "GET"}}, "http://example.org/"), "direct");
}

TEST(ProxyRules, KeepPasswordsOutOfMessages) {
  FakeEnvironment environment;
  environment.set("HTTPS_PROXY", "http://user:secret@proxy:1");
  const auto proxy = ProxyRules::read(environment).proxy_for(*parse_http_url("https://example.org"));
  ASSERT_TRUE(proxy && *proxy);
  EXPECT_EQ((*proxy)->shown, "the proxy proxy:1 of HTTPS_PROXY");
  EXPECT_EQ(proxy_of({{"HTTPS_PROXY", "http://user:secret@pro xy"}}, "https://example.org"), "HTTPS_PROXY is no proxy");
}

TEST(HttpUrls, AreTakenApart) {
  const auto shown = [](std::string_view url) {
    const auto target = parse_http_url(url);
    return target ? format("{} {} {} {}", target->is_https, target->host, target->port, target->shown()) : "none";
  };
  EXPECT_EQ(shown("https://KMS.us-east-1.amazonaws.com/"),
            "true kms.us-east-1.amazonaws.com 443 kms.us-east-1.amazonaws.com");
  EXPECT_EQ(shown("http://127.0.0.1:4566"), "false 127.0.0.1 4566 127.0.0.1:4566");
  EXPECT_EQ(shown("HTTP://h?x=/y"), "false h 80 h");
  EXPECT_EQ(shown("https://[fd00::1]:443/x"), "true fd00::1 443 [fd00::1]");
  for (const char* url : {"",
                          "https",
                          "https:/",
                          "https://",
                          "https:///x",
                          "ftp://h/",
                          "//h/",
                          "https://h:0/",
                          "https://h:65536/",
                          "https://h:1x/",
                          "https://h/#f",
                          "https://u@h/",
                          "https://u:p@h/",
                          "https://h /",
                          "https://h/ x",
                          "https://h/\r\nX: y",
                          "https://h\\@evil/",
                          "https://[::1/",
                          "https://[::g]/",
                          "https://[::1%eth0]/",
                          "https://h%2e/",
                          "https://h/\xc3\xa9",
                          "https://?"}) {
    EXPECT_EQ(shown(url), "none") << url;
  }
  EXPECT_EQ(shown(std::string_view("https://h\0/", 11)), "none");
}

}  // namespace
}  // namespace sops
