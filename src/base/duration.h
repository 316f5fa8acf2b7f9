// SPDX-License-Identifier: MPL-2.0
//
// Lengths of time as people write them: "30s", "1m30s".
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace sops {

/// A length of time: numbers, each with `ms`, `s`, `m` or `h` ("1500ms", "1.5s", "1m30s"), or one number of seconds.
/// More than zero, at most a day. nullopt for anything else.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The same of a variable's value; `otherwise` if that is empty. Errors: kUsage, naming `variable`.
Result<std::chrono::milliseconds> duration_of(std::string_view variable, std::string_view value,
                                              std::chrono::milliseconds otherwise);

}  // namespace sops
