// SPDX-License-Identifier: MPL-2.0
//
// SessionFolder: the folder of an editor session, and finding those whose program was killed (editing.md 2.1, 2.5).
//
//   /dev/shm/.sops-edit-1000       of user 1000, mode 0700, there only while there are sessions: so that the question
//     3f2a…/                       whether any was left behind costs one system call
//       …                          locked (flock) by us and, as long as it runs, by the editor, which inherits the
//                                  descriptor
//
// Making and removing folders, and looking for abandoned ones, happens under the lock of the outer folder. Its name
// is known beforehand, so somebody else may have taken it: then the next place is used.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/path.h"
#include "sys/posix.h"
#include "sys/real_parts.h"

namespace sops {

namespace {

using posix::Descriptor;
using posix::error_code;
using posix::error_text;

constexpr std::string_view kOuterPrefix = ".sops-edit-";
constexpr int kMostSessions = 100;  // of one name at a time

std::string outer_folder(std::string_view parent) { return format("{}/{}{}", parent, kOuterPrefix, geteuid()); }

Failure io_failure(std::string_view what, const std::string& path, int error) {
  return fail(error_code(error), "cannot {} {}: {}", what, escape_for_message(path, 4096), error_text(error));
}

// No editor's settings need quotes for such a path.
bool is_plain(std::string_view path) {
  return std::ranges::all_of(path, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '.' ||
           c == '_' || c == '-';
  });
}

// The outer folder, locked; nothing if there is none or it is not ours alone.
Descriptor lock_outer(const std::string& path) {
  Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat opened, named;
  if (!folder || fstat(folder.get(), &opened) != 0 || opened.st_uid != geteuid() || (opened.st_mode & 077) != 0)
    return {};
  while (flock(folder.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return {};
  }
  // While we waited, the last session may have removed it.
  if (lstat(path.c_str(), &named) != 0 || named.st_dev != opened.st_dev || named.st_ino != opened.st_ino) return {};
  return folder;
}

// Removes the outer folder unless there are sessions in it.
void remove_outer(const std::string& path) {
  const Descriptor lock = lock_outer(path);
  if (lock) rmdir(path.c_str());
}

class RealSessionFolder final : public SessionFolder {
 public:
  RealSessionFolder(std::string path, Descriptor lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  ~RealSessionFolder() override {
    if (keeps_) return;
    std::error_code error;
    // What an editor creates at this moment can make it fail.
    for (int attempt = 0; attempt < 5; ++attempt) {
      std::filesystem::remove_all(path_, error);
      if (!error) break;
    }
    remove_outer(dirname(path_));
  }

  const std::string& path() const override { return path_; }
  int lock() const { return lock_.get(); }

  Result<void> make_folder(const std::string& name) override {
    const std::string folder = format("{}/{}", path_, name);
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return io_failure("make", folder, errno);
    return {};
  }

  Result<void> write(const std::string& name, std::span<const uint8_t> content) override {
    for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
      TRY(make_folder(name.substr(0, slash)));
    }
    const std::string path = format("{}/{}", path_, name);
    const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file || fchmod(file.get(), 0600) != 0) return io_failure("make", path, errno);
    if (const int error = posix::write_all(file.get(), content)) return io_failure("write", path, error);
    return {};
  }

  Result<SecureBytes> read(const std::string& name) override {
    const std::string path = format("{}/{}", path_, name);
    const Descriptor file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    struct stat status;
    if (!file || fstat(file.get(), &status) != 0) return io_failure("read", path, errno);
    if (!S_ISREG(status.st_mode)) return fail(ErrorCode::kIo, "{} is no file", escape_for_message(path, 4096));
    return in_context(posix::read_all(file.get(), static_cast<uint64_t>(status.st_size), kMaxFileSize), "{}",
                      escape_for_message(path, 4096));
  }

  std::vector<std::string> list(const std::string& name) override {
    std::vector<std::string> names;
    std::error_code error;
    const std::filesystem::path folder = format("{}/{}", path_, name);
    for (std::filesystem::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
      if (entry->is_regular_file(error) && !entry->is_symlink(error))
        names.push_back(entry->path().lexically_relative(folder).string());
    }
    std::ranges::sort(names);
    return names;
  }

  void keep() override { keeps_ = true; }

 private:
  std::string path_;
  Descriptor lock_;
  bool keeps_ = false;
};

// nullptr if there can be none in `parent`.
std::unique_ptr<SessionFolder> make_in(const std::string& parent, const std::string& wanted) {
  const std::string outer = outer_folder(parent);
  constexpr int kAttempts = 10;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (mkdir(outer.c_str(), 0700) != 0 && errno != EEXIST) return nullptr;
    const Descriptor lock = lock_outer(outer);
    if (!lock) continue;  // removed in between, or somebody else's
    for (int number = 1; number <= kMostSessions; ++number) {
      const std::string name = number == 1 ? wanted : format("{}-{}", wanted, number);
      std::string path = format("{}/{}", outer, name);
      if (mkdir(path.c_str(), 0700) != 0) {
        if (errno == EEXIST) continue;
        return nullptr;
      }
      Descriptor session(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (session) flock(session.get(), LOCK_EX | LOCK_NB);
      return std::make_unique<RealSessionFolder>(std::move(path), std::move(session));
    }
    return nullptr;
  }
  return nullptr;
}

}  // namespace

Result<std::unique_ptr<SessionFolder>> make_session_folder(const SessionFolderOptions& options) {
  for (const std::string& parent : private_folder_parents({.allow_disk = options.allow_disk})) {
    if (!is_plain(parent)) continue;
    if (auto folder = make_in(parent, options.name)) return folder;
  }
  if (options.allow_disk) {
    return fail(ErrorCode::kIo, "cannot make a private folder in $XDG_RUNTIME_DIR, /dev/shm, $TMPDIR or /tmp")
        .hint(format("is there room, and does {} belong to somebody else?", outer_folder("/tmp")));
  }
  return no_private_folder();
}

std::vector<std::unique_ptr<SessionFolder>> abandoned_session_folders() {
  std::vector<std::unique_ptr<SessionFolder>> found;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  const char* temporary = std::getenv("TMPDIR");
  for (const char* parent : {runtime, "/dev/shm", temporary, "/tmp"}) {
    if (parent == nullptr || parent[0] != '/') continue;
    const std::string outer = outer_folder(parent);
    const Descriptor lock = lock_outer(outer);
    if (!lock) continue;
    DIR* listing = opendir(outer.c_str());
    if (listing == nullptr) continue;
    bool is_empty = true;
    while (const dirent* entry = readdir(listing)) {
      if (entry->d_name[0] == '.') continue;
      is_empty = false;
      std::string path = format("{}/{}", outer, entry->d_name);
      Descriptor session(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!session || flock(session.get(), LOCK_EX | LOCK_NB) != 0) continue;
      found.push_back(std::make_unique<RealSessionFolder>(std::move(path), std::move(session)));
    }
    closedir(listing);
    if (is_empty) rmdir(outer.c_str());
  }
  return found;
}

int session_lock(const SessionFolder& folder) { return static_cast<const RealSessionFolder&>(folder).lock(); }

}  // namespace sops
