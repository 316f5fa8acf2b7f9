// SPDX-License-Identifier: MPL-2.0
//
// JSON objects that services, programs and token caches give us: looked at by name, kept in secure memory, and changed
// without touching what we do not know. One object belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "tree/document.h"

namespace sops::aws {

/// Appends `text` as a JSON string, in quotes.
void append_json_string(std::string_view text, SecureBuffer& out);

/// A JSON object. Views that it gives live as long as it.
class Json {
 public:
  /// Errors: kMalformed if `text` is no JSON object, with a position but without any of the text.
  static Result<Json> parse(SecureBytes text);

  /// The string at a path of names; nullopt if there is none, or something else. Of equal names the first counts.
  std::optional<std::string_view> text(std::initializer_list<std::string_view> path) const;
  std::optional<std::string_view> text(std::string_view name) const { return text({name}); }
  /// The integer at a path of names, cut to int64.
  std::optional<int64_t> number(std::initializer_list<std::string_view> path) const;
  /// The bytes of a member that is base64. Errors: kMalformed if it is missing or no base64.
  Result<SecureBytes> blob(std::string_view name) const;

  /// The same object with the strings at these paths of one or two names ("accessToken", "accessToken.expiresAt")
  /// replaced, added at the end of their object where they are missing; everything else as it was written.
  /// REQUIRES: an object is at the first name of each path of two.
  SecureBytes with(const std::map<std::string, std::string_view>& strings) const;

 private:
  SecureBytes text_;
  Document document_;
};

}  // namespace sops::aws
