// SPDX-License-Identifier: MPL-2.0
#include <array>

#include "keysources/key_source.h"

namespace sops {

#define KEY_SOURCE(name)           \
  namespace name {                 \
  extern const KeySourceType type; \
  }
#include "keysources/key_sources.def"
#undef KEY_SOURCE

namespace {
#define KEY_SOURCE(name) &name::type,
constexpr std::array kKeySources = {
#include "keysources/key_sources.def"
};
#undef KEY_SOURCE
}  // namespace

std::span<const KeySourceType* const> all_key_sources() { return kKeySources; }

const KeySourceType* find_key_source(std::string_view id) {
  for (const KeySourceType* source : kKeySources) {
    if (source->id == id) return source;
  }
  return nullptr;
}

}  // namespace sops
