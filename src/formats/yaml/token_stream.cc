// SPDX-License-Identifier: MPL-2.0
#include "formats/yaml/token_stream.h"

#include <utility>

#include "base/parallel.h"

namespace sops::yaml {
namespace {

constexpr size_t kThreadFrom = 200'000;  // bytes; below, a thread costs more than it saves
constexpr size_t kBatch = 512;           // tokens
constexpr size_t kBatchesAhead = 8;

}  // namespace

TokenStream::TokenStream(std::string_view whole, uint32_t base, SecureArena& arena, const CondensedText* condensed)
    : arena_(arena), reader_(whole, base, own_arena_, condensed) {
  if (whole.size() < kThreadFrom || std::thread::hardware_concurrency() < 2) return;
  thread_.emplace(start_thread([this] { produce(); }));
}

TokenStream::~TokenStream() {
  if (thread_) {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_->join();
  }
  arena_.adopt(std::move(own_arena_));
}

TokenStream::Batch TokenStream::read_batch() {
  Batch batch;
  batch.tokens.reserve(kBatch);
  while (!ended_ && batch.tokens.size() < kBatch) {
    Token& token = batch.tokens.emplace_back();
    auto read = reader_.next(token);
    if (!read) {
      batch.tokens.pop_back();
      batch.failure = std::move(read.error());
      ended_ = true;
    } else if (token.type == TokenType::kStreamEnd) {
      ended_ = true;
    }
  }
  return batch;
}

void TokenStream::produce() {
  while (!ended_) {
    Batch batch = read_batch();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stop_ || ready_.size() < kBatchesAhead; });
    if (stop_) return;
    ready_.push_back(std::move(batch));
    lock.unlock();
    changed_.notify_all();
  }
}

Result<void> TokenStream::next(Token& token) {
  if (!thread_) return reader_.next(token);
  if (at_ == current_.tokens.size()) {
    if (current_.failure) return fail(std::move(*current_.failure));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty(); });
    current_ = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    changed_.notify_all();
    at_ = 0;
    if (current_.tokens.empty()) return fail(std::move(*current_.failure));
  }
  token = current_.tokens[at_++];
  return {};
}

}  // namespace sops::yaml
