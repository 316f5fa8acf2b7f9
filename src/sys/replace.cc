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
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "sys/replace_steps.h"

namespace sops {

namespace {

using namespace replacing;
using posix::Descriptor;
using posix::SignalsBlocked;

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

// Writes a file where none is. kSurprise if one has appeared meanwhile.
int create(const Target& target, std::span<const uint8_t> content, mode_t mode, bool with_name) {
  std::optional<SignalsBlocked> blocked;
  if (with_name) blocked.emplace();
  TemporaryFile file(target.directory.get(), target.name, geteuid());
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
  TemporaryFile file(target.directory.get(), target.name, old.status.st_uid);
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

// A device, a pipe or a socket: there is nothing to keep.
int write_direct(const Target& target, std::span<const uint8_t> content) {
  const Descriptor file(target.descriptor >= 0
                            ? fcntl(target.descriptor, F_DUPFD_CLOEXEC, 3)
                            : openat(target.directory.get(), target.name.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!file) return errno;
  const posix::PipeSignalBlocked blocked;
  return posix::write_all(file.get(), content);
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
  std::optional<SecureBytes> backup;
  TRY(overwrite(path, old, content, backup));
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
  if (exists && options.must_be_new) return write_failure(path, kIsThere);
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
