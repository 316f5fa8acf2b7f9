// SPDX-License-Identifier: MPL-2.0
//
// Memory for keys and plaintext: wiped before it is released, kept out of core dumps, locked where the system allows,
// impossible to copy or print by accident. One object belongs to one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace sops {

/// Overwrites memory in a way the compiler may not remove.
void wipe(std::span<uint8_t> bytes);

/// A fixed number of bytes on the heap. Move-only; a copy is spelled clone(). Wiped on destruction and on
/// move-assignment. From one page upwards the memory is mapped on its own, excluded from core dumps and locked as far
/// as RLIMIT_MEMLOCK allows (failure to lock is not an error).
class SecureBytes {
 public:
  SecureBytes() = default;
  /// `size` zero bytes.
  explicit SecureBytes(size_t size);
  SecureBytes(SecureBytes&& other) noexcept;
  SecureBytes& operator=(SecureBytes&& other) noexcept;
  SecureBytes(const SecureBytes&) = delete;
  SecureBytes& operator=(const SecureBytes&) = delete;
  ~SecureBytes();

  /// A copy of `bytes`; the caller wipes the original.
  static SecureBytes copy_of(std::span<const uint8_t> bytes);
  static SecureBytes copy_of(std::string_view text);
  SecureBytes clone() const;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  /// Reading and writing are called expose so that grep finds every use.
  std::span<const uint8_t> expose() const { return {data_, size_}; }
  std::span<uint8_t> expose_mutable() { return {data_, size_}; }
  std::string_view expose_text() const { return {reinterpret_cast<const char*>(data_), size_}; }

  /// Makes the object shorter; the bytes cut off are wiped. REQUIRES: size <= this->size().
  void shrink(size_t size);

 private:
  void release();

  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;  // what was allocated; a multiple of the page size when mapped
};

/// True if both hold the same bytes; takes the same time wherever they differ.
bool ct_equal(std::span<const uint8_t> a, std::span<const uint8_t> b);

/// Many small pieces of secret text with one lifetime, for example the decoded scalars of a document. Pieces keep their
/// address until the arena dies; then all are wiped.
class SecureArena {
 public:
  SecureArena() = default;
  SecureArena(SecureArena&&) noexcept = default;
  SecureArena& operator=(SecureArena&&) noexcept = default;

  /// `size` writable bytes, zeroed. The span is valid as long as the arena.
  std::span<uint8_t> allocate(size_t size);
  /// A copy of `text` that lives in the arena.
  std::string_view store(std::string_view text);
  /// Takes over the pieces of `other`; they keep their addresses.
  void adopt(SecureArena&& other);

 private:
  std::vector<SecureBytes> chunks_;
  size_t used_ = 0;  // of the last chunk
};

/// Builds a secret text of unknown length. Growing moves the bytes and wipes the old place.
class SecureBuffer {
 public:
  void append(std::string_view text);
  void append(size_t count, char c);
  void reserve(size_t capacity);
  size_t size() const { return size_; }
  std::string_view view() const { return bytes_.expose_text().substr(0, size_); }
  /// Forgets what was built but keeps the room for more. The bytes stay until they are written over or released.
  void clear() { size_ = 0; }
  /// The bytes built so far; the buffer is empty afterwards.
  SecureBytes take();

 private:
  SecureBytes bytes_;
  size_t size_ = 0;
};

}  // namespace sops
