// SPDX-License-Identifier: MPL-2.0
//
// What core, config and cli know of a key source (age, pgp, aws_kms …). A key source is a folder below src/keysources
// plus one line in key_sources.def; it exports one `const KeySourceType type`. Flags, environment variables, .sops.yaml
// fields and metadata fields come from that record.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "sys/services.h"

namespace sops {

/// The fields of one key entry in a file's metadata, as text: {"recipient": "age1…", "enc": "-----BEGIN…"}. A nested
/// map (the context of KMS) has entries "context" → map. Ordered by name, as SOPS writes them.
using FieldValue = std::variant<std::string, std::map<std::string, std::string>>;
using FieldMap = std::map<std::string, FieldValue>;

/// Text of a field, "" if it is missing or no text.
std::string_view field_text(const FieldMap& fields, std::string_view name);

/// How one attempt to unwrap may go (keys.md 1).
struct UnwrapOptions {
  bool may_ask = true;         // a person may be asked: passphrase, pinentry, MFA code, touch (keys.md 1.3)
  std::stop_token stop;        // asks for an end as soon as another key has given the data key
  bool is_before_3_3 = false;  // a SOPS older than 3.3.0 wrote the file (keys-aws.md 1.8)
};

/// A master key: something that can wrap the data key. Immutable: wrapping returns a value, it does not change the key.
class MasterKey {
 public:
  virtual ~MasterKey() = default;

  /// Encrypts `secret` (the 32-byte data key, or a 33-byte Shamir share) to this master key. Returns the complete
  /// metadata entry, `enc` included. Errors: kMalformed (the key itself is no key), kDenied, kUnavailable,
  /// kUnsupported.
  virtual Result<FieldMap> wrap(const SecureBytes& secret, Services& services) const = 0;

  /// Recovers what wrap() was given from the entry `wrapped` of a file.
  /// Errors: kNotMine if no identity of this machine fits (expected, reported in sum only); kDenied, kUnavailable,
  /// kMalformed, kAuthFailed, kUnsupported; kNeedsPerson if it takes an answer of a person and `options` does not allow
  /// to ask. The caller goes on to the next key in any case.
  virtual Result<SecureBytes> unwrap(const FieldMap& wrapped, const UnwrapOptions& options,
                                     Services& services) const = 0;

  /// SOPS's KEY_ID (cli.md 3.7): the name in reports and differences, and the identity by which keys are equal.
  virtual std::string id() const = 0;
};

using MasterKeys = std::vector<std::unique_ptr<MasterKey>>;

/// What a command line says of all keys of a list besides the keys themselves. A key source takes what concerns it.
struct KeyOptions {
  std::map<std::string, std::string> encryption_context;  // --encryption-context
  std::string aws_profile;                                // --aws-profile
};

/// Everything the rest of the program needs to know of one kind of key source.
struct KeySourceType {
  std::string_view id;           // list name in the metadata and in --decryption-order: "age"
  std::string_view summary;      // one line for help: "age recipients (age1…, ssh-…)"
  std::string_view flag;         // "age" gives --age, --add-age, --rm-age
  std::string_view short_flag;   // "a", or empty
  std::string_view environment;  // default of the flag: "SOPS_AGE_RECIPIENTS"
  std::string_view rule_field;   // flat field of a creation rule: "age"
  std::string_view value_name;   // for help: "RECIPIENTS"
  bool is_remote = false;        // its keys are behind a network, so that several can be asked at once (keys.md 1.9)

  /// Parses the comma list of the flag, the environment variable or a flat rule field.
  /// Errors: kMalformed, naming the part.
  Result<MasterKeys> (*from_list)(std::string_view comma_list, const KeyOptions& options) = nullptr;

  /// The master key of a metadata entry. Does not check more than SOPS does when it loads (keys-age.md 1.8).
  Result<std::unique_ptr<MasterKey>> (*from_metadata)(const FieldMap& fields) = nullptr;
};

/// All key sources, in the order of key_sources.def. (registry.cc)
std::span<const KeySourceType* const> all_key_sources();

/// The key source with that metadata name, nullptr if there is none.
const KeySourceType* find_key_source(std::string_view id);

}  // namespace sops
