// SPDX-License-Identifier: MPL-2.0
//
// XML answers of STS and S3, looked at by element name. The only file of this folder that sees expat. One object
// belongs to one thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops::aws {

/// A small XML document: the text of each element. Namespaces and attributes do not count.
class Xml {
 public:
  /// Errors: kMalformed for what is no XML, for one with a document type (that is where entities come from that expand
  /// to gigabytes), and beyond 16 levels, 1,000 elements or 64 KiB of text; the message holds nothing of the text.
  static Result<Xml> parse(std::string_view text);

  /// The text directly in the first element whose path ends with these names: "Credentials/AccessKeyId". "" if there
  /// is none.
  std::string_view text(std::string_view path) const;

 private:
  struct Element {
    std::string path;  // "/Response/Result/Credentials"
    std::string_view text;
  };
  std::vector<Element> elements_;
  SecureArena arena_;
};

}  // namespace sops::aws
