"""`why_blocked` and `explain`: the root of what a net waits for."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from netrun import (
    Blockage,
    Explanation,
    Graph,
    Net,
    NetState,
    Node,
    NodeExecutionFailed,
    NodeNotFoundError,
    parse_salvo_condition,
)
from tests.graphs import at_least, edge, entry, exit, graph, node
from tests.nets import chain, eventually, join

Functions = dict[str, Callable[..., Any] | None]
Root = tuple[str, str | None]  # kind, node


def pass_on(ctx: Any, packets: dict[str, list[Any]]) -> None:
    """Consume everything, and send 1 from each output port."""
    for arrived in packets.values():
        for packet in arrived:
            ctx.consume_packet(packet)
    for port in OUTS[ctx.node_name]:
        ctx.send(port, 1)


def fail(ctx: Any, packets: dict[str, list[Any]]) -> None:
    """Raise."""
    raise ValueError("no luck")


OUTS: dict[str, list[str]] = {}


def net_of(there: Graph, functions: Functions | None = None, **options: Any) -> Net:
    """A net whose nodes pass on what comes, unless said otherwise."""
    net = Net(there, check=None, **options)
    OUTS.update({name: sorted(it.out_ports) for name, it in there.nodes().items()})
    for name in there.nodes():
        net.set_node_exec(name, (functions or {}).get(name, pass_on))
    return net


def roots(net: Net) -> list[Root]:
    """The kinds and nodes of what a net comes down to."""
    return [(root.kind, root.node_name) for root in net.why_blocked().roots]


def root_of(net: Net, name: str) -> Root:
    """The root of one node; the explanation by itself says the same as that of the whole net."""
    alone, among = net.explain(name), net.why_blocked()[name]
    assert alone.root is not None
    assert among.root is not None
    assert str(alone).partition(" for ")[0] == str(among).partition(" for ")[0]  # but for seconds that have passed
    assert (alone.root.kind, alone.path) == (among.root.kind, among.path)
    return alone.root.kind, alone.root.node_name


def one_by_one(name: str) -> Node:
    """A node that takes one packet at a time, and sends one."""
    (there,) = chain(name).nodes().values()
    return there


# -- a table of stuck nets ---------------------------------------------------------------------------------------------

Case = tuple[Net, str, Root]  # the net, a node that waits, and its root


def left_and_right() -> Graph:
    """`A` and `B` are sources, `J` joins them, `End` is behind it."""
    nodes = [node("A", [], ["out"]), node("B", [], ["out"]), join("J", ["a", "b"], ["out"]), node("End", ["in"])]
    return graph(nodes, [edge("A.out", "J.a"), edge("B.out", "J.b"), edge("J.out", "End.in")])


def no_function() -> Case:
    net = net_of(chain("A", "B", "C"), {"B": None})
    net.inject_packets("A", "in", [1, 2])
    net.start()
    return net, "C", ("no_function", "B")


def source_without_function() -> Case:
    net = net_of(left_and_right(), {"B": None})
    net.run()
    return net, "End", ("no_function", "B")


def source_never_started() -> Case:
    net = net_of(left_and_right())
    net.inject_source_epoch("A")
    net.start()
    return net, "J", ("never_started", "B")


def port_nobody_feeds() -> Case:
    net = net_of(graph([node("A", [], ["out"]), join("J", ["a", "b"])], [edge("A.out", "J.a")]))
    net.run()
    return net, "J", ("no_producer", "J")


def upstream_sends_nothing() -> Case:
    net = net_of(left_and_right(), {"B": lambda ctx, packets: None})
    net.run()
    return net, "End", ("ended", "B")


def upstream_failed() -> Case:
    net = net_of(left_and_right(), {"B": fail}, on_error="continue")
    net.run()
    return net, "J", ("failed", "B")


def upstream_cancelled() -> Case:
    net = net_of(left_and_right(), {"B": lambda ctx, packets: ctx.cancel_epoch()})
    net.run()
    assert "1 of them cancelled" in str(net.why_blocked().root)
    return net, "J", ("ended", "B")


def paused_by_a_failure() -> Case:
    net = net_of(chain("A", "B"), {"A": fail})
    net.inject_packets("A", "in", [1, 2])
    with pytest.raises(NodeExecutionFailed):
        net.start()
    assert "ValueError: no luck" in str(net.explain("A").root)
    return net, "A", ("error", None)


def paused_by_somebody() -> Case:
    net = net_of(chain("A", "B"), {"A": lambda ctx, packets: (pass_on(ctx, packets), net.pause())})
    net.inject_packets("A", "in", [1, 2])
    net.start()
    return net, "B", ("paused", None)


def stopped() -> Case:
    net = net_of(chain("A", "B"), {"A": lambda ctx, packets: (pass_on(ctx, packets), net.stop())})
    net.inject_packets("A", "in", [1, 2])
    net.start()
    return net, "A", ("stopped", None)


def too_many_epochs() -> Case:
    net = net_of(chain("A", "B"), max_epochs=3)
    net.inject_packets("A", "in", range(5))
    with pytest.raises(Exception, match="max_epochs"):
        net.start()
    return net, "A", ("max_epochs", None)


def never_run() -> Case:
    net = net_of(chain("A", "B"))
    net.inject_packets("A", "in", [1])
    return net, "B", ("not_running", None)


def too_few_slots() -> Case:
    batch = node("B", {"in": 3}, ["out"], entries={"five": entry("in", at_least("in", 5))})
    edges = [edge("A.out", "B.in"), edge("B.out", "C.in")]
    net = net_of(graph([one_by_one("A"), batch, node("C", ["in"])], edges))
    net.inject_packets("A", "in", range(9))
    net.start()
    port = net.explain("B").ports["in"]
    assert (port.packets, port.slots, port.on_edges) == (3, 3, 6)
    return net, "C", ("too_few_slots", "B")


def full_port() -> Case:
    hold = entry({"in": 1}, parse_salvo_condition("nonempty(in) and nonfull(brake)"))
    net = net_of(graph([node("B", {"in": None, "brake": 1}, ["out"], entries={"go": hold})]))
    net.inject_packets("B", "brake", ["stop"])
    net.inject_packets("B", "in", [1])
    net.start()
    return net, "B", ("full_port", "B")


def contradiction() -> Case:
    never = entry("in", parse_salvo_condition("nonempty(in) and count(in) < 1"))
    net = net_of(graph([node("A", ["in"], entries={"never": never})]))
    net.inject_packets("A", "in", [1])
    net.start()
    return net, "A", ("full_port", "A")


def false() -> Case:
    never = entry("in", parse_salvo_condition("nonempty(in) and false"))
    net = net_of(graph([node("A", ["in"], entries={"never": never})]))
    net.inject_packets("A", "in", [1])
    net.start()
    return net, "A", ("never_met", "A")


def nobody_takes() -> Case:
    net = net_of(graph([node("A", ["in", "aside"], entries={"in": entry("in", at_least("in", 1))})]))
    net.inject_packets("A", "aside", [1])
    net.start()
    return net, "A", ("nobody_takes", "A")


def no_condition() -> Case:
    there = graph([node("A", ["in"], ["out"], entries={}), node("B", ["in"])], [edge("A.out", "B.in")])
    return net_of(there), "B", ("no_condition", "A")


def no_function_in_a_net_that_was_not_started() -> Case:
    net = net_of(chain("A", "B"), {"A": None})
    net.inject_packets("A", "in", [1, 2])
    return net, "B", ("no_function", "A")


def failed_and_healed() -> Case:
    values: list[Any] = [0]
    net = net_of(chain("A", "B"), {"A": lambda ctx, packets: drop_or_fail(ctx, packets, values)}, on_error="continue")
    net.inject_packets("A", "in", [1])
    net.start()
    assert root_of(net, "B") == ("failed", "A")
    net.redrive(next(iter(net.dead_letter_queue)))
    net.start()
    assert "1 of them given up" in str(net.explain("B"))
    return net, "B", ("ended", "A")


def failed_without_letters() -> Case:
    net = net_of(chain("A", "B"), {"A": fail}, on_error="continue")
    net.set_node_config("A", dead_letter_queue=False)
    net.inject_packets("A", "in", [1])
    net.start()
    return net, "B", ("ended", "A")


def drop_or_fail(ctx: Any, packets: dict[str, list[Any]], fails: list[Any]) -> None:
    """Raise as often as `fails` has something, then consume and send nothing."""
    if fails:
        fails.pop()
        raise ValueError("no luck")
    for packet in packets["in"]:
        ctx.consume_packet(packet)


def met_by_nothing() -> Case:
    some = entry("in", parse_salvo_condition("count(in) <= 5"))
    net = net_of(
        graph([node("A", ["in"], ["out"], entries={"some": some}), node("B", ["in"])], [edge("A.out", "B.in")])
    )
    net.start()
    assert "no packet is there to take" in str(net.explain("A"))
    return net, "B", ("no_producer", "A")


def met_by_nothing_behind_another() -> Case:
    some = entry("in", parse_salvo_condition("nonfull(in)"))
    there = graph(
        [node("S", [], ["out"]), node("A", {"in": 3}, ["out"], entries={"some": some})], [edge("S.out", "A.in")]
    )
    return net_of(there), "A", ("never_started", "S")


def a_cycle() -> Case:
    nodes = [node("S", [], ["out"]), join("J", ["new", "back"], ["out"]), node("W", ["in"], ["out"])]
    edges = [edge("S.out", "J.new"), edge("J.out", "W.in"), edge("W.out", "J.back")]
    net = net_of(graph(nodes, edges))
    net.run()
    return net, "W", ("cycle", "J")


def cycle_behind_a_cause() -> Case:
    nodes = [node("S", [], ["out"]), join("C", ["x", "in"], ["out"]), node("D", ["in"], ["out"])]
    net = net_of(graph(nodes, [edge("S.out", "C.x"), edge("C.out", "D.in"), edge("D.out", "C.in")]))
    assert ("never_started", "S") in roots(net)
    explanation = net.explain("C")
    assert [root.kind for root in explanation.roots] == ["cycle", "never_started"]
    assert str(explanation.root).endswith("Inject a first packet, at C.in or D.in")
    return net, "D", ("cycle", "C")


def cycle_behind_a_cycle() -> Case:
    nodes = [node("A", ["in"], ["out", "more"]), node("B", ["in"], ["out"])]
    nodes += [join("C", ["x", "in"], ["out"]), node("D", ["in"], ["out"])]
    edges = [edge("A.out", "B.in"), edge("B.out", "A.in"), edge("A.more", "C.x")]
    net = net_of(graph(nodes, [*edges, edge("C.out", "D.in"), edge("D.out", "C.in")]))
    assert roots(net) == [("cycle", "A"), ("cycle", "C")]
    return net, "D", ("cycle", "C")


def cycle_that_is_started_from_outside() -> Case:
    nodes = [node("S", [], ["out"]), node("C", ["in", "x"], ["out"]), node("D", ["in"], ["out"])]
    net = net_of(graph(nodes, [edge("S.out", "C.x"), edge("C.out", "D.in"), edge("D.out", "C.in")]))
    assert roots(net) == [("never_started", "S")]  # a packet at x will do
    assert net.explain("C").path == ("C", "S")
    return net, "D", ("never_started", "S")


def a_self_loop() -> Case:
    net = net_of(graph([node("A", ["in"], ["out"])], [edge("A.out", "A.in")]))
    net.start()
    return net, "A", ("cycle", "A")


def too_few_packets() -> Case:
    batch = node("B", ["in"], entries={"three": entry({"in": 3}, at_least("in", 3))})
    net = net_of(graph([node("A", ["in"], ["out"]), batch], [edge("A.out", "B.in")]))
    net.inject_packets("A", "in", range(5))
    net.start()
    return net, "B", ("ended", "A")


def a_wave_that_was_only_routed() -> Case:
    net = net_of(chain("A", "B"))
    net.inject_packets("A", "in", [1])
    net.run_step()
    return net, "B", ("not_running", None)


STUCK = [
    no_function,
    source_without_function,
    source_never_started,
    port_nobody_feeds,
    upstream_sends_nothing,
    upstream_failed,
    upstream_cancelled,
    paused_by_a_failure,
    paused_by_somebody,
    stopped,
    too_many_epochs,
    never_run,
    too_few_slots,
    full_port,
    contradiction,
    false,
    nobody_takes,
    no_condition,
    no_function_in_a_net_that_was_not_started,
    failed_and_healed,
    failed_without_letters,
    met_by_nothing,
    met_by_nothing_behind_another,
    a_cycle,
    cycle_behind_a_cause,
    cycle_behind_a_cycle,
    cycle_that_is_started_from_outside,
    a_self_loop,
    too_few_packets,
    a_wave_that_was_only_routed,
]


@pytest.mark.parametrize("make", STUCK, ids=lambda make: make.__name__)
def test_the_root_of_a_stuck_net(make: Callable[[], Case]) -> None:
    """Of a node that waits; it is among those of the whole net, and said in its text. Nothing is changed by asking."""
    net, name, root = make()
    before = net.poll()
    assert root_of(net, name) == root
    blockage = net.why_blocked()
    assert root in roots(net)
    assert isinstance(blockage, Blockage)
    assert str(blockage.root) in str(blockage) == repr(blockage)
    assert name in blockage.waiting_for(next(it for it in blockage.roots if (it.kind, it.node_name) == root))
    assert net.poll() == before
    net._ledger.check()


# -- nets that run -----------------------------------------------------------------------------------------------------


@contextmanager
def held(there: Graph, hold: str, **options: Any) -> Iterator[tuple[Net, threading.Event]]:
    """A net in the background, one node of which runs until the event is set."""
    inside, release = threading.Event(), threading.Event()

    def wait(ctx: Any, packets: dict[str, list[Any]]) -> None:
        inside.set()
        release.wait(10)
        pass_on(ctx, packets)

    config = options.pop("config", {})
    net = net_of(there, {hold: wait}, **options)
    for name, its in config.items():
        net.set_node_config(name, **its)
    with net:
        net.start(threaded=True)
        try:
            yield net, inside
        finally:
            release.set()
            net.wait_until_blocked(10)


def test_an_epoch_that_runs() -> None:
    """Inline, it is what everything else waits for."""
    with held(chain("A", "B"), "A") as (net, inside):
        net.inject_packets("A", "in", [1])
        assert inside.wait(10)
        assert root_of(net, "B") == ("running", "A")
        assert "the first for" in str(net.explain("A").root)
        assert net.why_blocked().state is NetState.RUNNING


def test_another_node_that_runs_inline() -> None:
    """It has nothing to do with this one, but nothing else can run meanwhile."""
    with held(graph([node("A", ["in"]), node("B", ["in"])]), "A") as (net, inside):
        net.inject_packets("A", "in", [1])
        assert inside.wait(10)
        net.inject_packets("B", "in", [1])
        assert root_of(net, "B") == ("running", "A")
        assert net.explain("B").waits_for == ("A",)


def test_max_parallel_epochs() -> None:
    """As many run as may."""
    options = {"thread_pools": {"io": {"size": 4}}, "config": {"A": {"pool": "io", "max_parallel_epochs": 1}}}
    with held(chain("A", "B"), "A", **options) as (net, inside):
        net.inject_packets("A", "in", [1, 2])
        assert inside.wait(10)
        eventually(lambda: net.poll().startable == 1)
        assert root_of(net, "A") == ("max_parallel_epochs", "A")
        assert [cause.kind for cause in net.explain("A").causes] == ["max_parallel_epochs", "running"]


def test_a_busy_pool() -> None:
    """And who keeps it busy."""
    there = graph([node("A", ["in"]), node("B", ["in"])])
    options = {"thread_pools": {"io": {"size": 1}}, "config": {"A": {"pool": "io"}, "B": {"pool": "io"}}}
    with held(there, "A", **options) as (net, inside):
        net.inject_packets("A", "in", [1])
        assert inside.wait(10)
        net.inject_packets("B", "in", [1])
        eventually(lambda: net.poll().nodes["B"].startable == 1)
        eventually(lambda: root_of(net, "B") == ("pool_busy", "B"))
        root = net.explain("B").root
        assert root is not None
        assert root.details == {"pools": ["io"], "size": 1, "busy": 1, "abandoned": 0, "nodes": ["A"]}


def test_a_worker_that_hangs() -> None:
    """Its time is over, but a thread cannot be ended."""
    there = graph([node("A", ["in"]), node("B", ["in"])])
    options = {
        "thread_pools": {"io": {"size": 1}},
        "on_error": "continue",
        "config": {"A": {"pool": "io", "timeout": 0.05}, "B": {"pool": "io"}},
    }
    with held(there, "A", **options) as (net, inside):
        net.inject_packets("A", "in", [1])
        assert inside.wait(10)
        eventually(lambda: net.poll().failed == 1)
        net.inject_packets("B", "in", [1])
        eventually(lambda: root_of(net, "B") == ("pool_busy", "B"))
        assert "1 of them with work whose time is over" in str(net.explain("B").root)


def test_a_rate_limit_and_a_retry() -> None:
    """Both say when it goes on."""
    tried = threading.Event()

    def fail_once(ctx: Any, packets: dict[str, list[Any]]) -> None:
        tried.set()
        raise ConnectionError("gone")

    net = net_of(graph([one_by_one("A"), node("B", ["in"])]), {"B": fail_once})
    net.set_node_config("A", rate_limit_per_second=0.01)
    net.set_node_config("B", retries=1, retry_wait=100, defer_net_actions=True)
    with net:
        net.start(threaded=True)
        net.inject_packets("A", "in", [1, 2])
        net.inject_packets("B", "in", [1])
        assert tried.wait(10)
        eventually(lambda: net.poll().retrying == 1 and net.poll().nodes["A"].finished == 1)
        assert root_of(net, "A") == ("rate_limit_per_second", "A")
        assert root_of(net, "B") == ("retrying", "B")
        limit, retry = net.explain("A").root, net.explain("B").root
        assert limit is not None
        assert retry is not None
        assert 0 < limit.details["seconds"] <= 100.1
        assert 0 < retry.details["seconds"] <= 100
        assert "attempt 2 in" in str(retry)
        assert "ConnectionError: gone" in str(retry)
        net.pause(wait=True)
        assert [cause.kind for cause in net.explain("B").roots] == ["paused", "retrying"]


def test_async_epochs() -> None:
    """From the loop that runs the net, too."""

    async def run() -> Blockage:
        release = asyncio.Event()

        async def wait(ctx: Any, packets: dict[str, list[Any]]) -> None:
            await ctx.consume_packet(packets["in"][0])
            await release.wait()
            await ctx.send("out", 1)

        net = net_of(chain("A", "B"), {"A": wait})
        net.inject_packets("A", "in", [1])
        running = asyncio.create_task(net.async_start())
        while not net.poll().running:
            await asyncio.sleep(0)
        seen = net.why_blocked()
        release.set()
        await running
        return seen

    seen = asyncio.run(run())
    assert [(root.kind, root.node_name) for root in seen.roots] == [("running", "A")]


def test_asked_all_the_time_while_it_runs() -> None:
    """From another thread: always an answer, never an error, and the books are right."""
    net = net_of(chain(*(f"N{number}" for number in range(20))))
    net.inject_packets("N0", "in", range(300))
    done, answers = threading.Event(), 0
    runner = threading.Thread(target=lambda: (net.start(), done.set()))
    runner.start()
    while not done.is_set():
        assert str(net.why_blocked())
        answers += 1
    runner.join()
    net._ledger.check()
    assert answers > 0
    assert net.why_blocked().root is None


# -- what is answered --------------------------------------------------------------------------------------------------


def test_nothing_waits() -> None:
    """A net that has done all."""
    net = net_of(left_and_right())
    net.run()
    blockage = net.why_blocked()
    assert (len(blockage), blockage.root, list(blockage)) == (0, None, [])
    assert str(blockage) == "the net is PAUSED: nothing waits in it, and each node has run"
    explained = net.explain("J")
    assert (explained.root, explained.roots, explained.path) == (None, (), ("J",))
    assert "nothing waits here" in str(explained)


def test_an_explanation_in_words_and_as_data() -> None:
    """Ports, conditions with their terms, causes, the way to the root."""
    net, _, _ = source_never_started()
    explained = net.explain("J")
    assert isinstance(explained, Explanation)
    (condition,) = explained.conditions
    assert (condition.name, condition.text, condition.is_met) == ("together", "nonempty(a) and nonempty(b)", False)
    assert [tuple(term) for term in condition.terms] == [("nonempty(a)", True, "a", 1), ("nonempty(b)", False, "b", 0)]
    assert tuple(explained.ports["a"]) == (1, None, 0, 0, ("A",))
    assert (explained.has_run, explained.waits_for, explained.path) == (False, ("B",), ("J", "B"))
    assert (
        repr(explained)
        == str(explained)
        == (
            "node 'J': never ran, 1 packet; waits for 'B'\n"
            "  port a: 1 (from A)\n"
            "  port b: 0 (from B)\n"
            "  condition together: nonempty(a) and nonempty(b): not met\n"
            "    true   nonempty(a), there are 1\n"
            "    false  nonempty(b), there are 0\n"
            "  root: node 'B' is a source and has never run: inject_source_epoch starts it, and so does run()"
        )
    )
    assert str(net.why_blocked()) == (
        "the net is PAUSED; 3 nodes hold something, or never ran\n"
        "1. node 'B' is a source and has never run: inject_source_epoch starts it, and so does run() (End, J wait)\n"
        "  B: never ran\n"
        "  End: never ran; waits for 'J' <- 'B'\n"
        "  J: never ran, 1 packet; waits for 'B'"
    )
    with pytest.raises(NodeNotFoundError, match="Did you mean 'End'"):
        net.explain("Ent")


def test_a_large_net() -> None:
    """Ten thousand nodes in a row, without recursion; its text is short."""
    net = net_of(chain(*(f"N{number}" for number in range(10_000))), {"N0": None})
    net.inject_packets("N0", "in", [1])
    net.start()
    blockage = net.why_blocked()
    assert [(root.kind, root.node_name) for root in blockage.roots] == [("no_function", "N0")]
    assert len(blockage) == 10_000
    assert len(str(blockage)) < 4000
    assert "and 9,980 more nodes" in str(blockage)
    assert len(net.explain("N9999").path) == 10_000


# -- planted faults ----------------------------------------------------------------------------------------------------

Plan = tuple[int, dict[tuple[int, int], None]]  # how many nodes, and which edges


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A random graph without cycles: of each node but the first, up to three earlier ones that it takes from."""
    size = draw(st.integers(2, 9))
    targets = [target for target in range(1, size) for _ in range(draw(st.integers(0, 3)))]
    pairs = [(draw(st.integers(0, target - 1)), target) for target in targets]
    return size, dict.fromkeys(pairs)


def planned(plan: Plan, plant: int, fault: str, back: int | None) -> Graph:
    """Its graph, with something wrong with one node if that is of the graph. Each takes one packet from each port."""
    size, pairs = plan
    nodes, edges = [], [edge(f"N{a}.to{b}", f"N{b}.from{a}") for a, b in pairs]
    for number in range(size):
        ins = [f"from{a}" for a, b in pairs if b == number]
        outs = [f"to{b}" for a, b in pairs if a == number]
        whens, slots = [f"nonempty({port})" for port in ins], dict.fromkeys(ins, None)
        takes: dict[str, int | None] = dict.fromkeys(ins, 1)
        if number == plant and fault in ("no_producer", "full_port", "cycle"):
            slots["more"] = 1
            whens.append("nonfull(more)" if fault == "full_port" else "nonempty(more)")
            takes["more"] = 1
        if number == plant and fault == "too_few_slots":
            slots[ins[0]] = 1
            whens.append(f"count({ins[0]}) >= 2")
        if number == back:
            outs.append("back")
            edges.append(edge(f"N{back}.back", f"N{plant}.more"))
        entries = {"all": entry(takes, parse_salvo_condition(" and ".join(whens)))} if whens else {}
        exits = {port: exit(port, at_least(port, 1)) for port in outs}
        nodes.append(node(f"N{number}", slots, outs, entries=entries, exits=exits))
    return graph(nodes, edges)


def behind(plan: Plan, plant: int) -> set[int]:
    """The nodes behind one, and it itself."""
    found = {plant}
    for a, b in sorted(plan[1]):
        if a in found:
            found.add(b)
    return found


FAULTS = {  # the kinds, and whether the node needs inputs (True), must have none (False), or either
    "no_function": None,
    "never_started": False,
    "failed": None,
    "ended": None,
    "too_few_slots": True,
    "full_port": True,
    "no_producer": True,
    "cycle": True,
}


@settings(max_examples=120, deadline=None)
@given(plans(), st.sampled_from(sorted(FAULTS)), st.data())
def test_the_root_is_what_was_planted(plan: Plan, fault: str, data: st.DataObject) -> None:
    """In a random net in which all else is right: of the net, and of each node behind it."""
    size, pairs = plan
    fed = {target for _, target in pairs}
    able = [n for n in range(size) if FAULTS[fault] is None or (n in fed) is FAULTS[fault]]
    if fault == "ended":
        able = [n for n in able if len(behind(plan, n)) > 1]
    if not able:
        return
    plant = data.draw(st.sampled_from(able))
    after = behind(plan, plant)
    back = data.draw(st.sampled_from(sorted(after))) if fault == "cycle" else None
    name = f"N{plant}"
    event(fault)
    wrong: Functions = {"no_function": {name: None}, "failed": {name: fail}, "ended": {name: consume}}.get(fault, {})
    net = net_of(planned(plan, plant, fault, back), wrong, on_error="continue")
    for number in set(range(size)) - fed:
        if fault != "never_started" or number != plant:
            net.inject_source_epoch(f"N{number}")
    if fault == "full_port":
        net.inject_packets(name, "more", ["stop"])
    net.start()
    net._ledger.check()
    blockage = net.why_blocked()
    if fault == "cycle":
        (root,) = blockage.roots
        assert root.kind == "cycle"
        assert name in root.details["node_names"]
        assert f"N{back}" in root.details["node_names"]
    elif fault == "failed" and len(after) == 1:
        assert blockage.roots == ()
    else:
        assert roots(net) == [(fault, name)]
    waiting = {f"N{number}" for number in after} - ({name} if fault in ("failed", "ended") else set())
    assert set(blockage.nodes) == waiting
    for explained in blockage:
        assert explained.root is blockage.root
        assert fault == "cycle" or explained.path[-1] == name


def consume(ctx: Any, packets: dict[str, list[Any]]) -> None:
    """Send nothing."""
    for arrived in packets.values():
        for packet in arrived:
            ctx.consume_packet(packet)


@settings(max_examples=30, deadline=None)
@given(plans())
def test_nothing_is_blamed_where_nothing_is_wrong(plan: Plan) -> None:
    """All has run, and nothing waits."""
    net = net_of(planned(plan, -1, "", None))
    net.run()
    assert len(net.why_blocked()) == 0
