// SPDX-License-Identifier: MPL-2.0
#include "core/mac.h"

#include "base/codec.h"

namespace sops {

Mac::Mac(bool only_encrypted) : only_encrypted_(only_encrypted) {
  // format.md 4.4: "the hash is first fed 32 bytes … (= SHA-256 of `sops`)".
  if (only_encrypted_) hash_.update(sha256(as_bytes("sops")));
}

std::string Mac::finish() { return hex_upper(hash_.finish()); }

}  // namespace sops
