// SPDX-License-Identifier: MPL-2.0
#include "cloud/aws/transport.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/rfc3339.h"
#include "base/text.h"
#include "base/url.h"
#include "cloud/aws/sigv4.h"
#include "cloud/aws/xml.h"
#include "sys/notes.h"
#include "sys/run_state.h"

namespace sops::aws {

namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kFullAllowance = 500;
constexpr int kRetryCost = 5;
constexpr int kTimeoutCost = 10;

// The range of system_clock in nanoseconds ends in 2262.
constexpr int kFirstYear = 1970;
constexpr int kLastYear = 2200;

// keys-aws.md 5.3: a difference below it does not explain a refusal, and one request tells nothing that took longer.
constexpr minutes kTolerableSkew(4);
constexpr minutes kLongestRequest(15);

bool is_one_of(std::string_view code, std::span<const std::string_view> codes) {
  return std::ranges::find(codes, code) != codes.end();
}

constexpr std::string_view kThrottled[] = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "RequestThrottled",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
};
constexpr std::string_view kSlow[] = {"RequestTimeout", "RequestTimeoutException"};

// Codes that a wrong clock can explain.
constexpr std::string_view kClock[] = {
    "RequestExpired",        "RequestInTheFuture", "RequestTimeTooSkewed", "InvalidSignatureException",
    "SignatureDoesNotMatch", "AuthFailure",        "AccessDeniedException"};

bool is_retried(const Refusal& refusal, const Outgoing& outgoing) {
  const bool by_status = refusal.status == 500 || refusal.status == 502 || refusal.status == 503 ||
                         refusal.status == 504 || refusal.status == outgoing.retried_status;
  return by_status || is_one_of(refusal.code, kThrottled) || is_one_of(refusal.code, kSlow) ||
         is_one_of(refusal.code, outgoing.retried_codes);
}

// "cut at the first `:`, then keep what follows the first `#`" (keys-aws.md 4.3)
std::string clean_code(std::string_view code) {
  code = code.substr(0, code.find(':'));
  if (const size_t hash = code.find('#'); hash != std::string_view::npos) code = code.substr(hash + 1);
  return std::string(code);
}

std::string request_id(const HttpAnswer& answer) {
  for (const char* name : {"X-Amzn-RequestId", "X-Amz-RequestId", "X-Amz-Request-Id"}) {
    if (!answer.header(name).empty()) return std::string(answer.header(name));
  }
  return {};
}

// An endpoint of another make may refuse in XML where JSON is due, so the other form is tried too (moto does, AWS's
// front ends for other services do).
Refusal read_xml_refusal(const HttpAnswer& answer) {
  Refusal refusal{.status = answer.status, .request_id = request_id(answer)};
  const auto xml = Xml::parse(answer.body.expose_text());
  if (!xml) return refusal;
  refusal.code = std::string(xml->text("Error/Code"));
  refusal.message = std::string(xml->text("Error/Message"));
  if (refusal.code.empty()) refusal.code = std::string(xml->text("Code"));
  if (refusal.request_id.empty()) refusal.request_id = std::string(xml->text("RequestId"));
  if (refusal.request_id.empty()) refusal.request_id = std::string(xml->text("RequestID"));
  return refusal;
}

Refusal read_json_refusal(const HttpAnswer& answer) {
  Refusal refusal{.status = answer.status, .request_id = request_id(answer)};
  refusal.code = clean_code(answer.header("X-Amzn-ErrorType"));
  const auto json = Json::parse(answer.body.clone());
  if (!json) return refusal.code.empty() ? read_xml_refusal(answer) : refusal;
  const auto first = [&](std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) {
      if (const auto text = json->text(name); text && !text->empty()) return std::string(*text);
    }
    return std::string();
  };
  // `error` and `error_description` are those of OAuth, which the sign-in services speak.
  if (refusal.code.empty()) refusal.code = clean_code(first({"__type", "code", "error"}));
  refusal.message = first({"message", "Message", "error_description"});
  return refusal;
}

// keys-aws.md 5.3: "measured from the middle of the request; ignored when an Age header is present or the request took
// > 15 min".
std::optional<Milliseconds> observed_skew(const HttpAnswer& answer, WallTime before, WallTime after) {
  const auto date = parse_http_date(answer.header("Date"));
  if (!date || !answer.header("Age").empty() || after - before > kLongestRequest) return std::nullopt;
  return std::chrono::round<Milliseconds>(*date - (before + (after - before) / 2));
}

bool is_intolerable(Milliseconds skew) { return skew > kTolerableSkew || skew < -kTolerableSkew; }

std::string describe_skew(Milliseconds skew) {
  const auto whole = std::chrono::round<seconds>(skew < Milliseconds(0) ? -skew : skew);
  const std::string amount = whole < minutes(2) ? format("{} seconds", whole.count())
                                                : format("{} minutes", std::chrono::round<minutes>(whole).count());
  return format("{} {}", amount, skew > Milliseconds(0) ? "behind" : "ahead of");
}

// "uniform random in [0,1) × 2^n seconds, at most 20 s"
Milliseconds delay_after(int attempt, Random& random) {
  std::array<uint8_t, 4> bytes;
  random.fill(bytes);
  const double fraction = (bytes[0] + bytes[1] * 256.0 + bytes[2] * 65536.0 + bytes[3] * 16777216.0) / 4294967296.0;
  return Milliseconds(static_cast<int64_t>(fraction * 1000.0 * std::exp2(std::min(attempt, 10))));
}

class Sender {
 public:
  Sender(const Outgoing& outgoing, const Context& context, std::string host)
      : outgoing_(outgoing), context_(context), host_(std::move(host)) {
    const auto disabled = environment_text(context.settings.environment(), "AWS_DISABLE_CLOCK_SKEW_CORRECTION");
    uses_host_clock_ = to_lower(disabled.value_or("")) != "true";
    may_correct_clock_ = uses_host_clock_ && outgoing.retries_clock && outgoing.credentials != nullptr;
  }

  Result<Incoming> run() {
    for (int attempt = 1;; ++attempt) {
      if (context_.stop.stop_requested())
        return fail(ErrorCode::kUnavailable, "given up: the answer of another key came first");
      if (context_.deadline.left() <= Milliseconds(0))
        return fail(ErrorCode::kUnavailable, "the time is up, nothing was sent to {}", host_);
      Result<Incoming> incoming = try_once();
      if (incoming) incoming->attempts = attempt;
      if (incoming && !incoming->refusal) {
        context_.hosts.give_back(host_, attempt > 1 ? kRetryCost : 1);
        return incoming;
      }
      const bool again =
          incoming ? is_retried(*incoming->refusal, outgoing_) : incoming.error().code == ErrorCode::kUnavailable;
      if (incoming && may_correct_clock_ && may_be_the_clock(*incoming)) {
        may_correct_clock_ = false;  // "once per operation"
        continue;
      }
      if (!again || context_.stop.stop_requested()) return incoming;
      if (!wait(attempt, incoming.has_value())) {
        if (incoming) incoming->is_exhausted = true;
        if (!incoming && attempt > 1) incoming.error().message += format(" ({} attempts)", attempt);
        return incoming;
      }
    }
  }

 private:
  Result<Incoming> try_once() {
    HttpRequest request;
    request.method = outgoing_.method;
    request.url = outgoing_.url;
    request.headers = outgoing_.headers;
    request.headers.push_back({"User-Agent", "sops"});
    request.body = outgoing_.body.clone();
    request.connect_deadline = std::min(outgoing_.connect_limit, context_.deadline.for_connecting());
    request.answer_deadline = std::min(outgoing_.answer_limit, context_.deadline.for_answer());
    request.bypass_proxy = outgoing_.is_local;
    if (!outgoing_.is_local) request.ca_bundle = context_.settings.text("AWS_CA_BUNDLE", "ca_bundle");
    Clock& clock = context_.services.clock;
    const WallTime before = clock.now();
    applied_skew_ = uses_host_clock_ ? context_.hosts.skew(host_) : Milliseconds(0);
    if (outgoing_.credentials != nullptr) sign_request(request, before + applied_skew_);

    Incoming incoming;
    incoming.http = TRY(context_.services.http.send(request, context_.stop));
    const HttpAnswer& answer = incoming.http;
    if (answer.status >= 300) {
      incoming.refusal = outgoing_.protocol == Protocol::kXml ? read_xml_refusal(answer) : read_json_refusal(answer);
    }
    const auto skew = observed_skew(answer, before, clock.now());
    if (skew) incoming.clock_error = *skew - applied_skew_;
    if (skew && !outgoing_.is_local) {
      const bool matters = is_intolerable(*skew);
      context_.hosts.set_skew(host_, matters ? *skew : Milliseconds(0));
      if (matters) {
        context_.services.run.get<Notes>().add(
            Note::Kind::kWarning, format("the clock of this machine is {} that of {}", describe_skew(*skew), host_));
      }
    }
    return incoming;
  }

  // User-Agent is not signed: a proxy may change it.
  void sign_request(HttpRequest& request, WallTime time) {
    const HttpHeader user_agent = request.headers.back();
    request.headers.pop_back();
    request.headers.push_back({"X-Amz-Date", amz_date(time)});
    const Credentials& credentials = *outgoing_.credentials;
    if (!credentials.token.empty()) {
      request.headers.push_back({"X-Amz-Security-Token", std::string(credentials.token.expose_text())});
    }
    sign(request, {.access_key_id = credentials.access_key_id,
                   .secret = credentials.secret,
                   .region = outgoing_.region,
                   .service = outgoing_.service});
    request.headers.push_back(user_agent);
  }

  static bool may_be_the_clock(const Incoming& incoming) {
    return is_one_of(incoming.refusal->code, kClock) && incoming.clock_error && is_intolerable(*incoming.clock_error);
  }

  // False if there is no further attempt.
  bool wait(int attempt, bool was_answered) {
    if (attempt >= outgoing_.attempts) return false;
    const Milliseconds delay = std::min(delay_after(attempt, context_.services.random), outgoing_.longest_delay);
    if (delay >= context_.deadline.left()) return false;
    if (!context_.hosts.take(host_, was_answered ? kRetryCost : kTimeoutCost)) return false;
    context_.services.clock.sleep(delay, context_.stop);
    return true;
  }

  const Outgoing& outgoing_;
  const Context& context_;
  std::string host_;
  bool uses_host_clock_ = true;
  bool may_correct_clock_ = true;
  Milliseconds applied_skew_{0};
};

std::string host_of(std::string_view url) {
  const auto parts = split_url(url);
  return parts ? std::string(parts->authority) : std::string();
}

}  // namespace

Milliseconds Hosts::skew(const std::string& host) {
  const std::lock_guard lock(mutex_);
  return hosts_[host].skew;
}

void Hosts::set_skew(const std::string& host, Milliseconds skew) {
  const std::lock_guard lock(mutex_);
  hosts_[host].skew = skew;
}

bool Hosts::take(const std::string& host, int cost) {
  const std::lock_guard lock(mutex_);
  int& allowance = hosts_[host].allowance;
  if (allowance < cost) return false;
  allowance -= cost;
  return true;
}

void Hosts::give_back(const std::string& host, int amount) {
  const std::lock_guard lock(mutex_);
  int& allowance = hosts_[host].allowance;
  allowance = std::min(kFullAllowance, allowance + amount);
}

Result<Incoming> send(const Outgoing& outgoing, const Context& context) {
  return Sender(outgoing, context, host_of(outgoing.url)).run();
}

Error refusal_error(std::string_view what, const Outgoing& outgoing, const Incoming& incoming,
                    const Credentials* credentials) {
  const Refusal& refusal = *incoming.refusal;
  const std::string host = escape_for_message(host_of(outgoing.url));
  const std::string source = credentials != nullptr ? credentials->source : "";
  Error error{.code = ErrorCode::kDenied, .message = format("{} at {}: {}", what, host, to_string(refusal))};
  // What the codes say of credentials, they say of those that signed.
  const auto is = [&](std::initializer_list<std::string_view> codes) {
    return credentials != nullptr && std::ranges::find(codes, refusal.code) != codes.end();
  };
  if (is({"ExpiredToken", "ExpiredTokenException"})) {
    error.message = format("the session of {} has expired; {}", source, error.message);
    error.hint = "log in again (for example with aws sso login), or export new credentials";
  } else if (is({"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"})) {
    error.message = format("the access key {} of {} is not known there; {}",
                           escape_for_message(credentials->access_key_id), source, error.message);
    error.hint =
        "the key was deleted, or belongs to another partition or endpoint; a session key needs its session token";
  } else if (is({"InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired", "RequestInTheFuture",
                 "RequestTimeTooSkewed", "AuthFailure"})) {
    error.message = format("the signature with {} was not accepted; {}", source, error.message);
    if (!incoming.clock_error) {
      error.hint = "the secret access key is wrong, or the clock of this machine";
    } else if (is_intolerable(*incoming.clock_error)) {
      error.hint = format("the clock of this machine is {} that of {}: set it right",
                          describe_skew(*incoming.clock_error), host);
    } else {
      error.hint = "the secret access key is wrong; the time that was signed is that of the service";
    }
  } else if (incoming.is_exhausted || is_retried(refusal, outgoing)) {
    error.code = ErrorCode::kUnavailable;
    error.message += format(", after {} attempt{}", incoming.attempts, incoming.attempts == 1 ? "" : "s");
    if (is_one_of(refusal.code, kThrottled)) error.hint = "too many requests: try again later";
  } else if (refusal.status >= 500) {
    error.code = ErrorCode::kUnavailable;
  } else if (is({"AccessDenied", "AccessDeniedException"})) {
    error.hint = format("credentials: {}; their policy, or that of the key or role, does not allow it", source);
  } else if (refusal.status < 400) {
    error.code = ErrorCode::kUnavailable;
    error.message += ": redirects are not followed";
  }
  return error;
}

std::optional<WallTime> parse_http_date(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  constexpr std::string_view kShape = "aaa, 00 aaa 0000 00:00:00 GMT";
  if (text.size() != kShape.size()) return std::nullopt;
  for (size_t i = 0; i < kShape.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    if (kShape[i] == '0' ? !is_digit : kShape[i] != 'a' && text[i] != kShape[i]) return std::nullopt;
  }
  const auto number = [&](size_t begin, size_t size) {
    int value = 0;
    for (const char c : text.substr(begin, size)) value = value * 10 + (c - '0');
    return value;
  };
  const size_t month = kMonths.find(text.substr(8, 3));
  const std::chrono::year_month_day date(std::chrono::year(number(12, 4)),
                                         std::chrono::month(static_cast<unsigned>(month / 3 + 1)),
                                         std::chrono::day(static_cast<unsigned>(number(5, 2))));
  if (month == std::string_view::npos || month % 3 != 0 || !date.ok()) return std::nullopt;
  if (number(12, 4) < kFirstYear || number(12, 4) > kLastYear) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(number(17, 2)) + minutes(number(20, 2)) +
         seconds(number(23, 2));
}

std::optional<WallTime> parse_time(std::string_view text) {
  std::string zulu(text);
  if (text.ends_with("UTC")) zulu = format("{}Z", text.substr(0, text.size() - 3));
  const auto time = parse_rfc3339(zulu);
  if (!time) return std::nullopt;
  if (time->year < kFirstYear) return std::nullopt;
  // Some write the year 9999 for "never".
  const std::chrono::year_month_day date(std::chrono::year(std::min(time->year, kLastYear)),
                                         std::chrono::month(static_cast<unsigned>(time->month)),
                                         std::chrono::day(static_cast<unsigned>(time->day)));
  return std::chrono::sys_days(date) + std::chrono::hours(time->hour) + minutes(time->minute - time->offset_minutes) +
         seconds(time->second) +
         std::chrono::duration_cast<WallTime::duration>(std::chrono::nanoseconds(time->nanosecond));
}

}  // namespace sops::aws
