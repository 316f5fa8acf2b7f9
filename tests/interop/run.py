#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Generated documents, or files, through the program under test, judged by SOPS as a library (the oracle, main.go).

For every document x that SOPS accepts:

  accept      ours accepts it
  roundtrip   ours decrypt(ours encrypt(x)) == x, byte for byte
  reads-ours  SOPS decrypts what ours wrote: MAC valid, the values of x
  comments    … and the comments of x
  ours-reads  ours decrypts what SOPS wrote, to the same values
  set         after `sops set` by SOPS on what ours wrote no nonce stands with two data fields, and ours opens the result
  crash       the program never dies of a signal

What SOPS refuses, ours must refuse or name in docs/compatibility.md. A refusal that asks to be reported is always a failure. A failing document is kept in the folder of --failures, made smaller, with a note how to see it.
Without --oracle only accept (in sum), roundtrip and crash are checked. Standard library only.

With --server (server/server.cc) the commands run in one process, but those of every 20th document in processes of their own: starting them takes most
of the time.

    run.py --sops PROGRAM [--oracle PROGRAM] [--server PROGRAM] [--count N] [--seed S] [--jobs N]
    run.py --sops PROGRAM --oracle PROGRAM --file FILE_OR_FOLDER…
"""

import argparse
import base64
import collections
import json
import multiprocessing
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

import generate

HERE = pathlib.Path(__file__).resolve().parent
KEYS = HERE.parent / "golden" / "keys"
RECIPIENT = (KEYS / "age.pub").read_text().strip()
CIPHERTEXT = re.compile(rb"ENC\[AES256_GCM,data:([^,\]]*),iv:([^,\]]*),tag:([^,\]]*),type:(\w+)\]")
TIMEOUT_SECONDS = 60
SHRINK_SECONDS = 20
OWN_PROCESS_EVERY = 20  # documents


class Failure(Exception):
    """A check that did not hold: its name and what was seen."""

    def __init__(self, check, text):
        super().__init__(text)
        self.check = check

    def kind(self):
        """What must stay the same while a document is made smaller: the check, and for refusals the reason."""
        reason = re.sub(r"/\S+|\d+|'.*?'|\*\S+", "", str(self))[:160] if self.check == "accept" else ""
        return self.check, reason


class Oracle:
    """A running oracle process."""

    def __init__(self, program, environment):
        self.program, self.environment = program, {**environment, "GOGC": "1000"}  # a small heap: time matters more
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment,
                                        stderr=subprocess.DEVNULL)

    def ask(self, op, extension, text, **fields):
        request = {"op": op, "format": extension, "text": base64.b64encode(text).decode(), "recipient": RECIPIENT, **fields}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if line:
            answer = json.loads(line)
        else:
            # Some of SOPS's crashes cannot be caught, or it ends the process.
            answer = {"ok": False, "stage": "crash", "error": f"SOPS ended the oracle with status {self.process.wait()}"}
            self.start()
        answer["text"] = base64.b64decode(answer.get("text") or "")
        answer["comments"] = answer.get("comments") or []
        return answer


class Server:
    """The program under test as a running process (server/server.cc). Answers as subprocess.run() does."""

    def __init__(self, program, environment):
        self.program, self.environment = program, environment
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment,
                                        stderr=subprocess.DEVNULL)

    def run(self, words):
        self.process.stdin.write(b" ".join(base64.b64encode(word.encode()) for word in words) + b"\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], TIMEOUT_SECONDS)[0]:
            self.process.kill()
            self.process.wait()
            self.start()
            raise subprocess.TimeoutExpired(words, TIMEOUT_SECONDS)
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            self.start()
            return subprocess.CompletedProcess(words, status or -1, b"", b"the server ended")
        status, out, err = line[:-1].split(b" ")
        return subprocess.CompletedProcess(words, int(status), base64.b64decode(out), base64.b64decode(err))


class Judge:
    """One worker: the program under test, an oracle, a folder."""

    def __init__(self, sops, oracle, encrypt_options, refusals, server=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sops-interop-"))
        (self.folder / "home").mkdir()
        self.environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder / "home"),
                            "SOPS_AGE_KEY_FILE": str(KEYS / "age.txt"), "SOPS_DISABLE_VERSION_CHECK": "1"}
        self.sops = sops
        self.encrypt_options = encrypt_options
        self.refusals = refusals
        self.oracle = Oracle(oracle, self.environment) if oracle else None
        self.server = Server(server, self.environment) if server else None
        self.own_process = False  # for the next commands, although there is a server

    def run(self, command, text, extension, options=()):
        """One run of the program under test; Failure if it dies."""
        path = self.folder / f"x.{extension}"
        path.write_bytes(text)
        try:
            if self.server and not self.own_process:
                done = self.server.run([command, *options, str(path)])
            else:
                done = subprocess.run([self.sops, command, *options, str(path)], env=self.environment, capture_output=True,
                                      stdin=subprocess.DEVNULL, timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failure("crash", f"{command}: no end after {TIMEOUT_SECONDS} s") from None
        if done.returncode < 0 or done.returncode in (134, 139):
            raise Failure("crash", f"{command}: status {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
        if done.returncode and done.stdout:
            raise Failure("crash", f"{command}: status {done.returncode}, but {len(done.stdout)} bytes on standard output")
        return done.returncode, done.stdout, " / ".join(done.stderr.decode(errors="replace").split("\n")).strip(" /")

    def flags(self, settings):
        """The settings as flags of `encrypt`."""
        options = list(self.encrypt_options)
        for name, value in settings.items():
            flag = "--" + name.replace("_", "-")
            if name == "mac_only_encrypted":
                options.append(flag)
            elif (name, value) != ("unencrypted_suffix", "_unencrypted"):
                options += [flag, value]
        return ["--age", RECIPIENT, *options]

    def check(self, extension, text, settings):
        """Raises Failure; else "accepted" or "refused"."""
        theirs = None
        if self.oracle and self.plausible(text):
            theirs = self.oracle.ask("encrypt", extension, text, settings=settings)
        status, encrypted, message = self.run("encrypt", text, extension, self.flags(settings))
        if status:
            if theirs and theirs["ok"]:
                if any(part in message for part in self.refusals):
                    return "refused on purpose"
                raise Failure("accept", f"ours refuses with status {status}: {message}")
            if "please report" in message:
                raise Failure("accept", f"ours gives up with status {status}: {message}")
            return "refused"

        status, decrypted, message = self.run("decrypt", encrypted, extension)
        if status:
            raise Failure("roundtrip", f"ours does not open its own file, status {status}: {message}")
        if decrypted != text:
            raise Failure("roundtrip", difference(decrypted, text))
        if not theirs:
            return "accepted"
        if not theirs["ok"]:
            # More is accepted than SOPS accepts: its own words say whether that is deliberate.
            raise Failure("accept", f"SOPS refuses ({theirs['stage']}: {theirs['error']}), ours accepts")

        opened = self.oracle.ask("decrypt", extension, theirs["text"])
        self.check_oracle_reads_ours(extension, text, settings, encrypted, theirs, opened)
        self.check_ours_reads_theirs(extension, theirs, opened)
        self.check_set(extension, encrypted, theirs)
        return "accepted"

    def plausible(self, text):
        """The oracle's parser expands aliases without limit; leave bombs to the unit tests."""
        return text.count(b"*") < 200

    def check_oracle_reads_ours(self, extension, text, settings, encrypted, theirs, opened):
        """SOPS may also find what it finds in its own file: an empty comment in a list comes back as an empty text."""
        answer = self.oracle.ask("decrypt", extension, encrypted)
        if not answer["ok"]:
            raise Failure("reads-ours", f"SOPS fails at {answer['stage']}: {answer['error']}")
        if answer["digest"] not in (theirs["digest"], opened.get("digest")):
            raise Failure("reads-ours", "values differ: " + first_difference(answer["dump"], theirs["dump"]))
        # A comment that SOPS drops from the original (in-place.md 3) may be found in ours, but it must be one of the author's.
        lost = collections.Counter(theirs["comments"]) - collections.Counter(answer["comments"])
        added = collections.Counter(answer["comments"]) - collections.Counter(theirs["comments"])
        if any(b"#" + comment.encode() not in decoded(text) for comment in added):
            raise Failure("comments", f"SOPS finds {answer['comments']}, in the original {theirs['comments']}")
        if lost and not self.lost_before_a_key(extension, text, settings, answer["comments"]):
            raise Failure("comments", f"SOPS finds {answer['comments']}, in the original {theirs['comments']}")

    def lost_before_a_key(self, extension, text, settings, found):
        """Whether SOPS finds no more comments in the original either as soon as a key follows (docs/compatibility.md: the
        metadata block follows comments below the last value)."""
        if extension != "yaml":
            return False
        followed = text + (b"" if text.endswith(b"\n") else b"\n") + b"a_key_that_follows: 1\n"
        answer = self.oracle.ask("encrypt", extension, followed, settings=settings)
        return answer["ok"] and not collections.Counter(answer["comments"]) - collections.Counter(found)

    def check_ours_reads_theirs(self, extension, theirs, opened):
        """What ours prints, loaded again by SOPS, has the values of x, or those of what SOPS prints (which may be others)."""
        expected = self.oracle.ask("load", extension, opened["text"]) if opened["ok"] else opened
        if not expected["ok"]:
            return  # SOPS does not read its own text either
        status, decrypted, message = self.run("decrypt", theirs["text"], extension)
        if status:
            raise Failure("ours-reads", f"status {status}: {message}")
        answer = self.oracle.ask("load", extension, decrypted)
        if not answer["ok"]:
            raise Failure("ours-reads", f"SOPS cannot load what ours decrypted: {answer['error']}")
        if as_printed(answer["dump"]) not in (as_printed(expected["dump"]), as_printed(theirs["dump"])):
            raise Failure("ours-reads", "values differ: " + first_difference(answer["dump"], expected["dump"]))

    def nonce_of_two(self, before, after):
        """A nonce that stands with two data fields in the two texts, None if there is none."""
        seen = {}
        for data, nonce, _, _ in CIPHERTEXT.findall(before) + CIPHERTEXT.findall(after):
            if seen.setdefault(nonce, data) != data:
                return nonce.decode()
        return None

    def check_set(self, extension, encrypted, theirs):
        after = self.oracle.ask("set", extension, encrypted, value="a new value, this one")
        if not after["ok"]:
            if after["stage"] != "path":
                # What SOPS cannot write again although it is its own tree, it cannot write for its own files either.
                again = self.oracle.ask("decrypt", extension, encrypted)
                if not again["ok"]:
                    raise Failure("set", f"{after['stage']}: {after['error']}")
            return
        nonce = self.nonce_of_two(encrypted, after["text"])
        if nonce:
            # 0.0 and -0.0 in one list: SOPS takes them for equal, in its own files too (format.md 2.17).
            own = self.oracle.ask("set", extension, theirs["text"], value="a new value, this one")
            if not own["ok"] or not self.nonce_of_two(theirs["text"], own["text"]):
                raise Failure("set", f"nonce {nonce} stands with two data fields")
        status, _, message = self.run("decrypt", after["text"], extension)
        if status:
            raise Failure("set", f"ours does not open what SOPS set, status {status}: {message}")


def as_printed(dump):
    """A dump without the difference between 1.0 and 1, which SOPS's own printing loses."""
    return re.sub(r'float64 "-?(\d+)"$', lambda match: f'int "{match[1]}"', re.sub('int "-?', 'int "', dump), flags=re.MULTILINE)


def decoded(text):
    """The text in UTF-8, if it is UTF-16."""
    encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(text[:2])
    return text.decode(encoding, "replace").encode() if encoding else text


def difference(actual, expected):
    at = next((i for i, (a, b) in enumerate(zip(actual, expected)) if a != b), min(len(actual), len(expected)))
    line = expected[:at].count(b"\n") + 1
    return f"byte {at}, line {line}: got {actual[at:at + 30]!r}, expected {expected[at:at + 30]!r}"


def first_difference(actual, expected):
    for got, wanted in zip(actual.split("\n"), expected.split("\n")):
        if got != wanted:
            return f"got {got!r}, expected {wanted!r}"
    return "one is longer"


def shrink(judge, extension, text, settings, kind):
    """A smaller document that fails in the same way: lines, then characters, are left out while it still does."""
    deadline = time.monotonic() + SHRINK_SECONDS

    def fails(candidate):
        try:
            judge.check(extension, candidate, settings)
        except Failure as failure:
            return failure.kind() == kind
        return False

    def reduce(pieces, glue):
        size = max(1, len(pieces) // 2)
        while size and time.monotonic() < deadline:
            start = 0
            while start < len(pieces) and time.monotonic() < deadline:
                fewer = pieces[:start] + pieces[start + size:]
                if fewer and fails(glue(fewer)):
                    pieces = fewer
                else:
                    start += size
            size //= 2
        return glue(pieces)

    text = reduce(text.splitlines(keepends=True), b"".join)
    if len(text) < 300:
        text = reduce([bytes([byte]) for byte in text], b"".join)
    return text


judge = None
generator = None


def start_worker(make, *arguments):
    global judge, generator
    judge = Judge(*arguments)
    generator = make


def work(job):
    """Checks one document; returns (name, outcome or None, failure or None)."""
    name, extension, text, settings = job
    if text is None:
        extension, text, settings = generator(*name)
    judge.own_process = isinstance(name, str) or name[1] % OWN_PROCESS_EVERY == 0
    try:
        return name, judge.check(extension, text, settings), None
    except Failure as failure:
        smaller = shrink(judge, extension, text, settings, failure.kind())
        try:
            judge.check(extension, smaller, settings)
        except Failure as same:
            failure = same
        return name, None, (failure.check, str(failure), extension, text, smaller, settings)


def deliberate_refusals():
    """Parts of our messages for what SOPS accepts and ours refuses: the rows `| refusal | `text` | reason |`."""
    table = HERE.parent.parent / "docs" / "compatibility.md"
    return re.findall(r"^\| refusal \| `([^`]+)` \|", table.read_text(), re.MULTILINE)


def jobs_of(options):
    """What to check: files, or generated documents."""
    if not options.file:
        return [((options.seed, number), None, None, None) for number in range(options.first, options.first + options.count)]
    jobs = []
    for path in options.file:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            extension = {"yml": "yaml"}.get(file.suffix[1:], file.suffix[1:])
            if file.parent.name == "yaml-test-suite":
                for number, source in enumerate(suite_inputs(file.read_text())):
                    jobs.append((f"{file.stem}-{number}", "yaml", source, {"unencrypted_suffix": "_unencrypted"}))
            elif extension in ("yaml", "json"):
                jobs.append((str(file), extension, file.read_bytes(), {"unencrypted_suffix": "_unencrypted"}))
    return jobs


def suite_inputs(text):
    """The inputs of one file of the public YAML suite, which stand there as block scalars with visible stand-ins (PROVENANCE.md)."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        header = re.match(r"( *)(?:- )?yaml: \|(\d?)$", line)
        if not header:
            continue
        # The key stands two columns right of a dash; the content as far right of the key as its digit or first line says.
        key_column = len(header[1]) + (2 if "- yaml" in line else 0)
        block = []
        for content in lines[number + 1:]:
            if content.strip() and len(content) - len(content.lstrip(" ")) <= key_column:
                break
            block.append(content)
        while block and not block[-1].strip():
            block.pop()
        first = next((content for content in block if content.strip()), "")
        indentation = key_column + int(header[2]) if header[2] else len(first) - len(first.lstrip(" "))
        source = "".join(content[indentation:] + "\n" for content in block)
        for shown, meant in (("␣", " "), ("↵", ""), ("⇔", "\ufeff"), ("←", "\r")):
            source = source.replace(shown, meant)
        source = re.sub("—*»", "\t", source)
        yield re.sub("∎\n*$", "", source).encode()


def keep(folder, name, failure, sops):
    """Writes a failing document, the smaller one and a note; returns the line to print."""
    check, text, extension, original, smaller, settings = failure
    stem = "-".join(str(part) for part in name) if isinstance(name, tuple) else pathlib.PurePath(name).name
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{check}-{stem}"
    pathlib.Path(f"{place}.small.{extension}").write_bytes(smaller)
    pathlib.Path(f"{place}.full.{extension}").write_bytes(original)
    flags = " ".join(f"--{key.replace('_', '-')} '{value}'" if value is not True else f"--{key.replace('_', '-')}"
                     for key, value in settings.items())
    pathlib.Path(f"{place}.txt").write_text(
        f"{check}: {text}\nsettings: {json.dumps(settings)}\n\n{sops} encrypt --age {RECIPIENT} --allow-plaintext {flags} "
        f"{place}.small.{extension}\n")
    return f"FAIL {check} {stem}: {text[:300]}  # {place}.small.{extension}: {smaller[:160]!r} {json.dumps(settings)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sops", required=True)
    parser.add_argument("--oracle")
    parser.add_argument("--server", help="runs the commands of most documents instead of the program (server/server.cc)")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--first", type=int, default=0, help="number of the first document")
    parser.add_argument("--changed", action="store_true", help="change each document carelessly first (generate.py); fewer are valid")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--file", type=pathlib.Path, nargs="+")
    parser.add_argument("--failures", type=pathlib.Path, default=HERE.parent.parent / "build" / "interop" / "failures")
    parser.add_argument("--max-failures", type=int, default=50, help="stop after so many")
    parser.add_argument("--like-reference", action="store_true", help="the program under test is SOPS itself")
    options = parser.parse_args()
    options.sops = os.path.abspath(options.sops)
    options.oracle = options.oracle and os.path.abspath(options.oracle)
    options.server = options.server and os.path.abspath(options.server)
    for program in filter(None, (options.sops, options.oracle, options.server)):
        if not os.access(program, os.X_OK):
            sys.exit(f"no such program: {program}")
    for path in options.file or []:
        if not path.exists():
            print(f"not run: {path} is not there")
            return 77
    shutil.rmtree(options.failures, ignore_errors=True)

    counts = {"accepted": 0, "refused": 0, "refused on purpose": 0}
    failures = {}
    begin = time.monotonic()
    jobs = jobs_of(options)
    encrypt_options = [] if options.like_reference else ["--allow-plaintext"]
    make = generate.changed if options.changed else generate.document
    worker = (make, options.sops, options.oracle, encrypt_options, deliberate_refusals(), options.server)
    with multiprocessing.Pool(options.jobs, start_worker, worker) as pool:
        for done, (name, outcome, failure) in enumerate(pool.imap_unordered(work, jobs, chunksize=4), 1):
            if failure:
                failures[failure[0]] = failures.get(failure[0], 0) + 1
                print(keep(options.failures, name, failure, options.sops), flush=True)
                if sum(failures.values()) >= options.max_failures:
                    print(f"stopped after {options.max_failures} failures")
                    pool.terminate()
                    break
            else:
                counts[outcome] += 1
            if done % 1000 == 0:
                print(f"{done} of {len(jobs)}, {sum(failures.values())} failures, {time.monotonic() - begin:.0f} s", flush=True)

    total = sum(counts.values()) + sum(failures.values())
    summary = ", ".join(f"{check} {number}" for check, number in sorted(failures.items())) or "none"
    judged = "judged by SOPS 3.13.3" if options.oracle else "without SOPS: round trips only"
    source = "from files" if options.file else f"{'changed, ' if options.changed else ''}seed {options.seed}, from number {options.first}"
    print(f"{total} documents ({source}), {judged}: {counts['accepted']} accepted, {counts['refused']} refused by both, "
          f"{counts['refused on purpose']} refused by ours alone (docs/compatibility.md), "
          f"failures: {summary}; {time.monotonic() - begin:.0f} s")
    if not options.file and counts["accepted"] < total / (4 if options.changed else 2):
        print("fewer than half of the documents were accepted: the generator or the program is broken")
        return 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
