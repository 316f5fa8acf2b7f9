#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""What keys behind a network cost, as a Markdown table for docs/performance.md: with black holes among them, and beside a plain HTTP request.

    bench/keys.py --sops PROGRAM [--runs N] [--only NAME]

The worlds are those of tests/integration/key_attempts.py. Whole-process wall time, minimum and median; a promise is checked on the minimum,
which noise cannot lower. What a KMS key costs is its time minus that of the same file with an age key, minus that of the same request
by Python's HTTP client. Ends with status 1 if a promise is missed. Standard library only.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import ssl
import statistics
import sys
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import key_attempts  # noqa: E402 (found through the path above)
from aws_server import AwsServer  # noqa: E402
from aws_world import ACCOUNT, KEYS, Place, endpoints  # noqa: E402

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
    """Issue 5, "It must show" 6: three black-holed KMS keys, a PGP key without secret, and an age key that is here or a fourth KMS key."""
    names = {"port": "no connection", "name": "silent name server", "server": "silent server"}
    for kind, name in names.items():
        if options.only not in f"holes {name}":
            continue
        if kind == "name" and key_attempts.can_silence_names():
            print(f"| {name} | – | not here: {key_attempts.can_silence_names()} |")
            continue
        with key_attempts.issue_world(options.sops, kind) as (keys, file, _):
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


def request_time(aws, runs):
    """The same request by Python: a connection, an answer (a refusal costs the server no less reading and writing)."""
    place = urllib.parse.urlsplit(aws.tls_url or aws.url)
    context = ssl.create_default_context(cafile=aws.ca) if aws.ca else None
    body = json.dumps({"CiphertextBlob": "A" * 250, "EncryptionContext": {}, "KeyId": "arn:aws:kms:us-east-1:111111111111:key/x"})
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.Decrypt", "Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/"
               f"us-east-1/kms/aws4_request, SignedHeaders=host, Signature={'0' * 64}"}

    def ask():
        client = http.client.HTTPSConnection(place.netloc, context=context) if context else http.client.HTTPConnection(place.netloc)
        with contextlib.closing(client):
            client.request("POST", "/", body, headers)
            client.getresponse().read()
    return times(runs, ask)


def beside_http(options):
    """A KMS key costs at most 15 ms more than the request itself, 20 ms over TLS."""
    for tls, limit in ((False, 0.015), (True, 0.020)):
        name = "TLS" if tls else "http"
        if options.only not in f"cost {name}":
            continue
        with Place(options.sops) as place, AwsServer(tls=place.folder / "tls" if tls else None) as aws:
            if tls:
                aws.listeners[0].close()
            # A folder with names by hash, as distributions have it.
            place.environment |= endpoints(aws.tls_url or aws.url) | aws.add_user(ACCOUNT).environment() | ({"SSL_CERT_FILE": aws.ca} if tls else {})
            files = {"age": place.encrypt("--age", key_attempts.RECIPIENT, name="age.yaml").file,
                     "kms": place.encrypt("--kms", aws.add_key(ACCOUNT).arn, name="kms.yaml").file}

            def decrypt(kind):
                done = place.run("decrypt", files[kind], SOPS_AGE_KEY_FILE=str(KEYS / "age.txt"))  # noqa: B023
                assert done.returncode == 0, done.text

            measured = {"age": [], "kms": [], "request": []}
            for _ in range(options.runs):  # in turn, so that a busy moment hits all
                measured["age"] += times(1, lambda: decrypt("age"))
                measured["kms"] += times(1, lambda: decrypt("kms"))
                measured["request"] += times(1, lambda: request_time(aws, 0))  # noqa: B023
            base = min(measured["age"]) + min(measured["request"])
            row(f"a KMS key over {name}, beyond an age key ({min(measured['age']) * 1e3:.1f} ms) and the request itself ({min(measured['request']) * 1e3:.1f} ms)",
                [seconds - base for seconds in measured["kms"]], limit, f"at most {limit * 1e3:.0f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sops", required=True)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    options.sops = os.path.abspath(options.sops)
    print(f"Load {os.getloadavg()[0]:.2f} at the beginning.\n\n| case | minimum / median | promised |\n|---|---|---|")
    black_holes(options)
    beside_http(options)
    if key_attempts.failures:
        return 1
    if missed:
        print(f"\nMissed: {'; '.join(missed)}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
