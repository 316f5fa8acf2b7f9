// SPDX-License-Identifier: MPL-2.0
//
// Links the libraries of sops, calls the cheapest thing of each, and ends: what a process with these libraries costs at
// least.
#include <openssl/evp.h>
#include <re2/re2.h>
#include <yaml.h>

#include <string>

int main() {
  // One digest, because the first use of OpenSSL is what costs (peers.md 12).
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  const bool hashed = EVP_Digest("sops", 4, digest, &size, EVP_sha512(), nullptr) == 1;
  const bool matched = re2::RE2::PartialMatch(std::string("sops"), "o.s$");
  return hashed && matched && yaml_get_version_string() != nullptr ? 0 : 1;
}
