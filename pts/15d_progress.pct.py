# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Progress: what a net is doing, while it does it
#
# `net.start(progress=True)`, `run`, `async_start`, `start(threaded=True)` and `netrun run --progress` show for each node how
# many epochs have finished, run, wait and failed, and how many finish in a second; and errors as they come.
#
# ```
#   the run ──> counts, which it keeps anyway <──polls── a thread beside it ──> a screen
#                                                                                ├─ a terminal: a table under the rest
#   node prints ──> above the table                                              ├─ Jupyter: a table under the cell
#                                                                                └─ anything else: a line now and then
# ```
#
# Nothing is added to the run: the thread looks four times a second, less often where looking takes long (it uses at most a
# hundredth of the time). It is drawn on stderr, so that what a script writes to stdout stays what it is. Of the terminal no
# state is changed (the cursor is not hidden, no mode is set), so there is none to restore, however the process ends. A stream
# that takes nothing any more ends the progress, and not the net.
#
# There is no need for another package. (`rich` could draw the table, but takes longer to import than netrun, and hides the
# cursor.)

# %%
#|default_exp progress

# %%
#|export
import atexit
import os
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from threading import Event, RLock, Thread
from time import monotonic, thread_time
from typing import TYPE_CHECKING, Any, Protocol

from netrun.control import NetState, NetStatus
from netrun.core import _told
from netrun.prints import Stdout, installing, pass_on

if TYPE_CHECKING:
    from netrun.net import Net

# %% [markdown]
# ## A look at the net
#
# What there is to show at one moment. What *waits* at a node are the epochs that could start or are to be tried again, and
# the packets in front of it. Rates are those of the last seconds.


# %%
#|export
@dataclass(frozen=True, slots=True)
class Row:
    """A node, or all of them, in numbers."""

    name: str
    finished: int
    running: int
    waiting: int
    failed: int
    rate: float  # finished in a second

    @property
    def is_active(self) -> bool:
        """Whether there is anything to see."""
        return bool(self.running or self.waiting or self.failed or self.rate)


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to show: the net's `state`, `seconds` since the start, a row for each node and their `total`, and the
    `errors` since the last look."""

    state: str
    seconds: float
    total: Row
    rows: list[Row]
    errors: list[str] = field(default_factory=list)


# %%
#|exporti
_WINDOW = 3.0  # seconds that a rate is an average of


class Rates:
    """How many epochs of each node have finished in a second, lately."""

    def __init__(self) -> None:
        self._before: deque[tuple[float, dict[str | None, int]]] = deque()
        self._first: tuple[float, dict[str | None, int]] | None = None

    def of(self, at: float, finished: dict[str | None, int], of_all: bool = False) -> Callable[[str | None], float]:
        """The rates, now that so many have finished; `of_all`: since the first time that this was asked."""
        before = self._before
        self._first = self._first or (at, finished)
        before.append((at, finished))
        while len(before) > 2 and before[1][0] <= at - _WINDOW:
            before.popleft()
        since, there = self._first if of_all else before[0]
        seconds = at - since
        return lambda name: (finished[name] - there.get(name, 0)) / seconds if seconds > 0 else 0.0


def look_at(status: NetStatus, seconds: float, rates: Rates, errors: list[str], is_last: bool = False) -> Look:
    """What a status has to show. The last look has the rates of the whole time."""
    finished: dict[str | None, int] = {None: status.finished} | {
        name: node.finished for name, node in status.nodes.items()
    }
    rate = rates.of(seconds, finished, is_last)
    rows = [
        Row(
            "all" if name is None else name,
            it.finished,
            it.running,
            it.startable + it.retrying + it.waiting_packets,
            it.failed,
            rate(name),
        )
        for name, it in [(None, status), *status.nodes.items()]
    ]
    state = "STARTING" if status.state is NetState.CREATED and not is_last else status.state.name
    by = "" if status.paused_by is None else f" by {status.paused_by}"
    return Look(state + by, seconds, rows[0], rows[1:], errors)


# %%
from netrun import *

rates = Rates()
for seconds, finished in [(0.0, 0), (1.0, 50), (2.0, 150)]:
    look = look_at(NetStatus(finished=finished, nodes={"A": NodeStatus(finished=finished)}), seconds, rates, [])
assert (look.total.rate, look.rows[0].rate, look.rows[0].finished) == (75, 75, 150)

# %% [markdown]
# ## In words
#
# Names of nodes are a user's, and so are the texts of errors: what a terminal would take for a command is written out.


# %%
#|exporti
def plain(text: str, most: int = 300) -> str:
    """A text in one line, without control characters."""
    line = " ".join(text[: 2 * most].split())
    line = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in line)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def width_of(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1 for one in text)


def fit(text: str, width: int) -> str:
    """A text in exactly so many columns."""
    if width_of(text) > width:
        while text and width_of(text) > width - 1:
            text = text[:-1]
        text += "…" if width > 0 else ""
    return text + " " * (width - width_of(text))


def line_of(look: Look) -> str:
    """All of it in a line, for logs."""
    it = look.total
    return (
        f"netrun {look.state}, {look.seconds:.1f} s: {it.finished:,} finished, {it.running:,} running, "
        f"{it.waiting:,} waiting, {it.failed:,} failed, {it.rate:,.1f} per second"
    )


_HEADS = ("finished", "running", "waiting", "failed", "per s")


def _cells(row: Row) -> list[str]:
    return [*(f"{number:,}" for number in (row.finished, row.running, row.waiting, row.failed)), f"{row.rate:,.1f}"]


def shown_rows(look: Look, most: int) -> tuple[list[Row], int]:
    """At most so many rows, in their order: those in which most is to be seen. And how many others there are."""
    if len(look.rows) <= most:
        return look.rows, 0
    liveliest = sorted(look.rows, key=lambda row: (not row.is_active, -row.waiting - row.running, -row.rate))
    wanted = {row.name for row in liveliest[: max(0, most)]}
    return [row for row in look.rows if row.name in wanted], len(look.rows) - len(wanted)


def table_of(look: Look, columns: int, lines: int) -> list[str]:
    """The table, in at most so many columns and lines."""
    rows, others = shown_rows(look, lines - 3)
    head = [f"netrun {look.state} {look.seconds:.1f} s", *_HEADS]
    table = [head, _named(look.total, "all nodes"), *(_named(row, f"  {plain(row.name, 60)}") for row in rows)]
    widths = [max(7, *(len(line[column]) for line in table)) for column in range(1, len(head))]
    widest = max(width_of(line[0]) for line in table)
    first = max(8, min(widest, columns - 1 - sum(widths) - len(widths)))
    made = [" ".join([fit(line[0], first), *map(str.rjust, line[1:], widths)]) for line in table]
    if others:
        made.append(f"  … and {others:,} more nodes")
    return [fit(line, columns - 1).rstrip() for line in made[: max(0, lines)]]


def _named(row: Row, name: str) -> list[str]:
    return [name, *_cells(row)]


# %%
total = Row("all", 12_345, 2, 10, 1, 83.25)
look = Look("RUNNING", 12.3, total, [Row("Parse\x1b[2J", 12_000, 1, 10, 0, 80), Row("写", 345, 1, 0, 1, 3.25)])
print(line_of(look), *table_of(look, 80, 24), sep="\n")
assert all(width_of(line) < 60 for line in table_of(look, 60, 24)) and "\x1b" not in "".join(table_of(look, 60, 24))
many = Look("RUNNING", 1.0, total, [Row(f"N{n}", 0, n == 77, 0, 0, 0.0) for n in range(100)])
assert len(table_of(many, 80, 10)) == 10 and any("N77" in line for line in table_of(many, 80, 10))

# %% [markdown]
# ## Screens
#
# A log gets a line each ten seconds and one at the end, and each error as it comes. No control characters.


# %%
#|exporti
class Screen(Protocol):
    """Where progress is shown."""

    def open(self) -> None:
        """It begins."""
        ...

    def show(self, look: Look, is_last: bool) -> None:
        """Show this. Raises `OSError` or `ValueError` where that is not possible any more."""
        ...

    def close(self) -> None:
        """It has ended."""
        ...


class LogScreen:
    """A stream that is no terminal."""

    EVERY = 10.0  # seconds

    def __init__(self, stream: Any) -> None:
        self._stream, self._due = stream, self.EVERY

    def open(self) -> None:
        """Nothing is shown yet."""

    def show(self, look: Look, is_last: bool) -> None:
        """Write a line, if it is time for one."""
        lines = list(look.errors)
        if is_last or look.seconds >= self._due:
            self._due = look.seconds + self.EVERY
            lines.append(line_of(look))
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Nothing is left to do."""


# %% [markdown]
# On a terminal the table is under what is printed. The cursor stays above it, on an empty line, so that nobody need know who
# else writes to the terminal: each picture clears what is below the cursor, makes room, draws there, and returns. What a
# subprocess, a worker or a C library writes comes on the empty line, and further lines over the table until it is drawn
# anew. A rest of the table may then stand to the right of them; but nothing of theirs is erased. (When the process is killed,
# the shell's prompt comes there.)
#
# What comes by way of `sys.stdout`, `sys.stderr` and the handlers of `logging` that have one of these is neater: stand-ins
# take the table away first, and let the text through; the table comes back with the next look, if the text has ended its line.
#
# Nets that run at the same time share the stand-ins and the terminal, each with a table. A process that is forked off gets a
# lock of its own, and draws nothing.


# %%
#|exporti
_TERMINALS: weakref.WeakSet["Terminal"] = weakref.WeakSet()


class Terminal:
    """A terminal, with the tables of those that are shown on it. `is_open`: whether there are any."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self._is_mid_line = False  # whether somebody has printed a part of a line
        self._errors: list[str] = []  # that are to be told yet
        self._put_in: list[tuple[str, Above]] = []
        self.forget()
        _TERMINALS.add(self)

    def forget(self) -> None:
        """There is no table, and nobody draws one."""
        self._lock, self._is_drawn = RLock(), False
        self._tables: dict[object, list[str]] = {}

    @property
    def is_open(self) -> bool:
        """Whether anybody is shown."""
        return bool(self._tables)

    def join(self, who: object) -> None:
        """Somebody is to be shown: let what is printed go above the tables."""
        with installing():
            if not self.is_open:
                self._put_in = [(name, above) for name in ("stdout", "stderr") if (above := put_above(self, name))]
            self._tables[who] = []

    def leave(self, who: object) -> None:
        """Somebody has ended: put the streams back that were there, if nobody else is shown."""
        with installing():
            self._tables.pop(who, None)
            if not self.is_open:
                for name, above in self._put_in:
                    take_out(name, above)
                self._put_in, self._is_drawn = [], False

    def show(self, who: object, look: Look, is_last: bool) -> None:
        """Draw the tables, in one piece. The last one of somebody becomes a part of what was printed."""
        columns, lines = _size(self.stream)
        with self._lock:
            self._errors += look.errors
            room = (lines - 1) // len({*self._tables, who})
            table = table_of(look, columns, max(4, lines - 1) if is_last else room)
            self._tables[who] = [] if is_last else table
            if self._is_mid_line and not is_last:
                return  # what there is to tell is told with the next one
            begin = "\n" if self._is_mid_line else self._taken_away()
            printed = [*self._errors, *(table if is_last else ())]
            self._is_mid_line, self._errors = False, []
            self.stream.write(begin + "".join(f"{line}\n" for line in printed) + self._drawing(lines - 1))
            self.stream.flush()

    def _drawing(self, most: int) -> str:
        """Makes room below the cursor, which stays in its column, and draws the tables there."""
        rows = [row for table in self._tables.values() for row in table][: max(0, most)]
        self._is_drawn = bool(rows)
        if not rows:
            return ""
        return "\x1bD" * len(rows) + f"\x1b[{len(rows)}A\x1b7" + "".join(f"\r\n{row}" for row in rows) + "\x1b8"

    def _taken_away(self) -> str:
        """What takes the tables away: clear from the cursor."""
        drawn, self._is_drawn = self._is_drawn, False
        return "\x1b[J" if drawn else ""

    def above(self, real: Any, text: Any) -> Any:
        """Let a text through to one of the streams."""
        with self._lock:
            if self._is_drawn and text:
                self.stream.write(self._taken_away())
                self.stream.flush()
            if text:
                self._is_mid_line = not str(text).endswith("\n")
            return pass_on(real.write, text)


class TerminalScreen:
    """A place on a terminal."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def open(self) -> None:
        """Take a place on the terminal that is there, beside others that are shown on it."""
        with installing():
            self._terminal = terminal_of(self._stream)
            self._terminal.join(self)

    def show(self, look: Look, is_last: bool) -> None:
        """Draw the table."""
        self._terminal.show(self, look, is_last)

    def close(self) -> None:
        """The last table stays."""
        self._terminal.leave(self)


class Above:
    """Stands in for a stream on the terminal: what is written to it goes above the table."""

    def __init__(self, terminal: Terminal, real: Any) -> None:
        self.terminal, self.real = terminal, real

    def write(self, text: Any) -> Any:
        """Write a text."""
        return self.terminal.above(self.real, text)

    def writelines(self, lines: Any) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __repr__(self) -> str:
        return f"<netrun's progress above {self.real!r}>"


def _forget() -> None:
    for terminal in list(_TERMINALS):
        terminal.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


# %% [markdown]
# A stand-in is taken out wherever it is by then: another net's may be on top of it. Only where somebody else has wrapped it,
# it stays, lets everything through, and goes when the next progress begins.


# %%
#|exporti
def terminal_of(stream: Any) -> Terminal:
    """The terminal that a stream goes to: the one that others are shown on, if there is one."""
    while isinstance(stream, (Above, Stdout)):
        stream = stream.real
    return next((one for one in list(_TERMINALS) if one.is_open and one.stream is stream), None) or Terminal(stream)


def put_above(terminal: Terminal, name: str) -> Above | None:
    """Put a stand-in in for one of the streams of `sys`, if that is a terminal."""
    there = getattr(sys, name)
    behind = there.real if isinstance(there, Stdout) else there
    while isinstance(behind, Above) and not behind.terminal.is_open:
        behind = behind.real
    if not is_a_terminal(behind):
        return None
    above = Above(terminal, behind)
    if isinstance(there, Stdout):
        there.real = above
    else:
        setattr(sys, name, above)
    _hand_over(behind, above)
    return above


def take_out(name: str, above: Above) -> None:
    """Take a stand-in out, from among those of others too."""
    before, there = None, getattr(sys, name)
    while there is not above and isinstance(there, (Above, Stdout)):
        before, there = there, there.real
    if there is above:
        if before is None:
            setattr(sys, name, above.real)
        else:
            before.real = above.real
    _hand_over(above, above.real)


def _hand_over(old: Any, new: Any) -> None:
    """Let the handlers of `logging` that write to one stream write to another."""
    logging = sys.modules.get("logging")
    if logging is None:
        return
    for logger in [logging.root, *list(logging.root.manager.loggerDict.values())]:
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.StreamHandler) and handler.stream is old:
                handler.setStream(new)


# %%
#|exporti
def is_a_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal that can be drawn on."""
    try:
        return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError, OSError):  # there is none, or it is closed
        return False


def _size(stream: Any) -> tuple[int, int]:
    """Columns and lines of a terminal."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        columns, lines = 80, 24
    return columns or 80, lines or 24


# %% [markdown]
# In Jupyter the table is under the cell, and is changed there.


# %%
#|exporti
class CellScreen:
    """The output of a cell."""

    _handle: Any = None
    _errors: Sequence[str] = ()

    def open(self) -> None:
        """A place under the cell."""
        from importlib import import_module

        self._handle = import_module("IPython.display").DisplayHandle()
        self._handle.display({"text/plain": "netrun"}, raw=True)

    def show(self, look: Look, is_last: bool) -> None:
        """Change what is there."""
        self._errors = [*self._errors, *look.errors][-20:]
        text = "\n".join([*self._errors, *table_of(look, 100, 40)])
        self._handle.update({"text/plain": text, "text/html": html_of(look, self._errors)}, raw=True)

    def close(self) -> None:
        """What is there stays."""


def html_of(look: Look, errors: Sequence[str]) -> str:
    """The table as HTML."""
    from html import escape

    rows, others = shown_rows(look, 40)
    head = "".join(f"<th>{name}</th>" for name in _HEADS)
    named = [("<b>all nodes</b>", look.total), *((escape(plain(row.name, 60)), row) for row in rows)]
    body = "".join(
        f'<tr><td style="text-align:left">{name}</td>{"".join(f"<td>{cell}</td>" for cell in _cells(row))}</tr>'
        for name, row in named
    )
    more = f"<p>… and {others:,} more nodes</p>" if others else ""
    told = "".join(f"<pre>{escape(error)}</pre>" for error in errors)
    title = f"netrun {escape(look.state)} {look.seconds:.1f} s"
    return f"{told}<table><thead><tr><th>{title}</th>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def screen_here() -> Screen | None:
    """The screen that there is: under a cell, on a terminal, or a stream of lines. None where stderr is not there."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        return CellScreen()
    if sys.stderr is None:
        return None
    return TerminalScreen(sys.stderr) if is_a_terminal(sys.stderr) else LogScreen(sys.stderr)


# %% [markdown]
# ## The thread beside
#
# It ends when it is told to; one that looks at a net in the background also when that has ended. Its last look is shown in
# any case. A screen on which nothing can be shown any more, or a look that fails, ends it with a line in the log of
# `logging`.


# %%
#|export
class Progress:
    """Shows what a net is doing until it is closed.

    net: the net. screen: where. serves: whether the net runs in the background; then it closes by itself when that ends.
    """

    EVERY = 0.25  # seconds between two looks, at the least
    SHARE = 100  # and at the least so many times what a look takes
    MOST_ERRORS = 5  # told in one look
    LAST = 2.0  # seconds that closing waits for the last look

    def __init__(self, net: "Net", screen: Screen, serves: bool = False) -> None:
        self._net, self._screen, self._serves = net, screen, serves
        self._errors: deque[str] = deque(maxlen=1000)
        self._given_up = self._told = 0
        self._is_interrupted = False
        self._ended = Event()
        self._rates, self._begun = Rates(), monotonic()
        self._thread = Thread(target=copy_context().run, args=(self._watch,), name="netrun progress", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether it still looks."""
        return self._thread.is_alive()

    def open(self) -> None:
        """Begin. A process that ends meanwhile ends it first, so that its last look is shown."""
        self._screen.open()
        atexit.register(self.close)
        self._net._aftermath.heard.append(self._hear)
        try:
            self._thread.start()
        except BaseException:  # the machine has no more threads
            self._finish()
            raise

    def close(self) -> None:
        """End it after a last look. Does not wait for long where nobody reads what is shown."""
        self._ended.set()
        self._thread.join(self.LAST)
        self._finish()

    def interrupted(self) -> None:
        """What runs was cancelled from outside, by Ctrl-C or with its task: that is why the net pauses."""
        self._is_interrupted = True

    def _finish(self) -> None:
        atexit.unregister(self.close)
        heard = self._net._aftermath.heard
        if self._hear in heard:
            heard.remove(self._hear)
        self._screen.close()

    def _hear(self, error: BaseException, node_name: str, epoch_id: str) -> None:
        """An epoch was given up."""
        self._given_up += 1
        if len(self._errors) < self.MOST_ERRORS:
            self._errors.append(plain(f"netrun: node {node_name!r}, epoch {epoch_id}: {_told(error)}"))

    def _watch(self) -> None:
        try:
            self._look(False)
            pause = self.EVERY
            while not self._ended.wait(pause) and (not self._serves or self._net._control.serves):
                before = thread_time()
                self._look(False)
                pause = max(self.EVERY, self.SHARE * (thread_time() - before))
            self._look(True)
        except Exception as error:
            _not_shown(error)
        if self._serves:
            self._finish()

    def _look(self, is_last: bool) -> None:
        errors = [self._errors.popleft() for _ in range(len(self._errors))]
        untold = self._given_up - self._told - len(errors)
        self._told += len(errors) + max(0, untold)
        if untold > 0:
            errors.append(f"netrun: … and {untold:,} more that were given up")
        status = self._net.poll()
        if self._is_interrupted and status.paused_by == "error":
            status = replace(status, paused_by="interrupt")
        look = look_at(status, monotonic() - self._begun, self._rates, errors, is_last)
        self._screen.show(look, is_last)


# %%
#|exporti
def _not_shown(error: Exception) -> None:
    """Say why there is no progress. The net does not suffer from it."""
    from logging import getLogger

    getLogger("netrun").warning("progress is not shown any more: %s", _told(error))


# %%
#|export
def begin_progress(net: "Net", serves: bool = False) -> Progress | None:
    """Show what a net is doing, where there is something to show it on."""
    screen = screen_here()
    if screen is None:
        return None
    progress = Progress(net, screen, serves)
    try:
        progress.open()
    except Exception as error:  # a screen that cannot be opened, a machine that has no more threads
        _not_shown(error)
        return None
    return progress


@contextmanager
def shown(net: "Net") -> Iterator[None]:
    """Show what a net is doing within this."""
    with net._control.quick.up():
        progress = begin_progress(net)
    try:
        yield
    except BaseException as error:
        if progress is not None and not isinstance(error, Exception):
            progress.interrupted()
        raise
    finally:
        if progress is not None:
            with net._control.quick.up():
                progress.close()


# %% [markdown]
# ## Progress at work
#
# In a log: a stream that is no terminal. Errors come at once, all else is in the last line.

# %%
import io

nonempty = lambda port: SalvoConditionTerm.port(port, PortState.non_empty())
condition = SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, nonempty("in"))
net = Net(
    Graph([Node("Halve", in_ports={"in": Port()}, in_salvo_conditions={"in": condition})], []), on_error="continue"
)
net.set_node_exec("Halve", lambda ctx, packets: 10 / ctx.consume_packet(packets["in"][0]))
net.inject_packets("Halve", "in", [1, 0, 2])

stream = io.StringIO()
progress = Progress(net, LogScreen(stream))
progress.open()
net.start()
progress.close()
print(stream.getvalue())
assert "ZeroDivisionError: division by zero\n" in stream.getvalue()
assert ": 2 finished, 0 running, 0 waiting, 1 failed" in stream.getvalue() and "\x1b" not in stream.getvalue()

# %% [markdown]
# Here, under the cell:

# %%
net.inject_packets("Halve", "in", range(1, 2000))
net.start(progress=True)

# %% [markdown]
# On a terminal, what is printed goes above the table:


# %%
class Tty(io.StringIO):
    def isatty(self):
        return True


tty = Tty()
terminal = Terminal(tty)
terminal.show("me", look, False)
terminal.above(tty, "a line that a node prints\n")
terminal.show("me", look, True)
first, _, rest = tty.getvalue().partition("\x1b8\x1b[J")
assert rest.startswith("a line that a node prints\nnetrun RUNNING") and rest.count("\x1b") == 0
