// SPDX-License-Identifier: MPL-2.0
//
// sops rotate, one file at a time and without printing, so that it can also be done for many.
#pragma once

#include "cli/common.h"
#include "core/change_keys.h"

namespace sops {

/// What the flags of rotate ask for.
struct RotateRequest {
  OpenOptions open;
  KeyEdits edits;
  MasterKeys keys;  // owns what `edits` borrow
};

/// The flags --add-… and --rm-… of every key source.
std::vector<FlagSpec> key_edit_flags();

/// True if one of them is given.
bool has_key_edits(const ParsedArgs& args);

/// Errors: keys that are none, or whose source is still to come (1); a decryption order that is none (112).
Result<RotateRequest> rotate_request(CommandContext& context);

/// The new bytes of a file, whose keys are called as `labels` says. `warnings` gets lines for stderr. Errors: those of
/// open_file() and rotate_data_key().
Result<SecureBytes> rotate_file(const InputText& input, const RotateRequest& request, const KeyLabels& labels,
                                const EmitStyle& style, std::vector<std::string>& warnings, Services& services);

}  // namespace sops
