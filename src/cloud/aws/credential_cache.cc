// SPDX-License-Identifier: MPL-2.0
#include "cloud/aws/credential_cache.h"

namespace sops::aws {

namespace {

// keys.md 3.3: "fetched again 60 s before they expire".
constexpr std::chrono::seconds kRenewBefore(60);

// Long enough that a thousand files do not wait for the same failure one by one, short enough for somebody who logs in
// and tries again.
constexpr std::chrono::seconds kFailureLasts(5);

}  // namespace

Result<Credentials> CredentialCache::get(const std::string& key, const Context& context,
                                         const std::function<Result<Credentials>()>& fetch) {
  Clock& clock = context.services.clock;
  std::unique_lock lock(mutex_);
  Entry& entry = entries_[key];
  while (true) {
    if (entry.value && (!entry.value->expiry || clock.now() + kRenewBefore < *entry.value->expiry)) {
      return entry.value->clone();
    }
    if (entry.failure && clock.steady_now() < entry.failure->until) {
      const bool would_ask =
          context.may_ask && !entry.failure->might_have_asked && entry.failure->error.code == ErrorCode::kNeedsPerson;
      if (!would_ask) return fail(entry.failure->error);
    }
    if (!entry.is_fetching) break;
    const auto start = clock.steady_now();
    const bool is_done = changed_.wait(lock, context.stop, [&] { return !entry.is_fetching; });
    context.deadline.excuse(start);
    if (!is_done) return fail(ErrorCode::kUnavailable, "given up: the answer of another key came first");
  }

  entry.is_fetching = true;
  lock.unlock();
  Result<Credentials> fetched = fetch();
  lock.lock();
  entry.is_fetching = false;
  entry.failure.reset();
  if (fetched) {
    entry.value = fetched->clone();
  } else if (entry.value && clock.now() < *entry.value->expiry) {
    fetched = entry.value->clone();  // good for some seconds yet
  } else if (!context.stop.stop_requested()) {
    entry.value.reset();
    entry.failure = Failure{
        .error = fetched.error(), .might_have_asked = context.may_ask, .until = clock.steady_now() + kFailureLasts};
  }
  changed_.notify_all();
  return fetched;
}

void CredentialCache::give_up(const std::string& key, Error why) {
  const std::lock_guard lock(mutex_);
  given_up_[key] = std::move(why);
}

std::optional<Error> CredentialCache::why_given_up(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = given_up_.find(key);
  if (found == given_up_.end()) return std::nullopt;
  return found->second;
}

}  // namespace sops::aws
