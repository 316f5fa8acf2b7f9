// SPDX-License-Identifier: MPL-2.0
#include "cloud/aws/client.h"

#include "base/text.h"

namespace sops::aws {

std::string to_string(const Refusal& refusal) {
  std::string text = escape_for_message(refusal.code);
  if (!refusal.message.empty()) {
    if (!text.empty()) text += ": ";
    text += escape_for_message(refusal.message, 2000);
  }
  text += format("{}(HTTP {}", text.empty() ? "" : " ", refusal.status);
  if (!refusal.request_id.empty()) text += format(", request {}", escape_for_message(refusal.request_id));
  return text + ")";
}

struct Client::Parts {};

Client::Client() = default;
Client::~Client() = default;

Result<Json> Client::call(const CallRequest& request, const Caller&, Services&) {
  return fail(ErrorCode::kUnsupported, "no service is known yet: {}", request.service);
}

}  // namespace sops::aws
