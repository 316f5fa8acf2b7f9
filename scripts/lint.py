#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""Checks what neither the compiler nor a reader sees. One function and one docstring per rule; standard library only.

    scripts/lint.py              every rule; prints file:line: [rule] text, ends with status 1 if there is anything
    scripts/lint.py --headers    also compiles every header alone (about half a second each)
    scripts/lint.py --rules      the list of rules
"""

import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Who may include whom, besides itself and base (style.md 1.1): a row names only rows above it. A name with .h is that header alone.
LAYERS = {
    "base": [],
    "sys": [],
    "crypto": ["sys/services.h"],
    "pattern": [],
    "tree": [],
    "formats": ["tree"],                                       # format.h and the registry
    "formats/*": ["tree", "formats/format.h"],
    "formats/binary": ["tree", "formats/format.h", "formats/json"],  # an encrypted binary file is a JSON file
    "cloud/*": ["sys", "crypto", "formats/json", "formats/format.h", "tree"],
    "keysources": ["sys/services.h"],                          # key_source.h and the registry
    "keysources/*": ["keysources/key_source.h", "cloud", "crypto", "sys"],
    "core": ["tree", "crypto", "pattern", "sys/services.h", "keysources/key_source.h", "formats/format.h"],
    "config": ["tree", "pattern", "formats/yaml", "formats/format.h", "keysources/key_source.h", "sys/services.h", "core/selection.h"],
    "keyservice": ["keysources/key_source.h", "crypto", "sys"],
    "api": ["*"],
    "cli": ["*"],
}

# Third-party headers and the only folder (or file) that may include them.
THIRD_PARTY = [
    (r"openssl/.*", ["crypto"]),
    (r"sodium.*", ["crypto"]),
    (r"yaml\.h", ["formats/yaml"]),
    (r"re2/.*", ["pattern"]),
    (r"fmt/.*", ["base"]),
    (r"curl/.*", ["sys/http_curl"]),
    (r"toml.*", ["formats/toml"]),
    (r"expat\.h", ["cloud/aws"]),
    (r"(unistd|fcntl|poll|pwd|grp|termios|signal|dirent|sched|syslog|dlfcn)\.h|sys/.*|linux/.*",
     ["sys", "base/secure_bytes.cc", "base/parallel.cc", "cli/main.cc", "cli/ui.cc"]),
]


class Source:
    """A C++ file: its lines, and the same text with comments and literals blanked out, so that rules see code only."""

    def __init__(self, path):
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.text = path.read_text(encoding="utf-8", errors="replace")
        self.code = blank_comments_and_literals(self.text)
        self.is_test = path.stem.endswith("_test") or not self.name.startswith("src/")

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def folder(self):
        """The row of LAYERS that this file of src/ belongs to, for example formats/yaml or core."""
        return str(self.path.parent.relative_to(ROOT / "src"))


def blank_comments_and_literals(text):
    """Same length and lines; comments, strings and characters become spaces. Include paths stay readable in `text`."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^()\s\\]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)

    def blank(match):
        # A digit separator (1'000) is no character literal.
        if match[0][0] == "'" and match.start() > 0 and text[match.start() - 1].isalnum():
            return match[0]
        return re.sub(r"[^\n]", " ", match[0])

    return pattern.sub(blank, text)


def cpp_files():
    """Every C++ file of ours."""
    files = []
    for folder in ("include", "src", "tests", "fuzz", "bench"):
        for extension in ("*.h", "*.cc"):
            files += (ROOT / folder).rglob(extension)
    return sorted(files)


def markdown_files():
    """Every page of ours."""
    pages = list(ROOT.glob("*.md"))
    for folder in ("docs", "tests", "fuzz", "bench", "src", "examples"):
        pages += (ROOT / folder).rglob("*.md")
    return sorted(pages)


# --- rules for C++ files: each yields (line, text) -----------------------------------------------------------------------------


def rule_not_empty(source):
    """A source file has content: an empty one is a stub that somebody forgot."""
    if not source.text.strip():
        yield 1, "the file is empty"


def rule_spdx(source):
    """The first line is the licence, and the only licence text in the file."""
    if source.text.strip() and source.text.split("\n", 1)[0] != "// SPDX-License-Identifier: MPL-2.0":
        yield 1, "the first line must be '// SPDX-License-Identifier: MPL-2.0'"


def rule_pragma_once(source):
    """A header has #pragma once before its first include."""
    if source.path.suffix != ".h" or not source.text.strip():
        return
    once = source.code.find("#pragma once")
    include = source.code.find("#include")
    if once < 0 or 0 <= include < once:
        yield 1, "#pragma once is missing or comes too late"


def may_include(folder, target):
    """True if a file of `folder` may include `target` (both relative to src/)."""
    row = folder if folder in LAYERS else folder.split("/")[0] + "/*"
    allowed = LAYERS.get(row) or LAYERS.get(folder.split("/")[0]) or []
    if target.startswith(folder + "/") or target.startswith("base/") or "*" in allowed:
        return True
    return any(target == name or target.startswith(name + "/") for name in allowed)


def rule_include_direction(source):
    """Includes point downward (the table LAYERS). Unit tests may use what they need, but nothing of cli."""
    if not source.name.startswith("src/"):
        return
    folder = source.folder()
    for match in re.finditer(r'^\s*#\s*include\s+"([^"]+)"', source.text, re.MULTILINE):
        target = match[1]
        if target.split("/")[0] in ("tests", "fuzz"):
            if not source.is_test:
                yield source.line_of(match.start()), f"production code includes {target}"
        elif not (ROOT / "src" / target).exists():
            if target != "sops_version.h" and not target.startswith("sops/"):  # the former is made by CMake
                yield source.line_of(match.start()), f"{target}: no such header below src/"
        elif source.is_test:
            if target.startswith("cli/") and folder != "cli":
                yield source.line_of(match.start()), f"a test of {folder} includes {target}"
        elif not may_include(folder, target):
            yield source.line_of(match.start()), f"{folder} must not include {target} (table LAYERS in scripts/lint.py)"


def rule_third_party(source):
    """A library is included in one folder and translated there."""
    if not source.name.startswith("src/") or source.is_test:
        return
    own = source.name.removeprefix("src/")
    for match in re.finditer(r"^\s*#\s*include\s+<([^>]+)>", source.text, re.MULTILINE):
        for pattern, places in THIRD_PARTY:
            if re.fullmatch(pattern, match[1]) and not any(own == place or own.startswith(place + "/") for place in places):
                yield source.line_of(match.start()), f"<{match[1]}> belongs to {' or '.join(places)}"


def closing_parenthesis(code, opening):
    """Offset of the parenthesis that closes the one at `opening`, or the end of the text."""
    depth = 0
    for offset in range(opening, len(code)):
        depth += {"(": 1, ")": -1}.get(code[offset], 0)
        if depth == 0:
            return offset
    return len(code)


def rule_try_placement(source):
    """TRY is the whole right-hand side of a statement: in a braced initializer compilers forget to destroy what was made."""
    for match in re.finditer(r"\bTRY\s*\(", source.code):
        line_start = source.code.rfind("\n", 0, match.start()) + 1
        if source.code[line_start:match.start()].lstrip().startswith("#"):
            continue
        before = source.code[:match.start()].rstrip()
        after = source.code[closing_parenthesis(source.code, match.end() - 1) + 1:].lstrip()
        starts_well = re.search(r"(^|[;{})]|(?<![=!<>+\-*/%&|^])=|(?<!:):|\breturn|\belse|\bdo)$", before)
        if not starts_well or not after.startswith(";"):
            yield source.line_of(match.start()), "TRY must be the whole right-hand side of a statement"


def forbidden(source, pattern, text, allowed=()):
    """Helper of the rules below: yields where code of src/ has `pattern` outside the places allowed."""
    if not source.name.startswith("src/") or source.is_test:
        return
    own = source.name.removeprefix("src/")
    if any(own == place or own.startswith(place + "/") for place in allowed):
        return
    for match in re.finditer(pattern, source.code):
        yield source.line_of(match.start()), text


def rule_no_throw(source):
    """We have no exceptions of our own; a failure is a Result."""
    yield from forbidden(source, r"\bthrow\b", "throw: return fail(…) instead")


def rule_no_printing(source):
    """Only cli prints; a failed check may, before it aborts."""
    yield from forbidden(source, r"\bstd::c(out|err|log)\b|\b(std::)?f?printf\s*\(|\b(std::)?puts\s*\(",
                         "only cli prints", ("cli", "base/error.cc"))


def rule_no_getenv(source):
    """The environment enters through Services::environment."""
    yield from forbidden(source, r"\b(secure_)?getenv\s*\(|\benviron\b", "getenv: use Services::environment", ("sys",))


def rule_no_raw_new(source):
    """Nothing raw owns: new stands directly in a unique_ptr (private constructors), or in base."""
    yield from forbidden(source, r"(?<!unique_ptr<)(?<!\w)(?<!> \()(?<!>\()\bnew\s+[A-Za-z_(:]|\bdelete\s+[A-Za-z_]|\bmalloc\s*\(",
                         "raw new, delete or malloc: use std::make_unique", ("base", "sys/http_curl/module.cc"))


def rule_no_shared_ptr(source):
    """Shared lifetime is a design question: bring it to review."""
    yield from forbidden(source, r"\bshared_ptr\b", "std::shared_ptr")


def rule_todo_has_issue(source):
    """A TODO names its issue: TODO(#12): …"""
    for match in re.finditer(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\):)", source.text):
        yield source.line_of(match.start()), "write TODO(#issue): or do it"


CPP_RULES = [rule_not_empty, rule_spdx, rule_pragma_once, rule_include_direction, rule_third_party, rule_try_placement,
             rule_no_throw, rule_no_printing, rule_no_getenv, rule_no_raw_new, rule_no_shared_ptr, rule_todo_has_issue]


# --- rules for the tree as a whole: each yields (file:line, text) --------------------------------------------------------------


def rule_scripts_have_spdx():
    """Scripts carry the licence in their first two lines and are executable if they have a shebang."""
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file()] + [ROOT / ".ci" / "run"]
    scripts += (ROOT / "tests").rglob("*.py")
    scripts += (ROOT / "bench").rglob("*.py")
    for path in sorted(scripts):
        if path.suffix in (".md", ".pyc"):
            continue
        lines = path.read_text().split("\n")
        name = path.relative_to(ROOT)
        if not any("SPDX-License-Identifier: MPL-2.0" in line for line in lines[:2]):
            yield f"{name}:1", "no SPDX line"
        if lines[0].startswith("#!") and not os.access(path, os.X_OK):
            yield f"{name}:1", "has a shebang but is not executable"


def rule_links_exist():
    """Links of our pages, and paths in back quotes below our folders, lead somewhere."""
    quoted = re.compile(r"`((?:src|docs|scripts|tests|fuzz|bench|examples|cmake|include|\.ci)/[A-Za-z0-9_./-]+)")
    placeholder = re.compile(r"NAME|TARGET|NNNN")
    for page in markdown_files():
        name = page.relative_to(ROOT)
        for number, line in enumerate(page.read_text().split("\n"), 1):
            for target in re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", line):
                if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                    yield f"{name}:{number}", f"link to {target} leads nowhere"
            for target in quoted.findall(line):
                if not placeholder.search(target) and not (ROOT / target.rstrip(".")).exists():
                    yield f"{name}:{number}", f"`{target}` does not exist"


def rule_decisions_exist():
    """A decision that code or a page cites has its page in docs/decisions."""
    for path in cpp_files() + markdown_files():
        for number, line in enumerate(path.read_text(errors="replace").split("\n"), 1):
            for cited in re.findall(r"docs/decisions/(\d{4})", line):
                if not list((ROOT / "docs" / "decisions").glob(f"{cited}-*.md")):
                    yield f"{path.relative_to(ROOT)}:{number}", f"docs/decisions/{cited}-*.md does not exist"


def rule_definitions_have_tests():
    """Every line of a .def list has its folder (or file), with a test that CTest runs."""
    scripts = "".join(path.read_text(errors="replace") for path in (ROOT / "tests" / "cli").glob("*.txtar"))
    for listing in sorted((ROOT / "src").rglob("*.def")):
        for number, line in enumerate(listing.read_text().split("\n"), 1):
            match = re.match(r"([A-Z_]+)\(([a-z0-9_]+)", line)
            if not match:
                continue
            where, name = f"{listing.relative_to(ROOT)}:{number}", match[2]
            if match[1] == "COMMAND":
                # Commands are tested by scripts: one of them must run `sops NAME` (or the deprecated flag of that name).
                if not re.search(rf"\bsops (.* )?{name.replace('_', '-')}\b", scripts):
                    yield where, f"no script of tests/cli runs '{name}'"
                continue
            folder = listing.parent / name
            if not (folder / "CMakeLists.txt").exists():
                yield where, f"there is no folder {folder.relative_to(ROOT)} with a CMakeLists.txt"
                continue
            tests = [test for test in folder.glob("*_test.cc") if test.name in (folder / "CMakeLists.txt").read_text()]
            if not tests or not any("TEST" in test.read_text() for test in tests):
                yield where, f"{folder.relative_to(ROOT)} has no test"


def rule_sources_are_listed():
    """Every .cc and .h of src/ stands in its folder's CMakeLists.txt or commands.def: an unlisted file is never built."""
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in (".cc", ".h"):
            continue
        listing = path.parent / "CMakeLists.txt"
        if (path.parent / "commands.def").exists() and f"({path.stem})" in (path.parent / "commands.def").read_text():
            continue
        if listing.exists() and not re.search(rf"(?<![\w.-]){re.escape(path.name)}(?![\w.])", listing.read_text()):
            yield f"{path.relative_to(ROOT)}:1", f"not listed in {listing.relative_to(ROOT)}"


TREE_RULES = [rule_scripts_have_spdx, rule_links_exist, rule_decisions_exist, rule_definitions_have_tests, rule_sources_are_listed]


def check_headers_alone():
    """Every header of src/ compiles by itself."""
    def compile_one(path):
        command = ["g++", "-std=c++23", "-fsyntax-only", "-x", "c++", "-I", str(ROOT / "src"),
                   "-I", str(ROOT / "build" / "release" / "generated"), str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        errors = [line for line in done.stderr.split("\n") if "error" in line]
        return (path, errors[0] if errors else "does not compile") if done.returncode else None

    headers = [path for path in cpp_files() if path.suffix == ".h" and path.stat().st_size and "src" in path.parts]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for failed in filter(None, pool.map(compile_one, headers)):
            yield f"{failed[0].relative_to(ROOT)}:1", failed[1]


def main():
    if "--rules" in sys.argv:
        for rule in CPP_RULES + TREE_RULES:
            print(f"{rule.__name__.removeprefix('rule_'):24}{rule.__doc__.splitlines()[0]}")
        return 0
    findings = []
    for path in cpp_files():
        source = Source(path)
        for rule in CPP_RULES:
            findings += [(f"{source.name}:{line}", rule, text) for line, text in rule(source)]
    for rule in TREE_RULES + ([check_headers_alone] if "--headers" in sys.argv else []):
        findings += [(where, rule, text) for where, text in rule()]
    for where, rule, text in findings:
        print(f"{where}: [{rule.__name__.removeprefix('rule_').removeprefix('check_')}] {text}")
    print(f"lint: {len(cpp_files())} C++ files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
