// SPDX-License-Identifier: MPL-2.0
//
// sops config explain FILE: which configuration governs a file, and why. sops config schema: what a configuration may
// say. Both are ours; the machine form of the first is described in docs/config-explain.md.
#include <algorithm>
#include <array>

#include "base/path.h"
#include "cli/later.h"
#include "cli/settings.h"
#include "config/schema.h"

namespace sops::cli_config {

namespace {

// ---- what is found

// One master key, for a person.
struct ExplainedKey {
  std::string source;  // "age"
  std::string id;      // as in reports
  std::string label;
  size_t line = 0;  // in the configuration; 0: from a flag
  std::string problem;
};

using ExplainedGroup = std::vector<ExplainedKey>;

struct Explanation {
  std::string file;  // absolute
  const Config* config = nullptr;
  std::string path;               // what path_regex sees
  std::vector<RuleTrial> trials;  // one for each creation rule
  const CreationRule* rule = nullptr;
  size_t rule_index = 0;
  std::string keys_from;  // "rule", "flags" or ""
  std::vector<ExplainedGroup> groups;
  std::optional<Error> error;  // why a new file could not be encrypted
};

std::string describe(const FieldMap& fields) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : fields) {
    if (const auto* text = std::get_if<std::string>(&value)) {
      if (!text->empty()) parts.push_back(fields.size() == 1 ? *text : format("{}={}", name, *text));
      continue;
    }
    for (const auto& [left, right] : std::get<1>(value)) parts.push_back(format("{}.{}={}", name, left, right));
  }
  return join(parts, ", ");
}

// The keys of one entry of a group, as their source understands them.
std::vector<ExplainedKey> explain_key(const KeySpec& spec, std::optional<Error>& error) {
  const ExplainedKey base = {.source = spec.source, .label = spec.label, .line = spec.position.line};
  const KeySourceType* source = find_key_source(spec.source);
  Result<MasterKeys> keys = make_master_keys({.keys = {spec}}, all_key_sources());
  if (!keys) {
    ExplainedKey key = base;
    key.id = spec.fields.empty() ? spec.text : describe(spec.fields);
    key.problem = source == nullptr ? "not supported yet" : keys.error().message;
    if (!error) error = std::move(keys.error());
    return {key};
  }
  std::vector<ExplainedKey> result;
  for (const std::unique_ptr<MasterKey>& key : *keys) {
    result.push_back(base);
    result.back().id = key->id();
  }
  return result;
}

ExplainedGroup explain_group(const KeyGroupSpec& group, std::optional<Error>& error) {
  ExplainedGroup result;
  for (const KeySpec& spec : group.keys) {
    for (ExplainedKey& key : explain_key(spec, error)) {
      const auto is_it = [&](const ExplainedKey& other) { return other.source == key.source && other.id == key.id; };
      if (group.drop_repeated && std::ranges::any_of(result, is_it)) continue;
      result.push_back(std::move(key));
    }
  }
  return result;
}

// Keys of flags and environment variables take the place of the rule's (config.md 5).
ExplainedGroup keys_of_flags(const ParsedArgs& args, std::optional<Error>& error) {
  ExplainedGroup result;
  auto given = key_options(args);
  if (!given && !error) error = std::move(given.error());
  const KeyOptions options = given ? std::move(*given) : KeyOptions();
  const auto add = [&](std::string_view source, std::string_view flag) {
    const std::string list = args.text(flag);
    if (list.empty()) return;
    KeySpec spec{.source = std::string(source), .text = list, .options = options};
    spec.position.line = 0;
    for (ExplainedKey& key : explain_key(spec, error)) result.push_back(std::move(key));
  };
  for (const KeySourceType* source : all_key_sources()) add(source->id, source->flag);
  for (const LaterKeySource& source : kLaterKeySources) add(source.id, source.flag);
  return result;
}

Result<Explanation> explain(CommandContext& context) {
  Explanation result;
  const std::string& file = context.args.positionals[0];
  result.file = absolute_path(file, context.services.environment.working_directory());
  result.config = TRY(configuration(context, result.file));
  if (result.config != nullptr) {
    result.path = std::string(path_for_rules(*result.config, result.file));
    result.trials = try_creation_rules(*result.config, result.file);
    Result<RuleMatch> match =
        in_context(find_creation_rule(*result.config, result.file), "{}", escape_for_message(result.config->path));
    if (!match) {
      result.error = std::move(match.error());
    } else {
      result.rule = match->rule;
      result.rule_index = match->index;
    }
  }
  if (ExplainedGroup keys = keys_of_flags(context.args, result.error); !keys.empty()) {
    result.keys_from = "flags";
    result.groups.push_back(std::move(keys));
  } else if (result.rule != nullptr) {
    result.keys_from = "rule";
    std::optional<Error> problem;
    for (const KeyGroupSpec& group : result.rule->groups) result.groups.push_back(explain_group(group, problem));
    if (problem) {
      Result<void> failed = fail(std::move(*problem));
      failed = in_context(std::move(failed), "{}", escape_for_message(result.config->path));
      result.error = std::move(failed.error());
    }
  }
  const bool any_key = std::ranges::any_of(result.groups, [](const ExplainedGroup& group) { return !group.empty(); });
  if (!result.error && !any_key) {
    const std::string_view what = result.config == nullptr ? "no .sops.yaml was found, and no key is named"
                                  : result.rule == nullptr
                                      ? "the configuration has no creation rules, and no key is named"
                                      : "the rule names no key";
    result.error = fail(ErrorCode::kNotFound, "{}", what).hint("a file cannot be encrypted without a key").error();
  }
  return result;
}

std::vector<std::pair<std::string_view, const std::string*>> selection_of(const CreationRule& rule) {
  const SelectionSettings& s = rule.selection;
  std::vector<std::pair<std::string_view, const std::string*>> settings = {
      {"unencrypted_suffix", &s.unencrypted_suffix},
      {"encrypted_suffix", &s.encrypted_suffix},
      {"unencrypted_regex", &s.unencrypted_regex},
      {"encrypted_regex", &s.encrypted_regex},
      {"unencrypted_comment_regex", &s.unencrypted_comment_regex},
      {"encrypted_comment_regex", &s.encrypted_comment_regex},
  };
  std::erase_if(settings, [](const auto& setting) { return setting.second->empty(); });
  return settings;
}

// SOPS takes all groups where none or a number below two is written; with one group there is nothing to split
// (config.md 3.4).
int64_t threshold_of(const Explanation& found) {
  const auto groups = static_cast<int64_t>(found.groups.size());
  const int64_t wanted = found.rule != nullptr && found.keys_from == "rule" ? found.rule->shamir_threshold : 0;
  return groups <= 1 || wanted == 0 ? groups : wanted;
}

// ---- for a person

// Data, so nothing is cut off; but a name may come from a stranger.
std::string shown(std::string_view text) { return escape_for_message(text, size_t{1} << 20); }

std::string_view origin_text(ConfigOrigin origin) {
  switch (origin) {
    case ConfigOrigin::kExplicit:
      return "named by --config or $SOPS_CONFIG";
    case ConfigOrigin::kWorkingDirectory:
      return "found from the working directory upwards";
    case ConfigOrigin::kTargetDirectory:
      break;
  }
  return "found from the file's directory upwards";
}

std::string rule_line(const Explanation& found, size_t index) {
  const CreationRule& rule = (*found.config->creation_rules)[index];
  const RuleTrial& trial = found.trials[index];
  const std::string pattern = shown(rule.path_regex);
  std::string text = format("  {} (line {}): ", index + 1, rule.position.line);
  switch (trial.outcome) {
    case RuleTrial::Outcome::kMatch:
      return text + (rule.path_regex.empty() ? "has no path_regex and is for every file"
                                             : format("path_regex {} matches", pattern));
    case RuleTrial::Outcome::kNoMatch:
      return text + format("path_regex {} does not match", pattern);
    case RuleTrial::Outcome::kBadPattern:
      return text + format("path_regex {} does not compile: {}", pattern, shown(trial.problem));
    case RuleTrial::Outcome::kNotReached:
      break;
  }
  return text + "not reached";
}

std::string key_line(const ExplainedKey& key) {
  std::string text = format("    {} {}", key.source, shown(key.id));
  if (!key.label.empty()) text += format("  # {}", shown(key.label));
  if (!key.problem.empty()) text += format("  ({})", shown(key.problem));
  return text + "\n";
}

std::string keys_text(const Explanation& found) {
  std::string text;
  if (found.keys_from == "flags") text += "keys: those of flags and environment variables, instead of the rule's\n";
  for (size_t i = 0; i < found.groups.size(); ++i) {
    text += found.groups.size() == 1 ? "keys, any one of which decrypts:\n"
                                     : format("key group {}, any one key of it:\n", i + 1);
    for (const ExplainedKey& key : found.groups[i]) text += key_line(key);
    if (found.groups[i].empty()) text += "    none\n";
  }
  if (found.groups.size() > 1) text += format("threshold: {} of {} groups\n", threshold_of(found), found.groups.size());
  return text;
}

std::string text_form(const Explanation& found) {
  std::string text = format("file: {}\n", shown(found.file));
  if (found.config == nullptr) return text + "configuration: none\n" + keys_text(found);
  const Config& config = *found.config;
  text += format("configuration: {} ({})\n", shown(config.path), origin_text(config.origin));
  text += format("path that path_regex sees: {}\n", shown(found.path));
  text += config.creation_rules ? format("creation rules: {}\n", found.trials.size())
                                : std::string("creation rules: none\n");
  for (size_t i = 0; i < found.trials.size(); ++i) text += rule_line(found, i) + "\n";
  text += keys_text(found);
  if (found.rule == nullptr) return text;
  const auto selection = selection_of(*found.rule);
  if (selection.empty()) text += "selection: the default, all but what stands below keys that end with _unencrypted\n";
  for (const auto& [name, value] : selection) text += format("selection: {}: {}\n", name, shown(*value));
  text += format("MAC: over {}\n", found.rule->mac_only_encrypted ? "encrypted values only" : "all values");
  return text;
}

// ---- for a program

// Owns the texts that a Value borrows.
class Tree {
 public:
  Value text(std::string value) {
    return Value::string(*storage_.emplace_back(std::make_unique<std::string>(std::move(value))));
  }
  Value number(uint64_t value) { return Value::scalar(ScalarType::kInt, text(format("{}", value)).text); }
  Value number(int64_t value) { return Value::scalar(ScalarType::kInt, text(format("{}", value)).text); }
  static Value boolean(bool value) { return Value::scalar(ScalarType::kBool, value ? "True" : "False"); }
  static Value null() { return Value::scalar(ScalarType::kNull, ""); }
  Value text_or_null(const std::string& value) { return value.empty() ? null() : text(value); }

 private:
  std::vector<std::unique_ptr<std::string>> storage_;
};

std::string_view outcome_name(RuleTrial::Outcome outcome) {
  switch (outcome) {
    case RuleTrial::Outcome::kMatch:
      return "match";
    case RuleTrial::Outcome::kNoMatch:
      return "no_match";
    case RuleTrial::Outcome::kBadPattern:
      return "bad_pattern";
    case RuleTrial::Outcome::kNotReached:
      break;
  }
  return "not_reached";
}

Value config_value(const Explanation& found, Tree& tree) {
  if (found.config == nullptr) return Tree::null();
  constexpr std::array<std::string_view, 3> kOrigins = {"named", "working_directory", "file_directory"};
  Value value = Value::mapping();
  value.add("path", tree.text(found.config->path));
  value.add("directory", tree.text(found.config->directory));
  value.add("found_by", Value::string(kOrigins[static_cast<size_t>(found.config->origin)]));
  value.add("path_seen", tree.text(found.path));
  return value;
}

Value rules_value(const Explanation& found, Tree& tree) {
  if (found.config == nullptr || !found.config->creation_rules) return Tree::null();
  Value rules = Value::sequence();
  for (size_t i = 0; i < found.trials.size(); ++i) {
    const CreationRule& rule = (*found.config->creation_rules)[i];
    Value& value = rules.add(Value::mapping());
    value.add("index", tree.number(i));
    value.add("line", tree.number(rule.position.line));
    value.add("path_regex", tree.text_or_null(rule.path_regex));
    value.add("outcome", Value::string(outcome_name(found.trials[i].outcome)));
    if (!found.trials[i].problem.empty()) value.add("problem", tree.text(found.trials[i].problem));
  }
  return rules;
}

Value groups_value(const Explanation& found, Tree& tree) {
  Value groups = Value::sequence();
  for (const ExplainedGroup& group : found.groups) {
    Value& keys = groups.add(Value::sequence());
    for (const ExplainedKey& key : group) {
      Value& value = keys.add(Value::mapping());
      value.add("type", tree.text(key.source));
      value.add("id", tree.text(key.id));
      value.add("label", tree.text_or_null(key.label));
      value.add("line", key.line == 0 ? Tree::null() : tree.number(key.line));
      if (!key.problem.empty()) value.add("problem", tree.text(key.problem));
    }
  }
  return groups;
}

Result<SecureBytes> json_form(const Explanation& found) {
  Tree tree;
  Value root = Value::mapping();
  root.add("version", tree.number(uint64_t{1}));
  root.add("file", tree.text(found.file));
  root.add("config", config_value(found, tree));
  root.add("rules", rules_value(found, tree));
  root.add("rule", found.rule == nullptr ? Tree::null() : tree.number(found.rule_index));
  root.add("keys_from", tree.text_or_null(found.keys_from));
  root.add("groups", groups_value(found, tree));
  root.add("threshold", tree.number(threshold_of(found)));
  Value selection = Value::mapping();
  if (found.rule != nullptr) {
    for (const auto& [name, value] : selection_of(*found.rule)) selection.add(name, tree.text(*value));
  }
  root.add("selection", std::move(selection));
  root.add("mac_only_encrypted", Tree::boolean(found.rule != nullptr && found.rule->mac_only_encrypted));
  root.add("error", found.error ? tree.text(to_string(*found.error)) : Tree::null());
  return find_format("json")->emit(root, {.indent = 2});
}

// ---- the commands

std::vector<FlagSpec> explain_flags() {
  std::vector<FlagSpec> all = {{.name = "json", .summary = "print one JSON object instead of text"}};
  return merge_flags(std::move(all), key_flags());
}

Result<int> run_explain(CommandContext& context) {
  if (context.args.positionals.size() != 1) {
    return fail(ErrorCode::kUsage, "config explain takes one file")
        .hint("the file need not exist")
        .exit(ExitStatus::kNoFile);
  }
  const Explanation found = TRY(explain(context));
  if (context.args.flag("json")) {
    const SecureBytes json = TRY(json_form(found));
    TRY(context.ui.data(json.expose_text()));
  } else {
    TRY(context.ui.data(text_form(found)));
  }
  if (found.error) {
    context.ui.error(*found.error);
    return static_cast<int>(ExitStatus::kGeneric);
  }
  return 0;
}

std::vector<FlagSpec> schema_flags() { return {}; }

Result<int> run_schema(CommandContext& context) {
  if (!context.args.positionals.empty()) return fail(ErrorCode::kUsage, "config schema takes no file");
  TRY(context.ui.data(config_schema(all_key_sources())));
  return 0;
}

constexpr CommandSpec kExplain = {
    .name = "config explain",
    .arguments = "FILE",
    .summary = "tell which rule of .sops.yaml is for a file, and why",
    .manual =
        "Names the configuration that counts for FILE and how it was found, the path that path_regex sees, what became "
        "of each creation\n"
        "rule, and the resulting keys with their labels, the threshold and the selection. FILE need not exist and is "
        "not read.\n"
        "\n"
        "The exit status is 0 if a new file could be encrypted there, else 1.",
    .flags = explain_flags,
    .run = run_explain,
};
constexpr CommandSpec kSchema = {
    .name = "config schema",
    .summary = "print the JSON Schema of .sops.yaml",
    .manual = "For editors that check and complete YAML files. Draft 2020-12.",
    .flags = schema_flags,
    .run = run_schema,
};
constexpr std::array<const CommandSpec*, 2> kChildren = {&kExplain, &kSchema};

}  // namespace

extern const CommandSpec command;  // declared by commands.cc too: constants are private to their file otherwise
const CommandSpec command = {
    .name = "config",
    .arguments = "explain|schema",
    .summary = "tell about the configuration, .sops.yaml",
    .manual = "SOPS does not have this command: a file called config is still decrypted by sops -d config.",
    .children = kChildren,
    .is_ours = true,
};

}  // namespace sops::cli_config
