// SPDX-License-Identifier: MPL-2.0
#include "cloud/aws/arn.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace sops::aws {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_alpha(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }
bool is_word(char c) { return is_alpha(c) || is_digit(c) || c == '_'; }

bool is_digits(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_digit); }

// Takes `arn:aws[\w-]*:` from the front of `text` and returns the partition, "" if it is not there.
std::string_view take_partition(std::string_view& text) {
  if (!text.starts_with("arn:aws")) return {};
  const std::string_view rest = text.substr(4);
  const size_t end = rest.find(':');
  if (end == std::string_view::npos) return {};
  const std::string_view partition = rest.substr(0, end);
  if (!std::ranges::all_of(partition, [](char c) { return is_word(c) || c == '-'; })) return {};
  text = rest.substr(end + 1);
  return partition;
}

Failure no_arn(std::string_view text) {
  return fail(ErrorCode::kMalformed, "no valid ARN found in '{}'", escape_for_message(text))
      .hint("the ARN of a KMS key is arn:aws:kms:REGION:ACCOUNT:key/ID or arn:aws:kms:REGION:ACCOUNT:alias/NAME");
}

// keys-aws.md 2.1: `^PREFIX-\w+-\d+$` for each partition.
struct PartitionRow {
  Partition partition;
  std::array<std::string_view, 9> prefixes;
};

constexpr PartitionRow kPartitions[] = {
    {{"aws", "amazonaws.com", "api.aws"}, {"us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx"}},
    {{"aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"}, {"cn"}},
    {{"aws-us-gov", "amazonaws.com", "api.aws"}, {"us-gov"}},
    {{"aws-iso", "c2s.ic.gov", "api.aws.ic.gov"}, {"us-iso"}},
    {{"aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud"}, {"us-isob"}},
    {{"aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"}, {"eu-isoe"}},
    {{"aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov"}, {"us-isof"}},
    {{"aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"}, {"eusc-de"}},
};

// True if `region` is `prefix-WORD-DIGITS`.
bool has_prefix(std::string_view region, std::string_view prefix) {
  if (prefix.empty() || !region.starts_with(prefix)) return false;
  region.remove_prefix(prefix.size());
  const size_t dash = region.rfind('-');
  if (!region.starts_with('-') || dash < 2 || dash == std::string_view::npos) return false;
  return std::ranges::all_of(region.substr(1, dash - 1), is_word) && is_digits(region.substr(dash + 1));
}

}  // namespace

// keys-aws.md 1.1: "^arn:aws[\w-]*:kms:(.+):[0-9]+:(key|alias)/.+$". The region is greedy, so the split is looked for
// from the end; what that leaves of an odd text in the region is then no host label.
Result<KmsArn> KmsArn::parse(std::string_view text) {
  std::string_view rest = text;
  const std::string_view partition = take_partition(rest);
  if (partition.empty() || !rest.starts_with("kms:")) return no_arn(text);
  rest.remove_prefix(4);
  for (size_t colon = rest.rfind(':'); colon != std::string_view::npos && colon > 0;
       colon = rest.rfind(':', colon - 1)) {
    const std::string_view resource = rest.substr(colon + 1);
    const size_t slash = resource.find('/');
    const std::string_view kind = resource.substr(0, slash);
    if (slash == std::string_view::npos || slash + 1 == resource.size() || (kind != "key" && kind != "alias")) continue;
    const std::string_view head = rest.substr(0, colon);
    const size_t before = head.rfind(':');
    if (before == std::string_view::npos || before == 0 || !is_digits(head.substr(before + 1))) continue;
    const std::string_view region = head.substr(0, before);
    if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; })) return no_arn(text);
    if (!is_host_label(region)) {
      return fail(ErrorCode::kMalformed, "'{}' is no region (in the ARN {})", escape_for_message(region),
                  escape_for_message(text));
    }
    return KmsArn{.text = std::string(text),
                  .partition = std::string(partition),
                  .region = std::string(region),
                  .account = std::string(head.substr(before + 1)),
                  .resource = std::string(resource)};
  }
  return no_arn(text);
}

// keys.md 2.1: "Roles match ^arn:aws[\w-]*:iam::[0-9]{12}:role/.+".
bool is_role_arn(std::string_view text) {
  constexpr std::string_view kService = "iam::";
  constexpr std::string_view kRole = ":role/";
  if (take_partition(text).empty() || !text.starts_with(kService)) return false;
  text.remove_prefix(kService.size());
  return text.size() > 12 + kRole.size() && is_digits(text.substr(0, 12)) && text.substr(12).starts_with(kRole) &&
         text[12 + kRole.size()] != '\n';
}

std::string_view partition_of(std::string_view text) { return take_partition(text); }

const Partition& find_partition(std::string_view region) {
  for (const PartitionRow& row : kPartitions) {
    for (const std::string_view prefix : row.prefixes) {
      if (has_prefix(region, prefix)) return row.partition;
    }
  }
  return kPartitions[0].partition;
}

// keys.md 2.1: "^[a-z]{2,5}(-[a-z]+){1,3}-[0-9]{1,2}$".
bool is_region(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, '-');
  // It becomes a label of the host.
  if (!is_host_label(text) || parts.size() < 3 || parts.size() > 5) return false;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    if (parts[i].empty() || !std::ranges::all_of(parts[i], is_lower)) return false;
  }
  return parts[0].size() >= 2 && parts[0].size() <= 5 && is_digits(parts.back()) && parts.back().size() <= 2;
}

bool is_host_label(std::string_view text) {
  return !text.empty() && text.size() <= 63 &&
         std::ranges::all_of(text, [](char c) { return is_alpha(c) || is_digit(c) || c == '-'; });
}

// keys-aws.md 3: SOPS deletes what "[^a-zA-Z0-9=,.@-_]+" matches, where `@-_` is a range without `-`; STS refuses
// four characters of that range.
std::string session_name(std::string_view text) {
  constexpr size_t kLongest = 64;
  std::string name;
  for (const char c : text) {
    if (is_word(c) || c == '=' || c == ',' || c == '.' || c == '@') name += c;
  }
  return name.substr(0, kLongest);
}

}  // namespace sops::aws
