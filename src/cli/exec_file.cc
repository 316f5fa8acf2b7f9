// SPDX-License-Identifier: MPL-2.0
//
// sops exec-file: runs a command that finds the decrypted file under a path (cli.md 6.6, editing.md 4).
#include <array>

#include "base/path.h"
#include "cli/exec.h"
#include "cli/settings.h"

namespace sops::cli_exec_file {

namespace {

constexpr std::string_view kDefaultName = "tmp-file";

std::vector<FlagSpec> flags() {
  std::vector<FlagSpec> all = {
      {.name = "no-fifo",
       .summary = "make a regular file instead of a pipe, for programs that jump in it or open it twice at once"},
      {.name = "filename",
       .kind = FlagKind::kString,
       .value_name = "NAME",
       .summary = "name of the file in its private folder"},
      {.name = "allow-disk", .summary = "permit a folder on a disk where none is to be had in memory"},
  };
  std::vector<FlagSpec> types = type_flags();
  std::erase_if(types, [](const FlagSpec& flag) { return flag.name == "filename-override"; });
  all = merge_flags(std::move(all), types);
  return merge_flags(std::move(all), exec_flags());
}

Result<SecureBytes> plain_text(CommandContext& context, const std::string& path) {
  const Input input = TRY(exec_input(context, path));
  const FormatType* format = TRY(choose_format(context, "input-type", input.effective));
  const FormatType* output_format = TRY(choose_format(context, "output-type", input.effective));
  const EmitStyle style = TRY(emit_style(context, *output_format));
  const InputText text = TRY(in_context(read_input(context, input, *format), "{}", input.shown));
  OpenedFile file = TRY(open_input(context, input, text));
  SecureBytes plain;
  if (format == output_format) {
    plain = TRY(in_context(decrypted_text(file), "{}", input.shown));
    plain = text.encode(std::move(plain));
  } else {
    const Value tree = TRY(in_context(decrypted_value(file), "{}", input.shown));
    plain = TRY(or_exit(in_context(output_format->emit(tree, style), "{}", input.shown), ExitStatus::kCannotSerialize));
  }
  print_warnings(context, input, file.warnings);
  return plain;
}

// Of the file numbered `number` from 1. Errors: kUsage for what would lie outside of the folder.
Result<std::string> file_name(CommandContext& context, size_t number, size_t count) {
  if (!context.args.is_set("filename")) {
    std::string name(kDefaultName);
    if (number > 1) name += format("-{}", number);
    if (!context.args.flag("no-fifo")) return name;
    std::array<uint8_t, 4> digits;  // cli.md 6.6: as SOPS names it
    context.services.random.fill(digits);
    for (const uint8_t digit : digits) name += format("{}", digit);
    return name;
  }
  const std::string given = context.args.text("filename");
  const std::string name = clean_path(given);
  if (given.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
    return fail(ErrorCode::kUsage, "--filename '{}' is no name of a file in the private folder",
                escape_for_message(given));
  }
  if (count > 1) {
    return fail(ErrorCode::kUsage, "--filename names one file, but there are {}", count)
        .exit(ExitStatus::kConflictingParameters);
  }
  return name;
}

// cli.md 6.6: every {} becomes the path, without quoting; {2} … are the paths of further files.
std::string fill_in(std::string_view word, const std::vector<std::string>& paths) {
  std::string filled;
  for (size_t at = 0; at < word.size();) {
    bool found = false;
    for (size_t i = 0; i < paths.size() && !found && word[at] == '{'; ++i) {
      const std::string mark = i == 0 ? "{}" : format("{{{}}}", i + 1);
      if (!word.substr(at).starts_with(mark)) continue;
      filled += paths[i];
      at += mark.size();
      found = true;
    }
    if (!found) filled.push_back(word[at++]);
  }
  return filled;
}

Result<int> run(CommandContext& context) {
  if (context.args.flag("background")) {
    return fail(ErrorCode::kUnsupported, "exec-file has no --background: the file is removed when sops ends")
        .hint("put sops itself into the background: sops exec-file … &");
  }
  const ExecWords words = TRY(exec_words(context));
  const std::optional<UserAccount> user = TRY(exec_user(context));
  std::vector<std::string> names;
  for (size_t i = 0; i < words.files.size(); ++i) {
    std::string name = TRY(file_name(context, i + 1, words.files.size()));
    names.push_back(std::move(name));
  }
  std::vector<SecureBytes> texts;
  for (const std::string& file : words.files) {
    SecureBytes text = TRY(plain_text(context, file));
    texts.push_back(std::move(text));
  }

  // From here on there is something to remove, so signals wait.
  context.services.commands.hold_signals();
  const auto folder = TRY(context.services.commands.make_folder(
      {.allow_disk = context.args.flag("allow-disk"), .owner = user ? &*user : nullptr}));
  std::vector<std::string> paths;
  for (size_t i = 0; i < names.size(); ++i) {
    if (context.args.flag("no-fifo")) {
      TRY(folder->write(names[i], texts[i].expose()));
    } else {
      TRY(folder->serve(names[i], texts[i].expose()));
    }
    paths.push_back(format("{}/{}", folder->path(), names[i]));
  }

  Variables variables;
  CommandOptions options;
  if (user) {
    add_user_variables(*user, variables);
    options.user = &*user;
  }
  options.environment = variables.texts();
  std::vector<std::string> command;
  for (const std::string& word : words.command) command.push_back(fill_in(word, paths));
  const auto status = run_command_words(context, command, options);
  if (const auto removed = folder->remove(); !removed) context.ui.warning(removed.error().message);
  return status;
}

}  // namespace

extern const CommandSpec command;
const CommandSpec command = {
    .name = "exec-file",
    .arguments = "FILE COMMAND",
    .summary = "run a command that reads the decrypted file under a path",
    .manual =
        "Decrypts FILE and runs COMMAND with /bin/sh; every {} in it becomes the path of the decrypted file: a pipe "
        "that can be opened\n"
        "any number of times, each time from its beginning, in a folder in memory that only you can enter. When the "
        "command ends\n"
        "it is removed, and sops ends with the command's exit status: 128 + n if signal n ended it.\n"
        "\n"
        "  sops exec-file config.json './server --config {}'\n"
        "\n"
        "With -- there may be several files, the second of which is {2}, and a program with its arguments, which no "
        "shell touches:\n"
        "\n"
        "  sops exec-file cert.pem key.pem -- ./server --cert {} --key {2}\n"
        "\n"
        "A program that cannot read from a pipe needs --no-fifo.",
    .flags = flags,
    .run = run,
};

}  // namespace sops::cli_exec_file
