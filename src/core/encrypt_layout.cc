// SPDX-License-Identifier: MPL-2.0
//
// Step 7 of encryption (encrypt.cc): what decrypting would spell differently is noted as layout hints.
#include <array>
#include <optional>

#include "base/parallel.h"
#include "core/decrypt.h"
#include "core/encrypt_steps.h"
#include "core/layout.h"

namespace sops {

namespace {

// --- 7: layout ------------------------------------------------------------------------------------------------------

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

}  // namespace sops
