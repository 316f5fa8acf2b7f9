// SPDX-License-Identifier: MPL-2.0
//
// Temporary credentials of a run: fetched once however many threads want them, and again shortly before they expire
// (keys.md 3.3). Any thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/error.h"
#include "cloud/aws/credentials.h"
#include "cloud/aws/transport.h"

namespace sops::aws {

class CredentialCache {
 public:
  /// The credentials of `key`, or what `fetch` brings. While one thread fetches, others wait for the same result,
  /// which does not count against their deadline. A failure is told to those who waited and for 5 s to those who come
  /// later, but not to somebody who may ask a person where that was what was missing.
  Result<Credentials> get(const std::string& key, const Context& context,
                          const std::function<Result<Credentials>()>& fetch);

  /// Remembers why asking a person for `key` did not help, so that nobody is asked again (keys.md 3.4).
  void give_up(const std::string& key, Error why);
  std::optional<Error> why_given_up(const std::string& key);

 private:
  struct Failure {
    Error error;
    bool might_have_asked;
    std::chrono::steady_clock::time_point until;
  };
  struct Entry {
    bool is_fetching = false;
    std::optional<Credentials> value;
    std::optional<Failure> failure;
  };

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, Error> given_up_;
};

}  // namespace sops::aws
