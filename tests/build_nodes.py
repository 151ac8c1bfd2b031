"""Decorated functions in a module that can be imported, as they are in a user's project."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, NamedTuple, TypedDict

from netrun import Batch, NodeExecutionContext, Outputs, Skip, node


@node
def double(x: int) -> int:
    return 2 * x


@node(retries=1, when="nonempty(x) and count(y) >= 2")
def first_of_two(x: int, y: int) -> list[int]:
    return [x, y]


@node
async def later(x: int) -> int:
    await asyncio.sleep(0)
    return x + 100


@node
def up_to(n: int) -> Iterator[int]:
    yield from range(n)


@node
async def up_to_later(n: int) -> AsyncIterator[int]:
    for number in range(n):
        await asyncio.sleep(0)
        yield number


@node
def odd(x: int) -> int:
    return x if x % 2 else Skip


class HalvesOutputs(NamedTuple):
    low: int
    high: int


class Named(TypedDict, total=False):
    even: int
    uneven: int


@node
def halves(x: int) -> HalvesOutputs:
    return HalvesOutputs(x // 2, x - x // 2)


@node
def sorted_out(x: int) -> Outputs[Named]:
    return {"uneven": x} if x % 2 else {"even": x}


@node
def pairs(values: Annotated[list[int], Batch(2)]) -> list[int]:
    return values


@node
def whole(values: list[int]) -> int:
    return sum(values)


@node
def told(x: int, ctx: NodeExecutionContext, scale: float = 1) -> str:
    return f"{ctx.node_name} {x * scale} {ctx.retry_count}"


@node
async def told_later(x: int, ctx: NodeExecutionContext) -> str:
    return f"{ctx.node_name} {x}"


@node
def told_often(x: int, ctx: NodeExecutionContext) -> Iterator[str]:
    for number in range(x):
        yield f"{ctx.node_name} {number}"


@node
def note(x: int) -> None:
    print(x)


class Scale:
    """A class with a method that is a node."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    @node
    def scaled(self, x: int) -> int:
        return self.factor * x

    def __call__(self, x: int) -> int:
        return self.factor + x


class Later:
    """An object that is async."""

    async def __call__(self, x: int) -> int:
        return -x


def plain(a: int, b: int = 10) -> int:
    return a + b


OPENED: list[object] = []


def opened(net: object) -> None:
    """A start function."""
    OPENED.append(net)


class Ways:
    """Static and class methods that are nodes."""

    @node
    @staticmethod
    def static(x: int) -> int:
        return x

    @node
    @classmethod
    def of_class(cls, x: int) -> int:
        return 2 * x


scale = Scale(3)
scaled = scale.scaled
tripled = node(lambda x: 3 * x, name="tripled")
plus_one = node(lambda x: x + 1, name="plus_one")
