// SPDX-License-Identifier: MPL-2.0
//
// Everything that is printed. Data goes to stdout, all of it or nothing; what is said to a person goes to stderr:
//
//   sops: error: secrets.yaml: line 3, column 7: expected ':'
//   sops: hint: …
//
// No capital at the beginning, no full stop at the end, no secret ever. With --json each of these is one JSON object on
// a line of its own instead (docs/json-messages.md). Colors only on a terminal, and never with NO_COLOR.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops {

class Ui {
 public:
  /// Something that was said and is kept, because it comes from a thread that must not print.
  struct Message {
    enum class Level { kWarning, kNote };
    Level level = Level::kNote;
    std::string text;
  };

  Ui() = default;
  /// Keeps warnings and notes in `record`, which outlives it, instead of printing them.
  explicit Ui(std::vector<Message>* record) : record_(record) {}

  /// From here on everything said is JSON.
  void use_json() { is_json_ = true; }
  /// From here on the words error, warning and hint are colored; not in JSON.
  void use_color() { is_colored_ = true; }

  /// Tells that the context `shown` of an error is the file called `path`: for "file" in JSON.
  void knows_file(const std::string& shown, const std::string& path) { files_[shown] = path; }

  /// An error with its hint, its place, and what each master key answered.
  void error(const Error& error);
  void warning(std::string_view text);
  void note(std::string_view text);

  /// The line of `text` at `where`, with a caret below the place. It may be secret, so it goes to terminals only.
  void excerpt(std::string_view text, TextPosition where);
  /// Lines of a text that may be secret, to stderr; what could disturb a terminal is replaced.
  void lines(std::string_view text);

  /// Prints what another Ui has kept.
  void say_again(const Message& message);

  /// Writes `text` over the last line of the terminal that standard error is, which had `old_length` columns of an
  /// earlier one. "" leaves an empty line. Returns the length for the next call.
  size_t progress(std::string_view text, size_t old_length);

  /// An error as the JSON object of docs/json-messages.md, in one line without its end. For reports on stdout, too.
  std::string error_json(const Error& error) const;

  /// Data, unchanged, to stdout. Errors: kIo (exit status 3); a reader that went away counts as one.
  Result<void> data(std::string_view bytes);

 private:
  void causes(const Error& error, size_t indentation);
  std::string painted(std::string_view word, std::string_view color) const;
  std::string error_fields(const Error& error) const;

  bool is_json_ = false;
  bool is_colored_ = false;
  std::map<std::string, std::string, std::less<>> files_;
  std::vector<Message>* record_ = nullptr;
};

/// `text` as a JSON string with its quotes; what is not UTF-8 becomes U+FFFD.
std::string json_string(std::string_view text);

}  // namespace sops
