// SPDX-License-Identifier: MPL-2.0
//
// The value cipher: one scalar or comment as ENC[AES256_GCM,data:…,iv:…,tag:…,type:…] (format.md 2). Knows no file
// format. One ValueCipher belongs to one thread at a time.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/secure_bytes.h"
#include "core/data_key.h"
#include "crypto/aead.h"
#include "formats/format.h"

namespace sops {

inline constexpr size_t kNonceSize = 32;  // format.md 2.2

/// The fields of a ciphertext, as views into it.
struct CiphertextView {
  std::string_view data;  // base64
  std::string_view iv;
  std::string_view tag;
  std::string_view type;
  std::string_view rest;  // what follows the last ']': ignored by SOPS (format.md 2.7), and by us with a warning
};

/// Takes a ciphertext apart as SOPS's greedy pattern does (format.md 2.7). nullopt if `text` is not of that form.
std::optional<CiphertextView> parse_ciphertext(std::string_view text);

/// The tag of a scalar type in a ciphertext; comments have "comment". REQUIRES: type is not kNull or kUnsigned.
std::string_view type_tag(ScalarType type);

/// Bytes that encrypt() writes for a plaintext of `size` bytes.
size_t ciphertext_size(size_t size, std::string_view tag);

/// A decrypted value.
struct Decrypted {
  TypedText value;             // text is in SOPS's canonical form (format.md 2.10), checked or made so
  bool is_comment = false;     // type:comment
  bool was_canonical = false;  // the plaintext bytes were canonical as they stood
};

class ValueCipher {
 public:
  /// Errors: kMalformed if the key is not 16, 24 or 32 bytes long.
  static Result<ValueCipher> create(const DataKey& key);

  /// Writes the ciphertext of `plaintext` to `out`. `nonce` has kNonceSize bytes and is used once.
  /// REQUIRES: out.size() == ciphertext_size(plaintext.size(), tag).
  void encrypt(std::string_view plaintext, std::string_view tag, std::string_view aad, std::span<const uint8_t> nonce,
               std::span<char> out);

  /// Decrypts `text`. The plaintext lives in `arena`.
  /// Errors, all with exit status 25: kMalformed (no ciphertext, bad base64, unknown type, a plaintext that is none of
  /// its type); kAuthFailed (wrong data key, moved value, tampering: the three cannot be told apart).
  Result<Decrypted> decrypt(std::string_view text, std::string_view aad, SecureArena& arena);

 private:
  explicit ValueCipher(AesGcm aead) : aead_(std::move(aead)) {}
  AesGcm aead_;
};

/// The canonical plaintext of a decrypted `type`, nullopt if `plaintext` is none (format.md 2.13, 2.14). Views into
/// `plaintext` where it is canonical already, else into `arena`.
std::optional<TypedText> canonical_plaintext(std::string_view tag, std::string_view plaintext, SecureArena& arena);

}  // namespace sops
