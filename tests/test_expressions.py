"""Salvo conditions as text: what is written is read with the same meaning, and what cannot be read says where."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrun import DslError, ExpressionError, PortState, SalvoConditionTerm
from netrun.expressions import format_salvo_condition, parse_salvo_condition
from netrun.routing import compile_text, term_text

PORTS = ["in", "order", "count", "and", 'a.b "c" \\']
CAPACITIES = [None, 2, 3, 1, None]

states = st.sampled_from([PortState.empty(), PortState.non_empty(), PortState.full(), PortState.non_full()])
numeric = st.builds(
    lambda make, n: make(n),
    st.sampled_from(
        [
            PortState.equals,
            PortState.less_than,
            PortState.greater_than,
            PortState.equals_or_less_than,
            PortState.equals_or_greater_than,
        ]
    ),
    st.integers(0, 4),
)
leaves = st.one_of(
    st.builds(SalvoConditionTerm.port, st.sampled_from(PORTS), st.one_of(states, numeric)),
    st.sampled_from([SalvoConditionTerm.true_(), SalvoConditionTerm.false_()]),
)
terms = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(SalvoConditionTerm.and_, st.lists(inner, max_size=3)),
        st.builds(SalvoConditionTerm.or_, st.lists(inner, max_size=3)),
        st.builds(SalvoConditionTerm.not_, inner),
    ),
    max_leaves=8,
)


def named(term):
    """The ports that a term names."""
    if term.kind == "Port":
        return {term.get_port_name()}
    inner = [term.get_inner()] if term.kind == "Not" else term.get_terms() or []
    return set().union(*map(named, inner))


def truths(term, ports):
    """The truth of a term for all small counts at these ports."""
    capacities = [CAPACITIES[PORTS.index(port)] for port in ports]
    met = compile_text(term_text(term, {port: rank for rank, port in enumerate(ports)}, capacities))
    ranges = [range(5) if capacity is None else range(capacity + 1) for capacity in capacities]
    return [bool(met(counts)) for counts in product(*ranges)]


@given(terms)
def test_a_term_keeps_its_meaning(term):
    """Truth tables over small counts, and the second text is the first."""
    text = format_salvo_condition(term)
    again = parse_salvo_condition(text)
    ports = sorted(named(term))
    assert truths(again, ports) == truths(term, ports)
    assert format_salvo_condition(again) == text


@given(terms)
def test_no_parentheses_are_needless(term):
    """Without any one pair of them the text is no expression, or has another meaning."""
    text = format_salvo_condition(term)
    ports = sorted(named(term))
    masked = re.sub(r"\\.", "__", text)  # no quotes within quotes; lengths stay
    opened, in_quotes = [], False
    for at, sign in enumerate(masked):
        if sign == '"':
            in_quotes = not in_quotes
        elif not in_quotes and sign == "(":
            opened.append(at)
        elif not in_quotes and sign == ")":
            start = opened.pop()
            if start and (masked[start - 1].isalnum()):
                continue  # of a function
            shorter = text[:start] + text[start + 1 : at] + text[at + 1 :]
            if masked[:start].endswith("not "):
                continue  # a `not` without them binds closer
            assert structure(parse_salvo_condition(shorter)) != structure(parse_salvo_condition(text))
    assert truths(parse_salvo_condition(text), ports) == truths(term, ports)


def structure(term):
    """A term as nested tuples, chains of the same kind joined."""
    if term.kind in ("And", "Or"):
        parts = []
        for part in map(structure, term.get_terms()):
            parts += part[1:] if part[0] == term.kind else [part]
        return (term.kind, *parts)
    if term.kind == "Not":
        return ("Not", structure(term.get_inner()))
    return (term.kind, term.get_port_name(), repr(term.get_port_state()))


def refusal(text):
    """Why a text is refused."""
    try:
        parse_salvo_condition(text)
    except ExpressionError as error:
        return error
    return None


@given(
    st.one_of(
        st.text(),
        st.lists(
            st.sampled_from(
                ["nonempty", "count", "(", ")", "a", '"', "\\", "and", "or", "not", ">=", "!=", "2", "-", " "]
            )
        ).map("".join),
    )
)
def test_random_text_is_read_or_refused(text):
    """Nothing but `ExpressionError`, whose place is in the text."""
    if (error := refusal(text)) is not None:
        assert isinstance(error, DslError)
        assert isinstance(error, ValueError)
        lines = text.split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        assert "^" in error.snippet


@pytest.mark.parametrize("name", ["in", "order", "notes", "count", "nonempty", "a-b", "1", "größe", "and", "true", "",
                                  " ", "a.b", 'say "x"', "back\\slash", "two\nlines", "tab\t", "(", "é"])  # fmt: skip
def test_any_name_of_a_port(name):
    """Each is read back."""
    term = SalvoConditionTerm.port(name, PortState.equals_or_greater_than(2))
    assert parse_salvo_condition(format_salvo_condition(term)).get_port_name() == name


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("nonemty(a)", "there is no condition `nonemty`, did you mean `nonempty`?", 1),
        ("nonempty(a) && full(b)", "`&` means nothing here, did you mean `and`?", 13),
        ("!empty(a)", "`!` means nothing here, did you mean `not`?", 1),
        ("count(a) = 2", "`=` means nothing here, did you mean `==`?", 10),
        ("count(a)", "expected one of == != < <= > >= after count(...), found the end", 9),
        ("count(a) >= -1", "expected a whole number from 0 on, found `-1`", 13),
        ("count(a) >= 2.5", "`.` means nothing here", 14),
        ("count(a) > 99999999999999999999", "no port holds more than 9223372036854775807 packets", 12),
        ("(full(a) or empty(b)", "expected `)`, found the end", 21),
        ("full(a) OR empty(b)", "expected `and`, `or` or the end, found `OR`, did you mean `or`?", 9),
        ("full(a) empty(b)", "expected `and`, `or` or the end, found `empty`", 9),
        ("full(not)", "expected the name of a port, in double quotes if it is not a word or one of and or not true "
         "false, found `not`", 6),
        ('full("a)', 'a name in quotes that does not end, or holds a \\ before something else than \\ and "', 6),
        ("", "expected a condition such as `nonempty(port)` or `count(port) >= 2`, found the end", 1),
        ("full(a) and", "expected a condition such as `nonempty(port)` or `count(port) >= 2`, found the end", 12),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text, message, column):
    """In full, with the place."""
    with pytest.raises(ExpressionError) as caught:
        parse_salvo_condition(text)
    assert (caught.value.message, caught.value.line, caught.value.column) == (message, 1, column)


@pytest.mark.parametrize("text", ["(" * 10_000, "not " * 10_000 + "true", "(" * 60 + "true" + ")" * 60,
                                  "a" * 200_000, '"' * 99_999, "full(a) and " * 9_000])  # fmt: skip
def test_what_is_too_much_is_refused(text):
    """In bounded time, by the same error."""
    with pytest.raises(ExpressionError):
        parse_salvo_condition(text)


def test_terms_that_are_too_deep_are_refused():
    """They could not be read again. A long chain is no deep one."""
    deep = SalvoConditionTerm.true_()
    for _ in range(60):
        deep = SalvoConditionTerm.not_(SalvoConditionTerm.or_([deep, SalvoConditionTerm.false_()]))
    with pytest.raises(ExpressionError, match="more than 50 deep"):
        format_salvo_condition(deep)
    chain = SalvoConditionTerm.true_()
    for _ in range(200):
        chain = SalvoConditionTerm.and_([chain, SalvoConditionTerm.true_()])
    assert format_salvo_condition(chain) == " and ".join(["true"] * 201)


def test_only_text_is_read():
    """Another type is a mistake of the program, not of the text."""
    with pytest.raises(TypeError, match="not 3"):
        parse_salvo_condition(3)
