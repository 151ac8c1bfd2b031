"""A `Ledger` in a state that a test wants it in, and full dumps to compare before and after."""

from typing import Any

from netrun_sim import PacketLocation as SimLocation

from netrun import EpochState, Graph, PacketNotFoundError, PacketValueStore
from netrun.books import Holder
from netrun.ledger import Ledger
from netrun.packets import Packet
from netrun.routing import Outlet


def ledger_of(graph: Graph, **options: Any) -> Ledger:
    """A ledger over `graph`; `options` are those of the value store."""
    return Ledger(graph, PacketValueStore(**options))


def begin(ledger: Ledger, *earlier: Any) -> Holder:
    """Route, and start the oldest startable epoch."""
    ledger.route()
    epoch = ledger.next()
    assert epoch is not None
    holder = Holder(epoch, earlier)
    ledger.start(holder)
    return holder


def inside(holder: Holder) -> list[Packet]:
    """The packets that the holder's epoch was started with."""
    return [packet for packets in holder.epoch.by_port().values() for packet in packets]


def dump_sim(ledger: Ledger) -> dict[str, Any]:
    """All that the simulator has: every place with its packets in order, every epoch that the books know."""
    sim = ledger._sim
    places = {"outside": SimLocation.outside_net()}
    for door in ledger.doors.values():
        for gate in door.gates.values():
            places[f"{door.node_name}.{gate.port}"] = SimLocation.input_port(door.node_name, gate.port)
            for wire in gate.wires:
                if wire.edge is not None:
                    places[f"edge {wire.edge}"] = SimLocation.edge(wire.edge)
    epochs = {}
    for epoch in ledger._epochs.values():
        if epoch._sim_id is None:
            continue
        places[f"in {epoch.id}"] = SimLocation.node(epoch._sim_id)
        for port in epoch._door.outs:
            places[f"{epoch.id}.{port}"] = SimLocation.output_port(epoch._sim_id, port)
        there = sim.get_epoch(epoch._sim_id)
        assert there is not None
        salvos = [(salvo.salvo_condition, salvo.packets) for salvo in there.out_salvos]
        orphans = [(one.packet_id, one.from_port, one.salvo_condition) for one in there.orphaned_packets]
        entered = sorted(there.in_salvo.packets, key=lambda pair: pair[0])
        epochs[epoch.id] = (str(there.state), there.in_salvo.salvo_condition, entered, salvos, orphans)
    packets = {name: [str(id) for id in sim.get_packets_at_location(place)] for name, place in places.items()}
    startable = sorted(map(str, sim.get_startable_epochs()))
    return {"packets": packets, "epochs": epochs, "startable": startable}


def dump_books(ledger: Ledger) -> dict[str, Any]:
    """All that the ledger has beside the simulator: doors, packets, epochs, the queue, and the values."""
    doors = {}
    for door in ledger.doors.values():
        gates = {
            gate.port: (
                [packet.id for packet in gate.packets],
                [([packet.id for _, packet in wire.line], list(wire.tokens)) for wire in gate.wires],
            )
            for gate in door.gates.values()
        }
        outlets = {
            port: [packet.id for packet in out.packets] for port, out in door.outs.items() if isinstance(out, Outlet)
        }
        inbox = [[packet.id for packet in packets] for packets in door.inbox]
        numbers = (list(door.counts), door.waiting, door.present, door.live, door.is_behind)
        doors[door.node_name] = (gates, outlets, inbox, numbers, [epoch.id for epoch in door.shelf])
    epochs = {
        epoch.id: (
            str(epoch.state),
            {port: [packet.id for packet in packets] for port, packets in epoch.by_port().items()},
            [packet.id for packet in epoch._made or ()],
            {port: ids for port, place in (epoch._loaded or {}).items() if (ids := [p.id for p in place.packets])},
            [(salvo.salvo_condition, [(port, p.id) for port, p in salvo.packets]) for salvo in epoch.out_salvos],
        )
        for epoch in ledger._epochs.values()
    }
    packets = {id: (packet._sim_id, packet.location, packet._wire) for id, packet in ledger._packets.items()}
    values = ledger.values
    held = {id: values._values[id] if id in values._values else values._funcs[id] for id in values.ids()}
    return {
        "doors": doors,
        "epochs": epochs,
        "packets": packets,
        "values": (held, dict(values._kept)),
        "queue": [epoch.id for epoch in ledger._ready],
        "behind": [door.node_name for door in ledger._behind],
        "injected": sorted(door.node_name for door in ledger._injected),
    }


def dump(ledger: Ledger) -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything: what the simulator has and what the books say."""
    return dump_sim(ledger), dump_books(ledger)


def has_left(packet: Packet) -> bool:
    """Whether a packet is in the net no longer."""
    try:
        return packet.location is None
    except PacketNotFoundError:
        return True


def is_running(holder: Holder) -> bool:
    """Whether the holder's epoch runs."""
    return bool(holder.epoch.state == EpochState.Running)
