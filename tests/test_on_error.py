"""What an epoch that is given up does to the net, and that no exception on the way is lost."""

import logging
import threading

import pytest

from netrun import Graph, Net, NetState, NodeExecutionFailed
from tests.nets import chain, contained, node


def picky(ctx, packets):
    value = ctx.consume_packet(packets["in"][0])
    if value < 0:
        raise ValueError(value)
    ctx.send("out", value)


def net_of(values, func=picky, failed=None, **options):
    net = Net(chain("A"), **options)
    net.set_node_exec("A", func, exec_failed_node_func=failed)
    net.inject_packets("A", "in", values)
    return net


def test_continue_runs_on_and_raises_nothing() -> None:
    """Every failure has its letter and its call."""
    heard = []
    net = net_of([1, -2, 3, -4, 5], on_error="continue", error_callback=lambda *args: heard.append(args))
    net.start()
    assert (net.state, net.error) == (NetState.PAUSED, None)
    assert net.take_outputs("A", "out") == [1, 3, 5]
    letters = net.dead_letter_queue.get_all()
    assert [(error.args, name, id) for error, name, id in heard] == [
        ((-2,), "A", letters[0].epoch_id),
        ((-4,), "A", letters[1].epoch_id),
    ]
    assert [heard[0][0], heard[1][0]] == [entry.exception for entry in letters]
    net._ledger.check()


def test_continue_keeps_no_failures_behind() -> None:
    """A net that runs on for ever must not grow."""
    net = net_of(range(-500, 0), on_error="continue", dead_letter_limit=3)
    net.start()
    assert (net.poll().failed, net._engine.failures, len(net.dead_letter_queue)) == (500, [], 3)


def test_pause_starts_no_more_and_raises_nothing() -> None:
    """The next start goes on with the rest."""
    net = net_of([1, -2, 3], on_error="pause")
    net.start()
    assert (net.state, net._engine.paused_by) == (NetState.PAUSED, "error")
    assert isinstance(net.error, NodeExecutionFailed)
    assert net.error.original_exception.args == (-2,)
    assert net.run_step() is False
    net.start()
    assert (net.error, net.take_outputs("A", "out")) == (None, [1, 3])


def test_raise_pauses_first_then_raises() -> None:
    """`error` keeps it, past `stop`."""
    net = net_of([1, -2, 3])
    with pytest.raises(NodeExecutionFailed) as raised:
        net.start()
    assert (net.state, net.error) == (NetState.PAUSED, raised.value)
    assert len(net.get_startable_epochs()) == 1
    net.stop()
    assert net.error is raised.value


def test_the_order_of_what_happens() -> None:
    """Failure function, dead letter, callback, and only then is the epoch cancelled."""
    order = []

    def see(what):
        (epoch,) = net._ledger._epochs.values()
        order.append((what, len(net.dead_letter_queue), str(epoch.state), net.state))

    net = net_of(
        [-1], failed=lambda failure: see("failed"), error_callback=lambda *args: see("callback"), on_error="pause"
    )
    net.set_node_config("A", defer_net_actions=True, retries=1)
    net.start()
    running = ("EpochState.Running", NetState.RUNNING)
    assert order == [("failed", 0, *running), ("failed", 0, *running), ("callback", 1, *running)]


def test_an_async_callback_is_awaited() -> None:
    """Whatever drives the net."""
    heard = []

    async def hear(error, node_name, epoch_id):
        heard.append(node_name)

    net_of([-1], on_error="continue", error_callback=hear).start()
    assert heard == ["A"]


def raises(error):
    def func(*args):
        raise error

    return func


@pytest.mark.parametrize("on_error", ["continue", "pause", "raise"])
def test_what_those_functions_raise_is_chained_and_logged(on_error: str, caplog) -> None:
    """Each of them is called, whatever the others do."""
    errors = [LookupError("failure function"), OSError("queue"), RuntimeError("callback")]
    failed, queue, callback = map(raises, errors)
    net = net_of([-1], failed=failed, error_callback=callback, dead_letter_queue=queue, on_error=on_error)
    got = []
    net.set_node_exec("A", lambda ctx, packets: got.append(ValueError("node")) or raises(got[0])(), None, None, failed)
    with caplog.at_level(logging.ERROR, "netrun"):
        if on_error == "raise":
            with pytest.raises(NodeExecutionFailed):
                net.start()
        else:
            net.start()
    found, cause = [], got[0].__cause__
    while isinstance(cause, BaseExceptionGroup):
        inner = [error for error in cause.exceptions if not isinstance(error, BaseExceptionGroup)]
        found = inner + found
        cause = next((error for error in cause.exceptions if isinstance(error, BaseExceptionGroup)), None)
    assert found == errors
    assert [record.exc_info[1] for record in caplog.records] == errors
    assert "exec_failed_node_func of node 'A'" in caplog.messages[0]
    assert "error_callback" in caplog.messages[2]
    net._ledger.check()


def test_what_a_failure_function_raises_is_logged_when_the_next_attempt_succeeds(caplog) -> None:
    """Else nobody would see it."""

    def fail_once(ctx, packets):
        if ctx.retry_count == 0:
            raise ValueError
        ctx.send("out", ctx.consume_packet(packets["in"][0]))

    net = net_of([1], fail_once, failed=raises(LookupError("lost?")))
    net.set_node_config("A", defer_net_actions=True, retries=1)
    net.start()
    assert net.take_outputs("A", "out") == [1]
    assert "lost?" in caplog.text


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["error_callback", "dead_letter_queue"])
def test_what_interrupts_there_leaves_when_all_is_done(kind, where: str) -> None:
    """The epoch is given up as it would have been."""
    heard, error = [], kind()
    options = {"error_callback": lambda *args: heard.append("callback"), "dead_letter_queue": heard.append}
    net = net_of([-1, 2], on_error="continue", **{**options, where: raises(error)})
    with contained(), pytest.raises(kind) as raised:
        net.start()
    assert raised.value is error
    assert len(heard) == 1
    assert net.poll().failed == 1
    net._ledger.check()
    net.start()
    assert net.take_outputs("A", "out") == [2]


def test_the_first_failure_pauses_before_the_next_begins() -> None:
    """Inline, one at a time: B fails in a start of its own."""
    net = Net(Graph([node("A", ["in"], ["out"]), node("B", ["in"], ["out"])], []), on_error="raise")
    release = threading.Event()
    net.set_node_exec("A", lambda ctx, packets: release.wait(10))
    net.set_node_exec("B", picky)
    net.set_node_config("A", timeout=0.05)
    net.inject_packets("A", "in", [1])
    net.inject_packets("B", "in", [-1])
    with pytest.raises(NodeExecutionFailed) as raised:
        net.start()
    release.set()
    assert raised.value.node_name == "A"
    assert raised.value.others == []
    with pytest.raises(NodeExecutionFailed) as raised:
        net.start()
    assert raised.value.node_name == "B"


def test_the_error_callback_may_use_the_net() -> None:
    """Inject and redrive from inside; the lock is not held."""
    net = net_of([-3], on_error="continue", error_callback=lambda error, *_: net.inject_packets("A", "in", [3]))
    net.start()
    assert net.take_outputs("A", "out") == [3]
