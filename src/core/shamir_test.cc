// SPDX-License-Identifier: MPL-2.0
#include "core/shamir.h"

#include <gtest/gtest.h>

#include "base/codec.h"

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

TEST(Shamir, RefusesPartsThatCannotBelongTogether) {
  EXPECT_EQ(combine({"a32100327f01"}), "error: less than two parts of the data key");
  EXPECT_EQ(combine({"a32100327f01", "a32100327f01"}), "error: two parts of the data key are the same part");
  EXPECT_EQ(combine({"a32100327f01", "b19837e402"}), "error: the parts of the data key have different lengths");
  EXPECT_EQ(combine({"01", "02"}), "error: a part of the data key is too short");
}

}  // namespace
}  // namespace sops
