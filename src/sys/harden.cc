// SPDX-License-Identifier: MPL-2.0
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>

#include "sys/real.h"
#include "sys/real_parts.h"

namespace sops {

namespace {

rlimit current_core_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_CORE, &limit);
  return limit;
}

const rlimit core_limit = current_core_limit();

// If a standard stream was closed by whoever started us, the next file opened would take its number, and a message for
// a person would be written into it. The place is taken by a null device opened the wrong way round, so that using the
// stream still fails, as it must: a result written to nowhere is not a success.
void occupy_standard_streams() {
  const int wrong_way[] = {O_WRONLY, O_RDONLY, O_RDONLY};
  for (int fd = 0; fd < 3; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    if (open("/dev/null", wrong_way[fd]) < 0) return;  // open() takes the lowest free number: this one
  }
}

}  // namespace

rlimit original_core_limit() { return core_limit; }

void harden_process() {
  occupy_standard_streams();
  // The hard limit stays, for a command run by exec-env gets back what it would have had without us.
  rlimit none = core_limit;
  none.rlim_cur = 0;
  setrlimit(RLIMIT_CORE, &none);
  // Also makes /proc/self belong to root, so no process of the same user can read our memory; own access to
  // /proc/self/fd still works (proc(5)).
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

}  // namespace sops
