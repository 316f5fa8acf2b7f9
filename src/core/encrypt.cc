// SPDX-License-Identifier: MPL-2.0
//
// Encryption, read aloud:
//   1. scan the plain text; refuse what is encrypted already
//   2. reserve room for the metadata, so that comments are judged where SOPS will find them (yaml.md 1.6)
//   3. walk it: which leaves are selected, and the MAC over all of them
//   4. make the data key and wrap it for every master key
//   5. put a ciphertext in place of every selected leaf; expand aliases that would show or lose a secret
//   6. scan the result as SOPS will, compare with the plan
//   7. note as layout hints what decrypting would spell differently, until it gives back the original byte for byte
//   8. write the metadata
#include "core/encrypt.h"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>

#include "base/parallel.h"
#include "base/rfc3339.h"
#include "core/ciphertext.h"
#include "core/decrypt.h"
#include "core/encrypt_steps.h"
#include "core/layout.h"
#include "core/mac.h"
#include "core/walk.h"

namespace sops {

namespace {

constexpr size_t kLeavesPerPiece = 1024;

// format.md 2.11, 2.12: nulls and empty texts stay as they are.
bool can_be_encrypted(const Document& document, const Leaf& leaf) {
  const Node& node = document.node(leaf.node);
  return node.type != ScalarType::kNull && !node.text.empty();
}

// --- 3: selection
// -------------------------------------------------------------------------------------------------------

}  // namespace

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

namespace {

Result<void> check_something_is_selected(const Plan& plan, const Selector& selector, const EncryptOptions& options) {
  if (options.allow_plaintext || options.selection.count() == 0) return {};
  bool any_value = false;
  for (size_t i = 0; i < plan.walk.leaves.size(); ++i) {
    if (plan.encrypt[i]) return {};
    any_value = any_value || (!plan.walk.leaves[i].is_comment && can_be_encrypted(plan.document, plan.walk.leaves[i]));
  }
  if (!any_value) return {};
  return fail(ErrorCode::kUsage, "{} selects nothing: every value would be in the clear", selector.describe())
      .hint("correct the rule, or say --allow-plaintext if the file is meant to be readable")
      .exit(ExitStatus::kGeneric);
}

}  // namespace

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

namespace {

void set_fresh(Plan& plan, size_t leaf, std::string_view ciphertext) {
  plan.ciphertexts[leaf] = ciphertext;
  if (!plan.as_before.empty()) plan.as_before[leaf] = {};
}

// Steps 1 and 2. Only comments can end up elsewhere because of the metadata block (yaml.md 1.6), so a file without any
// is scanned once.
Result<Plan> scan_with_room(std::string_view text, const FormatType& format, const EncryptOptions& options) {
  Plan plan{.format = format};
  plan.document = TRY(or_exit(format.scan(text, ScanMode::kPlain), ExitStatus::kCannotReadInput));
  TRY(check_not_encrypted(plan.document));
  plan.room = TRY(format.reserve_metadata(plan.document, options.style));
  const auto is_comment = [](const Node& node) { return node.kind == NodeKind::kComment; };
  if (std::any_of(plan.document.nodes.begin(), plan.document.nodes.end(), is_comment)) {
    plan.text = TRY(plan.room.apply(text));
    plan.document = Document();  // gives its memory back before the next one needs room
    plan.document = TRY(format.scan(plan.text.expose_text(), ScanMode::kPlain));
    plan.room = EditList();
  }
  return plan;
}

Result<Plan> make_plan(std::string_view text, const FormatType& format, const Selector& selector,
                       const EncryptOptions& options) {
  Plan plan = TRY(scan_with_room(text, format, options));
  TRY(select_leaves(plan, selector));
  TRY(check_something_is_selected(plan, selector, options));
  TRY(check_aliases(plan, options.allow_plaintext));
  return plan;
}

}  // namespace

std::string compute_mac(const Plan& plan, bool only_encrypted) {
  Mac mac(only_encrypted);
  for (const Leaf& leaf : plan.walk.leaves) {
    const Node& node = plan.document.node(leaf.node);
    if (!leaf.is_comment && node.type != ScalarType::kNull) mac.add(node.text, leaf.selected);
  }
  return mac.finish();
}

namespace {

// --- 5: ciphertexts
// -----------------------------------------------------------------------------------------------------

}  // namespace

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

namespace {

// Adds the edits that put `text` in place of `span`, without a copy of the ciphertext that is most of it. Each piece
// replaces at least one character: insertions at a border could change places with those of a neighbour, a comment
// behind a quote.
void add_around(EditList& edits, Span span, std::string_view text, std::string_view ciphertext) {
  const size_t at = text.find(ciphertext);
  const std::string_view before = text.substr(0, at);
  const std::string_view behind = at == std::string_view::npos ? "" : text.substr(at + ciphertext.size());
  const uint32_t begin = span.begin + (before.empty() ? 0 : 1);
  const uint32_t end = span.end - (behind.empty() ? 0 : 1);
  if (at == std::string_view::npos || span.size() < 3) return edits.add(span, text);
  if (!before.empty()) edits.add({span.begin, begin}, before);
  edits.add_borrowed({begin, end}, ciphertext);
  if (!behind.empty()) edits.add({end, span.end}, behind);
}

// The edits that put the ciphertexts of leaves in place that stand in the text themselves, made on all processors.
EditList place_direct_leaves(const Plan& plan) {
  const size_t count = plan.walk.leaves.size();
  std::vector<EditList> pieces((count + kLeavesPerPiece - 1) / kLeavesPerPiece);
  parallel_for(count, kLeavesPerPiece, [&](size_t begin, size_t end) {
    SecureBuffer text;
    for (size_t i = begin; i < end; ++i) {
      const Leaf& leaf = plan.walk.leaves[i];
      if (!plan.encrypt[i] || leaf.alias != kNoNode) continue;
      if (!plan.as_before.empty() && !plan.as_before[i].text.empty()) {
        pieces[begin / kLeavesPerPiece].add_borrowed(plan.as_before[i].span, plan.as_before[i].text);
        continue;
      }
      const Span span = plan.format.place(plan.document, leaf.node, plan.ciphertexts[i], text);
      add_around(pieces[begin / kLeavesPerPiece], span, text.view(), plan.ciphertexts[i]);
      text.clear();
    }
  });
  EditList edits;
  for (EditList& piece : pieces) edits.append(std::move(piece));
  return edits;
}

// The edits that put the ciphertexts in place. An alias stays if nothing in it is encrypted here or at its anchor
// (architecture.md 2), else the whole of it is expanded.
Result<EditList> place_ciphertexts(const Plan& plan) {
  EditList edits = place_direct_leaves(plan);
  for (const Edit& edit : plan.room.edits()) edits.add_borrowed(edit.span, edit.text);
  std::vector<bool> secret;
  for (size_t i = 0; i < plan.walk.leaves.size();) {
    const Leaf& leaf = plan.walk.leaves[i];
    if (leaf.alias == kNoNode) {
      ++i;
      continue;
    }
    if (secret.empty()) {
      secret.resize(plan.document.nodes.size());
      for (size_t k = 0; k < plan.walk.leaves.size(); ++k) {
        if (plan.encrypt[k] && plan.walk.leaves[k].alias == kNoNode) secret[plan.walk.leaves[k].node] = true;
      }
    }
    size_t end = i;
    bool expand = false;
    for (; end < plan.walk.leaves.size() && plan.walk.leaves[end].alias == leaf.alias; ++end) {
      expand = expand || plan.encrypt[end] || secret[plan.walk.leaves[end].node];
    }
    if (expand) {
      EditList expanded =
          TRY(plan.format.expand_alias(plan.document, leaf.alias, std::span(plan.ciphertexts).subspan(i, end - i)));
      edits.append(std::move(expanded));
    }
    i = end;
  }
  return edits;
}

// --- 6: the second scan
// -------------------------------------------------------------------------------------------------

Failure not_as_planned(const Plan& plan, const Leaf& leaf, std::string_view what) {
  return fail(ErrorCode::kUnsupported, "SOPS would not read the encrypted text as intended: {}", what)
      .hint(
          "nothing was written; please report this file's shape, and write the value at this place in a simpler style")
      .at(position_at(plan.document.text, plan.document.node(leaf.node).span.begin))
      .exit(ExitStatus::kCannotEncryptTree);
}

bool same_path(const Plan& plan, const Leaf& leaf, const Encrypted& encrypted, const Leaf& other) {
  // Nearly always the pieces are equal one by one, and nothing needs to be put together.
  const auto key = [](const Document& document, const Leaf& one) {
    return one.entry == kNoNode ? std::string_view() : document.node(one.entry).key;
  };
  if ((leaf.entry == kNoNode) == (other.entry == kNoNode) &&
      plan.walk.containers[leaf.container] == encrypted.walk.containers[other.container] &&
      key(plan.document, leaf) == key(encrypted.document, other)) {
    return true;
  }
  std::string planned, found;
  plan.walk.aad(plan.document, leaf, planned);
  encrypted.walk.aad(encrypted.document, other, found);
  return planned == found;
}

// What the encrypted text must hold for a leaf of the plan.
std::string_view expected_text(const Plan& plan, size_t i) {
  return plan.encrypt[i] ? plan.ciphertexts[i] : plan.document.node(plan.walk.leaves[i].node).text;
}

// Finds each leaf of the plan in the encrypted text. Values must stand in the same order. A comment may stand before or
// behind other neighbours than in the plan: where SOPS attaches it depends on what is around it (yaml.md 1.3), which an
// expanded alias changes; neither MAC nor path know the order of comments.
Result<void> match_leaves(const Plan& plan, Encrypted& encrypted) {
  const size_t count = plan.walk.leaves.size();
  const size_t found = encrypted.walk.leaves.size();
  if (found != count) {
    const Leaf whole{.node = plan.document.branches.front().root};
    const Leaf& last = count == 0 ? whole : plan.walk.leaves[std::clamp<size_t>(found, 1, count) - 1];
    return not_as_planned(plan, last, format("it has {} values and comments instead of {}", found, count));
  }
  const auto found_text = [&](size_t i) { return encrypted.document.node(encrypted.walk.leaves[i].node).text; };
  size_t same = 0;
  while (same < count && plan.walk.leaves[same].is_comment == encrypted.walk.leaves[same].is_comment &&
         (!plan.walk.leaves[same].is_comment || found_text(same) == expected_text(plan, same))) {
    ++same;
  }
  if (same == count) return {};

  std::vector<uint32_t> values;
  std::vector<uint32_t> comments;
  for (size_t i = 0; i < count; ++i) {
    const auto index = static_cast<uint32_t>(i);
    (encrypted.walk.leaves[i].is_comment ? comments : values).push_back(index);
  }
  std::stable_sort(comments.begin(), comments.end(),
                   [&](uint32_t a, uint32_t b) { return found_text(a) < found_text(b); });
  std::vector<uint32_t> taken(comments.size());  // at the first comment of each text: how many of them
  size_t next_value = 0;
  encrypted.order.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const Leaf& leaf = plan.walk.leaves[i];
    if (leaf.is_comment) {
      const std::string_view text = expected_text(plan, i);
      const auto first = static_cast<size_t>(
          std::lower_bound(comments.begin(), comments.end(), text,
                           [&](uint32_t index, std::string_view wanted) { return found_text(index) < wanted; }) -
          comments.begin());
      const size_t place = first < comments.size() ? first + taken[first]++ : first;
      if (place >= comments.size() || found_text(comments[place]) != text)
        return not_as_planned(plan, leaf, "a comment is read as something else");
      encrypted.order[i] = comments[place];
    } else {
      if (next_value == values.size()) return not_as_planned(plan, leaf, "a value is missing");
      encrypted.order[i] = values[next_value++];
    }
  }
  return {};
}

// Compares the encrypted text as scanned with the plan. Comments that must be encrypted (again) are collected: their
// path differs from the planned one, or they came into a container that the rule selects.
Result<std::vector<size_t>> compare_with_plan(const Plan& plan, Encrypted& encrypted) {
  TRY(match_leaves(plan, encrypted));
  std::vector<size_t> moved_comments;
  for (size_t i = 0; i < plan.walk.leaves.size(); ++i) {
    const Leaf& leaf = plan.walk.leaves[i];
    const Leaf& other = encrypted.leaf(i);
    const Node& before = plan.document.node(leaf.node);
    const Node& after = encrypted.document.node(other.node);
    if (!leaf.is_comment && leaf.branch != other.branch)
      return not_as_planned(plan, leaf, "a value stands in another document");
    if (after.has(kFlagUnseen) && !before.has(kFlagUnseen))
      return not_as_planned(plan, leaf, "a comment would be lost");
    if (!same_path(plan, leaf, encrypted, other)) {
      if (!leaf.is_comment) return not_as_planned(plan, leaf, "a value stands at another path");
      const bool newly_selected = other.selected && !leaf.selected && !before.text.empty();
      if (plan.encrypt[i] || newly_selected) {
        moved_comments.push_back(i);
        if (newly_selected) continue;
      }
    }
    if (plan.encrypt[i]) {
      // In a block scalar the line feed behind the ciphertext belongs to the text; SOPS ignores what follows the
      // bracket.
      const std::string_view read = after.text.substr(0, after.text.find_last_not_of('\n') + 1);
      if (read != plan.ciphertexts[i] || after.type != ScalarType::kString) {
        return not_as_planned(plan, leaf, "an encrypted value is read as something else");
      }
    } else if (after.text != before.text || after.type != before.type) {
      return not_as_planned(plan, leaf, "a value in the clear is read as something else");
    }
    const bool matters = after.type != ScalarType::kNull && !after.text.empty();
    if (matters && leaf.selected != other.selected)
      return not_as_planned(plan, leaf, "the rule selects other values in it");
  }
  return moved_comments;
}

Result<Encrypted> build(const Plan& plan, const Selector& selector) {
  Encrypted encrypted;
  {
    const EditList edits = TRY(place_ciphertexts(plan));
    encrypted.text = TRY(edits.apply(plan.document.text));
  }  // a large file has many edits: they go before the scan needs room
  auto scanned = plan.format.scan(encrypted.text.expose_text(), ScanMode::kEncrypted);
  if (!scanned) {  // its position is one of a text that nobody will see
    return fail(ErrorCode::kUnsupported, "SOPS would not read the encrypted text at all: {}", scanned.error().message)
        .hint("nothing was written; please report this file's shape")
        .exit(ExitStatus::kCannotEncryptTree);
  }
  encrypted.document = std::move(*scanned);
  encrypted.walk = TRY(walk(encrypted.document, selector, ExitStatus::kCannotEncryptTree));
  return encrypted;
}

}  // namespace

// From now on the ciphertexts are those in the encrypted text, and their own storage goes: a large file needs the room.
void lend_ciphertexts(Plan& plan, const Encrypted& encrypted) {
  for (size_t i = 0; i < plan.walk.leaves.size(); ++i) {
    if (plan.encrypt[i]) {
      plan.ciphertexts[i] = encrypted.document.node(encrypted.leaf(i).node).text.substr(0, plan.ciphertexts[i].size());
    }
  }
  plan.storage.clear();
}

// Comments authenticate the container that SOPS computes on the final text, so those that moved are encrypted again.
Result<Encrypted> build_until_stable(Plan& plan, const Selector& selector, const DataKey& key, Services& services) {
  constexpr int kRounds = 4;
  for (int round = 0; round < kRounds; ++round) {
    Encrypted encrypted = TRY(build(plan, selector));
    const std::vector<size_t> moved = TRY(compare_with_plan(plan, encrypted));
    if (moved.empty()) {
      lend_ciphertexts(plan, encrypted);
      return encrypted;
    }
    SecureArena arena;
    ValueCipher cipher = TRY(ValueCipher::create(key));
    std::string aad;
    for (size_t i : moved) {
      std::array<uint8_t, kNonceSize> nonce;
      services.random.fill(nonce);
      const std::string_view plaintext = plan.document.node(plan.walk.leaves[i].node).text;
      encrypted.walk.aad(encrypted.document, encrypted.leaf(i), aad);
      const std::span<uint8_t> out = arena.allocate(ciphertext_size(plaintext.size(), "comment"));
      cipher.encrypt(plaintext, "comment", aad, nonce, {reinterpret_cast<char*>(out.data()), out.size()});
      set_fresh(plan, i, as_text(out));
      plan.encrypt[i] = true;
      // From now on the path on the final text is the planned one.
      plan.walk.leaves[i].selected = true;
      plan.walk.leaves[i].container = static_cast<uint32_t>(plan.walk.containers.size());
      plan.walk.containers.push_back(aad == ":" ? "" : aad);
    }
    plan.storage.push_back(std::move(arena));
  }
  return fail(ErrorCode::kUnsupported, "the comments of the file do not come to rest at one place")
      .hint("nothing was written; please report this file's shape")
      .exit(ExitStatus::kCannotEncryptTree);
}

namespace {

// --- 7: layout
// ------------------------------------------------------------------------------------------------------------

size_t depth_of(const Document& document, NodeId id) {
  size_t depth = 0;
  for (; document.node(id).parent != kNoNode; id = document.node(id).parent) ++depth;
  return depth;
}

// What decrypting would make of one leaf, compared with the author's spelling.
struct Spelled {
  Span span;                // of the encrypted text
  std::string_view author;  // the author's spelling of that piece
  bool as_author = false;   // decrypting gives it by itself
};

// Spells every leaf that was encrypted in the text itself, on all processors.
std::vector<Spelled> spell_leaves(const Plan& plan, const Encrypted& encrypted) {
  std::vector<Spelled> all(plan.walk.leaves.size());
  parallel_for(all.size(), kLeavesPerPiece, [&](size_t begin, size_t end) {
    SecureBuffer text;
    for (size_t i = begin; i < end; ++i) {
      const Leaf& leaf = plan.walk.leaves[i];
      if (!plan.encrypt[i] || leaf.alias != kNoNode) continue;
      const Node& node = plan.document.node(leaf.node);
      all[i].span =
          plan.format.spell(encrypted.document, encrypted.leaf(i).node, {node.type, node.text}, leaf.is_comment, text);
      const bool is_old = !plan.as_before.empty() && !plan.as_before[i].text.empty();
      all[i].author = plan.document.slice(is_old ? plan.as_before[i].span : node.span);
      all[i].as_author = text.view() == all[i].author;
      text.clear();
    }
  });
  return all;
}

// Hints for every leaf that decrypting would spell differently, and for every alias that was expanded.
std::vector<LayoutHint> describe(const Plan& plan, const Encrypted& encrypted, const std::vector<Spelled>& spelled) {
  std::vector<LayoutHint> hints;
  std::vector<bool> alias_described(plan.document.nodes.size());
  for (size_t i = 0; i < plan.walk.leaves.size(); ++i) {
    const Leaf& leaf = plan.walk.leaves[i];
    if (!plan.encrypt[i] || spelled[i].as_author) continue;
    const auto fields = parse_ciphertext(plan.ciphertexts[i]);
    SOPS_CHECK(fields.has_value(), "the value cipher wrote it");
    if (leaf.alias == kNoNode) {
      hints.push_back({.tag_b64 = fields->tag, .original = plan.document.slice(plan.document.node(leaf.node).span)});
      continue;
    }
    if (alias_described[leaf.alias]) continue;
    alias_described[leaf.alias] = true;
    const size_t depth = depth_of(encrypted.document, encrypted.leaf(i).node);
    const size_t outer = depth_of(plan.document, leaf.alias);
    if (depth < outer) continue;  // the check on the whole text takes care of it
    hints.push_back({.levels_up = static_cast<uint32_t>(depth - outer),
                     .tag_b64 = fields->tag,
                     .original = plan.document.slice(plan.document.node(leaf.alias).span)});
  }
  return hints;
}

// True if decrypting without any hint gives back the original. REQUIRES: every leaf is spelled as the author did.
Result<bool> needs_no_layout(const Plan& plan, const Encrypted& encrypted, const std::vector<Spelled>& spelled,
                             std::string_view original) {
  EditList edits;
  for (size_t i = 0; i < spelled.size(); ++i) {
    if (spelled[i].as_author) edits.add_borrowed(spelled[i].span, spelled[i].author);
  }
  EditList metadata = TRY(plan.format.remove_metadata(encrypted.document));
  edits.append(std::move(metadata));
  const SecureBytes text = TRY(edits.apply(encrypted.text.expose_text()));
  return text.expose_text() == original;
}

// What decrypting the encrypted text will give, with these hints.
Result<SecureBytes> decrypt_again(const Plan& plan, const Encrypted& encrypted, std::string_view layout) {
  std::vector<LeafValue> values(plan.walk.leaves.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const Node& node = plan.document.node(plan.walk.leaves[i].node);
    values[encrypted.index(i)] = {.value = {node.type, node.text},
                                  .was_encrypted = plan.encrypt[i],
                                  .is_comment = plan.walk.leaves[i].is_comment};
  }
  bool hints_fit = true;
  SecureBytes text = TRY(render_plain(plan.format, encrypted.document, encrypted.walk, values, layout, hints_fit));
  if (!hints_fit) return fail(ErrorCode::kUnsupported, "the layout hints do not fit");
  return text;
}

}  // namespace

// The encoded layout, empty if there is nothing to tell. What no single hint can tell is told by the whole text.
Result<SecureBytes> find_layout(const Plan& plan, const Encrypted& encrypted, std::string_view original) {
  std::optional<SecureBytes> of_leaves;
  {
    const std::vector<Spelled> spelled = spell_leaves(plan, encrypted);
    const std::vector<LayoutHint> hints = describe(plan, encrypted, spelled);
    if (hints.empty()) {
      const auto none_needed = needs_no_layout(plan, encrypted, spelled, original);
      if (none_needed && *none_needed) return SecureBytes();
    } else {
      of_leaves = encode_layout(hints, original.size());
    }
  }  // a large file has many hints: they go before the next scan needs room
  const auto gives_back = [&](const std::optional<SecureBytes>& layout) {
    if (!layout) return false;
    const auto again = decrypt_again(plan, encrypted, layout->expose_text());
    return again && again->expose_text() == original;
  };
  if (gives_back(of_leaves)) return std::move(*of_leaves);
  const std::array whole = {LayoutHint{.whole = true, .original = original}};
  auto of_text = encode_layout(whole, original.size());
  if (gives_back(of_text)) return std::move(*of_text);
  return fail(ErrorCode::kUnsupported, "decrypting would not give back this file byte for byte")
      .hint("nothing was written; please report this file's shape")
      .exit(ExitStatus::kCannotEncryptTree);
}

namespace {

// --- 8: metadata
// ----------------------------------------------------------------------------------------------------------

}  // namespace

Result<std::string> encrypt_entry(const DataKey& key, std::string_view plaintext, std::string_view aad,
                                  Services& services) {
  ValueCipher cipher = TRY(ValueCipher::create(key));
  std::array<uint8_t, kNonceSize> nonce;
  services.random.fill(nonce);
  std::string ciphertext(ciphertext_size(plaintext.size(), "str"), '\0');
  cipher.encrypt(plaintext, "str", aad, nonce, ciphertext);
  return ciphertext;
}

namespace {

Metadata new_metadata(const EncryptOptions& options, const SelectionSettings& selection, Services& services) {
  Metadata metadata;
  metadata.lastmodified = utc_seconds(services.clock.now());
  metadata.version = kFileVersion;
  metadata.selection = selection;
  metadata.mac_only_encrypted = options.mac_only_encrypted;
  return metadata;
}

// Gives the data key of a new file and adds its wrapped copies to the metadata.
using KeyMaker = std::function<Result<DataKey>(Metadata&)>;

// A format whose encrypted form is another text around one value: the file as a whole (format.md 6C).
Result<EncryptResult> encrypt_wrapped(std::string_view text, const FormatType& format, const EncryptOptions& options,
                                      const KeyMaker& make_key, Services& services) {
  // The file may be an encrypted one under a name that does not say so; SOPS encrypts it once more.
  if (const auto document = format.scan(text, ScanMode::kEncrypted); document) {
    if (const auto tree = format.read_metadata(*document); tree && parse_metadata(*tree)) {
      return fail(ErrorCode::kUsage, "the file is already encrypted: it has a top-level entry 'sops'")
          .hint("name its format with --input-type, or use sops edit or sops set to change it")
          .exit(ExitStatus::kAlreadyEncrypted);
    }
  }
  Metadata metadata = new_metadata({}, {}, services);
  const DataKey key = TRY(make_key(metadata));

  // The text around the ciphertext, with a stand-in for it and a MAC of the right length: so a large ciphertext is
  // written where it stays.
  constexpr std::string_view kStandIn = "ENC[]";
  constexpr size_t kMacLength = 128;
  metadata.mac = std::string(ciphertext_size(kMacLength, "str"), 'x');
  SecureArena arena;
  const SecureBytes outline = TRY(format.wrap(kStandIn, metadata_tree(metadata, arena), options.style));
  const size_t at = outline.expose_text().find(kStandIn);
  SOPS_CHECK(at != std::string_view::npos, "wrap() writes it first, and nothing in it needs an escape");
  const size_t length = text.empty() ? 0 : ciphertext_size(text.size(), "str");
  EncryptResult result;
  result.text = SecureBytes(outline.size() - kStandIn.size() + length);
  const std::span<uint8_t> place = result.text.expose_mutable().subspan(at, length);

  // The MAC and the ciphertext do not need each other, and of a large file each takes as long.
  ValueCipher cipher = TRY(ValueCipher::create(key));
  std::array<uint8_t, kNonceSize> nonce;
  services.random.fill(nonce);
  std::string mac_text;
  const size_t grain = text.size() < (size_t{1} << 20) ? 2 : 1;  // a thread costs more than a small file
  parallel_for(2, grain, [&](size_t begin, size_t end) {
    for (size_t part = begin; part < end; ++part) {
      if (part == 0) {
        Mac mac(false);
        mac.add(text, true);
        mac_text = mac.finish();
      } else if (!text.empty()) {
        cipher.encrypt(text, "str", "data:", nonce, {reinterpret_cast<char*>(place.data()), place.size()});
      }
    }
  });
  metadata.mac = TRY(encrypt_entry(key, mac_text, metadata.lastmodified, services));
  const SecureBytes around = TRY(format.wrap(kStandIn, metadata_tree(metadata, arena), options.style));
  SOPS_CHECK(around.size() == outline.size(), "the MAC is as long as its stand-in");
  const auto put = [&](std::span<const uint8_t> piece, size_t to) {
    std::copy(piece.begin(), piece.end(), result.text.expose_mutable().begin() + static_cast<ptrdiff_t>(to));
  };
  put(around.expose().first(at), 0);
  put(around.expose().subspan(at + kStandIn.size()), at + length);
  return result;
}

Result<EncryptResult> encrypt_with(std::string_view text, const FormatType& format, const EncryptOptions& options,
                                   const KeyMaker& make_key, Services& services) {
  if (format.wraps) return encrypt_wrapped(text, format, options, make_key, services);

  const SelectionSettings selection =
      options.selection.count() == 0 ? SelectionSettings::standard() : options.selection;
  const Selector selector = TRY(Selector::compile(selection, Selector::Strictness::kStrict));

  Plan plan = TRY(make_plan(text, format, selector, options));

  Metadata metadata = new_metadata(options, selection, services);
  const DataKey key = TRY(make_key(metadata));
  metadata.mac =
      TRY(encrypt_entry(key, compute_mac(plan, options.mac_only_encrypted), metadata.lastmodified, services));

  TRY(encrypt_leaves(plan, key, services));
  TRY(renew_matching_comments(plan, selector, key, services));
  Encrypted encrypted = TRY(build_until_stable(plan, selector, key, services));
  const SecureBytes layout = TRY(find_layout(plan, encrypted, text));
  if (!layout.empty()) {
    metadata.layout = TRY(encrypt_entry(key, layout.expose_text(), "sops:layout:" + metadata.lastmodified, services));
  }

  SecureArena arena;
  const EditList block = TRY(format.write_metadata(encrypted.document, metadata_tree(metadata, arena),
                                                   first_branch_tree(metadata), options.style));
  EncryptResult result;
  result.warnings = std::move(plan.document.warnings);
  // What a large file took is given back before the last copy of its text is made.
  plan.storage.clear();
  plan.document = Document();
  encrypted.document.nodes = {};
  result.text = TRY(block.apply(encrypted.text.expose_text()));
  return result;
}

}  // namespace

Result<EncryptResult> encrypt_text(std::string_view text, const FormatType& format, const EncryptOptions& options,
                                   std::span<const MasterKeyList> groups, Services& services) {
  const KeyMaker make_key = [&](Metadata& metadata) -> Result<DataKey> {
    DataKey key = DataKey::generate(services.random);
    WrappedKey wrapped = TRY(wrap_data_key(key, groups, options.shamir_threshold, services));
    metadata.groups = std::move(wrapped.groups);
    metadata.shamir_threshold = wrapped.shamir_threshold;
    return key;
  };
  return encrypt_with(text, format, options, make_key, services);
}

Result<EncryptResult> encrypt_text(std::string_view text, const FormatType& format, const EncryptOptions& options,
                                   const DataKey& key, const Metadata& keys, Services& services) {
  const KeyMaker make_key = [&](Metadata& metadata) -> Result<DataKey> {
    metadata.groups = keys.groups;
    metadata.shamir_threshold = keys.shamir_threshold;
    return key.clone();
  };
  return encrypt_with(text, format, options, make_key, services);
}

}  // namespace sops
