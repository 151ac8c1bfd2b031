"""Nets of every shape on real graphs, with exact results. The books are checked after every step."""

import pytest

from netrun import (
    EpochState,
    Graph,
    MaxSalvosExceededError,
    NetState,
    OutputPortFullError,
    PacketCount,
    SalvoConditionTerm,
)
from tests.graphs import at_least, edge
from tests.graphs import nonempty as any_at
from tests.nets import ALL, ONE, build, chain, collects, drain, entry, exit_, join, maps, node, values_of


def test_a_line_carries_each_value_through_every_node():
    """Three values, three nodes: nine epochs in three waves."""
    log = []
    net = build(
        chain("A", "B", "C"),
        A=maps(lambda v: v + 1, log),
        B=maps(lambda v: v * 10, log),
        C=maps(lambda v: v - 5, log),
    )
    net.inject_packets("A", "in", [1, 2, 3])
    assert drain(net) == 3
    assert log == [(n, v) for n, vs in [("A", (1, 2, 3)), ("B", (2, 3, 4)), ("C", (20, 30, 40))] for v in vs]
    assert net.take_outputs("C", "out") == [15, 25, 35]
    assert net.take_outputs("C", "out") == []
    assert len(net.value_store) == 0
    net._ledger.check()


def test_start_gives_the_same_as_steps():
    """The same line with start(): the oldest startable epoch runs first."""
    log = []
    net = build(chain("A", "B"), A=maps(lambda v: v + 1, log), B=maps(lambda v: v * 10, log))
    net.inject_packets("A", "in", [1, 2])
    net.start()
    net._ledger.check()
    assert log == [("A", 1), ("A", 2), ("B", 2), ("B", 3)]
    assert net.take_outputs("B", "out") == [20, 30]


def test_a_branch_sends_each_value_one_way():
    """Even and odd numbers go to different nodes."""
    log = []

    def split(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        ctx.send("odd" if value % 2 else "even", value)

    nodes = [node("Split", ["in"], ["even", "odd"]), node("Even", ["in"]), node("Odd", ["in"])]
    net = build(
        Graph(nodes, [edge("Split.even", "Even.in"), edge("Split.odd", "Odd.in")]),
        Split=split,
        Even=collects(log),
        Odd=collects(log),
    )
    net.inject_packets("Split", "in", range(5))
    assert drain(net) == 2
    assert log == [(("Odd" if n % 2 else "Even"), {"in": [n]}) for n in range(5)]


def test_a_join_pairs_what_comes_from_two_sides():
    """Packets pair in order; what has no partner waits at its port."""
    log = []
    graph = Graph(
        [node("A", ["in"], ["out"]), node("B", ["in"], ["out"]), join("Join", ["left", "right"])],
        [edge("A.out", "Join.left"), edge("B.out", "Join.right")],
    )
    net = build(graph, A=maps(lambda v: v), B=maps(str.upper), Join=collects(log))
    net.inject_packets("A", "in", [1, 2, 3])
    (b, *_) = net.inject_packets("B", "in", ["x", "y"])
    assert drain(net) == 2
    assert log == [("Join", {"left": [1], "right": ["X"]}), ("Join", {"left": [2], "right": ["Y"]})]
    (waiting,) = net._ledger._packets.values()
    assert (waiting.location.kind, waiting.location.port_name) == ("InputPort", "left")
    net.inject_packets("B", "in", ["z"])
    drain(net)
    assert log[-1] == ("Join", {"left": [3], "right": ["Z"]})
    assert len(net.value_store) == 0
    assert b not in net._ledger._packets


def test_a_diamond_joins_both_halves_of_each_value():
    """A branch that comes together again."""

    def split(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        ctx.send("low", value % 10)
        ctx.send("high", value // 10)

    def add(ctx, packets):
        got = values_of(ctx, packets)
        ctx.send("out", (got["high"][0], got["low"][0]))

    nodes = [
        node("Split", ["in"], ["low", "high"]),
        node("Low", ["in"], ["out"]),
        node("High", ["in"], ["out"]),
        join("Sum", ["low", "high"], ["out"]),
    ]
    edges = [
        edge("Split.low", "Low.in"),
        edge("Split.high", "High.in"),
        edge("Low.out", "Sum.low"),
        edge("High.out", "Sum.high"),
    ]
    net = build(Graph(nodes, edges), Split=split, Low=maps(lambda v: -v), High=maps(lambda v: v * 100), Sum=add)
    net.inject_packets("Split", "in", [12, 34, 56])
    assert drain(net) == 3
    assert net.take_outputs("Sum", "out") == [(100, -2), (300, -4), (500, -6)]


def collatz(ctx, packets):
    """Send the next number round until it is 1."""
    start, number, steps = ctx.consume_packet(packets["in"][0])
    if number == 1:
        ctx.send("done", (start, steps))
    else:
        ctx.send("again", (start, number // 2 if number % 2 == 0 else 3 * number + 1, steps + 1))


def test_a_node_can_feed_itself():
    """A self-loop, with values going round at the same time."""
    net = build(Graph([node("C", ["in"], ["again", "done"])], [edge("C.again", "C.in")]), C=collatz)
    net.inject_packets("C", "in", [(n, n, 0) for n in (6, 1, 3)])
    assert drain(net) == 9
    assert net.take_outputs("C", "done") == [(1, 0), (3, 7), (6, 8)]


def test_a_cycle_of_two_nodes_ends_when_nothing_goes_round():
    """Ping and Pong count down."""
    log = []

    def hit(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        log.append((ctx.node_name, value))
        if value:
            ctx.send("out", value - 1)

    edges = [edge("Ping.out", "Pong.in"), edge("Pong.out", "Ping.in")]
    net = build(Graph([node("Ping", ["in"], ["out"]), node("Pong", ["in"], ["out"])], edges), Ping=hit, Pong=hit)
    net.inject_packets("Ping", "in", [3])
    assert drain(net) == 4
    assert log == [("Ping", 3), ("Pong", 2), ("Ping", 1), ("Pong", 0)]


def test_a_batch_waits_until_it_is_full():
    """Batches of exactly three; what does not fill one stays at the port."""
    log = []
    batch = node("B", ["in"], entries={"three": entry({"in": PacketCount.count(3)}, at_least("in", 3))})
    net = build(
        Graph([node("A", ["in"], ["out"]), batch], [edge("A.out", "B.in")]), A=maps(lambda v: v), B=collects(log)
    )
    net.inject_packets("A", "in", range(7))
    drain(net)
    assert log == [("B", {"in": [0, 1, 2]}), ("B", {"in": [3, 4, 5]})]
    (rest,) = net._ledger._packets.values()
    assert rest.location.kind == "InputPort"
    net.inject_packets("B", "in", [7, 8])
    drain(net)
    assert log[-1] == ("B", {"in": [6, 7, 8]})


def test_count_takes_at_most_that_many_and_all_takes_all():
    """`count(2)` does not wait for two; `all()` takes what is there."""
    log = []
    for takes, expected in [(PacketCount.count(2), [[0, 1], [2, 3], [4]]), (ALL, [[0, 1, 2, 3, 4]])]:
        log.clear()
        net = build(Graph([node("B", ["in"], entries={"some": entry({"in": takes}, at_least("in", 1))})], []))
        net.inject_packets("B", "in", range(5))
        net.run_step(start_epochs=False)
        net.set_node_exec("B", collects(log))
        drain(net)
        assert [values["in"] for _, values in log] == expected


def test_the_first_condition_that_is_met_makes_the_epoch():
    """The conditions of a node are tried in their order."""
    log = []
    entries = {
        "pair": entry({"in": PacketCount.count(2)}, at_least("in", 2)),
        "urgent": entry({"now": ONE}, any_at("now")),
        "single": entry({"in": ONE}, SalvoConditionTerm.and_([any_at("in"), any_at("flush")])),
        "flush": entry({"flush": ONE}, any_at("flush")),
    }

    def note(ctx, packets):
        log.append((net.get_epoch(ctx.epoch_id).in_salvo.salvo_condition, values_of(ctx, packets)))

    net = build(Graph([node("N", ["in", "now", "flush"], entries=entries)], []), N=note)
    for port, values in {"in": [1, 2, 3], "now": ["n"], "flush": ["f"]}.items():
        net.inject_packets("N", port, values)
    drain(net)
    assert log == [
        ("pair", {"in": [1, 2]}),
        ("urgent", {"now": ["n"]}),
        ("single", {"in": [3]}),
        ("flush", {"flush": ["f"]}),
    ]


def test_slots_of_a_port_hold_values_back_in_order():
    """Two slots: the rest waits outside, and goes in as there is room."""
    log = []
    both = SalvoConditionTerm.and_([any_at("a"), any_at("b")])
    narrow = node("N", ["a", "b"], slots={"a": 2}, entries={"both": entry({"a": ONE, "b": ONE}, both)})
    net = build(Graph([narrow], []), N=collects(log))
    ids = net.inject_packets("N", "a", range(5))
    drain(net)
    assert log == []
    assert [net.get_packet(id).location.kind for id in ids] == ["InputPort"] * 2 + ["Waiting"] * 3
    net.inject_packets("N", "b", "v")
    drain(net)
    assert [net.get_packet(id).location.kind for id in ids[1:]] == ["InputPort"] * 2 + ["Waiting"] * 2
    net.inject_packets("N", "b", "wxyz")
    drain(net)
    assert log == [("N", {"a": [n], "b": [c]}) for n, c in enumerate("vwxyz")]


def test_a_full_input_port_makes_packets_wait_on_the_edge():
    """Back-pressure: nothing is lost, nothing overtakes."""
    log = []
    sent = []

    def burst(ctx, packets):
        for value in range(4):
            sent.append(ctx.send("out", value).id)

    both = SalvoConditionTerm.and_([any_at("in"), any_at("go")])
    narrow = node("N", ["in", "go"], slots={"in": 1}, entries={"both": entry({"in": ONE, "go": ONE}, both)})
    net = build(Graph([node("S", (), ["out"]), narrow], [edge("S.out", "N.in")]), S=burst, N=collects(log))
    net.inject_source_epoch("S")
    drain(net)
    where = [net.get_packet(id).location for id in sent]
    assert [place.kind for place in where] == ["InputPort", "Edge", "Edge", "Edge"]
    assert where[1].edge == edge("S.out", "N.in")
    net.inject_packets("N", "go", "abcd")
    drain(net)
    assert log == [("N", {"go": [c], "in": [n]}) for n, c in enumerate("abcd")]


def test_a_full_output_port_refuses_and_says_what_to_do():
    """The refusal changes nothing: the packet can still be consumed."""
    seen = []

    def fill(ctx, packets):
        first, second = ctx.create_packet(1), ctx.create_packet(2)
        ctx.load_output_port("out", first)
        with pytest.raises(OutputPortFullError, match="send what it holds first"):
            ctx.load_output_port("out", second)
        seen.append(second.location.kind)
        ctx.send_output_salvo("out")
        ctx.load_output_port("out", second)
        ctx.send_output_salvo("out")

    net = build(Graph([node("S", (), ["out"], slots={"out": 1})], []), S=fill)
    assert net.run() == {"S.out": [1, 2]}
    assert seen == ["Node"]


def test_fan_in_keeps_the_order_of_arrival():
    """Two nodes send to one port."""
    log = []
    graph = Graph(
        [node("A", ["in"], ["out"]), node("B", ["in"], ["out"]), node("C", ["in"])],
        [edge("A.out", "C.in"), edge("B.out", "C.in")],
    )
    net = build(graph, A=maps(lambda v: f"a{v}"), B=maps(lambda v: f"b{v}"), C=collects(log))
    net.inject_packets("B", "in", [1])
    net.run_step(start_epochs=False)
    net.inject_packets("A", "in", [1, 2])
    net.run_step(start_epochs=False)
    net.inject_packets("B", "in", [2])
    drain(net)
    assert [values["in"][0] for _, values in log] == ["b1", "a1", "a2", "b2"]


def test_a_salvo_of_two_ports_arrives_under_the_right_ports():
    """The names cross over on the way; the function sees its own ports, in the order of their names."""
    seen = []
    together = SalvoConditionTerm.and_([any_at("p"), any_at("q")])
    source = node(
        "S", (), ["x", "y"], exits={"both": exit_(["x", "y"], SalvoConditionTerm.and_([any_at("x"), any_at("y")]))}
    )
    target = node("T", ["q", "p"], entries={"both": entry(["q", "p"], together)})

    def send_both(ctx, packets):
        for number in range(3):
            ctx.load_output_port("y", ctx.create_packet(f"from y {number}"))
            ctx.load_output_port("x", ctx.create_packet(f"from x {number}"))
            ctx.send_output_salvo("both")

    def take(ctx, packets):
        epoch = net.get_epoch(ctx.epoch_id)
        assert [port for port, _ in epoch.in_salvo.packets] == ["p", "q"]
        seen.append(list(values_of(ctx, packets).items()))

    net = build(Graph([source, target], [edge("S.x", "T.q"), edge("S.y", "T.p")]), S=send_both, T=take)
    net.inject_source_epoch("S")
    drain(net)
    assert seen == [[("p", [f"from y {n}"]), ("q", [f"from x {n}"])] for n in range(3)]


def test_only_ports_that_gave_packets_are_keys():
    """A condition over two ports, one of which is empty."""
    log = []
    either = node(
        "N", ["a", "b"], entries={"any": entry(["a", "b"], SalvoConditionTerm.or_([any_at("a"), any_at("b")]))}
    )
    net = build(Graph([either], []), N=collects(log))
    net.inject_packets("N", "b", [1, 2])
    drain(net)
    assert log == [("N", {"b": [1, 2]})]


def test_a_node_without_a_function_keeps_its_epochs():
    """The rest runs on, start() returns; with a function the epochs run, in order."""
    log = []
    net = build(chain("A", "B"), A=maps(lambda v: v))
    net.inject_packets("A", "in", [1, 2, 3])
    net.start()
    net._ledger.check()
    kept = net.get_startable_epochs_by_node("B")
    assert len(kept) == 3
    assert net.get_startable_epochs() == kept
    assert {net.get_epoch(id).state == EpochState.Startable for id in kept} == {True}
    assert net.state is NetState.PAUSED
    assert net.run_step() is False
    net.set_node_exec("B", collects(log))
    net.start()
    net._ledger.check()
    assert log == [("B", {"in": [n]}) for n in (1, 2, 3)]
    assert net.get_startable_epochs() == []


def test_a_function_that_is_taken_away_holds_the_epochs_again():
    """set_node_exec(None) in the middle."""
    log = []
    net = build(chain("A"), A=maps(lambda v: v, log))
    net.inject_packets("A", "in", [1])
    net.start()
    net.set_node_exec("A", None)
    net.inject_packets("A", "in", [2])
    net.start()
    assert log == [("A", 1)]
    assert len(net.get_startable_epochs_by_node("A")) == 1
    net._ledger.check()


def test_an_output_condition_can_be_sent_only_so_often():
    """`MaxSalvos.finite(2)` counts within an epoch, and anew in the next."""

    def thrice(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        ctx.send("out", 1)
        ctx.send("out", 2)
        with pytest.raises(MaxSalvosExceededError, match="as often as its max_salvos allows"):
            ctx.send("out", 3)

    limited = node("N", ["in"], ["out"], exits={"out": exit_("out", any_at("out"), most=2)})
    net = build(Graph([limited], []), N=thrice)
    net.inject_packets("N", "in", "ab")
    drain(net)
    assert net.take_outputs("N", "out") == [1, 2, 1, 2]
    assert len(net.value_store) == 0


def test_an_injected_epoch_has_an_empty_salvo_even_where_there_are_ports():
    """inject_source_epoch works on any node."""
    log = []
    net = build(chain("A"), A=collects(log))
    id = net.inject_source_epoch("A")
    assert net.get_startable_epochs() == [id]
    assert net.get_epoch(id).in_salvo.packets == []
    drain(net)
    assert log == [("A", {})]


@pytest.mark.parametrize("deferred", [False, True])
def test_packets_can_be_passed_on_without_being_consumed(deferred):
    """The same packet, with its id, goes through the node."""
    seen = []

    def forward(ctx, packets):
        ctx.load_output_port("out", packets["in"][0])
        ctx.send_output_salvo("out")

    net = build(
        chain("A", "B"), A=forward, B=lambda ctx, packets: seen.append(packets["in"][0].id) or forward(ctx, packets)
    )
    net.set_node_config("A", defer_net_actions=deferred)
    ids = net.inject_packets("A", "in", ["one", "two"])
    drain(net)
    assert seen == ids
    assert [net.get_packet(id).location.kind for id in ids] == ["OutsideNet"] * 2
    assert net.take_outputs("B", "out") == ["one", "two"]


@pytest.mark.parametrize("deferred", [False, True])
def test_a_burst_stays_in_order(deferred):
    """More packets in one epoch than the ledger keeps startable at once."""
    got = []
    net = build(
        Graph([node("S", (), ["out"]), node("T", ["in"])], [edge("S.out", "T.in")]),
        S=lambda ctx, packets: [ctx.send("out", n) for n in range(3000)],
        T=lambda ctx, packets: got.append(ctx.consume_packet(packets["in"][0])),
    )
    net.set_node_config("S", defer_net_actions=deferred)
    net.inject_source_epoch("S")
    net.run_step()
    net._ledger.check()
    assert len(net.get_startable_epochs_by_node("T")) == 3000
    net.start()
    net._ledger.check()
    assert got == list(range(3000))
