// SPDX-License-Identifier: MPL-2.0
#include "cli/exec.h"

#include "base/path.h"

namespace sops {

std::vector<FlagSpec> exec_flags() {
  std::vector<FlagSpec> flags = {
      {.name = "user",
       .kind = FlagKind::kString,
       .value_name = "NAME",
       .summary = "run the command as this user; only root can"},
      {.name = "background", .summary = "deprecated: start the command and return; the shell's & does that"},
  };
  // Neither has --ignore-mac (cli.md 2.3).
  std::vector<FlagSpec> decrypting = decrypt_flags();
  std::erase_if(decrypting, [](const FlagSpec& flag) { return flag.name == "ignore-mac"; });
  return merge_flags(std::move(flags), decrypting);
}

Result<ExecWords> exec_words(CommandContext& context) {
  const std::vector<std::string>& words = context.args.positionals;
  const size_t files = context.args.before_dashes.value_or(0);
  const auto usage = [](std::string_view message) {
    return fail(ErrorCode::kUsage, "{}", message)
        .hint("name FILE 'command for the shell', or FILE… -- PROGRAM ARGUMENT…");
  };
  if (context.args.is_set("ignore-mac")) return usage("no command is run with values that the MAC does not cover");
  if (files == 0) {  // SOPS's form, also behind a leading --
    if (words.empty()) return usage("no file is named");
    if (words.size() == 1) return usage("no command is given");
    if (words.size() > 2) return usage(format("'{}' is one word too many", escape_for_message(words[2])));
    return ExecWords{.files = {words[0]}, .command = {words[1]}};
  }
  if (files == words.size()) return usage("no command stands behind --");
  const auto border = words.begin() + static_cast<std::ptrdiff_t>(files);
  return ExecWords{.files = {words.begin(), border}, .command = {border, words.end()}};
}

Result<Input> exec_input(CommandContext& context, const std::string& path) {
  if (path == "-") {
    return fail(ErrorCode::kUsage, "standard input belongs to the command, so the file cannot be read from it")
        .hint("a file of that name is written ./-");
  }
  Input input;
  input.shown = escape_for_message(path);
  input.path = absolute_path(path, context.services.environment.working_directory());
  input.effective = input.path;
  return input;
}

Result<std::optional<UserAccount>> exec_user(CommandContext& context) {
  const std::string name = context.args.text("user");
  if (name.empty()) return std::optional<UserAccount>();
  UserAccount user = TRY(context.services.commands.find_user(name));
  return std::optional<UserAccount>(std::move(user));
}

void add_user_variables(const UserAccount& user, Variables& variables) {
  variables.add("HOME", user.home);
  variables.add("USER", user.name);
  variables.add("LOGNAME", user.name);
}

Result<int> run_command_words(CommandContext& context, const std::vector<std::string>& command,
                              CommandOptions options) {
  const bool through_shell = command.size() == 1;
  options.arguments = through_shell ? std::vector<std::string>{"/bin/sh", "-c", command[0]} : command;
  const auto status = context.services.commands.run(options);
  if (!status) {
    if (through_shell || options.user != nullptr) return status;
    context.ui.error(status.error());
    return status.error().code == ErrorCode::kNotFound ? 127 : 126;
  }
  return *status;
}

}  // namespace sops
