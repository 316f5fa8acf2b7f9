// SPDX-License-Identifier: MPL-2.0
//
// sops set: one value of an encrypted file (cli.md 5.2 to 5.4), and the deprecated --set (5.5).
#include "base/path.h"
#include "cli/change.h"

namespace sops {

namespace cli_set {
namespace {

std::vector<FlagSpec> flags() {
  std::vector<FlagSpec> all = {
      {.name = "value-file", .summary = "VALUE is a file that holds the value, so that no process list shows it"},
      {.name = "value-stdin", .summary = "read the value from standard input instead of VALUE"},
      {.name = "idempotent", .summary = "leave the file untouched if it holds the value already"},
  };
  return merge_flags(std::move(all), change_flags());
}

// The text of the value: an argument, a file, or standard input.
Result<SecureBytes> value_text(CommandContext& context) {
  const std::vector<std::string>& words = context.args.positionals;
  if (context.args.flag("value-stdin")) {
    return or_exit(in_context(context.services.files.read("/dev/stdin"), "standard input"), ExitStatus::kGeneric);
  }
  if (!context.args.flag("value-file")) return SecureBytes::copy_of(words[2]);
  const std::string path = absolute_path(words[2], context.services.environment.working_directory());
  auto bytes = context.services.files.read(path);
  if (bytes) return bytes;
  bytes.error().exit_status = ExitStatus::kGeneric;  // cli.md 5.2
  return in_context(std::move(bytes), "{}", escape_for_message(words[2]));
}

Result<int> run(CommandContext& context) {
  const std::vector<std::string>& words = context.args.positionals;
  const bool from_stdin = context.args.flag("value-stdin");
  if (from_stdin && context.args.flag("value-file")) {
    return fail(ErrorCode::kUsage, "--value-file and --value-stdin exclude each other");
  }
  if (words.size() != (from_stdin ? 2u : 3u)) {
    return fail(ErrorCode::kUsage, "{} arguments where {} are needed: {}", words.size(), from_stdin ? 2 : 3,
                from_stdin ? "FILE INDEX" : "FILE INDEX VALUE")
        .hint("for example: sops set secrets.yaml '[\"database\"][\"port\"]' 5432")
        .exit(ExitStatus::kNoFile);
  }
  ChangeRequest request{.file = words[0]};
  request.path = TRY(parse_index(words[1]));
  SecureBytes text = TRY(value_text(context));
  const JsonValue value = TRY(JsonValue::parse(std::move(text)));
  request.value = &value.value();
  request.is_idempotent = context.args.flag("idempotent");
  return change_file(context, request);
}

}  // namespace

extern const CommandSpec command;  // declared by commands.cc too: constants are private to their file otherwise
const CommandSpec command = {
    .name = "set",
    .arguments = "FILE INDEX [VALUE]",
    .summary = "change one value of an encrypted file",
    .manual =
        "INDEX is a path like '[\"database\"][\"users\"][0]': keys in quotes, positions in lists as numbers from 0. "
        "What is missing\n"
        "on the way is made; a position behind the end of a list appends. VALUE is JSON: '\"text\"', 5, true, null or "
        "'{\"a\": [1, 2]}'.\n"
        "A number is stored as SOPS stores it, and refused if it would have to be rounded.\n"
        "\n"
        "Only that value changes in the file, with the time of the change and the MAC. New text looks like its "
        "neighbours. An alias\n"
        "that would change with the value is written out first, with the content that it had.",
    .flags = flags,
    .run = run,
};

}  // namespace cli_set

// cli.md 5.5: the path ends at the first "] "; JSON is looked at first.
Result<int> run_deprecated_set(CommandContext& context, std::string_view path_and_value) {
  const size_t end = path_and_value.find("] ");
  if (end == std::string_view::npos) {
    return fail(ErrorCode::kUsage, "--set needs a path, a blank and a value in JSON")
        .hint("for example: --set '[\"database\"][\"port\"] 5432'; better: sops set FILE INDEX VALUE")
        .exit(ExitStatus::kBadSetFormat);
  }
  const JsonValue value = TRY(JsonValue::parse(SecureBytes::copy_of(path_and_value.substr(end + 2))));
  ChangeRequest request{.file = context.args.positionals[0], .value = &value.value()};
  request.path = TRY(parse_index(path_and_value.substr(0, end + 1)));
  return change_file(context, request);
}

}  // namespace sops
