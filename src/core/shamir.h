// SPDX-License-Identifier: MPL-2.0
//
// Recovering a data key that several key groups share (keyservice-shamir.md 8). Splitting comes with the creation of
// groups.
#pragma once

#include <span>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops {

/// The secret behind `shares`: each is y bytes followed by one x byte. All of them are used.
/// Errors: kMalformed for fewer than two shares, different lengths, or two shares with one x.
Result<SecureBytes> combine_shares(std::span<const SecureBytes> shares);

}  // namespace sops
