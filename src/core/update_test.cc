// SPDX-License-Identifier: MPL-2.0
//
// Writing files of SOPS again: every golden file is opened and updated. What must stay is known from the file itself.
#include "core/update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/fake_services.h"

namespace sops {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(SOPS_SOURCE_DIR) / "tests/golden";

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

struct GoldenFile {
  fs::path path;
  const FormatType* format;
};

std::vector<GoldenFile> golden_files() {
  std::vector<GoldenFile> files;
  for (const auto& entry : fs::recursive_directory_iterator(kGolden)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("enc.")) continue;
    const std::string extension = entry.path().extension();
    if (extension == ".env" || extension == ".ini") continue;  // formats that are still to come
    if (entry.path().string().find("/keycases/") != std::string::npos) continue;
    files.push_back({entry.path(), &format_for_path(name)});
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

class Update : public ::testing::Test {
 protected:
  Update() { world_.environment.set("SOPS_AGE_KEY", read_file(kGolden / "keys/age.txt")); }

  // nullopt for the few files that SOPS wrote and cannot be opened (golden/README.md).
  std::optional<OpenedFile> open(const GoldenFile& golden, const std::string& text) {
    auto file = open_file(text, *golden.format, {}, world_.services());
    if (!file) return std::nullopt;
    return std::move(*file);
  }

  FakeServices world_;
};

// `text` with the values of mac and lastmodified blanked, which always change, and with comments that SOPS wrote as
// items of a list (format.md 4.8) as the comments that they become (docs/compatibility.md).
std::string without_changing_entries(const FormatType& format, std::string_view text) {
  const auto document = format.scan(text, ScanMode::kEncrypted);
  if (!document) return "does not scan";
  EditList edits;
  for (const Branch& branch : document->branches) {
    if (branch.metadata == kNoNode) continue;
    for (std::string_view name : {"mac", "lastmodified"}) {
      const NodeId id = find_entry(*document, branch.metadata, name);
      if (id != kNoNode) edits.add(document->node(id).span, "x");
    }
  }
  const auto blanked = edits.apply(text);
  if (!blanked) return "edits overlap";
  std::string result(blanked->expose_text());
  for (size_t at = result.find("- ENC["); at != std::string::npos; at = result.find("- ENC[", at + 1)) {
    const size_t end = result.find(']', at);
    if (std::string_view(result).substr(0, end).ends_with(",type:comment")) result.replace(at, 2, "#");
  }
  return result;
}

TEST_F(Update, OfUnchangedTextChangesOnlyMacAndTime) {
  size_t tried = 0;
  for (const GoldenFile& golden : golden_files()) {
    SCOPED_TRACE(golden.path.string());
    const std::string text = read_file(golden.path);
    auto file = open(golden, text);
    if (!file) continue;
    const auto plain = decrypted_text(*file);
    ASSERT_TRUE(plain) << to_string(plain.error());
    UpdateOptions options;
    const bool is_json = golden.format->id != "yaml";
    if (golden.path.string().find("/indent/") != std::string::npos)
      options.style.indent = is_json ? 1 : 2;  // .sops.indent.yaml
    const auto updated = update_text(*file, plain->expose_text(), options, world_.services());
    EXPECT_TRUE(updated) << to_string(updated.error());
    if (!updated) continue;
    ++tried;
    // editing.md 1.1: nothing else may change.
    EXPECT_EQ(without_changing_entries(*golden.format, updated->text.expose_text()),
              without_changing_entries(*golden.format, text));
    const std::string again_text(updated->text.expose_text());
    auto again = open(golden, again_text);
    EXPECT_TRUE(again);
    if (!again) continue;
    const auto again_plain = decrypted_text(*again);
    ASSERT_TRUE(again_plain);
    EXPECT_EQ(again_plain->expose_text(), plain->expose_text());
  }
  EXPECT_GT(tried, 300u);  // the golden files were found
}

// What stands in a text for the value at a root entry.
std::string value_text(const FormatType& format, std::string_view text, std::string_view key) {
  const auto document = format.scan(text, ScanMode::kEncrypted);
  if (!document) return "does not scan";
  const NodeId id = find_entry(*document, document->branches[0].root, key);
  return id == kNoNode ? "no entry" : std::string(document->node(id).text);
}

class UpdateOfOneFile : public Update {
 protected:
  UpdateOfOneFile()
      : golden_{kGolden / "old/3.12.2/nested.yaml/enc.yaml", &format_for_path("x.yaml")},
        text_(read_file(golden_.path)),
        file_(std::move(*open(golden_, text_))),
        plain_(decrypted_text(file_)->expose_text()) {}

  GoldenFile golden_;
  std::string text_;
  OpenedFile file_;
  std::string plain_;
};

TEST_F(UpdateOfOneFile, KeepsEveryCiphertextButThoseThatChanged) {
  const size_t at = plain_.find("\ng: ");
  ASSERT_NE(at, std::string::npos);
  const size_t end = plain_.find('\n', at + 1);
  const std::string changed = plain_.substr(0, at) + "\ng: another\nnew: 1" + plain_.substr(end);
  const auto updated = update_text(file_, changed, {}, world_.services());
  ASSERT_TRUE(updated) << to_string(updated.error());
  const std::string_view result = updated->text.expose_text();

  // Everything before the changed entry is as it was, and so is the block of the metadata but for mac and lastmodified.
  const size_t entry = text_.find("\ng: ");
  EXPECT_EQ(result.substr(0, entry), text_.substr(0, entry));
  EXPECT_NE(value_text(*golden_.format, result, "g"), value_text(*golden_.format, text_, "g"));
  EXPECT_TRUE(value_text(*golden_.format, result, "new").starts_with("ENC["));
  EXPECT_NE(result.find("\n    version: 3.12.2\n"), std::string_view::npos) << "version stays (cli.md 5.3)";
  const std::string again_text(result);
  auto again = open(golden_, again_text);
  ASSERT_TRUE(again);
  EXPECT_EQ(decrypted_text(*again)->expose_text(), changed);
}

TEST_F(UpdateOfOneFile, WithNewDataKeyKeepsNoCiphertext) {
  DataKey key = DataKey::generate(world_.random);
  Metadata metadata = file_.metadata;
  const auto master = find_key_source("age")->from_metadata(metadata.groups[0][0].fields);
  ASSERT_TRUE(master);
  metadata.groups[0][0].fields = *(*master)->wrap(key.bytes(), world_.services());
  const auto updated =
      update_text(file_, plain_, {.new_data_key = true, .write_version = true, .metadata = metadata, .data_key = &key},
                  world_.services());
  ASSERT_TRUE(updated) << to_string(updated.error());
  const std::string result(updated->text.expose_text());
  for (size_t at = text_.find("ENC["); at != std::string::npos; at = text_.find("ENC[", at + 1)) {
    EXPECT_EQ(result.find(text_.substr(at, 60)), std::string::npos);
  }
  auto again = open(golden_, result);
  ASSERT_TRUE(again);
  EXPECT_EQ(decrypted_text(*again)->expose_text(), plain_);
  EXPECT_EQ(again->metadata.version, kFileVersion);
}

TEST_F(UpdateOfOneFile, LeavesAMovedBlockInItsPlace) {
  const size_t block = text_.find("\nsops:\n") + 1;
  const std::string moved = text_.substr(block) + (text_.ends_with('\n') ? "" : "\n") + text_.substr(0, block);
  auto file = open(golden_, moved);
  ASSERT_TRUE(file);
  const std::string plain(decrypted_text(*file)->expose_text());
  const auto updated = update_text(*file, plain + "new: 1\n", {}, world_.services());
  ASSERT_TRUE(updated) << to_string(updated.error());
  EXPECT_TRUE(updated->text.expose_text().starts_with("sops:\n"));
}

TEST_F(UpdateOfOneFile, RefusesAnEntryCalledSops) {
  const auto updated = update_text(file_, plain_ + "sops: 1\n", {}, world_.services());
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().exit_status, ExitStatus::kAlreadyEncrypted);
}

}  // namespace
}  // namespace sops
