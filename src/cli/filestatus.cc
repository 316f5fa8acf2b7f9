// SPDX-License-Identifier: MPL-2.0
//
// sops filestatus: is a file encrypted? (cli.md 6.7)
#include "cli/batch.h"
#include "cli/settings.h"
#include "core/metadata.h"

namespace sops::cli_filestatus {

namespace {

std::vector<FlagSpec> flags() {
  std::vector<FlagSpec> all = {{.name = "input-type",
                                .kind = FlagKind::kString,
                                .value_name = "TYPE",
                                .summary = "format of the file: yaml, json or binary (default: by the file's name)"}};
  return merge_flags(std::move(all), batch_flags(BatchCommand::Destination::kNone));
}

Result<bool> is_encrypted(std::string_view text, const FormatType& format) {
  Result<Document> scanned = format.scan(text, ScanMode::kEncrypted);
  if (!scanned && scanned.error().exit_status == ExitStatus::kNoDocument) return false;  // empty: no metadata
  const Document document = TRY(std::move(scanned));
  const auto tree = format.read_metadata(document);
  if (!tree && tree.error().code == ErrorCode::kNotFound) return false;
  if (!tree) return fail(tree.error());
  const Metadata metadata = TRY(parse_metadata(*tree));
  return !metadata.version.empty() && !metadata.mac.empty();
}

// editing.md 3
Result<bool> examine_one(CommandContext& context, const BatchFile& file) {
  const std::optional<EncryptedInput> input = TRY(read_encrypted_input(context, file));
  if (!input) return false;
  return in_context(is_encrypted(input->text.text(), *input->format), "{}", file.input.shown);
}

Result<FileResult> result_of_one(CommandContext& context, const BatchFile& file) {
  Result<bool> answer = examine_one(context, file);
  if (!answer) answer.error().exit_status = ExitStatus::kGeneric;  // whatever it is (cli.md 6.7)
  FileResult result;
  result.encrypted = TRY(std::move(answer));
  return result;
}

Result<bool> examine(CommandContext& context) {
  const Input input = TRY(find_input(context));
  const FormatType* format = TRY(choose_format(context, "input-type", input.effective));
  TRY(configuration(context, ""));  // one that cannot be read is an error here, too (cli.md 3.1)
  const InputText text = TRY(in_context(read_input(context, input, *format), "{}", input.shown));
  return in_context(is_encrypted(text.text(), *format), "{}", input.shown);
}

Result<int> run(CommandContext& context) {
  if (is_batch(context, BatchCommand::Destination::kNone)) {
    return run_batch(context, {.name = "filestatus",
                               .verb = "look at",
                               .unchanged = "looked at",
                               .destination = BatchCommand::Destination::kNone,
                               .make = result_of_one});
  }
  if (context.args.positionals.empty()) {
    return fail(ErrorCode::kUsage, "no file is named").hint("sops filestatus FILE").exit(ExitStatus::kNoFile);
  }
  Result<bool> answer = examine(context);
  if (!answer) answer.error().exit_status = ExitStatus::kGeneric;  // whatever it is (cli.md 6.7)
  const bool encrypted = TRY(std::move(answer));
  TRY(context.ui.data(encrypted ? "{\"encrypted\":true}\n" : "{\"encrypted\":false}\n"));
  return 0;
}

}  // namespace

extern const CommandSpec command;  // declared by commands.cc too: constants are private to their file otherwise
const CommandSpec command = {
    .name = "filestatus",
    .arguments = "FILE…",
    .summary = "say whether files are encrypted",
    .manual =
        "Prints {\"encrypted\":true} or {\"encrypted\":false}. Needs no key. For several files, and with -r for those "
        "in "
        "directories, each\n"
        "line names its file: {\"file\":\"prod.yaml\",\"encrypted\":true}.",
    .flags = flags,
    .run = run,
};

}  // namespace sops::cli_filestatus
