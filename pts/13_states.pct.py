# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The state of a net at rest
#
# While nothing runs, all that a net is can be said in plain data: numbers of packets and epochs, place by place. What the
# packets carry is apart from that, since only Python can say it. This chapter turns a net into such a state and back; the
# [next](13b_folders.ipynb) puts it on disk, the [one after](13c_checkpoint.ipynb) does it for users.
#
# ```
#   net ──copy, at rest──> Snapshot ──files──> net_state.json, packets.pkl, history.jsonl
#    ^                                                │
#    └──────────────── restore ────────────────── State
# ```
#
# Little of it is in the simulator: it hears of an epoch when that starts (see [the books](00e_books.ipynb)). So a restore
# tells it of two things only, by actions: a packet for each that came over an edge, and the start of each epoch that waits
# for its next attempt.

# %%
#|default_exp states

# %%
#|export
import json
import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from netrun_sim import EpochState, NetAction
from netrun_sim import PacketLocation as SimLocation

from netrun.core import _told
from netrun.execution import Attempt
from netrun.failures import DeadLetterEntry, entry_of_record, exception_of, one_pickled, parts_of, record_of
from netrun.ledger import Ledger
from netrun.limits import Pace
from netrun.packets import NOTHING, Epoch, Packet, number_in
from netrun.remote import _PLAIN
from netrun.routing import Door, Wire

if TYPE_CHECKING:
    from netrun.net import Net

# %% [markdown]
# ## Places
#
# A place is a list of numbers. What a door holds:
#
# | name | what |
# |---|---|
# | `gates` | by input port, the packets that wait there |
# | `lines` | what waits on wires: the port, the wire (-1: injected), pairs of arrival and packet |
# | `inbox`, `inbox_ports` | arrivals that were not looked at yet; of injected ones, the port |
# | `outlets` | by unconnected output port, what was sent from it |
# | `shelf` | the epochs that were put aside |
# | `arrivals`, `started`, `ended`, `cancelled` | counts |


# %%
#|exporti
def _numbers(things: Iterable[Any]) -> list[int]:
    return [thing._number for thing in things]


def wires_of(ledger: Ledger) -> list[Wire]:
    """Every edge, in an order that depends on the graph alone."""
    return [out for door in ledger.doors.values() for out in door.outs.values() if isinstance(out, Wire)]


def _told_door(door: Door, index: dict[Any, int]) -> dict[str, Any]:
    """A door in plain data."""
    wires = [(gate.port, wire) for gate in door.gates.values() for wire in gate.wires if wire.line]
    inbox = [some if isinstance(some, list) else [some] for some in door.inbox]
    injected = [packet for some in inbox for packet in some if packet._wire is None]
    return {
        "gates": {gate.port: _numbers(gate.packets) for gate in door.gates.values() if gate.packets},
        "lines": [
            [port, index.get(wire, -1), [[at, packet._number] for at, packet in wire.line]] for port, wire in wires
        ],
        "inbox": [_numbers(some) for some in inbox],
        "inbox_ports": {str(packet._number): packet._place.gate.port for packet in injected},
        "outlets": {
            port: _numbers(out.packets) for port, out in door.outs.items() if not isinstance(out, Wire) and out.packets
        },
        "shelf": _numbers(door.shelf),
        **{name: getattr(door, name) for name in _COUNTS},
    }


_COUNTS = ("arrivals", "started", "ended", "cancelled")

# %% [markdown]
# An epoch is its number, its node, the condition that was met, how many packets from which ports, and the packets. All of
# that stays as it is while the epoch is there, so it can be told later, beside a net that runs on.


# %%
#|exporti
def _told_epoch(epoch: Epoch) -> list[Any]:
    parts = [[gate.port, number] for gate, number in epoch._parts]
    return [epoch._number, epoch.node_name, epoch._condition, parts, _numbers(epoch._entered)]


# %% [markdown]
# ## What the packets carry
#
# Values of one checkpoint are pickled together, so what was one object is one again. A class of the script that runs
# (`__main__`) goes along with its code, but where the script has a class of this name when it is loaded, that one is taken:
# it is the one that the script compares with.


# %%
#|exporti
def main_class(name: str, pickled: bytes) -> Any:
    """The class of this name in the script that runs, or else the one that went along."""
    import sys

    found = getattr(sys.modules.get("__main__"), name, None)
    return found if isinstance(found, type) else pickle.loads(pickled)


def to_pickle(thing: Any) -> bytes:
    """Pickle what users have made."""
    import sys
    from io import BytesIO

    import cloudpickle

    main = sys.modules.get("__main__")

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        """Names the classes of the script."""

        def reducer_override(self, thing: Any) -> Any:
            """Leaves all else to cloudpickle."""
            if isinstance(thing, type) and thing.__module__ == "__main__":
                name: str = thing.__name__
                if getattr(main, name, None) is thing:
                    return main_class, (name, cloudpickle.dumps(thing))
            return super().reducer_override(thing)

    pickled = BytesIO()
    Pickler(pickled, 5).dump(thing)
    return pickled.getvalue()


# %%
#|exporti
class Unpicklable(Exception):
    """Something of a net cannot be pickled: what it is."""


class Carried(NamedTuple):
    """What the packets carry, copied. `values` are in the order of the packets; lazy ones and those in files are None."""

    values: list[Any]
    lazy: dict[int, Callable[[], Any]]
    blobs: dict[int, bytes]  # what the files hold, where values are in files
    consumed: list[tuple[str, Any, bytes | None]]  # id, value, or what its file holds

    def pickled(self, packets: list[Packet]) -> bytes:
        """All of it. Raises `Unpicklable`."""
        try:
            return to_pickle((self.values, self.lazy, self.blobs, self.consumed))
        except Exception as error:
            values = zip(packets, self.values, strict=True)
            things = [*values, *((packet, self.lazy.get(packet._number)) for packet in packets)]
            found = next(((packet, thing) for packet, thing in things if not _is_picklable(thing)), None)
            what = "a consumed value" if found is None else f"{_place_of(found[0])}, a {type(found[1]).__name__}"
            raise Unpicklable(f"{what}, cannot be pickled ({_told(error)})") from error

    def is_plain(self) -> bool:
        """Whether nothing of it can change."""
        return _PLAIN.issuperset(map(type, self.values)) and not self.lazy and not self.consumed


def _is_picklable(thing: Any) -> bool:
    if type(thing) in _PLAIN:
        return True
    try:
        to_pickle(thing)
    except Exception:
        return False
    return True


def _place_of(packet: Packet) -> str:
    location = packet.location
    where = location.edge if location.edge is not None else f"{location.node_name}.{location.port_name or 'epoch'}"
    return f"what packet {packet.id} at {where} carries"


# %%
#|exporti
def _carried(ledger: Ledger, packets: list[Packet]) -> Carried:
    """What these packets carry."""
    store = ledger.values
    lazy = {number_in(id, "p", ledger.suffix): func for id, func in store.functions().items()}
    consumed: list[tuple[str, Any, bytes | None]] = []
    for id in store.consumed():
        pickled = store.pickled(id)
        consumed.append((id, None if pickled is not None else store.get_consumed_value(id), pickled))
    values = [packet._value for packet in packets]
    blobs: dict[int, bytes] = {}
    for k, packet in enumerate(packets if lazy or not ledger._carried else ()):
        if values[k] is NOTHING:
            values[k] = None
            if packet._number not in lazy:
                pickled = store.pickled(packet.id)
                if pickled is None:
                    values[k] = store.get_value(packet.id)
                else:
                    blobs[packet._number] = pickled
    return Carried(values, {number: lazy[number] for number in lazy if number is not None}, blobs, consumed)


# %% [markdown]
# ## A snapshot
#
# The copy of a net at rest is quick, since it copies references and numbers: the net goes on while the rest is done. Only
# what a node could change meanwhile, a list that a packet carries, must be pickled before; numbers and texts need not.


# %%
#|exporti
_copies = count(1)


class Snapshot:
    """What a net is at a moment of rest. Made while nothing runs; `files` may be called later, beside a net that runs."""

    def __init__(self, net: "Net") -> None:
        engine, ledger, now = net._engine, net._ledger, net._driver.clock.now()
        self.number = next(_copies)
        with ledger._lock:
            self._packets = list(ledger._packets.values())
            self._epochs = list(ledger._epochs.values())
            self._wires = wires_of(ledger)
            index = {wire: k for k, wire in enumerate(self._wires)}
            carried = _carried(ledger, self._packets)
            came = [-1 if packet._wire is None else index[packet._wire] for packet in self._packets]
            retries = sorted(engine.waiting_retries())
            self._earlier = [(e._number, [*some]) for e, some in engine.earlier.items() if e.state == _STARTABLE]
            self._earlier += [(retry.attempt.epoch._number, [*retry.attempt.earlier]) for retry in retries]
            self.state: dict[str, Any] = {
                "suffix": ledger.suffix,
                "next": list(ledger.next_numbers()),
                "doors": {name: _told_door(door, index) for name, door in ledger.doors.items()},
                "ready": _numbers(ledger._ready),
                "behind": [door.node_name for door in ledger._behind],
                "injected": sorted(door.node_name for door in ledger._injected),
            }
        self._came = came
        self.state["retries"] = [_told_retry(retry, now, index) for retry in retries]
        self.state["nodes"] = {name: _told_task(net, name, now) for name in net._tasks}
        self._letters = [(record_of(entry), parts_of(entry)) for entry in net.dead_letter_queue]
        self._history = net._history._recorder.state() if net._history.is_kept else None
        self._recorder = net._history._recorder
        self._logs = {name: list(log.lines) for name, log in net._logs.items() if log.lines}
        self._pickled = None if carried.is_plain() else carried.pickled(self._packets)
        self._carried = carried
        self._others = _others(net)

    @property
    def left_out(self) -> list[str]:
        """What cannot be pickled, and a net can be restored without."""
        types = [f"nodes.{node}.{side}_ports.{port}.type" for (node, side, port), pickled in self._others["types"].items()
                 if pickled is None]  # fmt: skip
        return types if self._others["meta"] is not None else [*types, "net.meta"]

    def files(self, shape: Any = None) -> dict[str, bytes]:
        """The state as files, with the shape of the graph. Pickles what was left for later."""
        failures = [at for _, some in self._earlier for at in some]
        state = {
            **self.state,
            "graph": shape,
            "edges": [_ends(wire) for wire in self._wires],
            "packets": {"numbers": _numbers(self._packets), "wires": self._came},
            "epochs": [_told_epoch(epoch) for epoch in self._epochs],
            "earlier": [
                [number, [[at.isoformat(), _told(error)] for at, error in some]] for number, some in self._earlier
            ],
            "dead_letters": [record for record, _ in self._letters],
            "logs": self._logs,
            "history": None if self._history is None else [self._history[0], list(self._recorder.closes)],
        }
        pickles = {
            **self._others,
            "carried": self._pickled or self._carried.pickled(self._packets),
            "failures": [one_pickled(error) for _, error in failures],
            "dead_letters": [parts for _, parts in self._letters],
        }
        files = {"net_state.json": json.dumps(state, separators=(",", ":")).encode(), "packets.pkl": _dumped(pickles)}
        if self._history is not None:
            lines = self._recorder.lines(*self._history[1:])
            if lines:
                files["history.jsonl"] = "".join([line + "\n" for line in lines]).encode()
        return files


_STARTABLE = EpochState.Startable


def _dumped(pickles: dict[str, Any]) -> bytes:
    return pickle.dumps(pickles, 5)


def _ends(wire: Wire) -> list[str]:
    source, target = wire.edge.source, wire.edge.target
    return [source.node_name, source.port_name, target.node_name, target.port_name]


# %% [markdown]
# Of an epoch that waits for its next attempt: how long that is off, and by which wires its packets came, if somebody had
# asked for that. Of a node: what its limits remember.


# %%
#|exporti
def _told_retry(retry: Any, now: float, index: dict[Any, int]) -> dict[str, Any]:
    epoch = retry.attempt.epoch
    wires = [index.get(wire, -1) for wire in reversed(epoch._wires)]
    return {"epoch": epoch._number, "in": retry.due - now, "wires": wires}


def _told_task(net: "Net", name: str, now: float) -> dict[str, Any]:
    task = net._tasks[name]
    paces = [limit.since(now) for limit in task.limits if isinstance(limit, Pace)]
    return {"failed": task.failed, "began": [since for since in paces if isfinite(since)]}


def _others(net: "Net") -> dict[str, Any]:
    """What else only Python can say: types of ports and `meta`, each pickled by itself. What cannot be is left out, and
    the manifest says so."""
    types = {}
    for name, door in net._ledger.doors.items():
        for side, specs in (("in", door.in_types), ("out", door.out_types)):
            for port, spec in specs.items():
                types[name, side, port] = _tried(spec.spec)
    return {"types": types, "meta": _tried(net.meta)}


def _tried(thing: Any) -> bytes | None:
    with suppress(Exception):
        return to_pickle(thing)
    return None


# %% [markdown]
# ## Restoring
#
# Packets first, with the simulator's tokens on their edges; then epochs, places, queues. Then the epochs that wait for
# their next attempt start, as they had started.


# %%
#|exporti
_CREATE_OUTSIDE = NetAction.create_packet(None)


class Books:
    """Puts a state into the books of a ledger that has none."""

    def __init__(self, ledger: Ledger, state: dict[str, Any]) -> None:
        self.ledger, self.state = ledger, state
        by_source = {(wire.edge.source.node_name, wire.edge.source.port_name): wire for wire in wires_of(ledger)}
        self.wires = [by_source[source, port] for source, port, *_ in state["edges"]]
        ledger.take_up(state["suffix"], *state["next"])

    def restore(self, carried: Carried) -> None:
        """All of it."""
        self._packets(carried)
        self._epochs()
        for name, told in self.state["doors"].items():
            self._door(self.ledger.doors[name], told)
        self._queues()

    def wire(self, number: int) -> Wire | None:
        """The wire of this number; None for -1."""
        return self.wires[number] if number >= 0 else None

    def _packets(self, carried: Carried) -> None:
        ledger, do, transport = self.ledger, self.ledger._do, NetAction.transport_packet_to_location
        columns = self.state["packets"]
        places = [SimLocation.edge(wire.edge) for wire in self.wires]
        suffix, registry, is_carried = ledger.suffix, ledger._packets, ledger._carried
        for number, came, value in zip(columns["numbers"], columns["wires"], carried.values, strict=True):
            packet = registry[number] = Packet(number, suffix)
            if came >= 0:
                packet._wire = wire = self.wires[came]
                sim_id = do(_CREATE_OUTSIDE)[0].packet_id
                do(transport(sim_id, places[came]))
                wire.tokens.append(sim_id)
            if is_carried and number not in carried.lazy:
                packet._value = value
        self._store(carried)

    def _store(self, carried: Carried) -> None:
        """Values and value functions. What is in files of this net's packets that came later goes: they will come again."""
        ledger, store = self.ledger, self.ledger.values
        for id in [id for id in ledger._foreign if number_in(id, "p", ledger.suffix) is not None]:
            ledger._foreign.discard(id)
            store.remove(id)
        for id, value, pickled in carried.consumed:
            if store.keeps:
                value = value if pickled is None else pickle.loads(pickled)
                store.store_value(id, value)
                store.mark_consumed(id, value)
        for number, pickled in carried.blobs.items():
            ledger._store(ledger._packets[number], pickle.loads(pickled))
        if not ledger._carried:
            for packet, value in zip(ledger._packets.values(), carried.values, strict=True):
                if packet._number not in carried.blobs and packet._number not in carried.lazy:
                    store.store_value(packet.id, value)
        for number, func in carried.lazy.items():
            store.store_value_func(ledger._packets[number].id, func)

    def _epochs(self) -> None:
        ledger = self.ledger
        for number, node_name, condition, parts, entered in self.state["epochs"]:
            door = ledger.doors[node_name]
            gates = tuple((door.gates[port], count) for port, count in parts)
            epoch = Epoch(number, door, condition, gates, self._some(entered))
            for packet in epoch._entered:
                packet._place = epoch
            ledger._epochs[number] = epoch

    def _some(self, numbers: Iterable[int]) -> list[Packet]:
        registry = self.ledger._packets
        return [registry[number] for number in numbers]

    def _door(self, door: Door, told: dict[str, Any]) -> None:
        for port, numbers in told["gates"].items():
            gate = door.gates[port]
            self._fill(gate, gate.packets, numbers)
            door.counts[gate.rank] = len(numbers)
        for port, number, line in told["lines"]:
            wire: Wire = self.wire(number) or door.gates[port].injections
            for at, packet in line:
                self._put(wire, packet)
                wire.line.append((at, self.ledger._packets[packet]))
            door.waiting += len(line)
        for some in told["inbox"]:
            packets = self._some(some)
            for packet in packets:
                packet._place = packet._wire or door.gates[told["inbox_ports"][str(packet._number)]].injections
            door.inbox.append(packets)
        for port, numbers in told["outlets"].items():
            outlet: Any = door.outs[port]
            self._fill(outlet, outlet.packets, numbers)
        door.present = door.waiting + sum(door.counts)
        for name in _COUNTS:
            setattr(door, name, told[name])

    def _fill(self, place: Any, pile: Any, numbers: list[int]) -> None:
        for number in numbers:
            self._put(place, number)
        pile.extend(self._some(numbers))

    def _put(self, place: Any, number: int) -> None:
        self.ledger._packets[number]._place = place

    def _queues(self) -> None:
        ledger, epochs = self.ledger, self.ledger._epochs
        ledger._ready.extend(epochs[number] for number in self.state["ready"])
        for name in self.state["behind"]:
            ledger._fall_behind(ledger.doors[name])
        ledger._injected |= {ledger.doors[name] for name in self.state["injected"]}
        for name, told in self.state["doors"].items():
            for number in told["shelf"]:
                ledger.shelve(epochs[number])
            if told["shelf"]:
                ledger.unshelve(name)  # whether they may start is asked again


# %%
#|exporti
class State(NamedTuple):
    """What the files of a checkpoint say. `pickles` is unpickled one level deep; what users made is bytes still."""

    told: dict[str, Any]
    pickles: dict[str, Any]
    carried: Carried
    lines: list[str]

    @classmethod
    def of(cls, files: dict[str, bytes]) -> "State":
        """Reads, and unpickles: only for files that are trusted. Raises whatever a user's class raises."""
        pickles = pickle.loads(files["packets.pkl"])
        lines = files.get("history.jsonl", b"").decode().splitlines()
        return cls(json.loads(files["net_state.json"]), pickles, Carried(*pickle.loads(pickles["carried"])), lines)

    def meta(self) -> dict[str, Any]:
        """The net's `meta`."""
        pickled = self.pickles["meta"]
        return {} if pickled is None else dict(pickle.loads(pickled))


def restore(net: "Net", state: State, with_types: bool = True) -> None:
    """Put a state into a net of the same graph that nothing has been in. Raises `NetStateError` where something has.
    `with_types`: the types of its ports, too."""
    told, ledger, engine = state.told, net._ledger, net._engine
    with _unheard(ledger):
        books = Books(ledger, told)
        books.restore(state.carried)
        now = net._driver.clock.now()
        failures = iter(state.pickles["failures"])
        earlier = {
            number: tuple((datetime.fromisoformat(at), exception_of(next(failures), text)) for at, text in some)
            for number, some in told["earlier"]
        }
        for retry in told["retries"]:
            epoch = ledger._epochs[retry["epoch"]]
            attempt = Attempt(epoch, engine.task_of(epoch), earlier.pop(epoch._number))
            _start_again(ledger, attempt, [books.wire(number) for number in retry["wires"]])
            engine.retry_at(now + retry["in"], attempt)
        engine.earlier.update((ledger._epochs[number], some) for number, some in earlier.items())
    for (name, side, port), pickled in state.pickles["types"].items() if with_types else ():
        if pickled is not None:
            set_type = net.set_input_port_type if side == "in" else net.set_output_port_type
            set_type(name, port, pickle.loads(pickled))
    _restore_nodes(net, told["nodes"], now)
    _restore_past(net, state)


@contextmanager
def _unheard(ledger: Ledger) -> Iterator[None]:
    """What is done again was heard of when it was done first."""
    note, ledger.note = ledger.note, None
    try:
        yield
    finally:
        ledger.note = note


def _start_again(ledger: Ledger, attempt: Attempt, wires: list[Wire | None]) -> None:
    """Start an epoch that had started. `wires`: by which its packets had come, if that is known."""
    epoch = attempt.epoch
    ledger.start(attempt)
    epoch._door.started -= 1  # it is counted already
    epoch._wires = list(reversed(wires))


# %%
#|exporti
def _restore_nodes(net: "Net", nodes: dict[str, Any], now: float) -> None:
    """What the nodes remember."""
    for name, told in nodes.items():
        task = net._tasks[name]
        task.failed = told["failed"]
        for pace in (limit for limit in task.limits if isinstance(limit, Pace)):
            for since in told["began"]:
                pace.take_up(now - since)


def _restore_past(net: "Net", state: State) -> None:
    """Dead letters, history and logs."""
    told, suffix = state.told, state.told["suffix"]
    letters: list[DeadLetterEntry] = [
        entry_of_record(record, parts)
        for record, parts in zip(told["dead_letters"], state.pickles["dead_letters"], strict=True)
    ]
    net.dead_letter_queue.take_up(letters, lambda id: number_in(id, "e", suffix) is not None)
    for name, log in net._logs.items():
        log.take_up(suffix, told["logs"].get(name, ()))
    number, closes = told["history"] or (1, ())
    net._history._recorder.take_up(suffix, number, state.lines)
    net._history._recorder.closes.extend(closes)


# %% [markdown]
# A net that was stopped half way, and another one that goes on from its state:

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


def a_net():
    net = Net(Graph([node("A", ["in"], ["out"]), node("B", ["in"], ["end"])], [edge]))
    net.set_node_exec("A", lambda ctx, packets: ctx.send("out", 2 * ctx.consume_packet(packets["in"][0])))
    net.set_node_exec("B", lambda ctx, packets: ctx.send("end", ctx.consume_packet(packets["in"][0]) + 1))
    return net


net = a_net()
net.inject_packets("A", "in", [1, 2, 3])
net.run_step()
files = Snapshot(net).files()
print(files["net_state.json"].decode())
again = a_net()
restore(again, State.of(files))
again._ledger.check()
assert again.get_startable_epochs() == net.get_startable_epochs() and len(again.get_startable_epochs()) == 3
again.start()
assert again.take_outputs("B", "end") == [3, 5, 7]
