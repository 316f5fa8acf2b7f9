// SPDX-License-Identifier: MPL-2.0
//
// A fuzz target defines fuzz(); libFuzzer or replay_main.cc calls it. It aborts (FUZZ_CHECK) when an invariant is
// broken.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

/// One input. Must return for every input, and abort only when an invariant of the code under test is broken.
void fuzz(std::span<const uint8_t> input);

#define FUZZ_CHECK(cond)                                                                \
  do {                                                                                  \
    if (!(cond)) {                                                                      \
      std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #cond); \
      std::abort();                                                                     \
    }                                                                                   \
  } while (false)

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz({data, size});
  return 0;
}
#endif
