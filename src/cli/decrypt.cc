// SPDX-License-Identifier: MPL-2.0
//
// sops decrypt: the plaintext of a file, or of one place in it (cli.md 3.11).
#include "cli/settings.h"
#include "core/tree_path.h"

namespace sops::cli_decrypt {

namespace {

std::vector<FlagSpec> flags() {
  std::vector<FlagSpec> all = output_flags();
  all.push_back({.name = "extract",
                 .kind = FlagKind::kString,
                 .value_name = "PATH",
                 .summary = "only the value at PATH, for example '[\"database\"][\"password\"]'",
                 .words = ValueWords::kKeyPaths});
  all = merge_flags(std::move(all), type_flags());
  return merge_flags(std::move(all), decrypt_flags());
}

// cli.md 6.1: a mapping is a file of its own, a string its bytes without a line feed, anything else as the format
// spells it.
Result<SecureBytes> extract(const OpenedFile& file, const TreePath& path, const FormatType& output,
                            const EmitStyle& style) {
  const Value tree = TRY(decrypted_value(file));
  const Value* value = TRY(find_value(tree, path));
  if (value->kind == ValueKind::kMapping) return output.emit(*value, style);
  if (value->kind == ValueKind::kScalar && value->type == ScalarType::kString) return SecureBytes::copy_of(value->text);
  return output.emit_value(*value, style);
}

Result<int> run(CommandContext& context) {
  const Input input = TRY(find_input(context));
  const Output output = TRY(find_output(context, input));
  const FormatType* format = TRY(choose_format(context, "input-type", input.effective));
  const FormatType* output_format = TRY(choose_format(context, "output-type", input.effective));
  const EmitStyle style = TRY(emit_style(context, *output_format));
  const TreePath path = TRY(parse_tree_path(context.args.text("extract")));

  const InputText text = TRY(in_context(read_input(context, input, *format), "{}", input.shown));
  OpenedFile file = TRY(open_input(context, input, text));

  SecureBytes result;
  if (!path.empty()) {
    result = TRY(in_context(extract(file, path, *output_format, style), "{}", input.shown));
  } else if (format == output_format) {
    SecureBytes plain = TRY(in_context(decrypted_text(file), "{}", input.shown));
    result = text.encode(std::move(plain));
  } else {
    return fail(ErrorCode::kUnsupported, "converting {} to {} is not supported yet", format->id, output_format->id)
        .hint("leave out --output-type, or name the same format for both");
  }
  print_warnings(context, input, file.warnings);
  TRY(write_output(context, output, result, text.bytes));
  return 0;
}

}  // namespace

extern const CommandSpec command;  // declared by commands.cc too: constants are private to their file otherwise
const CommandSpec command = {
    .name = "decrypt",
    .arguments = "[FILE]",
    .summary = "decrypt a file to standard output",
    .manual =
        "Recovers the data key with the first master key that works here, decrypts every value, verifies the MAC, and "
        "only then\n"
        "prints the plain text. Everything that is no secret stays byte for byte as it is in the encrypted file.\n"
        "\n"
        "Without FILE, or with '-', standard input is read; name its format with --input-type.",
    .flags = flags,
    .run = run,
};

}  // namespace sops::cli_decrypt
