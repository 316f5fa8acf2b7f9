#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Whom decryption asks, and in which order, when some keys are behind networks that swallow everything (keys.md 1).

Black holes of three kinds: a port that answers no connection, a name server that never answers, a server that never answers a request. What
is checked is who was asked and when at the earliest; how fast it is, is measured by bench/keys.py with the worlds of this file.

    key_attempts.py --sops PROGRAM [--only WORD]

The name server needs root and unshare, the PGP key needs gpg; what is not here is listed, and the status is then 77. Standard library only.
"""

import argparse
import contextlib
import os
import pathlib
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
import time

from aws_server import AwsServer
from aws_world import ACCOUNT, KEYS, PLAIN, Place, script

RECIPIENT = (KEYS / "age.pub").read_text().strip()
SECOND_RECIPIENT = re.search(r"age1\w+", (KEYS / "age2.txt").read_text())[0]
REGIONS = ["us-east-1", "eu-west-1", "us-west-2", "eu-north-1", "ap-south-1", "sa-east-1"]

failures, skipped = [], []


def check(holds, text):
    if not holds:
        frame = sys._getframe(1)
        failures.append(f"{frame.f_code.co_name}:{frame.f_lineno}: {text}")
        print("FAILED", failures[-1], flush=True)


# --- black holes -------------------------------------------------------------------------------------------------------------------


class FullPort:
    """A port whose queue is full: the kernel drops what wants to connect, as a firewall does."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.fillers = []
        while True:  # until one does not come through
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.listener.getsockname())
            self.fillers.append(filler)
            if not select.select([], [filler], [], 0.3)[1]:
                break

    def close(self):
        for filler in [*self.fillers, self.listener]:
            filler.close()


class SilentPort:
    """Accepts, reads, never answers. Knows when somebody came, and how many are there at once."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.came, self.open, self.most_open = [], [], 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.came.append(time.monotonic())
            client.setblocking(False)
            self.open.append(client)
            self.most_open = max(self.most_open, sum(map(is_open, self.open)))

    def close(self):
        self.listener.close()
        for client in self.open:
            client.close()


def is_open(client):
    """False once the other side has gone. Reads what it had to say."""
    try:
        while client.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


class SilentNames:
    """A name server at 127.0.0.77 that never answers, and the words that make a program ask it (root; a mount namespace of its own)."""

    def __init__(self, folder):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.77", 53))
        self.url = "http://hole.example"
        resolv, switch = pathlib.Path(folder) / "resolv.conf", pathlib.Path(folder) / "nsswitch.conf"
        resolv.write_text("nameserver 127.0.0.77\n")
        switch.write_text("hosts: dns\n")
        binds = f"mount --bind {resolv} /etc/resolv.conf" + (f" && mount --bind {switch} /etc/nsswitch.conf" if os.path.exists("/etc/nsswitch.conf") else "")
        self.prefix = ["unshare", "-m", "sh", "-c", f'{binds} && exec "$@"', "sh"]

    @property
    def asked(self):
        return bool(select.select([self.socket], [], [], 0)[0])

    def close(self):
        self.socket.close()


class Keys:
    """A place with keys that are each reached through a profile of their own: the first `holes` lead to hole.url, the others to a server."""

    def __init__(self, sops, count, **environment):
        self.place, self.aws = Place(sops, AWS_MAX_ATTEMPTS="1", **environment), AwsServer()
        self.user = self.aws.add_user(ACCOUNT)
        self.keys = [self.aws.add_key(ACCOUNT, REGIONS[number % len(REGIONS)]) for number in range(count)]
        self.lead({})

    def lead(self, holes):
        """Each key's profile leads to the server, or for the numbers in `holes` to that address."""
        self.place.credentials(**{f"p{number}": self.user for number in range(len(self.keys))})
        self.place.config("".join(f"[profile p{number}]\nendpoint_url = {holes.get(number, self.aws.url)}\n" for number in range(len(self.keys))))

    def rule(self, numbers, more="", indent="      "):
        """One key group with these keys and what else is to be in it."""
        text = f"{indent}- kms:\n" if numbers else ""
        text += "".join(f"{indent}    - arn: {self.keys[number].arn}\n{indent}      aws_profile: p{number}\n" for number in numbers)
        return text + (f"{indent}  {more}\n" if numbers else f"{indent}- {more}\n") * bool(more)

    def encrypt(self, groups, more=""):
        self.place.write(".sops.yaml", f"creation_rules:\n  - key_groups:\n{groups}{more}")
        done = self.place.encrypt()
        check(done.returncode == 0, done.text)
        self.aws.forget()
        return done.file

    def asked(self):
        """Numbers of the keys that the server was asked for, in order."""
        numbers = {key.arn: number for number, key in enumerate(self.keys)}
        return [numbers[request.parameters["KeyId"]] for request in self.aws.of(operation="Decrypt")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.aws.close()
        shutil.rmtree(self.place.folder, ignore_errors=True)


@contextlib.contextmanager
def pgp_homes():
    """Homes of gpg with the public key of tests/golden only, and its fingerprint. Ends their agents."""
    folder = pathlib.Path(f"/tmp/sops-h{os.getpid()}-{threading.get_ident() % 1000}")  # short: it holds a socket
    folder.mkdir(mode=0o700)
    full = pathlib.Path(str(folder) + "f")
    full.mkdir(mode=0o700)
    try:
        subprocess.run(["gpg", "--homedir", full, "--batch", "--quiet", "--import", KEYS / "pgp.asc"], capture_output=True, check=False, timeout=60)
        public = subprocess.run(["gpg", "--homedir", full, "--batch", "--export"], capture_output=True, check=True, timeout=60).stdout
        subprocess.run(["gpg", "--homedir", folder, "--batch", "--quiet", "--import"], input=public, capture_output=True, check=True, timeout=60)
        listing = subprocess.run(["gpg", "--homedir", folder, "--list-keys", "--with-colons"], capture_output=True, text=True, check=True, timeout=60).stdout
        yield str(folder), re.search(r"^fpr:+([0-9A-F]+):", listing, re.MULTILINE)[1]
    finally:
        for path in (folder, full):
            subprocess.run(["gpgconf", "--homedir", path, "--kill", "all"], capture_output=True, check=False, timeout=60)
            shutil.rmtree(path, ignore_errors=True)


def can_silence_names():
    """None, or why not."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return "root and unshare"
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False, timeout=60).returncode:
        return "mount namespaces"
    return None


def holes(kind, folder):
    """Three black holes of a kind and the words to run a program before them."""
    if kind == "name":
        return [SilentNames(folder)]
    return [{"port": FullPort, "server": SilentPort}[kind]() for _ in range(3)]


@contextlib.contextmanager
def dead_keys_world(sops, kind):
    """A file with three black-holed KMS keys, a PGP key without its secret, a fourth KMS key that is good and an age
    key. Gives keys, file, holes, and the environment of a run."""
    with Keys(sops, 4) as keys, contextlib.ExitStack() as stack:
        pgp, environment = "", {}
        if shutil.which("gpg"):
            home, fingerprint = stack.enter_context(pgp_homes())
            environment["GNUPGHOME"] = home
            pgp = f"\n        pgp: [{fingerprint}]"
        keys.place.environment |= environment
        file = keys.encrypt(keys.rule([0, 1, 2, 3], f"age: [{RECIPIENT}]{pgp}"))
        made = holes(kind, keys.place.folder)
        for hole in made:
            stack.callback(hole.close)
        keys.lead({number: made[number % len(made)].url for number in range(3)})
        keys.place.prefix = getattr(made[0], "prefix", [])
        yield keys, file, made


def decrypt(keys, file, *words, **environment):
    """A run behind the prefix of its world."""
    done = subprocess.run([*getattr(keys.place, "prefix", []), keys.place.sops, "decrypt", *words, file], cwd=keys.place.work,
                          env={**keys.place.environment, **environment}, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    done.text = done.stderr.decode(errors="replace")
    done.fine = done.returncode == 0 and done.stdout.decode() == PLAIN
    return done


# --- the cases -----------------------------------------------------------------------------------------------------------------------


def dead_keys(sops):
    """With the age key nobody is asked; without it the fourth KMS key gives the data key long before the holes are given up."""
    for kind in ("port", "server", "name"):
        if kind == "name" and can_silence_names():
            skipped.append(f"{can_silence_names()}: a silent name server")
            continue
        with dead_keys_world(sops, kind) as (keys, file, made):
            log = keys.place.folder / "gpg-log"
            gpg = script(keys.place, "gpg", f"echo asked >> {log}\nexec gpg \"$@\"\n")
            done = decrypt(keys, file, SOPS_AGE_KEY_FILE=str(KEYS / "age.txt"), SOPS_GPG_EXEC=str(gpg))
            check(done.fine, f"{kind}: with the age key: {done.text}")
            check(not keys.aws.requests and not any(getattr(hole, "came", []) or getattr(hole, "asked", False) for hole in made), f"{kind}: somebody was asked")
            check(not log.exists(), f"{kind}: gpg was run")
            started = time.monotonic()
            done = decrypt(keys, file)
            seconds = time.monotonic() - started
            check(done.fine, f"{kind}: without the age key: {done.text}")
            check(keys.asked() == [3], f"{kind}: asked {keys.asked()}")
            check(seconds < 9, f"{kind}: {seconds:.1f} s: as long as one hole is waited for")
            if kind == "name":
                check(made[0].asked, "the name server was asked")
            # On a machine so busy that loading the network module takes longer than the pauses, they overtake each other: not every time.
            times = []
            for _ in range(5 if kind == "server" else 0):
                for hole in made:
                    hole.came.clear()
                keys.aws.forget()
                check(decrypt(keys, file).fine, f"{kind}: again")
                times = [*(hole.came[0] for hole in made if hole.came), keys.aws.requests[0].at]
                if len(times) == 4 and all(after > before - 0.05 for before, after in zip(times, times[1:])) and times[3] - times[0] > 0.4:
                    break
            else:
                check(kind != "server", f"one after another, in the order of the file, with pauses: {times}")
            print(f"dead_keys, {kind}: {seconds:.2f} s", flush=True)


def given_order(sops):
    """--decryption-order is followed strictly: one after the other, each until it is given up (keys.md 1.5, 1.8)."""
    hole = SilentPort()
    with Keys(sops, 2) as keys:
        file = keys.encrypt(keys.rule([0, 1], f"age: [{RECIPIENT}]"))
        keys.lead({0: hole.url, 1: hole.url})
        started = time.monotonic()
        done = decrypt(keys, file, "--decryption-order", "kms,age", SOPS_AGE_KEY_FILE=str(KEYS / "age.txt"), SOPS_KEY_TIMEOUT="3s")
        seconds = time.monotonic() - started
        check(done.fine, done.text)
        check(len(hole.came) == 2 and hole.most_open == 1, f"one after the other: {hole.came}")
        check(seconds > 2.5, f"each had half of its three seconds for its one answer: {seconds:.1f} s")
    hole.close()


def at_most_four(sops):
    """Six silent keys: never more than four at once; all are tried in the end, and named (keys.md 1.2, 1.7)."""
    hole = SilentPort()
    with Keys(sops, 6) as keys:
        file = keys.encrypt(keys.rule(range(6)))
        keys.lead({number: hole.url for number in range(6)})
        done = decrypt(keys, file, SOPS_KEY_TIMEOUT="2s")
        check(done.returncode == 128, f"status {done.returncode}")
        check(len(hole.came) == 6, f"{len(hole.came)} were asked")
        check(2 <= hole.most_open <= 4, f"{hole.most_open} at once: {[when - hole.came[0] for when in hole.came]}")
        check(all(key.arn in done.text for key in keys.keys), done.text)
    hole.close()


def threshold(sops):
    """With a threshold of two, a third group is not asked when two have answered (keys.md 1.6)."""
    with Keys(sops, 2) as keys:
        groups = keys.rule([], f"age: [{RECIPIENT}]") + keys.rule([], f"age: [{SECOND_RECIPIENT}]") + keys.rule([0, 1])
        file = keys.encrypt(groups, "    shamir_threshold: 2\n")
        identities = keys.place.folder / "both.txt"
        identities.write_text((KEYS / "age.txt").read_text() + (KEYS / "age2.txt").read_text())
        done = decrypt(keys, file, SOPS_AGE_KEY_FILE=str(identities))
        check(done.fine and not keys.aws.requests, f"asked {keys.asked()}: {done.text}")
        done = decrypt(keys, file, SOPS_AGE_KEY_FILE=str(KEYS / "age.txt"))
        check(done.fine and 0 in keys.asked(), f"asked {keys.asked()}: {done.text}")


def another_data_key(sops):
    """An entry from another file gives a data key that does not open this one's MAC: the next key goes on (keys.md 1.4)."""
    with Keys(sops, 2) as keys:
        file = keys.encrypt(keys.rule([0, 1]))
        text = (keys.place.work / file).read_text()
        other = (keys.place.work / keys.encrypt(keys.rule([0]))).read_text()
        entries = re.findall(r"enc: (?!ENC)(\S+)", text)
        keys.place.write(file, text.replace(entries[0], re.search(r"enc: (?!ENC)(\S+)", other)[1]))
        keys.aws.forget()
        done = decrypt(keys, file)
        check(done.fine and sorted(keys.asked()) == [0, 1], f"asked {keys.asked()}: {done.text}")


def no_network_module(sops):
    """With an age key nothing of the network is loaded; with a KMS key it is, which shows that the look is not in vain."""
    with Keys(sops, 1) as keys:
        file = keys.encrypt(keys.rule([0], f"age: [{RECIPIENT}]"))
        for name, environment, expected in (("age", {"SOPS_AGE_KEY_FILE": str(KEYS / "age.txt")}, False), ("KMS", {}, True)):
            done = decrypt(keys, file, LD_DEBUG="files", LD_DEBUG_OUTPUT=str(keys.place.folder / f"loaded-{name}"), **environment)
            loaded = "".join(path.read_text(errors="replace") for path in keys.place.folder.glob(f"loaded-{name}.*"))
            check(done.fine and loaded, f"{name}: {done.text}")
            check(bool(re.search("libcurl|sops_http", loaded)) == expected, f"{name}: the network module is {'not ' * expected}loaded")


CASES = [dead_keys, given_order, at_most_four, threshold, another_data_key, no_network_module]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sops", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if not shutil.which("gpg"):
        skipped.append("gpg: a PGP key without its secret")
    for case in CASES:
        if options.only in case.__name__:
            case(os.path.abspath(options.sops))
    for name in skipped:
        print(f"SKIPPED: not here: {name}")
    print(f"{len(failures)} failures")
    return 1 if failures else 77 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
