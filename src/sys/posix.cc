// SPDX-License-Identifier: MPL-2.0
#include "sys/posix.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/text.h"

namespace sops::posix {

namespace {

// Linux transfers at most 2 GiB less a page per call anyway.
constexpr size_t kLargestTransfer = size_t{1} << 30;

// A first size for what does not tell its own: pipes, and files of /proc.
constexpr size_t kFirstSize = 64 << 10;

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Descriptor::reset() {
  // Errors of close() are not looked at: whoever needs the bytes on disk has called fsync() before.
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

SignalsBlocked::SignalsBlocked() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before_);
}

SignalsBlocked::~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

PipeSignalBlocked::PipeSignalBlocked() {
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  was_pending_ = sigismember(&pending, SIGPIPE) == 1;
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &before_);
}

PipeSignalBlocked::~PipeSignalBlocked() {
  // A SIGPIPE that we caused is taken back before the mask is lifted; one that was there before stays.
  if (!was_pending_) {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    const timespec at_once{};
    while (sigtimedwait(&pipe, nullptr, &at_once) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

int write_all(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), std::min(bytes.size(), kLargestTransfer));
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (written == 0) return EIO;  // no system does this; without the check it would be an endless loop
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return 0;
}

int write_all_at(int fd, std::span<const uint8_t> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(fd, bytes.data(), std::min(bytes.size(), kLargestTransfer), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    if (written == 0) return EIO;
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return 0;
}

Result<SecureBytes> read_all(int fd, uint64_t size_hint, uint64_t limit) {
  if (size_hint > limit) return fail(ErrorCode::kUnsupported, "it is larger than {} bytes", limit);
  // One byte more than expected: the read that finds the end then needs no larger buffer.
  SecureBytes bytes(size_hint > 0 ? static_cast<size_t>(size_hint) + 1 : kFirstSize);
  size_t size = 0;
  while (true) {
    if (size > limit) return fail(ErrorCode::kUnsupported, "it is larger than {} bytes", limit);
    if (size == bytes.size()) {
      SecureBytes larger(bytes.size() * 2);
      std::memcpy(larger.expose_mutable().data(), bytes.expose().data(), size);
      bytes = std::move(larger);  // wipes the smaller one
    }
    const std::span<uint8_t> room = bytes.expose_mutable().subspan(size);
    const ssize_t count = ::read(fd, room.data(), std::min(room.size(), kLargestTransfer));
    if (count < 0) {
      if (errno == EINTR) continue;
      return fail(error_code(errno), "{}", error_text(errno));
    }
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  bytes.shrink(size);
  return bytes;
}

std::string error_text(int error) {
  char buffer[256];
  std::string text = strerror_r(error, buffer, sizeof buffer);
  // "No such file" becomes "no such file"; "RPC struct is bad" stays.
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (text.size() > 1 && is_upper(text[0]) && !is_upper(text[1])) text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

ErrorCode error_code(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::kDenied;
    default:
      return ErrorCode::kIo;
  }
}

int parse_descriptor_number(std::string_view text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0 ? number : -1;
}

}  // namespace sops::posix
