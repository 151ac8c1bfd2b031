"""Small builders of `netrun_sim` graphs, for all tests.

    graph([node("A", outputs=["out"]), node("B", ["in"])], [edge("A.out", "B.in")])

Where nothing else is said, each input port has a condition of its own that takes all that is there, and each output
port one that sends all that is loaded, as often as one likes; conditions are named after their port.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from netrun import (
    Edge,
    Graph,
    MaxSalvos,
    Node,
    PacketCount,
    Port,
    PortRef,
    PortSlotSpec,
    PortState,
    PortType,
    SalvoCondition,
    SalvoConditionTerm,
)

Ports = Sequence[str] | Mapping[str, int | None]  # names, or names with their numbers of slots (None: no limit)
Takes = str | Sequence[str] | Mapping[str, int | None]  # ports, or ports with how many packets (None: all)


def nonempty(port: str) -> SalvoConditionTerm:
    """The term: there is a packet at `port`."""
    return SalvoConditionTerm.port(port, PortState.non_empty())


def at_least(port: str, number: int) -> SalvoConditionTerm:
    """The term: there are `number` packets at `port`, or more."""
    return SalvoConditionTerm.port(port, PortState.equals_or_greater_than(number))


def entry(ports: Takes, term: SalvoConditionTerm) -> SalvoCondition:
    """An input condition."""
    return SalvoCondition(MaxSalvos.finite(1), _counts(ports), term)


def exit(ports: Takes, term: SalvoConditionTerm, max_salvos: int | None = None) -> SalvoCondition:
    """An output condition that may be sent `max_salvos` times (None: without limit)."""
    most = MaxSalvos.infinite() if max_salvos is None else MaxSalvos.finite(max_salvos)
    return SalvoCondition(most, _counts(ports), term)


def node(
    name: str,
    inputs: Ports = (),
    outputs: Ports = (),
    *,
    entries: Mapping[str, SalvoCondition] | None = None,
    exits: Mapping[str, SalvoCondition] | None = None,
) -> Node:
    """A node. `entries` and `exits` stand for the conditions that it would get by itself."""
    return Node(
        name,
        in_ports=_ports(inputs),
        out_ports=_ports(outputs),
        in_salvo_conditions=dict(entries) if entries is not None else {p: entry(p, nonempty(p)) for p in inputs},
        out_salvo_conditions=dict(exits) if exits is not None else {p: exit(p, nonempty(p)) for p in outputs},
    )


def edge(source: str, target: str) -> Edge:
    """The edge from `"A.out"` to `"B.in"`."""
    from_node, from_port = source.split(".")
    to_node, to_port = target.split(".")
    return Edge(PortRef(from_node, PortType.Output, from_port), PortRef(to_node, PortType.Input, to_port))


def graph(nodes: Iterable[Node], edges: Iterable[Edge] = ()) -> Graph:
    """The graph of these nodes and edges."""
    return Graph(list(nodes), list(edges))


def chain(length: int) -> Graph:
    """`N1.out -> N2.in -> … -> N<length>`: every node has `in` and `out`; the last one's `out` is unconnected."""
    names = [f"N{number}" for number in range(1, length + 1)]
    edges = [edge(f"{a}.out", f"{b}.in") for a, b in pairwise(names)]
    return graph([node(name, ["in"], ["out"]) for name in names], edges)


def _ports(ports: Ports) -> dict[str, Port]:
    slots = ports if isinstance(ports, Mapping) else dict.fromkeys(ports)
    return {name: Port() if limit is None else Port(PortSlotSpec.finite(limit)) for name, limit in slots.items()}


def _counts(ports: Takes) -> Any:
    if not isinstance(ports, Mapping):
        return ports if isinstance(ports, str) else list(ports)
    return {port: PacketCount.all() if limit is None else PacketCount.count(limit) for port, limit in ports.items()}
