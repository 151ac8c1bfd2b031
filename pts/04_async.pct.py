# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Async: epochs side by side
#
# Epochs of async nodes run at the same time, each as a task on a loop. The driver is the same coroutine as before; it stands
# on a host that lets the loop run while it waits.
#
# ```
#   start()                              await async_start()
#     │ no async function in the net       │
#     ├──────────> ThreadHost              │
#     │ else                               ▼
#     └──> PrivateLoop ──────────────> LoopHost ── spawn ──> task: node function + awaitable context
#          (a loop of the run's own,       ▲                     │
#           in a thread where one runs)    └────── outcome ──────┘
#
#   driver  ──begin A1──begin A2──begin B1──await next()───────────────settle A2──begin ...
#   task A1     ├──────await──────────────────────────────────────┤
#   task A2            ├────await────────────────────┤
#   B1 (sync)                   ▪ at once, in the driver
# ```
#
# A sync node function holds the loop up while it runs, as everywhere in asyncio; give it a `timeout` and it runs in a thread.

# %%
#|default_exp async_

# %%
#|export
import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from netrun.context import AsyncNodeExecutionContext
from netrun.driver import Clock, Driver, Ended, Report, _log, add_causes, finish, report_in_time
from netrun.execution import Attempt, Ending, Outcome, outcome_of
from netrun.ledger import Ledger
from netrun.prints import CURRENT, end_line
from netrun.signals import HANDING_OVER, LOOPS, WAITING

# %% [markdown]
# ## The host
#
# Outcomes come from tasks on the same loop, and from threads. An attempt that is cancelled before its task has begun never
# gets to report; the driver ends it as interrupted.


# %%
#|exporti
CANCEL_WAIT = 5.0  # seconds that cancelled attempts may take to end


class LoopHost:
    """Lets the loop that it is made on run while the driver waits."""

    lets_others_run = True

    def __init__(self, clock: Clock) -> None:
        self.loop = asyncio.get_running_loop()
        self._clock = clock
        self._outcomes: deque[Outcome | None] = deque()
        self._woken: asyncio.Future[None] | None = None
        self._tasks: dict[Attempt, asyncio.Task[None]] = {}

    def spawn(self, attempt: Attempt, ledger: Ledger) -> None:
        """Run the node function of an attempt in a task, which sees the context variables of the caller."""
        self._tasks[attempt] = self.loop.create_task(self._run(attempt, ledger))

    async def _run(self, attempt: Attempt, ledger: Ledger) -> None:
        attempt.begun = self._clock.now()
        outcome = await call_async(attempt, ledger)
        self._tasks.pop(attempt, None)
        report_in_time(outcome, self._put_here)

    def put(self, outcome: Outcome | None) -> None:
        """Bring an outcome, or None to wake the driver. From any thread."""
        self._outcomes.append(outcome)
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            if not self.loop.is_closed():  # when it is, nobody waits any more
                raise

    def _put_here(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._wake()

    def _wake(self) -> None:
        if self._woken is not None:
            finish(self._woken)

    def ready(self) -> list[Outcome]:
        """The outcomes that are here already. They are taken one by one: other threads may bring more meanwhile."""
        taken = (self._outcomes.popleft() for _ in range(len(self._outcomes)))
        return [outcome for outcome in taken if outcome is not None]

    async def next(self, until: float | None) -> Outcome | None:
        """The next outcome, or None at that moment, or when somebody wakes."""
        if not self._outcomes:
            self._woken = self.loop.create_future()
            await self._clock.async_wait(self._woken, until)
        return self._outcomes.popleft() if self._outcomes else None

    async def breathe(self) -> None:
        """Let the loop run once."""
        await asyncio.sleep(0)

    async def result(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Await it here."""
        return await coroutine

    async def beside(self, func: Callable[[], Any]) -> Any:
        """Call it in a thread."""
        return await asyncio.to_thread(func)

    def abandon(self, attempt: Attempt) -> None:
        """Cancel an attempt's task, if it has one."""
        task = self._tasks.pop(attempt, None)
        if task is not None:
            task.cancel()

    async def cancel(self, attempts: list[Attempt]) -> list[Attempt]:
        """Cancel the attempts that run here, and return them when they have ended, or when that takes too long."""
        here = {attempt: self._tasks.pop(attempt) for attempt in attempts if attempt in self._tasks}
        for task in here.values():
            task.cancel()
        if here:
            await asyncio.wait(here.values(), timeout=CANCEL_WAIT)
        return list(here)


async def call_async(attempt: Attempt, ledger: Ledger) -> Outcome:
    """Run the async node function of an attempt."""
    acts = ledger if attempt.recording is None else attempt.recording
    context = AsyncNodeExecutionContext(attempt, acts)
    CURRENT.set(attempt)  # of the task, to its end
    try:
        await attempt.task.exec_node_func(context, attempt.epoch.by_port())  # type: ignore[misc]
    except BaseException as error:
        return outcome_of(attempt, error)
    finally:
        if attempt.printed is not None:
            end_line(attempt)
    return Outcome(attempt, Ending.FINISHED)


HANDING_OVER |= {call_async.__code__, LoopHost.result.__code__}

# %% [markdown]
# ## The carrier
#
# Where the driver has no loop (an async function was given to a net in the middle of a run without one), async attempts run
# one at a time.


# %%
#|exporti
class LoopCarrier:
    """Runs async attempts as tasks on the loop of the driver's host."""

    where = ("loop", None)

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def begin(self, attempt: Attempt, report: Report) -> Ended | None:
        """Begin an attempt. Its outcome goes to the host."""
        host = self._driver.host
        if not isinstance(host, LoopHost):
            return self._driver.inline.begin(attempt, report)
        host.spawn(attempt, self._driver.engine.ledger)
        return None


# %% [markdown]
# ## A loop of a run's own
#
# A net with async functions that is driven synchronously gets one loop for the whole run, from the start functions to the
# stop functions, so that what a start function opens is of use to the node functions. Where the caller's thread has a loop
# that is running, as in Jupyter, ours runs in a thread beside; loops are never nested.


# %%
#|exporti
Result = TypeVar("Result")
WIND_UP = 1.0  # seconds that what is left on the loop may take to end


class PrivateLoop:
    """Runs coroutines, one after the other, on one loop. It is made at need."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._why: BaseException | None = None  # what the run is cancelled for

    def run(self, make: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """The result of the coroutine that `make` gives, called on the loop."""
        if asyncio._get_running_loop() is None:
            return self._run_here(make)
        return self._run_beside(make)

    def cancel(self, why: BaseException) -> None:
        """Cancel what runs; `run` raises `why`. From the thread of the loop, between any two steps of it."""
        if self._task is not None and self.loop is not None:
            self._why = why
            self._task.cancel()
            self.loop.call_soon_threadsafe(_nothing)  # it may be waiting

    def _run_here(self, make: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        if self.loop is None:
            self.loop = asyncio.new_event_loop()
        self._why = None
        self._task = self.loop.create_task(make())
        try:
            result: Result = self.loop.run_until_complete(self._task)
            return result
        except asyncio.CancelledError as error:
            if self._why is None:
                raise
            add_causes(self._why, [error.__cause__] if error.__cause__ is not None else [])
            raise self._why from self._why.__cause__
        except BaseException:
            if not self._task.done():
                self._abandon()
            raise
        finally:
            self._task = None

    def _abandon(self) -> None:
        """Something has torn the loop, so nothing on it will go on: close it, and what is there, the run first."""
        loop, self.loop = self.loop, None
        for task in (self._task, *asyncio.all_tasks(loop)):
            task._log_destroy_pending = False  # type: ignore[union-attr]
            with suppress(RuntimeError):  # it awaits something all the same
                task.get_coro().close()  # type: ignore[union-attr]
        loop.close()  # type: ignore[union-attr]

    def _run_beside(self, make: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        results: list[tuple[Any, BaseException | None]] = []  # kept here, so that who is interrupted does not lose it
        there: SimpleQueue[None] = SimpleQueue()

        def run() -> None:
            try:
                results.append((self._run_here(make), None))
            except BaseException as raised:
                results.append((None, raised))
            there.put(None)

        Thread(target=copy_context().run, args=(run,), name="netrun loop", daemon=True).start()
        try:
            _wait_for(there)
        except BaseException as struck:  # Ctrl-C: the run must not go on without us
            if self.loop is not None:
                self.loop.call_soon_threadsafe(self.cancel, struck)
            if not results:
                _wait_for(there)
            raise
        value, error = results[0]
        if error is not None:
            raise error
        result: Result = value
        return result

    def close(self) -> None:
        """Cancel what is left on the loop, and close it."""
        if self.loop is not None:
            self.run(self._wind_up)
            self.loop.close()
            self.loop = None

    def __del__(self) -> None:
        """A net that was never stopped is gone, and its loop with it."""
        if self.loop is not None and not self.loop.is_running():
            self.loop.close()

    async def _wind_up(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            _, stubborn = await asyncio.wait(left, timeout=WIND_UP)
            for task in stubborn:
                _log().warning("a task has not ended though it was cancelled: %r", task)
        await asyncio.get_running_loop().shutdown_asyncgens()


def _wait_for(there: SimpleQueue[None]) -> None:
    """Wait for a thread's result. (Not by `join`: interrupted once, it takes the thread for ended ever after.)"""
    there.get()


def _nothing() -> None:
    """To wake a loop."""


LOOPS |= {PrivateLoop._run_here.__code__}
WAITING |= {_wait_for.__code__}
HANDING_OVER |= {_wait_for.__code__}


# %% [markdown]
# ## Side by side
#
# Three epochs that wait 0.05 s each take 0.05 s together. This notebook has a running loop; `start()` works all the same,
# and so does `await net.async_start()`.

# %%
import time

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


log = []


async def fetch(ctx, packets):
    seconds = await ctx.consume_packet(packets["in"][0])
    log.append(f"begin {seconds}")
    await asyncio.sleep(seconds)
    log.append(f"end {seconds}")
    await ctx.send("out", seconds)


net = Net(Graph([inbox("A")], []))
net.set_node_exec("A", fetch)
net.inject_packets("A", "in", [0.05, 0.03, 0.01])
net.start()
assert log == ["begin 0.05", "begin 0.03", "begin 0.01", "end 0.01", "end 0.03", "end 0.05"]

net.inject_packets("A", "in", [0.02, 0.01])
await net.async_start()
assert net.take_outputs("A", "out") == [0.01, 0.03, 0.05, 0.01, 0.02]

# %% [markdown]
# ## When the caller is cancelled
#
# The attempts that run are cancelled too, and have ended when the `CancelledError` leaves. One that had not acted on the net
# (here because its actions are deferred) has a startable epoch again; one that had leaves a dead letter.

# %%
for deferred in (True, False):
    net = Net(Graph([inbox("A")], []))
    net.set_node_exec("A", fetch)
    net.set_node_config("A", defer_net_actions=deferred)
    net.inject_packets("A", "in", [3600])
    try:
        await asyncio.wait_for(net.async_start(), 0.02)
    except TimeoutError:
        print(net, [letter.reason for letter in net.dead_letter_queue])
    assert net.state is NetState.PAUSED
    assert (len(net.get_startable_epochs()), len(net.dead_letter_queue)) == ((1, 0) if deferred else (0, 1))

# %% [markdown]
# ## What would block the loop is refused
#
# On the loop that runs the net, the verbs that wait have awaitable twins.

# %%
net = Net(Graph([inbox("A")], []))
net.set_node_exec("A", fetch)
net.inject_packets("A", "in", [0.02])
running = asyncio.create_task(net.async_start())
await asyncio.sleep(0)
try:
    net.pause(wait=True)
except NetStateError as error:
    print(error)
else:
    raise AssertionError("it would have waited for ever")
await net.async_pause(wait=True)
await running
assert await net.async_wait_until_blocked() and net.take_outputs("A", "out") == [0.02]
