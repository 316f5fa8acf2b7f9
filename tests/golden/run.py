#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Holds the program against the golden files: what SOPS 3.13.3 itself wrote (README.md beside this file).

Checks, each named as the exceptions name them:

  decrypt     an `enc` file decrypts to the bytes SOPS decrypted it to; one that SOPS cannot open ends with SOPS's exit status
  encrypt     encrypting an input ends with SOPS's exit status
  roundtrip   decrypt(encrypt(x)) == x, byte for byte
  reference   SOPS decrypts what the program under test wrote, exit status 0 (only with --reference)
  values      … and prints what it printed for its own encrypted file (only with --reference)

Exceptions are the rows `| golden | CHECK VARIANT/NAME | reason |` of docs/compatibility.md, where CHECK, VARIANT and NAME are
shell patterns. A row that excuses nothing any more is a failure itself.

Prints one line per failure with a command that shows it, then `N passed, N failed, N excused`. Standard library only.
"""

import argparse
import concurrent.futures
import fnmatch
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
EXTENSIONS = {"yaml": "yaml", "json": "json", "dotenv": "env", "ini": "ini"}
# The key cases that can be opened by what is built so far, with the identity files that open them; `.asc` is for gpg. In
# groups_2_of_3 it is the threshold of 2 that age.txt and age2.txt reach together.
KEY_CASES = {"age_two": ["age2.txt"], "pgp_and_age": ["age.txt"], "groups_2_of_3": ["age.txt", "age2.txt"], "pgp_rsa": ["pgp.asc"],
             "pgp_ecc": ["pgp.asc"], "groups_all_of_2": ["age.txt", "pgp.asc"]}
DEFAULT_IDENTITIES = ["age.txt"]
TIMEOUT_SECONDS = 120


@dataclass
class Row:
    """One line of index.tsv."""

    variant: str
    name: str
    format: str
    encrypt_rc: int
    decrypt_rc: int | None


@dataclass
class Outcome:
    """What one check of one case came to; `failure` is empty if it passed."""

    check: str
    case: str
    failure: str = ""
    command: str = ""


@dataclass
class Excuse:
    """One exception row of docs/compatibility.md."""

    line: int
    check: str
    case: str
    reason: str
    excused: int = 0

    def covers(self, outcome):
        return fnmatch.fnmatchcase(outcome.check, self.check) and fnmatch.fnmatchcase(outcome.case, self.case)


@dataclass
class Setup:
    """What every check needs to know."""

    sops: str
    reference: str | None
    golden: pathlib.Path
    work: pathlib.Path
    encrypt_options: list
    home: pathlib.Path = field(init=False)
    gnupg: pathlib.Path | None = field(init=False, default=None)

    def __post_init__(self):
        self.home = self.work / "empty-home"
        self.home.mkdir(exist_ok=True)

    def open_gnupg(self):
        """Makes a folder of PGP keys, if there is gpg; with a short path, because sockets lie in it."""
        if shutil.which("gpg") is None:
            return
        self.gnupg = pathlib.Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        subprocess.run(["gpg", "--homedir", str(self.gnupg), "--batch", "--import", str(self.golden / "keys" / "pgp.asc")], check=True,
                       stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=TIMEOUT_SECONDS)

    def close_gnupg(self):
        if self.gnupg is None:
            return
        subprocess.run(["gpgconf", "--homedir", str(self.gnupg), "--kill", "all"], check=False, stderr=subprocess.DEVNULL, timeout=TIMEOUT_SECONDS)
        shutil.rmtree(self.gnupg, ignore_errors=True)

    def environment(self, identities):
        """Nothing of the caller's but PATH: one identity file by name, further ones by content."""
        variables = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.home),
            "SOPS_DISABLE_VERSION_CHECK": "1",
        }
        if self.gnupg is not None and "pgp.asc" in identities:
            variables["GNUPGHOME"] = str(self.gnupg)
        files = [self.golden / "keys" / name for name in identities if name.endswith(".txt")]
        if files:
            variables["SOPS_AGE_KEY_FILE"] = str(files[0])
        if files[1:]:
            variables["SOPS_AGE_KEY"] = "".join(path.read_text() for path in files[1:])
        return variables


def read_index(golden):
    """The rows of index.tsv."""
    rows = []
    for line in (golden / "index.tsv").read_text().splitlines()[1:]:
        variant, name, format_id, encrypt_rc, decrypt_rc = (line.split("\t") + [""] * 5)[:5]
        rows.append(Row(variant, name, format_id, int(encrypt_rc), int(decrypt_rc) if decrypt_rc else None))
    return rows


def read_excuses(path):
    """The `| golden | … |` rows of the compatibility table."""
    excuses = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("| golden |") or len(cells) < 3:
            continue
        match = re.fullmatch(r"`?(\S+) (\S+?)`?", cells[1])
        if not match:
            sys.exit(f"{path}:{number}: expected `CHECK VARIANT/NAME` in the second cell, found '{cells[1]}'")
        excuses.append(Excuse(number, match[1], match[2], cells[2]))
    return excuses


def extension_of(row):
    """The extension of row's enc and dec files."""
    return EXTENSIONS.get(row.format, pathlib.PurePath(row.name).suffix.lstrip("."))


def run(setup, program, arguments, identities=DEFAULT_IDENTITIES):
    """Runs a program; returns (exit status or a word for its death, stdout, stderr in one line, a command to copy)."""
    environment = setup.environment(identities)
    shown = [f"{key}={value}" for key, value in environment.items() if key not in ("PATH", "HOME")]
    command = shlex.join(["env", "HOME=/nonexistent", *shown, program, *arguments])
    try:
        done = subprocess.run([program, *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              cwd=setup.home, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return f"none within {TIMEOUT_SECONDS} s", b"", "", command
    status = done.returncode if done.returncode >= 0 else f"signal {-done.returncode}"
    message = " / ".join(done.stderr.decode(errors="replace").strip().splitlines())
    return status, done.stdout, message[:600], command


def compare(actual, expected):
    """Empty if equal, else where the first difference is."""
    if actual == expected:
        return ""
    at = next((i for i, (a, b) in enumerate(zip(actual, expected)) if a != b), min(len(actual), len(expected)))
    line = expected[:at].count(b"\n") + 1
    return (f"differs at byte {at}, line {line}: got {actual[at:at + 24]!r}, expected {expected[at:at + 24]!r}"
            f" ({len(actual)} and {len(expected)} bytes)")


def check_status(outcome, status, expected, message):
    """Marks the outcome failed if the exit status is not the expected one."""
    if status != expected:
        outcome.failure = f"exit status {status}, expected {expected}" + (f": {message}" if message else "")
    return not outcome.failure


def config_of(setup, variant):
    """The options that name the variant's configuration; `stores` counts when decrypting, too."""
    return ["--config", str(setup.golden / "keys" / f".sops.{variant}.yaml")]


def check_decrypt(setup, variant, encrypted, expected, expected_status, case,
                  identities=DEFAULT_IDENTITIES):
    """The check `decrypt` of one encrypted golden file; `expected` is the path of the text SOPS decrypted it to."""
    status, output, message, command = run(
        setup, setup.sops, [*config_of(setup, variant), "decrypt", str(encrypted)], identities)
    outcome = Outcome("decrypt", case, command=command)
    if check_status(outcome, status, expected_status, message):
        if expected_status == 0:
            outcome.failure = compare(output, expected.read_bytes())
        elif output:
            outcome.failure = f"{len(output)} bytes on stdout although it failed"
    return outcome


def check_input(setup, row):
    """The checks `encrypt`, `roundtrip`, `reference` and `values` of one plain input in one variant."""
    case = f"{row.variant}/{row.name}"
    source = setup.golden / "in" / row.name
    config = config_of(setup, row.variant)
    status, encrypted, message, command = run(
        setup, setup.sops, [*config, "encrypt", *setup.encrypt_options, str(source)])
    outcome = Outcome("encrypt", case, command=command)
    outcomes = [outcome]
    if not check_status(outcome, status, row.encrypt_rc, message) or row.encrypt_rc != 0:
        if status != 0 and encrypted:
            outcome.failure = f"{len(encrypted)} bytes on stdout although it failed"
        return outcomes

    ours = setup.work / row.variant / row.name
    ours.parent.mkdir(exist_ok=True)
    ours.write_bytes(encrypted)

    def both(command):
        """Encrypting and then `command`, with a path that is still there when the run is over."""
        return f"{outcomes[0].command} > /tmp/{row.name}; {command.replace(str(ours), f'/tmp/{row.name}')}"

    status, output, message, command = run(setup, setup.sops, [*config, "decrypt", str(ours)])
    outcome = Outcome("roundtrip", case, command=both(command))
    if check_status(outcome, status, 0, message):
        outcome.failure = compare(output, source.read_bytes())
    outcomes.append(outcome)

    if setup.reference:
        status, output, message, command = run(setup, setup.reference, [*config, "decrypt", str(ours)])
        outcome = Outcome("reference", case, command=both(command))
        outcomes.append(outcome)
        folder = setup.golden / row.variant / row.name
        if check_status(outcome, status, 0, message) and row.decrypt_rc == 0:
            outcomes.append(Outcome("values", case, compare(output, expected_text(setup, row, folder).read_bytes()),
                                    outcome.command))
    return outcomes


def expected_text(setup, row, folder):
    """The file with the text SOPS decrypted to: dec.EXT, or the input where that is absent."""
    decrypted = folder / f"dec.{extension_of(row)}"
    return decrypted if decrypted.exists() else setup.golden / "in" / row.name


def key_cases(setup):
    """Those that can be tried here."""
    return [case for case, identities in KEY_CASES.items() if setup.gnupg is not None or "pgp.asc" not in identities]


def tasks_of(setup, rows, formats):
    """All checks as functions without arguments that return lists of outcomes."""
    tasks = []

    def add_decrypt(*arguments):
        tasks.append(lambda: [check_decrypt(setup, *arguments)])

    for row in rows:
        if row.format not in formats:
            continue
        if row.variant.startswith("keycases/"):
            case = row.variant.removeprefix("keycases/")
            if case in key_cases(setup) and row.encrypt_rc == 0:
                expected = expected_text(setup, row, setup.golden / "default" / row.name)
                add_decrypt("default", setup.golden / row.variant / row.name, expected, 0, f"{row.variant}/{row.name}",
                            KEY_CASES[case])
            continue
        tasks.append(lambda row=row: check_input(setup, row))
        if row.encrypt_rc == 0:
            folder = setup.golden / row.variant / row.name
            add_decrypt(row.variant, folder / f"enc.{extension_of(row)}", expected_text(setup, row, folder), row.decrypt_rc,
                        f"{row.variant}/{row.name}")

    by_name = {row.name: row for row in rows if row.variant == "default"}
    for folder in sorted((setup.golden / "old").glob("*/*")):
        row = by_name.get(folder.name)
        if row and row.format in formats:
            add_decrypt("default", folder / f"enc.{extension_of(row)}", expected_text(setup, row, folder), 0,
                        f"old/{folder.parent.name}/{folder.name}")
    return tasks


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sops", required=True, help="the program under test")
    parser.add_argument("--golden", type=pathlib.Path, default=HERE)
    parser.add_argument("--formats", default="yaml,json,binary")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--reference", help="SOPS itself, to judge what the program wrote")
    parser.add_argument("--exceptions", type=pathlib.Path, default=ROOT / "docs" / "compatibility.md")
    parser.add_argument("--only", default="*", help="a pattern for VARIANT/NAME; unneeded exceptions are not reported then")
    parser.add_argument("--like-reference", action="store_true",
                        help="the program under test is SOPS: it does not know --allow-plaintext")
    parser.add_argument("--keep", type=pathlib.Path, help="put the encrypted files there and keep them")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="sops-golden-") as temporary:
        work = options.keep or pathlib.Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        setup = Setup(os.path.abspath(options.sops), options.reference and os.path.abspath(options.reference),
                      options.golden.resolve(), work.resolve(), [] if options.like_reference else ["--allow-plaintext"])
        for program in filter(None, (setup.sops, setup.reference)):
            if not os.access(program, os.X_OK):
                sys.exit(f"no such program: {program}")
        rows = read_index(setup.golden)
        excuses = read_excuses(options.exceptions)
        rows = [row for row in rows if fnmatch.fnmatchcase(f"{row.variant}/{row.name}", options.only)
                or (options.only.startswith("old/") and row.variant == "default")]
        setup.open_gnupg()
        try:
            with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
                results = list(pool.map(lambda task: task(), tasks_of(setup, rows, options.formats.split(","))))
        finally:
            setup.close_gnupg()

    passed = failed = excused = 0
    for outcome in (outcome for outcomes in results for outcome in outcomes):
        if not outcome.failure:
            passed += 1
            continue
        covering = [excuse for excuse in excuses if excuse.covers(outcome)]
        for excuse in covering:
            excuse.excused += 1
        if covering:
            excused += 1
            continue
        failed += 1
        print(f"FAIL {outcome.check} {outcome.case}: {outcome.failure}  # {outcome.command}")
    needs_reference = ("reference", "values")
    for excuse in excuses:
        if excuse.excused or options.only != "*" or options.like_reference:
            continue
        if excuse.check in needs_reference and not options.reference:
            continue
        if extension_of_case(excuse.case) not in [EXTENSIONS.get(name, "*") for name in options.formats.split(",")]:
            continue
        failed += 1
        print(f"FAIL {options.exceptions}:{excuse.line}: '{excuse.check} {excuse.case}' passes now: remove the row")
    later = sorted({row.variant for row in rows if row.variant.startswith("keycases/") and row.encrypt_rc == 0} - {f"keycases/{k}" for k in KEY_CASES})
    if later:
        print("not tried, because their keys come later: " + ", ".join(later))
    if setup.gnupg is None:
        print("not tried, because there is no gpg: PGP keys")
    print(f"{passed} passed, {failed} failed, {excused} excused")
    if passed == 0:
        sys.exit("nothing was checked")
    return 1 if failed else 0


def extension_of_case(case):
    """The extension that an exception row speaks of; binary files have several, and no row so far."""
    return case.rsplit(".", 1)[-1]


if __name__ == "__main__":
    sys.exit(main())
