// SPDX-License-Identifier: MPL-2.0
//
// X25519 (RFC 7748).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops {

inline constexpr size_t kX25519Size = 32;
using X25519Point = std::array<uint8_t, kX25519Size>;

/// The public point of a 32-byte scalar.
X25519Point x25519_public(std::span<const uint8_t> scalar);

/// The shared secret. Errors: kMalformed if it is all zero (a low-order point), or a size is not 32.
Result<SecureBytes> x25519(std::span<const uint8_t> scalar, std::span<const uint8_t> point);

}  // namespace sops
