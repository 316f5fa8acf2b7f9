// SPDX-License-Identifier: MPL-2.0
//
// The key source pgp: keys of GnuPG, used through the gpg program as SOPS does (keys.md 4, spec keys-pgp.md). An entry
// of a file is
//
//   {"fp": "FBC7B9E2…", "enc": "-----BEGIN PGP MESSAGE-----\n…", "created_at": "2025-03-23T10:20:30Z"}
//
// and `enc` an OpenPGP message with the data key for that one recipient. It comes from strangers and drives gpg, so
// what gpg may do with it is little: no question, no network, ten seconds, 4 KiB. Only a message that turns out to be
// locked by a passphrase, and is for the key that the entry names, may ask a person in a second call.
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "base/rfc3339.h"
#include "base/text.h"
#include "keysources/key_source.h"
#include "keysources/pgp/fingerprint.h"
#include "keysources/pgp/gpg.h"
#include "sys/run_state.h"

namespace sops::pgp {

namespace {

constexpr size_t kMaxMessageSize = 64 << 10;          // keys.md 4.2
constexpr std::chrono::seconds kEncryptDeadline{60};  // gpg may first have to check the trust of a large key ring

// Keys for which a person has refused to answer: not asked again for every file of a run.
struct Refusals {
  std::mutex mutex;
  std::set<std::string> keys;
};

std::string words_of(const GpgAnswer& answer) {
  return answer.words.empty() ? format("gpg ended with status {}", answer.exit_status) : answer.words;
}

std::string list_ids(const std::vector<std::string>& ids) {
  constexpr size_t kMostShown = 4;
  std::string text;
  for (size_t i = 0; i < ids.size() && i < kMostShown; ++i) text += (i > 0 ? ", " : "") + ids[i];
  return ids.size() > kMostShown ? text + ", …" : text;
}

GpgCall decrypt_call(std::string_view message) {
  return {.arguments = {"--no-auto-key-retrieve", "--disable-dirmngr", "-d"}, .input = as_bytes(message)};
}

// keys.md 4.2: "success needs status DECRYPTION_OKAY besides exit 0".
bool is_decrypted(const GpgAnswer& answer) {
  return answer.exit_status == 0 && answer.status.is_decrypted && !answer.output.empty();
}

// Why a person was not asked, or did not answer; nullopt if the failure is another.
std::optional<Failure> persons_failure(const GpgStatus& status) {
  if (status.has_error(kNoPinentry)) {
    return fail(ErrorCode::kNeedsPerson, "the secret key is locked by a passphrase or PIN")
        .hint(
            "gpg-agent must know it already where nobody can be asked: unlock it with `gpg -d` in a terminal, or see "
            "gpg-preset-passphrase");
  }
  if (status.has_error(kCanceled) || status.has_error(kFullyCanceled)) {
    return fail(ErrorCode::kDenied, "the question for the passphrase was canceled");
  }
  if (status.has_error(kBadPassphrase) || status.has_error(kNoPassphrase)) {
    return fail(ErrorCode::kDenied, "the passphrase is wrong");
  }
  if (status.has_error(kTimedOut)) return fail(ErrorCode::kDenied, "nobody answered the question for the passphrase");
  if (status.has_error(kNotATerminal)) {
    return fail(ErrorCode::kNeedsPerson, "pinentry found no terminal to ask on").hint("export GPG_TTY=$(tty)");
  }
  if (status.has_error(kNoCard)) return fail(ErrorCode::kUnavailable, "the smart card with the secret key is missing");
  return std::nullopt;
}

// Why the message was not decrypted.
Failure decryption_failure(const GpgAnswer& answer) {
  const GpgStatus& status = answer.status;
  if (status.asks_for_own_passphrase) {
    return fail(ErrorCode::kUnsupported, "the message is encrypted with a passphrase of its own instead of a key");
  }
  if (status.is_decrypted && answer.exit_status == 0) return fail(ErrorCode::kMalformed, "gpg gave no data");
  if (answer.exit_status == 0 && status.is_silent) {
    return fail(ErrorCode::kUnavailable, "gpg has reported nothing through descriptor 3, so its output is not believed")
        .hint("a script that SOPS_GPG_EXEC names must hand that on, as exec gpg \"$@\" does");
  }
  if (answer.exit_status == 0) return fail(ErrorCode::kMalformed, "the message is not encrypted");
  if (auto failure = persons_failure(status)) return std::move(*failure);
  if (status.has_error(kNoAgent) || status.has_error(kAgentFailed)) {
    return fail(ErrorCode::kUnavailable, "gpg-agent does not answer: {}", words_of(answer));
  }
  if (status.is_agent_overtaxed()) {
    return fail(ErrorCode::kUnavailable, "gpg-agent has too much to do: {}", words_of(answer))
        .hint("try again; the line auto-expand-secmem 1000000 in gpg-agent.conf gives it more memory");
  }
  if (!status.missing_keys.empty()) {
    return fail(ErrorCode::kNotMine, "no secret key for {} is here", list_ids(status.missing_keys));
  }
  if (status.is_no_message) return fail(ErrorCode::kMalformed, "the field enc holds no OpenPGP message");
  if (status.is_damaged) return fail(ErrorCode::kAuthFailed, "the message is damaged: {}", words_of(answer));
  return fail(ErrorCode::kUnavailable, "gpg failed: {}", words_of(answer));
}

// keys.md 4.1: pass 2 "only with a terminal or display".
bool can_ask(Services& services) {
  if (!services.terminal.name().empty()) return true;
  for (const char* display : {"DISPLAY", "WAYLAND_DISPLAY"}) {
    if (!services.environment.get(display).value_or("").empty()) return true;
  }
  const auto terminal = services.environment.get("GPG_TTY");
  if (!terminal || !terminal->starts_with('/')) return false;
  const auto info = services.files.info(*terminal);
  return info && *info && (*info)->kind == FileInfo::Kind::kOther;
}

class PgpKey final : public MasterKey {
 public:
  PgpKey(std::string fingerprint, std::string created_at)
      : fingerprint_(std::move(fingerprint)), created_at_(std::move(created_at)) {}

  Result<FieldMap> wrap(const SecureBytes& secret, Services& services) const override {
    TRY(check_fingerprint());
    // keys-pgp.md 4.2, and two more: no question, and status lines.
    GpgCall call{.arguments = {"--batch", "--no-default-recipient", "--yes", "--encrypt", "-a", "-r", fingerprint_},
                 .input = secret.expose(),
                 .output_limit = kMaxMessageSize,
                 .deadline = kEncryptDeadline};
    // keys.md 4.4: --trusted-key writes to the home. Both options mean that it was us who chose the key.
    const bool is_read_only = !read_only_home(services).empty();
    call.arguments.emplace_back(is_read_only ? "--trust-model" : "--trusted-key");
    call.arguments.push_back(is_read_only ? "always" : std::string(short_form(fingerprint_)));
    call.arguments.emplace_back("--no-encrypt-to");
    const GpgAnswer answer = TRY(run_gpg(call, services));
    const std::string_view message = trim(answer.output.expose_text());
    if (answer.exit_status != 0 || message.empty()) return fail(encryption_failure(answer, services));
    FieldMap fields;
    fields["fp"] = fingerprint_;
    fields["enc"] = std::string(message);
    // keys-pgp.md 1.4: the time stays when the entry is made again.
    fields["created_at"] = created_at_.empty() ? utc_seconds(services.clock.now()) : created_at_;
    return fields;
  }

  Result<SecureBytes> unwrap(const FieldMap& wrapped, const UnwrapOptions& options, Services& services) const override {
    const std::string_view message = field_text(wrapped, "enc");
    if (trim(message).empty()) return fail(ErrorCode::kMalformed, "the field enc is empty");
    if (message.size() > kMaxMessageSize) {
      return fail(ErrorCode::kMalformed, "the field enc has {} bytes, which is no data key", message.size());
    }
    GpgAnswer answer = TRY(decrypt_quietly(message, options.stop, services));
    if (is_decrypted(answer)) return std::move(answer.output);
    Error error = decryption_failure(answer).error();
    if (error.code != ErrorCode::kNeedsPerson || !options.may_ask) return fail(std::move(error));
    TRY(check_is_for_us(answer.status, services));
    if (!can_ask(services)) return fail(std::move(error));
    return ask(message, options.stop, services);
  }

  std::string id() const override { return fingerprint_; }

 private:
  Result<void> check_fingerprint() const {
    if (is_fingerprint(fingerprint_)) return {};
    return fail(ErrorCode::kMalformed, "'{}' is no fingerprint of a PGP key", escape_for_message(fingerprint_, 80))
        .hint("40 hexadecimal digits without spaces: gpg --list-keys --with-subkey-fingerprint prints them");
  }

  // Why gpg did not encrypt. keys.md 4.3: what the key is asked afterwards.
  Error encryption_failure(const GpgAnswer& answer, Services& services) const {
    std::string reason;
    if (answer.status.refused_recipient) {
      const std::string_view digits = digits_of(fingerprint_);
      const auto listing = list_key(fingerprint_, services);
      const std::string subkey =
          fingerprint_.ends_with('!') ? to_upper(digits.substr(digits.size() - 16)) : std::string();
      if (listing) reason = refusal(*listing, subkey);
    }
    if (reason.empty()) {
      return fail(ErrorCode::kUnavailable, "gpg could not encrypt for the key: {}", words_of(answer)).error();
    }
    const bool is_missing = answer.status.refused_recipient == 1;
    return fail(is_missing ? ErrorCode::kUnavailable : ErrorCode::kDenied, "gpg does not encrypt for the key: {}",
                reason)
        .hint(is_missing ? "import it: gpg --import key.asc"
                         : "take another key, or a newer version of this one: gpg --import key.asc")
        .error();
  }

  // keys.md 4.1, pass 1.
  static Result<GpgAnswer> decrypt_quietly(std::string_view message, const std::stop_token& stop, Services& services) {
    GpgCall call = decrypt_call(message);
    call.arguments.insert(call.arguments.begin(), {"--pinentry-mode", "error"});
    call.stop = stop;
    GpgAnswer answer = TRY(run_gpg(call, services));
    if (is_decrypted(answer) || answer.status.missing_keys.empty()) return answer;
    const std::string home = read_only_home(services);
    if (home.empty()) return answer;
    // keys.md 4.4: gpg cannot start an agent there, and without one it knows no secret key.
    if (start_agent(services)) return run_gpg(call, services);
    return fail(ErrorCode::kUnavailable, "no gpg-agent is running, and none can be started, because {} is not writable",
                escape_for_message(home))
        .hint("make a folder for its sockets, /run/user/UID, or start gpg-agent before the folder becomes read-only");
  }

  // keys.md 4.2: a message "for none of the ids of `fp`" is never tried in pass 2.
  Result<void> check_is_for_us(const GpgStatus& status, Services& services) const {
    TRY(check_fingerprint());
    const std::vector<ListedKey> listing = TRY(list_key(fingerprint_, services));
    for (const std::string& id : status.encrypted_to) {
      for (const ListedKey& key : listing) {
        if (key.id == id) return {};
      }
    }
    return fail(ErrorCode::kDenied,
                "the message is not for the key that the entry names, but for {}; nobody is asked for its passphrase",
                list_ids(status.encrypted_to));
  }

  // keys.md 4.1, pass 2: without a deadline, because an agent whose gpg was killed is locked for a minute.
  Result<SecureBytes> ask(std::string_view message, const std::stop_token& stop, Services& services) const {
    Refusals& refusals = services.run.get<Refusals>();
    {
      const std::lock_guard lock(refusals.mutex);
      if (refusals.keys.contains(fingerprint_)) {
        return fail(ErrorCode::kDenied, "the question for the passphrase was canceled, for another file");
      }
    }
    GpgCall call = decrypt_call(message);
    call.deadline = std::chrono::milliseconds(0);
    call.terminal = services.terminal.name();
    call.stop = stop;
    GpgAnswer answer = TRY(run_gpg(call, services));
    if (is_decrypted(answer)) return std::move(answer.output);
    if (answer.status.has_error(kCanceled) || answer.status.has_error(kFullyCanceled)) {
      const std::lock_guard lock(refusals.mutex);
      refusals.keys.insert(fingerprint_);
    }
    return decryption_failure(answer);
  }

  std::string fingerprint_;
  std::string created_at_;  // as it stands in a file; empty for a key that was named
};

// keys-pgp.md 2.1: split at ',' and nothing checked; 2.3: an empty part is a key that fails when it is used.
Result<MasterKeys> from_list(std::string_view comma_list, const KeyOptions&) {
  MasterKeys keys;
  if (comma_list.empty()) return keys;
  for (std::string_view part : split(comma_list, ','))
    keys.push_back(std::make_unique<PgpKey>(without_spaces(part), ""));
  return keys;
}

Result<std::unique_ptr<MasterKey>> from_metadata(const FieldMap& fields) {
  return std::unique_ptr<MasterKey>(
      std::make_unique<PgpKey>(std::string(field_text(fields, "fp")), std::string(field_text(fields, "created_at"))));
}

}  // namespace

extern const KeySourceType type;
const KeySourceType type{
    .id = "pgp",
    .summary = "fingerprints of PGP keys",
    .flag = "pgp",
    .short_flag = "p",
    .environment = "SOPS_PGP_FP",
    .rule_field = "pgp",
    .value_name = "FINGERPRINTS",
    .from_list = from_list,
    .from_metadata = from_metadata,
};

}  // namespace sops::pgp
