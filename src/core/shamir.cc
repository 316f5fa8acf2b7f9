// SPDX-License-Identifier: MPL-2.0
//
// Shamir's scheme byte by byte over GF(2^8) with the modulus x^8+x^4+x^3+x+1. The y values are secret, so
// multiplication takes no branch and no table that depends on them (keyservice-shamir.md 8.7); x values are public.
#include "core/shamir.h"

#include <algorithm>

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

// The polynomials through `shares` at `at`, one byte each.
Result<SecureBytes> interpolate(std::span<const SecureBytes> shares, uint8_t at) {
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
  // Lagrange: the weight of share i is the product of (at - x_j) / (x_i - x_j). Minus is xor.
  std::vector<uint8_t> weights;
  for (size_t i = 0; i < x.size(); ++i) {
    uint8_t weight = 1;
    for (size_t j = 0; j < x.size(); ++j) {
      if (j == i) continue;
      const auto distance = static_cast<uint8_t>(at ^ x[j]);
      weight = multiply(weight, multiply(distance, invert(static_cast<uint8_t>(x[j] ^ x[i]))));
    }
    weights.push_back(weight);
  }
  SecureBytes result(length - 1);
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t k = 0; k + 1 < length; ++k) {
      result.expose_mutable()[k] ^= multiply(shares[i].expose()[k], weights[i]);
    }
  }
  return result;
}

}  // namespace

Result<SecureBytes> combine_shares(std::span<const SecureBytes> shares) { return interpolate(shares, 0); }

Result<std::vector<SecureBytes>> split_secret(const SecureBytes& secret, size_t count, size_t threshold,
                                              Random& random) {
  if (threshold < 2) return fail(ErrorCode::kUsage, "the threshold must be at least 2");
  if (threshold > count) {
    return fail(ErrorCode::kUsage, "the threshold is {}, but there are only {} key groups", threshold, count);
  }
  if (count > 255) return fail(ErrorCode::kUsage, "{} key groups are too many: 255 is the most", count);
  if (secret.empty()) return fail(ErrorCode::kUsage, "there is nothing to split");

  const size_t length = secret.size();
  std::vector<SecureBytes> shares;
  for (size_t j = 0; j < count; ++j) {
    shares.emplace_back(length + 1);
    shares.back().expose_mutable()[length] = static_cast<uint8_t>(j + 1);
  }
  // The coefficients of x^1 … x^(threshold-1). The leading one may be 0, as in SOPS.
  SecureBytes coefficients(threshold - 1);
  for (size_t k = 0; k < length; ++k) {
    random.fill(coefficients.expose_mutable());
    for (SecureBytes& share : shares) {
      const uint8_t x = share.expose().back();
      uint8_t y = 0;
      for (size_t power = threshold - 1; power > 0; --power) {
        y = multiply(static_cast<uint8_t>(y ^ coefficients.expose()[power - 1]), x);
      }
      share.expose_mutable()[k] = static_cast<uint8_t>(y ^ secret.expose()[k]);
    }
  }
  return shares;
}

Result<SecureBytes> share_at(std::span<const SecureBytes> shares, uint8_t x) {
  const SecureBytes y = TRY(interpolate(shares, x));
  SecureBytes share(y.size() + 1);
  std::copy_n(y.expose().begin(), y.size(), share.expose_mutable().begin());
  share.expose_mutable()[y.size()] = x;
  return share;
}

}  // namespace sops
