// SPDX-License-Identifier: MPL-2.0
#include "cli/example.h"

namespace sops {

namespace {

constexpr std::string_view kGreeting = "Replace this text. What you save here is stored encrypted.";
constexpr std::string_view kComment = " An example of a comment";

void add_common(Value& mapping) {
  mapping.add("hello", Value::string(kGreeting));
  mapping.add("example_key", Value::string("example_value"));
}

Value booleans() {
  Value list = Value::sequence();
  list.add(Value::scalar(ScalarType::kBool, "True"));
  list.add(Value::scalar(ScalarType::kBool, "False"));
  return list;
}

}  // namespace

Value example_tree(const FormatType& format) {
  Value tree = Value::mapping();
  if (format.id == "binary") {
    tree.add("data", Value::string(kGreeting));
    return tree;
  }
  if (format.id == "ini") {
    Value& section = tree.add("Welcome!", Value::mapping());
    section.add(Value::comment(kComment));
    add_common(section);
    return tree;
  }
  if (format.id == "dotenv") {
    tree.add(Value::comment(kComment));
    add_common(tree);
    tree.add("example_multiline", Value::string("foo\nbar\nbaz"));
    return tree;
  }
  add_common(tree);
  tree.add(Value::comment(kComment));  // formats without comments drop it
  Value& list = tree.add("example_array", Value::sequence());
  list.add(Value::string("example_value1"));
  list.add(Value::string("example_value2"));
  tree.add("example_number", Value::scalar(ScalarType::kFloat, "1234.56789"));
  tree.add("example_booleans", booleans());
  return tree;
}

}  // namespace sops
