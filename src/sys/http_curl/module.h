// SPDX-License-Identifier: MPL-2.0
//
// The table of C functions between the program and its network module sops_http.so, the only thing that links libcurl
// (architecture.md 3, keys.md 3.1). The program opens the module with dlopen for the first request, so whoever needs no
// network pays nothing for it. No C++ object and no exception crosses the table, and no memory changes its owner:
// strings are borrowed for the length of a call, answers are handed over piece by piece as they come.
//
// A session belongs to one thread. Another thread that wants something writes to the descriptor that open() was given.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {

/// Must be equal on both sides: a module of another release is refused.
enum { kSopsHttpVersion = 1 };

/// The name of the function below, as dlsym takes it.
#define SOPS_HTTP_TABLE "sops_http_table"

/// One request. Texts end with NUL; those that may be absent are then null.
struct SopsHttpRequest {
  void* owner;  // comes back in the callbacks and in SopsHttpDone
  const char* method;
  const char* url;
  const char* const* header_lines;  // "Name: value", the last one null
  const char* body;                 // must live until the request is done or cancelled
  size_t body_size;
  const char* proxy;      // URL as curl takes it; "" for none
  const char* ca_file;    // PEM bundle or null
  const char* ca_folder;  // folders of certificates named by hash, with ':' between them, or null
  long connect_deadline_ms;
  long answer_deadline_ms;

  /// A line of the answer's head: the status line (which begins a new head: there may be several), a field, or the
  /// empty line at the end. A result of 0 breaks the request off.
  int (*on_head)(void* owner, const char* line, size_t size);
  /// A piece of the body. A result of 0 breaks the request off.
  int (*on_body)(void* owner, const char* bytes, size_t size);
};

/// How a request ended.
enum SopsHttpEnd {
  kSopsHttpAnswered,
  kSopsHttpNoSuchHost,      // the name server says so
  kSopsHttpNoNameServer,    // it said nothing, or that it cannot tell now
  kSopsHttpNotConnected,    // refused, unreachable, or no connection (with TLS) in time
  kSopsHttpBadCertificate,  // the peer's, or the trusted ones cannot be read
  kSopsHttpNoTls,           // any other failure of TLS
  kSopsHttpProxyRefused,    // the proxy, or what was taken for one
  kSopsHttpTimedOut,        // connected, but the answer did not come in time
  kSopsHttpCut,             // the connection ended too early
  kSopsHttpNoHttp,          // what came is no HTTP
  kSopsHttpBrokenOff,       // by a callback
  kSopsHttpBadUrl,
  kSopsHttpFailed,  // anything else
};

struct SopsHttpDone {
  void* owner;
  int end;           // SopsHttpEnd
  char reason[256];  // in words of libcurl or of the system; may be empty
};

struct SopsHttpTable {
  uint32_t version;
  /// A session, or null. `wake` is a descriptor that becomes readable when poll() shall return.
  void* (*open)(int wake);
  /// Starts a request. False if there is no memory or the request is none.
  int (*submit)(void* session, const struct SopsHttpRequest* request);
  /// Works until a request is done (1: `done` is filled) or the descriptor is readable (0).
  int (*poll)(void* session, struct SopsHttpDone* done);
  /// Forgets the request of `owner` at once; no callback and no poll() names it again.
  void (*cancel)(void* session, void* owner);
  void (*close)(void* session);
};

typedef const struct SopsHttpTable* (*SopsHttpTableFunction)(void);

}  // extern "C"
