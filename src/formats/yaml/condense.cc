// SPDX-License-Identifier: MPL-2.0
#include "formats/yaml/condense.h"

#include <array>
#include <cstring>

namespace sops::yaml {
namespace {

constexpr std::string_view kStart = "ENC[AES256_GCM,data:";
constexpr std::string_view kKept = "ENC[A";
constexpr size_t kLongestKey = 128;  // of a simple line
constexpr size_t kShortestRun = 3;   // lines

// Sets of characters.
enum CharSet : uint8_t { kBase64 = 1, kKeyStart = 2, kKey = 4, kValueStart = 8 };

constexpr auto kSets = [] {
  std::array<uint8_t, 256> sets{};
  const auto add = [&sets](std::string_view chars, int set) {
    for (char c : chars) sets[static_cast<uint8_t>(c)] |= static_cast<uint8_t>(set);
  };
  add("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", kBase64 | kKeyStart | kKey | kValueStart);
  add("+/", kBase64);
  add("_", kKeyStart | kKey | kValueStart);
  add(".-/", kKey);
  add("./~+$", kValueStart);
  return sets;
}();

bool is_in(char c, CharSet set) { return (kSets[static_cast<uint8_t>(c)] & set) != 0; }

// Position of the closing bracket of the ciphertext whose data begins at `at`; npos if the text does not look like one.
size_t closing_bracket(std::string_view text, size_t at) {
  for (std::string_view separator : {",iv:", ",tag:", ",type:"}) {
    while (at < text.size() && is_in(text[at], kBase64)) ++at;
    while (at < text.size() && text[at] == '=') ++at;
    if (text.substr(at, separator.size()) != separator) return std::string_view::npos;
    at += separator.size();
  }
  while (at < text.size() && text[at] >= 'a' && text[at] <= 'z') ++at;
  return at < text.size() && text[at] == ']' ? at : std::string_view::npos;
}

// Whether all characters are ASCII from `lowest` to `~`. Without a way out, so that the compiler makes vectors of it.
bool is_printable(std::string_view text, uint8_t lowest) {
  uint8_t bad = 0;
  for (char c : text)
    bad |= static_cast<uint8_t>(static_cast<uint8_t>(static_cast<uint8_t>(c) - lowest) > 0x7E - lowest);
  return bad == 0;
}

bool is_simple_plain(std::string_view value) {
  const char first = value[0];
  const bool is_negative = first == '-' && value.size() > 1 && is_in(value[1], kKeyStart);
  if (!is_in(first, kValueStart) && !is_negative) return false;
  if (value.back() == ':' || value.back() == ' ') return false;
  if (is_printable(value, 0x21)) return true;
  return is_printable(value, 0x20) && value.find(": ") == std::string_view::npos &&
         value.find(" #") == std::string_view::npos;
}

bool is_simple_quoted(std::string_view value) {
  if (value.size() < 2 || value.back() != value[0]) return false;
  const std::string_view content = value.substr(1, value.size() - 2);
  return is_printable(content, 0x20) && content.find(value[0]) == std::string_view::npos &&
         (value[0] == '\'' || content.find('\\') == std::string_view::npos);
}

size_t skip_blanks(std::string_view text, size_t at) {
  while (at < text.size() && text[at] == ' ') ++at;
  return at;
}

size_t line_feed(std::string_view text, size_t at) { return std::min(text.find('\n', at), text.size()); }

// Whether a run that ends at `at` ends there for libyaml too: a value never goes on, whatever its quotes.
bool is_clear_end(std::string_view text, size_t at, size_t column) {
  const size_t begin = skip_blanks(text, at);
  if (begin == text.size()) return begin == at;
  const char c = text[begin];
  return begin - at <= column && (is_in(c, kKeyStart) || c == '-' || c == '"' || c == '\'');
}

// If the line [begin, end) has the header of a block scalar at its end: the position of the first line behind that is
// not deeper than it. Saves a vain attempt, no more: a line that libyaml reads otherwise is noticed anyway.
std::optional<size_t> skip_block_scalar(std::string_view text, size_t begin, size_t end) {
  size_t mark = end;
  while (mark > begin && std::string_view(" 0123456789+-").find(text[mark - 1]) != std::string_view::npos) --mark;
  if (mark < begin + 2 || (text[mark - 1] != '|' && text[mark - 1] != '>') || text[mark - 2] != ' ')
    return std::nullopt;
  const size_t indentation = skip_blanks(text, begin) - begin;
  size_t at = end + 1;
  while (at < text.size()) {
    const size_t content = skip_blanks(text, at);
    if (content < text.size() && text[content] != '\n' && content - at <= indentation) return at;
    at = line_feed(text, content) + 1;
  }
  return text.size();
}

std::vector<LineRun> find_runs(std::string_view text) {
  std::vector<LineRun> runs;
  SimpleLine line;
  size_t at = 0;
  bool is_simple = simple_line(text, at, line);
  while (at < text.size()) {
    if (!is_simple) {
      const size_t end = line_feed(text, at);
      at = skip_block_scalar(text, at, end).value_or(end + 1);
      is_simple = at < text.size() && simple_line(text, at, line);
      continue;
    }
    const SimpleLine first = line;
    LineRun run{
        .first = static_cast<uint32_t>(at), .second = first.end, .last = static_cast<uint32_t>(at), .end = first.end};
    uint32_t last_but_one = run.last;
    size_t count = 1;
    while ((is_simple = simple_line(text, run.end, line)) && line.column == first.column &&
           line.is_item == first.is_item) {
      last_but_one = std::exchange(run.last, run.end);
      run.end = line.end;
      ++count;
    }
    at = run.end;
    if (!is_clear_end(text, run.end, first.column)) {
      run.end = run.last;
      run.last = last_but_one;
      --count;
    }
    if (count >= kShortestRun) runs.push_back(run);
  }
  return runs;
}

}  // namespace

bool simple_line(std::string_view text, size_t at, SimpleLine& line) {
  const size_t begin = skip_blanks(text, at);
  if (begin >= text.size()) return false;
  size_t mark = begin;
  line.is_item = text[begin] == '-';
  if (!line.is_item) {
    if (!is_in(text[begin], kKeyStart)) return false;
    while (mark < text.size() && is_in(text[mark], kKey)) ++mark;
    if (mark == text.size() || text[mark] != ':' || mark - begin > kLongestKey) return false;
  }
  if (mark + 1 >= text.size() || text[mark + 1] != ' ') return false;
  const size_t value = skip_blanks(text, mark + 1);
  const size_t end = text.find('\n', value);
  if (end == std::string_view::npos || end == value) return false;

  const std::string_view content = text.substr(value, end - value);
  line.style = NodeStyle::kPlain;
  if (content[0] == '"') line.style = NodeStyle::kDoubleQuoted;
  if (content[0] == '\'') line.style = NodeStyle::kSingleQuoted;
  if (line.style == NodeStyle::kPlain ? !is_simple_plain(content) : !is_simple_quoted(content)) return false;
  line.column = static_cast<uint32_t>(begin - at);
  line.key = {static_cast<uint32_t>(begin), static_cast<uint32_t>(mark)};
  line.mark = static_cast<uint32_t>(mark);
  line.value = {static_cast<uint32_t>(value), static_cast<uint32_t>(end)};
  line.end = static_cast<uint32_t>(end + 1);
  return true;
}

std::optional<CondensedText> condense(std::string_view text, size_t least) {
  if (text.size() < least) return std::nullopt;
  CondensedText condensed;
  condensed.runs = find_runs(text);

  std::vector<Span> removed;
  uint32_t total = 0;
  const auto remove = [&](size_t begin, size_t end) {
    const uint32_t at = static_cast<uint32_t>(begin) - total;
    total += static_cast<uint32_t>(end - begin);
    condensed.cuts.push_back({.at = at, .removed = total});
    removed.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
  };
  const auto remove_ciphertexts = [&](size_t begin, size_t end) {
    const std::string_view part = text.substr(0, end);
    for (size_t at = part.find(kStart, begin); at != std::string_view::npos; at = part.find(kStart, at)) {
      const size_t bracket = closing_bracket(part, at + kStart.size());
      if (bracket != std::string_view::npos) remove(at + kKept.size(), bracket);
      at = bracket != std::string_view::npos ? bracket : at + kStart.size();
    }
  };
  size_t at = 0;
  for (const LineRun& run : condensed.runs) {
    remove_ciphertexts(at, run.second);
    remove(run.second, run.end);
    at = run.end;
  }
  remove_ciphertexts(at, text.size());
  if (total < least) return std::nullopt;

  condensed.text = SecureBytes(text.size() - total);
  uint8_t* out = condensed.text.expose_mutable().data();
  size_t copied = 0;
  const auto copy_until = [&](size_t end) {
    std::memcpy(out, text.data() + copied, end - copied);
    out += end - copied;
  };
  for (const Span& span : removed) {
    copy_until(span.begin);
    copied = span.end;
  }
  copy_until(text.size());
  return condensed;
}

}  // namespace sops::yaml
