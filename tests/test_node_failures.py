"""What a node function raises or forgets, and what becomes of the net. Live and deferred alike."""

import asyncio
import re
import traceback

import pytest

from netrun import (
    EpochCancelled,
    EpochTimeout,
    Graph,
    Net,
    NetState,
    NetStateError,
    NodeExecutionFailed,
    PacketNotFoundError,
    PacketNotInAnyNodeError,
    SalvoConditionNotFoundError,
    ValueFunctionFailed,
)
from tests.graphs import edge
from tests.nets import build, chain, collects, contained, maps, node, values_of

SIM_ID = re.compile("01[0-9A-Z]{24}")  # the simulator's ids are hidden from users

both_ways = pytest.mark.parametrize("deferred", [False, True], ids=["live", "deferred"])


@pytest.fixture(params=[KeyboardInterrupt, SystemExit])
def error(request):
    """An exception that interrupts."""
    return request.param("enough")


def one_node(exec_node_func, deferred=False, **functions) -> Net:
    """A node `A` with `in` and `out`."""
    net = Net(chain("A"))
    net.set_node_exec("A", exec_node_func, **functions)
    net.set_node_config("A", defer_net_actions=deferred)
    return net


def failure_of(net: Net) -> NodeExecutionFailed:
    """Run, and give the failure that leaves."""
    with contained(), pytest.raises(NodeExecutionFailed) as caught:
        net.start()
    net._ledger.check()
    return caught.value


def fails_at(bad, error):
    """A node function that consumes, sends, and then fails for one value."""

    def run(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        ctx.send("out", value)
        if value == bad:
            raise error

    return run


@both_ways
def test_a_failing_node_leaves_start_with_all_that_is_known(deferred):
    """Node, epoch, attempts, the original; the net is paused, the epoch gone."""
    original = ValueError("no twos")
    net = one_node(fails_at(2, original), deferred)
    net.inject_packets("A", "in", [1, 2, 3])
    failure = failure_of(net)
    assert (failure.node_name, failure.attempts, failure.others) == ("A", 1, [])
    assert failure.epoch_id.startswith("e2-")
    assert failure.original_exception is failure.__cause__ is original
    assert str(failure).startswith(
        f"node 'A', epoch {failure.epoch_id}: failed after 1 attempt with ValueError: no twos."
    )
    assert "raise error" in "".join(traceback.format_exception(failure))
    assert net.state is NetState.PAUSED
    assert net.get_running_epochs_count("A") == 0
    assert [id.split("-")[0] for id in net.get_startable_epochs()] == ["e3"]
    assert net.take_outputs("A", "out") == ([1] if deferred else [1, 2])


@both_ways
def test_the_rest_goes_on_at_the_next_start(deferred):
    """Each failure pauses once."""
    log = []
    nodes = [node("A", ["in"], ["out"]), node("B", ["in"])]
    net = build(Graph(nodes, [edge("A.out", "B.in")]), A=fails_at(2, OSError()), B=collects(log))
    net.set_node_config("A", defer_net_actions=deferred)
    net.inject_packets("A", "in", [2, 1, 2, 3])
    failure_of(net)
    assert net.run_step() is False  # held, until somebody says so
    failure_of(net)
    net.start()
    net._ledger.check()
    assert [values["in"][0] for _, values in log] == ([1, 3] if deferred else [2, 1, 2, 3])
    assert (net.get_startable_epochs(), len(net.value_store)) == ([], 0)


@both_ways
def test_a_failure_in_a_step_leaves_the_step(deferred):
    """run_step raises too; resume() lets the next one run."""
    net = one_node(fails_at(1, OSError()), deferred)
    net.inject_packets("A", "in", [1, 2])
    with pytest.raises(NodeExecutionFailed):
        net.run_step()
    assert net.state is NetState.PAUSED
    assert net.run_step() is False
    net.resume()
    assert net.run_step() is True
    assert net.take_outputs("A", "out")[-1] == 2
    net.stop()


@both_ways
def test_what_the_failed_epoch_held_is_destroyed(deferred):
    """Input that was not consumed, packets made, packets loaded."""
    kept = []

    def fail(ctx, packets):
        kept.extend(packets["in"])
        kept.append(ctx.create_packet("inside"))
        kept.append(ctx.create_packet("loaded"))
        ctx.load_output_port("out", kept[-1])
        raise ValueError

    net = one_node(fail, deferred)
    net.inject_packets("A", "in", ["v"])
    failure_of(net)
    assert len(net.value_store) == 0
    assert net._ledger._packets == {}
    with pytest.raises(PacketNotFoundError):
        kept[0].location  # noqa: B018
    assert net.take_outputs("A", "out") == []


# the failure function


@both_ways
def test_the_failure_function_is_told_once_what_was_tried(deferred):
    """Its packets, the values that were consumed, the exception."""
    told = []
    error = LookupError("lost")

    def fail(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        raise error

    net = one_node(fail, deferred, exec_failed_node_func=told.append)
    ids = net.inject_packets("A", "in", ["v", "w"])
    failure = failure_of(net)
    (context,) = told
    assert (context.epoch_id, context.node_name, context.exception) == (failure.epoch_id, "A", error)
    assert {port: [p.id for p in packets] for port, packets in context.input_salvo.items()} == {"in": ids[:1]}
    assert context.packet_values == {ids[0]: "v"}
    assert (context.retry_count, context.retry_timestamps, context.retry_exceptions) == (0, [], [])
    assert context.idempotency_key == failure.epoch_id
    assert not hasattr(context, "send")
    assert not hasattr(context, "consume_packet")
    assert f"epoch {failure.epoch_id}, attempt 1" in repr(context)


def test_the_failure_function_knows_values_that_another_deferred_node_sent():
    """A packet that was created in a deferred attempt is like any other, once it is in the net."""
    told = []

    def fail(ctx, packets):
        values_of(ctx, packets)
        raise ValueError

    net = build(chain("A", "B"), A=maps(str.upper))
    net.set_node_exec("B", fail, exec_failed_node_func=told.append)
    for name in "AB":
        net.set_node_config(name, defer_net_actions=True)
    net.inject_packets("A", "in", ["v"])
    failure_of(net)
    assert list(told[0].packet_values.values()) == ["V"]


def test_a_committed_packet_takes_its_value_from_the_store():
    """Not from the attempt that made it: the store is where values are."""
    got = []
    net = build(chain("A", "B"), A=maps(str.upper))
    for name in "AB":
        net.set_node_config(name, defer_net_actions=True)
    net.inject_packets("A", "in", ["v"])
    net.start()
    (id,) = net.value_store.ids()
    net.value_store.store_value(id, "changed")
    net.set_node_exec("B", lambda ctx, packets: got.append(values_of(ctx, packets)))
    net.start()
    assert got == [{"in": ["changed"]}]


def test_the_failure_function_runs_before_the_epoch_is_cancelled():
    """It can still ask the net about the epoch and the packets, and its context cannot act."""
    seen = []

    def look(failure):
        epoch = net.get_epoch(failure.epoch_id)
        seen.append((epoch.node_name, failure.input_salvo["in"][0].location.kind, net.get_running_epochs_count("A")))

    net = one_node(fails_before_it_acts, exec_failed_node_func=look)
    net.inject_packets("A", "in", [1])
    failure_of(net)
    assert seen == [("A", "Node", 1)]


def fails_before_it_acts(ctx, packets):
    raise ValueError("at once")


@both_ways
def test_an_async_failure_function_is_awaited(deferred):
    """As the other functions are."""
    told = []

    async def tell(failure):
        await asyncio.sleep(0)
        told.append(str(failure.exception))

    net = one_node(fails_before_it_acts, deferred, exec_failed_node_func=tell)
    net.inject_packets("A", "in", [1])
    failure_of(net)
    assert told == ["at once"]


@both_ways
def test_an_exception_of_the_failure_function_joins_the_cause(deferred):
    """Neither is lost: the node's leaves, the other one is in its cause, beside what was there."""
    before = RuntimeError("before")

    def fail(ctx, packets):
        raise ValueError("the node") from before

    def fail_too(failure):
        raise OSError("the failure function")

    net = one_node(fail, deferred, exec_failed_node_func=fail_too)
    net.inject_packets("A", "in", [1])
    failure = failure_of(net)
    assert repr(failure.original_exception) == "ValueError('the node')"
    causes = failure.original_exception.__cause__.exceptions
    assert [repr(cause) for cause in causes] == ["RuntimeError('before')", "OSError('the failure function')"]
    assert causes[1].__notes__ == ["raised by the exec_failed_node_func of node 'A'"]
    text = "".join(traceback.format_exception(failure))
    assert "OSError: the failure function" in text
    assert "RuntimeError: before" in text


def test_a_failure_function_may_raise_the_same_exception_again():
    """`raise failure.exception` adds nothing to the cause, least of all the exception itself."""

    def again(failure):
        raise failure.exception

    net = one_node(fails_before_it_acts, exec_failed_node_func=again)
    net.inject_packets("A", "in", [1])
    failure = failure_of(net)
    assert failure.original_exception.__cause__ is None


def test_a_failure_function_can_interrupt(error):
    """The epoch is cancelled, the exception leaves start(), the node's own failure is in its cause."""

    def interrupt(failure):
        raise error

    net = one_node(fails_before_it_acts, exec_failed_node_func=interrupt)
    net.inject_packets("A", "in", [1, 2])
    with pytest.raises(type(error)) as caught:
        net.start()
    assert caught.value is error
    (failure,) = error.__cause__.exceptions
    assert isinstance(failure, NodeExecutionFailed)
    assert net.state is NetState.PAUSED
    assert len(net.get_startable_epochs()) == 1
    net._ledger.check()


# packets left behind


@both_ways
def test_an_epoch_that_keeps_its_input_fails_naming_it(deferred):
    """Consume it or pass it on."""
    net = one_node(lambda ctx, packets: None, deferred)
    (id,) = net.inject_packets("A", "in", [1])
    failure = failure_of(net)
    assert "node 'A'" in str(failure.original_exception)
    assert id in str(failure.original_exception)
    assert not SIM_ID.search(str(failure))
    assert len(net.value_store) == 0


@both_ways
def test_an_epoch_with_unsent_packets_fails_naming_port_and_packets(deferred):
    """Loaded is not sent."""
    made = []

    def forget(ctx, packets):
        for number in range(2):
            made.append(ctx.create_packet(number))
            ctx.load_output_port("out", made[-1])

    net = one_node(forget, deferred)
    net.inject_source_epoch("A")
    text = str(failure_of(net))
    assert "'out'" in text
    assert not SIM_ID.search(text)
    assert "packets left on output port 'out'" in text
    if not deferred:
        assert f"'out': {made[0].id}, {made[1].id} (send a salvo)" in text
    assert len(net.value_store) == 0


@both_ways
def test_an_epoch_that_keeps_a_packet_that_it_made_fails(deferred):
    """Even if nobody looks at it any more."""
    net = one_node(lambda ctx, packets: ctx.create_packet(1) and None, deferred)
    net.inject_source_epoch("A")
    text = str(failure_of(net))
    assert "packets left in the epoch" in text
    assert not SIM_ID.search(text)
    assert deferred or "in the epoch: p1-" in text
    assert len(net.value_store) == 0


# cancelling


@both_ways
def test_cancel_epoch_is_no_failure(deferred):
    """start() goes on; nobody is told; what the epoch held is gone, what it sent live stays."""
    told = []

    def pick(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        ctx.send("out", value)
        if value == 2:
            ctx.create_packet("left inside")
            ctx.cancel_epoch()

    net = one_node(pick, deferred, exec_failed_node_func=told.append)
    net.inject_packets("A", "in", [1, 2, 3])
    net.start()
    net._ledger.check()
    assert told == []
    assert net.take_outputs("A", "out") == ([1, 3] if deferred else [1, 2, 3])
    assert len(net.value_store) == 0


@both_ways
def test_a_cancellation_that_is_swallowed_does_nothing(deferred):
    """It is the exception that cancels."""

    def swallow(ctx, packets):
        try:
            ctx.cancel_epoch()
        except Exception:
            ctx.send("out", ctx.consume_packet(packets["in"][0]))

    net = one_node(swallow, deferred)
    net.inject_packets("A", "in", [1])
    net.start()
    assert net.take_outputs("A", "out") == [1]


def test_another_epochs_cancellation_is_a_failure():
    """One that names another epoch cancels not this one."""
    kept = []

    def cancel_the_first(ctx, packets):
        kept.append(ctx)
        values_of(ctx, packets)
        if len(kept) > 1:
            raise EpochCancelled("A", kept[0].epoch_id)

    net = one_node(cancel_the_first)
    net.inject_packets("A", "in", [1, 2])
    assert type(failure_of(net).original_exception).__name__ == "EpochCancelled"


# interrupts


@both_ways
@pytest.mark.parametrize("acts", [False, True])
def test_an_interrupt_leaves_start_as_it_is(deferred, error, acts):
    """The same exception; the epoch can start again if it had not acted, else it is cancelled."""
    told, runs = [], []

    def interrupted(ctx, packets):
        runs.append(packets["in"][0].id)
        if acts:
            ctx.consume_packet(packets["in"][0])
        if len(runs) == 1:
            raise error
        if not acts:
            ctx.consume_packet(packets["in"][0])
        ctx.send("out", "done")

    net = one_node(interrupted, deferred, exec_failed_node_func=told.append)
    ids = net.inject_packets("A", "in", [1, 2])
    with pytest.raises(type(error)) as caught:
        net.start()
    net._ledger.check()
    assert caught.value is error
    assert (error.__cause__, told, net.state) == (None, [], NetState.PAUSED)
    given_back = deferred or not acts
    assert len(net.get_startable_epochs()) == (2 if given_back else 1)
    net.start()
    net._ledger.check()
    assert runs == [ids[0], *(ids if given_back else ids[1:])]
    assert net.take_outputs("A", "out") == ["done"] * (2 if given_back else 1)
    assert len(net.value_store) == 0


def test_an_interrupted_epoch_with_packets_from_an_edge_starts_again(error):
    """Given back, with the packets that came over an edge, in their order."""
    runs = []

    def interrupted(ctx, packets):
        runs.append([packet.id for packet in packets["in"]])
        if len(runs) == 1:
            raise error
        ctx.send("out", ctx.consume_packet(packets["in"][0]))

    net = build(chain("A", "B"), A=maps(lambda v: v), B=interrupted)
    net.inject_packets("A", "in", [1, 2])
    with pytest.raises(type(error)):
        net.start()
    net._ledger.check()
    net.start()
    net._ledger.check()
    assert runs[0] == runs[1]
    assert net.take_outputs("B", "out") == [1, 2]


def test_an_interrupt_in_a_value_function_interrupts_its_caller(error):
    """consume_packet has not acted yet."""
    struck = []

    def make():
        if not struck:
            struck.append(1)
            raise error
        return "value"

    def lazy(ctx, packets):
        ctx.load_output_port("out", ctx.create_packet_from_value_func(make))
        ctx.send_output_salvo("out")
        values_of(ctx, packets)

    net = build(chain("A", "B"), A=lazy, B=maps(str.upper))
    net.inject_packets("A", "in", [1])
    with pytest.raises(type(error)):
        net.start()
    net._ledger.check()
    assert len(net.get_startable_epochs_by_node("B")) == 1
    net.start()
    assert net.take_outputs("B", "out") == ["VALUE"]


@pytest.mark.parametrize("kind", [asyncio.CancelledError, GeneratorExit])
@pytest.mark.parametrize("is_async", [False, True])
@both_ways
def test_other_base_exceptions_are_failures(kind, is_async, deferred):
    """Only Ctrl-C and exit interrupt."""
    error, told = kind("x"), []

    def fail(ctx, packets):
        raise error

    async def async_fail(ctx, packets):
        raise error

    net = one_node(async_fail if is_async else fail, deferred, exec_failed_node_func=told.append)
    net.inject_packets("A", "in", [1])
    failure = failure_of(net)
    assert isinstance(failure.original_exception, kind)
    assert told[0].exception is failure.original_exception
    assert net.state is NetState.PAUSED
    assert len(net.value_store) == 0


# contexts that outlive their epoch


@both_ways
@pytest.mark.parametrize("ending", ["finished", "failed", "cancelled"])
def test_a_context_is_dead_when_its_epoch_is_over(deferred, ending):
    """Every operation raises, and changes nothing."""
    kept = []

    def keep(ctx, packets):
        kept.append((ctx, packets["in"][0]))
        if ending == "cancelled":
            ctx.cancel_epoch()
        ctx.send("out", ctx.consume_packet(packets["in"][0]))
        if ending == "failed":
            raise ValueError

    net = one_node(keep, deferred)
    net.inject_packets("A", "in", ["v"])
    if ending == "failed":
        failure_of(net)
    else:
        net.start()
    ((ctx, packet),) = kept
    before = (len(net.value_store), dict(net._ledger._packets))
    for act in (
        lambda: ctx.create_packet(1),
        lambda: ctx.create_packet_from_value_func(int),
        lambda: ctx.consume_packet(packet),
        lambda: ctx.load_output_port("out", packet),
        lambda: ctx.send_output_salvo("out"),
        lambda: ctx.send("out", 1),
    ):
        with pytest.raises(NetStateError, match="using a context is not possible: its attempt has ended"):
            act()
        assert (len(net.value_store), dict(net._ledger._packets)) == before
    assert ctx.node_name == "A"
    net._ledger.check()


def test_a_context_kept_by_a_later_epoch_still_acts_for_nobody():
    """The node's next epoch does not revive it."""
    kept, errors = [], []

    def keep(ctx, packets):
        kept.append(ctx)
        value = ctx.consume_packet(packets["in"][0])
        try:
            kept[0].send("out", value)
        except NetStateError as error:
            errors.append(error)

    net = one_node(keep)
    net.inject_packets("A", "in", [1, 2, 3])
    net.start()
    assert net.take_outputs("A", "out") == [1]
    assert len(errors) == 2


def test_a_context_in_a_failure_function_is_dead():
    """The attempt is over before it is told of."""
    kept, errors = [], []

    def fail(ctx, packets):
        kept.append(ctx)
        raise ValueError

    def act(failure):
        try:
            kept[0].send("out", 1)
        except NetStateError as error:
            errors.append(error)

    net = one_node(fail, exec_failed_node_func=act)
    net.inject_packets("A", "in", [1])
    failure_of(net)
    assert len(errors) == 1
    assert net.take_outputs("A", "out") == []


# functions that do odd things


@both_ways
def test_a_function_may_do_what_it_likes_with_its_dict(deferred):
    """The dict and the lists are its own."""

    def mess(ctx, packets):
        (packet,) = packets["in"]
        packets["in"].clear()
        packets["in"].append("rubbish")
        packets["other"] = [packet]
        del packets["in"]
        epoch = net.get_epoch(ctx.epoch_id)
        assert [p for _, p in epoch.in_salvo.packets] == [packet]
        ctx.send("out", ctx.consume_packet(packet))
        epoch.in_salvo.packets.clear()
        assert len(net.get_epoch(ctx.epoch_id).in_salvo.packets) == 1

    net = one_node(mess, deferred)
    net.inject_packets("A", "in", [1, 2])
    net.start()
    net._ledger.check()
    assert net.take_outputs("A", "out") == [1, 2]


@both_ways
def test_what_is_refused_can_be_caught_and_made_good(deferred):
    """A wrong name changes nothing, and names the right ones."""

    def careless(ctx, packets):
        packet = packets["in"][0]
        with pytest.raises(SalvoConditionNotFoundError, match=r"'ouut'.*Did you mean 'out'"):
            ctx.send_output_salvo("ouut")
        ctx.consume_packet(packet)
        with pytest.raises(PacketNotInAnyNodeError):
            ctx.consume_packet(packet)
        for thing in ("p1", [], None):
            with pytest.raises(TypeError, match="one of the packets of this epoch"):
                ctx.consume_packet(thing)
        ctx.send("out", "good")

    net = one_node(careless, deferred)
    net.inject_packets("A", "in", [1])
    net.start()
    assert net.take_outputs("A", "out") == ["good"]
    net._ledger.check()


@both_ways
def test_a_value_function_that_fails_fails_the_consumer(deferred):
    """And can be caught: the packet is still there."""
    calls, seen = [], []

    def make():
        calls.append(1)
        if len(calls) < 3:
            raise OSError("not yet")
        return "value"

    def lazy(ctx, packets):
        ctx.load_output_port("out", ctx.create_packet_from_value_func(make))
        ctx.send_output_salvo("out")
        values_of(ctx, packets)

    def stubborn(ctx, packets):
        for _ in range(3):
            try:
                ctx.send("out", ctx.consume_packet(packets["in"][0]))
            except ValueFunctionFailed as error:
                seen.append(repr(error.__cause__))

    net = build(chain("A", "B"), A=lazy, B=stubborn)
    net.set_node_config("B", defer_net_actions=deferred)
    net.inject_packets("A", "in", [1])
    net.start()
    net._ledger.check()
    assert seen == ["OSError('not yet')"] * 2
    assert net.take_outputs("B", "out") == ["value"]
    calls.clear()
    net.set_node_exec("B", maps(str))
    net.inject_packets("A", "in", [1])
    failure = failure_of(net)
    assert isinstance(failure.original_exception, ValueFunctionFailed)
    assert isinstance(failure.original_exception.original_exception, OSError)


# exceptions that are hard to handle


class NeedsArguments(Exception):
    """Cannot be built from its args."""

    def __init__(self, code, *, why):
        super().__init__(f"{code}: {why}")


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class OddTimeout(EpochTimeout):
    """A user's own, which cannot be built from its args either."""

    def __init__(self):
        super().__init__("somewhere", "e0", 1.0)


@both_ways
def test_an_exception_that_cannot_be_copied_leaves_as_it_is(deferred):
    """Nothing builds it anew."""
    error = NeedsArguments(7, why="because")
    net = one_node(fails_at(1, error), deferred)
    net.inject_packets("A", "in", [1])
    assert failure_of(net).original_exception is error


def test_a_failure_can_be_told_even_if_its_cause_cannot():
    """An exception whose text raises."""
    net = one_node(fails_at(1, Unprintable()))
    net.inject_packets("A", "in", [1])
    failure = failure_of(net)
    assert "node 'A'" in str(failure)
    assert "Unprintable" in str(failure)


def test_a_users_own_timeout_error_is_a_failure_like_any_other():
    """The dead context says what is true of it: that its attempt has ended."""
    kept = []

    def fail(ctx, packets):
        kept.append(ctx)
        raise OddTimeout

    net = one_node(fail)
    net.inject_packets("A", "in", [1])
    failure_of(net)
    with pytest.raises(NetStateError, match="its attempt has ended"):
        kept[0].send("out", 1)


def test_one_exception_object_may_be_raised_by_many_epochs():
    """Each failure has its own record."""
    error = ValueError("shared")
    net = one_node(lambda ctx, packets: (_ for _ in ()).throw(error))
    net.inject_packets("A", "in", [1, 2])
    first, second = failure_of(net), failure_of(net)
    assert first is not second
    assert first.epoch_id != second.epoch_id
    assert first.__cause__ is second.__cause__ is error
