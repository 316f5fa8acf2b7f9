// SPDX-License-Identifier: MPL-2.0
#include "cli/editor.h"

#include <gtest/gtest.h>

#include "tests/support/fake_services.h"

namespace sops {
namespace {

class EditorTest : public testing::Test {
 protected:
  EditorTest() {
    world_.commands.programs = {{"vim", "/usr/bin/vim.basic"},   {"vi", "/usr/bin/vim.tiny"},
                                {"nano", "/bin/nano"},           {"code", "/opt/code/bin/code"},
                                {"emacs", "/usr/bin/emacs-nox"}, {"emacsclient", "/usr/bin/emacsclient.emacs"},
                                {"nvim", "/usr/bin/nvim"}};
  }
  Editor chosen() {
    auto editor = choose_editor(world_.services());
    EXPECT_TRUE(editor) << to_string(editor.error());
    return editor ? std::move(*editor) : Editor();
  }

  FakeServices world_;
  const EditorFiles files_{.text = "/m/text/f.yaml", .swap = "/m/swap", .recovered = ""};
};

// cli.md 4.4.
TEST_F(EditorTest, TakesTheVariablesInOrder) {
  world_.environment.set("EDITOR", "nano");
  EXPECT_EQ(chosen().words, std::vector<std::string>{"nano"});
  world_.environment.set("SOPS_EDITOR", "code --wait 'a b' # not this");
  EXPECT_EQ(chosen().words, (std::vector<std::string>{"code", "--wait", "a b"}));
  world_.environment.set("SOPS_EDITOR", "");
  EXPECT_EQ(chosen().words, std::vector<std::string>{"nano"});
}

TEST_F(EditorTest, LooksForTheUsualOnes) {
  EXPECT_EQ(chosen().words, std::vector<std::string>{"vim"});
  world_.commands.programs.erase("vim");
  EXPECT_EQ(chosen().words, std::vector<std::string>{"nano"});
  world_.commands.programs.erase("nano");
  EXPECT_EQ(chosen().words, std::vector<std::string>{"vi"});
  world_.commands.programs.erase("vi");
  const auto none = choose_editor(world_.services());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().exit_status, ExitStatus::kEditorFailed);
  EXPECT_EQ(none.error().message, "there is no editor: neither vim nor nano nor vi is in PATH");
}

TEST_F(EditorTest, RefusesWhatNamesNoEditor) {
  for (const char* bad : {"'vim", "vim \\", "  ", "# vim", "''", "no-such-editor"}) {
    world_.environment.set("EDITOR", bad);
    const auto editor = choose_editor(world_.services());
    ASSERT_FALSE(editor) << bad;
    EXPECT_EQ(editor.error().exit_status, ExitStatus::kEditorFailed) << bad;
  }
}

TEST_F(EditorTest, KnowsTheProgramBehindTheName) {
  const auto kind = [&](const char* command) {
    world_.environment.set("EDITOR", command);
    return chosen().kind;
  };
  EXPECT_EQ(kind("vim"), EditorKind::kVim);
  EXPECT_EQ(kind("vi"), EditorKind::kVim);
  EXPECT_EQ(kind("nvim"), EditorKind::kVim);
  EXPECT_EQ(kind("nano -w"), EditorKind::kNano);
  EXPECT_EQ(kind("emacs -nw"), EditorKind::kEmacs);
  EXPECT_EQ(kind("emacsclient"), EditorKind::kOther);
  EXPECT_EQ(kind("code --wait"), EditorKind::kOther);
  world_.commands.programs["vi"] = "/bin/busybox";
  EXPECT_EQ(kind("vi"), EditorKind::kOther);
}

// editing.md 2.2: directed, not switched off.
TEST_F(EditorTest, DirectsSwapFiles) {
  EXPECT_EQ(editor_words({.words = {"vim", "-R"}, .kind = EditorKind::kVim}, files_),
            (std::vector<std::string>{"vim", "-R", "-n", "-i", "NONE", "-c",
                                      "set directory=/m/swap// backupdir=/m/swap noundofile updatecount=20 swapfile",
                                      "/m/text/f.yaml"}));
  EXPECT_EQ(editor_words({.words = {"nano"}, .kind = EditorKind::kNano}, files_),
            (std::vector<std::string>{"nano", "--backupdir=/m/swap", "/m/text/f.yaml"}));
  const auto emacs = editor_words({.words = {"emacs", "-nw", "--"}, .kind = EditorKind::kEmacs}, files_);
  ASSERT_EQ(emacs.size(), 6u);
  EXPECT_EQ(emacs[2], "--eval");
  EXPECT_NE(emacs[3].find("\"/m/swap/\\\\1\" nil"), std::string::npos) << emacs[3];
  EXPECT_EQ(emacs[4], "--");
  EXPECT_EQ(editor_words({.words = {"code", "--wait"}, .kind = EditorKind::kOther}, files_),
            (std::vector<std::string>{"code", "--wait", "/m/text/f.yaml"}));
}

TEST_F(EditorTest, BeginsWithWhatWasRecovered) {
  EditorFiles files = files_;
  files.recovered = "/m/recovered/1.swp";
  const auto words = editor_words({.words = {"vim"}, .kind = EditorKind::kVim}, files);
  EXPECT_EQ(words[5], "silent! recover /m/recovered/1.swp");
  EXPECT_EQ(editor_words({.words = {"nano"}, .kind = EditorKind::kNano}, files).size(), 3u);
}

TEST(SwapFiles, AreToldFromBackups) {
  for (const char* swap : {"%m%text%f.yaml.swp", "x.swo", "a/b.saa", "#f.yaml#", "f.yaml.save", "f.yaml.save.1"})
    EXPECT_TRUE(is_swap_file(swap)) << swap;
  for (const char* other : {"f.yaml~", "f.yaml", "f.sops", "f.yaml.bak", "#f", ""})
    EXPECT_FALSE(is_swap_file(other)) << other;
  EXPECT_TRUE(is_saved_text("#f.yaml#", "f.yaml"));
  EXPECT_TRUE(is_saved_text("f.yaml.save", "f.yaml"));
  EXPECT_FALSE(is_saved_text("%m%text%f.yaml.swp", "f.yaml"));
}

}  // namespace
}  // namespace sops
