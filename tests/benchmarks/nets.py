"""What is measured: the same packets and epochs in a `netrun.Net`, with values and node functions."""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, sleep
from typing import Any

from netrun_sim import Graph

from netrun import Flow, Net, node
from netrun.progress import Progress, TerminalScreen
from tests.benchmarks.graphs import chain, chain_names, diamond
from tests.benchmarks.measure import Workload

NodeFunc = Callable[[Any, Any], None]
NET_OPTIONS: dict[str, Any] = {"history_max_size": 0}  # of every net that is measured
NODE_OPTIONS: dict[str, Any] = {"capture_stdout": False}  # of every node


def made(graph: Graph, functions: dict[str, NodeFunc], **options: Any) -> Net:
    """A net with these node functions. `options`: of each of the nodes."""
    net = Net(graph, **NET_OPTIONS)
    for name, function in functions.items():
        net.set_node_exec(name, function)
        net.set_node_config(name, **NODE_OPTIONS, **options)
    return net


def configured(net: dict[str, Any], node: dict[str, Any], build: Callable[[], Workload]) -> Workload:
    """A workload whose nets and nodes have these options in place of the usual ones."""
    before = NET_OPTIONS.copy(), NODE_OPTIONS.copy()
    _set_options(net, node)
    try:
        return build()
    finally:
        _set_options(*before)


def _set_options(net: dict[str, Any], node: dict[str, Any]) -> None:
    for there, options in ((NET_OPTIONS, net), (NODE_OPTIONS, node)):
        there.clear()
        there.update(options)


def recorded(net: dict[str, Any], node: dict[str, Any], build: Callable[[], Workload]) -> Workload:
    """`configured`, with a history file that is gone afterwards."""
    folder = TemporaryDirectory()
    workload = configured({**net, "history_file": f"{folder.name}/history.jsonl"}, node, build)

    def left_over() -> int:
        folder.cleanup()
        return workload.left_over()

    return Workload(workload.run, left_over)


def through_chain(hops: int, packets: int, sources: int = 1, by_words: bool = False, **options: Any) -> Workload:
    """`sources` epochs of the source send `packets` packets each, which make `hops` hops.

    by_words: with `create_packet`, `load_output_port` and `send_output_salvo` in place of `send`. options: of the nodes
    between source and sink.
    """
    source, *middle, sink = chain_names(hops)
    emit, process = (emit_by_words, process_by_words) if by_words else (emit_by_send, process_by_send)
    net = made(chain(hops), {source: emit(packets), **dict.fromkeys(middle, process), sink: take})
    for name in middle if options else ():
        net.set_node_config(name, **options)
    return _from_source(net, source, sources)


def reported(hops: int, packets: int, path: str, options: dict[str, Any]) -> tuple[float, int]:
    """A report of a net that has run: seconds, and bytes."""
    source, *middle, sink = chain_names(hops)
    functions = {source: emit_by_send(packets), **dict.fromkeys(middle, process_by_send), sink: take}
    net = Net(chain(hops), **options)
    for name, func in functions.items():
        net.set_node_exec(name, func)
    net.inject_source_epoch(source)
    net.start()
    begun = perf_counter()
    net.report(path)
    taken = perf_counter() - begun
    net.stop()
    return taken, os.path.getsize(path)


def through_diamond(packets: int) -> Workload:
    """One epoch of A sends `packets` packets to B and as many to C; D joins what they send."""
    net = made(diamond(), {"A": emit_pairs(packets), "B": process_by_send, "C": process_by_send, "D": join})
    return _from_source(net, "A", 1)


def injected(packets: int) -> Workload:
    """`packets` values are injected at the sink's port at once."""
    net = made(chain(1), {"N1": take})

    def run() -> None:
        net.inject_packets("N1", "in", range(packets))
        net.start()

    return _workload(net, run)


def _from_source(net: Net, source: str, sources: int) -> Workload:
    def run() -> None:
        for _ in range(sources):
            net.inject_source_epoch(source)
        net.start()

    return _workload(net, run)


def _workload(net: Net, run: Callable[[], None]) -> Workload:
    return Workload(run, lambda: len(net.get_startable_epochs()) + len(net.value_store))


def emit_by_send(packets: int) -> NodeFunc:
    """A source that sends that many packets in one epoch."""

    def emit(ctx: Any, _packets: Any) -> None:
        send = ctx.send
        for value in range(packets):
            send("out", value)

    return emit


def emit_by_words(packets: int) -> NodeFunc:
    """`emit_by_send` with three calls a packet."""

    def emit(ctx: Any, _packets: Any) -> None:
        create, load, send = ctx.create_packet, ctx.load_output_port, ctx.send_output_salvo
        for value in range(packets):
            load("out", create(value))
            send("out")

    return emit


def emit_pairs(packets: int) -> NodeFunc:
    """A source that sends that many packets from each of its two ports."""

    def emit(ctx: Any, _packets: Any) -> None:
        send = ctx.send
        for value in range(packets):
            send("b", value)
            send("c", value)

    return emit


def process_by_send(ctx: Any, packets: Any) -> None:
    """Pass a value on."""
    ctx.send("out", ctx.consume_packet(packets["in"][0]))


def process_by_words(ctx: Any, packets: Any) -> None:
    """`process_by_send` with three calls."""
    packet = ctx.create_packet(ctx.consume_packet(packets["in"][0]))
    ctx.load_output_port("out", packet)
    ctx.send_output_salvo("out")


def take(ctx: Any, packets: Any) -> None:
    """Consume the packet."""
    ctx.consume_packet(packets["in"][0])


def join(ctx: Any, packets: Any) -> None:
    """Consume one packet of each port."""
    ctx.consume_packet(packets["b"][0])
    ctx.consume_packet(packets["c"][0])


def alone(packets: int, function: Callable[..., Any], **options: Any) -> Workload:
    """`packets` epochs of one node that has this function, sync or async, and these options."""
    net = made(chain(1), {"N1": function}, **options)

    def run() -> None:
        net.inject_packets("N1", "in", range(packets))
        net.start()

    return _workload(net, run)


def threaded(hops: int, packets: int) -> Workload:
    """`through_chain` in the background."""
    source, *middle, sink = chain_names(hops)
    net = made(chain(hops), {source: emit_by_send(packets), **dict.fromkeys(middle, process_by_send), sink: take})

    def run() -> None:
        net.inject_source_epoch(source)
        net.start(threaded=True)
        net.wait_until_blocked()
        net.stop()

    return _workload(net, run)


def watched(hops: int, packets: int) -> Workload:
    """`through_chain`, while a table of its progress is drawn on a terminal that shows nothing."""
    source, *middle, sink = chain_names(hops)
    net = made(chain(hops), {source: emit_by_send(packets), **dict.fromkeys(middle, process_by_send), sink: take})

    def run() -> None:
        net.inject_source_epoch(source)
        with open(os.devnull, "w") as nowhere:
            progress = Progress(net, TerminalScreen(nowhere))
            progress.open()
            net.start()
            progress.close()

    return _workload(net, run)


def paced(calls: int, rate: float, is_async: bool) -> tuple[float, float]:
    """Seconds from the first call to the last at this rate, and the share of CPU time while waiting."""
    moments: list[float] = []

    def note(ctx: Any, packets: Any) -> None:
        ctx.consume_packet(packets["in"][0])
        moments.append(perf_counter())

    async def note_async(ctx: Any, packets: Any) -> None:
        await ctx.consume_packet(packets["in"][0])
        moments.append(perf_counter())

    net = made(chain(1), {"N1": note_async if is_async else note}, rate_limit_per_second=rate)
    net.inject_packets("N1", "in", range(calls))
    cpu, begun = process_time(), perf_counter()
    net.start()
    return moments[-1] - moments[0], (process_time() - cpu) / (perf_counter() - begun)


def nap(ctx: Any, packets: Any) -> None:
    """A millisecond's wait."""
    sleep(ctx.consume_packet(packets["in"][0]))


def burn(ctx: Any, packets: Any) -> None:
    """Some milliseconds of CPU time."""
    burn_bare(ctx.consume_packet(packets["in"][0]))


def burn_bare(rounds: int) -> int:
    """As many rounds of work."""
    return sum(number * number for number in range(rounds))


def echo(ctx: Any, packets: Any) -> None:
    """Send what came."""
    ctx.send("out", ctx.consume_packet(packets["in"][0]))


def echo_bare(value: Any) -> Any:
    """The same."""
    return value


def pooled(kind: str, size: int, function: NodeFunc, values: list[Any]) -> Workload:
    """An epoch for each value, in a pool that is warm."""
    name = "N1"
    net = Net(chain(2), **NET_OPTIONS, **{kind: {"pool": {"size": size}}})
    net.set_node_exec(name, function)
    net.set_node_config(name, pool="pool", **NODE_OPTIONS)
    net.__enter__()
    net.inject_packets(name, "in", values[: 2 * size])
    net.start()

    def run() -> None:
        net.inject_packets(name, "in", values)
        net.start()

    def left_over() -> int:
        net.stop()
        return net.poll().nodes[name].startable

    return Workload(run, left_over)


def executed(executor: Any, function: Callable[[Any], Any], values: list[Any]) -> Workload:
    """The same on a bare executor that is warm."""
    list(executor.map(function, values[:16]))

    def run() -> None:
        for future in [executor.submit(function, value) for value in values]:
            future.result()

    def left_over() -> int:
        executor.shutdown()
        return 0

    return Workload(run, left_over)


async def take_later(ctx: Any, packets: Any) -> None:
    """`take`, async."""
    await ctx.consume_packet(packets["in"][0])


def sleeping(packets: int, at_a_time: int, seconds: float) -> Workload:
    """Async epochs that sleep, at most so many at a time."""

    async def sleep(ctx: Any, arrived: Any) -> None:
        await ctx.consume_packet(arrived["in"][0])
        await asyncio.sleep(seconds)

    return alone(packets, sleep, max_parallel_epochs=at_a_time)


def sleeping_bare(tasks: int, at_a_time: int, seconds: float) -> Workload:
    """The same number of bare asyncio tasks."""

    async def main() -> None:
        semaphore = asyncio.Semaphore(at_a_time)

        async def sleep() -> None:
            async with semaphore:
                await asyncio.sleep(seconds)

        await asyncio.gather(*(sleep() for _ in range(tasks)))

    return Workload(lambda: asyncio.run(main()), lambda: 0)


def _pass_on(x):  # type: ignore[no-untyped-def]
    return x


def _pass_on_typed(x: int) -> int:
    return x


def _end(x: Any) -> None:
    pass


def _end_typed(x: int) -> None:
    pass


def _each(n: int) -> Iterator[int]:
    yield from range(n)


def of_functions(packets: int, typed: bool) -> Workload:
    """Packets through four nodes that are made of functions."""
    middle, end = (_pass_on_typed, _end_typed) if typed else (_pass_on, _end)
    first, second, third = (node(middle, name=name) for name in "ABC")
    return _injected(Net(first >> second >> third >> node(end, name="D"), **NET_OPTIONS), packets)


def by_hand(packets: int, typed: bool) -> Workload:
    """The same with contexts."""
    net = Net(_four().graph, **NET_OPTIONS)
    for name in "ABC":
        net.set_node_exec(name, _hand_on)
    net.set_node_exec("D", _hand_end)
    for name in "ABCD" if typed else ():
        net.set_input_port_type(name, "x", int)
    for name in "ABC" if typed else ():
        net.set_output_port_type(name, "out", int)
    return _injected(net, packets)


def _four() -> Flow:
    first, second, third = (node(_pass_on, name=name) for name in "ABC")
    return first >> second >> third >> node(_end, name="D")


def _hand_on(ctx: Any, packets: Any) -> None:
    ctx.send("out", ctx.consume_packet(packets["x"][0]))


def _hand_end(ctx: Any, packets: Any) -> None:
    ctx.consume_packet(packets["x"][0])


async def _hand_each(ctx: Any, packets: Any) -> None:
    for value in range(await ctx.consume_packet(packets["n"][0])):
        await ctx.send("out", value)
        await asyncio.sleep(0)


def yielded(packets: int) -> Workload:
    """So many values of one generator, each used before the next is made."""
    return _generated(packets, None)


def yielded_by_hand(packets: int) -> Workload:
    """The same of an async node function that lets others run after each."""
    return _generated(packets, _hand_each)


def _generated(packets: int, func: Any) -> Workload:
    net = Net(node(_each, name="A") >> node(_end, name="D"), **NET_OPTIONS)
    if func is not None:
        net.set_node_exec("A", func)
    return _injected(net, packets, "n", [packets])


def _injected(net: Net, packets: int, port: str = "x", values: Any = None) -> Workload:
    for name in net.graph.nodes():
        net.set_node_config(name, **NODE_OPTIONS)

    def run() -> None:
        net.inject_packets("A", port, range(packets) if values is None else values)
        net.start()

    return _workload(net, run)


def as_text(n: int) -> str:
    """A chain of nodes as TOML."""
    edges = "".join(f'    {{ from = "N{i}.out", to = "N{i + 1}.in" }},\n' for i in range(n - 1))
    nodes = "".join(
        f"""
[nodes.N{i}]
in_ports = ["in"]
out_ports = ["out"]
in_salvo_conditions.in = {{ when = "nonempty(in)", ports = {{ in = 1 }} }}
out_salvo_conditions.out = {{ when = "nonempty(out)" }}
exec_node_func = "tests.benchmarks.nets.echo"
options = {{ retries = 2, defer_net_actions = true }}
"""
        for i in range(n)
    )
    return f"edges = [\n{edges}]\n{nodes}"


def in_front_of_the_sink(values: Iterable[Any]) -> Net:
    """A net at rest, with packets that came over an edge and wait, since the sink has no function."""
    net = made(chain(2), {"N1": pass_on})
    net.inject_packets("N1", "in", values)
    net.start()
    return net


def pass_on(ctx: Any, packets: Any) -> None:
    """Send on what comes in."""
    ctx.send("out", ctx.consume_packet(packets["in"][0]))
