"""The net as its user meets it: construction, names, queries, what goes in and what comes out."""

import asyncio
import functools
import os
from inspect import signature
from threading import Thread

import pytest

from netrun import (
    ConfigError,
    DeferredPacketIdAccessError,
    EpochNotFoundError,
    EpochState,
    Graph,
    GraphError,
    InputPortNotFoundError,
    Net,
    NetrunError,
    NetState,
    NetStateError,
    NodeConfig,
    NodeExecutionFailed,
    NodeNotFoundError,
    OutputPortNotFoundError,
    PacketCount,
    PacketNotFoundError,
    ValueFunctionFailed,
)
from tests.graphs import edge
from tests.graphs import nonempty as any_at
from tests.nets import ALL, build, chain, collects, entry, join, maps, node, values_of


def unchanged(net):
    """What a refusal must leave as it is."""
    tasks = {name: (task.exec_node_func, task.config, task.is_async) for name, task in net._tasks.items()}
    return tasks, dict(net._ledger._packets), list(net._ledger._epochs), net.value_store.ids(), net.state


# construction


def test_a_new_net_is_at_rest():
    """Created, empty, with the graph it was given."""
    graph = chain("A", "B")
    net = Net(graph)
    assert net.graph is graph
    assert net.state is NetState.CREATED
    assert (net.get_startable_epochs(), len(net.value_store)) == ([], 0)
    assert repr(net) == "<Net CREATED: 2 nodes, 0 startable, 0 running>"
    net._ledger.check()


def test_an_empty_graph_runs():
    """There is nothing to do."""
    net = Net(Graph([], []))
    assert net.run() == {}
    assert net.run_step() is False


def test_a_bad_graph_is_refused_with_every_finding():
    """Missing nodes and ports, several edges from one port; always in the same order."""
    nodes = [node("A", (), ["out"]), node("B", ["in"]), node("C", ["in"])]
    edges = [edge("A.out", "B.in"), edge("A.out", "C.in"), edge("A.oot", "C.in"), edge("A.out", "Z.in")]
    texts = []
    for _ in "12":
        with pytest.raises(GraphError) as caught:
            Net(Graph(nodes, edges))
        error = caught.value
        assert isinstance(error, ValueError)
        assert isinstance(error, NetrunError)
        assert len(error.findings) >= 3
        assert f"{len(error.findings)} finding(s)" in str(error)
        assert all(finding.message in str(error) and finding.kind in str(error) for finding in error.findings)
        texts.append([(finding.kind, finding.message) for finding in error.findings])
    assert texts[0] == texts[1] == sorted(texts[0])
    assert "oot" in str(error)
    assert "Z" in str(error)


@pytest.mark.parametrize("takes", [{}, {"in": PacketCount.count(0)}])
def test_a_condition_that_would_fire_for_ever_is_refused(takes):
    """It takes nothing, so it would always be met."""
    endless = node("A", ["in"], entries={"always": entry(takes, any_at("in"))})
    with pytest.raises(GraphError) as caught:
        Net(Graph([endless, node("B", ["in"], entries={"also": entry(takes, any_at("in"))})], []))
    assert [finding.details["node_name"] for finding in caught.value.findings] == ["A", "B"]
    assert caught.value.findings[0].details["condition_name"] == "always"
    assert {finding.kind for finding in caught.value.findings} == {"InputSalvoConditionTakesNothing"}


def test_storage_options_are_checked():
    """A bad limit is refused, and an unknown option with the nearest one; the signature still tells them."""
    for bad in (
        {"consumed_packet_storage_limit": 3},
        {"consumed_packet_storage_limit": -1, "consumed_packet_storage": True},
    ):
        with pytest.raises(ConfigError):
            Net(chain("A"), **bad)
    with pytest.raises(ConfigError, match=r"no option 'max_epoch'\. Did you mean 'max_epochs'"):
        Net(chain("A"), max_epoch=3)
    assert signature(Net).parameters["max_epochs"].annotation == int | None


# functions and options


def test_unknown_nodes_are_refused_everywhere_and_the_right_ones_listed():
    """With the nearest."""
    net = build(chain("Read", "Write"), Read=maps(str))
    before = unchanged(net)
    for refused in (
        lambda: net.set_node_exec("Reed", print),
        lambda: net.set_node_config("Reed", timeout=1),
        lambda: net.get_node_config("Reed"),
        lambda: net.get_startable_epochs_by_node("Reed"),
        lambda: net.get_running_epochs_count("Reed"),
        lambda: net.inject_source_epoch("Reed"),
        lambda: net.inject_packets("Reed", "in", [1]),
        lambda: net.take_outputs("Reed", "out"),
    ):
        with pytest.raises(NodeNotFoundError) as caught:
            refused()
        assert str(caught.value) == "there is no node 'Reed'. Did you mean 'Read'? There is: 'Read', 'Write'."
    assert unchanged(net) == before


@pytest.mark.parametrize("name", ["exec_node_func", "start_node_func", "stop_node_func", "exec_failed_node_func"])
def test_what_cannot_be_called_is_refused(name):
    """And nothing of that call is taken over."""
    net = build(chain("A"), A=maps(str))
    before = unchanged(net)
    with pytest.raises(ConfigError, match=f"node 'A': {name} must be callable, not 'print'"):
        net.set_node_exec("A", **{"exec_node_func": print, name: "print"})
    assert unchanged(net) == before


def test_options_are_merged_and_checked():
    """The others stay; a refusal changes nothing."""
    net = Net(chain("A", "B"))
    assert net.get_node_config("A") == NodeConfig(defer_net_actions=False, timeout=None)
    net.set_node_config("A", timeout=2)
    net.set_node_config("A", defer_net_actions=True)
    expected = NodeConfig(defer_net_actions=True, timeout=2)
    assert net.get_node_config("A") == expected
    assert net.get_node_config("B") == NodeConfig()
    with pytest.raises(ConfigError, match=r"no node option 'time_out'. Did you mean 'timeout'.*'defer_net_actions'"):
        net.set_node_config("A", defer_net_actions=False, time_out=3)
    for bad in (0, -1, float("inf"), float("nan"), "1", True):
        with pytest.raises(ConfigError, match="timeout must be a number of seconds above 0"):
            net.set_node_config("A", defer_net_actions=False, timeout=bad)
    with pytest.raises(ConfigError, match="defer_net_actions must be True or False"):
        net.set_node_config("A", defer_net_actions=1)
    assert net.get_node_config("A") == expected
    net.set_node_config("A", timeout=None)
    net.set_node_config("A")
    assert net.get_node_config("A") == NodeConfig(defer_net_actions=True)


class Callable:
    def __call__(self, ctx, packets):
        ctx.send("out", values_of(ctx, packets)["in"][0] + 1)


class AsyncCallable:
    async def __call__(self, ctx, packets):
        await asyncio.sleep(0)
        await ctx.send("out", await ctx.consume_packet(packets["in"][0]) + 1)


async def async_add(number, ctx, packets):
    """Every async method of the context."""
    value = await ctx.consume_packet(packets["in"][0])
    packet = await ctx.create_packet_from_value_func(lambda: value + number)
    await ctx.load_output_port("out", packet)
    await ctx.send_output_salvo("out")
    own = await ctx.create_packet("own")
    assert await ctx.consume_packet(own) == "own"


@pytest.mark.parametrize("deferred", [False, True])
def test_every_kind_of_function_will_do(deferred):
    """Functions, lambdas, methods, partials, objects; sync and async in one net."""
    functions = {
        "A": Callable(),
        "B": AsyncCallable(),
        "C": functools.partial(async_add, 1),
        "D": lambda ctx, packets: Callable()(ctx, packets),
        "E": AsyncCallable().__call__,
    }
    net = build(chain(*functions), **functions)
    for name in functions:
        net.set_node_config(name, defer_net_actions=deferred)
    assert net.run({"A.in": [10, 20]}) == {"E.out": [15, 25]}
    net._ledger.check()


def test_an_async_node_can_cancel_its_epoch_by_a_plain_call():
    """No await."""

    async def cancel(ctx, packets):
        ctx.cancel_epoch()

    net = build(chain("A"), A=cancel)
    assert net.run({"A.in": [1]}) == {"A.out": []}
    assert len(net.value_store) == 0


def test_async_value_functions_work_for_both_kinds_of_nodes():
    """The consumer awaits it, or runs it."""

    async def value():
        await asyncio.sleep(0)
        return "later"

    def lazy(ctx, packets):
        for port in ("a", "b", "c"):
            ctx.load_output_port(port, ctx.create_packet_from_value_func(value))
            ctx.send_output_salvo(port)

    async def consume(ctx, packets):
        log.append(await ctx.consume_packet(packets["in"][0]))

    log = []
    graph = Graph(
        [node("S", (), ["a", "b", "c"]), node("A", ["in"]), node("B", ["in"])],
        [edge("S.a", "A.in"), edge("S.b", "B.in")],
    )
    net = build(graph, S=lazy, A=consume, B=collects(log))
    assert net.run() == {"S.c": ["later"]}
    assert log == [("B", {"in": ["later"]}), "later"]  # A's epoch began first, and waited on the loop


# queries


def test_unknown_ids_are_refused():
    """Also those of packets and epochs that were."""
    net = build(chain("A"), A=maps(str))
    (packet_id,) = net.inject_packets("A", "in", [1])
    epoch_id = net.inject_source_epoch("A")
    assert net.get_packet(packet_id).id == packet_id
    assert net.get_epoch(epoch_id).id == epoch_id
    net.start()
    for id in (packet_id, "p99"):
        with pytest.raises(PacketNotFoundError, match=id):
            net.get_packet(id)
    for id in (epoch_id, "e99"):
        with pytest.raises(EpochNotFoundError, match=id):
            net.get_epoch(id)


def test_an_epoch_shows_what_it_took_and_sent():
    """From startable to running to finished."""
    views = []

    def work(ctx, packets):
        epoch = net.get_epoch(ctx.epoch_id)
        views.append((epoch.state == EpochState.Running, len(epoch.out_salvos), net.get_running_epochs_count("A")))
        ctx.send("out", values_of(ctx, packets))
        ctx.send("err", "no")
        views.append(
            [(salvo.salvo_condition, [(port, p.id) for port, p in salvo.packets]) for salvo in epoch.out_salvos]
        )

    net = build(Graph([join("A", ["x", "y"], ["out", "err"])], []), A=work)
    x = net.inject_packets("A", "x", [1])
    y = net.inject_packets("A", "y", [2])
    net.run_step(start_epochs=False)
    (id,) = net.get_startable_epochs_by_node("A")
    epoch = net.get_epoch(id)
    assert (epoch.id, epoch.node_name, epoch.state == EpochState.Startable) == (id, "A", True)
    assert epoch.in_salvo.salvo_condition == "together"
    assert [(port, packet.id) for port, packet in epoch.in_salvo.packets] == [("x", x[0]), ("y", y[0])]
    assert (epoch.out_salvos, repr(epoch)) == ([], f"<Epoch {id} of 'A', startable>")
    net.start()
    assert views[0] == (True, 0, 1)
    assert [(condition, [port for port, _ in packets]) for condition, packets in views[1]] == [
        ("out", ["out"]),
        ("err", ["err"]),
    ]
    assert epoch.state == EpochState.Finished
    assert repr(epoch) == f"<Epoch {id} of 'A', finished>"
    (sent, _) = (packet for salvo in epoch.out_salvos for _, packet in salvo.packets)
    assert sent.location.kind == "OutsideNet"
    net.take_outputs("A", "out")
    (sent, _) = (packet for salvo in epoch.out_salvos for _, packet in salvo.packets)
    with pytest.raises(PacketNotFoundError):
        sent.location  # noqa: B018
    with pytest.raises(EpochNotFoundError):
        net.get_epoch(id)


def test_a_packet_knows_its_place_all_its_life():
    """Waiting, at a port, in an epoch, at an output port, on an edge, outside, gone."""
    places = []

    def look(packet):
        at = packet.location
        places.append((at.kind, at.node_name, at.port_name, at.epoch_id is not None, at.edge))

    def forward(ctx, packets):
        packet = packets["in"][-1]
        for other in packets["in"][:-1]:
            ctx.consume_packet(other)
        assert packet.location.epoch_id == ctx.epoch_id
        look(packet)
        ctx.load_output_port("out", packet)
        look(packet)
        ctx.send_output_salvo("out")
        look(packet)

    def refuse(ctx, packets):
        ctx.load_output_port("out", packets["in"][0])
        ctx.send_output_salvo("out")

    both = join("B", ["in", "go"], ["out"])
    narrow = node("B", ["in", "go"], ["out"], slots={"in": 1}, entries=both.in_salvo_conditions)
    first = node("A", ["in"], ["out"], slots={"in": 1})
    net = build(Graph([first, narrow], [edge("A.out", "B.in")]), A=forward)
    _, id = net.inject_packets("A", "in", ["first", "second"])
    packet = net.get_packet(id)
    look(packet)
    net.start()
    net.set_node_exec("B", lambda ctx, packets: (ctx.consume_packet(packets["go"][0]), refuse(ctx, packets)))
    net.inject_packets("B", "go", "x")
    net.start()
    look(packet)
    net.inject_packets("B", "go", "y")
    net.start()
    look(packet)
    wire = edge("A.out", "B.in")
    sent_first = [("Node", "A", None, True, None), ("OutputPort", "A", "out", True, None)]
    assert places[0] == ("Waiting", "A", "in", False, None)
    assert places[1:3] == sent_first
    assert places[3] == ("InputPort", "B", "in", False, None)  # the first packet
    assert places[4:6] == sent_first
    assert places[6] == ("Edge", None, None, False, wire)
    assert places[7] == ("InputPort", "B", "in", False, None)
    assert places[8] == ("OutsideNet", "B", "out", False, None)
    assert net.take_outputs("B", "out") == ["first", "second"]
    with pytest.raises(PacketNotFoundError, match="consumed, taken out or destroyed"):
        packet.location  # noqa: B018
    assert repr(packet) == f"Packet({id!r})"


def test_a_deferred_packet_answers_once_it_is_committed():
    """Before, id and location raise, and its repr does not."""
    made = []

    def create(ctx, packets):
        made.append(ctx.create_packet("v"))
        for ask in (lambda: made[0].id, lambda: made[0].location):
            with pytest.raises(DeferredPacketIdAccessError):
                ask()
        assert repr(made[0]) == "DeferredPacket()"
        ctx.load_output_port("out", made[0])
        ctx.send_output_salvo("out")

    net = build(Graph([node("S", (), ["out"])], []), S=create)
    net.set_node_config("S", defer_net_actions=True)
    net.inject_source_epoch("S")
    net.start()
    assert net.get_packet(made[0].id) is made[0]
    assert made[0].location.kind == "OutsideNet"
    assert repr(made[0]) == f"DeferredPacket({made[0].id!r})"
    assert net.take_outputs("S", "out") == ["v"]


# in and out


def test_injecting_at_a_wrong_port_names_the_right_ones():
    """Nothing is injected; an output port is no input port."""
    net = Net(Graph([node("A", ["left", "right"], ["out"])], []))
    with pytest.raises(InputPortNotFoundError, match=r"node 'A': there is no input port 'lft'. Did you mean 'left'"):
        net.inject_packets("A", "lft", [1])
    with pytest.raises(InputPortNotFoundError, match="There is: 'left', 'right'"):
        net.inject_packets("A", "out", [1])
    assert len(net.value_store) == 0


def test_a_broken_iterable_injects_nothing():
    """All or none."""

    def values():
        yield 1
        yield 2
        raise OSError("torn")

    net = build(chain("A"), A=maps(str))
    with pytest.raises(OSError, match="torn"):
        net.inject_packets("A", "in", values())
    with pytest.raises(TypeError):
        net.inject_packets("A", "in", 5)
    assert net.inject_packets("A", "in", []) == []
    net._ledger.check()
    assert net.run() == {"A.out": []}


def test_outputs_are_taken_once_and_only_from_free_ports():
    """A connected port's packets go over its edge."""
    net = build(chain("A", "B"), A=maps(str))
    with pytest.raises(OutputPortNotFoundError, match=r"no unconnected output port 'out'. There is: none"):
        net.take_outputs("A", "out")
    with pytest.raises(OutputPortNotFoundError, match=r"'ouut'. Did you mean 'out'"):
        net.take_outputs("B", "ouut")
    net.set_node_exec("B", maps(str))
    net.run({"A.in": [1]}, outputs=[])
    assert len(net.value_store) == 1
    assert net.take_outputs("B", "out") == ["1"]
    assert len(net.value_store) == 0


def test_a_value_function_that_fails_keeps_all_outputs():
    """They can be taken when it works, in order."""
    works = []

    def value():
        if not works:
            raise OSError("not yet")
        return "lazy"

    def send(ctx, packets):
        ctx.send("out", 1)
        ctx.load_output_port("out", ctx.create_packet_from_value_func(value))
        ctx.send_output_salvo("out")
        ctx.send("out", 3)

    net = build(Graph([node("S", (), ["out"])], []), S=send)
    with pytest.raises(ValueFunctionFailed):
        net.run()
    net._ledger.check()
    works.append(1)
    assert net.take_outputs("S", "out") == [1, "lazy", 3]
    net._ledger.check()


def two_ends():
    """Two inputs, two free outputs, one of the names twice."""
    graph = Graph([node("A", ["in", "only"], ["out"]), node("B", ["in"], ["out", "rest"])], [edge("A.out", "B.in")])

    def last(ctx, packets):
        ctx.send("out", values_of(ctx, packets)["in"][0])

    return build(graph, A=maps(lambda v: v), B=last)


def test_run_in_all_its_forms():
    """Inputs by full name, by keyword where it is unique; every free port is in the result."""
    net = two_ends()
    assert net.run() == {"B.out": [], "B.rest": []}
    assert net.run({"A.in": [1], "B.in": [2]}) == {"B.out": [2, 1], "B.rest": []}
    assert net.run(only=[3]) == {"B.out": [3], "B.rest": []}
    assert net.run({"A.in": [4]}, only=[5], outputs=["B.out"]) == {"B.out": [4, 5]}
    assert net.run({"A.in": (n for n in (6, 7))}, outputs=["B.rest"]) == {"B.rest": []}
    assert net.run(outputs=[]) == {}
    assert net.run(outputs=["B.out"], sources=False) == {"B.out": [6, 7]}
    net._ledger.check()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: net.run({"A.in": [1], "in": [2]}), "there is no input port 'in'"),
        (lambda net: net.run({"A.in": [1], "A.inn": [2]}), "no input port 'A.inn'. Did you mean 'A.in'"),
        (lambda net: net.run({"A.in": [1]}, onli=[2]), "there is no input port 'onli'"),
        (lambda net: net.run({"A.in": [1]}, outputs=["A.out"]), "no unconnected output port 'A.out'"),
        (lambda net: net.run({"A.in": [1]}, outputs=["rest"]), "Did you mean 'B.rest'|There is: 'B.out', 'B.rest'"),
    ],
)
def test_run_with_a_wrong_name_injects_nothing(call, message):
    """The right ones are named."""
    net = two_ends()
    with pytest.raises(ConfigError, match=message):
        call(net)
    assert len(net.value_store) == 0
    assert net.state is NetState.CREATED


def test_run_starts_each_source_once_unless_one_waits_there():
    """Nodes without input ports that have a function."""
    log = []

    def source(ctx, packets):
        log.append(ctx.node_name)
        ctx.send("out", ctx.node_name)

    net = build(Graph([node(name, (), ["out"]) for name in ("S", "T", "U")], []), S=source, T=source)
    assert net.run() == {"S.out": ["S"], "T.out": ["T"], "U.out": []}
    log.clear()
    assert net.run(sources=False) == {"S.out": [], "T.out": [], "U.out": []}
    waiting = [net.inject_source_epoch("T"), net.inject_source_epoch("T")]
    assert net.get_startable_epochs() == waiting
    assert net.run() == {"S.out": ["S"], "T.out": ["T", "T"], "U.out": []}
    net.inject_source_epoch("T")
    assert net.run(sources=False)["T.out"] == ["T"]
    assert log == ["T", "T", "S", "T"]


def test_run_keeps_the_outputs_when_a_node_fails():
    """They can still be taken."""

    def picky(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if value < 0:
            raise ValueError(value)
        ctx.send("out", value)

    net = build(chain("A"), A=picky)
    with pytest.raises(NodeExecutionFailed):
        net.run({"A.in": [1, -1, 2]})
    assert net.run() == {"A.out": [1, 2]}


def test_run_on_a_net_that_is_running_changes_nothing():
    """Refused, with nothing injected."""
    errors, values = [], []

    def inner(ctx, packets):
        values.append(ctx.consume_packet(packets["in"][0]))
        if len(values) == 1:
            with pytest.raises(NetStateError) as caught:
                net.run({"A.in": ["more"]})
            errors.append(caught.value)

    net = build(chain("A"), A=inner)
    assert net.run({"A.in": [1]}) == {"A.out": []}
    assert len(errors) == 1
    assert values == [1]
    assert len(net.value_store) == 0


def test_values_may_be_injected_from_inside_a_node():
    """Also at the node's own port: the run goes on with them."""

    def down(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if value:
            net.inject_packets("A", "in", [value - 1])
        if value == 2:
            net.inject_source_epoch("B")
        ctx.send("out", value)

    net = build(chain("A", "B"), A=down, B=collects([]))
    net.set_node_exec("B", lambda ctx, packets: ctx.send("out", values_of(ctx, packets)))
    assert net.run({"A.in": [3]})["B.out"] == [{"in": [3]}, {}, {"in": [2]}, {"in": [1]}, {"in": [0]}]
    net._ledger.check()


def test_values_may_be_injected_from_other_threads_while_the_net_runs():
    """None is lost, and each thread's are in order."""
    got, threads = [], []

    def feed(name):
        for number in range(100):
            net.inject_packets("A", "in", [(name, number)])

    def take(ctx, packets):
        got.append(ctx.consume_packet(packets["in"][0]))
        if not threads:
            threads.extend(Thread(target=feed, args=(name,)) for name in "xyz")
            for thread in threads:
                thread.start()

    net = build(chain("A"), A=take)
    net.inject_packets("A", "in", [("first", 0)])
    net.start()
    for thread in threads:
        thread.join()
    net.start()
    net._ledger.check()
    assert len(got) == 301
    for name in "xyz":
        assert [number for who, number in got if who == name] == list(range(100))


# values


def test_consumed_values_are_kept_if_asked_for():
    """Up to the limit, the oldest go first."""
    for limit, expected in [(None, ["a", "b", "c"]), (2, [None, "b", "c"]), (0, [None] * 3)]:
        net = Net(chain("A"), consumed_packet_storage=True, consumed_packet_storage_limit=limit)
        net.set_node_exec("A", lambda ctx, packets: values_of(ctx, packets) and None)
        ids = net.inject_packets("A", "in", "abc")
        net.start()
        assert [net.value_store.get_consumed_value(id) for id in ids] == expected
        assert len(net.value_store) == 0
        net._ledger.check()
    net = build(chain("A"), A=collects([]))
    ids = net.inject_packets("A", "in", "abc")
    net.start()
    assert [net.value_store.get_consumed_value(id) for id in ids] == [None] * 3


@pytest.mark.parametrize("deferred", [False, True])
def test_values_can_be_kept_in_files(tmp_path, deferred):
    """One a value, there as long as the value is."""
    folder = tmp_path / "values"
    seen = []

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        seen.append(len(list(folder.iterdir())))
        ctx.send("out", value * 2)

    net = Net(chain("A"), packet_storage_path=folder)
    net.set_node_exec("A", work)
    net.set_node_config("A", defer_net_actions=deferred)
    ids = net.inject_packets("A", "in", [[1], [2]])
    assert sorted(os.listdir(folder)) == sorted(f"{id}.pkl" for id in ids)
    net.start()
    net._ledger.check()
    assert seen == ([2, 2] if deferred else [1, 1])
    assert len(os.listdir(folder)) == 2
    assert net.take_outputs("A", "out") == [[1, 1], [2, 2]]
    assert os.listdir(folder) == []
    with pytest.raises(Exception, match="pickle"):
        net.inject_packets("A", "in", [1, (n for n in ())])
    assert os.listdir(folder) == []


def test_values_are_handed_on_as_they_are():
    """In memory nothing is copied: None and odd values too."""
    thing = object()
    values = [None, thing, float("nan"), [], NotImplemented]
    net = build(chain("A", "B"), A=maps(lambda v: v), B=maps(lambda v: v))
    out = net.run({"A.in": values})["B.out"]
    assert all(a is b for a, b in zip(out, values, strict=True))


def test_a_pile_of_values_goes_through_in_order():
    """More than the ledger keeps startable at once."""
    net = build(chain("A"), A=maps(lambda v: v))
    assert net.run({"A.in": range(5000)}) == {"A.out": list(range(5000))}
    net.inject_packets("A", "in", range(3000))
    assert len(net.get_startable_epochs()) == 0  # not routed yet
    net.run_step(start_epochs=False)
    assert len(net.get_startable_epochs()) == 3000
    net._ledger.check()


def test_all_takes_the_whole_port():
    """One epoch with everything that had been injected."""
    log = []
    net = build(Graph([node("A", ["in"], entries={"all": entry({"in": ALL}, any_at("in"))})], []), A=collects(log))
    net.run({"A.in": range(100)})
    assert log == [("A", {"in": list(range(100))})]


def test_ports_whose_names_hold_dots_are_told_apart():
    """Node a.b port c, and node a port b.c: quotes say which; plain names are plain."""
    net = Net(Graph([node("a.b", ["i"], ["c"]), node("a", ["i"], ["b.c"])], []))
    net.set_node_exec("a.b", lambda ctx, packets: ctx.send("c", ctx.consume_packet(packets["i"][0])))
    net.set_node_exec("a", lambda ctx, packets: ctx.send("b.c", ctx.consume_packet(packets["i"][0])))
    assert net.run({'"a.b".i': [1], "a.i": [2]}) == {'"a.b".c': [1], 'a."b.c"': [2]}
    assert net.run({"a.i": [3]}, outputs=['a."b.c"']) == {'a."b.c"': [3]}
