// SPDX-License-Identifier: MPL-2.0
//
// From the text of `.sops.yaml` to a Config. The YAML format module finds the places; here each mapping is read against
// the table of its keys (schema.h), which is the schema of config.md 3 in the order of its pages. Types follow
// config.md 2: what a place may hold depends on the field, not on how YAML would type it alone.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <variant>

#include "config/config.h"
#include "config/schema.h"
#include "formats/yaml/yaml.h"

namespace sops {
namespace {

// ---- the text

// The part of `text` up to the end of its first document (config.md 2: only that one is used, and what follows need not
// even be YAML). A marker in column 1 ends a document wherever it stands, so no grammar is needed to find it.
std::string_view first_document(std::string_view text) {
  bool seen = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    const bool is_marker = (line.starts_with("---") || line.starts_with("...")) &&
                           (line.size() == 3 || line[3] == ' ' || line[3] == '\t' || line[3] == '\r');
    if (is_marker && seen) return text.substr(0, at);
    const std::string_view content = trim(line);
    if (is_marker ? line[0] == '-' : !content.empty() && content[0] != '#' && line[0] != '%') seen = true;
    at = end + 1;
  }
  return text;
}

// True for a text of nothing but blank lines and comments: an empty configuration.
bool is_blank(std::string_view text) {
  const std::vector<std::string_view> lines = split(text, '\n');
  return std::ranges::all_of(lines, [](std::string_view line) {
    line = trim(line);
    return line.empty() || line[0] == '#';
  });
}

// Positions of many places, without a pass over the text for each: places come mostly in rising order, or (aliases)
// again.
class Positions {
 public:
  explicit Positions(std::string_view text) : text_(text) {
    for (size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1))
      lines_.push_back(at + 1);
  }

  TextPosition at(size_t offset) {
    const auto [known, is_new] = known_.try_emplace(offset);
    if (!is_new) return known->second;
    const auto line = static_cast<size_t>(std::ranges::upper_bound(lines_, offset) - lines_.begin());
    if (line != position_.line || offset < offset_) {
      offset_ = lines_[line - 1];
      position_ = {line, 1};
    }
    for (; offset_ < offset; ++offset_) {
      if ((static_cast<uint8_t>(text_[offset_]) & 0xC0) != 0x80) ++position_.column;
    }
    return known->second = position_;
  }

 private:
  std::string_view text_;
  std::vector<size_t> lines_{0};  // where each begins
  std::map<size_t, TextPosition> known_;
  size_t offset_ = 0;
  TextPosition position_{1, 1};
};

// `text` without spaces.
std::string without_spaces(std::string_view text) {
  std::string result(text);
  std::erase(result, ' ');
  return result;
}

// ---- reading

// A key that a mapping may have, and where its value goes: a variable, or (NodeId) a place that is read afterwards.
struct Field {
  std::string_view name;
  std::variant<std::string*, int64_t*, std::optional<int64_t>*, bool*, NodeId*> out;
};

class Reader {
 public:
  Reader(const Document& document, std::span<const KeySourceType* const> sources, std::vector<std::string>& warnings);

  Result<Config> read();

 private:
  struct Entry {
    NodeId id;  // the entry itself; its value may be an alias
    std::string_view key;
  };

  // Places.
  const Node& node(NodeId id) const { return document_.node(id); }
  NodeId resolve(NodeId id) const;
  bool is_null(NodeId id) const;
  bool is_merge(NodeId entry) const;
  std::vector<NodeId> items(NodeId sequence) const;
  std::vector<Entry> entries(NodeId mapping) const;
  TextPosition position(NodeId id) { return positions_.at(node(id).content); }
  std::string label_of(NodeId id) const;
  std::string label_beside(const Node& node) const;
  Failure wrong_type(NodeId id, std::string_view name, std::string_view wanted);

  // Fields.
  Result<void> read_fields(NodeId mapping, std::string_view what, const SettingSection& section,
                           std::span<const Field> fields);
  void warn_of_unknown(const Entry& entry, std::span<const Field> fields);
  std::string literal(NodeId scalar) const;
  Result<void> read_string(NodeId id, std::string_view name, std::string& out);
  Result<void> read_integer(NodeId id, std::string_view name, int64_t& out);
  Result<void> read_bool(NodeId id, std::string_view name, bool& out);
  Result<std::vector<NodeId>> read_list(NodeId id, std::string_view name);

  // Sections.
  Result<CreationRule> read_rule(NodeId id, std::string_view what);
  Result<DestinationRule> read_destination(NodeId id);
  Result<void> read_stores(NodeId id, StoreSettings& stores);
  void read_own_settings(NodeId id, Config& config);

  // Keys.
  KeySpec make_spec(const KeyField& field, NodeId id);
  Result<void> read_flat_keys(const KeyField& field, NodeId id, KeyGroupSpec& group);
  void add_flat_key(const KeyField& field, NodeId id, std::string text, KeyGroupSpec& group);
  Result<KeyGroupSpec> read_group(NodeId id);
  Result<void> read_group_keys(const KeyField& field, NodeId id, KeyGroupSpec& group);
  Result<FieldMap> read_key_mapping(const KeyField& field, NodeId id);

  const Document& document_;
  std::vector<KeyField> key_fields_;
  std::vector<std::string>& warnings_;
  Positions positions_;
};

Reader::Reader(const Document& document, std::span<const KeySourceType* const> sources,
               std::vector<std::string>& warnings)
    : document_(document),
      key_fields_(kKeyFields.begin(), kKeyFields.end()),
      warnings_(warnings),
      positions_(document.text) {
  for (const KeySourceType* source : sources) {
    const bool is_known =
        std::ranges::any_of(kKeyFields, [&](const KeyField& field) { return field.source == source->id; });
    if (is_known || source->rule_field.empty()) continue;
    key_fields_.push_back({.source = source->id, .rule_field = source->rule_field, .group_field = source->rule_field});
  }
}

// ---- places

NodeId Reader::resolve(NodeId id) const {
  while (node(id).kind == NodeKind::kAlias) id = node(id).target;
  return id;
}

bool Reader::is_null(NodeId id) const {
  if (id == kNoNode) return true;
  const Node& value = node(resolve(id));
  return value.kind == NodeKind::kScalar && value.type == ScalarType::kNull;
}

// A `<<` that merges: not in quotes, unless a tag says so.
bool Reader::is_merge(NodeId entry) const {
  const Node& value = node(entry);
  if (value.key != "<<" || value.has(kFlagAliasKey)) return false;
  const std::string_view source = document_.slice(value.key_span);
  return source.find_first_of("'\"") == std::string_view::npos || source.starts_with("!!merge");
}

std::vector<NodeId> Reader::items(NodeId sequence) const {
  std::vector<NodeId> result;
  for (NodeId id = sequence + 1; id < node(sequence).next; id = node(id).next) {
    if (node(id).kind != NodeKind::kComment) result.push_back(id);
  }
  return result;
}

// The entries of a mapping, merges included: own keys win, then the merged mappings in order, each with its own merges
// behind its keys. Scanning has made sure that a merge holds mappings, and bounded what aliases expand to.
std::vector<Reader::Entry> Reader::entries(NodeId mapping) const {
  std::vector<Entry> result;
  std::set<std::string_view> seen;
  std::vector<NodeId> open = {mapping};
  while (!open.empty()) {
    const NodeId current = open.back();
    open.pop_back();
    std::vector<NodeId> merged;
    for (NodeId id : items(current)) {
      if (is_merge(id)) {
        const NodeId value = resolve(id);
        if (node(value).kind == NodeKind::kMapping) merged.push_back(value);
        if (node(value).kind != NodeKind::kSequence) continue;
        for (NodeId item : items(value)) merged.push_back(resolve(item));
      } else if (seen.insert(node(id).key).second) {
        result.push_back({.id = id, .key = node(id).key});
      }
    }
    open.insert(open.end(), merged.rbegin(), merged.rend());
  }
  return result;
}

Failure Reader::wrong_type(NodeId id, std::string_view name, std::string_view wanted) {
  const Node& value = node(resolve(id));
  std::string_view found = "text";
  if (value.kind == NodeKind::kMapping) {
    found = "a mapping";
  } else if (value.kind == NodeKind::kSequence) {
    found = "a list";
  } else {
    switch (value.type) {
      case ScalarType::kNull:
        found = "null";
        break;
      case ScalarType::kBool:
        found = "a boolean";
        break;
      case ScalarType::kInt:
      case ScalarType::kUnsigned:
        found = "an integer";
        break;
      case ScalarType::kFloat:
        found = "a number";
        break;
      case ScalarType::kTime:
        found = "a date";
        break;
      case ScalarType::kString:
      case ScalarType::kBytes:
        break;
    }
  }
  return fail(ErrorCode::kMalformed, "{} must be {}, not {}", name, wanted, found).at(position(id));
}

// The comment at the end of a place's last line, else the one that is the whole line above its first.
std::string Reader::label_beside(const Node& place) const {
  const std::string_view text = document_.text;
  const auto comment_in = [](std::string_view line) {
    return line.starts_with('#') ? std::string(trim(line.substr(1))) : std::string();
  };
  const size_t end = place.span.end;
  std::string_view rest = text.substr(end, std::min(text.find('\n', end), text.size()) - end);
  if (std::string label = comment_in(trim(rest)); !label.empty()) return label;
  const size_t line = text.substr(0, place.span.begin).rfind('\n');
  if (line == std::string_view::npos) return {};
  const size_t above = text.substr(0, line).rfind('\n');
  const size_t begin = above == std::string_view::npos ? 0 : above + 1;
  return comment_in(trim(text.substr(begin, line - begin)));
}

// keys.md 1.7. Of an alias: what stands beside the alias, else beside its anchor. Inside a flow collection lines do not
// belong to items.
std::string Reader::label_of(NodeId id) const {
  for (const NodeId place : {id, resolve(id)}) {
    if (node(place).has(kFlagInFlow)) continue;
    if (std::string label = label_beside(node(place)); !label.empty()) return label;
  }
  return {};
}

// ---- fields

// `fields` binds the settings of `section`, in its order; those of key sources may follow.
Result<void> Reader::read_fields(NodeId mapping, std::string_view what, const SettingSection& section,
                                 std::span<const Field> fields) {
  SOPS_CHECK(
      fields.size() >= section.settings.size() &&
          std::ranges::equal(section.settings, fields.first(section.settings.size()), {}, &Setting::name, &Field::name),
      "the fields that are read are those of the table");
  mapping = resolve(mapping);
  if (node(mapping).kind != NodeKind::kMapping) return wrong_type(mapping, what, "a mapping");
  for (const Entry& entry : entries(mapping)) {
    const auto field = std::ranges::find(fields, entry.key, &Field::name);
    if (field == fields.end()) {
      warn_of_unknown(entry, fields);
      continue;
    }
    if (is_null(entry.id)) continue;  // as if it were not there
    if (auto* const* text = std::get_if<std::string*>(&field->out)) {
      TRY(read_string(entry.id, field->name, **text));
    } else if (auto* const* number = std::get_if<int64_t*>(&field->out)) {
      TRY(read_integer(entry.id, field->name, **number));
    } else if (auto* const* maybe = std::get_if<std::optional<int64_t>*>(&field->out)) {
      TRY(read_integer(entry.id, field->name, (*maybe)->emplace()));
    } else if (auto* const* flag = std::get_if<bool*>(&field->out)) {
      TRY(read_bool(entry.id, field->name, **flag));
    } else {
      *std::get<NodeId*>(field->out) = entry.id;
    }
  }
  return {};
}

// editing.md 6.4: "Unknown keys are never an error; a warning only within distance 2 of a name that is valid there;
// `x-*` and keys that hold anchors are silent."
void Reader::warn_of_unknown(const Entry& entry, std::span<const Field> fields) {
  constexpr size_t kMaxWarnings = 20;
  if (entry.key.starts_with("x-") || node(entry.id).has(kFlagAnchored) || warnings_.size() >= kMaxWarnings) return;
  std::vector<std::string_view> names;
  for (const Field& field : fields) names.push_back(field.name);
  const std::optional<std::string_view> meant = nearest(entry.key, names);
  if (!meant) return;
  const TextPosition where = positions_.at(node(entry.id).key_span.begin);
  warnings_.push_back(format("line {}, column {}: unknown key '{}' is ignored; did you mean '{}'?", where.line,
                             where.column, escape_for_message(entry.key), *meant));
}

// The characters of a scalar as a string field takes them: unquoted ones as written, whatever YAML takes them for.
std::string Reader::literal(NodeId scalar) const {
  const Node& value = node(scalar);
  if (value.type == ScalarType::kString || value.type == ScalarType::kBytes || value.style == NodeStyle::kRaw)
    return std::string(value.text);
  std::string_view source = document_.slice({std::min(value.content, value.span.end), value.span.end});
  if (value.style == NodeStyle::kSingleQuoted || value.style == NodeStyle::kDoubleQuoted)
    return std::string(source.substr(1, source.size() - 2));  // under a tag like !!int: no escapes in there
  if (value.style == NodeStyle::kPlain && source.find('\n') == std::string_view::npos) return std::string(source);
  return std::string(value.text);
}

Result<void> Reader::read_string(NodeId id, std::string_view name, std::string& out) {
  const NodeId value = resolve(id);
  if (node(value).kind != NodeKind::kScalar) return wrong_type(id, name, "text");
  out = literal(value);
  return {};
}

// config.md 2: integers, and floats without their fraction.
Result<void> Reader::read_integer(NodeId id, std::string_view name, int64_t& out) {
  const Node& value = node(resolve(id));
  const bool is_scalar = value.kind == NodeKind::kScalar;
  const char* const end = value.text.data() + value.text.size();
  if (is_scalar && value.type == ScalarType::kInt) {
    std::from_chars(value.text.data(), end, out);
    return {};
  }
  if (is_scalar && value.type == ScalarType::kFloat) {
    double number = std::numeric_limits<double>::quiet_NaN();
    std::from_chars(value.text.data(), end, number);
    if (number > -0x1p63 && number < 0x1p63) {
      out = static_cast<int64_t>(number);
      return {};
    }
  }
  if (is_scalar && (value.type == ScalarType::kUnsigned || value.type == ScalarType::kFloat))
    return fail(ErrorCode::kMalformed, "{} is out of range", name).at(position(id));
  Failure failure = wrong_type(id, name, "an integer");
  const bool is_quoted = value.style == NodeStyle::kSingleQuoted || value.style == NodeStyle::kDoubleQuoted;
  return is_scalar && is_quoted ? std::move(failure).hint("write it without quotes") : std::move(failure);
}

// config.md 2: `true` and `false` unquoted, and the words of YAML 1.1 in any way.
Result<void> Reader::read_bool(NodeId id, std::string_view name, bool& out) {
  constexpr std::array<std::string_view, 8> kYes = {"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"};
  constexpr std::array<std::string_view, 8> kNo = {"n", "N", "no", "No", "NO", "off", "Off", "OFF"};
  const Node& value = node(resolve(id));
  if (value.kind == NodeKind::kScalar && value.type == ScalarType::kBool) {
    out = value.text == "True";
    return {};
  }
  if (value.kind == NodeKind::kScalar && value.type == ScalarType::kString) {
    const bool is_yes = std::ranges::count(kYes, value.text) > 0;
    if (is_yes || std::ranges::count(kNo, value.text) > 0) {
      out = is_yes;
      return {};
    }
  }
  return wrong_type(id, name, "true or false").hint("write true or false without quotes");
}

// The items of a typed list; null ones are dropped.
Result<std::vector<NodeId>> Reader::read_list(NodeId id, std::string_view name) {
  if (is_null(id)) return std::vector<NodeId>();
  const NodeId list = resolve(id);
  if (node(list).kind != NodeKind::kSequence) return wrong_type(id, name, "a list");
  std::vector<NodeId> result = items(list);
  std::erase_if(result, [this](NodeId item) { return is_null(item); });
  return result;
}

// ---- sections

Result<Config> Reader::read() {
  Config config;
  NodeId creation_rules = kNoNode;
  NodeId destination_rules = kNoNode;
  NodeId stores = kNoNode;
  NodeId own = kNoNode;
  const Field fields[] = {{"creation_rules", &creation_rules},
                          {"destination_rules", &destination_rules},
                          {"stores", &stores},
                          {"config", &own}};
  TRY(read_fields(document_.branches[0].root, "the configuration", kTopSection, fields));

  if (creation_rules != kNoNode) {
    config.creation_rules.emplace();
    const std::vector<NodeId> rules = TRY(read_list(creation_rules, "creation_rules"));
    for (const NodeId id : rules) {
      CreationRule rule = TRY(read_rule(id, "a creation rule"));
      config.creation_rules->push_back(std::move(rule));
    }
  }
  const std::vector<NodeId> destinations = TRY(read_list(destination_rules, "destination_rules"));
  for (const NodeId id : destinations) {
    DestinationRule rule = TRY(read_destination(id));
    config.destination_rules.push_back(std::move(rule));
  }
  if (stores != kNoNode) TRY(read_stores(stores, config.stores));
  if (own != kNoNode) read_own_settings(own, config);
  return config;
}

Result<CreationRule> Reader::read_rule(NodeId id, std::string_view what) {
  CreationRule rule;
  std::string aws_profile;
  NodeId key_groups = kNoNode;
  SelectionSettings& selection = rule.selection;
  std::vector<Field> fields = {{"path_regex", &rule.path_regex},
                               {"aws_profile", &aws_profile},
                               {"key_groups", &key_groups},
                               {"shamir_threshold", &rule.shamir_threshold},
                               {"unencrypted_suffix", &selection.unencrypted_suffix},
                               {"encrypted_suffix", &selection.encrypted_suffix},
                               {"unencrypted_regex", &selection.unencrypted_regex},
                               {"encrypted_regex", &selection.encrypted_regex},
                               {"unencrypted_comment_regex", &selection.unencrypted_comment_regex},
                               {"encrypted_comment_regex", &selection.encrypted_comment_regex},
                               {"mac_only_encrypted", &rule.mac_only_encrypted}};
  std::vector<NodeId> keys(key_fields_.size(), kNoNode);
  for (size_t i = 0; i < keys.size(); ++i) fields.push_back({key_fields_[i].rule_field, &keys[i]});
  TRY(read_fields(id, what, kRuleSection, fields));
  rule.position = position(id);

  const std::vector<NodeId> groups = TRY(read_list(key_groups, "key_groups"));
  for (const NodeId group : groups) {
    KeyGroupSpec spec = TRY(read_group(group));
    rule.groups.push_back(std::move(spec));
  }
  // The flat fields. The list of strings is type-checked with the document, the others when the rule is chosen.
  KeyGroupSpec flat;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (is_null(keys[i])) continue;
    Result<void> read = read_flat_keys(key_fields_[i], keys[i], flat);
    if (read) continue;
    if (key_fields_[i].is_typed_list) return fail(std::move(read.error()));
    if (!rule.key_error) rule.key_error = std::move(read.error());
  }
  if (!rule.groups
           .empty()) {  // "if non-empty, all flat key fields above (and aws_profile) are ignored" (config.md 3.2)
    rule.key_error.reset();
    return rule;
  }
  for (KeySpec& key : flat.keys) {
    if (key.source == "kms" && !aws_profile.empty()) key.fields["aws_profile"] = aws_profile;
  }
  rule.groups.push_back(std::move(flat));
  return rule;
}

Result<DestinationRule> Reader::read_destination(NodeId id) {
  DestinationRule rule;
  int64_t version = 2;
  NodeId recreation = kNoNode;
  const Field fields[] = {{"path_regex", &rule.path_regex},
                          {"s3_bucket", &rule.s3_bucket},
                          {"s3_prefix", &rule.s3_prefix},
                          {"gcs_bucket", &rule.gcs_bucket},
                          {"gcs_prefix", &rule.gcs_prefix},
                          {"vault_path", &rule.vault_path},
                          {"vault_address", &rule.vault_address},
                          {"vault_kv_mount_name", &rule.vault_kv_mount_name},
                          {"vault_kv_version", &version},
                          {"recreation_rule", &recreation},
                          {"omit_extensions", &rule.omit_extensions}};
  TRY(read_fields(id, "a destination rule", kDestinationSection, fields));
  rule.position = position(id);
  rule.vault_kv_version = version == 1 ? 1 : 2;
  if (recreation != kNoNode) {
    rule.recreation_rule = TRY(read_rule(recreation, "recreation_rule"));
  } else {
    rule.recreation_rule.groups.emplace_back();
    rule.recreation_rule.position = rule.position;
  }
  return rule;
}

Result<void> Reader::read_stores(NodeId id, StoreSettings& stores) {
  NodeId yaml = kNoNode;
  NodeId json = kNoNode;
  NodeId json_binary = kNoNode;
  NodeId dotenv = kNoNode;
  NodeId ini = kNoNode;
  const Field fields[] = {
      {"yaml", &yaml}, {"json", &json}, {"json_binary", &json_binary}, {"dotenv", &dotenv}, {"ini", &ini}};
  TRY(read_fields(id, "stores", kStoresSection, fields));
  const auto read_store = [this](NodeId store, std::string_view name, std::optional<int64_t>& indent) -> Result<void> {
    const Field indents[] = {{"indent", &indent}};
    if (store == kNoNode) return {};
    return read_fields(store, name, kStoreSection, indents);
  };
  TRY(read_store(yaml, "stores.yaml", stores.yaml_indent));
  TRY(read_store(json, "stores.json", stores.json_indent));
  TRY(read_store(json_binary, "stores.json_binary", stores.json_binary_indent));
  TRY(dotenv == kNoNode ? Result<void>() : read_fields(dotenv, "stores.dotenv", kNoSettings, {}));
  TRY(ini == kNoNode ? Result<void>() : read_fields(ini, "stores.ini", kNoSettings, {}));
  return {};
}

// `config`, which SOPS does not know and ignores: so nothing in it is an error.
void Reader::read_own_settings(NodeId id, Config& config) {
  const auto warn = [&](NodeId place, std::string_view what) {
    const TextPosition where = position(place);
    warnings_.push_back(format("line {}, column {}: {}", where.line, where.column, what));
  };
  const NodeId mapping = resolve(id);
  if (node(mapping).kind != NodeKind::kMapping) return warn(id, "'config' is ignored: it is no mapping");
  for (const Entry& entry : entries(mapping)) {
    const Node& value = node(resolve(entry.id));
    if (entry.key != "lookup" || is_null(entry.id)) continue;
    if (value.kind == NodeKind::kScalar && value.text == "target") {
      config.looks_from_target = true;
    } else {
      warn(entry.id, "'lookup' is ignored: it may only be 'target'");
    }
  }
}

// ---- keys

KeySpec Reader::make_spec(const KeyField& field, NodeId id) {
  return {.source = std::string(field.source), .position = position(id), .label = label_of(id)};
}

// Adds a flat entry. `text` may still be a comma list.
void Reader::add_flat_key(const KeyField& field, NodeId id, std::string text, KeyGroupSpec& group) {
  KeySpec spec = make_spec(field, id);
  if (field.source != "kms") {
    spec.text = std::move(text);
    group.keys.push_back(std::move(spec));
    return;
  }
  // config.md 3.3: "all spaces removed; split at `+arn:` into ARN and role"
  for (const std::string_view part : split(text, ',')) {
    const std::string key = without_spaces(part);
    const size_t plus = key.find("+arn:", 1);
    spec.fields = {{"arn", key.substr(0, plus)}};
    if (plus != std::string::npos) spec.fields["role"] = key.substr(plus + 1);
    group.keys.push_back(spec);
  }
}

// A string-or-list field (config.md 3.3), or the typed list of hckms, where a string is accepted too (config.md 8).
Result<void> Reader::read_flat_keys(const KeyField& field, NodeId id, KeyGroupSpec& group) {
  const NodeId value = resolve(id);
  if (node(value).kind == NodeKind::kScalar && node(value).type == ScalarType::kString) {
    std::vector<std::string_view> parts = split(node(value).text, ',');
    for (std::string_view& part : parts) part = trim(part);
    std::erase(parts, std::string_view());
    for (const std::string_view part : parts) {
      add_flat_key(field, id, std::string(part), group);
      if (parts.size() > 1) group.keys.back().label.clear();  // one comment cannot name several keys
    }
    return {};
  }
  if (node(value).kind != NodeKind::kSequence)
    return wrong_type(id, field.rule_field, "text or a list of texts").hint("put it in quotes");

  std::vector<NodeId> list = items(value);
  if (field.is_typed_list) std::erase_if(list, [this](NodeId item) { return is_null(item); });
  std::vector<std::string> texts;
  bool any_empty = false;
  for (const NodeId item : list) {
    const Node& text = node(resolve(item));
    const bool fits = text.kind == NodeKind::kScalar &&
                      (field.is_typed_list || text.type == ScalarType::kString || text.type == ScalarType::kBytes);
    if (!fits) {
      return wrong_type(item, format("an item of {}", field.rule_field), "text").hint("put it in quotes");
    }
    texts.push_back(literal(resolve(item)));
    any_empty |= texts.back().empty();
  }
  if (texts.size() == 1 && any_empty) return {};
  // SOPS joins the items with commas and splits again. An empty item is then an empty part, about which the key source
  // decides: the list has to stay whole. Else the items are independent.
  if (any_empty) {
    add_flat_key(field, id, join(texts, ","), group);
    return {};
  }
  for (size_t i = 0; i < list.size(); ++i) add_flat_key(field, list[i], std::move(texts[i]), group);
  return {};
}

// A key group: the keys of `merge`, at any depth and in order, then its own (config.md 3.4). To drop repeated keys in
// every nested group and then in the whole is to keep the first of each in the whole.
Result<KeyGroupSpec> Reader::read_group(NodeId id) {
  struct Open {
    NodeId group = kNoNode;
    std::vector<NodeId> keys;  // one place for each of key_fields_
    bool is_read = false;
  };
  KeyGroupSpec result{.drop_repeated = true};
  std::vector<Open> open = {{.group = id}};
  while (!open.empty()) {
    if (open.back().is_read) {
      const Open group = std::move(open.back());
      open.pop_back();
      for (size_t i = 0; i < group.keys.size(); ++i) TRY(read_group_keys(key_fields_[i], group.keys[i], result));
      continue;
    }
    Open& group = open.back();
    group.is_read = true;
    group.keys.assign(key_fields_.size(), kNoNode);
    NodeId merge = kNoNode;
    std::vector<Field> fields = {{"merge", &merge}};
    for (size_t i = 0; i < group.keys.size(); ++i) fields.push_back({key_fields_[i].group_field, &group.keys[i]});
    TRY(read_fields(group.group, "a key group", kGroupSection, fields));
    const std::vector<NodeId> merged = TRY(read_list(merge, "merge"));
    for (auto nested = merged.rbegin(); nested != merged.rend(); ++nested) open.push_back({.group = *nested});
  }
  return result;
}

Result<void> Reader::read_group_keys(const KeyField& field, NodeId id, KeyGroupSpec& group) {
  const std::vector<NodeId> list = TRY(read_list(id, field.group_field));
  for (const NodeId item : list) {
    KeySpec spec = make_spec(field, item);
    if (field.form == GroupForm::kMappings) {
      spec.fields = TRY(read_key_mapping(field, item));
      group.keys.push_back(std::move(spec));
      continue;
    }
    std::string text;
    TRY(read_string(item, format("an item of {}", field.group_field), text));
    if (field.form == GroupForm::kUris && text.empty())
      return fail(ErrorCode::kMalformed, "an item of {} is empty", field.group_field).at(spec.position);
    if (field.form == GroupForm::kFingerprints) {
      spec.fields = {{"fp", without_spaces(text)}};
    } else if (text.empty()) {
      continue;  // an empty comma list has no keys
    } else {
      spec.text = std::move(text);
    }
    group.keys.push_back(std::move(spec));
  }
  return {};
}

Result<FieldMap> Reader::read_key_mapping(const KeyField& field, NodeId id) {
  std::array<std::string, 4> texts;
  NodeId context = kNoNode;
  std::vector<Field> fields;
  for (size_t i = 0; i < field.sub_keys.size(); ++i) {
    const SubKey& key = field.sub_keys[i];
    if (key.is_context) {
      fields.push_back({key.name, &context});
    } else {
      fields.push_back({key.name, &texts[i]});
    }
  }
  TRY(read_fields(id, format("an item of {}", field.group_field), kNoSettings, fields));

  FieldMap result;
  for (size_t i = 0; i < field.sub_keys.size(); ++i) {
    const SubKey& key = field.sub_keys[i];
    if (key.is_context) continue;
    std::string text = key.drop_spaces ? without_spaces(texts[i]) : std::move(texts[i]);
    if (!text.empty() || i == 0) result[std::string(key.metadata_name)] = std::move(text);
  }
  if (is_null(context)) return result;
  const NodeId mapping = resolve(context);
  if (node(mapping).kind != NodeKind::kMapping) return wrong_type(context, "context", "a mapping");
  std::map<std::string, std::string> pairs;
  for (const Entry& entry : entries(mapping)) {
    if (is_null(entry.id))
      return wrong_type(entry.id, format("context value '{}'", escape_for_message(entry.key)), "text");
    std::string& text = pairs[std::string(entry.key)];
    TRY(read_string(entry.id, format("context value '{}'", escape_for_message(entry.key)), text));
  }
  if (!pairs.empty()) result["context"] = std::move(pairs);
  return result;
}

}  // namespace

Result<Config> parse_config(std::string_view text, std::span<const KeySourceType* const> sources,
                            std::vector<std::string>& warnings) {
  const std::optional<SecureBytes> decoded = TRY(yaml::type.decode_text(text));
  if (decoded) text = decoded->expose_text();
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  text = first_document(text);
  if (is_blank(text)) return Config();
  Result<Document> document = yaml::type.scan(text, ScanMode::kEncrypted);
  if (!document) {
    Error error = std::move(document.error());
    error.exit_status = ExitStatus::kGeneric;  // not that of a file to encrypt
    return fail(std::move(error));
  }
  return Reader(*document, sources, warnings).read();
}

}  // namespace sops
