#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""The installed tree: manual pages that name every command and flag and that mandoc accepts, and completion scripts that their shells can read.

    manual.py --build FOLDER      what `cmake --install` makes of it
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


def run(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120, check=False)


def check_page(page, helps, failures):
    """The page names the flags of its command, and mandoc has no complaint."""
    text = page.read_text().replace("\\-", "-")
    command = page.stem.replace("sops-", "")
    for flag in sorted(set(re.findall(r"(?m)^  (?:-\w, |    )--([a-z-]+)", helps.get(command, "").split("\nFlags for every command")[0]))):
        if not re.search(rf"(?m)^\.B .*--{flag}\b", text):
            failures.append(f"{page.name} lacks --{flag}")
    if shutil.which("mandoc"):
        lint = run("mandoc", "-Tlint", "-W", "warning", page)
        failures += [line for line in lint.stdout.splitlines() if line]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True, type=pathlib.Path)
    build = parser.parse_args().build.resolve()
    failures, skipped = [], [] if shutil.which("mandoc") else ["mandoc"]
    with tempfile.TemporaryDirectory(prefix="sops-install-") as folder:
        prefix = pathlib.Path(folder)
        done = run("cmake", "--install", build, "--prefix", prefix)
        if done.returncode:
            sys.exit(f"cmake --install failed: {done.stdout}{done.stderr}")
        sops = prefix / "bin" / "sops"
        listed = re.findall(r"(?m)^  ([a-z][a-z-]*)  +\S", run(sops, "--help").stdout.split("Commands:\n")[1].split("\n\n")[0])
        helps = {name: run(sops, name, "--help").stdout for name in listed}
        for name in listed:
            for child in re.findall(rf"(?m)^  {name} ([a-z]+) ", helps[name]):
                helps[name] += run(sops, name, child, "--help").stdout.split("\nFlags for every command")[0]
        pages = sorted((prefix / "share/man/man1").glob("*.1"))
        if {page.stem for page in pages} != {"sops", *(f"sops-{name}" for name in listed)}:
            failures.append(f"pages: {[page.stem for page in pages]}, commands: {listed}")
        for page in pages:
            check_page(page, helps, failures)
        main_page = (prefix / "share/man/man1/sops.1").read_text().replace("\\-", "-")
        for word in ["EXIT STATUS", "ENVIRONMENT", "FILES", "SOPS_AGE_KEY_FILE", ".sops.yaml", *(f"sops-{name}" for name in listed)]:
            if word not in main_page:
                failures.append(f"sops.1 lacks {word}")
        for shell, script in {"bash": "share/bash-completion/completions/sops", "zsh": "share/zsh/site-functions/_sops",
                              "fish": "share/fish/vendor_completions.d/sops.fish"}.items():
            if not (prefix / script).read_text():
                failures.append(f"{script} is empty")
            if not shutil.which(shell):
                skipped.append(shell)
                continue
            done = run(shell, "-n", prefix / script)
            if done.returncode:
                failures.append(f"{shell} cannot read {script}: {done.stderr}")
    for failure in failures:
        print(failure)
    for name in skipped:
        print(f"SKIPPED: {name} is not installed, what it would say is NOT tested")
    print(f"{len(failures)} failures")
    return 1 if failures else 77 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
