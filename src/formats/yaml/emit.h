// SPDX-License-Identifier: MPL-2.0
//
// How new YAML text looks: the spelling of single values and whole trees in the style of SOPS (yaml.md 5), without the
// defects of yaml.md 6. Used by write.cc for places in existing text, and by the format record for whole files. Pure
// functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "formats/format.h"
#include "tree/value.h"

namespace sops::yaml {

/// In which form a string is written. kMergeTag is `!!merge <<`; kBinary is `!!binary` and base64, for what is not
/// UTF-8.
enum class StringStyle : uint8_t { kPlain, kSingleQuoted, kDoubleQuoted, kLiteral, kMergeTag, kBinary };

/// The form that SOPS chooses for a string in block context (yaml.md 5.3, format.md 6.1.16), values and keys alike.
/// Departs from it only for text with line feeds that starts with TAB (yaml.md 6) or ends in U+2028 or U+2029:
/// double-quoted.
StringStyle choose_style(std::string_view text);

/// What a reader would have to escape or fold away: facts about a text that every style decision starts from
/// (yaml.md 5.3).
struct TextFacts {
  bool utf8 = true;
  bool special = false;      // a character that SOPS writes only as an escape
  bool unprintable = false;  // a character that YAML does not allow as it is; a byte-order mark counts
  bool line_feed = false;    // LF
  bool other_break = false;  // U+2028, U+2029
  bool any_break = false;    // LF, CR, NEL, U+2028, U+2029
  bool tab = false;
  bool blank_before_break = false;  // a space directly before LF, U+2028, U+2029
  bool blank_after_break = false;
};
TextFacts examine(std::string_view text);

/// True if `text` may stand unquoted in block context without being cut or taken for something else than a scalar (rule
/// 4 of yaml.md 5.3). Says nothing of the type it would have, nor of special characters.
bool plain_is_possible(std::string_view text);

/// True if a reader would not take the plain `text` for a string, or SOPS fears that one might (fact R of yaml.md 5.3).
bool is_reserved_plain(std::string_view text);

/// Which characters a double-quoted text shows as escapes.
enum class Escaping {
  kAsSops,   // everything outside the basic plane too; everything after a leading byte-order mark
  kMinimal,  // what must be, and TAB
};

/// `text` in double quotes on one line. Bytes that are not UTF-8 become U+FFFD: use kBinary for those.
void append_double_quoted(std::string_view text, Escaping escaping, SecureBuffer& out);

/// `text` in single quotes. U+2028 and U+2029 are followed by `indentation` spaces, as SOPS writes them.
/// REQUIRES: text has neither LF, CR nor NEL and nothing unprintable.
void append_single_quoted(std::string_view text, size_t indentation, SecureBuffer& out);

/// The lines of a literal's text, each but the empty ones behind `indentation` spaces, first one included; the last
/// line break of the text, if it ends in one, is left to the caller.
void append_literal_lines(std::string_view text, size_t indentation, std::string_view line_break, SecureBuffer& out);

/// How an author's strings differ from SOPS's choice.
struct Quoting {
  StringStyle plain_as = StringStyle::kPlain;  // what stands where SOPS writes plain text: plain or one of the quotes
  bool no_literals = false;  // texts of several lines in double quotes: what follows would change a literal
};

/// What spelling a value depends on, besides the value.
struct ScalarPlace {
  size_t parent_column = 0;  // of the mapping or list the value stands in
  size_t text_column = 4;    // of the lines of a literal
  std::string_view line_break = "\n";
  std::string_view header_comment =
      {};                  // goes behind the header of a literal and behind any other value: ` #…`, or empty
  bool keep_type = false;  // a whole float gets a point, so that it stays a float
  Quoting quoting = {};
};

/// A scalar in SOPS's spelling (yaml.md 5.2), without the line break that ends it. A text of several lines becomes a
/// literal.
void append_scalar(ScalarType type, std::string_view text, const ScalarPlace& place, SecureBuffer& out);

/// A value that is no string, in YAML's spelling: `true`, `1e+06`, `null` (yaml.md 5.2).
void append_typed(ScalarType type, std::string_view text, bool keep_type, SecureBuffer& out);

/// `#` and a comment's text. Breaks in the text start a further comment line at column 0; what YAML does not allow
/// becomes U+FFFD: a comment never turns into content (yaml.md 6).
void append_comment(std::string_view text, std::string_view line_break, SecureBuffer& out);

/// Where and how a block collection is written.
struct BlockLayout {
  size_t step = 4;    // effective indentation step
  size_t column = 0;  // of the collection; the steps count from here
  std::string_view line_break = "\n";
  bool keep_types = false;          // whole floats get a point
  bool keep_comment_order = false;  // comments are read in the tree's order; SOPS's spelling moves some
  std::optional<size_t> list_offset = std::nullopt;  // from a key to the dashes below it; unset: as for mappings
  Quoting quoting = {};                              // of values
  StringStyle plain_keys_as = StringStyle::kPlain;
};

/// The step that a configured indentation means (yaml.md 5.1): unset or 0 is 4; 1 and more than 9 are 2.
/// Errors: kUsage if it is negative.
Result<size_t> effective_step(const EmitStyle& style);

/// The next multiple of `step` right of `column`: where a collection under a key stands, and the text of its literals.
constexpr size_t next_column(size_t column, size_t step) { return step * (column / step + 1); }

/// A mapping or list in block style, comments included: the first line without its indentation, the last one without
/// its break. An empty one is `{}` or `[]`.
void append_block(const Value& container, const BlockLayout& layout, SecureBuffer& out);

/// Options of append_flow.
struct FlowLayout {
  bool quote_keys = false;             // all keys in double quotes, as JSON has them
  bool keep_types = false;             // whole floats get a point
  std::string_view line_break = "\n";  // only used around comments
  bool plain_words = false;            // strings that are simple words without quotes
};

/// Any value in flow style on one line, strings in double quotes. Comments, if there are any, get lines of their own.
void append_flow(const Value& value, const FlowLayout& layout, SecureBuffer& out);

/// True if `text` is a simple word that may stand unquoted in a flow collection and is a string there.
bool is_flow_word(std::string_view text);

/// A key in flow style, without its `:`.
void append_flow_key(std::string_view key, bool always_quoted, SecureBuffer& out);

/// FormatType::emit and FormatType::emit_value for YAML.
Result<SecureBytes> emit(const Value& tree, const EmitStyle& style);
Result<SecureBytes> emit_value(const Value& value, const EmitStyle& style);

}  // namespace sops::yaml
