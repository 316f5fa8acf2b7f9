// SPDX-License-Identifier: MPL-2.0
//
// sops_http.so: see module.h. Everything that libcurl would do on its own account is switched off: redirects, proxies
// of the environment, cookies, .netrc, compression, protocols besides HTTP, signals. Deciding is the program's.
#include "sys/http_curl/module.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/socket.h>

#include <algorithm>
#include <bitset>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr long kMostConnections = 32;  // kept open between requests
constexpr int kLongest = 3'600'000;    // of one poll, in milliseconds; it changes nothing but is shorter than forever

struct EasyCleanup {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct ListCleanup {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

struct Transfer {
  std::unique_ptr<CURL, EasyCleanup> easy;
  std::unique_ptr<curl_slist, ListCleanup> headers;
  void* owner = nullptr;
  decltype(SopsHttpRequest::on_head) on_head = nullptr;
  decltype(SopsHttpRequest::on_body) on_body = nullptr;
  char reason[CURL_ERROR_SIZE] = "";
};

struct Session {
  CURLM* multi = nullptr;
  int wake = -1;
  std::vector<std::unique_ptr<Transfer>> transfers;

  ~Session() {
    for (const auto& transfer : transfers) curl_multi_remove_handle(multi, transfer->easy.get());
    transfers.clear();
    if (multi != nullptr) curl_multi_cleanup(multi);
  }

  // Takes the transfer for which `is_it` holds out of the session; null if there is none.
  template <class Predicate>
  std::unique_ptr<Transfer> take(Predicate is_it) {
    const auto found = std::find_if(transfers.begin(), transfers.end(), is_it);
    if (found == transfers.end()) return nullptr;
    std::unique_ptr<Transfer> transfer = std::move(*found);
    transfers.erase(found);
    curl_multi_remove_handle(multi, transfer->easy.get());
    return transfer;
  }
};

// ---- memory: libcurl's buffers hold tokens and plaintext keys, so what it frees is wiped.

void wipe_and_free(void* memory) {
  if (memory == nullptr) return;
  explicit_bzero(memory, malloc_usable_size(memory));
  std::free(memory);
}

void* wiping_realloc(void* memory, size_t size) {
  if (memory == nullptr) return std::malloc(size);
  void* larger = std::malloc(size);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, memory, std::min(size, malloc_usable_size(memory)));
  wipe_and_free(memory);
  return larger;
}

bool start_curl() {
  static const bool started = curl_global_init_mem(CURL_GLOBAL_DEFAULT, std::malloc, wipe_and_free, wiping_realloc,
                                                   strdup, std::calloc) == CURLE_OK;
  return started;
}

// ---- callbacks of libcurl

size_t head_arrived(char* bytes, size_t size, size_t count, void* user) {
  const Transfer* transfer = static_cast<const Transfer*>(user);
  return transfer->on_head(transfer->owner, bytes, size * count) != 0 ? size * count : 0;
}

size_t body_arrived(char* bytes, size_t size, size_t count, void* user) {
  const Transfer* transfer = static_cast<const Transfer*>(user);
  return transfer->on_body(transfer->owner, bytes, size * count) != 0 ? size * count : 0;
}

// Sockets are not for the programs that sops starts.
curl_socket_t open_socket(void*, curlsocktype, curl_sockaddr* address) {
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// The descriptors below kMostInherited that are open. libcurl opens a pair for itself that children would inherit.
constexpr int kMostInherited = 256;
std::bitset<kMostInherited> open_descriptors() {
  std::bitset<kMostInherited> open;
  for (int fd = 0; fd < kMostInherited; ++fd) open[static_cast<size_t>(fd)] = fcntl(fd, F_GETFD) >= 0;
  return open;
}

CURLM* make_multi() {
  const auto before = open_descriptors();
  CURLM* multi = curl_multi_init();
  const auto added = open_descriptors() & ~before;
  for (int fd = 0; fd < kMostInherited; ++fd) {
    if (added[static_cast<size_t>(fd)]) fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  return multi;
}

// ---- a request

template <class Value>
bool set(Transfer& transfer, CURLoption option, Value value) {
  return curl_easy_setopt(transfer.easy.get(), option, value) == CURLE_OK;
}

bool add_header(Transfer& transfer, const char* line) {
  curl_slist* longer = curl_slist_append(transfer.headers.get(), line);
  if (longer == nullptr) return false;
  static_cast<void>(transfer.headers.release());
  transfer.headers.reset(longer);
  return true;
}

bool has_header(const SopsHttpRequest& request, std::string_view name) {
  for (const char* const* line = request.header_lines; *line != nullptr; ++line) {
    if (strncasecmp(*line, name.data(), name.size()) == 0 && (*line)[name.size()] == ':') return true;
  }
  return false;
}

bool set_headers(Transfer& transfer, const SopsHttpRequest& request) {
  for (const char* const* line = request.header_lines; *line != nullptr; ++line) {
    if (!add_header(transfer, *line)) return false;
  }
  // "Name:" tells libcurl not to send one of its own.
  for (const char* name : {"Accept", "Content-Type", "Expect"}) {
    if (!has_header(request, name) && !add_header(transfer, (std::string(name) + ":").c_str())) return false;
  }
  return set(transfer, CURLOPT_HTTPHEADER, transfer.headers.get()) &&
         set(transfer, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));  // none of them is the proxy's
}

bool set_method(Transfer& transfer, const SopsHttpRequest& request) {
  const std::string_view method = request.method;
  if (method == "GET" && request.body_size == 0) return set(transfer, CURLOPT_HTTPGET, 1L);
  if (method == "HEAD") return set(transfer, CURLOPT_NOBODY, 1L);
  return set(transfer, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body_size)) &&
         set(transfer, CURLOPT_POSTFIELDS, request.body) && set(transfer, CURLOPT_CUSTOMREQUEST, request.method);
}

bool set_trust(Transfer& transfer, const SopsHttpRequest& request) {
  return set(transfer, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2)) &&
         set(transfer, CURLOPT_CAINFO, request.ca_file) && set(transfer, CURLOPT_CAPATH, request.ca_folder) &&
         set(transfer, CURLOPT_PROXY_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2)) &&
         set(transfer, CURLOPT_PROXY_CAINFO, request.ca_file) && set(transfer, CURLOPT_PROXY_CAPATH, request.ca_folder);
}

bool set_all(Transfer& transfer, const SopsHttpRequest& request) {
  return set(transfer, CURLOPT_PRIVATE, &transfer) && set(transfer, CURLOPT_ERRORBUFFER, transfer.reason) &&
         set(transfer, CURLOPT_NOSIGNAL, 1L) && set(transfer, CURLOPT_QUICK_EXIT, 1L) &&
         set(transfer, CURLOPT_PROTOCOLS_STR, "http,https") && set(transfer, CURLOPT_URL, request.url) &&
         set(transfer, CURLOPT_PATH_AS_IS, 1L) && set(transfer, CURLOPT_FOLLOWLOCATION, 0L) &&
         set(transfer, CURLOPT_PROXY, request.proxy) && set(transfer, CURLOPT_NOPROXY, "") &&
         set(transfer, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) &&
         // One request, one connection: one that is cut costs one answer. The services gain nothing from HTTP/2.
         set(transfer, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1)) &&
         set(transfer, CURLOPT_CONNECTTIMEOUT_MS, request.connect_deadline_ms) &&
         set(transfer, CURLOPT_TIMEOUT_MS, request.answer_deadline_ms) &&
         set(transfer, CURLOPT_OPENSOCKETFUNCTION, open_socket) &&
         set(transfer, CURLOPT_HEADERFUNCTION, head_arrived) && set(transfer, CURLOPT_HEADERDATA, &transfer) &&
         set(transfer, CURLOPT_WRITEFUNCTION, body_arrived) && set(transfer, CURLOPT_WRITEDATA, &transfer) &&
         set_trust(transfer, request) && set_method(transfer, request) && set_headers(transfer, request);
}

SopsHttpEnd timeout_kind(CURL* easy) {
  curl_off_t lookup = 0, ready = 0;
  curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &lookup);
  curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
  if (lookup == 0) return kSopsHttpNoNameServer;
  return ready == 0 ? kSopsHttpNotConnected : kSopsHttpTimedOut;
}

SopsHttpEnd end_of(const Transfer& transfer, CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return kSopsHttpAnswered;
    case CURLE_COULDNT_RESOLVE_HOST:
      return kSopsHttpNoSuchHost;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
      return kSopsHttpProxyRefused;
    case CURLE_COULDNT_CONNECT:
      return kSopsHttpNotConnected;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return kSopsHttpBadCertificate;
    case CURLE_SSL_CONNECT_ERROR:
      return kSopsHttpNoTls;
    case CURLE_OPERATION_TIMEDOUT:
      return timeout_kind(transfer.easy.get());
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
      return kSopsHttpCut;
    case CURLE_RECV_ERROR: {  // also what libcurl says of a proxy that answers CONNECT with a refusal
      long connect_status = 0;
      curl_easy_getinfo(transfer.easy.get(), CURLINFO_HTTP_CONNECTCODE, &connect_status);
      return connect_status >= 300 ? kSopsHttpProxyRefused : kSopsHttpCut;
    }
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
      return kSopsHttpNoHttp;
    case CURLE_WRITE_ERROR:
      return kSopsHttpBrokenOff;
    case CURLE_URL_MALFORMAT:
      return kSopsHttpBadUrl;
    default:
      return kSopsHttpFailed;
  }
}

// ---- the table

void* open_session(int wake) {
  if (!start_curl()) return nullptr;
  auto session = std::make_unique<Session>();
  session->multi = make_multi();
  session->wake = wake;
  if (session->multi != nullptr) curl_multi_setopt(session->multi, CURLMOPT_MAXCONNECTS, kMostConnections);
  return session->multi != nullptr ? session.release() : nullptr;
}

int submit(void* user, const SopsHttpRequest* request) {
  auto* session = static_cast<Session*>(user);
  auto transfer = std::make_unique<Transfer>();
  transfer->easy.reset(curl_easy_init());
  transfer->owner = request->owner;
  transfer->on_head = request->on_head;
  transfer->on_body = request->on_body;
  if (!transfer->easy || !set_all(*transfer, *request)) return 0;
  if (curl_multi_add_handle(session->multi, transfer->easy.get()) != CURLM_OK) return 0;
  session->transfers.push_back(std::move(transfer));
  return 1;
}

int poll_session(void* user, SopsHttpDone* done) {
  auto* session = static_cast<Session*>(user);
  for (;;) {
    int running = 0;
    curl_multi_perform(session->multi, &running);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(session->multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      const CURL* easy = message->easy_handle;
      const auto transfer = session->take([&](const auto& one) { return one->easy.get() == easy; });
      if (!transfer) continue;
      done->owner = transfer->owner;
      done->end = end_of(*transfer, code);
      const char* reason = transfer->reason[0] != '\0' ? transfer->reason : curl_easy_strerror(code);
      long error = 0;  // the system's words are better than "Couldn't connect to server"
      curl_easy_getinfo(transfer->easy.get(), CURLINFO_OS_ERRNO, &error);
      if (code == CURLE_COULDNT_CONNECT && error != 0) reason = strerror(static_cast<int>(error));
      strncpy(done->reason, code == CURLE_OK ? "" : reason, sizeof done->reason - 1);
      done->reason[sizeof done->reason - 1] = '\0';
      return 1;
    }
    curl_waitfd wake = {.fd = session->wake, .events = CURL_WAIT_POLLIN, .revents = 0};
    curl_multi_poll(session->multi, &wake, 1, kLongest, nullptr);
    if (wake.revents != 0) return 0;
  }
}

void cancel(void* user, void* owner) {
  static_cast<Session*>(user)->take([&](const auto& one) { return one->owner == owner; });
}

void close_session(void* user) { const std::unique_ptr<Session> session(static_cast<Session*>(user)); }

constexpr SopsHttpTable kTable = {
    .version = kSopsHttpVersion,
    .open = open_session,
    .submit = submit,
    .poll = poll_session,
    .cancel = cancel,
    .close = close_session,
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const SopsHttpTable* sops_http_table() { return &kTable; }
