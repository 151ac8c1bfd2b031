"""Draw the picture of the README, `net.svg` beside this file."""

from pathlib import Path
from typing import Annotated

from netrun import Batch, Flow, Net, Skip, node


@node
def orders(count: int):
    yield from range(count)


@node(retries=2)
def fetch(order: int) -> float:
    if order % 17 == 5:
        raise ConnectionError(f"no answer about order {order}")
    return order * 1.5


@node
def large(amount: float) -> float:
    return amount if amount > 100 else Skip


@node
def review(large: Annotated[list[float], Batch(20)]) -> float:
    return sum(large)


@node
def invoice(amount: float) -> str:
    return f"{amount:.2f}"


net = Net(Flow(orders >> fetch >> [large, invoice], large >> review), on_error="continue")
net.run(count=[200])
net.draw(Path(__file__).with_name("net.svg"))
