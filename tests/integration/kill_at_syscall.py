#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Kills a command that replaces a file at every system call, and lets every system call fail.

After each run the file must be whole, old or new, with its mode; no temporary file may be left but the one that
docs/decisions/0002 admits after a SIGKILL; and the next run must succeed and remove that one too.

    kill_at_syscall.py --replace-once PROGRAM
        the scenarios of tests/support/replace_once.cc, as CTest runs it
    kill_at_syscall.py --files DIR --target NAME [--check COMMAND] -- COMMAND...
        any command, for example `sops encrypt -i prod.yaml`. DIR is copied for each run and is the working directory;
        NAME is the file in it that COMMAND replaces. --check is a shell command that succeeds if NAME is a whole new
        version; without it, the new version must have the same bytes in every run.

Injection is done by strace(1). Exit status: 0 good, 1 something was lost, 77 strace cannot work here. Standard library only.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

SKIPPED = 77

# Calls that may fail in real life. Failures elsewhere (mmap, futex…) test the C library rather than us.
FALLIBLE = frozenset(
    """openat open creat read write pwrite64 pread64 fsync fdatasync syncfs fallocate ftruncate link linkat rename renameat
    renameat2 unlink unlinkat chmod fchmod fchmodat chown fchown fchownat stat lstat fstat newfstatat statx statfs fstatfs
    readlink readlinkat flock fcntl lseek flistxattr fgetxattr fsetxattr fremovexattr mkdir mkdirat""".split()
)
ERRORS = ("ENOSPC", "EIO", "EACCES")

# Taking the temporary file away cannot be tested by refusing just that.
REMOVING = frozenset(("unlink", "unlinkat"))


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A directory, a command to run in it, and the file that the command replaces."""

    title: str
    files: pathlib.Path
    target: str
    command: tuple
    check: str = ""
    whole_command: bool = False  # also the calls before the target is first named
    survives_kill: bool = True  # false: written in place, where only errors are survived
    most_leftovers: int = sys.maxsize  # at how many calls a SIGKILL may leave a temporary file


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run has left."""

    status: int
    content: bytes = dataclasses.field(repr=False)
    mode: int
    leftovers: tuple
    log: str


def fresh_copy(scenario, parent):
    """A copy of the scenario's directory. Hard links stay hard links, which copytree() would not keep."""
    place = pathlib.Path(tempfile.mkdtemp(dir=parent)) / "d"
    subprocess.run(["cp", "-a", scenario.files, place], check=True)
    return place


def environment():
    """Ours, without the leak check, which cannot run under ptrace."""
    return {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "LC_ALL": "C"}


def run(scenario, place, strace_options):
    """Runs the command in `place`, under strace if there are options for it."""
    log = place.parent / "log"
    strace = ["strace", "-f", "-qq", "-o", log, *strace_options] if strace_options else []
    result = subprocess.run(
        [*strace, *scenario.command],
        cwd=place,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    target = place / scenario.target
    expected = {path.name for path in scenario.files.iterdir()} | {scenario.target}
    return Outcome(
        status=result.returncode,
        content=target.read_bytes() if target.exists() else None,
        mode=stat.S_IMODE(target.stat().st_mode) if target.exists() else None,
        leftovers=tuple(sorted(path.name for path in place.iterdir() if path.name not in expected)),
        log=result.stdout.decode(errors="replace"),
    )


def calls_to_hit(scenario, trace):
    """The (name, number) of each call of the replace phase; numbers count from 1 per name, as strace's `when` does."""
    total = collections.defaultdict(collections.Counter)  # by process
    before = None
    marker = f"{pathlib.Path(scenario.target).name}\""
    for line in trace.splitlines():
        match = re.match(r"(\d+) +([a-z_0-9]+)\(", line)
        if not match:
            continue
        process, name = match.groups()
        if before is None and name != "execve" and (scenario.whole_command or marker in line):
            before = dict(total[process])
        total[process][name] += 1
    if before is None:
        raise SystemExit(f"{scenario.title}: the command never names {scenario.target}")
    most = collections.Counter()
    for counter in total.values():
        most |= counter
    skipped = ("exit_group", "exit", "execve")  # the end itself, and the start of the command
    return [
        (name, number)
        for name, count in sorted(most.items())
        if name not in skipped
        for number in range(before.get(name, 0) + 1, count + 1)
    ]


class Experiment:
    """One scenario, all injections."""

    def __init__(self, scenario, parent, jobs):
        self.scenario = scenario
        self.parent = parent
        self.jobs = jobs
        self.problems = []
        old = scenario.files / scenario.target
        self.old = old.read_bytes() if old.exists() else None
        self.old_mode = stat.S_IMODE(old.stat().st_mode) if old.exists() else None
        place = fresh_copy(scenario, parent)
        reference = run(scenario, place, ["-e", "trace=all"])
        if reference.status == SKIPPED:
            raise NotPossible(reference.log)
        if reference.status != 0 or reference.leftovers:
            raise SystemExit(f"{scenario.title}: the undisturbed run failed: {reference}")
        self.new = reference.content
        self.new_mode = reference.mode
        self.calls = calls_to_hit(scenario, (place.parent / "log").read_text(errors="replace"))
        shutil.rmtree(place.parent)

    def is_new(self, place, outcome):
        """True if the target is a whole new version."""
        if outcome.content == self.new:
            return True
        if outcome.content is None or not self.scenario.check:
            return False
        check = subprocess.run(self.scenario.check, shell=True, cwd=place, env=environment(), capture_output=True, check=False)
        return outcome.content != self.old and check.returncode == 0

    def is_whole(self, place, outcome):
        """True if the target is whole, old or new, and has the mode it should."""
        if outcome.content == self.old:
            return outcome.mode == self.old_mode
        return outcome.mode == self.new_mode and self.is_new(place, outcome)

    def problem_of_leftovers(self, place, outcome):
        """What is wrong with the temporary files after a SIGKILL, or nothing."""
        if len(outcome.leftovers) > 1:
            return f"more than one file left: {outcome.leftovers}"
        for name in outcome.leftovers:
            if not re.fullmatch(r"\..*\.sops-tmp-[0-9]", name):
                return f"a file was left that nobody will remove: {name}"
            mode = stat.S_IMODE((place / name).stat().st_mode)
            if mode not in (0o600, self.new_mode):
                return f"{name} has mode {mode:o}"
        return ""

    def inject(self, name, number, what):
        """One run with one injection. Returns (hit, left a file, problem)."""
        place = fresh_copy(self.scenario, self.parent)
        try:
            options = ["-e", f"trace={name}", "-e", f"inject={name}:{what}:when={number}"]
            outcome = run(self.scenario, place, options)
            log = (place.parent / "log").read_text(errors="replace")
            problem = self.judge(place, outcome, name, killed=what == "signal=KILL")
            hit = "INJECTED" in log or "killed by SIGKILL" in log
            where = f"{self.scenario.title}: {name} #{number} {what}: "
            return hit, bool(outcome.leftovers), where + problem if problem else ""
        finally:
            shutil.rmtree(place.parent)

    def judge(self, place, outcome, name, killed):
        """What is wrong after a run and after the run that follows it, or nothing."""
        if not self.is_whole(place, outcome):
            return f"the file is neither old nor new: {outcome}"
        if killed:
            problem = self.problem_of_leftovers(place, outcome)
            if problem:
                return problem
        else:
            if outcome.status < 0 or outcome.status >= 128:
                return f"it crashed: {outcome}"
            if outcome.status == 0 and not self.is_new(place, outcome):
                return f"it claims success, but the file is old: {outcome}"
            if outcome.leftovers and name not in REMOVING:
                return f"files left: {outcome.leftovers}"
        if self.scenario.check and outcome.content != self.old:
            return ""  # the command need not be one that can be repeated
        again = run(self.scenario, place, [])
        if again.status != 0 or not self.is_new(place, again):
            return f"the next run failed: {again}"
        if again.leftovers:
            return f"the next run did not remove {again.leftovers}"
        return ""

    def run_all(self):
        """Every injection. Returns the problems."""
        plan = [(name, number, "signal=KILL") for name, number in self.calls if self.scenario.survives_kill]
        plan += [
            (name, number, f"error={error}") for name, number in self.calls if name in FALLIBLE for error in ERRORS
        ]
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            results = list(pool.map(lambda item: self.inject(*item), plan))
        problems = [problem for _, _, problem in results if problem]
        hits = sum(hit for hit, _, _ in results)
        left = sum(left for (_, left, _), (_, _, what) in zip(results, plan) if what == "signal=KILL")
        print(f"{self.scenario.title}: {len(plan)} injections, {hits} hit, {left} kills left a temporary file", flush=True)
        if hits < len(plan) * 0.8:
            problems.append(f"{self.scenario.title}: only {hits} of {len(plan)} injections had an effect")
        if left > self.scenario.most_leftovers:
            problems.append(f"{self.scenario.title}: {left} kills left a temporary file")
        return problems


class NotPossible(Exception):
    """The system does not allow this test."""


def own_scenarios(program, parent):
    """Directories and commands for replace_once."""

    def directory(name):
        place = parent / name
        place.mkdir()
        (place / "new").write_bytes(b"new " * 5000)
        return place

    existing = directory("existing")
    (existing / "f.yaml").write_bytes(b"old " * 6000)
    (existing / "f.yaml").chmod(0o640)
    os.symlink("f.yaml", existing / "link")
    missing = directory("missing")
    linked = directory("linked")
    (linked / "f.yaml").write_bytes(b"old " * 6000)
    os.link(linked / "f.yaml", linked / "second")

    def scenario(title, files, *options, name="f.yaml", **more):
        return Scenario(title, files, "f.yaml", (program, *options, name, "new"), **more)

    return [
        # Between linkat and renameat stand fchmod and the end of renameat: see docs/decisions/0002.
        scenario("an existing file", existing, most_leftovers=2),
        scenario("through a symbolic link", existing, name="link", most_leftovers=2),
        scenario("a new file", missing, most_leftovers=0),
        scenario("an existing file, without O_TMPFILE", existing, "--no-tmpfile"),
        scenario("a new file, without O_TMPFILE", missing, "--no-tmpfile"),
        scenario("a file with two names, in place", linked, survives_kill=False),
    ]


def control_scenario(parent):
    """A command that does lose files. If nothing is wrong with it, this script sees nothing."""
    place = parent / "control"
    place.mkdir()
    (place / "new").write_bytes(b"new " * 5000)
    (place / "f.yaml").write_bytes(b"old " * 6000)
    return Scenario("cp, which loses files", place, "f.yaml", ("cp", "new", "f.yaml"))


def require_strace():
    """Raises NotPossible if nothing can be traced here."""
    if not shutil.which("strace"):
        raise NotPossible("strace is not installed")
    probe = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        raise NotPossible("strace may not trace here: " + probe.stderr.decode(errors="replace").strip())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replace-once", metavar="PROGRAM")
    parser.add_argument("--files", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--target", metavar="NAME")
    parser.add_argument("--check", default="", metavar="COMMAND")
    parser.add_argument("--all", action="store_true", help="also the system calls before NAME is first mentioned")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("command", nargs="*")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="sops-kill-") as temporary:
        parent = pathlib.Path(temporary)
        if arguments.replace_once:
            scenarios = own_scenarios(os.path.abspath(arguments.replace_once), parent)
        elif arguments.files and arguments.target and arguments.command:
            scenarios = [
                Scenario(
                    " ".join(arguments.command), arguments.files.resolve(), arguments.target, tuple(arguments.command),
                    check=arguments.check, whole_command=arguments.all,
                )
            ]
        else:
            parser.error("give --replace-once, or --files, --target and a command")
        try:
            require_strace()
            problems = [
                problem for scenario in scenarios for problem in Experiment(scenario, parent, arguments.jobs).run_all()
            ]
            if arguments.replace_once and not Experiment(control_scenario(parent), parent, arguments.jobs).run_all():
                problems.append("cp was killed at every system call, and no loss was noticed")
        except NotPossible as reason:
            print(f"SKIPPED, NOT PASSED: {reason}")
            return SKIPPED
    for problem in problems[:20]:
        print("FAILED:", problem[:2000])
    print(f"{len(problems)} problems" if problems else "nothing was lost")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
