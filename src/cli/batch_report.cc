// SPDX-License-Identifier: MPL-2.0
#include "cli/batch_report.h"

#include <algorithm>

namespace sops {

namespace {

using State = BatchItem::State;

size_t count(const BatchReport& report, State state) {
  return static_cast<size_t>(std::ranges::count(report.items, state, &BatchItem::state));
}

std::string files(size_t number) { return format("{} file{}", number, number == 1 ? "" : "s"); }

std::string_view result_name(const BatchItem& item, bool is_dry) {
  switch (item.state) {
    case State::kReady:
      return is_dry ? "would_change" : "not_done";
    case State::kChanged:
      return "changed";
    case State::kUnchanged:
      return "unchanged";
    case State::kSkipped:
      return "skipped";
    case State::kFailed:
      return "failed";
    case State::kDeclined:
      return "declined";
    case State::kWaiting:
    case State::kNotDone:
      return "not_done";
  }
  return "";
}

std::string file_json(const BatchReport& report, const BatchItem& item, Ui& ui) {
  std::string json =
      format(R"({{"path":{},"result":"{}")", json_string(item.file.name), result_name(item, report.is_dry));
  if (!item.remark.empty()) json += format(R"(,"reason":{})", json_string(item.remark));
  if (item.encrypted) json += format(R"(,"encrypted":{})", *item.encrypted);
  const bool has_output = item.state == State::kReady || item.state == State::kChanged;
  if (has_output && !item.output.empty() && item.output != item.file.input.path)
    json += format(R"(,"output":{})", json_string(item.output));
  if (!item.details.empty()) json += "," + item.details;
  std::string warnings;
  for (const Ui::Message& message : item.messages) {
    if (message.level != Ui::Message::Level::kWarning) continue;
    warnings += (warnings.empty() ? "" : ",") + json_string(message.text);
  }
  if (!warnings.empty()) json += format(R"(,"warnings":[{}])", warnings);
  ui.knows_file(item.file.input.shown, item.file.name);
  if (item.error) json += format(R"(,"error":{})", ui.error_json(*item.error));
  return json + "}";
}

}  // namespace

std::string report_json(const BatchReport& report, Ui& ui) {
  const bool failed = count(report, State::kFailed) > 0 || report.commit_error != nullptr;
  std::string json =
      format(R"({{"version":1,"command":"{}","dry_run":{},"ok":{})", report.command.name, report.is_dry, !failed);
  json += R"(,"files":[)";
  bool is_first = true;
  for (const BatchItem& item : report.items) {
    json += (is_first ? "\n" : ",\n") + file_json(report, item, ui);
    is_first = false;
  }
  json += "\n]";
  if (report.commit_error != nullptr) json += format(R"(,"error":{})", ui.error_json(*report.commit_error));
  json += format(
      R"(,"summary":{{"files":{},"changed":{},"would_change":{},"unchanged":{},"skipped":{},"failed":{},"not_done":{},"declined":{}}}}})",
      report.items.size(), count(report, State::kChanged), report.is_dry ? count(report, State::kReady) : 0,
      count(report, State::kUnchanged), count(report, State::kSkipped), count(report, State::kFailed),
      count(report, State::kNotDone) + (report.is_dry ? 0 : count(report, State::kReady)),
      count(report, State::kDeclined));
  return json + "\n";
}

std::string report_lines(const BatchReport& report, bool is_verbose) {
  std::string text;
  for (const BatchItem& item : report.items) {
    const std::string& shown = item.file.input.shown;
    const std::string remark = item.remark.empty() ? "" : format(" ({})", escape_for_message(item.remark, 1000));
    if (item.encrypted && item.state == State::kUnchanged) {
      text += format("{{\"file\":{},\"encrypted\":{}}}\n", json_string(item.file.name), *item.encrypted);
    } else if (item.state == State::kReady && report.is_dry) {
      const bool elsewhere = item.output != item.file.input.path && !item.output.empty();
      text += format("would {} {}{}{}\n", report.command.verb, shown,
                     elsewhere ? " to " + escape_for_message(item.output, 4096) : "", remark);
    } else if (is_verbose && item.state == State::kChanged) {
      text += format("{} {}{}\n", report.command.done, shown, remark);
    } else if (is_verbose && item.state == State::kUnchanged) {
      text += format("unchanged {}{}\n", shown, remark);
    } else if (is_verbose && item.state == State::kSkipped) {
      text += format("skipped {}{}\n", shown, remark);
    }
  }
  return text;
}

std::string report_summary(const BatchReport& report) {
  std::string text;
  const auto add = [&](size_t number, std::string_view what, bool always) {
    if (number == 0 && !always) return;
    text += text.empty() ? files(number) : format(", {}", number);
    text += format(" {}", what);
  };
  const bool writes = report.command.destination != BatchCommand::Destination::kNone;
  if (report.is_dry) {
    add(count(report, State::kReady), format("would be {}", report.command.done), true);
  } else if (writes) {
    add(count(report, State::kChanged), report.command.done, true);
  }
  add(count(report, State::kUnchanged), report.command.unchanged, !writes);
  add(count(report, State::kDeclined), "left unchanged", false);
  add(count(report, State::kSkipped), "skipped", false);
  add(count(report, State::kNotDone), "not done", false);
  add(count(report, State::kFailed), "failed", false);
  return text;
}

Error report_error(const BatchReport& report, bool keeps_going) {
  if (report.commit_error != nullptr) return *report.commit_error;
  Error all;
  all.code = ErrorCode::kUnavailable;
  for (const BatchItem& item : report.items) {
    if (item.error) all.causes.push_back(*item.error);
  }
  all.code = all.causes.front().code;
  all.exit_status = all.causes.front().exit_status;
  if (report.command.keeps_going && keeps_going) all.exit_status = ExitStatus::kGeneric;  // cli.md 6.3
  const size_t failed = all.causes.size();
  if (report.command.destination == BatchCommand::Destination::kNone || report.is_dry) {
    all.message = format("{} of {} failed", failed, files(report.items.size()));
  } else if (keeps_going) {
    all.message = report_summary(report);
  } else {
    all.message = format("nothing was changed, because {} of {} failed", failed, files(report.items.size()));
    all.hint = "--keep-going changes the others";
  }
  return all;
}

}  // namespace sops
