#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Checks the tables "The command line, complete" of docs/compatibility.md against the program and the tests.

Every command and flag that `sops --help` shows has a row, and every row but those that say "not yet" is there. A row's tests exist and hold
the flag, the variable or the status that it speaks of. Standard library only.

    compatibility.py --sops PROGRAM
"""

import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TABLE = ROOT / "docs" / "compatibility.md"
STATES = {"same", "otherwise", "ours", "not yet"}
# The root flags that no command has.
ROOT_ONLY = {"decrypt", "encrypt", "rotate", "set", "indent"}


class Failures(list):
    def check(self, holds, text):
        if not holds:
            self.append(text)


def read_table(title):
    """The rows below `### title`: (line, cells)."""
    rows, inside = [], False
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        if line.startswith("#"):
            inside = line == f"### {title}"
        elif inside and line.startswith("| ") and not re.match(r"\| (command|flag|variable|status) ", line):
            rows.append((number, [cell.strip() for cell in line.strip("|").split("|")]))
    if not rows:
        sys.exit(f"{TABLE}: there is no table '{title}'")
    return rows


def test_text(name, failures, where):
    """What a test says, without the files that it works on."""
    if name == "live":
        return re.sub(r"(?m)^# .*$", "", (ROOT / "tests/integration/live_cases.txt").read_text()).split("\n-- ")[0]
    path = ROOT / ("tests/cli" if name.endswith(".txtar") else "tests/integration") / name
    if not path.exists():
        failures.append(f"{where}: there is no test {name}")
        return ""
    return path.read_text()


def check_tests(cell, words, failures, where):
    """The tests of a cell exist; one of them has one of the words."""
    names = re.findall(r"`([^`]+)`", cell)
    if not names:
        return
    texts = [test_text(name, failures, where) for name in names]
    for name, text in zip(names, texts):
        failures.check(any(re.search(word, text, re.MULTILINE) for word in words), f"{where}: {name} has nothing of {' or '.join(words)}")


class Program:
    def __init__(self, path):
        self.path = path
        self.help = text = self.run("--help")
        self.commands = re.findall(r"(?m)^  (?:  )?([a-z][a-z-]*(?: [a-z]+)?)  +\S", text.split("Commands:\n")[1].split("\n\n")[0])
        parents = {name.split()[0] for name in self.commands if " " in name}
        self.commands = [name for name in self.commands if name not in parents]
        self.status = dict(re.findall(r"(?m)^  (\d+) +(\S.*)$", text.split("Exit status:\n")[1].split("\n\n")[0]))
        self.variables = set(re.findall(r"\b[A-Z][A-Z_]{3,}\b", re.sub(r"(?m)  .*", "", text.split("Environment variables:\n")[1].split("\n\n")[0].replace("\n  ", "\n"))))

    def run(self, *words):
        return subprocess.run([self.path, *words], capture_output=True, text=True, check=True, timeout=60).stdout

    def flags(self, command):
        """Flag name to (short name, summary) from the command's help."""
        text = self.run(*command.split(), "--help").split("Flags:\n", 1)[1]
        found = re.findall(r"(?m)^  (?:-(\w), |    )--([a-z-]+)[^\n]*?(?:\n {30,}|  +)(\S[^\n]*)$", text)
        return {name: (short, summary) for short, name, summary in found}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sops", required=True)
    options = parser.parse_args()
    program, failures = Program(options.sops), Failures()

    for title in ("Exit status", "Environment variables", "Files"):
        for line in program.help.split(f"\n{title}:\n")[1].split("\n\n")[0].splitlines():
            failures.check(re.match(r"  \S.*?  +\S", line), f"sops --help: no gap between name and text: {line}")

    known = set()
    for number, (names, state, tests) in read_table("Commands"):
        where = f"{TABLE.name}:{number}"
        failures.check(state in STATES, f"{where}: '{state}' is no state")
        for name in re.findall(r"`([a-z][a-z-]+(?: [a-z]+)?)", names):
            known.add(name)
            if name in ("help", "h"):
                continue
            failures.check((state != "not yet") == (name in program.commands), f"{where}: {name} is '{state}', but sops --help {'has' if name in program.commands else 'lacks'} it")
            check_tests(tests, [rf"\b{name}\b", name.split()[-1]], failures, where)
    for name in program.commands:
        failures.check(name in known, f"{TABLE.name}: no row for the command {name}")

    flags = {command: program.flags(command) for command in program.commands}
    rows = set()
    for number, (names, commands, state, tests) in read_table("Flags"):
        where = f"{TABLE.name}:{number}"
        failures.check(state in STATES, f"{where}: '{state}' is no state")
        longs, shorts = re.findall(r"`--([a-z-]+)`", names), re.findall(r"`-(\w)`", names)
        places = program.commands if commands == "all" else [name.strip() for name in commands.split(",")]
        for name in longs:
            for command in places:
                rows.add((command, name))
                if command == "root" or command not in flags:
                    continue
                short, summary = flags[command].get(name, ("", None))
                if state == "not yet":
                    failures.check(summary is None or "not supported yet" in summary, f"{where}: {command} --{name} is there, but its row says 'not yet'")
                    continue
                failures.check(summary is not None and "not supported yet" not in summary, f"{where}: {command} has no --{name}")
                failures.check(not shorts or short in ("", *shorts), f"{where}: {command} --{name} is -{short}")
            words = [rf"--?{name}\b", *(rf"(^|\s)-{short}\b" for short in shorts)]
            check_tests(tests, words, failures, where)
    for command, found in flags.items():
        for name in found:
            failures.check((command, name) in rows, f"{TABLE.name}: no row for {command} --{name}")
    for name in ROOT_ONLY:
        failures.check(("root", name) in rows, f"{TABLE.name}: no row for --{name}")

    listed = set()
    for number, (names, state, tests) in read_table("Environment variables"):
        where = f"{TABLE.name}:{number}"
        failures.check(state in STATES, f"{where}: '{state}' is no state")
        for name in re.findall(r"`([A-Z_]+)`", names):
            listed.add(name)
            check_tests(tests, [rf"\b{name}\b"], failures, where)
    for name in program.variables:
        failures.check(name in listed, f"{TABLE.name}: no row for the variable {name}")

    listed = set()
    for number, (statuses, _, state, tests) in read_table("Exit statuses"):
        where = f"{TABLE.name}:{number}"
        failures.check(state in STATES, f"{where}: '{state}' is no state")
        for status in re.findall(r"\d+", statuses):
            listed.add(status)
            scripts = "".join(f"`{name}`" for name in re.findall(r"`([^`]+\.txtar)`", tests))
            if status != "0":
                check_tests(scripts, [rf"\[{status}\]"], failures, where)
    for status in program.status:
        failures.check(status in listed, f"{TABLE.name}: no row for the exit status {status}")

    for text in failures:
        print(text)
    print(f"{len(program.commands)} commands, {sum(map(len, flags.values()))} flags compared, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
