// SPDX-License-Identifier: MPL-2.0
//
// The real outside world, for api and cli only.
#pragma once

#include <memory>

#include "sys/services.h"

namespace sops {

/// Owns the real implementations.
class RealServices {
 public:
  RealServices();
  ~RealServices();
  Services& get();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// Makes this process a bad place to steal from: no core files, not dumpable, not traceable by others of the same user.
/// Call first in main().
void harden_process();

}  // namespace sops
