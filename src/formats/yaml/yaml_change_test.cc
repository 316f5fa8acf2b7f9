// SPDX-License-Identifier: MPL-2.0
//
// Tests of changes to YAML texts. What is right for the tree is checked with the scanner; what is right for the text is
// literal: the author's style goes on (editing.md 1.1, 1.3, 1.5).
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <random>

#include "formats/yaml/scan.h"
#include "formats/yaml/yaml.h"
#include "tests/support/random_documents.h"
#include "tests/support/yaml_inputs.h"
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
  EXPECT_EQ(Text("a: !!int 1\n").replace("a", string("x")), "a: x\n");
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

TEST(YamlReplaceScalar, LeavesTheBreaksBehindALiteral) {
  EXPECT_EQ(Text("a: |+\n  x\n\nb: 1\n").replace("a", string("z\n\n")), "a: |+\n  z\n\nb: 1\n");
  EXPECT_EQ(Text("a: x\n\nb: 1\n").replace("a", string("z\n\n")), "a: \"z\\n\\n\"\n\nb: 1\n");
  EXPECT_EQ(Text("a: x").replace("a", string("z\n")), "a: \"z\\n\"");
  EXPECT_EQ(Text("a: x # c\nb: 1\n").replace("a", string("z\nw")), "a: |- # c\n    z\n    w\nb: 1\n");
  EXPECT_EQ(Text("a: x\n          \nb: 1\n").replace("a", string("z\nw")), "a: \"z\\nw\"\n          \nb: 1\n");
}

TEST(YamlReplaceScalar, KeepsPlainWordsInFlow) {
  EXPECT_EQ(Text("a: {b: x, c: [y]}\n").replace("a/b", string("z")), "a: {b: z, c: [y]}\n");
  EXPECT_EQ(Text("a: {b: x, c: [y]}\n").replace("a/c/0", string("z, w")), "a: {b: x, c: [\"z, w\"]}\n");
  EXPECT_EQ(Text("a: {b: x, c: [y]}\n").replace("a/c/0", string("z\nw")), "a: {b: x, c: [\"z\\nw\"]}\n");
}

TEST(YamlReplaceScalar, TakesThePlaceOfAnAlias) {
  EXPECT_EQ(Text("a: &x 1\nb: *x # c\n").replace("b", string("w")), "a: &x 1\nb: w # c\n");
}

Value item() {
  Value value = Value::mapping();
  value.add("recipient", string("age1x"));
  value.add("enc", string("A\nB\n"));
  return value;
}

Value list() {
  Value value = Value::sequence();
  value.add(number("1"));
  value.add(string("x"));
  return value;
}

TEST(YamlReplaceNode, WritesABlockInThePlaceOfAScalar) {
  EXPECT_EQ(Text("a: x # c\nb: 1\n").replace("a", item()),
            "a: # c\n    recipient: age1x\n    enc: |\n        A\n        B\nb: 1\n");
  EXPECT_EQ(Text("m:\n  - x\n  - y\n").replace("m/0", item()),
            "m:\n  - recipient: age1x\n    enc: |\n      A\n      B\n  - y\n");
  EXPECT_EQ(Text("m:\n- x # c\n- y\n").replace("m/0", list()), "m:\n- # c\n  - 1\n  - x\n- y\n");
  EXPECT_EQ(Text("m:\r\n- k: v\r\nb: 1\r\n").replace("b", list()), "m:\r\n- k: v\r\nb:\r\n- 1\r\n- x\r\n");
  EXPECT_EQ(Text("a: &x |\n  t\nb: 1").replace("a", list()), "a: &x\n    - 1\n    - x\nb: 1");
  EXPECT_EQ(Text("? a\nb: 1\n").replace("a", list()), "? a\n:\n    - 1\n    - x\nb: 1\n");
}

TEST(YamlReplaceNode, WritesAScalarInThePlaceOfABlock) {
  EXPECT_EQ(Text("a: # c\n  # d\n  k: 1\n\n  # tail\nb: 1\n").replace("a", number("2")), "a: 2 # c\nb: 1\n");
}

TEST(YamlReplaceNode, KeepsFlow) {
  EXPECT_EQ(Text("a: [1, 2] # c\nb: 1\n").replace("a", list()), "a: [1, x] # c\nb: 1\n");
  EXPECT_EQ(Text("a: {k: \"v\"}\nb: 1\n").replace("a/k", list()), "a: {k: [1, \"x\"]}\nb: 1\n");
}

TEST(YamlAppendChild, ContinuesABlockMapping) {
  EXPECT_EQ(Text("a: 1\nb: x # c\n\n# foot\n").append("", string("y z"), "nn"), "a: 1\nb: x # c\n\n# foot\nnn: y z\n");
  EXPECT_EQ(Text("a:\n  k: 1\n\nb: 2\n").append("a", item(), "nn"),
            "a:\n  k: 1\n  nn:\n    recipient: age1x\n    enc: |\n      A\n      B\n\nb: 2\n");
  EXPECT_EQ(Text("\xef\xbb\xbf"
                 "a: 1")
                .append("", number("2"), "nn"),
            "\xef\xbb\xbf"
            "a: 1\nnn: 2");
  EXPECT_EQ(Text("\"a\": \"x\"\r\n").append("", string("w"), "nn"), "\"a\": \"x\"\r\n\"nn\": \"w\"\r\n");
  EXPECT_EQ(Text("'a': 'x'\n").append("", string("5"), "nn"), "'a': 'x'\n'nn': '5'\n");
  EXPECT_EQ(Text("a: 1\n---\nb: 2\n").append("", number("3"), "nn"), "a: 1\nnn: 3\n---\nb: 2\n");
  EXPECT_EQ(Text("? a\n: 1\n...\n").append("", number("3"), "nn"), "? a\n: 1\nnn: 3\n...\n");
  EXPECT_EQ(Text("a:\n").append("", null(), "nn"), "a:\nnn: null\n");
}

TEST(YamlAppendChild, ContinuesABlockList) {
  EXPECT_EQ(Text("a:\n- 1\n- k: v\n  # c\nb: 2\n").append("a", item()),
            "a:\n- 1\n- k: v\n  # c\n- recipient: age1x\n  enc: |\n    A\n    B\nb: 2\n");
  EXPECT_EQ(Text("a:\n    - - x\n      - y\n").append("a/0", string("z")), "a:\n    - - x\n      - y\n      - z\n");
}

TEST(YamlAppendChild, ContinuesTheMetadata) {
  const std::string head = "k: ENC[x]\nsops:\n    age:\n        - recipient: age1a\n          enc: |\n            Z\n";
  const std::string tail = "    lastmodified: \"2026\"\n    mac: ENC[y]\n";
  EXPECT_EQ(Text(head + tail).append("sops/age", item()),
            head + "        - recipient: age1x\n          enc: |\n            A\n            B\n" + tail);
  EXPECT_EQ(Text(head + tail).replace("sops/mac", string("ENC[z]")),
            head + "    lastmodified: \"2026\"\n    mac: ENC[z]\n");
  EXPECT_EQ(Text(head + tail).replace("sops/lastmodified", string("2027")),
            head + "    lastmodified: \"2027\"\n    mac: ENC[y]\n");
  EXPECT_EQ(Text(head + tail).remove("sops/age/0"), "k: ENC[x]\nsops:\n    age: []\n" + tail);
  EXPECT_EQ(Text("k: ENC[x]\nsops:\n    age: []\n" + tail).append("sops/age", item()),
            "k: ENC[x]\nsops:\n    age:\n        - recipient: age1x\n          enc: |\n            A\n            B\n" +
                tail);
  EXPECT_EQ(Text(head + tail).append("sops", string("3.13.3"), "version"), head + tail + "    version: 3.13.3\n");
}

TEST(YamlAppendChild, NeverComesBetweenALiteralAndItsBreaks) {
  EXPECT_EQ(Text("a: |+\n  x\n\n\n").append("", number("1"), "nn"), "a: |+\n  x\n\n\nnn: 1\n");
  EXPECT_EQ(Text("a: |\n  x").append("", number("1"), "nn"), "a: |-\n  x\nnn: 1");
  EXPECT_EQ(Text("a: |2+ # c\n  x").append("", number("1"), "nn"), "a: |2- # c\n  x\nnn: 1");
  EXPECT_EQ(Text("a: x").append("", string("y\n"), "nn"), "a: x\nnn: \"y\\n\"");
  EXPECT_EQ(Text("a: x\n\n").append("", string("y\n\n"), "nn"), "a: x\nnn: \"y\\n\\n\"\n\n");
}

TEST(YamlAppendChild, ContinuesFlow) {
  EXPECT_EQ(Text("a: [x, w]\n").append("a", string("z")), "a: [x, w, z]\n");
  EXPECT_EQ(Text("a: [x, w,]\n").append("a", string("z")), "a: [x, w, z,]\n");
  EXPECT_EQ(Text("a: {k: v} # c\n").append("a", list(), "l"), "a: {k: v, l: [1, x]} # c\n");
  EXPECT_EQ(Text("{\"a\": \"b\"}\n").append("", list(), "l"), "{\"a\": \"b\", \"l\": [1, \"x\"]}\n");
  EXPECT_EQ(Text("a: [\n  x, # c\n  w # d\n]\n").append("a", string("z")), "a: [\n  x, # c\n  w, # d\n  z\n]\n");
  EXPECT_EQ(Text("a: [\n  x,\n  w,\n]\n").append("a", string("z")), "a: [\n  x,\n  w,\n  z,\n]\n");
  EXPECT_EQ(Text("a: [b: c]\n").append("a/0", string("z"), "nn"), "a: [{b: c, nn: z}]\n");
}

TEST(YamlAppendChild, FillsEmptyContainers) {
  EXPECT_EQ(Text("{}\n").append("", number("1"), "nn"), "nn: 1\n");
  EXPECT_EQ(Text("--- null\n").append("", number("1"), "nn"), "--- {nn: 1}\n");
  EXPECT_EQ(Text("---\n# c\n").append("", number("1"), "nn"), "---\n# c\nnn: 1\n");
  EXPECT_EQ(Text("~\n").append("", number("1"), "nn"), "nn: 1\n");
  EXPECT_EQ(Text("a: {} # c\nb: []\n").append("a", number("1"), "nn"), "a: # c\n    nn: 1\nb: []\n");
  EXPECT_EQ(Text("a: {}\nb: []\n").append("b", string("x")), "a: {}\nb:\n    - x\n");
  EXPECT_EQ(Text("a: [{}]\n").append("a/0", number("1"), "nn"), "a: [{nn: 1}]\n");
  EXPECT_EQ(Text("a:\n- {}\n").append("a/0", number("1"), "nn"), "a:\n- nn: 1\n");
}

TEST(YamlRemoveChild, TakesTheLinesOfAnEntry) {
  EXPECT_EQ(Text("a: 1 # c\n# d\nb: 2\n").remove("a"), "# d\nb: 2\n");
  EXPECT_EQ(Text("# d\na: 1 # c\n\nb: 2\n").remove("a"), "# d\n\nb: 2\n");
  EXPECT_EQ(Text("a: # c\n  k: 1 # e\n  # f\n# d\nb: 2\n").remove("a"), "# d\nb: 2\n");
  EXPECT_EQ(Text("a: 1\nb: |+\n  x\n\n\nc: 2\n").remove("b"), "a: 1\nc: 2\n");
  EXPECT_EQ(Text("a: 1\r\nb: 2").remove("b"), "a: 1");
  EXPECT_EQ(Text("a: |\n  x\nb: 2").remove("b"), "a: |\n  x\n");
  EXPECT_EQ(Text("a: |+\n  x\n\nb: 2\n\nc: 3\n").remove("b"), "a: |+\n  x\n\nc: 3\n");
  EXPECT_EQ(Text("? a\n: 1\n? b\n: 2\n").remove("b"), "? a\n: 1\n");
}

TEST(YamlRemoveChild, TakesTheLinesOfAnItem) {
  EXPECT_EQ(Text("a:\n- 1\n# c\n- k: v\n  w: x\n- 3\n").remove("a/1"), "a:\n- 1\n# c\n- 3\n");
  EXPECT_EQ(Text("a:\n- k: v\n  w: x\n").remove("a/0/k"), "a:\n- w: x\n");
  EXPECT_EQ(Text("a:\n- k: v # c\n  # d\n  w: x\n").remove("a/0/k"), "a:\n- # d\n  w: x\n");
  EXPECT_EQ(Text("a:\n- - 1\n  - 2\n").remove("a/0/0"), "a:\n- - 2\n");
}

TEST(YamlRemoveChild, LeavesAnEmptyContainer) {
  EXPECT_EQ(Text("a: # c\n  # d\n  k: 1 # e\n  # f\nb: 2\n").remove("a/k"), "a: {} # c\n  # d\n  # f\nb: 2\n");
  EXPECT_EQ(Text("a:\n- 1\nb: 2\n").remove("a/0"), "a: []\nb: 2\n");
  EXPECT_EQ(Text("a:\n- k: 1\n").remove("a/0/k"), "a:\n- {}\n");
  EXPECT_EQ(Text("a: &x !!map\n  k: 1\nb: *x\n").remove("a/k"), "a: &x !!map {}\nb: *x\n");
  EXPECT_EQ(Text("# c\nk: 1\n# d\n").remove("k"), "# c\n{}\n# d\n");
  EXPECT_EQ(Text("k: 1").remove("k"), "{}");
  EXPECT_EQ(Text("---\nk: 1\n---\nl: 2\n").remove("k"), "---\n{}\n---\nl: 2\n");
  EXPECT_EQ(Text("a: [ 1, ]\n").remove("a/0"), "a: []\n");
  EXPECT_EQ(Text("a: [b: c]\n").remove("a/0/b"), "a: [{}]\n");
}

TEST(YamlRemoveChild, TakesOneCommaInFlow) {
  EXPECT_EQ(Text("a: [x, w, z]\n").remove("a/0"), "a: [w, z]\n");
  EXPECT_EQ(Text("a: [x, w, z]\n").remove("a/1"), "a: [x, z]\n");
  EXPECT_EQ(Text("a: [x, w, z]\n").remove("a/2"), "a: [x, w]\n");
  EXPECT_EQ(Text("a: [x, w, z,]\n").remove("a/2"), "a: [x, w,]\n");
  EXPECT_EQ(Text("a: {? k : v, b}\n").remove("a/k"), "a: {b}\n");
  EXPECT_EQ(Text("a: [\n  x, # c\n  # d\n  w # e\n]\n").remove("a/1"), "a: [\n  x # c\n  # d\n]\n");
  EXPECT_EQ(Text("a: [\n  x, # c\n  # d\n  w # e\n]\n").remove("a/0"), "a: [\n  # d\n  w # e\n]\n");
}

// --- many texts

// Every change that fits a place, on one text: the tree has that one change, what is left has its bytes.
class EveryChange {
 public:
  EveryChange(std::string_view text, const Document& document) : text_(text), document_(document) {}

  // Counts of changes made, and of places where a change was refused.
  size_t made = 0;
  size_t refused = 0;

  void run(std::mt19937& random, size_t most) {
    std::vector<NodeId> nodes;
    for (NodeId id = 0; id < document_.nodes.size(); ++id) {
      if (document_.node(id).kind != NodeKind::kComment) nodes.push_back(id);
    }
    if (nodes.size() > most) {
      std::ranges::shuffle(nodes, random);
      nodes.resize(most);
    }
    for (const NodeId id : nodes) {
      const Node& node = document_.node(id);
      for (int n = 0; n < 2; ++n) {
        const Value value = pick_value(random);
        if (node.parent != kNoNode || value.kind == ValueKind::kMapping) {
          check(
              id, "replace", type.replace_node(document_, id, value, {}),
              [&](Value& tree) {
                Value& place = at(tree, id);
                const std::string_view key = place.key;
                place = value;
                place.key = key;
              },
              id);
        }
        if (node.is_container()) {
          Value child = value;
          if (node.kind == NodeKind::kMapping) child.key = random() % 2 == 0 ? "new" : "new: #key";
          check(
              id, "append", type.append_child(document_, id, child, {}),
              [&](Value& tree) { at(tree, id).children.push_back(child); }, kNoNode);
        }
      }
      if (node.parent == kNoNode) continue;
      check(
          id, "remove", type.remove_child(document_, id),
          [&](Value& tree) {
            auto& siblings = at(tree, node.parent).children;
            siblings.erase(siblings.begin() + (&at(tree, id) - siblings.data()));
          },
          id);
    }
  }

 private:
  static Value pick_value(std::mt19937& random) {
    static const std::vector<Value> kValues = [] {
      std::vector<Value> values = {number("7"),
                                   floating("7"),
                                   boolean(false),
                                   null(),
                                   string("word"),
                                   string(""),
                                   string("5"),
                                   string("a: b # c"),
                                   string("one\ntwo"),
                                   string("one\n"),
                                   string("one\n\n"),
                                   string("  lead\nx\n"),
                                   Value::mapping(),
                                   Value::sequence(),
                                   item(),
                                   list()};
      Value deep = Value::mapping();
      deep.add("l", list()).add(item());
      deep.add("e", Value::sequence());
      values.push_back(deep);
      Value last = Value::sequence();
      last.add(string("x"));
      last.add(string("kept\n\n"));
      values.push_back(last);
      return values;
    }();
    return kValues[random() % kValues.size()];
  }

  size_t branch_of(NodeId id) const {
    size_t branch = 0;
    while (branch + 1 < document_.branches.size() && document_.branches[branch + 1].root <= id) ++branch;
    return branch;
  }

  // The place of a node in the tree of its branch: by the positions on the way there. Aliases are not entered.
  Value& at(Value& tree, NodeId id) const {
    std::vector<size_t> positions;
    for (NodeId up = id; document_.node(up).parent != kNoNode; up = document_.node(up).parent) {
      size_t position = 0;
      for (NodeId other = document_.node(up).parent + 1; other < up; other = document_.node(other).next) ++position;
      positions.push_back(position);
    }
    Value* value = &tree;
    for (size_t i = positions.size(); i-- > 0;) value = &value->children[positions[i]];
    return *value;
  }

  // The texts of all comments, and of scalars and keys as they are written, of a document less one subtree.
  static std::vector<std::string> pieces(const Document& document, NodeId without, bool own_line_comments) {
    std::vector<std::string> all;
    for (NodeId id = 0; id < document.nodes.size(); ++id) {
      if (id == without) {
        id = document.node(id).next - 1;
        continue;
      }
      const Node& node = document.node(id);
      if (node.kind == NodeKind::kComment) {
        const size_t line = document.text.substr(0, node.span.begin).find_last_of("\r\n");
        const size_t start = line == std::string_view::npos ? 0 : line + 1;
        const bool own_line =
            document.text.substr(start, node.span.begin - start).find_first_not_of(" \t") == std::string_view::npos;
        if (own_line || !own_line_comments) all.emplace_back(document.slice(node.span));
      } else {
        if (node.key_span.size() > 0) all.emplace_back(document.slice(node.key_span));
        if (!node.is_container()) all.emplace_back(document.slice(node.span));
      }
    }
    std::ranges::sort(all);
    return all;
  }

  // True if aliases lead into or out of the subtree: what the tree becomes is then for core to say.
  bool has_aliases(NodeId id) const {
    for (NodeId other = 0; other < document_.nodes.size(); ++other) {
      const Node& node = document_.node(other);
      if (node.kind == NodeKind::kAlias || node.has(kFlagAliasKey) || node.style == NodeStyle::kRaw) return true;
      if (other >= id && other < document_.node(id).next && node.has(kFlagAnchored)) return true;
    }
    return false;
  }

  template <class Change>
  void check(NodeId id, std::string_view what, const Result<EditList>& edits, const Change& change, NodeId gone) {
    if (has_aliases(id)) return;
    SCOPED_TRACE(testing::Message() << what << " node " << id << " of\n" << text_ << "<end>");
    if (!edits) {
      EXPECT_EQ(edits.error().code, ErrorCode::kUnsupported) << to_string(edits.error());
      ++refused;
      return;
    }
    ++made;
    const auto result = edits->apply(text_);
    ASSERT_TRUE(result.has_value()) << to_string(result.error());
    SCOPED_TRACE(testing::Message() << "result\n" << result->expose_text() << "<end>");
    const auto after = scan(result->expose_text(), ScanMode::kEncrypted);
    ASSERT_TRUE(after.has_value()) << to_string(after.error());
    ASSERT_EQ(after->branches.size(), document_.branches.size());
    for (size_t i = 0; i < document_.branches.size(); ++i) {
      Value expected = *to_value(document_, document_.branches[i].root);
      if (i == branch_of(id)) change(expected);
      ASSERT_TRUE(same_tree(*to_value(*after, after->branches[i].root), expected, Comments::kIgnore)) << "branch " << i;
    }
    // What was not touched has its bytes, and no comment on a line of its own is lost.
    std::vector<std::string> left = pieces(document_, gone, true);
    const std::vector<std::string> found = pieces(*after, kNoNode, false);
    if (gone != kNoNode && what == "replace" && document_.node(gone).key_span.size() > 0) {
      left.emplace_back(document_.slice(document_.node(gone).key_span));
      std::ranges::sort(left);
    }
    std::vector<std::string> lost;
    std::ranges::set_difference(left, found, std::back_inserter(lost));
    // The header of a literal at the end of the text may have got a `-`.
    std::erase_if(lost, [](const std::string& piece) { return piece.find_first_of("|>") != std::string::npos; });
    ASSERT_TRUE(lost.empty()) << "lost: " << lost.front();
  }

  std::string_view text_;
  const Document& document_;
};

TEST(YamlChange, WorksOnGoldenFilesAndTheSuite) {
  std::mt19937 random(1);
  size_t texts = 0, made = 0, refused = 0;
  auto inputs = golden_inputs();
  for (auto& input : suite_inputs()) inputs.push_back(std::move(input));
  for (const auto& [name, text] : inputs) {
    for (const bool crlf : {false, true}) {
      std::string variant;
      for (const char c : text) variant += crlf && c == '\n' ? "\r\n" : std::string(1, c);
      const auto document = scan(variant, ScanMode::kPlain);
      if (!document) continue;
      ++texts;
      EveryChange every(variant, *document);
      every.run(random, 60);
      made += every.made;
      refused += every.refused;
      ASSERT_FALSE(testing::Test::HasFailure()) << name;
    }
  }
  std::cout << texts << " texts, " << made << " changes, " << refused << " refused\n";
  EXPECT_GT(made, 1000u);
  EXPECT_LT(refused, made / 50);
}

TEST(YamlChange, ChangesWhatItShouldAndNothingElse) {
  size_t texts = 0, made = 0, refused = 0;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    const std::string text = RandomYaml(seed).document();
    const auto document = scan(text, ScanMode::kPlain);
    if (!document) continue;
    ++texts;
    std::mt19937 random(seed);
    EveryChange every(text, *document);
    every.run(random, 8);
    made += every.made;
    refused += every.refused;
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
  }
  std::cout << texts << " texts, " << made << " changes, " << refused << " refused\n";
  EXPECT_GT(texts, 2000u);
  EXPECT_LT(refused, made / 50);
}

}  // namespace
}  // namespace sops::yaml
