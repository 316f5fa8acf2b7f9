// SPDX-License-Identifier: MPL-2.0
//
// One command, many files (editing.md 3): finding them, making every result on all processors, putting them in place
// together or not at all, and saying what happened. A command brings a function for one file; nothing here knows keys.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/common.h"

namespace sops {

/// One of the files.
struct BatchFile {
  Input input;
  std::string name;       // as a person would write it, for the report: "secrets/prod.yaml"
  bool is_found = false;  // --recursive found it; else it was named
};

/// What a command made of a file.
struct FileResult {
  enum class Kind {
    kChange,     // `bytes` take the place of `original`
    kUnchanged,  // nothing to do, or nothing but to tell
    kSkipped,    // it was found and is not for this command
  };
  Kind kind = Kind::kUnchanged;
  SecureBytes bytes;
  SecureBytes original;           // what was read
  std::string remark;             // why, for a person: "rule 2 at line 7 of .sops.yaml", "not encrypted"
  std::optional<bool> encrypted;  // of filestatus
  std::string plan;               // of survey(): what would change, for confirm()
  std::string details;            // more members of the file's object in the report, as JSON: "\"added\":[…]"

  static FileResult skipped(std::string why) {
    FileResult result;
    result.kind = Kind::kSkipped;
    result.remark = std::move(why);
    return result;
  }
};

/// Makes the result of one file and writes nothing. Runs in any thread, for several files at once. What it says to
/// `context.ui` is kept and printed later, in the order of the files; it must print no data.
using FileFunction = std::function<Result<FileResult>(CommandContext& context, const BatchFile& file)>;

/// A command, as far as many files are concerned.
struct BatchCommand {
  std::string_view name;       // "encrypt"
  std::string_view verb;       // what is done to a file: "encrypt"
  std::string_view done;       // "encrypted"
  std::string_view unchanged;  // of files that need no change: "already up to date"
  enum class Destination {
    kChosen,   // --in-place or --output-dir
    kInPlace,  // always in place
    kNone,     // nothing is written
  };
  Destination destination = Destination::kChosen;
  bool makes_plaintext = false;  // results are secret until they are in place
  bool keeps_going = false;      // several named files: an error of one does not stop the others (editing.md 3.2)
  bool starts_again = false;     // a file that others changed meanwhile is done again (editing.md 1.7)
  FileFunction make;

  /// A first look at each file before anything is made, for commands that ask; `bytes` stay empty. Only files for
  /// which it gives kChange go on.
  FileFunction survey;
  /// Called once, with what survey() gave for the files that would change, in order; also for --dry-run and --json,
  /// which ask nothing and print nothing. false: leave them unchanged.
  using Surveyed = std::vector<std::pair<const BatchFile*, const FileResult*>>;
  std::function<Result<bool>(CommandContext& context, const Surveyed& files)> confirm;
};

/// --recursive, --output-dir, --dry-run, --keep-going, --all-or-nothing, --json; without --output-dir for commands that
/// work in place.
std::vector<FlagSpec> batch_flags(BatchCommand::Destination destination);

/// True if the words ask for many files, or for something that only run_batch() can do. With --json one file is enough
/// where nothing goes to standard output.
bool is_batch(const CommandContext& context, BatchCommand::Destination destination);

/// Does all of it. Errors: kUsage (exit status 8) for flags that do not go together and results that would share a
/// place; one error for all files that failed, with a cause for each and the exit status of the first.
Result<int> run_batch(CommandContext& context, const BatchCommand& command);

/// The text of a file that is encrypted, and its format.
struct EncryptedInput {
  const FormatType* format = nullptr;
  InputText text;
};

/// Reads a file. One that was found and is not encrypted gives nullopt, mostly after its first bytes (editing.md 3.3).
/// Errors: those of choose_format() and read_input().
Result<std::optional<EncryptedInput>> read_encrypted_input(CommandContext& context, const BatchFile& file);

}  // namespace sops
