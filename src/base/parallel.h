// SPDX-License-Identifier: MPL-2.0
//
// The ways to use several threads: a loop whose turns do not depend on each other, and a thread that works ahead. The
// result never depends on the number of threads (architecture.md 3).
#pragma once

#include <cstddef>
#include <functional>
#include <thread>

namespace sops {

/// Calls body(begin, end) for consecutive pieces of [0, count), each at least `grain` long but the last, on as many
/// threads as the machine has processors. Returns when all are done. `body` must not throw and must be safe to call
/// concurrently. With one piece it runs in the calling thread and no thread is started.
void parallel_for(size_t count, size_t grain, const std::function<void(size_t begin, size_t end)>& body);

/// Starts a thread that blocks every signal, so that signals reach the thread that knows what to do with them.
std::jthread start_thread(std::function<void()> body);

}  // namespace sops
