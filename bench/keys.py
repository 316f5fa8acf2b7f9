#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""How long decryption takes with keys behind networks that swallow everything, as a Markdown table for docs/performance.md.

    bench/keys.py --sops PROGRAM [--runs N] [--only NAME]

The worlds are those of tests/integration/key_attempts.py. Whole-process wall time, minimum and median; a promise is checked on the minimum,
which noise cannot lower. Ends with status 1 if a promise is missed. Standard library only.
"""

import argparse
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import key_attempts  # noqa: E402 (found through the path above)
from aws_world import KEYS, Place, endpoints  # noqa: E402

missed = []


def times(runs, action):
    """Seconds of each run, the first thrown away."""
    seconds = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def row(what, seconds, limit, text):
    """One line of the table. `limit` in seconds holds for the minimum."""
    held = min(seconds) <= limit
    if not held:
        missed.append(what)
    print(f"| {what} | {min(seconds) * 1e3:.0f} / {statistics.median(seconds) * 1e3:.0f} ms | {text}{'' if held else ' **missed**'} |", flush=True)


def black_holes(options):
    """Three black-holed KMS keys, a PGP key without secret, and an age key that is here or a fourth KMS key."""
    names = {"port": "no connection", "name": "silent name server", "server": "silent server"}
    for kind, name in names.items():
        if options.only not in name:
            continue
        if kind == "name" and key_attempts.can_silence_names():
            print(f"| {name} | – | not here: {key_attempts.can_silence_names()} |")
            continue
        with key_attempts.dead_keys_world(options.sops, kind) as (keys, file, _):
            def decrypt(**environment):
                done = key_attempts.decrypt(keys, file, **environment)  # noqa: B023 (called at once)
                assert done.fine, done.text

            # The namespace that the name server needs costs about 10 ms, which count here.
            row(f"3 black-holed KMS keys ({name}), an age key that is here", times(options.runs, lambda: decrypt(SOPS_AGE_KEY_FILE=str(KEYS / "age.txt"))), 0.2,
                "within 200 ms")
            good = times(options.runs, decrypt)
            row(f"3 black-holed KMS keys ({name}), a fourth that is good", good, 1.2 + answer_time(keys), "within 1.2 s and its answer time")


def answer_time(keys):
    """What one Decrypt at the world's server takes by itself, from the record of a client that is there already."""
    place = Place(keys.place.sops, **endpoints(keys.aws.url), **keys.user.environment())
    with place:
        done = place.encrypt("--kms", keys.keys[3].arn)
        return min(times(5, lambda: place.run("decrypt", done.file)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sops", required=True)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    options.sops = os.path.abspath(options.sops)
    print(f"Load {os.getloadavg()[0]:.2f} at the beginning.\n\n| case | minimum / median | promised |\n|---|---|---|")
    black_holes(options)
    if key_attempts.failures:
        return 1
    if missed:
        print(f"\nMissed: {'; '.join(missed)}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
