"""What can never work in a graph: certain faults, and doubts."""

import pickle
import warnings
from collections import Counter
from itertools import product
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from netrun import (
    ConfigError,
    Graph,
    GraphError,
    GraphWarning,
    Net,
    NetDefinition,
    Node,
    SalvoConditionTerm,
    checks,
    parse_salvo_condition,
    routing,
)
from netrun import node as function_node
from netrun.checks import Life, components, graph_doubts, graph_faults
from netrun.routing import _search, graph_findings
from tests.graphs import at_least, chain, edge, entry, exit, graph, node, nonempty
from tests.nets import join
from tests.test_routing_equals_netsim import built, can_run, graphs, holds, input_sides


def kinds(findings: list[Any]) -> list[tuple[str, str]]:
    """Of each finding its kind, and what it is about."""
    about = ("condition_name", "port_name", "node_names")
    return [(f.kind, str(next(f.details[name] for name in about if name in f.details))) for f in findings]


def one_node(when: str, slots: dict[str, int | None], takes: Any) -> Graph:
    """A node with one input condition."""
    return graph([node("A", slots, entries={"c": entry(takes, parse_salvo_condition(when))})])


# -- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "slots", "is_fault"),
    [
        ("count(a) >= 5", {"a": 3}, True),
        ("count(a) >= 3", {"a": 3}, False),
        ("full(a)", {"a": 3}, False),
        ("full(a)", {"a": None}, True),
        ("nonempty(a)", {"a": 0}, True),
        ("nonempty(a) and empty(a)", {"a": None}, True),
        ("count(a) > 2 and count(a) < 4", {"a": None}, False),
        ("count(a) > 2 and count(a) < 3", {"a": None}, True),
        ("nonempty(a) and false", {"a": None}, True),
        ("nonempty(a) or false", {"a": None}, False),
        ("nonempty(a) and not nonfull(b)", {"a": None, "b": None}, True),
        ("nonempty(a) and not nonfull(b)", {"a": None, "b": 2}, False),
        ("nonempty(a) and count(b) == 1000000", {"a": None, "b": None}, False),
        ("empty(a)", {"a": None}, True),  # a condition is tried only while some packet waits
    ],
)
def test_a_condition_that_can_never_be_met(when: str, slots: dict[str, int | None], is_fault: bool) -> None:
    """By slots, by contradiction, or since it needs that no packet waits."""
    found = graph_faults(one_node(when, slots, {"a": None}))
    assert kinds(found) == ([("InputConditionNeverMet", "c")] if is_fault else [])


def test_what_it_says() -> None:
    """Where, why, and what is to be done."""
    (few,) = graph_faults(one_node("count(a) >= 5", {"a": 3, "b": 1}, "a"))
    assert few.message == (
        "node 'A': input condition 'c' can never be met: its ports cannot hold what it asks for (slots: 'a' 3). "
        "Give them more slots, or ask for less"
    )
    (odd,) = graph_faults(one_node("count(a) >= 3 and count(a) < 2", {"a": 5}, "a"))
    assert "no numbers of packets at its ports meet it" in odd.message
    assert few.details == {"node_name": "A", "condition_name": "c", "is_input_condition": True, "slots": {"a": 3}}
    (contradiction,) = graph_faults(one_node("nonempty(a) and empty(a)", {"a": None}, "a"))
    assert "no numbers of packets" in contradiction.message


def pigeons(holes: int) -> Graph:
    """A node whose condition asks for a hole for each of one pigeon too many: never met, and very hard to decide."""
    ports = {(pigeon, hole): f"p{pigeon}_{hole}" for pigeon in range(holes + 1) for hole in range(holes)}
    housed = [" or ".join(f"nonempty({ports[p, hole]})" for hole in range(holes)) for p in range(holes + 1)]
    alone = [
        f"not (nonempty({ports[a, h]}) and nonempty({ports[b, h]}))" for a, h in ports for b in range(a) for h in [h]
    ]
    term = " and ".join(f"({part})" for part in [*housed, *alone])
    return one_node(term, dict.fromkeys(ports.values()), list(ports.values()))


def test_what_is_too_hard_is_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said of it, after a number of steps that does not grow with the ports."""
    assert kinds(graph_faults(pigeons(2))) == [("InputConditionNeverMet", "c")]
    steps = Counter[str]()

    def counted(*args: Any) -> Any:
        steps["all"] += 1
        return _search(*args)

    for module in (checks, routing):
        monkeypatch.setattr(module, "_search", counted)
    hard = pigeons(6)
    assert graph_faults(hard) == graph_doubts(hard) == []
    assert 1_000 < steps["all"] < 5_000


def test_an_edge_to_where_nobody_takes() -> None:
    """A port that a condition only asks about is of use, and so may be one without an edge."""
    takes_in = {"in": entry("in", nonempty("in"))}
    asks = {"in": entry("in", parse_salvo_condition("nonempty(in) and empty(aside)"))}
    for entries, lost in ((takes_in, ["aside"]), (asks, []), ({}, ["aside", "in"])):
        nodes = [node("S", [], ["out", "more"]), node("A", ["in", "aside", "spare"], entries=entries)]
        found = graph_faults(graph(nodes, [edge("S.out", "A.in"), edge("S.more", "A.aside")]))
        assert kinds(found) == [("InputPortNeverTaken", port) for port in lost]
    with pytest.raises(GraphError, match="InputPortNeverTaken"):
        Net(graph(nodes, [edge("S.out", "A.in")]), check="error")


def test_one_that_comes_too_late() -> None:
    """An earlier one is always met first."""
    conditions = {"one": entry("a", nonempty("a")), "two": entry("a", at_least("a", 2))}
    (found,) = graph_faults(graph([node("A", ["a"], entries=conditions)]))
    assert found.details["condition_name"] == "two"
    assert "an earlier one" in found.message
    assert graph_faults(graph([node("A", ["a"], entries=dict(reversed(conditions.items())))])) == []


def test_output_ports_and_conditions() -> None:
    """A port that nothing is sent from; conditions that are never met, or never allowed."""
    exits = {
        "x": exit("x", at_least("x", 3)),
        "never": exit("y", nonempty("y"), 0),
        "none": exit({"z": 0}, nonempty("z")),
        "empty": exit("y", SalvoConditionTerm.true_()),
    }
    found = graph_faults(graph([node("A", [], {"x": 2, "y": None, "z": None}, exits=exits)]))
    assert kinds(found) == [
        ("OutputConditionNeverMet", "x"),
        ("OutputConditionNeverMet", "never"),
        ("OutputPortNeverSent", "z"),
    ]
    assert "(slots: 'x' 2)" in found[0].message
    assert "max_salvos" in found[1].message


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_faults_of_conditions_are_true_and_all_are_found(data: st.DataObject) -> None:
    """Against every state of the ports: a condition is a fault if and only if it is the first that is met in none of
    them. By another evaluation of terms than netrun's."""
    names = list("ab"[: data.draw(st.integers(1, 2))])
    slots, conditions = data.draw(input_sides(names, True))
    entries = {f"c{number}": entry(takes, built(term)) for number, (takes, term) in enumerate(conditions)}
    there = graph([node("A", slots, entries=entries)])
    if graph_findings(there):
        return
    states = [
        dict(zip(names, counts, strict=True))
        for counts in product(*(range((8 if slots[name] is None else slots[name]) + 1) for name in names))
        if any(counts)
    ]
    first = {next((n for n, (_, term) in enumerate(conditions) if holds(term, state, slots)), None) for state in states}
    never = [("InputConditionNeverMet", f"c{number}") for number in range(len(conditions)) if number not in first]
    event(f"faults: {len(never)}")
    assert kinds(graph_faults(there)) == never


@settings(max_examples=60, deadline=None)
@given(graphs(), st.lists(st.integers(0, 30), max_size=12))
def test_a_fault_never_starts_an_epoch(there: Graph, injected: list[int]) -> None:
    """Whatever is injected and run: no epoch was started by a condition of which it is said that it never does."""
    if not can_run(there):
        return
    never = {(f.details["node_name"], f.details.get("condition_name")) for f in graph_faults(there)}
    net = Net(there, check=None, on_error="continue", max_epochs=200)
    ports = sorted((name, port) for name, it in there.nodes().items() for port in it.in_ports)
    started = []

    def run(ctx: Any, packets: dict[str, list[Any]]) -> None:
        started.append((ctx.node_name, net.get_epoch(ctx.epoch_id).in_salvo.salvo_condition))
        for arrived in packets.values():
            for packet in arrived:
                ctx.consume_packet(packet)
        for port in net._ledger.doors[ctx.node_name].outs:
            ctx.load_output_port(port, ctx.create_packet(0))
            ctx.send_output_salvo(port)

    for name in there.nodes():
        net.set_node_exec(name, run)
    for number in injected:
        net.inject_packets(*ports[number % len(ports)], [number])
    net.run_step()
    net.stop()
    assert not never & set(started)


# -- doubts -----------------------------------------------------------------------------------------------------------


def ring(*names: str) -> Graph:
    """Nodes in a circle."""
    pairs = zip(names, (*names[1:], names[0]), strict=True)
    return graph([node(name, ["in"], ["out"]) for name in names], [edge(f"{a}.out", f"{b}.in") for a, b in pairs])


def test_a_cycle_that_nothing_starts() -> None:
    """Of one node, of several; and what is behind it is not told of again."""
    assert kinds(graph_doubts(ring("A"))) == [("CycleNothingStarts", "['A']")]
    nodes = [node("A", ["in"], ["out", "on"]), node("B", ["in"], ["out"]), node("C", ["in"])]
    edges = [edge("A.out", "B.in"), edge("B.out", "A.in"), edge("A.on", "C.in")]
    assert kinds(graph_doubts(graph(nodes, edges))) == [("CycleNothingStarts", "['A', 'B']")]


def test_a_cycle_that_waits_for_itself_though_something_comes_in() -> None:
    """The join needs a packet from the cycle before it lets the first one in."""
    nodes = [node("S", [], ["out"]), join("J", ["new", "back"], ["out"]), node("W", ["in"], ["out"])]
    edges = [edge("S.out", "J.new"), edge("J.out", "W.in"), edge("W.out", "J.back")]
    assert kinds(graph_doubts(graph(nodes, edges))) == [("CycleNothingStarts", "['J', 'W']")]
    either = node("J", ["new", "back"], ["out"])
    assert graph_doubts(graph([nodes[0], either, nodes[2]], edges)) == []


def test_a_port_without_a_producer() -> None:
    """Where others have one, and the node cannot do without."""
    source = node("S", [], ["out"])
    both = join("J", ["a", "b"])
    assert kinds(graph_doubts(graph([source, both], [edge("S.out", "J.a")]))) == [("InputPortWithoutProducer", "b")]
    assert graph_doubts(graph([both])) == []  # where a net begins
    assert graph_doubts(graph([source, node("J", ["a", "b"])], [edge("S.out", "J.a")])) == []  # either will do


def test_long_chains_and_large_rings() -> None:
    """No recursion, and no time that grows with the square."""
    assert graph_doubts(chain(3000)) == []
    ((kind, names),) = kinds(graph_doubts(ring(*(f"N{n}" for n in range(2000)))))
    assert kind == "CycleNothingStarts"
    assert names.count("N") == 2000
    assert len(Life(chain(3000)).live) == 3000


@given(st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 7), max_size=3), min_size=1))
def test_components_are_those_that_reach_one_another(after: dict[int, list[int]]) -> None:
    """Against who reaches whom."""
    names = {str(name): [str(other) for other in others if other in after] for name, others in after.items()}
    reach = {name: {name} for name in names}
    for _ in names:
        for name, others in names.items():
            reach[name] |= {far for other in others for far in reach[other]}
    wanted = {frozenset(other for other in names if other in reach[name] and name in reach[other]) for name in names}
    found = components(names)
    assert {frozenset(group) for group in found} == wanted
    assert sum(map(len, found)) == len(names)


# -- the option -------------------------------------------------------------------------------------------------------

FAULTY = one_node("count(a) >= 5", {"a": 3}, "a")


def quiet(there: Any, **options: Any) -> list[str]:
    """What a net warns of."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        Net(there, **options)
    assert all(issubclass(one.category, GraphWarning) for one in warned)
    return [str(one.message) for one in warned]


def test_the_default_warns_once_of_faults_and_of_nothing_else() -> None:
    """At the line that makes the net."""
    with pytest.warns(GraphWarning, match=r"(?s)never work.*'c' can never be met.*InputConditionNeverMet") as warned:
        Net(FAULTY)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert quiet(FAULTY, check=None) == quiet(FAULTY, check=False) == []
    assert quiet(ring("A", "B")) == quiet(chain(3)) == quiet(graph([join("J", ["a", "b"])])) == []


def test_the_warning_of_a_text_says_where() -> None:
    """In the text; and the warning points at the line that reads it. So does the error, which says who refused."""
    text = Net(FAULTY, check=None).to_toml().replace("check = false", 'check = "warn"')
    with pytest.warns(GraphWarning) as warned:
        Net.from_toml(text)
    with pytest.raises(GraphError, match=r'^the graph is refused by check="error", 1 finding') as caught:
        Net.from_toml(text, check="error")
    assert warned[0].filename == __file__
    for told in (str(warned[0].message), str(caught.value)):
        assert (
            "[nodes.A.in_salvo_conditions.c]" in told.partition("line ")[2] or "when = " in told.partition("line ")[2]
        )
        assert "^" in told
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(GraphError, match="cannot be run"):
        Net(graph([], [edge("A.out", "B.in")]))


def test_error_refuses_faults_and_warns_of_doubts() -> None:
    """Nothing that can work is refused."""
    with pytest.raises(GraphError) as caught:
        Net(graph([*FAULTY.nodes().values(), *ring("B").nodes().values()], ring("B").edges()), check="error")
    assert [finding.kind for finding in caught.value.findings] == ["InputConditionNeverMet", "CycleNothingStarts"]
    (told,) = quiet(ring("A", "B"), check="error")
    assert "only works with values that are injected" in told
    assert "CycleNothingStarts" in told


@pytest.mark.parametrize("bad", ["warning", True, 1, "none", ["warn"]])
def test_other_words_are_refused(bad: Any) -> None:
    """Nothing is guessed."""
    with pytest.raises(ConfigError, match="check is 'warn', 'error' or None"):
        Net(FAULTY, check=bad)


def test_as_text() -> None:
    """`check` goes through a text and back; None is written as false."""
    for how in ("error", None, False):
        text = Net(chain(2), check=how).to_toml()
        assert NetDefinition.from_toml(text).options == {"check": how or False}
        assert Net.from_toml(text, resolve=False).to_toml() == text
    assert "check" not in Net(chain(2)).to_toml()
    with pytest.raises(GraphError, match="InputConditionNeverMet"):
        Net.from_toml(
            '[net]\ncheck = "error"\n' + Net(FAULTY, check=None).to_toml().replace("[net]\ncheck = false\n", "")
        )


@function_node
def halve(number: int) -> int:
    """A node of a function."""
    return number // 2


def test_ordinary_nets_are_silent() -> None:
    """Nets of functions, batches with slots, loops that are started from outside, nodes without anything."""
    looped = graph(
        [node("A", ["first", "again"], ["out"]), node("B", ["in"], ["out", "end"])],
        [edge("A.out", "B.in"), edge("B.out", "A.again")],
    )
    batch = graph([node("A", {"in": 5}, {"out": 2}, entries={"five": entry({"in": 5}, at_least("in", 5))})])
    for there in (halve, looped, batch, Graph([Node("Alone")], []), Graph([], [])):
        assert quiet(there) == []
        assert quiet(there, check="error") == []
