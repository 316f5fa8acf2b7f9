// SPDX-License-Identifier: MPL-2.0
//
// The course of a command over many files:
//
//   find         named files and those below directories, in an order that depends on nothing else
//   place        where each result goes; two results for one place are an error
//   survey, ask  only for commands that ask, and once for all
//   make         on all processors; a result is stored at once (Files::begin_changes), so memory stays bounded
//   commit       all together, or what there is with --keep-going
//   report       what was said of each file, in order; the summary; with --json the report
//
// All files are made even if an early one fails: so what is reported does not depend on which thread was faster.
#include "cli/batch.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <set>

#include "base/parallel.h"
#include "base/path.h"
#include "cli/batch_find.h"
#include "cli/batch_report.h"
#include "cli/settings.h"
#include "sys/run_state.h"

namespace sops {

namespace {

// Of a file whose text is a whole file in the clear (binary), so many bytes tell whether it can be encrypted.
constexpr size_t kBeginning = 256;

// How often a file that others keep changing is done (editing.md 1.7).
constexpr int kTries = 4;

bool contains(std::string_view text, std::string_view word) { return text.find(word) != std::string_view::npos; }

// What every encrypted file of every format holds. Whether it is one shows when it is read; a damaged one is an error
// then, and not something else (architecture.md promise 4).
bool may_be_encrypted(std::string_view text) { return contains(text, "sops") && contains(text, "lastmodified"); }

Failure conflict(std::string_view message, std::string_view hint) {
  return fail(ErrorCode::kUsage, "{}", message).hint(std::string(hint)).exit(ExitStatus::kConflictingParameters);
}

// "3 of 40" on a line of standard error that is written again and again, while it is a terminal.
class Progress {
 public:
  Progress(CommandContext& context, std::string_view what, size_t total)
      : ui_(context.ui),
        what_(what),
        total_(total),
        questions_(context.services.run.get<Questions>()),
        shows_(context.services.terminal.stderr_is_terminal() && !context.args.flag("json")) {}
  ~Progress() {
    if (length_ > 0) ui_.progress("", length_);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void step() {
    const size_t done = ++done_;
    if (!shows_) return;
    const std::unique_lock lock(mutex_, std::try_to_lock);
    const auto now = std::chrono::steady_clock::now();
    if (!lock || now < next_) return;
    const std::unique_lock no_question(questions_.turn, std::try_to_lock);
    if (!no_question) return;
    next_ = now + std::chrono::milliseconds(100);
    length_ = ui_.progress(format("sops: {}: {} of {} files", what_, done, total_), length_);
  }

 private:
  Ui& ui_;
  std::string_view what_;
  size_t total_;
  Questions& questions_;
  bool shows_;
  std::atomic<size_t> done_ = 0;
  std::mutex mutex_;
  size_t length_ = 0;
  // The first line comes late enough not to flicker.
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
};

class Batch {
 public:
  Batch(CommandContext& context, const BatchCommand& command)
      : context_(context),
        command_(command),
        is_dry_(context.args.flag("dry-run")),
        is_recursive_(context.args.flag("recursive")),
        writes_(command.destination != BatchCommand::Destination::kNone && !is_dry_) {}

  Result<int> run() {
    TRY(check_flags());
    TRY(find());
    TRY(place());
    if (command_.survey) {
      each("compare", command_.survey, false);
      TRY(ask());
    }
    if (writes_) {
      changes_ = context_.services.files.begin_changes();
      remove_remains();
    }
    if (!command_.survey || !is_dry_) each(command_.verb, command_.make, true);
    commit();
    changes_.reset();
    return report();
  }

 private:
  enum class Policy { kDefault, kKeepGoing, kAllOrNothing };

  // --- flags

  Result<void> check_flags() {
    const ParsedArgs& args = context_.args;
    if (args.positionals.empty()) {
      return fail(ErrorCode::kUsage, "no file is named")
          .hint(is_recursive_ ? "-r . takes the working directory" : "name a file")
          .exit(ExitStatus::kNoFile);
    }
    if (args.flag("keep-going") && args.flag("all-or-nothing"))
      return conflict("--keep-going and --all-or-nothing exclude each other", "");
    keeps_going_ = args.flag("keep-going") ||
                   (command_.keeps_going && !is_recursive_ && !args.flag("all-or-nothing")) ||
                   command_.destination == BatchCommand::Destination::kNone;
    if (command_.destination != BatchCommand::Destination::kChosen) return {};
    const bool several = is_recursive_ || args.positionals.size() > 1;
    const int places = static_cast<int>(args.flag("in-place")) + static_cast<int>(args.is_set("output")) +
                       static_cast<int>(args.is_set("output-dir"));
    if (places > 1) return conflict("--in-place, --output and --output-dir exclude each other", "");
    if (args.is_set("output-dir") && args.text("output-dir").empty())
      return conflict("--output-dir needs the name of a directory", "");
    for (std::string_view flag : {"output", "extract", "filename-override"}) {
      if (several && args.is_set(flag))
        return conflict(format("--{} is for one file", flag), "name the files one by one");
    }
    // editing.md 3.4
    if (places == 0 && !(is_dry_ && !several)) {
      return conflict(several ? "the results of several files cannot share standard output"
                              : "the report and the result cannot share standard output",
                      "-i replaces the files; --output-dir DIR writes the results there");
    }
    return {};
  }

  // --- files

  Result<void> find() {
    const ParsedArgs& args = context_.args;
    const std::string cwd = context_.services.environment.working_directory();
    SearchOptions options{.recursive = is_recursive_, .output_dir = "", .config = ""};
    if (args.is_set("output-dir")) options.output_dir = absolute_path(args.text("output-dir"), cwd);
    if (!args.text("config").empty()) options.config = absolute_path(args.text("config"), cwd);
    SearchResult found = TRY(find_files(args.positionals, options, context_.services));
    remains_ = std::move(found.remains);
    for (FoundFile& candidate : found.candidates) {
      BatchItem item;
      item.file = std::move(candidate.file);
      item.place = std::move(candidate.place);
      if (candidate.error) {
        item.fail(std::move(*candidate.error));
      } else if (!candidate.skip.empty()) {
        item.skip(std::move(candidate.skip));
      }
      items_.push_back(std::move(item));
    }
    if (items_.size() == 1 && !context_.args.text("filename-override").empty()) {
      items_[0].file.input.effective = absolute_path(context_.args.text("filename-override"), cwd);
    }
    output_dir_ = options.output_dir;
    return {};
  }

  // Where each result goes, before anything is made.
  Result<void> place() {
    if (command_.destination == BatchCommand::Destination::kNone) return {};
    const std::string cwd = context_.services.environment.working_directory();
    const std::string output = context_.args.text("output");
    in_place_ = output_dir_.empty() && output.empty();
    std::map<std::string, const BatchItem*> taken;
    std::set<std::pair<uint64_t, uint64_t>> inputs;
    for (BatchItem& item : items_) {
      if (item.state != BatchItem::State::kWaiting) continue;
      item.output = !output_dir_.empty() ? format("{}/{}", output_dir_, item.place)
                    : !output.empty()    ? absolute_path(output, cwd)
                                         : item.file.input.path;
      if (in_place_) continue;
      const auto [other, is_free] = taken.emplace(item.output, &item);
      if (!is_free) {
        return conflict(format("the results of {} and {} would have the same name in the output directory",
                               other->second->file.input.shown, item.file.input.shown),
                        "take them in two calls, or name the directory that both lie in, with -r");
      }
      const auto info = context_.services.files.info(item.file.input.path);
      if (info && *info) inputs.insert({(*info)->device, (*info)->inode});
    }
    for (const BatchItem& item : items_) {
      if (in_place_ || item.state != BatchItem::State::kWaiting) continue;
      const auto info = context_.services.files.info(item.output);
      if (info && *info && inputs.contains({(*info)->device, (*info)->inode})) {
        return conflict(format("the output {} is one of the inputs", escape_for_message(item.output)),
                        "to replace the files use --in-place");
      }
    }
    return {};
  }

  void remove_remains() {
    for (const std::string& path : remains_) context_.services.files.remove_remains(path);
    for (const BatchItem& item : items_) {
      // Beside a file that was found nothing was seen.
      if (!item.output.empty() && !(item.file.is_found && in_place_))
        context_.services.files.remove_remains(item.output);
    }
  }

  // --- making

  // Calls `function` for every file that still waits, on all processors.
  void each(std::string_view what, const FileFunction& function, bool is_last) {
    std::vector<size_t> waiting;
    for (size_t i = 0; i < items_.size(); ++i) {
      if (items_[i].state == BatchItem::State::kWaiting) waiting.push_back(i);
    }
    make_all(waiting, what, function, is_last);
  }

  void make_all(const std::vector<size_t>& positions, std::string_view what, const FileFunction& function,
                bool is_last) {
    Progress progress(context_, what, positions.size());
    parallel_for(positions.size(), 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        make_one(positions[i], function, is_last);
        progress.step();
      }
    });
  }

  void make_one(size_t position, const FileFunction& function, bool is_last) {
    BatchItem& item = items_[position];
    for (int tries = 1;; ++tries) {
      std::vector<Ui::Message> messages;
      Ui ui(&messages);
      CommandContext own{.services = context_.services, .args = context_.args, .ui = ui};
      own.is_legacy = context_.is_legacy;
      own.configs = &configs_;
      auto made = function(own, item.file);
      if (is_last || !made) item.messages = std::move(messages);
      if (!made) return item.fail(std::move(made.error()));
      auto stored = take(position, std::move(*made), is_last);
      if (stored) return;
      const bool has_changed = stored.error().code == ErrorCode::kUnavailable;
      if (!has_changed || !command_.starts_again || tries == kTries) return item.fail(std::move(stored.error()));
    }
  }

  // Keeps what there is to say of a result, and stores its bytes beside the target.
  Result<void> take(size_t position, FileResult made, bool is_last) {
    BatchItem& item = items_[position];
    item.remark = std::move(made.remark);
    if (!is_last) item.plan = std::move(made.plan);
    item.details = std::move(made.details);
    item.encrypted = made.encrypted;
    if (made.kind == FileResult::Kind::kSkipped) {
      item.state = BatchItem::State::kSkipped;
      return {};
    }
    if (made.kind == FileResult::Kind::kUnchanged) {
      item.state = BatchItem::State::kUnchanged;
      return {};
    }
    if (!is_last) return {};  // it goes on waiting
    if (writes_) {
      FileChanges::Change change{.path = item.output,
                                 .content = made.bytes.expose(),
                                 .is_secret = command_.makes_plaintext,
                                 .make_parents = !output_dir_.empty(),
                                 .expected = std::nullopt};
      if (in_place_) change.expected = made.original.expose();
      TRY(in_context(changes_->add(position, change), "{}", item.file.input.shown));
    }
    item.state = BatchItem::State::kReady;
    return {};
  }

  Result<void> ask() {
    BatchCommand::Surveyed wanted;
    std::vector<FileResult> results(items_.size());
    bool has_failed = false;
    for (size_t i = 0; i < items_.size(); ++i) {
      has_failed = has_failed || items_[i].state == BatchItem::State::kFailed;
      if (items_[i].state != BatchItem::State::kWaiting) continue;
      results[i].kind = FileResult::Kind::kChange;
      results[i].remark = items_[i].remark;
      results[i].plan = items_[i].plan;
      results[i].details = items_[i].details;
      wanted.emplace_back(&items_[i].file, &results[i]);
    }
    if (wanted.empty() || (has_failed && !keeps_going_)) return drop_waiting(BatchItem::State::kNotDone);
    const bool agreed = TRY(command_.confirm(context_, wanted));
    if (!agreed) return drop_waiting(BatchItem::State::kDeclined);
    return is_dry_ ? drop_waiting(BatchItem::State::kReady) : Result<void>();
  }

  Result<void> drop_waiting(BatchItem::State state) {
    for (BatchItem& item : items_) {
      if (item.state == BatchItem::State::kWaiting) item.state = state;
    }
    return {};
  }

  // --- putting in place

  void commit() {
    if (!changes_) return;
    if (command_.starts_again) {
      for (int tries = 1; tries < kTries; ++tries) {
        const std::vector<size_t> changed = changes_->find_changed();
        if (changed.empty()) break;
        make_all(changed, command_.verb, command_.make, true);
      }
    }
    const bool has_failed = count(BatchItem::State::kFailed) > 0;
    if (count(BatchItem::State::kReady) == 0 || (has_failed && !keeps_going_)) return;
    auto outcomes = changes_->commit(keeps_going_ ? FailurePolicy::kKeepGoing : FailurePolicy::kAllOrNothing);
    if (!outcomes) {
      commit_error_ = std::move(outcomes.error());
      return;
    }
    for (FileChanges::Outcome& outcome : *outcomes) {
      BatchItem& item = items_[outcome.position];
      if (item.state != BatchItem::State::kReady) continue;
      if (outcome.error) {
        outcome.error->context.push_back(item.file.input.shown);
        item.fail(std::move(*outcome.error));
        continue;
      }
      item.state = BatchItem::State::kChanged;
      if (outcome.method == ReplaceMethod::kInPlace) {
        item.messages.push_back(
            {.level = Ui::Message::Level::kNote,
             .text = format("{}: written in place, because it could not be replaced as a whole here",
                            item.file.input.shown)});
      }
    }
  }

  // --- saying what happened

  size_t count(BatchItem::State state) const {
    return static_cast<size_t>(std::ranges::count(items_, state, &BatchItem::state));
  }

  void print_messages() {
    std::set<std::string> said;  // what was said of the configuration was said for every file
    for (const BatchItem& item : items_) {
      for (const Ui::Message& message : item.messages) {
        if (said.insert(message.text).second) context_.ui.say_again(message);
      }
    }
  }

  Result<int> report() {
    print_messages();
    const bool has_failed = count(BatchItem::State::kFailed) > 0 || commit_error_;
    if (has_failed && !keeps_going_) {
      for (BatchItem& item : items_) {
        if (item.state == BatchItem::State::kReady) item.state = BatchItem::State::kNotDone;
      }
    }
    const BatchReport report{.command = command_,
                             .items = items_,
                             .is_dry = is_dry_,
                             .output_dir = output_dir_,
                             .commit_error = commit_error_ ? &*commit_error_ : nullptr};
    if (context_.args.flag("json")) {
      TRY(context_.ui.data(report_json(report, context_.ui)));
    } else {
      TRY(context_.ui.data(report_lines(report, context_.args.flag("verbose"))));
    }
    if (has_failed) return fail(report_error(report, keeps_going_));
    if (!context_.args.flag("json")) context_.ui.note(report_summary(report));
    return 0;
  }

  CommandContext& context_;
  const BatchCommand& command_;
  const bool is_dry_;
  const bool is_recursive_;
  const bool writes_;
  bool keeps_going_ = false;
  bool in_place_ = false;
  std::string output_dir_;
  std::vector<BatchItem> items_;
  std::vector<std::string> remains_;
  ConfigCache configs_;
  std::unique_ptr<FileChanges> changes_;
  std::optional<Error> commit_error_;
};

}  // namespace

std::vector<FlagSpec> batch_flags(BatchCommand::Destination destination) {
  std::vector<FlagSpec> flags = {
      {.name = "recursive", .short_name = "r", .summary = "take the files in directories, and in those below"},
      {.name = "json", .summary = "print a report as JSON on standard output"},
  };
  if (destination == BatchCommand::Destination::kNone) return flags;
  if (destination == BatchCommand::Destination::kChosen) {
    flags.push_back({.name = "output-dir",
                     .kind = FlagKind::kString,
                     .value_name = "DIR",
                     .summary = "write the results below DIR",
                     .words = ValueWords::kFiles});
  }
  flags.push_back({.name = "dry-run", .summary = "write nothing; say what would be done"});
  flags.push_back({.name = "keep-going", .summary = "several files: change the others although one fails"});
  flags.push_back({.name = "all-or-nothing", .summary = "several files: change none if one fails"});
  return flags;
}

bool is_batch(const CommandContext& context, BatchCommand::Destination destination) {
  const ParsedArgs& args = context.args;
  for (std::string_view flag : {"recursive", "dry-run", "keep-going", "all-or-nothing"}) {
    if (args.flag(flag)) return true;
  }
  if (args.positionals.size() > 1 || args.is_set("output-dir")) return true;
  const bool is_in_place = destination != BatchCommand::Destination::kChosen || args.flag("in-place");
  return args.flag("json") && is_in_place && !args.positionals.empty() && args.positionals[0] != "-";
}

Result<int> run_batch(CommandContext& context, const BatchCommand& command) { return Batch(context, command).run(); }

Result<std::optional<EncryptedInput>> read_encrypted_input(CommandContext& context, const BatchFile& file) {
  const Input& input = file.input;
  auto format = choose_format(context, "input-type", input.effective);
  if (file.is_found) {
    if (!format || (*format)->wraps) {
      // A binary file is JSON when it is encrypted: most others are told by a few bytes.
      const SecureBytes beginning =
          TRY(or_exit(context.services.files.read_beginning(input.path, kBeginning), ExitStatus::kCannotReadInput));
      const std::string_view text = trim(beginning.expose_text());
      if (format && !text.starts_with('{') && !(text.empty() && beginning.size() == kBeginning))
        return std::optional<EncryptedInput>();
    }
    if (!format) {
      // Of a format that is still to come: an error only if it concerns us.
      const SecureBytes bytes = TRY(or_exit(context.services.files.read(input.path), ExitStatus::kCannotReadInput));
      if (!may_be_encrypted(bytes.expose_text())) return std::optional<EncryptedInput>();
    }
  }
  EncryptedInput encrypted;
  if (!format)
    return in_context(Result<std::optional<EncryptedInput>>(fail(std::move(format.error()))), "{}", input.shown);
  encrypted.format = *format;
  encrypted.text = TRY(in_context(read_input(context, input, *encrypted.format), "{}", input.shown));
  if (file.is_found && !may_be_encrypted(encrypted.text.text())) return std::optional<EncryptedInput>();
  return std::optional(std::move(encrypted));
}

}  // namespace sops
