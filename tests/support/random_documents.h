// SPDX-License-Identifier: MPL-2.0
//
// Random documents for tests, the same for the same seed.
#pragma once

#include <random>
#include <string>
#include <vector>

namespace sops {

/// Writes random YAML from one seed: every collection style and scalar style, comments and blank lines anywhere.
class RandomYaml {
 public:
  explicit RandomYaml(unsigned seed) : random_(seed) {
    break_ = pick(4) == 0 ? "\r\n" : "\n";
    step_ = 1 + pick(4);
    indentless_ = pick(2) == 0;
    comments_ = pick(3) > 0;
  }

  std::string document() {
    std::string text = pick(20) == 0 ? "\xef\xbb\xbf" : "";
    const size_t branches = pick(6) == 0 ? 2 : 1;
    for (size_t i = 0; i < branches; ++i) {
      if (i > 0 || pick(6) == 0) text += "---" + comment_on_line() + break_;
      if (pick(12) == 0) {
        text += std::vector<std::string>{"{}", "{a: 1, b: [x, y]}", "{\"a\": \"x\"}", "~"}[pick(4)] + break_;
      } else {
        if (pick(8) == 0) text += comment_lines(0);
        write_block(text, true, 0, 0);
      }
    }
    if (pick(5) == 0) {
      while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    }
    return text;
  }

 private:
  size_t pick(size_t count) { return random_() % count; }
  std::string comment_text() { return "# c" + std::to_string(++number_); }
  std::string comment_on_line() { return comments_ && pick(6) == 0 ? " " + comment_text() : ""; }
  std::string comment_lines(size_t column) {
    std::string lines;
    while (pick(4) == 0) lines += break_;
    if (!comments_) return lines;
    while (pick(5) == 0) {
      lines += std::string(pick(4) == 0 ? pick(8) : column, ' ') + comment_text() + break_;
      while (pick(4) == 0) lines += break_;
    }
    return lines;
  }

  std::string flow(size_t depth) {
    const size_t count = pick(3);
    const bool mapping = pick(2) == 0;
    const bool lines = pick(4) == 0;
    std::string text = mapping ? "{" : "[";
    for (size_t i = 0; i < count; ++i) {
      if (lines) text += (comments_ && pick(8) == 0 ? " " + comment_text() : "") + break_ + std::string(12, ' ');
      if (mapping) text += key() + (pick(8) == 0 ? "" : ": ");
      if (text.ends_with(": ") || !mapping) {
        static const std::vector<std::string> kScalars = {"1", "x", "\"q\"", "'s'", "null", "word two", "a: 1", ""};
        if (depth < 2 && pick(4) == 0) {
          text += flow(depth + 1);
        } else {
          text += kScalars[pick(mapping ? 6 : 7)];
        }
      }
      if (i + 1 < count || pick(6) == 0) text += pick(6) == 0 ? " ," : ",";
      if (!lines) text += pick(3) == 0 ? "" : " ";
    }
    if (lines) text += (comments_ && pick(4) == 0 ? " " + comment_text() : "") + break_ + std::string(10, ' ');
    return text + (mapping ? "}" : "]");
  }

  std::string key() {
    const std::string name = "k" + std::to_string(++number_);
    const size_t style = pick(8);
    return style == 0 ? "\"" + name + "\"" : style == 1 ? "'" + name + "'" : name;
  }

  // A scalar behind a key or dash, with the end of its line.
  void write_scalar(std::string& out, size_t column) {
    static const std::vector<std::string> kScalars = {"1",    "1.50", "x",       "two words", "\"q\\n\"", "'it''s'",
                                                      "true", "null", "!!str 5", "!!int 5",   "~",        "\"\""};
    const size_t kind = pick(10);
    const std::string indent(column + 1 + pick(3), ' ');
    if (kind < 6) {
      out += " " + kScalars[pick(kScalars.size())] + comment_on_line() + break_;
    } else if (kind == 6) {
      out += comment_on_line() + break_;  // no value
    } else if (kind < 9) {
      const std::string header = std::vector<std::string>{"|", ">", "|-", "|+", ">+", ">-"}[pick(6)];
      out += " " + header + comment_on_line() + break_;
      const size_t lines = pick(3);
      for (size_t i = 0; i <= lines; ++i) out += indent + "line " + std::to_string(i) + break_;
      while (pick(2) == 0) out += break_;
    } else {
      out += pick(2) == 0 ? " \"first" + break_ + indent + "second\"" : " first" + break_ + indent + "second";
      out += comment_on_line() + break_;
    }
  }

  void write_value(std::string& out, size_t column, size_t depth, bool is_item) {
    const size_t kind = depth > 3 ? 0 : pick(8);
    if (kind < 4) return write_scalar(out, column);
    if (kind == 4) {
      out += " " + flow(0) + comment_on_line() + break_;
      return;
    }
    const bool mapping = pick(2) == 0;
    if (is_item && pick(3) > 0) {
      out += " ";
      return write_block(out, mapping, column + 2, depth + 1, true);
    }
    out += comment_on_line() + break_;
    const size_t inner = is_item ? column + 2 : mapping ? column + step_ : indentless_ ? column : column + step_;
    write_block(out, mapping, inner, depth + 1);
  }

  void write_block(std::string& out, bool mapping, size_t column, size_t depth, bool on_line = false) {
    const size_t count = 1 + pick(3);
    for (size_t i = 0; i < count; ++i) {
      if (i > 0 || !on_line) out += comment_lines(column) + std::string(column, ' ');
      if (mapping) {
        if (pick(12) == 0) {
          out += "? " + key() + comment_on_line() + break_;
          if (pick(4) == 0) continue;
          out += std::string(column, ' ');
        } else {
          out += key();
        }
        out += ":";
      } else {
        out += "-";
      }
      write_value(out, column, depth, !mapping);
    }
    out += comment_lines(column);
  }

  std::mt19937 random_;
  std::string break_;
  size_t step_ = 2;
  size_t number_ = 0;
  bool indentless_ = false;
  bool comments_ = true;
};

/// Writes random JSON in random white space, from one seed.
class RandomJson {
 public:
  explicit RandomJson(unsigned seed) : random_(seed) {
    break_ = pick(2) == 0 ? "\n" : "\r\n";
    step_ = std::vector<std::string>{"", " ", "  ", "    ", "\t"}[pick(5)];
  }

  size_t pick(size_t count) { return random_() % count; }

  std::string document() {
    std::string text = space();
    write_container(text, true, 0);
    return text + space();
  }

  std::string scalar() {
    static const std::vector<std::string> kScalars = {"null", "true", "0",     "-12",         "1.50",
                                                      "1e3",  "\"\"", "\"x\"", "\"\\u00e9\"", "\"a, b: }\""};
    return kScalars[pick(kScalars.size())];
  }

  /// A scalar, object or list.
  std::string value() {
    std::string text;
    if (pick(2) == 0) {
      text = scalar();
    } else {
      write_container(text, pick(2) == 0, 2);
    }
    return text;
  }

 private:
  std::string space() { return std::vector<std::string>{"", "", " ", break_, break_ + step_}[pick(5)]; }

  void write_container(std::string& out, bool is_object, size_t depth) {
    const size_t count = depth > 3 ? 0 : pick(4);
    const size_t style = pick(3);  // one line, own lines, anything
    const auto gap = [&](size_t level) {
      if (style == 2) return space();
      if (style == 0) return std::string(pick(2), ' ');
      std::string line = break_;
      for (size_t i = 0; i < level; ++i) line += step_;
      return line;
    };
    out += is_object ? '{' : '[';
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) out += ',';
      out += gap(depth + 1);
      if (is_object) out += "\"" + std::string(1, static_cast<char>('a' + pick(4))) + "\":" + std::string(pick(2), ' ');
      const size_t kind = pick(5);
      if (kind < 3) {
        out += scalar();
      } else {
        write_container(out, kind == 3, depth + 1);
      }
    }
    if (count > 0 || style == 2) out += gap(depth);
    out += is_object ? '}' : ']';
  }

  std::mt19937 random_;
  std::string break_;
  std::string step_;
};

}  // namespace sops
