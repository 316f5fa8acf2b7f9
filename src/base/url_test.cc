// SPDX-License-Identifier: MPL-2.0
#include "base/url.h"

#include <gtest/gtest.h>

namespace sops {
namespace {

// RFC 3986 2.1, 2.3
TEST(Urls, TakeTextWithPercentSigns) {
  EXPECT_EQ(percent_encode("aZ09-._~/ %\xc3\xa9"), "aZ09-._~%2F%20%25%C3%A9");
  EXPECT_EQ(percent_encode("a/b c", "/"), "a/b%20c");
}

TEST(Urls, FallIntoTheirParts) {
  const auto parts = split_url("https://[::1]:8443/a/b?c=d#e");
  ASSERT_TRUE(parts);
  EXPECT_TRUE(parts->is_https);
  EXPECT_EQ(parts->authority, "[::1]:8443");
  EXPECT_EQ(parts->host, "::1");
  EXPECT_EQ(parts->port, "8443");
  EXPECT_EQ(parts->path, "/a/b");
  EXPECT_EQ(parts->query, "c=d");
  EXPECT_EQ(split_url("HTTP://localhost?x")->path, "");
  EXPECT_FALSE(split_url("HTTP://localhost?x")->is_https);
}

TEST(Urls, AreRefusedWhenTheyAreNone) {
  for (const std::string_view bad : {"",
                                     "localhost:4566",
                                     "ftp://a/",
                                     "https://",
                                     "https:///a",
                                     "http://a b/",
                                     "http://u:p@a/",
                                     "http://a:x/",
                                     "http://a:123456/",
                                     "http://[::1/",
                                     "http://[::1]x/",
                                     "http://[]/",
                                     "http://a\n/",
                                     "http://a\\b/",
                                     "http://:80/",
                                     "http://a:/",
                                     "http://a:0/",
                                     "http://a:65536/",
                                     "http://[1]/",
                                     "http://a%2e/"}) {
    EXPECT_FALSE(split_url(bad)) << bad;
  }
}

TEST(Urls, KnowLoopback) {
  for (const std::string_view host : {"127.0.0.1", "127.8.9.1", "localhost", "LocalHost", "::1"}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const std::string_view host :
       {"127.0.0.1.example.com", "127.example", "0.0.0.0", "10.0.0.1", "localhost.x", "", "::2"}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
}

}  // namespace
}  // namespace sops
