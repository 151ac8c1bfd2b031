# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The Ledger's books
#
# The Ledger is the one owner of everything that changes: the `NetSim`, the packets' values, the registry of packets and
# epochs with their public ids, and the queue of startable epochs. Nobody else touches `NetSim`. It is built up over three
# chapters, layer upon layer: its books (here), [acts](00f_acts.ipynb) of running epochs, and the
# [whole](00g_ledger.ipynb).
#
# ```
#   context ──create, consume, load, send──>┐                   ┌─> NetSim     judges every action
#   engine  ──next, start, finish, cancel──>│  Ledger, one lock │─> Doors      who is routed where
#   user    ──inject, take_outputs, get_…──>┘                   └─> registry   ids, places, the queue
# ```
#
# **One lock.** Each public method is atomic. The lock is never held while a user's code runs: node functions, value
# functions and the pickling of values happen outside it.
#
# **What the simulator knows.** It judges each action of a running epoch when it happens. What *waits* is kept by the
# doors, and the simulator hears of an epoch when it starts: the epoch is created empty, its packets go from their edges
# straight into it, the epoch is started. So an epoch that waits costs nothing there, and the simulator is as fast with a
# hundred thousand of them as with one.
#
# The packets of one edge are all alike to the simulator; which of ours each one stands for is for us to say, and we say it
# when an epoch starts. Until then an edge is a pile of *tokens*, and we take the one that is cheapest to take: the last.
# (Taking the first of a long edge is slow.) An injected value gets its packet in the simulator only then: it is created
# outside the net, and goes into the epoch from there.
#
# ```
#   a packet's way    in the simulator                 in the books
#   inject            nothing yet                      at the port, in line for it, or in a startable epoch
#   create, load      inside the epoch, output port    the same
#   send              a token on the edge              at the port, in line for it, or in a startable epoch
#   start             inside the epoch                 inside the epoch
#   consume           gone                             gone
# ```

# %%
#|default_exp books

# %%
#|export
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from heapq import heappop, heappush
from io import StringIO
from itertools import count
from math import inf
from threading import RLock
from typing import Any, NamedTuple

from netrun_sim import (
    EpochNotFoundError,
    EpochState,
    Graph,
    InputPortNotFoundError,
    NetAction,
    NetEvent,
    NetSim,
    NodeNotFoundError,
    PacketNotFoundError,
)
from netrun_sim import Salvo as SimSalvo

from netrun.core import GraphError, NetStateError, unknown_name
from netrun.packets import NOTHING, Epoch, Packet, number_in
from netrun.routing import Door, Gate, Outlet, Parts, Wire, doors_of, graph_findings
from netrun.values import PacketValueStore

# %% [markdown]
# ## Who may act
#
# A running epoch belongs to one attempt at a time, and only while that attempt lasts. The attempt holds the epoch as a
# `Holder`; when it is `over`, every further action of it is refused under the lock. So a function that ran out of time
# and goes on in its thread changes nothing.

# %%
#|exporti
Earlier = Sequence[tuple[datetime, BaseException]]


class Holder:
    """Who may act on a running epoch: one attempt, while it lasts.

    earlier: for each earlier attempt at the same epoch, when it failed and with what.
    over: why it may act no longer, or None.
    values: what it has consumed, by packet.
    since: when it began, as time of day in seconds, if a history is kept.
    printed: what it has printed of a line that is not at its end.
    ways: of each packet that entered, the port and the wire that it came over, once somebody has asked.
    """

    __slots__ = ("acted", "earlier", "epoch", "over", "printed", "since", "values", "ways")
    since: float

    def __init__(self, epoch: Epoch, earlier: Earlier = ()) -> None:
        self.epoch = epoch
        self.earlier = earlier
        self.over: BaseException | None = None
        self.acted = False  # whether it has changed the net
        self.values: dict[Packet, Any] = {}
        self.printed: StringIO | None = None
        self.ways: dict[Packet, tuple[str, Any]] | None = None

    def must_last(self) -> None:
        """Raise why this may act no longer, if so."""
        if self.over is not None:
            raise type(self.over)(*self.over.args)

    def where(self) -> tuple[str, str | None]:
        """Where its function runs: the kind of carrier, and the worker's name where there are workers."""
        return "inline", None

    def log(self) -> Any:
        """Where its prints go: a `NodeLog`, or None where they are not captured."""
        return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __str__(self) -> str:
        return f"node {self.epoch.node_name!r}, epoch {self.epoch.id}, attempt {len(self.earlier) + 1}"


# %% [markdown]
# ## Who hears of it
#
# Every change that the simulator agreed to can be told to one listener, the [history](07_history.ipynb), under the lock and
# so in order. What is told is raw: a tuple of the time of day, a word, and the things it is about. It is put into words only
# when somebody looks. Where nobody listens, an act asks once whether somebody does, and that is all it costs.
#
# | word | about | what the simulator did |
# |---|---|---|
# | `start` | epoch, the wires of its packets (None: injected), last first | create the epoch, bring the packets in, start it |
# | `start_one` | epoch, wire | the same for one packet that comes over an edge |
# | `create`, `load`, `consume` | epoch, number of the packet, and the output port or None | that |
# | `send` | epoch, condition, pairs of port and number | that |
# | `send_value` | epoch, exit, number | create, load and send through the exit of one port |
# | `unsent` | epoch, number, the port that it was loaded into or None | create, perhaps load, and consume: the send was refused |
# | `take_out` | numbers | consume what is outside the net |
# | `finish` | epoch, which attempt (from 1 on), when it began, where it ran: carrier and worker | that |
# | `cancel`, `give_back` | epoch, pairs of number and output port or None | cancel it |

# %%
#|exporti
Record = tuple[Any, ...]  # the time of day in seconds, a word, and what it is about

# %% [markdown]
# ## The state, and finding things in it
#
# Ids are `p1-…` and `e1-…`: a count, in order of creation, and a few letters that no two nets share. A name or an id that
# there is not is answered with what there is.

# %%
#|exporti
_MUCH = 0x3FF
READY_LIMIT = 1024  # startable epochs beyond which doors fall behind


def _letters() -> str:
    """A few letters that no two nets share."""
    from base64 import b32encode
    from os import urandom

    return b32encode(urandom(5)).decode().lower()


class Books:
    """The state, and how to find things in it. Raises `GraphError` with every finding for a graph that cannot be run."""

    def __init__(self, graph: Graph, values: PacketValueStore) -> None:
        findings = graph_findings(graph)
        if findings:
            raise GraphError(findings)
        self.doors = doors_of(graph)
        self.values = values
        self._sim = NetSim(graph)
        self._do: Callable[[NetAction], tuple[Any, list[NetEvent]]] = self._sim.do_action
        self._lock = RLock()
        # Hot places take these, `_do` and the counts below into local variables and call them there: half the price of
        # `with`, and less than a call through `self`.
        self._acquire, self._release = self._lock.acquire, self._lock.release
        self._packets: dict[int, Packet] = {}  # by number
        self._epochs: dict[int, Epoch] = {}  # by number, so in order of creation
        self._ready: deque[Epoch] = deque()
        self._injected: set[Door] = set()  # doors with injected packets that were not routed yet
        self._shelved: set[Door] = set()  # doors with something on the shelf
        self._opened: set[Door] = set()  # those that somebody has opened since `next` looked
        self._heads: list[tuple[int, str]] = []  # a heap: the first epoch of each open shelf, by number, and its node
        self._behind: deque[Door] = deque()  # doors that wait to be routed further
        self._room: float = READY_LIMIT
        self.note: Callable[[Record], object] | None = None  # who hears of every change
        self.heard_much: Callable[[], object] | None = None  # called every thousand packets: who hears may make room
        self.waiter: Callable[[], None] | None = None  # called when an epoch becomes startable, by whoever makes it so
        self._foreign = set(values.ids())  # values from an earlier run, in files
        self._carried = values.carry(self._find_packet, self._packets.values())
        self._suffix = f"-{_letters()}"
        self._next_packet: Any = count(1).__next__
        self._next_epoch: Any = count(1).__next__
        for door in self.doors.values():
            door.registry, door.suffix = self._packets, self._suffix
            for name in ("", *(entry.name for entry in door.entries)):
                door.creations[name] = NetAction.create_epoch(door.node_name, SimSalvo(name, []))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.doors)} nodes, {len(self._packets)} packets, {len(self._epochs)} epochs>"

    @property
    def suffix(self) -> str:
        """What the ids of this net end in."""
        return self._suffix

    def next_numbers(self) -> tuple[int, int]:
        """What the next packet and the next epoch will be called. Takes no number away."""
        packet, epoch = (int(repr(func.__self__)[6:-1]) for func in (self._next_packet, self._next_epoch))
        return packet, epoch

    def take_up(self, suffix: str, next_packet: int, next_epoch: int) -> None:
        """Go on with the ids of another net. Raises `NetStateError` where something has been in this one."""
        if self.next_numbers() != (1, 1):
            told = "something has been in this net already; build a new one, and inject only where Net.has_checkpoint(path)"
            raise NetStateError("going on from a checkpoint", f"{told} is False")
        self._suffix = suffix
        self._next_packet, self._next_epoch = count(next_packet).__next__, count(next_epoch).__next__
        for door in self.doors.values():
            door.suffix = suffix

    def door(self, node_name: str) -> Door:
        """The door of a node. Raises `NodeNotFoundError`."""
        try:
            return self.doors[node_name]
        except KeyError:
            raise NodeNotFoundError(unknown_name("node", node_name, self.doors)) from None

    def get_packet(self, packet_id: str) -> Packet:
        """The packet with this id. Raises `PacketNotFoundError` for one that is not, or no longer, in the net."""
        packet = self._find_packet(packet_id)
        if packet is None:
            raise PacketNotFoundError(f"there is no packet {packet_id!r} in the net (any more).")
        return packet

    def has_packet(self, packet_id: str) -> bool:
        """Whether there is a packet with this id in the net."""
        return self._find_packet(packet_id) is not None

    def get_epoch(self, epoch_id: str) -> Epoch:
        """The epoch with this id. Raises `EpochNotFoundError` for one that is not, or no longer, in the net."""
        epoch = self._epochs.get(number_in(epoch_id, "e", self._suffix) or 0)
        if epoch is None:
            raise EpochNotFoundError(f"there is no epoch {epoch_id!r} in the net (any more).")
        return epoch

    def number_of(self, epoch_id: str) -> int:
        """The number in the id of an epoch, be it in the net or gone. Raises `EpochNotFoundError` for no id of this net."""
        number = number_in(epoch_id, "e", self._suffix)
        if number is None:
            raise EpochNotFoundError(f"{epoch_id!r} is no id of an epoch of this net.")
        return number

    def _find_packet(self, packet_id: str) -> Packet | None:
        return self._packets.get(number_in(packet_id, "p", self._suffix) or 0)

    def _packet(self) -> Packet:
        number = self._next_packet()
        if not number & _MUCH and self.heard_much is not None:
            self.heard_much()
        return Packet(number, self._suffix)


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
graph = Graph([node("A", ["in"]), node("B", ["in"])], [])
books = Books(graph, PacketValueStore())
assert books.next_numbers() == (1, 1)
assert [door.rank for door in books.doors.values()] == [0, 1]
for find in (lambda: books.door("C"), lambda: books.get_packet("p1"), lambda: books.get_epoch("e1")):
    try:
        find()
    except NetrunError as error:
        print(f"{type(error).__name__}: {error}")
    else:
        raise AssertionError("found what there is not")

# %% [markdown]
# ## What the packets carry
#
# A value is in its packet or in the store, a value function always in the store.


# %%
#|exporti
class Values(Books):
    """Where the values of the packets are."""

    def _store(self, packet: Packet, value: Any, func: Callable[[], Any] | None = None) -> None:
        """Let a packet carry a value or a value function. Raises what the store raises, and then it carries none."""
        if func is not None:
            self.values.store_value_func(packet.id, func)
        elif self._carried:
            packet._value = value
        else:
            self.values.store_value(packet.id, value)

    def _spend(self, packet: Packet, value: Any) -> None:
        """A packet was consumed, and this was its value. That is done, so a value that cannot be kept is only told of."""
        if packet._value is not NOTHING:
            packet._value = NOTHING
            return
        try:
            self.values.mark_consumed(packet.id, value)
        except Exception as error:
            from logging import getLogger

            getLogger("netrun").error(
                "the value of %s, which was consumed, is not kept: %r", packet, error, exc_info=error
            )
            with suppress(KeyError, OSError):
                self.values.remove(packet.id)

    def _drop(self, packet: Packet) -> None:
        """A packet is gone, and so is its value."""
        if packet._value is NOTHING:
            self.values.remove(packet.id)
        else:
            packet._value = NOTHING


# %% [markdown]
# ## Arrivals, and piles that wait in line
#
# What arrives at a door may make epochs: `_form` is what the door calls then. A node that sends a hundred thousand packets
# in one epoch would make as many startable epochs. Beyond `READY_LIMIT` of them doors fall behind: what arrives waits in
# their inboxes, and is routed, in order, when the queue has been worked off. So a pile costs little while it waits, and
# the nodes behind begin before it is worked off.
#
# ```
#   _arrive ──> door ──> _form ──> queue of startable epochs ──> next
#      │ queue full, or the door is behind                        │ queue half empty
#      └─────────────> inbox ──────────── _catch_up <─────────────┘
# ```


# %%
#|exporti
class Arrivals(Values):
    """What happens when packets arrive at a door."""

    def _form(self, door: Door, condition: str, parts: Parts, packets: list[Packet]) -> bool:
        """Make a startable epoch of packets that a door has let go of. True while there is room for more of them."""
        next_epoch = self._next_epoch
        number = next_epoch()
        epoch = Epoch(number, door, condition, parts, packets)
        for packet in packets:
            packet._place = epoch
        self._epochs[number] = epoch
        self._ready.append(epoch)
        if self.waiter is not None:
            self.waiter()
        return len(self._ready) < self._room

    def _arrive(self, door: Door, packets: list[Packet]) -> None:
        """Packets that were sent together are on their wires: let the door have them, or its inbox."""
        if door.is_behind or len(self._ready) >= self._room:
            self._hold_back(door, packets)
        elif not door.arrive(packets, self._form):
            self._fall_behind(door)

    def _hold_back(self, door: Door, packets: Packet | list[Packet]) -> None:
        door.inbox.append(packets)
        self._fall_behind(door)

    def _fall_behind(self, door: Door) -> None:
        if not door.is_behind:
            door.is_behind = True
            self._behind.append(door)

    def _catch_up(self, room: float) -> None:
        """Let the doors that are behind route, until that many epochs are startable."""
        self._room = room
        while self._behind and len(self._ready) < room:
            if self._behind[0].catch_up(self._form):
                self._behind.popleft().is_behind = False
        self._room = READY_LIMIT


# %% [markdown]
# ## In
#
# Injected values land at their port at once, as far as it has room; the rest waits in line. Conditions are tried at the
# next `route`, which every run begins with, so values that are injected together can be taken together.


# %%
#|exporti
class Lazy(NamedTuple):
    """Stands for the value that its function will give."""

    func: Callable[[], Any]


class Injection(Arrivals):
    """What users put in."""

    def create_epoch(self, node_name: str) -> Epoch:
        """Make a startable epoch with an empty salvo."""
        door = self.door(node_name)
        with self._lock:
            self._form(door, "", (), [])
            return self._ready[-1]

    def inject(self, node_name: str, port: str, values: Iterable[Any]) -> list[str]:
        """Put values at an input port, in order; those beyond its slots wait. Returns the ids of their packets. When
        one value cannot be stored, none is injected. A `Lazy` stands for its function's value."""
        return self.inject_salvo(node_name, {port: values})

    def inject_salvo(self, node_name: str, salvo: Mapping[str, Iterable[Any]]) -> list[str]:
        """`inject` at several ports of a node, all or nothing."""
        door = self.door(node_name)
        for port in salvo:
            if port not in door.gates:
                raise InputPortNotFoundError(f"node {node_name!r}: {unknown_name('input port', port, door.gates)}")
        made: list[tuple[Gate, Packet]] = []
        try:
            for port, values in salvo.items():
                gate = door.gates[port]
                for value in values:
                    packet = self._packet()
                    if isinstance(value, Lazy):
                        self._store(packet, None, value.func)
                    else:
                        self._store(packet, value)
                    made.append((gate, packet))
        except BaseException:
            for _, packet in made:
                self._drop(packet)
            raise
        with self._lock:
            for gate, packet in made:
                self._packets[packet._number] = packet
                packet._place = gate.injections
            if door.is_behind:
                door.inbox.append([packet for _, packet in made])
            else:
                for gate, packet in made:
                    gate.inject(packet)
                self._injected.add(door)
        return [packet.id for _, packet in made]


# %% [markdown]
# ## The queue of startable epochs
#
# Oldest first. Whoever asks what is startable sees all of it, also what was still in an inbox.


# %%
#|exporti
class Counts(NamedTuple):
    """What a node has before it and behind it: epochs, and packets."""

    startable: int
    live: int
    waiting_packets: int
    finished: int
    cancelled: int


Place = tuple[str, str]  # a node, and a port of it


class Crowds(NamedTuple):
    """How many packets wait where: at input ports; before them, from outside; on edges; and at output ports without an edge,
    until somebody takes them."""

    inside: Counter[Place]
    outside: Counter[Place]
    edges: Counter[tuple[Place, Place]]
    outlets: Counter[Place]

    def add(self, wire: Wire, packets: int) -> None:
        """So many wait on a wire."""
        if wire.edge is None:
            self.outside[wire.gate.door.node_name, wire.gate.port] += packets
        else:
            ends = wire.edge.source, wire.edge.target
            (source, target) = ((end.node_name, end.port_name) for end in ends)
            self.edges[source, target] += packets


class Queue(Injection):
    """The startable epochs, in order."""

    def route(self, room: float = inf) -> None:
        """Try the conditions of the doors that values were injected at, and of those that are behind."""
        with self._lock:
            for door in sorted(self._injected, key=_rank):
                self._fall_behind(door)
            self._injected.clear()
            self._catch_up(room)
            self._open_shelves()

    def queued(self) -> int:
        """How many startable epochs are in the queue, when all is routed."""
        self.route()
        return len(self._ready)

    def next(self) -> Epoch | None:
        """Take the oldest startable epoch out of the queue."""
        if self._injected or (self._behind and 2 * len(self._ready) < READY_LIMIT):
            self.route(READY_LIMIT)
        elif self._opened:  # what was set aside comes back, but nothing more is routed for that
            with self._lock:
                self._open_shelves()
        if self._shelved:
            return self._next_with_shelves()
        return self._ready.popleft() if self._ready else None

    def put_back(self, epoch: Epoch) -> None:
        """`next` gives this one again."""
        with self._lock:
            self._ready.appendleft(epoch)

    def newest(self) -> int:
        """The number of the epoch that became startable last, when all is routed."""
        self.route()
        return next(reversed(self._epochs), 0)

    def has_work(self, is_able: Callable[[Epoch], bool]) -> bool:
        """Whether an epoch that is able to start could be startable, or become so by routing."""
        with self._lock:
            queued = [*self._ready, *(door.shelf[0] for door in self._shelved if door.shelf)]
            return bool(self._injected or self._behind) or any(map(is_able, queued))

    def counts(self) -> dict[str, Counts]:
        """What there is at each node now, by name."""
        with self._lock:
            ready = Counter(epoch._door for epoch in list(self._ready))  # `next` takes from it without the lock
            return {
                name: Counts(
                    ready[door] + len(door.shelf),
                    door.live,
                    door.present + sum(len(some) if isinstance(some, list) else 1 for some in door.inbox),
                    door.ended - door.cancelled,
                    door.cancelled,
                )
                for name, door in self.doors.items()
            }

    def census(self) -> tuple[dict[str, Counts], Crowds]:
        """`counts` and `crowds` of one moment."""
        with self._lock:
            return self.counts(), self.crowds()

    def crowds(self) -> Crowds:
        """How many packets wait where, now."""
        crowds = Crowds(Counter(), Counter(), Counter(), Counter())
        with self._lock:
            for name, door in self.doors.items():
                for port, gate in door.gates.items():
                    crowds.inside[name, port] = len(gate.packets)
                    for wire in gate.wires:
                        crowds.add(wire, len(wire.line))
                for port, out in door.outs.items():
                    if isinstance(out, Outlet):
                        crowds.outlets[name, port] = len(out.packets)
                for arrived in door.inbox:
                    packets = arrived if isinstance(arrived, list) else [arrived]
                    for packet in packets:
                        crowds.add(packet._place, 1)
        return crowds

    def startable(self, node_name: str | None = None) -> list[str]:
        """The ids of the epochs that could start, oldest first; of one node, if it is named."""
        door = None if node_name is None else self.door(node_name)
        with self._lock:
            self._catch_up(inf)
            epochs = [epoch for epoch in self._epochs.values() if epoch.state == EpochState.Startable]
        return [epoch.id for epoch in epochs if door is None or epoch._door is door]

    def shelve(self, epoch: Epoch) -> None:
        """Put an epoch that `next` gave aside, with all later ones of its node, until `unshelve`."""
        with self._lock:
            door = epoch._door
            door.is_open = False
            self._shelved.add(door)
            if not door.shelf or door.shelf[-1]._number < epoch._number:
                door.shelf.append(epoch)
            elif epoch._number < door.shelf[0]._number:
                door.shelf.appendleft(epoch)
            else:
                insort(door.shelf, epoch, key=_number)

    def unshelve(self, node_name: str) -> None:
        """Let `next` try again what was set aside of a node. From any thread."""
        with self._lock:
            self._opened.add(self.door(node_name))

    def _open_shelves(self) -> None:
        for door in self._opened:
            door.is_open = True
            if door.shelf:
                heappush(self._heads, (door.shelf[0]._number, door.node_name))
        self._opened.clear()

    def _next_with_shelves(self) -> Epoch | None:
        """The oldest of what is in the queue and on the open shelves."""
        with self._lock:
            ready = self._ready
            while (door := self._first_shelf()) is not None or ready:
                if door is not None and not (ready and ready[0]._number < door.shelf[0]._number):
                    return self._take_from_shelf(door)
                epoch = ready.popleft()
                if epoch._door.is_open or epoch._door not in self._shelved:
                    return epoch
                self.shelve(epoch)
            return None

    def _first_shelf(self) -> Door | None:
        """The open door with the oldest epoch on its shelf. Heads of shelves that have changed since are dropped."""
        heads = self._heads
        while heads:
            number, node_name = heads[0]
            door = self.doors[node_name]
            if door.is_open and door.shelf and door.shelf[0]._number == number:
                return door
            heappop(heads)
        return None

    def _take_from_shelf(self, door: Door) -> Epoch:
        heappop(self._heads)
        epoch: Epoch = door.shelf.popleft()
        if door.shelf:
            heappush(self._heads, (door.shelf[0]._number, door.node_name))
        else:
            self._shelved.discard(door)
        return epoch


def _number(epoch: Epoch) -> int:
    return epoch._number


def _rank(door: Door) -> int:
    return door.rank


# %%
books = Queue(graph, PacketValueStore())
ids = books.inject("A", "in", ["a1", "a2"]) + books.inject("B", "in", ["b1"])
assert books.get_packet(ids[0]).location.kind == "InputPort" and books.startable() == []
assert books.queued() == 3 and len(books.startable("A")) == 2
assert books.get_packet(ids[0]).location.kind == "Node"
epoch = books.next()
assert epoch.node_name == "A" and [packet.id for _, packet in epoch.in_salvo.packets] == ids[:1]

# %% [markdown]
# An epoch that is not to start yet is shelved, with those of its node that come after it. When the shelf is opened, the
# oldest comes first again:
#
# ```
#   queue  A1 A2 B1        next: A1, and it is shelved        next: B1        unshelve A; next: A1, A2
#   shelf of A  -                A1                           A1 A2
# ```

# %%
books.shelve(epoch)
assert books.next().node_name == "B" and books.next() is None
books.unshelve("A")
assert books.next() is epoch and books.next().node_name == "A" and books.next() is None

# %% [markdown]
# A pile of 100,000 waits at the door; the queue stays short until somebody asks for all of it:

# %%
books = Queue(graph, PacketValueStore())
books.inject("A", "in", range(100_000))
first = books.next()
print(f"{len(books._ready):,} epochs in the queue, {len(books.doors['A'].gates['in'].packets):,} packets at the port")
assert len(books._ready) == READY_LIMIT - 1
assert len(books.startable()) == 100_000 - 1 + 1  # the one taken out of the queue has not started

# %% [markdown]
# When one value cannot be taken, none is:

# %%
books = Queue(graph, PacketValueStore())
try:
    books.inject("A", "in", (1 / n for n in (2, 1, 0)))
except ZeroDivisionError:
    assert len(books.values) == 0 and books.queued() == 0
