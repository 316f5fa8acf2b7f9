// SPDX-License-Identifier: MPL-2.0
//
// The command line: flags, commands and the parser. One table of commands (commands.def) is the only truth; help,
// completion and manual pages are made from it. Parsing follows spec cli.md 1.3 with the corrections of editing.md 3.5
// and 3.6 (docs/decisions/0001-arguments-without-CLI11.md).
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/services.h"

namespace sops {

enum class FlagKind {
  kBool,    // --x, --x=false
  kString,  // --x VALUE, --x=VALUE; the last one wins
  kInt,     // decimal, 0x, 0o, 0b, leading zero octal, underscores
  kList,    // repeatable; all count
};

/// What the shell may offer as the value of a flag.
enum class ValueWords { kNone, kFiles, kFormats, kKeyPaths };

struct FlagSpec {
  std::string name;        // without dashes
  std::string short_name;  // one letter, or empty
  FlagKind kind = FlagKind::kBool;
  std::string value_name;   // for help: "REGEX"
  std::string summary;      // one line, no full stop
  std::string environment;  // default from this variable; empty: none
  ValueWords words = ValueWords::kNone;
};

/// The words of a command line, understood.
class ParsedArgs {
 public:
  /// The flag's value: command line, else environment, else "". An empty text means "not given".
  std::string text(std::string_view name) const;
  /// Every value of a repeatable flag, in order.
  std::vector<std::string> all(std::string_view name) const;
  bool is_set(std::string_view name) const;
  /// True if given without value or with a true one. Values were checked when parsing.
  bool flag(std::string_view name) const;
  std::optional<int64_t> number(std::string_view name) const;

  std::vector<std::string> positionals;
  std::optional<size_t> before_dashes;  // how many of them stand before --; nullopt without one

 private:
  friend class ArgParser;
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

/// Parses `words` against `flags`: known flags anywhere before `--`, one or two dashes, values as the next word or
/// behind '='. Words that are no flags become positionals, as does a lone '-' and a negative number. Errors: kUsage for
/// an unknown flag (with the nearest name), a missing value, a bad bool or number.
Result<ParsedArgs> parse_args(std::span<const std::string> words, std::span<const FlagSpec> flags,
                              Environment& environment);

/// Index of the first word that is no flag and no flag's value, words.size() if there is none.
size_t first_positional(std::span<const std::string> words, std::span<const FlagSpec> flags);

/// What one word of a command line is. A flag that is not in the table counts as a bool.
struct WordRole {
  enum class Kind { kFlag, kValue, kPositional, kSeparator };
  Kind kind = Kind::kPositional;
  const FlagSpec* flag = nullptr;  // of kFlag and kValue; nullptr for an unknown flag. Borrows the table
};

/// The role of each word, as parse_args() would take them, without any error.
std::vector<WordRole> word_roles(std::span<const std::string> words, std::span<const FlagSpec> flags);

struct CommandContext;

/// One command. `run` returns the exit status.
struct CommandSpec {
  std::string_view name;       // of a child with its parent's: "config explain"
  std::string_view arguments;  // for help and completion: "[FILE]", "FILE INDEX [VALUE]"
  std::string_view summary;    // one line
  std::string_view manual;     // paragraphs for help and manual page
  std::vector<FlagSpec> (*flags)() = nullptr;
  Result<int> (*run)(CommandContext& context) = nullptr;
  std::span<const CommandSpec* const> children = {};  // a command with children has neither flags nor `run`
  bool is_ours = false;  // SOPS lacks it: the word is a file name unless a child stands behind it (editing.md 3.6)
};

/// All commands, in the order of commands.def. (commands.cc)
std::span<const CommandSpec* const> all_commands();
const CommandSpec* find_command(std::string_view name);

/// The child called `word`, nullptr if there is none.
const CommandSpec* find_child(const CommandSpec& command, std::string_view word);

/// All commands that run: children in the place of their parents.
std::vector<const CommandSpec*> runnable_commands();

/// The flags that are valid before any command, and of the deprecated form without one (cli.md 2.1).
std::vector<FlagSpec> root_flags();

/// A command's own flags and those of every command.
std::vector<FlagSpec> command_flags(const CommandSpec& command);

/// True for a flag that chooses the operation in the deprecated form: -d, -e, -r, -s, --set. `flag` may be null.
bool is_legacy_mode(const FlagSpec* flag);

/// `flags` followed by those of `more` that are not in it by name.
std::vector<FlagSpec> merge_flags(std::vector<FlagSpec> flags, const std::vector<FlagSpec>& more);

}  // namespace sops
