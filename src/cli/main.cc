// SPDX-License-Identifier: MPL-2.0
//
// The program: which command is meant, running it, the exit status.
#include <algorithm>
#include <string>
#include <vector>

#include <unistd.h>

#include "base/path.h"
#include "cli/change.h"
#include "cli/common.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "cli/later.h"
#include "cli/rotate.h"
#include "cli/session_drafts.h"
#include "sys/notes.h"
#include "sys/real.h"
#include "sys/run_state.h"

namespace sops {

namespace {

// Runs a command with words that may hold any root flag as well: SOPS ignores most of those in front of a command,
// silently (cli.md 1.5); here they count.
// `at` is where the command stood. Behind it only its own flags are known, as in SOPS.
Result<int> run_command(const CommandSpec& command, std::span<const std::string> words, size_t at, Services& services,
                        Ui& ui, bool is_legacy = false) {
  const std::vector<FlagSpec> flags = command_flags(command);
  const std::vector<FlagSpec> known = merge_flags(flags, root_flags());
  TRY(parse_args(words.subspan(at), flags, services.environment));
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
  rescue_abandoned_sessions(services, ui);
  CommandContext context{.services = services, .args = args, .ui = ui};
  context.is_legacy = is_legacy;
  services.run.get<Questions>().allowed = !args.flag("json");  // keys.md 3.4
  auto status = command.run(context);
  for (const Note& note : services.run.get<Notes>().take()) {
    if (note.kind == Note::Kind::kWarning) ui.warning(note.text);
    if (note.kind == Note::Kind::kDetail && args.flag("verbose")) ui.note(note.text);
  }
  return status;
}

Failure no_file() {
  return fail(ErrorCode::kUsage, "no file is named").hint("sops --help shows how to use it").exit(ExitStatus::kNoFile);
}

// cli.md 1.6: "FILE missing and any --add-*/--rm-* non-empty (in any mode, even without -r) → 49; FILE missing and mode
// encrypt/decrypt/rotate → 100".
Result<void> check_file_is_there(const ParsedArgs& args, Services& services) {
  const std::string& word = args.positionals[0];
  if (word == "-") return {};
  const auto info = services.files.info(absolute_path(word, services.environment.working_directory()));
  if (!info || *info) return {};  // what else is wrong with it shows when it is read
  return fail(ErrorCode::kNotFound, "{}: there is no such file", escape_for_message(word))
      .exit(has_key_edits(args) ? ExitStatus::kCannotChangeKeysOfMissingFile : ExitStatus::kNoFile);
}

// The words without the -r of the deprecated form: of a command, -r is another flag.
std::vector<std::string> without_rotate(std::span<const std::string> words) {
  const std::vector<FlagSpec> flags = root_flags();
  const std::vector<WordRole> roles = word_roles(words, flags);
  std::vector<std::string> rest;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool is_rotate =
        roles[i].kind == WordRole::Kind::kFlag && roles[i].flag != nullptr && roles[i].flag->name == "rotate";
    if (!is_rotate) rest.push_back(words[i]);
  }
  return rest;
}

// The one command that begins with `word`: enc, rot.
std::optional<std::string_view> shortened(std::string_view word, std::span<const std::string_view> names) {
  constexpr size_t kShortest = 3;
  if (word.size() < kShortest) return std::nullopt;
  std::optional<std::string_view> only;
  for (std::string_view name : names) {
    if (!name.starts_with(word)) continue;
    if (only) return std::nullopt;
    only = name;
  }
  return only;
}

// editing.md 3.6: `sops encyrpt` shall not begin a file of that name; `sops enc FILE` means a command too.
Result<void> check_for_misspelt_command(std::span<const std::string> positionals, Services& services) {
  const std::string& word = positionals[0];
  if (word.find_first_of("./") != std::string::npos) return {};
  std::vector<std::string_view> names;
  for (const CommandSpec* command : all_commands()) {
    if (command->name != word) names.push_back(command->name);
  }
  auto near = positionals.size() > 1 ? shortened(word, names) : std::nullopt;
  if (!near) near = nearest(word, names);
  if (!near) return {};
  const auto file = services.files.info(absolute_path(word, services.environment.working_directory()));
  if (file && *file) return {};
  return fail(ErrorCode::kUsage, "there is no command '{}'", escape_for_message(word))
      .hint(format("did you mean sops {}? A file of that name is written ./{}", *near, escape_for_message(word)))
      .exit(ExitStatus::kNoFile);
}

// The forms without a command: sops FILE, sops -s FILE, sops -d FILE (cli.md 1.6).
Result<int> run_legacy(std::span<const std::string> all_words, const ParsedArgs& args, Services& services, Ui& ui) {
  const std::vector<std::string> words = without_rotate(all_words);
  if (args.positionals.empty()) return no_file();
  const bool encrypt = args.flag("encrypt");
  const bool decrypt = args.flag("decrypt");
  const bool rotate = args.flag("rotate");
  if (static_cast<int>(encrypt) + static_cast<int>(decrypt) + static_cast<int>(rotate) > 1) {
    return fail(ErrorCode::kUsage, "-e, -d and -r exclude each other")
        .hint("use sops encrypt, sops decrypt or sops rotate");
  }
  if (const std::string set = args.text("set"); !set.empty()) {
    if (encrypt || decrypt || rotate) {
      return fail(ErrorCode::kUsage, "--set excludes -e, -d and -r")
          .hint("use sops set, sops encrypt, sops decrypt or sops rotate");
    }
    if (!args.text("output").empty()) ui.warning("--output has no effect on --set, which changes the file itself");
    CommandContext context{.services = services, .args = args, .ui = ui};
    return run_deprecated_set(context, set);
  }
  if (rotate || has_key_edits(args)) TRY(check_file_is_there(args, services));
  if (rotate) return run_command(*find_command("rotate"), words, words.size(), services, ui, true);
  if (!encrypt && !decrypt) {
    TRY(check_for_misspelt_command(args.positionals, services));
    return run_command(*find_command("edit"), words, words.size(), services, ui, true);
  }
  return run_command(*find_command(encrypt ? "encrypt" : "decrypt"), words, words.size(), services, ui, true);
}

// A command that only has children: the child that is named, else what SOPS does (cli.md 1.2). `words` are those of the
// line without the command, `at` where the child would be. nullopt: the command's word is a file name (editing.md 3.6).
Result<std::optional<int>> run_child(const CommandSpec& command, std::vector<std::string> words, size_t at,
                                     Services& services, Ui& ui) {
  const std::vector<FlagSpec> flags = root_flags();
  const std::vector<WordRole> roles = word_roles(words, flags);
  const auto is_given = [&](std::string_view name) {
    return std::ranges::any_of(roles,
                               [&](const WordRole& role) { return role.flag != nullptr && role.flag->name == name; });
  };
  const bool is_legacy = std::ranges::any_of(roles, [](const WordRole& role) { return is_legacy_mode(role.flag); });
  while (at < roles.size() && (roles[at].kind == WordRole::Kind::kFlag || roles[at].kind == WordRole::Kind::kValue))
    ++at;
  const std::string word = at < words.size() ? words[at] : "";
  const CommandSpec* child = find_child(command, word);
  if (child != nullptr && !(command.is_ours && is_legacy)) {
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
    const int status = TRY(run_command(*child, words, at, services, ui));
    return std::optional<int>(status);
  }
  if (command.is_ours && !(word.empty() && is_given("help") && !is_legacy)) return std::optional<int>();
  if (!word.empty() && word != "help" && word != "h") {
    return fail(ErrorCode::kUsage, "sops {} knows no '{}'", command.name, escape_for_message(word))
        .hint(format("sops {} --help lists what there is", command.name))
        .exit(ExitStatus::kCannotWriteOutput);
  }
  TRY(ui.data(command_help(command)));
  return std::optional<int>(0);
}

// cli.md 6.12; `sops exec-env FILE -- COMMAND --generate-bash-completion` is for the command. A `--` directly before it
// is the word that is being completed.
bool asks_for_completion(const std::vector<std::string>& words) {
  if (words.empty() || words.back() != "--generate-bash-completion") return false;
  return words.size() < 2 || std::find(words.begin(), words.end() - 2, "--") == words.end() - 2;
}

// How things are said is settled before anything can go wrong. NO_COLOR and TERM as in SOPS (cli.md 3.4).
void prepare_ui(std::span<const std::string> words, std::span<const FlagSpec> flags, Services& services, Ui& ui) {
  const std::vector<WordRole> roles = word_roles(words, flags);
  for (size_t i = 0; i < words.size(); ++i) {
    const bool is_json = roles[i].kind == WordRole::Kind::kFlag && roles[i].flag != nullptr &&
                         roles[i].flag->name == "json" && !words[i].ends_with("=false");
    if (is_json) ui.use_json();
  }
  Environment& environment = services.environment;
  if (services.terminal.stderr_is_terminal() && environment.get("NO_COLOR").value_or("").empty() &&
      environment.get("TERM").value_or("dumb") != "dumb") {
    ui.use_color();
  }
}

Result<int> run(std::vector<std::string> words, Services& services, Ui& ui) {
  if (is_completion_request(words)) {
    TRY(ui.data(completion_answer(std::span(words).subspan(1), services)));
    return 0;
  }
  if (asks_for_completion(words)) {
    words.pop_back();
    TRY(ui.data(generate_bash_completion(words, services.environment.get("_CLI_ZSH_AUTOCOMPLETE_HACK") == "1")));
    return 0;
  }
  const std::vector<FlagSpec> flags = root_flags();
  prepare_ui(words, flags, services, ui);
  const size_t at = first_positional(words, flags);
  if (at < words.size() && words[at] != "--") {
    const std::string name = words[at];
    if (const CommandSpec* command = find_command(name)) {
      std::vector<std::string> others = words;
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(at));
      if (command->children.empty()) return run_command(*command, others, at, services, ui);
      const std::optional<int> status = TRY(run_child(*command, std::move(others), at, services, ui));
      if (status) return *status;
    }
    if (name == "help" || name == "h") {
      if (at + 1 < words.size() && words[at + 1] == "manual-page") {  // for the build; not listed
        TRY(ui.data(manual_page(at + 2 < words.size() ? find_command(words[at + 2]) : nullptr)));
        return 0;
      }
      const CommandSpec* topic = at + 1 < words.size() ? find_command(words[at + 1]) : nullptr;
      if (topic != nullptr && at + 2 < words.size() && !topic->children.empty())
        topic = find_child(*topic, words[at + 2]);
      if (at + 1 < words.size() && topic == nullptr) {
        return fail(ErrorCode::kUsage, "there is no help on '{}'", escape_for_message(words[at + 1]))
            .exit(ExitStatus::kCannotWriteOutput);
      }
      TRY(ui.data(topic != nullptr ? command_help(*topic) : program_help()));
      return 0;
    }
    if (std::find(kLaterCommands.begin(), kLaterCommands.end(), name) != kLaterCommands.end()) {
      return fail(ErrorCode::kUnsupported, "sops {} is not supported yet", name)
          .hint("a file of that name is written ./" + name);
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
  // Everything is written by write(2); there is nothing to flush, and skipping the destructors of libraries saves a
  // millisecond.
  _exit(*status);
}
