// SPDX-License-Identifier: MPL-2.0
//
// Resolution of plain scalars. The order of the rules is that of yaml.md 2.2; each rule is one function that says what
// the text is, or nothing.
#include "formats/yaml/resolve.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops::yaml {
namespace {

constexpr std::string_view kLongPrefix = "tag:yaml.org,2002:";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view digits_at(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() && is_digit(text[end])) ++end;
  return text.substr(at, end - at);
}

// Rule 1: the words. Returns nothing for any other text.
std::optional<TypedResolution> resolve_word(std::string_view text) {
  if (text.size() > 5) return std::nullopt;
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return TypedResolution(ScalarType::kNull, "");
  if (text == "true" || text == "True" || text == "TRUE") return TypedResolution(ScalarType::kBool, "True");
  if (text == "false" || text == "False" || text == "FALSE") return TypedResolution(ScalarType::kBool, "False");
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return TypedResolution(ScalarType::kFloat, "NaN");
  const bool negative = text[0] == '-';
  if (negative || text[0] == '+') text.remove_prefix(1);
  if (text == ".inf" || text == ".Inf" || text == ".INF")
    return TypedResolution(ScalarType::kFloat, negative ? "-Inf" : "+Inf");
  return std::nullopt;
}

// Reads the pieces of a date-time from left to right; each step says whether the piece is there.
class TimeReader {
 public:
  explicit TimeReader(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  bool take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // One or two digits, at most `limit`.
  bool take_short(int limit, int& value) {
    size_t length = 0;
    value = 0;
    for (; length < 2 && length < rest_.size() && is_digit(rest_[length]); ++length)
      value = value * 10 + (rest_[length] - '0');
    rest_.remove_prefix(length);
    return length > 0 && value <= limit;
  }
  // Exactly `count` digits.
  bool take_fixed(size_t count, int& value) {
    if (rest_.size() < count) return false;
    value = 0;
    for (size_t i = 0; i < count; ++i) {
      if (!is_digit(rest_[i])) return false;
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(count);
    return true;
  }
  std::string_view take_digits() {
    const std::string_view digits = digits_at(rest_, 0);
    rest_.remove_prefix(digits.size());
    return digits;
  }

 private:
  std::string_view rest_;
};

struct DateTime {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  std::string_view fraction;  // at most nine digits, no trailing zeros
  int offset_minutes = 0;
};

int days_of(int month, int year) {
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[static_cast<size_t>(month - 1)];
}

// yaml.md 2.3: hh <= 24 and mm <= 60 are the limits of Go 1.25.
bool read_zone(TimeReader& reader, int& offset_minutes) {
  if (reader.take('Z')) return true;
  const bool negative = reader.take('-');
  if (!negative && !reader.take('+')) return false;
  int hours = 0;
  int minutes = 0;
  if (!reader.take_fixed(2, hours) || !reader.take(':') || !reader.take_fixed(2, minutes)) return false;
  if (hours > 24 || minutes > 60) return false;
  offset_minutes = (hours * 60 + minutes) * (negative ? -1 : 1);
  return true;
}

std::optional<DateTime> read_time(std::string_view text) {
  TimeReader reader(text);
  DateTime time;
  if (!reader.take_fixed(4, time.year) || !reader.take('-') || !reader.take_short(12, time.month) || time.month == 0 ||
      !reader.take('-') || !reader.take_short(31, time.day) || time.day == 0 ||
      time.day > days_of(time.month, time.year))
    return std::nullopt;
  if (reader.at_end()) return time;
  const bool has_zone = reader.take('T') || reader.take('t');
  if (!has_zone) {
    if (!reader.take(' ')) return std::nullopt;
    while (reader.take(' ')) continue;
  }
  if (!reader.take_short(23, time.hour) || !reader.take(':') || !reader.take_short(59, time.minute) ||
      !reader.take(':') || !reader.take_short(59, time.second))
    return std::nullopt;
  if (reader.take('.') || reader.take(',')) {
    time.fraction = reader.take_digits();
    if (time.fraction.empty()) return std::nullopt;
    time.fraction = time.fraction.substr(0, 9);
    while (!time.fraction.empty() && time.fraction.back() == '0') time.fraction.remove_suffix(1);
  }
  if (has_zone && !read_zone(reader, time.offset_minutes)) return std::nullopt;
  if (!reader.at_end()) return std::nullopt;
  return time;
}

// RFC 3339 with as many digits of the fraction as needed (format.md 2.10).
TypedResolution write_time(const DateTime& time) {
  std::array<char, 64> out;
  char* p = out.data();
  const auto put = [&p](int value, int width) {
    for (int i = width - 1; i >= 0; --i, value /= 10) p[i] = static_cast<char>('0' + value % 10);
    p += width;
  };
  put(time.year, 4);
  *p++ = '-';
  put(time.month, 2);
  *p++ = '-';
  put(time.day, 2);
  *p++ = 'T';
  put(time.hour, 2);
  *p++ = ':';
  put(time.minute, 2);
  *p++ = ':';
  put(time.second, 2);
  if (!time.fraction.empty()) {
    *p++ = '.';
    std::memcpy(p, time.fraction.data(), time.fraction.size());
    p += time.fraction.size();
  }
  if (time.offset_minutes == 0) {
    *p++ = 'Z';
  } else {
    const int offset = std::abs(time.offset_minutes);
    *p++ = time.offset_minutes < 0 ? '-' : '+';
    put(offset / 60, 2);
    *p++ = ':';
    put(offset % 60, 2);
  }
  return TypedResolution::holding(ScalarType::kTime, {out.data(), static_cast<size_t>(p - out.data())});
}

bool looks_like_time(std::string_view text) {
  return text.size() > 4 && text[4] == '-' && digits_at(text.substr(0, 4), 0).size() == 4;
}

std::optional<TypedResolution> resolve_time(std::string_view text) {
  if (!looks_like_time(text)) return std::nullopt;
  const std::optional<DateTime> time = read_time(text);
  if (!time) return std::nullopt;
  return write_time(*time);
}

// An integer as sign and magnitude.
struct Integer {
  bool negative = false;
  bool has_sign = false;
  uint64_t magnitude = 0;
};

bool read_magnitude(std::string_view digits, int base, uint64_t& magnitude) {
  if (digits.empty()) return false;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
  return error == std::errc() && end == digits.data() + digits.size();
}

// Rule 3. `text` has no underscores. Nothing if it is no integer or does not fit in 64 bits.
std::optional<Integer> read_integer(std::string_view text) {
  Integer integer;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    integer.has_sign = true;
    integer.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = text[1];
    const bool prefixed = mark == 'x' || mark == 'X' || mark == 'o' || mark == 'O' || mark == 'b' || mark == 'B';
    base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
    // yaml.md 2.2, the accident: a sign is accepted after lower-case 0o and 0b that have none in front.
    if ((mark == 'o' || mark == 'b') && !integer.has_sign && text.size() > 2 && (text[2] == '+' || text[2] == '-')) {
      integer.has_sign = true;
      integer.negative = text[2] == '-';
      text.remove_prefix(1);
    }
    text.remove_prefix(prefixed ? 2 : 1);
  }
  if (!read_magnitude(text, base, integer.magnitude)) return std::nullopt;
  return integer;
}

// The type of an integer: int, uint64, or none when it fits neither.
std::optional<TypedResolution> type_of_integer(const Integer& integer) {
  constexpr uint64_t kHalf = uint64_t{1} << 63;
  std::array<char, 24> out;
  const auto text_of = [&out](auto value) {
    return std::string_view(
        out.data(), static_cast<size_t>(std::to_chars(out.data(), out.data() + out.size(), value).ptr - out.data()));
  };
  if (integer.negative) {
    if (integer.magnitude > kHalf) return std::nullopt;
    return TypedResolution::holding(ScalarType::kInt, text_of(static_cast<int64_t>(0 - integer.magnitude)));
  }
  if (integer.magnitude < kHalf) return TypedResolution::holding(ScalarType::kInt, text_of(integer.magnitude));
  if (integer.has_sign) return std::nullopt;
  return TypedResolution::holding(ScalarType::kUnsigned, text_of(integer.magnitude));
}

// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
bool is_decimal_float(std::string_view text) {
  size_t at = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  const size_t whole = digits_at(text, at).size();
  at += whole;
  if (at < text.size() && text[at] == '.') {
    const size_t fraction = digits_at(text, at + 1).size();
    if (whole + fraction == 0) return false;
    at += 1 + fraction;
  } else if (whole == 0) {
    return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const size_t exponent = digits_at(text, at).size();
    if (exponent == 0) return false;
    at += exponent;
  }
  return at == text.size();
}

// Whether the number is below 1, for a decimal float that is too large or too small for a double.
bool is_tiny(std::string_view text) {
  const size_t mark = text.find_first_of("eE");
  std::string_view mantissa = text.substr(0, mark);
  if (!mantissa.empty() && (mantissa[0] == '+' || mantissa[0] == '-')) mantissa.remove_prefix(1);
  // Decimal exponent of the first digit that is not zero, without the written exponent.
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  const size_t first = mantissa.find_first_of("123456789");
  if (first == std::string_view::npos) return true;
  int64_t magnitude = static_cast<int64_t>(point) - static_cast<int64_t>(first);
  if (mark != std::string_view::npos) {
    const bool negative = text[mark + 1] == '-';
    size_t at = mark + 1;
    if (text[at] == '+' || text[at] == '-') ++at;
    int64_t exponent = 0;
    for (; at < text.size() && exponent < (int64_t{1} << 40); ++at) exponent = exponent * 10 + (text[at] - '0');
    magnitude += negative ? -exponent : exponent;
  }
  return magnitude <= 0;
}

TypedResolution hold_float(double value) {
  std::array<char, kLongestCanonical> out;
  const size_t length = write_canonical_float(value, out.data());
  return TypedResolution::holding(ScalarType::kFloat, {out.data(), length});
}

// Rules 3 and 4 on a text without underscores.
std::optional<TypedResolution> resolve_number(std::string_view plain) {
  if (const std::optional<Integer> integer = read_integer(plain)) {
    if (std::optional<TypedResolution> typed = type_of_integer(*integer)) return typed;
  }
  if (!is_decimal_float(plain)) return std::nullopt;
  if (const std::optional<double> value = parse_decimal_float(plain)) return hold_float(*value);
  return std::nullopt;
}

// Rules 3 and 4: all underscores are removed first.
std::optional<TypedResolution> resolve_sign_or_digit(std::string_view text) {
  if (text.find('_') == std::string_view::npos) return resolve_number(text);
  SecureBytes plain(text.size());
  char* const out = reinterpret_cast<char*>(plain.expose_mutable().data());
  size_t length = 0;
  for (const char c : text) {
    if (c != '_') out[length++] = c;
  }
  return resolve_number({out, length});
}

// Rule 5: starts with a point; a single underscore may stand between two digits.
std::optional<TypedResolution> resolve_point(std::string_view text) {
  if (text.find('_') == std::string_view::npos) {
    if (!is_decimal_float(text)) return std::nullopt;
    if (const std::optional<double> value = parse_decimal_float(text)) return hold_float(*value);
    return std::nullopt;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') continue;
    if (i == 0 || i + 1 == text.size() || !is_digit(text[i - 1]) || !is_digit(text[i + 1])) return std::nullopt;
  }
  return resolve_sign_or_digit(text);
}

}  // namespace

TypedResolution& TypedResolution::operator=(const TypedResolution& other) {
  type_ = other.type_;
  length_ = other.length_;
  borrowed_ = other.borrowed_;
  std::memmove(storage_, other.storage_, other.length_);
  return *this;
}

TypedResolution TypedResolution::holding(ScalarType type, std::string_view text) {
  SOPS_CHECK(!text.empty() && text.size() <= kLongestCanonical, "no canonical number is longer");
  TypedResolution result(type, {});
  std::memcpy(result.storage_, text.data(), text.size());
  result.length_ = static_cast<uint16_t>(text.size());
  return result;
}

TypedResolution resolve_plain(std::string_view text) {
  if (std::optional<TypedResolution> word = resolve_word(text)) return *word;
  const char first = text[0];
  std::optional<TypedResolution> typed;
  if (is_digit(first) || first == '+' || first == '-') {
    typed = resolve_time(text);
    if (!typed) typed = resolve_sign_or_digit(text);
  } else if (first == '.') {
    typed = resolve_point(text);
  }
  return typed ? *typed : TypedResolution(ScalarType::kString, text);
}

TagKind tag_kind(std::string_view tag) {
  if (tag.empty() || tag == "!") return TagKind::kNone;
  if (tag.starts_with(kLongPrefix)) {
    tag.remove_prefix(kLongPrefix.size());
  } else if (tag.starts_with("!!")) {
    tag.remove_prefix(2);
  } else {
    return TagKind::kOther;
  }
  if (tag == "merge") return TagKind::kMerge;
  if (tag == "int") return TagKind::kInt;
  if (tag == "float") return TagKind::kFloat;
  if (tag == "bool") return TagKind::kBool;
  if (tag == "null") return TagKind::kNull;
  if (tag == "timestamp") return TagKind::kTimestamp;
  if (tag == "binary") return TagKind::kBinary;
  return TagKind::kOther;
}

std::optional<TypedResolution> resolve_tagged(TagKind kind, std::string_view text) {
  // yaml.md 2.4: only !!timestamp looks for a time; under the other tags a date would be a string, and refused.
  if (kind == TagKind::kTimestamp) return resolve_time(text);
  const TypedResolution found = resolve_plain(text);
  switch (kind) {
    case TagKind::kInt:
      if (found.type() == ScalarType::kInt || found.type() == ScalarType::kUnsigned) return found;
      return std::nullopt;
    case TagKind::kFloat:
      if (found.type() == ScalarType::kFloat) return found;
      if (found.type() == ScalarType::kInt) {
        int64_t value = 0;
        std::from_chars(found.text().data(), found.text().data() + found.text().size(), value);
        return hold_float(static_cast<double>(value));
      }
      return std::nullopt;
    case TagKind::kBool:
      if (found.type() == ScalarType::kBool) return found;
      return std::nullopt;
    case TagKind::kNull:
      if (found.type() == ScalarType::kNull) return found;
      return std::nullopt;
    default:
      SOPS_CHECK(false, "the contract excludes the other kinds");
      return std::nullopt;
  }
}

size_t write_canonical_float(double value, char* out) {
  const auto finish = [out](std::string_view word) {
    std::memcpy(out, word.data(), word.size());
    return word.size();
  };
  if (std::isnan(value)) return finish("NaN");
  if (std::isinf(value)) return finish(value < 0 ? "-Inf" : "+Inf");

  // Shortest digits in scientific form, then the point is moved: std::chars_format::fixed would print large numbers
  // with digits that are exact but not significant, where Go prints zeros.
  std::array<char, 40> scientific;
  const auto written =
      std::to_chars(scientific.data(), scientific.data() + scientific.size(), value, std::chars_format::scientific);
  const std::string_view text(scientific.data(), static_cast<size_t>(written.ptr - scientific.data()));
  const size_t mark = text.find('e');
  int exponent = 0;
  const size_t exponent_at = text[mark + 1] == '+' ? mark + 2 : mark + 1;
  std::from_chars(text.data() + exponent_at, text.data() + text.size(), exponent);

  char* p = out;
  std::string_view mantissa = text.substr(0, mark);
  if (mantissa[0] == '-') {
    *p++ = '-';
    mantissa.remove_prefix(1);
  }
  std::array<char, 24> digits;
  int count = 0;
  for (const char c : mantissa) {
    if (c != '.') digits[static_cast<size_t>(count++)] = c;
  }
  const auto digit = [&](int i) { return i < count ? digits[static_cast<size_t>(i)] : '0'; };
  if (exponent < 0) {
    *p++ = '0';
  } else {
    for (int i = 0; i <= exponent; ++i) *p++ = digit(i);
  }
  if (exponent + 1 < count) {
    *p++ = '.';
    for (int i = exponent + 1; i < 0; ++i) *p++ = '0';
    for (int i = std::max(exponent + 1, 0); i < count; ++i) *p++ = digit(i);
  }
  return static_cast<size_t>(p - out);
}

std::optional<double> parse_decimal_float(std::string_view text) {
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  if (text == "-Inf") return -std::numeric_limits<double>::infinity();
  if (!is_decimal_float(text)) return std::nullopt;
  const bool negative = text[0] == '-';
  if (negative || text[0] == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range || std::isinf(value)) {
    if (!is_tiny(text)) return std::nullopt;
    value = 0;
  }
  return negative ? -value : value;
}

bool is_unwritable_time(std::string_view text) {
  const std::optional<DateTime> time = looks_like_time(text) ? read_time(text) : std::nullopt;
  return time && std::abs(time->offset_minutes) >= 24 * 60;
}

}  // namespace sops::yaml
