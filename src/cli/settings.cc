// SPDX-License-Identifier: MPL-2.0
#include "cli/settings.h"

#include <algorithm>

#include "base/path.h"
#include "cli/later.h"

namespace sops {

const ConfigCache::Loaded& ConfigCache::load(const ConfigQuery& query, Services& services) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Loaded>& loaded =
      loaded_[{query.explicit_path, query.target.empty() ? std::string() : dirname(query.target)}];
  if (!loaded) {
    loaded = std::make_unique<Loaded>();
    loaded->config = load_config(query, services, loaded->warnings);
  }
  return *loaded;
}

Result<const Config*> configuration(CommandContext& context, const std::string& target) {
  if (context.config_is_loaded) return context.config_in_use;
  const ConfigQuery query{.explicit_path = context.args.text("config"), .target = target};
  if (context.configs != nullptr) {
    const ConfigCache::Loaded& loaded = context.configs->load(query, context.services);
    for (const std::string& warning : loaded.warnings) context.ui.warning(warning);
    if (!loaded.config) return fail(Error(loaded.config.error()));
    context.config_in_use = *loaded.config ? &**loaded.config : nullptr;
  } else {
    std::vector<std::string> warnings;
    auto config = load_config(query, context.services, warnings);
    for (const std::string& warning : warnings) context.ui.warning(warning);
    if (!config && config.error().position) {  // which is in the file that the outermost context names
      context.ui.knows_file(config.error().context.back(), config.error().context.back());
    }
    context.config = TRY(std::move(config));
    context.config_in_use = context.config ? &*context.config : nullptr;
    if (context.config) context.ui.knows_file(escape_for_message(context.config->path), context.config->path);
  }
  context.config_is_loaded = true;
  return context.config_in_use;
}

Result<EmitStyle> emit_style(CommandContext& context, const FormatType& format) {
  const Config* config = TRY(configuration(context, ""));
  EmitStyle style;
  if (config != nullptr) style.indent = config->stores.indent_for(format.id);
  if (const auto indent = context.args.number("indent"))
    style.indent = static_cast<int>(std::clamp<int64_t>(*indent, -100, 100));
  return style;
}

namespace {

// Key sources of flags and environment in SOPS's order (cli.md 3.10).
constexpr std::string_view kFlagOrder[] = {"kms", "gcp_kms", "hckms", "azure_kv", "pgp", "hc_vault", "age"};

Failure not_supported_yet(std::string_view source) {
  return fail(ErrorCode::kUnsupported, "{} keys are not supported yet", source)
      .hint("encrypt with other keys; SOPS can add these: sops updatekeys");
}

// Keys named by flags or environment variables; they are one group, which replaces those of the configuration as a
// whole (config.md 5).
Result<void> add_keys_of_flags(CommandContext& context, const KeyOptions& options, EncryptionSettings& settings) {
  MasterKeyList group;
  for (std::string_view id : kFlagOrder) {
    if (const KeySourceType* source = find_key_source(id)) {
      const std::string list = context.args.text(source->flag);
      if (list.empty()) continue;
      MasterKeys keys = TRY(in_context(source->from_list(list, options), "--{}", source->flag));
      for (std::unique_ptr<MasterKey>& key : keys) {
        group.emplace_back(source, key.get());
        settings.keys.push_back(std::move(key));
      }
      continue;
    }
    for (const LaterKeySource& later : kLaterKeySources) {
      if (later.id == id && !context.args.text(later.flag).empty()) return not_supported_yet(id);
    }
  }
  if (!group.empty()) settings.groups.push_back(std::move(group));
  return {};
}

std::string or_else(std::string first, const std::string& second) { return first.empty() ? second : std::move(first); }

}  // namespace

// cli.md 3.10: "comma list of `key:value`, each part must contain exactly one colon; otherwise exit 6".
// keys-aws.md 1.3: "empty key and empty value are legal"; "a later duplicate key replaces the earlier".
Result<KeyOptions> key_options(const ParsedArgs& args) {
  KeyOptions options{.aws_profile = args.text("aws-profile")};
  const std::string text = args.text("encryption-context");
  if (text.empty()) return options;
  for (const std::string_view part : split(text, ',')) {
    if (std::ranges::count(part, ':') != 1) {
      return fail(ErrorCode::kUsage, "--encryption-context: '{}' is not NAME:VALUE", escape_for_message(part))
          .hint("several are separated by commas: --encryption-context app:web,stage:prod")
          .exit(ExitStatus::kBadKmsContext);
    }
    const size_t colon = part.find(':');
    options.encryption_context[std::string(part.substr(0, colon))] = part.substr(colon + 1);
  }
  return options;
}

KeyOptions key_options_or_warning(CommandContext& context) {
  auto options = key_options(context.args);
  if (options) return std::move(*options);
  context.ui.warning(format("{}: context will not be used", options.error().message));
  return {.encryption_context = {}, .aws_profile = context.args.text("aws-profile")};
}

Result<std::vector<MasterKeyList>> rule_groups(const CreationRule& rule, MasterKeys& owner,
                                               const std::map<std::string, std::string>& context) {
  std::vector<MasterKeyList> groups;
  for (const KeyGroupSpec& spec : rule.groups) {
    MasterKeyList& group = groups.emplace_back();
    for (KeySpec one : spec.keys) {
      const KeySourceType* source = find_key_source(one.source);
      if (source == nullptr) return not_supported_yet(one.source);
      const bool is_flat = !spec.drop_repeated;
      if (is_flat && one.source == "kms" && !context.empty()) one.fields["context"] = context;
      MasterKeys keys = TRY(make_master_keys({.keys = {one}}, all_key_sources()));
      for (std::unique_ptr<MasterKey>& key : keys) {
        const bool repeated = std::ranges::any_of(
            group, [&](const MasterKeyRef& other) { return other.first == source && other.second->id() == key->id(); });
        if (repeated && spec.drop_repeated) continue;
        group.emplace_back(source, key.get());
        owner.push_back(std::move(key));
      }
    }
  }
  return groups;
}

Result<EncryptionSettings> encryption_settings(CommandContext& context, const Input& input,
                                               const FormatType& output_format) {
  const ParsedArgs& args = context.args;
  const Config* config = TRY(configuration(context, input.effective));

  // The rule counts even where the keys are named by flags (cli.md 3.10).
  const CreationRule* rule = nullptr;
  if (config != nullptr) {
    const RuleMatch match =
        TRY(in_context(find_creation_rule(*config, input.effective), "{}", escape_for_message(config->path)));
    rule = match.rule;
    if (rule != nullptr && args.flag("verbose")) {
      context.ui.note(format("{}: rule {} at line {} of {} applies", input.shown, match.index + 1, rule->position.line,
                             escape_for_message(config->path)));
    }
  }

  EncryptionSettings settings;
  TRY(require_local_keys(context));
  const KeyOptions key_options_given = TRY(key_options(args));
  TRY(add_keys_of_flags(context, key_options_given, settings));
  if (settings.groups.empty() && rule != nullptr) {
    // keys-aws.md 1.3: only the deprecated form gives its context to the keys of the rule.
    const auto own_context = context.is_legacy ? key_options_given.encryption_context : KeyOptions().encryption_context;
    settings.groups =
        TRY(in_context(rule_groups(*rule, settings.keys, own_context), "{}", escape_for_message(config->path)));
  }
  if (settings.groups.empty() && rule == nullptr) {
    return fail(ErrorCode::kUsage, "no .sops.yaml with creation rules was found, and no key is named")
        .hint("name a key, for example --age age1…, or write a .sops.yaml");
  }

  SelectionSettings& selection = settings.options.selection;
  if (rule != nullptr) selection = rule->selection;
  selection.unencrypted_suffix = or_else(args.text("unencrypted-suffix"), selection.unencrypted_suffix);
  selection.encrypted_suffix = or_else(args.text("encrypted-suffix"), selection.encrypted_suffix);
  selection.unencrypted_regex = or_else(args.text("unencrypted-regex"), selection.unencrypted_regex);
  selection.encrypted_regex = or_else(args.text("encrypted-regex"), selection.encrypted_regex);
  selection.unencrypted_comment_regex =
      or_else(args.text("unencrypted-comment-regex"), selection.unencrypted_comment_regex);
  selection.encrypted_comment_regex = or_else(args.text("encrypted-comment-regex"), selection.encrypted_comment_regex);
  settings.options.mac_only_encrypted =
      args.flag("mac-only-encrypted") || (rule != nullptr && rule->mac_only_encrypted);
  const int64_t threshold = args.number("shamir-secret-sharing-threshold").value_or(0);
  settings.options.shamir_threshold = threshold != 0 || rule == nullptr ? threshold : rule->shamir_threshold;
  settings.options.allow_plaintext = args.flag("allow-plaintext");
  settings.options.style = TRY(emit_style(context, output_format));
  TRY(Selector::compile(selection, Selector::Strictness::kStrict));
  return settings;
}

}  // namespace sops
