// SPDX-License-Identifier: MPL-2.0
//
// Unpacks zlib data (RFC 1950, RFC 1951) of public test vectors, so that no test needs a compression library. Simple
// and slow; the check sum is not looked at, because every vector has a hash of its own. A malformed file ends the test
// program.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/vectors.h"

namespace sops {

/// The content of zlib data.
class Inflate {
 public:
  static std::string unpack(std::string_view zlib) {
    if (zlib.size() < 2 || (zlib[0] & 15) != 8) bad_vector("no zlib data");
    Inflate inflate(zlib.substr(2));
    while (!inflate.block()) {
    }
    return std::move(inflate.out_);
  }

 private:
  explicit Inflate(std::string_view in) : in_(in) {}

  uint32_t bits(int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; ++i, ++at_) {
      if (at_ / 8 >= in_.size()) bad_vector("zlib data ends too early");
      value |= ((static_cast<uint32_t>(static_cast<uint8_t>(in_[at_ / 8])) >> (at_ % 8)) & 1) << i;
    }
    return value;
  }

  // A canonical Huffman code (RFC 1951 3.2.2): for each length the first code, and the symbols in order.
  struct Code {
    std::array<uint32_t, 16> count{};
    std::vector<uint32_t> symbols;

    explicit Code(const std::vector<uint8_t>& lengths) {
      for (uint32_t length = 1; length < 16; ++length) {
        for (uint32_t symbol = 0; symbol < lengths.size(); ++symbol) {
          if (lengths[symbol] != length) continue;
          ++count[length];
          symbols.push_back(symbol);
        }
      }
    }
  };

  uint32_t symbol(const Code& code) {
    uint32_t value = 0;
    uint32_t first = 0;
    uint32_t index = 0;
    for (uint32_t length = 1; length < 16; ++length) {
      value = value << 1 | bits(1);
      first <<= 1;
      if (value - first < code.count[length]) return code.symbols[index + value - first];
      index += code.count[length];
      first += code.count[length];
    }
    bad_vector("no such code in zlib data");
  }

  // Unpacks one block; true after the last.
  bool block() {
    const bool is_last = bits(1) != 0;
    const uint32_t type = bits(2);
    if (type == 0) {
      at_ = (at_ + 7) / 8 * 8;
      const uint32_t size = bits(16);
      bits(16);
      if (at_ / 8 + size > in_.size()) bad_vector("zlib data ends too early");
      out_.append(in_.substr(at_ / 8, size));
      at_ += size * 8;
    } else if (type == 1) {
      std::vector<uint8_t> lengths(288, 8);
      for (size_t i = 144; i < 256; ++i) lengths[i] = 9;
      for (size_t i = 256; i < 280; ++i) lengths[i] = 7;
      codes(Code(lengths), Code(std::vector<uint8_t>(30, 5)));
    } else if (type == 2) {
      dynamic_block();
    } else {
      bad_vector("bad block in zlib data");
    }
    return is_last;
  }

  void dynamic_block() {
    static constexpr uint8_t kOrder[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    const size_t literals = bits(5) + 257;
    const size_t distances = bits(5) + 1;
    const size_t lengths_given = bits(4) + 4;
    std::vector<uint8_t> meta(19, 0);
    for (size_t i = 0; i < lengths_given; ++i) meta[kOrder[i]] = static_cast<uint8_t>(bits(3));
    const Code meta_code(meta);
    std::vector<uint8_t> lengths;
    while (lengths.size() < literals + distances) {
      const uint32_t what = symbol(meta_code);
      if (what < 16) {
        lengths.push_back(static_cast<uint8_t>(what));
      } else if (what == 16) {
        if (lengths.empty()) bad_vector("nothing to repeat in zlib data");
        lengths.insert(lengths.end(), bits(2) + 3, uint8_t{lengths.back()});
      } else {
        lengths.insert(lengths.end(), what == 17 ? bits(3) + 3 : bits(7) + 11, uint8_t{0});
      }
    }
    const auto middle = lengths.begin() + static_cast<ptrdiff_t>(literals);
    codes(Code(std::vector<uint8_t>(lengths.begin(), middle)), Code(std::vector<uint8_t>(middle, lengths.end())));
  }

  void codes(const Code& literal_code, const Code& distance_code) {
    while (true) {
      uint32_t what = symbol(literal_code);
      if (what < 256) {
        out_ += static_cast<char>(what);
        continue;
      }
      if (what == 256) return;
      what -= 257;
      // RFC 1951 3.2.5: groups of four lengths, each group with one extra bit more.
      size_t length = 258;
      if (what < 8) {
        length = what + 3;
      } else if (what < 28) {
        const uint32_t extra = (what - 4) / 4;
        length = ((4 + what % 4) << extra) + 3 + bits(static_cast<int>(extra));
      }
      const uint32_t code = symbol(distance_code);
      size_t distance = code + 1;
      if (code >= 4) {
        const uint32_t extra = code / 2 - 1;
        distance = ((2 + code % 2) << extra) + 1 + bits(static_cast<int>(extra));
      }
      if (distance > out_.size()) bad_vector("bad distance in zlib data");
      for (size_t i = 0; i < length; ++i) out_ += out_[out_.size() - distance];
    }
  }

  std::string_view in_;
  size_t at_ = 0;  // in bits
  std::string out_;
};

}  // namespace sops
