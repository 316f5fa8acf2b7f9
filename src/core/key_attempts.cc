// SPDX-License-Identifier: MPL-2.0
//
// Keys behind a network run in threads of their own, several at once. The thread that was called decides: it starts
// them, sleeps until one has answered or the next is due, and takes what they give. A group with a part takes nothing
// more; with enough parts everything in flight is stopped, and its threads are awaited: a key source gives up at once
// when it is stopped.
//
// With several groups those that are still needed run side by side. Which ones? In their order, as many as parts are
// missing; but one that has been silent for a while does not count, so that a group that hangs holds up nobody.
#include "core/key_attempts.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/duration.h"
#include "base/parallel.h"
#include "sys/run_state.h"

namespace sops {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

const KeySourceType* find_source(std::span<const KeySourceType* const> sources, std::string_view id) {
  const auto it = std::ranges::find(sources, id, &KeySourceType::id);
  return it != sources.end() ? *it : nullptr;
}

// One key of one group.
struct Attempt {
  const KeyEntry* entry = nullptr;
  size_t group = 0;
  size_t rank = 0;  // in the order in which the group's keys are tried
  bool is_remote = false;

  enum class State { kWaiting, kInFlight, kFailed, kNeedsPerson, kGave };
  State state = State::kWaiting;
  Error error;  // of kFailed and kNeedsPerson

  // While it is in flight.
  Clock::time_point started;
  bool is_late = false;  // past its deadline, and asked to end
  std::stop_source stop;
  std::optional<Result<SecureBytes>> answer;  // guarded by Attempts::mutex_
  std::jthread thread;                        // last: it ends before what it uses
};

class Attempts {
 public:
  Attempts(std::span<const KeyGroup> groups, const AttemptRules& rules, milliseconds deadline, Services& services)
      : rules_(rules), deadline_(deadline), services_(services), outcomes_(groups.size()), groups_(groups.size()) {
    for (size_t group = 0; group < groups.size(); ++group) {
      for (const KeyEntry& entry : groups[group]) {
        const KeySourceType* source = find_source(rules.sources, entry.source);
        Attempt& attempt = attempts_.emplace_back();
        attempt.entry = &entry;
        attempt.group = group;
        attempt.is_remote = source != nullptr && source->is_remote;
        groups_[group].in_order.push_back(&attempt);
      }
      sort(groups_[group].in_order);
    }
  }

  std::vector<GroupAttempts> run() && {
    if (rules_.order.is_explicit) {
      try_strictly();
    } else {
      try_local();
      try_remote();
      ask_person();
    }
    report();
    return std::move(outcomes_);
  }

 private:
  struct Group {
    std::vector<Attempt*> in_order;
    std::optional<size_t> unaccepted_rank;
  };

  // keyservice-shamir.md 6.2: stably sorted by the position of the type in the order; types not listed come last.
  void sort(std::vector<Attempt*>& attempts) const {
    const std::vector<std::string>& types = rules_.order.types;
    std::ranges::stable_sort(attempts, {}, [&](const Attempt* attempt) {
      return std::find(types.begin(), types.end(), attempt->entry->source) - types.begin();
    });
    for (size_t i = 0; i < attempts.size(); ++i) attempts[i]->rank = i;
  }

  bool is_done() const { return parts_ >= rules_.needed; }
  bool has_part(size_t group) const { return outcomes_[group].part.has_value(); }

  // Runs in any thread.
  Result<SecureBytes> unwrap(const Attempt& attempt, bool may_ask) const {
    const auto key = TRY(master_key_of(*attempt.entry, rules_.sources));
    return key->unwrap(attempt.entry->fields,
                       {.may_ask = may_ask, .stop = attempt.stop.get_token(), .is_before_3_3 = rules_.is_before_3_3},
                       services_);
  }

  // Takes what a key gave. Of a group that has its part everything else is ignored.
  void take(Attempt& attempt, Result<SecureBytes> secret) {
    GroupAttempts& outcome = outcomes_[attempt.group];
    attempt.state = Attempt::State::kFailed;
    if (has_part(attempt.group)) return;
    if (secret && secret->empty()) secret = fail(ErrorCode::kMalformed, "the key gave no data");
    if (secret) {
      auto accepted = rules_.accept(*secret);
      if (accepted) {
        outcome.part = std::move(*secret);
        attempt.state = Attempt::State::kGave;
        ++parts_;
        return;
      }
      std::optional<size_t>& rank = groups_[attempt.group].unaccepted_rank;
      if (accepted.error().code == ErrorCode::kAuthFailed && (!rank || attempt.rank < *rank)) {
        outcome.unaccepted = std::move(*secret);
        rank = attempt.rank;
      }
      secret = fail(std::move(accepted.error()));
    }
    attempt.error = std::move(secret.error());
    if (attempt.error.code == ErrorCode::kNeedsPerson) attempt.state = Attempt::State::kNeedsPerson;
  }

  // --- Pass 1

  void try_local() {
    for (Group& group : groups_) {
      for (Attempt* attempt : group.in_order) {
        if (is_done()) return;
        if (attempt->is_remote || has_part(attempt->group)) continue;
        take(*attempt, unwrap(*attempt, false));
      }
    }
  }

  void start(Attempt& attempt, bool may_ask) {
    attempt.state = Attempt::State::kInFlight;
    attempt.started = Clock::now();
    attempt.thread = start_thread([this, &attempt, may_ask] {
      auto answer = unwrap(attempt, may_ask);
      const std::lock_guard lock(mutex_);
      attempt.answer = std::move(answer);
      answered_.notify_all();
    });
  }

  void try_remote() {
    while (!is_done()) {
      const Clock::time_point next = start_what_is_due();
      if (in_flight_.empty()) break;
      wait(next);
      collect();
    }
    // What is still in flight is neither needed nor reported (keys.md 1.6).
    for (Attempt* attempt : in_flight_) attempt->stop.request_stop();
    for (Attempt* attempt : in_flight_) attempt->thread.join();
    in_flight_.clear();
  }

  // Starts the keys that are due, and says when the next one is.
  Clock::time_point start_what_is_due() {
    const Clock::time_point now = Clock::now();
    Clock::time_point next = Clock::time_point::max();
    size_t missing = rules_.needed - parts_;
    for (Group& group : groups_) {
      if (missing == 0) break;
      if (group.in_order.empty() || has_part(group.in_order[0]->group)) continue;
      const auto flying = [](const Attempt* attempt) { return attempt->state == Attempt::State::kInFlight; };
      size_t count = static_cast<size_t>(std::ranges::count_if(group.in_order, flying));
      Clock::time_point latest = Clock::time_point::min();
      for (Attempt* attempt : group.in_order) {
        if (flying(attempt)) latest = std::max(latest, attempt->started);
      }
      bool may_answer = count > 0 && now < latest + rules_.silence;
      if (!may_answer && count < rules_.most_in_flight) {
        const auto waiting = std::ranges::find_if(group.in_order, [](const Attempt* attempt) {
          return attempt->is_remote && attempt->state == Attempt::State::kWaiting;
        });
        if (waiting != group.in_order.end()) {
          start(**waiting, false);
          in_flight_.push_back(*waiting);
          latest = now;
          may_answer = true;
        }
      }
      if (!may_answer) continue;
      next = std::min(next, latest + rules_.silence);
      --missing;
    }
    return next;
  }

  // Until a key has answered, `next`, or a deadline; keys past theirs are asked to end.
  void wait(Clock::time_point next) {
    std::unique_lock lock(mutex_);
    for (const Attempt* attempt : in_flight_) {
      if (!attempt->is_late) next = std::min(next, attempt->started + deadline_);
    }
    const auto any_answer = [&] {
      return std::ranges::any_of(in_flight_, [](const Attempt* attempt) { return attempt->answer.has_value(); });
    };
    if (next == Clock::time_point::max()) {
      answered_.wait(lock, any_answer);
    } else {
      answered_.wait_until(lock, next, any_answer);
    }
    lock.unlock();
    for (Attempt* attempt : in_flight_) {
      if (attempt->is_late || Clock::now() < attempt->started + deadline_) continue;
      attempt->is_late = true;
      attempt->stop.request_stop();
    }
  }

  // Takes the answers that have come, in the order of the starts.
  void collect() {
    std::vector<Attempt*> ended;
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(in_flight_, [&](Attempt* attempt) {
        if (attempt->answer) ended.push_back(attempt);
        return attempt->answer.has_value();
      });
    }
    for (Attempt* attempt : ended) {
      attempt->thread.join();
      take(*attempt, with_deadline(*attempt, std::move(*attempt->answer)));
      attempt->answer.reset();
      if (attempt->state == Attempt::State::kGave) stop_group(attempt->group);
    }
  }

  void stop_group(size_t group) {
    for (Attempt* attempt : in_flight_) {
      if (attempt->group == group) attempt->stop.request_stop();
    }
  }

  // A key that was stopped because of its deadline only says that it was stopped.
  Result<SecureBytes> with_deadline(const Attempt& attempt, Result<SecureBytes> answer) const {
    if (answer || !attempt.is_late) return answer;
    return fail(ErrorCode::kUnavailable, "no answer within {} s", static_cast<double>(deadline_.count()) / 1000)
        .hint("SOPS_KEY_TIMEOUT=60s waits longer");
  }

  // --- Pass 2

  // keys.md 1.3
  void ask_person() {
    for (Group& group : groups_) {
      for (Attempt* attempt : group.in_order) {
        if (is_done()) return;
        if (attempt->state != Attempt::State::kNeedsPerson || has_part(attempt->group)) continue;
        ask(*attempt);
      }
    }
  }

  void ask(Attempt& attempt) {
    const std::lock_guard turn(services_.run.get<Questions>().turn);
    attempt.stop = std::stop_source();
    take(attempt, unwrap(attempt, true));
  }

  // keys.md 1.5: "prompts in their place, nothing started early".
  void try_strictly() {
    for (Group& group : groups_) {
      for (Attempt* attempt : group.in_order) {
        if (is_done()) return;
        if (has_part(attempt->group)) break;
        if (attempt->is_remote) {
          start(*attempt, false);
          in_flight_.push_back(attempt);
          while (!in_flight_.empty()) {
            wait(Clock::time_point::max());
            collect();
          }
        } else {
          take(*attempt, unwrap(*attempt, false));
        }
        if (attempt->state == Attempt::State::kNeedsPerson) ask(*attempt);
      }
    }
  }

  // --- The report (keys.md 1.7)

  void report() {
    for (Attempt& attempt : attempts_) {
      const bool failed = attempt.state == Attempt::State::kFailed || attempt.state == Attempt::State::kNeedsPerson;
      if (!failed || has_part(attempt.group)) continue;
      attempt.error.context.push_back(name_of(*attempt.entry));
      outcomes_[attempt.group].failures.push_back(std::move(attempt.error));
    }
  }

  // "pgp FBC7…" or "pgp FBC7… (the label)"
  std::string name_of(const KeyEntry& entry) const {
    const std::string id = key_id(entry);
    std::string name = id.empty() ? entry.source : format("{} {}", entry.source, escape_for_message(id));
    const std::string label = rules_.labels && !is_done() ? rules_.labels(entry.source, id) : "";
    if (!label.empty()) name += format(" ({})", escape_for_message(label, 80));
    return name;
  }

  const AttemptRules& rules_;
  const milliseconds deadline_;
  Services& services_;
  std::vector<GroupAttempts> outcomes_;
  std::vector<Group> groups_;
  size_t parts_ = 0;  // groups that have one
  std::vector<Attempt*> in_flight_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::deque<Attempt> attempts_;  // in the order of the file; last, because their threads use the others
};

}  // namespace

Result<std::vector<GroupAttempts>> attempt_keys(std::span<const KeyGroup> groups, const AttemptRules& rules,
                                                Services& services) {
  const milliseconds deadline = TRY(or_exit(
      duration_of("SOPS_KEY_TIMEOUT", services.environment.get("SOPS_KEY_TIMEOUT").value_or(""), rules.deadline),
      ExitStatus::kNoDataKey));
  return Attempts(groups, rules, deadline, services).run();
}

Result<std::unique_ptr<MasterKey>> master_key_of(const KeyEntry& entry, std::span<const KeySourceType* const> sources) {
  const KeySourceType* source = find_source(sources, entry.source);
  if (source == nullptr) {
    return fail(ErrorCode::kUnsupported, "{} keys are not supported yet", entry.source)
        .hint("use another key of the file, or SOPS");
  }
  return source->from_metadata(entry.fields);
}

std::string key_id(const KeyEntry& entry) {
  if (const auto key = master_key_of(entry)) return (*key)->id();
  const auto text = [&](std::string_view name) { return std::string(field_text(entry.fields, name)); };
  if (entry.source == "gcp_kms") return text("resource_id");
  if (entry.source == "hckms") return text("key_id");
  if (entry.source == "azure_kv") return format("{}/keys/{}/{}", text("vault_url"), text("name"), text("version"));
  if (entry.source == "hc_vault") {
    return format("{}/v1/{}/keys/{}", text("vault_address"), text("engine_path"), text("key_name"));
  }
  return text("arn");
}

}  // namespace sops
