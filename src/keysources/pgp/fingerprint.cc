// SPDX-License-Identifier: MPL-2.0
#include "keysources/pgp/fingerprint.h"

#include <algorithm>

namespace sops::pgp {

std::string_view digits_of(std::string_view fingerprint) {
  if (fingerprint.starts_with("0x") || fingerprint.starts_with("0X")) fingerprint.remove_prefix(2);
  if (fingerprint.ends_with('!')) fingerprint.remove_suffix(1);
  return fingerprint;
}

bool is_fingerprint(std::string_view fingerprint) {
  const std::string_view digits = digits_of(fingerprint);
  const bool fits = digits.size() == 16 || digits.size() == 40 || digits.size() == 64;
  return fits && digits.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

std::string_view short_form(std::string_view fingerprint) {
  const size_t length = fingerprint.ends_with('!') ? 17 : 16;
  return fingerprint.size() > length ? fingerprint.substr(fingerprint.size() - length) : fingerprint;
}

std::string without_spaces(std::string_view text) {
  std::string result(text);
  std::erase(result, ' ');
  return result;
}

}  // namespace sops::pgp
