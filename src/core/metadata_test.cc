// SPDX-License-Identifier: MPL-2.0
#include "core/metadata.h"

#include <gtest/gtest.h>

#include "formats/format.h"

namespace sops {
namespace {

// Parses the sops block of a JSON file.
std::string parse(std::string_view block) {
  const FormatType* json = find_format("json");
  const std::string text = format("{{\"sops\": {}}}", block);
  const auto document = json->scan(text, ScanMode::kEncrypted);
  if (!document) return "scan: " + document.error().message;
  const auto tree = json->read_metadata(*document);
  if (!tree) return "read: " + tree.error().message;
  const auto metadata = parse_metadata(*tree);
  if (!metadata) return metadata.error().message;
  std::string result = format("{} groups;", metadata->groups.size());
  for (const KeyGroup& group : metadata->groups) {
    for (const KeyEntry& entry : group) result += " " + entry.source;
    result += ";";
  }
  return result + format(" threshold {}; suffix {}; mac_only {}; {}", metadata->shamir_threshold,
                         metadata->selection.unencrypted_suffix, metadata->mac_only_encrypted,
                         normalized_lastmodified(*metadata));
}

constexpr std::string_view kTime = "\"lastmodified\":\"2025-03-23T10:20:30.5+00:00\"";

// format.md 5.5, 9.19-9.23.
TEST(Metadata, ReadsWhatSopsReads) {
  EXPECT_EQ(parse(format("{{{},\"age\":[{{\"recipient\":\"r\",\"enc\":\"e\"}}],\"pgp\":[{{\"fp\":\"f\",\"created_at\":"
                         "\"2025-01-01T00:00:00Z\"}}]}}",
                         kTime)),
            "1 groups; pgp age; threshold 0; suffix _unencrypted; mac_only false; 2025-03-23T10:20:30Z");
  EXPECT_EQ(parse("{\"LastModified\":\"2025-03-23T10:20:30+02:00\",\"Age\":[{\"Recipient\":\"r\"}],\"shamir_"
                  "threshold\":\"0x2\","
                  "\"mac_only_encrypted\":\"T\",\"unencrypted_suffix\":\"_x\"}"),
            "1 groups; age; threshold 2; suffix _x; mac_only true; 2025-03-23T10:20:30+02:00");
  EXPECT_EQ(parse(format("{{{},\"kms\":null,\"key_groups\":[{{\"age\":[{{\"recipient\":\"r\"}}]}},{{\"age\":[]}}],"
                         "\"shamir_threshold\":2.9}}",
                         kTime)),
            "2 groups; age;; threshold 2; suffix _unencrypted; mac_only false; 2025-03-23T10:20:30Z");
  EXPECT_EQ(parse(format("{{{},\"age\":{{\"recipient\":\"r\"}}}}", kTime)),
            "1 groups; age; threshold 0; suffix _unencrypted; mac_only false; 2025-03-23T10:20:30Z");
}

TEST(Metadata, RefusesWhatSopsRefuses) {
  EXPECT_EQ(parse(format("{{{}}}", kTime)), "no keys found in file");
  EXPECT_EQ(parse("{\"age\":[{\"recipient\":\"r\"}]}"), "lastmodified '' in the metadata is no RFC 3339 time");
  EXPECT_EQ(parse(format("{{{},\"age\":\"r\"}}", kTime)), "metadata field 'age' is no list");
  EXPECT_EQ(parse(format("{{{},\"age\":[\"r\"]}}", kTime)), "metadata field 'age' is no list of mappings");
  EXPECT_EQ(parse(format("{{{},\"pgp\":[{{\"fp\":\"f\"}}]}}", kTime)),
            "created_at '' of a pgp entry is no RFC 3339 time");
  EXPECT_EQ(parse(format("{{{},\"age\":[{{\"recipient\":\"r\"}}],\"mac\":[]}}", kTime)),
            "metadata field 'mac' is no text");
  EXPECT_TRUE(parse(format("{{{},\"age\":[{{}}],\"encrypted_regex\":\"a\",\"encrypted_suffix\":\"b\"}}", kTime))
                  .starts_with("the metadata has more than one"));
  EXPECT_EQ(parse("[]"), "read: the sops entry is not an object");
}

// format.md 8.1, 8.2.
TEST(Metadata, ChecksTheVersionAsSops) {
  for (std::string_view good : {"3.13.3", "v3.0.0", "1.13", "1.x", "3.9.0-rc1", "4.0.0+x"}) {
    EXPECT_TRUE(check_version({.version = std::string(good)})) << good;
  }
  for (std::string_view bad : {"", "3", "3.9", "3.9.0.1", "a.b.c", "03.1.1", "3..1"})
    EXPECT_FALSE(check_version({.version = std::string(bad)})) << bad;
}

// A file's version decides whether it stays (cli.md 4.5).
TEST(Metadata, ComparesVersionsAsNumbers) {
  using Numbers = std::array<uint64_t, 3>;
  EXPECT_EQ(version_numbers("v3.9.0-rc.1"), (Numbers{3, 9, 0}));
  EXPECT_LT(version_numbers("3.9.9"), version_numbers("3.13.3"));
  EXPECT_LT(version_numbers("3.13.99999999999999999999"), version_numbers("3.14.0"));
  EXPECT_GT(version_numbers("3.13.99999999999999999999"), version_numbers("3.13.4"));
  EXPECT_EQ(version_numbers("1.x"), std::nullopt);
}

// format.md 5.1-5.3: sorted by name, empty settings left out, layout apart.
TEST(Metadata, WritesEntriesSorted) {
  Metadata metadata{.lastmodified = "2025-03-23T10:20:30Z", .mac = "ENC[…]", .layout = "ENC[l]", .version = "3.13.3"};
  metadata.groups = {{{.source = "age", .fields = {{"recipient", "r"}, {"enc", "e"}}}}};
  metadata.selection = SelectionSettings::standard();
  SecureArena arena;
  const Value tree = metadata_tree(metadata, arena);
  std::string names;
  for (const Value& child : tree.children) names += std::string(child.key) + " ";
  EXPECT_EQ(names, "age lastmodified mac unencrypted_suffix version ");
  EXPECT_EQ(tree.children[0].children[0].children[0].key, "enc");
  EXPECT_EQ(first_branch_tree(metadata).children.size(), 1u);
}

}  // namespace
}  // namespace sops
