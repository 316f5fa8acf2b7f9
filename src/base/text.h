// SPDX-License-Identifier: MPL-2.0
//
// Text helpers: formatting, splitting, escaping for messages, spelling distance, UTF-8. Pure functions.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sops {

/// fmt's formatting, compiled once (text.cc) so that this header stays cheap to include.
std::string format_arguments(fmt::string_view pattern, fmt::format_args args);

/// format("{} of {}", 1, 2) == "1 of 2". The pattern is checked at compile time.
template <class... Args>
std::string format(fmt::format_string<Args...> pattern, Args&&... args) {
  return format_arguments(pattern, fmt::make_format_args(args...));
}

/// The pieces of `text` between each `separator`; at least one piece. Views into `text`.
std::vector<std::string_view> split(std::string_view text, char separator);

/// `text` without leading and trailing space, TAB, CR, LF, VT and FF.
std::string_view trim(std::string_view text);

/// ASCII lower case.
std::string to_lower(std::string_view text);

/// ASCII upper case.
std::string to_upper(std::string_view text);

/// `parts` with `separator` between them.
std::string join(std::span<const std::string> parts, std::string_view separator);

/// `text` for a message on a terminal: control characters, DEL, C1, line separators, bidirectional controls and bytes
/// that are not UTF-8 as \xNN or \u{…}; everything else unchanged; at most `limit` bytes, then "…". (editing.md 5.3)
std::string escape_for_message(std::string_view text, size_t limit = 200);

/// Number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, at most `limit` + 1.
size_t edit_distance(std::string_view a, std::string_view b, size_t limit = 3);

/// The candidate nearest to `word` within distance 2 (1 up to three bytes), for "did you mean"; nullopt if none is.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates);

/// Number of bytes of the UTF-8 sequence that starts at `text[0]`, or 0 if it is not well formed (RFC 3629: no
/// surrogates, no overlong forms, at most U+10FFFF). REQUIRES: !text.empty().
size_t utf8_sequence_length(std::string_view text);

/// The code point of the well-formed sequence at `text[0]` and its length. REQUIRES: utf8_sequence_length(text) > 0.
struct DecodedRune {
  char32_t rune;
  size_t length;
};
DecodedRune decode_rune(std::string_view text);

/// Appends `rune` in UTF-8. REQUIRES: rune <= U+10FFFF and no surrogate.
void append_rune(std::string& out, char32_t rune);

/// True if all of `text` is well-formed UTF-8.
bool is_utf8(std::string_view text);

/// `text` with every byte that is not part of a well-formed sequence replaced by U+FFFD, as Go does.
std::string to_valid_utf8(std::string_view text);

/// Bytes of a text, and the text of bytes: views, no copies.
inline std::span<const uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace sops
