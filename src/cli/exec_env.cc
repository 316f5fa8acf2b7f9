// SPDX-License-Identifier: MPL-2.0
//
// sops exec-env: runs a command with the values of files in its environment (cli.md 6.5, editing.md 4).
#include "cli/exec.h"

namespace sops::cli_exec_env {

namespace {

std::vector<FlagSpec> flags() {
  std::vector<FlagSpec> all = {
      {.name = "pristine", .summary = "give the command nothing of our own environment"},
      {.name = "same-process", .summary = "put the command in the place of sops instead of waiting for it"},
      {.name = "flatten",
       .kind = FlagKind::kString,
       .value_name = "SEPARATOR",
       .summary = "make a variable of each nested value, its name the path joined by SEPARATOR"},
  };
  return merge_flags(std::move(all), exec_flags());
}

Result<std::optional<std::string>> separator(CommandContext& context) {
  if (!context.args.is_set("flatten")) return std::optional<std::string>();
  std::string text = context.args.text("flatten");
  if (text.find('=') != std::string::npos) {
    return fail(ErrorCode::kUsage, "--flatten '{}': names of variables hold no '='", escape_for_message(text, 40));
  }
  return std::optional<std::string>(std::move(text));
}

Result<void> add_file(CommandContext& context, const std::string& path, const std::optional<std::string>& joined,
                      Variables& variables) {
  const Input input = TRY(exec_input(context, path));
  const FormatType* format = TRY(choose_format(context, "", input.effective));  // by suffix only: no type flags
  const InputText text = TRY(in_context(read_input(context, input, *format), "{}", input.shown));
  const OpenedFile file = TRY(open_input(context, input, text));
  print_warnings(context, input, file.warnings);
  const Value tree = TRY(in_context(decrypted_value(file), "{}", input.shown));
  return in_context(variables.add_tree(tree, joined), "{}", input.shown);
}

Result<int> run(CommandContext& context) {
  CommandOptions options;
  options.inherit_environment = !context.args.flag("pristine");
  if (context.args.flag("background")) {
    context.ui.warning("--background is deprecated: the shell's & does that");
    options.mode = CommandMode::kBackground;
  }
  if (context.args.flag("same-process")) {
    if (options.mode == CommandMode::kBackground) {
      return fail(ErrorCode::kUsage, "--background and --same-process exclude each other")
          .exit(ExitStatus::kConflictingParameters);
    }
    options.mode = CommandMode::kReplace;
  }
  const ExecWords words = TRY(exec_words(context));
  const std::optional<std::string> joined = TRY(separator(context));
  const std::optional<UserAccount> user = TRY(exec_user(context));

  Variables variables;
  if (user) {
    add_user_variables(*user, variables);
    options.user = &*user;
  }
  for (const std::string& file : words.files) TRY(add_file(context, file, joined, variables));
  options.environment = variables.texts();
  return run_command_words(context, words.command, options);
}

}  // namespace

extern const CommandSpec command;
const CommandSpec command = {
    .name = "exec-env",
    .arguments = "FILE COMMAND",
    .summary = "run a command with the values of a file in its environment",
    .manual =
        "Decrypts FILE and runs COMMAND with /bin/sh. Each value at the top of the file becomes an environment "
        "variable of the command\n"
        "that has its key as name. Nothing is written to a disk, and sops ends with the exit status of the command: "
        "128 + n if\n"
        "signal n ended it. Signals sent to sops are sent on to the command.\n"
        "\n"
        "  sops exec-env prod.yaml 'echo \"$password\"'\n"
        "\n"
        "With -- there may be several files, of which later ones win, and a program with its arguments, which no shell "
        "touches:\n"
        "\n"
        "  sops exec-env common.yaml prod.yaml -- ./server --port 80\n"
        "\n"
        "A file may set PATH, LD_PRELOAD and other names that decide what a program does: run only with files that you "
        "trust.",
    .flags = flags,
    .run = run,
};

}  // namespace sops::cli_exec_env
