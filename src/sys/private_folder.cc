// SPDX-License-Identifier: MPL-2.0
//
// PrivateFolder: where it lies, its files, its pipes, its removal. A folder for another user is made and used with that
// user's rights (setfsuid), so that nothing he puts into it can lead us elsewhere.
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/parallel.h"
#include "sys/commands.h"
#include "sys/posix.h"
#include "sys/real_parts.h"

namespace sops {

namespace {

using posix::Descriptor;
using posix::error_code;
using posix::error_text;

constexpr std::string_view kPrefix = ".sops-exec-";
constexpr std::string_view kNextPrefix = ".next-";  // the pipe that takes the place of one that found a reader
constexpr mode_t kFileMode = 0600;

// A folder without a lock is left over, unless it is so young that its maker may be about to lock it.
constexpr time_t kLockGraceSeconds = 60;

constexpr std::chrono::milliseconds kDescriptorPause{10};

// The calling thread touches files as `user` does, until this dies. Nothing for nullptr.
class ActingAs {
 public:
  explicit ActingAs(const UserAccount* user) : acts_(user != nullptr) {
    if (!acts_) return;
    group_before_ = static_cast<gid_t>(setfsgid(user->group_id));
    user_before_ = static_cast<uid_t>(setfsuid(user->user_id));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // the system resets it when an id changes
  }
  ~ActingAs() {
    if (!acts_) return;
    setfsuid(user_before_);
    setfsgid(group_before_);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  }
  ActingAs(const ActingAs&) = delete;
  ActingAs& operator=(const ActingAs&) = delete;

 private:
  bool acts_;
  uid_t user_before_ = 0;
  gid_t group_before_ = 0;
};

Failure io_failure(std::string_view what, const std::string& path, int error) {
  return fail(error_code(error), "cannot {} {}: {}", what, escape_for_message(path, 4096), error_text(error));
}

bool is_in_memory(const std::string& path) {
  struct statfs status;
  if (statfs(path.c_str(), &status) != 0) return false;
  return status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC;
}

// Opens what a path descriptor stands for, whatever name it has by now.
Descriptor reopen(const Descriptor& path, int flags) {
  const std::string name = format("/proc/self/fd/{}", path.get());
  int fd = -1;
  do {
    fd = open(name.c_str(), flags | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  return Descriptor(fd);
}

// A name whose every opening reads the same bytes from the beginning.
//
// One thread waits for a reader. When one has come, a fresh pipe takes over the name before the first byte is written,
// so the next reader waits at that one; a second thread writes to all readers that have come. (editing.md 4.4)
//
// Until the acceptor is scheduled and has renamed, a second opening still finds the old pipe and shares its bytes. No
// system call tells how many readers a pipe has, so that can be neither seen nor helped (docs/compatibility.md).
class PipeServer {
 public:
  // For create().
  PipeServer(const std::string& folder, const std::string& name, std::span<const uint8_t> content,
             const UserAccount* owner)
      : path_(format("{}/{}", folder, name)),
        next_path_(format("{}/{}{}", folder, kNextPrefix, name)),
        content_(content),
        owner_(owner) {}

  static Result<std::unique_ptr<PipeServer>> create(const std::string& folder, const std::string& name,
                                                    std::span<const uint8_t> content, const UserAccount* owner) {
    auto server = std::make_unique<PipeServer>(folder, name, content, owner);
    server->wake_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    server->spare_ = Descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!server->wake_ || !server->spare_)
      return fail(ErrorCode::kIo, "cannot make descriptors for a pipe: {}", error_text(errno));
    server->waiting_ = TRY(server->make_next());
    if (rename(server->next_path_.c_str(), server->path_.c_str()) != 0) return io_failure("make", server->path_, errno);
    if (!reopen(server->waiting_, O_RDONLY | O_NONBLOCK)) {
      return fail(ErrorCode::kUnsupported, "cannot serve a pipe: /proc is not available").hint("use --no-fifo");
    }
    server->next_ = TRY(server->make_next());
    server->acceptor_ = start_thread([raw = server.get()] { raw->accept(); });
    server->writer_ = start_thread([raw = server.get()] { raw->write(); });
    return server;
  }

  ~PipeServer() {
    if (!acceptor_.joinable()) return;
    Descriptor reader;
    {
      const std::lock_guard lock(mutex_);
      stops_ = true;
      spare_.reset();
      reader = reopen(waiting_, O_RDONLY | O_NONBLOCK);  // lets the acceptor's open() return
    }
    wake_writer();
    acceptor_.join();
    writer_.join();
  }

 private:
  struct Reader {
    Descriptor pipe;
    size_t written = 0;
  };

  Result<Descriptor> make_next() {
    unlink(next_path_.c_str());
    if (mkfifo(next_path_.c_str(), kFileMode) != 0) return io_failure("make the pipe", next_path_, errno);
    Descriptor made(open(next_path_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status;
    if (!made || fstat(made.get(), &status) != 0 || !S_ISFIFO(status.st_mode))
      return io_failure("open the pipe", next_path_, errno);
    return made;
  }

  void accept() {
    const ActingAs acting(owner_);
    while (true) {
      {
        const std::lock_guard lock(mutex_);
        if (stops_) return;
      }
      // Only this thread changes waiting_, and not after stops_ is set.
      Descriptor pipe = reopen(waiting_, O_WRONLY);
      if (!pipe && (errno == EMFILE || errno == ENFILE)) {  // more readers than descriptors: some must finish first
        std::this_thread::sleep_for(kDescriptorPause);
        continue;
      }
      if (!pipe) return;
      // At once, before anything else: see above. It fails if the command has removed the folder.
      const bool goes_on = rename(next_path_.c_str(), path_.c_str()) == 0;
      {
        const std::lock_guard lock(mutex_);
        if (stops_) return;
        fcntl(pipe.get(), F_SETFL, O_NONBLOCK);
        arrived_.push_back({.pipe = std::move(pipe)});
        if (goes_on) waiting_ = std::move(next_);
      }
      wake_writer();
      if (!goes_on) return;
      auto next = make_next();
      if (!next) return;  // likewise
      next_ = std::move(*next);
    }
  }

  // Every signal is blocked in the thread, also that for a pipe whose reader has left.
  void write() {
    std::vector<Reader> readers;
    std::vector<pollfd> polled;
    while (true) {
      polled.assign(1, {.fd = wake_.get(), .events = POLLIN, .revents = 0});
      for (const Reader& reader : readers) polled.push_back({.fd = reader.pipe.get(), .events = POLLOUT, .revents = 0});
      if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return;
      std::erase_if(readers, [&](Reader& reader) { return !give_some(reader); });

      uint64_t count = 0;
      [[maybe_unused]] const ssize_t ignored = ::read(wake_.get(), &count, sizeof count);
      const std::lock_guard lock(mutex_);
      if (stops_) return;
      for (Reader& reader : arrived_) readers.push_back(std::move(reader));
      arrived_.clear();
    }
  }

  // False when the reader has everything, or does not want more.
  bool give_some(Reader& reader) const {
    const std::span<const uint8_t> rest = content_.subspan(reader.written);
    if (rest.empty()) return false;
    const ssize_t count = ::write(reader.pipe.get(), rest.data(), rest.size());
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    reader.written += static_cast<size_t>(count);
    return reader.written < content_.size();
  }

  void wake_writer() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(wake_.get(), &one, sizeof one);
  }

  const std::string path_;
  const std::string next_path_;
  const std::span<const uint8_t> content_;
  const UserAccount* const owner_;
  Descriptor wake_;     // an event: there is something new for the writer
  Descriptor spare_;    // so that there is one to stop with
  Descriptor waiting_;  // the pipe that has the name
  Descriptor next_;     // the one that will have it; of the acceptor
  std::mutex mutex_;
  bool stops_ = false;  // guarded by mutex_, as is
  std::vector<Reader> arrived_;
  std::jthread acceptor_;
  std::jthread writer_;
};

class RealPrivateFolder final : public PrivateFolder {
 public:
  RealPrivateFolder(std::string path, const UserAccount* owner, Descriptor lock)
      : path_(std::move(path)), lock_(std::move(lock)) {
    if (owner != nullptr) owner_ = std::make_unique<UserAccount>(*owner);
  }
  ~RealPrivateFolder() override { [[maybe_unused]] const auto ignored = remove(); }

  const std::string& path() const override { return path_; }

  Result<void> write(const std::string& name, std::span<const uint8_t> content) override {
    const ActingAs acting(owner_.get());
    const std::string path = format("{}/{}", path_, name);
    const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode));
    if (!file) return io_failure("make", path, errno);
    if (fchmod(file.get(), kFileMode) != 0) return io_failure("make", path, errno);  // whatever the umask says
    if (const int error = posix::write_all(file.get(), content)) return io_failure("write", path, error);
    return {};
  }

  Result<void> serve(const std::string& name, std::span<const uint8_t> content) override {
    const ActingAs acting(owner_.get());
    auto server = TRY(PipeServer::create(path_, name, content, owner_.get()));
    servers_.push_back(std::move(server));
    return {};
  }

  Result<void> remove() override {
    if (is_removed_) return {};
    is_removed_ = true;
    const ActingAs acting(owner_.get());
    servers_.clear();
    std::error_code error;
    // What a grandchild creates at this moment can make it fail.
    for (int attempt = 0; attempt < 5; ++attempt) {
      std::filesystem::remove_all(path_, error);
      if (!error) return {};
    }
    return fail(ErrorCode::kIo, "cannot remove {}: {}", escape_for_message(path_, 4096), error_text(error.value()));
  }

 private:
  std::string path_;
  std::unique_ptr<UserAccount> owner_;
  Descriptor lock_;
  std::vector<std::unique_ptr<PipeServer>> servers_;
  bool is_removed_ = false;
};

// Folders of ours in `parent` whose program was killed: nobody holds their lock.
void remove_remains(const std::string& parent) {
  DIR* listing = opendir(parent.c_str());
  if (listing == nullptr) return;
  while (const dirent* entry = readdir(listing)) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(kPrefix)) continue;
    const std::string path = format("{}/{}", parent, name);
    const Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status;
    if (!folder || fstat(folder.get(), &status) != 0 || status.st_uid != geteuid()) continue;
    if (std::time(nullptr) - status.st_mtime < kLockGraceSeconds || flock(folder.get(), LOCK_EX | LOCK_NB) != 0)
      continue;
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  closedir(listing);
}

// nullptr with errno set if there can be none.
std::unique_ptr<PrivateFolder> make_in(const std::string& parent, const UserAccount* owner) {
  if (owner == nullptr) remove_remains(parent);
  const ActingAs acting(owner);
  std::string path = format("{}/{}XXXXXX", parent, kPrefix);
  if (mkdtemp(path.data()) == nullptr) return nullptr;
  Descriptor lock(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (lock) flock(lock.get(), LOCK_EX | LOCK_NB);
  return std::make_unique<RealPrivateFolder>(std::move(path), owner, std::move(lock));
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

std::vector<std::string> private_folder_parents(const PrivateFolderOptions& options) {
  std::vector<std::string> parents;
  const std::string runtime = variable("XDG_RUNTIME_DIR");
  struct stat status;
  // Under sudo it may still be the caller's.
  if (options.owner == nullptr && stat(runtime.c_str(), &status) == 0 && status.st_uid == geteuid())
    parents.push_back(runtime);
  parents.push_back("/dev/shm");
  const std::string temporary = variable("TMPDIR");
  parents.push_back(temporary);
  std::erase_if(parents, [](const std::string& parent) { return !parent.starts_with('/') || !is_in_memory(parent); });
  if (options.allow_disk) parents.push_back(temporary.starts_with('/') ? temporary : "/tmp");
  return parents;
}

Failure no_private_folder() {
  return fail(ErrorCode::kUnsupported,
              "none of $XDG_RUNTIME_DIR, /dev/shm and $TMPDIR is a folder in memory that can be written to")
      .hint("--allow-disk permits a folder on a disk, which may keep what was once written to it");
}

Result<std::unique_ptr<PrivateFolder>> make_private_folder(const PrivateFolderOptions& options) {
  const std::vector<std::string> parents = private_folder_parents(options);
  for (const std::string& parent : parents) {
    if (auto folder = make_in(parent, options.owner)) return folder;
  }
  if (options.allow_disk) return io_failure("make a folder in", parents.back(), errno);
  return no_private_folder();
}

}  // namespace sops
