// SPDX-License-Identifier: MPL-2.0
#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace sops {

Error Error::with_hint(std::string text) && {
  if (hint.empty()) hint = std::move(text);
  return std::move(*this);
}

Error Error::with_exit(ExitStatus status) && {
  if (!exit_status) exit_status = status;
  return std::move(*this);
}

Error Error::at(TextPosition where) && {
  if (!position) position = where;
  return std::move(*this);
}

std::string to_string(const Error& error) {
  std::string text;
  if (error.position) text += format("line {}, column {}: ", error.position->line, error.position->column);
  text += error.message;
  for (const std::string& context : error.context) text += format(" ({})", context);
  return text;
}

void check_failed(const char* file, int line, const char* condition, const char* why) {
  std::fprintf(stderr, "sops: bug at %s:%d: %s is false although %s\n", file, line, condition, why);
  std::abort();
}

}  // namespace sops
