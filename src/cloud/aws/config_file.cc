// SPDX-License-Identifier: MPL-2.0
//
// Six kinds of lines, told apart by their first characters; the numbers are those of keys-aws.md 7.3:
//
//   # comment, ; comment                 1
//   [profile   x] ; comment              2  section, stored as "profile x"
//   key = value  # comment               3  property
//   services =                           3  without value: what is indented below belongs to it
//     endpoint_url = …                   4  sub-property; below a property with a value it is a property
//   value =a
//     b                                  5  continuation: "a\nb"
#include "cloud/aws/config_file.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"

namespace sops::aws {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// 2: "drop everything from the first # and from the first ;, trim; must start with [ and end with ]; inside trimmed;
// first word and rest are separated by blanks; stored as `type name` with one blank".
std::optional<std::string> section_name(std::string_view line) {
  const std::string_view text = trim(line.substr(0, line.find_first_of("#;")));
  if (text.size() < 2 || !text.starts_with('[') || !text.ends_with(']')) return std::nullopt;
  const std::string_view inside = trim(text.substr(1, text.size() - 2));
  const size_t end = inside.find_first_of(" \t");
  if (end == std::string_view::npos) return std::string(inside);
  return format("{} {}", inside.substr(0, end), trim(inside.substr(end)));
}

// 3: "Cut at the first of ` #`, ` ;`, TAB#, TAB; (a # without blank before it is data)".
std::string_view without_comment(std::string_view line) {
  for (size_t i = 1; i < line.size(); ++i) {
    if ((line[i] == '#' || line[i] == ';') && is_blank(line[i - 1])) return line.substr(0, i - 1);
  }
  return line;
}

struct KeyValue {
  std::string key;
  std::string_view value;
};

// 3: "Separator is the first =, or the first : if that comes earlier. Key trimmed and lower-cased; value trimmed; one
// pair of equal surrounding quotes is removed".
std::optional<KeyValue> key_value(std::string_view line) {
  const size_t separator = line.find_first_of("=:");
  if (separator == std::string_view::npos) return std::nullopt;
  std::string_view value = trim(line.substr(separator + 1));
  if (value.size() >= 2 && (value[0] == '"' || value[0] == '\'') && value.back() == value[0]) {
    value = value.substr(1, value.size() - 2);
  }
  return KeyValue{to_lower(trim(line.substr(0, separator))), value};
}

// The lines so far, and the property that an indented line would belong to.
class Reader {
 public:
  void read_line(std::string_view line) {
    const std::string_view content = trim(line);
    if (content.empty() || content[0] == '#' || content[0] == ';') return;  // 1
    if (auto name = section_name(line)) {
      finish_property();
      section_ = &file_.sections[*std::move(name)];
    } else if (section_ == nullptr) {  // 6: "Properties before the first section are ignored"
    } else if (!is_blank(line[0])) {
      if (auto pair = key_value(without_comment(line))) set(*pair);
    } else if (auto pair = key_value(content)) {
      if (property_ != nullptr && property_->value.empty()) {
        property_->nested[pair->key] = file_.arena.store(pair->value);  // 4: "comments are not stripped here"
      } else if (pair = key_value(without_comment(line)); pair) {
        set(*pair);
      }
    } else if (property_ != nullptr && !property_->value.empty()) {
      continue_with(content);
    }
  }

  ConfigFile take() {
    finish_property();
    return std::move(file_);
  }

 private:
  void set(const KeyValue& pair) {
    finish_property();
    property_ = &(*section_)[pair.key];
    property_->value = file_.arena.store(pair.value);
    property_->nested.clear();
  }

  // 5: "joined to the preceding non-empty value with LF". Stored when the last line has come.
  void continue_with(std::string_view line) {
    if (joined_.size() == 0) joined_.append(property_->value);
    joined_.append("\n");
    joined_.append(line);
  }

  void finish_property() {
    if (joined_.size() > 0) property_->value = file_.arena.store(joined_.view());
    joined_.clear();
    property_ = nullptr;
  }

  ConfigFile file_;
  Section* section_ = nullptr;
  Property* property_ = nullptr;
  SecureBuffer joined_;  // the value of property_ with its continuations
};

}  // namespace

ConfigFile parse_config_file(std::string_view text) {
  Reader reader;
  for (const std::string_view line : split(text, '\n')) reader.read_line(line);
  return reader.take();
}

std::string_view value_of(const Section* section, std::string_view name) {
  if (section == nullptr) return {};
  const auto found = section->find(name);
  return found == section->end() ? std::string_view() : found->second.value;
}

}  // namespace sops::aws
