// SPDX-License-Identifier: MPL-2.0
//
// Reading public test vectors: whole files, hexadecimal, and the little JSON that Wycheproof files need. For tests
// only: a malformed file ends the test program.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sops {

/// The bytes of a file, nullopt if it cannot be read.
inline std::optional<std::string> read_vector_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

[[noreturn]] inline void bad_vector(std::string_view why) {
  std::fprintf(stderr, "test vector: %.*s\n", static_cast<int>(why.size()), why.data());
  std::abort();
}

/// The bytes of lower-case or upper-case hexadecimal.
inline std::vector<uint8_t> from_hex(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    bad_vector("no hexadecimal digit");
  };
  if (text.size() % 2 != 0) bad_vector("odd number of hexadecimal digits");
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(digit(text[i]) * 16 + digit(text[i + 1])));
  }
  return bytes;
}

/// A JSON value, just enough for Wycheproof. Numbers, booleans and null are kept as their text; escapes in strings are
/// not decoded, because the fields used hold none.
struct VectorJson {
  std::string text;                           // of a string, number, boolean
  std::vector<VectorJson> items;              // of an array
  std::map<std::string, VectorJson> members;  // of an object

  /// A member; an empty value if there is none.
  const VectorJson& operator[](const std::string& name) const {
    static const VectorJson nothing;
    auto it = members.find(name);
    return it == members.end() ? nothing : it->second;
  }
  std::vector<uint8_t> hex() const { return from_hex(text); }
  size_t number() const { return std::stoul(text); }

  static VectorJson parse(std::string_view source) {
    size_t at = 0;
    return parse_value(source, at);
  }

 private:
  static char peek(std::string_view source, size_t& at) {
    at = source.find_first_not_of(" \t\r\n", at);
    if (at == std::string_view::npos) bad_vector("JSON ends too early");
    return source[at];
  }
  static std::string parse_string(std::string_view source, size_t& at) {
    const size_t begin = ++at;
    while (at < source.size() && source[at] != '"') at += source[at] == '\\' ? 2 : 1;
    if (at >= source.size()) bad_vector("JSON string without end");
    return std::string(source.substr(begin, at++ - begin));
  }
  static VectorJson parse_value(std::string_view source, size_t& at) {
    VectorJson value;
    const char c = peek(source, at);
    if (c == '"') {
      value.text = parse_string(source, at);
    } else if (c == '{') {
      for (++at; peek(source, at) != '}';) {
        if (source[at] == ',') ++at;
        if (peek(source, at) != '"') bad_vector("JSON member without name");
        std::string name = parse_string(source, at);
        if (peek(source, at) != ':') bad_vector("JSON member without value");
        ++at;
        value.members[std::move(name)] = parse_value(source, at);
      }
      ++at;
    } else if (c == '[') {
      for (++at; peek(source, at) != ']';) {
        if (source[at] == ',') ++at;
        value.items.push_back(parse_value(source, at));
      }
      ++at;
    } else {
      const size_t end = source.find_first_of(",]} \t\r\n", at);
      value.text = std::string(source.substr(at, end - at));
      at = end;
    }
    return value;
  }
};

}  // namespace sops
