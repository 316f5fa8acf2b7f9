#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Whole-process times: the program under test beside SOPS, interleaved in one run, as a Markdown table for docs/performance.md.

    bench/run.py --sops PROGRAM --measure PROGRAM [--reference PROGRAM] [--linked PROGRAM] [--only NAME…] [--quick]

For every case each program runs in turn, A B A B …, so that a busy moment hits both. Time is wall time from spawn to exit with standard
output to the null device; memory is the peak resident size that wait4 reports (measure.cc). A program's first run is thrown away
where runs are short. A target is checked on the minimum, which noise cannot lower. Standard library only.
"""

import argparse
import json
import os
import pathlib
import platform
import random
import re
import shutil
import statistics
import string
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEYS = ROOT / "tests" / "golden" / "keys"
RECIPIENT = (KEYS / "age.pub").read_text().strip()
MEGABYTE = 1_000_000


@dataclass
class Timing:
    """What the runs of one program came to."""

    seconds: list = field(default_factory=list)
    peak_kilobytes: int = 0
    status: object = 0

    def add(self, seconds, peak, status):
        self.seconds.append(seconds)
        self.peak_kilobytes = max(self.peak_kilobytes, peak)
        self.status = status

    def text(self):
        if not self.seconds:
            return "–"
        if self.status == "timeout":
            return f"over {self.seconds[0]:.0f} s"
        return f"{shown(min(self.seconds))} / {shown(statistics.median(self.seconds))}"


@dataclass
class Case:
    """One line of the table: arguments for both programs, how often, and what is promised."""

    name: str
    what: str
    arguments: list
    runs: int = 3
    reference_runs: int = 1
    faster: float = 0          # at least so many times faster than the reference
    within_ms_of: tuple = ()   # (milliseconds, other case): at most so much slower than that case's first program
    megabytes: int = 0         # peak memory at most
    status: int = 0            # the exit status that both must end with
    program: str = ""          # instead of the program under test
    compare: bool = True       # run the reference as well


def shown(seconds):
    """A time with three digits."""
    return f"{seconds * 1e3:.2f} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


# --- documents -----------------------------------------------------------------------------------------------------------------


def yaml_document(size, rng):
    """A configuration of about `size` bytes, 26 values a kilobyte: mappings of ten entries, lists, a few comments."""
    out, length, number = [], 0, 0
    while length < size:
        block = [f"service_{number}:"]
        if number % 7 == 0:
            block.insert(0, f"# the service number {number}")
        for entry in range(8):
            block.append(f"  key_{entry}: {word(rng, 14)}")
        block.append(f"  port: {rng.randrange(65536)}")
        block.append(f"  enabled: {rng.choice(['true', 'false'])}")
        block.append("  hosts:")
        block += [f"    - {word(rng, 10)}" for _ in range(3)]
        text = "\n".join(block) + "\n"
        out.append(text)
        length += len(text)
        number += 1
    return "".join(out).encode()


def dense_yaml(values, rng):
    """`values` short values in about 38 bytes each: the 10 MB file with 260,000 values."""
    out = []
    for number in range(values // 10):
        out.append(f"section_{number:06}:\n")
        out += [f"  key_number_{entry}: {word(rng, 18)}\n" for entry in range(10)]
    return "".join(out).encode()


def word(rng, length):
    return "".join(rng.choices(string.ascii_lowercase, k=length))


def json_document(size, rng):
    """An object of about `size` bytes, indented."""
    tree, length, number = {}, 0, 0
    while length < size:
        tree[f"service_{number:06}"] = {f"key_{entry}": word(rng, 18) for entry in range(10)} | {"port": rng.randrange(65536)}
        length += 480
        number += 1
    return json.dumps(tree, indent=2).encode() + b"\n"


def documents(folder):
    """Functions that make each input file once, by name."""
    rng = random.Random(1)
    return {
        "small.yaml": lambda: yaml_document(3000, rng),
        "dense.yaml": lambda: dense_yaml(260_000, rng),
        "big.json": lambda: json_document(10 * MEGABYTE, rng),
        "big.bin": lambda: rng.randbytes(100 * MEGABYTE),
        "1.yaml": lambda: yaml_document(MEGABYTE, rng),
        "10.yaml": lambda: yaml_document(10 * MEGABYTE, rng),
        "100.yaml": lambda: yaml_document(100 * MEGABYTE, rng),
        "keys.yaml": lambda: "".join(f"key_{number}: {word(rng, 10)}\n" for number in range(100_000)).encode(),
        "deep.json": lambda: b'{"a":' * 9998 + b'"x"' + b"}" * 9998 + b"\n",
        "too_deep.json": lambda: b'{"a":' * 10001 + b'"x"' + b"}" * 10001 + b"\n",
        "deep.yaml": lambda: b"{a: " * 2000 + b"x" + b"}" * 2000 + b"\n",
        "scalar.yaml": lambda: b'a: "' + word(rng, 50 * MEGABYTE).encode() + b'"\n',
    }


def cases():
    """Every line of the table, in order. A file name that begins with enc: is the encrypted form of that file."""
    encrypt = ["encrypt", "--age", RECIPIENT]
    return [
        Case("true", "`/bin/true`", [], 60, 0, program="/bin/true", compare=False),
        Case("linked", "a program that only links the same libraries", [], 60, 0, program="linked", compare=False),
        Case("version", "`--version`", ["--version"], 60, 20, within_ms_of=(2, "true")),
        Case("small-decrypt", "`decrypt`, YAML of 3 kB", ["decrypt", "enc:small.yaml"], 60, 20, faster=5, within_ms_of=(3, "linked")),
        Case("small-encrypt", "`encrypt`, YAML of 3 kB", [*encrypt, "small.yaml"], 60, 20),
        Case("yaml-encrypt", "`encrypt`, YAML of 10 MB, 260,000 values", [*encrypt, "dense.yaml"], 5, 1, faster=30, megabytes=250),
        Case("yaml-decrypt", "`decrypt` of it", ["decrypt", "enc:dense.yaml"], 5, 1, faster=30, megabytes=250),
        Case("json-encrypt", "`encrypt`, JSON of 10 MB", [*encrypt, "big.json"], 5, 1, faster=100),
        Case("json-decrypt", "`decrypt` of it", ["decrypt", "enc:big.json"], 5, 1, faster=100),
        Case("binary-encrypt", "`encrypt`, binary of 100 MB", [*encrypt, "big.bin"], 5, 2, faster=5),
        Case("binary-decrypt", "`decrypt` of it", ["decrypt", "enc:big.bin"], 5, 2, faster=5),
        Case("linear-1", "`encrypt`, YAML of 1 MB", [*encrypt, "1.yaml"], 7, 1),
        Case("linear-10", "`encrypt`, YAML of 10 MB", [*encrypt, "10.yaml"], 5, 1),
        Case("linear-100", "`encrypt`, YAML of 100 MB", [*encrypt, "100.yaml"], 2, 0),
        Case("linear-1-decrypt", "`decrypt`, 1 MB", ["decrypt", "enc:1.yaml"], 7, 0),
        Case("linear-10-decrypt", "`decrypt`, 10 MB", ["decrypt", "enc:10.yaml"], 5, 0),
        Case("linear-100-decrypt", "`decrypt`, 100 MB", ["decrypt", "enc:100.yaml"], 2, 0),
        Case("keys-encrypt", "`encrypt`, a mapping of 100,000 keys", [*encrypt, "keys.yaml"], 5, 1),
        Case("keys-decrypt", "`decrypt` of it", ["decrypt", "enc:keys.yaml"], 5, 1),
        Case("deep-json", "`encrypt`, JSON nested 9,998 deep", [*encrypt, "deep.json"], 5, 1),
        Case("too-deep-json", "`encrypt`, JSON nested 10,001 deep: refused", [*encrypt, "too_deep.json"], 5, 1, status=-1),
        Case("deep-yaml", "`encrypt`, flow YAML nested 2,000 deep", [*encrypt, "deep.yaml"], 5, 1),
        Case("scalar-encrypt", "`encrypt`, one scalar of 50 MB", [*encrypt, "scalar.yaml"], 3, 1),
        Case("scalar-decrypt", "`decrypt` of it", ["decrypt", "enc:scalar.yaml"], 3, 1),
    ]


@dataclass
class ManyCase:
    """A line of the table: one call over many small files, beside the reference called once for each of them."""

    name: str
    what: str
    arguments: list            # of ours, behind which "." stands
    reference_arguments: list  # behind which the file stands
    place: str                 # "memory" or "disk"
    faster: float = 0
    files: int = 1000
    within_ms_of: tuple = ()
    megabytes: int = 0
    status: int = 0


def many_cases():
    """The same on a file system in memory, where the promise holds, and on the disk of the temporary folder."""
    all_cases = []
    for place, faster in (("memory", 20), ("disk", 0)):
        all_cases += [
            ManyCase(f"many-decrypt-{place}", f"`decrypt -r -i`, 1,000 files, {place}", ["decrypt", "-r", "-i"], ["decrypt", "-i"], place, faster),
            ManyCase(f"many-updatekeys-{place}", f"`updatekeys -r -y`, 1,000 files, {place}", ["updatekeys", "-r", "-y"], ["updatekeys", "-y"], place, faster),
        ]
    return all_cases


# --- running -------------------------------------------------------------------------------------------------------------------


def run_once(measure, command, environment, timeout):
    """(seconds, peak resident kilobytes, exit status or "timeout")."""
    done = subprocess.run([measure, str(timeout), *command], env=environment, capture_output=True, text=True, check=True)
    seconds, kilobytes, status = done.stdout.split()
    return float(seconds), int(kilobytes), "timeout" if status == "-1" else int(status)


class Bench:
    """The folder with the input files, and the programs."""

    def __init__(self, folder, options):
        self.folder = folder
        self.options = options
        self.makers = documents(folder)
        self.garbage = []  # folders elsewhere
        home = folder / "home"
        home.mkdir()
        self.environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(home),
                            "SOPS_AGE_KEY_FILE": str(KEYS / "age.txt"), "SOPS_DISABLE_VERSION_CHECK": "1"}

    def file(self, name):
        """The path of an input file, made when it is first asked for."""
        encrypted = name.startswith("enc:")
        name = name.removeprefix("enc:")
        plain = self.folder / name
        if not plain.exists():
            plain.write_bytes(self.makers[name]())
        if not encrypted:
            return str(plain)
        path = self.folder / f"enc.{name}"
        if not path.exists():
            with open(path, "wb") as out:
                subprocess.run([self.options.sops, "encrypt", "--age", RECIPIENT, str(plain)], env=self.environment, stdout=out, check=True)
        return str(path)

    def measure(self, case):
        """Runs one case; returns (ours, reference)."""
        arguments = [self.file(word) if word.removeprefix("enc:") in self.makers else word for word in case.arguments]
        ours = {"": self.options.sops, "linked": self.options.linked}.get(case.program, case.program)
        programs = [(ours, case.runs, Timing())]
        if case.compare and self.options.reference:
            programs.append((self.options.reference, case.reference_runs, Timing()))
        if self.options.quick:
            programs = [(program, min(runs, 3), timing) for program, runs, timing in programs]
        rounds = max(runs for _, runs, _ in programs)
        if rounds > 10:
            for program, runs, _ in programs:
                if runs:
                    run_once(self.options.measure, [program, *arguments], self.environment, self.options.timeout)
        for turn in range(rounds):
            for program, runs, timing in programs:
                # The fewer runs of the slower program are spread over the whole time.
                if turn * runs // rounds != (turn + 1) * runs // rounds and timing.status != "timeout":
                    timing.add(*run_once(self.options.measure, [program, *arguments], self.environment, self.options.timeout))
        return programs[0][2], programs[1][2] if len(programs) > 1 else Timing()


    def many_files(self, case):
        """A fresh folder with the encrypted files and a configuration that names a second key for them."""
        home = pathlib.Path("/dev/shm") if case.place == "memory" else self.folder
        master = home / f"sops-bench-many-{os.getpid()}"
        if not master.exists():
            master.mkdir()
            self.garbage.append(master)
            rule = "creation_rules:\n  - path_regex: .\n    age: {}\n"
            (master / ".sops.yaml").write_text(rule.format(RECIPIENT))
            for number in range(case.files):
                (master / f"f{number:04}.yaml").write_text(
                    f"database:\n  user: app{number}\n  password: secret-{number}\n  port: 5432\n# of the service\napi_key: abcdefgh\n")
            subprocess.run([self.options.sops, "encrypt", "-r", "-i", "."], cwd=master, env=self.environment, check=True, capture_output=True)
            second = re.search(r"age1\w+", (KEYS / "age2.txt").read_text())[0]
            (master / ".sops.yaml").write_text(rule.format(f"{RECIPIENT},{second}"))
        place = home / f"sops-bench-run-{os.getpid()}"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(master, place)
        os.sync()
        return place

    def measure_many(self, case):
        """As measure(). The time of the reference is the sum over all files."""
        ours, reference = Timing(), Timing()
        for _ in range(3):
            place = self.many_files(case)
            # measure.cc runs where it is started.
            done = subprocess.run([self.options.measure, str(self.options.timeout), self.options.sops, *case.arguments, "."], env=self.environment,
                                  capture_output=True, text=True, check=True, cwd=place)
            seconds, kilobytes, status = done.stdout.split()
            ours.add(float(seconds), int(kilobytes), int(status))
        if self.options.reference:
            place = self.many_files(case)
            total = [0.0, 0, 0]
            for path in sorted(place.glob("f*.yaml")):
                done = subprocess.run([self.options.measure, str(self.options.timeout), self.options.reference, *case.reference_arguments, path.name],
                                      env=self.environment, capture_output=True, text=True, check=True, cwd=place)
                seconds, kilobytes, status = done.stdout.split()
                total = [total[0] + float(seconds), max(total[1], int(kilobytes)), max(total[2], int(status))]
            reference.add(*total)
        shutil.rmtree(place)
        return ours, reference


def verdict(case, ours, reference, measured):
    """What was promised and whether it holds: (text, True if something is missed)."""
    promises = []
    if case.faster and reference.seconds:
        promises.append((f"{case.faster:g} times faster", min(reference.seconds) / min(ours.seconds) >= case.faster))
    if case.within_ms_of and case.within_ms_of[1] in measured:
        limit, other = case.within_ms_of
        behind = (min(ours.seconds) - min(measured[other].seconds)) * 1e3
        promises.append((f"within {limit} ms of {other} ({behind:.2f})", behind <= limit))
    if case.megabytes:
        promises.append((f"at most {case.megabytes} MB", ours.peak_kilobytes / 1000 <= case.megabytes))
    if case.status >= 0:
        for name, timing in (("ours", ours), ("SOPS", reference)):
            if timing.seconds and timing.status not in (case.status, "timeout"):
                promises.append((f"{name} ended with status {timing.status}", name == "SOPS"))
    elif ours.status == 0:
        promises.append(("ours accepted it", False))
    return "; ".join(text + ("" if held else " **missed**") for text, held in promises), any(not held for _, held in promises)


def machine(options):
    """Where and with what it was measured."""
    def first_line(command):
        try:
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "SOPS_DISABLE_VERSION_CHECK": "1"})
            return done.stdout.split("\n")[0].strip()
        except OSError:
            return "?"

    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    release = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())
    lines = [
        f"- {time.strftime('%Y-%m-%d')}, commit {first_line(['git', '-C', str(ROOT), 'describe', '--always', '--dirty']) or '?'}",
        f"- {os.cpu_count()} × {cpu[1] if cpu else platform.machine()}, {int(memory[1]) // 1_000_000 if memory else '?'} GB, "
        f"load {os.getloadavg()[0]:.2f} at the beginning",
        f"- {release[1] if release else '?'}, Linux {platform.release()}, {first_line(['g++', '--version'])}",
        f"- ours: {first_line([options.sops, '--version'])}, {os.path.getsize(options.sops) / 1e6:.1f} MB",
    ]
    if options.reference:
        lines.append(f"- SOPS: {first_line([options.reference, '--version'])}, {os.path.getsize(options.reference) / 1e6:.1f} MB")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sops", required=True)
    parser.add_argument("--reference")
    parser.add_argument("--linked", help="the program sops_bench_linked")
    parser.add_argument("--measure", required=True, help="the program sops_bench_measure")
    parser.add_argument("--only", nargs="+", help="names of cases, or their beginnings")
    parser.add_argument("--quick", action="store_true", help="three runs each")
    parser.add_argument("--timeout", type=int, default=300, help="seconds for one run")
    options = parser.parse_args()
    options.sops = os.path.abspath(options.sops)
    options.reference = options.reference and os.path.abspath(options.reference)
    options.measure = os.path.abspath(options.measure)
    options.linked = options.linked and os.path.abspath(options.linked)

    print(machine(options) + "\n")
    print("Minimum / median of the runs. Memory is the peak resident size.\n")
    print("| case | ours | SOPS | times faster | memory ours | memory SOPS | promised |\n|---|---|---|---|---|---|---|")
    measured, missed = {}, []
    with tempfile.TemporaryDirectory(prefix="sops-bench-") as folder:
        bench = Bench(pathlib.Path(folder), options)
        for case in cases() + many_cases():
            if options.only and not any(case.name.startswith(name) for name in options.only):
                continue
            is_many = isinstance(case, ManyCase)
            if not is_many and case.program == "linked" and not options.linked:
                continue
            ours, reference = bench.measure_many(case) if is_many else bench.measure(case)
            measured[case.name] = ours
            ratio = f"{min(reference.seconds) / min(ours.seconds):.1f}" if reference.seconds else "–"
            if reference.status == "timeout":
                ratio = f"over {ratio}"
            text, is_missed = verdict(case, ours, reference, measured)
            if is_missed:
                missed.append(case.name)
            memory = [f"{t.peak_kilobytes / 1000:.1f} MB" if t.seconds else "–" for t in (ours, reference)]
            print(f"| {case.what} | {ours.text()} | {reference.text()} | {ratio} | {memory[0]} | {memory[1]} | {text} |", flush=True)
        for place in bench.garbage:
            shutil.rmtree(place, ignore_errors=True)
    for step in ("", "-decrypt"):
        times = [measured[f"linear-{size}{step}"] for size in (1, 10, 100) if f"linear-{size}{step}" in measured]
        if len(times) == 3:
            per_megabyte = ", ".join(f"{min(t.seconds) / size * 1e3:.1f}" for t, size in zip(times, (1, 10, 100)))
            print(f"\nCost of `{'decrypt' if step else 'encrypt'}` in ms per MB at 1, 10 and 100 MB: {per_megabyte}.")
    if missed:
        print(f"\nMissed: {', '.join(missed)}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
