// SPDX-License-Identifier: MPL-2.0
#include "core/metadata.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "base/rfc3339.h"

namespace sops {

namespace {

// format.md 5.5: "one group made of kms, gcp_kms, hckms, azure_kv, hc_vault, pgp, age keys in this order".
constexpr std::array<std::string_view, 7> kKeyLists = {"kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp", "age"};

Failure wrong_kind(std::string_view field, std::string_view expected) {
  return fail(ErrorCode::kMalformed, "metadata field '{}' is no {}", escape_for_message(field, 60), expected)
      .hint("the sops block was changed by hand or by another program; restore it from an earlier version");
}

// format.md 5.5: names match exactly, else in any case.
const Value* find_field(const Value& mapping, std::string_view name) {
  const Value* found = mapping.find(name);
  if (found == nullptr) {
    for (const Value& child : mapping.children) {
      if (child.kind != ValueKind::kComment && to_lower(child.key) == name) found = &child;
    }
  }
  // Null counts as unset.
  if (found != nullptr && found->kind == ValueKind::kScalar && found->type == ScalarType::kNull) return nullptr;
  return found;
}

// Weak typing (format.md 5.5): numbers and bools become text; a float in positional form is what `text` already holds.
Result<std::string> as_string(const Value& value, std::string_view field) {
  if (value.kind != ValueKind::kScalar || value.type == ScalarType::kTime) return wrong_kind(field, "text");
  if (value.type == ScalarType::kBool) return std::string(value.text == "True" ? "1" : "0");
  if (value.type == ScalarType::kNull) return std::string();
  return std::string(value.text);
}

Result<std::string> string_field(const Value& mapping, std::string_view name) {
  const Value* field = find_field(mapping, name);
  if (field == nullptr) return std::string();
  return TRY(as_string(*field, name));
}

Result<int64_t> int_field(const Value& mapping, std::string_view name) {
  const Value* field = find_field(mapping, name);
  if (field == nullptr) return 0;
  if (field->kind != ValueKind::kScalar) return wrong_kind(name, "number");
  if (field->type == ScalarType::kBool) return field->text == "True" ? 1 : 0;
  std::string_view text = field->text;
  if (text.empty()) return 0;
  int base = 10;
  if (field->type == ScalarType::kString && text.size() > 1 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 32);
    base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
    text.remove_prefix(mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  const bool whole = end == text.data() + text.size();
  // A float is cut off at its point.
  if (error != std::errc() || !(whole || (field->type == ScalarType::kFloat && *end == '.')))
    return wrong_kind(name, "number");
  return value;
}

Result<bool> bool_field(const Value& mapping, std::string_view name) {
  const Value* field = find_field(mapping, name);
  if (field == nullptr) return false;
  if (field->kind != ValueKind::kScalar) return wrong_kind(name, "true or false");
  for (std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (field->text == yes) return true;
  }
  for (std::string_view no : {"", "0", "f", "F", "FALSE", "false", "False"}) {
    if (field->text == no) return false;
  }
  if (field->type == ScalarType::kInt || field->type == ScalarType::kFloat) return true;
  return wrong_kind(name, "true or false");
}

Result<KeyEntry> parse_entry(const Value& item, std::string_view list) {
  if (item.kind != ValueKind::kMapping) return wrong_kind(list, "list of mappings");
  KeyEntry entry{.source = std::string(list)};
  for (const Value& field : item.children) {
    if (field.kind == ValueKind::kComment || (field.kind == ValueKind::kScalar && field.type == ScalarType::kNull))
      continue;
    if (field.kind == ValueKind::kMapping) {
      std::map<std::string, std::string> nested;
      for (const Value& child : field.children) {
        if (child.kind == ValueKind::kComment) continue;
        if (child.kind == ValueKind::kScalar && child.type == ScalarType::kNull) return wrong_kind(child.key, "text");
        nested[std::string(child.key)] = TRY(as_string(child, child.key));
      }
      entry.fields[to_lower(field.key)] = std::move(nested);
    } else {
      entry.fields[to_lower(field.key)] = TRY(as_string(field, field.key));
    }
  }
  const std::string_view created = field_text(entry.fields, "created_at");
  if (list != "age" && !parse_rfc3339(created)) {
    return fail(ErrorCode::kMalformed, "created_at '{}' of a {} entry is no RFC 3339 time",
                escape_for_message(created, 40), list);
  }
  if (list == "hckms") {
    const std::string_view id = field_text(entry.fields, "key_id");
    const size_t colon = id.find(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == id.size()) {
      return fail(ErrorCode::kMalformed, "key_id '{}' of a hckms entry is not of the form region:uuid",
                  escape_for_message(id, 60));
    }
  }
  return entry;
}

// The key lists directly below `mapping`: one group, perhaps empty.
Result<KeyGroup> parse_group(const Value& mapping) {
  KeyGroup group;
  for (std::string_view name : kKeyLists) {
    const Value* list = find_field(mapping, name);
    if (list == nullptr) continue;
    if (list->kind == ValueKind::kMapping) {  // a single entry where a list is expected is taken as one
      if (list->children.empty()) continue;
      KeyEntry entry = TRY(parse_entry(*list, name));
      group.push_back(std::move(entry));
      continue;
    }
    if (list->kind != ValueKind::kSequence) return wrong_kind(name, "list");
    for (const Value& item : list->children) {
      if (item.kind == ValueKind::kComment) continue;
      KeyEntry entry = TRY(parse_entry(item, name));
      group.push_back(std::move(entry));
    }
  }
  return group;
}

Result<std::vector<KeyGroup>> parse_groups(const Value& tree) {
  std::vector<KeyGroup> groups;
  KeyGroup single = TRY(parse_group(tree));
  if (!single.empty()) {
    groups.push_back(std::move(single));
    return groups;
  }
  const Value* list = find_field(tree, "key_groups");
  if (list != nullptr) {
    if (list->kind != ValueKind::kSequence) return wrong_kind("key_groups", "list");
    for (const Value& item : list->children) {
      if (item.kind == ValueKind::kComment) continue;
      if (item.kind != ValueKind::kMapping) return wrong_kind("key_groups", "list of mappings");
      KeyGroup group = TRY(parse_group(item));
      groups.push_back(std::move(group));
    }
  }
  if (groups.empty()) {
    return fail(ErrorCode::kMalformed, "no keys found in file")
        .hint(
            "the sops block names no master key, so nobody can decrypt it; restore the block from an earlier version");
  }
  return groups;
}

}  // namespace

std::span<const std::string_view> key_list_names() { return kKeyLists; }

Result<Metadata> parse_metadata(const Value& tree) {
  Metadata metadata;
  metadata.lastmodified = TRY(string_field(tree, "lastmodified"));
  if (!parse_rfc3339(metadata.lastmodified)) {
    return fail(ErrorCode::kMalformed, "lastmodified '{}' in the metadata is no RFC 3339 time",
                escape_for_message(metadata.lastmodified, 40))
        .hint("it must be a quoted time like \"2025-03-23T10:20:30Z\"");
  }
  metadata.groups = TRY(parse_groups(tree));
  metadata.shamir_threshold = TRY(int_field(tree, "shamir_threshold"));
  metadata.mac = TRY(string_field(tree, "mac"));
  metadata.layout = TRY(string_field(tree, "layout"));
  metadata.version = TRY(string_field(tree, "version"));
  metadata.mac_only_encrypted = TRY(bool_field(tree, "mac_only_encrypted"));
  SelectionSettings& selection = metadata.selection;
  selection.unencrypted_suffix = TRY(string_field(tree, "unencrypted_suffix"));
  selection.encrypted_suffix = TRY(string_field(tree, "encrypted_suffix"));
  selection.unencrypted_regex = TRY(string_field(tree, "unencrypted_regex"));
  selection.encrypted_regex = TRY(string_field(tree, "encrypted_regex"));
  selection.unencrypted_comment_regex = TRY(string_field(tree, "unencrypted_comment_regex"));
  selection.encrypted_comment_regex = TRY(string_field(tree, "encrypted_comment_regex"));
  if (selection.count() > 1) {
    return fail(ErrorCode::kMalformed,
                "the metadata has more than one of encrypted_suffix, unencrypted_suffix, "
                "encrypted_regex, unencrypted_regex, encrypted_comment_regex and unencrypted_comment_regex")
        .hint("keep the one that was there when the file was encrypted");
  }
  if (selection.count() == 0) selection = SelectionSettings::standard();
  return metadata;
}

std::string normalized_lastmodified(const Metadata& metadata) {
  const auto time = parse_rfc3339(metadata.lastmodified);
  SOPS_CHECK(time.has_value(), "parse_metadata refuses other times");
  return to_string(*time, false);
}

// format.md 8.1, 8.2: one leading 'v' is dropped; three numeric parts, then anything behind '-' or '+'.
Result<void> check_version(const Metadata& metadata) {
  if (metadata.version.starts_with("1.") || version_numbers(metadata.version)) return {};
  return fail(ErrorCode::kMalformed, "the version '{}' in the metadata is no version number",
              escape_for_message(metadata.version, 40))
      .hint("it must be like 3.9.0: the version of SOPS that wrote the file");
}

std::optional<std::array<uint64_t, 3>> version_numbers(std::string_view version) {
  if (version.starts_with('v')) version.remove_prefix(1);
  const auto parts = split(version.substr(0, version.find_first_of("-+")), '.');
  std::array<uint64_t, 3> numbers{};
  if (parts.size() != numbers.size()) return std::nullopt;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const std::string_view part = parts[i];
    if (part.empty() || part.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    if (part.size() > 1 && part[0] == '0') return std::nullopt;
    if (std::from_chars(part.data(), part.data() + part.size(), numbers[i]).ec != std::errc())
      numbers[i] = std::numeric_limits<uint64_t>::max();
  }
  return numbers;
}

Value key_entry_tree(const KeyEntry& entry) {
  Value tree = Value::mapping();
  for (const auto& [name, field] : entry.fields) {
    if (const auto* text = std::get_if<std::string>(&field)) {
      tree.add(name, Value::string(*text));
    } else {
      Value nested = Value::mapping();
      for (const auto& [key, value] : std::get<std::map<std::string, std::string>>(field))
        nested.add(key, Value::string(value));
      tree.add(name, std::move(nested));
    }
  }
  return tree;
}

Value key_list_tree(std::span<const KeyEntry* const> entries) {
  Value list = Value::sequence();
  for (const KeyEntry* entry : entries) list.add(key_entry_tree(*entry));
  return list;
}

namespace {

void add_lists(Value& tree, const KeyGroup& group) {
  for (std::string_view name : kKeyLists) {
    std::vector<const KeyEntry*> entries;
    for (const KeyEntry& entry : group) {
      if (entry.source == name) entries.push_back(&entry);
    }
    if (!entries.empty()) tree.add(name, key_list_tree(entries));
  }
}

void sort_entries(Value& mapping) {
  std::sort(mapping.children.begin(), mapping.children.end(),
            [](const Value& a, const Value& b) { return a.key < b.key; });
}

void add_text(Value& tree, std::string_view name, std::string_view text) {
  if (!text.empty()) tree.add(name, Value::string(text));
}

}  // namespace

Value key_groups_tree(const std::vector<KeyGroup>& groups) {
  Value list = Value::sequence();
  for (const KeyGroup& group : groups) {
    Value one = Value::mapping();
    add_lists(one, group);
    // format.md 5.4: age and hc_vault are always written.
    for (std::string_view name : {"age", "hc_vault"}) {
      if (one.find(name) == nullptr) one.add(name, Value::sequence());
    }
    sort_entries(one);
    list.add(std::move(one));
  }
  return list;
}

Value metadata_tree(const Metadata& metadata, SecureArena& arena) {
  Value tree = Value::mapping();
  // An empty group can only be told in the list.
  if (metadata.groups.size() == 1 && !metadata.groups[0].empty()) {
    add_lists(tree, metadata.groups[0]);
  } else {
    tree.add("key_groups", key_groups_tree(metadata.groups));
  }
  const SelectionSettings& selection = metadata.selection;
  add_text(tree, "encrypted_comment_regex", selection.encrypted_comment_regex);
  add_text(tree, "encrypted_regex", selection.encrypted_regex);
  add_text(tree, "encrypted_suffix", selection.encrypted_suffix);
  add_text(tree, "unencrypted_comment_regex", selection.unencrypted_comment_regex);
  add_text(tree, "unencrypted_regex", selection.unencrypted_regex);
  add_text(tree, "unencrypted_suffix", selection.unencrypted_suffix);
  tree.add("lastmodified", Value::string(metadata.lastmodified));
  tree.add("mac", Value::string(metadata.mac));
  if (metadata.mac_only_encrypted) tree.add("mac_only_encrypted", Value::scalar(ScalarType::kBool, "True"));
  if (metadata.shamir_threshold != 0) {
    tree.add("shamir_threshold", Value::scalar(ScalarType::kInt, arena.store(format("{}", metadata.shamir_threshold))));
  }
  tree.add("version", Value::string(metadata.version));
  sort_entries(tree);
  return tree;
}

Value first_branch_tree(const Metadata& metadata) {
  Value tree = Value::mapping();
  add_text(tree, "layout", metadata.layout);
  return tree;
}

}  // namespace sops
