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

// Says that a text must be read as it is; nobody sees it (scan.cc reads again).
Failure not_condensable() { return fail(ErrorCode::kUnsupported, "the text cannot be condensed"); }

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

TokenReader::TokenReader(std::string_view whole, uint32_t base, SecureArena& arena, const CondensedText* condensed)
    : parser_(std::make_unique<Parser>()),
      whole_(whole),
      base_(base),
      source_(condensed != nullptr ? condensed->text.expose_text() : whole.substr(base)),
      cuts_(condensed != nullptr ? &condensed->cuts : nullptr),
      arena_(arena) {
  if (condensed != nullptr) runs_ = condensed->runs;
  read_run_line();
  is_ascii_ = std::ranges::all_of(source_, [](char c) { return static_cast<uint8_t>(c) < 0x80; });
  yaml_parser_set_encoding(&parser_->parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&parser_->parser, reinterpret_cast<const unsigned char*>(source_.data()),
                               source_.size());
}

TokenReader::~TokenReader() = default;

// libyaml counts characters. Positions come nearly in order, so the way from the last one is short.
uint32_t TokenReader::short_byte_of(size_t character) {
  if (is_ascii_) return static_cast<uint32_t>(std::min(character, source_.size()));
  while (character_ > character) {
    --byte_;
    if (!is_continuation(source_[byte_])) --character_;
  }
  while (character_ < character && byte_ < source_.size()) {
    ++byte_;
    while (byte_ < source_.size() && is_continuation(source_[byte_])) ++byte_;
    ++character_;
  }
  return static_cast<uint32_t>(byte_);
}

// Characters missing in source_ before one of its positions.
uint32_t TokenReader::removed_before(uint32_t short_byte) {
  if (cuts_ == nullptr) return 0;
  while (cut_ > 0 && (*cuts_)[cut_ - 1].at > short_byte) --cut_;
  while (cut_ < cuts_->size() && (*cuts_)[cut_].at <= short_byte) ++cut_;
  return cut_ == 0 ? 0 : (*cuts_)[cut_ - 1].removed;
}

uint32_t TokenReader::byte_of(size_t character) {
  const uint32_t short_byte = short_byte_of(character);
  return base_ + short_byte + removed_before(short_byte);
}

// Characters that are missing on the line of a token before it. `begin` is the position in source_ that was asked for
// last.
uint32_t TokenReader::removed_on_line(uint32_t begin) {
  const size_t line = source_.substr(0, begin).find_last_of("\r\n") + 1;  // npos + 1 is the start
  size_t first = cut_;                                                    // the first cut on this line
  while (first > 0 && (*cuts_)[first - 1].at > line) --first;
  if (first == cut_) return 0;
  return (*cuts_)[cut_ - 1].removed - (first == 0 ? 0 : (*cuts_)[first - 1].removed);
}

// The text of a scalar in which something is missing: the slice that libyaml's value is a verbatim copy of. False if it
// is none.
bool TokenReader::find_scalar(std::string_view value, uint32_t short_begin, uint32_t short_end, Token& token) {
  const std::string_view body = value.substr(0, value.find_last_not_of('\n') + 1);
  const std::string_view source = source_.substr(short_begin, short_end - short_begin);
  // The comment on the header line of a block scalar is no part of its value, though it may hold the same letters.
  const bool has_header = token.style == NodeStyle::kLiteral || token.style == NodeStyle::kFolded;
  const size_t at = source.find(body, has_header ? source.find_first_of("\r\n") : 0);
  if (at == std::string_view::npos) return false;
  const auto begin = static_cast<uint32_t>(short_begin + at);
  const auto end = static_cast<uint32_t>(begin + body.size());
  const uint32_t real_begin = base_ + begin + removed_before(begin);
  const uint32_t real_end = base_ + end + removed_before(end);
  const std::string_view slice = whole_.substr(real_begin, real_end - real_begin);
  if (body.size() == value.size()) {
    token.text = slice;
    return true;
  }
  const std::span<uint8_t> text = arena_.allocate(slice.size() + value.size() - body.size());
  std::memcpy(text.data(), slice.data(), slice.size());
  std::memcpy(text.data() + slice.size(), value.data() + body.size(), value.size() - body.size());
  token.text = as_text(text);
  return true;
}

// libyaml's limit for the distance from an implicit key to its colon, on the real positions.
Result<void> TokenReader::check_implicit_key(const Token& token) {
  constexpr uint32_t kNoKey = 0xffffffff;
  constexpr uint32_t kLongestKey = 1024;
  if (cuts_ == nullptr) return {};
  key_begins_.resize(flow_depth_ + 1, kNoKey);
  uint32_t& key = key_begins_.back();
  if (token.type == TokenType::kKey) key = token.is_virtual ? token.span.begin : kNoKey;
  if (token.type == TokenType::kValue) {
    if (key != kNoKey && token.span.begin - key > kLongestKey) return not_condensable();
    key = kNoKey;
  }
  return {};
}

// Makes run_line_ the first line of the next run.
void TokenReader::read_run_line() {
  if (run_ == runs_.size()) return;
  const bool is_simple = simple_line(whole_, base_ + runs_[run_].first, run_line_);
  SOPS_CHECK(is_simple, "condense() saw that it is");
  run_step_ = 0;
}

// Compares a token with the ones that the first line of the next run must have: in block context, and nothing between
// them. Behind the last one the tokens of the other lines are queued.
Result<void> TokenReader::follow_run(const Token& token) {
  if (run_ == runs_.size()) return {};
  const SimpleLine& line = run_line_;
  const uint32_t begin = line.key.begin;
  if (run_step_ == 0) {
    // Collections begin and end at the place of the line's first token.
    if (token.type == TokenType::kBlockSequenceStart || token.type == TokenType::kBlockMappingStart ||
        token.type == TokenType::kBlockEnd || token.span.begin < begin) {
      return {};
    }
    const bool is_first = line.is_item ? token.type == TokenType::kBlockEntry && token.span.begin == begin
                                       : token.type == TokenType::kKey && token.span == Span{begin, begin};
    if (!is_first || flow_depth_ > 0) return not_condensable();
    run_step_ = line.is_item ? 3 : 1;
    return {};
  }
  const auto is_scalar = [&token](NodeStyle style, Span span) {
    return token.type == TokenType::kScalar && token.style == style && token.span == span;
  };
  bool fits = false;
  switch (run_step_) {
    case 1:
      fits = is_scalar(NodeStyle::kPlain, line.key);
      break;
    case 2:
      fits = token.type == TokenType::kValue && token.span == Span{line.mark, line.mark + 1};
      break;
    default:
      fits = is_scalar(line.style, line.value);
  }
  if (!fits) return not_condensable();
  if (++run_step_ == 4) finish_run();
  return {};
}

void TokenReader::queue(TokenType type, Span span) {
  Token& token = queue_[queue_end_++];
  token = {.type = type, .span = span, .column = span.begin - (base_ + runs_[run_].last), .position = span.begin};
  if (type == TokenType::kScalar) token.text = whole_.substr(span.begin, span.size());
}

// The lines between the first and the last one are one token; the last one has its own, because comments behind it look
// at them.
void TokenReader::finish_run() {
  const LineRun& run = runs_[run_];
  const uint32_t column = run_line_.column;
  queue_at_ = queue_end_ = 0;
  const uint32_t second = base_ + run.second;
  const uint32_t last = base_ + run.last;
  queue(TokenType::kLines, {second + column, last - 1});
  queue_[0].column = column;
  queue_[0].text = whole_.substr(second, last - second);

  SimpleLine line;
  const bool is_simple = simple_line(whole_, last, line);
  SOPS_CHECK(is_simple, "condense() saw that it is");
  if (line.is_item) {
    queue(TokenType::kBlockEntry, {line.mark, line.mark + 1});
  } else {
    queue(TokenType::kKey, {line.key.begin, line.key.begin});
    queue_[1].is_virtual = true;
    queue(TokenType::kScalar, line.key);
    queue(TokenType::kValue, {line.mark, line.mark + 1});
  }
  queue(TokenType::kScalar, line.value);
  Token& value = queue_[queue_end_ - 1];
  value.style = line.style;
  value.text = whole_.substr(line.content().begin, line.content().size());
  ++run_;
  read_run_line();
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
  if (queue_at_ < queue_end_) {
    token = queue_[queue_at_++];
    return {};
  }
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
  token.column = static_cast<uint32_t>(raw.start_mark.column);
  // Only a token with a cut in it can shift those behind it on its last line.
  if (raw.start_mark.line == cut_line_) token.column += removed_on_line(short_byte_of(raw.start_mark.index));
  token.span.end = raw.end_mark.index == raw.start_mark.index ? token.span.begin : byte_of(raw.end_mark.index);
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
      if (cuts_ != nullptr) {
        const uint32_t short_begin = short_byte_of(raw.start_mark.index);
        const uint32_t short_end = short_byte_of(raw.end_mark.index);
        if (short_end - short_begin != token.span.size()) {
          if (!find_scalar(value, short_begin, short_end, token)) return not_condensable();
          cut_line_ = raw.end_mark.line;
          break;
        }
      }
      token.text = source.starts_with(value) ? source.substr(0, value.size()) : arena_.store(value);
      break;
    }
    default:
      break;
  }
  TRY(check_implicit_key(token));
  TRY(follow_run(token));

  work_ += flow_depth_;
  if (work_ > kMaxWork) {
    return fail(ErrorCode::kUnsupported, "too much content in deeply nested flow collections")
        .hint("write the outer collections in block style")
        .at(position_at(whole_, token.span.begin));
  }
  return {};
}

}  // namespace sops::yaml
