// SPDX-License-Identifier: MPL-2.0
#include "keysources/age/recipient.h"

#include <algorithm>
#include <string>
#include <utility>

#include "keysources/age/bech32.h"
#include "keysources/age/x25519_stanza.h"

namespace sops::age {

namespace {

// Long keys are recognized by their beginning.
constexpr size_t kShownLength = 80;

class X25519Recipient final : public Recipient {
 public:
  explicit X25519Recipient(const X25519Point& point) : point_(point) {}

  Result<std::vector<Stanza>> wrap(const SecureBytes& file_key, Services& services) const override {
    SecureBytes ephemeral(kX25519Size);
    services.random.fill(ephemeral.expose_mutable());
    Stanza stanza = TRY(wrap_x25519(file_key, point_, ephemeral));
    return std::vector<Stanza>{std::move(stanza)};
  }

 private:
  X25519Point point_;
};

// A recipient of a type that we know but cannot use yet. It can be read, compared and removed.
class UnsupportedRecipient final : public Recipient {
 public:
  explicit UnsupportedRecipient(std::string message) : message_(std::move(message)) {}

  Result<std::vector<Stanza>> wrap(const SecureBytes&, Services&) const override {
    return fail(ErrorCode::kUnsupported, "{}", message_)
        .hint("use a recipient that begins with age1 and has 62 characters");
  }

 private:
  std::string message_;
};

Failure not_bech32(std::string_view kind, std::string_view text, std::string_view why) {
  return fail(ErrorCode::kMalformed, "failed to parse input as {}: '{}': {}", kind,
              escape_for_message(text, kShownLength), why);
}

// A Bech32 recipient with that prefix and size.
Result<SecureBytes> decode_public_key(std::string_view text, std::string_view prefix, size_t size) {
  constexpr std::string_view kKind = "Bech32-encoded age public key";
  auto decoded = bech32_decode(text);
  if (!decoded) return not_bech32(kKind, text, decoded.error().message).hint(decoded.error().hint);
  if (decoded->prefix != prefix) return not_bech32(kKind, text, format("it does not begin with {}1", prefix));
  if (decoded->data.size() != size) return not_bech32(kKind, text, format("it does not hold {} bytes", size));
  return std::move(decoded->data);
}

template <class Type, class... Args>
std::unique_ptr<Recipient> make(Args&&... args) {
  return std::make_unique<Type>(std::forward<Args>(args)...);
}

std::unique_ptr<Recipient> unsupported(std::string_view kind, std::string_view text) {
  return make<UnsupportedRecipient>(
      format("{} is not supported yet: '{}'", kind, escape_for_message(text, kShownLength)));
}

Result<std::unique_ptr<Recipient>> parse_x25519(std::string_view text) {
  const SecureBytes data = TRY(decode_public_key(text, "age", kX25519Size));
  X25519Point point;
  std::ranges::copy(data.expose(), point.begin());
  return make<X25519Recipient>(point);
}

Result<std::unique_ptr<Recipient>> parse_hybrid(std::string_view text) {
  constexpr size_t kHybridSize = 1216;  // 11.1
  TRY(decode_public_key(text, "age1pq", kHybridSize));
  return unsupported("a post-quantum age recipient", text);
}

Result<std::unique_ptr<Recipient>> parse_plugin(std::string_view text) {
  const auto decoded = bech32_decode(text);
  if (!decoded) return not_bech32("age key from age plugin", text, decoded.error().message).hint(decoded.error().hint);
  return unsupported("an age plugin recipient", text);
}

}  // namespace

// 2.4: the first that fits decides, case-sensitive.
Result<std::unique_ptr<Recipient>> parse_recipient(std::string_view text) {
  if (text.starts_with("age1pq1")) return parse_hybrid(text);
  // '1' is no character of Bech32 data: a second one means that the prefix holds one, "age1yubikey" for example.
  if (text.starts_with("age1") && std::ranges::count(text, '1') > 1) return parse_plugin(text);
  if (text.starts_with("age1")) return parse_x25519(text);
  if (text.starts_with("ssh-")) return unsupported("an ssh recipient for age", text);

  const std::string lower = to_lower(text);
  if (lower.starts_with("age-secret-key-") || lower.starts_with("age-plugin-")) {
    // Not quoted: it is a private key.
    return fail(ErrorCode::kMalformed, "unknown recipient type: this is a private key (identity)")
        .hint("give its public half, which begins with age1: age-keygen -y prints it");
  }
  if (text.empty()) return fail(ErrorCode::kMalformed, "unknown recipient type: an age recipient is empty");
  Failure unknown =
      fail(ErrorCode::kMalformed, "unknown recipient type: \"{}\"", escape_for_message(text, kShownLength));
  if (lower.starts_with("age1")) return std::move(unknown).hint("write it in lower case");
  return std::move(unknown).hint("age recipients begin with age1 or ssh-");
}

}  // namespace sops::age
