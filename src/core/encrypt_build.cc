// SPDX-License-Identifier: MPL-2.0
//
// Steps 5 and 6 of encryption (encrypt.cc): the ciphertexts go into their places, the result is scanned as SOPS will
// scan it and compared with the plan.
#include <algorithm>
#include <array>

#include "base/parallel.h"
#include "core/ciphertext.h"
#include "core/encrypt_steps.h"

namespace sops {

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

// --- 6: the second scan ---------------------------------------------------------------------------------------------

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

// From now on the ciphertexts are those in the encrypted text, and their own storage goes: a large file needs the room.
void lend_ciphertexts(Plan& plan, const Encrypted& encrypted) {
  for (size_t i = 0; i < plan.walk.leaves.size(); ++i) {
    if (plan.encrypt[i]) {
      plan.ciphertexts[i] = encrypted.document.node(encrypted.leaf(i).node).text.substr(0, plan.ciphertexts[i].size());
    }
  }
  plan.storage.clear();
}

}  // namespace

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

}  // namespace sops
