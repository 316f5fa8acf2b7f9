// SPDX-License-Identifier: MPL-2.0
//
// The table of the configuration's keys against the parser that reads with it. Names and types: config.md 3.
#include "config/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "config/config.h"

namespace sops {
namespace {

using testing::HasSubstr;

// A configuration with one mapping of a section: what stands before and behind its content.
struct Place {
  const SettingSection* section;
  std::string before;
  std::string behind;
};

const Place kPlaces[] = {
    {&kTopSection, "{", "}"},
    {&kRuleSection, "creation_rules: [{", "}]"},
    {&kRuleSection, "destination_rules: [{recreation_rule: {", "}}]"},
    {&kGroupSection, "creation_rules: [{key_groups: [{", "}]}]"},
    {&kGroupSection, "creation_rules: [{key_groups: [{merge: [{", "}]}]}]"},
    {&kDestinationSection, "destination_rules: [{", "}]"},
    {&kStoresSection, "stores: {", "}"},
    {&kStoreSection, "stores: {yaml: {", "}}"},
    {&kStoreSection, "stores: {json: {", "}}"},
    {&kStoreSection, "stores: {json_binary: {", "}}"},
};

std::string fill(const Place& place, const std::string& content) { return place.before + content + place.behind; }

// The keys that a mapping of the section may have.
std::vector<std::string> names_of(const SettingSection& section) {
  std::vector<std::string> names;
  for (const Setting& setting : section.settings) names.emplace_back(setting.name);
  for (const KeyField& field : kKeyFields) {
    if (&section == &kRuleSection) names.emplace_back(field.rule_field);
    if (&section == &kGroupSection) names.emplace_back(field.group_field);
  }
  return names;
}

std::string warnings_of(const std::string& text) {
  std::vector<std::string> warnings;
  const Result<Config> config = parse_config(text, {}, warnings);
  return config ? join(warnings, "\n") : "error: " + to_string(config.error());
}

TEST(SettingTable, HasTheKeysOfTheSpecification) {
  EXPECT_THAT(names_of(kTopSection), testing::ElementsAre("creation_rules", "destination_rules", "stores", "config"));
  EXPECT_THAT(names_of(kRuleSection),
              testing::UnorderedElementsAre("path_regex", "kms", "aws_profile", "age", "pgp", "gcp_kms", "hckms",
                                            "azure_keyvault", "hc_vault_transit_uri", "key_groups", "shamir_threshold",
                                            "unencrypted_suffix", "encrypted_suffix", "unencrypted_regex",
                                            "encrypted_regex", "unencrypted_comment_regex", "encrypted_comment_regex",
                                            "mac_only_encrypted"));  // config.md 3.2
  EXPECT_THAT(names_of(kGroupSection),
              testing::UnorderedElementsAre("merge", "age", "pgp", "kms", "gcp_kms", "hckms", "azure_keyvault",
                                            "hc_vault"));  // 3.4
  EXPECT_THAT(
      names_of(kDestinationSection),
      testing::UnorderedElementsAre("path_regex", "s3_bucket", "s3_prefix", "gcs_bucket", "gcs_prefix", "vault_path",
                                    "vault_address", "vault_kv_mount_name", "vault_kv_version", "recreation_rule",
                                    "omit_extensions"));  // 3.5
  EXPECT_THAT(names_of(kStoresSection),
              testing::UnorderedElementsAre("yaml", "json", "json_binary", "dotenv", "ini"));  // 3.6
}

// A misspelt name is answered with the one that the parser knows.
TEST(SettingTable, NamesWhatTheParserKnows) {
  for (const Place& place : kPlaces) {
    for (const std::string& name : names_of(*place.section)) {
      const std::string text = fill(place, name + "Q: null");
      EXPECT_THAT(warnings_of(text), HasSubstr(format("did you mean '{}'", name))) << text;
      EXPECT_EQ(warnings_of(fill(place, name + ": null")), "");
    }
  }
}

TEST(SettingTable, GivesTheTypesThatTheParserAsksFor) {
  for (const Place& place : kPlaces) {
    for (const Setting& setting : place.section->settings) {
      const bool is_list = setting.type == SettingType::kMany;
      // Wrong for each type: a list for what is none, a number for a list. `config` is SOPS's to ignore: never an
      // error.
      const std::string text = fill(place, format("{}: {}", setting.name, is_list ? "5" : "[5]"));
      if (setting.name == "config") continue;
      EXPECT_THAT(warnings_of(text), HasSubstr("error: ")) << text;
      const bool is_number = setting.type == SettingType::kInteger;
      if (!is_number) continue;
      EXPECT_EQ(warnings_of(fill(place, format("{}: 3", setting.name))), "");
      EXPECT_THAT(warnings_of(fill(place, format("{}: 'three'", setting.name))), HasSubstr("error: "));
    }
  }
}

TEST(ConfigSchema, NamesEverySettingAndSourcesThatSopsDoesNotHave) {
  KeySourceType source;
  source.id = "abacus";
  source.summary = "beads";
  source.rule_field = "abacus_rows";
  const KeySourceType* const sources[] = {&source};
  const std::string schema = config_schema(sources);
  for (const Place& place : kPlaces) {
    for (const std::string& name : names_of(*place.section))
      EXPECT_THAT(schema, HasSubstr("\"" + name + "\": {")) << name;
  }
  for (const KeyField& field : kKeyFields) {
    for (const SubKey& key : field.sub_keys) EXPECT_THAT(schema, HasSubstr(format("\"{}\": {{", key.name)));
  }
  EXPECT_THAT(schema, HasSubstr("\"abacus_rows\": {"));
  EXPECT_THAT(schema, HasSubstr("https://json-schema.org/draft/2020-12/schema"));
}

TEST(RuleTrials, SayWhatBecameOfEachRule) {
  std::vector<std::string> warnings;
  Result<Config> config =
      parse_config("creation_rules: [{path_regex: a$}, {path_regex: b$}, {path_regex: '('}, {}]", {}, warnings);
  ASSERT_TRUE(config);
  config->directory = "/conf";
  using Outcome = RuleTrial::Outcome;
  const auto outcomes = [&](std::string_view path) {
    std::vector<Outcome> result;
    for (const RuleTrial& trial : try_creation_rules(*config, path)) result.push_back(trial.outcome);
    return result;
  };
  // config.md 4: the first match wins; later rules are not looked at; a pattern that does not compile ends the search
  // where it is reached.
  EXPECT_THAT(outcomes("/conf/b"),
              testing::ElementsAre(Outcome::kNoMatch, Outcome::kMatch, Outcome::kNotReached, Outcome::kNotReached));
  EXPECT_THAT(outcomes("/conf/c"),
              testing::ElementsAre(Outcome::kNoMatch, Outcome::kNoMatch, Outcome::kBadPattern, Outcome::kNotReached));
  EXPECT_FALSE(find_creation_rule(*config, "/conf/c"));
  EXPECT_EQ(find_creation_rule(*config, "/conf/b")->index, 1U);
}

}  // namespace
}  // namespace sops
