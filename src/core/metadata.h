// SPDX-License-Identifier: MPL-2.0
//
// The metadata of an encrypted file: what stands under `sops` (format.md 5). Untrusted input.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/selection.h"
#include "keysources/key_source.h"
#include "tree/value.h"

namespace sops {

/// One wrapped copy of the data key (or of a share), as it stands in a file.
struct KeyEntry {
  std::string source;  // the list's name: "age", "kms" …
  FieldMap fields;
  bool operator==(const KeyEntry&) const = default;
};

/// Master keys of which each alone recovers the data key, or this group's share of it.
using KeyGroup = std::vector<KeyEntry>;

struct Metadata {
  std::vector<KeyGroup> groups;
  int64_t shamir_threshold = 0;
  std::string lastmodified;  // RFC 3339 as written
  std::string mac;           // a ciphertext; empty if the file has none
  std::string layout;        // our extension, a ciphertext; empty if there is none (architecture.md 4)
  std::string version;
  SelectionSettings selection;  // as written, with the default applied if nothing is (format.md 3.1)
  bool mac_only_encrypted = false;
};

/// The names of the key lists, in the order in which SOPS loads them (format.md 5.5).
std::span<const std::string_view> key_list_names();

/// Reads the tree that a format found under `sops`.
/// Errors: kMalformed (exit status 1): a field of the wrong kind, no key entry, a missing or bad lastmodified, more
/// than one selection setting.
Result<Metadata> parse_metadata(const Value& tree);

/// lastmodified as SOPS uses it for additional data: whole seconds, +00:00 as Z (format.md 4.7).
/// REQUIRES: metadata came from parse_metadata or its lastmodified from utc_seconds.
std::string normalized_lastmodified(const Metadata& metadata);

/// SOPS's check before every decryption (format.md 8.2): the version must be semantic, or begin with "1.".
/// Errors: kMalformed (exit status 1).
Result<void> check_version(const Metadata& metadata);

/// The three numbers of a semantic version like "3.9.0-rc.1" or "v3.9.0" (one that does not fit is the greatest);
/// nullopt for other text.
std::optional<std::array<uint64_t, 3>> version_numbers(std::string_view version);

/// The tree to write: entries sorted by name (format.md 5.3), `layout` left out. Views into `metadata` and `arena`.
Value metadata_tree(const Metadata& metadata, SecureArena& arena);

// Parts of it, by themselves.
Value key_entry_tree(const KeyEntry& entry);
Value key_list_tree(std::span<const KeyEntry* const> entries);
Value key_groups_tree(const std::vector<KeyGroup>& groups);

/// The entries that only the first branch gets: `layout`, if there is one.
Value first_branch_tree(const Metadata& metadata);

}  // namespace sops
