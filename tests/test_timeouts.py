"""Inline nodes with a `timeout`: the net goes on at the deadline, and what comes later changes nothing."""

import asyncio
import logging
import threading
import time
from contextvars import ContextVar
from threading import Event, current_thread, main_thread

import pytest

import netrun.driver
from netrun import EpochTimeout, Graph, Net, NetState, NetStateError, NodeExecutionFailed
from tests.graphs import edge
from tests.nets import JumpingClock, PatientClock, build, chain, collects, contained, join, maps, node

both_ways = pytest.mark.parametrize("deferred", [False, True], ids=["live", "deferred"])
LATE = ["consume", "create", "create_func", "load", "send_salvo", "send"]


class Slow:
    """A node function that acts, waits until it is let go, and acts again. `net` gives up on it meanwhile."""

    def __init__(self, before=lambda ctx, packets: None, after=lambda ctx, packets: None):
        self.before, self.after = before, after
        self.reached, self.release, self.left = Event(), Event(), Event()
        self.errors, self.threads = [], []

    def __call__(self, ctx, packets):
        self.threads.append(current_thread())
        try:
            self.before(ctx, packets)
            self.reached.set()
            assert self.release.wait(10)
            self.after(ctx, packets)
        except BaseException as error:
            self.errors.append(error)
            raise
        finally:
            self.left.set()

    def let_go(self, net):
        self.release.set()
        for thread in self.threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in self.threads)

    @property
    def clock(self):
        """A clock that jumps when the function waits."""
        return JumpingClock(lambda: self.reached.wait(10))


def net_of(slow, deferred=False, timeout=60, graph=None) -> Net:
    """`A` is slow."""
    net = build(graph or chain("A", "B"), clock=slow.clock, A=slow)
    net.set_node_config("A", timeout=timeout, defer_net_actions=deferred)
    return net


def timed_out(net) -> NodeExecutionFailed:
    with contained(), pytest.raises(NodeExecutionFailed) as caught:
        net.start()
    assert isinstance(caught.value.original_exception, EpochTimeout)
    assert net.state is NetState.PAUSED
    net._ledger.check()
    return caught.value


def contents(net):
    """Everything that could have changed."""
    return (
        {id: packet.location for id, packet in net._ledger._packets.items()},
        net.value_store.ids(),
        net.get_startable_epochs(),
    )


@both_ways
@pytest.mark.parametrize("act", LATE)
def test_a_late_function_finds_epoch_timeout_and_changes_nothing(act, deferred):
    """In the middle of consume, create, load and send."""
    made = {}

    def before(ctx, packets):
        if act in ("load", "send_salvo"):
            made["packet"] = ctx.create_packet("made")
        if act == "send_salvo":
            ctx.load_output_port("out", made["packet"])

    def after(ctx, packets):
        match act:
            case "consume":
                ctx.consume_packet(packets["in"][0])
            case "create":
                ctx.create_packet("late")
            case "create_func":
                ctx.create_packet_from_value_func(int)
            case "load":
                ctx.load_output_port("out", made["packet"])
            case "send_salvo":
                ctx.send_output_salvo("out")
            case "send":
                ctx.send("out", "late")

    slow = Slow(before, after)
    net = net_of(slow, deferred)
    net.inject_packets("A", "in", ["v"])
    failure = timed_out(net)
    assert net._driver.clock.jumps == [60.0]
    assert (failure.original_exception.timeout_seconds, failure.node_name) == (60, "A")
    before_release = contents(net)
    assert before_release == ({}, [], [])
    slow.let_go(net)
    (error,) = slow.errors
    assert (type(error), error.epoch_id, error.node_name) == (EpochTimeout, failure.epoch_id, "A")
    assert "a thread cannot be stopped" in str(error)
    assert contents(net) == before_release
    net._ledger.check()


def test_a_late_function_that_is_inside_a_value_function_changes_nothing():
    """The time is over while consume_packet waits for the value."""
    slow = Slow()

    def lazy(ctx, packets):
        def value():
            slow.reached.set()
            assert slow.release.wait(10)
            return "late"

        ctx.load_output_port("out", ctx.create_packet_from_value_func(value))
        ctx.send_output_salvo("out")

    def consume(ctx, packets):
        slow.threads.append(current_thread())
        try:
            ctx.consume_packet(packets["in"][0])
        except EpochTimeout as error:
            slow.errors.append(error)

    net = build(
        Graph([node("S", (), ["out"]), node("A", ["in"])], [edge("S.out", "A.in")]), clock=slow.clock, S=lazy, A=consume
    )
    net.set_node_config("A", timeout=5)
    net.inject_source_epoch("S")
    failure = timed_out(net)
    slow.let_go(net)
    assert [error.epoch_id for error in slow.errors] == [failure.epoch_id]
    assert contents(net) == ({}, [], [])


@both_ways
def test_what_was_sent_in_time_stays_when_it_was_live(deferred):
    """Deferred, nothing of the attempt is there."""
    log = []
    slow = Slow(before=lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["in"][0])))
    net = net_of(slow, deferred)
    net.set_node_exec("B", collects(log))
    net.inject_packets("A", "in", ["early"])
    timed_out(net)
    slow.let_go(net)
    net.start()
    net._ledger.check()
    assert log == ([] if deferred else [("B", {"in": ["early"]})])
    assert len(net.value_store) == 0
    assert slow.errors == []  # it did nothing that was refused


def test_the_net_goes_on_while_the_late_function_still_runs():
    """Other nodes, and the same node again."""
    slow = Slow()
    graph = Graph([node("A", ["in"], ["out"]), node("Z", ["in"], ["out"])], [])
    net = net_of(slow, graph=graph)
    net.set_node_exec("Z", maps(str.upper))
    net.inject_packets("A", "in", [1])
    net.inject_packets("Z", "in", ["a", "b"])
    timed_out(net)
    net.start()
    assert net.take_outputs("Z", "out") == ["A", "B"]
    assert not slow.left.is_set()
    slow.reached.clear()
    net.inject_packets("A", "in", [2])
    timed_out(net)
    assert (len(slow.threads), net._driver.clock.jumps) == (2, [60.0, 120.0])
    assert net.get_running_epochs_count("A") == 0
    slow.let_go(net)
    net._ledger.check()


def test_the_failure_function_is_told_of_a_timeout():
    """Once, with what had been consumed."""
    told = []
    slow = Slow(before=lambda ctx, packets: ctx.consume_packet(packets["in"][0]))
    net = net_of(slow)
    net.set_node_exec("A", slow, exec_failed_node_func=told.append)
    ids = net.inject_packets("A", "in", ["v"])
    failure = timed_out(net)
    (context,) = told
    assert (context.exception, context.packet_values) == (failure.original_exception, {ids[0]: "v"})
    slow.let_go(net)
    assert len(told) == 1


def test_what_a_late_function_raises_itself_is_logged(caplog):
    """Not lost, and not a second failure."""

    def after(ctx, packets):
        raise LookupError("too late to matter")

    slow = Slow(after=after)
    net = net_of(slow)
    net.inject_packets("A", "in", ["v"])
    failure = timed_out(net)
    with caplog.at_level(logging.WARNING, logger="netrun"):
        slow.let_go(net)
    (record,) = caplog.records
    assert (record.name, record.exc_info[0]) == ("netrun", LookupError)
    expected = f"node 'A', epoch {failure.epoch_id}, attempt 1 raised after its time was over"
    assert record.getMessage() == expected
    net.start()


def test_the_timeout_of_a_late_function_is_not_logged(caplog):
    """It is what was to be expected."""
    slow = Slow(after=lambda ctx, packets: ctx.send("out", 1))
    net = net_of(slow)
    net.inject_packets("A", "in", ["v"])
    timed_out(net)
    slow.let_go(net)
    assert caplog.records == []


def test_an_outcome_that_comes_too_late_is_dropped():
    """The function is done at the moment of its deadline: the deadline wins, and the outcome ends nothing else."""
    slow = Slow()
    net = net_of(slow, timeout=1)
    clock = net._driver.clock
    late = []
    slow.release.set()

    def wait(mailbox, until):
        if not late:
            late.append(mailbox.get(timeout=10))  # it reported, but the clock says the time is over
            clock.time = until
            return None
        return mailbox.get(timeout=10)

    clock.wait = wait
    net.inject_packets("A", "in", ["v"])
    timed_out(net)
    net.set_node_exec("A", maps(str.upper))
    net._driver.mailbox.put(late[0])
    net.inject_packets("A", "in", ["w"])
    net.start()
    net._ledger.check()
    assert len(net.get_startable_epochs_by_node("B")) == 1


# in time

TENANT = ContextVar("TENANT", default="nobody")


@both_ways
@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_in_time_is_like_any_other(deferred, is_async):
    """A sync one runs in a thread of its own; both see the context variables of their caller."""
    seen = []

    def work(ctx, packets):
        seen.append((TENANT.get(), current_thread() is main_thread(), current_thread().daemon))
        ctx.send("out", ctx.consume_packet(packets["in"][0]) * 2)

    async def async_work(ctx, packets):
        await asyncio.sleep(0)
        seen.append((TENANT.get(), current_thread() is main_thread(), current_thread().daemon))
        await ctx.send("out", await ctx.consume_packet(packets["in"][0]) * 2)

    net = build(chain("A"), clock=PatientClock(), A=async_work if is_async else work)
    net.set_node_config("A", timeout=1, defer_net_actions=deferred)
    token = TENANT.set("somebody")
    try:
        assert net.run({"A.in": [1, 2, 3]}) == {"A.out": [2, 4, 6]}
    finally:
        TENANT.reset(token)
    assert seen == [("somebody", is_async, not is_async)] * 3
    net._ledger.check()


@both_ways
def test_a_timed_function_that_fails_in_time_is_a_failure(deferred):
    """With its own exception."""
    net = build(chain("A"), clock=PatientClock(), A=lambda ctx, packets: 1 / 0)
    net.set_node_config("A", timeout=1, defer_net_actions=deferred)
    net.inject_packets("A", "in", [1, 2])
    for _ in "12":
        with pytest.raises(NodeExecutionFailed) as caught:
            net.start()
        assert isinstance(caught.value.original_exception, ZeroDivisionError)
    assert (net.get_startable_epochs(), len(net.value_store)) == ([], 0)
    net._ledger.check()


def test_timed_functions_run_one_at_a_time_and_in_order():
    """Inline is inline: nothing else runs meanwhile."""
    log = []

    def note(name):
        def run(ctx, packets):
            value = ctx.consume_packet(packets["in"][0])
            log.append(("begin", name, value))
            ctx.send("out", value)
            time.sleep(0.002)
            log.append(("end", name, value))

        return run

    net = build(chain("A", "B"), clock=PatientClock(), A=note("A"), B=note("B"))
    net.set_node_config("A", timeout=1)
    net.inject_packets("A", "in", [1, 2])
    net.start()
    order = [("A", 1), ("A", 2), ("B", 1), ("B", 2)]
    assert log == [(what, name, value) for name, value in order for what in ("begin", "end")]


def test_a_timed_function_may_pause_and_stop_but_not_start():
    """Its thread belongs to the run."""
    errors = []

    def ask(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        for verb in (net.start, net.run_step):
            with pytest.raises(NetStateError) as caught:
                verb()
            errors.append(str(caught.value))
        net.pause(wait=True)
        net.stop()

    net = build(chain("A"), clock=PatientClock(), A=ask)
    net.set_node_config("A", timeout=1)
    net.inject_packets("A", "in", [1, 2])
    net.start()
    assert [("one of its own functions" in error) for error in errors] == [True, True]
    assert net.state is NetState.STOPPED
    assert len(net.get_startable_epochs()) == 1


# interrupts


@pytest.fixture(params=[KeyboardInterrupt, SystemExit])
def error(request):
    """An exception that interrupts."""
    return request.param("enough")


@both_ways
def test_a_timed_function_that_interrupts(error, deferred):
    """The exception leaves start(); the epoch is startable again, and the net can go on."""
    runs = []

    def interrupt(ctx, packets):
        runs.append(packets["in"][0].id)
        if len(runs) == 1:
            raise error
        ctx.send("out", ctx.consume_packet(packets["in"][0]))

    net = build(chain("A"), clock=PatientClock(), A=interrupt)
    net.set_node_config("A", timeout=1, defer_net_actions=deferred)
    ids = net.inject_packets("A", "in", [1, 2])
    with pytest.raises(type(error)) as caught:
        net.start()
    assert caught.value is error
    assert net.state is NetState.PAUSED
    net._ledger.check()
    net.start()
    assert runs == [ids[0], *ids]
    assert net.take_outputs("A", "out") == [1, 2]
    net._ledger.check()


@both_ways
@pytest.mark.parametrize("acts", [False, True])
def test_an_interrupt_that_strikes_the_waiting_driver(error, deferred, acts):
    """Ctrl-C while a timed attempt runs in its thread: the attempt is over, the net can go on."""
    slow = Slow(before=lambda ctx, packets: ctx.consume_packet(packets["in"][0])) if acts else Slow()
    slow.after = lambda ctx, packets: ctx.send("out", "late")
    net = net_of(slow, deferred)
    net.inject_packets("A", "in", [1, 2])

    def strike():
        slow.reached.wait(10)
        raise error

    net._driver.clock = JumpingClock(strike)
    with pytest.raises(type(error)) as caught:
        net.start()
    assert caught.value is error
    assert net.state is NetState.PAUSED
    assert net.get_running_epochs_count("A") == 0
    net._ledger.check()
    slow.let_go(net)
    assert [type(late) for late in slow.errors] == [NetStateError]
    again = 1 if acts and not deferred else 2
    assert len(net.get_startable_epochs_by_node("A")) == again
    net._driver.clock = PatientClock()
    net.set_node_exec("A", maps(lambda v: v))
    net.start()
    net._ledger.check()
    assert len(net.get_startable_epochs_by_node("B")) == again


def test_a_thread_that_cannot_be_started_is_a_failed_attempt(monkeypatch):
    """A carrier reports an outcome, whatever happens, and the net can go on."""

    class NoThread:
        def __init__(self, **options):
            pass

        def start(self):
            raise RuntimeError("can't start new thread")

    net = build(chain("A"), clock=PatientClock(), A=maps(lambda v: v))
    net.set_node_config("A", timeout=1)
    net.inject_packets("A", "in", [1, 2])
    monkeypatch.setattr(netrun.driver, "Thread", NoThread)
    with pytest.raises(NodeExecutionFailed, match="can't start new thread"):
        net.start()
    monkeypatch.undo()
    net._ledger.check()
    net.start()
    assert net.take_outputs("A", "out") == [2]


# the real clock


def test_end_to_end_with_real_time():
    """0.05 seconds, a function that takes longer, a join that still gets what it needs."""
    log, errors, release, left = [], [], Event(), Event()

    def sleepy(ctx, packets):
        try:
            value = ctx.consume_packet(packets["in"][0])
            if value == "slow":
                release.wait(10)
            ctx.send("out", value)
        except EpochTimeout as error:
            errors.append(error)
        finally:
            if value == "slow":
                left.set()

    graph = Graph(
        [node("A", ["in"], ["out"]), join("J", ["left", "right"])],
        [edge("A.out", "J.left")],
    )
    net = build(graph, A=sleepy, J=collects(log))
    net.set_node_config("A", timeout=0.05)
    net.inject_packets("A", "in", ["slow", "quick"])
    net.inject_packets("J", "right", [1])
    began = time.monotonic()
    with pytest.raises(NodeExecutionFailed) as caught:
        net.start()
    assert time.monotonic() - began >= 0.05
    assert caught.value.original_exception.timeout_seconds == 0.05
    net.start()
    assert log == [("J", {"left": ["quick"], "right": [1]})]
    release.set()
    assert left.wait(10)
    assert len(errors) == 1
    net._ledger.check()
    assert len(net.value_store) == 0


def test_the_error_names_the_limit_that_applied() -> None:
    """Not what the option says by now."""
    release = threading.Event()

    def change(ctx, packets):
        net.set_node_config("A", timeout=None)
        release.wait(20)

    net = build(chain("A"), JumpingClock(), A=change)
    net.set_node_config("A", timeout=7)
    net.inject_packets("A", "in", [1])
    with pytest.raises(NodeExecutionFailed) as raised:
        net.start()
    release.set()
    assert raised.value.original_exception.timeout_seconds == 7


def test_a_limit_longer_than_the_platform_can_count() -> None:
    """Centuries are as good as none."""
    net = build(chain("A"), A=lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["in"][0])))
    net.set_node_config("A", timeout=1e12)
    assert net.run({"A.in": [1]}) == {"A.out": [1]}
