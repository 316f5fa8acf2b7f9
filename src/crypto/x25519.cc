// SPDX-License-Identifier: MPL-2.0
#include "crypto/x25519.h"

#include <utility>

#include "crypto/openssl.h"

namespace sops {

namespace {

openssl::Key private_key(std::span<const uint8_t> scalar) {
  openssl::start();
  return openssl::Key(EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, scalar.data(), scalar.size()));
}

}  // namespace

X25519Point x25519_public(std::span<const uint8_t> scalar) {
  SOPS_CHECK(scalar.size() == kX25519Size, "a scalar has 32 bytes");
  const openssl::Key key = private_key(scalar);
  X25519Point point;
  size_t size = point.size();
  SOPS_CHECK(key != nullptr && EVP_PKEY_get_raw_public_key(key.get(), point.data(), &size) == 1 && size == point.size(),
             "every 32 bytes are a scalar");
  return point;
}

Result<SecureBytes> x25519(std::span<const uint8_t> scalar, std::span<const uint8_t> point) {
  if (scalar.size() != kX25519Size || point.size() != kX25519Size) {
    return fail(ErrorCode::kMalformed, "an X25519 scalar or point does not have 32 bytes");
  }
  const openssl::Key mine = private_key(scalar);
  const openssl::Key theirs(EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, point.data(), point.size()));
  SOPS_CHECK(mine != nullptr && theirs != nullptr, "every 32 bytes are a scalar and a point");
  const openssl::KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, mine.get(), nullptr));
  // The last argument: no check of the peer's key, because every 32 bytes are one (RFC 7748 5).
  SOPS_CHECK(context != nullptr && EVP_PKEY_derive_init(context.get()) == 1 &&
                 EVP_PKEY_derive_set_peer_ex(context.get(), theirs.get(), 0) == 1,
             "out of memory ends the program");
  SecureBytes secret(kX25519Size);
  size_t size = secret.size();
  // RFC 7748 6.1: "Both MAY check, without leaking extra information about the value of K, whether K is the all-zero
  // value and abort if so". OpenSSL does, and that is its only failure here.
  if (EVP_PKEY_derive(context.get(), secret.expose_mutable().data(), &size) != 1 || size != kX25519Size) {
    return fail(ErrorCode::kMalformed, "the X25519 point has low order");
  }
  return secret;
}

}  // namespace sops
