// SPDX-License-Identifier: MPL-2.0
#include "core/key_groups.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "core/decrypt.h"
#include "core/shamir.h"
#include "tests/support/fake_services.h"
#include "tests/support/vectors.h"

namespace sops {
namespace {

const std::string kGolden = std::string(SOPS_SOURCE_DIR) + "/tests/golden";

// A master key that does nothing with the secret but count it.
class PlainKey final : public MasterKey {
 public:
  explicit PlainKey(std::string id, bool works = true) : id_(std::move(id)), works_(works) {}
  Result<FieldMap> wrap(const SecureBytes& secret, Services&) const override {
    if (!works_) return fail(ErrorCode::kDenied, "{} says no", id_);
    return FieldMap{{"recipient", id_}, {"enc", format("{} bytes", secret.size())}};
  }
  Result<SecureBytes> unwrap(const FieldMap&, const UnwrapOptions&, Services&) const override {
    return fail(ErrorCode::kNotMine, "no");
  }
  std::string id() const override { return id_; }

 private:
  std::string id_;
  bool works_;
};

const KeySourceType kLocal{.id = "age"};

MasterKeyList list(std::initializer_list<const PlainKey*> keys) {
  MasterKeyList result;
  for (const PlainKey* key : keys) result.emplace_back(&kLocal, key);
  return result;
}

class Wrapping : public testing::Test {
 protected:
  FakeServices world;
  Services services = world.services();
  DataKey key = DataKey::generate(services.random);
  PlainKey a{"a"}, b{"b"}, c{"c"}, broken{"d", false}, broken_too{"e", false};
};

// keys.md 1.4
TEST(DataKeyOf, HasThirtyTwoBytes) {
  for (const size_t size : {0, 16, 24, 31, 33, 64}) EXPECT_FALSE(DataKey::from_bytes(SecureBytes(size))) << size;
  EXPECT_TRUE(DataKey::from_bytes(SecureBytes(32)));
}

// keyservice-shamir.md 5.3: the threshold is passed on, and every key gets the whole data key.
TEST_F(Wrapping, OneGroupGetsTheDataKey) {
  const std::vector<MasterKeyList> groups = {list({&a, &b})};
  const auto wrapped = wrap_data_key(key, groups, 7, services);
  ASSERT_TRUE(wrapped);
  EXPECT_EQ(wrapped->shamir_threshold, 7);
  ASSERT_EQ(wrapped->groups.size(), 1u);
  ASSERT_EQ(wrapped->groups[0].size(), 2u);
  EXPECT_EQ(field_text(wrapped->groups[0][1].fields, "enc"), "32 bytes");
}

// keyservice-shamir.md 5.4
TEST_F(Wrapping, SeveralGroupsGetShares) {
  const std::vector<MasterKeyList> groups = {list({&a}), list({&b, &c}), list({&a})};
  const auto wrapped = wrap_data_key(key, groups, 0, services);
  ASSERT_TRUE(wrapped);
  EXPECT_EQ(wrapped->shamir_threshold, 3);
  ASSERT_EQ(wrapped->groups.size(), 3u);
  EXPECT_EQ(wrapped->groups[1].size(), 2u);
  EXPECT_EQ(field_text(wrapped->groups[2][0].fields, "enc"), "33 bytes");
  EXPECT_EQ(wrap_data_key(key, groups, 2, services)->shamir_threshold, 2);
  EXPECT_FALSE(wrap_data_key(key, groups, 1, services));
  EXPECT_FALSE(wrap_data_key(key, groups, 4, services));
  EXPECT_FALSE(wrap_data_key(key, groups, -1, services));
}

// cli.md 8.1: the text is compared by scripts.
TEST_F(Wrapping, RefusesEmptyGroups) {
  for (const std::vector<MasterKeyList>& groups :
       {std::vector<MasterKeyList>{}, std::vector<MasterKeyList>{{}}, std::vector<MasterKeyList>{list({&a}), {}}}) {
    const auto wrapped = wrap_data_key(key, groups, 0, services);
    ASSERT_FALSE(wrapped);
    EXPECT_EQ(wrapped.error().message, "Could not generate data key: [empty key group provided]");
  }
}

// keyservice-shamir.md 5.5: all keys of all groups are attempted before reporting.
TEST_F(Wrapping, NamesEveryKeyThatFails) {
  const std::vector<MasterKeyList> groups = {list({&a, &broken}), list({&broken_too, &b})};
  const auto wrapped = wrap_data_key(key, groups, 0, services);
  ASSERT_FALSE(wrapped);
  ASSERT_EQ(wrapped.error().causes.size(), 2u);
  EXPECT_EQ(wrapped.error().causes[0].message, "d says no");
  EXPECT_EQ(wrapped.error().causes[1].context[0], "age e");
}

// A key behind a network: it answers once all of them have been asked.
class MeetingKey final : public MasterKey {
 public:
  struct Meeting {
    std::mutex mutex;
    std::condition_variable all_here;
    int missing = 0;
  };
  explicit MeetingKey(Meeting& meeting) : meeting_(meeting) {}
  Result<FieldMap> wrap(const SecureBytes&, Services&) const override {
    std::unique_lock lock(meeting_.mutex);
    if (--meeting_.missing == 0) meeting_.all_here.notify_all();
    const bool met = meeting_.all_here.wait_for(lock, std::chrono::seconds(20), [&] { return meeting_.missing <= 0; });
    if (!met) return fail(ErrorCode::kUnavailable, "the others were not asked meanwhile");
    return FieldMap{{"enc", "x"}};
  }
  Result<SecureBytes> unwrap(const FieldMap&, const UnwrapOptions&, Services&) const override {
    return fail(ErrorCode::kNotMine, "no");
  }
  std::string id() const override { return "far"; }

 private:
  Meeting& meeting_;
};

// keys.md 1.9
TEST_F(Wrapping, AsksRemoteKeysAllAtOnce) {
  const KeySourceType remote{.id = "kms", .is_remote = true};
  MeetingKey::Meeting meeting{.missing = 5};
  const MeetingKey far(meeting);
  const std::vector<MasterKeyList> groups = {
      {{&remote, &far}, {&kLocal, &a}, {&remote, &far}, {&remote, &far}, {&remote, &far}, {&remote, &far}}};
  const auto wrapped = wrap_data_key(key, groups, 0, services);
  ASSERT_TRUE(wrapped) << wrapped.error().causes[0].message;
  EXPECT_EQ(wrapped->groups[0][1].source, "age");
  EXPECT_EQ(wrapped->groups[0][5].source, "kms");
}

// cli.md 3.7
TEST(KeyId, IsThatOfSops) {
  EXPECT_EQ(key_id({"age", {{"recipient", "age1x"}, {"enc", "…"}}}), "age1x");
  EXPECT_EQ(key_id({"kms", {{"arn", "arn:k"}}}), "arn:k");
  EXPECT_EQ(key_id({"kms", {{"arn", "arn:k"}, {"role", "arn:r"}, {"aws_profile", "p"}}}), "arn:k+arn:r||p");
  const std::map<std::string, std::string> context = {{"foo", "bar"}, {"a", "b"}};
  EXPECT_EQ(key_id({"kms", {{"arn", "arn:k"}, {"context", context}}}), "arn:k|a:b,foo:bar");
  EXPECT_EQ(key_id({"kms", {{"arn", "arn:k"}, {"context", context}, {"aws_profile", "p"}}}), "arn:k|a:b,foo:bar|p");
  EXPECT_EQ(key_id({"azure_kv", {{"vault_url", "https://v"}, {"name", "n"}, {"version", "1"}}}), "https://v/keys/n/1");
  EXPECT_EQ(key_id({"hc_vault", {{"vault_address", "https://v"}, {"engine_path", "e"}, {"key_name", "n"}}}),
            "https://v/v1/e/keys/n");
}

// Shares that SOPS made: those of its first two groups give the data key that opens its MAC, and each other.
TEST(RecoverShares, OfAFileThatSopsWrote) {
  const auto text = read_vector_file(kGolden + "/keycases/groups_2_of_3/pretty.json");
  ASSERT_TRUE(text);
  FakeServices world;
  Services services = world.services();
  std::string identities;
  for (std::string_view name : {"age.txt", "age2.txt"}) {
    identities += *read_vector_file(kGolden + "/keys/" + std::string(name)) + "\n";
  }
  world.environment.set("SOPS_AGE_KEY", identities);
  const auto file = open_file(*text, *find_format("json"), {}, services);
  ASSERT_TRUE(file) << file.error().message;
  const auto recovered =
      recover_shares(file->metadata, {}, [](const DataKey&) -> Result<void> { return {}; }, services);
  ASSERT_TRUE(recovered);
  EXPECT_TRUE(ct_equal(recovered->key.bytes().expose(), file->key->bytes().expose()));
  ASSERT_EQ(recovered->shares.size(), 3u);
  ASSERT_TRUE(recovered->shares[0] && recovered->shares[1]);
  EXPECT_FALSE(recovered->shares[2]);  // keys.md 1.6: two are enough
  EXPECT_EQ(recovered->shares[0]->expose().back(), 1);
  EXPECT_EQ(recovered->shares[1]->expose().back(), 2);
  const std::vector<SecureBytes> two = [&] {
    std::vector<SecureBytes> shares;
    shares.push_back(recovered->shares[0]->clone());
    shares.push_back(recovered->shares[1]->clone());
    return shares;
  }();
  EXPECT_TRUE(ct_equal(share_at(two, 2)->expose(), two[1].expose()));
  // A third share from the two is worth as much as the one in the file.
  std::vector<SecureBytes> others;
  others.push_back(two[1].clone());
  others.push_back(std::move(*share_at(two, 3)));
  EXPECT_TRUE(ct_equal(combine_shares(others)->expose(), recovered->key.bytes().expose()));
}

}  // namespace
}  // namespace sops
