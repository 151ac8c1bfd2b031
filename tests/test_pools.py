"""Nodes in pools: they really run there, many at once, and everything else is as inline."""

import asyncio
import multiprocessing
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any

import loky
import pytest

from netrun import (
    ConfigError,
    EpochTimeout,
    Graph,
    Net,
    NetState,
    NetStateError,
    NodeExecutionFailed,
    NotPicklable,
    WorkerDied,
    WorkerException,
    workers,
)
from netrun.workers import Started
from tests.graphs import edge
from tests.nets import chain, eventually, join, node, python

FORKSERVER = multiprocessing.get_context("forkserver")
KINDS = ["thread", "process", "executor", "loky"]


def pool_options(kind: str, size: int = 2, name: str = "p") -> dict[str, Any]:
    """The options of a net with one pool."""
    match kind:
        case "inline":
            return {}
        case "thread":
            return {"thread_pools": {name: {"size": size}}}
        case "process":
            return {"process_pools": {name: {"size": size}}}
        case "spawn" | "fork":
            return {"process_pools": {name: {"size": size, "start_method": kind}}}
    make: dict[str, Callable[[], Executor]] = {
        "executor": lambda: ProcessPoolExecutor(size, FORKSERVER),
        "loky": lambda: loky.ProcessPoolExecutor(size),
        "thread executor": lambda: ThreadPoolExecutor(size),
    }
    executor = make[kind]()
    _executors.append(executor)
    return {"executor_pools": {name: executor}}


_executors: list[Executor] = []


@pytest.fixture(autouse=True)
def _executors_end(everything_ends: None) -> Iterator[None]:
    """No worker is left, and no process."""
    yield
    while _executors:
        _executors.pop().shutdown()


def pooled(kind: str, func: Callable[..., Any], values: Any = (), size: int = 2, **options: Any) -> Net:
    """A net of one node `A` in a pool `p` of this kind."""
    names = (
        "retries",
        "timeout",
        "defer_net_actions",
        "max_parallel_epochs",
        "rate_limit_per_second",
        "pool_init_mode",
    )
    of_node = {name: options.pop(name) for name in names if name in options}
    net = Net(chain("A"), **pool_options(kind, size), **options)
    net.set_node_exec("A", func)
    net.set_node_config("A", pool=None if kind == "inline" else "p", **of_node)
    net.inject_packets("A", "in", values)
    return net


def where(ctx, packets):
    """Send who this is."""
    value = ctx.consume_packet(packets["in"][0])
    ctx.send("out", (value, os.getpid(), threading.current_thread().name))


async def where_later(ctx, packets):
    value = await ctx.consume_packet(packets["in"][0])
    await asyncio.sleep(0.001)
    await ctx.send("out", (value, os.getpid(), threading.current_thread().name))


# -- place -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("func", [where, where_later])
@pytest.mark.parametrize("kind", [*KINDS, "spawn", "fork", "thread executor"])
def test_it_runs_there(kind: str, func: Callable[..., Any]) -> None:
    """By process and by thread; nothing is lost; no more workers than there may be."""
    if kind == "fork" and sys.version_info >= (3, 12):
        pytest.skip("Python warns of forking where there are threads")
    net = pooled(kind, func, range(20))
    net.start()
    out = net.take_outputs("A", "out")
    assert sorted(value for value, *_ in out) == list(range(20))
    places = {(pid, thread) for _, pid, thread in out}
    assert 1 <= len(places) <= 2
    if kind == "thread":
        assert {thread for _, thread in places} <= {"netrun p-1", "netrun p-2"}
    assert (os.getpid() in {pid for pid, _ in places}) == (kind in ("thread", "thread executor"))
    net._ledger.check()


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_at_once_as_there_are_workers(kind: str, tmp_path: Path) -> None:
    """A barrier that only as many at once can pass."""

    def meet(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        (tmp_path / f"{value}").touch()
        end = time.monotonic() + 20
        while len(list(tmp_path.iterdir())) < 3:
            if time.monotonic() > end:
                raise TimeoutError("the others did not come")
            time.sleep(0.005)

    net = pooled(kind, meet, range(3), size=3)
    net.start()
    assert net.poll().finished == 3


def test_an_epoch_begins_when_a_worker_is_free() -> None:
    """Nothing queues up in the pool: the others are startable, and a pause holds them."""
    gate, began = threading.Event(), []

    def hold(ctx, packets):
        began.append(ctx.consume_packet(packets["in"][0]))
        gate.wait(10)

    net = pooled("thread", hold, range(10))
    net.start(threaded=True)
    eventually(lambda: len(began) == 2 and net.poll().startable == 8)
    status = net.poll()
    assert status.running == 2
    assert (status.pools["p"].size, status.pools["p"].busy, status.pools["p"].abandoned) == (2, 2, 0)
    net.pause()
    gate.set()
    assert net.wait_until_blocked(10)
    assert sorted(began) == [0, 1]
    assert net.poll().pools["p"].busy == 0
    net.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_beginning_is_the_order_of_arrival(kind: str) -> None:
    """With one worker the outputs show it."""
    net = pooled(kind, where, range(30), size=1)
    net.start()
    assert [value for value, *_ in net.take_outputs("A", "out")] == list(range(30))


def test_the_freest_of_several_pools_is_taken() -> None:
    """Ties by name."""
    gate = threading.Event()

    def hold(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        gate.wait(10)

    net = Net(chain("A"), thread_pools={"pb": {"size": 3}, "pa": {"size": 2}, "pc": {"size": 1}})
    net.set_node_exec("A", hold)
    net.set_node_config("A", pool=["pc", "pa", "pb"])
    net.inject_packets("A", "in", range(8))
    net.start(threaded=True)
    eventually(lambda: net.poll().running == 6)
    taken = [attempt.worker.name.partition("-")[0] for attempt in net._engine.running]
    gate.set()
    assert net.wait_until_blocked(10)
    # three are free in b; then two in a and in b, a is first by name; then two in b alone; then one in a, b and c
    assert taken == ["pb", "pa", "pb", "pa", "pb", "pc"]
    net.stop()


def test_nodes_share_a_pool_in_the_order_of_their_epochs() -> None:
    """Whoever has waited longest is next, whatever node it is of."""
    log: list[tuple[str, int]] = []

    def note(ctx, packets):
        log.append((ctx.node_name, ctx.consume_packet(packets["in"][0])))

    net = Net(Graph([node("A", ["in"]), node("B", ["in"])], []), thread_pools={"p": {"size": 1}})
    for name in "AB":
        net.set_node_exec(name, note)
        net.set_node_config(name, pool="p")
    for number in range(20):
        net.inject_packets("AB"[number % 2], "in", [number])
        net.run_step(start_epochs=False)
    net.start()
    assert [value for _, value in log] == list(range(20))


# -- what a function may do there --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["inline", *KINDS])
def test_everything_that_a_context_can(kind: str) -> None:
    """The same on every carrier: words, lazy values, own packets, facts."""

    def work(ctx, packets):
        assert list(packets) == ["in"]
        (packet,) = packets["in"]
        assert packet.location.kind == "Node"
        value = ctx.consume_packet(packet)
        assert (ctx.node_name, ctx.retry_count, ctx.retry_exceptions) == ("A", 0, [])
        assert ctx.idempotency_key == ctx.epoch_id
        own = ctx.create_packet("own")
        assert ctx.consume_packet(own) == "own"
        lazy = ctx.create_packet_from_value_func(lambda: value * 10)
        ctx.load_output_port("out", lazy)
        ctx.send_output_salvo("out")
        ctx.send("out", {"value": value})

    net = pooled(kind, work, [1, 2], size=1)
    net.start()
    assert net.take_outputs("A", "out") == [10, {"value": 1}, 20, {"value": 2}]
    net._ledger.check()
    assert len(net.value_store) == 0


@pytest.mark.parametrize("kind", ["inline", *KINDS])
def test_a_lazy_value_is_called_where_it_is_asked_for(kind: str) -> None:
    """There, and afresh by a retry; what it gave is in the dead letter."""
    net = Net(Graph([node("S", [], ["out"]), node("A", ["in"], ["out"])], [edge("S.out", "A.in")]), on_error="continue",
              **pool_options(kind))  # fmt: skip
    folder = os.getpid()

    def source(ctx, packets):
        for port in ("out",):
            packet = ctx.create_packet_from_value_func(lambda: (os.getpid(), "lazy"))
            ctx.load_output_port(port, packet)
            ctx.send_output_salvo(port)

    def work(ctx, packets):
        pid, word = ctx.consume_packet(packets["in"][0])
        assert pid == os.getpid()
        if word == "lazy":
            raise ValueError(word)

    net.set_node_exec("S", source)
    net.set_node_exec("A", work)
    net.set_node_config("A", pool=None if kind == "inline" else "p")
    net.inject_source_epoch("S")
    net.start()
    (letter,) = net.dead_letter_queue
    ((pid, word),) = letter.packet_values.values()
    assert word == "lazy"
    assert (pid == folder) == (kind in ("inline", "thread"))


@pytest.mark.parametrize("kind", ["inline", *KINDS])
def test_retries_know_of_the_attempts_before(kind: str) -> None:
    """Their exceptions and times travel; nothing of a failed attempt is in the net."""

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        ctx.send("out", (value, ctx.retry_count, [repr(error) for error in ctx.retry_exceptions]))
        assert len(ctx.retry_timestamps) == ctx.retry_count
        if ctx.retry_count < 2:
            raise ValueError(ctx.retry_count)

    net = pooled(kind, work, ["a", "b"], defer_net_actions=True, retries=2)
    net.start()
    errors = ["ValueError(0)", "ValueError(1)"]
    assert sorted(net.take_outputs("A", "out")) == [("a", 2, errors), ("b", 2, errors)]
    net._ledger.check()


@pytest.mark.parametrize("kind", KINDS)
def test_cancel_epoch_and_refusals(kind: str) -> None:
    """No failure; and a refusal there reads as one here."""

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if value == "cancel":
            ctx.cancel_epoch()
        if value == "port":
            ctx.send("oout", 1)
        if value == "net":
            ctx.create_packet(1)

    net = pooled(kind, work, ["cancel", "port", "net"], on_error="continue", size=1)
    net.start()
    status = net.poll()
    assert (status.cancelled, status.failed, status.finished) == (1, 2, 0)
    port, left = (letter.exception for letter in net.dead_letter_queue)
    assert "there is no output port 'oout'. Did you mean 'out'?" in str(port)
    assert "ended with packets left" in str(left)
    net._ledger.check()


@pytest.mark.parametrize("kind", KINDS)
def test_what_interrupts_elsewhere_is_a_failure_there(kind: str) -> None:
    """`sys.exit`, `KeyboardInterrupt` and `CancelledError` in a pool are failed attempts; the net runs on."""

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if value == "exit":
            sys.exit(3)
        if value == "key":
            raise KeyboardInterrupt
        if value == "task":
            raise asyncio.CancelledError
        ctx.send("out", value)

    net = pooled(kind, work, ["exit", "key", "task", "fine"], on_error="continue")
    net.start()
    kinds = sorted(type(letter.exception).__name__ for letter in net.dead_letter_queue)
    assert kinds == ["CancelledError", "KeyboardInterrupt", "SystemExit"]
    assert net.take_outputs("A", "out") == ["fine"]


def test_threads_act_at_once() -> None:
    """Live contexts there, too: what is sent starts the nodes behind while the sender goes on."""
    received = threading.Event()

    def stream(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        for number in range(3):
            received.clear()
            ctx.send("out", number)
            assert received.wait(10)

    def receive(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        received.set()

    for place in (None, "p"):
        net = Net(chain("A", "B"), **pool_options("thread"))
        net.set_node_exec("A", stream)
        net.set_node_exec("B", receive)
        net.set_node_config("A", pool="p")
        net.set_node_config("B", pool=place)
        net.inject_packets("A", "in", [1])
        net.start()
        assert net.poll().finished == 4


def test_a_thread_of_a_pool_that_waits_for_its_own_net_is_refused() -> None:
    """A pool of one: no deadlock."""
    told: list[str] = []

    def work(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        for verb in (net.start, net.run_step, net.wait_until_blocked, lambda: net.start(threaded=True)):
            with pytest.raises(NetStateError) as caught:
                verb()
            told.append(str(caught.value))
        net.pause(wait=True)

    net = pooled("thread", work, [1, 2], size=1)
    net.start()
    assert len(told) == 4
    assert all("own functions" in text for text in told)
    assert net.poll().startable == 1


@pytest.mark.parametrize("kind", KINDS)
def test_failure_functions_and_callbacks_are_called_here(kind: str) -> None:
    """In the net's own process, with what was consumed."""
    told: list[Any] = []

    def fail(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        raise ValueError("no")

    net = Net(chain("A"), on_error="continue", error_callback=lambda *args: told.append(args[1]), **pool_options(kind))
    net.set_node_exec(
        "A", fail, exec_failed_node_func=lambda failure: told.append(list(failure.packet_values.values()))
    )
    net.set_node_config("A", pool="p")
    net.inject_packets("A", "in", ["value"])
    net.start()
    assert told == [["value"], "A"]
    (letter,) = net.dead_letter_queue
    assert repr(letter.exception) == "ValueError('no')"
    if kind != "thread":
        line = fail.__code__.co_firstlineno + 2
        assert f'File "{__file__}", line {line}, in fail' in str(letter.exception.__cause__)


# -- start and stop functions ------------------------------------------------------------------------------------------


def _starting(kind: str, folder: Path, **options: Any) -> Net:
    """A net whose start and stop functions leave a line in a file."""

    def note(what):
        def func(net):
            with (folder / "log").open("a") as file:
                file.write(f"{what} {os.getpid()}-{threading.get_ident()}\n")

        return func

    net = Net(chain("A", "B"), **pool_options(kind))
    for name in "AB":
        net.set_node_exec(name, where, note(f"start {name}"), note(f"stop {name}"))
        net.set_node_config(name, pool="p", **options)
    return net


def _log(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines() if (folder / "log").exists() else []


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_per_worker(kind: str, tmp_path: Path) -> None:
    """Once in each worker before its first epoch of the node, and in reverse at the end; also over several starts."""
    net = _starting(kind, tmp_path)
    with net:
        for _ in range(2):
            net.inject_packets("A", "in", range(12))
            net.start()
        out = net.take_outputs("B", "out")
    assert len(out) == 24
    lines = _log(tmp_path)
    workers = {line.split()[2] for line in lines}
    assert 1 <= len(workers) <= 2
    for worker in workers:
        mine = [" ".join(line.split()[:2]) for line in lines if line.split()[2] == worker]
        starts, stops = mine[: len(mine) // 2], mine[len(mine) // 2 :]
        assert sorted(starts) in (["start A", "start B"], ["start A"], ["start B"])
        assert stops == [line.replace("start", "stop") for line in reversed(starts)]


@pytest.mark.parametrize("kind", KINDS)
def test_global(kind: str, tmp_path: Path) -> None:
    """Once, in the net's own process."""
    net = _starting(kind, tmp_path, pool_init_mode="global")
    net.inject_packets("A", "in", range(12))
    net.start()
    assert [" ".join(line.split()[:2]) for line in _log(tmp_path)] == ["start A", "start B", "stop B", "stop A"]
    assert {line.split()[2].partition("-")[0] for line in _log(tmp_path)} == {str(os.getpid())}


@pytest.mark.parametrize("kind", ["executor", "loky"])
def test_per_worker_in_an_executor(kind: str, tmp_path: Path) -> None:
    """An executor's workers are started, and stopped when their process ends."""
    net = _starting(kind, tmp_path)
    net.inject_packets("A", "in", range(12))
    net.start()
    _executors.pop().shutdown()
    lines = [" ".join(line.split()[:2]) for line in _log(tmp_path)]
    assert sorted(set(lines)) == ["start A", "start B", "stop A", "stop B"]
    assert lines.count("start A") == lines.count("stop A") <= 2


@pytest.mark.parametrize("kind", ["executor", "loky", "thread executor"])
def test_nets_that_share_an_executor_start_their_nodes_once(kind: str, tmp_path: Path) -> None:
    """Each its own, though their nodes have the same names and run in turns in the same worker."""
    pools = pool_options(kind, size=1)
    nets = [Net(chain("A"), **pools) for _ in range(2)]
    for number, net in enumerate(nets):
        note = partial(_note, tmp_path, number)
        net.set_node_exec("A", where, lambda net, note=note: note("start"), lambda net, note=note: note("stop"))
        net.set_node_config("A", pool="p")
    for _ in range(3):
        for net in nets:
            net.inject_packets("A", "in", [1])
            net.run_step()
    for net in nets:
        net.stop()
    assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == ["start 0", "start 1"]


@pytest.mark.parametrize("kind", ["executor", "thread executor"])
def test_an_executor_forgets_the_nets_of_long_ago(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their stop functions are called then."""
    pools = pool_options(kind, size=1)
    few = 3

    def work(ctx, packets):
        workers._MOST_POOLS = few
        ctx.consume_packet(packets["in"][0])

    monkeypatch.setattr(workers, "_MOST_POOLS", few)
    for number in range(5):
        net = Net(chain("A"), **pools)
        note = partial(_note, tmp_path, number)
        net.set_node_exec("A", work, lambda net, note=note: note("start"), lambda net, note=note: note("stop"))
        net.set_node_config("A", pool="p")
        net.inject_packets("A", "in", [1])
        net.start()
    stopped = [path.name.partition("-")[0] for path in tmp_path.iterdir() if path.name.startswith("stop")]
    assert sorted(stopped) == ["stop 0", "stop 1"]


def _note(folder: Path, number: int, what: str) -> None:
    (folder / f"{what} {number}-{time.monotonic_ns()}").touch()


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_start_function_that_fails_fails_the_epoch(kind: str, tmp_path: Path) -> None:
    """And is called again by the next attempt."""

    def start(net):
        (tmp_path / f"{time.monotonic_ns()}").touch()
        if len(list(tmp_path.iterdir())) < 3:
            raise OSError("no connection")

    net = pooled(kind, where, [1], size=1, defer_net_actions=True, retries=5)
    net.set_node_exec("A", where, start)
    net.start()
    assert len(net.take_outputs("A", "out")) == 1
    assert len(list(tmp_path.iterdir())) == 3
    net = pooled(kind, where, [1], on_error="continue")

    def fail(net):
        raise OSError("no connection")

    net.set_node_exec("A", where, fail)
    net.start()
    (letter,) = net.dead_letter_queue
    assert repr(letter.exception) == "OSError('no connection')"


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_stop_function_that_fails_is_raised(kind: str) -> None:
    """By `start`, whose run it ends."""

    def stop(net):
        raise OSError("cannot close")

    net = pooled(kind, where, [1])
    net.set_node_exec("A", where, None, stop)
    with pytest.raises(OSError, match="cannot close"):
        net.start()
    assert net.state is NetState.PAUSED
    assert len(net.take_outputs("A", "out")) == 1


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_async_start_and_node_functions_share_the_workers_loop(kind: str) -> None:
    """What one opens, the other can use."""
    loops: dict[str, Any] = {}

    async def start(net):
        loops["start"] = asyncio.get_running_loop()

    async def work(ctx, packets):
        value = await ctx.consume_packet(packets["in"][0])
        await ctx.send("out", (value, asyncio.get_running_loop() is loops["start"]))

    net = pooled(kind, work, range(5), size=1)
    net.set_node_exec("A", work, start)
    net.start()
    assert net.take_outputs("A", "out") == [(number, True) for number in range(5)]


def test_the_net_in_a_worker_process_is_a_stand_in() -> None:
    """It knows the names, and refuses the rest clearly."""

    def start(net):
        assert (net.node_name, net.pool_name, net.worker_name) == ("A", "p", "p-1")
        net.inject_packets("A", "in", [1])

    net = pooled("process", where, [1], on_error="continue")
    net.set_node_exec("A", where, start)
    net.start()
    (letter,) = net.dead_letter_queue
    assert isinstance(letter.exception, NetStateError)
    assert "net.inject_packets is not possible: this is a worker process" in str(letter.exception)


def test_functions_that_are_set_anew_reach_the_workers() -> None:
    """In the middle of a run; the new start function is called, and both stop functions at the end."""
    log: list[str] = []
    net = Net(chain("A"), **pool_options("thread", 1))
    net.set_node_config("A", pool="p")

    def version(number):
        def work(ctx, packets):
            ctx.send("out", (number, ctx.consume_packet(packets["in"][0])))

        return work, lambda net: log.append(f"start {number}"), lambda net: log.append(f"stop {number}")

    with net:
        for number in (1, 2):
            net.set_node_exec("A", *version(number))
            net.inject_packets("A", "in", ["a", "b"])
            net.start()
    assert log == ["start 1", "start 2", "stop 2", "stop 1"]
    assert net.take_outputs("A", "out") == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
    net = Net(chain("A"), **pool_options("process", 1))
    net.set_node_config("A", pool="p")
    with net:
        for number in (1, 2):
            net.set_node_exec("A", version(number)[0])
            net.inject_packets("A", "in", ["a"])
            net.start()
    assert net.take_outputs("A", "out") == [(1, "a"), (2, "a")]


@pytest.mark.parametrize("kind", ["inline", *KINDS])
def test_a_thread_left_behind_tears_nothing(kind: str) -> None:
    """It goes on sending while what was sent is committed: each packet is in the net as a whole, or not at all."""

    def work(ctx, packets):
        import threading

        number, sent = ctx.consume_packet(packets["in"][0]), threading.Event()

        def more():
            for k in range(100_000):
                try:
                    ctx.send("out", (number, k))
                except Exception:
                    return
                sent.set()

        threading.Thread(target=more, daemon=True).start()
        sent.wait(10)

    net = pooled(kind, work, range(5), size=1, defer_net_actions=True)
    net.start()
    net._ledger.check()
    status = net.poll()
    assert (status.finished, status.running, status.startable) == (5, 0, 0)
    found = net.take_outputs("A", "out")
    assert [k for _, k in found] == [k for number in range(5) for k in range(sum(n == number for n, _ in found))]


@pytest.mark.parametrize("kind", ["inline", *KINDS])
def test_a_context_that_was_kept_is_dead_in_the_next_attempt(kind: str) -> None:
    """In a worker process, too."""

    def work(ctx, packets):
        import builtins

        packet, said = packets["in"][0], None
        if (kept := vars(builtins).get("_kept_by_a_test")) is not None:
            try:
                kept.send("out", "late")
            except Exception as error:
                said = type(error).__name__, "its attempt has ended" in str(error)
        builtins._kept_by_a_test = ctx if ctx.consume_packet(packet) else None  # type: ignore[attr-defined]
        ctx.send("out", said)

    net = pooled(kind, work, [1, 0], size=1)
    net.start()
    assert net.take_outputs("A", "out") == [None, ("NetStateError", True)]


class Scaled:
    """A node function whose `==` says too much, or raises."""

    def __init__(self, factor: int, raises: bool) -> None:
        self.factor, self.raises = factor, raises

    def __eq__(self, other: object) -> bool:
        if self.raises:
            raise ValueError("the truth value is ambiguous")
        return True

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, ctx, packets):
        ctx.send("out", self.factor * ctx.consume_packet(packets["in"][0]))


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("kind", ["inline", *KINDS])
def test_what_changed_between_runs_is_seen(kind: str, raises: bool) -> None:
    """An object that was changed, and another one that is equal to it; in one run, one that is set once more."""
    scaled = Scaled(2, raises)
    net = pooled(kind, scaled, [1], size=1)
    net.start()
    scaled.factor = 3
    net.inject_packets("A", "in", [1])
    net.start()
    net.set_node_exec("A", Scaled(4, raises))
    with net:
        for factor in (4, 5, 6):
            net.inject_packets("A", "in", [1])
            net.start()
            scaled.factor = factor + 1
            net.set_node_exec("A", scaled)
    assert net.take_outputs("A", "out") == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("raises", [False, True])
def test_start_functions_are_not_compared_by_equality(raises: bool) -> None:
    """Another one that is equal is called, too."""
    started = Started()
    log: list[int] = []

    class Start(Scaled):
        def __call__(self, net):
            log.append(self.factor)

    one, two = Start(1, raises), Start(2, raises)
    for start in (one, one, two):
        started.start("A", start, None, "the net")
    assert log == [1, 2]


def test_no_thread_left_for_a_worker_fails_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing else: the books hold, and the worker gets its thread later."""
    start, are_left = threading.Thread.start, [False]

    def scarce(self: threading.Thread) -> None:
        if self.name.startswith("netrun p-") and not are_left[0]:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    net = pooled("thread", lambda ctx, packets: ctx.consume_packet(packets["in"][0]), range(3), on_error="continue")
    with net:
        net.start()
        net._ledger.check()
        status = net.poll()
        assert (status.failed, status.running, status.startable, status.pools["p"].busy) == (3, 0, 0, 0)
        assert {str(letter.exception) for letter in net.dead_letter_queue} == {"can't start new thread"}
        are_left[0] = True
        net.inject_packets("A", "in", range(3))
        net.start()
        assert net.poll().finished == 3


def test_a_stop_function_that_fails_after_the_run_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Of a thread that was abandoned and comes back when nobody waits for it."""
    gate = threading.Event()

    def stop(net):
        raise OSError("lost data")

    net = pooled("thread", lambda ctx, packets: gate.wait(20), [1], size=1, timeout=0.2, on_error="continue")
    net.set_node_exec("A", lambda ctx, packets: gate.wait(20), None, stop)
    net.start()
    assert "lost data" not in caplog.text
    gate.set()
    eventually(lambda: "lost data" in caplog.text)


def test_sigterm_ends_a_forked_worker() -> None:
    """It does not have the handler of the net that it was forked from."""

    def work(ctx, packets):
        import signal

        if ctx.consume_packet(packets["in"][0]) == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(20)
        ctx.send("out", signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)

    net = pooled("fork", work, [0, 1], size=1, on_error="continue")
    net.start()
    assert net.take_outputs("A", "out") == [True]
    (letter,) = net.dead_letter_queue
    assert isinstance(letter.exception, WorkerDied)
    assert letter.exception.exitcode == -15


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_the_interpreter_ends_while_workers_run(method: str) -> None:
    """It kills them, and starts no others in their place, which nobody would end."""
    script = f"""
        import time
        from netrun import Net
        from tests.nets import chain

        def work(ctx, packets):
            import time
            time.sleep(60)

        net = Net(chain("A"), process_pools={{"p": {{"size": 2, "start_method": {method!r}}}}}, on_error="continue")
        net.set_node_exec("A", work)
        net.set_node_config("A", pool="p")
        net.inject_packets("A", "in", range(8))
        net.start(threaded=True)
        time.sleep(1)
        print("the end")
    """
    assert "the end" in python(dedent(script))


class Misreported(Exception):
    """Pickle makes one with another text."""

    def __init__(self, host):
        super().__init__(f"cannot reach {host}")


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_says_here_what_it_said_there(kind: str) -> None:
    """Also if pickling would change that."""

    def work(ctx, packets):
        raise Misreported("db7") if ctx.consume_packet(packets["in"][0]) else ValueError("as it is", 3)

    net = pooled(kind, work, [1, 0], size=1, on_error="continue")
    net.start()
    one, other = (letter.exception for letter in net.dead_letter_queue)
    assert str(one).removeprefix("Misreported: ") == "cannot reach db7"
    assert type(other) is ValueError
    assert other.args == ("as it is", 3)


# -- with everything else ----------------------------------------------------------------------------------------------


def test_all_kinds_in_one_net() -> None:
    """Inline, async, threads, processes; retries, a rate, a limit; each value arrives once."""

    def plus(ctx, packets):
        ctx.send("out", ctx.consume_packet(packets["in"][0]) + 1)

    async def plus_later(ctx, packets):
        value = await ctx.consume_packet(packets["in"][0])
        await asyncio.sleep(0.001)
        await ctx.send("out", value + 1)

    def flaky(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if ctx.retry_count == 0 and value % 3 == 0:
            raise ValueError(value)
        ctx.send("out", value + 1)

    net = Net(chain(*"ABCDE"), thread_pools={"pt": {"size": 3}}, process_pools={"pp": {"size": 2}})
    for name, func in zip("ABCDE", (plus, plus_later, plus, flaky, flaky), strict=True):
        net.set_node_exec(name, func)
    net.set_node_config("B", max_parallel_epochs=4)
    net.set_node_config("C", pool="pt", max_parallel_epochs=2)
    net.set_node_config("D", pool="pp", retries=1, defer_net_actions=True)
    net.set_node_config("E", pool=["pt", "pp"], retries=1, defer_net_actions=True, rate_limit_per_second=500)
    net.inject_packets("A", "in", range(60))
    net.start()
    assert sorted(net.take_outputs("E", "out")) == [value + 5 for value in range(60)]
    net._ledger.check()


@pytest.mark.parametrize("kind", KINDS)
def test_limits_hold_in_pools(kind: str, tmp_path: Path) -> None:
    """At most two at once, though there are four workers; no two begin closer than the rate."""

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        begun = time.monotonic()
        mine = tmp_path / str(value)
        mine.touch()
        many = len(list(tmp_path.iterdir()))
        time.sleep(0.03)
        mine.unlink()
        ctx.send("out", (begun, many))

    net = pooled(kind, work, range(12), size=4, max_parallel_epochs=2, rate_limit_per_second=50)
    net.start()
    out = net.take_outputs("A", "out")
    assert max(many for _, many in out) == 2
    begun = sorted(moment for moment, _ in out)
    if kind in ("thread", "process"):  # half of it, since a busy machine lets a process see the clock late
        assert sum(after - before < 0.5 / 50 for before, after in pairwise(begun)) <= 1


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_slow_start_function_does_not_bring_calls_together(kind: str) -> None:
    """The gap counts from the call, not from when the worker got the attempt: it starts up before."""

    def work(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        ctx.send("out", time.monotonic())

    net = Net(chain("A"), **pool_options(kind, 3))
    net.set_node_exec("A", work, lambda net: time.sleep(0.2))
    net.set_node_config("A", pool="p", rate_limit_per_second=50)
    net.inject_packets("A", "in", range(9))
    net.start()
    begun = sorted(net.take_outputs("A", "out"))
    assert len(begun) == 9
    assert sum(after - before < 0.25 / 50 for before, after in pairwise(begun)) <= 1


@pytest.mark.parametrize("kind", ["inline", *KINDS])
def test_the_same_result_on_every_carrier(kind: str) -> None:
    """A net with a fan-out, a join and a batch, and values of all kinds."""
    graph = Graph(
        [node("Split", ["in"], ["left", "right"]), node("Left", ["in"], ["out"]), node("Right", ["in"], ["out"]),
         join("Join", ["a", "b"], ["out"])],
        [edge("Split.left", "Left.in"), edge("Split.right", "Right.in"), edge("Left.out", "Join.a"),
         edge("Right.out", "Join.b")],
    )  # fmt: skip
    net = Net(graph, **pool_options(kind, 1))

    def split(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        ctx.send("left", {"value": value})
        ctx.send("right", [value, value])

    def left(ctx, packets):
        ctx.send("out", ctx.consume_packet(packets["in"][0])["value"])

    def right(ctx, packets):
        ctx.send("out", sum(ctx.consume_packet(packets["in"][0])))

    def joined(ctx, packets):
        ctx.send("out", tuple(ctx.consume_packet(packets[port][0]) for port in "ab"))

    for name, func in {"Split": split, "Left": left, "Right": right, "Join": joined}.items():
        net.set_node_exec(name, func)
        net.set_node_config(name, pool=None if kind == "inline" else "p")
    net.inject_packets("Split", "in", range(20))
    net.start()
    assert net.take_outputs("Join", "out") == [(value, 2 * value) for value in range(20)]
    net._ledger.check()


@pytest.mark.parametrize("kind", KINDS)
def test_values_in_files_and_kept_values(kind: str, tmp_path: Path) -> None:
    """The store is here; workers get the values themselves."""
    net = pooled(kind, where, ["a"], packet_storage_path=tmp_path / "values", consumed_packet_storage=True)
    net.start()
    ((value, *_),) = net.take_outputs("A", "out")
    assert value == "a"
    net._ledger.check()


@pytest.mark.parametrize("kind", KINDS)
def test_in_the_background_and_on_a_loop(kind: str) -> None:
    """`start(threaded=True)` and `async_start`; the loop goes on meanwhile."""
    net = pooled(kind, where)
    net.start(threaded=True)
    net.inject_packets("A", "in", range(10))
    assert net.wait_until_blocked(20)
    assert len(net.take_outputs("A", "out")) == 10
    net.stop()

    def slow(ctx, packets):
        time.sleep(0.05)
        where(ctx, packets)

    net = pooled(kind, slow, range(4))

    async def main():
        ticks = 0
        running = asyncio.create_task(net.async_start())
        while not running.done():
            await asyncio.sleep(0.005)
            ticks += 1
        await running
        return ticks

    assert asyncio.run(main()) >= 5
    assert len(net.take_outputs("A", "out")) == 4


def test_stop_waits_for_threads_and_ends_processes() -> None:
    """A process attempt is cancelled at once, a thread's finishes."""
    gate = threading.Event()

    def hold(ctx, packets):
        gate.wait(10)
        where(ctx, packets)

    net = pooled("thread", hold, [1, 2, 3])
    net.start(threaded=True)
    eventually(lambda: net.poll().running == 2)
    threading.Timer(0.05, gate.set).start()
    net.stop()
    assert (len(net.take_outputs("A", "out")), net.poll().startable) == (2, 1)

    def sleep(ctx, packets):
        time.sleep(3600)

    net = pooled("process", sleep, [1, 2, 3])
    net.start(threaded=True)
    eventually(lambda: net.poll().running == 2)
    begun = time.monotonic()
    net.stop()
    assert time.monotonic() - begun < 8
    assert net.poll().startable == 3
    net._ledger.check()


def test_a_thread_that_hangs_is_abandoned_and_counted() -> None:
    """Its worker is busy until it returns, and the poll says so; the pool goes on with the others."""
    release = threading.Event()

    def hang(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if value == "hang":
            release.wait(20)
        ctx.send("out", value)

    net = pooled("thread", hang, ["hang", 1, 2], timeout=0.05, on_error="continue")
    with net:
        net.start()
        status = net.poll()
        assert (status.failed, status.running) == (1, 0)
        assert (status.pools["p"].busy, status.pools["p"].abandoned) == (1, 1)
        assert net.take_outputs("A", "out") == [1, 2]
        net.set_node_config("A", timeout=20)
        release.set()
        eventually(lambda: net.poll().pools["p"].busy == 0)
        net.inject_packets("A", "in", [3])
        net.start()
        assert net.take_outputs("A", "out") == [3]
    assert isinstance(next(iter(net.dead_letter_queue)).exception, EpochTimeout)


def test_a_worker_that_outlives_its_run_is_not_used_by_the_next() -> None:
    """It was abandoned, the run has ended without it, and then it returns."""
    release, returned = threading.Event(), threading.Event()

    def hang(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if value == "hang":
            release.wait(20)
            threading.Timer(0.05, returned.set).start()
        else:
            ctx.send("out", value)

    net = pooled("thread", hang, ["hang"], size=1, timeout=0.05, on_error="continue")
    net.start()
    net.set_node_config("A", timeout=None)
    release.set()
    assert returned.wait(20)
    net.inject_packets("A", "in", ["fine"])
    net.start(threaded=True)
    assert net.wait_until_blocked(10)
    assert net.poll().pools["p"].size == 1
    net.stop()
    assert net.take_outputs("A", "out") == ["fine"]


def test_who_waits_for_the_only_worker_goes_on_when_it_returns() -> None:
    """The worker was abandoned; nothing else would wake the net."""
    release = threading.Event()

    def hang(ctx, packets):
        if ctx.consume_packet(packets["in"][0]) == "hang":
            release.wait(20)

    net = pooled("thread", hang, ["hang", 1, 2], size=1, timeout=0.05, on_error="continue")
    net.start(threaded=True)
    eventually(lambda: net.poll().failed == 1)
    net.set_node_config("A", timeout=None)
    assert net.poll().startable == 2
    release.set()
    eventually(lambda: net.poll().finished == 2)
    net.stop()


# -- what cannot travel ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["process", "executor", "loky"])
def test_what_cannot_be_pickled_is_named(kind: str, tmp_path: Path) -> None:
    """Port and type, before the body runs where that can be known; the pool goes on."""
    lock = threading.Lock()

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        (tmp_path / value).touch()
        ctx.send("out", threading.Lock() if value == "out" else value)

    net = pooled(kind, work, [lock, "out", "fine"], on_error="continue", size=1)
    net.start()
    into, out = (letter.exception for letter in net.dead_letter_queue)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fine", "out"]
    assert isinstance(into, NotPicklable)
    assert isinstance(out, NotPicklable)
    assert (into.node_name, into.port_name, into.type_name) == ("A", "in", "lock")
    assert (out.node_name, out.port_name, out.type_name) == ("A", "out", "lock")
    assert isinstance(into.__cause__, TypeError)
    assert net.take_outputs("A", "out") == ["fine"]
    net = pooled(kind, lambda ctx, packets: lock, ["value"], on_error="continue")
    net.start()
    (letter,) = net.dead_letter_queue
    assert isinstance(letter.exception, NotPicklable)
    assert (letter.exception.port_name, letter.exception.type_name) == ("function", "function")
    assert list(letter.packet_values.values()) == ["value"]


class Travels:
    """A node function that notes in a folder when it is pickled and unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def note(self, what: str) -> None:
        (self.folder / f"{what} {os.getpid()}-{threading.get_ident()} {time.monotonic_ns()}").touch()

    def __getstate__(self):
        self.note("pickled")
        return {"folder": self.folder}

    def __setstate__(self, state):
        vars(self).update(state)
        self.note("unpickled")

    def __call__(self, ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        ctx.send("out", f"{os.getpid()}-{threading.get_ident()}")
        time.sleep(0.001 * value)


@pytest.mark.parametrize("kind", ["process", "executor", "loky", "thread executor"])
def test_a_function_goes_to_each_worker_once(kind: str, tmp_path: Path) -> None:
    """However many epochs there are: pickled once, unpickled once in each worker."""
    net = pooled(kind, Travels(tmp_path), range(30))
    net.start()
    workers = set(net.take_outputs("A", "out"))
    notes = [path.name.split()[:2] for path in tmp_path.iterdir()]
    assert [what for what, _ in notes].count("pickled") == 1
    assert sorted(who for what, who in notes if what == "unpickled") == sorted(workers)


class BreaksInInit(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class BreaksInReduce(Exception):
    def __reduce__(self):
        raise TypeError("not me")


class BreaksInStr(Exception):
    def __str__(self):
        raise TypeError("no text")


@pytest.mark.parametrize("kind", ["process", "executor", "loky"])
@pytest.mark.parametrize("error", [BreaksInInit(1, 2), BreaksInReduce("text"), BreaksInStr("x")])
def test_an_exception_that_cannot_travel_arrives_all_the_same(kind: str, error: Exception) -> None:
    """With its type's name, its text and the traceback there."""
    make = {BreaksInInit: lambda: BreaksInInit(1, 2), BreaksInReduce: lambda: BreaksInReduce("text"),
            BreaksInStr: lambda: BreaksInStr("x")}[type(error)]  # fmt: skip

    def work(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        raise make()

    net = pooled(kind, work, [1], on_error="continue")
    net.start()
    (letter,) = net.dead_letter_queue
    found = letter.exception
    if type(error) is BreaksInStr:
        assert type(found).__name__ == "BreaksInStr"
    else:
        assert isinstance(found, WorkerException)
        assert (found.type_name, found.text) == (
            type(error).__name__,
            {"BreaksInInit": "1 and 2"}.get(found.type_name, "text"),
        )
    assert "in work" in str(found.__cause__)
    net.take_outputs("A", "out")


@pytest.mark.parametrize(("kind", "retry_on", "attempts"), [
    ("thread", BreaksInInit, 2), ("process", BreaksInInit, 2), ("process", Exception, 2), ("process", OSError, 1),
])  # fmt: skip
def test_retry_on_knows_what_could_not_be_brought_over(kind: str, retry_on: Any, attempts: int) -> None:
    """By the names of its classes."""

    def work(ctx, packets):
        raise BreaksInInit(1, 2)

    net = pooled(kind, work, [1], size=1, on_error="continue", retries=1, defer_net_actions=True)
    net.set_node_config("A", retry_on=retry_on)
    net.start()
    (letter,) = net.dead_letter_queue
    assert letter.retry_count + 1 == attempts


class Hostile:
    """Unpickling it fails: in the worker, or back here."""

    def __init__(self, where: str) -> None:
        self.where, self.home = where, os.getpid()

    def __setstate__(self, state):
        at_home = os.getpid() == state["home"]
        if (state["where"] == "home") == at_home:
            raise LookupError(state["where"])
        vars(self).update(state)


@pytest.mark.parametrize("kind", ["process", "executor", "loky"])
def test_what_breaks_when_it_is_unpickled_is_the_epochs_failure(kind: str) -> None:
    """There or here; the next epoch is fine."""
    home = os.getpid()

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if value == "back":
            value = Hostile("home")
            value.home = home
        ctx.send("out", value)

    net = pooled(kind, work, [Hostile("there"), "back", "fine"], on_error="continue", size=1)
    net.start()
    assert [repr(letter.exception) for letter in net.dead_letter_queue] == [
        "LookupError('there')",
        "LookupError('home')",
    ]
    assert net.take_outputs("A", "out") == ["fine"]
    net._ledger.check()


GATE = threading.Event()


class Stuck:
    """Unpickling it waits, in the process where it was asked for."""

    def __init__(self, home: int) -> None:
        self.home = home

    def __reduce__(self):
        return wait_at, (self.home,)


def wait_at(home: int) -> str:
    if os.getpid() == home:
        GATE.wait(20)
    return "unstuck"


def test_an_answer_that_hangs_when_it_is_unpickled_is_abandoned() -> None:
    """The process is done with it, so nothing can be ended; it counts as a thread that hangs does."""
    home = os.getpid()

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        ctx.send("out", Stuck(home) if value == "stuck" else value)

    GATE.clear()
    net = pooled("process", work, ["fine"], size=1, on_error="continue")
    with net:
        net.start()
        net.set_node_config("A", timeout=0.3)
        net.inject_packets("A", "in", ["stuck"])
        net.start()
        assert (net.poll().pools["p"].busy, net.poll().pools["p"].abandoned) == (1, 1)
        net.set_node_config("A", timeout=None)
        GATE.set()
        eventually(lambda: net.poll().pools["p"].busy == 0)
        net.inject_packets("A", "in", ["again"])
        net.start()
    assert net.take_outputs("A", "out") == ["fine", "again"]
    (letter,) = net.dead_letter_queue
    assert isinstance(letter.exception, EpochTimeout)


MAIN = """
import os
from netrun import *
from tests.nets import chain

class Point:
    def __init__(self, x):
        self.x = x

SCALE = 3

def helper(x):
    return x * SCALE

def work(ctx, packets):
    point = ctx.consume_packet(packets["in"][0])
    ctx.send("out", Point(helper(point.x)))

net = Net(chain("A"), process_pools={{"p": {{"size": 2, "start_method": "{method}"}}}})
net.set_node_exec("A", work)
net.set_node_config("A", pool="p")
net.inject_packets("A", "in", [Point(1), Point(2)])
net.start()
out = net.take_outputs("A", "out")
assert all(isinstance(point, Point) for point in out)
print(sorted(point.x for point in out))
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_functions_and_classes_of_a_script_without_a_guard(method: str, tmp_path: Path) -> None:
    """They travel by value, so the script is not run again in the workers."""
    if method == "fork" and sys.version_info >= (3, 12):
        pytest.skip("Python warns of forking where there are threads")
    script = tmp_path / "script.py"
    script.write_text(MAIN.format(method=method))
    assert python(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')").strip() == "[3, 6]"
    assert python(MAIN.format(method=method)).strip() == "[3, 6]"


# -- executors with bad manners ----------------------------------------------------------------------------------------


class Manners(Executor):
    """An executor that does what it likes with what it is given."""

    def __init__(self, submit: Callable[[], Any], size: Any = 2) -> None:
        self._submit, self._max_workers = submit, size

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        return self._submit()


def future_with(end: Callable[[Any], Any]) -> Any:
    """A future that has ended so."""
    future: Any = Future()
    end(future)
    return future


def refuse() -> None:
    raise TypeError("not today")


@pytest.mark.parametrize(
    ("submit", "kind"),
    [
        (refuse, TypeError),
        (lambda: None, AttributeError),
        (lambda: future_with(lambda future: future.set_result(42)), TypeError),
        (lambda: future_with(lambda future: future.set_result((b"", b""))), EOFError),
        (lambda: future_with(lambda future: future.set_exception(KeyboardInterrupt())), KeyboardInterrupt),
        (lambda: future_with(lambda future: future.cancel()), FutureCancelled),
    ],
)
def test_an_executor_that_misbehaves_fails_the_epoch(submit: Callable[[], Any], kind: type[BaseException]) -> None:
    """Nothing else, and what it raised says whose it is."""
    for size in (2, 0, None):
        net = Net(chain("A"), on_error="continue", executor_pools={"p": Manners(submit, size)})
        net.set_node_exec("A", where)
        net.set_node_config("A", pool="p")
        net.inject_packets("A", "in", range(3))
        net.start()
        assert [type(letter.exception) for letter in net.dead_letter_queue] == [kind] * 3
        assert sorted(list(letter.packet_values.values()) for letter in net.dead_letter_queue) == [[0], [1], [2]]
        if kind in (AttributeError, FutureCancelled):
            notes = next(iter(net.dead_letter_queue)).exception.__notes__
            assert notes == ["raised by the executor of pool 'p'"]
        net._ledger.check()


@pytest.mark.parametrize("kind", ["thread executor", "executor", "loky"])
def test_an_executor_that_is_shut_down_meanwhile(kind: str) -> None:
    """The net pauses with the first epoch that it refuses; the others are startable."""
    executor = pool_options(kind, 1)["executor_pools"]["p"]

    def shut_down(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if value == 3:
            executor.shutdown(wait=False)
        ctx.send("out", value)

    graph = Graph([node("A", ["in"], ["out"]), node("B", ["in"], ["out"])], [edge("A.out", "B.in")])
    net = Net(graph, executor_pools={"p": executor})
    net.set_node_exec("A", shut_down)
    net.set_node_exec("B", where)
    net.set_node_config("B", pool="p")
    net.inject_packets("A", "in", range(10))
    with pytest.raises(NodeExecutionFailed) as caught:
        net.start()
    assert isinstance(caught.value.original_exception, RuntimeError)
    assert "raised by the executor of pool 'p'" in caught.value.original_exception.__notes__
    given_up = [value for letter in net.dead_letter_queue for value in letter.packet_values.values()]
    out = [value for value, *_ in net.take_outputs("B", "out")]
    left = [value for value in range(10) if value not in (*out, *given_up)]
    assert len(given_up) == 1
    assert (
        len(left)
        == net.poll().startable + net.poll().nodes["B"].waiting_packets + net.poll().nodes["A"].waiting_packets
    )
    net._ledger.check()


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"thread_pools": {"p": {}}}, "size must be a whole number from 1 on, not None"),
        ({"thread_pools": {"p": {"size": 0}}}, "size must be"),
        ({"thread_pools": {"p": {"size": True}}}, "size must be"),
        ({"thread_pools": {"p": 3}}, "must be options such as"),
        ({"thread_pools": {"p": {"sise": 3}}}, "there is no option 'sise'. Did you mean 'size'?"),
        ({"process_pools": {"p": {"size": 1, "start_method": "spoon"}}}, "there is no start_method 'spoon'"),
        ({"executor_pools": {"p": 3}}, "must be a concurrent.futures.Executor, not 3"),
        ({"executor_pools": {"p": {"size": 3}}}, "must be a concurrent.futures.Executor, not None"),
        ({"executor_pools": {"p": {"executor": ThreadPoolExecutor(1)}}}, "size must be a whole number from 1 on"),
        ({"thread_pools": {"p": {"size": 1}}, "process_pools": {"p": {"size": 1}}}, "two pools have the name 'p'"),
        ({"thread_pools": {"": {"size": 1}}}, "a pool's name must be text"),
    ],
)
def test_bad_pools_are_refused(options: dict[str, Any], text: str) -> None:
    """At construction."""
    with pytest.raises(ConfigError) as caught:
        Net(chain("A"), **options)
    assert text in str(caught.value)


@pytest.mark.parametrize("bad", [3, "", [], ["a", 3], {"a": 1}])
def test_bad_names_of_pools_are_refused(bad: Any) -> None:
    """Where they are set."""
    net = Net(chain("A"))
    with pytest.raises(ConfigError, match="pool must be"):
        net.set_node_config("A", pool=bad)
    with pytest.raises(ConfigError, match="pool_init_mode"):
        net.set_node_config("A", pool_init_mode="each")


def test_a_pool_that_there_is_not_is_told_when_the_net_starts() -> None:
    """Before any function is called; and at once while a run is open."""
    called: list[int] = []
    net = Net(chain("A"), thread_pools={"io": {"size": 1}})
    net.set_node_exec("A", where, lambda net: called.append(1))
    net.set_node_config("A", pool=["io", "cpuu"])
    net.inject_packets("A", "in", [1])
    for verb in (net.start, net.run_step):
        with pytest.raises(ConfigError, match=r"node 'A': there is no pool 'cpuu'\. There is: 'io'"):
            verb()
    assert called == []
    net.set_node_config("A", pool="io")
    with net:
        with pytest.raises(ConfigError, match="there is no pool 'gpu'"):
            net.set_node_config("A", pool="gpu")
        net.start()
    assert len(net.take_outputs("A", "out")) == 1
    lonely = Net(chain("A"))
    lonely.set_node_exec("A", where)
    lonely.set_node_config("A", pool="io")
    with pytest.raises(ConfigError, match="There is: none"):
        lonely.start()


# -- at random ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_pauses_failures_and_timeouts_at_random(kind: str) -> None:
    """Whatever comes together: each value is taken out once, or its epoch was given up and it is in a dead letter."""
    dice = random.Random(5)

    def work(ctx, packets):
        number, fate = ctx.consume_packet(packets["in"][0])
        if fate == "fail" or (fate == "once" and ctx.retry_count == 0):
            raise ValueError(number)
        if fate == "slow":
            time.sleep(0.01)
        if fate == "hang" and ctx.retry_count == 0:
            time.sleep(0.6)
        ctx.send("out", number)

    fates = ["well"] * 12 + ["fail", "once", "slow", "hang"]
    values = [(number, dice.choice(fates)) for number in range(150)]
    net = pooled(kind, work, size=3, on_error="continue", defer_net_actions=True, retries=1, timeout=0.3)
    net.start(threaded=True)
    for value in values:
        net.inject_packets("A", "in", [value])
        if dice.random() < 0.1:
            net.pause(wait=dice.random() < 0.5)
            net.resume()
    assert net.wait_until_blocked(60)
    out = net.take_outputs("A", "out")
    letters = [value[0] for letter in net.dead_letter_queue for value in letter.packet_values.values()]
    net.stop()
    assert sorted(out + letters) == list(range(150))
    assert sorted(letters) == [number for number, fate in values if fate == "fail"]
    net._ledger.check()


def test_errors_of_pools_are_chained(capsys: pytest.CaptureFixture[str]) -> None:
    """What leaves `start` leads to the line in the worker."""
    net = pooled("process", lambda ctx, packets: 1 / 0, [1])
    with pytest.raises(NodeExecutionFailed) as caught:
        net.start()
    assert isinstance(caught.value.original_exception, ZeroDivisionError)
    assert "ZeroDivisionError" in str(caught.value.__cause__.__cause__)  # type: ignore[union-attr]
    assert not isinstance(caught.value.original_exception, WorkerDied)


# -- moved while it runs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", [None, "u"])
def test_an_attempt_runs_in_the_place_for_which_it_was_admitted(pool: str | None) -> None:
    """Though another thread moves its node at that very moment: no worker is lost."""
    net = Net(chain("A"), thread_pools={"t": {"size": 1}, "u": {"size": 1}})
    net.set_node_exec("A", lambda ctx, packets: ctx.send("out", (ctx.consume_packet(packets["in"][0]), name_here())))
    net.set_node_config("A", pool="t")
    busy = net._stage.pools._pools["t"]
    take, told = busy.take, []

    def move() -> None:
        net.set_node_config("A", pool=pool)
        told.append(net.get_node_config("A").pool)

    def take_and_move() -> Any:
        mover = threading.Thread(target=move)
        mover.start()
        mover.join()
        return take()

    busy.take = take_and_move
    net.inject_packets("A", "in", [1, 2])
    with net:
        net.start()
        assert told == [pool]
        assert net.poll().pools["t"].busy == 0
    there = "netrun u-1" if pool else name_here()
    assert sorted(net.take_outputs("A", "out")) == [(1, "netrun t-1"), (2, there)]


def name_here() -> str:
    """The thread that calls this."""
    return threading.current_thread().name


def test_a_node_that_is_moved_all_the_time() -> None:
    """Everything comes out once, and all workers are free at the end."""
    net = Net(chain("A"), thread_pools={"t": {"size": 2}, "u": {"size": 1}})
    net.set_node_exec("A", lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["in"][0])))
    net.inject_packets("A", "in", range(2000))
    done = threading.Event()

    def move() -> None:
        while not done.is_set():
            for pool in ("t", None, ["t", "u"]):
                net.set_node_config("A", pool=pool, max_parallel_epochs=random.choice([None, 1, 2]))
                time.sleep(0.0002)

    mover = threading.Thread(target=move)
    with net:
        mover.start()
        try:
            net.start(threaded=True)
            assert net.wait_until_blocked(60)
        finally:
            done.set()
            mover.join()
        assert {status.busy for status in net.poll().pools.values()} == {0}
        assert sorted(net.take_outputs("A", "out")) == list(range(2000))


@pytest.mark.parametrize("options", [{"pool": None}, {"pool_init_mode": "global"}])
def test_a_node_that_leaves_its_workers_is_started_in_the_net(options: dict[str, Any]) -> None:
    """Once, before its next epoch there."""
    calls: list[Any] = []
    net = Net(chain("A"), thread_pools={"t": {"size": 1}})

    def work(ctx, packets):
        calls.append(ctx.consume_packet(packets["in"][0]))

    net.set_node_exec(
        "A", work, lambda net: calls.append(("start", name_here())), lambda net: calls.append(("stop", name_here()))
    )
    back = {"pool": "t", "pool_init_mode": "per_worker"}
    net.set_node_config("A", **back)
    here = name_here()
    with net:
        for k, change in enumerate([back, options, back, options]):
            net.set_node_config("A", **change)
            net.inject_packets("A", "in", [k])
            net.start()
    assert calls == [
        ("start", "netrun t-1"), 0, ("start", here), 1, 2, 3, ("stop", "netrun t-1"), ("stop", here),
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_the_main_module_is_left_alone_while_a_process_starts(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other threads may look at it."""
    from multiprocessing import spawn

    seen: list[bool] = []
    prepare = spawn.get_preparation_data

    def look(name: str) -> dict[str, Any]:
        main = vars(sys.modules["__main__"])
        seen.append("__file__" in main and main.get("__spec__") is not None)
        return prepare(name)

    monkeypatch.setitem(vars(sys.modules["__main__"]), "__file__", __file__)
    monkeypatch.setitem(vars(sys.modules["__main__"]), "__spec__", __spec__)
    monkeypatch.setattr(spawn, "get_preparation_data", look)
    net = Net(chain("A"), process_pools={"p": {"size": 1, "start_method": method}})
    net.set_node_exec("A", lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["in"][0])))
    net.set_node_config("A", pool="p")
    net.inject_packets("A", "in", [1])
    net.start()
    assert net.take_outputs("A", "out") == [1]
    assert set(seen) == {True}
    assert spawn.get_preparation_data is look
