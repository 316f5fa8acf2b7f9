// SPDX-License-Identifier: MPL-2.0
//
// The MAC of a file: SHA-512 over the plaintext leaves in walk order (format.md 4).
#pragma once

#include <string>
#include <string_view>

#include "crypto/hash.h"

namespace sops {

class Mac {
 public:
  /// `only_encrypted`: mac_only_encrypted, which starts with a fixed block (format.md 4.4).
  explicit Mac(bool only_encrypted);

  /// Adds a leaf, if it counts. `plaintext` is canonical; nulls and comments are never added.
  void add(std::string_view plaintext, bool selected) {
    if (selected || !only_encrypted_) hash_.update(as_bytes(plaintext));
  }

  /// 128 upper-case hexadecimal digits.
  std::string finish();

 private:
  bool only_encrypted_;
  Sha512 hash_;
};

}  // namespace sops
