// SPDX-License-Identifier: MPL-2.0
//
// JSON: the file format, and the pieces of it that other folders use (values on the command line, answers of cloud
// services). Accepts what the decoder in SOPS accepts and keeps every position. All functions are pure.
#pragma once

#include <string_view>

#include "base/secure_bytes.h"
#include "formats/format.h"

namespace sops::json {

extern const FormatType type;

/// Scans a JSON text whose top level may be any value: node 0. The document has no branches.
/// Errors: kMalformed with position; kUnsupported beyond kMaxDepth.
Result<Document> scan_value(std::string_view text);

/// Appends `text` as a JSON string with its quotes, escaped as SOPS does (format.md 6.2.7).
void append_string(std::string_view text, SecureBuffer& out);

}  // namespace sops::json
