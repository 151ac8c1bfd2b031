# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Views: history as people look at it
#
# `net.history` is an `EventHistory`. It gives the [entries](07_history.ipynb) themselves, and these views of them, which are
# made when they are asked for:
#
# | | |
# |---|---|
# | `net.timeline()` | a row for each attempt: who worked when, where, and how it ended |
# | `net.lineage(packet_id)` | the packets and epochs that a packet comes from |
# | `history.to_frame()` | all of it as a table of pandas |
# | `history.to_perfetto(path)` | a trace to zoom in |
# | `history.to_otel()` | spans of OpenTelemetry |

# %%
#|default_exp views

# %%
#|export
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from weakref import finalize

from netrun_sim import PacketNotFoundError

from netrun.core import ConfigError, brief, check_size
from netrun.history import HistoryEntry, HistoryFile, Recorder, read_entries

# %% [markdown]
# ## Timeline


# %%
#|export
class TimelineRow(NamedTuple):
    """An attempt that has ended. `worker` is None where there are no workers. Times are in UTC.

    verdict: "finished", "retry" (it failed, and is made again), "failed" (for good), "cancelled", or "given back" (the epoch
    is startable again)."""

    node: str
    epoch: str
    attempt: int
    worker: str | None
    begun: datetime
    ended: datetime
    verdict: str

    def __repr__(self) -> str:
        where = "" if self.worker is None else f" in {self.worker}"
        taken = (self.ended - self.begun).total_seconds() * 1000
        return (
            f"<TimelineRow {self.begun.isoformat()}: {self.node} {self.epoch}, attempt {self.attempt}{where}, "
            f"{self.verdict} after {taken:.3f} ms>"
        )


# %%
#|exporti
def row_of(data: dict[str, Any]) -> TimelineRow:
    begun, ended = datetime.fromisoformat(data["begun"]), datetime.fromisoformat(data["ended"])
    node, epoch, attempt, worker = (data[name] for name in ("node_name", "epoch_id", "attempt", "worker"))
    return TimelineRow(node, epoch, attempt, worker, begun, ended, data["verdict"])


# %% [markdown]
# ## Ways of the packets
#
# What the views below share: where each packet was made, what each epoch was started with, and when each packet was sent.


# %%
#|exporti
class Ways:
    """What some entries say of the ways of the packets."""

    def __init__(self, entries: Iterable[HistoryEntry]) -> None:
        self.made: dict[str, str | None] = {}  # of each packet, the epoch that made it, or None: it came from outside
        self.salvos: dict[str, list[str]] = {}  # the packets that each epoch was started with
        self.nodes: dict[str, str] = {}  # of each epoch
        self.sent: dict[str, list[tuple[str, datetime]]] = defaultdict(
            list
        )  # of each packet, by which epochs, and when
        for entry in entries:
            data = entry.data
            if entry.action_type == "CreatePacket":
                self.made.setdefault(data["packet_id"], data["epoch_id"])
            elif entry.event_type == "EpochCreated":
                self.nodes[data["epoch_id"]] = data["node_name"]
                self.salvos[data["epoch_id"]] = [packet for _, packet in data["in_salvo"]["packets"]]
            elif entry.event_type == "OutputSalvoTriggered":
                for _, packet in data["packets"]:
                    self.sent[packet].append((data["epoch_id"], entry.timestamp))


# %% [markdown]
# ## Lineage


# %%
#|export
@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a packet comes from.

    packets: it, and all that it comes from, oldest first; each with the id of the epoch that made it, or None where it came
        from outside (injected, or put back by `redrive`, as a new packet), or was made before what history has.
    epochs: those epochs, oldest first; each with its node and the packets that it was started with.
    is_whole: whether history has all of it. If not, older parts are missing.
    """

    packet_id: str
    packets: dict[str, str | None]
    epochs: dict[str, tuple[str, list[str]]]
    is_whole: bool

    __repr__ = brief


# %%
#|exporti
def lineage_of(entries: Iterable[HistoryEntry], packet_id: str, is_there: bool = False) -> Lineage:
    """The lineage of a packet. `is_there`: it is in the net, even if no entry knows it. Raises `PacketNotFoundError`."""
    ways = Ways(entries)
    if packet_id not in ways.made and not is_there:
        raise PacketNotFoundError(f"there is no packet {packet_id!r} in the history (any more).")
    packets, epochs, is_whole = dict[str, str | None](), dict[str, tuple[str, list[str]]](), True
    new = [packet_id]
    while new:
        packet = new.pop()
        epoch = packets[packet] = ways.made.get(packet)
        is_whole = is_whole and (packet in ways.made or packet == packet_id)
        if epoch is None or epoch in epochs:
            continue
        is_whole = is_whole and epoch in ways.salvos
        epochs[epoch] = ways.nodes.get(epoch, ""), ways.salvos.get(epoch, [])
        new += [other for other in epochs[epoch][1] if other not in packets]
    by_age = sorted(packets, key=_number), sorted(epochs, key=_number)
    return Lineage(packet_id, {id: packets[id] for id in by_age[0]}, {id: epochs[id] for id in by_age[1]}, is_whole)


def _number(id: str) -> int:
    return int(id[1:].partition("-")[0])


# %% [markdown]
# ## A table


# %%
#|exporti
def frame_of(entries: list[HistoryEntry]) -> Any:
    """The entries as a `pandas.DataFrame`."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("history.to_frame() needs pandas: pip install pandas") from error
    names = [name for name in HistoryEntry.__slots__ if name != "data"]
    rows = [{**{name: getattr(entry, name) for name in names}, **entry.data} for entry in entries]
    return pandas.DataFrame(rows, columns=None if rows else names)


# %% [markdown]
# ## A trace
#
# In the [Trace Event format](https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU): each node is
# a process, each of its workers a thread, each attempt a slice. Epochs that run side by side without workers get as many
# threads as there are at a time, since slices of one thread must not overlap. An arrow leads from the slice that sent a
# packet to the first one of the epoch that it started.


# %%
#|exporti
class _Slice(NamedTuple):
    """An attempt in a trace: which process and thread, begin and end in microseconds, and what is told of it."""

    process: int
    thread: int
    begun: float
    ended: float
    data: dict[str, Any]


class _Trace:
    """The events of a trace."""

    def __init__(self, entries: list[HistoryEntry]) -> None:
        attempts = one_at_a_time([(row_of(entry.data), entry.data) for entry in entries if entry.entry_type == "epoch"])
        self._start = attempts[0][0].begun if attempts else None
        self._processes: dict[str, int] = {}
        self._threads: dict[tuple[str, str], list[list[Any]]] = defaultdict(list)  # each a number, and when it is free
        self._next_thread = 1
        self.events: list[dict[str, Any]] = []
        slices: dict[str, list[_Slice]] = defaultdict(list)
        for row, data in attempts:
            slices[row.epoch].append(self._slice(row, data))
        self._draw_arrows(slices, Ways(entries))

    def _at(self, moment: datetime) -> float:
        assert self._start is not None
        return (moment - self._start).total_seconds() * 1e6

    def _slice(self, row: TimelineRow, data: dict[str, Any]) -> _Slice:
        begun = self._at(row.begun)
        ended = max(self._at(row.ended), begun + 0.5)
        one = _Slice(self._process(row.node), self._thread(row, data["carrier"], begun, ended), begun, ended, data)
        told = {name: data[name] for name in ("epoch_id", "attempt", "carrier", "verdict", "ending", "error")}
        event = {"ph": "X", "name": row.node, "cat": row.verdict, "ts": begun, "dur": ended - begun, "args": told}
        self.events.append({**event, "pid": one.process, "tid": one.thread})
        return one

    def _process(self, node: str) -> int:
        if node not in self._processes:
            number = self._processes[node] = len(self._processes) + 1
            self._name("process_name", number, 0, node)
        return self._processes[node]

    def _thread(self, row: TimelineRow, carrier: str, begun: float, ended: float) -> int:
        """A thread of this node that is free, named after the worker or the carrier."""
        name = row.worker or carrier
        lanes = self._threads[row.node, name]
        lane = next((lane for lane in lanes if lane[1] <= begun), None)
        if lane is None:
            lane = [self._next_thread, 0.0]
            self._next_thread += 1
            lanes.append(lane)
            self._name(
                "thread_name", self._process(row.node), lane[0], name if len(lanes) == 1 else f"{name} {len(lanes)}"
            )
        lane[1] = ended
        return int(lane[0])

    def _name(self, what: str, process: int, thread: int, name: str) -> None:
        self.events.append({"ph": "M", "name": what, "pid": process, "tid": thread, "args": {"name": name}})

    def _draw_arrows(self, slices: dict[str, list[_Slice]], ways: Ways) -> None:
        number = 0
        for epoch, packets in ways.salvos.items():
            for packet in packets:
                before = [(sender, at) for sender, at in ways.sent.get(packet, ()) if sender != epoch]
                if not before or not slices.get(epoch) or not slices.get(before[-1][0]):
                    continue
                sender, at = before[-1]
                number += 1
                source = _slice_at(slices[sender], self._at(at))
                self._arrow("s", number, packet, source, min(max(self._at(at), source.begun), source.ended))
                self._arrow("f", number, packet, slices[epoch][0], slices[epoch][0].begun)

    def _arrow(self, end: str, number: int, packet: str, at: _Slice, moment: float) -> None:
        event = {
            "ph": end,
            "id": number,
            "name": "packet",
            "cat": "packet",
            "ts": moment,
            "args": {"packet_id": packet},
        }
        more = {"bp": "e"} if end == "f" else {}
        self.events.append({**event, **more, "pid": at.process, "tid": at.thread})


def one_at_a_time(attempts: list[tuple[TimelineRow, dict[str, Any]]]) -> list[tuple[TimelineRow, dict[str, Any]]]:
    """Attempts by their begin. A worker does one at a time, and has begun the next one before the net has dealt with what
    the last one brought; so that one ends there."""
    attempts = sorted(attempts, key=lambda pair: pair[0].begun)
    last: dict[str, int] = {}  # of each worker
    for k, (row, _) in enumerate(attempts):
        if row.worker is not None:
            if row.worker in last:
                before, data = attempts[last[row.worker]]
                attempts[last[row.worker]] = before._replace(ended=min(before.ended, row.begun)), data
            last[row.worker] = k
    return attempts


def _slice_at(slices: list[_Slice], moment: float) -> _Slice:
    """The slice in which something happened."""
    return next((one for one in slices if one.begun <= moment <= one.ended), slices[-1])


def write_trace(entries: list[HistoryEntry], path: str | os.PathLike[str]) -> None:
    """Write the trace of some entries to a file."""
    import json

    with open(path, "w", encoding="utf-8") as file:
        json.dump({"traceEvents": _Trace(entries).events, "displayTimeUnit": "ms"}, file)


# %% [markdown]
# ## Spans
#
# By OpenTelemetry's API alone: what becomes of the spans is the business of the provider that the user has set up. Attempts
# at an epoch that failed are events of its span.


# %%
#|exporti
def send_spans(entries: list[HistoryEntry], closes: list[float], tracer_provider: Any) -> None:
    """Make spans of some entries: one for each epoch, one for each run. `closes`: when each run was closed."""
    try:
        from opentelemetry import trace
    except ImportError as error:
        raise ImportError("history.to_otel() needs OpenTelemetry: pip install netrun[otel]") from error
    tracer = trace.get_tracer("netrun", tracer_provider=tracer_provider)
    attempts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        if entry.entry_type == "epoch":
            attempts[entry.data["epoch_id"]].append(entry.data)
    ways, spans = Ways(entries), dict[str, Any]()
    for begun, ended, epochs in _by_run(attempts, closes):
        run = tracer.start_span("netrun run", start_time=begun)
        context = trace.set_span_in_context(run)
        for epoch in epochs:
            links = [
                trace.Link(spans[sender].get_span_context(), {"netrun.packet_id": packet})
                for packet in ways.salvos.get(epoch, ())
                for sender, _ in ways.sent.get(packet, ())[-1:]
                if sender in spans
            ]
            spans[epoch] = _epoch_span(trace, tracer, context, attempts[epoch], links)
        run.end(end_time=ended)


def _epoch_span(trace: Any, tracer: Any, context: Any, attempts: list[dict[str, Any]], links: list[Any]) -> Any:
    first, last = attempts[0], attempts[-1]
    facts = {
        f"netrun.{name}": last[name] for name in ("node_name", "epoch_id", "attempt", "carrier", "worker", "verdict")
    }
    attributes = {name: value for name, value in facts.items() if value is not None}
    begun, name = _nanoseconds(first["begun"]), last["node_name"]
    span = tracer.start_span(name, context=context, start_time=begun, links=links, attributes=attributes)
    for attempt in attempts:
        if attempt["error"] is not None:
            told = {"netrun.attempt": attempt["attempt"], "netrun.error": attempt["error"]}
            span.add_event(f"attempt {attempt['ending']}", told, timestamp=_nanoseconds(attempt["ended"]))
    if last["verdict"] == "failed":
        span.set_status(trace.Status(trace.StatusCode.ERROR, last["error"]))
    span.end(end_time=_nanoseconds(last["ended"]))
    return span


def _by_run(attempts: dict[str, list[dict[str, Any]]], closes: list[float]) -> list[tuple[int, int, list[str]]]:
    """Each run with its begin and its end in nanoseconds and its epochs, in the order in which these began. What is in no run
    that was closed is in one that is open."""
    begins = {epoch: _nanoseconds(some[0]["begun"]) for epoch, some in attempts.items()}
    ends = {epoch: _nanoseconds(some[-1]["ended"]) for epoch, some in attempts.items()}
    left, found = sorted(begins, key=begins.__getitem__), list[tuple[int, int, list[str]]]()
    for at in [*(int(close * 1e9) for close in closes), max(ends.values(), default=0)]:
        epochs = [epoch for epoch in left if begins[epoch] <= at]
        left = left[len(epochs) :]
        if epochs:
            found.append((begins[epochs[0]], max(ends[epoch] for epoch in epochs), epochs))
    return found


def _nanoseconds(moment: str) -> int:
    at = datetime.fromisoformat(moment)
    return int(at.replace(microsecond=0).timestamp()) * 10**9 + at.microsecond * 1000


# %% [markdown]
# ## EventHistory


# %%
#|export
class EventHistory:
    """What has happened in a net: `net.history`.

    max_size: how many entries are kept in memory; the oldest go first. 0: none.
    file: a path. Entries are appended to it as lines of JSON, in chunks of about `chunk_size`; with `flush_on_pause` also
        when the net pauses or is blocked. At `stop()`, and when the interpreter ends, the rest is written.

    `error` is why the file could last not be written, or None, and `lost` how many entries it lacks because of that: a net
    goes on without its history file. All methods may be called from any thread. `guard`: what they are under, so that
    Ctrl-C strikes before or after them, and no record is lost half-way to where it is kept. Raises `ConfigError` for bad options, a
    file that cannot be opened, and one that another net writes to.
    """

    def __init__(
        self,
        suffix: str = "",
        max_size: int = 10_000,
        file: str | os.PathLike[str] | None = None,
        chunk_size: int = 100,
        flush_on_pause: bool = True,
        guard: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        check_size("history_max_size", max_size, 0)
        check_size("history_chunk_size", chunk_size, 1)
        if not isinstance(flush_on_pause, bool):
            raise ConfigError(f"history_flush_on_pause must be True or False, not {flush_on_pause!r}.")
        if file is not None and not isinstance(file, (str, os.PathLike)):
            raise ConfigError(f"history_file must be a path or None, not {file!r}.")
        self._flushes, self._guard = flush_on_pause, guard
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
        with self._guard():
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

    def attempts(self) -> list[TimelineRow]:
        """The attempts among them, see `Net.timeline`."""
        from json import loads

        with self._guard():
            lines = self._recorder.attempts()
        return [row_of(loads(line)) for line in lines]

    def _told_attempts(self) -> list[dict[str, Any]]:
        """What is told of each attempt, of those in the file too."""
        from json import loads

        with self._guard():
            lines = self._recorder.attempts_on_file()
        return [loads(line) for line in lines]

    def to_frame(self) -> Any:
        """All entries as a `pandas.DataFrame`: a row each, a column for each field and each thing that `data` names. Raises
        `ImportError` where there is no pandas."""
        return frame_of(self.get_entries())

    def to_perfetto(self, path: str | os.PathLike[str]) -> None:
        """Write a trace that ui.perfetto.dev and chrome://tracing open: a process for each node, a thread for each worker,
        arrows along the packets. Raises `OSError` when the file cannot be written."""
        write_trace(self.get_entries(), path)

    def to_otel(self, tracer_provider: Any = None) -> None:
        """Hand what is kept to OpenTelemetry as spans: one for each run of the net (from its opening to its
        close), and in it one for each epoch that has
        ended, linked to those that its packets came from. Each call hands on all of it anew.

        tracer_provider: where to; None: the global one. Raises `ImportError` where OpenTelemetry is not installed (it comes
        with `netrun[otel]`).
        """
        send_spans(self.get_entries(), list(self._recorder.closes), tracer_provider)

    def flush(self) -> None:
        """Write to the file what is not there yet. `error` then says whether the file is well."""
        with self._guard():
            self._recorder.flush()

    def rest(self, is_closed: bool, is_over: bool) -> None:
        """The net has come to rest: its run is closed, or the net is over for good."""
        self._recorder.rest(self._flushes, is_closed)
        if is_over:
            self._recorder.close()

    @staticmethod
    def read(path: str | os.PathLike[str]) -> list[HistoryEntry]:
        """The entries of a history file, oldest first. A line that is torn or cannot be read is left out, and one warning
        says so. Raises `OSError` where there is no such file."""
        return read_entries(path)

    def __len__(self) -> int:
        with self._guard():
            return self._recorder.size()

    def __repr__(self) -> str:
        return f"<EventHistory: {len(self)} entries>"


# %% [markdown]
# ## History at work
#
# A net of three nodes; the second fails at first, and is tried again.

# %%
from netrun import *


def stage(name, inputs=("in",)):
    has_any = lambda port: SalvoConditionTerm.port(port, PortState.non_empty())
    one = PacketCount.count(1)
    return Node(
        name,
        in_ports={port: Port() for port in inputs},
        out_ports={"out": Port()},
        in_salvo_conditions={port: SalvoCondition(MaxSalvos.finite(1), {port: one}, has_any(port)) for port in inputs},
        out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", has_any("out"))},
    )


def edge(a, b):
    return Edge(PortRef(a, PortType.Output, "out"), PortRef(b, PortType.Input, "in"))


net = Net(Graph([stage("Count", []), stage("Half"), stage("Show")], [edge("Count", "Half"), edge("Half", "Show")]))


def half(ctx, packets):
    if ctx.retry_count == 0:
        raise ConnectionError("no answer")
    ctx.send("out", ctx.consume_packet(packets["in"][0]) / 2)


net.set_node_exec("Count", lambda ctx, packets: [ctx.send("out", number) for number in (4, 6)])
net.set_node_exec("Half", half)
net.set_node_config("Half", retries=1, defer_net_actions=True)
net.set_node_exec("Show", lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["in"][0])))
assert net.run() == {"Show.out": [2, 3]}
print(net.history)
for row in net.timeline():
    print(row.node, row.epoch, row.attempt, row.verdict)
assert [row.verdict for row in net.timeline()].count("retry") == 2

# %% [markdown]
# Which actions and events there were, and what one action has caused:

# %%
action = net.history.get_actions()[-2]
print(action, *net.history.get_events_for_action(action.id), sep="\n")
assert len(net.history.get_actions()) + len(net.history.get_events()) + len(net.timeline()) == len(net.history)

# %% [markdown]
# Where a packet comes from:

# %%
sent = [entry for entry in net.history.get_events() if entry.event_type == "PacketOrphaned"][-1]
lineage = net.lineage(sent.data["packet_id"])
print(lineage)
assert [node for node, _ in lineage.epochs.values()] == ["Count", "Half", "Show"] and lineage.is_whole
assert list(lineage.packets.values()) == list(lineage.epochs)

# %% [markdown]
# In a file, and read again:

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "history.jsonl"
    with Net(net.graph, history_file=path) as other:
        other.set_node_exec("Count", lambda ctx, packets: None)
        other.run()
        print(path.read_text())
        try:
            Net(net.graph, history_file=path)
        except ConfigError as error:
            print(error)
        else:
            raise AssertionError("two nets would write there")
    assert EventHistory.read(path) == other.history.get_entries()
    net.history.to_perfetto(Path(folder) / "trace.json")
    print((Path(folder) / "trace.json").read_text()[:300])
