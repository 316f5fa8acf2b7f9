// SPDX-License-Identifier: MPL-2.0
//
// Doubles as decimal text: the shortest digits that read back, in the forms that SOPS's files use. Pure functions, no
// heap.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace sops {

/// A short text without heap. The longest double in positional notation has 343 characters.
struct NumberText {
  std::array<char, 400> characters;
  size_t size = 0;

  std::string_view view() const { return {characters.data(), size}; }
  void append(std::string_view text);
  void append(size_t count, char c);
};

/// A finite double as 0.d1 d2 d3 … times ten to the `point`, with as few digits as read back to the same double. Zero
/// has no digits that count: one digit 0.
struct ShortestDecimal {
  bool is_negative = false;
  std::array<char, 24> digits;
  size_t count = 0;
  int point = 0;

  std::string_view slice(size_t begin, size_t end) const { return {digits.data() + begin, end - begin}; }
};
ShortestDecimal shortest_decimal(double value);

/// The canonical plaintext of a float (format.md 2.10): positional, no exponent; "+Inf", "-Inf", "NaN", "-0".
NumberText canonical_float_text(double value);

/// `decimal` with an exponent of at least `min_exponent_digits` digits: "1.5e+21", "1e-07". The sign is written too.
NumberText exponent_text(const ShortestDecimal& decimal, size_t min_exponent_digits);

/// The value of a decimal literal ("-12.5e3") of any length; too small is zero. nullopt if it is too large for a
/// double. REQUIRES: `literal` has an optional '-', digits with at most one point, and an optional exponent; a digit at
/// least.
std::optional<double> parse_decimal_literal(std::string_view literal);

}  // namespace sops
