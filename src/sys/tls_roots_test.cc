// SPDX-License-Identifier: MPL-2.0
#include "sys/tls_roots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_services.h"

namespace sops {
namespace {

using testing::HasSubstr;

class TlsRootsTest : public testing::Test {
 protected:
  std::string found() {
    const TlsRoots roots = find_tls_roots(world.files, world.environment);
    problem = roots.problem;
    return format("{}|{}", roots.file, roots.folders);
  }
  void debian() {
    world.files.put("/etc/ssl/certs/ca-certificates.crt", "x");
    world.files.put("/etc/ssl/certs/002c0b4f.0", "x");
  }
  FakeServices world;
  std::string problem;
};

// keys.md 3.2: "the hashed directory where there is one".
TEST_F(TlsRootsTest, AreWhereDistributionsHaveThem) {
  EXPECT_EQ(found(), "|");
  EXPECT_THAT(problem, HasSubstr("ca-certificates"));
  world.files.put("/etc/ssl/cert.pem", "x");
  EXPECT_EQ(found(), "/etc/ssl/cert.pem|");
  world.files.put("/etc/pki/tls/certs/ca-bundle.crt", "x");
  EXPECT_EQ(found(), "/etc/pki/tls/certs/ca-bundle.crt|");
  debian();
  EXPECT_EQ(found(), "|/etc/ssl/certs");
  EXPECT_EQ(problem, "");
}

TEST_F(TlsRootsTest, AreWhereVariablesSay) {
  debian();
  world.files.put("/own.pem", "x");
  world.files.put("/own/12345678.0", "x");
  world.environment.set("SSL_CERT_FILE", "/own.pem");
  EXPECT_EQ(found(), "/own.pem|/etc/ssl/certs");
  world.environment.set("SSL_CERT_DIR", "/own");
  EXPECT_EQ(found(), "/own.pem|/own");
  world.environment.unset("SSL_CERT_FILE");
  EXPECT_EQ(found(), "|/own:/etc/ssl/certs");
  EXPECT_EQ(problem, "");
}

TEST_F(TlsRootsTest, TellWhatCannotBeUsed) {
  debian();
  world.environment.set("SSL_CERT_FILE", "/nowhere.pem");
  EXPECT_EQ(found(), "|/etc/ssl/certs");
  EXPECT_EQ(problem, "SSL_CERT_FILE names /nowhere.pem, which is no file");
  world.environment.set("SSL_CERT_FILE", "");
  world.files.put("/own/ca.pem", "x");
  world.environment.set("SSL_CERT_DIR", "/own");
  EXPECT_EQ(found(), "|/own:/etc/ssl/certs");
  EXPECT_THAT(problem, HasSubstr("openssl rehash"));
}

}  // namespace
}  // namespace sops
