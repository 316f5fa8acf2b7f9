// SPDX-License-Identifier: MPL-2.0
//
// Runs a program once and says what it cost: `measure SECONDS_LIMIT PROGRAM ARGUMENT…` prints "seconds kilobytes
// status", status -1 after the limit. A small process of its own, because a child's peak size as the kernel reports it
// begins with the size of the process that started it, and Python is large.
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {
volatile pid_t child = 0;
void stop(int) { kill(child, SIGKILL); }
}  // namespace

extern char** environ;

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int stream = 0; stream < 3; ++stream) posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_RDWR, 0);

  signal(SIGALRM, stop);
  pid_t pid = 0;
  const auto begin = std::chrono::steady_clock::now();
  if (posix_spawn(&pid, argv[2], &actions, nullptr, argv + 2, environ) != 0) return 2;
  child = pid;
  alarm(static_cast<unsigned>(std::atoi(argv[1])));
  int status = 0;
  rusage usage{};
  while (wait4(pid, &status, 0, &usage) < 0) {
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf("%.6f %ld %d\n", seconds.count(), usage.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}
