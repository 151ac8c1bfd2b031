# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Places: where in a TOML text something stands
#
# `tomllib` reads a text into dicts and forgets where things stood. When something is wrong with `nodes.A.options.retrys`,
# a person wants the line. So when there is something to say, and only then, the text is gone through once more, and each
# key and value gets its place. Comments are collected on the way, for `netrun fmt`.

# %%
#|default_exp places

# %%
#|export
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

# %% [markdown]
# ## The words of TOML
#
# Enough of TOML's grammar to find one's way in a text that `tomllib` has accepted; on any other it does not stumble
# either, and takes no longer.


# %%
#|exporti
Path = tuple[str | int, ...]  # ("nodes", "A", "in_ports", 0)
Span = tuple[int, int]  # from where to where in the text


class Word(NamedTuple):
    """A word of a TOML text: its kind, the text, where it begins and ends."""

    kind: str
    text: str
    start: int
    end: int


_WORD = re.compile(
    r"""(?P<space>[ \t\r]+)
    |(?P<newline>\n(?:[ \t\r]*+\n)*+)
    |(?P<comment>\#[^\n]*)
    |(?P<string>"{3}(?:[^\\]|\\.)*?"{3}"{0,2}|'{3}.*?'{3}'{0,2}|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')
    |(?P<sign>[\[\]{}=,.])
    |(?P<bare>[^\s\[\]{}=,.\#"']+|["'\s])""",
    re.VERBOSE | re.DOTALL,
)


def words(text: str) -> Iterator[Word]:
    """The words of a text, one after another."""
    for match in _WORD.finditer(text):
        yield Word(match.lastgroup or "", match[0], match.start(), match.end())


def longest_key(text: str, most: int) -> Span | None:
    """Where a key of more than `most` names stands, if there is one. A number with a dot is no key."""
    names, start, joined = 0, 0, False
    for word in words(text):
        if word.kind in ("bare", "string"):
            names, start = (names + 1, start) if joined and names else (1, word.start)
            joined = False
            if names > most:
                return start, word.end
        elif word.text == "." and word.kind == "sign":
            joined = True
        elif word.kind != "space":
            names, joined = 0, False
    return None


# %% [markdown]
# A string is decoded with the place of each of its characters, so that a place within an expression is one in the file.

# %%
#|exporti
_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[ \t]*\r?\n\s*|.)|\r\n|.", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def decoded(text: str) -> tuple[str, list[int]]:
    """What a TOML string says, and where in its text each character stands, and the end."""
    quotes = 3 if text[:3] in ('"""', "'''") else 1
    start, end = quotes, max(quotes, len(text) - quotes)
    if quotes == 3:
        start += len(re.match(r"\r?\n|", text[3:])[0])  # type: ignore[index]
    characters, places = [], []
    for match in (
        _ESCAPE.finditer(text, start, end) if text[0] == '"' else re.finditer(r"\r\n|.", text[start:end], re.S)
    ):
        at = match.start() if text[0] == '"' else match.start() + start
        character = _unescaped(match[0]) if text[0] == '"' else match[0]
        if character:
            characters.append("\n" if character == "\r\n" else character)
            places.append(at)
    return "".join(characters), [*places, end]


def _unescaped(text: str) -> str:
    if text[0] != "\\":
        return text
    if text[1] in "uU":
        return chr(int(text[2:], 16))
    return "" if text[1].isspace() else _ESCAPED.get(text[1], text[1])


# %%
from netrun.places import decoded

assert decoded('"a\\u00e9\\nb"') == ("aé\nb", [1, 2, 8, 10, 11])
assert decoded("'''\na'b'''") == ("a'b", [4, 5, 6, 7])
assert decoded('"""a\\\n   b"""')[0] == "ab"


# %% [markdown]
# ## A walk
#
# From word to word. Comments on the way are kept: those on lines of their own for what comes next, the others for what
# came last.


# %%
#|exporti
_MOST = 1_500_000  # words that are looked at, some 300 MB of them; what comes after has no place


class Walk:
    """Goes through the words of a text, and keeps its comments."""

    def __init__(self, text: str) -> None:
        self.before: dict[Path, list[str]] = {}  # comments on lines of their own, by what comes next; () is the end
        self.after: dict[Path, list[str]] = {}  # comments at the end of a line
        self._pending: list[str] = []
        self._words = list(islice((word for word in words(text) if word.kind != "space"), _MOST))
        self._at, self._last = 0, Path()

    def _next(self) -> Word | None:
        """The next word that says something. Comments on the way are kept."""
        while self._at < len(self._words):
            word = self._words[self._at]
            if word.kind == "comment":
                begins = self._at == 0 or self._words[self._at - 1].kind == "newline"
                (self._pending if begins else self.after.setdefault(self._last, [])).append(word.text.rstrip())
            elif word.kind != "newline":
                return word
            self._at += 1
        return None

    def _name(self, path: Path) -> None:
        """What comes next is this: comments before it are its."""
        self._last = path
        if self._pending:
            self.before.setdefault(path, []).extend(self._pending)
            self._pending = []


# %% [markdown]
# ## The places
#
# A path is the keys that lead to something, with numbers in lists: `("nodes", "A", "in_ports", 0)`. A table's key is the
# last name in its header.


# %%
#|exporti
class Places(Walk):
    """Where each key and value of a TOML text stands, and its comments."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.keys: dict[Path, Span] = {}
        self.values: dict[Path, Span] = {}
        self._tables: dict[Path, int] = {}  # arrays of tables, and how many there are so far
        self._read()

    def key(self, path: Path) -> Span | None:
        """Where a key stands, or what is nearest around it."""
        return self._nearest(path, self.keys, self.values)

    def value(self, path: Path) -> Span | None:
        """Where a value stands, or its key."""
        return self._nearest(path, self.values, self.keys)

    def inside(self, path: Path, start: int, end: int) -> Span | None:
        """Where a part of a string stands."""
        span = self.values.get(path)
        if span is None or self.text[span[0]] not in "\"'":
            return self.value(path)
        places = decoded(self.text[span[0] : span[1]])[1]
        first = span[0] + places[min(start, len(places) - 1)]
        return first, max(first + 1, span[0] + places[min(end, len(places) - 1)])

    def _nearest(self, path: Path, *tables: dict[Path, Span]) -> Span | None:
        while path:
            for spans in tables:
                if path in spans:
                    return spans[path]
            path = path[:-1]
        return None

    def _read(self) -> None:
        prefix: Path = ()
        while (word := self._next()) is not None:
            if word.text == "[" and word.kind == "sign":
                prefix = self._header()
            else:
                path = self._key(prefix, "=")
                self._value(path)
        if self._pending:
            self.before[()] = self._pending

    def _header(self) -> Path:
        """A table's name in brackets, and the path of the table."""
        is_array = self._words[self._at : self._at + 2][-1].text == "["
        self._at += 1 + is_array
        path = self._key((), "]", is_array)
        self._at += is_array
        return path

    def _key(self, prefix: Path, ends: str, is_array: bool = False) -> Path:
        """Names joined by dots, up to a sign, and their path."""
        path, spans = prefix, []
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            if word.kind == "newline" or (word.text == ends and word.kind == "sign"):
                break
            if word.kind in ("bare", "string"):
                if path in self._tables:  # the last one of an array of tables
                    path += (self._tables[path] - 1,)
                path += (decoded(word.text)[0] if word.kind == "string" else word.text,)
                spans.append((path, (word.start, word.end)))
        if is_array:
            self._tables[path] = self._tables.get(path, 0) + 1
        if path in self._tables:
            path += (self._tables[path] - 1,)
            spans.append((path, spans[-1][1] if spans else (0, 1)))
        for part, span in spans:
            self.keys.setdefault(part, span)
        self._name(path)
        return path

    def _value(self, path: Path) -> None:
        """A value, and everything in it. `open` are the lists and tables that are open, each with the count of its
        values, or None for a table."""
        open_: list[tuple[Path, int, int | None]] = []
        while (word := self._next()) is not None:
            if word.kind == "sign" and word.text in "[{":
                self._at += 1
                open_.append((path, word.start, 0 if word.text == "[" else None))
                path = self._first(open_)
                continue
            if word.kind == "sign" and word.text in "]}":
                pass  # an empty list or table, or one that ends with a comma
            else:
                self._scalar(path)
            path = self._close(open_)
            if not open_:
                return

    def _first(self, open_: list[tuple[Path, int, int | None]]) -> Path:
        """The path of the next value in what is open."""
        path, start, count = open_[-1]
        word = self._next()
        if word is not None and word.kind == "sign" and word.text in "]}":
            return path
        if count is None:
            return self._key(path, "=")
        open_[-1] = path, start, count + 1
        self._name((*path, count))
        return (*path, count)

    def _close(self, open_: list[tuple[Path, int, int | None]]) -> Path:
        """After a value: the path of the next one, having closed what ends here."""
        while open_ and (word := self._next()) is not None:
            self._at += 1
            if word.text in "]}" and word.kind == "sign":
                path, start, _ = open_.pop()
                self.values[path] = start, word.end
                self._last = path
            elif word.text == ",":
                return self._first(open_)
        open_.clear()
        return ()

    def _scalar(self, path: Path) -> None:
        first = self._words[self._at]
        while self._at < len(self._words):
            word = self._words[self._at]
            if word.kind in ("newline", "comment") or (word.kind == "sign" and word.text in ",]}"):
                break
            self._at += 1
        if self._words[self._at - 1].start >= first.start:
            self.values[path] = first.start, self._words[self._at - 1].end


# %%
from netrun.places import Places

text = """\
# about a
a = 1  # one
[nodes."b c"]
list = ["x", { y = 2.5 }]
[[edges]]
from = "p"
[[edges]]
from = "q"
"""
places = Places(text)
at = lambda span: text[slice(*span)]
assert at(places.key(("nodes", "b c"))) == '"b c"'
assert at(places.value(("nodes", "b c", "list", 1, "y"))) == "2.5"
assert at(places.value(("edges", 1, "from"))) == '"q"' and text.count("\n", 0, places.value(("edges", 1))[0]) == 6
assert at(places.inside(("nodes", "b c", "list", 0), 0, 1)) == "x"
assert at(places.value(("nodes", "b c", "nothing"))) == '"b c"'
assert places.before[("a",)] == ["# about a"] and places.after[("a",)] == ["# one"]
