# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Execution: attempts and the engine
#
# There is one path for every epoch, whatever its function is and wherever it runs:
#
# ```
#   Ledger.next ──> begin ──> a carrier calls the function ──> conclude ──> settle
#                  Attempt           Outcome                 commit or      verdict: gone, again after d seconds,
#                                                            failure        cancelled, or startable again
# ```
#
# The **engine** decides what runs next. It does no IO, never sleeps, never calls a user's code and reads no clock: the
# time comes in as an argument. So its tests need no threads and no waiting: they feed it outcomes, in any order, under a
# clock that they turn by hand.

# %%
#|default_exp execution

# %%
#|export
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Any, NamedTuple, Protocol

from netrun.core import EpochCancelled, EpochLimitReached, EpochTimeout, NodeConfig, NodeExecutionFailed
from netrun.context import Recording
from netrun.acts import OVER
from netrun.books import Earlier, Holder
from netrun.ledger import Ledger
from netrun.packets import Epoch
from netrun.prints import NodeLog

# %% [markdown]
# ## A node's task
#
# What the engine knows of a node: its functions and its options. A node without a function keeps its epochs startable.

# %%
#|export
NodeFunc = Callable[..., Any]


@dataclass(slots=True, eq=False)
class Task:
    """A node's functions and options. `carrier` says where the function runs; the engine only passes it on. `limits` are
    asked before an attempt begins."""

    node_name: str
    config: NodeConfig
    carrier: Any = None
    exec_node_func: NodeFunc | None = None
    start_node_func: NodeFunc | None = None
    stop_node_func: NodeFunc | None = None
    exec_failed_node_func: NodeFunc | None = None
    is_async: bool = False
    limits: tuple["Limit", ...] = ()
    types: tuple[dict[str, Any], dict[str, Any]] = ({}, {})  # of its input and output ports, where they have one
    failed: int = 0  # epochs that were given up
    log: NodeLog | None = None  # where its prints go, if they are captured

    def starts_in_workers(self) -> bool:
        """Whether its start and stop functions are called in each worker of its pools."""
        return self.config.pool is not None and self.config.pool_init_mode == "per_worker"

    @property
    def is_able(self) -> bool:
        """Whether it has a function to run."""
        return self.exec_node_func is not None


# %% [markdown]
# A `Limit` holds attempts of a node back: it has begun as many as may run, or the next one would come too early. What it
# answers is a moment: None for now, a later one for *not before*, `inf` for *not before one of them has ended*.


# %%
#|export
class Limit(Protocol):
    """What may hold the attempts of a node back."""

    def admit(self, now: float) -> float | None:
        """When the next attempt may begin: None for now. That one begins, only `begun` says."""
        ...

    def begun(self, attempt: "Attempt", now: float) -> None:
        """An attempt begins, which was admitted."""
        ...

    def runs_already(self, attempt: "Attempt") -> bool:
        """An attempt began before the node had this limit. True if it counts all the same: its end will be told."""
        ...

    def ended(self, attempt: "Attempt") -> None:
        """It has ended."""
        ...


# %% [markdown]
# ## Attempt and outcome
#
# An `Attempt` is one try at an epoch. It holds the epoch (see `Holder`) from its beginning to its end. Every attempt has
# exactly one `Outcome`, which the carrier that ran it reports.


# %%
#|export
class Attempt(Holder):
    """One try at an epoch.

    deadline: the engine's time when it must be done, or None; timeout: the seconds that it has, where there is one.
    limits: those that were asked about it. Where there are any:
    begun: when its function was called, once it was; worker: who runs it, if it is one of a pool.
    recording: what it has done, if its actions are deferred.
    """

    __slots__ = ("begun", "deadline", "limits", "recording", "task", "timeout", "worker")
    begun: float | None
    timeout: float
    worker: Any

    def __init__(self, epoch: Epoch, task: Task, earlier: Earlier = ()) -> None:
        self.epoch = epoch  # as Holder has it; an attempt is made for every epoch, so it is made quickly
        self.earlier = earlier
        self.over = None
        self.acted = False
        self.values = {}
        self.printed = self.ways = None
        self.task = task
        self.deadline: float | None = None
        self.limits: tuple[Limit, ...] = ()
        self.recording: Recording | None = None

    def where(self) -> tuple[str, str | None]:
        """Where its function runs: the kind of carrier, and the worker's name where there are workers."""
        runner = self.worker if self.limits and self.worker is not None else self.task.carrier
        where: tuple[str, str | None] = runner.where
        return where

    def log(self) -> Any:
        """Where its prints go: a `NodeLog`, or None where they are not captured."""
        return self.task.log

    def worker_of(self) -> Any:
        """Who runs it, if it is one of a pool, or None."""
        return self.worker if self.limits else None

    def is_inline(self) -> bool:
        """Whether its function runs in the thread that drives the net, or in one that this waits for."""
        return not self.task.is_async and self.worker_of() is None


class Ending(Enum):
    """How an attempt can end."""

    FINISHED = auto()
    FAILED = auto()
    TIMED_OUT = auto()
    CANCELLED = auto()
    INTERRUPTED = auto()


@dataclass(slots=True)
class Outcome:
    """How an attempt ended. `error` is there unless it finished."""

    attempt: Attempt
    ending: Ending
    error: BaseException | None = None


# %% [markdown]
# Which exception means what is one short function:


# %%
#|export
def outcome_of(attempt: Attempt, error: BaseException) -> Outcome:
    """The outcome of an attempt whose function raised."""
    if isinstance(error, EpochCancelled) and error.epoch_id == attempt.epoch.id:
        ending = Ending.CANCELLED
    elif isinstance(error, (KeyboardInterrupt, SystemExit)):
        ending = Ending.INTERRUPTED
    else:
        ending = Ending.FAILED
    return Outcome(attempt, ending, error)


# %%
from types import SimpleNamespace

holder = SimpleNamespace(epoch=SimpleNamespace(id="e1-demo"))
endings = [
    (ValueError(), Ending.FAILED),
    (KeyboardInterrupt(), Ending.INTERRUPTED),
    (EpochCancelled("A", "e1-demo"), Ending.CANCELLED),
    (EpochCancelled("B", "e2-demo"), Ending.FAILED),  # another epoch's: an exception like any other
]
assert all(outcome_of(holder, error).ending is ending for error, ending in endings)

# %% [markdown]
# ## The verdict
#
# What becomes of the epoch. The whole table:
#
# | the attempt | and | verdict |
# |---|---|---|
# | finished | | `COMMIT`: the epoch is finished |
# | failed, or timed out | the judge says: again after d seconds | `RETRY` |
# | failed, or timed out | no more attempts, or it had acted on the net | `GIVE_UP`: cancelled, and the net hears of it |
# | cancelled | | `CANCEL`: cancelled, no failure |
# | interrupted | it had not acted on the net | `GIVE_BACK`: startable again |
# | interrupted | it had | `CANCEL` |


# %%
#|export
class Verdict(Enum):
    """What becomes of an epoch after an attempt."""

    COMMIT = auto()
    RETRY = auto()
    GIVE_UP = auto()
    CANCEL = auto()
    GIVE_BACK = auto()


def verdict(ending: Ending, *, acted: bool, retry_after: float | None) -> Verdict:
    """The verdict on an attempt: see the table above."""
    match ending:
        case Ending.FINISHED:
            return Verdict.COMMIT
        case Ending.FAILED | Ending.TIMED_OUT:
            return Verdict.GIVE_UP if retry_after is None else Verdict.RETRY
        case Ending.CANCELLED:
            return Verdict.CANCEL
        case Ending.INTERRUPTED:
            return Verdict.CANCEL if acted else Verdict.GIVE_BACK


# %%
assert verdict(Ending.TIMED_OUT, acted=False, retry_after=1.5) is Verdict.RETRY
assert verdict(Ending.FAILED, acted=False, retry_after=None) is Verdict.GIVE_UP
assert verdict(Ending.INTERRUPTED, acted=True, retry_after=None) is Verdict.CANCEL

# %% [markdown]
# ## The engine
#
# Five seams let what comes later in the book plug in. Each has a default that does nothing:
#
# | seam | asked | default |
# |---|---|---|
# | `task.limits` | may an attempt of this node begin now, or not before which moment? | none: now |
# | `judge(outcome)` | after how many seconds is there another attempt (None: never)? | never |
# | `task.carrier` | where does the function of this node run? | set by the net |
# | `on_error` | does an epoch that is given up pause the net? | yes: `"raise"` |
# | `observe(attempt, verdict, ending, error)` | told of every attempt that was settled | nobody |
#
# Three kinds of moments make the engine want to be asked again: the deadline of a running attempt, the next attempt of
# an epoch that waits for it, and the moment that a limit named. `deadline()` is the earliest. None of them holds anything
# else up.
#
# Two bounds end a run before everything is done. A **wave** goes up to the epoch that became startable last before it;
# later ones have higher numbers. A **budget** is how many epochs may still start before the net pauses.


# %%
#|exporti
_FAILURES = (Ending.FAILED, Ending.TIMED_OUT)


class Retry(NamedTuple):
    """The next attempt at an epoch, when it is due, and a number that decides ties."""

    due: float
    number: int
    attempt: Attempt


class Agenda:
    """What the engine has before it: what runs, what waits for a moment, and whether anything may start."""

    def __init__(self, ledger: Ledger, tasks: dict[str, Task]) -> None:
        self.ledger = ledger
        self.tasks = tasks
        self._by_rank = [tasks[name] for name in ledger.doors]
        self.running: dict[Attempt, None] = {}  # in the order in which they began
        self.paused_by: str | None = None
        self.holds_back = False  # whether nothing begins until what runs has ended
        self.failures: list[NodeExecutionFailed] = []
        self.judge: Callable[[Outcome], float | None] | None = None
        self.on_error = "raise"  # what an epoch that is given up does to the net
        self.max_epochs: int | None = None  # that may start before the net pauses
        self.earlier: dict[Epoch, Earlier] = {}  # of startable epochs that were given back after failed attempts
        self.observe: Callable[[Attempt, Verdict, Ending, BaseException | None], None] | None = None
        self._wave: float = inf  # the number of the last epoch that this step may start
        self._budget: float = inf  # how many epochs may still start
        self._bounded = False  # whether one of them is finite
        self._limit_reached = False  # whether the budget was too small
        self._retries: list[Retry] = []  # a heap
        self._held: dict[Task, list[Retry]] = {}  # those that were due and not admitted, by task, each a heap
        self._looks: list[tuple[float, str]] = []  # a heap of moments that limits named, with the node
        self._looked_for: set[tuple[float, str]] = set()  # the same
        self._timed: list[tuple[float, int, Attempt]] = []  # a heap of attempts that have a deadline
        self.room_made: deque[Task] = deque()  # from any thread: tasks whose limits may answer otherwise now
        self._numbers = count()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.running)} attempts running, {len(self.waiting_retries())} to be retried>"

    @property
    def is_held(self) -> bool:
        """Whether nothing begins now: the net is paused, or what runs is to end first."""
        return self.paused_by is not None or self.holds_back

    def deadline(self) -> float | None:
        """The moment to look again, even if nothing happens before; None if there is none."""
        while self._timed and self._timed[0][2] not in self.running:
            heappop(self._timed)
        while self._looks and not self.waits(self.tasks[self._looks[0][1]]):  # the limit was lifted meanwhile
            self._looked_for.discard(heappop(self._looks))
        moments = [self._timed[0][0]] if self._timed else []
        if not self.is_held:
            moments += [self._retries[0].due] if self._retries else []
            moments += [self._looks[0][0]] if self._looks else []
        return min(moments, default=None)

    def begin_wave(self) -> None:
        """Until `end_wave`, start only what is startable now."""
        self._wave = self.ledger.newest()
        self._bounded = True
        for _, node_name in self._looks:
            self.ledger.unshelve(node_name)  # what waits for that moment may lie beyond the wave
        self._looks.clear()
        self._looked_for.clear()

    def end_wave(self) -> None:
        """Start whatever becomes startable again."""
        self._wave = inf
        self._bounded = self._budget < inf

    def count_anew(self) -> None:
        """As many epochs as `max_epochs` says may start from now on."""
        self._budget = inf if self.max_epochs is None else self.max_epochs
        self._bounded = self._wave < inf or self._budget < inf

    def pause(self, by: str) -> None:
        """Start nothing from now on. The first reason stays."""
        self.paused_by = self.paused_by or by

    def resume(self) -> None:
        """Start epochs again."""
        if self.paused_by == "limit":
            self.count_anew()
        self.paused_by = None

    def waiting_retries(self) -> list["Retry"]:
        """The epochs that wait for their next attempt, by its number."""
        held = [retry for some in list(self._held.values()) for retry in some]
        return sorted([*self._retries, *held], key=lambda retry: retry.attempt.epoch._number)

    def could_begin(self) -> bool:
        """Whether there is something that could begin, now or later, if the net is not paused."""
        return bool(self._retries or self._held) or self.ledger.has_work(lambda epoch: self.task_of(epoch).is_able)

    def waits(self, task: Task) -> bool:
        """Whether epochs of a task are set aside, or retries held."""
        return task in self._held or bool(self.ledger.doors[task.node_name].shelf)

    def task_of(self, epoch: Epoch) -> Task:
        """The task of an epoch's node."""
        rank: int = epoch._door.rank
        return self._by_rank[rank]


# %% [markdown]
# **Beginning.** An epoch whose next attempt is due comes first, then the queue. What has no function, or is not admitted
# yet, is set aside: the node's shelf is closed until its moment has come or one of its attempts has ended. So each start
# at a limit costs two questions, however many epochs wait.
#
# ```
#   queue ──> limits ──> begin              retry that is due ──> limits ──> begin
#               │ not now                                            │ not now
#               └─────> shelf of the node ───┐                       └─────> held ───┐
#                         ^                  │                                       │
#                         └─ a moment, or an attempt that ended: the oldest of each is tried again
# ```


# %%
#|exporti
class Beginnings(Agenda):
    """Which attempt begins next."""

    def begin(self, now: float) -> Attempt | None:
        """The next attempt to run, or None when nothing can start now."""
        if self.paused_by is not None or self.holds_back:  # `is_held`, without a call: it is asked for every epoch
            return None
        if self._looks:
            self._look(now)
        while self.room_made:
            self.try_again(self.room_made.popleft())
        if self._retries and self._retries[0].due <= now and (again := self._next_retry(now)) is not None:
            self.ledger.go_on(again)
            return self._begun(again, now)
        while (epoch := self.ledger.next()) is not None:
            task = self._by_rank[epoch._door.rank]
            if self._bounded and self._is_out_of_bounds(epoch, task, now):
                self.ledger.put_back(epoch)
                return None
            if task.exec_node_func is None or (task.limits and not self._admitted(task, now)):
                self.ledger.shelve(epoch)
                continue
            attempt = Attempt(epoch, task, self.earlier.pop(epoch, ()) if self.earlier else ())
            self.ledger.start(attempt)
            config = task.config
            if task.limits or config.timeout is not None or config.defer_net_actions:
                return self._begun(attempt, now)
            self.running[attempt] = None
            return attempt
        return None

    def _begun(self, attempt: Attempt, now: float) -> Attempt:
        task = attempt.task
        config = task.config
        if config.timeout is not None:
            attempt.deadline, attempt.timeout = now + config.timeout, config.timeout
            self._note_deadline(attempt, attempt.deadline)
        if config.defer_net_actions:
            attempt.recording = Recording(attempt, self.ledger.values)
        attempt.limits, attempt.begun, attempt.worker = task.limits, None, None
        for limit in task.limits:
            limit.begun(attempt, now)
        if task in self._held:
            self._release(task)
        self.running[attempt] = None
        return attempt

    def _note_deadline(self, attempt: Attempt, deadline: float) -> None:
        if len(self._timed) > 2 * len(self.running) + 64:  # most of them have ended long before
            self._timed = [entry for entry in self._timed if entry[2] in self.running]
            heapify(self._timed)
        heappush(self._timed, (deadline, next(self._numbers), attempt))

    def _next_retry(self, now: float) -> Attempt | None:
        """The next attempt that is due and admitted."""
        while self._retries and self._retries[0].due <= now:
            retry = heappop(self._retries)
            task = retry.attempt.task
            if not task.limits or self._admitted(task, now):
                return retry.attempt
            heappush(self._held.setdefault(task, []), retry)
        return None

    def _admitted(self, task: Task, now: float) -> bool:
        """Whether all limits let an attempt begin now. If not, and they name a moment, it will be looked again then."""
        moment = max([limit.admit(now) or now for limit in task.limits])
        look = moment, task.node_name
        if now < moment < inf and look not in self._looked_for:
            heappush(self._looks, look)
            self._looked_for.add(look)
        return moment <= now

    def _look(self, now: float) -> None:
        """Try again what had to wait for a moment that has come."""
        while self._looks and self._looks[0][0] <= now:
            look = heappop(self._looks)
            self._looked_for.discard(look)
            self.try_again(self.tasks[look[1]])

    def tell_limits(self, task: Task) -> None:
        """Tell the limits of a node that are new what runs already, and ask them again about what is set aside."""
        for attempt in self.running:
            for limit in task.limits if attempt.task is task else ():
                if limit not in attempt.limits and limit.runs_already(attempt):
                    if not attempt.limits:
                        attempt.begun = attempt.worker = None
                    attempt.limits += (limit,)
        self.room_made.append(task)

    def has_room_to_try(self) -> bool:
        """Whether `begin` has something to try again, since room was made."""
        return not self.is_held and bool(self.room_made)

    def try_again(self, task: Task) -> None:
        """Ask the limits of a node again about what is set aside."""
        self.ledger.unshelve(task.node_name)
        if task in self._held:
            self._release(task)

    def _release(self, task: Task) -> None:
        """The first of the held retries of a node is to be tried again."""
        held = self._held[task]
        heappush(self._retries, heappop(held))
        if not held:
            del self._held[task]

    def _is_out_of_bounds(self, epoch: Epoch, task: Task, now: float) -> bool:
        """Whether this epoch is beyond the wave, or would be one more than the budget has. If not, it is counted."""
        if epoch._number > self._wave:
            return True
        if not task.is_able or (task.limits and not self._admitted(task, now)):
            return False
        if self._budget <= 0:
            self._limit_reached = True
            self.pause("limit")
            return True
        self._budget -= 1
        return False


# %% [markdown]
# **Ending.** `conclude` ends an attempt: it is committed, or how it failed is told. In between, the driver calls the
# node's failure function. `sentence` then says what becomes of the epoch, and `settle` carries it out; between the two,
# what is given up can be written down while it is still there.


# %%
#|exporti
def _why_over(outcome: Outcome) -> Exception:
    """What a call on the attempt's context raises from now on."""
    timed_out = outcome.ending is Ending.TIMED_OUT and isinstance(outcome.error, EpochTimeout)
    return outcome.error if timed_out else OVER  # type: ignore[return-value]


class Conclusions(Beginnings):
    """How attempts end."""

    def expired(self, now: float) -> list[Outcome]:
        """The outcomes of the running attempts whose time is over."""
        late: list[Outcome] = []
        while self._timed and self._timed[0][0] <= now:
            attempt = heappop(self._timed)[2]
            if attempt in self.running:
                late.append(self._timed_out(attempt))
        return late

    def conclude(self, outcome: Outcome) -> Outcome | None:
        """End an attempt: no further action of it changes the net. None if it is committed; else how it failed. An
        outcome that comes too late, of an attempt that has ended already, is dropped."""
        attempt = outcome.attempt
        if outcome.ending is Ending.FINISHED:
            return self.commit(attempt)
        if attempt not in self.running:
            return None
        del self.running[attempt]
        if attempt.limits:
            self._leave_limits(attempt)
        return self._failed(outcome)

    def commit(self, attempt: Attempt) -> Outcome | None:
        """`conclude` for an attempt that has finished: as most do, no outcome need be made for that."""
        if attempt not in self.running:
            return None
        del self.running[attempt]
        if attempt.limits:
            self._leave_limits(attempt)
        try:
            if attempt.recording is None:
                self.ledger.finish(attempt)
            else:
                attempt.recording.commit(attempt, self.ledger)
        except BaseException as error:
            return self._failed(outcome_of(attempt, error))
        if self.observe is not None:
            self.observe(attempt, Verdict.COMMIT, Ending.FINISHED, None)
        return None

    def _failed(self, outcome: Outcome) -> Outcome:
        self.ledger.end_attempt(outcome.attempt, _why_over(outcome))
        return outcome

    def _leave_limits(self, attempt: Attempt) -> None:
        for limit in attempt.limits:
            limit.ended(attempt)
        self.try_again(attempt.task)

    def _timed_out(self, attempt: Attempt) -> Outcome:
        error = EpochTimeout(attempt.task.node_name, attempt.epoch.id, attempt.timeout)
        return Outcome(attempt, Ending.TIMED_OUT, error)


# %%
#|exporti
class Sentence(NamedTuple):
    """A verdict, and after how many seconds the next attempt is due where there is one."""

    verdict: Verdict
    retry_after: float | None


# %%
#|export
class Engine(Conclusions):
    """Decides what runs next: `begin` gives an attempt, `conclude` and `settle` take its outcome."""

    def sentence(self, outcome: Outcome) -> Sentence:
        """The verdict on an attempt that `conclude` found to have failed. Changes nothing; asks the judge, once."""
        after = self._retry_after(outcome)
        return Sentence(verdict(outcome.ending, acted=outcome.attempt.acted, retry_after=after), after)

    def settle(self, outcome: Outcome, now: float, at: datetime, sentence: Sentence | None = None) -> Verdict:
        """Carry a sentence out (None: the one that `sentence` gives). `at` is the time of day, for the record."""
        attempt = outcome.attempt
        what, after = sentence or self.sentence(outcome)
        match what:
            case Verdict.RETRY:
                assert after is not None and outcome.error is not None
                again = Attempt(attempt.epoch, attempt.task, (*attempt.earlier, (at, outcome.error)))
                self.retry_at(now + after, again)
            case Verdict.GIVE_BACK:
                self.ledger.give_back(attempt)
                if attempt.earlier:
                    self.earlier[attempt.epoch] = attempt.earlier
            case _:
                self.ledger.cancel(attempt)
        if what is Verdict.GIVE_UP:
            self._give_up(outcome)
        if outcome.ending is Ending.INTERRUPTED:
            self.pause("error")
        if self.observe is not None:
            self.observe(attempt, what, outcome.ending, outcome.error)
        return what

    def retry_at(self, due: float, attempt: Attempt) -> None:
        """This attempt, at an epoch that runs, is to begin at that moment."""
        heappush(self._retries, Retry(due, next(self._numbers), attempt))

    def give_back_waiting(self) -> None:
        """Epochs that wait for their next attempt are startable again. Their earlier attempts are remembered."""
        for *_, attempt in reversed(self.waiting_retries()):
            self.ledger.give_back(attempt)
            self.earlier[attempt.epoch] = attempt.earlier
        self._retries.clear()
        self._held.clear()

    def take_failures(self) -> NodeExecutionFailed | None:
        """The first failure since this was asked last, with the `others` that came after it."""
        if not self.failures:
            return None
        first, *first.others = self.failures
        self.failures = []
        return first

    def take_limit(self) -> EpochLimitReached | None:
        """That there was one more epoch to start than `max_epochs` allows, if so since this was asked last."""
        reached, self._limit_reached = self._limit_reached, False
        return EpochLimitReached(self.max_epochs or 0) if reached else None

    def _retry_after(self, outcome: Outcome) -> float | None:
        """What the judge says. An attempt that has acted on the net cannot be made again."""
        if self.judge is None or outcome.attempt.acted or outcome.ending not in _FAILURES:
            return None
        return self.judge(outcome)

    def _give_up(self, outcome: Outcome) -> None:
        attempt, error = outcome.attempt, outcome.error
        assert error is not None
        attempt.task.failed += 1
        if self.on_error == "continue":
            return
        failure = NodeExecutionFailed(attempt.task.node_name, attempt.epoch.id, error, len(attempt.earlier) + 1)
        failure.__cause__ = error
        self.failures.append(failure)
        self.pause("error")


# %% [markdown]
# ## The engine at work
#
# A clock turned by hand, and outcomes told by hand. Node `A` fails and is to be tried again after 10 seconds; node `B`
# goes on meanwhile.

# %%
from datetime import UTC

from netrun import *


def inbox(name):
    nonempty = SalvoConditionTerm.port("in", PortState.non_empty())
    condition = SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, nonempty)
    return Node(name, in_ports={"in": Port()}, in_salvo_conditions={"in": condition})


def new_engine(**options):
    ledger = Ledger(Graph([inbox("A"), inbox("B")], []), PacketValueStore())
    config = NodeConfig(defer_net_actions=True, **options)
    engine = Engine(ledger, {name: Task(name, config, exec_node_func=print) for name in "AB"})
    return ledger, engine


def consume_all(attempt):
    for packet in attempt.epoch._entered:
        attempt.recording.consume(attempt, packet, attempt.recording.ask(attempt, packet))


def tell(engine, attempt, now, error=None):
    outcome = Outcome(attempt, Ending.FINISHED) if error is None else outcome_of(attempt, error)
    failed = engine.conclude(outcome)
    return Verdict.COMMIT if failed is None else engine.settle(failed, now, datetime.now(UTC))


# %%
ledger, engine = new_engine()
engine.judge = lambda outcome: 10.0
ledger.inject("A", "in", ["a"])
ledger.inject("B", "in", ["b"])

first = engine.begin(now=0)
assert first.task.node_name == "A" and tell(engine, first, 0, ValueError("no")) is Verdict.RETRY
second = engine.begin(now=0)  # nobody waits for A
consume_all(second)
assert second.task.node_name == "B" and tell(engine, second, 0) is Verdict.COMMIT
assert engine.begin(now=9.9) is None and engine.deadline() == 10.0
again = engine.begin(now=10.0)
assert again.epoch is first.epoch and len(again.earlier) == 1
consume_all(again)
assert tell(engine, again, 10.0) is Verdict.COMMIT
ledger.check()

# %% [markdown]
# A time-out is a deadline too. An outcome that comes after it is dropped, and its context is dead:

# %%
ledger, engine = new_engine(timeout=2)
ledger.inject("A", "in", ["a"])
slow = engine.begin(now=100)
assert engine.deadline() == 102 and engine.expired(101.9) == []
(late,) = engine.expired(102)
assert engine.settle(engine.conclude(late), 102, datetime.now(UTC)) is Verdict.GIVE_UP
assert engine.conclude(Outcome(slow, Ending.FINISHED)) is None  # the thread has come back: too late
try:
    slow.recording.create(slow, "anything")
except EpochTimeout as error:
    print(error)
failure = engine.take_failures()
assert isinstance(failure.original_exception, EpochTimeout) and engine.paused_by == "error"
ledger.check()

# %% [markdown]
# A limit holds its own node back and no other, and `deadline` says when to look again:


# %%
class NotBefore:
    def __init__(self, moment):
        self.moment = moment

    def admit(self, now):
        return self.moment

    def begun(self, attempt, now):
        pass

    runs_already = ended = print


ledger, engine = new_engine()
engine.tasks["A"].limits = (NotBefore(5.0),)
ledger.inject("A", "in", [1, 2])
ledger.inject("B", "in", [3])
attempt = engine.begin(now=0)
assert attempt.task.node_name == "B" and engine.begin(now=0) is None and engine.deadline() == 5.0
ledger.check()
assert [engine.begin(now=5).task.node_name for _ in "12"] == ["A", "A"]

# %% [markdown]
# The budget: the third epoch is one too many, and stays.

# %%
ledger, engine = new_engine()
engine.max_epochs = 2
engine.count_anew()
ledger.inject("A", "in", [1, 2, 3])
assert engine.begin(now=0) and engine.begin(now=0) and engine.begin(now=0) is None
assert engine.paused_by == "limit" and len(ledger.startable()) == 1
print(engine.take_limit())

# %% [markdown]
# An interrupted attempt that has not acted gives its epoch back, at the front of the queue; the net pauses:

# %%
ledger, engine = new_engine()
ledger.inject("A", "in", [1, 2])
attempt = engine.begin(now=0)
assert tell(engine, attempt, 0, KeyboardInterrupt()) is Verdict.GIVE_BACK
assert engine.begin(now=0) is None and engine.paused_by == "error"
engine.resume()
assert engine.begin(now=0).epoch is attempt.epoch
ledger.check()
