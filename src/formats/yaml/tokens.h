// SPDX-License-Identifier: MPL-2.0
//
// libyaml's token stream with positions in bytes. The only file of the project that includes libyaml is tokens.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "tree/document.h"

namespace sops::yaml {

/// Success. `return {}` would clear the whole Result first, with the room for its Error: a tenth of the time of a scan.
inline Result<void> done() { return Result<void>(std::in_place); }

enum class TokenType : uint8_t {
  kStreamStart,
  kStreamEnd,
  kVersionDirective,
  kTagDirective,
  kDocumentStart,
  kDocumentEnd,
  kBlockSequenceStart,
  kBlockMappingStart,
  kBlockEnd,
  kFlowSequenceStart,
  kFlowSequenceEnd,
  kFlowMappingStart,
  kFlowMappingEnd,
  kBlockEntry,
  kFlowEntry,
  kKey,
  kValue,
  kAlias,
  kAnchor,
  kTag,
  kScalar,
};

/// One token. Views point into the text or into the arena of the reader.
struct Token {
  TokenType type = TokenType::kStreamStart;
  NodeStyle style = NodeStyle::kPlain;  // of a scalar
  bool is_virtual =
      false;  // has no text: block starts and ends, and the key token before an implicit key (yaml.md 1.3.1)
  Span span;
  uint32_t column = 0;    // of span.begin, in characters; of the stream's end: of the last position of the text
  uint32_t position = 0;  // span.begin; of a block end: where comments see it (yaml.md 1.3.4)
  std::string_view text;  // scalar: decoded; anchor, alias: name; tag, %TAG: handle; %YAML: version
  std::string_view tail;  // tag: suffix; %TAG: prefix
};

/// Reads the tokens of one text.
class TokenReader {
 public:
  /// `text` is UTF-8, without byte-order mark in front; `base` is added to all positions. Decoded scalars that are no
  /// slice of the text go to `arena`. Both must outlive the reader and its tokens.
  TokenReader(std::string_view whole, uint32_t base, SecureArena& arena);
  TokenReader(const TokenReader&) = delete;
  TokenReader& operator=(const TokenReader&) = delete;
  ~TokenReader();

  /// Reads the next token into `token`. REQUIRES: the last one was not kStreamEnd.
  /// Errors: kMalformed with position; kUnsupported for nesting beyond the limits (yaml.md 4.4 k, in-place.md 6).
  Result<void> next(Token& token);

 private:
  struct Parser;

  uint32_t byte_of(size_t character);
  Failure parser_failure();

  std::unique_ptr<Parser> parser_;
  std::string_view whole_;
  uint32_t base_;
  SecureArena& arena_;
  bool is_ascii_;
  size_t character_ = 0;  // characters before byte_, not counting the mark in front
  size_t byte_ = 0;
  uint64_t flow_depth_ = 0;
  uint64_t block_depth_ = 0;
  uint64_t work_ = 0;  // tokens times flow depth
};

}  // namespace sops::yaml
