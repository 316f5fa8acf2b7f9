// SPDX-License-Identifier: MPL-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/codec.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/secure_bytes.h"
#include "base/text.h"

namespace sops {
namespace {

std::string decoded(std::string_view text) {
  std::string out(base64_decoded_bound(text.size()), '\0');
  const auto size = base64_decode(text, reinterpret_cast<uint8_t*>(out.data()));
  if (!size) return "invalid";
  out.resize(*size);
  return out;
}

// RFC 4648 section 10.
TEST(Base64, AgreesWithTheRfcsVectors) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(base64_encode(as_bytes(plain)), text);
    EXPECT_EQ(decoded(text), plain);
  }
}

// format.md 2.8: line breaks ignored, padding required, unused bits tolerated.
TEST(Base64, MayGrowOverItsSource) {
  for (size_t size = 0; size < 40; ++size) {
    std::string bytes;
    for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(7 * i + size);
    std::string out(base64_length(size), '.');
    bytes.copy(out.data() + out.size() - size, size);
    base64_encode(as_bytes(out).last(size), out.data());
    EXPECT_EQ(out, base64_encode(as_bytes(bytes)));
  }
}

TEST(Base64, DecodesAsGoDoes) {
  EXPECT_EQ(decoded("Zm9v\r\nYg=\n="), "foob");
  EXPECT_EQ(decoded("Zh=="), "f");
  for (const char* bad : {"Zg", "Zg=", "Zg===", "=", "====", "Zm9vYg==Zg==", "Zm9v Yg==", "Zm9v-_==", "Z"}) {
    EXPECT_EQ(decoded(bad), "invalid") << bad;
  }
}

TEST(Base64, UnpaddedFormIsStrict) {
  uint8_t out[8];
  EXPECT_EQ(base64_decode_unpadded("Zg", out), 1u);
  EXPECT_EQ(base64_decode_unpadded("Zm9v", out), 3u);
  for (const char* bad : {"Zh", "Zg==", "Z", "Zm9v\n", "Zm9"}) EXPECT_FALSE(base64_decode_unpadded(bad, out)) << bad;
}

TEST(Text, EscapesWhatCouldHarmATerminal) {
  EXPECT_EQ(escape_for_message("a\x1b[0m\n\xc2\x9b\xff\xe2\x80\xae"), "a\\x1b[0m\\n\\u{9b}\\xff\\u{202e}");
  EXPECT_EQ(escape_for_message("schlüssel"), "schlüssel");
  EXPECT_EQ(escape_for_message(std::string(300, 'x'), 5), "xxxxx…");
}

TEST(Text, FindsTheNearestWord) {
  const std::string_view words[] = {"encrypt", "decrypt", "edit"};
  EXPECT_EQ(nearest("encrpyt", words), "encrypt");
  EXPECT_EQ(nearest("decript", words), "decrypt");
  EXPECT_EQ(nearest("publish", words), std::nullopt);
  const std::string_view short_words[] = {"set"};
  EXPECT_EQ(nearest("ste", short_words), "set");
  EXPECT_EQ(nearest("dec", short_words), std::nullopt);
}

// RFC 3629 section 4: the boundaries of well-formed UTF-8.
TEST(Text, KnowsWellFormedUtf8) {
  for (const char* good :
       {"a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(utf8_sequence_length(good), std::string_view(good).size());
    std::string again;
    append_rune(again, decode_rune(good).rune);
    EXPECT_EQ(again, good);
  }
  for (const char* bad : {"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                          "\xf5\x80\x80\x80", "\xc2", "\xe2\x82"}) {
    EXPECT_EQ(utf8_sequence_length(bad), 0u);
  }
  EXPECT_EQ(to_valid_utf8("a\xff\xe2\x82z"), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
}

TEST(SecureBytes, MovesAndClonesAndShrinks) {
  SecureBytes a = SecureBytes::copy_of("secret");
  SecureBytes b = std::move(a);
  EXPECT_EQ(a.size(), 0u);  // NOLINT(bugprone-use-after-move): the state after a move is part of the contract
  EXPECT_EQ(b.expose_text(), "secret");
  SecureBytes c = b.clone();
  c.shrink(3);
  EXPECT_EQ(c.expose_text(), "sec");
  EXPECT_TRUE(ct_equal(b.expose(), as_bytes("secret")));
  EXPECT_FALSE(ct_equal(b.expose(), as_bytes("secreT")));
  EXPECT_FALSE(ct_equal(b.expose(), as_bytes("secre")));
}

TEST(SecureBytes, ShrinksLargeOnesAndUsesThemOn) {
  const size_t size = (size_t{3} << 20) + 77;
  for (const size_t kept : {size_t{0}, size_t{1}, size_t{5000}, size - 5}) {
    SecureBytes bytes(size);
    for (size_t i = 0; i < size; ++i) bytes.expose_mutable()[i] = static_cast<uint8_t>(i % 251);
    bytes.shrink(kept);
    ASSERT_EQ(bytes.size(), kept);
    for (size_t i = 0; i < kept; ++i) ASSERT_EQ(bytes.expose()[i], i % 251);
    // Behind the end everything is gone.
    const uint8_t* const behind = bytes.expose().data() + kept;
    EXPECT_TRUE(std::all_of(behind, behind + (size - kept), [](uint8_t byte) { return byte == 0; }));
  }
}

TEST(SecureBuffer, GrowsOverPageBorders) {
  SecureBuffer buffer;
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    buffer.append("abc");
    expected += "abc";
  }
  buffer.append(3, '!');
  EXPECT_EQ(buffer.view(), expected + "!!!");
  EXPECT_EQ(buffer.take().expose_text(), expected + "!!!");
  EXPECT_EQ(buffer.size(), 0u);
}

TEST(SecureArena, KeepsPiecesInPlace) {
  SecureArena arena;
  std::vector<std::string_view> pieces;
  for (int i = 0; i < 2000; ++i) pieces.push_back(arena.store(format("piece {}", i)));
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(pieces[static_cast<size_t>(i)], format("piece {}", i));
}

TEST(SecureArena, AdoptsAnother) {
  SecureArena a, b, empty;
  const std::string_view first = a.store("first");
  const std::string_view second = b.store("second");
  a.adopt(std::move(b));
  const std::string_view third = a.store("third");
  EXPECT_EQ(first, "first");
  EXPECT_EQ(second, "second");
  EXPECT_EQ(third, "third");
  empty.adopt(std::move(a));
  EXPECT_EQ(empty.store("fourth"), "fourth");
  EXPECT_EQ(third, "third");
}

Result<int> half(int n) {
  if (n % 2 != 0) return fail(ErrorCode::kMalformed, "{} is odd", n).hint("add one").exit(ExitStatus::kBadSetFormat);
  return n / 2;
}

Result<int> quarter(int n) {
  const int once = TRY(in_context(half(n), "halving {}", n));
  return TRY(half(once));
}

TEST(Result, TryPassesErrorsOn) {
  EXPECT_EQ(quarter(8).value(), 2);
  const Result<int> bad = quarter(5);
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(to_string(bad.error()), "5 is odd (halving 5)");
  EXPECT_EQ(bad.error().hint, "add one");
  EXPECT_EQ(bad.error().exit_status, ExitStatus::kBadSetFormat);
}

TEST(ParallelFor, VisitsEverythingOnce) {
  std::vector<int> visits(10000);
  parallel_for(visits.size(), 7, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) ++visits[i];
  });
  EXPECT_THAT(visits, testing::Each(1));
}

// keys.md 1.8: what SOPS_KEY_TIMEOUT may be.
TEST(Durations, AreReadAsPeopleWriteThem) {
  const auto read = [](std::string_view text) -> int64_t {
    const auto result = duration_of("X", text, std::chrono::seconds(20));
    return result ? result->count() : -1;
  };
  EXPECT_EQ(read(""), 20000);
  EXPECT_EQ(read("1500ms"), 1500);
  EXPECT_EQ(read("30s"), 30000);
  EXPECT_EQ(read("30"), 30000);
  EXPECT_EQ(read("1m30s"), 90000);
  EXPECT_EQ(read("1.5s"), 1500);
  for (const char* wrong : {"0", "-1s", "s", "25h", "30 s", "99999999999999999999", "100000m", "+5", "1m30", "1e3s"}) {
    EXPECT_EQ(read(wrong), -1) << wrong;
  }
  EXPECT_EQ(duration_of("X", "soon", {}).error().message, "X 'soon' is no duration");
}

}  // namespace
}  // namespace sops
