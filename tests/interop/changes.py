#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Changes of generated documents by ours and by SOPS: `set` and `unset` of both must give the same values, as SOPS reads them.

    changes.py --sops OURS --reference SOPS [COUNT] [--seed N] [--only NUMBER] [--keep FOLDER]

Each document is encrypted by ours. A path into it and a value are chosen; ours changes one copy of the file, SOPS another; SOPS
decrypts both to JSON, which must be equal. Of the versions that ours wrote no nonce may stand before two different data. List
positions are only used where no comment can take one up. Cases in which SOPS itself fails are counted, not judged.
"""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

import generate

VALUES = ['"word"', '""', '"a: b # c"', '"two\\nlines"', '"end\\n"', '"\\ttab\\nx"', "5", "-1.5", "0.1", "true", "null", "{}",
          '{"n": 12, "l": [1.5, null, "x\\ny\\n"], "e": {}}', '"\\u00e9\\ud83d\\udd11"', "1000000", "-0.0", "1e21"]
CIPHERTEXT = re.compile(r"ENC\[AES256_GCM,data:([^,]*),iv:([^,]*),")


def as_object(pairs):
    return ("object", pairs)


def at(tree, path):
    """What stands at a path of an output of values(), None if nothing does."""
    for key, index in re.findall(r'\["(.*?)"\]|\[(\d+)\]', path):
        if index:
            tree = tree[int(index)] if isinstance(tree, list) and int(index) < len(tree) else None
        else:
            tree = next((value for name, value in tree[1] if name == key), None) if isinstance(tree, tuple) else None
    return tree


class Case:
    """One document and one change."""

    def __init__(self, options, number, folder):
        self.options, self.number, self.folder = options, number, folder
        self.rng = random.Random(f"change/{options.seed}/{number}")
        self.extension, self.content, self.settings = generate.document(options.seed, number)

    def run(self, program, *words, text=False):
        done = subprocess.run([program, *words], cwd=self.folder, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=120)
        return done.returncode, done.stdout.decode("utf-8", "surrogateescape") if text else done.stdout, done.stderr.decode(errors="replace")

    def values(self, name):
        """The tree of a file as SOPS reads it; None if it cannot."""
        status, out, _ = self.run(self.options.reference, "decrypt", "--output-type", "json", name)
        if status != 0:
            return None
        return json.loads(out.decode("utf-8", "replace"), object_pairs_hook=as_object)

    def path(self, tree):
        """The components of a path to a place, beside it, or below it."""
        parts = []
        while True:
            if isinstance(tree, tuple):
                keys = [key for key, _ in tree[1] if "[" not in key and "\0" not in key]
                if not keys or len(parts) > 0 and self.rng.random() < 0.25:
                    break
                key = self.rng.choice(keys)
                parts.append(f'["{key}"]')
                tree = next(value for name, value in tree[1] if name == key)
            elif isinstance(tree, list) and tree and b"#" not in self.content:
                index = self.rng.randrange(len(tree))
                parts.append(f"[{index}]")
                tree = tree[index]
            else:
                break
        odd = self.rng.random()
        if odd < 0.2 or not parts:
            parts.append('["added"]')
        elif odd < 0.3 and isinstance(tree, list) and b"#" not in self.content:
            parts.append("[99]")
        return "".join(parts)

    def judge(self):
        name = f"f.{self.extension}"
        (self.folder / name).write_bytes(self.content)
        flags = [f"--{key.replace('_', '-')}={'true' if value is True else value}" for key, value in self.settings.items()]
        status, _, _ = self.run(self.options.sops, "encrypt", "-i", "--allow-plaintext", "--age", self.options.recipient, *flags, name)
        if status != 0:
            return "refused"
        tree = self.values(name)
        if tree is None:
            return "unread"
        is_set = self.rng.random() < 0.7
        words = ["set" if is_set else "unset", "FILE", self.path(tree)] + ([self.rng.choice(VALUES)] if is_set else [])
        self.words = words
        ours, theirs = f"ours.{self.extension}", f"theirs.{self.extension}"
        for copy in (ours, theirs):
            shutil.copyfile(self.folder / name, self.folder / copy)
        reference_status, _, _ = self.run(self.options.reference, *[theirs if word == "FILE" else word for word in words])
        status, _, said = self.run(self.options.sops, *[ours if word == "FILE" else word for word in words])
        wanted = self.values(theirs) if reference_status == 0 else None
        if status != 0:
            if reference_status != 0:
                return "both fail"
            # SOPS writes files that it cannot read again; ours does not.
            return "not by SOPS" if wanted is None else f"ours fails: {said}"
        if wanted is None:
            return "not by SOPS"
        found = self.values(ours)
        if found != wanted and is_set and at(found, words[2]) == json.loads(words[3], object_pairs_hook=as_object) != at(wanted, words[2]):
            return "not by SOPS"  # it lost the value in its own spelling; ours holds it
        if found != wanted:
            return f"values differ\nSOPS: {json.dumps(wanted)[:2000]}\nours: {json.dumps(found)[:2000]}\n{said}"
        data_of = {}
        for version in (name, ours):
            for data, nonce in CIPHERTEXT.findall((self.folder / version).read_bytes().decode("utf-8", "replace")):
                if data_of.setdefault(nonce, data) != data:
                    return f"a nonce for two texts: {nonce}"
        return "equal"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=200)
    parser.add_argument("--sops", required=True, type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--reference", required=True, type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int)
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    keys = pathlib.Path(__file__).resolve().parent.parent / "golden/keys"
    options.recipient = (keys / "age.pub").read_text().split()[0]
    os.environ["SOPS_AGE_KEY_FILE"] = str(keys / "age.txt")

    counts, failed = {}, 0
    numbers = range(options.count) if options.only is None else [options.only]
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            case = Case(options, number, pathlib.Path(folder))
            verdict = case.judge()
            kind = verdict.split("\n")[0].split(":")[0]
            counts[kind] = counts.get(kind, 0) + 1
            if kind not in ("equal", "refused", "unread", "both fail", "not by SOPS"):
                failed += 1
                print(f"--- {number}: {case.words}\n{verdict}\n{case.content[:3000]!r}", flush=True)
            if options.keep:
                shutil.copytree(folder, options.keep, dirs_exist_ok=True)
    print(", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    if counts.get("equal", 0) * 2 < len(numbers) and options.only is None:
        print("too few cases could be judged")
        failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
