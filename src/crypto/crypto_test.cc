// SPDX-License-Identifier: MPL-2.0
//
// The cryptography against numbers that others published: RFCs, the GCM specification, Wycheproof, SOPS's own vectors.
#include <gtest/gtest.h>

#include <numeric>

#include "base/codec.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/x25519.h"
#include "tests/support/vectors.h"

namespace sops {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes from_base64(std::string_view text) {
  Bytes bytes(base64_decoded_bound(text.size()));
  const auto size = base64_decode(text, bytes.data());
  EXPECT_TRUE(size.has_value());
  bytes.resize(size.value_or(0));
  return bytes;
}

std::string hex(std::span<const uint8_t> bytes) { return hex_lower(bytes); }

AesGcm aes_gcm(std::span<const uint8_t> key) {
  auto aead = AesGcm::create(key);
  EXPECT_TRUE(aead.has_value());
  return std::move(*aead);
}

// Hexadecimal ciphertext and tag.
std::pair<std::string, std::string> encrypt_hex(AesGcm& aead, const Bytes& nonce, const Bytes& aad,
                                                const Bytes& plaintext) {
  Bytes ciphertext(plaintext.size());
  Bytes tag(kAeadTagSize);
  aead.encrypt(nonce, aad, plaintext, ciphertext.data(), tag.data());
  return {hex(ciphertext), hex(tag)};
}

// The Wycheproof file `name`, or nothing if the vectors are not there.
std::optional<VectorJson> wycheproof(const std::string& name) {
  const auto text = read_vector_file(std::string(SOPS_SHARED_DIR) + "/vectors/wycheproof/" + name);
  if (!text) return std::nullopt;
  return VectorJson::parse(*text);
}

#define LOAD_WYCHEPROOF(variable, name)   \
  const auto variable = wycheproof(name); \
  if (!variable) GTEST_SKIP() << "NOT TESTED: " SOPS_SHARED_DIR "/vectors/wycheproof/" << name << " is absent"

// Test cases 16 and 18 of "The Galois/Counter Mode of Operation" (McGrew, Viega), the algorithm of SP 800-38D.
const char* const kGcmKey = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
const char* const kGcmPlaintext =
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
const char* const kGcmAad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";

TEST(AesGcm, AgreesWithTheSpecificationForNoncesOf12And60Bytes) {
  AesGcm aead = aes_gcm(from_hex(kGcmKey));
  // One object, nonces of changing length: the length must not stick.
  for (int round = 0; round < 2; ++round) {
    auto [ciphertext, tag] =
        encrypt_hex(aead, from_hex("cafebabefacedbaddecaf888"), from_hex(kGcmAad), from_hex(kGcmPlaintext));
    EXPECT_EQ(ciphertext,
              "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
              "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662");
    EXPECT_EQ(tag, "76fc6ece0f4e1768cddf8853bb2d551b");
    std::tie(ciphertext, tag) = encrypt_hex(aead,
                                            from_hex("9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728"
                                                     "c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b"),
                                            from_hex(kGcmAad), from_hex(kGcmPlaintext));
    EXPECT_EQ(ciphertext,
              "5a8def2f0c9e53f1f75d7853659e2a20eeb2b22aafde6419a058ab4f6f746bf4"
              "0fc0c3b780f244452da3ebf1c5d82cdea2418997200ef82e44ae7e3f");
    EXPECT_EQ(tag, "a44a8266ee1c8eb0c8b5d4cf5ae9f19a");
  }
}

struct SopsVector {
  std::string_view plaintext;
  std::string_view aad;
  std::string_view nonce;
  std::string_view data;
  std::string_view tag;
};

// format.md 2.20 (from SOPS's own tests) and 2.21; the key is 32 times the letter f.
constexpr std::string_view kNonce32 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr SopsVector kSopsVectors[] = {
    {"foo", "bar:", "MyIDYbT718JRr11QtBkcj3Dwm4k1aCGZBVeZf0EyV8o=", "oYyi", "t5z2Z023Up0kxwCgw1gNxg=="},
    {"foo", "bar:", kNonce32, "3bMF", "1xzewusSh6hzs55BJEAuSA=="},
    {"1234", "a:b:", kNonce32, "iu5ZvQ==", "HITAODm5aPq0qcmlpvl1jg=="},
    {"-0.5", "f:", kNonce32, "luxEvA==", "GRAM/0peR/cgN3mXExbyDg=="},
    {"1000000000000000000000", "f:", kNonce32, "iuxauWSlaJUvPXcpb0sMYxSOU1wspw==", "STKiN3JoTfq9Ygx8INTunw=="},
    {"True", "l:", kNonce32, "764f7A==", "Kn/1zUUPrpNAdU1wJL7ZTA=="},
    {"2024-01-01T00:00:00Z", "t:", kNonce32, "iexYvXmlaYgvPBMpb0EMYx6OUzY=", "fUCYLPPaYF1IaQ6qiK+X9g=="},
    {" top comment", ":", kNonce32, "m6gF+XT2N8hyaClt", "mzROjqjmPg4Lm5rlU/90/A=="},
    {"é😀", "ключ:", kNonce32, "eHWaFswV", "tUWq0+gub/w1PkQ9AMei0g=="},
};

TEST(AesGcm, AgreesWithSopsForNoncesOf32Bytes) {
  AesGcm aead = aes_gcm(Bytes(32, 'f'));
  for (const SopsVector& vector : kSopsVectors) {
    const Bytes nonce = from_base64(vector.nonce);
    Bytes ciphertext(vector.plaintext.size());
    Bytes tag(kAeadTagSize);
    aead.encrypt(nonce, as_bytes(vector.aad), as_bytes(vector.plaintext), ciphertext.data(), tag.data());
    EXPECT_EQ(base64_encode(ciphertext), vector.data) << vector.plaintext;
    EXPECT_EQ(base64_encode(tag), vector.tag) << vector.plaintext;
    // In place.
    Bytes text = from_base64(vector.data);
    EXPECT_TRUE(aead.decrypt(nonce, as_bytes(vector.aad), text, from_base64(vector.tag), text.data()));
    EXPECT_EQ(as_text(text), vector.plaintext);
  }
}

TEST(AesGcm, RefusesWrongAadTagNonceAndLeavesZeros) {
  AesGcm aead = aes_gcm(Bytes(32, 'f'));
  const SopsVector& vector = kSopsVectors[0];
  const Bytes nonce = from_base64(vector.nonce);
  const Bytes data = from_base64(vector.data);
  const Bytes tag = from_base64(vector.tag);
  const auto refuses = [&](const Bytes& n, std::string_view aad, const Bytes& d, const Bytes& t) {
    Bytes out(d.size(), 0xaa);
    const bool opened = aead.decrypt(n, as_bytes(aad), d, t, out.data());
    return !opened && out == Bytes(d.size(), 0);
  };
  EXPECT_TRUE(refuses(nonce, "", data, tag));
  EXPECT_TRUE(refuses(nonce, "foo:", data, tag));
  EXPECT_TRUE(refuses(Bytes(nonce.begin(), nonce.end() - 1), "bar:", data, tag));
  EXPECT_TRUE(refuses({}, "bar:", data, tag));
  EXPECT_TRUE(refuses(Bytes(kMaxAesGcmNonce + 1), "bar:", data, tag));
  EXPECT_TRUE(refuses(nonce, "bar:", {}, tag));
  for (size_t size = 0; size < tag.size(); ++size) {
    EXPECT_TRUE(refuses(nonce, "bar:", data, Bytes(tag.begin(), tag.begin() + static_cast<ptrdiff_t>(size)))) << size;
  }
  for (size_t bit = 0; bit < 128; ++bit) {
    Bytes flipped = tag;
    flipped[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    EXPECT_TRUE(refuses(nonce, "bar:", data, flipped)) << bit;
  }
  // And after all these failures the right one still opens.
  Bytes out(data.size());
  EXPECT_TRUE(aead.decrypt(nonce, as_bytes("bar:"), data, tag, out.data()));
  EXPECT_EQ(as_text(out), "foo");
}

TEST(AesGcm, RefusesKeysOfOtherSizes) {
  for (size_t size : {0, 1, 15, 17, 31, 33, 64}) {
    const auto aead = AesGcm::create(Bytes(size));
    ASSERT_FALSE(aead.has_value()) << size;
    EXPECT_EQ(aead.error().code, ErrorCode::kMalformed);
  }
}

TEST(AesGcm, AgreesWithWycheproof) {
  LOAD_WYCHEPROOF(file, "aes_gcm_test.json");
  size_t valid = 0;
  size_t invalid = 0;
  size_t long_nonces = 0;
  for (const VectorJson& group : (*file)["testGroups"].items) {
    ASSERT_EQ(group["tagSize"].number(), 128u);
    for (const VectorJson& test : group["tests"].items) {
      const Bytes nonce = test["iv"].hex();
      const Bytes message = test["msg"].hex();
      const Bytes ciphertext = test["ct"].hex();
      AesGcm aead = aes_gcm(test["key"].hex());
      Bytes opened(ciphertext.size());
      const bool is_open = aead.decrypt(nonce, test["aad"].hex(), ciphertext, test["tag"].hex(), opened.data());
      if (nonce.size() > kMaxAesGcmNonce) {
        EXPECT_FALSE(is_open);
        ++long_nonces;
        continue;
      }
      const bool is_valid = test["result"].text == "valid";
      EXPECT_EQ(is_open, is_valid) << test["tcId"].text;
      ++(is_valid ? valid : invalid);
      if (!is_valid) continue;
      EXPECT_EQ(opened, message) << test["tcId"].text;
      EXPECT_EQ(encrypt_hex(aead, nonce, test["aad"].hex(), message), std::pair(test["ct"].text, test["tag"].text))
          << test["tcId"].text;
    }
  }
  std::printf("aes_gcm: %zu valid, %zu invalid, %zu with a nonce longer than we take\n", valid, invalid, long_nonces);
  EXPECT_EQ(valid + invalid + long_nonces, (*file)["numberOfTests"].number());
  EXPECT_GT(valid, 200u);
  EXPECT_GT(invalid, 80u);
}

TEST(ChaCha20Poly1305, AgreesWithRfc8439) {
  // RFC 8439 2.8.2
  const Bytes key = from_hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const Bytes nonce = from_hex("070000004041424344454647");
  const Bytes aad = from_hex("50515253c0c1c2c3c4c5c6c7");
  const std::string_view text =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be "
      "it.";
  const SecureBytes sealed = chacha20poly1305_seal(key, nonce, as_bytes(text), aad);
  EXPECT_EQ(hex(sealed.expose()),
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
            "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
            "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691");
  const auto opened = chacha20poly1305_open(key, nonce, sealed.expose(), aad);
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(opened->expose_text(), text);
}

TEST(ChaCha20Poly1305, RefusesEveryFlippedByteAndEveryPrefix) {
  const Bytes key(32, 1);
  const Bytes nonce(12, 2);
  const SecureBytes sealed = chacha20poly1305_seal(key, nonce, as_bytes("a file key"));
  Bytes bytes(sealed.expose().begin(), sealed.expose().end());
  ASSERT_TRUE(chacha20poly1305_open(key, nonce, bytes).has_value());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto opened = chacha20poly1305_open(key, nonce, std::span(bytes).first(size));
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, ErrorCode::kAuthFailed);
  }
  for (uint8_t& byte : bytes) {
    byte ^= 0x40;
    EXPECT_FALSE(chacha20poly1305_open(key, nonce, bytes).has_value());
    byte ^= 0x40;
  }
}

TEST(ChaCha20Poly1305, AgreesWithWycheproof) {
  LOAD_WYCHEPROOF(file, "chacha20_poly1305_test.json");
  size_t valid = 0;
  size_t invalid = 0;
  size_t other_nonces = 0;
  for (const VectorJson& group : (*file)["testGroups"].items) {
    for (const VectorJson& test : group["tests"].items) {
      const Bytes nonce = test["iv"].hex();
      if (nonce.size() != 12) {
        EXPECT_EQ(test["result"].text, "invalid");
        ++other_nonces;  // a programming mistake here, not an input
        continue;
      }
      const std::string sealed_hex = test["ct"].text + test["tag"].text;
      const auto opened = chacha20poly1305_open(test["key"].hex(), nonce, from_hex(sealed_hex), test["aad"].hex());
      const bool is_valid = test["result"].text == "valid";
      EXPECT_EQ(opened.has_value(), is_valid) << test["tcId"].text;
      ++(is_valid ? valid : invalid);
      if (!is_valid || !opened) continue;
      EXPECT_EQ(hex(opened->expose()), test["msg"].text);
      const SecureBytes sealed = chacha20poly1305_seal(test["key"].hex(), nonce, test["msg"].hex(), test["aad"].hex());
      EXPECT_EQ(hex(sealed.expose()), sealed_hex);
    }
  }
  std::printf("chacha20_poly1305: %zu valid, %zu invalid, %zu with another nonce size\n", valid, invalid, other_nonces);
  EXPECT_EQ(valid + invalid + other_nonces, (*file)["numberOfTests"].number());
  EXPECT_EQ(valid, 256u);
}

TEST(X25519, AgreesWithRfc7748) {
  // RFC 7748 6.1
  const Bytes alice = from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  const Bytes bob = from_hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  const X25519Point alice_public = x25519_public(alice);
  const X25519Point bob_public = x25519_public(bob);
  EXPECT_EQ(hex(alice_public), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(hex(bob_public), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const auto here = x25519(alice, bob_public);
  const auto there = x25519(bob, alice_public);
  ASSERT_TRUE(here.has_value() && there.has_value());
  EXPECT_EQ(hex(here->expose()), "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  EXPECT_EQ(hex(there->expose()), hex(here->expose()));
}

TEST(X25519, AgreesWithRfc7748After1000Rounds) {
  // RFC 7748 5.2: k and u begin as the base point; u becomes the old k, k the result.
  Bytes k(32, 0);
  k[0] = 9;
  Bytes u = k;
  for (int round = 1; round <= 1000; ++round) {
    const auto result = x25519(k, u);
    ASSERT_TRUE(result.has_value());
    u = k;
    k.assign(result->expose().begin(), result->expose().end());
    if (round == 1) {
      ASSERT_EQ(hex(k), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
  }
  EXPECT_EQ(hex(k), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST(X25519, RefusesWrongSizesAndLowOrder) {
  const Bytes scalar(32, 7);
  for (const Bytes& point : {Bytes(), Bytes(31, 9), Bytes(33, 9), Bytes(32, 0)}) {
    const auto secret = x25519(scalar, point);
    ASSERT_FALSE(secret.has_value());
    EXPECT_EQ(secret.error().code, ErrorCode::kMalformed);
  }
  EXPECT_FALSE(x25519(Bytes(31, 7), Bytes(32, 9)).has_value());
}

TEST(X25519, AgreesWithWycheproof) {
  LOAD_WYCHEPROOF(file, "x25519_test.json");
  size_t equal = 0;
  size_t refused = 0;
  for (const VectorJson& group : (*file)["testGroups"].items) {
    for (const VectorJson& test : group["tests"].items) {
      const auto secret = x25519(test["private"].hex(), test["public"].hex());
      if (test["shared"].text == std::string(64, '0')) {
        ASSERT_FALSE(secret.has_value()) << test["tcId"].text;
        EXPECT_EQ(secret.error().code, ErrorCode::kMalformed);
        ++refused;
        continue;
      }
      ASSERT_TRUE(secret.has_value()) << test["tcId"].text;
      EXPECT_EQ(hex(secret->expose()), test["shared"].text) << test["tcId"].text;
      ++equal;
    }
  }
  std::printf("x25519: %zu equal, %zu of low order refused\n", equal, refused);
  EXPECT_EQ(equal + refused, (*file)["numberOfTests"].number());
  EXPECT_GT(refused, 0u);
}

TEST(Hash, AgreesWithFips180) {
  EXPECT_EQ(hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha512 hash;
  hash.update(as_bytes("a"));
  hash.update({});
  hash.update(as_bytes("bc"));
  EXPECT_EQ(hex(hash.finish()),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

TEST(Hmac, AgreesWithRfc4231) {
  EXPECT_EQ(hex(hmac_sha256(Bytes(20, 0x0b), as_bytes("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  // Test case 6: a key longer than a block.
  EXPECT_EQ(hex(hmac_sha256(Bytes(131, 0xaa), as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Hkdf, AgreesWithRfc5869) {
  const Bytes ikm(22, 0x0b);
  // A.1
  EXPECT_EQ(hex(hkdf_sha256(ikm, from_hex("000102030405060708090a0b0c"), as_text(from_hex("f0f1f2f3f4f5f6f7f8f9")), 42)
                    .expose()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  // A.3: no salt, no info
  EXPECT_EQ(hex(hkdf_sha256(ikm, {}, "", 42).expose()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(Hkdf, AgreesWithWycheproof) {
  LOAD_WYCHEPROOF(file, "hkdf_sha256_test.json");
  size_t valid = 0;
  size_t too_long = 0;
  for (const VectorJson& group : (*file)["testGroups"].items) {
    for (const VectorJson& test : group["tests"].items) {
      if (test["result"].text != "valid") {
        EXPECT_GT(test["size"].number(), 8160u);  // out of the contract
        ++too_long;
        continue;
      }
      const Bytes info = test["info"].hex();
      const SecureBytes okm = hkdf_sha256(test["ikm"].hex(), test["salt"].hex(), as_text(info), test["size"].number());
      EXPECT_EQ(hex(okm.expose()), test["okm"].text) << test["tcId"].text;
      ++valid;
    }
  }
  std::printf("hkdf_sha256: %zu valid, %zu longer than HKDF allows\n", valid, too_long);
  EXPECT_EQ(valid + too_long, (*file)["numberOfTests"].number());
  EXPECT_GT(valid, 80u);
}

TEST(Scrypt, AgreesWithRfc7914) {
  // RFC 7914 12, third vector: N = 16384, r = 8, p = 1; the first 32 of its 64 bytes.
  const auto key = scrypt(as_bytes("pleaseletmein"), as_bytes("SodiumChloride"), 14);
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(hex(key->expose()), "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2");
}

TEST(Scrypt, DoesMoreThanTheDefaultMemoryLimitOfOpenssl) {
  EXPECT_TRUE(scrypt(as_bytes("p"), as_bytes("s"), 15).has_value());
}

TEST(Scrypt, RefusesWorkFactorsOutOfRangeWithoutComputing) {
  for (int log_n : {-1, 0, 23, 64, 1 << 30}) {
    const auto key = scrypt(as_bytes("p"), as_bytes("s"), log_n);
    ASSERT_FALSE(key.has_value()) << log_n;
    EXPECT_EQ(key.error().code, ErrorCode::kUnsupported);
  }
}

}  // namespace
}  // namespace sops
