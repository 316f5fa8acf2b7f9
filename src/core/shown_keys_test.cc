// SPDX-License-Identifier: MPL-2.0
#include "core/shown_keys.h"

#include <gtest/gtest.h>

#include "tests/support/fake_services.h"

namespace sops {
namespace {

// The test recipients of tests/golden/keys.
const std::string kFirst = "age1q2r830vhuuedr3duqxm7tqpu5hhlwem2ylr7kjqlzddx0kdaqa3sq4fdc0";

Metadata stored_metadata() {
  Metadata metadata;
  metadata.groups = {{{.source = "age", .fields = {{"enc", "old"}, {"recipient", kFirst}}}}};
  metadata.lastmodified = "2026-01-02T03:04:05Z";
  metadata.mac = "ENC[mac]";
  metadata.layout = "ENC[layout]";
  metadata.version = "3.9.0";
  metadata.selection = SelectionSettings::standard();
  return metadata;
}

class ShownKeysTest : public testing::Test {
 protected:
  const FormatType& yaml_ = *find_format("yaml");
  FakeServices world_;
  Metadata stored_ = stored_metadata();

  std::string shown(std::string_view plain, const FormatType& format) {
    const auto text = show_keys(plain, format, stored_, {});
    return text ? std::string(text->expose_text()) : to_string(text.error());
  }
  Result<ShownKeys> taken(std::string_view typed) { return take_keys(typed, yaml_, stored_, world_.services()); }
};

// editing.md 2.8: once, in the first document; taking it out gives back the author's text.
TEST_F(ShownKeysTest, ComesAndGoesWithoutATrace) {
  for (std::string_view plain :
       {"a: 1\n", "# c\na: 1  # d\n\nb: [x, y]\n", "a: 1\n---\nb: 2\n", "---\na: 1\n...\n", "a: 1"}) {
    const std::string text = shown(plain, yaml_);
    EXPECT_NE(text.find("sops:"), std::string::npos) << text;
    EXPECT_EQ(text.find("sops:"), text.rfind("sops:"));
    EXPECT_EQ(text.find("layout"), std::string::npos);
    const auto back = taken(text);
    ASSERT_TRUE(back) << to_string(back.error()) << "\n" << text;
    EXPECT_EQ(back->plain.expose_text(), plain);
    EXPECT_TRUE(back->warnings.empty());
    EXPECT_EQ(back->metadata.groups.size(), 1u);
    EXPECT_EQ(field_text(back->metadata.groups[0][0].fields, "enc"), "old");
  }
  for (std::string_view plain : {"{\"a\": 1}\n", "{\n\t\"a\": 1\n}\n", "{}"}) {
    const std::string text = shown(plain, *find_format("json"));
    const auto back = take_keys(text, *find_format("json"), stored_, world_.services());
    ASSERT_TRUE(back) << to_string(back.error()) << "\n" << text;
    EXPECT_EQ(back->plain.expose_text(), plain) << text;
  }
}

TEST_F(ShownKeysTest, IgnoresWhatSopsWritesItself) {
  const auto back =
      taken("a: 1\nsops:\n  age:\n    - recipient: " + kFirst +
            "\n      enc: old\n  mac: mine\n  version: 9.9.9\n  layout: mine\n  unencrypted_suffix: _unencrypted\n");
  ASSERT_TRUE(back) << to_string(back.error());
  EXPECT_EQ(back->warnings.size(), 4u);
  EXPECT_EQ(back->metadata.mac, stored_.mac);
  EXPECT_EQ(back->metadata.version, stored_.version);
  EXPECT_EQ(back->metadata.lastmodified, stored_.lastmodified);
  EXPECT_EQ(back->metadata.layout, "");
}

TEST_F(ShownKeysTest, RefusesATextWithoutKeys) {
  for (std::string_view typed : {"a: 1\n", "a: 1\nsops:\n  mac: x\n", "a: 1\nsops: 5\n", "a: [1\n"}) {
    const auto back = taken(typed);
    ASSERT_FALSE(back) << typed;
    EXPECT_EQ(back.error().exit_status, ExitStatus::kCannotReadInput);
  }
}

TEST_F(ShownKeysTest, WrapsOnlyWhatIsNew) {
  const DataKey key = DataKey::generate(world_.random);
  Metadata edited = stored_;
  const auto same = wrap_changed_keys(edited, stored_, key, world_.services());
  ASSERT_TRUE(same);
  EXPECT_EQ(field_text(same->groups[0][0].fields, "enc"), "old");

  edited.groups[0].push_back({.source = "age", .fields = {{"recipient", kFirst}}});
  const auto added = wrap_changed_keys(edited, stored_, key, world_.services());
  ASSERT_TRUE(added) << to_string(added.error());
  EXPECT_EQ(field_text(added->groups[0][0].fields, "enc"), "old");
  EXPECT_TRUE(field_text(added->groups[0][1].fields, "enc").starts_with("-----BEGIN AGE"));

  edited.groups[0][1].fields["recipient"] = std::string("age1nonsense");
  EXPECT_FALSE(wrap_changed_keys(edited, stored_, key, world_.services()));
}

// An `enc` changed by hand is not believed.
TEST_F(ShownKeysTest, WrapsAnEntryWhoseCiphertextWasChanged) {
  const DataKey key = DataKey::generate(world_.random);
  Metadata edited = stored_;
  edited.groups[0][0].fields["enc"] = std::string("other");
  const auto wrapped = wrap_changed_keys(edited, stored_, key, world_.services());
  ASSERT_TRUE(wrapped);
  EXPECT_TRUE(field_text(wrapped->groups[0][0].fields, "enc").starts_with("-----BEGIN AGE"));
}

TEST_F(ShownKeysTest, GivesEveryGroupAFreshShare) {
  const DataKey key = DataKey::generate(world_.random);
  Metadata edited = stored_;
  edited.groups.push_back({{.source = "age", .fields = {{"recipient", kFirst}}}});
  const auto wrapped = wrap_changed_keys(edited, stored_, key, world_.services());
  ASSERT_TRUE(wrapped) << to_string(wrapped.error());
  EXPECT_NE(field_text(wrapped->groups[0][0].fields, "enc"), "old");
  EXPECT_EQ(wrapped->shamir_threshold, 2);

  // And back: a share is no data key.
  Metadata single = *wrapped;
  single.groups.pop_back();
  single.shamir_threshold = 0;
  const auto again = wrap_changed_keys(single, *wrapped, key, world_.services());
  ASSERT_TRUE(again);
  EXPECT_NE(field_text(again->groups[0][0].fields, "enc"), field_text(wrapped->groups[0][0].fields, "enc"));
}

TEST_F(ShownKeysTest, CountsWhatASettingPutsInTheClear) {
  const std::string_view plain = "a: 1\nb: two\nc: null\nd: ''\n# comment\ne_unencrypted: 3\n";
  const auto count = [&](const SelectionSettings& before, const SelectionSettings& after) {
    return *count_newly_clear(plain, yaml_, before, after);
  };
  const SelectionSettings standard = SelectionSettings::standard();
  EXPECT_EQ(count(standard, standard), 0u);
  EXPECT_EQ(count(standard, {.encrypted_regex = "^b$"}), 2u);  // a, and the comment
  EXPECT_EQ(count({.encrypted_regex = "^b$"}, standard), 0u);
  EXPECT_FALSE(count_newly_clear(plain, yaml_, standard, {.encrypted_regex = "("}));
}

}  // namespace
}  // namespace sops
