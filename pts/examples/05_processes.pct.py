# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Processes: work for every core
#
# How many primes are there below a number? The range is cut into pieces, two processes count, and the counts are added up
# when all twelve are there. A process that dies costs its own piece only.

# %%
import os
from collections.abc import Iterator
from typing import Annotated

from netrun import Batch, Net, WorkerDied, node

PIECES = 12


@node
def cut(limit: int) -> Iterator[range]:
    step = -(-limit // PIECES)
    for start in range(0, limit, step):
        yield range(start, min(start + step, limit))


@node(pool="cpu")
def count(piece: range) -> int:
    return sum(number > 1 and all(number % k for k in range(2, int(number**0.5) + 1)) for number in piece)


@node
def total(counts: Annotated[list[int], Batch(PIECES)]) -> int:
    return sum(counts)


net = Net(cut >> count >> total, process_pools={"cpu": {"size": 2}})
assert net.run(limit=[20_000]) == {"total.out": [2262]}
workers = {row.worker for row in net.timeline() if row.node == "count"}
print(workers)

# %% [markdown]
# Functions go to the processes by their import paths, and those of a notebook or script as they are. What a packet carries is
# pickled.
#
# ## One that dies


# %%
@node(pool="cpu")
def fragile(number: int) -> int:
    if number == 2:
        os._exit(7)
    return number


net = Net(fragile, process_pools={"cpu": {"size": 2}}, on_error="continue")
assert sorted(net.run(number=range(5))["fragile.out"]) == [0, 1, 3, 4]
(letter,) = net.dead_letter_queue
print(letter.exception)
assert isinstance(letter.exception, WorkerDied) and letter.exception.exitcode == 7
