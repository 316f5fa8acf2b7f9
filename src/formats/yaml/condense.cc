// SPDX-License-Identifier: MPL-2.0
#include "formats/yaml/condense.h"

#include <array>
#include <cstring>

namespace sops::yaml {
namespace {

constexpr std::string_view kStart = "ENC[AES256_GCM,data:";
constexpr std::string_view kKept = "ENC[A";
constexpr size_t kWorthwhile = 64;  // ciphertexts

constexpr auto kIsBase64 = [] {
  std::array<bool, 256> is{};
  for (int c = 'a'; c <= 'z'; ++c) is[static_cast<size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) is[static_cast<size_t>(c)] = true;
  for (int c = '0'; c <= '9'; ++c) is[static_cast<size_t>(c)] = true;
  is['+'] = is['/'] = true;
  return is;
}();

// Position of the closing bracket of the ciphertext whose data begins at `at`; npos if the text does not look like one.
size_t closing_bracket(std::string_view text, size_t at) {
  for (std::string_view separator : {",iv:", ",tag:", ",type:"}) {
    while (at < text.size() && kIsBase64[static_cast<uint8_t>(text[at])]) ++at;
    while (at < text.size() && text[at] == '=') ++at;
    if (text.substr(at, separator.size()) != separator) return std::string_view::npos;
    at += separator.size();
  }
  while (at < text.size() && text[at] >= 'a' && text[at] <= 'z') ++at;
  return at < text.size() && text[at] == ']' ? at : std::string_view::npos;
}

}  // namespace

std::optional<CondensedText> condense(std::string_view text) {
  std::vector<size_t> starts;
  for (size_t at = text.find(kStart); at != std::string_view::npos; at = text.find(kStart, at + kStart.size())) {
    starts.push_back(at);
  }
  if (starts.size() < kWorthwhile) return std::nullopt;

  CondensedText condensed{.text = SecureBytes(text.size())};
  condensed.cuts.reserve(starts.size());
  uint8_t* const begin = condensed.text.expose_mutable().data();
  uint8_t* out = begin;
  size_t copied = 0;  // of `text`
  const auto copy_until = [&](size_t end) {
    std::memcpy(out, text.data() + copied, end - copied);
    out += end - copied;
    copied = end;
  };
  for (size_t start : starts) {
    const size_t end = start < copied ? std::string_view::npos : closing_bracket(text, start + kStart.size());
    if (end == std::string_view::npos) continue;
    copy_until(start + kKept.size());
    copied = end;
    condensed.cuts.push_back({.at = static_cast<uint32_t>(out - begin),
                              .removed = static_cast<uint32_t>(copied - static_cast<size_t>(out - begin))});
  }
  copy_until(text.size());
  condensed.text.shrink(static_cast<size_t>(out - begin));
  return condensed;
}

}  // namespace sops::yaml
