// SPDX-License-Identifier: MPL-2.0
#include "base/secure_bytes.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/error.h"

namespace sops {

namespace {

// Pages cost a system call each way, so only memory of this size and more is mapped on its own; smaller pieces live on
// the heap and are wiped all the same.
constexpr size_t kMappedFrom = 4096;
constexpr size_t kHugeFrom = size_t{4} << 20;
constexpr size_t kDroppedFrom = size_t{1} << 20;

// Locking beyond the limit fails piece by piece; after the first refusal further calls would only cost time.
std::atomic<bool> lock_refused = false;

size_t round_to_page(size_t size) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

uint8_t* map_pages(size_t capacity) {
  void* memory = mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();  // out of memory ends the program (style.md 1.3)
  madvise(memory, capacity, MADV_DONTDUMP);
  // A large text in pages of 4 kB costs a hundred thousand page faults.
  if (capacity >= kHugeFrom) madvise(memory, capacity, MADV_HUGEPAGE);
  // Pages are locked when they are first used: an ordinary lock would fetch all of them now.
  if (!lock_refused && mlock2(memory, capacity, MLOCK_ONFAULT) != 0 &&
      (errno != ENOSYS || mlock(memory, capacity) != 0)) {
    lock_refused = true;
  }
  return static_cast<uint8_t*>(memory);
}

// Gives the pages back to the kernel, which zeroes them before anybody sees them again. What was never used costs
// nothing then, while wiping would fetch it first.
bool drop_pages(uint8_t* begin, size_t size) {
  return munlock(begin, size) == 0 && madvise(begin, size, MADV_DONTNEED) == 0;
}

}  // namespace

void wipe(std::span<uint8_t> bytes) {
  if (!bytes.empty()) explicit_bzero(bytes.data(), bytes.size());
}

SecureBytes::SecureBytes(size_t size) : size_(size) {
  if (size == 0) return;
  if (size >= kMappedFrom) {
    capacity_ = round_to_page(size);
    data_ = map_pages(capacity_);
  } else {
    capacity_ = size;
    data_ = static_cast<uint8_t*>(std::calloc(size, 1));
    if (data_ == nullptr) std::abort();
  }
}

SecureBytes::SecureBytes(SecureBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

SecureBytes& SecureBytes::operator=(SecureBytes&& other) noexcept {
  if (this != &other) {
    release();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
  }
  return *this;
}

SecureBytes::~SecureBytes() { release(); }

void SecureBytes::release() {
  if (data_ == nullptr) return;
  if (capacity_ >= kMappedFrom) {
    // Unmapping gives the pages back to the kernel, which zeroes them before anybody sees them again; wiping first
    // closes the window in which another thread of this process could map the same address.
    wipe({data_, size_});
    munmap(data_, capacity_);
  } else {
    wipe({data_, capacity_});
    std::free(data_);
  }
  data_ = nullptr;
  size_ = capacity_ = 0;
}

SecureBytes SecureBytes::copy_of(std::span<const uint8_t> bytes) {
  SecureBytes copy(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.data_, bytes.data(), bytes.size());
  return copy;
}

SecureBytes SecureBytes::copy_of(std::string_view text) { return copy_of(as_bytes(text)); }

SecureBytes SecureBytes::clone() const { return copy_of(expose()); }

void SecureBytes::shrink(size_t size) {
  SOPS_CHECK(size <= size_, "the contract says so");
  size_t wiped_until = size_;
  if (capacity_ >= kMappedFrom && size_ - size >= kDroppedFrom) {
    const size_t first_page = round_to_page(size);
    if (drop_pages(data_ + first_page, capacity_ - first_page)) wiped_until = first_page;
  }
  wipe({data_ + size, wiped_until - size});
  size_ = size;
}

bool ct_equal(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  if (a.size() != b.size()) return false;
  volatile uint8_t difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = difference | (a[i] ^ b[i]);
  return difference == 0;
}

namespace {
constexpr size_t kFirstChunk = 4096;
constexpr size_t kLargestChunk = 4 << 20;
}  // namespace

std::span<uint8_t> SecureArena::allocate(size_t size) {
  if (size == 0) return {};
  if (chunks_.empty() || chunks_.back().size() - used_ < size) {
    const size_t doubled = chunks_.empty() ? kFirstChunk : std::min(chunks_.back().size() * 2, kLargestChunk);
    chunks_.emplace_back(std::max(size, doubled));
    used_ = 0;
  }
  const std::span<uint8_t> piece = chunks_.back().expose_mutable().subspan(used_, size);
  used_ += size;
  return piece;
}

std::string_view SecureArena::store(std::string_view text) {
  const std::span<uint8_t> place = allocate(text.size());
  if (!text.empty()) std::memcpy(place.data(), text.data(), text.size());
  return as_text(place);
}

void SecureArena::adopt(SecureArena&& other) {
  if (chunks_.empty()) {
    std::swap(*this, other);
    return;
  }
  // In front, so that the last chunk stays the one that is being filled.
  chunks_.insert(chunks_.begin(), std::make_move_iterator(other.chunks_.begin()),
                 std::make_move_iterator(other.chunks_.end()));
  other.chunks_.clear();
  other.used_ = 0;
}

void SecureBuffer::reserve(size_t capacity) {
  if (capacity <= bytes_.size()) return;
  SecureBytes larger(std::max(capacity, bytes_.size() * 2));
  if (size_ > 0) std::memcpy(larger.expose_mutable().data(), bytes_.expose().data(), size_);
  bytes_ = std::move(larger);
}

void SecureBuffer::append(std::string_view text) {
  if (text.empty()) return;
  if (size_ + text.size() > bytes_.size()) reserve(std::max<size_t>(size_ + text.size(), 256));
  std::memcpy(bytes_.expose_mutable().data() + size_, text.data(), text.size());
  size_ += text.size();
}

void SecureBuffer::append(size_t count, char c) {
  if (count == 0) return;
  if (size_ + count > bytes_.size()) reserve(std::max<size_t>(size_ + count, 256));
  std::memset(bytes_.expose_mutable().data() + size_, c, count);
  size_ += count;
}

SecureBytes SecureBuffer::take() {
  SecureBytes bytes = std::move(bytes_);
  if (!bytes.empty()) bytes.shrink(size_);
  size_ = 0;
  return bytes;
}

}  // namespace sops
