// SPDX-License-Identifier: MPL-2.0
#include "formats/json/number.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace sops::json {
namespace {

// 0.d1 d2 d3 … times ten to the `point`.
struct Decimal {
  bool is_negative = false;
  std::array<char, 24> digits;
  size_t count = 0;
  int point = 0;

  std::string_view slice(size_t begin, size_t end) const { return {digits.data() + begin, end - begin}; }
};

// The shortest digits that read back. std::chars_format::fixed would not do: it prints a large number with digits that
// are exact but not significant, where SOPS prints zeros.
Decimal shortest(double value) {
  std::array<char, 40> text;
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific);
  Decimal decimal;
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

void append_positional(const Decimal& decimal, NumberText& out) {
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

void append_exponential(const Decimal& decimal, NumberText& out) {
  out.append(decimal.slice(0, 1));
  if (decimal.count > 1) {
    out.append(".");
    out.append(decimal.slice(1, decimal.count));
  }
  const int exponent = decimal.point - 1;
  out.append(exponent < 0 ? "e-" : "e+");
  std::array<char, 8> digits;
  const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), exponent < 0 ? -exponent : exponent);
  out.append({digits.data(), static_cast<size_t>(written.ptr - digits.data())});
}

// True if a literal that std::from_chars calls out of range is too large, not too small: which one it is follows from
// where the first digit that counts stands.
bool is_huge(std::string_view literal) {
  const size_t mark = literal.find_first_of("eE");
  const std::string_view mantissa =
      literal.substr(literal.starts_with('-') ? 1 : 0, mark - (literal.starts_with('-') ? 1 : 0));
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  const size_t first = mantissa.find_first_of("123456789");
  if (first == std::string_view::npos) return false;
  int64_t magnitude = static_cast<int64_t>(point) - static_cast<int64_t>(first);
  if (mark != std::string_view::npos) {
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

void NumberText::append(std::string_view text) {
  std::memcpy(characters.data() + size, text.data(), text.size());
  size += text.size();
}

void NumberText::append(size_t count, char c) {
  std::memset(characters.data() + size, c, count);
  size += count;
}

std::optional<double> parse_float(std::string_view literal) {
  double value = 0;
  const auto result = std::from_chars(literal.data(), literal.data() + literal.size(), value);
  if (result.ec == std::errc()) return value;
  if (is_huge(literal)) return std::nullopt;
  return literal.starts_with('-') ? -0.0 : 0.0;
}

NumberText positional_text(double value) {
  NumberText out;
  const Decimal decimal = shortest(value);
  if (decimal.is_negative) out.append("-");
  if (value == 0) {
    out.append("0");
  } else {
    append_positional(decimal, out);
  }
  return out;
}

NumberText json_text(double value) {
  NumberText out;
  const Decimal decimal = shortest(value);
  if (decimal.is_negative) out.append("-");
  if (value == 0) {
    out.append("0");
  } else if (decimal.point <= -6 || decimal.point > 21) {
    append_exponential(decimal, out);
  } else {
    append_positional(decimal, out);
  }
  return out;
}

}  // namespace sops::json
