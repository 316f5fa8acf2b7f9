// SPDX-License-Identifier: MPL-2.0
#include "core/change_keys.h"

#include <gtest/gtest.h>

#include "core/shamir.h"
#include "core/update.h"
#include "tests/support/fake_services.h"
#include "tests/support/vectors.h"

namespace sops {
namespace {

const std::string kGolden = std::string(SOPS_SOURCE_DIR) + "/tests/golden";

// A master key whose entries hold the secret in hexadecimal, so that tests see who got which share.
class OpenKey final : public MasterKey {
 public:
  explicit OpenKey(std::string id) : id_(std::move(id)) {}
  Result<FieldMap> wrap(const SecureBytes& secret, Services&) const override {
    std::string text;
    for (uint8_t byte : secret.expose()) text += format("{:02x}", byte);
    return FieldMap{{"recipient", id_}, {"enc", text}};
  }
  Result<SecureBytes> unwrap(const FieldMap&, const UnwrapOptions&, Services&) const override {
    return fail(ErrorCode::kNotMine, "no");
  }
  std::string id() const override { return id_; }

 private:
  std::string id_;
};

SecureBytes bytes_of(std::string_view hex) {
  const std::vector<uint8_t> bytes = from_hex(hex);
  return SecureBytes::copy_of(std::span(bytes));
}

class ChangeKeys : public testing::Test {
 protected:
  using Names = std::vector<std::vector<std::string>>;

  std::vector<MasterKeyList> lists(const Names& names) {
    std::vector<MasterKeyList> groups;
    for (const std::vector<std::string>& group : names) {
      MasterKeyList& list = groups.emplace_back();
      for (const std::string& name : group) {
        owner_.push_back(std::make_unique<OpenKey>(name));
        list.emplace_back(find_key_source("age"), owner_.back().get());
      }
    }
    return groups;
  }

  // A file with these keys.
  void make_file(const Names& names, int64_t threshold) {
    WrappedKey wrapped = std::move(*wrap_data_key(key, lists(names), threshold, services));
    file.metadata.groups = std::move(wrapped.groups);
    file.metadata.shamir_threshold = wrapped.shamir_threshold;
  }

  // What the keys of some groups recover.
  RecoveredKey recover(const std::vector<size_t>& groups) {
    RecoveredKey recovered{.key = key.clone(), .shares = {}};
    if (file.metadata.groups.size() == 1) return recovered;
    recovered.shares.resize(file.metadata.groups.size());
    for (size_t i : groups) recovered.shares[i] = bytes_of(enc(file.metadata, i, 0));
    return recovered;
  }

  Metadata change(const Names& names, int64_t threshold, const std::vector<size_t>& recovered = {0, 1}) {
    auto metadata = change_keys(file, recover(recovered), lists(names), threshold, services);
    EXPECT_TRUE(metadata) << metadata.error().message;
    return metadata ? std::move(*metadata) : Metadata();
  }

  static std::string enc(const Metadata& metadata, size_t group, size_t entry) {
    return std::string(field_text(metadata.groups[group][entry].fields, "enc"));
  }

  // The data key, from the first entries of these groups.
  bool opens(const Metadata& metadata, const std::vector<size_t>& groups) {
    std::vector<SecureBytes> shares;
    for (size_t i : groups) shares.push_back(bytes_of(enc(metadata, i, 0)));
    const auto secret = combine_shares(shares);
    return secret && ct_equal(secret->expose(), key.bytes().expose());
  }

  FakeServices world;
  Services services = world.services();
  DataKey key = DataKey::generate(services.random);
  OpenedFile file;

 private:
  MasterKeys owner_;
};

// editing.md 6.5: the entries of keys that stay are not touched.
TEST_F(ChangeKeys, AddsAndRemovesInOneGroup) {
  make_file({{"a", "b"}}, 0);
  const Metadata after = change({{"c", "b"}}, 0);
  ASSERT_EQ(after.groups[0].size(), 2u);
  EXPECT_EQ(after.groups[0][0], file.metadata.groups[0][1]);
  EXPECT_EQ(field_text(after.groups[0][1].fields, "recipient"), "c");
  EXPECT_EQ(bytes_of(enc(after, 0, 1)).size(), 32u);
}

TEST_F(ChangeKeys, AnAddedKeyGetsTheShareOfItsGroup) {
  make_file({{"a"}, {"b"}, {"c"}}, 2);
  const Metadata after = change({{"a"}, {"b", "d"}, {"c"}}, 2);
  EXPECT_EQ(after.groups[0], file.metadata.groups[0]);
  EXPECT_EQ(after.groups[2], file.metadata.groups[2]);
  EXPECT_EQ(enc(after, 1, 1), enc(file.metadata, 1, 0));
}

// Two shares are enough to find the third one, so nobody of that group is needed.
TEST_F(ChangeKeys, AShareThatWasNotRecoveredIsComputed) {
  make_file({{"a"}, {"b"}, {"c"}}, 2);
  const Metadata after = change({{"a"}, {"b"}, {"c", "d"}}, 2, {0, 1});
  EXPECT_EQ(enc(after, 2, 1), enc(file.metadata, 2, 0));
}

// A file whose shares do not stand where SOPS puts them (Vault's splitter permutes them): all anew.
TEST_F(ChangeKeys, SharesInOtherPlacesAreMadeAnew) {
  make_file({{"a"}, {"b"}, {"c"}}, 2);
  std::swap(file.metadata.groups[0], file.metadata.groups[1]);
  const Metadata after = change({{"b"}, {"a"}, {"c", "d"}}, 2, {0, 1});
  EXPECT_NE(enc(after, 2, 0), enc(file.metadata, 2, 0));
  EXPECT_TRUE(opens(after, {0, 2}));
  EXPECT_EQ(bytes_of(enc(after, 0, 0)).expose().back(), 1);
}

TEST_F(ChangeKeys, NumberThresholdAndOrderMakeFreshShares) {
  make_file({{"a"}, {"b"}, {"c"}}, 2);
  EXPECT_FALSE(needs_fresh_shares(file.metadata, lists({{"a"}, {"b"}, {"c"}}), 2));
  EXPECT_FALSE(needs_fresh_shares(file.metadata, lists({{"a"}, {"x"}, {"c", "y"}}), 2));
  EXPECT_TRUE(needs_fresh_shares(file.metadata, lists({{"a"}, {"b"}}), 2));
  EXPECT_TRUE(needs_fresh_shares(file.metadata, lists({{"a"}, {"b"}, {"c"}}), 3));
  EXPECT_TRUE(needs_fresh_shares(file.metadata, lists({{"a"}, {"b"}, {"c"}}), 0));
  EXPECT_TRUE(needs_fresh_shares(file.metadata, lists({{"b"}, {"a"}, {"c"}}), 2));
  // b would know two shares of one polynomial.
  EXPECT_TRUE(needs_fresh_shares(file.metadata, lists({{"a", "b"}, {"b"}, {"c"}}), 2));
  const Metadata after = change({{"b"}, {"a"}, {"c"}}, 2);
  EXPECT_TRUE(opens(after, {0, 1}));
  EXPECT_FALSE(opens(after, {0}));
  for (size_t i = 0; i < 3; ++i) EXPECT_NE(enc(after, i, 0), enc(file.metadata, i, 0));
}

// keyservice-shamir.md 9.7 to 9.9: from one group to several and back.
TEST_F(ChangeKeys, ChangesTheNumberOfGroups) {
  make_file({{"a"}}, 0);
  file.metadata = change({{"a"}, {"b"}}, 0);
  EXPECT_EQ(file.metadata.shamir_threshold, 2);
  EXPECT_TRUE(opens(file.metadata, {0, 1}));
  file.metadata = change({{"a"}, {"b"}, {"c"}}, 2);
  EXPECT_TRUE(opens(file.metadata, {1, 2}));
  file.metadata = change({{"c"}}, 1);
  EXPECT_EQ(file.metadata.shamir_threshold, 1);
  EXPECT_TRUE(ct_equal(bytes_of(enc(file.metadata, 0, 0)).expose(), key.bytes().expose()));
  EXPECT_FALSE(change_keys(file, recover({}), lists({{"a"}, {"b"}}), 1, services));
}

TEST_F(ChangeKeys, RefusesAGroupWithoutKeys) {
  make_file({{"a"}, {"b"}}, 0);
  EXPECT_FALSE(change_keys(file, recover({0, 1}), lists({{"a"}, {}}), 2, services));
  EXPECT_FALSE(change_keys(file, recover({0, 1}), lists({}), 2, services));
}

// cli.md 6.3
TEST_F(ChangeKeys, ComparesGroupsByIndex) {
  make_file({{"a", "b"}, {"c"}}, 0);
  EXPECT_TRUE(compare_keys(file.metadata, lists({{"b", "a", "a"}, {"c"}}), 2).empty());
  const KeyDifference difference = compare_keys(file.metadata, lists({{"d", "b"}, {"c"}, {"a"}}), 2);
  EXPECT_FALSE(difference.empty());
  EXPECT_TRUE(difference.removes_any());
  ASSERT_EQ(difference.groups.size(), 3u);
  EXPECT_EQ(difference.groups[0].kept, (std::vector<KeyName>{{"age", "b"}}));
  EXPECT_EQ(difference.groups[0].added, (std::vector<KeyName>{{"age", "d"}}));
  EXPECT_EQ(difference.groups[0].removed, (std::vector<KeyName>{{"age", "a"}}));
  EXPECT_EQ(difference.groups[2].added, (std::vector<KeyName>{{"age", "a"}}));
  EXPECT_FALSE(compare_keys(file.metadata, lists({{"a", "b"}}), 1).empty());
  EXPECT_EQ(threshold_for(file.metadata, 1), 1);
  EXPECT_EQ(threshold_for(file.metadata, 5), 2);
}

// A data key that is no key of the file must not be given to anybody.
TEST(RecoverFileKey, RefusesAKeyThatOpensNothing) {
  FakeServices world;
  Services services = world.services();
  world.environment.set("SOPS_AGE_KEY", *read_vector_file(kGolden + "/keys/age.txt"));
  const FormatType& json = *find_format("json");
  const std::string one = *read_vector_file(kGolden + "/keycases/age_two/pretty.json");
  auto file = read_encrypted(one, json);
  ASSERT_TRUE(file);
  EXPECT_TRUE(recover_file_key(*file, {}, services));
  EXPECT_TRUE(file->warnings.empty());

  // As in SOPS the MAC need not be intact.
  file->metadata.mac = "ENC[AES256_GCM,data:AA==,iv:AAAAAAAAAAAAAAAA,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]";
  EXPECT_TRUE(recover_file_key(*file, {}, services));
  EXPECT_EQ(file->warnings.size(), 1u);

  const std::string other = *read_vector_file(kGolden + "/keycases/age_two/text.txt");
  const auto stranger = read_encrypted(other, *find_format("binary"));
  ASSERT_TRUE(stranger);
  file->metadata.groups = stranger->metadata.groups;
  const auto recovered = recover_file_key(*file, {}, services);
  ASSERT_FALSE(recovered);
  EXPECT_EQ(recovered.error().exit_status, ExitStatus::kNoDataKey);
}

}  // namespace
}  // namespace sops
