// SPDX-License-Identifier: MPL-2.0
#include "core/shamir.h"

#include <gtest/gtest.h>

#include "base/codec.h"
#include "tests/support/fake_services.h"

namespace sops {
namespace {

SecureBytes share(std::string_view hex) {
  SecureBytes bytes(hex.size() / 2);
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes.expose_mutable()[i] = static_cast<uint8_t>(std::stoi(std::string(hex.substr(2 * i, 2)), nullptr, 16));
  }
  return bytes;
}

std::string combine(std::initializer_list<std::string_view> shares) {
  std::vector<SecureBytes> parts;
  for (std::string_view text : shares) parts.push_back(share(text));
  auto secret = combine_shares(parts);
  return secret ? hex_lower(secret->expose()) : "error: " + secret.error().message;
}

// The vectors of keyservice-shamir.md 8.9, which come from SOPS's own splitter.
TEST(Shamir, CombinesTheVectorsOfTheSpec) {
  EXPECT_EQ(combine({"a32100327f01", "51b19837e402", "f281ba366403"}), "00112233ff");
  EXPECT_EQ(combine({"3157ba224905", "51b19837e402", "92679823c904"}), "00112233ff");
  EXPECT_EQ(combine({"a32100327f01", "51b19837e402", "f281ba366403", "92679823c904", "3157ba224905"}), "00112233ff");
  EXPECT_EQ(combine({"a32100327f01", "51b19837e402"}), "04518131ff");
}

// The same polynomials at other places: every share of 8.9 from any three others.
TEST(Shamir, FindsTheOtherShares) {
  const std::vector<std::string> all = {"a32100327f01", "51b19837e402", "f281ba366403", "92679823c904", "3157ba224905"};
  for (size_t skip = 0; skip < all.size(); ++skip) {
    std::vector<SecureBytes> three;
    for (size_t i = 0; three.size() < 3; ++i) three.push_back(share(all[(skip + 1 + i) % all.size()]));
    const auto found = share_at(three, static_cast<uint8_t>(skip + 1));
    ASSERT_TRUE(found);
    EXPECT_EQ(hex_lower(found->expose()), all[skip]);
  }
}

// The coefficients of 8.9, handed out as the random bytes: x first, then x squared, byte after byte of the secret.
TEST(Shamir, SplitsAsSopsDoes) {
  SeededRandom random;
  const SecureBytes coefficients = share("a1021020fedc00018000");
  random.push(coefficients.expose());
  const auto shares = split_secret(share("00112233ff"), 5, 3, random);
  ASSERT_TRUE(shares);
  std::vector<std::string> found;
  for (const SecureBytes& one : *shares) found.push_back(hex_lower(one.expose()));
  EXPECT_EQ(found,
            (std::vector<std::string>{"a32100327f01", "51b19837e402", "f281ba366403", "92679823c904", "3157ba224905"}));
}

TEST(Shamir, CombinesWhatItSplits) {
  SeededRandom random;
  for (size_t count = 2; count <= 6; ++count) {
    for (size_t threshold = 2; threshold <= count; ++threshold) {
      SecureBytes secret(32);
      random.fill(secret.expose_mutable());
      const auto shares = split_secret(secret, count, threshold, random);
      ASSERT_TRUE(shares);
      for (size_t mask = 0; mask < size_t{1} << count; ++mask) {
        std::vector<SecureBytes> some;
        for (size_t i = 0; i < count; ++i) {
          if ((mask >> i & 1) != 0) some.push_back((*shares)[i].clone());
        }
        if (some.size() < 2) continue;
        const auto combined = combine_shares(some);
        ASSERT_TRUE(combined);
        EXPECT_EQ(ct_equal(combined->expose(), secret.expose()), some.size() >= threshold)
            << count << " " << threshold << " " << mask;
      }
    }
  }
  EXPECT_TRUE(split_secret(SecureBytes(1), 255, 255, random));
}

// 8.4
TEST(Shamir, RefusesThresholdsThatCannotBe) {
  SeededRandom random;
  EXPECT_FALSE(split_secret(SecureBytes(32), 3, 1, random));
  EXPECT_FALSE(split_secret(SecureBytes(32), 3, 0, random));
  EXPECT_FALSE(split_secret(SecureBytes(32), 3, 4, random));
  EXPECT_FALSE(split_secret(SecureBytes(32), 256, 2, random));
  EXPECT_FALSE(split_secret(SecureBytes(), 3, 2, random));
}

TEST(Shamir, RefusesPartsThatCannotBelongTogether) {
  EXPECT_EQ(combine({"a32100327f01"}), "error: less than two parts of the data key");
  EXPECT_EQ(combine({"a32100327f01", "a32100327f01"}), "error: two parts of the data key are the same part");
  EXPECT_EQ(combine({"a32100327f01", "b19837e402"}), "error: the parts of the data key have different lengths");
  EXPECT_EQ(combine({"01", "02"}), "error: a part of the data key is too short");
}

}  // namespace
}  // namespace sops
