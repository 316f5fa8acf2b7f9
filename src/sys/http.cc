// SPDX-License-Identifier: MPL-2.0
#include "sys/http.h"

#include "sys/real_parts.h"

namespace sops {

std::string_view HttpAnswer::header(std::string_view name) const {
  for (const HttpHeader& header : headers) {
    if (to_lower(header.name) == to_lower(name)) return header.value;
  }
  return {};
}

namespace {

// No key source uses the network yet.
class NoHttp final : public Http {
 public:
  Result<HttpAnswer> send(const HttpRequest& request, std::stop_token) override {
    return fail(ErrorCode::kUnsupported, "there is no network module for {}", escape_for_message(request.url));
  }
};

}  // namespace

std::unique_ptr<Http> make_real_http() { return std::make_unique<NoHttp>(); }

}  // namespace sops
