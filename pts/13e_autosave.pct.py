# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Nets that save themselves
#
# With a `checkpoint_path` a net is saved when a run has come to its end, and with `checkpoint_every` while it runs. A copy is
# taken at a moment when nothing runs, and a thread writes it beside. `start(resume=True)` goes on from there.
#
# ```
#   running  ███████▁▁  copy  ███████████████▁▁  copy  ████
#   writing                 ────────                 ────────
# ```
#
# Four rules:
#
# - **Only what is new is written.** A net in which nothing has ever been writes nothing, and nor does one that has only been
#   loaded. So `with net:` around a resume that fails leaves the checkpoint as it is; so does all that such a net does later.
# - **Rest is sought, not forced.** Where nothing runs by itself when it is time, nothing begins for a moment, so that what
#   runs can end. That moment is short, and at most a twentieth of the time is spent so: an attempt may need others to go on.
# - **A disk that takes nothing stops no net.** The log says so, and it is tried again when it is time again.
# - **A checkpoint of another run is replaced by a net that does not go on from it**, and the log says that.

# %%
#|default_exp autosave

# %%
#|export
import os
from collections.abc import Callable
from math import inf, isfinite
from threading import Thread
from typing import TYPE_CHECKING, Any

from netrun.checkpoint import _Checkpoint, copied, mark_at, put, shape_of
from netrun.core import pace_of_saves
from netrun.folders import Key, has_folder
from netrun.states import Snapshot

if TYPE_CHECKING:
    from netrun.net import Net

# %% [markdown]
# ## Whether there is something new
#
# What has happened in a net shows in a few counts that are there anyway: what the next packet and epoch will be called, how
# many packets there are, what each door has seen, when the next attempts are due, and the dead letters. They are compared
# while the net is at rest; nothing is counted for it while it runs.


# %%
#|exporti
def _marks(net: "Net") -> tuple[Any, ...]:
    """What is different after anything has happened in a net."""
    ledger, engine = net._ledger, net._engine
    return (
        ledger.next_numbers(),
        len(ledger._packets),
        [(door.started, door.ended, door.cancelled, door.present, len(door.inbox)) for door in ledger.doors.values()],
        sorted((retry.attempt.epoch._number, retry.due) for retry in engine.waiting_retries()),
        net.dead_letter_queue.get_all(),
    )


# %% [markdown]
# ## Holding back
#
# Where attempts run at the same time there may never be a moment at which none does. So for a while nothing begins: for a
# twentieth of the time since the last copy, within bounds. Where that brings no rest, the net goes on, and it is tried again
# when twenty times as long has passed.
#
# ```
#   it is time    │ nothing begins │            all begin again             │ nothing begins │
#                 └── 1 s, no rest ┴──────────────── 19 s ──────────────────┴── 2 s, rest: copy
# ```


# %%
#|exporti
_SHARE = 0.05  # of the time
_LEAST, _MOST = 0.1, 10.0  # seconds for which nothing begins
_TRIES = 3  # without rest, before the log says so


class Holding:
    """When nothing is to begin, so that a net comes to rest."""

    def __init__(self) -> None:
        self.until: float | None = None  # while nothing begins
        self.again = -inf  # not before this moment
        self.tries = 0  # that brought no rest, since the last that did
        self._since = self._rested = -inf

    def holds(self, now: float) -> bool:
        """Whether nothing is to begin now."""
        if self.until is None:
            if now < self.again:
                return False
            passed = now - self._rested if isfinite(self._rested) else 0.0
            self._since, self.until = now, now + min(max(_LEAST, _SHARE * passed), _MOST)
        if now < self.until:
            return True
        self.tries += 1
        self._end(now)
        return False

    def rested(self, now: float) -> None:
        """The net has come to rest."""
        self.tries, self._rested = 0, now
        self._end(now)

    def _end(self, now: float) -> None:
        if self.until is not None:
            self.again = now + (now - self._since) * (1 / _SHARE - 1)
            self.until = None


# %%
holding = Holding()
holding.rested(0.0)
assert holding.holds(20.0) and holding.holds(20.5) and not holding.holds(21.0)  # for a second
assert not holding.holds(39.0) and holding.holds(40.5)  # and again after 19
holding.rested(41.0)
assert holding.tries == 0

# %% [markdown]
# ## Autosave
#
# The driver asks `look` each time before something begins, and waits no longer than `looks_at` says.


# %%
#|export
class Autosave:
    """Saves a net now and then. `begun`: the attempts since it did last."""

    def __init__(self, net: "Net", path: str | os.PathLike[str], every: Any, key: Key = None) -> None:
        self._net, self._path, self._key = net, path, key
        self._seconds, self._epochs = pace_of_saves(every)
        self._next = inf  # when it is due
        self._is_begun = False
        self._writer: Thread | None = None
        self._is_writing = False
        self._shape: dict[str, Any] | None = None
        self._saved: Any = _marks(net)  # what there was when it was saved last; None where that failed
        self._barred: BaseException | None = None  # why what is on disk is not to be replaced
        self._said: set[str] = set()
        self._holding = Holding()
        self.begun = 0
        if every is not None:
            net._driver.saver = self
        at_rest = net._control.at_rest

        def rest(is_closed: bool, is_over: bool) -> Callable[[], object] | None:
            at_rest(is_closed, is_over)
            return self.rest()

        net._control.at_rest = rest

    def look(self, now: float, rests: bool) -> bool:
        """Save if it is time to and the net rests. True where nothing is to begin for a while, so that it comes to rest."""
        if self.begun < self._epochs and now < self._next and self._is_begun:
            return False
        if not self._is_due(now):
            return False
        if rests:
            self.save()
            return False
        holds = self._holding.holds(now)
        if self._holding.tries >= _TRIES:
            self._say("the net goes on, but is not saved: it does not come to rest. Something that runs may be waiting for"
                      " what does not begin meanwhile, or attempts are long; it is tried again")  # fmt: skip
        return holds

    def looks_at(self) -> float | None:
        """The moment to look again, even if nothing happens before."""
        if self._is_writing:
            return None  # who writes wakes the driver
        if self._holding.until is not None:
            return self._holding.until
        if not self._has_news():  # nobody wakes it for what is taken out
            now = self._net._driver.clock.now()
            self._next = self._next if self._next > now else now + self._seconds
            return self._next if isfinite(self._next) else None
        moment = max(self._next if self.begun < self._epochs else -inf, self._holding.again)
        return moment if isfinite(moment) else None

    def save(self) -> None:
        """Take a copy, and let it be written beside."""
        self.wait()
        snapshot = self._copied()
        if snapshot is not None:
            self._is_writing = True
            self._writer = Thread(target=self._write_beside, args=(snapshot,), name="netrun checkpoint")
            self._writer.start()

    def rest(self) -> Callable[[], object] | None:
        """A run has come to rest. At its end, and else if it is due, the net is saved: returns what to wait for before
        anybody goes on."""
        self._holding.until = None
        if self._net._stage.is_open and not self._is_due(self._net._driver.clock.now()):
            return None
        self.wait()
        if self._has_news():
            self.save()
        return self.wait

    def wait(self) -> None:
        """Wait until what is being written is."""
        if self._writer is not None:
            self._writer.join()
            self._writer = None
            self._is_writing = False

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one. If that fails, this net never writes there."""
        if not has_folder(self._path):
            return
        try:
            checkpoint = _Checkpoint(self._path, self._key)
            checkpoint.must_fit(self._shape_of())
            checkpoint.restore(self._net, with_types=False)
        except BaseException as error:
            self._barred = error
            raise
        mark_at(self._net, self._path)
        self._barred, self._saved = None, _marks(self._net)

    def _is_due(self, now: float) -> bool:
        """Whether it is time, there is something new, and the last copy is written."""
        if not self._is_begun:
            self._is_begun, self._next = True, now + self._seconds
            self._holding.rested(now)
        is_time = self.begun >= self._epochs or now >= self._next
        return is_time and not self._is_writing and self._has_news()

    def _has_news(self) -> bool:
        if self.begun > 0:
            return True
        return self._net._ledger.next_numbers() != (1, 1) and self._saved != _marks(self._net)

    def _shape_of(self) -> dict[str, Any]:
        self._shape = self._shape or shape_of(self._net.graph)
        return self._shape

    def _copied(self) -> Snapshot | None:
        now = self._net._driver.clock.now()
        self.begun, self._next = 0, now + self._seconds
        self._holding.rested(now)
        self._saved = _marks(self._net)
        if self._barred is not None:
            self._say(f"the net goes on, but is not saved: going on from {os.fspath(self._path)} failed"
                      f" ({self._barred}), and what is there is not to be lost. Move it away, and build a new net")  # fmt: skip
            return None
        try:
            return copied(self._net, self._path)
        except Exception as error:
            self._warn(error)
            return None

    def _write_beside(self, snapshot: Snapshot) -> None:
        try:
            self._write(snapshot)
        finally:
            self._is_writing = False
            self._net._driver.wake()  # it may be time again

    def _write(self, snapshot: Snapshot) -> None:
        try:
            if put(self._net, snapshot, self._shape_of(), self._path, self._key):
                self._say(f"the checkpoint at {os.fspath(self._path)}, which this net has not made or gone on from, was"
                          " replaced by its own; start(resume=True) goes on from one")  # fmt: skip
        except Exception as error:
            self._saved = None
            self._warn(error)

    def _say(self, text: str) -> None:
        """Tell the log, once."""
        if text not in self._said:
            from logging import getLogger

            self._said.add(text)
            getLogger("netrun").warning(text)

    def _warn(self, error: Exception) -> None:
        from logging import getLogger

        getLogger("netrun").error("the net goes on, but is not saved: %s", error, exc_info=error)


# %% [markdown]
# ## An example
#
# After the first run another net, as in a new process, goes on where it was. What goes in first goes in only where there is
# no checkpoint yet: `Net.has_checkpoint` says.

# %%
#|hide
from tempfile import TemporaryDirectory

from netrun import *

any_at = lambda port: SalvoConditionTerm.port(port, PortState.non_empty())
double = Node(
    "Double",
    in_ports={"in": Port()},
    out_ports={"out": Port()},
    in_salvo_conditions={"one": SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, any_at("in"))},
    out_salvo_conditions={"send": SalvoCondition(MaxSalvos.infinite(), "out", any_at("out"))},
)
folder = TemporaryDirectory()


# %%
def work_on(path):
    net = Net(Graph([double], []), checkpoint_path=path, checkpoint_every="1 epochs", max_epochs=2)
    net.set_node_exec("Double", lambda ctx, packets: ctx.send("out", 2 * ctx.consume_packet(packets["in"][0])))
    if not Net.has_checkpoint(path):
        net.inject_packets("Double", "in", [1, 2, 3])
    with net:
        net.start(resume=True)
        return net.take_outputs("Double", "out")


try:
    work_on(f"{folder.name}/run")
except EpochLimitReached as error:
    print(error)
assert work_on(f"{folder.name}/run") == [2, 4, 6]

# %% [markdown]
# What was taken out is out of the checkpoint, since the net was saved again when it was stopped:

# %%
assert work_on(f"{folder.name}/run") == []

# %% [markdown]
# A resume that fails leaves the checkpoint as it was:

# %%
try:
    with Net(Graph([Node("Other")], []), checkpoint_path=f"{folder.name}/run") as net:
        net.start(resume=True)
except CheckpointMismatch as error:
    print(error)
assert work_on(f"{folder.name}/run") == []
folder.cleanup()
