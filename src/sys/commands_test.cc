// SPDX-License-Identifier: MPL-2.0
//
// Private folders and accounts on the real system. What runs commands is tested by tests/cli/exec_*.txtar, because it
// changes the signal mask of its process. Expectations: editing.md 2.1 and 4.4, POSIX.
#include "sys/commands.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "base/text.h"
#include "sys/real.h"

namespace sops {
namespace {

Commands& commands() {
  static RealServices services;
  return services.get().commands;
}

std::unique_ptr<PrivateFolder> folder() {
  auto made = commands().make_folder({.allow_disk = true});
  EXPECT_TRUE(made) << to_string(made.error());
  return std::move(*made);
}

std::string read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

mode_t mode_of(const std::string& path) {
  struct stat status{};
  return stat(path.c_str(), &status) == 0 ? status.st_mode : 0;
}

TEST(PrivateFolder, IsForItsOwnerOnlyAndGoesWithAllThatIsInIt) {
  std::string path;
  {
    const auto made = folder();
    path = made->path();
    EXPECT_EQ(mode_of(path), S_IFDIR | 0700u);
    ASSERT_TRUE(made->write("file", as_bytes("text")));
    EXPECT_EQ(mode_of(path + "/file"), S_IFREG | 0600u);
    EXPECT_EQ(read_whole(path + "/file"), "text");
    EXPECT_FALSE(made->write("file", as_bytes("other")));  // never over what is there
    ASSERT_EQ(mkdir((path + "/below").c_str(), 0700), 0);
    ASSERT_EQ(symlink("/", (path + "/below/link").c_str()), 0);
  }
  EXPECT_EQ(mode_of(path), 0u);
  EXPECT_NE(mode_of("/"), 0u);
}

TEST(PrivateFolder, ServesEveryReaderFromTheBeginning) {
  const std::string content(200'000, 'x');
  const auto made = folder();
  ASSERT_TRUE(made->serve("pipe", as_bytes(content)));
  ASSERT_TRUE(made->serve("empty", {}));
  const std::string pipe = made->path() + "/pipe";
  EXPECT_EQ(mode_of(pipe), S_IFIFO | 0600u);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(read_whole(pipe).size(), content.size()) << i;
  EXPECT_EQ(read_whole(made->path() + "/empty"), "");
  EXPECT_EQ(read_whole(made->path() + "/empty"), "");
}

TEST(PrivateFolder, EndsWithReadersThatStillWait) {
  const std::string content(200'000, 'x');
  const auto made = folder();
  ASSERT_TRUE(made->serve("pipe", as_bytes(content)));
  const std::string pipe = made->path() + "/pipe";
  const int never_reads = open(pipe.c_str(), O_RDONLY | O_CLOEXEC);
  const int leaves_early = open(pipe.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(never_reads, 0);
  ASSERT_GE(leaves_early, 0);
  close(leaves_early);
  EXPECT_EQ(read_whole(pipe).size(), content.size());
  EXPECT_TRUE(made->remove());
  close(never_reads);
}

TEST(PrivateFolder, ServesOnWhenTheNameIsTaken) {
  const auto made = folder();
  ASSERT_TRUE(made->serve("pipe", as_bytes("text")));
  const std::string pipe = made->path() + "/pipe";
  const std::string moved = made->path() + "/moved";
  ASSERT_EQ(rename(pipe.c_str(), moved.c_str()), 0);
  EXPECT_EQ(read_whole(moved), "text");
}

TEST(PrivateFolder, StartedAndStoppedAtOnceDoesNotHang) {
  for (int i = 0; i < 200; ++i) {
    const auto made = folder();
    ASSERT_TRUE(made->serve("pipe", as_bytes("text")));
  }
}

TEST(Accounts, AreThoseOfTheSystem) {
  const auto root = commands().find_user("root");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->user_id, 0u);
  EXPECT_EQ(root->group_id, 0u);
  EXPECT_FALSE(root->home.empty());
  EXPECT_FALSE(root->groups.empty());
  const auto nobody = commands().find_user("no-such-user-here");
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, ErrorCode::kNotFound);
}

// Session folders below a runtime folder of the test's own, so that it meets nobody else's.
class SessionFolderTest : public testing::Test {
 protected:
  SessionFolderTest() {
    char name[] = "/dev/shm/sops-sys-test-XXXXXX";
    runtime_ = mkdtemp(name);
    setenv("XDG_RUNTIME_DIR", runtime_.c_str(), 1);
  }
  ~SessionFolderTest() override {
    unsetenv("XDG_RUNTIME_DIR");
    rmdir(runtime_.c_str());  // works only if nothing is left
  }
  std::unique_ptr<SessionFolder> session() {
    auto made = commands().make_session({.name = "abc"});
    EXPECT_TRUE(made) << to_string(made.error());
    return std::move(*made);
  }
  std::string outer() const { return format("{}/.sops-edit-{}", runtime_, geteuid()); }

  std::string runtime_;
};

// editing.md 2.1.
TEST_F(SessionFolderTest, IsForItsOwnerOnlyAndGoesWithAllThatIsInIt) {
  {
    const auto made = session();
    EXPECT_EQ(made->path(), outer() + "/abc");
    EXPECT_EQ(mode_of(outer()), S_IFDIR | 0700u);
    EXPECT_EQ(mode_of(made->path()), S_IFDIR | 0700u);
    ASSERT_TRUE(made->write("text/name", as_bytes("one")));
    ASSERT_TRUE(made->write("text/name", as_bytes("2")));
    EXPECT_EQ(mode_of(made->path() + "/text/name"), S_IFREG | 0600u);
    EXPECT_EQ(made->read("text/name")->expose_text(), "2");
    ASSERT_TRUE(made->make_folder("text/below"));
    ASSERT_TRUE(made->write("text/below/other", as_bytes("3")));
    ASSERT_EQ(symlink("/etc/passwd", (made->path() + "/text/link").c_str()), 0);
    EXPECT_EQ(made->list("text"), (std::vector<std::string>{"below/other", "name"}));
    EXPECT_TRUE(made->list("nothing").empty());
    EXPECT_FALSE(made->read("text/link"));
    EXPECT_EQ(made->read("text/nothing").error().code, ErrorCode::kNotFound);
    const auto second = session();
    EXPECT_EQ(second->path(), outer() + "/abc-2");
  }
  EXPECT_EQ(mode_of(outer()), 0u);
}

// editing.md 2.5. A lock belongs to an open file, so a second look in this process is as good as another process.
TEST_F(SessionFolderTest, IsFoundWhenItsProgramIsGone) {
  std::string path;
  {
    const auto made = session();
    path = made->path();
    ASSERT_TRUE(made->write("key", as_bytes("x")));
    EXPECT_TRUE(commands().abandoned_sessions().empty()) << "it is in use";
    made->keep();
  }
  EXPECT_EQ(mode_of(path), S_IFDIR | 0700u);
  {
    auto found = commands().abandoned_sessions();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0]->path(), path);
    EXPECT_EQ(found[0]->read("key")->expose_text(), "x");
    EXPECT_TRUE(commands().abandoned_sessions().empty()) << "it was taken";
  }
  EXPECT_EQ(mode_of(outer()), 0u);
}

TEST_F(SessionFolderTest, TrustsNoFolderThatOthersCanEnter) {
  ASSERT_EQ(mkdir(outer().c_str(), 0700), 0);
  ASSERT_EQ(chmod(outer().c_str(), 0770), 0);
  ASSERT_EQ(mkdir((outer() + "/planted").c_str(), 0700), 0);
  EXPECT_TRUE(commands().abandoned_sessions().empty());
  const auto made = session();
  EXPECT_FALSE(made->path().starts_with(runtime_)) << made->path();
  rmdir((outer() + "/planted").c_str());
  rmdir(outer().c_str());
}

TEST_F(SessionFolderTest, RemovesWhatWasLeftEmpty) {
  ASSERT_EQ(mkdir(outer().c_str(), 0700), 0);
  EXPECT_TRUE(commands().abandoned_sessions().empty());
  EXPECT_EQ(mode_of(outer()), 0u);
}

TEST(Commands, FindProgramsAndWhatTheyReallyAre) {
  const auto shell = commands().find_program("sh");
  ASSERT_TRUE(shell);
  EXPECT_TRUE(shell->path.ends_with("/sh"));
  EXPECT_FALSE(shell->real_path.empty());
  EXPECT_EQ(commands().find_program("no-such-program").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace sops
