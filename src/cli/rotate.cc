// SPDX-License-Identifier: MPL-2.0
//
// sops rotate: a new data key, and perhaps other master keys (cli.md 6.2).
#include "cli/rotate.h"

#include <algorithm>

#include "base/path.h"
#include "cli/batch.h"
#include "cli/later.h"
#include "cli/rewrite.h"
#include "cli/settings.h"

namespace sops {

namespace {

// cli.md 6.2
constexpr std::string_view kAddOrder[] = {"kms", "pgp", "gcp_kms", "hckms", "azure_kv", "hc_vault", "age"};

std::string flag_of(std::string_view source) {
  if (const KeySourceType* type = find_key_source(source)) return std::string(type->flag);
  for (const LaterKeySource& later : kLaterKeySources) {
    if (later.id == source) return std::string(later.flag);
  }
  return "";
}

// The keys of one flag.
Result<MasterKeys> keys_of_flag(CommandContext& context, std::string_view source, const std::string& flag,
                                const KeyOptions& options) {
  const std::string list = context.args.text(flag);
  if (list.empty()) return MasterKeys();
  const KeySourceType* type = find_key_source(source);
  if (type == nullptr) {
    return fail(ErrorCode::kUnsupported, "--{}: {} keys are not supported yet", flag, source)
        .hint("use SOPS for these keys");
  }
  return in_context(type->from_list(list, options), "--{}", flag);
}

}  // namespace

std::vector<FlagSpec> key_edit_flags() {
  std::vector<FlagSpec> flags;
  const auto add = [&](std::string_view flag, std::string_view value, bool is_known) {
    flags.push_back({.name = format("add-{}", flag),
                     .kind = FlagKind::kString,
                     .value_name = std::string(value),
                     .summary = is_known ? "comma list of keys to add to the first group" : "not supported yet"});
    flags.push_back({.name = format("rm-{}", flag),
                     .kind = FlagKind::kString,
                     .value_name = std::string(value),
                     .summary = is_known ? "comma list of keys to remove from all groups" : "not supported yet"});
  };
  for (const KeySourceType* source : all_key_sources()) add(source->flag, source->value_name, true);
  for (const LaterKeySource& source : kLaterKeySources) add(source.flag, "KEYS", false);
  return flags;
}

bool has_key_edits(const ParsedArgs& args) {
  const std::vector<FlagSpec> flags = key_edit_flags();
  return std::ranges::any_of(flags, [&](const FlagSpec& flag) { return !args.text(flag.name).empty(); });
}

Result<RotateRequest> rotate_request(CommandContext& context) {
  RotateRequest request;
  request.open.ignore_mac = context.args.flag("ignore-mac");
  request.open.order = TRY(parse_decryption_order(context.args.text("decryption-order")));
  const KeyOptions options = key_options_or_warning(context);
  for (std::string_view source : kAddOrder) {
    MasterKeys added = TRY(keys_of_flag(context, source, "add-" + flag_of(source), options));
    for (std::unique_ptr<MasterKey>& key : added) {
      request.edits.added.emplace_back(find_key_source(source), key.get());
      request.keys.push_back(std::move(key));
    }
    const MasterKeys removed = TRY(keys_of_flag(context, source, "rm-" + flag_of(source), options));
    for (const std::unique_ptr<MasterKey>& key : removed) {
      request.edits.removed.push_back({.source = std::string(source), .id = key->id()});
    }
  }
  return request;
}

Result<SecureBytes> rotate_file(const InputText& input, const RotateRequest& request, const EmitStyle& style,
                                std::vector<std::string>& warnings, Services& services) {
  OpenedFile file = TRY(open_file(input.text(), *input.format, request.open, services));
  const SecureBytes plain = TRY(decrypted_text(file));
  SecureBytes text = TRY(rotate_data_key(file, plain.expose_text(), request.edits, style, services));
  warnings.insert(warnings.end(), file.warnings.begin(), file.warnings.end());
  return input.encode(std::move(text));
}

}  // namespace sops

namespace sops::cli_rotate {

namespace {

std::vector<FlagSpec> flags() {
  std::vector<FlagSpec> all = output_flags();
  all = merge_flags(std::move(all), key_edit_flags());
  all = merge_flags(std::move(all), key_option_flags());
  all = merge_flags(std::move(all), batch_flags(BatchCommand::Destination::kChosen));
  all = merge_flags(std::move(all), type_flags());
  return merge_flags(std::move(all), decrypt_flags());
}

Failure conversion(const FormatType& format, const FormatType& output_format) {
  return fail(ErrorCode::kUnsupported, "converting {} to {} is not supported yet", format.id, output_format.id)
      .hint("leave out --output-type, or name the same format for both");
}

void warn_of_ignored_mac(CommandContext& context, const RotateRequest& request, const Input& input) {
  if (!request.open.ignore_mac) return;  // editing.md 1.8
  context.ui.warning(
      sops::format("{}: with --ignore-mac the values are signed as they are found, intact or not", input.shown));
}

// editing.md 3
Result<FileResult> rotate_one(CommandContext& context, const BatchFile& file, const RotateRequest& request) {
  const Input& input = file.input;
  std::optional<EncryptedInput> encrypted = TRY(read_encrypted_input(context, file));
  if (!encrypted) return FileResult::skipped("not encrypted");
  const FormatType* output_format = TRY(choose_format(context, "output-type", input.effective));
  if (encrypted->format != output_format)
    return in_context(Result<FileResult>(conversion(*encrypted->format, *output_format)), "{}", input.shown);
  const EmitStyle style = TRY(emit_style(context, *output_format));
  std::vector<std::string> warnings;
  auto bytes = in_context(rotate_file(encrypted->text, request, style, warnings, context.services), "{}", input.shown);
  if (!bytes && file.is_found && bytes.error().code == ErrorCode::kNotFound)
    return FileResult::skipped("not encrypted");
  FileResult result{.kind = FileResult::Kind::kChange};
  result.bytes = TRY(std::move(bytes));
  result.original = std::move(encrypted->text.bytes);
  warn_of_ignored_mac(context, request, input);
  print_warnings(context, input, warnings);
  return result;
}

Result<int> run_many(CommandContext& context) {
  const RotateRequest request = TRY(rotate_request(context));
  TRY(or_exit(require_local_keys(context), ExitStatus::kNoDataKey));
  const auto make = [&](CommandContext& own, const BatchFile& file) { return rotate_one(own, file, request); };
  return run_batch(context,
                   {.name = "rotate", .verb = "rotate", .done = "rotated", .starts_again = true, .make = make});
}

Result<int> run(CommandContext& context) {
  if (is_batch(context, BatchCommand::Destination::kChosen)) return run_many(context);
  const std::vector<std::string>& words = context.args.positionals;
  if (words.empty()) {
    return fail(ErrorCode::kUsage, "no file is named").hint("sops rotate FILE").exit(ExitStatus::kNoFile);
  }
  if (words[0] != "-") {
    const std::string path = absolute_path(words[0], context.services.environment.working_directory());
    const auto info = TRY(or_exit(context.services.files.info(path), ExitStatus::kCannotReadInput));
    if (!info) {
      return fail(ErrorCode::kNotFound, "{}: there is no such file", escape_for_message(words[0]))
          .exit(has_key_edits(context.args) ? ExitStatus::kCannotChangeKeysOfMissingFile
                                            : ExitStatus::kCannotReadInput);
    }
  }
  const Input input = TRY(find_input(context));
  const Output output = TRY(find_output(context, input));
  const FormatType* format = TRY(choose_format(context, "input-type", input.effective));
  const FormatType* output_format = TRY(choose_format(context, "output-type", input.effective));
  if (format != output_format) return conversion(*format, *output_format);
  const EmitStyle style = TRY(emit_style(context, *output_format));
  const RotateRequest request = TRY(rotate_request(context));
  warn_of_ignored_mac(context, request, input);
  TRY(or_exit(require_local_keys(context), ExitStatus::kNoDataKey));
  std::vector<std::string> warnings;
  const auto make = [&](const InputText& text) -> Result<std::optional<SecureBytes>> {
    warnings.clear();
    SecureBytes bytes = TRY(rotate_file(text, request, style, warnings, context.services));
    return std::optional(std::move(bytes));
  };
  TRY(rewrite(context, input, *format, output, make));
  print_warnings(context, input, warnings);
  return 0;
}

}  // namespace

extern const CommandSpec command;  // declared by commands.cc too: constants are private to their file otherwise
const CommandSpec command = {
    .name = "rotate",
    .arguments = "FILE…",
    .summary = "encrypt files anew with fresh data keys",
    .manual =
        "Makes a new data key, encrypts it for every master key of the file and every value with it. So who could "
        "decrypt an older\n"
        "version, but is no recipient any more, cannot read what is written from now on; change the secrets "
        "themselves, "
        "too.\n"
        "\n"
        "--add-… and --rm-… change the master keys at the same time: added ones belong to the first key group, removed "
        "ones go from\n"
        "all groups. The result goes to standard output; -i writes it back.\n"
        "\n"
        "Several files, and with -r the encrypted ones in directories, need -i or --output-dir. Each gets a data key "
        "of "
        "its own; if one\n"
        "fails, none changes, unless --keep-going is given.",
    .flags = flags,
    .run = run,
};

}  // namespace sops::cli_rotate
