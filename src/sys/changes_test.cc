// SPDX-License-Identifier: MPL-2.0
//
// Many files replaced together, against the real kernel. What signals and kills leave is tested on the whole program:
// tests/integration/batch_faults.py.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "sys/real.h"
#include "tests/support/no_tmpfile.h"

namespace sops {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

void put(const std::string& path, std::string_view text) { std::ofstream(path, std::ios::binary) << text; }

std::string slurp(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

class ChangingManyFiles : public ::testing::Test {
 protected:
  ChangingManyFiles() {
    char name[] = "/tmp/sops-changes-XXXXXX";
    folder_ = mkdtemp(name);
    for (const char* file : {"a", "b", "c"}) put(at(file), std::string("old ") + file);
  }
  ~ChangingManyFiles() override { fs::remove_all(folder_); }

  std::string at(const std::string& name) const { return folder_ + "/" + name; }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }
  Files& files() { return services_.get().files; }

  // Adds "new NAME" for each name, which holds "old NAME".
  void add(FileChanges& changes, const std::vector<std::string>& file_names, bool is_secret = false) {
    for (size_t i = 0; i < file_names.size(); ++i) {
      const std::string content = "new " + file_names[i];
      const std::string expected = "old " + file_names[i];
      const auto added = changes.add(i, {.path = at(file_names[i]),
                                         .content = as_bytes(content),
                                         .is_secret = is_secret,
                                         .expected = as_bytes(expected)});
      EXPECT_TRUE(added) << to_string(added.error());
    }
  }
  static std::string error_of(const Result<std::vector<FileChanges::Outcome>>& result) {
    return result ? "" : to_string(result.error());
  }
  void expect_all(const std::string& version) {
    for (const char* name : {"a", "b", "c"}) EXPECT_EQ(slurp(at(name)), version + " " + name);
  }

  std::string folder_;
  RealServices services_;
};

TEST_F(ChangingManyFiles, ReplacesAllAtTheEndAndLeavesNothingElse) {
  for (const bool is_secret : {false, true}) {
    chmod(at("b").c_str(), 0640);
    auto changes = files().begin_changes();
    add(*changes, {"a", "b", "c"}, is_secret);
    expect_all("old");
    const auto done = changes->commit(FailurePolicy::kAllOrNothing);
    ASSERT_TRUE(done) << to_string(done.error());
    EXPECT_EQ(done->size(), 3u);
    expect_all("new");
    changes.reset();
    EXPECT_THAT(names(), ElementsAre("a", "b", "c"));
    struct stat status;
    ASSERT_EQ(stat(at("b").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640u);
    for (const char* name : {"a", "b", "c"}) put(at(name), std::string("old ") + name);
  }
}

// editing.md 3.1: "named 0600 temporary files, for ciphertext only".
TEST_F(ChangingManyFiles, StoresCiphertextUnderPrivateNamesAndPlaintextUnderNone) {
  {
    auto changes = files().begin_changes();
    add(*changes, {"a"}, true);
    EXPECT_THAT(names(), ElementsAre("a", "b", "c"));
    put(at("b"), "old b");
    add(*changes, {"b"});  // takes the place of "a"
    EXPECT_THAT(names(), ElementsAre(".b.sops-tmp-1", "a", "b", "c"));
    struct stat status;
    ASSERT_EQ(stat(at(".b.sops-tmp-1").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u);
  }
  EXPECT_THAT(names(), ElementsAre("a", "b", "c"));
  expect_all("old");
}

TEST_F(ChangingManyFiles, MakesNewFilesAndTheirFolders) {
  for (const bool is_secret : {false, true}) {
    for (const bool commits : {false, true}) {
      auto changes = files().begin_changes();
      ASSERT_TRUE(changes->add(0, {.path = at("x/y/new"),
                                   .content = as_bytes("1"),
                                   .is_secret = is_secret,
                                   .make_parents = true,
                                   .expected = std::nullopt}));
      EXPECT_FALSE(fs::exists(at("x/y/new")));
      if (commits) {
        ASSERT_EQ(error_of(changes->commit(FailurePolicy::kAllOrNothing)), "");
      }
      changes.reset();
      EXPECT_EQ(fs::exists(at("x")), commits);
      if (!commits) continue;
      EXPECT_EQ(slurp(at("x/y/new")), "1");
      EXPECT_EQ(std::distance(fs::directory_iterator(at("x/y")), fs::directory_iterator()), 1);
      struct stat status;
      ASSERT_EQ(stat(at("x/y/new").c_str(), &status), 0);
      const mode_t mask = umask(0);
      umask(mask);
      EXPECT_EQ(status.st_mode & 07777, 0666u & ~mask);
      fs::remove_all(at("x"));
    }
  }
}

TEST_F(ChangingManyFiles, RefusesAFileThatChangedBeforeItWasAdded) {
  auto changes = files().begin_changes();
  const auto added = changes->add(0, {.path = at("a"), .content = as_bytes("x"), .expected = as_bytes("other")});
  ASSERT_FALSE(added);
  EXPECT_THAT(to_string(added.error()), HasSubstr("a has changed since it was read; nothing was written"));
  EXPECT_EQ(added.error().exit_status, ExitStatus::kCannotWriteOutput);
}

// editing.md 1.7, 3.1
TEST_F(ChangingManyFiles, ChangesNothingIfAFileHasChangedSince) {
  auto changes = files().begin_changes();
  add(*changes, {"a", "b", "c"});
  put(at("b"), "by others");
  EXPECT_THAT(changes->find_changed(), ElementsAre(1u));
  const auto done = changes->commit(FailurePolicy::kAllOrNothing);
  EXPECT_THAT(error_of(done), HasSubstr("b has changed since it was read; nothing was written"));
  changes.reset();
  EXPECT_EQ(slurp(at("a")) + slurp(at("b")) + slurp(at("c")), "old aby othersold c");
  EXPECT_THAT(names(), ElementsAre("a", "b", "c"));
}

TEST_F(ChangingManyFiles, KeepsGoingWithoutTheOneThatChanged) {
  auto changes = files().begin_changes();
  add(*changes, {"a", "b", "c"});
  put(at("b"), "by others");
  const auto done = changes->commit(FailurePolicy::kKeepGoing);
  ASSERT_TRUE(done);
  ASSERT_EQ(done->size(), 3u);
  EXPECT_FALSE((*done)[0].error);
  ASSERT_TRUE((*done)[1].error);
  changes.reset();
  EXPECT_EQ(slurp(at("a")) + slurp(at("b")) + slurp(at("c")), "new aby othersnew c");
  EXPECT_THAT(names(), ElementsAre("a", "b", "c"));
}

// editing.md 3.1: "an error while replacing restores what was replaced"
TEST_F(ChangingManyFiles, GivesBackOldContentIfALaterFileFails) {
  for (const bool is_secret : {false, true}) {
    auto changes = files().begin_changes();
    add(*changes, {"a", "b"}, is_secret);
    ASSERT_TRUE(changes->add(
        2, {.path = at("new"), .content = as_bytes("n"), .is_secret = is_secret, .expected = std::nullopt}));
    ASSERT_TRUE(changes->add(
        3, {.path = at("late"), .content = as_bytes("n"), .is_secret = is_secret, .expected = std::nullopt}));
    // The look before the first replacement is passed, then the name is taken: by the very commit, as "new" is linked
    // to it. A second name in the same place is what nobody looks at twice.
    ASSERT_TRUE(changes->add(
        4, {.path = folder_ + "/./late", .content = as_bytes("m"), .is_secret = is_secret, .expected = std::nullopt}));
    const auto done = changes->commit(FailurePolicy::kAllOrNothing);
    EXPECT_THAT(error_of(done), HasSubstr("late has changed"));
    changes.reset();
    expect_all("old");
    EXPECT_THAT(names(), ElementsAre("a", "b", "c"));
  }
}

TEST_F(ChangingManyFiles, WritesOverAFileWithAnotherNameAndGivesItsContentBack) {
  fs::create_hard_link(at("a"), at("link"));
  {
    auto changes = files().begin_changes();
    add(*changes, {"a", "b"});
    ASSERT_TRUE(changes->add(2, {.path = at("late"), .content = as_bytes("n"), .expected = std::nullopt}));
    ASSERT_TRUE(changes->add(3, {.path = folder_ + "/./late", .content = as_bytes("m"), .expected = std::nullopt}));
    EXPECT_NE(error_of(changes->commit(FailurePolicy::kAllOrNothing)), "");
  }
  expect_all("old");
  auto changes = files().begin_changes();
  add(*changes, {"a", "b"});
  const auto done = changes->commit(FailurePolicy::kAllOrNothing);
  ASSERT_TRUE(done);
  EXPECT_EQ((*done)[0].method, ReplaceMethod::kInPlace);
  EXPECT_EQ((*done)[1].method, ReplaceMethod::kRenamed);
  EXPECT_EQ(slurp(at("link")), "new a");
}

TEST_F(ChangingManyFiles, FollowsLinksToFiles) {
  fs::create_symlink("a", at("link"));
  auto changes = files().begin_changes();
  ASSERT_TRUE(changes->add(0, {.path = at("link"), .content = as_bytes("new a"), .expected = std::nullopt}));
  ASSERT_EQ(error_of(changes->commit(FailurePolicy::kAllOrNothing)), "");
  EXPECT_TRUE(fs::is_symlink(at("link")));
  EXPECT_EQ(slurp(at("a")), "new a");
}

TEST_F(ChangingManyFiles, RefusesWhatIsNoFile) {
  auto changes = files().begin_changes();
  EXPECT_FALSE(changes->add(0, {.path = folder_, .content = as_bytes("x"), .expected = std::nullopt}));
  ASSERT_EQ(mkfifo(at("pipe").c_str(), 0600), 0);
  const auto added = changes->add(0, {.path = at("pipe"), .content = as_bytes("x"), .expected = std::nullopt});
  ASSERT_FALSE(added);
  EXPECT_THAT(added.error().message, HasSubstr("it is no regular file"));
}

// Our private names are not locked: the lock of the directory says that we live.
TEST_F(ChangingManyFiles, KeepsItsTemporaryFilesFromOtherRuns) {
  auto changes = files().begin_changes();
  add(*changes, {"a"});
  files().remove_remains(at("a"));
  EXPECT_THAT(names(), ElementsAre(".a.sops-tmp-1", "a", "b", "c"));
  ASSERT_TRUE(files().replace(at("b"), as_bytes("single"), {}));
  auto second = files().begin_changes();
  add(*second, {"a"});
  EXPECT_THAT(names(), ElementsAre(".a.sops-tmp-1", ".a.sops-tmp-2", "a", "b", "c"));
  second.reset();
  ASSERT_EQ(error_of(changes->commit(FailurePolicy::kAllOrNothing)), "");
  EXPECT_EQ(slurp(at("a")), "new a");
}

TEST_F(ChangingManyFiles, LosesNothingIfItsTemporaryFileIsTakenAway) {
  auto changes = files().begin_changes();
  add(*changes, {"a", "b"});
  fs::remove(at(".b.sops-tmp-1"));
  put(at(".b.sops-tmp-1"), "somebody else's");
  EXPECT_NE(error_of(changes->commit(FailurePolicy::kAllOrNothing)), "");
  changes.reset();
  expect_all("old");
  EXPECT_EQ(slurp(at(".b.sops-tmp-1")), "somebody else's");
}

TEST_F(ChangingManyFiles, RemovesWhatAKilledRunHasLeft) {
  put(at(".a.sops-tmp-1"), "remains");
  put(at(".a.sops-tmp-9"), "no name of ours");
  files().remove_remains(at("a"));
  EXPECT_THAT(names(), ElementsAre(".a.sops-tmp-9", "a", "b", "c"));
  EXPECT_EQ(files().target_of_temporary_file(at(".a.sops-tmp-1")), at("a"));
  for (const char* name : {".a.sops-tmp-9", "a", ".sops-tmp-1", "..sops-tmp-", ".a.sops-tmp-12"}) {
    EXPECT_EQ(files().target_of_temporary_file(at(name)), std::nullopt) << name;
  }
}

TEST_F(ChangingManyFiles, ListsWhatADirectoryHolds) {
  fs::create_symlink(".", at("link"));
  fs::create_directory(at("folder"));
  using Kind = DirectoryEntry::Kind;
  const auto entries = files().list(folder_);
  ASSERT_TRUE(entries);
  std::vector<std::pair<std::string, Kind>> found;
  for (const DirectoryEntry& entry : *entries) found.emplace_back(entry.name, entry.kind);
  EXPECT_THAT(
      found, ElementsAre(std::pair("a", Kind::kRegular), std::pair("b", Kind::kRegular), std::pair("c", Kind::kRegular),
                         std::pair("folder", Kind::kDirectory), std::pair("link", Kind::kLink)));
  EXPECT_FALSE(files().list(at("missing")));
  EXPECT_EQ(files().read_beginning(at("a"), 3)->expose_text(), "old");
  EXPECT_EQ(files().read_beginning(at("a"), 300)->expose_text(), "old a");
}

// --- In a process of its own ----------------------------------------------------------------------------------------

// Runs `body` in a child; returns its wait status. Expectations in it count: it then exits with 1.
int in_child(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    body();
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  return status;
}

TEST_F(ChangingManyFiles, EndsBySignalWithoutATrace) {
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1}) {
    const int status = in_child([&] {
      auto changes = files().begin_changes();
      add(*changes, {"a", "b", "c"});
      kill(getpid(), signal);
      sleep(10);
    });
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
    EXPECT_THAT(names(), ElementsAre("a", "b", "c"));
  }
}

TEST_F(ChangingManyFiles, LetsAnIgnoredSignalBe) {
  const int status = in_child([&] {
    signal(SIGHUP, SIG_IGN);
    auto changes = files().begin_changes();
    add(*changes, {"a", "b", "c"});
    kill(getpid(), SIGHUP);
    usleep(50000);
    EXPECT_EQ(error_of(changes->commit(FailurePolicy::kAllOrNothing)), "");
  });
  EXPECT_EQ(status, 0);
  expect_all("new");
}

TEST_F(ChangingManyFiles, LeavesSignalsAsTheyWere) {
  sigset_t before;
  sigset_t after;
  pthread_sigmask(SIG_BLOCK, nullptr, &before);
  files().begin_changes().reset();
  pthread_sigmask(SIG_BLOCK, nullptr, &after);
  for (int signal = 1; signal < NSIG; ++signal) EXPECT_EQ(sigismember(&before, signal), sigismember(&after, signal));
}

TEST_F(ChangingManyFiles, KeepsPlaintextInMemoryWithoutUnnamedFiles) {
  const int status = in_child([&] {
    if (!testing::refuse_tmpfile()) _exit(77);
    auto changes = files().begin_changes();
    add(*changes, {"a", "b", "c"}, true);
    EXPECT_THAT(names(), ElementsAre("a", "b", "c"));
    EXPECT_EQ(error_of(changes->commit(FailurePolicy::kAllOrNothing)), "");
  });
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "SKIPPED, NOT PASSED: no seccomp filter";
  EXPECT_EQ(status, 0);
  expect_all("new");
  EXPECT_THAT(names(), ElementsAre("a", "b", "c"));
}

// As NFS (no exchange of names) and FAT (no links either).
TEST_F(ChangingManyFiles, WorksWhereNamesCannotBeExchanged) {
  for (const bool has_links : {true, false}) {
    for (const bool fails : {true, false}) {
      const int status = in_child([&] {
        if (!testing::refuse_exchange(!has_links)) _exit(77);
        auto changes = files().begin_changes();
        add(*changes, {"a", "b", "c"});
        if (fails) {
          EXPECT_TRUE(changes->add(3, {.path = at("late"), .content = as_bytes("n"), .expected = std::nullopt}));
          EXPECT_TRUE(
              changes->add(4, {.path = folder_ + "/./late", .content = as_bytes("m"), .expected = std::nullopt}));
        }
        EXPECT_EQ(error_of(changes->commit(FailurePolicy::kAllOrNothing)).empty(), !fails);
      });
      if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "SKIPPED, NOT PASSED: no seccomp filter";
      EXPECT_EQ(status, 0);
      expect_all(fails ? "old" : "new");
      EXPECT_THAT(names(), ElementsAre("a", "b", "c"));
      for (const char* name : {"a", "b", "c"}) put(at(name), std::string("old ") + name);
    }
  }
}

TEST_F(ChangingManyFiles, HoldsPlaintextOfMoreFilesThanThereAreDescriptors) {
  const int status = in_child([&] {
    const rlimit few{.rlim_cur = 150, .rlim_max = 150};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    auto changes = files().begin_changes();
    for (size_t i = 0; i < 300; ++i) {
      EXPECT_TRUE(changes->add(i, {.path = at("many" + std::to_string(i)),
                                   .content = as_bytes("x"),
                                   .is_secret = true,
                                   .expected = std::nullopt}));
    }
    EXPECT_EQ(error_of(changes->commit(FailurePolicy::kAllOrNothing)), "");
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(names().size(), 303u);
}

TEST_F(ChangingManyFiles, WritesInPlaceWhereTheDirectoryIsReadOnly) {
  if (geteuid() != 0) GTEST_SKIP() << "SKIPPED, NOT PASSED: needs root";
  chmod(at("a").c_str(), 0666);
  chmod(folder_.c_str(), 0755);
  const int status = in_child([&] {
    EXPECT_EQ(setresuid(65534, 65534, 65534), 0);
    auto changes = files().begin_changes();
    add(*changes, {"a"});
    const auto done = changes->commit(FailurePolicy::kAllOrNothing);
    EXPECT_EQ(error_of(done), "");
    EXPECT_EQ(done && (*done)[0].method == ReplaceMethod::kInPlace, true);
    const auto added = changes->add(1, {.path = at("b"), .content = as_bytes("x"), .expected = std::nullopt});
    EXPECT_FALSE(added);  // the file itself may not be written
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(slurp(at("a")), "new a");
}

TEST_F(ChangingManyFiles, ChangesNothingOnAFullDisk) {
  if (geteuid() != 0) GTEST_SKIP() << "SKIPPED, NOT PASSED: needs root";
  const int status = in_child([&] {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(77);
    if (mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=64k") != 0) _exit(77);
    for (const char* name : {"a", "b"}) put(at(name), "old");
    const std::string large(40 << 10, 'x');
    for (const bool is_secret : {false, true}) {
      auto changes = files().begin_changes();
      EXPECT_TRUE(changes->add(
          0, {.path = at("a"), .content = as_bytes(large), .is_secret = is_secret, .expected = std::nullopt}));
      const auto added = changes->add(
          1, {.path = at("b"), .content = as_bytes(large), .is_secret = is_secret, .expected = std::nullopt});
      EXPECT_FALSE(added);
      EXPECT_THAT(to_string(added.error()), HasSubstr("no space left"));
      changes.reset();
      EXPECT_EQ(slurp(at("a")) + slurp(at("b")), "oldold");
      EXPECT_THAT(names(), ElementsAre("a", "b"));
    }
  });
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "SKIPPED, NOT PASSED: no mount namespace";
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace sops
