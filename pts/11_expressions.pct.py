# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Expressions: salvo conditions as text
#
# A salvo condition says when: "a packet at `a`, and at least two at `b`". As text that is
#
# ```
# nonempty(a) and count(b) >= 2
# ```
#
# and this chapter turns such text into a `SalvoConditionTerm` and back. The grammar is small:
#
# ```
# or      and ("or" and)*
# and     not ("and" not)*
# not     "not" not | atom
# atom    "true" | "false" | "(" or ")" | STATE "(" port ")" | "count" "(" port ")" OP number
# STATE   "empty" | "nonempty" | "full" | "nonfull"
# OP      "==" | "!=" | "<" | "<=" | ">" | ">="
# port    a word | "text in quotes"
# ```
#
# So `not` binds closest, then `and`, then `or`. A port's name may be any word of letters, digits, `_` and `-` but
# `and or not true false`; any other name goes in double quotes, in which `\"` and `\\` stand for `"` and `\`.

# %%
#|default_exp expressions

# %%
#|export
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from netrun_sim import PortState, SalvoConditionTerm

from netrun.core import DslFinding, ExpressionError

# %% [markdown]
# ## A place in a text
#
# Whatever cannot be read is shown with its line and a caret. A long line is cut to what is around the place.


# %%
#|exporti
class Misread(Exception):
    """Something that cannot be read: what, and where in the text it begins and ends."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message, self.start, self.end = message, start, end


_WIDTH = 100  # characters of a line that are shown


def finding_at(text: str, message: str, start: int, end: int) -> DslFinding:
    """A finding with the place of `text[start:end]`."""
    line = text.count("\n", 0, start) + 1
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", start)
    whole = text[begin : len(text) if stop < 0 else stop].rstrip("\r")
    column = start - begin
    first = max(0, column - _WIDTH // 2) if len(whole) > _WIDTH else 0
    shown = whole[first : first + _WIDTH]
    indent = re.sub(r"[^\t]", " ", shown[: column - first])
    carets = "^" * max(1, min(end - start, len(shown) - (column - first)))
    return DslFinding(message, line, column + 1, f"{shown}\n{indent}{carets}")


# %%
from netrun.expressions import finding_at

print(finding_at("one\ntwo three\n", "no number", 8, 13).told())
assert finding_at("one\ntwo three\n", "", 8, 13) == ("", 2, 5, "two three\n    ^^^^^")


# %% [markdown]
# ## Names
#
# A wrong word is answered with the nearest right one.


# %%
#|exporti
def did_you_mean(name: str, known: Any) -> str:
    """`, did you mean ...?` where one of the known names is near, else the known names if they are few."""
    from difflib import get_close_matches

    names = sorted(map(str, known))
    alike = [each for each in names if abs(len(each) - len(name)) < 8 and len(each) < 100][:2000]
    near = get_close_matches(name[:100], alike, n=1) or get_close_matches(name[:100].lower(), alike, n=1)
    if near:
        return f", did you mean `{near[0]}`?"
    shown = ", ".join(f"`{each[:100]}`" for each in names[:20])
    return f"; there is {shown}{', ...' if len(names) > 20 else ''}" if names else ""


_WORD = re.compile(r"[\w-]+")
_RESERVED = {"and", "or", "not", "true", "false"}


def quoted_if_needed(name: str) -> str:
    """A port's name as it stands in an expression."""
    if _WORD.fullmatch(name) and name not in _RESERVED:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquoted(text: str) -> str:
    """What a quoted name says."""
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


# %%
from netrun.expressions import quoted_if_needed, unquoted

assert quoted_if_needed("order") == "order" and quoted_if_needed("or") == '"or"'
assert unquoted(quoted_if_needed('a "b" \\ c')) == 'a "b" \\ c'


# %% [markdown]
# ## Words and signs


# %%
#|exporti
class Token(NamedTuple):
    """A word, a name in quotes, or a sign; and where it stands."""

    kind: str  # "word", "quoted", "sign" or "end"
    text: str
    start: int
    end: int


_TOKEN = re.compile(
    r"\s+|(?P<word>[\w-]+)|(?P<quoted>\"(?:[^\"\\]|\\[\"\\])*+\")|(?P<sign>==|!=|<=|>=|<|>|\(|\))", re.DOTALL
)
_OTHERWISE = {"=": "==", "&": "and", "|": "or", "!": "not"}


def _tokens(text: str) -> list[Token]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _bad_sign(text, at)
        if match.lastgroup:
            found.append(Token(match.lastgroup, match[0], at, match.end()))
        at = match.end()
    return [*found, Token("end", "the end", at, at)]


def _bad_sign(text: str, at: int) -> Misread:
    sign = text[at]
    if sign == '"':
        return Misread(
            'a name in quotes that does not end, or holds a \\ before something else than \\ and "', at, at + 1
        )
    hint = f", did you mean `{_OTHERWISE[sign]}`?" if sign in _OTHERWISE else ""
    return Misread(f"`{sign}` means nothing here{hint}", at, at + 1)


# %% [markdown]
# ## Reading
#
# A method for each line of the grammar. Length and nesting are bounded, so that no text can take much time or stack.

# %%
#|exporti
_LONGEST, _DEEPEST, _MOST = 100_000, 50, 2**63 - 1

_STATES: dict[str, Callable[[], Any]] = {
    "empty": PortState.empty,
    "nonempty": PortState.non_empty,
    "full": PortState.full,
    "nonfull": PortState.non_full,
}
_COMPARED: dict[str, Callable[[int], Any]] = {
    "==": PortState.equals,
    "<": PortState.less_than,
    "<=": PortState.equals_or_less_than,
    ">": PortState.greater_than,
    ">=": PortState.equals_or_greater_than,
}


class _Reader:
    """Reads one expression."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self.ports: list[tuple[str, int, int]] = []  # each port that is named, and where

    def whole(self) -> SalvoConditionTerm:
        term = self._joined(0)
        if self._next.kind != "end":
            raise self._expected("`and`, `or` or the end")
        return term

    def _joined(self, depth: int, word: str = "or") -> SalvoConditionTerm:
        """A chain of `or`, or within it one of `and`."""
        parts = [self._part(depth, word)]
        while self._take("word", word):
            parts.append(self._part(depth, word))
        return parts[0] if len(parts) == 1 else (_or if word == "or" else _and)(parts)

    def _part(self, depth: int, word: str) -> SalvoConditionTerm:
        return self._joined(depth, "and") if word == "or" else self._negated(depth)

    def _negated(self, depth: int) -> SalvoConditionTerm:
        if depth > _DEEPEST:
            raise Misread(f"nested more than {_DEEPEST} deep", self._next.start, self._next.end)
        return SalvoConditionTerm.not_(self._negated(depth + 1)) if self._take("word", "not") else self._atom(depth)

    def _atom(self, depth: int) -> SalvoConditionTerm:
        if self._take("sign", "("):
            term = self._joined(depth + 1)
            self._need(")")
            return term
        token = self._next
        if self._take("word", "true"):
            return SalvoConditionTerm.true_()
        if self._take("word", "false"):
            return SalvoConditionTerm.false_()
        if token.kind != "word" or token.text in _RESERVED:
            raise self._expected("a condition such as `nonempty(port)` or `count(port) >= 2`")
        return self._of_port(token)

    def _of_port(self, function: Token) -> SalvoConditionTerm:
        if function.text != "count" and function.text not in _STATES:
            hint = did_you_mean(function.text, [*_STATES, "count", *_RESERVED])
            raise Misread(f"there is no condition `{function.text[:100]}`{hint}", function.start, function.end)
        self._at += 1
        self._need("(")
        port = self._port()
        self._need(")")
        if function.text != "count":
            return SalvoConditionTerm.port(port, _STATES[function.text]())
        return self._counted(port)

    def _port(self) -> str:
        token = self._next
        if token.kind not in ("word", "quoted") or token.text in _RESERVED:
            raise self._expected(
                "the name of a port, in double quotes if it is not a word or one of and or not true false"
            )
        self._at += 1
        name = unquoted(token.text) if token.kind == "quoted" else token.text
        self.ports.append((name, token.start, token.end))
        return name

    def _counted(self, port: str) -> SalvoConditionTerm:
        sign = self._next.text
        if self._next.kind != "sign" or sign in "()":
            raise self._expected("one of == != < <= > >= after count(...)")
        self._at += 1
        number = self._number()
        if sign == "!=":
            return SalvoConditionTerm.not_(SalvoConditionTerm.port(port, PortState.equals(number)))
        return SalvoConditionTerm.port(port, _COMPARED[sign](number))

    def _number(self) -> int:
        token = self._next
        if not (token.kind == "word" and re.fullmatch("[0-9]+", token.text)):
            raise self._expected("a whole number from 0 on")
        if len(token.text) > 19 or int(token.text) > _MOST:
            raise Misread(f"no port holds more than {_MOST} packets", token.start, token.end)
        self._at += 1
        return int(token.text)

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self, kind: str, text: str) -> bool:
        """Go past a token, if it is this one."""
        taken = self._next[:2] == (kind, text)
        self._at += taken
        return taken

    def _need(self, sign: str) -> None:
        if not self._take("sign", sign):
            raise self._expected(f"`{sign}`")

    def _expected(self, what: str) -> Misread:
        token = self._next
        found = token.text if token.kind == "end" else f"`{token.text[:100]}`"
        hint = did_you_mean(token.text, ["and", "or"]) if token.kind == "word" and what.startswith("`and`") else ""
        return Misread(f"expected {what}, found {found}{hint if 'mean' in hint else ''}", token.start, token.end)


_and, _or = SalvoConditionTerm.and_, SalvoConditionTerm.or_


# %%
#|exporti
Read = tuple[SalvoConditionTerm, list[tuple[str, int, int]]]


@lru_cache(maxsize=4096)
def read_condition(text: str) -> Read:
    """The term that a text says, and the ports that it names with their places. Raises `Misread`."""
    if len(text) > _LONGEST:
        raise Misread(f"longer than {_LONGEST:,} characters", 0, 1)
    reader = _Reader(text)
    return reader.whole(), reader.ports


# %%
#|export
def parse_salvo_condition(text: str) -> SalvoConditionTerm:
    """The term that an expression such as `nonempty(a) and count(b) >= 2` says. Raises `ExpressionError`, which shows
    the place; `TypeError` for what is no text."""
    if not isinstance(text, str):
        raise TypeError(f"a salvo condition is a text such as 'nonempty(in)', not {text!r}")
    try:
        return read_condition(text)[0]
    except Misread as wrong:
        raise ExpressionError([finding_at(text, wrong.message, wrong.start, wrong.end)]) from None


# %%
term = parse_salvo_condition("nonempty(a) and count(b) >= 2")
assert term.kind == "And" and [part.get_port_name() for part in term.get_terms()] == ["a", "b"]
assert parse_salvo_condition('full("my port") or not true').kind == "Or"

# %% [markdown]
# What cannot be read is shown where it is.

# %%
for wrong in [
    "nonemty(a)",
    "nonempty(a) && empty(b)",
    "count(a)",
    "count(a) >= -1",
    "(nonempty(a) or empty(b)",
    "nonempty(and)",
    "nonempty(a) nonempty(b)",
    "",
]:
    try:
        parse_salvo_condition(wrong)
    except ExpressionError as error:
        print(error, end="\n\n")
    else:
        raise AssertionError(wrong)

# %% [markdown]
# ## Writing
#
# `format_salvo_condition` writes a term with no needless parentheses. What it writes is read as a term of the same
# meaning, and written the same way again: `and` within `and` is one chain, an `and` of nothing is `true`.

# %%
#|exporti
_LEVELS = {"Or": 1, "And": 2, "Not": 3}
_NAMED = {repr(make()): name for name, make in _STATES.items()}
_SIGNS: dict[str, str] = {make(0).kind: sign for sign, make in _COMPARED.items()}


def _plain(term: SalvoConditionTerm) -> SalvoConditionTerm:
    """A term, or what is in it where it is a chain of one."""
    while term.kind in ("And", "Or") and len(parts := term.get_terms() or []) == 1:
        term = parts[0]
    return term


def _parts(term: SalvoConditionTerm) -> list[SalvoConditionTerm]:
    """What a chain joins, chains of the same kind within it included."""
    found, waiting = [], [term]
    while waiting:
        part = _plain(waiting.pop())
        if part.kind == term.kind:
            waiting += reversed(part.get_terms() or ())
        else:
            found.append(part)
    return found


def _written(term: SalvoConditionTerm, depth: int) -> tuple[str, int]:
    """A term as text, and how closely it binds."""
    term = _plain(term)
    if depth > _DEEPEST:
        raise ExpressionError(
            [DslFinding(f"a term that is nested more than {_DEEPEST} deep cannot be written as text")]
        )
    if term.kind in ("True", "False"):
        return term.kind.lower(), 4
    if term.kind == "Port":
        return _written_port(term, "=="), 4
    if term.kind == "Not":
        return _written_not(term, depth)
    parts = _parts(term)
    if len(parts) < 2:  # chains of nothing in chains of nothing
        return _written(parts[0], depth) if parts else ("true" if term.kind == "And" else "false", 4)
    level = _LEVELS[term.kind]
    return f" {term.kind.lower()} ".join(_within(part, level, depth) for part in parts), level


def _within(part: SalvoConditionTerm, level: int, depth: int) -> str:
    part = _plain(part)
    text, binds = _written(part, depth + (_LEVELS.get(part.kind, 4) < level))
    return f"({text})" if binds < level else text


def _written_not(term: SalvoConditionTerm, depth: int) -> tuple[str, int]:
    inner = term.get_inner()
    assert inner is not None
    inner = _plain(inner)
    if inner.kind == "Port" and getattr(inner.get_port_state(), "kind", "") == "equals":
        return _written_port(inner, "!="), 4
    return f"not {_within(inner, 3, depth + 1)}", 3


def _written_port(term: SalvoConditionTerm, equals: str) -> str:
    state: Any = term.get_port_state()
    port = quoted_if_needed(term.get_port_name() or "")
    if not hasattr(state, "value"):
        return f"{_NAMED[repr(state)]}({port})"
    sign = _SIGNS[state.kind]
    return f"count({port}) {equals if sign == '==' else sign} {state.value}"


# %%
#|export
def format_salvo_condition(term: SalvoConditionTerm) -> str:
    """A term as text that `parse_salvo_condition` reads as the same condition. Raises `ExpressionError` for one that is
    nested too deeply or is too long."""
    text = _written(term, 0)[0]
    if len(text) > _LONGEST:
        raise ExpressionError([DslFinding(f"a term of more than {_LONGEST:,} characters cannot be written as text")])
    return text


@lru_cache(maxsize=4096)
def normal_form(text: str) -> str:
    """An expression as `format_salvo_condition` writes it. Raises `Misread`."""
    return format_salvo_condition(read_condition(text)[0])


# %%
for text in [
    "nonempty(a)",
    "(nonempty(a) or nonempty(b)) and full(c)",
    "nonempty(a) or nonempty(b) and full(c)",
    "not (empty(a) and nonfull(b))",
    "not not true",
    "count(in) != 3 and count(order) <= 2",
    'empty("and") or full("a.b \\"c\\"")',
]:
    assert format_salvo_condition(parse_salvo_condition(text)) == text
assert format_salvo_condition(parse_salvo_condition("((empty(a))and(empty(b) and empty(c)))")) == (
    "empty(a) and empty(b) and empty(c)"
)
assert format_salvo_condition(SalvoConditionTerm.and_([])) == "true"
