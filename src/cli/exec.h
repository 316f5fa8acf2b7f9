// SPDX-License-Identifier: MPL-2.0
//
// What exec-env and exec-file share: which words are files and which the command, the user, running it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/common.h"
#include "cli/exec_values.h"
#include "sys/commands.h"

namespace sops {

/// The positionals of an exec command.
struct ExecWords {
  std::vector<std::string> files;
  std::vector<std::string> command;  // one word: for the shell; more: a program and its arguments
};

/// `FILE COMMAND`, or with `--`: `FILE… -- WORD…` (editing.md 4.1). Errors: kUsage (exit status 1).
Result<ExecWords> exec_words(CommandContext& context);

/// Flags of both commands.
std::vector<FlagSpec> exec_flags();

/// The input at `path`, as the user typed it. Errors: exit status 2.
Result<Input> exec_input(CommandContext& context, const std::string& path);

/// The account named by --user; nullopt without. Errors: kNotFound.
Result<std::optional<UserAccount>> exec_user(CommandContext& context);

/// HOME, USER and LOGNAME.
void add_user_variables(const UserAccount& user, Variables& variables);

/// Runs the command; the result is our exit status: the command's, 128 + n if signal n ended it, 127 and 126 if there
/// is no such program or it cannot be run, as shells do. Errors: that of the shell itself, of --user.
Result<int> run_command_words(CommandContext& context, const std::vector<std::string>& command, CommandOptions options);

}  // namespace sops
