// SPDX-License-Identifier: MPL-2.0
//
// YAML texts that others wrote, for tests that try something on every one of them.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace sops {

inline const std::string kShared = SOPS_SHARED_DIR;
inline const std::string kGolden = SOPS_SOURCE_DIR "/tests/golden";

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// The golden inputs that SOPS accepts, sorted: name and text.
inline std::vector<std::pair<std::string, std::string>> golden_inputs() {
  std::vector<std::pair<std::string, std::string>> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden + "/in")) {
    const std::string name = entry.path().filename();
    if (entry.path().extension() == ".yaml" && std::filesystem::exists(kGolden + "/default/" + name + "/enc.yaml")) {
      inputs.emplace_back(name, read_file(entry.path()));
    }
  }
  std::sort(inputs.begin(), inputs.end());
  return inputs;
}

/// The inputs of the YAML test suite (its notation for what cannot be seen decoded), each as it is and as the value of
/// a key, because most have no mapping at their root.
inline std::vector<std::pair<std::string, std::string>> suite_inputs() {
  std::vector<std::pair<std::string, std::string>> inputs;
  const std::filesystem::path root = kShared + "/vectors/yaml-test-suite";
  if (!std::filesystem::exists(root)) return inputs;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::string line;
    bool inside = false;
    std::vector<std::string> texts;
    while (std::getline(file, line)) {
      if (inside && (line.empty() || line.starts_with("    "))) {
        texts.back() += line.empty() ? "\n" : line.substr(4) + "\n";
        continue;
      }
      inside = line.starts_with("  yaml: |");
      if (inside) texts.emplace_back();
    }
    for (std::string& text : texts) {
      const std::vector<std::pair<std::string, std::string>> notation = {
          {"␣", " "}, {"———»", "\t"}, {"——»", "\t"}, {"—»", "\t"},         {"»", "\t"},
          {"↵", ""},  {"∎\n", ""},    {"←", "\r"},   {"⇔", "\xef\xbb\xbf"}};
      for (const auto& [from, to] : notation) {
        for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at))
          text.replace(at, from.size(), to);
      }
      std::string wrapped = "k:\n  ";
      for (const char c : text) {
        wrapped += c;
        if (c == '\n') wrapped += "  ";
      }
      inputs.emplace_back(entry.path().filename(), text);
      inputs.emplace_back(entry.path().filename().string() + " wrapped", wrapped);
    }
  }
  std::sort(inputs.begin(), inputs.end());
  return inputs;
}

}  // namespace sops
