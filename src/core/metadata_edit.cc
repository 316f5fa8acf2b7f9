// SPDX-License-Identifier: MPL-2.0
//
// The functions of a format change one node each, and their edits of one container may get into each other's way (two
// neighbouring entries that go share a comma). So this works in rounds: in each, at most one child of a container goes,
// or any number are appended; the text is scanned again for the next one. Most changes need one round. What the rounds
// did to the text is kept as pieces of the old one and new text between them, which at the end are the edits.
#include "core/metadata_edit.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>

namespace sops {

namespace {

// --- the text over several rounds

class Pieces {
 public:
  explicit Pieces(std::string_view text) : original_(text) {
    pieces_.push_back({.span = {0, static_cast<uint32_t>(text.size())}, .is_original = true});
  }

  // Applies edits of the text as it is now; false if they overlap.
  bool apply(const EditList& edits) {
    std::vector<Edit> sorted = edits.edits();
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Edit& a, const Edit& b) { return a.span.begin < b.span.begin; });
    std::vector<Piece> result;
    size_t piece = 0;       // of pieces_
    uint32_t used = 0;      // of that piece
    uint32_t position = 0;  // in the text
    const auto advance = [&](uint32_t to, bool keep) {
      while (position < to) {
        const Piece& from = pieces_[piece];
        const uint32_t length = std::min(to - position, from.size() - used);
        if (keep) result.push_back(from.part(used, length));
        position += length;
        used += length;
        if (used == from.size()) {
          ++piece;
          used = 0;
        }
      }
    };
    for (const Edit& edit : sorted) {
      if (edit.span.begin < position) return false;
      advance(edit.span.begin, true);
      if (!edit.text.empty()) result.push_back({.text = arena_.store(edit.text)});
      advance(edit.span.end, false);
    }
    while (piece < pieces_.size()) {
      advance(position + pieces_[piece].size() - used, true);
    }
    pieces_ = std::move(result);
    return true;
  }

  SecureBytes text() const {
    SecureBuffer out;
    for (const Piece& piece : pieces_) out.append(content(piece));
    return out.take();
  }

  // All of it as edits of the original text.
  EditList edits() const {
    EditList list;
    std::string added;
    uint32_t done = 0;  // of the original
    const auto flush = [&](uint32_t next) {
      if (next > done || !added.empty()) list.add({done, next}, added);
      added.clear();
    };
    for (const Piece& piece : pieces_) {
      if (!piece.is_original) {
        added += piece.text;
        continue;
      }
      flush(piece.span.begin);
      done = piece.span.end;
    }
    flush(static_cast<uint32_t>(original_.size()));
    return list;
  }

 private:
  struct Piece {
    Span span;  // of the original
    bool is_original = false;
    std::string_view text;  // else

    uint32_t size() const { return is_original ? span.size() : static_cast<uint32_t>(text.size()); }
    Piece part(uint32_t begin, uint32_t length) const {
      if (is_original) return {.span = {span.begin + begin, span.begin + begin + length}, .is_original = true};
      return {.text = text.substr(begin, length)};
    }
  };

  std::string_view content(const Piece& piece) const {
    return piece.is_original ? original_.substr(piece.span.begin, piece.span.size()) : piece.text;
  }

  std::string_view original_;
  std::vector<Piece> pieces_;
  SecureArena arena_;
};

// --- what is where

// The values of `children` below `container`, without comments.
std::vector<NodeId> elements(const Document& document, NodeId container) {
  std::vector<NodeId> result;
  for (NodeId id = container + 1; id < document.node(container).next; id = document.node(id).next) {
    if (document.node(id).kind != NodeKind::kComment) result.push_back(id);
  }
  return result;
}

// The entry that metadata.cc reads as `name` (format.md 5.5: the exact name, else in any case, the last of them).
NodeId find_field(const Document& document, NodeId mapping, std::string_view name) {
  NodeId found = find_entry(document, mapping, name);
  if (found != kNoNode) return found;
  for (NodeId id : elements(document, mapping)) {
    if (to_lower(document.node(id).key) == name) found = id;
  }
  return found;
}

// What we do not dare to change in place: the content stands, or is used, elsewhere.
bool has_aliases(const Document& document, NodeId id) {
  for (NodeId at = id; at < document.node(id).next; ++at) {
    const Node& node = document.node(at);
    if (node.kind == NodeKind::kAlias || node.has(kFlagAnchored) || node.has(kFlagAliasKey)) return true;
  }
  return false;
}

using Entries = std::vector<const KeyEntry*>;

Entries of_source(const KeyGroup& group, std::string_view source) {
  Entries entries;
  for (const KeyEntry& entry : group) {
    if (entry.source == source) entries.push_back(&entry);
  }
  return entries;
}

bool equal(const Entries& a, const Entries& b) {
  return std::ranges::equal(a, b, [](const KeyEntry* x, const KeyEntry* y) { return x->fields == y->fields; });
}

bool same_identity(const KeyEntry& a, const KeyEntry& b) {
  const auto identity = [](FieldMap fields) {
    fields.erase("enc");
    fields.erase("created_at");
    return fields;
  };
  return identity(a.fields) == identity(b.fields);
}

// What becomes of the entries of one list.
struct ListPlan {
  std::vector<const KeyEntry*> becomes;  // for each entry that is there: what it will be, nullptr: it goes
  std::vector<const KeyEntry*> added;    // behind the others

  Entries result() const {
    Entries entries;
    std::ranges::copy_if(becomes, std::back_inserter(entries), [](const KeyEntry* entry) { return entry != nullptr; });
    entries.insert(entries.end(), added.begin(), added.end());
    return entries;
  }
};

// The plan with the fewest changes that gives the order of `after`; nullopt if only a new list does.
std::optional<ListPlan> plan_list(const Entries& before, const Entries& after) {
  for (const bool in_place_of_removed : {true, false}) {
    ListPlan plan{.becomes = std::vector<const KeyEntry*>(before.size())};
    std::vector<bool> done(after.size());
    const auto assign = [&](const std::function<bool(const KeyEntry&, const KeyEntry&)>& fits) {
      for (size_t j = 0; j < after.size(); ++j) {
        for (size_t i = 0; i < before.size() && !done[j]; ++i) {
          if (plan.becomes[i] != nullptr || !fits(*before[i], *after[j])) continue;
          plan.becomes[i] = after[j];
          done[j] = true;
        }
      }
    };
    assign([](const KeyEntry& a, const KeyEntry& b) { return a.fields == b.fields; });
    assign(same_identity);
    if (in_place_of_removed) assign([](const KeyEntry&, const KeyEntry&) { return true; });
    for (size_t j = 0; j < after.size(); ++j) {
      if (!done[j]) plan.added.push_back(after[j]);
    }
    if (equal(plan.result(), after)) return plan;
  }
  return std::nullopt;
}

Failure no_shape() { return fail(ErrorCode::kUnsupported, "the metadata block cannot be changed in place"); }

// --- one round

class Round {
 public:
  Round(const FormatType& format, const Document& document, const EmitStyle& style)
      : format_(format), document_(document), style_(style) {}

  // Changes the metadata of one branch. With `leaves_groups` its only group stood in key_groups and will not stay
  // there.
  Result<void> change(const Branch& branch, const Metadata& after, bool is_first, bool leaves_groups) {
    const NodeId block = branch.metadata;
    if (document_.node(block).kind != NodeKind::kMapping || has_aliases(document_, block)) return no_shape();
    const Value tree = TRY(to_value(document_, block));
    const auto now = parse_metadata(tree);
    if (!now) return no_shape();
    TRY(change_scalars(block, *now, after, is_first));
    if (now->groups.size() == after.groups.size()) {
      const std::vector<NodeId> places = places_of_groups(block, *now);
      if (places.size() != after.groups.size()) return no_shape();
      const bool is_nested = places.front() != block;
      for (size_t i = 0; i < places.size(); ++i)
        TRY(change_group(places[i], now->groups[i], after.groups[i], is_nested));
      if (leaves_groups && !is_nested) remove(block, find_field(document_, block, "key_groups"));
    } else if (after.groups.size() == 1) {
      for (std::string_view name : key_list_names()) {
        if (const Entries entries = of_source(after.groups.front(), name); !entries.empty())
          TRY(put(block, name, key_list_tree(entries)));
      }
      is_last_ = false;  // key_groups go when the other keys are there
    } else {
      if (now->groups.size() == 1 && places_of_groups(block, *now).front() == block) {
        for (std::string_view name : key_list_names()) {
          if (!of_source(now->groups.front(), name).empty()) remove(block, find_field(document_, block, name));
        }
      }
      const Value groups = key_groups_tree(after.groups);
      const NodeId there = find_field(document_, block, "key_groups");
      const auto found = there == kNoNode ? Result<Value>(Value()) : to_value(document_, there);
      if (!found || !same_tree(*found, groups, Comments::kIgnore)) TRY(put(block, "key_groups", groups));
    }
    return change_children();
  }

  bool is_last() const { return is_last_; }
  bool has_new_shape() const { return has_new_shape_; }
  EditList take_edits() { return std::move(edits_); }

 private:
  // Children of one container that go or come.
  struct Children {
    std::vector<NodeId> removed;
    std::vector<Value> added;
  };

  Result<void> replace(NodeId id, const Value& value) {
    EditList edits = TRY(format_.replace_node(document_, id, value, style_));
    edits_.append(std::move(edits));
    return {};
  }

  void remove(NodeId container, NodeId id) { children_[container].removed.push_back(id); }

  void append(NodeId container, Value child) { children_[container].added.push_back(std::move(child)); }

  // The entry `name` of a mapping gets this value.
  Result<void> put(NodeId mapping, std::string_view name, Value value) {
    const NodeId id = find_field(document_, mapping, name);
    if (id != kNoNode) return replace(id, value);
    value.key = name;
    append(mapping, std::move(value));
    return {};
  }

  // One that reads as nothing (an absent text, 0, false) goes.
  Result<void> put_or_remove(NodeId mapping, std::string_view name, const Value& value, bool is_nothing) {
    if (!is_nothing) return put(mapping, name, value);
    if (const NodeId id = find_field(document_, mapping, name); id != kNoNode) remove(mapping, id);
    return {};
  }

  // `after` is borrowed until the end of the round.
  Result<void> put_text(NodeId block, std::string_view name, std::string_view now, std::string_view after) {
    if (now == after) return {};
    return put_or_remove(block, name, Value::string(after), after.empty());
  }

  Result<void> change_scalars(NodeId block, const Metadata& now, const Metadata& after, bool is_first) {
    TRY(put_text(block, "lastmodified", now.lastmodified, after.lastmodified));
    TRY(put_text(block, "mac", now.mac, after.mac));
    TRY(put_text(block, "version", now.version, after.version));
    const std::string_view layout = is_first ? std::string_view(after.layout) : std::string_view();
    TRY(put_text(block, "layout", now.layout, layout));
    if (!(now.selection == after.selection)) {
      const SelectionSettings& a = now.selection;
      const SelectionSettings& b = after.selection;
      TRY(put_text(block, "unencrypted_suffix", a.unencrypted_suffix, b.unencrypted_suffix));
      TRY(put_text(block, "encrypted_suffix", a.encrypted_suffix, b.encrypted_suffix));
      TRY(put_text(block, "unencrypted_regex", a.unencrypted_regex, b.unencrypted_regex));
      TRY(put_text(block, "encrypted_regex", a.encrypted_regex, b.encrypted_regex));
      TRY(put_text(block, "unencrypted_comment_regex", a.unencrypted_comment_regex, b.unencrypted_comment_regex));
      TRY(put_text(block, "encrypted_comment_regex", a.encrypted_comment_regex, b.encrypted_comment_regex));
    }
    if (now.mac_only_encrypted != after.mac_only_encrypted) {
      TRY(put_or_remove(block, "mac_only_encrypted", Value::scalar(ScalarType::kBool, "True"),
                        !after.mac_only_encrypted));
    }
    if (now.shamir_threshold == after.shamir_threshold) return {};
    const std::string threshold = format("{}", after.shamir_threshold);
    return put_or_remove(block, "shamir_threshold", Value::scalar(ScalarType::kInt, arena_.store(threshold)),
                         after.shamir_threshold == 0);
  }

  // The mappings that hold the lists of each group: the block itself, or the items of key_groups.
  std::vector<NodeId> places_of_groups(NodeId block, const Metadata& now) const {
    if (now.groups.size() == 1) {
      for (std::string_view name : key_list_names()) {
        const NodeId id = find_field(document_, block, name);
        if (id != kNoNode && document_.node(id).is_container() && !elements(document_, id).empty()) return {block};
      }
    }
    const NodeId list = find_field(document_, block, "key_groups");
    if (list == kNoNode || document_.node(list).kind != NodeKind::kSequence) return {};
    return elements(document_, list);
  }

  Result<void> change_group(NodeId place, const KeyGroup& now, const KeyGroup& after, bool is_nested) {
    for (std::string_view name : key_list_names()) {
      TRY(change_list(place, name, of_source(now, name), of_source(after, name), is_nested));
    }
    return {};
  }

  Result<void> change_list(NodeId place, std::string_view name, const Entries& now, const Entries& after,
                           bool is_nested) {
    if (equal(now, after)) return {};
    const NodeId list = find_field(document_, place, name);
    if (after.empty()) {
      // format.md 5.4: in a group of several these two are always written.
      const bool stays = is_nested && (name == "age" || name == "hc_vault");
      return put_or_remove(place, name, Value::sequence(), !stays);
    }
    if (now.empty() || document_.node(list).kind != NodeKind::kSequence) return put(place, name, key_list_tree(after));
    const std::vector<NodeId> items = elements(document_, list);
    if (items.size() != now.size()) return no_shape();
    const std::optional<ListPlan> plan = plan_list(now, after);
    if (!plan) return replace(list, key_list_tree(after));
    for (size_t i = 0; i < items.size(); ++i) {
      if (plan->becomes[i] == nullptr) {
        remove(list, items[i]);
      } else {
        TRY(change_entry(items[i], *now[i], *plan->becomes[i]));
      }
    }
    for (const KeyEntry* entry : plan->added) append(list, key_entry_tree(*entry));
    return {};
  }

  Result<void> change_entry(NodeId item, const KeyEntry& now, const KeyEntry& after) {
    if (now.fields == after.fields) return {};
    const bool same_names =
        std::ranges::equal(now.fields, after.fields, [](const auto& a, const auto& b) { return a.first == b.first; });
    if (!same_names) return replace(item, key_entry_tree(after));
    for (const auto& [name, field] : after.fields) {
      if (now.fields.at(name) == field) continue;
      const auto* text = std::get_if<std::string>(&field);
      const NodeId id = find_field(document_, item, name);
      if (text == nullptr || id == kNoNode || document_.node(id).kind != NodeKind::kScalar)
        return replace(item, key_entry_tree(after));
    }
    for (const auto& [name, field] : after.fields) {
      if (now.fields.at(name) == field) continue;
      TRY(replace(find_field(document_, item, name), Value::string(std::get<std::string>(field))));
    }
    return {};
  }

  Result<void> change_children() {
    for (const auto& [container, children] : children_) {
      // What comes, comes first, so that there is a key at every moment. An empty container is one place; behind the
      // last of several children there is room for all.
      for (const Value& child : children.added) {
        EditList edits = TRY(format_.append_child(document_, container, child, style_));
        edits_.append(std::move(edits));
        if (elements(document_, container).empty()) {
          is_last_ = is_last_ && children.added.size() == 1;
          break;
        }
      }
      if (children.removed.empty()) continue;
      is_last_ = is_last_ && children.added.empty() && children.removed.size() == 1;
      if (!children.added.empty()) continue;
      EditList edits = TRY(format_.remove_child(document_, children.removed.front()));
      edits_.append(std::move(edits));
    }
    has_new_shape_ = has_new_shape_ || !children_.empty();
    children_.clear();
    return {};
  }

  const FormatType& format_;
  const Document& document_;
  const EmitStyle& style_;
  EditList edits_;
  SecureArena arena_;
  std::map<NodeId, Children> children_;  // by container
  bool is_last_ = true;
  bool has_new_shape_ = false;
};

// The first branch is what every reader goes by.
bool reads_as(const Document& document, const Metadata& after) {
  const NodeId block = document.branches.front().metadata;
  if (block == kNoNode) return false;
  const auto tree = to_value(document, block);
  if (!tree) return false;
  const auto found = parse_metadata(*tree);
  SecureArena arena;
  const auto meant = parse_metadata(metadata_tree(after, arena));  // groups in the order of reading
  return found && meant && found->groups == meant->groups && found->shamir_threshold == after.shamir_threshold &&
         found->mac == after.mac && found->layout == after.layout;
}

Result<EditList> edit_in_place(const FormatType& format, const Document& document, const Metadata& before,
                               const Metadata& after, const EmitStyle& style) {
  if (format.replace_node == nullptr || format.append_child == nullptr || format.remove_child == nullptr)
    return no_shape();
  // A format whose metadata have another form in the text (dotenv, INI) has no nodes for them.
  const NodeId first = document.branches.front().metadata;
  if (first == kNoNode) return no_shape();
  const Value tree = TRY(to_value(document, first));
  const auto read = parse_metadata(tree);
  if (!read || read->groups != before.groups) return no_shape();

  const bool leaves_groups = before.groups.size() > 1 && after.groups.size() == 1;
  Pieces pieces(document.text);
  const Document* current = &document;
  SecureBytes text;
  Document scanned;
  bool has_new_shape = false;
  constexpr int kMostRounds = 10000;
  for (int number = 0; number < kMostRounds; ++number) {
    Round round(format, *current, style);
    for (size_t i = 0; i < current->branches.size(); ++i) {
      const Branch& branch = current->branches[i];
      if (branch.metadata != kNoNode) TRY(round.change(branch, after, i == 0, leaves_groups));
    }
    const EditList edits = round.take_edits();
    has_new_shape = has_new_shape || round.has_new_shape();
    if (!pieces.apply(edits)) return no_shape();
    if (round.is_last() && !has_new_shape) return pieces.edits();
    text = pieces.text();
    scanned = TRY(format.scan(text.expose_text(), ScanMode::kEncrypted));
    if (scanned.branches.size() != document.branches.size()) return no_shape();
    if (round.is_last()) {
      if (!reads_as(scanned, after)) return no_shape();
      return pieces.edits();
    }
    current = &scanned;
  }
  return no_shape();
}

}  // namespace

Result<EditList> edit_metadata(const FormatType& format, const Document& document, const Metadata& before,
                               const Metadata& after, const EmitStyle& style) {
  auto edits = edit_in_place(format, document, before, after, style);
  if (edits || edits.error().code != ErrorCode::kUnsupported) return edits;
  SecureArena arena;
  return format.write_metadata(document, metadata_tree(after, arena), first_branch_tree(after), style);
}

}  // namespace sops
