// SPDX-License-Identifier: MPL-2.0
//
// Numbers of JSON: what SOPS makes of a literal, and how it writes a number. Used by the scanner and by the emitter.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace sops::json {

/// A short text without heap. The longest is the smallest double in positional notation.
struct NumberText {
  std::array<char, 400> characters;
  size_t size = 0;

  std::string_view view() const { return {characters.data(), size}; }
  void append(std::string_view text);
  void append(size_t count, char c);
};

/// The value of a decimal literal of any length; too small is zero. nullopt if it is too large for a double.
/// REQUIRES: `literal` follows the grammar of JSON.
std::optional<double> parse_float(std::string_view literal);

/// The canonical plaintext of a finite float (format.md 2.10): shortest digits that read back, never an exponent.
NumberText positional_text(double value);

/// A finite float as SOPS writes it in JSON (format.md 6.2.8): with an exponent below 1e-6 and from 1e21 on.
NumberText json_text(double value);

}  // namespace sops::json
