// SPDX-License-Identifier: MPL-2.0
//
// Expectations come from files that SOPS wrote (shared/golden) and from format.md 6C.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "formats/format.h"

namespace sops::binary {
extern const FormatType type;
}

namespace sops {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kGolden = fs::path(SOPS_SOURCE_DIR) / "tests/golden";

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Binary, IsOneValueWithoutStructure) {
  for (const std::string& text : {std::string(), std::string("a\0\xff\r\n", 5), std::string("{\"sops\": 1}")}) {
    const auto document = binary::type.scan(text, ScanMode::kPlain);
    ASSERT_TRUE(document.has_value());
    ASSERT_EQ(document->nodes.size(), 2u);
    EXPECT_EQ(document->node(0).next, 2u);
    EXPECT_EQ(document->node(1).key, "data");
    EXPECT_EQ(document->node(1).text, text);
    EXPECT_EQ(document->node(1).type, ScalarType::kString);
    EXPECT_EQ(document->slice(document->node(1).span), text);
    ASSERT_EQ(document->branches.size(), 1u);
    EXPECT_EQ(document->branches[0].metadata, kNoNode);
  }
}

TEST(Binary, WrapsAsSopsDid) {
  if (!fs::exists(kGolden)) GTEST_SKIP() << "NOT TESTED: " << kGolden << " is not on this machine";
  size_t compared = 0;
  for (const char* variant : {"default", "indent"}) {
    const EmitStyle style{.indent = std::string_view(variant) == "indent" ? std::optional<int>(3) : std::nullopt};
    for (const auto& entry : fs::directory_iterator(kGolden / variant)) {
      const fs::path extension = entry.path().extension();
      if (extension != ".bin" && extension != ".txt") continue;
      const std::string text = read_file(entry.path() / ("enc" + extension.string()));
      const auto document = binary::type.scan(text, ScanMode::kEncrypted);
      ASSERT_TRUE(document.has_value()) << entry.path();
      const auto metadata = binary::type.read_metadata(*document);
      ASSERT_TRUE(metadata.has_value()) << entry.path();
      const std::string_view ciphertext = document->node(find_entry(*document, 0, "data")).text;
      const auto wrapped = binary::type.wrap(ciphertext, *metadata, style);
      ASSERT_TRUE(wrapped.has_value());
      EXPECT_EQ(wrapped->expose_text(), text) << entry.path();
      const auto edits = binary::type.write_metadata(*document, *metadata, Value::mapping(), style);
      ASSERT_TRUE(edits.has_value());
      EXPECT_EQ(edits->apply(text)->expose_text(), text) << entry.path();
      EXPECT_EQ(ciphertext.empty(), read_file(kGolden / "in" / entry.path().filename()).empty());
      ++compared;
    }
  }
  EXPECT_GE(compared, 10u);
}

TEST(Binary, RefusesAnEncryptedFileThatIsNoJson) {
  EXPECT_FALSE(binary::type.scan("plain text", ScanMode::kEncrypted).has_value());
  EXPECT_FALSE(binary::type.scan("", ScanMode::kEncrypted).has_value());
  EXPECT_FALSE(binary::type.scan("[]", ScanMode::kEncrypted).has_value());
}

// format.md 6.3.2
TEST(Binary, EmitsTheBytesOfTheEntryData) {
  Value tree = Value::mapping();
  tree.add("other", Value::scalar(ScalarType::kInt, "1"));
  tree.add("data", Value::string(std::string_view("a\0\xff", 3)));
  EXPECT_EQ(binary::type.emit(tree, {})->expose_text(), std::string_view("a\0\xff", 3));
  Value empty = Value::mapping();
  empty.add("data", Value::string(""));
  EXPECT_EQ(binary::type.emit(empty, {})->size(), 0u);
}

TEST(Binary, RefusesToEmitAnythingElse) {
  Value wrong = Value::mapping();
  wrong.add("data", Value::scalar(ScalarType::kInt, "1"));
  for (const Value& tree : {Value::mapping(), wrong, Value::sequence()}) {
    const auto result = binary::type.emit(tree, {});
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().exit_status, ExitStatus::kCannotSerialize);
    EXPECT_THAT(result.error().hint, HasSubstr("--output-type"));
  }
  const auto value = binary::type.emit_value(Value::sequence(), {});
  ASSERT_FALSE(value.has_value());
  EXPECT_EQ(value.error().exit_status, ExitStatus::kCannotSerialize);
}

}  // namespace
}  // namespace sops
