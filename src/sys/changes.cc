// SPDX-License-Identifier: MPL-2.0
//
// Many files replaced together (editing.md 3.1; docs/decisions/0005-many-files.md).
//
//   add       a new version is stored beside its file: ciphertext under a private name, mode 0600; plaintext in a file
//             without a name, else in memory. Anything that can fail for want of room or rights fails here
//   sync      one syncfs() per file system: every new version is on disk
//   replace   for each file: the mode, a last look, and the names of old and new version are exchanged in one step
//   sync      the new names are on disk
//   remove    the old versions, which have the private names now
//
// Until the last step every old version is there, so an error takes the exchanges back. A signal before the first
// exchange removes what was stored; one after it waits. SIGKILL or power loss leaves each file whole, old or new, and
// private names beside them, which the next run removes.
//
// Private names are normally locked while their maker lives (replace_steps.h). That would take a descriptor for each of
// any number of files, so here it is the directory that is locked, shared with other runs of this kind.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>

#include "base/parallel.h"
#include "base/path.h"
#include "sys/replace_steps.h"

namespace sops {

namespace {

using namespace replacing;
using posix::Descriptor;

// Results that can be stored nowhere but in memory: plaintext where there are no files without names or no descriptors
// for them, and what is written over its old version.
constexpr size_t kMaxHeldBytes = size_t{256} << 20;

// Descriptors that are left to the rest of the program, and the most that we ask the system for.
constexpr rlim_t kSpareDescriptors = 128;
constexpr rlim_t kMostDescriptors = 65536;

// How often to try for a directory's lock, which others hold for an instant only.
constexpr int kLockAttempts = 40;
constexpr timespec kLockPause{.tv_sec = 0, .tv_nsec = 5'000'000};

// --- Signals --------------------------------------------------------------------------------------------------------

// Signals whose default action ends the process and that are not ignored. Not: errors of the program itself, and
// SIGPIPE, which is about one write.
sigset_t ending_signals() {
  sigset_t set;
  sigfillset(&set);
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPIPE, SIGCHLD, SIGURG, SIGWINCH,
                     SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGSTOP, SIGKILL}) {
    sigdelset(&set, signal);
  }
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action;
    if (sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) sigdelset(&set, signal);
  }
  return set;
}

// While it lives, a signal that would end the process first calls `before_end`, in a thread of its own.
class EndingSignals {
 public:
  explicit EndingSignals(std::function<void()> before_end) : before_end_(std::move(before_end)) {
    set_ = ending_signals();
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
    signals_ = Descriptor(signalfd(-1, &set_, SFD_CLOEXEC | SFD_NONBLOCK));
    wake_ = Descriptor(eventfd(0, EFD_CLOEXEC));
    // Without descriptors signals simply wait.
    if (signals_ && wake_) thread_ = start_thread([this] { watch(); });
  }
  ~EndingSignals() {
    if (thread_.joinable()) {
      const uint64_t one = 1;
      posix::write_all(wake_.get(), {reinterpret_cast<const uint8_t*>(&one), sizeof one});
      thread_.join();
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  EndingSignals(const EndingSignals&) = delete;
  EndingSignals& operator=(const EndingSignals&) = delete;

 private:
  void watch() {
    while (true) {
      std::array<pollfd, 2> polled{pollfd{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                                   pollfd{.fd = signals_.get(), .events = POLLIN, .revents = 0}};
      if (poll(polled.data(), polled.size(), -1) < 0) continue;
      if (polled[0].revents != 0) return;
      signalfd_siginfo info;
      if (read(signals_.get(), &info, sizeof info) == sizeof info) handle(static_cast<int>(info.ssi_signo));
    }
  }

  void handle(int signal) {
    struct sigaction action;
    if (sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) return;
    // A question at the terminal has a handler meanwhile: it restores the echo and sends the signal again.
    if (action.sa_handler == SIG_DFL) before_end_();
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
    raise(signal);
    pthread_sigmask(SIG_BLOCK, &only, nullptr);
  }

  std::function<void()> before_end_;
  posix::PipeSignalBlocked no_pipe_signal_;
  sigset_t set_;
  sigset_t before_;
  Descriptor signals_;
  Descriptor wake_;
  std::jthread thread_;
};

// --- What is kept of each file --------------------------------------------------------------------------------------

// A directory that holds targets, open and locked.
struct Directory {
  Descriptor file;  // for reading; with O_PATH if it may not be read, and then not locked
  dev_t device = 0;
};

struct Entry {
  enum class Store { kNamed, kUnnamed, kMemory };
  // What put_in_place() did, and how it is undone.
  enum class Done {
    kNothing,
    kNew,          // a file where none was: removed
    kExchanged,    // `temporary` is the old version: exchanged again
    kLinked,       // the same where names cannot be exchanged: renamed back
    kHeld,         // where there are no links either: `file` is the old version, copied back
    kWrittenOver,  // `old_content` is written over it again
  };

  std::string path;  // as the caller named it
  int directory = -1;
  dev_t device = 0;
  std::string name;
  bool exists = false;  // there is a file to replace
  bool is_secret = false;
  bool in_place = false;  // it cannot be renamed over
  struct stat old{};      // if it exists
  struct stat made{};     // the new file, once it is one
  mode_t mode = 0600;     // in the end

  Store store = Store::kNamed;
  std::string temporary;  // a private name that is ours
  Descriptor file;
  SecureBytes content;  // kMemory
  std::optional<SecureBytes> old_content;
  Done done = Done::kNothing;
};

int look(const Entry& entry, const std::string& name, struct stat& status) {
  return fstatat(entry.directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

// The entry's file is what it was when it was added.
bool is_as_added(const Entry& entry) {
  struct stat now;
  const int error = look(entry, entry.name, now);
  return entry.exists ? error == 0 && is_untouched(now, entry.old) : error == ENOENT;
}

// Removes the private name, if what it names is still ours.
void remove_temporary(Entry& entry) {
  struct stat now;
  if (!entry.temporary.empty() && look(entry, entry.temporary, now) == 0 &&
      (is_untouched(now, entry.made) || (entry.exists && is_untouched(now, entry.old)))) {
    unlinkat(entry.directory, entry.temporary.c_str(), 0);
  }
  entry.temporary.clear();
}

Target target_of(const Entry& entry) {
  Target target;
  target.directory = Descriptor(fcntl(entry.directory, F_DUPFD_CLOEXEC, 3));
  target.name = entry.name;
  return target;
}

int open_old(const Entry& entry, bool must_read, OldFile& old) {
  return open_old_file(target_of(entry), entry.old, must_read, old);
}

// Fills a new file that is open as `file`; with a name already if `with_name`.
int fill(Entry& entry, const OldFile* old, std::span<const uint8_t> content, TemporaryFile& file, bool with_name) {
  struct stat status;
  if (fstat(file.fd(), &status) != 0) return errno;
  entry.mode = (old != nullptr ? old->status.st_mode : status.st_mode) & 07777;
  if (with_name && old == nullptr && fchmod(file.fd(), 0600) != 0) return errno;
  if (const int error = posix::write_all(file.fd(), content)) return error;
  if (old != nullptr) {
    if (const int error = copy_metadata(old->file.get(), old->status, file.fd())) return error;
  }
  return fstat(file.fd(), &entry.made) != 0 ? errno : 0;
}

// 0666: the kernel applies umask or the directory's default ACL.
mode_t mode_to_create(const OldFile* old) { return old != nullptr ? 0600 : 0666; }

uid_t owner_of(const Entry& entry) { return entry.exists ? entry.old.st_uid : geteuid(); }

int store_named(Entry& entry, const OldFile* old, std::span<const uint8_t> content) {
  TemporaryFile file(entry.directory, entry.name, owner_of(entry));
  if (const int error = file.create_named(mode_to_create(old))) return error;
  if (const int error = fill(entry, old, content, file, true)) return error;
  entry.store = Entry::Store::kNamed;
  entry.temporary = file.release_name();
  return 0;
}

int store_unnamed(Entry& entry, const OldFile* old, std::span<const uint8_t> content) {
  TemporaryFile file(entry.directory, entry.name, owner_of(entry));
  if (const int error = file.create_unnamed(mode_to_create(old))) return error;
  if (const int error = fill(entry, old, content, file, false)) return error;
  entry.store = Entry::Store::kUnnamed;
  entry.file = file.release_file();
  return 0;
}

// --- Putting in place, and back -------------------------------------------------------------------------------------

// The bytes of the new version, wherever they are.
Result<SecureBytes> stored_content(Entry& entry) {
  if (entry.store == Entry::Store::kMemory) return std::move(entry.content);
  Descriptor file = std::move(entry.file);
  if (!file) file = Descriptor(openat(entry.directory, entry.temporary.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file || lseek(file.get(), 0, SEEK_SET) != 0) return write_failure(entry.path, errno);
  return posix::read_all(file.get(), static_cast<uint64_t>(entry.made.st_size), kMaxFileSize);
}

// Gives what was stored without a name its private one.
int give_name(Entry& entry) {
  OldFile old;
  if (entry.exists) {
    if (const int error = open_old(entry, false, old)) return error == kSurprise ? kChanged : error;
  }
  const OldFile* like = entry.exists ? &old : nullptr;
  if (entry.store == Entry::Store::kMemory) {
    const int error = unnamed_if_possible([&](bool with_name) {
      return with_name ? store_named(entry, like, entry.content.expose())
                       : store_unnamed(entry, like, entry.content.expose());
    });
    if (error != 0) return error;
    if (entry.store == Entry::Store::kNamed) return 0;
    if (const int failed = sync_file(entry.file.get())) return failed;
  }
  TemporaryFile file(entry.directory, entry.name, owner_of(entry));
  file.adopt(std::move(entry.file));
  const int error = file.name_privately();
  if (error != 0) entry.file = file.release_file();
  if (error == kNeedsName) {  // there is no /proc
    const Result<SecureBytes> content = stored_content(entry);
    return content ? store_named(entry, like, content->expose()) : EIO;
  }
  if (error != 0) return error;
  entry.temporary = file.release_name();
  entry.store = Entry::Store::kNamed;
  return 0;
}

Result<void> write_over(Entry& entry) {
  const SecureBytes content = TRY(stored_content(entry));
  remove_temporary(entry);
  OldFile old;
  int error = open_old(entry, true, old);
  if (error == 0 && !is_untouched(old.status, entry.old)) error = kSurprise;
  if (error != 0) return write_failure(entry.path, error == kSurprise ? kChanged : error);
  TRY(overwrite(entry.path, old, content.expose(), entry.old_content));
  entry.done = Entry::Done::kWrittenOver;
  return {};
}

// Calls `take` with private names until it returns something else than EEXIST.
template <class Take>
int with_other_name(const Entry& entry, Take take) {
  for (int number = 1; number <= kTemporaryNames; ++number) {
    const int error = take(temporary_name(entry.name, number));
    if (error != EEXIST) return error;
  }
  return EEXIST;
}

// The new version takes the name; the old one stays at hand. Where names cannot be exchanged, as on NFS, the old
// version first gets a second name; where there are no such either, as on FAT, it is held open.
int take_name(Entry& entry) {
  const char* name = entry.name.c_str();
  if (renameat2(entry.directory, entry.temporary.c_str(), entry.directory, name, RENAME_EXCHANGE) == 0) {
    // Nobody's change is lost, not even one in the last instant.
    struct stat was;
    if (look(entry, entry.temporary, was) == 0 && is_untouched(was, entry.old)) {
      entry.done = Entry::Done::kExchanged;
      return 0;
    }
    const int result = renameat2(entry.directory, entry.temporary.c_str(), entry.directory, name, RENAME_EXCHANGE) == 0
                           ? kChanged
                           : errno;
    return result;
  }
  if (errno != EINVAL && errno != ENOSYS) return errno == ENOENT ? kChanged : errno;

  std::string second;
  const int error = with_other_name(entry, [&](const std::string& other) {
    if (linkat(entry.directory, name, entry.directory, other.c_str(), 0) != 0) return errno;
    second = other;
    return 0;
  });
  const bool has_links = error != EPERM && error != EOPNOTSUPP && error != ENOSYS;
  if (error != 0 && has_links) return error == ENOENT ? kChanged : error;
  if (!has_links) {
    OldFile old;
    if (const int failed = open_old(entry, true, old)) return failed == kSurprise ? kChanged : failed;
    entry.file = std::move(old.file);
  }
  if (renameat(entry.directory, entry.temporary.c_str(), entry.directory, name) != 0) {
    const int failed = errno;
    if (has_links) unlinkat(entry.directory, second.c_str(), 0);
    return failed;
  }
  entry.temporary = second;
  entry.done = has_links ? Entry::Done::kLinked : Entry::Done::kHeld;
  return 0;
}

int put_new(Entry& entry) {
  TemporaryFile file(entry.directory, entry.name, owner_of(entry));
  if (entry.store == Entry::Store::kUnnamed) {
    file.adopt(std::move(entry.file));
    const int error = file.link_to_target();
    entry.done = error == 0 ? Entry::Done::kNew : Entry::Done::kNothing;
    if (error != kNeedsName) return error;
    entry.file = file.release_file();
  }
  if (entry.store != Entry::Store::kNamed) {
    if (const int error = give_name(entry)) return error;
  }
  struct stat status;
  if (look(entry, entry.temporary, status) != 0 || !is_untouched(status, entry.made)) return kSurprise;
  if (fchmodat(entry.directory, entry.temporary.c_str(), entry.mode, 0) != 0) return errno;
  if (renameat2(entry.directory, entry.temporary.c_str(), entry.directory, entry.name.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno != EINVAL && errno != ENOSYS) return errno == EEXIST ? kChanged : errno;
    if (!is_as_added(entry)) return kChanged;
    if (renameat(entry.directory, entry.temporary.c_str(), entry.directory, entry.name.c_str()) != 0) return errno;
  }
  entry.temporary.clear();
  entry.done = Entry::Done::kNew;
  return 0;
}

int put_over_old(Entry& entry) {
  if (entry.store != Entry::Store::kNamed) {
    if (const int error = give_name(entry)) return error;
  }
  struct stat status;
  if (look(entry, entry.temporary, status) != 0 || !is_untouched(status, entry.made)) return kSurprise;
  if (fchmodat(entry.directory, entry.temporary.c_str(), entry.mode, 0) != 0) return errno;
  if (!is_as_added(entry)) return kChanged;
  return take_name(entry);
}

Result<void> put_in_place(Entry& entry) {
  if (entry.in_place) return write_over(entry);
  const int error = entry.exists ? put_over_old(entry) : put_new(entry);
  if (error == 0) return {};
  if (entry.exists && is_about_the_directory(error)) return write_over(entry);
  return write_failure(entry.path, error == kSurprise && !entry.exists ? kChanged : error);
}

int put_back(Entry& entry) {
  struct stat now;
  const int error = look(entry, entry.name, now);
  const bool is_ours = error == 0 && is_untouched(now, entry.made);
  const char* name = entry.name.c_str();
  switch (entry.done) {
    case Entry::Done::kNothing:
      return 0;
    case Entry::Done::kNew:
      if (!is_ours) return error == ENOENT ? 0 : kChanged;
      return unlinkat(entry.directory, name, 0) != 0 ? errno : 0;
    case Entry::Done::kExchanged:
      if (!is_ours) return kChanged;
      return renameat2(entry.directory, entry.temporary.c_str(), entry.directory, name, RENAME_EXCHANGE) != 0 ? errno
                                                                                                              : 0;
    case Entry::Done::kLinked:
      if (!is_ours) return kChanged;
      if (renameat(entry.directory, entry.temporary.c_str(), entry.directory, name) != 0) return errno;
      entry.temporary.clear();
      return 0;
    case Entry::Done::kHeld: {
      if (!is_ours) return kChanged;
      if (lseek(entry.file.get(), 0, SEEK_SET) != 0) return errno;
      const Result<SecureBytes> old = posix::read_all(entry.file.get(), 0, kMaxFileSize);
      return old && replace_file(entry.path, old->expose(), {}) ? 0 : EIO;
    }
    case Entry::Done::kWrittenOver: {
      OldFile file;
      if (const int failed = open_old(entry, false, file)) return failed == kSurprise ? kChanged : failed;
      std::optional<SecureBytes> ignored;
      return entry.old_content && overwrite(entry.path, file, entry.old_content->expose(), ignored) ? 0 : EIO;
    }
  }
  return 0;
}

// Undoes it; an error tells where the old version is, if it is not back.
std::optional<Error> undo(Entry& entry) {
  const int error = put_back(entry);
  if (error == 0) {
    entry.done = Entry::Done::kNothing;
    return std::nullopt;
  }
  std::string where = "restore it from a backup";
  if (entry.done == Entry::Done::kExchanged || entry.done == Entry::Done::kLinked) {
    // Not under the private name, which the next run removes.
    const std::string kept = entry.name + ".sops-old";
    const bool moved =
        renameat2(entry.directory, entry.temporary.c_str(), entry.directory, kept.c_str(), RENAME_NOREPLACE) == 0;
    where = format("its old content is in {}{}", escape_for_message(moved ? kept : entry.temporary),
                   moved ? "" : "; copy it away before sops runs again");
    entry.temporary.clear();
  }
  const std::string why = error == kChanged ? "other programs have changed it" : posix::error_text(error);
  return fail(ErrorCode::kIo, "{} could not get its old content back: {}", escape_for_message(entry.path, 4096), why)
      .hint(std::move(where))
      .error();
}

// --- All of them ----------------------------------------------------------------------------------------------------

class RealFileChanges final : public FileChanges {
 public:
  RealFileChanges() {
    if (getrlimit(RLIMIT_NOFILE, &limit_before_) != 0) return;
    rlimit wanted = limit_before_;
    wanted.rlim_cur = std::max(wanted.rlim_cur, std::min(wanted.rlim_max, kMostDescriptors));
    descriptors_ = setrlimit(RLIMIT_NOFILE, &wanted) == 0 ? wanted.rlim_cur : limit_before_.rlim_cur;
    signals_.emplace([this] {
      // Never unlocked again: the process ends.
      mutex_.lock();
      discard_all();
    });
  }
  ~RealFileChanges() override {
    {
      const std::unique_lock lock(mutex_);
      discard_all();
    }
    signals_.reset();
    if (descriptors_ != 0) setrlimit(RLIMIT_NOFILE, &limit_before_);
  }

  Result<void> add(size_t position, const Change& change) override {
    const std::shared_lock lock(mutex_);
    drop(position);
    Entry entry;
    for (int surprises = 0;; ++surprises) {
      entry = Entry();
      entry.path = change.path;
      entry.is_secret = change.is_secret;
      bool look_again = false;
      auto stored = store(change, entry, look_again);
      if (stored) break;
      if (!look_again || surprises == kMaxSurprises) return stored;
    }
    const std::lock_guard guard(entries_mutex_);
    entries_.insert_or_assign(position, std::move(entry));
    return {};
  }

  std::vector<size_t> find_changed() override {
    const std::shared_lock lock(mutex_);
    std::vector<size_t> changed;
    for (const auto& [position, entry] : entries_) {
      if (!is_as_added(entry)) changed.push_back(position);
    }
    return changed;
  }

  Result<std::vector<Outcome>> commit(FailurePolicy policy) override {
    const std::unique_lock lock(mutex_);
    if (policy == FailurePolicy::kAllOrNothing) TRY(check_unchanged());
    TRY(sync_all());

    std::vector<Outcome> outcomes;
    // What is written over comes last: nothing that may fail is left then.
    for (const bool in_place : {false, true}) {
      for (auto& [position, entry] : entries_) {
        if (entry.in_place != in_place) continue;
        auto put = put_in_place(entry);
        if (!put && policy == FailurePolicy::kAllOrNothing) return undo_all(std::move(put.error()));
        outcomes.push_back(
            {.position = position,
             .method = entry.done == Entry::Done::kWrittenOver ? ReplaceMethod::kInPlace : ReplaceMethod::kRenamed,
             .error = put ? std::nullopt : std::optional(std::move(put.error()))});
      }
    }
    if (auto synced = sync_all(); !synced) return undo_all(std::move(synced.error()));
    std::ranges::sort(outcomes, {}, &Outcome::position);
    made_folders_.clear();
    for (auto& [position, entry] : entries_) remove_temporary(entry);
    entries_.clear();
    return outcomes;
  }

 private:
  // --- adding

  Result<void> store(const Change& change, Entry& entry, bool& look_again) {
    Target target;
    int error = find_target(change.path, target);
    if (error == ENOENT && change.make_parents) {
      TRY(make_folders(dirname(change.path)));
      error = find_target(change.path, target);
    }
    if (error != 0) return write_failure(change.path, error);

    struct stat seen{};
    if (!target.is_magic_link && target.descriptor < 0) {
      entry.exists = fstatat(target.directory.get(), target.name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) == 0;
      if (!entry.exists && errno != ENOENT) return write_failure(change.path, errno);
    }
    if (target.is_magic_link || target.descriptor >= 0 || (entry.exists && !S_ISREG(seen.st_mode))) {
      look_again = entry.exists && S_ISLNK(seen.st_mode);
      if (entry.exists && S_ISDIR(seen.st_mode)) return write_failure(change.path, EISDIR);
      return fail(ErrorCode::kUnsupported, "cannot write {}: it is no regular file, and several are to be written",
                  escape_for_message(change.path, 4096))
          .hint("name it alone")
          .exit(ExitStatus::kCannotWriteOutput);
    }
    entry.name = target.name;
    TRY(use_directory(target, entry));

    if (!entry.exists) {
      if (change.expected) return write_failure(change.path, kChanged);
      return store_content(change, entry, nullptr);
    }
    OldFile old;
    error = open_old_file(target, seen, change.expected.has_value(), old);
    if (error == 0 && change.expected) error = compare(old.file.get(), *change.expected);
    if (error != 0) {
      look_again = error == kSurprise;
      return write_failure(change.path, error);
    }
    entry.old = old.status;
    // A file with another name would live on under that one with its old content.
    entry.in_place = old.status.st_nlink != 1;
    return store_content(change, entry, &old);
  }

  Result<void> store_content(const Change& change, Entry& entry, const OldFile* old) {
    int error = kNeedsName;
    if (!entry.in_place) {
      if (!change.is_secret) {
        error = store_named(entry, old, change.content);
      } else if (take_descriptor()) {
        error = store_unnamed(entry, old, change.content);
      }
    }
    if (error == 0) return {};
    entry.in_place = entry.in_place || (old != nullptr && is_about_the_directory(error));
    if (!entry.in_place && error != kNeedsName) return write_failure(change.path, error);
    if (held_bytes_.fetch_add(change.content.size()) + change.content.size() > kMaxHeldBytes) {
      return fail(ErrorCode::kUnsupported, "cannot keep so many results in memory until all are there")
          .hint("name fewer files at a time")
          .exit(ExitStatus::kCannotWriteOutput);
    }
    entry.store = Entry::Store::kMemory;
    entry.content = SecureBytes::copy_of(change.content);
    return {};
  }

  // The open directory of the target, shared by all that lie in it.
  Result<void> use_directory(const Target& target, Entry& entry) {
    struct stat status;
    if (fstat(target.directory.get(), &status) != 0) return write_failure(entry.path, errno);
    entry.device = status.st_dev;
    const std::lock_guard guard(directories_mutex_);
    Directory& directory = directories_[{status.st_dev, status.st_ino}];
    if (!directory.file) {
      if (!take_descriptor()) return write_failure(entry.path, EMFILE, "name fewer files at a time");
      directory.device = status.st_dev;
      directory.file = Descriptor(openat(target.directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (directory.file) {
        for (int attempt = 0; attempt < kLockAttempts; ++attempt) {
          if (flock(directory.file.get(), LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) break;
          nanosleep(&kLockPause, nullptr);
        }
      } else {
        directory.file = Descriptor(fcntl(target.directory.get(), F_DUPFD_CLOEXEC, 3));
      }
      if (!directory.file) return write_failure(entry.path, errno);
    }
    entry.directory = directory.file.get();
    return {};
  }

  bool take_descriptor() { return used_descriptors_.fetch_add(1) + kSpareDescriptors < descriptors_; }

  Result<void> make_folders(const std::string& path) {
    const std::lock_guard guard(directories_mutex_);
    for (size_t end = 1; end != std::string::npos;) {
      end = path.find('/', end + 1);
      const std::string part = path.substr(0, end);
      if (mkdir(part.c_str(), 0777) == 0) {
        made_folders_.push_back(part);
      } else if (errno != EEXIST) {
        return write_failure(part, errno);
      }
    }
    return {};
  }

  // --- replacing

  Result<void> check_unchanged() {
    Error all;
    for (const auto& [position, entry] : entries_) {
      if (!is_as_added(entry)) all.causes.push_back(write_failure(entry.path, kChanged).error());
    }
    if (all.causes.empty()) return {};
    if (all.causes.size() == 1) return fail(std::move(all.causes[0]));
    all.code = ErrorCode::kUnavailable;
    all.message = format("{} files have changed since they were read; nothing was written", all.causes.size());
    all.exit_status = ExitStatus::kCannotWriteOutput;
    for (Error& cause : all.causes) cause.hint.clear();
    return fail(std::move(all).with_hint("run the command again"));
  }

  Result<void> sync_all() {
    std::set<dev_t> done;
    for (const auto& [position, entry] : entries_) {
      if (!done.insert(entry.device).second) continue;
      if (syncfs(entry.directory) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS) continue;
      if (errno != EBADF) return write_failure(entry.path, errno);
      sync();  // a directory that may not be read
    }
    return {};
  }

  Failure undo_all(Error error) {
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
      if (auto problem = undo(entry->second)) error.causes.push_back(std::move(*problem));
    }
    if (auto synced = sync_all(); !synced) error.causes.push_back(std::move(synced.error()));
    return fail(std::move(error));
  }

  // --- ending

  void drop(size_t position) {
    const std::lock_guard guard(entries_mutex_);
    const auto found = entries_.find(position);
    if (found == entries_.end()) return;
    remove_temporary(found->second);
    entries_.erase(found);
  }

  // Leaves nothing of what was not committed.
  void discard_all() {
    for (auto& [position, entry] : entries_) remove_temporary(entry);
    for (auto folder = made_folders_.rbegin(); folder != made_folders_.rend(); ++folder) rmdir(folder->c_str());
    entries_.clear();
    made_folders_.clear();
  }

  std::shared_mutex mutex_;  // shared: adding; exclusive: everything that ends that
  std::mutex entries_mutex_;
  std::map<size_t, Entry> entries_;
  std::mutex directories_mutex_;
  std::map<std::pair<dev_t, ino_t>, Directory> directories_;
  std::vector<std::string> made_folders_;
  rlimit limit_before_{};
  rlim_t descriptors_ = 0;
  std::atomic<rlim_t> used_descriptors_ = 0;
  std::atomic<size_t> held_bytes_ = 0;
  std::optional<EndingSignals> signals_;  // last: its thread uses all the others
};

}  // namespace

std::unique_ptr<FileChanges> make_real_changes() { return std::make_unique<RealFileChanges>(); }

void remove_remains(const std::string& path) {
  Target target;
  if (find_target(path, target) != 0 || target.is_magic_link || target.descriptor >= 0) return;
  struct stat status;
  const bool exists = fstatat(target.directory.get(), target.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  remove_stale_files(target.directory.get(), target.name, exists ? status.st_uid : geteuid());
}

}  // namespace sops
