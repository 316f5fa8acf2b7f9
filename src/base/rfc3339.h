// SPDX-License-Identifier: MPL-2.0
//
// Timestamps of RFC 3339 as SOPS reads and writes them: values of type time, lastmodified, created_at.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace sops {

/// A point in time with its offset from UTC.
struct Rfc3339 {
  int year = 0;
  int month = 1, day = 1, hour = 0, minute = 0, second = 0;
  int nanosecond = 0;
  int offset_minutes = 0;  // 0 is written Z
};

/// Strict RFC 3339 as Go's time.Parse reads it (format.md 2.13): two-digit fields, 'T', '.' or ',' fraction, 'Z' or
/// ±hh:mm.
std::optional<Rfc3339> parse_rfc3339(std::string_view text);

/// The time with as many fraction digits as needed, or none if `with_fraction` is false (format.md 2.10, 4.7).
std::string to_string(const Rfc3339& time, bool with_fraction);

/// The canonical form of a time plaintext, nullopt if it is none.
std::optional<std::string> canonical_rfc3339(std::string_view text);

/// Now, in UTC and whole seconds, as lastmodified is written: 2025-03-23T10:20:30Z.
std::string utc_seconds(std::chrono::system_clock::time_point now);

}  // namespace sops
