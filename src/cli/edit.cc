// SPDX-License-Identifier: MPL-2.0
//
// sops edit: a file decrypted into an editor and encrypted again (cli.md 4, editing.md 2). Whatever happens between the
// editor's start and the replacement of the file, what was typed ends in the file or in a draft.
#include <algorithm>
#include <chrono>

#include "base/codec.h"
#include "base/line_diff.h"
#include "base/path.h"
#include "cli/editor.h"
#include "cli/example.h"
#include "cli/session_drafts.h"
#include "cli/settings.h"
#include "core/shown_keys.h"
#include "core/update.h"
#include "crypto/hash.h"
#include "sys/commands.h"

namespace sops::cli_edit {

namespace {

// An editor that is back so soon without a change has probably gone to the background (editing.md 2.2).
constexpr std::chrono::milliseconds kTooQuick{1000};

std::vector<FlagSpec> flags() {
  std::vector<FlagSpec> all = {
      {.name = "show-master-keys",
       .short_name = "s",
       .summary = "show the sops block too: keys and settings can be edited"},
  };
  all = merge_flags(std::move(all), decrypt_flags());
  all = merge_flags(std::move(all), type_flags());
  all = merge_flags(std::move(all), key_flags());
  all = merge_flags(std::move(all), selection_flags());
  all.push_back(threshold_flag());
  all.push_back({.name = "allow-plaintext",
                 .summary = "permit a rule that selects nothing, and an alias that shows in the clear what "
                            "is encrypted at its anchor"});
  all.push_back({.name = "allow-disk", .summary = "permit a folder on a disk where none is to be had in memory"});
  return all;
}

// What is edited, as it is before the session.
struct Edited {
  Input input;
  const FormatType* format = nullptr;
  EmitStyle style;
  bool is_new = false;
  bool shows_keys = false;
  InputText text;                  // of a file that exists, as is
  std::optional<OpenedFile> file;  // this
  EncryptOptions options;          // of a new one
  Metadata keys;                   // the wrapped copies of the data key
  std::optional<DataKey> key;
  SecureBytes base;         // what the editor is given, and what a result is compared with
  std::string base_sha256;  // of the file's bytes; empty for a new one

  // `text` as the file stores it, in its encoding.
  SecureBytes encode(SecureBytes utf8) const { return is_new ? std::move(utf8) : text.encode(std::move(utf8)); }
};

Result<Input> find_target(CommandContext& context) {
  const std::vector<std::string>& words = context.args.positionals;
  if (words.empty()) {
    return fail(ErrorCode::kUsage, "no file is named").hint("name the file to edit").exit(ExitStatus::kNoFile);
  }
  if (words.size() > 1) {
    return fail(ErrorCode::kUsage, "one file at a time: '{}' is one too many", escape_for_message(words[1]));
  }
  if (words[0] == "-") {
    return fail(ErrorCode::kUsage, "standard input cannot be edited").hint("a file of that name is written ./-");
  }
  const std::string cwd = context.services.environment.working_directory();
  const std::string override = context.args.text("filename-override");
  Input input;
  input.shown = escape_for_message(words[0]);
  input.path = absolute_path(words[0], cwd);
  input.effective = override.empty() ? input.path : absolute_path(override, cwd);
  return input;
}

Result<void> open_existing(CommandContext& context, Edited& edited) {
  const std::string& shown = edited.input.shown;
  edited.text = TRY(in_context(read_input(context, edited.input, *edited.format), "{}", shown));
  edited.file = TRY(open_input(context, edited.input, edited.text));
  SecureBytes plain = TRY(in_context(decrypted_text(*edited.file), "{}", shown));
  if (edited.shows_keys) {
    auto with_keys = show_keys(plain.expose_text(), *edited.format, edited.file->metadata, edited.style);
    plain = TRY(in_context(std::move(with_keys), "{}", shown));
  }
  edited.base = edited.encode(std::move(plain));
  edited.base_sha256 = hex_lower(sha256(edited.text.bytes.expose()));
  edited.keys = edited.file->metadata;
  edited.key = edited.file->key->clone();
  print_warnings(context, edited.input, edited.file->warnings);
  if (context.args.flag("ignore-mac")) {  // editing.md 1.8
    context.ui.warning(
        format("{}: the values are not checked, and what is written is signed as it was found", edited.input.shown));
  }
  return {};
}

// The data key is wrapped before the editor starts, so that a draft needs no key service (editing.md 2.3).
Result<void> open_new(CommandContext& context, Edited& edited) {
  const std::string folder = dirname(edited.input.path);
  const auto there = TRY(or_exit(context.services.files.info(folder), ExitStatus::kCannotWriteOutput));
  if (!there) {
    return fail(ErrorCode::kNotFound, "there is no folder {}", escape_for_message(folder, 4096))
        .hint("make it first: mkdir -p")
        .exit(ExitStatus::kCannotWriteOutput);
  }
  const EncryptionSettings settings = TRY(encryption_settings(context, edited.input, *edited.format));
  edited.options = settings.options;
  edited.base = TRY(edited.format->emit(example_tree(*edited.format), edited.style));
  edited.key = DataKey::generate(context.services.random);
  WrappedKey wrapped =
      TRY(or_exit(wrap_data_key(*edited.key, settings.groups, settings.options.shamir_threshold, context.services),
                  ExitStatus::kNoDataKey));
  edited.keys.groups = std::move(wrapped.groups);
  edited.keys.shamir_threshold = wrapped.shamir_threshold;
  if (edited.shows_keys) {
    context.ui.note(format("{}: the file is new and has no sops block yet; its keys are those of the configuration",
                           edited.input.shown));
    edited.shows_keys = false;
  }
  return {};
}

Result<Edited> open_target(CommandContext& context) {
  Edited edited;
  edited.input = TRY(find_target(context));
  const auto info = TRY(or_exit(context.services.files.info(edited.input.path), ExitStatus::kCannotReadInput));
  edited.is_new = !info.has_value();
  edited.format = TRY(choose_format(context, "input-type", edited.input.effective));
  const FormatType* output_format = TRY(choose_format(context, "output-type", edited.input.effective));
  if (edited.format != output_format) {
    return fail(ErrorCode::kUnsupported, "editing {} and writing {} is not supported yet", edited.format->id,
                output_format->id)
        .hint("leave out --output-type, or name the same format for both");
  }
  edited.shows_keys = context.args.flag("show-master-keys");
  edited.style = TRY(emit_style(context, *edited.format));
  TRY(edited.is_new ? in_context(open_new(context, edited), "{}", edited.input.shown) : open_existing(context, edited));
  return edited;
}

// --- Drafts of earlier sessions (editing.md 2.4) --------------------------------------------------------------------

struct ChosenDraft {
  std::string path;
  Draft draft;
};

Result<std::string> ask_about(CommandContext& context, const Edited& edited, const ChosenDraft& chosen) {
  const bool changed = chosen.draft.base_sha256 != edited.base_sha256;
  context.ui.note(format("there is a draft of {} of {}, because {}: {}", edited.input.shown,
                         escape_for_message(chosen.draft.made, 40), escape_for_message(chosen.draft.reason),
                         escape_for_message(chosen.path, 4096)));
  context.ui.note(!changed                           ? "the file has not changed since the draft was begun"
                  : edited.is_new                    ? "the file is gone since the draft was begun"
                  : chosen.draft.base_sha256.empty() ? "the file did not exist when the draft was begun"
                                                     : "the file has changed since the draft was begun");
  const auto answer =
      TRY(context.services.terminal.ask("open it (o), show the difference (d), discard it (x), or leave it and edit "
                                        "the file as it is (Enter)? "));
  if (!answer) return fail(ErrorCode::kUsage, "no answer").exit(ExitStatus::kGeneric);
  return std::string(trim(*answer));
}

// The draft at `path`, nullopt if it is none that may be offered.
std::optional<ChosenDraft> read_draft(CommandContext& context, const Edited& edited, const std::string& path) {
  const auto order = parse_decryption_order(context.args.text("decryption-order"));
  const auto bytes = context.services.files.read(path);
  auto opened = !bytes   ? Result<OpenedDraft>(fail(Error(bytes.error())))
                : !order ? Result<OpenedDraft>(fail(Error(order.error())))
                         : open_draft(bytes->expose_text(), &*edited.key, *order, context.services);
  if (!opened) {
    context.ui.warning(format("there is a draft that cannot be opened: {}", escape_for_message(path, 4096)));
    context.ui.error(opened.error());
    return std::nullopt;
  }
  // Whoever can put files beside the target can make a draft for our public keys, but not with the file's data key.
  const bool is_beside = dirname(path) == dirname(edited.input.path);
  const bool same_key = ct_equal(opened->key.bytes().expose(), edited.key->bytes().expose());
  if ((is_beside && !same_key) || opened->draft.target != edited.input.path) {
    context.ui.warning(
        format("{} is a draft that was not made with the data key of this file, and is not offered; "
               "sops decrypt prints it",
               escape_for_message(path, 4096)));
    return std::nullopt;
  }
  return ChosenDraft{.path = path, .draft = std::move(opened->draft)};
}

// The draft that the person wants to go on with.
Result<std::optional<ChosenDraft>> offer_drafts(CommandContext& context, const Edited& edited) {
  for (const std::string& path : find_drafts(edited.input.path, context.services)) {
    if (!context.services.terminal.stdin_is_terminal()) {
      context.ui.warning(
          format("there is a draft of {}, which stays: {}", edited.input.shown, escape_for_message(path, 4096)));
      continue;
    }
    std::optional<ChosenDraft> chosen = read_draft(context, edited, path);
    while (chosen) {
      const std::string answer = TRY(ask_about(context, edited, *chosen));
      if (answer == "o") return chosen;
      if (answer == "d") {
        SecureBuffer difference;
        append_line_diff(edited.base.expose_text(), chosen->draft.text.expose_text(), difference);
        context.ui.lines(difference.size() == 0 ? "(no difference)" : difference.view());
      }
      if (answer == "x") TRY(context.services.files.remove(path));
      if (answer.empty() || answer == "x") chosen.reset();
    }
  }
  return std::optional<ChosenDraft>();
}

// --- The session ----------------------------------------------------------------------------------------------------

class Session {
 public:
  Session(CommandContext& context, Edited& edited, std::optional<ChosenDraft> opened)
      : context_(context),
        edited_(edited),
        opened_(std::move(opened)),
        origin_{.target = edited.input.path,
                .base_sha256 = edited.base_sha256,
                .keys_shown = edited.shows_keys,
                .keys = edited.keys,
                .key = *edited.key} {}

  Result<int> run(const Editor& editor) {
    TRY(open_folder());
    const std::vector<std::string> words = editor_words(editor, files(editor));
    while (true) {
      const auto end = context_.services.commands.run_editor(words, *folder_);
      TRY(look());
      if (!end) return stop(Error(end.error()).with_exit(ExitStatus::kEditorFailed));
      if (end->signal != 0) return stop(fail(ErrorCode::kUnavailable, "ended by signal {}", end->signal).error());
      if (end->status != 0) {
        return stop(
            fail(ErrorCode::kIo, "the editor {} ended with status {}", escape_for_message(words[0]), end->status)
                .exit(ExitStatus::kEditorFailed)
                .error());
      }
      if (!remains_.has_text) {
        return stop(fail(ErrorCode::kNotFound, "the editor removed the file that it was to edit")
                        .exit(ExitStatus::kEditorFailed)
                        .error());
      }
      if (remains_.text.expose_text() == edited_.base.expose_text()) return unchanged(*end);
      const std::optional<int> status = finish();
      if (status) return *status;
    }
  }

 private:
  Result<void> open_folder() {
    folder_ = TRY(or_exit(context_.services.commands.make_session({.name = target_hash(edited_.input.path),
                                                                   .allow_disk = context_.args.flag("allow-disk")}),
                          ExitStatus::kCannotWriteOutput));
    return fill_session(*folder_, origin_, edited_.base, opened_ ? opened_->draft.text : edited_.base,
                        context_.services);
  }

  EditorFiles files(const Editor& editor) {
    EditorFiles files{
        .text = session_text(*folder_, edited_.input.path), .swap = session_swap(*folder_), .recovered = ""};
    if (!opened_) return files;
    // vim calls a swap file by the path of its text; it goes on from there if that is the same as then.
    std::string vim_name = files.text;
    std::ranges::replace(vim_name, '/', '%');
    size_t number = 0;
    bool needs_hand = false;
    for (const SwapFile& file : opened_->draft.swap_files) {
      if (!is_swap_file(file.name) || is_saved_text(file.name, basename(edited_.input.path))) continue;
      const std::string name = format("recovered/{}.swp", ++number);
      if (!folder_->write(name, file.content.expose())) continue;
      const bool fits = editor.kind == EditorKind::kVim && file.name.starts_with(vim_name);
      if (fits && files.recovered.empty()) {
        files.recovered = format("{}/{}", folder_->path(), name);
      } else {
        needs_hand = true;
      }
    }
    if (needs_hand) {
      context_.ui.note(format(
          "the draft brought along what the editor had not saved yet, in its own form: {}/recovered", folder_->path()));
    }
    return files;
  }

  // Reads what the editor has left.
  Result<void> look() {
    auto remains = collect_remains(*folder_, edited_.input.path);
    if (!remains) {
      folder_->keep();
      context_.ui.warning(format("what was typed stays in {}", folder_->path()));
      return fail(std::move(remains.error()));
    }
    remains_ = std::move(*remains);
    return {};
  }

  bool is_anything_typed() const {
    return remains_.has_swap_files || (remains_.has_text && remains_.typed.expose_text() != edited_.base.expose_text());
  }

  // Ends the session without a result. What was typed becomes a draft.
  int stop(const Error& error) {
    Error shown = error;
    shown.context.push_back(edited_.input.shown);
    context_.ui.error(shown);
    save_draft(error.message);
    return static_cast<int>(error.exit_status.value_or(ExitStatus::kGeneric));
  }

  void save_draft(std::string_view reason) {
    if (!is_anything_typed()) return;
    if (opened_ && !remains_.has_swap_files && remains_.typed.expose_text() == opened_->draft.text.expose_text()) {
      context_.ui.note(format("the draft stays: {}", escape_for_message(opened_->path, 4096)));
      return;
    }
    keep_draft(*folder_, origin_, std::move(remains_), reason, context_.services, context_.ui);
  }

  int unchanged(const EditorEnd& end) {
    context_.ui.note(
        format("{}: nothing was changed{}", edited_.input.shown, edited_.is_new ? ", so no file was made" : ""));
    if (is_anything_typed()) {
      save_draft("the editor left what was not saved");
    } else if (opened_) {
      context_.ui.note(format("the draft stays: {}", escape_for_message(opened_->path, 4096)));
    } else if (end.duration < kTooQuick) {
      context_.ui.note("if the editor was back before you could type, let it wait: EDITOR='code --wait', 'gvim -f'");
    }
    return static_cast<int>(ExitStatus::kFileNotModified);
  }

  // Encrypts and writes. The exit status; nullopt: back to the editor.
  std::optional<int> finish() {
    position_text_ = {};
    auto result = encrypt();
    if (!result) return refuse(result.error());
    if (!*result) return refuse(fail(ErrorCode::kUsage, "the change was not confirmed").error());
    if (const auto written = write(**result); !written) return stop(written.error());
    if (opened_) {
      if (const auto removed = context_.services.files.remove(opened_->path); !removed)
        context_.ui.warning(removed.error().message);
    }
    // An editor that was killed has perhaps saved less than it knew.
    if (remains_.has_swap_files) save_draft("the editor left what was not saved");
    return 0;
  }

  // The text cannot be written. Asks whether the editor shall have it once more (editing.md 2.7).
  std::optional<int> refuse(Error error) {
    error.context.push_back(edited_.input.shown);
    context_.ui.error(error);
    if (error.position) context_.ui.excerpt(position_text_.expose_text(), *error.position);
    const auto answer = context_.services.terminal.ask(
        "Press Enter to go back to the editor, or type q to stop and keep the text as a draft: ");
    if (answer && *answer && trim(**answer) != "q") return std::nullopt;
    save_draft(error.message);
    if (!answer) return static_cast<int>(ExitStatus::kGeneric);  // a signal
    return static_cast<int>(is_invalid_text(error) ? ExitStatus::kEditorFailed
                                                   : error.exit_status.value_or(ExitStatus::kGeneric));
  }

  // As against text that is well formed, but cannot be encrypted.
  static bool is_invalid_text(const Error& error) {
    return error.exit_status == ExitStatus::kCannotReadInput || error.exit_status == ExitStatus::kNoDocument ||
           error.exit_status == ExitStatus::kAlreadyEncrypted;
  }

  // The encrypted file, in its encoding; nullopt if the person does not want it.
  Result<std::optional<SecureBytes>> encrypt() {
    const FormatType& format = *edited_.format;
    std::optional<SecureBytes> decoded;
    if (format.decode_text != nullptr)
      decoded = TRY(or_exit(format.decode_text(remains_.text.expose_text()), ExitStatus::kCannotReadInput));
    position_text_ = decoded ? std::move(*decoded) : remains_.text.clone();
    std::string_view plain = position_text_.expose_text();

    UpdateOptions options{.write_version = true,
                          .allow_plaintext = context_.args.flag("allow-plaintext"),
                          .style = edited_.style,
                          .metadata = std::nullopt};
    SecureBytes without_keys;
    if (edited_.shows_keys) {
      ShownKeys shown = TRY(take_keys(plain, format, edited_.file->metadata, context_.services));
      for (const std::string& warning : shown.warnings) context_.ui.warning(warning);
      without_keys = std::move(shown.plain);
      plain = without_keys.expose_text();
      TRY(or_exit(format.scan(plain, ScanMode::kPlain), ExitStatus::kCannotReadInput));
      const bool confirmed = TRY(confirm_selection(plain, shown.metadata));
      if (!confirmed) return std::optional<SecureBytes>();
      options.metadata =
          TRY(wrap_changed_keys(std::move(shown.metadata), edited_.file->metadata, *edited_.key, context_.services));
    }
    TRY(or_exit(format.scan(plain, ScanMode::kPlain), ExitStatus::kCannotReadInput));
    auto encrypted = edited_.is_new
                         ? encrypt_text(plain, format, edited_.options, *edited_.key, edited_.keys, context_.services)
                         : update_text(*edited_.file, plain, options, context_.services);
    if (!encrypted) return fail(std::move(encrypted.error()));
    print_warnings(context_, edited_.input, encrypted->warnings);
    return std::optional<SecureBytes>(edited_.encode(std::move(encrypted->text)));
  }

  // editing.md 2.8: settings that put values in clear are confirmed.
  Result<bool> confirm_selection(std::string_view plain, const Metadata& metadata) {
    const size_t count =
        TRY(count_newly_clear(plain, *edited_.format, edited_.file->metadata.selection, metadata.selection));
    if (count == 0) return true;
    const auto answer = TRY(context_.services.terminal.ask(format(
        "With these settings {} that {} encrypted until now will be in the clear. Write the file (y/n)? ",
        count == 1 ? "a value or comment" : format("{} values and comments", count), count == 1 ? "was" : "were")));
    return answer && trim(*answer) == "y";
  }

  Result<void> write(const SecureBytes& result) {
    Files::ReplaceOptions options;
    options.must_be_new = edited_.is_new;
    if (!edited_.is_new) options.expected = edited_.text.bytes.expose();
    const auto method = TRY(or_exit(context_.services.files.replace(edited_.input.path, result.expose(), options),
                                    ExitStatus::kCannotWriteOutput));
    if (method == ReplaceMethod::kInPlace) {
      context_.ui.note(
          format("{}: written in place, because it could not be replaced as a whole here", edited_.input.shown));
    }
    return {};
  }

  CommandContext& context_;
  Edited& edited_;
  std::optional<ChosenDraft> opened_;
  const SessionOrigin origin_;
  std::unique_ptr<SessionFolder> folder_;
  EditorRemains remains_;
  SecureBytes position_text_;  // what positions in errors refer to
};

Result<int> run(CommandContext& context) {
  Edited edited = TRY(open_target(context));
  const Editor editor = TRY(choose_editor(context.services));
  std::optional<ChosenDraft> opened = TRY(offer_drafts(context, edited));
  if (opened && opened->draft.keys_shown != edited.shows_keys) {
    return fail(ErrorCode::kUsage, "the draft was made {} --show-master-keys",
                opened->draft.keys_shown ? "with" : "without")
        .hint("edit the file in the same way");
  }
  // From here on there is something to lose.
  context.services.commands.hold_signals();
  Session session(context, edited, std::move(opened));
  return session.run(editor);
}

}  // namespace

extern const CommandSpec command;  // declared by commands.cc too: constants are private to their file otherwise
const CommandSpec command = {
    .name = "edit",
    .arguments = "FILE",
    .summary = "edit an encrypted file in the clear",
    .manual =
        "Decrypts FILE into a private folder in memory, starts the editor there, and encrypts what was saved. Values "
        "that did not change\n"
        "keep their ciphertext. A FILE that does not exist is begun with example content, for the keys that sops "
        "encrypt "
        "would take.\n"
        "Without a change nothing is written, and the exit status is 200.\n"
        "\n"
        "The editor is $SOPS_EDITOR, else $EDITOR, else the first of vim, nano and vi that is installed. It must not "
        "return before\n"
        "the file is edited: code --wait, gvim -f.\n"
        "\n"
        "What was typed is not lost. If it cannot be written (the text is invalid and nobody answers, the editor or "
        "sops "
        "is ended, the\n"
        "disk is full, the file was changed by others) it becomes a draft below ~/.local/state/sops/drafts: an "
        "encrypted "
        "file that the\n"
        "next sops edit offers to open, to compare or to discard.\n"
        "\n"
        "With -s the sops block of the file is shown too. Keys that are added there get the data key; keys that are "
        "taken "
        "out lose\n"
        "their copy of it, but may remember it: sops rotate makes a new one.\n"
        "\n"
        "sops FILE does the same as sops edit FILE.",
    .flags = flags,
    .run = run,
};

}  // namespace sops::cli_edit
