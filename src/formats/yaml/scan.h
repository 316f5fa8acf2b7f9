// SPDX-License-Identifier: MPL-2.0
//
// Finds the places of a YAML text: scan() makes a Document of it (tree/document.h), accepting what SOPS accepts
// (yaml.md 4) and putting every comment where SOPS puts it (yaml.md 1.3). Pure functions, safe to call from several
// threads.
//
// Where Node::span stands, for each style. Everything is in bytes of the text; a line break *behind* a scalar is never
// in its span, so a replacement of the span keeps the number of breaks behind it (yaml.md 1.6).
//
//   kAbsent        no text. Empty span directly behind the `:`, the `-`, or (no `:` in the text) behind the key; a
//                  value inserted there needs a blank before it, and a `:` if text[span.begin - 1] is neither. With an
//                  anchor or tag the span covers these, and content == span.end.
//   kPlain, kSingleQuoted, kDoubleQuoted
//                  the whole scalar, quotes and inner line breaks included
//   kLiteral, kFolded
//                  from the header to the end of the last line of content, its break not included; trailing blank
//                  lines (at most as many spaces as the block is indented) stay behind it. Without content lines: the
//                  header line up to its last indicator.
//                  EXCEPTION: when the header line ends in a comment, the comment is a place of its own, and the span
//                  covers the content lines only: it begins at the first character of the line below the header
//                  (without content lines it is empty, at the end of the comment). Recognise this by
//                  content < span.begin; the header then cannot be replaced. A typed
//                  tag together with such a comment is refused in kPlain.
//   kBlock         from its properties or first key or `-` to the end of its last value, key or indicator; comments
//                  behind do not count
//   kFlow          from `[` or `{` to `]` or `}`. The pair inside `[a: b]` is a kFlow mapping without brackets: from
//                  its key (or `?`) to its value
//   kRaw           an alias of a *key* (`&x k: 1`, `b: *x`): a scalar with the key's type and text; span is the `*x`
//   alias          `*name`
//   comment        from `#` to before the break
//
// Properties (anchor, tag): span begins at the first one, content is where `|`, `"`, … starts.
// Node::key_span covers the key with its properties and quotes, not the `?`. A missing key has an empty span.
//
// The root of a branch is always a mapping: kBlock or kFlow as it stands; kPlain if the text is a null (`~`, `null`),
// span on that text with its properties; kAbsent if there is nothing but perhaps properties: empty span behind `---`.
// A branch's `text` goes from behind its `---` (from the start of the text or behind `...` if there is none) to the
// next `---`, `...`, `%` line or the end of the text.
//
// Comments that SOPS loses (yaml.md 1.4) are nodes with kFlagUnseen, in the innermost block container that spans them.
// Two aliases of one anchor share its nodes (Node::target), possibly in an earlier branch. A target is never open:
// cycles are refused.
#pragma once

#include <string_view>

#include "base/error.h"
#include "formats/format.h"
#include "tree/document.h"

namespace sops::yaml {

/// Scans a stream of YAML documents in UTF-8, with or without byte-order mark (UTF-16 is the caller's to convert). In
/// kPlain every check of SOPS applies to every branch; in kEncrypted, what SOPS leaves unchecked in later branches
/// gives a warning and kFlagOdd. Keys that are no strings and kUnsigned values are marked, not refused.
///
/// Branch::metadata is the first entry `sops` of the root.
/// Errors: kMalformed with position; kUnsupported beyond a limit or where we do less than SOPS. The exit status is set
/// only where SOPS's is not that of a text that does not parse: 92 for an empty text.
Result<Document> scan(std::string_view text, ScanMode mode);

/// Whether libyaml reads a text in its condensed form (condense.h). The result does not depend on it.
enum class Condensing { kNever, kIfWorthwhile, kAlways };

/// scan() with a choice, for tests.
Result<Document> scan_with(std::string_view text, ScanMode mode, Condensing condensing);

/// What stands in the header of a literal or folded scalar.
struct BlockHeader {
  char style = '|';    // or '>'
  char chomping = 0;   // '-', '+', or 0
  uint32_t digit = 0;  // indentation indicator, 0 if there is none
  uint32_t end = 0;    // position behind the last indicator
};

/// The header of a literal or folded scalar. REQUIRES: the node has style kLiteral or kFolded.
BlockHeader block_header(const Document& document, NodeId id);

/// The column at which the content lines of a literal or folded scalar begin: by its indentation digit, or by its first
/// line that is not blank; without content the smallest column that content may have. REQUIRES: the node has style
/// kLiteral or kFolded.
size_t block_indentation(const Document& document, NodeId id);

/// Column in characters, from 0, of a position; line breaks are LF, CR, NEL, LS and PS, a leading byte-order mark does
/// not count.
size_t column_of(std::string_view text, size_t position);

}  // namespace sops::yaml
