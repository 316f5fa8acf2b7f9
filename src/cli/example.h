// SPDX-License-Identifier: MPL-2.0
//
// What the editor shows for a file that does not exist yet (cli.md 4.2).
#pragma once

#include "formats/format.h"
#include "tree/value.h"

namespace sops {

/// The tree that `format` emits for a new file. Views into constants.
Value example_tree(const FormatType& format);

}  // namespace sops
