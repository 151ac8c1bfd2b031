# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Rate limits
#
# A service allows twenty calls a second, and three at a time. The node that calls it says so, and what is behind it need not
# know. Waiting costs no CPU time.

# %%
import asyncio
import time

from netrun import Net, node

begun: list[float] = []
running = 0
most = 0


@node(rate_limit_per_second=20, max_parallel_epochs=3)
async def call(number: int) -> int:
    global running, most
    begun.append(time.monotonic())
    running += 1
    most = max(most, running)
    await asyncio.sleep(0.12)
    running -= 1
    return number


@node
def note(answer: int) -> int:
    return answer


cpu = time.process_time()
answers = Net(call >> note).run(number=range(12))["note.out"]
print(f"{most} at once, {begun[-1] - begun[0]:.2f} s for 12 calls, {time.process_time() - cpu:.2f} s of CPU time")
assert sorted(answers) == list(range(12)) and most <= 3 and begun[-1] - begun[0] > 11 / 20 - 0.05

# %% [markdown]
# `max_epochs` is another kind of limit: for a net with a cycle, which may run for ever.

# %%
from netrun import EpochLimitReached


@node
def grow(x: int) -> int:
    return 2 * x


net = Net(grow >> grow, max_epochs=100)
try:
    net.run(x=[1])
except EpochLimitReached as error:
    print(error)
