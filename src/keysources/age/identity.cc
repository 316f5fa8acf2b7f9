// SPDX-License-Identifier: MPL-2.0
#include "keysources/age/identity.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "keysources/age/bech32.h"
#include "keysources/age/x25519_stanza.h"

namespace sops::age {

namespace {

class X25519Identity final : public Identity {
 public:
  explicit X25519Identity(SecureBytes scalar) : scalar_(std::move(scalar)) {}

  Result<SecureBytes> unwrap(std::span<const Stanza> stanzas, Services&) const override {
    return unwrap_x25519(stanzas, scalar_);
  }
  bool is_native() const override { return true; }
  std::string recipient() const override { return bech32_encode("age", x25519_public(scalar_.expose())); }

 private:
  SecureBytes scalar_;
};

bool is_ssh_stanza(std::string_view type) { return type.starts_with("ssh-"); }
bool is_hybrid_stanza(std::string_view type) { return type == "mlkem768x25519"; }
// A plugin may claim any type that age itself does not know.
bool is_plugin_stanza(std::string_view type) {
  return type != "X25519" && type != "scrypt" && !is_hybrid_stanza(type) && !is_ssh_stanza(type);
}
bool is_any_stanza(std::string_view) { return true; }

// An identity of a type that we know but cannot use yet. It says so only for files that it might open; for all others
// it is simply not the right key, like every other.
class UnsupportedIdentity final : public Identity {
 public:
  UnsupportedIdentity(std::string message, bool (*may_open)(std::string_view type))
      : message_(std::move(message)), may_open_(may_open) {}

  Result<SecureBytes> unwrap(std::span<const Stanza> stanzas, Services&) const override {
    if (std::ranges::any_of(stanzas, [this](const Stanza& stanza) { return may_open_(stanza.args[0]); })) {
      return fail(ErrorCode::kUnsupported, "{}", message_);
    }
    return fail(ErrorCode::kNotMine, "no stanza is for this identity");
  }
  bool is_native() const override { return false; }
  std::string recipient() const override { return {}; }

 private:
  std::string message_;
  bool (*may_open_)(std::string_view type);
};

std::unique_ptr<Identity> unsupported(std::string_view kind, std::string_view place,
                                      bool (*may_open)(std::string_view)) {
  return std::make_unique<UnsupportedIdentity>(format("{} is not supported yet: '{}'", kind, escape_for_message(place)),
                                               may_open);
}

// 3.8: dispatch by prefix, upper case only. The message never quotes the text.
Result<std::unique_ptr<Identity>> parse_identity(std::string_view place, std::string_view text) {
  constexpr std::string_view kX25519Prefix = "AGE-SECRET-KEY-";
  constexpr std::string_view kHybridPrefix = "AGE-SECRET-KEY-PQ-";
  constexpr std::string_view kPluginPrefix = "AGE-PLUGIN-";
  constexpr size_t kIdentitySize = 32;  // 8.1, 11.1

  if (text.starts_with(kPluginPrefix)) {
    TRY(bech32_decode(text));
    return unsupported("an age plugin identity", place, is_plugin_stanza);
  }
  const bool is_hybrid = text.starts_with("AGE-SECRET-KEY-PQ-1");
  if (is_hybrid || text.starts_with("AGE-SECRET-KEY-1")) {
    Bech32 decoded = TRY(bech32_decode(text));
    if (decoded.prefix != (is_hybrid ? kHybridPrefix : kX25519Prefix) || decoded.data.size() != kIdentitySize) {
      return fail(ErrorCode::kMalformed, "the identity does not hold 32 bytes");
    }
    if (is_hybrid) return unsupported("a post-quantum age identity", place, is_hybrid_stanza);
    return std::make_unique<X25519Identity>(std::move(decoded.data));
  }
  Failure unknown = fail(ErrorCode::kMalformed, "unknown identity type");
  if (text.starts_with("age1"))
    return std::move(unknown).hint("this is a recipient; the identity begins with AGE-SECRET-KEY-1");
  if (trim(text).size() != text.size()) return std::move(unknown).hint("remove the blanks around the identity");
  return std::move(unknown).hint("age identities begin with AGE-SECRET-KEY-1, in upper case");
}

// The words of a line, separated by blanks.
std::vector<std::string_view> split_words(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  std::vector<std::string_view> words;
  while (true) {
    const size_t begin = line.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const size_t end = std::min(line.find_first_of(kBlanks), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

}  // namespace

Result<Identities> parse_identities(std::string_view place, std::string_view text, IdentityLayout layout) {
  Identities identities;
  // 3.9: recognized by the first 14 bytes, nothing before them.
  if (text.starts_with("age-encryption") || text.starts_with("-----BEGIN AGE")) {
    identities.push_back(unsupported("an encrypted age identity file", place, is_any_stanza));
    return identities;
  }
  size_t number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    const std::vector<std::string_view> words =
        layout == IdentityLayout::kWords ? split_words(line) : std::vector<std::string_view>{line};
    for (std::string_view word : words) {
      auto identity = parse_identity(place, word);
      if (!identity) {
        return fail(ErrorCode::kMalformed, "failed to parse '{}' age identities: line {}: {}",
                    escape_for_message(place), number, identity.error().message)
            .hint(identity.error().hint);
      }
      identities.push_back(std::move(*identity));
    }
  }
  return identities;
}

std::unique_ptr<Identity> unsupported_ssh_identity(std::string_view place) {
  return unsupported("an ssh key as age identity", place, is_ssh_stanza);
}

Result<SecureBytes> unwrap_file_key(const Identities& identities, std::span<const Stanza> stanzas, Services& services) {
  std::optional<Error> unsupported_one;
  for (const bool native : {true, false}) {
    for (const auto& identity : identities) {
      if (identity->is_native() != native) continue;
      auto file_key = identity->unwrap(stanzas, services);
      if (file_key) return file_key;
      if (file_key.error().code == ErrorCode::kUnsupported) {
        if (!unsupported_one) unsupported_one = std::move(file_key.error());
      } else if (file_key.error().code != ErrorCode::kNotMine) {
        return file_key;
      }
    }
  }
  if (unsupported_one) return fail(std::move(*unsupported_one));
  // 4.6
  if (identities.size() == 1) {
    return fail(ErrorCode::kNotMine,
                "identity did not match any of the recipients: incorrect identity for recipient block");
  }
  return fail(ErrorCode::kNotMine, "no identity matched any of the recipients");
}

}  // namespace sops::age
