"""Functions that the nets of the corpus name by import path, and a factory."""

from collections.abc import Callable
from typing import Any

from netrun import MaxSalvos, PacketCount, Port, PortState, SalvoCondition, SalvoConditionTerm


class Flaky(Exception):
    """An exception of one's own."""


def count(ctx: Any, packets: Any) -> None:
    """Send 0 to 3."""
    for number in range(4):
        ctx.send("out", number)


def square(ctx: Any, packets: Any) -> None:
    """Send the square of what comes in."""
    ctx.send("out", ctx.consume_packet(packets["in"][0]) ** 2)


async def square_later(ctx: Any, packets: Any) -> None:
    """The same, async."""
    await ctx.send("out", await ctx.consume_packet(packets["in"][0]) ** 2)


def swallow(ctx: Any, packets: Any) -> None:
    """Consume everything."""
    for taken in packets.values():
        for packet in taken:
            ctx.consume_packet(packet)


def begin(net: Any) -> None:
    """A start function."""


def end(net: Any) -> None:
    """A stop function."""


def failed(failure: Any) -> None:
    """A failure function."""


def tell(*args: Any) -> None:
    """A callback."""


def add(left: int, right: int = 10) -> int:
    """A plain function."""
    return left + right


def is_even(number: int) -> bool:
    """A predicate."""
    return number % 2 == 0


def parity(number: int) -> str:
    """A chooser."""
    return "even" if number % 2 == 0 else "odd"


class Doubler:
    """A class whose static method is a node function."""

    @staticmethod
    def run(ctx: Any, packets: Any) -> None:
        """Send twice what comes in."""
        ctx.send("out", ctx.consume_packet(packets["in"][0]) * 2)


class Constant:
    """A factory: a source that sends one value, put through a function."""

    def get_node_spec(self, value: Any, through: Callable[[Any], Any] | None = None) -> dict[str, Any]:
        """One output."""
        term = SalvoConditionTerm.port("out", PortState.non_empty())
        return {
            "out_ports": {"out": Port()},
            "out_salvo_conditions": {"out": SalvoCondition(MaxSalvos.infinite(), {"out": PacketCount.all()}, term)},
        }

    def get_node_funcs(self, value: Any, through: Callable[[Any], Any] | None = None) -> tuple[Any, ...]:
        """Send it."""

        def run(ctx: Any, packets: Any) -> None:
            ctx.send("out", through(value) if through else value)

        return run, begin, None, None


constant = Constant()
