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
#   Ledger ── note(word, about...) ──┐
#   engine ── observe(outcome) ──────┴─> fresh ── digest ──> kept, at most history_max_size entries
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
from weakref import finalize

from netrun.core import ConfigError, _told
from netrun.execution import Outcome, Verdict
from netrun.packets import Epoch
from netrun.routing import Wire

# %% [markdown]
# ## An entry
#
# | `entry_type` | what it is | `data` |
# |---|---|---|
# | `action` | something done on the net | what it was done to |
# | `event` | what an action caused; `action_id` says which | the packet or epoch, and where it was and is |
# | `epoch` | an attempt at an epoch that has ended | `epoch_id`, `node_name`, `attempt`, `carrier`, `worker`, `begun`, `ended`, `verdict`, `ending`, `error` |


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
# One method for each word that the Ledger says, each with the actions and events that it stands for. There may be a dozen of
# lines for one epoch, so they are put together as text, of parts that are made once.


# %%
#|exporti
def _quoted() -> Callable[[str], str]:
    """A function that gives text as JSON, and remembers it: names come again and again."""
    from functools import lru_cache
    from json import dumps

    return lru_cache(maxsize=4096)(dumps)


class Moments:
    """Moments as text, in UTC. What stays the same within a second is made once."""

    def __init__(self) -> None:
        self._second, self._prefix = -1, ""

    def text(self, at: float) -> str:
        """A moment in ISO format."""
        second = int(at)
        if second != self._second:
            self._second, self._prefix = second, strftime("%Y-%m-%dT%H:%M:%S.", gmtime(second))
        return f"{self._prefix}{int((at - second) * 1e6):06d}+00:00"


class Lines:
    """Writes what the Ledger tells. `write` gives the lines of one record, the first of which has the number `n`."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self._moments = Moments()
        self._q = _quoted()
        self._places: dict[Any, str] = {}  # of wires

    def write(self, n: int, at: float, word: str, *about: Any) -> str:
        """The lines of a record."""
        s = self._suffix
        tail = f'{s}","timestamp":"{self._moments.text(at)}",'
        text: str = getattr(self, "_" + word)(n, s, tail, *about)
        return text

    def _edge(self, wire: Wire) -> str:
        place = self._places.get(wire)
        if place is None:
            q, edge = self._q, wire.edge
            assert edge is not None
            ends = (edge.source, edge.target)
            source, target = (f'{{"node_name":{q(end.node_name)},"port_name":{q(end.port_name)}}}' for end in ends)
            place = self._places[wire] = f'{{"kind":"Edge","source":{source},"target":{target}}}'
        return place

    def _inside(self, epoch: Epoch, port: str | None = None) -> str:
        """Where a packet of an epoch is: inside, or in an output port."""
        node = f'"node_name":{self._q(epoch.node_name)},"epoch_id":"{epoch.id}"'
        return (
            f'{{"kind":"Node",{node}}}'
            if port is None
            else f'{{"kind":"OutputPort",{node},"port_name":{self._q(port)}}}'
        )

    def _beyond(self, epoch: Epoch, port: str) -> str | None:
        """The edge behind an output port, if there is one."""
        out = epoch._door.outs[port]
        return self._edge(out) if isinstance(out, Wire) else None

    def _salvo(self, s: str, packets: Iterable[tuple[str, int]]) -> str:
        return ",".join([f'[{self._q(port)},"p{number}{s}"]' for port, number in packets])


# %% [markdown]
# The acts of a running epoch:


# %%
#|exporti
_OUTSIDE = '{"kind":"OutsideNet"}'
_ACTION, _EVENT = '{"type":"action","id":"h', '{"type":"event","id":"h'


class ActLines(Lines):
    """What a running epoch does."""

    def _create(self, n: int, s: str, t: str, epoch: Epoch, p: int, _port: None) -> str:
        return (
            f'{_ACTION}{n}{t}"action":"CreatePacket","packet_id":"p{p}{s}","epoch_id":"{epoch.id}"}}\n'
            f'{_EVENT}{n + 1}{t}"event":"PacketCreated","action_id":"h{n}{s}","packet_id":"p{p}{s}"}}\n'
        )

    def _consume(self, n: int, s: str, t: str, epoch: Epoch, p: int, port: str | None) -> str:
        return self._gone(n, s, t, p, self._inside(epoch, port))

    def _gone(self, n: int, s: str, t: str, p: int, place: str) -> str:
        return (
            f'{_ACTION}{n}{t}"action":"ConsumePacket","packet_id":"p{p}{s}"}}\n'
            f'{_EVENT}{n + 1}{t}"event":"PacketConsumed","action_id":"h{n}{s}","packet_id":"p{p}{s}","location":{place}}}\n'
        )

    def _load(self, n: int, s: str, t: str, epoch: Epoch, p: int, port: str) -> str:
        return (
            f'{_ACTION}{n}{t}"action":"LoadPacketIntoOutputPort","packet_id":"p{p}{s}","port_name":{self._q(port)}}}\n'
            f'{_EVENT}{n + 1}{t}"event":"PacketMoved","action_id":"h{n}{s}","packet_id":"p{p}{s}",'
            f'"from":{self._inside(epoch)},"to":{self._inside(epoch, port)}}}\n'
        )

    def _send(self, n: int, s: str, t: str, epoch: Epoch, condition: str, salvo: list[tuple[str, int]]) -> str:
        q, id, link = self._q, epoch.id, f'"action_id":"h{n}{s}"'
        named = f'"epoch_id":"{id}","salvo_condition":{q(condition)}'
        lines = [f'{_ACTION}{n}{t}"action":"SendOutputSalvo",{named}}}\n']
        for k, (port, p) in enumerate(salvo, n + 1):
            edge = self._beyond(epoch, port)
            if edge is not None:
                lines.append(
                    f'{_EVENT}{k}{t}"event":"PacketMoved",{link},"packet_id":"p{p}{s}",'
                    f'"from":{self._inside(epoch, port)},"to":{edge}}}\n'
                )
            else:
                lines.append(
                    f'{_EVENT}{k}{t}"event":"PacketOrphaned",{link},"packet_id":"p{p}{s}",{named},'
                    f'"node_name":{q(epoch.node_name)},"port_name":{q(port)}}}\n'
                )
        lines.append(
            f'{_EVENT}{n + len(salvo) + 1}{t}"event":"OutputSalvoTriggered",{link},{named},'
            f'"packets":[{self._salvo(s, salvo)}]}}\n'
        )
        return "".join(lines)

    def _send_value(self, n: int, s: str, t: str, epoch: Epoch, condition: str, port: str, p: int) -> str:
        created, loaded = self._create(n, s, t, epoch, p, None), self._load(n + 2, s, t, epoch, p, port)
        return created + loaded + self._send(n + 4, s, t, epoch, condition, [(port, p)])

    def _unsent(self, n: int, s: str, t: str, epoch: Epoch, p: int, port: str | None) -> str:
        created = self._create(n, s, t, epoch, p, None)
        loaded = "" if port is None else self._load(n + 2, s, t, epoch, p, port)
        return created + loaded + self._consume(n + 2 + 2 * bool(loaded), s, t, epoch, p, port)

    def _take_out(self, n: int, s: str, t: str, numbers: list[int]) -> str:
        return "".join([self._gone(n + 2 * k, s, t, p, _OUTSIDE) for k, p in enumerate(numbers)])


# %% [markdown]
# The start and the end of an epoch. What it was started with is in the `in_salvo` of `EpochCreated`: the simulator is given
# an empty salvo, and the packets are brought in one by one.


# %%
#|exporti
_VERDICTS = {
    Verdict.COMMIT: "finished",
    Verdict.RETRY: "retry",
    Verdict.GIVE_UP: "failed",
    Verdict.CANCEL: "cancelled",
    Verdict.GIVE_BACK: "given back",
}


class EpochLines(ActLines):
    """How epochs begin and end."""

    def _start(self, n: int, s: str, t: str, epoch: Epoch, wires: list[Wire | None]) -> str:
        q, id, inside = self._q, epoch.id, self._inside(epoch)
        node = f'"epoch_id":"{id}","node_name":{q(epoch.node_name)}'
        salvo = self._salvo(s, _entered(epoch))
        lines = [
            f'{_ACTION}{n}{t}"action":"CreateEpoch",{node},"salvo_condition":{q(epoch._condition)}}}\n'
            f'{_EVENT}{n + 1}{t}"event":"EpochCreated","action_id":"h{n}{s}",{node},'
            f'"in_salvo":{{"salvo_condition":{q(epoch._condition)},"packets":[{salvo}]}}}}\n'
        ]
        k = n + 2
        for packet, wire in zip(reversed(epoch._entered), wires, strict=True):
            p = packet._number
            if wire is None:
                lines.append(
                    f'{_ACTION}{k}{t}"action":"CreatePacket","packet_id":"p{p}{s}","epoch_id":null}}\n'
                    f'{_EVENT}{k + 1}{t}"event":"PacketCreated","action_id":"h{k}{s}","packet_id":"p{p}{s}"}}\n'
                )
                k += 2
            lines.append(
                f'{_ACTION}{k}{t}"action":"TransportPacketToLocation","packet_id":"p{p}{s}","to":{inside}}}\n'
                f'{_EVENT}{k + 1}{t}"event":"PacketMoved","action_id":"h{k}{s}","packet_id":"p{p}{s}",'
                f'"from":{_OUTSIDE if wire is None else self._edge(wire)},"to":{inside}}}\n'
            )
            k += 2
        lines.append(
            f'{_ACTION}{k}{t}"action":"StartEpoch","epoch_id":"{id}"}}\n'
            f'{_EVENT}{k + 1}{t}"event":"EpochStarted","action_id":"h{k}{s}","epoch_id":"{id}"}}\n'
        )
        return "".join(lines)

    def _finish(self, n: int, s: str, t: str, epoch: Epoch) -> str:
        id = epoch.id
        return (
            f'{_ACTION}{n}{t}"action":"FinishEpoch","epoch_id":"{id}"}}\n'
            f'{_EVENT}{n + 1}{t}"event":"EpochFinished","action_id":"h{n}{s}","epoch_id":"{id}"}}\n'
        )

    def _cancel(self, n: int, s: str, t: str, epoch: Epoch, held: list[tuple[int, str | None]]) -> str:
        id, link = epoch.id, f'"action_id":"h{n}{s}"'
        lines = [f'{_ACTION}{n}{t}"action":"CancelEpoch","epoch_id":"{id}"}}\n']
        for k, (p, port) in enumerate(held, n + 1):
            place = self._inside(epoch, port)
            lines.append(f'{_EVENT}{k}{t}"event":"PacketDestroyed",{link},"packet_id":"p{p}{s}","location":{place}}}\n')
        lines.append(f'{_EVENT}{n + len(held) + 1}{t}"event":"EpochCancelled",{link},"epoch_id":"{id}"}}\n')
        return "".join(lines)

    _give_back = _cancel

    def _attempt(self, n: int, s: str, t: str, epoch: Epoch, of: "AttemptFacts", ended: float) -> str:
        q, text = self._q, self._moments.text
        worker = "null" if of.worker is None else q(of.worker)
        error = "null" if of.error is None else q(of.error)
        return (
            f'{{"type":"epoch","id":"h{n}{t}"epoch_id":"{epoch.id}","node_name":{q(epoch.node_name)},'
            f'"attempt":{of.number},"carrier":"{of.carrier}","worker":{worker},"begun":"{text(of.begun)}",'
            f'"ended":"{text(ended)}","verdict":"{_VERDICTS[of.verdict]}","ending":"{of.ending}","error":{error}}}\n'
        )


class AttemptFacts(NamedTuple):
    """What an epoch record says of an attempt, beside its epoch."""

    number: int
    carrier: str
    worker: str | None
    begun: float
    verdict: Verdict
    ending: str
    error: str | None


def _entered(epoch: Epoch) -> list[tuple[str, int]]:
    """The packets that an epoch was started with, as pairs of port and number."""
    return [(port, packet._number) for port, packets in epoch.by_port().items() for packet in packets]


# %% [markdown]
# How many lines a record has is known without writing them:


# %%
#|exporti
def _start_size(epoch: Epoch, wires: list[Wire | None]) -> int:
    return 4 + 2 * len(wires) + 2 * wires.count(None)


_SIZES: dict[str, Callable[..., int]] = {
    "start": _start_size,
    "send": lambda epoch, condition, salvo: 2 + len(salvo),
    "unsent": lambda epoch, number, port: 4 if port is None else 6,
    "take_out": lambda numbers: 2 * len(numbers),
    "cancel": lambda epoch, held: 2 + len(held),
    "give_back": lambda epoch, held: 2 + len(held),
}
_FIXED = {"create": 2, "consume": 2, "load": 2, "send_value": 7, "finish": 2, "attempt": 1}


def size_of(word: str, about: tuple[Any, ...]) -> int:
    """How many entries a record stands for."""
    return _FIXED.get(word) or _SIZES[word](*about)


# %% [markdown]
# ## The file
#
# Whole lines are appended. What a crash has torn off is cut away when the file is opened again; when a write fails, so is
# the part of it that went through. While a net writes to a file no other one may: the file is locked, for other processes
# too where the system can do that.


# %%
#|exporti
_open_files: set[str] = set()  # the real paths that nets of this process write to


class HistoryFile:
    """A file of lines. Raises `ConfigError` when it cannot be opened, or another net has it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._real = os.path.realpath(self.path)
        if self._real in _open_files:
            raise self._taken()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab+", buffering=0)
        except OSError as error:
            raise ConfigError(f"history_file {str(self.path)!r} cannot be opened: {_told(error)}.") from error
        try:
            self._lock()
            self._cut_torn_line()
        except BaseException:
            self._file.close()
            raise
        _open_files.add(self._real)

    def append(self, text: str) -> None:
        """Append whole lines. Raises `OSError`, and then the file is as before."""
        content = text.encode()
        if os.fstat(self._file.fileno()).st_nlink == 0:
            raise FileNotFoundError(f"{self.path} was removed")
        begun = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(content) != len(content):
                raise OSError(f"{self.path}: no room for all lines")
        except OSError:
            self._cut(begun)
            raise

    def close(self) -> None:
        """Let others have it."""
        _open_files.discard(self._real)
        self._file.close()

    def _taken(self) -> ConfigError:
        return ConfigError(f"another net writes to history_file {str(self.path)!r}; stop it, or name another file.")

    def _lock(self) -> None:
        try:
            from fcntl import LOCK_EX, LOCK_NB, flock
        except ImportError:  # Windows
            return
        try:
            flock(self._file.fileno(), LOCK_EX | LOCK_NB)
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

    def _cut(self, size: int) -> None:
        if self._file.seek(0, os.SEEK_END) > size:
            self._file.truncate(size)


def read_entries(path: str | os.PathLike[str]) -> list[HistoryEntry]:
    """The entries of a file. One warning tells of lines that cannot be read."""
    *lines, torn = Path(path).read_bytes().split(b"\n")
    entries, bad = [], [f"the last line is torn ({len(torn)} bytes)"] if torn else []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(entry_of(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            bad.append(f"line {number} cannot be read ({_told(error)})")
    if bad:
        _warn(f"{path}: {'; '.join(bad[:3])}{' …' if bad[3:] else ''}: left out.")
    return entries


def _warn(text: str) -> None:
    from warnings import warn

    warn(text, RuntimeWarning, stacklevel=4)


# %% [markdown]
# ## The recorder
#
# What is told goes to `fresh` as it is. Every some hundred records, and when somebody looks, it is *digested*: counted,
# written to the file, and kept as far as the bound allows. The driver does that between two attempts. An act does it only
# when an epoch has told so much that it cannot wait, since an act holds the Ledger's lock.


# %%
#|exporti
_DIGEST = 256  # records that may be fresh, where there is no file
_LINES_A_RECORD = 4  # about so many, see `history_chunk_size`
_PATIENCE = 8  # times as many may be fresh in the middle of an attempt


class Recorder:
    """Hears, counts, keeps and writes."""

    def __init__(self, suffix: str, max_size: int, file: HistoryFile | None, chunk_size: int) -> None:
        self.suffix, self.max_size = suffix, max_size
        self.lost = 0  # entries that could not be written
        self.error: OSError | None = None
        self.runs: deque[tuple[float, float]] = deque(maxlen=1000)  # when each run began and ended
        self._file, self._pid = file, os.getpid()
        self._lock = RLock()
        self._fresh: deque[tuple[float, tuple[Any, ...]]] = deque()
        self._kept: deque[tuple[int, float, tuple[Any, ...]]] = deque()  # each with its number
        self._next = 1  # the number of the next entry
        self._lines: EpochLines | None = None
        self._run_began: float | None = None
        self._most = _DIGEST if file is None else max(1, chunk_size // _LINES_A_RECORD)
        self.note = self._listener()

    def _listener(self) -> Callable[..., float]:
        fresh, append, most = self._fresh, self._fresh.append, _PATIENCE * self._most

        def note(*record: Any) -> float:
            at = time()
            append((at, record))
            if len(fresh) > most:
                self.digest()
            return at

        return note

    def observe(self, outcome: Outcome, verdict: Verdict) -> None:
        """An attempt has ended."""
        attempt, error = outcome.attempt, outcome.error
        worker = attempt.worker_of()
        facts = AttemptFacts(
            len(attempt.earlier) + 1,
            attempt.task.carrier.kind if worker is None else worker.kind,
            None if worker is None else worker.name,
            attempt.since,
            verdict,
            outcome.ending.name.lower().replace("_", " "),
            None if error is None else _told(error),
        )
        ended = time()
        self._fresh.append((ended, ("attempt", attempt.epoch, facts, ended)))
        if self._run_began is None:
            self._run_began = attempt.since
        if len(self._fresh) > self._most:
            self.digest()

    def rest(self, flushes: bool) -> None:
        """A run has come to rest."""
        if self._run_began is not None:
            self.runs.append((self._run_began, time()))
            self._run_began = None
        if flushes:
            self.digest()

    def digest(self) -> None:
        """Count what is fresh, write it, and keep it as far as the bound allows."""
        with self._lock:
            number, text, kept, fresh = self._next, list[str](), self._kept, self._fresh
            writes = self._file is not None and self._pid == os.getpid()
            while fresh:
                at, record = fresh.popleft()
                if writes:
                    text.append(self._write(number, at, record))
                kept.append((number, at, record))
                number += size_of(record[0], record[1:])
            oldest = number - self.max_size
            while kept and (kept[1][0] if len(kept) > 1 else number) <= oldest:
                kept.popleft()
            written, self._next = number - self._next, number
            if text:
                self._append("".join(text), written)

    def _append(self, text: str, entries: int) -> None:
        assert self._file is not None
        try:
            self._file.append(text)
        except OSError as error:
            self.lost += entries
            if self.error is None:
                _warn(f"history_file {str(self._file.path)!r} cannot be written, the net goes on: {_told(error)}.")
            self.error = error

    def _write(self, number: int, at: float, record: tuple[Any, ...]) -> str:
        if self._lines is None:
            self._lines = EpochLines(self.suffix)
        return self._lines.write(number, at, *record)

    def size(self) -> int:
        """How many entries are kept."""
        with self._lock:
            self.digest()
            return 0 if not self._kept else min(self.max_size, self._next - self._kept[0][0])

    def entries(self) -> list[HistoryEntry]:
        """What is kept, oldest first."""
        with self._lock:
            size = self.size()
            lines = "".join([self._write(number, at, record) for number, at, record in self._kept]).splitlines()
        return [entry_of(line) for line in lines[len(lines) - size :]]

    def close(self) -> None:
        """Write what is fresh, and let go of the file."""
        with self._lock:
            self.digest()
            file, self._file = self._file, None
            if file is not None and self._pid == os.getpid():
                file.close()


# %% [markdown]
# ## EventHistory


# %%
#|exporti
def _check_size(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name} must be a whole number from {least} on, not {value!r}.")


# %%
#|export
class EventHistory:
    """What has happened in a net: `net.history`.

    max_size: how many entries are kept in memory; the oldest go first. 0: none.
    file: a path. Entries are appended to it as lines of JSON, in chunks of about `chunk_size`; with `flush_on_pause` also
        when the net pauses or is blocked. At `stop()`, and when the interpreter ends, the rest is written.

    `error` is why the file could last not be written, or None, and `lost` how many entries it lacks because of that: a net
    goes on without its history file. All methods may be called from any thread. Raises `ConfigError` for bad options, a
    file that cannot be opened, and one that another net writes to.
    """

    def __init__(
        self,
        suffix: str = "",
        max_size: int = 10_000,
        file: str | os.PathLike[str] | None = None,
        chunk_size: int = 100,
        flush_on_pause: bool = True,
    ) -> None:
        _check_size("history_max_size", max_size, 0)
        _check_size("history_chunk_size", chunk_size, 1)
        if not isinstance(flush_on_pause, bool):
            raise ConfigError(f"history_flush_on_pause must be True or False, not {flush_on_pause!r}.")
        if file is not None and not isinstance(file, (str, os.PathLike)):
            raise ConfigError(f"history_file must be a path or None, not {file!r}.")
        self._flushes = flush_on_pause
        self._recorder = Recorder(suffix, max_size, None if file is None else HistoryFile(file), chunk_size)
        self.is_kept = max_size > 0 or file is not None
        self._end = finalize(self, self._recorder.close)

    @property
    def error(self) -> OSError | None:
        """Why the file could last not be written, or None."""
        return self._recorder.error

    @property
    def lost(self) -> int:
        """How many entries the file lacks, since they could not be written."""
        return self._recorder.lost

    def get_entries(self) -> list[HistoryEntry]:
        """All entries that are kept, oldest first. Makes them afresh, some microseconds each."""
        return self._recorder.entries()

    def get_actions(self) -> list[HistoryEntry]:
        """The actions among them."""
        return [entry for entry in self.get_entries() if entry.entry_type == "action"]

    def get_events(self) -> list[HistoryEntry]:
        """The events among them."""
        return [entry for entry in self.get_entries() if entry.entry_type == "event"]

    def get_events_for_action(self, action_id: str) -> list[HistoryEntry]:
        """The events that an action has caused, in order."""
        return [entry for entry in self.get_events() if entry.action_id == action_id]

    def flush(self) -> None:
        """Write to the file what is not there yet."""
        self._recorder.digest()

    def rest(self, is_over: bool) -> None:
        """The net has come to rest, or has stopped for good."""
        self._recorder.rest(self._flushes)
        if is_over:
            self._recorder.close()

    @staticmethod
    def read(path: str | os.PathLike[str]) -> list[HistoryEntry]:
        """The entries of a history file, oldest first. A line that is torn or cannot be read is left out, and one warning
        says so. Raises `OSError` where there is no such file."""
        return read_entries(path)

    def __len__(self) -> int:
        return self._recorder.size()

    def __repr__(self) -> str:
        return f"<EventHistory: {len(self)} entries>"
