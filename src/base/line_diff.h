// SPDX-License-Identifier: MPL-2.0
//
// The difference of two texts, line by line, for a person. Pure function; the texts may be secret.
#pragma once

#include <string_view>

#include "base/secure_bytes.h"

namespace sops {

/// Appends the lines in which `before` and `after` differ: "-" and "+" in front of what went and came, " " in front of
/// up to three equal lines around, "@@ line N @@" (of `after`) at the head of each piece. Nothing for equal texts. The
/// difference is a shortest one unless the texts differ in thousands of lines.
void append_line_diff(std::string_view before, std::string_view after, SecureBuffer& out);

}  // namespace sops
