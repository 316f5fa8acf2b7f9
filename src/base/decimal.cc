// SPDX-License-Identifier: MPL-2.0
#include "base/decimal.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace sops {

void NumberText::append(std::string_view text) {
  std::memcpy(characters.data() + size, text.data(), text.size());
  size += text.size();
}

void NumberText::append(size_t count, char c) {
  std::memset(characters.data() + size, c, count);
  size += count;
}

// std::chars_format::fixed would not do for this: it prints a large number with digits that are exact but not
// significant, where Go prints zeros.
ShortestDecimal shortest_decimal(double value) {
  std::array<char, 40> text;
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific);
  ShortestDecimal decimal;
  const char* p = text.data();
  for (; p != written.ptr && *p != 'e'; ++p) {
    if (*p == '-') decimal.is_negative = true;
    if (*p >= '0' && *p <= '9') decimal.digits[decimal.count++] = *p;
  }
  if (p != written.ptr) ++p;
  if (p != written.ptr && *p == '+') ++p;
  std::from_chars(p, written.ptr, decimal.point);
  ++decimal.point;
  return decimal;
}

namespace {

void append_positional(const ShortestDecimal& decimal, NumberText& out) {
  if (decimal.point <= 0) {
    out.append("0.");
    out.append(static_cast<size_t>(-decimal.point), '0');
    out.append(decimal.slice(0, decimal.count));
    return;
  }
  const size_t before = static_cast<size_t>(decimal.point);
  if (decimal.count <= before) {
    out.append(decimal.slice(0, decimal.count));
    out.append(before - decimal.count, '0');
    return;
  }
  out.append(decimal.slice(0, before));
  out.append(".");
  out.append(decimal.slice(before, decimal.count));
}

}  // namespace

NumberText canonical_float_text(double value) {
  NumberText out;
  if (std::isnan(value)) {
    out.append("NaN");
  } else if (std::isinf(value)) {
    out.append(value > 0 ? "+Inf" : "-Inf");
  } else {
    const ShortestDecimal decimal = shortest_decimal(value);
    if (decimal.is_negative) out.append("-");
    if (value == 0) {
      out.append("0");
    } else {
      append_positional(decimal, out);
    }
  }
  return out;
}

NumberText exponent_text(const ShortestDecimal& decimal, size_t min_exponent_digits) {
  NumberText out;
  if (decimal.is_negative) out.append("-");
  out.append(decimal.slice(0, 1));
  if (decimal.count > 1) {
    out.append(".");
    out.append(decimal.slice(1, decimal.count));
  }
  const int exponent = decimal.point - 1;
  out.append(exponent < 0 ? "e-" : "e+");
  std::array<char, 8> digits;
  const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), exponent < 0 ? -exponent : exponent);
  const auto count = static_cast<size_t>(written.ptr - digits.data());
  if (count < min_exponent_digits) out.append(min_exponent_digits - count, '0');
  out.append({digits.data(), count});
  return out;
}

namespace {

// True if a literal that std::from_chars calls out of range is too large, not too small: which one it is follows from
// where the first digit that counts stands.
bool is_huge(std::string_view literal) {
  if (literal.starts_with('-')) literal.remove_prefix(1);
  const size_t mark = std::min(literal.find_first_of("eE"), literal.size());
  const std::string_view mantissa = literal.substr(0, mark);
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  const size_t first = mantissa.find_first_of("123456789");
  if (first == std::string_view::npos) return false;
  int64_t magnitude = static_cast<int64_t>(point) - static_cast<int64_t>(first);
  if (mark < literal.size()) {
    std::string_view digits = literal.substr(mark + 1);
    const bool is_negative = digits.starts_with('-');
    if (is_negative || digits.starts_with('+')) digits.remove_prefix(1);
    int64_t exponent = 0;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), exponent).ec != std::errc()) return !is_negative;
    if (exponent > INT64_C(1) << 40) return !is_negative;  // no literal is long enough to make up for it
    magnitude += is_negative ? -exponent : exponent;
  }
  return magnitude > 0;
}

}  // namespace

std::optional<double> parse_decimal_literal(std::string_view literal) {
  double value = 0;
  const auto result = std::from_chars(literal.data(), literal.data() + literal.size(), value);
  if (result.ec == std::errc()) return value;
  if (is_huge(literal)) return std::nullopt;
  return literal.starts_with('-') ? -0.0 : 0.0;
}

}  // namespace sops
