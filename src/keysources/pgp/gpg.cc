// SPDX-License-Identifier: MPL-2.0
#include "keysources/pgp/gpg.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/text.h"
#include "keysources/pgp/fingerprint.h"
#include "sys/run_state.h"

namespace sops::pgp {

namespace {

constexpr size_t kMostAtOnce = 4;
constexpr size_t kErrorLimit = 64 << 10;  // keys.md 4.2
// Before gpg is tried again whose agent was overtaxed. Other programs use the same agent, other runs of ours among
// them, so that being alone among our own is not enough: of 64 gpg at once every fourth to seventh lacks memory.
constexpr std::array kPauses = {std::chrono::milliseconds(0), std::chrono::milliseconds(50),
                                std::chrono::milliseconds(150), std::chrono::milliseconds(400)};
constexpr size_t kReportLimit = 64 << 10;  // of status lines; a message can cause as many as it likes
constexpr size_t kListingLimit = 1 << 20;  // of a public key with all its signatures

// How many gpg run; shared by a run of ours. Each makes the agent use memory that is locked, and of that there is
// little.
class Places {
 public:
  // Waits for `count` free places. False if it was stopped before.
  bool take(size_t count, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    if (!freed_.wait(lock, stop, [&] { return free_ >= count; })) return false;
    free_ -= count;
    return true;
  }
  void give_back(size_t count) {
    {
      const std::lock_guard lock(mutex_);
      free_ += count;
    }
    freed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any freed_;
  size_t free_ = kMostAtOnce;
};

class Place {
 public:
  Place(Places& places, size_t count) : places_(places), count_(count) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() { places_.give_back(count_); }

 private:
  Places& places_;
  size_t count_;
};

struct AgentStart {
  std::mutex mutex;
  std::optional<bool> went_well;
};

std::string program(Services& services) {
  const std::string named = services.environment.get("SOPS_GPG_EXEC").value_or("");
  return named.empty() ? "gpg" : named;
}

// The last line with text.
std::string last_words(std::string_view text) {
  text = trim(text);
  const size_t line = text.rfind('\n');
  return escape_for_message(trim(line == std::string_view::npos ? text : text.substr(line + 1)));
}

Result<GpgAnswer> run_once(const GpgCall& call, size_t places, Services& services) {
  Places& all = services.run.get<Places>();
  if (!all.take(places, call.stop)) return fail(ErrorCode::kUnavailable, "gpg was stopped");
  const Place place(all, places);

  RunOptions options;
  options.arguments = {program(services), "--status-fd", "3"};
  options.arguments.insert(options.arguments.end(), call.arguments.begin(), call.arguments.end());
  options.input = call.input;
  if (!call.terminal.empty()) options.extra_environment = {{"GPG_TTY", call.terminal}};
  options.output_limit = call.output_limit;
  options.error_limit = kErrorLimit;
  options.report_limit = kReportLimit;
  options.deadline = call.deadline;
  options.stop = call.stop;
  auto run = services.processes.run(options);
  if (!run && run.error().code == ErrorCode::kNotFound) {
    return fail(ErrorCode::kUnavailable, "{}", run.error().message)
        .hint("PGP keys are used through GnuPG: install gnupg, or name the program in SOPS_GPG_EXEC");
  }
  RunResult result = TRY(std::move(run));
  GpgAnswer answer;
  answer.exit_status = result.status;
  answer.status = parse_status(result.report.expose_text());
  answer.words = last_words(result.errors.expose_text());
  answer.output = std::move(result.output);
  return answer;
}

}  // namespace

Result<GpgAnswer> run_gpg(const GpgCall& call, Services& services) {
  GpgAnswer answer = TRY(run_once(call, 1, services));
  for (const std::chrono::milliseconds pause : kPauses) {
    if (answer.exit_status == 0 || !answer.status.is_agent_overtaxed()) break;
    if (pause.count() > 0) services.clock.sleep(pause, call.stop);
    answer = TRY(run_once(call, kMostAtOnce, services));
  }
  return answer;
}

Result<std::vector<ListedKey>> list_key(std::string_view fingerprint, Services& services) {
  const GpgCall call{
      .arguments = {"--batch", "--with-colons", "--list-keys", "--", std::string(digits_of(fingerprint))},
      .output_limit = kListingLimit};
  const GpgAnswer answer = TRY(run_gpg(call, services));
  return parse_key_listing(answer.output.expose_text());
}

std::string read_only_home(Services& services) {
  std::string home = services.environment.get("GNUPGHOME").value_or("");
  if (home.empty()) home = services.environment.get("HOME").value_or("") + "/.gnupg";
  const auto info = services.files.info(home);
  return info && *info && !services.files.is_writable(home) ? home : "";
}

bool start_agent(Services& services) {
  AgentStart& start = services.run.get<AgentStart>();
  const std::lock_guard lock(start.mutex);
  if (start.went_well) return *start.went_well;
  RunOptions options;
  options.arguments = {"gpg-agent", "--daemon"};
  options.deadline = std::chrono::seconds(10);
  const auto run = services.processes.run(options);
  start.went_well = run && run->status == 0;
  return *start.went_well;
}

}  // namespace sops::pgp
