// SPDX-License-Identifier: MPL-2.0
//
// Any bytes as the field `enc` of an age key: armor, header, stanzas, payload. Invariants: nothing crashes; a header or
// an armor that is read is written back the same; what we read is decrypted only if it authenticates.
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "keysources/age/armor.h"
#include "keysources/age/bech32.h"
#include "keysources/age/file.h"
#include "keysources/age/identity.h"
#include "keysources/age/recipient.h"
#include "tests/support/fake_services.h"

namespace {

using namespace sops;
using namespace sops::age;

// The identity of keys-age.md 14.2.
constexpr std::string_view kIdentity = "AGE-SECRET-KEY-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0SWRYDWG";

void fuzz_file(std::span<const uint8_t> bytes) {
  const auto file = parse_file(bytes);
  if (!file) return;
  const std::string header = header_with_mac(header_text(file->stanzas), file->mac);
  FUZZ_CHECK(as_text(bytes).starts_with(header));
  const std::string copy = header + std::string(kPayloadNonceSize, 'n');
  const auto again = parse_file(as_bytes(copy));
  FUZZ_CHECK(again.has_value() && again->stanzas == file->stanzas && again->mac == file->mac);

  FakeServices world;
  const auto identities = parse_identities("fuzz", kIdentity, IdentityLayout::kLines);
  FUZZ_CHECK(identities.has_value() && identities->size() == 1);
  const auto file_key = unwrap_file_key(*identities, file->stanzas, world.services());
  if (!file_key) return;
  FUZZ_CHECK(file_key->size() == kFileKeySize);
  (void)open_file(*file_key, *file);
  // The payload reader on its own: few inputs pass the MAC.
  SecureBuffer released;
  (void)decrypt_payload(*file_key, *file, released);
  FUZZ_CHECK(released.size() <= file->payload.size());
}

}  // namespace

void fuzz(std::span<const uint8_t> input) {
  const std::string_view text = as_text(input);
  if (const auto bytes = armor_decode(text)) {
    const auto again = armor_decode(armor_encode(*bytes));
    FUZZ_CHECK(again.has_value() && *again == *bytes);
    fuzz_file(*bytes);
  }
  fuzz_file(input);
  if (const auto decoded = bech32_decode(text)) {
    // A prefix without letters does not tell the case.
    FUZZ_CHECK(to_lower(bech32_encode(decoded->prefix, decoded->data.expose())) == to_lower(text));
  }
  (void)parse_recipient(text);
  (void)parse_identities("fuzz", text, IdentityLayout::kLines);
  (void)parse_identities("fuzz", text, IdentityLayout::kWords);
}
