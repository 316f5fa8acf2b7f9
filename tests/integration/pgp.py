#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""PGP keys with the real gpg and throwaway homes (keys.md 1 and 4). Standard library only; without gpg the test is skipped (status 77).

    pgp.py --sops PROGRAM [--reference SOPS] [--only WORD]

Files go both ways with SOPS itself: --reference, else $SOPS_REFERENCE, else build/peers/bin/sops. What is not here is said.
"""

import argparse
import json
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

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KEYS = ROOT / "tests" / "golden" / "keys"
PEER = ROOT / "build" / "peers" / "bin" / "sops"
PASSPHRASE = "correct horse"
PLAIN = "a: 1\nb: two\n"
NOBODY = 65534
TIMEOUT_SECONDS = 60


class Failed(Exception):
    """A case that did not hold."""


class NotHere(Exception):
    """A case that this machine does not allow."""


def expect(condition, text):
    if not condition:
        raise Failed(text)


class Home:
    """A folder of keys. Short, because sockets lie in it (keys-pgp.md 10.1)."""

    def __init__(self, root, name):
        self.path = pathlib.Path(root) / name
        self.path.mkdir(mode=0o700)

    def gpg(self, *words, text="", check=True):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.path), "GNUPGHOME": str(self.path), "LANG": "C"}
        done = subprocess.run(["gpg", "--batch", *words], input=text.encode(), env=environment, capture_output=True, timeout=TIMEOUT_SECONDS,
                              start_new_session=True)
        expect(not check or done.returncode == 0, f"gpg {words}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def generate(self, name, algorithm="ed25519", subkeys=("cv25519",), passphrase="", expires="never", more=()):
        """Makes a key and returns its fingerprint; `subkeys` are for encryption."""
        locked = [*more, "--pinentry-mode", "loopback", "--passphrase", passphrase]
        usage = "sign" if algorithm == "ed25519" else "sign,cert"
        self.gpg(*locked, "--quick-generate-key", f"{name} <{name}@example.test>", algorithm, usage, expires)
        fingerprint = self.fingerprints(name)[0]
        for algorithm in subkeys:
            self.gpg(*locked, "--quick-add-key", fingerprint, algorithm, "encr", expires)
        return fingerprint

    def fingerprints(self, name):
        """Of the key and its subkeys."""
        listing = self.gpg("--with-colons", "--with-subkey-fingerprint", "--list-keys", name).decode()
        return [line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:")]

    def import_from(self, other, name, secret=False):
        what = "--export-secret-keys" if secret else "--export"
        self.gpg("--import", text=other.gpg("--armor", what, name).decode())

    def stop_agent(self):
        subprocess.run(["gpgconf", "--homedir", str(self.path), "--kill", "all"], capture_output=True, timeout=TIMEOUT_SECONDS)


class World:
    """Keys of every kind, made once, and what to call sops with."""

    def __init__(self, sops, reference):
        self.sops, self.reference = sops, reference
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        self.root.chmod(0o755)
        self.homes = []
        self.work = self.root / "w"
        self.work.mkdir()
        self.mine = self.home("m")
        self.ecc = self.mine.generate("ecc")
        self.rsa = self.mine.generate("rsa", "rsa2048", ["rsa2048"])
        self.locked = self.mine.generate("locked", passphrase=PASSPHRASE)
        self.mine.stop_agent()  # forgets the passphrase
        self.recipient = (KEYS / "age.pub").read_text().strip()

    def home(self, name):
        home = Home(self.root, name)
        self.homes.append(home)
        return home

    def close(self):
        for home in self.homes:
            home.stop_agent()
        shutil.rmtree(self.root, ignore_errors=True)

    def environment(self, home, age=False, **more):
        variables = {"PATH": os.environ["PATH"], "HOME": str(self.root / "nohome"), "GNUPGHOME": str(home.path), "LANG": "C.UTF-8"}
        if age:
            variables["SOPS_AGE_KEY_FILE"] = str(KEYS / "age.txt")
        return {**variables, **more}

    def run(self, *words, home=None, status=0, program=None, text="", age=False, user=None, **more):
        """sops in a session without a terminal."""
        done = subprocess.run([program or self.sops, *map(str, words)], cwd=self.work, env=self.environment(home or self.mine, age, **more),
                              input=text.encode(), capture_output=True, timeout=TIMEOUT_SECONDS, start_new_session=True, user=user, group=user)
        expect(done.returncode == status, f"sops {' '.join(map(str, words))}: status {done.returncode}, not {status}: {done.stderr.decode()}")
        return done

    def encrypted(self, name, *words, plain=PLAIN, **more):
        """A file with that text, encrypted in place."""
        path = self.work / name
        path.write_text(plain)
        self.run("encrypt", "-i", *words, path, **more)
        return path

    def decrypts(self, path, expected=PLAIN, **more):
        output = self.run("decrypt", path, **more).stdout.decode()
        expect(output == expected, f"{path} decrypts to {output!r}")

    def fails(self, path, *texts, **more):
        """Decrypting ends with 128 and names all of `texts`."""
        began = time.monotonic()
        words = self.run("decrypt", path, status=128, **more).stderr.decode()
        for text in texts:
            expect(text in words, f"no {text!r} in {words!r}")
        return time.monotonic() - began


def entries(path):
    """The pgp entries of an encrypted file."""
    return [dict(re.findall(r"(\w+): (\S+)", part)) for part in re.split(r"\n *- ", path.read_text().partition("pgp:")[2])[1:]]


def message_of(path):
    """The first OpenPGP message of a YAML file."""
    lines = path.read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if "BEGIN PGP MESSAGE" in line)
    end = next(i for i, line in enumerate(lines) if "END PGP MESSAGE" in line)
    return "\n".join(line.strip() for line in lines[begin:end + 1]) + "\n"


def with_message(path, message, name):
    """A copy of `path` that has `message` for its first one."""
    text = path.read_text()
    lines = text.splitlines()
    begin = next(i for i, line in enumerate(lines) if "BEGIN PGP MESSAGE" in line)
    end = next(i for i, line in enumerate(lines) if "END PGP MESSAGE" in line)
    indent = " " * (len(lines[begin]) - len(lines[begin].lstrip()))
    lines[begin:end + 1] = [(indent + line).rstrip() for line in message.strip().splitlines()]
    copy = path.with_name(name)
    copy.write_text("\n".join(lines) + "\n")
    return copy


class Terminal:
    """sops on a pseudo terminal."""

    def __init__(self, world, words, environment):
        self.output = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(world.work)
            os.execve(world.sops, [world.sops, *map(str, words)], environment)

    def end(self):
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.output += os.read(self.master, 65536)
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while select.select([self.master], [], [], 0.05)[0]:
                    try:
                        piece = os.read(self.master, 65536)
                    except OSError:
                        break
                    self.output += piece
                os.close(self.master)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        raise Failed(f"sops does not end: {self.output!r}")


# --- cases --------------------------------------------------------------------------------------------------------------------------

def case_encrypts_and_decrypts(world):
    for name, key in {"ecc": world.ecc, "rsa": world.rsa, "0x": "0x" + world.ecc.lower(), "id": world.rsa[-16:]}.items():
        path = world.encrypted(f"{name}.yaml", "--pgp", key)
        world.decrypts(path)
        (entry,) = entries(path)
        expect(entry["fp"] == key, entry)
        expect(re.fullmatch(r'"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"', entry["created_at"]), entry)
    path = world.encrypted("both.yaml", SOPS_PGP_FP=f"{world.ecc}, {world.rsa}")
    expect([entry["fp"] for entry in entries(path)] == [world.ecc, world.rsa], path.read_text())
    world.decrypts(path)


def case_golden_keys(world):
    """Files that SOPS wrote for the keys of the golden set."""
    golden = world.home("g")
    golden.gpg("--import", text=(KEYS / "pgp.asc").read_text())
    for case in ("pgp_rsa", "pgp_ecc", "pgp_and_age"):
        for name in ("nested.yaml", "pretty.json", "text.txt"):
            plain = KEYS.parent / "default" / name
            dec = next(plain.glob("dec.*"), KEYS.parent / "in" / name)
            world.decrypts(KEYS.parent / "keycases" / case / name, dec.read_text(), home=golden)


def case_subkeys(world):
    """keys-pgp.md 2.6: the newest subkey, or the one with an exclamation mark."""
    home = world.home("s")
    primary = home.generate("many", subkeys=("cv25519", "cv25519", "rsa2048"))
    _, first, second, third = home.fingerprints("many")
    home.gpg("--pinentry-mode", "loopback", "--passphrase", "", "--quick-add-key", primary, "ed25519", "sign")
    signing = home.fingerprints("many")[4]
    for name, key, used in (("p", primary, None), ("f", first, None), ("x", first + "!", first), ("y", second + "!", second), ("z", third + "!", third)):
        path = world.encrypted(f"sub-{name}.yaml", "--pgp", key, home=home)
        packets = home.gpg("--list-packets", "--list-only", text=message_of(path), check=False).decode()
        found = re.findall(r"keyid ([0-9A-F]{16})", packets)
        expect(len(found) == 1, packets)
        if used:
            expect(found[0] == used[-16:], f"{found} instead of {used}")
        else:
            expect(found[0] in (third[-16:], second[-16:], first[-16:]), found)
        world.decrypts(path, home=home)
    for key, why in ((signing + "!", "that subkey cannot encrypt"), (primary + "!", "that subkey cannot encrypt")):
        words = refused(world, home, key)
        expect(why in words, words)


def refused(world, home, key):
    """What is said when encrypting for a key fails."""
    (world.work / "refused.yaml").write_text(PLAIN)
    done = world.run("encrypt", "--pgp", key, "refused.yaml", home=home, status=1)
    expect(done.stdout == b"", done.stdout)
    return done.stderr.decode()


def case_refuses_keys(world):
    """keys.md 4.3: expired, revoked, disabled, sign-only, missing; those that expired or were revoked later still decrypt."""
    home = world.home("r")
    past = ["--faked-system-time", "20200101T000000!"]
    expired = home.generate("expired", expires="1y", more=past)
    revoked = home.generate("revoked")
    disabled = home.generate("disabled")
    signing = home.generate("signing", subkeys=())
    path = world.encrypted("revoked.yaml", "--pgp", revoked, home=home)
    certificate = (home.path / "openpgp-revocs.d" / f"{revoked}.rev").read_text().replace(":---", "---")
    home.gpg("--import", text=certificate)
    home.gpg("--command-fd", "0", "--no-tty", "--edit-key", disabled, text="disable\nquit\n")
    for key, why in ((expired, "it has expired"), (revoked, "it is revoked"), (disabled, "it is disabled"),
                     (signing, "it has no part that can encrypt"), ("0123456789ABCDEF0123456789ABCDEF01234567", "it is not among the public keys here"),
                     ("me@example.test", "is no fingerprint of a PGP key"), ("ABCD1234", "is no fingerprint of a PGP key")):
        words = refused(world, home, key)
        expect(why in words and key in words, f"{key}: {words}")
    world.decrypts(path, home=home)
    earlier = world.work / "earlier"
    earlier.write_text('#!/bin/sh\nexec gpg --faked-system-time 20200601T000000! "$@"\n')
    earlier.chmod(0o755)
    path = world.encrypted("expired.yaml", "--pgp", expired, home=home, SOPS_GPG_EXEC="./earlier")
    world.decrypts(path, home=home)


def case_foreign_settings(world):
    """keys-pgp.md 4.4: encrypt-to and default-recipient of gpg.conf add nobody; 4.8: keys that nobody trusts are used."""
    home = world.home("t")
    home.import_from(world.mine, "ecc")
    home.import_from(world.mine, "rsa")
    (home.path / "gpg.conf").write_text(f"encrypt-to {world.rsa}\ndefault-recipient {world.rsa}\n")
    path = world.encrypted("conf.yaml", "--pgp", world.ecc, home=home)
    packets = world.mine.gpg("--list-packets", text=message_of(path), check=False).decode()
    expect(len(re.findall(r"^:pubkey enc packet", packets, re.M)) == 1, packets)
    world.decrypts(path)
    world.fails(path, "no secret key for", home=home)


def case_passphrase_without_terminal(world):
    path = world.encrypted("locked.yaml", "--pgp", world.locked)
    took = world.fails(path, "the secret key is locked by a passphrase or PIN", "hint: gpg-agent must know it")
    expect(took < 10, f"it took {took} s")
    # A cached passphrase is used.
    home = locked_home(world, "c")
    home.gpg("--pinentry-mode", "loopback", "--passphrase", PASSPHRASE, "-d", text=message_of(path))
    world.decrypts(path, home=home)


def pinentry(world, home, answer):
    """A pinentry of ours, which writes down that it was asked. `answer` is what it says to GETPIN."""
    script = home.path / "pinentry"
    log = home.path / "asked"
    script.write_text(f"""#!/bin/sh
echo OK hello
while read -r word rest; do
  case $word in
    GETPIN) echo asked >> {log}; {answer} ;;
    BYE) echo OK; exit 0 ;;
    GETINFO) [ "$rest" = pid ] && echo "D $$"; echo OK ;;
    OPTION) case $rest in ttyname=*) echo "$rest" >> {home.path}/ttyname ;; esac; echo OK ;;
    *) echo OK ;;
  esac
done
""")
    script.chmod(0o755)
    (home.path / "gpg-agent.conf").write_text(f"pinentry-program {script}\n")
    return log


def locked_home(world, name):
    home = world.home(name)
    home.import_from(world.mine, "locked")
    (home.path / "private-keys-v1.d").mkdir(mode=0o700, exist_ok=True)
    for file in (world.mine.path / "private-keys-v1.d").iterdir():
        shutil.copy(file, home.path / "private-keys-v1.d" / file.name)
    home.stop_agent()
    return home


RIGHT = f'echo "D {PASSPHRASE}"; echo OK'
CANCEL = 'echo "ERR 83886179 Operation cancelled"'


def asked(log):
    return len(log.read_text().splitlines()) if log.exists() else 0


def case_passphrase_on_a_terminal(world):
    """keys.md 1.3 and 4.1: asked once for all files, on the terminal that sops runs on; never where nobody is."""
    home = locked_home(world, "p")
    log = pinentry(world, home, RIGHT)
    paths = [world.encrypted(f"many{i}.yaml", "--pgp", world.locked) for i in range(3)]
    world.fails(paths[0], "locked by a passphrase", home=home)
    expect(asked(log) == 0, "pinentry was started without a terminal")
    terminal = Terminal(world, ["decrypt", *paths, "--output-dir", world.work / "out"], world.environment(home))
    expect(terminal.end() == 0, terminal.output)
    expect(asked(log) == 1, f"asked {asked(log)} times")
    expect((home.path / "ttyname").read_text().startswith("ttyname=/dev/pts/"), (home.path / "ttyname").read_text())
    for path in paths:
        expect((world.work / "out" / path.name).read_text() == PLAIN, path)


def case_no_progress_over_a_question(world):
    """While pinentry has the terminal, other files go on, but nothing is written over it."""
    home = locked_home(world, "z")
    home.import_from(world.mine, "ecc", secret=True)
    home.stop_agent()
    pinentry(world, home, f"tty=$(tail -n 1 {home.path}/ttyname); tty=${{tty#ttyname=}}; echo QUESTION > $tty; sleep 2; echo ANSWER > $tty; {RIGHT}")
    paths = [world.encrypted(f"a{i}.yaml", "--pgp", world.locked if i == 0 else world.ecc) for i in range(20)]
    terminal = Terminal(world, ["decrypt", *paths, "--output-dir", world.work / "out3"], world.environment(home))
    expect(terminal.end() == 0, terminal.output)
    found = re.search(rb"QUESTION(.*)ANSWER(.*)", terminal.output, re.S)
    expect(found and b"sops" not in found[1] and b"20 files decrypted" in found[2], terminal.output)


def case_canceled_passphrase(world):
    home = locked_home(world, "k")
    log = pinentry(world, home, CANCEL)
    paths = [world.encrypted(f"cancel{i}.yaml", "--pgp", world.locked) for i in range(3)]
    terminal = Terminal(world, ["decrypt", *paths, "--output-dir", world.work / "out2", "--keep-going"], world.environment(home))
    expect(terminal.end() != 0 and b"canceled" in terminal.output, terminal.output)
    expect(asked(log) == 1, f"asked {asked(log)} times")


def case_asks_only_for_its_own_key(world):
    """keys.md 4.2: what a stranger put into `enc` does not make gpg ask for a passphrase."""
    home = locked_home(world, "o")
    home.import_from(world.mine, "ecc")
    log = pinentry(world, home, RIGHT)
    path = world.encrypted("stranger.yaml", "--pgp", world.ecc)
    home.gpg("--import-ownertrust", text=f"{world.locked}:6:\n")
    for name, options in (("other", ["-r", world.locked]), ("hidden", ["-R", world.locked])):
        message = home.gpg("--trust-model", "always", "--armor", "-e", *options, text="0123456789abcdef0123456789abcdef").decode()
        forged = with_message(path, message, f"{name}.yaml")
        terminal = Terminal(world, ["decrypt", forged], world.environment(home))
        expect(terminal.end() == 128, terminal.output)
    message = home.gpg("--pinentry-mode", "loopback", "--passphrase", "x", "--armor", "-c", text="0123456789abcdef0123456789abcdef").decode()
    forged = with_message(path, message, "symmetric.yaml")
    terminal = Terminal(world, ["decrypt", forged], world.environment(home))
    expect(terminal.end() == 128 and b"passphrase of its own" in terminal.output, terminal.output)
    expect(asked(log) == 0, f"asked {asked(log)} times")


def case_hostile_messages(world):
    path = world.encrypted("hostile.yaml", "--pgp", world.ecc)
    gpg = world.mine.gpg
    literal = gpg("--armor", "--store", text="0123456789abcdef0123456789abcdef").decode()
    world.fails(with_message(path, literal, "literal.yaml"), "the message is not encrypted")
    bomb = gpg("--armor", "--trust-model", "always", "-z", "9", "-e", "-r", world.ecc, text="x" * 20_000_000).decode()
    expect(len(bomb) < 65536, len(bomb))
    took = world.fails(with_message(path, bomb, "bomb.yaml"), "wrote more than 4096 bytes")
    expect(took < 10, took)
    world.fails(with_message(path, "-----BEGIN PGP MESSAGE-----\n" + "x" * 70_000 + "\n-----END PGP MESSAGE-----", "large.yaml"), "which is no data key")
    world.fails(with_message(path, "nothing", "garbage.yaml"), "holds no OpenPGP message")
    other = gpg("--armor", "--trust-model", "always", "-e", "-r", world.ecc, text="0123456789abcdef0123456789abcdef").decode()
    forged = with_message(path, other, "otherkey.yaml")
    world.run("decrypt", forged, status=25)  # as SOPS: the key is one, but opens nothing
    damaged = message_of(path)
    damaged = damaged[:-60] + ("A" if damaged[-60] != "A" else "B") + damaged[-59:]
    world.fails(with_message(path, damaged, "damaged.yaml"), "pgp " + world.ecc)


def case_next_key(world):
    """keys.md 1.2 and 1.7: a PGP key whose secret is elsewhere costs nothing and asks nobody; without others, all are named."""
    stranger = world.home("n")
    elsewhere = stranger.generate("elsewhere")
    world.mine.import_from(stranger, "elsewhere")
    path = world.encrypted("age.yaml", "--pgp", f"{elsewhere},{world.locked}", "--age", world.recipient)
    began = time.monotonic()
    world.decrypts(path, age=True)
    took = time.monotonic() - began
    expect(took < 2, f"it took {took} s")  # 200 ms on an idle machine
    path = world.encrypted("second.yaml", "--pgp", f"{elsewhere},{world.rsa}")
    world.decrypts(path)
    (world.work / ".sops.yaml").write_text(f"creation_rules:\n  - pgp:\n      - {elsewhere}  # the laptop of Ann\n      - {world.locked}\n")
    path = world.encrypted("labels.yaml", "--pgp", f"{elsewhere},{world.locked}", "--age", world.recipient)
    words = world.run("decrypt", path, status=128).stderr.decode()
    expect(f"- pgp {elsewhere} (the laptop of Ann): no secret key for" in words, words)
    expect(words.index(elsewhere) < words.index(world.locked) < words.index("- age age1"), words)
    (world.work / ".sops.yaml").unlink()
    words = world.run("decrypt", path, status=128).stderr.decode()
    expect(f"- pgp {elsewhere}: no secret key for" in words, words)


def case_decryption_order(world):
    """keys.md 1.5: an explicit order asks in its place."""
    home = locked_home(world, "e")
    log = pinentry(world, home, RIGHT)
    path = world.encrypted("order.yaml", "--pgp", world.locked, "--age", world.recipient)
    terminal = Terminal(world, ["decrypt", path], world.environment(home, age=True))
    expect(terminal.end() == 0 and asked(log) == 0, terminal.output)
    terminal = Terminal(world, ["decrypt", "--decryption-order", "pgp,age", path], world.environment(home, age=True))
    expect(terminal.end() == 0 and asked(log) == 1, terminal.output)


def case_read_only_home(world):
    """keys.md 4.4"""
    if os.geteuid() != 0:
        raise NotHere("a home of another user needs root")
    home = world.home("q")
    home.import_from(world.mine, "ecc", secret=True)
    home.import_from(world.mine, "rsa")
    home.stop_agent()
    for path in (home.path, *home.path.rglob("*")):
        if path.is_socket():
            path.unlink()
            continue
        os.chown(path, NOBODY, NOBODY)
        path.chmod(0o500 if path.is_dir() else 0o400)
    plain = world.work / "ro.yaml"
    plain.write_text(PLAIN)
    # Nobody trusts the key of rsa here.
    text = world.run("encrypt", "--pgp", f"{world.ecc},{world.rsa}", plain, home=home, user=NOBODY).stdout.decode()
    path = world.work / "ro-encrypted.yaml"
    path.write_text(text)
    world.decrypts(path)
    sockets = pathlib.Path(f"/run/user/{NOBODY}")
    if sockets.exists():
        raise NotHere(f"{sockets} is in use")
    world.fails(path, "no gpg-agent is running, and none can be started", home=home, user=NOBODY)
    sockets.mkdir(parents=True, mode=0o700)
    os.chown(sockets, NOBODY, NOBODY)
    try:
        world.decrypts(path, home=home, user=NOBODY)
        world.decrypts(path, home=home, user=NOBODY)
    finally:
        subprocess.run(["gpg-connect-agent", "--no-autostart", "killagent", "/bye"], env=world.environment(home), user=NOBODY, capture_output=True, timeout=TIMEOUT_SECONDS)
        shutil.rmtree(sockets)


def case_gpg_program(world):
    """SOPS_GPG_EXEC: a path, a name, what is missing, what is not gpg."""
    path = world.encrypted("exec.yaml", "--pgp", world.ecc, SOPS_GPG_EXEC=shutil.which("gpg"))
    world.decrypts(path, SOPS_GPG_EXEC="gpg")
    world.fails(path, "cannot run /nonexistent/gpg", "SOPS_GPG_EXEC", SOPS_GPG_EXEC="/nonexistent/gpg")
    wrapper = world.work / "wrapper"
    wrapper.write_text("#!/bin/sh\necho noise >&2\nexec gpg \"$@\"\n")
    wrapper.chmod(0o755)
    world.decrypts(path, SOPS_GPG_EXEC="./wrapper")
    liar = world.work / "liar"
    liar.write_text("#!/bin/sh\ncat > /dev/null\necho 0123456789abcdef0123456789abcde\n")
    liar.chmod(0o755)
    world.fails(path, "reported nothing through descriptor 3", SOPS_GPG_EXEC="./liar")
    (world.work / "gpg").write_text("#!/bin/sh\necho evil > evil\n")
    (world.work / "gpg").chmod(0o755)
    world.fails(path, "PATH finds it in the working directory", PATH="." + os.pathsep + os.environ["PATH"])
    expect(not (world.work / "evil").exists(), "a program of the working directory was run")
    (world.work / "gpg").unlink()


def case_other_commands(world):
    """rotate, updatekeys, groups add, edit -s."""
    path = world.encrypted("change.yaml", "--age", world.recipient)
    world.run("rotate", "-i", "--add-pgp", world.ecc, path, age=True)
    world.decrypts(path)
    created = entries(path)[0]["created_at"]
    world.run("rotate", "-i", "--add-pgp", world.rsa, "--rm-age", world.recipient, path)
    expect([entry["fp"] for entry in entries(path)] == [world.ecc, world.rsa] and "age1" not in path.read_text(), path.read_text())
    expect(entries(path)[0]["created_at"] == created, "created_at has changed")
    world.run("rotate", "-i", "--rm-pgp", world.ecc, path)
    expect([entry["fp"] for entry in entries(path)] == [world.rsa], path.read_text())

    (world.work / ".sops.yaml").write_text(f"creation_rules:\n  - pgp: >-\n      {world.rsa},\n      {world.ecc}\n")
    before = message_of(path)
    output = world.run("updatekeys", "--yes", path).stdout.decode()
    expect(f"+++ {world.ecc}\n" in output and f"    {world.rsa}\n" in output, output)
    expect(message_of(path) == before and len(entries(path)) == 2, "the entry that stays was written again")
    world.decrypts(path)
    (world.work / ".sops.yaml").write_text(f"creation_rules:\n  - key_groups:\n      - pgp: [{world.rsa}]\n      - age: [{world.recipient}]\n")
    path = world.work / "new.yaml"
    path.write_text(PLAIN)
    world.run("encrypt", "-i", path)
    world.fails(path, "2 of 2 key groups are needed")
    world.decrypts(path, age=True)
    (world.work / ".sops.yaml").unlink()

    path = world.encrypted("groups.yaml", "--age", world.recipient)
    world.run("groups", "add", "-i", "--file", path, "--pgp", world.ecc, "--pgp", world.rsa, age=True)
    world.decrypts(path, age=True)
    world.fails(path, "key groups are needed")

    editor = world.work / "editor"
    editor.write_text("#!/bin/sh\ncp \"$1\" seen\nsed -i 's/^b: two$/b: three/' \"$1\"\n")
    editor.chmod(0o755)
    path = world.encrypted("edit.yaml", "--pgp", world.ecc)
    world.run("edit", "-s", path, EDITOR="./editor")
    expect(world.ecc in (world.work / "seen").read_text(), (world.work / "seen").read_text())
    world.decrypts(path, PLAIN.replace("two", "three"))
    editor.write_text(f"#!/bin/sh\nsed -i 's/{world.ecc}/{world.rsa}/' \"$1\"\n")
    world.run("edit", "-s", path, EDITOR="./editor")
    expect([entry["fp"] for entry in entries(path)] == [world.rsa], path.read_text())
    world.decrypts(path, PLAIN.replace("two", "three"))


def case_json_report(world):
    """The report for programs: one cause for each key."""
    stranger = world.home("j")
    elsewhere = stranger.generate("elsewhere2")
    world.mine.import_from(stranger, "elsewhere2")
    path = world.encrypted("report.yaml", "--pgp", f"{elsewhere},{world.locked}")
    report = json.loads(world.run("--json", "decrypt", path, status=128).stderr)
    expect([cause["code"] for cause in report["causes"]] == ["not_mine", "needs_person"], report)


def case_many_at_once(world):
    """keys.md 4.5: forty files, four gpg at a time."""
    log = world.work / "running"
    log.mkdir()
    counting = world.work / "counting"
    counting.write_text(f'#!/bin/sh\n: > "{log}/$$"\nls {log} | wc -l >> {world.work}/counts\ngpg "$@"\nstatus=$?\nrm "{log}/$$"\nexit $status\n')
    counting.chmod(0o755)
    folder = world.work / "forty"
    folder.mkdir()
    for i in range(40):
        (folder / f"{i}.yaml").write_text(PLAIN)
    world.run("encrypt", "-i", "--pgp", world.ecc, *sorted(folder.iterdir()))
    world.run("decrypt", "-i", *sorted(folder.iterdir()), SOPS_GPG_EXEC=str(counting))
    counts = [int(line) for line in (world.work / "counts").read_text().split()]
    expect(len(counts) == 40 and max(counts) <= 4, counts)
    expect(all(path.read_text() == PLAIN for path in folder.iterdir()), "a file differs")


def case_both_ways_with_sops(world):
    if not world.reference:
        raise NotHere("SOPS itself is not here (scripts/install-peers)")
    for name, key in {"ecc": world.ecc, "rsa": world.rsa, "exact": world.mine.fingerprints("ecc")[1] + "!"}.items():
        ours = world.encrypted(f"ours-{name}.yaml", "--pgp", key)
        world.decrypts(ours, "a: 1\nb: two\n", program=world.reference)
        theirs = world.encrypted(f"theirs-{name}.yaml", "--pgp", key, program=world.reference)
        world.decrypts(theirs)
        ours_entry, theirs_entry = entries(ours)[0], entries(theirs)[0]
        expect(ours_entry["fp"] == theirs_entry["fp"] and ours_entry.keys() == theirs_entry.keys(), (ours_entry, theirs_entry))
    world.run("rotate", "-i", "--add-pgp", world.rsa, "ours-ecc.yaml", program=world.reference)
    world.decrypts(world.work / "ours-ecc.yaml", world.run("decrypt", "ours-ecc.yaml", program=world.reference).stdout.decode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sops", required=True)
    parser.add_argument("--reference", default=os.environ.get("SOPS_REFERENCE") or (str(PEER) if PEER.exists() else None))
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if shutil.which("gpg") is None:
        print("SKIPPED: there is no gpg, PGP keys are NOT tested (apt-get install gnupg)")
        return 77
    os.environ.pop("SOPS_GPG_EXEC", None)
    reference = os.path.abspath(options.reference) if options.reference else None
    world = World(os.path.abspath(options.sops), reference)
    failures = passed = 0
    try:
        for name, case in list(globals().items()):
            if not name.startswith("case_") or options.only not in name:
                continue
            try:
                case(world)
                passed += 1
            except NotHere as reason:
                print(f"not tried: {name[5:]}: {reason}")
            except (Failed, subprocess.TimeoutExpired) as error:
                failures += 1
                print(f"FAIL {name[5:]}: {error}")
    finally:
        world.close()
    print(f"{passed} passed, {failures} failed")
    return 1 if failures or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
