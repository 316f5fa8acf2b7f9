// SPDX-License-Identifier: MPL-2.0
//
// Shamir's scheme byte by byte over GF(2^8) with the modulus x^8+x^4+x^3+x+1. The y values are secret, so
// multiplication takes no branch and no table that depends on them (keyservice-shamir.md 8.7); x values are public.
#include "core/shamir.h"

namespace sops {

namespace {

uint8_t multiply(uint8_t a, uint8_t b) {
  uint8_t product = 0;
  for (int bit = 0; bit < 8; ++bit) {
    product = static_cast<uint8_t>(product ^ (a & static_cast<uint8_t>(-(b & 1))));
    const auto carry = static_cast<uint8_t>(-(a >> 7));
    a = static_cast<uint8_t>((a << 1) ^ (carry & 0x1b));
    b = static_cast<uint8_t>(b >> 1);
  }
  return product;
}

// a^254, which is 1/a in this field.
uint8_t invert(uint8_t a) {
  uint8_t power = a;
  uint8_t result = 1;
  for (int i = 0; i < 7; ++i) {
    power = multiply(power, power);
    result = multiply(result, power);
  }
  return result;
}

}  // namespace

Result<SecureBytes> combine_shares(std::span<const SecureBytes> shares) {
  if (shares.size() < 2) return fail(ErrorCode::kMalformed, "less than two parts of the data key");
  const size_t length = shares[0].size();
  if (length < 2) return fail(ErrorCode::kMalformed, "a part of the data key is too short");
  std::vector<uint8_t> x;
  for (const SecureBytes& share : shares) {
    if (share.size() != length) return fail(ErrorCode::kMalformed, "the parts of the data key have different lengths");
    for (uint8_t other : x) {
      if (other == share.expose().back())
        return fail(ErrorCode::kMalformed, "two parts of the data key are the same part");
    }
    x.push_back(share.expose().back());
  }
  // Lagrange at 0: the weight of share i is the product of x_j / (x_j - x_i).
  std::vector<uint8_t> weights;
  for (size_t i = 0; i < x.size(); ++i) {
    uint8_t weight = 1;
    for (size_t j = 0; j < x.size(); ++j) {
      if (j != i) weight = multiply(weight, multiply(x[j], invert(static_cast<uint8_t>(x[j] ^ x[i]))));
    }
    weights.push_back(weight);
  }
  SecureBytes secret(length - 1);
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t at = 0; at + 1 < length; ++at) {
      secret.expose_mutable()[at] ^= multiply(shares[i].expose()[at], weights[i]);
    }
  }
  return secret;
}

}  // namespace sops
