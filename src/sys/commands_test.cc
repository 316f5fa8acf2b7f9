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

}  // namespace
}  // namespace sops
