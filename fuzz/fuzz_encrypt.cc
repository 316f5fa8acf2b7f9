// SPDX-License-Identifier: MPL-2.0
//
// The first two promises on any input: whatever YAML or JSON is accepted can be encrypted so that it reads as planned
// and decrypts to the same bytes. encrypt_text checks both itself and refuses otherwise; such a refusal is a finding.
#include "core/encrypt.h"

#include "fuzz/fuzz.h"
#include "tests/support/fake_services.h"

namespace {

using namespace sops;

class NoKey final : public MasterKey {
 public:
  Result<FieldMap> wrap(const SecureBytes&, Services&) const override {
    return FieldMap{{"recipient", "r"}, {"enc", "e\n"}};
  }
  Result<SecureBytes> unwrap(const FieldMap&, const UnwrapOptions&, Services&) const override {
    return fail(ErrorCode::kNotMine, "no key");
  }
  std::string id() const override { return "r"; }
};

void encrypt(std::string_view text, const FormatType& format, const SelectionSettings& selection) {
  FakeServices fakes;
  Services services = fakes.services();
  const NoKey key;
  const std::vector<MasterKeyList> keys = {{{find_key_source("age"), &key}}};
  EncryptOptions options{.selection = selection, .allow_plaintext = true};
  const auto result = encrypt_text(text, format, options, keys, services);
  if (!result) {
    FUZZ_CHECK(result.error().hint.find("please report") == std::string::npos);
    return;
  }
  const auto document = format.scan(result->text.expose_text(), ScanMode::kEncrypted);
  FUZZ_CHECK(document.has_value());
  FUZZ_CHECK(format.read_metadata(*document).has_value());
}

}  // namespace

void fuzz(std::span<const uint8_t> input) {
  const std::string_view text = as_text(input);
  if (text.size() > 20000) return;
  for (std::string_view id : {"yaml", "json"}) {
    encrypt(text, *find_format(id), {});
    encrypt(text, *find_format(id), {.encrypted_regex = "a"});
    encrypt(text, *find_format(id), {.encrypted_comment_regex = "c"});
  }
}
