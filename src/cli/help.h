// SPDX-License-Identifier: MPL-2.0
//
// Help texts, made from the table of commands and flags.
#pragma once

#include <string>

#include "cli/args.h"

namespace sops {

/// "sops 3.13.3 (…)": scripts read the first two words (architecture.md 4).
std::string version_text();

/// Help for the program: commands and the flags that are valid before any command.
std::string program_help();

/// Help for one command.
std::string command_help(const CommandSpec& command);

/// The manual page sops(1) in man(7) markup; the build installs it.
std::string manual_page();

}  // namespace sops
