"""The commit of a recording: all of it or nothing, whatever goes wrong and wherever."""

import os
import pickle
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from netrun import (
    CannotFinishNonEmptyEpochError,
    DeferredPacket,
    DeferredPacketIdAccessError,
    EpochState,
    Graph,
    MaxSalvosExceededError,
    Net,
    NetrunError,
    NodeExecutionContext,
    OutputPortFullError,
    Packet,
    PacketNotFoundError,
    PacketNotInAnyNodeError,
    SalvoConditionNotMetError,
    SalvoConditionTerm,
    UnsentOutputSalvoError,
    ValueFunctionFailed,
)
from netrun.books import Holder
from netrun.context import Recording
from netrun.ledger import Ledger
from tests.graphs import at_least, edge, entry, exit, graph, node, nonempty
from tests.ledgers import begin, dump, dump_books, dump_sim, inside, ledger_of
from tests.nets import chain

Body = Callable[[NodeExecutionContext, list[Packet]], Any]


def workshop() -> Graph:
    """`W` takes three packets at once. `left` and `right` lead to nodes of their own, `free` is unconnected, `once` may
    be sent a single time, `narrow` holds one packet; `pair` sends two of `left` with one of `free`."""
    exits = {
        "left": exit("left", nonempty("left")),
        "right": exit("right", nonempty("right")),
        "free": exit("free", nonempty("free")),
        "pair": exit({"left": 2, "free": 1}, SalvoConditionTerm.and_([at_least("left", 2), nonempty("free")])),
        "both": exit(["left", "right", "free"], SalvoConditionTerm.and_([nonempty("left"), nonempty("right")])),
        "once": exit("once", nonempty("once"), max_salvos=1),
        "narrow": exit("narrow", nonempty("narrow")),
    }
    work = node(
        "W",
        ["in", "side"],
        {"left": None, "right": None, "free": None, "once": None, "narrow": 1},
        entries={"three": entry({"in": 2, "side": 1}, SalvoConditionTerm.and_([at_least("in", 2), nonempty("side")]))},
        exits=exits,
    )
    pairs = {"pairs": entry({"in": 2}, at_least("in", 2))}
    nodes = [work, node("Left", ["in"], entries=pairs), node("Right", {"in": 1}, ["out"])]
    return graph(nodes, [edge("W.left", "Left.in"), edge("W.right", "Right.in"), edge("W.once", "W.side")])


def at_work(**options: Any) -> tuple[Ledger, Holder]:
    """A ledger in the midst of things, and an epoch of `W` that runs on 10, 11 and 12.

    Before it another epoch of `W` has sent: one packet waits at `Left`, one epoch of `Right` waits for its start, one
    packet is outside the net. One more epoch of `W` runs and holds things, and one waits.
    """
    ledger = ledger_of(workshop(), **options)
    ledger.inject("W", "in", [1, 2, 4, 5, 10, 11, 20, 21, 30])
    ledger.inject("W", "side", [3, 6, 12, 22])
    first, other = begin(ledger), begin(ledger)
    for packet in inside(first):
        ledger.consume(first, packet)
    for port in ("left", "right", "free"):
        ledger.send_value(first, port, f"first {port}")
    ledger.finish(first)
    ledger.load(other, "left", inside(other)[1])
    ledger.create(other, func=lambda: "lazy")
    holder = begin(ledger)
    assert [ledger.values.get_value(packet.id) for packet in inside(holder)] == [10, 11, 12]
    ledger.check()
    return ledger, holder


def recorded(ledger: Ledger, holder: Holder, body: Body) -> tuple[Recording, Any]:
    """What `body` does, written down; and what it returns."""
    recording = Recording(holder, ledger.values)
    result = body(NodeExecutionContext(holder, recording), inside(holder))
    return recording, result


# -- bodies that a commit accepts -------------------------------------------------------------------------------------


def consume_all(ctx: NodeExecutionContext, packets: list[Packet]) -> None:
    """Only consumes, not in order."""
    for packet in (packets[1], packets[0], packets[2]):
        ctx.consume_packet(packet)


def pass_on(ctx: NodeExecutionContext, packets: list[Packet]) -> None:
    """Sends what it got, over connected and unconnected ports, two in one salvo."""
    ctx.load_output_port("left", packets[2])
    ctx.load_output_port("free", packets[0])
    ctx.load_output_port("left", packets[1])
    ctx.send_output_salvo("pair")


def make_and_send(ctx: NodeExecutionContext, packets: list[Packet]) -> None:
    """Creates values and value functions and sends them, one and many in a salvo."""
    total = sum(ctx.consume_packet(packet) for packet in packets)
    ctx.send("left", total)
    ctx.send("free", "first out")
    for number in range(3):
        ctx.load_output_port("right", ctx.create_packet(number))
    lazy = ctx.create_packet_from_value_func(lambda: "made late")
    ctx.load_output_port("free", lazy)
    ctx.load_output_port("left", ctx.create_packet("second"))
    ctx.send_output_salvo("both")


def everything(ctx: NodeExecutionContext, packets: list[Packet]) -> None:
    """All at once: an own packet is consumed, inputs are consumed and passed on, salvos of two and three packets."""
    own = ctx.create_packet("own")
    ctx.load_output_port("free", own)
    assert ctx.consume_packet(own) == "own"
    ctx.load_output_port("free", packets[1])
    ctx.load_output_port("free", ctx.create_packet("new"))
    ctx.send_output_salvo("free")
    value = ctx.consume_packet(packets[0])
    for number in range(3):
        ctx.load_output_port("left", ctx.create_packet_from_value_func(lambda number=number: value + number))
    ctx.send_output_salvo("left")
    ctx.load_output_port("once", packets[2])
    ctx.send_output_salvo("once")


BODIES = [consume_all, pass_on, make_and_send, everything]
COMMANDS = {"consume_all": 3, "pass_on": 4, "make_and_send": 3 + 3 + 3 + 3 * 2 + 2 + 2 + 1, "everything": 17}


def count_of(body: Body) -> int:
    """How many commands `body` records."""
    ledger, holder = at_work()
    return len(recorded(ledger, holder, body)[0].commands)


CASES = [(body, k) for body in BODIES for k in range(1, COMMANDS[body.__name__] + 2)]


@pytest.mark.parametrize("body", BODIES)
def test_the_cases_below_cover_every_command(body: Body) -> None:
    """The numbers that the parametrization is made of are right."""
    assert count_of(body) == COMMANDS[body.__name__]


# -- refused at every command -----------------------------------------------------------------------------------------


class Refused(NetrunError):
    """A refusal that only the tests make."""


def break_at(ledger: Ledger, k: int, error: BaseException) -> list[int]:
    """Let the simulator refuse the k-th action from now on. Returns a list with the number of actions in it."""
    do, done = ledger._do, [0]

    def breaking(action: Any) -> Any:
        done[0] += 1
        if done[0] == k:
            raise error
        return do(action)

    ledger._do = breaking
    return done


@pytest.mark.parametrize("error", [Refused("no"), KeyboardInterrupt(), MemoryError()], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(("body", "k"), CASES, ids=lambda x: getattr(x, "__name__", x))
def test_a_commit_that_fails_at_its_kth_command_changes_nothing(body: Body, k: int, error: BaseException) -> None:
    """Simulator, books and values are the same before and after; then a good recording commits."""
    ledger, holder = at_work(consumed_storage=True)
    recording, _ = recorded(ledger, holder, body)
    before, do = dump(ledger), ledger._do
    done = break_at(ledger, k, error)
    with pytest.raises(type(error)) as refused:
        ledger.commit(holder, recording.commands)
    assert done == [k], "nothing is played after the refusal"
    ledger._do = do
    assert dump_sim(ledger) == before[0]
    assert dump_books(ledger) == before[1]
    ledger.check()
    assert holder.over is None
    assert holder.epoch.state == EpochState.Running
    if isinstance(error, Refused):
        assert refused.value.__cause__ is error
        text = str(refused.value)
        assert f"node 'W', epoch {holder.epoch.id}, attempt 1: command {k} of {len(recording.commands) + 1} (" in text
        assert "Nothing of the attempt is in the net" in text
    else:
        assert refused.value is error

    again, _ = recorded(ledger, holder, body)
    ledger.commit(holder, again.commands)
    ledger.check()
    assert holder.epoch.state == EpochState.Finished
    assert outcome(ledger) == outcome_of_undisturbed(body)


def outcome(ledger: Ledger) -> Any:
    """What is in the net, in values: independent of ids."""
    books = ledger.values
    value = lambda packet: books.get_value(packet.id)  # noqa: E731
    startable = [ledger.get_epoch(id) for id in ledger.startable()]
    return (
        {
            door.node_name: {
                gate.port: (
                    [value(packet) for packet in gate.packets],
                    [[value(packet) for _, packet in wire.line] for wire in gate.wires],
                )
                for gate in door.gates.values()
            }
            for door in ledger.doors.values()
        },
        [(epoch.node_name, [value(packet) for packet in epoch._entered]) for epoch in startable],
        ledger.take_outputs("W", "free"),
        len(books),
    )


def outcome_of_undisturbed(body: Body) -> Any:
    """What `body` leaves when its commit is not disturbed."""
    ledger, holder = at_work(consumed_storage=True)
    ledger.commit(holder, recorded(ledger, holder, body)[0].commands)
    ledger.check()
    return outcome(ledger)


@pytest.mark.parametrize("body", BODIES)
def test_a_commit_leaves_what_a_live_context_leaves(body: Body) -> None:
    """Recorded and committed, or acted out at once: the same packets at the same places in the same order."""
    ledger, holder = at_work(consumed_storage=True)
    body(NodeExecutionContext(holder, ledger), inside(holder))
    ledger.finish(holder)
    ledger.check()
    assert outcome(ledger) == outcome_of_undisturbed(body)


@pytest.mark.parametrize("kind", ["live", "recorded"])
def test_a_finished_epoch_tells_what_it_sent(kind: str) -> None:
    """`out_salvos` of an epoch that somebody holds on to is the same for live and deferred actions."""
    ledger, holder = at_work()
    recording = Recording(holder, ledger.values)
    ctx = NodeExecutionContext(holder, ledger if kind == "live" else recording)
    everything(ctx, inside(holder))
    if kind == "live":
        ledger.finish(holder)
    else:
        ledger.commit(holder, recording.commands)
    salvos = holder.epoch.out_salvos
    assert [salvo.salvo_condition for salvo in salvos] == ["free", "left", "once"]
    assert [[port for port, _ in salvo.packets] for salvo in salvos] == [["free"] * 2, ["left"] * 3, ["once"]]
    assert salvos[2].packets[0][1].id == inside(holder)[2].id


@pytest.mark.parametrize("kind", ["live", "recorded"])
def test_an_epoch_tells_every_salvo_of_a_burst(kind: str) -> None:
    """Sends that repeat each other, and what comes between them: each is a salvo of its own, with its own packet."""
    ledger, holder = at_work()
    recording = Recording(holder, ledger.values)
    ctx = NodeExecutionContext(holder, ledger if kind == "live" else recording)
    for packet in inside(holder):
        ctx.consume_packet(packet)
    sent = [("free", [ctx.send("free", number)]) for number in range(3)]
    sent += [("left", [ctx.send("left", number)]) for number in range(2)]
    sent += [("free", [ctx.send("free", number)]) for number in range(2)]
    pair = [ctx.create_packet(number) for number in range(2)]
    for packet in pair:
        ctx.load_output_port("free", packet)
    ctx.send_output_salvo("free")
    sent += [("free", pair)]
    sent += [("free", [ctx.send("free", number)]) for number in range(2)]
    if kind == "live":
        ledger.finish(holder)
    else:
        ledger.commit(holder, recording.commands)
    expected = [(name, [(name, packet.id) for packet in packets]) for name, packets in sent]
    salvos = holder.epoch.out_salvos
    assert [(salvo.salvo_condition, [(port, p.id) for port, p in salvo.packets]) for salvo in salvos] == expected


# -- the simulator's own refusals -------------------------------------------------------------------------------------


def fill_narrow(ctx: NodeExecutionContext, packets: list[Packet]) -> None:
    """Two packets into a port with one slot."""
    for packet in packets:
        ctx.consume_packet(packet)
    for _ in range(2):
        ctx.load_output_port("narrow", ctx.create_packet("x"))


def unmet(ctx: NodeExecutionContext, packets: list[Packet]) -> None:
    """Sends to the outside, then sends a salvo whose term is not met."""
    ctx.load_output_port("free", packets[0])
    ctx.send_output_salvo("free")
    ctx.load_output_port("left", packets[1])
    ctx.send_output_salvo("pair")


def too_often(ctx: NodeExecutionContext, packets: list[Packet]) -> None:
    """Sends a salvo twice that may be sent once."""
    for packet in packets[:2]:
        ctx.load_output_port("once", packet)
        ctx.send_output_salvo("once")


def keeps_a_packet(ctx: NodeExecutionContext, packets: list[Packet]) -> None:
    """Finishes with a packet inside, after two were sent out of the net and one consumed."""
    ctx.load_output_port("free", packets[2])
    ctx.load_output_port("free", packets[1])
    ctx.send_output_salvo("free")
    ctx.consume_packet(packets[0])
    ctx.create_packet("left over")


def leaves_unsent(ctx: NodeExecutionContext, packets: list[Packet]) -> None:
    """Finishes with a packet on an output port."""
    for packet in packets:
        ctx.load_output_port("left", packet)


@pytest.mark.parametrize(
    ("body", "error", "number", "words"),
    [
        (fill_narrow, OutputPortFullError, 7, "load DeferredPacket() into 'narrow'"),
        (unmet, SalvoConditionNotMetError, 4, "send 'pair'"),
        (too_often, MaxSalvosExceededError, 4, "send 'once'"),
        (keeps_a_packet, CannotFinishNonEmptyEpochError, 6, "finish the epoch"),
        (leaves_unsent, UnsentOutputSalvoError, 4, "finish the epoch"),
    ],
)
def test_what_the_simulator_refuses_changes_nothing(
    body: Body, error: type[NetrunError], number: int, words: str
) -> None:
    """The real refusals: their class, the command that the message names, and a net that is as before."""
    ledger, holder = at_work()
    recording, _ = recorded(ledger, holder, body)
    before = dump(ledger)
    with pytest.raises(error, match=f"command {number} of {len(recording.commands) + 1} ") as refused:
        ledger.commit(holder, recording.commands)
    assert f"({words}) was refused" in str(refused.value)
    assert type(refused.value.__cause__) is error
    assert dump(ledger) == before
    ledger.check()
    ledger.commit(holder, recorded(ledger, holder, everything)[0].commands)
    ledger.check()
    assert holder.epoch.state == EpochState.Finished


def test_a_commit_that_leaves_packets_names_them() -> None:
    """As a live finish does: an epoch that ends with packets in it or unsent says which and where."""
    ledger, holder = at_work()
    first, second, third = inside(holder)

    def body(ctx: NodeExecutionContext, packets: list[Packet]) -> None:
        ctx.consume_packet(first)
        ctx.load_output_port("left", third)

    recording, _ = recorded(ledger, holder, body)
    with pytest.raises(NetrunError) as refused:
        recording.commit(holder, ledger)
    assert second.id in str(refused.value)
    assert third.id in str(refused.value)
    assert "'left'" in str(refused.value)
    assert first.id not in str(refused.value)


def test_a_failed_commit_has_not_acted() -> None:
    """What failed whole can be tried again: `acted` says that the net was changed, which it was not."""
    ledger, holder = at_work()
    recording, _ = recorded(ledger, holder, keeps_a_packet)
    with pytest.raises(CannotFinishNonEmptyEpochError):
        ledger.commit(holder, recording.commands)
    assert holder.acted is False


def test_failures_may_follow_each_other() -> None:
    """Ten failed commits in a row, each at another command, leave the net as it was."""
    ledger, holder = at_work()
    before, do = dump(ledger), ledger._do
    for k in range(1, 11):
        recording, _ = recorded(ledger, holder, everything)
        break_at(ledger, k, Refused("no"))
        with pytest.raises(Refused):
            ledger.commit(holder, recording.commands)
        ledger._do = do
        assert dump(ledger) == before


def test_a_large_salvo_keeps_its_order_over_a_failed_commit() -> None:
    """300 packets, consumed in a scattered order and put back: the simulator has them in the order of before."""
    many = {"many": entry("in", at_least("in", 300))}
    ledger = ledger_of(graph([node("N", ["in"], entries=many)]))
    ledger.inject("N", "in", range(300))
    holder = begin(ledger)
    before = dump(ledger)

    def body(ctx: NodeExecutionContext, packets: list[Packet]) -> None:
        for packet in [*packets[1::2], *packets[2::2]]:
            ctx.consume_packet(packet)

    recording, _ = recorded(ledger, holder, body)
    with pytest.raises(CannotFinishNonEmptyEpochError):
        ledger.commit(holder, recording.commands)
    assert dump(ledger) == before


# -- values -----------------------------------------------------------------------------------------------------------


def test_a_value_that_cannot_be_stored_stops_the_commit(tmp_path: Any) -> None:
    """With files, an unpicklable value of a created packet: the commit fails before anything is played."""
    ledger, holder = at_work(storage_path=tmp_path)

    def body(ctx: NodeExecutionContext, packets: list[Packet]) -> None:
        consume_all(ctx, packets)
        ctx.send("left", "fine")
        ctx.send("left", (number for number in range(3)))

    recording, _ = recorded(ledger, holder, body)
    before, files = dump(ledger), sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(TypeError, match="generator"):
        ledger.commit(holder, recording.commands)
    assert dump(ledger) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    ledger.check()


def test_consumed_values_are_gone_only_after_the_commit() -> None:
    """A recorded consume looks at the value and leaves it; the commit takes it, and keeps it where that is wanted."""
    ledger, holder = at_work(consumed_storage=True)
    ids = [packet.id for packet in inside(holder)]
    recording, _ = recorded(ledger, holder, consume_all)
    assert all(ledger.values.has_value(id) for id in ids)
    assert list(holder.values.values()) == [11, 10, 12]
    ledger.commit(holder, recording.commands)
    assert not any(ledger.values.has_value(id) for id in ids)
    assert [ledger.values.get_consumed_value(id) for id in ids] == [10, 11, 12]
    with pytest.raises(PacketNotFoundError, match=ids[0]):
        ledger.get_packet(ids[0])


def test_each_attempt_calls_a_value_function_again() -> None:
    """An input packet with a value function: once for each attempt, and not at the commit."""
    calls: list[str] = []
    ledger = ledger_of(graph([node("A", [], ["out"]), node("B", ["in"])], [edge("A.out", "B.in")]))
    ledger.create_epoch("A")
    source = begin(ledger)
    packet = ledger.create(source, func=lambda: calls.append("called") or len(calls))
    ledger.load(source, "out", packet)
    ledger.send(source, "out")
    ledger.finish(source)
    holder = begin(ledger)
    for attempt in (1, 2, 3):
        recording, value = recorded(ledger, holder, lambda ctx, packets: ctx.consume_packet(packets[0]))
        assert value == attempt
    ledger.commit(holder, recording.commands)
    assert calls == ["called"] * 3
    ledger.check()


def test_a_value_function_that_raises_is_called_again_by_the_next_attempt() -> None:
    """The packet keeps its function, and nothing was recorded of the consume that failed."""
    answers: list[Any] = [ZeroDivisionError("not yet"), 42]

    def func() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    ledger = ledger_of(graph([node("A", [], ["out"]), node("B", ["in"])], [edge("A.out", "B.in")]))
    ledger.create_epoch("A")
    source = begin(ledger)
    ledger.load(source, "out", ledger.create(source, func=func))
    ledger.send(source, "out")
    ledger.finish(source)
    holder = begin(ledger)
    recording = Recording(holder, ledger.values)
    ctx = NodeExecutionContext(holder, recording)
    with pytest.raises(ValueFunctionFailed, match="not yet"):
        ctx.consume_packet(inside(holder)[0])
    assert recording.commands == []
    assert ctx.consume_packet(inside(holder)[0]) == 42
    ledger.commit(holder, recording.commands)
    ledger.check()


def test_the_function_of_a_created_packet_is_called_when_its_value_is_taken() -> None:
    """Recording and commit do not call it; whoever takes the value does, once."""
    calls: list[int] = []
    ledger, holder = at_work()

    def body(ctx: NodeExecutionContext, packets: list[Packet]) -> None:
        consume_all(ctx, packets)
        ctx.load_output_port("free", ctx.create_packet_from_value_func(lambda: calls.append(1) or "made"))
        ctx.send_output_salvo("free")

    recording, _ = recorded(ledger, holder, body)
    ledger.commit(holder, recording.commands)
    assert calls == []
    assert ledger.take_outputs("W", "free") == ["first free", "made"]
    assert calls == [1]


def test_a_lazy_value_that_cannot_be_kept_stops_the_attempt_and_changes_nothing(tmp_path: Any) -> None:
    """Consumed values go to files and this one cannot: told by the consume or by the commit, before the net changes."""
    nodes = [node("A", [], ["out"]), node("B", ["in"])]
    ledger = ledger_of(graph(nodes, [edge("A.out", "B.in")]), storage_path=tmp_path, consumed_storage=True)
    ledger.create_epoch("A")
    source = begin(ledger)
    ledger.load(source, "out", ledger.create(source, func=threading.Lock))
    ledger.send(source, "out")
    ledger.finish(source)
    holder = begin(ledger)
    before = dump(ledger)

    def attempt() -> None:
        recording, _ = recorded(ledger, holder, lambda ctx, packets: ctx.consume_packet(packets[0]))
        ledger.commit(holder, recording.commands)

    with pytest.raises(TypeError, match="lock"):
        attempt()
    assert dump(ledger) == before
    ledger.check()


# -- the packets of a recording ---------------------------------------------------------------------------------------


def test_a_deferred_packet_has_an_id_and_a_location_from_the_commit_on() -> None:
    """Before, both raise; after, it is the packet in the net itself. Ids are in the order of creation."""
    ledger, holder = at_work()

    def body(ctx: NodeExecutionContext, packets: list[Packet]) -> list[Packet]:
        consume_all(ctx, packets)
        made = [ctx.send("free", 1), ctx.send("right", 2), ctx.create_packet(3)]
        for packet in made:
            assert isinstance(packet, Packet)
            assert isinstance(packet, DeferredPacket)
            assert repr(packet) == "DeferredPacket()"
            for attribute in ("id", "location"):
                with pytest.raises(DeferredPacketIdAccessError, match="no id and no location before"):
                    getattr(packet, attribute)
        ctx.consume_packet(made[2])
        return made

    recording, (free, right, own) = recorded(ledger, holder, body)
    ledger.commit(holder, recording.commands)
    assert ledger.get_packet(free.id) is free
    assert (free.location.kind, free.location.node_name, free.location.port_name) == ("OutsideNet", "W", "free")
    assert right.location.kind == "InputPort" or right.location.kind == "Node"
    assert repr(free) == f"DeferredPacket({free.id!r})"
    numbers = [int(packet.id[1:].split("-")[0]) for packet in (free, right, own)]
    assert [b - a for a, b in pairwise(numbers)] == [1, 1]
    with pytest.raises(PacketNotFoundError, match=own.id):
        own.location  # noqa: B018
    with pytest.raises(PacketNotFoundError):
        ledger.get_packet(own.id)
    assert not ledger.values.has_value(own.id)


def test_a_deferred_packet_of_a_failed_attempt_never_gets_an_id() -> None:
    """It stays without one, and the next attempt cannot use it."""
    ledger, holder = at_work()
    recording, packet = recorded(ledger, holder, lambda ctx, packets: ctx.send("left", 1))
    with pytest.raises(CannotFinishNonEmptyEpochError):
        ledger.commit(holder, recording.commands)
    with pytest.raises(DeferredPacketIdAccessError):
        packet.id  # noqa: B018
    next_attempt = NodeExecutionContext(holder, Recording(holder, ledger.values))
    for use in (next_attempt.consume_packet, lambda packet: next_attempt.load_output_port("left", packet)):
        with pytest.raises(PacketNotInAnyNodeError, match=r"DeferredPacket\(\) is not in this epoch"):
            use(packet)


def test_deferred_packets_are_told_apart_and_can_be_keys() -> None:
    """Two packets without an id are not the same packet."""
    one, other = DeferredPacket(value=1), DeferredPacket(value=1)
    assert one != other
    assert len({one, other, one}) == 2


def test_an_own_packet_is_consumed_from_inside_and_from_an_output_port() -> None:
    """A node may consume what it created, loaded or not, direct or lazy; the net never sees it."""
    ledger, holder = at_work()
    values = len(ledger.values)

    def body(ctx: NodeExecutionContext, packets: list[Packet]) -> list[Any]:
        consume_all(ctx, packets)
        direct, lazy = ctx.create_packet([1]), ctx.create_packet_from_value_func(lambda: [2])
        ctx.load_output_port("left", lazy)
        got = [ctx.consume_packet(direct), ctx.consume_packet(lazy)]
        with pytest.raises(PacketNotInAnyNodeError):
            ctx.consume_packet(direct)
        return got

    recording, got = recorded(ledger, holder, body)
    assert got == [[1], [2]]
    before = len(ledger._packets)
    ledger.commit(holder, recording.commands)
    ledger.check()
    assert len(ledger.values) == values - 3
    assert len(ledger._packets) == before - 3


def test_the_error_of_a_commit_can_be_pickled() -> None:
    """It may come from a worker one day: class and text survive."""
    ledger, holder = at_work()
    recording, _ = recorded(ledger, holder, unmet)
    with pytest.raises(SalvoConditionNotMetError) as refused:
        ledger.commit(holder, recording.commands)
    again = pickle.loads(pickle.dumps(refused.value))
    assert type(again) is SalvoConditionNotMetError
    assert str(again) == str(refused.value)


def test_a_recording_of_another_epoch_is_refused() -> None:
    """A command about a packet that is not in the epoch stops the commit, and nothing has happened."""
    ledger, holder = at_work()
    foreign, _ = recorded(ledger, holder, consume_all)
    ledger.inject("W", "in", [0])
    other = begin(ledger)
    before = dump(ledger)
    with pytest.raises(PacketNotInAnyNodeError, match="command 1 of 4"):
        ledger.commit(other, foreign.commands)
    assert dump(ledger) == before


def test_a_commit_of_an_attempt_that_is_over_changes_nothing() -> None:
    """The attempt ran out of time before its recording came: the reason is raised, the net is as before."""
    ledger, holder = at_work()
    recording, _ = recorded(ledger, holder, everything)
    ledger.end_attempt(holder, Refused("too late"))
    before = dump(ledger)
    with pytest.raises(Refused, match="too late"):
        ledger.commit(holder, recording.commands)
    assert dump(ledger) == before
    assert holder.acted is False


def test_an_empty_recording_finishes_an_empty_epoch() -> None:
    """A source that sends nothing: only the finish is played."""
    ledger = ledger_of(graph([node("Source", [], ["out"])]))
    ledger.create_epoch("Source")
    holder = begin(ledger)
    ledger.commit(holder, [])
    assert holder.epoch.state == EpochState.Finished
    assert ledger.doors["Source"].live == 0
    ledger.check()


@pytest.mark.parametrize("deferred", [False, True])
def test_a_value_that_cannot_be_kept_fails_nothing(tmp_path, deferred, caplog) -> None:
    """The folder is gone when a lazy value is to be kept: the packet is consumed all the same, and it is told."""
    net = Net(chain("S", "A"), consumed_packet_storage=True, packet_storage_path=tmp_path / "values")

    def lazy(ctx, packets):
        ctx.load_output_port("out", ctx.create_packet_from_value_func(lambda: "made"))
        ctx.send_output_salvo("out")

    def take(ctx, packets):
        os.rmdir(tmp_path / "values")
        ctx.consume_packet(packets["in"][0])

    net.set_node_exec("S", lazy)
    net.set_node_exec("A", take)
    net.set_node_config("A", defer_net_actions=deferred)
    net.inject_source_epoch("S")
    net.start()
    net._ledger.check()
    assert "is not kept" in caplog.text


def test_kept_files_that_a_user_removed_fail_nothing(tmp_path) -> None:
    """Their eviction finds nothing to do."""
    net = Net(chain("A"), consumed_packet_storage=True, consumed_packet_storage_limit=1, packet_storage_path=tmp_path)
    net.set_node_exec("A", lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["in"][0])))
    net.set_node_config("A", defer_net_actions=True)
    assert net.run({"A.in": [1]}) == {"A.out": [1]}
    for path in tmp_path.glob("*.pkl"):
        path.unlink()
    assert net.run({"A.in": [2]}) == {"A.out": [2]}
    net._ledger.check()


@pytest.mark.parametrize("deferred", [False, True])
def test_what_an_epoch_created_and_consumed_is_kept_too(deferred) -> None:
    """Live and recorded alike."""
    net, own = Net(chain("A"), consumed_packet_storage=True), []

    def make(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        own.append(ctx.create_packet("own"))
        ctx.consume_packet(own[0])

    net.set_node_exec("A", make)
    net.set_node_config("A", defer_net_actions=deferred)
    net.run({"A.in": [1]})
    assert net.value_store.get_consumed_value(own[0].id) == "own"
    net._ledger.check()
