// SPDX-License-Identifier: MPL-2.0
//
// Writing a file again, read aloud:
//   1. put the old metadata block into the changed plain text, where it stood
//   2. scan and walk that; which leaves are selected
//   3. a leaf that equals one of the old file in path, type and plaintext takes its ciphertext, and its quotes where
//      these still fit; all others are encrypted as in a new file
//   4. as in encrypt.cc: place, scan as SOPS will, compare, note layout hints
//   5. change `mac`, `lastmodified`, `layout` and what else is new in the block
#include "core/update.h"

#include <algorithm>
#include <unordered_map>

#include "base/rfc3339.h"
#include "core/ciphertext.h"
#include "core/encrypt_steps.h"
#include "core/layout.h"
#include "core/mac.h"
#include "core/metadata_edit.h"

namespace sops {

namespace {

// --- 1: the old metadata block in the new plain text

// The piece of `document`'s text that is the metadata of a branch: key and value, without what separates them from the
// rest.
std::string_view metadata_text(const Document& document, const Branch& branch) {
  const Node& node = document.node(branch.metadata);
  return document.slice({node.key_span.begin, node.span.end});
}

// Nearly always the block is the last thing of its branch. Then the format makes room for one as in a new file, and the
// placeholder in it is exchanged for the old block.
Result<SecureBytes> with_block_at_end(const OpenedFile& file, std::string_view plain, const EmitStyle& style) {
  const FormatType& format = *file.format;
  SecureBytes reserved;
  {
    const Document document = TRY(format.scan(plain, ScanMode::kEncrypted));
    const EditList room = TRY(format.reserve_metadata(document, style));
    reserved = TRY(room.apply(plain));
  }
  const Document document = TRY(format.scan(reserved.expose_text(), ScanMode::kEncrypted));
  EditList edits;
  for (size_t i = 0; i < document.branches.size(); ++i) {
    const Branch& branch = document.branches[i];
    SOPS_CHECK(branch.metadata != kNoNode, "room was reserved in every branch");
    // A document that is new, or that had no block of its own, gets a copy of the first one's.
    const std::vector<Branch>& old = file.document.branches;
    const Branch& from = i < old.size() && old[i].metadata != kNoNode ? old[i] : old.front();
    const Node& node = document.node(branch.metadata);
    // A block does not fit between the braces of a root that has become `{}`: there it is written anew (step 5).
    if (node.style == NodeStyle::kFlow && file.document.node(from.metadata).style != NodeStyle::kFlow) return reserved;
    edits.add_borrowed({node.key_span.begin, node.span.end}, metadata_text(file.document, from));
  }
  return edits.apply(reserved.expose_text());
}

bool is_blank(std::string_view text) { return trim(text).empty(); }

// A block that somebody moved up stays there. nullopt if it stands at the end, or if its place cannot be told.
std::optional<SecureBytes> with_block_in_place(const OpenedFile& file, std::string_view plain) {
  if (file.document.branches.size() != 1) return std::nullopt;
  const Branch& branch = file.document.branches.front();
  const std::string_view old = file.document.text;
  if (is_blank(old.substr(file.document.node(branch.metadata).span.end)) ||
      file.document.node(branch.root).next <= file.document.node(branch.metadata).next) {
    return std::nullopt;
  }
  const auto removal = file.format->remove_metadata(file.document);
  if (!removal || removal->edits().size() != 1 || !removal->edits().front().text.empty()) return std::nullopt;
  const Span block = removal->edits().front().span;

  // Where the block was in the plain text that `plain` was made from; both then agree up to there or from there on.
  const auto edits = plain_edits(file);
  if (!edits) return std::nullopt;
  const auto before = edits->apply(old);
  if (!before) return std::nullopt;
  int64_t shift = 0;
  for (const Edit& edit : edits->edits()) {
    if (edit.span.begin < block.begin) shift += static_cast<int64_t>(edit.text.size()) - edit.span.size();
  }
  const std::string_view was = before->expose_text();
  const size_t at = static_cast<size_t>(static_cast<int64_t>(block.begin) + shift);
  if (at > was.size()) return std::nullopt;
  size_t place = at;
  if (was.substr(0, at) != plain.substr(0, std::min(at, plain.size()))) {
    const size_t behind = was.size() - at;
    if (behind > plain.size() || was.substr(at) != plain.substr(plain.size() - behind)) return std::nullopt;
    place = plain.size() - behind;
  }
  EditList insertion;
  insertion.add_borrowed({static_cast<uint32_t>(place), static_cast<uint32_t>(place)}, file.document.slice(block));
  auto text = insertion.apply(plain);
  if (!text) return std::nullopt;
  const auto document = file.format->scan(text->expose_text(), ScanMode::kEncrypted);
  if (!document || document->branches.size() != 1 || document->branches.front().metadata == kNoNode) {
    return std::nullopt;
  }
  return std::move(*text);
}

// --- 3: ciphertexts that stay

// A leaf by which old and new are compared.
struct LeafKey {
  std::string aad;
  std::string_view kind;
  std::string_view plaintext;
  bool operator==(const LeafKey&) const = default;
};

struct LeafKeyHash {
  size_t operator()(const LeafKey& key) const {
    const std::hash<std::string_view> hash;
    return hash(key.aad) * 31 + hash(key.plaintext);
  }
};

// The leaves of a plain text at these positions, as indices into a walk.
Result<std::vector<size_t>> leaves_at(const Document& document, const Selector& selector,
                                      const std::vector<size_t>& positions) {
  std::vector<size_t> leaves;
  if (positions.empty()) return leaves;
  const Walk walked = TRY(walk(document, selector, ExitStatus::kCannotEncryptTree));
  for (size_t i = 0; i < walked.leaves.size(); ++i) {
    const Leaf& leaf = walked.leaves[i];
    const size_t position = document.node(leaf.node).content;
    if (!leaf.is_comment && leaf.alias == kNoNode && std::ranges::count(positions, position) > 0) leaves.push_back(i);
  }
  return leaves;
}

// Lends the ciphertexts of an opened file to the leaves of a plan.
class OldCiphertexts {
 public:
  /// `floats`: leaves of the plan that are floats for certain, whatever they look like.
  OldCiphertexts(const OpenedFile& file, Plan& plan, const std::vector<size_t>& floats)
      : file_(file), plan_(plan), floats_(floats) {}

  void lend() {
    plan_.ciphertexts.resize(plan_.walk.leaves.size());
    plan_.as_before.resize(plan_.walk.leaves.size());
    // Nearly everything is as before: equal from the front and from the back. Only what is left needs to be looked up.
    const size_t new_count = plan_.walk.leaves.size();
    const size_t old_count = file_.walk.leaves.size();
    size_t front = 0;
    while (front < new_count && front < old_count && try_lend(front, front)) ++front;
    size_t back = 0;
    while (back < new_count - front && back < old_count - front &&
           try_lend(new_count - 1 - back, old_count - 1 - back)) {
      ++back;
    }
    std::unordered_multimap<LeafKey, size_t, LeafKeyHash> others;
    for (size_t i = front; i < old_count - back; ++i) {
      if (file_.values[i].may_stay) others.emplace(old_key(i), i);
    }
    for (size_t i = front; i < new_count - back && !others.empty(); ++i) {
      if (!plan_.encrypt[i] || !plan_.ciphertexts[i].empty()) continue;
      const auto range = others.equal_range(new_key(i));
      if (range.first == range.second || !same_number(i, range.first->second)) continue;
      // Of several equal ones that of the same document and then the earliest, so that items of a list keep their
      // order.
      const auto rank = [&](const auto& candidate) {
        return std::pair(!is_same_branch(i, candidate.second), candidate.second);
      };
      const auto earliest =
          std::min_element(range.first, range.second, [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
      lend_one(i, earliest->second);
      others.erase(earliest);
    }
  }

 private:
  // Spelling may turn the number 1.0 into 1, and bytes into a text (format.md 2.10): for these the type says nothing
  // about a change, and the old one stays.
  static std::string_view kind_of(std::string_view tag) {
    if (tag == type_tag(ScalarType::kInt)) return type_tag(ScalarType::kFloat);
    return tag == type_tag(ScalarType::kBytes) ? type_tag(ScalarType::kString) : tag;
  }

  // A float that was set is no integer that was there, though both look the same.
  bool same_number(size_t i, size_t old) const {
    return std::ranges::count(floats_, i) == 0 || file_.values[old].value.type == ScalarType::kFloat;
  }

  // Paths do not tell documents of a stream apart. Where as many are there as before, each is what it was.
  bool is_same_branch(size_t i, size_t old) const {
    return plan_.document.branches.size() != file_.document.branches.size() ||
           plan_.walk.leaves[i].branch == file_.walk.leaves[old].branch;
  }

  LeafKey old_key(size_t i) const {
    LeafKey key;
    file_.walk.aad(file_.document, file_.walk.leaves[i], key.aad);
    key.kind = kind_of(file_.values[i].is_comment ? "comment" : type_tag(file_.values[i].value.type));
    key.plaintext = file_.values[i].value.text;
    return key;
  }

  LeafKey new_key(size_t i) const {
    const Leaf& leaf = plan_.walk.leaves[i];
    LeafKey key;
    plan_.walk.aad(plan_.document, leaf, key.aad);
    key.kind = kind_of(leaf_tag(plan_.document, leaf));
    const Node& node = plan_.document.node(leaf.node);
    key.plaintext = node.text;
    // The number -0.0 is spelled -0, and that is read as the integer 0.
    if (node.type == ScalarType::kInt && plan_.document.slice(node.span) == "-0") key.plaintext = "-0";
    return key;
  }

  // True if leaf `i` of the plan is leaf `old` of the file. Lends its ciphertext then, if both are encrypted.
  bool try_lend(size_t i, size_t old) {
    const LeafValue& value = file_.values[old];
    if (value.was_encrypted != plan_.encrypt[i] || !is_same_branch(i, old)) return false;
    if (!plan_.encrypt[i]) {
      const Node& node = plan_.document.node(plan_.walk.leaves[i].node);
      return value.value.type == node.type && value.value.text == node.text;
    }
    if (old_key(old) != new_key(i) || !same_number(i, old)) return false;
    if (value.may_stay) lend_one(i, old);
    return true;
  }

  void lend_one(size_t i, size_t old) {
    const Leaf& old_leaf = file_.walk.leaves[old];
    const Leaf& leaf = plan_.walk.leaves[i];
    const LeafValue& value = file_.values[old];
    const Node& before = file_.document.node(old_leaf.node);
    Node& node = plan_.document.nodes[leaf.node];
    plan_.ciphertexts[i] = before.text.substr(0, before.text.find_last_not_of('\n') + 1);
    if (node.kind != before.kind) return;  // a comment that SOPS wrote as a list item (format.md 4.8)
    if (node.kind == NodeKind::kScalar) {
      node.type = value.value.type;
      node.text = value.value.text;
    }
    if (leaf.alias != kNoNode || old_leaf.alias != kNoNode) return;

    // Decryption put `spelled` in place of a piece of the old text. Where that still stands, the piece comes back.
    SecureBuffer spelled;
    const Span piece = file_.format->spell(file_.document, old_leaf.node, value.value, value.is_comment, spelled);
    const int64_t begin = int64_t{node.span.begin} + piece.begin - before.span.begin;
    const int64_t end = begin + static_cast<int64_t>(spelled.size());
    if (begin < 0 || end > static_cast<int64_t>(plan_.document.text.size())) return;
    const Span now = {static_cast<uint32_t>(begin), static_cast<uint32_t>(end)};
    if (plan_.document.slice(now) == spelled.view()) plan_.as_before[i] = {now, file_.document.slice(piece)};
  }

  const OpenedFile& file_;
  Plan& plan_;
  const std::vector<size_t>& floats_;
};

// Steps 3 and 4. Old quotes that do not fit the new surroundings are given up, once.
Result<Encrypted> build_with_old_spelling(Plan& plan, const Selector& selector, const DataKey& key,
                                          Services& services) {
  auto encrypted = build_until_stable(plan, selector, key, services);
  const bool had_spelling = std::any_of(plan.as_before.begin(), plan.as_before.end(),
                                        [](const OldSpelling& old) { return !old.text.empty(); });
  if (encrypted || !had_spelling) return encrypted;
  plan.as_before.clear();
  return build_until_stable(plan, selector, key, services);
}

// --- 5: metadata

// cli.md 4.5: a version that is newer than ours stays.
bool is_newer_than_ours(std::string_view version) {
  const auto theirs = version_numbers(version);
  return theirs && *theirs > *version_numbers(kFileVersion);
}

Metadata changed_metadata(const OpenedFile& file, const UpdateOptions& options, Services& services) {
  Metadata metadata = options.metadata ? *options.metadata : file.metadata;
  metadata.lastmodified = utc_seconds(services.clock.now());
  metadata.layout.clear();
  if (options.write_version && !is_newer_than_ours(metadata.version)) metadata.version = kFileVersion;
  return metadata;
}

// A format whose encrypted form is another text around one value (format.md 6C).
Result<EncryptResult> update_wrapped(const OpenedFile& file, std::string_view plain, const UpdateOptions& options,
                                     const DataKey& key, Services& services) {
  Metadata metadata = changed_metadata(file, options, services);
  EditList edits;
  std::string ciphertext;
  bool found = false;
  for (size_t i = 0; i < file.values.size() && !found; ++i) {
    const Leaf& leaf = file.walk.leaves[i];
    if (leaf.entry == kNoNode || file.document.node(leaf.entry).key != "data") continue;
    found = true;
    const LeafValue& value = file.values[i];
    const bool stays = !options.new_data_key && value.value.text == plain &&
                       (value.may_stay || (plain.empty() && !value.was_encrypted));
    if (stays) continue;
    if (!plain.empty()) ciphertext = TRY(encrypt_entry(key, plain, "data:", services));
    SecureBuffer text;
    const Span span = file.format->place(file.document, leaf.node, ciphertext, text);
    edits.add(span, text.view());
  }
  if (!found) {
    return fail(ErrorCode::kUnsupported, "the file has no text entry 'data', so it is no encrypted binary file")
        .hint("name its format with --input-type, for example --input-type json")
        .exit(ExitStatus::kCannotSerialize);
  }
  // The MAC covers every value, also those next to `data` (format.md 6.3.2).
  Mac mac(metadata.mac_only_encrypted);
  for (size_t i = 0; i < file.values.size(); ++i) {
    const Leaf& leaf = file.walk.leaves[i];
    const bool is_data = leaf.entry != kNoNode && file.document.node(leaf.entry).key == "data";
    const LeafValue& value = file.values[i];
    if (is_data || (!value.is_comment && value.value.type != ScalarType::kNull)) {
      mac.add(is_data ? plain : value.value.text, leaf.selected);
    }
  }
  metadata.mac = TRY(encrypt_entry(key, mac.finish(), normalized_lastmodified(metadata), services));
  EditList block = TRY(edit_metadata(*file.format, file.document, file.metadata, metadata, options.style));
  edits.append(std::move(block));
  EncryptResult result;
  result.text = TRY(edits.apply(file.document.text));
  return result;
}

}  // namespace

Result<EncryptResult> update_text(const OpenedFile& file, std::string_view plain, const UpdateOptions& options,
                                  Services& services) {
  SOPS_CHECK(options.new_data_key == (options.data_key != nullptr), "a new data key comes with its key");
  const DataKey& key = options.new_data_key ? *options.data_key : *file.key;
  if (file.format->wraps) return update_wrapped(file, plain, options, key, services);

  const FormatType& format = *file.format;
  Metadata metadata = changed_metadata(file, options, services);
  const Selector selector = TRY(Selector::compile(metadata.selection, Selector::Strictness::kStrict));
  std::vector<size_t> floats;
  {
    const Document document = TRY(or_exit(format.scan(plain, ScanMode::kEncrypted), ExitStatus::kCannotReadInput));
    TRY(check_not_encrypted(document));
    floats = TRY(leaves_at(document, selector, options.whole_floats));
  }

  // 1, 2
  Plan plan{.format = format};
  if (auto in_place = with_block_in_place(file, plain)) {
    plan.text = std::move(*in_place);
  } else {
    plan.text = TRY(with_block_at_end(file, plain, options.style));
  }
  plan.document = TRY(format.scan(plan.text.expose_text(), ScanMode::kEncrypted));
  TRY(select_leaves(plan, selector));
  for (const size_t leaf : floats) {
    Node& node = plan.document.nodes[plan.walk.leaves[leaf].node];
    // What stays in the clear is what it reads as.
    if (node.type == ScalarType::kInt && plan.encrypt[leaf]) node.type = ScalarType::kFloat;
  }
  TRY(check_aliases(plan, options.allow_plaintext));

  // 3, 4
  if (!options.new_data_key) OldCiphertexts(file, plan, floats).lend();
  metadata.mac =
      TRY(encrypt_entry(key, compute_mac(plan, metadata.mac_only_encrypted), metadata.lastmodified, services));
  TRY(encrypt_leaves(plan, key, services));
  TRY(renew_matching_comments(plan, selector, key, services));
  const Encrypted encrypted = TRY(build_with_old_spelling(plan, selector, key, services));
  const SecureBytes layout = TRY(find_layout(plan, encrypted, plain));
  if (!layout.empty()) {
    metadata.layout = TRY(encrypt_entry(key, layout.expose_text(), "sops:layout:" + metadata.lastmodified, services));
  }

  // 5
  const EditList block = TRY(edit_metadata(format, encrypted.document, file.metadata, metadata, options.style));
  EncryptResult result;
  result.warnings = std::move(plan.document.warnings);
  result.text = TRY(block.apply(encrypted.text.expose_text()));
  return result;
}

Result<SecureBytes> replace_metadata(const OpenedFile& file, const Metadata& metadata, const EmitStyle& style) {
  const EditList edits = TRY(edit_metadata(*file.format, file.document, file.metadata, metadata, style));
  SecureBytes text = TRY(edits.apply(file.document.text));
  // What was written must read as it was meant: the values are untouched, so only the metadata need to be looked at.
  const Document document = TRY(file.format->scan(text.expose_text(), ScanMode::kEncrypted));
  const Value tree = TRY(file.format->read_metadata(document));
  const Metadata found = TRY(parse_metadata(tree));
  SecureArena arena;
  const Metadata meant = TRY(parse_metadata(metadata_tree(metadata, arena)));  // groups in the order of reading
  if (found.groups != meant.groups || found.shamir_threshold != meant.shamir_threshold || found.mac != meant.mac ||
      found.lastmodified != meant.lastmodified || found.selection != meant.selection) {
    return fail(ErrorCode::kUnsupported, "the metadata block of the file cannot be changed in its shape")
        .hint("nothing was written; please report this file's shape")
        .exit(ExitStatus::kCannotSerialize);
  }
  return text;
}

}  // namespace sops
