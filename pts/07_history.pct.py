# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # History: what happened
#
# Every action that was done on the net and every event that it caused, in order, and a record of each attempt.
#
# ```
#   Ledger ── note(record) ──────────┐
#   engine ── observe(attempt, …) ───┴─> fresh ── digest ──> kept, at most history_max_size entries
#                                        raw     counted └─> lines ──> history_file
#                                                                        │
#                                        looked at ──> lines ──> HistoryEntry, the same from memory and from a file
# ```
#
# What is kept is raw: a word, a moment, and numbers. It is written out as lines of JSON when somebody looks, or when it
# goes to a file, by one and the same function. So an entry that was read from a file equals the one in memory.
#
# The simulator's own events cannot be what is kept: the packets of an edge are all alike to it (see
# [the books](00e_books.ipynb)), and its ids are not netrun's. What an action does is known without them. That it is true is
# shown by tests: every action of a history, replayed on a fresh `NetSim`, gives the same events and ends in the same state.

# %%
#|default_exp history

# %%
#|export
import os
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import RLock
from time import gmtime, strftime, time
from typing import Any, NamedTuple

from netrun.books import Record
from netrun.core import ConfigError, _told, brief
from netrun.execution import Attempt, Ending, Verdict
from netrun.routing import Door, Wire

# %% [markdown]
# ## An entry
#
# | `entry_type` | what it is | `data` |
# |---|---|---|
# | `action` | something done on the net | what it was done to |
# | `event` | what an action caused; `action_id` says which | the packet or epoch, and where it was and is |
# | `epoch` | an attempt at an epoch that has ended | `epoch_id`, `node_name`, `attempt`, `carrier`, `worker`, `begun`, `ended`, `verdict`, `ending`, `error` (its first 10,000 characters) |


# %%
#|export
@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Something that happened. `timestamp` is in UTC; which of the other fields are filled, `entry_type` says."""

    id: str
    timestamp: datetime
    entry_type: str
    action_type: str | None = None
    event_type: str | None = None
    action_id: str | None = None
    data: dict[str, Any] = field(default_factory=dict)

    __repr__ = brief


def entry_of(line: str | bytes) -> HistoryEntry:
    """The entry of a line. Raises `ValueError` or `KeyError` for what is none."""
    import json

    data: dict[str, Any] = json.loads(line)
    return HistoryEntry(
        entry_type=data.pop("type"),
        id=data.pop("id"),
        timestamp=datetime.fromisoformat(data.pop("timestamp")),
        action_type=data.pop("action", None),
        event_type=data.pop("event", None),
        action_id=data.pop("action_id", None),
        data=data,
    )


# %%
line = '{"type":"event","id":"h2-demo","timestamp":"2026-01-01T12:00:00.000000+00:00","event":"EpochStarted","action_id":"h1-demo","epoch_id":"e1-demo"}'
entry = entry_of(line)
assert (entry.event_type, entry.action_id, entry.data) == ("EpochStarted", "h1-demo", {"epoch_id": "e1-demo"})

# %% [markdown]
# ## Lines
#
# Each word that the Ledger says stands for some actions and events. There are a dozen lines and more for one epoch, so they
# are not put together one by one: what is the same for all records of a kind is made once, with four marks in it, and made
# into a function that puts the rest in their places. (The lines have no such characters otherwise: JSON escapes them.)
#
# | mark | stands for |
# |---|---|
# | `r` | the number of the record; its lines are `h<r>.1`, `h<r>.2` and so on |
# | `t` | the end of each id, and the moment |
# | `e` | the epoch |
# | `p` | the packet |


# %%
#|exporti
Template = Callable[[str, str, str, str], str]
_MARKS = {"\x01": "{r}", "\x02": "{t}", "\x03": "{e}", "\x04": "{p}", "{": "{{", "}": "}}"}
_OUTSIDE = '{"kind":"OutsideNet"}'


def _quoting() -> Callable[[str], str]:
    """A function that gives text as JSON, and remembers it: names come again and again."""
    from functools import lru_cache
    from json import dumps

    return lru_cache(maxsize=4096)(dumps)


def _template(text: str) -> Template:
    """The function that gives this text with its marks replaced."""
    literal = repr("".join([_MARKS.get(character, character) for character in text]))
    template: Template = eval(f"lambda r, t, e, p: f{literal}", {"__builtins__": {}})
    return template


def _action(r: str, k: int, t: str, name: str, about: str) -> str:
    return f'{{"type":"action","id":"h{r}.{k}{t}"action":"{name}",{about}}}\n'


class Lines:
    """Writes records as lines. What the lines of an action are made of, and when."""

    def __init__(self, suffix: str) -> None:
        self._s = suffix
        self._q = _quoting()
        self._second = -1
        self._began, self._began_t = -1.0, ""  # the last start, and its `t`
        self._templates: dict[Any, Template] = {}
        self._writers: dict[str, Callable[[str, str, Record], str]] = {
            name.removeprefix("write_"): getattr(self, name) for name in dir(self) if name.startswith("write_")
        }

    def write(self, first: int, records: list[Record]) -> str:
        """The lines of some records, the first of which has this number."""
        writers, lines = self._writers, list[str]()
        for number, record in enumerate(records, first):
            at = record[0]
            if not self._second <= at < self._second + 1:
                self._turn_to(at)
            t = '%s%06dZ",' % (self._head, (at - self._second) * 1e6)  # noqa: UP031
            lines.append(writers[record[1]](str(number), t, record))
        return "".join(lines)

    def _turn_to(self, at: float) -> None:
        """What stays the same in the moments of a second is made once."""
        self._second = int(at)
        self._prefix = strftime("%Y-%m-%dT%H:%M:%S.", gmtime(self._second))
        self._head = f'{self._s}","timestamp":"{self._prefix}'

    def _moment(self, at: float) -> str:
        """A moment in ISO format."""
        second = int(at)
        prefix = self._prefix if second == self._second else strftime("%Y-%m-%dT%H:%M:%S.", gmtime(second))
        return "%s%06dZ" % (prefix, (at - second) * 1e6)  # noqa: UP031

    def _new(self, key: Any, make: Template) -> Template:
        """Remember the template of what `make` makes."""
        template = self._templates[key] = _template(make("\x01", "\x02", "\x03", "\x04"))
        return template

    def _event(self, r: str, k: int, of: int, t: str, name: str, about: str) -> str:
        """Line k, an event that line `of` caused."""
        return f'{{"type":"event","id":"h{r}.{k}{t}"event":"{name}","action_id":"h{r}.{of}{self._s}",{about}}}\n'

    def _place(self, e: str, port: str | None) -> str:
        """The place of a packet in an epoch: inside, or in an output port."""
        if port is None:
            return f'{{"kind":"Node","epoch_id":"{e}"}}'
        return f'{{"kind":"OutputPort","epoch_id":"{e}","port_name":{self._q(port)}}}'

    def _edge(self, wire: Any) -> str:
        """An edge as a place."""
        source, target = (self._q(f"{end.node_name}.{end.port_name}") for end in (wire.edge.source, wire.edge.target))
        return f'{{"kind":"Edge","source":{source},"target":{target}}}'

    def _pairs(self, packets: Iterable[tuple[str, str]]) -> str:
        """Pairs of port and packet."""
        return ",".join([f'[{self._q(port)},"{p}"]' for port, p in packets])


# %% [markdown]
# The acts of a running epoch. First the lines of each action, of which the first has the number `k`; then the words.


# %%
#|exporti
class ActLines(Lines):
    """What a running epoch does."""

    def _create(self, r: str, t: str, e: str, p: str, k: int = 1) -> str:
        epoch = f'"{e}"' if e else "null"
        made = _action(r, k, t, "CreatePacket", f'"packet_id":"{p}","epoch_id":{epoch}')
        return made + self._event(r, k + 1, k, t, "PacketCreated", f'"packet_id":"{p}"')

    def _consume(self, r: str, t: str, p: str, place: str, k: int = 1) -> str:
        gone = _action(r, k, t, "ConsumePacket", f'"packet_id":"{p}"')
        return gone + self._event(r, k + 1, k, t, "PacketConsumed", f'"packet_id":"{p}","location":{place}')

    def _load(self, r: str, t: str, e: str, p: str, port: str, k: int = 1) -> str:
        way = f'"from":{self._place(e, None)},"to":{self._place(e, port)}'
        put = _action(r, k, t, "LoadPacketIntoOutputPort", f'"packet_id":"{p}","port_name":{self._q(port)}')
        return put + self._event(r, k + 1, k, t, "PacketMoved", f'"packet_id":"{p}",{way}')

    def _send(
        self, r: str, t: str, e: str, door: Door, condition: str, salvo: list[tuple[str, str]], k: int = 1
    ) -> str:
        named = f'"epoch_id":"{e}","salvo_condition":{self._q(condition)}'
        lines = [_action(r, k, t, "SendOutputSalvo", named)]
        for n, (port, p) in enumerate(salvo, k + 1):
            out, packet = door.outs[port], f'"packet_id":"{p}"'
            if isinstance(out, Wire):
                way = f'"from":{self._place(e, port)},"to":{self._edge(out)}'
                lines.append(self._event(r, n, k, t, "PacketMoved", f"{packet},{way}"))
            else:
                place = f'"node_name":{self._q(door.node_name)},"port_name":{self._q(port)}'
                lines.append(self._event(r, n, k, t, "PacketOrphaned", f"{packet},{named},{place}"))
        sent = f'{named},"packets":[{self._pairs(salvo)}]'
        lines.append(self._event(r, k + len(salvo) + 1, k, t, "OutputSalvoTriggered", sent))
        return "".join(lines)

    def write_create(self, r: str, t: str, record: Record) -> str:
        """A packet is made in the epoch."""
        _, _, epoch, number, _ = record
        return self._create(r, t, f"e{epoch._number}{self._s}", f"p{number}{self._s}")

    def write_consume(self, r: str, t: str, record: Record) -> str:
        """A packet is consumed, inside or in an output port."""
        _, _, epoch, number, port = record
        template = self._templates.get(port) or self._new(
            port, lambda r, t, e, p: self._consume(r, t, p, self._place(e, port))
        )
        return template(r, t, f"e{epoch._number}{self._s}", f"p{number}{self._s}")

    def write_load(self, r: str, t: str, record: Record) -> str:
        """A packet goes into an output port."""
        _, _, epoch, number, port = record
        return self._load(r, t, f"e{epoch._number}{self._s}", f"p{number}{self._s}", port)

    def write_send(self, r: str, t: str, record: Record) -> str:
        """A salvo is sent."""
        _, _, epoch, condition, salvo = record
        return self._send(r, t, epoch.id, epoch._door, condition, [(port, f"p{p}{self._s}") for port, p in salvo])

    def write_send_value(self, r: str, t: str, record: Record) -> str:
        """A packet is made, loaded and sent."""
        _, _, epoch, exit, number = record
        template = self._templates.get(exit)
        if template is None:
            (port,) = [port for port, sender in epoch._door.senders.items() if sender is exit]
            template = self._new(
                exit,
                lambda r, t, e, p: (
                    self._create(r, t, e, p)
                    + self._load(r, t, e, p, port, 3)
                    + self._send(r, t, e, epoch._door, exit.name, [(port, p)], 5)
                ),
            )
        return template(r, t, f"e{epoch._number}{self._s}", f"p{number}{self._s}")

    def write_unsent(self, r: str, t: str, record: Record) -> str:
        """A packet is made, perhaps loaded, and consumed, since it could not be sent."""
        _, _, epoch, number, port = record
        e, p = f"e{epoch._number}{self._s}", f"p{number}{self._s}"
        loaded = "" if port is None else self._load(r, t, e, p, port, 3)
        return self._create(r, t, e, p) + loaded + self._consume(r, t, p, self._place(e, port), 5 if loaded else 3)

    def write_take_out(self, r: str, t: str, record: Record) -> str:
        """Packets outside the net leave the simulator."""
        packets = [f"p{number}{self._s}" for number in record[2]]
        return "".join([self._consume(r, t, p, _OUTSIDE, 2 * n + 1) for n, p in enumerate(packets)])


# %% [markdown]
# The start and the end of an epoch. What it was started with is in the `in_salvo` of `EpochCreated`: the simulator is given
# an empty salvo, and the packets are brought in one by one.


# %%
#|exporti
_VERDICTS = {
    Verdict.RETRY: "retry",
    Verdict.GIVE_UP: "failed",
    Verdict.CANCEL: "cancelled",
    Verdict.GIVE_BACK: "given back",
}
_ENDINGS = {ending: ending.name.lower().replace("_", " ") for ending in Ending}


class EpochLines(ActLines):
    """How epochs begin and end."""

    def _start(self, r: str, t: str, e: str, door: Door, condition: str, came: list[tuple[str, str, Any]]) -> str:
        """`came`: each packet that enters, with its port and its wire."""
        node, by = f'"epoch_id":"{e}","node_name":{self._q(door.node_name)}', f'"salvo_condition":{self._q(condition)}'
        salvo = f'{{{by},"packets":[{self._pairs((port, p) for port, p, _ in came)}]}}'
        lines = [_action(r, 1, t, "CreateEpoch", f"{node},{by}")]
        lines.append(self._event(r, 2, 1, t, "EpochCreated", f'{node},"in_salvo":{salvo}'))
        k, inside = 3, self._place(e, None)
        for _, p, wire in reversed(came):
            place, packet = _OUTSIDE if wire is None else self._edge(wire), f'"packet_id":"{p}"'
            if wire is None:
                lines.append(self._create(r, t, "", p, k))
                k += 2
            lines.append(_action(r, k, t, "TransportPacketToLocation", f'{packet},"to":{inside}'))
            lines.append(self._event(r, k + 1, k, t, "PacketMoved", f'{packet},"from":{place},"to":{inside}'))
            k += 2
        return "".join(lines) + self._turn(r, t, e, "StartEpoch", "EpochStarted", k)

    def _turn(self, r: str, t: str, e: str, action: str, event: str, k: int = 1) -> str:
        about = f'"epoch_id":"{e}"'
        return _action(r, k, t, action, about) + self._event(r, k + 1, k, t, event, about)

    def write_start(self, r: str, t: str, record: Record) -> str:
        """An epoch is created, its packets are brought into it, and it is started."""
        _, _, epoch, wires = record
        door, condition, s = epoch._door, epoch._condition, self._s
        ports = [port for port, packets in epoch.by_port().items() for _ in packets]
        packets = [f"p{packet._number}{s}" for packet in epoch._entered]
        return self._start(r, t, epoch.id, door, condition, list(zip(ports, packets, reversed(wires), strict=True)))

    def write_start_one(self, r: str, t: str, record: Record) -> str:
        """The same for one packet that comes over an edge."""
        self._began, _, epoch, wire = record
        self._began_t = t
        key = (wire, epoch._condition)
        template = self._templates.get(key) or self._new(
            key,
            lambda r, t, e, p: self._start(r, t, e, epoch._door, epoch._condition, [(wire.gate.port, p, wire)]),
        )
        return template(r, t, f"e{epoch._number}{self._s}", f"p{epoch._entered[0]._number}{self._s}")

    def write_finish(self, r: str, t: str, record: Record) -> str:
        """An epoch has finished, and so has an attempt at it."""
        _, _, epoch, number, begun, where = record
        template = self._templates.get((epoch._door, number, where))
        if template is None:
            template = self._new((epoch._door, number, where), self._finish_of(epoch._door.node_name, number, where))
        moment = self._began_t[-29:-2] if begun == self._began else self._moment(begun)
        return template(r, t, f"e{epoch._number}{self._s}", f'{moment}","ended":"{t[-29:-2]}')

    def _finish_of(self, node: str, number: int, where: tuple[str, str | None]) -> Template:
        def make(r: str, t: str, e: str, p: str) -> str:
            finished = self._turn(r, t, e, "FinishEpoch", "EpochFinished")
            return finished + self._attempt(r, t, e, node, number, *where, p, "finished", "finished", None, 3)

        return make

    def write_cancel(self, r: str, t: str, record: Record) -> str:
        """An epoch is cancelled, with what it held."""
        _, _, epoch, held = record
        e = epoch.id
        lines = [_action(r, 1, t, "CancelEpoch", f'"epoch_id":"{e}"')]
        for k, (number, port) in enumerate(held, 2):
            about = f'"packet_id":"p{number}{self._s}","location":{self._place(e, port)}'
            lines.append(self._event(r, k, 1, t, "PacketDestroyed", about))
        return "".join(lines) + self._event(r, len(held) + 2, 1, t, "EpochCancelled", f'"epoch_id":"{e}"')

    write_give_back = write_cancel

    def write_attempt(self, r: str, t: str, record: Record) -> str:
        """An attempt has ended that was not committed."""
        _, _, epoch, number, begun, (carrier, worker), verdict, ending, error = record
        between, e = f'{self._moment(begun)}","ended":"{t[-29:-2]}', epoch.id
        return self._attempt(r, t, e, epoch.node_name, number, carrier, worker, between, verdict, ending, error)

    def _attempt(
        self,
        r: str,
        t: str,
        e: str,
        node: str,
        number: int,
        carrier: str,
        worker: str | None,
        between: str,
        verdict: str,
        ending: str,
        error: str | None,
        k: int = 1,
    ) -> str:
        which = f'"epoch_id":"{e}","node_name":{self._q(node)},"attempt":{number}'
        where = f'"carrier":"{carrier}","worker":{"null" if worker is None else self._q(worker)}'
        how = f'"verdict":"{verdict}","ending":"{ending}","error":{"null" if error is None else self._q(error)}'
        return f'{{"type":"epoch","id":"h{r}.{k}{t}{which},{where},"begun":"{between}",{how}}}\n'


# %% [markdown]
# How many lines a record has is known without writing them:


# %%
#|exporti
_FIXED = {"start_one": 6, "create": 2, "consume": 2, "load": 2, "send_value": 7, "finish": 3, "attempt": 1}


def _size_of(record: Record) -> int:
    """How many entries a record stands for, if that is not fixed."""
    _, word, *about = record
    if word == "start":
        wires: list[Any] = about[1]
        return 4 + 2 * len(wires) + 2 * wires.count(None)
    if word == "unsent":
        return 4 if about[2] is None else 6
    if word == "take_out":
        return 2 * len(about[0])
    return 2 + len(about[-1])  # send, cancel, give_back


# %%
from types import SimpleNamespace

epoch = SimpleNamespace(id="e1-demo", _number=1)
for about in [("create", epoch, 7, None), ("unsent", epoch, 7, "out"), ("cancel", epoch, [(3, None), (4, "out")])]:
    record = (0.25, *about)
    lines = EpochLines("-demo").write(1, [record]).splitlines()
    assert len(lines) == (_FIXED.get(record[1]) or _size_of(record))
    print(*(entry_of(line) for line in lines), sep="\n", end="\n\n")

# %% [markdown]
# ## The file
#
# Whole lines are appended. What a crash has torn off is cut away when the file is opened again; when a write fails, so is
# the part of it that went through. While a net writes to a file no other one may: the file is locked, for other processes
# too where the system can do that.


# %%
#|exporti
_open_files: dict[str, "HistoryFile"] = {}  # by real path, those that nets of this process write to


class HistoryFile:
    """A file of lines. Raises `ConfigError` when it cannot be opened, or another net has it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._real = os.path.realpath(self.path)
            if self._real in _open_files:
                raise self._taken()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab+", buffering=0)
            try:
                self._lock()
                self._cut_torn_line()
            except BaseException:
                self._file.close()
                raise
        except ConfigError:
            raise
        except (OSError, ValueError) as error:  # ValueError: no path can be like this
            raise ConfigError(f"history_file {str(self.path)!r} cannot be opened: {_told(error)}.") from error
        _open_files[self._real] = self

    def append(self, text: str) -> None:
        """Append whole lines. Raises `OSError`, and then the file is as before."""
        content = text.encode()
        before = self.must_be_there().st_size
        try:
            if self._file.write(content) != len(content):
                raise OSError(f"{self.path}: no room for all lines")
        except OSError:
            self._cut(before)
            raise

    def must_be_there(self) -> os.stat_result:
        """What the system knows of the file. Raises `FileNotFoundError` when somebody has removed it."""
        stat = os.fstat(self._file.fileno())
        if stat.st_nlink == 0:
            raise FileNotFoundError(f"{self.path} was removed")
        return stat

    def close(self) -> None:
        """Let others have it, even if a child of this process has it open still."""
        _open_files.pop(self._real, None)
        self._lock(release=True)
        self._file.close()

    def leave(self) -> None:
        """In a process that was forked off: it is the parent's, and so is the lock."""
        self._file.close()

    def _taken(self) -> ConfigError:
        return ConfigError(f"another net writes to history_file {str(self.path)!r}; stop it, or name another file.")

    def _lock(self, release: bool = False) -> None:
        try:
            from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
        except ImportError:  # Windows
            return
        try:
            flock(self._file.fileno(), LOCK_UN if release else LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise self._taken() from None
        except OSError:  # a file system without locks
            return

    def _cut_torn_line(self) -> None:
        """What comes after the last whole line goes."""
        end = size = self._file.seek(0, os.SEEK_END)
        tail = b""
        while end > 0 and b"\n" not in tail:
            begin = max(0, end - 65536)
            self._file.seek(begin)
            tail, end = self._file.read(end - begin), begin
        whole = end + tail.rfind(b"\n") + 1
        if whole < size:
            _warn(f"{self.path}: the last line is torn ({size - whole} bytes), and is cut off.")
            self._cut(whole)

    def last_number(self) -> int:
        """The number of the record that the last line is of; 0 where there is none."""
        self._file.seek(max(0, self._file.seek(0, os.SEEK_END) - 65536))
        last = self._file.read().splitlines()[-1:]
        try:
            return int(entry_of(last[0]).id[1:].partition(".")[0]) if last else 0
        except (ValueError, KeyError):
            return 0

    def _cut(self, size: int) -> None:
        if self._file.seek(0, os.SEEK_END) > size:
            self._file.truncate(size)


def _leave_files() -> None:
    """A child that outlives its parent must not keep the parent's files locked."""
    while _open_files:
        _open_files.popitem()[1].leave()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_files)


def read_entries(path: str | os.PathLike[str]) -> list[HistoryEntry]:
    """The entries of a file. One warning tells of lines that cannot be read."""
    *lines, torn = Path(path).read_bytes().split(b"\n")
    entries, bad = [], [f"the last line is torn ({len(torn)} bytes)"] if torn else []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(entry_of(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            bad.append(f"line {number} cannot be read ({_told(error)})")
    if bad:
        _warn(f"{path}: {'; '.join(bad[:3])}{' …' if bad[3:] else ''}: left out.")
    return entries


def _warn(text: str) -> None:
    """Warn. Where warnings are errors, log it: what is told here must stop nothing."""
    from warnings import warn

    try:
        warn(text, RuntimeWarning, stacklevel=4)
    except RuntimeWarning:
        from logging import getLogger

        getLogger("netrun").error("%s", text)


# %%
import tempfile
import warnings

with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    path = Path(folder) / "history.jsonl"
    path.write_text(line + "\n" + line[:40])  # somebody was killed here
    assert [entry.id for entry in read_entries(path)] == ["h2-demo"]
    file = HistoryFile(path)
    try:
        HistoryFile(path)
    except ConfigError as error:
        print(error)
    else:
        raise AssertionError("two would write to one file")
    file.append(line.replace("h2", "h3") + "\n")
    file.close()
    assert [entry.id for entry in read_entries(path)] == ["h2-demo", "h3-demo"]
print(*(one.message for one in warned), sep="\n")

# %% [markdown]
# ## The recorder
#
# What is told goes to `fresh` as it is. Every some hundred records, and when somebody looks, it is *digested*: counted,
# written to the file, and kept, a chunk at a time, as far as the bound allows. The driver does that between two attempts, and
# an attempt that makes thousands of packets does it itself.


# %%
#|exporti
_ENDS, _ATTEMPT = ("finish", "attempt"), '{"type":"epoch",'
_DIGEST = 256  # records that may be fresh, where there is no file
_MOST_OF_AN_ERROR = 10_000  # characters
_LINES_A_RECORD = 5  # about so many, see `history_chunk_size`


class Chunk(NamedTuple):
    """Records that were digested together. `first` is the number of the first, `size` how many entries they stand for.
    What comes from a checkpoint is lines already."""

    first: int
    size: int
    records: list[Record] | str


class Recorder:
    """Hears, counts, keeps and writes."""

    def __init__(self, suffix: str, max_size: int, file: HistoryFile | None, chunk_size: int) -> None:
        self.suffix, self.max_size = suffix, max_size
        self.lost = 0  # entries that could not be written
        self.error: OSError | None = None
        self.closes: deque[float] = deque(maxlen=1000)  # when each run was closed
        self._file, self._pid = file, os.getpid()
        self._path = None if file is None else file.path
        self._lock = RLock()
        self._fresh: list[Record] = []
        self._kept: deque[Chunk] = deque()
        self._size = 0  # of all chunks
        self._next = 1  # the number of the next record
        self._lines: EpochLines | None = None
        self._most = _DIGEST if file is None else max(1, chunk_size // _LINES_A_RECORD)
        self.note = self._fresh.append

    def observe(self, attempt: Attempt, verdict: Verdict, ending: Ending, error: BaseException | None) -> None:
        """An attempt has ended."""
        fresh = self._fresh
        if verdict is not Verdict.COMMIT:  # that is told with the finish of its epoch
            text = None if error is None else _told(error)[:_MOST_OF_AN_ERROR]
            facts = len(attempt.earlier) + 1, attempt.since, attempt.where(), _VERDICTS[verdict], _ENDINGS[ending], text
            fresh.append((time(), "attempt", attempt.epoch, *facts))
        if len(fresh) > self._most:
            self.digest()

    def rest(self, flushes: bool, is_closed: bool) -> None:
        """A run has come to rest, and is perhaps closed."""
        if is_closed:
            self.closes.append(time())
        if flushes:
            self.flush()

    def flush(self) -> None:
        """Write what is fresh, and see that the file is there."""
        with self._lock:
            self.digest()
            if self._writes():
                self._try(lambda file: file.must_be_there())

    def digest(self) -> None:
        """Count what is fresh, write it, and keep it as far as the bound allows."""
        with self._lock:
            records = self._fresh[:]
            if not records:
                return
            size = sum([_FIXED.get(record[1]) or _size_of(record) for record in records])
            chunk = Chunk(self._next, size, records)
            text = self._written(chunk) if self._writes() else None  # what takes long comes before anything changes
            del self._fresh[: len(records)]  # others may have appended meanwhile
            self._next += len(records)
            self._keep(chunk)
            if text is not None:
                self._append(text, chunk.size)

    def _keep(self, chunk: Chunk) -> None:
        self._kept.append(chunk)
        self._size += chunk.size
        while self._kept and self._size - self._kept[0].size >= self.max_size:
            self._size -= self._kept.popleft().size

    def _writes(self) -> bool:
        """Whether there is a file. In a process that was forked off it is not ours."""
        return self._file is not None and self._pid == os.getpid()

    def _append(self, text: str, entries: int) -> None:
        if not self._try(lambda file: file.append(text)):
            self.lost += entries

    def _try(self, act: Callable[[HistoryFile], object]) -> bool:
        """Do something with the file. Whether it went well; if not, there is one warning."""
        assert self._file is not None
        try:
            act(self._file)
        except OSError as error:
            first, self.error = self.error is None, error
            if first:
                _warn(f"history_file {str(self._file.path)!r} cannot be written, the net goes on: {_told(error)}.")
            return False
        return True

    def _written(self, chunk: Chunk) -> str:
        """The lines of a chunk."""
        if isinstance(chunk.records, str):
            return chunk.records
        if self._lines is None:
            self._lines = EpochLines(self.suffix)
        return self._lines.write(chunk.first, chunk.records)

    def size(self) -> int:
        """How many entries are kept."""
        with self._lock:
            self.digest()
            return min(self.max_size, self._size)

    def entries(self) -> list[HistoryEntry]:
        """What is kept, oldest first."""
        return [entry_of(line) for line in self.lines(*self.state()[1:])]

    def state(self) -> tuple[int, int, list[Chunk]]:
        """The number of the next record, how many entries are kept, and what has them, for `lines`."""
        with self._lock:
            size = self.size()
            return self._next, size, list(self._kept)

    def lines(self, size: int, chunks: list[Chunk]) -> list[str]:
        """What was kept then, as lines."""
        with self._lock:
            lines = "".join([self._written(chunk) for chunk in chunks]).splitlines()
        return lines[len(lines) - size :]

    def attempts(self) -> list[str]:
        """The lines of the attempts among what is kept, oldest first. Nothing else is written out for that."""
        _, size, chunks = self.state()
        beyond = sum(chunk.size for chunk in chunks) - size  # of the first chunk
        lines = list[str]()
        with self._lock:
            for chunk in chunks:
                if not beyond and not isinstance(chunk.records, str):
                    ends = [record for record in chunk.records if record[1] in _ENDS]
                    chunk = chunk._replace(records=ends)
                lines += self._written(chunk).splitlines()[beyond:]
                beyond = 0
        return [line for line in lines if line.startswith(_ATTEMPT)]

    def attempts_on_file(self) -> list[str]:
        """The lines of all attempts in the file that have ids of this net; of those that are kept, if there is no file to
        read."""
        if self._path is None:
            return self.attempts()
        self.flush()
        try:
            with open(self._path, encoding="utf-8", newline="\n") as file:
                return [line for line in file if line.startswith(_ATTEMPT) and f'{self.suffix}","timestamp"' in line]
        except OSError:
            return self.attempts()

    def take_up(self, suffix: str, number: int, lines: list[str]) -> None:
        """Go on from what another net has recorded. Numbers that are in the file already are not given again."""
        with self._lock:
            self.suffix, self._lines = suffix, None
            self._next = number if self._file is None else max(number, self._file.last_number() + 1)
            if lines:
                self._keep(Chunk(0, len(lines), "".join([line + "\n" for line in lines])))

    def close(self) -> None:
        """Write what is fresh, and let go of the file. In a process that was forked it is not ours, and nor is the lock."""
        if self._pid != os.getpid():
            return
        with self._lock:
            self.flush()
            file, self._file = self._file, None
            if file is not None:
                file.close()


# %% [markdown]
# What is told a thousand times is kept as far as it may be, the newest last:

# %%
recorder = Recorder("-demo", max_size=10, file=None, chunk_size=100)
for number in range(1000):
    recorder.note((time(), "create", epoch, number, None))
entries = recorder.entries()
assert len(entries) == recorder.size() == 10 and entries[-1].data["packet_id"] == "p999-demo"
assert [entry.action_type or entry.event_type for entry in entries[:2]] == ["CreatePacket", "PacketCreated"]
print(entries[-2], entries[-1], sep="\n")
