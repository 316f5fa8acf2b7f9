// SPDX-License-Identifier: MPL-2.0
//
// Running a command that the user named in our place, with its streams, its signals and its exit status (exec-env,
// exec-file, an editor), and the private folder from which it reads. Unlike Processes (services.h), which runs helpers
// of ours.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops {

/// An account of this machine.
struct UserAccount {
  std::string name;
  std::string home;
  uint32_t user_id = 0;
  uint32_t group_id = 0;
  std::vector<uint32_t> groups;  // all of them, group_id among them
};

/// What happens to us while the command runs.
enum class CommandMode {
  kWait,        // we wait for it and pass signals on
  kReplace,     // it takes the place of our process; run() returns only if that fails
  kBackground,  // it gets the null device for its streams, and run() returns at once
};

struct CommandOptions {
  std::vector<std::string> arguments;  // arguments[0] is looked up in our PATH, never through the working directory
  bool inherit_environment = true;
  std::span<const std::string_view> environment;  // "NAME=value" without NUL, may be secret; the last of a name wins
  const UserAccount* user = nullptr;              // whom the command runs as; nullptr: as we do
  CommandMode mode = CommandMode::kWait;
};

/// A folder that only its owner can enter, for plaintext that a program must find under a name.
class PrivateFolder {
 public:
  /// Removes the folder with all that is in it.
  virtual ~PrivateFolder() = default;
  /// Absolute.
  virtual const std::string& path() const = 0;
  /// Makes a file of mode 0600. Errors: kIo, kDenied.
  virtual Result<void> write(const std::string& name, std::span<const uint8_t> content) = 0;
  /// Makes a pipe of mode 0600 that gives `content` to every reader, one after the other or at once (but see
  /// docs/compatibility.md), until the folder is removed. `content` must live as long as the folder. Errors: kIo,
  /// kDenied, kUnsupported.
  virtual Result<void> serve(const std::string& name, std::span<const uint8_t> content) = 0;
  /// Removes it now, to hear whether that works; nothing else may be called afterwards. Errors: kIo.
  virtual Result<void> remove() = 0;
};

struct PrivateFolderOptions {
  bool allow_disk = false;             // take $TMPDIR or /tmp where no folder in memory is to be had
  const UserAccount* owner = nullptr;  // nullptr: we
};

/// The private folder of an editor session (editing.md 2.1). Unlike PrivateFolder it can be found again: when the
/// program is killed, the next run takes it over (Commands::abandoned_sessions).
class SessionFolder {
 public:
  /// Removes the folder with all that is in it, unless keep() was called.
  virtual ~SessionFolder() = default;
  /// Absolute; made of letters, digits and `/._-` only, so that it needs no quoting in any editor's settings.
  virtual const std::string& path() const = 0;
  /// Makes or replaces the file `name` (relative, perhaps with folders) with mode 0600. Errors: kIo, kDenied.
  virtual Result<void> write(const std::string& name, std::span<const uint8_t> content) = 0;
  /// Makes the folder `name`. Errors: kIo, kDenied.
  virtual Result<void> make_folder(const std::string& name) = 0;
  /// Errors: kNotFound, kIo, kDenied; kUnsupported if it is too large.
  virtual Result<SecureBytes> read(const std::string& name) = 0;
  /// The regular files below the folder `name`, by their paths in it, sorted.
  virtual std::vector<std::string> list(const std::string& name) = 0;
  /// The folder stays, for it holds what could not be brought to safety elsewhere.
  virtual void keep() = 0;
};

struct SessionFolderOptions {
  std::string name;         // what the folder is called, if that is free; else a number follows
  bool allow_disk = false;  // take $TMPDIR or /tmp where no folder in memory is to be had
};

/// How an editor ended.
struct EditorEnd {
  int status = 0;  // exit status, or 128 + n if signal n ended it
  int signal = 0;  // SIGTERM or SIGHUP, if one was sent to us meanwhile: the session is over; 0: none
  std::chrono::milliseconds duration{0};
};

/// A program as find_program() sees it.
struct FoundProgram {
  std::string path;
  std::string real_path;  // without links
};

/// Not thread-safe: for the main thread of the program.
class Commands {
 public:
  virtual ~Commands() = default;
  /// Errors: kNotFound.
  virtual Result<UserAccount> find_user(const std::string& name) = 0;
  /// From now on no signal that can be caught ends the process: run() passes it to the command. Until then it waits.
  virtual void hold_signals() = 0;
  /// A new folder, mode 0700, in the first of $XDG_RUNTIME_DIR (ours, so not for another owner), /dev/shm and $TMPDIR
  /// that lies in memory (editing.md 2.1). Remains of earlier ones whose program was killed are removed. Errors:
  /// kUnsupported; the hint names --allow-disk.
  virtual Result<std::unique_ptr<PrivateFolder>> make_folder(const PrivateFolderOptions& options) = 0;
  /// Runs the command. The result is its exit status, or 128 + n if signal n ended it, or kept it from being started.
  /// Signals sent to us are sent on (editing.md 4.3). Errors: kNotFound (no such program), kDenied, kIo; kUnsupported
  /// if arguments and environment are too large.
  virtual Result<int> run(const CommandOptions& options) = 0;

  /// Where a program is: as it stands if it has a slash, else in PATH. Errors: kNotFound, also for a hit through a
  /// relative entry of PATH.
  virtual Result<FoundProgram> find_program(const std::string& name) = 0;
  /// A new folder for an editor session, mode 0700, where make_folder() would make one. Errors: kUnsupported; the hint
  /// names --allow-disk.
  virtual Result<std::unique_ptr<SessionFolder>> make_session(const SessionFolderOptions& options) = 0;
  /// Session folders of ours whose program was killed and whose editor has ended, too. They are the caller's now, but
  /// go when dropped, unless keep() is called. Where there are none, this costs one system call for each place.
  virtual std::vector<std::unique_ptr<SessionFolder>> abandoned_sessions() = 0;
  /// Runs an editor to its end (editing.md 2.6): SIGINT and SIGQUIT do nothing to us; SIGTERM and SIGHUP go to it,
  /// unless it ends within a moment by itself, and 2 seconds later it is killed. As long as it lives, or a child of it,
  /// `folder` does not count as abandoned. REQUIRES: hold_signals() was called, and make_session() of this object made
  /// `folder`. Errors: as run().
  virtual Result<EditorEnd> run_editor(const std::vector<std::string>& words, const SessionFolder& folder) = 0;
};

}  // namespace sops
