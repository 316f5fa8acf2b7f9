// SPDX-License-Identifier: MPL-2.0
//
// sops encrypt: a file with its values encrypted (cli.md 3.10).
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
  return merge_flags(std::move(all), type_flags());
}

Result<int> run(CommandContext& context) {
  const Input input = TRY(find_input(context));
  const Output output = TRY(find_output(context, input));
  if (input.is_stdin && input.effective.empty()) {
    return fail(ErrorCode::kUsage, "standard input has no name that could choose the format and the creation rule")
        .hint("add --filename-override, for example --filename-override secrets.yaml")
        .exit(ExitStatus::kConflictingParameters);
  }
  const FormatType* format = TRY(choose_format(context, "input-type", input.effective));
  const FormatType* output_format = TRY(choose_format(context, "output-type", input.effective));
  if (format != output_format) {
    return fail(ErrorCode::kUnsupported, "converting {} to {} is not supported yet", format->id, output_format->id)
        .hint("leave out --output-type, or name the same format for both");
  }
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
    .arguments = "[FILE]",
    .summary = "encrypt a file to standard output",
    .manual =
        "Makes a new data key, encrypts it for every master key, and replaces each selected value by its ciphertext. "
        "Nothing else of\n"
        "the file changes: indentation, comments, quotes and line ends stay, and decrypting gives the original byte "
        "for byte.\n"
        "\n"
        "Keys come from the flags, else from their environment variables, else from the first creation rule of "
        ".sops.yaml whose\n"
        "path_regex matches. Without FILE, or with '-', standard input is read; then --filename-override is needed.",
    .flags = flags,
    .run = run,
};

}  // namespace sops::cli_encrypt
