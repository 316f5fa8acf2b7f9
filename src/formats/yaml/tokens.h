// SPDX-License-Identifier: MPL-2.0
//
// libyaml's token stream with positions in bytes. The only file of the project that includes libyaml is tokens.cc.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "formats/yaml/condense.h"
#include "tree/document.h"

namespace sops::yaml {

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
  kLines,  // ours: simple lines of one run (condense.h)
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
  std::string_view text;  // scalar: decoded; anchor, alias: name; tag, %TAG: handle; %YAML: version; lines: all of them
  std::string_view tail;  // tag: suffix; %TAG: prefix
};

/// Reads the tokens of one text.
class TokenReader {
 public:
  /// `text` is UTF-8, without byte-order mark in front; `base` is added to all positions. Decoded scalars that are no
  /// slice of the text go to `arena`. `condensed`, if not null, stands in for the text without its first `base` bytes.
  /// All must outlive the reader and its tokens.
  TokenReader(std::string_view whole, uint32_t base, SecureArena& arena, const CondensedText* condensed);
  TokenReader(const TokenReader&) = delete;
  TokenReader& operator=(const TokenReader&) = delete;
  ~TokenReader();

  /// Reads the next token into `token`. REQUIRES: the last one was not kStreamEnd.
  /// Errors: kMalformed with position; kUnsupported for nesting beyond the limits (yaml.md 4.4 k, in-place.md 6).
  Result<void> next(Token& token);

 private:
  struct Parser;

  uint32_t short_byte_of(size_t character);
  uint32_t byte_of(size_t character);
  uint32_t removed_before(uint32_t short_byte);
  uint32_t removed_on_line(uint32_t begin);
  bool find_scalar(std::string_view value, uint32_t short_begin, uint32_t short_end, Token& token);
  Result<void> check_implicit_key(const Token& token);
  void read_run_line();
  Result<void> follow_run(const Token& token);
  void finish_run();
  void queue(TokenType type, Span span);
  Failure parser_failure();

  std::unique_ptr<Parser> parser_;
  std::string_view whole_;
  uint32_t base_;
  std::string_view source_;                   // what libyaml reads
  const std::vector<Cut>* cuts_ = nullptr;    // between source_ and the text; null if they are the same
  size_t cut_ = 0;                            // cuts before the last position asked for
  size_t cut_line_ = std::string_view::npos;  // libyaml's number of the line on which the last token with a cut ends
  std::span<const LineRun> runs_;             // in source_ only their first lines are left
  size_t run_ = 0;                            // the first run that is not read yet
  SimpleLine run_line_;                       // its first line
  uint32_t run_step_ = 0;                     // tokens of run_line_ that were read
  std::array<Token, 5> queue_;                // tokens of the lines that are left out
  size_t queue_at_ = 0, queue_end_ = 0;
  std::vector<uint32_t> key_begins_;  // of the implicit key that is open in each flow collection, kNoKey if none
  SecureArena& arena_;
  bool is_ascii_;
  size_t character_ = 0;  // characters before byte_
  size_t byte_ = 0;       // of source_
  uint64_t flow_depth_ = 0;
  uint64_t block_depth_ = 0;
  uint64_t work_ = 0;  // tokens times flow depth
};

}  // namespace sops::yaml
