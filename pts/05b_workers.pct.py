# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Workers: threads, processes, executors
#
# A worker runs one attempt after the other. Every kind is a thread here, and differs in what this thread does with an
# attempt: call the function itself; send it to a process of its own and wait; or hand it to an executor and wait.
#
# ```
#   pool ──give(attempt)──> Worker: a thread             ThreadWorker     calls the function
#                             │ start function, once     ProcessWorker ──pipe──> a process of its own
#   driver <──── outcome ─────┘ function                 ExecutorWorker ─submit─> wherever the executor runs it
# ```
#
# **A process for each worker, a pipe for each process.** What happens to one (it dies, hangs, is killed) concerns its own
# attempt only. Kept libraries were tried first. In pebble 5.2 the workers share one pipe and its lock: killed with SIGKILL
# at random, the whole pool ended with "Unexpected error within the Pool" after the fourth kill, five times out of five. In
# loky and in `ProcessPoolExecutor` one death fails every task of the pool. None of them says which worker a task goes to, so
# that a function could be sent to each once, and a stop function be called in each. So this is the standard library's
# `multiprocessing`, a process and a pipe at a time.

# %%
#|default_exp workers

# %%
#|export
import os
import pickle
import signal
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from queue import SimpleQueue
from threading import Event, Lock, Thread, Timer, get_ident
from typing import Any, Protocol

from netrun.core import NetStateError, WorkerDied
from netrun.driver import FINISHED, Report, _log, are_same, call, call_with, report_in_time, run_now
from netrun.execution import Attempt, Ending, Outcome, Task, outcome_of
from netrun.ledger import Ledger
from netrun.remote import (
    RemoteNode,
    Tell,
    is_plain,
    pack,
    pack_exception,
    replay,
    run_packed,
    take_prints,
    unpack_exception,
)
from netrun.values import run_coroutine

# %% [markdown]
# ## What all workers have in common
#
# The start function of a node is called once in each worker, before its first epoch of the node, and its stop function once
# at the end; what a start function raises is the failure of the epoch that it was called for. An exception that would
# interrupt (`sys.exit` in a thread of a pool) is a failure like any other.


# %%
#|exporti
Key = tuple[str, int]  # of a node's code: what its start and stop function are known by, and a number


class Owner(Protocol):
    """What a worker belongs to: a pool."""

    id: str  # of this pool and no other
    name: str
    ledger: Ledger
    argument: Any  # what start and stop functions are called with, in threads

    def now(self) -> float:
        """The time."""
        ...

    def key_of(self, task: Task) -> Key | None:
        """The key of a node's code, if that was asked for before."""
        ...

    def code_for(self, attempt: Attempt) -> tuple[Key, bytes]:
        """The code of an attempt's node, and its key. Raises `NotPicklable`."""
        ...

    def give_back(self, worker: "Worker") -> None:
        """The worker is free again."""
        ...

    def wake(self) -> None:
        """Let the driver look again."""
        ...


class Worker:
    """Runs one attempt after the other, in a thread of its own."""

    kind = "none"  # what it is called in a history
    is_remote = False  # whether the function runs elsewhere, so that what it does is recorded

    def __init__(self, pool: Owner, name: str) -> None:
        self.name = name
        self.where = self.kind, name
        self.attempt: Attempt | None = None
        self.errors: list[BaseException] = []  # of the stop functions, when it has ended
        self._pool = pool
        self._lock = Lock()  # of `attempt`, `_stopped`, and whether it is left and has ended
        self._is_ending = False
        self._stopped = False  # whether what it runs was stopped from outside, so that nobody waits for its outcome
        self._inbox: SimpleQueue[tuple[Attempt, Report, Context] | None] = SimpleQueue()
        self._has_ended = self._is_left = False
        self._thread: Thread | None = None  # there is one from its first attempt on

    def give(self, attempt: Attempt, report: Report) -> None:
        """Let it run an attempt, which sees the context variables of the caller. `report` is called with the outcome.
        Raises `RuntimeError` when the machine has no thread left for it."""
        if self._thread is None:
            thread = Thread(target=self._work, name=f"netrun {self.name}", daemon=True)
            thread.start()
            self._thread = thread
        self.attempt = attempt
        self._inbox.put((attempt, report, copy_context()))

    def give_up(self) -> None:
        """It got no thread, so it is free again, for another try."""
        self._pool.give_back(self)

    def abandon(self, attempt: Attempt) -> bool:
        """The attempt is over: stop it, if that can be done. If so, its outcome is not reported any more."""
        with self._lock:
            if self.attempt is attempt and not self._stopped:
                self._stopped = self._stop_it()
            return self.attempt is attempt and self._stopped

    @property
    def is_abandoned(self) -> bool:
        """Whether it still runs something that is over, and was not stopped."""
        attempt = self.attempt
        return attempt is not None and attempt.over is not None and not self._stopped

    def end(self) -> None:
        """Let it call the stop functions and end, when it is free."""
        self._is_ending = True
        self._inbox.put(None)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, or ends within that time."""
        if self._thread is None:
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def leave(self) -> None:
        """Nobody waits for it to end: what its stop functions raise is logged."""
        with self._lock:
            self._is_left = True
            self._log_errors()

    def _log_errors(self) -> None:
        if self._is_left and self._has_ended:
            for error in self.errors:
                _log().error("worker %s ended after its run, with %r", self.name, error, exc_info=error)

    def _work(self) -> None:
        while (job := self._inbox.get()) is not None:
            attempt, report, context = job
            outcome = context.run(self._outcome, attempt)
            with self._lock:
                self.attempt, stopped, self._stopped = None, self._stopped, False
            self._before_next(stopped)
            self._pool.give_back(self)
            if not stopped:
                report_in_time(outcome, report)
            if attempt.over is not None:  # nobody waits for its outcome, but perhaps for the worker
                self._pool.wake()
            del job, attempt, report, context, outcome  # a free worker holds nothing of what it did
        self._stop()
        with self._lock:
            self._has_ended = True
            self._log_errors()

    def _outcome(self, attempt: Attempt) -> Outcome:
        try:
            self._run(attempt)
        except BaseException as error:
            outcome = outcome_of(attempt, error)
            if outcome.ending is Ending.INTERRUPTED:
                outcome.ending = Ending.FAILED
            return outcome
        return Outcome(attempt, Ending.FINISHED)

    def _stop_it(self) -> bool:
        """Stop what it runs. Whether that could be done."""
        return False

    def _before_next(self, stopped: bool) -> None:
        """Be ready for the next attempt, after one that was stopped, or was not."""

    def _run(self, attempt: Attempt) -> None:
        """Run the attempt. Raises what it failed with. Each kind of worker has its own."""
        raise NotImplementedError

    def _stop(self) -> None:
        """Call the stop functions, and clear away."""


# %% [markdown]
# ## Start and stop functions in a worker


# %%
#|exporti
class Started:
    """The nodes that were started in one worker, in order, and the loop on which their async functions run."""

    def __init__(self) -> None:
        # by node: the start and stop function that belong together, or what they are known by
        self._of: dict[str, Any] = {}
        self._stops: list[tuple[str, Any, Any]] = []  # node, stop function, argument
        self._runner: Any = None

    def start(self, node_name: str, start: Any, stop: Any, argument: Any, known_by: str | None = None) -> None:
        """Call the start function, unless it was called here before. Raises what it raises. known_by: what tells whether the
        functions are the same, where they are copies."""
        known = self._of.get(node_name)
        which = known_by or (start, stop)
        is_known = are_same(known, which) if isinstance(known, tuple) and isinstance(which, tuple) else known == which
        if is_known or (start is None and stop is None):
            return
        self._call(start, argument, f"start_node_func of node {node_name!r}")
        self._of[node_name] = which
        self._stops.append((node_name, stop, argument))

    def stop(self) -> list[BaseException]:
        """Call the stop functions, the last first. Returns what they raised."""
        errors: list[BaseException] = []
        while self._stops:
            node_name, stop, argument = self._stops.pop()
            try:
                self._call(stop, argument, f"stop_node_func of node {node_name!r}")
            except BaseException as error:
                errors.append(error)
        if self._runner is not None:
            self._runner.close()
        return errors

    def stop_loudly(self) -> None:
        """`stop`, where there is nobody to tell: what was raised goes to stderr."""
        from traceback import print_exception

        for error in self.stop():
            print_exception(error)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the worker's own loop."""
        if self._runner is None:
            import asyncio

            self._runner = asyncio.Runner()
        return self._runner.run(coroutine, context=copy_context())

    async def result(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """As of a host: run it there."""
        return self.run(coroutine)

    def _call(self, func: Any, argument: Any, what: str) -> None:
        run_now(call_with(self, func, argument, what=what))


# %%
calls = []


def open_it(net):
    calls.append(f"open, with {net}")


def close_it(net):
    calls.append("close")


started = Started()
for _ in range(2):  # before each epoch of the node; once is enough
    started.start("A", open_it, close_it, "the net")
assert started.stop() == [] and calls == ["open, with the net", "close"]
started = Started()
started.start("A", None, lambda net: 1 / 0, "the net")
(error,) = started.stop()
print(repr(error), error.__notes__)

# %% [markdown]
# ## Threads


# %%
#|export
class ThreadWorker(Worker):
    """Calls node functions itself. A function that hangs cannot be stopped: its attempt is abandoned, and the worker is
    busy until it returns."""

    kind = "thread"

    def __init__(self, pool: Owner, name: str) -> None:
        self._started = Started()
        super().__init__(pool, name)

    def _run(self, attempt: Attempt) -> None:
        task = attempt.task
        if task.starts_in_workers():
            self._started.start(task.node_name, task.start_node_func, task.stop_node_func, self._pool.argument)
        attempt.begun = self._pool.now()
        ended = call(attempt, self._pool.ledger, self._started.run)
        if ended is not FINISHED and ended.error is not None:
            raise ended.error

    def _stop(self) -> None:
        self.errors = self._started.stop()


# %% [markdown]
# ## A worker process
#
# What runs in it. It reads a message, acts and answers, until it is told to stop or the pipe is closed; it ignores Ctrl-C,
# which a terminal sends to it too; and it ends when its parent has gone, even in the middle of a function.


# %%
#|exporti
class _StandIn:
    """What start and stop functions get in a worker process, in place of the net."""

    def __init__(self, node_name: str, pool_name: str, worker_name: str) -> None:
        self.node_name, self.pool_name, self.worker_name = node_name, pool_name, worker_name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NetStateError(f"net.{name}", "this is a worker process, the net is in another one")

    def __repr__(self) -> str:
        return f"<stand-in for the net: node {self.node_name!r} in {self.worker_name!r}>"


class _Served:
    """What a worker process knows: the nodes, and which of them were started."""

    def __init__(self, pool_name: str, worker_name: str) -> None:
        self._pool_name, self._worker_name = pool_name, worker_name
        self._nodes: dict[Key, RemoteNode] = {}
        self._begun: set[Key] = set()  # the nodes that have run here
        self.started = Started()

    def knows(self, key: Key) -> bool:
        """Whether it knows the code under this key."""
        return key in self._nodes

    def learn(self, key: Key, code: bytes) -> None:
        """Know a node's code under this key."""
        self._nodes[key] = RemoteNode(code)

    def run(
        self,
        key: Key,
        message: bytes,
        blob: bytes,
        tell: Tell | None = None,
        begins: Callable[[], object] = lambda: None,
    ) -> tuple[bytes, bytes]:
        """Run an attempt; start its node first if need be. `tell` is called with each line that it prints, `begins` when a
        node's first attempt begins here, since what comes before may take long."""
        node = self._nodes[key]
        is_first = key not in self._begun
        self._begun.add(key)

        def before() -> None:
            self._start(node, key[0])
            if is_first:
                begins()

        node.before = before
        return run_packed(node, message, blob, self.started.run, tell)

    def _start(self, node: RemoteNode, known_by: str) -> None:
        _, start, stop = node.functions
        name = node.code.node_name
        self.started.start(name, start, stop, _StandIn(name, self._pool_name, self._worker_name), known_by)


def serve(connection: Any, pool_name: str, worker_name: str) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # where it was forked, it has the handler of the net
    _mask("SIG_UNBLOCK")
    Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):  # nobody is there any more
        connection.send_bytes(_READY)
        _serve(connection, _Served(pool_name, worker_name))


def _serve(connection: Any, served: _Served) -> None:
    """Answer until told to stop."""
    import sys

    number = os.getpid()

    def tell(line: Any) -> None:
        if os.getpid() == number:  # not where the function has forked
            connection.send_bytes(pickle.dumps((None, [line])))

    def begins() -> None:
        connection.send_bytes(pickle.dumps((None, [])))

    while True:
        what, *arguments = pickle.loads(connection.recv_bytes())
        if what == "code":
            served.learn(*arguments)
        elif what == "run":
            key, message, blob = arguments
            values = connection.recv_bytes() if blob is None else blob
            answer, values = served.run(key, message, values, tell, begins)
            _flush(sys.stdout, sys.stderr)
            if os.getpid() != number:
                os._exit(0)  # the function has forked and returned here as well, where nobody is asked
            _send(connection, (answer,), values)
        elif what == "stop":
            errors = [pack_exception(error) for error in served.started.stop()]
            _flush(sys.stdout, sys.stderr)
            connection.send_bytes(pickle.dumps(errors))
            return


_READY = b"ready"
_SMALL = 1 << 16  # bytes that go along in a message; more go after it, and are not copied once more


def _send(connection: Any, message: tuple[Any, ...], blob: bytes) -> None:
    """Send a message with a blob as its last part."""
    if len(blob) < _SMALL:
        connection.send_bytes(pickle.dumps((*message, blob), 5))
    else:
        connection.send_bytes(pickle.dumps((*message, None), 5))
        connection.send_bytes(blob)


def _mask(how: str) -> None:
    """Block or unblock SIGINT in this thread, where there are such masks. A new process inherits it."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(getattr(signal, how), [signal.SIGINT])


def _flush(*streams: Any) -> None:
    for stream in streams:
        with suppress(Exception):  # closed, or replaced by something of the user's
            stream.flush()


def _end_with_parent() -> None:
    """End this process when its parent is gone, whatever it is doing. (Where it was forked, its brothers may hold the
    sentinel open; so it also looks who its parent is.)"""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent, number = parent_process(), os.getppid()
    while parent is not None and os.getppid() == number and not wait([parent.sentinel], 0.5):
        pass
    os._exit(1)


# %%
stand_in = _StandIn("Parse", "cpu", "cpu-1")
assert (stand_in.node_name, stand_in.pool_name, stand_in.worker_name) == ("Parse", "cpu", "cpu-1")
try:
    stand_in.inject_packets("Parse", "in", [1])
except NetStateError as error:
    print(error)
else:
    raise AssertionError("there is no net here")

# %% [markdown]
# ## The parent's side
#
# A script needs no `if __name__ == "__main__"` for this: what is defined there travels by value, so the processes do not
# import it.
#
# A process says when it is ready. One that ends before has run nothing, so that its end costs no attempt: another one is
# started, up to twice. A time-out counts the start too, but lets it go on, so that the next attempt finds a process that is
# ready, however short its own time is. From then on the end of a process is the end of the attempt that was sent to it. No attempt is sent
# ahead of the one that runs: it would wait behind it, while another worker is free.


# %%
#|exporti
START_WITHIN = 60.0  # seconds that a process may take until it is ready
KILL_AFTER = 1.0  # seconds from SIGTERM to SIGKILL
STOP_WITHIN = 10.0  # seconds that stop functions may take

_STARTING = Lock()
_exiting = Event()  # the interpreter ends
_alive: set[Any] = set()  # the processes that run
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_alive.clear)  # they are not the child's to kill at its end


@contextmanager
def _no_main() -> Iterator[None]:
    """Let a new process that this thread starts not import the main module."""
    from multiprocessing import spawn

    prepare, here = spawn.get_preparation_data, get_ident()

    def prepare_without_main(name: str) -> dict[str, Any]:
        data = prepare(name)
        if get_ident() != here:
            return data
        return {key: value for key, value in data.items() if not key.startswith("init_main_from")}

    spawn.get_preparation_data = prepare_without_main
    try:
        yield
    finally:
        spawn.get_preparation_data = prepare


def _start_process(method: str, pool_name: str, worker_name: str) -> tuple[Any, Any]:
    """A new worker process, and the connection to it."""
    import atexit
    from multiprocessing import get_context

    context: Any = get_context(method)
    with _STARTING, _no_main():
        if _exiting.is_set():
            raise OSError("the interpreter is ending, no process is started any more")
        if method == "forkserver":
            context.set_forkserver_preload(["netrun.workers", "cloudpickle", "asyncio"])
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(there, pool_name, worker_name), name=worker_name)
        _start_tracker(method)
        _mask("SIG_BLOCK")  # until it ignores it itself
        try:
            process.start()
        finally:
            _mask("SIG_UNBLOCK")
            there.close()
        if not _alive:
            atexit.unregister(_kill_all)
            atexit.register(_kill_all)
        _alive.add(process)
    return process, here


def _start_tracker(method: str) -> None:
    """Start what multiprocessing would start along with the first process: it unblocks SIGINT after that, and so a fork
    server that begins then would die of Ctrl-C."""
    if method != "fork" and hasattr(signal, "pthread_sigmask"):
        from multiprocessing.resource_tracker import ensure_running

        ensure_running()


def _waiter(connection: Any, sentinel: int) -> Callable[[float | None], list[Any]]:
    """A function that waits for a connection or the end of a process, and returns which of them is there. It is
    `multiprocessing.connection.wait`, made ready once where that can be."""
    import select

    if not hasattr(select, "poll"):
        from multiprocessing.connection import wait

        return lambda timeout: wait([connection, sentinel], timeout)
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    poll.register(sentinel, select.POLLIN)
    things = {connection.fileno(): connection, sentinel: sentinel}
    return lambda timeout: [things[fd] for fd, _ in poll.poll(None if timeout is None else timeout * 1000)]


def _kill_all() -> None:
    """At the end of the interpreter: nobody waits for what still runs, and what dies of this is not replaced."""
    _exiting.set()
    if _STARTING.acquire(timeout=KILL_AFTER):  # one that is being started has been
        _STARTING.release()
    for process in list(_alive):
        with suppress(Exception):
            process.kill()


# %%
#|export
class ProcessWorker(Worker):
    """Has a process of its own, which is replaced when it ends. An attempt that is over is stopped by ending it: SIGTERM,
    and SIGKILL when that does not help."""

    kind = "process"
    is_remote = True

    def __init__(self, pool: Owner, name: str, method: str) -> None:
        self._method = method
        self._process: Any = None
        self._connection: Any = None
        # the codes that the process has, by key: the node's name, if it is to be stopped
        self._known: dict[Key, str] = {}
        self._killer: Timer | None = None
        self._is_ready = False  # whether its process has said so
        self._is_sent = False  # whether its process has the attempt already
        self._is_back = False  # whether its process has answered
        super().__init__(pool, name)

    def _stop_it(self) -> bool:
        """End the process. Not if it is still starting, which is of use to the next attempt; nor if it is done with this
        one: what unpickling its answer does here cannot be stopped."""
        if self._is_back:
            return False
        process = self._process
        if process is not None and self._is_ready:
            process.terminate()
            self._killer = Timer(KILL_AFTER, process.kill)
            self._killer.daemon = True
            self._killer.start()
        return True

    def give(self, attempt: Attempt, report: Report) -> None:
        """Let it run an attempt. Its process may have it at once."""
        self._is_back = False
        self._is_sent = self._sent_at_once(attempt)
        super().give(attempt, report)

    def _sent_at_once(self, attempt: Attempt) -> bool:
        """Send an attempt from the caller's thread, which saves a change of threads, if that calls no user's code and does
        not block: the values are plain and few, and the process knows the node. Whether that was so."""
        key = self._pool.key_of(attempt.task)
        if key not in self._known or not is_plain(attempt):
            return False
        message, blob = pack(attempt, self._pool.ledger.values)
        if len(blob) >= _SMALL:
            return False
        try:
            attempt.begun = self._pool.now()
            _send(self._connection, ("run", key, message), blob)
        except OSError:  # it has died since; `_run` will see
            return False
        return True

    def _run(self, attempt: Attempt) -> None:
        try:
            if not self._is_sent and not self._send_it(attempt):
                return
            while (parts := pickle.loads(self._receive()))[0] is None:  # no answer yet: it has begun, or printed
                attempt.begun = attempt.begun or self._pool.now()
                take_prints(attempt, parts[1])
            answer, values = parts
            values = self._receive() if values is None else values
        except (EOFError, OSError):
            if self._process is None:
                raise  # it could not be started
            raise WorkerDied(attempt.task.node_name, attempt.epoch.id, self._bury()) from None
        with self._lock:
            self._is_back = True
        replay(attempt, answer, values)

    def _send_it(self, attempt: Attempt) -> bool:
        """Send an attempt, and before it what the process must know. False if it is over before that."""
        key, code = self._pool.code_for(attempt)
        message, blob = pack(attempt, self._pool.ledger.values)
        self._make_ready()
        if self._stopped:  # it was over before the process was ready
            return False
        if key not in self._known:
            self._connection.send_bytes(pickle.dumps(("code", key, code)))
            task = attempt.task
            self._known[key] = task.node_name if task.starts_in_workers() and task.stop_node_func is not None else ""
        else:
            attempt.begun = self._pool.now()
        _send(self._connection, ("run", key, message), blob)
        return True

    def _make_ready(self) -> None:
        """Have a process that is ready. One that ends before has run nothing yet, so another one is started."""
        for is_last in (False, False, True):
            self._have_process()
            if self._is_ready:
                return
            try:
                self._receive(START_WITHIN)
                with self._lock:
                    self._is_ready = True
            except (EOFError, TimeoutError):
                self._process.kill()
                if is_last or self._stopped:
                    raise EOFError from None
                self._bury()

    def _have_process(self) -> None:
        """Have a process that lives."""
        if self._process is not None and not self._process.is_alive():
            self._bury()
        if self._process is None:
            process, self._connection = _start_process(self._method, self._pool.name, self.name)
            self._wait = _waiter(self._connection, process.sentinel)
            self._process = process

    def _receive(self, timeout: float | None = None) -> Any:
        """The next part of an answer. Raises `EOFError` when the process has ended. (That the pipe is closed does not tell
        it: what the process has started may hold it open.)"""
        ready = self._wait(timeout)
        if self._connection in ready or (ready and self._connection.poll()):
            return self._connection.recv_bytes()
        raise EOFError if ready else TimeoutError

    def _bury(self) -> int | None:
        """Clear away the process that has ended, or will in a moment. Returns its exit code."""
        process = self._process
        process.join(KILL_AFTER + 1)
        if process.exitcode is None:
            process.kill()
            process.join(KILL_AFTER)
        if self._killer is not None:
            self._killer.cancel()
        self._connection.close()
        _alive.discard(process)
        with self._lock:
            self._process = self._connection = self._killer = None
        self._known.clear()
        self._is_ready = False
        exitcode: int | None = process.exitcode
        return exitcode

    def _before_next(self, stopped: bool) -> None:
        """A process that has gone is replaced here, so that the next attempt does not wait for it."""
        if self._killer is not None:
            self._bury()
        if self._process is None and not self._is_ending:
            with suppress(Exception):  # the next attempt will try again, and say so
                self._have_process()

    def _stop(self) -> None:
        if self._process is None:
            return
        if not self._is_ready:  # it has run nothing
            self._process.kill()
            self._bury()
            return
        try:
            self._connection.send_bytes(pickle.dumps(("stop",)))
            self.errors = [unpack_exception(error) for error in pickle.loads(self._receive(STOP_WITHIN))]
            self._process.join(KILL_AFTER)
        except (EOFError, ConnectionError):
            nodes = ", ".join(filter(None, self._known.values()))
            died = WorkerDied(nodes, "", self._bury())
            self.errors = [died] if nodes else []
            return
        except TimeoutError:
            self._process.terminate()
            what = f"the stop functions in worker {self.name!r} did not end within {STOP_WITHIN:g} s; it was killed"
            self.errors = [NetStateError("stop", what)]
        self._bury()


# %% [markdown]
# ## Executors
#
# One function, bytes in and bytes out, is submitted to whatever runs functions elsewhere: another pool, or another machine.
# A worker there that has not seen a node yet asks for its code, which goes along the second time.
#
# What a death costs is the executor's to say. Its error is the cause of `WorkerDied`:
#
# | executor | when a worker dies |
# |---|---|
# | `ProcessPoolExecutor`, loky's | every epoch that runs there fails, and those that come after: it is broken |
# | Dask's | its scheduler gives all that the worker had to others, up to three times; then those epochs fail |
#
# An executor may serve many nets, one after the other or side by side, and outlives them. Each of its workers keeps what it
# knows of each net by itself, and forgets the net that it has not served for longest when there are many.


# %%
#|exporti
_here: Any = None  # in a worker of an executor: for each thread, what it knows of each pool, that used last at the end
_MOST_POOLS = 64  # that it knows something of


def run_anywhere(
    pool_name: str, key: Key, code: bytes | None, message: bytes, blob: bytes
) -> tuple[bytes, bytes] | None:
    """Run an attempt, in a worker of an executor. None: the code is needed, too."""
    served = _served_here(pool_name, key[0].rpartition("-")[0])
    if not served.knows(key):
        if code is None:
            return None
        served.learn(key, code)
    return served.run(key, message, blob)


def _served_here(pool_name: str, pool_id: str) -> _Served:
    """What this worker knows of a pool."""
    import threading

    global _here
    if _here is None:
        _here = threading.local()
    pools: dict[str, _Served] | None = getattr(_here, "pools", None)
    if pools is None:
        pools = _here.pools = {}
        _at_the_end(partial(_stop_all, pools))
    served = pools.pop(pool_id, None) or _Served(pool_name, f"{pool_name} {os.getpid()}-{get_ident()}")
    if len(pools) >= _MOST_POOLS:
        pools.pop(next(iter(pools))).started.stop_loudly()
    pools[pool_id] = served
    return served


def _stop_all(pools: dict[str, _Served]) -> None:
    for served in pools.values():
        served.started.stop_loudly()


def _at_the_end(stop: Callable[[], Any]) -> None:
    """Call this when the process ends. (One that multiprocessing has made does not call what atexit has.)"""
    import atexit
    from multiprocessing import parent_process
    from multiprocessing.util import Finalize

    if parent_process() is None:
        atexit.register(stop)
    else:
        Finalize(None, stop, exitpriority=10)


# %%
#|export
class ExecutorWorker(Worker):
    """Hands attempts to an executor, one after the other. What runs there cannot be stopped."""

    kind = "executor"
    is_remote = True

    def __init__(self, pool: Owner, name: str, executor: Any) -> None:
        self._executor = executor
        self._future: Any = None
        super().__init__(pool, name)

    def _stop_it(self) -> bool:
        """Only what has not begun yet can be stopped."""
        return self._future is not None and self._future.cancel()

    def _run(self, attempt: Attempt) -> None:
        key, code = self._pool.code_for(attempt)
        message, blob = pack(attempt, self._pool.ledger.values)
        answer = self._submit(attempt, key, None, message, blob)
        if answer is None:
            answer = self._submit(attempt, key, code, message, blob)
        replay(attempt, *answer)

    def _submit(self, attempt: Attempt, *arguments: Any) -> Any:
        """What `run_anywhere` answers. It raises nothing, so what is raised here is the executor's own."""
        try:
            attempt.begun = self._pool.now()
            self._future = self._executor.submit(run_anywhere, self._pool.name, *arguments)
            return self._future.result()
        except Exception as error:
            if _tells_of_a_death(error):
                raise WorkerDied(attempt.task.node_name, attempt.epoch.id, None) from error
            error.add_note(f"raised by the executor of pool {self._pool.name!r}")
            raise
        finally:
            self._future = None


def _tells_of_a_death(error: Exception) -> bool:
    """Whether an executor says so that a worker has died."""
    from concurrent.futures import BrokenExecutor

    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"  # this one is Dask's
