// SPDX-License-Identifier: MPL-2.0
//
// Finds comments between tokens and says to which token each one is handed (yaml.md 1.3.1 to 1.3.4). What a token does
// with the comments it is handed (1.3.5, 1.3.6) is scan.cc's business.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "formats/yaml/token_stream.h"
#include "formats/yaml/tokens.h"
#include "tree/document.h"

namespace sops::yaml {

/// Index of a comment line.
using LineId = uint32_t;
inline constexpr LineId kNoLine = 0xffffffff;

/// One comment line. Each line is in at most one list at a time; `next` chains the list.
struct CommentLine {
  Span span;  // from `#` to before the break
  LineId next = kNoLine;
  bool blank_after = false;  // an empty line follows within the comment's text (yaml.md 1.3.3 step 2)
  bool in_flow = false;      // stands inside a flow collection
};

enum class CommentKind : uint8_t { kHead, kLine, kFoot };

/// Consecutive comment lines that go to one place.
struct CommentBlock {
  CommentKind kind = CommentKind::kHead;
  LineId first = 0;
  LineId last = 0;
  uint32_t begin = 0;   // of the first `#`
  uint32_t anchor = 0;  // handed to the first token at or behind this position
  uint32_t column = 0;  // of the first line
  uint32_t from = 0;    // yaml.md 1.3.3, end: how block ends are placed between comments
  uint32_t end = 0;
};

/// The token stream with its comments. A token is at the front only when all comments that can be handed to it are
/// known, which takes two tokens more.
class CommentedTokens {
 public:
  /// `text` may start with a byte-order mark; `arena` receives decoded texts. Both must outlive the object.
  CommentedTokens(std::string_view text, SecureArena& arena, const CondensedText* condensed);

  /// Makes front() valid. Errors: those of TokenReader; kUnsupported for comments next to NEL, LS or PS (yaml.md 1.3.1)
  /// and for a byte-order mark at the start of a later line (yaml.md 4.4 i, j).
  Result<void> fill();
  /// The next token. REQUIRES: fill() succeeded since the last pop().
  const Token& front() const { return window_[head_]; }
  void pop();

  /// The next comments to hand out, in the order of discovery; nullptr if none is known.
  const CommentBlock* pending() const { return next_block_ < blocks_.size() ? &blocks_[next_block_] : nullptr; }
  void pop_pending() { ++next_block_; }

  /// All comment lines found so far, in the order of the text. Some are in no block (on a directive's line).
  std::vector<CommentLine>& lines() { return lines_; }

 private:
  // What must be remembered of a source token T to work on the gap behind it.
  struct Last {
    TokenType type = TokenType::kStreamStart;
    NodeStyle style = NodeStyle::kPlain;
    Span span;
    uint32_t before = 0;  // position and type of the token before T in the final order
    TokenType before_type = TokenType::kStreamStart;
  };

  Result<void> add(Token& token);
  Result<void> find_comments(uint32_t limit);
  size_t find_run(size_t at, size_t gap_begin);
  void place_block_ends(size_t first_virtual, const Token& token, size_t first_block, size_t gap_begin);
  LineId add_line(size_t begin, size_t end);
  size_t resting_position() const;
  bool is_on_first_line(size_t position) const;

  std::string_view text_;
  uint32_t base_;
  TokenStream reader_;
  std::vector<Token> window_;
  size_t head_ = 0;
  size_t sources_ = 0;  // source tokens in the window
  bool ended_ = false;
  bool has_odd_marks_;  // the text holds a byte-order mark behind its start
  Last last_;
  size_t gap_begin_ = 0;          // G of the current gap
  std::vector<uint32_t> levels_;  // columns of the open block collections
  uint32_t flow_ = 0;
  size_t first_break_;
  std::vector<CommentLine> lines_;
  std::vector<CommentBlock> blocks_;
  size_t next_block_ = 0;
};

/// Position of the first LF or CR at or behind `position`, or the end of the text.
size_t find_line_end(std::string_view text, size_t position);

}  // namespace sops::yaml
