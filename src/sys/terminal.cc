// SPDX-License-Identifier: MPL-2.0
//
// Asking for a secret. Echo is switched off for that, and a terminal left without echo is unusable, so it must come
// back on every way out. A signal handler may run in any thread; ours does nothing but write the signal's number into a
// pipe. The asking thread polls terminal and pipe, restores terminal and handlers, and only then lets the signal do
// what it would have done. After a stop (Ctrl-Z) it asks again.
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <string>

#include "sys/posix.h"
#include "sys/real_parts.h"

namespace sops {

namespace {

using posix::Descriptor;

// A terminal hands over lines of at most 4096 bytes.
constexpr size_t kLongestLine = 4096;

constexpr std::array kHandledSignals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGALRM};

// Where the handler writes; -1 while nobody asks. A handler can reach nothing but a global.
std::atomic<int> signal_pipe = -1;
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void note_signal(int signal) {
  const int saved = errno;
  const auto byte = static_cast<unsigned char>(signal);
  const ssize_t ignored = write(signal_pipe.load(), &byte, 1);
  static_cast<void>(ignored);
  errno = saved;
}

// While it lives, the signals that would end or stop us are put into the pipe instead.
class SignalsToPipe {
 public:
  explicit SignalsToPipe(int pipe) {
    signal_pipe = pipe;
    struct sigaction action{};
    action.sa_handler = note_signal;
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < kHandledSignals.size(); ++i) {
      sigaction(kHandledSignals[i], nullptr, &before_[i]);
      if (before_[i].sa_handler != SIG_IGN) sigaction(kHandledSignals[i], &action, nullptr);
    }
  }
  ~SignalsToPipe() {
    for (size_t i = 0; i < kHandledSignals.size(); ++i) sigaction(kHandledSignals[i], &before_[i], nullptr);
    signal_pipe = -1;
  }
  SignalsToPipe(const SignalsToPipe&) = delete;
  SignalsToPipe& operator=(const SignalsToPipe&) = delete;

 private:
  std::array<struct sigaction, kHandledSignals.size()> before_{};
};

// While it lives, the terminal shows only the end of a line that is typed.
class EchoOff {
 public:
  EchoOff(int terminal, const termios& before) : terminal_(terminal), before_(before) {
    termios quiet = before;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHOE | ECHOK);
    quiet.c_lflag |= ECHONL | ICANON | ISIG;
    set(quiet);
  }
  ~EchoOff() { set(before_); }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;

 private:
  void set(const termios& state) {
    while (tcsetattr(terminal_, TCSADRAIN, &state) != 0 && errno == EINTR) {
    }
  }

  int terminal_;
  termios before_;
};

Failure no_terminal() { return fail(ErrorCode::kUnavailable, "there is no terminal to ask on"); }

// Reads a line into `line`. Returns 0, the number of the signal that came instead, or -1 at the end of input or on an
// error.
int read_line(int terminal, int signals, SecureBuffer& line) {
  SecureBytes block(kLongestLine);
  const std::span<uint8_t> buffer = block.expose_mutable();
  while (line.size() <= kLongestLine) {
    std::array<pollfd, 2> polled{pollfd{.fd = signals, .events = POLLIN, .revents = 0},
                                 pollfd{.fd = terminal, .events = POLLIN, .revents = 0}};
    if (poll(polled.data(), polled.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return -1;
    }
    if (polled[0].revents != 0) {
      unsigned char signal = 0;
      if (read(signals, &signal, 1) == 1) return signal;
    }
    if (polled[1].revents == 0) continue;
    const ssize_t count = read(terminal, buffer.data(), buffer.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) return -1;
    const std::string_view text = as_text(buffer.first(static_cast<size_t>(count)));
    line.append(text);
    if (text.ends_with('\n')) return 0;
  }
  return -1;
}

class RealTerminal final : public Terminal {
 public:
  bool stdin_is_terminal() override { return isatty(STDIN_FILENO) == 1; }
  bool stdout_is_terminal() override { return isatty(STDOUT_FILENO) == 1; }
  bool stderr_is_terminal() override { return isatty(STDERR_FILENO) == 1; }

  std::string name() override {
    std::array<char, 4096> path;
    for (int stream : {STDIN_FILENO, STDERR_FILENO, STDOUT_FILENO}) {
      if (ttyname_r(stream, path.data(), path.size()) == 0) return path.data();
    }
    return "";
  }

  Result<SecureBytes> ask_secret(const std::string& prompt) override {
    const std::lock_guard one_question_at_a_time(asking_);
    const Descriptor terminal(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
    if (!terminal) return no_terminal();
    TRY(open_pipe());

    while (true) {
      SecureBuffer line;
      const int outcome = ask_once(terminal.get(), prompt, line);
      if (outcome == 0) {
        SecureBytes answer = line.take();
        answer.shrink(answer.size() - 1);  // the line end
        return answer;
      }
      if (outcome < 0) return fail(ErrorCode::kUnavailable, "nothing was typed at the terminal");
      kill(getpid(), outcome);
      if (outcome == SIGTSTP) continue;  // stopped and continued
      return fail(ErrorCode::kUnavailable, "interrupted");
    }
  }

  Result<std::optional<std::string>> ask(const std::string& question) override {
    const std::lock_guard one_question_at_a_time(asking_);
    // Signals that are held back never interrupt a read, so they are awaited beside it. Others act as always.
    sigset_t ends;
    sigemptyset(&ends);
    for (int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) sigaddset(&ends, signal);
    const Descriptor signals(signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals) return fail(ErrorCode::kIo, "cannot wait for signals: {}", posix::error_text(errno));
    posix::write_all(STDERR_FILENO, as_bytes(question));
    std::string line;
    while (line.size() < kLongestLine) {
      std::array<pollfd, 2> polled{pollfd{.fd = signals.get(), .events = POLLIN, .revents = 0},
                                   pollfd{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}};
      if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) break;
      signalfd_siginfo info;
      if (polled[0].revents != 0 && read(signals.get(), &info, sizeof info) > 0) {
        posix::write_all(STDERR_FILENO, as_bytes("\n"));
        return fail(ErrorCode::kUnavailable, "interrupted");
      }
      if (polled[1].revents == 0) continue;
      char byte = 0;  // one at a time: what follows the line is for an editor, or for the next question
      const ssize_t count = read(STDIN_FILENO, &byte, 1);
      if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (count <= 0) {
        posix::write_all(STDERR_FILENO, as_bytes("\n"));
        if (line.empty()) return std::optional<std::string>();
        break;
      }
      if (byte == '\n') break;
      line.push_back(byte);
    }
    return std::optional<std::string>(line);
  }

 private:
  // The pipe stays open between questions: a handler still running in another thread must not meet a reused number.
  Result<void> open_pipe() {
    if (from_handler_) return {};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
      return fail(ErrorCode::kIo, "cannot make a pipe: {}", posix::error_text(errno));
    }
    from_handler_ = Descriptor(ends[0]);
    to_poll_ = Descriptor(ends[1]);
    return {};
  }

  // As read_line().
  int ask_once(int terminal, const std::string& prompt, SecureBuffer& line) {
    termios before;
    if (tcgetattr(terminal, &before) != 0) return -1;
    const SignalsToPipe signals(to_poll_.get());
    const EchoOff quiet(terminal, before);
    posix::write_all(terminal, as_bytes(prompt));
    const int outcome = read_line(terminal, from_handler_.get(), line);
    // The echo of the line end is missing if there was none.
    if (outcome != 0) posix::write_all(terminal, as_bytes("\n"));
    return outcome;
  }

  std::mutex asking_;
  Descriptor from_handler_;
  Descriptor to_poll_;
};

}  // namespace

std::unique_ptr<Terminal> make_real_terminal() { return std::make_unique<RealTerminal>(); }

}  // namespace sops
