# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Pools: many epochs at once
#
# A node with `pool="name"` runs in a pool of workers: threads, processes, or an executor of the user's own. Of several
# pools, the one with the most free workers is taken; ties are decided by name.
#
# ```
#   Net(thread_pools={"io": {"size": 8}},
#       process_pools={"cpu": {"size": 2, "start_method": "forkserver"}},
#       executor_pools={"cluster": any concurrent.futures.Executor})
#
#                       limits: is a worker free?
#   epoch ──> engine ───────────────────────────────> Room of the node ──take──> the freest of its pools ──> Worker
#                ^                                                                                             │
#                └──────────── outcome; and whoever was refused is asked again <────────── free again ─────────┘
# ```
#
# An epoch begins when a worker is free for it, so nothing queues up in a pool: a pause is at hand soon, a time-out counts
# from where the work begins, and what waits, waits in order with everything else.
#
# An executor gets as many epochs at a time as it has workers. One that does not tell how many these are gets 32, or `size`
# of them: `{"cluster": {"executor": executor, "size": 8}}`. Those beyond its workers wait in it, with their time-outs
# running.
#
# Workers are made when they are needed, and are gone at the end of the run. `with net:` keeps them over several `start()`s.
# What goes to processes and executors is pickled once in a run, and again when `set_node_exec` is called: a global or an
# object that a function uses is there as it was then.

# %%
#|default_exp pools

# %%
#|export
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from math import inf
from threading import Lock
from time import monotonic
from typing import Any

from netrun.context import Recording
from netrun.core import ConfigError, NetStateError, unknown_name
from netrun.driver import Driver, Report, are_same
from netrun.execution import Attempt, Outcome, Task, outcome_of
from netrun.remote import code_of
from netrun.workers import STOP_WITHIN, ExecutorWorker, Key, ProcessWorker, ThreadWorker, Worker

# %% [markdown]
# ## A pool


# %%
#|export
@dataclass(frozen=True, slots=True)
class PoolStatus:
    """What a pool is doing: its `size`, how many workers are `busy`, and how many of these with something that is over,
    since a thread cannot be stopped (`abandoned`)."""

    size: int
    busy: int
    abandoned: int


class Pool:
    """Workers of one kind, made when they are needed."""

    def __init__(
        self, name: str, size: int, make: Callable[["Pool", str], Worker], driver: Driver, argument: Any
    ) -> None:
        from base64 import b32encode

        self.name, self.size = name, size
        self.id = f"{name}-{b32encode(os.urandom(10)).decode()}"
        self.argument = argument
        self.ledger = driver.engine.ledger
        self._make, self._driver = make, driver
        self._lock = Lock()
        self._workers: list[Worker] = []
        self._idle: list[Worker] = []
        self._refused: dict[Task, None] = {}  # who found no free worker since one became free
        self._coding = Lock()  # of `_codes`
        self._codes: dict[str, tuple[tuple[Any, ...], Key, bytes]] = {}  # by node
        self._run = object()  # another one in each run
        self._sets: dict[str, object] = {}  # by node: another one each time that its functions are set
        self._next_code, self._next_worker = count(1).__next__, count(1).__next__

    def now(self) -> float:
        """The time."""
        return self._driver.clock.now()

    def wake(self) -> None:
        """Let the driver look again."""
        self._driver.wake()

    def free(self) -> int:
        """How many more attempts may begin."""
        return self.size - len(self._workers) + len(self._idle)

    def has_room(self, task: Task) -> bool:
        """Whether a worker is free. If not, the task is told when one is."""
        with self._lock:
            if self.free() > 0:
                return True
            self._refused[task] = None
            return False

    def refused(self) -> list[Task]:
        """The tasks that found no free worker since one became free."""
        with self._lock:
            return list(self._refused)

    def take(self) -> Worker:
        """A free worker. Who asks has found that there is one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
            worker = self._make(self, f"{self.name}-{self._next_worker()}")
            self._workers.append(worker)
            return worker

    def give_back(self, worker: Worker) -> None:
        """A worker is free again: those that were refused may try. One that outlived its run is not used any more."""
        with self._lock:
            if worker in self._workers:
                self._idle.append(worker)
            self._driver.engine.room_made.extend(self._refused)
            self._refused.clear()

    def key_of(self, task: Task) -> Key | None:
        """The key of a node's code, if that was asked for before."""
        known = self._codes.get(task.node_name)
        return known[1] if known is not None and are_same(known[0], self._code_is_of(task)) else None

    def code_for(self, attempt: Attempt) -> tuple[Key, bytes]:
        """The code of an attempt's node and its key, pickled once in a run for all workers. It keeps its key as long as it
        is the same, so that a worker that knows it goes on with it. Where only its node function or its types are new, a
        worker that has started it need not start it again."""
        task = attempt.task
        made_of = self._code_is_of(task)
        with self._coding:
            known = self._codes.get(task.node_name)
            if known is None or not are_same(known[0], made_of):
                code = code_of(task, attempt.epoch, task.starts_in_workers())
                known = self._codes[task.node_name] = made_of, self._key_of(known, made_of, code), code
            return known[1:]

    def _key_of(self, known: Any, made_of: tuple[Any, ...], code: bytes) -> Key:
        """The key of code that is made anew, after what was known."""
        if known is not None and known[2] == code:
            key: Key = known[1]
            return key
        number = self._next_code()
        is_started = known is not None and are_same(_starts(known[0]), _starts(made_of))
        return known[1][0] if is_started else f"{self.id}-{number}", number

    def forget_code(self, node_name: str | None = None) -> None:
        """A node's functions were set, or those of all may have changed since the last run: they are pickled afresh."""
        if node_name is None:
            self._run = object()
        else:
            self._sets[node_name] = object()

    def _code_is_of(self, task: Task) -> tuple[Any, ...]:
        """What a node's code is made of."""
        functions = task.exec_node_func, task.start_node_func, task.stop_node_func
        return *functions, task.starts_in_workers(), task.types, self._run, self._sets.get(task.node_name)

    def status(self) -> PoolStatus:
        """What it is doing now."""
        with self._lock:
            busy = [worker for worker in self._workers if worker not in self._idle]
            return PoolStatus(self.size, len(busy), sum(worker.is_abandoned for worker in busy))

    def end(self) -> list[Worker]:
        """Let all workers end, each when it is free. Returns those to wait for: what runs something that is over is left
        to itself."""
        with self._lock:
            workers, self._workers, self._idle = self._workers, [], []
        for worker in workers:
            worker.end()
        awaited = [worker for worker in workers if not worker.is_abandoned]
        for worker in workers:
            if worker not in awaited:
                worker.leave()
        return awaited


def _starts(made_of: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of what a code is made of: what its start in a worker depends on."""
    _, start, stop, starts_in_workers, _, run, _ = made_of
    return start, stop, starts_in_workers, run


# %% [markdown]
# ## The pools of a net


# %%
#|exporti
_MORE = 5.0  # seconds that a worker may take to end, beyond those for its stop functions
POOL_OPTIONS = {"thread_pools": ["size"], "process_pools": ["size", "start_method"]}
_UNKNOWN_SIZE = 32  # attempts at a time in an executor that does not tell its size


def _size_of(kind: str, name: str, options: Any, known: Iterable[str]) -> int:
    """The size of a pool, with its options checked."""
    if not isinstance(options, Mapping):
        raise ConfigError(f"{kind}[{name!r}] must be options such as {{'size': 2}}, not {options!r}.")
    for option in options:
        if option not in known:
            raise ConfigError(f"{kind}[{name!r}]: {unknown_name('option', option, known)}")
    size = options.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ConfigError(f"{kind}[{name!r}]: size must be a whole number from 1 on, not {size!r}.")
    return size


def _executor_of(name: str, given: Any) -> tuple[Any, int]:
    """The executor of a pool, given itself or with a size, and how many attempts it may have at a time."""
    has_options = isinstance(given, Mapping)
    executor = given.get("executor") if has_options else given
    if not callable(getattr(executor, "submit", None)):
        raise ConfigError(f"executor_pools[{name!r}] must be a concurrent.futures.Executor, not {executor!r}.")
    if has_options:
        return executor, _size_of("executor_pools", name, given, ["executor", "size"])
    most = getattr(executor, "_max_workers", None)
    return executor, most if isinstance(most, int) and most > 0 else _UNKNOWN_SIZE


def _method_of(name: str, options: Mapping[str, Any]) -> str:
    """How the processes of a pool are started."""
    from multiprocessing import get_all_start_methods

    methods = get_all_start_methods()
    method = options.get("start_method") or ("forkserver" if "forkserver" in methods else "spawn")
    if method not in methods:
        raise ConfigError(f"process_pools[{name!r}]: {unknown_name('start_method', method, methods)}")
    return str(method)


def _processes(method: str) -> Callable[[Pool, str], Worker]:
    return lambda pool, name: ProcessWorker(pool, name, method)


def _slots(executor: Any) -> Callable[[Pool, str], Worker]:
    return lambda pool, name: ExecutorWorker(pool, name, executor)


def check_pool(kind: str, name: str, options: Any) -> None:
    """Raise `ConfigError` unless a pool of this kind, "thread_pools" or "process_pools", can be made of these options."""
    _size_of(kind, name, options, POOL_OPTIONS[kind])
    if kind == "process_pools":
        _method_of(name, options)


class Pools:
    """The pools of a net, by name."""

    def __init__(self, driver: Driver, argument: Any, threads: Any, processes: Any, executors: Any) -> None:
        self._pools: dict[str, Pool] = {}
        for name, options in (threads or {}).items():
            size = _size_of("thread_pools", name, options, POOL_OPTIONS["thread_pools"])
            self._add(Pool(name, size, lambda pool, worker: ThreadWorker(pool, worker), driver, argument))
        for name, options in (processes or {}).items():
            size = _size_of("process_pools", name, options, POOL_OPTIONS["process_pools"])
            self._add(Pool(name, size, _processes(_method_of(name, options)), driver, argument))
        for name, executor in (executors or {}).items():
            executor, size = _executor_of(name, executor)
            self._add(Pool(name, size, _slots(executor), driver, argument))

    def _add(self, pool: Pool) -> None:
        if not isinstance(pool.name, str) or not pool.name:
            raise ConfigError(f"a pool's name must be text, not {pool.name!r}.")
        if pool.name in self._pools:
            raise ConfigError(f"two pools have the name {pool.name!r}.")
        self._pools[pool.name] = pool

    @property
    def names(self) -> list[str]:
        """What they are called."""
        return list(self._pools)

    def of(self, task: Task) -> list[Pool]:
        """The pools of a task, by name."""
        return [self._pools[name] for name in sorted(task.config.pools)]

    def awaited_by(self) -> list[Task]:
        """The tasks that found no free worker."""
        return [task for pool in self._pools.values() for task in pool.refused()]

    def forget_code(self, node_name: str | None = None) -> None:
        """Pickle a node's functions afresh, or those of all, when they are next needed."""
        for pool in self._pools.values():
            pool.forget_code(node_name)

    def close(self) -> list[BaseException]:
        """End all workers, after their stop functions. Returns what these raised. Blocks, but not for ever."""
        workers = [worker for pool in self._pools.values() for worker in pool.end()]
        end = monotonic() + STOP_WITHIN + _MORE
        errors: list[BaseException] = []
        for worker in workers:
            if worker.wait(max(0.0, end - monotonic())):
                errors += worker.errors
            else:
                worker.leave()
                what = f"the stop functions in worker {worker.name!r} did not end within {STOP_WITHIN:g} s"
                errors.append(NetStateError("stop", what))
        return errors

    def status(self) -> dict[str, PoolStatus]:
        """What each pool is doing now."""
        return {name: pool.status() for name, pool in self._pools.items()}


# %% [markdown]
# ## A node's room
#
# What a node has of the pools: a limit that says whether a worker is free, and the carrier that gives it the attempt.


# %%
#|export
class Room:
    """The place of a node in its pools."""

    where = ("pool", None)

    def __init__(self, pools: Pools, task: Task) -> None:
        self._pools, self._task = pools, task

    def admit(self, now: float) -> float | None:
        """Now if a worker is free, or not before one is."""
        pools = self._pools.of(self._task)
        return None if any(pool.has_room(self._task) for pool in pools) else inf

    def begun(self, attempt: Attempt, now: float) -> None:
        """Take a worker of the pool that has the most free ones."""
        freest = max(self._pools.of(self._task), key=Pool.free)
        attempt.worker = freest.take()
        if attempt.worker.is_remote and attempt.recording is None:
            attempt.recording = Recording(attempt, freest.ledger.values)

    def runs_already(self, attempt: Attempt) -> bool:
        """It has a worker, or runs elsewhere."""
        return False

    def ended(self, attempt: Attempt) -> None:
        """The worker itself says when it is free."""

    def begin(self, attempt: Attempt, report: Report) -> Outcome | None:
        """Let the worker run it. Its outcome will be reported; it is returned if the machine has no thread for the
        worker."""
        try:
            attempt.worker.give(attempt, report)
        except RuntimeError as error:
            attempt.worker.give_up()
            return outcome_of(attempt, error)
        return None


# %% [markdown]
# ## Threads and processes at work
#
# Two nodes: the first waits, in threads; the second counts, in processes. What is defined in this notebook travels there.

# %%
import threading
import time

from netrun import *


def stage(name):
    has_any = lambda port: SalvoConditionTerm.port(port, PortState.non_empty())
    return Node(
        name,
        in_ports={"in": Port()},
        out_ports={"out": Port()},
        in_salvo_conditions={"in": SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, has_any("in"))},
        out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", has_any("out"))},
    )


edge = Edge(PortRef("Wait", PortType.Output, "out"), PortRef("Count", PortType.Input, "in"))
graph = Graph([stage("Wait"), stage("Count")], [edge])


def wait(ctx, packets):
    time.sleep(0.02)
    ctx.send("out", (ctx.consume_packet(packets["in"][0]), threading.current_thread().name))


def count_up(ctx, packets):
    number, thread = ctx.consume_packet(packets["in"][0])
    ctx.send("out", (sum(range(number)), thread, os.getpid()))


net = Net(graph, thread_pools={"io": {"size": 4}}, process_pools={"cpu": {"size": 2}})
net.set_node_exec("Wait", wait)
net.set_node_exec("Count", count_up)
net.set_node_config("Wait", pool="io")
net.set_node_config("Count", pool="cpu")
net.inject_packets("Wait", "in", range(8))
net.start()
sums, threads, processes = zip(*net.take_outputs("Count", "out"), strict=True)
assert sorted(sums) == [0, 0, 1, 3, 6, 10, 15, 21] and os.getpid() not in processes
print(f"{len(set(threads))} threads, {len(set(processes))} processes")

# %% [markdown]
# ## When a worker dies
#
# It costs its own epoch. The pool has a new worker, and the others go on.


# %%
def fragile(ctx, packets):
    number = ctx.consume_packet(packets["in"][0])
    if number == 3:
        os.kill(os.getpid(), 9)
    ctx.send("out", number)


net = Net(graph, process_pools={"cpu": {"size": 2}}, on_error="continue")
net.set_node_exec("Count", fragile)
net.set_node_config("Count", pool="cpu")
net.inject_packets("Count", "in", range(6))
net.start()
assert sorted(net.take_outputs("Count", "out")) == [0, 1, 2, 4, 5]
(letter,) = net.dead_letter_queue
assert isinstance(letter.exception, WorkerDied) and letter.exception.exitcode == -9
print(letter.exception)

# %% [markdown]
# A time-out ends a process. A thread cannot be ended: its attempt is abandoned, and its worker is busy until it returns.

# %%
release = threading.Event()


def hang_here(ctx, packets):
    release.wait(10)


def hang_there(ctx, packets):
    time.sleep(3600)


net = Net(graph, thread_pools={"io": {"size": 1}}, process_pools={"cpu": {"size": 1}}, on_error="continue")
for name, pool, func in [("Wait", "io", hang_here), ("Count", "cpu", hang_there)]:
    net.set_node_exec(name, func)
    net.set_node_config(name, pool=pool, timeout=0.5)
    net.inject_packets(name, "in", [1])
with net:
    net.start()
    print(net.poll().pools)
    assert net.poll().pools["io"].abandoned == 1 and net.poll().pools["cpu"].abandoned == 0
    release.set()
assert [type(letter.exception) for letter in net.dead_letter_queue] == [EpochTimeout, EpochTimeout]

# %% [markdown]
# ## What is refused
#
# Pools are checked when the net is made, their names when it starts.

# %%
for refused in [
    lambda: Net(graph, thread_pools={"io": {"size": 0}}),
    lambda: Net(graph, process_pools={"cpu": {"size": 1, "start_method": "spoon"}}),
    lambda: Net(graph, executor_pools={"cluster": "localhost"}),
    lambda: net.set_node_config("Wait", pool=3),
]:
    try:
        refused()
    except ConfigError as error:
        print(error)
    else:
        raise AssertionError("not refused")
net = Net(graph, thread_pools={"io": {"size": 1}})
net.set_node_config("Wait", pool="oi")
try:
    net.start()
except ConfigError as error:
    print(error)
else:
    raise AssertionError("not refused")
