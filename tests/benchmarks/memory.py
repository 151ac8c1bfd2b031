"""Peak memory of a stream of packets: `python -m tests.benchmarks.memory N` prints bytes and seconds.

A process of its own, because the peak of one that did other things says nothing.
"""

import resource
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.benchmarks.graphs import stream
from tests.benchmarks.nets import NET_OPTIONS, made, process_by_send, take

BATCH = 1_000  # packets that the source sends in one epoch
STATUS = Path("/proc/self/status")


def peak() -> int:
    """The most memory that this process has had, in bytes.

    Linux hands `ru_maxrss` down from the process that starts another one, so a large parent would hide what the child
    takes; its own VmHWM begins anew.
    """
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def emit_batch(ctx: Any, packets: Any) -> None:
    """Send up to `BATCH` packets, and the number of those that are still to be sent to oneself."""
    left = ctx.consume_packet(packets["tick"][0])
    for value in range(left - min(left, BATCH), left):
        ctx.send("out", value)
    if left > BATCH:
        ctx.send("tick", left - BATCH)


def main(packets: int, has_history: bool) -> None:
    """Stream that many packets through three nodes."""
    if has_history:
        NET_OPTIONS.clear()
    before = peak()
    net = made(stream(), {"Source": emit_batch, "Processor": process_by_send, "Sink": take})
    net.inject_packets("Source", "tick", [packets])
    begun = perf_counter()
    net.start()
    elapsed = perf_counter() - begun
    assert not net.get_startable_epochs()
    assert not len(net.value_store)
    print(peak() - before, elapsed)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "on")
