// SPDX-License-Identifier: MPL-2.0
//
// The configuration file `.sops.yaml`: finding it, reading it, and choosing the rule for a file (config.md). It says
// who may read a new file; nothing here makes keys or encrypts. Settings are kept as text, as the user wrote them: core
// and the key sources give them their meaning.
//
//   auto config = TRY(load_config({.explicit_path = …, .target = path}, services, warnings));
//   if (config) match = TRY(find_creation_rule(*config, path));
//   if (match.rule) for (group : match.rule->groups) keys = TRY(make_master_keys(group, all_key_sources()));
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "core/selection.h"
#include "keysources/key_source.h"
#include "sys/services.h"

namespace sops {

/// One entry of a key list: a comma list for the parser of its key source, or, inside `key_groups`, the fields of one
/// key.
struct KeySpec {
  std::string source;     // KeySourceType::id: "age", "pgp", "kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", …
  std::string text;       // what KeySourceType::from_list reads; unused if there are `fields`
  FieldMap fields;        // named as in a file's metadata ("arn", "context", "fp", …): for KeySourceType::from_metadata
  KeyOptions options;     // for from_list: of a spec that comes from a command line
  TextPosition position;  // in the configuration
  std::string label;  // the comment at the end of the item's line, else on the line above (keys.md 1.7); may be empty
};

/// Keys of which any one opens the group's share.
struct KeyGroupSpec {
  std::vector<KeySpec> keys;   // `merge` resolved, in SOPS's order (config.md 3.4)
  bool drop_repeated = false;  // from `key_groups`: of keys with one id() only the first counts. Flat fields keep all
};

/// Keys and settings for new files (config.md 3.2). Of a rule that find_creation_rule returns, everything is valid.
struct CreationRule {
  std::string path_regex;            // empty matches every path
  std::vector<KeyGroupSpec> groups;  // at least one; a rule without keys has one empty group
  int64_t shamir_threshold = 0;      // 0: all groups
  SelectionSettings selection;
  bool mac_only_encrypted = false;
  TextPosition position;
  std::optional<Error>
      key_error;  // why the flat key fields are wrong; counts only when the rule is chosen (config.md 3.3)
};

/// Where `publish` sends a file (config.md 3.5).
struct DestinationRule {
  std::string path_regex;
  std::string s3_bucket, s3_prefix;
  std::string gcs_bucket, gcs_prefix;
  std::string vault_path, vault_address;
  std::string vault_kv_mount_name = "secret/";
  int vault_kv_version = 2;  // 1 or 2
  CreationRule recreation_rule;
  bool omit_extensions = false;
  TextPosition position;
};

/// Layout of new text (config.md 3.6); unset means SOPS's default.
struct StoreSettings {
  std::optional<int64_t> yaml_indent;
  std::optional<int64_t> json_indent;
  std::optional<int64_t> json_binary_indent;

  /// The setting for the format called `format_id` ("yaml", "json", "binary"), clamped to int; unset for any other.
  std::optional<int> indent_for(std::string_view format_id) const;
};

/// Where load_config found the file.
enum class ConfigOrigin { kExplicit, kWorkingDirectory, kTargetDirectory };

/// A `.sops.yaml`, read and type-checked as a whole.
struct Config {
  std::string path;       // as found, for messages: "../.sops.yaml"
  std::string directory;  // absolute: what path_regex is relative to
  ConfigOrigin origin = ConfigOrigin::kExplicit;
  std::optional<std::vector<CreationRule>>
      creation_rules;  // unset: the key is absent or null, which is no error by itself
  std::vector<DestinationRule> destination_rules;
  StoreSettings stores;
  bool looks_from_target = false;  // `config: {lookup: target}`, ours (editing.md 6.1)
};

/// What to look for.
struct ConfigQuery {
  std::string explicit_path;  // --config or SOPS_CONFIG; empty: search
  std::string target;  // absolute path of the file to encrypt, the link and not its target; empty: SOPS's search only.
                       // Leave it empty where only `stores` is read.
};

/// Finds, reads and parses the configuration: the explicit file; else `.sops.yaml` from the working directory upwards;
/// else from the target's directory upwards (config.md 1, editing.md 6.1). nullopt if there is none. One line for
/// stderr each is appended to `warnings`, also when the call fails. Errors: kNotFound, kDenied, kIo for a file that
/// cannot be read; kDenied for one that only the target's directory leads to and that a stranger may have put there
/// (editing.md 6.2); those of parse_config, with the path as context.
Result<std::optional<Config>> load_config(const ConfigQuery& query, Services& services,
                                          std::vector<std::string>& warnings);

/// Parses the first YAML document of `text` (config.md 2, 3). `sources` adds the rule fields of key sources that SOPS
/// does not have. The caller fills in path, directory and origin. Unknown keys are ignored; one that looks misspelt
/// gives a warning. Errors: kMalformed with position for a syntax error, a repeated key or a wrong type anywhere.
Result<Config> parse_config(std::string_view text, std::span<const KeySourceType* const> sources,
                            std::vector<std::string>& warnings);

/// The rule that governs a file.
struct RuleMatch {
  const CreationRule* rule = nullptr;  // in the Config; nullptr if it has no creation_rules at all
  size_t index = 0;                    // of the rule, from 0
  std::string path;                    // what path_regex was matched against
};

/// The first creation rule whose path_regex matches `path`, which is absolute and clean; the file need not exist
/// (config.md 4). Errors: kMalformed ("can not compile regexp: …") for a pattern that was reached; kNotFound if no rule
/// matches; kUsage if the rule has more than one selection setting; kMalformed for its key fields. All with exit status
/// 1; positions are in the configuration, whose path the caller adds as context.
Result<RuleMatch> find_creation_rule(const Config& config, std::string_view path);

/// What the search for a creation rule did with one of them.
struct RuleTrial {
  enum class Outcome { kNoMatch, kMatch, kBadPattern, kNotReached };
  Outcome outcome = Outcome::kNotReached;
  std::string problem;  // of kBadPattern: why it does not compile
};

/// The search of find_creation_rule, one entry for each rule: all before the one that ends it were tried in vain.
std::vector<RuleTrial> try_creation_rules(const Config& config, std::string_view path);

/// What path_regex sees of `path`: relative to the configuration below its directory, else absolute (config.md 4).
std::string_view path_for_rules(const Config& config, std::string_view path);

/// The first destination rule that matches `path` as it was given (config.md 4, last paragraph).
/// Errors: kNotFound if none matches; kUsage if it has more than one destination; those of its recreation_rule.
Result<const DestinationRule*> find_destination_rule(const Config& config, std::string_view path);

/// The master keys of a group in order, repeated ones dropped where the group says so.
/// Errors: kUnsupported for a key source that is not among `sources`; kMalformed for a key that is none; with position.
Result<MasterKeys> make_master_keys(const KeyGroupSpec& group, std::span<const KeySourceType* const> sources);

}  // namespace sops
