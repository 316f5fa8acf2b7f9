// SPDX-License-Identifier: MPL-2.0
//
// PGP keys with a gpg that answers what gpg 2.2.40 was seen to answer. tests/integration/pgp.py has the real one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>

#include "keysources/key_source.h"
#include "keysources/pgp/fingerprint.h"
#include "keysources/pgp/gpg.h"
#include "keysources/pgp/status.h"
#include "tests/support/fake_services.h"

namespace sops::pgp {

extern const KeySourceType type;

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Words = std::vector<std::string>;

const std::string kFingerprint = "39F75BCBED2ACAC19F37C23E9326D131AB2BD40E";
const std::string kMessage = "-----BEGIN PGP MESSAGE-----\n\nhF4D\n-----END PGP MESSAGE-----";
constexpr std::string_view kKey = "0123456789abcdef0123456789abcdef";

// Status lines of gpg 2.2.40.
const std::string kDecrypted =
    "[GNUPG:] ENC_TO A0DEA5CFCB69DCF7 18 0\n"
    "[GNUPG:] KEY_CONSIDERED 39F75BCBED2ACAC19F37C23E9326D131AB2BD40E 0\n"
    "[GNUPG:] DECRYPTION_KEY 7634F8489E2506CAF00912F8A0DEA5CFCB69DCF7 39F75BCBED2ACAC19F37C23E9326D131AB2BD40E u\n"
    "[GNUPG:] BEGIN_DECRYPTION\n[GNUPG:] DECRYPTION_INFO 2 9 0\n[GNUPG:] PLAINTEXT 62 1795831502 \n"
    "[GNUPG:] PLAINTEXT_LENGTH 32\n[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] GOODMDC\n[GNUPG:] END_DECRYPTION\n";
const std::string kLocked =
    "[GNUPG:] ENC_TO A0DEA5CFCB69DCF7 1 0\n[GNUPG:] ERROR pkdecrypt_failed 67108949\n[GNUPG:] BEGIN_DECRYPTION\n"
    "[GNUPG:] DECRYPTION_FAILED\n[GNUPG:] END_DECRYPTION\n";
const std::string kNotHere =
    "[GNUPG:] ENC_TO A0DEA5CFCB69DCF7 18 0\n[GNUPG:] NO_SECKEY A0DEA5CFCB69DCF7\n[GNUPG:] BEGIN_DECRYPTION\n"
    "[GNUPG:] DECRYPTION_FAILED\n[GNUPG:] END_DECRYPTION\n";
const std::string kListing =
    "tru::1:1795831601:0:3:1:5\n"
    "pub:u:255:22:9326D131AB2BD40E:1795831501:::u:::scSCE:::::ed25519:::0:\n"
    "fpr:::::::::39F75BCBED2ACAC19F37C23E9326D131AB2BD40E:\n"
    "uid:u::::1795831501::9C64B28A0B4FA35D6120D02BF290F637A875ED06::Test One <one@example.test>::::::::::0:\n"
    "sub:u:255:18:A0DEA5CFCB69DCF7:1795831501::::::e:::::cv25519::\n"
    "fpr:::::::::7634F8489E2506CAF00912F8A0DEA5CFCB69DCF7:\n";

class Pgp : public testing::Test {
 protected:
  FakeServices world;
  FakeProcesses::Answer decrypting{.output = std::string(kKey), .report = kDecrypted};
  FakeProcesses::Answer asking{.output = std::string(kKey), .report = kDecrypted};
  FakeProcesses::Answer listing{.output = kListing};
  FakeProcesses::Answer encrypting{.output = "\n" + kMessage + "\n\n"};

  void SetUp() override {
    world.environment.set("HOME", "/home/me");
    world.processes.add("gpg", [this](const FakeProcesses::Run& run) -> Result<FakeProcesses::Answer> {
      const Words& words = run.arguments;
      const auto has = [&](std::string_view word) { return std::ranges::count(words, word) > 0; };
      if (has("--list-keys")) return listing;
      if (has("--encrypt")) return encrypting;
      return has("--pinentry-mode") ? decrypting : asking;
    });
  }

  static std::unique_ptr<MasterKey> key(const std::string& fingerprint = kFingerprint) {
    return std::move(*type.from_metadata({{"fp", fingerprint}}));
  }
  Result<FieldMap> wrap(const std::string& fingerprint = kFingerprint) {
    return key(fingerprint)->wrap(SecureBytes::copy_of(kKey), world.services());
  }
  std::string why_not_wrapped(const std::string& fingerprint = kFingerprint) {
    const auto fields = wrap(fingerprint);
    return fields ? "wrapped" : fields.error().message;
  }
  Result<SecureBytes> unwrap(bool may_ask = false, const std::string& message = kMessage,
                             const std::string& fingerprint = kFingerprint) {
    return key(fingerprint)->unwrap({{"enc", message}}, {.may_ask = may_ask, .stop = {}}, world.services());
  }
  // The data key, or "code: message".
  std::string outcome(const Result<SecureBytes>& result) {
    if (result) return std::string(result->expose_text());
    return format("{}: {}", static_cast<int>(result.error().code), result.error().message);
  }
  Words arguments(size_t run) { return world.processes.runs.at(run).arguments; }
};

std::string failed(ErrorCode code, std::string_view message) {
  return format("{}: {}", static_cast<int>(code), message);
}

// --- Names of keys

// keys-pgp.md 2.1, 2.3
TEST(Fingerprints, OfAListLoseTheirSpacesAndNothingElse) {
  const auto ids = [](std::string_view list) {
    Words words;
    const auto keys = type.from_list(list, {});
    for (const auto& one : *keys) words.push_back(one->id());
    return words;
  };
  EXPECT_THAT(ids(""), IsEmpty());
  EXPECT_THAT(ids("85D7 7543,0xAB , ab\t"), ElementsAre("85D77543", "0xAB", "ab\t"));
  EXPECT_THAT(ids("A,,B"), ElementsAre("A", "", "B"));
}

// keys-pgp.md 2.5
TEST(Fingerprints, HaveAShortForm) {
  EXPECT_EQ(short_form(kFingerprint), "9326D131AB2BD40E");
  EXPECT_EQ(short_form(kFingerprint + "!"), "9326D131AB2BD40E!");
  EXPECT_EQ(short_form("0123!"), "0123!");
  EXPECT_EQ(short_form(""), "");
}

// keys-pgp.md 2.6: what gpg takes for one key, and not for a user id.
TEST(Fingerprints, AreHexadecimal) {
  for (const std::string& right :
       {kFingerprint, "0x" + kFingerprint, kFingerprint + "!", std::string("9326d131ab2bd40e"), std::string(64, 'A')}) {
    EXPECT_TRUE(is_fingerprint(right)) << right;
  }
  for (const std::string& wrong : {std::string(), std::string("AB2BD40E"), std::string("me@example.org"),
                                   kFingerprint + "\n", kFingerprint + "!!", "-" + kFingerprint.substr(1),
                                   std::string(20, 'A'), std::string(32, 'A'), std::string("0x!"), std::string("!")}) {
    EXPECT_FALSE(is_fingerprint(wrong)) << wrong;
  }
}

// --- What gpg says

TEST(GpgLines, AreRead) {
  const GpgStatus status = parse_status(
      "gpg: DECRYPTION_OKAY\n[GNUPG:] ENC_TO a0dea5cfcb69dcf7 18 0\r\n[GNUPG:] ENC_TO short 1\n"
      "[GNUPG:] ERROR pkdecrypt_failed 67141718\n[GNUPG:] INV_RECP 1 X\n x [GNUPG:] GOODMDC\n[GNUPG:] ERROR x\n");
  EXPECT_THAT(status.encrypted_to, ElementsAre("A0DEA5CFCB69DCF7"));
  EXPECT_THAT(status.errors, ElementsAre(kOutOfMemory));
  EXPECT_EQ(status.refused_recipient, 1);
  EXPECT_FALSE(status.is_decrypted);
  EXPECT_TRUE(parse_status(kDecrypted).is_decrypted);
}

// Whatever a stranger makes gpg say: no crash, and a cut line is no other line.
TEST(GpgLines, MayBeCutAndDamaged) {
  for (const std::string& text : {kDecrypted, kLocked, kNotHere, kListing}) {
    for (size_t size = 0; size < text.size(); ++size) {
      parse_status(std::string_view(text).substr(0, size));
      parse_key_listing(std::string_view(text).substr(0, size));
      std::string damaged = text;
      damaged[size] = static_cast<char>(damaged[size] ^ 0x55);
      parse_status(damaged);
      parse_key_listing(damaged);
    }
  }
  EXPECT_FALSE(parse_status("[GNUPG:] DECRYPTION_OKA").is_decrypted);
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "[GNUPG:] ENC_TO A0DEA5CFCB69DCF7 18 0\n";
  EXPECT_EQ(parse_status(many).encrypted_to.size(), 1000u);
}

TEST(GpgLines, TellWhyAKeyIsRefused) {
  const auto why = [](std::string_view from, std::string_view to, std::string_view subkey = "") {
    std::string text = kListing;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos);
    text.replace(at, from.size(), to);
    return refusal(parse_key_listing(text), subkey);
  };
  EXPECT_EQ(why("pub:u", "pub:u"), "");
  EXPECT_EQ(refusal({}, ""), "it is not among the public keys here");
  EXPECT_EQ(why("pub:u", "pub:r"), "it is revoked");
  EXPECT_EQ(why("pub:u", "pub:e"), "it has expired");
  EXPECT_EQ(why("scSCE", "scSCED"), "it is disabled");
  EXPECT_EQ(why("sub:u", "sub:e"), "its encryption subkey has expired");
  EXPECT_EQ(why("sub:u", "sub:r"), "its encryption subkey is revoked");
  EXPECT_EQ(why(":e:::::cv25519", ":s:::::cv25519"), "it has no part that can encrypt");
  EXPECT_EQ(why("pub:u", "pub:u", "A0DEA5CFCB69DCF7"), "");
  EXPECT_EQ(why("pub:u", "pub:u", "9326D131AB2BD40E"), "that subkey cannot encrypt");
  EXPECT_EQ(why("pub:u", "pub:u", "0000000000000000"), "it has no such subkey");
}

// --- Encrypting

// keys-pgp.md 4.2, 4.5, 1.4
TEST_F(Pgp, EncryptsWithTheArgumentsOfSops) {
  const auto fields = wrap(kFingerprint + "!");
  ASSERT_TRUE(fields);
  EXPECT_THAT(arguments(0),
              ElementsAre("gpg", "--status-fd", "3", "--batch", "--no-default-recipient", "--yes", "--encrypt", "-a",
                          "-r", kFingerprint + "!", "--trusted-key", "9326D131AB2BD40E!", "--no-encrypt-to"));
  EXPECT_EQ(world.processes.runs[0].input, kKey);
  EXPECT_EQ(field_text(*fields, "fp"), kFingerprint + "!");
  EXPECT_EQ(field_text(*fields, "enc"), kMessage);
  EXPECT_EQ(field_text(*fields, "created_at"), "2026-01-02T03:04:05Z");
  EXPECT_EQ(fields->size(), 3u);
}

// keys-pgp.md 1.4: "a key loaded from a file keeps its value"
TEST_F(Pgp, KeepsTheTimeOfAnEntry) {
  const auto old = type.from_metadata({{"fp", kFingerprint}, {"created_at", "2020-02-02T02:02:02Z"}});
  const auto fields = (*old)->wrap(SecureBytes::copy_of(kKey), world.services());
  EXPECT_EQ(field_text(*fields, "created_at"), "2020-02-02T02:02:02Z");
}

// keys.md 4.4
TEST_F(Pgp, DoesNotWriteToAHomeThatIsReadOnly) {
  world.environment.set("GNUPGHOME", "/keys");
  world.files.put("/keys/pubring.kbx", "");
  world.files.make_read_only("/keys");
  ASSERT_TRUE(wrap());
  EXPECT_THAT(arguments(0),
              ElementsAre("gpg", "--status-fd", "3", "--batch", "--no-default-recipient", "--yes", "--encrypt", "-a",
                          "-r", kFingerprint, "--trust-model", "always", "--no-encrypt-to"));
}

TEST_F(Pgp, RefusesWhatIsNoFingerprintBeforeGpgSeesIt) {
  EXPECT_EQ(why_not_wrapped("me@example.org"), "'me@example.org' is no fingerprint of a PGP key");
  EXPECT_EQ(why_not_wrapped(""), "'' is no fingerprint of a PGP key");
  EXPECT_THAT(world.processes.runs, IsEmpty());
}

// keys.md 4.3
TEST_F(Pgp, AsksGpgWhyItRefusedAKey) {
  encrypting = {.status = 2,
                .errors = "gpg: verfallen\n",
                .report = "[GNUPG:] INV_RECP 0 " + kFingerprint + "\n[GNUPG:] FAILURE encrypt 53\n"};
  listing.output.replace(listing.output.find("pub:u"), 5, "pub:e");
  const auto expired = wrap("0x" + kFingerprint);
  ASSERT_FALSE(expired);
  EXPECT_EQ(expired.error().code, ErrorCode::kDenied);
  EXPECT_EQ(expired.error().message, "gpg does not encrypt for the key: it has expired");
  EXPECT_THAT(arguments(1),
              ElementsAre("gpg", "--status-fd", "3", "--batch", "--with-colons", "--list-keys", "--", kFingerprint));
  encrypting.report = "[GNUPG:] INV_RECP 1 X\n";
  listing = {.status = 2};
  EXPECT_EQ(why_not_wrapped(), "gpg does not encrypt for the key: it is not among the public keys here");
  // Of a failure that has no status line, its own words are all there is.
  encrypting = {.status = 2, .errors = "gpg: one\ngpg: disk\x1b full\n"};
  EXPECT_EQ(why_not_wrapped(), "gpg could not encrypt for the key: gpg: disk\\x1b full");
  encrypting = {.status = 0, .output = " \n"};
  EXPECT_EQ(why_not_wrapped(), "gpg could not encrypt for the key: gpg ended with status 0");
}

TEST_F(Pgp, RunsTheProgramThatIsNamed) {
  world.environment.set("SOPS_GPG_EXEC", "/opt/gpg2");
  EXPECT_EQ(why_not_wrapped(), "no such program: /opt/gpg2");
  world.processes.add("/opt/gpg2", encrypting);
  EXPECT_TRUE(wrap());
  world.environment.set("SOPS_GPG_EXEC", "");
  EXPECT_TRUE(wrap());
}

// --- Decrypting

// keys.md 4.1
TEST_F(Pgp, DecryptsWithoutAskingAnybody) {
  EXPECT_EQ(outcome(unwrap(true)), kKey);
  ASSERT_EQ(world.processes.runs.size(), 1u);
  EXPECT_THAT(arguments(0), ElementsAre("gpg", "--status-fd", "3", "--pinentry-mode", "error", "--no-auto-key-retrieve",
                                        "--disable-dirmngr", "-d"));
  EXPECT_EQ(world.processes.runs[0].input, kMessage);
  EXPECT_THAT(world.processes.runs[0].extra_environment, IsEmpty());
}

// keys.md 4.2
TEST_F(Pgp, BelievesOnlyAMessageThatWasDecrypted) {
  decrypting.report = "[GNUPG:] PLAINTEXT 62 1795831563 \n[GNUPG:] PLAINTEXT_LENGTH 32\n";
  EXPECT_EQ(outcome(unwrap()), failed(ErrorCode::kMalformed, "the message is not encrypted"));
  decrypting = {.output = std::string(kKey)};
  EXPECT_EQ(outcome(unwrap()), failed(ErrorCode::kUnavailable,
                                      "gpg has reported nothing through descriptor 3, so its output is not believed"));
  decrypting = {.output = "", .report = kDecrypted};
  EXPECT_EQ(outcome(unwrap()), failed(ErrorCode::kMalformed, "gpg gave no data"));
  decrypting = {.status = 2, .output = std::string(kKey), .report = kDecrypted};
  EXPECT_FALSE(unwrap());
  decrypting = {.output = std::string(5000, 'x'), .report = kDecrypted};
  EXPECT_EQ(outcome(unwrap()), failed(ErrorCode::kUnsupported, "the program wrote too much"));
}

TEST_F(Pgp, RefusesMessagesThatAreNone) {
  EXPECT_EQ(outcome(unwrap(true, " \n")), failed(ErrorCode::kMalformed, "the field enc is empty"));
  EXPECT_EQ(outcome(unwrap(true, std::string(65537, 'x'))),
            failed(ErrorCode::kMalformed, "the field enc has 65537 bytes, which is no data key"));
  EXPECT_THAT(world.processes.runs, IsEmpty());
}

TEST_F(Pgp, TellsWhatWentWrong) {
  const auto says = [&](std::string report, std::string errors = "gpg: x\n") {
    decrypting = {.status = 2, .errors = std::move(errors), .report = std::move(report)};
    return outcome(unwrap());
  };
  EXPECT_EQ(says(kNotHere), failed(ErrorCode::kNotMine, "no secret key for A0DEA5CFCB69DCF7 is here"));
  EXPECT_EQ(says("[GNUPG:] NODATA 1\n[GNUPG:] FAILURE decrypt 4294967295\n"),
            failed(ErrorCode::kMalformed, "the field enc holds no OpenPGP message"));
  EXPECT_EQ(says("[GNUPG:] NEED_PASSPHRASE_SYM 9 3 2\n[GNUPG:] ERROR get_passphrase 85\n[GNUPG:] DECRYPTION_FAILED\n"),
            failed(ErrorCode::kUnsupported, "the message is encrypted with a passphrase of its own instead of a key"));
  EXPECT_EQ(says("[GNUPG:] DECRYPTION_FAILED\n[GNUPG:] BADMDC\n"),
            failed(ErrorCode::kAuthFailed, "the message is damaged: gpg: x"));
  EXPECT_EQ(says("", ""), failed(ErrorCode::kUnavailable, "gpg failed: gpg ended with status 2"));
}

// keys.md 4.5: alone, and then with pauses, because the agent is everybody's.
TEST_F(Pgp, TriesAgainWithoutMemory) {
  int left = 1;
  world.processes.add("gpg", [&](const FakeProcesses::Run&) -> Result<FakeProcesses::Answer> {
    if (left-- > 0) return FakeProcesses::Answer{.status = 2, .report = "[GNUPG:] ERROR pkdecrypt_failed 67141718\n"};
    return decrypting;
  });
  EXPECT_EQ(outcome(unwrap()), kKey);
  EXPECT_EQ(world.processes.runs.size(), 2u);
  left = 4;
  EXPECT_EQ(outcome(unwrap()), kKey);
  EXPECT_EQ(world.clock.sleeps.size(), 3u);
  left = 100;
  world.processes.runs.clear();
  EXPECT_FALSE(unwrap());
  EXPECT_EQ(world.processes.runs.size(), 5u);
}

// What gpg-agent 2.2.40 gave of 300 good messages once, when three were decrypted at a time; a damaged message gives
// other codes.
TEST_F(Pgp, TriesAgainWhereTheAgentStumbles) {
  bool is_first = true;
  world.processes.add("gpg", [&](const FakeProcesses::Run&) -> Result<FakeProcesses::Answer> {
    const FakeProcesses::Answer stumbling{
        .status = 2, .report = "[GNUPG:] ERROR pkdecrypt_failed 67108919\n[GNUPG:] DECRYPTION_FAILED\n"};
    return std::exchange(is_first, false) ? stumbling : decrypting;
  });
  EXPECT_EQ(outcome(unwrap()), kKey);
}

// keys.md 4.5: the fifth waits until one of the four is done.
TEST_F(Pgp, RunsAtMostFourGpgAtOnce) {
  class CountingProcesses final : public Processes {
   public:
    Result<RunResult> run(const RunOptions&) override {
      const int now = ++running_;
      for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      --running_;
      return RunResult{};
    }
    std::atomic<int> most = 0;

   private:
    std::atomic<int> running_ = 0;
  } processes;
  Services& fake = world.services();
  Services services{fake.files,    fake.clock,    fake.random, fake.environment, processes,
                    fake.terminal, fake.commands, fake.http,   fake.run};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 12; ++i)
      threads.emplace_back([&] { [[maybe_unused]] const auto ignored = run_gpg({}, services); });
  }
  EXPECT_GT(processes.most, 0);
  EXPECT_LE(processes.most, 4);
}

// keys.md 1.3, 4.1, pass 2
TEST_F(Pgp, AsksForAPassphraseWhenItMay) {
  decrypting = {.status = 2, .report = kLocked};
  world.terminal.stderr_terminal = true;
  EXPECT_EQ(outcome(unwrap(false)), failed(ErrorCode::kNeedsPerson, "the secret key is locked by a passphrase or PIN"));
  ASSERT_EQ(world.processes.runs.size(), 1u);
  EXPECT_EQ(outcome(unwrap(true)), kKey);
  ASSERT_EQ(world.processes.runs.size(), 4u);
  EXPECT_THAT(arguments(2),
              ElementsAre("gpg", "--status-fd", "3", "--batch", "--with-colons", "--list-keys", "--", kFingerprint));
  EXPECT_THAT(arguments(3),
              ElementsAre("gpg", "--status-fd", "3", "--no-auto-key-retrieve", "--disable-dirmngr", "-d"));
  EXPECT_EQ(world.processes.runs[3].extra_environment.at("GPG_TTY"), "/dev/pts/7");
}

TEST_F(Pgp, AsksNobodyWhereNobodyIs) {
  decrypting = {.status = 2, .report = kLocked};
  EXPECT_EQ(outcome(unwrap(true)), failed(ErrorCode::kNeedsPerson, "the secret key is locked by a passphrase or PIN"));
  world.environment.set("GPG_TTY", "not a tty");
  EXPECT_FALSE(unwrap(true));
  world.environment.set("DISPLAY", ":0");
  EXPECT_EQ(outcome(unwrap(true)), kKey);
}

// keys.md 4.2: a stranger's message must not make gpg ask for another key of ours.
TEST_F(Pgp, AsksOnlyForTheKeyThatTheEntryNames) {
  decrypting = {.status = 2, .report = kLocked};
  world.terminal.stderr_terminal = true;
  decrypting.report.replace(decrypting.report.find("A0DEA5CFCB69DCF7"), 16, "1111111111111111");
  EXPECT_EQ(outcome(unwrap(true)),
            failed(ErrorCode::kDenied,
                   "the message is not for the key that the entry names, but for 1111111111111111; "
                   "nobody is asked for its passphrase"));
  EXPECT_EQ(outcome(unwrap(true, kMessage, "one")),
            failed(ErrorCode::kMalformed, "'one' is no fingerprint of a PGP key"));
}

TEST_F(Pgp, DoesNotAskAgainWhoHasCanceled) {
  decrypting = {.status = 2, .report = kLocked};
  asking = {.status = 2, .report = "[GNUPG:] ERROR pkdecrypt_failed 83886179\n[GNUPG:] DECRYPTION_FAILED\n"};
  world.terminal.stderr_terminal = true;
  EXPECT_EQ(outcome(unwrap(true)), failed(ErrorCode::kDenied, "the question for the passphrase was canceled"));
  const size_t before = world.processes.runs.size();
  EXPECT_EQ(outcome(unwrap(true)),
            failed(ErrorCode::kDenied, "the question for the passphrase was canceled, for another file"));
  EXPECT_EQ(world.processes.runs.size(), before + 2);  // pass 1 and the listing
}

// keys.md 4.4
TEST_F(Pgp, StartsAnAgentForAHomeThatIsReadOnly) {
  world.environment.set("GNUPGHOME", "/keys");
  world.files.put("/keys/pubring.kbx", "");
  decrypting = {.status = 2, .report = kNotHere};
  EXPECT_EQ(outcome(unwrap()), failed(ErrorCode::kNotMine, "no secret key for A0DEA5CFCB69DCF7 is here"));
  world.files.make_read_only("/keys");
  world.processes.add("gpg-agent", [&](const FakeProcesses::Run&) -> Result<FakeProcesses::Answer> {
    decrypting = {.output = std::string(kKey), .report = kDecrypted};
    return FakeProcesses::Answer{};
  });
  EXPECT_EQ(outcome(unwrap()), kKey);
  decrypting = {.status = 2, .report = kNotHere};
  EXPECT_FALSE(unwrap());  // it was started already, so this is another message
  EXPECT_EQ(
      std::ranges::count_if(world.processes.runs, [](const auto& run) { return run.arguments[0] == "gpg-agent"; }), 1);
}

TEST_F(Pgp, SaysThatNoAgentCanBeStarted) {
  world.environment.set("GNUPGHOME", "/keys");
  world.files.put("/keys/pubring.kbx", "");
  world.files.make_read_only("/keys");
  world.processes.add("gpg-agent", {.status = 2});
  decrypting = {.status = 2, .report = kNotHere};
  EXPECT_EQ(outcome(unwrap()),
            failed(ErrorCode::kUnavailable,
                   "no gpg-agent is running, and none can be started, because /keys is not writable"));
}

}  // namespace
}  // namespace sops::pgp
