"""Pace and parallelism: each node its own, together too, on every carrier."""

import asyncio
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from netrun import (
    ConfigError,
    EpochLimitReached,
    Graph,
    Net,
    NetState,
    NodeConfig,
    NodeExecutionFailed,
    PacketValueStore,
)
from netrun.execution import Ending, Engine, Outcome, Task
from netrun.ledger import Ledger
from netrun.limits import Pace, Parallel, limits_of
from tests.graphs import edge
from tests.nets import JumpingClock, build, chain, collects, eventually, maps, node

CARRIERS = ["inline", "thread", "async"]


def work(carrier: str, body: Callable[[Any], float | None]) -> Callable[..., Any]:
    """A node function that calls `body` with its value, and sleeps as long as that says."""

    def run(ctx, packets):
        time.sleep(body(ctx.consume_packet(packets["in"][0])) or 0)

    async def run_async(ctx, packets):
        await asyncio.sleep(body(await ctx.consume_packet(packets["in"][0])) or 0)

    return run_async if carrier == "async" else run


def net_on(carrier: str, body: Callable[[Any], float | None], values: Any = (), **options: Any) -> Net:
    """A net of one node on a carrier."""
    net = build(chain("A"), A=work(carrier, body))
    net.set_node_config("A", timeout=60 if carrier == "thread" else None, **options)
    net.inject_packets("A", "in", values)
    return net


# -- pace --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_two_calls_are_closer_than_the_rate_allows(carrier: str) -> None:
    """As the function itself sees the clock; the order stays."""
    begun: list[tuple[int, float]] = []
    net = net_on(carrier, lambda value: begun.append((value, time.monotonic())), range(40), rate_limit_per_second=100)
    net.start()
    assert [value for value, _ in begun] == list(range(40))
    gaps = [after - before for (_, before), (_, after) in pairwise(begun)]
    # (A machine may stop a thread between the call and the function's first line, which then sees the clock too late.)
    assert sum(gap < 1 / 100 for gap in gaps) <= 4
    assert min(gaps) > 0.005


@pytest.mark.parametrize("carrier", ["inline", "async"])
def test_the_first_begins_at_once_then_each_at_its_moment(carrier: str) -> None:
    """The clock is asked to wait once for each of the others: nothing is polled, and other nodes do not wait."""
    begun: list[tuple[str, int, float]] = []
    clock = JumpingClock()
    net = build(Graph([node("A", ["in"]), node("B", ["in"])], []), clock)
    for name in "AB":
        net.set_node_exec(name, work(carrier, lambda value, name=name: begun.append((name, value, clock.time))))
    net.set_node_config("A", rate_limit_per_second=50)
    net.inject_packets("A", "in", range(200))
    net.inject_packets("B", "in", range(10))
    net.start()
    assert [moment for name, _, moment in begun if name == "B"] == [0.0] * 10
    values, moments = zip(*[(value, moment) for name, value, moment in begun if name == "A"], strict=True)
    assert values == tuple(range(200))
    assert moments[0] == 0.0
    assert all(1 / 50 <= after - before < 1.03 / 50 for before, after in pairwise(moments))
    assert len(clock.jumps) == 199
    net._ledger.check()


def test_unused_time_is_not_saved_up() -> None:
    """After an hour without work the gap is what it was."""
    clock, moments = JumpingClock(), list[float]()
    net = net_on("inline", lambda value: moments.append(clock.time), [1], rate_limit_per_second=2)
    net._driver.clock = clock
    net.start()
    clock.time = 3600.0
    net.inject_packets("A", "in", [2, 3])
    net.start()
    assert moments[:2] == [0.0, 3600.0]
    assert moments[2] == pytest.approx(3600.5, abs=0.002)


def test_a_long_function_does_not_wait_once_more() -> None:
    """The gap is from beginning to beginning."""
    clock, moments = JumpingClock(), list[float]()

    def body(value):
        moments.append(clock.time)
        clock.time += 7

    net = net_on("inline", body, range(3), rate_limit_per_second=1)
    net._driver.clock = clock
    net.start()
    assert moments == [0.0, 7.0, 14.0]


def test_the_gap_counts_from_when_the_function_was_called() -> None:
    """Not from when the attempt was handed to a carrier that took its time."""
    attempt = Attempt()
    pace = Pace(10)
    pace.begun(attempt, 5.0)
    assert pace.admit(5.0) == pytest.approx(5.101)
    attempt.begun = 6.0
    assert pace.admit(6.0) == pytest.approx(6.101)
    attempt.begun = 4.0  # a clock of its own that is behind: the later one counts
    pace.begun(attempt, 7.0)
    assert pace.admit(7.0) == pytest.approx(7.101)


@pytest.mark.parametrize("rate", [300, 1000])
def test_a_call_that_is_on_its_way_holds_the_next_back(rate: int) -> None:
    """A busy sync node keeps the loop from calling the async one: what was handed over meanwhile was not called."""
    handed: list[float] = []

    def spin(ctx, packets):
        end = time.monotonic() + 0.002
        while time.monotonic() < end:
            pass
        ctx.consume_packet(packets["in"][0])

    net = build(Graph([node("A", ["in"]), node("B", ["in"])], []), A=spin)
    net.set_node_exec("B", work("async", lambda value: handed.append(time.monotonic())))
    net.set_node_config("B", rate_limit_per_second=rate)
    net.inject_packets("A", "in", range(40))
    net.inject_packets("B", "in", range(20))
    net.start()
    gaps = [after - before for before, after in pairwise(handed)]
    assert len(gaps) == 19
    assert sum(gap < 1 / rate for gap in gaps) <= 2


def test_what_was_cancelled_before_it_was_called_holds_nobody_back() -> None:
    """The gap counts from when it was handed over."""
    pace, attempt = Pace(10), Attempt()
    pace.begun(attempt, 1.0)
    assert pace.admit(5.0) == pytest.approx(5.012625)  # perhaps it is being called: ask again soon
    pace.ended(attempt)
    assert pace.admit(5.0) == pytest.approx(1.101)


class Attempt:
    """What a pace needs of an attempt."""

    begun: float | None = None


def test_every_attempt_counts_for_the_rate() -> None:
    """What the limit protects is called again by a retry."""
    clock, moments = JumpingClock(), list[tuple[int, float]]()

    def body(value):
        moments.append((value, clock.time))
        if value == 0 and len(moments) < 3:
            raise ValueError

    net = net_on("inline", body, range(3), rate_limit_per_second=1, defer_net_actions=True, retries=5, retry_wait=0.1)
    net._driver.clock = clock
    net.start()
    assert [value for value, _ in moments] == [0, 0, 0, 1, 2]
    assert all(after - before >= 1 for (_, before), (_, after) in pairwise(moments))
    assert net.poll().finished == 3
    net._ledger.check()


def test_a_pause_while_waiting_for_the_pace() -> None:
    """`start` returns at once; the pace is kept over the pause."""
    clock, moments = JumpingClock(), list[float]()
    clock.before_jump = lambda: len(moments) == 2 and clock.time < 15 and net.pause()
    net = net_on("inline", lambda value: moments.append(clock.time), range(4), rate_limit_per_second=0.1)
    net._driver.clock = clock
    net.start()
    assert len(moments) == 2
    assert (net.state, net.poll().startable, net.poll().blocked) == (NetState.PAUSED, 2, True)
    net._ledger.check()
    clock.before_jump = lambda: None
    net.start()
    assert len(moments) == 4
    assert all(after - before >= 10 for before, after in pairwise(moments))


def test_a_step_waits_for_its_own_epochs_only() -> None:
    """What was startable at its beginning is its wave, delayed as the limit says; what comes meanwhile is not."""
    clock, done = JumpingClock(), list[int]()

    def body(value):
        done.append(value)
        if value == 0:
            net.inject_packets("A", "in", [9])

    net = net_on("inline", body, range(3), rate_limit_per_second=1)
    net._driver.clock = clock
    assert net.run_step()
    assert done == [0, 1, 2]
    assert len(clock.jumps) == 2
    net._ledger.check()
    assert net.run_step()
    assert done == [0, 1, 2, 9]
    net.stop()


def test_no_cpu_is_used_while_waiting() -> None:
    """The clock waits once, blocking; counted, since a time would depend on the machine."""
    waits: list[float | None] = []
    net = net_on("inline", lambda value: None, range(2), rate_limit_per_second=10)
    real = net._driver.clock

    class Counting:
        now = staticmethod(real.now)

        def wait(self, mailbox, until):
            waits.append(until)
            return real.wait(mailbox, until)

    net._driver.clock = Counting()
    net.start()
    assert len(waits) <= 2  # the system may wake it a moment too early


# -- parallelism -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 3, 100])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_never_more_at_once(carrier: str, most: int) -> None:
    """And as many as may, where the carrier can; each packet once, in order of beginning."""
    now, peak, begun, all_there = [0], [0], list[int](), asyncio.Event()

    async def run_async(ctx, packets):
        value = await ctx.consume_packet(packets["in"][0])
        begun.append(value)
        now[0] += 1
        peak[0] = max(now[0], peak[0])
        if now[0] == min(most, 60):
            all_there.set()
        await asyncio.wait_for(all_there.wait(), 20)  # nobody ends before as many run as may
        await asyncio.sleep(0.001 * (value % 3))
        now[0] -= 1

    def run(ctx, packets):
        begun.append(ctx.consume_packet(packets["in"][0]))
        now[0] += 1
        peak[0] = max(now[0], peak[0])
        now[0] -= 1

    net = build(chain("A"), A=run_async if carrier == "async" else run)
    net.set_node_config("A", max_parallel_epochs=most, timeout=60 if carrier == "thread" else None)
    net.inject_packets("A", "in", range(60))
    net.start()
    assert begun == list(range(60))
    assert peak == [min(most, 60) if carrier == "async" else 1]
    net._ledger.check()


def test_each_node_has_its_own_limit() -> None:
    """A full node holds no other up."""
    log: list[tuple[str, int]] = []
    gate = asyncio.Event()

    async def slow(ctx, packets):
        await ctx.consume_packet(packets["in"][0])
        log.append(("A", 0))
        await gate.wait()

    async def quick(ctx, packets):
        await ctx.consume_packet(packets["in"][0])
        log.append(("B", 0))
        if log.count(("B", 0)) == 20:
            gate.set()

    net = build(Graph([node("A", ["in"]), node("B", ["in"])], []), A=slow, B=quick)
    net.set_node_config("A", max_parallel_epochs=1)
    net.set_node_config("B", max_parallel_epochs=2)
    net.inject_packets("A", "in", range(3))
    net.inject_packets("B", "in", range(20))
    net.start()
    assert log.index(("B", 0)) == 1
    assert log[:21].count(("A", 0)) == 1
    assert net.poll().finished == 23


def test_an_epoch_that_waits_for_its_retry_takes_nobodys_place() -> None:
    """With one place, the others run while the failed one waits; its next attempt comes first when it is due."""
    clock, log = JumpingClock(), list[tuple[int, float]]()

    def body(value):
        log.append((value, clock.time))
        if value == 0 and clock.time < 5:
            raise ValueError
        clock.time += 1

    net = net_on("inline", body, range(8), max_parallel_epochs=1, defer_net_actions=True, retries=1, retry_wait=5)
    net._driver.clock = clock
    net.start()
    assert log == [(0, 0.0), (1, 0.0), (2, 1.0), (3, 2.0), (4, 3.0), (5, 4.0), (0, 5.0), (6, 6.0), (7, 7.0)]
    net._ledger.check()


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
def test_a_failed_attempt_gives_its_place_back(error: type[BaseException]) -> None:
    """Whatever it failed with."""

    async def fail(ctx, packets):
        await ctx.consume_packet(packets["in"][0])
        raise error

    net = Net(chain("A"), on_error="continue")
    net.set_node_exec("A", fail)
    net.set_node_config("A", max_parallel_epochs=2)
    net.inject_packets("A", "in", range(9))
    net.start()
    assert net.poll().failed == 9
    net._ledger.check()


def test_a_timed_out_attempt_gives_its_place_back() -> None:
    """Though its thread may go on: the net cannot stop that."""
    release = threading.Event()
    net = Net(chain("A"), on_error="continue")
    net.set_node_exec("A", lambda ctx, packets: release.wait())
    net.set_node_config("A", max_parallel_epochs=1, timeout=60)
    net._driver.clock = JumpingClock()
    net.inject_packets("A", "in", range(3))
    net.start()
    release.set()
    assert net.poll().failed == 3
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("netrun node")])


def test_an_interrupted_attempt_gives_its_place_back() -> None:
    """And runs again in the next run."""
    net = net_on("inline", lambda value: None, range(2), max_parallel_epochs=1, defer_net_actions=True)
    calls: list[int] = []

    def once(ctx, packets):
        calls.append(ctx.consume_packet(packets["in"][0]))
        if len(calls) == 1:
            raise KeyboardInterrupt

    net.set_node_exec("A", once)
    with pytest.raises(KeyboardInterrupt):
        net.start()
    net.start()
    assert calls == [0, 0, 1]


# -- together, and changed while it runs ---------------------------------------------------------------------------


def test_both_limits_hold_together() -> None:
    """A place that is free is not taken before its moment, nor a moment before there is a place."""
    ledger = Ledger(chain("A"), PacketValueStore())
    task = Task("A", NodeConfig(defer_net_actions=True), exec_node_func=print)
    task.limits = limits_of(NodeConfig(max_parallel_epochs=2, rate_limit_per_second=1))
    engine = Engine(ledger, {"A": task})
    ledger.inject("A", "in", range(5))

    def finish(attempt):
        for packet in attempt.epoch._entered:
            attempt.recording.consume(attempt, packet, attempt.recording.ask(attempt, packet))
        assert engine.conclude(Outcome(attempt, Ending.FINISHED)) is None

    def begin(now):
        attempt = engine.begin(now)
        attempt.begun = now
        return attempt

    first = begin(0.0)
    assert (engine.begin(0.5), engine.deadline()) == (None, pytest.approx(1.001))
    second = begin(1.01)
    assert (engine.begin(3.0), engine.deadline()) == (None, None)  # full: no moment will change that
    finish(first)
    third = begin(5.0)
    finish(second)
    assert (engine.begin(5.1), engine.deadline()) == (None, pytest.approx(6.001))  # a place, but not yet
    begin(6.01)
    finish(third)
    assert engine.begin(7.02) is not None
    ledger.check()


def test_a_limit_that_is_lifted_while_the_net_waits_takes_effect_at_once() -> None:
    """From another thread; and one that is narrowed counts those that run already."""
    running, peak, gate = set[int](), [0], threading.Event()

    async def run(ctx, packets):
        value = await ctx.consume_packet(packets["in"][0])
        running.add(value)
        peak[0] = max(peak[0], len(running))
        while not gate.is_set():
            await asyncio.sleep(0.001)
        running.discard(value)

    net = build(chain("A"), A=run)
    net.set_node_config("A", max_parallel_epochs=1)
    net.inject_packets("A", "in", range(10))
    net.start(threaded=True)
    eventually(lambda: len(running) == 1)
    net.set_node_config("A", max_parallel_epochs=4)
    eventually(lambda: len(running) == 4)
    net.set_node_config("A", max_parallel_epochs=2)
    gate.set()
    assert net.wait_until_blocked(10)
    assert (peak, net.poll().finished) == ([4], 10)
    net.set_node_config("A", max_parallel_epochs=None)
    gate.clear()
    net.inject_packets("A", "in", range(10))
    eventually(lambda: len(running) == 10)
    gate.set()
    net.stop()


def test_a_pace_that_is_quickened_takes_effect_at_once() -> None:
    """An hour's gap is over when the limit is."""
    done: list[int] = []
    net = net_on("inline", lambda value: done.append(value), range(3), rate_limit_per_second=1 / 3600)
    net.start(threaded=True)
    eventually(lambda: done == [0])
    net.set_node_config("A", rate_limit_per_second=None)
    assert net.wait_until_blocked(10)
    assert done == [0, 1, 2]
    net.stop()


def test_a_retry_that_is_held_by_a_pace_goes_on_when_that_is_lifted() -> None:
    """Not only what is new."""
    log: list[int] = []

    def body(value):
        log.append(value)
        if len(log) == 1:
            raise ValueError

    net = net_on("inline", body, [1], rate_limit_per_second=1 / 3600, defer_net_actions=True, retries=1)
    net.start(threaded=True)
    eventually(lambda: net.poll().retrying == 1)
    net.set_node_config("A", rate_limit_per_second=None)
    assert net.wait_until_blocked(10)
    assert log == [1, 1]
    net.stop()


@pytest.mark.parametrize("carrier", ["thread pool", "async"])
def test_a_limit_that_is_set_while_the_net_runs_counts_what_runs(carrier: str) -> None:
    """Three run; then two may. Nothing begins until two of them have ended, and never are there more than two then."""
    release, running, most = threading.Semaphore(0), [], [0]

    def enter(value):
        running.append(value)
        most[0] = max(most[0], len(running))

    def run(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        enter(value)
        release.acquire()
        running.remove(value)

    async def run_async(ctx, packets):
        value = await ctx.consume_packet(packets["in"][0])
        enter(value)
        while not release.acquire(blocking=False):
            await asyncio.sleep(0.001)
        running.remove(value)

    net = Net(chain("A"), thread_pools={"io": {"size": 8}})
    net.set_node_exec("A", run_async if carrier == "async" else run)
    net.set_node_config("A", pool="io" if carrier == "thread pool" else None)
    net.inject_packets("A", "in", range(3))
    net.start(threaded=True)
    eventually(lambda: len(running) == 3)
    net.set_node_config("A", max_parallel_epochs=2)
    net.inject_packets("A", "in", range(3, 9))
    net.set_node_config("A", timeout=60)  # what is told once more is not counted once more
    release.release()
    eventually(lambda: net.poll().finished == 1)
    time.sleep(0.02)
    assert most == [3]
    assert len(running) == 2
    most[0] = 0
    for _ in range(8):
        release.release()
    assert net.wait_until_blocked(10)
    assert most[0] <= 2
    assert net.poll().finished == 9
    net.stop()
    net._ledger.check()


def test_limits_are_made_of_options() -> None:
    """Changed in place, so that what they have counted stays; dropped when the option is."""
    none = limits_of(NodeConfig())
    both = limits_of(NodeConfig(max_parallel_epochs=2, rate_limit_per_second=5))
    parallel, pace = both
    assert (none, type(parallel), type(pace)) == ((), Parallel, Pace)
    assert limits_of(NodeConfig(max_parallel_epochs=7), both) == (parallel,)
    assert parallel.most == 7
    assert limits_of(NodeConfig(rate_limit_per_second=9), both) == (pace,)
    assert limits_of(NodeConfig(), both) == ()


@pytest.mark.parametrize(
    "options",
    [
        {"rate_limit_per_second": 0},
        {"rate_limit_per_second": -1},
        {"rate_limit_per_second": True},
        {"rate_limit_per_second": float("nan")},
        {"rate_limit_per_second": 1e-320},
        {"max_parallel_epochs": 0},
        {"max_parallel_epochs": 1.0},
        {"max_parallel_epochs": True},
        {"max_parallel_epochs": "2"},
    ],
)
def test_bad_limits_are_refused(options: dict[str, Any]) -> None:
    """Where they are set; the old ones stay."""
    net = net_on("inline", lambda value: None, max_parallel_epochs=2)
    with pytest.raises(ConfigError, match=next(iter(options))):
        net.set_node_config("A", **options)
    assert net.get_node_config("A").max_parallel_epochs == 2


# -- max_epochs --------------------------------------------------------------------------------------------------------


def endless(**options: Any) -> tuple[Net, list[int]]:
    """A cycle that never ends."""
    log: list[Any] = []
    graph = chain("A", "B")
    edges = [*graph.edges(), edge("B.out", "A.in")]
    net = Net(Graph([node(name, ["in"], ["out"]) for name in "AB"], edges), **options)
    for name in "AB":
        net.set_node_exec(name, maps(lambda value: value + 1, log))
    net.inject_packets("A", "in", [0])
    return net, log


def test_a_net_that_would_run_for_ever_is_paused() -> None:
    """Nothing is lost; each start counts anew."""
    net, log = endless(max_epochs=10)
    for turn in (1, 2, 3):
        with pytest.raises(EpochLimitReached) as caught:
            net.start()
        assert caught.value.limit == 10
        assert len(log) == 10 * turn
        assert (net.state, net.poll().paused_by, net.poll().startable) == (NetState.PAUSED, "limit", 1)
        assert net.error is None
        net._ledger.check()
    assert not net.run_step()
    net.stop()


def test_as_many_as_allowed_is_not_one_too_many() -> None:
    """The limit is reached when one more would start."""
    done: list[Any] = []
    net = Net(chain("A"), max_epochs=3)
    net.set_node_exec("A", collects(done))
    net.inject_packets("A", "in", range(3))
    net.start()
    assert (len(done), net.poll().paused_by) == (3, None)
    net.inject_packets("A", "in", range(4))
    with pytest.raises(EpochLimitReached):
        net.start()
    assert len(done) == 6


def test_steps_of_one_run_count_together() -> None:
    """`resume` counts anew."""
    net, log = endless(max_epochs=3)
    with net:
        for _ in range(3):
            assert net.run_step()
        with pytest.raises(EpochLimitReached):
            net.run_step()
        assert len(log) == 3
        assert not net.run_step()
        net.resume()
        assert net.run_step()
        assert len(log) == 4


def test_the_limit_in_the_background() -> None:
    """Raised by who waits, once; `resume` goes on."""
    net, log = endless(max_epochs=5)
    net.start(threaded=True)
    for turn in (1, 2):
        with pytest.raises(EpochLimitReached):
            net.wait_until_blocked(10)
        assert len(log) == 5 * turn
        assert net.wait_until_blocked(10)
        assert net.state is NetState.PAUSED
        net.resume()
    with pytest.raises(EpochLimitReached):
        net.wait_until_blocked(10)
    net.stop()


def test_a_failure_and_the_limit_leave_together() -> None:
    """Neither is lost."""

    async def run(ctx, packets):
        value = await ctx.consume_packet(packets["in"][0])
        await asyncio.sleep(0.01)
        if value == 0:
            raise ValueError("no")

    net = Net(chain("A"), max_epochs=2)
    net.set_node_exec("A", run)
    net.inject_packets("A", "in", range(3))
    with pytest.raises(NodeExecutionFailed) as caught:
        net.start()
    assert [type(cause) for cause in caught.value.__cause__.exceptions] == [ValueError, EpochLimitReached]  # type: ignore[union-attr]


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "10"])
def test_a_bad_limit_of_epochs_is_refused(bad: Any) -> None:
    """At construction."""
    with pytest.raises(ConfigError, match="max_epochs"):
        Net(chain("A"), max_epochs=bad)


def test_bad_signal_options_are_refused() -> None:
    """At construction."""
    with pytest.raises(ConfigError, match="handle_signals"):
        Net(chain("A"), handle_signals=1)  # type: ignore[arg-type]
