"""Whole nets, as they are built from functions, on every carrier: producer and consumer, fan-out and fan-in, a pipeline
with errors. Nothing is lost, and what comes out is the same everywhere."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest

from netrun import Batch, Flow, Net, Skip, node, round_robin
from tests.nets import python

CARRIERS = ["inline", "async", "deferred", "timeout", "thread", "process", "executor", "mixed"]


def made_async(func: Any) -> Any:
    """The same function, async."""

    @wraps(func)
    async def run(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return run


class Carried:
    """Makes the nodes and the net of a carrier."""

    def __init__(self, carrier: str) -> None:
        self.carrier, self.count = carrier, 0

    def node(self, func: Any, **options: Any) -> Any:
        """A node that runs there. Mixed: each on another one."""
        self.count += 1
        kind = ["inline", "async", "thread", "process"][self.count % 4] if self.carrier == "mixed" else self.carrier
        if kind == "async":
            return node(made_async(func), **options)
        if kind == "timeout":
            options = {"timeout": 30, **options}
        if kind == "deferred":
            options = {"defer_net_actions": True, **options}
        return node(func, **({"pool": kind, **options} if kind in ("thread", "process", "executor") else options))

    def net(self, flow: Any, **options: Any) -> Net:
        """The net, with the pools that its nodes may ask for."""
        pools: dict[str, Any] = {"thread_pools": {"thread": {"size": 2}}}
        if self.carrier in ("process", "mixed"):
            pools["process_pools"] = {"process": {"size": 2}}
        if self.carrier == "executor":
            pools["executor_pools"] = {"executor": ThreadPoolExecutor(2)}
        return Net(flow, **pools, **options)


@pytest.fixture(params=CARRIERS)
def carried(request: Any) -> Iterator[Carried]:
    """Each carrier."""
    return Carried(request.param)


# -- producer and consumer ---------------------------------------------------------------------------------------------


class ConsumedOutputs(NamedTuple):
    """What a consumer sends: a credit back, and a result on."""

    credit: int
    result: str


def produce(credit: int) -> int:
    """The next item: there is one for each credit."""
    return credit + 3 if credit < 20 else Skip


def consume(item: int) -> ConsumedOutputs:
    """Use an item up."""
    return ConsumedOutputs(item, f"item {item}")


def test_a_producer_makes_no_more_than_its_consumer_takes(carried):
    """Credits go round: three at first, so there are never more than three items on the way."""
    producer, consumer = carried.node(produce), carried.node(consume)
    flow = Flow(producer >> consumer, consumer.credit >> producer)
    net = carried.net(flow)
    net.inject_packets("produce", "credit", [0, 1, 2])
    most = 0
    while net.run_step():
        most = max(most, net.poll().startable)
    results = net.take_outputs("consume", "result")
    net.stop()
    net._ledger.check()
    assert most == 3
    assert sorted(results, key=lambda text: int(text.split()[1])) == [f"item {number}" for number in range(3, 23)]


# -- fan-out and fan-in ------------------------------------------------------------------------------------------------


def numbers(n: int) -> Iterator[int]:
    """From 0 on."""
    yield from range(n)


def square(x: int) -> int:
    """Two times."""
    return x * x


def cube(x: int) -> int:
    """Three times."""
    return x * x * x


def together(square: int, cube: int) -> tuple[int, int]:
    """One of each."""
    return square, cube


def test_what_was_sent_to_many_comes_together_again(carried):
    """Each of both, once; and in pairs where the order is kept."""
    source = node(numbers)
    net = carried.net(source >> [carried.node(square), carried.node(cube)] >> carried.node(together))
    pairs = net.run(n=[30])["together.out"]
    net.stop()
    net._ledger.check()
    assert Counter(pair[0] for pair in pairs) == Counter(x**2 for x in range(30))
    assert Counter(pair[1] for pair in pairs) == Counter(x**3 for x in range(30))
    if carried.carrier in ("inline", "deferred", "timeout"):
        assert pairs == [(x**2, x**3) for x in range(30)]


def gathered(values: Annotated[list[int], Batch(10)]) -> int:
    """Ten at a time."""
    return sum(values)


def test_work_that_is_dealt_out_is_gathered(carried):
    """In turn to three, and from all of them to one port."""
    workers = [carried.node(square, name=f"worker {number}") for number in range(3)]
    sink = carried.node(gathered)
    dealt = node(numbers) >> round_robin(*workers)
    net = carried.net(Flow(dealt, *(worker >> sink for worker in workers)))
    sums = net.run(n=[40])["gathered.out"]
    counts = [net.poll().nodes[f"worker {number}"].finished for number in range(3)]
    net.stop()
    assert len(sums) == 4
    assert sum(sums) == sum(x * x for x in range(40))
    assert counts == [14, 13, 13]


# -- a pipeline with errors --------------------------------------------------------------------------------------------


class ParsedOutputs(NamedTuple):
    """Good ones and others."""

    good: int
    bad: str


def parse(line: str) -> ParsedOutputs:
    """A number, or the line as it is."""
    return ParsedOutputs(int(line), Skip) if line.lstrip("-").isdigit() else ParsedOutputs(Skip, line)


def root(number: int) -> float:
    """Fails below zero."""
    if number < 0:
        raise ValueError(f"no root of {number}")
    return float(number**0.5)


def told(root: float) -> str:
    """As text."""
    return f"{root:.1f}"


def noted(line: str) -> str:
    """What was no number."""
    return f"no number: {line}"


def test_a_pipeline_with_errors_loses_nothing(carried):
    """Bad lines go another way, failures are tried again, then dead letters, which can be driven again."""
    parsed = carried.node(parse)
    rooted = carried.node(root, retries=2)
    flow = Flow(parsed.good >> rooted >> carried.node(told), parsed.bad >> carried.node(noted))
    net = carried.net(flow, on_error="continue")
    out = net.run(line=["4", "x", "-1", "9", "", "-16", "25"])
    assert sorted(out["told.out"]) == ["2.0", "3.0", "5.0"]
    assert sorted(out["noted.out"]) == ["no number: ", "no number: x"]
    letters = sorted(net.dead_letter_queue, key=lambda letter: str(letter.exception))
    assert [str(letter.exception) for letter in letters] == ["no root of -1", "no root of -16"]
    assert {letter.retry_count for letter in letters} == {2}
    for letter in letters:
        (value,) = letter.packet_values.values()
        net.redrive(letter, {"number": [-value]})
    net.start()
    assert sorted(net.take_outputs("told", "out")) == ["1.0", "4.0"]
    assert len(net.dead_letter_queue) == 0
    net.stop()
    net._ledger.check()


def test_a_net_is_fed_while_it_runs_in_the_background(carried):
    """And a flow that is there twice keeps its two apart."""
    flow = carried.node(square) >> carried.node(str_of)
    net = carried.net(Flow(flow.named("left"), flow.named("right")))
    net.start(threaded=True)
    for number in range(10):
        net.inject_packets("left/square", "x", [number])
        net.inject_packets("right/square", "x", [-number])
    assert net.wait_until_blocked(30)
    left, right = (net.take_outputs(f"{side}/str_of", "out") for side in ("left", "right"))
    net.stop()
    assert Counter(left) == Counter(right) == Counter(str(x * x) for x in range(10))


def str_of(x: int) -> str:
    """As text."""
    return str(x)


# -- checkpoint and resume ---------------------------------------------------------------------------------------------


def summed(square: int, cube: int) -> int:
    """One of each, put together."""
    return square + cube


def flow_that_is_resumed(carried: Carried) -> Flow:
    """To two, together again, and five of them at a time. One epoch of a node at a time, so that the order is kept."""
    one = {"max_parallel_epochs": 1}
    both = [carried.node(square, **one), carried.node(cube, **one)]
    return Flow(node(numbers) >> both >> carried.node(summed, **one) >> carried.node(fives, **one))


def fives(values: Annotated[list[int], Batch(5)]) -> list[int]:
    """Five at a time."""
    return values


RESUMED = """
import sys
from contextlib import suppress
from netrun import EpochLimitReached
from tests.test_integration import Carried, flow_that_is_resumed
carried = Carried(sys.argv[1])
net = carried.net(flow_that_is_resumed(carried), checkpoint_path=sys.argv[2], max_epochs=45)
if sys.argv[3] == "first":
    net.inject_packets("numbers", "n", [20])
with suppress(EpochLimitReached):
    net.start(resume=sys.argv[3] != "first")
net._ledger.check()
print(net.poll().startable, net.take_outputs("fives", "out") if sys.argv[3] == "last" else "")
net.stop()
"""


def test_a_net_goes_on_in_another_process(carried: Carried, tmp_path: Path) -> None:
    """With some of its epochs in each; what comes out is what comes out of one run."""
    squares_and_cubes = [x**2 + x**3 for x in range(20)]
    turns = ["first", "last"]
    told = [python(RESUMED, arguments=[carried.carrier, str(tmp_path / "run"), turn]).strip() for turn in turns]
    assert all(int(line) > 0 for line in told[:-1])
    expected = [squares_and_cubes[first : first + 5] for first in range(0, 20, 5)]
    assert told[-1] == f"0 {expected}"
