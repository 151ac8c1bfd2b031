"""Nets from functions: what a function says of its node, on every carrier; wirings; nets that are built twice."""

import pickle
import re
import subprocess
import sys
import typing
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import cloudpickle
import pytest

from netrun import (
    Batch,
    ConfigError,
    DslError,
    ExpressionError,
    Flow,
    Graph,
    GraphError,
    Net,
    NodeExecutionContext,
    NodeExecutionFailed,
    Outputs,
    PacketTypeMismatch,
    Skip,
    node,
    round_robin,
)
from netrun.port_types import port_type
from tests import build_nodes as nodes
from tests.nets import drain, environment, python

CARRIERS = ["inline", "deferred", "timeout", "thread", "process", "executor"]
later_method = nodes.Scale(3).scaled

CASES = [
    (nodes.double, {"x": [1, 2, None]}, None),
    (nodes.double, {"x": [1, 2]}, {"out": [2, 4]}),
    (nodes.later, {"x": [1, 2]}, {"out": [101, 102]}),
    (nodes.up_to, {"n": [3, 0, 1]}, {"out": [0, 1, 2, 0]}),
    (nodes.up_to_later, {"n": [3, 0, 1]}, {"out": [0, 1, 2, 0]}),
    (nodes.odd, {"x": [1, 2, 3]}, {"out": [1, 3]}),
    (nodes.halves, {"x": [5]}, {"low": [2], "high": [3]}),
    (nodes.sorted_out, {"x": [1, 2, 3]}, {"even": [2], "uneven": [1, 3]}),
    (nodes.pairs, {"values": [1, 2, 3]}, {"out": [[1, 2]]}),
    (nodes.whole, {"values": [[1, 2], [3]]}, {"out": [3, 3]}),
    (nodes.told.named("T"), {"x": [1, 2], "scale": [2]}, {"out": ["T 2 0", "T 2 0"]}),
    (nodes.told_later.named("T"), {"x": [1]}, {"out": ["T 1"]}),
    (nodes.told_often.named("T"), {"x": [2]}, {"out": ["T 0", "T 1"]}),
    (nodes.note, {"x": [1]}, {}),
    (nodes.Scale(3).scaled, {"x": [1, 2]}, {"out": [3, 6]}),
    (node(nodes.Scale(3)), {"x": [1, 2]}, {"out": [4, 5]}),
    (node(nodes.Later()), {"x": [1]}, {"out": [-1]}),
    (node(partial(nodes.plain, b=1)), {"a": [1]}, {"out": [2]}),
    (node(nodes.plain), {"a": [1, 2], "b": [1]}, {"out": [2, 12]}),
    (nodes.first_of_two, {"x": [1], "y": [5, 6]}, {"out": [[1, 5]]}),
]


def furnished(carrier: str, part: Any, **options: Any) -> Net:
    """A net of one node, on a carrier."""
    given: dict[str, Any] = {}
    if carrier == "deferred":
        part = part.with_options(retries=1)
    elif carrier == "timeout":
        part = part.with_options(timeout=30)
    elif carrier in ("thread", "process"):
        part, given = part.with_options(pool="p"), {f"{carrier}_pools": {"p": {"size": 1}}}
    elif carrier == "executor":
        part, given = part.with_options(pool="p"), {"executor_pools": {"p": ThreadPoolExecutor(1)}}
    return Net(part, **given, **options)


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(("part", "inputs", "outputs"), [case for case in CASES if case[2] is not None])
def test_what_a_function_says_of_its_node(carrier, part, inputs, outputs):
    """The same, wherever it runs."""
    net = furnished(carrier, part)
    (name,) = net.graph.nodes()
    result = net.run({f"{name}.{port}": values for port, values in inputs.items()})
    net.stop()
    net._ledger.check()
    in_order = {port.partition(".")[2]: values for port, values in result.items()}
    assert in_order.keys() == outputs.keys()
    assert {port: sorted(values, key=repr) for port, values in in_order.items()} == {
        port: sorted(values, key=repr) for port, values in outputs.items()
    }


def test_a_decorated_function_is_called_as_before():
    """With its name, its text and its signature; methods and async ones too."""
    import asyncio
    import inspect

    assert nodes.double(2) == 4
    assert nodes.double.__name__ == "double"
    assert asyncio.run(nodes.later(1)) == 101
    assert list(inspect.signature(nodes.told).parameters) == ["x", "ctx", "scale"]
    assert nodes.Scale(2).scaled(4) == 8
    assert nodes.Scale.scaled is nodes.Scale.__dict__["scaled"]
    assert pickle.loads(pickle.dumps(nodes.double)) is nodes.double
    is_told = hasattr(inspect, "markcoroutinefunction")  # from Python 3.12 on
    assert (inspect.iscoroutinefunction(nodes.later), inspect.iscoroutinefunction(nodes.double)) == (is_told, False)


@pytest.mark.parametrize("part", [nodes.up_to, nodes.up_to_later])
@pytest.mark.parametrize("pooled", [False, True])
def test_downstream_runs_between_the_values_of_a_generator(part, pooled):
    """So what never ends can be used, and stopped by who has had enough."""
    seen: list[int] = []
    net: Net

    @node
    def look(x: int) -> None:
        seen.append(x)
        if len(seen) == 5:
            net.pause()

    begun = part.with_options(pool="io") if pooled else part
    net = Net(begun >> look, thread_pools={"io": {"size": 1}})
    net.inject_packets(part.__name__, "n", [1_000])
    net.start()
    assert seen[:5] == [0, 1, 2, 3, 4]
    assert net.poll().paused_by == "user"
    assert len(seen) < 10 if not pooled else len(seen) <= 1_000  # begun epochs end, no more begin
    net.stop()


@pytest.mark.parametrize("is_async", [False, True])
def test_a_generator_that_never_ends_is_stopped_by_who_has_had_enough(is_async):
    """Its epoch is cancelled, and it is closed."""
    closed: list[bool] = []
    seen: list[int] = []

    def forever() -> Iterator[int]:
        try:
            yield from count()
        finally:
            closed.append(True)

    async def forever_later() -> AsyncIterator[int]:
        try:
            for number in count():
                yield number
        finally:
            closed.append(True)

    @node
    def enough(x: int) -> None:
        seen.append(x)
        if x == 100:
            net.stop()

    net = Net(node(forever_later if is_async else forever) >> enough)
    net.run()
    assert closed == [True]
    assert seen == list(range(101))


def test_values_of_a_generator_are_looked_at_one_by_one():
    """Inline, the second is not asked for before the first was used."""
    order: list[str] = []

    @node
    def made() -> Iterator[int]:
        for number in range(3):
            order.append(f"make {number}")
            yield number

    @node
    def used(x: int) -> None:
        order.append(f"use {x}")

    Net(made >> used).run()
    assert order == ["make 0", "use 0", "make 1", "use 1", "make 2", "use 2"]


def test_epochs_of_a_sync_generator_come_one_after_the_other():
    """As those of a sync function. Those of an async one run side by side, and so do others if they are told to."""

    def sent(part: Any, **options: Any) -> list[int]:
        return Net(part, **options).run(n=[3, 2])[f"{part.__name__}.out"]

    assert sent(nodes.up_to) == [0, 1, 2, 0, 1]
    assert sent(nodes.up_to.with_options(max_parallel_epochs=2)) == [0, 0, 1, 1, 2]
    assert sent(nodes.up_to_later) == [0, 0, 1, 1, 2]
    options = nodes.up_to.with_options(pool="io")._options
    assert "max_parallel_epochs" not in options


def test_a_generator_that_fails_keeps_what_it_sent_unless_actions_are_deferred():
    """As any node that acts at once."""

    @node
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("after one")

    net = Net(broken, on_error="continue")
    assert net.run() == {"broken.out": [1]}
    net = Net(broken.with_options(retries=1), on_error="continue")
    assert net.run() == {"broken.out": []}
    (letter,) = net.dead_letter_queue
    assert letter.retry_count == 1
    assert str(letter.exception) == "after one"


def test_a_generator_that_blocks_runs_out_of_time():
    """A sync one too: it is asked in a thread then."""
    from threading import Event

    released = Event()

    @node(timeout=0.05)
    def stuck() -> Iterator[int]:
        yield 1
        released.wait(10)
        yield 2

    net = Net(stuck, on_error="continue")
    assert net.run() == {"stuck.out": [1]}
    released.set()
    assert type(net.dead_letter_queue.get_all()[0].exception).__name__ == "EpochTimeout"


def test_a_generator_is_closed_when_it_is_not_used_up():
    """What it holds is given back."""
    closed: list[bool] = []

    @node
    def holds() -> Iterator[Any]:
        try:
            yield 1
            yield "no number"
            raise AssertionError("went on")
        finally:
            closed.append(True)

    @node
    def wrong(x: int) -> int:
        raise ValueError(x)

    net = Net(Flow(holds, wrong))
    net.set_output_port_type("holds", "out", int)
    with pytest.raises(NodeExecutionFailed) as caught:
        net.run()
    assert isinstance(caught.value.original_exception, PacketTypeMismatch)
    assert closed == [True]


# --- hints


def test_annotations_as_text_and_classes_of_the_function_around():
    """And what comes later in it is found when the node is wired."""

    class Local:
        pass

    @node
    def make() -> "Local":
        return Local()

    @node
    def take(value: "Local", many: "Annotated[list[Local], Batch(2)]" = ()) -> "typing.Literal['yes']":
        return "yes"

    net = Net(make >> take)
    assert net.run() == {"take.out": ["yes"]}
    assert net.get_input_port_type("take", "value") is Local is net.get_input_port_type("take", "many")
    assert net.get_output_port_type("take", "out") == typing.Literal["yes"]


def test_a_module_of_annotations_as_text(tmp_path):
    """`from __future__ import annotations`, a class that comes later, and names that only type checkers import."""
    (tmp_path / "texts.py").write_text(
        """
from __future__ import annotations
from typing import TYPE_CHECKING, NamedTuple
from netrun import Net, node
if TYPE_CHECKING:
    import decimal
    from netrun import NodeExecutionContext

@node
def split(x: decimal.Decimal, ctx: NodeExecutionContext) -> SplitOutputs:
    return SplitOutputs(str(x), ctx.node_name)

class SplitOutputs(NamedTuple):
    left: str
    right: Later

class Later(str): pass
"""
    )
    code = "from texts import *; import decimal; print(Net(split).run(x=[decimal.Decimal(1)]), split)"
    with pytest.raises(AssertionError, match="the port takes Later"):
        python(code, cwd=tmp_path)
    (tmp_path / "texts.py").write_text((tmp_path / "texts.py").read_text().replace("ctx.node_name", "Later('r')"))
    assert "{'split.left': ['1'], 'split.right': ['r']}" in python(code, cwd=tmp_path)


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (float, [1, 1.5, True], ["1"]),
        (complex, [1, 1.5, 1j], ["1"]),
        (float | None, [1, None], ["1"]),
        (list[int], [["not looked at"]], [(1,)]),
        (typing.Optional[int], [None, 1], [1.0]),  # noqa: UP045
        (Any, [1, "1", None], []),
        (typing.TypeVar("T"), [1, "1"], []),
        (typing.Self, [1], []),
        (typing.Iterable[int], [[1], "ab"], [1]),
        (Annotated[int, "metres"], [1], ["1"]),
    ],
)
def test_hints_are_port_types_and_convert_nothing(hint, good, bad):
    """What a type checker would let pass, passes."""

    def echo(x):
        return x

    echo.__annotations__ = {"x": hint, "return": hint}
    net = Net(node(echo), on_error="continue")
    assert net.run(x=[*good, *bad]) == {"echo.out": good}
    assert all(isinstance(letter.exception, PacketTypeMismatch) for letter in net.dead_letter_queue)
    assert len(net.dead_letter_queue) == len(bad)


def test_what_is_returned_is_checked_too():
    """With the name of the port."""

    @node
    def wrong(x: int) -> int:
        return str(x)  # type: ignore[return-value]

    with pytest.raises(NodeExecutionFailed, match=r"node 'wrong', port 'out': .* holds a str, the port takes int"):
        Net(wrong).run(x=[1])


@pytest.mark.parametrize("hint", [None, "None", typing.NoReturn, typing.Never])
def test_what_returns_nothing_has_no_output(hint):
    """In whichever way that is said."""

    def ends(x): ...

    ends.__annotations__ = {"return": hint}
    assert Net(node(ends)).run(x=[1]) == {}


def test_none_is_sent_and_skip_is_not():
    """In one output of several too."""

    @node
    def nothing(x):
        return None

    @node
    def one_of(x) -> Outputs["a", "b"]:
        return Outputs(a=None, b=Skip) if x else Skip

    assert Net(nothing).run(x=[1]) == {"nothing.out": [None]}
    assert Net(one_of).run(x=[1, 0]) == {"one_of.a": [None], "one_of.b": []}


def test_a_returned_dict_is_one_value_unless_outputs_were_declared():
    """Nothing is guessed."""

    @node
    def info(x) -> dict[str, int]:
        return {"out": x, "left": x}

    assert Net(info).run(x=[1]) == {"info.out": [{"out": 1, "left": 1}]}


def test_a_wrapped_function_says_what_it_says():
    """`functools.wraps` keeps names and hints."""

    def loud(func):
        @wraps(func)
        def run(*args, **kwargs):
            return func(*args, **kwargs) + 1

        return run

    @node
    @loud
    def plus(x: int) -> int:
        return x

    assert Net(plus).run(x=[1]) == {"plus.out": [2]}
    assert repr(plus) == "<node plus(x: int) -> out: int>"


def test_a_class_is_a_function_that_makes_objects():
    """Its port sends them."""

    class Box:
        def __init__(self, x: int) -> None:
            self.x = x

    net = Net(node(Box))
    (box,) = net.run(x=[1])["Box.out"]
    assert box.x == 1
    assert net.get_output_port_type("Box", "out") is Box


class _Client:
    """An object with attributes that are called as ports and methods of its node."""

    def __init__(self) -> None:
        self.url, self.out, self.named, self._ports = "http://default", None, "me", 3

    def __call__(self, url: str) -> str:
        return url


class _Point(typing.NamedTuple):
    x: int = 0


def test_what_an_object_has_in_it_hides_no_ports():
    """Of a class neither."""
    client, point = node(_Client()), node(_Point)
    assert edges(text >> client.url) == {"text.out _Client.url"}
    assert edges(client.named("again").out >> text) == {"again.out text.x"}
    assert Net(client).run(url=["a"]) == {"_Client.out": ["a"]}
    assert Net(a >> point.x).run({"a.x": [1]}) == {"_Point.out": [_Point(2)]}


def _context(hint: Any) -> Any:
    def told(c, x=1):
        return c.node_name

    told.__annotations__ = {"c": hint}
    return told


@pytest.mark.parametrize(
    "hint",
    [
        NodeExecutionContext | None,
        Annotated[NodeExecutionContext, "here"],
        Annotated[NodeExecutionContext | None, "here"],
        "NodeExecutionContext | None",
        "netrun.NodeExecutionContext",
        "typing.Annotated[Nowhere.NodeExecutionContext, 'for type checkers']",
    ],
)
def test_the_context_is_known_within_a_hint(hint):
    """Beside None, and annotated."""
    assert Net(node(_context(hint))).run(x=[1]) == {"told.out": ["told"]}


@pytest.mark.parametrize(
    "hint",
    [
        Annotated[list[int], Batch(2)] | None,
        Annotated[list[int] | None, Batch(2)],
        Annotated["list[int]", Batch(2)],
        "typing.Annotated[list[int] | None, Batch(2)] | None",
    ],
)
def test_a_batch_is_known_within_a_hint(hint):
    """Beside None, and of a text."""

    def pairs(x=None):
        return x

    pairs.__annotations__ = {"x": hint}
    net = Net(node(pairs, when="count(x) >= 2"))
    assert net.run(x=[1, 2, 3, 4]) == {"pairs.out": [[1, 2], [3, 4]]}
    assert net.get_input_port_type("pairs", "x") is int


@pytest.mark.parametrize("kind", [Iterator, typing.Iterator, typing.Generator, AsyncIterator, typing.AsyncIterator])
def test_a_generator_can_have_several_outputs(kind):
    """Each value says where it goes."""

    def split(numbers):
        for number in numbers:
            yield Outputs(even=number) if number % 2 == 0 else {"uneven": number}
        yield Skip

    async def split_later(numbers):
        for values in split(numbers):
            yield values

    func = split_later if kind in (AsyncIterator, typing.AsyncIterator) else split
    several = Outputs["even", "uneven"]
    func.__annotations__ = {"return": kind[several, None, None] if kind is typing.Generator else kind[several]}
    name = func.__name__
    assert Net(node(func)).run(numbers=[[1, 2, 3]]) == {f"{name}.even": [2], f"{name}.uneven": [1, 3]}


def _wrapped(func: Any) -> Any:
    @wraps(func)
    def run(*args, **kwargs):
        return func(*args, **kwargs)

    return run


@pytest.mark.parametrize("part", [nodes.up_to, nodes.up_to_later, nodes.later])
def test_what_a_wrapper_lets_fall_is_told(part):
    """A generator is no packet where the function that is wrapped yields, nor is a coroutine."""
    net = Net(node(_wrapped(part._func), name="n"))
    with pytest.raises(NodeExecutionFailed, match=r"is used by nobody: let what wraps the function be one of its kind"):
        net.run(**{next(iter(part._ports().inputs)): [3]})


def test_files_pass_a_hint_for_files(tmp_path):
    """Though none is an instance of those classes."""

    def read(file):
        return file.read()

    (tmp_path / "f").write_text("text")
    for hint in (typing.IO[str], typing.TextIO, typing.IO, typing.TextIO | None, "typing.BinaryIO"):
        read.__annotations__ = {"file": hint}
        with (tmp_path / "f").open() as file:
            assert Net(node(read)).run(file=[file]) == {"read.out": ["text"]}


Number = int | float


@pytest.mark.parametrize(
    ("hint", "good", "bad", "told"),
    [
        (typing.Optional["Number"], [1, 2.5, None], ["1"], "int | float | None"),
        ("typing.Optional['Number']", [1, None], ["1"], "int | float | None"),
        ("nowhere.Scale | None", [nodes.Scale(1), None], [1], "Scale | None"),
        ("list[Nowhere]", [[1]], [1], "list[Nowhere]"),
        ("Nowhere[int]", [], [1], "Nowhere"),
        ("subprocess._Args", [], [1], "_Args"),
        (list["Number"], [[1]], [1], "list[int | float]"),
        (typing.Optional[int], [1, None], ["1"], "int | None"),  # noqa: UP045
        (int | str, [1, "1"], [1.5], "int | str"),
        (typing.Literal["a", "b"], ["a"], ["c"], "Literal['a', 'b']"),
        (Annotated[int, "metres"], [1], ["1"], "int"),
        (tuple[int, ...], [(1,)], [1], "tuple[int, ...]"),
        (typing.Callable[[int], None], [print], [1], "Callable[[int], None]"),
    ],
)
def test_text_within_hints_is_read_and_types_are_told_as_they_are_written(hint, good, bad, told):
    """A name that leads to nothing is that of a class."""

    def echo(x):
        return x

    echo.__annotations__ = {"x": hint}
    net = Net(node(echo), on_error="continue")
    assert net.run(x=[*good, *bad]) == {"echo.out": good}
    assert [f"the port takes {told}. " in str(letter.exception) for letter in net.dead_letter_queue] == [True] * len(
        bad
    )
    assert repr(node(echo)) == f"<node echo(x: {told}) -> out>"
    assert type_told(pickle.loads(cloudpickle.dumps(net.get_input_port_type("echo", "x")))) == told


def type_told(spec: Any) -> str:
    """A port type, as errors tell it."""
    return str(port_type(spec))


def test_a_node_whose_hints_cannot_be_read_can_be_looked_at():
    """It has no ports that are known, and says why."""
    broken = node(unread)
    assert not hasattr(broken, "foo")
    assert "cannot be read" in repr(broken)
    assert broken._repr_mimebundle_() == {"text/plain": repr(broken)}
    assert "named" in dir(broken)
    with pytest.raises(AttributeError, match="cannot be read"):
        broken.x  # noqa: B018


def test_ports_are_listed():
    """For who presses Tab."""
    assert {"a", "b", "c", "out", "named"} <= set(dir(join))
    assert {"x", "out", "named"} <= set(dir(a >> b))


class _Ways:
    factor = 3

    @node
    @staticmethod
    def static(x: int) -> int:
        return x

    @node
    @classmethod
    def of_class(cls, x: int) -> int:
        return cls.factor * x

    @staticmethod
    @node
    def static_too(x: int) -> int:
        return x


class _MoreWays(_Ways):
    factor = 5


def test_static_and_class_methods_are_nodes():
    """Called, taken from the class and from an object."""
    for holder in (_Ways, _Ways()):
        for part in (holder.static, holder.static_too):
            assert part(2) == 2
            assert Net(part).run(x=[1]) == {f"{part._name}.out": [1]}
        assert holder.of_class(2) == 6
        assert Net(holder.of_class).run(x=[1]) == {"of_class.out": [3]}
    assert Net(_MoreWays.of_class).run(x=[1]) == {"of_class.out": [5]}


def test_an_abstract_method_stays_abstract():
    """Though it is a node."""
    from abc import ABC, abstractmethod

    class Shape(ABC):
        @node
        @abstractmethod
        def area(self) -> float: ...

    with pytest.raises(TypeError, match="abstract"):
        Shape()


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
@pytest.mark.parametrize(
    "part",
    [nodes.double, nodes.double.named("again"), nodes.double.with_options(retries=2), nodes.scale.scaled, nodes.scaled,
     nodes.Ways.of_class, nodes.Ways.static, nodes.tripled],
)  # fmt: skip
def test_nodes_of_a_module_are_pickled(part, dumps):
    """By their paths."""
    again = pickle.loads(dumps(part))
    assert (again._name, again._settings) == (part._name, part._settings)
    assert again(2) == part(2)
    (flow,) = pickle.loads(dumps([part >> nodes.plus_one]))
    assert edges(flow) == edges(part >> nodes.plus_one)
    assert len(dumps(part)) < 700


def test_nodes_of_a_script_are_pickled_by_value(tmp_path):
    """For the pools of others too; and nodes that call each other."""
    code = """
import pickle, cloudpickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from netrun import Net, node

@node
def double(x: int) -> int:
    return 2 * x

@node
def factorial(n: int) -> int:
    return n * factorial(n - 1) if n > 1 else double(1) // 2

if __name__ == "__main__":
    for method in ("fork", "spawn"):
        with ProcessPoolExecutor(1, get_context(method)) as pool:
            print(list(pool.map(double, [1, 2])), list(pool.map(factorial.named("f"), [5])))
    for dumps in (pickle.dumps, cloudpickle.dumps):
        again = pickle.loads(dumps([double >> factorial, factorial]))
        print(again[0], again[1](4), Net(again[0]).run(x=[2]))
"""
    (tmp_path / "script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.stderr == ""
    assert (
        done.stdout.splitlines()
        == ["[2, 4] [120]"] * 2 + ["<Flow double.out >> factorial.n> 24 {'factorial.out': [24]}"] * 2
    )


# --- when


def test_when_says_when():
    """With counts; a batch takes up to so many then."""

    @node(when="count(values) >= 1")
    def some(values: Annotated[list[int], Batch(3)]) -> list[int]:
        return values

    assert Net(some).run(values=[1, 2, 3, 4]) == {"some.out": [[1, 2, 3], [4]]}

    @node(when="nonempty(a) and count(b) >= 2")
    def both(a: int, b: int) -> tuple[int, int]:
        return a, b

    net = Net(both)
    assert net.run(a=[1, 2], b=[5]) == {"both.out": []}
    assert net.run(b=[6, 7]) == {"both.out": [(1, 5), (2, 6)]}


def test_when_that_lets_in_too_little_is_told():
    """The function could not be called."""

    @node(when="nonempty(a) or nonempty(b)")
    def either(a: int, b: int) -> int:
        return a + b

    with pytest.raises(NodeExecutionFailed, match=r"without a packet at b, and either .* cannot be called without"):
        Net(either).run(a=[1])


# --- wirings


def edges(flow: Any) -> set[str]:
    """The edges of a flow, as text."""
    return {
        f"{edge.source.node_name}.{edge.source.port_name} {edge.target.node_name}.{edge.target.port_name}"
        for edge in flow.graph.edges()
    }


@node
def a(x: int) -> int:
    return x + 1


@node
def b(x: int) -> int:
    return x * 10


@node
def c(x: int) -> int:
    return -x


@node
def join(a: int, b: int, c: Any = 0) -> tuple[int, int, Any]:
    return a, b, c


@node
def text(x: str) -> str:
    return x


@node
def mixed(x: int) -> Outputs[typing.NamedTuple("Mixed", [("number", int), ("text", str)])]:
    return Outputs(number=x, text=str(x))


def test_edges_that_are_written():
    """In each of the ways."""
    assert edges(a >> b >> c) == {"a.out b.x", "b.out c.x"}
    assert edges(a >> (b >> c)) == edges((a >> b) >> c) == edges(a.out >> b.x >> c) == edges(Flow(a >> b, b >> c))
    assert edges([a, b] >> join) == {"a.out join.a", "b.out join.b"}
    assert edges([a.out, b.out] >> join >> join.named("again").c) == {
        "a.out join.a", "b.out join.b", "join.out again.c",
    }  # fmt: skip
    assert edges(Flow(a >> join.b, b >> join.b)) == {"a.out join.b", "b.out join.b"}  # fan-in
    assert edges(a >> [b]) == {"a.out b.x"}
    assert edges(a >> [b, c]) == {"a.out a_copies.in", "a_copies.b b.x", "a_copies.c c.x"}
    assert edges(a >> [join.a, join.b]) == {"a.out a_copies.in", "a_copies.join_a join.a", "a_copies.join_b join.b"}
    assert edges(a >> a) == {"a.out a.x"}
    assert edges(Flow(a >> b, a >> b)) == {"a.out b.x"}  # the same edge


def test_edges_that_the_types_choose():
    """One pair alone can meet."""
    assert edges(mixed >> text) == {"mixed.text text.x"}
    assert edges(mixed >> a) == {"mixed.number a.x"}
    assert edges(Flow(mixed >> text, mixed >> a)) == {"mixed.text text.x", "mixed.number a.x"}
    assert edges(mixed >> [a, b]) == {"mixed.number mixed_number_copies.in", "mixed_number_copies.a a.x",
                                      "mixed_number_copies.b b.x"}  # fmt: skip
    assert edges([mixed.number, mixed.text] >> node(lambda number, text: None, name="take")) == {
        "mixed.number take.number", "mixed.text take.text",
    }  # fmt: skip


def test_inputs_with_a_default_need_no_edge():
    """They get one only if they are named, or if there is nothing else."""

    @node
    def fetch(url: str, timeout: float = 5.0, tries=3) -> str:
        return url

    assert edges(text >> fetch) == {"text.out fetch.url"}
    assert edges(Flow(text >> fetch, a >> fetch.timeout)) == {"text.out fetch.url", "a.out fetch.timeout"}


def test_what_nets_of_wirings_do():
    """The values go where the edges lead."""
    net = Net(a >> [b, c] >> node(lambda b, c: (b, c), name="d"))
    assert net.run({"a.x": [1, 2]}) == {"d.out": [(20, -2), (30, -3)]}
    net = Net(a >> round_robin(b, c))
    assert net.run({"a.x": [1, 2, 3]}) == {"b.out": [20, 40], "c.out": [-3]}
    assert drain(net) == 0


def test_what_a_list_leads_to_is_the_same_object():
    """Packets are copied, values are not."""

    def sent(name: str) -> Any:
        def look(values: list[int]) -> list[int]:
            values.append(name)
            return values

        return node(look, name=name)

    net = Net(node(lambda n: [n], name="make") >> [sent("first"), sent("second")])
    (first,), (second,) = net.run(n=[1]).values()
    assert first is second


def test_a_flow_has_only_free_ports_though_an_input_is_called_as_an_output():
    """Each side by itself."""
    between = node(lambda out: out, name="between")
    flow = Flow(a >> between >> b)
    assert flow._heads[0].inputs == {"x": ("a", "x")}
    assert Net(flow).run(x=[1]) == {"b.out": [20]}
    assert Flow(between >> b)._heads[0].inputs == {"out": ("between", "out")}


def test_a_port_alone_stands_for_its_node_in_a_flow_or_net():
    """There is no side to it."""
    assert Net(a.out).run(x=[1]) == Net(a.x).run(x=[1]) == {"a.out": [2]}


def test_what_a_flow_exposes_names_the_inputs_of_its_net():
    """In keywords."""
    assert Net(Flow(a >> b, expose={"number": a.x})).run(number=[1]) == {"b.out": [20]}
    with pytest.raises(ConfigError, match="no input port 'nothing'"):
        Net(Flow(a >> b, expose={"number": a.x})).run(nothing=[1])


def test_options_are_kept_as_they_were_given():
    """A list that is changed later changes nothing."""
    pools = ["io"]
    part = a.with_options(pool=pools)
    pools.append("cpu")
    assert part._options["pool"] == ("io",)


def test_round_robin_is_told():
    """As it is written."""
    assert repr(round_robin(a, b.x)) == "round_robin(a, b)"


def test_the_name_of_a_port_will_do_where_one_is_free():
    """Though nodes behind it have one of the same name."""
    assert Net(a >> b >> c).run(x=[1]) == {"c.out": [-20]}
    with pytest.raises(ConfigError, match="more than one node has an input port 'x': 'a', 'b'"):
        Net(Flow(a >> c, b >> c)).run(x=[1])
    with pytest.raises(ConfigError, match="more than one node has an input port 'x': 'a', 'b'"):
        Net(a >> b >> a).run(x=[1])


def test_flows_within_flows():
    """Twice under two names, with exposed ports."""
    inner = Flow(a >> b, expose={"number": a.x, "result": b.out})
    outer = Flow(
        inner.named("left").result >> join.a,
        inner.named("right").result >> join.b,
        expose={"first": inner.named("left").number, "second": inner.named("right").number, "result": join.out},
    )
    net = Net(outer)
    assert net.run({"left/a.x": [1], "right/a.x": [2]}) == {"join.out": [(20, 30, 0)]}
    assert edges(text >> node(lambda x: len(x), name="size") >> outer.first) > edges(outer)
    nested = outer.named("deep")
    assert "deep/left/a.out deep/left/b.x" in edges(nested)
    assert edges(Flow(a >> nested.first)) >= {"a.out deep/left/a.x"}
    with pytest.raises(AttributeError, match="inputs first, second; outputs result"):
        outer.third  # noqa: B018


def test_a_flow_stays_what_it_is():
    """What is written with it is another one; two nets of one flow share nothing."""
    flow = a >> round_robin(b, c)
    before = edges(flow)
    flow.named("n")
    Flow(flow, c >> join.a)
    assert edges(flow) == before
    first, second = Net(flow), Net(flow)
    assert first.run({"a.x": [1]}) == second.run({"a.x": [1]}) == {"b.out": [20], "c.out": []}


def test_methods_of_one_object_are_one_node():
    """Though each look at it makes another."""
    scale = nodes.Scale(2)
    assert edges(Flow(a >> scale.scaled, scale.scaled >> b)) == {"a.out scaled.x", "scaled.out b.x"}
    with pytest.raises(GraphError, match="two different nodes are called 'scaled'"):
        Flow(a >> scale.scaled, nodes.Scale(2).scaled >> b)


def test_options_and_hooks_reach_the_net():
    """`retries` defers by itself."""
    calls: list[str] = []

    @node(
        retries=2,
        max_parallel_epochs=3,
        start_node_func=lambda net: calls.append("start"),
        stop_node_func=lambda net: calls.append("stop"),
        exec_failed_node_func=lambda failure: calls.append(f"failed {failure.retry_count}"),
    )
    def flaky(x: int) -> int:
        calls.append("call")
        if len([call for call in calls if call == "call"]) < 3:
            raise ValueError
        return x

    net = Net(flaky)
    config = net.get_node_config("flaky")
    assert (config.retries, config.defer_net_actions, config.max_parallel_epochs) == (2, True, 3)
    assert net.run(x=[1]) == {"flaky.out": [1]}
    assert calls == ["start", "call", "failed 0", "call", "failed 1", "call", "stop"]
    assert flaky.with_options(retries=0).named("once")._options["retries"] == 0


def test_the_graph_of_a_flow_is_a_plain_graph():
    """Which a net can be made of by hand."""
    graph = (a >> b).graph
    assert isinstance(graph, Graph)
    assert graph.validate() == []
    assert set(graph.nodes()) == {"a", "b"}
    assert isinstance(Flow(a).graph, Graph)


def test_functions_of_a_script_go_to_processes(tmp_path):
    """Decorated functions are found by their path, and those of the script itself are sent."""
    code = """
from netrun import Net, node
from tests.build_nodes import double

@node(pool="cpu")
def triple(x: int) -> int:
    return 3 * x

net = Net(double.with_options(pool="cpu") >> triple, process_pools={"cpu": {"size": 1}})
print(net.run({"double.x": [1, 2]}))
"""
    assert python(code, cwd=tmp_path) == "{'triple.out': [6, 12]}\n"
    code = """
from netrun import Net, node

@node(pool="cpu", start_node_func=lambda worker: None)
def factorial(n: "int") -> "int":
    return n * factorial(n - 1) if n > 1 else 1

if __name__ == "__main__":
    print(Net(factorial, process_pools={"cpu": {"size": 1, "start_method": "spawn"}}).run(n=[5]))
"""
    assert python(code, cwd=tmp_path) == "{'factorial.out': [120]}\n"
    from netrun.functions import body_of, read

    sent = cloudpickle.dumps(body_of(read(nodes.double)))
    assert len(sent) < 800
    assert pickle.loads(sent).func is nodes.double._func


README = (Path(__file__).parents[1] / "README.md").read_text()
SECTION = README.partition("## Five nets in ten lines each")[2].partition("\n## ")[0]
PROGRAMS = dict(re.findall(r"<summary>(.*?)</summary>\n+```python\n(.*?)```", SECTION, re.DOTALL))
IN_A_KERNEL = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(sys.stdin.read())])
NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
print(*(output["text"] for output in notebook.cells[0]["outputs"]))
"""


def test_the_first_lines_of_the_chapter_run():
    """As they stand there."""
    chapter = (
        (Path(__file__).parents[1] / "pts" / "14b_build.pct.py")
        .read_text()
        .replace("\n# ", "\n")
        .replace("\n#\n", "\n\n")
    )
    program = chapter.partition("```python\n")[2].partition("```")[0]
    (said,) = re.findall(r"  # (\{.*\})", program)
    assert sorted(python(program).strip()) == sorted(said)  # in whichever order the threads have ended


def test_the_readme_has_the_five_programs():
    """Of ten lines at the most."""
    assert [title.split(":")[0] for title in PROGRAMS] == [
        "A chain", "A diamond", "An async fan-out", "A process pool", "A node that is tried again",
    ]  # fmt: skip
    assert max(len(program.splitlines()) for program in PROGRAMS.values()) <= 10


@pytest.mark.parametrize("is_notebook", [False, True])
@pytest.mark.parametrize("title", PROGRAMS)
def test_ten_lines_make_a_net(title, is_notebook, tmp_path):
    """Pasted into a file and run by a fresh interpreter, and into the first cell of a fresh kernel."""
    (tmp_path / "program.py").write_text(PROGRAMS[title])
    (tmp_path / "kernel.py").write_text(IN_A_KERNEL)
    done = subprocess.run(
        [sys.executable, "kernel.py" if is_notebook else "program.py"],
        input=PROGRAMS[title],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == PROGRAMS[title].rpartition("# ")[2].strip()


# --- as text


def test_a_flow_is_written_as_text_and_read_again():
    """Factories with the paths of the functions, options and port types."""
    flow = nodes.double >> [nodes.first_of_two.x, nodes.first_of_two.y]
    net = Net(flow)
    text = net.to_toml()
    assert 'factory_args = { func = "tests.build_nodes.double" }' in text
    assert "when" in text
    assert "retries = 1" in text
    assert 'outputs = ["first_of_two_x", "first_of_two_y"]' in text
    again = Net.from_toml(text)
    assert again.to_toml() == text
    assert again.get_input_port_type("double", "x") is int
    assert again.run({"double.x": [1, 2]}) == net.run({"double.x": [1, 2]}) == {"first_of_two.out": [[2, 2]]}


@pytest.mark.parametrize(
    "part",
    [nodes.up_to.named("twice"), node(nodes.plain), nodes.told_later, nodes.Ways.of_class, nodes.Ways.static,
     nodes.scaled, nodes.scale.scaled, nodes.tripled],
)  # fmt: skip
def test_every_kind_of_importable_function_is_written(part):
    """Under another name too."""
    net = Net(part)
    text = net.to_toml()
    assert Net.from_toml(text).to_toml() == text
    assert text.count("from_function") == 1


def test_the_other_functions_of_a_node_are_written_by_their_paths():
    """Beside the factory."""
    net = Net(nodes.double.with_options(start_node_func=nodes.opened, exec_failed_node_func=nodes.opened))
    text = net.to_toml()
    assert text.count('"tests.build_nodes.opened"') == 2
    again = Net.from_toml(text)
    assert again.to_toml() == text
    nodes.OPENED.clear()
    assert again.run(x=[1]) == {"double.out": [2]}
    (argument,) = nodes.OPENED
    assert argument is again


def test_what_cannot_be_written_says_why():
    """A function of this script, a lambda."""
    with pytest.raises(DslError, match="a lambda has no path"):
        Net(node(lambda x: x, name="f")).to_toml()


# --- the forty mistakes


def _pair(x) -> Outputs["left", "right"]:  # noqa: F821
    return Outputs(left=x)


pair = node(_pair, name="pair")
sink = node(lambda x: None, name="sink")


@node
def ended(x: int) -> None: ...


@node
def source() -> int:
    return 1


def plain(x: int) -> int:
    return x


def counts(x) -> int:  # a generator that says it returns
    yield x


async def counts_later(x) -> Iterator[int]:
    yield x


def starred(*xs): ...
def keyed(**xs): ...
def unread(x: "list[1 / 0]"): ...
def batch_of_int(x: Annotated[int, Batch(2)]): ...
def batch_bare(x: Annotated[list[int], Batch]): ...
def outputs_bare(x) -> Outputs: ...
def outputs_of_int(x) -> Outputs[int]: ...
def contextless(ctx, x): ...
def batch_alone(x: Batch(2)): ...
def outputs_twice(x) -> Outputs["a", "a"]: ...
def context_in_list(c: list[NodeExecutionContext], x): ...
def two_contexts(c: NodeExecutionContext, d: NodeExecutionContext, x): ...
def batch_within(x: list[Annotated[list[int], Batch(2)]]): ...
def outputs_or_none(x) -> Outputs["a", "b"] | None: ...
def outputs_within(x) -> list[Outputs["a", "b"]]: ...
def maybe_halves(x) -> nodes.HalvesOutputs | None: ...


MISTAKES = [
    (lambda: a >> text, GraphError, ["a.out >> text.x", "int to str", "never meet", "put a node between"]),
    (lambda: a.out >> text.x, GraphError, ["a.out >> text.x", "int to str"]),
    (lambda: a >> [b, text], GraphError, ["a.out >> text.x", "int to str"]),
    (lambda: a >> round_robin(b, text), GraphError, ["a.out >> text.x", "int to str"]),
    (lambda: [a, text] >> node(lambda a, b: 1, name="d"), GraphError, ["[a, text] >> d", "'text'", "inputs are a, b"]),
    (lambda: [text.named("a"), b] >> join, GraphError, ["a.out >> join.a", "str to int"]),
    (lambda: a >> join, GraphError, ["a.out >> join.a or a.out >> join.b", "Write the one that you mean"]),
    (lambda: pair >> a, GraphError, ["pair.left >> a.x or pair.right >> a.x"]),
    (lambda: pair >> join, GraphError, ["pair.left >> join.a", "pair.right >> join.b"]),
    (lambda: pair >> [a, b], GraphError, ["pair.left >> a.x or pair.right >> a.x"]),
    (lambda: mixed >> [a, text], GraphError, ["mixed >> [a, text]", "more than one output", "mixed.text >> text.x"]),
    (lambda: ended >> a, GraphError, ["ended >> a", "no output port", "-> None"]),
    (lambda: a >> source, GraphError, ["a >> source", "no input port", "parameter"]),
    (lambda: Flow(a >> b, a >> c), GraphError, ["a.out >> c.x", "edge to b.x already", "a >> [b.x, c.x]"]),
    (lambda: (a >> b) >> Flow(a >> c), GraphError, ["a.out", "b.x", "c.x"]),
    (lambda: a >> plain, GraphError, ["plain (test_build.py", "write @node above it, or node(plain)"]),
    (lambda: plain >> a, GraphError, ["plain (test_build.py", "no node yet"]),
    (lambda: a >> [plain, b], GraphError, ["plain (test_build.py", "no node yet"]),
    (lambda: a >> "b", GraphError, ["'b' cannot stand in a flow"]),
    (lambda: 3 >> a, GraphError, ["3 cannot stand in a flow"]),
    (lambda: a >> [], GraphError, ["an empty list"]),
    (lambda: a >> None, GraphError, ["None cannot stand"]),
    (lambda: round_robin(), GraphError, ["a >> round_robin(b, c)"]),
    (lambda: a.x >> b, GraphError, ["input a.x", "left of >>", "outputs there are: out"]),
    (lambda: a >> b.out, GraphError, ["output b.out", "right of >>", "inputs there are: x"]),
    (lambda: a.y >> b, AttributeError, ["no port 'y'", "inputs x; outputs out"]),
    (lambda: a >> join.d, AttributeError, ["no port 'd'", "inputs a, b, c"]),
    (lambda: a.otu, AttributeError, ["Did you mean 'out'?"]),
    (lambda: Flow(a >> b).nowhere, AttributeError, ["no port 'nowhere'", "inputs x; outputs out"]),
    (lambda: Flow(a >> b, b.with_options(timeout=1) >> c), GraphError,
     ["two different nodes are called 'b'", "timeout=1", 'b.named("...")']),
    (lambda: Flow(a, node(plain, name="a")), GraphError, ["called 'a'", "plain (test_build.py"]),
    (lambda: a >> [b.x, b.x], GraphError, ["b.x is there twice"]),
    (lambda: [a, b] >> [c, text], TypeError, ["unsupported operand"]),
    (lambda: (a >> [b, c]) >> [join.a, join.b], GraphError, ["[b, c] >> [join, join]", "several to several"]),
    (lambda: (a >> b >> a) >> b, GraphError, ["a >> b"]),
    (lambda: Flow(a >> b, expose={"x": 3}), GraphError, ["expose takes ports", "'x'"]),
    (lambda: Flow(a >> b, expose={"x": c.x}), GraphError, ["c.x", "c is not in the flow"]),
    (lambda: Flow(a >> b, expose={"y": a.out}), GraphError, ["a.out", "has an edge to b.x"]),
    (lambda: Net(plain), ConfigError, ["plain (test_build.py", "@node above it"]),
    (lambda: Net("a"), ConfigError, ["a Graph, a Flow or a node, not of 'a'"]),
    (lambda: Net([a, plain]), GraphError, ["plain (test_build.py", "@node"]),
    (lambda: node(starred), ConfigError, ["starred (test_build.py", "'*xs'"]),
    (lambda: node(keyed), ConfigError, ["keyed (test_build.py", "'**xs'"]),
    (lambda: node(max), ConfigError, ["are not known"]),
    (lambda: node(3), ConfigError, ["not 3"]),
    (lambda: node(retires=1)(plain), ConfigError, ["plain (test_build.py", "Did you mean 'retries'?"]),
    (lambda: node(plain, retries=-1), ConfigError, ["plain (test_build.py", "retries must be"]),
    (lambda: node(plain, start_node_func=3), ConfigError, ["start_node_func must be callable"]),
    (lambda: node(plain, name=""), ConfigError, ["name of a node"]),
    (lambda: a.with_options(pol="io"), ConfigError, ["Did you mean 'pool'?"]),
    (lambda: Net(a, thread_pools={"oi": {"size": 1}}).set_node_config("a", pool=3), ConfigError, ["pool"]),
    (lambda: Net(a.with_options(pool="io"), thread_pools={"oi": {"size": 1}}).run(x=[1]), ConfigError,
     ["node 'a'", "pool 'io'", "'oi'"]),
    (lambda: Net(node(plain, when="count(y) > 1")), ExpressionError, ["plain (test_build.py", "no parameter `y`", "^"]),
    (lambda: node(plain, when="nonemty(x)"), ExpressionError, ["did you mean `nonempty`"]),
    (lambda: Net(source.with_options(when="nonempty(x)")), GraphError, ["has no parameters"]),
    (lambda: node(plain, when=3), ConfigError, ["such as 'count(x) >= 2', not 3"]),
    (lambda: node(counts) >> a, GraphError, ["node 'counts'", "-> Iterator[...]", "not as int"]),
    (lambda: node(counts_later) >> a, GraphError, ["node 'counts_later'", "-> AsyncIterator[...]"]),
    (lambda: node(unread) >> a, GraphError, ["node 'unread'", "'list[1 / 0]'", "parameter 'x'"]),
    (lambda: Net(node(batch_of_int)), GraphError, ["Annotated[list[int], Batch(5)]"]),
    (lambda: Net(node(batch_bare)), GraphError, ["Annotated[list[int], Batch(5)]"]),
    (lambda: Net(node(batch_alone)), GraphError, ["Annotated[list[int], Batch(5)]"]),
    (lambda: Net(node(contextless)), GraphError, ["contextless (test_build.py", "ctx: NodeExecutionContext"]),
    (lambda: Net(nodes.Scale.scaled), GraphError, ["scaled (build_nodes.py", "is a method", "`thing.scaled`"]),
    (lambda: setattr(join, "a", b), AttributeError, ["join.a is a port", "`other >> join.a`"]),
    (lambda: (a >> join.a) and (b >> join.b), TypeError, ["Flow(a >> b, c >> d)"]),
    (lambda: a(1) >> b, GraphError, ["2 cannot stand in a flow", "without a call"]),
    (lambda: Net(text).run(x="abc"), ConfigError, ["as a list", "'abc'"]),
    (lambda: Net(text).run(["abc"]), ConfigError, ["{'Node.port': values}"]),
    (lambda: Net(node(lambda x: Outputs(a=x), name="n")).run(x=[1]), NodeExecutionFailed, ["-> Outputs['a']"]),
    (lambda: Batch(0), ConfigError, ["from 1 on, not 0"]),
    (lambda: Net(node(outputs_bare)), GraphError, ['-> Outputs["left", "right"]']),
    (lambda: Net(node(outputs_of_int)), GraphError, ["different names of ports"]),
    (lambda: Net(node(outputs_twice)), GraphError, ["different names of ports", "'a', 'a'"]),
    (lambda: Net(a >> b).run(y=[1]), ConfigError, ["no input port 'y'", "'a.x'"]),
    (lambda: Net(a >> b).run({"a.y": [1]}), ConfigError, ["no input port 'a.y'", "Did you mean 'a.x'?"]),
    (lambda: Net(Flow(a, b)).run(x=[1]), ConfigError, ["more than one node has an input port 'x'", "'a', 'b'"]),
    (lambda: Net(a).run(x=1), ConfigError, ["a list or another iterable, not 1"]),
    (lambda: Net(a).run(x={"k": 1}), ConfigError, ["a list or another iterable, not {'k': 1}"]),
    (lambda: Net(node(lambda sources: 1, name="w")).run(sources=[1]), ConfigError,
     ["True or False, not [1]", "{'w.sources': values}"]),
    (lambda: Net(node(lambda inputs: 1, name="w")).run(inputs=[1]), ConfigError, ["{'w.inputs': values}"]),
    (lambda: Net(node(lambda outputs: 1, name="w")).run(outputs=[1]), ConfigError, ["{'w.outputs': values}"]),
    (lambda: Net(pair).run(outputs="pair.left"), ConfigError, ["['Node.port'], not 'pair.left'"]),
    (lambda: Net(a, on_eror="continue"), ConfigError, ["no option 'on_eror'", "Did you mean 'on_error'?"]),
    (lambda: Net(a, b), ConfigError, ["one thing, and 2 were given", "Net(Flow(a, b))"]),
    (lambda: Net(), ConfigError, ["one thing, and 0 were given"]),
    (lambda: a >> [round_robin(b, c), text], GraphError, ["round_robin(b, c) stands alone", "a >> round_robin(b, c)"]),
    (lambda: a >> round_robin([b, c], text), GraphError, ["[b, c] is several"]),
    (lambda: a >> round_robin(round_robin(b, c)), GraphError, ["round_robin(b, c) stands alone"]),
    (lambda: Flow(round_robin(a, b)), GraphError, ["round_robin(a, b) stands alone"]),
    (lambda: round_robin(a, b) >> c, GraphError, ["round_robin(a, b) stands alone"]),
    (lambda: Flow(a >> [b, c], a.out >> text), GraphError, ["joins int to str"]),
    (lambda: Flow(a >> [b, c], a.out >> sink), GraphError, ["edge to b.x and c.x already", "a >> [b.x, c.x, sink.x]"]),
    (lambda: Flow(a >> [b, c], a >> [sink, c]), GraphError, ["edge to b.x and c.x already", "a >> [b.x, c.x, sink.x]"]),
    (lambda: Flow((a >> b).named("p"), a.named("p/a") >> c), GraphError,
     ['a.named("p/a") >> [b.named("p/b").x, c.x]']),
    (lambda: Flow(pair.left >> a, pair.left >> b), GraphError, ["pair.left >> [a.x, b.x]"]),
    (lambda: Flow(node(lambda x: x), node(lambda y: y)), GraphError, ['node(f).named("...")']),
    (lambda: Flow(a >> b, expose=[a.x]), GraphError, ['{"text": node.x}', "not [<input a.x>]"]),
    (lambda: Flow(a >> b, expose={1: a.x}), GraphError, ["1 is no name for a port"]),
    (lambda: Flow(a >> b, expose={"named": a.x}), GraphError, ["'named' is no name", "none of its methods"]),
    (lambda: node(lambda _x: 1, name="w")._x, AttributeError, ['.port("_x")']),
    (lambda: Flow(node(lambda _x: 1, name="w"))._x, AttributeError, ['.port("_x")']),
    (lambda: a >> str, GraphError, ["str is a class and no node yet", "node(str)"]),
    (lambda: a.with_options(name="q"), ConfigError, ["a.named('q')"]),
    (lambda: node("q"), ConfigError, ["node(name='q')"]),
    (lambda: Net(node(context_in_list)), GraphError, ["is `c` the context?", "c: NodeExecutionContext"]),
    (lambda: Net(node(two_contexts)), GraphError, ["'c' gets the context already", "'d' would too"]),
    (lambda: Net(node(batch_within)), GraphError, ["Annotated[list[int], Batch(5)]"]),
    (lambda: Net(node(outputs_or_none)), GraphError, ["without `| None`", "return Skip"]),
    (lambda: Net(node(outputs_within)), GraphError, ["declared alone"]),
    (lambda: Net(node(maybe_halves)), GraphError, ["without `| None`", "return Skip"]),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_mistakes_are_told_with_both_ends_and_the_way_out(number):
    """Of wiring, typing and naming."""
    wrong, kind, words = MISTAKES[number]
    with pytest.raises(kind) as caught:
        wrong()
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
    if kind is GraphError:
        assert len(caught.value.findings) == 1
