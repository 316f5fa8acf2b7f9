// SPDX-License-Identifier: MPL-2.0
#include "cloud/aws/client.h"

#include <chrono>
#include <mutex>
#include <utility>

#include "base/duration.h"
#include "base/text.h"
#include "cloud/aws/arn.h"
#include "cloud/aws/chain.h"
#include "cloud/aws/credential_cache.h"
#include "cloud/aws/endpoint.h"
#include "cloud/aws/settings.h"
#include "cloud/aws/transport.h"
#include "sys/notes.h"
#include "sys/run_state.h"

namespace sops::aws {

namespace {
constexpr std::chrono::seconds kKeyTime{20};  // keys.md 1.8
}

std::string to_string(const Refusal& refusal) {
  std::string text = escape_for_message(refusal.code);
  if (!refusal.message.empty()) {
    if (!text.empty()) text += ": ";
    text += escape_for_message(refusal.message, 2000);
  }
  if (text.empty()) text = "no reason was given";
  text += format(" (HTTP {}", refusal.status);
  if (!refusal.request_id.empty()) text += format(", request {}", escape_for_message(refusal.request_id));
  return text + ")";
}

struct Client::Parts {
  std::mutex mutex;
  std::optional<SharedFiles> files;  // read by the first call
  CredentialCache credentials;
  Hosts hosts;

  const SharedFiles& load(Services& services) {
    const std::lock_guard lock(mutex);
    if (!files) files = SharedFiles::load(services);
    return *files;
  }
};

namespace {

// "kms Decrypt" of "kms" and "TrentService.Decrypt".
std::string describe(const CallRequest& request) {
  return format("{} {}", request.service, request.target.substr(request.target.find('.') + 1));
}

// keys.md 2.2: what a profile does "is named with -v"; 2.4: "Plain http that is not loopback warns."
void take_notes(const Endpoint& endpoint, Services& services) {
  Notes& notes = services.run.get<Notes>();
  if (endpoint.is_clear) {
    notes.add(Note::Kind::kWarning, format("requests to {} go over the network unencrypted ({})",
                                           escape_for_message(endpoint.url), endpoint.origin));
  } else if (!endpoint.origin.empty()) {
    notes.add(Note::Kind::kDetail,
              format("AWS is reached at {} ({})", escape_for_message(endpoint.url), endpoint.origin));
  }
}

Outgoing make_outgoing(const CallRequest& request, const Endpoint& endpoint, const Credentials& credentials,
                       int attempts) {
  Outgoing outgoing;
  outgoing.url = endpoint.at("/");
  outgoing.headers = {{"Content-Type", "application/x-amz-json-1.1"}, {"X-Amz-Target", request.target}};
  outgoing.body = request.body.clone();
  outgoing.credentials = &credentials;
  outgoing.region = endpoint.region;
  outgoing.service = request.service;
  outgoing.attempts = attempts;
  return outgoing;
}

}  // namespace

Client::Client() : parts_(std::make_unique<Parts>()) {}
Client::~Client() = default;

Result<Json> Client::call(const CallRequest& request, const Caller& caller, Services& services) {
  if (!caller.role_arn.empty() && !is_role_arn(caller.role_arn)) {
    return fail(ErrorCode::kMalformed, "'{}' is no role", escape_for_message(caller.role_arn))
        .hint("the ARN of a role is arn:aws:iam::ACCOUNT:role/NAME");
  }
  const Settings settings = TRY(Settings::load(parts_->load(services), caller.profile, services.environment));
  const Milliseconds time = TRY(duration_of(
      "SOPS_KEY_TIMEOUT", environment_text(services.environment, "SOPS_KEY_TIMEOUT").value_or(""), kKeyTime));
  const Endpoint endpoint = TRY(
      find_endpoint({.service = request.service, .region = request.region, .partition = request.partition}, settings));
  take_notes(endpoint, services);

  Deadline deadline(services.clock, time);
  const Context context{.services = services,
                        .settings = settings,
                        .hosts = parts_->hosts,
                        .deadline = deadline,
                        .region = request.region,
                        .partition = std::string(find_partition(endpoint.region).name),
                        .may_ask = caller.may_ask,
                        .stop = caller.stop};
  const Credentials credentials = TRY(find_credentials(caller, parts_->credentials, context));
  services.run.get<Notes>().add(Note::Kind::kDetail, format("AWS credentials: {}", credentials.source));

  const Outgoing outgoing = make_outgoing(request, endpoint, credentials, settings.max_attempts());
  const Incoming incoming = TRY(in_context(send(outgoing, context), "{}", describe(request)));
  if (incoming.refusal) {
    if (request.explain) {
      if (auto error = request.explain(*incoming.refusal)) return fail(*std::move(error));
    }
    return fail(refusal_error(describe(request), outgoing, incoming, &credentials));
  }
  return in_context(Json::parse(incoming.http.body.clone()), "the answer to {}", describe(request));
}

}  // namespace sops::aws
