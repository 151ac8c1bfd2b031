"""Runs: start and stop functions, states, and who may drive a net when."""

import asyncio
import traceback
from contextlib import suppress
from threading import Barrier, Event, Thread, current_thread

import pytest

from netrun import ConfigError, Graph, Net, NetState, NetStateError, NodeExecutionFailed
from netrun.control import Control
from tests.nets import build, chain, eventually, maps, node


def recorded(log, *names, sync=True, graph=None) -> Net:
    """A net whose functions note what is called."""
    net = Net(graph or Graph([node(name, ["in"]) for name in names], []))
    for name in names:
        set_recorded(net, log, name, sync)
    return net


def set_recorded(net, log, name, sync=True, word=""):
    def exec_node(ctx, packets):
        log.append((f"{word}exec", name, ctx.consume_packet(packets["in"][0])))

    def start(argument):
        assert argument is net
        log.append((f"{word}start", name))

    def stop(argument):
        assert argument is net
        log.append((f"{word}stop", name))

    async def async_exec(ctx, packets):
        await asyncio.sleep(0)
        log.append((f"{word}exec", name, await ctx.consume_packet(packets["in"][0])))

    async def async_start(argument):
        await asyncio.sleep(0)
        start(argument)

    async def async_stop(argument):
        await asyncio.sleep(0)
        stop(argument)

    if sync:
        net.set_node_exec(name, exec_node, start, stop)
    else:
        net.set_node_exec(name, async_exec, async_start, async_stop)


def raises(error):
    """A function that raises this, whatever it is called with."""

    def func(*args):
        raise error

    return func


def in_thread(func):
    """Run something in a thread. `join()` gives what it raised, or None."""
    return Running(func)


class Running:
    def __init__(self, func):
        self.error = None
        self.thread = Thread(target=self._run, args=(func,), daemon=True)
        self.thread.start()

    def _run(self, func):
        try:
            func()
        except BaseException as error:
            self.error = error

    def join(self, seconds=10):
        self.thread.join(seconds)
        assert not self.thread.is_alive(), "still running"
        return self.error


# start and stop functions


@pytest.mark.parametrize("sync", [True, False])
def test_each_run_starts_and_stops_once_in_order(sync):
    """Started by name, stopped in reverse."""
    log = []
    net = recorded(log, "A", "B", "C", sync=sync)
    for number in (1, 2):
        net.inject_packets("B", "in", [number])
        net.start()
        assert log == [
            ("start", "A"),
            ("start", "B"),
            ("start", "C"),
            ("exec", "B", number),
            ("stop", "C"),
            ("stop", "B"),
            ("stop", "A"),
        ]
        log.clear()
    net.stop()
    assert log == []


def test_with_opens_one_run_for_the_whole_block():
    """A start() inside uses it, and leaves it open."""
    log = []
    net = recorded(log, "A")
    with net as entered:
        assert entered is net
        assert log == [("start", "A")]
        assert net.state is NetState.RUNNING
        for number in (1, 2):
            net.inject_packets("A", "in", [number])
            net.start()
            assert net.state is NetState.PAUSED
    assert log == [("start", "A"), ("exec", "A", 1), ("exec", "A", 2), ("stop", "A")]
    assert net.state is NetState.STOPPED


def test_run_step_opens_a_run_that_stays_open():
    """Until stop()."""
    log = []
    net = recorded(log, "A")
    assert net.run_step() is False
    assert (log, net.state) == ([("start", "A")], NetState.RUNNING)
    net.inject_packets("A", "in", [1])
    assert net.run_step() is True
    assert net.state is NetState.RUNNING
    net.inject_packets("A", "in", [2])
    net.start()
    net.stop()
    assert log == [("start", "A"), ("exec", "A", 1), ("exec", "A", 2), ("stop", "A")]


def test_run_step_that_only_routes_starts_nothing():
    """What was injected becomes startable."""
    log = []
    net = recorded(log, "A")
    net.inject_packets("A", "in", [1, 2])
    assert net.run_step(start_epochs=False) is False
    assert (len(net.get_startable_epochs()), log) == (2, [])
    net.start()
    assert [entry[0] for entry in log] == ["start", "exec", "exec", "stop"]


def test_a_wave_is_what_was_startable_at_its_beginning():
    """A chain of three needs three."""
    log = []
    net = build(chain("A", "B", "C"), **{name: maps(lambda v: v, log) for name in "ABC"})
    net.inject_packets("A", "in", [1, 2])
    sizes = []
    while net.run_step():
        sizes.append([name for name, _ in log])
        log.clear()
    assert sizes == [["A", "A"], ["B", "B"], ["C", "C"]]
    net.stop()


def test_a_start_function_set_while_open_is_called_before_the_next_epoch():
    """From outside between two starts, and from inside a node."""
    log = []
    net = recorded(log, "A", "B")

    def set_b(ctx, packets):
        log.append(("exec", "A", ctx.consume_packet(packets["in"][0])))
        set_recorded(net, log, "B", word="new ")

    with net:
        set_recorded(net, log, "A", word="new ")
        assert log == [("start", "A"), ("start", "B")]
        net.inject_packets("A", "in", [1])
        net.start()
        assert log[2:] == [("new start", "A"), ("new exec", "A", 1)]
        net.set_node_exec("A", set_b)
        net.inject_packets("A", "in", [2])
        net.inject_packets("B", "in", [3])
        net.start()
        assert log[4:] == [("exec", "A", 2), ("new start", "B"), ("new exec", "B", 3)]
        log.clear()
    # each start is stopped by what belongs to it; the stop function of A's second start was taken away
    assert log == [("new stop", "B"), ("stop", "B"), ("stop", "A")]


def test_a_start_function_that_sets_up_a_later_node_does_not_start_it_twice():
    """Once a run."""
    log = []
    net = recorded(log, "A", "B")
    net.set_node_exec("A", print, start_node_func=lambda net: set_recorded(net, log, "B"))
    net.start()
    assert log == [("start", "B"), ("stop", "B")]


def test_a_start_function_that_sets_up_an_earlier_node_starts_it_anew():
    """The earlier node was started with its old functions, and starts with the new ones before its next epoch."""
    log = []
    net = recorded(log, "A", "B")
    net.set_node_exec("B", print, start_node_func=lambda net: set_recorded(net, log, "A", word="new "))
    net.inject_packets("A", "in", [1])
    net.start()
    assert log == [("start", "A"), ("new start", "A"), ("new exec", "A", 1), ("new stop", "A"), ("stop", "A")]


# errors in them


def test_a_start_function_that_raises_opens_nothing():
    """What was started is stopped, nothing runs, the error leaves and says where it is from."""
    log = []
    net = recorded(log, "A", "B", "C")
    error = OSError("no disk")
    net.set_node_exec("B", print, start_node_func=raises(error), stop_node_func=lambda net: log.append("never"))
    net.inject_packets("A", "in", [1])
    with pytest.raises(OSError, match="no disk") as caught:
        net.start()
    assert caught.value is error
    assert error.__notes__ == ["raised by the start_node_func of node 'B'"]
    assert log == [("start", "A"), ("stop", "A")]
    assert net.state is NetState.PAUSED
    log.clear()
    set_recorded(net, log, "B")
    net.start()
    assert log[:4] == [("start", "A"), ("start", "B"), ("start", "C"), ("exec", "A", 1)]


def test_entering_a_net_whose_start_function_raises():
    """The block does not run; the net is not stopped."""
    net = recorded([], "A")
    net.set_node_exec("A", print, start_node_func=raises(OSError("closed")))
    with pytest.raises(OSError, match="closed"), net:
        raise AssertionError("entered")
    assert net.state is NetState.PAUSED


def test_errors_of_start_and_stop_functions_are_all_kept():
    """The first leaves, the others are in its cause."""
    net = recorded([], "A", "B", "C")
    for name in "AB":
        net.set_node_exec(name, print, stop_node_func=raises(LookupError(name)))
    net.set_node_exec("C", print, start_node_func=raises(OSError("C")))
    with pytest.raises(OSError, match="C") as caught:
        net.start()
    assert [repr(error) for error in caught.value.__cause__.exceptions] == ["LookupError('B')", "LookupError('A')"]


def test_every_stop_function_is_called_whatever_the_others_raise():
    """Even SystemExit; nothing is lost."""
    log = []
    net = recorded(log, "A", "B", "C", "D")
    net.set_node_exec("B", print, stop_node_func=raises(ValueError("B")))
    net.set_node_exec("C", print, stop_node_func=raises(SystemExit("C")))
    with pytest.raises(SystemExit) as caught:
        net.start()
    assert caught.value.args == ("C",)
    (other,) = caught.value.__cause__.exceptions
    assert (repr(other), other.__notes__) == ("ValueError('B')", ["raised by the stop_node_func of node 'B'"])
    assert [entry for entry in log if entry[0] == "stop"] == [("stop", "D"), ("stop", "A")]
    assert net.state is NetState.PAUSED


def test_a_failing_node_and_a_failing_stop_function():
    """The node's failure leaves, with both causes."""
    net = recorded([], "A", "B")
    net.set_node_exec("A", raises(ValueError("node")), stop_node_func=raises(OSError("stop")))
    net.inject_packets("A", "in", [1])
    with pytest.raises(NodeExecutionFailed) as caught:
        net.start()
    causes = caught.value.__cause__.exceptions
    assert [repr(error) for error in causes] == ["ValueError('node')", "OSError('stop')"]
    assert repr(caught.value.original_exception) == "ValueError('node')"
    assert "OSError: stop" in "".join(traceback.format_exception(caught.value))


def test_stop_raises_what_a_stop_function_raised_and_has_stopped():
    """Once."""
    net = recorded([], "A")
    net.set_node_exec("A", print, stop_node_func=raises(OSError("stop")))
    net.run_step()
    with pytest.raises(OSError, match="stop"):
        net.stop()
    assert net.state is NetState.STOPPED
    net.stop()


def test_a_late_start_function_that_raises_is_tried_again():
    """The epoch that it was for does not run without it."""
    log = []
    net = recorded(log, "A")
    with net:
        log.clear()
        net.set_node_exec("A", lambda ctx, packets: log.append("never"), start_node_func=raises(OSError("late")))
        net.inject_packets("A", "in", [1])
        for _ in "12":
            with pytest.raises(OSError, match="late"):
                net.start()
            assert (log, net.state) == ([], NetState.PAUSED)
        set_recorded(net, log, "A")
        net.start()
        assert log == [("start", "A"), ("exec", "A", 1)]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_a_start_function_can_interrupt(kind):
    """Like any error: what was started is stopped."""
    log = []
    net = recorded(log, "A", "B")
    net.set_node_exec("B", print, start_node_func=raises(kind("x")))
    with pytest.raises(kind):
        net.start()
    assert log == [("start", "A"), ("stop", "A")]


# states

VERBS = {
    "start": lambda net: net.start(),
    "run_step": lambda net: net.run_step(),
    "route": lambda net: net.run_step(start_epochs=False),
    "pause": lambda net: net.pause(),
    "resume": lambda net: net.resume(),
    "stop": lambda net: net.stop(),
    "enter": lambda net: net.__enter__(),
    "inject": lambda net: net.inject_packets("A", "in", [1]),
    "source": lambda net: net.inject_source_epoch("A"),
    "take": lambda net: net.take_outputs("A", "out"),
    "queries": lambda net: (net.get_startable_epochs(), repr(net)),
    "set": lambda net: net.set_node_config("A", timeout=None),
}
C, R, P, S = NetState.CREATED, NetState.RUNNING, NetState.PAUSED, NetState.STOPPED
AFTER = {  # the state after each verb, by the state before; None: refused
    "start": {C: P, R: P, P: P, S: None},
    "run_step": {C: R, R: R, P: R, S: None},
    "route": {C: C, R: R, P: P, S: None},
    "pause": {C: P, R: P, P: P, S: None},
    "resume": {C: C, R: R, P: P, S: None},
    "stop": {C: S, R: S, P: S, S: S},
    "enter": {C: R, R: R, P: R, S: None},
    "inject": {C: C, R: R, P: P, S: None},
    "source": {C: C, R: R, P: P, S: None},
    "take": {C: C, R: R, P: P, S: S},
    "queries": {C: C, R: R, P: P, S: S},
    "set": {C: C, R: R, P: P, S: S},
}
INTO = {C: lambda net: None, R: lambda net: net.run_step(), P: lambda net: net.start(), S: lambda net: net.stop()}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", NetState)
def test_every_verb_in_every_state(verb, state):
    """What is refused changes nothing, and says why."""
    net = build(chain("A"), A=maps(lambda v: v))
    INTO[state](net)
    assert net.state is state
    after = AFTER[verb][state]
    if after is None:
        with pytest.raises(NetStateError, match="is not possible: the net is stopped for good"):
            VERBS[verb](net)
    else:
        VERBS[verb](net)
    assert net.state is (after or state)
    net.stop()


@pytest.mark.parametrize("verb", ["start", "run_step", "enter"])
def test_what_drives_is_refused_while_another_thread_does(verb):
    """The others work from anywhere."""
    inside, leave = Event(), Event()

    def wait(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        inside.set()
        assert leave.wait(10)

    net = build(chain("A"), A=wait)
    net.inject_packets("A", "in", [1])
    running = in_thread(net.start)
    assert inside.wait(10)
    assert net.state is NetState.RUNNING
    with pytest.raises(NetStateError, match="another thread runs it"):
        VERBS[verb](net)
    assert net.get_running_epochs_count("A") == 1
    assert "1 running" in repr(net)
    leave.set()
    assert running.join() is None
    assert net.state is NetState.PAUSED


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("verb", ["start", "run_step", "enter", "run"])
def test_what_drives_is_refused_inside_a_node(verb, is_async):
    """And the run goes on."""
    errors = []

    def attempt():
        with pytest.raises(NetStateError) as caught:
            {**VERBS, "run": lambda net: net.run()}[verb](net)
        errors.append(str(caught.value))

    def inner(ctx, packets):
        attempt()
        ctx.consume_packet(packets["in"][0])

    async def async_inner(ctx, packets):
        attempt()
        await ctx.consume_packet(packets["in"][0])

    net = build(chain("A"), A=async_inner if is_async else inner)
    net.inject_packets("A", "in", [1, 2])
    net.start()
    assert len(errors) == 2
    assert all("one of its own functions" in error for error in errors)
    assert net.get_startable_epochs() == []


def test_a_start_function_may_not_start_the_net():
    """It is inside already."""
    net = recorded([], "A")
    net.set_node_exec("A", print, start_node_func=lambda net: net.start())
    with pytest.raises(NetStateError, match="one of its own functions"):
        net.start()
    assert net.state is NetState.PAUSED


# pause and resume


def test_a_pause_before_the_first_start_is_lifted_by_it():
    """PAUSED, run_step does nothing; start() runs."""
    log = []
    net = recorded(log, "A")
    net.inject_packets("A", "in", [1])
    net.pause()
    assert net.state is NetState.PAUSED
    assert net.run_step() is False
    assert log == []
    net.start()
    assert ("exec", "A", 1) in log


def test_resume_lets_run_step_run_again():
    """And runs nothing by itself."""
    log = []
    net = recorded(log, "A")
    net.inject_packets("A", "in", [1])
    net.pause(wait=True)
    net.resume()
    assert (log, net.state) == ([], NetState.PAUSED)
    assert net.run_step() is True
    net.stop()
    assert log == [("start", "A"), ("exec", "A", 1), ("stop", "A")]


@pytest.mark.parametrize("wait", [False, True])
def test_a_pause_from_inside_a_node_never_waits(wait):
    """The node finishes; nothing else starts; the next start() goes on."""
    log = []

    def pause(ctx, packets):
        net.pause(wait=wait)
        log.append(ctx.consume_packet(packets["in"][0]))

    net = build(chain("A"), A=pause)
    net.inject_packets("A", "in", [1, 2, 3])
    for number in (1, 2, 3):
        net.start()
        assert net.state is NetState.PAUSED
        assert log == list(range(1, number + 1))
        assert net.run_step() is False


def test_a_pause_from_inside_a_start_function():
    """Nothing is begun, the stop functions are called."""
    log = []
    net = recorded(log, "A")
    net.set_node_exec("A", print, lambda net: net.pause(wait=True), lambda net: log.append("stop"))
    net.inject_packets("A", "in", [1])
    net.start()
    assert log == ["stop"]
    assert len(net.get_startable_epochs()) == 0
    net.run_step(start_epochs=False)
    assert len(net.get_startable_epochs()) == 1


def test_a_pause_from_another_thread_waits_for_what_runs():
    """With wait=True it returns when the node is done, without it at once."""
    inside, leave, log = Event(), Event(), []

    def slow(ctx, packets):
        inside.set()
        assert leave.wait(10)
        log.append(ctx.consume_packet(packets["in"][0]))

    net = build(chain("A"), A=slow)
    net.inject_packets("A", "in", [1, 2])
    running = in_thread(net.start)
    assert inside.wait(10)
    net.pause()
    assert (log, net.state) == ([], NetState.RUNNING)
    pausing = in_thread(lambda: (net.pause(wait=True), log.append("paused")))
    assert pausing.thread.is_alive()
    leave.set()
    assert pausing.join() is None
    assert running.join() is None
    assert log == [1, "paused"]
    assert net.state is NetState.PAUSED
    net.start()
    assert log == [1, "paused", 2]


def test_a_pause_between_waves_holds_the_next():
    """In an open run."""
    log = []
    net = recorded(log, "A")
    with net:
        net.inject_packets("A", "in", [1])
        net.pause()
        assert net.state is NetState.PAUSED
        assert net.run_step() is False
        net.start()
        assert ("exec", "A", 1) in log


# stop


def test_a_stop_from_inside_a_node():
    """The node finishes, nothing else starts, the stop functions run."""
    log = []
    net = recorded(log, "A")

    def stop(ctx, packets):
        net.stop()
        log.append(("exec", "A", ctx.consume_packet(packets["in"][0])))

    net.set_node_exec("A", stop, stop_node_func=lambda net: log.append(("stop", "A")))
    net.inject_packets("A", "in", [1, 2])
    net.start()
    assert log == [("exec", "A", 1), ("stop", "A")]
    assert net.state is NetState.STOPPED
    assert len(net.get_startable_epochs()) == 1


def test_a_stop_from_inside_a_step_in_a_block():
    """The run was to stay open: it closes all the same, once."""
    log = []
    net = recorded(log, "A")
    with net:
        net.set_node_exec("A", lambda ctx, packets: net.stop(), stop_node_func=lambda net: log.append("stopped"))
        net.inject_source_epoch("A")
        assert net.run_step() is True
        assert net.state is NetState.STOPPED
    assert log == [("start", "A"), "stopped"]


@pytest.mark.parametrize("where", ["start", "stop"])
def test_a_stop_from_a_start_or_stop_function(where):
    """It is asked for, and done at the end of the run."""
    log = []
    net = recorded(log, "A", "B")

    def stop(net):
        log.append(f"{where} stops")
        net.stop()

    net.set_node_exec("A", maps(str), **{f"{where}_node_func": stop})
    net.inject_packets("B", "in", [1])
    net.start()
    assert net.state is NetState.STOPPED
    assert log.count(f"{where} stops") == 1
    assert log.count(("stop", "B")) == 1
    assert (("exec", "B", 1) in log) is (where == "stop")


@pytest.mark.parametrize("is_async", [False, True])
def test_a_stop_function_is_inside_the_net_too(is_async, monkeypatch):
    """What it asks for does not wait for itself; what drives is refused."""
    monkeypatch.setattr(Control, "STOP_WAIT", 0.2)
    log = []

    def stop(net):
        net.stop()
        net.pause(wait=True)
        with pytest.raises(NetStateError, match="one of its own functions"):
            net.start()
        log.append("stopped")

    async def async_stop(net):
        stop(net)

    net = recorded([], "A")
    net.set_node_exec("A", print, stop_node_func=async_stop if is_async else stop)
    net.run_step()
    net.stop()
    assert (log, net.state) == (["stopped"], NetState.STOPPED)


def test_a_resume_does_not_undo_a_stop():
    """Stop is for good, also while it is still under way."""
    log = []

    def stop(ctx, packets):
        log.append(ctx.consume_packet(packets["in"][0]))
        net.stop()
        with suppress(NetStateError):
            net.resume()

    net = build(chain("A"), A=stop)
    net.inject_packets("A", "in", [1, 2, 3])
    net.start()
    assert net.state is NetState.STOPPED
    assert log == [1]


def test_a_stop_from_another_thread_waits_for_what_runs():
    """And returns when all is closed."""
    inside, leave, log = Event(), Event(), []
    net = recorded(log, "A")

    def slow(ctx, packets):
        inside.set()
        assert leave.wait(10)
        log.append(ctx.consume_packet(packets["in"][0]))

    net.set_node_exec("A", slow, stop_node_func=lambda net: log.append("stop function"))
    net.inject_packets("A", "in", [1, 2])
    running = in_thread(net.start)
    assert inside.wait(10)
    stopping = in_thread(lambda: (net.stop(), log.append("stopped")))
    eventually(lambda: net._engine.paused_by)
    assert log == []
    leave.set()
    assert stopping.join() is None
    assert running.join() is None
    assert log == [1, "stop function", "stopped"]
    assert net.state is NetState.STOPPED


def test_a_stop_that_waits_too_long_says_for_what(monkeypatch):
    """The run still ends as stopped, when its node is done."""
    monkeypatch.setattr(Control, "STOP_WAIT", 0.02)
    inside, leave = Event(), Event()

    def slow(ctx, packets):
        inside.set()
        assert leave.wait(10)
        ctx.consume_packet(packets["in"][0])

    net = build(chain("A"), A=slow)
    net.inject_packets("A", "in", [1, 2])
    running = in_thread(net.start)
    assert inside.wait(10)
    with pytest.raises(NetStateError, match=r"still running after 0.02 s: node 'A', epoch e1-\w+, attempt 1"):
        net.stop()
    leave.set()
    assert running.join() is None
    assert net.state is NetState.STOPPED


def test_four_threads_may_stop_at_once():
    """One does it; the stop function is called once; all return when the net is stopped."""
    for _ in range(10):
        log, states = [], []
        net = recorded(log, "A")
        net.run_step()
        barrier = Barrier(4)

        def stop(net=net, barrier=barrier, states=states):
            barrier.wait(10)
            net.stop()
            states.append(net.state)

        assert [thread.join() for thread in [in_thread(stop) for _ in range(4)]] == [None] * 4
        assert log == [("start", "A"), ("stop", "A")]
        assert states == [NetState.STOPPED] * 4


def test_a_stop_that_comes_while_a_run_is_ending_still_stops(monkeypatch):
    """The run is over but has not let go yet: when stop() returns, the net is stopped and its run closed."""
    for step in (False, True):
        log = []
        net = recorded(log, "A")
        release, stopping = net._control._release, []

        def late_stop(net=net, release=release, stopping=stopping):
            if not stopping:
                stopping.append(in_thread(net.stop))
                eventually(lambda: net._control._stop_asked)
            release()

        monkeypatch.setattr(net._control, "_release", late_stop)
        if step:
            net.run_step()
        else:
            net.start()
        assert stopping[0].join() is None
        assert net.state is NetState.STOPPED
        assert log == [("start", "A"), ("stop", "A")]


def test_one_of_two_threads_gets_to_start():
    """The other is refused at once, and nothing runs twice."""
    for _ in range(10):
        barrier, leave, log = Barrier(2), Event(), []

        def slow(ctx, packets, leave=leave, log=log):
            assert leave.wait(10)
            log.append(ctx.consume_packet(packets["in"][0]))

        net = build(chain("A"), A=slow)
        net.inject_packets("A", "in", [1, 2])

        def start(net=net, barrier=barrier, leave=leave):
            barrier.wait(10)
            try:
                net.start()
            finally:
                leave.set()

        errors = [thread.join() for thread in [in_thread(start), in_thread(start)]]
        assert sorted(type(error).__name__ for error in errors) == ["NetStateError", "NoneType"]
        assert log == [1, 2]
        net._ledger.check()


def test_leaving_a_block_with_an_exception_stops_the_net():
    """The exception leaves; what the stop functions raise does not hide it."""
    log = []
    net = recorded(log, "A")
    with pytest.raises(LookupError, match="the block"), net:
        raise LookupError("the block")
    assert log == [("start", "A"), ("stop", "A")]
    assert net.state is NetState.STOPPED

    net = recorded(log, "A")
    net.set_node_exec("A", print, stop_node_func=raises(OSError("the stop function")))
    with pytest.raises(OSError, match="the stop function") as caught, net:
        raise LookupError("the block")
    assert repr(caught.value.__context__) == "LookupError('the block')"


def test_a_block_whose_net_was_stopped_inside_ends_quietly():
    """Stopping twice is fine."""
    log = []
    net = recorded(log, "A")
    with net:
        net.stop()
        with pytest.raises(NetStateError):
            net.start()
    assert log == [("start", "A"), ("stop", "A")]


def test_a_net_can_be_driven_from_one_thread_after_another():
    """Whoever comes when nobody drives."""
    names = []

    def note(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        names.append(current_thread().name)

    net = build(chain("A"), A=note)
    for number in range(3):
        net.inject_packets("A", "in", [number])
        thread = Thread(target=net.start, name=f"driver {number}")
        thread.start()
        thread.join()
    assert names == ["driver 0", "driver 1", "driver 2"]


# where a loop is running


@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_an_async_node_may_pause_and_stop_where_a_loop_is_running(verb, monkeypatch):
    """Its task is on a loop in a thread beside, and is inside all the same: it does not wait for itself."""
    monkeypatch.setattr(Control, "STOP_WAIT", 0.2)
    log = []

    async def ask(ctx, packets):
        log.append(await ctx.consume_packet(packets["in"][0]))
        if verb == "stop":
            net.stop()
        else:
            net.pause(wait=True)

    async def main():
        net.start()

    net = build(chain("A"), A=ask)
    net.inject_packets("A", "in", [1, 2])
    running = in_thread(lambda: asyncio.run(main()))
    try:
        assert running.join(2) is None
    finally:
        net._control._release()  # so that nothing hangs if it does
    assert log == [1, 2]  # both had begun
    assert net.state is (NetState.STOPPED if verb == "stop" else NetState.PAUSED)


def test_each_start_is_stopped_by_what_belongs_to_it() -> None:
    """Functions set anew in an open run: what was started is stopped, what never started is not."""
    log: list[str] = []

    def functions(number):
        return print, lambda net: log.append(f"start{number}"), lambda net: log.append(f"stop{number}")

    net = build(chain("A"))
    net.set_node_exec("A", *functions(1))
    with net:
        net.set_node_exec("A", *functions(2))
    assert log == ["start1", "stop1"]
    log.clear()
    net = build(chain("A"))
    net.set_node_exec("A", *functions(1))
    with net:
        net.set_node_exec("A", *functions(2))
        net.start()
        net.set_node_exec("A", print, None, lambda net: log.append("stop3"))
    assert log == ["start1", "start2", "stop3", "stop1"]


def test_a_generator_object_is_refused_as_a_function() -> None:
    """Its body would never run."""

    class Yields:
        def __call__(self, ctx, packets):
            yield

    with pytest.raises(ConfigError, match="generator"):
        build(chain("A"), A=Yields())
