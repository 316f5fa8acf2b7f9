// SPDX-License-Identifier: MPL-2.0
#include "keysources/key_source.h"

namespace sops {

std::string_view field_text(const FieldMap& fields, std::string_view name) {
  auto it = fields.find(std::string(name));
  if (it == fields.end()) return {};
  const auto* text = std::get_if<std::string>(&it->second);
  return text != nullptr ? std::string_view(*text) : std::string_view();
}

}  // namespace sops
