// SPDX-License-Identifier: MPL-2.0
//
// Runs a fuzz target over every file below the folders given, each prefix of it, and each single flipped byte: the
// corpus as a plain test, without clang.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "fuzz/fuzz.h"

int main(int argc, char** argv) {
  size_t runs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(file)), {});
      fuzz(bytes);
      ++runs;
      if (bytes.size() > 4096) continue;
      for (size_t cut = 0; cut < bytes.size(); ++cut, ++runs) fuzz({bytes.data(), cut});
      for (size_t at = 0; at < bytes.size(); ++at, ++runs) {
        bytes[at] ^= 0x20;
        fuzz(bytes);
        bytes[at] ^= 0x20;
      }
    }
  }
  std::printf("%zu inputs\n", runs);
  return runs > 0 ? 0 : 1;
}
