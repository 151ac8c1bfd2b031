# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Control: the verbs of a net
#
# `start`, `run_step`, `pause`, `resume` and `stop`: what state a net is in, who may run it, and when its start and stop
# functions are called.
#
# ```
#             start, run_step, with                   start ends, pause, an error
#   CREATED ────────────────────────> RUNNING ───────────────────────────────────> PAUSED
#      │  └──────── pause ────────────────────────────────────────────────────────> │
#      │                                 ▲ └── run_step: stays                      │
#      │                                 └──────── start, run_step, resume ─────────┤
#      └─────────────── stop ──────────> STOPPED, for good <──── stop ──────────────┘
# ```
#
# A **run** has the start functions at its opening and the stop functions at its close. `start()` opens one and closes it
# when it returns. `with net:`, `run_step()` and `start(threaded=True)` open one that stays open until `stop()` or the end
# of the block.
#
# `start(threaded=True)` returns at once. The net then runs in the background: it idles when it is blocked, and goes on when
# something is injected.
#
# ```
#   you         start(threaded=True)   inject      wait_until_blocked()      pause()  resume()    stop()
#                 │                      │           ┊            ┊            │        │           │
#   background    └─ run ── idle ────────└─ run ─────┊── run ─────└─ idle ─────┴ paused ┴─ run ─────┴─ stop functions
# ```
#
# Which epochs a paused net has waiting, and why it is paused, `poll()` says:
#
# | `paused_by` | why |
# |---|---|
# | None | it is not; or it is done |
# | `"user"` | `pause()`, `stop()` |
# | `"error"` | a node gave an epoch up, or was interrupted |
# | `"signal"` | SIGINT or SIGTERM, see [signals](02a_signals.ipynb) |
# | `"limit"` | as many epochs were started as `max_epochs` allows |

# %%
#|default_exp control

# %%
#|export
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
from threading import TIMEOUT_MAX, Condition, RLock, Thread
from typing import Any, TypeVar

from netrun.books import Counts
from netrun.core import NetNotPausedError, NetStateError, NodeExecutionFailed, brief, check_number
from netrun.driver import Driver, Host, ThreadHost, finish, is_cancelled, raise_first, run_now
from netrun.execution import Engine, Retry
from netrun.signals import Guard


# %%
#|export
class NetState(Enum):
    """What a net is doing."""

    CREATED = auto()
    RUNNING = auto()
    PAUSED = auto()
    STOPPED = auto()


# %% [markdown]
# ## One thread at a time
#
# One thread at a time drives the net. Who else calls a verb that needs to drive gets a `NetStateError` at once, and
# nothing has changed; so does a node function that tries. `pause` and `stop` may come from anywhere: from inside a node
# they ask, and what they ask for happens when the node is done.


# %%
#|exporti
# The nets whose functions the caller is inside of. Every thread that a run starts has a copy of its context.
_inside_of: ContextVar[tuple["Turns", ...]] = ContextVar("the nets that call this", default=())


def _running_loop() -> Any:
    """The loop that runs in this thread, or None, without importing asyncio for it."""
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()


class Turns:
    """Who drives the net, and what state it is in."""

    def __init__(self, driver: Driver) -> None:
        self._driver, self._engine, self._stage = driver, driver.engine, driver.stage
        self.state = NetState.CREATED
        self.error: NodeExecutionFailed | None = None  # what paused the net
        self._driving = False
        self._idle = False  # whether who drives it has nothing to do
        self._rises = 0  # how often it was roused from its rest
        self._stop_asked = False
        # told when a run rests, and how; returns what is to be done beside before anybody goes on, if anything
        self.at_rest: Callable[[bool, bool], Callable[[], object] | None] = lambda is_closed, is_over: None
        self.before: list[Callable[[], object]] = []  # what is to be done when it is driven next
        self._signalled = False  # whether a signal came since a verb was called that it pauses
        # entered by itself: an interrupt could strike between a Condition's acquiring and its `with`
        self._lock = RLock()
        self._changed = Condition(self._lock)
        self._watchers: list[Callable[[], object]] = []  # told once when somebody has ended, or is idle

    @contextmanager
    def _turn(self, operation: str, lifts_pause: bool = False) -> Iterator[None]:
        """Be the one that drives the net."""
        self._claim(operation, lifts_pause)
        try:
            yield
        except BaseException:
            if self.state is NetState.RUNNING:  # the run has not even begun
                self.state = NetState.PAUSED
            raise
        finally:
            self._release()

    @contextmanager
    def _turn_to_close(self) -> Iterator[bool]:
        """Be the one that closes the net. False where it is stopped already, or somebody drives it again."""
        with self._lock:
            if is_ours := not (self.is_stopped() or self._driving):
                self._claim("stop")
        try:
            yield is_ours
        finally:
            if is_ours:
                self._release()

    def _claim(self, operation: str, lifts_pause: bool = False) -> None:
        with self._lock:
            self.must_be_free(operation)
            self._driving, self._idle, self.state = True, False, NetState.RUNNING
            self._rises += 1
            if lifts_pause and not self._stop_asked:
                self._engine.resume()
                self._engine.count_anew()
                if self._signalled:
                    self._engine.pause("signal")

    def _release(self) -> None:
        with self._lock:
            self._driving = False
            self._tell()

    def _tell(self) -> None:
        """Tell who waits that something has changed."""
        self._changed.notify_all()
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()

    def _is_at_rest(self) -> bool:
        """Whether nothing runs, and nothing will unless somebody does something."""
        return self._idle or not self._driving

    def _is_free(self) -> bool:
        return not self._driving

    def _wait_for(self, operation: str, there: Callable[[], bool], timeout: float | None = None) -> bool:
        """Block until something is so. Raises `NetStateError` where that would keep it from becoming so: on the very loop
        that runs the net."""
        loop = getattr(self._driver.host, "loop", None) if self._driving else None
        if loop is not None and _running_loop() is loop:
            raise NetStateError(operation, f"the loop of this thread runs the net; await async_{operation}")
        with self._lock:
            return self._changed.wait_for(there, timeout)

    async def _async_wait_for(self, there: Callable[[], bool], timeout: float | None = None) -> bool:
        """`_wait_for` on a loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + timeout
        while True:
            turned = loop.create_future()

            def turn(turned: asyncio.Future[None] = turned) -> None:
                with suppress(RuntimeError):  # the loop was closed, and nobody waits on it any more
                    loop.call_soon_threadsafe(finish, turned)

            with self._lock:
                if there():
                    return True
                self._watchers.append(turn)
            try:
                await asyncio.wait([turned], timeout=None if end is None else max(0.0, end - loop.time()))
            finally:
                with self._lock, suppress(ValueError):
                    self._watchers.remove(turn)
            if end is not None and loop.time() >= end:
                return there()

    def wake(self) -> None:
        """Let who drives the net look again: something has changed."""
        if not self._driving:  # who begins after this finds it
            return
        with self._lock:
            if self._driving:
                if self._engine.paused_by is None or self._stop_asked:
                    self._idle = False
                    self._rises += 1
                self._driver.wake()

    def _inside(self) -> bool:
        """Whether the caller is a function of the running net itself."""
        return self in _inside_of.get()

    def _must_be_outside(self, operation: str) -> None:
        if self._inside():
            raise NetStateError(operation, "this is one of the net's own functions, which it would wait for")

    def is_stopped(self) -> bool:
        """Whether the net is stopped for good."""
        return self.state is NetState.STOPPED

    @contextmanager
    def resting(self, operation: str) -> Iterator[None]:
        """Nobody drives the net within this. Raises `NetNotPausedError` unless it is PAUSED or STOPPED and nothing runs."""
        with self._lock:
            is_paused = self.state in (NetState.PAUSED, NetState.STOPPED)
            if not is_paused or not self._is_at_rest() or self._engine.running:
                raise NetNotPausedError(operation)
            yield

    def rest(self) -> None:
        """The net is PAUSED: what it goes on with was restored."""
        self.state = NetState.PAUSED

    def must_be_free(self, operation: str) -> None:
        """Raise `NetStateError` unless the net could be driven now."""
        with self._lock:
            self.must_not_be_stopped(operation)
            if self._driving:
                where = "this is one of its own functions" if self._inside() else self._who_drives()
                raise NetStateError(operation, f"the net is running, and {where}")

    def _who_drives(self) -> str:
        return "another thread runs it"

    def must_not_be_stopped(self, operation: str) -> None:
        """Raise `NetStateError` on a stopped net."""
        if self.is_stopped():
            raise NetStateError(operation, "the net is stopped for good; build a new one")


# %% [markdown]
# ## The verbs


# %%
#|exporti
class Runs(Turns):
    """What the verbs do that drive the net, on any host, in whose turn it is."""

    async def _start(self, host: Host) -> None:
        """Run until nothing more can happen, or until paused."""
        await self._run(host, self._driver.run, closes=not self._stage.is_open)

    async def _step(self, host: Host) -> bool:
        """Run one wave. True if anything ran."""
        if not self._stage.is_open:
            self._engine.count_anew()
        begun = await self._run(host, self._wave, closes=False)
        if self._engine.paused_by is None and not self.is_stopped():
            self.state = NetState.RUNNING
        return begun > 0

    async def _wave(self, host: Host) -> int:
        """What is startable now, after the start functions."""
        self._engine.begin_wave()
        try:
            return await self._driver.run(host)
        finally:
            self._engine.end_wave()

    async def _open(self, host: Host) -> None:
        """Open a run that stays open."""
        self._engine.count_anew()
        await self._run(host, _no_work, closes=False)
        self.state = NetState.RUNNING

    async def _close(self, host: Host) -> None:
        """End the run, if one is open."""
        await self._run(host, _no_work, closes=True, opens=False)

    async def _run(
        self, host: Host, work: Callable[[Host], Coroutine[Any, Any, int]], closes: bool, opens: bool = True
    ) -> int:
        """Do some work in an open run; close it afterwards if need be. Raises the first of what went wrong, with the
        others in its cause."""
        errors: list[BaseException] = []
        done = 0
        self._driver.host = host
        self.error = None if opens else self.error
        outside = _inside_of.get()
        _inside_of.set((*outside, self))
        try:
            while self.before:
                self.before.pop()()
            if opens and not self._stage.is_open:
                await self._stage.open(host)
            done = await work(host)
        except BaseException as error:
            errors.append(error)
        errors += self._take_errors()
        closed = closes or self._stop_asked
        if closed:
            errors += await self._stage.close(host)
        self.state = NetState.STOPPED if self._stop_asked and closed else NetState.PAUSED
        if self.state is NetState.STOPPED:
            self._engine.give_back_waiting()
        try:
            await self._tell_rest(host, closed)
        except BaseException as error:
            errors.append(error)
        _inside_of.set(outside)
        raise_first(errors)
        return done

    async def _tell_rest(self, host: Host, is_closed: bool) -> None:
        rest = self.at_rest(is_closed, self.state is NetState.STOPPED)
        if rest is not None:
            await host.beside(rest)

    def _take_errors(self) -> list[BaseException]:
        """What the engine has paused the net for, if it is to be raised."""
        errors: list[BaseException] = []
        failure = self._engine.take_failures()
        if failure is not None:
            self.error = failure
            errors += [failure] if self._engine.on_error == "raise" else []
        limit = self._engine.take_limit()
        return errors if limit is None else [*errors, limit]


async def _no_work(host: Host) -> int:
    return 0


# %% [markdown]
# A verb is called on a host: synchronously where a thread waits for it, on a loop of the run's own if any of the net's
# functions is async; or on the caller's loop. A turn is taken before the host is made and given back after it is closed, so
# there is never a second one. In the main thread it is guarded against [signals](02a_signals.ipynb).


# %%
#|exporti
Result = TypeVar("Result")
Verb = Callable[[Host], Coroutine[Any, Any, Result]]


class Hosting(Runs):
    """On which host a verb is called."""

    handles_signals = True  # whether the first SIGINT or SIGTERM pauses the net
    _private: Any = None  # the loop of a run with async functions that is driven synchronously

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self.quick = Guard(driver.engine.running)  # for verbs that only ask or look
        driver.guard.ask_pause = self._pause_by_signal

    @contextmanager
    def _guarded(self, pauses: bool) -> Iterator[None]:
        """Be guarded against signals in the main thread."""
        self._signalled = False
        with self._driver.guard.up(pauses and self.handles_signals):
            yield

    def _pause_by_signal(self) -> None:
        self._signalled = True
        self._engine.pause("signal")
        self.wake()

    def drive(self, operation: str, verb: Verb[Result], pauses: bool = False, lifts_pause: bool = False) -> Result:
        """Call a verb from a thread that waits for it. `pauses`: the first signal pauses the net."""
        with self._guarded(pauses), self._turn(operation, lifts_pause):
            return self._drive(verb)

    async def on_this_loop(
        self, operation: str, verb: Verb[Result], pauses: bool = False, lifts_pause: bool = False
    ) -> Result:
        """Call a verb on the loop that is running."""
        with self._guarded(pauses), self._turn(operation, lifts_pause):
            return await self._on_a_loop(verb)

    def _drive(self, verb: Verb[Result]) -> Result:
        if self._driver.async_tasks or self._private is not None:
            return self._drive_privately(verb)
        return run_now(verb(ThreadHost(self._driver.mailbox, self._driver.clock)))

    def _drive_privately(self, verb: Verb[Result]) -> Result:
        from netrun.async_ import PrivateLoop

        private = self._private = self._private or PrivateLoop()
        self._driver.guard.cancel_run = private.cancel
        try:
            return private.run(lambda: self._on_a_loop(verb))
        finally:
            self._driver.guard.cancel_run = None
            if not self._stage.is_open:
                self._private = None
                private.close()

    async def _on_a_loop(self, verb: Verb[Result]) -> Result:
        from netrun.async_ import LoopHost

        return await verb(LoopHost(self._driver.clock))


# %% [markdown]
# ## In the background
#
# A thread of the net's own that drives it until it is stopped. It is a daemon: a script that forgets `stop()` ends all the
# same, and what was running is lost. What goes wrong in it is raised by the next `wait_until_blocked` or `stop`.
#
# When there is nothing to do, it is *idle*. Whoever injects something wakes it, and takes the mark away under the same lock
# under which it is set, so nobody who waits can take a net for blocked that has just been given work.


# %%
#|exporti
class Background(Hosting):
    """Runs the net in a thread of its own."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self._is_serving = False  # whether it runs until it is stopped
        self._kept: list[BaseException] = []  # what went wrong and was not raised yet

    @property
    def serves(self) -> bool:
        """Whether it runs in the background until it is stopped."""
        return self._is_serving

    def start_threaded(self) -> None:
        """Run in the background until stopped. Where that goes on already, but paused: lift the pause."""
        self._signalled = False
        with self.quick.up():
            with self._lock:
                if self._is_serving and self._engine.paused_by is not None and not self._stop_asked:
                    self.resume()
                    return
                self._claim("start", lifts_pause=True)
                self._is_serving = True
            self._in_background(lambda host: self._run(host, self._serve, closes=False))

    def _may_step(self) -> bool:
        """Whether a step may run anything: no pause holds it."""
        self.must_not_be_stopped("run_step")
        return self._engine.paused_by is None

    def step_threaded(self) -> bool:
        """One wave in the background. True if there is anything to run."""
        if not self._may_step():
            return False
        with self.quick.up():
            self._claim("run_step")
            there_is_work = self._engine.could_begin()
            self._in_background(self._step)
        return there_is_work

    def resume(self) -> None:
        """Lift a pause. Runs nothing by itself, unless the net runs in the background."""
        self.must_not_be_stopped("resume")
        with self.quick.up(), self._lock:
            if self._stop_asked:
                return
            self._engine.resume()
            self._driver.guard.strikes = 0  # the next signal pauses it again
            if self._is_serving:
                self.state, self.error = NetState.RUNNING, None
        self.wake()

    def raise_kept(self) -> None:
        """Raise what went wrong in the background since this was asked last."""
        with self._lock:
            errors, self._kept = self._kept, []
        raise_first(errors)

    def _in_background(self, verb: Verb[Any]) -> None:
        thread = Thread(target=copy_context().run, args=(self._drive_here, verb), name="netrun background", daemon=True)
        try:
            thread.start()
        except BaseException:
            self._is_serving = False
            self.state = NetState.PAUSED
            self._release()
            raise

    def _drive_here(self, verb: Verb[Any]) -> None:
        try:
            self._drive(verb)
        except BaseException as error:
            self._kept.append(error)
        finally:
            self._is_serving = False
            self._release()

    async def _serve(self, host: Host) -> int:
        """Run whenever there is something to run, until stopped."""
        while not self._stop_asked:
            try:
                await self._driver.run(host)
            except BaseException as error:
                if is_cancelled(error):
                    raise
                self._engine.pause("error")
                self._kept.append(error)
            self._kept += self._take_errors()
            await self._tell_rest(host, is_closed=False)
            if self._has_become_idle():
                await host.next(self._driver.first_look())
        return 0

    def _has_become_idle(self) -> bool:
        """Mark the net as idle, unless somebody has woken it meanwhile."""
        with self._lock:
            if self._driver.woken or self._stop_asked:
                return False
            self._idle = True
            self.state = NetState.RUNNING if self._engine.paused_by is None else NetState.PAUSED
            self._tell()
            return True

    def _who_drives(self) -> str:
        if not self._is_serving:
            return super()._who_drives()
        return "it does so in the background" + (": resume() it" if self._engine.paused_by is not None else "")


# %%
#|exporti
def _seconds(timeout: Any) -> float | None:
    """How long to wait: None for as long as it takes, or for longer than can be counted. Raises `ConfigError`."""
    if timeout is not None and timeout != inf:
        check_number("timeout", timeout, "a number of seconds, or None", lambda seconds: True)
    return None if timeout is None or timeout > TIMEOUT_MAX else timeout


# %%
#|exporti
class Control(Background):
    """The verbs of a net over its driver. See the top of this chapter."""

    STOP_WAIT = 30.0  # seconds that stop() waits for a run elsewhere

    def __repr__(self) -> str:
        return f"<Control {self.state.name}: {len(self._engine.running)} epochs running>"

    def start(self) -> None:
        """Run until nothing more can happen, or until paused. Raises `NodeExecutionFailed` when a node gave up, and
        `EpochLimitReached`."""
        self.drive("start", self._start, pauses=True, lifts_pause=True)

    async def async_start(self) -> None:
        """`start` on the caller's loop."""
        await self.on_this_loop("start", self._start, pauses=True, lifts_pause=True)

    def run_step(self) -> bool:
        """Run one wave. True if anything ran."""
        return self._may_step() and self.drive("run_step", self._step, pauses=True)

    async def async_run_step(self) -> bool:
        """`run_step` on the caller's loop."""
        return self._may_step() and await self.on_this_loop("run_step", self._step, pauses=True)

    def open(self) -> None:
        """Open a run that stays open."""
        self.drive("entering the net", self._open)

    async def async_open(self) -> None:
        """`open` on the caller's loop."""
        await self.on_this_loop("entering the net", self._open)

    def wait_until_blocked(self, timeout: float | None = None) -> bool:
        """Wait until nothing runs and nothing will by itself. Raises what went wrong in the background."""
        self._must_be_outside("wait_until_blocked")
        is_blocked = self._wait_for("wait_until_blocked", self._is_at_rest, _seconds(timeout))
        self.raise_kept()
        return is_blocked

    async def async_wait_until_blocked(self, timeout: float | None = None) -> bool:
        """`wait_until_blocked`, that lets the loop run."""
        self._must_be_outside("async_wait_until_blocked")
        is_blocked = await self._async_wait_for(self._is_at_rest, _seconds(timeout))
        self.raise_kept()
        return is_blocked

    def pause(self, wait: bool = False) -> None:
        """Let running epochs finish and start no others. With `wait`, return when they are done."""
        if self._ask_pause() and wait and not self._inside():
            self._wait_for("pause", self._is_at_rest)

    async def async_pause(self, wait: bool = False) -> None:
        """`pause`, that lets the loop run while it waits."""
        if self._ask_pause() and wait and not self._inside():
            await self._async_wait_for(self._is_at_rest)

    def _ask_pause(self) -> bool:
        """Ask for a pause. True if something may still be running."""
        self.must_not_be_stopped("pause")
        with self.quick.up(), self._lock:
            self._engine.pause("user")
            if self._is_at_rest():
                self.state = NetState.PAUSED
                return False
            self.wake()
            return True

    def stop(self) -> None:
        """Stop for good: running threads finish, async attempts are cancelled, stop functions are called. Raises what
        these raised, and what went wrong in the background."""
        ends = self._ask_stop()
        while ends and not self.is_stopped():
            if not self._wait_for("stop", self._is_free, self.STOP_WAIT):
                raise self._still_running()
            with self._guarded(pauses=False), self._turn_to_close() as is_ours:
                if is_ours:
                    self._drive(self._close)
        self.raise_kept()

    async def async_stop(self) -> None:
        """`stop`, that lets the loop run while it waits."""
        ends = self._ask_stop()
        while ends and not self.is_stopped():
            if not await self._async_wait_for(self._is_free, self.STOP_WAIT):
                raise self._still_running()
            with self._guarded(pauses=False), self._turn_to_close() as is_ours:
                if is_ours:
                    await self._on_a_loop(self._close)
        self.raise_kept()

    def _ask_stop(self) -> bool:
        """Ask for the end. True if the caller should wait for it and close the run."""
        with self.quick.up(), self._lock:
            if self.is_stopped():
                return False
            self._stop_asked = True
            self._engine.pause("user")
            if self._driving:
                self._driver.stopping = NetStateError("going on", "the net was stopped")
                self.wake()
            return not (self._driving and self._inside())

    def _still_running(self) -> NetStateError:
        running = ", ".join(str(attempt) for attempt in list(self._engine.running))
        return NetStateError("stop", f"still running after {self.STOP_WAIT:g} s: {running}")


# %% [markdown]
# ## What a net is doing now
#
# `poll()` looks, and changes nothing. What was injected is routed when the net runs next, and until then counts as waiting.
# The numbers are exact when nothing runs. While the net runs it does not stop to be counted, and an epoch may be missing
# that is just on its way from one number to the next.


# %%
#|export
@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What is going on at a node, or in a net as a whole, in numbers of epochs and of packets.

    running: epochs whose function is being called. startable: epochs that wait to be started. retrying: epochs that wait
    for their next attempt. waiting_packets: packets on the edges into the node and at its input ports.
    finished, failed, cancelled: epochs that have ended, since the net was made: well; given up; or by `cancel_epoch`, a
    stop or an interrupt.
    """

    running: int = 0
    startable: int = 0
    retrying: int = 0
    waiting_packets: int = 0
    finished: int = 0
    failed: int = 0
    cancelled: int = 0

    __repr__ = brief


@dataclass(frozen=True, slots=True)
class NetStatus(NodeStatus):
    """What a net is doing: the sums over its nodes, and

    state: CREATED, RUNNING, PAUSED or STOPPED. paused_by: "user", "error", "signal", "limit", or None.
    blocked: nothing runs, and nothing could start: there is nothing to start, or the net is paused or stopped.
    nodes: the status of each node, by name. pools: that of each pool.
    """

    state: NetState = NetState.CREATED
    paused_by: str | None = None
    blocked: bool = True
    nodes: dict[str, NodeStatus] = field(default_factory=dict)
    pools: dict[str, Any] = field(default_factory=dict)  # of name to `PoolStatus`

    __repr__ = brief


# %%
#|exporti
def node_statuses(engine: Engine, retries: Iterable[Retry], counts: Mapping[str, Counts]) -> dict[str, NodeStatus]:
    """The status of each node, of these retries and counts."""
    retrying = Counter(retry.attempt.task.node_name for retry in retries)
    return {
        name: NodeStatus(
            max(0, its.live - retrying[name]),
            its.startable,
            retrying[name],
            its.waiting_packets,
            its.finished,
            failed := engine.tasks[name].failed,
            its.cancelled - failed,
        )
        for name, its in counts.items()
    }


# %%
#|exporti
def status_of(control: Control) -> NetStatus:
    """What a net is doing now. From any thread."""
    engine = control._engine
    rises, was_at_rest = control._rises, control._is_at_rest()
    nodes = node_statuses(engine, engine.waiting_retries(), engine.ledger.counts())
    sums: dict[str, Any] = {name: sum(getattr(node, name) for node in nodes.values()) for name in NodeStatus.__slots__}
    with control._lock:
        state, paused_by = control.state, engine.paused_by
        has_rested = was_at_rest and control._is_at_rest() and rises == control._rises
    could_begin = not control.is_stopped() and paused_by is None and engine.could_begin()
    blocked = has_rested and not could_begin
    pools = {} if control._stage.pools is None else control._stage.pools.status()
    return NetStatus(**sums, state=state, paused_by=paused_by, blocked=blocked, nodes=nodes, pools=pools)


# %% [markdown]
# ## The verbs at work
#
# A net of one node that starts its neighbour's work from the inside, to show who may do what. `Net` (chapter 12) hands
# each of its verbs on to `Control`.

# %%
from threading import Thread

from netrun import *


def one_node_net(exec_node_func, **functions):
    has_any = SalvoConditionTerm.port("in", PortState.non_empty())
    condition = SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, has_any)
    net = Net(Graph([Node("A", in_ports={"in": Port()}, in_salvo_conditions={"in": condition})], []))
    net.set_node_exec("A", exec_node_func, **functions)
    return net


seen = []


def run_me_again(ctx, packets):
    ctx.consume_packet(packets["in"][0])
    for verb in (net.start, net.run_step):
        try:
            verb()
        except NetStateError as error:
            seen.append(str(error))
    net.pause(wait=True)  # from the inside it does not wait


net = one_node_net(run_me_again)
net.inject_packets("A", "in", [1, 2])
assert net.state is NetState.CREATED
net.start()
assert net.state is NetState.PAUSED and len(net.get_startable_epochs()) == 1
print(*seen, sep="\n")

# %% [markdown]
# A pause that somebody asked for holds `run_step` too; `start` and `resume` lift it.

# %%
assert net.run_step() is False
net.resume()
assert net.run_step() is True and net.get_startable_epochs() == []

# %% [markdown]
# Start and stop functions, once in each run. What they raise is never lost: the node's failure leaves, and what the stop
# function raised is in its cause.

# %%
calls = []


def consume(ctx, packets):
    calls.append(ctx.consume_packet(packets["in"][0]))


net = one_node_net(
    consume, start_node_func=lambda net: calls.append("start"), stop_node_func=lambda net: calls.append("stop")
)
net.inject_packets("A", "in", [1])
net.start()
net.inject_packets("A", "in", [2])
with net:
    net.start()  # inside the open run
    net.inject_packets("A", "in", [3])
    assert net.run_step() and net.state is NetState.RUNNING
assert calls == ["start", 1, "stop", "start", 2, 3, "stop"] and net.state is NetState.STOPPED


# %%
def fail(ctx, packets):
    raise ValueError("the node")


def fail_too(net):
    raise OSError("the stop function")


net = one_node_net(fail, stop_node_func=fail_too)
net.inject_packets("A", "in", [1])
try:
    net.start()
except NodeExecutionFailed as error:
    print(repr(error.original_exception), error.__cause__.exceptions)
    assert [type(cause) for cause in error.__cause__.exceptions] == [ValueError, OSError]
else:
    raise AssertionError("the failure was lost")

# %% [markdown]
# `stop` from another thread ends the run there. The node that is running finishes first. A stopped net is at its end:


# %%
def stop_from_outside(ctx, packets):
    ctx.consume_packet(packets["in"][0])
    stopper.start()
    while net.state is NetState.RUNNING and not net._control._stop_asked:
        pass


net = one_node_net(stop_from_outside)
stopper = Thread(target=net.stop)
net.inject_packets("A", "in", [1, 2])
net.start()
stopper.join()
assert net.state is NetState.STOPPED and len(net.get_startable_epochs()) == 1
for verb in (net.start, net.run_step, net.pause, net.resume, lambda: net.inject_packets("A", "in", [3])):
    try:
        verb()
    except NetStateError as error:
        print(error)
    else:
        raise AssertionError("a stopped net can do nothing")
net.stop()  # but stopping it twice is fine

# %% [markdown]
# ## In the background, at work
#
# `start(threaded=True)` returns at once. The net serves: it works off what is injected, and idles in between. `poll` says
# what it is doing.

# %%
squares = []


def square(ctx, packets):
    squares.append(ctx.consume_packet(packets["in"][0]) ** 2)


net = one_node_net(square)
net.start(threaded=True)
for numbers in ([1, 2], [3]):
    net.inject_packets("A", "in", numbers)
    assert net.wait_until_blocked(timeout=10)
    print(squares, net.poll(), sep="\n")
assert squares == [1, 4, 9] and net.state is NetState.RUNNING

# %% [markdown]
# Nobody else may drive it meanwhile; what only asks or looks may come from anywhere. While it is paused, what is injected
# waits.

# %%
for verb in (net.start, net.run_step):
    try:
        verb()
    except NetStateError as error:
        print(error)
    else:
        raise AssertionError("two would drive it")
net.pause()
net.inject_packets("A", "in", [4])
assert net.poll().blocked and net.poll().paused_by == "user"
net.resume()
assert net.wait_until_blocked(timeout=10) and squares[-1] == 16
net.stop()

# %% [markdown]
# What fails in the background is raised by who asks next, once. The net is paused; `resume` goes on.

# %%
net = one_node_net(fail)
net.inject_packets("A", "in", [1])
net.start(threaded=True)
try:
    net.wait_until_blocked(timeout=10)
except NodeExecutionFailed as error:
    print(error)
else:
    raise AssertionError("it was lost")
assert net.poll().paused_by == "error" and net.poll().failed == 1
net.stop()

# %% [markdown]
# A start function that raises ends the run before anything was called; the packets stay where they are:

# %%
net = one_node_net(square, start_node_func=fail_too)
net.inject_packets("A", "in", [1])
net.start(threaded=True)
try:
    net.wait_until_blocked(timeout=10)
except OSError as error:
    print(repr(error), error.__notes__)
else:
    raise AssertionError("it was lost")
assert net.state is NetState.PAUSED and net.poll().waiting_packets == 1

# %% [markdown]
# `stop` waits for a thread that runs, but not for ever. It says what it waits for, and may be called again:

# %%
from threading import Event

release = Event()
net = one_node_net(lambda ctx, packets: (release.wait(), consume(ctx, packets)))
net.inject_packets("A", "in", [1])
net.start(threaded=True)
while not net.poll().running:
    pass
net._control.STOP_WAIT = 0.01  # seconds, in place of 30
try:
    net.stop()
except NetStateError as error:
    print(error)
else:
    raise AssertionError("it runs still")
release.set()
net._control.STOP_WAIT = 30
net.stop()
assert net.state is NetState.STOPPED and net.poll().finished == 1

# %% [markdown]
# A node function may look, pause and stop. What would wait for the node itself is refused:


# %%
def wait_for_myself(ctx, packets):
    ctx.consume_packet(packets["in"][0])
    try:
        net.wait_until_blocked()
    except NetStateError as error:
        print(error)


net = one_node_net(wait_for_myself)
net.inject_packets("A", "in", [1])
net.start()

# %% [markdown]
# ## A net that would run for ever
#
# `max_epochs` pauses it. Each `start` counts anew, and nothing is lost.

# %%
has_any = SalvoConditionTerm.port("in", PortState.non_empty())
sent = SalvoConditionTerm.port("out", PortState.non_empty())
again = Node(
    "Again",
    in_ports={"in": Port()},
    out_ports={"out": Port()},
    in_salvo_conditions={"in": SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, has_any)},
    out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", sent)},
)
to_itself = Edge(PortRef("Again", PortType.Output, "out"), PortRef("Again", PortType.Input, "in"))
net = Net(Graph([again], [to_itself]), max_epochs=5)
net.set_node_exec("Again", lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["in"][0]) + 1))
net.inject_packets("Again", "in", [0])
try:
    net.start()
except EpochLimitReached as error:
    print(error)
else:
    raise AssertionError("it is still running")
epoch = net.get_epoch(net.get_startable_epochs()[0])
assert net.value_store.get_value(epoch.in_salvo.packets[0][1].id) == 5 and net.poll().paused_by == "limit"
