// SPDX-License-Identifier: MPL-2.0
//
// The program: which command is meant, running it, the exit status.
#include <algorithm>
#include <string>
#include <vector>

#include <unistd.h>

#include "base/path.h"
#include "cli/common.h"
#include "cli/help.h"
#include "cli/later.h"
#include "sys/real.h"

namespace sops {

std::vector<FlagSpec> root_flags() {
  std::vector<FlagSpec> flags = {
      {.name = "encrypt", .short_name = "e", .summary = "deprecated: use sops encrypt"},
      {.name = "decrypt", .short_name = "d", .summary = "deprecated: use sops decrypt"},
      {.name = "rotate", .short_name = "r", .summary = "not supported yet"},
      {.name = "set", .kind = FlagKind::kString, .value_name = "PATH VALUE", .summary = "not supported yet"},
      {.name = "show-master-keys", .short_name = "s", .summary = "not supported yet"},
      {.name = "indent", .kind = FlagKind::kInt, .value_name = "N", .summary = "indentation of new text"},
  };
  flags = merge_flags(std::move(flags), common_flags());
  for (const CommandSpec* command : all_commands()) flags = merge_flags(std::move(flags), command->flags());
  return flags;
}

namespace {

// Runs a command with words that may hold any root flag as well: SOPS ignores most of those in front of a command, silently
// (cli.md 1.5); here they count.
Result<int> run_command(const CommandSpec& command, std::span<const std::string> words, Services& services, Ui& ui) {
  std::vector<FlagSpec> flags = merge_flags(command.flags(), common_flags());
  flags = merge_flags(std::move(flags), {{.name = "indent", .kind = FlagKind::kInt, .value_name = "N"}});
  const std::vector<FlagSpec> known = merge_flags(flags, root_flags());
  const ParsedArgs args = TRY(parse_args(words, known, services.environment));
  if (args.flag("help")) {
    TRY(ui.data(command_help(command)));
    return 0;
  }
  for (const FlagSpec& flag : known) {
    const bool own = std::any_of(flags.begin(), flags.end(), [&](const FlagSpec& f) { return f.name == flag.name; });
    const bool mode = flag.name == command.name;  // sops -d decrypt
    if (!own && !mode && args.is_set(flag.name) && flag.environment.empty()) {
      ui.warning(format("--{} has no effect on {}", flag.name, command.name));
    }
  }
  CommandContext context{.services = services, .args = args, .ui = ui};
  return command.run(context);
}

Failure no_file() {
  return fail(ErrorCode::kUsage, "no file is named").hint("sops --help shows how to use it").exit(ExitStatus::kNoFile);
}

// The deprecated form: sops -d FILE (cli.md 1.6).
Result<int> run_legacy(std::span<const std::string> words, const ParsedArgs& args, Services& services, Ui& ui) {
  for (std::string_view later : {"rotate", "set", "show-master-keys"}) {
    if (args.is_set(later)) return fail(ErrorCode::kUnsupported, "--{} is not supported yet", later);
  }
  if (args.positionals.empty()) return no_file();
  const bool encrypt = args.flag("encrypt");
  const bool decrypt = args.flag("decrypt");
  if (encrypt && decrypt) {
    return fail(ErrorCode::kUsage, "-e and -d exclude each other").hint("use sops encrypt or sops decrypt");
  }
  if (!encrypt && !decrypt) {
    const std::string& word = args.positionals[0];
    std::vector<std::string_view> names;
    for (const CommandSpec* command : all_commands()) names.push_back(command->name);
    const auto near = nearest(word, names);
    if (near && word.find_first_of("./") == std::string::npos) {  // editing.md 3.6
      return fail(ErrorCode::kUsage, "there is no command '{}'", escape_for_message(word))
          .hint(format("did you mean sops {}? A file of that name is written ./{}", *near, escape_for_message(word)))
          .exit(ExitStatus::kNoFile);
    }
    return fail(ErrorCode::kUnsupported, "editing files is not supported yet").hint("use sops decrypt and sops encrypt");
  }
  return run_command(*find_command(encrypt ? "encrypt" : "decrypt"), words, services, ui);
}

Result<int> run(std::vector<std::string> words, Services& services, Ui& ui) {
  const std::vector<FlagSpec> flags = root_flags();
  const size_t at = first_positional(words, flags);
  if (at < words.size() && words[at] != "--") {
    const std::string name = words[at];
    if (const CommandSpec* command = find_command(name)) {
      words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
      return run_command(*command, words, services, ui);
    }
    if (name == "help" || name == "h") {
      if (at + 1 < words.size() && words[at + 1] == "manual-page") {  // for the build; not listed
        TRY(ui.data(manual_page()));
        return 0;
      }
      const CommandSpec* topic = at + 1 < words.size() ? find_command(words[at + 1]) : nullptr;
      if (at + 1 < words.size() && topic == nullptr) {
        return fail(ErrorCode::kUsage, "there is no help on '{}'", escape_for_message(words[at + 1])).exit(ExitStatus::kCannotWriteOutput);
      }
      TRY(ui.data(topic != nullptr ? command_help(*topic) : program_help()));
      return 0;
    }
    if (std::find(kLaterCommands.begin(), kLaterCommands.end(), name) != kLaterCommands.end()) {
      return fail(ErrorCode::kUnsupported, "sops {} is not supported yet", name).hint("a file of that name is written ./" + name);
    }
  }
  const ParsedArgs args = TRY(parse_args(words, flags, services.environment));
  if (args.flag("help")) {
    TRY(ui.data(program_help()));
    return 0;
  }
  if (args.flag("version")) {
    TRY(ui.data(version_text()));
    return 0;
  }
  return run_legacy(words, args, services, ui);
}

}  // namespace
}  // namespace sops

int main(int argc, char** argv) {
  sops::harden_process();
  sops::RealServices services;
  sops::Ui ui;
  auto status = sops::run(std::vector<std::string>(argv + 1, argv + argc), services.get(), ui);
  if (!status) {
    ui.error(status.error());
    _exit(static_cast<int>(status.error().exit_status.value_or(sops::ExitStatus::kGeneric)));
  }
  // Everything is written by write(2); there is nothing to flush, and skipping the destructors of libraries saves a millisecond.
  _exit(*status);
}
