// SPDX-License-Identifier: MPL-2.0
//
// Names of AWS: ARNs, regions and partitions, and what of them may become part of a host name. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace sops::aws {

/// The ARN of a KMS key or alias, in its parts.
struct KmsArn {
  std::string text;  // as it was given
  std::string partition;
  std::string region;
  std::string account;
  std::string resource;  // "key/…" or "alias/…"

  /// Errors: kMalformed if `text` is not of the form that SOPS accepts (keys-aws.md 1.1), or its region is no host
  /// label.
  static Result<KmsArn> parse(std::string_view text);
};

/// True if `text` has the form of a role's ARN (keys.md 2.1).
bool is_role_arn(std::string_view text);

/// The partition of an ARN, "" if `text` is none.
std::string_view partition_of(std::string_view text);

/// What a region's names end with (keys-aws.md 2.1).
struct Partition {
  std::string_view name;         // "aws-cn"
  std::string_view dns_suffix;   // "amazonaws.com.cn"
  std::string_view dual_suffix;  // for IPv6: "api.amazonwebservices.com.cn"
};

/// The partition of a region; `aws` for one that no pattern fits, as the SDK has it.
const Partition& find_partition(std::string_view region);

/// True if `text` looks like a region and like nothing else that could stand in a host name (keys.md 2.1).
bool is_region(std::string_view text);

/// True for 1 to 63 letters, digits and '-'.
bool is_host_label(std::string_view text);

/// The name of a role session for `text`, "sops@" and the host: without what STS refuses and what SOPS drops (`-` and
/// `+` among them; trust policies may depend on the name), at most 64 bytes (keys-aws.md 3).
std::string session_name(std::string_view text);

}  // namespace sops::aws
