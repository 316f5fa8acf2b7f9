// SPDX-License-Identifier: MPL-2.0
#include "config/schema.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"

namespace sops {
namespace {

using Type = SettingType;

constexpr Setting kTop[] = {
    {"creation_rules", Type::kMany, "keys and settings for new files; the first rule that fits a file counts",
     &kRuleSection},
    {"destination_rules", Type::kMany, "where sops publish sends files", &kDestinationSection},
    {"stores", Type::kOne, "layout of new text", &kStoresSection},
    {"config", Type::kOne, "settings that SOPS itself does not have", &kOwnSection},
};

constexpr Setting kRule[] = {
    {"path_regex", Type::kString,
     "the rule is for files whose path, seen from this file, matches; without it, for every file"},
    {"aws_profile", Type::kString, "profile for all keys of `kms` in this rule"},
    {"key_groups", Type::kMany, "groups of keys; if there are any, the keys beside them do not count", &kGroupSection},
    {"shamir_threshold", Type::kInteger, "number of groups that it takes to decrypt; 0: all of them"},
    {"unencrypted_suffix", Type::kString, "what stands below keys with this ending stays in the clear"},
    {"encrypted_suffix", Type::kString, "only what stands below keys with this ending is encrypted"},
    {"unencrypted_regex", Type::kString, "what stands below keys that match stays in the clear"},
    {"encrypted_regex", Type::kString, "only what stands below keys that match is encrypted"},
    {"unencrypted_comment_regex", Type::kString, "what follows a comment that matches stays in the clear"},
    {"encrypted_comment_regex", Type::kString, "only what follows a comment that matches is encrypted"},
    {"mac_only_encrypted", Type::kBool, "the MAC covers encrypted values only"},
};

constexpr Setting kGroup[] = {
    {"merge", Type::kMany, "groups whose keys belong to this one", &kGroupSection},
};

constexpr Setting kDestination[] = {
    {"path_regex", Type::kString, "the rule is for files whose path matches; without it, for every file"},
    {"s3_bucket", Type::kString, "bucket of AWS S3"},
    {"s3_prefix", Type::kString, "what the object's name begins with"},
    {"gcs_bucket", Type::kString, "bucket of Google Cloud Storage"},
    {"gcs_prefix", Type::kString, "what the object's name begins with"},
    {"vault_path", Type::kString, "path in the key-value store of HashiCorp Vault"},
    {"vault_address", Type::kString, "URL of the server, instead of $VAULT_ADDR"},
    {"vault_kv_mount_name", Type::kString, "mount of the key-value store; without it secret/"},
    {"vault_kv_version", Type::kInteger, "version of the key-value store: 1, or 2, which is the default"},
    {"recreation_rule", Type::kOne, "keys and settings with which the file is encrypted anew", &kRuleSection},
    {"omit_extensions", Type::kBool, "leave the file's last extension out of the destination's name"},
};

constexpr Setting kStores[] = {
    {"yaml", Type::kOne, "YAML", &kStoreSection},
    {"json", Type::kOne, "JSON", &kStoreSection},
    {"json_binary", Type::kOne, "the JSON around an encrypted binary file", &kStoreSection},
    {"dotenv", Type::kOne, "dotenv; it has no settings", &kNoSettings},
    {"ini", Type::kOne, "INI; it has no settings", &kNoSettings},
};

constexpr Setting kStore[] = {
    {"indent", Type::kInteger, "number of spaces; YAML: 2 to 9, default 4; JSON: -1 is one tab, the default"},
};

constexpr Setting kOwn[] = {
    {"lookup", Type::kString, "`target`: a configuration beside the file comes before this one"},
};

constexpr SubKey kKmsKeys[] = {
    {.name = "arn", .metadata_name = "arn", .summary = "the key's ARN"},
    {.name = "role", .metadata_name = "role", .summary = "ARN of a role to assume"},
    {.name = "context", .metadata_name = "context", .summary = "encryption context", .is_context = true},
    {.name = "aws_profile", .metadata_name = "aws_profile", .summary = "profile of the credentials"},
};
constexpr SubKey kGcpKeys[] = {
    {.name = "resource_id", .metadata_name = "resource_id", .summary = "the key's resource id", .drop_spaces = true}};
constexpr SubKey kHuaweiKeys[] = {{.name = "key_id", .metadata_name = "key_id", .summary = "region:key-uuid"}};
constexpr SubKey kAzureKeys[] = {
    {.name = "vaultUrl", .metadata_name = "vault_url", .summary = "the vault's URL"},
    {.name = "key", .metadata_name = "name", .summary = "the key's name"},
    {.name = "version", .metadata_name = "version", .summary = "the key's version; without it the current one"},
};

constexpr KeyField kAllKeyFields[] = {
    {.source = "age", .rule_field = "age", .group_field = "age", .summary = "age recipients: age1…, ssh-…"},
    {.source = "pgp",
     .rule_field = "pgp",
     .group_field = "pgp",
     .summary = "fingerprints of OpenPGP keys",
     .form = GroupForm::kFingerprints},
    {.source = "kms",
     .rule_field = "kms",
     .group_field = "kms",
     .summary = "keys of AWS KMS; as text: ARN or ARN+ROLE_ARN",
     .form = GroupForm::kMappings,
     .sub_keys = kKmsKeys},
    {.source = "gcp_kms",
     .rule_field = "gcp_kms",
     .group_field = "gcp_kms",
     .summary = "resource ids of Google Cloud KMS keys",
     .form = GroupForm::kMappings,
     .sub_keys = kGcpKeys},
    {.source = "hckms",
     .rule_field = "hckms",
     .group_field = "hckms",
     .summary = "keys of Huawei Cloud KMS, region:key-uuid",
     .form = GroupForm::kMappings,
     .sub_keys = kHuaweiKeys,
     .is_typed_list = true},
    {.source = "azure_kv",
     .rule_field = "azure_keyvault",
     .group_field = "azure_keyvault",
     .summary = "keys of Azure Key Vault; as text: https://VAULT/keys/NAME/VERSION",
     .form = GroupForm::kMappings,
     .sub_keys = kAzureKeys},
    {.source = "hc_vault",
     .rule_field = "hc_vault_transit_uri",
     .group_field = "hc_vault",
     .summary = "keys of HashiCorp Vault: https://HOST:PORT/v1/ENGINE/keys/NAME",
     .form = GroupForm::kUris},
};

}  // namespace

const SettingSection kTopSection = {"configuration", kTop};
const SettingSection kRuleSection = {"creation_rule", kRule};
const SettingSection kGroupSection = {"key_group", kGroup};
const SettingSection kDestinationSection = {"destination_rule", kDestination};
const SettingSection kStoresSection = {"stores", kStores};
const SettingSection kStoreSection = {"store", kStore};
const SettingSection kNoSettings = {"no_settings", {}};
const SettingSection kOwnSection = {"config", kOwn};
const std::span<const KeyField> kKeyFields = kAllKeyFields;

namespace {

// ---- the JSON Schema

// JSON text with the indentation of one level for each that is open. Everything in the table above is printable ASCII
// or UTF-8 without control characters, so only quotes and backslashes are escaped.
class JsonWriter {
 public:
  void open(std::string_view name) {
    begin(name);
    out_ += "{";
    ++depth_;
    is_first_ = true;
  }
  void close() {
    --depth_;
    out_ += is_first_ ? std::string("}") : "\n" + std::string(2 * depth_, ' ') + "}";
    is_first_ = false;
  }
  void text(std::string_view name, std::string_view value) { raw(name, quoted(value)); }
  void raw(std::string_view name, std::string_view json) {
    begin(name);
    out_ += json;
  }
  std::string take() { return std::move(out_) + "\n"; }

 private:
  static std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
    return out + "\"";
  }
  void begin(std::string_view name) {
    if (depth_ > 0) out_ += (is_first_ ? "\n" : ",\n") + std::string(2 * depth_, ' ');
    if (!name.empty()) out_ += quoted(name) + ": ";
    is_first_ = false;
  }

  std::string out_;
  size_t depth_ = 0;
  bool is_first_ = true;
};

// Null stands for "not there" everywhere (config.md 2).
constexpr std::string_view kScalar = R"(["string", "number", "boolean", "null"])";

void write_list(JsonWriter& json, std::string_view types, std::string_view items) {
  json.raw("type", types);
  json.raw("items", items);
}

void write_setting(JsonWriter& json, const Setting& setting) {
  json.open(setting.name);
  json.text("description", setting.summary);
  const std::string reference =
      setting.section != nullptr ? format("{{\"$ref\": \"#/$defs/{}\"}}", setting.section->id) : "";
  switch (setting.type) {
    case Type::kString:
      json.raw("type", kScalar);
      break;
    case Type::kInteger:
      json.raw("type", R"(["number", "null"])");
      break;
    case Type::kBool:
      json.raw(
          "enum",
          R"([true, false, null, "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF"])");
      break;
    case Type::kTextOrList:
      write_list(json, R"(["string", "array", "null"])", R"({"type": "string"})");
      break;
    case Type::kTextList:
      write_list(json, R"(["array", "null"])", format("{{\"type\": {}}}", kScalar));
      break;
    case Type::kTextMap:
      json.raw("type", R"(["object", "null"])");
      json.raw("additionalProperties", R"({"type": ["string", "number", "boolean"]})");
      break;
    case Type::kOne:
      json.raw("anyOf", format("[{}, {{\"type\": \"null\"}}]", reference));
      break;
    case Type::kMany:
      write_list(json, R"(["array", "null"])", format("{{\"anyOf\": [{}, {{\"type\": \"null\"}}]}}", reference));
      break;
  }
  json.close();
}

void write_properties(JsonWriter& json, std::span<const Setting> settings) {
  json.raw("type", R"("object")");
  json.open("properties");
  for (const Setting& setting : settings) write_setting(json, setting);
  json.close();
}

void write_section(JsonWriter& json, const SettingSection& section, const std::vector<Setting>& keys) {
  std::vector<Setting> settings(section.settings.begin(), section.settings.end());
  settings.insert(settings.end(), keys.begin(), keys.end());
  json.open(section.id);
  write_properties(json, settings);
  json.close();
}

}  // namespace

std::string config_schema(std::span<const KeySourceType* const> sources) {
  std::vector<Setting> rule_keys;
  std::vector<Setting> group_keys;
  std::vector<std::string> names;            // of the sections below, "kms_key"
  std::vector<SettingSection> key_sections;  // one master key as a mapping
  names.reserve(kKeyFields.size());
  key_sections.reserve(kKeyFields.size());
  std::vector<std::vector<Setting>> sub_keys(kKeyFields.size());
  for (size_t i = 0; i < kKeyFields.size(); ++i) {
    const KeyField& field = kKeyFields[i];
    const SettingSection* section = nullptr;
    for (const SubKey& key : field.sub_keys) {
      sub_keys[i].push_back({key.name, key.is_context ? Type::kTextMap : Type::kString, key.summary});
    }
    if (field.form == GroupForm::kMappings) {
      names.push_back(format("{}_key", field.source));
      key_sections.push_back({names.back(), sub_keys[i]});
      section = &key_sections.back();
    }
    // A string is accepted for hckms too (config.md 8).
    rule_keys.push_back({field.rule_field, Type::kTextOrList, field.summary});
    group_keys.push_back(
        {field.group_field, section != nullptr ? Type::kMany : Type::kTextList, field.summary, section});
  }
  for (const KeySourceType* source : sources) {
    const auto is_it = [&](const KeyField& field) { return field.source == source->id; };
    if (source->rule_field.empty() || std::ranges::any_of(kKeyFields, is_it)) continue;
    rule_keys.push_back({source->rule_field, Type::kTextOrList, source->summary});
    group_keys.push_back({source->rule_field, Type::kTextList, source->summary});
  }

  JsonWriter json;
  json.open("");
  json.text("$schema", "https://json-schema.org/draft/2020-12/schema");
  json.text("title", ".sops.yaml");
  json.text("description", "Who can read which file: the configuration of sops");
  write_properties(json, kTopSection.settings);
  json.open("$defs");
  write_section(json, kRuleSection, rule_keys);
  write_section(json, kGroupSection, group_keys);
  for (const SettingSection& section : key_sections) write_section(json, section, {});
  for (const SettingSection* section :
       {&kDestinationSection, &kStoresSection, &kStoreSection, &kNoSettings, &kOwnSection}) {
    write_section(json, *section, {});
  }
  json.close();
  json.close();
  return json.take();
}

}  // namespace sops
