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

void Ui::warning(std::string_view text) { say(format("sops: warning: {}", text)); }

void Ui::note(std::string_view text) { say(format("sops: {}", text)); }

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
