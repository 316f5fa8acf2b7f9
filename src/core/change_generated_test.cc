// SPDX-License-Identifier: MPL-2.0
//
// Histories of files: random documents, random changes of them one after the other, each written with update_text() and
// opened again (editing.md 1.1, 1.6). What a change should give is said here once more, on values, as cli.md 5.3 and
// 5.4 have it. Seeds and counts are fixed; SOPS_TEST_HISTORIES asks for more.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <set>

#include "core/change.h"
#include "core/ciphertext.h"
#include "core/update.h"
#include "tests/support/fake_services.h"
#include "tests/support/random_documents.h"
#include "tests/support/vectors.h"

namespace sops {
namespace {

constexpr size_t kHistories = 2000;
constexpr int kChanges = 3;

std::string golden_key(const char* name) {
  return read_vector_file(std::filesystem::path(SOPS_SOURCE_DIR) / "tests/golden/keys" / name).value();
}

// What the table of cli.md 5.3 and 5.4 makes of a tree; false where nothing changes.
bool apply(Value& tree, const TreePath& path, size_t at, const Value* value) {
  if (at == path.size()) {
    const std::string_view key = tree.key;
    tree = *value;
    tree.key = key;
    return true;
  }
  const auto* key = std::get_if<std::string>(&path[at]);
  const bool fits = key != nullptr ? tree.kind == ValueKind::kMapping : tree.kind == ValueKind::kSequence;
  if (tree.kind == ValueKind::kScalar) {
    if (value == nullptr) return false;
    const std::string_view own_key = tree.key;
    tree = key != nullptr ? Value::mapping() : Value::sequence();
    tree.key = own_key;
  } else if (!fits) {
    return false;
  }
  size_t child = tree.children.size();
  if (key != nullptr) {
    for (size_t i = tree.children.size(); i-- > 0;) {
      if (tree.children[i].kind != ValueKind::kComment && tree.children[i].key == *key) child = i;
    }
  } else {
    const int64_t index = std::get<int64_t>(path[at]);
    if (index < 0) return false;
    child = std::min(child, static_cast<size_t>(index));
  }
  if (child == tree.children.size()) {
    if (value == nullptr) return false;
    Value null = Value::scalar(ScalarType::kNull, "");
    if (key != nullptr) null.key = *key;
    tree.children.push_back(null);
  } else if (tree.children[child].kind == ValueKind::kComment) {
    return false;
  }
  if (value == nullptr && at + 1 == path.size()) {
    tree.children.erase(tree.children.begin() + static_cast<std::ptrdiff_t>(child));
    return true;
  }
  return apply(tree.children[child], path, at + 1, value);
}

class History {
 public:
  History(unsigned seed, FakeServices& world, const std::vector<MasterKeyList>& groups) : random_(seed), world_(world) {
    is_json_ = pick(4) == 0;
    format_ = find_format(is_json_ ? "json" : "yaml");
    plain_ = is_json_ ? RandomJson(seed).document() : RandomYaml(seed).document();
    EncryptOptions options{.allow_plaintext = true};
    if (pick(4) == 0) options.selection.encrypted_regex = "k.*[1-4]|a";
    auto encrypted = encrypt_text(plain_, *format_, options, groups, world_.services());
    if (encrypted) text_ = std::string(encrypted->text.expose_text());
    if (encrypted) note_nonces();
  }

  bool is_valid() const { return !text_.empty(); }
  size_t changes = 0;
  size_t rewritten = 0;  // changes that could not keep the author's style
  size_t refusals = 0;

  void change() {
    const std::string before = text_;
    auto file = open_file(before, *format_, {}, world_.services());
    ASSERT_TRUE(file) << to_string(file.error());
    const auto plain = decrypted_text(*file);
    ASSERT_TRUE(plain);
    ASSERT_EQ(plain->expose_text(), plain_);
    Value expected = *decrypted_value(*file);
    const TreePath path = pick_path(expected);
    const Value value = pick_value();
    const bool is_set = pick(3) > 0;
    SCOPED_TRACE(testing::Message() << (is_set ? "set " : "unset ") << to_string(path) << " of\n" << plain_ << "<end>");

    const auto plain_document = format_->scan(plain_, ScanMode::kEncrypted);
    ASSERT_TRUE(plain_document);
    const auto here = path_in_plain(expected, *plain_document, path);
    auto changed = !here    ? Result<ChangedText>(fail(Error(here.error())))
                   : is_set ? set_value(*format_, plain_, *here, value, {})
                            : unset_value(*format_, plain_, *here, {});
    if (!changed) {
      const ErrorCode code = changed.error().code;
      if (code == ErrorCode::kUnsupported) {  // odd places of comments: refused, and nothing is lost
        ++refusals;
        return;
      }
      ASSERT_TRUE(code == ErrorCode::kUsage || code == ErrorCode::kNotFound) << to_string(changed.error());
      Value same = expected;
      ASSERT_FALSE(apply(same, path, 0, is_set ? &value : nullptr)) << to_string(changed.error());
      return;
    }
    ASSERT_TRUE(apply(expected, path, 0, is_set ? &value : nullptr));
    const auto updated =
        update_text(*file, changed->text.expose_text(),
                    {.allow_plaintext = true, .whole_floats = changed->whole_floats}, world_.services());
    ASSERT_TRUE(updated) << to_string(updated.error()) << "\n" << changed->text.expose_text();
    ++changes;
    rewritten += changed->warnings.size();
    text_ = std::string(updated->text.expose_text());
    plain_ = std::string(changed->text.expose_text());
    SCOPED_TRACE(testing::Message() << "before\n" << before << "<end>\nnow\n" << text_ << "<end>");

    // It says what it should, and nothing else.
    auto again = open_file(text_, *format_, {}, world_.services());
    ASSERT_TRUE(again) << to_string(again.error());
    Value found = *decrypted_value(*again);
    make_numbers_alike(found);
    make_numbers_alike(expected);
    ASSERT_TRUE(same_tree(found, expected, Comments::kIgnore));
    ASSERT_EQ(decrypted_text(*again)->expose_text(), plain_);
    expect_kept(*file, path);
    note_nonces();
  }

 private:
  // Where nothing is encrypted the whole number 5.0 is read as an integer.
  static void make_numbers_alike(Value& tree) {
    std::vector<Value*> open = {&tree};
    while (!open.empty()) {
      Value& value = *open.back();
      open.pop_back();
      if (value.type == ScalarType::kInt) value.type = ScalarType::kFloat;
      for (Value& child : value.children) open.push_back(&child);
    }
  }

  size_t pick(size_t count) { return random_() % count; }

  // A path to a place, one beside it, below it, or to nothing.
  TreePath pick_path(const Value& tree) {
    TreePath path;
    const Value* at = &tree;
    while (at->kind != ValueKind::kScalar && !at->children.empty() && (path.empty() || pick(4) > 0)) {
      const size_t child = pick(at->children.size());
      if (at->children[child].kind == ValueKind::kComment && at->kind == ValueKind::kMapping) break;
      if (at->kind == ValueKind::kMapping) {
        path.emplace_back(std::string(at->children[child].key));
      } else {
        path.emplace_back(static_cast<int64_t>(child));
      }
      at = &at->children[child];
      if (at->kind == ValueKind::kComment) break;
    }
    const size_t odd = pick(8);
    if (odd == 0 || path.empty()) path.emplace_back("added " + std::to_string(pick(3)));
    if (odd == 1) path.emplace_back(static_cast<int64_t>(pick(4)));
    if (odd == 2) path.back() = "other";
    if (odd == 3) path.back() = static_cast<int64_t>(pick(4));
    return path;
  }

  Value pick_value() {
    Value object = Value::mapping();
    object.add("n", Value::scalar(ScalarType::kInt, "12"));
    object.add("f", Value::scalar(ScalarType::kFloat, "12"));
    object.add("t", Value::string("one\ntwo\n"));
    object.add("e", Value::mapping());
    Value list = Value::sequence();
    list.add(Value::string("x"));
    list.add(Value::scalar(ScalarType::kNull, ""));
    object.add("l", list);
    const std::vector<Value> values = {Value::scalar(ScalarType::kFloat, "5"),
                                       Value::scalar(ScalarType::kBool, "True"),
                                       Value::scalar(ScalarType::kNull, ""),
                                       Value::string("word"),
                                       Value::string(""),
                                       Value::string("a: b # c"),
                                       Value::string("one\ntwo"),
                                       Value::string("one\n"),
                                       Value::scalar(ScalarType::kFloat, "0.125"),
                                       Value::scalar(ScalarType::kFloat, "-0"),
                                       Value::scalar(ScalarType::kInt, "9007199254740993"),
                                       object,
                                       Value::mapping()};
    return values[pick(values.size())];
  }

  // Every value whose keys are not those on the path keeps its ciphertext (editing.md 1.1).
  void expect_kept(const OpenedFile& file, const TreePath& path) const {
    std::string changed;
    for (const PathComponent& component : path) {
      if (const auto* key = std::get_if<std::string>(&component)) changed += *key + ":";
    }
    std::string aad;
    for (size_t i = 0; i < file.walk.leaves.size(); ++i) {
      const Leaf& leaf = file.walk.leaves[i];
      if (!file.values[i].was_encrypted || file.values[i].is_comment) continue;
      file.walk.aad(file.document, leaf, aad);
      // A scalar on the way may have given its place to a mapping.
      if (leaf.branch == 0 && (aad.starts_with(changed) || changed.starts_with(aad))) continue;
      const std::string_view ciphertext = file.document.node(leaf.node).text;
      ASSERT_NE(text_.find(ciphertext), std::string::npos) << aad << " " << ciphertext;
    }
  }

  // editing.md 1.6: no nonce for two different texts.
  void note_nonces() {
    constexpr std::string_view kStart = "ENC[";
    for (size_t at = text_.find(kStart); at != std::string::npos; at = text_.find(kStart, at + 1)) {
      const auto fields = parse_ciphertext(std::string_view(text_).substr(at, text_.find(']', at) + 1 - at));
      if (!fields) continue;
      const auto [known, is_new] = data_of_.emplace(fields->iv, fields->data);
      ASSERT_TRUE(is_new || known->second == fields->data) << "a nonce for two texts: " << fields->iv;
    }
  }

  std::mt19937 random_;
  FakeServices& world_;
  bool is_json_ = false;
  const FormatType* format_ = nullptr;
  std::string plain_;
  std::string text_;
  std::map<std::string, std::string> data_of_;  // by nonce
};

TEST(ChangeHistories, ReadAsTheyShouldAndNeverUseANonceTwice) {
  FakeServices world;
  world.environment.set("SOPS_AGE_KEY_FILE", "/age.txt");
  world.files.put("/age.txt", golden_key("age.txt"));
  const KeySourceType* age = find_key_source("age");
  const std::string recipient = golden_key("age.pub");
  const auto keys = age->from_list(recipient.substr(0, recipient.find('\n')), {});
  ASSERT_TRUE(keys);
  const std::vector<MasterKeyList> groups = {{{age, keys->front().get()}}};

  const char* wanted = std::getenv("SOPS_TEST_HISTORIES");
  const size_t count = wanted != nullptr ? std::strtoul(wanted, nullptr, 10) : kHistories;
  size_t files = 0, changes = 0, rewritten = 0, refusals = 0;
  for (unsigned seed = 0; seed < count; ++seed) {
    History history(seed, world, groups);
    if (!history.is_valid()) continue;
    ++files;
    for (int i = 0; i < kChanges; ++i) {
      history.change();
      ASSERT_FALSE(testing::Test::HasFatalFailure()) << "seed " << seed << ", change " << i;
    }
    changes += history.changes;
    rewritten += history.rewritten;
    refusals += history.refusals;
  }
  std::cout << files << " files, " << changes << " changes, " << rewritten << " not in the author's style, " << refusals
            << " refused\n";
  EXPECT_GT(files, count / 2);
  EXPECT_LE(rewritten, changes / 100);
  EXPECT_LE(refusals, changes / 500);
}

}  // namespace
}  // namespace sops
