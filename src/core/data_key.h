// SPDX-License-Identifier: MPL-2.0
//
// The data key: the random key that encrypts the values of one file and is itself wrapped by the master keys.
#pragma once

#include "base/error.h"
#include "base/secure_bytes.h"
#include "sys/services.h"

namespace sops {

class DataKey {
 public:
  /// A fresh 32-byte key.
  static DataKey generate(Random& random);

  /// A key that came out of a master key. Errors: kMalformed if it does not have 32 bytes (keys.md 1.4).
  static Result<DataKey> from_bytes(SecureBytes bytes);

  const SecureBytes& bytes() const { return bytes_; }
  DataKey clone() const { return DataKey(bytes_.clone()); }

 private:
  explicit DataKey(SecureBytes bytes) : bytes_(std::move(bytes)) {}
  SecureBytes bytes_;
};

}  // namespace sops
