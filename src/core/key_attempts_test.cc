// SPDX-License-Identifier: MPL-2.0
//
// keys.md 1 with key sources whose keys do what their entry says. Nothing here depends on how fast the machine is:
// a "silence" is either so long that it never ends, or so short that it always does.
#include "core/key_attempts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "tests/support/fake_services.h"

namespace sops {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kForEver = std::chrono::hours(1);

// What all keys of a test see and write down. Kept in the run state, where keys that are made from metadata find it.
struct World {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::vector<std::string>
      log;  // "name" for an attempt, "name?" for one that may ask, "name!" for one that was stopped
  size_t in_flight = 0;
  size_t most_in_flight = 0;

  void note(std::string line) {
    const std::lock_guard lock(mutex);
    log.push_back(std::move(line));
    changed.notify_all();
  }
};

// {"recipient": name, "enc": what}: "gives X", "says X" (an error), "hangs" until it is stopped, "asks X" (gives X when
// it may ask), "is locked" (always), "waits for NAME, gives X", "waits for four, …" (in flight).
class ScriptedKey final : public MasterKey {
 public:
  explicit ScriptedKey(std::string name) : name_(std::move(name)) {}
  Result<FieldMap> wrap(const SecureBytes&, Services&) const override { return fail(ErrorCode::kUnsupported, "no"); }
  std::string id() const override { return name_; }

  Result<SecureBytes> unwrap(const FieldMap& wrapped, const UnwrapOptions& options, Services& services) const override {
    World& world = services.run.get<World>();
    {
      const std::lock_guard lock(world.mutex);
      world.most_in_flight = std::max(world.most_in_flight, ++world.in_flight);
    }
    world.note(options.may_ask ? name_ + "?" : name_);
    Result<SecureBytes> result = act(field_text(wrapped, "enc"), options, world);
    const std::lock_guard lock(world.mutex);
    --world.in_flight;
    return result;
  }

 private:
  Result<SecureBytes> act(std::string_view what, const UnwrapOptions& options, World& world) const {
    if (what.starts_with("says ")) return fail(ErrorCode::kUnavailable, "{}", what.substr(5));
    if (what == "is locked") return fail(ErrorCode::kNeedsPerson, "it is locked");
    if (what.starts_with("gives ")) return SecureBytes::copy_of(what.substr(6));
    if (what.starts_with("asks ")) {
      if (options.may_ask) return SecureBytes::copy_of(what.substr(5));
      return fail(ErrorCode::kNeedsPerson, "it is locked");
    }
    const std::string until(what.starts_with("waits for ") ? what.substr(10, what.find(',') - 10) : "nobody");
    std::unique_lock lock(world.mutex);
    const bool came = world.changed.wait(lock, options.stop, [&] {
      return until == "four" ? world.most_in_flight >= 4 : std::ranges::find(world.log, until) != world.log.end();
    });
    if (came) return SecureBytes::copy_of(what.substr(what.rfind(' ') + 1));
    lock.unlock();
    world.note(name_ + "!");
    return fail(ErrorCode::kUnavailable, "it was stopped");
  }

  std::string name_;
};

Result<std::unique_ptr<MasterKey>> scripted(const FieldMap& fields) {
  return std::unique_ptr<MasterKey>(std::make_unique<ScriptedKey>(std::string(field_text(fields, "recipient"))));
}

const KeySourceType kAge{.id = "age", .from_metadata = scripted};
const KeySourceType kPgp{.id = "pgp", .from_metadata = scripted};
const KeySourceType kKms{.id = "kms", .is_remote = true, .from_metadata = scripted};
constexpr const KeySourceType* kSources[] = {&kAge, &kPgp, &kKms};

// Names of pgp entries are in `fp`, of kms ones in `arn`, as in files; the scripted keys read `recipient`.
KeyEntry entry(std::string source, const std::string& name, std::string what) {
  return {.source = std::move(source),
          .fields = {{"recipient", name}, {"fp", name}, {"arn", name}, {"enc", std::move(what)}}};
}

class KeyAttempts : public testing::Test {
 protected:
  AttemptRules rules{.sources = kSources, .silence = kForEver, .deadline = kForEver};
  FakeServices fakes;
  World& world = fakes.services().run.get<World>();

  // What each group gave, or why it failed: "X", "age a: no; kms b: no".
  std::vector<std::string> attempt(std::vector<KeyGroup> groups) {
    const auto result = attempt_keys(groups, rules, fakes.services());
    if (!result) return {to_string(result.error())};
    std::vector<std::string> lines;
    for (const GroupAttempts& group : *result) {
      std::string line;
      if (group.part) line = group.part->expose_text();
      for (const Error& failure : group.failures)
        line += format("{}{}: {}", line.empty() ? "" : "; ", failure.context.back(), failure.message);
      lines.push_back(std::move(line));
    }
    return lines;
  }
  using Lines = std::vector<std::string>;
  Lines log() {
    const std::lock_guard lock(world.mutex);
    return world.log;
  }
};

// keyservice-shamir.md 6.2, 6.4; keys.md 1.1, 1.2: local ones first, in SOPS's order.
TEST_F(KeyAttempts, TryLocalKeysFirst) {
  EXPECT_EQ(attempt({{entry("kms", "k", "gives K"), entry("pgp", "p", "says no"), entry("age", "a", "says no")}}),
            Lines{"K"});
  EXPECT_EQ(log(), (Lines{"a", "p", "k"}));
}

TEST_F(KeyAttempts, EndWithTheFirstThatGives) {
  EXPECT_EQ(attempt({{entry("kms", "k", "gives K"), entry("pgp", "p", "gives P"), entry("age", "a", "gives A")}}),
            Lines{"A"});
  EXPECT_EQ(log(), (Lines{"a"}));
}

// keys.md 1.2: "the next when the previous failed"
TEST_F(KeyAttempts, GoOnToTheNextNetworkKeyOnFailure) {
  EXPECT_EQ(attempt({{entry("kms", "1", "says no"), entry("kms", "2", "says no"), entry("kms", "3", "gives K"),
                      entry("kms", "4", "gives L")}}),
            Lines{"K"});
  EXPECT_EQ(log(), (Lines{"1", "2", "3"}));
  EXPECT_EQ(world.most_in_flight, 1u);
}

// keys.md 1.2: "or has been silent"; 1.6: "requests in flight are closed and not reported"
TEST_F(KeyAttempts, GoOnToTheNextNetworkKeyAfterASilence) {
  rules.silence = milliseconds(1);
  EXPECT_EQ(attempt({{entry("kms", "1", "hangs"), entry("kms", "2", "hangs"), entry("kms", "3", "gives K")}}),
            Lines{"K"});
  Lines lines = log();
  std::ranges::sort(lines);
  EXPECT_EQ(lines, (Lines{"1", "1!", "2", "2!", "3"}));
}

// keys.md 1.2: "at most 4 in flight for a group"
TEST_F(KeyAttempts, KeepAtMostFourInFlight) {
  rules.silence = milliseconds(1);
  KeyGroup group;
  for (int i = 1; i <= 6; ++i) group.push_back(entry("kms", format("{}", i), "waits for four, then has nothing: "));
  EXPECT_EQ(attempt({group}),
            Lines{"kms 1: the key gave no data; kms 2: the key gave no data; kms 3: the key gave no data; "
                  "kms 4: the key gave no data; kms 5: the key gave no data; kms 6: the key gave no data"});
  EXPECT_EQ(world.most_in_flight, 4u);
}

// keys.md 1.3
TEST_F(KeyAttempts, AskOnlyIfNothingElseWorks) {
  EXPECT_EQ(attempt({{entry("pgp", "p", "asks P"), entry("kms", "k", "gives K")}}), Lines{"K"});
  EXPECT_EQ(log(), (Lines{"p", "k"}));
}

TEST_F(KeyAttempts, AskOneAfterTheOther) {
  EXPECT_EQ(attempt({{entry("kms", "k", "asks K"), entry("pgp", "p", "says no"), entry("age", "a", "says no")}}),
            Lines{"K"});
  EXPECT_EQ(log(), (Lines{"a", "p", "k", "k?"}));
}

// keys.md 1.4
TEST_F(KeyAttempts, GoOnAfterAKeyThatIsNotAccepted) {
  rules.accept = [](const SecureBytes& bytes) -> Result<void> {
    if (bytes.expose_text() == "good") return {};
    return fail(ErrorCode::kAuthFailed, "another data key");
  };
  EXPECT_EQ(attempt({{entry("kms", "k", "gives good"), entry("age", "a", "gives bad")}}), Lines{"good"});
  EXPECT_EQ(attempt({{entry("kms", "k", "gives bad"), entry("age", "a", "gives worse")}}),
            Lines{"kms k: another data key; age a: another data key"});
  const auto attempts =
      attempt_keys(std::vector<KeyGroup>{{entry("kms", "k", "gives bad"), entry("age", "a", "gives worse")}}, rules,
                   fakes.services());
  EXPECT_EQ((*attempts)[0].unaccepted->expose_text(), "worse");  // of the first that was tried
}

// keys.md 1.5
TEST_F(KeyAttempts, FollowAnExplicitOrderStrictly) {
  rules.silence = milliseconds(1);
  rules.order = {.types = {"kms", "pgp"}, .is_explicit = true};
  EXPECT_EQ(attempt({{entry("kms", "1", "asks K"), entry("kms", "2", "gives L"), entry("pgp", "p", "gives P"),
                      entry("age", "a", "gives A")}}),
            Lines{"K"});
  EXPECT_EQ(log(), (Lines{"1", "1?"}));
}

TEST_F(KeyAttempts, StartNothingEarlyInAnExplicitOrder) {
  rules.silence = milliseconds(1);
  rules.deadline = milliseconds(100);
  rules.order = {.types = {"kms"}, .is_explicit = true};
  EXPECT_EQ(attempt({{entry("kms", "1", "hangs"), entry("kms", "2", "says no"), entry("age", "a", "gives A")}}),
            Lines{"A"});
  EXPECT_EQ(log(), (Lines{"1", "1!", "2", "a"}));
  EXPECT_EQ(world.most_in_flight, 1u);
}

// keys.md 1.6
TEST_F(KeyAttempts, StopAtTheThreshold) {
  rules.needed = 2;
  EXPECT_EQ(attempt({{entry("age", "a", "gives A")}, {entry("age", "b", "gives B")}, {entry("age", "c", "gives C")}}),
            (Lines{"A", "B", ""}));
  EXPECT_EQ(log(), (Lines{"a", "b"}));
}

TEST_F(KeyAttempts, AskTheNetworkForAllGroupsThatAreNeededAtOnce) {
  rules.needed = 2;
  EXPECT_EQ(attempt({{entry("kms", "1", "waits for 2, gives A")},
                     {entry("kms", "2", "waits for 1, gives B")},
                     {entry("kms", "3", "gives C")}}),
            (Lines{"A", "B", ""}));
  EXPECT_EQ(world.most_in_flight, 2u);
}

TEST_F(KeyAttempts, LetNoGroupThatHangsHoldUpTheOthers) {
  rules.needed = 2;
  rules.silence = milliseconds(1);
  EXPECT_EQ(attempt({{entry("kms", "1", "hangs")}, {entry("kms", "2", "gives B")}, {entry("kms", "3", "gives C")}}),
            (Lines{"", "B", "C"}));
}

TEST_F(KeyAttempts, TakeAnotherGroupForOneThatFails) {
  rules.needed = 2;
  EXPECT_EQ(attempt({{entry("kms", "1", "says no")}, {entry("kms", "2", "gives B")}, {entry("kms", "3", "gives C")}}),
            (Lines{"kms 1: no", "B", "C"}));
}

TEST_F(KeyAttempts, AskOnlyForGroupsWithoutAPart) {
  rules.needed = 2;
  EXPECT_EQ(attempt({{entry("pgp", "p", "asks P"), entry("age", "a", "gives A")},
                     {entry("pgp", "q", "asks Q")},
                     {entry("pgp", "r", "asks R")}}),
            (Lines{"A", "Q", "pgp r: it is locked"}));
  EXPECT_EQ(log(), (Lines{"a", "q", "r", "q?"}));
}

// keys.md 1.7: all of them, in the order of the file, with their labels.
TEST_F(KeyAttempts, ReportEveryKey) {
  std::vector<std::string> asked;
  rules.labels = [&](std::string_view source, std::string_view id) -> std::string {
    asked.push_back(format("{} {}", source, id));
    return id == "p" ? "Alice \x1b[31m" : "";
  };
  EXPECT_EQ(attempt({{entry("kms", "k", "says no"), entry("pgp", "p", "is locked"), entry("age", "a", "gives ")}}),
            Lines{"kms k: no; pgp p (Alice \\x1b[31m): it is locked; age a: the key gave no data"});
  EXPECT_EQ(asked, (Lines{"kms k", "pgp p", "age a"}));
  asked.clear();
  EXPECT_EQ(attempt({{entry("kms", "k", "says no"), entry("age", "a", "gives A")}}), Lines{"A"});
  EXPECT_EQ(asked, Lines());
}

TEST_F(KeyAttempts, NameKeysThatAreNotSupportedYet) {
  EXPECT_EQ(attempt({{entry("new", "n", "")}}), Lines{"new n: new keys are not supported yet"});
  EXPECT_EQ(attempt({{}}), Lines{""});
}

// keys.md 1.8
TEST_F(KeyAttempts, TakeTheirDeadlineFromTheEnvironment) {
  fakes.environment.set("SOPS_KEY_TIMEOUT", "soon");
  EXPECT_EQ(attempt({{entry("age", "a", "gives A")}}), Lines{"SOPS_KEY_TIMEOUT 'soon' is no duration"});
  fakes.environment.set("SOPS_KEY_TIMEOUT", "50ms");
  EXPECT_EQ(attempt({{entry("kms", "k", "hangs")}}), Lines{"kms k: no answer within 0.05 s"});
}

}  // namespace
}  // namespace sops
