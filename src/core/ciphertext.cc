// SPDX-License-Identifier: MPL-2.0
#include "core/ciphertext.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/codec.h"
#include "base/decimal.h"
#include "base/rfc3339.h"

namespace sops {

namespace {

constexpr std::string_view kPrefix = "ENC[AES256_GCM,data:";
constexpr std::string_view kIv = ",iv:";
constexpr std::string_view kTag = ",tag:";
constexpr std::string_view kType = ",type:";

}  // namespace

std::string_view type_tag(ScalarType type) {
  switch (type) {
    case ScalarType::kBool:
      return "bool";
    case ScalarType::kInt:
      return "int";
    case ScalarType::kFloat:
      return "float";
    case ScalarType::kTime:
      return "time";
    case ScalarType::kBytes:
    case ScalarType::kString:
      return "str";
    default:
      break;
  }
  SOPS_CHECK(false, "core encrypts no nulls and refuses unsigned integers");
  return {};
}

// format.md 2.7: ^ENC\[AES256_GCM,data:(.+),iv:(.+),tag:(.+),type:(.+)\] with greedy groups, where '.' is no line feed.
// Greedy means that each separator is the last one that leaves the rest a match, so the search goes from the end.
std::optional<CiphertextView> parse_ciphertext(std::string_view text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  // The pattern is not anchored at the end: it may stop before a line feed.
  const std::string_view line = text.substr(0, text.find('\n'));
  const size_t end = line.rfind(']');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view body = line.substr(0, end);
  const size_t type = body.rfind(kType);
  if (type == std::string_view::npos || type + kType.size() >= body.size()) return std::nullopt;
  const size_t tag = body.substr(0, type).rfind(kTag);
  if (tag == std::string_view::npos || tag + kTag.size() >= type) return std::nullopt;
  const size_t iv = body.substr(0, tag).rfind(kIv);
  if (iv == std::string_view::npos || iv + kIv.size() >= tag || iv <= kPrefix.size()) return std::nullopt;
  return CiphertextView{.data = body.substr(kPrefix.size(), iv - kPrefix.size()),
                        .iv = body.substr(iv + kIv.size(), tag - iv - kIv.size()),
                        .tag = body.substr(tag + kTag.size(), type - tag - kTag.size()),
                        .type = body.substr(type + kType.size()),
                        .rest = text.substr(end + 1)};
}

size_t ciphertext_size(size_t size, std::string_view tag) {
  return kPrefix.size() + base64_length(size) + kIv.size() + base64_length(kNonceSize) + kTag.size() +
         base64_length(kAeadTagSize) + kType.size() + tag.size() + 1;
}

Result<ValueCipher> ValueCipher::create(const DataKey& key) {
  AesGcm aead = TRY(AesGcm::create(key.bytes().expose()));
  return ValueCipher(std::move(aead));
}

void ValueCipher::encrypt(std::string_view plaintext, std::string_view tag, std::string_view aad,
                          std::span<const uint8_t> nonce, std::span<char> out) {
  SOPS_CHECK(out.size() == ciphertext_size(plaintext.size(), tag), "the contract says so");
  char* at = out.data();
  const auto put = [&at](std::string_view text) {
    std::memcpy(at, text.data(), text.size());
    at += text.size();
  };
  const auto put_base64 = [&at](std::span<const uint8_t> bytes) {
    base64_encode(bytes, at);
    at += base64_length(bytes.size());
  };

  std::array<uint8_t, kAeadTagSize> authentication{};
  put(kPrefix);
  // Small values, the usual ones, need no heap.
  std::array<uint8_t, 512> small;
  if (plaintext.size() <= small.size()) {
    aead_.encrypt(nonce, as_bytes(aad), as_bytes(plaintext), small.data(), authentication.data());
    put_base64({small.data(), plaintext.size()});
  } else {
    // Sealed at the end of the place for its base64, which grows towards it and never overtakes it: a large text needs
    // no second place.
    const size_t room = base64_length(plaintext.size());
    const std::span<uint8_t> sealed(reinterpret_cast<uint8_t*>(at) + room - plaintext.size(), plaintext.size());
    aead_.encrypt(nonce, as_bytes(aad), as_bytes(plaintext), sealed.data(), authentication.data());
    put_base64(sealed);
  }
  put(kIv);
  put_base64(nonce);
  put(kTag);
  put_base64(authentication);
  put(kType);
  put(tag);
  put("]");
}

namespace {

Failure not_base64(std::string_view field) {
  return fail(ErrorCode::kMalformed, "the {} of the encrypted value is not base64", field)
      .exit(ExitStatus::kCannotDecryptTree);
}

// ScalarType of a type tag; kNull for a tag that SOPS does not know.
ScalarType type_of_tag(std::string_view tag) {
  if (tag == "str" || tag == "comment") return ScalarType::kString;
  if (tag == "int") return ScalarType::kInt;
  if (tag == "float") return ScalarType::kFloat;
  if (tag == "bool") return ScalarType::kBool;
  if (tag == "time") return ScalarType::kTime;
  if (tag == "bytes") return ScalarType::kString;  // format.md 2.19 [Ours]: raw bytes, treated as a string
  return ScalarType::kNull;
}

}  // namespace

Result<Decrypted> ValueCipher::decrypt(std::string_view text, std::string_view aad, SecureArena& arena) {
  const auto fields = parse_ciphertext(text);
  if (!fields) {
    return fail(ErrorCode::kMalformed,
                "an encrypted value was expected, of the form ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]")
        .hint("the value was probably edited by hand; restore the file, or run sops edit")
        .exit(ExitStatus::kCannotDecryptTree);
  }

  // data and tag are one string for the cipher: the last 16 bytes are the tag wherever the border is (format.md 2.3).
  const size_t bound = base64_decoded_bound(fields->data.size()) + base64_decoded_bound(fields->tag.size());
  const std::span<uint8_t> sealed = arena.allocate(bound);
  const auto data_size = base64_decode(fields->data, sealed.data());
  if (!data_size) return not_base64("data");
  const auto tag_size = base64_decode(fields->tag, sealed.data() + *data_size);
  if (!tag_size) return not_base64("tag");
  std::array<uint8_t, 256> small_iv;
  std::vector<uint8_t> large_iv;
  uint8_t* iv = small_iv.data();
  if (base64_decoded_bound(fields->iv.size()) > small_iv.size()) {
    large_iv.resize(base64_decoded_bound(fields->iv.size()));
    iv = large_iv.data();
  }
  const auto iv_size = base64_decode(fields->iv, iv);
  if (!iv_size || *iv_size == 0) return not_base64("iv");

  const size_t total = *data_size + *tag_size;
  const auto denied = [] {
    return fail(ErrorCode::kAuthFailed,
                "the value does not authenticate: it was changed, moved from another place, or the "
                "data key is another")
        .hint("compare with an earlier version of the file; a value is bound to the names of the keys above it")
        .exit(ExitStatus::kCannotDecryptTree);
  };
  if (total < kAeadTagSize) return denied();
  const size_t size = total - kAeadTagSize;
  std::array<uint8_t, kAeadTagSize> tag;
  std::memcpy(tag.data(), sealed.data() + size, tag.size());
  if (!aead_.decrypt({iv, *iv_size}, as_bytes(aad), sealed.first(size), tag, sealed.data())) return denied();

  const std::string_view plaintext = as_text(sealed.first(size));
  if (type_of_tag(fields->type) == ScalarType::kNull) {
    return fail(ErrorCode::kMalformed, "unknown type '{}' of an encrypted value", escape_for_message(fields->type, 40))
        .hint("known types are str, int, float, bool, time, bytes and comment")
        .exit(ExitStatus::kCannotDecryptTree);
  }
  const auto value = canonical_plaintext(fields->type, plaintext, arena);
  if (!value) {
    return fail(ErrorCode::kMalformed, "the decrypted value is no {}", escape_for_message(fields->type, 40))
        .hint("the type at the end of the encrypted value was changed, or another program wrote it")
        .exit(ExitStatus::kCannotDecryptTree);
  }
  return Decrypted{.value = *value, .is_comment = fields->type == "comment", .was_canonical = value->text == plaintext};
}

namespace {

std::optional<TypedText> canonical_int(std::string_view text, SecureArena& arena) {
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() ||
      (text.size() != digits.size() && digits.starts_with('-'))) {
    return std::nullopt;
  }
  std::array<char, 24> out;
  const auto [out_end, out_error] = std::to_chars(out.data(), out.data() + out.size(), value);
  const std::string_view canonical(out.data(), static_cast<size_t>(out_end - out.data()));
  if (canonical == text) return TypedText{ScalarType::kInt, text};
  return TypedText{ScalarType::kInt, arena.store(canonical)};
}

bool equals_ignoring_case(std::string_view a, std::string_view b) { return to_lower(a) == b; }

// Go's ParseFloat without underscores: decimal or hexadecimal (which needs an exponent), inf, infinity, nan.
std::optional<double> parse_go_float(std::string_view text) {
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  const bool has_sign = negative || rest.starts_with('+');
  if (has_sign) rest.remove_prefix(1);
  if (equals_ignoring_case(rest, "inf") || equals_ignoring_case(rest, "infinity")) {
    return negative ? -INFINITY : INFINITY;
  }
  if (equals_ignoring_case(rest, "nan")) return has_sign ? std::nullopt : std::optional<double>(NAN);
  std::chars_format style = std::chars_format::general;
  if (rest.starts_with("0x") || rest.starts_with("0X")) {
    if (rest.find_first_of("pP") == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(2);
    style = std::chars_format::hex;
  }
  if (rest.empty() || rest[0] == '-' || rest[0] == '+' ||
      (style == std::chars_format::general && (rest[0] | 32) >= 'a')) {
    return std::nullopt;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value, style);
  if (end != rest.data() + rest.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    // Too small is zero for Go, too large is an error; libstdc++ reports both and leaves the value alone.
    if (style == std::chars_format::hex) return std::nullopt;
    const auto decimal = parse_decimal_literal(rest);
    if (!decimal) return std::nullopt;
    value = *decimal;
  } else if (error != std::errc()) {
    return std::nullopt;
  }
  return negative ? -value : value;
}

std::optional<TypedText> canonical_float(std::string_view text, SecureArena& arena) {
  const auto value = parse_go_float(text);
  if (!value) return std::nullopt;
  const NumberText canonical = canonical_float_text(*value);
  if (canonical.view() == text) return TypedText{ScalarType::kFloat, text};
  return TypedText{ScalarType::kFloat, arena.store(canonical.view())};
}

std::optional<TypedText> canonical_bool(std::string_view text) {
  for (std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == yes) return TypedText{ScalarType::kBool, "True"};
  }
  for (std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == no) return TypedText{ScalarType::kBool, "False"};
  }
  return std::nullopt;
}

}  // namespace

std::optional<TypedText> canonical_plaintext(std::string_view tag, std::string_view plaintext, SecureArena& arena) {
  switch (type_of_tag(tag)) {
    case ScalarType::kString:
      return TypedText{ScalarType::kString, plaintext};
    case ScalarType::kInt:
      return canonical_int(plaintext, arena);
    case ScalarType::kFloat:
      return canonical_float(plaintext, arena);
    case ScalarType::kBool:
      return canonical_bool(plaintext);
    case ScalarType::kTime: {
      const auto time = canonical_rfc3339(plaintext);
      if (!time) return std::nullopt;
      return TypedText{ScalarType::kTime, *time == plaintext ? plaintext : arena.store(*time)};
    }
    default:
      return std::nullopt;
  }
}

}  // namespace sops
