// SPDX-License-Identifier: MPL-2.0
// format.h is all declarations; this file proves that it compiles alone.
#include "formats/format.h"
