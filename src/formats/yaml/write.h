// SPDX-License-Identifier: MPL-2.0
//
// Changes to a scanned YAML text: what to write at a place of a value or comment, and the metadata entry (in-place.md).
// Each function here is the one of the same name in FormatType; format.h has the contracts, this page what is special
// to YAML. Pure functions, safe to call from several threads.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "formats/format.h"
#include "tree/document.h"
#include "tree/edit.h"
#include "tree/value.h"

namespace sops::yaml {

/// Quotes, block header, anchor and tag stay; a plain scalar in a flow collection gets double quotes; a tag that gives
/// the scalar its type becomes `!!str`. A text of several lines becomes one line, with the breaks behind it untouched.
Span place(const Document& document, NodeId id, std::string_view ciphertext, SecureBuffer& out);

/// A string stays in its quotes, or under its block header, where these can hold it. A plain one is spelled as SOPS
/// spells it; where that is a literal it stands where SOPS would put it. Other types are written plain, a `!!str`
/// before them becomes the tag of the type. Where a header with a comment behind it cannot hold the value, the span
/// covers the comment too and its text is repeated: if the comment is edited as well, EditList::apply refuses both.
Span spell(const Document& document, NodeId id, const TypedText& value, bool is_comment, SecureBuffer& out);

/// A collection becomes one line in flow style; in block style if it has comments, or if a comment stands behind the
/// alias of an entry, because a comment behind a flow collection belongs to its first entry only (in-place.md 2).
Result<EditList> expand_alias(const Document& document, NodeId id, std::span<const std::string_view> ciphertexts);

/// Errors: kNotFound without metadata in the first branch; kMalformed if it is no mapping or occurs twice there.
Result<Value> read_metadata(const Document& document);

/// The entry goes behind the last line of a block root, comments included; into the braces of a flow root, with the
/// comma in front of it, or behind it if the last entry has one; in the place of a root `{}` or null that has a line of
/// its own. Only where the text ends in a literal without line break it goes first: a line below would add one to the
/// value.
Result<EditList> reserve_metadata(const Document& document, const EmitStyle& style);

/// A branch without the entry gets one where reserve_metadata would put it.
Result<EditList> write_metadata(const Document& document, const Value& metadata, const Value& first_only,
                                const EmitStyle& style);

/// Comments that stand between the lines of the entry but belong to another place stay. A root that had nothing else
/// becomes `{}`, as SOPS writes it.
Result<EditList> remove_metadata(const Document& document);

/// UTF-16 with byte-order mark, in either order. Errors: kMalformed for half a character or a lone surrogate.
Result<std::optional<SecureBytes>> decode_text(std::string_view raw);
SecureBytes encode_text(std::string_view text, std::string_view like);

}  // namespace sops::yaml
