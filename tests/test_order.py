"""The order of epochs: the same in every process, and by when they became startable."""

import json

from netrun import Graph
from tests.graphs import edge
from tests.graphs import nonempty as any_at
from tests.nets import build, collects, exit_, join, maps, node, python, values_of

SCRIPT = """
import json
from tests.test_order import log_of_a_run
print(json.dumps(log_of_a_run()))
"""


def log_of_a_run():
    """What ran, in a net that branches, joins and fans in."""
    log = []

    def split(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        log.append(["Split", value])
        for port in ("a", "b", "c"):
            ctx.load_output_port(port, ctx.create_packet(f"{value}{port}"))
        ctx.send_output_salvo("all")

    def pair(ctx, packets):
        values = values_of(ctx, packets)
        log.append(["Pair", values["left"] + values["right"]])
        ctx.send("out", "+".join(values["left"] + values["right"]))

    exits = {"all": exit_(["a", "b", "c"], any_at("a"))}
    nodes = [
        node("Split", ["in"], ["a", "b", "c"], exits=exits),
        node("Xa", ["in"], ["out"]),
        node("Ma", ["in"], ["out"]),
        node("Aa", ["in"], ["out"]),
        join("Pair", ["left", "right"], ["out"]),
        node("End", ["in"], ["out"]),
    ]
    edges = [
        edge("Split.a", "Xa.in"),
        edge("Split.b", "Ma.in"),
        edge("Split.c", "Aa.in"),
        edge("Xa.out", "Pair.right"),
        edge("Ma.out", "Pair.left"),
        edge("Aa.out", "End.in"),
        edge("Pair.out", "End.in"),
    ]
    one_way = maps(str.upper, log)
    net = build(Graph(nodes, edges), Split=split, Xa=one_way, Ma=one_way, Aa=one_way, Pair=pair, End=maps(str, log))
    net.inject_packets("Split", "in", [1, 2])
    net.start()
    net._ledger.check()
    log.append(net.take_outputs("End", "out"))
    return log


EXPECTED = [
    ["Split", 1],
    ["Split", 2],
    ["Aa", "1c"],  # sent together: by the nodes' names
    ["Ma", "1b"],
    ["Xa", "1a"],
    ["Aa", "2c"],
    ["Ma", "2b"],
    ["Xa", "2a"],
    ["End", "1C"],
    ["Pair", ["1B", "1A"]],
    ["End", "2C"],
    ["Pair", ["2B", "2A"]],
    ["End", "1B+1A"],
    ["End", "2B+2A"],
    ["1C", "2C", "1B+1A", "2B+2A"],
]


def test_ten_fresh_processes_run_in_the_same_order():
    """The hash seed makes the simulator's own order different in each."""
    for seed in range(10):
        told = json.loads(python(SCRIPT, PYTHONHASHSEED=str(seed)))
        assert [list(line) for line in told] == EXPECTED, f"seed {seed}"


def test_the_order_here_is_the_same():
    """So that a failure above can be looked at in this process."""
    assert json.loads(json.dumps(log_of_a_run())) == EXPECTED


def test_epochs_run_by_when_they_became_startable():
    """Not by name, not by depth: first come, first served."""
    log = []

    def source(ctx, packets):
        ctx.send("z", 1)
        ctx.send("a", 2)
        ctx.send("z", 3)
        ctx.send("a", 4)

    nodes = [node("S", (), ["a", "z"]), node("A", ["in"]), node("Z", ["in"])]
    net = build(Graph(nodes, [edge("S.a", "A.in"), edge("S.z", "Z.in")]), S=source, A=collects(log), Z=collects(log))
    net.run()
    assert log == [("Z", {"in": [1]}), ("A", {"in": [2]}), ("Z", {"in": [3]}), ("A", {"in": [4]})]


def test_values_injected_before_a_run_are_routed_by_node():
    """At once when the net begins: ties go by the nodes' names, whatever the order of injection."""
    log = []
    net = build(Graph([node("A", ["in"]), node("B", ["in"])], []), A=collects(log), B=collects(log))
    net.inject_packets("B", "in", [1, 2])
    net.inject_packets("A", "in", [3, 4])
    net.start()
    assert [(name, values["in"][0]) for name, values in log] == [("A", 3), ("A", 4), ("B", 1), ("B", 2)]


def test_epochs_that_waited_for_a_function_keep_their_place():
    """An older epoch whose node gets its function late goes before a younger one."""
    log = []
    net = build(Graph([node("A", ["in"]), node("B", ["in"])], []))
    net.inject_packets("B", "in", ["old"])
    net.start()
    net.inject_packets("A", "in", ["young"])
    net.run_step(start_epochs=False)
    net.set_node_exec("A", collects(log))
    net.set_node_exec("B", collects(log))
    net.start()
    net._ledger.check()
    assert log == [("B", {"in": ["old"]}), ("A", {"in": ["young"]})]


def test_ids_are_in_order_of_creation_and_unique_over_nets():
    """The number counts, the letters tell nets apart."""
    first, second = (build(Graph([node("A", ["in"])], [])) for _ in "12")
    ids = [net.inject_packets("A", "in", [1, 2, 3]) for net in (first, second)]
    assert [[id.split("-")[0] for id in some] for some in ids] == [["p1", "p2", "p3"]] * 2
    assert not set(ids[0]) & set(ids[1])
    for net in (first, second):
        net.run_step(start_epochs=False)
    assert [id.split("-")[0] for id in first.get_startable_epochs()] == ["e1", "e2", "e3"]
    assert not set(first.get_startable_epochs()) & set(second.get_startable_epochs())
