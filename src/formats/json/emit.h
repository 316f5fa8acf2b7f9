// SPDX-License-Identifier: MPL-2.0
//
// Values to JSON text, in SOPS's style or in the layout of a file. Used by json.cc and metadata.cc.
#pragma once

#include <string>
#include <string_view>

#include "formats/format.h"

namespace sops::json {

/// White space of emitted text. The defaults are SOPS's style (format.md 6.2.6).
struct Layout {
  bool multi_line = true;  // every entry and item on a line of its own
  std::string line_break = "\n";
  std::string indent;       // of the line on which the value begins
  std::string step = "\t";  // what each level adds
  std::string colon = ": ";
  std::string comma = ", ";  // of one-line text
  bool keep_types = false;   // a whole float gets a point, so that it stays a float
};

/// One level of indentation in SOPS's style (format.md 6B): unset or -1 a tab, else that many spaces.
/// Errors: kUsage below -1, with SOPS's exit status.
Result<std::string> indentation_step(const EmitStyle& style);

/// Appends `value`; comments are dropped (format.md 6.2.9).
/// Errors: kUnsupported for infinity, not-a-number and beyond kMaxDepth, with SOPS's exit status.
Result<void> append_value(const Value& value, const Layout& layout, SecureBuffer& out);

/// Appends a scalar as SOPS writes it (format.md 6.2.8); with `keep_type` a whole float gets a point, so that it stays
/// a float. Errors: kUnsupported for infinity and not-a-number.
Result<void> append_scalar(const TypedText& scalar, SecureBuffer& out, bool keep_type = false);

/// FormatType::emit and emit_value.
Result<SecureBytes> emit(const Value& tree, const EmitStyle& style);
Result<SecureBytes> emit_value(const Value& value, const EmitStyle& style);

}  // namespace sops::json
