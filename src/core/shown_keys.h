// SPDX-License-Identifier: MPL-2.0
//
// The metadata of a file as something to edit: edit -s (editing.md 2.8). The block stands once, in the first document
// of the plain text, as SOPS would write it; keys and settings in it count, `mac`, `lastmodified`, `version` and
// `layout` do not.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/data_key.h"
#include "core/metadata.h"
#include "formats/format.h"
#include "sys/services.h"

namespace sops {

/// `plain` with the block in it. Errors: kUnsupported for a format that has no place for it.
Result<SecureBytes> show_keys(std::string_view plain, const FormatType& format, const Metadata& metadata,
                              const EmitStyle& style);

/// An edited text, taken apart.
struct ShownKeys {
  SecureBytes plain;                  // without the block
  Metadata metadata;                  // as edited; entries added by hand have no `enc`
  std::vector<std::string> warnings;  // for stderr
};

/// Takes the block out of `typed`. `stored` is what the file has. Errors: kMalformed (exit status 2) for a text that
/// does not scan; a block that is gone, or no metadata.
Result<ShownKeys> take_keys(std::string_view typed, const FormatType& format, const Metadata& stored,
                            Services& services);

/// Completes `edited`: an entry whose identity and `enc` equal a stored one of its group stays, any other is wrapped
/// anew. With several groups every entry gets a fresh share as soon as one is not as it was, because a share cannot be
/// made for one key alone. Errors: those of wrap_data_key() and master_key_of().
Result<Metadata> wrap_changed_keys(Metadata edited, const Metadata& stored, const DataKey& key, Services& services);

/// How many values and comments of `plain` were encrypted with the settings `before` and are in the clear with `after`.
Result<size_t> count_newly_clear(std::string_view plain, const FormatType& format, const SelectionSettings& before,
                                 const SelectionSettings& after);

}  // namespace sops
