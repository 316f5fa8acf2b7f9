// SPDX-License-Identifier: MPL-2.0
//
// The real outside world against the real kernel, so these tests do touch the disk. What needs root, a mount or a tool
// says so when it is skipped. The other judge is always the kernel or a program of the system (stat, getfacl, sh, cat).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <stop_token>
#include <thread>

#include "sys/real.h"
#include "tests/support/no_tmpfile.h"

namespace sops {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr uid_t kNobody = 65534;

Services& services() {
  static RealServices real;
  return real.get();
}

void put(const std::string& path, std::string_view text) { std::ofstream(path, std::ios::binary) << text; }

std::string slurp(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

struct stat status_of(const std::string& path) {
  struct stat status{};
  EXPECT_EQ(lstat(path.c_str(), &status), 0) << path;
  return status;
}

mode_t mode_of(const std::string& path) { return status_of(path).st_mode & 07777; }

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  while (const size_t count = fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, count);
  pclose(pipe);
  return text;
}

bool has_tool(const std::string& name) { return std::system(("command -v " + name + " >/dev/null 2>&1").c_str()) == 0; }

// "renamed", "in place", "direct" or the error as a person would see it.
std::string replace(const std::string& path, std::string_view content, const Files::ReplaceOptions& options = {}) {
  const auto method = services().files.replace(path, as_bytes(content), options);
  if (!method) {
    EXPECT_EQ(method.error().exit_status, ExitStatus::kCannotWriteOutput);
    return to_string(method.error());
  }
  const char* names[] = {"renamed", "in place", "direct"};
  return names[static_cast<int>(*method)];
}

// Runs `body` in a process of its own, which may change its user, its mounts and its limits. Expectations in it count.
// Returns why it was skipped, which `body` says by returning a reason.
std::string in_child(const std::function<std::string()>& body) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    const std::string reason = body();
    std::fflush(nullptr);
    const ssize_t ignored = write(ends[1], reason.data(), reason.size());
    static_cast<void>(ignored);
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  close(ends[1]);
  std::string reason;
  char buffer[512];
  for (ssize_t count; (count = read(ends[0], buffer, sizeof buffer)) > 0;)
    reason.append(buffer, static_cast<size_t>(count));
  close(ends[0]);
  int status = -1;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0) << "an expectation failed in the child, see above";
  return reason;
}

#define IN_CHILD(...)                                                                 \
  do {                                                                                \
    const std::string skip_reason = in_child(__VA_ARGS__);                            \
    if (!skip_reason.empty()) GTEST_SKIP() << "SKIPPED, NOT PASSED: " << skip_reason; \
  } while (false)

void become_nobody() {
  if (geteuid() != 0) return;  // an ordinary user already
  EXPECT_EQ(setgroups(0, nullptr), 0);
  EXPECT_EQ(setresgid(kNobody, kNobody, kNobody), 0);
  EXPECT_EQ(setresuid(kNobody, kNobody, kNobody), 0);
}

#define NEEDS_ROOT() \
  if (geteuid() != 0) GTEST_SKIP() << "SKIPPED, NOT PASSED: needs root"

class Replacing : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sops-sys-test-XXXXXX";
    directory_ = mkdtemp(name);
    chmod(directory_.c_str(), 0755);
    umask(022);
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string in(const std::string& name) const { return directory_ + "/" + name; }

  // A private tmpfs at in("mount"), in a mount namespace of this process only. Returns why that is not possible.
  std::string mount_tmpfs(const char* options) const {
    if (unshare(CLONE_NEWNS) != 0) return "needs a mount namespace of its own (root)";
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "mounts cannot be made private";
    mkdir(in("mount").c_str(), 0777);
    if (mount("tmpfs", in("mount").c_str(), "tmpfs", 0, options) != 0) return "mounting a tmpfs is not allowed";
    return "";
  }

  std::string directory_;
};

// --- Files::replace -------------------------------------------------------------------------------------------------

TEST_F(Replacing, PutsANewFileUnderTheOldName) {
  put(in("a.yaml"), "old");
  const ino_t old_inode = status_of(in("a.yaml")).st_ino;
  const int reader = open(in("a.yaml").c_str(), O_RDONLY);
  EXPECT_EQ(replace(in("a.yaml"), "new"), "renamed");
  EXPECT_EQ(slurp(in("a.yaml")), "new");
  EXPECT_NE(status_of(in("a.yaml")).st_ino, old_inode);
  char seen[8] = {};
  EXPECT_EQ(read(reader, seen, sizeof seen), 3);  // who has the old file open still sees all of it
  EXPECT_STREQ(seen, "old");
  close(reader);
  EXPECT_THAT(names_in(directory_), ElementsAre("a.yaml"));
}

TEST_F(Replacing, WritesContentOfEverySize) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4096}, size_t{3} << 20}) {
    const std::string content(size, 'x');
    EXPECT_EQ(replace(in("f"), content), "renamed");
    EXPECT_EQ(slurp(in("f")), content);
  }
}

TEST_F(Replacing, WorksWithRelativeNamesAndOddOnes) {
  const fs::path before = fs::current_path();
  fs::current_path(directory_);
  for (const std::string& name : {std::string("a"), std::string("-"), std::string("with space\n"),
                                  std::string(255, 'n'), std::string("./x"), std::string("\xc3\xa4\xc3\xb6")}) {
    EXPECT_EQ(replace(name, "1"), "renamed");
    EXPECT_EQ(replace(name, "2"), "renamed");
    EXPECT_EQ(slurp(name), "2");
  }
  fs::current_path(before);
  EXPECT_EQ(names_in(directory_).size(), 6u);
}

TEST_F(Replacing, KeepsModeAndAttributes) {
  put(in("f"), "old");
  chmod(in("f").c_str(), 02751);
  ASSERT_EQ(setxattr(in("f").c_str(), "user.note", "hello", 5, 0), 0) << "no extended attributes on /tmp";
  EXPECT_EQ(replace(in("f"), "new"), "renamed");
  EXPECT_EQ(mode_of(in("f")), 02751u);
  char value[16] = {};
  EXPECT_EQ(getxattr(in("f").c_str(), "user.note", value, sizeof value), 5);
  EXPECT_STREQ(value, "hello");
}

TEST_F(Replacing, KeepsTheOwner) {
  NEEDS_ROOT();
  put(in("f"), "old");
  ASSERT_EQ(chown(in("f").c_str(), 12345, 23456), 0);
  chmod(in("f").c_str(), 0460);
  EXPECT_EQ(replace(in("f"), "new"), "renamed");
  EXPECT_EQ(status_of(in("f")).st_uid, 12345u);
  EXPECT_EQ(status_of(in("f")).st_gid, 23456u);
  EXPECT_EQ(mode_of(in("f")), 0460u);
}

TEST_F(Replacing, KeepsTheAcl) {
  if (!has_tool("setfacl")) GTEST_SKIP() << "SKIPPED, NOT PASSED: needs setfacl";
  put(in("f"), "old");
  ASSERT_EQ(std::system(("setfacl -m u:nobody:rw,g:daemon:r,m::rw '" + in("f") + "'").c_str()), 0);
  const std::string before = output_of("getfacl -cp '" + in("f") + "'");
  ASSERT_THAT(before, HasSubstr("user:nobody:rw-"));
  EXPECT_EQ(replace(in("f"), "new"), "renamed");
  EXPECT_EQ(output_of("getfacl -cp '" + in("f") + "'"), before);
}

TEST_F(Replacing, GivesAnOldFileNoAclOfItsDirectoryButANewFile) {
  if (!has_tool("setfacl")) GTEST_SKIP() << "SKIPPED, NOT PASSED: needs setfacl";
  put(in("f"), "old");
  ASSERT_EQ(std::system(("setfacl -d -m u:nobody:rw '" + directory_ + "'").c_str()), 0);
  const std::string before = output_of("getfacl -cp '" + in("f") + "'");
  EXPECT_EQ(replace(in("f"), "new"), "renamed");
  EXPECT_EQ(output_of("getfacl -cp '" + in("f") + "'"), before);

  EXPECT_EQ(replace(in("fresh"), "new"), "renamed");
  put(in("by somebody else"), "x");
  EXPECT_EQ(output_of("getfacl -cp '" + in("fresh") + "'"), output_of("getfacl -cp '" + in("by somebody else") + "'"));
}

TEST_F(Replacing, MakesNewFilesWithTheUmaskOrPrivate) {
  umask(027);
  EXPECT_EQ(replace(in("open"), "x"), "renamed");
  EXPECT_EQ(replace(in("private"), "x", {.is_private = true}), "renamed");
  umask(022);
  EXPECT_EQ(mode_of(in("open")), 0640u);
  EXPECT_EQ(mode_of(in("private")), 0600u);
  EXPECT_THAT(names_in(directory_), ElementsAre("open", "private"));
}

TEST_F(Replacing, FollowsSymbolicLinksAndLeavesThem) {
  mkdir(in("sub").c_str(), 0755);
  put(in("sub/target"), "old");
  fs::create_symlink("sub/target", in("relative"));
  fs::create_symlink(in("sub/target"), in("absolute"));
  fs::create_symlink("../relative", in("sub/chain"));
  for (const char* link : {"relative", "absolute", "sub/chain"}) {
    const fs::path text = fs::read_symlink(in(link));
    EXPECT_EQ(replace(in(link), link), "renamed");
    EXPECT_EQ(slurp(in("sub/target")), link);
    EXPECT_EQ(fs::read_symlink(in(link)), text);
  }
  EXPECT_TRUE(S_ISREG(status_of(in("sub/target")).st_mode));
  EXPECT_THAT(names_in(in("sub")), ElementsAre("chain", "target"));
  EXPECT_THAT(names_in(directory_), ElementsAre("absolute", "relative", "sub"));
}

TEST_F(Replacing, MakesTheTargetOfADanglingLink) {
  mkdir(in("sub").c_str(), 0755);
  fs::create_symlink("sub/missing", in("link"));
  EXPECT_EQ(replace(in("link"), "new"), "renamed");
  EXPECT_EQ(slurp(in("sub/missing")), "new");
  EXPECT_EQ(fs::read_symlink(in("link")), "sub/missing");
}

TEST_F(Replacing, RefusesALoopOfLinks) {
  fs::create_symlink("b", in("a"));
  fs::create_symlink("a", in("b"));
  EXPECT_EQ(replace(in("a"), "x"), "cannot write " + in("a") + ": too many levels of symbolic links");
}

// The kernel refuses to follow a link that somebody else put into /tmp (proc_sys_fs(5), protected_symlinks). Following
// links by hand must not get around that.
TEST_F(Replacing, DoesNotFollowALinkThatTheKernelWouldNot) {
  NEEDS_ROOT();
  if (slurp("/proc/sys/fs/protected_symlinks") != "1\n")
    GTEST_SKIP() << "SKIPPED, NOT PASSED: fs.protected_symlinks is off";
  put(in("victim"), "old");
  mkdir(in("tmp").c_str(), 0777);
  chmod(in("tmp").c_str(), 01777);
  fs::create_symlink(in("victim"), in("tmp/link"));
  fs::create_symlink(in("fresh"), in("tmp/dangling"));
  ASSERT_EQ(lchown(in("tmp/link").c_str(), kNobody, kNobody), 0);
  ASSERT_EQ(lchown(in("tmp/dangling").c_str(), kNobody, kNobody), 0);
  EXPECT_EQ(replace(in("tmp/link"), "x"), "cannot write " + in("tmp/link") + ": permission denied");
  EXPECT_EQ(replace(in("tmp/dangling"), "x"), "cannot write " + in("tmp/dangling") + ": permission denied");
  EXPECT_EQ(slurp(in("victim")), "old");
  EXPECT_FALSE(fs::exists(in("fresh")));
}

TEST_F(Replacing, WritesInPlaceWhereTheFileHasAnotherName) {
  put(in("a"), "a longer old text");
  fs::create_hard_link(in("a"), in("b"));
  for (const char* text : {"short", "", "and now a text that is longer than the first one was"}) {
    EXPECT_EQ(replace(in("a"), text), "in place");
    EXPECT_EQ(slurp(in("a")), text);
    EXPECT_EQ(slurp(in("b")), text);
  }
  EXPECT_THAT(names_in(directory_), ElementsAre("a", "b"));
}

TEST_F(Replacing, WritesInPlaceWhereTheDirectoryIsReadOnly) {
  mkdir(in("sub").c_str(), 0755);
  put(in("sub/f"), "old text");
  chmod(in("sub/f").c_str(), 0666);
  chmod(in("sub").c_str(), 0555);
  IN_CHILD([&]() -> std::string {
    become_nobody();
    EXPECT_EQ(replace(in("sub/f"), "new"), "in place");
    EXPECT_EQ(replace(in("sub/fresh"), "new"), "cannot write " + in("sub/fresh") + ": permission denied");
    return "";
  });
  EXPECT_EQ(slurp(in("sub/f")), "new");
  chmod(in("sub").c_str(), 0755);
  EXPECT_THAT(names_in(in("sub")), ElementsAre("f"));
}

TEST_F(Replacing, WritesInPlaceWhereTheOwnerCouldNotBeKept) {
  NEEDS_ROOT();
  put(in("f"), "old");
  chmod(in("f").c_str(), 0666);
  chmod(directory_.c_str(), 0777);
  IN_CHILD([&]() -> std::string {
    become_nobody();
    EXPECT_EQ(replace(in("f"), "new"), "in place");
    return "";
  });
  EXPECT_EQ(slurp(in("f")), "new");
  EXPECT_EQ(status_of(in("f")).st_uid, 0u);
  EXPECT_THAT(names_in(directory_), ElementsAre("f"));
}

TEST_F(Replacing, RespectsTheModeOfAFile) {
  put(in("f"), "old");
  chmod(in("f").c_str(), 0444);
  chmod(directory_.c_str(), 0777);
  if (geteuid() == 0) {
    ASSERT_EQ(chown(in("f").c_str(), kNobody, kNobody), 0);
  }
  IN_CHILD([&]() -> std::string {
    become_nobody();
    const auto result = services().files.replace(in("f"), as_bytes("new"), {});
    EXPECT_FALSE(result);
    if (result) return "";
    EXPECT_EQ(result.error().code, ErrorCode::kDenied);
    EXPECT_EQ(result.error().message, "cannot write " + in("f") + ": permission denied");
    EXPECT_EQ(result.error().hint, "check the permissions of the file and of its directory");
    return "";
  });
  EXPECT_EQ(slurp(in("f")), "old");
}

TEST_F(Replacing, CanWriteAFileThatItMayNotRead) {
  put(in("f"), "old");
  chmod(in("f").c_str(), 0200);
  chmod(directory_.c_str(), 0777);
  if (geteuid() == 0) {
    ASSERT_EQ(chown(in("f").c_str(), kNobody, kNobody), 0);
  }
  IN_CHILD([&]() -> std::string {
    become_nobody();
    EXPECT_THAT(replace(in("f"), "new"), ::testing::AnyOf("renamed", "in place"));
    return "";
  });
  chmod(in("f").c_str(), 0600);
  EXPECT_EQ(slurp(in("f")), "new");
}

// PR_SET_DUMPABLE 0, which harden_process() sets, gives /proc/self to root.
TEST_F(Replacing, WorksForAnOrdinaryUserInAHardenedProcess) {
  chmod(directory_.c_str(), 0777);
  IN_CHILD([&]() -> std::string {
    become_nobody();
    harden_process();
    EXPECT_EQ(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    EXPECT_EQ(replace(in("f"), "1"), "renamed");
    EXPECT_EQ(replace(in("f"), "2"), "renamed");
    return "";
  });
  EXPECT_EQ(slurp(in("f")), "2");
  EXPECT_THAT(names_in(directory_), ElementsAre("f"));
}

TEST_F(Replacing, WritesInPlaceOverABindMount) {
  put(in("source"), "old");
  put(in("f"), "under the mount");
  IN_CHILD([&]() -> std::string {
    const std::string problem = mount_tmpfs("size=64k");
    if (!problem.empty()) return problem;
    // From the same file system, where only the rename tells, and from another one.
    for (const std::string& source : {in("source"), in("mount/source")}) {
      put(source, "old");
      if (mount(source.c_str(), in("f").c_str(), nullptr, MS_BIND, nullptr) != 0) return "bind mounts are not allowed";
      EXPECT_EQ(replace(in("f"), "new"), "in place");
      EXPECT_EQ(slurp(in("f")), "new");
      EXPECT_EQ(slurp(source), "new");
      EXPECT_EQ(umount(in("f").c_str()), 0);
    }
    EXPECT_THAT(names_in(directory_), ElementsAre("f", "mount", "source"));
    return "";
  });
  EXPECT_EQ(slurp(in("f")), "under the mount");
}

TEST_F(Replacing, LeavesTheOldFileAndNoOtherOnAFullDisk) {
  for (const bool has_tmpfile : {true, false}) {
    IN_CHILD([&]() -> std::string {
      const std::string problem = mount_tmpfs("size=64k");
      if (!problem.empty()) return problem;
      if (!has_tmpfile && !sops::testing::refuse_tmpfile()) return "needs seccomp";
      const std::string old(20 << 10, 'o');
      put(in("mount/f"), old);
      put(in("mount/linked"), old);
      fs::create_hard_link(in("mount/linked"), in("mount/second name"));
      const std::string large(100 << 10, 'n');
      for (const char* name : {"f", "linked", "fresh"}) {
        const auto result = services().files.replace(in("mount/") + name, as_bytes(large), {});
        EXPECT_FALSE(result) << name;
        if (result) return "";
        EXPECT_EQ(result.error().code, ErrorCode::kIo);
        EXPECT_EQ(result.error().message, "cannot write " + in("mount/") + name + ": no space left on device");
        EXPECT_EQ(result.error().hint, "make room on the file system; the file itself has not been changed");
      }
      EXPECT_EQ(slurp(in("mount/f")), old);
      EXPECT_EQ(slurp(in("mount/linked")), old);
      EXPECT_THAT(names_in(in("mount")), ElementsAre("f", "linked", "second name"));
      // What was reserved in vain was given back: there is room for what fits.
      EXPECT_EQ(replace(in("mount/f"), std::string(16 << 10, 'n')), "renamed");
      return "";
    });
  }
}

TEST_F(Replacing, ChecksTheLimitOfFileSizesBeforeWritingInPlace) {
  put(in("a"), "old");
  fs::create_hard_link(in("a"), in("b"));
  IN_CHILD([&]() -> std::string {
    const rlimit limit{1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    EXPECT_EQ(replace(in("a"), std::string(1001, 'x')), "cannot write " + in("a") + ": file too large");
    EXPECT_EQ(replace(in("a"), std::string(1000, 'x')), "in place");
    return "";
  });
  EXPECT_EQ(slurp(in("b")), std::string(1000, 'x'));
}

TEST_F(Replacing, WorksWithoutUnnamedFiles) {
  put(in("f"), "old");
  chmod(in("f").c_str(), 0640);
  fs::create_symlink("f", in("link"));
  IN_CHILD([&]() -> std::string {
    if (!sops::testing::refuse_tmpfile()) return "needs seccomp";
    EXPECT_EQ(open(directory_.c_str(), O_TMPFILE | O_RDWR, 0600), -1);
    EXPECT_EQ(replace(in("link"), "new"), "renamed");
    umask(027);
    EXPECT_EQ(replace(in("open"), "x"), "renamed");
    EXPECT_EQ(replace(in("private"), "x", {.is_private = true}), "renamed");
    return "";
  });
  EXPECT_EQ(slurp(in("f")), "new");
  EXPECT_EQ(mode_of(in("f")), 0640u);
  EXPECT_EQ(mode_of(in("open")), 0640u);
  EXPECT_EQ(mode_of(in("private")), 0600u);
  EXPECT_THAT(names_in(directory_), ElementsAre("f", "link", "open", "private"));
}

TEST_F(Replacing, WritesDirectlyToDevicesAndPipes) {
  EXPECT_EQ(replace("/dev/null", "x"), "direct");
  EXPECT_TRUE(S_ISCHR(status_of("/dev/null").st_mode));
  EXPECT_EQ(replace("/dev/full", "x"), "cannot write /dev/full: no space left on device");

  ASSERT_EQ(mkfifo(in("fifo").c_str(), 0600), 0);
  const std::string content(300 << 10, 'p');
  std::string received;
  std::thread reader([&] { received = slurp(in("fifo")); });
  EXPECT_EQ(replace(in("fifo"), content), "direct");
  reader.join();
  EXPECT_EQ(received, content);
  EXPECT_TRUE(S_ISFIFO(status_of(in("fifo")).st_mode));
}

TEST_F(Replacing, SurvivesAPipeWhoseReaderLeaves) {
  ASSERT_EQ(mkfifo(in("fifo").c_str(), 0600), 0);
  std::thread reader([&] { close(open(in("fifo").c_str(), O_RDONLY)); });
  EXPECT_EQ(replace(in("fifo"), std::string(1 << 20, 'p')), "cannot write " + in("fifo") + ": broken pipe");
  reader.join();
}

TEST_F(Replacing, ContinuesOurOwnDescriptorsAtTheirPosition) {
  const int file = open(in("log").c_str(), O_CREAT | O_WRONLY, 0600);
  ASSERT_EQ(write(file, "before ", 7), 7);
  EXPECT_EQ(replace(format("/dev/fd/{}", file), "text"), "direct");
  ASSERT_EQ(write(file, " after", 6), 6);
  close(file);
  EXPECT_EQ(slurp(in("log")), "before text after");
  EXPECT_THAT(names_in(directory_), ElementsAre("log"));

  IN_CHILD([&]() -> std::string {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    dup2(ends[1], STDOUT_FILENO);
    EXPECT_EQ(replace("/dev/stdout", "text"), "direct");
    char seen[8] = {};
    EXPECT_EQ(read(ends[0], seen, sizeof seen), 4);
    return "";
  });
}

TEST_F(Replacing, WritesNothingIfTheFileHasChanged) {
  const std::string expected = "what was read";
  const Files::ReplaceOptions options{.expected = as_bytes(expected)};
  for (const std::string& other : {std::string("what was rea"), std::string("what was read."),
                                   std::string("what was reaD"), std::string(""), std::string(200 << 10, 'x')}) {
    put(in("f"), other);
    const auto result = services().files.replace(in("f"), as_bytes("new"), options);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(result.error().message, in("f") + " has changed since it was read; nothing was written");
    EXPECT_EQ(slurp(in("f")), other);
  }
  put(in("f"), expected);
  EXPECT_EQ(replace(in("f"), "new", options), "renamed");
  EXPECT_EQ(slurp(in("f")), "new");
  EXPECT_EQ(replace(in("gone"), "new", options), in("gone") + " has changed since it was read; nothing was written");
  EXPECT_THAT(names_in(directory_), ElementsAre("f"));

  fs::create_hard_link(in("f"), in("g"));
  EXPECT_EQ(replace(in("f"), "newer", options), in("f") + " has changed since it was read; nothing was written");
  EXPECT_EQ(slurp(in("g")), "new");
}

TEST_F(Replacing, RemovesWhatAKilledRunHasLeftAndNothingElse) {
  put(in("f"), "old");
  put(in(".f.sops-tmp-1"), "left behind");
  put(in(".f.sops-tmp-3"), "");
  put(in(".f.sops-tmp-2"), "its maker lives");
  put(in(".g.sops-tmp-1"), "of another file");
  put(in(".f.sops-tmp-12"), "not a name of ours");
  fs::create_symlink("f", in(".f.sops-tmp-4"));
  const int maker = open(in(".f.sops-tmp-2").c_str(), O_RDWR);
  ASSERT_EQ(flock(maker, LOCK_EX), 0);
  EXPECT_EQ(replace(in("f"), "new"), "renamed");
  close(maker);
  EXPECT_THAT(names_in(directory_),
              UnorderedElementsAre("f", ".f.sops-tmp-2", ".f.sops-tmp-4", ".f.sops-tmp-12", ".g.sops-tmp-1"));
  EXPECT_EQ(slurp(in(".f.sops-tmp-2")), "its maker lives");
}

TEST_F(Replacing, LeavesTemporaryFilesOfOthersAlone) {
  NEEDS_ROOT();
  put(in("f"), "old");
  put(in(".f.sops-tmp-1"), "of root");
  chmod(directory_.c_str(), 0777);
  ASSERT_EQ(chown(in("f").c_str(), kNobody, kNobody), 0);
  IN_CHILD([&]() -> std::string {
    become_nobody();
    EXPECT_EQ(replace(in("f"), "new"), "renamed");
    return "";
  });
  EXPECT_THAT(names_in(directory_), UnorderedElementsAre("f", ".f.sops-tmp-1"));
}

TEST_F(Replacing, GivesUpWhenAllPrivateNamesAreInUse) {
  put(in("f"), "old");
  std::vector<int> makers;
  for (int i = 1; i <= 4; ++i) {
    makers.push_back(open(in(format(".f.sops-tmp-{}", i)).c_str(), O_RDWR | O_CREAT, 0600));
    ASSERT_EQ(flock(makers.back(), LOCK_EX), 0);
  }
  EXPECT_EQ(replace(in("f"), "new"), "cannot write " + in("f") + ": other programs keep changing it");
  EXPECT_EQ(slurp(in("f")), "old");
  for (const int maker : makers) close(maker);
  EXPECT_EQ(replace(in("f"), "new"), "renamed");
  EXPECT_THAT(names_in(directory_), ElementsAre("f"));
}

TEST_F(Replacing, ShowsReadersOnlyWholeFilesWhileManyReplace) {
  for (const bool has_tmpfile : {true, false}) {
    IN_CHILD([&]() -> std::string {
      if (!has_tmpfile && !sops::testing::refuse_tmpfile()) return "needs seccomp";
      const auto version = [](int writer) {
        return std::string(10'000 + static_cast<size_t>(writer) * 7'000, static_cast<char>('a' + writer));
      };
      put(in("f"), version(0));
      std::atomic<bool> done = false;
      std::thread reader([&] {
        while (!done) {
          const std::string seen = slurp(in("f"));
          EXPECT_FALSE(seen.empty());
          if (!seen.empty()) {
            EXPECT_EQ(seen, version(seen[0] - 'a'));
          }
        }
      });
      std::vector<std::thread> writers;
      for (int writer = 0; writer < 3; ++writer) {
        writers.emplace_back([&, writer] {
          for (int i = 0; i < 20; ++i) EXPECT_EQ(replace(in("f"), version(writer)), "renamed");
        });
      }
      for (std::thread& writer : writers) writer.join();
      done = true;
      reader.join();
      return "";
    });
    EXPECT_THAT(names_in(directory_), ElementsAre("f"));
  }
}

TEST_F(Replacing, NamesThePathAndTheReason) {
  EXPECT_EQ(replace(directory_, "x"), "cannot write " + directory_ + ": is a directory");
  EXPECT_EQ(replace(directory_ + "/", "x"), "cannot write " + directory_ + "/: is a directory");
  EXPECT_EQ(replace(in("."), "x"), "cannot write " + in(".") + ": is a directory");
  EXPECT_EQ(replace("", "x"), "cannot write : no such file or directory");
  put(in("f"), "old");
  EXPECT_EQ(replace(in("f/"), "x"), "cannot write " + in("f/") + ": not a directory");
  EXPECT_EQ(replace(in("f/g"), "x"), "cannot write " + in("f/g") + ": not a directory");
  const auto missing = services().files.replace(in("no/where"), as_bytes("x"), {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kIo);
  EXPECT_EQ(missing.error().message, "cannot write " + in("no/where") + ": no such file or directory");
  EXPECT_EQ(missing.error().hint, "create the directory first");
}

// --- Files::read and info -------------------------------------------------------------------------------------------

std::string read_text(const std::string& path) {
  const auto bytes = services().files.read(path);
  return bytes ? std::string(bytes->expose_text()) : to_string(bytes.error());
}

using Reading = Replacing;

TEST_F(Reading, GivesFilesOfEverySize) {
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{4095}, size_t{4096}, size_t{65536}, size_t{65537}, size_t{1} << 20}) {
    const std::string content(size, 'x');
    put(in("f"), content);
    EXPECT_EQ(read_text(in("f")), content);
  }
}

TEST_F(Reading, GivesPipesAndFilesThatHideTheirSize) {
  ASSERT_EQ(mkfifo(in("fifo").c_str(), 0600), 0);
  const std::string content(300 << 10, 'p');
  std::thread writer([&] { put(in("fifo"), content); });
  EXPECT_EQ(read_text(in("fifo")), content);
  writer.join();
  EXPECT_THAT(read_text("/proc/self/status"), HasSubstr("VmPeak"));
  EXPECT_EQ(read_text("/dev/null"), "");
}

TEST_F(Reading, GivesStandardInputWhateverItIs) {
  IN_CHILD([&]() -> std::string {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    dup2(ends[0], 0);
    EXPECT_EQ(write(ends[1], "by pipe", 7), 7);
    close(ends[1]);
    EXPECT_EQ(read_text("/dev/stdin"), "by pipe");

    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    dup2(ends[0], 0);
    EXPECT_EQ(write(ends[1], "by socket", 9), 9);
    close(ends[1]);
    EXPECT_EQ(read_text("/dev/stdin"), "by socket");

    put(in("f"), "a file of the parent");
    chmod(in("f").c_str(), 0600);
    const int file = open(in("f").c_str(), O_RDONLY);
    dup2(file, 0);
    become_nobody();
    EXPECT_EQ(read_text("/dev/fd/0"), "a file of the parent");
    return "";
  });
}

TEST_F(Reading, NamesThePathAndTheReason) {
  EXPECT_EQ(read_text(in("no")), "cannot read " + in("no") + ": no such file or directory");
  EXPECT_EQ(read_text(directory_), "cannot read " + directory_ + ": it is a directory");
  EXPECT_EQ(services().files.read(in("no")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(services().files.read(directory_).error().code, ErrorCode::kIo);
  put(in("f"), "secret");
  chmod(in("f").c_str(), 0);
  IN_CHILD([&]() -> std::string {
    become_nobody();
    EXPECT_EQ(read_text(in("f")), "cannot read " + in("f") + ": permission denied");
    EXPECT_EQ(services().files.read(in("f")).error().code, ErrorCode::kDenied);
    return "";
  });
}

TEST_F(Reading, RefusesWhatIsTooLargeBeforeReadingIt) {
  put(in("f"), "");
  ASSERT_EQ(truncate(in("f").c_str(), off_t{0xfffffff1}), 0);
  const auto bytes = services().files.read(in("f"));
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(bytes.error().message, "cannot read " + in("f") + ": it is larger than 4294967280 bytes");
}

TEST_F(Reading, TellsWhatIsThere) {
  put(in("f"), "12345");
  chmod(in("f").c_str(), 0640);
  fs::create_symlink("f", in("link"));
  fs::create_symlink("missing", in("dangling"));
  const auto file = services().files.info(in("link"));
  ASSERT_TRUE(file && *file);
  EXPECT_EQ((*file)->kind, FileInfo::Kind::kRegular);
  EXPECT_EQ((*file)->size, 5u);
  EXPECT_EQ((*file)->mode, 0640u);
  EXPECT_EQ((*file)->owner, geteuid());
  EXPECT_EQ((*file)->inode, status_of(in("f")).st_ino);
  EXPECT_EQ((*file)->device, status_of(in("f")).st_dev);
  EXPECT_EQ((*services().files.info(directory_))->kind, FileInfo::Kind::kDirectory);
  EXPECT_EQ((*services().files.info("/dev/null"))->kind, FileInfo::Kind::kOther);
  for (const char* missing : {"no", "dangling"}) {
    const auto nothing = services().files.info(in(missing));
    ASSERT_TRUE(nothing);
    EXPECT_FALSE(*nothing);
  }
  EXPECT_FALSE(services().files.info(in("f/g")));  // cli.md 1.6: only "not found" is missing
}

// --- Processes ------------------------------------------------------------------------------------------------------

// The output of a shell command, or the error.
std::string shell(const std::string& command, RunOptions options = {}) {
  options.arguments = {"sh", "-c", command};
  const auto result = services().processes.run(options);
  return result ? std::string(result->output.expose_text()) : to_string(result.error());
}

double seconds_of(const std::function<void()>& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

TEST(Processes, FeedAndDrainAtTheSameTime) {
  const std::string input(3 << 20, 'i');
  RunOptions options;
  options.arguments = {"cat"};
  options.input = as_bytes(input);
  const auto result = services().processes.run(options);
  ASSERT_TRUE(result) << to_string(result.error());
  EXPECT_EQ(result->status, 0);
  EXPECT_TRUE(result->output.expose_text() == input);
}

TEST(Processes, TellHowAChildEnded) {
  RunOptions options;
  options.arguments = {"sh", "-c", "exit 7"};
  EXPECT_EQ(services().processes.run(options)->status, 7);
  options.arguments = {"sh", "-c", "kill -9 $$"};
  EXPECT_EQ(services().processes.run(options)->status, 128 + 9);
}

TEST(Processes, TakeArgumentsAsTheyAre) {
  RunOptions options;
  options.arguments = {"printf", "%s|", "a b", "$HOME", "*", "", "'"};
  EXPECT_EQ(services().processes.run(options)->output.expose_text(), "a b|$HOME|*||'|");
}

TEST(Processes, GiveAChildNothingButItsStreams) {
  const int open_on_purpose = open("/dev/null", O_RDONLY);  // not close-on-exec
  // Only what the shell has built in, which opens nothing.
  EXPECT_EQ(shell("i=0; while [ $i -lt 64 ]; do [ -e /proc/$$/fd/$i ] && echo -n \"$i \"; i=$((i+1)); done"), "0 1 2 ");
  EXPECT_EQ(shell("readlink /proc/$$/fd/0 /proc/$$/fd/2"), "/dev/null\n/dev/null\n");
  close(open_on_purpose);
}

TEST(Processes, GiveAChildDefaultSignals) {
  IN_CHILD([]() -> std::string {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGCHLD, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    RunOptions options;
    options.arguments = {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"};
    const auto result = services().processes.run(options);
    EXPECT_TRUE(result);
    // The C library's own signals 32 and 33, which no program can use, are ignored by what it spawns.
    if (result) {
      EXPECT_THAT(std::string(result->output.expose_text()),
                  ::testing::MatchesRegex("SigBlk:\t0+\nSigIgn:\t0+(180000000)?\n"));
    }
    return "";
  });
}

TEST(Processes, WorkWithClosedStandardStreams) {
  IN_CHILD([]() -> std::string {
    close(0);
    close(1);
    const std::string input = "text";
    EXPECT_EQ(shell("cat", {.input = as_bytes(input)}), "text");
    return "";
  });
}

TEST(Processes, PassEnvironmentOn) {
  setenv("SOPS_SYS_TEST_KEPT", "kept", 1);
  setenv("SOPS_SYS_TEST_CHANGED", "old", 1);
  EXPECT_EQ(shell("echo $SOPS_SYS_TEST_KEPT $SOPS_SYS_TEST_CHANGED $SOPS_SYS_TEST_NEW",
                  {.extra_environment = {{"SOPS_SYS_TEST_CHANGED", "changed"}, {"SOPS_SYS_TEST_NEW", "a=b"}}}),
            "kept changed a=b\n");
}

TEST(Processes, SurviveAChildThatDoesNotReadItsInput) {
  const std::string input(1 << 20, 'i');
  EXPECT_EQ(shell("exec <&-; sleep 0.1; echo done", {.input = as_bytes(input)}), "done\n");
}

TEST(Processes, DoNotWaitForAGrandchildThatKeepsThePipe) {
  const double seconds = seconds_of([] { EXPECT_EQ(shell("sleep 20 & echo done"), "done\n"); });
  EXPECT_LT(seconds, 10);
}

TEST(Processes, EndAtTheDeadlineWithAllTheirChildren) {
  char name[] = "/tmp/sops-sys-test-XXXXXX";
  close(mkstemp(name));
  const double seconds = seconds_of([&] {
    EXPECT_EQ(shell(format("sleep 60 & echo $! > {}; wait", name), {.deadline = std::chrono::milliseconds(500)}),
              "sh did not end within 500 ms");
  });
  EXPECT_LT(seconds, 10);
  const std::string grandchild = slurp(name);
  ASSERT_FALSE(grandchild.empty());
  // It is an orphan now; whoever inherits it may not have collected it, but it runs no more.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const std::string state = output_of("ps -o stat= -p " + grandchild.substr(0, grandchild.size() - 1) + " 2>/dev/null");
  EXPECT_TRUE(state.empty() || state[0] == 'Z') << state;
  fs::remove(name);
}

TEST(Processes, StopAChildThatWritesTooMuch) {
  RunOptions options{.output_limit = 1000};
  EXPECT_EQ(shell("head -c 1000 /dev/zero | tr '\\0' x", options), std::string(1000, 'x'));
  EXPECT_EQ(shell("cat /dev/zero", options), "sh wrote more than 1000 bytes");
}

TEST(Processes, KeepStandardErrorAndAReportIfAsked) {
  RunOptions options{.arguments = {"sh", "-c", "echo out; echo err >&2; echo report >&3; exit 3"},
                     .error_limit = 100,
                     .report_limit = 100};
  const auto result = services().processes.run(options);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 3);
  EXPECT_EQ(result->output.expose_text(), "out\n");
  EXPECT_EQ(result->errors.expose_text(), "err\n");
  EXPECT_EQ(result->report.expose_text(), "report\n");
  EXPECT_EQ(shell("i=0; while [ $i -lt 64 ]; do [ -e /proc/$$/fd/$i ] && echo -n \"$i \"; i=$((i+1)); done",
                  {.report_limit = 100}),
            "0 1 2 3 ");
  EXPECT_EQ(shell("cat /dev/zero >&2", {.error_limit = 10}), "sh wrote more than 10 bytes");
  EXPECT_EQ(shell("cat /dev/zero >&3", {.report_limit = 20}), "sh wrote more than 20 bytes");
}

TEST(Processes, EndWhenTheyAreStopped) {
  std::stop_source source;
  const std::jthread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    source.request_stop();
  });
  const double seconds = seconds_of([&] {
    EXPECT_EQ(shell("sleep 60", {.deadline = std::chrono::seconds(50), .stop = source.get_token()}), "sh was stopped");
  });
  EXPECT_LT(seconds, 20);
  EXPECT_EQ(shell("sleep 60", {.stop = source.get_token()}), "sh was stopped");
}

TEST(Processes, LeaveOutputToTheTerminalIfAsked) {
  IN_CHILD([]() -> std::string {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    EXPECT_EQ(shell("echo out; echo err >&2", {.inherit_terminal = true, .inherit_output = true}), "");
    char seen[16] = {};
    EXPECT_EQ(read(ends[0], seen, sizeof seen), 8);
    EXPECT_STREQ(seen, "out\nerr\n");
    return "";
  });
}

TEST(Processes, AreFoundInPathButNotInTheWorkingDirectory) {
  char name[] = "/tmp/sops-sys-test-XXXXXX";
  const std::string directory = mkdtemp(name);
  put(directory + "/sops-sys-test-program", "#!/bin/sh\necho found\n");
  chmod((directory + "/sops-sys-test-program").c_str(), 0755);
  put(directory + "/not-executable", "#!/bin/sh\n");
  put(directory + "/no-interpreter", "#!/no/such/interpreter\n");
  chmod((directory + "/no-interpreter").c_str(), 0755);
  IN_CHILD([&]() -> std::string {
    const auto run = [](const std::string& program) -> std::string {
      const auto result = services().processes.run({.arguments = {program}});
      if (!result) {
        EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
      }
      return result ? std::string(result->output.expose_text()) : to_string(result.error());
    };
    const std::string refused = "cannot run sops-sys-test-program: PATH finds it in the working directory";
    const std::string missing = "cannot run sops-sys-test-program: there is no such program in PATH";
    EXPECT_EQ(chdir(directory.c_str()), 0);
    EXPECT_EQ(run("sops-sys-test-program"), missing);
    for (const char* path : {".:/usr/bin:/bin", "/usr/bin::/bin", "/usr/bin:/bin:", "/usr/bin:./", ""}) {
      setenv("PATH", path, 1);
      EXPECT_EQ(run("sops-sys-test-program"), refused) << path;
    }
    unsetenv("PATH");
    EXPECT_EQ(run(""), "cannot run : there is no such program in PATH");
    setenv("PATH", ("/no/such:" + directory + ":.").c_str(), 1);
    EXPECT_EQ(run("sops-sys-test-program"), "found\n");
    EXPECT_EQ(run("./sops-sys-test-program"), "found\n");  // asked for by its path
    EXPECT_EQ(run("./no"), "cannot run ./no: there is no such program");
    EXPECT_EQ(run("not-executable"), "cannot run not-executable: there is no such program in PATH");
    EXPECT_EQ(run("no-interpreter"), "cannot run " + directory + "/no-interpreter: its interpreter is missing");
    return "";
  });
  fs::remove_all(directory);
}

// --- Terminal -------------------------------------------------------------------------------------------------------

// A child with a terminal of its own, on which we are the person.
class Asking : public ::testing::Test {
 protected:
  // Runs ask_secret() in the child, which writes "answer:…" or the error to the terminal afterwards.
  void start() {
    std::fflush(nullptr);
    child_ = forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (child_ != 0) return;
    const auto answer = services().terminal.ask_secret("Passphrase: ");
    std::printf("%s\n",
                answer ? ("answer:" + std::string(answer->expose_text())).c_str() : to_string(answer.error()).c_str());
    std::fflush(stdout);
    _exit(0);
  }
  void TearDown() override {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    close(terminal_);
  }

  void type(std::string_view text) {
    ASSERT_EQ(write(terminal_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  // Collects what the terminal shows until `text` has appeared (or ten seconds have passed).
  bool sees(const std::string& text) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (screen_.find(text) == std::string::npos && std::chrono::steady_clock::now() < end) {
      fd_set ready;
      FD_ZERO(&ready);
      FD_SET(terminal_, &ready);
      timeval wait{.tv_sec = 0, .tv_usec = 100'000};
      char buffer[512];
      if (select(terminal_ + 1, &ready, nullptr, nullptr, &wait) <= 0) continue;
      const ssize_t count = read(terminal_, buffer, sizeof buffer);
      if (count <= 0) break;
      screen_.append(buffer, static_cast<size_t>(count));
    }
    return screen_.find(text) != std::string::npos;
  }

  bool echoes() {
    termios state;
    return tcgetattr(terminal_, &state) == 0 && (state.c_lflag & ECHO) != 0;
  }

  pid_t child_ = -1;
  int terminal_ = -1;
  std::string screen_;
};

TEST_F(Asking, TakesALineWithoutShowingIt) {
  start();
  ASSERT_TRUE(sees("Passphrase: "));
  EXPECT_FALSE(echoes());
  type("hunter2\n");
  EXPECT_TRUE(sees("answer:hunter2"));
  EXPECT_EQ(screen_, "Passphrase: \r\nanswer:hunter2\r\n");
  EXPECT_TRUE(echoes());
}

TEST_F(Asking, TakesAnEmptyLine) {
  start();
  ASSERT_TRUE(sees("Passphrase: "));
  type("\n");
  EXPECT_TRUE(sees("answer:\r\n"));
}

TEST_F(Asking, TakesTheEndOfInputForNoAnswer) {
  start();
  ASSERT_TRUE(sees("Passphrase: "));
  type("\x04");
  EXPECT_TRUE(sees("nothing was typed at the terminal"));
  EXPECT_TRUE(echoes());
}

TEST_F(Asking, RestoresEchoWhenASignalEndsIt) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    start();
    screen_.clear();
    ASSERT_TRUE(sees("Passphrase: "));
    const int keeps_the_terminal = open(ptsname(terminal_), O_RDWR | O_NOCTTY);
    if (signal == SIGINT) {
      type("half\x03");  // Ctrl-C
    } else {
      kill(child_, signal);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child_, &status, 0), child_);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), signal);
    EXPECT_TRUE(echoes());
    child_ = -1;
    close(keeps_the_terminal);
    close(terminal_);
  }
}

TEST_F(Asking, RestoresEchoWhileStoppedAndAsksAgain) {
  start();
  ASSERT_TRUE(sees("Passphrase: "));
  kill(child_, SIGTSTP);
  // The child is the leader of a session whose process group is orphaned, where the kernel drops the stop (POSIX,
  // SIGTSTP): what is left to see is that it asks again, without echo, and answers.
  screen_.clear();
  ASSERT_TRUE(sees("Passphrase: "));
  type("again\n");
  EXPECT_TRUE(sees("answer:again"));
  EXPECT_TRUE(echoes());
}

TEST(Terminal, SaysThatThereIsNone) {
  IN_CHILD([]() -> std::string {
    setsid();
    const auto answer = services().terminal.ask_secret("Passphrase: ");
    EXPECT_FALSE(answer);
    if (answer) return "";
    EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(answer.error().message, "there is no terminal to ask on");
    return "";
  });
}

// --- The rest -------------------------------------------------------------------------------------------------------

TEST(Environment, TellsEmptyFromUnset) {
  setenv("SOPS_SYS_TEST", "", 1);
  EXPECT_EQ(services().environment.get("SOPS_SYS_TEST"), "");
  unsetenv("SOPS_SYS_TEST");
  EXPECT_EQ(services().environment.get("SOPS_SYS_TEST"), std::nullopt);
}

// cli.md 3.1.
TEST(Environment, TakesTheWorkingDirectoryFromTheShellIfThatIsTrue) {
  IN_CHILD([]() -> std::string {
    char name[] = "/tmp/sops-sys-test-XXXXXX";
    const std::string directory = mkdtemp(name);
    mkdir((directory + "/real").c_str(), 0755);
    fs::create_symlink("real", directory + "/link");
    EXPECT_EQ(chdir((directory + "/link").c_str()), 0);
    Environment& environment = services().environment;
    setenv("PWD", (directory + "/link").c_str(), 1);
    EXPECT_EQ(environment.working_directory(), directory + "/link");
    for (const char* wrong : {"/", "", ".", "/no/such"}) {
      setenv("PWD", wrong, 1);
      EXPECT_EQ(environment.working_directory(), directory + "/real");
    }
    unsetenv("PWD");
    EXPECT_EQ(environment.working_directory(), directory + "/real");
    fs::remove_all(directory);
    return "";
  });
}

TEST(Random, FillsEveryPartAnew) {
  std::vector<uint8_t> first(1 << 20), second(1 << 20);
  services().random.fill(first);
  services().random.fill(second);
  services().random.fill({});
  // 16 zero bytes, or the same 16 twice, come once in 2^128.
  for (size_t i = 0; i < first.size(); i += 16) {
    const auto piece = [i](const std::vector<uint8_t>& bytes) {
      return std::vector<uint8_t>(&bytes[i], &bytes[i] + 16);
    };
    ASSERT_NE(piece(first), std::vector<uint8_t>(16));
    ASSERT_NE(piece(first), piece(second));
  }
}

TEST(Clock, AgreesWithTheSystem) {
  const auto now = std::chrono::system_clock::to_time_t(services().clock.now());
  EXPECT_LE(std::abs(now - time(nullptr)), 2);
}

TEST(WallClock, WakesUpWhenItIsAskedToEnd) {
  std::stop_source source;
  std::jthread asker([&] { source.request_stop(); });
  const auto before = services().clock.steady_now();
  services().clock.sleep(std::chrono::seconds(60), source.get_token());
  EXPECT_LT(services().clock.steady_now() - before, std::chrono::seconds(30));
}

TEST(FolderLocks, AreHeldByOneAtATime) {
  char folder[] = "/tmp/sops_lock_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  // Another open file, as another process has it.
  const int other = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  const auto refused = services().files.lock_folder(folder, std::chrono::milliseconds(30), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  flock(other, LOCK_UN);
  {
    const auto lock = services().files.lock_folder(folder, std::chrono::milliseconds(30), {});
    ASSERT_TRUE(lock && *lock != nullptr);
    EXPECT_NE(flock(other, LOCK_EX | LOCK_NB), 0);
  }
  EXPECT_EQ(flock(other, LOCK_EX | LOCK_NB), 0);
  close(other);
  EXPECT_EQ(services().files.lock_folder(format("{}/nowhere", folder), {}, {}).error().code, ErrorCode::kNotFound);
  rmdir(folder);
}

TEST(Hardening, ForbidsCoreFilesAndTracing) {
  IN_CHILD([]() -> std::string {
    harden_process();
    rlimit limit{1, 1};
    EXPECT_EQ(getrlimit(RLIMIT_CORE, &limit), 0);
    EXPECT_EQ(limit.rlim_cur, 0u);  // the hard limit stays for the commands of exec-env
    EXPECT_EQ(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    return "";
  });
}

TEST(Hardening, KeepsFilesOffTheNumbersOfClosedStreams) {
  IN_CHILD([]() -> std::string {
    for (int fd = 0; fd < 3; ++fd) close(fd);
    harden_process();
    const int file = open("/dev/null", O_RDONLY);
    char byte = 'x';
    const bool is_above = file > 2;
    const bool out_fails = write(1, &byte, 1) < 0 && errno == EBADF;
    const bool in_fails = read(0, &byte, 1) < 0 && errno == EBADF;
    EXPECT_TRUE(is_above && out_fails && in_fails);  // says nothing (the streams are closed), but counts
    return "";
  });
}

}  // namespace
}  // namespace sops
