# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Prints: who said what
#
# What a node function prints, itself or in what it calls, goes to the log of its own epoch, also where many epochs run at the
# same time. While a net runs, one object stands in for `sys.stdout`, and asks of each write: which attempt is this?
#
# ```
#   print in epoch A ──┐               CURRENT says A ──> log of A's node   (and on to stdout, with echo_stdout)
#   print in epoch B ──┼──> Stdout ──> CURRENT says B ──> log of B's node
#   any other print  ──┘               CURRENT is None ─> the stdout that was there
# ```
#
# `CURRENT` is a context variable: each task has its own, each thread too, and what a function starts with its context (tasks,
# `asyncio.to_thread`) has its. A thread that a function starts by itself has none, so its prints are left alone. So is what
# is written to anything but `sys.stdout`: stderr, files, `logging`. A worker process has a stand-in of its own, and sends each
# line over as it is printed; an executor's lines come with its answer.

# %%
#|default_exp prints

# %%
#|export
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from threading import RLock
from time import time
from typing import Any

from netrun.books import Holder
from netrun.core import brief
from netrun.packets import Epoch

# %% [markdown]
# ## Which epoch is this?
#
# Whoever calls a node function sets `CURRENT`. `current_epoch` is for users, who may want to know it where no context is at
# hand: in a filter that marks the records of `logging`, for example.

# %%
#|export
CURRENT: ContextVar[Holder | None] = ContextVar("the attempt that runs here", default=None)


def current_epoch() -> Epoch | None:
    """The epoch whose node function the caller is inside of, or None: its `id` and `node_name`. In async tasks, threads and
    worker processes too."""
    holder = CURRENT.get()
    return None if holder is None else holder.epoch


def _forget() -> None:
    """In a process that was forked off: what it prints is nobody's here, so it goes to stdout."""
    CURRENT.set(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


# %% [markdown]
# ## Logs
#
# A node keeps its last 10,000 lines, and no more than ten million characters of them. Of a line that is longer than that, the
# end is kept; what is printed of a line that does not end is kept in parts of this size.


# %%
#|export
@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line that a node function has printed, without its end. `timestamp` is in UTC."""

    timestamp: datetime
    epoch_id: str
    node_name: str
    message: str

    __repr__ = brief


# %%
#|exporti
MOST_LINES, MOST_CHARACTERS = 10_000, 10_000_000  # of one node


class NodeLog:
    """What the epochs of a node have printed. `echo`: whether it also goes to stdout."""

    def __init__(self, node_name: str, suffix: str) -> None:
        self.node_name, self._suffix = node_name, suffix
        self.echo = False
        self.lines: deque[tuple[float, int, str]] | None = None  # moment, number of the epoch, text
        self._characters = 0
        self._lock = RLock()  # a signal's handler may print in the middle of a print

    def add(self, at: float, number: int, line: str) -> None:
        """A line was printed."""
        with self._lock:
            lines = self.lines = deque() if self.lines is None else self.lines
            line = line[-MOST_CHARACTERS:]
            lines.append((at, number, line))
            self._characters += len(line)
            while len(lines) > MOST_LINES or self._characters > MOST_CHARACTERS:
                self._characters -= len(lines.popleft()[2])

    def take_up(self, suffix: str, lines: Iterable[tuple[float, int, str]]) -> None:
        """Go on from what was printed before, in a net whose ids end so."""
        self._suffix = suffix
        for at, number, line in lines:
            self.add(at, number, line)

    def write(self, holder: Holder, text: str) -> None:
        """An attempt has written something: whole lines, or a part of one, which waits for its end."""
        with self._lock:
            head, *lines = text.split("\n")
            size = self._begin(holder, head)
            if not lines:
                if size >= MOST_CHARACTERS:
                    self.end_line(holder)
                return
            self.end_line(holder)
            *whole, part = lines
            at, number = time(), holder.epoch._number
            for line in whole:
                self.add(at, number, line)
            if part:
                self._begin(holder, part)

    def _begin(self, holder: Holder, part: str) -> int:
        """A part of a line waits for its end. Returns how much there is of it."""
        printed = holder.printed = StringIO() if holder.printed is None else holder.printed
        printed.write(part)
        return printed.tell()

    def end_line(self, holder: Holder) -> None:
        """What an attempt has written of a line is a line."""
        with self._lock:
            printed, holder.printed = holder.printed, None
            if printed is not None:
                self.add(time(), holder.epoch._number, printed.getvalue())

    def last(self, most: int) -> list[tuple[float, int, str]]:
        """The last lines, as they are kept."""
        with self._lock:
            return list(self.lines or ())[-most:]

    def entries(self, number: int | None = None) -> list[LogEntry]:
        """The lines, oldest first; of one epoch, if its number is given."""
        with self._lock:
            lines = list(self.lines or ())
        return [
            LogEntry(datetime.fromtimestamp(at, UTC), f"e{epoch}{self._suffix}", self.node_name, line)
            for at, epoch, line in lines
            if number is None or epoch == number
        ]


def end_line(holder: Holder) -> None:
    """An attempt has ended: what it has written of a line is a line."""
    log = holder.log()
    if log is not None:
        log.end_line(holder)


# %%
from types import SimpleNamespace

log = NodeLog("Parse", "-demo")
first, second = (SimpleNamespace(epoch=SimpleNamespace(_number=number), printed=None) for number in (1, 2))
log.write(first, "one ")
log.write(second, "other\n\n")
log.write(first, "line\nand a half")
log.end_line(first)
assert [(entry.epoch_id, entry.message) for entry in log.entries()] == [
    ("e2-demo", "other"),
    ("e2-demo", ""),
    ("e1-demo", "one line"),
    ("e1-demo", "and a half"),
]
assert [entry.message for entry in log.entries(1)] == ["one line", "and a half"]

# %% [markdown]
# ## The stand-in for stdout
#
# It is there while any net runs, and afterwards `sys.stdout` is the object that it was. Somebody else may put his own in its
# place meanwhile, and take that away later, when no net runs any more: then it is found out with the next write, and goes.
#
# While a net is busy, nobody should put back what was there before: prints are not captured then until the net has been at rest.
# (The stand-in could be put in again for each epoch; but so it would take what a node function prints inside a
# `redirect_stdout` of its own, when another epoch begins meanwhile.)
#
# A task that outlives its epoch still has the epoch's context, and so the epoch's log. What it prints last is kept when its
# line ends; a part of a line is not.
#
# What is captured is not touched by the state of the real stdout: it may be closed, or not be there at all.


# %%
#|exporti
def pass_on(act: Callable[..., Any], *arguments: Any) -> Any:
    """Call something of the real stdout. It may block, and be interrupted then."""
    return act(*arguments)


class Stdout:
    """Stands in for `sys.stdout`. `uses`: how many runs need it."""

    def __init__(self) -> None:
        self.real: Any = None
        self.uses = 0

    def write(self, text: str) -> Any:
        """Let text go to the log of the epoch that prints it, or on to the real stdout."""
        log = _log_here()
        if log is None:
            if not self.uses:
                _take_out(self)
            return len(text) if self.real is None else pass_on(self.real.write, text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        holder: Any = CURRENT.get()
        log.write(holder, text)
        if log.echo and self.real is not None:
            with suppress(OSError, ValueError):  # closed, or a broken pipe: what is captured is safe
                pass_on(self.real.write, text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the real stdout, if anything goes there."""
        log = _log_here()
        if self.real is None or (log is not None and not log.echo):
            return
        if log is None:
            pass_on(self.real.flush)
            return
        with suppress(OSError, ValueError):
            pass_on(self.real.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __repr__(self) -> str:
        return f"<netrun's stand-in for {self.real!r}>"


def _log_here() -> NodeLog | None:
    """The log that the caller's prints go to."""
    holder = CURRENT.get()
    log: NodeLog | None = None if holder is None else holder.log()
    return log


# %%
#|exporti
_INSTALLING = RLock()
_SPARE: list[Stdout] = []  # kept for ever: `print` only borrows what it writes to, so no stand-in may vanish under it


def installing() -> RLock:
    """Within this, nobody else puts a stand-in in, or takes one out."""
    return _INSTALLING


def _put_in(there: Any) -> Stdout:
    """The stand-in for this stdout, which is in its place from now on."""
    out: Stdout = there if isinstance(there, Stdout) else _SPARE[-1] if _SPARE else Stdout()
    if out in _SPARE:
        _SPARE.remove(out)
    if out is not there:
        out.real = there
        sys.stdout = out
    return out


def _take_out(out: Stdout) -> None:
    """Let the real stdout be in its place again, unless it is needed, or somebody else's is there."""
    with _INSTALLING:
        if not out.uses and sys.stdout is out:
            sys.stdout = out.real
            if out not in _SPARE:
                _SPARE.append(out)


@contextmanager
def routed() -> Iterator[None]:
    """Have the stand-in there."""
    with _INSTALLING:
        out = _put_in(sys.stdout)
        out.uses += 1
    try:
        yield
    finally:
        with _INSTALLING:
            out.uses -= 1
            _take_out(out)


# %%
before = sys.stdout
holder = SimpleNamespace(epoch=SimpleNamespace(_number=3), printed=None, log=lambda: log)
with routed():
    print("seen here")
    token = CURRENT.set(holder)
    print("in the log", 1, 2, sep=", ")
    print("and not to stdout", file=sys.stderr)
    CURRENT.reset(token)
assert sys.stdout is before and [entry.message for entry in log.entries(3)] == ["in the log, 1, 2"]

# %% [markdown]
# ## Prints at work
#
# Three epochs print at the same time, in tasks. Each line is in its own epoch's log.

# %%
import asyncio
import logging

from netrun import *

nonempty = SalvoConditionTerm.port("in", PortState.non_empty())
condition = SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, nonempty)
net = Net(Graph([Node("Count", in_ports={"in": Port()}, in_salvo_conditions={"in": condition})], []))


async def count(ctx, packets):
    name = await ctx.consume_packet(packets["in"][0])
    for number in range(3):
        print(name, number)
        await asyncio.sleep(0)


net.set_node_exec("Count", count)
net.inject_packets("Count", "in", ["a", "b", "c"])
net.start()
print(*net.get_node_log("Count"), sep="\n")
ids = sorted({entry.epoch_id for entry in net.get_node_log("Count")})
for id, name in zip(ids, "abc", strict=True):
    assert [entry.message for entry in net.get_epoch_log(id)] == [f"{name} {number}" for number in range(3)]

# %% [markdown]
# With `echo_stdout` what is captured is printed, too; with `capture_stdout=False` it is only printed. `logging` is not
# captured; a filter can mark its records:


# %%
class WithEpoch(logging.Filter):
    def filter(self, record):
        epoch = current_epoch()
        record.epoch = "-" if epoch is None else f"{epoch.node_name} {epoch.id}"
        return True


marked = []
logger = logging.getLogger("demo")
logger.addFilter(WithEpoch())
logger.addFilter(lambda record: marked.append(record.epoch))


def log_it(ctx, packets):
    logger.warning("%s came", ctx.consume_packet(packets["in"][0]))


net.set_node_exec("Count", log_it)
(packet,) = net.inject_packets("Count", "in", ["d"])
net.start()
logger.warning("outside")
assert marked[0].startswith("Count e4-") and marked[1] == "-"
