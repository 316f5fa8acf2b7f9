// SPDX-License-Identifier: MPL-2.0
//
// HTTP as the key sources see it: one request, one answer, from any thread. Which hosts may be asked, what is signed
// and whether to try again is the caller's; how bytes travel (TLS, proxies, connections) is the implementation's.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops {

/// A header field. Names are sent as they stand and compared without regard to case. A value may be a token, so each
/// copy of one is wiped when it dies.
struct HttpHeader {
  std::string name;
  std::string value;

  ~HttpHeader() { wipe({reinterpret_cast<uint8_t*>(value.data()), value.size()}); }
};

/// The value of the first header of that name, "" if there is none.
std::string_view find_header(std::span<const HttpHeader> headers, std::string_view name);

/// A request. `Host` and `Content-Length` are made from `url` and `body` unless they stand among the headers.
struct HttpRequest {
  std::string method = "GET";
  std::string url;  // http:// or https://; path and query as they are to travel, already escaped
  std::vector<HttpHeader> headers;
  SecureBytes body;
  std::chrono::milliseconds connect_deadline{3000};  // name lookup, connecting and TLS (keys.md 1.8)
  std::chrono::milliseconds answer_deadline{10000};  // the whole request, connecting included
  size_t answer_limit = 1 << 20;                     // bytes of the body; more is an error
  bool bypass_proxy = false;  // no proxy, whatever the environment says: metadata and container services
  std::string ca_bundle;      // a PEM file whose certificates are trusted instead of the system's; "": the system's
};

/// An answer, of any status.
struct HttpAnswer {
  int status = 0;
  std::vector<HttpHeader> headers;
  SecureBytes body;

  std::string_view header(std::string_view name) const { return find_header(headers, name); }
};

/// The network. May be called from several threads; redirects are never followed (keys.md 2.1).
class Http {
 public:
  virtual ~Http() = default;

  /// Sends a request and waits for its whole answer; a status of 400 or more is an answer and no error. When `stop`
  /// asks for it, the request is given up at once. Errors: kUnavailable (no such host, no connection, deadline, cut
  /// off, stopped), naming host and reason, where trying again may help; where it cannot: kDenied if the host's
  /// certificate or `ca_bundle` is no good; kUnsupported for an answer above the limit, or if the network module is
  /// missing; kMalformed for an url or answer that is none. No error holds a header or a body.
  virtual Result<HttpAnswer> send(const HttpRequest& request, std::stop_token stop) = 0;
};

}  // namespace sops
