"""A net whose future is decided by what is in it, and what comes of it: for tests that carry it to another process.

`python -m tests.saved` serves: each line it reads is a request, for each it prints a line.
"""

import pickle
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from netrun import Net
from tests.nets import JumpingClock


class Unlucky(Exception):
    """What a value may bring."""


def made(value: Any) -> Callable[[], Any]:
    """A value function."""
    return lambda: value


def walker(name: str, outs: list[str], clock: JumpingClock) -> Callable[..., None]:
    """A node function that prints what comes in and when, and sends on what has steps left. A value is steps, number,
    fate."""

    def walk(ctx: Any, packets: dict[str, list[Any]]) -> None:
        taken = [ctx.consume_packet(packet) for arrived in packets.values() for packet in arrived]
        print(name, taken, ctx.retry_count, [str(error) for error in ctx.retry_exceptions], round(clock.now(), 4))
        for _, number, fate in taken:
            if fate == "fail" or (fate == "once" and ctx.retry_count == 0):
                raise Unlucky(f"{number} at {name}")
        for steps, number, fate in taken:
            for port in outs if steps > 0 else ():
                on = [steps - 1, number, "well" if fate == "once" else fate]
                packet = ctx.create_packet(on) if number % 3 else ctx.create_packet_from_value_func(made(on))
                ctx.load_output_port(port, packet)
                ctx.send_output_salvo(port)

    return walk


def set_up(net: Net) -> None:
    """A clock that jumps, so that waits cost nothing, and the functions of all nodes."""
    clock = net._driver.clock = net._driver.clock if isinstance(net._driver.clock, JumpingClock) else JumpingClock()
    for name, node in net.graph.nodes().items():
        net.set_node_exec(name, walker(name, sorted(node.out_ports), clock))


def outcome(net: Net, with_ids: bool = True) -> dict[str, Any]:
    """All that has come of a net."""
    net._ledger.check()
    status, suffix = net.poll(), net._ledger.suffix
    letters = [
        (
            *(entry.node_name, entry.reason, str(entry.exception).replace(suffix, ""), entry.retry_count),
            [str(error).replace(suffix, "") for error in entry.retry_exceptions],
            list(entry.packet_values.values()),
            [func() for func in entry.value_funcs.values()],
        )
        for entry in net.dead_letter_queue
    ]
    found: dict[str, Any] = {
        "outputs": {
            f"{name}.{port}": net.take_outputs(name, port)
            for name, door in net._ledger.doors.items()
            for port, out in door.outs.items()
            if hasattr(out, "node_name")
        },
        "letters": letters,
        "logs": {name: [entry.message.replace(suffix, "") for entry in net.get_node_log(name)] for name in net._tasks},
        "status": status.nodes,
        "types": {
            f"{name}.{port}": str(net.get_input_port_type(name, port))
            for name, door in net._ledger.doors.items()
            for port in door.gates
        },
        "closes": len(net.history._recorder.closes),
    }
    if with_ids:
        s = net._ledger.suffix
        found["ids"] = [
            [entry.epoch_id.removesuffix(s) for name in net._tasks for entry in net.get_node_log(name)],
            [entry.epoch_id.removesuffix(s) for entry in net.dead_letter_queue],
            net._ledger.next_numbers(),
            [epoch.removesuffix(s) for epoch in net.get_startable_epochs()],
        ]
        found["history"] = [
            (entry.id.replace(s, ""), entry.action_type, entry.event_type, str(_timeless(entry.data)).replace(s, ""))
            for entry in net.history.get_entries()
        ]
        found["kept"] = [net.value_store.get_consumed_value(id) for id in net.value_store.consumed()]
    return found


def _timeless(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in ("begun", "ended")}


def go_on(path: str, at: float, room: int, options: dict[str, Any]) -> dict[str, Any]:
    """Load a checkpoint at a moment, run it to its end, and tell what has come of it. `room`: how many startable epochs
    there may be before doors fall behind."""

    def clock() -> JumpingClock:
        jumping = JumpingClock()
        jumping.time = at
        return jumping

    with patch("netrun.net.MonotonicClock", clock), patch("netrun.books.READY_LIMIT", room):
        net = Net.load_checkpoint(path, resolve=False, **options)
        set_up(net)
        net._ledger.check()
        net.start()
        return outcome(net)


if __name__ == "__main__":
    for line in sys.stdin:
        answer = go_on(*pickle.loads(b64decode(line)))
        print(b64encode(pickle.dumps(answer)).decode(), flush=True)
