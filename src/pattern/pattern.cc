// SPDX-License-Identifier: MPL-2.0
#include "pattern/pattern.h"

#include <re2/re2.h>

namespace sops {

struct Pattern::State {
  explicit State(const std::string& expression, const RE2::Options& options) : regex(expression, options) {}
  RE2 regex;
};

Pattern::Pattern(std::unique_ptr<State> state) : state_(std::move(state)) {}
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

namespace {

// Go writes a named group (?<n>…) since 1.22; the distribution's RE2 knows (?P<n>…) only. Returns the expression in
// RE2's spelling. Escapes and character classes are passed over: a literal "(?<" can stand there.
Result<std::string> to_re2(std::string_view expression) {
  std::string out;
  bool in_class = false;
  bool in_quote = false;  // between \Q and \E
  for (size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c == '\\' && i + 1 < expression.size()) {
      const char escaped = expression[i + 1];
      if (escaped == 'C' && !in_quote) return fail(ErrorCode::kUnsupported, "invalid escape sequence: \\C");
      if (escaped == 'Q') in_quote = true;
      if (escaped == 'E') in_quote = false;
      if (in_quote && escaped != 'Q') {  // a backslash is literal in there; look at the next character by itself
        out.push_back(c);
        continue;
      }
      out.push_back(c);
      out.push_back(escaped);
      ++i;
      continue;
    }
    if (!in_quote) {
      if (c == '[' && !in_class) {
        in_class = true;
        out.push_back(c);
        if (i + 1 < expression.size() && expression[i + 1] == '^') out.push_back(expression[++i]);
        if (i + 1 < expression.size() && expression[i + 1] == ']') out.push_back(expression[++i]);
        continue;
      }
      if (c == ']') in_class = false;
      const std::string_view rest = expression.substr(i);
      if (!in_class && rest.starts_with("(?<") && !rest.starts_with("(?<=") && !rest.starts_with("(?<!")) {
        out += "(?P<";
        i += 2;
        continue;
      }
    }
    out.push_back(c);
  }
  return out;
}

}  // namespace

Result<Pattern> Pattern::compile(std::string_view expression) {
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(64 << 20);
  const std::string re2 = TRY(to_re2(expression));
  auto state = std::make_unique<State>(re2, options);
  if (!state->regex.ok()) return fail(ErrorCode::kMalformed, "{}", state->regex.error());
  return Pattern(std::move(state));
}

bool Pattern::matches(std::string_view text) const {
  if (is_utf8(text)) return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), state_->regex);
  return RE2::PartialMatch(to_valid_utf8(text), state_->regex);
}

}  // namespace sops
