"""What tests of the history share: a spy on the simulator, and the replay of a history on a fresh one."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from netrun_sim import Edge, NetAction, NetSim, PacketLocation, PortRef, PortType, Salvo

from netrun import EpochState, Graph, HistoryEntry, Net
from netrun.routing import Wire


class Spy:
    """Stands in for the `NetSim` of a net and keeps what was done and what it caused. What was undone was not done."""

    def __init__(self, net: Net) -> None:
        self._sim = net._ledger._sim
        self.done: list[tuple[NetAction, list[Any]]] = []
        net._ledger._sim = self  # type: ignore[assignment]
        net._ledger._do = self.do_action

    def do_action(self, action: NetAction) -> Any:
        response, events = self._sim.do_action(action)
        self.done.append((action, events))
        return response, events

    def undo_action(self, action: NetAction, events: list[Any]) -> None:
        self._sim.undo_action(action, events)
        assert self.done.pop()[0] is action

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sim, name)


def _kind(action: NetAction) -> str:
    """`CreatePacket` of `NetAction.create_packet(…)`."""
    name = re.match(r"NetAction\.(\w+)", repr(action))
    assert name is not None
    return name[1].title().replace("_", "")


def must_equal_what_was_done(spy: Spy, entries: list[HistoryEntry]) -> None:
    """Each action of the history is the one that was done, and caused the same events. The packets of one edge are all
    alike to the simulator, so there two of them may be exchanged."""
    actions = [entry for entry in entries if entry.entry_type == "action"]
    assert [action.action_type for action in actions] == [_kind(action) for action, _ in spy.done]
    caused: dict[str, list[HistoryEntry]] = {action.id: [] for action in actions}
    for entry in entries:
        if entry.entry_type == "event":
            caused[entry.action_id or ""].append(entry)
    names: dict[str, str] = {}  # of the simulator's ids, ours
    for action, (_, events) in zip(actions, spy.done, strict=True):
        ours = caused[action.id]
        told, known = next(iter(ours)).data, next(iter(events))
        if action.action_type == "CreateEpoch":
            names[known.epoch_id] = told["epoch_id"]
        if action.action_type == "CreatePacket":
            names[known.packet_id] = told["packet_id"]
        if action.action_type == "TransportPacketToLocation" and told["from"]["kind"] == "Edge":
            other = next(id for id, name in names.items() if name == told["packet_id"])
            names[other], names[known.packet_id] = names[known.packet_id], told["packet_id"]
        assert Counter(map(str, map(_ours, ours))) == Counter(str(_theirs(event, names)) for event in events)


def _ours(entry: HistoryEntry) -> tuple[Any, ...]:
    data = entry.data
    places = [sorted(data[name].items()) for name in ("from", "to", "location") if name in data]
    condition = data.get("salvo_condition") if entry.event_type != "EpochCreated" else None
    return entry.event_type, data.get("packet_id"), data.get("epoch_id"), condition, places


def _theirs(event: Any, names: dict[str, str]) -> tuple[Any, ...]:
    packet = None if event.packet_id is None else names[event.packet_id]
    epoch = None if event.epoch_id is None else names[event.epoch_id]
    found = [getattr(event, name, None) for name in ("from_location", "to_location", "location")]
    places = [sorted(_place(place, names).items()) for place in found if place is not None]
    return event.kind, packet, epoch, event.salvo_condition, places


def _place(place: Any, names: dict[str, str]) -> dict[str, str]:
    text = repr(place)
    kind = {"node": "Node", "output_port": "OutputPort", "edge": "Edge", "outside_net": "OutsideNet"}[
        re.match(r"PacketLocation\.(\w+)", text)[1]  # type: ignore[index]
    ]
    if kind == "Edge":
        source, target = re.match(r"PacketLocation\.edge\((.+)\.out\.(.+) -> (.+)\.in\.(.+)\)", text).group(1, 3)  # type: ignore[union-attr]
        ports = re.match(r"PacketLocation\.edge\(.+\.out\.(.+) -> .+\.in\.(.+)\)", text).groups()  # type: ignore[union-attr]
        return {"kind": kind, "source": f"{source}.{ports[0]}", "target": f"{target}.{ports[1]}"}
    found: dict[str, str] = {"kind": kind}
    if kind in ("Node", "OutputPort"):
        found["epoch_id"] = names[re.search(r"'([0-9A-Z]{26})'", text)[1]]  # type: ignore[index]
    if kind == "OutputPort":
        found["port_name"] = re.search(r', "(.+)"\)', text)[1]  # type: ignore[index]
    return found


class Replay:
    """The actions of a history, done on a fresh `NetSim`. `ids`: for our ids, those that it gave."""

    def __init__(self, graph: Graph, entries: Iterable[HistoryEntry]) -> None:
        self.sim = NetSim(graph)
        self.ids: dict[str, str] = {}
        for entry in entries:
            if entry.entry_type == "action":
                self._do(entry.action_type or "", entry.data)

    def _do(self, kind: str, data: dict[str, Any]) -> None:
        ids, do = self.ids, self.sim.do_action
        epoch, packet = data.get("epoch_id"), data.get("packet_id")
        if kind == "CreateEpoch":
            salvo = Salvo(data["salvo_condition"], [])
            ids[data["epoch_id"]] = do(NetAction.create_epoch(data["node_name"], salvo))[1][0].epoch_id
        elif kind == "CreatePacket":
            response: Any = do(NetAction.create_packet(None if epoch is None else ids[epoch]))[0]
            ids[data["packet_id"]] = response.packet_id
        else:
            e, p = ids.get(epoch or ""), ids.get(packet or "")
            actions: dict[str, Any] = {
                "StartEpoch": lambda: NetAction.start_epoch(e),
                "FinishEpoch": lambda: NetAction.finish_epoch(e),
                "CancelEpoch": lambda: NetAction.cancel_epoch(e),
                "ConsumePacket": lambda: NetAction.consume_packet(p),
                "LoadPacketIntoOutputPort": lambda: NetAction.load_packet_into_output_port(p, data["port_name"]),
                "SendOutputSalvo": lambda: NetAction.send_output_salvo(e, data["salvo_condition"]),
                "TransportPacketToLocation": lambda: NetAction.transport_packet_to_location(
                    p, PacketLocation.node(ids[data["to"]["epoch_id"]])
                ),
            }
            do(actions[kind]())

    def at(self, place: PacketLocation) -> set[str]:
        """Our ids of the packets at a place."""
        there = set(map(str, self.sim.get_packets_at_location(place)))
        return {ours for ours, theirs in self.ids.items() if theirs in there}


def must_end_in_the_same_state(net: Net, entries: list[HistoryEntry]) -> None:
    """The replay of a history has every packet where the net has it, and no other; and the same running epochs."""
    ledger, replay = net._ledger, Replay(net.graph, entries)
    for door in ledger.doors.values():
        for port, out in door.outs.items():
            if not isinstance(out, Wire):
                continue
            target = PortRef(out.gate.door.node_name, PortType.Input, out.gate.port)
            edge = Edge(PortRef(door.node_name, PortType.Output, port), target)
            here = {packet.id for packet in ledger._packets.values() if packet._wire is out}
            assert replay.at(PacketLocation.edge(edge)) == here
            assert ledger._sim.packet_count_at(PacketLocation.edge(edge)) == len(here)
    running = [epoch for epoch in ledger._epochs.values() if epoch.state == EpochState.Running]
    for epoch in running:
        theirs = replay.sim.get_epoch(replay.ids[epoch.id])
        assert theirs is not None
        assert theirs.state == EpochState.Running
        inside = {p.id for p in [*epoch._entered, *(epoch._made or ())] if p._place is epoch}
        assert replay.at(PacketLocation.node(replay.ids[epoch.id])) == inside
        for port in epoch._door.outs:
            loaded = (epoch._loaded or {}).get(port)
            here = {packet.id for packet in loaded.packets} if loaded is not None else set()
            assert replay.at(PacketLocation.output_port(replay.ids[epoch.id], port)) == here
    assert replay.at(PacketLocation.outside_net()) == set()
    started = {id for id in replay.ids if id.startswith("e") and replay.sim.get_epoch(replay.ids[id]) is not None}
    assert started == {epoch.id for epoch in running}
    assert list(replay.sim.get_startable_epochs()) == []
