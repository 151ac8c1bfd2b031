"""What the tests share: builders for nodes, edges and nets, clocks that are turned by hand, and fresh processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from queue import Empty
from typing import Any

import netrun
from netrun import (
    Graph,
    MaxSalvos,
    Net,
    Node,
    PacketCount,
    Port,
    PortSlotSpec,
    SalvoCondition,
    SalvoConditionTerm,
)
from tests.graphs import edge
from tests.graphs import nonempty as any_at

ONE = PacketCount.count(1)
ALL = PacketCount.all()


def entry(takes: Any, term: SalvoConditionTerm) -> SalvoCondition:
    """An input condition."""
    return SalvoCondition(MaxSalvos.finite(1), takes, term)


def exit_(takes: Any, term: SalvoConditionTerm, most: int | None = None) -> SalvoCondition:
    """An output condition; `most`: how often an epoch may send it."""
    return SalvoCondition(MaxSalvos.infinite() if most is None else MaxSalvos.finite(most), takes, term)


def node(
    name: str,
    inputs: Iterable[str] = (),
    outputs: Iterable[str] = (),
    *,
    slots: dict[str, int] | None = None,
    entries: dict[str, SalvoCondition] | None = None,
    exits: dict[str, SalvoCondition] | None = None,
) -> Node:
    """A node. Unless said otherwise, it starts an epoch for each packet at any input, and sends each output alone."""
    slots = slots or {}
    ports = {port: Port(PortSlotSpec.finite(slots[port])) if port in slots else Port() for port in (*inputs, *outputs)}
    return Node(
        name,
        in_ports={port: ports[port] for port in inputs},
        out_ports={port: ports[port] for port in outputs},
        in_salvo_conditions=entries or {port: entry({port: ONE}, any_at(port)) for port in inputs},
        out_salvo_conditions=exits or {port: exit_(port, any_at(port)) for port in outputs},
    )


def join(name: str, inputs: Iterable[str], outputs: Iterable[str] = ()) -> Node:
    """A node that takes one packet from each of its inputs together."""
    inputs = list(inputs)
    both = SalvoConditionTerm.and_([any_at(port) for port in inputs])
    return node(name, inputs, outputs, entries={"together": entry(dict.fromkeys(inputs, ONE), both)})


def chain(*names: str) -> Graph:
    """Nodes in a row, each with a port `in` and a port `out`."""
    edges = [edge(f"{a}.out", f"{b}.in") for a, b in pairwise(names)]
    return Graph([node(name, ["in"], ["out"]) for name in names], edges)


def build(graph: Graph, clock: Any = None, **functions: Callable[..., Any]) -> Net:
    """A net of these node functions, by node name."""
    net = Net(graph)
    for name, func in functions.items():
        net.set_node_exec(name, func)
    if clock is not None:
        net._driver.clock = clock
    return net


def maps(func: Callable[[Any], Any], log: list[Any] | None = None) -> Callable[..., None]:
    """A node function that sends `func(value)` from `out` for each value that comes in."""

    def run(ctx: Any, packets: dict[str, list[Any]]) -> None:
        for arrived in packets.values():
            for packet in arrived:
                value = ctx.consume_packet(packet)
                if log is not None:
                    log.append((ctx.node_name, value))
                ctx.send("out", func(value))

    return run


def collects(log: list[Any]) -> Callable[..., None]:
    """A node function that notes its node's name and its values by port."""

    def run(ctx: Any, packets: dict[str, list[Any]]) -> None:
        log.append((ctx.node_name, values_of(ctx, packets)))

    return run


def values_of(ctx: Any, packets: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Consume everything."""
    return {port: [ctx.consume_packet(packet) for packet in arrived] for port, arrived in packets.items()}


def drain(net: Net, limit: int = 1000) -> int:
    """Run wave by wave, checking the books after each. Returns how many waves there were."""
    waves = 0
    while net.run_step():
        net._ledger.check()
        waves += 1
        assert waves < limit, "the net does not come to an end"
    net._ledger.check()
    return waves


class JumpingClock:
    """A clock that jumps to the moment that is waited for. `before_jump` is called first, with no time passing."""

    def __init__(self, before_jump: Callable[[], Any] = lambda: None) -> None:
        self.time, self.jumps, self.before_jump = 0.0, list[float](), before_jump

    def now(self) -> float:
        return self.time

    def wait(self, mailbox: Any, until: float | None) -> Any:
        self.before_jump()
        if until is None:
            return mailbox.get(timeout=10)
        self.time = until
        self.jumps.append(until)
        return None

    async def async_wait(self, woken: Any, until: float | None) -> None:
        """What is ready on the loop comes first."""
        import asyncio

        self.before_jump()
        for _ in range(20):
            if woken.done():
                return
            await asyncio.sleep(0)
        if until is None:
            await asyncio.wait_for(woken, 10)
        elif not woken.done():
            self.time = until
            self.jumps.append(until)


class PatientClock(JumpingClock):
    """A clock that stands still: whatever is waited for comes in time."""

    def wait(self, mailbox: Any, until: float | None) -> Any:
        try:
            return mailbox.get(timeout=10)
        except Empty:
            raise AssertionError("nothing came") from None

    async def async_wait(self, woken: Any, until: float | None) -> None:
        import asyncio

        await asyncio.wait_for(woken, 10)


@contextmanager
def contained() -> Iterator[None]:
    """Nothing that interrupts leaves this block: it would end the test run."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        raise AssertionError(f"{error!r} got out") from error


def eventually(
    condition: Callable[[], Any], seconds: float = 10.0, what: Callable[[], Any] = lambda: "it did not happen"
) -> None:
    """Wait for something that another thread does; `what` is told if it does not."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.001)


def environment(measured: bool = True) -> dict[str, str]:
    """The variables of a fresh process that can import netrun and the tests' own modules."""
    here = Path(__file__).resolve().parents[1]
    path = os.pathsep.join([str(Path(netrun.__file__).parents[1]), str(here)])
    inherited = {name: value for name, value in os.environ.items() if measured or not name.startswith("COVERAGE_")}
    return {**inherited, "PYTHONPATH": path}


def python(
    code: str,
    cwd: str | os.PathLike[str] | None = None,
    *,
    measured: bool = True,
    arguments: Iterable[str] = (),
    **env: str,
) -> str:
    """What a fresh process prints that runs this code with these arguments. It can import the tests' modules.
    Not `measured`: without coverage, whose tracer holds a lock that a signal at a bad moment would leave locked."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env={**environment(measured), **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
