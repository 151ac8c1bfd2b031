# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Limits: pace and parallelism
#
# Two options hold the attempts of a node back, for every carrier alike. Other nodes run meanwhile, and nothing sleeps or
# looks in turns: the moment when the next attempt may begin is one of the engine's deadlines.
#
# ```
#   rate_limit_per_second=2           │     at least 0.5 s     │     at least 0.5 s     │
#                                     ▼                        ▼                        ▼
#   epochs ▪▪▪▪▪ ───────────────────> A1 ├──┤                  A2 ├────────────────────────────┤
#                                                                                       A3 ├───┤
#
#   max_parallel_epochs=2             A1 ├────────┤ A3 ├───┤
#   epochs ▪▪▪▪▪ ───────────────────> A2 ├──────────────┤ A4 ├────────┤
#                                                 └─ one ends, the next begins
# ```
#
# What is counted are attempts: calls of the node's function. So an epoch that is tried again comes under the same limits
# (what they protect is called again), and one that waits for its next attempt takes nobody's place. Nor does one whose
# `timeout` is over: its thread cannot be stopped and may still be at work beside the next. The first attempt begins at once.
# Unused time is not saved up: after an hour without work the pace is the same.

# %%
#|default_exp limits

# %%
#|export
from math import inf

from netrun.core import NodeConfig
from netrun.execution import Attempt, Limit

# %% [markdown]
# ## Pace
#
# The next attempt may begin 1/rate seconds after the last one has. When a function is really called its carrier knows best
# (a task of a loop, or a thread, takes a while to get going), so carriers write it down in `attempt.begun`, and the gap
# counts from there. A function sees the clock a little later still, now more, now less (a busy machine, a cold cache); so
# the gap is longer than asked for by a fiftieth, at most a millisecond, and no two calls are closer than 1/rate in their
# own eyes either. (Where the machine stops a function between its call and its first line, that one sees the clock
# late, and the next gap as too short.) While a call is on its way, the next one waits: a loop may be busy, and a worker may
# be calling its start function. An executor does not tell when it calls, so there the gap counts from the submission.


# %%
#|export
_SOON = 0.005  # seconds after which to ask again about a call that is on its way


class Pace:
    """Attempts begin at least `1 / rate` seconds apart."""

    def __init__(self, rate: float) -> None:
        self.set(rate)
        self._last: Attempt | None = None
        self._begun = -inf  # when the last one was handed to its carrier

    def set(self, rate: float) -> None:
        """How many may begin in a second."""
        gap = 1 / rate
        self._gap = gap + min(gap / 50, 0.001)

    def admit(self, now: float) -> float:
        """The moment from which the next attempt may begin; or to ask again, if the last one is not called yet."""
        if self._last is not None and self._last.begun is not None:
            self._begun, self._last = max(self._begun, self._last.begun), None
        moment = self._begun + self._gap
        return moment if self._last is None or now < moment else now + max(self._gap / 8, _SOON)

    def next_moment(self) -> float:
        """The moment from which the next attempt may begin, as far as it is known. Changes nothing; from any thread."""
        last = self._last
        begun = self._begun if last is None or last.begun is None else max(self._begun, last.begun)
        return begun + self._gap

    def since(self, now: float) -> float:
        """How many seconds ago the last one began; infinite where there was none."""
        self.admit(now)
        return now - self._begun

    def take_up(self, begun: float) -> None:
        """The last one began at this moment."""
        self._begun = begun

    def begun(self, attempt: Attempt, now: float) -> None:
        """The next gap counts from here, or from when its function is called."""
        self._begun, self._last = now, attempt

    def runs_already(self, attempt: Attempt) -> bool:
        """A new pace begins with the next one."""
        return False

    def ended(self, attempt: Attempt) -> None:
        """It may have been cancelled before its function was called."""
        if attempt is self._last and attempt.begun is None:
            self._last = None


# %%
from types import SimpleNamespace

pace, attempt = Pace(4), SimpleNamespace(begun=None)
assert pace.admit(100.0) < 100.0  # the first begins at once
pace.begun(attempt, 100.0)
assert round(pace.admit(100.0), 6) == 100.251
attempt.begun = 100.01  # the carrier says: only now was it called
assert round(pace.admit(100.1), 6) == 100.261
assert pace.admit(9000.0) < 9000.0  # an hour later nothing was saved up: after the next one, the gap is what it was
attempt = SimpleNamespace(begun=None)
pace.begun(attempt, 9000.0)
assert round(pace.admit(9000.0), 6) == 9000.251
assert 9001.0 < pace.admit(9001.0) < 9001.1  # it is still on its way to its carrier: look again soon
attempt.begun = 9001.0
assert round(pace.admit(9001.0), 6) == 9001.251

# %% [markdown]
# ## Parallelism


# %%
#|export
class Parallel:
    """At most so many attempts run at the same time."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._running = 0

    @property
    def running(self) -> int:
        """How many run."""
        return self._running

    def admit(self, now: float) -> float | None:
        """Now, or not before one of them has ended."""
        return None if self._running < self.most else inf

    def begun(self, attempt: Attempt, now: float) -> None:
        """One more."""
        self._running += 1

    def runs_already(self, attempt: Attempt) -> bool:
        """One more."""
        self._running += 1
        return True

    def ended(self, attempt: Attempt) -> None:
        """One less."""
        self._running -= 1


# %%
parallel = Parallel(2)
for _ in range(2):
    assert parallel.admit(0.0) is None
    parallel.begun(attempt, 0.0)
assert parallel.admit(0.0) == inf
parallel.ended(attempt)
assert parallel.admit(0.0) is None

# %% [markdown]
# ## From options to limits
#
# When a limit is changed while the net runs, what it has counted so far stays counted. A limit of parallel attempts that is
# new counts those that run already; a new pace begins with the next one.


# %%
#|export
def limits_of(config: NodeConfig, before: tuple[Limit, ...] = ()) -> tuple[Limit, ...]:
    """The limits of a node with these options. Those that it had `before` are changed, not made anew."""
    limits: list[Limit] = []
    if config.max_parallel_epochs is not None:
        parallel = next((limit for limit in before if isinstance(limit, Parallel)), None) or Parallel(1)
        parallel.most = config.max_parallel_epochs
        limits.append(parallel)
    if config.rate_limit_per_second is not None:
        pace = next((limit for limit in before if isinstance(limit, Pace)), None) or Pace(1)
        pace.set(config.rate_limit_per_second)
        limits.append(pace)
    return tuple(limits)


# %%
assert limits_of(NodeConfig()) == ()
both = limits_of(NodeConfig(max_parallel_epochs=2, rate_limit_per_second=4))
assert [type(limit) for limit in both] == [Parallel, Pace]
assert limits_of(NodeConfig(max_parallel_epochs=3), both) == both[:1] and both[0].most == 3

# %% [markdown]
# ## A net that keeps its pace
#
# Ten requests at twenty a second, while another node works its own packets off at once. Waiting costs no CPU time.

# %%
import time
from itertools import pairwise

from netrun import *


def inbox(name):
    nonempty = SalvoConditionTerm.port("in", PortState.non_empty())
    condition = SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, nonempty)
    return Node(name, in_ports={"in": Port()}, in_salvo_conditions={"in": condition})


calls = []


def note(ctx, packets):
    calls.append((ctx.node_name, time.monotonic()))
    ctx.consume_packet(packets["in"][0])


net = Net(Graph([inbox("Request"), inbox("Other")], []))
net.set_node_exec("Request", note)
net.set_node_exec("Other", note)
net.set_node_config("Request", rate_limit_per_second=20)
net.inject_packets("Request", "in", range(10))
net.inject_packets("Other", "in", range(10))
cpu = time.process_time()
net.start()
cpu = time.process_time() - cpu
moments = [moment for name, moment in calls if name == "Request"]
gaps = [after - before for before, after in pairwise(moments)]
assert min(gaps) >= 1 / 20 and sorted(name for name, _ in calls[:11]) == [*["Other"] * 10, "Request"]
print(f"{len(moments)} calls in {moments[-1] - moments[0]:.3f} s, the shortest gap {min(gaps):.4f} s, CPU {cpu:.3f} s")

# %% [markdown]
# ## At most so many at once
#
# Six epochs of an async node, three at a time:

# %%
import asyncio

now, most = 0, 0


async def work(ctx, packets):
    global now, most
    await ctx.consume_packet(packets["in"][0])
    now += 1
    most = max(most, now)
    await asyncio.sleep(0.01)
    now -= 1


net = Net(Graph([inbox("Work")], []))
net.set_node_exec("Work", work)
net.set_node_config("Work", max_parallel_epochs=3)
net.inject_packets("Work", "in", range(6))
net.start()
assert most == 3 and net.get_startable_epochs() == []

# %% [markdown]
# ## What is refused
#
# Options are checked where they are set.

# %%
for bad in [
    dict(rate_limit_per_second=0),
    dict(rate_limit_per_second=float("inf")),
    dict(rate_limit_per_second="5"),
    dict(max_parallel_epochs=0),
    dict(max_parallel_epochs=2.5),
    dict(max_paralel_epochs=2),
]:
    try:
        net.set_node_config("Work", **bad)
    except ConfigError as error:
        print(error)
    else:
        raise AssertionError(f"{bad} was accepted")
assert net.get_node_config("Work").max_parallel_epochs == 3
