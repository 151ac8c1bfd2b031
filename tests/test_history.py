"""History: nothing is missing, and what it says is what was done."""

import random
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from netrun import ConfigError, EventHistory, Net, NodeExecutionFailed
from netrun.history import _FIXED, _size_of
from tests.graphs import at_least, edge, entry, exit, graph, node, nonempty
from tests.histories import Spy, must_end_in_the_same_state, must_equal_what_was_done
from tests.nets import chain, maps


def must_be_whole(net: Net, spy: Spy) -> None:
    entries = net.history.get_entries()
    must_equal_what_was_done(spy, entries)
    must_end_in_the_same_state(net, entries)
    must_be_linked(entries)
    net._ledger.check()


def must_be_linked(entries: list[Any]) -> None:
    assert len({entry.id for entry in entries}) == len(entries)
    moments = [entry.timestamp for entry in entries]
    assert moments == sorted(moments)
    last = None
    for one in entries:
        if one.entry_type == "action":
            last = one.id
        elif one.entry_type == "event":
            assert one.action_id == last, "an event stands behind its action"


def mixed(**options: Any) -> Net:
    """Source, and four ways from it to a sink: inline, deferred with retries, in threads, in processes."""
    ways = ["Inline", "Deferred", "Thread", "Process"]
    nodes = [node("Source", ["go"], ways), *(node(way, {"in": 2}, ["out", "side"], entries=ONE_BY_ONE) for way in ways)]
    nodes += [node("Sink", ways, entries={"all": entry(ways, nonempty("Inline"))})]
    edges = [edge(f"Source.{way}", f"{way}.in") for way in ways] + [edge(f"{way}.out", f"Sink.{way}") for way in ways]
    pools: Any = {"thread_pools": {"io": {"size": 3}}, "process_pools": {"cpu": {"size": 2}}}
    net = Net(graph(nodes, edges), on_error="continue", history_max_size=1_000_000, **pools, **options)
    net.set_node_exec("Source", spread)
    for way in ways:
        net.set_node_exec(way, fickle)
    net.set_node_exec("Sink", take_all)
    net.set_node_config("Deferred", defer_net_actions=True, retries=2)
    net.set_node_config("Thread", pool="io")
    net.set_node_config("Process", pool="cpu", retries=1, defer_net_actions=True)
    return net


ONE_BY_ONE = {"one": entry({"in": 1}, nonempty("in"))}


def spread(ctx: Any, packets: Any) -> None:
    for packet in packets["go"]:
        number = ctx.consume_packet(packet)
        for way in ("Inline", "Deferred", "Thread", "Process"):
            ctx.send(way, number)


def fickle(ctx: Any, packets: Any) -> None:
    """Pass on, make anew, keep back, lose, fail before acting or after it, or cancel."""
    (packet,) = packets["in"]
    mood = ctx.consume_packet(packet)
    if mood == 1 and ctx.retry_count == 0:
        raise ValueError("the first time")
    if mood == 2:
        ctx.cancel_epoch()
    first = ctx.create_packet(mood)
    ctx.load_output_port("side", first)
    if mood == 3:
        raise ValueError("always")
    if mood == 4:
        ctx.consume_packet(first)
    else:
        ctx.send_output_salvo("side")
    for value in range(mood % 3):
        ctx.send("out", value)


def take_all(ctx: Any, packets: Any) -> None:
    for arrived in packets.values():
        for packet in arrived:
            ctx.consume_packet(packet)


def test_nothing_is_missing() -> None:
    """Retries, deferral, pools, cancelled and failed epochs, what was given back, and what still waits."""
    with mixed() as net:
        spy = Spy(net)
        net.inject_packets("Source", "go", [0, 1, 2, 3, 4, 5, 6] * 3)
        net.start()
        must_be_whole(net, spy)
        attempts = [one.data for one in net.history.get_entries() if one.entry_type == "epoch"]
        assert {one["carrier"] for one in attempts} == {"inline", "thread", "process"}
        assert {one["verdict"] for one in attempts} == {"finished", "retry", "failed", "cancelled"}
        assert {one["worker"] for one in attempts if one["carrier"] == "thread"} <= {"io-1", "io-2", "io-3"}
        net.set_node_exec("Sink", None)
        net.inject_packets("Source", "go", [0, 1, 5])
        net.start()
        must_be_whole(net, spy)


def test_what_is_given_back_is_made_anew() -> None:
    net = Net(chain("A", "B"))
    spy = Spy(net)
    calls = []

    def interrupted(ctx: Any, packets: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        ctx.load_output_port("out", packets["in"][0])
        ctx.send_output_salvo("out")

    net.set_node_exec("A", interrupted)
    net.set_node_exec("B", interrupted)
    net.inject_packets("A", "in", [1, 2])
    with pytest.raises(KeyboardInterrupt):
        net.start()
    must_be_whole(net, spy)
    net.start()
    must_be_whole(net, spy)
    verdicts = [one.data["verdict"] for one in net.history.get_entries() if one.entry_type == "epoch"]
    assert verdicts == ["given back"] + 4 * ["finished"]


def test_a_send_that_is_refused_leaves_its_traces() -> None:
    """It was made, loaded perhaps, and consumed: that was done, so it is told. A commit that is undone is not."""
    full = {"a": exit("a", at_least("a", 2)), "b": exit("b", nonempty("b"), 1)}
    there = graph([node("N", ["go"], {"a": 1, "b": None}, exits=full)])
    net = Net(there, on_error="continue", check=None)
    spy = Spy(net)

    def sends(ctx: Any, packets: Any) -> None:
        ctx.consume_packet(packets["go"][0])
        refused = 0
        for port in ("a", "b", "b"):
            try:
                ctx.send(port, 1)
            except Exception:
                refused += 1
        assert refused == 2 or ctx.retry_count == 0

    net.set_node_exec("N", sends)
    net.inject_packets("N", "go", [1])
    net.start()
    must_be_whole(net, spy)
    net.set_node_config("N", defer_net_actions=True)
    before = len(net.history.get_actions())
    net.inject_packets("N", "go", [1])
    net.start()
    must_be_whole(net, spy)
    kinds = [one.action_type for one in net.history.get_actions()[before:]]
    assert kinds == ["CreateEpoch", "CreatePacket", "TransportPacketToLocation", "StartEpoch", "CancelEpoch"]


@pytest.mark.parametrize("seed", range(25))
def test_random_nets(seed: int) -> None:
    """Random graphs and functions, stepped; the history is whole at every moment."""
    dice = random.Random(seed)
    names = [f"N{k}" for k in range(dice.randint(2, 5))]
    nodes = [
        node(name, {"x": dice.choice([None, 1, 3]), "y": None}, ["a", "b"], entries=entries_of(dice)) for name in names
    ]
    free = [f"{name}.{port}" for name in names for port in "ab"]
    targets = [f"{name}.{port}" for name in names for port in "xy"]
    edges = [edge(source, dice.choice(targets)) for source in dice.sample(free, dice.randint(1, len(free) - 1))]
    net = Net(graph(nodes, edges), on_error="continue", history_max_size=1_000_000)
    spy = Spy(net)
    for name in names:
        net.set_node_exec(name, random_work(dice))
        net.set_node_config(name, defer_net_actions=(deferred := dice.random() < 0.5), retries=int(deferred))
    for _ in range(6):
        for name in names:
            net.inject_packets(name, dice.choice("xy"), range(dice.randint(0, 4)))
        net.run_step()
        must_be_whole(net, spy)


def entries_of(dice: random.Random) -> dict[str, Any]:
    one = {"one": entry({"x": 1}, nonempty("x")), "other": entry({"y": 1}, nonempty("y"))}
    many = {"many": entry({"x": 1, "y": None}, nonempty("x")), "other": entry("y", at_least("y", 3))}
    return dice.choice([one, many])


def random_work(dice: random.Random) -> Callable[..., None]:
    def work(ctx: Any, packets: Any) -> None:
        held = [packet for arrived in packets.values() for packet in arrived]
        for _ in range(dice.randint(0, 6)):
            act = dice.randint(0, 5)
            if act == 0:
                held.append(ctx.create_packet(0))
            elif act == 1 and held:
                ctx.consume_packet(held.pop(dice.randrange(len(held))))
            elif act == 2 and held:
                ctx.load_output_port(dice.choice("ab"), held.pop())
            elif act == 3 and dice.random() < 0.2:
                raise ValueError("now")
            elif act == 4 and dice.random() < 0.1:
                ctx.cancel_epoch()
            elif dice.random() < 0.5:
                ctx.send(dice.choice("ab"), 1)
        for packet in held:
            ctx.consume_packet(packet)
        for port in "ab" if dice.random() < 0.9 else "":
            ctx.send(port, 2)

    return work


def test_the_salvo_that_an_epoch_began_with() -> None:
    both = {"both": entry({"a": 2, "b": 1}, nonempty("b"))}
    net = Net(graph([node("N", ["a", "b"], entries=both)]))
    net.set_node_exec("N", take_all)
    ids = net.inject_packets("N", "a", [1, 2]) + net.inject_packets("N", "b", [3])
    net.start()
    created = next(one for one in net.history.get_events() if one.event_type == "EpochCreated")
    pairs = [["a", ids[0]], ["a", ids[1]], ["b", ids[2]]]
    assert created.data["in_salvo"] == {"salvo_condition": "both", "packets": pairs}


def test_an_entry_and_what_it_says() -> None:
    net = Net(chain("A"))
    net.set_node_exec("A", maps(str))
    before = datetime.now(UTC)
    net.inject_packets("A", "in", [1])
    net.start()
    entries = net.history.get_entries()
    assert [one.action_type or one.event_type or one.entry_type for one in entries] == [
        *("CreateEpoch", "EpochCreated", "CreatePacket", "PacketCreated", "TransportPacketToLocation", "PacketMoved"),
        *("StartEpoch", "EpochStarted", "ConsumePacket", "PacketConsumed", "CreatePacket", "PacketCreated"),
        *("LoadPacketIntoOutputPort", "PacketMoved", "SendOutputSalvo", "PacketOrphaned", "OutputSalvoTriggered"),
        *("ConsumePacket", "PacketConsumed", "FinishEpoch", "EpochFinished", "epoch"),
    ]
    assert all(before <= one.timestamp <= datetime.now(UTC) for one in entries[1:])
    assert all(one.timestamp.tzinfo is not None and re.fullmatch(r"h\d+\.\d+-\w+", one.id) for one in entries)
    sent = next(one for one in net.history.get_actions() if one.action_type == "SendOutputSalvo")
    caused = [one.event_type for one in net.history.get_events_for_action(sent.id)]
    assert caused == ["PacketOrphaned", "OutputSalvoTriggered"]
    assert net.history.get_events_for_action("h0") == []
    attempt = entries[-1].data
    assert attempt["begun"] < attempt["ended"]
    assert attempt["attempt"] == 1
    assert attempt["error"] is None


def test_a_failure_is_told() -> None:
    net = Net(chain("A"))
    net.set_node_exec("A", lambda ctx, packets: 1 / 0)
    net.inject_packets("A", "in", [1])
    with pytest.raises(NodeExecutionFailed):
        net.start()
    last = net.history.get_entries()[-1]
    assert (last.data["verdict"], last.data["ending"]) == ("failed", "failed")
    assert last.data["error"] == "ZeroDivisionError: division by zero"


# -- the bound ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [0, 1, 7, 100, 1000])
def test_the_bound_holds_always(most: int) -> None:
    net = Net(chain("A", "B"), history_max_size=most)
    seen = []

    def look(ctx: Any, packets: Any) -> None:
        seen.append(len(net.history))
        for packet in packets["in"]:
            ctx.send("out", ctx.consume_packet(packet))

    net.set_node_exec("A", look)
    net.set_node_exec("B", look)
    net.inject_packets("A", "in", range(60))
    net.start()
    assert max(seen) <= most
    assert len(net.history) == min(most, len(net.history.get_entries())) <= most
    everything = Net(chain("A", "B"), history_max_size=10**6)
    everything.set_node_exec("A", maps(int))
    everything.set_node_exec("B", maps(int))
    everything.inject_packets("A", "in", range(60))
    everything.start()
    whole = [one.action_type or one.event_type for one in everything.history.get_entries()]
    kept = [one.action_type or one.event_type for one in net.history.get_entries()]
    assert len(kept) == min(most, len(whole))
    assert kept == whole[-most:] if most else kept == []


def test_what_is_kept_is_bounded_while_one_epoch_does_a_great_deal() -> None:
    net = Net(graph([node("A", ["go"], ["out"])]), history_max_size=500)
    kept = []

    def burst(ctx: Any, packets: Any) -> None:
        ctx.consume_packet(packets["go"][0])
        for number in range(20_000):
            ctx.send("out", number)
            if number % 1000 == 0:
                recorder = net.history._recorder
                kept.append(len(recorder._fresh) + sum(len(chunk.records) for chunk in recorder._kept))

    net.set_node_exec("A", burst)
    net.inject_packets("A", "go", [1])
    net.start()
    assert max(kept) < 4 * 1024 + 500


def test_values_do_not_live_on_in_history() -> None:
    import gc
    import weakref

    class Value:
        """Something that can be watched."""

    watched: list[Any] = []

    def source(ctx: Any, packets: Any) -> None:
        value = Value()
        watched.append(weakref.ref(value))
        ctx.consume_packet(packets["in"][0])
        ctx.send("out", value)
        if len(watched) == 3:
            raise ValueError("after it was sent")

    net = Net(chain("A", "B"), on_error="continue", dead_letter_queue=lambda letter: None)
    net.set_node_exec("A", source)
    net.set_node_exec("B", take_all)
    net.inject_packets("A", "in", range(4))
    net.start()
    gc.collect()
    assert len(net.history) > 20
    assert [ref() for ref in watched] == [None] * 4


def test_a_digest_that_is_interrupted_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what is raised half-way, the records are as before."""
    net = Net(chain("A"), history_file=tmp_path / "h", history_chunk_size=10_000, history_flush_on_pause=False)
    net.set_node_exec("A", maps(int))
    net.inject_packets("A", "in", [1])
    net.start()
    with monkeypatch.context() as patched:
        patched.setattr(net.history._recorder, "_written", lambda chunk: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            net.history.flush()
    net.history.flush()
    entries = net.history.get_entries()
    assert EventHistory.read(tmp_path / "h") == entries
    assert entries[0].id.startswith("h1.1-")
    assert [one.event_type for one in entries].count("EpochFinished") == 1


def test_a_long_error_is_cut() -> None:
    net = Net(chain("A"), on_error="continue")

    def fail(ctx: Any, packets: Any) -> None:
        raise ValueError("x" * 1_000_000)

    net.set_node_exec("A", fail)
    net.inject_packets("A", "in", [1])
    net.start()
    (attempt,) = [one for one in net.history.get_entries() if one.entry_type == "epoch"]
    assert attempt.data["error"] == "ValueError: " + "x" * (10_000 - len("ValueError: "))


def test_history_can_be_left_out() -> None:
    net = Net(chain("A"), history_max_size=0)
    net.set_node_exec("A", maps(int))
    net.inject_packets("A", "in", [1])
    net.start()
    assert net.history.get_entries() == []
    assert len(net.history) == 0
    assert net._ledger.note is None


def test_sizes_are_the_numbers_of_lines() -> None:
    with mixed() as net:
        net.inject_packets("Source", "go", range(7))
        net.start()
        recorder = net.history._recorder
        recorder.digest()
        records = [record for chunk in recorder._kept for record in chunk.records]
        assert len({record[1] for record in records}) >= 9
        for record in records:
            assert recorder._lines is None or len(recorder._lines.write(1, [record]).splitlines()) == (
                _FIXED.get(record[1]) or _size_of(record)
            )


@pytest.mark.parametrize(
    "options",
    [
        {"history_max_size": -1},
        {"history_max_size": True},
        {"history_max_size": 2.5},
        {"history_chunk_size": 0},
        {"history_flush_on_pause": "yes"},
        {"history_file": 7},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        Net(chain("A"), **options)


def test_names_that_need_escapes() -> None:
    odd = 'a "quoted" {name}\\ \x01\n ü'
    net = Net(graph([node(odd, [odd], [odd])]))
    net.set_node_exec(odd, lambda ctx, packets: ctx.send(odd, ctx.consume_packet(packets[odd][0])))
    net.inject_packets(odd, odd, [1])
    net.start()
    nodes = {one.data.get("node_name") for one in net.history.get_entries()}
    assert nodes == {None, odd}


def test_counts() -> None:
    """Twice as many packets, twice as many entries; all kinds add up."""
    net = Net(chain("A", "B"), history_max_size=10**6)
    net.set_node_exec("A", maps(int))
    net.set_node_exec("B", maps(int))
    net.inject_packets("A", "in", range(50))
    net.start()
    kinds = Counter(one.action_type or one.event_type or one.entry_type for one in net.history.get_entries())
    assert kinds["CreateEpoch"] == kinds["EpochFinished"] == kinds["epoch"] == 100
    assert isinstance(net.history, EventHistory)
    assert f"{len(net.history)} entries" in repr(net.history)
