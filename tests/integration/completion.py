#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Completion in real shells, with key names made to be run by a careless script.

The shells run on a pseudo terminal: a line is typed up to TAB, then what the shell makes of the line is written down by a function
in front of it. So the test sees the words that a program would get, and a quoting mistake would run the commands in the names.
fish is also asked with `complete -C`, which shows its candidates themselves. A shell that is not there is reported, and the test as skipped
(status 77) if the others pass. Standard library only.

    completion.py --sops PROGRAM
"""

import argparse
import concurrent.futures
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# Each name begins with a letter of its own, to be typed. All but the last ones must be offered.
HOSTILE = [
    "a$(touch pwned)", "b`touch pwned`", "c'; touch pwned; '", 'd"; touch pwned; "', "e f  g", "h\\i\\\\j", "k;touch pwned",
    "l&touch pwned&", "m|touch pwned", "n!n!!", "o*?", "p{q,r}", "s<(touch pwned)", "t]u", "v~w", "xünï", "y$HOME", "z#z", "A=B", "C:D",
    "E%s%n", "F\\$(touch pwned)", "G''\"\"", "H${IFS}i", "I\\", "J ", "K\\'q", "L-- -x", "M~/x", "N@(x|y)", "O^p^q",
]
LEFT_OUT = ["P\nQ", "R\x1b[31mS", "T\tU", "V\u202eW", "X\x7fY", "Z[z"]
QUOTES = ["none", "single", "double"]
TIMEOUT_SECONDS = 10

# A setting that stops every command (cli.md 1.8), but not completion: it reads none.
BROKEN = "SOPS_ENABLE_LOCAL_KEYSERVICE=neither"


class Shell:
    """A shell on a pseudo terminal, in a folder of its own."""

    def __init__(self, command, setup, folder, environment):
        self.folder = folder
        self.words = folder / "words"
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)
        self.pid = pid
        self.output = b""
        (folder / "setup").write_text(setup)
        self.send(". ./setup; dump ready\n")
        if self.wait() != ["ready"]:
            raise RuntimeError(f"{command[0]} does not start: {self.output[-2000:]!r}")

    def send(self, text):
        os.write(self.terminal, text.encode())

    def drain(self, seconds):
        if select.select([self.terminal], [], [], seconds)[0]:
            try:
                self.output += os.read(self.terminal, 65536)
            except OSError:
                pass

    def wait(self):
        """The words that `dump` has got; None if it was not called."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < end:
            self.drain(0.02)
            if self.words.exists():
                words = self.words.read_bytes().decode().split("\0")[:-1]
                self.words.unlink()
                return words
        return None

    def complete(self, line, tail=""):
        """The words of `line` after TAB at its end, and then `tail`. Spaces after a unique match are the shell's."""
        self.send("\x05\x15" + line + "\t")  # Ctrl-E Ctrl-U: an empty line
        # Both shells handle keys in order; a pause keeps type-ahead from cutting completion short.
        for _ in range(3):
            self.drain(0.1)
        self.send(tail + "\x01dump \n")
        words = self.wait()
        if words is None:
            self.send("\x03")  # perhaps a quote is still open
            self.drain(0.2)
        return words

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


def yaml_key(name):
    """The name as a double-quoted YAML scalar."""
    return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in name) + '"'


def spell(text, quote):
    """The begun word as somebody would type it, its quote still open."""
    if quote == "single":
        return "'" + text.replace("'", "'\\''")
    if quote == "double":
        return '"' + "".join("\\" + c if c in '"$`\\' else c for c in text)
    return "".join(c if c.isalnum() else "\\" + c for c in text)


class Failures:
    def __init__(self):
        self.texts = []

    def check(self, shell, line, found, expected):
        if found != expected:
            self.texts.append(f"{shell}: {line}<TAB> gives {found}, not {expected}")


def check_typed(name, shell, failures, folder):
    """bash and zsh: hostile names in each kind of quote, then commands, flags, values and files."""
    for quote in QUOTES:
        for key in HOSTILE:
            line = "sops decrypt hostile.yaml --extract " + spell(f'["{key[0]}', quote)
            failures.check(name, line, shell.complete(line), ["sops", "decrypt", "hostile.yaml", "--extract", f'["{key}"]'])
            if (folder / "pwned").exists():
                failures.texts.append(f"{name}: {line}<TAB> RAN what is in the name {key}")
                (folder / "pwned").unlink()
    for key in LEFT_OUT:
        typed = f'["{key[0]}'
        line = "sops decrypt hostile.yaml --extract " + spell(typed, "none")
        failures.check(name, line, shell.complete(line), ["sops", "decrypt", "hostile.yaml", "--extract", typed])
    plain = {
        "sops dec": ["sops", "decrypt"],
        "sops comp": ["sops", "completion"],
        "sops completion f": ["sops", "completion", "fish"],
        "sops config ex": ["sops", "config", "explain"],
        "sops help filest": ["sops", "help", "filestatus"],
        "sops decrypt --extr": ["sops", "decrypt", "--extract"],
        "sops decrypt --input-type j": ["sops", "decrypt", "--input-type", "json"],
        "sops decrypt --input-type=j": ["sops", "decrypt", "--input-type=json"],
        "sops decrypt hosti": ["sops", "decrypt", "hostile.yaml"],
        "sops --config hosti": ["sops", "--config", "hostile.yaml"],
        "sops -d hosti": ["sops", "-d", "hostile.yaml"],
        "sops hosti": ["sops", "hostile.yaml"],
        "sops upd": ["sops", "updatekeys"],
        "sops groups a": ["sops", "groups", "add"],
        "sops rotate --add-ag": ["sops", "rotate", "--add-age"],
        "sops edit hosti": ["sops", "edit", "hostile.yaml"],
        "sops set nested.json '[\"db\"][\"us": ["sops", "set", "nested.json", '["db"]["users"]'],
        "sops unset nested.json '[\"oth": ["sops", "unset", "nested.json", '["other"]'],
        "sops set --val": ["sops", "set", "--value-"],
        "sops decrypt nested.json --extract '[\"db\"][\"us": ["sops", "decrypt", "nested.json", "--extract", '["db"]["users"]'],
    }
    for line, expected in plain.items():
        failures.check(name, line, shell.complete(line), expected)
    # A container leads on, so its word stays open.
    line = "sops decrypt nested.json --extract '[\"d"
    failures.check(name, line, shell.complete(line, "'"), ["sops", "decrypt", "nested.json", "--extract", '["db"]'])


def check_bash(folder, environment, failures):
    setup = ('PS1="> "; bind "set bell-style none"; bind "set enable-bracketed-paste off"\n'
             'dump() { printf "%s\\0" "$@" > words.new; mv words.new words; }\n'
             "source <(sops completion bash)\nexport " + BROKEN + "\n")
    shell = Shell(["bash", "--noprofile", "--norc", "-i"], setup, folder, environment)
    try:
        check_typed("bash", shell, failures, folder)
    finally:
        shell.close()
    # The function alone, as another script may call it.
    script = ("source <(sops completion bash); COMP_LINE=\"sops decrypt hostile.yaml --extract '[\\\"a\"; COMP_POINT=${#COMP_LINE}\n"
              "COMP_WORDS=(sops decrypt hostile.yaml --extract \"'[\\\"a\"); COMP_CWORD=4; _sops sops '[\"a' --extract\n"
              "printf '%s\\0' \"${COMPREPLY[@]}\"")
    out = subprocess.run(["bash", "--noprofile", "--norc", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    failures.check("bash", "COMPREPLY", out.stdout, '["a$(touch pwned)"]\0')


def check_zsh(folder, environment, failures):
    setup = ('PS1="> "; unsetopt beep zle_bracketed_paste 2>/dev/null; unset zle_bracketed_paste; bindkey -e; setopt interactive_comments\n'
             'dump() { printf "%s\\0" "$@" > words.new; mv words.new words; }\n'
             "autoload -Uz compinit; compinit -D -u\n"
             "source <(sops completion zsh)\nexport " + BROKEN + "\n")
    shell = Shell(["zsh", "-f", "-i"], setup, folder, environment)
    try:
        check_typed("zsh", shell, failures, folder)
    finally:
        shell.close()


def check_fish(folder, environment, failures):
    setup = ("function fish_prompt; echo '> '; end; function fish_greeting; end\n"
             "function dump; printf '%s\\0' $argv > words.new; mv words.new words; end\n"
             "set -g fish_autosuggestion_enabled 0\n"
             "sops completion fish | source; export " + BROKEN + "\n")
    shell = Shell(["fish", "--no-config", "-i"], setup, folder, environment)
    try:
        check_typed("fish", shell, failures, folder)
    finally:
        shell.close()

    expected = {f"sops decrypt hostile.yaml --extract '[\"{key[0]}": [f'["{key}"]'] for key in HOSTILE}
    expected |= {f"sops decrypt hostile.yaml --extract '[\"{key[0]}": [] for key in LEFT_OUT}
    expected |= {line: [word] for line, word in {
            "sops dec": "decrypt", "sops completion f": "fish", "sops decrypt --extr": "--extract",
            "sops decrypt --input-type j": "json", "sops decrypt --input-type=j": "--input-type=json",
            "sops decrypt hosti": "hostile.yaml", "sops decrypt --output=hosti": "--output=hostile.yaml",
            "sops set hostile.yaml '[\"a": '["a$(touch pwned)"]', "sops groups del": "delete",
            "sops decrypt 'hostile.yaml' --extract [\\\"a": '["a$(touch pwned)"]',
            "sops decrypt hostile.yaml --extract \"[\\\"a": '["a$(touch pwned)"]'}.items()}
    # One fish answers for all lines; an empty line ends each answer.
    script = f'sops completion fish | source; export {BROKEN}; for line in $argv; complete -C "$line"; echo; end'
    out = subprocess.run(["fish", "--no-config", "-c", script, "--", *expected], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    answers = [block.splitlines() for block in re.split(r"(?m)^\n", out.stdout)]
    for (line, words), answer in zip(expected.items(), answers, strict=False):
        failures.check("fish", line, [text.split("\t")[0] for text in answer], words)
    if len(answers) != len(expected) + 1:
        failures.texts.append(f"fish: {len(expected)} lines, {len(answers) - 1} answers: {out.stderr}")
    if (folder / "pwned").exists():
        failures.texts.append("fish: complete -C RAN what is in a name")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sops", required=True, type=pathlib.Path)
    parser.add_argument("--shell", action="append", choices=["bash", "zsh", "fish"], help="only this one")
    options = parser.parse_args()
    failures = Failures()
    missing = []
    with tempfile.TemporaryDirectory(prefix="sops-completion-") as name:
        root = pathlib.Path(name)
        (root / "bin").mkdir()
        (root / "bin" / "sops").symlink_to(options.sops.resolve())
        # No configuration may be read on TAB: one that cannot be read lies in the way. So do broken settings of the environment.
        (root / ".sops.yaml").write_text("{{{\n")
        environment = {"PATH": f"{root}/bin:{os.environ['PATH']}", "HOME": str(root), "TERM": "xterm", "COLUMNS": "4000", "LINES": "50",
                       "LC_ALL": "C.UTF-8", "XDG_CONFIG_HOME": str(root / "xdg"),
                       "XDG_DATA_HOME": str(root / "xdg"), "SOPS_AGE_KEY_CMD": f"touch {root}/pwned-by-key"}
        checks = []
        for shell, check in {"bash": check_bash, "zsh": check_zsh, "fish": check_fish}.items():
            if options.shell and shell not in options.shell:
                continue
            if shutil.which(shell) is None:
                missing.append(shell)
                continue
            folder = root / shell
            folder.mkdir()
            keys = "".join(f"{yaml_key(key)}: 1\n" for key in HOSTILE + LEFT_OUT)
            (folder / "hostile.yaml").write_text(keys)
            (folder / "nested.json").write_text('{"db": {"users": "x", "pw": "y"}, "other": 1}')
            checks.append((check, folder, environment, failures))
        # They mostly wait, so all shells are tried at the same time.
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for running in [pool.submit(*check) for check in checks]:
                running.result()
        if (root / "pwned-by-key").exists():
            failures.texts.append("a key was looked for on TAB")
    for text in failures.texts:
        print(text)
    for shell in missing:
        print(f"SKIPPED: {shell} is not installed, its completion is NOT tested")
    if failures.texts:
        print(f"{len(failures.texts)} failures")
        return 1
    return 77 if missing else 0


if __name__ == "__main__":
    try:
        os.close(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        print(f"SKIPPED: there are no pseudo terminals here ({error}), completion is NOT tested")
        sys.exit(77)
    sys.exit(main())
