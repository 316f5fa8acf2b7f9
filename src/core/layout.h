// SPDX-License-Identifier: MPL-2.0
//
// Layout hints: how the author spelled what value and quotes do not tell (architecture.md 4). A hint is a piece of the
// original text for one place of the encrypted document. It is bound to the place by the beginning of the
// authentication tag that stands there, and used only if the text with it scans to the same values, so no hint can
// change a value.
//
//   layout    = version *hint                          version: one byte, 1
//   hint      = kind prefix text                       kind: varint
//   kind 0    the whole text; no prefix; then it is the only hint
//   kind 1+u  the container u levels above the leaf with that tag; u = 0 is the leaf itself
//   prefix    the first 4 bytes of the tag
//   text      varint length, bytes
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/secure_bytes.h"
#include "tree/document.h"

namespace sops {

/// One hint. The original text is secret (it holds the value) and borrowed.
struct LayoutHint {
  bool whole = false;        // `original` is the whole text
  uint32_t levels_up = 0;    // which ancestor of the bound leaf the original replaces
  std::string_view tag_b64;  // the `tag` field of the bound leaf's ciphertext
  std::string_view original;
};

/// Largest size of an encoded layout for a text of `text_size` bytes.
constexpr size_t layout_limit(size_t text_size) { return text_size + 65536; }

/// Encodes hints in walk order. nullopt if that is longer than layout_limit(text_size): then a hint for the whole text
/// is not.
std::optional<SecureBytes> encode_layout(std::span<const LayoutHint> hints, size_t text_size);

/// Bytes of a tag that a hint holds: enough to tell the values of a large file apart.
inline constexpr size_t kTagPrefix = 4;

/// A decoded hint.
struct DecodedHint {
  bool whole = false;
  uint32_t levels_up = 0;
  std::string_view prefix;  // bytes, not base64
  std::string_view original;
};

/// Views into `encoded`. nullopt if it is not well formed. Never uses more memory than a few times its size.
std::optional<std::vector<DecodedHint>> decode_layout(std::string_view encoded);

/// The bytes of a tag that hints compare: the decoded base64. Empty if it is none.
std::string tag_bytes(std::string_view tag_b64);

}  // namespace sops
