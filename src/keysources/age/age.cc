// SPDX-License-Identifier: MPL-2.0
//
// The key source age. A data key is wrapped by making a small age file of it, in armor, for exactly one recipient (spec
// keys-age.md 1.3); a metadata entry is
//
//   {"recipient": "age1…", "enc": "-----BEGIN AGE ENCRYPTED FILE-----\n…"}
//
// Here the parts come together: recipient.h (whom), identity.h and identities.h (who, and where to find them), file.h
// and armor.h (the format), bech32.h (how keys are spelled).
#include <string>
#include <utility>

#include "keysources/age/armor.h"
#include "keysources/age/file.h"
#include "keysources/age/identities.h"
#include "keysources/age/recipient.h"
#include "keysources/key_source.h"

namespace sops::age {

namespace {

// More than any data key or share; a file that holds more is something else.
constexpr size_t kMaxPayloadSize = 1024;

// 4.1
Error no_identities(const FoundIdentities& found) {
  Error error = fail(ErrorCode::kNotMine, "failed to load age identities{}", found.explain())
                    .hint("put the file with your age identity into SOPS_AGE_KEY_FILE")
                    .error();
  if (!found.problems.empty()) {
    error.code = found.problems.front().code;
    error.hint = found.problems.front().hint;
  }
  return error;
}

// Adds to `error` what a person needs to see why no identity did it: whose were tried, and what could not be read.
Error none_fits(Error error, const FoundIdentities& found) {
  error.message += found.explain();
  std::string tried;
  for (const auto& identity : found.identities) {
    const std::string recipient = identity->recipient();
    if (recipient.empty()) continue;
    tried += tried.empty() ? "the identities found are for " : ", ";
    if (tried.size() > 300) {
      tried += "…";
      break;
    }
    tried += recipient;
  }
  return std::move(error).with_hint(std::move(tried));
}

class AgeKey final : public MasterKey {
 public:
  explicit AgeKey(std::string recipient) : recipient_(std::move(recipient)) {}

  Result<FieldMap> wrap(const SecureBytes& secret, Services& services) const override {
    const auto recipient = TRY(parse_recipient(recipient_));
    SecureBytes file_key(kFileKeySize);
    services.random.fill(file_key.expose_mutable());
    const std::vector<Stanza> stanzas = TRY(recipient->wrap(file_key, services));
    std::array<uint8_t, kPayloadNonceSize> nonce;
    services.random.fill(nonce);
    FieldMap fields;
    fields["recipient"] = recipient_;
    fields["enc"] = armor_encode(seal_file(stanzas, file_key, nonce, secret.expose()));
    return fields;
  }

  Result<SecureBytes> unwrap(const FieldMap& wrapped, const UnwrapOptions&, Services& services) const override {
    // The text is checked before identities are looked for: that may run a program.
    const std::vector<uint8_t> bytes = TRY(armor_decode(field_text(wrapped, "enc")));
    const FileView file = TRY(parse_file(bytes));
    if (file.payload.size() > kMaxPayloadSize) {
      return fail(ErrorCode::kMalformed, "the age file holds {} bytes, which is no data key", file.payload.size());
    }
    const FoundIdentities found = find_identities(recipient_, services);
    if (found.identities.empty()) return fail(no_identities(found));
    auto file_key = unwrap_file_key(found.identities, file.stanzas, services);
    if (!file_key) {
      Error& error = file_key.error();
      const bool none = error.code == ErrorCode::kNotMine || error.code == ErrorCode::kUnsupported;
      return fail(none ? none_fits(std::move(error), found) : std::move(error));
    }
    return open_file(*file_key, file);
  }

  std::string id() const override { return recipient_; }

 private:
  std::string recipient_;
};

// 2.1: split at ',' only; "An empty whole string means "no recipients"; an empty part is an error".
Result<MasterKeys> from_list(std::string_view comma_list, const KeyOptions&) {
  MasterKeys keys;
  if (comma_list.empty()) return keys;
  for (std::string_view part : split(comma_list, ',')) {
    const std::string_view recipient = trim(part);
    if (recipient.empty()) {
      return fail(ErrorCode::kMalformed, "unknown recipient type: a recipient in the age list is empty")
          .hint("remove the superfluous comma");
    }
    // 2.7: a bad recipient stops the command before any key is used. Parsed again where it is used.
    TRY(parse_recipient(recipient));
    keys.push_back(std::make_unique<AgeKey>(std::string(recipient)));
  }
  return keys;
}

// 1.8: loading a file does not parse the recipient, so that its other keys stay usable.
Result<std::unique_ptr<MasterKey>> from_metadata(const FieldMap& fields) {
  return std::unique_ptr<MasterKey>(std::make_unique<AgeKey>(std::string(field_text(fields, "recipient"))));
}

}  // namespace

extern const KeySourceType type;
const KeySourceType type{
    .id = "age",
    .summary = "age recipients (age1…)",
    .flag = "age",
    .short_flag = "a",
    .environment = "SOPS_AGE_RECIPIENTS",
    .rule_field = "age",
    .value_name = "RECIPIENTS",
    .from_list = from_list,
    .from_metadata = from_metadata,
};

}  // namespace sops::age
