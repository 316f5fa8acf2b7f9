// SPDX-License-Identifier: MPL-2.0
#include "core/shown_keys.h"

#include <algorithm>
#include <array>

#include "base/rfc3339.h"
#include "core/key_groups.h"
#include "core/walk.h"

namespace sops {

namespace {

constexpr std::array<std::string_view, 4> kOurs = {"mac", "lastmodified", "version", "layout"};

std::string_view stored_text(const Metadata& metadata, std::string_view name) {
  if (name == "mac") return metadata.mac;
  if (name == "lastmodified") return metadata.lastmodified;
  if (name == "version") return metadata.version;
  return {};  // `layout` is not shown
}

// Puts the entries that do not count back to what they were.
void restore_ours(Value& tree, const Metadata& stored, std::vector<std::string>& warnings) {
  for (const std::string_view name : kOurs) {
    const Value* found = tree.find(name);
    const std::string_view before = stored_text(stored, name);
    const bool same = found != nullptr ? found->kind == ValueKind::kScalar && found->text == before : before.empty();
    if (same) continue;
    warnings.push_back(format("the change of sops.{} is ignored: sops writes it itself", name));
    std::erase_if(tree.children,
                  [&](const Value& child) { return child.kind != ValueKind::kComment && child.key == name; });
    if (!before.empty()) tree.add(name, Value::string(before));
  }
}

// An entry added by hand has no `created_at`, which all but age need to be read.
void add_creation_times(Value& tree, std::string_view now) {
  const auto complete = [&](Value& lists) {
    for (Value& list : lists.children) {
      const bool is_key_list = std::ranges::find(key_list_names(), list.key) != key_list_names().end();
      if (!is_key_list || list.key == "age") continue;
      for (Value& entry : list.children) {
        if (entry.kind == ValueKind::kMapping && entry.find("created_at") == nullptr)
          entry.add("created_at", Value::string(now));
      }
    }
  };
  complete(tree);
  for (Value& child : tree.children) {
    if (child.key != "key_groups") continue;
    for (Value& group : child.children) complete(group);
  }
}

bool is_stored(const KeyEntry& entry, const KeyGroup& group) {
  return std::ranges::any_of(group, [&](const KeyEntry& other) {
    return other.source == entry.source && key_id(other) == key_id(entry) &&
           field_text(other.fields, "enc") == field_text(entry.fields, "enc");
  });
}

// One group: each key gets the whole data key, so the others need not be touched.
Result<void> wrap_new_entries(KeyGroup& group, const KeyGroup& stored, const DataKey& key, Services& services) {
  MasterKeys owner;
  std::vector<WrapRequest> requests;
  std::vector<KeyEntry*> places;
  for (KeyEntry& entry : group) {
    if (is_stored(entry, stored)) continue;
    auto master = TRY(master_key_of(entry));
    requests.push_back({.key = {find_key_source(entry.source), master.get()}, .secret = &key.bytes()});
    places.push_back(&entry);
    owner.push_back(std::move(master));
  }
  std::vector<KeyEntry> wrapped = TRY(wrap_for_keys(requests, services));
  for (size_t i = 0; i < wrapped.size(); ++i) *places[i] = std::move(wrapped[i]);
  return {};
}

bool are_as_stored(const Metadata& edited, const Metadata& stored) {
  if (edited.groups.size() != stored.groups.size() || edited.shamir_threshold != stored.shamir_threshold) return false;
  for (size_t i = 0; i < edited.groups.size(); ++i) {
    const KeyGroup& group = edited.groups[i];
    if (group.size() != stored.groups[i].size()) return false;
    if (!std::ranges::all_of(group, [&](const KeyEntry& entry) { return is_stored(entry, stored.groups[i]); }))
      return false;
  }
  return true;
}

}  // namespace

Result<SecureBytes> show_keys(std::string_view plain, const FormatType& format, const Metadata& metadata,
                              const EmitStyle& style) {
  if (format.reserve_metadata == nullptr) {
    return fail(ErrorCode::kUnsupported, "the keys of {} files cannot be edited", format.id)
        .hint("use sops rotate --add-… and --rm-…, or sops updatekeys");
  }
  // As if the first document were the only one.
  Document document = TRY(format.scan(plain, ScanMode::kEncrypted));
  document.branches.resize(1);
  const EditList room = TRY(format.reserve_metadata(document, style));
  const SecureBytes reserved = TRY(room.apply(plain));
  document = TRY(format.scan(reserved.expose_text(), ScanMode::kEncrypted));
  document.branches.resize(1);
  SecureArena arena;
  const EditList block = TRY(format.write_metadata(document, metadata_tree(metadata, arena), Value::mapping(), style));
  return block.apply(reserved.expose_text());
}

Result<ShownKeys> take_keys(std::string_view typed, const FormatType& format, const Metadata& stored,
                            Services& services) {
  const Document document = TRY(or_exit(format.scan(typed, ScanMode::kEncrypted), ExitStatus::kCannotReadInput));
  auto found = format.read_metadata(document);
  if (!found && found.error().code == ErrorCode::kNotFound) {
    return fail(ErrorCode::kMalformed, "the sops block is gone; it says who can read the file")
        .hint("to leave the keys as they are edit without -s")
        .exit(ExitStatus::kCannotReadInput);
  }
  Value tree = TRY(or_exit(std::move(found), ExitStatus::kCannotReadInput));
  ShownKeys shown;
  const std::string now = utc_seconds(services.clock.now());
  restore_ours(tree, stored, shown.warnings);
  add_creation_times(tree, now);
  shown.metadata = TRY(or_exit(in_context(parse_metadata(tree), "metadata"), ExitStatus::kCannotReadInput));
  const EditList edits = TRY(format.remove_metadata(document));
  shown.plain = TRY(edits.apply(typed));
  return shown;
}

Result<Metadata> wrap_changed_keys(Metadata edited, const Metadata& stored, const DataKey& key, Services& services) {
  if (are_as_stored(edited, stored)) return edited;
  if (edited.groups.size() == 1) {
    const KeyGroup none;
    // What was a share of the data key is of no use for a key that gets all of it.
    const KeyGroup& before = stored.groups.size() == 1 ? stored.groups[0] : none;
    TRY(wrap_new_entries(edited.groups[0], before, key, services));
    return edited;
  }
  MasterKeys owner;
  std::vector<MasterKeyList> groups;
  for (const KeyGroup& group : edited.groups) {
    MasterKeyList list;
    for (const KeyEntry& entry : group) {
      auto master = TRY(master_key_of(entry));
      list.emplace_back(find_key_source(entry.source), master.get());
      owner.push_back(std::move(master));
    }
    groups.push_back(std::move(list));
  }
  WrappedKey wrapped = TRY(wrap_data_key(key, groups, edited.shamir_threshold, services));
  edited.groups = std::move(wrapped.groups);
  edited.shamir_threshold = wrapped.shamir_threshold;
  return edited;
}

Result<size_t> count_newly_clear(std::string_view plain, const FormatType& format, const SelectionSettings& before,
                                 const SelectionSettings& after) {
  if (!format.selects_values) return size_t{0};
  const Document document = TRY(or_exit(format.scan(plain, ScanMode::kPlain), ExitStatus::kCannotReadInput));
  const Selector old_rule = TRY(Selector::compile(before, Selector::Strictness::kLenient));
  const Selector new_rule = TRY(Selector::compile(after, Selector::Strictness::kStrict));
  const Walk old_walk = TRY(walk(document, old_rule, ExitStatus::kCannotEncryptTree));
  const Walk new_walk = TRY(walk(document, new_rule, ExitStatus::kCannotEncryptTree));
  SOPS_CHECK(old_walk.leaves.size() == new_walk.leaves.size(), "rules do not change what there is");
  size_t count = 0;
  for (size_t i = 0; i < old_walk.leaves.size(); ++i) {
    const Node& node = document.node(old_walk.leaves[i].node);
    const bool matters = node.type != ScalarType::kNull && !node.text.empty();
    if (matters && old_walk.leaves[i].selected && !new_walk.leaves[i].selected) ++count;
  }
  return count;
}

}  // namespace sops
