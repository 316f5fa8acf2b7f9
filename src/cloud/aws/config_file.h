// SPDX-License-Identifier: MPL-2.0
//
// The grammar of ~/.aws/config and ~/.aws/credentials. Every text is such a file: what makes no sense is passed over,
// as the SDK does. Source: ../shared/spec/keys-aws.md 7.3.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/secure_bytes.h"

namespace sops::aws {

/// What stands behind a key: its value, and the indented properties below a key without one.
struct Property {
  std::string_view value;
  std::map<std::string, std::string_view, std::less<>> nested;
};

/// Properties by name, in lower case.
using Section = std::map<std::string, Property, std::less<>>;

/// A parsed file. Owns its values, which may be secrets. Immutable.
struct ConfigFile {
  std::map<std::string, Section, std::less<>> sections;  // by name: "default", "profile x", "sso-session y"
  SecureArena arena;
};

ConfigFile parse_config_file(std::string_view text);

/// The value of a property, "" if the section is null or has none.
std::string_view value_of(const Section* section, std::string_view name);

}  // namespace sops::aws
