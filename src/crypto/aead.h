// SPDX-License-Identifier: MPL-2.0
//
// Authenticated encryption. Sources: NIST SP 800-38D (AES-GCM), RFC 8439 (ChaCha20-Poly1305). Both classes keep an
// expanded key; one object belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops {

inline constexpr size_t kAeadTagSize = 16;

/// The longest nonce that OpenSSL 3 takes for AES-GCM. SOPS writes 32 bytes.
inline constexpr size_t kMaxAesGcmNonce = 128;

/// AES-GCM with a nonce of 1 to kMaxAesGcmNonce bytes (SOPS uses 32: SP 800-38D 7.1 step 2, the GHASH case).
class AesGcm {
 public:
  /// `key`: 16, 24 or 32 bytes. Errors: kMalformed for another size.
  static Result<AesGcm> create(std::span<const uint8_t> key);
  AesGcm(AesGcm&&) noexcept;
  AesGcm& operator=(AesGcm&&) noexcept;
  ~AesGcm();

  /// Writes plaintext.size() bytes to `ciphertext` and 16 bytes to `tag`. In place is allowed.
  /// REQUIRES: the nonce has a length in range.
  void encrypt(std::span<const uint8_t> nonce, std::span<const uint8_t> aad, std::span<const uint8_t> plaintext,
               uint8_t* ciphertext, uint8_t* tag);

  /// Writes ciphertext.size() bytes to `plaintext`; false, and zeros there, if the tag does not match, is not 16
  /// bytes long, or the nonce has a length out of range. In place is allowed.
  [[nodiscard]] bool decrypt(std::span<const uint8_t> nonce, std::span<const uint8_t> aad,
                             std::span<const uint8_t> ciphertext, std::span<const uint8_t> tag, uint8_t* plaintext);

 private:
  struct State;
  explicit AesGcm(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// ChaCha20-Poly1305 (RFC 8439) with a 32-byte key and a 12-byte nonce. seal appends the 16-byte tag; open expects it.
SecureBytes chacha20poly1305_seal(std::span<const uint8_t> key, std::span<const uint8_t> nonce,
                                  std::span<const uint8_t> plaintext, std::span<const uint8_t> aad = {});
/// Errors: kAuthFailed if the tag does not match or `sealed` is shorter than a tag.
Result<SecureBytes> chacha20poly1305_open(std::span<const uint8_t> key, std::span<const uint8_t> nonce,
                                          std::span<const uint8_t> sealed, std::span<const uint8_t> aad = {});

}  // namespace sops
