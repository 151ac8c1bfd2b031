# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The driver and the inline carrier
#
# The engine decides; somebody has to call functions and wait. A **carrier** runs an attempt and reports exactly one
# outcome; it never raises into the engine. The **driver** connects the two: begin, wait for an outcome or a deadline,
# settle. The **stage** calls the start and stop functions of a run.
#
# ```
#                 ┌──────── begin(now) ────────┐
#                 │                            ▼
#   clock ──> Driver ── settle(outcome) ──> Engine         Carrier.begin(attempt) ──> node function
#                 ▲                                              │
#                 └──────────── Outcome (at once, or through the mailbox) ──┘
# ```

# %%
#|default_exp driver

# %%
#|export
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import copy_context
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import RLock, Thread
from math import inf
from operator import is_
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar

from netrun.core import ConfigError, NodeConfig, unknown_name
from netrun.context import AsyncNodeExecutionContext, NodeExecutionContext, NodeFailureContext
from netrun.execution import Attempt, Ending, Engine, Outcome, Task, Verdict, outcome_of
from netrun.ledger import Ledger
from netrun.prints import CURRENT, end_line, pass_on, routed
from netrun.signals import CALLS, HANDING_OVER, WAITING, Guard
from netrun.values import StoredValues, awaited, run_coroutine

if TYPE_CHECKING:
    from asyncio import Future

# %% [markdown]
# ## Calling a node function
#
# The one place where node functions are called. Whatever they raise becomes an outcome. The lists of packets are copies:
# a function may do with them what it likes.


# %%
#|exporti
def is_async(func: Any) -> bool:
    """Whether calling this gives a coroutine."""
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(type(func).__call__)


def is_generator(func: Any) -> bool:
    """Whether calling this runs nothing yet, since it has a `yield`."""
    called = func if inspect.isroutine(func) else type(func).__call__
    return any(inspect.isgeneratorfunction(f) or inspect.isasyncgenfunction(f) for f in (func, called))


def _log() -> Any:
    """netrun's logger, which takes some milliseconds to import, so only who needs it does."""
    from logging import getLogger

    return getLogger("netrun")


def are_same(these: tuple[Any, ...], those: tuple[Any, ...]) -> bool:
    """Whether these are the same objects. What users have made is not compared by `==`: equal is not the same, and it may
    raise."""
    return all(map(is_, these, those))


FINISHED: Final = Ending.FINISHED
Ended = Outcome | Literal[Ending.FINISHED]  # most attempts finish, and need no outcome made for that


def call(attempt: Attempt, ledger: Ledger, run: Callable[[Any], Any] = run_coroutine) -> Ended:
    """Run the node function of an attempt, here and now. `run` runs a coroutine to its end."""
    task = attempt.task
    acts = ledger if attempt.recording is None else attempt.recording
    packets = attempt.epoch.by_port()
    outside = CURRENT.set(attempt)
    try:
        if task.is_async:
            run(task.exec_node_func(AsyncNodeExecutionContext(attempt, acts), packets))  # type: ignore[misc]
        else:
            task.exec_node_func(NodeExecutionContext(attempt, acts), packets)  # type: ignore[misc]
    except BaseException as error:
        return outcome_of(attempt, error)
    finally:
        CURRENT.reset(outside)
        if attempt.printed is not None:
            end_line(attempt)
    return FINISHED


# %% [markdown]
# ## The inline carrier
#
# Runs attempts one at a time, in the thread that drives the net. A node with a `timeout` gets a thread for each attempt,
# so that the net can go on when the time is over; the driver waits for it meanwhile, and nothing else inline runs. The
# thread sees the context variables of its caller. It is a daemon: a function that never returns does not keep the process
# alive.

# %%
#|exporti
Report = Callable[[Outcome], None]


class InlineCarrier:
    """Runs attempts one at a time. `in_thread` is the one that runs in a thread of its own, if any."""

    where = ("inline", None)  # what a history says of its attempts

    def __init__(self, ledger: Ledger, now: Callable[[], float]) -> None:
        self._ledger, self._now = ledger, now
        self.in_thread: Attempt | None = None

    def begin(self, attempt: Attempt, report: Report) -> Ended | None:
        """Run an attempt. Returns how it ended, or None when `report` will be called with its outcome."""
        if attempt.deadline is None:
            if attempt.limits:
                attempt.begun = self._now()
            return call(attempt, self._ledger)
        run = copy_context().run
        thread = Thread(target=run, args=(self._run, attempt, report), name=f"netrun {attempt}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the machine has no more of them
            return outcome_of(attempt, error)
        self.in_thread = attempt
        return None

    def _run(self, attempt: Attempt, report: Report) -> None:
        attempt.begun = self._now()
        ended = call(attempt, self._ledger)
        report_in_time(Outcome(attempt, FINISHED) if ended is FINISHED else ended, report)


def report_in_time(outcome: Outcome, report: Report) -> None:
    """Report an outcome, unless its attempt is over. What it raised then is logged, if it is news."""
    attempt, error = outcome.attempt, outcome.error
    if attempt.over is None:
        report(outcome)
    elif error is not None and repr(error) != repr(attempt.over) and not is_cancelled(error):
        _log().warning("%s raised after its time was over", attempt, exc_info=error)


def is_cancelled(error: BaseException | None) -> bool:
    """Whether this is asyncio's `CancelledError`, without importing asyncio for it."""
    return error is not None and any(kind.__name__ == "CancelledError" for kind in type(error).__mro__)


# %% [markdown]
# ## Clocks
#
# The driver asks a clock for the time and lets it wait. Tests give it one that they turn by hand.


# %%
#|export
Mailbox = SimpleQueue[Outcome | None]  # None: look again


class Clock(Protocol):
    """Monotonic time in seconds, and waiting for a mailbox."""

    def now(self) -> float:
        """The time."""
        ...

    def wait(self, mailbox: Mailbox, until: float | None) -> Outcome | None:
        """The next thing in the mailbox, or None when `until` has come first, or somebody wakes who waits."""
        ...

    async def async_wait(self, woken: "Future[None]", until: float | None) -> None:
        """Wait on a loop, until the future is done or the moment has come."""
        ...


_A_DAY = 86_400.0  # longer waits are more than some platforms can count; the driver looks again anyway


class MonotonicClock:
    """The clock of the machine."""

    now = staticmethod(monotonic)

    def wait(self, mailbox: Mailbox, until: float | None) -> Outcome | None:
        """Block until there is something, or until that moment. Uses no CPU meanwhile."""
        try:
            return mailbox.get(timeout=None if until is None else min(_A_DAY, max(0.0, until - monotonic())))
        except Empty:
            return None

    async def async_wait(self, woken: "Future[None]", until: float | None) -> None:
        """Let the loop run until the future is done, or until that moment."""
        if until is None:
            await woken
            return
        loop, rest = woken.get_loop(), until - monotonic()
        timers = [loop.call_later(max(0.0, rest), finish, woken)]
        if rest > 0:
            timers.append(loop.call_later(max(0.0, rest - _TICK), _finish_at, woken, until))
        try:
            await woken
        finally:
            for timer in timers:
                timer.cancel()


_TICK = 0.001  # seconds that a loop counts in, rounding up; a thread is more exact


def _finish_at(future: "Future[None]", moment: float) -> None:
    """Make a future done at a moment that is less than a tick away."""
    exact = future.get_loop().run_in_executor(None, sleep, max(0.0, moment - monotonic()))
    exact.add_done_callback(lambda _: finish(future))
    future.add_done_callback(lambda _: exact.cancel())


def finish(future: "Future[None]") -> None:
    """Make a future done, if it is not."""
    if not future.done():
        future.set_result(None)


# %% [markdown]
# ## Hosts
#
# The driver is written once, as a coroutine. What it stands on is a **host**: it brings outcomes, and awaits what a user's
# async function returns. This one blocks its thread, so nothing that the driver awaits ever suspends, and `run_now` runs it
# to its end at once. The other one, which lets a loop run meanwhile, is in the chapter on async.


# %%
#|exporti
class Host(Protocol):
    """What the driver stands on."""

    lets_others_run: bool  # whether there is something that goes on while the driver awaits

    def put(self, outcome: Outcome | None) -> None:
        """Bring an outcome, or None to wake the driver. From any thread."""
        ...

    def ready(self) -> list[Outcome]:
        """The outcomes that are here already."""
        ...

    async def next(self, until: float | None) -> Outcome | None:
        """The next outcome, or None at that moment, or when somebody wakes."""
        ...

    async def breathe(self) -> None:
        """Let run for a moment what runs beside the driver."""
        ...

    async def result(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What a coroutine returns."""
        ...

    def abandon(self, attempt: Attempt) -> None:
        """The attempt is over: cancel it if that can be done, and do not wait for it."""
        ...

    async def cancel(self, attempts: list[Attempt]) -> list[Attempt]:
        """Cancel those of the attempts that can be cancelled, and return them when they have ended."""
        ...

    async def beside(self, func: Callable[[], Any]) -> Any:
        """The result of something that blocks, but not what runs beside the driver."""
        ...


class ThreadHost:
    """Blocks the thread that it is called in."""

    lets_others_run = False

    def __init__(self, mailbox: Mailbox, clock: Clock) -> None:
        self._mailbox, self._clock = mailbox, clock
        self.put = mailbox.put

    def ready(self) -> list[Outcome]:
        """The outcomes that are here already."""
        here: list[Outcome] = []
        with suppress(Empty):
            while True:
                outcome = self._mailbox.get_nowait()
                here += [outcome] if outcome is not None else []
        return here

    async def next(self, until: float | None) -> Outcome | None:
        """Block for it."""
        return self._clock.wait(self._mailbox, until)

    async def breathe(self) -> None:
        """There is nothing beside."""

    async def result(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it to its end, on a loop of its own."""
        return run_coroutine(coroutine)

    def abandon(self, attempt: Attempt) -> None:
        """A thread cannot be stopped."""

    async def cancel(self, attempts: list[Attempt]) -> list[Attempt]:
        """A thread cannot be stopped."""
        return []

    async def beside(self, func: Callable[[], Any]) -> Any:
        """There is nothing beside: call it."""
        return func()


Result = TypeVar("Result")


def run_now(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    coroutine.close()
    raise AssertionError("a coroutine on a ThreadHost has suspended")


# %% [markdown]
# ## Start and stop functions
#
# A run has the start functions at its opening and the stop functions at its close, in reverse order. Only what was
# started is stopped. A start function that is set while a run is open is called before the node's next epoch.
#
# When a start function raises, the run does not open: what was started is stopped again. When stop functions raise, the
# others are called all the same. No exception is lost: the first is raised, and its cause names the others.


# %%
#|exporti
class PoolsOfStage(Protocol):
    """What the stage knows of the pools."""

    @property
    def names(self) -> list[str]:
        """What they are called."""
        ...

    def status(self) -> dict[str, Any]:
        """What each pool is doing now: a `PoolStatus`, by name."""
        ...

    def awaited_by(self) -> list[Task]:
        """The tasks that found no free worker."""
        ...

    def forget_code(self, node_name: str | None = None) -> None:
        """What was pickled of a node, or of all, may not be as it was."""
        ...

    def close(self) -> list[BaseException]:
        """End all workers, after their stop functions. Returns what these raised."""
        ...


# %%
#|export
class Stage:
    """The start and stop functions of the nodes, around a run. `argument` is what they are called with: the net."""

    def __init__(self, tasks: dict[str, Task], argument: Any) -> None:
        self._tasks, self._argument = tasks, argument
        self.is_open = False
        self.pools: PoolsOfStage | None = None
        self._started: list[tuple[Task, Any, Any]] = []  # in order, with the start and stop function of each
        self.late: list[Task] = []  # to be started, since the run is open already

    async def open(self, host: Host) -> None:
        """Call the start functions. Raises what one raised, after stopping those before it."""
        for task in self._tasks.values():
            self.must_have_pools(task.node_name, task.config)
        if self.pools is not None:
            self.pools.forget_code()
        self.is_open = True
        try:
            for task in self._tasks.values():
                await self._start(task, host)
        except BaseException as error:
            raise_first([error, *await self.close(host)])

    def changed(self, task: Task) -> None:
        """A node's functions were set anew: if the run is open, the start function is to be called."""
        if self.pools is not None:
            self.pools.forget_code(task.node_name)
        if not self.is_open or task.starts_in_workers():
            return
        if task.start_node_func is not None:
            self.late += [task] if task not in self.late else []
            return
        if task in self.late:
            self.late.remove(task)
        last = next((k for k in reversed(range(len(self._started))) if self._started[k][0] is task), None)
        if last is not None:  # nothing new to start, so the new stop function is for what was started
            self._started[last] = task, self._started[last][1], task.stop_node_func

    def moved(self, task: Task) -> None:
        """A node has other options: if it came from where its workers were started, its start function is to be called
        here, unless that was done before."""
        start, stop = task.start_node_func, task.stop_node_func
        if not self.is_open or task.starts_in_workers() or (start is None and stop is None) or task in self.late:
            return
        if not any(are_same(started, (task, start, stop)) for started in self._started):
            self.late.append(task)

    def must_have_pools(self, node_name: str, config: NodeConfig) -> None:
        """Raise `ConfigError` for a pool that there is not."""
        names = [] if self.pools is None else self.pools.names
        for name in config.pools:
            if name not in names:
                way = f"Pools are options of the net, such as thread_pools={{{name!r}: {{'size': 4}}}}."
                raise ConfigError(f"node {node_name!r}: {unknown_name('pool', name, names)} {way}")

    async def open_late(self, host: Host) -> None:
        """Call the start functions that were set since the opening."""
        while self.late:
            await self._start(self.late[0], host)

    async def close(self, host: Host) -> list[BaseException]:
        """Call the stop functions of all that were started. Returns what they raised."""
        errors: list[BaseException] = [] if self.pools is None else await host.beside(self.pools.close)
        while self._started:
            task, _, stop_node_func = self._started.pop()
            try:
                what = f"stop_node_func of node {task.node_name!r}"
                await call_with(host, stop_node_func, self._argument, what=what)
            except BaseException as error:
                errors.append(error)
        self.is_open = False
        self.late.clear()
        return errors

    async def _start(self, task: Task, host: Host) -> None:
        start, stop, is_here = task.start_node_func, task.stop_node_func, not task.starts_in_workers()
        if is_here:
            await call_with(host, start, self._argument, what=f"start_node_func of node {task.node_name!r}")
            self._started.append((task, start, stop))
        if task in self.late:
            self.late.remove(task)


# %%
#|exporti
class Awaits(Protocol):
    """Who knows how to get the result of a coroutine, as hosts do."""

    async def result(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What a coroutine returns."""
        ...


async def call_with(host: Awaits, func: Any, *arguments: Any, what: str) -> None:
    """Call a user's function, sync or async, if there is one; what it raises says where."""
    if func is None:
        return
    try:
        result = func(*arguments)
        if is_async(func):
            await host.result(result)
    except BaseException as error:
        error.add_note(f"raised by the {what}")
        raise


async def tell(host: Host, func: Any, *arguments: Any, what: str, error: BaseException) -> BaseException | None:
    """Tell a user's function of a failure. What it raises joins the cause of the failure and is logged, since a failure
    may be mended by the next attempt and its cause be seen by nobody. Returns it if it interrupts."""
    try:
        await call_with(host, func, *arguments, what=what)
    except BaseException as second:
        if second is error:
            return None
        add_causes(error, [second])
        _log().error("the %s raised %r, after %r", what, second, error, exc_info=second)
        return second if isinstance(second, (KeyboardInterrupt, SystemExit)) or is_cancelled(second) else None
    return None


def raise_first(errors: list[BaseException]) -> None:
    """Raise the first of these exceptions, if there is any; the others become part of its cause."""
    if not errors:
        return
    first, *others = errors
    add_causes(first, others)
    raise first


def add_causes(error: BaseException, others: list[BaseException]) -> None:
    """Make other exceptions part of the cause of this one, beside the cause that it has."""
    if others:
        causes = [error.__cause__] if error.__cause__ is not None else []
        error.__cause__ = BaseExceptionGroup("what caused this, and what failed after it", [*causes, *others])


# %% [markdown]
# ## What signals must know
#
# Where a [signal](02a_signals.ipynb) may strike: in these functions netrun waits, or a user's code runs.

# %%
#|exporti
CALLS |= {call.__code__}
WAITING |= {MonotonicClock.wait.__code__, pass_on.__code__}
HANDING_OVER |= {
    *WAITING,
    *(func.__code__ for func in (call, call_with, run_coroutine, awaited, StoredValues.call_function)),
}


# %% [markdown]
# ## Changes
#
# What a node is (its functions, its options, its place) is read at several moments while an attempt begins. So nobody
# changes it meanwhile: while the driver runs, a change waits until the driver makes it, between two attempts. Otherwise it
# is made at once.


# %%
#|exporti
class Changes:
    """Changes of the nodes, asked for from any thread."""

    def __init__(self) -> None:
        self.lock = RLock()  # a signal handler may ask while its own thread does
        self.waiting: deque[Callable[[], None]] = deque()
        self._is_queued = False

    def ask(self, change: Callable[[], None]) -> None:
        """Make a change, now or when the driver comes to it."""
        with self.lock:
            self.waiting.append(change)
            if not self._is_queued:
                self.make()

    def make(self) -> None:
        """Make those that wait, in the order in which they were asked for."""
        while self.waiting:
            self.waiting.popleft()()

    @contextmanager
    def queued(self) -> Iterator[None]:
        """Let changes wait, until `make` or the end of the block."""
        with self.lock:
            self._is_queued = True
        try:
            yield
        finally:
            with self.lock:
                self._is_queued = False
                self.make()


# %%
changes, made = Changes(), []
changes.ask(lambda: made.append("at once"))
with changes.queued():
    changes.ask(lambda: made.append("later"))
    assert made == ["at once"]
assert made == ["at once", "later"]


# %% [markdown]
# ## The driver
#
# Begin what can begin; when nothing can, wait for an outcome or the next deadline; end when there is neither. After a
# failed attempt the driver calls the node's failure function before the engine gives its verdict; what is given up goes to
# `before_cancel` while it is still there.
#
# An exception that strikes the driver itself (Ctrl-C while it waits, or its caller cancels it) interrupts the attempts that
# run: those that can be cancelled are, and have ended before it leaves.


# %%
#|exporti
BREATH = 0.005  # seconds that the driver goes on without letting run what is beside it


class Saver(Protocol):
    """Who saves the net now and then, at a moment when nothing runs. `begun`: the attempts since it did last."""

    begun: int

    def look(self, now: float, rests: bool) -> bool:
        """Save if it is time to and the net rests. True where nothing is to begin for a while, so that it comes to rest."""
        ...

    def looks_at(self) -> float | None:
        """The moment to look again, even if nothing happens before."""
        ...


class Settling:
    """How the driver ends attempts."""

    woken = False  # whether somebody woke the driver since it looked last

    def __init__(self, engine: Engine, stage: Stage, clock: Clock) -> None:
        self.engine, self.stage, self.clock = engine, stage, clock
        self.inline = InlineCarrier(engine.ledger, lambda: self.clock.now())
        self.mailbox: Mailbox = SimpleQueue()
        self.guard = Guard(engine.running)
        self.before_cancel: BeforeCancel = _nothing_before
        self.host: Host = ThreadHost(self.mailbox, clock)
        self.async_tasks: set[str] = set()  # nodes with an async function
        self.changes = Changes()

    async def _end(self, outcome: Outcome, reraise: bool = True) -> None:
        """End an attempt with its outcome. Raises as `_fail` does."""
        if outcome.attempt is self.inline.in_thread:
            self.inline.in_thread = None
        failed = self.engine.conclude(outcome)
        if failed is not None:
            await self._fail(failed, reraise)

    async def _fail(self, failed: Outcome, reraise: bool = True) -> None:
        """Deal with an attempt that was not committed. Raises what interrupted it, or a function that was told of it."""
        if isinstance(failed.error, (KeyboardInterrupt, SystemExit)):
            self.guard.pending = None  # this is the one
        interrupts = [failed.error] if failed.ending is Ending.INTERRUPTED else [await self._tell_failure_func(failed)]
        sentence, at = self.engine.sentence(failed), datetime.now(UTC)
        if _loses(failed, sentence.verdict):
            interrupts += [await self.before_cancel(self.host, failed, at)]
        self.engine.settle(failed, self.clock.now(), at, sentence)
        interrupt = next((error for error in interrupts if error is not None), None)
        if interrupt is not None and reraise:
            raise interrupt

    async def _tell_failure_func(self, failed: Outcome) -> BaseException | None:
        """Call the node's failure function, if the attempt failed. Returns what it raised, if that interrupts."""
        task, error = failed.attempt.task, failed.error
        if task.exec_failed_node_func is None or failed.ending is Ending.CANCELLED or error is None:
            return None
        context = NodeFailureContext(failed.attempt, error)
        what = f"exec_failed_node_func of node {task.node_name!r}"
        return await tell(self.host, task.exec_failed_node_func, context, what=what, error=error)

    async def _interrupt(self, attempts: list[Attempt], error: BaseException) -> None:
        """End attempts that are interrupted. One that ended by itself before it could be cancelled ends as it did."""
        try:
            await self._cancel(attempts)
        finally:
            await self._end_interrupted(attempts, error)

    async def _cancel(self, attempts: list[Attempt]) -> list[Attempt]:
        """Cancel those that can be cancelled, on the host and in processes, and return them."""
        workers = [(attempt, attempt.worker_of()) for attempt in attempts]
        stopped = [attempt for attempt, worker in workers if worker is not None and worker.abandon(attempt)]
        return stopped + await self.host.cancel(attempts)

    async def _end_interrupted(self, attempts: list[Attempt], error: BaseException) -> None:
        self.woken = False
        for outcome in self.host.ready():
            if outcome.attempt not in attempts or not is_cancelled(outcome.error):
                await self._end(outcome, reraise=False)
        for attempt in reversed(attempts):  # so that the queue keeps its order
            await self._end(Outcome(attempt, Ending.INTERRUPTED, error), reraise=False)


# %%
#|export
class Driver(Settling):
    """Runs what the engine begins until nothing more can happen."""

    saver: Saver | None = None
    stopping: BaseException | None = None  # what the attempts that can be cancelled are to be interrupted with

    def wake(self) -> None:
        """Let the driver look again, if it waits. From any thread."""
        if not self.woken:
            self.woken = True
            self.host.put(None)

    async def run(self, host: Host) -> int:
        """Run until blocked or paused. Returns how many attempts there were. Raises only what interrupts: the error of
        an interrupted node function, of a start function, or of the driver's own thread."""
        self.host, self.woken = host, False
        captures = any(task.log is not None for task in self.engine.tasks.values())
        with self.changes.queued():
            try:
                with routed() if captures else nullcontext():
                    return await self._run()
            except BaseException as error:
                await self._interrupt(list(self.engine.running), error)
                raise
            finally:
                self.inline.in_thread = self.engine.ledger.waiter = None
                self.engine.holds_back = False

    async def _run(self) -> int:
        engine, now, begun, host = self.engine, self.clock.now, 0, self.host
        breath = monotonic() + BREATH if host.lets_others_run else inf
        ledger, changes, saver = engine.ledger, self.changes, self.saver
        while True:
            if self.guard.pending is not None:
                self.guard.let_through()
            if changes.waiting:
                changes.make()
            if self.stage.late:
                await self.stage.open_late(host)
            if saver is not None:
                engine.holds_back = saver.look(now(), not engine.running)
            attempt = engine.begin(now()) if self.inline.in_thread is None else None
            if attempt is not None:
                begun += 1
                if saver is not None:
                    saver.begun += 1
                ended = attempt.task.carrier.begin(attempt, host.put)
                if ended is not None:
                    attempt.over = None  # an interrupt came too late for it: let it end as it has
                    failed = engine.commit(attempt) if ended is FINISHED else engine.conclude(ended)
                    if failed is not None:
                        await self._fail(failed)
                if breath is not inf and monotonic() > breath:
                    await self._breathe()
                    breath = monotonic() + BREATH
            elif ledger.waiter is None and engine.running:
                # what runs may make epochs startable while we wait: look once more, then wait
                ledger.waiter = self.wake
            elif not await self._wait():
                return begun

    async def _wait(self) -> bool:
        """Wait for something to happen and deal with it. False when nothing can."""
        if self.stopping is not None:
            error, self.stopping = self.stopping, None
            await self._end_interrupted(await self._cancel(list(self.engine.running)), error)
        if self.changes.waiting or (self.engine.has_room_to_try() and self.inline.in_thread is None):
            return True
        until = self.engine.deadline()
        if until is None and not self.engine.running and not self._awaits_a_worker():
            return False
        until = self.first_look(until)
        outcome = await self.host.next(until)
        self.woken, self.engine.ledger.waiter = False, None
        if outcome is not None:
            await self._end(outcome)
        elif until is not None:
            await self._end_expired()
        return True

    def first_look(self, until: float | None = None) -> float | None:
        """The moment until which to wait, or an earlier one at which the net is to be saved."""
        moments = [until, None if self.saver is None else self.saver.looks_at()]
        return min((moment for moment in moments if moment is not None), default=None)

    def _awaits_a_worker(self) -> bool:
        """Whether epochs wait for a worker that is busy with something that is over."""
        engine, pools = self.engine, self.stage.pools
        return pools is not None and not engine.is_held and any(map(engine.waits, pools.awaited_by()))

    async def _breathe(self) -> None:
        """Let others run, and deal with what they have brought."""
        await self.host.breathe()
        self.woken = False
        outcomes = iter(self.host.ready())
        try:
            for outcome in outcomes:
                await self._end(outcome)
        except BaseException:
            for rest in outcomes:  # they end as they did, see `_interrupt`
                self.host.put(rest)
            raise
        await self._end_expired()

    async def _end_expired(self) -> None:
        for late in self.engine.expired(self.clock.now()):
            self.host.abandon(late.attempt)
            if (worker := late.attempt.worker_of()) is not None:
                worker.abandon(late.attempt)
            await self._end(late)


BeforeCancel = Callable[[Host, Outcome, datetime], Awaitable[BaseException | None]]


async def _nothing_before(host: Host, failed: Outcome, at: datetime) -> BaseException | None:
    return None


def _loses(failed: Outcome, verdict: Verdict) -> bool:
    """Whether the work of an epoch is lost with this verdict, though nobody wanted it to be."""
    return verdict is Verdict.GIVE_UP or (verdict is Verdict.CANCEL and failed.ending is Ending.INTERRUPTED)


# %% [markdown]
# ## A run by hand
#
# What the net will do: tasks, an engine, a stage, a driver.

# %%
from netrun import *
from netrun.ledger import Ledger


def assemble(exec_node_func, clock=None, **functions):
    """A net of one node, `Work`, with an input port `in`, an output port `out`, and these functions."""
    port_has_any = lambda port: SalvoConditionTerm.port(port, PortState.non_empty())
    work = Node(
        "Work",
        in_ports={"in": Port()},
        out_ports={"out": Port()},
        in_salvo_conditions={
            "in": SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, port_has_any("in"))
        },
        out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", port_has_any("out"))},
    )
    ledger = Ledger(Graph([work], []), PacketValueStore())
    config = NodeConfig(timeout=functions.pop("timeout", None))
    task = Task("Work", config, exec_node_func=exec_node_func, is_async=is_async(exec_node_func), **functions)
    stage = Stage({"Work": task}, "the net")
    driver = Driver(Engine(ledger, {"Work": task}), stage, clock or MonotonicClock())
    task.carrier = driver.inline
    return ledger, stage, driver


# %%
calls = []


def add_one(ctx, packets):
    ctx.send("out", ctx.consume_packet(packets["in"][0]) + 1)


ledger, stage, driver = assemble(
    add_one,
    start_node_func=lambda net: calls.append(f"start, with {net}"),
    stop_node_func=lambda net: calls.append("stop"),
)
ledger.inject("Work", "in", [1, 2, 3])
run_now(stage.open(driver.host))
assert run_now(driver.run(driver.host)) == 3
assert run_now(stage.close(driver.host)) == [] and calls == ["start, with the net", "stop"]
assert ledger.take_outputs("Work", "out") == [2, 3, 4]
ledger.check()

# %% [markdown]
# An async function runs to its end on a loop of its own, here in a notebook too, where a loop is running:

# %%
import asyncio


async def add_one_later(ctx, packets):
    await asyncio.sleep(0)
    await ctx.send("out", await ctx.consume_packet(packets["in"][0]) + 1)


ledger, stage, driver = assemble(add_one_later)
ledger.inject("Work", "in", [1])
assert run_now(driver.run(driver.host)) == 1 and ledger.take_outputs("Work", "out") == [2]

# %% [markdown]
# ## A time-out, without waiting for it
#
# This clock jumps to the moment that the driver waits for. The function blocks until the cell is done with it, and finds
# its context dead.

# %%
import threading
from threading import Event


class JumpingClock:
    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time

    def wait(self, mailbox, until):
        self.time = until


release, found = Event(), []


def stuck(ctx, packets):
    release.wait()
    try:
        ctx.send("out", "too late")
    except EpochTimeout as error:
        found.append(error)


ledger, stage, driver = assemble(stuck, clock=JumpingClock(), timeout=60)
ledger.inject("Work", "in", [1])
run_now(driver.run(driver.host))
failure = driver.engine.take_failures()
assert driver.clock.time == 60 and isinstance(failure.original_exception, EpochTimeout)
release.set()
for thread in threading.enumerate():
    if thread.name.startswith("netrun"):
        thread.join()
assert found and ledger.take_outputs("Work", "out") == []
print(failure)

# %% [markdown]
# ## What failed, and what failed after it
#
# Here the node function fails, and so does the failure function. One error leaves; the other is in its cause.


# %%
def fail(ctx, packets):
    raise ValueError("the node")


def fail_again(failure):
    raise LookupError(f"the failure function, after {failure.exception!r}")


ledger, stage, driver = assemble(fail, exec_failed_node_func=fail_again)
ledger.inject("Work", "in", [1])
run_now(driver.run(driver.host))
failure = driver.engine.take_failures()
assert repr(failure.original_exception) == "ValueError('the node')"
(second,) = failure.__cause__.__cause__.exceptions
print(repr(second), second.__notes__)
