// SPDX-License-Identifier: MPL-2.0
//
// Values as environment variables. What SOPS writes was taken from `sops exec-env --pristine FILE env` of 3.13.3.
#include "cli/exec_values.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sops {
namespace {

std::string text_of(ScalarType type, std::string_view canonical) {
  SecureArena arena;
  return std::string(variable_text(Value::scalar(type, canonical), arena));
}

std::vector<std::string> texts_of(const Variables& variables) {
  return {variables.texts().begin(), variables.texts().end()};
}

std::string message_of(const Value& tree, std::optional<std::string_view> separator) {
  Variables variables;
  const auto result = variables.add_tree(tree, separator);
  return result ? "" : to_string(result.error());
}

TEST(ExecValues, AreSpelledAsSopsDoes) {
  EXPECT_EQ(text_of(ScalarType::kString, "a\nb\n"), "a\nb\n");
  EXPECT_EQ(text_of(ScalarType::kBool, "True"), "true");
  EXPECT_EQ(text_of(ScalarType::kBool, "False"), "false");
  EXPECT_EQ(text_of(ScalarType::kInt, "-7"), "-7");
  EXPECT_EQ(text_of(ScalarType::kNull, ""), "<nil>");
  EXPECT_EQ(text_of(ScalarType::kTime, "2020-01-02T03:04:05Z"), "2020-01-02T03:04:05Z");
  EXPECT_EQ(text_of(ScalarType::kTime, "2020-01-02T03:04:05.123+02:00"), "2020-01-02T03:04:05+02:00");
}

TEST(ExecValues, SpellFloatsAsSopsDoes) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"5", "5.0"},
      {"1.5", "1.5"},
      {"1000000000000000000000", "1E+21"},
      {"0.0000001", "1E-07"},
      {"0.000001", "1E-06"},
      {"123456789012345680", "1.2345678901234568E+17"},
      {"-0", "-0.0"},
      {"0", "0.0"},
      {"+Inf", "+Inf"},
      {"-Inf", "-Inf"},
      {"NaN", "NaN"},
      {"1234567.5", "1.2345675E+06"},
      {"0.1", "0.1"},
      {"100000", "100000.0"},
      {"999999.5", "999999.5"},
      {"1000000", "1E+06"},
      {"0.00001", "1E-05"},
      {"0.0001", "0.0001"},
      {"0.001", "0.001"},
      {"-0.00000000025", "-2.5E-10"},
  };
  for (const auto& [canonical, expected] : cases)
    EXPECT_EQ(text_of(ScalarType::kFloat, canonical), expected) << canonical;
}

TEST(ExecValues, OfAFlatFileKeepTheirOrderAndSkipComments) {
  Value tree = Value::mapping();
  tree.add(Value::comment("about b"));
  tree.add("b", Value::string("1"));
  tree.add("a-b c", Value::string(""));
  tree.add("b", Value::string("2"));  // JSON permits it; the last of a name wins in an environment
  Variables variables;
  ASSERT_TRUE(variables.add_tree(tree, std::nullopt));
  EXPECT_EQ(texts_of(variables), (std::vector<std::string>{"b=1", "a-b c=", "b=2"}));
}

TEST(ExecValues, FlattenNamesByPathAndNumbersListsWithoutComments) {
  Value tree = Value::mapping();
  Value& db = tree.add("db", Value::mapping());
  db.add("user", Value::string("u"));
  Value& hosts = db.add("hosts", Value::sequence());
  hosts.add(Value::comment("first"));
  hosts.add(Value::string("x"));
  hosts.add(Value::sequence()).add(Value::string("y"));
  tree.add("empty", Value::mapping());
  tree.add("top", Value::scalar(ScalarType::kBool, "True"));
  Variables variables;
  ASSERT_TRUE(variables.add_tree(tree, "__"));
  EXPECT_EQ(texts_of(variables),
            (std::vector<std::string>{"db__user=u", "db__hosts__0=x", "db__hosts__1__0=y", "top=true"}));
  Variables joined;
  ASSERT_TRUE(joined.add_tree(tree, ""));
  EXPECT_EQ(texts_of(joined).front(), "dbuser=u");
}

TEST(ExecValues, ThatNoEnvironmentCanHoldAreRefusedByKeyNotByValue) {
  Value nested = Value::mapping();
  nested.add("db", Value::mapping()).add("user", Value::string("s3cret"));
  EXPECT_NE(message_of(nested, std::nullopt).find("'db' is a mapping"), std::string::npos);

  Value list = Value::mapping();
  list.add("l", Value::sequence()).add(Value::string("s3cret"));
  EXPECT_NE(message_of(list, std::nullopt).find("'l' is a list"), std::string::npos);

  Value nul = Value::mapping();
  nul.add("k", Value::string(std::string_view("s3\0cret", 7)));
  EXPECT_NE(message_of(nul, std::nullopt).find("'k' holds a NUL"), std::string::npos);
  EXPECT_EQ(message_of(nul, std::nullopt).find("s3"), std::string::npos);

  for (const std::string_view name : {std::string_view("a=b"), std::string_view("a\0b", 3)}) {
    Value odd = Value::mapping();
    odd.add(name, Value::string("s3cret"));
    EXPECT_NE(message_of(odd, std::nullopt).find("cannot name an environment variable"), std::string::npos);
  }

  Value collision = Value::mapping();  // editing.md 4.2
  collision.add("a_b", Value::string("1"));
  collision.add("a", Value::mapping()).add("b", Value::string("2"));
  EXPECT_NE(message_of(collision, "_").find("two values would get the name 'a_b'"), std::string::npos);
  EXPECT_EQ(message_of(collision, "."), "");
}

TEST(ExecValues, NestedDeeplyDoNotUseTheStack) {
  Value tree = Value::string("x");
  for (size_t depth = 0; depth < 5000; ++depth) {
    Value outer = Value::mapping();
    outer.add("k", std::move(tree));
    tree = std::move(outer);
  }
  Variables variables;
  ASSERT_TRUE(variables.add_tree(tree, "_"));
  ASSERT_EQ(variables.texts().size(), 1u);
  EXPECT_EQ(variables.texts()[0].size(), 5000u + 4999u + 2u);
}

TEST(ExecValues, LargerThanAnyEnvironmentAreRefused) {
  const std::string large(1 << 20, 'x');
  Value tree = Value::mapping();
  for (int i = 0; i < 10; ++i) tree.add("k", Value::string(large));
  EXPECT_NE(message_of(tree, std::nullopt).find("larger than an environment"), std::string::npos);
}

}  // namespace
}  // namespace sops
