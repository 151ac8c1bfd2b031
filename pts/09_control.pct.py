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
#      │                                 └──────────── start, run_step ─────────────┤
#      └─────────────── stop ──────────> STOPPED, for good <──── stop ──────────────┘
# ```
#
# A **run** has the start functions at its opening and the stop functions at its close. `start()` opens one and closes it
# when it returns. `with net:` and `run_step()` open one that stays open until `stop()` or the end of the block.

# %%
#|default_exp control

# %%
#|export
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum, auto
from threading import Condition, Lock
from typing import Any, TypeVar

from netrun.core import NetStateError, NodeExecutionFailed
from netrun.driver import Driver, Host, ThreadHost, finish, raise_first, run_now


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
        self._stop_asked = False
        self._changed = Condition()
        self._watchers: list[Callable[[], object]] = []  # told once when nobody drives the net any more

    @contextmanager
    def _turn(self, operation: str, lifts_pause: bool = False) -> Iterator[None]:
        """Be the one that drives the net."""
        with self._changed:
            self._claim(operation)
            if lifts_pause and not self._stop_asked:
                self._engine.resume()
        try:
            yield
        finally:
            self._release()

    def _claim(self, operation: str) -> None:
        with self._changed:
            self.must_be_free(operation)
            self._driving, self.state = True, NetState.RUNNING

    def _release(self) -> None:
        with self._changed:
            self._driving = False
            self._changed.notify_all()
            watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()

    def must_not_block(self, operation: str) -> None:
        """Raise `NetStateError` where waiting for the run would keep it from going on: on the very loop that it is on."""
        loop = getattr(self._driver.host, "loop", None) if self._driving else None
        if loop is not None and _running_loop() is loop:
            raise NetStateError(operation, f"the loop of this thread runs the net; await async_{operation}")

    async def until_free(self, timeout: float | None = None) -> bool:
        """Wait on a loop until nobody drives the net. False when the time is over before."""
        import asyncio

        loop = asyncio.get_running_loop()
        free = loop.create_future()
        with self._changed:
            if not self._driving:
                return True
            self._watchers.append(lambda: loop.call_soon_threadsafe(finish, free))
        done, _ = await asyncio.wait([free], timeout=timeout)
        return bool(done)

    def wake(self) -> None:
        """Let who drives the net look again: something has changed."""
        if self._driving:
            self._driver.wake()

    def _inside(self) -> bool:
        """Whether the caller is a function of the running net itself."""
        return self in _inside_of.get()

    def is_stopped(self) -> bool:
        """Whether the net is stopped for good."""
        return self.state is NetState.STOPPED

    def must_be_free(self, operation: str) -> None:
        """Raise `NetStateError` unless the net could be driven now."""
        with self._changed:
            self.must_not_be_stopped(operation)
            if self._driving:
                where = "this is one of its own functions" if self._inside() else "another thread runs it"
                raise NetStateError(operation, f"the net is running, and {where}")

    def must_not_be_stopped(self, operation: str) -> None:
        """Raise `NetStateError` on a stopped net."""
        if self.is_stopped():
            raise NetStateError(operation, "the net is stopped for good; build a new one")


# %% [markdown]
# ## The verbs


# %%
#|exporti
class Runs(Turns):
    """The verbs that drive the net, on any host."""

    async def start(self, host: Host) -> None:
        """Run until nothing more can happen, or until paused. Raises `NodeExecutionFailed` when a node gave up."""
        with self._turn("start", lifts_pause=True):
            await self._run(host, self._driver.run, closes=not self._stage.is_open)

    async def run_step(self, host: Host) -> bool:
        """Run one wave. True if anything ran."""
        self.must_not_be_stopped("run_step")
        if self._engine.paused_by is not None:
            return False
        with self._turn("run_step"):
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

    async def open(self, host: Host) -> None:
        """Open a run that stays open."""
        with self._turn("entering the net"):
            await self._run(host, _no_work, closes=False)
            self.state = NetState.RUNNING

    async def _close(self, host: Host) -> None:
        """Stop a net that nobody drives."""
        with self._changed:
            if self.is_stopped():  # by the run that has ended, or by another thread
                return
            self._claim("stop")
        try:
            await self._run(host, _no_work, closes=True, opens=False)
        finally:
            self._release()

    async def _run(
        self, host: Host, work: Callable[[Host], Coroutine[Any, Any, int]], closes: bool, opens: bool = True
    ) -> int:
        """Do some work in an open run; close it afterwards if need be. Raises the first of what went wrong, with the
        others in its cause."""
        errors: list[BaseException] = []
        done = 0
        self.error = None if opens else self.error
        token = _inside_of.set((*_inside_of.get(), self))
        try:
            if opens and not self._stage.is_open:
                await self._stage.open(host)
            done = await work(host)
        except BaseException as error:
            errors.append(error)
        failure = self._engine.take_failures()
        if failure is not None:
            self.error = failure
            errors += [failure] if self._engine.on_error == "raise" else []
        closed = closes or self._stop_asked
        if closed:
            errors += await self._stage.close(host)
        self.state = NetState.STOPPED if self._stop_asked and closed else NetState.PAUSED
        if self.state is NetState.STOPPED:
            self._engine.give_back_waiting()
        _inside_of.reset(token)
        raise_first(errors)
        return done


async def _no_work(host: Host) -> int:
    return 0


# %% [markdown]
# A verb is called on a host: synchronously where a thread waits for it, on a loop of the run's own if any of the net's
# functions is async; or on the caller's loop.


# %%
#|exporti
Result = TypeVar("Result")
Verb = Callable[[Host], Coroutine[Any, Any, Result]]


class Hosting(Runs):
    """On which host a verb is called."""

    _private: Any = None  # the loop of a run with async functions that is driven synchronously

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self._in_use = Lock()  # of the private loop

    def drive(self, verb: Verb[Result]) -> Result:
        """Call a verb from a thread that waits for it."""
        with self._driver.interrupts:
            needs_loop = self._driver.async_tasks or self._private is not None
            if needs_loop and self._in_use.acquire(blocking=False):
                try:
                    return self._drive_privately(verb)
                finally:
                    self._in_use.release()
            # no loop is needed, or somebody drives the net on it, and the verb will say so
            return run_now(verb(ThreadHost(self._driver.mailbox, self._driver.clock)))

    def _drive_privately(self, verb: Verb[Result]) -> Result:
        from netrun.async_ import PrivateLoop

        private = self._private = self._private or PrivateLoop()
        self._driver.interrupts.cancel_run = private.cancel
        try:
            return private.run(lambda: self.on_this_loop(verb))
        finally:
            self._driver.interrupts.cancel_run = None
            if not self._stage.is_open:
                self._private = None
                private.close()

    async def on_this_loop(self, verb: Verb[Result]) -> Result:
        """Call a verb on the loop that is running."""
        from netrun.async_ import LoopHost

        return await verb(LoopHost(self._driver.clock))


# %%
#|export
class Control(Hosting):
    """The verbs of a net over its driver. See the top of this chapter."""

    STOP_WAIT = 30.0  # seconds that stop() waits for a run elsewhere

    def pause(self, wait: bool = False) -> None:
        """Let running epochs finish and start no others. With `wait`, return when they are done."""
        if self._ask_pause() and wait and not self._inside():
            self.must_not_block("pause")
            with self._changed:
                self._changed.wait_for(lambda: not self._driving)

    async def async_pause(self, wait: bool = False) -> None:
        """`pause`, that lets the loop run while it waits."""
        if self._ask_pause() and wait and not self._inside():
            await self.until_free()

    def _ask_pause(self) -> bool:
        """Ask for a pause. True if somebody drives the net."""
        self.must_not_be_stopped("pause")
        self._engine.pause("user")
        self.wake()
        with self._changed:
            if not self._driving:
                self.state = NetState.PAUSED
            return self._driving

    def resume(self) -> None:
        """Lift a pause. Runs nothing by itself."""
        self.must_not_be_stopped("resume")
        with self._changed:
            if not self._stop_asked:
                self._engine.resume()

    def stop(self) -> None:
        """Stop for good: running threads finish, async attempts are cancelled, stop functions are called. Raises what
        these raised."""
        if self._ask_stop():
            self.must_not_block("stop")
            with self._changed:
                if not self._changed.wait_for(lambda: not self._driving, self.STOP_WAIT):
                    raise self._still_running()
            self.drive(self._close)

    async def async_stop(self) -> None:
        """`stop`, that lets the loop run while it waits."""
        if self._ask_stop():
            if not await self.until_free(self.STOP_WAIT):
                raise self._still_running()
            await self.on_this_loop(self._close)

    def _ask_stop(self) -> bool:
        """Ask for the end. True if the caller should wait for it and close the run."""
        with self._changed:
            if self.is_stopped():
                return False
            self._stop_asked = True
            self._engine.pause("user")
            if self._driving:
                self._driver.stopping = NetStateError("going on", "the net was stopped")
                self.wake()
            return not (self._driving and self._inside())

    def _still_running(self) -> NetStateError:
        running = ", ".join(str(attempt) for attempt in self._engine.running)
        return NetStateError("stop", f"still running after {self.STOP_WAIT:g} s: {running}")


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
