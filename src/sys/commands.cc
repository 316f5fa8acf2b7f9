// SPDX-License-Identifier: MPL-2.0
//
// Commands: starting a program in our place, passing signals on, taking its status. vfork() rather than fork(): the
// child runs a few system calls in our memory while we stand still, so there is no copy of our secrets.
#include "sys/commands.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

#include "base/secure_bytes.h"
#include "sys/posix.h"
#include "sys/real_parts.h"

namespace sops {

namespace {

using posix::error_text;

// How long an editor has when it was asked to end (editing.md 2.6).
constexpr std::chrono::seconds kEditorGrace{2};
constexpr std::chrono::milliseconds kMomentToEnd{500};

// glibc's wrappers would change all threads, by signals; in the child of vfork() that must not happen.
#ifdef SYS_setgroups32
constexpr long kSetGroups = SYS_setgroups32, kSetResGid = SYS_setresgid32, kSetResUid = SYS_setresuid32;
#else
constexpr long kSetGroups = SYS_setgroups, kSetResGid = SYS_setresgid, kSetResUid = SYS_setresuid;
#endif

// What would end or disturb us and what a program can handle. Not: errors of the program itself (SIGSEGV …), job
// control, which the terminal does with both of us, SIGCHLD, and what was ignored when we were started (nohup).
sigset_t signals_to_pass_on() {
  sigset_t set;
  sigfillset(&set);
  for (int signal :
       {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGPIPE, SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT}) {
    sigdelset(&set, signal);
  }
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action;
    if (sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) sigdelset(&set, signal);
  }
  return set;
}

// All that the child needs; nothing can be allocated there.
struct StartPlan {
  const char* program = nullptr;
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  const UserAccount* user = nullptr;
  bool null_streams = false;
  rlimit core_limit{};
  int kept_descriptor = -1;  // one more that the program inherits
};

// Why a program did not start.
struct StartFailure {
  bool was_user = false;  // it could not become the user
  int error = 0;
};

// Becomes the program; returns only if that fails. Only async-signal-safe calls, only on the stack.
StartFailure become(const StartPlan& plan) {
  if (plan.null_streams) {
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) return {.error = errno};
    for (int stream = 0; stream < 3; ++stream) dup2(null, stream);
  }
  setrlimit(RLIMIT_CORE, &plan.core_limit);
  if (plan.kept_descriptor >= 0) fcntl(plan.kept_descriptor, F_SETFD, 0);
  if (plan.user != nullptr) {
    // editing.md 4.3: groups, gid, uid.
    const UserAccount& user = *plan.user;
    if (syscall(kSetGroups, user.groups.size(), user.groups.data()) != 0 ||
        syscall(kSetResGid, user.group_id, user.group_id, user.group_id) != 0 ||
        syscall(kSetResUid, user.user_id, user.user_id, user.user_id) != 0) {
      return {.was_user = true, .error = errno};
    }
  }
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(plan.program, plan.arguments, plan.environment);
  return {.error = errno};
}

// Starts the program in a child. `failure.error` is 0 afterwards if it runs.
[[gnu::noinline]] pid_t start_child(const StartPlan& plan, volatile StartFailure& failure) {
  const posix::SignalsBlocked blocked;  // a handler must not run in the child, in our memory
  const pid_t pid = vfork();
  if (pid == 0) {
    const StartFailure why = become(plan);
    failure.was_user = why.was_user;
    failure.error = why.error;
    _exit(127);
  }
  if (pid < 0) failure.error = errno;
  return pid;
}

std::vector<char*> as_c_array(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// The environment as execve() wants it. Keeps copies of the secrets until it dies.
class EnvironmentBlock {
 public:
  void add(std::string_view variable) {
    const std::span<uint8_t> copy = arena_.allocate(variable.size() + 1);
    std::memcpy(copy.data(), variable.data(), variable.size());
    add_borrowed(reinterpret_cast<char*>(copy.data()));
  }
  // `variable` must outlive the block.
  void add_borrowed(char* variable) {
    const std::string_view text = variable;
    const auto [entry, is_new] = places_.emplace(text.substr(0, text.find('=')), pointers_.size());
    if (is_new) {
      pointers_.push_back(variable);
    } else {
      pointers_[entry->second] = variable;
    }
  }
  char* const* get() {
    pointers_.push_back(nullptr);
    return pointers_.data();
  }

 private:
  SecureArena arena_;
  std::vector<char*> pointers_;
  std::unordered_map<std::string_view, size_t> places_;
};

Failure start_failure(const StartFailure& why, const UserAccount* user, const std::string& program) {
  if (why.was_user) {
    return fail(ErrorCode::kDenied, "cannot become the user {}: {}", escape_for_message(user->name),
                error_text(why.error))
        .hint("only root can run commands as somebody else");
  }
  const std::string shown = escape_for_message(program, 4096);
  if (why.error == E2BIG) {
    return fail(ErrorCode::kUnsupported, "cannot run {}: arguments and environment are too large for the system", shown)
        .hint("a single variable may have 128 kB; exec-file has no such limit");
  }
  if (why.error == ENOENT) return fail(ErrorCode::kNotFound, "cannot run {}: its interpreter is missing", shown);
  return fail(posix::error_code(why.error), "cannot run {}: {}", shown, error_text(why.error));
}

// Puts the terminal back as it was before an editor that could not do so itself.
class TerminalState {
 public:
  TerminalState() : known_(tcgetattr(STDIN_FILENO, &before_) == 0) {}

  void restore() const {
    if (!known_) return;
    const posix::SignalsBlocked blocked;  // SIGTTOU would stop us in the background
    while (tcsetattr(STDIN_FILENO, TCSADRAIN, &before_) != 0 && errno == EINTR) {
    }
  }

 private:
  termios before_{};
  bool known_;
};

int status_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

class RealCommands final : public Commands {
 public:
  Result<UserAccount> find_user(const std::string& name) override {
    std::vector<char> buffer(16 << 10);
    passwd entry{};
    passwd* found = nullptr;
    int error = ERANGE;
    while ((error = getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) == ERANGE &&
           buffer.size() < (1 << 24)) {
      buffer.resize(buffer.size() * 2);
    }
    if (found == nullptr) {
      Failure failure = fail(ErrorCode::kNotFound, "there is no user '{}'", escape_for_message(name));
      return error == 0 ? std::move(failure) : std::move(failure).hint(error_text(error));
    }
    UserAccount user{
        .name = entry.pw_name, .home = entry.pw_dir, .user_id = entry.pw_uid, .group_id = entry.pw_gid, .groups = {}};
    int count = 64;
    do {
      user.groups.resize(static_cast<size_t>(count));
    } while (getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count) < 0 && count < (1 << 16));
    user.groups.resize(static_cast<size_t>(count));
    return user;
  }

  void hold_signals() override {
    if (holds_) return;
    holds_ = true;
    passed_on_ = signals_to_pass_on();
    sigset_t held = passed_on_;
    sigaddset(&held, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &held, nullptr);
  }

  Result<std::unique_ptr<PrivateFolder>> make_folder(const PrivateFolderOptions& options) override {
    return make_private_folder(options);
  }

  Result<int> run(const CommandOptions& options) override {
    if (options.arguments.empty()) return fail(ErrorCode::kUsage, "no program was named");
    const std::string program = TRY(sops::find_program(options.arguments[0]));
    std::vector<std::string> arguments = options.arguments;
    const std::vector<char*> argument_pointers = as_c_array(arguments);
    EnvironmentBlock environment;
    for (char** variable = environ; options.inherit_environment && *variable != nullptr; ++variable) {
      environment.add_borrowed(*variable);
    }
    for (std::string_view variable : options.environment) environment.add(variable);

    const StartPlan plan{.program = program.c_str(),
                         .arguments = argument_pointers.data(),
                         .environment = environment.get(),
                         .user = options.user,
                         .null_streams = options.mode == CommandMode::kBackground,
                         .core_limit = original_core_limit()};
    make_children_waitable();
    hold_signals();
    if (const int signal = pending_end()) return 128 + signal;
    if (options.mode == CommandMode::kReplace) return start_failure(become(plan), options.user, program);

    volatile StartFailure failure;
    const pid_t pid = start_child(plan, failure);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // becoming the user has changed it, for the memory is shared
    if (failure.error != 0) {
      if (pid > 0) waitpid(pid, nullptr, 0);
      return start_failure({.was_user = failure.was_user, .error = failure.error}, options.user, program);
    }
    if (options.mode == CommandMode::kBackground) return 0;
    return wait(pid, program);
  }

  Result<FoundProgram> find_program(const std::string& name) override {
    const std::string path = TRY(sops::find_program(name));
    char resolved[PATH_MAX];
    return FoundProgram{.path = path, .real_path = realpath(path.c_str(), resolved) != nullptr ? resolved : path};
  }

  Result<std::unique_ptr<SessionFolder>> make_session(const SessionFolderOptions& options) override {
    return make_session_folder(options);
  }

  std::vector<std::unique_ptr<SessionFolder>> abandoned_sessions() override { return abandoned_session_folders(); }

  Result<EditorEnd> run_editor(const std::vector<std::string>& words, const SessionFolder& folder) override {
    SOPS_CHECK(holds_ && !words.empty(), "the contract of run_editor()");
    const std::string program = TRY(sops::find_program(words[0]));
    std::vector<std::string> arguments = words;
    const std::vector<char*> argument_pointers = as_c_array(arguments);
    rlimit no_core = original_core_limit();  // it would hold the plaintext
    no_core.rlim_cur = 0;
    const StartPlan plan{.program = program.c_str(),
                         .arguments = argument_pointers.data(),
                         .environment = environ,
                         .core_limit = no_core,
                         .kept_descriptor = session_lock(folder)};
    make_children_waitable();
    if (const int signal = pending_end()) return EditorEnd{.status = 128 + signal, .signal = signal};
    const TerminalState terminal;
    volatile StartFailure failure;
    const pid_t pid = start_child(plan, failure);
    if (failure.error != 0) {
      if (pid > 0) waitpid(pid, nullptr, 0);
      return start_failure({.error = failure.error}, nullptr, program);
    }
    const EditorEnd end = TRY(wait_for_editor(pid, program));
    if (end.status >= 128) terminal.restore();
    return end;
  }

 private:
  // A signal that asked us to end before there was a command, 0 if there was none.
  int pending_end() const {
    sigset_t pending;
    sigemptyset(&pending);
    sigpending(&pending);
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
      if (sigismember(&pending, signal) == 1 && sigismember(&passed_on_, signal) == 1) return signal;
    }
    return 0;
  }

  Result<int> wait(pid_t pid, const std::string& program) {
    sigset_t awaited = passed_on_;
    sigaddset(&awaited, SIGCHLD);
    while (true) {
      int wait_status = 0;
      const pid_t ended = waitpid(pid, &wait_status, WNOHANG);
      if (ended == pid) return status_of(wait_status);
      if (ended < 0 && errno != EINTR)
        return fail(ErrorCode::kIo, "{} ended without a status", escape_for_message(program, 4096));
      siginfo_t info{};
      const int signal = sigwaitinfo(&awaited, &info);
      if (signal > 0 && signal != SIGCHLD) pass_on(pid, signal, info);
    }
  }

  // editing.md 2.6. Whoever ends us has perhaps told the editor, too (a shell that hangs up, systemd), and a second
  // SIGTERM can make vim drop its swap file. So the signal is sent on only when the editor has not ended after a
  // moment.
  Result<EditorEnd> wait_for_editor(pid_t pid, const std::string& program) {
    using Steady = std::chrono::steady_clock;
    constexpr Steady::time_point kNever = Steady::time_point::max();
    const Steady::time_point begin = Steady::now();
    Steady::time_point pass_on_at = kNever;
    Steady::time_point kill_at = kNever;
    sigset_t awaited = passed_on_;
    sigaddset(&awaited, SIGCHLD);
    EditorEnd end;
    for (int wait_status = 0;;) {
      const pid_t ended = waitpid(pid, &wait_status, WNOHANG);
      if (ended < 0 && errno != EINTR)
        return fail(ErrorCode::kIo, "{} ended without a status", escape_for_message(program, 4096));
      if (ended == pid) {
        end.status = status_of(wait_status);
        break;
      }
      const Steady::time_point now = Steady::now();
      if (now >= kill_at) {
        kill(pid, SIGKILL);
        kill_at = pass_on_at = kNever;
      } else if (now >= pass_on_at) {
        kill(pid, end.signal);
        pass_on_at = kNever;
      }
      const Steady::time_point next = std::min({pass_on_at, kill_at, now + std::chrono::hours(1)});
      const auto patience = std::chrono::duration_cast<std::chrono::nanoseconds>(next - now).count();
      const timespec timeout{.tv_sec = static_cast<time_t>(patience / 1'000'000'000),
                             .tv_nsec = static_cast<long>(patience % 1'000'000'000)};
      siginfo_t info{};
      const int signal = sigtimedwait(&awaited, &info, &timeout);
      if (signal <= 0 || signal == SIGCHLD || signal == SIGINT || signal == SIGQUIT) continue;
      if (signal != SIGTERM && signal != SIGHUP) {
        pass_on(pid, signal, info);
      } else if (end.signal == 0 && info.si_pid != pid) {
        end.signal = signal;
        pass_on_at = Steady::now() + kMomentToEnd;
        kill_at = Steady::now() + kEditorGrace;
      }
    }
    // Typed at the editor, not at us.
    sigset_t keys;
    sigemptyset(&keys);
    sigaddset(&keys, SIGINT);
    sigaddset(&keys, SIGQUIT);
    const timespec at_once{};
    while (sigtimedwait(&keys, nullptr, &at_once) > 0) {
    }
    end.duration = std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - begin);
    return end;
  }

  // What the terminal sends (SI_KERNEL) reaches the child anyway, and what the child sends is nothing new to it.
  static void pass_on(pid_t pid, int signal, const siginfo_t& info) {
    if (info.si_code > 0 || info.si_pid == pid) return;
    if (info.si_code == SI_QUEUE) {
      sigqueue(pid, signal, info.si_value);
    } else {
      kill(pid, signal);
    }
  }

  bool holds_ = false;
  sigset_t passed_on_{};
};

}  // namespace

std::unique_ptr<Commands> make_real_commands() { return std::make_unique<RealCommands>(); }

}  // namespace sops
