// SPDX-License-Identifier: MPL-2.0
//
// The sender makes a key pair for this one file and puts its public half, the share, into the stanza. Diffie-Hellman
// between it and the recipient gives both a secret; the key made of it hides the file key. Nothing in the stanza tells
// whose it is.
#include "keysources/age/x25519_stanza.h"

#include <algorithm>
#include <array>

#include "base/codec.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

namespace sops::age {

namespace {

constexpr std::string_view kType = "X25519";
constexpr std::array<uint8_t, 12> kZeroNonce{};  // every wrap key is used once
constexpr size_t kBodySize = kFileKeySize + kAeadTagSize;

// 8.3: salt = share || recipient; wrap = HKDF(secret, salt, info = "age-encryption.org/v1/X25519")
SecureBytes wrap_key(const SecureBytes& secret, const X25519Point& share, const X25519Point& recipient) {
  std::array<uint8_t, 2 * kX25519Size> salt;
  std::ranges::copy(recipient, std::ranges::copy(share, salt.begin()).out);
  return hkdf_sha256(secret.expose(), salt, "age-encryption.org/v1/X25519", 32);
}

Failure bad_stanza(std::string_view why) {
  return fail(ErrorCode::kMalformed, "failed to read header: X25519 stanza: {}", why);
}

// 8.4: what makes a stanza of this type wrong, whoever it is for.
Result<X25519Point> parse_share(const Stanza& stanza) {
  if (stanza.args.size() != 2) return bad_stanza("it needs exactly one argument");
  X25519Point share;
  const std::string& text = stanza.args[1];
  uint8_t decoded[base64_decoded_bound(43)];
  if (text.size() != 43 || base64_decode_unpadded(text, decoded) != share.size()) {
    return bad_stanza("the share is not 43 characters of canonical base64");
  }
  if (stanza.body.size() != kBodySize) return bad_stanza("the body does not have 32 bytes");
  std::copy_n(decoded, share.size(), share.begin());
  return share;
}

}  // namespace

Result<Stanza> wrap_x25519(const SecureBytes& file_key, const X25519Point& recipient, const SecureBytes& ephemeral) {
  const X25519Point share = x25519_public(ephemeral.expose());
  const SecureBytes secret = TRY(x25519(ephemeral.expose(), recipient));
  const SecureBytes body =
      chacha20poly1305_seal(wrap_key(secret, share, recipient).expose(), kZeroNonce, file_key.expose());
  Stanza stanza;
  stanza.args = {std::string(kType), base64_encode_unpadded(share)};
  stanza.body.assign(body.expose().begin(), body.expose().end());
  return stanza;
}

Result<SecureBytes> unwrap_x25519(std::span<const Stanza> stanzas, const SecureBytes& identity) {
  const X25519Point recipient = x25519_public(identity.expose());  // 8.5
  for (const Stanza& stanza : stanzas) {
    if (stanza.args[0] != kType) continue;
    const X25519Point share = TRY(parse_share(stanza));
    const SecureBytes secret = TRY(x25519(identity.expose(), share));
    auto file_key = chacha20poly1305_open(wrap_key(secret, share, recipient).expose(), kZeroNonce, stanza.body);
    if (file_key) return file_key;
  }
  return fail(ErrorCode::kNotMine, "no X25519 stanza is for this identity");
}

}  // namespace sops::age
