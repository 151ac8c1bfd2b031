# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The net
#
# `Net` is what a user meets: a graph, a function for each node, and verbs. It is a thin face. The
# [Ledger](00g_ledger.ipynb) owns, the [engine](02_execution.ipynb) decides, the [driver](02b_driver.ipynb) runs, and
# [control](09_control.ipynb) keeps the state; each method here is a line or two that hands on to one of them.

# %%
#|default_exp net

# %%
#|export
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, Self, TypeVar, cast

from netrun_sim import Graph

from netrun.checks import check_graph
from netrun.control import Control, NetState, NetStatus, status_of
from netrun.core import ConfigError, NetConfig, NodeConfig, NodeExecutionFailed, unknown_name, write_ref
from netrun.driver import Driver, MonotonicClock, Stage, is_async, is_generator
from netrun.execution import Engine, NodeFunc, Task
from netrun.failures import Aftermath, DeadLetterEntry, DeadLetterQueue, RetryPolicy, redrive
from netrun.ledger import Ledger
from netrun.limits import limits_of
from netrun.packets import Epoch, Packet
from netrun.prints import LogEntry, NodeLog
from netrun.port_types import PortTypes
from netrun.routing import Door, Outlet
from netrun.signals import HANDING_OVER, WAITING
from netrun.values import PacketValueStore
from netrun.views import EventHistory, Lineage, TimelineRow, lineage_of

if TYPE_CHECKING:
    from netrun.build import FunctionNode
    from netrun.autosave import Autosave
    from netrun.dsl import NetDefinition
    from netrun.flows import Flow
    from netrun.progress import Progress
    from netrun.why import Blockage, Explanation

# %% [markdown]
# ## Names of ports
#
# `"Node.port"` names a port of a net; a name that holds a dot stands in quotes, as in `'"a.b".port'`. A port's name alone
# will do where only one node has it, or only one has it without an edge.


# %%
#|exporti
class PortNames:
    """The ports of a net by name: inputs, and output ports without an edge."""

    def __init__(self, doors: Mapping[str, Door], exposed: Mapping[str, tuple[str, str]] | None = None) -> None:
        self._exposed = exposed or {}  # names that a flow has given to inputs
        self._inputs = {
            write_ref(door.node_name, port): (door.node_name, port) for door in doors.values() for port in door.gates
        }
        self._fed = {
            (door.node_name, port)
            for door in doors.values()
            for port, gate in door.gates.items()
            if any(wire.edge is not None for wire in gate.wires)
        }
        self._outlets = {
            write_ref(door.node_name, port): (door.node_name, port)
            for door in doors.values()
            for port, out in door.outs.items()
            if isinstance(out, Outlet)
        }

    @property
    def outlets(self) -> list[tuple[str, str]]:
        """Every output port without an edge."""
        return list(self._outlets.values())

    def outlet(self, name: str) -> tuple[str, str]:
        """The output port without an edge of this name, or `ConfigError`."""
        if name not in self._outlets:
            raise ConfigError(unknown_name("unconnected output port", name, self._outlets))
        return self._outlets[name]

    def refuse(self, word: str, given: Any, kind: str) -> NoReturn:
        """What was given for a word of `run` is meant for a port of this name, if there is one."""
        meant = [name for name, place in self._inputs.items() if place[1] == word]
        way = f" The port of this name is given as {{{meant[0]!r}: values}}." if meant else ""
        raise ConfigError(f"`{word}` of run takes {kind}, not {given!r:.200}.{way}")

    def input(self, name: str, alone: bool = False) -> tuple[str, str]:
        """The input port of this name, or `ConfigError`. `alone`: a port's name without its node will do."""
        if name in self._inputs:
            return self._inputs[name]
        matches = [place for place in self._inputs.values() if alone and place[1] == name]
        free = [place for place in matches if place not in self._fed]
        if len(matches) == 1 or len(free) == 1:
            return (free or matches)[0]
        if alone and not matches and name in self._exposed:
            return self._exposed[name]
        if matches:
            nodes = ", ".join(repr(node_name) for node_name, _ in matches)
            raise ConfigError(
                f"more than one node has an input port {name!r}: {nodes}. Name one as {write_ref('Node', name)!r} in inputs."
            )
        raise ConfigError(unknown_name("input port", name, self._inputs))


def _must_be_switches(**words: Any) -> None:
    """`ConfigError` unless all of these are True or False."""
    for word, given in words.items():
        if not isinstance(given, bool):
            raise ConfigError(f"{word} must be True or False, not {given!r:.200}.")


def _values(name: str, values: Any) -> list[Any]:
    """The values that are given for a port, or `ConfigError` where they are none."""
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes, Mapping)):
        raise ConfigError(f"the values for {name!r} must be given as a list or another iterable, not {values!r:.200}.")
    return _listed(values)


# %% [markdown]
# ## Undisturbed
#
# Ctrl-C in the main thread may come while the books are open. Verbs that are quick wait for their end before it strikes.


# %%
#|exporti
Self_ = TypeVar("Self_", bound="Nodes")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Method = Callable[Concatenate[Self_, Parameters], Result]


def _undisturbed(method: Method[Self_, Parameters, Result]) -> Method[Self_, Parameters, Result]:
    """The method of a net, guarded against signals."""

    @wraps(method)
    def guarded(self: Self_, *arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        guard = self._control.quick
        if not guard.rise():
            return method(self, *arguments, **options)
        try:
            return method(self, *arguments, **options)
        finally:
            guard.fall()

    return cast(Method[Self_, Parameters, Result], guarded)


def _listed(values: Iterable[Any]) -> list[Any]:
    """What an iterable of the user's gives: that may take long, and be interrupted anywhere."""
    return list(values)


WAITING.add(_listed.__code__)
HANDING_OVER.add(_listed.__code__)


# %% [markdown]
# ## Net
#
# What its nodes do:


# %%
#|exporti
def _queue(mode: Any, path: Any, callback: Any, limit: Any) -> DeadLetterQueue:
    """The queue that the net's options describe."""
    if not callable(mode):
        return DeadLetterQueue(mode, path, callback, limit)
    if callback is not None:
        raise ConfigError("dead_letter_queue is a callable already: leave dead_letter_callback out.")
    return DeadLetterQueue("callback", path, mode, limit)


def _named_rightly(init: Method[Self_, Parameters, None]) -> Method[Self_, Parameters, None]:
    """The `__init__` of a net, which is made of one thing, and of options that there are."""

    @wraps(init)
    def checked(self: Self_, *things: Parameters.args, **options: Parameters.kwargs) -> None:
        known: dict[str, Any] = getattr(init, "__kwdefaults__", {})
        for name in options:
            if name not in (*known, "graph"):
                raise ConfigError(f"Net: {unknown_name('option', name, known)}")
        if len(things) + ("graph" in options) != 1:
            raise ConfigError(
                f"a net is made of one thing, and {len(things)} were given: a Graph, a node or a Flow; of several, "
                "write Net(Flow(a, b))."
            )
        init(self, *things, **options)

    return cast(Method[Self_, Parameters, None], checked)


class Nodes:
    """A net's graph, and what its nodes do."""

    @_named_rightly
    def __init__(
        self,
        graph: "Graph | Flow | FunctionNode[..., Any]",
        *,
        check: str | bool | None = "warn",
        consumed_packet_storage: bool = False,
        consumed_packet_storage_limit: int | None = None,
        packet_storage_path: str | os.PathLike[str] | None = None,
        on_error: str = "raise",
        error_callback: Callable[..., Any] | None = None,
        dead_letter_queue: str | Callable[[DeadLetterEntry], Any] = "memory",
        dead_letter_path: str | os.PathLike[str] | None = None,
        dead_letter_callback: Callable[[DeadLetterEntry], Any] | None = None,
        dead_letter_limit: int | None = None,
        max_epochs: int | None = None,
        handle_signals: bool = True,
        thread_pools: Mapping[str, Mapping[str, Any]] | None = None,
        process_pools: Mapping[str, Mapping[str, Any]] | None = None,
        executor_pools: Mapping[str, Any] | None = None,
        history_max_size: int = 10_000,
        history_file: str | os.PathLike[str] | None = None,
        history_chunk_size: int = 100,
        history_flush_on_pause: bool = True,
        checkpoint_path: str | os.PathLike[str] | None = None,
        checkpoint_every: float | str | None = None,
        checkpoint_key: bytes | str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        check = check or False  # as a text has it
        self._config = NetConfig.of(locals())
        values = PacketValueStore(consumed_packet_storage, consumed_packet_storage_limit, packet_storage_path)
        assembly = None
        if not isinstance(graph, Graph):
            from netrun.flows import assembled  # points up

            assembly = assembled(graph)
            graph = assembly.graph
        self._graph = graph
        self._exposed = {} if assembly is None else assembly.exposed
        self._definition: NetDefinition | None = None  # what it was built from, and what of
        self._built: dict[str, tuple[Any, ...]] = {}
        self._overridden: set[str] = set()
        self._ledger = Ledger(graph, values)
        if check:
            check_graph(graph, str(check))
        self._tasks = {name: Task(name, NodeConfig()) for name in self._ledger.doors}
        self._options = {name: task.config for name, task in self._tasks.items()}  # a task has them when it is its turn
        self._engine = Engine(self._ledger, self._tasks)
        self._stage = Stage(self._tasks, self)
        self._driver = Driver(self._engine, self._stage, MonotonicClock())
        for task in self._tasks.values():
            task.carrier = self._driver.inline
        self._dead_letter_queue = _queue(dead_letter_queue, dead_letter_path, dead_letter_callback, dead_letter_limit)
        self._engine.judge = RetryPolicy()
        self._engine.on_error = on_error
        self._engine.max_epochs = max_epochs
        self._aftermath = Aftermath(self._ledger, self._dead_letter_queue, error_callback)
        self._driver.before_cancel = self._aftermath
        self._control = Control(self._driver)
        self._control.handles_signals = handle_signals
        if thread_pools or process_pools or executor_pools:
            from netrun.pools import Pools

            self._stage.pools = Pools(self._driver, self, thread_pools, process_pools, executor_pools)
        self._history = EventHistory(
            self._ledger.suffix,
            history_max_size,
            history_file,
            history_chunk_size,
            history_flush_on_pause,
            self._control.quick.up,
        )
        self._port_types = PortTypes(self._ledger)
        self._listen()
        self._logs = {name: NodeLog(name, self._ledger.suffix) for name in self._tasks}
        for task in self._tasks.values():
            self._listen_to(task)
        if assembly is not None:
            assembly.furnish(self)
        self._autosave: Autosave | None = None
        self._progress: Progress | None = None  # of a run in the background
        if checkpoint_path is not None:
            from netrun.autosave import Autosave as Saver  # a chapter further on, which most nets do not need

            self._autosave = Saver(cast(Net, self), checkpoint_path, checkpoint_every, checkpoint_key)

    def _listen_to(self, task: Task) -> None:
        """Say where the prints of a node go."""
        log = self._logs[task.node_name]
        log.echo = task.config.echo_stdout
        task.log = log if task.config.capture_stdout else None

    def _listen(self) -> None:
        """Let the history hear what happens."""
        if self._history.is_kept:
            recorder = self._history._recorder
            self._ledger.note, self._engine.observe = recorder.note, recorder.observe
            self._ledger.heard_much = recorder.digest
            self._control.at_rest = self._history.rest

    @property
    def graph(self) -> Graph:
        """The graph that this net was made from."""
        return self._graph

    def _remember(self, definition: "NetDefinition", built: dict[str, Any], options: Iterable[str]) -> None:
        """What this net was built from, the functions and options of its nodes then, and which of its own options were
        others than the definition's."""
        self._definition, self._built, self._overridden = definition, built, set(options)

    @property
    def meta(self) -> dict[str, Any]:
        """What `meta` said of this net."""
        return dict(self._config.meta or {})

    @property
    def state(self) -> NetState:
        """CREATED, RUNNING, PAUSED or STOPPED."""
        return self._control.state

    @property
    def value_store(self) -> PacketValueStore:
        """The values of the packets, by packet id."""
        return self._ledger.values

    @property
    def dead_letter_queue(self) -> DeadLetterQueue:
        """The epochs that were given up."""
        return self._dead_letter_queue

    @property
    def history(self) -> EventHistory:
        """What has happened in this net."""
        return self._history

    @property
    def error(self) -> NodeExecutionFailed | None:
        """The failure that paused the net, with its `others`; None when it ran on since, and with `on_error="continue"`."""
        return self._control.error

    @_undisturbed
    def set_node_exec(
        self,
        node_name: str,
        exec_node_func: NodeFunc | None,
        start_node_func: NodeFunc | None = None,
        stop_node_func: NodeFunc | None = None,
        exec_failed_node_func: NodeFunc | None = None,
    ) -> None:
        """Give a node its functions, sync or async. Replaces those that it had.

        exec_node_func: called as `exec_node_func(ctx, packets)` for each epoch, `packets` being `{port: [packets]}`.
            None: the node's epochs stay startable.
        start_node_func, stop_node_func: called with the net at the opening and the close of a run.
        exec_failed_node_func: called with a `NodeFailureContext` after each failed attempt.

        Raises `NodeNotFoundError` for an unknown node, `ConfigError` for what cannot be called.
        """
        task = self._task(node_name)
        functions = {
            "exec_node_func": exec_node_func,
            "start_node_func": start_node_func,
            "stop_node_func": stop_node_func,
            "exec_failed_node_func": exec_failed_node_func,
        }
        for name, func in functions.items():
            if func is not None and not callable(func):
                raise ConfigError(f"node {node_name!r}: {name} must be callable, not {func!r}.")
            if is_generator(func):
                raise ConfigError(f"node {node_name!r}: {name} is a generator function, whose body would never run.")

        def change() -> None:
            for name, func in functions.items():
                setattr(task, name, func)
            task.is_async = is_async(exec_node_func)
            self._place(task)
            if any(is_async(func) for func in functions.values()):
                self._driver.async_tasks.add(node_name)
            else:
                self._driver.async_tasks.discard(node_name)
            self._stage.changed(task)
            self._ledger.unshelve(node_name)

        self._driver.changes.ask(change)
        self._control.wake()

    def set_node_config(self, node_name: str, **options: Any) -> None:
        """Set options of a node, see `NodeConfig`; the others stay. Takes effect with the node's next attempt. Raises
        `NodeNotFoundError`, or `ConfigError` for an unknown option or a bad value."""
        task = self._task(node_name)

        def change() -> None:
            task.config = config
            self._place(task)
            self._stage.moved(task)

        with self._control.quick.up(), self._driver.changes.lock:
            config = self._options[node_name].merged(**options)
            if self._stage.is_open:
                self._stage.must_have_pools(node_name, config)
            self._options[node_name] = config
            self._driver.changes.ask(change)
        self._control.wake()

    def get_node_config(self, node_name: str) -> NodeConfig:
        """The options of a node. Raises `NodeNotFoundError`."""
        return self._options[self._task(node_name).node_name]

    def set_input_port_type(self, node_name: str, port_name: str, spec: Any) -> None:
        """Say what an input port takes: each value is checked when it is consumed, and `PacketTypeMismatch` raised for
        one that does not fit.

        spec: a class; the name of one, as text; `{"class": C, "isinstance": False}` for exactly that class,
            `{"class": C, "subclass": True}` for classes derived from it; a union, a generic (of which the origin is
            checked), a `Literal`, a protocol; None for no check.

        Raises `NodeNotFoundError`, `InputPortNotFoundError`, `ConfigError` for what is no spec, `GraphError` when an edge
        joins it to a type that it can never meet; nothing has changed then.
        """
        self._retype(self._port_types.set_input(node_name, port_name, spec))

    def set_output_port_type(self, node_name: str, port_name: str, spec: Any) -> None:
        """`set_input_port_type` for an output port: values are checked when they are loaded, lazy ones when they are
        known."""
        self._retype(self._port_types.set_output(node_name, port_name, spec))

    def get_input_port_type(self, node_name: str, port_name: str) -> Any:
        """The spec of an input port as it was given, or None."""
        return self._port_types.get_input(node_name, port_name)

    def get_output_port_type(self, node_name: str, port_name: str) -> Any:
        """The spec of an output port as it was given, or None."""
        return self._port_types.get_output(node_name, port_name)

    def _retype(self, door: Door) -> None:
        self._tasks[door.node_name].types = door.in_types, door.out_types

    def _place(self, task: Task) -> None:
        """Say where a task runs, and what holds it back."""
        limits = limits_of(task.config, task.limits)
        self._listen_to(task)
        pools: Any = self._stage.pools
        if task.config.pool is not None and pools is not None:
            from netrun.pools import Room

            task.carrier = Room(pools, task)
            limits += (task.carrier,)
        elif task.is_async:
            from netrun.async_ import LoopCarrier

            task.carrier = LoopCarrier(self._driver)
        else:
            task.carrier = self._driver.inline
        task.limits = limits
        self._engine.tell_limits(task)

    def _task(self, node_name: str) -> Task:
        return self._tasks[self._ledger.door(node_name).node_name]

    def _must_not_be_stopped(self, operation: str) -> None:
        self._control.must_not_be_stopped(operation)


# %% [markdown]
# What is in it, what goes in and what comes out:


# %%
#|exporti
class Contents(Nodes):
    """What is in a net."""

    @_undisturbed
    def get_startable_epochs(self) -> list[str]:
        """The ids of the epochs that could start, oldest first."""
        return self._ledger.startable()

    @_undisturbed
    def get_startable_epochs_by_node(self, node_name: str) -> list[str]:
        """The ids of a node's epochs that could start, oldest first. Raises `NodeNotFoundError`."""
        return self._ledger.startable(node_name)

    def get_running_epochs_count(self, node_name: str) -> int:
        """How many epochs of a node are running. Raises `NodeNotFoundError`."""
        return self._ledger.door(node_name).live

    def get_epoch(self, epoch_id: str) -> Epoch:
        """The epoch with this id. Raises `EpochNotFoundError` for one that is not, or no longer, in the net."""
        return self._ledger.get_epoch(epoch_id)

    def get_packet(self, packet_id: str) -> Packet:
        """The packet with this id. Raises `PacketNotFoundError` for one that is not, or no longer, in the net."""
        return self._ledger.get_packet(packet_id)

    @_undisturbed
    def inject_source_epoch(self, node_name: str) -> str:
        """Make a startable epoch with an empty salvo, to start a node without input. Returns its id."""
        self._must_not_be_stopped("inject_source_epoch")
        epoch_id = self._ledger.create_epoch(node_name).id
        self._control.wake()
        return epoch_id

    @_undisturbed
    def inject_packets(self, node_name: str, port_name: str, values: Iterable[Any]) -> list[str]:
        """Put values at an input port, in order. Those beyond its slots wait for room. Returns the ids of their packets.

        May be called from any thread, before and while the net runs. Raises `NodeNotFoundError`,
        `InputPortNotFoundError`, or what storing a value raised; nothing is injected then.
        """
        self._must_not_be_stopped("inject_packets")
        ids = self._ledger.inject(node_name, port_name, _listed(values))
        self._control.wake()
        return ids

    def get_node_log(self, node_name: str) -> list[LogEntry]:
        """What a node's functions have printed, an entry a line, oldest first: the last 10,000 lines. Raises
        `NodeNotFoundError`."""
        return self._logs[self._task(node_name).node_name].entries()

    def get_epoch_log(self, epoch_id: str) -> list[LogEntry]:
        """What was printed in an epoch, by all attempts at it. Raises `EpochNotFoundError` for what is no id of this net."""
        number = self._ledger.number_of(epoch_id)
        return [entry for log in self._logs.values() for entry in log.entries(number)]

    def timeline(self) -> list[TimelineRow]:
        """The attempts that have ended, as far as `history` has them: who worked when, where, and how it ended."""
        return self._history.attempts()

    def lineage(self, packet_id: str) -> Lineage:
        """The packets and epochs that a packet comes from, as far as `history` has them; the packet may have left the net.
        Raises `PacketNotFoundError`."""
        is_there = self._ledger.has_packet(packet_id)
        return lineage_of(self._history.get_entries(), packet_id, is_there)

    @_undisturbed
    def redrive(self, entry: DeadLetterEntry, values: Mapping[str, Iterable[Any]] | None = None) -> list[str]:
        """Put the packets of a dead letter back at the ports they came from, and take it out of the queue.

        values: `{port: [values]}` in place of the old ones. Returns the ids of the packets. Raises `NetStateError` for an
        entry that was redriven before or whose values are not known, and what `inject_packets` raises.
        """
        self._must_not_be_stopped("redrive")
        ids = redrive(self._ledger, self._dead_letter_queue, entry, values)
        self._control.wake()
        return ids

    @_undisturbed
    def take_outputs(self, node_name: str, port_name: str) -> list[Any]:
        """The values that were sent from an output port without an edge, in order; the net holds them no longer. Raises
        `NodeNotFoundError`, `OutputPortNotFoundError`, and `ValueFunctionFailed` (everything stays then)."""
        return self._ledger.take_outputs(node_name, port_name)


# %% [markdown]
# How it runs:


# %%
#|export
class Net(Contents):
    """A graph that runs.

    graph: a `netrun_sim` graph, or what `@node` and `>>` make of functions. One that cannot be run raises `GraphError` with every finding.
    check: what is done about what can never work in it, such as a condition that asks for more packets than its port has
        slots for. "warn": one `GraphWarning` with all of it; "error": `GraphError`, and a warning of what only works with
        values that are injected (a cycle that nothing starts); None: nothing. See the chapter on checks.
    consumed_packet_storage, consumed_packet_storage_limit: keep the values of consumed packets, and how many at the most
        (None: all); `value_store.get_consumed_value(id)` gives them.
    packet_storage_path: a folder to keep the values in, each a file, in place of memory.
    on_error: what an epoch that is given up does to the net. "raise": the net pauses, and `start` raises
        `NodeExecutionFailed` when what runs has ended; "pause": the same without raising, see `error`; "continue": the
        net runs on.
    error_callback: called as `error_callback(exception, node_name, epoch_id)` for each epoch that is given up.
    dead_letter_queue: where such epochs are kept: "memory", "file" (needs `dead_letter_path`), "callback" (needs
        `dead_letter_callback`), or a callable; see `DeadLetterQueue`. dead_letter_limit: how many at the most.
    max_epochs: how many epochs one run may start, or None for no limit. With one more the net pauses, and `start` raises
        `EpochLimitReached`; the next `start` counts anew. For nets that might run for ever.
    thread_pools, process_pools: by name, the pools in which nodes with the option `pool` run: `{"io": {"size": 8}}`, and
        for processes `{"cpu": {"size": 2, "start_method": "forkserver"}}` ("spawn" and "fork" are the others; a script needs
        no `__main__` guard). executor_pools: `concurrent.futures` executors of yours, by name, which the net does not close;
        as `{"cluster": {"executor": executor, "size": 8}}` where one does not tell how many workers it has, as Dask's.
    history_max_size: how many entries `history` keeps in memory; 0: none. history_file: a file that all of them are appended
        to as lines of JSON, about `history_chunk_size` at a time, and (`history_flush_on_pause`) when the net pauses or is
        blocked.
    checkpoint_path: a folder to save the net to (see `save_checkpoint`) when a run has come to its end, and while it runs
        as often as checkpoint_every says: a number of seconds, or a text as "1000 epochs". That takes a moment at which
        nothing runs, which is sought for a twentieth of the time at the most; the writing is done beside.
        `start(resume=True)` goes on from there. checkpoint_key: sign it, and go on only from what was signed with this key.
    meta: anything that is to be known of this net, by name. netrun only keeps it.
    handle_signals: while `start` or `run_step` runs in the main thread, the first SIGINT or SIGTERM pauses the net, and
        only the second cancels what runs and raises. False: both do what they do without a net, at a moment when nothing
        is torn by that.

    An option that there is not, or a bad value, raises `ConfigError`.

    Give the nodes their functions with `set_node_exec`, put values in with `inject_packets`, run with `start`, and take
    what came out with `take_outputs`; or do all three with `run`. A net may be used from any thread; one at a time runs
    it. `with net:` calls the start functions at the beginning of the block and stops the net at its end.
    """

    def start(self, threaded: bool = False, resume: bool = False, progress: bool = False) -> None:
        """Run until nothing more can happen; then the net is PAUSED, and can be started again.

        threaded: return at once and run in a thread of the net's own until `stop`: the net idles when it is blocked, and
            goes on when something is injected. `wait_until_blocked` waits for it, and raises what went wrong in it.
        resume: where there is a checkpoint at `checkpoint_path`, go on from it: with what it holds in place of what would be
            put in, so inject only where `Net.has_checkpoint(path)` is False. Functions, options and port types are those of
            this net. Raises `NetStateError` where something has been in this net already, and what `load_checkpoint`
            raises; this net never writes to the checkpoint then.
        progress: show on stderr what the net is doing, see the chapter on progress: of each node the epochs that have
            finished, run, wait and failed, and errors as they come. With `threaded`, until `stop`.

        Works in a script, in a thread, and where a loop is running. Epochs of async nodes run at the same time, on a loop
        of the run's own. Raises `NodeExecutionFailed` when a node gave an epoch up (the rest is as it was, and `start`
        goes on with it), `NetStateError` when the net is running already or stopped, `EpochLimitReached`, and what a start
        or stop function raised. In the main thread the first SIGINT or SIGTERM pauses the net, see `handle_signals`.
        """
        _must_be_switches(threaded=threaded, resume=resume, progress=progress)
        if resume:
            self._resume()
        if threaded:
            self._control.start_threaded()
            if progress:
                self._show_in_background()
        elif progress:
            with self._shown("start"):
                self._control.start()
        else:
            self._control.start()

    def _shown(self, operation: str) -> AbstractContextManager[None]:
        from netrun.progress import shown  # a chapter further on

        self._control.must_be_free(operation)
        return shown(self)

    @_undisturbed
    def _show_in_background(self) -> None:
        from netrun.progress import begin_progress  # a chapter further on

        if self._progress is None or not self._progress.is_alive:
            self._progress = begin_progress(self, serves=True)

    @_undisturbed
    def _show_no_more(self) -> None:
        """The net has been stopped: what shows it ends. From inside a node it ends by itself, after the node."""
        if self._progress is not None and self._control.is_stopped():
            self._progress.close()
            self._progress = None

    def _resume(self) -> None:
        if self._autosave is None:
            raise ConfigError("resume=True goes on from the checkpoint at checkpoint_path: give the net one.")
        self._control.must_be_free("start")
        self._autosave.resume()

    async def async_start(self, resume: bool = False, progress: bool = False) -> None:
        """`start` on the caller's loop. When the caller is cancelled, so are the running attempts: their epochs are
        startable again, or cancelled with a dead letter if they had acted on the net, and the net is PAUSED."""
        _must_be_switches(resume=resume, progress=progress)
        if resume:
            self._resume()
        with self._shown("start") if progress else nullcontext():
            await self._control.async_start()

    def run_step(self, start_epochs: bool = True, threaded: bool = False) -> bool:
        """Run one wave: start what is startable now, and wait for all of it. What that makes startable waits for the
        next step. The net stays RUNNING, its start functions called, until `stop`. True if anything ran; after a pause
        nothing does until `start` or `resume`.

        start_epochs: False only routes what was injected.
        threaded: return at once, and run the wave in the background. True if there is anything to run then;
            `wait_until_blocked` waits for it.

        Raises as `start` does.
        """
        if not start_epochs:
            return self._route()
        return self._control.step_threaded() if threaded else self._control.run_step()

    async def async_run_step(self, start_epochs: bool = True) -> bool:
        """`run_step` on the caller's loop."""
        if not start_epochs:
            return self._route()
        return await self._control.async_run_step()

    @_undisturbed
    def _route(self) -> bool:
        self._must_not_be_stopped("run_step")
        self._ledger.route()
        return False

    def pause(self, wait: bool = False) -> None:
        """Let running epochs finish and start no others. With `wait`, return when they are done; from inside a node it
        never waits. May be called from any thread. Raises `NetStateError` on a stopped net, and where waiting would block
        the loop that runs it."""
        self._control.pause(wait)

    async def async_pause(self, wait: bool = False) -> None:
        """`pause`, that lets the caller's loop run while it waits."""
        await self._control.async_pause(wait)

    def resume(self) -> None:
        """Lift a pause. A net in the background goes on; else nothing runs by itself, but `run_step` does again. Raises
        `NetStateError` on a stopped net."""
        self._control.resume()

    def stop(self) -> None:
        """Stop for good: running async attempts are cancelled, others finish, stop functions are called. From inside a
        node it asks for that and returns. May be called from any thread. Raises what the stop functions raised, what went
        wrong in the background and was not raised yet, and `NetStateError` when a thread does not end in time (call it
        again then). Stopping twice is fine."""
        try:
            self._control.stop()
        finally:
            self._show_no_more()

    async def async_stop(self) -> None:
        """`stop`, that lets the caller's loop run while it waits."""
        try:
            await self._control.async_stop()
        finally:
            self._show_no_more()

    @_undisturbed
    def poll(self) -> NetStatus:
        """What the net is doing now: its state, and how many epochs run, wait and have ended, by node too. Changes
        nothing; may be called from any thread, and from inside a node."""
        return status_of(self._control)

    def why_blocked(self) -> "Blockage":
        """Why nothing more happens: what each node waits for that holds packets or epochs, or has never run, and the roots
        that this comes down to. Print it, or look at `root`, `roots` and `nodes`. Changes nothing; may be called from any
        thread, while the net runs too."""
        from netrun.why import why_blocked  # a chapter further on

        return why_blocked(self)

    def explain(self, node_name: str) -> "Explanation":
        """What one node waits for: its ports, each input condition with which of its terms are true now, and the way to the
        root. Changes nothing; may be called from any thread. Raises `NodeNotFoundError`."""
        from netrun.why import explain  # a chapter further on

        return explain(self, node_name)

    def wait_until_blocked(self, timeout: float | None = None) -> bool:
        """Wait until nothing runs and nothing will by itself: the net is blocked, paused or stopped, or nobody runs it.
        False when that takes more than `timeout` seconds.

        Raises what went wrong in a run in the background since it was asked last: `NodeExecutionFailed`,
        `EpochLimitReached`, what a start function raised. Raises `NetStateError` from inside a node, and where waiting
        would block the loop that runs the net.
        """
        return self._control.wait_until_blocked(timeout)

    async def async_wait_until_blocked(self, timeout: float | None = None) -> bool:
        """`wait_until_blocked`, that lets the caller's loop run while it waits."""
        return await self._control.async_wait_until_blocked(timeout)

    def run(
        self,
        inputs: Mapping[str, Iterable[Any]] | None = None,
        *,
        outputs: Iterable[str] | None = None,
        sources: bool = True,
        progress: bool = False,
        **by_name: Iterable[Any],
    ) -> dict[str, list[Any]]:
        """Inject, run, and take what came out.

        inputs: `{"Node.port": values}`, with names that hold dots in quotes: `'"a.b".port'`. In keywords a port's name
            alone will do where only one node has it, or only one has it without an edge, and so do the names that the net's
            flow exposes. A port that is called as one of the words here is named by its node.
        outputs: the `"Node.port"`s to take from; None takes from every output port without an edge.
        sources: start one epoch at each node that has no input ports and a function, unless one is waiting there.
        progress: show what the net is doing, as `start` does. (Values for a port of one of these names are given in `inputs`.)

        Returns `{"Node.port": values}`, with an empty list where nothing was sent. Raises `ConfigError` for a name that
        there is not, before anything is injected, and what `inject_packets` and `start` raise.
        """
        ports = PortNames(self._ledger.doors, self._exposed)
        if inputs is not None and not isinstance(inputs, Mapping):
            ports.refuse("inputs", inputs, "values by port, {'Node.port': values}")
        outputs = list(outputs) if isinstance(outputs, Iterable) and not isinstance(outputs, str) else outputs
        if outputs is not None and not (isinstance(outputs, list) and all(isinstance(each, str) for each in outputs)):
            ports.refuse("outputs", outputs, "a list of output ports, ['Node.port']")
        for word, switch in (("sources", sources), ("progress", progress)):
            if not isinstance(switch, bool):
                ports.refuse(word, switch, "True or False")
        taken = ports.outlets if outputs is None else [ports.outlet(name) for name in outputs]
        given = [(ports.input(name), _values(name, values)) for name, values in (inputs or {}).items()]
        given += [(ports.input(name, alone=True), _values(name, values)) for name, values in by_name.items()]
        self._control.must_be_free("run")
        for place, values in given:
            self.inject_packets(*place, values)
        for name in self._idle_sources() if sources else ():
            self.inject_source_epoch(name)
        self.start(progress=progress)
        with self._control.quick.up():
            outputs_taken = self._ledger.take_all(taken)
        return {write_ref(*place): values for place, values in outputs_taken.items()}

    @staticmethod
    def from_toml(text: str, resolve: bool = True, allow: Iterable[str] | None = None, **options: Any) -> "Net":
        """The net that a TOML text describes.

        resolve: False imports nothing: the net has no functions. allow: the packages that import paths may name, such as
            `["myapp"]`; None: any. A text from a stranger is code from a stranger unless `allow` is given.
        options: options of `Net` that take the place of those in the text.

        Raises `DslError` with everything that is wrong with the text, and what `NetDefinition.build` raises.
        """
        from netrun.dsl import NetDefinition

        return NetDefinition.from_toml(text).build(resolve, allow, **options)

    def to_toml(self, missing: str = "raise") -> str:
        """This net as TOML, without its state: graph, options, and functions by their import paths or factories. A text
        that it was loaded from keeps its comments and layout where nothing changed.

        missing: "raise" a `DslError` that lists what text cannot hold, such as a lambda; or "omit" it, with a comment.
        """
        from netrun.dsl import NetDefinition

        return NetDefinition.from_net(self).to_toml(missing)

    def save_definition(self, path: str | os.PathLike[str], missing: str = "raise") -> None:
        """Write `to_toml` to a file, which is there in full or not at all."""
        from netrun.dsl import NetDefinition

        NetDefinition.from_net(self).save(path, missing)

    @staticmethod
    def load_definition(
        path: str | os.PathLike[str], resolve: bool = True, allow: Iterable[str] | None = None, **options: Any
    ) -> "Net":
        """The net that a TOML file describes, as `from_toml`. Raises `OSError` for a file that cannot be read."""
        from netrun.dsl import NetDefinition

        return NetDefinition.from_file(path).build(resolve, allow, **options)

    def draw(self, path: str | os.PathLike[str], most: int | None = 60) -> None:
        """Write a picture of this net, with what is going on in it now, to a file, which is there in full or not at all. From
        any thread.

        path: its ending says as what: `.svg`, or Mermaid as `.mmd`, `.mermaid` or (in Markdown) `.md`.
        most: about how many boxes; beyond that nodes are folded, see `picture`. None: nothing is folded.

        Raises `ConfigError` for another ending, and `OSError`. In Jupyter a net draws itself.
        """
        from netrun.show import picture  # chapters further on

        picture(self, most).save(path)

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write what this net has done to a file, which is there in full or not at all: one page of HTML that needs nothing
        else. It has the picture, a timeline of the attempts, a table of the nodes, the last dead letters with their
        tracebacks, and the last lines that were printed. From any thread; a net that runs is shown as it is now.

        The timeline is of what `history` has: with `history_file` all of it, else as much as `history_max_size` keeps. A
        report of 100,000 epochs takes some seconds and megabytes. Raises `OSError` where the file cannot be written.
        """
        from netrun.report import write_report  # chapters further on

        write_report(self, path)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from netrun.show import picture

        return picture(self)._repr_mimebundle_(include, exclude)

    def save_checkpoint(self, path: str | os.PathLike[str], key: bytes | str | None = None) -> None:
        """Save all that is in this net to a folder, for `load_checkpoint`, in another process or on another machine.

        path: the folder. A checkpoint that is there stays until the new one is on disk in full. A folder that holds anything
            else is refused, and so is a checkpoint whose files were changed. Who else saves there meanwhile waits.
        key: sign it, so that only who has the key can have written it.

        The net must be PAUSED or STOPPED with nothing running, else `NetNotPausedError`. Raises `CheckpointError` for what
        cannot be pickled and for a disk that does not take it; what was there is there then.
        """
        from netrun.checkpoint import save  # a chapter further on

        save(self, path, key)

    @staticmethod
    def has_checkpoint(path: str | os.PathLike[str]) -> bool:
        """Whether there is a checkpoint at this path, sound or not. Raises `CheckpointError` where the path is a file's."""
        from netrun.folders import has_folder

        return has_folder(path)

    @staticmethod
    def load_checkpoint(
        path: str | os.PathLike[str],
        graph: "Graph | Flow | FunctionNode[..., Any] | None" = None,
        functions: Mapping[str, Any] | None = None,
        resolve: bool = True,
        key: bytes | str | None = None,
        allow: Iterable[str] | None = None,
        **options: Any,
    ) -> "Net":
        """The net that was saved, PAUSED: `start` goes on with it as if nothing had happened. Ids and order are the same.

        Loading unpickles, so a checkpoint is code: load only what you trust, or sign it with a key.

        path: the folder. graph: if it is given, the checkpoint must be of this graph; a flow gives its functions, too.
        functions: `{node: function}`, or a tuple as the arguments of `set_node_exec`, for those that have no import path
            (the manifest's `omitted` lists them); `set_node_exec` does as well.
        resolve, allow: as in `load_definition`. key: what it was signed with.
        options: options of `Net` in place of those that were saved, such as `executor_pools`.

        Raises `CheckpointCorrupt` for a file that is not what was written and `CheckpointError` for a key that is not the
        right one, before anything is unpickled; `CheckpointMismatch` for another graph or a newer format;
        `CheckpointError` where something cannot be unpickled here; and what `load_definition` raises.
        """
        from netrun.checkpoint import load  # a chapter further on

        return load(path, graph, functions, resolve, key, allow, options)

    @staticmethod
    def from_factory(
        path: str, /, allow: Iterable[str] | None = None, **args: Any
    ) -> tuple[dict[str, Any], Any, Any, Any, Any]:
        """What a factory makes of these arguments: the keywords of `Node`, and the four functions for `set_node_exec`.

        path: the import path of a module or an object with `get_node_spec` and `get_node_funcs`.
        allow: the packages that paths may name, see `resolve_path`.

        Raises `ImportPathError`, or `FactoryError`, chained from what the factory's code raised.
        """
        from netrun.making import make_node

        made = make_node(path, args, allow)
        return made.spec, *made.functions

    def _idle_sources(self) -> list[str]:
        """The nodes without input ports that have a function and no epoch waiting."""
        able = [name for name, task in self._tasks.items() if task.exec_node_func is not None]
        return [name for name in able if not self._ledger.doors[name].gates and not self._ledger.startable(name)]

    def __enter__(self) -> Self:
        self._control.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await self._control.async_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.async_stop()

    def __repr__(self) -> str:
        waiting, nodes = self.poll().waiting_packets, len(self._tasks)
        return (
            f"<Net {self.state.name}: {nodes} node{'s' * (nodes != 1)}, {len(self.get_startable_epochs())} startable, "
            f"{len(self._engine.running)} running{f', {waiting} waiting' if waiting else ''}>"
        )


# %% [markdown]
# ## A first net
#
# Three nodes in a row. The source has no input port, so `run` starts one epoch of it.

# %%
from netrun import *


def port_has_any(port):
    return SalvoConditionTerm.port(port, PortState.non_empty())


def node(name, inputs=(), outputs=()):
    """A node that starts an epoch for each packet at any of its inputs, and can send each output by itself."""
    one = PacketCount.count(1)
    return Node(
        name,
        in_ports={port: Port() for port in inputs},
        out_ports={port: Port() for port in outputs},
        in_salvo_conditions={
            port: SalvoCondition(MaxSalvos.finite(1), {port: one}, port_has_any(port)) for port in inputs
        },
        out_salvo_conditions={port: SalvoCondition(MaxSalvos.infinite(), port, port_has_any(port)) for port in outputs},
    )


def edge(source, target):
    (a, out), (b, into) = source.split("."), target.split(".")
    return Edge(PortRef(a, PortType.Output, out), PortRef(b, PortType.Input, into))


net = Net(
    Graph(
        [node("Count", outputs=["out"]), node("Square", ["in"], ["out"])],
        [edge("Count.out", "Square.in")],
    )
)


def count_up(ctx, packets):
    for number in range(4):
        ctx.send("out", number)


def square(ctx, packets):
    ctx.send("out", ctx.consume_packet(packets["in"][0]) ** 2)


net.set_node_exec("Count", count_up)
net.set_node_exec("Square", square)
assert net.run() == {"Square.out": [0, 1, 4, 9]}
net

# %% [markdown]
# `start()` ran in this notebook, where a loop is running. It works in a thread just as well, and async nodes work too:

# %%
import asyncio
from threading import Thread

assert asyncio.get_running_loop().is_running()


async def square_later(ctx, packets):
    await asyncio.sleep(0)
    await ctx.send("out", await ctx.consume_packet(packets["in"][0]) ** 2)


net.set_node_exec("Square", square_later)
net.inject_packets("Square", "in", [10])
thread = Thread(target=net.start)
thread.start()
thread.join()
net.inject_packets("Square", "in", [11])
net.start()
assert net.take_outputs("Square", "out") == [100, 121]

# %% [markdown]
# ## Step by step
#
# `run_step` runs one wave. What the wave makes startable is there to be looked at before the next one.

# %%
net.inject_source_epoch("Count")
assert net.run_step() is True
waiting = net.get_startable_epochs_by_node("Square")
assert len(waiting) == 4 and net.state is NetState.RUNNING
epoch = net.get_epoch(waiting[0])
((port, packet),) = epoch.in_salvo.packets
assert port == "in" and packet.location.epoch_id == epoch.id and net.value_store.get_value(packet.id) == 0
assert net.run_step() is True and net.run_step() is False
net.stop()
assert net.take_outputs("Square", "out") == [0, 1, 4, 9]

# %% [markdown]
# ## Names that serve
#
# In keywords of `run` a port's name alone will do where it is the only one. A node without a function keeps its epochs.

# %%
net = Net(Graph([node("Square", ["number"], ["out"]), node("Later", ["in"])], [edge("Square.out", "Later.in")]))
net.set_node_exec("Square", lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["number"][0]) ** 2))
assert net.run(number=[3, 4]) == {}
assert len(net.get_startable_epochs_by_node("Later")) == 2

# %% [markdown]
# ## What is refused
#
# Wrong names get the right ones, options are checked where they are set, and an invalid graph is refused with every
# finding. Nothing has changed after any of these.

# %%
for refused in [
    lambda: net.set_node_exec("Sqare", print),
    lambda: net.set_node_exec("Square", "print"),
    lambda: net.set_node_config("Square", timeoutt=3),
    lambda: net.set_node_config("Square", timeout=-1),
    lambda: net.inject_packets("Square", "nmber", [1]),
    lambda: net.take_outputs("Square", "out"),
    lambda: net.run(number=[1], inn=[2]),
    lambda: net.run({"Square.numbr": [1]}),
    lambda: net.run(outputs=["Square.out"]),
    lambda: net.get_packet("p99"),
    lambda: net.get_epoch("e99"),
    lambda: Net(Graph([node("A", [], ["out"])], [edge("A.out", "B.in"), edge("A.oot", "C.in")])),
]:
    try:
        refused()
    except NetrunError as error:
        print(f"{type(error).__name__}: {error}\n")
    else:
        raise AssertionError("not refused")
assert net.get_node_config("Square") == NodeConfig() and len(net.get_startable_epochs()) == 2

# %% [markdown]
# ## When a node fails
#
# The epoch is cancelled, the net pauses, and the error that leaves `start` says where, and is chained from the original.
# The rest is as it was, and the next `start` goes on with it.


# %%
def picky(ctx, packets):
    number = ctx.consume_packet(packets["number"][0])
    if number < 0:
        raise ValueError(f"{number} is below zero")
    ctx.send("out", number)


failures = []
net.set_node_exec("Square", picky, exec_failed_node_func=failures.append)
net.inject_packets("Square", "number", [1, -2, 3])
try:
    net.start()
except NodeExecutionFailed as error:
    print(error)
    assert isinstance(error.__cause__, ValueError) and error.node_name == "Square"
assert net.state is NetState.PAUSED and failures[0].packet_values.popitem()[1] == -2
net.start()
assert len(net.get_startable_epochs_by_node("Later")) == 4
