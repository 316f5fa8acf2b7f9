// SPDX-License-Identifier: MPL-2.0
#include "sys/real.h"

#include <pwd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "sys/real_parts.h"
#include "sys/run_state.h"

namespace sops {

namespace {

class RealClock final : public Clock {
 public:
  std::chrono::system_clock::time_point now() override { return std::chrono::system_clock::now(); }
  std::chrono::steady_clock::time_point steady_now() override { return std::chrono::steady_clock::now(); }
  void sleep(std::chrono::milliseconds duration, std::stop_token stop) override {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, duration, [] { return false; });
  }
};

class RealRandom final : public Random {
 public:
  void fill(std::span<uint8_t> out) override {
    while (!out.empty()) {
      const ssize_t count = getrandom(out.data(), out.size(), 0);
      if (count < 0) {
        if (errno == EINTR) continue;
        std::fputs("sops: error: the system gives no random bytes\n", stderr);
        std::abort();  // a key or nonce that is not random is worse than no program
      }
      out = out.subspan(static_cast<size_t>(count));
    }
  }
};

class RealEnvironment final : public Environment {
 public:
  std::optional<std::string> get(const std::string& name) override {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  }

  // cli.md 3.1: "`$PWD` when it denotes the current directory, so a symlinked cwd stays symlinked".
  std::string working_directory() override {
    const std::optional<std::string> pwd = get("PWD");
    struct stat named, actual;
    if (pwd && pwd->starts_with('/') && stat(pwd->c_str(), &named) == 0 && stat(".", &actual) == 0 &&
        named.st_dev == actual.st_dev && named.st_ino == actual.st_ino) {
      return *pwd;
    }
    char buffer[PATH_MAX];
    const char* path = getcwd(buffer, sizeof buffer);
    // A directory that was removed has no name; relative paths then fail where they are used.
    return path != nullptr ? path : ".";
  }

  uint32_t user_id() override { return geteuid(); }

  std::string home_folder() override {
    if (const auto home = get("HOME"); home && !home->empty()) return *home;
    std::array<char, 16384> buffer;
    passwd entry{};
    passwd* found = nullptr;
    if (getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {};
    return found->pw_dir != nullptr ? found->pw_dir : "";
  }

  std::string host_name() override {
    std::array<char, HOST_NAME_MAX + 1> name{};
    return gethostname(name.data(), name.size()) == 0 ? name.data() : "";
  }
};

}  // namespace

struct RealServices::Parts {
  std::unique_ptr<Files> files = make_real_files();
  RealClock clock;
  RealRandom random;
  RealEnvironment environment;
  std::unique_ptr<Processes> processes = make_real_processes();
  std::unique_ptr<Terminal> terminal = make_real_terminal();
  std::unique_ptr<Commands> commands = make_real_commands();
  std::unique_ptr<Http> http = make_real_http(*files, environment);
  RunState run;
  Services services{*files, clock, random, environment, *processes, *terminal, *commands, *http, run};
};

RealServices::RealServices() : parts_(std::make_unique<Parts>()) {}
RealServices::~RealServices() = default;
Services& RealServices::get() { return parts_->services; }

}  // namespace sops
