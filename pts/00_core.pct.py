# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Core: the words
#
# netrun runs graphs. `netrun_sim` says what a graph is and moves packets through it; netrun holds the packets' values
# and calls the functions of the nodes. This chapter holds what every later one speaks with: the words of `netrun_sim`,
# the error classes, and the options that a node can be given.

# %%
#|default_exp core

# %%
#|hide
__all__: list[str] = []  # nblite writes the module's own

# %% [markdown]
# ## The words of `netrun_sim`
#
# Whoever builds a graph needs `netrun_sim`'s names and should not have to know that there are two packages. So all of
# them are netrun's too. No list is kept by hand: `__all__` of `netrun_sim` names most of them, and its native module
# has a few more that `__all__` leaves out.
#
# Four names are *not* taken over: `Packet`, `PacketLocation`, `Salvo` and `Epoch`. What a user meets under these names
# while a net runs is netrun's own (next chapter), because ids are netrun's own.

# %%
#|export
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from importlib import import_module
from math import inf
from os import PathLike
from types import FunctionType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Self, Union, get_args, get_origin

import netrun_sim
from netrun_sim import *
from netrun_sim import Graph, NetrunError

_OWN = {"Packet", "PacketLocation", "Salvo", "Epoch"}
_words = {
    name: word
    for name, word in vars(import_module("netrun_sim.netrun_sim")).items()
    if not name.startswith("_") and name not in _OWN
}
globals().update(_words)
__all__ += _words

# %%
import netrun
import netrun_sim

assert netrun.Graph is netrun_sim.Graph
assert issubclass(netrun.UndoError, netrun.NetrunError)  # one that `netrun_sim.__all__` leaves out
missing = {name for name in netrun_sim.__all__ if not hasattr(netrun, name)}
assert not missing, missing

# %% [markdown]
# ## Errors
#
# `NetrunError` is `netrun_sim`'s base class, so one `except NetrunError` catches everything that either package raises.
# What the runtime raises itself derives from `NetrunRuntimeError`.
#
# | whose fault | errors |
# |---|---|
# | the user's function | `NodeExecutionFailed`, `ValueFunctionFailed`, `EpochTimeout`, `PacketTypeMismatch` |
# | how netrun was used | `ConfigError`, `GraphError`, `NetStateError`, `NetNotPausedError`, `DeferredPacketIdAccessError` |
# | a checkpoint | `CheckpointError`, `CheckpointCorrupt`, `CheckpointMismatch` |
# | a text | `DslError`, `ExpressionError`, `ImportPathError`, `FactoryError` |
# | nobody's | `EpochCancelled` |
#
# The arguments of an error are its attributes, and `args` holds exactly them, so that every error can be pickled. The
# text is made from them when somebody reads it.


# %%
#|exporti
def told_type(spec: Any) -> str:
    """The type of a port in words, as one would write it."""
    origin, inner = get_origin(spec), [told_type(each) for each in get_args(spec)]
    if isinstance(spec, dict):
        exactly = "" if spec.get("isinstance", True) else "exactly "
        name = told_type(spec["class"])
        return f"a class derived from {name}" if spec.get("subclass") else f"{exactly}{name}"
    if origin in (Union, UnionType):
        return " | ".join(inner)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, get_args(spec)))}]"
    if origin is Annotated:
        return inner[0]
    if isinstance(spec, list):  # the parameters of a Callable
        return f"[{', '.join(map(told_type, spec))}]"
    if spec is None or spec is type(None) or spec is Ellipsis:
        return "..." if spec is Ellipsis else "None"
    name = getattr(spec, "__forward_arg__", getattr(spec, "__name__", str(spec)))
    return f"{name}[{', '.join(inner)}]" if inner else str(name)


# %%
#|export
class NetrunRuntimeError(NetrunError):
    """Base of every error that the runtime itself raises."""


class PacketTypeMismatch(NetrunRuntimeError):
    """A packet's value is not of the type that its port declares.

    Raised when the packet is consumed from an input port or loaded into an output port. `sender` is the output port that it
    was sent from, as "Node.port", or None where it was injected or is not sent yet.
    """

    def __init__(
        self,
        packet_id: str,
        expected_type: object,
        actual_type: type,
        port_name: str,
        node_name: str,
        sender: str | None = None,
    ) -> None:
        super().__init__(packet_id, expected_type, actual_type, port_name, node_name)
        self.sender = sender
        self.packet_id, self.expected_type, self.actual_type = packet_id, expected_type, actual_type
        self.port_name, self.node_name = port_name, node_name

    def __str__(self) -> str:
        expected = told_type(self.expected_type)
        came = "" if self.sender is None else f", which came from {self.sender},"
        got = self.actual_type.__name__
        got = f"an {got}" if got[:1].lower() in "aeiou" else f"a {got}"
        return (
            f"node {self.node_name!r}, port {self.port_name!r}: packet {self.packet_id}{came} holds {got}, the port takes "
            f"{expected}. Send another value or change the port's type."
        )


class ValueFunctionFailed(NetrunRuntimeError):
    """The function that should have made a packet's value raised. The original exception is its `__cause__`."""

    def __init__(self, packet_id: str, original_exception: BaseException) -> None:
        super().__init__(packet_id, original_exception)
        self.packet_id, self.original_exception = packet_id, original_exception

    def __str__(self) -> str:
        return (
            f"the value function of packet {self.packet_id} raised {_told(self.original_exception)}. "
            "The packet is where it was and can be consumed again."
        )


# %% [markdown]
# `_told` puts an exception into words the way Python's own tracebacks do. Its text is the user's, or that of a file that was
# read: what would move the cursor of a terminal, or clear it, is written out.


# %%
#|exporti
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def _told(error: BaseException) -> str:
    try:
        text = str(error).removesuffix(".")
    except Exception as second:  # the error is the user's, and so is its text
        text = f"(its text cannot be told: {type(second).__name__})"
    told = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return told if told.isprintable() else told.translate(_CONTROLS)


# %%
try:
    raise ValueFunctionFailed("p1-demo", ZeroDivisionError("division by zero"))
except NetrunError as error:
    assert "p1-demo raised ZeroDivisionError: division by zero" in str(error)
    assert error.packet_id == "p1-demo"
assert "ValueError: \\x1b[2Jé\n\\x9b" in str(ValueFunctionFailed("p1-demo", ValueError("\x1b[2Jé\n\x9b")))

# %% [markdown]
# The next three end an epoch. `EpochCancelled` is how `ctx.cancel_epoch()` leaves the node function; it is no failure.


# %%
#|export
class NodeExecutionFailed(NetrunRuntimeError):
    """A node gave an epoch up.

    `original_exception` is what the last attempt raised, and the `__cause__`; `attempts` how many were made;
    `others` the failures of other epochs that happened before the net had come to rest.
    """

    def __init__(self, node_name: str, epoch_id: str, original_exception: BaseException, attempts: int = 1) -> None:
        super().__init__(node_name, epoch_id, original_exception, attempts)
        self.node_name, self.epoch_id = node_name, epoch_id
        self.original_exception, self.attempts = original_exception, attempts
        self.others: list[NodeExecutionFailed] = []

    def __str__(self) -> str:
        tries = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        more = f" {len(self.others)} more epochs failed meanwhile: see `others`." if self.others else ""
        return (
            f"node {self.node_name!r}, epoch {self.epoch_id}: failed after {tries} with "
            f"{_told(self.original_exception)}. The epoch is cancelled, the net is paused; "
            f"start() goes on with the rest.{more}"
        )


class EpochTimeout(NetrunRuntimeError):
    """An attempt ran longer than its node's `timeout` (in seconds)."""

    def __init__(self, node_name: str, epoch_id: str, timeout_seconds: float) -> None:
        super().__init__(node_name, epoch_id, timeout_seconds)
        self.node_name, self.epoch_id, self.timeout_seconds = node_name, epoch_id, timeout_seconds

    def __str__(self) -> str:
        return (
            f"node {self.node_name!r}, epoch {self.epoch_id}: the attempt ran longer than its timeout of "
            f"{self.timeout_seconds:g} s. Its context is dead, and nothing that it still does reaches the net. (A worker "
            "process was ended; a thread cannot be stopped, and may still be running.) Raise `timeout` or make the "
            "function faster."
        )


class WorkerDied(NetrunRuntimeError):
    """The process that ran an attempt ended. `exitcode` is negative where a signal ended it, None where it is not known.
    `epoch_id` is empty where it ran a stop function."""

    def __init__(self, node_name: str, epoch_id: str, exitcode: int | None) -> None:
        super().__init__(node_name, epoch_id, exitcode)
        self.node_name, self.epoch_id, self.exitcode = node_name, epoch_id, exitcode

    def __str__(self) -> str:
        how = _exit_text(self.exitcode)
        if not self.epoch_id:
            return f"node {self.node_name!r}: a worker process ended before its stop_node_func had, {how}."
        ended = f"node {self.node_name!r}, epoch {self.epoch_id}: the worker process ended meanwhile, {how}."
        if self.exitcode is None:
            return f"{ended} See what the executor says, which is the cause; netrun's process pools have a new worker."
        return f"{ended} Only this epoch is concerned; the pool has a new worker."


def _exit_text(exitcode: int | None) -> str:
    """What an exit code says."""
    if exitcode is None:
        return "and how is not known"
    if exitcode >= 0:
        return f"with exit code {exitcode} (it called os._exit, or something that does)"
    from signal import Signals

    names = {signal.value: signal.name for signal in Signals}
    name = names.get(-exitcode, f"signal {-exitcode}")
    hints = {"SIGKILL": " (possibly out of memory)", "SIGSEGV": " (a crash in native code)"}
    return f"by {name}{hints.get(name, '')}"


class NotPicklable(NetrunRuntimeError):
    """Something that would have to go to a worker process, or come back from it, cannot be pickled. `port_name` is
    'function' where it is a function of the node. The original exception is its `__cause__`."""

    def __init__(self, node_name: str, port_name: str, type_name: str) -> None:
        super().__init__(node_name, port_name, type_name)
        self.node_name, self.port_name, self.type_name = node_name, port_name, type_name

    def __str__(self) -> str:
        where = "a function of the node" if self.port_name == "function" else f"port {self.port_name!r}"
        return (
            f"node {self.node_name!r}, {where}: a {self.type_name} cannot be pickled, so it cannot go to a process or "
            "come back from it. Send something else, open it in start_node_func, or run the node inline or in threads."
        )


class WorkerException(NetrunRuntimeError):
    """Stands for an exception of a worker process that could not be brought over. Its traceback is the `__cause__`.

    kinds: the full names of the exception's class and of its bases, by which `retry_on` knows it.
    """

    def __init__(self, type_name: str, text: str, kinds: tuple[str, ...] = ()) -> None:
        super().__init__(type_name, text)
        self.type_name, self.text, self.kinds = type_name, text, kinds

    def stands_for(self, kind: type[BaseException]) -> bool:
        """Whether the exception was of this class."""
        return f"{kind.__module__}.{kind.__qualname__}" in self.kinds

    def __str__(self) -> str:
        return f"{self.type_name}: {self.text}" if self.text else self.type_name


class EpochCancelled(NetrunRuntimeError):
    """`ctx.cancel_epoch()` was called: the epoch ends here, without a failure and without a retry."""

    def __init__(self, node_name: str, epoch_id: str) -> None:
        super().__init__(node_name, epoch_id)
        self.node_name, self.epoch_id = node_name, epoch_id

    def __str__(self) -> str:
        return (
            f"node {self.node_name!r}, epoch {self.epoch_id}: cancelled by cancel_epoch(). Let it leave the function."
        )


# %%
import pickle

failed = NodeExecutionFailed("Parse", "e7-demo", ValueError("bad line"), attempts=3)
assert "node 'Parse', epoch e7-demo: failed after 3 attempts with ValueError: bad line" in str(failed)
assert pickle.loads(pickle.dumps(failed)).attempts == 3
print(failed)

# %% [markdown]
# Errors of use. They are raised before anything has changed. `GraphError` carries every finding, not only the first.


# %%
#|export
class DeferredPacketIdAccessError(NetrunRuntimeError):
    """`id` or `location` of a packet was asked for that has none yet: it was created in an attempt whose actions are
    deferred until it succeeds."""

    def __str__(self) -> str:
        return (
            "a deferred packet has no id and no location before its attempt has succeeded. "
            "Pass the packet itself to load_output_port or consume_packet."
        )


class ConfigError(NetrunRuntimeError, ValueError):
    """An option is unknown or its value is bad. Nothing was changed."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class NetStateError(NetrunRuntimeError, RuntimeError):
    """The state of the net, or of an attempt, forbids this operation."""

    def __init__(self, operation: str, state: str) -> None:
        super().__init__(operation, state)
        self.operation, self.state = operation, state

    def __str__(self) -> str:
        return f"{self.operation} is not possible: {self.state}."


class NetNotPausedError(NetStateError):
    """This needs a net that is PAUSED or STOPPED, with nothing running."""

    def __init__(self, operation: str, state: str = "the net is not at rest; call pause(wait=True) first") -> None:
        super().__init__(operation, state)


class CheckpointError(NetrunRuntimeError):
    """A checkpoint could not be written or read. `path` is its folder, `file` the file in it, where it is about one."""

    def __init__(self, path: str, file: str | None, expected: str, got: str) -> None:
        super().__init__(path, file, expected, got)
        self.path, self.file, self.expected, self.got = path, file, expected, got

    def __str__(self) -> str:
        where = self.path if self.file is None else f"{self.path}, file {self.file}"
        return f"checkpoint {where}: expected {self.expected}; {self.got.removesuffix('.')}."


class CheckpointCorrupt(CheckpointError):
    """A file of a checkpoint is not what was written. Nothing of it was unpickled; take another checkpoint."""


class CheckpointMismatch(CheckpointError):
    """A sound checkpoint of another graph, or of a newer format. `got` says what the difference is."""


class EpochLimitReached(NetrunRuntimeError):
    """As many epochs as `max_epochs` allows were started in one run, and one more would start. The net is paused."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"{self.limit} epochs were started in this run, as many as max_epochs allows, and more could start. Nothing is "
            "lost: start() goes on and counts anew. Raise max_epochs, or look for a cycle that never ends."
        )


# %%
#|export
@dataclass(frozen=True, slots=True)
class GraphFinding:
    """One thing that is wrong with a graph: its `kind`, a `message` for people, and `details` by name. `place` says where
    that is in a text, if the graph comes from one."""

    kind: str
    message: str
    details: dict[str, Any]
    place: str = ""


class GraphWarning(UserWarning):
    """Something in a graph can never work, or only with values that are injected: see `Net(check=...)`."""


class GraphError(NetrunRuntimeError, ValueError):
    """The graph cannot be run, or is refused by `Net(check="error")`: `what` says which. `findings` lists everything that
    is wrong with it."""

    def __init__(self, findings: list[GraphFinding], what: str = "cannot be run") -> None:
        super().__init__(findings, what)
        self.findings, self.what = findings, what

    def __str__(self) -> str:
        return f"the graph {self.what}, {len(self.findings)} finding(s):{told_findings(self.findings)}"


# %%
#|exporti
_MOST = 50  # of what a message lists


def told_findings(findings: Sequence[GraphFinding]) -> str:
    """Findings in lines, as many as one can read, each with its place under it where it has one."""
    lines = "".join(
        f"\n  - {finding.message} ({finding.kind})" + (finding.place and f"\n    {finding.place}")
        for finding in findings[:_MOST]
    )
    return lines if len(findings) <= _MOST else f"{lines}\n  … and {len(findings) - _MOST:,} more"


# %% [markdown]
# Errors of nets that are written as text. A `DslError` holds everything that is wrong with a text, each finding with its
# place, the line itself and a caret under it. `source` is the file, where there is one.


# %%
#|export
class DslFinding(NamedTuple):
    """One thing that is wrong with a text. Lines and columns count from 1; None where it has no place in the text.
    `snippet` is the line and a caret under the place."""

    message: str
    line: int | None = None
    column: int | None = None
    snippet: str = ""

    def told(self, source: str | None = None) -> str:
        """The finding with its place, for people."""
        if self.line is None:
            return f"{source}: {self.message}" if source else self.message
        return f"{self.place(source)}: {self.message}{self.lines()}"

    def place(self, source: str | None = None) -> str:
        """The line and column."""
        return f"{source}:{self.line}:{self.column}" if source else f"line {self.line}, column {self.column}"

    def lines(self) -> str:
        """The line itself and the caret, indented."""
        return "".join(f"\n    {line}" for line in self.snippet.split("\n"))


class DslError(NetrunRuntimeError, ValueError):
    """A text, or a net that is to become one, is not as it should be. `findings` has everything that is wrong, in the
    order of the text; `message`, `line`, `column` and `snippet` are those of the first."""

    def __init__(self, findings: Sequence[DslFinding], source: str | None = None) -> None:
        super().__init__(findings, source)
        self.findings, self.source = list(findings), source
        self.message, self.line, self.column, self.snippet = self.findings[0]

    def __str__(self) -> str:
        more = f"{len(self.findings)} things are wrong\n" if len(self.findings) > 1 else ""
        return more + "\n".join(finding.told(self.source) for finding in self.findings)


class ExpressionError(DslError):
    """A salvo condition that cannot be read, or a term that cannot be written as one."""


class FactoryError(NetrunRuntimeError, ValueError):
    """A factory, `path`, cannot make a node. Where its code raised, that is the `__cause__`. In a text, `findings` has all
    such nodes, each with its place; `path` and `what` are of the first."""

    def __init__(self, path: str, what: str, findings: Sequence[DslFinding] = (), source: str | None = None) -> None:
        super().__init__(path, what)
        self.path, self.what, self.findings, self.source = path, what, list(findings), source

    def __str__(self) -> str:
        told = "\n".join(finding.told(self.source) for finding in self.findings)
        return told or f"factory {self.path!r}: {self.what}"


class ImportPathError(NetrunRuntimeError, ImportError):
    """A dotted path leads to nothing, or to what `allow` forbids. `path` is the first such path, `findings` has all."""

    def __init__(self, path: str, findings: Sequence[DslFinding], source: str | None = None) -> None:
        super().__init__(path, findings, source)
        self.path, self.findings, self.source = path, list(findings), source

    def __str__(self) -> str:
        return "\n".join(finding.told(self.source) for finding in self.findings)


# %%
finding = DslFinding("unknown option `retrys`, did you mean `retries`?", 7, 1, "retrys = 3\n^^^^^^")
print(DslError([finding], "net.toml"))
assert str(DslError([finding])).startswith("line 7, column 1: unknown option `retrys`")
assert pickle.loads(pickle.dumps(DslError([finding], "net.toml"))).column == 1

# %%
wrong = GraphError([GraphFinding("EdgeReferencesNonexistentNode", "no node 'B'", {"missing_node": "B"})])
assert isinstance(wrong, ValueError) and "no node 'B'" in str(wrong)
print(wrong)

# %% [markdown]
# ### Names that do not exist
#
# A wrong name is answered with the right ones, nearest first, so that a typing slip is mended at a glance.


# %%
#|exporti
def unknown_name(what: str, name: object, known: Any) -> str:
    """Say that `name` is no `what`, and which there are."""
    from difflib import get_close_matches

    names = sorted(map(str, known))
    near = get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    there = ", ".join(map(repr, names[:_MOST])) or "none"
    there += f", … ({len(names):,} in all)" if len(names) > _MOST else ""
    return f"there is no {what} {name!r}.{hint} There is: {there}."


def write_ref(node_name: str, port_name: str) -> str:
    """The name of a port of a node, `Node.port`, which no other port has: a name that holds a dot or a quote stands in
    quotes."""
    parts = []
    for name in (node_name, port_name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        parts.append(f'"{escaped}"' if not name or "." in name or '"' in name else name)
    return ".".join(parts)


# %%
from netrun.core import unknown_name, write_ref

assert write_ref("A", "out") == "A.out" and write_ref("a.b", "out") == '"a.b".out'

assert unknown_name("port", "ouut", ["out", "in"]) == (
    "there is no port 'ouut'. Did you mean 'out'? There is: 'in', 'out'."
)

# %% [markdown]
# ### How things look
#
# A record shows the fields that are not as they are by default, moments as text, and long things without their middle.


# %%
#|exporti
_LONGEST = 200  # characters of one field


def brief(record: Any) -> str:
    """The `repr` of a dataclass, in short."""
    shown = [
        f"{its.name}={_short_of(value)}"
        for its in fields(record)
        if its.repr and not _is_default(its, value := getattr(record, its.name))
    ]
    return f"{type(record).__name__}({', '.join(shown)})"


def _is_default(its: Any, value: Any) -> bool:
    if isinstance(value, (dict, list)) and not value:
        return True
    return value is its.default or (type(value) is type(its.default) and bool(value == its.default))


def _short_of(value: Any) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, dict) and len(value) > 6:
        some = ", ".join(f"{key!r}: {_short_of(value[key])}" for key in list(value)[:5])
        return f"{{{some}, … {len(value):,} in all}}"
    try:
        text = repr(value)
    except Exception as error:  # a value is a user's, and so is what it looks like
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 4 :]}"


# %%
from datetime import UTC, datetime


@dataclass
class Seen:
    name: str
    at: datetime
    tries: int = 1
    numbers: list = field(default_factory=list)
    __repr__ = brief


assert repr(Seen("a", datetime(2026, 1, 2, tzinfo=UTC))) == "Seen(name='a', at=2026-01-02T00:00:00+00:00)"
assert len(repr(Seen("a" * 10_000, datetime.now(UTC), 2, list(range(10_000))))) < 500

# %% [markdown]
# ## What a node can be told
#
# `NodeConfig` holds the options of one node. It is frozen: `merged` gives a new one, checked as a whole, or raises a
# `ConfigError` and leaves the old one as it was.


# %%
#|export
@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """The options of a node.

    defer_net_actions: what the node function does to the net is written down and takes effect when the function has
        returned; an attempt that fails leaves no trace. Costs one more pass over the actions of each epoch.
    retries: how many more attempts at an epoch there may be after the first has failed. Needs `defer_net_actions=True`.
    retry_wait: seconds before the first of them. Other nodes run meanwhile.
    retry_backoff: factor by which the wait grows from one to the next.
    retry_jitter: share from 0 to 1: each wait is longer or shorter by up to this much, at random, so that what failed
        together is not tried again together.
    retry_on: the exception classes (one, or several in a tuple or list) that are worth another attempt; None: all.
    pool: the name of a pool of the net, or several, where the node's function runs; None: inline. Of several the one with
        the most free workers is taken. In a process pool or an executor, actions are deferred always.
    pool_init_mode: "per_worker": the start function is called once in each worker, before its first epoch of this node,
        and the stop function once in each at the end of the run. "global": once in the net's own process, as inline.
    max_parallel_epochs: how many attempts may run at the same time, or None for no limit. An epoch that waits for its
        next attempt is not counted, nor one whose `timeout` is over, though its thread may still be at work.
    rate_limit_per_second: how many attempts may begin in a second, or None for no limit: the first begins at once, then
        each at least 1/rate seconds after the one before. Unused time is not saved up.
    timeout: seconds that an attempt may take, or None for no limit. The function of a node that has one runs in a
        thread of its own, so that the net can go on when the time is over.
    dead_letter_queue: whether an epoch that is given up leaves a dead letter.
    capture_stdout: whether what the node function prints goes to the log of its epoch, see `Net.get_epoch_log`. False: it goes
        where the process's prints go.
    echo_stdout: whether what is captured is printed, too. Of a function that runs in an executor it comes when the attempt has
        ended.
    """

    defer_net_actions: bool = False
    retries: int = 0
    retry_wait: float = 0.0
    retry_backoff: float = 1.0
    retry_jitter: float = 0.0
    retry_on: tuple[type[BaseException], ...] | None = None
    timeout: float | None = None
    pool: str | tuple[str, ...] | None = None
    pool_init_mode: str = "per_worker"
    max_parallel_epochs: int | None = None
    rate_limit_per_second: float | None = None
    dead_letter_queue: bool = True
    capture_stdout: bool = True
    echo_stdout: bool = False

    __repr__ = brief

    @property
    def pools(self) -> tuple[Any, ...]:
        """The names of its pools, be it one, several or none."""
        return () if self.pool is None else self.pool if isinstance(self.pool, tuple) else (self.pool,)

    def merged(self, **options: Any) -> Self:
        """These options with some of them changed. Raises `ConfigError` for an unknown name or a bad value."""
        known = [field.name for field in fields(self)]
        for name in options:
            if name not in known:
                raise ConfigError(unknown_name("node option", name, known))
        if isinstance(options.get("pool"), (list, tuple)):
            options["pool"] = tuple(options["pool"])
        if "retry_on" in options:
            options["retry_on"] = _exception_classes(options["retry_on"])
        config = replace(self, **options)
        config.verify()
        return config

    def verify(self) -> None:
        """Raise `ConfigError` unless the options make sense, each and together."""
        for name in ("defer_net_actions", "dead_letter_queue", "capture_stdout", "echo_stdout"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be True or False, not {getattr(self, name)!r}.")
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or self.retries < 0:
            raise ConfigError(f"retries must be a whole number from 0 on, not {self.retries!r}.")
        check_number("retry_wait", self.retry_wait, "a number of seconds from 0 on", lambda n: n >= 0)
        check_number("retry_backoff", self.retry_backoff, "a factor from 0 on", lambda n: n >= 0)
        check_number("retry_jitter", self.retry_jitter, "a share from 0 to 1", lambda n: 0 <= n <= 1)
        if self.timeout is not None:
            check_number("timeout", self.timeout, "a number of seconds above 0, or None", lambda n: n > 0)
        if self.rate_limit_per_second is not None:
            rate = self.rate_limit_per_second
            check_number("rate_limit_per_second", rate, "a number above 0, or None", lambda n: n > 0 and 1 / n < inf)
        check_count("max_parallel_epochs", self.max_parallel_epochs)
        if not all(isinstance(name, str) and name for name in self.pools) or self.pool == ():
            raise ConfigError(f"pool must be the name of a pool, a list of names, or None, not {self.pool!r}.")
        if self.pool_init_mode not in ("per_worker", "global"):
            raise ConfigError(f"pool_init_mode must be 'per_worker' or 'global', not {self.pool_init_mode!r}.")
        if self.retries and not self.defer_net_actions:
            raise ConfigError(
                f"retries={self.retries} needs defer_net_actions=True: what a failed attempt has done to the net could "
                "not be undone before the next one."
            )


# %% [markdown]
# What the checks share:


# %%
#|exporti
def check_count(name: str, value: Any) -> None:
    """Raise `ConfigError` unless this is a whole number from 1 on, or None."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError(f"{name} must be a whole number from 1 on, or None, not {value!r}.")


def check_size(name: str, value: Any, least: int) -> None:
    """Raise `ConfigError` unless this is a whole number from `least` on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name} must be a whole number from {least} on, not {value!r}.")


def check_number(name: str, value: Any, what: str, fits: Callable[[float], bool]) -> None:
    """Raise `ConfigError` unless this is a finite number that fits."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and abs(value) < inf and fits(value)):
        raise ConfigError(f"{name} must be {what}, not {value!r}.")


def pace_of_saves(every: Any) -> tuple[float, float]:
    """After how many seconds, or how many epochs, a net is to be saved, of which one is infinite. Raises `ConfigError`."""
    if isinstance(every, str):
        number, _, unit = every.partition(" ")
        if not (unit in ("epochs", "epoch") and number.isdecimal() and int(number) > 0):
            raise ConfigError(
                f"checkpoint_every must be a number of seconds, or a text as '1000 epochs', not {every!r}."
            )
        return inf, int(number)
    if every is not None:
        check_number(
            "checkpoint_every", every, "a number of seconds above 0, or a text as '1000 epochs'", lambda n: n > 0
        )
    return (inf if every is None else every), inf


def _exception_classes(given: Any) -> tuple[type[BaseException], ...] | None:
    """What `retry_on` may be, as a tuple of classes."""
    if given is None:
        return None
    classes = tuple(given) if isinstance(given, (tuple, list, set, frozenset)) else (given,)
    for thing in classes:
        if not (isinstance(thing, type) and issubclass(thing, BaseException)):
            raise ConfigError(f"retry_on must be exception classes, or None for all, not {thing!r}.")
    return classes


# %% [markdown]
# `NetConfig` holds the options of a net. What each means, `Net` says, which takes them as keywords; they are listed here a
# second time so that they can be told apart, written down and checked without a net.


# %%
#|export
@dataclass(frozen=True, slots=True, kw_only=True)
class NetConfig:
    """The options of a net, see `Net`."""

    check: str | bool | None = "warn"  # None and False are the same; a text has only False
    on_error: str = "raise"
    error_callback: Callable[..., Any] | None = None
    consumed_packet_storage: bool = False
    consumed_packet_storage_limit: int | None = None
    packet_storage_path: str | PathLike[str] | None = None
    dead_letter_queue: str | Callable[..., Any] = "memory"
    dead_letter_path: str | PathLike[str] | None = None
    dead_letter_callback: Callable[..., Any] | None = None
    dead_letter_limit: int | None = None
    max_epochs: int | None = None
    handle_signals: bool = True
    thread_pools: Mapping[str, Mapping[str, Any]] | None = None
    process_pools: Mapping[str, Mapping[str, Any]] | None = None
    executor_pools: Mapping[str, Any] | None = None
    history_max_size: int = 10_000
    history_file: str | PathLike[str] | None = None
    history_chunk_size: int = 100
    history_flush_on_pause: bool = True
    checkpoint_path: str | PathLike[str] | None = None
    checkpoint_every: float | str | None = None
    checkpoint_key: bytes | str | None = field(default=None, repr=False)
    meta: Mapping[str, Any] | None = None

    __repr__ = brief

    @classmethod
    def of(cls, named: Mapping[str, Any]) -> Self:
        """The options among these names and values, checked. Raises `ConfigError`."""
        config = cls(**{field.name: named[field.name] for field in fields(cls)})
        config.verify()
        return config

    def verify(self) -> None:
        """Raise `ConfigError` unless each makes sense by itself."""
        if self.check not in ("warn", "error", None, False):
            raise ConfigError(f"check is 'warn', 'error' or None, not {self.check!r}.")
        if self.on_error not in ("continue", "pause", "raise"):
            raise ConfigError(f"on_error is 'continue', 'pause' or 'raise', not {self.on_error!r}.")
        for name in ("error_callback", "dead_letter_callback"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                raise ConfigError(f"{name} must be callable, not {getattr(self, name)!r}.")
        for name in ("consumed_packet_storage", "handle_signals", "history_flush_on_pause"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be True or False, not {getattr(self, name)!r}.")
        for name in ("packet_storage_path", "dead_letter_path", "history_file", "checkpoint_path"):
            if not isinstance(getattr(self, name), str | PathLike | None):
                raise ConfigError(f"{name} must be a path, or None, not {getattr(self, name)!r}.")
        for name in ("thread_pools", "process_pools", "executor_pools", "meta"):
            if not isinstance(getattr(self, name), Mapping | None):
                raise ConfigError(f"{name} must be a dict, or None, not {getattr(self, name)!r}.")
        pace_of_saves(self.checkpoint_every)
        if self.checkpoint_every is not None and self.checkpoint_path is None:
            raise ConfigError("checkpoint_every says how often to save: it needs a checkpoint_path.")
        if self.checkpoint_key is not None:
            if not isinstance(self.checkpoint_key, bytes | str) or not self.checkpoint_key:
                raise ConfigError("checkpoint_key is bytes or a text, and not empty.")
            if self.checkpoint_path is None:
                raise ConfigError("checkpoint_key signs what the net saves: it needs a checkpoint_path.")
        check_count("max_epochs", self.max_epochs)
        check_size("history_max_size", self.history_max_size, 0)
        check_size("history_chunk_size", self.history_chunk_size, 1)


# %%
config = NodeConfig().merged(timeout=2.5)
assert config == NodeConfig(timeout=2.5) and config.merged(defer_net_actions=True).timeout == 2.5

# %% [markdown]
# Bad options are refused with the way out in the message.

# %%
for bad in [dict(timout=3), dict(timeout=0), dict(timeout="2"), dict(timeout=True), dict(defer_net_actions=1)]:
    try:
        config.merged(**bad)
    except ConfigError as error:
        print(error)
    else:
        raise AssertionError(f"{bad} was accepted")
