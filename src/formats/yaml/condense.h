// SPDX-License-Identifier: MPL-2.0
//
// A shorter stand-in for an encrypted text, for libyaml to read. Most of an encrypted file are ciphertexts, and libyaml
// looks at every character of them a dozen times. So ENC[AES256_GCM,data:…,iv:…,tag:…,type:str] becomes ENC[A]. What is
// left out are letters, digits and the signs + / = , : _ with none of them before a blank: in block style, in quotes
// and in comments they are content like the letters that stay; bare in a flow collection, where they would not be, the
// bracket that stays is an error first. Positions of tokens are mapped back. What depends on lengths is checked on the
// real positions: columns, and the 1024 characters of an implicit key. A text that is refused in this form is read as
// it is, so nothing depends on it but time.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/secure_bytes.h"

namespace sops::yaml {

/// A place of the short text behind which characters are missing.
struct Cut {
  uint32_t at = 0;       // position in the short text
  uint32_t removed = 0;  // characters missing so far, this cut included
};

struct CondensedText {
  SecureBytes text;
  std::vector<Cut> cuts;  // ascending
};

/// The short text, or nullopt if the text has so few ciphertexts that it is not worth it.
std::optional<CondensedText> condense(std::string_view text);

}  // namespace sops::yaml
