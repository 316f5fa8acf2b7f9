// SPDX-License-Identifier: MPL-2.0
//
// Which credentials a call uses. The first source whose configuration is there is selected; when it fails, no other is
// tried, as in the SDK: an error says what was selected and why (keys.md 3.5). Source: ../shared/spec/keys-aws.md 7.
#pragma once

#include "cloud/aws/client.h"
#include "cloud/aws/credential_cache.h"
#include "cloud/aws/credentials.h"
#include "cloud/aws/transport.h"

namespace sops::aws {

/// The credentials for `caller`: those of its profile or of the environment, and on top of them its role's. Errors:
/// those of the source.
Result<Credentials> find_credentials(const Caller& caller, CredentialCache& cache, const Context& context);

}  // namespace sops::aws
