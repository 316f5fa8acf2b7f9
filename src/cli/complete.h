// SPDX-License-Identifier: MPL-2.0
//
// What may stand at the end of a command line that is being typed: commands, flags, their values, and paths inside a
// file. Asked by the scripts of `sops completion` through the hidden form
//
//   sops __complete bash -- LINE WORD     LINE up to the cursor as typed; WORD: its end, which the reply replaces
//   sops __complete zsh -- WORD…          the words without quotes, up to the cursor; the last one is being typed
//   sops __complete fish -- WORD…
//
// The first line of the answer is `files` (the shell completes a file name itself) or `words`; for bash the latter
// names the quote that is open: `words none`, `words single`, `words double`. Then one candidate a line; for zsh and
// fish a TAB and a summary follow.
//
// Nothing here reads a key or a configuration, or goes to the network (editing.md 5.2): of files only the names of keys
// are looked at.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/args.h"
#include "sys/services.h"

namespace sops {

struct Candidate {
  std::string text;
  std::string summary;  // may be empty
};

struct Candidates {
  std::vector<Candidate> words;
  bool files = false;  // a file name may stand there; offered by the shell where no word fits
};

/// The candidates for the last of `words`, which may be empty or begun; all start with it and hold no control
/// characters.
Candidates complete(std::span<const std::string> words, Services& services);

/// The paths in the syntax of --extract that start with `typed` and lead one step further than it, in a plain or
/// encrypted text. A path that is the only one and leads to a container is followed by what is in there. Names with
/// control characters or '[' (which no path can hold) are left out. Nothing for a text that cannot be read.
std::vector<std::string> complete_key_path(std::string_view text, std::string_view format_id, std::string_view typed);

/// The quote of a shell that is open somewhere in a line.
enum class ShellQuote { kNone, kSingle, kDouble };

/// A line of bash that is being typed.
struct TypedLine {
  std::vector<std::string> words;        // without quotes; nothing is expanded. The last one is being typed
  ShellQuote quote = ShellQuote::kNone;  // at the place from where on the reply replaces the line
  size_t kept = 0;                       // bytes of the last word before that place
};

/// `replaced_from` is a byte offset in `line`, at most its size.
TypedLine split_typed_line(std::string_view line, size_t replaced_from);

/// The answer of `sops __complete SHELL -- WORDS…`; `words` begins behind `__complete`. "files\n" for anything
/// malformed.
std::string completion_answer(std::span<const std::string> words, Services& services);

/// True for a command line of that form.
bool is_completion_request(std::span<const std::string> words);

/// SOPS's own protocol (cli.md 6.12): the candidates, one a line, for a command line that ended with
/// --generate-bash-completion. `words` is what stood before that. `with_summary`: for zsh, "name:summary" for commands.
std::string generate_bash_completion(std::span<const std::string> words, bool with_summary);

}  // namespace sops
