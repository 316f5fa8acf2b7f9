// SPDX-License-Identifier: MPL-2.0
//
// The JSON scanner: text to places. Used by json.cc only.
#pragma once

#include <string_view>

#include "formats/format.h"

namespace sops::json {

/// FormatType::scan for JSON: the top level must be an object (format.md 6.2.2).
Result<Document> scan(std::string_view text, ScanMode mode);

}  // namespace sops::json
