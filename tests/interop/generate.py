# SPDX-License-Identifier: MPL-2.0
"""Random YAML and JSON documents, the same for the same seed and number. Odd on purpose: comments in odd places, every quoting, flow
collections, anchors and aliases, CRLF, odd numbers, dates, tags, several documents, no final newline. Most are valid; which
ones are, the oracle says.

    document(seed, number) -> (extension, bytes, settings)
    changed(seed, number)  -> the same; lines are taken out or added, comments put anywhere, line ends exchanged
"""

import random

WORDS = ["db", "user", "password", "host", "port", "token", "key", "a", "b", "data", "list", "note", "url", "cert", "über", "名前",
         "x_unencrypted", "secret_enc", "level one", "n", "y", "on", "spec", "metadata", "env", "image", "tag-2", "a.b", "k8s/io"]
PLAIN = ["hello", "hello world", "a#b", "http://x.example/y?z=1", "it's", "50%", "a-b", "user@example.org", "é", "日本語", "🔑", "x:y",
         "-x", "?x", ":x", "=", "<<", "1.2.3", "0o", "0x", "1_", "12:30:45", "nul", "truely", "ENC[x]", "a\\b", "a\"b", "~x",
         "value with   spaces", "C:\\path", "a, b", "tail:"]
NUMBERS = ["0", "1", "-1", "+1", "42", "007", "017", "08", "0o17", "0x1F", "0b101", "1_000", "1e3", "1.0", "1.10", "-0", "-0.0", "0.0", ".5",
           "1.", "+1.5", "1e-7", "1E+5", "9223372036854775807", "-9223372036854775808", "123456789012345678901234567890", "0.1",
           "3.141592653589793238", "1e400", ".inf", "-.inf", ".NaN", ".Inf", "+.inf", "685_230.15", "1__2"]
WORDS_TYPED = ["true", "false", "True", "FALSE", "yes", "No", "on", "off", "null", "~", "Null", "NULL", ""]
DATES = ["2001-12-14", "2001-12-14T21:59:43Z", "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43.10 -5", "2001-12-15 2:59:43",
         "2001-1-1", "2020-02-30", "1999-12-31 23:59:59.999999999"]
TEXTS = ["", " ", "a", "two\nlines", "tail\n", "tail\n\n", "\nhead", " lead", "trail ", "tab\there", "quote \" and ' both", "# no comment",
         "a: b", "- x", "multi\n\n\nblank", "  indented\nfirst", "long " * 40, "null", "true", "12", "2001-12-14", "é\u00a0x", "\u2028",
         "back\\slash", "\r\n", "ENC[AES256_GCM,data:x]", "{a}", "[b", "*x", "&y", "!z", "%w", "@v", "`u", "|", ">", "key:", "x\u0001y"]
# No empty comment: in a list SOPS turns it into an empty text when it decrypts (docs/compatibility.md).
COMMENTS = ["# a comment", "##", "#no space", "#  two  spaces ", "# sops:enc", "# key: value", "# ünï 名 🔑", "# 'quoted\"", "#!shebang", "#\ttab",
            "# ENC[AES256_GCM,data:x]", "# trailing space "]
TAGS = ["!!str ", "!foo ", "!!int ", "!!float ", "!!bool ", "! ", "!!null ", "!!binary ", "!!timestamp ", "!<tag:yaml.org,2002:str> "]


def document(seed, number):
    """One document, its extension and the selection settings to encrypt it with."""
    rng = random.Random(f"{seed}/{number}")
    text = Json(rng).text() if rng.random() < 0.2 else None
    extension = "json" if text is not None else "yaml"
    content = text.encode("utf-8", "surrogatepass") if text is not None else Yaml(rng).content()
    return extension, content, settings(rng)


def changed(seed, number):
    """The YAML or JSON document of that number after a few careless changes."""
    extension, content, chosen = document(seed, number)
    rng = random.Random(f"{seed}/{number}/changed")
    line_break = b"\r\n" if b"\r\n" in content else b"\n"
    lines = content.split(line_break)
    for _ in range(rng.choice([1, 2, 3, 5, 8])):
        at = rng.randrange(len(lines))
        comment = rng.choice(COMMENTS).encode()
        kind = rng.choice(["out", "empty", "comment", "comment", "end", "indent", "first", "last"])
        if kind == "empty":
            lines.insert(at, b"")
        elif kind == "comment" and extension == "yaml":
            lines.insert(at, b" " * rng.choice([0, 0, 1, 2, 3, 4, 6, 8, 10]) + comment)
        elif kind == "end" and extension == "yaml":
            lines[at] += b" " + comment
        elif kind == "indent" and lines[at].lstrip(b" ").startswith(b"#"):
            lines[at] = b" " * rng.randrange(9) + lines[at].lstrip(b" ")
        elif kind == "out" and len(lines) > 1:
            del lines[at]
        elif kind == "first" and at > 0:
            lines = lines[:at]
        elif kind == "last":
            lines = lines[at:]
    if rng.random() < 0.15:
        line_break = rng.choice([b"\r\n", b"\n", b"\r"])
    return extension, line_break.join(lines), chosen


def settings(rng):
    """One of the six settings, most often the default; sometimes mac_only_encrypted."""
    kind = rng.choice(["default"] * 6 + ["unencrypted_suffix", "encrypted_suffix", "encrypted_regex", "unencrypted_regex",
                                         "encrypted_comment_regex", "unencrypted_comment_regex"])
    pattern = rng.choice(["^(db|data|password|a)$", "e", "^[a-m]", "user|list", "."])
    chosen = {
        "default": {"unencrypted_suffix": "_unencrypted"},
        "unencrypted_suffix": {"unencrypted_suffix": rng.choice(["d", "_unencrypted", "a"])},
        "encrypted_suffix": {"encrypted_suffix": rng.choice(["d", "_enc", "a"])},
        "encrypted_regex": {"encrypted_regex": pattern},
        "unencrypted_regex": {"unencrypted_regex": pattern},
        "encrypted_comment_regex": {"encrypted_comment_regex": rng.choice(["sops:enc", "comment", "^ "])},
        "unencrypted_comment_regex": {"unencrypted_comment_regex": rng.choice(["sops:enc", "comment", "^ "])},
    }[kind]
    if rng.random() < 0.1:
        chosen["mac_only_encrypted"] = True
    return chosen


class Yaml:
    """Writes one stream, choosing as it goes."""

    def __init__(self, rng):
        self.rng = rng
        self.step = rng.choice([2, 2, 2, 4, 4, 3, 1, 8])
        self.comment_rate = rng.choice([0, 0.05, 0.2, 0.5])
        self.blank_rate = rng.choice([0, 0.1, 0.3])
        self.odd_rate = rng.choice([0, 0, 0.05, 0.2])
        self.anchors = []  # (name, is it a mapping)
        self.budget = rng.choice([3, 6, 12, 25, 60])

    def chance(self, rate):
        return self.rng.random() < rate

    def content(self):
        rng = self.rng
        documents = 1 if self.chance(0.85) else rng.choice([2, 2, 3])
        parts = []
        if self.chance(0.04):
            parts.append(rng.choice(["%YAML 1.1\n---\n", "%YAML 1.2\n---\n", "%TAG !e! tag:example.org,2000:\n---\n"]))
        elif self.chance(0.15):
            parts.append(rng.choice(["---\n", "--- # marker\n", "---\n\n", "# head\n---\n", "\n\n---\n"]))
        for index in range(documents):
            if index:
                parts.append(rng.choice(["---\n", "--- # next\n", "...\n---\n", "\n---\n", "# between\n---\n"]))
            self.budget = max(self.budget, 3)
            parts.append(self.root(index))
        if self.chance(0.03):
            parts.append(rng.choice(["...\n", "...\n# after\n"]))
        text = "".join(parts)
        if self.chance(0.1):
            text = text.rstrip("\n")
        elif self.chance(0.1):
            text += rng.choice(["\n", "\n\n", "  \n", "# last\n", "#last", "\n# last\n\n"])
        if self.chance(0.08):
            text = text.replace("\n", "\r\n")
        elif self.chance(0.01):
            text = text.replace("\n", "\r")
        if self.chance(0.03):
            text = "\ufeff" + text
        if self.chance(0.01):
            return ("\ufeff" + text.lstrip("\ufeff")).encode(rng.choice(["utf-16-le", "utf-16-be"]), "replace")
        return text.encode("utf-8", "replace")

    def root(self, index):
        rng = self.rng
        if self.chance(0.05):
            return self.flow_map(0) + self.line_end()
        if index and self.chance(0.1):
            return rng.choice(["", "{}\n", "null\n", "~\n", "# only a comment\n"])
        if self.chance(0.02):
            return "{}" + self.line_end()
        return self.mapping(0)

    def line_end(self):
        """What may stand behind a value on its line."""
        if self.chance(self.comment_rate * 0.6):
            return self.rng.choice([" ", "  ", "\t", "     "]) + self.rng.choice(COMMENTS) + "\n"
        if self.chance(0.03):
            return self.rng.choice([" \n", "\t\n", "   \n"])
        return "\n"

    def between(self, indentation):
        """What may stand between two entries."""
        out = ""
        while self.chance(self.blank_rate):
            out += "\n" if self.chance(0.9) else "  \n"
        while self.chance(self.comment_rate):
            column = indentation if self.chance(0.8) else self.rng.choice([0, 1, indentation + self.step, max(0, indentation - self.step)])
            out += " " * column + self.rng.choice(COMMENTS) + "\n"
            if self.chance(self.blank_rate):
                out += "\n"
        return out

    def key(self, used, in_flow=False):
        rng = self.rng
        for _ in range(20):
            word = rng.choice(WORDS)
            if len(used) > 5 or self.chance(0.2):
                word += str(rng.randrange(100))
            if word in used:
                continue
            used.add(word)
            style = rng.random()
            if style < 0.8 and not (in_flow and "," in word):
                return word
            if style < 0.9:
                return "'" + word + "'"
            return '"' + word + '"'
        return f"k{rng.randrange(10**9)}"

    def mapping(self, indentation, first_inline=False):
        """Entries at `indentation`; `first_inline`: the first one continues a line (`- a: 1`)."""
        out, used = "", set()
        count = self.rng.choice([1, 1, 2, 2, 3, 4, 6])
        for number in range(count):
            if number or not first_inline:
                out += self.between(indentation)
                out += " " * indentation
            if self.chance(0.03) and any(is_map for _, is_map in self.anchors) and "<<" not in used:
                used.add("<<")
                name = self.rng.choice([name for name, is_map in self.anchors if is_map])
                out += f"<<: *{name}" + self.line_end()
                continue
            if self.chance(0.015):
                out += "? " + self.key(used) + self.line_end() + " " * indentation + ":"
                # No tab directly behind this colon: libyaml refuses it, SOPS's parser does not (docs/compatibility.md).
                value = self.value(indentation)
                out += " " + value.lstrip("\t") if value.startswith("\t") else value
                self.budget -= 1
                continue
            else:
                out += self.key(used) + (" :" if self.chance(0.02) else ":")
            out += self.value(indentation)
            self.budget -= 1
            if self.budget <= 0 and number:
                break
        return out + (self.between(indentation) if self.chance(0.1) else "")

    def sequence(self, indentation):
        out = ""
        for number in range(self.rng.choice([1, 2, 2, 3, 5])):
            out += self.between(indentation) + " " * indentation + "-"
            self.budget -= 1
            kind = self.rng.random()
            if kind < 0.2 and self.budget > 0:
                gap = self.rng.choice([1, 1, 1, 3])
                out += " " * gap + self.mapping(indentation + 1 + gap, first_inline=True)
            elif kind < 0.27 and self.budget > 0:
                nested = self.sequence(indentation + 2)
                out += " " + nested.lstrip(" \n") if not nested.lstrip(" \n").startswith("#") else "\n" + nested
            else:
                out += self.value(indentation, in_sequence=True)
        return out

    def value(self, indentation, in_sequence=False):
        """Everything behind `key:` or `-`, with the end of the line."""
        rng = self.rng
        kind = rng.random()
        if self.budget > 0 and kind < 0.16:
            anchor = self.anchor(True)
            return anchor + self.line_end() + self.mapping(indentation + self.step)
        if self.budget > 0 and kind < 0.28:
            anchor = self.anchor(False)
            deeper = 0 if not in_sequence and self.chance(0.4) else self.step
            return anchor + self.line_end() + self.sequence(indentation + deeper)
        if kind < 0.34:
            return " " + self.anchor(False).lstrip() + self.flow(indentation + 1, 0).lstrip() + self.line_end()
        if kind < 0.38 and self.anchors:
            return f" *{rng.choice(self.anchors)[0]}" + self.line_end()
        if kind < 0.52:
            return self.block_scalar(indentation)
        anchor = self.anchor(None)
        tag = (" " + rng.choice(TAGS).rstrip()) if self.chance(self.odd_rate) else ""
        if self.chance(0.02):
            return anchor + tag + "\n" + " " * (indentation + self.step) + self.scalar(indentation + 1) + self.line_end()
        text = self.scalar(indentation + 1)
        if not text:
            return anchor + tag + self.line_end()
        return anchor + tag + self.rng.choice([" ", " ", " ", "  ", "\t"]) + text + self.line_end()

    def anchor(self, is_map):
        """An anchor sometimes, remembered for aliases when it is certain to be defined by then."""
        if not self.chance(0.06):
            return ""
        name = f"a{len(self.anchors)}"
        self.anchors.append((name, bool(is_map)))
        return f" &{name}"

    def scalar(self, continuation):
        """A scalar on one line, or on several indented by `continuation`."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.35:
            return rng.choice(PLAIN)
        if kind < 0.5:
            return rng.choice(NUMBERS)
        if kind < 0.6:
            return rng.choice(WORDS_TYPED)
        if kind < 0.66:
            return rng.choice(DATES)
        if kind < 0.7:
            return ("\n" + " " * (continuation + 1)).join(["first line", "second", "third"][:rng.choice([2, 3])])
        text = rng.choice(TEXTS)
        if rng.random() < 0.4 and all(c.isprintable() or c == "\n" for c in text):
            return "'" + self.broken(text.replace("'", "''"), continuation) + "'"
        return '"' + self.double_quoted(text, continuation) + '"'

    def broken(self, text, continuation):
        """Line breaks inside quotes: one more in the source than in the text."""
        return text.replace("\n", "\n\n" + " " * continuation)

    def double_quoted(self, text, continuation):
        out = ""
        for c in text:
            if c in '"\\':
                out += "\\" + c
            elif c == "\n":
                out += "\\n" if self.chance(0.7) else "\n\n" + " " * continuation
            elif c == " " and self.chance(0.05):
                out += "\\\n" + " " * continuation + "\\ "
            elif not c.isprintable() or self.chance(0.03):
                out += {"\t": "\\t", "\r": "\\r"}.get(c) or (f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\U{ord(c):08x}")
            else:
                out += c
        return out

    def block_scalar(self, indentation):
        rng = self.rng
        inner = self.step if self.chance(0.9) else rng.choice([1, 5])
        lines = [line for line in rng.choice(TEXTS).split("\n")]
        lines = ["".join(c if c.isprintable() else "?" for c in line) for line in lines]
        lines += [rng.choice(["more", "", "  deeper", "# no comment", "a: b", "end"]) for _ in range(rng.randrange(3))]
        header = rng.choice("||>") + rng.choice(["", "", "-", "+"])
        first = next((line for line in lines if line), "")
        if first.startswith(" ") or self.chance(0.03):
            header = header[0] + str(inner) + header[1:]
        comment = " " + rng.choice(COMMENTS) if self.chance(self.comment_rate * 0.4) else ""
        body = "".join((" " * (indentation + inner) + line if line or self.chance(0.05) else "") + "\n" for line in lines)
        return " " + header + comment + "\n" + body

    def flow(self, indentation, depth):
        return self.flow_map(indentation, depth) if self.chance(0.5) else self.flow_sequence(indentation, depth)

    def flow_gap(self, indentation):
        kind = self.rng.random()
        if kind < 0.7:
            return self.rng.choice(["", " "])
        if kind < 0.85:
            return "\n" + " " * (indentation + self.rng.choice([0, 2]))
        if kind < 0.85 + self.comment_rate * 0.2:
            return " " + self.rng.choice(COMMENTS) + "\n" + " " * (indentation + 1)
        return "  "

    def flow_scalar(self, indentation, depth):
        rng = self.rng
        self.budget -= 1
        if depth < 3 and self.budget > 0 and self.chance(0.2):
            return self.flow(indentation, depth + 1)
        if self.chance(0.05) and self.anchors:
            return f"*{rng.choice(self.anchors)[0]} "
        kind = rng.random()
        if kind < 0.4:
            return rng.choice(["a", "hello world", "x-y", "é", "1.2.3", "http://x"])
        if kind < 0.65:
            return rng.choice(NUMBERS)
        if kind < 0.75:
            return rng.choice(WORDS_TYPED[:-1] + DATES[:3])
        text = rng.choice(TEXTS)
        return '"' + self.double_quoted(text, indentation) + '"' if self.chance(0.6) else "'" + self.broken(
            "".join(c if c.isprintable() or c == "\n" else "?" for c in text).replace("'", "''"), indentation) + "'"

    def flow_sequence(self, indentation, depth=0):
        items = []
        for _ in range(self.rng.choice([0, 1, 2, 3, 5])):
            item = self.flow_scalar(indentation, depth)
            if self.chance(0.03):
                item = f"p{self.rng.randrange(9)}: {item}"
            items.append(self.flow_gap(indentation) + item + self.flow_gap(indentation))
        return "[" + ",".join(items) + ("," + self.flow_gap(indentation) if items and self.chance(0.08) else "") + "]"

    def flow_map(self, indentation, depth=0):
        entries, used = [], set()
        for _ in range(self.rng.choice([0, 1, 2, 3, 4])):
            key = self.key(used, in_flow=True)
            value = "" if self.chance(0.04) else self.rng.choice([": ", ": ", ":  "]) + self.flow_scalar(indentation, depth)
            entries.append(self.flow_gap(indentation) + key + value + self.flow_gap(indentation))
        return "{" + ",".join(entries) + ("," if entries and self.chance(0.08) else "") + self.flow_gap(indentation) + "}"


class Json:
    """Writes one object."""

    def __init__(self, rng):
        self.rng = rng
        self.budget = rng.choice([3, 10, 40])
        self.style = rng.choice(["tight", "loose", "pretty", "wild"])
        self.newline = "\r\n" if rng.random() < 0.05 else "\n"
        self.unit = rng.choice(["  ", "\t", "    ", " "])

    def text(self):
        out = self.object(0) + self.rng.choice([self.newline, self.newline, "", self.newline * 2, " "])
        return self.rng.choice(["", "", "", self.newline, " "]) + out

    def gap(self, level):
        if self.style == "tight":
            return ""
        if self.style == "loose":
            return " "
        if self.style == "pretty":
            return self.newline + self.unit * level
        return self.rng.choice(["", " ", "\t", self.newline, self.newline + self.unit * level, "   "])

    def colon(self):
        return {"tight": ":", "loose": ": ", "pretty": ": "}.get(self.style) or self.rng.choice([":", " : ", ":\t", ":\n "])

    def object(self, level):
        entries, used = [], set()
        for _ in range(self.rng.choice([0, 1, 2, 3, 5]) if level else self.rng.choice([1, 2, 4, 8])):
            key = self.rng.choice(WORDS + [w for w in TEXTS if "\u2028" != w]) + ("" if self.rng.random() < 0.6 else str(self.rng.randrange(99)))
            if key in used or key == "sops":
                continue
            used.add(key)
            entries.append(self.gap(level + 1) + self.string(key) + self.colon() + self.value(level + 1))
        return "{" + ",".join(entries) + (self.gap(level) if entries or self.rng.random() < 0.2 else "") + "}"

    def array(self, level):
        items = [self.gap(level + 1) + self.value(level + 1) for _ in range(self.rng.choice([0, 1, 2, 4]))]
        return "[" + ",".join(items) + (self.gap(level) if items else "") + "]"

    def value(self, level):
        self.budget -= 1
        kind = self.rng.random()
        if self.budget > 0 and level < 8 and kind < 0.2:
            return self.object(level)
        if self.budget > 0 and level < 8 and kind < 0.35:
            return self.array(level)
        if kind < 0.65:
            return self.string(self.rng.choice(TEXTS + PLAIN))
        if kind < 0.85:
            return self.rng.choice(["0", "-0", "1", "-1", "42", "1.0", "1.10", "1e2", "1E+2", "1e-7", "0.1", "-0.0", "9007199254740993",
                                    "9223372036854775807", "123456789012345678901234567890", "3.141592653589793238", "1e300"])
        return self.rng.choice(["true", "false", "null"])

    def string(self, text):
        out = ""
        for c in text:
            kind = self.rng.random()
            if c in '"\\':
                out += "\\" + c
            elif ord(c) < 0x20:
                out += {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(c) or f"\\u{ord(c):04x}"
            elif c == "/" and kind < 0.3:
                out += "\\/"
            elif kind < 0.04 and ord(c) < 0x10000:
                out += f"\\u{ord(c):04{self.rng.choice('xX')}}"
            else:
                out += c
        return '"' + out + '"'
