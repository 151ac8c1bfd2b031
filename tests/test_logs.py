"""Logs: each line in its own epoch's log, in order, and in no other."""

import asyncio
import contextlib
import contextvars
import io
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

import netrun
from netrun import ConfigError, EpochNotFoundError, Net, NodeExecutionFailed, NodeNotFoundError, current_epoch
from netrun.prints import MOST_CHARACTERS, MOST_LINES, Stdout
from tests.graphs import graph
from tests.nets import chain, eventually, node, python

KINDS = ["inline", "timeout", "async", "thread", "async thread", "process", "async process", "executor"]


def talk(ctx: Any, packets: Any) -> None:
    name = ctx.consume_packet(packets["in"][0])
    for number in range(20):
        print(name, number)
    ctx.send("out", name)


async def talk_later(ctx: Any, packets: Any) -> None:
    name = await ctx.consume_packet(packets["in"][0])
    for number in range(20):
        print(name, number)
        await asyncio.sleep(0)
    await ctx.send("out", name)


def net_of(kind: str, func: Any, later: Any = None, size: int = 4, **options: Any) -> Net:
    """One node on this kind of carrier."""
    pools: Any = {}
    if "thread" in kind:
        pools = {"thread_pools": {"pool": {"size": size}}}
    elif "process" in kind:
        pools = {"process_pools": {"pool": {"size": min(size, 2)}}}
    elif kind == "executor":
        pools = {"executor_pools": {"pool": ThreadPoolExecutor(size)}}
    net = Net(chain("A"), on_error="continue", **pools)
    net.set_node_exec("A", later if "async" in kind else func)
    net.set_node_config("A", pool="pool" if pools else None, timeout=60 if kind == "timeout" else None, **options)
    return net


def lines_of(net: Net, id: str) -> list[str]:
    return [one.message for one in net.get_epoch_log(id)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_line_is_in_its_own_epochs_log(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with net_of(kind, talk, talk_later, size=50) as net:
        net.inject_packets("A", "in", [f"n{k}" for k in range(50)])
        net.start()
        spoken = [
            (one.data["epoch_id"], value)
            for one, value in zip(
                [one for one in net.history.get_entries() if one.entry_type == "epoch"], range(50), strict=True
            )
        ]
        assert sorted(net.take_outputs("A", "out")) == sorted(f"n{k}" for k in range(50))
    assert sys.stdout is before
    assert capsys.readouterr().out == ""
    names = set()
    for id, _ in spoken:
        lines = lines_of(net, id)
        name = lines[0].split()[0]
        names.add(name)
        assert lines == [f"{name} {number}" for number in range(20)]
    assert len(names) == 50
    assert len(net.get_node_log("A")) == 1000


def test_all_kinds_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Tasks, threads, processes, an executor and inline, with other threads that print meanwhile."""
    kinds = ["Inline", "Task", "Thread", "Process", "Executor"]
    nodes = [node(kind, ["in"], ["out"]) for kind in kinds]
    stop, others = threading.Event(), 0
    with (
        ProcessPoolExecutor(1, get_context("forkserver")) as executor,
        Net(
            graph(nodes),
            thread_pools={"io": {"size": 10}},
            process_pools={"cpu": {"size": 2}},
            executor_pools={"ex": executor},
        ) as net,
    ):
        for kind, pool in zip(kinds, [None, None, "io", "cpu", "ex"], strict=True):
            net.set_node_exec(kind, talk_later if kind == "Task" else talk)
            net.set_node_config(kind, pool=pool)
            net.inject_packets(kind, "in", [f"{kind}{k}" for k in range(10)])

        def chatter() -> None:
            nonlocal others
            while not stop.is_set():
                print("other")
                others += 1

        thread = threading.Thread(target=chatter)
        thread.start()
        net.start()
        stop.set()
        thread.join()
    for kind in kinds:
        by_epoch: dict[str, list[str]] = {}
        for one in net.get_node_log(kind):
            assert one.node_name == kind
            by_epoch.setdefault(one.epoch_id, []).append(one.message)
        assert sorted(by_epoch.values()) == sorted([f"{kind}{k} {n}" for n in range(20)] for k in range(10))
    assert capsys.readouterr().out == "other\n" * others


# -- what is a line ---------------------------------------------------------------------------------------------------


def printed(func: Any, kind: str = "inline", **options: Any) -> list[str]:
    """What the log has of a function that prints."""

    def run(ctx: Any, packets: Any) -> None:
        ctx.consume_packet(packets["in"][0])
        func()

    with net_of(kind, run, **options) as net:
        net.inject_packets("A", "in", [1])
        net.start()
        return [one.message for one in net.get_node_log("A")]


def odd_prints() -> None:
    print("a", end="")
    print("b", end="")
    print()
    print("two\nlines")
    print()
    print("", end="")
    print("no", "line", sep="\n", end="\n\n")
    print("not here", file=sys.stderr)
    print("x" * 1_000_000)
    sys.stdout.write("written")
    sys.stdout.writelines(["-", "too\n", "flushed"])
    print(flush=True)
    print("ü \U0001f600")
    print("the end is open", end="")


EXPECTED = ["ab", "two", "lines", "", "no", "line", "", "x" * 1_000_000, "written-too", "flushed"]


@pytest.mark.parametrize("kind", ["inline", "thread", "process"])
def test_lines(kind: str) -> None:
    assert printed(odd_prints, kind) == [*EXPECTED, "ü \U0001f600", "the end is open"]


@pytest.mark.parametrize("kind", ["inline", "thread", "process", "executor"])
def test_what_a_failing_attempt_has_printed(kind: str) -> None:
    def fail() -> None:
        print("before")
        print("half", end="")
        raise ValueError

    assert printed(fail, kind) == ["before", "half"]


@pytest.mark.parametrize("kind", ["inline", "process"])
def test_all_attempts_at_an_epoch(kind: str) -> None:
    def twice(ctx: Any, packets: Any) -> None:
        print("attempt", ctx.retry_count)
        if ctx.retry_count == 0:
            raise ValueError
        ctx.consume_packet(packets["in"][0])

    with net_of(kind, twice, retries=1, defer_net_actions=True) as net:
        net.inject_packets("A", "in", [1])
        net.start()
        (id,) = {one.epoch_id for one in net.get_node_log("A")}
        assert lines_of(net, id) == ["attempt 0", "attempt 1"]


def test_a_value_that_cannot_come_back_costs_no_prints() -> None:
    def send_lock(ctx: Any, packets: Any) -> None:
        print("here")
        ctx.consume_packet(packets["in"][0])
        ctx.send("out", threading.Lock())

    with net_of("process", send_lock) as net:
        net.inject_packets("A", "in", [1])
        net.start()
        assert [one.message for one in net.get_node_log("A")] == ["here"]


def test_what_it_calls_and_starts_with_its_context(capsys: pytest.CaptureFixture[str]) -> None:
    async def calls(ctx: Any, packets: Any) -> None:
        await ctx.consume_packet(packets["in"][0])
        await asyncio.gather(asyncio.to_thread(print, "to_thread"), later())
        thread = threading.Thread(target=print, args=["a thread of its own"])
        thread.start()
        thread.join()

    async def later() -> None:
        await asyncio.sleep(0.01)
        print("a task")

    net = net_of("async", None, calls)
    net.inject_packets("A", "in", [1])
    net.start()
    assert sorted(one.message for one in net.get_node_log("A")) == ["a task", "to_thread"]
    assert capsys.readouterr().out == "a thread of its own\n"


def test_start_stop_and_failure_functions_print_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    net = Net(chain("A"), on_error="continue")
    net.set_node_exec("A", lambda ctx, p: 1 / 0, *(lambda _, w=what: print(w) for what in ("start", "stop", "failed")))
    net.inject_packets("A", "in", [1])
    net.start()
    assert capsys.readouterr().out == "start\nfailed\nstop\n"
    assert net.get_node_log("A") == []


def test_a_net_in_a_node_of_another(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line goes to the innermost epoch."""
    inner = net_of("inline", lambda ctx, packets: print("inner", ctx.consume_packet(packets["in"][0])))

    def run_inner(ctx: Any, packets: Any) -> None:
        print("before")
        inner.inject_packets("A", "in", [ctx.consume_packet(packets["in"][0])])
        inner.start()
        print("after")

    outer = net_of("inline", run_inner)
    outer.inject_packets("A", "in", [7])
    outer.start()
    assert [one.message for one in outer.get_node_log("A")] == ["before", "after"]
    assert [one.message for one in inner.get_node_log("A")] == ["inner 7"]
    assert capsys.readouterr().out == ""


# -- the bound --------------------------------------------------------------------------------------------------------


def test_a_log_keeps_the_newest_lines() -> None:
    def much() -> None:
        for number in range(MOST_LINES + 100):
            print(number)

    assert printed(much) == [str(number) for number in range(100, MOST_LINES + 100)]


def test_a_log_keeps_no_more_than_so_much_text() -> None:
    def much() -> None:
        for number in range(30):
            print(str(number) * 500_000)

    lines = printed(much)
    assert sum(map(len, lines)) <= MOST_CHARACTERS
    assert lines[-1].startswith("29")
    end = "x" * (MOST_CHARACTERS - 1) + "y"
    assert printed(lambda: print("before\nfirst" + end)) == [end], "the end of a line that is too long"


def test_a_line_without_end_is_bounded() -> None:
    def progress() -> None:
        for _ in range(200):
            print("x" * 100_000, end="\r")

    assert sum(map(len, printed(progress))) <= MOST_CHARACTERS


def test_a_line_of_many_parts() -> None:
    def dots() -> None:
        for number in range(100_000):
            print(number, end=" ")
        print("end\nand", end="")
        print(" a rest")

    assert printed(dots) == [" ".join([*map(str, range(100_000)), "end"]), "and a rest"]


# -- capture and echo -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["inline", "async", "thread", "process", "executor"])
@pytest.mark.parametrize("capture", [True, False])
@pytest.mark.parametrize("echo", [True, False])
def test_capture_and_echo(kind: str, capture: bool, echo: bool, capfd: pytest.CaptureFixture[str]) -> None:
    if kind == "process" and not capture:
        pytest.skip("its stdout is that of the process that all workers come from: see the next test")
    with net_of(kind, talk, talk_later, capture_stdout=capture, echo_stdout=echo) as net:
        net.inject_packets("A", "in", ["n"])
        net.start()
        assert len(net.get_node_log("A")) == (20 if capture else 0)
    assert capfd.readouterr().out == ("" if capture and not echo else "".join(f"n {k}\n" for k in range(20)))


def test_without_capture_a_worker_process_prints_to_its_stdout() -> None:
    code = """
from tests.test_logs import net_of, talk
with net_of("process", talk, capture_stdout=False) as net:
    net.inject_packets("A", "in", ["n"])
    net.start()
    assert net.get_node_log("A") == []
"""
    assert python(code) == "".join(f"n {k}\n" for k in range(20))


def test_options_may_change_between_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    net = net_of("inline", talk)
    for options in ({"capture_stdout": False}, {"capture_stdout": True}, {"echo_stdout": True}):
        net.set_node_config("A", **options)
        net.inject_packets("A", "in", ["n"])
        net.start()
    assert len(net.get_node_log("A")) == 40
    assert capsys.readouterr().out.count("\n") == 40
    for bad in ({"capture_stdout": 1}, {"echo_stdout": "yes"}):
        with pytest.raises(ConfigError):
            net.set_node_config("A", **bad)  # type: ignore[arg-type]


class Broken(io.StringIO):
    """A stdout that takes nothing."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("kind", ["inline", "thread", "process"])
@pytest.mark.parametrize("make", [closed, Broken, lambda: None])
@pytest.mark.parametrize("echo", [True, False])
def test_a_stdout_that_takes_nothing(kind: str, make: Any, echo: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is captured is safe, and the epoch goes well."""
    if make is Broken and kind == "process":
        pytest.skip("multiprocessing flushes stdout itself, and starts no process then")
    there = make()
    monkeypatch.setattr(sys, "stdout", there)
    with net_of(kind, lambda ctx, packets: print("here", ctx.consume_packet(packets["in"][0]), flush=True)) as net:
        net.set_node_config("A", echo_stdout=echo)
        net.inject_packets("A", "in", [1])
        net.start()
        assert net.poll().finished == 1
        assert [one.message for one in net.get_node_log("A")] == ["here 1"]
    assert sys.stdout is there


def test_a_closed_stdout_without_capture_fails_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", closed())
    net = net_of("inline", talk, capture_stdout=False)
    net.inject_packets("A", "in", ["n"])
    net.start()
    assert net.poll().failed == 1


# -- the stand-in -----------------------------------------------------------------------------------------------------


def test_the_same_stdout_afterwards_whatever_happens() -> None:
    before = sys.stdout
    net = Net(chain("A"))
    net.set_node_exec("A", lambda ctx, packets: 1 / 0)
    net.inject_packets("A", "in", [1])
    with pytest.raises(NodeExecutionFailed):
        net.start()
    assert sys.stdout is before
    net.start(threaded=True)
    net.wait_until_blocked(10)
    assert sys.stdout is before, "a net that idles needs none"
    net.stop()
    assert sys.stdout is before


def test_two_nets_in_turns_leave_the_same_stdout() -> None:
    before = sys.stdout
    first_goes, second_goes = threading.Event(), threading.Event()

    def wait(event: threading.Event, other: threading.Event) -> Any:
        def run(ctx: Any, packets: Any) -> None:
            ctx.consume_packet(packets["in"][0])
            other.set()
            assert event.wait(10)
            print("done")

        return run

    nets = [net_of("inline", wait(first_goes, second_goes)), net_of("inline", wait(second_goes, first_goes))]
    for net in nets:
        net.inject_packets("A", "in", [1])
    threads = [threading.Thread(target=net.start) for net in nets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is before
    assert [[one.message for one in net.get_node_log("A")] for net in nets] == [["done"], ["done"]]


def test_somebody_elses_stdout_in_between() -> None:
    """What a function redirects goes where it says. Where that lasts longer than the run, no stand-in stays."""
    before, buffer = sys.stdout, io.StringIO()
    outer = contextlib.redirect_stdout(buffer)

    def redirects(ctx: Any, packets: Any) -> None:
        print("log")
        with contextlib.redirect_stdout(io.StringIO()) as inner:
            print("inner")
        assert inner.getvalue() == "inner\n"
        ctx.consume_packet(packets["in"][0])
        outer.__enter__()
        print("outer")

    net = net_of("inline", redirects)
    net.inject_packets("A", "in", [1])
    net.start()
    assert net.poll().finished == 1
    assert sys.stdout is buffer
    outer.__exit__(None, None, None)
    assert isinstance(sys.stdout, Stdout)
    print("it is found out")
    assert sys.stdout is before
    assert [one.message for one in net.get_node_log("A")] == ["log"]
    assert buffer.getvalue() == "outer\n"


def test_the_stand_in_is_like_what_it_stands_for() -> None:
    seen: list[Any] = []

    def ask(ctx: Any, packets: Any) -> None:
        ctx.consume_packet(packets["in"][0])
        seen.extend([sys.stdout.encoding, sys.stdout.isatty(), repr(sys.stdout)])
        with pytest.raises(TypeError, match="must be str"):
            sys.stdout.write(7)  # type: ignore[arg-type]

    net = net_of("inline", ask)
    net.inject_packets("A", "in", [1])
    net.start()
    assert net.poll().finished == 1
    assert seen[:2] == [sys.stdout.encoding, sys.stdout.isatty()]
    assert "stand-in" in seen[2]


def test_a_handler_that_prints_in_the_middle_of_a_print() -> None:
    code = """
import signal, sys
from netrun import Net
from tests.nets import chain
net = Net(chain("A"), history_max_size=0)
signal.signal(signal.SIGALRM, lambda number, frame: print("tick"))
def talk(ctx, packets):
    ctx.consume_packet(packets["in"][0])
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    for number in range(20_000):
        print("line", number)
    signal.setitimer(signal.ITIMER_REAL, 0)
net.set_node_exec("A", talk)
net.inject_packets("A", "in", [1])
net.start()
print(len(net.get_node_log("A")))
"""
    assert python(code, measured=False) == "10000\n"


# -- current_epoch ----------------------------------------------------------------------------------------------------


def tell(ctx: Any, packets: Any) -> None:
    ctx.consume_packet(packets["in"][0])
    epoch = current_epoch()
    assert epoch is not None
    ctx.send("out", (ctx.epoch_id, epoch.id, epoch.node_name))


async def tell_later(ctx: Any, packets: Any) -> None:
    await ctx.consume_packet(packets["in"][0])
    await asyncio.sleep(0.001)
    epoch = current_epoch()
    assert epoch is not None
    await ctx.send("out", (ctx.epoch_id, epoch.id, epoch.node_name))


@pytest.mark.parametrize("capture", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_current_epoch(kind: str, capture: bool) -> None:
    with net_of(kind, tell, tell_later, capture_stdout=capture) as net:
        net.inject_packets("A", "in", range(20))
        net.start()
        told = net.take_outputs("A", "out")
    assert len(told) == len(set(told)) == 20
    assert all(one == other and name == "A" for one, other, name in told)
    assert current_epoch() is netrun.current_epoch() is None


def test_logs_of_what_there_is_not() -> None:
    net = net_of("inline", talk)
    with pytest.raises(NodeNotFoundError):
        net.get_node_log("B")
    for id in ("e1", "p1-abc", "", "nonsense"):
        with pytest.raises(EpochNotFoundError, match="no id of an epoch"):
            net.get_epoch_log(id)
    assert net.get_epoch_log(net.inject_source_epoch("A")) == []


def test_an_abandoned_thread_still_prints_to_its_epoch() -> None:
    release = threading.Event()
    done = threading.Event()

    def hang(ctx: Any, packets: Any) -> None:
        print("before")
        release.wait(10)
        print("after", end="")
        done.set()

    net = Net(chain("A", "B"), on_error="continue")
    net.set_node_exec("A", hang)
    net.set_node_config("A", timeout=0.05)
    net.inject_packets("A", "in", [1])

    def meanwhile(ctx: Any, packets: Any) -> None:
        release.set()
        assert done.wait(10)
        print("B")

    net.set_node_exec("B", meanwhile)
    net.inject_packets("B", "in", [1])
    net.start()
    eventually(lambda: len(net.get_node_log("A")) == 2)
    assert [one.message for one in net.get_node_log("A")] == ["before", "after"]


def test_what_a_worker_had_printed_before_it_died() -> None:
    """It is told line by line, not with the answer; the lines of an executor come with the answer."""

    def die(ctx: Any, packets: Any) -> None:
        print("last words", end="\nand half")
        print(" a line")
        print("lost", end="")
        os._exit(3)

    def hang(ctx: Any, packets: Any) -> None:
        print("going to sleep")
        time.sleep(3600)

    for func, timeout, lines in [(die, None, ["last words", "and half a line"]), (hang, 2.0, ["going to sleep"])]:
        with net_of("process", func) as net:
            net.set_node_config("A", timeout=timeout)
            net.inject_packets("A", "in", [1])
            net.start()
            assert net.poll().failed == 1
            assert [one.message for one in net.get_node_log("A")] == lines


def test_a_thread_that_prints_on_after_its_epoch_in_a_worker() -> None:
    """It is nobody's then, and disturbs neither the next epoch nor the end."""

    def leaves_a_thread(ctx: Any, packets: Any) -> None:
        name = ctx.consume_packet(packets["in"][0])
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(chatter, name), daemon=True).start()
        time.sleep(0.02)

    with net_of("process", leaves_a_thread, size=1) as net:
        net.inject_packets("A", "in", range(5))
        net.start()
        assert net.poll().finished == 5
        by_epoch: dict[str, set[str]] = {}
        for one in net.get_node_log("A"):
            by_epoch.setdefault(one.epoch_id, set()).add(one.message)
        assert sorted(map(sorted, by_epoch.values())) == [[str(n)] for n in range(5)]


def chatter(name: Any) -> None:
    """Print for a while."""
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        print(name)
        time.sleep(0.001)


@pytest.mark.parametrize("kind", ["inline", "process"])
def test_what_a_function_forks_prints_to_stdout(kind: str) -> None:
    code = f"""
import os
from tests.test_logs import net_of

def forks(ctx, packets):
    ctx.consume_packet(packets["in"][0])
    print("in the log")
    pid = os.fork()
    if not pid:
        print("forked off", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)

with net_of({kind!r}, forks) as net:
    net.inject_packets("A", "in", [1])
    net.start()
    assert [one.message for one in net.get_node_log("A")] == ["in the log"]
"""
    assert python(code, measured=False) == "forked off\n"
