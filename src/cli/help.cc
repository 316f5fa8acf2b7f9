// SPDX-License-Identifier: MPL-2.0
#include "cli/help.h"

#include <algorithm>

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

std::string flag_lines(const std::vector<FlagSpec>& flags) {
  constexpr size_t kWidest = 36;
  std::string text;
  for (const FlagSpec& flag : flags) {
    const std::string left = spellings(flag);
    text += "  " + left;
    text += left.size() >= kWidest ? "\n" + std::string(kWidest + 4, ' ') : std::string(kWidest + 2 - left.size(), ' ');
    text += flag.summary;
    if (!flag.environment.empty()) text += format(" [${}]", flag.environment);
    text += "\n";
  }
  return text;
}

// Text in man(7) markup: backslashes, leading dots and dashes mean themselves.
std::string roff(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool line_start = i == 0 || text[i - 1] == '\n';
    if (line_start && (text[i] == '.' || text[i] == '\'')) out += "\\&";
    if (text[i] == '\n' && i + 1 < text.size() && text[i + 1] == '\n') {
      out += "\n.PP";
      continue;
    }
    if (text[i] == '\\') {
      out += "\\e";
    } else if (text[i] == '-') {
      out += "\\-";
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string roff_flags(const std::vector<FlagSpec>& flags) {
  std::string text;
  for (const FlagSpec& flag : flags) {
    text += format(".TP\n.B {}\n{}", roff(trim(spellings(flag))), roff(flag.summary));
    text += flag.environment.empty() ? "\n" : format(" (default: ${})\n", flag.environment);
  }
  return text;
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
      "  with -i         in place\n"
      "\n"
      "Flags for every command:\n" +
      flag_lines(common_flags());
  return text;
}

std::string command_help(const CommandSpec& command) {
  if (!command.children.empty()) {
    std::string text = format("sops {}: {}\n\n{}\n\nCommands:\n", command.name, command.summary, command.manual);
    for (const CommandSpec* child : command.children) text += format("  {:<20}{}\n", child->name, child->summary);
    return text + "\nsops " + std::string(command.children[0]->name) + " --help tells more, and so on.\n";
  }
  std::string text = format("sops {}: {}\n\nUsage:\n  sops {} [FLAGS] {}\n\n", command.name, command.summary,
                            command.name, command.arguments);
  text += std::string(command.manual) + "\n\nFlags:\n" + flag_lines(command.flags());
  text += "\nFlags for every command:\n" + flag_lines(common_flags());
  return text;
}

std::string manual_page() {
  std::string page = format(
      ".TH SOPS 1 \"\" \"sops {}\" \"User Commands\"\n"
      ".SH NAME\nsops \\- editor for encrypted files\n"
      ".SH SYNOPSIS\n.B sops\n.I command\n[flags] [file]\n"
      ".SH DESCRIPTION\n"
      "Encrypts the values of YAML and JSON files and leaves their keys readable, so that secrets can live in version "
      "control.\n"
      "Only the bytes that are secret change: comments, indentation and quotes stay as they are.\n"
      ".SH COMMANDS\n",
      SOPS_COMPATIBLE_VERSION);
  for (const CommandSpec* command : runnable_commands()) {
    page += format(".SS sops {} [flags] {}\n{}.\n.PP\n{}\n", command->name, roff(command->arguments),
                   roff(command->summary), roff(command->manual));
    page += roff_flags(command->flags());
  }
  page += ".SH FLAGS FOR EVERY COMMAND\n" + roff_flags(common_flags());
  page +=
      ".SH EXIT STATUS\n"
      "Those of SOPS: 0 success, 1 any other error, 2 the input cannot be read, 3 the output cannot be written, 4 the "
      "result cannot be\n"
      "expressed, 8 flags exclude each other, 23 and 25 a value cannot be encrypted or decrypted, 51 the MAC does not "
      "fit, 91 a path is\n"
      "malformed, 92 no document, 100 no file, 128 no key gives the data key, 203 encrypted already.\n"
      ".SH SEE ALSO\n.BR age (1)\n";
  return page;
}

}  // namespace sops
