// SPDX-License-Identifier: MPL-2.0
//
// Candidates and the quoting state of a typed line. What shells make of them: tests/integration/completion.py. Path
// syntax: cli.md 5.1; the rules of bash: its manual, "Quoting".
#include "cli/complete.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "tests/support/fake_services.h"

namespace sops {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

constexpr std::string_view kFile =
    "# comment\ndb:\n  users:\n    # one slot\n    - x\n    - name: y\n  pw: 1\nother: 2\nsops:\n  mac: z\n";

std::vector<std::string> words_of(const Candidates& found) {
  std::vector<std::string> words;
  for (const Candidate& word : found.words) words.push_back(word.text);
  return words;
}

std::vector<std::string> ask(std::vector<std::string> words) {
  FakeServices fake;
  fake.files.put("/w/f.yaml", kFile);
  fake.files.put("/w/data", kFile);
  fake.environment.folder = "/w";
  return words_of(complete(words, fake.services()));
}

bool offers_files(std::vector<std::string> words) {
  FakeServices fake;
  return complete(words, fake.services()).files;
}

TEST(Completion, OffersCommandsAndTheirChildren) {
  EXPECT_THAT(ask({"decr"}), ElementsAre("decrypt"));
  EXPECT_THAT(ask({"--verbose", "filest"}), ElementsAre("filestatus"));
  EXPECT_THAT(ask({"completion", ""}), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(ask({"config", ""}), ElementsAre("explain", "schema"));
  EXPECT_THAT(ask({"help", "config", "e"}), ElementsAre("explain"));
  EXPECT_THAT(ask({"-d", "decr"}), IsEmpty()) << "behind -d there is a file";
}

TEST(Completion, OffersFlagsThatAreNotGivenYet) {
  EXPECT_THAT(ask({"decrypt", "--ext"}), ElementsAre("--extract"));
  EXPECT_THAT(ask({"decrypt", "--extract", "x", "--ext"}), IsEmpty());
  EXPECT_THAT(ask({"decrypt", "-"}), Contains("-i"));
  EXPECT_THAT(ask({"decrypt", "--"}), Not(Contains("-i")));
  EXPECT_THAT(ask({"decrypt", "--", "--ext"}), IsEmpty()) << "behind -- there are no flags";
  EXPECT_THAT(ask({"decrypt", "--"}), Not(Contains("--disable-version-check")));
}

TEST(Completion, OffersValues) {
  EXPECT_THAT(ask({"decrypt", "--input-type", "y"}), ElementsAre("yaml"));
  EXPECT_THAT(ask({"decrypt", "--input-type=y"}), ElementsAre("--input-type=yaml"));
  EXPECT_TRUE(offers_files({"decrypt", "--output", ""}));
  EXPECT_TRUE(offers_files({"decrypt", "--output=x"}));
  EXPECT_TRUE(offers_files({"decrypt", ""}));
  EXPECT_TRUE(offers_files({"x"}));
  EXPECT_FALSE(offers_files({"decrypt", "--extract", ""}));
  EXPECT_FALSE(offers_files({"config", "schema", ""})) << "it takes no file";
}

TEST(Completion, OffersPathsInsideTheFileThatIsNamed) {
  EXPECT_THAT(ask({"decrypt", "f.yaml", "--extract", ""}), ElementsAre("[\"db\"]", "[\"other\"]"));
  EXPECT_THAT(ask({"-d", "--extract", "[\"o"}), IsEmpty()) << "no file yet";
  EXPECT_THAT(ask({"decrypt", "/w/f.yaml", "--extract=[\"o"}), ElementsAre("--extract=[\"other\"]"));
  EXPECT_THAT(ask({"decrypt", "--input-type", "yaml", "data", "--extract", "[\"o"}), ElementsAre("[\"other\"]"));
  EXPECT_THAT(ask({"decrypt", "data", "--extract", "[\"o"}), IsEmpty()) << "binary: there is nothing inside";
  EXPECT_THAT(ask({"decrypt", "missing.yaml", "--extract", ""}), IsEmpty());
}

TEST(Completion, TouchesNothingButTheFileThatIsNamed) {
  FakeServices fake;
  fake.files.put("/work/f.yaml", kFile);
  fake.files.put("/work/.sops.yaml", "{{{");
  EXPECT_EQ(complete(std::vector<std::string>{"decrypt", "f.yaml", "--extract", ""}, fake.services()).words.size(), 2U);
  EXPECT_THAT(fake.files.log, ElementsAre("info /work/f.yaml", "read /work/f.yaml"));  // editing.md 5.2
}

TEST(KeyPaths, LeadOneStepFurther) {
  const auto paths = [](std::string_view typed) { return complete_key_path(kFile, "yaml", typed); };
  EXPECT_THAT(paths("[\"d"), ElementsAre("[\"db\"]", "[\"db\"][\"users\"]", "[\"db\"][\"pw\"]"));
  EXPECT_THAT(paths("['db']['u"), ElementsAre("['db']['users']", "['db']['users'][1]", "['db']['users'][2]"));
  EXPECT_THAT(paths("[\"db\"][\"users\"]["), ElementsAre("[\"db\"][\"users\"][1]", "[\"db\"][\"users\"][2]"))
      << "comments take up list slots";
  EXPECT_THAT(paths("[\"db\"][\"users\"][2]["), ElementsAre("[\"db\"][\"users\"][2][\"name\"]"));
  for (std::string_view nowhere :
       {"db", "[\"other\"][", "[\"none\"][\"", "[\"sops\"", "[x][", "[9][", "[\"db\"][0][", "[\"[\"["}) {
    EXPECT_THAT(paths(nowhere), IsEmpty()) << nowhere;
  }
}

TEST(KeyPaths, LeaveOutNamesThatATerminalOrAPathCannotTake) {
  const std::string text =
      "{\"a\\nb\": 1, \"a\\u001b[1m\": 2, \"a\\u007f\": 3, \"a\\u202e\": 4, \"a[b\": 5, \"a$(b)\": 6, \"a\": 7, \"\": "
      "8}";
  EXPECT_THAT(complete_key_path(text, "json", ""), ElementsAre("[\"a$(b)\"]", "[\"a\"]", "[\"\"]"));
}

TEST(KeyPaths, ComeFromNothingThatCannotBeRead) {
  for (std::string_view text : {"", "a: [", "\xff\xfe", "- a\n- b\n", "a: &x [*x]\n"}) {
    EXPECT_THAT(complete_key_path(text, "yaml", ""), Not(Contains("[0]"))) << text;
    EXPECT_THAT(complete_key_path(text, "json", ""), IsEmpty()) << text;
  }
  const std::string deep(20000, '[');
  EXPECT_THAT(complete_key_path("{\"a\": " + deep, "json", ""), IsEmpty());
  EXPECT_THAT(complete_key_path(kFile, "binary", ""), IsEmpty());
  EXPECT_THAT(complete_key_path(kFile, "no such format", ""), IsEmpty());
}

std::string typed(std::string_view line, std::string_view replaced) {
  const TypedLine found = split_typed_line(line, line.size() - replaced.size());
  constexpr std::string_view kQuotes[] = {"none", "single", "double"};
  return "<" + join(found.words, "><") + "> " + std::string(kQuotes[static_cast<size_t>(found.quote)]) +
         format(" {}", found.kept);
}

TEST(TypedLines, AreSplitAsBashDoes) {
  EXPECT_EQ(typed("sops dec", "dec"), "<sops><dec> none 0");
  EXPECT_EQ(typed("sops dec ", ""), "<sops><dec><> none 0");
  EXPECT_EQ(typed("sops '[\"a b", "[\"a b"), "<sops><[\"a b> single 0");
  EXPECT_EQ(typed("sops \"[\\\"a\\b", "[\\\"a\\b"), "<sops><[\"a\\b> double 0");
  EXPECT_EQ(typed("sops \\[\\\"a\\ b", "\\[\\\"a\\ b"), "<sops><[\"a b> none 0");
  EXPECT_EQ(typed("sops 'it'\\''s", "s"), "<sops><it's> single 3");
  EXPECT_EQ(typed("sops --type=y", "y"), "<sops><--type=y> none 7");
  EXPECT_EQ(typed("sops a'b'\"c\"", "a'b'\"c\""), "<sops><abc> none 0");
  EXPECT_EQ(typed("sops a\\", "a\\"), "<sops><a> none 0");
  EXPECT_EQ(typed("sops $(x) `y", "`y"), "<sops><$><x><`y> none 0");
}

TEST(TypedLines, HoldEveryPrefixOfAnything) {
  const std::string line = "sops \\' \"a\\\"'b\" 'c\"' \\\n d=e:f \\";
  for (size_t end = 0; end <= line.size(); ++end) {
    for (size_t begin = 0; begin <= end; ++begin) {
      const TypedLine found = split_typed_line(std::string_view(line).substr(0, end), begin);
      ASSERT_FALSE(found.words.empty());
    }
  }
}

TEST(CompletionAnswer, IsNeverMoreThanItsLines) {
  FakeServices fake;
  const auto answer = [&](std::vector<std::string> words) { return completion_answer(words, fake.services()); };
  EXPECT_EQ(answer({"zsh", "--", "filest"}), "words\nfilestatus\tsay whether files are encrypted\n");
  EXPECT_EQ(answer({"bash", "--", "sops filest", "filest"}), "words none\nfilestatus\n");
  EXPECT_EQ(answer({"bash", "--", "sops decrypt 'x", "x"}), "files\n");
  EXPECT_EQ(answer({"bash", "--", "sops x", "not its end"}), "files\n");
  EXPECT_EQ(answer({"bash", "--", "", ""}), "files\n");
  EXPECT_EQ(answer({"zsh", "--"}), "files\n");
}

TEST(CompletionAnswer, IsGivenOnlyToTheHiddenForm) {
  const auto asks = [](std::vector<std::string> words) { return is_completion_request(words); };
  EXPECT_TRUE(asks({"__complete", "zsh", "--", "x"}));
  EXPECT_FALSE(asks({"__complete"})) << "a file";
  EXPECT_FALSE(asks({"__complete", "--", "zsh"}));
  EXPECT_FALSE(asks({"-d", "__complete", "zsh", "--"}));
}

// cli.md 6.12
TEST(GenerateBashCompletion, PrintsWhatSopsPrintsThere) {
  EXPECT_THAT(generate_bash_completion({}, false), testing::HasSubstr("decrypt\n"));
  EXPECT_THAT(generate_bash_completion({}, true), testing::HasSubstr("\ndecrypt:decrypt a file"));
  EXPECT_EQ(generate_bash_completion(std::vector<std::string>{"decrypt"}, false), "");
  EXPECT_EQ(generate_bash_completion(std::vector<std::string>{"decrypt", "x"}, false), "");
  EXPECT_EQ(generate_bash_completion(std::vector<std::string>{"decrypt", "--extr"}, false), "--extract\n");
  EXPECT_EQ(generate_bash_completion(std::vector<std::string>{"completion"}, false), "bash\nzsh\nfish\n");
}

}  // namespace
}  // namespace sops
