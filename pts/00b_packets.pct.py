# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Packets and epochs
#
# What a user holds in hand while a net runs: a `Packet`, the `Epoch` that it is in, the `Salvo` that it came with, and
# its `PacketLocation`. They are live views: a packet tells where it is *now*. Values are not in them; the
# [value store](00c_values.ipynb) has those.

# %%
#|default_exp packets

# %%
#|export
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from netrun_sim import Edge, EpochState, PacketNotFoundError

from netrun.core import DeferredPacketIdAccessError, brief

# %% [markdown]
# ## Where a packet is
#
# ```
#   Waiting ──> InputPort ──> Node ──> OutputPort ──> Edge ──> InputPort …
#  (injected,     (of a     (inside an  (loaded, not    │
#   port full)     node)      epoch)     yet sent)      └─ unconnected: OutsideNet, until it is taken out
# ```


# %%
#|export
@dataclass(frozen=True, slots=True)
class PacketLocation:
    """Where a packet is. `kind` says which of the other fields are filled.

    `Waiting` and `InputPort`: `node_name`, `port_name`; `Node`: `node_name`, `epoch_id`; `OutputPort`: `node_name`,
    `epoch_id`, `port_name`; `Edge`: `edge`; `OutsideNet`: `node_name` and `port_name` that it was sent from.
    """

    kind: str
    node_name: str | None = None
    port_name: str | None = None
    epoch_id: str | None = None
    edge: Edge | None = None

    __repr__ = brief


# %% [markdown]
# A `Place` is anything that packets can be in: an epoch, an input port, an edge.


# %%
#|exporti
class Place(Protocol):
    """Anything that packets can be in."""

    def location(self) -> PacketLocation:
        """This place as users see it."""
        ...


# %% [markdown]
# ## Packet
#
# Its `id` is netrun's own: a letter, a number in order of creation, and a few letters that no two nets share, so unique
# over nets and runs, and the same after a restore. It is put together when somebody asks for it. The other slots belong to the
# [Ledger](00g_ledger.ipynb): `_place`; the simulator's id while the packet is in a running epoch (`_sim_id`); and the edge
# that the simulator has a packet on for it (`_wire`), from its sending until the next epoch starts. `_value` is what the
# packet carries, unless the [value store](00c_values.ipynb) keeps it elsewhere.


# %%
#|exporti
NOTHING: Any = object()  # in place of a value, where there is none


def number_in(id: object, letter: str, suffix: str) -> int | None:
    """The number in an id, or None where this is no such id."""
    text = str(id)
    digits = text.removeprefix(letter).removesuffix(suffix)
    return int(digits) if digits.isdecimal() and text == f"{letter}{digits}{suffix}" else None


# %%
#|export
class Packet:
    """A packet in the net: `id` and `location`. Get its value with `ctx.consume_packet(packet)`."""

    __slots__ = ("_number", "_place", "_sim_id", "_suffix", "_value", "_wire")

    def __init__(self, number: int, suffix: str) -> None:
        self._number: Any = number  # None while a deferred packet has none
        self._suffix = suffix
        self._place: Any = None  # the `Place` that it is in, None once it has left the net
        self._sim_id: Any = None
        self._wire: Any = None
        self._value: Any = NOTHING

    @property
    def id(self) -> str:
        """The packet's id, unique over nets and runs."""
        return f"p{self._number}{self._suffix}"

    @property
    def location(self) -> PacketLocation:
        """Where the packet is now. Raises `PacketNotFoundError` once it has left the net."""
        if self._place is None:
            raise PacketNotFoundError(f"packet {self.id} is not in the net: it was consumed, taken out or destroyed.")
        location: PacketLocation = self._place.location()
        return location

    def __repr__(self) -> str:
        return f"Packet({self.id!r})"


# %%
packet = Packet(1, "-demo")
assert packet.id == "p1-demo" and number_in("p1-demo", "p", "-demo") == 1 and number_in("e1-demo", "p", "-demo") is None
try:
    packet.location
except PacketNotFoundError as error:
    print(error)

# %% [markdown]
# ## Epoch
#
# One execution of a node. It is made the moment an input condition is met, and its packets are in it from then on. The
# simulator hears of it when it starts, so an epoch that waits costs nothing there.
#
# ```
#            start                finish
#  Startable ─────> Running ───────────────> Finished
#      │               └──── cancel ───────>    (cancelled: also Finished, and gone from the net)
#      └── cancel ───────────────────────────>
# ```


# %%
#|export
@dataclass(frozen=True, slots=True)
class Salvo:
    """Packets that entered or left a node together: the name of the condition, and pairs of port and packet."""

    salvo_condition: str
    packets: list[tuple[str, Packet]]


_STARTABLE = EpochState.Startable


class Epoch:
    """One execution of a node: `id`, `node_name`, `state`, `in_salvo`, `out_salvos`."""

    __slots__ = ("_burst", "_condition", "_door", "_entered", "_loaded", "_made", "_number", "_parts", "_sent", "_sim_id",
                 "_wires", "state")  # fmt: skip

    def __init__(
        self, number: int, door: Any, condition: str, parts: tuple[tuple[Any, int], ...], entered: list[Packet]
    ) -> None:
        self._number = number
        self.state = _STARTABLE
        self._door = door  # of its node: see the chapter on routing
        self._condition = condition
        self._parts = parts  # the salvo that started it: the ports in order, how many packets from each,
        self._entered = entered  # and the packets, one after the other
        self._sim_id: Any = None  # known from its start on
        self._made: dict[Packet, None] | None = None  # packets that it created and still holds
        self._loaded: dict[str, Loaded] | None = None  # its output ports that were used
        self._burst: Any = None  # what `send_value` repeats, while the last salvo was one packet that it sent
        self._sent: Any = None  # a list of notes on the salvos that it has sent, see `out_salvos`
        self._wires: Any = ()  # if somebody wants to know: the wire of each packet that entered, the last first

    @property
    def id(self) -> str:
        """The epoch's id, unique over nets and runs."""
        return f"e{self._number}{self._door.suffix}"

    @property
    def node_name(self) -> str:
        """The node that this is an execution of."""
        name: str = self._door.node_name
        return name

    @property
    def in_salvo(self) -> Salvo:
        """The packets that started it, in the order of the ports' names."""
        return Salvo(self._condition, [(port, packet) for port, taken in self.by_port().items() for packet in taken])

    @property
    def out_salvos(self) -> list[Salvo]:
        """What it has sent so far, in order. Packets that have left the net since have no location any more."""
        there, suffix, salvos = self._door.registry, self._door.suffix, list[Salvo]()
        # The notes of a salvo are its condition, port and number of each packet, and None. A number in place of a
        # condition is a salvo like the one before, of one packet.
        notes: Any = iter(self._sent or ())
        for note in notes:
            if isinstance(note, int):
                condition, ports = salvos[-1].salvo_condition, [(salvos[-1].packets[0][0], note)]
            else:
                condition, ports = note, [(port, next(notes)) for port in iter(notes.__next__, None)]
            salvos.append(Salvo(condition, [(port, there.get(n) or Packet(n, suffix)) for port, n in ports]))
        return salvos

    def by_port(self) -> dict[str, list[Packet]]:
        """The packets that started it, port by port, in new lists."""
        if len(self._parts) == 1:
            return {self._parts[0][0].port: self._entered[:]}
        packets: dict[str, list[Packet]] = {}
        first = 0
        for gate, number in self._parts:
            packets[gate.port] = self._entered[first : first + number]
            first += number
        return packets

    def location(self) -> PacketLocation:
        """The place inside this epoch."""
        return PacketLocation("Node", node_name=self.node_name, epoch_id=self.id)

    def __repr__(self) -> str:
        return f"<Epoch {self.id} of {self.node_name!r}, {str(self.state).removeprefix('EpochState.').lower()}>"


# %%
#|exporti
class Loaded:
    """An output port of one epoch, with the packets that were loaded into it and not yet sent."""

    __slots__ = ("epoch", "packets", "port")

    def __init__(self, epoch: Epoch, port: str) -> None:
        self.epoch, self.port, self.packets = epoch, port, list[Packet]()

    def location(self) -> PacketLocation:
        """This output port."""
        return PacketLocation("OutputPort", self.epoch.node_name, self.port, self.epoch.id)


# %%
from types import SimpleNamespace

door, gate = SimpleNamespace(node_name="Parse", suffix="-demo", registry={}), SimpleNamespace(port="in")
epoch = Epoch(1, door, "lines", ((gate, 1),), [packet])
packet._place = epoch
assert packet.location == PacketLocation("Node", node_name="Parse", epoch_id="e1-demo")
assert epoch.in_salvo.packets == [("in", packet)] and epoch.out_salvos == []
print(epoch, packet.location)

# %% [markdown]
# ## A packet without an id
#
# An attempt whose actions are deferred creates packets that the net knows nothing of. Such a packet can do everything
# that a packet can, but has no id yet. When the attempt succeeds, the Ledger gives it one and it *is* the packet in the
# net; when it fails, nothing is left to clear away.


# %%
#|export
class DeferredPacket(Packet):
    """A packet made in an attempt whose actions are deferred. `id` and `location` answer once these are committed."""

    __slots__ = ("_func",)

    def __init__(self, value: Any = None, func: Callable[[], Any] | None = None) -> None:
        self._value, self._func = value if func is None else NOTHING, func
        self._number = self._place = self._sim_id = self._wire = None

    @property
    def id(self) -> str:
        """The packet's id. Raises `DeferredPacketIdAccessError` before the commit."""
        if self._number is None:
            raise DeferredPacketIdAccessError()
        return super().id

    @property
    def location(self) -> PacketLocation:
        """Where the packet is. Raises `DeferredPacketIdAccessError` before the commit."""
        if self._number is None:
            raise DeferredPacketIdAccessError()
        return super().location

    def __repr__(self) -> str:
        return "DeferredPacket()" if self._number is None else f"DeferredPacket({self.id!r})"


# %%
from netrun.packets import DeferredPacketIdAccessError

deferred = DeferredPacket(value=42)
assert isinstance(deferred, Packet)
for attribute in ("id", "location"):
    try:
        getattr(deferred, attribute)
    except DeferredPacketIdAccessError as error:
        print(error)
    else:
        raise AssertionError(f"{attribute} should not be known yet")
deferred._number, deferred._suffix = 2, "-demo"  # what the commit does
assert deferred.id == "p2-demo" and repr(deferred) == "DeferredPacket('p2-demo')"
