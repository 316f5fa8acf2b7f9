// SPDX-License-Identifier: MPL-2.0
//
// The outside world as interfaces: disk, clock, randomness, environment, child processes, terminal. Only api and cli
// make the real ones; everyone else receives Services&, so every function can be tested without any of them. Unless a
// member says otherwise it may be called from several threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops {

/// Time.
class Clock {
 public:
  virtual ~Clock() = default;
  /// The wall clock, which somebody may set.
  virtual std::chrono::system_clock::time_point now() = 0;
  /// For measuring how long something takes.
  virtual std::chrono::steady_clock::time_point steady_now() = 0;
  /// Waits, or until `stop` asks for an end.
  virtual void sleep(std::chrono::milliseconds duration, std::stop_token stop) = 0;
};

/// Random bytes fit for keys and nonces. Never fails: without randomness the process ends.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<uint8_t> out) = 0;
};

/// Environment variables.
class Environment {
 public:
  virtual ~Environment() = default;
  /// nullopt if unset; set but empty is "".
  virtual std::optional<std::string> get(const std::string& name) = 0;
  /// The working directory as the shell sees it: $PWD if it names the current directory (cli.md 3.1).
  virtual std::string working_directory() = 0;
  /// The effective user id: who the files that we make belong to.
  virtual uint32_t user_id() = 0;
  /// That user's home folder: $HOME, or what the password database says; "" if neither knows.
  virtual std::string home_folder() = 0;
  /// The name of this machine as the kernel has it; "" if it cannot be read.
  virtual std::string host_name() = 0;
};

/// What stat tells of a path.
struct FileInfo {
  enum class Kind { kRegular, kDirectory, kOther };  // other: device, pipe, socket
  Kind kind = Kind::kRegular;
  uint64_t size = 0;
  uint64_t device = 0;
  uint64_t inode = 0;
  uint32_t mode = 0;
  uint32_t owner = 0;
};

/// How a file was replaced.
enum class ReplaceMethod {
  kRenamed,  // atomically
  kInPlace,  // written over, because a rename cannot work there (bind mount, hard links, read-only directory)
  kDirect,   // a device or pipe
};

/// What a directory holds.
struct DirectoryEntry {
  enum class Kind { kRegular, kDirectory, kLink, kOther };  // of the entry itself: links are not followed
  std::string name;
  Kind kind = Kind::kRegular;
};

/// What happens to the other files when one cannot be replaced.
enum class FailurePolicy {
  kAllOrNothing,  // what was replaced gets its old content back
  kKeepGoing,     // the others are replaced
};

/// New versions of many files, collected beside them and then put in place together (editing.md 3.1). Until commit()
/// nothing changes; destruction without it leaves everything as it was. From the making to the end of the object a
/// signal that would end the process first removes what was stored, and waits for a commit that has begun.
/// docs/decisions/0005-many-files.md tells how.
class FileChanges {
 public:
  virtual ~FileChanges() = default;

  struct Change {
    std::string path;  // absolute
    std::span<const uint8_t> content;
    bool is_secret = false;     // plaintext: stored without a name, or in memory, until it is put in place
    bool make_parents = false;  // make missing directories above it
    std::optional<std::span<const uint8_t>> expected;  // as Files::ReplaceOptions
  };
  /// Stores the new version of a file; the `position`-th is replaced before those behind it. Adding at a position again
  /// takes the place of what was there. Errors: those of Files::replace; kUnsupported if it is no regular file, or if
  /// plaintext neither fits into memory nor into files without names.
  virtual Result<void> add(size_t position, const Change& change) = 0;

  /// Positions of the files that are no longer what they were when they were added, in order.
  virtual std::vector<size_t> find_changed() = 0;

  /// How one file fared.
  struct Outcome {
    size_t position = 0;
    ReplaceMethod method = ReplaceMethod::kRenamed;
    std::optional<Error> error;  // only with kKeepGoing: it still has its old content
  };
  /// Makes everything that was added durable, then replaces file after file, then makes that durable. In order of
  /// position. Errors, with kAllOrNothing: the first file that could not be replaced; kUnavailable if files have
  /// changed. No file is new then; one that could not be given its old content back is named in the causes, with the
  /// place of that. Exit status 3. Call once.
  virtual Result<std::vector<Outcome>> commit(FailurePolicy policy) = 0;
};

/// A lock that is held until the object dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

/// The disk.
class Files {
 public:
  virtual ~Files() = default;

  /// The whole file, also of a pipe or /dev/stdin. Errors: kNotFound, kDenied, kIo; kUnsupported above
  /// kMaxDocumentSize.
  virtual Result<SecureBytes> read(const std::string& path) = 0;

  /// What is at `path`, links followed. nullopt if there is nothing. Errors: kIo, kDenied.
  virtual Result<std::optional<FileInfo>> info(const std::string& path) = 0;

  /// Puts `content` in place of the file so that at every instant it is whole old or whole new; makes it if it is
  /// missing (mode 0666 less umask, or 0600 if `is_private`). Follows links; keeps mode, owner, ACL and extended
  /// attributes. Steps and fallbacks: docs/decisions/0002. `expected`, if given, is what the file must still hold, else
  /// nothing is written; with `must_be_new` there must be no file. Errors: kIo, kDenied with exit status 3;
  /// kUnavailable if the file has changed, or is there.
  struct ReplaceOptions {
    bool is_private = false;
    std::optional<std::span<const uint8_t>> expected;
    bool must_be_new = false;
  };
  virtual Result<ReplaceMethod> replace(const std::string& path, std::span<const uint8_t> content,
                                        const ReplaceOptions& options) = 0;

  /// Removes a file; that it is not there is no error. Errors: kIo, kDenied.
  virtual Result<void> remove(const std::string& path) = 0;

  /// Makes a folder of mode 0700, and those above it that are missing; one that is there stays as it is. Errors: kIo,
  /// kDenied.
  virtual Result<void> make_folder(const std::string& path) = 0;

  /// The first `size` bytes of a regular file, fewer if it is shorter. Errors: kNotFound, kDenied, kIo.
  virtual Result<SecureBytes> read_beginning(const std::string& path, size_t size) = 0;

  /// The entries of a directory but `.` and `..`, sorted by name. Errors: kNotFound, kDenied, kIo.
  virtual Result<std::vector<DirectoryEntry>> list(const std::string& path) = 0;

  /// Keeps other processes of ours from changing what lies in a folder: waits until nobody else has its lock. Needs no
  /// file of its own. nullptr where the file system has no locks. Errors: kNotFound, kDenied, kIo; kUnavailable if
  /// another holds it for longer than `patience`, or if `stop` asks for an end.
  virtual Result<std::unique_ptr<FileLock>> lock_folder(const std::string& path, std::chrono::milliseconds patience,
                                                        std::stop_token stop) = 0;

  /// For `path` with the name of a temporary file of replace() or begin_changes(): the path that it was made for.
  virtual std::optional<std::string> target_of_temporary_file(const std::string& path) = 0;

  /// Removes the temporary files for `path` that killed runs have left.
  virtual void remove_remains(const std::string& path) = 0;

  /// Starts to collect changes. One at a time; call it, and let the object die, in the thread that gets signals.
  virtual std::unique_ptr<FileChanges> begin_changes() = 0;
};

/// A child process that gets and gives bytes.
struct RunOptions {
  std::vector<std::string> arguments;  // arguments[0] is looked up in PATH; never through the working directory
  std::span<const uint8_t> input;      // its standard input; empty: the null device
  std::map<std::string, std::string> extra_environment;
  size_t output_limit = 16 << 20;         // bytes of standard output, beyond: kUnsupported
  std::chrono::milliseconds deadline{0};  // 0: none
  bool inherit_terminal = false;          // false: standard error is discarded. true: it is ours, as is an empty input
  bool inherit_output = false;            // true: standard output is ours, and RunResult::output stays empty
};

struct RunResult {
  int status = 0;  // exit status, or 128 + signal
  SecureBytes output;
};

class Processes {
 public:
  virtual ~Processes() = default;
  /// Runs a program to its end. Errors: kNotFound (no such program), kUnavailable (deadline), kIo.
  virtual Result<RunResult> run(const RunOptions& options) = 0;
};

/// The person at the terminal, and the standard streams.
class Terminal {
 public:
  virtual ~Terminal() = default;
  virtual bool stdin_is_terminal() = 0;
  virtual bool stdout_is_terminal() = 0;
  virtual bool stderr_is_terminal() = 0;
  /// Asks on /dev/tty without echo. Errors: kUnavailable without a terminal. One question at a time.
  virtual Result<SecureBytes> ask_secret(const std::string& prompt) = 0;
  /// Asks on standard error and reads a line from standard input, terminal or not (editing.md 5.1). nullopt at its end.
  /// Errors: kUnavailable if a signal that is held back (Commands::hold_signals) asks us to end.
  virtual Result<std::optional<std::string>> ask(const std::string& question) = 0;
};

/// Commands that the user named: sys/commands.h.
class Commands;

/// The network: sys/http.h.
class Http;

/// What is shared by all files of a run: sys/run_state.h.
class RunState;

/// The outside world. Borrowed, all non-null.
struct Services {
  Files& files;
  Clock& clock;
  Random& random;
  Environment& environment;
  Processes& processes;
  Terminal& terminal;
  Commands& commands;
  Http& http;
  RunState& run;
};

}  // namespace sops
