// SPDX-License-Identifier: MPL-2.0
//
// What a command over many files says at its end: lines and a summary for a person, or a report as JSON, whose schema
// is docs/batch-report.schema.json.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/batch.h"

namespace sops {

/// A file on its way through the command.
struct BatchItem {
  enum class State {
    kWaiting,
    kReady,      // its result is made (dry run: it would change)
    kChanged,    // … and in place
    kUnchanged,  // nothing to do
    kSkipped,    // not for this command
    kFailed,
    kNotDone,   // left as it was, because others failed
    kDeclined,  // left as it was, because the question was answered so
  };

  BatchFile file;
  std::string place;   // below the output directory
  std::string output;  // absolute path of the result, "" if none is written
  State state = State::kWaiting;
  std::string remark;
  std::string plan;
  std::string details;
  std::optional<bool> encrypted;
  std::optional<Error> error;
  std::vector<Ui::Message> messages;

  void fail(Error why) {
    state = State::kFailed;
    error = std::move(why);
  }
  void skip(std::string why) {
    state = State::kSkipped;
    remark = std::move(why);
  }
};

/// All of it; borrows.
struct BatchReport {
  const BatchCommand& command;
  const std::vector<BatchItem>& items;
  bool is_dry = false;
  std::string output_dir;               // absolute, or ""
  const Error* commit_error = nullptr;  // the results could not be put in place
};

/// The report, one object and a line feed. `ui` spells the errors.
std::string report_json(const BatchReport& report, Ui& ui);

/// What belongs on standard output without --json: the plan of a dry run, the answers of filestatus, and with
/// `is_verbose` a line for each file.
std::string report_lines(const BatchReport& report, bool is_verbose);

/// "3 files encrypted, 2 skipped"
std::string report_summary(const BatchReport& report);

/// The error that tells all failures, with the exit status of the first. REQUIRES: there is one.
Error report_error(const BatchReport& report, bool keeps_going);

}  // namespace sops
