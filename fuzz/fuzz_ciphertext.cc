// SPDX-License-Identifier: MPL-2.0
//
// ENC[…] as it may stand in a stranger's file, and plaintexts of every type: never a crash, and what is canonical stays
// so.
#include "core/ciphertext.h"

#include "fuzz/fuzz.h"

void fuzz(std::span<const uint8_t> input) {
  using namespace sops;
  const std::string_view text = as_text(input);

  if (const auto fields = parse_ciphertext(text)) {
    FUZZ_CHECK(!fields->data.empty() && !fields->iv.empty() && !fields->tag.empty() && !fields->type.empty());
    FUZZ_CHECK(fields->rest.data() + fields->rest.size() == text.data() + text.size());
  }
  const auto key = DataKey::from_bytes(SecureBytes::copy_of(std::string(32, 'f')));
  auto cipher = ValueCipher::create(*key);
  SecureArena arena;
  (void)cipher->decrypt(text, "bar:", arena).has_value();

  for (std::string_view tag : {"str", "int", "float", "bool", "time", "comment", "bytes"}) {
    const auto value = canonical_plaintext(tag, text, arena);
    if (!value) continue;
    const auto again = canonical_plaintext(tag, value->text, arena);
    FUZZ_CHECK(again && again->text == value->text && again->type == value->type);
  }
}
