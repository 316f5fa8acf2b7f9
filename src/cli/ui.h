// SPDX-License-Identifier: MPL-2.0
//
// Everything that is printed. Data goes to stdout, all of it or nothing; what is said to a person goes to stderr:
//
//   sops: error: secrets.yaml: line 3, column 7: expected ':'
//   sops: hint: …
//
// No capital at the beginning, no full stop at the end, no secret ever.
#pragma once

#include <span>
#include <string_view>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops {

class Ui {
 public:
  /// An error with its hint, its place, and what each master key answered.
  void error(const Error& error);
  void warning(std::string_view text);
  void note(std::string_view text);

  /// Data, unchanged, to stdout. Errors: kIo (exit status 3); a reader that went away counts as one.
  Result<void> data(std::string_view bytes);

 private:
  void causes(const Error& error, size_t indentation);
};

}  // namespace sops
