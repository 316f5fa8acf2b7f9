// SPDX-License-Identifier: MPL-2.0
//
// Which files a command takes (editing.md 3.3), on a disk in memory.
#include "cli/batch_find.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_services.h"

namespace sops {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FindingFiles : public ::testing::Test {
 protected:
  // "name -> place", with " (why)" for those that are left out.
  std::vector<std::string> find(const std::vector<std::string>& words, const SearchOptions& options) {
    auto found = find_files(words, options, world_.services());
    if (!found) return {to_string(found.error())};
    std::vector<std::string> lines;
    for (const FoundFile& candidate : found->candidates) {
      std::string line = candidate.file.name + " -> " + candidate.place;
      if (!candidate.skip.empty()) line += " (" + candidate.skip + ")";
      if (candidate.error) line += " (" + to_string(*candidate.error) + ")";
      lines.push_back(line);
    }
    remains_ = found->remains;
    return lines;
  }
  std::vector<std::string> find_below(const std::vector<std::string>& words) {
    return find(words, {.recursive = true, .output_dir = "", .config = ""});
  }
  MemoryFiles& files() { return world_.files; }

  FakeServices world_;  // its working directory is /work
  std::vector<std::string> remains_;
};

TEST_F(FindingFiles, TakesThoseOfADirectoryInTheOrderOfTheirPaths) {
  for (const char* path : {"/work/s/z.yaml", "/work/s/b/c.yaml", "/work/s/a.yaml", "/work/s/b.yaml", "/other/x"})
    files().put(path, "");
  EXPECT_THAT(find_below({"s"}),
              ElementsAre("s/a.yaml -> a.yaml", "s/b/c.yaml -> b/c.yaml", "s/b.yaml -> b.yaml", "s/z.yaml -> z.yaml"));
  EXPECT_THAT(find_below({"s/z.yaml", "./s/b/"}), ElementsAre("s/z.yaml -> z.yaml", "./s/b/c.yaml -> c.yaml"));
  EXPECT_THAT(find_below({"."}), ElementsAre("s/a.yaml -> s/a.yaml", "s/b/c.yaml -> s/b/c.yaml", "s/b.yaml -> s/b.yaml",
                                             "s/z.yaml -> s/z.yaml"));
}

TEST_F(FindingFiles, LeavesOutLinksAndWhatIsNotForIt) {
  for (const char* path : {"/work/.git/config", "/work/.sops.yaml", "/work/a", "/work/link", "/work/folder/f",
                           "/work/.a.sops-tmp-1", "/work/out/a", "/work/keys.yaml"})
    files().put(path, "");
  files().mark_link("/work/link");
  files().mark_link("/work/folder");
  EXPECT_THAT(find({"."}, {.recursive = true, .output_dir = "/work/out", .config = "/work/keys.yaml"}),
              ElementsAre("a -> a"));
  EXPECT_THAT(remains_, ElementsAre("/work/a"));
  // What is named is taken all the same.
  EXPECT_THAT(
      find({".sops.yaml", "link", "keys.yaml"}, {.recursive = true, .output_dir = "", .config = "/work/keys.yaml"}),
      ElementsAre(".sops.yaml -> .sops.yaml", "link -> link", "keys.yaml -> keys.yaml"));
}

TEST_F(FindingFiles, TakesAFileOnceWhateverItsNames) {
  files().put("/work/a", "");
  files().put("/work/b", "");
  files().hard_link("/work/b", "/work/a");
  EXPECT_THAT(find_below({"a", "./a", "."}), ElementsAre("a -> a", "./a -> a (the same file as a)",
                                                         "a -> a (the same file as a)", "b -> b (the same file as a)"));
}

TEST_F(FindingFiles, NamesWhatItCannotTake) {
  files().put("/work/s/a", "");
  files().break_path("/work/s/b", ErrorCode::kDenied);
  EXPECT_THAT(find({"s", "missing"}, {.recursive = false, .output_dir = "", .config = ""}),
              ElementsAre("s -> s (this is a directory (s))", "missing -> missing (there is no such file (missing))"));
  EXPECT_THAT(find_below({"s"}), ElementsAre("s/a -> a", HasSubstr("s/b -> b (broken by the test")));
  EXPECT_THAT(find_below({"-"}), ElementsAre("standard input cannot be one of several files"));
}

TEST_F(FindingFiles, IsAsDeepAsTheDirectories) {
  std::string path = "/work";
  for (int i = 0; i < 2000; ++i) path += "/d";
  files().put(path + "/f", "");
  EXPECT_EQ(find_below({"."}).size(), 1u);
}

TEST_F(FindingFiles, EscapesNamesInMessagesOnly) {
  files().put("/work/s/\x1b[31m", "");
  auto found = find_files({"s"}, {.recursive = true, .output_dir = "", .config = ""}, world_.services());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->candidates[0].file.name, "s/\x1b[31m");
  EXPECT_EQ(found->candidates[0].file.input.shown.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace sops
