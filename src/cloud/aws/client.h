// SPDX-License-Identifier: MPL-2.0
//
// AWS for whoever needs a signed request: start here. A call names a service, a region and whose credentials to use;
// endpoint, credentials, signature, retries, clock and words for what went wrong are found here.
//
//   const KmsArn key = TRY(KmsArn::parse(text));
//   CallRequest request{.region = key.region, .partition = key.partition, .target = "TrentService.Decrypt", …};
//   const Json answer = TRY(services.run.get<aws::Client>().call(request, caller, services));
//   SecureBytes plaintext = TRY(answer.blob("Plaintext"));
//
// docs/keys/aws-credentials.md tells users where credentials come from. Source: ../shared/spec/keys-aws.md 2-9.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "cloud/aws/json.h"
#include "sys/services.h"

namespace sops::aws {

/// Whose credentials a call uses, and how it may go.
struct Caller {
  std::string profile;            // chosen by name, ahead of the environment; "": the chain of keys-aws.md 7.1
  std::string role_arn;           // assumed with these credentials before the call; "": none
  std::string role_session_name;  // for that; see session_name() in arn.h
  bool may_ask = true;            // for an MFA code, or what a credential_process asks
  std::stop_token stop;           // gives everything up
};

/// A service's refusal, in its own words. The texts come from the network: escape them for a message.
struct Refusal {
  int status = 0;          // of HTTP; codes, not statuses, tell what happened
  std::string code;        // "AccessDeniedException"; "" if the answer has none
  std::string message;     // may be empty
  std::string request_id;  // may be empty
};

/// `text: message (HTTP 400, request 3c0b…)`, with the parts that are there, escaped.
std::string to_string(const Refusal& refusal);

/// A request in the protocol AWS JSON 1.1.
struct CallRequest {
  std::string service = "kms";  // signing name and endpoint
  std::string region;
  std::string partition;  // of the ARN that named the region, which must lie in it; "": not checked
  std::string target;     // "TrentService.Encrypt"
  SecureBytes body;       // a JSON object
  /// What a refusal means for this request, if the caller knows better than the general words for expired, unknown or
  /// wrong credentials, clocks, throttling and missing permission. May be empty; nullopt: the general words.
  std::function<std::optional<Error>(const Refusal&)> explain;
};

/// One for a run: services.run.get<Client>(). Keeps the configuration files (read once), temporary credentials (one
/// fetch however many threads want them, keys.md 3.3), each host's clock, and the allowance for retries. Any thread.
class Client {
 public:
  Client();
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Sends the request, as often as keys-aws.md 5 allows and within the time of one key (20 s, or SOPS_KEY_TIMEOUT;
  /// questions to a person do not count, keys.md 1.8). The answer is a JSON object.
  ///
  /// Errors: kMalformed for a region, role, endpoint or configuration that is none, and for an answer that is none;
  /// kNotFound for a profile that does not exist and for credentials that are nowhere; kDenied if a service refuses;
  /// kNeedsPerson if it takes a code and `caller` does not allow to ask; kUnavailable (network, throttled, stopped);
  /// those of `explain`. The message names what was selected and why (keys.md 3.5), and the service's own code; no
  /// error holds a secret.
  Result<Json> call(const CallRequest& request, const Caller& caller, Services& services);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sops::aws
