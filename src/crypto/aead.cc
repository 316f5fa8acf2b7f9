// SPDX-License-Identifier: MPL-2.0
//
// AES-GCM and ChaCha20-Poly1305 on OpenSSL. A document may hold hundreds of thousands of small values under one key, so
// an AesGcm keeps one context whose key schedule is computed once; a value costs setting the nonce and the bytes
// themselves.
#include "crypto/aead.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "crypto/openssl.h"

namespace sops {

namespace {

// EVP counts in int. Pieces are a multiple of the block size, so cutting there changes nothing.
constexpr size_t kPiece = size_t{1} << 30;

// Feeds `in` through a cipher context; `out` null means additional data. In place is allowed.
bool update(EVP_CIPHER_CTX* context, std::span<const uint8_t> in, uint8_t* out) {
  for (size_t done = 0; done < in.size();) {
    const size_t piece = std::min(kPiece, in.size() - done);
    int written = 0;
    uint8_t* const to = out == nullptr ? nullptr : out + done;
    if (EVP_CipherUpdate(context, to, &written, in.data() + done, static_cast<int>(piece)) != 1) return false;
    done += piece;
  }
  return true;
}

bool finish(EVP_CIPHER_CTX* context) {
  uint8_t nothing[16];  // both ciphers are stream ciphers: the last step writes no bytes
  int written = 0;
  return EVP_CipherFinal_ex(context, nothing, &written) == 1;
}

// The tag goes in and out through EVP_CIPHER_CTX_ctrl, which wants it writable in both directions.
bool get_tag(EVP_CIPHER_CTX* context, uint8_t* tag) {
  return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kAeadTagSize, tag) == 1;
}

bool set_tag(EVP_CIPHER_CTX* context, std::span<const uint8_t> tag) {
  return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kAeadTagSize, const_cast<uint8_t*>(tag.data())) == 1;
}

EVP_CIPHER* aes_gcm_cipher(size_t key_size) {
  switch (key_size) {
    case 16: {
      static EVP_CIPHER* const cipher = openssl::fetch_cipher("AES-128-GCM");
      return cipher;
    }
    case 24: {
      static EVP_CIPHER* const cipher = openssl::fetch_cipher("AES-192-GCM");
      return cipher;
    }
    case 32: {
      static EVP_CIPHER* const cipher = openssl::fetch_cipher("AES-256-GCM");
      return cipher;
    }
    default:
      return nullptr;
  }
}

}  // namespace

struct AesGcm::State {
  openssl::CipherContext context;
  size_t nonce_size = 12;  // what the context is set to; OpenSSL begins with 12

  // Prepares the context for one message.
  bool begin(std::span<const uint8_t> nonce, int encrypt) {
    if (nonce.empty() || nonce.size() > kMaxAesGcmNonce) return false;
    if (nonce.size() != nonce_size) {
      if (EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_IVLEN, static_cast<int>(nonce.size()), nullptr) != 1) {
        return false;
      }
      nonce_size = nonce.size();
    }
    return EVP_CipherInit_ex2(context.get(), nullptr, nullptr, nonce.data(), encrypt, nullptr) == 1;
  }
};

AesGcm::AesGcm(std::unique_ptr<State> state) : state_(std::move(state)) {}
AesGcm::AesGcm(AesGcm&&) noexcept = default;
AesGcm& AesGcm::operator=(AesGcm&&) noexcept = default;
AesGcm::~AesGcm() = default;

Result<AesGcm> AesGcm::create(std::span<const uint8_t> key) {
  EVP_CIPHER* const cipher = aes_gcm_cipher(key.size());
  if (cipher == nullptr) {
    return fail(ErrorCode::kMalformed, "a key of {} bytes is no AES key", key.size())
        .hint("AES keys have 16, 24 or 32 bytes");
  }
  auto state = std::make_unique<State>();
  state->context.reset(EVP_CIPHER_CTX_new());
  SOPS_CHECK(state->context != nullptr, "out of memory ends the program");
  SOPS_CHECK(EVP_CipherInit_ex2(state->context.get(), cipher, key.data(), nullptr, 1, nullptr) == 1,
             "the key has the size of the cipher");
  return AesGcm(std::move(state));
}

void AesGcm::encrypt(std::span<const uint8_t> nonce, std::span<const uint8_t> aad, std::span<const uint8_t> plaintext,
                     uint8_t* ciphertext, uint8_t* tag) {
  EVP_CIPHER_CTX* const context = state_->context.get();
  SOPS_CHECK(state_->begin(nonce, 1), "we choose nonces of 32 bytes");
  SOPS_CHECK(update(context, aad, nullptr) && update(context, plaintext, ciphertext) && finish(context) &&
                 get_tag(context, tag),
             "AES-GCM fails only above 64 GiB");
}

bool AesGcm::decrypt(std::span<const uint8_t> nonce, std::span<const uint8_t> aad, std::span<const uint8_t> ciphertext,
                     std::span<const uint8_t> tag, uint8_t* plaintext) {
  EVP_CIPHER_CTX* const context = state_->context.get();
  // SP 800-38D 7.2 step 1: "If the bit lengths of IV, A, or C are not supported, or if len(T) ≠ t, then return FAIL." A
  // shorter tag would be accepted by OpenSSL and is easier to forge.
  const bool opened = tag.size() == kAeadTagSize && state_->begin(nonce, 0) && set_tag(context, tag) &&
                      update(context, aad, nullptr) && update(context, ciphertext, plaintext) && finish(context);
  if (!opened) wipe({plaintext, ciphertext.size()});
  return opened;
}

namespace {

openssl::CipherContext chacha20poly1305(std::span<const uint8_t> key, std::span<const uint8_t> nonce, int encrypt) {
  static EVP_CIPHER* const cipher = openssl::fetch_cipher("ChaCha20-Poly1305");
  SOPS_CHECK(key.size() == 32 && nonce.size() == 12, "RFC 8439 2.8: a 256-bit key and a 96-bit nonce");
  openssl::CipherContext context(EVP_CIPHER_CTX_new());
  SOPS_CHECK(context != nullptr, "out of memory ends the program");
  SOPS_CHECK(EVP_CipherInit_ex2(context.get(), cipher, key.data(), nonce.data(), encrypt, nullptr) == 1,
             "sizes were checked");
  return context;
}

}  // namespace

SecureBytes chacha20poly1305_seal(std::span<const uint8_t> key, std::span<const uint8_t> nonce,
                                  std::span<const uint8_t> plaintext, std::span<const uint8_t> aad) {
  const openssl::CipherContext context = chacha20poly1305(key, nonce, 1);
  SecureBytes sealed(plaintext.size() + kAeadTagSize);
  uint8_t* const out = sealed.expose_mutable().data();
  SOPS_CHECK(update(context.get(), aad, nullptr) && update(context.get(), plaintext, out) && finish(context.get()) &&
                 get_tag(context.get(), out + plaintext.size()),
             "ChaCha20-Poly1305 fails only above 256 GiB");
  return sealed;
}

Result<SecureBytes> chacha20poly1305_open(std::span<const uint8_t> key, std::span<const uint8_t> nonce,
                                          std::span<const uint8_t> sealed, std::span<const uint8_t> aad) {
  if (sealed.size() < kAeadTagSize) return fail(ErrorCode::kAuthFailed, "the ciphertext is shorter than its tag");
  const std::span<const uint8_t> ciphertext = sealed.first(sealed.size() - kAeadTagSize);
  const openssl::CipherContext context = chacha20poly1305(key, nonce, 0);
  SecureBytes plaintext(ciphertext.size());
  const bool opened = set_tag(context.get(), sealed.last(kAeadTagSize)) && update(context.get(), aad, nullptr) &&
                      update(context.get(), ciphertext, plaintext.expose_mutable().data()) && finish(context.get());
  if (!opened) return fail(ErrorCode::kAuthFailed, "the authentication tag does not match");
  return plaintext;
}

}  // namespace sops
