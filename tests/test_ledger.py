"""The Ledger: every act, every refusal, piles, the queue, and that `check` finds what is wrong."""

import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netrun import (
    CannotFinishNonEmptyEpochError,
    EpochNotFoundError,
    EpochState,
    GraphError,
    InputPortNotFoundError,
    MaxSalvosExceededError,
    NetrunError,
    NetStateError,
    NodeNotFoundError,
    OutputPortFullError,
    OutputPortNotFoundError,
    Packet,
    PacketLocation,
    PacketNotFoundError,
    PacketNotInAnyNodeError,
    SalvoConditionNotFoundError,
    SalvoConditionNotMetError,
    SalvoConditionTerm,
    UnsentOutputSalvoError,
    ValueFunctionFailed,
)
from netrun.acts import OVER, held
from netrun.books import READY_LIMIT, Holder
from netrun.ledger import Ledger
from netrun.packets import Epoch
from tests.graphs import at_least, chain, edge, entry, exit, graph, node, nonempty
from tests.ledgers import begin, dump, dump_sim, has_left, inside, is_running, ledger_of


def shop() -> Ledger:
    """`A` (in, side -> out, free, once, narrow, many) leads to `B`; `C` stands alone with a port of two slots."""
    exits = {port: exit(port, nonempty(port)) for port in ("out", "free", "narrow")}
    exits["once"] = exit("once", nonempty("once"), max_salvos=1)
    exits["two"] = exit({"many": 2}, at_least("many", 2))
    exits["all"] = exit(["out", "free"], SalvoConditionTerm.and_([nonempty("out"), nonempty("free")]))
    a = node(
        "A",
        ["in", "side"],
        {"out": None, "free": None, "once": None, "narrow": 1, "many": None, "dumb": None},
        exits=exits,
    )
    pairs = {"pair": entry({"in": 2}, at_least("in", 2))}
    nodes = [a, node("B", {"in": None}), node("C", {"in": 2}, entries=pairs)]
    return ledger_of(graph(nodes, [edge("A.out", "B.in")]))


def at_work() -> tuple[Ledger, Holder, Packet]:
    """The shop with an epoch of `A` running on one packet, whose value is 10."""
    ledger = shop()
    ledger.inject("A", "in", [10])
    holder = begin(ledger)
    return ledger, holder, inside(holder)[0]


def take_all(ledger: Ledger) -> list[tuple[str, list[Any]]]:
    """Run everything that is startable to its end: nodes and the values that their epochs were started with."""
    done = []
    while (epoch := ledger.next()) is not None:
        holder = Holder(epoch)
        ledger.start(holder)
        done.append((epoch.node_name, [ledger.consume(holder, packet) for packet in inside(holder)]))
        ledger.finish(holder)
    return done


# -- a packet's way ---------------------------------------------------------------------------------------------------


def test_a_packet_is_always_somewhere_and_says_where() -> None:
    """Its location at each station: waiting, input port, epoch, output port, edge, next epoch, gone."""
    edge_in = edge("A.out", "C.in")
    pairs = {"pair": entry({"in": 2}, at_least("in", 2))}
    ledger = ledger_of(graph([node("A", {"in": 1}, ["out"]), node("C", {"in": 1}, entries=pairs)], [edge_in]))
    first, second = (ledger.get_packet(id) for id in ledger.inject("A", "in", [1, 2]))
    assert first.location == PacketLocation("InputPort", node_name="A", port_name="in")
    assert second.location == PacketLocation("Waiting", node_name="A", port_name="in")
    ledger.check()
    holder = begin(ledger)
    in_epoch = PacketLocation("Node", node_name="A", epoch_id=holder.epoch.id)
    assert first.location == in_epoch
    assert second.location.kind == "Node"
    ledger.load(holder, "out", first)
    assert first.location == PacketLocation("OutputPort", "A", "out", holder.epoch.id)
    ledger.send(holder, "out")
    assert first.location == PacketLocation("InputPort", node_name="C", port_name="in")
    made = ledger.create(holder, 3)
    assert made.location == in_epoch
    ledger.load(holder, "out", made)
    ledger.send(holder, "out")
    assert made.location == PacketLocation("Edge", edge=edge_in)
    ledger.check()
    ledger.finish(holder)
    other = begin(ledger)
    ledger.consume(other, second)
    with pytest.raises(PacketNotFoundError, match=second.id):
        second.location  # noqa: B018
    ledger.finish(other)
    ledger.check()


def test_the_simulator_sees_what_happens() -> None:
    """What is sent goes over its edge, and from there into the next epoch; what is injected comes from outside."""
    a_to_b = edge("A.out", "B.in")
    ledger = ledger_of(graph([node("A", ["in"], ["out"]), node("B", ["in"])], [a_to_b]))
    seen: list[Any] = []
    act = ledger._do

    def watched(action: Any) -> Any:
        answer = act(action)
        for event in answer[1]:
            moved = event.kind == "PacketMoved"
            seen.append((event.from_location.kind, event.to_location.kind) if moved else event.kind)
            assert not moved or event.to_location.kind != "Edge" or event.to_location.get_edge() == a_to_b
        return answer

    ledger._do = watched
    ledger.inject("A", "in", [1])
    first = begin(ledger)
    assert seen == ["EpochCreated", "PacketCreated", ("OutsideNet", "Node"), "EpochStarted"]
    seen.clear()
    ledger.load(first, "out", inside(first)[0])
    ledger.send(first, "out")
    ledger.finish(first)
    sent = ["OutputSalvoTriggered", "EpochFinished"]
    assert seen == [("Node", "OutputPort"), ("OutputPort", "Edge"), *sent]
    seen.clear()
    second = begin(ledger)
    ledger.consume(second, inside(second)[0])
    ledger.finish(second)
    assert seen == ["EpochCreated", ("Edge", "Node"), "EpochStarted", "PacketConsumed", "EpochFinished"]
    ledger.check()


def test_consume_gives_the_value_and_takes_the_packet_out() -> None:
    """The value, the packet and the registry; the holder remembers what it consumed."""
    ledger, holder, packet = at_work()
    assert ledger.ask(holder, packet) == 10
    assert not holder.acted
    assert ledger.consume(holder, packet) == 10
    assert holder.acted
    assert holder.values == {packet: 10}
    assert has_left(packet)
    assert not ledger.values.has_value(packet.id)
    ledger.check()
    ledger.finish(holder)
    assert holder.epoch.state == EpochState.Finished
    assert holder.over is OVER
    with pytest.raises(EpochNotFoundError, match=holder.epoch.id):
        ledger.get_epoch(holder.epoch.id)
    ledger.check()


def test_a_created_packet_can_be_consumed_inside_and_from_an_output_port() -> None:
    """With a value or a value function, which is called then."""
    ledger, holder, packet = at_work()
    calls: list[int] = []
    direct, lazy = ledger.create(holder, "made"), ledger.create(holder, func=lambda: calls.append(1) or "lazy")
    ledger.load(holder, "out", lazy)
    assert held(holder.epoch) == [packet, direct, lazy]
    assert calls == []
    assert [ledger.consume(holder, each) for each in (direct, lazy, packet)] == ["made", "lazy", 10]
    assert calls == [1]
    assert held(holder.epoch) == []
    ledger.finish(holder)
    ledger.check()
    assert len(ledger.values) == 0


def test_a_loaded_input_packet_can_be_consumed_from_its_output_port() -> None:
    """It leaves the port, and nothing is left to send."""
    ledger, holder, packet = at_work()
    ledger.load(holder, "out", packet)
    assert ledger.consume(holder, packet) == 10
    with pytest.raises(SalvoConditionNotMetError):
        ledger.send(holder, "out")
    ledger.finish(holder)
    ledger.check()


def test_a_salvo_takes_what_its_counts_say_in_order_of_loading() -> None:
    """`count(2)` of three: the two that were loaded first; the epoch tells what it sent."""
    ledger, holder, packet = at_work()
    made = [ledger.create(holder, number) for number in range(3)]
    for each in (made[2], made[0], made[1]):
        ledger.load(holder, "many", each)
    ledger.send(holder, "two")
    assert [p.location.kind for p in made] == ["OutsideNet", "OutputPort", "OutsideNet"]
    assert [salvo.salvo_condition for salvo in holder.epoch.out_salvos] == ["two"]
    assert holder.epoch.out_salvos[0].packets == [("many", made[2]), ("many", made[0])]
    assert ledger.take_outputs("A", "many") == [2, 0]
    assert [packet.id for _, packet in holder.epoch.out_salvos[0].packets] == [made[2].id, made[0].id]
    ledger.consume(holder, made[1])
    ledger.consume(holder, packet)
    ledger.finish(holder)
    ledger.check()


def test_send_value_is_create_load_and_send() -> None:
    """Over an edge, and to the outside; with and without something loaded already."""
    ledger, holder, packet = at_work()
    sent = ledger.send_value(holder, "out", 1)
    assert ledger.get_packet(sent.id) is sent
    assert sent.location.node_name == "B"
    early = ledger.create(holder, "early")
    ledger.load(holder, "free", early)
    ledger.send_value(holder, "free", "late")
    ledger.send_value(holder, "free", "last")
    assert ledger.take_outputs("A", "free") == ["early", "late", "last"]
    assert [salvo.salvo_condition for salvo in holder.epoch.out_salvos] == ["out", "free", "free"]
    assert [len(salvo.packets) for salvo in holder.epoch.out_salvos] == [1, 2, 1]
    ledger.consume(holder, packet)
    ledger.finish(holder)
    ledger.check()
    assert take_all(ledger) == [("B", [1])]


def test_a_salvo_over_two_ports_reaches_each_nodes_door_once() -> None:
    """Packets that are sent together are taken together."""
    both = {"both": exit(["x", "y"], SalvoConditionTerm.true_())}
    any_in = {"any": entry(["a", "b"], SalvoConditionTerm.or_([nonempty("a"), nonempty("b")]))}
    nodes = [node("S", [], ["x", "y"], exits=both), node("T", ["a", "b"], entries=any_in)]
    ledger = ledger_of(graph(nodes, [edge("S.x", "T.b"), edge("S.y", "T.a")]))
    ledger.create_epoch("S")
    holder = begin(ledger)
    for port in "xy":
        ledger.load(holder, port, ledger.create(holder, port))
    ledger.send(holder, "both")
    ledger.send(holder, "both")  # with nothing loaded: a salvo of no packets
    assert holder.epoch.out_salvos[1].packets == []
    ledger.finish(holder)
    assert take_all(ledger) == [("T", ["y", "x"])]
    ledger.check()


def test_ids_count_up_and_belong_to_one_net() -> None:
    """`p1-…`, `p2-…`, `e1-…`; two nets share none."""
    one, other = shop(), shop()
    ids = one.inject("A", "in", [1, 2, 3])
    assert [id.split("-")[0] for id in ids] == ["p1", "p2", "p3"]
    one.route()
    assert [id.split("-")[0] for id in one.startable()] == ["e1"]
    assert len({id.split("-")[1] for id in ids + one.startable()}) == 1
    assert not set(ids) & set(other.inject("A", "in", [1, 2, 3]))


# -- refusals ---------------------------------------------------------------------------------------------------------

Act = Callable[[Ledger, Holder, Packet], Any]


def load_twice(ledger: Ledger, holder: Holder, packet: Packet) -> None:
    ledger.load(holder, "out", packet)
    before = dump(ledger)
    try:
        ledger.load(holder, "out", packet)
    finally:
        assert dump(ledger) == before
        ledger.consume(holder, packet)
        ledger.load(holder, "free", ledger.create(holder, 1))
        ledger.send(holder, "free")
        ledger.check()


def narrow_twice(ledger: Ledger, holder: Holder, packet: Packet) -> None:
    ledger.load(holder, "narrow", ledger.create(holder, 1))
    before = dump(ledger)
    try:
        ledger.load(holder, "narrow", packet)
    finally:
        assert dump(ledger) == before


def once_twice(ledger: Ledger, holder: Holder, packet: Packet) -> None:
    ledger.send_value(holder, "once", 1)
    ledger.load(holder, "once", packet)
    before = dump(ledger)
    try:
        ledger.send(holder, "once")
    finally:
        assert dump(ledger) == before


def send_value_into_a_full_port(ledger: Ledger, holder: Holder, packet: Packet) -> None:
    ledger.load(holder, "narrow", packet)
    before = dump(ledger)
    try:
        ledger.send_value(holder, "narrow", 1)
    finally:
        assert dump(ledger) == before


def send_value_too_often(ledger: Ledger, holder: Holder, packet: Packet) -> None:
    ledger.send_value(holder, "once", 1)
    before = dump(ledger)
    try:
        ledger.send_value(holder, "once", 2)
    finally:
        assert dump(ledger) == before


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (load_twice, NetrunError, ["cannot be loaded into output port 'out'"]),
        (narrow_twice, OutputPortFullError, ["'narrow'", "the port is full; send what it holds first"]),
        (once_twice, MaxSalvosExceededError, ["'once'", "max_salvos"]),
        (send_value_into_a_full_port, OutputPortFullError, ["'narrow'", "the port is full"]),
        (send_value_too_often, MaxSalvosExceededError, ["'once'", "as often as its max_salvos allows"]),
    ],
)
def test_a_refusal_after_some_work_changes_nothing(act: Act, error: type[NetrunError], words: list[str]) -> None:
    """Each compares a full dump before and after the refused act."""
    ledger, holder, packet = at_work()
    with pytest.raises(error) as refused:
        act(ledger, holder, packet)
    text = str(refused.value)
    assert f"node 'A', epoch {holder.epoch.id}, attempt 1: " in text
    assert all(word in text for word in words), text
    ledger.check()


OUTS = "There is: 'dumb', 'free', 'many', 'narrow', 'once', 'out'."


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda ledger, h, p: ledger.load(h, "ouut", p), OutputPortNotFoundError, ["Did you mean 'out'?", OUTS]),
        (lambda ledger, h, p: ledger.send_value(h, "fre", 1), OutputPortNotFoundError, ["Did you mean 'free'?", OUTS]),
        (
            lambda ledger, h, p: ledger.send(h, "tow"),
            SalvoConditionNotFoundError,
            ["output salvo condition 'tow'", "Did you mean 'two'?", "'all', 'free', 'narrow', 'once', 'out', 'two'"],
        ),
        (
            lambda ledger, h, p: ledger.send_value(h, "dumb", 1),
            SalvoConditionNotFoundError,
            ["exactly one condition that sends 'dumb' alone", "'all' sends ['free', 'out']", "'two' sends ['many']"],
        ),
        (lambda ledger, h, p: ledger.send(h, "out"), SalvoConditionNotMetError, ["'out'", "is loaded (nothing)"]),
        (
            lambda ledger, h, p: ledger.send_value(h, "many", 1),
            SalvoConditionNotMetError,
            ["'many'", "'two'", "not met"],
        ),
        (
            lambda ledger, h, p: ledger.finish(h),
            CannotFinishNonEmptyEpochError,
            ["p1-", "in the epoch", "consume or send"],
        ),
        (
            lambda ledger, h, p: ledger.consume(h, Packet(9, "-x")),
            PacketNotInAnyNodeError,
            ["p9-x", "consumed or has left"],
        ),
        (lambda ledger, h, p: ledger.load(h, "out", Packet(9, "-x")), PacketNotInAnyNodeError, ["p9-x"]),
        (lambda ledger, h, p: ledger.consume(h, "p1"), TypeError, ["one of the packets of this epoch", "'p1'"]),
        (lambda ledger, h, p: ledger.ask(h, {"in": [p]}), TypeError, ["one of the packets of this epoch"]),
        (lambda ledger, h, p: ledger.load(h, "out", [p]), TypeError, ["one of the packets of this epoch"]),
        (lambda ledger, h, p: ledger.create(h, func=3), TypeError, ["must be callable"]),
    ],
)
def test_a_refusal_names_what_is_right_and_changes_nothing(act: Act, error: type[Exception], words: list[str]) -> None:
    """Names, ports, conditions and packets that are not there."""
    ledger, holder, packet = at_work()
    before = dump(ledger)
    with pytest.raises(error) as refused:
        act(ledger, holder, packet)
    assert all(word in str(refused.value) for word in words), str(refused.value)
    assert dump(ledger) == before
    ledger.check()


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda ledger: ledger.door("a"), NodeNotFoundError, "There is: 'A', 'B', 'C'"),
        (lambda ledger: ledger.startable("X"), NodeNotFoundError, "There is: 'A', 'B', 'C'"),
        (lambda ledger: ledger.create_epoch("X"), NodeNotFoundError, "There is: 'A', 'B', 'C'"),
        (lambda ledger: ledger.unshelve("X"), NodeNotFoundError, "There is: 'A', 'B', 'C'"),
        (lambda ledger: ledger.inject("X", "in", [1]), NodeNotFoundError, "There is: 'A', 'B', 'C'"),
        (
            lambda ledger: ledger.inject("A", "inn", [1]),
            InputPortNotFoundError,
            "node 'A'.*mean 'in'.*There is: 'in', 'side'",
        ),
        (lambda ledger: ledger.take_outputs("X", "out"), NodeNotFoundError, "There is: 'A', 'B', 'C'"),
        (
            lambda ledger: ledger.take_outputs("A", "out"),
            OutputPortNotFoundError,
            "'dumb', 'free', 'many', 'narrow', 'once'.*edge",
        ),
        (lambda ledger: ledger.take_outputs("B", "out"), OutputPortNotFoundError, "node 'B'.*There is: none"),
        (lambda ledger: ledger.get_packet("p99"), PacketNotFoundError, "'p99'"),
        (lambda ledger: ledger.get_epoch("e99"), EpochNotFoundError, "'e99'"),
    ],
)
def test_wrong_names_are_refused(act: Callable[[Ledger], Any], error: type[NetrunError], words: str) -> None:
    """Nodes and ports by name, packets and epochs by id."""
    ledger, _, _ = at_work()
    before = dump(ledger)
    with pytest.raises(error, match=words):
        act(ledger)
    assert dump(ledger) == before


def test_a_graph_that_cannot_be_run_is_refused() -> None:
    """With all findings, before a simulator (which would panic) sees it."""
    with pytest.raises(GraphError) as refused:
        ledger_of(graph([node("A", [], ["out"])], [edge("A.out", "X.in"), edge("Y.out", "A.in")]))
    kinds = [finding.kind for finding in refused.value.findings]
    assert len(kinds) >= 2
    assert kinds == sorted(kinds)
    assert "'X'" in str(refused.value)
    assert "'Y'" in str(refused.value)


def test_packets_of_another_epoch_are_refused() -> None:
    """The message says where the packet is."""
    ledger, holder, packet = at_work()
    ledger.inject("A", "in", [11])
    other = begin(ledger)
    before = dump(ledger)
    for act in (ledger.ask, ledger.consume, lambda h, p: ledger.load(h, "out", p)):
        with pytest.raises(PacketNotInAnyNodeError, match=f"(?s){other.epoch.id}.*{packet.id}.*{holder.epoch.id}"):
            act(other, packet)
    assert dump(ledger) == before


def test_a_finish_names_what_is_left() -> None:
    """Packets inside and on output ports, by id; an epoch that could not finish goes on."""
    ledger, holder, packet = at_work()
    made, unsent = ledger.create(holder, 1), ledger.create(holder, 2)
    ledger.load(holder, "out", unsent)
    before = dump(ledger)
    with pytest.raises(CannotFinishNonEmptyEpochError) as refused:
        ledger.finish(holder)
    assert str(refused.value) == (
        f"node 'A', epoch {holder.epoch.id}, attempt 1: ended with packets left in the epoch: {packet.id}, {made.id} "
        f"(consume or send them); on output port 'out': {unsent.id} (send a salvo)."
    )
    assert dump(ledger) == before
    assert holder.over is None
    ledger.consume(holder, packet)
    ledger.consume(holder, made)
    with pytest.raises(UnsentOutputSalvoError, match=f"left on output port 'out': {unsent.id}"):
        ledger.finish(holder)
    ledger.send(holder, "out")
    ledger.finish(holder)
    ledger.check()


@pytest.mark.parametrize("why", [OVER, NetStateError("this", "that"), ValueError("gone")])
def test_an_attempt_that_is_over_changes_nothing(why: Exception) -> None:
    """Every act is refused with the reason, as a new exception each time."""
    ledger, holder, packet = at_work()
    ledger.end_attempt(holder, why)
    ledger.end_attempt(holder, KeyError("a later reason does not count"))
    before = dump(ledger)
    acts = [
        lambda: ledger.create(holder, 1),
        lambda: ledger.create(holder, func=lambda: 1),
        lambda: ledger.ask(holder, packet),
        lambda: ledger.consume(holder, packet),
        lambda: ledger.consume(holder, packet, 10),
        lambda: ledger.load(holder, "out", packet),
        lambda: ledger.send(holder, "out"),
        lambda: ledger.send_value(holder, "out", 1),
        lambda: ledger.finish(holder),
        lambda: ledger.commit(holder, []),
    ]
    for act in acts:
        with pytest.raises(type(why)) as refused:
            act()
        assert refused.value is not why
        assert refused.value.args == why.args
    assert dump(ledger) == before
    assert not holder.acted
    assert is_running(holder)
    ledger.check()


# -- values that make trouble -----------------------------------------------------------------------------------------


def test_a_value_function_that_raises_keeps_the_packet() -> None:
    """`ask` and `consume` fail, the packet stays where it is, and can be consumed when the function answers."""
    ledger, holder, _ = at_work()
    answers: list[Any] = [1, 0, 0]
    lazy = ledger.create(holder, func=lambda: 1 / answers.pop())
    before = dump(ledger)
    for act in (ledger.ask, ledger.consume):
        with pytest.raises(ValueFunctionFailed, match=lazy.id):
            act(holder, lazy)
        assert dump(ledger) == before
    assert ledger.consume(holder, lazy) == 1.0


def test_a_value_function_may_use_the_ledger() -> None:
    """No lock is held while it runs, in this thread or another."""
    ledger, holder, packet = at_work()

    def func() -> int:
        got: list[int] = []
        thread = threading.Thread(target=lambda: got.append(ledger.consume(holder, packet)))
        thread.start()
        thread.join(10)
        return got[0]

    assert ledger.consume(holder, ledger.create(holder, func=func)) == 10
    ledger.check()


def test_a_value_that_cannot_be_stored_creates_nothing(tmp_path: Any) -> None:
    """`create` and `send_value` with files and an unpicklable value."""
    ledger = ledger_of(chain(2), storage_path=tmp_path)
    ledger.inject("N1", "in", [1])
    holder = begin(ledger)
    before = dump(ledger)
    for act in (
        lambda: ledger.create(holder, threading.Lock()),
        lambda: ledger.send_value(holder, "out", iter([]).send),
    ):
        with pytest.raises((TypeError, AttributeError)):
            act()
        assert dump(ledger) == before
    ledger.check()
    assert len(list(tmp_path.iterdir())) == 1


def test_a_lazy_value_that_cannot_be_kept_leaves_the_packet(tmp_path: Any) -> None:
    """Consumed values go to files and this one cannot: the error comes out, and the packet is still in the net."""
    ledger = ledger_of(chain(1), storage_path=tmp_path, consumed_storage=True)
    ledger.inject("N1", "in", [1])
    holder = begin(ledger)
    lazy = ledger.create(holder, func=threading.Lock)
    before = dump(ledger)
    with pytest.raises(TypeError, match="lock"):
        ledger.consume(holder, lazy)
    assert dump(ledger) == before
    ledger.check()


# -- in and out -------------------------------------------------------------------------------------------------------


def test_injected_values_wait_for_slots_in_order() -> None:
    """Two slots: two at the port, the rest waits, each with its id; pairs are made in order."""
    ledger = shop()
    ids = ledger.inject("C", "in", range(5))
    assert [ledger.get_packet(id).location.kind for id in ids] == ["InputPort"] * 2 + ["Waiting"] * 3
    ids += ledger.inject("C", "in", [5, 6])
    ledger.check()
    assert ledger.startable() == []
    assert ledger.queued() == 3
    assert ledger.get_packet(ids[6]).location.kind == "InputPort"
    ledger.check()
    assert take_all(ledger) == [("C", [0, 1]), ("C", [2, 3]), ("C", [4, 5])]
    ledger.inject("C", "in", [7])
    assert take_all(ledger) == [("C", [6, 7])]
    assert len(ledger.values) == 0


def test_nothing_is_injected_when_one_value_cannot_be_stored(tmp_path: Any) -> None:
    """The values before it are given back, no file is left."""
    ledger = ledger_of(chain(1), storage_path=tmp_path)
    ledger.inject("N1", "in", ["before"])
    before, files = dump(ledger), sorted(tmp_path.iterdir())
    with pytest.raises(TypeError, match="lock"):
        ledger.inject("N1", "in", [1, 2, threading.Lock(), 4])
    assert dump(ledger) == before
    assert sorted(tmp_path.iterdir()) == files
    ledger.check()
    assert take_all(ledger) == [("N1", ["before"])]


@pytest.mark.parametrize("error", [ValueError("half-way"), KeyboardInterrupt()])
def test_nothing_is_injected_when_the_values_run_out_with_an_error(error: BaseException) -> None:
    """A generator that raises half-way."""

    def values() -> Iterator[int]:
        yield 1
        yield 2
        raise error

    ledger = shop()
    before = dump(ledger)
    with pytest.raises(type(error)):
        ledger.inject("A", "in", values())
    assert dump(ledger) == before
    assert len(ledger.values) == 0
    ledger.check()
    assert ledger.inject("A", "in", []) == []
    assert take_all(ledger) == []


def test_values_can_be_injected_while_values_are_made() -> None:
    """The iterable may use the ledger itself, from another thread too: no lock is held."""
    ledger = shop()

    def values() -> Iterator[int]:
        for number in range(2):
            thread = threading.Thread(target=ledger.inject, args=("A", "side", [f"side {number}"]))
            thread.start()
            thread.join(10)
            yield number

    assert len(ledger.inject("A", "in", values())) == 2
    assert take_all(ledger) == [("A", [0, 1]), ("A", ["side 0", "side 1"])]


def test_take_outputs_gives_each_value_once() -> None:
    """In order of sending, lazy ones too; then the net holds them no longer."""
    ledger, holder, packet = at_work()
    ledger.load(holder, "free", ledger.create(holder, func=lambda: "lazy"))
    ledger.send(holder, "free")
    sent = ledger.send_value(holder, "free", "direct")
    ledger.load(holder, "free", packet)
    ledger.send(holder, "free")
    assert sent.location == PacketLocation("OutsideNet", node_name="A", port_name="free")
    ledger.check()
    assert ledger.take_outputs("A", "free") == ["lazy", "direct", 10]
    assert ledger.take_outputs("A", "free") == []
    assert has_left(sent)
    assert len(ledger.values) == 0
    ledger.finish(holder)
    ledger.check()
    assert dump_sim(ledger)["packets"]["outside"] == []


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), KeyboardInterrupt()])
def test_take_outputs_keeps_everything_when_a_value_function_fails(error: BaseException) -> None:
    """The one that fails, those before and those after; the next time all come, in order."""
    ledger, holder, packet = at_work()
    answers: list[Any] = ["lazy", error]

    def func() -> Any:
        answer = answers.pop()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    ledger.send_value(holder, "free", 1)
    ledger.load(holder, "free", ledger.create(holder, func=func))
    ledger.send(holder, "free")
    ledger.send_value(holder, "free", 3)
    before = dump(ledger)
    with pytest.raises(ValueFunctionFailed if isinstance(error, Exception) else KeyboardInterrupt):
        ledger.take_outputs("A", "free")
    assert dump(ledger) == before
    ledger.check()
    assert ledger.take_outputs("A", "free") == [1, "lazy", 3]
    assert packet.location.kind == "Node"


def test_values_of_an_earlier_run_are_no_problem(tmp_path: Any) -> None:
    """Files that were there before belong to no packet of this net, and `check` knows."""
    first = ledger_of(chain(1), storage_path=tmp_path)
    first.inject("N1", "in", [1])
    second = ledger_of(chain(1), storage_path=tmp_path)
    second.inject("N1", "in", [2])
    second.check()
    assert take_all(second) == [("N1", [2])]
    second.check()
    assert len(second.values) == 1


# -- ends of an epoch -------------------------------------------------------------------------------------------------


def test_cancel_destroys_what_is_held_and_leaves_what_was_sent() -> None:
    """Packets inside, created, on output ports: gone with their values. Sent ones stay."""
    ledger, holder, packet = at_work()
    sent = ledger.send_value(holder, "out", 1)
    outside = ledger.send_value(holder, "free", 2)
    made, unsent = ledger.create(holder, 3), ledger.create(holder, func=lambda: 4)
    ledger.load(holder, "once", unsent)
    ledger.cancel(holder)
    ledger.check()
    assert [has_left(each) for each in (packet, made, unsent, sent, outside)] == [True, True, True, False, False]
    assert sorted(ledger.values.ids()) == sorted([sent.id, outside.id])
    assert holder.epoch.state == EpochState.Finished
    with pytest.raises(NetStateError, match="its attempt has ended"):
        ledger.create(holder, 1)
    assert ledger.doors["A"].live == 0
    assert take_all(ledger) == [("B", [1])]


def test_cancel_keeps_the_reason_why_the_attempt_was_over() -> None:
    """An attempt that timed out says so, also after its epoch was cancelled."""
    ledger, holder, _ = at_work()
    ledger.end_attempt(holder, TimeoutError("too long"))
    ledger.cancel(holder)
    with pytest.raises(TimeoutError, match="too long"):
        ledger.create(holder, 1)
    ledger.check()


def test_give_back_makes_the_epoch_startable_again_and_first() -> None:
    """The same epoch with the same packets, before all that wait, as often as one likes."""
    ledger = shop()
    ids = ledger.inject("C", "in", range(6))
    first = begin(ledger)
    for _ in range(2):
        epoch = first.epoch
        ledger.give_back(first)
        ledger.check()
        assert epoch.state == EpochState.Startable
        assert ledger.doors["C"].live == 0
        assert ledger.startable()[0] == epoch.id
        first = begin(ledger)
        assert first.epoch is epoch
        assert [packet.id for packet in inside(first)] == ids[:2]
        ledger.check()
    assert [ledger.consume(first, packet) for packet in inside(first)] == [0, 1]
    ledger.finish(first)
    assert take_all(ledger) == [("C", [2, 3]), ("C", [4, 5])]
    ledger.check()


def test_give_back_works_for_packets_that_came_over_edges() -> None:
    """Their tokens are gone with the first start; the epoch starts again without them."""
    ledger, holder, packet = at_work()
    for number in range(3):
        ledger.send_value(holder, "out", number)
    ledger.consume(holder, packet)
    ledger.finish(holder)
    second = begin(ledger)
    ledger.give_back(second)
    ledger.check()
    assert take_all(ledger) == [("B", [0]), ("B", [1]), ("B", [2])]
    ledger.check()


def test_who_gave_an_epoch_back_may_no_longer_act_on_it() -> None:
    """The epoch waits for another attempt; a call of the old one changes nothing, before and after that has begun."""
    ledger, holder, packet = at_work()
    ledger.give_back(holder)
    before = dump(ledger)
    for act in (
        lambda: ledger.create(holder, 1),
        lambda: ledger.send_value(holder, "out", 1),
        lambda: ledger.consume(holder, packet),
    ):
        with pytest.raises(NetStateError, match="its attempt has ended"):
            act()
        assert dump(ledger) == before
    ledger.check()


# -- the queue --------------------------------------------------------------------------------------------------------


def test_shelved_epochs_come_back_at_their_place() -> None:
    """By when they were made; other nodes' stay on their shelf. They count as startable meanwhile."""
    ledger = ledger_of(graph([node("A", ["in"]), node("B", ["in"])]))
    for name in "ABABAB":
        ledger.create_epoch(name)
    order = ledger.startable()
    for _ in range(2):
        epoch = ledger.next()
        assert epoch is not None
        ledger.shelve(epoch)
        ledger.check()
    assert ledger.next() is None  # later ones wait behind the first of their node
    ledger.check()
    assert ledger.startable() == order
    assert ledger.startable("A") == order[::2]
    assert ledger.startable("B") == order[1::2]
    ledger.unshelve("A")
    ledger.check()
    taken = [ledger.next() for _ in range(3)]
    assert [epoch.id for epoch in taken if epoch] == order[::2]
    assert ledger.next() is None
    ledger.unshelve("A")  # nothing there: nothing happens
    ledger.unshelve("B")
    ledger.route()
    for epoch in reversed(taken):
        assert epoch is not None
        ledger.put_back(epoch)
    ledger.check()
    assert [epoch.id for epoch in iter(ledger.next, None)] == order


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["make A", "make B", "next", "shelve", "open A", "open B", "put back"]), max_size=60))
def test_shelves_keep_the_order(script: list[str]) -> None:
    """Whatever is shelved and opened when: what `next` gives is the oldest that it may give."""
    ledger = ledger_of(graph([node("A", ["in"]), node("B", ["in"])]))
    waiting: dict[str, list[str]] = {"A": [], "B": []}  # by node, oldest first
    closed: dict[str, list[str]] = {"A": [], "B": []}  # those that were shelved since it was opened last
    opened: list[str] = []
    taken: Epoch | None = None
    for step in script:
        verb, _, name = step.rpartition(" ")
        if verb == "make":
            waiting[name].append(ledger.create_epoch(name).id)
        elif verb == "open":
            ledger.unshelve(name)
            opened.append(name)
        elif taken is not None and step in ("shelve", "put back"):
            name = taken.node_name
            waiting[name] = sorted([taken.id, *waiting[name]], key=number_of)
            if step == "shelve":
                ledger.shelve(taken)
                closed[name].append(taken.id)
            else:
                ledger.put_back(taken)
            taken = None
        elif step == "next" and taken is None:
            for name in opened:  # what is shelved between an opening and the next look was opened, too
                closed[name].clear()
            opened.clear()
            open_ = [ids[0] for name, ids in waiting.items() if ids and not closed[name]]
            taken = ledger.next()
            assert (taken and taken.id) == min(open_, key=number_of, default=None)
            if taken is not None:
                waiting[taken.node_name].remove(taken.id)
                ledger._ready.appendleft(taken)  # for the check
                ledger.check()
                ledger._ready.popleft()
    for name in "AB":
        ledger.unshelve(name)
    left = sorted([*waiting["A"], *waiting["B"]], key=number_of)
    assert [epoch.id for epoch in iter(ledger.next, None)] == left


def number_of(id: str) -> int:
    """The number in an epoch's id."""
    return int(id[1:].partition("-")[0])


def test_epochs_start_in_the_order_in_which_they_became_startable() -> None:
    """Over nodes and ways of becoming; ties by the nodes' names."""
    ledger = ledger_of(chain(3))
    for name in ("N3", "N1", "N2"):
        ledger.inject(name, "in", [name])
    ledger.route()
    ledger.create_epoch("N1")
    holder = begin(ledger)
    assert holder.epoch.node_name == "N1"
    ledger.send_value(holder, "out", "sent")
    ledger.consume(holder, inside(holder)[0])
    ledger.finish(holder)
    assert take_all(ledger) == [("N2", ["N2"]), ("N3", ["N3"]), ("N1", []), ("N2", ["sent"])]


def test_next_routes_what_was_injected() -> None:
    """Nobody has to call `route` before; with nothing there, `next` is None."""
    ledger = shop()
    assert ledger.next() is None
    ledger.inject("A", "in", [1])
    assert ledger.next() is not None
    assert ledger.next() is None


# -- piles ------------------------------------------------------------------------------------------------------------


def source_and_sink() -> Ledger:
    """`S` sends over `out` to `T`, which takes packets one by one."""
    one = {"one": entry({"in": 1}, nonempty("in"))}
    return ledger_of(graph([node("S", [], ["out"]), node("T", ["in"], entries=one)], [edge("S.out", "T.in")]))


def test_a_burst_waits_in_the_inbox_and_loses_no_order() -> None:
    """5,000 sends in one epoch: only so many epochs are made, the rest waits on the edge, and all come in order."""
    ledger = source_and_sink()
    ledger.create_epoch("S")
    holder = begin(ledger)
    sent = [ledger.send_value(holder, "out", number) for number in range(5000)]
    ledger.finish(holder)
    assert len(ledger._ready) == READY_LIMIT
    assert ledger.doors["T"].is_behind
    assert sent[READY_LIMIT - 1].location.kind == "Node"
    assert sent[READY_LIMIT + 1].location.kind == "Edge"
    ledger.check()
    done = []
    while (epoch := ledger.next()) is not None:
        assert len(ledger._ready) <= READY_LIMIT
        there = Holder(epoch)
        ledger.start(there)
        done += [ledger.consume(there, packet) for packet in inside(there)]
        ledger.finish(there)
    assert done == list(range(5000))
    ledger.check()
    assert not ledger.doors["T"].is_behind
    assert len(ledger.values) == 0


def test_whoever_asks_what_is_startable_sees_all_of_a_pile() -> None:
    """`startable` and `queued` route everything, in order."""
    ledger = source_and_sink()
    ledger.create_epoch("S")
    holder = begin(ledger)
    for number in range(3000):
        ledger.send_value(holder, "out", number)
    startable = ledger.startable("T")
    assert len(startable) == 3000
    assert [ledger.values.get_value(ledger.get_epoch(id)._entered[0].id) for id in startable] == list(range(3000))
    assert ledger.queued() == 3000
    ledger.check()
    ledger.send_value(holder, "out", 3000)
    assert ledger.doors["T"].is_behind
    assert len(ledger.startable()) == 3001
    ledger.finish(holder)
    assert [value for _, (value,) in take_all(ledger)] == list(range(3001))


def test_a_pile_of_injected_values_is_worked_off_in_order() -> None:
    """3,000 values, one an epoch; some more come while the door is behind."""
    ledger = source_and_sink()
    ledger.inject("T", "in", range(3000))
    epoch = ledger.next()
    assert epoch is not None
    ledger.start(Holder(epoch))
    assert len(ledger._ready) == READY_LIMIT - 1
    later = ledger.inject("T", "in", [3000, 3001])
    assert ledger.doors["T"].is_behind
    assert ledger.get_packet(later[0]).location.kind in ("Waiting", "InputPort")
    ledger.check()
    assert [value for _, (value,) in take_all(ledger)] == list(range(1, 3002))
    ledger.check()


def test_injected_and_sent_packets_keep_their_order_at_a_door_that_is_behind() -> None:
    """What comes first is taken first, whichever way it comes."""
    with patch("netrun.books.READY_LIMIT", 2):
        ledger = source_and_sink()
        ledger.create_epoch("S")
        holder = begin(ledger)
        for number in range(0, 30, 3):
            ledger.send_value(holder, "out", number)
            ledger.inject("T", "in", [number + 1, number + 2])
            ledger.route(2)
            ledger.check()
        assert len(ledger._ready) == 2
        ledger.finish(holder)
        assert [value for _, (value,) in take_all(ledger)] == list(range(30))
        ledger.check()


def test_two_doors_behind_are_served_in_turn() -> None:
    """The door that fell behind first is routed first."""
    one = {"one": entry({"in": 1}, nonempty("in"))}
    nodes = [node("S", [], ["a", "b"]), node("A", ["in"], entries=one), node("B", ["in"], entries=one)]
    with patch("netrun.books.READY_LIMIT", 2):
        ledger = ledger_of(graph(nodes, [edge("S.a", "A.in"), edge("S.b", "B.in")]))
        ledger.create_epoch("S")
        holder = begin(ledger)
        for number in range(3):
            ledger.send_value(holder, "b", number)
            ledger.send_value(holder, "a", number)
        assert [door.node_name for door in ledger._behind] == ["B", "A"]
        ledger.finish(holder)
        done = take_all(ledger)
        assert [value for name, (value,) in done if name == "A"] == [0, 1, 2]
        assert [value for name, (value,) in done if name == "B"] == [0, 1, 2]
        assert done[:2] == [("B", [0]), ("A", [0])]
        ledger.check()


def test_a_batch_larger_than_any_limit_is_one_epoch() -> None:
    """2,000 packets in one salvo, in order, from the edge to the function."""
    batch = {"batch": entry("in", at_least("in", 2000))}
    ledger = ledger_of(graph([node("S", [], ["out"]), node("T", ["in"], entries=batch)], [edge("S.out", "T.in")]))
    ledger.create_epoch("S")
    holder = begin(ledger)
    for number in range(2000):
        ledger.send_value(holder, "out", number)
    ledger.finish(holder)
    assert take_all(ledger) == [("T", list(range(2000)))]
    ledger.check()


# -- check ------------------------------------------------------------------------------------------------------------


def busy() -> tuple[Ledger, Holder, Packet]:
    """A ledger with something everywhere; `check` is content with it."""
    ledger, holder, packet = at_work()
    ledger.send_value(holder, "out", 1)
    ledger.send_value(holder, "free", 2)
    ledger.load(holder, "many", ledger.create(holder, 3))
    ledger.create(holder, func=lambda: 4)
    ledger.inject("C", "in", [5, 6, 7])
    ledger.check()
    return ledger, holder, packet


SABOTAGE: list[tuple[str, Callable[[Ledger, Holder, Packet], Any], str]] = [
    ("two places", lambda ledger, h, p: ledger.doors["A"].outs["free"].packets.append(p), "is in 2 places"),
    ("two places of an epoch", lambda ledger, h, p: h.epoch._loaded["many"].packets.append(p), "is in 2 places"),
    ("no place", lambda ledger, h, p: ledger.doors["C"].gates["in"].packets.popleft(), "is in 0 places"),
    ("wrong place", lambda ledger, h, p: setattr(p, "_place", ledger.doors["A"].gates["in"]), "is in 0 places"),
    (
        "wrong gate",
        lambda ledger, h, p: setattr(ledger.doors["C"].gates["in"].packets[0], "_place", None),
        "says it is elsewhere",
    ),
    ("lost value", lambda ledger, h, p: ledger.values.remove(p.id), "has no value"),
    (
        "value too many",
        lambda ledger, h, p: ledger.values.store_value_func("p99", int),
        "value of p99 belongs to no packet",
    ),
    ("lost packet", lambda ledger, h, p: ledger._packets.pop(p._number), "is not in the registry"),
    ("queued twice", lambda ledger, h, p: ledger._ready.append(ledger._ready[0]), "queued: "),
    ("not queued", lambda ledger, h, p: ledger._ready.pop(), "queued: "),
    ("queued while running", lambda ledger, h, p: ledger._ready.append(h.epoch), "queued: "),
    ("shelved and queued", lambda ledger, h, p: ledger.shelve(ledger._ready[0]), "queued: "),
    ("wrong count", lambda ledger, h, p: ledger.doors["C"].counts.__setitem__(0, 5), "counts [5], but there are [2]"),
    (
        "wrong number waiting",
        lambda ledger, h, p: setattr(ledger.doors["C"], "waiting", 0),
        "should wait on wires, 1 do",
    ),
    (
        "over its slots",
        lambda ledger, h, p: setattr(ledger.doors["C"].gates["in"], "capacity", 1),
        "more than its 1 slots",
    ),
    ("not in the simulator", lambda ledger, h, p: setattr(p, "_sim_id", "0" * 26), "is not in the simulator"),
    (
        "a token lost",
        lambda ledger, h, p: ledger.doors["A"].outs["out"].tokens.pop(),
        "1 packets in the simulator, 0 tokens",
    ),
    ("epoch lost a packet", lambda ledger, h, p: h.epoch._made.clear(), "in the simulator's epoch"),
]


@pytest.mark.parametrize(("sabotage", "words"), [case[1:] for case in SABOTAGE], ids=[case[0] for case in SABOTAGE])
def test_check_finds_what_is_wrong(sabotage: Callable[[Ledger, Holder, Packet], Any], words: str) -> None:
    """Each broken invariant is an `AssertionError` that says which."""
    ledger, holder, packet = busy()
    sabotage(ledger, holder, packet)
    with pytest.raises(AssertionError) as found:
        ledger.check()
    assert words in str(found.value)


def test_check_tells_everything_that_is_wrong() -> None:
    """Not only the first problem."""
    ledger, _, packet = busy()
    ledger.values.remove(packet.id)
    ledger.values.store_value_func("p99", int)
    ledger._ready.append(ledger._ready[0])
    with pytest.raises(AssertionError) as found:
        ledger.check()
    assert len(str(found.value).splitlines()) == 3


# -- threads ----------------------------------------------------------------------------------------------------------


def test_many_threads_inject_and_nothing_is_lost() -> None:
    """Four threads, 100 injections of two each: every value once, each thread's in its order."""
    ledger = source_and_sink()

    def run(thread: int) -> None:
        for number in range(100):
            ledger.inject("T", "in", [(thread, 2 * number), (thread, 2 * number + 1)])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.check()
    done = [value for _, (value,) in take_all(ledger)]
    assert len(done) == 800
    for number in range(4):
        own = [value for thread, value in done if thread == number]
        assert own == list(range(200))
    assert all(b == (a[0], a[1] + 1) for a, b in pairwise(done) if a[1] % 2 == 0)
    ledger.check()


def test_epochs_tell_what_they_are() -> None:
    """`in_salvo`, `by_port` and the texts of epochs, packets and holders."""
    ledger = shop()
    first, second = ledger.inject("C", "in", [1, 2])
    holder = begin(ledger)
    epoch = holder.epoch
    assert epoch.in_salvo.salvo_condition == "pair"
    assert [(port, packet.id) for port, packet in epoch.in_salvo.packets] == [("in", first), ("in", second)]
    by_port = epoch.by_port()
    by_port["in"].clear()
    assert len(epoch.by_port()["in"]) == 2, "each call gives new lists"
    assert repr(epoch) == f"<Epoch {epoch.id} of 'C', running>"
    assert repr(ledger.get_packet(first)) == f"Packet({first!r})"
    assert str(Holder(epoch, [(None, ValueError())])) == f"node 'C', epoch {epoch.id}, attempt 2"  # type: ignore[list-item]
    assert epoch.out_salvos == []
    assert ledger.get_epoch(epoch.id) is epoch
