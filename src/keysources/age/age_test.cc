// SPDX-License-Identifier: MPL-2.0
//
// The key source age against what others made: the C2SP test suite (CCTV), files that SOPS 3.13.3 wrote, the age
// program, BIP 173, and the known answers of the specification (keys-age.md 14.2).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>

#include "base/codec.h"
#include "crypto/hash.h"
#include "keysources/age/armor.h"
#include "keysources/age/bech32.h"
#include "keysources/age/file.h"
#include "keysources/age/identities.h"
#include "keysources/age/identity.h"
#include "keysources/age/recipient.h"
#include "keysources/age/x25519_stanza.h"
#include "keysources/key_source.h"
#include "tests/support/fake_services.h"
#include "tests/support/inflate.h"
#include "tests/support/vectors.h"

namespace sops::age {

extern const KeySourceType type;

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Bytes = std::vector<uint8_t>;

// The key pair and the complete file of keys-age.md 14.2.
constexpr std::string_view kIdentity = "AGE-SECRET-KEY-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0SWRYDWG";
constexpr std::string_view kRecipient = "age13aqvttdk3ujkyjh9kg2w5an6dmy5mq5a84a4uxk3hfhnugfc9p0sy5p2wh";
constexpr std::string_view kEnc =
    "-----BEGIN AGE ENCRYPTED FILE-----\n"
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBOWUJ5MWpaWWdOR3U2akth\n"
    "MzVFaE9EaFI3U0dpamp0MTZXWFEwczBXWWxRCkVkWXM2ZWFLb3dMakRkT01rclNl\n"
    "SnQ1UEQzamZxcXlFVW41akFaUXYxbFUKLS0tIFhYTnI1SWJpK3ZMMUQvRS9Cak5U\n"
    "anJVQytoaHpreVo5ZEhJSnVKVmZyNk0KQEFCQ0RFRkdISUpLTE1OT5Lg0RGXkiMi\n"
    "oAmxwpDO7PXnZ2i+DKQxA1M0EpqdYjDicvd5qRYx1shomx/uuObZGA==\n"
    "-----END AGE ENCRYPTED FILE-----\n";
// Another pair, from the C2SP vectors.
constexpr std::string_view kOtherIdentity =
    "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0";
// Identities of types that come later, valid Bech32.
constexpr std::string_view kHybridIdentity =
    "AGE-SECRET-KEY-PQ-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0S5DYVQQ";

Bytes counting(uint8_t first, size_t size) {
  Bytes bytes(size);
  std::iota(bytes.begin(), bytes.end(), first);
  return bytes;
}

std::string plugin_identity() { return bech32_encode("AGE-PLUGIN-TEST-", counting(0, 8)); }

std::unique_ptr<MasterKey> key_for(std::string_view recipient) {
  FieldMap fields;
  fields["recipient"] = std::string(recipient);
  auto key = type.from_metadata(fields);
  EXPECT_TRUE(key.has_value());
  return std::move(*key);
}

Result<SecureBytes> unwrap(std::string_view enc, FakeServices& world, std::string_view recipient = kRecipient) {
  FieldMap fields;
  fields["recipient"] = std::string(recipient);
  fields["enc"] = std::string(enc);
  return key_for(recipient)->unwrap(fields, {}, world.services());
}

// A world with a home folder and nothing else.
struct World : FakeServices {
  World() { environment.set("HOME", "/home/me"); }
};

// --- Bech32 ---------------------------------------------------------------------------------------------------------

TEST(Bech32, AcceptsTheValidTextsOfBip173) {
  for (std::string_view text :
       {"A12UEL5L", "a12uel5l",
        "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
        "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
        "11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j",
        "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w", "?1ezyfcl"}) {
    const auto decoded = bech32_decode(text);
    // BIP 173 checks characters and checksum only; two of its texts do not hold whole bytes.
    if (!decoded) {
      EXPECT_THAT(decoded.error().message, ::testing::AnyOf(HasSubstr("unused bits"), HasSubstr("whole byte"))) << text;
      continue;
    }
    EXPECT_EQ(bech32_encode(decoded->prefix, decoded->data.expose()), text);
  }
}

TEST(Bech32, RefusesTheInvalidTextsOfBip173) {
  for (std::string_view text : {"\x20"
                                "1nwldj5",
                                "\x7f"
                                "1axkwrx",
                                "\x80"
                                "1eym55h",
                                "pzry9x0s0muk", "1pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3", "de1lg7wt\xff", "A1G7SGD8",
                                "10a06t8", "1qzzfhee", "", "1", "a1", "A12uEL5L"}) {
    const auto decoded = bech32_decode(text);
    ASSERT_FALSE(decoded.has_value()) << text;
    EXPECT_EQ(decoded.error().code, ErrorCode::kMalformed);
  }
}

TEST(Bech32, HasNoLimitOf90Characters) {
  const Bytes data = counting(0, 1216);
  const std::string text = bech32_encode("age1pq", data);
  EXPECT_EQ(text.size(), 1959u);  // keys-age.md 7.4
  const auto decoded = bech32_decode(text);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->prefix, "age1pq");
  EXPECT_EQ(as_text(decoded->data.expose()), as_text(data));
}

TEST(Bech32, NoticesEveryChangedCharacterAndEveryPrefix) {
  for (size_t size = 0; size < kRecipient.size(); ++size) {
    EXPECT_FALSE(bech32_decode(kRecipient.substr(0, size)).has_value()) << size;
  }
  for (size_t at = 0; at < kRecipient.size(); ++at) {
    for (char c : {'q', 'p', 'A', '1', ' ', '\n', '\0'}) {
      std::string changed(kRecipient);
      if (changed[at] == c) continue;
      changed[at] = c;
      EXPECT_FALSE(bech32_decode(changed).has_value()) << at << c;
    }
  }
}

TEST(Bech32, ErrorsNeverQuoteTheText) {
  std::string wrong(kIdentity);
  wrong[40] = wrong[40] == 'Q' ? 'P' : 'Q';
  const auto decoded = bech32_decode(wrong);
  ASSERT_FALSE(decoded.has_value());
  EXPECT_THAT(to_string(decoded.error()), Not(HasSubstr("QQQSYQ")));
}

// --- file format ----------------------------------------------------------------------------------------------------

TEST(File, MakesExactlyTheKnownFile) {
  // keys-age.md 14.2: file key a0…, ephemeral 20…, nonce 40…, data key 60….
  const SecureBytes file_key = SecureBytes::copy_of(counting(0xa0, 16));
  X25519Point recipient;
  const auto decoded = bech32_decode(kRecipient);
  ASSERT_TRUE(decoded.has_value());
  std::ranges::copy(decoded->data.expose(), recipient.begin());
  const auto stanza = wrap_x25519(file_key, recipient, SecureBytes::copy_of(counting(0x20, 32)));
  ASSERT_TRUE(stanza.has_value());
  const Bytes file = seal_file({&*stanza, 1}, file_key, counting(0x40, 16), counting(0x60, 32));
  EXPECT_EQ(file.size(), 232u);  // 1.4
  EXPECT_EQ(armor_encode(file), kEnc);
}

TEST(File, WrapMakesTheKnownEntryFromTheSameRandomBytes) {
  World world;
  world.random.push(counting(0xa0, 16));
  world.random.push(counting(0x20, 32));
  world.random.push(counting(0x40, 16));
  const auto fields = key_for(kRecipient)->wrap(SecureBytes::copy_of(counting(0x60, 32)), world.services());
  ASSERT_TRUE(fields.has_value());
  EXPECT_EQ(fields->size(), 2u);
  EXPECT_EQ(field_text(*fields, "recipient"), kRecipient);
  EXPECT_EQ(field_text(*fields, "enc"), kEnc);
}

TEST(File, RefusesHeadersWithoutEndInBoundedTime) {
  Bytes file;
  const auto add = [&file](std::string_view text) { file.insert(file.end(), text.begin(), text.end()); };
  add("age-encryption.org/v1\n");
  for (int i = 0; i < 300000; ++i) add("-> a\n\n");
  const auto parsed = parse_file(file);
  ASSERT_FALSE(parsed.has_value());
  EXPECT_EQ(parsed.error().code, ErrorCode::kMalformed);
  EXPECT_EQ(parsed.error().message, "failed to read header: it is longer than 1 MiB");
}

TEST(File, NamesALaterVersionAsUnsupported) {
  const auto parsed = parse_file(as_bytes("age-encryption.org/v2\n"));
  ASSERT_FALSE(parsed.has_value());
  EXPECT_EQ(parsed.error().code, ErrorCode::kUnsupported);
}

TEST(File, ChunksRoundTripAtEveryBoundary) {
  const SecureBytes file_key = SecureBytes::copy_of(counting(0xa0, 16));
  const Stanza stanza{{"test"}, {}};
  for (size_t size : {size_t{0}, size_t{1}, kChunkSize - 1, kChunkSize, kChunkSize + 1, 2 * kChunkSize}) {
    const Bytes plaintext(size, 'x');
    const Bytes file = seal_file({&stanza, 1}, file_key, counting(0, 16), plaintext);
    const auto parsed = parse_file(file);
    ASSERT_TRUE(parsed.has_value());
    const size_t chunks = size == 0 ? 1 : (size + kChunkSize - 1) / kChunkSize;
    EXPECT_EQ(parsed->payload.size(), size + 16 * chunks);  // 5.9, 5.10
    const auto opened = open_file(file_key, *parsed);
    ASSERT_TRUE(opened.has_value());
    EXPECT_EQ(opened->size(), size);
    EXPECT_EQ(opened->expose_text(), as_text(plaintext));
  }
}

// --- CCTV -----------------------------------------------------------------------------------------------------------

// One file of the C2SP suite: "key: value" lines, an empty line, the age file.
struct Vector {
  std::string name;
  std::multimap<std::string, std::string> header;
  std::string file;

  std::string get(const std::string& key) const {
    auto it = header.find(key);
    return it == header.end() ? std::string() : it->second;
  }
  // A type of recipient that cannot be used yet.
  bool needs_later_type() const {
    return header.contains("passphrase") || get("identity").starts_with("AGE-SECRET-KEY-PQ-") ||
           name.starts_with("hybrid") || name == "armor_hybrid";
  }
};

std::vector<Vector> load_cctv() {
  std::vector<Vector> vectors;
  const std::string folder = std::string(SOPS_SHARED_DIR) + "/vectors/cctv-age";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    Vector vector;
    vector.name = entry.path().filename();
    if (vector.name == "FORMAT.md") continue;
    const std::string text = read_vector_file(entry.path()).value_or("");
    const size_t end = text.find("\n\n");
    if (end == std::string::npos) continue;
    for (std::string_view line : split(std::string_view(text).substr(0, end), '\n')) {
      const size_t colon = line.find(": ");
      vector.header.emplace(line.substr(0, colon), line.substr(colon + 2));
    }
    vector.file = text.substr(end + 2);
    if (vector.get("compressed") == "zlib") vector.file = Inflate::unpack(vector.file);
    vectors.push_back(std::move(vector));
  }
  std::ranges::sort(vectors, {}, &Vector::name);
  return vectors;
}

struct Outcome {
  std::string what;     // in the words of the suite, or "unsupported"
  std::string payload;  // hexadecimal SHA-256 of what was released
  Error error;
};

Outcome decrypt(const Vector& vector) {
  FakeServices world;
  SecureBuffer released;
  const auto end = [&](std::string what, Error error) {
    return Outcome{std::move(what), hex_lower(sha256(as_bytes(released.view()))), std::move(error)};
  };
  Bytes bytes(vector.file.begin(), vector.file.end());
  if (vector.get("armored") == "yes") {
    auto decoded = armor_decode(vector.file);
    if (!decoded) return end("armor failure", decoded.error());
    bytes = std::move(*decoded);
  }
  const auto file = parse_file(bytes);
  if (!file) return end("header failure", file.error());
  Identities identities;
  for (const auto& [key, value] : vector.header) {
    if (key != "identity" && key != "passphrase") continue;
    // A passphrase file can only be opened as an encrypted identity file.
    auto parsed = parse_identities(vector.name, key == "identity" ? value : vector.file, IdentityLayout::kLines);
    if (!parsed) return end("bad identity", parsed.error());
    for (auto& identity : *parsed) identities.push_back(std::move(identity));
  }
  const auto file_key = unwrap_file_key(identities, file->stanzas, world.services());
  if (!file_key) {
    const ErrorCode code = file_key.error().code;
    return end(code == ErrorCode::kNotMine       ? "no match"
               : code == ErrorCode::kUnsupported ? "unsupported"
                                                 : "header failure",
               file_key.error());
  }
  if (!ct_equal(header_mac(*file_key, file->authenticated), file->mac)) {
    const auto opened = open_file(*file_key, *file);
    EXPECT_FALSE(opened.has_value());
    return end("HMAC failure", opened ? Error() : opened.error());
  }
  const auto payload = decrypt_payload(*file_key, *file, released);
  if (!payload) return end("payload failure", payload.error());
  return end("success", {});
}

TEST(Cctv, EveryFileHasTheExpectedOutcome) {
  const std::vector<Vector> vectors = load_cctv();
  if (vectors.empty()) GTEST_SKIP() << "NOT TESTED: " SOPS_SHARED_DIR "/vectors/cctv-age is absent";
  std::map<std::string, int> counts;
  for (const Vector& vector : vectors) {
    SCOPED_TRACE(vector.name);
    const Outcome outcome = decrypt(vector);
    const std::string expected = vector.get("expect");
    if (!vector.needs_later_type()) {
      EXPECT_EQ(outcome.what, expected) << to_string(outcome.error);
      ++counts["supported: " + outcome.what];
    } else if (outcome.what == "unsupported") {
      EXPECT_THAT(outcome.error.message, HasSubstr("is not supported yet"));
      ++counts["later type: unsupported"];
    } else {
      // Wrong whatever its type is.
      EXPECT_EQ(outcome.what, expected) << to_string(outcome.error);
      ++counts["later type: " + outcome.what];
    }
    if (outcome.what == expected && !vector.get("payload").empty()) {
      EXPECT_EQ(outcome.payload, vector.get("payload"));
    }
  }
  for (const auto& [what, count] : counts) std::printf("  %3d %s\n", count, what.c_str());
  EXPECT_EQ(vectors.size(), 143u);
}

TEST(Cctv, ArmorHeadersAndChunksAreWrittenAsTheyWereRead) {
  const std::vector<Vector> vectors = load_cctv();
  if (vectors.empty()) GTEST_SKIP() << "NOT TESTED: " SOPS_SHARED_DIR "/vectors/cctv-age is absent";
  int armors = 0;
  int headers = 0;
  int streams = 0;
  for (const Vector& vector : vectors) {
    SCOPED_TRACE(vector.name);
    const std::string expected = vector.get("expect");
    Bytes bytes(vector.file.begin(), vector.file.end());
    if (vector.get("armored") == "yes") {
      if (expected == "armor failure") continue;
      auto decoded = armor_decode(vector.file);
      ASSERT_TRUE(decoded.has_value());
      bytes = std::move(*decoded);
      std::string text(trim(vector.file));
      std::erase(text, '\r');
      EXPECT_EQ(armor_encode(bytes), text + "\n");
      ++armors;
    }
    const auto file = parse_file(bytes);
    if (!file) continue;
    const std::string header = header_with_mac(header_text(file->stanzas), file->mac);
    EXPECT_EQ(header, as_text(bytes).substr(0, header.size()));
    EXPECT_EQ(header.size() + 16 + file->payload.size(), bytes.size());
    ++headers;
    if (expected != "success") continue;
    const SecureBytes file_key = SecureBytes::copy_of(from_hex(vector.get("file key")));
    const auto plaintext = open_file(file_key, *file);
    ASSERT_TRUE(plaintext.has_value());
    EXPECT_EQ(seal_file(file->stanzas, file_key, file->nonce, plaintext->expose()), bytes);
    ++streams;
  }
  std::printf("  %d armors, %d headers, %d streams\n", armors, headers, streams);
  EXPECT_GT(armors, 8);
  EXPECT_GT(headers, 60);
  EXPECT_GT(streams, 20);
}

// --- armor ----------------------------------------------------------------------------------------------------------

TEST(Armor, AcceptsBlankSpaceUpTo1024BytesAround) {
  const std::string enc(kEnc);
  EXPECT_TRUE(armor_decode(std::string(1024, '\n') + enc).has_value());
  EXPECT_FALSE(armor_decode(std::string(1025, '\n') + enc).has_value());
  EXPECT_TRUE(armor_decode(enc + std::string(1023, ' ')).has_value());
  EXPECT_FALSE(armor_decode(enc + std::string(1024, ' ')).has_value());
}

TEST(Armor, EveryPrefixAndEveryFlippedByteIsAnErrorOrTheSameBytes) {
  const auto whole = armor_decode(kEnc);
  ASSERT_TRUE(whole.has_value());
  for (size_t size = 0; size < kEnc.size(); ++size) {
    const auto decoded = armor_decode(kEnc.substr(0, size));
    // Only the last newline may be missing.
    EXPECT_EQ(decoded.has_value(), size == kEnc.size() - 1) << size;
  }
  World world;
  world.environment.set("SOPS_AGE_KEY", std::string(kIdentity));
  for (size_t at = 0; at < kEnc.size(); ++at) {
    for (const int bit : {0x01, 0x20, 0x80}) {
      std::string changed(kEnc);
      changed[at] = static_cast<char>(changed[at] ^ bit);
      const auto secret = unwrap(changed, world);
      // The last newline may become any blank.
      if (secret) {
        EXPECT_EQ(at, kEnc.size() - 1);
      }
    }
  }
}

TEST(Armor, BinaryAgeDataInEncIsRefused) {
  const auto bytes = armor_decode(kEnc);
  ASSERT_TRUE(bytes.has_value());
  World world;
  world.environment.set("SOPS_AGE_KEY", std::string(kIdentity));
  const auto secret = unwrap(as_text(*bytes), world);
  ASSERT_FALSE(secret.has_value());
  EXPECT_EQ(secret.error().code, ErrorCode::kMalformed);
  EXPECT_THAT(secret.error().message, StartsWith("invalid armor"));
}

// --- recipients -----------------------------------------------------------------------------------------------------

TEST(Recipients, ListsAreSplitAtCommasAndTrimmed) {
  const auto keys = type.from_list(format(" {} ,{}\n", kRecipient, kRecipient), {});
  ASSERT_TRUE(keys.has_value());
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ((*keys)[0]->id(), kRecipient);
  EXPECT_EQ((*keys)[1]->id(), kRecipient);
  const auto none = type.from_list("", {});
  ASSERT_TRUE(none.has_value());
  EXPECT_TRUE(none->empty());
}

TEST(Recipients, EmptyPartsAreErrors) {
  for (std::string list : {format("{},", kRecipient), format(",{}", kRecipient),
                           format("{},,{}", kRecipient, kRecipient), std::string(" "), std::string(",")}) {
    const auto keys = type.from_list(list, {});
    ASSERT_FALSE(keys.has_value()) << list;
    EXPECT_EQ(keys.error().code, ErrorCode::kMalformed);
    EXPECT_THAT(keys.error().message, StartsWith("unknown recipient type"));
  }
}

TEST(Recipients, LaterTypesAreReadAndRefusedWhenUsed) {
  World world;
  const std::string hybrid = bech32_encode("age1pq", counting(0, 1216));
  const std::string plugin = bech32_encode("age1yubikey", counting(0, 33));
  const std::string ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM0Us3+VbpUxlP9/tzs9gdzFYdYadTgJS3w+GmQ+5fOq me@here";
  for (const auto& [recipient, message] : {std::pair<std::string, std::string>(hybrid, "a post-quantum age recipient"),
                                           {plugin, "an age plugin recipient"},
                                           {ssh, "an ssh recipient for age"}}) {
    const auto keys = type.from_list(recipient, {});
    ASSERT_TRUE(keys.has_value()) << recipient;
    EXPECT_EQ((*keys)[0]->id(), recipient);
    const auto fields = (*keys)[0]->wrap(SecureBytes(32), world.services());
    ASSERT_FALSE(fields.has_value());
    EXPECT_EQ(fields.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(fields.error().message, StartsWith(message + " is not supported yet"));
  }
}

TEST(Recipients, MalformedOnesAreNamed) {
  const std::string bad_hybrid = bech32_encode("age1pq", counting(0, 33));
  for (const auto& [recipient, message] :
       {std::pair<std::string, std::string>("hello", "unknown recipient type: \"hello\""),
        {to_lower(kIdentity), "unknown recipient type: this is a private key (identity)"},
        {std::string(kIdentity), "unknown recipient type: this is a private key (identity)"},
        {"AGE13AQVTTDK3UJKYJH9KG2W5AN6DMY5MQ5A84A4UXK3HFHNUGFC9P0SY5P2WH", "unknown recipient type: \"AGE13A"},
        {std::string(kRecipient.substr(0, 61)), "failed to parse input as Bech32-encoded age public key"},
        {bad_hybrid, "failed to parse input as Bech32-encoded age public key"},
        {"age1", "failed to parse input as Bech32-encoded age public key"},
        {"age1pq1qq", "failed to parse input as Bech32-encoded age public key"},
        {"age1yubikey1qqqqqqqqq", "failed to parse input as age key from age plugin"},
        {bech32_encode("age", counting(0, 31)), "failed to parse input as Bech32-encoded age public key"}}) {
    const auto keys = type.from_list(recipient, {});
    ASSERT_FALSE(keys.has_value()) << recipient;
    EXPECT_EQ(keys.error().code, ErrorCode::kMalformed);
    EXPECT_THAT(keys.error().message, StartsWith(message));
    EXPECT_THAT(to_string(keys.error()), Not(HasSubstr("QQQSYQ")));
  }
}

TEST(Recipients, MetadataIsLoadedUnchecked) {
  const auto key = key_for("no recipient at all");
  EXPECT_EQ(key->id(), "no recipient at all");
  World world;
  world.environment.set("SOPS_AGE_KEY", std::string(kIdentity));
  EXPECT_TRUE(unwrap(kEnc, world, "no recipient at all").has_value());
  const auto wrapped = key->wrap(SecureBytes(32), world.services());
  ASSERT_FALSE(wrapped.has_value());
  EXPECT_EQ(wrapped.error().code, ErrorCode::kMalformed);
}

TEST(Recipients, ALowOrderPointIsRefused) {
  World world;
  const auto keys = type.from_list(bech32_encode("age", Bytes(32, 0)), {});
  ASSERT_TRUE(keys.has_value());
  const auto fields = (*keys)[0]->wrap(SecureBytes(32), world.services());
  ASSERT_FALSE(fields.has_value());
  EXPECT_EQ(fields.error().code, ErrorCode::kMalformed);
}

// --- identities -----------------------------------------------------------------------------------------------------

TEST(Identities, WithoutAnyAllEightPlacesAreListed) {
  World world;
  const auto secret = unwrap(kEnc, world);
  ASSERT_FALSE(secret.has_value());
  EXPECT_EQ(secret.error().code, ErrorCode::kNotMine);
  EXPECT_EQ(secret.error().message,
            "failed to load age identities. Did not find keys in locations 'SOPS_AGE_SSH_PRIVATE_KEY_FILE', "
            "'SOPS_AGE_SSH_PRIVATE_KEY_CMD', '/home/me/.ssh/id_ed25519', '/home/me/.ssh/id_rsa', 'SOPS_AGE_KEY', "
            "'SOPS_AGE_KEY_FILE', 'SOPS_AGE_KEY_CMD', and '/home/me/.config/sops/age/keys.txt'");
}

TEST(Identities, OneInTheEnvironmentLeavesSixPlacesNotFound) {
  World world;
  world.environment.set("SOPS_AGE_KEY", std::string(kIdentity));
  const FoundIdentities found = find_identities(kRecipient, world.services());
  EXPECT_EQ(found.identities.size(), 1u);
  EXPECT_TRUE(found.problems.empty());
  EXPECT_THAT(found.missing_places,
              ElementsAre("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_CMD", "/home/me/.ssh/id_ed25519",
                          "/home/me/.ssh/id_rsa", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD"));
  const auto secret = unwrap(kEnc, world);
  ASSERT_TRUE(secret.has_value());
  EXPECT_EQ(hex_lower(secret->expose()), hex_lower(counting(0x60, 32)));
}

TEST(Identities, EveryPlaceIsRead) {
  const std::string file = format("# created: today\r\n\n{}\r\n", kIdentity);
  for (int place = 0; place < 5; ++place) {
    World world;
    if (place == 0) world.environment.set("SOPS_AGE_KEY", file);
    if (place == 1) {
      world.environment.set("SOPS_AGE_KEY_FILE", "/my keys");
      world.files.put("/my keys", file);
    }
    if (place == 2) {
      world.environment.set("SOPS_AGE_KEY_CMD", "get-key --name 'my key' # comment");
      world.processes.add("get-key", FakeProcesses::Answer{0, file});
    }
    if (place == 3) world.files.put("/home/me/.config/sops/age/keys.txt", file);
    if (place == 4) {
      world.environment.set("XDG_CONFIG_HOME", "/etc/me");
      world.files.put("/etc/me/sops/age/keys.txt", file);
    }
    EXPECT_TRUE(unwrap(kEnc, world).has_value()) << place;
    if (place == 2) {
      ASSERT_EQ(world.processes.runs.size(), 1u);
      EXPECT_THAT(world.processes.runs[0].arguments, ElementsAre("get-key", "--name", "my key"));
      EXPECT_EQ(world.processes.runs[0].extra_environment["SOPS_AGE_RECIPIENT"], kRecipient);
    }
  }
}

TEST(Identities, SeveralMayShareALineInTheEnvironmentOnly) {
  const std::string line = format("{} \t {}", kOtherIdentity, kIdentity);
  World world;
  world.environment.set("SOPS_AGE_KEY", line);
  EXPECT_TRUE(unwrap(kEnc, world).has_value());
  world.environment.unset("SOPS_AGE_KEY");
  world.environment.set("SOPS_AGE_KEY_FILE", "/keys");
  world.files.put("/keys", line);
  const auto secret = unwrap(kEnc, world);
  ASSERT_FALSE(secret.has_value());
  EXPECT_THAT(secret.error().message, HasSubstr("failed to parse 'SOPS_AGE_KEY_FILE' age identities: line 1"));
}

TEST(Identities, BadLinesRejectTheWholePlace) {
  for (std::string text : {format("{} # mine", kIdentity), format("{}\n{}", kIdentity, kRecipient), to_lower(kIdentity),
                           format("{}x", kIdentity), std::string("secret-word")}) {
    World world;
    world.environment.set("SOPS_AGE_KEY", text);
    const auto secret = unwrap(kEnc, world);
    ASSERT_FALSE(secret.has_value()) << text;
    EXPECT_EQ(secret.error().code, ErrorCode::kMalformed);
    EXPECT_THAT(secret.error().message, HasSubstr("failed to parse 'SOPS_AGE_KEY' age identities"));
    EXPECT_THAT(secret.error().message, HasSubstr("Did not find keys in locations"));
    EXPECT_THAT(to_string(secret.error()) + secret.error().hint, Not(HasSubstr("QQQSYQ")));
    EXPECT_THAT(to_string(secret.error()) + secret.error().hint, Not(HasSubstr("secret-word")));
  }
  World world;
  world.environment.set("SOPS_AGE_KEY_FILE", "/keys");
  world.files.put("/keys", format(" {}\n", kIdentity));
  const auto secret = unwrap(kEnc, world);
  ASSERT_FALSE(secret.has_value());
  EXPECT_EQ(secret.error().hint, "remove the blanks around the identity");
}

TEST(Identities, AProblemWithOnePlaceDoesNotHideAnother) {
  World world;
  world.environment.set("SOPS_AGE_KEY", "nonsense");
  world.environment.set("SOPS_AGE_KEY_FILE", "/missing");
  world.environment.set("SOPS_AGE_KEY_CMD", "fails --password=hunter2");
  world.processes.add("fails", FakeProcesses::Answer{3, std::string(kOtherIdentity)});
  world.files.put("/home/me/.config/sops/age/keys.txt", kIdentity);
  EXPECT_TRUE(unwrap(kEnc, world).has_value());
  world.files.forget("/home/me/.config/sops/age/keys.txt");
  const auto secret = unwrap(kEnc, world);
  ASSERT_FALSE(secret.has_value());
  EXPECT_EQ(
      secret.error().message,
      "failed to load age identities. failed to parse 'SOPS_AGE_KEY' age identities: line 1: unknown identity type; "
      "no such file: /missing (SOPS_AGE_KEY_FILE); "
      "failed to execute command 'fails' of SOPS_AGE_KEY_CMD: it ended with status 3. "
      "Did not find keys in locations 'SOPS_AGE_SSH_PRIVATE_KEY_FILE', 'SOPS_AGE_SSH_PRIVATE_KEY_CMD', "
      "'/home/me/.ssh/id_ed25519', and '/home/me/.ssh/id_rsa'");
}

TEST(Identities, SetButEmptyIsAnError) {
  for (std::string name : {"SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD"}) {
    World world;
    world.environment.set(name, "");
    const FoundIdentities found = find_identities(kRecipient, world.services());
    ASSERT_EQ(found.problems.size(), 1u) << name;
    EXPECT_THAT(found.problems[0].message, HasSubstr(name));
    EXPECT_TRUE(world.processes.runs.empty());
  }
  World world;
  world.environment.set("SOPS_AGE_KEY", "# nothing\n");
  const FoundIdentities found = find_identities(kRecipient, world.services());
  EXPECT_TRUE(found.problems.empty());
  EXPECT_THAT(found.missing_places, ::testing::Contains("SOPS_AGE_KEY"));
}

TEST(Identities, MissingHomeAndRelativeConfigurationAreProblems) {
  FakeServices world;
  FoundIdentities found = find_identities(kRecipient, world.services());
  ASSERT_EQ(found.problems.size(), 2u);
  EXPECT_EQ(found.problems[0].message, "HOME is not set, so there is no .ssh folder to look in");
  EXPECT_EQ(found.problems[1].message, "neither XDG_CONFIG_HOME nor HOME is set");
  world.environment.set("HOME", "/h");
  world.environment.set("XDG_CONFIG_HOME", "relative");
  found = find_identities(kRecipient, world.services());
  ASSERT_EQ(found.problems.size(), 1u);
  EXPECT_EQ(found.problems[0].message, "XDG_CONFIG_HOME is not an absolute path");
}

TEST(Identities, NoMatchNamesTheRecipientsThatWereTried) {
  World world;
  world.environment.set("SOPS_AGE_KEY", std::string(kOtherIdentity));
  auto secret = unwrap(kEnc, world);
  ASSERT_FALSE(secret.has_value());
  EXPECT_EQ(secret.error().code, ErrorCode::kNotMine);
  EXPECT_THAT(
      secret.error().message,
      StartsWith("identity did not match any of the recipients: incorrect identity for recipient block. Did not"));
  // The public half of the other identity, as age-keygen -y prints it.
  EXPECT_EQ(secret.error().hint,
            "the identities found are for age1xmwwc06ly3ee5rytxm9mflaz2u56jjj36s0mypdrwsvlul66mv4q47ryef");
  world.environment.set("SOPS_AGE_KEY", format("{} {}", kOtherIdentity, kOtherIdentity));
  secret = unwrap(kEnc, world);
  ASSERT_FALSE(secret.has_value());
  EXPECT_THAT(secret.error().message, StartsWith("no identity matched any of the recipients. Did not"));
}

TEST(Identities, LaterTypesAreReportedOnlyIfTheyMightFit) {
  // An X25519 file: post-quantum, plugin and ssh identities cannot be meant.
  World world;
  world.environment.set("SOPS_AGE_KEY", format("{} {}", kHybridIdentity, plugin_identity()));
  world.environment.set("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "/ssh");
  world.files.put("/home/me/.ssh/id_ed25519", "an ssh key");
  auto secret = unwrap(kEnc, world);
  ASSERT_FALSE(secret.has_value());
  EXPECT_EQ(secret.error().code, ErrorCode::kNotMine);
  // But they do not stand in the way of one that fits.
  world.environment.set("SOPS_AGE_KEY", format("{} {} {}", kHybridIdentity, plugin_identity(), kIdentity));
  EXPECT_TRUE(unwrap(kEnc, world).has_value());

  const auto with_stanza = [](std::string stanza_type) {
    const Stanza stanza{{std::move(stanza_type), "AAAA"}, Bytes(32)};
    return armor_encode(seal_file({&stanza, 1}, SecureBytes(16), Bytes(16), Bytes(32)));
  };
  for (const auto& [stanza_type, message] :
       {std::pair<std::string, std::string>("mlkem768x25519",
                                            "a post-quantum age identity is not supported yet: 'SOPS_AGE_KEY'"),
        {"ssh-ed25519", "an ssh key as age identity is not supported yet: 'SOPS_AGE_SSH_PRIVATE_KEY_FILE'"},
        {"piv-p256", "an age plugin identity is not supported yet: 'SOPS_AGE_KEY'"}}) {
    secret = unwrap(with_stanza(stanza_type), world);
    ASSERT_FALSE(secret.has_value());
    EXPECT_EQ(secret.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(secret.error().message, StartsWith(message));
  }
}

TEST(Identities, AnEncryptedIdentityFileIsUnsupportedNotCorrupt) {
  for (std::string_view text : {kEnc, std::string_view("age-encryption.org/v1\n-> scrypt …")}) {
    World world;
    world.environment.set("SOPS_AGE_KEY_FILE", "/keys.age");
    world.files.put("/keys.age", text);
    const auto secret = unwrap(kEnc, world);
    ASSERT_FALSE(secret.has_value());
    EXPECT_EQ(secret.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(secret.error().message,
                StartsWith("an encrypted age identity file is not supported yet: 'SOPS_AGE_KEY_FILE'"));
  }
}

// editing.md 5.1: whom the command asks is asked once, however many files there are; another recipient may have another
// answer.
TEST(Identities, RunTheirCommandOnceForARecipient) {
  World world;
  world.environment.set("SOPS_AGE_KEY_CMD", "get-key");
  world.processes.add("get-key", FakeProcesses::Answer{0, std::string(kIdentity)});
  EXPECT_TRUE(unwrap(kEnc, world).has_value());
  EXPECT_TRUE(unwrap(kEnc, world).has_value());
  EXPECT_EQ(world.processes.runs.size(), 1u);
  find_identities("age1other", world.services());
  EXPECT_EQ(world.processes.runs.size(), 2u);
  EXPECT_EQ(world.processes.runs[1].extra_environment["SOPS_AGE_RECIPIENT"], "age1other");
  // Who refused is not asked again, either.
  world.environment.set("SOPS_AGE_KEY_CMD", "refuse");
  world.processes.add("refuse", FakeProcesses::Answer{1, ""});
  EXPECT_FALSE(unwrap(kEnc, world).has_value());
  EXPECT_FALSE(unwrap(kEnc, world).has_value());
  EXPECT_EQ(world.processes.runs.size(), 3u);
}

TEST(Identities, AMalformedEncRunsNoCommand) {
  World world;
  world.environment.set("SOPS_AGE_KEY_CMD", "get-key");
  const auto secret = unwrap("-----BEGIN AGE ENCRYPTED FILE-----\n", world);
  ASSERT_FALSE(secret.has_value());
  EXPECT_EQ(secret.error().code, ErrorCode::kMalformed);
  EXPECT_TRUE(world.processes.runs.empty());
}

TEST(Identities, APayloadOfMoreThanADataKeyIsRefused) {
  World world;
  const Stanza stanza{{"test"}, {}};
  const auto secret = unwrap(armor_encode(seal_file({&stanza, 1}, SecureBytes(16), Bytes(16), Bytes(100000))), world);
  ASSERT_FALSE(secret.has_value());
  EXPECT_EQ(secret.error().code, ErrorCode::kMalformed);
}

TEST(Identities, ShamirSharesRoundTrip) {
  World world;
  world.environment.set("SOPS_AGE_KEY", std::string(kIdentity));
  const Bytes share = counting(1, 33);
  const auto fields = key_for(kRecipient)->wrap(SecureBytes::copy_of(share), world.services());
  ASSERT_TRUE(fields.has_value());
  EXPECT_TRUE(field_text(*fields, "enc").ends_with("-----END AGE ENCRYPTED FILE-----\n"));
  const auto secret = unwrap(field_text(*fields, "enc"), world);
  ASSERT_TRUE(secret.has_value());
  EXPECT_EQ(as_text(share), secret->expose_text());
}

// --- golden ---------------------------------------------------------------------------------------------------------

// The text of "enc" in a JSON file of SOPS.
std::string enc_of(const std::string& json) {
  const std::string_view marker = "\"enc\": \"-----BEGIN AGE";
  const size_t at = json.find(marker);
  if (at == std::string::npos) return {};
  const size_t begin = at + std::string_view("\"enc\": \"").size();
  std::string text = json.substr(begin, json.find('"', begin) - begin);
  for (size_t i = text.find("\\n"); i != std::string::npos; i = text.find("\\n", i)) text.replace(i, 2, "\n");
  return text;
}

TEST(Golden, OpensEveryJsonFileThatSopsWrote) {
  const std::string golden = std::string(SOPS_SOURCE_DIR) + "/tests/golden";
  const auto keys = read_vector_file(golden + "/keys/age.txt");
  if (!keys) GTEST_SKIP() << "NOT TESTED: " << golden << " is absent";
  World world;
  world.environment.set("SOPS_AGE_KEY_FILE", "/keys/age.txt");
  world.files.put("/keys/age.txt", *keys);
  int opened = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden + "/default")) {
    const auto json = read_vector_file(entry.path() / "enc.json");
    if (!json) continue;
    SCOPED_TRACE(entry.path());
    const auto secret = unwrap(enc_of(*json), world);
    ASSERT_TRUE(secret.has_value()) << to_string(secret.error());
    EXPECT_EQ(secret->size(), 32u);
    ++opened;
  }
  std::printf("  %d files\n", opened);
  EXPECT_GT(opened, 10);
}

// --- the age program ------------------------------------------------------------------------------------------------

class AgeProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("age --version > /dev/null 2>&1") != 0) {
      GTEST_SKIP() << "NOT TESTED: the program age is not installed";
    }
    folder_ = std::filesystem::path(::testing::TempDir()) / format("sops_age_test.{}", std::random_device()());
    std::filesystem::create_directory(folder_);
    write("keys.txt", kIdentity);
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  void write(const std::string& name, std::string_view content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }
  std::string read(const std::string& name) { return read_vector_file(folder_ / name).value_or(""); }
  bool run(const std::string& command) {
    return std::system(format("cd '{}' && {}", folder_.string(), command).c_str()) == 0;
  }

  std::filesystem::path folder_;
};

TEST_F(AgeProgram, OpensWhatWeWrap) {
  World world;
  const SecureBytes data_key = SecureBytes::copy_of(counting(0x60, 32));
  const auto fields = key_for(kRecipient)->wrap(data_key, world.services());
  ASSERT_TRUE(fields.has_value());
  write("enc", field_text(*fields, "enc"));
  ASSERT_TRUE(run("age -d -i keys.txt -o out enc"));
  EXPECT_EQ(read("out"), data_key.expose_text());
}

TEST_F(AgeProgram, WritesWhatWeOpen) {
  const std::string data_key(as_text(counting(0x60, 32)));
  write("in", data_key);
  ASSERT_TRUE(run(format("age -a -r {} -o enc in", kRecipient)));
  World world;
  world.environment.set("SOPS_AGE_KEY_FILE", "/keys.txt");
  world.files.put("/keys.txt", kIdentity);
  const auto secret = unwrap(read("enc"), world);
  ASSERT_TRUE(secret.has_value()) << to_string(secret.error());
  EXPECT_EQ(secret->expose_text(), data_key);
}

TEST_F(AgeProgram, AgreesOnFilesOfSeveralChunks) {
  const std::string plaintext(3 * kChunkSize, 'x');
  const SecureBytes file_key = SecureBytes::copy_of(counting(0xa0, 16));
  X25519Point recipient;
  std::ranges::copy(bech32_decode(kRecipient)->data.expose(), recipient.begin());
  const auto stanza = wrap_x25519(file_key, recipient, SecureBytes::copy_of(counting(0x20, 32)));
  ASSERT_TRUE(stanza.has_value());
  write("enc", as_text(seal_file({&*stanza, 1}, file_key, Bytes(16), as_bytes(plaintext))));
  ASSERT_TRUE(run("age -d -i keys.txt -o out enc"));
  EXPECT_EQ(read("out"), plaintext);
}

}  // namespace
}  // namespace sops::age
