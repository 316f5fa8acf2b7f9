// SPDX-License-Identifier: MPL-2.0
//
// How this folder holds OpenSSL 3: started without its configuration file, handles that free themselves, algorithms
// fetched once. Private to src/crypto; no other folder includes an OpenSSL header.
#pragma once

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <memory>

#include "base/error.h"

namespace sops::openssl {

/// Calls a C function as the deleter of a unique_ptr.
template <auto kFree>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Freer<EVP_CIPHER_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Freer<EVP_MAC_CTX_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;

/// Starts the library, once. Every function of this folder calls it before its first use of OpenSSL. Any thread.
///
/// openssl.cnf is not read: parsing it costs more than decrypting a small file, and it may name modules to load from
/// disk into a process that holds keys. The price: a FIPS provider that the system enables in openssl.cnf is not used;
/// the statically linked default provider always is. No exit handler is installed: what it would free ends with the
/// process anyway.
inline void start() {
  static const bool started = OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, nullptr) == 1;
  SOPS_CHECK(started, "OpenSSL starts unless memory is exhausted");
}

/// A fetched algorithm, kept to the end of the process (a fetch costs more than encrypting a small value). REQUIRES:
/// `name` is in the default provider.
inline EVP_CIPHER* fetch_cipher(const char* name) {
  start();
  EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
  SOPS_CHECK(cipher != nullptr, "the default provider is part of libcrypto");
  return cipher;
}

inline EVP_MD* fetch_digest(const char* name) {
  start();
  EVP_MD* digest = EVP_MD_fetch(nullptr, name, nullptr);
  SOPS_CHECK(digest != nullptr, "the default provider is part of libcrypto");
  return digest;
}

}  // namespace sops::openssl
