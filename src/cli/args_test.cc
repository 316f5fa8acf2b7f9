// SPDX-License-Identifier: MPL-2.0
#include "cli/args.h"

#include <gtest/gtest.h>

#include "cli/help.h"

namespace sops {
namespace {

class MapEnvironment final : public Environment {
 public:
  std::optional<std::string> get(const std::string& name) override {
    const auto it = variables.find(name);
    return it == variables.end() ? std::nullopt : std::optional(it->second);
  }
  std::string working_directory() override { return "/"; }
  uint32_t user_id() override { return 0; }
  std::string home_folder() override { return "/"; }
  std::string host_name() override { return {}; }
  std::map<std::string, std::string> variables;
};

const std::vector<FlagSpec> kFlags = {
    {.name = "in-place", .short_name = "i"},
    {.name = "age", .short_name = "a", .kind = FlagKind::kString, .value_name = "R", .environment = "AGE"},
    {.name = "indent", .kind = FlagKind::kInt, .value_name = "N"},
    {.name = "file", .kind = FlagKind::kList, .value_name = "F"},
    {.name = "local", .environment = "LOCAL"},
};

std::string parse(std::vector<std::string> words, std::map<std::string, std::string> variables = {}) {
  MapEnvironment environment;
  environment.variables = std::move(variables);
  const auto args = parse_args(words, kFlags, environment);
  if (!args) return args.error().message + (args.error().hint.empty() ? "" : " / " + args.error().hint);
  std::string text;
  for (const FlagSpec& flag : kFlags) {
    if (args->is_set(flag.name)) text += flag.name + "=" + args->text(flag.name) + " ";
  }
  for (const std::string& word : args->positionals) text += "<" + word + ">";
  return text;
}

// cli.md 1.3 and editing.md 3.5.
TEST(ParseArgs, TakesKnownFlagsAnywhere) {
  EXPECT_EQ(parse({"f", "-i"}), "in-place=true <f>");
  EXPECT_EQ(parse({"-i", "f", "--age", "x"}), "in-place=true age=x <f>");  // SOPS swallows f and ignores --age
  EXPECT_EQ(parse({"-age=x", "f"}), "age=x <f>");
  EXPECT_EQ(parse({"--in-place=false", "f"}), "in-place=false <f>");
  EXPECT_EQ(parse({"--age", "-x"}), "age=-x ");
  EXPECT_EQ(parse({"--age", "x", "--age", "y"}), "age=y ");
  EXPECT_EQ(parse({"--indent", "0x10", "--", "-i", "--"}), "indent=0x10 <-i><-->");
  EXPECT_EQ(parse({"-", "-5", "-.5"}), "<-><-5><-.5>");
}

TEST(ParseArgs, SaysWhatIsWrong) {
  EXPECT_EQ(parse({"--in-plaec"}), "unknown flag '--in-plaec' / did you mean --in-place?");
  EXPECT_EQ(parse({"-ia"}), "unknown flag '-ia' / write -i -a");
  EXPECT_EQ(parse({"f", "--age"}), "the flag --age needs a value / write --age R");
  EXPECT_EQ(parse({"--in-place=maybe"}), "--in-place is 'maybe', which is neither true nor false");
  EXPECT_EQ(parse({"--indent", "two"}), "--indent is 'two', which is no whole number");
  EXPECT_EQ(parse({"-a", "x", "--age", "y"}), "the flag --age is given in two spellings");
}

TEST(ParseArgs, TakesDefaultsFromTheEnvironment) {
  EXPECT_EQ(parse({}, {{"AGE", "x"}}), "age=x ");
  EXPECT_EQ(parse({"--age", "y"}, {{"AGE", "x"}}), "age=y ");
  EXPECT_EQ(parse({}, {{"AGE", ""}}), "");
  EXPECT_EQ(parse({}, {{"LOCAL", ""}}), "local=false ");
  EXPECT_EQ(parse({}, {{"LOCAL", "maybe"}}), "$LOCAL is 'maybe', which is neither true nor false");
}

TEST(FirstPositional, SkipsFlagsAndTheirValues) {
  const std::vector<std::string> words = {"-i", "--age", "x", "encrypt", "f"};
  EXPECT_EQ(first_positional(words, kFlags), 3u);
}

// architecture.md 4: scripts read the first two words.
TEST(Help, VersionBeginsAsSops) { EXPECT_TRUE(version_text().starts_with("sops 3.13.3 ")); }

}  // namespace
}  // namespace sops
