// SPDX-License-Identifier: MPL-2.0
//
// The tokens of a text, read ahead by a second thread if the text is long: libyaml needs more than half the time of a
// scan, and what is made of its tokens the rest, so the two run side by side (docs/decisions/0003). The sequence of
// tokens does not depend on it.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "formats/yaml/tokens.h"

namespace sops::yaml {

/// Belongs to one thread.
class TokenStream {
 public:
  /// As TokenReader. `arena` owns the decoded texts when the stream is gone; until then the stream does.
  TokenStream(std::string_view whole, uint32_t base, SecureArena& arena, const CondensedText* condensed);
  TokenStream(const TokenStream&) = delete;
  TokenStream& operator=(const TokenStream&) = delete;
  ~TokenStream();

  /// The next token. REQUIRES: the last one was not kStreamEnd, and no call has failed. Errors: those of
  /// TokenReader::next.
  Result<void> next(Token& token);

 private:
  struct Batch {
    std::vector<Token> tokens;
    std::optional<Error> failure;  // behind the last token
  };

  void produce();
  Batch read_batch();

  SecureArena own_arena_;  // the second thread's; only it touches it while it runs
  SecureArena& arena_;
  TokenReader reader_;

  bool ended_ = false;  // of the reader: the end or a failure was read
  Batch current_;
  size_t at_ = 0;  // in current_

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;  // at most kBatchesAhead
  bool stop_ = false;
  std::optional<std::jthread> thread_;
};

}  // namespace sops::yaml
