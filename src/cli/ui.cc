// SPDX-License-Identifier: MPL-2.0
#include "cli/ui.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

namespace sops {

namespace {

void say(const std::string& line) {
  const std::string text = line + "\n";
  // One write for each line, so that lines of several processes do not mix. Nobody can be told when stderr fails.
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = write(STDERR_FILENO, text.data() + done, text.size() - done);
    if (written < 0 && errno != EINTR) return;
    if (written > 0) done += static_cast<size_t>(written);
  }
}

// "secrets.yaml: value db:password: line 3, column 7: message": from the outside in, as compilers write it.
std::string headline(const Error& error) {
  std::string text;
  for (auto context = error.context.rbegin(); context != error.context.rend(); ++context) text += *context + ": ";
  if (error.position) text += format("line {}, column {}: ", error.position->line, error.position->column);
  return text + error.message;
}

}  // namespace

void Ui::error(const Error& error) {
  say("sops: error: " + headline(error));
  causes(error, 2);
  if (!error.hint.empty()) say("sops: hint: " + error.hint);
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
  say(format("sops: warning: {}", text));
}

void Ui::note(std::string_view text) {
  if (record_ != nullptr) return record_->push_back({.level = Message::Level::kNote, .text = std::string(text)});
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

std::string error_json(const Error& error) {
  std::string json = format(R"({{"message":{})", json_string(headline(error)));
  if (!error.hint.empty()) json += format(R"(,"hint":{})", json_string(error.hint));
  std::string causes;
  for (const Error& cause : error.causes) causes += (causes.empty() ? "" : ",") + error_json(cause);
  if (!causes.empty()) json += format(R"(,"causes":[{}])", causes);
  return json + "}";
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
