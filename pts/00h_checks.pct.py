# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Checks: what can never work
#
# A graph that [cannot be run](00d_routing.ipynb) is refused. Others run, and yet a part of them can never do anything. A
# net says so when it is made: `Net(graph, check=...)`.
#
# | kind | grade | what it is |
# |---|---|---|
# | `InputConditionNeverMet` | fault | the slots of its ports cannot hold what it asks for, it contradicts itself, or an earlier condition is always met first |
# | `OutputConditionNeverMet` | fault | the same of an output condition, or it may be sent 0 times |
# | `OutputPortNeverSent` | fault | no output condition sends from it |
# | `InputPortNeverTaken` | fault | an edge leads there, and no input condition takes from it or asks about it |
# | `CycleNothingStarts` | doubt | each node waits for another one of the cycle |
# | `InputPortWithoutProducer` | doubt | no condition is met without packets there, and there is no edge into it, while others of the node have one |
#
# A **fault** is certain: whatever is injected, it does not come to work. A **doubt** may be just as wanted, since a value can
# be injected at any input port. What is done about them:
#
# | `check` | faults | doubts |
# |---|---|---|
# | `"warn"`, the default | one `GraphWarning` with all | |
# | `"error"` | `GraphError` with all, doubts too | one `GraphWarning`, if there are no faults |
# | None (in a text `false`) | | |

# %%
#|default_exp checks

# %%
#|hide
from netrun import *

# %%
#|export
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from itertools import takewhile
from types import FrameType

from netrun_sim import Graph, MaxSalvosFinite, Node, SalvoCondition, SalvoConditionTerm

from netrun.core import GraphError, GraphFinding, GraphWarning, told_findings
from netrun.routing import Met, NotDecided, _capacity, _compared, _search, compile_text, takes_of, term_text

# %% [markdown]
# ## Can a condition be met?
#
# Terms only compare counts with constants, so it is decided exactly, by the search that [routing](00d_routing.ipynb) has
# for endless conditions. It is not often needed: most conditions are met by one packet at each port, or by full ports.
# A term that puzzles over dozens of ports could take for ever, so the search is given up after some thousand steps. Such a
# condition is not decided, and nothing is said of it.


# %%
#|exporti
_STEPS = 2_000  # of a search


class Side:
    """The ports of one side of a node, input or output, with its conditions compiled. `slots`: of each port, None for no
    limit."""

    def __init__(self, node: Node, is_input: bool) -> None:
        self.node_name, self.is_input = node.name, is_input
        self.conditions: Mapping[str, SalvoCondition] = (
            node.in_salvo_conditions if is_input else node.out_salvo_conditions
        )
        ports = node.in_ports if is_input else node.out_ports
        self.too_hard: set[str] = set()  # conditions of which it was not decided
        self.slots = {name: _capacity(port) for name, port in sorted(ports.items())}
        ranks, slots = {name: rank for rank, name in enumerate(self.slots)}, list(self.slots.values())
        self.met: dict[str, Met] = {
            name: compile_text(term_text(condition.term, ranks, slots)) for name, condition in self.conditions.items()
        }

    def can_be_met(self, name: str, empty: Iterable[str] = (), alone: bool = False) -> bool:
        """Whether there are packets at the ports with which a condition is met, and no earlier one before it. `empty`:
        ports that hold none; `alone`: never mind the others. An output condition has no earlier ones. True where that is
        not decided."""
        without = set(empty)
        names = list(self.conditions)
        earlier = names[: names.index(name)] if self.is_input and not alone else []
        for counts in self._likely(without):
            is_tried = any(counts) or not self.is_input
            if is_tried and self.met[name](counts) and not any(self.met[other](counts) for other in earlier):
                return True
        terms = [self.conditions[name].term, *(SalvoConditionTerm.not_(self.conditions[it].term) for it in earlier)]
        if name in self.too_hard:
            return True
        try:
            return _search(terms, dict.fromkeys(without, 0), self.slots, iter(range(_STEPS))) is not None
        except NotDecided:
            self.too_hard.add(name)
            return True

    def _likely(self, empty: set[str]) -> Iterator[Sequence[int]]:
        """Counts with which most conditions are met."""
        most = [0 if port in empty else 1_000_000 if slots is None else slots for port, slots in self.slots.items()]
        ones = [min(1, slots) for slots in most]
        yield ones
        yield most
        for rank, one in enumerate(ones):
            if one and len(ones) > 1:
                yield [one if other == rank else 0 for other in range(len(ones))]
        yield [0] * len(ones)

    def asked(self, name: str) -> list[str]:
        """The ports that a condition asks about."""
        return [port for port in self.slots if _compared(self.conditions[name].term, port)]

    def uses(self, name: str) -> set[str]:
        """The ports that a condition asks about, and those that it takes from."""
        return {*self.asked(name), *(port for port, limit in takes_of(self.conditions[name]) if limit != 0)}


# %% [markdown]
# ## Faults


# %%
#|export
def graph_faults(graph: Graph) -> list[GraphFinding]:
    """What can certainly never work in a graph that can be run, in an order that is the same every time."""
    found: list[GraphFinding] = []
    fed: dict[str, set[str]] = {}
    for edge in graph.edges():
        fed.setdefault(edge.target.node_name, set()).add(edge.target.port_name)
    for name, node in sorted(graph.nodes().items()):
        inputs, outputs = Side(node, True), Side(node, False)
        used = {port for condition in inputs.conditions for port in inputs.uses(condition)}
        found += [_never_taken(name, port) for port in sorted(fed.get(name, set()) - used)]
        found += [_never_met(inputs, condition) for condition in inputs.conditions if not inputs.can_be_met(condition)]
        never = [condition for condition in outputs.conditions if not _can_be_sent(outputs, condition)]
        found += [_never_met(outputs, condition) for condition in never]
        sent = {port for one in outputs.conditions.values() for port, limit in takes_of(one) if limit != 0}
        found += [_never_sent(name, port) for port in outputs.slots if port not in sent]
    return found


def _can_be_sent(side: Side, name: str) -> bool:
    most = side.conditions[name].max_salvos
    return not (isinstance(most, MaxSalvosFinite) and most.max == 0) and side.can_be_met(name)


def _never_met(side: Side, name: str) -> GraphFinding:
    """An input or output condition that is never met, and why."""
    kind, what = ("InputConditionNeverMet", "input") if side.is_input else ("OutputConditionNeverMet", "output")
    few = {port: slots for port in side.asked(name) if (slots := side.slots[port]) is not None}
    if side.can_be_met(name, alone=True) and side.is_input:
        why = "whenever it is met an earlier one is met too, and comes first. Put it before that, or let that ask for more"
    elif side.can_be_met(name, alone=True):
        why = "max_salvos lets it be sent 0 times. Let it be sent at least once"
    elif few and _is_met_with_more_slots(side, name):
        held = ", ".join(f"{port!r} {slots}" for port, slots in few.items())
        why = f"its ports cannot hold what it asks for (slots: {held}). Give them more slots, or ask for less"
    else:
        why = "no numbers of packets at its ports meet it. Change its term"
    details = {
        "node_name": side.node_name,
        "condition_name": name,
        "is_input_condition": side.is_input,
        "slots": few,
    }
    return GraphFinding(kind, f"node {side.node_name!r}: {what} condition {name!r} can never be met: {why}", details)


def _is_met_with_more_slots(side: Side, name: str) -> bool:
    term = side.conditions[name].term
    slots = {
        port: None if few is None else max(_compared(term, port), default=0) + few + 1
        for port, few in side.slots.items()
    }
    try:
        return _search([term], {}, slots, iter(range(_STEPS))) is not None
    except NotDecided:
        return True


def _never_taken(node_name: str, port: str) -> GraphFinding:
    return GraphFinding(
        "InputPortNeverTaken",
        f"node {node_name!r}: no input condition takes from port {port!r} or asks about it, so what an edge brings there "
        "stays. Give it a condition, or leave the edge out",
        {"node_name": node_name, "port_name": port},
    )


def _never_sent(node_name: str, port: str) -> GraphFinding:
    return GraphFinding(
        "OutputPortNeverSent",
        f"node {node_name!r}: no output condition sends from port {port!r}, so what is loaded there stays. Give it a "
        "condition, or leave the port out",
        {"node_name": node_name, "port_name": port},
    )


# %%
nonempty = lambda port: SalvoConditionTerm.port(port, PortState.non_empty())
five = SalvoCondition(MaxSalvos.finite(1), "in", SalvoConditionTerm.port("in", PortState.equals_or_greater_than(5)))
batch = Node(
    "Batch",
    in_ports={"in": Port(PortSlotSpec.finite(3))},
    out_ports={"out": Port(), "log": Port()},
    in_salvo_conditions={"five": five},
    out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", nonempty("out"))},
)
findings = graph_faults(Graph([batch], []))
assert [finding.kind for finding in findings] == ["InputConditionNeverMet", "OutputPortNeverSent"]
print(*(finding.message for finding in findings), sep="\n")

# %% [markdown]
# ## Doubts
#
# Which nodes would start if nothing were injected but at ports without an edge? A node without input ports does (`run`
# starts it), and so does one that has a condition which is met by packets at its *live* ports: those without an edge, and
# those with an edge from a node that starts. What remains waits for itself, or for what waits for itself.


# %%
#|exporti
class Life:
    """Which nodes of a graph start by what comes from sources and at ports without an edge."""

    def __init__(self, graph: Graph) -> None:
        nodes = graph.nodes()
        self.sides = {name: Side(node, True) for name, node in sorted(nodes.items())}
        self.into: dict[str, dict[str, set[str]]] = {
            name: {} for name in self.sides
        }  # node, port: where edges come from
        self.out_of: dict[str, list[tuple[str, str]]] = {name: [] for name in self.sides}
        for edge in graph.edges():
            self.into[edge.target.node_name].setdefault(edge.target.port_name, set()).add(edge.source.node_name)
            self.out_of[edge.source.node_name].append((edge.target.node_name, edge.target.port_name))
        self.dead_ports = {name: set(ports) for name, ports in self.into.items()}
        self.live: set[str] = set()
        for name in self.sides:
            self._try(name)

    def _try(self, first: str) -> None:
        """See whether a node starts, and then those behind it."""
        waiting = [first]
        while waiting:
            name = waiting.pop()
            if name in self.live or not self.starts_without(name, self.dead_ports[name]):
                continue
            self.live.add(name)
            for target, port in self.out_of[name]:
                self.dead_ports[target].discard(port)
                waiting.append(target)

    def starts_without(self, name: str, dead: set[str]) -> bool:
        """Whether a node starts though no packet comes to some of its ports."""
        side = self.sides[name]
        return not side.slots or any(side.can_be_met(condition, dead, alone=True) for condition in side.conditions)

    def waits_for(self, name: str) -> set[str]:
        """The nodes that a node that does not start waits for."""
        return {source for port in self.dead_ports[name] for source in self.into[name][port]}

    def cycles(self) -> list[list[str]]:
        """Of the nodes that do not start: those that wait for one another and for nobody else, each group once."""
        dead = [name for name in self.sides if name not in self.live]
        groups = components({name: sorted(self.waits_for(name)) for name in dead})
        return sorted(
            sorted(group)
            for group in groups
            if all(self.waits_for(name) <= set(group) for name in group) and any(self.waits_for(name) for name in group)
        )


# %% [markdown]
# The groups of nodes that wait for one another are the strongly connected components of who waits for whom. (Tarjan's
# algorithm, without recursion, since a chain may be long.)


# %%
#|exporti
def components(after: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The strongly connected components of a graph that is given as the names that follow each name."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for root in after:
        if root in order:
            continue
        work = [(root, iter(after[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            name, rest = work[-1]
            for other in rest:
                if other not in order:
                    order[other] = low[other] = len(order)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(after.get(other, ()))))
                    break
                if other in on_stack:
                    low[name] = min(low[name], order[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == order[name]:
                    group = stack[stack.index(name) :] if stack[-1] != name else [name]
                    del stack[-len(group) :]
                    on_stack.difference_update(group)
                    found.append(group)
    return found


# %%
assert components({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["d"]}) == [["b", "c"], ["a"], ["d"]]


# %%
#|export
def graph_doubts(graph: Graph) -> list[GraphFinding]:
    """What only values that are injected can bring to life, in a graph that can be run."""
    life = Life(graph)
    found = [_cycle(group) for group in life.cycles()]
    for name, side in life.sides.items():
        fed = life.into[name]
        for port in side.slots if fed else ():
            if port not in fed and side.conditions and not life.starts_without(name, {port}):
                found.append(_no_producer(name, port))
    return found


def _cycle(group: list[str]) -> GraphFinding:
    names = ", ".join(map(repr, group))
    return GraphFinding(
        "CycleNothingStarts",
        f"nothing in the graph starts the cycle of {names}: each waits for a packet that comes from the cycle itself. "
        "Inject a first one, or give the cycle an input port without an edge and a condition that takes from it",
        {"node_names": group},
    )


def _no_producer(node_name: str, port: str) -> GraphFinding:
    return GraphFinding(
        "InputPortWithoutProducer",
        f"node {node_name!r}: no epoch starts without packets at port {port!r}, and no edge leads there. Inject them, or "
        "join the port to an output port",
        {"node_name": node_name, "port_name": port},
    )


# %%
def relay(name, *inputs):
    together = SalvoConditionTerm.and_([nonempty(port) for port in inputs])
    return Node(
        name,
        in_ports={port: Port() for port in inputs},
        out_ports={"out": Port()},
        in_salvo_conditions={"all": SalvoCondition(MaxSalvos.finite(1), list(inputs), together)},
        out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", nonempty("out"))},
    )


def edge(source, target):
    (a, out), (b, into) = source.split("."), target.split(".")
    return Edge(PortRef(a, PortType.Output, out), PortRef(b, PortType.Input, into))


ring = Graph([relay("A", "in"), relay("B", "in", "how")], [edge("A.out", "B.in"), edge("B.out", "A.in")])
assert graph_faults(ring) == []
print(*(finding.message for finding in graph_doubts(ring)), sep="\n")
assert [finding.kind for finding in graph_doubts(ring)] == ["CycleNothingStarts", "InputPortWithoutProducer"]

# %% [markdown]
# An input port without an edge that starts the cycle is enough:

# %%
started = Node(
    "A",
    in_ports={"in": Port(), "first": Port()},
    out_ports={"out": Port()},
    in_salvo_conditions={port: SalvoCondition(MaxSalvos.finite(1), port, nonempty(port)) for port in ("in", "first")},
    out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", nonempty("out"))},
)
assert graph_doubts(Graph([started, relay("B", "in")], ring.edges())) == []

# %% [markdown]
# ## What a net does about them


# %%
#|exporti
placing: ContextVar[Callable[[list[GraphFinding]], list[GraphFinding]]] = ContextVar("placing", default=list)
"""What gives findings their places in the text that a net is being made from."""


# %%
#|export
def check_graph(graph: Graph, how: str) -> None:
    """Say what can never work in a graph that can be run: see the table at the top of this chapter. A warning points at the
    line outside of netrun that asked."""
    faults = graph_faults(graph)
    doubts = graph_doubts(graph) if how == "error" else []
    if faults and how == "error":
        raise GraphError([*faults, *doubts], 'is refused by check="error"')
    if findings := faults or doubts:
        from warnings import warn

        what = "in this graph can never work" if faults else "in this graph only works with values that are injected"
        warn(f"something {what}:{told_findings(placing.get()(findings))}", GraphWarning, stacklevel=_calls_within())


def _calls_within() -> int:
    """How many calls of netrun the caller of this is in: so far up is the code that called netrun."""
    return 1 + sum(1 for _ in takewhile(_is_ours, _calls(sys._getframe(1))))


def _calls(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] == "netrun"


# %%
import warnings

with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    check_graph(Graph([batch], []), "warn")
    check_graph(ring, "warn")
assert len(warned) == 1 and issubclass(warned[0].category, GraphWarning)
try:
    check_graph(Graph([batch], []), "error")
except GraphError as error:
    assert len(error.findings) == 2
    print(error)
else:
    raise AssertionError("not refused")
