"""Async nodes side by side, on the caller's loop and on one of the run's own; cancellation; sync and async mixed."""

import asyncio
import contextvars
import sys
import threading
import time
from contextlib import suppress

import pytest

from netrun import Graph, Net, NetState, NetStateError, NodeExecutionFailed
from netrun.async_ import LoopHost
from netrun.driver import MonotonicClock
from tests.nets import JumpingClock, build, chain, contained, eventually, maps, node

TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


def later(seconds=0.0, log=None):
    """An async node function that sends double its value after a while."""

    async def run(ctx, packets):
        value = await ctx.consume_packet(packets["in"][0])
        if log is not None:
            log.append(("begun", value))
        await asyncio.sleep(seconds)
        if log is not None:
            log.append(("ended", value))
        await ctx.send("out", 2 * value)

    return run


def net_of(func, values=(), graph=None, **options):
    net = Net(graph or chain("A"), **options)
    net.set_node_exec("A", func)
    net.inject_packets("A", "in", values)
    return net


def start(net, way):
    """Start a net: synchronously, below a running loop, or on one."""
    if way == "start":
        net.start()
    elif way == "below a loop":

        async def main():
            net.start()

        asyncio.run(main())
    else:
        asyncio.run(net.async_start())


ways = pytest.mark.parametrize("way", ["start", "below a loop", "async_start"])


@ways
def test_epochs_of_async_nodes_run_at_the_same_time(way: str) -> None:
    """All begin before any ends."""
    log: list[tuple[str, int]] = []
    net = net_of(later(0.01, log), range(50))
    start(net, way)
    assert [what for what, _ in log] == ["begun"] * 50 + ["ended"] * 50
    assert sorted(net.take_outputs("A", "out")) == [2 * k for k in range(50)]
    assert net.state is NetState.PAUSED
    net._ledger.check()


@ways
def test_sync_and_async_nodes_in_one_net(way: str) -> None:
    """A is async, B sync, C async; the numbers come through."""
    net = Net(chain("A", "B", "C"))
    net.set_node_exec("A", later())
    net.set_node_exec("B", maps(lambda value: value + 1))
    net.set_node_exec("C", later())
    net.set_node_config("C", defer_net_actions=True)
    net.inject_packets("A", "in", range(20))
    start(net, way)
    assert sorted(net.take_outputs("C", "out")) == [2 * (2 * k + 1) for k in range(20)]
    net._ledger.check()


@ways
def test_sync_epochs_do_not_starve_async_ones(way: str) -> None:
    """The async one ends while there are sync ones to run, which take 0.5 s in all."""
    order = []
    net = Net(Graph([node("A", ["in"], ["out"]), node("B", ["in"], ["out"])], []))

    async def quick(ctx, packets):
        await ctx.consume_packet(packets["in"][0])
        await asyncio.sleep(0.001)
        order.append("A")

    def work(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        time.sleep(0.005)
        order.append("B")

    net.set_node_exec("A", quick)
    net.set_node_exec("B", work)
    net.inject_packets("A", "in", [1])
    net.inject_packets("B", "in", range(100))
    start(net, way)
    assert order.index("A") < 50


@ways
def test_context_variables_reach_node_functions(way: str) -> None:
    """And what one sets reaches no other."""
    seen = []

    async def look(ctx, packets):
        seen.append(TENANT.get())
        TENANT.set(f"of {await ctx.consume_packet(packets['in'][0])}")
        await asyncio.sleep(0)

    net = net_of(look, [1, 2])
    token = TENANT.set("somebody")
    try:
        start(net, way)
        assert TENANT.get() == "somebody"
    finally:
        TENANT.reset(token)
    assert seen == ["somebody"] * 2


@ways
def test_one_loop_for_the_whole_run(way: str) -> None:
    """What the start function opens is of use to node, failure and stop functions; `with` spans several starts."""
    loops = []

    async def note(*args):
        loops.append(asyncio.get_running_loop())

    async def fail(ctx, packets):
        await note()
        raise ValueError

    net = Net(chain("A"), on_error="continue", error_callback=note)
    net.set_node_exec("A", fail, note, note, note)
    net.inject_packets("A", "in", [1])

    if way == "start":
        with net:
            net.start()
            net.inject_packets("A", "in", [2])
            net.run_step()
        assert len(loops) == 2 + 2 * 3
    else:
        start(net, way)
        assert len(loops) == 5
    assert len(set(loops)) == 1
    assert way == "async_start" or loops[0].is_closed()


def test_async_with_and_steps() -> None:
    """Start functions at the beginning of the block, stop functions at its end, waves between."""
    calls = []

    async def opened(net):
        calls.append("start")

    async def closed(net):
        calls.append("stop")

    async def main():
        net = Net(chain("A", "B"))
        net.set_node_exec("A", later(), opened, closed)
        net.set_node_exec("B", later())
        async with net:
            assert calls == ["start"]
            net.inject_packets("A", "in", [1])
            assert await net.async_run_step() is True
            assert len(net.get_startable_epochs_by_node("B")) == 1
            assert await net.async_run_step(start_epochs=False) is False
            assert await net.async_run_step() is True
            assert await net.async_run_step() is False
            assert net.state is NetState.RUNNING
        assert net.state is NetState.STOPPED
        return net.take_outputs("B", "out")

    assert asyncio.run(main()) == [4]
    assert calls == ["start", "stop"]


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("consumes", [False, True])
def test_cancelling_async_start(deferred: bool, consumes: bool) -> None:
    """The attempts are cancelled and have ended; epochs that had not acted are startable again, in order; the others
    leave a record. The net is paused, and goes on."""
    cleaned, forever = [], [True]

    async def stuck(ctx, packets):
        packet = packets["in"][0]
        value = await ctx.consume_packet(packet) if consumes else net.value_store.get_value(packet.id)
        try:
            if forever:
                await asyncio.sleep(3600)
        finally:
            cleaned.append(value)
        if not consumes:
            await ctx.consume_packet(packet)

    net = net_of(stuck, [1, 2, 3])
    net.set_node_config("A", defer_net_actions=deferred)

    async def main():
        task = asyncio.create_task(net.async_start())
        await asyncio.sleep(0.01)
        ids = [epoch.id for epoch in net._ledger._epochs.values()]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return ids

    ids = asyncio.run(main())
    assert sorted(cleaned) == [1, 2, 3]
    assert net.state is NetState.PAUSED
    net._ledger.check()
    letters = net.dead_letter_queue.get_all()
    if consumes and not deferred:
        assert net.get_startable_epochs() == []
        assert sorted(entry.epoch_id for entry in letters) == ids
        assert {entry.reason for entry in letters} == {"interrupted"}
    else:
        assert (net.get_startable_epochs(), letters) == (ids, [])
        forever.clear()
        cleaned.clear()
        asyncio.run(net.async_start())
        assert cleaned == [1, 2, 3]
    net._ledger.check()


def test_an_attempt_that_ends_in_spite_of_the_cancellation_counts() -> None:
    """It caught the `CancelledError` and finished its work: it is committed."""

    async def stubborn(ctx, packets):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await ctx.send("out", await ctx.consume_packet(packets["in"][0]))

    net = net_of(stubborn, [7])

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(net.async_start(), 0.02)

    asyncio.run(main())
    assert net.take_outputs("A", "out") == [7]
    net._ledger.check()


def test_a_task_that_is_cancelled_before_it_has_begun() -> None:
    """Its function was never called; the epoch is startable again."""
    called: list[object] = []

    async def note(ctx, packets):
        called.append(ctx)

    def leave(ctx, packets):
        raise SystemExit

    net = Net(Graph([node("A", ["in"]), node("B", ["in"])], []))
    net.set_node_exec("A", note)
    net.set_node_exec("B", leave)
    net.inject_packets("A", "in", [1])
    net.inject_packets("B", "in", [1])
    with contained(), pytest.raises(SystemExit):
        net.start()
    assert called == []
    assert len(net.get_startable_epochs()) == 2
    net._ledger.check()


@ways
def test_stop_cancels_running_async_attempts(way: str) -> None:
    """From another thread; stop functions run, the net is stopped, and nothing hangs."""
    calls, begun = [], threading.Event()

    async def stuck(ctx, packets):
        begun.set()
        await asyncio.sleep(3600)

    net = net_of(stuck, [1, 2])
    net.set_node_exec("A", stuck, stop_node_func=lambda net: calls.append("stop"))
    thread = threading.Thread(target=start, args=(net, way), daemon=True)
    thread.start()
    assert begun.wait(10)
    net.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert (net.state, calls, len(net.get_startable_epochs())) == (NetState.STOPPED, ["stop"], 2)
    net._ledger.check()


def test_pause_and_stop_on_the_loop_that_runs_it() -> None:
    """The awaitable verbs let it go on; the others say which to use, in place of a deadlock."""
    net = net_of(later(0.02), [1])

    async def main():
        running = asyncio.create_task(net.async_start())
        await asyncio.sleep(0)
        assert net.state is NetState.RUNNING
        with pytest.raises(NetStateError, match="await async_pause"):
            net.pause(wait=True)
        with pytest.raises(NetStateError, match="running"):
            await net.async_start()
        with pytest.raises(NetStateError, match="running"):
            net.start()
        assert await net.async_wait_until_blocked(timeout=0.001) is False
        await net.async_pause(wait=True)
        assert net.state is NetState.PAUSED
        await running
        assert await net.async_wait_until_blocked() is True
        net.inject_packets("A", "in", [2])
        running = asyncio.create_task(net.async_start())
        await asyncio.sleep(0)
        with pytest.raises(NetStateError, match="await async_stop"):
            net.stop()
        await net.async_stop()
        await running

    asyncio.run(main())
    assert net.state is NetState.STOPPED


def test_injecting_on_the_loop_wakes_the_net() -> None:
    """A long epoch runs; what comes meanwhile is done before it ends."""
    log: list[tuple[str, float]] = []

    async def run(ctx, packets):
        seconds = await ctx.consume_packet(packets["in"][0])
        await asyncio.sleep(seconds)
        log.append(seconds)

    net = net_of(run, [0.3])

    async def main():
        running = asyncio.create_task(net.async_start())
        await asyncio.sleep(0.01)
        net.inject_packets("A", "in", [0.001])
        await running

    asyncio.run(main())
    assert log == [0.001, 0.3]


@pytest.mark.parametrize("way", ["start", "async_start"])
def test_a_time_out_cancels_the_task(way: str) -> None:
    """At the deadline, under a clock that jumps; the next attempt may succeed."""
    cleaned = []

    async def slow_once(ctx, packets):
        if ctx.retry_count == 0:
            try:
                await asyncio.sleep(3600)
            finally:
                cleaned.append("cancelled")
        await ctx.send("out", await ctx.consume_packet(packets["in"][0]))

    net = net_of(slow_once, [1])
    net._driver.clock = clock = JumpingClock()
    net.set_node_config("A", defer_net_actions=True, timeout=60, retries=1, retry_wait=5)
    start(net, way)
    assert (clock.jumps, cleaned, net.take_outputs("A", "out")) == ([60, 65], ["cancelled"], [1])
    net._ledger.check()


def test_a_task_that_will_not_end_does_not_hold_start_up(monkeypatch, caplog) -> None:
    """It has run out of time, and ignores that it is cancelled."""
    from netrun import async_

    monkeypatch.setattr(async_, "WIND_UP", 0.05)
    go = [True]

    async def deaf(ctx, packets):
        while go:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    net = net_of(deaf, [1])
    net.set_node_config("A", timeout=0.02)
    begun = time.monotonic()
    with pytest.raises(NodeExecutionFailed):
        net.start()
    assert time.monotonic() - begun < 5
    assert "has not ended though it was cancelled" in caplog.text
    go.clear()


def test_ten_thousand_sleeping_epochs_at_once() -> None:
    """All of them are there before one ends."""
    most, now = [0], [0]

    async def run(ctx, packets):
        await ctx.consume_packet(packets["in"][0])
        now[0] += 1
        most[0] = max(most[0], now[0])
        while most[0] < 10_000:
            await asyncio.sleep(0.5)
        now[0] -= 1

    net = net_of(run, range(10_000))
    net.start()
    assert (most, now) == ([10_000], [0])


@pytest.mark.parametrize("kind", [ValueError, asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_what_an_async_node_raises_while_others_run(kind) -> None:
    """Those that interrupt cancel the others; a failure lets them end."""
    ended = []

    async def run(ctx, packets):
        value = await ctx.consume_packet(packets["in"][0])
        if value == 0:
            raise kind
        await asyncio.sleep(0.02)
        ended.append(value)

    net = net_of(run, [1, 0, 2])
    net.set_node_config("A", defer_net_actions=True)
    interrupts = kind in (KeyboardInterrupt, SystemExit)
    with pytest.raises(kind if interrupts else NodeExecutionFailed):
        net.start()
    assert ended == ([] if interrupts else [1, 2])
    assert len(net.get_startable_epochs()) == (3 if interrupts else 0)
    net._ledger.check()


def test_what_a_running_epoch_sends_starts_at_once() -> None:
    """Though the sender has long to go: the nodes behind it work meanwhile."""
    log: list[str] = []
    received = asyncio.Event()

    async def stream(ctx, packets):
        await ctx.consume_packet(packets["in"][0])
        for number in range(3):
            received.clear()
            log.append(f"send {number}")
            await ctx.send("out", number)
            await asyncio.wait_for(received.wait(), 10)

    def receive(ctx, packets):
        log.append(f"got {ctx.consume_packet(packets['in'][0])}")
        received.set()

    net = build(chain("A", "B"), A=stream, B=receive)
    net.inject_packets("A", "in", [1])
    net.start()
    assert log == ["send 0", "got 0", "send 1", "got 1", "send 2", "got 2"]
    assert net._ledger.waiter is None


def test_stop_does_not_lose_what_a_node_raised_by_itself() -> None:
    """Its `CancelledError` is in the mailbox when the net is stopped: a failed attempt, and nothing hangs."""
    gate = asyncio.Event()

    async def run(ctx, packets):
        value = await ctx.consume_packet(packets["in"][0])
        await gate.wait()
        if value == 1:
            raise asyncio.CancelledError("own")
        if value == 2:
            net.stop()

    net = net_of(run, [0, 1, 2, 3], on_error="continue")

    async def main():
        running = asyncio.create_task(net.async_start())
        await asyncio.sleep(0.01)
        gate.set()
        await asyncio.wait_for(running, 10)

    asyncio.run(main())
    assert net.state is NetState.STOPPED
    assert net._engine.running == {}
    assert [str(entry.exception) for entry in net.dead_letter_queue][:1] == ["own"]
    net._ledger.check()


def test_outcomes_that_came_with_one_that_interrupts_count() -> None:
    """They were brought in the same breath, while a sync epoch ran: finished work is not interrupted work."""

    async def run(ctx, packets):
        value = await ctx.consume_packet(packets["in"][0])
        if value == "k":
            raise SystemExit
        await ctx.send("out", value)

    def slow(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        time.sleep(0.02)

    net = Net(Graph([node("A", ["in"], ["out"]), node("B", ["in"])], []))
    net.set_node_exec("A", run)
    net.set_node_exec("B", slow)
    net.inject_packets("A", "in", ["k", "x", "y"])
    net.inject_packets("B", "in", [1])
    with contained(), pytest.raises(SystemExit):
        net.start()
    assert net.take_outputs("A", "out") == ["x", "y"]
    assert len(net.dead_letter_queue) == 1
    net._ledger.check()


def test_outcomes_that_come_while_others_are_taken() -> None:
    """From another thread: each arrives, once."""
    count = 50_000

    async def take() -> list[int]:
        host, taken = LoopHost(MonotonicClock()), []
        bringer = threading.Thread(target=lambda: [host.put(number) for number in range(count)])
        bringer.start()
        while bringer.is_alive() or host._outcomes:
            taken += host.ready()
        return taken

    switches = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        assert asyncio.run(take()) == list(range(count))
    finally:
        sys.setswitchinterval(switches)


@pytest.mark.parametrize("breathes", [False, True])
def test_a_wake_up_that_was_not_waited_for_is_no_wake_up_lost(breathes: bool) -> None:
    """A pause from inside a node wakes a driver that does not wait; a stop later still reaches it at once."""
    begun = threading.Event()

    async def sleepy(ctx, packets):
        await ctx.consume_packet(packets["in"][0])
        begun.set()
        await asyncio.sleep(3600)

    def pausing(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        if breathes:
            time.sleep(0.02)
        net.pause()

    net = Net(Graph([node("A", ["in"]), node("B", ["in"])], []))
    net.set_node_exec("A", sleepy)
    net.set_node_exec("B", pausing)
    net.inject_packets("B", "in", [1])
    if not breathes:
        net.start()
    net.inject_packets("A", "in", [1])
    thread = threading.Thread(target=net.start, daemon=True)
    thread.start()
    if breathes:
        eventually(lambda: net._engine.paused_by)
    else:
        assert begun.wait(10)
    net.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert net.state is NetState.STOPPED
