// SPDX-License-Identifier: MPL-2.0
#include "base/shell_words.h"

#include <utility>

namespace sops {

Result<std::vector<std::string>> split_shell_words(std::string_view text) {
  constexpr std::string_view kSeparators = " \t\r\n";
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;  // a word has begun, though it may be empty so far: ""
  char quote = 0;        // the quote we are inside of

  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quote != '\'') {
      if (++i == text.size()) {
        return fail(ErrorCode::kMalformed, "the command ends with a backslash").hint("write \\\\ for a backslash");
      }
      word += text[i];
      in_word = true;
    } else if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
      in_word = true;
    } else if (kSeparators.find(c) != std::string_view::npos) {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
    } else if (c == '#' && !in_word) {
      i = text.find('\n', i);
      if (i == std::string_view::npos) break;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) {
    return fail(ErrorCode::kMalformed, "the command has a {} without its end",
                quote == '"' ? "double quote" : "single quote");
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

}  // namespace sops
