// SPDX-License-Identifier: MPL-2.0
//
// The outside world for tests: everything of sys/services.h in memory, deterministic, and recording. No disk, no clock,
// no child process is touched, so a test is the same twice and in parallel. Start with FakeServices:
//
//   FakeServices world;
//   world.environment.set("SOPS_AGE_KEY_FILE", "/keys.txt");
//   world.files.put("/keys.txt", "AGE-SECRET-KEY-1…");
//   auto key = master_key->unwrap(fields, {}, world.services());
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "base/text.h"
#include "sys/commands.h"
#include "sys/http.h"
#include "sys/run_state.h"
#include "sys/services.h"

namespace sops {

/// A disk of regular files. Paths are compared as they are spelled; every folder exists.
class MemoryFiles final : public Files {
 public:
  /// Makes or replaces a file.
  void put(std::string path, std::string_view content) { files_[std::move(path)] = {std::string(content), 0644, {}}; }
  /// Lets every later read, info, replace, remove and make_folder of `path` fail with `code`.
  void break_path(std::string path, ErrorCode code) { files_[std::move(path)].broken = code; }
  void forget(const std::string& path) { files_.erase(path); }
  /// The content, nullopt if there is no such file.
  std::optional<std::string> content(const std::string& path) const {
    auto it = files_.find(path);
    if (it == files_.end()) return std::nullopt;
    return it->second.content;
  }
  /// The mode of a file that exists.
  uint32_t mode(const std::string& path) const { return files_.at(path).mode; }

  /// What was done, in order: "read /a", "info /b", "replace /c".
  std::vector<std::string> log;

  Result<SecureBytes> read(const std::string& path) override {
    note("read " + path);
    File* file = nullptr;
    file = TRY(find(path));
    if (file == nullptr) return fail(ErrorCode::kNotFound, "no such file: {}", path);
    return SecureBytes::copy_of(file->content);
  }

  Result<std::optional<FileInfo>> info(const std::string& path) override {
    note("info " + path);
    File* file = nullptr;
    file = TRY(find(path));
    FileInfo info;
    if (file == nullptr && is_folder(path)) {
      info.kind = FileInfo::Kind::kDirectory;
      info.inode = static_cast<uint64_t>(std::hash<std::string>()(path));
      return std::optional<FileInfo>(info);
    }
    if (file == nullptr) return std::optional<FileInfo>();
    info.size = file->content.size();
    info.mode = file->mode;
    info.inode = static_cast<uint64_t>(std::hash<std::string>()(path));
    if (const auto same = links_.find(path); same != links_.end()) info.inode = std::hash<std::string>()(same->second);
    return std::optional<FileInfo>(info);
  }

  Result<ReplaceMethod> replace(const std::string& path, std::span<const uint8_t> content,
                                const ReplaceOptions& options) override {
    note("replace " + path);
    File* file = nullptr;
    file = TRY(find(path));
    if (options.expected && (file == nullptr || file->content != as_text(*options.expected))) {
      return fail(ErrorCode::kUnavailable, "the file has changed: {}", path);
    }
    if (options.must_be_new && file != nullptr) return fail(ErrorCode::kUnavailable, "there is a file {}", path);
    if (file == nullptr) {
      file = &files_[path];
      file->mode = options.is_private ? 0600 : 0644;
    }
    file->content = std::string(as_text(content));
    return ReplaceMethod::kRenamed;
  }

  Result<void> remove(const std::string& path) override {
    note("remove " + path);
    TRY(find(path));
    files_.erase(path);
    return {};
  }

  Result<void> make_folder(const std::string& path) override {
    note("make " + path);
    TRY(find(path));
    return {};
  }

  Result<SecureBytes> read_beginning(const std::string& path, size_t size) override {
    auto bytes = read(path);
    if (bytes && bytes->size() > size) bytes->shrink(size);
    return bytes;
  }

  /// Regular files, and folders as far as files lie in them; links that link() has made.
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override {
    note("list " + path);
    std::map<std::string, DirectoryEntry::Kind> names;
    for (const auto& [file, content] : files_) {
      if (!file.starts_with(path + "/")) continue;
      const std::string rest = file.substr(path.size() + 1);
      const size_t slash = rest.find('/');
      names[rest.substr(0, slash)] =
          slash == std::string::npos ? DirectoryEntry::Kind::kRegular : DirectoryEntry::Kind::kDirectory;
    }
    if (names.empty()) return fail(ErrorCode::kNotFound, "no such folder: {}", path);
    std::vector<DirectoryEntry> entries;
    for (const auto& [name, kind] : names) {
      const bool is_link = symbolic_.contains(path + "/" + name);
      entries.push_back({.name = name, .kind = is_link ? DirectoryEntry::Kind::kLink : kind});
    }
    return entries;
  }
  /// `path` gets the inode of `other`, as a hard link has.
  void hard_link(const std::string& path, const std::string& other) { links_[path] = other; }
  /// `path`, a file or folder, is a symbolic link for list().
  void mark_link(const std::string& path) { symbolic_.insert(path); }

  Result<std::unique_ptr<FileLock>> lock_folder(const std::string& path, std::chrono::milliseconds,
                                                std::stop_token) override {
    note("lock " + path);
    if (before_lock) before_lock();
    return std::make_unique<FileLock>();
  }
  /// What another process does before it lets us have a lock.
  std::function<void()> before_lock;

  std::optional<std::string> target_of_temporary_file(const std::string& path) override {
    constexpr std::string_view kMark = ".sops-tmp-1";
    const size_t name = path.rfind('/') + 1;
    if (!path.ends_with(kMark) || path[name] != '.') return std::nullopt;
    return path.substr(0, name) + path.substr(name + 1, path.size() - name - 1 - kMark.size());
  }
  void remove_remains(const std::string& path) override {
    note("remove_remains " + path);
    const size_t name = path.rfind('/') + 1;
    files_.erase(format("{}.{}.sops-tmp-1", path.substr(0, name), path.substr(name)));
  }
  std::unique_ptr<FileChanges> begin_changes() override { return std::make_unique<Changes>(*this); }

 private:
  // Applies everything in commit(); a broken path fails there.
  class Changes final : public FileChanges {
   public:
    explicit Changes(MemoryFiles& files) : files_(files) {}

    Result<void> add(size_t position, const Change& change) override {
      const std::lock_guard guard(mutex_);
      if (change.expected && files_.content(change.path) != as_text(*change.expected)) {
        return fail(ErrorCode::kUnavailable, "the file has changed: {}", change.path);
      }
      added_[position] = {change.path, std::string(as_text(change.content)), files_.content(change.path)};
      return {};
    }
    std::vector<size_t> find_changed() override {
      std::vector<size_t> changed;
      for (const auto& [position, one] : added_) {
        if (files_.content(one.path) != one.old) changed.push_back(position);
      }
      return changed;
    }
    Result<std::vector<Outcome>> commit(FailurePolicy policy) override {
      std::vector<Outcome> outcomes;
      const std::map<std::string, File> before = files_.files_;
      for (const auto& [position, one] : added_) {
        auto replaced = files_.replace(one.path, as_bytes(one.content), {});
        if (!replaced && policy == FailurePolicy::kAllOrNothing) {
          files_.files_ = before;
          return fail(std::move(replaced.error()));
        }
        outcomes.push_back({.position = position, .error = std::nullopt});
        if (!replaced) outcomes.back().error = std::move(replaced.error());
      }
      return outcomes;
    }

   private:
    struct One {
      std::string path;
      std::string content;
      std::optional<std::string> old;
    };
    MemoryFiles& files_;
    std::mutex mutex_;
    std::map<size_t, One> added_;
  };

  void note(std::string line) {
    const std::lock_guard guard(log_mutex_);
    log.push_back(std::move(line));
  }

  struct File {
    std::string content;
    uint32_t mode = 0644;
    std::optional<ErrorCode> broken;
  };

  // nullptr if there is no such file.
  Result<File*> find(const std::string& path) {
    auto it = files_.find(path);
    if (it == files_.end()) return nullptr;
    if (it->second.broken) return fail(*it->second.broken, "broken by the test: {}", path);
    return &it->second;
  }

  bool is_folder(const std::string& path) const {
    const auto next = files_.lower_bound(path + "/");
    return next != files_.end() && next->first.starts_with(path + "/");
  }

  std::mutex log_mutex_;
  std::map<std::string, File> files_;
  std::map<std::string, std::string> links_;
  std::set<std::string> symbolic_;
};

/// A clock that stands still until the test moves it, or somebody sleeps. It begins at 2026-01-02T03:04:05Z.
class FakeClock final : public Clock {
 public:
  std::chrono::system_clock::time_point now() override { return time; }
  std::chrono::steady_clock::time_point steady_now() override {
    return std::chrono::steady_clock::time_point(time.time_since_epoch());
  }
  void sleep(std::chrono::milliseconds duration, std::stop_token) override {
    const std::lock_guard lock(mutex_);
    sleeps.push_back(duration);
    time += duration;
  }

  std::chrono::system_clock::time_point time{std::chrono::seconds(1767323045)};
  /// How long was slept, in order.
  std::vector<std::chrono::milliseconds> sleeps;

 private:
  std::mutex mutex_;
};

/// The same "random" bytes in every run: SplitMix64. Or exactly the bytes that a test vector needs.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed = 1) : state_(seed) {}
  /// The next bytes to give out, before the generated ones.
  void push(std::span<const uint8_t> bytes) { queue_.insert(queue_.end(), bytes.begin(), bytes.end()); }

  void fill(std::span<uint8_t> out) override {
    for (uint8_t& byte : out) byte = next();
  }

 private:
  uint8_t next() {
    if (queue_position_ < queue_.size()) return queue_[queue_position_++];
    state_ += 0x9e3779b97f4a7c15;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return static_cast<uint8_t>(mixed >> 56);
  }

  uint64_t state_;
  std::vector<uint8_t> queue_;
  size_t queue_position_ = 0;
};

/// Environment variables; none is set at first.
class FakeEnvironment final : public Environment {
 public:
  void set(std::string name, std::string value) { variables_[std::move(name)] = std::move(value); }
  void unset(const std::string& name) { variables_.erase(name); }

  std::optional<std::string> get(const std::string& name) override {
    auto it = variables_.find(name);
    if (it == variables_.end()) return std::nullopt;
    return it->second;
  }
  std::string working_directory() override { return folder; }
  uint32_t user_id() override { return user; }
  std::string home_folder() override {
    const auto home = get("HOME");
    return home && !home->empty() ? *home : "/home/person";
  }
  std::string host_name() override { return host; }

  std::string folder = "/work";
  std::string host = "some-hostname";
  uint32_t user = 1000;

 private:
  std::map<std::string, std::string> variables_;
};

/// Programs as functions. A program that was not added does not exist.
class FakeProcesses final : public Processes {
 public:
  /// What a program was started with.
  struct Run {
    std::vector<std::string> arguments;
    std::string input;
    std::map<std::string, std::string> extra_environment;
  };
  /// What a program answers.
  struct Answer {
    int status = 0;
    std::string output;
  };

  /// Lets `program` (arguments[0]) answer like this.
  void add(std::string program, std::function<Result<Answer>(const Run&)> behavior) {
    programs_[std::move(program)] = std::move(behavior);
  }
  void add(std::string program, Answer answer) {
    add(std::move(program), [answer](const Run&) -> Result<Answer> { return answer; });
  }

  /// Every start, in order.
  std::vector<Run> runs;

  Result<RunResult> run(const RunOptions& options) override {
    runs.push_back({options.arguments, std::string(as_text(options.input)), options.extra_environment});
    auto it = programs_.find(options.arguments.at(0));
    if (it == programs_.end()) return fail(ErrorCode::kNotFound, "no such program: {}", options.arguments[0]);
    Answer answer = TRY(it->second(runs.back()));
    if (answer.output.size() > options.output_limit) return fail(ErrorCode::kUnsupported, "the program wrote too much");
    RunResult result;
    result.status = answer.status;
    result.output = SecureBytes::copy_of(answer.output);
    return result;
  }

 private:
  std::map<std::string, std::function<Result<Answer>(const Run&)>> programs_;
};

/// A person who answers what the test laid out. Without answers there is no terminal.
class FakeTerminal final : public Terminal {
 public:
  /// The answers to the next questions, in order.
  std::vector<std::string> answers;
  /// The questions asked.
  std::vector<std::string> prompts;
  bool stdin_terminal = false;
  bool stdout_terminal = false;
  bool stderr_terminal = false;

  bool stdin_is_terminal() override { return stdin_terminal; }
  bool stdout_is_terminal() override { return stdout_terminal; }
  bool stderr_is_terminal() override { return stderr_terminal; }

  Result<SecureBytes> ask_secret(const std::string& prompt) override {
    if (prompts.size() >= answers.size()) return fail(ErrorCode::kUnavailable, "there is no terminal to ask on");
    prompts.push_back(prompt);
    return SecureBytes::copy_of(answers[prompts.size() - 1]);
  }
  Result<std::optional<std::string>> ask(const std::string& question) override {
    if (prompts.size() >= answers.size()) return std::optional<std::string>();
    prompts.push_back(question);
    return std::optional<std::string>(answers[prompts.size() - 1]);
  }
};

/// Commands that are recorded and end at once, users that the test names, and folders that are maps.
class FakeCommands final : public Commands {
 public:
  /// What a command was started with.
  struct Run {
    std::vector<std::string> arguments;
    std::vector<std::string> environment;  // what was added
    bool inherits = true;
    std::string user;
    CommandMode mode = CommandMode::kWait;
    std::map<std::string, std::string> files;  // of all folders, by path
  };
  std::vector<Run> runs;
  int status = 0;  // what they end with
  std::vector<UserAccount> users;
  std::map<std::string, std::string> files;  // in folders that are still there
  bool holds_signals = false;
  std::map<std::string, std::string> programs;  // by name: the path without links
  /// What an editor does in its session folder, given as the files there.
  using SessionFiles = std::map<std::string, std::string>;
  std::function<EditorEnd(const std::vector<std::string>& words, SessionFiles& files)> editor;
  std::map<std::string, SessionFiles> sessions;  // by path; those of the program and abandoned ones
  std::vector<std::string> abandoned;            // the paths of these

  Result<UserAccount> find_user(const std::string& name) override {
    for (const UserAccount& user : users) {
      if (user.name == name) return user;
    }
    return fail(ErrorCode::kNotFound, "there is no user '{}'", name);
  }
  void hold_signals() override { holds_signals = true; }
  Result<std::unique_ptr<PrivateFolder>> make_folder(const PrivateFolderOptions&) override {
    return std::make_unique<Folder>(*this, format("/private{}", ++folders_));
  }
  Result<int> run(const CommandOptions& options) override {
    runs.push_back({.arguments = options.arguments,
                    .environment = {options.environment.begin(), options.environment.end()},
                    .inherits = options.inherit_environment,
                    .user = options.user != nullptr ? options.user->name : "",
                    .mode = options.mode,
                    .files = files});
    return status;
  }

  Result<FoundProgram> find_program(const std::string& name) override {
    auto it = programs.find(name);
    if (it == programs.end()) return fail(ErrorCode::kNotFound, "there is no program '{}'", name);
    return FoundProgram{.path = "/usr/bin/" + name, .real_path = it->second};
  }
  Result<std::unique_ptr<SessionFolder>> make_session(const SessionFolderOptions& options) override {
    return std::make_unique<Session>(*this, "/session/" + options.name);
  }
  std::vector<std::unique_ptr<SessionFolder>> abandoned_sessions() override {
    std::vector<std::unique_ptr<SessionFolder>> found;
    for (const std::string& path : std::exchange(abandoned, {}))
      found.push_back(std::make_unique<Session>(*this, path));
    return found;
  }
  Result<EditorEnd> run_editor(const std::vector<std::string>& words, const SessionFolder& folder) override {
    return editor(words, sessions[folder.path()]);
  }

 private:
  class Session final : public SessionFolder {
   public:
    Session(FakeCommands& world, std::string path) : world_(world), path_(std::move(path)) {}
    ~Session() override {
      if (!keeps_) world_.sessions.erase(path_);
    }
    const std::string& path() const override { return path_; }
    Result<void> write(const std::string& name, std::span<const uint8_t> content) override {
      world_.sessions[path_][name] = as_text(content);
      return {};
    }
    Result<void> make_folder(const std::string&) override { return {}; }
    Result<SecureBytes> read(const std::string& name) override {
      auto it = world_.sessions[path_].find(name);
      if (it == world_.sessions[path_].end()) return fail(ErrorCode::kNotFound, "no such file: {}", name);
      return SecureBytes::copy_of(it->second);
    }
    std::vector<std::string> list(const std::string& name) override {
      std::vector<std::string> names;
      for (const auto& [path, content] : world_.sessions[path_]) {
        if (path.starts_with(name + "/")) names.push_back(path.substr(name.size() + 1));
      }
      return names;
    }
    void keep() override { keeps_ = true; }

   private:
    FakeCommands& world_;
    std::string path_;
    bool keeps_ = false;
  };

  class Folder final : public PrivateFolder {
   public:
    Folder(FakeCommands& world, std::string path) : world_(world), path_(std::move(path)) {}
    ~Folder() override { [[maybe_unused]] const auto ignored = remove(); }
    const std::string& path() const override { return path_; }
    Result<void> write(const std::string& name, std::span<const uint8_t> content) override {
      world_.files[format("{}/{}", path_, name)] = as_text(content);
      return {};
    }
    Result<void> serve(const std::string& name, std::span<const uint8_t> content) override {
      return write(name, content);
    }
    Result<void> remove() override {
      std::erase_if(world_.files, [&](const auto& file) { return file.first.starts_with(path_ + "/"); });
      return {};
    }

   private:
    FakeCommands& world_;
    std::string path_;
  };

  int folders_ = 0;
};

/// A network of which the test says what it answers. Without an answer every host is unreachable.
class FakeHttp final : public Http {
 public:
  /// What a request gets; called from the thread that sends it, one at a time.
  std::function<Result<HttpAnswer>(const HttpRequest&)> answer;
  /// Every request, in order: "POST https://…".
  std::vector<std::string> log;

  Result<HttpAnswer> send(const HttpRequest& request, std::stop_token) override {
    const std::lock_guard lock(mutex_);
    log.push_back(format("{} {}", request.method, request.url));
    if (!answer) return fail(ErrorCode::kUnavailable, "there is no network here: {}", request.url);
    return answer(request);
  }

 private:
  std::mutex mutex_;
};

/// All of them together.
struct FakeServices {
  MemoryFiles files;
  FakeClock clock;
  SeededRandom random;
  FakeEnvironment environment;
  FakeProcesses processes;
  FakeTerminal terminal;
  FakeCommands commands;
  FakeHttp http;
  RunState run;

  /// Borrowed views of the members. The result lives as long as this object.
  Services& services() { return services_; }

  FakeServices() = default;
  FakeServices(const FakeServices&) = delete;
  FakeServices& operator=(const FakeServices&) = delete;

 private:
  Services services_{files, clock, random, environment, processes, terminal, commands, http, run};
};

}  // namespace sops
