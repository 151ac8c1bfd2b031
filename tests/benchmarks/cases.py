"""The cases, each of which gives rows of the table."""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, sleep
from typing import Any

from tests.benchmarks import floor, nets
from tests.benchmarks.measure import Comparison, Side, Workload, compare
from tests.benchmarks.table import Row

PIPELINE = 2  # hops from source to sink
PAIRS = {1_000: 15, 10_000: 7, 100_000: 5}

Rows = Iterator[Row]


def _row(case: str, n: int | str, found: Comparison, budget: float | None = None) -> Row:
    return Row(case, n if isinstance(n, str) else f"{n:,}", found.measured, found.reference, found.ratio, budget)


def _flat(case: str, build: Callable[[int], Workload], units: Callable[[int], int], small: int, repeats: int) -> Row:
    """The time for a unit at N = 100,000 over that at a smaller N."""
    large = 100_000
    found = compare(Side(partial(build, large), units(large)), Side(partial(build, small), units(small), repeats), 5)
    return Row(f"flat: {case}", f"{large:,} : {small:,}", found.measured, None, found.ratio, 1.15)


def pipeline() -> Rows:
    """Source, processor, sink; all packets from one epoch of the source. Per epoch."""
    case = "source → processor → sink, per epoch"

    def against_floor(n: int, **options: bool) -> Comparison:
        units = n * PIPELINE + 1
        ours = Side(partial(nets.through_chain, PIPELINE, n, **options), units)
        return compare(ours, Side(partial(floor.through_chain, PIPELINE, n), units), PAIRS[n])

    for n in PAIRS:
        yield _row(case, n, against_floor(n), 1.4)
    yield _flat(case, partial(nets.through_chain, PIPELINE), lambda n: n * PIPELINE + 1, 1_000, 9)
    yield _row(f"{case}, by create, load, send", 10_000, against_floor(10_000, by_words=True))
    yield _row(f"{case}, processor deferred", 10_000, against_floor(10_000, defer_net_actions=True))


def history() -> Rows:
    """The same with history and capture of prints, which are left out of the other cases. Per epoch."""
    n = 10_000
    units = n * PIPELINE + 1
    build = partial(nets.through_chain, PIPELINE, n)
    bare, off = Side(partial(floor.through_chain, PIPELINE, n), units), Side(build, units)
    no_history, no_capture = {"history_max_size": 0}, {"capture_stdout": False}
    default = Side(partial(nets.configured, {}, {}, build), units)
    yield _row("history in memory and capture of prints, as by default", n, compare(default, bare, PAIRS[n]), 1.8)
    for case, ours, budget in [
        ("history in memory", partial(nets.configured, {}, no_capture, build), 1.25),
        ("history in memory and in a file", partial(nets.recorded, {}, no_capture, build), 1.6),
        ("capture of prints", partial(nets.configured, no_history, {}, build), 1.05),
    ]:
        yield _row(f"{case} : without", n, compare(Side(ours, units), off, PAIRS[n]), budget)


def sources() -> Rows:
    """Source, processor, sink; each packet from an epoch of the source of its own. Per epoch."""
    n = 10_000
    units = n * (PIPELINE + 1)
    ours = Side(partial(nets.through_chain, PIPELINE, 1, n), units)
    theirs = Side(partial(floor.through_chain, PIPELINE, 1, n), units)
    yield _row("a source epoch for each packet, per epoch", n, compare(ours, theirs, PAIRS[n]), 1.4)


def burst() -> Rows:
    """Many packets at once, sent in one epoch or injected. Per packet."""
    for case, ours, theirs in [
        ("burst from one epoch, per packet", partial(nets.through_chain, 1), partial(floor.through_chain, 1)),
        ("inject_packets, per packet", nets.injected, floor.injected),
    ]:
        n = 100_000
        yield _row(case, n, compare(Side(partial(ours, n), n), Side(partial(theirs, n), n), PAIRS[n]))
        yield _flat(case, ours, int, 10_000, 3)


def memory(packets: int = 1_000_000) -> Rows:
    """Peak memory above the import, in a fresh process. Per packet."""
    for case, what in [("", "off"), (" with history", "on")]:
        command = [sys.executable, "-m", "tests.benchmarks.memory", str(packets), what]
        taken, elapsed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        per_packet, peak = float(elapsed) / packets * 1e6, int(taken) / 1e6
        yield Row(f"peak memory of a stream{case}, per packet", f"{packets:,}", per_packet, None, peak, 150, "MB")


def chain() -> Rows:
    """Long chains. Per hop."""
    hops, packets = 999, 20
    ours = Side(partial(nets.through_chain, hops, packets), hops * packets)
    for name, reference, budget in [
        ("", floor.through_chain_direct, 1.5),
        (", floor by run_step", floor.through_chain, None),
    ]:
        found = compare(ours, Side(partial(reference, hops, packets), hops * packets), 5)
        yield _row(f"chain of 1,000 nodes, per hop{name}", packets, found, budget)
    grown = _long_over_short(nets.through_chain)
    yield Row("chain, long over short, per hop", "10,000 : 10", grown.measured, None, grown.ratio, 1.3)
    grown = _long_over_short(floor.through_chain_direct)
    yield Row("the floor of that, long over short", "10,000 : 10", None, grown.measured, grown.ratio)


def _long_over_short(build: Callable[[int, int], Workload]) -> Comparison:
    """A hop among 10,000 nodes over a hop among 10, in nets that are built once."""
    long, short = build(9_999, 3), build(9, 3_333)
    return compare(Side(lambda: long, 9_999 * 3), Side(lambda: short, 9 * 3_333), 5)


def diamond() -> Rows:
    """A to B and C, D joins. Per epoch."""
    n = 10_000
    ours, theirs = Side(partial(nets.through_diamond, n), 3 * n + 1), Side(partial(floor.through_diamond, n), 3 * n + 1)
    yield _row("diamond, per epoch", n, compare(ours, theirs, PAIRS[n]), 1.5)


def asynchronous() -> Rows:
    """Async nodes, against inline ones and against bare asyncio. Per epoch."""
    n = 10_000
    both = compare(Side(partial(nets.alone, n, nets.take_later), n), Side(partial(nets.alone, n, nets.take), n), 7)
    above = both.measured - both.reference
    yield Row("async epoch above an inline one", f"{n:,}", both.measured, both.reference, above, 25, "µs")
    n, at_a_time, seconds = 1_000, 100, 0.001
    ours = Side(partial(nets.sleeping, n, at_a_time, seconds), n)
    yield _row(
        "async epochs of 1 ms, 100 at a time : bare asyncio",
        n,
        compare(ours, Side(partial(nets.sleeping_bare, n, at_a_time, seconds), n), 7),
        2.5,
    )


def limits() -> Rows:
    """Calls at a rate, against the ideal, which is the floor. Per call."""
    calls, rate = 200, 50.0
    ideal = (calls - 1) / rate
    for what in ("", "async "):
        taken, cpu = nets.paced(calls, rate, is_async=bool(what))
        case = f"{calls} {what}calls at {rate:g} a second : the ideal"
        yield Row(case, f"{calls}", taken / calls * 1e6, ideal / calls * 1e6, taken / ideal, 1.05)
        yield Row("CPU time of that : time", f"{calls}", None, None, cpu, 0.05)


def threads() -> Rows:
    """In the background, against the foreground. Per epoch."""
    n = 10_000
    units = n * PIPELINE + 1
    ours = Side(partial(nets.threaded, PIPELINE, n), units)
    found = compare(ours, Side(partial(nets.through_chain, PIPELINE, n), units), PAIRS[n])
    yield _row("start(threaded=True) : start(), per epoch", n, found, 1.2)


def progress() -> Rows:
    """With a table of progress on a terminal, against without. Per epoch."""
    n = 100_000
    units = n * PIPELINE + 1
    ours = Side(partial(nets.watched, PIPELINE, n), units)
    found = compare(ours, Side(partial(nets.through_chain, PIPELINE, n), units), 11)
    yield _row("start(progress=True) on a terminal : start(), per epoch", n, found, 1.03)


def pools() -> Rows:
    """Pools that are warm, against bare executors. Per epoch."""

    def processes() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(2, get_context("forkserver"))

    def row(
        case: str, ours: tuple[Any, ...], bare: Callable[[], Executor], func: Any, budget: float, pairs: int
    ) -> Row:
        values = ours[-1]
        measured = Side(partial(nets.pooled, *ours), len(values))
        reference = Side(lambda: nets.executed(bare(), func, values), len(values))
        return _row(
            f"{case} : bare executor", len(values) and f"{len(values):,}", compare(measured, reference, pairs), budget
        )

    yield row("8 threads, 1 ms of sleep", ("thread_pools", 8, nets.nap, [0.001] * 1000),
              lambda: ThreadPoolExecutor(8), sleep, 1.15, 5)  # fmt: skip
    yield row("2 processes, nothing to do", ("process_pools", 2, nets.take, list(range(5000))),
              processes, nets.echo_bare, 1.6, 5)  # fmt: skip
    yield row("2 processes, 5 ms of CPU", ("process_pools", 2, nets.burn, [70_000] * 400),
              processes, nets.burn_bare, 1.1, 3)  # fmt: skip
    megabyte = bytes(range(256)) * 4096
    yield row("2 processes, 1 MB in and out", ("process_pools", 2, nets.echo, [megabyte] * 300),
              processes, nets.echo_bare, 1.25, 5)  # fmt: skip


def functions() -> Rows:
    """Nets of functions, against the same with contexts. Per epoch. Hints become port types, and checking these costs
    what it costs by hand; the third row has both, functions with hints against contexts without port types."""
    n, nodes = 10_000, 4
    for case, ours_typed, theirs_typed, budget in (
        ("four functions : by hand with contexts", False, False, 1.35),
        ("four functions with type hints, both with port types : by hand with contexts", True, True, 1.35),
        ("four functions with type hints : by hand with contexts, without port types", True, False, None),
    ):
        ours = Side(partial(nets.of_functions, n, ours_typed), n * nodes)
        found = compare(ours, Side(partial(nets.by_hand, n, theirs_typed), n * nodes), PAIRS[n])
        yield _row(case, n, found, budget)
    both = compare(Side(partial(nets.yielded, n), n), Side(partial(nets.yielded_by_hand, n), n), PAIRS[n])
    yield _row("values of a generator, each used at once : by hand, async", n, both)


def texts() -> Rows:
    """A net of 10,000 nodes as text, against `tomlkit.parse` of it. Per node."""
    import tomlkit

    from netrun import Net

    n = 10_000
    text = nets.as_text(n)
    made: list[Net] = []

    def microseconds(work: Callable[[], Any]) -> float:
        begun = perf_counter()
        work()
        return (perf_counter() - begun) / n * 1e6

    reference = microseconds(lambda: tomlkit.parse(text))
    for case, work, budget in [
        ("a net of TOML, parsed and built : tomlkit.parse, per node", lambda: made.append(Net.from_toml(text)), 3.0),
        ("the same, written again : tomlkit.parse, per node", lambda: made[0].to_toml(), None),
    ]:
        ours = microseconds(work)
        yield Row(case, f"{n:,}", ours, reference, ours / reference, budget)


def checkpoints() -> Rows:
    """100,000 packets that came over an edge, saved and loaded, against pickling their values and telling a `NetSim` of
    them; and how long a copy keeps the net waiting. All in CPU time."""
    from netrun import Net
    from netrun.states import Snapshot

    n = 100_000
    for what, values in (("numbers", range(n)), ("lists", [[number] for number in range(n)])):
        net = nets.in_front_of_the_sink(values)
        with TemporaryDirectory() as folder:
            times: dict[str, list[float]] = {}

            def timed(name: str, work: Callable[[], Any], times: dict[str, list[float]] = times) -> None:
                begun = process_time()
                work()
                times.setdefault(name, []).append(process_time() - begun)

            for _ in range(5):
                timed("copy", partial(Snapshot, net))
                timed("saved", partial(net.save_checkpoint, f"{folder}/saved"))
                timed("loaded", partial(Net.load_checkpoint, f"{folder}/saved", resolve=False))
                timed("floor", partial(floor.pickled_and_told, net.graph, list(values)))
        median = {name: statistics.median(some) for name, some in times.items()}
        ours, bare = (median["saved"] + median["loaded"]) / n * 1e6, median["floor"] / n * 1e6
        yield Row(f"a checkpoint saved and loaded, {what}, per waiting packet", f"{n:,}", ours, bare, ours / bare, 3.0)
        yield Row(f"the copy that a save by itself takes, {what}", f"{n:,}", None, None, median["copy"], 0.05, "s")


@dataclass
class Order:
    """What a script sends."""

    number: int
    customer: str


def stalls() -> Rows:
    """A net with 100,000 waiting packets that saves itself: the longest time in which no epoch ends, while a copy is
    taken and written. In wall time, the median of some saves."""
    from netrun import Graph, Net
    from tests.nets import node

    Order.__module__ = "__main__"
    vars(sys.modules["__main__"])["Order"] = Order
    n, every, saves = 100_000, 3_000, 6
    kinds: dict[str, Callable[[int], Any]] = {
        "numbers": lambda number: number,
        "lists": lambda number: [number],
        "objects of a script": lambda number: Order(number, "somebody"),
    }
    for what, made in kinds.items():
        ended: list[float] = []

        def note(ctx: Any, packets: Any, ended: list[float] = ended) -> None:
            ctx.consume_packet(packets["in"][0])
            ended.append(perf_counter())

        with TemporaryDirectory() as folder:
            net = Net(
                Graph([node("A", ["in"]), node("Idle", ["in"])], []),
                checkpoint_path=f"{folder}/saved",
                checkpoint_every=f"{every} epochs",
            )
            net.set_node_exec("A", note)
            net.inject_packets("Idle", "in", map(made, range(n)))
            net.inject_packets("A", "in", range(every * (saves + 1)))
            net.start()
        gaps = [later - earlier for earlier, later in pairwise(ended)]
        longest = [max(gaps[k : k + every]) for k in range(every // 2, len(gaps) - every, every)]
        yield Row(f"how long a net that saves itself stands still, {what}", f"{n:,}", None, None,
                  statistics.median(longest), 0.05, "s")  # fmt: skip


def _processes(case: str, arguments: list[str], budget: float) -> Row:
    """The whole of a Python process, and of one that does nothing. The bytecode of both is there."""
    with TemporaryDirectory() as folder:
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": folder}

        def seconds(*arguments: str) -> float:
            begun = perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=env)
            return perf_counter() - begun

        seconds(*arguments)
        times = [(seconds(*arguments), seconds("-c", "pass")) for _ in range(15)]
    ours, nothing = (statistics.median(column) for column in zip(*times, strict=True))
    return Row(f"{case} : pass", "", ours * 1e6, nothing * 1e6, ours, budget, "s")


def commands() -> Rows:
    """The command line."""
    yield _processes("netrun --help", ["-m", "netrun", "--help"], 0.25)


def imports() -> Rows:
    """The import."""
    yield _processes('python -c "import netrun"', ["-c", "import netrun"], 0.1)


def reports() -> Rows:
    """A report of many epochs, which are kept in memory or are in a file. Per epoch."""
    packets = 50_000
    epochs = packets * PIPELINE
    with TemporaryDirectory() as folder:
        kept = {
            "in memory": {"history_max_size": 100 * epochs},
            "in a file": {"history_file": f"{folder}/history.jsonl"},
        }
        for where, options in kept.items():
            taken, size = nets.reported(PIPELINE, packets, f"{folder}/report.html", options)
            case = f"report of {epochs:,} epochs, history {where}"
            yield Row(case, f"{epochs:,}", taken / epochs * 1e6, None, taken, 5, "s")
            yield Row(f"size of that, history {where}", f"{epochs:,}", None, None, size / 1e6, 10, "MB")


CASES: dict[str, Callable[[], Rows]] = {
    "pipeline": pipeline,
    "history": history,
    "sources": sources,
    "burst": burst,
    "memory": memory,
    "chain": chain,
    "diamond": diamond,
    "async": asynchronous,
    "limits": limits,
    "threads": threads,
    "progress": progress,
    "pools": pools,
    "functions": functions,
    "texts": texts,
    "checkpoints": checkpoints,
    "stalls": stalls,
    "report": reports,
    "commands": commands,
    "import": imports,
}
