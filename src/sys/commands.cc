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
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <unordered_map>

#include "base/secure_bytes.h"
#include "sys/posix.h"
#include "sys/real_parts.h"

namespace sops {

namespace {

using posix::error_text;

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

Failure start_failure(const StartFailure& why, const CommandOptions& options, const std::string& program) {
  if (why.was_user) {
    return fail(ErrorCode::kDenied, "cannot become the user {}: {}", escape_for_message(options.user->name),
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
    const std::string program = TRY(find_program(options.arguments[0]));
    std::vector<std::string> arguments = options.arguments;
    std::vector<char*> argument_pointers;
    for (std::string& argument : arguments) argument_pointers.push_back(argument.data());
    argument_pointers.push_back(nullptr);
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
    if (options.mode == CommandMode::kReplace) return start_failure(become(plan), options, program);

    volatile StartFailure failure;
    const pid_t pid = start_child(plan, failure);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // becoming the user has changed it, for the memory is shared
    if (failure.error != 0) {
      if (pid > 0) waitpid(pid, nullptr, 0);
      return start_failure({.was_user = failure.was_user, .error = failure.error}, options, program);
    }
    if (options.mode == CommandMode::kBackground) return 0;
    return wait(pid, program);
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
