// SPDX-License-Identifier: MPL-2.0
//
// A loop over tokens with one state and one "open container"; the way back out of a container is Node::parent, so
// nesting costs no stack. What is accepted is what the decoder in SOPS accepts (format.md 6B): any repeated keys, any
// bytes that are not UTF-8 and any lone surrogates, the latter two decoded to U+FFFD. Beyond that, truncated texts and
// texts that go on behind the top-level object are refused (format.md 6.2.3, "Ours").
//
// A string without escapes and with valid UTF-8 is a view into the text. Eight characters at a time are looked at until
// one is special.
#include "formats/json/scan.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "base/decimal.h"
#include "formats/json/json.h"

namespace sops::json {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A character of a string that is not simply itself: quote, backslash, control character, or the start of a sequence
// that has to be checked.
bool is_special(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return c == '"' || c == '\\' || byte < 0x20 || byte >= 0x80;
}

// The first special character in [p, end), or end.
const char* find_special(const char* p, const char* end) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHighs = 0x8080808080808080;
  while (end - p >= 8) {
    uint64_t word;
    std::memcpy(&word, p, sizeof word);
    const uint64_t quote = word ^ (kOnes * '"');
    const uint64_t backslash = word ^ (kOnes * '\\');
    // Each term has the high bit where a byte is special, and perhaps in bytes above it, never in bytes below.
    const uint64_t found =
        (word | (((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash) | ((word - kOnes * 0x20) & ~word))) &
        kHighs;
    if (found == 0) {
      p += 8;
    } else if constexpr (std::endian::native == std::endian::little) {
      return p + std::countr_zero(found) / 8;
    } else {
      break;
    }
  }
  while (p != end && !is_special(*p)) ++p;
  return p;
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The code unit of `\uXXXX` at the start of `text`, -1 if there is none.
int32_t code_unit(std::string_view text) {
  if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return -1;
  int32_t unit = 0;
  for (size_t i = 2; i < 6; ++i) {
    const int digit = hex_value(text[i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

char simple_escape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;  // quote, backslash, slash
  }
}

// Writes a string's characters to memory that is known to be large enough.
class Writer {
 public:
  explicit Writer(std::span<uint8_t> out) : begin_(out.data()), at_(out.data()) {}

  void put(std::string_view text) {
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void put(char c) { *at_++ = static_cast<uint8_t>(c); }
  void put_rune(char32_t rune) {
    std::string utf8;
    append_rune(utf8, rune);
    put(utf8);
  }
  std::string_view text() const { return as_text({begin_, static_cast<size_t>(at_ - begin_)}); }

 private:
  uint8_t* begin_;
  uint8_t* at_;
};

// Writes the character that the escapes at the start of `raw` stand for; returns how many bytes of `raw` that were.
size_t decode_unicode_escape(std::string_view raw, Writer& out) {
  const int32_t unit = code_unit(raw);
  if (unit < 0xd800 || unit > 0xdfff) {
    out.put_rune(static_cast<char32_t>(unit));
    return 6;
  }
  const int32_t low = unit < 0xdc00 ? code_unit(raw.substr(6)) : -1;
  if (low < 0xdc00 || low > 0xdfff) {
    out.put(kReplacement);  // a lone surrogate; what follows stands for itself
    return 6;
  }
  out.put_rune(static_cast<char32_t>(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)));
  return 12;
}

// The value of a string whose grammar has been checked. `invalid` is the number of bytes in it that are not UTF-8.
std::string_view decode_string(std::string_view raw, size_t invalid, SecureArena& arena) {
  // Escapes only ever get shorter.
  Writer out(arena.allocate(raw.size() + invalid * (kReplacement.size() - 1)));
  while (!raw.empty()) {
    const size_t plain = static_cast<size_t>(find_special(raw.data(), raw.data() + raw.size()) - raw.data());
    out.put(raw.substr(0, plain));
    raw.remove_prefix(plain);
    if (raw.empty()) break;
    if (raw[0] != '\\') {
      const size_t length = utf8_sequence_length(raw);
      out.put(length > 0 ? raw.substr(0, length) : kReplacement);
      raw.remove_prefix(length > 0 ? length : 1);
    } else if (raw[1] == 'u') {
      raw.remove_prefix(decode_unicode_escape(raw, out));
    } else {
      out.put(simple_escape(raw[1]));
      raw.remove_prefix(2);
    }
  }
  return out.text();
}

enum class TopLevel { kObject, kAny };

class Scanner {
 public:
  Scanner(std::string_view text, TopLevel top_level) : text_(text), top_level_(top_level) { document_.text = text; }

  Result<Document> run(ScanMode mode) {
    if (!scan_start() || !scan_tokens() || !scan_end(mode)) return sops::fail(std::move(error_));
    if (top_level_ == TopLevel::kObject) {
      document_.branches.push_back(
          {.root = 0, .metadata = metadata_, .text = {0, static_cast<uint32_t>(text_.size())}});
    }
    return std::move(document_);
  }

 private:
  enum class State { kValue, kFirstItem, kKey, kFirstKey, kAfterValue, kDone };

  bool fail(size_t offset, std::string_view message, std::string_view hint = {}) {
    error_ =
        sops::fail(ErrorCode::kMalformed, "{}", message).hint(std::string(hint)).at(position_at(text_, offset)).error();
    return false;
  }

  bool fail_truncated() {
    const bool in_object = open_ != kNoNode && document_.nodes[open_].kind == NodeKind::kMapping;
    return fail(text_.size(), in_object ? "the text ends inside an object" : "the text ends inside a list",
                "the file seems to be cut off");
  }

  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }

  bool scan_start() {
    if (text_.size() > kMaxDocumentSize) {
      error_ = sops::fail(ErrorCode::kUnsupported, "the text is larger than 4 GiB").error();
      return false;
    }
    if (text_.starts_with(kByteOrderMark)) {
      return fail(0, "the text begins with a byte-order mark", "save it as UTF-8 without byte-order mark");
    }
    if (text_.starts_with("\xff\xfe") || text_.starts_with("\xfe\xff")) {
      return fail(0, "the text is UTF-16", "save it as UTF-8 without byte-order mark");
    }
    skip_space();
    if (at_ == text_.size()) return fail(at_, "the text is empty", "the smallest JSON file is {}");
    return top_level_ == TopLevel::kAny || check_top_level(text_[at_]);
  }

  // format.md 6.2.2: only objects; what else could be meant is worth a hint.
  bool check_top_level(char c) {
    if (c == '{') return true;
    if (c == '[') {
      return fail(at_, "the top level is a list, but must be an object",
                  "wrap it in an object, for example {\"data\": […]}");
    }
    if (c == '"') return fail(at_, "the top level is a string, but must be an object", kWrapHint);
    if (c == 't' || c == 'f') return fail(at_, "the top level is a bool, but must be an object", kWrapHint);
    if (c == 'n') return fail(at_, "the top level is null, but must be an object", kWrapHint);
    if (c == '-' || is_digit(c)) return fail(at_, "the top level is a number, but must be an object", kWrapHint);
    return fail(at_, "expected '{'", "the text is no JSON; --input-type names another format");
  }

  bool scan_tokens() {
    while (state_ != State::kDone) {
      skip_space();
      if (at_ == text_.size()) return fail_truncated();
      const char c = text_[at_];
      bool ok = true;
      switch (state_) {
        case State::kValue:
          ok = scan_any_value(c);
          break;
        case State::kFirstItem:
          ok = c == ']' ? close() : scan_any_value(c);
          break;
        case State::kKey:
          ok = scan_key(c);
          break;
        case State::kFirstKey:
          ok = c == '}' ? close() : scan_key(c);
          break;
        case State::kAfterValue:
          ok = scan_after_value(c);
          break;
        case State::kDone:
          break;
      }
      if (!ok) return false;
    }
    return true;
  }

  bool scan_end(ScanMode mode) {
    skip_space();
    if (at_ == text_.size()) return true;
    if (mode == ScanMode::kPlain) {
      return fail(at_, "the text goes on after the end of the top-level value",
                  "a JSON file holds one value; SOPS would drop the rest without a word");
    }
    const TextPosition where = position_at(text_, at_);
    document_.warnings.push_back(format(
        "line {}, column {}: the text after the top-level object is no part of the data", where.line, where.column));
    return true;
  }

  // Makes room as if the rest of the text were as dense as what was read: growing step by step costs more than
  // scanning.
  void grow_nodes() {
    const size_t count = document_.nodes.size();
    if (count < 1024 || count < document_.nodes.capacity()) return;
    const double share_read = static_cast<double>(at_) / static_cast<double>(text_.size());
    const auto expected = static_cast<size_t>(static_cast<double>(count) / share_read * 1.02);
    document_.nodes.reserve(std::clamp(expected, count + count / 2, count * 64));
  }

  Node& add_node(NodeKind kind, size_t begin) {
    grow_nodes();
    const NodeId id = static_cast<NodeId>(document_.nodes.size());
    Node& node = document_.nodes.emplace_back();
    node.kind = kind;
    node.next = id + 1;
    node.parent = open_;
    node.span.begin = node.content = static_cast<uint32_t>(begin);
    node.key_span = key_span_;
    node.key = key_;
    if (open_ == 0 && metadata_ == kNoNode && key_ == "sops") metadata_ = id;
    key_ = {};
    key_span_ = {};
    return node;
  }

  void finish_scalar(Node& node) {
    node.span.end = static_cast<uint32_t>(at_);
    state_ = open_ == kNoNode ? State::kDone : State::kAfterValue;
  }

  bool open(NodeKind kind) {
    if (depth_ == kMaxDepth) {
      error_ = sops::fail(ErrorCode::kUnsupported, "nested deeper than {} levels", kMaxDepth)
                   .at(position_at(text_, at_))
                   .exit(ExitStatus::kCannotSerialize)  // there SOPS fails when it writes
                   .error();
      return false;
    }
    ++depth_;
    const NodeId id = static_cast<NodeId>(document_.nodes.size());
    Node& node = add_node(kind, at_);
    node.style = NodeStyle::kFlow;
    open_ = id;
    ++at_;
    state_ = kind == NodeKind::kMapping ? State::kFirstKey : State::kFirstItem;
    return true;
  }

  bool close() {
    Node& node = document_.nodes[open_];
    node.span.end = static_cast<uint32_t>(++at_);
    node.next = static_cast<NodeId>(document_.nodes.size());
    open_ = node.parent;
    --depth_;
    state_ = open_ == kNoNode ? State::kDone : State::kAfterValue;
    return true;
  }

  bool scan_after_value(char c) {
    const bool in_object = document_.nodes[open_].kind == NodeKind::kMapping;
    if (c == ',') {
      ++at_;
      state_ = in_object ? State::kKey : State::kValue;
      return true;
    }
    if (c == (in_object ? '}' : ']')) return close();
    if (c == '/' || c == '#') return fail(at_, in_object ? "expected ',' or '}'" : "expected ',' or ']'", kCommentHint);
    return fail(at_, in_object ? "expected ',' or '}' after an entry" : "expected ',' or ']' after an item");
  }

  bool scan_key(char c) {
    if (c != '"') {
      if (c == '}') return fail(at_, "expected a key after ','", "remove the comma before the '}'");
      if (c == '/' || c == '#') return fail(at_, "expected a key", kCommentHint);
      return fail(at_, "expected a key in double quotes");
    }
    const size_t begin = at_;
    if (!scan_string(key_)) return false;
    key_span_ = {static_cast<uint32_t>(begin), static_cast<uint32_t>(at_)};
    skip_space();
    if (at_ == text_.size()) return fail_truncated();
    if (text_[at_] != ':') return fail(at_, "expected ':' after a key");
    ++at_;
    state_ = State::kValue;
    return true;
  }

  bool scan_any_value(char c) {
    switch (c) {
      case '"': {
        const size_t begin = at_;
        std::string_view value;
        if (!scan_string(value)) return false;
        Node& node = add_node(NodeKind::kScalar, begin);
        node.style = NodeStyle::kDoubleQuoted;
        node.text = value;
        finish_scalar(node);
        return true;
      }
      case '{':
        return open(NodeKind::kMapping);
      case '[':
        return open(NodeKind::kSequence);
      case 't':
        return scan_word("true", ScalarType::kBool, "True");
      case 'f':
        return scan_word("false", ScalarType::kBool, "False");
      case 'n':
        return scan_word("null", ScalarType::kNull, "");
      default:
        break;
    }
    if (c == '-' || is_digit(c)) return scan_number();
    if (c == '/' || c == '#') return fail(at_, "expected a value", kCommentHint);
    if (c == '\'') return fail(at_, "expected a value", "strings stand in double quotes");
    if (c == ']' || c == '}') return fail(at_, "expected a value", "remove the comma before it");
    return fail(at_, "expected a value", "a value is \"text\", a number, true, false, null, an object or a list");
  }

  bool scan_word(std::string_view word, ScalarType type, std::string_view canonical) {
    if (!text_.substr(at_).starts_with(word)) {
      return fail(at_, "expected a value", "a value is \"text\", a number, true, false, null, an object or a list");
    }
    Node& node = add_node(NodeKind::kScalar, at_);
    node.type = type;
    node.text = canonical;
    at_ += word.size();
    finish_scalar(node);
    return true;
  }

  bool skip_digits() {
    const size_t begin = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    return at_ > begin;
  }

  bool next_is(char a, char b) const { return at_ < text_.size() && (text_[at_] == a || text_[at_] == b); }

  bool scan_number() {
    const size_t begin = at_;
    if (text_[at_] == '-') ++at_;
    const bool leading_zero = next_is('0', '0');
    if (!skip_digits()) return fail(at_, "expected a digit in a number");
    if (leading_zero && at_ - begin > (text_[begin] == '-' ? 2u : 1u)) {
      return fail(begin, "a number begins with a zero", "write it without, or as text in double quotes");
    }
    bool is_integer = true;
    if (next_is('.', '.')) {
      is_integer = false;
      ++at_;
      if (!skip_digits()) return fail(at_, "expected a digit after '.'");
    }
    if (next_is('e', 'E')) {
      is_integer = false;
      ++at_;
      if (next_is('+', '-')) ++at_;
      if (!skip_digits()) return fail(at_, "expected a digit in an exponent");
    }
    return add_number(begin, is_integer);
  }

  // format.md 6.2.4: an integer literal within int64 is an int, everything else a float if a double can hold it.
  bool add_number(size_t begin, bool is_integer) {
    const std::string_view literal = text_.substr(begin, at_ - begin);
    int64_t integer = 0;
    if (is_integer && std::from_chars(literal.data(), literal.data() + literal.size(), integer).ec == std::errc()) {
      Node& node = add_node(NodeKind::kScalar, begin);
      node.type = ScalarType::kInt;
      node.text = integer == 0 ? "0" : literal;  // "-0" is 0
      finish_scalar(node);
      return true;
    }
    const std::optional<double> value = parse_decimal_literal(literal);
    if (!value) return fail(begin, "number: value out of range", "put it in double quotes to keep it as text");
    const NumberText canonical = canonical_float_text(*value);
    Node& node = add_node(NodeKind::kScalar, begin);
    node.type = ScalarType::kFloat;
    node.text = canonical.view() == literal ? literal : document_.arena.store(canonical.view());
    finish_scalar(node);
    return true;
  }

  // The string whose opening quote is at at_; moves behind its closing quote.
  bool scan_string(std::string_view& value) {
    const size_t begin = at_;
    const char* const end = text_.data() + text_.size();
    const char* p = text_.data() + begin + 1;
    bool has_escapes = false;
    size_t invalid = 0;
    while (true) {
      p = find_special(p, end);
      if (p == end)
        return fail(begin, "the text ends inside the string that begins here", "the file seems to be cut off");
      if (*p == '"') break;
      if (*p == '\\') {
        const size_t length = escape_length(p);
        if (length == 0) return false;
        has_escapes = true;
        p += length;
      } else if (static_cast<unsigned char>(*p) >= 0x80) {
        do {
          const size_t length = utf8_sequence_length({p, static_cast<size_t>(end - p)});
          if (length == 0) ++invalid;
          p += length > 0 ? length : 1;
        } while (p != end && static_cast<unsigned char>(*p) >= 0x80);
      } else {
        return fail(static_cast<size_t>(p - text_.data()), "control character in a string",
                    "write it as an escape, a line break as \\n");
      }
    }
    const std::string_view raw = text_.substr(begin + 1, static_cast<size_t>(p - text_.data()) - begin - 1);
    value = has_escapes || invalid > 0 ? decode_string(raw, invalid, document_.arena) : raw;
    at_ = static_cast<size_t>(p - text_.data()) + 1;
    return true;
  }

  // Length of the escape at `p`; 0 after an error.
  size_t escape_length(const char* p) {
    const size_t offset = static_cast<size_t>(p - text_.data());
    const std::string_view rest = text_.substr(offset);
    constexpr std::string_view kSimple = "\"\\/bfnrt";
    if (rest.size() >= 2 && kSimple.find(rest[1]) != std::string_view::npos) return 2;
    if (code_unit(rest) >= 0) return 6;
    fail(offset, "unknown escape in a string", "JSON knows \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u with four digits");
    return 0;
  }

  static constexpr std::string_view kWrapHint = "wrap it in an object, for example {\"data\": …}";
  static constexpr std::string_view kCommentHint = "JSON has no comments";

  std::string_view text_;
  TopLevel top_level_;
  Document document_;
  Error error_;
  size_t at_ = 0;
  State state_ = State::kValue;
  NodeId open_ = kNoNode;
  size_t depth_ = 0;
  NodeId metadata_ = kNoNode;
  std::string_view key_;  // of the entry whose value comes next
  Span key_span_;
};

}  // namespace

Result<Document> scan(std::string_view text, ScanMode mode) { return Scanner(text, TopLevel::kObject).run(mode); }

Result<Document> scan_value(std::string_view text) { return Scanner(text, TopLevel::kAny).run(ScanMode::kPlain); }

}  // namespace sops::json
