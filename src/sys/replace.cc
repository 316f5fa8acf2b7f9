// SPDX-License-Identifier: MPL-2.0
//
// Replacing a file so that nothing is lost (architecture.md promise 3; docs/decisions/0002-replacing-a-file.md).
//
// Truncating a file and writing it again loses both versions when the disk fills up or the process is killed in
// between. So the new version is written beside the old one and takes its name in a single step:
//
//   look           follow links by hand, so that the link stays and its target is replaced
//   write          all bytes into a file without a name (O_TMPFILE) in the same directory; owner, ACL, attributes;
//   fsync .NAME.sops-tmp-1   give it a private name, mode 0600             \  signals blocked; only SIGKILL or chmod
//   the mode of the old file                           | a power failure between the first and the rename         over
//   the old file: the one instant of change      /  last of these leaves the private name behind fsync          the
//   directory
//
// Until the file has a name, the kernel frees it whatever happens to us. The private names of a target are few and
// known, so the next replacement finds what a SIGKILL has left without reading the directory. Every temporary file is
// locked (flock) as long as its maker lives: one that is not locked is stale.
//
// A file that does not exist yet needs no private name: the link makes the final one. A file system without O_TMPFILE
// gets a temporary file with a name from the start, with signals blocked all the while.
//
// Where a new file cannot take the place of the old one, the old one is written over (see overwrite() for what that
// costs).
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <vector>

#include "sys/posix.h"
#include "sys/real_parts.h"

namespace sops {

namespace {

using posix::Descriptor;
using posix::error_text;
using posix::SignalsBlocked;

// As many as the kernel follows (path_resolution(7)).
constexpr int kMaxLinks = 40;

// Private names per target. One is enough but for concurrent runs on the same file.
constexpr int kTemporaryNames = 4;

// How long to wait for other processes that replace the same file, which takes each of them milliseconds.
constexpr int kNameRounds = 60;
constexpr timespec kNameRoundPause{.tv_sec = 0, .tv_nsec = 50'000'000};

// Where locks do not work, a temporary file older than this is taken for stale.
constexpr time_t kStaleAfterSeconds = 3600;

// How often to look again when others change the directory under our hands.
constexpr int kMaxSurprises = 50;

constexpr size_t kCompareBlock = 64 << 10;

// Errno values of our own, which no system call returns.
constexpr int kNeedsName = -1;  // an unnamed file is not possible here
constexpr int kSurprise = -2;   // what is at the path is no longer what was looked at
constexpr int kChanged = -3;    // the file does not hold what the caller expects

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

// `hint` stands in place of the usual one.
Failure write_failure(const std::string& path, int error, std::optional<std::string> hint = std::nullopt) {
  const std::string shown = escape_for_message(path, 4096);
  if (error == kChanged) {
    return fail(ErrorCode::kUnavailable, "{} has changed since it was read; nothing was written", shown)
        .hint("run the command again")
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

// --- Looking
// ---------------------------------------------------------------------------------------------------------------

// Where the bytes shall go: a name in an open directory, so that later steps cannot end up elsewhere.
struct Target {
  Descriptor directory;  // opened with O_PATH
  std::string name;
  bool is_magic_link = false;  // `name` is a link of /proc, which only opening can follow; else it is no link
  int descriptor = -1;         // for /dev/stdout and the like: our own descriptor, which is the target
};

struct SplitPath {
  std::string directory;  // "." if the path has none
  std::string name;       // empty if the path ends in a slash
};

SplitPath split_path(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {path.substr(0, slash + 1), path.substr(slash + 1)};
}

bool is_same_file(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

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

// Follows the links of the last component. The directories before it are left to the kernel.
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

// --- Temporary files
// ---------------------------------------------------------------------------------------------------------

// ".prod.yaml.sops-tmp-1". The target's part is cut to stay within the shortest limits for names; files that then share
// their private names only wait for each other.
std::string temporary_name(const std::string& target_name, int number) {
  constexpr size_t kLongestPart = 100;
  size_t length = std::min(target_name.size(), kLongestPart);
  while (length > 0 && length < target_name.size() && (target_name[length] & 0xc0) == 0x80) --length;  // whole UTF-8
  return format(".{}.sops-tmp-{}", target_name.substr(0, length), number);
}

// Removes what a killed run has left under `name`: a regular file with one name, owned by us or by the target's owner
// (a run by root gives it away), whose maker is dead. With the lock in our hands nobody else touches the name.
void remove_if_stale(int directory, const std::string& name, uid_t target_owner) {
  struct stat status, named;
  if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (!S_ISREG(status.st_mode) || (status.st_uid != geteuid() && status.st_uid != target_owner)) return;
  const Descriptor file(openat(directory, name.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!file || fstat(file.get(), &named) != 0 || !is_same_file(status, named) || named.st_nlink != 1) return;
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return;
    if (time(nullptr) - named.st_mtime < kStaleAfterSeconds) return;
  }
  if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !is_same_file(status, named)) return;
  unlinkat(directory, name.c_str(), 0);
}

void remove_stale_files(int directory, const std::string& target_name, uid_t target_owner) {
  for (int number = 1; number <= kTemporaryNames; ++number) {
    remove_if_stale(directory, temporary_name(target_name, number), target_owner);
  }
}

// A file in the making. While it has a private name, destruction removes that name.
class TemporaryFile {
 public:
  // REQUIRES: `target` outlives the object.
  TemporaryFile(const Target& target, uid_t target_owner) : target_(target), target_owner_(target_owner) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!name_.empty()) unlinkat(directory(), name_.c_str(), 0);
  }

  int fd() const { return file_.get(); }

  int create_unnamed(mode_t mode) {
    file_ = Descriptor(openat(directory(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
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

  // REQUIRES: signals are blocked as long as the object lives.
  int create_named(mode_t mode) {
    return with_free_name([&](const std::string& name) {
      Descriptor file(openat(directory(), name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, mode));
      if (!file) return errno;
      file_ = std::move(file);
      name_ = name;
      // Between the two calls it looked stale to others: lock, then see whether the name is still ours.
      flock(file_.get(), LOCK_EX);
      struct stat status, named;
      if (fstat(file_.get(), &status) != 0) return errno;
      const bool is_there = fstatat(directory(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0;
      if (!is_there && errno != ENOENT) return errno;
      if (!is_there || !is_same_file(status, named)) {
        name_.clear();
        return EEXIST;
      }
      return 0;
    });
  }

  // Gives an unnamed file its private name.
  int name_privately() {
    return with_free_name([&](const std::string& name) { return link_as(name); });
  }

  // Gives an unnamed file the target's name. kSurprise if that is taken.
  int link_to_target() {
    const int error = link_as(target_.name);
    return error == EEXIST ? kSurprise : error;
  }

  // Makes a file with a private name the target, in place of the one that is there.
  int rename_to_target() {
    if (renameat(directory(), name_.c_str(), directory(), target_.name.c_str()) != 0) return errno;
    name_.clear();
    return 0;
  }

  // The same where none is. kSurprise if there is one.
  int rename_to_new_target() {
    if (renameat2(directory(), name_.c_str(), directory(), target_.name.c_str(), RENAME_NOREPLACE) == 0) {
      name_.clear();
      return 0;
    }
    if (errno == EEXIST) return kSurprise;
    return errno == EINVAL || errno == ENOSYS ? rename_to_target() : errno;  // the file system cannot tell
  }

 private:
  int directory() const { return target_.directory.get(); }

  // Calls `take` with private names until it returns something else than EEXIST.
  template <class Take>
  int with_free_name(Take take) {
    for (int round = 0; round < kNameRounds; ++round) {
      if (round > 0) nanosleep(&kNameRoundPause, nullptr);
      for (int number = 1; number <= kTemporaryNames; ++number) {
        const std::string name = temporary_name(target_.name, number);
        const int error = take(name);
        if (error == 0) name_ = name;
        if (error != EEXIST) return error;
      }
      remove_stale_files(directory(), target_.name, target_owner_);
    }
    return EEXIST;
  }

  int link_as(const std::string& name) {
    // The first form needs /proc, the second the right to search by descriptor alone (CAP_DAC_READ_SEARCH; since
    // Linux 6.10 also whoever opened the file).
    const std::string self = format("/proc/self/fd/{}", file_.get());
    if (linkat(AT_FDCWD, self.c_str(), directory(), name.c_str(), AT_SYMLINK_FOLLOW) == 0) return 0;
    if (errno == EEXIST || errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EROFS) return errno;
    if (linkat(file_.get(), "", directory(), name.c_str(), AT_EMPTY_PATH) == 0) return 0;
    return errno == EEXIST ? EEXIST : kNeedsName;
  }

  const Target& target_;
  uid_t target_owner_;
  Descriptor file_;
  std::string name_;  // the private name; empty if it has none
};

int sync_file(int file) {
  if (fsync(file) != 0 && errno != EINVAL && errno != ENOTSUP) return errno;
  return 0;
}

// Makes the mode of `file` and its new name survive a power failure. Its bytes are on disk already, so where both live
// in one journal the second call finds nothing to do.
int sync_change(const Target& target, int file) {
  if (const int error = sync_file(file)) return error;
  const Descriptor directory(openat(target.directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // A directory that we may write but not read (mode 0300): the whole file system, then.
  const int result = directory ? fsync(directory.get()) : syncfs(file);
  // Some network file systems know no such thing.
  if (result != 0 && errno != EINVAL && errno != ENOTSUP && errno != EBADF && errno != EROFS) return errno;
  return 0;
}

// --- What a file carries beside its bytes
// --------------------------------------------------------------------------------------

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

// --- The ways to replace
// -------------------------------------------------------------------------------------------------------

// The file that is there, opened for writing (and reading, if possible).
struct OldFile {
  Descriptor file;
  struct stat status;
  bool is_readable = false;
};

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

// True if a file is the same as when it was looked at, as far as that can be told without reading it again.
bool is_untouched(const Target& target, const struct stat& before) {
  struct stat now;
  return fstatat(target.directory.get(), target.name.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 &&
         is_same_file(now, before) && now.st_size == before.st_size && now.st_mtim.tv_sec == before.st_mtim.tv_sec &&
         now.st_mtim.tv_nsec == before.st_mtim.tv_nsec;
}

// Writes a file where none is. kSurprise if one has appeared meanwhile.
int create(const Target& target, std::span<const uint8_t> content, mode_t mode, bool with_name) {
  std::optional<SignalsBlocked> blocked;
  if (with_name) blocked.emplace();
  TemporaryFile file(target, geteuid());
  // The kernel applies umask or the directory's default ACL.
  if (const int error = with_name ? file.create_named(mode) : file.create_unnamed(mode)) return error;
  struct stat status;
  if (fstat(file.fd(), &status) != 0) return errno;
  if (with_name && fchmod(file.fd(), 0600) != 0) return errno;
  if (const int error = posix::write_all(file.fd(), content)) return error;
  if (const int error = sync_file(file.fd())) return error;
  if (with_name && fchmod(file.fd(), status.st_mode & 07777) != 0) return errno;
  if (const int error = with_name ? file.rename_to_new_target() : file.link_to_target()) return error;
  return sync_change(target, file.fd());
}

// Puts a new file in the place of `old`.
int rename_over(const Target& target, const OldFile& old, std::span<const uint8_t> content, bool must_be_untouched,
                bool with_name) {
  std::optional<SignalsBlocked> blocked;
  if (with_name) blocked.emplace();
  TemporaryFile file(target, old.status.st_uid);
  if (const int error = with_name ? file.create_named(0600) : file.create_unnamed(0600)) return error;
  if (const int error = posix::write_all(file.fd(), content)) return error;
  if (const int error = copy_metadata(old.file.get(), old.status, file.fd())) return error;
  if (const int error = sync_file(file.fd())) return error;

  {
    const SignalsBlocked while_named;
    if (!with_name) {
      if (const int error = file.name_privately()) return error;
    }
    if (fchmod(file.fd(), old.status.st_mode & 07777) != 0) return errno;
    if (must_be_untouched && !is_untouched(target, old.status)) return kChanged;
    if (const int error = file.rename_to_target()) return error;
  }
  return sync_change(target, file.fd());
}

// True if the refusal is of the kind that writing over the old file does not meet: the directory may not be written
// (EACCES, EPERM, EROFS), owner or attributes may not be set (EPERM, EACCES, ENOTSUP), the file is a mount point
// (EBUSY, EXDEV).
bool is_about_the_directory(int error) {
  return error == EACCES || error == EPERM || error == EROFS || error == ENOTSUP || error == EBUSY || error == EXDEV;
}

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
// SIGKILL or power failure between the first byte and the last leaves a mixture.
Result<void> overwrite(const std::string& path, const OldFile& old, std::span<const uint8_t> content) {
  const auto old_size = static_cast<uint64_t>(old.status.st_size);
  std::optional<SecureBytes> backup;
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

// A device, a pipe or a socket: there is nothing to keep.
int write_direct(const Target& target, std::span<const uint8_t> content) {
  const Descriptor file(target.descriptor >= 0
                            ? fcntl(target.descriptor, F_DUPFD_CLOEXEC, 3)
                            : openat(target.directory.get(), target.name.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!file) return errno;
  const posix::PipeSignalBlocked blocked;
  return posix::write_all(file.get(), content);
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

// Calls `step(with_name)` without a name and, where that is not possible, with one.
template <class Step>
int unnamed_if_possible(Step step) {
  const int error = step(false);
  return error == kNeedsName ? step(true) : error;
}

Result<ReplaceMethod> replace_directly(const std::string& path, const Target& target,
                                       std::span<const uint8_t> content) {
  if (const int error = write_direct(target, content)) return write_failure(path, error, "");
  return ReplaceMethod::kDirect;
}

Result<ReplaceMethod> replace_missing(const std::string& path, const Target& target, std::span<const uint8_t> content,
                                      const Files::ReplaceOptions& options, bool& look_again) {
  if (options.expected) return write_failure(path, kChanged);
  const mode_t mode = options.is_private ? 0600 : 0666;
  const int error = unnamed_if_possible([&](bool with_name) { return create(target, content, mode, with_name); });
  if (error == 0) return ReplaceMethod::kRenamed;
  look_again = error == kSurprise;
  return write_failure(path, error);
}

Result<ReplaceMethod> replace_existing(const std::string& path, const Target& target, const struct stat& seen,
                                       std::span<const uint8_t> content, const Files::ReplaceOptions& options,
                                       bool& look_again) {
  OldFile old;
  int error = open_old_file(target, seen, options.expected.has_value(), old);
  if (error == 0 && options.expected) error = compare(old.file.get(), *options.expected);
  if (error != 0) {
    look_again = error == kSurprise;
    return write_failure(path, error);
  }

  // A file with another name would live on under that one with its old content.
  const bool can_rename = old.status.st_nlink == 1 && !target.is_magic_link;
  error = can_rename ? unnamed_if_possible([&](bool with_name) {
    return rename_over(target, old, content, options.expected.has_value(), with_name);
  })
                     : EBUSY;
  if (error == 0) return ReplaceMethod::kRenamed;
  if (!is_about_the_directory(error)) return write_failure(path, error);

  if (options.expected && !target.is_magic_link && !is_untouched(target, old.status))
    return write_failure(path, kChanged);
  TRY(overwrite(path, old, content));
  return ReplaceMethod::kInPlace;
}

// One attempt. `look_again` tells that it failed because the directory changed under our hands.
Result<ReplaceMethod> try_to_replace(const std::string& path, std::span<const uint8_t> content,
                                     const Files::ReplaceOptions& options, bool& look_again) {
  Target target;
  if (const int error = find_target(path, target)) return write_failure(path, error);
  if (target.descriptor >= 0) return replace_directly(path, target, content);

  struct stat seen;
  const int flags = target.is_magic_link ? 0 : AT_SYMLINK_NOFOLLOW;
  const bool exists = fstatat(target.directory.get(), target.name.c_str(), &seen, flags) == 0;
  if (!exists && errno != ENOENT) return write_failure(path, errno);
  if (exists && S_ISDIR(seen.st_mode)) return write_failure(path, EISDIR);
  if (exists && S_ISLNK(seen.st_mode)) {
    look_again = true;
    return write_failure(path, kSurprise);
  }
  if (exists && !S_ISREG(seen.st_mode)) return replace_directly(path, target, content);

  remove_stale_files(target.directory.get(), target.name, exists ? seen.st_uid : geteuid());
  if (!exists) return replace_missing(path, target, content, options, look_again);
  return replace_existing(path, target, seen, content, options, look_again);
}

}  // namespace

Result<ReplaceMethod> replace_file(const std::string& path, std::span<const uint8_t> content,
                                   const Files::ReplaceOptions& options) {
  for (int surprises = 0;; ++surprises) {
    bool look_again = false;
    Result<ReplaceMethod> result = try_to_replace(path, content, options, look_again);
    if (!look_again || surprises == kMaxSurprises) return result;
  }
}

}  // namespace sops
