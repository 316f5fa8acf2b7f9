// SPDX-License-Identifier: MPL-2.0
//
// A shorter stand-in for a long text, for libyaml to read (docs/decisions/0003). Two things are left out; positions of
// tokens are mapped back, and a text that is refused in this form is read as it is, so nothing depends on it but time.
//
// Ciphertexts: libyaml looks at every character a dozen times, so ENC[AES256_GCM,data:…,iv:…,tag:…,type:str] becomes
// ENC[A]. What is left out are letters, digits and the signs + / = , : _ with none of them before a blank: in block
// style, in quotes and in comments they are content like the letters that stay; bare in a flow collection, where they
// would not be, the bracket that stays is an error first. What depends on lengths is checked on the real positions:
// columns, and the 1024 characters of an implicit key.
//
// Runs of simple lines: `key: value` or `- value` on lines of the same indentation, with nothing to think about in them
// (simple_line). libyaml reads the first one. If it finds exactly the tokens of such a line there, in block context, it
// stands behind that line as it stood before it but for the position: in a block collection whose column is that of the
// line, with no key open. So it would read the second line as it read the first, and so on, and the tokens of the
// others follow from the text.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/secure_bytes.h"
#include "tree/document.h"

namespace sops::yaml {

/// A place of the short text behind which characters are missing.
struct Cut {
  uint32_t at = 0;       // position in the short text
  uint32_t removed = 0;  // characters missing so far, this cut included
};

/// A line `key: value` or `- value`.
struct SimpleLine {
  bool is_item = false;
  NodeStyle style = NodeStyle::kPlain;  // of the value
  uint32_t column = 0;                  // of the key or the `-`
  Span key;                             // empty, at the `-`, for an item
  uint32_t mark = 0;                    // the `:` or the `-`
  Span value;                           // with its quotes
  uint32_t end = 0;                     // behind the line feed

  Span content() const {
    const uint32_t quote = style == NodeStyle::kPlain ? 0 : 1;
    return {value.begin + quote, value.end - quote};
  }
};

/// Whether a simple line begins at `at`: blanks; then a key of letters, digits and _ . - / before a colon and a blank,
/// or a `-` and a blank; then a value of printable ASCII, plain and without `: ` and ` #`, or in quotes without quotes
/// or backslashes; then a line feed. Says nothing about what stands around it.
bool simple_line(std::string_view text, size_t at, SimpleLine& line);

/// At least three simple lines of one kind and column. The first is in the short text, the others are not.
struct LineRun {
  uint32_t first = 0;  // positions of lines in the whole text
  uint32_t second = 0;
  uint32_t last = 0;
  uint32_t end = 0;  // behind the last one
};

struct CondensedText {
  SecureBytes text;
  std::vector<Cut> cuts;      // ascending
  std::vector<LineRun> runs;  // ascending
};

/// Shorter than this much, a short text is not worth its trouble.
inline constexpr size_t kWorthwhile = 2048;

/// The short text, or nullopt if less than `least` characters can be left out.
std::optional<CondensedText> condense(std::string_view text, size_t least = kWorthwhile);

}  // namespace sops::yaml
