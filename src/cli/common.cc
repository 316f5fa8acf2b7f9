// SPDX-License-Identifier: MPL-2.0
#include "cli/common.h"

#include <array>

#include "base/path.h"
#include "cli/later.h"

namespace sops {

std::vector<FlagSpec> output_flags() {
  return {
      {.name = "in-place", .short_name = "i", .summary = "write the result back to FILE"},
      {.name = "output",
       .kind = FlagKind::kString,
       .value_name = "PATH",
       .summary = "write the result to PATH",
       .words = ValueWords::kFiles},
  };
}

std::vector<FlagSpec> type_flags() {
  return {
      {.name = "input-type",
       .kind = FlagKind::kString,
       .value_name = "TYPE",
       .summary = "format of the input: yaml, json or binary (default: by the file's name)",
       .words = ValueWords::kFormats},
      {.name = "output-type",
       .kind = FlagKind::kString,
       .value_name = "TYPE",
       .summary = "format of the output (default: that of the input)",
       .words = ValueWords::kFormats},
      {.name = "filename-override",
       .kind = FlagKind::kString,
       .value_name = "PATH",
       .summary = "path that chooses format and creation rule; needed to encrypt standard input",
       .words = ValueWords::kFiles},
  };
}

std::vector<FlagSpec> selection_flags() {
  const auto setting = [](std::string name, std::string value, std::string summary) {
    return FlagSpec{.name = std::move(name),
                    .kind = FlagKind::kString,
                    .value_name = std::move(value),
                    .summary = std::move(summary)};
  };
  return {
      setting("unencrypted-suffix", "SUFFIX", "leave in the clear what stands below keys that end with SUFFIX"),
      setting("encrypted-suffix", "SUFFIX", "encrypt only what stands below keys that end with SUFFIX"),
      setting("unencrypted-regex", "REGEX", "leave in the clear what stands below keys that match REGEX"),
      setting("encrypted-regex", "REGEX", "encrypt only what stands below keys that match REGEX"),
      setting("unencrypted-comment-regex", "REGEX", "leave in the clear what follows a comment that matches REGEX"),
      setting("encrypted-comment-regex", "REGEX", "encrypt only what follows a comment that matches REGEX"),
      {.name = "mac-only-encrypted", .summary = "let the MAC cover encrypted values only"},
  };
}

std::vector<FlagSpec> key_flags() {
  std::vector<FlagSpec> flags;
  for (const KeySourceType* source : all_key_sources()) {
    flags.push_back({.name = std::string(source->flag),
                     .short_name = std::string(source->short_flag),
                     .kind = FlagKind::kString,
                     .value_name = std::string(source->value_name),
                     .summary = format("comma list of {}", source->summary),
                     .environment = std::string(source->environment)});
  }
  for (const LaterKeySource& source : kLaterKeySources) {
    flags.push_back({.name = std::string(source.flag),
                     .short_name = std::string(source.short_flag),
                     .kind = FlagKind::kString,
                     .value_name = "KEYS",
                     .summary = "not supported yet",
                     .environment = std::string(source.environment)});
  }
  return merge_flags(std::move(flags), key_option_flags());
}

std::vector<FlagSpec> key_option_flags() {
  return {{.name = "aws-profile",
           .kind = FlagKind::kString,
           .value_name = "NAME",
           .summary = "profile of the credentials for the KMS keys that flags name"},
          {.name = "encryption-context",
           .kind = FlagKind::kString,
           .value_name = "NAME:VALUE,…",
           .summary = "encryption context of the KMS keys that flags name"}};
}

FlagSpec threshold_flag() {
  return {.name = "shamir-secret-sharing-threshold",
          .kind = FlagKind::kInt,
          .value_name = "N",
          .summary = "key groups needed to decrypt (default: that of .sops.yaml, else all)"};
}

std::vector<FlagSpec> decrypt_flags() {
  return {
      {.name = "ignore-mac", .summary = "decrypt although the MAC does not fit"},
      {.name = "decryption-order",
       .kind = FlagKind::kString,
       .value_name = "TYPES",
       .summary = "comma list of key types that are tried first (default: age,pgp)",
       .environment = "SOPS_DECRYPTION_ORDER"},
  };
}

std::vector<FlagSpec> common_flags() {
  return {
      {.name = "config",
       .kind = FlagKind::kString,
       .value_name = "PATH",
       .summary = "configuration file, instead of looking for .sops.yaml",
       .environment = "SOPS_CONFIG",
       .words = ValueWords::kFiles},
      {.name = "verbose", .summary = "say on standard error what is done and why"},
      {.name = "json", .summary = "errors and warnings as JSON objects, one a line"},
      {.name = "help", .short_name = "h", .summary = "print this help"},
      {.name = "version", .short_name = "v", .summary = "print the version"},
      {.name = "disable-version-check",
       .summary = "accepted for compatibility: there is no version check",
       .environment = "SOPS_DISABLE_VERSION_CHECK"},
      {.name = "check-for-updates", .summary = "accepted for compatibility: there is no version check"},
      {.name = "enable-local-keyservice",
       .summary = "wrap and unwrap with the keys of this machine; =false turns that off",
       .environment = "SOPS_ENABLE_LOCAL_KEYSERVICE"},
      {.name = "keyservice",
       .kind = FlagKind::kList,
       .value_name = "URI",
       .summary = "another key service (not supported yet, and ignored)",
       .environment = "SOPS_KEYSERVICE"},
  };
}

Result<Input> find_input(CommandContext& context) {
  const std::vector<std::string>& words = context.args.positionals;
  if (words.size() > 1) {
    return fail(ErrorCode::kUsage, "one file at a time: '{}' is one too many", escape_for_message(words[1]))
        .hint("a loop in the shell does it: for f in *.yaml; do sops encrypt -i \"$f\"; done");
  }
  const std::string cwd = context.services.environment.working_directory();
  Input input;
  const std::string override = context.args.text("filename-override");
  if (words.empty() || words[0] == "-") {
    input.is_stdin = true;
    input.shown = "standard input";
    input.effective = override.empty() ? "" : absolute_path(override, cwd);
    return input;
  }
  input.shown = escape_for_message(words[0]);
  input.path = absolute_path(words[0], cwd);
  input.effective = override.empty() ? input.path : absolute_path(override, cwd);
  context.ui.knows_file(input.shown, words[0]);
  const auto info = TRY(
      in_context(or_exit(context.services.files.info(input.path), ExitStatus::kCannotReadInput), "{}", input.shown));
  if (!info) {
    Result<Input> missing = fail(ErrorCode::kNotFound, "there is no such file")
                                .hint("to read standard input name no file, or '-'")
                                .exit(ExitStatus::kNoFile);
    return in_context(std::move(missing), "{}", input.shown);
  }
  return input;
}

Result<InputText> read_input(CommandContext& context, const Input& input, const FormatType& format) {
  InputText text{.format = &format};
  text.bytes = TRY(
      or_exit(context.services.files.read(input.is_stdin ? "/dev/stdin" : input.path), ExitStatus::kCannotReadInput));
  if (format.decode_text != nullptr) {
    text.decoded = TRY(or_exit(format.decode_text(text.bytes.expose_text()), ExitStatus::kCannotReadInput));
  }
  return text;
}

Result<const FormatType*> choose_format(CommandContext& context, std::string_view flag, std::string_view path) {
  const std::string name = context.args.text(flag);
  if (!name.empty()) {
    if (const FormatType* format = find_format(name)) return format;
    for (const LaterFormat& later : kLaterFormats) {
      if (later.id == name) return fail(ErrorCode::kUnsupported, "{} files are not supported yet", name);
    }
    std::vector<std::string_view> names;
    for (const FormatType* format : all_formats()) names.push_back(format->id);
    const auto near = nearest(name, names);
    context.ui.warning(format("--{} '{}' is no format and is ignored{}", flag, escape_for_message(name, 40),
                              near ? format("; did you mean {}?", *near) : ""));
  }
  for (const LaterFormat& later : kLaterFormats) {
    if (path.ends_with(later.suffix)) {
      return fail(ErrorCode::kUnsupported, "{} files are not supported yet", later.id)
          .hint("--input-type binary and --output-type binary encrypt the file as a whole");
    }
  }
  return &format_for_path(path);
}

Result<Output> find_output(CommandContext& context, const Input& input) {
  const bool in_place = context.args.flag("in-place");
  const std::string path = context.args.text("output");
  if (in_place && !path.empty()) {
    return fail(ErrorCode::kUsage, "--in-place and --output exclude each other")
        .exit(ExitStatus::kConflictingParameters);
  }
  if (in_place && input.is_stdin) {
    return fail(ErrorCode::kUsage, "--in-place needs a file: standard input cannot be written back")
        .exit(ExitStatus::kConflictingParameters);
  }
  if (in_place) return Output{.kind = Output::Kind::kInPlace, .path = input.path};
  if (path.empty()) return Output{};
  const Output output{.kind = Output::Kind::kFile,
                      .path = absolute_path(path, context.services.environment.working_directory())};
  if (input.is_stdin) return output;
  // The input must not be lost by naming it twice.
  const auto target = context.services.files.info(output.path);
  const auto source = context.services.files.info(input.path);
  if (target && source && *target && *source && (*target)->device == (*source)->device &&
      (*target)->inode == (*source)->inode && (*target)->kind == FileInfo::Kind::kRegular) {
    return fail(ErrorCode::kUsage, "the output is the input")
        .hint("to replace the file use --in-place")
        .exit(ExitStatus::kConflictingParameters);
  }
  return output;
}

Result<void> write_output(CommandContext& context, const Output& output, const SecureBytes& result,
                          const SecureBytes& original) {
  if (output.kind == Output::Kind::kStdout) return context.ui.data(result.expose_text());
  Files::ReplaceOptions options;
  if (output.kind == Output::Kind::kInPlace) options.expected = original.expose();
  const auto method = TRY(
      or_exit(context.services.files.replace(output.path, result.expose(), options), ExitStatus::kCannotWriteOutput));
  if (method == ReplaceMethod::kInPlace) {
    context.ui.note(format("{}: written in place, because it could not be replaced as a whole here",
                           escape_for_message(output.path)));
  }
  return {};
}

Result<void> require_local_keys(CommandContext& context) {
  constexpr std::string_view kFlag = "enable-local-keyservice";
  if (const std::string uri = context.args.text("keyservice"); !uri.empty()) {
    context.ui.warning(format("the key service {} is not asked: that is not supported yet", escape_for_message(uri)));
  }
  if (!context.args.is_set(kFlag) || context.args.flag(kFlag)) return {};
  return fail(ErrorCode::kUnavailable, "no key service: --enable-local-keyservice is off, and there is no other")
      .hint("leave out --enable-local-keyservice=false and $SOPS_ENABLE_LOCAL_KEYSERVICE");
}

Result<OpenedFile> open_input(CommandContext& context, const Input& input, const InputText& text) {
  TRY(or_exit(require_local_keys(context), ExitStatus::kNoDataKey));
  OpenOptions options;
  options.ignore_mac = context.args.flag("ignore-mac");
  options.order = TRY(parse_decryption_order(context.args.text("decryption-order")));
  return in_context(open_file(text.text(), *text.format, options, context.services), "{}", input.shown);
}

void print_warnings(CommandContext& context, const Input& input, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) context.ui.warning(format("{}: {}", input.shown, warning));
}

}  // namespace sops
