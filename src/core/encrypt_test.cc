// SPDX-License-Identifier: MPL-2.0
//
// Documents that were once refused, or read otherwise than SOPS reads them. tests/interop found them, with SOPS 3.13.3
// as the judge; here is what can be checked without it.
#include "core/encrypt.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/decrypt.h"
#include "tests/support/fake_services.h"
#include "tests/support/vectors.h"

namespace sops {
namespace {

std::string golden_key(const char* name) {
  return read_vector_file(std::filesystem::path(SOPS_SOURCE_DIR) / "tests/golden/keys" / name).value();
}

// `text` as YAML, encrypted for a key that `fakes` has from then on.
Result<EncryptResult> encrypt(std::string_view text, const SelectionSettings& selection, FakeServices& fakes) {
  fakes.environment.set("SOPS_AGE_KEY_FILE", "/age.txt");
  fakes.files.put("/age.txt", golden_key("age.txt"));
  const KeySourceType* age = find_key_source("age");
  const std::string recipient = golden_key("age.pub");
  const auto keys = TRY(age->from_list(recipient.substr(0, recipient.find('\n')), {}));
  const EncryptOptions options{.selection = selection, .allow_plaintext = true};
  const std::vector<MasterKeyList> groups = {{{age, keys.front().get()}}};
  return encrypt_text(text, *find_format("yaml"), options, groups, fakes.services());
}

// Encrypts and decrypts; returns the encrypted text without the metadata, or what went wrong.
std::string encrypt_and_back(std::string_view text, const SelectionSettings& selection = {}) {
  FakeServices fakes;
  const FormatType& format = *find_format("yaml");
  const auto encrypted = encrypt(text, selection, fakes);
  if (!encrypted) return "encrypt: " + to_string(encrypted.error());
  auto opened = open_file(encrypted->text.expose_text(), format, {}, fakes.services());
  if (!opened) return "open: " + to_string(opened.error());
  for (const std::string& warning : opened->warnings) ADD_FAILURE() << warning;
  const auto decrypted = decrypted_text(*opened);
  if (!decrypted) return "decrypt: " + to_string(decrypted.error());
  EXPECT_EQ(decrypted->expose_text(), text);
  const auto without = format.remove_metadata(opened->document);
  if (!without) return "metadata: " + to_string(without.error());
  return std::string(without->apply(encrypted->text.expose_text())->expose_text());
}

// The text with every ciphertext as `E`.
std::string shortened(std::string text) {
  constexpr std::string_view kStart = "ENC[";
  for (size_t at = text.find(kStart); at != std::string::npos; at = text.find(kStart, at + 1)) {
    text.replace(at, text.find(']', at) + 1 - at, "E");
  }
  return text;
}

// yaml.md 1.3.3 step 2: with CR LF a comment directly behind a bracket is lost.
TEST(Encrypt, KeepsCommentsOfAnExpandedAliasWithCrLf) {
  EXPECT_EQ(shortened(encrypt_and_back("t: &a0\r\n# c\r\n {r: s}\r\ny: [*a0]")),
            "t: &a0\r\n#E\r\n {r: \"E\"}\r\ny: [{\r\n\r\n#E\r\nr: \"E\"}]");
  EXPECT_EQ(
      shortened(encrypt_and_back("o:\r\n  t: &a0\r\n    r: s\r\n    # c\r\n    # d\r\n    u: v\r\n  y: [*a0]\r\n")),
      "o:\r\n  t: &a0\r\n    r: E\r\n    #E\r\n    #E\r\n    u: E\r\n"
      "  y: [{r: \"E\"\r\n\r\n#E\r\n#E\r\n, u: \"E\"}]\r\n");
}

// yaml.md 1.2, 1.5: in an expanded alias no comment changes places with another or with a value.
TEST(Encrypt, KeepsTheOrderOfCommentsInAnExpandedAlias) {
  EXPECT_EQ(shortened(encrypt_and_back("n: &a0\t# c\n- l\t# d\ne: *a0")),
            "n: &a0\t#E\n- E\t#E\ne: \n    #E\n    #E\n    - E");
  EXPECT_EQ(shortened(encrypt_and_back("n: &a0\n  # c\n  k: v # d\ne: *a0\n")),
            "n: &a0\n  #E\n  k: E #E\ne: \n  #E\n  k: E #E\n");
  EXPECT_EQ(shortened(encrypt_and_back("c: &a0\r\n    - a:\r\n    # c\r\n    - o\r\ne: *a0\r\n")),
            "c: &a0\r\n    - a:\r\n    #E\r\n    - E\r\n"
            "e: \r\n    - a: null\r\n    - E\r\n\r\n    #E\r\n");  // I04, E19: it stands behind the next item
}

// yaml.md 1.8 E26: a comment between two items changes places with the next item when the first becomes a collection.
TEST(Encrypt, FollowsACommentToItsNewPlace) {
  EXPECT_EQ(shortened(encrypt_and_back("d: &a0\n  k: v\n  # c\na:\n- *a0\n# d\n\n- x\n")),
            "d: &a0\n  k: E\n  #E\na:\n- \n  k: E\n  #E\n#E\n\n- E\n");
}

// yaml.md 1.2: once the alias is a block, the comment below it stands in that block, which the rule selects.
TEST(Encrypt, EncryptsACommentThatCameIntoASelectedContainer) {
  EXPECT_EQ(shortened(encrypt_and_back("t: &a0\n k: v # c\ne: *a0\n # d\n", {.encrypted_regex = "^e$"})),
            "t: &a0\n k: v # c\ne: \n k: E #E\n #E\n");
}

// yaml.md 1.4: SOPS gives up one of these comments; it is encrypted all the same.
TEST(Encrypt, EncryptsCommentsThatSopsGivesUp) {
  EXPECT_EQ(shortened(encrypt_and_back(" a: []\n # d\n# e\n\n")), " a: []\n #E\n#E\n\n");
}

// yaml.md 1.3.4: behind a metadata block in the place of the root such a comment could become part of it.
TEST(Encrypt, KeepsCommentsBehindAnEmptyRoot) {
  for (std::string_view text : {"null\n#a", "~\n# c", "null\n#abc", "null\n# a long comment", "null\n\n  # c",
                                "~\n    # c\n", "null\n # c\n---\na: 1\n", "a: 1\n---\nnull\n# a long comment"}) {
    const std::string encrypted = shortened(encrypt_and_back(text));
    EXPECT_NE(encrypted.find("#E"), std::string::npos) << encrypted;
  }
}

// The values are decrypted by several threads (architecture.md 3: nothing depends on their number).
TEST(Decrypt, WarnsInTheOrderOfTheFile) {
  std::string text;
  for (int i = 0; i < 6000; ++i) text += format("k{}: v\n", i);
  FakeServices fakes;
  const auto encrypted = encrypt(text, {}, fakes);
  ASSERT_TRUE(encrypted) << to_string(encrypted.error());
  std::string commented;
  std::vector<std::string> expected;
  for (std::string_view line : split(encrypted->text.expose_text(), '\n')) {
    if (line.starts_with("k")) {
      expected.push_back(format("line {}: comment: the comment is not encrypted", 2 * expected.size() + 1));
      commented += "# by hand\n";
    }
    commented += format("{}\n", line);
  }
  ASSERT_EQ(expected.size(), 6000u);
  const auto opened = open_file(commented, *find_format("yaml"), {}, fakes.services());
  ASSERT_TRUE(opened) << to_string(opened.error());
  EXPECT_EQ(opened->warnings, expected);
}

}  // namespace
}  // namespace sops
