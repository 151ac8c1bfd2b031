"""The floor: the same packets and epochs on bare `NetSim`, in the shortest Python that does it.

No values, no functions, no books. Of each event its kind and its packet's or epoch's id are read: the least that a
runtime which goes by events has to read. What was sent is routed at once, and an epoch runs when it is there. Each loop
knows by heart which node comes next and which events each action has, so it does no work to find that out; with other
events it would fail. (The small functions cost 0.2 % on Python 3.11, measured against the same loop written out.)
"""

import pickle
from collections.abc import Callable
from typing import Any

from netrun_sim import Graph, NetAction, NetEvent, NetSim, PacketLocation, Salvo

from tests.benchmarks.graphs import chain, chain_names, diamond
from tests.benchmarks.measure import Workload

Do = Callable[[NetAction], tuple[Any, list[NetEvent]]]
Stop = tuple[str, PacketLocation]  # a node and its input port

_create = NetAction.create_packet
_load = NetAction.load_packet_into_output_port
_send = NetAction.send_output_salvo
_transport = NetAction.transport_packet_to_location
_create_epoch = NetAction.create_epoch
_start = NetAction.start_epoch
_consume = NetAction.consume_packet
_finish = NetAction.finish_epoch


def through_chain(hops: int, packets: int, sources: int = 1) -> Workload:
    """`sources` epochs of the source send `packets` packets each, which make `hops` hops. Routed by `run_step`."""
    sim = NetSim(chain(hops))
    return _workload(sim, lambda: _chain_by_step(sim, hops, packets, sources))


def through_chain_direct(hops: int, packets: int) -> Workload:
    """`through_chain` from one epoch, each packet brought to its next epoch by hand: hardly slower in a large graph."""
    sim = NetSim(chain(hops))
    stops = [(name, PacketLocation.input_port(name, "in")) for name in chain_names(hops)[1:]]
    return _workload(sim, lambda: _chain_direct(sim, stops, packets))


def through_diamond(packets: int) -> Workload:
    """One epoch of A sends `packets` packets to B and as many to C; D joins what they send."""
    sim = NetSim(diamond())
    return _workload(sim, lambda: _diamond(sim, packets))


def injected(packets: int) -> Workload:
    """`packets` packets are created outside and brought to the sink's port, one by one."""
    sim = NetSim(chain(1))
    return _workload(sim, lambda: _injected(sim, packets))


def _workload(sim: NetSim, run: Callable[[], None]) -> Workload:
    return Workload(run, lambda: len(sim.get_startable_epochs()))


# the loops


def _chain_by_step(sim: NetSim, hops: int, packets: int, sources: int) -> None:
    do, run_step = sim.do_action, sim.run_step
    for _ in range(sources):
        source = _begin_source(do, "N0")
        for _ in range(packets):
            epoch = source
            for _ in range(hops):
                packet = _emit(do, epoch, "out")
                following = _formed(run_step()[1])
                if epoch is not source:
                    _end(do, epoch)
                epoch = following
                _begin(do, epoch)
                _take(do, packet)
            _end(do, epoch)
        _end(do, source)


def _chain_direct(sim: NetSim, stops: list[Stop], packets: int) -> None:
    do = sim.do_action
    source = _begin_source(do, "N0")
    for _ in range(packets):
        epoch = source
        for stop in stops:
            packet = _emit(do, epoch, "out")
            following = _brought(do, packet, stop)
            if epoch is not source:
                _end(do, epoch)
            epoch = following
            _begin(do, epoch)
            _take(do, packet)
        _end(do, epoch)
    _end(do, source)


def _diamond(sim: NetSim, packets: int) -> None:
    do = sim.do_action
    source = _begin_source(do, "A")
    for _ in range(packets):
        first, arrived = _branch(sim, source, "b")
        _see_packet(*arrived)
        second, events = _branch(sim, source, "c")
        epoch = _joined(events)
        _begin(do, epoch)
        _take(do, first)
        _take(do, second)
        _end(do, epoch)
    _end(do, source)


def _branch(sim: NetSim, source: str, port: str) -> tuple[str, list[NetEvent]]:
    """From A through B or C. The packet that is on its way to D then, and the events of its arrival."""
    do, run_step = sim.do_action, sim.run_step
    packet = _emit(do, source, port)
    epoch = _formed(run_step()[1])
    _begin(do, epoch)
    _take(do, packet)
    packet = _emit(do, epoch, "out")
    events = run_step()[1]
    _end(do, epoch)
    return packet, events


def _injected(sim: NetSim, packets: int) -> None:
    do, run_step = sim.do_action, sim.run_step
    port = PacketLocation.input_port("N1", "in")
    for _ in range(packets):
        created = do(_create(None))[1][0]
        _kind, packet = created.kind, created.packet_id
        _see_packet(do(_transport(packet, port))[1][0])
        epoch = _formed_at_port(run_step()[1])
        _begin(do, epoch)
        _take(do, packet)
        _end(do, epoch)


# what the loops do, reading each event


def _see_packet(event: NetEvent) -> None:
    _kind, _id = event.kind, event.packet_id


def _begin_source(do: Do, node_name: str) -> str:
    """Create and start an epoch of a source."""
    _, (created,) = do(_create_epoch(node_name, Salvo("", [])))
    _kind, epoch = created.kind, created.epoch_id
    _begin(do, epoch)
    return epoch


def _begin(do: Do, epoch: str) -> None:
    _, (started,) = do(_start(epoch))
    _kind, _id = started.kind, started.epoch_id


def _take(do: Do, packet: str) -> None:
    _, (consumed,) = do(_consume(packet))
    _kind, _id = consumed.kind, consumed.packet_id


def _end(do: Do, epoch: str) -> None:
    _, (finished,) = do(_finish(epoch))
    _kind, _id = finished.kind, finished.epoch_id


def _emit(do: Do, epoch: str, port: str) -> str:
    """Create a packet, load it and send it. Returns its id."""
    _, (created,) = do(_create(epoch))
    _kind, packet = created.kind, created.packet_id
    _, (loaded,) = do(_load(packet, port))
    _kind, _id = loaded.kind, loaded.packet_id
    _, (left, sent) = do(_send(epoch, port))
    _kind, _id = left.kind, left.packet_id
    _kind, _id = sent.kind, sent.epoch_id
    return packet


def _brought(do: Do, packet: str, stop: Stop) -> str:
    """Bring a packet that was sent into an epoch of the next node. Returns the epoch's id."""
    node_name, port = stop
    _, (arrived,) = do(_transport(packet, port))
    _kind, _id = arrived.kind, arrived.packet_id
    _, (formed, entered) = do(_create_epoch(node_name, Salvo("in", [("in", packet)])))
    _kind, epoch = formed.kind, formed.epoch_id
    _kind, _id = entered.kind, entered.packet_id
    return epoch


def _formed(events: list[NetEvent]) -> str:
    """The epoch of a step that moved one packet over an edge and into an epoch."""
    arrived, met, formed, entered = events
    _kind, _id = arrived.kind, arrived.packet_id
    _kind, _id = met.kind, met.epoch_id
    _kind, epoch = formed.kind, formed.epoch_id
    _kind, _id = entered.kind, entered.packet_id
    return epoch


def _formed_at_port(events: list[NetEvent]) -> str:
    """The epoch of a step that moved one packet from its port into an epoch."""
    met, formed, entered = events
    _kind, _id = met.kind, met.epoch_id
    _kind, epoch = formed.kind, formed.epoch_id
    _kind, _id = entered.kind, entered.packet_id
    return epoch


def _joined(events: list[NetEvent]) -> str:
    """The epoch of a step that moved one packet over an edge, and it with another one into an epoch."""
    arrived, met, formed, first, second = events
    _kind, _id = arrived.kind, arrived.packet_id
    _kind, _id = met.kind, met.epoch_id
    _kind, epoch = formed.kind, formed.epoch_id
    _kind, _id = first.kind, first.packet_id
    _kind, _id = second.kind, second.packet_id
    return epoch


def pickled_and_told(graph: Graph, values: list[Any]) -> None:
    """Values pickled and unpickled, and a packet for each created and brought to the first edge."""
    pickle.loads(pickle.dumps(values, 5))
    do = NetSim(graph).do_action
    place = PacketLocation.edge(graph.edges()[0])
    for _ in values:
        do(NetAction.transport_packet_to_location(do(NetAction.create_packet(None))[0].packet_id, place))
