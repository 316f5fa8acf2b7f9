// SPDX-License-Identifier: MPL-2.0
//
// credential_process: the user's own program prints credentials as JSON (keys-aws.md 7.10).
#include "base/text.h"
#include "cloud/aws/sources.h"

namespace sops::aws {

namespace {

// keys.md 3.5: "64 KiB of output, 60 s, its process group ended".
constexpr size_t kOutputLimit = 64 << 10;
constexpr Milliseconds kTimeLimit(60000);

Result<Credentials> read_output(SecureBytes output, const std::string& origin) {
  const Json json = TRY(in_context(Json::parse(std::move(output)), "the output of {}", origin));
  const std::string where = format("the output of {}", origin);
  const auto version = json.number({"Version"});
  if (version != 1) return fail(ErrorCode::kMalformed, "{} has no \"Version\": 1", where);
  return read_credentials(json, "SessionToken", where, origin);
}

}  // namespace

Result<Credentials> run_credential_process(const ProfileView& profile, const Context& context) {
  const std::string command(profile.text("credential_process"));
  const std::string origin = format("credential_process of {}", profile.describe());
  RunOptions options;
  options.arguments = {"sh", "-c", command};
  options.output_limit = kOutputLimit;
  options.deadline = kTimeLimit;
  options.inherit_terminal = context.may_ask && context.services.terminal.stderr_is_terminal();
  const auto start = context.deadline.clock().steady_now();
  auto result = context.services.processes.run(options);
  context.deadline.excuse(start);  // it has a limit of its own

  const std::string shown_command = escape_for_message(command);
  if (!result) {
    result.error().message = format("{} ('{}'): {}", origin, shown_command, result.error().message);
    return fail(std::move(result.error()));
  }
  if (result->status == 0) return read_output(std::move(result->output), origin);
  const auto code = context.may_ask ? ErrorCode::kUnavailable : ErrorCode::kNeedsPerson;
  return fail(code, "{} ('{}') ended with status {}", origin, shown_command, result->status)
      .hint("run the command by hand: it must print credentials as JSON");
}

}  // namespace sops::aws
