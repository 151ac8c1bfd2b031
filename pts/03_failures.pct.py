# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Failures: retries and dead letters
#
# What a net does when a node function raises, or runs out of time. The epoch is tried again as often as its node's options
# say; then it is given up, and what it was about to work on becomes a **dead letter** that can be looked at and redriven.
#
# ```
#   attempt fails ─> exec_failed_node_func ─┬─ retries left, and retry_on fits ─> wait ─> next attempt
#                                           │      (a deadline: other nodes run on)
#                                           └─ else: dead letter ─> error_callback ─> epoch cancelled ─> on_error
#                                                    on disk first                       "continue": run on
#                                                                                        "pause": start no more
#                                                                                        "raise": pause, then raise
# ```

# %%
#|default_exp failures

# %%
#|export
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from netrun.books import Lazy
from netrun.core import (
    ConfigError,
    NetrunRuntimeError,
    NetStateError,
    NodeConfig,
    WorkerDied,
    WorkerException,
    _told,
    brief,
)
from netrun.driver import Host, is_async, tell
from netrun.execution import Ending, Outcome
from netrun.ledger import Ledger
from netrun.pickles import to_pickle
from netrun.values import run_coroutine

if TYPE_CHECKING:
    from random import Random

# %% [markdown]
# ## Retries
#
# The wait before retry k is `retry_wait · retry_backoff^(k-1)`, longer or shorter by a random share of up to
# `retry_jitter`. It is a deadline of the engine, never a sleep.
#
# ```
#   retry_wait=1, retry_backoff=2, retries=3:
#   attempt ✗ ──1 s──> attempt ✗ ──2 s──> attempt ✗ ──4 s──> attempt ✗ given up
# ```


# %%
#|exporti
_LONGEST_WAIT = 366 * 86_400.0  # seconds


def retry_delay(config: NodeConfig, retry: int, spread: float = 0.0) -> float:
    """Seconds to wait before retry number `retry` (the first is 1). `spread` from -1 to 1 is where in the jitter it lies.
    At most `_LONGEST_WAIT`."""
    try:
        wait = config.retry_wait * config.retry_backoff ** (retry - 1) * (1 + config.retry_jitter * spread)
    except OverflowError:
        wait = _LONGEST_WAIT if config.retry_wait else 0.0
    return min(wait, _LONGEST_WAIT)


MOST_DEATHS = 3  # workers that an epoch may cost


def _is_one_of(error: BaseException | None, kinds: tuple[type[BaseException], ...]) -> bool:
    """Whether an error is of one of these classes, or stands for one that is."""
    return isinstance(error, kinds) or (isinstance(error, WorkerException) and any(map(error.stands_for, kinds)))


class RetryPolicy:
    """The judge of the engine: after how many seconds is a failed attempt made again? None: never.

    random: where the jitter comes from.
    """

    def __init__(self, random: "Random | None" = None) -> None:
        self._random = random

    def __call__(self, outcome: Outcome) -> float | None:
        """As the options of the attempt's node say. A time-out counts as its `EpochTimeout`."""
        config, retry = outcome.attempt.task.config, len(outcome.attempt.earlier) + 1
        deaths = [error for _, error in outcome.attempt.earlier if isinstance(error, WorkerDied)]
        if retry > config.retries or (isinstance(outcome.error, WorkerDied) and len(deaths) + 1 >= MOST_DEATHS):
            return None
        if config.retry_on is not None and not _is_one_of(outcome.error, config.retry_on):
            return None
        return retry_delay(config, retry, self._spread() if config.retry_jitter else 0.0)

    def _spread(self) -> float:
        from random import Random  # some milliseconds, that only jitter needs

        self._random = self._random or Random()
        return self._random.uniform(-1, 1)


# %%
patient = NodeConfig().merged(retries=3, defer_net_actions=True, retry_wait=1, retry_backoff=2, retry_jitter=0.5)
assert [retry_delay(patient, retry) for retry in (1, 2, 3)] == [1, 2, 4]
assert (retry_delay(patient, 3, -1), retry_delay(patient, 3, 1)) == (2, 6)
assert retry_delay(patient, 5_000) == _LONGEST_WAIT

# %% [markdown]
# ## A dead letter
#
# What is needed to understand the failure, and to try again: the exception, the attempts before, the packets and their
# values. A value function that nobody had called is kept as it is, and not called.


# %%
#|export
@dataclass(eq=False)
class DeadLetterEntry:
    """An epoch that was given up.

    exception: what the last attempt failed with.
    retry_count: the retries that were made; `retry_timestamps` and `retry_exceptions` tell of the attempts before the last,
        so they are as long.
    input_packets: the packets that the epoch was started with, `{port: [ids]}`.
    packet_values: their values as far as they are known, `{id: value}`; value_funcs: of the others, `{id: function}`.
    timestamp: when it was given up (UTC).
    reason: "failed", "timed out", "worker died" or "interrupted".
    """

    epoch_id: str
    node_name: str
    exception: BaseException
    retry_count: int
    retry_timestamps: list[datetime]
    retry_exceptions: list[BaseException]
    input_packets: dict[str, list[str]]
    packet_values: dict[str, Any]
    timestamp: datetime
    reason: str = "failed"
    value_funcs: dict[str, Callable[[], Any]] = field(default_factory=dict)
    redriven: bool = False

    __repr__ = brief

    def salvo(self, values: Mapping[str, Iterable[Any]] | None = None) -> dict[str, list[Any]]:
        """What to put back at which port; `values` in place of the old ones. Raises `NetStateError` for values that
        nobody knows."""
        salvo = {port: list(given) for port, given in (values or {}).items()}
        for port, ids in self.input_packets.items():
            if port not in salvo:
                salvo[port] = [self._value(port, id) for id in ids]
        return salvo

    def _value(self, port: str, id: str) -> Any:
        if id in self.packet_values:
            return self.packet_values[id]
        if id in self.value_funcs:
            return Lazy(self.value_funcs[id])
        raise NetStateError(
            f"redriving epoch {self.epoch_id} of node {self.node_name!r}",
            f"the value of packet {id} is not known; give it with values={{{port!r}: [...]}}",
        )


# %% [markdown]
# How one is made of the attempt that was the last:


# %%
#|exporti
_REASON_OF = {Ending.TIMED_OUT: "timed out", Ending.INTERRUPTED: "interrupted"}


def dead_letter(failed: Outcome, at: datetime, ledger: Ledger) -> DeadLetterEntry:
    """What is left of an epoch that is about to be cancelled."""
    attempt, error = failed.attempt, failed.error
    assert error is not None
    salvo = attempt.epoch.by_port()
    entry = DeadLetterEntry(
        epoch_id=attempt.epoch.id,
        node_name=attempt.task.node_name,
        exception=error,
        retry_count=len(attempt.earlier),
        retry_timestamps=[when for when, _ in attempt.earlier],
        retry_exceptions=[what for _, what in attempt.earlier],
        input_packets={port: [packet.id for packet in packets] for port, packets in salvo.items()},
        packet_values={},
        timestamp=at,
        reason="worker died" if isinstance(failed.error, WorkerDied) else _REASON_OF.get(failed.ending, "failed"),
    )
    for packet in (packet for packets in salvo.values() for packet in packets):
        if packet in attempt.values:
            entry.packet_values[packet.id] = attempt.values[packet]
        elif ledger.values.has_value(packet.id):
            value, func = ledger.values.peek(packet.id)
            if func is None:
                entry.packet_values[packet.id] = value
            else:
                entry.value_funcs[packet.id] = func
    return entry


# %% [markdown]
# ## Dead letters in a file
#
# A line of JSON for each entry, to be read by people and tools, and beside the file a folder with a pickle for each, which
# holds what JSON cannot: the exceptions and the values. An entry that is taken out gets a line that says so; when none is
# left, the file is emptied.
#
# ```
#   letters.jsonl            {"type": "dead_letter", "epoch_id": "e7-…", "node_name": "Parse", …}
#                            {"type": "removed", "epoch_id": "e7-…"}
#   letters.jsonl.values/    e7-….pkl
# ```
#
# The pickle is there before its line, and the line before the epoch is cancelled, both synced. What cannot be written is
# kept in memory all the same. **Reading a file unpickles: it is code. Read none that you do not trust.**


# %%
#|exporti
class LetterFile:
    """Dead letters in a file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._folder = self._path.with_name(self._path.name + ".values")
        self._folder.mkdir(parents=True, exist_ok=True)

    def read(self) -> list[DeadLetterEntry]:
        """The entries that are there. A line that is torn is left out, with a warning, and cut off if it is the last."""
        import json

        if not self._path.exists():
            return []
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            _warn(f"{self._path}: the last line is torn ({len(content) - whole} bytes), and is left out.")
            os.truncate(self._path, whole)
        lines: dict[str, tuple[int, Any]] = {}  # of the entries that are still there
        for number, line in enumerate(content[:whole].splitlines(), 1):
            with self._reading(number):
                record = json.loads(line)
                lines.pop(record["epoch_id"], None)
                if record["type"] == "dead_letter":
                    lines[record["epoch_id"]] = number, record
        entries = []
        for number, record in lines.values():
            with self._reading(number):
                entries.append(self._entry(record))
        return entries

    @contextmanager
    def _reading(self, number: int) -> Iterator[None]:
        """A line that cannot be read is warned of and left out."""
        try:
            yield
        except (ValueError, KeyError, TypeError) as error:
            _warn(f"{self._path}, line {number}: cannot be read ({_told(error)}), and is left out.")

    def write(self, entry: DeadLetterEntry) -> None:
        """Put an entry on disk. Raises `OSError` when there is no room, and leaves no rubbish then."""
        import pickle

        pickles = self._pickle_path(entry.epoch_id)
        try:
            _write_synced(pickles, pickle.dumps(parts_of(entry)))
            self._append(record_of(entry))
        except OSError:
            pickles.unlink(missing_ok=True)
            raise

    def remove(self, entries: list[DeadLetterEntry], left: int) -> None:
        """Take entries out; `left` is how many stay."""
        if left:
            for entry in entries:
                self._append({"type": "removed", "epoch_id": entry.epoch_id})
        elif self._path.exists():
            os.truncate(self._path, 0)
        for entry in entries:
            self._pickle_path(entry.epoch_id).unlink(missing_ok=True)

    def _append(self, record: dict[str, Any]) -> None:
        import json

        with self._path.open("ab", buffering=0) as file:
            begun = file.seek(0, os.SEEK_END)
            line = json.dumps(record, default=repr).encode() + b"\n"
            try:
                if file.write(line) != len(line):
                    raise OSError(f"{self._path}: no room for a whole line")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(begun)
                raise

    def _entry(self, record: dict[str, Any]) -> DeadLetterEntry:
        """The entry of a line, with what its pickle holds."""
        import pickle

        try:
            parts: dict[str, Any] = pickle.loads(self._pickle_path(record["epoch_id"]).read_bytes())
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            _warn(f"{self._path}: the values of epoch {record['epoch_id']} cannot be read: {_told(error)}.")
            parts = {}
        return entry_of_record(record, parts)

    def _pickle_path(self, epoch_id: str) -> Path:
        from urllib.parse import quote

        return self._folder / f"{quote(epoch_id, safe='')}.pkl"


# %% [markdown]
# An entry as a line, and as a pickle. Each part is pickled by itself, so that one that cannot be leaves the others whole.


# %%
#|exporti
_LOST: Any = object()


def record_of(entry: DeadLetterEntry) -> dict[str, Any]:
    return {
        "type": "dead_letter",
        "epoch_id": entry.epoch_id,
        "node_name": entry.node_name,
        "reason": entry.reason,
        "timestamp": entry.timestamp.isoformat(),
        "exception": _exception_record(entry.exception),
        "retry_count": entry.retry_count,
        "retry_timestamps": [at.isoformat() for at in entry.retry_timestamps],
        "retry_exceptions": [_exception_record(error) for error in entry.retry_exceptions],
        "input_packets": entry.input_packets,
    }


def entry_of_record(record: dict[str, Any], parts: dict[str, Any]) -> DeadLetterEntry:
    """The entry again. What cannot be unpickled is told by its text."""
    exceptions = [
        exception_of(pickled, told["text"])
        for pickled, told in zip(
            parts.get("exceptions", [None] * (len(record["retry_exceptions"]) + 1)),
            [record["exception"], *record["retry_exceptions"]],
            strict=True,
        )
    ]
    values = {id: _unpickled(pickled, failed=_LOST) for id, pickled in parts.get("values", {}).items()}
    funcs = {id: _unpickled(pickled) for id, pickled in parts.get("funcs", {}).items()}
    return DeadLetterEntry(
        epoch_id=record["epoch_id"],
        node_name=record["node_name"],
        exception=exceptions[0],
        retry_count=record["retry_count"],
        retry_timestamps=[datetime.fromisoformat(at) for at in record["retry_timestamps"]],
        retry_exceptions=exceptions[1:],
        input_packets=record["input_packets"],
        packet_values={id: value for id, value in values.items() if value is not _LOST},
        timestamp=datetime.fromisoformat(record["timestamp"]),
        reason=record["reason"],
        value_funcs={id: func for id, func in funcs.items() if func is not None},
    )


def exception_of(pickled: bytes | None, text: str) -> BaseException:
    """An exception again, or one that tells what it said."""
    error: BaseException = _unpickled(pickled) or NetrunRuntimeError(text)
    return error


def _exception_record(error: BaseException) -> dict[str, str]:
    return {"type": type(error).__name__, "text": _told(error)}


def parts_of(entry: DeadLetterEntry) -> dict[str, Any]:
    """What a record cannot hold, each pickled."""
    return {
        "exceptions": [one_pickled(error) for error in (entry.exception, *entry.retry_exceptions)],
        "values": {id: one_pickled(value) for id, value in entry.packet_values.items()},
        "funcs": {id: one_pickled(func) for id, func in entry.value_funcs.items()},
    }


def one_pickled(thing: Any, what: str = "a part of a dead letter") -> bytes | None:
    """None for what cannot be pickled, with a warning."""
    try:
        return to_pickle(thing)
    except Exception as error:
        _warn(f"{what}, a {type(thing).__name__}, cannot be pickled, and is left out on disk: {_told(error)}.")
        return None


def _unpickled(pickled: bytes | None, failed: Any = None) -> Any:
    import pickle

    if pickled is None:
        return failed
    try:
        return pickle.loads(pickled)
    except Exception as error:  # whatever the user's own class raises
        _warn(f"a part of a dead letter cannot be unpickled: {_told(error)}.")
        return failed


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _warn(text: str) -> None:
    from warnings import warn

    warn(text, RuntimeWarning, stacklevel=3)


# %% [markdown]
# ## The queue


# %%
#|export
_MODES = ("memory", "file", "callback")


class DeadLetterQueue:
    """The epochs that were given up, oldest first.

    mode: "memory"; "file" (in memory too, and on disk, and a queue on an existing file begins with what it holds);
        "callback", where each entry is handed to a function and not kept.
    file_path: for "file": the file of lines; `<file_path>.values` is the folder of pickles. Unpickles what is there.
    callback: for "callback": called with each entry.
    limit: how many entries are kept at the most; the oldest go first. None: all.

    All methods may be called from any thread. `error` is why the last entry could not be written to disk, or None. Raises
    `ConfigError` for arguments that do not fit together.
    """

    def __init__(
        self,
        mode: str = "memory",
        file_path: str | os.PathLike[str] | None = None,
        callback: Callable[[DeadLetterEntry], Any] | None = None,
        limit: int | None = None,
    ) -> None:
        check_queue(mode, file_path, callback, limit)
        self.mode, self._callback, self._limit = mode, callback, limit
        self.error: Exception | None = None
        self._lock = RLock()
        self._file = LetterFile(file_path) if mode == "file" and file_path is not None else None
        self._entries: list[DeadLetterEntry] = self._file.read() if self._file is not None else []

    def __repr__(self) -> str:
        where = {"memory": "in memory", "file": "in memory and on disk", "callback": "handed to a callback"}[self.mode]
        return f"<DeadLetterQueue: {len(self)} {'entry' if len(self) == 1 else 'entries'}, {where}>"

    def add(self, entry: DeadLetterEntry) -> None:
        """Take an entry in. On disk before this returns, in file mode; a disk that takes nothing is warned of, and the
        entry is kept in memory. Raises what the callback raises."""
        if self._callback is not None:
            result = self._callback(entry)
            if is_async(self._callback):
                run_coroutine(result)
            return
        with self._lock:
            self._entries.append(entry)
            if self._file is not None:
                self._on_disk(self._file.write, entry)
            self._trim()

    def take_up(self, entries: list[DeadLetterEntry], is_ours: Callable[[str], bool]) -> Callable[[], None]:
        """Hold these entries, as they were at a moment of rest. Of those in the file that came later, the net's own go:
        their epochs are in the net again. The file is as it was until what this returns is called."""
        with self._lock:
            wanted = {entry.epoch_id for entry in entries}
            there = {entry.epoch_id for entry in self._entries}
            later = [entry for entry in self._entries if entry.epoch_id not in wanted]
            gone = [entry for entry in later if is_ours(entry.epoch_id)]
            self._entries = [*entries, *(entry for entry in later if entry not in gone)]
        new = [entry for entry in entries if entry.epoch_id not in there]
        return lambda: self._sync(new, gone)

    def _sync(self, new: list[DeadLetterEntry], gone: list[DeadLetterEntry]) -> None:
        """Let the file have what was taken up."""
        with self._lock:
            if self._file is not None:
                for entry in (entry for entry in new if entry in self._entries):
                    self._on_disk(self._file.write, entry)
                if gone:
                    self._on_disk(self._file.remove, gone, len(self._entries))
            self._trim()

    def _trim(self) -> None:
        if self._limit is not None and len(self._entries) > self._limit:
            self._take_out(self._entries[: len(self._entries) - self._limit])

    def held(self) -> RLock:
        """What to hold while nothing is to change here."""
        return self._lock

    def remove(self, entry: DeadLetterEntry) -> None:
        """Take this entry out, if it is there."""
        with self._lock:
            if entry in self._entries:
                self._take_out([entry])

    def get_all(self) -> list[DeadLetterEntry]:
        """All entries, oldest first."""
        with self._lock:
            return list(self._entries)

    def get_by_node(self, node_name: str) -> list[DeadLetterEntry]:
        """The entries of one node, oldest first."""
        return [entry for entry in self.get_all() if entry.node_name == node_name]

    def clear(self) -> None:
        """Take all entries out."""
        with self._lock:
            self._take_out(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[DeadLetterEntry]:
        return iter(self.get_all())

    def _take_out(self, entries: list[DeadLetterEntry]) -> None:
        for entry in entries:
            self._entries.remove(entry)
        if self._file is not None:
            self._on_disk(self._file.remove, entries, len(self._entries))

    def _on_disk(self, act: Callable[..., None], *arguments: Any) -> None:
        try:
            act(*arguments)
        except OSError as error:
            self.error = error
            _warn(f"the dead letter file could not be written, the entries in memory are whole: {_told(error)}.")
        else:
            self.error = None


# %%
#|exporti
def check_queue(mode: str, file_path: Any, callback: Any, limit: Any) -> None:
    """Raise `ConfigError` unless a dead letter queue can be made of these."""
    if mode not in _MODES:
        raise ConfigError(f"a dead letter queue's mode is one of {', '.join(map(repr, _MODES))}, not {mode!r}.")
    if (mode == "file") != (file_path is not None):
        raise ConfigError("a dead letter queue has a file path in mode 'file', and only there.")
    if (mode == "callback") != (callback is not None):
        raise ConfigError("a dead letter queue has a callback in mode 'callback', and only there.")
    if callback is not None and not callable(callback):
        raise ConfigError(f"the callback of a dead letter queue must be callable, not {callback!r}.")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise ConfigError(f"the limit of a dead letter queue must be a whole number from 0 on, or None, not {limit!r}.")


# %% [markdown]
# ## What an error does to the net
#
# Between the verdict and the cancellation, the driver calls this: the dead letter first, then the `error_callback`, each
# once, whatever the other does. What they raise joins the cause of the failure, and is logged.


# %%
#|exporti
class Aftermath:
    """What happens when an epoch is given up, while it is still there."""

    def __init__(self, ledger: Ledger, queue: DeadLetterQueue, error_callback: Callable[..., Any] | None) -> None:
        self._ledger, self._queue, self._error_callback = ledger, queue, error_callback
        self.heard: list[Callable[[BaseException, str, str], object]] = []  # who else hears of it; these do not raise

    async def __call__(self, host: Host, failed: Outcome, at: datetime) -> BaseException | None:
        """Write the dead letter and call the error callback. Returns what interrupts, if one of them raised that."""
        task, error, epoch_id = failed.attempt.task, failed.error, failed.attempt.epoch.id
        assert error is not None
        interrupts: list[BaseException | None] = []
        if task.config.dead_letter_queue:
            where = f"dead letter queue, for epoch {epoch_id} of node {task.node_name!r}"
            interrupts.append(await tell(host, self._bury, failed, at, what=where, error=error))
        if failed.ending is not Ending.INTERRUPTED:
            where = f"error_callback, for epoch {epoch_id} of node {task.node_name!r}"
            told = await tell(host, self._error_callback, error, task.node_name, epoch_id, what=where, error=error)
            interrupts.append(told)
            for hear in list(self.heard):
                hear(error, task.node_name, epoch_id)
        return next((interrupt for interrupt in interrupts if interrupt is not None), None)

    def _bury(self, failed: Outcome, at: datetime) -> None:
        self._queue.add(dead_letter(failed, at, self._ledger))


# %% [markdown]
# ## Redriving
#
# A dead letter's packets go back to the ports that they came from, as new packets, and the letter is out of the queue. Each
# can be redriven once.


# %%
#|exporti
def redrive(
    ledger: Ledger, queue: DeadLetterQueue, entry: DeadLetterEntry, values: Mapping[str, Iterable[Any]] | None = None
) -> list[str]:
    """Put the packets of a dead letter back. Returns their new ids; of a source, whose epoch had none, nothing."""
    if entry.redriven:
        raise NetStateError(f"redriving epoch {entry.epoch_id} of node {entry.node_name!r}", "that was done already")
    salvo = entry.salvo(values)
    with queue.held():  # who copies the net sees the letter or the packets
        if salvo:
            ids = ledger.inject_salvo(entry.node_name, salvo)
        else:
            ledger.create_epoch(entry.node_name)
            ids = []
        entry.redriven = True
        queue.remove(entry)
    return ids


# %% [markdown]
# ## Failures at work
#
# A node that succeeds at the third attempt. Its failure function hears of the two that failed; the waits pass on a clock
# that jumps, and node `B` does not wait for them.

# %%
from netrun import *


def inbox(name):
    nonempty = SalvoConditionTerm.port("in", PortState.non_empty())
    sent = SalvoConditionTerm.port("out", PortState.non_empty())
    return Node(
        name,
        in_ports={"in": Port()},
        out_ports={"out": Port()},
        in_salvo_conditions={"in": SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, nonempty)},
        out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", sent)},
    )


class JumpingClock:
    time = 0.0

    def now(self):
        return self.time

    def wait(self, mailbox, until):
        self.time = until


net = Net(Graph([inbox("A"), inbox("B")], []))
net._driver.clock = clock = JumpingClock()
seen = []


def third_time_lucky(ctx, packets):
    seen.append((clock.time, "A", ctx.retry_count))
    value = ctx.consume_packet(packets["in"][0])
    if ctx.retry_count < 2:
        raise ConnectionError(f"no answer to attempt {ctx.retry_count + 1}")
    ctx.send("out", (value, [str(error) for error in ctx.retry_exceptions]))


def at_once(ctx, packets):
    seen.append((clock.time, "B", ctx.consume_packet(packets["in"][0])))


net.set_node_exec("A", third_time_lucky, exec_failed_node_func=lambda failure: seen.append(failure.retry_count))
net.set_node_config("A", defer_net_actions=True, retries=2, retry_wait=10, retry_backoff=3, retry_on=OSError)
net.set_node_exec("B", at_once)
net.inject_packets("A", "in", ["question"])
net.inject_packets("B", "in", ["at zero"])
net.start()
assert seen == [(0, "A", 0), 0, (0, "B", "at zero"), (10, "A", 1), 1, (40, "A", 2)]
assert net.take_outputs("A", "out") == [("question", ["no answer to attempt 1", "no answer to attempt 2"])]
assert len(net.dead_letter_queue) == 0

# %% [markdown]
# One that is given up. With `on_error="continue"` the net runs on; the letter says what it was about, and is redriven when
# the fault is mended:

# %%
heard = []
net = Net(
    Graph([inbox("A")], []),
    on_error="continue",
    error_callback=lambda error, node, epoch: heard.append((node, str(error))),
)


def picky(ctx, packets):
    value = ctx.consume_packet(packets["in"][0])
    ctx.send("out", 10 / value)


net.set_node_exec("A", picky)
net.inject_packets("A", "in", [1, 0, 5])
net.start()
assert net.take_outputs("A", "out") == [10, 2] and heard == [("A", "division by zero")]
(letter,) = net.dead_letter_queue
assert letter.reason == "failed" and list(letter.packet_values.values()) == [0]
net.redrive(letter, values={"in": [4]})
net.start()
assert net.take_outputs("A", "out") == [2.5] and len(net.dead_letter_queue) == 0
try:
    net.redrive(letter)
except NetStateError as error:
    print(error)

# %% [markdown]
# `"pause"` starts no more, and `net.error` has the failure; `"raise"`, the default, raises it.

# %%
net = Net(Graph([inbox("A")], []), on_error="pause")
net.set_node_exec("A", picky)
net.inject_packets("A", "in", [0, 5])
net.start()
assert net.state is NetState.PAUSED and isinstance(net.error, NodeExecutionFailed)
assert len(net.get_startable_epochs()) == 1
net.start()  # goes on with the rest
assert net.take_outputs("A", "out") == [2] and net.error is None

# %% [markdown]
# ## The queue on disk
#
# Another process finds what is there, values and exceptions too. A line that a crash has torn is left out, with a warning.

# %%
import tempfile
import warnings

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "letters.jsonl"
    net = Net(Graph([inbox("A")], []), on_error="continue", dead_letter_queue="file", dead_letter_path=path)
    net.set_node_exec("A", picky)
    net.inject_packets("A", "in", [0])
    net.start()
    print(path.read_text())

    again = DeadLetterQueue("file", path)  # another process
    (letter,) = again
    assert isinstance(letter.exception, ZeroDivisionError) and list(letter.packet_values.values()) == [0]

    with path.open("a") as file:
        file.write('{"type": "dead_let')
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert len(DeadLetterQueue("file", path)) == 1
    print(warned[0].message)
    again.remove(letter)
    assert path.read_text() == "" and list(Path(f"{path}.values").iterdir()) == []

# %% [markdown]
# What does not fit together is refused:

# %%
for wrong in [dict(mode="disk"), dict(mode="file"), dict(callback=print), dict(limit=-1)]:
    try:
        DeadLetterQueue(**wrong)
    except ConfigError as error:
        print(error)
    else:
        raise AssertionError(f"{wrong} was accepted")
