// SPDX-License-Identifier: MPL-2.0
//
// The steps that encrypt.cc and update.cc have in common, in their order. Private to core. Numbers are those at the top
// of encrypt.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/encrypt.h"
#include "core/walk.h"

namespace sops {

/// The piece of a plain text that an encrypted leaf was decrypted to, and the encrypted text that it came from, with
/// its quotes. Without text: there is none.
struct OldSpelling {
  Span span;
  std::string_view text;
};

/// A text that is going to be encrypted, and what will stand where.
struct Plan {
  const FormatType& format;
  SecureBytes text;   // with room for the metadata, if comments made it necessary (step 2)
  Document document;  // of `text`, or else of the plain text
  EditList room;      // what reserves the room, if it is not in the text yet
  Walk walk;
  std::vector<bool> encrypt;                  // for each leaf
  std::vector<std::string_view> ciphertexts;  // for each leaf; empty where nothing is encrypted
  std::vector<SecureArena> storage;           // of the ciphertexts
  /// For each leaf how it stood in an older version of the file. Empty where there is no older version.
  std::vector<OldSpelling> as_before;
};

/// The encrypted text with placeholder metadata, scanned as SOPS will scan it.
struct Encrypted {
  SecureBytes text;
  Document document;
  Walk walk;
  std::vector<uint32_t> order;  // for each leaf of the plan its index in `walk`; empty if the order is the same

  size_t index(size_t planned) const { return order.empty() ? planned : order[planned]; }
  const Leaf& leaf(size_t planned) const { return walk.leaves[index(planned)]; }
};

/// How many leaves a thread takes at once.
inline constexpr size_t kLeavesPerPiece = 1024;

/// False for nulls and empty texts, which stay as they are (format.md 2.11, 2.12).
bool can_be_encrypted(const Document& document, const Leaf& leaf);

/// Gives a leaf a ciphertext that is not that of an older version.
void set_fresh(Plan& plan, size_t leaf, std::string_view ciphertext);

/// The type in a leaf's ciphertext. REQUIRES: it is no null.
std::string_view leaf_tag(const Document& document, const Leaf& leaf);

/// Step 1. Errors: kUsage (exit status 203) if a branch has metadata.
Result<void> check_not_encrypted(const Document& document);

/// Step 3, after `document` was set: walks it and decides for each leaf.
Result<void> select_leaves(Plan& plan, const Selector& selector);

/// Step 3: what an alias copies must not be readable at one place and secret at the other (in-place.md 2). Errors:
/// kUsage.
Result<void> check_aliases(const Plan& plan, bool allow_plaintext);

/// Step 3: the MAC over all leaves.
std::string compute_mac(const Plan& plan, bool only_encrypted);

/// Step 5: encrypts every leaf that has no ciphertext yet.
Result<void> encrypt_leaves(Plan& plan, const DataKey& key, Services& services);

/// Step 5, format.md 3.11: an encrypted comment that matches unencrypted_comment_regex would not be decrypted again, so
/// it gets another nonce. Errors: kUsage if that does not help.
Result<void> renew_matching_comments(Plan& plan, const Selector& selector, const DataKey& key, Services& services);

/// Steps 5 and 6, repeated for comments whose container on the final text is another one (architecture.md 2). Errors:
/// kUnsupported (exit status 23) if SOPS would read the text as something else.
Result<Encrypted> build_until_stable(Plan& plan, const Selector& selector, const DataKey& key, Services& services);

/// Step 7: the encoded layout, empty if there is nothing to tell. Errors: kUnsupported (exit status 23) if nothing
/// would give back `original`.
Result<SecureBytes> find_layout(const Plan& plan, const Encrypted& encrypted, std::string_view original);

/// Step 8: the ciphertext of a metadata entry.
Result<std::string> encrypt_entry(const DataKey& key, std::string_view plaintext, std::string_view aad,
                                  Services& services);

}  // namespace sops
