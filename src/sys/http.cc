// SPDX-License-Identifier: MPL-2.0
//
// The program's side of the network. A thread of its own drives the module (http_curl/module.h); send() hands it a job
// and waits. The module is opened for the first request and never closed.
//
//   send() ──job──► waiting_ ──submit──► module ──callbacks──► job ──finish──► send()
#include "sys/http.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/parallel.h"
#include "base/path.h"
#include "sys/http_curl/module.h"
#include "sys/posix.h"
#include "sys/proxy.h"
#include "sys/real_parts.h"
#include "sys/tls_roots.h"

namespace sops {

std::string_view find_header(std::span<const HttpHeader> headers, std::string_view name) {
  const std::string wanted = to_lower(name);
  for (const HttpHeader& header : headers) {
    if (to_lower(header.name) == wanted) return header.value;
  }
  return {};
}

namespace {

constexpr size_t kMostForHost = 8;        // requests at once (keys.md 3.3)
constexpr size_t kHeadLimit = 64 * 1024;  // bytes of an answer's head
constexpr std::string_view kModule = "sops_http.so";

// ---- the module

// Where the program itself lies. From argv[0] or PATH it could not be told: those are the caller's words.
std::string program_folder() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return size > 0 ? dirname(std::string(path, static_cast<size_t>(size))) : std::string();
}

Failure cannot_load(std::string_view path, std::string_view why) {
  return fail(ErrorCode::kUnsupported, "the network module {} cannot be loaded: {}", escape_for_message(path),
              escape_for_message(why))
      .hint("it needs libcurl: apt-get install libcurl4");
}

// A module that a stranger put beside the program shall not run: it belongs to root, to whom the program belongs, or to
// us, and not everybody may write it.
bool is_trustworthy(const struct stat& module) {
  struct stat program;
  if ((module.st_mode & S_IWOTH) != 0 || !S_ISREG(module.st_mode)) return false;
  if (module.st_uid == 0 || module.st_uid == geteuid()) return true;
  return stat("/proc/self/exe", &program) == 0 && program.st_uid == module.st_uid;
}

// In two places relative to the program and nowhere else: installed, and in the build tree.
Result<const SopsHttpTable*> load_module() {
  const std::string folder = program_folder();
  for (const std::string_view place : {std::string_view(SOPS_HTTP_INSTALLED), kModule}) {
    const std::string path = format("{}/{}", folder, place);
    const posix::Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
      if (errno == ENOENT) continue;
      return cannot_load(path, posix::error_text(errno));
    }
    struct stat info;
    if (folder.empty() || fstat(file.get(), &info) != 0 || !is_trustworthy(info))
      return cannot_load(path, "somebody else may write it");
    // By its descriptor: the very file that was looked at.
    void* library = dlopen(format("/proc/self/fd/{}", file.get()).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return cannot_load(path, dlerror());
    const auto table_function = reinterpret_cast<SopsHttpTableFunction>(dlsym(library, SOPS_HTTP_TABLE));
    const SopsHttpTable* table = table_function != nullptr ? table_function() : nullptr;
    if (table == nullptr || table->version != kSopsHttpVersion)
      return cannot_load(path, "it belongs to another version of sops");
    return table;
  }
  return fail(ErrorCode::kUnsupported, "the network module {} is missing: it is neither in {} nor at {}/{}", kModule,
              escape_for_message(folder), escape_for_message(folder), SOPS_HTTP_INSTALLED)
      .hint("it is installed with sops: install the package sops again, and libcurl4");
}

// ---- one request

// Lives in the thread that sends; between `waiting` and `is_done` it belongs to the loop's thread.
struct Job {
  const HttpRequest& request;
  HttpTarget target;
  std::optional<ProxyRules::Proxy> proxy;
  SecureBuffer lines;                     // "Name: value", each with its NUL
  std::vector<const char*> header_lines;  // into `lines`, and a null
  bool is_running = false;

  HttpAnswer answer;
  SecureBuffer body;
  size_t head_size = 0;
  bool has_whole_head = false;    // libcurl takes the end of a connection for the end of a head
  const char* refused = nullptr;  // why a callback broke it off
  ErrorCode refused_as = ErrorCode::kUnsupported;

  bool is_cancelled = false;
  bool is_done = false;
  SopsHttpDone done{};
  std::condition_variable finished;

  explicit Job(const HttpRequest& its_request) : request(its_request) {}
};

// "HTTP/1.1 200 OK"
std::optional<int> parse_status(std::string_view line) {
  const size_t blank = line.find(' ');
  if (!line.starts_with("HTTP/") || blank == std::string_view::npos || line.size() < blank + 4) return std::nullopt;
  int status = 0;
  for (const char c : line.substr(blank + 1, 3)) {
    if (c < '0' || c > '9') return std::nullopt;
    status = status * 10 + (c - '0');
  }
  return status;
}

int refuse(Job& job, ErrorCode code, const char* why) {
  job.refused = why;
  job.refused_as = code;
  return 0;
}

int head_arrived(void* owner, const char* bytes, size_t size) {
  Job& job = *static_cast<Job*>(owner);
  const std::string_view line = trim({bytes, size});
  job.head_size += size;
  if (job.head_size > kHeadLimit) return refuse(job, ErrorCode::kUnsupported, "sends too long a head");
  job.has_whole_head = line.empty();
  if (line.starts_with("HTTP/")) {  // the head of the answer itself may follow that of a 100
    const auto status = parse_status(line);
    if (!status) return refuse(job, ErrorCode::kMalformed, "does not answer in HTTP");
    job.answer.status = *status;
    job.answer.headers.clear();
    return 1;
  }
  if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
    job.answer.headers.push_back(
        {.name = std::string(trim(line.substr(0, colon))), .value = std::string(trim(line.substr(colon + 1)))});
  }
  return 1;
}

int body_arrived(void* owner, const char* bytes, size_t size) {
  Job& job = *static_cast<Job*>(owner);
  if (size > job.request.answer_limit - job.body.size())
    return refuse(job, ErrorCode::kUnsupported, "sends a longer answer than any that makes sense");
  job.body.append({bytes, size});
  return 1;
}

// Nothing in a header may begin another one.
bool is_header_text(std::string_view text) {
  return std::ranges::none_of(text,
                              [](char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 127; });
}

Result<void> add_header_lines(Job& job) {
  for (const HttpHeader& header : job.request.headers) {
    const bool is_name = !header.name.empty() && header.name.find_first_of(" \t:") == std::string::npos;
    if (!is_name || !is_header_text(header.name) || !is_header_text(header.value))
      return fail(ErrorCode::kMalformed, "the header '{}' is none", escape_for_message(header.name));
  }
  std::vector<size_t> beginnings;
  for (const HttpHeader& header : job.request.headers) {
    beginnings.push_back(job.lines.size());
    job.lines.append(header.name);
    // libcurl takes "Name:" for the wish not to send that header, and "Name;" for an empty one.
    job.lines.append(header.value.empty() ? ";" : ": ");
    job.lines.append(header.value);
    job.lines.append(1, '\0');
  }
  for (const size_t beginning : beginnings) job.header_lines.push_back(job.lines.view().data() + beginning);
  job.header_lines.push_back(nullptr);
  return {};
}

std::string shown_seconds(std::chrono::milliseconds time) {
  return time.count() % 1000 == 0 ? format("{} s", time.count() / 1000) : format("{} ms", time.count());
}

// What became of a job that brought no answer.
Failure failure_of(const Job& job, const TlsRoots& roots) {
  const std::string host = escape_for_message(job.target.shown());
  const std::string via = job.proxy ? format(" through {}", escape_for_message(job.proxy->shown)) : "";
  const std::string reason = escape_for_message(job.done.reason);
  const std::string connect = shown_seconds(job.request.connect_deadline);
  const auto unavailable = [](std::string text) { return fail(ErrorCode::kUnavailable, "{}", text); };
  if (job.refused != nullptr) return fail(job.refused_as, "{} {}", host, job.refused);
  if (job.is_cancelled) return unavailable(format("the request to {} was given up", host));
  switch (job.done.end) {
    case kSopsHttpNoSuchHost:
      return unavailable(format("the name server does not know {}, or cannot tell", host));
    case kSopsHttpNoNameServer:
      return unavailable(format("no name server told within {} where {} is", connect, job.proxy ? "the proxy" : host));
    case kSopsHttpNotConnected:
      return unavailable(format("cannot connect to {}{}: {}", host, via, reason));
    case kSopsHttpBadCertificate: {
      const std::string hint =
          !job.request.ca_bundle.empty() ? "the trusted certificates are in " + job.request.ca_bundle
          : !roots.problem.empty()       ? roots.problem
                                         : "a file with more trusted certificates is named by SSL_CERT_FILE";
      return fail(ErrorCode::kDenied, "{}{} is not trusted: {}", host, via, reason).hint(hint);
    }
    case kSopsHttpNoTls:
      return unavailable(format("{}{} does not agree on TLS: {}", host, via, reason));
    case kSopsHttpProxyRefused:
      return unavailable(format("cannot reach {}{}: {}", host, via, reason));
    case kSopsHttpTimedOut:
      return unavailable(
          format("{}{} did not answer within {}", host, via, shown_seconds(job.request.answer_deadline)));
    case kSopsHttpCut:
      return unavailable(format("{}{} ended the connection too early: {}", host, via, reason));
    case kSopsHttpNoHttp:
      return fail(ErrorCode::kMalformed, "{}{} does not answer in HTTP: {}", host, via, reason);
    case kSopsHttpBadUrl:
      return fail(ErrorCode::kMalformed, "'{}' is no URL", escape_for_message(job.request.url));
    default:
      return unavailable(format("the request to {}{} failed: {}", host, via, reason));
  }
}

// ---- the loop

class RealHttp final : public Http {
 public:
  RealHttp(Files& files, Environment& environment) : files_(files), environment_(environment) {}
  ~RealHttp() override;

  Result<HttpAnswer> send(const HttpRequest& request, std::stop_token stop) override;

 private:
  Result<void> start();
  void wake() const;
  void run();
  void look_at_jobs();
  void submit(Job& job);
  void finish(Job& job);
  size_t running_for(const HttpTarget& target) const;

  Files& files_;
  Environment& environment_;

  std::mutex mutex_;  // guards what follows, and each job's is_cancelled and is_done
  std::optional<Result<void>> started_;
  std::vector<Job*> jobs_;  // oldest first
  bool is_closing_ = false;

  // Set by start(), then read only.
  const SopsHttpTable* table_ = nullptr;
  void* session_ = nullptr;
  posix::Descriptor wake_;
  ProxyRules proxies_;
  TlsRoots roots_;
  std::jthread thread_;
};

RealHttp::~RealHttp() {
  if (session_ == nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
  }
  wake();
  thread_.join();
  table_->close(session_);
}

Result<void> RealHttp::start() {
  const std::lock_guard lock(mutex_);
  if (started_) return *started_;
  const auto try_to = [this]() -> Result<void> {
    table_ = TRY(load_module());
    wake_ = posix::Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    session_ = wake_ ? table_->open(wake_.get()) : nullptr;
    if (session_ == nullptr) return fail(ErrorCode::kUnsupported, "the network module {} cannot start", kModule);
    proxies_ = ProxyRules::read(environment_);
    roots_ = find_tls_roots(files_, environment_);
    thread_ = start_thread([this] { run(); });
    return {};
  };
  started_ = try_to();
  return *started_;
}

void RealHttp::wake() const {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t ignored = write(wake_.get(), &one, sizeof one);  // full is awake enough
}

size_t RealHttp::running_for(const HttpTarget& target) const {
  return static_cast<size_t>(std::ranges::count_if(jobs_, [&](const Job* job) {
    return job->is_running && job->target.host == target.host && job->target.port == target.port;
  }));
}

void RealHttp::submit(Job& job) {
  const HttpRequest& request = job.request;
  const bool own_bundle = !request.ca_bundle.empty();
  const std::string& file = own_bundle ? request.ca_bundle : roots_.file;
  const bool has_folders = !own_bundle && !roots_.folders.empty();
  const SopsHttpRequest asked = {
      .owner = &job,
      .method = request.method.c_str(),
      .url = request.url.c_str(),
      .header_lines = job.header_lines.data(),
      .body = request.body.expose_text().data() != nullptr ? request.body.expose_text().data() : "",
      .body_size = request.body.size(),
      .proxy = job.proxy ? job.proxy->url.c_str() : "",
      .ca_file = file.empty() ? nullptr : file.c_str(),
      .ca_folder = has_folders ? roots_.folders.c_str() : nullptr,
      .connect_deadline_ms = std::max<long>(1, request.connect_deadline.count()),
      .answer_deadline_ms = std::max<long>(1, request.answer_deadline.count()),
      .on_head = head_arrived,
      .on_body = body_arrived,
  };
  job.is_running = table_->submit(session_, &asked) != 0;
  if (!job.is_running) {
    job.done.end = kSopsHttpFailed;
    finish(job);
  }
}

void RealHttp::finish(Job& job) {
  std::erase(jobs_, &job);
  job.is_done = true;
  job.finished.notify_one();  // under the lock: the job dies with the thread that waits
}

void RealHttp::look_at_jobs() {
  for (Job* job : std::vector(jobs_)) {
    if (job->is_cancelled) {
      if (job->is_running) table_->cancel(session_, job);
      finish(*job);
    } else if (!job->is_running && running_for(job->target) < kMostForHost) {
      submit(*job);
    }
  }
}

void RealHttp::run() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      uint64_t count = 0;
      [[maybe_unused]] const ssize_t ignored = read(wake_.get(), &count, sizeof count);
      if (is_closing_) return;
      look_at_jobs();
    }
    SopsHttpDone done{};
    if (table_->poll(session_, &done) == 0) continue;
    const std::lock_guard lock(mutex_);
    Job& job = *static_cast<Job*>(done.owner);
    job.done = done;
    if (done.end == kSopsHttpAnswered && !job.has_whole_head) job.done.end = kSopsHttpCut;
    if (job.done.end == kSopsHttpAnswered) job.is_cancelled = false;
    finish(job);
  }
}

Result<HttpAnswer> RealHttp::send(const HttpRequest& request, std::stop_token stop) {
  Job job(request);
  job.target = TRY(parse_http_url(request.url));
  const bool is_method =
      !request.method.empty() && std::ranges::all_of(request.method, [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!is_method) return fail(ErrorCode::kMalformed, "'{}' is no method", escape_for_message(request.method));
  TRY(add_header_lines(job));
  TRY(start());
  if (!request.bypass_proxy) job.proxy = TRY(proxies_.proxy_for(job.target));
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(&job);
  }
  wake();
  {
    const std::stop_callback give_up(stop, [&] {
      {
        const std::lock_guard lock(mutex_);
        job.is_cancelled = !job.is_done;
      }
      wake();
    });
    std::unique_lock lock(mutex_);
    job.finished.wait(lock, [&] { return job.is_done; });
  }
  if (job.is_cancelled || job.done.end != kSopsHttpAnswered) return failure_of(job, roots_);
  job.answer.body = job.body.take();
  return std::move(job.answer);
}

}  // namespace

std::unique_ptr<Http> make_real_http(Files& files, Environment& environment) {
  return std::make_unique<RealHttp>(files, environment);
}

}  // namespace sops
