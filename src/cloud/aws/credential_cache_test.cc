// SPDX-License-Identifier: MPL-2.0
//
// Profiles that stand on each other in a circle, asked for at once: nobody waits for somebody who waits for him.
#include "cloud/aws/credential_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/support/fake_aws.h"

namespace sops::aws {
namespace {

TEST(CredentialCache, KnowsNoCircles) {
  for (int round = 0; round < 30; ++round) {
    FakeAws aws;
    aws.config(
        "[profile a]\nrole_arn=RA\nsource_profile=b\nsso_start_url=u\n"
        "[profile b]\nrole_arn=RB\nsource_profile=c\nsso_start_url=u\n"
        "[profile c]\nrole_arn=RC\nsource_profile=a\nsso_start_url=u\n");
    std::atomic<int> done = 0;
    {
      std::vector<std::jthread> threads;
      for (const std::string name : {"a", "b", "c", "a", "b", "c"}) {
        threads.emplace_back([&aws, &done, name] {
          if (!aws.call(name)) ++done;  // the SSO settings are incomplete: each ends, with an error
        });
      }
    }
    EXPECT_EQ(done, 6);
  }
}

}  // namespace
}  // namespace sops::aws
