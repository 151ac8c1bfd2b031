"""A net that runs in a thread of its own: who may do what from where, and nothing is lost."""

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from netrun import ConfigError, Graph, Net, NetState, NetStateError, NetStatus, NodeExecutionFailed
from tests.nets import build, chain, environment, eventually, maps, node, python


def pass_on(ctx, packets):
    for packet in packets["in"]:
        ctx.send("out", ctx.consume_packet(packet))


async def pass_on_later(ctx, packets):
    for packet in packets["in"]:
        value = await ctx.consume_packet(packet)
        await asyncio.sleep(0)
        await ctx.send("out", value)


FUNCTIONS = {"sync": pass_on, "async": pass_on_later}


@pytest.fixture(params=FUNCTIONS)
def func(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """A node function that passes values on, sync and async."""
    return FUNCTIONS[request.param]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    """Every test stops its net."""
    yield
    names = ("netrun background", "netrun loop")
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name in names])


# -- serving -----------------------------------------------------------------------------------------------------------


def test_it_returns_at_once_and_wakes_for_what_is_injected(func: Callable[..., Any]) -> None:
    """It idles in between, RUNNING; start and stop functions are called once, in its thread."""
    called: list[tuple[str, str]] = []
    gate = threading.Event()

    def note(what):
        return lambda net: (gate.wait(10), called.append((what, threading.current_thread().name)))

    net = Net(chain("A", "B"))
    net.set_node_exec("A", func, note("start"), note("stop"))
    net.set_node_exec("B", func)
    net.inject_packets("A", "in", [1])
    net.start(threaded=True)
    assert (net.state, called, net.poll().blocked) == (NetState.RUNNING, [], False)
    gate.set()
    for values in ([1], [2, 3], [4]):
        if values != [1]:
            net.inject_packets("A", "in", values)
        assert net.wait_until_blocked(10)
        assert (net.state, net.poll().blocked, net.poll().paused_by) == (NetState.RUNNING, True, None)
        assert net.take_outputs("B", "out") == values
        net._ledger.check()
    net.stop()
    assert net.state is NetState.STOPPED
    assert called == [("start", "netrun background"), ("stop", "netrun background")]
    assert not net.poll().running


def test_who_waits_never_misses_what_was_injected_before(func: Callable[..., Any]) -> None:
    """However idle the net was."""
    net = build(chain("A"), A=func)
    net.start(threaded=True)
    for number in range(300):
        net.inject_packets("A", "in", [number])
        assert net.wait_until_blocked(10)
        assert net.take_outputs("A", "out") == [number]
    net.stop()


def test_an_idle_net_does_nothing(func: Callable[..., Any]) -> None:
    """The driver is not asked again before somebody wakes it."""
    net = build(chain("A"), A=func)
    looks: list[int] = []
    run = net._driver.run
    net._driver.run = lambda host: looks.append(1) or run(host)  # type: ignore[method-assign,func-returns-value]
    net.start(threaded=True)
    assert net.wait_until_blocked(10)
    time.sleep(0.05)
    assert len(looks) <= 2
    net.stop()


def test_a_source_epoch_a_function_and_a_redrive_wake_it_too() -> None:
    """Whatever gives it work."""
    done: list[Any] = []

    def work(ctx, packets):
        values = [ctx.consume_packet(packet) for port in packets.values() for packet in port]
        if values == ["bad"]:
            raise ValueError
        done.append(values)

    net = Net(Graph([node("Source"), node("A", ["in"])], []), on_error="continue")
    net.set_node_exec("Source", work)
    net.inject_packets("A", "in", ["early"])
    net.start(threaded=True)
    assert net.wait_until_blocked(10)
    net.inject_source_epoch("Source")
    assert net.wait_until_blocked(10)
    assert done == [[]]
    net.set_node_exec("A", work)
    assert net.wait_until_blocked(10)
    assert done == [[], ["early"]]
    net.inject_packets("A", "in", ["bad"])
    assert net.wait_until_blocked(10)
    (letter,) = net.dead_letter_queue
    net.redrive(letter, {"in": ["good"]})
    assert net.wait_until_blocked(10)
    assert done[2:] == [["good"]]
    net.stop()


def test_in_a_with_block(func: Callable[..., Any]) -> None:
    """The block opens the run, and its end stops what runs in the background."""
    calls: list[str] = []
    net = Net(chain("A"))
    net.set_node_exec("A", func, lambda net: calls.append("start"), lambda net: calls.append("stop"))
    with net:
        net.start(threaded=True)
        net.inject_packets("A", "in", range(100))
        assert net.wait_until_blocked(10)
        assert (calls, net.state) == (["start"], NetState.RUNNING)
    assert (calls, net.state) == (["start", "stop"], NetState.STOPPED)
    assert net.take_outputs("A", "out") == list(range(100))


def test_stop_cancels_async_attempts_and_waits_for_threads() -> None:
    """What is cancelled and had acted leaves a dead letter; a sync function ends by itself."""
    began, cancelled, release = threading.Event(), [], threading.Event()

    async def sleepy(ctx, packets):
        await ctx.consume_packet(packets["in"][0])
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.append(1)

    net = build(chain("A"), A=sleepy)
    net.inject_packets("A", "in", [1])
    net.start(threaded=True)
    assert began.wait(10)
    net.stop()
    assert (cancelled, len(net.dead_letter_queue), net.poll().cancelled) == ([1], 1, 1)

    ended: list[int] = []

    def slow(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        began.set()
        release.wait(10)
        ended.append(1)

    began.clear()
    net = build(chain("A"), A=slow)
    net.inject_packets("A", "in", [1, 2])
    net.start(threaded=True)
    assert began.wait(10)
    net._control.STOP_WAIT = 0.01
    with pytest.raises(NetStateError, match=r"still running after 0\.01 s: node 'A'"):
        net.stop()
    release.set()
    net._control.STOP_WAIT = 10
    net.stop()
    assert (ended, net.state, net.poll().startable) == ([1], NetState.STOPPED, 1)


def test_a_node_may_stop_the_net_that_it_runs_in(func: Callable[..., Any]) -> None:
    """It asks, and goes on; then the background ends by itself."""

    def stops(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        net.stop()
        ctx.send("out", "went on")

    calls: list[str] = []
    net = build(chain("A"), A=stops)
    net.set_node_exec("A", stops, stop_node_func=lambda net: calls.append("stop"))
    net.inject_packets("A", "in", [1, 2])
    net.start(threaded=True)
    eventually(lambda: net.state is NetState.STOPPED)
    assert (calls, net.take_outputs("A", "out")) == (["stop"], ["went on"])
    net.stop()


# -- pause, resume -----------------------------------------------------------------------------------------------------


def test_pause_and_resume(func: Callable[..., Any]) -> None:
    """Paused, nothing starts, whatever is injected; resumed, it goes on by itself."""
    net = build(chain("A"), A=func)
    net.start(threaded=True)
    assert net.wait_until_blocked(10)
    net.pause()
    assert (net.state, net.poll().paused_by) == (NetState.PAUSED, "user")
    for _ in range(50):
        net.inject_packets("A", "in", [1])
        assert net.poll().blocked, "a paused net stays blocked, whatever is injected"
    assert net.wait_until_blocked(10)
    assert (net.state, net.take_outputs("A", "out")) == (NetState.PAUSED, [])
    net.resume()
    assert net.wait_until_blocked(10)
    assert (net.state, net.take_outputs("A", "out")) == (NetState.RUNNING, [1] * 50)
    net.stop()


def test_pause_waits_for_what_runs() -> None:
    """`wait=True` returns when it is done, and the net goes on serving."""
    began, release = threading.Event(), threading.Event()

    def slow(ctx, packets):
        began.set()
        release.wait(10)
        pass_on(ctx, packets)

    net = build(chain("A"), A=slow)
    net.inject_packets("A", "in", [1, 2])
    net.start(threaded=True)
    assert began.wait(10)
    net.pause()
    assert not net.wait_until_blocked(0.01)
    threading.Timer(0.02, release.set).start()
    net.pause(wait=True)
    assert (net.state, net.take_outputs("A", "out")) == (NetState.PAUSED, [1])
    net.start(threaded=True)  # as `resume` does
    assert net.wait_until_blocked(10)
    assert net.take_outputs("A", "out") == [2]
    net.stop()


@pytest.mark.parametrize("verb", ["start", "run_step", "start threaded", "run_step threaded", "with"])
def test_one_at_a_time(verb: str) -> None:
    """While it runs in the background, idle or not, nobody else drives it; nothing has changed."""
    net = build(chain("A"), A=pass_on)
    net.start(threaded=True)
    assert net.wait_until_blocked(10)
    verbs = {
        "start": net.start,
        "run_step": net.run_step,
        "start threaded": lambda: net.start(threaded=True),
        "run_step threaded": lambda: net.run_step(threaded=True),
        "with": net.__enter__,
    }
    with pytest.raises(NetStateError, match="it does so in the background"):
        verbs[verb]()
    net.inject_packets("A", "in", [1])
    assert net.wait_until_blocked(10)
    assert net.take_outputs("A", "out") == [1]
    if verb == "start":
        net.pause()
        with pytest.raises(NetStateError, match=r"in the background: resume\(\) it"):
            net.start()
    net.stop()


def test_from_inside_a_node() -> None:
    """What would wait for itself is refused, what only asks is done."""
    told: list[str] = []

    def work(ctx, packets):
        pass_on(ctx, packets)
        for verb in (net.start, net.run_step, lambda: net.start(threaded=True), net.wait_until_blocked):
            with pytest.raises(NetStateError) as caught:
                verb()
            told.append(str(caught.value))
        status = net.poll()
        assert (status.running, status.blocked, status.state) == (1, False, NetState.RUNNING)
        net.pause(wait=True)

    net = build(chain("A"), A=work)
    net.inject_packets("A", "in", [1, 2])
    net.start(threaded=True)
    assert net.wait_until_blocked(10)
    assert (len(told), net.state, net.poll().startable) == (4, NetState.PAUSED, 1)
    assert all("own functions" in text for text in told)
    net.stop()


# -- errors ------------------------------------------------------------------------------------------------------------


def picky(ctx, packets):
    value = ctx.consume_packet(packets["in"][0])
    if isinstance(value, BaseException):
        raise value
    ctx.send("out", value)


@pytest.mark.parametrize("asks", ["wait_until_blocked", "stop"])
def test_a_failure_leaves_by_who_asks_first(asks: str) -> None:
    """Once; `error` keeps it; the net is paused and goes on when it is resumed."""
    net = build(chain("A"), A=picky)
    net.inject_packets("A", "in", [1, ValueError("no"), 2])
    net.start(threaded=True)
    eventually(lambda: net.state is NetState.PAUSED)
    assert net.poll().paused_by == "error"
    if asks == "stop":
        with pytest.raises(NodeExecutionFailed):
            net.stop()
        net.stop()
        return
    with pytest.raises(NodeExecutionFailed) as caught:
        net.wait_until_blocked(10)
    assert net.error is caught.value
    assert repr(caught.value.original_exception) == "ValueError('no')"
    assert net.wait_until_blocked(10)
    net.resume()
    assert net.wait_until_blocked(10)
    assert (net.error, net.take_outputs("A", "out")) == (None, [1, 2])
    net.stop()


@pytest.mark.parametrize("on_error", ["continue", "pause"])
def test_what_is_not_to_be_raised_is_not(on_error: str) -> None:
    """The net runs on, or pauses and keeps the error."""
    net = Net(chain("A"), on_error=on_error)
    net.set_node_exec("A", picky)
    net.inject_packets("A", "in", [ValueError("no"), 1])
    net.start(threaded=True)
    assert net.wait_until_blocked(10)
    paused = on_error == "pause"
    assert (net.poll().paused_by, net.error is not None) == (("error", True) if paused else (None, False))
    assert net.take_outputs("A", "out") == ([] if paused else [1])
    net.stop()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_interrupts_pauses_and_is_raised_by_who_waits(kind: type[BaseException], func: Callable[..., Any]) -> None:
    """The thread goes on serving."""
    net = Net(chain("A", "B"))
    net.set_node_exec("A", picky)
    net.set_node_exec("B", func)
    net.inject_packets("A", "in", [kind("stop it"), 1])
    net.start(threaded=True)
    with pytest.raises(kind, match="stop it"):
        net.wait_until_blocked(10)
    assert (net.state, net.poll().paused_by) == (NetState.PAUSED, "error")
    net.resume()
    assert net.wait_until_blocked(10)
    assert net.take_outputs("B", "out") == [1]
    net.stop()


def test_a_start_function_that_fails_ends_the_run() -> None:
    """Who waits hears of it, and the net can be started again."""
    tries: list[int] = []

    def start(net):
        tries.append(1)
        if len(tries) == 1:
            raise OSError("no connection")

    net = Net(chain("A"))
    net.set_node_exec("A", pass_on, start)
    net.inject_packets("A", "in", [1])
    net.start(threaded=True)
    with pytest.raises(OSError, match="no connection"):
        net.wait_until_blocked(10)
    assert net.state is NetState.PAUSED
    net.start(threaded=True)
    assert net.wait_until_blocked(10)
    assert net.take_outputs("A", "out") == [1]
    net.stop()


def test_a_stop_function_that_fails_is_raised_by_stop() -> None:
    """With what went wrong before in its cause."""

    def stop(net):
        raise OSError("cannot close")

    net = Net(chain("A"))
    net.set_node_exec("A", picky, stop_node_func=stop)
    net.inject_packets("A", "in", [ValueError("no")])
    net.start(threaded=True)
    eventually(lambda: net.state is NetState.PAUSED)
    with pytest.raises(NodeExecutionFailed) as caught:
        net.stop()
    causes = caught.value.__cause__.exceptions  # type: ignore[union-attr]
    assert [type(cause) for cause in causes] == [ValueError, OSError]
    assert net.state is NetState.STOPPED


def test_a_machine_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error leaves at once, and the net is free."""

    def refuse(self):
        raise RuntimeError("can't start new thread")

    net = build(chain("A"), A=pass_on)
    net.inject_packets("A", "in", [1])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for verb in (lambda: net.start(threaded=True), lambda: net.run_step(threaded=True)):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                verb()
    assert net.state is NetState.PAUSED
    net.start()
    assert net.take_outputs("A", "out") == [1]


# -- steps in the background -------------------------------------------------------------------------------------------


def test_a_step_in_the_background(func: Callable[..., Any]) -> None:
    """It says whether there is something to run; who waits sees the wave's end."""
    net = build(chain("A", "B"), A=func, B=func)
    net.inject_packets("A", "in", [1, 2])
    assert net.run_step(threaded=True) is True
    assert net.wait_until_blocked(10)
    assert (net.state, len(net.get_startable_epochs_by_node("B"))) == (NetState.RUNNING, 2)
    assert not net.poll().blocked  # there is another wave
    assert net.run_step(threaded=True) is True
    assert net.wait_until_blocked(10)
    assert net.take_outputs("B", "out") == [1, 2]
    assert net.run_step(threaded=True) is False
    assert net.wait_until_blocked(10)
    net.pause()
    net.inject_packets("A", "in", [1])
    assert net.run_step(threaded=True) is False
    net.stop()
    with pytest.raises(NetStateError, match="stopped for good"):
        net.run_step(threaded=True)
    with pytest.raises(NetStateError, match="stopped for good"):
        net.start(threaded=True)


def test_a_failure_in_a_step_in_the_background() -> None:
    """As with `start`."""
    net = build(chain("A"), A=picky)
    net.inject_packets("A", "in", [ValueError("no"), 1])
    net.run_step(threaded=True)
    with pytest.raises(NodeExecutionFailed):
        net.wait_until_blocked(10)
    assert net.state is NetState.PAUSED
    net.stop()


# -- poll --------------------------------------------------------------------------------------------------------------


def test_poll_counts_everything_by_node() -> None:
    """And changes nothing: what was injected waits until the net runs."""
    release, began = threading.Event(), threading.Event()

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if value == "cancel":
            ctx.cancel_epoch()
        if value == "fail":
            raise ValueError
        if value == "hold":
            began.set()
            release.wait(10)

    net = Net(Graph([node("A", ["in"], slots={"in": 3}), node("B", ["in"])], []), on_error="continue")
    net.set_node_exec("A", work)
    net.inject_packets("A", "in", ["well", "cancel", "fail", "hold", "after"])
    net.inject_packets("B", "in", [1, 2])
    for _ in range(2):
        status = net.poll()
        assert (status.state, status.startable, status.waiting_packets) == (NetState.CREATED, 0, 7)
        assert (status.blocked, status.paused_by) == (False, None)
    assert net.get_startable_epochs() == []
    net.start(threaded=True)
    assert began.wait(10)
    status = net.poll()
    assert isinstance(status, NetStatus)
    assert list(status.nodes) == ["A", "B"]
    numbers = lambda node: (node.finished, node.cancelled, node.failed, node.running, node.startable)  # noqa: E731
    assert numbers(status.nodes["A"]) == (1, 1, 1, 1, 1)
    assert numbers(status.nodes["B"]) == (0, 0, 0, 0, 2)
    assert numbers(status) == (1, 1, 1, 1, 3)
    assert (status.waiting_packets, status.blocked, status.retrying) == (0, False, 0)
    with pytest.raises(AttributeError):
        status.running = 5  # type: ignore[misc]
    release.set()
    assert net.wait_until_blocked(10)
    assert (net.poll().finished, net.poll().blocked) == (3, True)  # B has no function
    net.stop()
    assert (net.poll().state, net.poll().blocked, net.poll().startable) == (NetState.STOPPED, True, 2)


def test_poll_counts_retries_and_piles() -> None:
    """Packets of a long pile wait, though they could be epochs."""
    net = build(chain("A"), A=lambda ctx, packets: 1 / 0)
    net.set_node_config("A", defer_net_actions=True, retries=1, retry_wait=3600)
    net.inject_packets("A", "in", [1])
    net.start(threaded=True)
    eventually(lambda: net.poll().retrying == 1)
    status = net.poll()
    assert (status.running, status.blocked, net.get_running_epochs_count("A")) == (0, False, 1)
    net.pause()
    assert net.wait_until_blocked(10)
    assert net.poll().blocked
    net.stop()
    assert net.poll().startable == 1

    net = Net(chain("A"))
    net.inject_packets("A", "in", range(5000))
    net.set_node_exec("A", lambda ctx, packets: net.pause())
    with pytest.raises(NodeExecutionFailed):
        net.start()
    status = net.poll()
    assert status.startable + status.waiting_packets == 4999
    assert status.waiting_packets > 0
    net.stop()


# -- on a loop ---------------------------------------------------------------------------------------------------------


def test_waiting_for_it_on_a_loop(func: Callable[..., Any]) -> None:
    """The loop goes on meanwhile; a time-out says False; what went wrong is raised."""
    release, began = threading.Event(), threading.Event()

    def work(ctx, packets):
        began.set()
        release.wait(10)
        picky(ctx, packets)

    net = build(chain("A"), A=work)

    async def main():
        net.start(threaded=True)
        assert await net.async_wait_until_blocked(10)
        net.inject_packets("A", "in", [1])
        await asyncio.to_thread(began.wait, 10)
        ticks = 0
        assert await net.async_wait_until_blocked(0.02) is False
        waiting = asyncio.create_task(net.async_wait_until_blocked(10))
        while not waiting.done():
            await asyncio.sleep(0.001)
            ticks += 1
            if ticks == 5:
                release.set()
        assert await waiting
        assert ticks >= 5
        net.pause()
        net.inject_packets("A", "in", [ValueError("no")])
        await net.async_pause(wait=True)
        net.resume()
        with pytest.raises(NodeExecutionFailed):
            await net.async_wait_until_blocked(10)
        await net.async_stop()

    asyncio.run(main())
    assert net._control._watchers == []
    assert net.state is NetState.STOPPED


def test_a_loop_that_is_closed_meanwhile_hurts_nobody() -> None:
    """A wait that was given up leaves nothing behind that is called later."""
    release = threading.Event()
    net = build(chain("A"), A=lambda ctx, packets: (release.wait(10), pass_on(ctx, packets)))
    net.inject_packets("A", "in", [1])
    net.start(threaded=True)
    assert asyncio.run(net.async_wait_until_blocked(0.01)) is False
    release.set()
    assert net.wait_until_blocked(10)
    net.stop()


# -- from everywhere at once -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threaded", [False, True])
def test_of_eight_that_start_at_once_one_runs(func: Callable[..., Any], threaded: bool) -> None:
    """The others get a `NetStateError`; every packet is worked off once."""
    for _ in range(20):
        barrier = threading.Barrier(8)
        release = threading.Event()
        refused: list[NetStateError] = []

        def start(net, barrier=barrier, refused=refused, release=release):
            barrier.wait()
            try:
                net.start(threaded=threaded)
            except NetStateError as error:
                refused.append(error)
                if len(refused) == 7:
                    release.set()

        net = Net(chain("A"))
        net.set_node_exec("A", func, lambda net, release=release: release.wait(10))
        net.inject_packets("A", "in", range(5))
        threads = [threading.Thread(target=start, args=[net]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(refused) == 7
        assert net.wait_until_blocked(10)
        assert net.take_outputs("A", "out") == list(range(5))
        net._ledger.check()
        net.stop()


@pytest.mark.parametrize("func_is_async", [False, True])
def test_who_wins_a_race_to_start_runs_as_if_alone(func_is_async: bool) -> None:
    """Async epochs run at the same time, and each run has its one loop, from its start to its stop functions."""
    for _ in range(30):
        running: list[int] = []
        most: list[int] = []

        async def wait(ctx, packets, running=running, most=most):
            running.append(1)
            await asyncio.sleep(0.005)
            most.append(len(running))
            await ctx.consume_packet(packets["in"][0])

        def look(ctx, packets, most=most):
            most.append(10)
            ctx.consume_packet(packets["in"][0])

        net = build(chain("A"), A=wait if func_is_async else look)
        net.inject_packets("A", "in", range(10))
        barrier = threading.Barrier(8)

        def start(net=net, barrier=barrier):
            barrier.wait()
            with suppress(NetStateError):
                net.start()

        threads = [threading.Thread(target=start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert most == [10] * 10


@pytest.mark.parametrize("timeout", ["1", True, float("nan"), [1]])
def test_a_bad_timeout_is_refused(timeout: Any) -> None:
    """Before anything is waited for."""
    net = build(chain("A"), A=pass_on)
    with pytest.raises(ConfigError, match="timeout must be a number of seconds"):
        net.wait_until_blocked(timeout)


def test_to_wait_for_ever_is_to_wait() -> None:
    """Longer than a clock can count is for ever; less than nothing is not at all."""
    release = threading.Event()
    net = build(chain("A"), A=lambda ctx, packets: (release.wait(10), pass_on(ctx, packets)))
    net.inject_packets("A", "in", [1])
    net.start(threaded=True)
    eventually(lambda: net.poll().running == 1)
    assert net.wait_until_blocked(-1) is False
    threading.Timer(0.02, release.set).start()
    assert net.wait_until_blocked(float("inf")) is True
    assert net.wait_until_blocked(1e300) is True
    assert asyncio.run(net.async_wait_until_blocked(1e12)) is True
    net.stop()


def test_a_poll_that_says_blocked_has_counted_everything() -> None:
    """Nothing runs, nothing can start, and as many have ended as were injected before."""
    net = build(chain("A"), A=pass_on)
    net.start(threaded=True)
    for injected in range(1, 400):
        net.inject_packets("A", "in", [injected])
        while not (status := net.poll()).blocked:
            pass
        assert (status.running, status.startable, status.waiting_packets) == (0, 0, 0)
        assert status.finished == injected
    net.stop()


@pytest.mark.parametrize("retrying", [False, True])
def test_four_threads_do_everything_at_random(func: Callable[..., Any], retrying: bool) -> None:
    """No deadlock, and every injected value is taken out or still inside. `SOAK_SECONDS` makes it longer."""
    seconds = float(os.environ.get("SOAK_SECONDS", "1.5"))
    net = build(chain("A", "B"), A=func, B=func)
    if retrying:
        failed = set()

        def fails_once(ctx, packets):
            if ctx.retry_count == 0 and ctx.epoch_id not in failed:
                failed.add(ctx.epoch_id)
                raise ValueError
            pass_on(ctx, packets)

        net.set_node_exec("A", fails_once)
        net.set_node_config("A", defer_net_actions=True, retries=1, retry_wait=0.001)
    net.set_node_config("B", max_parallel_epochs=3)
    net.start(threaded=True)
    end = time.monotonic() + seconds
    taken, put = [list[Any]() for _ in range(4)], [list[Any]() for _ in range(4)]
    trouble: list[BaseException] = []

    def act(k: int) -> None:
        dice = random.Random(k)
        try:
            while time.monotonic() < end:
                match dice.randrange(8):
                    case 0 | 1 | 2:
                        values = [(k, len(put[k]) + n) for n in range(dice.randrange(1, 30))]
                        put[k] += values
                        net.inject_packets("A", "in", values)
                    case 3:
                        net.pause(wait=dice.random() < 0.5)
                    case 4 | 5:
                        net.resume()
                    case 6:
                        status = net.poll()
                        assert status.state in (NetState.RUNNING, NetState.PAUSED)
                        assert min(status.running, status.startable, status.waiting_packets, status.retrying) >= 0
                    case 7:
                        taken[k] += net.take_outputs("B", "out")
                        net.wait_until_blocked(0.001)
        except BaseException as error:
            trouble.append(error)

    threads = [threading.Thread(target=act, args=[k], daemon=True) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 20)
        assert not thread.is_alive(), "deadlock"
    assert trouble == []
    stoppers = [threading.Thread(target=net.stop) for _ in range(3)]
    for thread in stoppers:
        thread.start()
    for thread in stoppers:
        thread.join(20)
        assert not thread.is_alive(), "deadlock"
    assert net.state is NetState.STOPPED
    net._ledger.check()
    out = [value for some in taken for value in some] + net.take_outputs("B", "out")
    inside = [net.value_store.get_value(packet.id) for packet in list(net._ledger._packets.values())]
    cut_off = [value for letter in net.dead_letter_queue for value in letter.packet_values.values()]  # by the stop
    assert all(letter.reason == "interrupted" for letter in net.dead_letter_queue)
    assert len(cut_off) <= 3, "as many as run at once"
    assert sorted(out + inside + cut_off) == sorted(value for some in put for value in some)
    assert out


# -- the end of the process --------------------------------------------------------------------------------------------

FORGOTTEN = """
from netrun import Net
from tests.nets import build, chain
import time

net = build(chain("A"), A=lambda ctx, packets: time.sleep(3600))
net.inject_packets("A", "in", [1])
net.start(threaded=True)
while not net.poll().running:
    time.sleep(0.001)
print("the end")
"""


def test_a_script_that_forgets_to_stop_ends_all_the_same() -> None:
    """At once, though a node would run for an hour."""
    done = subprocess.run(
        [sys.executable, "-c", FORGOTTEN], env=environment(False), capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")


def test_in_a_script_with_a_running_loop() -> None:
    """As in a notebook: the background has its own."""
    code = """
import asyncio
from tests.nets import chain
from tests.test_background import pass_on_later
from netrun import Net

async def main():
    net = Net(chain("A"))
    net.set_node_exec("A", pass_on_later)
    net.start(threaded=True)
    net.inject_packets("A", "in", range(10))
    assert net.wait_until_blocked(10)
    print(net.take_outputs("A", "out"))
    net.stop()

asyncio.run(main())
"""
    assert python(code).strip() == str(list(range(10)))


def test_maps_is_quick_to_come_back() -> None:
    """Many short runs in the background, one after the other, each its own."""
    for number in range(50):
        net = build(chain("A"), A=maps(lambda value: value + 1))
        net.inject_packets("A", "in", [number])
        net.start(threaded=True)
        net.stop()
        assert net.state is NetState.STOPPED
        left = net.poll().startable + net.poll().waiting_packets
        assert left + len(net.take_outputs("A", "out")) == 1
        net._ledger.check()


# -- what was found by trying ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_of_several_that_stop_at_once_none_is_refused(kind: str) -> None:
    """Each returns when the net is stopped; the stop function is called once."""
    calls: list[int] = []

    def stop(net):
        time.sleep(0.05)
        calls.append(1)

    async def stop_later(net):
        await asyncio.sleep(0.05)
        calls.append(1)

    for _ in range(5):
        calls.clear()
        net = Net(chain("A"))
        net.set_node_exec("A", pass_on, None, stop if kind == "sync" else stop_later)
        net.run_step()
        barrier = threading.Barrier(4)
        trouble: list[BaseException] = []

        def end(net=net, barrier=barrier, trouble=trouble):
            barrier.wait()
            try:
                net.stop()
                assert net.state is NetState.STOPPED
            except BaseException as error:
                trouble.append(error)

        threads = [threading.Thread(target=end) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert (trouble, calls) == ([], [1])


def test_a_loop_that_was_closed_under_who_waited_on_it() -> None:
    """The background goes on."""
    release = threading.Event()
    net = build(chain("A"), A=lambda ctx, packets: (release.wait(10), pass_on(ctx, packets)))
    net.inject_packets("A", "in", [1])
    net.start(threaded=True)
    loop = asyncio.new_event_loop()
    task = loop.create_task(net.async_wait_until_blocked())
    loop.run_until_complete(asyncio.sleep(0.01))
    task._log_destroy_pending = False
    loop.close()
    release.set()
    assert net.wait_until_blocked(10)
    net.inject_packets("A", "in", [2])
    assert net.wait_until_blocked(10)
    assert net.take_outputs("A", "out") == [1, 2]
    net.stop()


@pytest.mark.parametrize("verb", ["wait_until_blocked", "pause", "stop"])
def test_what_would_block_the_loop_is_refused_while_the_run_opens_too(verb: str) -> None:
    """An async start function is at work."""

    async def start(net):
        await asyncio.sleep(0.05)

    async def main():
        net = Net(chain("A"))
        net.set_node_exec("A", pass_on, start)
        running = asyncio.create_task(net.async_start())
        await asyncio.sleep(0.01)
        with pytest.raises(NetStateError, match="the loop of this thread runs the net"):
            {"wait_until_blocked": net.wait_until_blocked, "pause": lambda: net.pause(wait=True), "stop": net.stop}[
                verb
            ]()
        await running

    asyncio.run(main())


INTERRUPTED = """
import os, random, signal, threading
from tests.nets import build, chain, maps

for _ in range(60):
    net = build(chain("A"), A=maps(lambda value: value))
    net.start(threaded=True)
    try:
        threading.Timer(random.uniform(0.001, 0.006), os.kill, [os.getpid(), signal.SIGINT]).start()
        while True:
            net.poll()
    except KeyboardInterrupt:
        pass
    ender = threading.Thread(target=net.stop, daemon=True)
    ender.start()
    ender.join(10)
    assert not ender.is_alive(), "deadlock"
print("fine")
"""


STRUCK = """
import os, random, signal, threading
from netrun import Net
from tests.nets import build, chain, maps

rng = random.Random(1)
net = build(chain("A", "B"), A=maps(lambda value: value), B=maps(lambda value: value))


def inject(rounds):
    net.inject_packets("A", "in", range(rng.randint(1, 9)))


def look(rounds):
    inject(rounds)
    net.get_startable_epochs()


def take(rounds):
    inject(rounds)
    net.take_outputs("B", "out")


def change(rounds):
    inject(rounds)
    net.set_node_config("A", max_parallel_epochs=rng.choice([None, 1]))


def never(rounds):
    def values():
        while True:
            yield 1

    net.inject_packets("A", "in", values())


def raising(number, frame):
    raise KeyboardInterrupt


signal.signal(signal.SIGTERM, raising)


def start(rounds):
    inject(rounds)
    other = build(chain("A"), A=maps(lambda value: value))
    other.start(threaded=True)
    other.stop()


for verb in [start, inject, look, take, change, never, lambda rounds: net.poll()]:
    for background in (False, True):
        for rounds in range(4):
            net = build(chain("A", "B"), A=maps(lambda value: value), B=maps(lambda value: value))
            if background:
                net.start(threaded=True)
            number = rng.choice([signal.SIGINT, signal.SIGTERM])
            presser = threading.Timer(rng.uniform(0.001, 0.01), os.kill, [os.getpid(), number])
            try:
                presser.start()
                while True:
                    verb(rounds)
            except KeyboardInterrupt:
                presser.join()
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            if not background:
                net._ledger.check()
                net.start()
            assert net.wait_until_blocked(10)
            status = net.poll()
            assert (status.startable, status.waiting_packets, status.running) == (0, 0, 0), status
            net._ledger.check()
            net.stop()
print("fine")
"""


def test_ctrl_c_outside_of_a_run_tears_nothing() -> None:
    """In the main thread, in any verb, beside a net in the background or before any run: it arrives, once."""
    assert python(STRUCK, measured=False).strip() == "fine"


LOOKED_AT = """
import os, signal, sys, tempfile
from netrun import EventHistory, Net
from tests.nets import build, chain, maps

VERBS = {
    "flush": lambda net: net.history.flush(),
    "len": lambda net: len(net.history),
    "entries": lambda net: net.history.get_entries(),
    "timeline": lambda net: net.timeline(),
}


def press(number, frame):
    os.kill(os.getpid(), signal.SIGINT)


signal.signal(signal.SIGALRM, press)
with tempfile.TemporaryDirectory() as folder:
    for name, verb in VERBS.items():
        for pressed_after in (0.001, 0.004, 0.016):
            path = os.path.join(folder, name + str(pressed_after))
            net = Net(chain("A"), history_file=path, history_chunk_size=10**9, history_flush_on_pause=False)
            net.set_node_exec("A", maps(int))
            net.inject_packets("A", "in", range(1000))
            net.start()
            try:
                signal.setitimer(signal.ITIMER_REAL, pressed_after)
                while True:
                    verb(net)
            except KeyboardInterrupt:
                pass
            net.stop()
            ended = [entry for entry in EventHistory.read(path) if entry.entry_type == "epoch"]
            assert len(ended) == 1000, (name, pressed_after, len(ended))
            assert net.history.lost == 0
print("fine")
"""


def test_ctrl_c_while_history_is_looked_at_loses_nothing() -> None:
    assert python(LOOKED_AT, measured=False).strip() == "fine"


def test_ctrl_c_in_a_thread_that_asks_leaves_no_lock_behind() -> None:
    """The main thread polls a net in the background, and is interrupted anywhere."""
    assert python(INTERRUPTED, measured=False).strip() == "fine"
