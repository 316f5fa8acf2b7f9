// SPDX-License-Identifier: MPL-2.0
//
// replace_once [--no-tmpfile] TARGET CONTENT_FILE
//
// Puts the content of CONTENT_FILE in place of TARGET with the real Files, as the program does, and prints how it did
// it. For tests/integration/kill_at_syscall.py, which kills it at every system call. --no-tmpfile takes the way of file
// systems without unnamed files.
#include <cstdio>
#include <string_view>
#include <vector>

#include "sys/real.h"
#include "tests/support/no_tmpfile.h"

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments[0] == "--no-tmpfile") {
    if (!sops::testing::refuse_tmpfile()) {
      std::fputs("replace_once: the system does not allow a seccomp filter\n", stderr);
      return 77;
    }
    arguments.erase(arguments.begin());
  }
  if (arguments.size() != 2) {
    std::fputs("usage: replace_once [--no-tmpfile] TARGET CONTENT_FILE\n", stderr);
    return 2;
  }

  sops::RealServices services;
  sops::Files& files = services.get().files;
  const auto content = files.read(arguments[1]);
  if (!content) {
    std::fprintf(stderr, "replace_once: %s\n", to_string(content.error()).c_str());
    return 2;
  }
  const auto method = files.replace(arguments[0], content->expose(), {});
  if (!method) {
    std::fprintf(stderr, "replace_once: %s\n", to_string(method.error()).c_str());
    return 3;
  }
  const char* names[] = {"renamed", "in place", "direct"};
  std::puts(names[static_cast<int>(*method)]);
  return 0;
}
