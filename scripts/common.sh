# SPDX-License-Identifier: MPL-2.0
# shellcheck shell=bash
# Sourced by the other scripts: goes to the top of the source tree and defines run, note and die.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Prints a command, so that it can be copied, and runs it.
run() {
  printf '+ %s\n' "$*" >&2
  "$@"
}

# One line for a person.
note() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

die() {
  note "error: $*"
  exit 1
}

# True if the program is on PATH.
have() { command -v "$1" >/dev/null 2>&1; }

# Compilers take up to 1 GB each with sanitizers: as many jobs as there are processors, but one per GB of memory.
jobs_that_fit() {
  local cpus gigabytes
  cpus=$(nproc)
  gigabytes=$(awk '/^MemTotal/ {print int($2 / 1048576)}' /proc/meminfo 2>/dev/null || echo 1)
  ((gigabytes < 1)) && gigabytes=1
  echo $((cpus < gigabytes ? cpus : gigabytes))
}
