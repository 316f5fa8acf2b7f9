// SPDX-License-Identifier: MPL-2.0
//
// sops updatekeys: the master keys of files become those of .sops.yaml (cli.md 6.3).
#include "cli/updatekeys.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "base/path.h"
#include "cli/batch.h"
#include "cli/rewrite.h"
#include "cli/settings.h"
#include "core/update.h"

namespace sops {

Result<WantedKeys> find_wanted_keys(CommandContext& context, const std::string& path, const FormatType& format) {
  WantedKeys wanted;
  const Config* config = TRY(configuration(context, path));
  if (config == nullptr) {
    return fail(ErrorCode::kNotFound, "no .sops.yaml was found")
        .hint("updatekeys takes the keys of its creation rules");
  }
  const std::string shown = escape_for_message(config->path);
  const RuleMatch match = TRY(in_context(find_creation_rule(*config, path), "{}", shown));
  if (match.rule == nullptr) {
    return fail(ErrorCode::kNotFound, "{}: the configuration has no creation rules", shown);
  }
  wanted.groups = TRY(in_context(rule_groups(*match.rule, wanted.keys), "{}", shown));
  wanted.where = sops::format("rule {} at line {} of {}", match.index + 1, match.rule->position.line, shown);
  wanted.threshold = match.rule->shamir_threshold;
  wanted.indent = config->stores.indent_for(format.id);
  return wanted;
}

Result<KeysUpdate> plan_updatekeys(const InputText& input, const WantedKeys& wanted) {
  KeysUpdate update;
  update.file = TRY(read_encrypted(input.text(), *input.format));
  const Metadata& metadata = update.file.metadata;
  update.threshold = threshold_for(metadata, wanted.groups.size());
  update.difference = compare_keys(metadata, wanted.groups, update.threshold);
  return update;
}

std::string difference_text(const KeyDifference& difference) {
  std::string text = "The following changes will be made to the file's groups:\n";
  if (difference.threshold_before == difference.threshold_after) {
    if (difference.threshold_after > 0) text += format("shamir_threshold: {}\n", difference.threshold_after);
  } else {
    if (difference.threshold_after > 0) text += format("+++ shamir_threshold: {}\n", difference.threshold_after);
    if (difference.threshold_before > 0) text += format("--- shamir_threshold: {}\n", difference.threshold_before);
  }
  // Names come from files: nothing in them may act on a terminal, and nothing is cut off.
  const auto line = [&](std::string_view mark, const KeyName& key) {
    text += format("{} {}\n", mark, escape_for_message(key.id, size_t{1} << 20));
  };
  for (size_t i = 0; i < difference.groups.size(); ++i) {
    const KeyDifference::Group& group = difference.groups[i];
    text += format("Group {}\n", i + 1);
    for (const KeyName& key : group.kept) line("   ", key);
    for (const KeyName& key : group.added) line("+++", key);
    for (const KeyName& key : group.removed) line("---", key);
  }
  return text;
}

Result<SecureBytes> apply_updatekeys(const InputText& input, KeysUpdate& update, const WantedKeys& wanted,
                                     const KeyLabels& labels, const EmitStyle& style, Services& services) {
  const RecoveredKey recovered = TRY(recover_file_key(update.file, {.order = {}, .labels = labels}, services));
  const Metadata metadata = TRY(change_keys(update.file, recovered, wanted.groups, update.threshold, services));
  SecureBytes text = TRY(replace_metadata(update.file, metadata, style));
  return input.encode(std::move(text));
}

}  // namespace sops

namespace sops::cli_updatekeys {

namespace {

std::vector<FlagSpec> flags() {
  std::vector<FlagSpec> all = {{.name = "yes", .short_name = "y", .summary = "do not ask before a file is changed"},
                               {.name = "input-type",
                                .kind = FlagKind::kString,
                                .value_name = "TYPE",
                                .summary = "format of the files: yaml, json or binary (default: by the file's name)",
                                .words = ValueWords::kFormats}};
  return merge_flags(std::move(all), batch_flags(BatchCommand::Destination::kInPlace));
}

Result<Input> named_file(CommandContext& context, const std::string& word) {
  Input input;
  input.shown = escape_for_message(word);
  input.path = absolute_path(word, context.services.environment.working_directory());
  input.effective = input.path;
  const auto info = TRY(in_context(context.services.files.info(input.path), "{}", input.shown));
  if (!info) return fail(ErrorCode::kNotFound, "{}: there is no such file", input.shown);
  if (info->kind == FileInfo::Kind::kDirectory) {
    return fail(ErrorCode::kUsage, "{}: this is a directory", input.shown).hint("name the files in it");
  }
  return input;
}

void print_notes(CommandContext& context, const Input& input, const WantedKeys& wanted, const KeysUpdate& update) {
  const auto groups = static_cast<int64_t>(wanted.groups.size());
  const int64_t threshold = update.threshold == 0 ? groups : update.threshold;
  if (groups > 1 && wanted.threshold != 0 && wanted.threshold != threshold) {
    context.ui.warning(
        format("{}: the file keeps the threshold {}, although the rule has shamir_threshold {}; sops groups changes it",
               input.shown, threshold, wanted.threshold));
  }
  if (update.difference.removes_any()) {
    context.ui.note(
        format("{}: the data key is unchanged, so who was removed can still decrypt an older version of the file; "
               "sops rotate -i changes it",
               input.shown));
  }
}

// What the person was shown and agreed to, over several tries.
struct Agreement {
  std::optional<KeyDifference> difference;
  bool is_declined = false;
};

// Shows the difference and asks, unless that was done. Returns whether to go on.
Result<bool> agree(CommandContext& context, const KeyDifference& difference, Agreement& agreement) {
  if (agreement.difference == difference) return true;
  TRY(context.ui.data(difference_text(difference)));
  if (!context.args.flag("yes")) {
    const bool is_okay = TRY(confirm(context, "Is this okay?"));
    agreement.is_declined = !is_okay;
    if (!is_okay) return false;
  }
  agreement.difference = difference;
  return true;
}

Result<void> update_file(CommandContext& context, const std::string& word) {
  const Input input = TRY(named_file(context, word));
  const FormatType* file_format = TRY(choose_format(context, "input-type", input.effective));
  const WantedKeys wanted = TRY(in_context(find_wanted_keys(context, input.path, *file_format), "{}", input.shown));
  context.ui.note(format("{}: syncing keys with {}", input.shown, wanted.where));
  EmitStyle style{.indent = wanted.indent};
  if (const auto indent = context.args.number("indent"))
    style.indent = static_cast<int>(std::clamp<int64_t>(*indent, -100, 100));

  Agreement agreement;
  std::optional<KeysUpdate> done;  // its document is of the last text that was read
  const auto make = [&](const InputText& text) -> Result<std::optional<SecureBytes>> {
    done.reset();
    KeysUpdate update = TRY(plan_updatekeys(text, wanted));
    if (update.difference.empty()) return std::optional<SecureBytes>();
    const bool go_on = TRY(agree(context, update.difference, agreement));
    if (!go_on) return std::optional<SecureBytes>();
    TRY(or_exit(require_local_keys(context), ExitStatus::kNoDataKey));
    SecureBytes bytes =
        TRY(apply_updatekeys(text, update, wanted, key_labels(context, input), style, context.services));
    done = std::move(update);
    return std::optional(std::move(bytes));
  };
  auto written = rewrite(context, input, *file_format, {.kind = Output::Kind::kInPlace, .path = input.path}, make);
  if (!written) {
    // cli.md 3.3: a target that cannot be written is no 3 here.
    if (written.error().exit_status == ExitStatus::kCannotWriteOutput) written.error().exit_status.reset();
    return fail(std::move(written.error()));
  }
  if (*written) {
    print_warnings(context, input, done->file.warnings);
    print_notes(context, input, wanted, *done);
  }
  const std::string_view outcome = *written                ? "synced with new keys"
                                   : agreement.is_declined ? "left unchanged"
                                                           : "already up to date";
  context.ui.note(format("{}: {}", input.shown, outcome));
  return {};
}

// Many files in one call: all are looked at, one question is asked for all (editing.md 5.1), then all are done.
class ManyUpdates {
 public:
  Result<int> run(CommandContext& context) {
    BatchCommand command{.name = "updatekeys",
                         .verb = "update",
                         .done = "updated",
                         .unchanged = "already up to date",
                         .destination = BatchCommand::Destination::kInPlace,
                         .keeps_going = true,
                         .starts_again = true};
    command.make = [this](CommandContext& own, const BatchFile& file) { return look(own, file, true); };
    command.survey = [this](CommandContext& own, const BatchFile& file) { return look(own, file, false); };
    command.confirm = ask;
    return run_batch(context, command);
  }

 private:
  // Compares the keys and, if `changes`, makes the new bytes.
  Result<FileResult> look(CommandContext& context, const BatchFile& file, bool changes) {
    const Input& input = file.input;
    std::optional<EncryptedInput> encrypted = TRY(read_encrypted_input(context, file));
    if (!encrypted) return FileResult::skipped("not encrypted");
    const WantedKeys wanted =
        TRY(in_context(find_wanted_keys(context, input.path, *encrypted->format), "{}", input.shown));
    auto planned = in_context(plan_updatekeys(encrypted->text, wanted), "{}", input.shown);
    if (!planned && file.is_found && planned.error().code == ErrorCode::kNotFound)
      return FileResult::skipped("not encrypted");
    KeysUpdate update = TRY(std::move(planned));

    FileResult result;
    result.remark = wanted.where;
    if (update.difference.empty()) return result;
    result.kind = FileResult::Kind::kChange;
    result.details = difference_json(update.difference);
    if (!changes) {
      result.plan = difference_text(update.difference);
      const std::lock_guard lock(mutex_);
      seen_[input.path] = update.difference;
      return result;
    }
    TRY(in_context(check_agreed(input, update.difference), "{}", input.shown));
    TRY(or_exit(require_local_keys(context), ExitStatus::kNoDataKey));
    EmitStyle style{.indent = wanted.indent};
    if (const auto indent = context.args.number("indent"))
      style.indent = static_cast<int>(std::clamp<int64_t>(*indent, -100, 100));
    result.bytes = TRY(in_context(
        apply_updatekeys(encrypted->text, update, wanted, key_labels(context, input), style, context.services), "{}",
        input.shown));
    result.original = std::move(encrypted->text.bytes);
    print_warnings(context, input, update.file.warnings);
    print_notes(context, input, wanted, update);
    return result;
  }

  // Others may have changed the keys of the file since the question.
  Result<void> check_agreed(const Input& input, const KeyDifference& difference) {
    const std::lock_guard lock(mutex_);
    const auto seen = seen_.find(input.path);
    if (seen != seen_.end() && seen->second == difference) return {};
    return fail(ErrorCode::kUnavailable, "its keys were changed by another program meanwhile")
        .hint("run the command again");
  }

  static std::string difference_json(const KeyDifference& difference) {
    std::string added;
    std::string removed;
    for (const KeyDifference::Group& group : difference.groups) {
      for (const KeyName& key : group.added) added += (added.empty() ? "" : ",") + json_string(key.id);
      for (const KeyName& key : group.removed) removed += (removed.empty() ? "" : ",") + json_string(key.id);
    }
    return format(R"("added":[{}],"removed":[{}])", added, removed);
  }

  // Files with the same rule and the same difference stand together.
  static Result<bool> ask(CommandContext& context, const BatchCommand::Surveyed& files) {
    std::vector<std::pair<std::string, std::string>> plans;  // the plan and the names, in the order of the first
    std::map<std::string, size_t> index;
    for (const auto& [file, result] : files) {
      const std::string plan = format("{}:\n{}", result->remark, result->plan);
      const auto [at, is_new] = index.emplace(plan, plans.size());
      if (is_new) plans.emplace_back(plan, "");
      plans[at->second].second += file->input.shown + "\n";
    }
    if (!context.args.flag("json")) {
      std::string text;
      for (const auto& [plan, names] : plans) text += names + plan;
      TRY(context.ui.data(text));
    }
    if (context.args.flag("yes") || context.args.flag("dry-run")) return true;
    return confirm(context, files.size() == 1 ? std::string("Is this okay?")
                                              : format("Is this okay for all {} files?", files.size()));
  }

  std::mutex mutex_;
  std::map<std::string, KeyDifference> seen_;  // by path
};

// Named files without --yes are asked for one by one, as in SOPS.
bool is_many(const CommandContext& context) {
  if (context.args.positionals.size() < 2 || context.args.flag("yes"))
    return is_batch(context, BatchCommand::Destination::kInPlace);
  for (std::string_view flag : {"recursive", "dry-run", "keep-going", "all-or-nothing", "json"}) {
    if (context.args.flag(flag)) return true;
  }
  return false;
}

Result<int> run(CommandContext& context) {
  const std::vector<std::string>& words = context.args.positionals;
  if (words.empty()) {
    // cli.md 6.3: that there is no configuration is seen first.
    const Config* config = TRY(configuration(context, ""));
    if (config == nullptr) return fail(ErrorCode::kNotFound, "no .sops.yaml was found, and no file is named");
    return fail(ErrorCode::kUsage, "no file is named").hint("sops updatekeys FILE…").exit(ExitStatus::kNoFile);
  }
  if (is_many(context)) return ManyUpdates().run(context);
  if (words.size() == 1) {
    TRY(update_file(context, words.front()));
    return 0;
  }
  size_t failures = 0;
  for (const std::string& word : words) {  // editing.md 3.2: goes on after an error
    CommandContext own{.services = context.services, .args = context.args, .ui = context.ui};
    const auto updated = update_file(own, word);
    if (updated) continue;
    context.ui.error(updated.error());
    ++failures;
  }
  if (failures > 0) return fail(ErrorCode::kUnavailable, "{} of {} files were not updated", failures, words.size());
  return 0;
}

}  // namespace

extern const CommandSpec command;  // declared by commands.cc too: constants are private to their file otherwise
const CommandSpec command = {
    .name = "updatekeys",
    .arguments = "FILE…",
    .summary = "give files the master keys that .sops.yaml names",
    .manual =
        "Compares the master keys of each file with those of its creation rule, shows the difference on standard "
        "output "
        "and asks.\n"
        "Then the data key is encrypted for the keys that were added; the entries of the others, the values, the MAC "
        "and\n"
        "lastmodified stay byte for byte. Where key groups come, go or change places, all get fresh shares. The "
        "threshold of the\n"
        "file stays, as far as its groups are enough for it.\n"
        "\n"
        "The data key does not change: who was removed can still decrypt with an older version of the file. sops "
        "rotate\n"
        "changes it. Several files: the others are updated although one fails, unless --all-or-nothing is given. With "
        "-r the "
        "encrypted\n"
        "files in directories are compared, one question is asked for all, and all are updated or none.",
    .flags = flags,
    .run = run,
};

}  // namespace sops::cli_updatekeys
