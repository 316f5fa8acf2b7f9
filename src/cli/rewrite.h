// SPDX-License-Identifier: MPL-2.0
//
// For commands that change a file: a new version of it is made from what it holds and put in its place.
#pragma once

#include <functional>
#include <optional>

#include "cli/common.h"

namespace sops {

/// What a command makes of a file; nullopt: nothing is to be written.
using MakeVersion = std::function<Result<std::optional<SecureBytes>>(const InputText& input)>;

/// Reads `input`, calls `make` and writes what it returns. In place the file must still hold what was read; if it does
/// not, all begins again, three times at most (editing.md 1.7). Returns whether something was written. Errors: exit
/// status 2 for reading, 3 for writing; those of `make`.
Result<bool> rewrite(CommandContext& context, const Input& input, const FormatType& format, const Output& output,
                     const MakeVersion& make);

/// Asks a question that is answered by y or n, on standard error and standard input (editing.md 5.1, cli.md 3.5).
/// Errors: kUnavailable at the end of the input, naming --yes; kUsage for an answer that SOPS does not take.
Result<bool> confirm(CommandContext& context, const std::string& question);

}  // namespace sops
