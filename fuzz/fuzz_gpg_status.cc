// SPDX-License-Identifier: MPL-2.0
//
// Any bytes as what gpg says to programs: status lines and key listings. Invariants: nothing crashes; ids are ids; a
// line more at the end takes nothing away.
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "keysources/pgp/fingerprint.h"
#include "keysources/pgp/status.h"

namespace {

using namespace sops;
using namespace sops::pgp;

void check_id(const std::string& id) {
  FUZZ_CHECK(id.size() == 16 && id.find_first_not_of("0123456789ABCDEF") == std::string::npos);
}

}  // namespace

void fuzz(std::span<const uint8_t> data) {
  const std::string_view text = as_text(data);
  const GpgStatus status = parse_status(text);
  for (const std::string& id : status.encrypted_to) check_id(id);
  for (const std::string& id : status.missing_keys) check_id(id);
  for (uint32_t code : status.errors) FUZZ_CHECK(code <= 0xffff);

  const GpgStatus more = parse_status(format("{}\n[GNUPG:] DECRYPTION_OKAY\n", text));
  FUZZ_CHECK(more.is_decrypted);
  FUZZ_CHECK(more.encrypted_to == status.encrypted_to && more.errors == status.errors);
  FUZZ_CHECK(more.asks_for_own_passphrase == status.asks_for_own_passphrase);

  const std::vector<ListedKey> keys = parse_key_listing(text);
  for (const ListedKey& key : keys) {
    check_id(key.id);
    refusal(keys, key.id);
  }
  refusal(keys, "");

  if (is_fingerprint(text)) FUZZ_CHECK(!text.starts_with('-') && short_form(text).size() <= 17);
}
