#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Commands over many files, and what goes wrong meanwhile (editing.md 3.1).

What is promised: until the first file is replaced an error or a signal changes nothing; an error while replacing gives back what was
replaced; after SIGKILL every file is whole, old or new, and repeating the command completes it; nothing but SIGKILL leaves a temporary
file, and no plaintext lies in one before files are replaced.

    batch_faults.py --sops PROGRAM [--only WORD…]

System calls are hit with strace(1), full disks are made with tmpfs by root; what cannot be tried here is listed, and the status is then
77 instead of 0. Standard library only.
"""

import argparse
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KEYS = ROOT / "tests" / "golden" / "keys"
FAKE_GPG = KEYS.parent.parent / "support" / "fake_gpg"
RECIPIENT = (KEYS / "age.pub").read_text().strip()
PLAIN = "user: app{0}\npassword: secret-{0}   # keep\nport: {0}\n"
CONFIG = f"creation_rules:\n  - path_regex: \\.yaml$\n    age: {RECIPIENT}\n"
SECOND = re.search(r"age1\w+", (KEYS / "age2.txt").read_text())[0]
TEMPORARY = ".sops-tmp-"

failures, skipped = [], []


def check(holds, text):
    """Notes a failure, with the scenario that called."""
    if not holds:
        frame = sys._getframe(1)
        failures.append(f"{frame.f_code.co_name}:{frame.f_lineno}: {text}")
        print("FAILED", failures[-1], flush=True)


class Folder:
    """A folder with encrypted files f0.yaml …, made once and copied for each run."""

    def __init__(self, sops, parent):
        self.sops, self.parent = sops, pathlib.Path(parent)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.parent), "SOPS_AGE_KEY_FILE": str(KEYS / "age.txt"),
                            "LC_ALL": "C", "TERM": "dumb"}
        self.masters = {}
        self.numbers = 0

    def master(self, count):
        """The folder to copy, and the plain and encrypted content by name."""
        if count not in self.masters:
            place = self.parent / f"master{count}"
            (place / "sub").mkdir(parents=True)
            (place / ".sops.yaml").write_text(CONFIG)
            plain = {}
            for number in range(count):
                name = f"sub/f{number}.yaml" if number % 3 == 2 else f"f{number}.yaml"
                plain[name] = PLAIN.format(number).encode()
                (place / name).write_bytes(plain[name])
            done = self.run(place, "encrypt", "-r", "-i", ".")
            assert done.returncode == 0, done.stderr
            self.masters[count] = (place, plain, {name: (place / name).read_bytes() for name in plain})
        return self.masters[count]

    def copy(self, count, plain=False):
        """A fresh copy: encrypted, or in the clear."""
        master, clear, _ = self.master(count)
        place = self.parent / f"run{self.numbers}"
        self.numbers += 1
        shutil.copytree(master, place)
        if plain:
            for name, content in clear.items():
                (place / name).write_bytes(content)
        return place

    def start(self, place, *arguments, wrapper=(), **options):
        return subprocess.Popen([*wrapper, self.sops, *arguments], cwd=place, env=options.pop("env", self.environment), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def run(self, place, *arguments, wrapper=(), env=None):
        return subprocess.run([*wrapper, self.sops, *arguments], cwd=place, env=env or self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=300, check=False)


def temporaries(place):
    return sorted(str(path) for path in place.rglob("*") if TEMPORARY in path.name)


def version(content, plain, old):
    """"old", "new", "plain" or "broken"."""
    if content == old:
        return "old"
    if content == plain:
        return "plain"
    return "new" if content.startswith(b"user: ENC[") and b"\n    version: " in content else "broken"


def versions(folder, place, count):
    _, plain, encrypted = folder.master(count)
    return {name: version((place / name).read_bytes(), plain[name], encrypted[name]) for name in plain}


# --- scenarios -----------------------------------------------------------------------------------------------------------------


class Command:
    """A command over the folder: `before` and `after` are what versions() calls the files."""

    def __init__(self, name, arguments, before, after, config=CONFIG):
        self.name, self.arguments, self.before, self.after, self.config = name, arguments, before, after, config

    def place(self, folder, count):
        """A fresh folder to run in."""
        place = folder.copy(count, self.before == "plain")
        (place / ".sops.yaml").write_text(self.config)
        return place


COMMANDS = [
    Command("decrypt", ["decrypt", "-r", "-i", "."], "old", "plain"),
    Command("encrypt", ["encrypt", "-r", "-i", "."], "plain", "new"),
    Command("rotate", ["rotate", "-r", "-i", "."], "old", "new"),
    Command("updatekeys", ["updatekeys", "-r", "-y", "."], "old", "new", CONFIG.replace(RECIPIENT, f"{RECIPIENT},{SECOND}")),
]


def judge(folder, place, command, count, killed, what):
    """The promises, after a run that was disturbed."""
    found = set(versions(folder, place, count).values())
    check("broken" not in found and found <= {command.before, command.after}, f"{what}: files are {found}")
    if not killed:
        check(len(found) == 1, f"{what}: some files changed, some did not")
        check(not temporaries(place), f"{what}: left {temporaries(place)}")
        return
    if found == {command.before} and command.name == "decrypt":
        for name in temporaries(place):
            # Linked, and not yet exchanged: the one instant that decision 2 admits, and only of the first file.
            check(b"ENC[" in pathlib.Path(name).read_bytes() or len(temporaries(place)) == 1, f"{what}: plaintext in {name}")
    done = folder.run(place, *command.arguments)
    check(done.returncode == 0, f"{what}: the repetition failed: {done.stderr.decode()}")
    after = set(versions(folder, place, count).values())
    check(after == {command.after}, f"{what}: after the repetition files are {after}")
    check(not temporaries(place), f"{what}: the repetition left {temporaries(place)}")


def signals_at_any_moment(folder):
    """SIGTERM, SIGINT, SIGHUP and SIGKILL after delays that cover the whole run."""
    count = 200
    for command in COMMANDS:
        place = command.place(folder, count)
        begin = time.monotonic()
        check(folder.run(place, *command.arguments).returncode == 0, command.name)
        whole = time.monotonic() - begin
        judge(folder, place, command, count, False, command.name)
        ended = set()
        for turn in range(24):
            number = (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL)[turn % 4]
            place = command.place(folder, count)
            process = folder.start(place, *command.arguments)
            time.sleep(whole * 1.1 * turn / 24)
            process.send_signal(number)
            process.communicate(timeout=120)
            check(process.returncode in (0, -number), f"{command.name}: ended with {process.returncode}")
            ended.add(process.returncode)
            judge(folder, place, command, count, number == signal.SIGKILL, f"{command.name}, signal {number} at {turn}/24")
            shutil.rmtree(place)
        check(-signal.SIGTERM in ended and -signal.SIGKILL in ended, f"{command.name}: no signal came in time: {ended}")


def strace_works(folder):
    if not shutil.which("strace"):
        return False
    done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=chdir:error=EIO:when=99", "true"], capture_output=True)
    return done.returncode == 0


def system_calls(folder):
    """Every call that changes something: killed there, ended there by SIGTERM, or failing."""
    if not strace_works(folder):
        skipped.append("system_calls: strace cannot work here")
        return
    count = 4
    calls = ("renameat2", "linkat", "fchmodat", "syncfs", "unlinkat", "flock", "fchmod", "ftruncate", "pwrite64")
    runs = 0
    for command in COMMANDS:
        place = command.place(folder, count)
        log = folder.parent / "trace"
        folder.run(place, *command.arguments, wrapper=["strace", "-f", "-qq", "-o", log])
        trace = log.read_text()
        for call in calls:
            most = max((len(re.findall(rf"^{process} +{call}\(", trace, re.M)) for process in set(re.findall(r"^(\d+) ", trace, re.M))), default=0)
            for when in range(1, most + 1):
                for what in ("signal=KILL", "signal=TERM", "error=EIO", "error=ENOSPC"):
                    # Nothing can take away a file that cannot be taken away.
                    if call == "unlinkat" and what.startswith("error"):
                        continue
                    place = command.place(folder, count)
                    done = folder.run(place, *command.arguments,
                                      wrapper=["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={call}:{what}:when={when}"])
                    name = f"{command.name}, {call} number {when}, {what}"
                    check(done.returncode in (0, 1, 3, -9, -15, 128 + 9, 128 + 15), f"{name}: ended with {done.returncode}")
                    runs += 1
                    judge(folder, place, command, count, what == "signal=KILL", name)
                    if what.startswith("error") and done.returncode == 0:
                        check(set(versions(folder, place, count).values()) == {command.after}, f"{name}: success, but not all changed")
                    shutil.rmtree(place)
    check(runs > 100, f"only {runs} calls were hit")
    print(f"{runs} calls were hit")


def full_disk(folder):
    """A disk on which only a part of the results has room."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        skipped.append("full_disk: needs root and unshare")
        return
    count = 40
    for command in COMMANDS:
        script = f"""
            mount -t tmpfs -o size=280k none {folder.parent}/disk && cd {folder.parent}/disk || exit 77
            cp -r {command.place(folder, count)}/. .
            find . -type f | sort | xargs sha256sum > {folder.parent}/before
            "$0" "$@"; echo "status $?"
            find . -type f | sort | xargs sha256sum | cmp - {folder.parent}/before && echo same
            umount {folder.parent}/disk 2>/dev/null; true
        """
        (folder.parent / "disk").mkdir(exist_ok=True)
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, folder.sops, *command.arguments], env=folder.environment, capture_output=True,
                              text=True, timeout=120)
        if done.returncode == 77:
            skipped.append("full_disk: no mount")
            return
        check("status 3\n" in done.stdout and "\nsame" in done.stdout, f"{command.name}: {done.stdout} {done.stderr}")
        check("no space left" in done.stderr, f"{command.name}: {done.stderr}")


def as_nobody():
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


def read_only_directory(folder):
    """Files that may be written in a directory that may not: written over. One that may not: nothing changes."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        skipped.append("read_only_directory: needs root and setpriv")
        return
    for unwritable in (False, True):
        place = folder.copy(6)
        folder.parent.chmod(0o755)
        environment = {**folder.environment, "SOPS_AGE_KEY": (KEYS / "age.txt").read_text(), "HOME": "/nonexistent"}
        del environment["SOPS_AGE_KEY_FILE"]
        for path in place.rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o666)
        place.chmod(0o555)
        if unwritable:
            (place / "f3.yaml").chmod(0o444)
        done = folder.run(place, "decrypt", "-r", "-i", ".", wrapper=as_nobody(), env=environment)
        found = set(versions(folder, place, 6).values())
        if unwritable:
            check(done.returncode == 3 and found == {"old"} and b"permission denied" in done.stderr, f"{done.returncode} {found} {done.stderr}")
        else:
            check(done.returncode == 0 and found == {"plain"}, f"{done.returncode} {found} {done.stderr}")
            check(done.stderr.count(b"written in place") == 6, done.stderr)
        check(not temporaries(place), temporaries(place))


def broken_file(folder):
    """One file in the middle does not decrypt."""
    place = folder.copy(9)
    broken = place / "f4.yaml"
    broken.write_bytes(broken.read_bytes().replace(b"data:", b"data:AAAA", 1))
    before = {path: path.read_bytes() for path in place.rglob("*.yaml")}
    done = folder.run(place, "decrypt", "-r", "-i", ".")
    check(done.returncode == 25 and b"f4.yaml" in done.stderr, f"{done.returncode} {done.stderr}")
    check(all(path.read_bytes() == content for path, content in before.items()), "a file changed")
    check(not temporaries(place), temporaries(place))
    done = folder.run(place, "decrypt", "-r", "-i", "--keep-going", ".")
    check(done.returncode == 25, done.stderr)
    found = versions(folder, place, 9)
    check(found.pop("f4.yaml") == "new" and set(found.values()) == {"plain"}, str(found))


def key_command(folder, place, body):
    """Adds a key to the files. Returns an environment where it is the only one, and each use of it runs `body` in a shell, with the number
    of the use in $n."""
    with_fake = {**folder.environment, "SOPS_GPG_EXEC": str(FAKE_GPG)}
    done = folder.run(place, "rotate", "-r", "-i", "--add-pgp", "0123456789ABCDEF0123456789ABCDEF01234567", ".", env=with_fake)
    assert done.returncode == 0, done.stderr
    script = folder.parent / f"key{folder.numbers}"
    counter = folder.parent / f"counter{folder.numbers}"
    counter.write_text("")
    script.write_text(f"#!/bin/sh\necho x >> {counter}\nn=$(wc -l < {counter})\ncd {place}\n{body}\n")
    script.chmod(0o755)
    environment = {**with_fake, "FAKE_GPG_BEFORE": str(script)}
    del environment["SOPS_AGE_KEY_FILE"]
    return environment


def changed_meanwhile(folder):
    """Somebody writes into a file after it was read, or after its result was stored (editing.md 1.7)."""
    for when in (1, 9):
        place = folder.copy(9)
        # Two uses at a time may see the same number; only one of them changes the files.
        body = f'[ "$n" -ge {when} ] && mkdir once 2>/dev/null && find . -name "*.yaml" | while read f; do echo "# by others" >> "$f"; done'
        environment = key_command(folder, place, body)
        done = folder.run(place, "decrypt", "-r", "-i", ".", env=environment)
        check(done.returncode == 3 and b"changed since it was read" in done.stderr, f"{when}: {done.returncode} {done.stderr}")
        found = versions(folder, place, 9)
        check(set(found.values()) == {"new"}, f"{when}: {found}")
        for path in place.rglob("f*.yaml"):
            check(path.read_bytes().endswith(b"# by others\n"), "the change of the other is lost")
        check(not temporaries(place), temporaries(place))


def progress(folder):
    """On a terminal there is progress, in plain characters; elsewhere there is none."""
    place = folder.copy(12)
    environment = key_command(folder, place, "sleep 0.1")
    done = folder.run(place, "decrypt", "-r", "--output-dir", folder.parent / "out", ".", env=environment)
    check(done.returncode == 0 and done.stderr == b"sops: 12 files decrypted\n", done.stderr)
    ours, theirs = pty.openpty()
    process = subprocess.Popen([folder.sops, "decrypt", "-r", "-i", "."], cwd=place, env={**environment, "NO_COLOR": "1"}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    text = b""
    while True:
        try:
            block = os.read(ours, 4096)
        except OSError:
            break
        if not block:
            break
        text += block
    check(process.wait(60) == 0, "progress: failed")
    check(re.search(rb"\rsops: decrypt: \d+ of 12 files", text), f"no progress in {text}")
    check(b"\x1b" not in text, f"an escape sequence in {text}")
    check(text.endswith(b"sops: 12 files decrypted\r\n"), f"no summary in {text}")


def fits(schema, value, whole):
    """Whether `value` fits the part of JSON Schema that the schema of the report uses."""
    if "$ref" in schema:
        return fits(whole["$defs"][schema["$ref"].rsplit("/", 1)[1]], value, whole)
    if "const" in schema and value != schema["const"] or "enum" in schema and value not in schema["enum"]:
        return False
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    if "type" in schema and (not isinstance(value, kinds[schema["type"]]) or schema["type"] == "integer" and isinstance(value, bool)):
        return False
    if isinstance(value, dict):
        if any(name not in value for name in schema.get("required", ())):
            return False
        others = schema.get("additionalProperties", True)
        for name, member in value.items():
            part = schema.get("properties", {}).get(name, others)
            if part is False or part is not True and not fits(part, member, whole):
                return False
    return not isinstance(value, list) or all(fits(schema.get("items", {}), item, whole) for item in value)


def report(folder):
    """The report fits its schema and does not depend on the number of threads."""
    schema = json.loads((ROOT / "docs" / "batch-report.schema.json").read_text())
    check(not fits(schema, {"version": 1}, schema), "the judge accepts anything")
    place = folder.copy(9)
    (place / "f4.yaml").write_bytes((place / "f4.yaml").read_bytes().replace(b"data:", b"data:AAAA", 1))
    (place / "f5").write_text("no secret")
    outputs = set()
    wrappers = [()] * 4 + ([("taskset", "-c", "0")] * 2 if shutil.which("taskset") else [])
    for wrapper in wrappers:
        done = folder.run(place, "decrypt", "-r", "-i", "--json", ".", wrapper=wrapper)
        check(done.returncode == 25, done.stderr)
        outputs.add((done.stdout, done.stderr))
    check(len(outputs) == 1, f"{len(outputs)} different reports")
    (place / "f4.yaml").unlink()
    texts = [outputs.pop()[0]]
    for arguments in (["filestatus", "-r", "--json", "."], ["decrypt", "-r", "-i", "--json", "--dry-run", "."],
                      ["decrypt", "-r", "--output-dir", "out", "--json", "."], ["decrypt", "-i", "--json", "f0.yaml"],
                      ["encrypt", "-i", "--json", "--keep-going", "f0.yaml", "f1.yaml", "sub", "-r"]):
        texts.append(folder.run(place, *arguments).stdout)
    for text in texts:
        try:
            value = json.loads(text)
        except ValueError:
            check(False, f"no JSON: {text}")
            continue
        check(fits(schema, value, schema), f"does not fit the schema: {text.decode()}")
        counted = {name: sum(file["result"] == name for file in value["files"]) for name in value["summary"] if name != "files"}
        check(value["summary"] == {"files": len(value["files"]), **counted}, f"summary: {value['summary']}")


SCENARIOS = [broken_file, changed_meanwhile, progress, report, read_only_directory, full_disk, signals_at_any_moment, system_calls]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sops", required=True)
    parser.add_argument("--only", nargs="+", help="scenarios")
    options = parser.parse_args()
    for scenario in SCENARIOS:
        if options.only and scenario.__name__ not in options.only:
            continue
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="sops-batch-") as parent:
            scenario(Folder(os.path.abspath(options.sops), parent))
        print(f"{scenario.__name__}: {time.monotonic() - begin:.1f} s", flush=True)
    for text in skipped:
        print("SKIPPED, NOT PASSED:", text)
    print(f"{len(failures)} failures")
    return 1 if failures else 77 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
