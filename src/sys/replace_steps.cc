// SPDX-License-Identifier: MPL-2.0
#include "sys/replace_steps.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>

namespace sops::replacing {

using posix::Descriptor;
using posix::error_text;
using posix::SignalsBlocked;

namespace {

// As many as the kernel follows (path_resolution(7)).
constexpr int kMaxLinks = 40;

// How long to wait for other processes that replace the same file, which takes each of them milliseconds.
constexpr int kNameRounds = 60;
constexpr timespec kNameRoundPause{.tv_sec = 0, .tv_nsec = 50'000'000};

// Where locks do not work, a temporary file older than this is taken for stale.
constexpr time_t kStaleAfterSeconds = 3600;

constexpr size_t kCompareBlock = 64 << 10;

std::string hint_for(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "make room on the file system; the file itself has not been changed";
    case EACCES:
    case EPERM:
      return "check the permissions of the file and of its directory";
    case EROFS:
      return "the file system is mounted read-only";
    case ENOENT:
      return "create the directory first";
    case EISDIR:
      return "name a file, not a directory";
    default:
      return "";
  }
}

}  // namespace

Failure write_failure(const std::string& path, int error, std::optional<std::string> hint) {
  const std::string shown = escape_for_message(path, 4096);
  if (error == kChanged) {
    return fail(ErrorCode::kUnavailable, "{} has changed since it was read; nothing was written", shown)
        .hint("run the command again")
        .exit(ExitStatus::kCannotWriteOutput);
  }
  if (error == kIsThere) {
    return fail(ErrorCode::kUnavailable, "there is a file {} meanwhile; nothing was written", shown)
        .exit(ExitStatus::kCannotWriteOutput);
  }
  if (error == kSurprise || error == EEXIST) {
    return fail(ErrorCode::kIo, "cannot write {}: other programs keep changing it", shown)
        .hint("stop them, and remove the files .*.sops-tmp-* beside it if nothing else uses them")
        .exit(ExitStatus::kCannotWriteOutput);
  }
  // A missing directory is not a missing file: callers of replace() branch on kDenied and kIo only.
  const ErrorCode code = posix::error_code(error) == ErrorCode::kDenied ? ErrorCode::kDenied : ErrorCode::kIo;
  return fail(code, "cannot write {}: {}", shown, error_text(error))
      .hint(hint ? std::move(*hint) : hint_for(error))
      .exit(ExitStatus::kCannotWriteOutput);
}

// --- Looking --------------------------------------------------------------------------------------------------------

bool is_same_file(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

namespace {

struct SplitPath {
  std::string directory;  // "." if the path has none
  std::string name;       // empty if the path ends in a slash
};

SplitPath split_path(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {path.substr(0, slash + 1), path.substr(slash + 1)};
}

// `directory`/`name` is a link of /proc whose text is not where it leads ("pipe:[4711]"). If it is one of our own
// descriptors that is open for writing, then that descriptor is the target: writing to /dev/stdout must continue at its
// position.
int own_descriptor(int directory, const std::string& name) {
  struct stat ours, given;
  if (stat("/proc/self/fd", &ours) != 0 || fstat(directory, &given) != 0 || !is_same_file(ours, given)) return -1;
  const int number = posix::parse_descriptor_number(name);
  if (number < 0) return -1;
  const int flags = fcntl(number, F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY ? number : -1;
}

}  // namespace

int find_target(const std::string& path, Target& target) {
  // fs.protected_symlinks: following a link that somebody else put into /tmp must fail for us as it does in open().
  // Asking the kernel to follow the whole path first applies the rule.
  struct stat status;
  if (stat(path.c_str(), &status) != 0 && errno != ENOENT) return errno;

  std::string rest = path;
  target.directory = Descriptor(AT_FDCWD);  // no descriptor, but openat() knows it
  for (int links = 0; links <= kMaxLinks; ++links) {
    SplitPath split = split_path(rest);
    Descriptor directory(openat(target.directory.get(), split.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return errno;
    target.directory = std::move(directory);
    target.name = std::move(split.name);
    if (target.name.empty()) return path.empty() ? ENOENT : EISDIR;
    if (target.name == "." || target.name == "..") return EISDIR;

    std::string text(PATH_MAX, '\0');
    const ssize_t length = readlinkat(target.directory.get(), target.name.c_str(), text.data(), text.size());
    if (length < 0) return errno == EINVAL || errno == ENOENT ? 0 : errno;  // not a link, or nothing yet
    struct statfs file_system;
    if (fstatfs(target.directory.get(), &file_system) == 0 && file_system.f_type == PROC_SUPER_MAGIC) {
      const int number = own_descriptor(target.directory.get(), target.name);
      if (number >= 0) {
        target.descriptor = number;
        return 0;
      }
      target.is_magic_link = true;
      return 0;
    }
    text.resize(static_cast<size_t>(length));
    rest = std::move(text);
  }
  return ELOOP;
}

// --- Temporary files ------------------------------------------------------------------------------------------------

// The target's part is cut to stay within the shortest limits for names; files that then share
// their private names only wait for each other.
std::string temporary_name(const std::string& target_name, int number) {
  constexpr size_t kLongestPart = 100;
  size_t length = std::min(target_name.size(), kLongestPart);
  while (length > 0 && length < target_name.size() && (target_name[length] & 0xc0) == 0x80) --length;  // whole UTF-8
  return format(".{}.sops-tmp-{}", target_name.substr(0, length), number);
}

namespace {

// True if a run over many files is alive that may have unlocked private names in the directory: such a run holds a lock
// on the directory itself.
bool batch_is_alive(int directory) {
  const Descriptor file(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return file && flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

// Removes what a killed run has left under `name`: a regular file with one name (or the target's beside it), owned by
// us or by the target's owner (a run by root gives it away), whose maker is dead. With the lock in our hands nobody
// else touches the name.
void remove_if_stale(int directory, const std::string& target_name, const std::string& name, uid_t target_owner) {
  struct stat status, named;
  if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (!S_ISREG(status.st_mode) || (status.st_uid != geteuid() && status.st_uid != target_owner)) return;
  const Descriptor file(openat(directory, name.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!file || fstat(file.get(), &named) != 0 || !is_same_file(status, named)) return;
  struct stat target;
  const bool is_target = fstatat(directory, target_name.c_str(), &target, AT_SYMLINK_NOFOLLOW) == 0 &&
                         is_same_file(target, named);  // from changes.cc, where names cannot be exchanged
  if (named.st_nlink != (is_target ? 2 : 1)) return;
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return;
    if (time(nullptr) - named.st_mtime < kStaleAfterSeconds) return;
  }
  if (batch_is_alive(directory)) return;
  if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !is_same_file(status, named)) return;
  unlinkat(directory, name.c_str(), 0);
}

}  // namespace

void remove_stale_files(int directory, const std::string& target_name, uid_t target_owner) {
  for (int number = 1; number <= kTemporaryNames; ++number) {
    remove_if_stale(directory, target_name, temporary_name(target_name, number), target_owner);
  }
}

std::optional<std::string> target_of_temporary_name(std::string_view name) {
  constexpr std::string_view kMark = ".sops-tmp-";
  const size_t mark = name.rfind(kMark);
  if (mark == std::string_view::npos || mark < 2 || name[0] != '.' || mark + kMark.size() + 1 != name.size())
    return std::nullopt;
  if (name.back() < '1' || name.back() > '0' + kTemporaryNames) return std::nullopt;
  return std::string(name.substr(1, mark - 1));
}

TemporaryFile::~TemporaryFile() {
  if (!name_.empty()) unlinkat(directory_, name_.c_str(), 0);
}

int TemporaryFile::create_unnamed(mode_t mode) {
  file_ = Descriptor(openat(directory_, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
  if (!file_) {
    // "not supported" in the dialects of kernels and file systems (open(2), O_TMPFILE).
    const bool unsupported =
        errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT || errno == ENOSYS;
    return unsupported ? kNeedsName : errno;
  }
  // Held until the process ends or the file is in place. No locks on this file system: see kStaleAfterSeconds.
  flock(file_.get(), LOCK_EX | LOCK_NB);
  return 0;
}

int TemporaryFile::create_named(mode_t mode) {
  return with_free_name([&](const std::string& name) {
    Descriptor file(openat(directory_, name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!file) return errno;
    file_ = std::move(file);
    name_ = name;
    // Between the two calls it looked stale to others: lock, then see whether the name is still ours.
    flock(file_.get(), LOCK_EX);
    struct stat status, named;
    if (fstat(file_.get(), &status) != 0) return errno;
    const bool is_there = fstatat(directory_, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0;
    if (!is_there && errno != ENOENT) return errno;
    if (!is_there || !is_same_file(status, named)) {
      name_.clear();
      return EEXIST;
    }
    return 0;
  });
}

int TemporaryFile::name_privately() {
  return with_free_name([&](const std::string& name) { return link_as(name); });
}

int TemporaryFile::link_to_target() {
  const int error = link_as(target_name_);
  return error == EEXIST ? kSurprise : error;
}

int TemporaryFile::rename_to_target() {
  if (renameat(directory_, name_.c_str(), directory_, target_name_.c_str()) != 0) return errno;
  name_.clear();
  return 0;
}

int TemporaryFile::rename_to_new_target() {
  if (renameat2(directory_, name_.c_str(), directory_, target_name_.c_str(), RENAME_NOREPLACE) == 0) {
    name_.clear();
    return 0;
  }
  if (errno == EEXIST) return kSurprise;
  return errno == EINVAL || errno == ENOSYS ? rename_to_target() : errno;  // the file system cannot tell
}

std::string TemporaryFile::release_name() { return std::exchange(name_, {}); }

Descriptor TemporaryFile::release_file() { return std::move(file_); }

// Calls `take` with private names until it returns something else than EEXIST.
template <class Take>
int TemporaryFile::with_free_name(Take take) {
  for (int round = 0; round < kNameRounds; ++round) {
    if (round > 0) nanosleep(&kNameRoundPause, nullptr);
    for (int number = 1; number <= kTemporaryNames; ++number) {
      const std::string name = temporary_name(target_name_, number);
      const int error = take(name);
      if (error == 0) name_ = name;
      if (error != EEXIST) return error;
    }
    remove_stale_files(directory_, target_name_, target_owner_);
  }
  return EEXIST;
}

int TemporaryFile::link_as(const std::string& name) {
  // The first form needs /proc, the second the right to search by descriptor alone (CAP_DAC_READ_SEARCH; since
  // Linux 6.10 also whoever opened the file).
  const std::string self = format("/proc/self/fd/{}", file_.get());
  if (linkat(AT_FDCWD, self.c_str(), directory_, name.c_str(), AT_SYMLINK_FOLLOW) == 0) return 0;
  if (errno == EEXIST || errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EROFS) return errno;
  if (linkat(file_.get(), "", directory_, name.c_str(), AT_EMPTY_PATH) == 0) return 0;
  return errno == EEXIST ? EEXIST : kNeedsName;
}

int sync_file(int file) {
  if (fsync(file) != 0 && errno != EINVAL && errno != ENOTSUP) return errno;
  return 0;
}

// --- What a file carries beside its bytes ---------------------------------------------------------------------------

namespace {

constexpr const char* kAccessAcl = "system.posix_acl_access";

// These hold for the old content only; the kernel drops or renews them at every write.
bool belongs_to_content(std::string_view attribute) {
  return attribute == "security.ima" || attribute == "security.evm" || attribute == "security.capability";
}

// Reads a variable-size attribute with `call(buffer, size)`, which returns the size needed for (nullptr, 0).
template <class Call>
int read_attribute(Call call, std::string& value) {
  for (int attempt = 0; attempt < kMaxSurprises; ++attempt) {
    const ssize_t size = call(nullptr, 0);
    if (size < 0) return errno;
    value.resize(static_cast<size_t>(size));
    if (size == 0) return 0;
    const ssize_t count = call(value.data(), value.size());
    if (count >= 0) {
      value.resize(static_cast<size_t>(count));
      return 0;
    }
    if (errno != ERANGE) return errno;  // ERANGE: it grew in between
  }
  return ERANGE;
}

int read_xattr(int file, const std::string& name, std::string& value) {
  return read_attribute([&](char* to, size_t size) { return fgetxattr(file, name.c_str(), to, size); }, value);
}

// Extended attributes, which ACLs are among.
int copy_attributes(int from, int to) {
  std::string names;
  const int error = read_attribute([&](char* buffer, size_t size) { return flistxattr(from, buffer, size); }, names);
  if (error != 0 && error != ENOTSUP) return error;

  bool has_acl = false;
  for (const std::string_view piece : split(names, '\0')) {
    if (piece.empty() || belongs_to_content(piece)) continue;
    const std::string name(piece);
    if (name == kAccessAcl) has_acl = true;
    std::string value, present;
    if (const int failed = read_xattr(from, name, value)) return failed;
    if (read_xattr(to, name, present) == 0 && present == value) continue;  // a label may be there, yet not ours to set
    if (fsetxattr(to, name.c_str(), value.data(), value.size(), 0) != 0) return errno;
  }
  // The directory's default ACL applies to new files; the old file may have had none.
  if (!has_acl && fremovexattr(to, kAccessAcl) != 0 && errno != ENODATA && errno != ENOTSUP) return errno;
  return 0;
}

}  // namespace

// Everything but the mode, which stays 0600 until the last moment.
int copy_metadata(int from, const struct stat& old, int to) {
  struct stat status;
  if (fstat(to, &status) != 0) return errno;
  if ((status.st_uid != old.st_uid || status.st_gid != old.st_gid) && fchown(to, old.st_uid, old.st_gid) != 0)
    return errno;
  if (const int error = copy_attributes(from, to)) return error;
  // Setting an ACL sets the mode too.
  return fchmod(to, 0600) != 0 ? errno : 0;
}

// --- The old file ---------------------------------------------------------------------------------------------------

// 0 or kChanged or an errno.
int compare(int file, std::span<const uint8_t> expected) {
  SecureBytes block(kCompareBlock);
  const std::span<uint8_t> buffer = block.expose_mutable();
  uint64_t offset = 0;
  while (true) {
    const ssize_t count = pread(file, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    const auto size = static_cast<size_t>(count);
    if (size == 0) return offset == expected.size() ? 0 : kChanged;
    if (size > expected.size() - offset || std::memcmp(buffer.data(), expected.data() + offset, size) != 0)
      return kChanged;
    offset += size;
  }
}

bool is_untouched(const struct stat& now, const struct stat& before) {
  return is_same_file(now, before) && now.st_size == before.st_size && now.st_mtim.tv_sec == before.st_mtim.tv_sec &&
         now.st_mtim.tv_nsec == before.st_mtim.tv_nsec;
}

bool is_untouched(const Target& target, const struct stat& before) {
  struct stat now;
  return fstatat(target.directory.get(), target.name.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 &&
         is_untouched(now, before);
}

bool is_about_the_directory(int error) {
  return error == EACCES || error == EPERM || error == EROFS || error == ENOTSUP || error == EBUSY || error == EXDEV;
}

namespace {

// Makes sure that `size` bytes fit into `file` before the first is written.
int reserve(int file, const struct stat& status, uint64_t size) {
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && size > limit.rlim_cur) return EFBIG;
  if (size == 0) return 0;
  // The size stays, so a reader and a kill see the old file. Holes in it are filled too.
  int result;
  do {
    result = fallocate(file, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return 0;
  const int error = errno;
  if (error != EOPNOTSUPP && error != ENOSYS && error != EINVAL) {
    // Gives back what was reserved in part. The size is as before, so no byte changes.
    if (ftruncate(file, status.st_size) != 0) return error;
    return error;
  }
  const auto old_size = static_cast<uint64_t>(status.st_size);
  struct statvfs file_system;
  if (size <= old_size || fstatvfs(file, &file_system) != 0) return 0;
  return file_system.f_bavail * file_system.f_frsize < size - old_size ? ENOSPC : 0;
}

int overwrite_bytes(int file, uint64_t old_size, std::span<const uint8_t> content) {
  if (const int error = posix::write_all_at(file, content, 0)) return error;
  if (old_size > content.size() && ftruncate(file, static_cast<off_t>(content.size())) != 0) return errno;
  return sync_file(file);
}

// Writes over the old file. Space is reserved first, and an error on the way puts the old bytes back. What remains: a

}  // namespace

Result<void> overwrite(const std::string& path, const OldFile& old, std::span<const uint8_t> content,
                       std::optional<SecureBytes>& backup) {
  const auto old_size = static_cast<uint64_t>(old.status.st_size);
  if (old.is_readable && lseek(old.file.get(), 0, SEEK_SET) == 0) {
    Result<SecureBytes> bytes = posix::read_all(old.file.get(), old_size, kMaxFileSize);
    if (bytes) backup = std::move(*bytes);
  }
  if (const int error = reserve(old.file.get(), old.status, content.size())) return write_failure(path, error);

  const SignalsBlocked while_mixed;
  const int error = overwrite_bytes(old.file.get(), old_size, content);
  if (error == 0) return {};
  const bool restored = backup && posix::write_all_at(old.file.get(), backup->expose(), 0) == 0 &&
                        ftruncate(old.file.get(), static_cast<off_t>(backup->size())) == 0 &&
                        fsync(old.file.get()) == 0;
  return write_failure(path, error,
                       restored ? "its old content was put back" : "the file may be damaged; restore it from a backup");
}

// 0, kSurprise or an errno.
int open_old_file(const Target& target, const struct stat& seen, bool must_read, OldFile& old) {
  // O_NONBLOCK: should it have become a pipe meanwhile, do not wait for its reader.
  const int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (target.is_magic_link ? 0 : O_NOFOLLOW);
  old.file = Descriptor(openat(target.directory.get(), target.name.c_str(), O_RDWR | flags));
  old.is_readable = static_cast<bool>(old.file);
  if (!old.file && errno == EACCES && !must_read) {
    old.file = Descriptor(openat(target.directory.get(), target.name.c_str(), O_WRONLY | flags));
  }
  if (!old.file) return errno == ENOENT || errno == ELOOP ? kSurprise : errno;
  if (fstat(old.file.get(), &old.status) != 0) return errno;
  if (!is_same_file(old.status, seen) || !S_ISREG(old.status.st_mode)) return kSurprise;
  // Somebody has replaced it since: what we write into this one would be lost.
  return old.status.st_nlink == 0 && !target.is_magic_link ? kSurprise : 0;
}

}  // namespace sops::replacing
