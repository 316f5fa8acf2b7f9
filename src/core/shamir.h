// SPDX-License-Identifier: MPL-2.0
//
// A data key that several key groups share (keyservice-shamir.md 8): splitting it, and putting it together again.
//
//   share j (from 0) of a secret s1 … sn:   f1(j+1) … fn(j+1) (j+1)      fi(0) = si, random polynomials of degree
//                                           └── y bytes ────┘ x byte     threshold - 1
#pragma once

#include <span>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "sys/services.h"

namespace sops {

/// The secret behind `shares`: each is y bytes followed by one x byte. All of them are used.
/// Errors: kMalformed for fewer than two shares, different lengths, or two shares with one x.
Result<SecureBytes> combine_shares(std::span<const SecureBytes> shares);

/// `count` shares of `secret`, any `threshold` of which combine to it. Errors: kUsage for a threshold below 2 or above
/// `count`, for more than 255 shares, and for an empty secret (8.4).
Result<std::vector<SecureBytes>> split_secret(const SecureBytes& secret, size_t count, size_t threshold,
                                              Random& random);

/// The share at `x` of the secret behind `shares`, which are as many as their threshold. Errors: as combine_shares().
Result<SecureBytes> share_at(std::span<const SecureBytes> shares, uint8_t x);

}  // namespace sops
