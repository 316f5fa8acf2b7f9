// SPDX-License-Identifier: MPL-2.0
#include "cli/session_drafts.h"

#include <gtest/gtest.h>

#include "tests/support/fake_services.h"

namespace sops {
namespace {

const std::string kTarget = "/work/prod.yaml";
const std::string kRecipient = "age1q2r830vhuuedr3duqxm7tqpu5hhlwem2ylr7kjqlzddx0kdaqa3sq4fdc0";

class SessionDraftsTest : public testing::Test {
 protected:
  SessionDraftsTest() {
    world_.environment.set("HOME", "/home/me");
    keys_.groups = {{{.source = "age", .fields = {{"recipient", kRecipient}, {"enc", "wrapped"}}}}};
  }

  // A session folder that holds `text` now and `base` at the beginning, left behind by a killed program.
  std::string abandon(std::string_view base, std::string_view text) {
    auto folder = std::move(*world_.commands.make_session({.name = "one"}));
    const auto filled = fill_session(*folder, {.target = kTarget, .base_sha256 = "5a", .keys = keys_, .key = key_},
                                     SecureBytes::copy_of(base), SecureBytes::copy_of(text), world_.services());
    EXPECT_TRUE(filled) << to_string(filled.error());
    folder->keep();
    world_.commands.abandoned = {folder->path()};
    return folder->path();
  }

  std::vector<OpenedDraft> drafts() {
    std::vector<OpenedDraft> all;
    for (const std::string& path : find_drafts(kTarget, world_.services())) {
      auto opened = open_draft(*world_.files.content(path), &key_, {}, world_.services());
      EXPECT_TRUE(opened) << to_string(opened.error());
      if (opened) all.push_back(std::move(*opened));
    }
    return all;
  }

  FakeServices world_;
  Ui ui_;
  DataKey key_ = DataKey::generate(world_.random);
  Metadata keys_;
};

// editing.md 2.5.
TEST_F(SessionDraftsTest, MakesADraftOfAKilledSession) {
  abandon("a: 1\n", "a: 2\n");
  rescue_abandoned_sessions(world_.services(), ui_);
  const auto found = drafts();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].draft.text.expose_text(), "a: 2\n");
  EXPECT_EQ(found[0].draft.base_sha256, "5a");
  EXPECT_EQ(found[0].draft.reason, "sops was killed");
  EXPECT_TRUE(world_.commands.sessions.empty());
}

TEST_F(SessionDraftsTest, MakesNoneWhereNothingWasTyped) {
  abandon("a: 1\n", "a: 1\n");
  rescue_abandoned_sessions(world_.services(), ui_);
  EXPECT_TRUE(drafts().empty());
  EXPECT_TRUE(world_.commands.sessions.empty());
}

TEST_F(SessionDraftsTest, RemovesAFolderThatWasNeverFilled) {
  const std::string path = abandon("a: 1\n", "a: 2\n");
  world_.commands.sessions[path].erase("start");
  rescue_abandoned_sessions(world_.services(), ui_);
  EXPECT_TRUE(drafts().empty());
  EXPECT_TRUE(world_.commands.sessions.empty());
}

TEST_F(SessionDraftsTest, CarriesSwapFiles) {
  const std::string path = abandon("a: 1\n", "a: 1\n");
  world_.commands.sessions[path]["swap/%x.swp"] = "b0VIM";
  rescue_abandoned_sessions(world_.services(), ui_);
  const auto found = drafts();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].draft.text.expose_text(), "a: 1\n");
  ASSERT_EQ(found[0].draft.swap_files.size(), 1u);
  EXPECT_EQ(found[0].draft.swap_files[0].name, "%x.swp");
}

// nano writes NAME.save when it is ended.
TEST_F(SessionDraftsTest, TakesTheTextThatAnEditorSavedAtItsEnd) {
  const std::string path = abandon("a: 1\n", "a: 1\n");
  world_.commands.sessions[path]["text/prod.yaml.save"] = "a: typed\n";
  rescue_abandoned_sessions(world_.services(), ui_);
  ASSERT_EQ(drafts().size(), 1u);
  EXPECT_EQ(drafts()[0].draft.text.expose_text(), "a: typed\n");
}

TEST_F(SessionDraftsTest, LeavesTheFolderWhereNoDraftCanBeStored) {
  const std::string path = abandon("a: 1\n", "a: 2\n");
  world_.files.break_path("/home/me/.local/state/sops/drafts", ErrorCode::kIo);
  for (int number = 1; number <= 20; ++number) {
    world_.files.break_path("/work/.prod.yaml.sops-draft" + (number == 1 ? "" : "-" + std::to_string(number)),
                            ErrorCode::kDenied);
  }
  rescue_abandoned_sessions(world_.services(), ui_);
  EXPECT_TRUE(world_.commands.sessions.contains(path));
}

TEST_F(SessionDraftsTest, LeavesAFolderThatItCannotUnderstand) {
  const std::string path = abandon("a: 1\n", "a: 2\n");
  world_.commands.sessions[path]["start"] = "nonsense";
  rescue_abandoned_sessions(world_.services(), ui_);
  EXPECT_TRUE(world_.commands.sessions.contains(path));
}

}  // namespace
}  // namespace sops
