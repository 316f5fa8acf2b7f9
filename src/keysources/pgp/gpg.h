// SPDX-License-Identifier: MPL-2.0
//
// Running the gpg program: its name, its limits, how many at once (keys.md 4). What it answers is for the caller to
// judge. From any thread.
#pragma once

#include <chrono>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"
#include "keysources/pgp/status.h"
#include "sys/services.h"

namespace sops::pgp {

/// One call of gpg.
struct GpgCall {
  std::vector<std::string> arguments;  // behind --status-fd
  std::span<const uint8_t> input;
  size_t output_limit = 4 << 10;
  std::chrono::milliseconds deadline{10000};  // 0: none
  std::string terminal;                       // GPG_TTY for it, "" leaves that as it is
  std::stop_token stop;
};

/// What came of it.
struct GpgAnswer {
  int exit_status = 0;
  SecureBytes output;
  GpgStatus status;
  std::string words;  // the last line that it wrote for people, made fit for a message; never looked into
};

/// Runs $SOPS_GPG_EXEC, else gpg; at most four at once in one run of ours. One whose agent was overtaxed is run
/// again, alone (keys.md 4.5), and up to three times more after pauses, because other programs use the agent as well.
/// Errors: kUnavailable (no such program, no end within the deadline, stopped), kUnsupported (more output than
/// allowed), kIo.
Result<GpgAnswer> run_gpg(const GpgCall& call, Services& services);

/// The public key of that name with its subkeys; empty if there is none. REQUIRES: is_fingerprint(fingerprint).
Result<std::vector<ListedKey>> list_key(std::string_view fingerprint, Services& services);

/// The folder of keys, $GNUPGHOME or ~/.gnupg, if it is there and nothing can be written to it; else "".
std::string read_only_home(Services& services);

/// Starts gpg-agent, which gpg itself cannot do where the home is read-only (keys.md 4.4); once for a run. Returns
/// whether that went well.
bool start_agent(Services& services);

}  // namespace sops::pgp
