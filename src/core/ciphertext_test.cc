// SPDX-License-Identifier: MPL-2.0
#include "core/ciphertext.h"

#include <gtest/gtest.h>

#include <numeric>

namespace sops {
namespace {

DataKey test_key() { return *DataKey::from_bytes(SecureBytes::copy_of(std::string(32, 'f'))); }

std::string encrypt(std::string_view plaintext, std::string_view tag, std::string_view aad) {
  std::array<uint8_t, kNonceSize> nonce;
  std::iota(nonce.begin(), nonce.end(), uint8_t{0});
  auto cipher = ValueCipher::create(test_key());
  std::string out(ciphertext_size(plaintext.size(), tag), '\0');
  cipher->encrypt(plaintext, tag, aad, nonce, out);
  return out;
}

std::string decrypt(std::string_view text, std::string_view aad) {
  auto cipher = ValueCipher::create(test_key());
  SecureArena arena;
  auto value = cipher->decrypt(text, aad, arena);
  return value ? std::string(value->value.text) : "error: " + value.error().message;
}

struct Vector {
  std::string_view plaintext, aad, data, tag, type;
};

// format.md 2.21: made by SOPS.
constexpr Vector kVectors[] = {
    {"foo", "bar:", "3bMF", "1xzewusSh6hzs55BJEAuSA==", "str"},
    {"1234", "a:b:", "iu5ZvQ==", "HITAODm5aPq0qcmlpvl1jg==", "int"},
    {"-0.5", "f:", "luxEvA==", "GRAM/0peR/cgN3mXExbyDg==", "float"},
    {"1000000000000000000000", "f:", "iuxauWSlaJUvPXcpb0sMYxSOU1wspw==", "STKiN3JoTfq9Ygx8INTunw==", "float"},
    {"True", "l:", "764f7A==", "Kn/1zUUPrpNAdU1wJL7ZTA==", "bool"},
    {"2024-01-01T00:00:00Z", "t:", "iexYvXmlaYgvPBMpb0EMYx6OUzY=", "fUCYLPPaYF1IaQ6qiK+X9g==", "time"},
    {" top comment", ":", "m6gF+XT2N8hyaClt", "mzROjqjmPg4Lm5rlU/90/A==", "comment"},
    {"é😀", "ключ:", "eHWaFswV", "tUWq0+gub/w1PkQ9AMei0g==", "str"},
};

TEST(ValueCipher, AgreesWithSopsVectors) {
  for (const Vector& v : kVectors) {
    const std::string expected =
        format("ENC[AES256_GCM,data:{},iv:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,tag:{},type:{}]", v.data, v.tag,
               v.type);
    EXPECT_EQ(encrypt(v.plaintext, v.type, v.aad), expected);
    EXPECT_EQ(decrypt(expected, v.aad), v.plaintext);
  }
}

// format.md 2.20: from SOPS's own tests; it must fail under any other path.
constexpr std::string_view kSopsVector =
    "ENC[AES256_GCM,data:oYyi,iv:MyIDYbT718JRr11QtBkcj3Dwm4k1aCGZBVeZf0EyV8o=,tag:t5z2Z023Up0kxwCgw1gNxg==,type:str]";

TEST(ValueCipher, BindsAValueToItsPath) {
  EXPECT_EQ(decrypt(kSopsVector, "bar:"), "foo");
  for (std::string_view other : {"", ":", "baz:", "bar", "a:bar:"})
    EXPECT_TRUE(decrypt(kSopsVector, other).starts_with("error: the value does not authenticate"));
}

// format.md 2.7: anchored at the front only, greedy, everything behind the last ']' ignored.
TEST(ParseCiphertext, AcceptsWhatSopsPatternAccepts) {
  EXPECT_EQ(parse_ciphertext("ENC[AES256_GCM,data:a,iv:b,tag:c,type:str] tail")->rest, " tail");
  EXPECT_EQ(parse_ciphertext("ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]x]")->type, "str]x");
  EXPECT_EQ(parse_ciphertext("ENC[AES256_GCM,data:a,iv:x,iv:b,tag:c,type:str]")->data, "a,iv:x");
  for (std::string_view bad :
       {"", "ENC[", " ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]", "ENC[AES256_GCM,data:,iv:b,tag:c,type:str]",
        "ENC[AES256_GCM,data:a,iv:,tag:c,type:str]", "ENC[AES256_GCM,data:a,iv:b,tag:,type:str]",
        "ENC[AES256_GCM,data:a,iv:b,tag:c,type:]", "ENC[AES256_GCM,data:a,iv:b,tag:c,type:str",
        "ENC[AES256_GCM,data:a\n,iv:b,tag:c,type:str]", "ENC[AES256_GCM,iv:b,tag:c,type:str]"}) {
    EXPECT_FALSE(parse_ciphertext(bad)) << bad;
  }
}

TEST(ValueCipher, SurvivesEveryPrefixAndEveryFlippedByte) {
  std::string text(kSopsVector);
  for (size_t i = 0; i < text.size(); ++i) EXPECT_TRUE(decrypt(text.substr(0, i), "bar:").starts_with("error: ")) << i;
  for (size_t i = 0; i < text.size(); ++i) {
    std::string flipped = text;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    const std::string result = decrypt(flipped, "bar:");
    // The type is not authenticated (format.md 2.9), and padding bits do not count (2.8): those give foo again.
    EXPECT_TRUE(result.starts_with("error: ") || result == "foo") << i << " " << result;
  }
}

std::string canonical(std::string_view tag, std::string_view text) {
  SecureArena arena;
  const auto value = canonical_plaintext(tag, text, arena);
  return value ? std::string(value->text) : "invalid";
}

// format.md 2.13 read, 2.10 written.
TEST(CanonicalPlaintext, NormalizesWhatOtherProgramsWrote) {
  EXPECT_EQ(canonical("int", "+007"), "7");
  EXPECT_EQ(canonical("int", "-0"), "0");
  EXPECT_EQ(canonical("int", "9223372036854775808"), "invalid");
  EXPECT_EQ(canonical("int", "+-1"), "invalid");
  EXPECT_EQ(canonical("float", "1.10"), "1.1");
  EXPECT_EQ(canonical("float", "1e21"), "1000000000000000000000");
  EXPECT_EQ(canonical("float", "18446744073709551616"), "18446744073709552000");
  EXPECT_EQ(canonical("float", "0x1p-2"), "0.25");
  EXPECT_EQ(canonical("float", "infinity"), "+Inf");
  EXPECT_EQ(canonical("float", "-INF"), "-Inf");
  EXPECT_EQ(canonical("float", "nan"), "NaN");
  EXPECT_EQ(canonical("float", "1e400"), "invalid");
  EXPECT_EQ(canonical("float", "1e-400"), "0");
  EXPECT_EQ(canonical("float", "-0"), "-0");
  EXPECT_EQ(canonical("float", ""), "invalid");
  EXPECT_EQ(canonical("bool", "TRUE"), "True");
  EXPECT_EQ(canonical("bool", "0"), "False");
  EXPECT_EQ(canonical("bool", "yes"), "invalid");
  EXPECT_EQ(canonical("time", "2006-01-02T15:04:05.500+07:06"), "2006-01-02T15:04:05.5+07:06");
  EXPECT_EQ(canonical("time", "2006-01-02T15:04:05+00:00"), "2006-01-02T15:04:05Z");
  EXPECT_EQ(canonical("time", "2006-02-30T15:04:05Z"), "invalid");
  EXPECT_EQ(canonical("time", "2006-01-02"), "invalid");
  EXPECT_EQ(canonical("bytes", "\xff"), "\xff");
  EXPECT_EQ(canonical("other", "x"), "invalid");
}

}  // namespace
}  // namespace sops
