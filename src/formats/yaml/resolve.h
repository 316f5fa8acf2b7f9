// SPDX-License-Identifier: MPL-2.0
//
// What type and value the text of a YAML scalar has for SOPS (yaml.md 2), and the one spelling of a value that is
// encrypted and authenticated (format.md 2.10). Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "tree/document.h"

namespace sops::yaml {

/// Longest canonical number or time: the smallest double in positional notation has 3 + 323 + 17 characters.
inline constexpr size_t kLongestCanonical = 352;

/// A type with its canonical plaintext: int decimal, float positional and shortest, bool `True`/`False`, time RFC 3339,
/// null empty, string as it is. A plain value; the text is held inside, or borrowed from what was resolved if that is
/// canonical.
class TypedResolution {
 public:
  /// A text that is canonical as it stands; `text` must outlive the object.
  TypedResolution(ScalarType type, std::string_view text) : type_(type), borrowed_(text) {}
  TypedResolution(const TypedResolution& other) { *this = other; }
  TypedResolution& operator=(const TypedResolution& other);

  ScalarType type() const { return type_; }
  std::string_view text() const { return length_ > 0 ? std::string_view(storage_, length_) : borrowed_; }
  /// True if text() is part of this object, not of what was resolved.
  bool owns_text() const { return length_ > 0; }

  /// A type whose canonical text is `text`, copied. REQUIRES: 0 < text.size() <= kLongestCanonical.
  static TypedResolution holding(ScalarType type, std::string_view text);

 private:
  ScalarType type_ = ScalarType::kNull;
  uint16_t length_ = 0;  // of storage_; 0: use borrowed_
  std::string_view borrowed_;
  char storage_[kLongestCanonical];  // NOLINT: only the first length_ characters are ever read
};

/// What a plain scalar without a tag is (yaml.md 2.2, 2.3). Source: yaml.md 2.2, agrees with go-yaml v3.0.4.
TypedResolution resolve_plain(std::string_view text);

/// The tags that matter (yaml.md 2.4, 3.3). kNone: no tag, or `!`. kOther: anything else, !!str included.
enum class TagKind : uint8_t { kNone, kOther, kMerge, kInt, kFloat, kBool, kNull, kTimestamp, kBinary };

/// True for the tags that say what a scalar is, so that SOPS cannot read a ciphertext under them (in-place.md 1).
constexpr bool is_typed(TagKind kind) { return kind >= TagKind::kInt; }

/// The kind of a resolved tag (`tag:yaml.org,2002:int`, `!!int`, `!local`, `!`, or nothing).
TagKind tag_kind(std::string_view tag);

/// What a text is under a tag that gives it a type; nullopt if the tag contradicts the text.
/// REQUIRES: kind is kInt, kFloat, kBool, kNull or kTimestamp (kBinary needs room for the bytes: base64_decode).
std::optional<TypedResolution> resolve_tagged(TagKind kind, std::string_view text);

/// The canonical text of a float: shortest digits that read back, positional, `+Inf`, `-Inf`, `NaN`, `-0`.
/// Returns the number of characters written to `out`. REQUIRES: out has kLongestCanonical characters.
size_t write_canonical_float(double value, char* out);

/// Reads what write_canonical_float writes, and any decimal number with exponent; nullopt if it is no number or
/// overflows.
std::optional<double> parse_decimal_float(std::string_view text);

/// True if a text has an accepted form (yaml.md 2.3) whose zone offset is 24 hours: SOPS loads it but cannot write it
/// again.
bool is_unwritable_time(std::string_view text);

}  // namespace sops::yaml
