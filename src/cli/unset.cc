// SPDX-License-Identifier: MPL-2.0
//
// sops unset: an encrypted file without one entry or item (cli.md 5.4).
#include "cli/change.h"

namespace sops::cli_unset {

namespace {

std::vector<FlagSpec> flags() {
  return merge_flags({{.name = "idempotent", .summary = "leave the file untouched if there is no such entry"}},
                     change_flags());
}

Result<int> run(CommandContext& context) {
  const std::vector<std::string>& words = context.args.positionals;
  if (words.size() != 2) {
    return fail(ErrorCode::kUsage, "{} arguments where 2 are needed: FILE INDEX", words.size())
        .hint("for example: sops unset secrets.yaml '[\"database\"][\"port\"]'")
        .exit(ExitStatus::kNoFile);
  }
  ChangeRequest request{.file = words[0], .is_idempotent = context.args.flag("idempotent")};
  request.path = TRY(parse_index(words[1]));
  return change_file(context, request);
}

}  // namespace

extern const CommandSpec command;  // declared by commands.cc too: constants are private to their file otherwise
const CommandSpec command = {
    .name = "unset",
    .arguments = "FILE INDEX",
    .summary = "remove one value from an encrypted file",
    .manual =
        "INDEX is a path like '[\"database\"][\"users\"][0]': keys in quotes, positions in lists as numbers from 0. "
        "The entry goes with\n"
        "the comment on its own line; comments above it stay. A mapping or list that becomes empty is {} or [].",
    .flags = flags,
    .run = run,
};

}  // namespace sops::cli_unset
