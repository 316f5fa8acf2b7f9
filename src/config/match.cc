// SPDX-License-Identifier: MPL-2.0
//
// Which rule governs a file (config.md 4), and the keys of its groups.
#include <algorithm>
#include <limits>
#include <set>

#include "config/config.h"
#include "pattern/pattern.h"

namespace sops {
namespace {

using Outcome = RuleTrial::Outcome;

RuleTrial try_rule(const CreationRule& rule, std::string_view path) {
  if (rule.path_regex.empty()) return {.outcome = Outcome::kMatch};
  const Result<Pattern> pattern = Pattern::compile(rule.path_regex);
  if (!pattern) return {.outcome = Outcome::kBadPattern, .problem = pattern.error().message};
  return {.outcome = pattern->matches(path) ? Outcome::kMatch : Outcome::kNoMatch};
}

// What is checked of a rule once it is chosen.
Result<void> validate(const CreationRule& rule) {
  if (rule.selection.count() > 1) {
    return fail(ErrorCode::kUsage, "the rule has more than one selection setting")
        .hint(
            "keep one of unencrypted_suffix, encrypted_suffix, unencrypted_regex, encrypted_regex, "
            "unencrypted_comment_regex, encrypted_comment_regex")
        .exit(ExitStatus::kGeneric)
        .at(rule.position);
  }
  if (rule.key_error) {
    Error error = *rule.key_error;
    return fail(std::move(error));
  }
  return {};
}

}  // namespace

std::optional<int> StoreSettings::indent_for(std::string_view format_id) const {
  std::optional<int64_t> indent;
  if (format_id == "yaml") indent = yaml_indent;
  if (format_id == "json") indent = json_indent;
  if (format_id == "binary") indent = json_binary_indent;
  if (!indent) return std::nullopt;
  return static_cast<int>(
      std::clamp<int64_t>(*indent, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
}

// In the root directory nothing is cut off, because its path ends in the slash that would be doubled.
std::string_view path_for_rules(const Config& config, std::string_view path) {
  const std::string base = config.directory + "/";
  return path.starts_with(base) ? path.substr(base.size()) : path;
}

std::vector<RuleTrial> try_creation_rules(const Config& config, std::string_view path) {
  if (!config.creation_rules) return {};
  const std::vector<CreationRule>& rules = *config.creation_rules;
  std::vector<RuleTrial> trials(rules.size());
  path = path_for_rules(config, path);
  for (size_t i = 0; i < rules.size(); ++i) {
    trials[i] = try_rule(rules[i], path);
    if (trials[i].outcome != Outcome::kNoMatch) break;
  }
  return trials;
}

Result<RuleMatch> find_creation_rule(const Config& config, std::string_view path) {
  RuleMatch match{.path = std::string(path_for_rules(config, path))};
  if (!config.creation_rules) return match;
  const std::vector<CreationRule>& rules = *config.creation_rules;
  for (; match.index < rules.size(); ++match.index) {
    const CreationRule& rule = rules[match.index];
    const RuleTrial trial = try_rule(rule, match.path);
    if (trial.outcome == Outcome::kBadPattern) {
      return fail(ErrorCode::kMalformed, "can not compile regexp: {}", trial.problem).at(rule.position);
    }
    if (trial.outcome == Outcome::kNoMatch) continue;
    TRY(validate(rule));
    match.rule = &rule;
    return match;
  }
  return fail(ErrorCode::kNotFound, "no matching creation rule for '{}'", escape_for_message(match.path))
      .hint("path_regex is compared with that path; a rule without path_regex matches every file");
}

Result<const DestinationRule*> find_destination_rule(const Config& config, std::string_view path) {
  const auto fits = [&](const DestinationRule& rule) {
    if (rule.path_regex.empty()) return true;
    const Result<Pattern> pattern = Pattern::compile(rule.path_regex);
    return pattern && pattern->matches(path);
  };
  const auto rule = std::ranges::find_if(config.destination_rules, fits);
  if (rule == config.destination_rules.end()) {
    return fail(ErrorCode::kNotFound, "no matching destination rule for '{}'", escape_for_message(path));
  }
  const int destinations =
      (rule->s3_bucket.empty() ? 0 : 1) + (rule->gcs_bucket.empty() ? 0 : 1) + (rule->vault_path.empty() ? 0 : 1);
  if (destinations > 1) {
    return fail(ErrorCode::kUsage, "more than one destinations were found in the rule for '{}'",
                escape_for_message(path))
        .hint("keep one of s3_bucket, gcs_bucket and vault_path")
        .exit(ExitStatus::kGeneric)
        .at(rule->position);
  }
  TRY(validate(rule->recreation_rule));
  return &*rule;
}

Result<MasterKeys> make_master_keys(const KeyGroupSpec& group, std::span<const KeySourceType* const> sources) {
  MasterKeys keys;
  std::set<std::string> seen;
  for (const KeySpec& spec : group.keys) {
    const auto source = std::ranges::find(sources, spec.source, &KeySourceType::id);
    if (source == sources.end()) {
      return fail(ErrorCode::kUnsupported, "{} keys are not supported yet", spec.source).at(spec.position);
    }
    MasterKeys made;
    if (spec.fields.empty()) {
      Result<MasterKeys> list = (*source)->from_list(spec.text, spec.options);
      if (!list) return fail(std::move(list.error()).at(spec.position));
      made = std::move(*list);
    } else {
      Result<std::unique_ptr<MasterKey>> key = (*source)->from_metadata(spec.fields);
      if (!key) return fail(std::move(key.error()).at(spec.position));
      made.push_back(std::move(*key));
    }
    for (std::unique_ptr<MasterKey>& key : made) {
      if (group.drop_repeated && !seen.insert(spec.source + '\n' + key->id()).second) continue;
      keys.push_back(std::move(key));
    }
  }
  return keys;
}

}  // namespace sops
