"""How things look: in a notebook, in a debugger, in a message."""

import enum
import inspect
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

import netrun
from netrun import (
    Batch,
    DeadLetterEntry,
    DeadLetterQueue,
    DeferredPacket,
    DslFinding,
    Flow,
    GraphFinding,
    HistoryEntry,
    Net,
    NetConfig,
    NetDefinition,
    NetStatus,
    NodeConfig,
    NodeStatus,
    Outputs,
    Salvo,
    Skip,
    node,
    picture,
    round_robin,
)
from netrun.core import brief, unknown_name
from netrun.functions import _Skip
from tests.nets import chain
from tests.test_names_and_errors import ERRORS

LONGEST = 700


@node
def up(number: int) -> int:
    """A node of a function."""
    return number + 1


@node
def down(number: int) -> int:
    """Another."""
    return number - 1


def tell(*about: Any) -> None:
    """A callback."""


def lived() -> dict[str, Any]:
    """One of each thing that a net has, by the name of its class."""
    net = Net(chain("A", "B"), on_error="continue", error_callback=tell)
    there: list[Any] = []

    def work(ctx: Any, packets: dict[str, list[Any]]) -> None:
        packet = packets["in"][0]
        there.extend([ctx, packet, packet.location, net.get_epoch(ctx.epoch_id), *net._engine.running])
        there.extend([net._ledger, net._engine])
        if ctx.consume_packet(packet) == 0:
            raise ValueError("none")
        print("a line")
        ctx.send("out", 1)

    async def later(ctx: Any, packets: dict[str, list[Any]]) -> None:
        there.extend([ctx, *(attempt.recording for attempt in net._engine.running)])
        await ctx.consume_packet(packets["in"][0])
        await ctx.send("out", 2)

    net.set_node_exec("A", work, exec_failed_node_func=there.append)
    net.set_node_exec("B", later)
    net.set_node_config("B", defer_net_actions=True)
    (id, _) = net.inject_packets("A", "in", [1, 0])
    net.start()
    epoch = there[3]
    there += [epoch.in_salvo, net, net._config, net._control, net.poll(), net.poll().nodes["A"], net.value_store]
    there += [net.dead_letter_queue, *net.dead_letter_queue, net.history, net.history.get_entries()[-1]]
    there += [net.get_node_log("A")[0], net.timeline()[0], net.lineage(id), net.get_node_config("B")]
    there += [
        net.why_blocked(),
        net.explain("A"),
        net.why_blocked().root or netrun.Cause("running", "A", "node 'A' runs"),
    ]
    there += [NetDefinition.from_net(Net(up >> down)), up, up >> down, Batch(3), Outputs(a=int, b=str), Skip]
    there += [round_robin(up, down), GraphFinding("Kind", "a message", {}), DslFinding("a message", 1, 2, "x\n^")]
    there += [DeferredPacket(value=1), picture(net)]
    return {type(thing).__name__: thing for thing in there}


THERE = lived()
INSTANCES = sorted(THERE)


@pytest.mark.parametrize("name", INSTANCES)
def test_it_says_what_it_is(name: str) -> None:
    """No address, not too long, and not only the name of the class."""
    text = repr(THERE[name])
    assert " at 0x" not in text
    assert " object>" not in text
    assert len(text) < LONGEST
    assert text.strip("<>()") != name or name == "DeferredPacket"  # one that is not committed has no id yet
    assert str(THERE[name])


def test_every_public_class_is_looked_at() -> None:
    """A new one wants its line in `lived`."""
    public = {getattr(netrun, name) for name in netrun.__all__}
    classes = {it for it in public if inspect.isclass(it) and it.__module__.startswith("netrun.")}
    wanted = {it for it in classes if not issubclass(it, (BaseException, enum.Enum))}
    assert {it.__name__ for it in wanted} <= set(THERE), sorted({it.__name__ for it in wanted} - set(THERE))
    assert {_Skip.__name__, Salvo.__name__, Flow.__name__, HistoryEntry.__name__} <= set(THERE)


@pytest.mark.parametrize(("thing", "text"), [
    (NodeConfig(), "NodeConfig()"),
    (NodeConfig(retries=2, defer_net_actions=True, pool=("a", "b")),
     "NodeConfig(defer_net_actions=True, retries=2, pool=('a', 'b'))"),
    (NetConfig(on_error="pause", error_callback=tell),
     "NetConfig(on_error='pause', error_callback=tests.test_reprs.tell)"),
    (NodeStatus(finished=3), "NodeStatus(finished=3)"),
    (NodeStatus(), "NodeStatus()"),
    (DeadLetterQueue(), "<DeadLetterQueue: 0 entries, in memory>"),
    (round_robin(up), "round_robin(up)"),
])  # fmt: skip
def test_in_full(thing: Any, text: str) -> None:
    """Fields that are as by default are left out."""
    assert repr(thing) == text


def test_large_things_are_told_in_short() -> None:
    """A status of many nodes, a dead letter with large values, a value that cannot even be told."""
    many = NetStatus(nodes={f"N{number}": NodeStatus(finished=number) for number in range(10_000)})
    assert len(repr(many)) < LONGEST
    assert "10,000 in all" in repr(many)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    entry = DeadLetterEntry("e1-x", "A", ValueError("x" * 10_000), 0, [], [], {}, {"p1-x": list(range(100_000))}, at)
    assert len(repr(entry)) < LONGEST

    class Mean:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert "whose repr raised RuntimeError" in repr(HistoryEntry("h1", at, "event", data={"value": Mean()}))
    assert brief(NodeStatus(failed=1)) == "NodeStatus(failed=1)"
    assert len(unknown_name("node", "x", [f"N{number}" for number in range(10_000)])) < LONGEST
    assert "10,000 in all" in unknown_name("node", "x", map(str, range(10_000)))


@pytest.mark.parametrize(("kind", "arguments", "words"), ERRORS, ids=[kind.__name__ for kind, _, _ in ERRORS])
def test_errors_read_well(kind: Callable[..., Exception], arguments: Any, words: Any) -> None:
    """A sentence: no address, no bare class name, an end; the repr names the class and its arguments."""
    error = kind(**arguments)
    text = str(error)
    assert not re.search(r" at 0x|<class |\bNone\b.*\bNone\b", text)
    assert all(word in text for word in words)
    assert repr(error).startswith(kind.__name__)
