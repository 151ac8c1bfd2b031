"""Real signals while a net runs: it pauses, then stops; nothing is torn or lost, and the old handlers come back."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any

import pytest

from netrun import Net, NetState
from netrun.signals import SIGNALS, Guard
from tests.nets import build, chain, environment, eventually, python

AT_RANDOM = """
import asyncio, os, random, signal, threading, time
from netrun import Net
from tests.nets import chain

def pass_on(ctx, packets):
    for packet in packets["in"]:
        ctx.send("out", ctx.consume_packet(packet))

async def pass_on_later(ctx, packets):
    for packet in packets["in"]:
        value = await ctx.consume_packet(packet)
        await asyncio.sleep(0)
        await ctx.send("out", value)

def run_sync(net):
    net.start()

def run_below(net):  # where a loop is running, in the same thread
    async def main():
        net.start()
    loop = asyncio.new_event_loop()  # asyncio.run would take SIGINT for itself
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()

def run_async(net):
    asyncio.run(net.async_start())

def strike(presses):
    for _ in range(presses):
        time.sleep(random.random() * 0.04)
        os.kill(os.getpid(), signal.SIGINT)

random.seed({seed})
before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
ended = dict(paused=0, raised=0)
for turn in range({rounds}):
    handles = turn % 4 > 0
    net = Net(chain("A", "B"), handle_signals=handles)
    for name in "AB":
        net.set_node_exec(name, {function})
        net.set_node_config(name, defer_net_actions=True)
    if {function} is pass_on:
        for number in range(800):
            net.inject_packets("A", "in", [number])
            net.run_step(start_epochs=False)
    else:
        net.inject_packets("A", "in", range(800))
    striker = threading.Thread(target=strike, args=[1 if turn % 3 or not handles else 2])
    try:
        striker.start()
        {run}(net)
        paused = net.poll().paused_by == "signal"
        ended["paused"] += paused
        striker.join()
        time.sleep(0.01)
        # asyncio's own handler cancels a task that is just about to return, which does not notice
        assert paused or ({run} is run_async and not net.get_startable_epochs()), "it was lost"
    except KeyboardInterrupt:
        ended["raised"] += 1
    while striker.is_alive():
        try:
            striker.join()
            time.sleep(0.01)
        except KeyboardInterrupt:
            pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    net._ledger.check()
    net.start()
    net._ledger.check()
    assert sorted(net.take_outputs("B", "out")) == list(range(800))
assert min(ended.values()) > 0, ended
print("whole")
"""

WAYS = {
    "sync": ("pass_on", "run_sync"),
    "async": ("pass_on_later", "run_sync"),
    "below a loop": ("pass_on_later", "run_below"),
    "async_start": ("pass_on_later", "run_async"),
}


@pytest.mark.parametrize("way", WAYS)
def test_at_random_moments_nothing_is_lost_or_done_twice(way: str) -> None:
    """One signal or two, wherever they strike. Deferred nodes have not acted before their commit, so every epoch is
    done once in the end."""
    function, run = WAYS[way]
    code = AT_RANDOM.format(seed=7, rounds=25, function=function, run=run)
    assert python(code, measured=False).splitlines()[-1] == "whole"


PHASES = """
import asyncio, os, signal, sys, threading, time
from netrun import Net, NetState
from tests.nets import chain

phase, presses, number = {phase!r}, {presses}, signal.{name}
net = Net(chain("A"))
reached = threading.Event()

def is_paused():
    return net.poll().paused_by == "signal"

def hold(*_):
    reached.set()
    end = time.monotonic() + 30
    while time.monotonic() < end and (presses == 2 or not is_paused()):
        time.sleep(0.002)

async def hold_later(ctx, packets):
    reached.set()
    while presses == 2 or not is_paused():
        await asyncio.sleep(0.002)
    await ctx.consume_packet(packets["in"][0])

def take(ctx, packets):
    if phase == "inline epoch":
        hold()
    if phase == "retry wait":
        raise ValueError("not yet")
    ctx.consume_packet(packets["in"][0])

net.set_node_exec(
    "A",
    hold_later if phase == "async epoch" else take,
    start_node_func=hold if phase == "start function" else None,
    stop_node_func=hold if phase == "stop function" else None,
)
net.set_node_config("A", defer_net_actions=True)
if phase == "retry wait":
    net.set_node_config("A", retries=1, retry_wait=3600)
if phase == "rate wait":
    net.set_node_config("A", rate_limit_per_second=1 / 3600)
net.inject_packets("A", "in", [1, 2])

def press():
    while not reached.is_set():
        status = net.poll()
        there = {{"retry wait": status.retrying == 2, "rate wait": status.finished == 1, "idle": status.blocked}}
        if there.get(phase):
            break
        time.sleep(0.002)
    time.sleep(0.05)
    os.kill(os.getpid(), number)
    if presses == 2:
        while phase != "idle" and not is_paused():
            time.sleep(0.002)
        time.sleep(0.05)
        os.kill(os.getpid(), number)

before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
presser = threading.Thread(target=press, daemon=True)
raised = []
try:
    if phase == "idle":
        net.start(threaded=True)
        presser.start()
        presser.join()
        time.sleep(1)
    else:
        presser.start()
        net.start()
        presser.join()
        time.sleep(0.1)
except (KeyboardInterrupt, SystemExit) as error:
    raised.append(error)
while presser.is_alive():
    try:
        presser.join()
        time.sleep(0.1)
    except KeyboardInterrupt:
        pass
assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
if phase == "idle":
    assert net.state is NetState.RUNNING and net.poll().paused_by is None
else:
    assert net.state is NetState.PAUSED and is_paused() or raised
net._ledger.check()
status = net.poll()
assert status.blocked or raised
net.stop()
net._ledger.check()
left = net.poll().startable + net.poll().waiting_packets
print([*map(repr, raised), status.finished, left, len(net.dead_letter_queue)])
"""

INTERRUPTED = {signal.SIGINT: "KeyboardInterrupt()", signal.SIGTERM: "SystemExit(143)"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize(
    ("phase", "once", "twice"),  # epochs that are finished, and those that are left
    [
        ("start function", (0, 2), (0, 2)),
        ("inline epoch", (1, 1), (0, 2)),
        ("async epoch", (2, 0), (0, 2)),
        ("retry wait", (0, 2), None),
        ("rate wait", (1, 1), None),
        ("stop function", (2, 0), (2, 0)),
        ("idle", None, None),
    ],
)
def test_a_signal_in_every_phase(phase: str, once: Any, twice: Any, number: signal.Signals) -> None:
    """Once: what runs is finished, `start` returns, paused. Twice: it raises, and what had not acted can run again.
    While it only waits, the first ends the run already, and the second is Python's own; so is each one while a net
    idles in the background."""
    for presses, expected in ((1, once), (2, twice)):
        if number is signal.SIGTERM and expected is None:
            continue  # SIGTERM, Python's own, ends the process
        code = PHASES.format(phase=phase, presses=presses, name=number.name)
        raised = presses == 2 or phase == "idle"
        finished, left = expected or once or (2, 0)
        told = [*([INTERRUPTED[number]] if raised else []), finished, left, 0]
        assert python(code, measured=False).strip() == str(told), (phase, presses)


STUBBORN = """
import asyncio, os, signal, threading, time
from netrun import Net
from tests.nets import build, chain

async def stubborn(ctx, packets):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()

def press():
    for wait in (0.1, 0.1, None):
        time.sleep(wait) if wait else cancelled.wait() and time.sleep(0.1)
        os.kill(os.getpid(), signal.{name})

cancelled = threading.Event()
net = build(chain("A"), A=stubborn)
net.inject_packets("A", "in", [1])
threading.Thread(target=press, daemon=True).start()
begun = time.monotonic()
try:
    net.start()
finally:
    print(time.monotonic() - begun < 4, net.state.name, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_third_is_pythons_own(number: signal.Signals) -> None:
    """Even while netrun waits for something that will not be cancelled."""
    done = subprocess.run(
        [sys.executable, "-c", STUBBORN.format(name=number.name)],
        env=environment(measured=False),
        capture_output=True,
        text=True,
        timeout=60,
    )
    if number is signal.SIGINT:
        assert done.stdout.strip() == "True PAUSED"
        assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    assert done.returncode == -number
    assert done.stderr.startswith(
        f"netrun: {number.name}, so the net pauses: 1 running epoch finishes, no others start."
    )


# -- in this process ---------------------------------------------------------------------------------------------------


def press(number: int = signal.SIGINT, times: int = 1) -> None:
    """Signals that arrive here and now."""
    for _ in range(times):
        signal.raise_signal(number)


@contextmanager
def handler(number: int, func: Any) -> Iterator[None]:
    """Somebody's own handler; it must be there again at the end."""
    before = signal.signal(number, func)
    try:
        yield
        assert signal.getsignal(number) == func
    finally:
        signal.signal(number, before)


@pytest.fixture(autouse=True)
def _pythons_own() -> Iterator[None]:
    """The handlers are Python's, before and after."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert before[0] is signal.default_int_handler
    yield
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert SIGNALS._guards == []


def pressing(times: int = 1, number: int = signal.SIGINT, **options: Any) -> Net:
    """A net whose first epoch sends this process signals. It has two packets."""

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if value == 1:
            press(number, times)
        ctx.send("out", value)

    net = Net(chain("A"), **options)
    net.set_node_exec("A", work)
    net.set_node_config("A", defer_net_actions=True)
    net.inject_packets("A", "in", [1, 2])
    return net


def test_the_first_pauses_and_says_how_to_force_it(capsys: pytest.CaptureFixture[str]) -> None:
    """`start` returns as after a pause; `run_step` does nothing then; `start` goes on."""
    net = pressing()
    net.start()
    assert net.take_outputs("A", "out") == [1]
    assert (net.state, net.poll().paused_by, net.run_step()) == (NetState.PAUSED, "signal", False)
    said = capsys.readouterr().err
    assert said == (
        "netrun: SIGINT, so the net pauses: 1 running epoch finishes, no others start. "
        "To cancel what runs, press Ctrl-C again.\n"
    )
    net.start()
    assert net.take_outputs("A", "out") == [2]
    assert net.poll().paused_by is None
    assert capsys.readouterr().err == ""


def test_the_line_is_printed_in_the_callers_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the loop is idle when the signal comes: that is how Jupyter knows the cell it belongs to."""
    cell, seen = ContextVar("cell", default="none"), list[str]()

    class Screen:
        def write(self, text):
            seen.append(cell.get())

        def flush(self):
            pass

    async def wait(ctx, packets):
        await ctx.consume_packet(packets["in"][0])
        asyncio.get_running_loop().call_later(0.01, press, context=Context())
        await asyncio.sleep(0.05)

    async def run():
        cell.set("this one")
        await net.async_start()

    net = build(chain("A"), A=wait)
    net.inject_packets("A", "in", [1])
    monkeypatch.setattr(sys, "stderr", Screen())
    asyncio.run(run())
    assert seen == ["this one"]


def test_a_step_is_paused_too(capsys: pytest.CaptureFixture[str]) -> None:
    """So a loop over steps ends."""
    net = pressing(number=signal.SIGTERM)
    steps = 0
    while net.run_step():
        steps += 1
    assert (steps, net.poll().paused_by) == (1, "signal")
    assert "send SIGTERM again" in capsys.readouterr().err


@pytest.mark.parametrize("number", INTERRUPTED)
def test_the_second_raises(number: int) -> None:
    """And the net can go on afterwards."""
    net = pressing(2, number)
    with pytest.raises((KeyboardInterrupt, SystemExit)) as caught:
        net.start()
    assert repr(caught.value) == INTERRUPTED[signal.Signals(number)]
    assert net.poll().paused_by == "signal"
    assert len(net.get_startable_epochs()) == 2
    net._ledger.check()


def test_each_run_counts_anew() -> None:
    """A second signal in the next run is the first of that."""
    net = pressing()
    net.start()
    net.inject_packets("A", "in", [1, 1])
    net.start()
    assert net.take_outputs("A", "out") == [1, 2, 1]
    net.start()
    assert net.take_outputs("A", "out") == [1]


def test_a_long_function_is_interrupted_at_once() -> None:
    """Even one that is in an act of its own again and again: the epoch has acted, so it is cancelled."""

    def busy(ctx, packets):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            ctx.send("out", 1)

    net = build(chain("A"), A=busy)
    net.inject_packets("A", "in", [1])

    def press_twice():
        eventually(lambda: net.poll().running == 1)
        os.kill(os.getpid(), signal.SIGINT)
        eventually(lambda: net.poll().paused_by == "signal")  # two at once would be one to the system
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press_twice).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        net.start()
    assert time.monotonic() - begun < 10
    assert net.state is NetState.PAUSED
    assert net.get_startable_epochs() == []
    net._ledger.check()


def napping(seconds: float) -> None:
    """What a user's function may be doing."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(5)


MADE = {
    "function": "nap = node(lambda x: napping(20), name='nap')",
    "generator": "def gen(x):\n    yield 1\n    napping(20)\nnap = node(gen, name='nap')",
    "method": "class K:\n    def m(self, x):\n        napping(20)\nnap = node(K().m, name='nap')",
    "context": "def f(ctx: NodeExecutionContext, x):\n    napping(20)\nnap = node(f, name='nap')",
}


PRESSED_TWICE = """
import os, signal, threading, time
from netrun import Graph, Net, Node, NodeExecutionContext, node
from tests.nets import eventually
from tests.test_signals import napping
{net}
def press_twice():
    eventually(lambda: net.poll().running == 1)
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)
    eventually(lambda: net.poll().paused_by == "signal")
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=press_twice).start()
begun = time.monotonic()
try:
    net.start()
except KeyboardInterrupt:
    print("in time" if time.monotonic() - begun < 4 else "late")
net._ledger.check()
"""


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("retries", [0, 1])
def test_a_node_of_a_function_is_interrupted_at_once(made: str, retries: int) -> None:
    """What stands between the net and the user's function is as good a place as that."""
    net = f"{MADE[made]}\nnet = Net(nap.with_options(retries={retries}))\nnet.inject_packets('nap', 'x', [1, 2])"
    assert python(PRESSED_TWICE.format(net=net), measured=False) == "in time\n"


def test_a_factorys_function_is_interrupted_at_once() -> None:
    """A predicate is the user's as well."""
    net = """
spec, *functions = Net.from_factory("netrun.factories.filter", predicate="tests.test_signals.napping")
net = Net(Graph([Node(name="F", **spec)], []))
net.set_node_exec("F", *functions)
net.inject_packets("F", "in", [20])
"""
    assert python(PRESSED_TWICE.format(net=net), measured=False) == "in time\n"


def test_async_attempts_are_cancelled_by_the_second() -> None:
    """They sleep for an hour; their clean-up runs."""
    cleaned = []

    async def sleepy(ctx, packets):
        try:
            await asyncio.sleep(3600)
        finally:
            cleaned.append(ctx.epoch_id)

    net = build(chain("A"), A=sleepy)
    net.inject_packets("A", "in", [1, 2])
    for delay in (0.05, 0.15):
        threading.Timer(delay, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        net.start()
    assert len(cleaned) == len(net.get_startable_epochs()) == 2
    assert net.state is NetState.PAUSED
    net._ledger.check()


def test_without_handling_both_do_what_they_always_do() -> None:
    """`handle_signals=False`: Python's own, or somebody's handler, at a moment when nothing is torn."""
    net = pressing(handle_signals=False)
    with pytest.raises(KeyboardInterrupt):
        net.start()
    assert len(net.get_startable_epochs()) == 2
    seen: list[int] = []
    with handler(signal.SIGTERM, lambda number, frame: seen.append(number)):
        net = pressing(2, signal.SIGTERM, handle_signals=False)
        net.start()
    assert (seen, net.take_outputs("A", "out")) == ([signal.SIGTERM] * 2, [1, 2])
    net = build(chain("A"), A=lambda ctx, packets: seen.append(signal.getsignal(signal.SIGTERM)))
    net._control.handles_signals = False
    net.inject_packets("A", "in", [1])
    with pytest.raises(Exception, match="ended with packets left"):
        net.start()
    assert seen[-1] is signal.SIG_DFL


@pytest.mark.parametrize("number", INTERRUPTED)
def test_a_handler_of_the_users_own_is_asked_each_time_and_comes_back(number: int) -> None:
    """The net pauses at the first and raises at the second all the same."""
    for times in (1, 2):
        asked: list[int] = []
        net = pressing(times, number)
        with handler(number, lambda number, frame, asked=asked: asked.append(number)):
            if times == 2:
                with pytest.raises((KeyboardInterrupt, SystemExit)):
                    net.start()
            else:
                net.start()
        assert asked == [number] * times
        assert net.poll().paused_by == "signal"


def test_a_handler_of_the_users_own_may_raise_at_the_first() -> None:
    """It is Python that calls it, so what it raises goes where the signal struck."""

    class Enough(Exception):
        pass

    def raises(number, frame):
        raise Enough

    net = pressing(on_error="continue")
    with handler(signal.SIGINT, raises):
        net.start()
    assert [type(letter.exception) for letter in net.dead_letter_queue] == [Enough]
    assert net.poll().paused_by == "signal"


def test_an_ignored_signal_stays_ignored() -> None:
    """As `nohup` and shells do it for what runs in the background."""
    with handler(signal.SIGINT, signal.SIG_IGN):
        net = pressing(3)
        net.start()
    assert net.take_outputs("A", "out") == [1, 2]
    assert net.poll().paused_by is None


def test_a_handler_that_a_node_sets_is_left_there() -> None:
    """It is the user's wish."""

    def mine(number, frame):
        raise AssertionError("not called")

    def work(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        signal.signal(signal.SIGINT, mine)

    net = build(chain("A"), A=work)
    net.inject_packets("A", "in", [1])
    before = signal.getsignal(signal.SIGINT)
    try:
        net.start()
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


def test_after_a_pause_was_lifted_the_next_pauses_again(capsys: pytest.CaptureFixture[str]) -> None:
    """It is the first once more, for this net."""

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        press()
        if value == 1:
            net.resume()
        ctx.send("out", value)

    net = build(chain("A"), A=work)
    net.inject_packets("A", "in", [1, 2, 3])
    net.start()
    assert net.poll().paused_by == "signal"
    assert (net.take_outputs("A", "out"), len(net.get_startable_epochs())) == ([1, 2], 1)
    assert capsys.readouterr().err.count("To cancel what runs") == 2


def test_each_net_counts_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Two on one loop: one was struck, has ended, and runs again; the other has not been struck twice by that."""
    order: list[str] = []

    async def main():
        going = asyncio.Event()

        async def slow(ctx, packets):
            press()  # the first for both
            await going.wait()
            value = await ctx.consume_packet(packets["in"][0])
            await ctx.send("out", value)

        async def quick(ctx, packets):
            order.append("quick")
            await ctx.consume_packet(packets["in"][0])

        one, other = build(chain("A"), A=slow), build(chain("A"), A=quick)
        one.inject_packets("A", "in", [1])
        running = asyncio.create_task(one.async_start())
        await asyncio.sleep(0.01)
        assert one.poll().paused_by == "signal"
        one.resume()
        other.inject_packets("A", "in", [1])
        await other.async_start()
        press()  # the first since the pause was lifted
        assert one.poll().paused_by == "signal"
        going.set()
        await running
        return one.take_outputs("A", "out")

    assert asyncio.run(main()) == [1]
    assert order == ["quick"]
    assert capsys.readouterr().err.count("To cancel what runs") == 2


def test_nets_inside_one_another_pause_together() -> None:
    """The first signal reaches both; the second ends both."""
    for times in (1, 2):
        inner = pressing(times)
        paused = []

        def work(ctx, packets, inner=inner, paused=paused):
            inner.start()
            paused.append(inner.poll().paused_by)
            ctx.consume_packet(packets["in"][0])

        outer = build(chain("B"), B=work)
        outer.set_node_config("B", defer_net_actions=True)
        outer.inject_packets("B", "in", [1, 2])
        if times == 1:
            outer.start()
            assert paused == ["signal"]
        else:
            with pytest.raises(KeyboardInterrupt):
                outer.start()
            assert paused == []
        assert outer.poll().paused_by == "signal"
        assert len(outer.get_startable_epochs()) == times
        for net in (inner, outer):
            net._ledger.check()


def test_nets_beside_one_another_on_a_loop_pause_together() -> None:
    """They end in another order than they began in, and the handler that was there is back."""

    async def wait(ctx, packets):
        value = await ctx.consume_packet(packets["in"][0])
        if value == "press":
            press()
        await asyncio.sleep(0.03 if value == "long" else 0.01)

    async def main() -> list[Net]:
        nets = [build(chain("A"), A=wait) for _ in range(3)]
        for net, value in zip(nets, ["long", "short", "press"], strict=True):
            net.set_node_config("A", max_parallel_epochs=1)
            net.inject_packets("A", "in", [value, "more"])
        await asyncio.gather(*(net.async_start() for net in nets))
        return nets

    for net in asyncio.run(main()):
        assert net.poll().paused_by == "signal"
        assert len(net.get_startable_epochs()) == 1


def test_on_the_callers_loop() -> None:
    """The first pauses, and asyncio's own handler is not asked; the second is asyncio's: it cancels the task."""
    ended: list[str] = []

    async def wait(ctx, packets):
        await ctx.consume_packet(packets["in"][0])
        await asyncio.sleep(0.2)

    async def main(net: Net) -> None:
        try:
            await net.async_start()
            ended.append("returned")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    for times in (1, 2):
        net = build(chain("A"), A=wait)
        net.inject_packets("A", "in", [1])
        for k in range(times):
            threading.Timer(0.05 * (k + 1), os.kill, [os.getpid(), signal.SIGINT]).start()
        if times == 1:
            asyncio.run(main(net))
        else:
            with pytest.raises(KeyboardInterrupt):
                asyncio.run(main(net))
        assert net.poll().paused_by == "signal"
        assert len(net.dead_letter_queue) == times - 1
        net._ledger.check()
    assert ended == ["returned", "cancelled"]


@pytest.mark.parametrize("deferred", [False, True])
def test_what_netrun_calls_is_netruns_too(deferred: bool) -> None:
    """A signal that strikes a library below netrun's own code is held back as well: here the value's own pickling."""
    struck: list[str] = []

    class Strikes:
        def __reduce__(self):
            signal.raise_signal(signal.SIGINT)
            struck.append("pickled whole")
            return (list, ())

    def make(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        ctx.send("out", Strikes())

    with tempfile.TemporaryDirectory() as folder:
        net = Net(chain("A"), packet_storage_path=folder, handle_signals=False)
        net.set_node_exec("A", make)
        net.set_node_config("A", defer_net_actions=deferred)
        net.inject_packets("A", "in", [1])
        with pytest.raises(KeyboardInterrupt):
            net.start()
        assert struck == ["pickled whole"]
        net._ledger.check()


def test_what_is_held_back_strikes_at_the_end() -> None:
    """Where nothing of the user's runs any more, it is not lost."""
    guard = Guard({})
    with pytest.raises(KeyboardInterrupt), guard.up():
        guard.pending = signal.SIGINT


def test_what_came_while_the_guard_was_put_up_is_not_lost() -> None:
    """It struck when the handler was there already, and the guard not yet."""
    guard = Guard({})
    SIGNALS._early = signal.SIGINT
    with pytest.raises(KeyboardInterrupt), guard.up():
        pass
    asked: list[str] = []
    guard = Guard({}, lambda: asked.append("pause"))
    SIGNALS._early = signal.SIGTERM
    with guard.up(pauses=True):
        assert asked == ["pause"]


def test_in_other_threads_the_handlers_are_left_alone() -> None:
    """Only the main thread may set one; in the background none is set either."""
    seen: list[object] = []
    is_started = threading.Event()

    def look(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        is_started.wait(10)
        seen.append((signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)))

    net: Net = build(chain("A"), A=look)
    net.inject_packets("A", "in", [1])
    thread = threading.Thread(target=net.start)
    thread.start()
    is_started.set()
    thread.join()
    is_started.clear()
    net.inject_packets("A", "in", [1])
    net.start(threaded=True)
    is_started.set()
    eventually(lambda: len(seen) == 2)
    net.stop()
    assert seen == [(signal.default_int_handler, signal.SIG_DFL)] * 2


def _refuses(error: type[Exception]) -> Callable[[str], int]:
    def write(text: str) -> int:
        raise error("reentrant call")

    return write


@pytest.mark.parametrize("error", [RuntimeError, ValueError, OSError, None])
def test_a_stderr_that_cannot_be_written_to_changes_nothing(
    error: type[Exception] | None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A print that was interrupted, a closed file, a full disk, or none at all."""
    net = pressing()
    with monkeypatch.context() as patch:
        if error is None:
            patch.setattr(sys, "stderr", None)
        else:
            patch.setattr(sys.stderr, "write", _refuses(error))
        net.start()
    assert net.poll().paused_by == "signal"
    said = capfd.readouterr().err
    assert said.startswith("netrun: SIGINT") if error in (RuntimeError, ValueError) else said == ""
