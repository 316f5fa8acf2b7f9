// SPDX-License-Identifier: MPL-2.0
#include "cli/rewrite.h"

#include <algorithm>

namespace sops {

namespace {

// The file's name in front of what went wrong, once: some steps have said it already.
template <class T>
Result<T> in_file(Result<T> result, const std::string& shown) {
  if (result || (!result.error().context.empty() && result.error().context.back() == shown)) return result;
  return in_context(std::move(result), "{}", shown);
}

}  // namespace

Result<bool> rewrite(CommandContext& context, const Input& input, const FormatType& format, const Output& output,
                     const MakeVersion& make) {
  constexpr int kTries = 4;
  for (int tries = 1;; ++tries) {
    const InputText text = TRY(in_file(read_input(context, input, format), input.shown));
    const std::optional<SecureBytes> version = TRY(in_file(make(text), input.shown));
    if (!version) return false;
    auto written = write_output(context, output, *version, text.bytes);
    if (written) return true;
    const bool has_changed = written.error().code == ErrorCode::kUnavailable;
    if (!has_changed || output.kind != Output::Kind::kInPlace || tries == kTries)
      return fail(std::move(written.error()));
    context.ui.note(sops::format("{}: changed by another program meanwhile, so all is done again", input.shown));
  }
}

Result<bool> confirm(CommandContext& context, const std::string& question) {
  while (true) {
    const std::optional<std::string> line = TRY(context.services.terminal.ask(question + " (y/n): "));
    if (!line) {
      return fail(ErrorCode::kUnavailable, "nobody answered the question")
          .hint("--yes answers it, without being asked");
    }
    const std::string_view answer = trim(*line);
    if (answer == "y") return true;
    if (answer == "n") return false;
    // cli.md 3.5: "An empty line, two or more words on the line, or EOF is an error".
    if (answer.empty() || answer.find_first_of(" \t") != std::string_view::npos) {
      return fail(ErrorCode::kUsage, "the answer is neither y nor n").hint("--yes answers without being asked");
    }
  }
}

}  // namespace sops
