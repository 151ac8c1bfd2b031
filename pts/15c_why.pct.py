# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Why: what a net waits for
#
# A net that does nothing waits for something. `net.why_blocked()` says for what: for each node that holds packets or has
# never run it looks at what is missing, follows that upstream, and names the **root** of it. `net.explain("A")` says all of
# one node: its ports, each condition with its terms and which of them are true, and the way to the root.
#
# ```
#   Join waits: port b is empty  ──>  B never ran: its port in is empty  ──>  A has no function, 3 epochs wait there
#                                                                             └─ the root
# ```
#
# | kind of cause | what is to be done |
# |---|---|
# | `stopped`, `paused`, `error`, `max_epochs`, `not_running` | of the net as a whole: build a new one; `resume()` or `start()` |
# | `no_function` | `set_node_exec` |
# | `rate_limit_per_second`, `max_parallel_epochs`, `pool_busy` | wait, or change the option, or the size of the pool |
# | `retrying` | wait for the next attempt |
# | `running` | wait for its end; a `timeout` ends what hangs |
# | `queued` | wait: it is its turn soon |
# | `too_few_slots` | more slots, or a condition that asks for less |
# | `never_met` | change the condition, see [checks](00h_checks.ipynb) |
# | `full_port` | a condition waits until there are fewer packets at a port: something must take them |
# | `nobody_takes` | no condition of the node takes from a port where packets wait |
# | `failed` | epochs of an upstream node were given up, and their letters are there: `net.redrive` them |
# | `cycle` | nodes wait for one another: inject a first packet |
# | `never_started` | a source that has never run: `inject_source_epoch`, or `run` |
# | `no_producer` | an input port that no edge leads to: `inject_packets` |
# | `no_condition` | a node with input ports and no input condition: `inject_source_epoch` |
# | `idle` | the same of a node that has run before and holds nothing |
# | `ended` | an upstream node has done all it had to do, and did not send (enough) |
#
# They are in the order of their weight: where a node has several, the first is its root. Nothing is changed by asking, and
# one may ask at any time, from any thread: the counts are of one moment. Ten thousand nodes take about half a
# second, a fifth of it under the Ledger's lock.

# %%
#|default_exp why

# %%
#|export
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from netrun_sim import Node, SalvoConditionTerm

from netrun.books import Crowds
from netrun.checks import components
from netrun.control import NetState, NodeStatus, node_statuses
from netrun.core import _told
from netrun.expressions import format_salvo_condition
from netrun.limits import Pace, Parallel
from netrun.routing import Door, _candidates, _compared, _decide, takes_of

if TYPE_CHECKING:
    from netrun.net import Net

# %% [markdown]
# ## Causes


# %%
#|export
@dataclass(frozen=True, eq=False)
class Cause:
    """Why something does not go on.

    kind: see the table in the chapter on why. node_name: where; None where it is the net as a whole. message: in words, with
    what is to be done. details: the numbers and names in it.
    """

    kind: str
    node_name: str | None
    message: str
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message


# %%
#|exporti
_WEIGHTS = {
    kind: (rank, place)
    for rank, kinds in enumerate(
        [
            "no_function stopped paused error max_epochs not_running too_few_slots never_met nobody_takes full_port failed "
            "retrying rate_limit_per_second max_parallel_epochs pool_busy cycle running queued",
            "never_started no_condition no_producer",
            "ended idle",
        ]
    )
    for place, kind in enumerate(kinds.split())
}


def _weight(cause: Cause) -> tuple[int, int]:
    return _WEIGHTS[cause.kind]


def _ranked(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Each of them once, the weightiest first."""
    return tuple(sorted({id(cause): cause for cause in causes}.values(), key=_weight))


def _packets(number: int) -> str:
    return "1 packet" if number == 1 else f"{number:,} packets"


def _epochs(number: int) -> str:
    return "1 epoch" if number == 1 else f"{number:,} epochs"


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"


# %% [markdown]
# ## What a condition lacks
#
# A term that is not met fails by some of its comparisons. For each of these: is it met with more packets at its port, with
# fewer, or with no number that the port can hold?


# %%
#|exporti
class Lack(NamedTuple):
    """A comparison that keeps a condition from being met. `wanted`: the number of packets nearest to the count with which it
    would not; None where the port cannot hold that many, or no number will do."""

    port: str
    text: str
    packets: int
    wanted: int | None
    needs_slots: bool  # whether it were met if the port could hold more


def _truth(term: SalvoConditionTerm, counts: dict[str, int], slots: dict[str, int | None]) -> bool:
    return bool(_decide(term, counts, slots))


def _comparisons(term: SalvoConditionTerm) -> Iterator[SalvoConditionTerm]:
    """The comparisons in a term, each once."""
    seen = set()
    terms = [term]
    while terms:
        term = terms.pop()
        if term.kind == "Port":
            text = repr(term)
            if text not in seen:
                seen.add(text)
                yield term
        inner = term.get_inner()
        terms += [*reversed(term.get_terms() or ()), *([inner] if inner is not None else [])]


def lacks(
    term: SalvoConditionTerm, counts: dict[str, int], slots: dict[str, int | None], wanted: bool = True
) -> list[Lack]:
    """What keeps a term from being `wanted`, true or false. Nothing where it is so."""
    if term.kind == "Port":
        return [] if _truth(term, counts, slots) is wanted else [_lack(term, counts, slots, wanted)]
    if term.kind == "Not":
        inner = term.get_inner()
        return [] if inner is None else lacks(inner, counts, slots, not wanted)
    if term.kind in ("True", "False"):
        return []
    parts = term.get_terms() or ()
    if (term.kind == "Or") is wanted and any(_truth(part, counts, slots) is wanted for part in parts):
        return []
    return [lack for part in parts for lack in lacks(part, counts, slots, wanted)]


def _lack(term: SalvoConditionTerm, counts: dict[str, int], slots: dict[str, int | None], wanted: bool) -> Lack:
    port = term.get_port_name() or ""
    count, most = counts[port], slots[port]
    text = format_salvo_condition(term if wanted else SalvoConditionTerm.not_(term))

    def fitting(limit: int | None) -> list[int]:
        there = _candidates(_compared(term, port), limit)
        return [n for n in there if _truth(term, {port: n}, {port: most}) is wanted]

    within = fitting(most)
    nearest = min((n for n in within if n > count), default=max(within, default=None))
    return Lack(port, text, count, nearest, nearest is None and bool(fitting(None)))


# %%
from netrun.expressions import parse_salvo_condition

term = parse_salvo_condition("count(a) >= 5 and nonempty(b) and empty(c)")
found = lacks(term, {"a": 1, "b": 2, "c": 3}, {"a": 3, "b": None, "c": None})
assert [(lack.text, lack.wanted, lack.needs_slots) for lack in found] == [
    ("count(a) >= 5", None, True),
    ("empty(c)", 0, False),
]
assert [
    lack.text for lack in lacks(parse_salvo_condition("not (full(a) or empty(b))"), {"a": 3, "b": 1}, {"a": 3, "b": 9})
] == ["not full(a)"]

# %% [markdown]
# ## A moment of the net
#
# What is looked at: the counts of one moment, taken under the Ledger's lock, and what runs and waits in the engine.


# %%
#|exporti
class PortCounts(NamedTuple):
    """The packets at an input port, and those in line for it: on its edges, and injected ones."""

    here: int
    on_edges: int
    injected: int


def _by_port(doors: Mapping[str, Door], crowds: Crowds) -> dict[str, dict[str, PortCounts]]:
    """What waits at each input port of each node."""
    on_edges: Counter[tuple[str, str]] = Counter()
    for (_, target), packets in crowds.edges.items():
        on_edges[target] += packets
    return {
        name: {
            port: PortCounts(crowds.inside[name, port], on_edges[name, port], crowds.outside[name, port])
            for port in door.gates
        }
        for name, door in doors.items()
    }


class Moment:
    """What is in a net now."""

    def __init__(self, net: "Net") -> None:
        engine, control = net._engine, net._control
        counts, crowds = net._ledger.census()
        self.doors = net._ledger.doors
        self.ports = _by_port(self.doors, crowds)
        self.retries = engine.waiting_retries()
        self.attempts = list(engine.running)
        self.statuses = node_statuses(engine, self.retries, counts)
        self.started = {name: its.live + its.finished + its.cancelled for name, its in counts.items()}
        self.nodes: dict[str, Node] = net.graph.nodes()
        self.tasks, self.pools = net._tasks, cast(Any, net._stage.pools)
        self.letters = Counter(letter.node_name for letter in net.dead_letter_queue if not letter.redriven)
        self.now = net._driver.clock.now()
        with control._lock:
            self.state, self.paused_by, self.is_driven = control.state, engine.paused_by, control._driving
        self.of_net = _of_the_net(self, net)

    def holds(self, name: str) -> int:
        """How many packets wait for a node."""
        return self.statuses[name].waiting_packets

    def waits(self, name: str) -> bool:
        """Whether a node holds something, or has never run."""
        status = self.statuses[name]
        return (
            bool(status.waiting_packets or status.startable or status.running or status.retrying)
            or not self.started[name]
        )


def _of_the_net(moment: Moment, net: "Net") -> Cause | None:
    """What keeps the net as a whole from going on with what it could begin."""
    by = moment.paused_by
    if moment.state is NetState.STOPPED:
        return Cause("stopped", None, "the net is stopped for good. Build a new one, or load a checkpoint of it")
    if by == "limit":
        most = net._engine.max_epochs
        text = f"the net is paused: it has started {most:,} epochs, as many as max_epochs allows. start() counts anew"
        return Cause("max_epochs", None, text, {"max_epochs": most})
    if by == "error":
        failure = net.error
        what = "an epoch failed or was interrupted"
        if failure is not None:
            what = f"epoch {failure.epoch_id} of node {failure.node_name!r} failed with {_told(failure.original_exception)}"
        named = {} if failure is None else {"node_name": failure.node_name, "epoch_id": failure.epoch_id}
        return Cause("error", None, f"the net is paused: {what}. start() goes on with the rest", named)
    if by is not None:
        who = "a signal came" if by == "signal" else "somebody called pause()"
        return Cause("paused", None, f"the net is paused: {who}. resume() it, or start() it", {"paused_by": by})
    if not moment.is_driven:
        return Cause("not_running", None, f"nobody runs the net, which is {moment.state.name}. Call start()")
    return None


# %% [markdown]
# ## What one node waits for
#
# Its causes, and the nodes upstream that it waits for.


# %%
#|exporti
class Waits:
    """What the epochs of a node wait for: `causes` of its own, and `upstream` nodes."""

    def __init__(self, moment: Moment, name: str) -> None:
        self.moment, self.name = moment, name
        self.status, self.door, self.ports = moment.statuses[name], moment.doors[name], moment.ports[name]
        self.causes: list[Cause] = []
        self.upstream: dict[str, None] = {}
        self.is_ready = False  # whether it could begin, were it its turn
        self.lacking: dict[str, None] = {}  # ports where packets from upstream are missing
        self.hopes: list[SalvoConditionTerm] = []  # of the conditions that it waits for

    def _add(self, kind: str, message: str, **details: Any) -> None:
        self.causes.append(Cause(kind, self.name, f"node {self.name!r} {message}", details))

    def _add_of_net(self) -> None:
        """What keeps the net from beginning, else that it is its turn soon. Without a function neither is of use."""
        self.is_ready = True
        if not self.moment.tasks[self.name].is_able:
            if all(cause.kind != "no_function" for cause in self.causes):
                text = f"has no function: {_packets(self.status.waiting_packets)} {_wait(self.status.waiting_packets)} there. Give it one with set_node_exec"
                self._add("no_function", text, startable=0)
            return
        if self.moment.of_net is not None:
            self.causes.append(self.moment.of_net)
            return
        inline = [a.task.node_name for a in self.moment.attempts if a.is_inline() and a.task.node_name != self.name]
        if inline:
            self.upstream.update(dict.fromkeys(inline))
        elif not self.status.running:
            self._add("queued", "waits for its turn, which is soon", startable=self.status.startable)

    def _of_epochs(self) -> None:
        """What its epochs wait for."""
        status, task = self.status, self.moment.tasks[self.name]
        if status.startable and not task.is_able:
            text = f"has no function: {_epochs(status.startable)} {_wait(status.startable)} there. Give it one with set_node_exec"
            self._add("no_function", text, startable=status.startable)
        elif status.startable:
            held_back = self._of_limits() if self.moment.of_net is None else False
            if not held_back:
                self._add_of_net()
        if status.retrying:
            self._of_retries()
        if status.running:
            self._of_running()

    def _of_limits(self) -> bool:
        """What its limits say. True if one of them holds it back."""
        task, before = self.moment.tasks[self.name], len(self.causes)
        for limit in task.limits:
            if isinstance(limit, Parallel) and limit.running >= limit.most:
                text = f"runs {_epochs(limit.running)} at a time, as many as max_parallel_epochs allows"
                self._add("max_parallel_epochs", text, running=limit.running, max_parallel_epochs=limit.most)
            elif isinstance(limit, Pace) and (moment := limit.next_moment()) > self.moment.now:
                seconds, rate = moment - self.moment.now, task.config.rate_limit_per_second
                text = f"keeps to rate_limit_per_second={rate:g}: its next epoch begins in {seconds:.3g} s"
                self._add("rate_limit_per_second", text, seconds=seconds, rate_limit_per_second=rate)
        if task.config.pool is not None and self.moment.pools is not None:
            self._of_pools(list(task.config.pools))
        return len(self.causes) > before

    def _of_pools(self, names: list[str]) -> None:
        """That all workers of its pools are busy, if so."""
        status = {name: pool for name, pool in self.moment.pools.status().items() if name in names}
        size, busy = (sum(getattr(pool, what) for pool in status.values()) for what in ("size", "busy"))
        hung = sum(pool.abandoned for pool in status.values())
        if busy < size:
            return
        attempts = [attempt.task for attempt in self.moment.attempts if attempt.worker_of() is not None]
        others = sorted({task.node_name for task in attempts if set(task.config.pools) & set(names)})
        said = f", {hung} of them with work whose time is over, which a thread cannot leave" if hung else ""
        what = f" (they run {', '.join(map(repr, others))})" if others else ""
        text = f"waits for a worker: all {size} of {', '.join(map(repr, names))} are busy{said}{what}"
        self._add("pool_busy", text, pools=names, size=size, busy=busy, abandoned=hung, nodes=others)

    def _of_retries(self) -> None:
        """That epochs wait for their next attempts."""
        mine = [retry for retry in self.moment.retries if retry.attempt.task.node_name == self.name]
        if not mine:
            return
        first = min(mine, key=lambda retry: retry.due)
        seconds = max(0.0, first.due - self.moment.now)
        number, (_, error) = len(first.attempt.earlier) + 1, first.attempt.earlier[-1]
        text = f"has {_epochs(len(mine))} waiting for another attempt: attempt {number} in {seconds:.3g} s, after {_told(error)}"
        self._add("retrying", text, retrying=len(mine), seconds=seconds, attempt=number)
        if self.moment.of_net is not None:
            self.causes.append(self.moment.of_net)
        elif not seconds:
            self._of_limits()

    def _of_running(self) -> None:
        """That epochs run."""
        begun = [a.since for a in self.moment.attempts if a.task.node_name == self.name and hasattr(a, "since")]
        seconds = max(0.0, time() - min(begun)) if begun else None
        since = "" if seconds is None else f", the first for {seconds:.3g} s"
        limit = self.moment.tasks[self.name].config.timeout
        hint = "" if limit is not None else ". If it hangs, a timeout ends it"
        text = f"has {_epochs(self.status.running)} running{since}{hint}"
        self._add("running", text, running=self.status.running, seconds=seconds)


# %% [markdown]
# Packets are looked at where there are some, and where there is nothing else that could go on. Of several conditions those
# count that take from a port where packets wait.


# %%
#|exporti
class Waiting(Waits):
    """All that a node waits for: what its epochs, its packets, and the node itself do."""

    def __init__(self, moment: Moment, name: str) -> None:
        super().__init__(moment, name)
        self._of_epochs()
        is_busy = self.status.startable or self.status.running or self.status.retrying
        if self.door.gates and (self.holds or not is_busy):
            self._of_packets()
        elif not self.door.gates and not moment.started[name] and not self.status.startable:
            self._of_a_source()
        if not moment.waits(name):
            self._of_one_that_ended()

    @property
    def holds(self) -> int:
        """How many packets wait for it."""
        return self.status.waiting_packets

    def _of_a_source(self) -> None:
        """That a node without input ports has never run."""
        if not self.moment.tasks[self.name].is_able:
            self._add("no_function", "has never run and has no function. Give it one with set_node_exec", startable=0)
        else:
            self._add(
                "never_started", "is a source and has never run: inject_source_epoch starts it, and so does run()"
            )

    def _of_one_that_ended(self) -> None:
        """That nothing more comes from it as things are."""
        status = self.status
        ended = status.finished + status.failed + status.cancelled
        numbers = {"finished": status.finished, "failed": status.failed, "cancelled": status.cancelled}
        if letters := min(status.failed, self.moment.letters[self.name]):
            text = f"has given up {letters:,} of {_epochs(ended)}: see net.dead_letter_queue, and redrive"
            self._add("failed", text, **numbers)
        gone = "".join(
            f", {number:,} of them {how}"
            for how, number in (("given up", status.failed), ("cancelled", status.cancelled))
            if number
        )
        self._add(
            "ended", f"has ended {_epochs(ended)}{gone}, and did not send (enough) to those that wait for it", **numbers
        )

    def _of_packets(self) -> None:
        """What its conditions lack."""
        node = self.moment.nodes[self.name]
        counts = {port: its.here for port, its in self.ports.items()}
        slots = {port: gate.capacity for port, gate in self.door.gates.items()}
        full = {port for port, its in self.ports.items() if any(its)}
        if not node.in_salvo_conditions and not full and not self.moment.started[self.name]:
            self._add("no_condition", "has no input condition: only inject_source_epoch starts it")
        conditions = node.in_salvo_conditions
        if full:
            taking = {
                name: {port for port, limit in takes_of(condition) if limit != 0}
                for name, condition in conditions.items()
            }
            conditions = {name: condition for name, condition in conditions.items() if taking[name] & full}
            if not conditions:
                ports = ", ".join(map(repr, sorted(full)))
                text = f"holds {_packets(self.holds)} at {ports}, from where none of its input conditions takes any"
                self._add("nobody_takes", text, ports=sorted(full))
        self.hopes = [condition.term for condition in conditions.values()]
        for name, condition in conditions.items():
            found = lacks(condition.term, counts, slots)
            if not found and not _truth(condition.term, counts, slots):
                self._add("never_met", f"waits for condition {name!r}, which can never be met", condition=name)
            elif not found and full:
                self._add_of_net()
            elif not found:
                self._of_no_packet(name)
            for lack in found:
                self._of_lack(name, lack, slots[lack.port])

    def goes_on(self, stuck: Collection[str]) -> bool:
        """Whether it may go on though some nodes send nothing: by itself, by what is injected, or by what others send."""
        if self.is_ready or any(cause.kind not in ("no_producer", "idle") for cause in self.causes):
            return True
        if not self.causes and all(source in stuck for source in self.upstream):
            return False
        slots = {port: gate.capacity for port, gate in self.door.gates.items()}
        given = {port: its.here for port, its in self.ports.items() if self.is_fed_by(port, stuck)}
        return any(_decide(term, given, slots) is not False for term in self.hopes)

    def _sources(self, port: str) -> list[str]:
        return [wire.source.node_name for wire in self.door.gates[port].wires if wire.source is not None]

    def is_fed_by(self, port: str, nodes: Collection[str]) -> bool:
        """Whether edges lead to a port, all of them from these nodes."""
        sources = self._sources(port)
        return bool(sources) and all(source in nodes for source in sources)

    def _of_no_packet(self, condition: str) -> None:
        """That a condition is met with no packets at all: it takes one to be looked at."""
        taken = sorted(
            port for port, limit in takes_of(self.moment.nodes[self.name].in_salvo_conditions[condition]) if limit != 0
        )
        sources = [source for port in taken for source in self._sources(port)]
        self.upstream.update(dict.fromkeys(sources))
        self.lacking.update(dict.fromkeys(port for port in taken if self._sources(port)))
        if not sources:
            text = f"has its condition {condition!r} met, but no packet is there to take; no edge leads there. inject_packets does"
            self._add(
                "idle" if self.moment.started[self.name] else "no_producer", text, condition=condition, ports=taken
            )

    def _of_lack(self, condition: str, lack: Lack, slots: int | None) -> None:
        """What a condition needs to be met."""
        port, its = lack.port, self.ports[lack.port]
        about = {"port": port, "condition": condition, "term": lack.text, "packets": lack.packets, "slots": slots}
        if lack.wanted is None:
            kind = "too_few_slots" if lack.needs_slots else "never_met"
            why = f"port {port!r} has {slots} slots" if lack.needs_slots else "no number of packets will do"
            self._add(kind, f"waits for {lack.text} (condition {condition!r}), but {why}", **about)
        elif lack.wanted < lack.packets:
            room = "" if slots is None else f" of {slots}"
            text = f"waits for {lack.text} (condition {condition!r}), but port {port!r} holds {lack.packets}{room}"
            self._add("full_port", f"{text}. Something must take them", **about)
        elif (its.on_edges or its.injected) and (slots is None or lack.packets < slots):
            self._add_of_net()  # they were not let in yet
        else:
            sources = self._sources(port)
            self.upstream.update(dict.fromkeys(sources))
            self.lacking.update({port: None} if sources else {})
            if not sources:
                kind = "no_producer" if not self.moment.started[self.name] or self.holds else "idle"
                text = (
                    f"has {_packets(lack.packets)} at port {port!r} and waits for {lack.text} (condition {condition!r})"
                )
                self._add(kind, f"{text}; no edge leads there. inject_packets does", **about)


# %% [markdown]
# ## The way to the roots
#
# Who waits for whom is a graph. From each cause the way goes back to the nodes that wait for it, the weightiest causes
# first, each node once; so cycles do no harm, and it takes as long as there are edges.
#
# Nodes that wait for one another are a root too, if nothing from outside gets them going. That is looked at for each such
# group by itself, as if all others did what they can: a node of the group goes on if it has epochs, or if one of its
# conditions can be met with what is there now at the ports that only the rest of the group feeds.


# %%
#|exporti
def _stuck(group: Mapping[str, Waiting]) -> set[str]:
    """Of nodes that wait for one another: those that nothing gets going but what they send to one another."""
    stuck = set(group)
    behind: dict[str, list[str]] = {}
    for name in stuck:
        for source in group[name].upstream.keys() & stuck:
            behind.setdefault(source, []).append(name)
    waiting = list(stuck)
    while waiting:
        name = waiting.pop()
        if name in stuck and group[name].goes_on(stuck):
            stuck.remove(name)
            waiting += behind.get(name, ())
    return stuck


# %%
#|exporti
class Roots:
    """The nearest root of each node, with the next node on the way to it."""

    def __init__(self, waitings: Mapping[str, Waiting]) -> None:
        self.waitings = waitings
        self.nearest: dict[str, tuple[Cause, str | None]] = {}
        self.behind: dict[str, list[str]] = {}
        for name, waiting in waitings.items():
            for source in waiting.upstream:
                self.behind.setdefault(source, []).append(name)
        self._find_cycles()
        for rank in range(3):
            first = {name: _ranked(its.causes)[0] for name, its in waitings.items() if its.causes}
            self._spread({name: cause for name, cause in first.items() if _weight(cause)[0] == rank})

    def _spread(self, first: Mapping[str, Cause]) -> None:
        """Let causes reach the nodes that wait for theirs, as far as these have none."""
        queue: deque[str] = deque()
        for name, cause in first.items():
            if name not in self.nearest:
                self.nearest[name] = cause, None
                queue.append(name)
        while queue:
            name = queue.popleft()
            for other in self.behind.get(name, ()):
                if other not in self.nearest:
                    self.nearest[other] = self.nearest[name][0], name
                    queue.append(other)

    def _find_cycles(self) -> None:
        for group in self._groups(self.waitings):
            stuck = _stuck({name: self.waitings[name] for name in group})
            for names in self._groups(stuck):
                others = stuck.difference(names)
                if all(others.isdisjoint(self.waitings[name].upstream) for name in names):
                    self._add_cycle(sorted(names))

    def _groups(self, names: Collection[str]) -> list[list[str]]:
        """Of these nodes, those that wait for one another."""
        after = {name: [it for it in self.waitings[name].upstream if it in names] for name in names}
        return [group for group in components(after) if len(group) > 1 or group[0] in after[group[0]]]

    def _add_cycle(self, group: list[str]) -> None:
        names = ", ".join(map(repr, group))
        who = f"nodes {names} wait for one another" if len(group) > 1 else f"node {names} waits for itself"
        inside, its = set(group), self.waitings
        ports = [f"{name}.{port}" for name in group for port in its[name].lacking if its[name].is_fed_by(port, inside)]
        text = f"{who}: nothing starts this cycle. Inject a first packet, at {' or '.join(_short(ports))}"
        cause = Cause("cycle", group[0], text, {"node_names": group, "ports": ports})
        for name in group:
            self.waitings[name].causes.append(cause)

    def of(self, name: str) -> tuple[Cause, ...]:
        """The roots of a node: its own causes, and the nearest of each node that it waits for."""
        waiting = self.waitings[name]
        return _ranked([*waiting.causes, *(self.nearest[it][0] for it in waiting.upstream if it in self.nearest)])

    def way(self, name: str, root: Cause | None) -> tuple[str, ...]:
        """The nodes from this one to where its root is."""
        if root is None or root in self.waitings[name].causes:
            return (name,)
        its = (it for it in self.waitings[name].upstream if it in self.nearest and self.nearest[it][0] is root)
        nearest, behind = self.nearest.get(name, (None, None))
        way, step = [name], behind if nearest is root else next(its, None)  # never back through the node itself
        while step is not None:
            way.append(step)
            step = self.nearest[step][1]
        return tuple(way)


# %% [markdown]
# ## What is answered


# %%
#|export
class TermNow(NamedTuple):
    """A comparison of a condition, now: its `text`, whether it `is_true`, and how many `packets` are at its `port`."""

    text: str
    is_true: bool
    port: str
    packets: int


class ConditionNow(NamedTuple):
    """An input condition, now: its `name`, its `text`, whether it `is_met`, and its `terms`."""

    name: str
    text: str
    is_met: bool
    terms: tuple[TermNow, ...]


class PortNow(NamedTuple):
    """An input port, now: how many `packets` are there, how many `slots` it has (None: no limit), and how many packets wait in
    line for it, `on_edges` and `injected`. `sources`: the nodes that edges come from."""

    packets: int
    slots: int | None
    on_edges: int
    injected: int
    sources: tuple[str, ...]


# %%
#|exporti
def _ports_now(door: Door, ports: Mapping[str, PortCounts]) -> dict[str, PortNow]:
    return {
        port: PortNow(
            its.here,
            door.gates[port].capacity,
            its.on_edges,
            its.injected,
            tuple(wire.source.node_name for wire in door.gates[port].wires if wire.source is not None),
        )
        for port, its in ports.items()
    }


def _conditions_now(node: Node, ports: Mapping[str, PortNow]) -> Iterator[ConditionNow]:
    counts = {port: its.packets for port, its in ports.items()}
    slots = {port: its.slots for port, its in ports.items()}
    for name, condition in node.in_salvo_conditions.items():
        terms = tuple(
            TermNow(format_salvo_condition(term), _truth(term, counts, slots), port, counts[port])
            for term in _comparisons(condition.term)
            if (port := term.get_port_name()) is not None
        )
        text = format_salvo_condition(condition.term)
        yield ConditionNow(name, text, _truth(condition.term, counts, slots), terms)


# %%
#|export
@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """What a node waits for, at one moment. As text it says all of it.

    node_name; status: its epochs and packets in numbers. has_run: whether an epoch of it was ever started.
    ports: its input ports by name, each a `PortNow`; conditions: its input conditions, each a `ConditionNow`.
    causes: what keeps it by itself from going on. waits_for: the nodes upstream that it waits for.
    roots: the causes that all of this comes down to, the weightiest first; root: the first of them, or None where it waits
        for nothing. path: the nodes from this one to where its root is.
    """

    node_name: str
    status: NodeStatus
    has_run: bool
    ports: dict[str, PortNow]
    causes: tuple[Cause, ...]
    waits_for: tuple[str, ...]
    roots: tuple[Cause, ...]
    _node: Node
    _way: Callable[[str, Cause | None], tuple[str, ...]]

    @property
    def path(self) -> tuple[str, ...]:
        """The nodes from this one to where its root is."""
        return self._way(self.node_name, self.root)

    @property
    def root(self) -> Cause | None:
        """The weightiest of the roots."""
        return self.roots[0] if self.roots else None

    @property
    def conditions(self) -> tuple[ConditionNow, ...]:
        """Its input conditions."""
        return tuple(_conditions_now(self._node, self.ports))

    @property
    def summary(self) -> str:
        """What it holds, and the way to its root, in a line."""
        status = self.status
        numbers = {
            "running": status.running,
            "startable": status.startable,
            "waiting for another attempt": status.retrying,
        }
        held = [f"{number:,} {what}" for what, number in numbers.items() if number]
        held += [_packets(status.waiting_packets)] if status.waiting_packets else []
        ran = "" if self.has_run else "never ran"
        path = self.path[1:]
        way = f"; waits for {' <- '.join(map(repr, _short(path)))}" if path else ""
        return f"{', '.join(filter(None, [ran, *held])) or 'nothing waits here'}{way}"

    def __str__(self) -> str:
        lines = [f"node {self.node_name!r}: {self.summary}"]
        for name, port in self.ports.items():
            room = "" if port.slots is None else f" of {port.slots}"
            line = f", {port.on_edges:,} on edges" if port.on_edges else ""
            line += f", {port.injected:,} injected" if port.injected else ""
            whence = f"from {', '.join(port.sources)}" if port.sources else "no edge"
            lines.append(f"  port {name}: {port.packets:,}{room}{line} ({whence})")
        for condition in self.conditions:
            lines.append(f"  condition {condition.name}: {condition.text}: {'met' if condition.is_met else 'not met'}")
            for term in condition.terms:
                lines.append(f"    {'true ' if term.is_true else 'false'}  {term.text}, there are {term.packets:,}")
        lines += [f"  {'root' if cause is self.root else 'also'}: {cause}" for cause in self.roots]
        return "\n".join(lines)

    __repr__ = __str__


def _short(names: Sequence[str]) -> Sequence[str]:
    """A long way without its middle."""
    return names if len(names) <= 6 else (*names[:3], "…", *names[-2:])


# %%
#|export
_MOST = 20  # lines of each part of a text


@dataclass(frozen=True, eq=False, repr=False)
class Blockage:
    """What a net waits for, at one moment. As text it says the roots, and then what each node waits for.

    state, paused_by: as in `poll`. nodes: an `Explanation` of each node that holds packets or epochs, or has never run, by
    name. roots: what it comes down to, the weightiest first; root: the first of them, or None where nothing waits.
    Iterating gives the explanations.
    """

    state: NetState
    paused_by: str | None
    nodes: dict[str, Explanation]
    roots: tuple[Cause, ...]

    @property
    def root(self) -> Cause | None:
        """The weightiest of the roots."""
        return self.roots[0] if self.roots else None

    def waiting_for(self, root: Cause) -> list[str]:
        """The nodes that wait for a root."""
        return [name for name, node in self.nodes.items() if root in node.roots]

    def __getitem__(self, node_name: str) -> Explanation:
        return self.nodes[node_name]

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.nodes.values())

    def __len__(self) -> int:
        return len(self.nodes)

    def __str__(self) -> str:
        if not self.nodes:
            return f"the net is {self.state.name}: nothing waits in it, and each node has run"
        by = "" if self.paused_by is None else f" (by {self.paused_by})"
        if by and self.state is NetState.RUNNING:
            by = f", and is about to pause{by}"
        nodes = "1 node holds" if len(self) == 1 else f"{len(self):,} nodes hold"
        lines = [f"the net is {self.state.name}{by}; {nodes} something, or never ran"]
        for number, root in enumerate(self.roots[:_MOST], start=1):
            others = [name for name in self.waiting_for(root) if name != root.node_name]
            wait = (
                f" ({', '.join(others[:5])}{', …' if len(others) > 5 else ''} {_wait(len(others))})" if others else ""
            )
            lines.append(f"{number}. {root}{wait}")
        lines += _more(len(self.roots), "causes")
        lines += [f"  {node.node_name}: {node.summary}" for node in list(self)[:_MOST]]
        return "\n".join([*lines, *_more(len(self), "nodes")])

    __repr__ = __str__


def _more(number: int, what: str) -> list[str]:
    return [f"  … and {number - _MOST:,} more {what}"] if number > _MOST else []


# %%
#|exporti
def _explained(moment: Moment, roots: Roots, name: str) -> Explanation:
    waiting = roots.waitings[name]
    found = roots.of(name) if moment.waits(name) else ()
    return Explanation(
        name,
        moment.statuses[name],
        bool(moment.started[name]),
        _ports_now(waiting.door, waiting.ports),
        _ranked(waiting.causes),
        tuple(waiting.upstream),
        found,
        moment.nodes[name],
        roots.way,
    )


def _looked_at(net: "Net") -> tuple[Moment, Roots]:
    moment = Moment(net)
    return moment, Roots({name: Waiting(moment, name) for name in moment.doors})


# %%
#|export
def why_blocked(net: "Net") -> Blockage:
    """What the nodes of a net wait for, see `Net.why_blocked`."""
    moment, roots = _looked_at(net)
    nodes = {name: _explained(moment, roots, name) for name in moment.doors if moment.waits(name)}
    found = _ranked(root for node in nodes.values() for root in node.roots)
    return Blockage(moment.state, moment.paused_by, nodes, found)


def explain(net: "Net", node_name: str) -> Explanation:
    """What one node waits for, see `Net.explain`. Raises `NodeNotFoundError`."""
    door = net._ledger.door(node_name)
    return _explained(*_looked_at(net), door.node_name)


# %% [markdown]
# ## A net that is stuck
#
# `Join` takes a packet from each side. One side comes from a node without a function.

# %%
from netrun import *
from netrun import node as node_of


@node_of
def left(number: int) -> int:
    return number + 1


@node_of
def right(number: int) -> int:
    return number - 1


@node_of
def total(left: int, right: int) -> int:
    return left + right


net = Net([left, right] >> total)
net.set_node_exec("right", None)
assert net.run({"left.number": [1, 2], "right.number": [3]}) == {"total.out": []}
net.why_blocked()

# %%
blockage = net.why_blocked()
assert blockage.root.kind == "no_function" and blockage.root.node_name == "right"
assert list(blockage.nodes) == ["right", "total"] and blockage["total"].path == ("total", "right")
net.explain("total")

# %%
(condition,) = net.explain("total").conditions
assert [(term.text, term.is_true) for term in condition.terms] == [("nonempty(left)", True), ("nonempty(right)", False)]

# %% [markdown]
# With the function there, one packet too few remains. Nothing is wrong with the net; nobody sends a second number.

# %%
net.set_node_exec("right", lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["number"][0])))
net.start()
assert net.take_outputs("total", "out") == [5]
print(net.why_blocked())
assert net.why_blocked().root.kind == "ended"
net.inject_packets("right", "number", [4])
assert net.why_blocked().root.kind == "not_running"
net.start()
assert net.why_blocked().root is None
print(net.why_blocked())

# %% [markdown]
# Nodes that wait for one another:

# %%
one = lambda port: SalvoConditionTerm.port(port, PortState.non_empty())


def relay(name):
    return Node(
        name,
        in_ports={"in": Port()},
        out_ports={"out": Port()},
        in_salvo_conditions={"in": SalvoCondition(MaxSalvos.finite(1), "in", one("in"))},
        out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", one("out"))},
    )


edge = lambda a, b: Edge(PortRef(a, PortType.Output, "out"), PortRef(b, PortType.Input, "in"))
ring = Net(Graph([relay("A"), relay("B")], [edge("A", "B"), edge("B", "A")]))
ring.start()
assert [root.kind for root in ring.explain("B").roots] == ["cycle"]
print(ring.why_blocked())

# %% [markdown]
# A net that runs is asked in the same way, here from inside one of its nodes:

# %%
seen = []
busy = Net(Graph([relay("A"), relay("B")], [edge("A", "B")]))
busy.set_node_exec("A", lambda ctx, packets: seen.append(busy.explain("B").root))
busy.inject_packets("A", "in", [1])
try:
    busy.start()
except NodeExecutionFailed:  # it did not consume its packet
    assert (seen[0].kind, seen[0].node_name) == ("running", "A")
print(seen[0])
assert busy.why_blocked().root.kind == "failed"
