// SPDX-License-Identifier: MPL-2.0
//
// Answers of services on any text: XML, JSON and times. JSON that is changed stays JSON with that change in it.
#include "base/text.h"
#include "cloud/aws/json.h"
#include "cloud/aws/transport.h"
#include "cloud/aws/xml.h"
#include "fuzz/fuzz.h"

using namespace sops;
using namespace sops::aws;

void fuzz(std::span<const uint8_t> input) {
  const std::string_view text = as_text(input);
  if (const auto xml = Xml::parse(text)) {
    (void)xml->text("Credentials/SecretAccessKey");
    FUZZ_CHECK(xml->text("Error/Code").size() <= text.size() * 2 && xml->text("").empty());
  }
  if (const auto json = Json::parse(SecureBytes::copy_of(text))) {
    (void)json->number({"expiresIn"});
    (void)json->blob("Plaintext");
    const auto changed = Json::parse(json->with({{"accessToken", "a\"\n"}, {"expiresAt", "b"}}));
    FUZZ_CHECK(changed.has_value());
    FUZZ_CHECK(changed->text("accessToken") == "a\"\n" && changed->text("expiresAt") == "b");
    FUZZ_CHECK(changed->text("refreshToken") == json->text("refreshToken"));
  }
  (void)parse_http_date(text);
  (void)parse_time(text);
}
