// SPDX-License-Identifier: MPL-2.0
//
// Splits a command line into words as a shell would, without a shell: for the commands that people put into environment
// variables (SOPS_AGE_KEY_CMD, EDITOR). Pure function.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace sops {

/// The words of `text` (spec keys-age.md 3.6):
///   - space, TAB, CR and LF separate words;
///   - "…" keeps them together, `\` makes the next character literal there ("\n" is the letter n);
///   - '…' keeps everything, `\` too;
///   - outside quotes `\` makes the next character literal;
///   - `#` where a word would begin starts a comment that ends with the line.
/// Nothing is expanded: no variables, no file name patterns, no `~`. `""` is an empty word. No words at all is no
/// error.
///
/// Errors: kMalformed for a quote without its end or a `\` at the very end. The message does not quote `text`, which
/// may hold a secret.
Result<std::vector<std::string>> split_shell_words(std::string_view text);

}  // namespace sops
