# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Routing
#
# When does a packet that was sent become part of an epoch? `NetSim` answers that by steps over the whole graph. netrun
# answers it node by node, the moment a packet arrives: each node has a `Door` that knows how many packets wait at each
# of its input ports, and its input conditions compiled to small functions of these counts. So a hop costs the same in a
# net of ten nodes and of ten thousand, and the order is the same every time.
#
# ```
#                       Door of node B
#   edge A.out─B.in  ┌───────────────────────┐
#   Wire  ▪▪▪ ─────> │ Gate "in"   ▪▪        │   counts = [2, 1]
#                    │                       │   entries: met(counts)? ──> the packets it takes, port by port
#   Wire  ▪ ───────> │ Gate "side" ▪         │                              (the Ledger makes an epoch of them)
#                    └───────────────────────┘
#   (packets wait on the wire only while the gate is full)
# ```
#
# Nothing here knows values, epochs or the simulator. A test holds it against `NetSim.run_until_blocked` on random graphs:
# the same epochs with the same packets.

# %%
#|default_exp routing

# %%
#|hide
from netrun import *

# %%
#|export
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from netrun_sim import Edge, Graph, Node, PacketCountN, Port, PortSlotSpecFinite, SalvoCondition, SalvoConditionTerm

from netrun.core import GraphFinding
from netrun.packets import Packet, PacketLocation

# %% [markdown]
# ## Conditions, compiled
#
# A term becomes one Python function of the list of counts: "at least 2 at `a`, and `b` not full" turns into
# `lambda c: c[0] >= 2 and not c[1] >= 3`. Capacities are known when it is made, so `full` and `nonfull` become
# comparisons with a number. Port *names* never enter the text, only their ranks.

# %%
#|exporti
Met = Callable[[Sequence[int]], bool]

_COMPARISONS = {
    "equals": "==",
    "less_than": "<",
    "greater_than": ">",
    "equals_or_less_than": "<=",
    "equals_or_greater_than": ">=",
}


def _comparison(state: Any, capacity: int | None) -> str:
    """What follows the count in the text of a port term."""
    if hasattr(state, "value"):
        return f"{_COMPARISONS[state.kind]} {state.value}"
    name = repr(state).removeprefix("PortState.")
    if name in ("Empty", "NonEmpty"):
        return "== 0" if name == "Empty" else "> 0"
    if capacity is None:  # a port without limit is never full
        return "< 0" if name == "Full" else ">= 0"
    return f"{'>=' if name == 'Full' else '<'} {capacity}"


def term_text(term: SalvoConditionTerm, ranks: dict[str, int], capacities: Sequence[int | None]) -> str:
    """A term as the text of a Python expression over `c`, the list of counts."""
    if term.kind in ("True", "False"):
        return term.kind
    if term.kind == "Port":
        rank = ranks[term.get_port_name() or ""]
        return f"c[{rank}] {_comparison(term.get_port_state(), capacities[rank])}"
    if term.kind == "Not":
        return f"not {_part(term.get_inner(), term, ranks, capacities)}"
    parts = [_part(part, term, ranks, capacities) for part in term.get_terms() or ()]
    if not parts:
        return str(term.kind == "And")
    return (" and " if term.kind == "And" else " or ").join(parts)


def _part(part: SalvoConditionTerm | None, whole: SalvoConditionTerm, ranks: Any, capacities: Any) -> str:
    """A term inside another one, in parentheses where it needs them. A long chain of `and` needs none."""
    assert part is not None
    text = term_text(part, ranks, capacities)
    return f"({text})" if part.kind in ("And", "Or") and part.kind != whole.kind else text


@lru_cache(maxsize=1024)
def compile_text(text: str) -> Met:
    """The function of the counts that `term_text` wrote."""
    met: Met = eval(f"lambda c: {text}", {"__builtins__": {}})
    return met


# %%
term = SalvoConditionTerm.and_(
    [
        SalvoConditionTerm.port("a", PortState.equals_or_greater_than(2)),
        SalvoConditionTerm.not_(SalvoConditionTerm.port("b", PortState.full())),
    ]
)
text = term_text(term, {"a": 0, "b": 1}, [None, 3])
met = compile_text(text)
assert met([2, 2]) and not met([1, 2]) and not met([2, 3])
print(text)

# %% [markdown]
# ## The parts of a door
#
# A `Gate` is an input port and the packets that wait at it. A `Wire` is an edge, with the packets that wait on it
# because the gate is full. Values that a user injects come over a wire as well, one that has no edge.

# %%
#|exporti
Parts = tuple[tuple["Gate", int], ...]  # how many packets from which gates


class Gate:
    """An input port: the packets that wait at it, in order."""

    __slots__ = ("capacity", "direct", "door", "injections", "packets", "port", "rank", "wires")

    def __init__(self, door: "Door", port: str, rank: int, capacity: int | None) -> None:
        self.door, self.port, self.rank, self.capacity = door, port, rank, capacity
        self.packets: deque[Packet] = deque()
        self.direct: tuple[str, Parts] | None = None  # the condition that one packet here meets, all else being empty
        self.injections = Wire(self, None)
        self.wires: list[Wire] = [self.injections]

    def inject(self, packet: Packet) -> None:
        """Let a value from outside in, or let it wait in line where there is no room."""
        if not self.injections.line and self.has_room():
            self.let_in(packet)
        else:
            self.door.line_up(packet)

    def has_room(self) -> bool:
        """Whether another packet may wait here."""
        return self.capacity is None or len(self.packets) < self.capacity

    def let_in(self, packet: Packet) -> None:
        """The packet waits here from now on."""
        packet._place = self
        self.packets.append(packet)
        self.door.counts[self.rank] += 1
        self.door.present += 1

    def location(self) -> PacketLocation:
        """This input port."""
        return PacketLocation("InputPort", node_name=self.door.node_name, port_name=self.port)


# %%
#|exporti
class Wire:
    """An edge into a gate. `line` holds what waits on it, each packet with the number of its arrival at the door."""

    __slots__ = ("edge", "gate", "line", "source", "tokens")

    def __init__(self, gate: Gate, edge: Any, source: "Door | None" = None) -> None:
        self.gate, self.edge = gate, edge  # an `Edge`, or None
        self.source = source  # the door that it comes from
        self.line: deque[tuple[int, Packet]] = deque()
        self.tokens: list[str] = []  # the simulator's ids of what it has on this edge, in its order

    def out_type(self) -> Any:
        """What the output port that it comes from takes, if that says so."""
        return None if self.source is None else self.source.out_types.get(self.edge.source.port_name)

    def location(self) -> PacketLocation:
        """This edge; for injected values, that they wait for a place at the port."""
        if self.edge is not None:
            return PacketLocation("Edge", edge=self.edge)
        return PacketLocation("Waiting", node_name=self.gate.door.node_name, port_name=self.gate.port)


# %%
#|exporti
class Outlet:
    """An output port without an edge: what was sent from it, until somebody takes it out."""

    __slots__ = ("node_name", "packets", "port")

    def __init__(self, node_name: str, port: str) -> None:
        self.node_name, self.port = node_name, port
        self.packets: deque[Packet] = deque()

    def location(self) -> PacketLocation:
        """Outside the net, with the port that it was sent from."""
        return PacketLocation("OutsideNet", node_name=self.node_name, port_name=self.port)


# %% [markdown]
# An `Entry` is an input condition and an `Exit` an output condition: when, and how many packets from which ports. The
# ports are in the order of their names, since the simulator does not keep the order in which they were given.

# %%
#|exporti
Takes = list[tuple[str, int | None]]  # port, and how many packets at the most (None: all that are there)


def takes_of(condition: SalvoCondition) -> Takes:
    """Which ports a condition takes packets from, and how many."""
    return [
        (port, count.count if isinstance(count, PacketCountN) else None)
        for port, count in sorted(condition.ports.items())
    ]


class Entry:
    """An input condition of a node."""

    __slots__ = ("met", "name", "takes")

    def __init__(self, name: str, met: Met, takes: list[tuple[Gate, int | None]]) -> None:
        self.name, self.met, self.takes = name, met, takes


class Exit:
    """An output condition of a node."""

    __slots__ = ("name", "takes")

    def __init__(self, name: str, takes: Takes) -> None:
        self.name, self.takes = name, takes


# %% [markdown]
# ## The door
#
# Arrivals go in rounds, as `NetSim` does them: in a round each wire may bring one packet into its gate, then the
# conditions are tried in their order, and the first that is met makes an epoch. Rounds go on until one changes nothing.
# Where a gate has room for only some of the packets that wait for it, the one that arrived first goes first. (`NetSim`
# leaves that order to chance, and may overfill the port.)
#
# ```
#   arrive ──> line ──> round: gates with room take one packet a wire ──> first condition met? ──> form(epoch) ─┐
#                         ^                                                                                     │
#                         └──────────────────── again, until nothing moved and nothing was met <────────────────┘
# ```
#
# A door that has made enough epochs for the moment (`form` says so) falls behind: what arrives waits in its inbox, arrival
# by arrival, and is looked at later, with the same result.

# %%
#|exporti
Form = Callable[["Door", str, Parts, list[Packet]], bool]  # True: go on, False: enough for now


class Lines:
    """The input side of a node: who waits where, and one round of letting in and taking out."""

    __slots__ = ("arrivals", "cancelled", "counts", "creations", "ended", "entries", "exits", "gates", "in_types", "inbox",
                 "is_behind", "is_open", "is_typed", "node_name", "out_types", "outs", "present", "rank", "registry", "senders", "shelf", "started", "suffix",
                 "waiting")  # fmt: skip

    def __init__(self, node_name: str, rank: int) -> None:
        self.node_name, self.rank = node_name, rank
        self.gates: dict[str, Gate] = {}
        self.counts: list[int] = []  # packets at each gate
        self.waiting = 0  # packets on the wires
        self.present = 0  # both
        self.arrivals = 0
        self.inbox: deque[Packet | list[Packet]] = deque()  # arrivals that were not looked at yet
        self.is_behind = False
        self.entries: list[Entry] = []
        self.exits: dict[str, Exit] = {}
        self.outs: dict[str, Wire | Outlet] = {}  # where each output port leads
        self.senders: dict[str, Exit] = {}  # for ports that exactly one condition sends alone
        self.started = self.ended = 0  # epochs
        self.cancelled = 0  # of those that have ended
        self.shelf: deque[Any] = deque()  # startable epochs that were not to start yet, oldest first
        self.is_open = False  # whether those on the shelf may be tried again
        self.registry: dict[int, Packet] = {}  # every packet of the net, by number
        self.suffix = ""  # of the ids of the net
        self.in_types: dict[str, Any] = {}  # what its ports take, where they say so: see the chapter on port types
        self.out_types: dict[str, Any] = {}
        self.is_typed = False  # whether packets are to be checked when they are consumed here
        self.creations: dict[str, Any] = {}  # by condition, the simulator's action that creates an epoch

    @property
    def live(self) -> int:
        """How many epochs run."""
        return self.started - self.ended

    def line_up(self, packet: Packet) -> None:
        """Let a packet wait on its wire for the next round."""
        self.arrivals += 1
        self.waiting += 1
        self.present += 1
        packet._place.line.append((self.arrivals, packet))

    def _bring_in(self) -> bool:
        """One round of arrivals. True if any packet went in."""
        moved = False
        for gate in self.gates.values():
            lines = [wire.line for wire in gate.wires if wire.line]
            for line in sorted(lines, key=_first_arrival) if len(lines) > 1 else lines:
                many = len(line) if line is gate.injections.line else 1
                moved = self._enter(gate, line, many) or moved
        return moved

    def _enter(self, gate: Gate, line: deque[tuple[int, Packet]], many: int) -> bool:
        """Move up to `many` packets from a line into its gate, as far as there is room."""
        room = many if gate.capacity is None else min(many, gate.capacity - len(gate.packets))
        for _ in range(room):
            packet = line.popleft()[1]
            packet._place = gate
            gate.packets.append(packet)
        if room > 0:
            self.counts[gate.rank] += room
            self.waiting -= room
        return room > 0

    def _take(self, entry: Entry) -> tuple[Parts, list[Packet]]:
        """The packets that a met condition takes, port by port, oldest first."""
        parts: list[tuple[Gate, int]] = []
        taken: list[Packet] = []
        for gate, limit in entry.takes:
            waiting = gate.packets
            number = len(waiting) if limit is None else min(limit, len(waiting))
            if number:
                parts.append((gate, number))
                taken += [waiting.popleft() for _ in range(number)]
                self.counts[gate.rank] -= number
                self.present -= number
        return tuple(parts), taken


def _first_arrival(line: deque[tuple[int, Packet]]) -> int:
    return line[0][0]


# %%
#|exporti
class Door(Lines):
    """Everything of a node that decides where packets go. Each epoch that its packets make is told to a `form`."""

    __slots__ = ()

    def arrive(self, packets: list[Packet], form: Form) -> bool:
        """Packets that were sent together have come over their wires: let them in as there is room, and route. Most
        packets come alone to an empty door and meet a condition there: they need not even wait at the gate."""
        if len(packets) == 1:
            gate = packets[0]._place.gate
            if gate.direct is not None and not self.present:
                return form(self, gate.direct[0], gate.direct[1], packets)
            if not self.waiting and gate.has_room():
                gate.let_in(packets[0])
                return self.route(form)
        for packet in packets:
            self.line_up(packet)
        return self.route(form)

    def route(self, form: Form) -> bool:
        """Rounds until nothing changes (True), or until `form` has had enough (False): then call again later. A condition
        is tried only while some packet waits at a gate."""
        counts = self.counts
        while True:
            moved = self.waiting > 0 and self._bring_in()
            if self.present == self.waiting:
                return True
            for entry in self.entries:
                if entry.met(counts):
                    if not form(self, entry.name, *self._take(entry)):
                        return False
                    break
            else:
                if not moved:
                    return True

    def catch_up(self, form: Form) -> bool:
        """Route what is here, then what is in the inbox, arrival by arrival. False if `form` has had enough before."""
        if not self.route(form):
            return False
        inbox = self.inbox
        while inbox:
            arrived = inbox.popleft()
            if isinstance(arrived, list):
                goes_on = self.arrive(arrived, form)
            elif self.present or (direct := arrived._place.gate.direct) is None:
                goes_on = self.arrive([arrived], form)
            else:  # as in `arrive`, without the call
                goes_on = form(self, direct[0], direct[1], [arrived])
            if not goes_on:
                return False
        return True


# %% [markdown]
# ## From a graph to its doors
#
# `Graph` gives deep copies, and its nodes, ports and edges in another order in every process. So it is read once, and
# everything that an order could depend on is sorted by name: nodes, ports, edges by their source. A node's `rank` is its
# place in that order; it decides ties.


# %%
#|exporti
def _capacity(port: Port) -> int | None:
    spec = port.slots_spec
    return spec.capacity if isinstance(spec, PortSlotSpecFinite) else None


def _door(node: Node, rank: int) -> Door:
    """The door of one node, no edges yet."""
    door = Door(node.name, rank)
    capacities = [_capacity(port) for _, port in sorted(node.in_ports.items())]
    ranks = {name: rank for rank, name in enumerate(sorted(node.in_ports))}
    door.gates = {name: Gate(door, name, rank, capacities[rank]) for name, rank in ranks.items()}
    door.counts = [0] * len(ranks)
    for name, condition in node.in_salvo_conditions.items():
        met = compile_text(term_text(condition.term, ranks, capacities))
        door.entries.append(Entry(name, met, [(door.gates[port], limit) for port, limit in takes_of(condition)]))
    for gate in door.gates.values():
        gate.direct = _direct(door, gate)
    door.exits = {name: Exit(name, takes_of(condition)) for name, condition in node.out_salvo_conditions.items()}
    for port in sorted(node.out_ports):
        alone = [exit for exit in door.exits.values() if [take[0] for take in exit.takes if take[1] != 0] == [port]]
        if len(alone) == 1:
            door.senders[port] = alone[0]
    return door


def _direct(door: Door, gate: Gate) -> tuple[str, Parts] | None:
    """The condition that a single packet at this gate meets and that takes it, where all gates are empty."""
    alone = [int(other is gate) for other in door.gates.values()]
    first = next((entry for entry in door.entries if entry.met(alone)), None)
    taken = first is not None and any(taker is gate and limit != 0 for taker, limit in first.takes)
    return (first.name, ((gate, 1),)) if first is not None and taken and gate.capacity != 0 else None


def doors_of(graph: Graph) -> dict[str, Door]:
    """The doors of a valid graph, by node name, joined by its edges."""
    nodes = graph.nodes()
    doors = {name: _door(node, rank) for rank, (name, node) in enumerate(sorted(nodes.items()))}
    edges = graph.edges()
    for edge in sorted(edges, key=lambda edge: (doors[edge.source.node_name].rank, edge.source.port_name)):
        wire = Wire(doors[edge.target.node_name].gates[edge.target.port_name], edge, doors[edge.source.node_name])
        wire.gate.wires.append(wire)
        doors[edge.source.node_name].outs[edge.source.port_name] = wire
    for name, node in nodes.items():
        for port in sorted(node.out_ports):
            doors[name].outs.setdefault(port, Outlet(name, port))
    return doors


# %% [markdown]
# A node that takes two packets from `a` and one from `b`, and has room for two at `b`:


# %%
def port_term(port, state):
    return SalvoConditionTerm.port(port, state)


join = Node(
    "Join",
    in_ports={"a": Port(), "b": Port(PortSlotSpec.finite(2))},
    in_salvo_conditions={
        "both": SalvoCondition(
            MaxSalvos.finite(1),
            {"a": PacketCount.count(2), "b": PacketCount.count(1)},
            SalvoConditionTerm.and_(
                [port_term("a", PortState.equals_or_greater_than(2)), port_term("b", PortState.non_empty())]
            ),
        )
    },
)
door = doors_of(Graph([join], []))["Join"]
formed = []


def form(door, condition, parts, packets):
    formed.append((condition, {gate.port: number for gate, number in parts}, [packet._number for packet in packets]))
    return True


for number, port in enumerate("bbbaaa", start=1):
    packet = Packet(number, port)
    packet._place = door.gates[port].injections
    door.arrive([packet], form)
assert formed == [("both", {"a": 2, "b": 1}, [4, 5, 1])]
assert door.counts == [1, 2] and door.waiting == 0  # the third waited until the first had left
print(formed, door.counts)

# %% [markdown]
# ## What cannot be run
#
# `Graph.validate()` finds most mistakes. Three more would do harm at run time, so they are findings too:
#
# - An input condition that can be met **without taking a packet** makes an epoch, finds the ports as they were, makes
#   another, and never ends. Whether it can happen is decided exactly: is there a state of the ports, with some packet
#   waiting, in which the condition is met, no earlier one is, and every port that it takes from is empty? Terms only
#   compare counts with constants, so a few values for each port stand for all, and the search prunes as soon as a term
#   is decided.
# - Requests along dependency edges are a part of `NetSim`'s own stepping, which netrun does not use.


# %%
#|exporti
def _compared(term: SalvoConditionTerm, port: str) -> set[int]:
    """The constants that a term compares a port's count with."""
    if term.kind == "Port":
        state = term.get_port_state()
        return {getattr(state, "value", 0)} if term.get_port_name() == port else set()
    inner = term.get_inner()
    return set().union(*(_compared(part, port) for part in [*(term.get_terms() or ()), *([inner] if inner else ())]))


def _decide(term: SalvoConditionTerm, counts: dict[str, int], capacities: dict[str, int | None]) -> bool | None:
    """A term's truth where only some counts are known: None while it could be either."""
    if term.kind == "Port":
        port = term.get_port_name() or ""
        if port not in counts:
            return None
        return compile_text(f"c[0] {_comparison(term.get_port_state(), capacities[port])}")([counts[port]])
    if term.kind == "Not":
        inner = term.get_inner()
        truth = _decide(inner, counts, capacities) if inner else None
        return None if truth is None else not truth
    if term.kind in ("True", "False"):
        return term.kind == "True"
    ends_it = term.kind == "Or"  # one true part decides an "or", one false part an "and"
    truths = [_decide(part, counts, capacities) for part in term.get_terms() or ()]
    return ends_it if ends_it in truths else None if None in truths else not ends_it


def fires_without_taking(node: Node, condition: str) -> dict[str, int] | None:
    """Counts at a node's input ports for which a condition is met for ever, or None where there are none."""
    names = list(node.in_salvo_conditions)
    earlier = [node.in_salvo_conditions[name].term for name in names[: names.index(condition)]]
    terms = [node.in_salvo_conditions[condition].term, *map(SalvoConditionTerm.not_, earlier)]
    capacities = {name: _capacity(port) for name, port in sorted(node.in_ports.items())}
    empty = {port: 0 for port, limit in takes_of(node.in_salvo_conditions[condition]) if limit != 0}
    found = _search(terms, empty, capacities)
    return None if found is None else {port: found.get(port, 0) for port in capacities}


class NotDecided(Exception):
    """A search was given up."""


def _search(
    terms: list[SalvoConditionTerm],
    counts: dict[str, int],
    capacities: dict[str, int | None],
    steps: Iterator[int] | None = None,
) -> dict[str, int] | None:
    """Counts, beside those that are given, that make every term true while some packet waits. Raises `NotDecided` when
    there are no more `steps`, since each port may take several times as many as the one before."""
    if steps is not None and next(steps, None) is None:
        raise NotDecided
    undecided = []
    for term in terms:
        truth = _decide(term, counts, capacities)
        if truth is False:
            return None
        if truth is None:
            undecided.append(term)
    if not undecided:
        return _with_a_packet(counts, capacities)
    port = next(port for port in capacities if port not in counts and _compared(undecided[0], port))
    compared = set().union(*(_compared(term, port) for term in undecided))
    tried = (
        _search(undecided, {**counts, port: count}, capacities, steps)
        for count in _candidates(compared, capacities[port])
    )
    return next((found for found in tried if found is not None), None)


def _with_a_packet(counts: dict[str, int], capacities: dict[str, int | None]) -> dict[str, int] | None:
    """These counts, with a packet at a port that they leave open if none waits yet."""
    if any(counts.values()):
        return counts
    open_port = next((port for port, capacity in capacities.items() if port not in counts and capacity != 0), None)
    return None if open_port is None else {**counts, open_port: 1}


def _candidates(compared: set[int], capacity: int | None) -> list[int]:
    """Counts that stand for all: each constant, its neighbours, and the ends of the range. Packets first."""
    around = {0, 1, *(n + d for n in compared | {capacity or 0} for d in (-1, 0, 1))}
    return sorted((n for n in around if n >= 0 and (capacity is None or n <= capacity)), reverse=True)


# %%
careless = Node(
    "Careless",
    in_ports={"a": Port(), "b": Port()},
    in_salvo_conditions={"any": SalvoCondition(MaxSalvos.finite(1), "a", SalvoConditionTerm.true_())},
)
assert fires_without_taking(careless, "any") == {"a": 0, "b": 1}  # a packet at b, and nothing is taken, for ever
assert fires_without_taking(join, "both") is None


# %%
#|exporti
def graph_findings(graph: Graph) -> list[GraphFinding]:
    """Everything that keeps a graph from being run, in an order that is the same every time."""
    findings = [GraphFinding(info.kind, info.message, _plain(info.details)) for info in graph.validate()]
    if findings:
        return sorted(findings, key=lambda finding: (finding.kind, finding.message))
    for name, node in sorted(graph.nodes().items()):
        try:
            _door(node, 0)
            endless = {condition: fires_without_taking(node, condition) for condition in node.in_salvo_conditions}
        except (RecursionError, SyntaxError, MemoryError):  # what Python says of a text that is nested too deeply
            findings.append(_too_deep(name))
            continue
        findings += [_endless(name, condition, counts) for condition, counts in endless.items() if counts is not None]
        if getattr(node, "dependency_request_config", None) is not None:
            findings.append(_requests(name))
    return findings


def _plain(details: dict[str, Any]) -> dict[str, Any]:
    """Details without the simulator's own objects, which cannot be pickled."""
    return {name: value if isinstance(value, (str, int)) else str(value) for name, value in details.items()}


def _endless(node_name: str, condition: str, counts: dict[str, int]) -> GraphFinding:
    state = ", ".join(f"{count} at {port!r}" for port, count in counts.items())
    return GraphFinding(
        "InputSalvoConditionTakesNothing",
        f"node {node_name!r}: input condition {condition!r} is met with {state} packet(s) waiting, but takes none of them, "
        "so it would make epochs for ever. Let it take from a port that it requires to hold packets",
        {"node_name": node_name, "condition_name": condition, "counts": counts},
    )


def _too_deep(node_name: str) -> GraphFinding:
    return GraphFinding(
        "SalvoConditionTermTooDeep",
        f"node {node_name!r}: the term of an input condition is nested too deeply. Put it as one and_ or or_ of many terms",
        {"node_name": node_name},
    )


def _requests(node_name: str) -> GraphFinding:
    return GraphFinding(
        "DependencyRequestsNotSupported",
        f"node {node_name!r} has a dependency_request_config, which netrun does not run. Remove it, and start source "
        "nodes with inject_source_epoch",
        {"node_name": node_name},
    )


# %%
finding = graph_findings(Graph([careless], []))[0]
assert finding.kind == "InputSalvoConditionTakesNothing"
print(finding.message)
edge = Edge(PortRef("Join", PortType.Output, "out"), PortRef("Nowhere", PortType.Input, "in"))
assert [finding.kind for finding in graph_findings(Graph([join], [edge]))] == ["EdgeReferencesNonexistentNode"]
