// SPDX-License-Identifier: MPL-2.0
//
// Help texts, made from the table of commands and flags.
#pragma once

#include <string>

#include "cli/args.h"

namespace sops {

/// "sops 3.13.3 (…)": scripts read the first two words (architecture.md 4).
std::string version_text();

/// Help for the program: commands, the flags of every command, exit statuses, environment variables and files.
std::string program_help();

/// Help for one command.
std::string command_help(const CommandSpec& command);

/// The manual page sops(1) in man(7) markup, or, for a command, sops-COMMAND(1) with its children. The build installs
/// them.
std::string manual_page(const CommandSpec* command);

}  // namespace sops
