"""A real SIGINT while a net runs: nothing is torn, whatever it strikes, and the handler that was there is back."""

import signal
import tempfile
import threading
import time

import pytest

from netrun import Net, NetState
from netrun.driver import Interrupts
from tests.nets import build, chain, python

AT_RANDOM = """
import os, random, signal, sys, threading, time
from netrun import Net
from tests.nets import chain

def pass_on(ctx, packets):
    for packet in packets["in"]:
        ctx.send("out", ctx.consume_packet(packet))

def strike():
    time.sleep(random.random() * 0.03)
    os.kill(os.getpid(), signal.SIGINT)

random.seed({seed})
for _ in range(4):
    net = Net(chain("A", "B"))
    for name in "AB":
        net.set_node_exec(name, pass_on)
        net.set_node_config(name, defer_net_actions=True)
    for number in range(800):
        net.inject_packets("A", "in", [number])
        net.run_step(start_epochs=False)
    striker = threading.Thread(target=strike)
    interrupted = False
    try:
        striker.start()
        net.start()
        striker.join()
        time.sleep(0.01)
    except KeyboardInterrupt:
        interrupted = True
    striker.join()
    assert interrupted
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    net._ledger.check()
    net.start()
    net._ledger.check()
    assert sorted(net.take_outputs("B", "out")) == list(range(800))
print("whole")
"""


@pytest.mark.parametrize("seed", range(3))
def test_at_random_moments_nothing_is_lost_or_done_twice(seed: int) -> None:
    """Deferred nodes have not acted before their commit, so every epoch is done once in the end."""
    assert python(AT_RANDOM.format(seed=seed), measured=False).strip() == "whole"


def test_a_long_function_is_interrupted_at_once() -> None:
    """Even one that is in an act of its own again and again: the epoch has acted, so it is cancelled."""

    def busy(ctx, packets):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            ctx.send("out", 1)

    net = build(chain("A"), A=busy)
    net.inject_packets("A", "in", [1])
    timer = threading.Timer(0.05, signal.raise_signal, [signal.SIGINT])
    timer.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        net.start()
    assert time.monotonic() - begun < 10
    assert net.state is NetState.PAUSED
    assert net.get_startable_epochs() == []
    net._ledger.check()


def test_a_handler_of_the_users_own_is_asked_and_comes_back() -> None:
    """netrun's own handler hands on to the one that was there, and puts it back."""
    asked: list[int] = []

    def mine(number, frame):
        asked.append(number)

    def press(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        signal.raise_signal(signal.SIGINT)

    net = build(chain("A"), A=press)
    net.inject_packets("A", "in", [1, 2])
    before = signal.signal(signal.SIGINT, mine)
    try:
        net.start()
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)
    assert asked == [signal.SIGINT] * len(asked)
    assert asked


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
        net = Net(chain("A"), packet_storage_path=folder)
        net.set_node_exec("A", make)
        net.set_node_config("A", defer_net_actions=deferred)
        net.inject_packets("A", "in", [1])
        with pytest.raises(KeyboardInterrupt):
            net.start()
        assert struck == ["pickled whole"]
        net._ledger.check()


def test_one_that_is_held_back_strikes_at_the_end() -> None:
    """Where nothing of the user's runs any more, it is not lost."""
    interrupts = Interrupts({})
    with pytest.raises(KeyboardInterrupt), interrupts:
        interrupts.pending = True
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_other_threads_the_handler_is_left_alone() -> None:
    """Only the main thread may set one."""
    seen: list[object] = []

    def look(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        seen.append(signal.getsignal(signal.SIGINT))

    net: Net = build(chain("A"), A=look)
    net.inject_packets("A", "in", [1])
    thread = threading.Thread(target=net.start)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
