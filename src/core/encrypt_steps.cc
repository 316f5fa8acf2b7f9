// SPDX-License-Identifier: MPL-2.0
//
// Steps 1, 3, 5 and 8 of encryption (encrypt.cc), as far as an update has them too: what is selected, what its MAC and
// its ciphertexts are.
#include "core/encrypt_steps.h"

#include <array>

#include "base/parallel.h"
#include "core/ciphertext.h"
#include "core/mac.h"

namespace sops {

// format.md 2.11, 2.12: nulls and empty texts stay as they are.
bool can_be_encrypted(const Document& document, const Leaf& leaf) {
  const Node& node = document.node(leaf.node);
  return node.type != ScalarType::kNull && !node.text.empty();
}

std::string_view leaf_tag(const Document& document, const Leaf& leaf) {
  return leaf.is_comment ? std::string_view("comment") : type_tag(document.node(leaf.node).type);
}

Result<void> select_leaves(Plan& plan, const Selector& selector) {
  plan.walk = TRY(walk(plan.document, selector, ExitStatus::kCannotEncryptTree));
  plan.encrypt.resize(plan.walk.leaves.size());
  for (size_t i = 0; i < plan.walk.leaves.size(); ++i) {
    plan.encrypt[i] = plan.walk.leaves[i].selected && can_be_encrypted(plan.document, plan.walk.leaves[i]);
  }
  return {};
}

// in-place.md 2: what an alias copies must not be readable at one place and secret at the other.
Result<void> check_aliases(const Plan& plan, bool allow_plaintext) {
  const Document& document = plan.document;
  std::vector<bool> secret(document.nodes.size());
  bool any_alias_key = false;
  for (const Node& node : document.nodes) any_alias_key = any_alias_key || node.has(kFlagAliasKey);
  for (size_t i = 0; i < plan.walk.leaves.size(); ++i) {
    const Leaf& leaf = plan.walk.leaves[i];
    if (plan.encrypt[i] && leaf.alias == kNoNode) secret[leaf.node] = true;
  }
  for (size_t i = 0; i < plan.walk.leaves.size(); ++i) {
    const Leaf& leaf = plan.walk.leaves[i];
    if (leaf.alias == kNoNode || plan.encrypt[i] || !secret[leaf.node] || allow_plaintext) continue;
    return fail(ErrorCode::kUsage, "the alias *{} would show in the clear what is encrypted at its anchor",
                escape_for_message(document.node(leaf.alias).text))
        .hint("change the rule so that it selects both places, or say --allow-plaintext")
        .at(position_at(document.text, document.node(leaf.alias).span.begin))
        .exit(ExitStatus::kGeneric);
  }
  if (!any_alias_key) return {};
  for (const Node& node : document.nodes) {
    if (!node.has(kFlagAliasKey)) continue;
    for (NodeId id = 0; id < document.nodes.size(); ++id) {
      if (!secret[id] || !document.node(id).has(kFlagAnchored) || document.node(id).text != node.key) continue;
      return fail(ErrorCode::kUsage, "an alias as a key would show in the clear what is encrypted at its anchor")
          .hint("write the key without an alias")
          .at(position_at(document.text, node.key_span.begin))
          .exit(ExitStatus::kGeneric);
    }
  }
  return {};
}

Result<void> check_not_encrypted(const Document& document) {
  for (size_t i = 0; i < document.branches.size(); ++i) {
    if (document.branches[i].metadata == kNoNode) continue;
    const TextPosition where = position_at(document.text, document.node(document.branches[i].metadata).key_span.begin);
    if (i > 0) {
      return fail(ErrorCode::kUsage,
                  "a later document has a top-level entry 'sops', which is reserved for the metadata")
          .hint("rename the entry")
          .at(where)
          .exit(ExitStatus::kCannotSerialize);
    }
    return fail(ErrorCode::kUsage, "the file is already encrypted: it has a top-level entry 'sops'")
        .hint("to change it use sops edit or sops set; if it is not encrypted, rename the entry")
        .at(where)
        .exit(ExitStatus::kAlreadyEncrypted);
  }
  return {};
}

std::string compute_mac(const Plan& plan, bool only_encrypted) {
  Mac mac(only_encrypted);
  for (const Leaf& leaf : plan.walk.leaves) {
    const Node& node = plan.document.node(leaf.node);
    if (!leaf.is_comment && node.type != ScalarType::kNull) mac.add(node.text, leaf.selected);
  }
  return mac.finish();
}

void set_fresh(Plan& plan, size_t leaf, std::string_view ciphertext) {
  plan.ciphertexts[leaf] = ciphertext;
  if (!plan.as_before.empty()) plan.as_before[leaf] = {};
}

Result<void> encrypt_leaves(Plan& plan, const DataKey& key, Services& services) {
  const size_t count = plan.walk.leaves.size();
  plan.ciphertexts.resize(count);
  const size_t pieces = (count + kLeavesPerPiece - 1) / kLeavesPerPiece;
  const size_t storage = plan.storage.size();
  plan.storage.resize(storage + pieces);
  TRY(ValueCipher::create(key));  // fails here if at all
  parallel_for(count, kLeavesPerPiece, [&](size_t begin, size_t end) {
    auto cipher = ValueCipher::create(key);
    SOPS_CHECK(cipher.has_value(), "the same call succeeded above");
    // Random bytes in one piece (in-place.md 6).
    std::vector<uint8_t> nonces((end - begin) * kNonceSize);
    services.random.fill(nonces);
    std::string aad;
    for (size_t i = begin; i < end; ++i) {
      if (!plan.encrypt[i] || !plan.ciphertexts[i].empty()) continue;
      const Leaf& leaf = plan.walk.leaves[i];
      const std::string_view plaintext = plan.document.node(leaf.node).text;
      const std::string_view tag = leaf_tag(plan.document, leaf);
      plan.walk.aad(plan.document, leaf, aad);
      const std::span<uint8_t> out =
          plan.storage[storage + begin / kLeavesPerPiece].allocate(ciphertext_size(plaintext.size(), tag));
      cipher->encrypt(plaintext, tag, aad, std::span(nonces).subspan((i - begin) * kNonceSize, kNonceSize),
                      {reinterpret_cast<char*>(out.data()), out.size()});
      plan.ciphertexts[i] = as_text(out);
    }
  });
  return {};
}

// format.md 3.11: an encrypted comment that matches unencrypted_comment_regex would not be decrypted again. Another
// nonce gives another text; a pattern that matches every ciphertext is refused.
Result<void> renew_matching_comments(Plan& plan, const Selector& selector, const DataKey& key, Services& services) {
  if (!selector.uses_comments() || selector.skips_judged_comment()) return {};
  constexpr int kTries = 16;
  SecureArena arena;
  ValueCipher cipher = TRY(ValueCipher::create(key));
  std::string aad;
  for (size_t i = 0; i < plan.walk.leaves.size(); ++i) {
    const Leaf& leaf = plan.walk.leaves[i];
    if (!plan.encrypt[i] || !leaf.is_comment) continue;
    for (int tries = 0; selector.comment_matches(plan.ciphertexts[i]); ++tries) {
      const Node& node = plan.document.node(leaf.node);
      if (tries == kTries) {
        return fail(ErrorCode::kUsage, "an encrypted comment matches {}, so it could not be decrypted again",
                    selector.describe())
            .hint("make the pattern more specific: it must not match the text ENC[AES256_GCM,data:…,type:comment]")
            .at(position_at(plan.document.text, node.span.begin))
            .exit(ExitStatus::kCannotEncryptTree);
      }
      std::array<uint8_t, kNonceSize> nonce;
      services.random.fill(nonce);
      plan.walk.aad(plan.document, leaf, aad);
      const std::span<uint8_t> out = arena.allocate(ciphertext_size(node.text.size(), "comment"));
      cipher.encrypt(node.text, "comment", aad, nonce, {reinterpret_cast<char*>(out.data()), out.size()});
      set_fresh(plan, i, as_text(out));
    }
  }
  plan.storage.push_back(std::move(arena));
  return {};
}

Result<std::string> encrypt_entry(const DataKey& key, std::string_view plaintext, std::string_view aad,
                                  Services& services) {
  ValueCipher cipher = TRY(ValueCipher::create(key));
  std::array<uint8_t, kNonceSize> nonce;
  services.random.fill(nonce);
  std::string ciphertext(ciphertext_size(plaintext.size(), "str"), '\0');
  cipher.encrypt(plaintext, "str", aad, nonce, ciphertext);
  return ciphertext;
}

}  // namespace sops
