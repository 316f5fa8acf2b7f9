// SPDX-License-Identifier: MPL-2.0
#include <array>

#include "formats/format.h"

namespace sops {

#define FORMAT(name)            \
  namespace name {              \
  extern const FormatType type; \
  }
#include "formats/formats.def"
#undef FORMAT

namespace {
#define FORMAT(name) &name::type,
constexpr std::array kFormats = {
#include "formats/formats.def"
};
#undef FORMAT
}  // namespace

std::span<const FormatType* const> all_formats() { return kFormats; }

const FormatType* find_format(std::string_view id) {
  for (const FormatType* format : kFormats) {
    if (format->id == id) return format;
  }
  return nullptr;
}

const FormatType& format_for_path(std::string_view path) {
  for (const FormatType* format : kFormats) {
    for (std::string_view suffix : format->suffixes) {
      if (path.ends_with(suffix)) return *format;
    }
  }
  return *kFormats.back();
}

}  // namespace sops
