// SPDX-License-Identifier: MPL-2.0
//
// Tests of changes to YAML texts. What is right for the tree is checked with the scanner; what is right for the text is
// literal: the author's style goes on (editing.md 1.1, 1.3, 1.5).
#include <gtest/gtest.h>

#include <random>

#include "formats/yaml/scan.h"
#include "formats/yaml/yaml.h"
#include "tree/edit.h"

namespace sops::yaml {
namespace {

// A scanned text, its tree, and what a change makes of it.
class Text {
 public:
  explicit Text(std::string text, EmitStyle style = {}) : text_(std::move(text)), style_(style) {
    auto document = scan(text_, ScanMode::kEncrypted);
    EXPECT_TRUE(document.has_value()) << text_ << "\n" << (document ? "" : to_string(document.error()));
    if (document) document_ = std::move(*document);
  }

  // The node at a path of keys and list positions ("a/0/b") in the first document.
  NodeId at(std::string_view path) const {
    NodeId id = document_.branches[0].root;
    for (const std::string_view piece : split(path, '/')) {
      if (piece.empty()) continue;
      NodeId found = kNoNode;
      size_t index = 0;
      for (NodeId child = id + 1; child < document_.node(id).next; child = document_.node(child).next) {
        if (document_.node(child).kind == NodeKind::kComment) continue;
        const bool is_it = document_.node(id).kind == NodeKind::kMapping ? document_.node(child).key == piece
                                                                         : std::to_string(index) == piece;
        if (is_it && found == kNoNode) found = child;
        ++index;
      }
      EXPECT_NE(found, kNoNode) << path;
      if (found == kNoNode) return 0;
      id = found;
    }
    return id;
  }

  std::string replace(std::string_view path, const Value& value) const {
    return applied(type.replace_node(document_, at(path), value, style_));
  }
  std::string append(std::string_view path, Value child, std::string_view key = "") const {
    child.key = key;
    return applied(type.append_child(document_, at(path), child, style_));
  }
  std::string remove(std::string_view path) const { return applied(type.remove_child(document_, at(path))); }

 private:
  std::string applied(const Result<EditList>& edits) const {
    if (!edits) return "error: " + edits.error().message;
    const auto result = edits->apply(text_);
    if (!result) return "error: " + result.error().message;
    return std::string(result->expose_text());
  }

  std::string text_;
  EmitStyle style_;
  Document document_;
};

Value number(std::string_view text) { return Value::scalar(ScalarType::kInt, text); }
Value boolean(bool is_true) { return Value::scalar(ScalarType::kBool, is_true ? "True" : "False"); }
Value floating(std::string_view text) { return Value::scalar(ScalarType::kFloat, text); }
Value null() { return Value::scalar(ScalarType::kNull, ""); }
Value string(std::string_view text) { return Value::string(text); }

TEST(YamlReplaceScalar, KeepsQuotes) {
  EXPECT_EQ(Text("a: 'x' # c\nb: 1\n").replace("a", string("it's")), "a: 'it''s' # c\nb: 1\n");
  EXPECT_EQ(Text("a: \"x\"\r\nb: 1\r\n").replace("a", string("q\"\n")), "a: \"q\\\"\\n\"\r\nb: 1\r\n");
  EXPECT_EQ(Text("a: x\n").replace("a", string("w")), "a: w\n");
  EXPECT_EQ(Text("a: x\n").replace("a", string("5")), "a: \"5\"\n");
  EXPECT_EQ(Text("a: 'x'\n").replace("a", number("5")), "a: 5\n");
  EXPECT_EQ(Text("a: 5").replace("a", string("x: y")), "a: 'x: y'");
}

TEST(YamlReplaceScalar, WritesTypes) {
  EXPECT_EQ(Text("a: x\n").replace("a", floating("5")), "a: 5.0\n");
  EXPECT_EQ(Text("a: x\n").replace("a", floating("1000000")), "a: 1e+06\n");
  EXPECT_EQ(Text("a: x\n").replace("a", boolean(true)), "a: true\n");
  EXPECT_EQ(Text("a: x\n").replace("a", null()), "a: null\n");
}

TEST(YamlReplaceScalar, FillsAbsentValues) {
  EXPECT_EQ(Text("a:\nb:\n").replace("a", string("x")), "a: x\nb:\n");
  EXPECT_EQ(Text("a:  # c\nb:\n").replace("a", number("1")), "a: 1  # c\nb:\n");
  EXPECT_EQ(Text("a: &x\nb: *x\n").replace("a", number("1")), "a: &x 1\nb: *x\n");
  EXPECT_EQ(Text("a:\n-\n- 1\n").replace("a/0", number("2")), "a:\n- 2\n- 1\n");
  EXPECT_EQ(Text("a: {b, c: }\n").replace("a/b", number("2")), "a: {b: 2, c: }\n");
  EXPECT_EQ(Text("a: {b, c: }\n").replace("a/c", number("2")), "a: {b, c: 2 }\n");
}

TEST(YamlReplaceScalar, KeepsAnchorsAndDropsTagsThatGiveAnotherType) {
  EXPECT_EQ(Text("a: &x 1\nb: *x\n").replace("a", number("2")), "a: &x 2\nb: *x\n");
  EXPECT_EQ(Text("a: !!int 1\n").replace("a", number("2")), "a: !!int 2\n");
  EXPECT_EQ(Text("a: !!int 1\n").replace("a", string("x")), "a: \"x\"\n");
  EXPECT_EQ(Text("a: &x !!str 1\n").replace("a", number("2")), "a: &x 2\n");
  EXPECT_EQ(Text("a: !!str &x 1\n").replace("a", number("2")), "a: &x 2\n");
  EXPECT_EQ(Text("a: !!str 1\n").replace("a", string("2")), "a: !!str 2\n");
  EXPECT_EQ(Text("a: !foo x\n").replace("a", boolean(false)), "a: false\n");
}

TEST(YamlReplaceScalar, KeepsBlockHeadersThatHoldTheValue) {
  EXPECT_EQ(Text("a: |\n  x\n  y\nb: 1\n").replace("a", string("z\n")), "a: |\n  z\nb: 1\n");
  EXPECT_EQ(Text("a: | # c\n  x\nb: 1\n").replace("a", string("z\nw\n")), "a: | # c\n  z\n  w\nb: 1\n");
  EXPECT_EQ(Text("a: |\n  x\nb: 1\n").replace("a", string("z")), "a: z\nb: 1\n");
  EXPECT_EQ(Text("a: | # c\n  x\nb: 1\n").replace("a", number("5")), "a: 5 # c\nb: 1\n");
  EXPECT_EQ(Text("b:\n  a: x\n").replace("b/a", string("z\nw")), "b:\n  a: |-\n    z\n    w\n");
}

TEST(YamlReplaceScalar, KeepsPlainWordsInFlow) {
  EXPECT_EQ(Text("a: {b: x, c: [y]}\n").replace("a/b", string("z")), "a: {b: z, c: [y]}\n");
  EXPECT_EQ(Text("a: {b: x, c: [y]}\n").replace("a/c/0", string("z, w")), "a: {b: x, c: [\"z, w\"]}\n");
  EXPECT_EQ(Text("a: {b: x, c: [y]}\n").replace("a/c/0", string("z\nw")), "a: {b: x, c: [\"z\\nw\"]}\n");
}

TEST(YamlReplaceScalar, TakesThePlaceOfAnAlias) {
  EXPECT_EQ(Text("a: &x 1\nb: *x # c\n").replace("b", string("w")), "a: &x 1\nb: w # c\n");
}

}  // namespace
}  // namespace sops::yaml
