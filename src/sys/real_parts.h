// SPDX-License-Identifier: MPL-2.0
//
// Makers of the real implementations, one per interface of services.h. Private to sys: others use RealServices.
#pragma once

#include <memory>

#include "sys/services.h"

namespace sops {

std::unique_ptr<Files> make_real_files();
std::unique_ptr<Processes> make_real_processes();
std::unique_ptr<Terminal> make_real_terminal();

/// Does what Files::replace promises. docs/decisions/0002 tells why in this way.
Result<ReplaceMethod> replace_file(const std::string& path, std::span<const uint8_t> content,
                                   const Files::ReplaceOptions& options);

/// No document is longer (tree/document.h has the same number: offsets there have 32 bits).
inline constexpr uint64_t kMaxFileSize = 0xfffffff0;

}  // namespace sops
