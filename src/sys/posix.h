// SPDX-License-Identifier: MPL-2.0
//
// What the files of this folder share about talking to the system: an owned descriptor, blocked signals, complete
// writes, the text of an errno. Private to sys. Functions that return `int` return an errno value, 0 for success, so
// that the caller can decide what a refusal means before it becomes an Error.
#pragma once

#include <csignal>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops::posix {

/// Owns a file descriptor; -1 is none.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

/// Holds back every signal that can be held back from the calling thread until it dies. Signals that arrive meanwhile
/// are delivered then.
class SignalsBlocked {
 public:
  SignalsBlocked();
  ~SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

/// Makes a write to a pipe that nobody reads fail with EPIPE instead of ending the process, in the calling thread.
class PipeSignalBlocked {
 public:
  PipeSignalBlocked();
  ~PipeSignalBlocked();
  PipeSignalBlocked(const PipeSignalBlocked&) = delete;
  PipeSignalBlocked& operator=(const PipeSignalBlocked&) = delete;

 private:
  sigset_t before_;
  bool was_pending_;
};

/// Writes all of `bytes`, however many calls it takes.
int write_all(int fd, std::span<const uint8_t> bytes);
/// The same at `offset`, without moving the file position.
int write_all_at(int fd, std::span<const uint8_t> bytes, uint64_t offset);

/// Everything from the file position to the end. `size_hint` is the expected size, 0 if unknown. Memory that held a
/// part of it is wiped. Errors: kIo; kUnsupported above `limit` bytes. Messages lack the name of what was read.
Result<SecureBytes> read_all(int fd, uint64_t size_hint, uint64_t limit);

/// errno's meaning in our style: "no such file or directory".
std::string error_text(int error);

/// kDenied for a refused permission, kNotFound for a missing name, else kIo.
ErrorCode error_code(int error);

/// The number in a string of digits, or -1: the name of a descriptor below /proc/self/fd.
int parse_descriptor_number(std::string_view text);

}  // namespace sops::posix
