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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum, auto
from threading import Condition

from netrun.core import NetStateError, NodeExecutionFailed
from netrun.driver import Driver, raise_first


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


class Turns:
    """Who drives the net, and what state it is in."""

    def __init__(self, driver: Driver) -> None:
        self._driver, self._engine, self._stage = driver, driver.engine, driver.stage
        self.state = NetState.CREATED
        self.error: NodeExecutionFailed | None = None  # what paused the net
        self._driving = False
        self._stop_asked = False
        self._changed = Condition()

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
    """The verbs that drive the net."""

    def start(self) -> None:
        """Run until nothing more can happen, or until paused. Raises `NodeExecutionFailed` when a node gave up."""
        with self._turn("start", lifts_pause=True):
            self._run(self._driver.run, closes=not self._stage.is_open)

    def run_step(self) -> bool:
        """Run one wave. True if anything ran."""
        self.must_not_be_stopped("run_step")
        if self._engine.paused_by is not None:
            return False
        with self._turn("run_step"):
            begun = self._run(self._wave, closes=False)
            if self._engine.paused_by is None and not self.is_stopped():
                self.state = NetState.RUNNING
        return begun > 0

    def _wave(self) -> int:
        """What is startable now, after the start functions."""
        self._engine.begin_wave()
        try:
            return self._driver.run()
        finally:
            self._engine.end_wave()

    def open(self) -> None:
        """Open a run that stays open."""
        with self._turn("entering the net"):
            self._run(lambda: 0, closes=False)
            self.state = NetState.RUNNING

    def _run(self, work: Callable[[], int], closes: bool, opens: bool = True) -> int:
        """Do some work in an open run; close it afterwards if need be. Raises the first of what went wrong, with the
        others in its cause."""
        errors: list[BaseException] = []
        done = 0
        self.error = None if opens else self.error
        token = _inside_of.set((*_inside_of.get(), self))
        try:
            if opens and not self._stage.is_open:
                self._stage.open()
            done = work()
        except BaseException as error:
            errors.append(error)
        failure = self._engine.take_failures()
        if failure is not None:
            self.error = failure
            errors += [failure] if self._engine.on_error == "raise" else []
        closed = closes or self._stop_asked
        if closed:
            errors += self._stage.close()
        self.state = NetState.STOPPED if self._stop_asked and closed else NetState.PAUSED
        _inside_of.reset(token)
        raise_first(errors)
        return done


# %%
#|export
class Control(Runs):
    """The verbs of a net over its driver. See the top of this chapter."""

    STOP_WAIT = 30.0  # seconds that stop() waits for a run in another thread

    def pause(self, wait: bool = False) -> None:
        """Let running epochs finish and start no others. With `wait`, return when they are done."""
        self.must_not_be_stopped("pause")
        self._engine.pause("user")
        self.wake()
        with self._changed:
            if not self._driving:
                self.state = NetState.PAUSED
            elif wait and not self._inside():
                self._changed.wait_for(lambda: not self._driving)

    def resume(self) -> None:
        """Lift a pause. Runs nothing by itself."""
        self.must_not_be_stopped("resume")
        with self._changed:
            if not self._stop_asked:
                self._engine.resume()

    def stop(self) -> None:
        """Stop for good: running epochs finish, stop functions are called. Raises what these raised."""
        with self._changed:
            if self.is_stopped():
                return
            self._stop_asked = True
            self._engine.pause("user")
            self.wake()
            if self._driving and self._inside():
                return
            if not self._changed.wait_for(lambda: not self._driving, self.STOP_WAIT):
                running = ", ".join(str(attempt) for attempt in self._engine.running)
                raise NetStateError("stop", f"still running after {self.STOP_WAIT:g} s: {running}")
            if self.is_stopped():  # by the run that has ended, or by another thread
                return
            self._claim("stop")
        try:
            self._run(lambda: 0, closes=True, opens=False)
        finally:
            self._release()


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
