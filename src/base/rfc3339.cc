// SPDX-License-Identifier: MPL-2.0
#include "base/rfc3339.h"

#include "base/text.h"

namespace sops {

namespace {

// Reads exactly `count` digits; -1 if there are fewer.
int digits(std::string_view& text, size_t count) {
  if (text.size() < count) return -1;
  int value = 0;
  for (char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool skip(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

int days_in(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : kDays[month - 1];
}

}  // namespace

std::optional<Rfc3339> parse_rfc3339(std::string_view text) {
  Rfc3339 time;
  time.year = digits(text, 4);
  if (time.year < 0 || !skip(text, '-')) return std::nullopt;
  time.month = digits(text, 2);
  if (time.month < 1 || time.month > 12 || !skip(text, '-')) return std::nullopt;
  time.day = digits(text, 2);
  if (time.day < 1 || time.day > days_in(time.year, time.month) || !skip(text, 'T')) return std::nullopt;
  time.hour = digits(text, 2);
  if (time.hour < 0 || time.hour > 23 || !skip(text, ':')) return std::nullopt;
  time.minute = digits(text, 2);
  if (time.minute < 0 || time.minute > 59 || !skip(text, ':')) return std::nullopt;
  time.second = digits(text, 2);
  if (time.second < 0 || time.second > 59) return std::nullopt;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    size_t count = 0;
    for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; ++count, text.remove_prefix(1)) {
      if (count < 9) time.nanosecond = time.nanosecond * 10 + (text[0] - '0');
    }
    if (count == 0) return std::nullopt;
    for (; count < 9; ++count) time.nanosecond *= 10;
  }
  if (text == "Z") return time;
  const bool negative = text.starts_with('-');
  if (!negative && !text.starts_with('+')) return std::nullopt;
  text.remove_prefix(1);
  const int hours = digits(text, 2);
  if (hours < 0 || hours > 23 || !skip(text, ':')) return std::nullopt;
  const int minutes = digits(text, 2);
  if (minutes < 0 || minutes > 59 || !text.empty()) return std::nullopt;
  time.offset_minutes = (hours * 60 + minutes) * (negative ? -1 : 1);
  return time;
}

std::string to_string(const Rfc3339& time, bool with_fraction) {
  std::string text = format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", time.year, time.month, time.day, time.hour,
                            time.minute, time.second);
  if (with_fraction && time.nanosecond != 0) {
    text += format(".{:09}", time.nanosecond);
    while (text.ends_with('0')) text.pop_back();
  }
  if (time.offset_minutes == 0) return text + "Z";
  const int minutes = time.offset_minutes < 0 ? -time.offset_minutes : time.offset_minutes;
  return text + format("{}{:02}:{:02}", time.offset_minutes < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

std::optional<std::string> canonical_rfc3339(std::string_view text) {
  const auto time = parse_rfc3339(text);
  if (!time) return std::nullopt;
  return to_string(*time, true);
}

std::string utc_seconds(std::chrono::system_clock::time_point now) {
  const auto days = std::chrono::floor<std::chrono::days>(now);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(now - days));
  return to_string(Rfc3339{.year = static_cast<int>(date.year()),
                           .month = static_cast<int>(static_cast<unsigned>(date.month())),
                           .day = static_cast<int>(static_cast<unsigned>(date.day())),
                           .hour = static_cast<int>(clock.hours().count()),
                           .minute = static_cast<int>(clock.minutes().count()),
                           .second = static_cast<int>(clock.seconds().count())},
                   false);
}

}  // namespace sops
