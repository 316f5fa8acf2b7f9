// SPDX-License-Identifier: MPL-2.0
#include "base/parallel.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

namespace sops {

void parallel_for(size_t count, size_t grain, const std::function<void(size_t begin, size_t end)>& body) {
  if (count == 0) return;
  grain = std::max<size_t>(grain, 1);
  const size_t pieces = (count + grain - 1) / grain;
  const size_t threads = std::min<size_t>(pieces, std::max(1u, std::thread::hardware_concurrency()));
  if (threads <= 1) return body(0, count);
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t piece = next++; piece < pieces; piece = next++)
      body(piece * grain, std::min(count, (piece + 1) * grain));
  };
  std::vector<std::jthread> helpers;
  for (size_t i = 1; i < threads; ++i) helpers.push_back(start_thread(work));
  work();
}

std::jthread start_thread(std::function<void()> body) {
  // A thread inherits the mask of the one that starts it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  std::jthread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace sops
