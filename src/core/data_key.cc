// SPDX-License-Identifier: MPL-2.0
#include "core/data_key.h"

namespace sops {

DataKey DataKey::generate(Random& random) {
  SecureBytes bytes(32);
  random.fill(bytes.expose_mutable());
  return DataKey(std::move(bytes));
}

Result<DataKey> DataKey::from_bytes(SecureBytes bytes) {
  if (bytes.size() != 16 && bytes.size() != 24 && bytes.size() != 32) {
    return fail(ErrorCode::kMalformed, "the data key has {} bytes instead of 32", bytes.size());
  }
  return DataKey(std::move(bytes));
}

}  // namespace sops
