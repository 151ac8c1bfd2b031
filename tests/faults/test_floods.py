"""Nodes that make packets without end."""

import sys

import pytest

from tests.nets import python


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of memory that counts")
@pytest.mark.parametrize("slots", [None, 2])
def test_a_flood_is_bounded(slots):
    """Each epoch sends a hundred packets back to its own node, in 512 MB: `max_epochs` ends that."""
    told = python(
        f"""
import resource
from netrun import EpochLimitReached, Graph, Net
from tests.graphs import edge
from tests.nets import node

resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))
slots = {slots!r}
flood = node("Flood", ["in"], ["out"], slots=None if slots is None else {{"in": slots}})
net = Net(Graph([flood], [edge("Flood.out", "Flood.in")]), max_epochs=2000)

def send(ctx, packets):
    ctx.consume_packet(packets["in"][0])
    for number in range(100):
        ctx.send("out", number)

net.set_node_exec("Flood", send)
net.inject_packets("Flood", "in", [0])
try:
    net.start()
except EpochLimitReached as error:
    status = net.poll()
    print(status.finished, status.waiting_packets + status.startable)
""",
        measured=False,
    )
    assert told.split() == ["2000", str(1 + 2000 * 99)]
