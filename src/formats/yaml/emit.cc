// SPDX-License-Identifier: MPL-2.0
//
// Rules are quoted by their number in the behaviour specification: yaml.md 5 (emission) and 6 (defects of SOPS that are
// not repeated here), format.md 6.1.13 to 6.1.31. All walks keep their own stack: nesting may be 10,000 deep.
#include "formats/yaml/emit.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <vector>

#include "base/codec.h"
#include "formats/yaml/resolve.h"

namespace sops::yaml {

namespace {

constexpr char32_t kNextLine = 0x85;
constexpr char32_t kLineSeparator = 0x2028;
constexpr char32_t kParagraphSeparator = 0x2029;
constexpr char32_t kByteOrderMark = 0xfeff;
constexpr std::string_view kMergeKey = "<<";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// A break that may stand raw in a literal besides LF.
bool is_separator(char32_t rune) { return rune == kLineSeparator || rune == kParagraphSeparator; }

/// Characters that YAML allows as they are (yaml.md 4.3), without the byte-order mark.
bool is_printable(char32_t rune) {
  return rune == '\t' || rune == '\n' || rune == '\r' || (rune >= 0x20 && rune <= 0x7e) || rune == kNextLine ||
         (rune >= 0xa0 && rune <= 0xd7ff) || (rune >= 0xe000 && rune <= 0xfffd && rune != kByteOrderMark) ||
         (rune >= 0x10000 && rune <= 0x10ffff);
}

/// SPECIAL of yaml.md 5.3.
bool is_special(char32_t rune) {
  return !(rune == '\n' || rune == '\t' || (rune >= 0x20 && rune <= 0x7e) || (rune >= 0xa0 && rune <= 0xd7ff) ||
           (rune >= 0xe000 && rune <= 0xfffd && rune != kByteOrderMark));
}

/// The rune at `text[0]`; U+FFFD and one byte where it is not UTF-8. REQUIRES: !text.empty().
DecodedRune next_rune(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return {first, 1};
  if (utf8_sequence_length(text) == 0) return {0xfffd, 1};
  return decode_rune(text);
}

/// Length of the U+2028 or U+2029 at the start of `text`, 0 if there is none.
size_t separator_length(std::string_view text) {
  return text.starts_with("\xe2\x80\xa8") || text.starts_with("\xe2\x80\xa9") ? 3 : 0;
}
bool ends_with_separator(std::string_view text) {
  return text.ends_with("\xe2\x80\xa8") || text.ends_with("\xe2\x80\xa9");
}

/// Base 60, which YAML 1.1 reads as a number: `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`.
bool is_base60(std::string_view text) {
  size_t at = 0;
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  if (at >= text.size() || !is_digit(text[at])) return false;
  while (at < text.size() && (is_digit(text[at]) || text[at] == '_')) ++at;
  size_t groups = 0;
  while (at < text.size() && text[at] == ':') {
    ++at;
    if (at >= text.size() || !is_digit(text[at])) return false;
    const bool may_have_two = text[at] <= '5';
    ++at;
    if (may_have_two && at < text.size() && is_digit(text[at])) ++at;
    ++groups;
  }
  if (groups == 0) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    while (at < text.size() && (is_digit(text[at]) || text[at] == '_')) ++at;
  }
  return at == text.size();
}

constexpr std::array<std::string_view, 16> kOldBooleans = {"y", "Y", "yes", "Yes", "YES", "on",  "On",  "ON",
                                                           "n", "N", "no",  "No",  "NO",  "off", "Off", "OFF"};

constexpr std::string_view kHexDigits = "0123456789ABCDEF";

/// Appends `rune` as an escape of a double-quoted scalar (yaml.md 5.3).
void append_escape(char32_t rune, SecureBuffer& out) {
  const auto short_form = [rune]() -> char {
    switch (rune) {
      case 0:
        return '0';
      case '\a':
        return 'a';
      case '\b':
        return 'b';
      case '\t':
        return 't';
      case '\n':
        return 'n';
      case '\v':
        return 'v';
      case '\f':
        return 'f';
      case '\r':
        return 'r';
      case 0x1b:
        return 'e';
      case '"':
        return '"';
      case '\\':
        return '\\';
      case kNextLine:
        return 'N';
      case 0xa0:
        return '_';
      case kLineSeparator:
        return 'L';
      case kParagraphSeparator:
        return 'P';
      default:
        return 0;
    }
  };
  out.append(1, '\\');
  if (const char c = short_form(); c != 0) {
    out.append(1, c);
    return;
  }
  const size_t digits = rune <= 0xff ? 2 : rune <= 0xffff ? 4 : 8;
  out.append(1, digits == 2 ? 'x' : digits == 4 ? 'u' : 'U');
  for (size_t i = digits; i-- > 0;) out.append(1, kHexDigits[(rune >> (4 * i)) & 15]);
}

/// A float in YAML's form: shortest digits, exponent form when the decimal exponent is below -4 or at least 6.
void append_float(std::string_view canonical, bool keep_type, SecureBuffer& out) {
  if (canonical == "NaN") return out.append(".nan");
  if (canonical == "+Inf") return out.append(".inf");
  if (canonical == "-Inf") return out.append("-.inf");
  const std::optional<double> value = parse_decimal_float(canonical);
  if (!value) return out.append(canonical);

  // d.ddde±xx → digits and exponent
  std::array<char, 40> buffer;
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), *value, std::chars_format::scientific);
  SOPS_CHECK(error == std::errc(), "40 characters hold every double in scientific form");
  std::string_view text(buffer.data(), static_cast<size_t>(end - buffer.data()));
  if (text.starts_with('-')) {
    out.append("-");
    text.remove_prefix(1);
  }
  const size_t mark = text.find('e');
  int exponent = 0;
  const std::string_view exponent_digits = text.substr(mark + 2);
  std::from_chars(exponent_digits.data(), exponent_digits.data() + exponent_digits.size(), exponent);
  if (text[mark + 1] == '-') exponent = -exponent;

  if (exponent < -4 || exponent >= 6) {
    out.append(text.substr(0, mark));
    out.append(exponent < 0 ? "e-" : "e+");
    const std::string digits = std::to_string(exponent < 0 ? -exponent : exponent);
    if (digits.size() < 2) out.append("0");
    out.append(digits);
  } else {
    std::array<char, 24> digits;
    size_t count = 0;
    for (char c : text.substr(0, mark)) {
      if (is_digit(c)) digits[count++] = c;
    }
    const auto piece = [&](size_t from, size_t length) { return std::string_view(digits.data() + from, length); };
    if (exponent < 0) {
      out.append("0.");
      out.append(static_cast<size_t>(-exponent - 1), '0');
      out.append(piece(0, count));
    } else {
      const size_t whole = static_cast<size_t>(exponent) + 1;
      out.append(piece(0, std::min(whole, count)));
      if (whole > count) out.append(whole - count, '0');
      if (whole < count) {
        out.append(".");
        out.append(piece(whole, count - whole));
      } else if (keep_type) {
        out.append(".0");
      }
    }
    wipe({reinterpret_cast<uint8_t*>(digits.data()), digits.size()});
  }
  wipe({reinterpret_cast<uint8_t*>(buffer.data()), buffer.size()});
}

SecureBytes base64_of(std::string_view bytes) {
  SecureBytes text(base64_length(bytes.size()));
  base64_encode(as_bytes(bytes), reinterpret_cast<char*>(text.expose_mutable().data()));
  return text;
}

/// `!!binary` and base64: on one line below 70 characters, else a literal in lines of 70 (yaml.md 5.2).
void append_binary(std::string_view bytes, const ScalarPlace& place, bool one_line, SecureBuffer& out) {
  constexpr size_t kLineLength = 70;
  const SecureBytes encoded = base64_of(bytes);
  const std::string_view text = encoded.expose_text();
  out.append("!!binary ");
  if (one_line || text.size() < kLineLength) {
    if (one_line) out.append("\"");
    out.append(text);
    if (one_line) out.append("\"");
    out.append(place.header_comment);
    return;
  }
  out.append("|");
  out.append(place.header_comment);
  for (size_t at = 0; at < text.size(); at += kLineLength) {
    out.append(place.line_break);
    out.append(place.text_column, ' ');
    out.append(text.substr(at, kLineLength));
  }
}

void append_literal(std::string_view text, const ScalarPlace& place, SecureBuffer& out) {
  out.append("|");
  if (text[0] == ' ' || text[0] == '\n' || separator_length(text) > 0) {
    // The true distance, not the configured step (yaml.md 6): they differ inside list items.
    out.append(1, static_cast<char>('0' + (place.text_column - place.parent_column)));
  }
  if (!text.ends_with('\n')) {
    out.append("-");
  } else if (text.size() == 1 || text[text.size() - 2] == '\n' ||
             ends_with_separator(text.substr(0, text.size() - 1))) {
    out.append("+");
  }
  out.append(place.header_comment);
  out.append(place.line_break);
  append_literal_lines(text, place.text_column, place.line_break, out);
}

/// SOPS's choice for a text, with the author's quotes where these can hold it too.
StringStyle choose_quoted_style(std::string_view text, const Quoting& quoting) {
  const StringStyle style = choose_style(text);
  if (style == StringStyle::kLiteral) {
    return quoting.no_literals ? StringStyle::kDoubleQuoted : style;
  }
  if (quoting.plain_as == StringStyle::kPlain || style == StringStyle::kBinary) return style;
  if (style == StringStyle::kPlain || style == StringStyle::kSingleQuoted || style == StringStyle::kMergeTag) {
    return quoting.plain_as;
  }
  const TextFacts facts = examine(text);  // double-quoted, perhaps only for its type
  const bool for_type = !facts.special && !facts.tab && !facts.any_break && !facts.unprintable;
  return for_type ? quoting.plain_as : style;
}

void append_string(std::string_view text, const ScalarPlace& place, SecureBuffer& out) {
  switch (choose_quoted_style(text, place.quoting)) {
    case StringStyle::kPlain:
      out.append(text);
      break;
    case StringStyle::kSingleQuoted:
      append_single_quoted(text, place.text_column, out);
      break;
    case StringStyle::kDoubleQuoted:
      append_double_quoted(text, Escaping::kAsSops, out);
      break;
    case StringStyle::kMergeTag:
      out.append("!!merge <<");
      break;
    case StringStyle::kLiteral:
      return append_literal(text, place, out);
    case StringStyle::kBinary:
      return append_binary(text, place, /*one_line=*/false, out);
  }
  out.append(place.header_comment);
}

bool is_container(const Value& value) {
  return value.kind == ValueKind::kMapping || value.kind == ValueKind::kSequence;
}

/// True if a container has an entry or item, not only comments.
bool has_elements(const Value& value) {
  return std::any_of(value.children.begin(), value.children.end(),
                     [](const Value& child) { return child.kind != ValueKind::kComment; });
}

/// True if the value stands on the line of its key or dash: scalars and empty containers.
bool fits_on_line(const Value& value) { return !is_container(value) || !has_elements(value); }

/// True if `value` may stand behind a merge key (yaml.md 3.3): a mapping or a list of mappings.
bool can_be_merged(const Value& value) {
  if (value.kind == ValueKind::kMapping) return true;
  return value.kind == ValueKind::kSequence &&
         std::all_of(value.children.begin(), value.children.end(), [](const Value& child) {
           return child.kind == ValueKind::kMapping || child.kind == ValueKind::kComment;
         });
}

/// Writes one tree in block style. See append_block.
class BlockWriter {
 public:
  BlockWriter(const BlockLayout& layout, SecureBuffer& out) : layout_(layout), out_(out) {}

  void write(const Value& root) {
    if (!has_elements(root)) {
      for (const Value& comment : root.children) write_comment_line(comment, layout_.column);
      begin_line(layout_.column);
      out_.append(root.kind == ValueKind::kMapping ? "{}" : "[]");
      return;
    }
    open_.push_back({&root, 0, layout_.column, /*first_line_shared=*/false});
    while (!open_.empty()) {
      if (open_.back().at == open_.back().container->children.size()) {
        open_.pop_back();
      } else {
        write_next_child();
      }
    }
  }

 private:
  /// A collection that is being written.
  struct Frame {
    const Value* container;
    size_t at;  // index of the child to write next
    size_t column;
    bool first_line_shared;  // its first element stands behind the `- ` or `: ` of its parent
  };

  /// A run of comments and the element behind it.
  struct Run {
    size_t element;    // index; the number of children if there is none
    bool keep_inline;  // inline comments go to the element's line
  };

  /// Where a collection or a literal's text under a key at `column` stands.
  size_t next(size_t column) const { return layout_.column + next_column(column - layout_.column, layout_.step); }

  Run find_run(const Value& container, size_t from) const {
    size_t at = from;
    size_t inlines = 0;
    for (; at < container.children.size() && container.children[at].kind == ValueKind::kComment; ++at) {
      if (container.children[at].is_inline) ++inlines;
    }
    Run run{at, at < container.children.size() && fits_on_line(container.children[at])};
    const bool in_order = inlines == 0 || (inlines == 1 && container.children[at - 1].is_inline);
    if (layout_.keep_comment_order && !in_order) run.keep_inline = false;
    return run;
  }

  /// Moves to `column` of a new line, or stays where the first line begins.
  void begin_line(size_t column) {
    if (continue_line_) {
      continue_line_ = false;
      return;
    }
    out_.append(layout_.line_break);
    out_.append(column, ' ');
  }

  void write_comment_line(const Value& comment, size_t column) {
    // With CR LF a comment directly below content is its foot, which may come to stand behind what follows (yaml.md
    // 1.3.3, 1.5).
    const bool below_content = !continue_line_ && out_.size() != end_of_comment_;
    if (layout_.keep_comment_order && layout_.line_break == "\r\n" && below_content) out_.append(layout_.line_break);
    begin_line(column);
    append_comment(comment.text, layout_.line_break, out_);
    end_of_comment_ = out_.size();
  }

  /// Comments that stand above the element behind them: all but those that go to its line.
  void write_comments_above(const Value& container, size_t from, const Run& run, size_t column) {
    for (size_t i = from; i < run.element; ++i) {
      const Value& comment = container.children[i];
      if (!comment.is_inline || !run.keep_inline) write_comment_line(comment, column);
    }
  }

  void write_next_child() {
    Frame& frame = open_.back();
    const Value& container = *frame.container;
    const size_t from = frame.at;
    const bool shared = frame.first_line_shared;
    const size_t column = frame.column;
    frame.first_line_shared = false;
    const Run run = find_run(container, from);

    if (run.element == container.children.size()) {  // behind the last element
      for (size_t i = from; i < run.element; ++i) write_comment_line(container.children[i], column);
      frame.at = run.element;
      return;
    }
    // On a shared line they were written above the parent's dash.
    if (!shared) write_comments_above(container, from, run, column);

    line_comment_ = {};
    std::vector<const Value*> below;
    for (size_t i = from; run.keep_inline && i < run.element; ++i) {
      const Value& comment = container.children[i];
      if (!comment.is_inline) continue;
      if (line_comment_.empty()) {
        SecureBuffer text;
        append_comment(comment.text, layout_.line_break, text);
        comment_ = text.take();
        line_comment_ = comment_.expose_text();
      } else {
        below.push_back(&comment);
      }
    }
    frame.at = run.element + 1;
    write_element(container, container.children[run.element], column, shared);
    for (const Value* comment : below) write_comment_line(*comment, column);
  }

  void write_element(const Value& container, const Value& element, size_t column, bool shared) {
    const bool is_item = container.kind == ValueKind::kSequence;
    if (is_item) {
      // Comments at the head of an item stand above its dash: there is no line inside (format.md 6.1.27).
      if (!shared && !fits_on_line(element)) write_item_heads(element, column);
      begin_line(column);
      out_.append("-");
      write_value(element, column, column + 2, /*on_this_line=*/true);
      return;
    }
    begin_line(column);
    const bool explicit_key = write_key(element, column);
    if (explicit_key) begin_line(column);
    out_.append(":");
    const size_t child_column =
        element.kind == ValueKind::kSequence && layout_.list_offset ? column + *layout_.list_offset : next(column);
    // What opens on the line of the `:` may have no comments before it.
    const bool on_this_line = explicit_key && child_column >= column + 2 && is_container(element) &&
                              !element.children.empty() && element.children[0].kind != ValueKind::kComment &&
                              (element.kind == ValueKind::kMapping || fits_on_line(element.children[0]));
    if (on_this_line && !fits_on_line(element)) out_.append(child_column - column - 2, ' ');
    write_value(element, column, child_column, on_this_line);
  }

  /// Writes the comments that open `item` and the collections that open on the same line.
  void write_item_heads(const Value& item, size_t column) {
    const Value* at = &item;
    while (!fits_on_line(*at)) {
      const Run run = find_run(*at, 0);
      write_comments_above(*at, 0, run, column);
      if (at->kind != ValueKind::kSequence) break;
      at = &at->children[run.element];
    }
  }

  /// The value behind `-` or `:`. `child_column` is where a collection's elements and a literal's lines stand.
  void write_value(const Value& value, size_t column, size_t child_column, bool on_this_line) {
    if (!is_container(value)) {
      out_.append(" ");
      append_scalar(value.type, value.text, place(column, child_column), out_);
      return;
    }
    if (has_elements(value)) {
      if (on_this_line) out_.append(" ");
      continue_line_ = on_this_line;
      open_.push_back({&value, 0, child_column, on_this_line});
      return;
    }
    out_.append(value.kind == ValueKind::kMapping ? " {}" : " []");
    if (!line_comment_.empty()) {
      out_.append(" ");
      out_.append(line_comment_);
    }
    // SOPS puts the comments of a mapping that has nothing else between braces, where no reader sees them
    // (yaml.md 5.5).
    for (const Value& comment : value.children) write_comment_line(comment, column);
  }

  ScalarPlace place(size_t column, size_t text_column) {
    header_.clear();
    if (!line_comment_.empty()) {
      header_.append(" ");
      header_.append(line_comment_);
    }
    return {.parent_column = column,
            .text_column = text_column,
            .line_break = layout_.line_break,
            .header_comment = header_.view(),
            .keep_type = layout_.keep_types,
            .quoting = layout_.quoting};
  }

  /// Writes the key; true if in the form `? key` (yaml.md 5.4).
  bool write_key(const Value& element, size_t column) {
    constexpr size_t kLongestSimpleKey = 128;
    const std::string_view key = element.key;
    if (key == kMergeKey) {
      // A merge key whose value cannot be merged is not loaded again (yaml.md 6).
      out_.append(can_be_merged(element) ? "!!merge <<" : "\"<<\"");
      return false;
    }
    const bool explicit_key = key.size() > kLongestSimpleKey || examine(key).any_break;
    if (explicit_key) out_.append("? ");
    append_scalar(ScalarType::kString, key,
                  {.parent_column = column,
                   .text_column = next(column),
                   .line_break = layout_.line_break,
                   .quoting = {.plain_as = layout_.plain_keys_as}},
                  out_);
    return explicit_key;
  }

  const BlockLayout& layout_;
  SecureBuffer& out_;
  std::vector<Frame> open_;
  bool continue_line_ = true;  // the next line begins where the writer stands
  size_t end_of_comment_ = 0;  // size of out_ behind the last line of comments
  SecureBytes comment_;        // of the line being written
  std::string_view line_comment_;
  SecureBuffer header_;
};

}  // namespace

TextFacts examine(std::string_view text) {
  TextFacts facts;
  char32_t before = 0;
  for (size_t at = 0; at < text.size();) {
    if (text[at] > ' ' && text[at] < '\x7f') {  // most of most texts
      before = static_cast<unsigned char>(text[at++]);
      continue;
    }
    const std::string_view rest = text.substr(at);
    DecodedRune next{static_cast<unsigned char>(rest[0]), 1};
    if (next.rune >= 0x80) {
      if (utf8_sequence_length(rest) == 0) {
        facts.utf8 = false;
        facts.special = true;
        facts.unprintable = true;
        ++at;
        before = 0;
        continue;
      }
      next = decode_rune(rest);
    }
    const char32_t rune = next.rune;
    at += next.length;
    const bool separator = is_separator(rune);
    const bool soft_break = rune == '\n' || separator;
    if (rune == '\n') facts.line_feed = true;
    if (rune == '\t') facts.tab = true;
    if (separator) facts.other_break = true;
    if (soft_break || rune == '\r' || rune == kNextLine) facts.any_break = true;
    if (is_special(rune)) facts.special = true;
    if (!is_printable(rune)) facts.unprintable = true;
    if (soft_break && before == ' ') facts.blank_before_break = true;
    if (rune == ' ' && (before == '\n' || is_separator(before))) facts.blank_after_break = true;
    before = rune;
  }
  return facts;
}

bool plain_is_possible(std::string_view text) {
  if (text.empty()) return false;
  if (text.front() == ' ' || text.back() == ' ' || separator_length(text) > 0 || ends_with_separator(text))
    return false;
  if (text.starts_with("---") || text.starts_with("...")) return false;
  if (std::string_view("#,[]{}&*!|>'\"%@`").find(text[0]) != std::string_view::npos) return false;
  if ((text[0] == '-' || text[0] == '?' || text[0] == ':') && (text.size() == 1 || is_blank(text[1]))) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ':' && (i + 1 == text.size() || is_blank(text[i + 1]))) return false;
    if (c == '#' && i > 0 && is_blank(text[i - 1])) return false;
    if (c == '\xe2' && separator_length(text.substr(i)) > 0) return false;
  }
  return true;
}

bool is_reserved_plain(std::string_view text) {
  return resolve_plain(text).type() != ScalarType::kString || is_base60(text) ||
         std::find(kOldBooleans.begin(), kOldBooleans.end(), text) != kOldBooleans.end();
}

StringStyle choose_style(std::string_view text) {
  const TextFacts facts = examine(text);
  if (!facts.utf8) return StringStyle::kBinary;
  if (facts.line_feed) {
    const bool literal = !facts.special && !text.ends_with(' ') && !facts.blank_before_break && text[0] != '\t' &&
                         !ends_with_separator(text);
    return literal ? StringStyle::kLiteral : StringStyle::kDoubleQuoted;
  }
  if (is_reserved_plain(text)) return StringStyle::kDoubleQuoted;
  if (facts.special || facts.tab || facts.blank_before_break || facts.blank_after_break)
    return StringStyle::kDoubleQuoted;
  if (text == kMergeKey) return StringStyle::kMergeTag;
  return plain_is_possible(text) ? StringStyle::kPlain : StringStyle::kSingleQuoted;
}

void append_double_quoted(std::string_view text, Escaping escaping, SecureBuffer& out) {
  const bool everything = escaping == Escaping::kAsSops && text.starts_with("\xef\xbb\xbf");
  out.append("\"");
  size_t done = 0;  // text before it is written
  for (size_t at = 0; at < text.size();) {
    const DecodedRune next = next_rune(text.substr(at));
    const char32_t rune = next.rune;
    const bool not_utf8 = rune == 0xfffd && next.length == 1;
    const bool raw = rune >= 0x10000 ? escaping == Escaping::kMinimal
                                     : !is_special(rune) && rune != '"' && rune != '\\' && rune != '\n' &&
                                           rune != '\t' && !is_separator(rune);
    if (!raw || everything || not_utf8) {
      out.append(text.substr(done, at - done));
      append_escape(rune, out);
      done = at + next.length;
    }
    at += next.length;
  }
  out.append(text.substr(done));
  out.append("\"");
}

void append_single_quoted(std::string_view text, size_t indentation, SecureBuffer& out) {
  out.append("'");
  size_t done = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\'') {
      out.append(text.substr(done, at + 1 - done));
      out.append("'");
      done = at + 1;
    } else if (const size_t length = text[at] == '\xe2' ? separator_length(text.substr(at)) : 0; length > 0) {
      out.append(text.substr(done, at + length - done));
      done = at + length;
      if (done < text.size() && separator_length(text.substr(done)) == 0) out.append(indentation, ' ');
      at = done - 1;
    }
  }
  out.append(text.substr(done));
  out.append("'");
}

void append_literal_lines(std::string_view text, size_t indentation, std::string_view line_break, SecureBuffer& out) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  bool line_starts = true;
  size_t done = 0;
  const auto flush = [&](size_t to) {
    out.append(text.substr(done, to - done));
    done = to;
  };
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '\n') {
      flush(at);
      out.append(line_break);
      done = ++at;
      line_starts = true;
    } else if (const size_t length = text[at] == '\xe2' ? separator_length(text.substr(at)) : 0; length > 0) {
      at += length;
      flush(at);
      line_starts = true;
    } else {
      if (line_starts) {
        flush(at);
        out.append(indentation, ' ');
        line_starts = false;
      }
      ++at;
    }
  }
  flush(text.size());
}

void append_typed(ScalarType type, std::string_view text, bool keep_type, SecureBuffer& out) {
  switch (type) {
    case ScalarType::kNull:
      return out.append("null");
    case ScalarType::kBool:
      return out.append(text == "True" ? "true" : "false");
    case ScalarType::kFloat:
      return append_float(text, keep_type, out);
    default:
      return out.append(text);
  }
}

void append_scalar(ScalarType type, std::string_view text, const ScalarPlace& place, SecureBuffer& out) {
  if (type == ScalarType::kString || type == ScalarType::kBytes) return append_string(text, place, out);
  append_typed(type, text, place.keep_type, out);
  out.append(place.header_comment);
}

void append_comment(std::string_view text, std::string_view line_break, SecureBuffer& out) {
  out.append("#");
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const DecodedRune next = next_rune(rest);
    if (next.rune == '\n' || next.rune == '\r' || next.rune == kNextLine || is_separator(next.rune)) {
      out.append(line_break);
      out.append("#");
      at += rest.starts_with("\r\n") ? 2 : next.length;
      continue;
    }
    const bool allowed = is_printable(next.rune) && !(next.rune == 0xfffd && next.length == 1);
    out.append(allowed ? rest.substr(0, next.length) : "\xef\xbf\xbd");
    at += next.length;
  }
}

Result<size_t> effective_step(const EmitStyle& style) {
  const int indent = style.indent.value_or(0);
  if (indent < 0)
    return fail(ErrorCode::kUsage, "the indentation of YAML cannot be negative: {}", indent)
        .exit(ExitStatus::kCannotSerialize);
  if (indent == 0) return 4;
  return indent == 1 || indent > 9 ? 2 : static_cast<size_t>(indent);
}

void append_block(const Value& container, const BlockLayout& layout, SecureBuffer& out) {
  BlockWriter(layout, out).write(container);
}

bool is_flow_word(std::string_view text) {
  const auto is_word = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.';
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), is_word) && text[0] != '-' &&
         choose_style(text) == StringStyle::kPlain;
}

void append_flow_key(std::string_view key, bool always_quoted, SecureBuffer& out) {
  constexpr size_t kLongestPlainKey = 100;
  constexpr size_t kLongestImplicitKey = 160;  // libyaml's limit is 1024 characters, escapes included: at most 6 each
  if (!always_quoted && key.size() <= kLongestPlainKey && is_flow_word(key)) return out.append(key);
  if (key.size() > kLongestImplicitKey) out.append("? ");
  if (!is_utf8(key)) {
    append_binary(key, {}, /*one_line=*/true, out);
  } else {
    append_double_quoted(key, Escaping::kAsSops, out);
  }
}

void append_flow(const Value& value, const FlowLayout& layout, SecureBuffer& out) {
  struct Frame {
    const Value* container;
    size_t at;
    bool first;
  };
  std::vector<Frame> open;
  const auto write_scalar = [&](const Value& scalar) {
    if (scalar.type != ScalarType::kString && scalar.type != ScalarType::kBytes) {
      append_typed(scalar.type, scalar.text, layout.keep_types, out);
    } else if (layout.plain_words && is_flow_word(scalar.text)) {
      out.append(scalar.text);
    } else if (is_utf8(scalar.text)) {
      append_double_quoted(scalar.text, Escaping::kAsSops, out);
    } else {
      append_binary(scalar.text, {}, /*one_line=*/true, out);
    }
  };
  const auto write = [&](const Value& next) {
    if (!is_container(next)) return write_scalar(next);
    out.append(next.kind == ValueKind::kMapping ? "{" : "[");
    open.push_back({&next, 0, true});
  };

  if (value.kind == ValueKind::kComment) return;
  write(value);
  bool after_comment = false;  // a comment's line must end before anything follows
  while (!open.empty()) {
    Frame& frame = open.back();
    const Value& container = *frame.container;
    if (after_comment) out.append(layout.line_break);
    if (frame.at == container.children.size()) {
      after_comment = false;
      out.append(container.kind == ValueKind::kMapping ? "}" : "]");
      open.pop_back();
      continue;
    }
    const Value& child = container.children[frame.at++];
    if (child.kind == ValueKind::kComment) {
      if (!after_comment) out.append(layout.line_break);
      // With CR LF the comment would be the foot of what stands before it, which a bracket loses (yaml.md 1.3.3); after
      // an empty line it is the head of what follows.
      if (!after_comment && layout.line_break == "\r\n") out.append(layout.line_break);
      append_comment(child.text, layout.line_break, out);
      after_comment = true;
      continue;
    }
    if (!frame.first) out.append(", ");
    after_comment = false;
    frame.first = false;
    if (container.kind == ValueKind::kMapping) {
      if (child.key == kMergeKey && can_be_merged(child)) {
        out.append(kMergeKey);
      } else {
        append_flow_key(child.key, layout.quote_keys, out);
      }
      out.append(": ");
    }
    write(child);
  }
}

Result<SecureBytes> emit(const Value& tree, const EmitStyle& style) {
  if (tree.kind != ValueKind::kMapping) {
    return fail(ErrorCode::kUnsupported, "a YAML file must be a mapping").exit(ExitStatus::kCannotSerialize);
  }
  BlockLayout layout;
  layout.step = TRY(effective_step(style));
  SecureBuffer out;
  append_block(tree, layout, out);
  out.append("\n");
  return out.take();
}

Result<SecureBytes> emit_value(const Value& value, const EmitStyle&) {
  SecureBuffer out;
  if (is_container(value)) {
    append_block(value, {}, out);
  } else {
    append_scalar(value.type, value.text, {}, out);
  }
  out.append("\n");
  return out.take();
}

}  // namespace sops::yaml
