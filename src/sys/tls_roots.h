// SPDX-License-Identifier: MPL-2.0
//
// Whose signature makes the certificate of a server good (keys.md 3.2).
#pragma once

#include <string>

#include "sys/services.h"

namespace sops {

/// Trusted certificates as libcurl takes them.
struct TlsRoots {
  std::string file;     // PEM bundle; may be empty
  std::string folders;  // with certificates named by hash, ':' between them; may be empty
  std::string problem;  // what was named but cannot be used, for a hint; may be empty
};

/// SSL_CERT_FILE and SSL_CERT_DIR take the place of the usual file and folder, as in Go: with one of them the usual
/// folder still counts. The usual places are those of the distributions; a folder of certificates named by hash comes
/// before a bundle, which takes six times as long to read.
TlsRoots find_tls_roots(Files& files, Environment& environment);

}  // namespace sops
