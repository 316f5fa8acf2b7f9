// SPDX-License-Identifier: MPL-2.0
//
// Sends a request until it is answered or there is no sense in going on: dates and signs each attempt, waits between
// them, corrects for a wrong clock, and tells a service's refusal from its answer. Knows no credentials but those it is
// given. Source: ../shared/spec/keys-aws.md 4.3, 5.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/aws/client.h"
#include "cloud/aws/credentials.h"
#include "cloud/aws/settings.h"
#include "sys/http.h"

namespace sops::aws {

using Milliseconds = std::chrono::milliseconds;

/// What a run has learned of the hosts it talks to. Any thread.
class Hosts {
 public:
  /// How far a host's clock is ahead of ours; 0 unless it matters.
  Milliseconds skew(const std::string& host);
  void set_skew(const std::string& host, Milliseconds skew);

  /// Takes the cost of a retry from the host's allowance (500); false if that is used up. (keys-aws.md 5.1)
  bool take(const std::string& host, int cost);
  void give_back(const std::string& host, int amount);

 private:
  struct Host {
    Milliseconds skew{0};
    int allowance = 500;
  };
  std::mutex mutex_;
  std::map<std::string, Host> hosts_;
};

/// The time that one key may take (keys.md 1.8). What a person or program takes does not count: it is added. One
/// object belongs to one thread.
class Deadline {
 public:
  Deadline(Clock& clock, Milliseconds total) : clock_(&clock), total_(total), end_(clock.steady_now() + total) {}

  Milliseconds left() const { return std::chrono::ceil<Milliseconds>(end_ - clock_->steady_now()); }
  /// For the whole answer to one request: half of the key's time (10 s), as far as there is so much left.
  Milliseconds for_answer() const { return std::min(total_ / 2, std::max(left(), Milliseconds(1))); }
  /// For connecting: 3 s, as far as there is so much left.
  Milliseconds for_connecting() const { return std::min(Milliseconds(3000), for_answer()); }

  /// Adds the time since `start`.
  void excuse(std::chrono::steady_clock::time_point start) { end_ += clock_->steady_now() - start; }

  Clock& clock() const { return *clock_; }

 private:
  Clock* clock_;
  Milliseconds total_;
  std::chrono::steady_clock::time_point end_;
};

/// Everything that one call works with. Borrows all of it.
struct Context {
  Services& services;
  const Settings& settings;
  Hosts& hosts;
  Deadline& deadline;
  std::string region;     // where STS is asked
  std::string partition;  // of the region
  bool may_ask = true;
  std::stop_token stop;
};

/// How a service tells a refusal.
enum class Protocol { kJson, kXml };

/// A request before it is dated and signed.
struct Outgoing {
  std::string method = "POST";
  std::string url;
  std::vector<HttpHeader> headers;
  SecureBytes body;
  const Credentials* credentials = nullptr;  // null: not signed
  std::string region;                        // these two for signing
  std::string service;
  Protocol protocol = Protocol::kJson;
  int attempts = 3;
  bool retries_clock = true;                    // once more with the host's time if ours is wrong
  bool is_local = false;                        // a metadata or container service: no proxy
  std::vector<std::string_view> retried_codes;  // besides the usual ones
  std::optional<int> retried_status;            // besides the usual ones
  Milliseconds connect_limit{3000};
  Milliseconds answer_limit{600000};
  Milliseconds longest_delay{20000};
};

/// The last answer.
struct Incoming {
  HttpAnswer http;
  std::optional<Refusal> refusal;
  int attempts = 1;
  bool is_exhausted = false;  // it might have gone better with more attempts or time
  std::optional<Milliseconds>
      clock_error;  // how far the host's clock is ahead of the time we signed; nullopt if it did not say
};

/// Sends. Errors: those of Http::send for the last attempt, with the number of attempts; kUnavailable if the time is
/// up. A refusal is no error.
Result<Incoming> send(const Outgoing& outgoing, const Context& context);

/// What a service refused, as an error: the general words of keys-aws.md 9. `what` says what was to be done: "kms
/// Decrypt". `credentials` may be null.
Error refusal_error(std::string_view what, const Outgoing& outgoing, const Incoming& incoming,
                    const Credentials* credentials);

/// The time in a `Date` header, "Sun, 06 Nov 1994 08:49:37 GMT"; nullopt for anything else.
std::optional<WallTime> parse_http_date(std::string_view text);

/// A time as RFC 3339 has it, also with a fraction, and with "UTC" for "Z" as old tools write; nullopt for anything
/// else.
std::optional<WallTime> parse_time(std::string_view text);

}  // namespace sops::aws
