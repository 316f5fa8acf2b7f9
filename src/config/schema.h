// SPDX-License-Identifier: MPL-2.0
//
// The keys that a `.sops.yaml` may have (config.md 3), in one table: parse.cc reads a configuration against it, and
// `sops config schema` prints it as a JSON Schema.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "keysources/key_source.h"

namespace sops {

/// What a key of the configuration holds (config.md 2).
enum class SettingType {
  kString,      // any scalar, as written
  kInteger,     // also a number with a fraction, which is cut off
  kBool,        // also the words of YAML 1.1
  kTextOrList,  // a comma list or a list of texts (config.md 3.3)
  kTextList,    // a list of texts
  kTextMap,     // a mapping of texts
  kOne,         // a mapping with the keys of `section`
  kMany,        // a list of such mappings
};

struct SettingSection;

/// One key of a mapping.
struct Setting {
  std::string_view name;
  SettingType type = SettingType::kString;
  std::string_view summary;                 // one line, no full stop
  const SettingSection* section = nullptr;  // of kOne and kMany
};

/// The keys of one kind of mapping.
struct SettingSection {
  std::string_view id;  // name in the schema: "creation_rule"
  std::span<const Setting> settings;
};

// Sections in the order of config.md 3.
extern const SettingSection kTopSection;
extern const SettingSection kRuleSection;   // without the keys of key sources: kKeyFields
extern const SettingSection kGroupSection;  // likewise
extern const SettingSection kDestinationSection;
extern const SettingSection kStoresSection;
extern const SettingSection kStoreSection;
extern const SettingSection kNoSettings;
extern const SettingSection kOwnSection;

/// How a key group writes the keys of one kind (config.md 3.4).
enum class GroupForm : uint8_t {
  kCommaLists,    // strings, each a comma list
  kFingerprints,  // strings, each one key
  kUris,          // strings, none of them empty
  kMappings,      // mappings of fields
};

/// A key of a mapping that is one master key, as written and as in the metadata.
struct SubKey {
  std::string_view name;
  std::string_view metadata_name;
  std::string_view summary;
  bool drop_spaces = false;
  bool is_context = false;  // a mapping of strings
};

/// The keys of one kind in a rule and in a key group.
struct KeyField {
  std::string_view source;  // KeySourceType::id
  std::string_view rule_field;
  std::string_view group_field;
  std::string_view summary;
  GroupForm form = GroupForm::kCommaLists;
  std::span<const SubKey> sub_keys;  // of kMappings
  bool is_typed_list = false;        // of the flat field: strings only, taken as written
};

/// In SOPS's order (config.md 3.4).
extern const std::span<const KeyField> kKeyFields;

/// The JSON Schema (draft 2020-12) of a configuration, as JSON text. `sources` adds those that SOPS does not have.
/// Unknown keys are allowed, as everywhere (editing.md 6.4).
std::string config_schema(std::span<const KeySourceType* const> sources);

}  // namespace sops
