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
from weakref import finalize

from netrun_sim import EpochState, NetAction
from netrun_sim import PacketLocation as SimLocation

from netrun.core import _told
from netrun.execution import Attempt
from netrun.failures import DeadLetterEntry, entry_of_record, exception_of, one_pickled, parts_of, record_of
from netrun.ledger import Ledger
from netrun.limits import Pace
from netrun.packets import NOTHING, Epoch, Packet, number_in
from netrun.pickles import PLAIN as _PLAIN
from netrun.pickles import Pickled, pickled_together, to_pickle, unpickled_together
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


def _told_door(door: Door, index: dict[Any, int], in_hand: list[tuple[Any, list[Packet]]]) -> dict[str, Any]:
    """A door in plain data. `in_hand`: what is being taken out, by outlet."""
    wires = [(gate.port, wire) for gate in door.gates.values() for wire in gate.wires if wire.line]
    inbox = [some if isinstance(some, list) else [some] for some in door.inbox]
    injected = [packet for some in inbox for packet in some if packet._wire is None]
    outlets = {
        port: [number for outlet, some in in_hand if outlet is out for number in _numbers(some)] + _numbers(out.packets)
        for port, out in door.outs.items()
        if not isinstance(out, Wire)
    }
    return {
        "gates": {gate.port: _numbers(gate.packets) for gate in door.gates.values() if gate.packets},
        "lines": [
            [port, index.get(wire, -1), [[at, packet._number] for at, packet in wire.line]] for port, wire in wires
        ],
        "inbox": [_numbers(some) for some in inbox],
        "inbox_ports": {str(packet._number): packet._place.gate.port for packet in injected},
        "outlets": {port: numbers for port, numbers in outlets.items() if numbers},
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
# Values of one checkpoint are [pickled together](00ba_pickles.ipynb), so what was one object is one again: those that wait,
# those that were consumed and are kept, value functions. Values in files are copied as bytes.


# %%
#|exporti
class Unpicklable(Exception):
    """Something of a net cannot be pickled: what it is, and what to do."""


class Carried(NamedTuple):
    """What the packets carry. `values` are in the order of the packets; lazy ones and those in files are None."""

    values: list[Any]
    lazy: dict[int, Callable[[], Any]]
    blobs: dict[int, tuple[bytes, Any]]  # where values are in files: what each holds, and the value
    consumed: list[tuple[str, Any, bytes | None]]  # id, value, what its file holds


class Copied:
    """What the packets carry, copied: at once what a node could change, such as a list; numbers and texts need not be."""

    def __init__(self, ledger: Ledger, packets: list[Packet]) -> None:
        store = ledger.values
        self._packets, self._files = packets, store.files()
        self._values = [packet._value for packet in packets]
        self._stored = {} if ledger._carried or self._files is not None else store.copy()
        numbers = ((number_in(id, "p", ledger.suffix), func) for id, func in store.functions().items())
        self._lazy = {number: func for number, func in numbers if number in ledger._packets}
        self._consumed = store.consumed()
        kinds = {*map(type, self._values), *map(type, self._stored.values())} - {type(NOTHING)}
        self._pickled = self._pickle() if self._lazy or kinds - _PLAIN else None

    def told(self) -> dict[str, Any]:
        """All of it, in plain data."""
        blobs: dict[int, bytes] = {}
        consumed: list[tuple[str, bytes | None]] = [(id, None) for id in self._consumed]
        if (files := self._files) is not None:
            blobs = {packet._number: files.held(packet.id) for packet in self._elsewhere()}
            consumed = [(id, files.held(id)) for id in self._consumed]
        return {"things": self._pickled or self._pickle(), "blobs": blobs, "consumed": consumed}

    def _elsewhere(self) -> Iterator[Packet]:
        """The packets whose values are in the store."""
        for packet, value in zip(self._packets, self._values, strict=True):
            if value is NOTHING and packet._number not in self._lazy:
                yield packet

    def _things(self) -> tuple[list[Any], list[Any]]:
        """What the packets carry, and what was consumed and is kept. What is lazy or in files is None."""
        values = [None if value is NOTHING else value for value in self._values]
        kept: list[Any] = [None] * len(self._consumed)
        if self._files is None:
            stored = {packet._number: self._stored[packet.id] for packet in self._elsewhere()}
            values = (
                [stored.get(p._number, v) for p, v in zip(self._packets, values, strict=True)] if stored else values
            )
            kept = [self._stored[id] for id in self._consumed]
        return values, kept

    def _pickle(self) -> Pickled:
        values, kept = self._things()
        functions = list(self._lazy.values())
        try:
            return pickled_together([*values, *kept, list(self._lazy), functions])
        except Exception as error:
            waiting = {packet._number: packet for packet in self._packets}
            pairs: list[tuple[Any, Any]] = [
                *zip(self._packets, values, strict=True),
                *zip(self._consumed, kept, strict=True),
            ]
            pairs += [(waiting[number], func) for number, func in self._lazy.items()]
            raise Unpicklable(f"{_culprit(pairs)} ({_told(error)})") from error


def _culprit(pairs: list[tuple[Any, Any]]) -> str:
    """What cannot be pickled, and what to do. Each thing is given with its packet, or the packet's id where it is gone."""
    packet, thing = next((pair for pair in pairs if not _is_picklable(pair[1])), (None, None))
    if packet is None:
        return "what the packets carry cannot be pickled together"
    if isinstance(packet, str):
        return (f"what packet {packet} carried, which is kept, a {type(thing).__name__}, cannot be pickled. Forget it with"
                f" net.value_store.remove({packet!r})")  # fmt: skip
    return (f"{_place_of(packet)}, a {type(thing).__name__}, cannot be pickled. Consume it before the net is saved, or send"
            " something that can be")  # fmt: skip


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


def carried_of(pickles: dict[str, Any]) -> Carried:
    """What the packets carry, unpickled. Raises whatever a user's class raises."""
    if "carried" in pickles:  # as format 1 was at first
        values, lazy, blobs, kept = pickle.loads(pickles["carried"])
        return Carried(values, lazy, *_read(blobs, kept))
    *things, numbers, functions = unpickled_together(pickles["things"])
    consumed = pickles["consumed"]
    count = len(things) - len(consumed)
    kept = zip(consumed, things[count:], strict=True)
    lazy = dict(zip(numbers, functions, strict=True))
    return Carried(things[:count], lazy, *_read(pickles["blobs"], [(id, thing, blob) for (id, blob), thing in kept]))


def _read(blobs: dict[int, bytes], consumed: list[tuple[str, Any, bytes | None]]) -> tuple[Any, Any]:
    """What files hold, with the values."""
    kept = [(id, value if pickled is None else pickle.loads(pickled), pickled) for id, value, pickled in consumed]
    return {number: (pickled, pickle.loads(pickled)) for number, pickled in blobs.items()}, kept


# %% [markdown]
# ## A snapshot
#
# The copy of a net at rest is quick, since it copies references and numbers: the net goes on while the rest is done. Only
# what a node could change meanwhile, a list that a packet carries, is pickled before.
#
# While nothing runs, somebody may still inject, redrive or take out. So the books, the dead letters and the history are
# copied under all of their locks, and what is being taken out is in the copy still: until it is handed out, it may come
# back. Files of values that go meanwhile are there until they were copied.
#
# What a dead letter holds is pickled later. So who changes a value in place that a dead letter holds, while a checkpoint is
# being written, may find it changed there.


# %%
#|exporti
_copies = count(1)


class Snapshot:
    """What a net is at a moment of rest. Made while nothing runs; `files` may be called once, later, beside a net that
    runs. `number`: the later one has the greater. `left_out`: what cannot be pickled and a net can be restored without."""

    def __init__(self, net: "Net") -> None:
        engine, ledger, queue = net._engine, net._ledger, net.dead_letter_queue
        files = ledger.values.files()
        with _no_collection(), queue.held(), ledger._lock, ledger.values.held():
            now = net._driver.clock.now()
            self.number = next(_copies)
            self._let_go = None if files is None else finalize(self, files.hold())
            self._packets = list(ledger._packets.values())
            self._epochs = list(ledger._epochs.values())
            self._wires = wires_of(ledger)
            index = {wire: k for k, wire in enumerate(self._wires)}
            self._came = [-1 if packet._wire is None else index[packet._wire] for packet in self._packets]
            self._carried = Copied(ledger, self._packets)
            retries = sorted(engine.waiting_retries())
            self._earlier = [(e._number, [*some]) for e, some in engine.earlier.items() if e.state == _STARTABLE]
            self._earlier += [(retry.attempt.epoch._number, [*retry.attempt.earlier]) for retry in retries]
            self.state: dict[str, Any] = {
                "suffix": ledger.suffix,
                "next": list(ledger.next_numbers()),
                "doors": {name: _told_door(door, index, ledger.in_hand) for name, door in ledger.doors.items()},
                "ready": _numbers(ledger._ready),
                "behind": [door.node_name for door in ledger._behind],
                "injected": sorted(door.node_name for door in ledger._injected),
                "retries": [_told_retry(retry, now, index) for retry in retries],
                "nodes": {name: _told_task(net, name, now) for name in net._tasks},
            }
            self._letters = queue.get_all()
            self._recorder = net._history._recorder
            self._history = self._recorder.state() if net._history.is_kept else None
            self._closes = list(self._recorder.closes)
            self._logs = {name: list(log.lines) for name, log in net._logs.items() if log.lines}
        self._others = _others(net)
        self.left_out = [f"nodes.{node}.{side}_ports.{port}.type" for (node, side, port), pickled
                         in self._others["types"].items() if pickled is None]  # fmt: skip
        self.left_out += [f"nodes.{node}.options.retry_on" for node, pickled in self._others["retry_on"].items()
                          if pickled is None]  # fmt: skip
        self.left_out += ["net.meta"] if self._others["meta"] is None else []

    def files(self, shape: Any = None) -> dict[str, bytes]:
        """The state as files, with the shape of the graph. Pickles what was left for later. Raises `Unpicklable`."""
        try:
            return self._files(shape)
        finally:
            if self._let_go is not None:
                self._let_go()

    def _files(self, shape: Any) -> dict[str, bytes]:
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
            "dead_letters": [record_of(entry) for entry in self._letters],
            "logs": self._logs,
            "history": None if self._history is None else [self._history[0], self._closes],
        }
        pickles = {
            **self._others,
            **self._carried.told(),
            "failures": [one_pickled(error, "what an attempt failed with") for _, error in failures],
            "dead_letters": [self._parts(entry) for entry in self._letters],
        }
        files = {"net_state.json": _json(state).encode(), "packets.pkl": _dumped(pickles)}
        if self._history is not None:
            lines = self._recorder.lines(*self._history[1:])
            if lines:
                files["history.jsonl"] = "".join([line + "\n" for line in lines]).encode()
        return files

    def _parts(self, entry: DeadLetterEntry) -> dict[str, Any]:
        parts = parts_of(entry)
        lost = [id for name in ("values", "funcs") for id, pickled in parts[name].items() if pickled is None]
        self.left_out += [f"dead_letters.{entry.epoch_id}.{id}" for id in lost]
        return parts


def _json(thing: Any) -> str:
    """A state as JSON, part by part, since nothing else runs in a process while a part is made."""
    if isinstance(thing, dict):
        return f"{{{','.join([f'{json.dumps(name)}:{_json(part)}' for name, part in thing.items()])}}}"
    if isinstance(thing, list) and len(thing) > _PART:
        parts = [thing[k : k + _PART] for k in range(0, len(thing), _PART)]
        return f"[{','.join([_json(part)[1:-1] for part in parts])}]"
    return json.dumps(thing, separators=(",", ":"))


_PART = 10_000


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage is looked for meanwhile: in a large net that takes longer than the copy."""
    import gc

    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


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
    """What else only Python can say: types of ports, exceptions to retry on and `meta`, each pickled by itself. What cannot be is left out, and
    the manifest says so."""
    types = {}
    for name, door in net._ledger.doors.items():
        for side, specs in (("in", door.in_types), ("out", door.out_types)):
            for port, spec in specs.items():
                types[name, side, port] = _tried(spec.spec)
    kinds = {name: config.retry_on for name, config in net._options.items() if config.retry_on is not None}
    return {"types": types, "meta": _tried(net.meta), "retry_on": {name: _tried(some) for name, some in kinds.items()}}


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
        """Values and value functions. What is in files of this net's packets that came later goes when it runs: they will
        come again. Until then another net may have it."""
        ledger, store = self.ledger, self.ledger.values
        for id, value, pickled in carried.consumed:
            if store.keeps:
                store.put_back(id, value, pickled)
                store.mark_consumed(id, value)
        kept = {id for id, *_ in carried.consumed}
        ours = [id for id in ledger._foreign if number_in(id, "p", ledger.suffix) is not None]
        self.later = [id for id in ours if not ledger.has_packet(id) and id not in kept]
        ledger._foreign.difference_update(set(ours).difference(self.later))
        for number, (pickled, value) in carried.blobs.items():
            packet = ledger._packets[number]
            if store.files() is None:
                ledger._store(packet, value)
            else:
                store.put_back(packet.id, value, pickled)
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

    def forget_later(self) -> None:
        """Remove the values of packets that came later."""
        for id in self.later:
            if id in self.ledger._foreign and not self.ledger.has_packet(id):
                with suppress(KeyError):  # somebody else has taken it
                    self.ledger.values.remove(id)
            self.ledger._foreign.discard(id)

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
    failures: list[BaseException]
    letters: list[DeadLetterEntry]
    types: dict[tuple[str, str, str], Any]
    retry_on: dict[str, Any]
    lines: list[str]

    @classmethod
    def of(cls, files: dict[str, bytes]) -> "State":
        """Reads, and unpickles all of it: only for files that are trusted. Raises whatever a user's class raises."""
        told, pickles = json.loads(files["net_state.json"]), pickle.loads(files["packets.pkl"])
        texts = [text for _, some in told["earlier"] for _, text in some]
        failures = [exception_of(*each) for each in zip(pickles["failures"], texts, strict=True)]
        letters = zip(told["dead_letters"], pickles["dead_letters"], strict=True)
        types, retry_on = ({place: pickle.loads(pickled) for place, pickled in pickles.get(name, {}).items()
                            if pickled is not None} for name in ("types", "retry_on"))  # fmt: skip
        carried = carried_of(pickles)
        lines = files.get("history.jsonl", b"").decode().splitlines()
        return cls(
            told, pickles, carried, failures, [entry_of_record(*each) for each in letters], types, retry_on, lines
        )

    def meta(self) -> dict[str, Any]:
        """The net's `meta`."""
        pickled = self.pickles["meta"]
        return {} if pickled is None else dict(pickle.loads(pickled))


def restore(net: "Net", state: State, with_types: bool = True) -> None:
    """Put a state into a net of the same graph that nothing has been in. Raises `NetStateError` where something has.
    `with_types`: what its nodes are, too, as far as only Python can say it. Files that a net has which goes on from a later
    moment are only changed when this one runs."""
    told, ledger, engine = state.told, net._ledger, net._engine
    with _unheard(ledger):
        books = Books(ledger, told)
        books.restore(state.carried)
        now = net._driver.clock.now()
        failures = iter(state.failures)
        earlier = {
            number: tuple((datetime.fromisoformat(at), next(failures)) for at, _ in some)
            for number, some in told["earlier"]
        }
        for retry in told["retries"]:
            epoch = ledger._epochs[retry["epoch"]]
            attempt = Attempt(epoch, engine.task_of(epoch), earlier.pop(epoch._number))
            _start_again(ledger, attempt, [books.wire(number) for number in retry["wires"]])
            engine.retry_at(now + retry["in"], attempt)
        engine.earlier.update((ledger._epochs[number], some) for number, some in earlier.items())
    for (name, side, port), spec in state.types.items() if with_types else ():
        set_type = net.set_input_port_type if side == "in" else net.set_output_port_type
        set_type(name, port, spec)
    for name, kinds in state.retry_on.items() if with_types else ():
        if net.get_node_config(name).retry_on is None:
            net.set_node_config(name, retry_on=kinds)
    net._control.before.append(books.forget_later)
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
    sync = net.dead_letter_queue.take_up(state.letters, lambda id: number_in(id, "e", suffix) is not None)
    net._control.before.append(sync)
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
