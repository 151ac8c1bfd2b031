"""The corpus: nets as text, right ones and wrong ones with all that is said of them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netrun import DslError, FactoryError, Net, NetDefinition
from netrun.description import NET_OPTIONS, NODE_OPTIONS
from netrun.making import FUNCTIONS
from netrun.reading import NODE_KEYS, data_of
from netrun.writing import data_of as plain
from netrun.writing import formatted, lines_of, text_of

HERE = Path(__file__).parent / "corpus"
VALID = sorted(HERE.glob("valid/*.toml"))
INVALID = sorted(HERE.glob("invalid/*.toml"))

each_valid = pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)


def text_in(file: Path) -> str:
    """What is in a file, its line ends too."""
    return file.read_bytes().decode()


def test_there_are_enough():
    """At least sixty, and every wrong one has its message."""
    assert len(VALID) + len(INVALID) >= 60
    assert {file.with_suffix(".txt") for file in INVALID} == set(HERE.glob("invalid/*.txt"))


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.stem)
def test_a_wrong_text_is_refused_with_all_that_is_wrong(file):
    """The message in full is beside it. tomllib's words differ between versions of Python in none of these."""
    with pytest.raises(DslError) as caught:
        NetDefinition.from_toml(text_in(file))
    assert f"{caught.value}\n" == file.with_suffix(".txt").read_text(encoding="utf-8")


@each_valid
def test_a_text_is_kept_where_nothing_changed(file):
    """By the definition, and by the net that is built from it."""
    text = text_in(file)
    assert NetDefinition.from_toml(text).to_toml() == text


@each_valid
def test_a_new_text_says_the_same(file):
    """Written anew, in normal form, it is read as an equal definition, in the same order; and written so again."""
    definition = NetDefinition.from_toml(text_in(file))
    new = text_of(definition)
    again = NetDefinition.from_toml(new)
    assert again == definition
    assert lines_of(plain(again)) == lines_of(plain(definition))
    assert text_of(again) == new


@each_valid
def test_a_formatted_text_keeps_its_comments(file):
    """All of them, each once; and what it says. Formatting twice is formatting once."""
    text = text_in(file)
    definition = NetDefinition.from_toml(text)
    new = formatted(definition, text)
    again = NetDefinition.from_toml(new)
    assert again == definition
    assert formatted(again, new) == new
    assert sorted(comments(new)) == sorted(comments(text))


def comments(text: str) -> list[str]:
    """Its comments; no text of the corpus holds a # elsewhere."""
    return [comment.rstrip() for comment in re.findall(r"#.*", text)]


@pytest.mark.filterwarnings("ignore::netrun.GraphWarning")  # some texts have ports that nothing is sent from
@each_valid
def test_it_builds(file, tmp_path, monkeypatch):
    """With functions; and the net says the same text."""
    monkeypatch.chdir(tmp_path)
    text = text_in(file)
    net = Net.from_toml(text)
    assert net.to_toml() == text
    definition = NetDefinition.from_toml(text)
    assert set(net.graph.nodes()) == set(definition.nodes)
    assert len(net.graph.edges()) == len(definition.edges)


@pytest.mark.filterwarnings("ignore::netrun.GraphWarning")  # some texts have ports that nothing is sent from
@each_valid
def test_it_builds_without_functions(file, tmp_path, monkeypatch):
    """And still says the same text: what was not resolved is not lost."""
    monkeypatch.chdir(tmp_path)
    text = text_in(file)
    if "from_function" in text:  # whose ports are those of the function
        with pytest.raises(FactoryError, match=r"node 'Add'.*resolve=False|node 'Add': a node is made of a function"):
            Net.from_toml(text, resolve=False)
        return
    net = Net.from_toml(text, resolve=False)
    assert net.to_toml() == text
    assert all(task.exec_node_func is None for task in net._tasks.values())


def keys(data: Any) -> Iterator[str]:
    """Every key in there."""
    if isinstance(data, dict):
        yield from data
    for inner in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from keys(inner)


def test_every_key_appears():
    """Those of the net, of nodes, ports, conditions, options and edges."""
    there = {key for file in VALID for key in keys(data_of(text_in(file)))}
    wanted = {
        *NET_OPTIONS,
        *NODE_OPTIONS,
        *NODE_KEYS,
        *FUNCTIONS,
        "meta",
        "edges",
        "from",
        "to",
        "slots",
        "when",
        "ports",
    }
    assert (wanted | {"max_salvos", "size", "start_method"}) - {"executor_pools", "checkpoint_key"} <= there
