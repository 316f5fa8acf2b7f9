// SPDX-License-Identifier: MPL-2.0
//
// Child processes. posix_spawn() rather than fork(): no moment at which a second process holds our secrets. The child
// gets its three standard streams, the default signal actions, an empty signal mask and nothing else.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stop_token>

#include "sys/posix.h"
#include "sys/real_parts.h"

namespace sops {

namespace {

using posix::Descriptor;
using posix::error_text;
using Steady = std::chrono::steady_clock;

constexpr size_t kTransferBlock = 64 << 10;

// How often to look for the end of a child where the kernel cannot tell us (no pidfd).
constexpr std::chrono::milliseconds kLookInterval{20};

std::string shown(const std::string& text) { return escape_for_message(text, 4096); }

bool is_program(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0;
}

}  // namespace

// Where `name` is. A program that stands in the working directory is run only if it was asked for by a path: a
// directory with somebody else's files must not choose our gpg. As Go does, a hit through such a PATH entry is refused,
// not skipped.
Result<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (is_program(name)) return name;
    return fail(ErrorCode::kNotFound, "cannot run {}: there is no such program", shown(name));
  }
  const char* path = std::getenv("PATH");
  for (const std::string_view entry : split(path != nullptr ? path : "", ':')) {
    if (name.empty()) break;
    const bool is_relative = !entry.starts_with('/');
    const std::string candidate = format("{}/{}", entry.empty() ? "." : entry, name);
    if (!is_program(candidate)) continue;
    if (is_relative) {
      return fail(ErrorCode::kNotFound, "cannot run {}: PATH finds it in the working directory", shown(name))
          .hint("remove '.' and other relative entries from PATH, or name the program with its path");
    }
    return candidate;
  }
  return fail(ErrorCode::kNotFound, "cannot run {}: there is no such program in PATH", shown(name)).hint("install it");
}

namespace {

// A pipe whose ends do not take the numbers of standard streams that happen to be closed.
struct Pipe {
  Descriptor read;
  Descriptor write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, "cannot make a pipe: {}", error_text(errno));
  Descriptor low_read(ends[0]);
  Descriptor low_write(ends[1]);
  Pipe made;
  made.read = Descriptor(fcntl(low_read.get(), F_DUPFD_CLOEXEC, 3));
  made.write = Descriptor(fcntl(low_write.get(), F_DUPFD_CLOEXEC, 3));
  if (!made.read || !made.write) return fail(ErrorCode::kIo, "cannot make a pipe: {}", error_text(errno));
  return made;
}

// A running child. Destruction kills it, with its process group if it has its own, and waits for its end.
class Child {
 public:
  Child(pid_t pid, bool has_group) : pid_(pid), has_group_(has_group) {
#ifdef SYS_pidfd_open
    pidfd_ = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
#endif
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    kill(has_group_ ? -pid_ : pid_, SIGKILL);
    collect(0);
  }

  // Readable when the child has ended; -1 if there is no such thing.
  int pidfd() const { return pidfd_.get(); }
  bool has_ended() const { return pid_ <= 0; }
  int wait_status() const { return wait_status_; }

  // Takes the child's status if it has ended; with `flags` 0, waits for that. Returns an errno.
  int collect(int flags) {
    while (pid_ > 0) {
      const pid_t result = waitpid(pid_, &wait_status_, flags);
      if (result == pid_) pid_ = -1;
      if (result == 0) return 0;
      if (result < 0 && errno != EINTR) {
        pid_ = -1;
        return errno;
      }
    }
    return 0;
  }

 private:
  pid_t pid_;
  bool has_group_;
  Descriptor pidfd_;
  int wait_status_ = 0;
};

// The C structures of posix_spawn() with their destructors.
struct SpawnPlan {
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

// Our environment with `extra` in place of variables of the same name.
std::vector<std::string> child_environment(const std::map<std::string, std::string>& extra) {
  std::vector<std::string> result;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (!extra.contains(text.substr(0, text.find('=')))) result.push_back(text);
  }
  for (const auto& [name, value] : extra) result.push_back(format("{}={}", name, value));
  return result;
}

std::vector<char*> as_c_array(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// The strings may hold secrets meant for the child alone.
struct WipedStrings {
  std::vector<std::string> strings;
  ~WipedStrings() {
    for (std::string& text : strings) wipe({reinterpret_cast<uint8_t*>(text.data()), text.size()});
  }
};

}  // namespace

void make_children_waitable() {
  struct sigaction action{};
  if (sigaction(SIGCHLD, nullptr, &action) != 0 || action.sa_handler != SIG_IGN) return;
  action = {};
  action.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &action, nullptr);
}

namespace {

// Our or the child's ends of the pipes; those that there are not are -1.
struct Ends {
  Descriptor input;
  Descriptor output;
  Descriptor errors;
  Descriptor report;
};

// Starts the program with `ends` as its streams. Where there is none: inherited for the terminal, else the null device.
Result<pid_t> start(const RunOptions& options, const Ends& ends, bool own_group) {
  const std::string program = TRY(find_program(options.arguments[0]));
  std::vector<std::string> arguments = options.arguments;
  WipedStrings environment{child_environment(options.extra_environment)};

  SpawnPlan plan;
  if (ends.input) {
    posix_spawn_file_actions_adddup2(&plan.actions, ends.input.get(), 0);
  } else if (!options.inherit_terminal) {
    posix_spawn_file_actions_addopen(&plan.actions, 0, "/dev/null", O_RDONLY, 0);
  }
  if (ends.output) posix_spawn_file_actions_adddup2(&plan.actions, ends.output.get(), 1);
  if (ends.errors) {
    posix_spawn_file_actions_adddup2(&plan.actions, ends.errors.get(), 2);
  } else if (!options.inherit_terminal) {
    posix_spawn_file_actions_addopen(&plan.actions, 2, "/dev/null", O_WRONLY, 0);
  }
  // Last, because another end may have the number 3 until here.
  if (ends.report) posix_spawn_file_actions_adddup2(&plan.actions, ends.report.get(), 3);
  posix_spawn_file_actions_addclosefrom_np(&plan.actions, ends.report ? 4 : 3);

  sigset_t signals;
  sigfillset(&signals);
  posix_spawnattr_setsigdefault(&plan.attributes, &signals);
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&plan.attributes, &signals);
  posix_spawnattr_setpgroup(&plan.attributes, 0);
  const int flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | (own_group ? POSIX_SPAWN_SETPGROUP : 0);
  posix_spawnattr_setflags(&plan.attributes, static_cast<short>(flags));

  pid_t pid = -1;
  const int error = posix_spawn(&pid, program.c_str(), &plan.actions, &plan.attributes, as_c_array(arguments).data(),
                                as_c_array(environment.strings).data());
  if (error == ENOENT) return fail(ErrorCode::kNotFound, "cannot run {}: its interpreter is missing", shown(program));
  if (error != 0) return fail(ErrorCode::kIo, "cannot run {}: {}", shown(program), error_text(error));
  return pid;
}

// Readable as soon as a stop is requested.
class StopSignal {
 public:
  explicit StopSignal(std::stop_token stop)
      : event_(stop.stop_possible() ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1), callback_(std::move(stop), [this] {
          const uint64_t one = 1;
          [[maybe_unused]] const ssize_t ignored = write(event_.get(), &one, sizeof one);
        }) {}
  int descriptor() const { return event_.get(); }

 private:
  Descriptor event_;
  std::stop_callback<std::function<void()>> callback_;
};

// What the child writes to one of its streams.
struct Stream {
  Descriptor from_child;
  size_t limit = 0;
  SecureBuffer text;
};

// Feeds and drains a child until it has ended.
class Conversation {
 public:
  Conversation(const RunOptions& options, Child& child, Ends ends)
      : options_(options),
        child_(child),
        to_child_(std::move(ends.input)),
        input_(options.input),
        stop_signal_(options.stop),
        deadline_(Steady::now() + options.deadline) {
    streams_[0] = {.from_child = std::move(ends.output), .limit = options.output_limit, .text = {}};
    streams_[1] = {.from_child = std::move(ends.errors), .limit = options.error_limit, .text = {}};
    streams_[2] = {.from_child = std::move(ends.report), .limit = options.report_limit, .text = {}};
  }

  Result<RunResult> hold() {
    if (to_child_) fcntl(to_child_.get(), F_SETFL, O_NONBLOCK);
    for (const Stream& stream : streams_) {
      if (stream.from_child) fcntl(stream.from_child.get(), F_SETFL, O_NONBLOCK);
    }
    while (!child_.has_ended()) {
      TRY(wait());
      write_some();
      for (Stream& stream : streams_) TRY(read_some(stream));
      if (child_.collect(WNOHANG) != 0) return fail(ErrorCode::kIo, "{} ended without a status", name());
    }
    // What the child has written is in the pipes now. A grandchild that keeps one open is not waited for.
    for (Stream& stream : streams_) TRY(read_some(stream));
    RunResult result;
    result.output = streams_[0].text.take();
    result.errors = streams_[1].text.take();
    result.report = streams_[2].text.take();
    const int status = child_.wait_status();
    result.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return result;
  }

 private:
  std::string name() const { return shown(options_.arguments[0]); }

  Result<void> wait() {
    std::array<pollfd, 6> polled{};  // poll() passes over negative numbers
    polled[0] = {.fd = to_child_.get(), .events = POLLOUT, .revents = 0};
    for (size_t i = 0; i < streams_.size(); ++i)
      polled[1 + i] = {.fd = streams_[i].from_child.get(), .events = POLLIN, .revents = 0};
    polled[4] = {.fd = child_.pidfd(), .events = POLLIN, .revents = 0};
    polled[5] = {.fd = stop_signal_.descriptor(), .events = POLLIN, .revents = 0};
    if (options_.stop.stop_requested()) return fail(ErrorCode::kUnavailable, "{} was stopped", name());

    int timeout = -1;
    if (child_.pidfd() < 0) timeout = static_cast<int>(kLookInterval.count());
    if (options_.deadline.count() > 0) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Steady::now()).count();
      if (left <= 0) {
        return fail(ErrorCode::kUnavailable, "{} did not end within {} ms", name(), options_.deadline.count());
      }
      const int capped = static_cast<int>(std::min<long long>(left, 1 << 30));
      timeout = timeout < 0 ? capped : std::min(timeout, capped);
    }
    if (poll(polled.data(), polled.size(), timeout) < 0 && errno != EINTR) {
      return fail(ErrorCode::kIo, "cannot wait for {}: {}", name(), error_text(errno));
    }
    return {};
  }

  void write_some() {
    if (!to_child_) return;
    if (!input_.empty()) {
      const posix::PipeSignalBlocked blocked;
      const ssize_t count = ::write(to_child_.get(), input_.data(), std::min(input_.size(), kTransferBlock));
      if (count > 0) input_ = input_.subspan(static_cast<size_t>(count));
      // A child that does not want the rest is free to close; its exit status tells whether that was a failure.
      if (count < 0 && errno != EAGAIN && errno != EINTR) input_ = {};
    }
    if (input_.empty()) to_child_.reset();
  }

  Result<void> read_some(Stream& stream) {
    const std::span<uint8_t> block = block_.expose_mutable();
    while (stream.from_child) {
      const ssize_t count = ::read(stream.from_child.get(), block.data(), block.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) break;
      if (count < 0) return fail(ErrorCode::kIo, "cannot read from {}: {}", name(), error_text(errno));
      if (count == 0) {
        stream.from_child.reset();
        break;
      }
      const auto size = static_cast<size_t>(count);
      if (size > stream.limit - stream.text.size()) {
        return fail(ErrorCode::kUnsupported, "{} wrote more than {} bytes", name(), stream.limit);
      }
      stream.text.append(as_text(block.first(size)));
    }
    return {};
  }

  const RunOptions& options_;
  Child& child_;
  Descriptor to_child_;
  std::array<Stream, 3> streams_;
  std::span<const uint8_t> input_;
  StopSignal stop_signal_;
  Steady::time_point deadline_;
  SecureBytes block_{kTransferBlock};
};

class RealProcesses final : public Processes {
 public:
  Result<RunResult> run(const RunOptions& options) override {
    if (options.arguments.empty()) return fail(ErrorCode::kUsage, "no program was named");
    make_children_waitable();
    Pipe input, output, errors, report;
    if (!options.input.empty()) input = TRY(make_pipe());
    if (!options.inherit_output) output = TRY(make_pipe());
    if (options.error_limit > 0) errors = TRY(make_pipe());
    if (options.report_limit > 0) report = TRY(make_pipe());

    // A group of its own would cut the child off from the terminal, so only what has a deadline and no terminal gets
    // one.
    const bool own_group = options.deadline.count() > 0 && !options.inherit_terminal;
    Ends of_child{.input = std::move(input.read),
                  .output = std::move(output.write),
                  .errors = std::move(errors.write),
                  .report = std::move(report.write)};
    const pid_t pid = TRY(start(options, of_child, own_group));
    Child child(pid, own_group);
    of_child = {};
    Ends ours{.input = std::move(input.write),
              .output = std::move(output.read),
              .errors = std::move(errors.read),
              .report = std::move(report.read)};
    return Conversation(options, child, std::move(ours)).hold();
  }
};

}  // namespace

std::unique_ptr<Processes> make_real_processes() { return std::make_unique<RealProcesses>(); }

}  // namespace sops
