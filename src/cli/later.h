// SPDX-License-Identifier: MPL-2.0
//
// What SOPS has and we have not yet. Named here so that nobody silently gets something else: a flag for such a key, or
// a file of such a format, is an error that says so. A line goes when its folder comes.
#pragma once

#include <array>
#include <string_view>

namespace sops {

struct LaterKeySource {
  std::string_view id;
  std::string_view flag;
  std::string_view short_flag;
  std::string_view environment;
};

inline constexpr std::array<LaterKeySource, 5> kLaterKeySources = {{
    {"gcp_kms", "gcp-kms", "", "SOPS_GCP_KMS_IDS"},
    {"hckms", "hckms", "", "SOPS_HUAWEICLOUD_KMS_IDS"},
    {"azure_kv", "azure-kv", "", "SOPS_AZURE_KEYVAULT_URLS"},
    {"pgp", "pgp", "p", "SOPS_PGP_FP"},
    {"hc_vault", "hc-vault-transit", "", "SOPS_VAULT_URIS"},
}};

struct LaterFormat {
  std::string_view id;
  std::string_view suffix;
};

inline constexpr std::array<LaterFormat, 2> kLaterFormats = {{{"dotenv", ".env"}, {"ini", ".ini"}}};

/// Commands of SOPS that are still to come.
inline constexpr std::array<std::string_view, 2> kLaterCommands = {"publish", "keyservice"};

}  // namespace sops
