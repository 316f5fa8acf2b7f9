#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Runs command lines with our program and with SOPS itself, in equal folders, and compares what they do.

live_cases.txt holds the command lines and the files that they work on. Both programs must end with the same status, print the same
data, leave the same files with the same rights, and read what the other has written. What no two runs have in common (nonces, MACs,
wrapped keys, times) is taken out: an encrypted text is compared by its values, as SOPS decrypts them, and by the rest of its metadata. Where SOPS
prints nothing to standard error, ours must print nothing either. The wording of messages is not compared.

Exceptions are the rows `| live | CHECK CASE | reason |` of docs/compatibility.md, where CHECK (exit, stdout, stderr, files, read) and CASE
(GROUP/NAME) are shell patterns. A row that is not needed any more is a failure, too. Standard library only.

    live_compare.py --sops PROGRAM --reference SOPS [--only PATTERN] [--jobs N] [--keep FOLDER] [--list]
"""

import argparse
import concurrent.futures
import dataclasses
import fnmatch
import functools
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import stat
import string
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
GOLDEN = ROOT / "tests" / "golden"
TIMEOUT_SECONDS = 60
# Metadata that differs from run to run. `layout` is ours.
PASSING = {"mac", "lastmodified", "enc", "layout", "created_at"}


@dataclasses.dataclass
class Case:
    """One line of live_cases.txt: one or more command lines, run one after the other."""

    name: str
    line: int
    steps: list
    free: bool  # the text on standard output is each program's own


@dataclasses.dataclass
class Step:
    words: list
    environment: dict
    folder: str
    stdin: str | None


@dataclasses.dataclass
class Excuse:
    """One exception row of docs/compatibility.md."""

    line: int
    check: str
    case: str
    excused: int = 0


def read_cases(path):
    """The cases, the files, and what prepares further files (kind, name, words…), all from live_cases.txt."""
    head, *parts = re.split(r"^-- (\S+) --\n", path.read_text(), flags=re.MULTILINE)
    files = dict(zip(parts[::2], parts[1::2]))
    cases, prepared, group, defaults = [], [], "", ""
    for number, text in enumerate(head.split("\n"), 1):
        text = text.strip()
        if not text or re.match("#( |$)", text):
            continue
        if text.startswith("## "):
            group, _, defaults = text[3:].partition(" ")
            continue
        if text.split()[0] in ("prepare", "derive", "link", "chmod"):
            prepared.append(shlex.split(text))
            continue
        name, _, rest = (text + " ").partition(" ")
        rest = rest.strip()
        free = rest.startswith("~ ")
        steps = [read_step(f"{defaults} {part}") for part in rest.removeprefix("~ ").split(" && ")]
        cases.append(Case(f"{group}/{name}", number, steps, free))
    names = [case.name for case in cases]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        sys.exit(f"{path}: the names {sorted(repeated)} are used more than once")
    return cases, files, prepared


def read_step(text):
    """`NAME=VALUE… unset:NAME… cd:FOLDER WORD… < FILE`."""
    words = shlex.split(text)
    step = Step([], {}, ".", None)
    while words:
        assignment = re.fullmatch(r"([A-Z][A-Z_0-9a-z]*)=(.*)", words[0], re.DOTALL)
        if assignment:
            step.environment[assignment[1]] = assignment[2]
        elif words[0].startswith("unset:"):
            step.environment[words[0][6:]] = None
        elif words[0].startswith("cd:"):
            step.folder = words[0][3:]
        else:
            break
        words = words[1:]
    if len(words) > 1 and words[-2] == "<":
        step.stdin = words[-1]
        words = words[:-2]
    step.words = words
    return step


@dataclasses.dataclass
class Outcome:
    """What one program did with one case."""

    statuses: list
    stdout: list
    stderr: list
    files: dict  # path: (kind and rights, content)


class Comparison:
    def __init__(self, options, work):
        self.ours, self.reference, self.work = options.sops, options.reference, work
        self.keep = options.keep
        keys = GOLDEN / "keys"
        self.variables = {
            "AGE": (keys / "age.pub").read_text().strip(), "KEY": str(keys / "age.txt"), "KEY2": str(keys / "age2.txt"),
            "AGE2": re.search(r"age1\w+", (keys / "age2.txt").read_text())[0],
            "IDENTITY": re.search(r"AGE-SECRET-KEY-\w+", (keys / "age.txt").read_text())[0],
        }
        self.fixture = work / "fixture"
        self.home = work / "home"  # of programs that only judge
        self.home.mkdir()

    def environment(self, folder):
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(folder if folder == self.home else self.home_of(folder)), "PWD": str(folder), "TERM": "dumb", "AWS_EC2_METADATA_DISABLED": "true",
                "SOPS_AGE_KEY_FILE": self.variables["KEY"], "SOPS_DISABLE_VERSION_CHECK": "1", "LC_ALL": "C.UTF-8"}

    def home_of(self, folder):
        """An empty home beside the folder of a run."""
        while folder.name not in ("work", "fixture"):
            folder = folder.parent
        return folder.parent / "home"

    def expand(self, text, folder):
        return string.Template(text).safe_substitute(self.variables, WORK=str(folder))

    def prepare(self, files, prepared):
        """The folder that every run begins with; what is encrypted in it, SOPS has encrypted."""
        self.fixture.mkdir()
        for name, content in files.items():
            target = self.fixture / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self.expand(content, self.fixture))
            if content.startswith("#!"):
                target.chmod(0o755)
        for kind, name, *words in prepared:
            target = self.fixture / name
            if kind == "link":
                target.symlink_to(words[0])
                continue
            if kind == "chmod":
                target.chmod(int(words[0], 8))
                continue
            if kind == "derive":
                text, count = re.subn(words[1], words[2].replace("\\", "\\\\"), (self.fixture / words[0]).read_text(), count=1, flags=re.MULTILINE)
                if not count:
                    sys.exit(f"cannot prepare {name}: no '{words[1]}' in {words[0]}")
                target.write_text(text)
                continue
            command = [self.reference, *(self.expand(word, self.fixture) for word in words)]
            done = subprocess.run(command, cwd=self.fixture, env=self.environment(self.fixture), stdin=subprocess.DEVNULL, capture_output=True)
            if done.returncode:
                sys.exit(f"cannot prepare {name}: {shlex.join(command)}: {done.stderr.decode()}")
            target.write_bytes(done.stdout)

    def perform(self, case, program):
        """Runs the case's steps in a fresh copy of the fixture. The folder's name is the same for both programs in length and depth."""
        name = hashlib.sha256(case.name.encode()).hexdigest()[:12]
        top = self.work / ("ours" if program == self.ours else "sops") / name
        folder = top / "work"
        shutil.rmtree(top, ignore_errors=True)
        shutil.copytree(self.fixture, folder, symlinks=True)
        (top / "home").mkdir()
        outcome = Outcome([], [], [], {})
        for step in case.steps:
            place = folder / step.folder
            environment = self.environment(place)
            for key, value in step.environment.items():
                environment.pop(key, None)
                if value is not None:
                    environment[key] = self.expand(value, folder)
            command = [program, *(self.expand(word, folder) for word in step.words)]
            with open(place / step.stdin if step.stdin else os.devnull, "rb") as stdin:
                try:
                    done = subprocess.run(command, cwd=place, env=environment, stdin=stdin, capture_output=True, timeout=TIMEOUT_SECONDS)
                    outcome.statuses.append(done.returncode)
                except subprocess.TimeoutExpired as late:
                    done = late
                    outcome.statuses.append(f"still running after {TIMEOUT_SECONDS} s")
            outcome.stdout.append(without_usage(done.stdout or b"").replace(bytes(top), b"TOP"))
            outcome.stderr.append(done.stderr or b"")
        outcome.files = changed_files(folder, self.fixture)
        if not self.keep:
            shutil.rmtree(top, ignore_errors=True)
        return outcome

    def compare_twice(self, case):
        """The differences that come again: some commands of SOPS (exec-file) end now one way, now another."""
        first = self.compare(case)
        if not first or any(check == "CRASH" for check, _ in first):
            return first
        again = self.compare(case)
        checks = {check for check, _ in first}
        for check, text in first:
            if check not in {check for check, _ in again}:
                print(f"note: {case.name}: {check}: only at the first attempt: {text}")
        return [(check, text) for check, text in again if check in checks]

    def compare(self, case):
        """The differences, as (check, text)."""
        ours, theirs = self.perform(case, self.ours), self.perform(case, self.reference)
        found = []
        for number, (one, other) in enumerate(zip(ours.statuses, theirs.statuses), 1):
            if one == other:
                continue
            text = f"{one}, SOPS {other}"
            if b"goroutine " in theirs.stderr[number - 1]:
                text += " (it crashed)"
            said = ours.stderr[number - 1].decode(errors="replace").strip().split("\n")[0]
            found.append(("exit", f"{text}; ours says '{said[:300]}'"))
        for one in ours.statuses:
            if isinstance(one, str) or one < 0:
                found.append(("CRASH", f"ours ended with {one}"))
        if not case.free:
            for one, other in zip(ours.stdout, theirs.stdout):
                if text := self.different(one, other):
                    found.append(("stdout", text))
        elif [bool(text) for text in ours.stdout] != [bool(text) for text in theirs.stdout]:
            found.append(("stdout", f"one prints nothing: {ours.stdout[0][:100]!r}, SOPS {theirs.stdout[0][:100]!r}"))
        for status, one, other in zip(ours.statuses, ours.stderr, theirs.stderr):
            if status == 0 and one and not other:
                found.append(("stderr", f"only ours says: {one.decode(errors='replace').strip()[:300]}"))
        if ours.files.keys() != theirs.files.keys():
            found.append(("files", f"{sorted(ours.files.keys() - theirs.files.keys())} only with ours, "
                                   f"{sorted(theirs.files.keys() - ours.files.keys())} only with SOPS"))
        for name in sorted(ours.files.keys() & theirs.files.keys()):
            (kind, content), (their_kind, their_content) = ours.files[name], theirs.files[name]
            if kind != their_kind:
                found.append(("files", f"{name} is {kind}, SOPS {their_kind}"))
            if text := self.different(content, their_content):
                found.append(("files", f"{name}: {text}"))
        for content in [*ours.stdout, *theirs.stdout, *(c for _, c in ours.files.values()), *(c for _, c in theirs.files.values())]:
            if is_encrypted(content) and (text := self.unreadable(content)):
                found.append(("read", text))
        return found

    def different(self, ours, theirs):
        """Empty if both texts say the same."""
        if ours == theirs:
            return ""
        if is_encrypted(ours) != is_encrypted(theirs):
            return f"one is encrypted: {ours[:120]!r}, SOPS {theirs[:120]!r}"
        if is_encrypted(ours):
            one, other = self.reveal(ours), self.reveal(theirs)
            return "" if one == other else f"{first_difference(one, other)}"
        one, other = self.plain_values(ours), self.plain_values(theirs)
        if one is not None and one == other:
            return ""
        return f"{ours[:300]!r}, SOPS {theirs[:300]!r}"

    def unreadable(self, content):
        """Empty if both programs decrypt the text to the same."""
        kind = kind_of(content)
        texts = []
        for program in (self.ours, self.reference):
            done = self.filter(program, content, "decrypt", "--input-type", kind, "--output-type", kind)
            if done.returncode:
                return f"{'ours' if program == self.ours else 'SOPS'} cannot read {content[:100]!r}: {done.stderr.decode(errors='replace').strip()[:400]}"
            texts.append(done.stdout)
        return self.different(*texts)

    def filter(self, program, content, *words):
        environment = self.environment(self.home)
        environment["SOPS_AGE_KEY"] = pathlib.Path(self.variables["KEY2"]).read_text()
        return subprocess.run([program, *words], cwd=self.home, env=environment, input=content, capture_output=True, timeout=TIMEOUT_SECONDS)

    @functools.lru_cache(maxsize=4096)
    def reveal(self, content):
        """The values of an encrypted text and the lasting part of its metadata."""
        kind = kind_of(content)
        if kind == "binary":
            done = self.filter(self.reference, content, "decrypt", "--input-type", "json", "--output-type", "json")
        else:
            done = self.filter(self.reference, content, "decrypt", "--input-type", kind, "--output-type", "json")
        values = ordered(done.stdout) if done.returncode == 0 else f"undecryptable: {done.stderr.decode(errors='replace')[:200]}"
        # The metadata of YAML, as JSON: SOPS converts the text once more, under another name.
        raw = content if kind != "yaml" else self.to_json(re.sub(rb"^sops:", b"x_sops:", content, flags=re.MULTILINE))
        tree = ordered(raw) if raw else None
        block = dict(tree).get("sops" if kind != "yaml" else "x_sops") if isinstance(tree, list) else None
        return values, lasting(block)

    @functools.lru_cache(maxsize=4096)
    def to_json(self, content):
        encrypted = self.filter(self.reference, content, "encrypt", "--filename-override", "x.yaml", "--age", self.variables["AGE"])
        if encrypted.returncode:
            return b""
        return self.filter(self.reference, encrypted.stdout, "decrypt", "--input-type", "yaml", "--output-type", "json").stdout

    def plain_values(self, content):
        """The values of a plain text, None if it is none."""
        tree = ordered(content)
        if tree is None and b":" in content and (text := self.to_json(content)):
            tree = ordered(text)
        return tree


def without_usage(text):
    """SOPS prints the help to standard output when it does not understand a command line (cli.md 1.8); ours does not."""
    return b"" if text.startswith(b"Incorrect Usage") else text


def changed_files(folder, fixture):
    """What is new, different or gone in the folder: path to (kind and rights, content)."""
    found = {}
    for base, directories, names in os.walk(folder):
        for name in [*directories, *names]:
            path = pathlib.Path(base, name)
            relative = str(path.relative_to(folder))
            now, before = describe(path), describe(fixture / relative)
            if now != before:
                found[relative] = now
    for base, directories, names in os.walk(fixture):
        for name in [*directories, *names]:
            relative = str(pathlib.Path(base, name).relative_to(fixture))
            if not os.path.lexists(folder / relative):
                found[relative] = ("gone", b"")
    return found


def describe(path):
    if not os.path.lexists(path):
        return None
    status = path.lstat()
    kind = stat.filemode(status.st_mode)
    content = path.read_bytes() if stat.S_ISREG(status.st_mode) else os.readlink(path).encode() if stat.S_ISLNK(status.st_mode) else b""
    return kind, content


def is_encrypted(content):
    return b"ENC[" in content and b"lastmodified" in content


def kind_of(content):
    tree = ordered(content)
    if isinstance(tree, list):
        return "binary" if [name for name, _ in tree] == ["data", "sops"] else "json"
    return "yaml"


def ordered(content):
    """JSON with its order and number spelling, None if it is none."""
    try:
        return json.loads(content, object_pairs_hook=list, parse_int=lambda text: f"number {text}", parse_float=lambda text: f"number {text}")
    except ValueError:
        return None


def lasting(tree):
    """Metadata without what passes, without empty lists, and without order."""
    if isinstance(tree, list) and tree and isinstance(tree[0], tuple):
        return {name: lasting(value) for name, value in tree if name not in PASSING and value not in (None, [], "")}
    if isinstance(tree, list):
        return [lasting(value) for value in tree]
    return tree


def first_difference(one, other):
    if one[0] != other[0]:
        return f"values {str(one[0])[:300]}, SOPS {str(other[0])[:300]}"
    return f"metadata {str(one[1])[:400]}, SOPS {str(other[1])[:400]}"


def read_excuses(path):
    """The `| live | … |` rows of the compatibility table."""
    excuses = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.startswith("| live |"):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        match = re.fullmatch(r"`(\S+) (\S+)`", cells[1]) if len(cells) == 3 else None
        if not match:
            sys.exit(f"{path}:{number}: expected | live | `CHECK GROUP/NAME` | reason |")
        excuses.append(Excuse(number, match[1], match[2]))
    return excuses


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sops", required=True)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--cases", type=pathlib.Path, default=HERE / "live_cases.txt")
    parser.add_argument("--exceptions", type=pathlib.Path, default=ROOT / "docs" / "compatibility.md")
    parser.add_argument("--only", action="append", help="only the cases that match this shell pattern")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=pathlib.Path, help="keep the folders of all runs there")
    parser.add_argument("--list", action="store_true", help="print names and command lines, run nothing")
    options = parser.parse_args()
    options.sops, options.reference = os.path.abspath(options.sops), os.path.abspath(options.reference)
    cases, files, prepared = read_cases(options.cases)
    if options.only:
        cases = [case for case in cases if any(fnmatch.fnmatchcase(case.name, pattern) for pattern in options.only)]
    if options.list:
        for case in cases:
            print(f"{case.name:36}{' && '.join(shlex.join(step.words) for step in case.steps)}")
        return 0
    excuses = read_excuses(options.exceptions)
    failures, excused = [], 0
    with tempfile.TemporaryDirectory(prefix="sops-live-") as folder:
        work = options.keep or pathlib.Path(folder).resolve()
        work.mkdir(parents=True, exist_ok=True)
        comparison = Comparison(options, work)
        comparison.prepare(files, prepared)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            results = list(pool.map(comparison.compare_twice, cases))
    for case, differences in zip(cases, results):
        seen = set()
        for check, text in differences:
            covering = [e for e in excuses if fnmatch.fnmatchcase(check, e.check) and fnmatch.fnmatchcase(case.name, e.case)]
            for excuse in covering:
                excuse.excused += 1
            excused += bool(covering)
            if not covering and (check, text) not in seen:
                seen.add((check, text))
                failures.append(f"{case.name}: {check}: {text}\n    sops {' && sops '.join(shlex.join(step.words) for step in case.steps)}")
    if not options.only:
        failures += [f"{options.exceptions}:{e.line}: the row is not needed any more: `{e.check} {e.case}`" for e in excuses if not e.excused]
    for failure in failures:
        print(failure)
    count = sum(len(case.steps) for case in cases)
    print(f"{count} command lines in {len(cases)} cases compared, {excused} differences on purpose, {len(failures)} failures")
    return 1 if failures or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
