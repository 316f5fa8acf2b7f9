// SPDX-License-Identifier: MPL-2.0
#include "core/draft.h"

#include <gtest/gtest.h>

#include "core/decrypt.h"
#include "formats/format.h"
#include "tests/support/fake_services.h"

namespace sops {
namespace {

// The test recipient of tests/golden/keys and its identity.
constexpr std::string_view kRecipient = "age1q2r830vhuuedr3duqxm7tqpu5hhlwem2ylr7kjqlzddx0kdaqa3sq4fdc0";

const std::string kTarget = "/work/prod.yaml";

// A data key and the groups that it is wrapped for.
struct Keys {
  DataKey key;
  Metadata metadata;
};

Keys make_keys(FakeServices& world) {
  Keys keys{.key = DataKey::generate(world.random), .metadata = {}};
  keys.metadata.groups = {{{.source = "age", .fields = {{"recipient", std::string(kRecipient)}, {"enc", "wrapped"}}}}};
  return keys;
}

Draft make_draft() {
  Draft draft{.target = kTarget,
              .base_sha256 = std::string(64, 'a'),
              .made = "2026-01-02T03:04:05Z",
              .reason = "the editor failed",
              .text = SecureBytes::copy_of(std::string_view("a: 1\nb: two\n")),
              .swap_files = {}};
  return draft;
}

// editing.md 2.3.
TEST(Draft, OpensToWhatWasSealedWithoutAnyKeyService) {
  FakeServices world;
  const Keys keys = make_keys(world);
  Draft draft = make_draft();
  draft.keys_shown = true;
  draft.swap_files.push_back({.name = "x.swp", .content = SecureBytes::copy_of(std::string_view("\0\xff swap", 7))});
  draft.swap_files.push_back({.name = "empty", .content = {}});
  const auto sealed = seal_draft(draft, keys.metadata, keys.key, world.services());
  ASSERT_TRUE(sealed) << to_string(sealed.error());
  EXPECT_EQ(sealed->expose_text().find("two"), std::string_view::npos);
  EXPECT_EQ(sealed->expose_text().find("prod"), std::string_view::npos);
  EXPECT_EQ(sealed->expose_text().find("swp"), std::string_view::npos);

  const auto opened = open_draft(sealed->expose_text(), &keys.key, {}, world.services());
  ASSERT_TRUE(opened) << to_string(opened.error());
  EXPECT_EQ(opened->draft.target, kTarget);
  EXPECT_EQ(opened->draft.base_sha256, std::string(64, 'a'));
  EXPECT_EQ(opened->draft.made, "2026-01-02T03:04:05Z");
  EXPECT_EQ(opened->draft.reason, "the editor failed");
  EXPECT_TRUE(opened->draft.keys_shown);
  EXPECT_EQ(opened->draft.text.expose_text(), "a: 1\nb: two\n");
  ASSERT_EQ(opened->draft.swap_files.size(), 2u);
  EXPECT_EQ(opened->draft.swap_files[0].name, "x.swp");
  EXPECT_EQ(opened->draft.swap_files[0].content.expose_text(), std::string_view("\0\xff swap", 7));
  EXPECT_EQ(opened->draft.swap_files[1].content.expose_text(), "");
  EXPECT_EQ(opened->keys.groups.size(), 1u);
  EXPECT_TRUE(world.processes.runs.empty());
}

TEST(Draft, HoldsEmptyTexts) {
  FakeServices world;
  const Keys keys = make_keys(world);
  Draft draft = make_draft();
  draft.text = {};
  draft.base_sha256.clear();
  const auto sealed = seal_draft(draft, keys.metadata, keys.key, world.services());
  ASSERT_TRUE(sealed) << to_string(sealed.error());
  const auto opened = open_draft(sealed->expose_text(), &keys.key, {}, world.services());
  ASSERT_TRUE(opened) << to_string(opened.error());
  EXPECT_TRUE(opened->draft.text.empty());
  EXPECT_TRUE(opened->draft.base_sha256.empty());
}

TEST(Draft, DoesNotOpenWithAnotherKeyOrWhenChanged) {
  FakeServices world;
  const Keys keys = make_keys(world);
  const auto sealed = seal_draft(make_draft(), keys.metadata, keys.key, world.services());
  ASSERT_TRUE(sealed);
  const DataKey other = DataKey::generate(world.random);
  EXPECT_FALSE(open_draft(sealed->expose_text(), &other, {}, world.services()));
  std::string changed(sealed->expose_text());
  changed.replace(changed.find("base_sha256"), 11, "base_sha999");
  EXPECT_FALSE(open_draft(changed, &keys.key, {}, world.services()));
}

TEST(Draft, IsToldFromAnOrdinaryBinaryFile) {
  FakeServices world;
  const auto opened = open_draft(R"({"data": "x"})", nullptr, {}, world.services());
  EXPECT_FALSE(opened);
}

TEST(Draft, IsStoredBelowTheStateFolderFirst) {
  FakeServices world;
  world.environment.set("HOME", "/home/me");
  const SecureBytes sealed = SecureBytes::copy_of(std::string_view("sealed"));
  const std::string folder = "/home/me/.local/state/sops/drafts/" + target_hash(kTarget);
  EXPECT_EQ(*store_draft(kTarget, sealed, world.services()), folder + ".draft");
  EXPECT_EQ(*store_draft(kTarget, sealed, world.services()), folder + "-2.draft");
  EXPECT_EQ(world.files.mode(folder + ".draft"), 0600u);
  EXPECT_EQ(find_drafts(kTarget, world.services()), (std::vector<std::string>{folder + "-2.draft", folder + ".draft"}));
  EXPECT_TRUE(find_drafts("/work/other.yaml", world.services()).empty());

  world.environment.set("XDG_STATE_HOME", "/state");
  EXPECT_EQ(*store_draft(kTarget, sealed, world.services()), "/state/sops/drafts/" + target_hash(kTarget) + ".draft");
}

TEST(Draft, IsStoredBesideTheFileWhereThereIsNoHome) {
  FakeServices world;
  const SecureBytes sealed = SecureBytes::copy_of(std::string_view("sealed"));
  EXPECT_EQ(*store_draft(kTarget, sealed, world.services()), "/work/.prod.yaml.sops-draft");
  EXPECT_EQ(*store_draft(kTarget, sealed, world.services()), "/work/.prod.yaml.sops-draft-2");

  world.environment.set("HOME", "/home/me");
  world.files.break_path("/home/me/.local/state/sops/drafts", ErrorCode::kDenied);
  EXPECT_EQ(*store_draft(kTarget, sealed, world.services()), "/work/.prod.yaml.sops-draft-3");
  EXPECT_EQ(find_drafts(kTarget, world.services()).size(), 3u);

  world.files.break_path("/work/.prod.yaml.sops-draft-4", ErrorCode::kDenied);
  EXPECT_FALSE(store_draft(kTarget, sealed, world.services()));
}

}  // namespace
}  // namespace sops
