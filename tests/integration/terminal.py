#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Messages on a terminal are colored, unless NO_COLOR, TERM or --json say otherwise; never elsewhere. Standard library only.

    terminal.py --sops PROGRAM
"""

import argparse
import json
import os
import pty
import subprocess
import sys

ESCAPE = b"\x1b["


def on_terminal(sops, words, environment):
    """What the program prints when standard error is a terminal."""
    master, slave = pty.openpty()
    try:
        subprocess.run([sops, *words], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave, timeout=60, check=False)
        os.close(slave)
        slave = -1
        text = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # the end, on Linux
                return text
            if not piece:
                return text
            text += piece
    finally:
        os.close(master)
        if slave >= 0:
            os.close(slave)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sops", required=True)
    sops = os.path.abspath(parser.parse_args().sops)
    plain = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/nonexistent", "TERM": "xterm"}
    failing = ["decrypt", "/nonexistent/x.yaml"]
    failures = []

    def check(name, holds):
        if not holds:
            failures.append(name)

    text = on_terminal(sops, failing, plain)
    check(f"error and hint are colored: {text!r}", text.startswith(b"sops: \x1b[1;31merror:\x1b[0m /nonexistent") and b"\x1b[1;36mhint:\x1b[0m " in text)
    for name, environment in {"NO_COLOR": {**plain, "NO_COLOR": "1"}, "TERM=dumb": {**plain, "TERM": "dumb"},
                              "no TERM": {key: value for key, value in plain.items() if key != "TERM"}}.items():
        text = on_terminal(sops, failing, environment)
        check(f"{name}: no colors: {text!r}", text.startswith(b"sops: error: ") and ESCAPE not in text)
    text = on_terminal(sops, failing, {**plain, "NO_COLOR": ""})
    check(f"an empty NO_COLOR is none: {text!r}", ESCAPE in text)
    text = on_terminal(sops, ["--json", *failing], plain)
    check(f"--json: no colors: {text!r}", ESCAPE not in text and json.loads(text)["exit_status"] == 100)
    done = subprocess.run([sops, *failing], env=plain, capture_output=True, timeout=60, check=False)
    check(f"no terminal, no colors: {done.stderr!r}", done.stderr.startswith(b"sops: error: ") and ESCAPE not in done.stderr)
    # Names that come from strangers cannot send escapes of their own.
    text = on_terminal(sops, ["decrypt", "/nonexistent/\x1b[31mred.yaml"], {**plain, "NO_COLOR": "1"})
    check(f"an escape in a name is shown, not sent: {text!r}", b"\x1b" not in text and b"red.yaml" in text)
    for failure in failures:
        print(failure)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        os.close(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        print(f"SKIPPED: there are no pseudo terminals here ({error}), colors are NOT tested")
        sys.exit(77)
    sys.exit(main())
