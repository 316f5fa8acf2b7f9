// SPDX-License-Identifier: MPL-2.0
//
// What core and cli know of a file format. A format is a folder below src/formats plus one line in formats.def; it
// exports one `const FormatType type`. It finds the places of a text (scan), spells a value for a place (spell, place),
// and builds text where none exists (metadata, emit). It knows nothing of keys or ciphers. All functions are pure.
//
//   encrypt:  scan(plain) → reserve_metadata → scan → [core: place(ciphertext) for each leaf] → write_metadata → scan →
//   compare decrypt:  scan(encrypted) → [core: spell(value) for each leaf] → remove_metadata
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tree/document.h"
#include "tree/edit.h"
#include "tree/value.h"

namespace sops {

/// How strict a scan is.
enum class ScanMode {
  kPlain,      // text that will be encrypted: every check of SOPS applies to every document, and ours
  kEncrypted,  // text with metadata: what SOPS loads is loaded, with a warning where it is odd
};

/// Layout of emitted text; unset means SOPS's default (format.md 6).
struct EmitStyle {
  std::optional<int> indent;  // --indent or stores.*.indent
};

/// A scalar value as the cipher knows it.
struct TypedText {
  ScalarType type = ScalarType::kString;
  std::string_view text;  // canonical plaintext, format.md 2.10
};

/// Everything the rest of the program needs to know of one format.
struct FormatType {
  std::string_view id;                         // name for --input-type: "yaml"
  std::string_view summary;                    // one line for help
  std::span<const std::string_view> suffixes;  // path endings, ".yaml"
  bool selects_values = true;                  // false for binary: selection settings do not apply (format.md 3.2)
  bool wraps = false;                          // true for binary: the encrypted form is another text (JSON) around the
                                               // one value that is the whole plain file; see wrap() at the end

  /// Scans plain text. Positions in errors are those of `text`.
  /// Errors: kMalformed with position; kUnsupported beyond a limit. The exit status is set where SOPS's is not 2 (92,
  /// 23, 203).
  Result<Document> (*scan)(std::string_view text, ScanMode mode) = nullptr;

  /// The metadata of a scanned encrypted file as a nested tree (format.md 5.1), whatever form it has in the text.
  /// Errors: kNotFound without metadata; kMalformed if it is no mapping or occurs twice.
  Result<Value> (*read_metadata)(const Document& document) = nullptr;

  /// Edits that give every branch of a plain document a metadata entry with placeholder content, where and how the real
  /// one will stand. The text after the edits scans to the same values, and comments stand where SOPS will see them.
  /// Errors: kUnsupported if the document has no place for one.
  Result<EditList> (*reserve_metadata)(const Document& document, const EmitStyle& style) = nullptr;

  /// Edits that replace the metadata entry of every branch by `metadata`; entries of `first_only` go to the first
  /// branch only. The entry keeps its place and its indentation.
  Result<EditList> (*write_metadata)(const Document& document, const Value& metadata, const Value& first_only,
                                     const EmitStyle& style) = nullptr;

  /// Edits that take the metadata entry out of every branch and leave nothing behind: applied to what reserve_metadata
  /// made they give back the original text, except for the root of a branch without entries (`null`, `---` with
  /// nothing), where `{}` is written.
  Result<EditList> (*remove_metadata)(const Document& document) = nullptr;

  /// Appends the text that makes SOPS read the string `ciphertext` at a leaf (in-place.md 1), also for comments.
  /// Returns the span it replaces, usually node(id).span.
  Span (*place)(const Document& document, NodeId id, std::string_view ciphertext, SecureBuffer& out) = nullptr;

  /// Appends the text that makes a leaf of an *encrypted* document scan as `value`, and returns the span it replaces:
  /// in the author's quotes where they can hold it, else in SOPS's spelling (format.md 6.1.16). A comment gets its
  /// text; an encrypted comment that stands as a list item (format.md 4.8) becomes a comment. Appends nothing for a
  /// value that the format has no text for (infinity in JSON): core fails with exit status 4 then.
  Span (*spell)(const Document& document, NodeId id, const TypedText& value, bool is_comment,
                SecureBuffer& out) = nullptr;

  /// Edits that replace an alias by the content it stands for (in-place.md 2), `ciphertexts` one for each leaf (scalars
  /// and comments) of the expanded subtree in walk order; an empty one keeps that leaf as it is. Null for formats
  /// without aliases.
  Result<EditList> (*expand_alias)(const Document& document, NodeId id,
                                   std::span<const std::string_view> ciphertexts) = nullptr;

  // Changing one thing in a text (editing.md 1). Each returns edits of `document.text` after which it scans to the tree
  // with that one change; comments stay, and every changed byte belongs to the node, its separator or its line breaks.
  // New text looks like its neighbours: indentation, quotes, flow or block, line ends. They also serve for single nodes
  // of the metadata of an encrypted text. None of them follows aliases. Errors: kUnsupported (exit status 4) for a
  // value that the format cannot hold, or a place that cannot be changed in its style: core then writes the container
  // anew.

  /// The node `id` (value of an entry, item, root) holds `value`: in the author's style where that can hold it, else in
  /// SOPS's (editing.md 1.5). Its anchor stays; a tag that would give the new value another type goes.
  Result<EditList> (*replace_node)(const Document& document, NodeId id, const Value& value,
                                   const EmitStyle& style) = nullptr;
  /// A last entry `child.key`, or a last item, in `container`, which may be empty (`{}`, `[]`, a root without text).
  Result<EditList> (*append_child)(const Document& document, NodeId container, const Value& child,
                                   const EmitStyle& style) = nullptr;
  /// The entry or item `id` goes, with the comment on its own line and its line breaks; comments above it stay. An
  /// emptied container becomes `{}` or `[]` (editing.md 1.3).
  Result<EditList> (*remove_child)(const Document& document, NodeId id) = nullptr;

  /// Only for formats with `wraps`: the whole encrypted file around the ciphertext of the plain file ("" for an empty
  /// one). Such a format has scan(kEncrypted), read_metadata, write_metadata, the changes of nodes, wrap and emit, and
  /// none of the others. To decrypt it, core takes the plaintext of the root entry `data` as the whole file.
  Result<SecureBytes> (*wrap)(std::string_view ciphertext, const Value& metadata, const EmitStyle& style) = nullptr;

  /// A whole file (a mapping, comments included) in SOPS's style: format.md 6, yaml.md 5. Errors: kUnsupported if the
  /// format cannot hold the tree (exit status 4).
  Result<SecureBytes> (*emit)(const Value& tree, const EmitStyle& style) = nullptr;

  /// A single value that is neither string nor mapping, as --extract prints it (format.md 6, "emit value").
  Result<SecureBytes> (*emit_value)(const Value& value, const EmitStyle& style) = nullptr;

  /// For formats that may be stored in another encoding than UTF-8 (YAML: UTF-16 with byte-order mark). decode_text
  /// gives the text in UTF-8 without mark, nullopt if `raw` is UTF-8 already; errors: kMalformed. encode_text puts
  /// `text` into the encoding of `like`, which decode_text has decoded. Null for formats without.
  Result<std::optional<SecureBytes>> (*decode_text)(std::string_view raw) = nullptr;
  SecureBytes (*encode_text)(std::string_view text, std::string_view like) = nullptr;
};

/// All formats, in the order of formats.def. (registry.cc)
std::span<const FormatType* const> all_formats();

/// The format called `id`, nullptr if there is none.
const FormatType* find_format(std::string_view id);

/// The format for a path by its suffix; binary if no suffix fits (format.md 7.1).
const FormatType& format_for_path(std::string_view path);

}  // namespace sops
