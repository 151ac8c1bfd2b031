# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The Ledger
#
# The whole of it: over the [books](00e_books.ipynb) and the [acts](00f_acts.ipynb) there come commits, what users take
# out, and the check of every invariant.

# %%
#|default_exp ledger

# %%
#|export
from collections import Counter
from collections.abc import Callable
from time import time
from typing import Any, NamedTuple

from netrun_sim import (
    EpochState,
    Graph,
    NetAction,
    NetEvent,
    NetrunError,
    NetSim,
    OutputPortNotFoundError,
    PacketNotInAnyNodeError,
)
from netrun_sim import PacketLocation as SimLocation

from netrun.acts import (
    Sending,
    _consume,
    _create,
    _finish,
    _leave,
    _let_go,
    _load,
    _note_sent,
    _numbers,
    _port_of,
    _put,
    _send,
)
from netrun.books import Holder
from netrun.core import PacketTypeMismatch, unknown_name
from netrun.packets import NOTHING, DeferredPacket, Epoch, Packet
from netrun.routing import Door, Exit, Outlet
from netrun.values import PacketValueStore

# %% [markdown]
# ## The commands of a recording
#
# What a recorded context writes down, for `commit` to play.


# %%
#|exporti
class Create(NamedTuple):
    """Create a packet in the epoch."""

    packet: DeferredPacket


class Consume(NamedTuple):
    """Consume a packet, whose value is known."""

    packet: Packet
    value: Any


class Load(NamedTuple):
    """Load a packet into an output port."""

    packet: Packet
    port: str


class Send(NamedTuple):
    """Send an output salvo."""

    exit: Exit


Command = Create | Consume | Load | Send


def _command_text(command: Command) -> str:
    match command:
        case Create():
            return "create a packet"
        case Consume(packet):
            return f"consume {packet!r}"
        case Load(packet, port):
            return f"load {packet!r} into {port!r}"
        case Send(exit):
            return f"send {exit.name!r}"


# %% [markdown]
# ## Commit: a recording, all of it or nothing
#
# The commands are played in order, the finish of the epoch last. When one is refused, what was done is undone in reverse
# order by `NetSim.undo_action`, and the error says which command it was. Undoing a consume puts the packet at the end of
# its epoch; taking each packet of the epoch out and in again once, in the order in which they were, mends that.
#
# ```
#   create p ─> load p ─> send ─> consume q ─> finish        all agreed: books, values, doors
#      └───────────<──────────<───────┘ refused              else: as before, and the attempt has failed
# ```


# %%
#|exporti
class _Commit:
    """One recording being played on the simulator. Nothing but the simulator changes before `done`."""

    def __init__(self, sim: NetSim, do: Callable[[NetAction], tuple[Any, list[NetEvent]]], holder: Holder) -> None:
        self._sim, self._do, self._holder = sim, do, holder
        self._journal: list[tuple[NetAction, list[NetEvent]]] = []
        self._sim_ids = {packet: packet._sim_id for packet in holder.epoch._entered}

    def play(self, commands: list[Command]) -> None:
        """Play all commands and finish the epoch. On a refusal: undo all of it and raise."""
        try:
            for command in commands:
                self._act(self._action(command), command)
            self._act(_finish(self._holder.epoch._sim_id), None)
        except NetrunError as error:
            number = len(self._journal) + 1  # the one that is not in the journal
            self._undo()
            what = _command_text(commands[number - 1]) if number <= len(commands) else "finish the epoch"
            raise type(error)(
                f"{self._holder}: command {number} of {len(commands) + 1} ({what}) was refused when the deferred actions "
                f"were committed: {error}. Nothing of the attempt is in the net."
            ) from error
        except BaseException:
            self._undo()
            raise

    def sim_id(self, packet: Packet) -> str:
        """The simulator's id of a packet, be it new or old."""
        sim_id: str | None = self._sim_ids.get(packet)
        if sim_id is None:
            raise PacketNotInAnyNodeError(f"{packet!r} is not in this epoch")
        return sim_id

    def _action(self, command: Command) -> NetAction:
        epoch_id = self._holder.epoch._sim_id
        match command:
            case Create():
                return _create(epoch_id)
            case Consume(packet):
                return _consume(self.sim_id(packet))
            case Load(packet, port):
                return _load(self.sim_id(packet), port)
            case Send(exit):
                return _send(epoch_id, exit.name)

    def _act(self, action: NetAction, command: Command | None) -> None:
        response, events = self._do(action)
        self._journal.append((action, events))
        if isinstance(command, Create):
            self._sim_ids[command.packet] = response.packet_id

    def _undo(self) -> None:
        for action, events in reversed(self._journal):
            self._sim.undo_action(action, events)
        for packet in reversed(self._holder.epoch._entered):
            taken_out = _consume(self.sim_id(packet))
            self._sim.undo_action(taken_out, self._sim.do_action(taken_out)[1])


# %%
#|exporti
class Commits(Sending):
    """The commit of what a recorded attempt wrote down."""

    def commit(self, holder: Holder, commands: list[Command]) -> None:
        """Play the commands and finish the epoch, all or nothing. Raises what was refused, and then the simulator, the
        books and the values are as before."""
        consumed = {command.packet for command in commands if isinstance(command, Consume)}
        new = {command.packet: self._packet() for command in commands if isinstance(command, Create)}
        stay = [packet for packet in new if self.values.keeps or packet not in consumed]
        try:
            for packet in stay:
                if packet._func is not None:
                    self.values.store_value_func(new[packet].id, packet._func)
                elif not self._carried:
                    self.values.store_value(new[packet].id, packet._value)
            with self._lock:
                holder.must_last()
                play = _Commit(self._sim, self._do, holder)
                play.play(commands)
                holder.acted = True
                for packet, its in new.items():
                    packet._number, packet._suffix, packet._func = its._number, its._suffix, None
                    if packet in consumed or not self._carried:
                        packet._value = NOTHING
                    packet._sim_id, packet._place = play.sim_id(packet), holder.epoch
                    self._packets[packet._number] = packet
                self._apply(holder, commands)
                self._end(holder)
        except BaseException:
            for id in filter(self.values.has_value, [its.id for its in new.values()]):
                self.values.remove(id)
            raise
        for command in commands:
            if isinstance(command, Consume) and (self.values.keeps or command.packet not in new):
                self._spend(command.packet, command.value)

    def _apply(self, holder: Holder, commands: list[Command]) -> None:
        """Write into the books what the simulator has agreed to, then route all that was sent."""
        epoch = holder.epoch
        outs = epoch._door.outs
        salvos: list[list[tuple[str, Packet]]] = []
        note = self.note or _nobody
        for command in commands:
            match command:
                case Create(packet):
                    note((time(), "create", epoch, packet._number, None))
                case Consume(packet):
                    note((time(), "consume", epoch, packet._number, _port_of(epoch, packet)))
                    _let_go(epoch, packet)
                    packet._place = packet._sim_id = None
                    del self._packets[packet._number]
                case Load(packet, port):
                    note((time(), "load", epoch, packet._number, port))
                    _put(epoch, port, packet)
                case Send(exit):
                    salvos.append(_leave(epoch, exit))
                    note((time(), "send", epoch, exit.name, _numbers(salvos[-1])))
                    _note_sent(epoch, exit, salvos[-1])
        if self.note is not None:
            note((time(), "finish", epoch, len(holder.earlier) + 1, holder.since, holder.where()))
        self._depart([(outs[port], packet) for salvo in salvos for port, packet in salvo])
        for salvo in salvos:
            self._route_salvo(outs, salvo)


def _nobody(record: Any) -> None:
    """Where nobody hears."""


# %% [markdown]
# ## Out, and the Ledger itself
#
# What was sent from an unconnected output port is outside the net and waits for `take_outputs`.


# %%
#|export
class Ledger(Commits):
    """The owner of the simulator, the values, the ids and the startable epochs: see the chapters before this one.

    Raises `GraphError` with every finding when the graph cannot be run.
    """

    def __init__(self, graph: Graph, values: PacketValueStore) -> None:
        super().__init__(graph, values)
        self.in_hand: list[tuple[Outlet, list[Packet]]] = []  # what is being taken out, and may come back

    def take_outputs(self, node_name: str, port: str) -> list[Any]:
        """The values that were sent from an unconnected output port, in order; the net holds them no longer. When a
        value function raises, all stay."""
        return self.take_all([(node_name, port)])[node_name, port]

    def take_all(self, places: list[tuple[str, str]]) -> dict[tuple[str, str], list[Any]]:
        """`take_outputs` of several nodes and ports at once: of all of them, or of none."""
        outlets = {place: self._outlet(*place) for place in places}
        with self._lock:
            taken = {place: list(outlet.packets) for place, outlet in outlets.items()}
            in_hand = [(outlet, taken[place]) for place, outlet in outlets.items()]
            self.in_hand += in_hand
            for outlet in outlets.values():
                outlet.packets.clear()
        try:
            values = {place: [self._asked(place, p) for p in packets] for place, packets in taken.items()}
        except BaseException:
            with self._lock:
                self._put_down(in_hand)
                for place, outlet in outlets.items():
                    outlet.packets.extendleft(reversed(taken[place]))
            raise
        with self._lock:
            self._put_down(in_hand)
            for packet in (packet for packets in taken.values() for packet in packets):
                packet._place = None
                del self._packets[packet._number]
        for place, packets in taken.items():
            for packet, value in zip(packets, values[place], strict=True):
                self._spend(packet, value)
        return values

    def _put_down(self, in_hand: list[tuple[Outlet, list[Packet]]]) -> None:
        self.in_hand = [each for each in self.in_hand if not any(each is one for one in in_hand)]

    def _asked(self, place: tuple[str, str], packet: Packet) -> Any:
        """The value of a packet that was sent from an outlet. One that its function gives is checked here."""
        is_lazy = packet._value is NOTHING and self.values.is_lazy(packet.id)
        value = self.values.get_value(packet.id)
        node_name, port = place
        taken = self.doors[node_name].out_types.get(port)
        if is_lazy and taken is not None and not taken.takes(value):
            raise PacketTypeMismatch(packet.id, taken.spec, type(value), port, node_name)
        return value

    def _outlet(self, node_name: str, port: str) -> Outlet:
        outs = self.door(node_name).outs
        outlet = outs.get(port)
        if not isinstance(outlet, Outlet):
            free = [name for name, out in outs.items() if isinstance(out, Outlet)]
            raise OutputPortNotFoundError(
                f"node {node_name!r}: {unknown_name('unconnected output port', port, free)} "
                "What is sent from a connected one goes over its edge."
            )
        return outlet

    def check(self) -> None:
        """Raise `AssertionError` with everything that is wrong in the books. For tests, while nothing runs."""
        with self._lock:
            problems = _problems(self)
        if problems:
            raise AssertionError("\n".join(problems))


# %% [markdown]
# ## Check
#
# The invariants, each a line or two: every value belongs to a packet and every packet has one; every packet is where it
# says, and exactly there; every startable epoch is queued once; the counts of the doors are right; and what the
# simulator has is what the books say.


# %%
#|exporti
def _problems(ledger: Ledger) -> list[str]:
    """Everything that is wrong in the books."""
    packets = {packet.id for packet in ledger._packets.values()}
    values = set(ledger.values.ids()) - ledger._foreign
    found = [f"value of {id} belongs to no packet" for id in sorted(values - packets)]
    found += [f"{id} has no value" for id in sorted(packets - values)]
    contents = [place for door in ledger.doors.values() for place in _contents(door)]
    contents += [(epoch, _inside(epoch)) for epoch in ledger._epochs.values()]
    contents += [
        (place, place.packets) for epoch in ledger._epochs.values() for place in (epoch._loaded or {}).values()
    ]
    seen = [packet.id for _, held in contents for packet in held]
    places = Counter(seen)
    found += [f"{id} is in {places[id]} places" for id in sorted({*seen, *packets}) if places[id] != 1]
    found += [f"{id} is not in the registry" for id in sorted(set(seen) - packets)]
    found += [
        f"{packet.id} says it is elsewhere" for place, held in contents for packet in held if packet._place is not place
    ]
    queued = [*ledger._ready, *(epoch for door in ledger.doors.values() for epoch in door.shelf)]
    startable = [epoch for epoch in ledger._epochs.values() if epoch.state == EpochState.Startable]
    if sorted(epoch.id for epoch in queued) != sorted(epoch.id for epoch in startable):
        found.append(f"queued: {queued}, startable: {startable}")
    for door in ledger.doors.values():
        found += _door_problems(door)
    return found + _sim_problems(ledger)


# %%
#|exporti
def _contents(door: Door) -> list[tuple[Any, list[Packet]]]:
    """The places of a door, each with its packets."""
    gates = [(gate, list(gate.packets)) for gate in door.gates.values()]
    behind = [packet for some in door.inbox for packet in (some if isinstance(some, list) else [some])]
    wires = [
        (wire, [packet for _, packet in wire.line] + [packet for packet in behind if packet._place is wire])
        for gate in door.gates.values()
        for wire in gate.wires
    ]
    outlets = [(out, list(out.packets)) for out in door.outs.values() if isinstance(out, Outlet)]
    return [*gates, *wires, *outlets]


def _inside(epoch: Epoch) -> list[Packet]:
    return [packet for packet in epoch._entered if packet._place is epoch] + list(epoch._made or ())


# %%
#|exporti
def _door_problems(door: Door) -> list[str]:
    counts = [len(gate.packets) for gate in door.gates.values()]
    lines = sum(len(wire.line) for gate in door.gates.values() for wire in gate.wires)
    found = [] if counts == door.counts else [f"{door.node_name}: counts {door.counts}, but there are {counts}"]
    if (lines, lines + sum(counts)) != (door.waiting, door.present):
        found.append(f"{door.node_name}: {door.waiting} of {door.present} should wait on wires, {lines} do")
    return found + [
        f"{door.node_name}: port {gate.port!r} holds more than its {gate.capacity} slots"
        for gate in door.gates.values()
        if gate.capacity is not None and len(gate.packets) > gate.capacity
    ]


def _sim_problems(ledger: Ledger) -> list[str]:
    """Where the simulator and the books differ."""
    sim, found = ledger._sim, []
    for packet in ledger._packets.values():
        if packet._sim_id is not None and sim.get_packet(packet._sim_id) is None:
            found.append(f"{packet.id} is not in the simulator")
    for door in ledger.doors.values():
        for wire in (wire for gate in door.gates.values() for wire in gate.wires):
            if wire.edge is None:
                continue
            there = sim.packet_count_at(SimLocation.edge(wire.edge))
            here = sum(packet._wire is wire for packet in ledger._packets.values())
            if not there == here == len(wire.tokens):
                found.append(
                    f"{wire.edge}: {there} packets in the simulator, {len(wire.tokens)} tokens, {here} in the books"
                )
    for epoch in ledger._epochs.values():
        if epoch.state == EpochState.Running:
            there = sim.packet_count_at(SimLocation.node(epoch._sim_id))
            if there != len(_inside(epoch)):
                found.append(
                    f"{there} packets in the simulator's epoch of {epoch.id}, the books say {len(_inside(epoch))}"
                )
    return found


# %% [markdown]
# ## A hop by hand
#
# Inject, route, start, consume, send, finish, and the next node has an epoch.

# %%
#|hide
from netrun import *


def node(name, inputs=(), outputs=()):
    nonempty = lambda port: SalvoConditionTerm.port(port, PortState.non_empty())
    return Node(
        name,
        in_ports={port: Port() for port in inputs},
        out_ports={port: Port() for port in outputs},
        in_salvo_conditions={port: SalvoCondition(MaxSalvos.finite(1), port, nonempty(port)) for port in inputs},
        out_salvo_conditions={port: SalvoCondition(MaxSalvos.infinite(), port, nonempty(port)) for port in outputs},
    )


# %%
edge = Edge(PortRef("A", PortType.Output, "out"), PortRef("B", PortType.Input, "in"))
ledger = Ledger(Graph([node("A", ["in"], ["out"]), node("B", ["in"], ["end"])], [edge]), PacketValueStore())
ledger.inject("A", "in", [20])
holder = Holder(ledger.next())
ledger.start(holder)
ledger.send_value(holder, "out", 2 * ledger.consume(holder, holder.epoch._entered[0]))
ledger.finish(holder)
ledger.check()
assert len(ledger.startable("B")) == 1

# %% [markdown]
# The next epoch does its work in a recording. The first one forgets the packet that it was started with, so it is refused
# as a whole; the second is committed, and its value can be taken out.

# %%
holder = Holder(ledger.next())
ledger.start(holder)
(entered,) = holder.epoch._entered
new = DeferredPacket(value="done")
work = [Create(new), Load(new, "end"), Send(holder.epoch._door.exits["end"])]
try:
    ledger.commit(holder, work)
except CannotFinishNonEmptyEpochError as error:
    print(error)
ledger.check()
ledger.commit(holder, [Consume(entered, 40), *work])
ledger.check()
assert ledger.take_outputs("B", "end") == ["done"] and len(ledger.values) == 0

# %% [markdown]
# `check` finds what is wrong. Here a value is lost behind the Ledger's back:

# %%
(id,) = ledger.inject("A", "in", [1])
ledger.values.remove(id)
try:
    ledger.check()
except AssertionError as error:
    print(error)
else:
    raise AssertionError("the loss was not found")
