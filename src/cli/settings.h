// SPDX-License-Identifier: MPL-2.0
//
// With which keys and which rule a new file is encrypted, and how new text is laid out: flags, environment and
// .sops.yaml merged (config.md 5).
#pragma once

#include "cli/common.h"
#include "core/encrypt.h"

namespace sops {

struct EncryptionSettings {
  EncryptOptions options;
  MasterKeys keys;  // owns what `key_list` borrows
  MasterKeyList key_list;
};

/// The configuration, loaded at the first call; nullptr if there is none. `target` is the file whose creation rule is
/// wanted, "" if only `stores` matters. Warnings about it go to stderr. Errors: those of load_config (exit status 1).
Result<const Config*> configuration(CommandContext& context, const std::string& target);

/// Errors: configuration that cannot be read or has no matching rule (1); conflicting rules (8); keys that are none
/// (1); key sources and key groups that are still to come (1).
Result<EncryptionSettings> encryption_settings(CommandContext& context, const Input& input,
                                               const FormatType& output_format);

/// The layout of new text for a format: --indent, else `stores` of the configuration (config.md 3.6). Call it after
/// encryption_settings() where both are needed: the search for a rule goes further.
Result<EmitStyle> emit_style(CommandContext& context, const FormatType& format);

}  // namespace sops
