"""Attempts, their counts, their order and their waits, under a clock that jumps."""

import asyncio
import random
import threading
from datetime import UTC, datetime

import pytest

from netrun import ConfigError, EpochTimeout, Graph, Net, NetState, NodeConfig, NodeExecutionFailed
from netrun.failures import RetryPolicy, retry_delay
from tests.nets import JumpingClock, build, chain, contained, maps, node


class Flaky:
    """A node function that raises what it is given, one a call, then sends its value."""

    def __init__(self, clock, *errors):
        self.clock, self.errors, self.begun = clock, list(errors), []

    def __call__(self, ctx, packets):
        self.begun.append((self.clock.now(), ctx.retry_count, [type(e) for e in ctx.retry_exceptions]))
        value = ctx.consume_packet(packets["in"][0])
        ctx.send("out", "of a failed attempt" if self.errors else value)
        if self.errors:
            raise self.errors.pop(0)


def as_async(func):
    """The same node function, async."""

    class Now:
        def __init__(self, ctx):
            self._ctx, self.sent, self.consumed = ctx, [], []

        def __getattr__(self, name):
            return getattr(self._ctx, name)

    async def run(ctx, packets):
        values = {p.id: await ctx.consume_packet(p) for some in packets.values() for p in some}
        face, sent = Now(ctx), []
        face.consume_packet = lambda packet: values[packet.id]
        face.send = lambda port, value: sent.append((port, value))
        try:
            func(face, packets)
        finally:
            for port, value in sent:
                await ctx.send(port, value)

    return run


def retrying(errors, *, is_async=False, clock=None, failed=None, **options):
    clock = clock or JumpingClock()
    flaky = Flaky(clock, *errors)
    net = build(chain("A"), clock)
    net.set_node_exec("A", as_async(flaky) if is_async else flaky, exec_failed_node_func=failed)
    net.set_node_config("A", defer_net_actions=True, **options)
    net.inject_packets("A", "in", ["value"])
    return net, flaky


both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@both
@pytest.mark.parametrize("success_on", [1, 2, 3, 4])
def test_success_on_attempt_k(success_on: int, is_async: bool) -> None:
    """Exactly k attempts, k - 1 failure calls, each told of those before; only the last one's packets count."""
    told = []
    errors = [ValueError(str(k)) for k in range(1, success_on)]
    net, flaky = retrying(
        errors, is_async=is_async, retries=3, failed=lambda f: told.append((f.retry_count, f.exception))
    )
    net.start()
    assert [count for _, count, _ in flaky.begun] == list(range(success_on))
    assert [classes for *_, classes in flaky.begun] == [[ValueError] * k for k in range(success_on)]
    assert [(count, str(error)) for count, error in told] == [(k, str(k + 1)) for k in range(success_on - 1)]
    assert net.take_outputs("A", "out") == ["value"]
    assert len(net.dead_letter_queue) == 0
    net._ledger.check()


@both
def test_exhaustion(is_async: bool) -> None:
    """`retries` counts those after the first; the error has how many there were, and the last one's exception."""
    told = []
    errors = [ValueError(k) for k in range(5)]
    net, flaky = retrying(errors, is_async=is_async, retries=2, failed=lambda failure: told.append(failure.retry_count))
    with pytest.raises(NodeExecutionFailed) as raised:
        net.start()
    assert (raised.value.attempts, raised.value.original_exception.args, told) == (3, (2,), [0, 1, 2])
    assert raised.value.__cause__ is raised.value.original_exception
    assert len(flaky.begun) == 3
    (letter,) = net.dead_letter_queue
    assert (letter.retry_count, [e.args for e in letter.retry_exceptions]) == (2, [(0,), (1,)])
    assert len(letter.retry_timestamps) == 2
    assert net.take_outputs("A", "out") == []
    net._ledger.check()


def test_the_waits() -> None:
    """wait · backoff^(k-1), and nothing waits before the first."""
    net, flaky = retrying([OSError()] * 3, retries=3, retry_wait=2, retry_backoff=3)
    net.start()
    assert [at for at, *_ in flaky.begun] == [0, 2, 8, 26]


def test_jitter_stays_within_its_share_and_spreads() -> None:
    """Seeded, so the same each time."""
    config = NodeConfig(defer_net_actions=True, retries=1, retry_wait=10, retry_jitter=0.25)
    draws = random.Random(1)
    waits = [retry_delay(config, 1, draws.uniform(-1, 1)) for _ in range(500)]
    assert 7.5 <= min(waits) < 7.6
    assert 12.4 < max(waits) <= 12.5
    policy = RetryPolicy(random.Random(1))
    net, flaky = retrying([OSError()], retries=1, retry_wait=10, retry_jitter=0.25)
    net._engine.judge = policy
    net.start()
    assert flaky.begun[1][0] == waits[0]


@pytest.mark.parametrize(
    ("retry_on", "error", "attempts"),
    [
        (OSError, ConnectionError(), 2),
        (OSError, ValueError(), 1),
        ((ValueError, KeyError), KeyError(), 2),
        ([ValueError], ValueError(), 2),
        ((), ValueError(), 1),
        (None, ValueError(), 2),
    ],
)
def test_retry_on(retry_on, error, attempts) -> None:
    """Only what is named is worth another attempt; subclasses count."""
    net, flaky = retrying([error], retries=1, retry_on=retry_on)
    if attempts == 1:
        with pytest.raises(NodeExecutionFailed, match="1 attempt"):
            net.start()
    else:
        net.start()
    assert len(flaky.begun) == attempts


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_waiting_retry_holds_nothing_up(is_async: bool) -> None:
    """A waits for 10 s; all of B runs at once."""
    clock, seen = JumpingClock(), []
    flaky = Flaky(clock, OSError())
    net = build(Graph([node("A", ["in"], ["out"]), node("B", ["in"], ["out"])], []), clock)
    net.set_node_exec("A", as_async(flaky) if is_async else flaky)
    net.set_node_config("A", defer_net_actions=True, retries=1, retry_wait=10)
    net.set_node_exec("B", maps(lambda value: seen.append((clock.now(), value))))
    net.inject_packets("A", "in", ["a"])
    net.inject_packets("B", "in", range(5))
    net.start()
    assert seen == [(0.0, k) for k in range(5)]
    assert [at for at, *_ in flaky.begun] == [0, 10]


def test_a_time_out_on_attempt_1_and_success_on_2() -> None:
    """The time-out counts as its `EpochTimeout`."""
    begun = []
    release = threading.Event()

    def slow_once(ctx, packets):
        begun.append((ctx.retry_count, [type(error) for error in ctx.retry_exceptions]))
        if ctx.retry_count == 0:
            release.wait(20)
            return
        ctx.send("out", ctx.consume_packet(packets["in"][0]))

    class TwoClocks(JumpingClock):
        """Jumps for the first attempt, is patient for the second."""

        def wait(self, mailbox, until):
            if len(self.jumps) < 1:
                return super().wait(mailbox, until)
            return mailbox.get(timeout=10)

    net = build(chain("A"), TwoClocks(), A=slow_once)
    net.set_node_config("A", defer_net_actions=True, retries=1, timeout=5, retry_on=EpochTimeout)
    net.inject_packets("A", "in", [7])
    net.start()
    release.set()
    assert begun == [(0, []), (1, [EpochTimeout])]
    assert net.take_outputs("A", "out") == [7]


def test_cancel_epoch_in_the_middle_is_no_failure() -> None:
    """No retry, no dead letter, no callback, no failure function; after a failure before it, too."""
    told, heard = [], []

    def fails_then_cancels(ctx, packets):
        if ctx.retry_count == 0:
            raise ValueError
        ctx.cancel_epoch()

    net = Net(chain("A"), error_callback=lambda *args: heard.append(args))
    net.set_node_exec("A", fails_then_cancels, exec_failed_node_func=lambda failure: told.append(failure.retry_count))
    net.set_node_config("A", defer_net_actions=True, retries=5)
    net.inject_packets("A", "in", [1, 2])
    net.start()
    assert (told, heard, len(net.dead_letter_queue)) == ([0, 0], [], 0)
    assert net.get_startable_epochs() == []
    net._ledger.check()


@both
@pytest.mark.parametrize("kind", [ValueError, asyncio.CancelledError, GeneratorExit])
def test_what_the_node_raises_is_a_failed_attempt(kind, is_async: bool) -> None:
    """A `CancelledError` of the node's own making too."""
    net, flaky = retrying([kind()], is_async=is_async, retries=1)
    net.start()
    assert [classes for *_, classes in flaky.begun] == [[], [kind]]


@both
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_interrupts_gives_the_epoch_back_with_its_retries(kind, is_async: bool) -> None:
    """The very exception leaves; the epoch is startable again, and knows the attempts before."""
    error = kind()
    net, flaky = retrying([ValueError(), error], is_async=is_async, retries=3)
    with contained(), pytest.raises(kind) as raised:
        net.start()
    assert raised.value is error
    assert net.state is NetState.PAUSED
    assert len(net.get_startable_epochs()) == 1
    assert len(net.dead_letter_queue) == 0
    net._ledger.check()
    net.start()
    assert [count for _, count, _ in flaky.begun] == [0, 1, 1]
    assert net.take_outputs("A", "out") == ["value"]


def test_a_pause_from_outside_ends_a_retry_wait_at_once() -> None:
    """And the next start goes on with the attempt. With the real clock: the wait is an hour."""
    net = Net(chain("A"))
    waiting = threading.Event()

    def fail_once(ctx, packets):
        if ctx.retry_count == 0:
            raise ValueError
        ctx.send("out", ctx.consume_packet(packets["in"][0]))

    net.set_node_exec("A", fail_once, exec_failed_node_func=lambda failure: waiting.set())
    net.set_node_config("A", defer_net_actions=True, retries=1, retry_wait=3600)
    net.inject_packets("A", "in", [1])
    thread = threading.Thread(target=net.start, daemon=True)
    thread.start()
    assert waiting.wait(10)
    net.pause(wait=True)
    thread.join(10)
    assert not thread.is_alive()
    assert net.state is NetState.PAUSED
    net._driver.clock = JumpingClock()
    net._driver.clock.time = 1e12
    net.start()
    assert net.take_outputs("A", "out") == [1]


def test_what_is_injected_wakes_a_driver_that_waits() -> None:
    """A retry waits for an hour; an epoch of B that comes meanwhile runs at once."""
    net = Net(Graph([node("A", ["in"], ["out"]), node("B", ["in"], ["out"])], []))
    waiting, ran = threading.Event(), threading.Event()

    def fail(ctx, packets):
        raise ValueError

    def note(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        ran.set()

    net.set_node_exec("A", fail, exec_failed_node_func=lambda failure: waiting.set())
    net.set_node_config("A", defer_net_actions=True, retries=1, retry_wait=3600)
    net.set_node_exec("B", note)
    net.inject_packets("A", "in", [1])
    thread = threading.Thread(target=net.start, daemon=True)
    thread.start()
    assert waiting.wait(10)
    net.inject_packets("B", "in", [2])
    assert ran.wait(10)
    net.pause(wait=True)
    thread.join(10)


def test_options_that_do_not_fit_are_refused_on_the_merged_result() -> None:
    """Nothing has changed then."""
    net = Net(chain("A"))
    for bad in [
        {"retries": 1},
        {"retries": -1, "defer_net_actions": True},
        {"retries": True, "defer_net_actions": True},
        {"retry_wait": -1},
        {"retry_wait": float("nan")},
        {"retry_backoff": "2"},
        {"retry_jitter": 1.1},
        {"retry_on": "ValueError"},
        {"retry_on": [ValueError, 3]},
        {"retry_on": int},
        {"dead_letter_queue": None},
    ]:
        with pytest.raises(ConfigError):
            net.set_node_config("A", **bad)
        assert net.get_node_config("A") == NodeConfig()
    net.set_node_config("A", defer_net_actions=True)
    net.set_node_config("A", retries=1)
    with pytest.raises(ConfigError, match="needs defer_net_actions=True"):
        net.set_node_config("A", defer_net_actions=False)


def test_the_timestamps_are_of_the_failures() -> None:
    """In UTC, in order."""
    before = datetime.now(UTC)
    stamps = []

    def fail(ctx, packets):
        stamps.append(ctx.retry_timestamps)
        raise ValueError

    net = build(chain("A"), JumpingClock(), A=fail)
    net.set_node_config("A", defer_net_actions=True, retries=2, retry_wait=1)
    net.inject_packets("A", "in", [1])
    with pytest.raises(NodeExecutionFailed):
        net.start()
    assert [len(some) for some in stamps] == [0, 1, 2]
    assert before <= stamps[2][0] <= stamps[2][1] <= datetime.now(UTC)


def test_an_epoch_that_waits_for_its_retry_is_startable_when_the_net_is_stopped() -> None:
    """It is not lost without a record."""
    net = Net(chain("A"))
    waiting = threading.Event()

    def fail(ctx, packets):
        raise ValueError

    net.set_node_exec("A", fail, exec_failed_node_func=lambda failure: waiting.set())
    net.set_node_config("A", defer_net_actions=True, retries=3, retry_wait=3600)
    ids = net.inject_packets("A", "in", [1, 2])
    thread = threading.Thread(target=net.start, daemon=True)
    thread.start()
    assert waiting.wait(10)
    net.stop()
    thread.join(10)
    assert net.state is NetState.STOPPED
    startable = [net.get_epoch(id) for id in net.get_startable_epochs()]
    assert [packet.id for epoch in startable for _, packet in epoch.in_salvo.packets] == ids
    net._ledger.check()
