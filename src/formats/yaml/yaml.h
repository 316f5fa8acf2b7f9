// SPDX-License-Identifier: MPL-2.0
//
// The YAML format as the rest of the program knows it: one record.
#pragma once

#include "formats/format.h"

namespace sops::yaml {

/// Text in UTF-8, or in UTF-16 with byte-order mark through decode_text and encode_text. Several branches: a stream of
/// documents.
extern const FormatType type;

}  // namespace sops::yaml
