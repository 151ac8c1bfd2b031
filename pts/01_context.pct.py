# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Contexts
#
# A node function is handed two things: the packets that its epoch was started with, and a context to act with.
#
# ```python
# def double(ctx, packets):
#     for packet in packets["in"]:
#         ctx.send("out", 2 * ctx.consume_packet(packet))
# ```
#
# There are two *kinds* of acting and two *faces* to act through. A live context acts on the net at once. A recorded one
# writes down what it would do, and all of it is committed when the attempt has succeeded, or none of it. The face is sync
# or async, after the function. Each of the four is one line a method over the same acts.
#
# ```
#                          live                            recorded (defer_net_actions, retries, processes)
#   NodeExecutionContext ──> Ledger.create, .load, .send     Recording.create, .load, .send
#   AsyncNodeExecution… ──>    at once, under its lock          │ commands
#                                                               └──> Ledger.commit, when the function has returned
# ```

# %%
#|default_exp context

# %%
#|export
from collections.abc import Callable
from datetime import datetime
from threading import RLock
from typing import Any, NoReturn

from netrun_sim import CannotFinishNonEmptyEpochError, PacketNotInAnyNodeError, UnsentOutputSalvoError

from netrun.core import EpochCancelled
from netrun.acts import (
    _ASK,
    OVER,
    find_exit,
    find_sender,
    must_be_packet,
    must_fit_in,
    must_fit_out,
    must_have_port,
    what_is_left,
)
from netrun.books import Holder
from netrun.ledger import Command, Consume, Create, Ledger, Load, Send
from netrun.packets import NOTHING, DeferredPacket, Packet
from netrun.values import PacketValueStore

# %% [markdown]
# ## The recording
#
# It has the acts of the Ledger, but only writes them down. What can be known at once is refused at once: names, and
# packets that are not in the epoch (any more). Whether a port is full or a term is met is left to the simulator, at the
# commit. Values are looked at and stay where they are, so there is nothing to put back after a failure: the next attempt
# finds the net as this one did, and a value function is called again.
#
# A function may leave a thread behind that still acts when it has returned. So a recording is sealed before it is played:
# what was written down by then is committed, and a call that comes later raises, as on any context whose attempt is over.
# An act is written down as a whole or not at all. Value functions are not called under its lock.


# %%
#|exporti
class Recording:
    """The acts of an attempt, written down. `commands` is what `Ledger.commit` plays."""

    __slots__ = ("_is_sealed", "_loaded", "_lock", "_places", "_values", "commands", "entered")

    def __init__(self, holder: Holder, values: PacketValueStore) -> None:
        self.commands: list[Command] = []
        self.entered = holder.epoch._entered
        self._values = values
        self._places: dict[Packet, str | None] = dict.fromkeys(self.entered)  # None: inside, else the output port
        self._loaded: dict[str, list[Packet]] = {}
        self._lock = RLock()  # of all that is written down
        self._is_sealed = False

    def __repr__(self) -> str:
        return f"<Recording of {len(self.commands)} commands>"

    def seal(self) -> None:
        """Nothing more is written down. Every act that comes later raises that its attempt is over."""
        with self._lock:
            self._is_sealed = True

    def _must_last(self, holder: Holder) -> None:
        """Raise why nothing more can be written down, if so."""
        holder.must_last()
        if self._is_sealed:
            raise type(OVER)(*OVER.args)

    def create(self, holder: Holder, value: Any = None, func: Callable[[], Any] | None = None) -> DeferredPacket:
        """Write down the creation of a packet."""
        packet = DeferredPacket(value, func)
        with self._lock:
            self._must_last(holder)
            self._places[packet] = None
            self.commands.append(Create(packet))
        return packet

    def ask(self, holder: Holder, packet: Packet) -> Any:
        """The value of a packet of the epoch, be it one that this attempt created."""
        self.must_hold(holder, packet)
        carried = packet._value
        return carried if carried is not NOTHING else self._store_of(packet).get_value(_key(packet))

    async def async_ask(self, holder: Holder, packet: Packet) -> Any:
        """`ask` for callers on a loop."""
        self.must_hold(holder, packet)
        carried = packet._value
        return carried if carried is not NOTHING else await self._store_of(packet).async_get_value(_key(packet))

    def consume(self, holder: Holder, packet: Packet, value: Any = _ASK) -> Any:
        """Write down that a packet is consumed. Returns its value: the one given, or else the one that `ask` gives."""
        carried = getattr(packet, "_value", NOTHING)
        if value is _ASK:
            value = self.ask(holder, packet) if carried is NOTHING else carried
        self.must_hold(holder, packet)
        if holder.epoch._door.is_typed:
            must_fit_in(holder, packet, value, self.has_func(packet))
        if carried is NOTHING and not _is_own(packet):
            self._values.must_be_keepable(packet.id, value)
        with self._lock:
            self.must_hold(holder, packet)
            port = self._places.pop(packet)
            if port is not None:
                self._loaded[port].remove(packet)
            self.commands.append(Consume(packet, value))
            if not _is_own(packet):
                holder.values[packet] = value
        return value

    def load(self, holder: Holder, port: str, packet: Packet) -> None:
        """Write down that a packet is loaded into an output port."""
        with self._lock:
            self.must_hold(holder, packet)
            must_have_port(holder, port)
            if self._places[packet] is not None:
                raise PacketNotInAnyNodeError(
                    f"{holder}: {packet!r} is in output port {self._places[packet]!r} already."
                )
            if holder.epoch._door.out_types and not self.has_func(packet):
                must_fit_out(holder, port, packet, self._value_of(packet))
            self._places[packet] = port
            self._loaded.setdefault(port, []).append(packet)
            self.commands.append(Load(packet, port))

    def send(self, holder: Holder, condition: str) -> None:
        """Write down that an output salvo is sent."""
        with self._lock:
            self._must_last(holder)
            exit = find_exit(holder, condition)
            for port, limit in exit.takes:
                loaded = self._loaded.get(port, [])
                for packet in loaded[:limit]:
                    del self._places[packet]
                del loaded[:limit]
            self.commands.append(Send(exit))

    def send_value(self, holder: Holder, port: str, value: Any) -> Packet:
        """Write down create, load and send with the one condition that sends this port alone."""
        exit = find_sender(holder, port)
        if holder.epoch._door.out_types:  # before there is a packet that could not be sent
            must_fit_out(holder, port, DeferredPacket(value), value)
        with self._lock:
            packet = self.create(holder, value)
            self.load(holder, port, packet)
            self.send(holder, exit.name)
        return packet

    def commit(self, holder: Holder, ledger: Ledger) -> None:
        """Seal it, and let the Ledger play what is written down. Raises what was refused, or which packets would be left."""
        self.seal()
        self._must_be_empty(holder)
        ledger.commit(holder, self.commands)

    def _must_be_empty(self, holder: Holder) -> None:
        """Raise when packets are left in the epoch or in its output ports, and name them."""
        left: dict[str | None, list[str]] = {}
        for packet, port in self._places.items():
            left.setdefault(port, []).append(repr(packet) if _is_own(packet) else packet.id)
        if left:
            error = CannotFinishNonEmptyEpochError if None in left else UnsentOutputSalvoError
            inside = left.pop(None, [])
            raise error(f"{holder}: {what_is_left(inside, {str(port): ids for port, ids in left.items()})}")

    def _value_of(self, packet: Packet) -> Any:
        """The value of a packet that has no value function."""
        return packet._value if packet._value is not NOTHING else self._values.get_value(packet.id)

    def has_func(self, packet: Packet) -> bool:
        """Whether a packet, be it of the epoch or of this attempt's own, has a value function."""
        if packet._value is not NOTHING:
            return False
        if isinstance(packet, DeferredPacket) and _is_own(packet):
            return packet._func is not None
        return self._values.peek(packet.id)[1] is not None

    def must_hold(self, holder: Holder, packet: Packet) -> None:
        """Raise unless the packet is in the epoch at this point of the recording."""
        self._must_last(holder)
        must_be_packet(holder, packet)
        if packet not in self._places:
            raise PacketNotInAnyNodeError(
                f"{holder}: {packet!r} is not in this epoch: it never was, or was consumed or sent."
            )

    def _store_of(self, packet: Packet) -> PacketValueStore:
        """Where a packet's value is: packets created in this attempt carry their own."""
        if not isinstance(packet, DeferredPacket) or not _is_own(packet):
            return self._values
        store = PacketValueStore()
        if packet._func is None:
            store.store_value(_key(packet), packet._value)
        else:
            store.store_value_func(_key(packet), packet._func)
        return store


# %%
#|exporti
def _key(packet: Packet) -> str:
    """What a packet's value is stored under."""
    return "(deferred)" if _is_own(packet) else packet.id


def _is_own(packet: Packet) -> bool:
    """Whether the packet was created in a recording that is not committed. Once it is, it is a packet like any other."""
    return isinstance(packet, DeferredPacket) and packet._place is None


# %% [markdown]
# ## What every context knows
#
# Which epoch this is, which attempt at it, and how the earlier ones ended. `idempotency_key` names the epoch, not the
# attempt: something outside that must happen once can be keyed by it.


# %%
#|exporti
class _AttemptFacts:
    """What can be asked of an attempt."""

    __slots__ = ("_holder",)

    def __init__(self, holder: Holder) -> None:
        self._holder = holder

    @property
    def epoch_id(self) -> str:
        """The id of the epoch."""
        return self._holder.epoch.id

    @property
    def node_name(self) -> str:
        """The name of the node."""
        return self._holder.epoch.node_name

    @property
    def retry_count(self) -> int:
        """How many attempts at this epoch have failed before this one: 0 in the first."""
        return len(self._holder.earlier)

    @property
    def retry_timestamps(self) -> list[datetime]:
        """When each earlier attempt failed (UTC)."""
        return [at for at, _ in self._holder.earlier]

    @property
    def retry_exceptions(self) -> list[BaseException]:
        """What each earlier attempt failed with."""
        return [error for _, error in self._holder.earlier]

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt at this epoch, and for no other epoch of any net."""
        return self._holder.epoch.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._holder}>"


def _function(holder: Holder, func: Callable[[], Any]) -> Callable[[], Any]:
    """A value function, or `TypeError`."""
    if not callable(func):
        raise TypeError(f"{holder}: a value function must be callable, not {func!r}; create_packet takes values.")
    return func


# %% [markdown]
# ## The context of a sync function


# %%
#|export
class NodeExecutionContext(_AttemptFacts):
    """What a node function acts with. It is dead when its attempt is over: every call raises then and changes nothing."""

    __slots__ = ("_net",)

    def __init__(self, holder: Holder, net: Ledger | Recording) -> None:
        self._holder = holder
        self._net = net

    def create_packet(self, value: Any) -> Packet:
        """Create a packet in this epoch. With deferred actions it is a `DeferredPacket`, whose id comes at the commit."""
        return self._net.create(self._holder, value)

    def create_packet_from_value_func(self, func: Callable[[], Any]) -> Packet:
        """Create a packet whose value is `func()`, called each time the value is asked for, so it must be pure. For
        values that are large, or that perhaps nobody needs. `func` may be async."""
        return self._net.create(self._holder, None, _function(self._holder, func))

    def consume_packet(self, packet: Packet) -> Any:
        """The packet's value; the packet leaves the net. Raises `PacketNotInAnyNodeError` for a packet that is not in
        this epoch, `ValueFunctionFailed` when its value function raises (the packet stays then)."""
        return self._net.consume(self._holder, packet)

    def load_output_port(self, port_name: str, packet: Packet) -> None:
        """Put a packet of this epoch into an output port. Raises `OutputPortNotFoundError`, `OutputPortFullError`."""
        self._net.load(self._holder, port_name, packet)

    def send_output_salvo(self, salvo_condition_name: str) -> None:
        """Send the loaded packets that an output condition takes. Raises `SalvoConditionNotFoundError`,
        `SalvoConditionNotMetError`, `MaxSalvosExceededError`."""
        self._net.send(self._holder, salvo_condition_name)

    def send(self, port_name: str, value: Any) -> Packet:
        """Create a packet with `value`, load it into `port_name` and send it: the usual way to send one value. Needs
        exactly one output condition that sends this port alone, else `SalvoConditionNotFoundError` says which there
        are."""
        return self._net.send_value(self._holder, port_name, value)

    def cancel_epoch(self) -> NoReturn:
        """End this epoch here, by raising `EpochCancelled`: what it holds is destroyed. That is no failure."""
        self._holder.must_last()
        raise EpochCancelled(self.node_name, self.epoch_id)


# %% [markdown]
# ## The context of an async function
#
# The packet operations are awaitable, so that code reads alike whether or not one of them waits; `cancel_epoch` is a
# plain call everywhere. Only a value function can make one wait.


# %%
#|export
class AsyncNodeExecutionContext(_AttemptFacts):
    """`NodeExecutionContext` for async node functions: the same methods, awaitable."""

    __slots__ = ("_net",)

    def __init__(self, holder: Holder, net: Ledger | Recording) -> None:
        self._holder = holder
        self._net = net

    async def create_packet(self, value: Any) -> Packet:
        """As `NodeExecutionContext.create_packet`."""
        return self._net.create(self._holder, value)

    async def create_packet_from_value_func(self, func: Callable[[], Any]) -> Packet:
        """As `NodeExecutionContext.create_packet_from_value_func`."""
        return self._net.create(self._holder, None, _function(self._holder, func))

    async def consume_packet(self, packet: Packet) -> Any:
        """As `NodeExecutionContext.consume_packet`; an async value function is awaited."""
        return self._net.consume(self._holder, packet, await self._net.async_ask(self._holder, packet))

    async def load_output_port(self, port_name: str, packet: Packet) -> None:
        """As `NodeExecutionContext.load_output_port`."""
        self._net.load(self._holder, port_name, packet)

    async def send_output_salvo(self, salvo_condition_name: str) -> None:
        """As `NodeExecutionContext.send_output_salvo`."""
        self._net.send(self._holder, salvo_condition_name)

    async def send(self, port_name: str, value: Any) -> Packet:
        """As `NodeExecutionContext.send`."""
        return self._net.send_value(self._holder, port_name, value)

    def cancel_epoch(self) -> NoReturn:
        """As `NodeExecutionContext.cancel_epoch`."""
        self._holder.must_last()
        raise EpochCancelled(self.node_name, self.epoch_id)


# %% [markdown]
# ## The context of a failure
#
# `exec_failed_node_func` gets this after each failed attempt: what was tried on what, and how it ended. It has no
# operations, since its attempt is over.


# %%
#|export
class NodeFailureContext(_AttemptFacts):
    """What a failure function is told.

    exception: what the attempt failed with.
    input_salvo: the packets that the epoch was started with, `{port: [packets]}`.
    packet_values: the values of the packets that the attempt had consumed, `{packet id: value}`.
    """

    __slots__ = ("exception", "input_salvo", "packet_values")

    def __init__(self, holder: Holder, exception: BaseException) -> None:
        super().__init__(holder)
        self.exception = exception
        self.input_salvo = holder.epoch.by_port()
        self.packet_values = {packet.id: value for packet, value in holder.values.items()}


# %% [markdown]
# ## Both kinds at work
#
# One node, one packet, and the same function over either kind.

# %%
from netrun import *
from netrun.books import Holder
from netrun.ledger import Ledger

nonempty = SalvoConditionTerm.port("in", PortState.non_empty())
sent = SalvoConditionTerm.port("out", PortState.non_empty())
graph = Graph(
    [
        Node(
            "Double",
            in_ports={"in": Port()},
            out_ports={"out": Port()},
            in_salvo_conditions={"in": SalvoCondition(MaxSalvos.finite(1), "in", nonempty)},
            out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", sent)},
        )
    ],
    [],
)


def started(*values):
    """A ledger with one running epoch of `Double` on these values."""
    ledger = Ledger(graph, PacketValueStore())
    ledger.inject("Double", "in", values)
    ledger.route()
    holder = Holder(ledger.next())
    ledger.start(holder)
    return ledger, holder


def double(ctx, packets):
    for packet in packets["in"]:
        ctx.send("out", 2 * ctx.consume_packet(packet))


# %% [markdown]
# Live: every call has acted when it returns.

# %%
ledger, holder = started(1, 2)
double(NodeExecutionContext(holder, ledger), holder.epoch.by_port())
assert len(ledger.doors["Double"].outs["out"].packets) == 2
ledger.finish(holder)
ledger.check()
assert ledger.take_outputs("Double", "out") == [2, 4]

# %% [markdown]
# Recorded: nothing has happened before the commit, then all of it at once.

# %%
ledger, holder = started(1, 2)
recording = Recording(holder, ledger.values)
double(NodeExecutionContext(holder, recording), holder.epoch.by_port())
assert len(ledger.doors["Double"].outs["out"].packets) == 0 and len(ledger.values) == 2
print(*recording.commands, sep="\n")
ledger.commit(holder, recording.commands)
ledger.check()
assert ledger.take_outputs("Double", "out") == [2, 4]

# %% [markdown]
# A recording that is refused half-way leaves nothing behind. Here the epoch keeps a packet, so that it cannot finish:

# %%
ledger, holder = started(1, 2)
recording = Recording(holder, ledger.values)
ctx = NodeExecutionContext(holder, recording)
ctx.send("out", 2 * ctx.consume_packet(holder.epoch._entered[0]))
try:
    ledger.commit(holder, recording.commands)
except NetrunError as error:
    print(error)
ledger.check()
assert len(ledger.values) == 2 and ledger.take_outputs("Double", "out") == []

# %% [markdown]
# A value function is called by each attempt anew, and a packet of the attempt's own can be consumed:

# %%
calls = []
ledger, holder = started(1)
for _ in range(2):
    recording = Recording(holder, ledger.values)
    ctx = NodeExecutionContext(holder, recording)
    lazy = ctx.create_packet_from_value_func(lambda: calls.append("called") or 7)
    assert isinstance(lazy, DeferredPacket) and ctx.consume_packet(lazy) == 7
assert calls == ["called", "called"]

# %% [markdown]
# The async face over the same kinds:

# %%
ledger, holder = started(20)
ctx = AsyncNodeExecutionContext(holder, ledger)
packet = holder.epoch._entered[0]
await ctx.send("out", 2 * await ctx.consume_packet(packet))
ledger.finish(holder)
assert ledger.take_outputs("Double", "out") == [40]

# %% [markdown]
# Refusals: another epoch's packet, a packet twice, names, and a dead context.

# %%
ledger, holder = started(1)
for ctx in [NodeExecutionContext(holder, kind) for kind in (ledger, Recording(holder, ledger.values))]:
    for refused in [
        lambda ctx=ctx: ctx.consume_packet(packet),
        lambda ctx=ctx: ctx.load_output_port("ouT", holder.epoch._entered[0]),
        lambda ctx=ctx: ctx.send("in", 1),
        lambda ctx=ctx: ctx.send_output_salvo("every"),
    ]:
        try:
            refused()
        except NetrunError as error:
            print(f"{type(error).__name__}: {error}")
        else:
            raise AssertionError("not refused")
ledger.end_attempt(holder, EpochTimeout("Double", holder.epoch.id, 2.0))
for dead in [lambda: ctx.create_packet(1), lambda: ctx.send("out", 1), lambda: ctx.consume_packet(packet)]:
    try:
        dead()
    except EpochTimeout as error:
        print(error)
    else:
        raise AssertionError("a dead context acted")
ledger.check()

# %% [markdown]
# And what a failure function is told:

# %%
failure = NodeFailureContext(holder, ValueError("bad line"))
assert failure.node_name == "Double" and failure.retry_count == 0 and list(failure.input_salvo) == ["in"]
assert isinstance(failure.exception, ValueError) and failure.packet_values == {}
