// SPDX-License-Identifier: MPL-2.0
//
// A change is found in the document, made in its text by the format, and proved: the new text is scanned, and its tree
// must be the old tree with that change made in memory. The two ways know nothing of each other.
//
//   1. find the place that the path means
//   2. write out aliases on the way, and those that copy what is changed; start again from the new text
//   3. let the format make the edits; if it cannot, or the proof fails, let it write the container anew, then the one
//      around that
//   4. take the points off whole floats, as SOPS spells them
#include "core/change.h"

#include <algorithm>

namespace sops {

namespace {

constexpr ExitStatus kRefused = ExitStatus::kGeneric;

bool is_container(const Value& value) {
  return value.kind == ValueKind::kMapping || value.kind == ValueKind::kSequence;
}

TreePath part_of(const TreePath& path, size_t begin, size_t end) {
  return {path.begin() + static_cast<std::ptrdiff_t>(begin), path.begin() + static_cast<std::ptrdiff_t>(end)};
}

// --- 1: the place

// What a path means in a document.
struct Place {
  enum class Kind { kNode, kAppend, kAlias };
  Kind kind = Kind::kNode;
  NodeId node = kNoNode;       // kNode: what is replaced or removed; kAlias: an alias on the way
  NodeId container = kNoNode;  // that holds the node, or gets a new child
  size_t used = 0;             // components of the path up to the node or the new child
};

Failure refused(const TreePath& path, size_t used, std::string_view what) {
  return fail(ErrorCode::kUsage, "{}: {}", to_string(part_of(path, 0, used)), what).exit(kRefused);
}

Failure not_found(const TreePath& path, size_t used) {
  return fail(ErrorCode::kNotFound, "{} is not there", to_string(part_of(path, 0, used))).exit(kRefused);
}

// The child of a list with this index; comments take up places, as in SOPS (cli.md 5.1), those that SOPS never sees do
// not. kNoNode behind the end.
NodeId find_item(const Document& document, NodeId list, int64_t index) {
  for (NodeId id = list + 1; id < document.node(list).next; id = document.node(id).next) {
    if (document.node(id).has(kFlagUnseen)) continue;
    if (index-- == 0) return id;
  }
  return kNoNode;
}

// Follows one component into a container. `node` of the result is kNoNode if there is no such child.
Result<NodeId> step_into(const Document& document, NodeId container, const TreePath& path, size_t at) {
  const bool is_mapping = document.node(container).kind == NodeKind::kMapping;
  if (const auto* key = std::get_if<std::string>(&path[at])) {
    if (!is_mapping) return refused(path, at + 1, "a key, but the value above it is a list");
    return find_entry(document, container, *key);
  }
  const int64_t index = std::get<int64_t>(path[at]);
  if (is_mapping) return refused(path, at + 1, "a list position, but the value above it is a mapping");
  if (index < 0) return refused(path, at + 1, "out of bounds: positions count from 0");
  const NodeId item = find_item(document, container, index);
  if (item != kNoNode && document.node(item).kind == NodeKind::kComment) {
    return refused(path, at + 1, "the place of a comment, which is no value");
  }
  return item;
}

// cli.md 5.3 and 5.4. For `set`, a scalar in the way is the place, and the rest of the path is built.
Result<Place> find_place(const Document& document, const TreePath& path, bool is_set) {
  if (path.empty()) {
    return fail(ErrorCode::kUsage, "the path is empty: it must name a value")
        .hint("a path looks like '[\"database\"][\"users\"][0]'")
        .exit(is_set ? ExitStatus::kBadSetFormat : kRefused);
  }
  NodeId container = document.branches.front().root;
  for (size_t at = 0;; ++at) {
    const NodeId child = TRY(step_into(document, container, path, at));
    const bool is_last = at + 1 == path.size();
    if (child == kNoNode) {
      if (!is_set) return not_found(path, at + 1);
      return Place{.kind = Place::Kind::kAppend, .container = container, .used = at + 1};
    }
    const Node& node = document.node(child);
    const Place here{.node = child, .container = container, .used = at + 1};
    if (is_last) return here;
    if (node.kind == NodeKind::kAlias) return Place{.kind = Place::Kind::kAlias, .node = child};
    if (!node.is_container()) {
      if (is_set) return here;
      return refused(path, at + 1, "a single value, and nothing is below it");
    }
    container = child;
  }
}

// `value` inside what the rest of a path describes: entries and one-item lists (cli.md 5.3).
Value build(const TreePath& path, size_t from, const Value& value) {
  Value built = value;
  built.key = {};
  for (size_t at = path.size(); at-- > from;) {
    Value outer;
    if (const auto* key = std::get_if<std::string>(&path[at])) {
      outer = Value::mapping();
      outer.add(*key, std::move(built));
    } else {
      outer = Value::sequence();
      outer.add(std::move(built));
    }
    built = std::move(outer);
  }
  return built;
}

// --- 2: aliases

bool is_within(const Document& document, NodeId id, NodeId root) {
  return root != kNoNode && id >= root && id < document.node(root).next;
}

// The number of scalars and comments of a tree: what expand_alias() wants one ciphertext for.
size_t count_leaves(const Value& value) {
  size_t count = 0;
  std::vector<const Value*> open = {&value};
  while (!open.empty()) {
    const Value* next = open.back();
    open.pop_back();
    if (!is_container(*next)) ++count;
    for (const Value& child : next->children) open.push_back(&child);
  }
  return count;
}

Result<EditList> write_out(const FormatType& format, const Document& document, NodeId alias) {
  const Value content = TRY(to_value(document, alias));
  const std::vector<std::string_view> nothing_encrypted(count_leaves(content));
  return format.expand_alias(document, alias, nothing_encrypted);
}

// The anchor of a node or a key, by the text of its properties; "" without one.
std::string_view anchor_in(std::string_view properties) {
  const size_t at = properties.find('&');
  if (at == std::string_view::npos) return {};
  const std::string_view name = properties.substr(at + 1);
  return name.substr(0, name.find_first_of(" \t\r\n,[]{}"));
}

// Names of the anchors that keys in a subtree carry; they have no nodes.
std::vector<std::string_view> key_anchors(const Document& document, NodeId root) {
  std::vector<std::string_view> names;
  for (NodeId id = root; id < document.node(root).next; ++id) {
    const std::string_view key = document.slice(document.node(id).key_span);
    if (!key.starts_with('&') && !key.starts_with('!')) continue;
    if (const std::string_view name = anchor_in(key); !name.empty()) names.push_back(name);
  }
  return names;
}

// Aliases that copy what is changed: of the place itself, of what lies in it, of what is around it (editing.md 1.2).
std::vector<NodeId> copies_of(const Document& document, const Place& place) {
  std::vector<NodeId> copies;
  const NodeId gone = place.node;
  const auto is_changed = [&](NodeId target) {
    return is_within(document, target, gone) || is_within(document, place.container, target);
  };
  const std::vector<std::string_view> lost =
      gone == kNoNode ? std::vector<std::string_view>() : key_anchors(document, gone);
  for (NodeId id = 0; id < document.nodes.size(); ++id) {
    const Node& node = document.node(id);
    if (is_within(document, id, gone)) continue;
    if (node.kind == NodeKind::kAlias && is_changed(node.target)) copies.push_back(id);
    if (node.style == NodeStyle::kRaw && std::ranges::count(lost, document.slice(node.span).substr(1)) > 0) {
      copies.push_back(id);
    }
  }
  return copies;
}

// --- 3: the edits and their proof

struct Change {
  const TreePath& path;
  const Value* value;  // nullptr: remove
  const EmitStyle& style;
};

// The position of a node among the children of each container on the way from the root.
std::vector<size_t> positions_of(const Document& document, NodeId id) {
  std::vector<size_t> positions;
  for (NodeId up = id; document.node(up).parent != kNoNode; up = document.node(up).parent) {
    size_t position = 0;
    for (NodeId other = document.node(up).parent + 1; other < up; other = document.node(other).next) ++position;
    positions.push_back(position);
  }
  std::ranges::reverse(positions);
  return positions;
}

Value& value_at(Value& tree, const std::vector<size_t>& positions) {
  Value* value = &tree;
  for (const size_t position : positions) value = &value->children[position];
  return *value;
}

// The tree of the first branch with the change made in it.
Result<Value> changed_tree(const Document& document, const Place& place, const Change& change) {
  Value tree = TRY(to_value(document, document.branches.front().root));
  Value& container = value_at(tree, positions_of(document, place.container));
  if (change.value == nullptr) {
    const size_t position = positions_of(document, place.node).back();
    container.children.erase(container.children.begin() + static_cast<std::ptrdiff_t>(position));
    return tree;
  }
  Value built = build(change.path, place.used, *change.value);
  if (place.kind == Place::Kind::kAppend) {
    if (const auto* key = std::get_if<std::string>(&change.path[place.used - 1])) built.key = *key;
    container.children.push_back(std::move(built));
  } else {
    Value& old = container.children[positions_of(document, place.node).back()];
    built.key = old.key;
    old = std::move(built);
  }
  return tree;
}

// True if `text` scans to `expected` in the first branch, and to what `document` has in the others.
bool is_proved(const FormatType& format, const Document& document, const Value& expected, std::string_view text,
               ScanMode mode) {
  const auto found = format.scan(text, mode);
  if (!found || found->branches.size() != document.branches.size()) return false;
  for (size_t i = 0; i < found->branches.size(); ++i) {
    const auto tree = to_value(*found, found->branches[i].root);
    if (!tree) return false;
    if (i == 0) {
      if (!same_tree(*tree, expected, Comments::kIgnore)) return false;
      continue;
    }
    const auto before = to_value(document, document.branches[i].root);
    if (!before || !same_tree(*tree, *before, Comments::kIgnore)) return false;
  }
  return true;
}

Result<EditList> make_edits(const FormatType& format, const Document& document, const Place& place,
                            const Change& change) {
  if (change.value == nullptr) return format.remove_child(document, place.node);
  Value built = build(change.path, place.used, *change.value);
  if (place.kind == Place::Kind::kNode) return format.replace_node(document, place.node, built, change.style);
  if (const auto* key = std::get_if<std::string>(&change.path[place.used - 1])) built.key = *key;
  return format.append_child(document, place.container, built, change.style);
}

// The new text: in the author's style, else with the container, or one further out, written anew (editing.md 1.5).
Result<SecureBytes> change_text(const FormatType& format, const Document& document, ScanMode mode, const Place& place,
                                const Change& change, std::vector<std::string>& warnings) {
  const Value expected = TRY(changed_tree(document, place, change));
  std::optional<Error> reason;
  if (auto edits = make_edits(format, document, place, change)) {
    SecureBytes text = TRY(edits->apply(document.text));
    if (is_proved(format, document, expected, text.expose_text(), mode)) return text;
  } else {
    reason = std::move(edits.error());
  }
  for (NodeId container = place.container; container != kNoNode; container = document.node(container).parent) {
    Value tree = expected;
    const Value& content = value_at(tree, positions_of(document, container));
    const auto edits = format.replace_node(document, container, content, change.style);
    if (!edits) continue;
    SecureBytes text = TRY(edits->apply(document.text));
    if (!is_proved(format, document, expected, text.expose_text(), mode)) continue;
    const std::string_view key = document.node(container).key;
    warnings.push_back(sops::format("{} cannot be changed in its style and is written in SOPS's",
                                    document.node(container).parent == kNoNode ? std::string("the document")
                                    : key.empty()                              ? std::string("a list")
                                                                               : escape_for_message(key)));
    return text;
  }
  if (reason) return fail(std::move(*reason));
  return fail(ErrorCode::kUnsupported, "the text cannot be changed there without changing something else")
      .hint("nothing was written; please report this file's shape")
      .exit(ExitStatus::kCannotSerialize);
}

// --- 4: whole floats

// The child that a change made or replaced, kNoNode if it cannot be found.
NodeId find_changed(const Document& document, const Place& place, const TreePath& path) {
  NodeId at = document.branches.front().root;
  for (size_t i = 0; i < place.used; ++i) {
    if (!document.node(at).is_container()) return kNoNode;
    const auto* key = std::get_if<std::string>(&path[i]);
    NodeId child = kNoNode;
    if (key != nullptr) {
      child = find_entry(document, at, *key);
    } else if (i + 1 == place.used && place.kind == Place::Kind::kAppend) {
      for (NodeId id = at + 1; id < document.node(at).next; id = document.node(id).next) {
        if (document.node(id).kind != NodeKind::kComment) child = id;
      }
    } else {
      child = find_item(document, at, std::get<int64_t>(path[i]));
    }
    if (child == kNoNode) return kNoNode;
    at = child;
  }
  return at;
}

// SOPS writes the float 5 as `5` (yaml.md 5.2, format.md 6.2.8): the points that kept it a float while the text was
// proved go, and where they were is noted.
Result<void> take_points_off(const FormatType& format, const Place& place, const TreePath& path, ScanMode mode,
                             ChangedText& changed) {
  constexpr std::string_view kPoint = ".0";
  const Document document = TRY(format.scan(changed.text.expose_text(), mode));
  const NodeId root = find_changed(document, place, path);
  if (root == kNoNode) return {};
  EditList edits;
  std::vector<NodeId> whole;
  for (NodeId id = root; id < document.node(root).next; ++id) {
    const Node& node = document.node(id);
    if (node.kind != NodeKind::kScalar || node.type != ScalarType::kFloat || node.has(kFlagTypedTag)) continue;
    if (node.text == "-0" || !document.slice(node.span).ends_with(kPoint)) continue;
    edits.add({node.span.end - static_cast<uint32_t>(kPoint.size()), node.span.end}, "");
    whole.push_back(id);
  }
  if (whole.empty()) return {};
  SecureBytes text = TRY(edits.apply(changed.text.expose_text()));
  const Document after = TRY(format.scan(text.expose_text(), mode));
  if (after.nodes.size() != document.nodes.size()) return {};
  std::vector<size_t> positions;
  for (const NodeId id : whole) {
    const Node& node = after.node(id);
    if (node.text != document.node(id).text) return {};
    if (node.type == ScalarType::kInt) positions.push_back(node.content);
  }
  changed.text = std::move(text);
  changed.whole_floats = std::move(positions);
  return {};
}

Failure reserved_entry() {
  return fail(ErrorCode::kUsage, "the top-level entry 'sops' is reserved for the metadata")
      .hint("sops rotate, sops updatekeys and sops groups change it")
      .exit(ExitStatus::kAlreadyEncrypted);
}

// A format whose plain file is one value (binary): only ["data"] is in it (format.md 6C).
Result<ChangedText> change_wrapped(const Change& change) {
  const bool is_data = change.path.size() == 1 && change.path[0] == PathComponent("data");
  if (!is_data || change.value == nullptr || change.value->kind != ValueKind::kScalar ||
      change.value->type != ScalarType::kString) {
    return fail(ErrorCode::kUnsupported, "a binary file has one value, the string [\"data\"], which is the whole file")
        .exit(ExitStatus::kCannotSerialize);
  }
  ChangedText changed;
  changed.text = SecureBytes::copy_of(change.value->text);
  return changed;
}

Result<ChangedText> make_change(const FormatType& format, std::string_view plain, const Change& change) {
  if (format.wraps) return change_wrapped(change);
  ChangedText changed;
  changed.text = SecureBytes::copy_of(plain);
  const ScanMode mode = format.scan(plain, ScanMode::kPlain) ? ScanMode::kPlain : ScanMode::kEncrypted;
  std::vector<std::string> names;  // of anchors whose copies were written out
  while (true) {
    const Document document = TRY(format.scan(changed.text.expose_text(), mode));
    const Place place = TRY(find_place(document, change.path, change.value != nullptr));
    std::vector<NodeId> aliases;
    if (place.kind == Place::Kind::kAlias) {
      aliases.push_back(place.node);
    } else {
      aliases = copies_of(document, place);
      for (const NodeId alias : aliases) {
        const std::string_view text = document.slice(document.node(alias).span);
        if (std::ranges::count(names, text) == 0) names.emplace_back(text);
      }
    }
    if (aliases.empty()) {
      changed.text = TRY(change_text(format, document, mode, place, change, changed.warnings));
      if (change.value != nullptr) TRY(take_points_off(format, place, change.path, mode, changed));
      break;
    }
    EditList edits;
    for (const NodeId alias : aliases) {
      const Node& node = document.node(alias);
      EditList one;
      if (node.kind == NodeKind::kAlias) {
        one = TRY(write_out(format, document, alias));
      } else {
        one = TRY(format.replace_node(document, alias, Value::scalar(node.type, node.text), change.style));
      }
      edits.append(std::move(one));
    }
    changed.text = TRY(edits.apply(document.text));
  }
  if (!names.empty()) {
    for (std::string& name : names) name = escape_for_message(name);
    const std::string all = join(names, ", ");
    changed.warnings.push_back(
        sops::format("{}: written out with the old content, because only {} changes", all, to_string(change.path)));
  }
  return changed;
}

}  // namespace

Result<TreePath> path_in_plain(const Value& encrypted, const Document& plain, const TreePath& path) {
  TreePath result = path;
  const Value* there = &encrypted;
  NodeId here = plain.branches.front().root;
  for (size_t at = 0; at < result.size() && there != nullptr && here != kNoNode; ++at) {
    if (plain.node(here).kind == NodeKind::kAlias) here = plain.node(here).target;
    if (const auto* key = std::get_if<std::string>(&result[at])) {
      if (there->kind != ValueKind::kMapping || plain.node(here).kind != NodeKind::kMapping) return result;
      there = there->find(*key);
      here = find_entry(plain, here, *key);
      continue;
    }
    int64_t& index = std::get<int64_t>(result[at]);
    if (there->kind != ValueKind::kSequence || plain.node(here).kind != NodeKind::kSequence || index < 0) return result;
    const auto is_item = [](const Value& child) { return child.kind != ValueKind::kComment; };
    const bool is_behind = index >= static_cast<int64_t>(there->children.size());
    if (!is_behind && !is_item(there->children[static_cast<size_t>(index)])) {
      return refused(path, at + 1, "the place of a comment, which is no value");
    }
    // The same item: as many items stand before it.
    const auto end = is_behind ? there->children.end() : there->children.begin() + index;
    auto items = std::count_if(there->children.begin(), end, is_item);
    there = is_behind ? nullptr : &there->children[static_cast<size_t>(index)];
    index = 0;
    const NodeId list = here;
    here = kNoNode;
    for (NodeId id = list + 1; id < plain.node(list).next && here == kNoNode; id = plain.node(id).next) {
      if (plain.node(id).has(kFlagUnseen)) continue;
      if (plain.node(id).kind != NodeKind::kComment && items-- == 0) {
        here = id;
      } else {
        ++index;
      }
    }
  }
  return result;
}

Result<ChangedText> set_value(const FormatType& format, std::string_view plain, const TreePath& path,
                              const Value& value, const EmitStyle& style) {
  if (!format.wraps && !path.empty() && path[0] == PathComponent("sops")) return reserved_entry();
  return make_change(format, plain, {.path = path, .value = &value, .style = style});
}

Result<ChangedText> unset_value(const FormatType& format, std::string_view plain, const TreePath& path,
                                const EmitStyle& style) {
  return make_change(format, plain, {.path = path, .value = nullptr, .style = style});
}

}  // namespace sops
