// SPDX-License-Identifier: MPL-2.0
//
// Running a command that the user named in our place, with its streams, its signals and its exit status (exec-env,
// exec-file), and the private folder from which it reads. Unlike Processes (services.h), which runs helpers of ours.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

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
};

}  // namespace sops
