// SPDX-License-Identifier: MPL-2.0
//
// Tests of changes to JSON texts. What is right for the tree is checked with the scanner; what is right for the text is
// literal: the author's white space goes on (editing.md 1.1).
#include <gtest/gtest.h>

#include "formats/json/json.h"
#include "tests/support/random_documents.h"
#include "tree/edit.h"

namespace sops {
namespace {

// A scanned text, its tree, and what a change makes of it.
class Text {
 public:
  explicit Text(std::string text, EmitStyle style = {}) : text_(std::move(text)), style_(style) {
    auto document = json::type.scan(text_, ScanMode::kEncrypted);
    EXPECT_TRUE(document.has_value()) << text_ << "\n" << (document ? "" : to_string(document.error()));
    if (document) document_ = std::move(*document);
  }

  // The node at a path of keys and list positions ("a/0/b"); the first of equal keys.
  NodeId at(std::string_view path) const {
    NodeId id = 0;
    for (const std::string_view piece : split(path, '/')) {
      if (piece.empty()) continue;
      NodeId found = kNoNode;
      size_t index = 0;
      for (NodeId child = id + 1; child < document_.node(id).next; child = document_.node(child).next, ++index) {
        const bool is_it = document_.node(id).kind == NodeKind::kMapping ? document_.node(child).key == piece
                                                                         : std::to_string(index) == piece;
        if (is_it && found == kNoNode) found = child;
      }
      EXPECT_NE(found, kNoNode) << path;
      if (found == kNoNode) return 0;
      id = found;
    }
    return id;
  }

  std::string replace(std::string_view path, const Value& value) const {
    return applied(json::type.replace_node(document_, at(path), value, style_));
  }
  std::string append(std::string_view path, Value child, std::string_view key = "") const {
    child.key = key;
    return applied(json::type.append_child(document_, at(path), child, style_));
  }
  std::string remove(std::string_view path) const { return applied(json::type.remove_child(document_, at(path))); }

  const Document& document() const { return document_; }

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

Value item() {
  Value value = Value::mapping();
  value.add("recipient", Value::string("age1x"));
  value.add("enc", Value::string("A\nB\n"));
  return value;
}

TEST(JsonReplaceNode, WritesAScalarInThePlaceOfAScalar) {
  const Text text("{\"a\" :  1.10 ,\n\t\"b\":[ true,null ]}");
  EXPECT_EQ(text.replace("a", Value::string("x\"y")), "{\"a\" :  \"x\\\"y\" ,\n\t\"b\":[ true,null ]}");
  EXPECT_EQ(text.replace("b/1", Value::scalar(ScalarType::kBool, "False")),
            "{\"a\" :  1.10 ,\n\t\"b\":[ true,false ]}");
  EXPECT_EQ(text.replace("b", Value::scalar(ScalarType::kNull, "")), "{\"a\" :  1.10 ,\n\t\"b\":null}");
}

TEST(JsonReplaceNode, LaysOutAContainerAsTheOneItReplaces) {
  EXPECT_EQ(Text("{\n  \"a\": {\"x\": 1},\n  \"b\": 2\n}\n").replace("a", item()),
            "{\n  \"a\": {\"recipient\": \"age1x\", \"enc\": \"A\\nB\\n\"},\n  \"b\": 2\n}\n");
  EXPECT_EQ(Text("{\n  \"a\": {\n    \"x\": 1\n  }\n}\n").replace("a", item()),
            "{\n  \"a\": {\n    \"recipient\": \"age1x\",\n    \"enc\": \"A\\nB\\n\"\n  }\n}\n");
}

TEST(JsonReplaceNode, LaysOutAContainerAsItsSiblings) {
  Value list = Value::sequence();
  list.add(number("1"));
  list.add(number("2"));
  EXPECT_EQ(Text("{\n  \"a\": 0,\n  \"b\": [3,4]\n}").replace("a", list), "{\n  \"a\": [1,2],\n  \"b\": [3,4]\n}");
  EXPECT_EQ(Text("{\n  \"a\": 0,\n  \"b\": [\n    3\n  ]\n}").replace("a", list),
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": [\n    3\n  ]\n}");
  EXPECT_EQ(Text("{\"a\":0}").replace("a", list), "{\"a\":[1,2]}");
}

TEST(JsonReplaceNode, ChangesTheFirstOfEqualKeys) {
  EXPECT_EQ(Text(R"({"a": 1, "a": 2})").replace("a", number("3")), R"({"a": 3, "a": 2})");
}

TEST(JsonReplaceNode, RefusesWhatJsonCannotHold) {
  EXPECT_EQ(Text("{\"a\":0}").replace("a", Value::scalar(ScalarType::kFloat, "+Inf")),
            "error: JSON has no way to write the float +Inf");
  EXPECT_EQ(Text("{\"a\":0}").replace("", number("1")), "error: the top level of a JSON file must be an object");
}

TEST(JsonAppendChild, ContinuesLines) {
  EXPECT_EQ(Text("{\r\n    \"a\": 1\r\n}").append("", number("2"), "b"), "{\r\n    \"a\": 1,\r\n    \"b\": 2\r\n}");
  EXPECT_EQ(Text("{\n\t\"a\" : [\n\t\t1\n\t]\n}\n").append("a", number("2")),
            "{\n\t\"a\" : [\n\t\t1,\n\t\t2\n\t]\n}\n");
  EXPECT_EQ(Text("{\n  \"a\": 1}").append("", item(), "b"),
            "{\n  \"a\": 1,\n  \"b\": {\n    \"recipient\": \"age1x\",\n    \"enc\": \"A\\nB\\n\"\n  }}");
}

TEST(JsonAppendChild, ContinuesOneLine) {
  EXPECT_EQ(Text(R"({"a":1,"b":2})").append("", number("3"), "c"), R"({"a":1,"b":2,"c":3})");
  EXPECT_EQ(Text(R"({"a":1})").append("", number("3"), "c"), R"({"a":1,"c":3})");
  EXPECT_EQ(Text(R"({ "a" : 1, "b" : 2 })").append("", number("3"), "c"), R"({ "a" : 1, "b" : 2, "c" : 3 })");
  EXPECT_EQ(Text(R"({"a": [1]})").append("a", item()), R"({"a": [1, {"recipient": "age1x", "enc": "A\nB\n"}]})");
}

TEST(JsonAppendChild, LaysOutAnItemAsTheItemsBefore) {
  EXPECT_EQ(Text("{\n  \"l\": [\n    {\"x\": 1}\n  ]\n}").append("l", item()),
            "{\n  \"l\": [\n    {\"x\": 1},\n    {\"recipient\": \"age1x\", \"enc\": \"A\\nB\\n\"}\n  ]\n}");
}

TEST(JsonAppendChild, FillsEmptyContainers) {
  EXPECT_EQ(Text("{}").append("", number("1"), "a"), "{\n\t\"a\": 1\n}");
  EXPECT_EQ(Text("{}\r\n", {.indent = 2}).append("", number("1"), "a"), "{\r\n  \"a\": 1\r\n}\r\n");
  EXPECT_EQ(Text("{\n  \"a\": {},\n  \"b\": {\n     }\n}").append("a", number("1"), "k"),
            "{\n  \"a\": {\n    \"k\": 1\n  },\n  \"b\": {\n     }\n}");
  EXPECT_EQ(Text("{\n  \"a\": {},\n  \"b\": {\n     }\n}").append("b", number("1"), "k"),
            "{\n  \"a\": {},\n  \"b\": {\n    \"k\": 1\n  }\n}");
  EXPECT_EQ(Text("{\"a\":[]}").append("a", number("1")), "{\"a\":[1]}");
  EXPECT_EQ(Text("{\n  \"a\": [ ]\n}").append("a", item()),
            "{\n  \"a\": [\n    {\n      \"recipient\": \"age1x\",\n      \"enc\": \"A\\nB\\n\"\n    }\n  ]\n}");
}

TEST(JsonRemoveChild, TakesOneComma) {
  EXPECT_EQ(Text("{\n  \"a\": 1 ,\n  \"b\": 2,\n  \"c\": 3\n}\n").remove("a"), "{\n  \"b\": 2,\n  \"c\": 3\n}\n");
  EXPECT_EQ(Text("{\n  \"a\": 1 ,\n  \"b\": 2,\n  \"c\": 3\n}\n").remove("b"), "{\n  \"a\": 1,\n  \"c\": 3\n}\n");
  EXPECT_EQ(Text("{\n  \"a\": 1 ,\n  \"b\": 2,\n  \"c\": 3\n}\n").remove("c"), "{\n  \"a\": 1 ,\n  \"b\": 2\n}\n");
  EXPECT_EQ(Text("{ \"a\": [ 1, 2 ] }").remove("a/0"), "{ \"a\": [ 2 ] }");
}

TEST(JsonRemoveChild, LeavesAnEmptyContainer) {
  EXPECT_EQ(Text("{\n  \"a\": [\n    1\n  ]\n}\n").remove("a/0"), "{\n  \"a\": []\n}\n");
  EXPECT_EQ(Text("{\n  \"a\": [\n    1\n  ]\n}\n").remove("a"), "{}\n");
}

TEST(JsonRemoveChild, TakesTheFirstOfEqualKeys) { EXPECT_EQ(Text(R"({"a": 1, "a": 2})").remove("a"), R"({"a": 2})"); }

// --- random texts

// The nodes of a tree in pre-order, as pointers into it.
std::vector<Value*> flatten(Value& root) {
  std::vector<Value*> all;
  std::vector<Value*> open = {&root};
  while (!open.empty()) {
    Value* value = open.back();
    open.pop_back();
    all.push_back(value);
    for (auto child = value->children.rbegin(); child != value->children.rend(); ++child) open.push_back(&*child);
  }
  return all;
}

TEST(JsonChange, ChangesWhatItShouldAndNothingElse) {
  for (unsigned seed = 0; seed < 20000; ++seed) {
    RandomJson generator(seed);
    const std::string text = generator.document();
    const Text before(text);
    const Document& document = before.document();
    ASSERT_FALSE(document.nodes.empty());
    Value expected = *to_value(document, 0);
    const NodeId id = static_cast<NodeId>(generator.pick(document.nodes.size()));
    const Node& node = document.node(id);
    Value* const place = flatten(expected)[id];
    const std::string value_text = generator.value();
    const auto storage = json::scan_value(value_text);
    ASSERT_TRUE(storage.has_value()) << value_text;
    Value value = *to_value(*storage, 0);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", node " << id << "\n" << text << "\n" << value_text);

    Result<EditList> edits = EditList();
    Span allowed = node.span;
    const size_t operation = generator.pick(3);
    if (operation == 0) {
      if (id == 0 && value.kind != ValueKind::kMapping) continue;
      edits = json::type.replace_node(document, id, value, {});
      value.key = place->key;
      *place = value;
    } else if (operation == 1) {
      if (!node.is_container()) continue;
      value.key = node.kind == NodeKind::kMapping ? "new \"key\"" : "";
      edits = json::type.append_child(document, id, value, {});
      place->children.push_back(value);
      for (NodeId child = id + 1; child < node.next; child = document.node(child).next) {
        allowed.begin = document.node(child).span.end;
      }
    } else {
      if (id == 0) continue;
      edits = json::type.remove_child(document, id);
      auto& siblings = flatten(expected)[node.parent]->children;
      siblings.erase(siblings.begin() + (place - siblings.data()));
      allowed = {document.node(node.parent).span.begin + 1, document.node(node.parent).span.end - 1};
      for (NodeId child = node.parent + 1; child < id; child = document.node(child).next) {
        allowed.begin = document.node(child).span.end;
      }
      if (node.next < document.node(node.parent).next) {
        const Node& next = document.node(node.next);
        allowed.end = next.key_span.size() > 0 ? next.key_span.begin : next.span.begin;
      }
    }
    ASSERT_TRUE(edits.has_value()) << edits.error().message;
    for (const Edit& edit : edits->edits()) {
      ASSERT_GE(edit.span.begin, allowed.begin);
      ASSERT_LE(edit.span.end, allowed.end);
    }
    const auto result = edits->apply(text);
    ASSERT_TRUE(result.has_value());
    const auto after = json::type.scan(result->expose_text(), ScanMode::kPlain);
    ASSERT_TRUE(after.has_value()) << result->expose_text() << "\n" << to_string(after.error());
    ASSERT_TRUE(same_tree(*to_value(*after, 0), expected)) << result->expose_text();
  }
}

}  // namespace
}  // namespace sops
