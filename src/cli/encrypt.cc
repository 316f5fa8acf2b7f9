// SPDX-License-Identifier: MPL-2.0
//
// sops encrypt: a file with its values encrypted (cli.md 3.10).
#include "cli/batch.h"
#include "cli/settings.h"

namespace sops::cli_encrypt {

namespace {

std::vector<FlagSpec> flags() {
  std::vector<FlagSpec> all = output_flags();
  all = merge_flags(std::move(all), key_flags());
  all = merge_flags(std::move(all), selection_flags());
  all.push_back(threshold_flag());
  all.push_back({.name = "allow-plaintext",
                 .summary = "permit a rule that selects nothing, and an alias that shows in the clear what "
                            "is encrypted at its anchor"});
  all = merge_flags(std::move(all), batch_flags(BatchCommand::Destination::kChosen));
  return merge_flags(std::move(all), type_flags());
}

// The format of input and output.
Result<const FormatType*> one_format(CommandContext& context, const Input& input) {
  const FormatType* format = TRY(choose_format(context, "input-type", input.effective));
  const FormatType* output_format = TRY(choose_format(context, "output-type", input.effective));
  if (format != output_format) {
    return fail(ErrorCode::kUnsupported, "converting {} to {} is not supported yet", format->id, output_format->id)
        .hint("leave out --output-type, or name the same format for both");
  }
  return format;
}

// Why a file that was found is not for encryption; "" if it is, and `rule` says by which rule. Only rules with a
// path_regex count: one without is for what the user names (editing.md 3.3).
Result<std::string> why_not(CommandContext& context, const Input& input, std::string& rule) {
  const Config* config = TRY(configuration(context, input.effective));
  if (config == nullptr) return std::string("there is no .sops.yaml");
  const auto match = find_creation_rule(*config, input.effective);
  if (!match && match.error().code == ErrorCode::kNotFound) return std::string("no creation rule is for it");
  if (!match)
    return in_context(Result<std::string>(fail(Error(match.error()))), "{}", escape_for_message(config->path));
  if (match->rule == nullptr) return std::string("the configuration has no creation rules");
  if (match->rule->path_regex.empty()) return std::string("only a rule without path_regex is for it");
  rule = format("rule {} at line {} of {}", match->index + 1, match->rule->position.line, config->path);
  return std::string();
}

// editing.md 3
Result<FileResult> encrypt_one(CommandContext& context, const BatchFile& file) {
  const Input& input = file.input;
  FileResult result{.kind = FileResult::Kind::kChange};
  if (file.is_found) {
    std::string why = TRY(why_not(context, input, result.remark));
    if (!why.empty()) return FileResult::skipped(std::move(why));
  }
  const FormatType* format = TRY(in_context(one_format(context, input), "{}", input.shown));
  const EncryptionSettings settings = TRY(in_context(encryption_settings(context, input, *format), "{}", input.shown));
  InputText text = TRY(in_context(read_input(context, input, *format), "{}", input.shown));
  auto encrypted = in_context(encrypt_text(text.text(), *format, settings.options, settings.groups, context.services),
                              "{}", input.shown);
  if (!encrypted && file.is_found && encrypted.error().exit_status == ExitStatus::kAlreadyEncrypted)
    return FileResult::skipped("encrypted already");
  EncryptResult made = TRY(std::move(encrypted));
  print_warnings(context, input, made.warnings);
  result.bytes = text.encode(std::move(made.text));
  result.original = std::move(text.bytes);
  return result;
}

Result<int> run(CommandContext& context) {
  if (is_batch(context, BatchCommand::Destination::kChosen))
    return run_batch(context, {.name = "encrypt", .verb = "encrypt", .done = "encrypted", .make = encrypt_one});
  const Input input = TRY(find_input(context));
  const Output output = TRY(find_output(context, input));
  if (input.is_stdin && input.effective.empty()) {
    return fail(ErrorCode::kUsage, "standard input has no name that could choose the format and the creation rule")
        .hint("add --filename-override, for example --filename-override secrets.yaml")
        .exit(ExitStatus::kConflictingParameters);
  }
  const FormatType* format = TRY(one_format(context, input));
  const EncryptionSettings settings = TRY(encryption_settings(context, input, *format));

  const InputText text = TRY(in_context(read_input(context, input, *format), "{}", input.shown));
  EncryptResult encrypted = TRY(in_context(
      encrypt_text(text.text(), *format, settings.options, settings.groups, context.services), "{}", input.shown));
  print_warnings(context, input, encrypted.warnings);
  const SecureBytes result = text.encode(std::move(encrypted.text));
  TRY(write_output(context, output, result, text.bytes));
  return 0;
}

}  // namespace

extern const CommandSpec command;  // declared by commands.cc too: constants are private to their file otherwise
const CommandSpec command = {
    .name = "encrypt",
    .arguments = "[FILE…]",
    .summary = "encrypt a file to standard output, or many in place",
    .manual =
        "Makes a new data key, encrypts it for every master key, and replaces each selected value by its ciphertext. "
        "Nothing else of\n"
        "the file changes: indentation, comments, quotes and line ends stay, and decrypting gives the original byte "
        "for byte.\n"
        "\n"
        "Keys come from the flags, else from their environment variables, else from the first creation rule of "
        ".sops.yaml whose\n"
        "path_regex matches. Without FILE, or with '-', standard input is read; then --filename-override is needed.\n"
        "\n"
        "Several files, and with -r those in directories, need -i or --output-dir. All are encrypted before the first "
        "is "
        "replaced: if one\n"
        "fails, nothing changes, unless --keep-going is given. -r takes only files that a creation rule with a "
        "path_regex is for, skips\n"
        "what is encrypted already, follows no links and leaves out .git and .sops.yaml; --dry-run shows what it would "
        "take.",
    .flags = flags,
    .run = run,
};

}  // namespace sops::cli_encrypt
