#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Runs command line scripts: commands, what they must print and the files they work on, in one text file (*.txtar).

A script is lines of the language below, then files, each after a line `-- NAME --`. They are written to a fresh folder, the
working directory of the commands. Standard library only.

    # comment                     says what the lines below show
    sops WORD…                    runs the program; it must end with status 0
    [25] sops WORD…               … with status 25
    [!0] sops WORD…               … with any status but 0
    exec WORD…                    runs another program, with the same prefixes
    stdin FILE                    what the next command reads; the default is the null device
    env NAME=VALUE, unset NAME    for the commands below
    stdout PATTERN                the last command's standard output has a line that matches (Python regular expression)
    stderr PATTERN
    stdout empty, stderr empty    … printed nothing there
    save FILE                     writes the last standard output to FILE
    cmp A B                       equal bytes; A and B are files, `stdout` or `stderr`
    grep PATTERN FILE             FILE has a line that matches
    cp A B, mkdir D, rm F, symlink TARGET LINK, chmod MODE FILE
    replace FILE OLD NEW          replaces the first OLD in FILE; it must be there
    exists F…, mode FILE MODE, files NAME…   (the working directory holds exactly these, in any order)
    ours-only                     from here on the script shows what SOPS does otherwise: it ends here with --like-reference

A `!` before stdout, stderr, cmp, grep and exists turns them round. Words are split as the shell does, `$NAME` is expanded in
them ($$ is a dollar): $WORK (the folder), $SOPS (the program, for scripts), $AGE and $KEY (a test recipient and its identity file, already in SOPS_AGE_KEY_FILE), $AGE2 and
$KEY2 (another pair, not set), $AGE3 (a third recipient), $GOLDEN. HOME is an empty folder.

    run.py --sops PROGRAM [--jobs N] [--like-reference] [SCRIPT…]     prints failures as file:line: text
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import string
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden"
TIMEOUT_SECONDS = 60


class Failed(Exception):
    """A line of a script that did not hold."""


class EndOfScript(Exception):
    """`ours-only` while the program under test is SOPS."""


class Script:
    """One script, its folder, and the last command's output."""

    def __init__(self, path, sops, like_reference, folder):
        self.path, self.sops, self.like_reference = path, sops, like_reference
        self.work = folder / "work"
        home = folder / "home"
        self.work.mkdir()
        home.mkdir()
        keys = GOLDEN / "keys"
        second = folder / "key2.txt"
        second.write_text((keys / "age2.txt").read_text())
        self.variables = {
            "WORK": str(self.work), "SOPS": sops, "GOLDEN": str(GOLDEN), "AGE": (keys / "age.pub").read_text().strip(),
            "KEY": str(keys / "age.txt"), "KEY2": str(second),
            "AGE2": re.search(r"age1\w+", (keys / "age2.txt").read_text())[0],
            "AGE3": re.search(r"age1\w+", (keys / "age3.txt").read_text())[0],
        }
        self.environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(home), "PWD": str(self.work), "TERM": "dumb", "AWS_EC2_METADATA_DISABLED": "true",
            "SOPS_AGE_KEY_FILE": self.variables["KEY"], "SOPS_DISABLE_VERSION_CHECK": "1",
        }
        self.stdout = self.stderr = b""
        self.input = None

    def run(self):
        """Writes the files, then does line by line. Raises Failed."""
        lines, files = split_archive(self.path.read_bytes())
        for name, content in files:
            target = self.work / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                self.do(line)
            except EndOfScript:
                return
            except (Failed, OSError, ValueError, re.error) as error:
                raise Failed(f"{self.path}:{number}: {line.strip()}\n    {error}") from None

    def do(self, line):
        """One line."""
        prefix = re.match(r"\s*\[(!?\d+)\]\s*", line)
        if prefix:
            line = line[prefix.end():]
        words = shlex.split(line)
        negated = words[0] == "!"
        if negated:
            words = words[1:]
        # Patterns keep their dollars: only a known name in front of which no backslash stands is expanded.
        words = [string.Template(word).safe_substitute(self.variables) for word in words]
        name, arguments = words[0], words[1:]
        if name in ("sops", "exec"):
            self.execute([self.sops, *arguments] if name == "sops" else arguments, prefix[1] if prefix else "0")
            return
        method = getattr(self, "do_" + name.replace("-", "_"), None)
        if not method:
            raise Failed(f"unknown word '{name}'")
        if name in ("stdout", "stderr", "cmp", "grep", "exists"):
            complaint = method(*arguments)
            if bool(complaint) != negated:
                raise Failed(complaint or "holds, but must not")
        else:
            method(*arguments)

    def execute(self, command, expected):
        with open(self.input or os.devnull, "rb") as stdin:
            try:
                done = subprocess.run(command, cwd=self.work, env=self.environment, stdin=stdin, capture_output=True,
                                      timeout=TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                raise Failed(f"still running after {TIMEOUT_SECONDS} s") from None
        self.input = None
        self.stdout, self.stderr = done.stdout, done.stderr
        if done.returncode < 0:
            raise Failed(f"killed by signal {-done.returncode}: {self.shown()}")
        holds = done.returncode != 0 if expected == "!0" else done.returncode == int(expected)
        if not holds:
            raise Failed(f"exit status {done.returncode}, expected {expected}: {self.shown()}")

    def shown(self):
        return f"stdout {self.stdout[:300]!r}, stderr {self.stderr[:600]!r}"

    def content(self, name):
        return {"stdout": self.stdout, "stderr": self.stderr}.get(name) if name in ("stdout", "stderr") else self.file(name).read_bytes()

    def file(self, name):
        return self.work / name

    def matches(self, name, pattern):
        text = self.content(name).decode(errors="replace")
        if pattern == "empty" and name in ("stdout", "stderr"):
            return "" if not text else f"{name} is not empty: {text[:600]!r}"
        return "" if re.search(pattern, text, re.MULTILINE) else f"no match in {name}: {text[:1200]!r}"

    def do_stdout(self, pattern):
        return self.matches("stdout", pattern)

    def do_stderr(self, pattern):
        return self.matches("stderr", pattern)

    def do_grep(self, pattern, name):
        return self.matches(name, pattern)

    def do_cmp(self, first, second):
        one, two = self.content(first), self.content(second)
        return "" if one == two else f"{first} is {one[:1200]!r}\n    {second} is {two[:1200]!r}"

    def do_exists(self, *names):
        missing = [name for name in names if not os.path.lexists(self.file(name))]
        return f"missing: {missing}" if missing else ""

    def do_files(self, *names):
        found = sorted(os.listdir(self.work))
        if found != sorted(names):
            raise Failed(f"the folder holds {found}")

    def do_mode(self, name, mode):
        found = self.file(name).stat().st_mode & 0o7777
        if found != int(mode, 8):
            raise Failed(f"mode is {found:o}")

    def do_stdin(self, name):
        self.input = self.file(name)

    def do_save(self, name):
        self.file(name).write_bytes(self.stdout)

    def do_env(self, assignment):
        name, _, value = assignment.partition("=")
        self.environment[name] = value

    def do_unset(self, name):
        self.environment.pop(name, None)

    def do_cp(self, source, target):
        shutil.copyfile(self.file(source), self.file(target))

    def do_mkdir(self, name):
        self.file(name).mkdir(parents=True)

    def do_rm(self, name):
        self.file(name).unlink()

    def do_symlink(self, target, link):
        self.file(link).symlink_to(target)

    def do_chmod(self, mode, name):
        self.file(name).chmod(int(mode, 8))

    def do_replace(self, name, old, new):
        content = self.file(name).read_bytes()
        if old.encode() not in content:
            raise Failed(f"'{old}' is not in {name}")
        self.file(name).write_bytes(content.replace(old.encode(), new.encode(), 1))

    def do_ours_only(self):
        if self.like_reference:
            raise EndOfScript


def split_archive(content):
    """The lines before the first `-- NAME --`, and the files as (name, bytes)."""
    parts = re.split(rb"^-- (\S+) --\n", content, flags=re.MULTILINE)
    files = [(parts[i].decode(), parts[i + 1]) for i in range(1, len(parts), 2)]
    return parts[0].decode().split("\n"), files


def run_script(path, options):
    """Empty if the script holds, else what did not."""
    with tempfile.TemporaryDirectory(prefix="sops-cli-") as folder:
        try:
            Script(path, options.sops, options.like_reference, pathlib.Path(folder).resolve()).run()
        except Failed as failed:
            return str(failed).replace(folder, "$FOLDER")
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sops", required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--like-reference", action="store_true", help="the program under test is SOPS itself")
    parser.add_argument("scripts", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    options.sops = os.path.abspath(options.sops)
    if not os.access(options.sops, os.X_OK):
        sys.exit(f"no such program: {options.sops}")
    scripts = options.scripts or sorted(HERE.glob("*.txtar"))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        failures = list(filter(None, pool.map(lambda path: run_script(path, options), scripts)))
    for failure in failures:
        print(failure)
    print(f"{len(scripts) - len(failures)} scripts passed, {len(failures)} failed")
    return 1 if failures or not scripts else 0


if __name__ == "__main__":
    sys.exit(main())
