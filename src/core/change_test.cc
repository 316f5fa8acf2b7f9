// SPDX-License-Identifier: MPL-2.0
//
// What a path and a value make of a plain text: the table of cli.md 5.3, aliases (editing.md 1.2), and errors.
#include "core/change.h"

#include <gtest/gtest.h>

namespace sops {
namespace {

Value number(std::string_view text) { return Value::scalar(ScalarType::kInt, text); }

// The text, then warnings, or the error.
std::string shown(const Result<ChangedText>& changed) {
  if (!changed) return "error: " + changed.error().message;
  std::string text(changed->text.expose_text());
  for (const std::string& warning : changed->warnings) text += "warning: " + warning + "\n";
  return text;
}

std::string set(std::string_view text, std::string_view path, const Value& value, std::string_view format = "yaml") {
  return shown(set_value(*find_format(format), text, *parse_tree_path(path), value, {}));
}

std::string unset(std::string_view text, std::string_view path, std::string_view format = "yaml") {
  return shown(unset_value(*find_format(format), text, *parse_tree_path(path), {}));
}

constexpr std::string_view kText = "a: 1\nb:\n    - x\n    # c\n    - z: 1\n";

TEST(SetValue, ReplacesDescendsAndAppends) {
  EXPECT_EQ(set(kText, R"(["a"])", number("2")), "a: 2\nb:\n    - x\n    # c\n    - z: 1\n");
  EXPECT_EQ(set(kText, R"(["b"][0])", number("2")), "a: 1\nb:\n    - 2\n    # c\n    - z: 1\n");
  EXPECT_EQ(set(kText, R"(["b"][2]["z"])", number("2")), "a: 1\nb:\n    - x\n    # c\n    - z: 2\n");
  EXPECT_EQ(set(kText, R"(["b"][2]["w"])", number("2")), "a: 1\nb:\n    - x\n    # c\n    - z: 1\n      w: 2\n");
  EXPECT_EQ(set(kText, R"(["d"])", number("2")), std::string(kText) + "d: 2\n");
}

TEST(SetValue, BuildsFromTheRestOfThePath) {
  EXPECT_EQ(set(kText, R"(["d"]["e"][7]["f"])", number("2")), std::string(kText) + "d:\n    e:\n        - f: 2\n");
  EXPECT_EQ(set(kText, R"(["b"][99])", number("2")), std::string(kText) + "    - 2\n");
  EXPECT_EQ(set(kText, R"(["b"][99][0])", number("2")), std::string(kText) + "    - - 2\n");
  EXPECT_EQ(set(kText, R"(["a"]["e"])", number("2")), "a:\n    e: 2\nb:\n    - x\n    # c\n    - z: 1\n");
  EXPECT_EQ(set(kText, R"(["a"][5])", number("2")), "a:\n    - 2\nb:\n    - x\n    # c\n    - z: 1\n");
  EXPECT_EQ(set("{\"a\": null}", R"(["a"]["b"])", number("2"), "json"), "{\"a\": {\"b\": 2}}");
}

TEST(SetValue, RefusesWhatMeansNothing) {
  EXPECT_EQ(set(kText, "", number("2")), "error: the path is empty: it must name a value");
  EXPECT_EQ(set(kText, "[0]", number("2")), "error: [0]: a list position, but the value above it is a mapping");
  EXPECT_EQ(set(kText, R"(["b"]["k"])", number("2")), "error: [\"b\"][\"k\"]: a key, but the value above it is a list");
  EXPECT_EQ(set(kText, R"(["b"][-1])", number("2")), "error: [\"b\"][-1]: out of bounds: positions count from 0");
  EXPECT_EQ(set(kText, R"(["b"][1])", number("2")), "error: [\"b\"][1]: the place of a comment, which is no value");
  EXPECT_EQ(set(kText, R"(["sops"])", number("2")), "error: the top-level entry 'sops' is reserved for the metadata");
  EXPECT_EQ(set("{}", R"(["a"])", Value::scalar(ScalarType::kFloat, "+Inf"), "json"),
            "error: JSON has no way to write the float +Inf");
  Value twice = Value::mapping();
  twice.add("k", number("1"));
  twice.add("k", number("2"));
  EXPECT_EQ(set(kText, R"(["a"])", twice), "error: the text cannot be changed there without changing something else");
  EXPECT_EQ(set("{\"a\": 1}", R"(["a"])", twice, "json"), "{\"a\": {\"k\": 1, \"k\": 2}}");
}

TEST(SetValue, ChangesTheFirstDocumentOnly) {
  EXPECT_EQ(set("a: 1\n---\na: 1\n", R"(["a"])", number("2")), "a: 2\n---\na: 1\n");
  EXPECT_EQ(set("a: 1\n---\na: 1\n", R"(["b"])", number("2")), "a: 1\nb: 2\n---\na: 1\n");
  // The comment counts to the first document in SOPS (yaml.md 1.3), but stands in the second.
  EXPECT_EQ(set("a: 1\n---\n# c\n\na: 1\n", R"(["b"])", number("2")), "a: 1\nb: 2\n---\n# c\n\na: 1\n");
}

TEST(SetValue, SpellsWholeFloatsAsSopsAndNotesThem) {
  Value value = Value::sequence();
  for (std::string_view text : {"5", "1.5", "-0", "1000000"}) value.add(Value::scalar(ScalarType::kFloat, text));
  const auto yaml = set_value(*find_format("yaml"), "a: 5.0\nb: 1\n", *parse_tree_path(R"(["b"])"), value, {});
  EXPECT_EQ(shown(yaml), "a: 5.0\nb:\n    - 5\n    - 1.5\n    - -0.0\n    - 1e+06\n");
  EXPECT_EQ(yaml->whole_floats, std::vector<size_t>{16});
  const auto json = set_value(*find_format("json"), R"({"b": 1})", *parse_tree_path(R"(["b"])"), value, {});
  EXPECT_EQ(shown(json), R"({"b": [5, 1.5, -0.0, 1000000]})");
  EXPECT_EQ(json->whole_floats, (std::vector<size_t>{7, 21}));
}

TEST(SetValue, ExpandsTheAliasOnThePath) {
  EXPECT_EQ(set("a: &x {k: 1}\nb: *x\n", R"(["b"]["k"])", number("2")), "a: &x {k: 1}\nb: {k: 2}\n");
  EXPECT_EQ(set("a: &x 1\nb: *x\n", R"(["b"])", number("2")), "a: &x 1\nb: 2\n");
  EXPECT_EQ(set("a: &x\n  k: 1\nb:\n  <<: *x\n", R"(["b"]["k"])", number("2")),
            "a: &x\n  k: 1\nb:\n  <<: *x\n  k: 2\n");
}

TEST(SetValue, LeavesCopiesOfAnAnchorAsTheyWere) {
  EXPECT_EQ(
      set("a: &x\n  k: 1\nb: *x\n", R"(["a"]["k"])", number("2")),
      "a: &x\n  k: 2\nb: {k: 1}\nwarning: *x: written out with the old content, because only [\"a\"][\"k\"] changes\n");
  EXPECT_EQ(set("a: &x 1\nb: *x\n---\nc: *x\n", R"(["a"])", number("2")),
            "a: &x 2\nb: 1\n---\nc: 1\nwarning: *x: written out with the old content, because only [\"a\"] changes\n");
  EXPECT_EQ(set("a: &x {k: &y 1, l: *y}\nb: *y\n", R"(["a"])", number("2")),
            "a: &x 2\nb: 1\nwarning: *y: written out with the old content, because only [\"a\"] changes\n");
}

TEST(UnsetValue, RemovesEntriesAndItems) {
  EXPECT_EQ(unset(kText, R"(["a"])"), "b:\n    - x\n    # c\n    - z: 1\n");
  EXPECT_EQ(unset(kText, R"(["b"][0])"), "a: 1\nb:\n    # c\n    - z: 1\n");
  EXPECT_EQ(unset(kText, R"(["b"][2]["z"])"), "a: 1\nb:\n    - x\n    # c\n    - {}\n");
  EXPECT_EQ(unset("{\"a\": 1}\n", R"(["a"])", "json"), "{}\n");
}

TEST(UnsetValue, SaysWhatIsNotThere) {
  for (std::string_view path : {R"(["q"])", R"(["q"]["r"])", R"(["b"][3])", R"(["b"][2]["q"])"}) {
    const auto changed = unset_value(*find_format("yaml"), kText, *parse_tree_path(path), {});
    ASSERT_FALSE(changed.has_value()) << path;
    EXPECT_EQ(changed.error().code, ErrorCode::kNotFound) << path;
  }
  for (std::string_view path : {R"(["a"]["r"])", R"(["b"]["k"])", R"(["b"][-1])", R"(["b"][1])", "", "[0]"}) {
    const auto changed = unset_value(*find_format("yaml"), kText, *parse_tree_path(path), {});
    ASSERT_FALSE(changed.has_value()) << path;
    EXPECT_EQ(changed.error().code, ErrorCode::kUsage) << path;
    EXPECT_EQ(changed.error().exit_status, ExitStatus::kGeneric) << path;
  }
}

TEST(UnsetValue, WritesOutTheCopiesOfWhatGoes) {
  EXPECT_EQ(unset("a: &x [1]\nb: *x\n", R"(["a"])"),
            "b: [1]\nwarning: *x: written out with the old content, because only [\"a\"] changes\n");
  EXPECT_EQ(unset("&k a: 1\nb: *k\n", R"(["a"])"),
            "b: a\nwarning: *k: written out with the old content, because only [\"a\"] changes\n");
  EXPECT_EQ(unset("a: &x 1\nb: *x\n", R"(["b"])"), "a: &x 1\n");
}

TEST(SetValue, OfABinaryFileIsTheWholeFile) {
  EXPECT_EQ(set("old", R"(["data"])", Value::string("new"), "binary"), "new");
  EXPECT_EQ(set("old", R"(["other"])", Value::string("new"), "binary"),
            "error: a binary file has one value, the string [\"data\"], which is the whole file");
  EXPECT_EQ(unset("old", R"(["data"])", "binary"),
            "error: a binary file has one value, the string [\"data\"], which is the whole file");
}

}  // namespace
}  // namespace sops
