// SPDX-License-Identifier: MPL-2.0
#include "cli/ui.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

namespace sops {

namespace {

constexpr std::string_view kRed = "31";
constexpr std::string_view kYellow = "33";
constexpr std::string_view kCyan = "36";

// Nobody can be told when stderr fails.
void write_to_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
}

// One write for each line, so that lines of several processes do not mix.
void say(const std::string& line) { write_to_stderr(line + "\n"); }

// True for what a terminal would not show as a character: control characters, line separators, changes of direction.
bool is_unshowable(char32_t rune) {
  return rune < 0x20 || (rune >= 0x7f && rune < 0xa0) || rune == 0x2028 || rune == 0x2029 ||
         (rune >= 0x200e && rune <= 0x200f) || (rune >= 0x202a && rune <= 0x202e) || (rune >= 0x2066 && rune <= 0x2069);
}

// Appends `line` with `?` for what cannot be shown and a space for a TAB: one character each.
void append_shown(std::string_view line, SecureBuffer& out) {
  while (!line.empty()) {
    const size_t length = utf8_sequence_length(line);
    const bool shown = length > 0 && !is_unshowable(decode_rune(line).rune);
    out.append(shown ? line.substr(0, length) : line[0] == '\t' ? " " : "?");
    line.remove_prefix(length > 0 ? length : 1);
  }
}

// The line numbered `number` from 1.
std::string_view line_of(std::string_view text, size_t number) {
  for (; number > 1 && !text.empty(); --number) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return text.substr(0, text.find('\n'));
}

// "secrets.yaml: value db:password: line 3, column 7: message": from the outside in, as compilers write it.
std::string headline(const Error& error) {
  std::string text;
  for (auto context = error.context.rbegin(); context != error.context.rend(); ++context) text += *context + ": ";
  if (error.position) text += format("line {}, column {}: ", error.position->line, error.position->column);
  return text + error.message;
}

std::string_view code_name(ErrorCode code) {
  constexpr std::array<std::string_view, 10> kNames = {"not_mine", "auth_failed", "malformed",   "not_found",
                                                       "denied",   "unavailable", "unsupported", "usage",
                                                       "io",       "needs_person"};
  return kNames[static_cast<size_t>(code)];
}

std::string json_message(std::string_view level, std::string_view text) {
  return format(R"({{"version":1,"level":"{}","message":{}}})", level, json_string(text));
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : to_valid_utf8(text)) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

std::string Ui::painted(std::string_view word, std::string_view color) const {
  return is_colored_ ? format("\x1b[1;{}m{}\x1b[0m", color, word) : std::string(word);
}

void Ui::error(const Error& error) {
  if (is_json_) return say(error_json(error));
  say(format("sops: {} {}", painted("error:", kRed), headline(error)));
  causes(error, 2);
  if (!error.hint.empty()) say(format("sops: {} {}", painted("hint:", kCyan), error.hint));
}

void Ui::causes(const Error& error, size_t indentation) {
  for (const Error& cause : error.causes) {
    say(std::string(indentation, ' ') + "- " + headline(cause));
    if (!cause.hint.empty()) say(std::string(indentation + 2, ' ') + "hint: " + cause.hint);
    causes(cause, indentation + 2);
  }
}

void Ui::warning(std::string_view text) {
  if (record_ != nullptr) return record_->push_back({.level = Message::Level::kWarning, .text = std::string(text)});
  if (is_json_) return say(json_message("warning", text));
  say(format("sops: {} {}", painted("warning:", kYellow), text));
}

void Ui::note(std::string_view text) {
  if (record_ != nullptr) return record_->push_back({.level = Message::Level::kNote, .text = std::string(text)});
  if (is_json_) return say(json_message("note", text));
  say(format("sops: {}", text));
}

void Ui::say_again(const Message& message) {
  if (message.level == Message::Level::kWarning) return warning(message.text);
  note(message.text);
}

size_t Ui::progress(std::string_view text, size_t old_length) {
  // Blanks instead of an escape sequence: they work on every terminal.
  std::string line = "\r" + std::string(text);
  if (old_length > text.size()) line += std::string(old_length - text.size(), ' ');
  if (text.empty()) line += "\r";
  [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, line.data(), line.size());
  return text.size();
}

// Everything but version, level and exit_status, which only the outermost error has.
std::string Ui::error_fields(const Error& error) const {
  std::string json = format(R"("code":"{}","message":{})", code_name(error.code), json_string(error.message));
  std::string context;
  for (auto text = error.context.rbegin(); text != error.context.rend(); ++text) {
    const auto file = files_.find(*text);
    // The position is in the input named by the outermost context (base/error.h).
    if (file != files_.end() && text == error.context.rbegin()) {
      json += format(R"(,"file":{})", json_string(file->second));
    } else {
      context += (context.empty() ? "" : ",") + json_string(*text);
    }
  }
  if (error.position) json += format(R"(,"line":{},"column":{})", error.position->line, error.position->column);
  if (!context.empty()) json += format(R"(,"context":[{}])", context);
  if (!error.hint.empty()) json += format(R"(,"hint":{})", json_string(error.hint));
  std::string causes;
  for (const Error& cause : error.causes) causes += (causes.empty() ? "{" : ",{") + error_fields(cause) + "}";
  if (!causes.empty()) json += format(R"(,"causes":[{}])", causes);
  return json;
}

std::string Ui::error_json(const Error& error) const {
  const int status = static_cast<int>(error.exit_status.value_or(ExitStatus::kGeneric));
  return format(R"({{"version":1,"level":"error","exit_status":{},{}}})", status, error_fields(error));
}

void Ui::excerpt(std::string_view text, TextPosition where) {
  constexpr size_t kLongest = 400;  // bytes; a caret far to the right helps nobody
  if (is_json_ || isatty(STDERR_FILENO) != 1) return;
  const std::string_view line = line_of(text, where.line);
  if (line.size() > kLongest || where.column == 0) return;
  SecureBuffer shown;
  shown.append("  ");
  append_shown(line, shown);
  shown.append("\n  ");
  shown.append(where.column - 1, ' ');
  shown.append("^\n");
  write_to_stderr(shown.view());
}

void Ui::lines(std::string_view text) {
  SecureBuffer shown;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    append_shown(text.substr(0, end), shown);
    shown.append("\n");
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  write_to_stderr(shown.view());
}

Result<void> Ui::data(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail(ErrorCode::kIo, "cannot write to standard output: {}", std::strerror(errno))
          .exit(ExitStatus::kCannotWriteOutput);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace sops
