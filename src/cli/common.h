// SPDX-License-Identifier: MPL-2.0
//
// What several commands share: flag sets, choosing formats, reading the input, writing the output.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/args.h"
#include "cli/ui.h"
#include "config/config.h"
#include "core/decrypt.h"
#include "formats/format.h"
#include "sys/services.h"

namespace sops {

/// Configurations that several files share (settings.h).
class ConfigCache;

/// What a command gets, and what is made once for it.
struct CommandContext {
  Services& services;
  const ParsedArgs& args;
  Ui& ui;
  bool config_is_loaded = false;
  std::optional<Config> config;           // see configuration()
  const Config* config_in_use = nullptr;  // … which this is, or one of `configs`
  ConfigCache* configs = nullptr;         // if there are several files
  bool is_legacy = false;                 // the deprecated form without a command
};

// Flag sets (cli.md 2.2).
std::vector<FlagSpec> output_flags();      // --in-place, --output
std::vector<FlagSpec> type_flags();        // --input-type, --output-type
std::vector<FlagSpec> selection_flags();   // the six rules, --mac-only-encrypted
std::vector<FlagSpec> key_flags();         // one for each key source, and for those still to come; key_option_flags()
std::vector<FlagSpec> key_option_flags();  // --aws-profile, --encryption-context
FlagSpec threshold_flag();                 // --shamir-secret-sharing-threshold
std::vector<FlagSpec> decrypt_flags();     // --ignore-mac, --decryption-order, key services
std::vector<FlagSpec> common_flags();      // --config, --indent, --verbose, --help, --version

/// The one file a command works on.
struct Input {
  std::string path;       // absolute; empty for standard input
  std::string shown;      // as the user wrote it, for messages
  std::string effective;  // the path that chooses format and rule: --filename-override or path
  bool is_stdin = false;
};

/// The input of encrypt and decrypt: the first positional; none or "-" is standard input.
/// Errors: kUsage for several files; kNotFound for a missing file (exit status 100).
Result<Input> find_input(CommandContext& context);

/// The format of `path`, or the one named by --input-type / --output-type (format.md 7.2). An unknown name is ignored
/// with a warning, as SOPS ignores it. Errors: kUnsupported for a format that is still to come.
Result<const FormatType*> choose_format(CommandContext& context, std::string_view flag, std::string_view path);

/// Where the result goes.
struct Output {
  enum class Kind { kStdout, kInPlace, kFile };
  Kind kind = Kind::kStdout;
  std::string path;
};

/// Errors: kUsage (exit status 8) for --in-place with --output or with standard input; for an --output that is the
/// input.
Result<Output> find_output(CommandContext& context, const Input& input);

/// Writes the result. `original` is what the input held when it was read: in place nothing else is replaced
/// (editing.md 1.7). Errors: exit status 3.
Result<void> write_output(CommandContext& context, const Output& output, const SecureBytes& result,
                          const SecureBytes& original);

/// The input as bytes and as the text that its format scans.
struct InputText {
  SecureBytes bytes;                   // as read
  std::optional<SecureBytes> decoded;  // in UTF-8, if the bytes are in another encoding
  const FormatType* format = nullptr;

  std::string_view text() const { return decoded ? decoded->expose_text() : bytes.expose_text(); }
  /// A result in the encoding of the input.
  SecureBytes encode(SecureBytes result) const {
    return decoded ? format->encode_text(result.expose_text(), bytes.expose_text()) : std::move(result);
  }
};

/// Reads the whole input. Errors: exit status 2.
Result<InputText> read_input(CommandContext& context, const Input& input, const FormatType& format);

/// --enable-local-keyservice=false leaves nobody who could wrap or unwrap a data key. Errors: kUnavailable.
Result<void> require_local_keys(CommandContext& context);

/// Opens an encrypted input with the flags of decrypt_flags(). `text` must outlive the result.
Result<OpenedFile> open_input(CommandContext& context, const Input& input, const InputText& text);

/// Prints warnings about the input.
void print_warnings(CommandContext& context, const Input& input, const std::vector<std::string>& warnings);

}  // namespace sops
