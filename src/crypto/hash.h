// SPDX-License-Identifier: MPL-2.0
//
// Hashes and what is built from them. Sources: FIPS 180-4, RFC 2104 (HMAC), RFC 5869 (HKDF), RFC 7914 (scrypt).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops {

/// SHA-512 of a text given in pieces. One object belongs to one thread at a time.
class Sha512 {
 public:
  Sha512();
  Sha512(Sha512&&) noexcept;
  Sha512& operator=(Sha512&&) noexcept;
  ~Sha512();
  void update(std::span<const uint8_t> bytes);
  /// The digest; the object cannot be used afterwards.
  std::array<uint8_t, 64> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// SHA-1, only where others chose it for names: it protects nothing.
std::array<uint8_t, 20> sha1(std::span<const uint8_t> bytes);
std::array<uint8_t, 32> sha256(std::span<const uint8_t> bytes);
std::array<uint8_t, 32> hmac_sha256(std::span<const uint8_t> key, std::span<const uint8_t> bytes);

/// HKDF-SHA-256 with `size` bytes of output (at most 8160).
SecureBytes hkdf_sha256(std::span<const uint8_t> ikm, std::span<const uint8_t> salt, std::string_view info,
                        size_t size);

/// scrypt with r = 8, p = 1, N = 2^log_n, 32 bytes of output. Errors: kUnsupported if log_n > 22 (4 GiB of memory).
Result<SecureBytes> scrypt(std::span<const uint8_t> passphrase, std::span<const uint8_t> salt, int log_n);

}  // namespace sops
