# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Signals
#
# What Ctrl-C (SIGINT) and a supervisor's SIGTERM do to a net that runs in the main thread:
#
# | signal | what happens |
# |---|---|
# | the first | the net pauses: running epochs finish, no others start, a line on stderr says how to force it |
# | the second | what can be cancelled is cancelled, and `KeyboardInterrupt` (SIGTERM: `SystemExit(143)`) leaves `start` |
# | the third | is Python's own, wherever it strikes |
#
# A handler that was there before is asked too, each time, and put back at the end. (asyncio's and Jupyter's own stand for
# Python's: they are asked from the second signal on.) A signal that is ignored stays ignored.
#
# **Nothing is torn.** Python calls a handler between any two steps of the main thread, so also half-way through an act of
# the Ledger, and an exception raised there would tear the books. So a handler is called, or an exception raised, only
# where a user's code runs or netrun waits; in netrun's own code it waits for the next such moment.
#
# ```
#   signal ──> Signals ── 1st ──> every net that runs here: pause
#                 │
#                 └─ 2nd, or somebody else's handler ──> where does it strike?
#                         ├─ a user's code, or waiting ──> there and then
#                         ├─ a run's own loop ───────────> the run is cancelled
#                         └─ netrun's own code ──────────> pending: at the next act of the node function, the next step
#                                                          of the driver, or the end; tried again each millisecond
# ```

# %%
#|default_exp signals

# %%
#|export
import os
import signal
import sys
from collections.abc import Callable, Mapping
from _signal import getsignal as _handler_of  # type: ignore[import-not-found]
from _signal import signal as _handle  # the module `signal` looks each handler up in an enum, which takes long
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import Context, copy_context
from threading import Lock, Timer, current_thread, main_thread
from types import CodeType, FrameType
from typing import Any

# %% [markdown]
# ## Where a signal strikes
#
# The chapters after this one write down which of their functions wait, call a user's code, or are a loop.

# %%
#|exporti
WAITING: set[CodeType] = set()  # in these, an exception may be raised anywhere
HANDING_OVER: set[CodeType] = set()  # whatever these call is a user's code
CALLS: set[CodeType] = set()  # those that call a sync node function
LOOPS: set[CodeType] = set()  # what these call is a loop

_AS_A_USER = ("netrun.functions", "netrun.factories")  # node functions are in these, such as a user might write
_IN_A_LOOP = "in a loop"


def _is_ours(frame: FrameType) -> bool | str:
    """Whether netrun's own code runs, or what it has called, and does not just wait for something; or whether an exception
    would be ignored here, as Python does with those of finalizers."""
    if frame.f_code in WAITING:
        return False
    is_top, caller = True, frame
    while caller is not None:
        if caller.f_code.co_name == "__del__" or caller.f_globals.get("__name__") == "_weakrefset":
            return True
        module = caller.f_globals.get("__name__", "")
        if module.startswith("netrun.") and module not in _AS_A_USER:
            if caller.f_code in LOOPS:
                return _IN_A_LOOP
            return is_top or caller.f_code not in HANDING_OVER
        is_top, caller = False, caller.f_back  # type: ignore[assignment]
    return False


def _is_in_a_call(frame: FrameType | None) -> bool:
    """Whether this is below a call of a node function."""
    while frame is not None and frame.f_code not in CALLS:
        frame = frame.f_back
    return frame is not None


# %% [markdown]
# ## Guards
#
# Each net has a guard, which it is under while a verb drives it, and one for verbs that are quick: these may be called in
# the main thread while another one drives. In another thread than the main one a guard does nothing.


# %%
#|export
class Guard:
    """Protects what one net does from signals.

    running: its running attempts.
    ask_pause: what the first signal calls.
    strikes: how many signals have come since it went up, or since the pause that they brought was lifted.
    pending: a signal that struck netrun's own code, and is to be let through at the next good moment.
    cancel_run: cancels what runs on the run's own loop, where there is one.
    """

    def __init__(self, running: Mapping[Any, Any], ask_pause: Callable[[], object] = lambda: None) -> None:
        self.running, self.ask_pause = running, ask_pause
        self.strikes = self.depth = 0  # depth: how often it is up
        self.pending: int | None = None
        self.cancel_run: Callable[[BaseException], None] | None = None
        self.context = Context()  # of the caller: in Jupyter it says under which cell a line is printed

    def up(self, pauses: bool = False) -> AbstractContextManager[None]:
        """Be protected. `pauses`: the first signal only pauses the net, see the table above."""
        if current_thread() is not main_thread():
            return _NOTHING
        if pauses:
            self.context = copy_context()
        return _Up(self, pauses)

    def rise(self) -> bool:
        """Be up until `fall`: what `up` does without pausing, for verbs that take less time than a context manager. False
        in another thread than the main one, where there is nothing to protect from."""
        if current_thread() is not main_thread():
            return False
        SIGNALS.enter(self, False)
        return True

    def fall(self) -> None:
        """Be up no more."""
        SIGNALS.leave(self)

    def let_through(self) -> None:
        """Let the pending one strike here."""
        number = SIGNALS.take(self)
        if number is not None:
            SIGNALS.deliver(number)


_NOTHING = nullcontext()


class _Up:
    """A guard is up meanwhile. (A class, since `contextmanager` takes longer than many a verb that is guarded.)"""

    __slots__ = ("_guard", "_pauses")

    def __init__(self, guard: Guard, pauses: bool) -> None:
        self._guard, self._pauses = guard, pauses

    def __enter__(self) -> None:
        SIGNALS.enter(self._guard, self._pauses)

    def __exit__(self, *error: object) -> None:
        SIGNALS.leave(self._guard)


# %% [markdown]
# ## The handler
#
# There is one for all nets, since they may run inside one another, or beside one another on one loop, and end in any order.


# %%
#|exporti
def _is_pythons_own(handler: Any) -> bool:
    """Whether this is what Python does by itself, or the loop or the notebook that the net runs in, in its place."""
    if handler in (signal.default_int_handler, signal.SIG_DFL):
        return True
    return _is_of_the_loop(handler)


def _is_of_the_loop(handler: Any) -> bool:
    """Whether a handler is asyncio's or Jupyter's: it cancels the task that the net runs in, and so raises by itself."""
    module = getattr(getattr(handler, "func", handler), "__module__", None) or ""
    return module.partition(".")[0] in ("asyncio", "ipykernel")


def _error_of(number: int) -> BaseException:
    """What the second signal raises."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


def _call(handler: Any, number: int, frame: FrameType | None, raises: bool) -> None:
    """Do what a handler does; and raise, even if it does not."""
    if callable(handler):
        handler(number, frame)
    elif not raises:  # the system's own: the process ends
        signal.signal(number, handler)
        os.kill(os.getpid(), number)
    if raises and not _is_of_the_loop(handler):
        raise _error_of(number)


_HANDLED = _SIGINT, _SIGTERM = int(signal.SIGINT), int(signal.SIGTERM)
_NOT_OURS = (int(signal.SIG_IGN), None)  # what is ignored, or handled by something that is not Python


class Signals:
    """The handler of SIGINT and SIGTERM while any net runs in the main thread."""

    def __init__(self) -> None:
        self._guards: list[tuple[Guard, bool]] = []  # innermost last, each with whether it pauses
        self._before: dict[int, Any] = {}  # the handlers that were there
        self._again: int | None = None  # one that was pending is tried once more
        self._early: int | None = None  # one that came while a guard was being put up, or taken down
        self._handler = self._strike
        self._taking = Lock()  # so that one that is delivered is not tried once more at the same moment

    def enter(self, guard: Guard, pauses: bool) -> None:
        """A net begins to run in the main thread."""
        try:
            for number in _HANDLED:
                there = _handler_of(number)
                may_raise = pauses or there.__class__ is not int  # by default, SIGTERM ends the process at once
                if may_raise and there is not self._handler and there not in _NOT_OURS:
                    self._before[number] = there
                    _handle(number, self._handler)  # from here on nothing is raised in our own code
        except BaseException:  # the second of them, when the first was ours already
            if not self._guards:
                self._put_back()
            raise
        if guard.depth == 0:
            guard.strikes = 0
        guard.depth += 1
        self._guards.append((guard, pauses))
        if self._early is not None:
            self._strike(self._early, sys._getframe())

    def leave(self, guard: Guard) -> None:
        """It has ended. What is pending then strikes now, or the net around this one."""
        guards, index = self._guards, -1
        while guards[index][0] is not guard:  # nets beside one another on a loop end in any order
            index -= 1
        _, pauses = guards.pop(index)
        guard.depth -= 1
        pending = None if guard.pending is None else self.take(guard)
        if guards:
            if pending is not None:
                self._later(guards[-1][0], pending, sys._getframe())
            return
        before = self._put_back()
        pending, self._early = (pending if pending is not None else self._early), None
        if pending is not None and pending in before:
            _call(before[pending], pending, None, raises=pauses and guard.strikes > 1)

    def _put_back(self) -> dict[int, Any]:
        """Put the handlers back that were there before, except where somebody has set another one. Returns them."""
        before, self._before = self._before, {}
        has_sigterm = _SIGTERM in before and _handler_of(_SIGTERM) is self._handler
        has_sigint = _SIGINT in before and _handler_of(_SIGINT) is self._handler
        try:
            if has_sigterm:
                _handle(_SIGTERM, before[_SIGTERM])  # may raise as soon as it is back
        finally:
            if has_sigint:
                try:
                    _handle(_SIGINT, before[_SIGINT])
                except BaseException:  # a SIGTERM, since this lets signals strike before it does anything
                    _handle(_SIGINT, before[_SIGINT])
                    raise
        return before

    def take(self, guard: Guard) -> int | None:
        """The one that is pending, which is not any more."""
        with self._taking:
            pending, guard.pending = guard.pending, None
        return pending

    def deliver(self, number: int, frame: FrameType | None = None) -> None:
        """Call the handler that was there before, and raise if it is time for that."""
        _call(self._before.get(number, signal.SIG_DFL), number, frame, self._raises())

    def _raises(self) -> bool:
        """Whether a signal raises now, whatever the handler before does."""
        return self._strikes() > 1

    def _strikes(self) -> int:
        """How many signals came to the net that has had most of those that are paused by them."""
        most = 0
        for guard, pauses in self._guards:
            if pauses and guard.strikes > most:
                most = guard.strikes
        return most

    def _strike(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        if again := self._again == number:
            self._again = None
        if not self._guards:
            self._early = number
            return
        self._early = None
        if not again:
            pausing = {guard for guard, pauses in self._guards if pauses}
            for guard in pausing:
                guard.strikes += 1
            if self._strikes() == 1:
                for guard in pausing:
                    guard.ask_pause()
                running = sum(len(guard.running) for guard in pausing)
                next(iter(pausing)).context.copy().run(_say, number, running)
                if _is_pythons_own(self._before.get(number)):
                    return
            elif self._strikes() > 2:
                before = self._before.get(number, signal.SIG_DFL)
                _call(before, number, frame, raises=callable(before))
                return
        self._reach(self._guards[-1][0], number, frame, again)

    def _reach(self, guard: Guard, number: int, frame: FrameType | None, again: bool) -> None:
        """Deliver a signal here, if this is a good place, or else later."""
        is_ours = frame is not None and _is_ours(frame)
        if not is_ours:
            self.take(guard)
            self.deliver(number, frame)
        elif is_ours is _IN_A_LOOP and guard.cancel_run is not None:
            self.take(guard)
            try:
                self.deliver(number, frame)
            except BaseException as error:  # raised here, it would tear the loop
                guard.cancel_run(error)
        elif again or guard.pending != number:
            self._later(guard, number, frame)

    def _later(self, guard: Guard, number: int, frame: FrameType | None) -> None:
        """Let a signal strike at the next good moment."""
        guard.pending = number
        if self._surely_raises(number) and _is_in_a_call(frame):
            for attempt in list(guard.running):
                if attempt.is_inline():
                    attempt.over = _error_of(number)  # what its next act will raise
        again_soon = Timer(0.001, self._strike_again, [guard, number])
        again_soon.daemon = True
        again_soon.start()

    def _surely_raises(self, number: int) -> bool:
        before = self._before.get(number)
        return before is signal.default_int_handler or (self._raises() and not _is_of_the_loop(before))

    def _strike_again(self, guard: Guard, number: int) -> None:
        """A function that runs for long may be in an act of its own just now: try once more."""
        with self._taking:
            if guard.pending == number:
                self._again = number
                if hasattr(signal, "pthread_kill"):
                    signal.pthread_kill(main_thread().ident or 0, number)  # it may sleep: that is to end
                else:
                    signal.raise_signal(number)


SIGNALS = Signals()

# %% [markdown]
# The line on stderr. What is interrupted may itself be writing there, so where Python refuses, the system is asked.


# %%
#|exporti
def _say(number: int, running: int) -> None:
    """Say that the net pauses, and how to force it."""
    name = signal.Signals(number).name
    how = "press Ctrl-C" if number == signal.SIGINT else f"send {name}"
    epochs = "1 running epoch finishes" if running == 1 else f"{running} running epochs finish"
    line = f"netrun: {name}, so the net pauses: {epochs}, no others start. To cancel what runs, {how} again.\n"
    with suppress(OSError):
        try:
            if sys.stderr is not None:
                sys.stderr.write(line)
                sys.stderr.flush()
        except (RuntimeError, ValueError):
            os.write(2, line.encode())


# %% [markdown]
# ## Signals at work
#
# A node that gets a Ctrl-C while it works. It finishes, the other epochs stay, and `start` returns as after a pause.

# %%
from netrun import *

nonempty = SalvoConditionTerm.port("in", PortState.non_empty())
condition = SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, nonempty)
graph = Graph([Node("Work", in_ports={"in": Port()}, in_salvo_conditions={"in": condition})], [])
done = []


def press(ctx, packets):
    signal.raise_signal(signal.SIGINT)
    done.append(ctx.consume_packet(packets["in"][0]))


def fresh_net(exec_node_func, **options):
    net = Net(graph, **options)
    net.set_node_exec("Work", exec_node_func)
    net.set_node_config("Work", defer_net_actions=True)
    net.inject_packets("Work", "in", [1, 2])
    return net


before = signal.getsignal(signal.SIGINT)
net = fresh_net(press)
net.start()
assert done == [1] and len(net.get_startable_epochs()) == 1
assert net.state is NetState.PAUSED and net.poll().paused_by == "signal"
assert signal.getsignal(signal.SIGINT) is before

# %% [markdown]
# The second raises. The epoch had not acted yet, so it is startable again:


# %%
def press_twice(ctx, packets):
    for _ in range(2):
        signal.raise_signal(signal.SIGINT)
    raise AssertionError("the second goes through")


for press_number, exception in [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]:
    net = fresh_net(lambda ctx, packets, number=press_number: [signal.raise_signal(number) for _ in range(2)])
    try:
        net.start()
    except exception as error:
        print(repr(error))
    else:
        raise AssertionError("it was lost")
    assert len(net.get_startable_epochs()) == 2 and net.state is NetState.PAUSED

# %% [markdown]
# The third is Python's own: it raises at once, even where an async function does not let itself be cancelled. (In a process
# of its own, since a loop is running in this one.)

# %%
import subprocess
import sys

SCRIPT = """
import asyncio, os, signal
from netrun import *

nonempty = SalvoConditionTerm.port("in", PortState.non_empty())
condition = SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, nonempty)
net = Net(Graph([Node("Work", in_ports={"in": Port()}, in_salvo_conditions={"in": condition})], []))
net.set_node_config("Work", echo_stdout=True)
net.inject_packets("Work", "in", [1])
"""
STUBBORN = """
import threading, time

def press():
    for _ in range(3):
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

async def stubborn(ctx, packets):
    threading.Thread(target=press).start()
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            print("not now", flush=True)

net.set_node_exec("Work", stubborn)
net.start()
"""
ended = subprocess.run([sys.executable, "-c", SCRIPT + STUBBORN], capture_output=True, text=True, timeout=60)
print(ended.stdout, ended.stderr.splitlines()[0], "...", ended.stderr.splitlines()[-1], sep="\n")
assert "not now" in ended.stdout and "KeyboardInterrupt" in ended.stderr.splitlines()[-1]

# %% [markdown]
# A handler of your own is asked each time, before netrun raises, and is there again at the end. If it raises an exception
# of its own while a node function runs, that fails the epoch as any other exception would.

# %%
asked = []


def own_handler(number, frame):
    asked.append(number)


signal.signal(signal.SIGINT, own_handler)
net = fresh_net(press)
net.start()
assert asked == [signal.SIGINT] and net.poll().paused_by == "signal"
assert signal.signal(signal.SIGINT, before) is own_handler

# %% [markdown]
# A net in the background is not paused by a signal: no `start` runs in the main thread, so Ctrl-C and SIGTERM do what they
# always do. Where SIGTERM raises, `with net:` stops the net on the way out, and what runs finishes:

# %%
BACKGROUND = """
import threading

def work(ctx, packets):
    os.kill(os.getpid(), signal.SIGTERM)
    print("finished", ctx.consume_packet(packets["in"][0]), flush=True)

def end(number, frame):
    raise SystemExit(128 + number)

signal.signal(signal.SIGTERM, end)
net.set_node_exec("Work", work)
with net:
    net.start(threaded=True)
    threading.Event().wait()
"""
ended = subprocess.run([sys.executable, "-c", SCRIPT + BACKGROUND], capture_output=True, text=True, timeout=60)
assert (ended.stdout, ended.returncode) == ("finished 1\n", 128 + signal.SIGTERM), ended

# %% [markdown]
# `handle_signals=False` leaves both to Python: the first Ctrl-C raises, at a moment when nothing is torn.

# %%
net = fresh_net(press, handle_signals=False)
try:
    net.start()
except KeyboardInterrupt:
    assert len(net.get_startable_epochs()) == 2
else:
    raise AssertionError("it was lost")
