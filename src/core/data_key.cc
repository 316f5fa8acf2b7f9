// SPDX-License-Identifier: MPL-2.0
#include "core/data_key.h"

namespace sops {

namespace {
constexpr size_t kSize = 32;
}

DataKey DataKey::generate(Random& random) {
  SecureBytes bytes(kSize);
  random.fill(bytes.expose_mutable());
  return DataKey(std::move(bytes));
}

Result<DataKey> DataKey::from_bytes(SecureBytes bytes) {
  if (bytes.size() != kSize) {
    return fail(ErrorCode::kMalformed, "the data key has {} bytes instead of {}", bytes.size(), kSize);
  }
  return DataKey(std::move(bytes));
}

}  // namespace sops
