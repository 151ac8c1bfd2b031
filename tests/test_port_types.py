"""Port types: what a spec takes, where it is checked, and what is told of a value that does not fit."""

import asyncio
import collections.abc
import decimal
import enum
import numbers
import pickle
import typing
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple, Optional, Protocol, TypedDict, Union, runtime_checkable

import pytest

from netrun import (
    ConfigError,
    GraphError,
    InputPortNotFoundError,
    Net,
    NodeExecutionFailed,
    NodeNotFoundError,
    OutputPortNotFoundError,
    PacketTypeMismatch,
)
from netrun.port_types import can_meet, port_type
from tests.nets import chain, maps

numpy: Any = pytest.importorskip("numpy")


class Animal:
    """Something to derive from."""


class Dog(Animal):
    """Derives from it."""


class Puppy(Dog):
    """Derives twice."""


class Stone:
    """Derives from nothing."""


@runtime_checkable
class Speaks(Protocol):
    """What can speak."""

    def speak(self) -> str: ...


class Silent(Protocol):
    """Cannot be checked for."""

    def speak(self) -> str: ...


class Parrot:
    """Can speak, and says nothing of it."""

    def speak(self) -> str:
        return "hello"


@runtime_checkable
class Named(Protocol):
    """What has a name: data."""

    name: str


class OwnKeyError(ValueError):
    """It bears the name of a builtin that it does not derive from."""


OwnKeyError.__name__ = "KeyError"


class _Refusing(type):
    def __instancecheck__(cls, value: Any) -> bool:
        raise RuntimeError("not to be asked")


class Refusing(metaclass=_Refusing):
    """Its metaclass cannot tell."""


class Valued:
    """A class that happens to have an attribute of this name."""

    __value__ = int


class Record(TypedDict):
    """A dict."""

    x: int


class Pair(NamedTuple):
    """A tuple."""

    x: int


class Colour(enum.Enum):
    """Some."""

    RED = 1


Number = typing.NewType("Number", int)
T = typing.TypeVar("T")
Bound = typing.TypeVar("Bound", bound=Animal)
Either = typing.TypeVar("Either", int, str)
EXACT_INT = {"class": int, "isinstance": False}
DOGS = {"class": Dog, "subclass": True}


@pytest.mark.parametrize(
    ("value", "spec", "verdict"),
    [
        (1, int, True),
        (True, int, True),
        (1.0, int, False),
        ("1", int, False),
        (None, int, False),
        (1, float, False),
        (1, "int", True),
        (True, "int", True),
        ("x", "int", False),
        (True, "bool", True),
        (1, "bool", False),
        (1, "object", True),
        (1, EXACT_INT, True),
        (True, EXACT_INT, False),
        (1, {"class": "int", "isinstance": False}, True),
        (True, {"class": "int", "isinstance": False}, False),
        (True, {"class": int}, True),
        (True, {"class": int, "isinstance": True, "subclass": False}, True),
        (Puppy(), Animal, True),
        (Animal(), Puppy, False),
        (Stone(), Animal, False),
        (Puppy(), "Animal", True),
        (Puppy(), "Dog", True),
        (Stone(), "Animal", False),
        (Puppy, Animal, False),
        (Dog, DOGS, True),
        (Puppy, DOGS, True),
        (Animal, DOGS, False),
        (Dog(), DOGS, False),
        ("Dog", DOGS, False),
        (Puppy, {"class": "Animal", "subclass": True}, True),
        (Stone, {"class": "Animal", "subclass": True}, False),
        (Puppy(), {"class": "Animal", "subclass": True}, False),
        (Puppy(), {"class": Dog, "isinstance": False}, False),
        (Dog(), {"class": Dog, "isinstance": False}, True),
        (None, type(None), True),
        (None, "None", True),
        (None, "NoneType", True),
        (1, "None", False),
        (1, "Any", True),
        (OSError(), "IOError", True),
        (KeyError(), "IOError", False),
        (Valued(), Valued, True),
        (1, Valued, False),
        (0, type(None), False),
        (None, int | None, True),
        (1, int | None, True),
        ("", int | None, False),
        (None, Optional[str], True),  # noqa: UP045
        (b"", Union[str, bytes], True),  # noqa: UP007
        (1, Union[str, bytes], False),  # noqa: UP007
        (Dog(), ["int", "|", "None"][0], False),
        ([1], list[int], True),
        (["not looked at"], list[int], True),
        ((1,), list[int], False),
        ({}, dict[str, int], True),
        ([], dict[str, int], False),
        ((1, "a"), tuple[int, str], True),
        ([1], typing.List, True),  # noqa: UP006
        ([1], collections.abc.Sequence, True),
        ("text", collections.abc.Sequence[str], True),
        (1, collections.abc.Iterable, False),
        (print, typing.Callable[[int], None], True),
        (1, collections.abc.Callable, False),
        (Dog, type[Animal], True),
        (Dog(), type[Animal], False),
        ([1], list[int] | None, True),
        (Parrot(), Speaks, True),
        (Dog(), Speaks, False),
        (Parrot, Speaks, True),
        ({"x": 1}, Record, True),
        ([], Record, False),
        (Pair(1), Pair, True),
        (Pair(1), tuple, True),
        ((1,), Pair, False),
        (Colour.RED, Colour, True),
        (1, Colour, False),
        ("a", Literal["a", "b"], True),
        ("c", Literal["a", "b"], False),
        (1, Literal[1, None], True),
        (True, Literal[1], False),
        (1.0, Literal[1], False),
        (None, Literal["a"] | None, True),
        (1, Number, True),
        ("1", Number, False),
        ("anything", T, True),
        (Puppy(), Bound, True),
        (Stone(), Bound, False),
        ("a", Either, True),
        (1.5, Either, False),
        (1, typing.Annotated[int, "units"], True),
        ("1", typing.Annotated[int, "units"], False),
        (1, numbers.Number, True),
        (decimal.Decimal(1), numbers.Number, True),
        ("1", numbers.Number, False),
        (1, Any, True),
        (None, object, True),
        (numpy.int64(1), int, False),
        (numpy.float64(1), float, True),
        (numpy.float32(1), float, False),
        (numpy.int64(1), "integer", True),
        (numpy.int64(1), "int64", True),
        (numpy.int64(1), numpy.integer, True),
        (numpy.int64(1), numbers.Integral, True),
        (numpy.bool_(True), bool, False),
        (numpy.zeros(2), "ndarray", True),
        (numpy.zeros(2), numpy.ndarray, True),
        (numpy.zeros(2), numpy.ndarray[Any, Any], True),
        ([0.0], "ndarray", False),
        (int, type, True),
        (int, "type", True),
        (ValueError(), Exception, True),
        (KeyError("k"), "LookupError", True),
    ],
)
def test_what_a_spec_takes(value: Any, spec: Any, verdict: bool) -> None:
    """The same live at a port of a net, in and out."""
    found = port_type(spec)
    assert (found is None or found.takes(value)) is verdict
    net = net_of()
    net.set_input_port_type("B", "in", spec)
    net.inject_packets("A", "in", [value])
    net.start()
    assert (net.poll().failed == 0) is verdict
    assert (len(net.take_outputs("B", "out")) == 1) is verdict


@pytest.mark.parametrize(
    "spec",
    [
        5,
        "",
        "pandas.DataFrame",
        "int | None",
        [int],
        (int, str),
        lambda value: True,
        {},
        {"class": None, "x": 1},
        {"isinstance": False},
        {"class": int, "isinstance": 0},
        {"class": int, "subclass": "yes"},
        {"class": int, "isinstance": False, "subclass": True},
        {"class": int | str, "isinstance": False},
        {"class": Literal["a"]},
        {"class": 7},
        Silent,
        int | Silent,
        typing.ClassVar[int],
        {"class": Named, "subclass": True},
        Refusing,
    ],
)
def test_what_is_no_spec(spec: Any) -> None:
    net = net_of()
    for declare in (net.set_input_port_type, net.set_output_port_type):
        port = "in" if declare == net.set_input_port_type else "out"
        with pytest.raises(ConfigError, match="port type"):
            declare("A", port, spec)
    assert net.get_input_port_type("A", "in") is net.get_output_port_type("A", "out") is None


def test_a_misspelt_option_is_answered_with_the_right_one() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'isinstance'"):
        net_of().set_input_port_type("A", "in", {"class": int, "isinstanc": False})


def net_of(**options: Any) -> Net:
    net = Net(chain("A", "B"), on_error="continue")
    for name in "AB":
        net.set_node_exec(name, maps(lambda value: value))
        net.set_node_config(name, **options)
    return net


# -- where it is checked ----------------------------------------------------------------------------------------------


def by_words(ctx: Any, packets: Any) -> None:
    packet = ctx.create_packet(ctx.consume_packet(packets["in"][0]))
    ctx.load_output_port("out", packet)
    ctx.send_output_salvo("out")


def passes_on(ctx: Any, packets: Any) -> None:
    ctx.load_output_port("out", packets["in"][0])
    ctx.send_output_salvo("out")


async def later(ctx: Any, packets: Any) -> None:
    await asyncio.sleep(0)
    await ctx.send("out", await ctx.consume_packet(packets["in"][0]))


WAYS = [maps(lambda value: value), by_words, passes_on, later]
KINDS = ["inline", "deferred", "thread", "process", "executor"]


def net_on(kind: str, func: Any) -> Net:
    pools: Any = {
        "thread": {"thread_pools": {"pool": {"size": 2}}},
        "process": {"process_pools": {"pool": {"size": 1}}},
        "executor": {"executor_pools": {"pool": ThreadPoolExecutor(2)}},
    }.get(kind, {})
    net = Net(chain("A"), on_error="continue", **pools)
    net.set_node_exec("A", func)
    net.set_node_config("A", pool="pool" if pools else None, defer_net_actions=kind == "deferred")
    return net


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("func", WAYS)
def test_at_load(kind: str, func: Any) -> None:
    with net_on(kind, func) as net:
        net.set_output_port_type("A", "out", int)
        net.inject_packets("A", "in", [1, "two", 3])
        net.start()
        net._ledger.check()
        assert sorted(net.take_outputs("A", "out")) == [1, 3]
        (letter,) = net.dead_letter_queue
    error = letter.exception
    assert isinstance(error, PacketTypeMismatch)
    assert (error.node_name, error.port_name, error.expected_type, error.actual_type) == ("A", "out", int, str)
    assert error.sender is None
    assert "node 'A', port 'out'" in str(error)
    assert "holds a str, the port takes int" in str(error)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("func", [maps(lambda value: value), by_words, later])
def test_at_consume(kind: str, func: Any) -> None:
    with net_on(kind, func) as net:
        net.set_input_port_type("A", "in", "int")
        ids = net.inject_packets("A", "in", [1, "two", 3])
        net.start()
        net._ledger.check()
        assert sorted(net.take_outputs("A", "out")) == [1, 3]
        (letter,) = net.dead_letter_queue
    error = letter.exception
    assert isinstance(error, PacketTypeMismatch)
    assert (error.node_name, error.port_name, error.packet_id) == ("A", "in", ids[1])
    assert (error.expected_type, error.actual_type, error.sender) == ("int", str, None)
    assert letter.packet_values == {ids[1]: "two"}, "it was not consumed"


@pytest.mark.parametrize("deferred", [False, True])
def test_the_error_names_who_sent_it(deferred: bool) -> None:
    net = net_of(defer_net_actions=deferred)
    net.set_input_port_type("B", "in", int)
    net.inject_packets("A", "in", ["one"])
    net.inject_packets("B", "in", ["two"])
    net.start()
    first, second = sorted((letter.exception for letter in net.dead_letter_queue), key=lambda error: str(error.sender))  # type: ignore[attr-defined]
    assert (first.sender, second.sender) == ("A.out", None)  # type: ignore[attr-defined]
    assert "which came from A.out, holds a str" in str(first)
    again = pickle.loads(pickle.dumps(first))
    assert (str(again), again.sender) == (str(first), "A.out")


@pytest.mark.parametrize("deferred", [False, True])
def test_a_refused_value_changes_nothing(deferred: bool) -> None:
    """A function that catches the refusal goes on as if it had not asked."""
    net = net_of(defer_net_actions=deferred)
    net.set_input_port_type("A", "in", int)
    net.set_output_port_type("A", "out", int)

    def careful(ctx: Any, packets: Any) -> None:
        (packet,) = packets["in"]
        with pytest.raises(PacketTypeMismatch):
            ctx.consume_packet(packet)
        with pytest.raises(PacketTypeMismatch):
            ctx.send("out", "text")
        made = ctx.create_packet("text")
        with pytest.raises(PacketTypeMismatch):
            ctx.load_output_port("out", made)
        assert ctx.consume_packet(made) == "text"
        ctx.send("out", 7)
        net.set_input_port_type("A", "in", None)
        assert ctx.consume_packet(packet) == "one"

    net.set_node_exec("A", careful)
    net.inject_packets("A", "in", ["one"])
    net.start()
    net._ledger.check()
    assert net.take_outputs("B", "out") == [7]


@pytest.mark.parametrize("kind", KINDS)
def test_lazy_values_are_not_called_for_the_check(kind: str) -> None:
    calls: list[int] = []

    def lazily(ctx: Any, packets: Any) -> None:
        value = ctx.consume_packet(packets["in"][0])
        packet = ctx.create_packet_from_value_func(lambda: calls.append(1) or value)
        ctx.load_output_port("out", packet)
        ctx.send_output_salvo("out")

    with net_on(kind, lazily) as net:
        net.set_output_port_type("A", "out", int)
        net.inject_packets("A", "in", ["one"])
        net.start()
        assert calls == []
        with pytest.raises(PacketTypeMismatch, match="node 'A', port 'out'"):
            net.take_outputs("A", "out")
        net.set_output_port_type("A", "out", str)
        assert net.take_outputs("A", "out") == ["one"], "it was still there"


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_lazy_value_is_checked_when_it_is_known(deferred: bool, is_async: bool) -> None:
    """For the port that it was sent from too, which could not be known then."""
    net = net_of(defer_net_actions=deferred)

    async def value() -> str:
        return "text"

    def lazily(ctx: Any, packets: Any) -> None:
        ctx.consume_packet(packets["in"][0])
        packet = ctx.create_packet_from_value_func(value if is_async else lambda: "text")
        ctx.load_output_port("out", packet)
        ctx.send_output_salvo("out")

    net.set_node_exec("A", lazily)
    net.set_node_exec("B", later if is_async else WAYS[0])
    net.set_output_port_type("A", "out", int)
    net.inject_packets("A", "in", [1])
    net.start()
    (letter,) = net.dead_letter_queue
    error = letter.exception
    assert isinstance(error, PacketTypeMismatch)
    assert (letter.node_name, error.node_name, error.port_name, error.sender) == ("B", "A", "out", "A.out")
    net.set_output_port_type("A", "out", None)
    net.set_input_port_type("B", "in", int)
    net.inject_packets("A", "in", [1])
    net.start()
    second = net.dead_letter_queue.get_all()[1].exception
    assert isinstance(second, PacketTypeMismatch)
    assert (second.node_name, second.port_name, second.sender) == ("B", "in", "A.out")


def test_files_and_kept_values_are_checked_too(tmp_path: Any) -> None:
    for options in ({"packet_storage_path": tmp_path / "values"}, {"consumed_packet_storage": True}):
        net = Net(chain("A"), on_error="continue", **options)
        net.set_node_exec("A", passes_on)
        net.set_output_port_type("A", "out", int)
        net.inject_packets("A", "in", ["one", 2])
        net.start()
        assert net.take_outputs("A", "out") == [2]


def test_classes_that_only_the_notebook_knows() -> None:
    """A class that travels by value is the same class in the worker."""

    class Local:
        pass

    with net_on("process", maps(lambda value: value)) as net:
        net.set_input_port_type("A", "in", Local)
        net.set_output_port_type("A", "out", Local)
        net.inject_packets("A", "in", [Local(), 1])
        net.start()
        assert [type(one) for one in net.take_outputs("A", "out")] == [Local]
        net.set_input_port_type("A", "in", None)
        net.set_output_port_type("A", "out", int)
        net.inject_packets("A", "in", [1])
        net.start()
        assert net.take_outputs("A", "out") == [1], "the worker has the new types"


def test_the_worker_itself_refuses() -> None:
    """So that a function there can deal with it as everywhere."""

    def careful(ctx: Any, packets: Any) -> None:
        try:
            ctx.send("out", "text")
        except PacketTypeMismatch as error:
            ctx.consume_packet(packets["in"][0])
            ctx.send("out", len(str(error)))

    with net_on("process", careful) as net:
        net.set_output_port_type("A", "out", int)
        net.inject_packets("A", "in", [1])
        net.start()
        (length,) = net.take_outputs("A", "out")
        assert length > 50


def test_a_retry_may_send_something_else() -> None:
    net = net_of(defer_net_actions=True, retries=1)
    net.set_node_exec(
        "A", lambda ctx, p: (ctx.consume_packet(p["in"][0]), ctx.send("out", ["text", 1][ctx.retry_count]))
    )
    net.set_output_port_type("A", "out", int)
    net.inject_packets("A", "in", [1])
    net.start()
    assert net.take_outputs("B", "out") == [1]


def test_raise_is_chained() -> None:
    net = net_of()
    net._engine.on_error = "raise"
    net.set_input_port_type("A", "in", int)
    net.inject_packets("A", "in", ["one"])
    with pytest.raises(NodeExecutionFailed, match="the port takes int") as raised:
        net.start()
    assert isinstance(raised.value.__cause__, PacketTypeMismatch)


# -- types that can never meet ----------------------------------------------------------------------------------------


class Left:
    """One of two."""


class Right:
    """The other."""


class Joined(Left, Right):
    """Both."""


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        (int, int, True),
        (int, str, False),
        (bool, int, True),
        (int, bool, True),
        (int, float, False),
        ("int", "str", False),
        ("int", str, False),
        ("int", "bool", True),
        ("Order", "Invoice", True),
        ("Order", dict, True),
        ("Order", "Order", True),
        (int | None, str, False),
        (int | None, str | None, True),
        (int | str, str | bytes, True),
        (list[int], list[str], True),
        (list[int], dict[str, int], False),
        (Animal, Puppy, True),
        (Dog, Stone, False),
        (Left, Right, True),
        (collections.abc.Sized, list, True),
        (collections.abc.Sized, int, True),
        (Speaks, Dog, True),
        (Literal["a"], str, True),
        (Literal["a"], int, False),
        (Literal["a", 1], Literal[1], True),
        (Literal["a"], Literal["b"], False),
        ({"class": Dog, "isinstance": False}, Animal, True),
        ({"class": Animal, "isinstance": False}, Dog, False),
        ({"class": Dog, "isinstance": False}, {"class": Dog, "isinstance": False}, True),
        ({"class": Dog, "isinstance": False}, {"class": Puppy, "isinstance": False}, False),
        ({"class": Dog, "isinstance": False}, {"class": "Dog", "isinstance": False}, True),
        ({"class": Dog, "isinstance": False}, {"class": "Cat", "isinstance": False}, False),
        ({"class": "Dog", "isinstance": False}, {"class": "Cat", "isinstance": False}, False),
        ({"class": "Dog", "isinstance": False}, "Animal", True),
        ({"class": Dog, "isinstance": False}, "Animal", True),
        ({"class": Dog, "isinstance": False}, "Cat", False),
        ({"class": Left, "isinstance": False}, Right, False),
        (DOGS, {"class": Animal, "subclass": True}, True),
        (DOGS, {"class": Stone, "subclass": True}, False),
        (DOGS, Dog, False),
        (DOGS, type, True),
        (DOGS, type[Dog], True),
        (DOGS, "type", True),
        (DOGS, "int", False),
        (DOGS, {"class": type, "isinstance": False}, True),
        (DOGS, {"class": Dog, "isinstance": False}, False),
        (None, int, True),
        (Any, int, True),
        (numpy.bool_, "bool", True),
        ({"class": "bool", "isinstance": False}, numpy.bool_, True),
        (KeyError, "KeyError", True),
        (OwnKeyError, "KeyError", True),
        ({"class": OwnKeyError, "isinstance": False}, {"class": "KeyError", "isinstance": False}, True),
        (OwnKeyError, KeyError, False),
        (Named, int, True),
        (Named, {"class": Stone, "isinstance": False}, True),
        (Speaks, {"class": Stone, "isinstance": False}, True),
        (collections.abc.Hashable, {"class": list, "isinstance": False}, False),
        ({"class": int, "subclass": True}, collections.abc.Iterable, True),
        ({"class": int, "subclass": True}, enum.EnumMeta, True),
        ({"class": int, "subclass": True}, collections.abc.Hashable, True),
        ("None", int, False),
        ("NoneType", int, False),
        ("NoneType", int | None, True),
        ("IOError", OSError, True),
    ],
)
def test_types_that_can_never_meet(one: Any, other: Any, verdict: bool) -> None:
    """Whoever declares the second hears of it at once, whichever it is, and nothing has changed."""
    first, second = port_type(one), port_type(other)
    if first is not None and second is not None:
        assert can_meet(first, second) is can_meet(second, first) is verdict
    for output_first in (True, False):
        net = net_of()
        set_out = (net.set_output_port_type, "A", "out", one)
        set_in = (net.set_input_port_type, "B", "in", other)
        (declare, *earlier), (declare_second, *last) = (set_out, set_in) if output_first else (set_in, set_out)
        declare(*earlier)
        if verdict:
            declare_second(*last)
        else:
            with pytest.raises(GraphError, match=r"A\.out -> B\.in joins .* never meet") as raised:
                declare_second(*last)
            assert raised.value.findings[0].kind == "PortTypesNeverMeet"
            assert raised.value.findings[0].details["source"] == "A.out"
            get = net.get_input_port_type if output_first else net.get_output_port_type
            assert get(*last[:2]) is None


def test_ports_that_there_are_not() -> None:
    net = net_of()
    for act in (net.set_input_port_type, lambda node, port, spec: net.get_input_port_type(node, port)):
        with pytest.raises(NodeNotFoundError):
            act("C", "in", int)
        with pytest.raises(InputPortNotFoundError, match="Did you mean 'in'"):
            act("A", "inn", int)
    for act in (net.set_output_port_type, lambda node, port, spec: net.get_output_port_type(node, port)):
        with pytest.raises(OutputPortNotFoundError):
            act("A", "in", int)


def test_a_spec_is_given_back_as_it_was() -> None:
    net = net_of()
    for spec in (int, "int", EXACT_INT, int | None, None):
        net.set_input_port_type("A", "in", spec)
        net.set_output_port_type("B", "out", spec)
        assert net.get_input_port_type("A", "in") == spec
        assert net.get_output_port_type("B", "out") == spec
    assert not net._ledger.doors["A"].is_typed


def test_a_table_is_ones_own() -> None:
    """What is done to it afterwards changes nothing."""
    net, spec = net_of(), dict[str, Any](EXACT_INT)
    net.set_input_port_type("A", "in", spec)
    spec["class"] = str
    assert net.get_input_port_type("A", "in") == EXACT_INT
    net.get_input_port_type("A", "in").clear()
    assert net.get_input_port_type("A", "in") == EXACT_INT


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"class": int}, "int"),
        ({"class": "Dog", "isinstance": True}, "Dog"),
        (EXACT_INT, "exactly int"),
        (DOGS, "a class derived from Dog"),
    ],
)
def test_the_text_of_a_table(spec: Any, text: str) -> None:
    assert str(port_type(spec)) == text
