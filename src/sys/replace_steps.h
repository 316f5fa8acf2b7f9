// SPDX-License-Identifier: MPL-2.0
//
// The steps of replacing a file, shared by the two that do it: replace.cc (one file) and changes.cc (many at once). Why
// they are as they are: docs/decisions/0002-replacing-a-file.md. Private to sys. Functions that return `int` return an
// errno value, 0 for success, or one of the three values below.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "sys/posix.h"
#include "sys/real_parts.h"

namespace sops::replacing {

// Errno values of our own, which no system call returns.
inline constexpr int kNeedsName = -1;  // an unnamed file is not possible here
inline constexpr int kSurprise = -2;   // what is at the path is no longer what was looked at
inline constexpr int kChanged = -3;    // the file does not hold what the caller expects
inline constexpr int kIsThere = -4;    // a file that must be new

/// How often to look again when others change the directory under our hands.
inline constexpr int kMaxSurprises = 50;

/// The error for a person. `hint` stands in place of the usual one.
Failure write_failure(const std::string& path, int error, std::optional<std::string> hint = std::nullopt);

/// Where the bytes shall go: a name in an open directory, so that later steps cannot end up elsewhere.
struct Target {
  posix::Descriptor directory;  // opened with O_PATH, or for reading
  std::string name;
  bool is_magic_link = false;  // `name` is a link of /proc, which only opening can follow; else it is no link
  int descriptor = -1;         // for /dev/stdout and the like: our own descriptor, which is the target
};

/// Follows the links of the last component. The directories before it are left to the kernel.
int find_target(const std::string& path, Target& target);

bool is_same_file(const struct stat& a, const struct stat& b);

/// The `number`-th private name of a target, from 1 to kTemporaryNames: ".prod.yaml.sops-tmp-1".
std::string temporary_name(const std::string& target_name, int number);
inline constexpr int kTemporaryNames = 4;  // one is enough but for concurrent runs on the same file

/// Removes what killed runs have left beside `target_name`: private names whose makers are dead. `target_owner` is whom
/// a run by root would have given them to.
void remove_stale_files(int directory, const std::string& target_name, uid_t target_owner);

/// The target that `name` is a private name for, if it is one.
std::optional<std::string> target_of_temporary_name(std::string_view name);

/// A file in the making. While it has a private name, destruction removes that name.
class TemporaryFile {
 public:
  /// For the target `target_name` in the open directory `directory`, which outlives the object.
  TemporaryFile(int directory, std::string target_name, uid_t target_owner)
      : directory_(directory), target_name_(std::move(target_name)), target_owner_(target_owner) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile();

  int fd() const { return file_.get(); }

  /// kNeedsName where that is not possible.
  int create_unnamed(mode_t mode);
  /// REQUIRES: as long as the object lives signals are blocked, or whoever handles them knows of the name.
  int create_named(mode_t mode);
  /// Gives an unnamed file its private name.
  int name_privately();
  /// Gives an unnamed file the target's name. kSurprise if that is taken.
  int link_to_target();
  /// Makes a file with a private name the target, in place of the one that is there.
  int rename_to_target();
  /// The same where none is. kSurprise if there is one.
  int rename_to_new_target();

  /// The private name, which is the caller's to remove from now on.
  std::string release_name();
  /// The open file, which keeps its lock; adopt() takes one back.
  posix::Descriptor release_file();
  void adopt(posix::Descriptor file) { file_ = std::move(file); }

 private:
  template <class Take>
  int with_free_name(Take take);
  int link_as(const std::string& name);

  int directory_;
  std::string target_name_;
  uid_t target_owner_;
  posix::Descriptor file_;
  std::string name_;  // the private name; empty if it has none
};

/// fsync, where the file system knows it.
int sync_file(int file);

/// Owner, extended attributes and ACL of the file `from`, whose state is `old`. Not the mode: that is 0600 afterwards.
int copy_metadata(int from, const struct stat& old, int to);

/// The file that is there, opened for writing (and reading, if possible).
struct OldFile {
  posix::Descriptor file;
  struct stat status;
  bool is_readable = false;
};

/// Opens the file that was seen at the target. kSurprise if it is another by now.
int open_old_file(const Target& target, const struct stat& seen, bool must_read, OldFile& old);

/// kChanged if the file does not hold `expected`.
int compare(int file, std::span<const uint8_t> expected);

/// True if `now` is the same as `before`, as far as that can be told without reading.
bool is_untouched(const struct stat& now, const struct stat& before);
/// The same of what is at the target.
bool is_untouched(const Target& target, const struct stat& before);

/// True if the refusal is of the kind that writing over the old file does not meet: the directory may not be written
/// (EACCES, EPERM, EROFS), owner or attributes may not be set (EPERM, EACCES, ENOTSUP), the file is a mount point
/// (EBUSY, EXDEV).
bool is_about_the_directory(int error);

/// Writes over the old file. Space is reserved first, and an error on the way puts the old bytes back. What remains: a
/// SIGKILL or power failure between the first byte and the last leaves a mixture. `backup` receives the old bytes if
/// they could be read.
Result<void> overwrite(const std::string& path, const OldFile& old, std::span<const uint8_t> content,
                       std::optional<SecureBytes>& backup);

/// Calls `step(with_name)` without a name and, where that is not possible, with one.
template <class Step>
int unnamed_if_possible(Step step) {
  const int error = step(false);
  return error == kNeedsName ? step(true) : error;
}

}  // namespace sops::replacing
