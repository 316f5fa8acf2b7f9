// SPDX-License-Identifier: MPL-2.0
//
// The comment algorithm of yaml.md 1.3, step by step and with its names: T is the last source token, T' the next one, G
// the start of the gap between them. The limits of 511 and 512 characters are those of the reader of SOPS's YAML
// library, which looks no further ahead; SOPS's trees depend on them, so they are part of the format.
#include "formats/yaml/comments.h"

#include <algorithm>
#include <cstring>

#include "formats/yaml/block_scalar.h"

namespace sops::yaml {
namespace {

constexpr size_t kLineWindow = 512;  // yaml.md 1.3.2
constexpr size_t kRunWindow = 511;   // yaml.md 1.3.3 step 2
constexpr std::string_view kMark = "\xEF\xBB\xBF";
constexpr size_t kWindowSlack = 256;

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_break(char c) { return c == '\n' || c == '\r'; }

// yaml.md 1.3.1, `breaks(p)`; 2 stands for "more than one".
int count_breaks_before(std::string_view text, size_t position) {
  int count = 0;
  while (position > 0 && count < 2) {
    const char c = text[position - 1];
    if (is_break(c)) {
      ++count;
      if (c == '\n' && position > 1 && text[position - 2] == '\r') --position;
    } else if (!is_blank(c)) {
      break;
    }
    --position;
  }
  return count;
}

bool is_document_token(TokenType type) {
  return type == TokenType::kStreamEnd || type == TokenType::kDocumentStart || type == TokenType::kDocumentEnd ||
         type == TokenType::kVersionDirective || type == TokenType::kTagDirective;
}

bool is_directive(TokenType type) { return type == TokenType::kVersionDirective || type == TokenType::kTagDirective; }

// yaml.md 1.3.2: tokens that never have a line comment.
bool has_no_line_comment(TokenType type) {
  return is_document_token(type) || type == TokenType::kStreamStart || type == TokenType::kBlockEntry;
}

bool is_block_scalar(TokenType type, NodeStyle style) {
  return type == TokenType::kScalar && (style == NodeStyle::kLiteral || style == NodeStyle::kFolded);
}

// Whether [begin, end) holds NEL, LS or PS.
bool has_rare_break(std::string_view text, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if ((c == 0xC2 || c == 0xE2) && break_length(text, i) > 0) return true;
  }
  return false;
}

}  // namespace

size_t find_line_end(std::string_view text, size_t position) {
  while (position < text.size() && !is_break(text[position])) ++position;
  return position;
}

CommentedTokens::CommentedTokens(std::string_view text, SecureArena& arena, const CondensedText* condensed)
    : text_(text),
      base_(text.starts_with(kMark) ? static_cast<uint32_t>(kMark.size()) : 0),
      reader_(text, base_, arena, condensed),
      has_odd_marks_(text.find(kMark, base_) != std::string_view::npos),
      first_break_(find_line_end(text, 0)) {
  window_.reserve(2 * kWindowSlack);
}

Result<void> CommentedTokens::fill() {
  // A comment behind T' may be anchored at the token before T', so two source tokens must be known behind the front.
  while (!ended_ && (head_ == window_.size() || sources_ < 2 + (window_[head_].is_virtual ? 0 : 1))) {
    Token token;
    TRY(reader_.next(token));
    TRY(add(token));
  }
  return {};
}

void CommentedTokens::pop() {
  if (!window_[head_].is_virtual) --sources_;
  ++head_;
  if (head_ >= kWindowSlack && head_ * 2 >= window_.size()) {
    window_.erase(window_.begin(), window_.begin() + static_cast<ptrdiff_t>(head_));
    head_ = 0;
  }
}

Result<void> CommentedTokens::add(Token& token) {
  if (token.is_virtual) {
    window_.push_back(token);
    return {};
  }
  if (token.type == TokenType::kStreamStart) {
    last_ = {.type = token.type, .style = token.style, .span = token.span, .before = token.position};
    window_.push_back(token);
    ++sources_;
    return {};
  }
  if (token.type == TokenType::kStreamEnd) {
    ended_ = true;
    token.column = static_cast<uint32_t>(column_of(text_, text_.size()));
  }

  const size_t first_block = blocks_.size();
  TRY(find_comments(token.span.begin));

  size_t first_virtual = window_.size();
  while (first_virtual > head_ && window_[first_virtual - 1].is_virtual) --first_virtual;
  place_block_ends(first_virtual, token, first_block, gap_begin_);

  const Token& before = window_.back();
  last_ = {.type = token.type,
           .style = token.style,
           .span = token.span,
           .before = before.position,
           .before_type = before.type};
  if (token.type == TokenType::kFlowSequenceStart || token.type == TokenType::kFlowMappingStart) ++flow_;
  if ((token.type == TokenType::kFlowSequenceEnd || token.type == TokenType::kFlowMappingEnd) && flow_ > 0) --flow_;
  window_.push_back(token);
  ++sources_;
  return {};
}

// yaml.md 1.3.2: where the scanner stands once T is complete.
size_t CommentedTokens::resting_position() const {
  size_t at = last_.span.end;
  if (is_directive(last_.type)) {
    at = find_line_end(text_, at);
    return at + break_length(text_, at);
  }
  if (is_block_scalar(last_.type, last_.style)) {
    while (at < text_.size() && text_[at] == ' ') ++at;
  } else if (last_.type == TokenType::kScalar && last_.style == NodeStyle::kPlain) {
    while (at < text_.size() && (is_blank(text_[at]) || is_break(text_[at]))) ++at;
  }
  return at;
}

bool CommentedTokens::is_on_first_line(size_t position) const { return position <= first_break_; }

LineId CommentedTokens::add_line(size_t begin, size_t end) {
  const auto id = static_cast<LineId>(lines_.size());
  lines_.push_back({.span = {static_cast<uint32_t>(begin), static_cast<uint32_t>(end)}, .in_flow = flow_ > 0});
  return id;
}

// Finds the line comment of T and the comments between T and T', which starts at `limit`. Sets gap_begin_ to G.
Result<void> CommentedTokens::find_comments(uint32_t limit) {
  const Last& last = last_;
  if (is_block_scalar(last.type, last.style)) {
    // The line comment of a block scalar is the one on its header line.
    size_t at = last.span.begin + 1;
    while (at < text_.size() && (text_[at] == '+' || text_[at] == '-' || (text_[at] >= '0' && text_[at] <= '9'))) ++at;
    while (at < text_.size() && is_blank(text_[at])) ++at;
    if (at < last.span.end && text_[at] == '#') {
      const size_t end = find_line_end(text_, at);
      if (has_rare_break(text_, at, std::min<size_t>(end, last.span.end))) {
        return fail(ErrorCode::kUnsupported, "a comment next to a NEL, LS or PS character").at(position_at(text_, at));
      }
      const LineId line = add_line(at, end);
      blocks_.push_back({.kind = CommentKind::kLine,
                         .first = line,
                         .last = line,
                         .begin = static_cast<uint32_t>(at),
                         .anchor = last.span.begin});
    }
  } else if (is_directive(last.type)) {
    // SOPS never sees a comment on a directive's line: a line without a block.
    const size_t end = find_line_end(text_, last.span.end);
    const size_t mark = text_.substr(0, end).find('#', last.span.end);
    if (mark != std::string_view::npos) add_line(mark, end);
  }

  const size_t resting = resting_position();
  gap_begin_ = resting;
  if (resting >= limit) return {};
  const bool has_comment = std::memchr(text_.data() + resting, '#', limit - resting) != nullptr;
  if (!has_comment && !has_odd_marks_) return {};

  // Odd characters: refused, because libyaml and SOPS's library disagree, or nobody knows what SOPS does.
  if (has_comment && has_rare_break(text_, resting, limit)) {
    return fail(ErrorCode::kUnsupported, "a comment next to a NEL, LS or PS character").at(position_at(text_, resting));
  }
  if (has_odd_marks_) {
    for (size_t at = resting; at < limit; ++at) {
      if (text_[at] == '#') at = find_line_end(text_, at);
      if (at < limit && text_.substr(at).starts_with(kMark)) {
        return fail(ErrorCode::kMalformed, "byte-order mark at the start of a line").at(position_at(text_, at));
      }
    }
    if (!has_comment) return {};
  }

  size_t at = resting;
  if (!has_no_line_comment(last.type) && !is_block_scalar(last.type, last.style) &&
      count_breaks_before(text_, resting) == 0) {
    while (at < limit && at < resting + kLineWindow && is_blank(text_[at])) ++at;
    if (at < limit && at < resting + kLineWindow && text_[at] == '#') {
      const size_t end = find_line_end(text_, at);
      const bool belongs_before = (text_[last.span.begin] == ':' && flow_ == 0) || last.type == TokenType::kFlowEntry;
      const LineId line = add_line(at, end);
      blocks_.push_back({.kind = CommentKind::kLine,
                         .first = line,
                         .last = line,
                         .begin = static_cast<uint32_t>(at),
                         .anchor = belongs_before ? last.before : last.span.begin});
      gap_begin_ = end;
    }
  }

  at = gap_begin_;
  while (at < limit) {
    const void* mark = std::memchr(text_.data() + at, '#', limit - at);
    if (mark == nullptr) break;
    at = find_run(static_cast<size_t>(static_cast<const char*>(mark) - text_.data()), gap_begin_);
  }
  return {};
}

// yaml.md 1.3.3: one run, from the `#` at `at`. Returns the end of its last comment line.
size_t CommentedTokens::find_run(size_t at, size_t gap_begin) {
  const bool after_entry = last_.type == TokenType::kFlowEntry;
  const TokenType previous_type = after_entry ? last_.before_type : last_.type;
  const int breaks = count_breaks_before(text_, at);
  const bool near = breaks == 1 && !is_on_first_line(gap_begin) && previous_type != TokenType::kValue;
  bool fresh = breaks <= 1;
  auto anchor = static_cast<uint32_t>(after_entry ? last_.before : last_.span.begin);
  auto from = static_cast<uint32_t>(gap_begin);
  const uint32_t innermost = levels_.empty() ? 0 : levels_.back();

  CommentBlock block;
  bool open = false;
  const auto close = [&](CommentKind kind, uint32_t block_anchor, size_t end) {
    block.kind = kind;
    block.anchor = block_anchor;
    block.from = from;
    block.end = static_cast<uint32_t>(end);
    from = block.end;
    blocks_.push_back(block);
    open = false;
  };

  auto column = static_cast<uint32_t>(column_of(text_, at));
  while (true) {
    // Step 1: a comment line.
    const size_t line_end = find_line_end(text_, at);
    const LineId line = add_line(at, line_end);
    if (open) {
      lines_[block.last].next = line;
      block.last = line;
    } else {
      block = {.first = line, .last = line, .begin = static_cast<uint32_t>(at), .column = column};
      open = true;
    }

    // Step 2: what the following lines hold.
    bool blank_line = false;
    size_t q = std::min(line_end + 1, text_.size());
    column = 0;
    bool run_ends = false;
    while (true) {
      if (q > line_end + kRunWindow) {
        run_ends = true;
        break;
      }
      const bool at_end = q >= text_.size();
      const char c = at_end ? '\0' : text_[q];
      if (!at_end && is_blank(c)) {
        ++q;
        ++column;
        continue;
      }
      const bool is_bracket = !at_end && flow_ > 0 && (c == ']' || c == '}');
      const bool ends_line = !at_end && is_break(c);
      if (at_end || is_bracket || ends_line) {
        if (open && (!blank_line || is_bracket)) {
          const bool outside = block.column < innermost;
          if (is_bracket || (fresh && (near || outside))) {
            close(CommentKind::kFoot, outside ? block.begin : anchor, q);
            anchor = static_cast<uint32_t>(q);
          } else if (ends_line) {
            lines_[block.last].blank_after = true;
          }
        }
        if (!ends_line) {
          run_ends = true;
          break;
        }
        fresh = false;
        blank_line = true;
        column = 0;
        ++q;
        continue;
      }
      if (open && column < innermost && column != block.column) {
        close(CommentKind::kFoot, anchor, q);
        anchor = static_cast<uint32_t>(q);
      }
      run_ends = c != '#';
      break;
    }

    // Step 3: what is still open belongs to what follows.
    if (run_ends) {
      if (open) close(CommentKind::kHead, block.begin, q - 1);
      return line_end;
    }
    at = q;
  }
}

// yaml.md 1.3.4: gives the block ends before T' (`token`) their positions, and brings levels_ up to date.
void CommentedTokens::place_block_ends(size_t first_virtual, const Token& token, size_t first_block, size_t gap_begin) {
  bool first_pass = true;
  size_t m = gap_begin > 0 ? gap_begin - 1 : 0;
  for (size_t i = first_virtual; i < window_.size(); ++i) {
    Token& end = window_[i];
    if (end.type == TokenType::kBlockSequenceStart || end.type == TokenType::kBlockMappingStart)
      levels_.push_back(end.column);
    if (end.type != TokenType::kBlockEnd || levels_.empty()) continue;
    const uint32_t level = levels_.back();
    levels_.pop_back();
    if (first_pass && level <= token.column && is_document_token(token.type)) {
      first_pass = false;
      m = token.position > 0 ? token.position - 1 : 0;
    }
    size_t stop = m;
    for (size_t b = blocks_.size(); b > first_block; --b) {
      const CommentBlock& block = blocks_[b - 1];
      if (block.kind == CommentKind::kLine || block.end < stop) break;
      if (block.column == level) m = block.begin;
      stop = block.from;
    }
    end.position = static_cast<uint32_t>(m);
  }
}

}  // namespace sops::yaml
