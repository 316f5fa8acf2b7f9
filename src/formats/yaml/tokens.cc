// SPDX-License-Identifier: MPL-2.0
#include "formats/yaml/tokens.h"

#include <yaml.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace sops::yaml {
namespace {

// in-place.md 6: libyaml looks at every open flow collection for every token; 300 million such looks are half a second.
constexpr uint64_t kMaxWork = 300'000'000;

constexpr std::array<TokenType, YAML_SCALAR_TOKEN + 1> kTypes = [] {
  std::array<TokenType, YAML_SCALAR_TOKEN + 1> types{};
  types[YAML_STREAM_START_TOKEN] = TokenType::kStreamStart;
  types[YAML_STREAM_END_TOKEN] = TokenType::kStreamEnd;
  types[YAML_VERSION_DIRECTIVE_TOKEN] = TokenType::kVersionDirective;
  types[YAML_TAG_DIRECTIVE_TOKEN] = TokenType::kTagDirective;
  types[YAML_DOCUMENT_START_TOKEN] = TokenType::kDocumentStart;
  types[YAML_DOCUMENT_END_TOKEN] = TokenType::kDocumentEnd;
  types[YAML_BLOCK_SEQUENCE_START_TOKEN] = TokenType::kBlockSequenceStart;
  types[YAML_BLOCK_MAPPING_START_TOKEN] = TokenType::kBlockMappingStart;
  types[YAML_BLOCK_END_TOKEN] = TokenType::kBlockEnd;
  types[YAML_FLOW_SEQUENCE_START_TOKEN] = TokenType::kFlowSequenceStart;
  types[YAML_FLOW_SEQUENCE_END_TOKEN] = TokenType::kFlowSequenceEnd;
  types[YAML_FLOW_MAPPING_START_TOKEN] = TokenType::kFlowMappingStart;
  types[YAML_FLOW_MAPPING_END_TOKEN] = TokenType::kFlowMappingEnd;
  types[YAML_BLOCK_ENTRY_TOKEN] = TokenType::kBlockEntry;
  types[YAML_FLOW_ENTRY_TOKEN] = TokenType::kFlowEntry;
  types[YAML_KEY_TOKEN] = TokenType::kKey;
  types[YAML_VALUE_TOKEN] = TokenType::kValue;
  types[YAML_ALIAS_TOKEN] = TokenType::kAlias;
  types[YAML_ANCHOR_TOKEN] = TokenType::kAnchor;
  types[YAML_TAG_TOKEN] = TokenType::kTag;
  types[YAML_SCALAR_TOKEN] = TokenType::kScalar;
  return types;
}();

NodeStyle style_of(yaml_scalar_style_t style) {
  switch (style) {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE:
      return NodeStyle::kSingleQuoted;
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
      return NodeStyle::kDoubleQuoted;
    case YAML_LITERAL_SCALAR_STYLE:
      return NodeStyle::kLiteral;
    case YAML_FOLDED_SCALAR_STYLE:
      return NodeStyle::kFolded;
    default:
      return NodeStyle::kPlain;
  }
}

std::string_view view_of(const yaml_char_t* text) { return reinterpret_cast<const char*>(text); }

bool is_continuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

}  // namespace

// The C object and what it owns. Its buffers hold pieces of the text, so they are wiped.
struct TokenReader::Parser {
  Parser() { SOPS_CHECK(yaml_parser_initialize(&parser) == 1, "fails only without memory"); }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  ~Parser() {
    for (auto* buffer : {&parser.raw_buffer, reinterpret_cast<decltype(&parser.raw_buffer)>(&parser.buffer)}) {
      if (buffer->start != nullptr) wipe({buffer->start, static_cast<size_t>(buffer->end - buffer->start)});
    }
    yaml_parser_delete(&parser);
  }

  yaml_parser_t parser;
};

TokenReader::TokenReader(std::string_view whole, uint32_t base, SecureArena& arena)
    : parser_(std::make_unique<Parser>()), whole_(whole), base_(base), arena_(arena), byte_(base) {
  const std::string_view text = whole.substr(base);
  is_ascii_ = std::ranges::all_of(text, [](char c) { return static_cast<uint8_t>(c) < 0x80; });
  yaml_parser_set_encoding(&parser_->parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&parser_->parser, reinterpret_cast<const unsigned char*>(text.data()), text.size());
}

TokenReader::~TokenReader() = default;

// libyaml counts characters. Positions come nearly in order, so the way from the last one is short.
uint32_t TokenReader::byte_of(size_t character) {
  if (is_ascii_) return static_cast<uint32_t>(base_ + std::min(character, whole_.size() - base_));
  while (character_ > character) {
    --byte_;
    if (!is_continuation(whole_[byte_])) --character_;
  }
  while (character_ < character && byte_ < whole_.size()) {
    ++byte_;
    while (byte_ < whole_.size() && is_continuation(whole_[byte_])) ++byte_;
    ++character_;
  }
  return static_cast<uint32_t>(byte_);
}

Failure TokenReader::parser_failure() {
  const yaml_parser_t& parser = parser_->parser;
  if (parser.error == YAML_READER_ERROR) {
    const size_t offset = std::min(base_ + parser.problem_offset, whole_.size());
    return fail(ErrorCode::kMalformed, "{}", parser.problem).at(position_at(whole_, offset));
  }
  if (parser.error == YAML_SCANNER_ERROR) {
    const size_t offset = byte_of(parser.problem_mark.index);
    if (parser.context == nullptr)
      return fail(ErrorCode::kMalformed, "{}", parser.problem).at(position_at(whole_, offset));
    return fail(ErrorCode::kMalformed, "{}: {}", parser.context, parser.problem).at(position_at(whole_, offset));
  }
  return fail(ErrorCode::kUnsupported, "not enough memory to read the text");
}

Result<void> TokenReader::next(Token& token) {
  struct OwnedToken {
    ~OwnedToken() {
      if (raw.type == YAML_SCALAR_TOKEN) wipe({raw.data.scalar.value, raw.data.scalar.length});
      yaml_token_delete(&raw);
    }
    yaml_token_t raw;
  } owned;
  yaml_token_t& raw = owned.raw;
  if (yaml_parser_scan(&parser_->parser, &raw) == 0) {
    raw.type = YAML_NO_TOKEN;
    return parser_failure();
  }

  token = {};
  token.type = kTypes[static_cast<size_t>(raw.type)];
  token.span.begin = byte_of(raw.start_mark.index);
  token.span.end = raw.end_mark.index == raw.start_mark.index ? token.span.begin : byte_of(raw.end_mark.index);
  token.column = static_cast<uint32_t>(raw.start_mark.column);
  token.position = token.span.begin;

  switch (raw.type) {
    case YAML_BLOCK_SEQUENCE_START_TOKEN:
    case YAML_BLOCK_MAPPING_START_TOKEN:
      token.is_virtual = true;
      // yaml.md 4.4 k
      if (++block_depth_ > kMaxDepth) {
        return fail(ErrorCode::kUnsupported, "nested deeper than {} levels", kMaxDepth)
            .at(position_at(whole_, token.span.begin));
      }
      break;
    case YAML_BLOCK_END_TOKEN:
      token.is_virtual = true;
      --block_depth_;
      break;
    case YAML_KEY_TOKEN:
      token.is_virtual = token.span.size() == 0;
      break;
    case YAML_FLOW_SEQUENCE_START_TOKEN:
    case YAML_FLOW_MAPPING_START_TOKEN:
      if (++flow_depth_ > kMaxDepth) {
        return fail(ErrorCode::kUnsupported, "nested deeper than {} levels", kMaxDepth)
            .at(position_at(whole_, token.span.begin));
      }
      break;
    case YAML_FLOW_SEQUENCE_END_TOKEN:
    case YAML_FLOW_MAPPING_END_TOKEN:
      if (flow_depth_ > 0) --flow_depth_;
      break;
    case YAML_STREAM_END_TOKEN:
      // libyaml pretends that the text ends with a line break; comments need the true column (yaml.md 1.3.4).
      token.span = {static_cast<uint32_t>(whole_.size()), static_cast<uint32_t>(whole_.size())};
      token.position = token.span.begin;
      break;
    case YAML_ALIAS_TOKEN:
    case YAML_ANCHOR_TOKEN:
      token.text = whole_.substr(token.span.begin + 1, token.span.size() - 1);
      break;
    case YAML_TAG_TOKEN:
      token.text = arena_.store(view_of(raw.data.tag.handle));
      token.tail = arena_.store(view_of(raw.data.tag.suffix));
      break;
    case YAML_TAG_DIRECTIVE_TOKEN:
      token.text = arena_.store(view_of(raw.data.tag_directive.handle));
      token.tail = arena_.store(view_of(raw.data.tag_directive.prefix));
      break;
    case YAML_VERSION_DIRECTIVE_TOKEN: {
      const std::string_view line = whole_.substr(token.span.begin, token.span.size());
      token.text = line.substr(std::min(line.find_first_of("0123456789"), line.size()));
      break;
    }
    case YAML_SCALAR_TOKEN: {
      token.style = style_of(raw.data.scalar.style);
      const std::string_view value(reinterpret_cast<const char*>(raw.data.scalar.value), raw.data.scalar.length);
      const uint32_t quote = token.style == NodeStyle::kPlain ? 0 : 1;
      const std::string_view source = whole_.substr(token.span.begin + quote, token.span.size() - quote);
      token.text = source.starts_with(value) ? source.substr(0, value.size()) : arena_.store(value);
      break;
    }
    default:
      break;
  }

  work_ += flow_depth_;
  if (work_ > kMaxWork) {
    return fail(ErrorCode::kUnsupported, "too much content in deeply nested flow collections")
        .hint("write the outer collections in block style")
        .at(position_at(whole_, token.span.begin));
  }
  return done();
}

}  // namespace sops::yaml
