// SPDX-License-Identifier: MPL-2.0
//
// The commands of the program, run one after the other in one process: starting a process costs several times what
// encrypting a small file does. tests/interop/run.py uses it for most of its documents, and the program itself for the
// others; both must answer alike.
//
// A request is a line: the words of a command line, each in base64, with spaces between. The answer is a line: exit
// status, standard output, standard error, the last two in base64. It ends with its standard input.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "base/codec.h"
#include "base/text.h"
#include "cli/common.h"
#include "sys/real.h"

namespace {

using namespace sops;

// What src/cli/main.cc does for a command and its words.
Result<int> run(std::span<const std::string> words, Services& services, Ui& ui) {
  const CommandSpec* command = words.empty() ? nullptr : find_command(words[0]);
  if (command == nullptr || command->run == nullptr) return fail(ErrorCode::kUsage, "no command");
  const std::vector<FlagSpec> flags = merge_flags(command_flags(*command), root_flags());
  const ParsedArgs args = TRY(parse_args(words.subspan(1), flags, services.environment));
  CommandContext context{.services = services, .args = args, .ui = ui};
  return command->run(context);
}

// An empty file in memory in the place of `descriptor`.
void capture(int descriptor) {
  const int file = memfd_create("captured", MFD_CLOEXEC);
  SOPS_CHECK(file >= 0 && dup2(file, descriptor) == descriptor, "a test needs memory files");
  close(file);
}

std::string captured(int descriptor) {
  const off_t size = lseek(descriptor, 0, SEEK_END);
  std::string text(static_cast<size_t>(size), '\0');
  SOPS_CHECK(pread(descriptor, text.data(), text.size(), 0) == size, "reading memory");
  SOPS_CHECK(ftruncate(descriptor, 0) == 0 && lseek(descriptor, 0, SEEK_SET) == 0, "emptying memory");
  return text;
}

}  // namespace

int main() {
  FILE* const answers = fdopen(dup(STDOUT_FILENO), "w");
  capture(STDOUT_FILENO);
  capture(STDERR_FILENO);
  for (std::string line; std::getline(std::cin, line);) {
    std::vector<std::string> words;
    for (std::string_view word : split(line, ' ')) {
      std::string& decoded = words.emplace_back(base64_decoded_bound(word.size()), '\0');
      decoded.resize(base64_decode(word, reinterpret_cast<uint8_t*>(decoded.data())).value_or(0));
    }
    int status = 0;
    {
      RealServices services;
      Ui ui;
      auto result = run(words, services.get(), ui);
      if (!result) ui.error(result.error());
      status = result ? *result : static_cast<int>(result.error().exit_status.value_or(ExitStatus::kGeneric));
    }
    const std::string out = base64_encode(as_bytes(captured(STDOUT_FILENO)));
    const std::string error = base64_encode(as_bytes(captured(STDERR_FILENO)));
    std::fprintf(answers, "%d %s %s\n", status, out.c_str(), error.c_str());
    std::fflush(answers);
  }
  return 0;
}
