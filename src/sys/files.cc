// SPDX-License-Identifier: MPL-2.0
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "sys/posix.h"
#include "sys/real_parts.h"
#include "sys/replace_steps.h"

namespace sops {

namespace {

using posix::Descriptor;
using posix::error_code;
using posix::error_text;

std::string shown(const std::string& path) { return escape_for_message(path, 4096); }

// The descriptor that /dev/stdin or /dev/fd/N stands for, or -1.
int descriptor_of(const std::string& path) {
  if (path == "/dev/stdin") return 0;
  for (const std::string_view prefix : {"/dev/fd/", "/proc/self/fd/"}) {
    if (path.starts_with(prefix)) return posix::parse_descriptor_number(std::string_view(path).substr(prefix.size()));
  }
  return -1;
}

Result<Descriptor> open_for_reading(const std::string& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  const int error = errno;
  if (file) return file;

  // Opening /dev/stdin opens what it stands for once more, which a socket (ENXIO) and a file that only the parent may
  // open (EACCES) refuse. The descriptor itself still works.
  const int inherited = descriptor_of(path);
  if (inherited >= 0 && (error == ENXIO || error == EACCES)) {
    Descriptor copy(fcntl(inherited, F_DUPFD_CLOEXEC, 3));
    if (copy) return copy;
  }
  return fail(error_code(error), "cannot read {}: {}", shown(path), error_text(error));
}

FileInfo::Kind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return FileInfo::Kind::kRegular;
  if (S_ISDIR(mode)) return FileInfo::Kind::kDirectory;
  return FileInfo::Kind::kOther;
}

// How often to try a lock again that somebody else has.
constexpr std::chrono::milliseconds kLockInterval{10};

struct FolderLock final : FileLock {
  Descriptor folder;
};

class RealFiles final : public Files {
 public:
  Result<SecureBytes> read(const std::string& path) override {
    const Descriptor file = TRY(open_for_reading(path));
    struct stat status;
    if (fstat(file.get(), &status) != 0) {
      return fail(ErrorCode::kIo, "cannot read {}: {}", shown(path), error_text(errno));
    }
    if (S_ISDIR(status.st_mode)) {
      return fail(ErrorCode::kIo, "cannot read {}: it is a directory", shown(path)).hint("name a file inside it");
    }
    const uint64_t size_hint = S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_size) : 0;
    Result<SecureBytes> bytes = posix::read_all(file.get(), size_hint, kMaxFileSize);
    if (!bytes) bytes.error().message = format("cannot read {}: {}", shown(path), bytes.error().message);
    return bytes;
  }

  Result<std::optional<FileInfo>> info(const std::string& path) override {
    struct stat status;
    if (stat(path.c_str(), &status) != 0) {
      if (errno == ENOENT) return std::nullopt;
      return fail(error_code(errno), "cannot look at {}: {}", shown(path), error_text(errno));
    }
    FileInfo info;
    info.kind = kind_of(status.st_mode);
    info.size = static_cast<uint64_t>(status.st_size);
    info.device = status.st_dev;
    info.inode = status.st_ino;
    info.mode = status.st_mode & 07777;
    info.owner = status.st_uid;
    return info;
  }

  Result<ReplaceMethod> replace(const std::string& path, std::span<const uint8_t> content,
                                const ReplaceOptions& options) override {
    return replace_file(path, content, options);
  }

  Result<void> remove(const std::string& path) override {
    if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
    return fail(error_code(errno), "cannot remove {}: {}", shown(path), error_text(errno));
  }

  Result<void> make_folder(const std::string& path) override {
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      mkdir(path.substr(0, slash).c_str(), 0700);  // whether that worked shows in the end
    }
    if (mkdir(path.c_str(), 0700) == 0) return {};
    const int error = errno;
    struct stat status;
    if (error == EEXIST && stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
    return fail(error_code(error), "cannot make the folder {}: {}", shown(path), error_text(error));
  }

  Result<SecureBytes> read_beginning(const std::string& path, size_t size) override {
    // O_NONBLOCK: should it be a pipe after all, do not wait for its writer.
    const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!file) return fail(error_code(errno), "cannot read {}: {}", shown(path), error_text(errno));
    SecureBytes bytes(size);
    size_t done = 0;
    while (done < size) {
      const ssize_t count = ::read(file.get(), bytes.expose_mutable().data() + done, size - done);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return fail(error_code(errno), "cannot read {}: {}", shown(path), error_text(errno));
      if (count == 0) break;
      done += static_cast<size_t>(count);
    }
    bytes.shrink(done);
    return bytes;
  }

  Result<std::vector<DirectoryEntry>> list(const std::string& path) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
    if (!directory) return fail(error_code(errno), "cannot list {}: {}", shown(path), error_text(errno));
    std::vector<DirectoryEntry> entries;
    while (true) {
      errno = 0;
      const dirent* found = readdir(directory.get());
      if (found == nullptr && errno != 0) {
        return fail(error_code(errno), "cannot list {}: {}", shown(path), error_text(errno));
      }
      if (found == nullptr) break;
      const std::string name = found->d_name;
      if (name == "." || name == "..") continue;
      entries.push_back({.name = name, .kind = entry_kind(dirfd(directory.get()), *found)});
    }
    std::ranges::sort(entries, {}, &DirectoryEntry::name);
    return entries;
  }

  Result<std::unique_ptr<FileLock>> lock_folder(const std::string& path, std::chrono::milliseconds patience,
                                                std::stop_token stop) override {
    auto lock = std::make_unique<FolderLock>();
    lock->folder = Descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
    if (!lock->folder) return fail(error_code(errno), "cannot lock {}: {}", shown(path), error_text(errno));
    const auto end = std::chrono::steady_clock::now() + patience;
    while (flock(lock->folder.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return nullptr;  // NFS locks nothing that is not open for writing
      if (stop.stop_requested() || std::chrono::steady_clock::now() >= end) {
        return fail(ErrorCode::kUnavailable, "another process holds the lock of {}", shown(path));
      }
      std::this_thread::sleep_for(kLockInterval);
    }
    return lock;
  }

  std::optional<std::string> target_of_temporary_file(const std::string& path) override {
    const size_t name = path.rfind('/') + 1;
    const auto target = replacing::target_of_temporary_name(std::string_view(path).substr(name));
    if (!target) return std::nullopt;
    return path.substr(0, name) + *target;
  }

  void remove_remains(const std::string& path) override { sops::remove_remains(path); }

  std::unique_ptr<FileChanges> begin_changes() override { return make_real_changes(); }

 private:
  static DirectoryEntry::Kind entry_kind(int directory, const dirent& entry) {
    using Kind = DirectoryEntry::Kind;
    mode_t mode = static_cast<mode_t>(DTTOIF(entry.d_type));
    struct stat status;
    if (entry.d_type == DT_UNKNOWN) {
      mode = fstatat(directory, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_mode : 0;
    }
    if (S_ISREG(mode)) return Kind::kRegular;
    if (S_ISDIR(mode)) return Kind::kDirectory;
    return S_ISLNK(mode) ? Kind::kLink : Kind::kOther;
  }
};

}  // namespace

std::unique_ptr<Files> make_real_files() { return std::make_unique<RealFiles>(); }

}  // namespace sops
