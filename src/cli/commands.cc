// SPDX-License-Identifier: MPL-2.0
#include <array>

#include "cli/args.h"

namespace sops {

#define COMMAND(name)                  \
  namespace cli_##name {               \
  extern const CommandSpec command;     \
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

}  // namespace sops
