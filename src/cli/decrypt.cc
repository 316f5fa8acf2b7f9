// SPDX-License-Identifier: MPL-2.0
//
// sops decrypt: the plaintext of a file, or of one place in it (cli.md 3.11).
#include "cli/batch.h"
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
  all = merge_flags(std::move(all), batch_flags(BatchCommand::Destination::kChosen));
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

// What the flags ask for. It is looked at before the file is read (cli.md 3.11).
struct Wanted {
  const FormatType* format = nullptr;  // of the output
  EmitStyle style;
  TreePath path;
};

Result<Wanted> wanted_output(CommandContext& context, const Input& input) {
  Wanted wanted;
  wanted.format = TRY(choose_format(context, "output-type", input.effective));
  wanted.style = TRY(emit_style(context, *wanted.format));
  wanted.path = TRY(parse_tree_path(context.args.text("extract")));
  return wanted;
}

// The plain text of a file, or of one place in it.
Result<SecureBytes> make_plain(CommandContext& context, const Input& input, const InputText& text,
                               const Wanted& wanted) {
  const FormatType* format = text.format;
  OpenedFile file = TRY(open_input(context, input, text));

  SecureBytes result;
  if (!wanted.path.empty()) {
    result = TRY(in_context(extract(file, wanted.path, *wanted.format, wanted.style), "{}", input.shown));
  } else if (format == wanted.format) {
    SecureBytes plain = TRY(in_context(decrypted_text(file), "{}", input.shown));
    result = text.encode(std::move(plain));
  } else {
    return fail(ErrorCode::kUnsupported, "converting {} to {} is not supported yet", format->id, wanted.format->id)
        .hint("leave out --output-type, or name the same format for both");
  }
  print_warnings(context, input, file.warnings);
  return result;
}

// editing.md 3
Result<FileResult> decrypt_one(CommandContext& context, const BatchFile& file) {
  std::optional<EncryptedInput> encrypted = TRY(read_encrypted_input(context, file));
  if (!encrypted) return FileResult::skipped("not encrypted");
  const Wanted wanted = TRY(wanted_output(context, file.input));
  auto plain = make_plain(context, file.input, encrypted->text, wanted);
  if (!plain && file.is_found && plain.error().code == ErrorCode::kNotFound)
    return FileResult::skipped("not encrypted");
  FileResult result{.kind = FileResult::Kind::kChange};
  result.bytes = TRY(std::move(plain));
  result.original = std::move(encrypted->text.bytes);
  return result;
}

Result<int> run(CommandContext& context) {
  if (is_batch(context, BatchCommand::Destination::kChosen)) {
    return run_batch(
        context,
        {.name = "decrypt", .verb = "decrypt", .done = "decrypted", .makes_plaintext = true, .make = decrypt_one});
  }
  const Input input = TRY(find_input(context));
  const Output output = TRY(find_output(context, input));
  const FormatType* format = TRY(choose_format(context, "input-type", input.effective));
  const Wanted wanted = TRY(wanted_output(context, input));
  const InputText text = TRY(in_context(read_input(context, input, *format), "{}", input.shown));
  const SecureBytes result = TRY(make_plain(context, input, text, wanted));
  TRY(write_output(context, output, result, text.bytes));
  return 0;
}

}  // namespace

extern const CommandSpec command;  // declared by commands.cc too: constants are private to their file otherwise
const CommandSpec command = {
    .name = "decrypt",
    .arguments = "[FILE…]",
    .summary = "decrypt a file to standard output, or many in place",
    .manual =
        "Recovers the data key with the first master key that works here, decrypts every value, verifies the MAC, and "
        "only then\n"
        "prints the plain text. Everything that is no secret stays byte for byte as it is in the encrypted file.\n"
        "\n"
        "Without FILE, or with '-', standard input is read; name its format with --input-type.\n"
        "\n"
        "Several files, and with -r those in directories, need -i or --output-dir. All are decrypted and verified "
        "before "
        "the first is\n"
        "replaced: if one fails, nothing changes, unless --keep-going is given. -r takes the files that are encrypted, "
        "whatever their\n"
        "names, follows no links and leaves out .git and .sops.yaml.",
    .flags = flags,
    .run = run,
};

}  // namespace sops::cli_decrypt
