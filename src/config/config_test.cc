// SPDX-License-Identifier: MPL-2.0
//
// Expectations come from config.md 7 (what SOPS's own configuration tests pin), from its tables, and from trials with
// SOPS 3.13.3 where a comment says "tried".
#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/path.h"
#include "tests/support/fake_services.h"

namespace sops {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// ---- helpers

// Parses; the path of the configuration is /conf/path as in config.md 7.
Result<Config> parse(std::string_view text) {
  std::vector<std::string> warnings;
  Result<Config> config = parse_config(text, {}, warnings);
  if (config) {
    config->path = "/conf/path";
    config->directory = "/conf";
  }
  return config;
}

std::string parse_error(std::string_view text) {
  const Result<Config> config = parse(text);
  return config ? "no error" : to_string(config.error());
}

std::vector<std::string> warnings_of(std::string_view text) {
  std::vector<std::string> warnings;
  const Result<Config> config = parse_config(text, {}, warnings);
  EXPECT_TRUE(config) << to_string(config.error());
  return warnings;
}

// "source:text" or "source:name=value,…" for each key; a context as {name:value,…}.
std::string describe(const KeySpec& key) {
  std::string text = key.source + ":" + key.text;
  std::string separator;
  for (const auto& [name, value] : key.fields) {
    text += separator + name + "=";
    separator = ",";
    if (const auto* single = std::get_if<std::string>(&value)) {
      text += *single;
      continue;
    }
    for (const auto& [left, right] : std::get<1>(value)) text += "{" + left + ":" + right + "}";
  }
  return text;
}

std::vector<std::string> describe(const KeyGroupSpec& group) {
  std::vector<std::string> result;
  for (const KeySpec& key : group.keys) result.push_back(describe(key));
  return result;
}

// The keys of the first group of the first rule.
std::vector<std::string> keys_of(std::string_view text) {
  const Result<Config> config = parse(text);
  if (!config) return {to_string(config.error())};
  const Result<RuleMatch> match = find_creation_rule(*config, "/conf/file");
  if (!match) return {to_string(match.error())};
  return describe(match->rule->groups.at(0));
}

// Index of the rule that governs `path`, or the error.
std::string rule_for(const Config& config, std::string_view path) {
  const Result<RuleMatch> match = find_creation_rule(config, path);
  if (!match) return to_string(match.error());
  return match->rule == nullptr ? "no rules" : format("{}", match->index);
}

// A key source whose keys are the parts of the list; "bad" is no key.
class FakeKey final : public MasterKey {
 public:
  explicit FakeKey(std::string id) : id_(std::move(id)) {}
  Result<FieldMap> wrap(const SecureBytes&, Services&) const override { return FieldMap(); }
  Result<SecureBytes> unwrap(const FieldMap&, const UnwrapOptions&, Services&) const override { return SecureBytes(); }
  std::string id() const override { return id_; }

 private:
  std::string id_;
};

Result<MasterKeys> fake_list(std::string_view list, const KeyOptions&) {
  MasterKeys keys;
  for (const std::string_view part : split(list, ',')) {
    if (part == "bad") return fail(ErrorCode::kMalformed, "no key: {}", part);
    keys.push_back(std::make_unique<FakeKey>(std::string(part)));
  }
  return keys;
}

Result<std::unique_ptr<MasterKey>> fake_metadata(const FieldMap& fields) {
  return std::make_unique<FakeKey>(std::string(field_text(fields, "arn")));
}

const KeySourceType kFakeAge = {
    .id = "age", .rule_field = "age", .from_list = fake_list, .from_metadata = fake_metadata};
const KeySourceType kFakeKms = {
    .id = "kms", .rule_field = "kms", .from_list = fake_list, .from_metadata = fake_metadata};
const KeySourceType kFakeNew = {
    .id = "token", .rule_field = "token_uri", .from_list = fake_list, .from_metadata = fake_metadata};

std::vector<std::string> ids_of(const KeyGroupSpec& group, std::span<const KeySourceType* const> sources) {
  const Result<MasterKeys> keys = make_master_keys(group, sources);
  if (!keys) return {to_string(keys.error())};
  std::vector<std::string> ids;
  for (const auto& key : *keys) ids.push_back(key->id());
  return ids;
}

// A disk with owners and folders, seen from `cwd`.
class OwnedFiles final : public Files {
 public:
  explicit OwnedFiles(std::string working_directory) : cwd(std::move(working_directory)) {}

  void put(const std::string& path, std::string_view content, uint32_t owner = 1000, uint32_t folder_mode = 0755) {
    files[path] = {std::string(content), owner};
    folder_modes[dirname(path)] = folder_mode;
  }

  Result<SecureBytes> read(const std::string& path) override {
    const auto it = files.find(absolute_path(path, cwd));
    if (it == files.end()) return fail(ErrorCode::kNotFound, "no such file");
    return SecureBytes::copy_of(it->second.content);
  }
  Result<std::optional<FileInfo>> info(const std::string& path) override {
    ++lookups;
    FileInfo info;
    const std::string full = absolute_path(path, cwd);
    if (const auto folder = folder_modes.find(full); folder != folder_modes.end()) {
      info.kind = FileInfo::Kind::kDirectory;
      info.mode = folder->second;
      return std::optional(info);
    }
    const auto it = files.find(full);
    if (it == files.end()) return std::optional<FileInfo>();
    info.owner = it->second.owner;
    info.inode = std::hash<std::string>()(full);
    return std::optional(info);
  }
  Result<ReplaceMethod> replace(const std::string&, std::span<const uint8_t>, const ReplaceOptions&) override {
    return fail(ErrorCode::kDenied, "read-only");
  }
  // What the search for a configuration never does.
  Result<void> remove(const std::string&) override { return fail(ErrorCode::kIo, "unused"); }
  Result<void> make_folder(const std::string&) override { return fail(ErrorCode::kIo, "unused"); }
  Result<SecureBytes> read_beginning(const std::string&, size_t) override { return fail(ErrorCode::kIo, "unused"); }
  Result<std::vector<DirectoryEntry>> list(const std::string&) override { return fail(ErrorCode::kIo, "unused"); }
  Result<std::unique_ptr<FileLock>> lock_folder(const std::string&, std::chrono::milliseconds,
                                                std::stop_token) override {
    return fail(ErrorCode::kIo, "unused");
  }
  std::optional<std::string> target_of_temporary_file(const std::string&) override { return std::nullopt; }
  void remove_remains(const std::string&) override {}
  bool is_writable(const std::string&) override { return false; }
  std::unique_ptr<FileChanges> begin_changes() override { return nullptr; }

  struct File {
    std::string content;
    uint32_t owner;
  };
  std::string cwd;
  std::map<std::string, File> files;
  std::map<std::string, uint32_t> folder_modes;
  size_t lookups = 0;
};

// The world of a search: what was found, and what was said.
struct Search {
  explicit Search(std::string cwd) : files(cwd) { fake.environment.folder = std::move(cwd); }

  std::string find(const ConfigQuery& query) {
    Services services{files,         fake.clock,    fake.random, fake.environment, fake.processes,
                      fake.terminal, fake.commands, fake.http,   fake.run};
    warnings.clear();
    Result<std::optional<Config>> found = load_config(query, services, warnings);
    if (!found) return "error: " + to_string(found.error());
    if (!*found) return "none";
    config = std::move(**found);
    return config.path;
  }

  OwnedFiles files;
  FakeServices fake;
  std::vector<std::string> warnings;
  Config config;
};

constexpr std::string_view kAnyRule = "creation_rules: [{age: a}]\n";

// ---- finding (config.md 1, 7)

TEST(FindConfig, FindRecursive) {
  Search search("/a/b/c");
  search.files.put("/a/.sops.yaml", kAnyRule);
  EXPECT_EQ(search.find({}), "../../.sops.yaml");
  EXPECT_EQ(search.config.directory, "/a");
  EXPECT_EQ(search.config.origin, ConfigOrigin::kWorkingDirectory);
  EXPECT_THAT(search.warnings, IsEmpty());
}

TEST(FindConfig, FindCurrentDir) {
  Search search("/a/b/c");
  search.files.put("/a/b/c/.sops.yaml", kAnyRule);
  search.files.put("/a/.sops.yaml", kAnyRule);
  EXPECT_EQ(search.find({}), ".sops.yaml");
}

TEST(FindConfig, NothingFoundIsNoErrorAfterAHundredDirectories) {
  Search search("/a");
  EXPECT_EQ(search.find({}), "none");
  EXPECT_EQ(search.files.lookups, 200u);  // both names in each of 100 directories
}

TEST(FindConfig, TheHundredthDirectoryIsTheLast) {
  std::string deep = "/top";
  for (int i = 0; i < 99; ++i) deep += "/d";
  Search search(deep);
  search.files.put("/top/.sops.yaml", kAnyRule);
  EXPECT_THAT(search.find({}), StartsWith("../../"));
  Search deeper(deep + "/d");
  deeper.files.put("/top/.sops.yaml", kAnyRule);
  EXPECT_EQ(deeper.find({}), "none");
}

TEST(FindConfig, TheWrongNameGivesOneWarningThatNamesWhatIsUsed) {
  Search search("/a/b/c");
  search.files.put("/a/b/c/.sops.yml", kAnyRule);
  search.files.put("/a/b/.sops.yml", kAnyRule);
  EXPECT_EQ(search.find({}), "none");
  EXPECT_THAT(search.warnings, ElementsAre(".sops.yml is ignored: the name must be .sops.yaml"));
  search.files.put("/a/.sops.yaml", kAnyRule);
  EXPECT_EQ(search.find({}), "../../.sops.yaml");
  EXPECT_THAT(search.warnings,
              ElementsAre(".sops.yml is ignored: the name must be .sops.yaml; ../../.sops.yaml is used"));
}

TEST(FindConfig, TheWrongNameBesideTheRightOneIsSilent) {
  Search search("/a");
  search.files.put("/a/.sops.yml", kAnyRule);
  search.files.put("/a/.sops.yaml", kAnyRule);
  EXPECT_EQ(search.find({}), ".sops.yaml");
  EXPECT_THAT(search.warnings, IsEmpty());
}

TEST(FindConfig, AnExplicitPathIsTheOnlyOne) {
  Search search("/a");
  search.files.put("/a/.sops.yaml", "[");
  search.files.put("/a/conf/x.yml", kAnyRule);
  EXPECT_EQ(search.find({.explicit_path = "conf/x.yml", .target = "/t/f"}), "conf/x.yml");
  EXPECT_EQ(search.config.directory, "/a/conf");
  EXPECT_EQ(search.config.origin, ConfigOrigin::kExplicit);
  EXPECT_THAT(search.find({.explicit_path = "missing"}), StartsWith("error: "));
}

TEST(FindConfig, ADirectoryOfThatNameIsFoundAndCannotBeRead) {
  Search search("/a");
  search.files.folder_modes["/a/.sops.yaml"] = 0755;
  EXPECT_THAT(search.find({}), StartsWith("error: "));
}

TEST(FindConfig, ABrokenFileIsAnErrorThatNamesIt) {
  Search search("/a/b");
  search.files.put("/a/.sops.yaml", "creation_rules:\n  - age: [\n");
  EXPECT_THAT(search.find({}), HasSubstr("../.sops.yaml"));
}

// editing.md 6.1: "SOPS's lookup comes first … Only where it finds none, from the target's directory upwards"
TEST(FindConfig, TheTargetsDirectoryCountsOnlyWhereSopsFindsNone) {
  Search search("/work");
  search.files.put("/repo/.sops.yaml", kAnyRule);
  EXPECT_EQ(search.find({.target = "/repo/sub/deep/f.yaml"}), "/repo/.sops.yaml");
  EXPECT_EQ(search.config.directory, "/repo");
  EXPECT_EQ(search.config.origin, ConfigOrigin::kTargetDirectory);
  EXPECT_EQ(search.find({}), "none");
  search.files.put("/work/.sops.yaml", kAnyRule);
  EXPECT_EQ(search.find({.target = "/repo/sub/deep/f.yaml"}), ".sops.yaml");
  ASSERT_EQ(search.warnings.size(), 1u);
  EXPECT_THAT(search.warnings[0], StartsWith(".sops.yaml is used, not /repo/.sops.yaml"));
}

TEST(FindConfig, TheSameFileFoundTwiceIsNotMentioned) {
  Search search("/repo");
  search.files.put("/repo/.sops.yaml", kAnyRule);
  EXPECT_EQ(search.find({.target = "/repo/sub/f.yaml"}), ".sops.yaml");
  EXPECT_THAT(search.warnings, IsEmpty());
}

TEST(FindConfig, LookupTargetInTheOuterFileChoosesTheInner) {
  Search search("/repo");
  search.files.put("/repo/.sops.yaml", "config: {lookup: target}\ncreation_rules: [{age: outer}]\n");
  search.files.put("/repo/sub/.sops.yaml", kAnyRule);
  EXPECT_EQ(search.find({.target = "/repo/sub/f.yaml"}), "/repo/sub/.sops.yaml");
  EXPECT_THAT(search.warnings, IsEmpty());
  EXPECT_EQ(search.find({.target = "/repo/f.yaml"}), ".sops.yaml");
  EXPECT_EQ(search.find({}), ".sops.yaml");
}

// editing.md 6.2
TEST(FindConfig, AStrangersFileBesideTheTargetIsRefused) {
  Search search("/work");
  search.files.put("/repo/.sops.yaml", kAnyRule, 1001);
  EXPECT_EQ(search.find({.target = "/repo/f.yaml"}), "error: /repo/.sops.yaml belongs to another user");
  search.files.put("/repo/.sops.yaml", kAnyRule, 0);
  EXPECT_EQ(search.find({.target = "/repo/f.yaml"}), "/repo/.sops.yaml");
  search.files.put("/repo/.sops.yaml", kAnyRule, 1000, 01777);
  EXPECT_EQ(search.find({.target = "/repo/f.yaml"}),
            "error: /repo/.sops.yaml lies in a directory that everybody can write to");
  // Named or found by SOPS's search, owner and directory do not count.
  search.files.put("/work/.sops.yaml", kAnyRule, 1001, 01777);
  EXPECT_EQ(search.find({}), ".sops.yaml");
  EXPECT_EQ(search.find({.explicit_path = "/repo/.sops.yaml"}), "/repo/.sops.yaml");
}

TEST(FindConfig, WarningsNameTheFile) {
  Search search("/work");
  search.files.put("/work/.sops.yaml", "creation_rule: []\n");
  EXPECT_EQ(search.find({}), ".sops.yaml");
  EXPECT_THAT(search.warnings,
              ElementsAre(".sops.yaml: line 1, column 1: unknown key 'creation_rule' is ignored; did you "
                          "mean 'creation_rules'?"));
}

// ---- matching (config.md 4, 7)

TEST(CreationRules, NoMatchingRulesIsAnError) {
  const Result<Config> config = parse("creation_rules: [{path_regex: notexisting, pgp: bar}]");
  ASSERT_TRUE(config);
  EXPECT_THAT(rule_for(*config, "/conf/foobar2000"), HasSubstr("no matching creation rule"));
}

TEST(CreationRules, InvalidComplicatedRegexIsAnErrorOnceReached) {
  const Result<Config> config = parse(
      "creation_rules:\n  - {path_regex: '^first$', age: a}\n"
      "  - path_regex: '[ ]\\K(?<!\\d )(?='\n    age: a\n");
  ASSERT_TRUE(config);
  EXPECT_EQ(rule_for(*config, "/conf/first"), "0");
  const Result<RuleMatch> match = find_creation_rule(*config, "/conf/second");
  ASSERT_FALSE(match);
  EXPECT_THAT(match.error().message, StartsWith("can not compile regexp: "));
  EXPECT_THAT(match.error().message, HasSubstr("\\K"));
  EXPECT_EQ(match.error().position->line, 3u);
}

TEST(CreationRules, ComplicatedRegex) {
  const Result<Config> config = parse(R"(creation_rules:
  - path_regex: stage/dev/feature-.*
    kms: dev-feature
  - path_regex: stage/dev/.*
    kms: dev
  - path_regex: stage/staging/.*
    kms: staging
  - path_regex: stage/.*/.*
    kms: default
)");
  ASSERT_TRUE(config);
  EXPECT_EQ(rule_for(*config, "stage/prod/api.yml"), "3");
  EXPECT_EQ(rule_for(*config, "stage/dev/feature-foo.yml"), "0");
  EXPECT_EQ(rule_for(*config, "stage/dev/api.yml"), "1");
}

TEST(CreationRules, AConfigurationWithoutRulesIsNoConfigurationOfKeys) {
  for (const std::string_view text :
       {"", "\n \n", "# only a comment\n", "---\n", "---\n---\ncreation_rules: 5\n", "~", "creation_rules:\n",
        "creation_rules: null\n", "\xEF\xBB\xBF", "destination_rules: [{s3_bucket: b}]\n", "stores: {}\n"}) {
    const Result<Config> config = parse(text);
    ASSERT_TRUE(config) << text << to_string(config.error());
    EXPECT_EQ(rule_for(*config, "/conf/f"), "no rules") << text;
  }
}

TEST(CreationRules, AnEmptyListMatchesNothing) {
  const Result<Config> config = parse("creation_rules: []\n");
  ASSERT_TRUE(config);
  EXPECT_THAT(rule_for(*config, "/conf/f"), HasSubstr("no matching creation rule"));
}

TEST(CreationRules, KeysForFile) {
  const Result<Config> config = parse(R"(creation_rules:
  - path_regex: foobar*
    kms: "1"
    pgp: "2"
  - path_regex: ""
    kms: foo
    pgp: bar
)");
  ASSERT_TRUE(config);
  const Result<RuleMatch> first = find_creation_rule(*config, "/conf/foobar2000");
  ASSERT_TRUE(first);
  EXPECT_THAT(describe(first->rule->groups.at(0)), ElementsAre("pgp:2", "kms:arn=1"));
  EXPECT_EQ(first->path, "foobar2000");
  EXPECT_EQ(rule_for(*config, "/conf/whatever"), "1");
}

TEST(CreationRules, KeysForFileWithPathAndAnUnknownKey) {
  const std::string_view text = R"(creation_rules:
  - path_regex: foo/bar*
    kms: one
    hc_vault_uris: https://foo.vault:8200/v1/foo/keys/foo-key
  - path_regex: somefilename.yml
    kms: two
    hc_vault_uris: https://foo.vault:8200/v1/foo/keys/foo-key
  - path_regex: ""
    kms: three
    hc_vault_uris: https://foo.vault:8200/v1/foo/keys/foo-key
)";
  const Result<Config> config = parse(text);
  ASSERT_TRUE(config);
  EXPECT_EQ(rule_for(*config, "foo/bar2000"), "0");
  EXPECT_EQ(rule_for(*config, "somefilename.yml"), "1");
  EXPECT_EQ(rule_for(*config, "other"), "2");
  EXPECT_THAT(warnings_of(text), IsEmpty());
}

TEST(CreationRules, AmbiguousPathIsSeenRelativeToTheConfiguration) {
  Result<Config> config = parse("creation_rules: [{path_regex: foo/*, kms: foo}]");
  ASSERT_TRUE(config);
  config->directory = "/foo";
  EXPECT_EQ(rule_for(*config, "/foo/foo/bar"), "0");
  EXPECT_THAT(rule_for(*config, "/foo/fuu/bar"), HasSubstr("no matching creation rule"));
}

TEST(CreationRules, OutsideTheDirectoryOfTheConfigurationThePathIsAbsolute) {
  Result<Config> config = parse("creation_rules: [{path_regex: ^sub/x, age: a}, {path_regex: ^/other/x, age: b}]");
  ASSERT_TRUE(config);
  EXPECT_EQ(rule_for(*config, "/conf/sub/x"), "0");
  EXPECT_EQ(rule_for(*config, "/other/x"), "1");
  EXPECT_THAT(rule_for(*config, "/confsub/x"), HasSubstr("no matching"));
  config->directory = "/";  // "With the config in `/` nothing is removed."
  EXPECT_EQ(rule_for(*config, "/other/x"), "1");
  EXPECT_THAT(rule_for(*config, "/sub/x"), HasSubstr("no matching"));
}

TEST(CreationRules, PatternsAreUnanchoredAndKnowCase) {
  const Result<Config> config = parse("creation_rules: [{path_regex: B, age: a}, {path_regex: '(?i)B', age: b}]");
  ASSERT_TRUE(config);
  EXPECT_EQ(rule_for(*config, "/conf/aBc"), "0");
  EXPECT_EQ(rule_for(*config, "/conf/abc"), "1");
}

TEST(CreationRules, EachSelectionSettingIsCarriedOver) {
  const std::pair<std::string_view, std::string SelectionSettings::*> settings[] = {
      {"unencrypted_suffix: _unencrypted", &SelectionSettings::unencrypted_suffix},
      {"encrypted_suffix: _unencrypted", &SelectionSettings::encrypted_suffix},
      {"unencrypted_regex: _unencrypted", &SelectionSettings::unencrypted_regex},
      {"encrypted_regex: _unencrypted", &SelectionSettings::encrypted_regex},
      {"unencrypted_comment_regex: _unencrypted", &SelectionSettings::unencrypted_comment_regex},
      {"encrypted_comment_regex: _unencrypted", &SelectionSettings::encrypted_comment_regex}};
  for (const auto& [line, member] : settings) {
    const Result<Config> config =
        parse(format("creation_rules:\n  - path_regex: bar?foo$\n    age: a\n    {}\n", line));
    ASSERT_TRUE(config);
    const Result<RuleMatch> match = find_creation_rule(*config, "/conf/barfoo");
    ASSERT_TRUE(match);
    EXPECT_EQ(match->rule->selection.*member, "_unencrypted") << line;
    EXPECT_EQ(match->rule->selection.count(), 1);
  }
}

TEST(CreationRules, BothSuffixesAreAnErrorOfTheChosenRuleOnly) {
  const Result<Config> config = parse(R"(creation_rules:
  - path_regex: foobar
    age: a
    encrypted_suffix: _enc
    unencrypted_suffix: _dec
  - age: a
)");
  ASSERT_TRUE(config);
  EXPECT_EQ(rule_for(*config, "/conf/other"), "1");
  const Result<RuleMatch> match = find_creation_rule(*config, "/conf/foobar");
  ASSERT_FALSE(match);
  EXPECT_EQ(match.error().exit_status, ExitStatus::kGeneric);
  EXPECT_EQ(match.error().position->line, 2u);
}

// Tried: a wrong type in a flat key field of a rule that is not chosen, or that has key groups, does no harm.
TEST(CreationRules, WrongKeyFieldsAreAnErrorOfTheChosenRuleOnly) {
  const Result<Config> config = parse(R"(creation_rules:
  - path_regex: number
    pgp: 1234
  - path_regex: mapping
    age: {a: b}
  - path_regex: item
    pgp: [abc, 12E3]
  - path_regex: groups
    pgp: 1234
    key_groups: [{age: [a]}]
  - age: a
)");
  ASSERT_TRUE(config);
  EXPECT_EQ(rule_for(*config, "/conf/f"), "4");
  EXPECT_EQ(rule_for(*config, "/conf/groups"), "3");
  EXPECT_EQ(rule_for(*config, "/conf/number"),
            "line 3, column 10: pgp must be text or a list of texts, not an integer");
  EXPECT_EQ(rule_for(*config, "/conf/mapping"),
            "line 5, column 10: age must be text or a list of texts, not a mapping");
  EXPECT_EQ(rule_for(*config, "/conf/item"), "line 7, column 16: an item of pgp must be text, not a number");
}

// ---- keys (config.md 3.3, 3.4, 7)

TEST(Keys, FieldsOfTwoRulesAreReadVerbatim) {
  const Result<Config> config = parse(R"(creation_rules:
  - path_regex: foobar*
    kms: "1"
    pgp: "2"
    gcp_kms: "3"
    hckms: [ "tr-west-1:test-key-1" ]
    hc_vault_transit_uri: http://4:8200/v1/4/keys/4
  - path_regex: ""
    kms: foo
    pgp: bar
    gcp_kms: baz
    hckms:
      - tr-west-1:test-key-2
    hc_vault_transit_uri: http://127.0.1.1/v1/baz/keys/baz-key
)");
  ASSERT_TRUE(config);
  EXPECT_THAT(describe(config->creation_rules->at(0).groups.at(0)),
              ElementsAre("pgp:2", "kms:arn=1", "gcp_kms:3", "hckms:tr-west-1:test-key-1",
                          "hc_vault:http://4:8200/v1/4/keys/4"));
  EXPECT_THAT(describe(config->creation_rules->at(1).groups.at(0)),
              ElementsAre("pgp:bar", "kms:arn=foo", "gcp_kms:baz", "hckms:tr-west-1:test-key-2",
                          "hc_vault:http://127.0.1.1/v1/baz/keys/baz-key"));
  EXPECT_FALSE(config->stores.yaml_indent || config->stores.json_indent || config->stores.json_binary_indent);
}

TEST(Keys, TheFlatOrderIsThatOfSops) {
  EXPECT_THAT(keys_of(R"(creation_rules:
  - hc_vault_transit_uri: [v]
    azure_keyvault: [z]
    hckms: [h]
    gcp_kms: [g]
    kms: [k]
    pgp: [p, q]
    age: [a]
)"),
              ElementsAre("age:a", "pgp:p", "pgp:q", "kms:arn=k", "gcp_kms:g", "hckms:h", "azure_kv:z", "hc_vault:v"));
}

// config.md 3.3: "split at commas, each part trimmed (spaces, tabs, newlines …), empty parts dropped"
TEST(Keys, ATextIsSplitAndTrimmed) {
  EXPECT_THAT(keys_of("creation_rules:\n  - age: >-\n      one,\n      two ,,\n"), ElementsAre("age:one", "age:two"));
  EXPECT_THAT(keys_of("creation_rules: [{age: ''}]"), IsEmpty());
  EXPECT_THAT(keys_of("creation_rules: [{age: ' '}]"), IsEmpty());  // tried
  EXPECT_THAT(keys_of("creation_rules: [{age: ~}]"), IsEmpty());
}

// config.md 3.3: "Items are not trimmed here and empty items are kept. The resulting list is joined with commas". What
// the key source gets must have the same parts. Tried: [""] is no key at all, ["a", ""] and [" "] are errors of the key
// source.
TEST(Keys, AListIsHandedOnWithItsEmptyItems) {
  EXPECT_THAT(keys_of("creation_rules: [{age: ['a', ' b,c']}]"), ElementsAre("age:a", "age: b,c"));
  EXPECT_THAT(keys_of("creation_rules: [{age: ['a', '', 'b']}]"), ElementsAre("age:a,,b"));
  EXPECT_THAT(keys_of("creation_rules: [{age: ['', '']}]"), ElementsAre("age:,"));
  EXPECT_THAT(keys_of("creation_rules: [{age: ['']}]"), IsEmpty());
  EXPECT_THAT(keys_of("creation_rules: [{age: [' ']}]"), ElementsAre("age: "));
  EXPECT_THAT(keys_of("creation_rules: [{age: []}]"), IsEmpty());
}

// config.md 3.3: "unquoted items that look like integers, floats – digits with a single `E` – booleans, dates or null
// are errors"
TEST(Keys, ItemsThatAreNoTextAreErrors) {
  for (const std::string_view item : {"1234", "12E34", "1.5", "true", "2001-01-01", "~", "[a]", "{a: b}"}) {
    EXPECT_THAT(keys_of(format("creation_rules: [{{pgp: [{}]}}]", item)), ElementsAre(HasSubstr("must be text")))
        << item;
  }
  EXPECT_THAT(keys_of("creation_rules: [{pgp: ['1234', 12EE34, yes, !!str 5]}]"),
              ElementsAre("pgp:1234", "pgp:12EE34", "pgp:yes", "pgp:5"));
}

TEST(Keys, HckmsIsATypedListAndHereAlsoAText) {
  EXPECT_THAT(keys_of("creation_rules: [{hckms: [a:b, 5, ~]}]"), ElementsAre("hckms:a:b", "hckms:5"));
  EXPECT_THAT(keys_of("creation_rules: [{hckms: 'a:b, c:d'}]"), ElementsAre("hckms:a:b", "hckms:c:d"));
  // Type-checked with the document, in any rule.
  EXPECT_THAT(parse_error("creation_rules: [{age: a}, {hckms: {a: b}}]"), HasSubstr("hckms must be"));
  EXPECT_THAT(parse_error("creation_rules: [{age: a}, {hckms: [[a]]}]"), HasSubstr("must be text"));
}

TEST(Keys, KmsIsSplitIntoArnAndRoleAndHasTheProfileOfItsRule) {
  EXPECT_THAT(keys_of("creation_rules: [{kms: 'arn:x + arn:role, arn:y', aws_profile: p, age: a}]"),
              ElementsAre("age:a", "kms:arn=arn:x,aws_profile=p,role=arn:role", "kms:arn=arn:y,aws_profile=p"));
}

// config.md 7, "Load with merge" and "Keys with groups".
TEST(Keys, GroupsWithMerge) {
  const Result<Config> config = parse(R"(creation_rules:
  - path_regex: ""
    key_groups:
      - hc_vault: [ https://foo.vault:8200/v1/foo/keys/foo-key ]
      - merge:
          - merge:
              - pgp: [ foo ]
                kms: [ {arn: foo, aws_profile: foo} ]
              - kms: [ {arn: foo, role: '123', context: {baz: bam}, aws_profile: bar} ]
                gcp_kms: [ {resource_id: foo} ]
                azure_keyvault: [ {vaultUrl: 'https://foo.vault.azure.net', key: foo-key, version: fooversion} ]
                hc_vault: [ https://bar.vault:8200/v1/bar/keys/bar-key ]
            pgp: [ bar ]
            gcp_kms: [ {resource_id: bar}, {resource_id: b a z} ]
          - hckms: [ {key_id: 'tr-west-1:key'} ]
        age: [ 'x, y' ]
        pgp: [ q u x ]
)");
  ASSERT_TRUE(config) << to_string(config.error());
  const CreationRule& rule = config->creation_rules->at(0);
  ASSERT_EQ(rule.groups.size(), 2u);
  EXPECT_THAT(describe(rule.groups[0]), ElementsAre("hc_vault:https://foo.vault:8200/v1/foo/keys/foo-key"));
  EXPECT_THAT(
      describe(rule.groups[1]),
      ElementsAre("pgp:fp=foo", "kms:arn=foo,aws_profile=foo", "kms:arn=foo,aws_profile=bar,context={baz:bam},role=123",
                  "gcp_kms:resource_id=foo",
                  "azure_kv:name=foo-key,vault_url=https://foo.vault.azure.net,version=fooversion",
                  "hc_vault:https://bar.vault:8200/v1/bar/keys/bar-key", "pgp:fp=bar", "gcp_kms:resource_id=bar",
                  "gcp_kms:resource_id=baz", "hckms:key_id=tr-west-1:key", "age:x, y", "pgp:fp=qux"));
  EXPECT_TRUE(rule.groups[1].drop_repeated);
}

// config.md 3.4: "A rule without any key, `key_groups: []` … and `key_groups: [{}]` all yield one empty group."
TEST(Keys, NoKeysAreOneEmptyGroup) {
  for (const std::string_view rule :
       {"{path_regex: ''}", "{key_groups: []}", "{key_groups: [{}]}", "{key_groups: [~]}"}) {
    const Result<Config> config = parse(format("creation_rules: [{}]", rule));
    ASSERT_TRUE(config) << rule;
    ASSERT_EQ(config->creation_rules->at(0).groups.size(), 1u) << rule;
    EXPECT_THAT(config->creation_rules->at(0).groups[0].keys, IsEmpty()) << rule;
  }
  EXPECT_THAT(keys_of("creation_rules: [{age: a, key_groups: []}]"), ElementsAre("age:a"));
  EXPECT_THAT(keys_of("creation_rules: [{age: a, key_groups: [{}]}]"), IsEmpty());
}

TEST(Keys, GroupsHaveExactTypes) {
  for (const std::string_view group :
       {"{kms: [arn]}", "{pgp: abc}", "{age: {a: b}}", "{gcp_kms: [x]}", "{azure_keyvault: x}", "{hckms: [a:b]}",
        "{hc_vault: [[a]]}", "{hc_vault: ['']}", "{merge: {age: [a]}}", "{merge: [{kms: x}]}", "x",
        "{kms: [{arn: x, context: 5}]}", "{kms: [{arn: x, context: {a: ~}}]}",
        "{kms: [{arn: x, context: {a: [1]}}]}"}) {
    const Result<Config> config = parse(format("creation_rules: [{{key_groups: [{}]}}]", group));
    ASSERT_FALSE(config) << group;
    EXPECT_TRUE(config.error().position.has_value()) << group;
  }
  EXPECT_THAT(keys_of("creation_rules: [{key_groups: [{pgp: [12, ~], kms: [~, {arn: 5, context: {a: 7, 8: b}}]}]}]"),
              ElementsAre("pgp:fp=12", "kms:arn=5,context={8:b}{a:7}"));
}

TEST(Keys, ThousandsOfNestedMergesNeedNoStack) {
  std::string text = "creation_rules: [{key_groups: [";
  for (int i = 0; i < 2000; ++i) text += "{merge: [";
  text += "{age: [a]}";
  for (int i = 0; i < 2000; ++i) text += "]}";
  text += "]}]";
  EXPECT_THAT(keys_of(text), ElementsAre("age:a"));
}

// keys.md 1.7
TEST(Keys, ALabelIsTheCommentBesideOrAbove) {
  const Result<Config> config = parse(R"(x-keys:
  - &bob age1bob  # Bob
creation_rules:
  # not this one
  - age:
      - age1alice # Alice
      # The backup in the safe
      - age1safe
      - *bob
      - age1none
    pgp: one # The one
    kms: two, three # nobody
  - key_groups:
      - kms:
          # Production
          - arn: x
            role: y
        age: [ a, b ] # both
)");
  ASSERT_TRUE(config) << to_string(config.error());
  std::vector<std::string> labels;
  for (const CreationRule& rule : *config->creation_rules) {
    for (const KeySpec& key : rule.groups[0].keys) labels.push_back(key.label);
  }
  EXPECT_THAT(labels,
              ElementsAre("Alice", "The backup in the safe", "Bob", "", "The one", "", "", "", "", "Production"));
  EXPECT_EQ(config->creation_rules->at(0).groups[0].keys[1].position.line, 8u);
  EXPECT_EQ(config->creation_rules->at(0).groups[0].keys[1].position.column, 9u);
}

TEST(Keys, MasterKeysAreMadeInOrderAndRepeatedOnesDroppedInGroupsOnly) {
  const KeySourceType* const sources[] = {&kFakeAge, &kFakeKms};
  const Result<Config> config = parse(R"(creation_rules:
  - age: [b, a, b]
    kms: x
  - key_groups:
      - merge: [{age: [b]}]
        age: ['a,b', c]
        kms: [{arn: a}, {arn: a}]
  - age: a
    pgp: p
  - age: [a, bad]
)");
  ASSERT_TRUE(config);
  const std::vector<CreationRule>& rules = *config->creation_rules;
  EXPECT_THAT(ids_of(rules[0].groups[0], sources), ElementsAre("b", "a", "b", "x"));
  EXPECT_THAT(ids_of(rules[1].groups[0], sources), ElementsAre("b", "a", "c", "a"));
  EXPECT_THAT(ids_of(rules[2].groups[0], sources), ElementsAre("line 9, column 10: pgp keys are not supported yet"));
  EXPECT_THAT(ids_of(rules[3].groups[0], sources), ElementsAre("line 10, column 14: no key: bad"));
}

TEST(Keys, AKeySourceThatSopsDoesNotHaveBringsItsOwnField) {
  const KeySourceType* const sources[] = {&kFakeAge, &kFakeNew};
  std::vector<std::string> warnings;
  const Result<Config> config =
      parse_config("creation_rules: [{token_uri: t, age: a}, {key_groups: [{token_uri: [u]}]}]", sources, warnings);
  ASSERT_TRUE(config);
  EXPECT_THAT(describe(config->creation_rules->at(0).groups[0]), ElementsAre("age:a", "token:t"));
  EXPECT_THAT(ids_of(config->creation_rules->at(1).groups[0], sources), ElementsAre("u"));
}

// ---- types (config.md 2)

TEST(Types, AStringIsWhatIsWritten) {
  const std::pair<std::string_view, std::string_view> cases[] = {{"123", "123"},
                                                                 {"0x10", "0x10"},
                                                                 {"1_000", "1_000"},
                                                                 {"TRUE", "TRUE"},
                                                                 {"2001-1-2", "2001-1-2"},
                                                                 {"'1'", "1"},
                                                                 {"~", ""},
                                                                 {"1.50", "1.50"},
                                                                 {"\"a\\tb\"", "a\tb"},
                                                                 {"!!int '0x10'", "0x10"},
                                                                 {"yes", "yes"},
                                                                 {"!!str 0x1", "0x1"},
                                                                 {"|-\n      a", "a"},
                                                                 {"!!binary X2VuYw==", "_enc"}};
  for (const auto& [written, expected] : cases) {
    const Result<Config> config = parse(format("creation_rules:\n  - encrypted_suffix: {}\n", written));
    ASSERT_TRUE(config) << written << to_string(config.error());
    EXPECT_EQ(config->creation_rules->at(0).selection.encrypted_suffix, expected) << written;
  }
  EXPECT_EQ(parse_error("creation_rules:\n  - path_regex: [a]\n"),
            "line 2, column 17: path_regex must be text, not a list");
}

TEST(Types, AnIntegerMayBeAFloatButNotAText) {
  const std::pair<std::string_view, int64_t> cases[] = {{"3", 3},   {"0x10", 16}, {"0o17", 15}, {"1_0", 10},
                                                        {"-4", -4}, {"2.5", 2},   {"-2.5", -2}, {"1e2", 100},
                                                        {"~", 0},   {"0x_1", 1}};
  for (const auto& [written, expected] : cases) {
    const Result<Config> config = parse(format("creation_rules: [{{shamir_threshold: {}}}]", written));
    ASSERT_TRUE(config) << written;
    EXPECT_EQ(config->creation_rules->at(0).shamir_threshold, expected) << written;
  }
  for (const std::string_view written : {"'3'", "true", "99999999999999999999", "18446744073709551615", ".inf", "-.inf",
                                         ".nan", "1e300", "[3]", "three", "''"})
    EXPECT_FALSE(parse(format("creation_rules: [{{shamir_threshold: {}}}]", written))) << written;
}

TEST(Types, ABooleanMayBeAWordOfYaml11) {
  for (const std::string_view written :
       {"true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "'yes'", "\"on\""}) {
    const Result<Config> config = parse(format("creation_rules: [{{mac_only_encrypted: {}}}]", written));
    ASSERT_TRUE(config) << written;
    EXPECT_TRUE(config->creation_rules->at(0).mac_only_encrypted) << written;
  }
  for (const std::string_view written : {"false", "FALSE", "n", "no", "NO", "off", "Off", "'no'", "~", "null"}) {
    const Result<Config> config = parse(format("creation_rules: [{{mac_only_encrypted: {}}}]", written));
    ASSERT_TRUE(config) << written;
    EXPECT_FALSE(config->creation_rules->at(0).mac_only_encrypted) << written;
  }
  for (const std::string_view written : {"'true'", "1", "yEs", "maybe", "[]", "''"})
    EXPECT_FALSE(parse(format("creation_rules: [{{mac_only_encrypted: {}}}]", written))) << written;
}

// All tried.
TEST(Types, WrongTypesAnywhereAreErrorsWithPositions) {
  for (const std::string_view text : {"[]",
                                      "5",
                                      "text",
                                      "creation_rules: {}",
                                      "creation_rules: 5",
                                      "creation_rules: [5]",
                                      "creation_rules: [[]]",
                                      "destination_rules: {}",
                                      "destination_rules: [{omit_extensions: 1}]",
                                      "destination_rules: [{recreation_rule: []}]",
                                      "destination_rules: [{recreation_rule: {shamir_threshold: x}}]",
                                      "stores: []",
                                      "stores: {yaml: 5}",
                                      "stores: {dotenv: 5}",
                                      "stores: {json: {indent: x}}",
                                      "creation_rules: [{key_groups: {}}]",
                                      "a: 1\na: 2\n",
                                      "creation_rules:\n  - age: a\n    age: b\n",
                                      "? [a, b]\n: c\n",
                                      "a: [",
                                      "a: *nothing\n"}) {
    const Result<Config> config = parse(text);
    ASSERT_FALSE(config) << text;
    EXPECT_TRUE(config.error().position.has_value()) << text;
    EXPECT_EQ(config.error().exit_status.value_or(ExitStatus::kGeneric), ExitStatus::kGeneric) << text;
  }
}

TEST(Types, AnchorsAliasesAndMergesWork) {
  // Tried: own keys win, also null ones; then the first of a merged list; what is hidden is not type-checked.
  const Result<Config> config =
      parse(R"(x-base: &base {encrypted_suffix: base, shamir_threshold: abc, path_regex: from-base}
x-list: &list [one, two]
creation_rules:
  - <<: *base
    shamir_threshold: 1
    age: *list
  - <<: [{encrypted_suffix: first}, {encrypted_suffix: second, encrypted_regex: r}]
    encrypted_regex: ~
  - "<<": 5
    age: &one one
  - age: *one
)");
  ASSERT_TRUE(config) << to_string(config.error());
  const std::vector<CreationRule>& rules = *config->creation_rules;
  EXPECT_EQ(rules[0].selection.encrypted_suffix, "base");
  EXPECT_EQ(rules[0].shamir_threshold, 1);
  EXPECT_THAT(describe(rules[0].groups[0]), ElementsAre("age:one", "age:two"));
  EXPECT_EQ(rules[1].selection.encrypted_suffix, "first");
  EXPECT_EQ(rules[1].selection.encrypted_regex, "");
  EXPECT_THAT(describe(rules[3].groups[0]), ElementsAre("age:one"));
}

// Tried: what stands behind the first document is not even parsed.
TEST(Types, OnlyTheFirstDocumentCounts) {
  for (const std::string_view text :
       {"creation_rules: [{age: a}]\n---\nfoo: [\n", "creation_rules: [{age: a}]\n...\nfoo: [\n",
        "# c\n---\ncreation_rules: [{age: a}]\n--- 5\n", "--- {creation_rules: [{age: a}]}\n---\n"})
    EXPECT_THAT(keys_of(text), ElementsAre("age:a")) << text;
}

TEST(Types, Utf16AndAByteOrderMarkAreRead) {
  EXPECT_THAT(keys_of("\xEF\xBB\xBF"
                      "creation_rules: [{age: a}]"),
              ElementsAre("age:a"));
  std::string wide = "\xFF\xFE";
  for (const char c : std::string_view("creation_rules: [{age: a}]\n")) wide += {c, '\0'};
  EXPECT_THAT(keys_of(wide), ElementsAre("age:a"));
}

// ---- unknown keys (editing.md 6.4)

TEST(UnknownKeys, AreNeverAnErrorAndOnlyMisspeltOnesGiveAWarning) {
  EXPECT_THAT(warnings_of("creation_rule: []"),
              ElementsAre("line 1, column 1: unknown key 'creation_rule' is ignored; did you mean 'creation_rules'?"));
  EXPECT_THAT(warnings_of("creation_rules:\n  - path_rexeg: a\n    age: b\n"), ElementsAre(HasSubstr("'path_regex'")));
  EXPECT_THAT(warnings_of("creation_rules: [{key_groups: [{kms: [{arm: a}]}]}]"), ElementsAre(HasSubstr("'arn'")));
  EXPECT_THAT(warnings_of("stores: {yaml: {indnt: 2}}"), ElementsAre(HasSubstr("'indent'")));
  for (const std::string_view text :
       {"x-creation_rules: []", "creation_rule: &anchor []", "something_else: 1",
        "creation_rules: [{age: a, note: [1]}]", "destination_rules: [{reencryption_rule: {pgp: a}}]",
        "stores: {ini: {indent: x}, dotenv: {a: b}}", "creation_rules: [{key_groups: [{aws_profile: p}]}]",
        "5: a\ntrue: b\n~: c\n"})
    EXPECT_THAT(warnings_of(text), IsEmpty()) << text;
}

TEST(UnknownKeys, OurOwnSectionIsNeverAnError) {
  EXPECT_TRUE(parse("config: {lookup: target}")->looks_from_target);
  EXPECT_THAT(warnings_of("config: {lookup: elsewhere}"), ElementsAre(HasSubstr("lookup")));
  EXPECT_THAT(warnings_of("config: 5"), ElementsAre(HasSubstr("config")));
  EXPECT_THAT(warnings_of("config: {other: 5}"), IsEmpty());
  EXPECT_FALSE(parse("config: {lookup: ~}")->looks_from_target);
}

// ---- stores and destinations (config.md 3.5, 3.6, 7)

TEST(Stores, IndentsAreReadAsWrittenAndUnsetByDefault) {
  const Result<Config> config = parse("stores:\n  yaml: {indent: 2}\n  json: {indent: 0}\n  json_binary:\n  ini: {}\n");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->stores.indent_for("yaml"), 2);
  EXPECT_EQ(config->stores.indent_for("json"), 0);
  EXPECT_EQ(config->stores.indent_for("binary"), std::nullopt);
  EXPECT_EQ(config->stores.indent_for("ini"), std::nullopt);
  const Result<Config> odd =
      parse("stores: {json: {indent: -5}, json_binary: {indent: 9000000000}, yaml: {indent: ~}}");
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->stores.indent_for("json"), -5);
  EXPECT_EQ(odd->stores.indent_for("binary"), std::numeric_limits<int>::max());
  EXPECT_EQ(odd->stores.indent_for("yaml"), std::nullopt);
}

TEST(Destinations, FieldsAndDefaults) {
  const Result<Config> config = parse(R"(destination_rules:
  - s3_bucket: foobar
    s3_prefix: test/
    recreation_rule:
      pgp: newpgp
    path_regex: foobar*
  - vault_path: barfoo/
    vault_kv_mount_name: kv/
    vault_kv_version: 1
    path_regex: vault-v1/*
  - vault_path: foobar/
    vault_kv_version: 7
    omit_extensions: true
)");
  ASSERT_TRUE(config) << to_string(config.error());
  const Result<const DestinationRule*> first = find_destination_rule(*config, "foobar");
  ASSERT_TRUE(first);
  EXPECT_EQ((*first)->s3_bucket + (*first)->s3_prefix, "foobartest/");
  EXPECT_THAT(describe((*first)->recreation_rule.groups.at(0)), ElementsAre("pgp:newpgp"));
  const Result<const DestinationRule*> second = find_destination_rule(*config, "vault-v1/x");
  ASSERT_TRUE(second);
  EXPECT_EQ((*second)->vault_kv_mount_name, "kv/");
  EXPECT_EQ((*second)->vault_kv_version, 1);
  const Result<const DestinationRule*> third = find_destination_rule(*config, "else");
  ASSERT_TRUE(third);
  EXPECT_EQ((*third)->vault_kv_mount_name, "secret/");
  EXPECT_EQ((*third)->vault_kv_version, 2);
  EXPECT_TRUE((*third)->omit_extensions);
  EXPECT_EQ((*third)->recreation_rule.groups.size(), 1u);
}

TEST(Destinations, MoreThanOneIsAnErrorOfTheChosenRule) {
  for (const std::string_view targets :
       {"s3_bucket: a, gcs_bucket: b", "s3_bucket: a, vault_path: c", "gcs_bucket: b, vault_path: c",
        "s3_bucket: a, gcs_bucket: b, vault_path: c"}) {
    const Result<Config> config = parse(format("destination_rules: [{{path_regex: ^test/.*, {}}}]", targets));
    ASSERT_TRUE(config);
    const Result<const DestinationRule*> rule = find_destination_rule(*config, "test/secrets.yaml");
    ASSERT_FALSE(rule);
    EXPECT_THAT(rule.error().message, HasSubstr("more than one destinations were found"));
    EXPECT_THAT(to_string(find_destination_rule(*config, "other").error()), HasSubstr("no matching destination rule"));
  }
}

// config.md 4: "a regex that does not compile simply never matches"; the recreation rule is validated.
TEST(Destinations, BadPatternsNeverMatchAndTheRecreationRuleIsValidated) {
  const Result<Config> config = parse(R"(destination_rules:
  - {path_regex: '(', s3_bucket: a}
  - {path_regex: good, s3_bucket: b}
  - s3_bucket: c
    recreation_rule: {encrypted_suffix: a, encrypted_regex: b}
)");
  ASSERT_TRUE(config);
  const Result<const DestinationRule*> rule = find_destination_rule(*config, "good");
  ASSERT_TRUE(rule);
  EXPECT_EQ((*rule)->s3_bucket, "b");
  EXPECT_FALSE(find_destination_rule(*config, "other"));
}

// ---- hostile input

TEST(HostileInput, EveryPrefixAndEveryFlippedByteGivesAConfigurationOrAnError) {
  const std::string text =
      "x: &b {age: 'a', shamir_threshold: 0x1}\ncreation_rules:\n  - <<: *b\n    path_regex: '^a'\n    key_groups:\n"
      "      - merge: [{kms: [{arn: x, context: {a: b}}]}]\n        pgp: [1, ~]\nstores: {yaml: {indent: "
      "2.5}}\n---\nz: [";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    const Result<Config> config = parse(text.substr(0, cut));
    if (config) (void)find_creation_rule(*config, "/conf/a");
  }
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char flip : {'\x01', '\x20', '\x80'}) {
      std::string flipped = text;
      flipped[at] = static_cast<char>(flipped[at] ^ flip);
      const Result<Config> config = parse(flipped);
      if (config) (void)find_creation_rule(*config, "/conf/a");
    }
  }
}

TEST(HostileInput, DeepNestingAndAliasBombsAreErrors) {
  EXPECT_FALSE(parse("creation_rules: " + std::string(20000, '[')));
  std::string bomb = "a0: &a0 {pgp: [x, x, x, x, x, x, x, x, x]}\n";
  for (int i = 1; i < 30; ++i) {
    bomb += format("a{}: &a{} {{merge: [*a{}, *a{}, *a{}, *a{}]}}\n", i, i, i - 1, i - 1, i - 1, i - 1);
  }
  EXPECT_FALSE(parse(bomb + "creation_rules: [{key_groups: [*a29]}]\n"));
}

// ---- paths (base/path.h); Source: the documented examples and rules of Go's path/filepath

TEST(Paths, AreCleanedAsTexts) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "."},         {".", "."},      {"a", "a"},       {"a/", "a"},           {"/", "/"},
      {"//", "/"},       {"a//b", "a/b"}, {"a/./b", "a/b"}, {"a/../b", "b"},       {"../a", "../a"},
      {"a/../..", ".."}, {"/..", "/"},    {"/../a", "/a"},  {"/a/b/../c", "/a/c"}, {"../../x", "../../x"},
      {"./a", "a"},      {"a/..", "."},   {"/a/..", "/"}};
  for (const auto& [path, clean] : cases) EXPECT_EQ(clean_path(path), clean) << path;
  EXPECT_EQ(absolute_path("../x", "/a/b"), "/a/x");
  EXPECT_EQ(absolute_path("/x/", "/a/b"), "/x");
  EXPECT_EQ(absolute_path("", "/a/b"), "/a/b");
  EXPECT_EQ(dirname("/a/b"), "/a");
  EXPECT_EQ(dirname("/a"), "/");
  EXPECT_EQ(dirname("a"), ".");
  EXPECT_EQ(dirname("/a/b/"), "/a/b");
  EXPECT_EQ(dirname("../.sops.yaml"), "..");
  EXPECT_EQ(basename("/a/b/"), "b");
  EXPECT_EQ(basename("/"), "/");
  EXPECT_EQ(basename(""), ".");
}

}  // namespace
}  // namespace sops
