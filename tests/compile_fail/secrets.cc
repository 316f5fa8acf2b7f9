// SPDX-License-Identifier: MPL-2.0
//
// Misuse that must not compile. Compiled once without WRONG, which must work, and once for each number of WRONG, which
// must not.
#include <ostream>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops {

Result<int> answer();

void use(SecureBytes& secret, std::ostream& out) {
  SecureBytes moved = std::move(secret);
  SecureBytes copy = moved.clone();
#if WRONG == 1  // a copy is spelled clone()
  SecureBytes silent = copy;
#elif WRONG == 2  // a secret cannot be printed
  out << copy;
#elif WRONG == 3  // comparing takes constant time: ct_equal
  (void)(copy == moved);
#elif WRONG == 4  // no conversion to a text that outlives it or is logged
  std::string_view text = copy;
#elif WRONG == 5  // a result must be looked at
  answer();
#elif WRONG == 6  // a secret cannot be formatted
  (void)format("{}", copy);
#endif
  (void)out;
  (void)answer().has_value();
}

}  // namespace sops
