// SPDX-License-Identifier: MPL-2.0
#include "sys/tls_roots.h"

#include <algorithm>
#include <array>

namespace sops {

namespace {

constexpr std::array kUsualFolders = {"/etc/ssl/certs", "/etc/pki/tls/certs"};
constexpr std::array kUsualFiles = {
    "/etc/ssl/certs/ca-certificates.crt",  // Debian, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora
    "/etc/ssl/ca-bundle.pem",              // SUSE
    "/etc/ssl/cert.pem",                   // Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
};

// OpenSSL looks for 1a2b3c4d.0: a hash of the subject and a number.
bool is_hashed_name(std::string_view name) {
  if (name.size() < 10 || name[8] != '.') return false;
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return std::all_of(name.begin(), name.begin() + 8, is_hex) &&
         name.find_first_not_of("0123456789", 9) == std::string_view::npos;
}

bool has_hashed_names(Files& files, const std::string& folder) {
  const auto entries = files.list(folder);
  return entries && std::ranges::any_of(*entries, is_hashed_name, &DirectoryEntry::name);
}

bool is_file(Files& files, const std::string& path) {
  const auto info = files.info(path);
  return info && *info && (*info)->kind == FileInfo::Kind::kRegular;
}

void add(std::string& folders, std::string_view folder) {
  if (!folders.empty()) folders += ':';
  folders += folder;
}

}  // namespace

TlsRoots find_tls_roots(Files& files, Environment& environment) {
  TlsRoots roots;
  const std::string named_file = environment.get("SSL_CERT_FILE").value_or("");
  const std::string named_folders = environment.get("SSL_CERT_DIR").value_or("");
  if (!named_file.empty() && is_file(files, named_file)) {
    roots.file = named_file;
  } else if (!named_file.empty()) {
    roots.problem = format("SSL_CERT_FILE names {}, which is no file", escape_for_message(named_file));
  }
  for (const std::string_view folder : split(named_folders, ':')) {
    if (folder.empty()) continue;
    add(roots.folders, folder);
    if (!has_hashed_names(files, std::string(folder))) {
      roots.problem =
          format("SSL_CERT_DIR names {}, which has no certificates named by hash: openssl rehash makes them",
                 escape_for_message(folder));
    }
  }
  if (!named_file.empty() && !named_folders.empty()) return roots;
  const auto folder =
      std::ranges::find_if(kUsualFolders, [&](const char* one) { return has_hashed_names(files, one); });
  if (folder != kUsualFolders.end()) {
    add(roots.folders, *folder);
  } else if (named_file.empty()) {
    const auto file = std::ranges::find_if(kUsualFiles, [&](const char* one) { return is_file(files, one); });
    if (file != kUsualFiles.end()) roots.file = *file;
    if (roots.file.empty() && roots.folders.empty() && roots.problem.empty())
      roots.problem = "this machine has no trusted certificates: they are in the package ca-certificates";
  }
  return roots;
}

}  // namespace sops
