// SPDX-License-Identifier: MPL-2.0
#include "cli/help.h"

#include <algorithm>
#include <span>
#include <utility>

#include "cli/common.h"
#include "sops_version.h"

namespace sops {

namespace {

std::string spellings(const FlagSpec& flag) {
  std::string text = flag.short_name.empty() ? "    " : format("-{}, ", flag.short_name);
  text += "--" + flag.name;
  if (flag.kind != FlagKind::kBool) text += " " + flag.value_name;
  return text;
}

// `flags` but those whose names are among `others`.
std::vector<FlagSpec> without(std::vector<FlagSpec> flags, const std::vector<FlagSpec>& others) {
  std::erase_if(flags, [&](const FlagSpec& flag) {
    return std::ranges::any_of(others, [&](const FlagSpec& other) { return other.name == flag.name; });
  });
  return flags;
}

// A name in a column of `width`, and what there is to say of it: on a line of its own if the name leaves no gap.
std::string line_of(std::string_view name, std::string_view text, size_t width) {
  const bool leaves_gap = name.size() + 2 <= width;
  return leaves_gap ? format("  {:<{}}{}\n", name, width, text)
                    : format("  {}\n  {}{}\n", name, std::string(width, ' '), text);
}

std::string flag_lines(const std::vector<FlagSpec>& flags) {
  constexpr size_t kWidth = 38;
  std::string text;
  for (const FlagSpec& flag : flags) {
    const std::string origin = flag.environment.empty() ? "" : format(" [${}]", flag.environment);
    text += line_of(spellings(flag), flag.summary + origin, kWidth);
  }
  return text;
}

struct Explained {
  std::string_view name;
  std::string_view text;
  std::string_view command = "";  // only where there is that command
};

// cli.md 3.12: those that we end with.
constexpr Explained kStatuses[] = {
    {"0", "success"},
    {"1", "any other error, also wrong usage"},
    {"2", "the input cannot be read or parsed"},
    {"3", "the output cannot be written; there is no such help topic"},
    {"4", "the result cannot be expressed in the output format"},
    {"6", "the value of --encryption-context is malformed"},
    {"7", "the path or the value to set is malformed", "set"},
    {"8", "flags exclude each other, or more than one selection setting"},
    {"23", "a value cannot be encrypted"},
    {"25", "a value cannot be decrypted: another key, or the file was changed"},
    {"49", "keys of a missing file cannot be changed", "rotate"},
    {"51", "the MAC does not fit: the file was changed"},
    {"91", "the path of --extract is malformed"},
    {"92", "there is no document in the file"},
    {"100", "no file is named, or it does not exist"},
    {"112", "a key type is named twice in the decryption order"},
    {"128", "no key gives the data key"},
    {"200", "the file was not changed in the editor", "edit"},
    {"201", "the editor cannot be run, or failed", "edit"},
    {"203", "the file is encrypted already"},
    {"other", "exec-env and exec-file: that of the command; 128 + N if signal N ended it"},
};

// cli.md 7: those that are no flag's default.
constexpr Explained kVariables[] = {
    {"SOPS_EDITOR, EDITOR", "the editor, in this order", "edit"},
    {"SOPS_AGE_KEY", "age identities themselves"},
    {"SOPS_AGE_KEY_FILE", "a file with age identities"},
    {"SOPS_AGE_KEY_CMD", "a command that prints age identities; it gets $SOPS_AGE_RECIPIENT"},
    {"SOPS_GPG_EXEC", "the GnuPG program for PGP keys, instead of gpg"},
    {"GNUPGHOME", "where GnuPG has its keys, instead of ~/.gnupg"},
    {"SOPS_KEY_TIMEOUT", "how long a key behind a network may take: 1500ms, 30s, 1m30s (default: 20s)"},
    {"AWS_PROFILE", "the profile for KMS keys; the other variables of the AWS SDK count, too"},
    {"HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "the way to keys behind a network; also in lower case"},
    {"SSL_CERT_FILE, SSL_CERT_DIR", "trusted certificates, instead of the system's"},
    {"XDG_RUNTIME_DIR, TMPDIR", "where short-lived plain text may lie, if that is memory"},
    {"XDG_CONFIG_HOME, HOME", "see FILES"},
    {"NO_COLOR, TERM", "no colors where the first is set, or the second is dumb"},
};

constexpr Explained kFiles[] = {
    {".sops.yaml",
     "creation rules and settings: in the working directory or the nearest above it, else above the file"},
    {"$XDG_CONFIG_HOME/sops/age/keys.txt", "age identities; by default in ~/.config"},
    {"$XDG_STATE_HOME/sops/drafts",
     "texts that an editor left and that could not be written; by default in ~/.local/state", "edit"},
};

bool is_built(const Explained& entry) { return entry.command.empty() || find_command(entry.command) != nullptr; }

// The variables that are a flag's default, and the others.
std::vector<std::pair<std::string, std::string>> variables() {
  std::vector<std::pair<std::string, std::string>> result;
  for (const FlagSpec& flag : root_flags()) {
    if (!flag.environment.empty()) result.emplace_back(flag.environment, format("default of --{}", flag.name));
  }
  for (const Explained& entry : kVariables) {
    if (is_built(entry)) result.emplace_back(entry.name, entry.text);
  }
  return result;
}

std::string lines_of(std::span<const Explained> entries, size_t width) {
  std::string text;
  for (const Explained& entry : entries) {
    if (is_built(entry)) text += line_of(entry.name, entry.text, width);
  }
  return text;
}

std::string roff_word(std::string_view word) {
  std::string out;
  for (const char c : word) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\'') {
      out += "\\(aq";  // else a typographic quote
    } else if (c == '`') {
      out += "\\(ga";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

// Text in man(7) markup: backslashes, leading dots and dashes mean themselves. A blank line begins a paragraph; a line
// that begins with white space is indented.
std::string roff(std::string_view text) {
  constexpr size_t kLongestLine = 78;
  std::string out;
  size_t length = 0;
  for (const std::string_view line : split(text, '\n')) {
    const bool is_indented = line.starts_with(' ');
    if ((line.empty() || is_indented) && !out.empty() && !out.ends_with('\n')) out += "\n";
    if (line.empty() && !out.empty()) out += ".PP\n";
    if (is_indented) out += ".RS 4\n";
    if (line.empty() || is_indented) length = 0;
    for (const std::string_view piece : split(line, ' ')) {
      const std::string word = roff_word(piece);
      if (word.empty()) continue;
      if (length + word.size() >= kLongestLine && length != 0) {
        out += "\n";
        length = 0;
      }
      if (length != 0) out += " ";
      if (length == 0 && word[0] == '.') out += "\\&";
      out += word;
      length += word.size() + 1;
    }
    if (is_indented) {
      out += "\n.RE\n";
      length = 0;
    }
  }
  return out;
}

std::string roff_item(std::string_view name, std::string_view text) {
  return format(".TP\n.B {}\n{}\n", roff(name), roff(text));
}

std::string roff_flags(const std::vector<FlagSpec>& flags) {
  std::string text;
  for (const FlagSpec& flag : flags) {
    const std::string default_text = flag.environment.empty() ? "" : format(" (default: ${})", flag.environment);
    text += roff_item(trim(spellings(flag)), flag.summary + default_text);
  }
  return text;
}

std::string roff_items(std::span<const Explained> entries) {
  std::string text;
  for (const Explained& entry : entries) {
    if (is_built(entry)) text += roff_item(entry.name, entry.text);
  }
  return text;
}

// "sops-exec-env": the name of a command's page.
std::string page_name(std::string_view command) {
  std::string name = format("sops-{}", command);
  std::ranges::replace(name, ' ', '-');
  return name;
}

std::string page_head(std::string_view name, std::string_view summary) {
  std::string upper(name);
  for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return format(".TH {} 1 \"{}\" \"sops {}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n", roff(upper), SOPS_MANUAL_DATE,
                SOPS_COMPATIBLE_VERSION, roff(name), roff(summary));
}

std::string roff_command(const CommandSpec& command) {
  std::string text = format("{}\n", roff(command.manual));
  const std::vector<FlagSpec> flags = command.flags();
  return text + roff_flags(flags);
}

std::string synopsis(const CommandSpec& command) {
  return format(".B sops {}\n{}\n", roff(command.name), roff(trim(format("[flags] {}", command.arguments))));
}

std::string command_page(const CommandSpec& command) {
  std::string page = page_head(page_name(command.name), command.summary) + ".SH SYNOPSIS\n";
  if (command.children.empty()) {
    page += synopsis(command) + ".SH DESCRIPTION\n" + roff(command.manual) + "\n";
    if (const std::vector<FlagSpec> flags = command.flags(); !flags.empty())
      page += ".SH OPTIONS\n" + roff_flags(flags);
  } else {
    for (const CommandSpec* child : command.children) {
      if (child != command.children.front()) page += ".br\n";
      page += synopsis(*child);
    }
    page += ".SH DESCRIPTION\n" + roff(command.manual) + "\n.SH COMMANDS\n";
    for (const CommandSpec* child : command.children) {
      page += format(".SS sops {}\n{}\n.PP\n", roff(child->name), roff(format("To {}.", child->summary)));
      page += roff_command(*child);
    }
  }
  return page +
         ".SH SEE ALSO\n.BR sops (1)\nfor the flags of every command, exit statuses, environment variables and files\n";
}

}  // namespace

std::string version_text() { return format("sops {} (C++ {})\n", SOPS_COMPATIBLE_VERSION, SOPS_OWN_VERSION); }

std::string program_help() {
  std::string text =
      "sops: editor for encrypted files\n"
      "\n"
      "Usage:\n"
      "  sops COMMAND [FLAGS] [FILE]\n"
      "\n"
      "Commands:\n";
  for (const CommandSpec* command : all_commands()) {
    text += format("  {:<14}{}\n", command->name, command->summary);
    for (const CommandSpec* child : command->children) text += format("    {:<18}{}\n", child->name, child->summary);
  }
  text +=
      "\n"
      "sops COMMAND --help tells more. Flags may stand before or behind the file; words behind -- are no flags.\n"
      "\n"
      "Deprecated forms without a command:\n"
      "  sops -e FILE    sops encrypt FILE\n"
      "  sops -d FILE    sops decrypt FILE\n"
      "  sops -r FILE    sops rotate FILE\n"
      "  with -i         in place\n"
      "\n"
      "Flags for every command:\n" +
      flag_lines(common_flags()) + "\nExit status:\n" + lines_of(kStatuses, 8) + "\nEnvironment variables:\n";
  for (const auto& [name, summary] : variables()) text += line_of(name, summary, 36);
  text += "\nFiles:\n" + lines_of(kFiles, 36);
  return text;
}

std::string command_help(const CommandSpec& command) {
  if (!command.children.empty()) {
    std::string text = format("sops {}: {}\n\n{}\n\nCommands:\n", command.name, command.summary, command.manual);
    for (const CommandSpec* child : command.children) text += format("  {:<20}{}\n", child->name, child->summary);
    return text + "\nsops " + std::string(command.children[0]->name) + " --help tells more, and so on.\n";
  }
  std::string text = format("sops {}: {}\n\nUsage:\n  {}\n\n", command.name, command.summary,
                            trim(format("sops {} [FLAGS] {}", command.name, command.arguments)));
  text += std::string(command.manual) + "\n\nFlags:\n" + flag_lines(command.flags());
  text += "\nFlags for every command:\n" + flag_lines(without(common_flags(), command.flags()));
  return text + "\nExit statuses, environment variables and files: sops --help\n";
}

std::string manual_page(const CommandSpec* command) {
  if (command != nullptr) return command_page(*command);
  std::string page = page_head("sops", "editor for encrypted files") +
                     ".SH SYNOPSIS\n.B sops\n.I command\n[flags] [file]\n"
                     ".SH DESCRIPTION\n"
                     "Encrypts the values of YAML and JSON files and leaves their keys readable,\n"
                     "so that secrets can live in version control.\n"
                     "Only the bytes that are secret change: comments, indentation and quotes stay\nas they are.\n"
                     ".PP\nEach command has a page of its own.\n"
                     "Flags may stand before or behind the file; words behind \\-\\- are no flags.\n"
                     ".SH COMMANDS\n";
  for (const CommandSpec* each : all_commands()) {
    page += format(".TP\n.BR {} (1)\n{}\n", roff(page_name(each->name)), roff(each->summary));
  }
  page += ".SH OPTIONS\nFor every command:\n" + roff_flags(common_flags());
  page += ".SH EXIT STATUS\n" + roff_items(kStatuses) + ".SH ENVIRONMENT\n";
  for (const auto& [name, summary] : variables()) page += roff_item(name, summary);
  page += ".SH FILES\n" + roff_items(kFiles);
  page +=
      ".SH EXAMPLES\n"
      ".TP\n.B sops encrypt \\-i \\-\\-age age1… secrets.yaml\nencrypt a file in place for one key\n"
      ".TP\n.B sops decrypt \\-\\-extract \\(aq[\\(dqdb\\(dq][\\(dqpassword\\(dq]\\(aq secrets.yaml\nprint one value\n"
      ".TP\n.B sops exec\\-env secrets.yaml ./deploy\nrun a program with the values in its environment\n"
      ".SH SEE ALSO\n.BR age (1),\n.BR age\\-keygen (1)\n";
  return page;
}

}  // namespace sops
