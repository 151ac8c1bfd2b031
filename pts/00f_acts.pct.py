# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The Ledger's acts
#
# What a running epoch does: start, create and consume packets, load and send them, finish. Each act asks the simulator
# first and writes the books when it has agreed. A refusal is raised again in the same class, with our ids, the reason and
# what to do; nothing has changed then.

# %%
#|default_exp acts

# %%
#|export
from collections.abc import Callable
from time import time
from typing import Any, NoReturn

from netrun_sim import (
    EpochState,
    NetAction,
    NetrunError,
    OutputPortNotFoundError,
    PacketNotInAnyNodeError,
    SalvoConditionNotFoundError,
)
from netrun_sim import PacketLocation as SimLocation

from netrun.books import _MUCH, Holder, Queue, _rank
from netrun.core import NetStateError, PacketTypeMismatch, unknown_name
from netrun.packets import NOTHING, Epoch, Loaded, Packet
from netrun.routing import Door, Exit, Outlet, Wire

# %% [markdown]
# ## What an epoch holds
#
# The packets that it was started with and that it made, inside it or in its output ports.


# %%
#|exporti
def _hold(epoch: Epoch, packet: Packet) -> None:
    if epoch._made is None:
        epoch._made = {}
    epoch._made[packet] = None


def _let_go(epoch: Epoch, packet: Packet) -> None:
    """The packet leaves the epoch, from inside or from an output port."""
    if isinstance(packet._place, Loaded):
        packet._place.packets.remove(packet)
    elif epoch._made is not None:
        epoch._made.pop(packet, None)


def _put(epoch: Epoch, port: str, packet: Packet) -> None:
    """The packet goes into an output port."""
    _let_go(epoch, packet)
    if epoch._loaded is None:
        epoch._loaded = {}
    if port not in epoch._loaded:
        epoch._loaded[port] = Loaded(epoch, port)
    packet._place = epoch._loaded[port]
    epoch._loaded[port].packets.append(packet)


def _leave(epoch: Epoch, exit: Exit) -> list[tuple[str, Packet]]:
    """The packets that a condition takes leave their output ports."""
    salvo: list[tuple[str, Packet]] = []
    for port, limit in exit.takes:
        loaded = epoch._loaded.get(port) if epoch._loaded else None
        if loaded is not None:
            salvo += [(port, packet) for packet in loaded.packets[:limit]]
            del loaded.packets[:limit]
    return salvo


def _note_sent(epoch: Epoch, exit: Exit, salvo: list[tuple[str, Packet]]) -> None:
    """Keep what was sent, as names and numbers: a burst must not leave a pile of objects behind."""
    _note(epoch, exit.name, *(note for port, packet in salvo for note in (port, packet._number)))


def _note(epoch: Epoch, *notes: str | int) -> None:
    epoch._burst = None
    if epoch._sent is None:
        epoch._sent = [*notes, None]
    else:
        epoch._sent += (*notes, None)


def _port_of(epoch: Epoch, packet: Packet) -> str | None:
    """The output port of its epoch that a packet is in, or None where it is inside."""
    place = packet._place
    return None if place is epoch else place.port


def held(epoch: Epoch) -> list[Packet]:
    """The packets that are in a running epoch or in its output ports."""
    entered = [packet for packet in epoch._entered if packet._place is epoch]
    loaded = [packet for place in (epoch._loaded or {}).values() for packet in place.packets]
    return [*entered, *(epoch._made or ()), *loaded]


# %% [markdown]
# ## Refusals that help

# %%
#|exporti
_REMEDIES = {
    "OutputPortFullError": "the port is full; send what it holds first",
    "SalvoConditionNotMetError": "its term is not met by what is loaded ({loaded})",
    "MaxSalvosExceededError": "it has been sent as often as its max_salvos allows",
    "PacketNotInAnyNodeError": "it is in an output port already",
}


def _refuse(holder: Holder, error: NetrunError, what: str) -> NoReturn:
    """Raise the simulator's refusal again, with our ids and what to do."""
    loaded = {port: len(place.packets) for port, place in (holder.epoch._loaded or {}).items() if place.packets}
    remedy = _REMEDIES.get(type(error).__name__, str(error)).replace("{loaded}", str(loaded or "nothing"))
    raise type(error)(f"{holder}: {what}: {remedy}.") from error


def must_be_packet(holder: Holder, thing: object) -> None:
    """Raise `TypeError` for what is no packet."""
    if not isinstance(thing, Packet):
        raise TypeError(f"{holder}: expected one of the packets of this epoch, not {thing!r}")


def _what_is_left(epoch: Epoch) -> str:
    """Name the packets that keep an epoch from finishing."""
    inside = [packet.id for packet in held(epoch) if packet._place is epoch]
    unsent = {port: [packet.id for packet in place.packets] for port, place in (epoch._loaded or {}).items()}
    return what_is_left(inside, unsent)


def what_is_left(inside: list[str], unsent: dict[str, list[str]]) -> str:
    """Name the packets that were left in an epoch and in its output ports."""
    parts = [f"in the epoch: {', '.join(inside)} (consume or send them)"] if inside else []
    parts += [f"on output port {port!r}: {', '.join(ids)} (send a salvo)" for port, ids in unsent.items() if ids]
    return f"ended with packets left {'; '.join(parts)}."


# %%
#|exporti
def must_have_port(holder: Holder, port: str) -> None:
    """Raise `OutputPortNotFoundError` unless the holder's node has this output port."""
    outs = holder.epoch._door.outs
    if port not in outs:
        raise OutputPortNotFoundError(f"{holder}: {unknown_name('output port', port, outs)}")


def find_exit(holder: Holder, condition: str) -> Exit:
    """The output condition of this name, or `SalvoConditionNotFoundError`."""
    exits: dict[str, Exit] = holder.epoch._door.exits
    if condition not in exits:
        raise SalvoConditionNotFoundError(f"{holder}: {unknown_name('output salvo condition', condition, exits)}")
    return exits[condition]


def find_sender(holder: Holder, port: str) -> Exit:
    """The one condition that sends this output port alone, or an error that says which conditions there are."""
    door: Door = holder.epoch._door
    if port in door.senders:
        return door.senders[port]
    must_have_port(holder, port)
    conditions = ", ".join(f"{exit.name!r} sends {[take[0] for take in exit.takes]}" for exit in door.exits.values())
    raise SalvoConditionNotFoundError(
        f"{holder}: send() needs exactly one condition that sends {port!r} alone; there is: {conditions or 'none'}. "
        "Use create_packet, load_output_port and send_output_salvo."
    )


# %% [markdown]
# ## What ports take
#
# Where a port says [what it takes](08_port_types.ipynb), a value is checked before the simulator is asked. A value function is
# never called for that: what it gives is checked when somebody has asked for it, also for the port that it was sent from.


# %%
#|exporti
def must_fit_out(holder: Holder, port: str, packet: Packet, value: Any) -> None:
    """Raise `PacketTypeMismatch` for a value that an output port does not take."""
    taken = holder.epoch._door.out_types.get(port)
    if taken is not None and not taken.takes(value):
        raise PacketTypeMismatch(told_id(packet), taken.spec, type(value), port, holder.epoch.node_name)


def must_fit_in(holder: Holder, packet: Packet, value: Any, is_lazy: bool) -> None:
    """Raise `PacketTypeMismatch` for a value that the input port of a packet does not take, or the output port that it was
    sent from, if that could not be known when it was sent."""
    port, wire = _way_of(holder, packet)
    if port is None:
        return
    source = None if wire is None or wire.edge is None else wire.edge.source
    sender = None if source is None else f"{source.node_name}.{source.port_name}"
    if is_lazy and source is not None and (sent := wire.out_type()) is not None and not sent.takes(value):
        raise PacketTypeMismatch(packet.id, sent.spec, type(value), source.port_name, source.node_name, sender)
    taken = holder.epoch._door.in_types.get(port)
    if taken is not None and not taken.takes(value):
        raise PacketTypeMismatch(packet.id, taken.spec, type(value), port, holder.epoch.node_name, sender)


def told_id(packet: Packet) -> str:
    """The id of a packet, or what it is as long as it has none."""
    return "(deferred)" if packet._number is None else packet.id


def _way_of(holder: Holder, packet: Packet) -> tuple[str | None, Any]:
    """The input port that a packet of the epoch came in by, and its wire. (None, None) for what was made in the epoch."""
    if holder.ways is None:
        epoch = holder.epoch
        wires = list(reversed(epoch._wires)) or [None] * len(epoch._entered)
        ports = [port for port, packets in epoch.by_port().items() for _ in packets]
        holder.ways = dict(zip(epoch._entered, zip(ports, wires, strict=True), strict=True))
    return holder.ways.get(packet, (None, None))


# %% [markdown]
# ## The start and the end of an epoch
#
# The simulator is told of an epoch when it starts. The epoch is created empty, by an action that is the same each time; its
# packets go straight into it, from their edges or, if they were injected, from outside the net; then it is started. That a
# condition was met, and which packets it takes, is the doors' business. The simulator moves packets most cheaply when it
# takes the last of a place, so they go in last to first.
#
# ```
#   start       create_epoch ──> transport each packet into it ──> start_epoch
#   finish      finish_epoch
#   cancel      cancel_epoch, which destroys what is left in it
#   give_back   cancel_epoch; the packets are made anew, outside the net, when the epoch starts again
# ```

# %%
#|exporti
_create = NetAction.create_packet
_consume = NetAction.consume_packet
_load = NetAction.load_packet_into_output_port
_send = NetAction.send_output_salvo
_transport = NetAction.transport_packet_to_location
_start = NetAction.start_epoch
_finish = NetAction.finish_epoch
_cancel = NetAction.cancel_epoch
_CREATE_OUTSIDE = _create(None)
_RUNNING, _FINISHED = EpochState.Running, EpochState.Finished


class Starting(Queue):
    """How an epoch starts."""

    def start(self, holder: Holder) -> None:
        """Start the holder's epoch, which `next` gave. Each of its packets is the last token of its edge, or a new one."""
        epoch = holder.epoch
        door, entered = epoch._door, epoch._entered
        wires: list[Any] | None = [] if self.note is not None or door.is_typed else None
        acquire, release, do, note = self._acquire, self._release, self._do, self.note
        acquire()
        try:
            epoch._sim_id = do(door.creations[epoch._condition])[1][0].epoch_id
            if entered:
                inside = SimLocation.node(epoch._sim_id)
                for packet in reversed(entered):
                    wire = packet._wire
                    if wires is not None:
                        wires.append(wire)
                    if wire is None:
                        sim_id = do(_CREATE_OUTSIDE)[0].packet_id
                    else:
                        sim_id = wire.tokens.pop()
                        packet._wire = None
                    packet._sim_id = sim_id
                    do(_transport(sim_id, inside))
            do(_start(epoch._sim_id))
            epoch.state = _RUNNING
            door.started += 1
            if wires is not None:
                epoch._wires = wires
            if note is not None and wires is not None:
                holder.since = at = time()
                if len(wires) == 1 and wires[0] is not None:
                    note((at, "start_one", epoch, wires[0]))
                else:
                    note((at, "start", epoch, wires))
        finally:
            release()

    def go_on(self, holder: Holder) -> None:
        """Another attempt holds an epoch that has started."""
        if self.note is not None:
            holder.since = time()


# %%
#|exporti
OVER = NetStateError("using a context", "its attempt has ended")


class Finishing(Starting):
    """How an epoch ends: finished, cancelled, or startable again."""

    def finish(self, holder: Holder) -> None:
        """Finish the holder's epoch. Raises, and changes nothing, when packets are left in it or unsent."""
        acquire, release, do, note = self._acquire, self._release, self._do, self.note
        acquire()
        try:
            if holder.over is not None:
                holder.must_last()
            epoch = holder.epoch
            try:
                do(_finish(epoch._sim_id))
            except NetrunError as error:
                raise type(error)(f"{holder}: {_what_is_left(epoch)}") from None
            if note is not None:
                note((time(), "finish", epoch, len(holder.earlier) + 1, holder.since, holder.where()))
            self._end(holder)
        finally:
            release()

    def cancel(self, holder: Holder) -> None:
        """Cancel the holder's epoch: what it holds is destroyed, what it sent stays sent."""
        with self._lock:
            epoch = holder.epoch
            left = held(epoch)
            self._do(_cancel(epoch._sim_id))
            if self.note is not None:
                self.note((time(), "cancel", epoch, [(packet._number, _port_of(epoch, packet)) for packet in left]))
            epoch._door.cancelled += 1
            for packet in left:
                packet._place = packet._sim_id = None
                del self._packets[packet._number]
            self._end(holder)
        for packet in left:
            self._drop(packet)

    def give_back(self, holder: Holder) -> None:
        """Make the epoch of a holder that has not acted startable again, first in the queue."""
        with self._lock:
            epoch = holder.epoch
            self._do(_cancel(epoch._sim_id))
            if self.note is not None:
                self.note((time(), "give_back", epoch, [(packet._number, None) for packet in epoch._entered]))
            for packet in epoch._entered:
                packet._sim_id = None
            holder.over = holder.over or OVER
            epoch._sim_id = epoch._burst = None
            epoch.state = EpochState.Startable
            epoch._door.started -= 1
            self._ready.appendleft(epoch)

    def end_attempt(self, holder: Holder, why: Exception) -> None:
        """Nothing that the holder still does changes the net; its epoch stays as it is."""
        with self._lock:
            if holder.over is None:
                holder.over = why

    def _end(self, holder: Holder) -> None:
        epoch = holder.epoch
        if holder.over is None:
            holder.over = OVER
        epoch.state = _FINISHED
        epoch._made = epoch._loaded = None
        epoch._door.ended += 1
        del self._epochs[epoch._number]


# %%
#|hide
from netrun import *


def node(name, inputs=(), outputs=()):
    nonempty = lambda port: SalvoConditionTerm.port(port, PortState.non_empty())
    one = PacketCount.count(1)
    return Node(
        name,
        in_ports={port: Port() for port in inputs},
        out_ports={port: Port() for port in outputs},
        in_salvo_conditions={port: SalvoCondition(MaxSalvos.finite(1), {port: one}, nonempty(port)) for port in inputs},
        out_salvo_conditions={port: SalvoCondition(MaxSalvos.infinite(), port, nonempty(port)) for port in outputs},
    )


# %%
edge = Edge(PortRef("A", PortType.Output, "out"), PortRef("B", PortType.Input, "in"))
graph = Graph([node("A", ["in"], ["out", "left"]), node("B", ["in"])], [edge])


def started(layer, *values):
    """One layer of the ledger, and the holder of a running epoch of A for the first of these values."""
    ledger = layer(graph, PacketValueStore())
    ledger.inject("A", "in", values)
    holder = Holder(ledger.next())
    ledger.start(holder)
    return ledger, holder


ledger, holder = started(Finishing, 1, 2)
assert holder.epoch.state == EpochState.Running and ledger.doors["A"].live == 1
ledger.give_back(holder)  # nothing was done: the epoch is startable again, first in the queue
assert ledger.queued() == 2 and ledger.next() is holder.epoch

# %% [markdown]
# An epoch does not finish while packets are left in it. What cancels it destroys them:

# %%
ledger, holder = started(Finishing, 1)
try:
    ledger.finish(holder)
except CannotFinishNonEmptyEpochError as error:
    print(error)
ledger.cancel(holder)
assert len(ledger.values) == 0 and holder.epoch.state == EpochState.Finished

# %% [markdown]
# ## Create and consume
#
# The value is asked for outside the lock, since its function is a user's code; the packet goes when it is known.

# %%
#|exporti
_ASK: Any = object()  # stands for a value that is still to be asked for


class Making(Finishing):
    """Create and consume packets of a running epoch."""

    def create(self, holder: Holder, value: Any = None, func: Callable[[], Any] | None = None) -> Packet:
        """Create a packet in the epoch, with a value or a value function."""
        packet = self._packet()
        self._store(packet, value, func)
        try:
            with self._lock:
                epoch = _acting(holder)
                packet._sim_id = self._do(_create(epoch._sim_id))[0].packet_id
                holder.acted = True
                packet._place = epoch
                _hold(epoch, packet)
                self._packets[packet._number] = packet
                if self.note is not None:
                    self.note((time(), "create", epoch, packet._number, None))
        except BaseException:
            self._drop(packet)
            raise
        return packet

    def ask(self, holder: Holder, packet: Packet) -> Any:
        """The value of a packet of the epoch. Calls its value function; changes nothing."""
        self.must_hold(holder, packet)
        return self.values.get_value(packet.id)

    async def async_ask(self, holder: Holder, packet: Packet) -> Any:
        """`ask` for callers on a loop."""
        self.must_hold(holder, packet)
        return await self.values.async_get_value(packet.id)

    def consume(self, holder: Holder, packet: Packet, value: Any = _ASK) -> Any:
        """Consume a packet of the epoch and return its value: the one given, or else the one that `ask` gives."""
        if value is _ASK and not (isinstance(packet, Packet) and packet._value is not NOTHING):
            value = self.ask(holder, packet)
            self.values.must_be_keepable(packet.id, value)
        if holder.epoch._door.is_typed:
            self.must_hold(holder, packet)
            is_lazy = packet._value is NOTHING and self.values.is_lazy(packet.id)
            must_fit_in(holder, packet, packet._value if value is _ASK else value, is_lazy)
        acquire, release, do, note = self._acquire, self._release, self._do, self.note
        acquire()
        try:
            epoch = holder.epoch
            if holder.over is not None or packet._place is not epoch:
                self.must_hold(holder, packet)
            if value is _ASK:
                value = packet._value  # it carries it
            do(_consume(packet._sim_id))
            holder.acted = True
            if note is not None:
                note(
                    (
                        time(),
                        "consume",
                        epoch,
                        packet._number,
                        None if packet._place is epoch else _port_of(epoch, packet),
                    )
                )
            if epoch._made or packet._place is not epoch:
                _let_go(epoch, packet)
            packet._place = packet._sim_id = None
            del self._packets[packet._number]
            holder.values[packet] = value
        finally:
            release()
        if packet._value is NOTHING:
            self._spend(packet, value)
        else:
            packet._value = NOTHING
        return value

    def must_hold(self, holder: Holder, packet: Packet) -> None:
        """Raise unless the packet is in the holder's epoch, or in one of its output ports."""
        if holder.over is not None:
            holder.must_last()
        must_be_packet(holder, packet)
        place = packet._place
        if place is not holder.epoch and getattr(place, "epoch", None) is not holder.epoch:
            where = f"it is at {packet.location}" if place is not None else "it was consumed or has left the net"
            raise PacketNotInAnyNodeError(f"{holder}: {packet!r} is not in this epoch: {where}.")


def _acting(holder: Holder) -> Epoch:
    """The epoch of a holder that may still act; raises why not otherwise."""
    if holder.over is not None:
        holder.must_last()
    return holder.epoch


# %%
ledger, holder = started(Making, 20)
(packet,) = holder.epoch._entered
assert ledger.consume(holder, packet) == 20 and holder.values == {packet: 20}
lazy = ledger.create(holder, func=lambda: 21)
assert ledger.consume(holder, lazy) == 21
ledger.finish(holder)

# %% [markdown]
# ## Delivery
#
# What was sent becomes tokens on its edges, and arrives at the doors behind them. Packets that were sent together arrive
# together. What left through a port without an edge is outside the net: it leaves the simulator, and waits to be taken
# out. `_deliver_one` is the way of a single packet, the one that most packets go, made short.


# %%
#|exporti
class Delivery(Making):
    """From an output port to the doors behind it."""

    def _deliver(self, epoch: Epoch, exit: Exit, salvo: list[tuple[str, Packet]]) -> None:
        """Bring what was just sent to the doors behind it."""
        outs = epoch._door.outs
        if len(salvo) == 1:
            port, packet = salvo[0]
            _note(epoch, exit.name, port, packet._number)
            self._deliver_one(outs[port], packet)
            return
        _note_sent(epoch, exit, salvo)
        self._depart([(outs[port], packet) for port, packet in salvo])
        self._route_salvo(outs, salvo)

    def _deliver_one(self, out: Wire | Outlet, packet: Packet) -> None:
        """`_deliver` for a salvo of one packet, as most are."""
        if isinstance(out, Wire):
            out.tokens.append(packet._sim_id)
            packet._sim_id, packet._wire, packet._place = None, out, out
            door, direct = out.gate.door, out.gate.direct
            if door.is_behind:
                door.inbox.append(packet)
            elif len(self._ready) >= self._room:
                self._hold_back(door, packet)
            elif direct is None or door.present:
                self._arrive(door, [packet])
            else:  # the door would come to the same, by a longer way
                self._form(door, direct[0], direct[1], [packet])
        else:
            self._depart([(out, packet)])
            out.packets.append(packet)

    def _depart(self, sent: list[tuple[Wire | Outlet, Packet]]) -> None:
        """What was sent becomes tokens on its edges. What is outside the net leaves the simulator."""
        outside: list[Packet] = []
        for out, packet in sent:
            packet._place = out
            if isinstance(out, Wire):
                out.tokens.append(packet._sim_id)
                packet._sim_id, packet._wire = None, out
            else:
                outside.append(packet)
        for packet in reversed(outside):  # the last of a place is the cheapest to take
            self._do(_consume(packet._sim_id))
            packet._sim_id = None
        if outside and self.note is not None:
            self.note((time(), "take_out", [packet._number for packet in reversed(outside)]))

    def _route_salvo(self, outs: dict[str, Wire | Outlet], salvo: list[tuple[str, Packet]]) -> None:
        """Packets that were sent together arrive together: a door routes when all of its are there."""
        arrivals: dict[Door, list[Packet]] = {}
        for port, packet in salvo:
            out = outs[port]
            if isinstance(out, Wire):
                arrivals.setdefault(out.gate.door, []).append(packet)
            else:
                out.packets.append(packet)
        for door in sorted(arrivals, key=_rank):
            self._arrive(door, arrivals[door])


# %% [markdown]
# ## Load and send
#
# `send_value` is create, load and send under one lock: the shortest way to send a value, and the one that nodes take most.


# %%
#|exporti
class Sending(Delivery):
    """Load packets into output ports, and send them."""

    def load(self, holder: Holder, port: str, packet: Packet) -> None:
        """Load a packet of the epoch into one of its output ports."""
        if holder.epoch._door.out_types:
            self.must_hold(holder, packet)
            if packet._value is not NOTHING or not self.values.is_lazy(packet.id):
                must_fit_out(holder, port, packet, self.values.get_value(packet.id))
        with self._lock:
            epoch = _acting(holder)
            self.must_hold(holder, packet)
            must_have_port(holder, port)
            try:
                self._do(_load(packet._sim_id, port))
            except NetrunError as error:
                _refuse(holder, error, f"packet {packet.id} cannot be loaded into output port {port!r}")
            holder.acted = True
            if self.note is not None:
                self.note((time(), "load", epoch, packet._number, port))
            _put(epoch, port, packet)

    def send(self, holder: Holder, condition: str) -> None:
        """Send the packets that an output condition takes."""
        with self._lock:
            epoch = _acting(holder)
            exit = find_exit(holder, condition)
            try:
                self._do(_send(epoch._sim_id, condition))
            except NetrunError as error:
                _refuse(holder, error, f"output salvo {condition!r} cannot be sent")
            holder.acted = True
            salvo = _leave(epoch, exit)
            if self.note is not None:
                self.note((time(), "send", epoch, exit.name, _numbers(salvo)))
            self._deliver(epoch, exit, salvo)

    def send_value(self, holder: Holder, port: str, value: Any) -> Packet:
        """Create a packet, load it into `port` and send it with the one condition that sends this port alone."""
        epoch = holder.epoch
        door = epoch._door
        exit = door.senders.get(port) or find_sender(holder, port)
        acquire, release, do, note = self._acquire, self._release, self._do, self.note
        number = self._next_packet()
        if not number & _MUCH and self.heard_much is not None:
            self.heard_much()
        packet = Packet(number, self._suffix)
        if door.out_types:
            must_fit_out(holder, port, packet, value)
        if self._carried:
            packet._value = value
        else:
            self._store(packet, value)
        try:
            acquire()
            try:
                if holder.over is not None:
                    holder.must_last()
                burst = epoch._burst
                if burst is None or burst[0] is not exit:  # what stays the same from one send to the next
                    burst = (exit, _create(epoch._sim_id), _send(epoch._sim_id, exit.name))
                sim_id = do(burst[1])[0].packet_id
                try:
                    do(_load(sim_id, port))
                    do(burst[2])
                except NetrunError as error:
                    self._take_back(epoch, number, sim_id, port)
                    _refuse(holder, error, f"nothing can be sent from output port {port!r} with {exit.name!r}")
                holder.acted = True
                packet._sim_id = sim_id
                self._packets[number] = packet
                if epoch._loaded is None:
                    if note is not None:
                        note((time(), "send_value", epoch, exit, number))
                    if burst is epoch._burst:
                        epoch._sent.append(number)
                    else:
                        _note(epoch, exit.name, port, number)
                        epoch._burst = burst
                    self._deliver_one(door.outs[port], packet)
                else:
                    _put(epoch, port, packet)
                    salvo = _leave(epoch, exit)
                    if note is not None:
                        note((time(), "create", epoch, number, None))
                        note((time(), "load", epoch, number, port))
                        note((time(), "send", epoch, exit.name, _numbers(salvo)))
                    self._deliver(epoch, exit, salvo)
            finally:
                release()
        except BaseException:
            if packet._place is None:
                self._drop(packet)
            raise
        return packet

    def _take_back(self, epoch: Epoch, number: int, sim_id: str, port: str) -> None:
        """A packet that was made to be sent, and cannot be, leaves the simulator."""
        there: Any = self._sim.get_packet(sim_id)
        is_loaded = there.location.kind == "OutputPort"
        self._do(_consume(sim_id))
        if self.note is not None:
            self.note((time(), "unsent", epoch, number, port if is_loaded else None))


def _numbers(salvo: list[tuple[str, Packet]]) -> list[tuple[str, int]]:
    return [(port, packet._number) for port, packet in salvo]


# %%
ledger, holder = started(Sending, 20)
(packet,) = holder.epoch._entered
sent = ledger.send_value(holder, "out", 2 * ledger.consume(holder, packet))
assert sent.location.epoch_id == ledger.startable("B")[0]  # routed at once: it is in an epoch of B already
ledger.load(holder, "left", ledger.create(holder, 5))
ledger.send(holder, "left")
assert [salvo.salvo_condition for salvo in holder.epoch.out_salvos] == ["out", "left"]
ledger.finish(holder)

# %% [markdown]
# Refusals name the node, the epoch and the attempt, and say what to do.

# %%
ledger, holder = started(Sending, 20)
for act in [
    lambda: ledger.load(holder, "out", sent),
    lambda: ledger.load(holder, "oout", holder.epoch._entered[0]),
    lambda: ledger.send(holder, "out"),
    lambda: ledger.send(holder, "everything"),
    lambda: ledger.send_value(holder, "in", 1),
    lambda: ledger.consume(holder, packet),
]:
    try:
        act()
    except NetrunError as error:
        print(f"{type(error).__name__}: {error}")
    else:
        raise AssertionError("not refused")
