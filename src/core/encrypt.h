// SPDX-License-Identifier: MPL-2.0
//
// Encrypting a plain file in place of its values (architecture.md 2). Nothing is written here: the result is a text
// that has been scanned again as SOPS will scan it, and that is known to decrypt to the original byte for byte.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/data_key.h"
#include "core/key_groups.h"
#include "core/metadata.h"
#include "core/selection.h"
#include "formats/format.h"
#include "keysources/key_source.h"

namespace sops {

struct EncryptOptions {
  SelectionSettings selection;  // as merged from flags and creation rule; empty means the default
  bool mac_only_encrypted = false;
  int64_t shamir_threshold = 0;  // of several key groups; 0: all of them
  bool allow_plaintext =
      false;  // --allow-plaintext: a rule may select nothing, an alias may show what its anchor hides
  EmitStyle style;
};

struct EncryptResult {
  SecureBytes text;
  std::vector<std::string> warnings;  // for stderr
};

/// The version of SOPS whose files we write (architecture.md 4).
inline constexpr std::string_view kFileVersion = "3.13.3";

/// Encrypts `text` for the master keys of `groups`.
/// Errors: of format.scan (exit status 2 or as set); kUsage if it is encrypted already (203), if a rule selects nothing
/// or an alias would show a secret (1, lifted by allow_plaintext), if a pattern does not compile (1) or several are set
/// (8); kUnsupported for keys and numbers that SOPS refuses (23); errors of the master keys (1).
Result<EncryptResult> encrypt_text(std::string_view text, const FormatType& format, const EncryptOptions& options,
                                   std::span<const MasterKeyList> groups, Services& services);

/// The same with a data key that was made and wrapped before: `keys` has its groups and threshold. (A new file in an
/// editor: editing.md 2.3.)
Result<EncryptResult> encrypt_text(std::string_view text, const FormatType& format, const EncryptOptions& options,
                                   const DataKey& key, const Metadata& keys, Services& services);

}  // namespace sops
