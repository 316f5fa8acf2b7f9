// SPDX-License-Identifier: MPL-2.0
#include "base/duration.h"

#include <charconv>
#include <utility>

#include "base/text.h"

namespace sops {

namespace {

// Takes the unit from the beginning of `rest`: its milliseconds, 0 if there is none.
double take_unit(std::string_view& rest) {
  constexpr std::pair<std::string_view, double> kUnits[] = {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}};
  for (const auto& [name, milliseconds] : kUnits) {
    if (!rest.starts_with(name)) continue;
    rest.remove_prefix(name.size());
    return milliseconds;
  }
  return 0;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr double kDay = 24 * 3600e3;
  double total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    if (rest.front() < '0' || rest.front() > '9') return std::nullopt;
    double amount = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), amount, std::chars_format::fixed);
    if (error != std::errc()) return std::nullopt;
    const bool is_all = end == text.data() + text.size() && rest.size() == text.size();
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    const double unit = is_all ? 1e3 : take_unit(rest);
    if (unit == 0) return std::nullopt;
    total += amount * unit;
  }
  if (!(total >= 1) || total > kDay) return std::nullopt;
  return std::chrono::milliseconds(static_cast<int64_t>(total));
}

Result<std::chrono::milliseconds> duration_of(std::string_view variable, std::string_view value,
                                              std::chrono::milliseconds otherwise) {
  if (value.empty()) return otherwise;
  const auto time = parse_duration(value);
  if (!time) {
    return fail(ErrorCode::kUsage, "{} '{}' is no duration", variable, escape_for_message(value, 40))
        .hint("write it as 1500ms, 30s or 1m30s");
  }
  return *time;
}

}  // namespace sops
