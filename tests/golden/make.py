"""Writes the checkpoint that later versions must be able to load: `python -m tests.golden.make FOLDER`, once a format.

It has something of everything: values, a lazy one, one that waits at a port, startable epochs, one that waits for its
next attempt, a dead letter, logs, history, a port type, `meta`.
"""

import sys
from functools import partial
from typing import Any

from netrun import EpochLimitReached, Graph, Net
from netrun.books import Lazy
from tests.graphs import at_least, edge, entry
from tests.nets import node


def double(ctx: Any, packets: Any) -> None:
    """Say what comes in and send its double."""
    (packet,) = packets["in"]
    value = ctx.consume_packet(packet)
    print(value)
    if value == "bad":
        raise ValueError("not this")
    ctx.send("out", 2 * value)


def keep_failing(ctx: Any, packets: Any) -> None:
    """Fail for now."""
    raise OSError(5, "not yet")


def make(path: str) -> None:
    """Write it."""
    pairs = {"two": entry({"in": 2}, at_least("in", 2))}
    nodes = [node("A", ["in"], ["out"]), node("B", ["in"], slots={"in": 2}, entries=pairs), node("C", ["in"])]
    net = Net(Graph(nodes, [edge("A.out", "B.in")]), on_error="continue", max_epochs=3, meta={"made": "for tests"})
    net._ledger.take_up("-golden00", 1, 1)
    for log in net._logs.values():
        log.take_up("-golden00", ())
    net._history._recorder.take_up("-golden00", 1, [])
    net.set_input_port_type("A", "in", "object")
    net.set_node_exec("A", double)
    net.set_node_exec("C", keep_failing)
    net.set_node_config("C", retries=3, retry_wait=1000, defer_net_actions=True)
    net.inject_packets("C", "in", ["c"])
    net.run_step(start_epochs=False)
    net._ledger.inject("A", "in", [1, "bad", 2, Lazy(partial(pow, 2, 5)), "more"])
    try:
        net.start()
    except EpochLimitReached:
        net.save_checkpoint(path)


if __name__ == "__main__":
    make(sys.argv[1])
