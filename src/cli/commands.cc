// SPDX-License-Identifier: MPL-2.0
#include <algorithm>
#include <array>

#include "cli/common.h"

namespace sops {

#define COMMAND(name)                 \
  namespace cli_##name {              \
    extern const CommandSpec command; \
  }
#include "cli/commands.def"
#undef COMMAND

namespace {
#define COMMAND(name) &cli_##name::command,
constexpr std::array kCommands = {
#include "cli/commands.def"
};
#undef COMMAND
}  // namespace

std::span<const CommandSpec* const> all_commands() { return kCommands; }

const CommandSpec* find_command(std::string_view name) {
  for (const CommandSpec* command : kCommands) {
    if (command->name == name) return command;
  }
  return nullptr;
}

const CommandSpec* find_child(const CommandSpec& command, std::string_view word) {
  for (const CommandSpec* child : command.children) {
    if (child->name.substr(child->name.rfind(' ') + 1) == word) return child;
  }
  return nullptr;
}

std::vector<const CommandSpec*> runnable_commands() {
  std::vector<const CommandSpec*> result;
  for (const CommandSpec* command : kCommands) {
    if (command->children.empty()) {
      result.push_back(command);
    } else {
      result.insert(result.end(), command->children.begin(), command->children.end());
    }
  }
  return result;
}

std::vector<FlagSpec> root_flags() {
  std::vector<FlagSpec> flags = {
      {.name = "encrypt", .short_name = "e", .summary = "deprecated: use sops encrypt"},
      {.name = "decrypt", .short_name = "d", .summary = "deprecated: use sops decrypt"},
      {.name = "rotate", .short_name = "r", .summary = "deprecated: use sops rotate"},
      {.name = "set", .kind = FlagKind::kString, .value_name = "PATH VALUE", .summary = "deprecated: use sops set"},
      {.name = "show-master-keys", .short_name = "s", .summary = "edit the sops block too"},
      {.name = "indent", .kind = FlagKind::kInt, .value_name = "N", .summary = "indentation of new text"},
  };
  flags = merge_flags(std::move(flags), common_flags());
  for (const CommandSpec* command : runnable_commands()) flags = merge_flags(std::move(flags), command->flags());
  return flags;
}

std::vector<FlagSpec> command_flags(const CommandSpec& command) {
  std::vector<FlagSpec> flags = command.flags != nullptr ? command.flags() : std::vector<FlagSpec>();
  flags = merge_flags(std::move(flags), common_flags());
  return merge_flags(
      std::move(flags),
      {{.name = "indent", .kind = FlagKind::kInt, .value_name = "N", .summary = "indentation of new text"}});
}

bool is_legacy_mode(const FlagSpec* flag) {
  constexpr std::array<std::string_view, 5> kModes = {"encrypt", "decrypt", "rotate", "set", "show-master-keys"};
  return flag != nullptr && std::ranges::count(kModes, flag->name) > 0;
}

}  // namespace sops
