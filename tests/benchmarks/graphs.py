"""The graphs that are measured. Every edge leads from one output port to one input port."""

from netrun_sim import (
    Edge,
    Graph,
    MaxSalvos,
    Node,
    PacketCount,
    Port,
    PortRef,
    PortState,
    PortType,
    SalvoCondition,
    SalvoConditionTerm,
)


def holds(port: str) -> SalvoConditionTerm:
    """There is a packet at `port`."""
    return SalvoConditionTerm.port(port, PortState.non_empty())


def node(name: str, inputs: tuple[str, ...] = (), outputs: tuple[str, ...] = ()) -> Node:
    """A node that starts an epoch with one packet of each input port, and sends from each output port by itself."""
    takes = {port: PacketCount.count(1) for port in inputs}
    joined = SalvoCondition(MaxSalvos.finite(1), takes, SalvoConditionTerm.and_([holds(port) for port in inputs]))
    return Node(
        name,
        in_ports={port: Port() for port in inputs},
        out_ports={port: Port() for port in outputs},
        in_salvo_conditions={"in": joined} if inputs else {},
        out_salvo_conditions={
            port: SalvoCondition(MaxSalvos.infinite(), {port: PacketCount.all()}, holds(port)) for port in outputs
        },
    )


def edge(source: str, out_port: str, target: str, in_port: str) -> Edge:
    """From an output port to an input port."""
    return Edge(PortRef(source, PortType.Output, out_port), PortRef(target, PortType.Input, in_port))


def chain_names(hops: int) -> list[str]:
    """The nodes of `chain`, in their order: a source, and the node behind each hop."""
    return [f"N{number}" for number in range(hops + 1)]


def chain(hops: int) -> Graph:
    """A source, then one node a hop. With two hops: source, processor, sink."""
    source, *middle, sink = chain_names(hops)
    nodes = [node(source, (), ("out",)), *(node(name, ("in",), ("out",)) for name in middle), node(sink, ("in",))]
    return Graph(nodes, [edge(a, "out", b, "in") for a, b in zip([source, *middle], [*middle, sink], strict=True)])


def diamond() -> Graph:
    """A sends to B and to C, D joins one packet of each."""
    nodes = [
        node("A", (), ("b", "c")),
        node("B", ("in",), ("out",)),
        node("C", ("in",), ("out",)),
        node("D", ("b", "c")),
    ]
    edges = [
        edge("A", "b", "B", "in"),
        edge("A", "c", "C", "in"),
        edge("B", "out", "D", "b"),
        edge("C", "out", "D", "c"),
    ]
    return Graph(nodes, edges)


def stream() -> Graph:
    """A source that ticks itself on over an edge to itself, a processor and a sink."""
    nodes = [
        node("Source", ("tick",), ("tick", "out")),
        node("Processor", ("in",), ("out",)),
        node("Sink", ("in",)),
    ]
    edges = [
        edge("Source", "tick", "Source", "tick"),
        edge("Source", "out", "Processor", "in"),
        edge("Processor", "out", "Sink", "in"),
    ]
    return Graph(nodes, edges)
