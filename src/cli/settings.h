// SPDX-License-Identifier: MPL-2.0
//
// With which keys and which rule a new file is encrypted, and how new text is laid out: flags, environment and
// .sops.yaml merged (config.md 5).
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cli/common.h"
#include "core/encrypt.h"

namespace sops {

struct EncryptionSettings {
  EncryptOptions options;
  MasterKeys keys;                    // owns what `groups` borrow
  std::vector<MasterKeyList> groups;  // in the order of the file
};

/// Configurations of many files: each is read once, although every file asks for its own (editing.md 6.1). May be used
/// from several threads.
class ConfigCache {
 public:
  struct Loaded {
    Result<std::optional<Config>> config = std::optional<Config>();
    std::vector<std::string> warnings;
  };
  /// What load_config() gives. All files of a directory share one.
  const Loaded& load(const ConfigQuery& query, Services& services);

 private:
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<Loaded>> loaded_;
};

/// The configuration, loaded at the first call; nullptr if there is none. `target` is the file whose creation rule is
/// wanted, "" if only `stores` matters. Warnings about it go to stderr. Errors: those of load_config (exit status 1).
Result<const Config*> configuration(CommandContext& context, const std::string& target);

/// Errors: configuration that cannot be read or has no matching rule (1); conflicting rules (8); keys that are none
/// (1); key sources that are still to come (1).
Result<EncryptionSettings> encryption_settings(CommandContext& context, const Input& input,
                                               const FormatType& output_format);

/// What --encryption-context and --aws-profile say of the keys that other flags name. Errors: kUsage (exit status 6)
/// for a context that is none.
Result<KeyOptions> key_options(const ParsedArgs& args);

/// The same where SOPS goes on without a context that is none, after a warning (keys-aws.md 1.3).
KeyOptions key_options_or_warning(CommandContext& context);

/// The master keys of the rule's groups, in order; `owner` keeps them alive. `context` is the encryption context of KMS
/// keys in the rule's flat fields, which have none of their own. Errors: those of make_master_keys().
Result<std::vector<MasterKeyList>> rule_groups(const CreationRule& rule, MasterKeys& owner,
                                               const std::map<std::string, std::string>& context = {});

/// The layout of new text for a format: --indent, else `stores` of the configuration (config.md 3.6). Call it after
/// encryption_settings() where both are needed: the search for a rule goes further.
Result<EmitStyle> emit_style(CommandContext& context, const FormatType& format);

}  // namespace sops
