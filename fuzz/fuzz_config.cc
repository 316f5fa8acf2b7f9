// SPDX-License-Identifier: MPL-2.0
//
// The configuration parser on any bytes: what it accepts obeys its contracts, and choosing rules from it never crashes.
#include "base/text.h"
#include "config/config.h"
#include "fuzz/fuzz.h"

namespace {

using namespace sops;

void check_rule(const CreationRule& rule) {
  FUZZ_CHECK(!rule.groups.empty());
  FUZZ_CHECK(rule.position.line > 0 && rule.position.column > 0);
  for (const KeyGroupSpec& group : rule.groups) {
    FUZZ_CHECK(group.drop_repeated || rule.groups.size() == 1);
    for (const KeySpec& key : group.keys) {
      FUZZ_CHECK(!key.source.empty());
      FUZZ_CHECK(key.text.empty() != key.fields.empty());
      FUZZ_CHECK(key.position.line > 0 && key.position.column > 0);
    }
  }
}

}  // namespace

void fuzz(std::span<const uint8_t> input) {
  std::vector<std::string> warnings;
  const Result<Config> parsed = parse_config(as_text(input), {}, warnings);
  if (!parsed) {
    FUZZ_CHECK(!parsed.error().message.empty());
    return;
  }
  Config config = *parsed;
  config.directory = "/conf";
  for (const DestinationRule& rule : config.destination_rules) {
    FUZZ_CHECK(rule.vault_kv_version == 1 || rule.vault_kv_version == 2);
    check_rule(rule.recreation_rule);
  }
  if (config.creation_rules) {
    for (const CreationRule& rule : *config.creation_rules) check_rule(rule);
  }
  for (const std::string_view path : {"/conf/a/secrets.yaml", "/other/\xff"}) {
    const Result<RuleMatch> match = find_creation_rule(config, path);
    if (match) FUZZ_CHECK((match->rule != nullptr) == config.creation_rules.has_value());
    if (match && match->rule != nullptr) FUZZ_CHECK(match->rule->selection.count() <= 1 && !match->rule->key_error);
    const Result<const DestinationRule*> destination = find_destination_rule(config, path);
    FUZZ_CHECK(!destination || *destination != nullptr);
  }
}
