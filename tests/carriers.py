"""Random nets whose nodes let tokens pass, to run on every carrier. What comes out tells what it was."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any, NamedTuple

from hypothesis import strategies as st

from netrun import Graph, Net, Node, PacketCount
from tests.graphs import at_least, edge
from tests.nets import entry, join, node

CARRIERS = ["inline", "async", "thread", "process", "executor", "mixed"]


class Token(NamedTuple):
    """What flows: where it was put in, the how manieth there, what happens to its epochs, and its way so far."""

    source: str
    number: int
    fate: str = "well"
    way: str = ""


class Unlucky(Exception):
    """What a token's fate may be."""


# -- nodes -------------------------------------------------------------------------------------------------------------


class Work:
    """A node's function: what comes in goes out, unless a token's fate is another."""

    def __init__(self, kind: str, defers: bool) -> None:
        self.kind, self.defers = kind, defers

    def __call__(self, ctx: Any, packets: dict[str, list[Any]]) -> None:
        tokens: list[Token] = []
        for port, packet in all_of(packets):
            tokens += arrived(ctx, port, ctx.consume_packet(packet))
        nap = self.fall(ctx, tokens)
        time.sleep(nap)
        for port, bundle in self.sends(tokens):
            ctx.send(port, bundle)
        self.fall_late(tokens)

    def fall(self, ctx: Any, tokens: list[Token]) -> float:
        """What happens to it before it sends. Returns how long it takes."""
        fates = {token.fate for token in tokens}
        is_first = ctx.retry_count == 0
        if "fail" in fates or ("once" in fates and is_first) or ("late" in fates and not self.defers):
            raise Unlucky
        if "exit" in fates and is_first and multiprocessing.current_process().name.startswith("pp-"):
            os._exit(3)
        if fates == {"cancel"} and len(tokens) == 1:
            ctx.cancel_epoch()
        return 0.25 if "hang" in fates and is_first else 0.005 if "slow" in fates else 0.0

    def fall_late(self, tokens: list[Token]) -> None:
        """What happens to it after it has sent."""
        if "late" in {token.fate for token in tokens}:
            raise Unlucky

    def sends(self, tokens: list[Token]) -> list[tuple[str, list[Token]]]:
        """What it sends where."""
        match self.kind:
            case "route":
                return [("left" if tokens[0].number % 2 else "right", tokens)]
            case "split":
                return [("out", [token]) for token in tokens]
        return [("out", tokens)]


class AsyncWork(Work):
    """The same, async."""

    async def __call__(self, ctx: Any, packets: dict[str, list[Any]]) -> None:  # type: ignore[override]
        tokens: list[Token] = []
        for port, packet in all_of(packets):
            tokens += arrived(ctx, port, await ctx.consume_packet(packet))
        nap = self.fall(ctx, tokens)
        await asyncio.sleep(nap)
        for port, bundle in self.sends(tokens):
            await ctx.send(port, bundle)
        self.fall_late(tokens)


def all_of(packets: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    """The packets, each with its port."""
    return [(port, packet) for port, some in packets.items() for packet in some]


def arrived(ctx: Any, port: str, bundle: list[Token]) -> list[Token]:
    """The tokens, which have come to this port."""
    return [token._replace(way=f"{token.way} {ctx.node_name}.{port}") for token in bundle]


def node_of(name: str, kind: str) -> Node:
    """A node of this kind."""
    match kind:
        case "route":
            return node(name, ["in"], ["left", "right"])
        case "join":
            return join(name, ["a", "b"], ["out"])
        case "pair":
            return node(name, ["in"], ["out"], entries={"two": entry({"in": PacketCount.count(2)}, at_least("in", 2))})
    return node(name, ["in"], ["out"], slots={"in": 2} if kind == "narrow" else None)


KINDS = st.sampled_from(["pass", "pass", "narrow", "route", "join", "pair", "split"])


class Plan(NamedTuple):
    """A graph of nodes of these kinds, by name; the ports without an edge."""

    graph: Graph
    kinds: dict[str, str]
    inlets: list[tuple[str, str]]
    outlets: list[tuple[str, str]]


@st.composite
def plans(draw: Callable[..., Any]) -> Plan:
    """A graph without cycles, whose edges end where they like."""
    kinds = {f"N{number}": kind for number, kind in enumerate(draw(st.lists(KINDS, min_size=1, max_size=4)))}
    nodes = [node_of(name, kind) for name, kind in kinds.items()]
    inlets = [(a.name, port) for a in nodes for port in a.in_ports]
    outlets, edges = [], []
    for a in nodes:
        for port in sorted(a.out_ports):
            later = [inlet for inlet in inlets if inlet[0] > a.name]
            target = draw(st.sampled_from([*later, *later, None]))
            if target is None:
                outlets.append((a.name, port))
            else:
                inlets.remove(target)
                edges.append(edge(f"{a.name}.{port}", ".".join(target)))
    return Plan(Graph(nodes, edges), kinds, sorted(inlets), outlets)


# -- where they run ----------------------------------------------------------------------------------------------------


@cache
def executor() -> ProcessPoolExecutor:
    """One for all, since none of the tokens ends a process of it."""
    return ProcessPoolExecutor(2, multiprocessing.get_context("forkserver"))


POOLS = {"thread": "pt", "process": "pp", "executor": "pe"}
PLACES = [(False, None), (True, None), (False, "pt"), (True, "pt"), (False, "pp"), (True, "pp"), (False, "pe"),
          (True, ["pt", "pp"])]  # fmt: skip


def net_on(carrier: str, graph: Graph, **options: Any) -> Net:
    """A net with the pools that this carrier needs."""
    needs = POOLS.values() if carrier == "mixed" else [POOLS.get(carrier)]
    if "pt" in needs:
        options["thread_pools"] = {"pt": {"size": 2}}
    if "pp" in needs:
        options["process_pools"] = {"pp": {"size": 2}}
    if "pe" in needs:
        options["executor_pools"] = {"pe": executor()}
    return Net(graph, **options)


def place_on(carrier: str, mixed: tuple[bool, Any]) -> tuple[bool, Any]:
    """Whether a node is async, and its pool; `mixed` is for the carrier of that name."""
    return mixed if carrier == "mixed" else (carrier == "async", POOLS.get(carrier))


def set_up(net: Net, name: str, kind: str, place: tuple[bool, Any], **options: Any) -> None:
    """Give a node its function and its place."""
    is_async, pool = place
    net.set_node_exec(name, (AsyncWork if is_async else Work)(kind, options.get("defer_net_actions", False)))
    net.set_node_config(name, pool=pool, **options)


def letters(net: Net) -> list[Token]:
    """What is in dead letters."""
    return [token for letter in net.dead_letter_queue for bundle in letter.packet_values.values() for token in bundle]
