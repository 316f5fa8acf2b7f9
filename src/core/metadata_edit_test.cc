// SPDX-License-Identifier: MPL-2.0
//
// editing.md 1.1: what does not change keeps its bytes. Files are those that SOPS wrote, and some in odd shapes.
#include "core/metadata_edit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "core/decrypt.h"
#include "tests/support/vectors.h"

namespace sops {
namespace {

const std::string kGolden = std::string(SOPS_SOURCE_DIR) + "/tests/golden";

KeyEntry age(std::string recipient, std::string enc) {
  return {"age", {{"recipient", std::move(recipient)}, {"enc", std::move(enc)}}};
}

// The text after `change` was made to its metadata; it must read as meant, in every branch.
std::string edited(std::string_view text, const FormatType& format, const std::function<void(Metadata&)>& change) {
  const auto file = read_encrypted(text, format);
  if (!file) return "error: " + to_string(file.error());
  Metadata after = file->metadata;
  change(after);
  const auto edits = edit_metadata(format, file->document, file->metadata, after, {});
  if (!edits) return "error: " + to_string(edits.error());
  const auto result = edits->apply(text);
  if (!result) return "error: " + to_string(result.error());
  const auto again = read_encrypted(result->expose_text(), format);
  if (!again) return "error: " + to_string(again.error()) + "\n" + std::string(result->expose_text());
  SecureArena arena;
  const auto meant = parse_metadata(metadata_tree(after, arena));
  EXPECT_EQ(again->metadata.groups, meant->groups);
  EXPECT_EQ(again->metadata.mac, after.mac);
  EXPECT_EQ(again->metadata.layout, after.layout);
  EXPECT_EQ(again->metadata.lastmodified, after.lastmodified);
  EXPECT_EQ(again->metadata.shamir_threshold, after.shamir_threshold);
  EXPECT_EQ(again->metadata.mac_only_encrypted, after.mac_only_encrypted);
  EXPECT_EQ(again->metadata.selection, after.selection);
  for (size_t i = 1; i < again->document.branches.size(); ++i) {
    const NodeId block = again->document.branches[i].metadata;
    if (block == kNoNode) continue;
    const auto tree = to_value(again->document, block);
    const auto copy = parse_metadata(*tree);
    EXPECT_TRUE(copy && copy->groups == meant->groups && copy->mac == after.mac && copy->layout.empty()) << i;
  }
  return std::string(result->expose_text());
}

std::string edited_json(std::string_view text, const std::function<void(Metadata&)>& change) {
  return edited(text, *find_format("json"), change);
}

// As SOPS 3.7 and older wrote it, in one line, with what nobody knows.
constexpr std::string_view kOdd =
    R"({"a":"ENC[]","sops":{"kms":null,"gcp_kms":[],"future":{"x":[1, 2]},"age":[{"recipient":"r1","enc":"e1"},)"
    R"( {"enc":"e2","recipient":"r2"},{"recipient":"r3","enc":"e3"}],"lastmodified":"2020-01-01T00:00:00Z",)"
    R"("mac":"m\/1","pgp":[],"Unencrypted_Suffix":"_u","version":"3.7.0"}})";

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(MetadataEdit, NothingChangesWhereNothingShould) {
  EXPECT_EQ(edited_json(kOdd, [](Metadata&) {}), kOdd);
}

TEST(MetadataEdit, ScalarsChangeInTheirPlace) {
  EXPECT_EQ(edited_json(kOdd,
                        [](Metadata& m) {
                          m.mac = "m2";
                          m.lastmodified = "2026-01-01T00:00:00Z";
                        }),
            replaced(replaced(std::string(kOdd), "m\\/1", "m2"), "2020", "2026"));
  EXPECT_EQ(edited_json(kOdd, [](Metadata& m) { m.selection.unencrypted_suffix = "_v"; }),
            replaced(std::string(kOdd), "\"_u\"", "\"_v\""));
}

TEST(MetadataEdit, EntriesComeAndGo) {
  const std::string_view end = ",\"version\":\"3.7.0\"";
  EXPECT_EQ(edited_json(kOdd, [](Metadata& m) { m.layout = "ENC[l]"; }),
            replaced(std::string(kOdd), end, std::string(end) + ",\"layout\":\"ENC[l]\""));
  const std::string more = edited_json(kOdd, [](Metadata& m) {
    m.mac_only_encrypted = true;
    m.shamir_threshold = 1;
  });
  EXPECT_EQ(more,
            replaced(std::string(kOdd), end, std::string(end) + ",\"mac_only_encrypted\":true,\"shamir_threshold\":1"));
  EXPECT_EQ(edited_json(more,
                        [](Metadata& m) {
                          m.mac_only_encrypted = false;
                          m.shamir_threshold = 0;
                        }),
            kOdd);
}

TEST(MetadataEdit, KeysAreAddedBehindTheOthers) {
  EXPECT_EQ(edited_json(kOdd,
                        [](Metadata& m) {
                          m.groups[0].push_back(age("r4", "e4"));
                          m.groups[0].push_back(age("r5", "e5"));
                        }),
            replaced(std::string(kOdd), R"("e3"}])",
                     R"("e3"},{"enc":"e4","recipient":"r4"},{"enc":"e5","recipient":"r5"}])"));
}

TEST(MetadataEdit, KeysGo) {
  // Neighbours share a comma.
  EXPECT_EQ(edited_json(kOdd, [](Metadata& m) { m.groups[0].erase(m.groups[0].begin(), m.groups[0].begin() + 2); }),
            replaced(std::string(kOdd), R"({"recipient":"r1","enc":"e1"}, {"enc":"e2","recipient":"r2"},)", ""));
  EXPECT_EQ(edited_json(kOdd, [](Metadata& m) { m.groups[0].erase(m.groups[0].begin() + 1, m.groups[0].end()); }),
            replaced(std::string(kOdd), R"(, {"enc":"e2","recipient":"r2"},{"recipient":"r3","enc":"e3"})", ""));
}

TEST(MetadataEdit, AnAddedKeyTakesThePlaceOfARemovedOne) {
  EXPECT_EQ(edited_json(kOdd, [](Metadata& m) { m.groups[0][2] = age("r4", "e4"); }),
            replaced(std::string(kOdd), R"("recipient":"r3","enc":"e3")", R"("recipient":"r4","enc":"e4")"));
  // … but not where the order would be another one.
  EXPECT_EQ(edited_json(kOdd,
                        [](Metadata& m) {
                          m.groups[0].erase(m.groups[0].begin());
                          m.groups[0].push_back(age("r4", "e4"));
                        }),
            replaced(replaced(std::string(kOdd), R"({"recipient":"r1","enc":"e1"}, )", ""), R"("e3"}])",
                     R"("e3"},{"enc":"e4","recipient":"r4"}])"));
}

TEST(MetadataEdit, OfAKeyThatIsWrappedAnewOnlyTheCiphertextChanges) {
  EXPECT_EQ(
      edited_json(kOdd,
                  [](Metadata& m) {
                    for (KeyEntry& entry : m.groups[0]) entry.fields["enc"] = "new";
                  }),
      replaced(replaced(replaced(std::string(kOdd), "\"e1\"", "\"new\""), "\"e2\"", "\"new\""), "\"e3\"", "\"new\""));
}

TEST(MetadataEdit, ListsComeAndGo) {
  const KeyEntry pgp = {"pgp", {{"fp", "F"}, {"created_at", "2020-01-01T00:00:00Z"}, {"enc", "p"}}};
  const std::string with_pgp = edited_json(kOdd, [&](Metadata& m) { m.groups[0].push_back(pgp); });
  EXPECT_EQ(with_pgp, replaced(std::string(kOdd), R"("pgp":[])",
                               R"("pgp":[{"created_at":"2020-01-01T00:00:00Z", "enc":"p", "fp":"F"}])"));
  const std::string only_pgp = edited_json(with_pgp, [&](Metadata& m) { m.groups[0] = {pgp}; });
  EXPECT_EQ(only_pgp.find("\"age\""), std::string::npos);
  EXPECT_NE(only_pgp.find(R"("future":{"x":[1, 2]},"lastmodified")"), std::string::npos);
}

TEST(MetadataEdit, GroupsComeAndGo) {
  const std::string several = edited_json(kOdd, [](Metadata& m) {
    m.groups = {{age("r1", "s1")}, {age("r2", "s2")}};
    m.shamir_threshold = 2;
  });
  EXPECT_EQ(several.find("\"r3\""), std::string::npos);
  EXPECT_NE(several.find(R"("mac":"m\/1","pgp":[],"Unencrypted_Suffix":"_u","version":"3.7.0")"), std::string::npos);
  EXPECT_NE(several.find(R"("key_groups":[{"age":[{"enc":"s1", "recipient":"r1"}], "hc_vault":[]}, )"),
            std::string::npos);
  // One group among several: the others stay, and so does the empty list.
  EXPECT_EQ(edited_json(several, [](Metadata& m) { m.groups[1].push_back(age("r3", "s3")); }),
            replaced(several, R"({"enc":"s2", "recipient":"r2"}])",
                     R"({"enc":"s2", "recipient":"r2"}, {"enc":"s3", "recipient":"r3"}])"));
  const std::string one = edited_json(several, [](Metadata& m) { m.groups = {{age("r1", "e1")}}; });
  EXPECT_EQ(one.find("key_groups"), std::string::npos);
  EXPECT_NE(one.find("\"shamir_threshold\":2"), std::string::npos);
}

TEST(MetadataEdit, AnotherOrderIsANewList) {
  const std::string turned = edited_json(kOdd, [](Metadata& m) { std::swap(m.groups[0][0], m.groups[0][2]); });
  EXPECT_NE(turned.find(R"("future":{"x":[1, 2]})"), std::string::npos);
}

// What an author did by hand to a block of YAML, in two documents.
constexpr std::string_view kHandmade = R"(a: ENC[]
sops:   # do not touch
  age:
  # the first
  - recipient: 'r1'   # Ann
    enc: |
      one
  # the second
  - {recipient: r2, enc: two}
  pgp: []
  lastmodified: '2020-01-01T00:00:00Z'
  mac: m1
  note: [x,   y]
  version: 3.7.0
---
sops: {age: [{recipient: r1, enc: "one\n"}, {recipient: r2, enc: two}], mac: m1, lastmodified: "2020-01-01T00:00:00Z", version: 3.7.0}
b: ENC[]
)";

TEST(MetadataEdit, ABlockThatWasMadeByHandKeepsItsLooks) {
  const FormatType& yaml = *find_format("yaml");
  const auto with = [&](const std::function<void(Metadata&)>& change) { return edited(kHandmade, yaml, change); };
  EXPECT_EQ(with([](Metadata&) {}), kHandmade);
  const std::string other_mac =
      replaced(replaced(std::string(kHandmade), "mac: m1\n", "mac: m2\n"), "mac: m1,", "mac: m2,");
  EXPECT_EQ(with([](Metadata& m) { m.mac = "m2"; }), other_mac);
  EXPECT_EQ(with([](Metadata& m) { m.groups[0][0].fields["enc"] = "uno\n"; }),
            replaced(replaced(std::string(kHandmade), "      one\n", "      uno\n"), "\"one\\n\"", "\"uno\\n\""));
  const std::string added = with([](Metadata& m) { m.groups[0].push_back(age("r3", "three")); });
  for (std::string_view kept :
       {"sops:   # do not touch\n", "  # the first\n  - recipient: 'r1'   # Ann\n    enc: |\n",
        "  # the second\n  - {recipient: r2, enc: two}\n", "  note: [x,   y]\n", "  pgp: []\n"}) {
    EXPECT_NE(added.find(kept), std::string::npos) << kept << added;
  }
  EXPECT_EQ(edited(added, yaml, [](Metadata& m) { m.groups[0].pop_back(); }), kHandmade);
  const std::string removed = with([](Metadata& m) { m.groups[0].erase(m.groups[0].begin()); });
  EXPECT_EQ(removed.find("r1"), std::string::npos) << removed;
  EXPECT_NE(removed.find("  note: [x,   y]\n"), std::string::npos) << removed;
}

// Every file that SOPS wrote: what is there stays, whatever is added and taken away again.
TEST(MetadataEdit, GoldenFilesComeBack) {
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kGolden)) {
    const std::string path = entry.path();
    const bool is_case = path.find("/keycases/") != std::string::npos;
    if (!entry.is_regular_file() || (!is_case && entry.path().stem() != "enc")) continue;
    if (path.ends_with(".env") || path.ends_with(".ini")) continue;
    const std::string text = *read_vector_file(path);
    const FormatType& format = format_for_path(path);
    const auto file = read_encrypted(text, format);
    if (!file) continue;
    ++count;
    const auto same = [&](const std::string& found, std::string_view what) {
      const size_t at = static_cast<size_t>(std::ranges::mismatch(found, text).in1 - found.begin());
      EXPECT_TRUE(found == text) << path << ": " << what << " at " << at << ": " << found.substr(at, 100);
    };
    const std::string mac = edited(text, format, [](Metadata& m) { m.mac = "ENC[…]"; });
    same(edited(mac, format, [&](Metadata& m) { m.mac = file->metadata.mac; }), "mac");
    const std::string added = edited(text, format, [](Metadata& m) {
      m.groups.back().push_back(
          age("age1new", "-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n-----END AGE ENCRYPTED FILE-----\n"));
    });
    const auto is_new = [](const KeyEntry& key) { return field_text(key.fields, "recipient") == "age1new"; };
    same(edited(added, format, [&](Metadata& m) { std::erase_if(m.groups.back(), is_new); }), "key");
    const std::string layout = edited(text, format, [](Metadata& m) { m.layout = "ENC[l]"; });
    same(edited(layout, format, [&](Metadata& m) { m.layout = file->metadata.layout; }), "layout");
  }
  EXPECT_GT(count, 300);
}

}  // namespace
}  // namespace sops
