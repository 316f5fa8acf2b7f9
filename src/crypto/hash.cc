// SPDX-License-Identifier: MPL-2.0
//
// SHA-2, HMAC, HKDF and scrypt on OpenSSL. HKDF is written out on top of HMAC: it is two short steps, and OpenSSL's own
// needs a fetched object and five parameters for them.
#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <utility>

#include "crypto/openssl.h"

namespace sops {

namespace {

EVP_MD* sha256_digest() {
  static EVP_MD* const digest = openssl::fetch_digest("SHA2-256");
  return digest;
}

EVP_MD* sha512_digest() {
  static EVP_MD* const digest = openssl::fetch_digest("SHA2-512");
  return digest;
}

EVP_MAC* hmac_algorithm() {
  static EVP_MAC* const mac = [] {
    openssl::start();
    EVP_MAC* fetched = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    SOPS_CHECK(fetched != nullptr, "the default provider is part of libcrypto");
    return fetched;
  }();
  return mac;
}

// An HMAC-SHA-256 under way.
class Hmac {
 public:
  explicit Hmac(std::span<const uint8_t> key) : context_(EVP_MAC_CTX_new(hmac_algorithm())) {
    char digest[] = "SHA2-256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    // A null key means "keep the former one" to OpenSSL; an empty key must not be null.
    const uint8_t* const bytes = key.empty() ? reinterpret_cast<const uint8_t*>("") : key.data();
    SOPS_CHECK(context_ != nullptr && EVP_MAC_init(context_.get(), bytes, key.size(), params) == 1,
               "HMAC takes keys of every length");
  }

  void update(std::span<const uint8_t> bytes) {
    if (bytes.empty()) return;
    SOPS_CHECK(EVP_MAC_update(context_.get(), bytes.data(), bytes.size()) == 1, "hashing cannot fail");
  }

  void finish(std::span<uint8_t, 32> out) {
    size_t size = 0;
    SOPS_CHECK(EVP_MAC_final(context_.get(), out.data(), &size, out.size()) == 1 && size == out.size(),
               "hashing cannot fail");
  }

 private:
  openssl::MacContext context_;
};

}  // namespace

struct Sha512::State {
  openssl::DigestContext context;
};

Sha512::Sha512() : state_(std::make_unique<State>()) {
  EVP_MD* const digest = sha512_digest();
  state_->context.reset(EVP_MD_CTX_new());
  SOPS_CHECK(state_->context != nullptr && EVP_DigestInit_ex2(state_->context.get(), digest, nullptr) == 1,
             "out of memory ends the program");
}
Sha512::Sha512(Sha512&&) noexcept = default;
Sha512& Sha512::operator=(Sha512&&) noexcept = default;
Sha512::~Sha512() = default;

void Sha512::update(std::span<const uint8_t> bytes) {
  SOPS_CHECK(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1, "hashing cannot fail");
}

std::array<uint8_t, 64> Sha512::finish() {
  std::array<uint8_t, 64> out;
  SOPS_CHECK(EVP_DigestFinal_ex(state_->context.get(), out.data(), nullptr) == 1, "hashing cannot fail");
  return out;
}

std::array<uint8_t, 20> sha1(std::span<const uint8_t> bytes) {
  static EVP_MD* const digest = openssl::fetch_digest("SHA1");
  std::array<uint8_t, 20> out;
  SOPS_CHECK(EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, digest, nullptr) == 1, "hashing cannot fail");
  return out;
}

std::array<uint8_t, 32> sha256(std::span<const uint8_t> bytes) {
  std::array<uint8_t, 32> out;
  SOPS_CHECK(EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, sha256_digest(), nullptr) == 1,
             "hashing cannot fail");
  return out;
}

std::array<uint8_t, 32> hmac_sha256(std::span<const uint8_t> key, std::span<const uint8_t> bytes) {
  std::array<uint8_t, 32> out;
  Hmac hmac(key);
  hmac.update(bytes);
  hmac.finish(out);
  return out;
}

SecureBytes hkdf_sha256(std::span<const uint8_t> ikm, std::span<const uint8_t> salt, std::string_view info,
                        size_t size) {
  SOPS_CHECK(size <= 255 * 32, "RFC 5869 2.3: L <= 255*HashLen");
  // RFC 5869 2.2: PRK = HMAC-Hash(salt, IKM). An absent salt is HashLen zeros, which HMAC treats like an empty key.
  std::array<uint8_t, 32> prk = hmac_sha256(salt, ikm);
  // RFC 5869 2.3: T(n) = HMAC-Hash(PRK, T(n-1) | info | n); OKM = first L octets of T(1) | T(2) | …
  SecureBytes okm(size);
  std::array<uint8_t, 32> block;
  for (size_t done = 0; done < size;) {
    Hmac hmac(prk);
    if (done > 0) hmac.update(block);
    hmac.update(as_bytes(info));
    const auto counter = static_cast<uint8_t>(done / block.size() + 1);
    hmac.update({&counter, 1});
    hmac.finish(block);
    const size_t piece = std::min(block.size(), size - done);
    std::copy_n(block.data(), piece, okm.expose_mutable().data() + done);
    done += piece;
  }
  wipe(block);
  wipe(prk);
  return okm;
}

Result<SecureBytes> scrypt(std::span<const uint8_t> passphrase, std::span<const uint8_t> salt, int log_n) {
  constexpr int kMaxLogN = 22;
  constexpr uint64_t kBlockSize = 8;
  if (log_n < 1 || log_n > kMaxLogN) {
    return fail(ErrorCode::kUnsupported, "scrypt work factor 2^{} is out of range", log_n)
        .hint(format("1 to {} are accepted; {} needs 4 GiB of memory", kMaxLogN, kMaxLogN));
  }
  openssl::start();
  const uint64_t n = uint64_t{1} << log_n;
  // RFC 7914 needs 128·N·r bytes and a little; OpenSSL's own limit of 32 MiB would refuse age's default of 2^18.
  const uint64_t memory = 128 * n * kBlockSize + (uint64_t{1} << 20);
  SecureBytes out(32);
  const std::span<uint8_t> key = out.expose_mutable();
  if (EVP_PBE_scrypt(reinterpret_cast<const char*>(passphrase.data()), passphrase.size(), salt.data(), salt.size(), n,
                     kBlockSize, 1, memory, key.data(), key.size()) != 1) {
    return fail(ErrorCode::kUnsupported, "scrypt with work factor 2^{} needs more memory than there is", log_n);
  }
  return out;
}

}  // namespace sops
