# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Checkpoints
#
# A net that is at rest can be saved, carried to another process or machine, and go on there as if nothing had happened: the
# same packets with the same ids, in the same order at every place, startable epochs, epochs that wait for their next
# attempt, dead letters, history and logs.
#
# ```
#   net.pause(wait=True)                        net = Net.load_checkpoint("run")
#   net.save_checkpoint("run")      ───>        net.start()
#
#   run/ net_state.json    places, epochs, counts, logs       packets.pkl    what the packets carry
#        history.jsonl     what `net.history` holds           definition.toml  graph, options, functions by path
#        manifest.json     the hash of each, and of itself
# ```
#
# What is *not* in it: files that the net's options name (history, dead letters, values), which go on where they are; and
# functions that no import path names, which are given again.

# %%
#|default_exp checkpoint

# %%
#|export
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from threading import Thread
from typing import TYPE_CHECKING, Any

from netrun_sim import Graph

from netrun.core import CheckpointError, CheckpointMismatch, ConfigError, _told, pace_of_saves, unknown_name
from netrun.description import NodeDefinition
from netrun.dsl import NetDefinition, described_graph
from netrun.making import FUNCTIONS
from netrun.folders import Key, check_key, folder_of, has_folder, read_folder, write_folder
from netrun.states import Snapshot, State, Unpicklable, restore

if TYPE_CHECKING:
    from netrun.net import Net

# %% [markdown]
# ## The graph
#
# A state fits one graph only. So its shape is in the checkpoint, and where the one at hand is another, the difference is
# told in words.


# %%
#|exporti
def shape_of(graph: Graph) -> dict[str, Any]:
    """A graph in plain data."""
    described = described_graph(graph)
    edges = [f"{'.'.join(edge.source)} -> {'.'.join(edge.target)}" for edge in described.edges]
    return {"nodes": {name: _node_shape(node) for name, node in described.nodes.items()}, "edges": edges}


def _node_shape(node: NodeDefinition) -> dict[str, Any]:
    """Ports by their slots; conditions in their order, since that decides which is tried first."""
    told = asdict(node)
    ports = {side: {port: given["slots"] for port, given in told[side].items()} for side in ("in_ports", "out_ports")}
    conditions = {
        side: [[name, given["when"], given["ports"], given["max_salvos"]] for name, given in told[side].items()]
        for side in ("in_salvo_conditions", "out_salvo_conditions")
    }
    return {**ports, **conditions}


def differences(saved: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """In what two shapes differ, in words."""
    found: list[str] = []
    for kind in ("nodes", "edges"):
        there, now = set(saved[kind]), set(here[kind])
        found += [f"{kind[:-1]} {name!r} is in the checkpoint only" for name in sorted(there - now)]
        found += [f"{kind[:-1]} {name!r} is in this graph only" for name in sorted(now - there)]
    for name in sorted(set(saved["nodes"]) & set(here["nodes"])):
        there, now = saved["nodes"][name], here["nodes"][name]
        found += [
            f"node {name!r} has {side} {there[side]} in the checkpoint, {now[side]} in this graph"
            for side in there
            if there[side] != now[side]
        ]
    return found


# %% [markdown]
# ## Saving


# %%
#|exporti
def _copy(net: "Net", path: Any) -> Snapshot:
    """The state of a net at rest, or `CheckpointError` for what cannot be pickled."""
    try:
        return Snapshot(net)
    except Unpicklable as error:
        told = f"{error}. Consume it before the net is saved, or send something that can be"
        raise CheckpointError(folder_of(path), "packets.pkl", "values that can be pickled", told) from error.__cause__


def _write(net: "Net", snapshot: Snapshot, shape: dict[str, Any], path: Any, key: Key = None) -> None:
    """Put a copy on disk."""
    definition = NetDefinition.from_net(net)
    files = snapshot.files(shape)
    files["definition.toml"] = definition.to_toml("omit").encode()
    kept = [where for where in definition.missing if where == ("net", "meta") or where[-1] == "type"]  # in packets.pkl
    omitted = [".".join(map(str, where)) for where in definition.missing if where not in kept]
    write_folder(path, files, {"omitted": [*omitted, *snapshot.left_out], "versions": _versions()}, key)


def _versions() -> dict[str, str]:
    import platform

    from netrun import __version__

    names = {name: version(name) for name in ("netrun-sim", "cloudpickle")}
    return {"netrun": __version__, "python": platform.python_version(), **names}


# %%
#|export
def save(net: "Net", path: str | os.PathLike[str], key: Key = None) -> None:
    """See `Net.save_checkpoint`."""
    check_key(key)
    path = folder_of(path)
    with net._control.resting("save_checkpoint"):
        snapshot = _copy(net, path)
    _write(net, snapshot, shape_of(net.graph), path, key)


# %% [markdown]
# ## Loading


# %%
#|exporti
class _Checkpoint:
    """A checkpoint that was read and found sound."""

    def __init__(self, path: str | os.PathLike[str], key: Key = None) -> None:
        self.path = folder_of(path)
        self.manifest, self._files = read_folder(path, key)
        try:
            self.state = State.of(self._files)
        except Exception as error:
            versions = ", ".join(f"{name} {number}" for name, number in self.manifest["versions"].items())
            told = f"{_told(error)}. It was saved with {versions}"
            raise CheckpointError(self.path, "packets.pkl", "what can be unpickled here", told) from error

    def definition(self, functions: Mapping[str, Any]) -> NetDefinition:
        """The net, without the paths of functions that are given."""
        definition = NetDefinition.from_toml(self._files["definition.toml"].decode(), f"{self.path}/definition.toml")
        for name in functions:
            if name not in definition.nodes:
                raise ConfigError(f"functions: {unknown_name('node', name, definition.nodes)}")
            for key in FUNCTIONS:
                setattr(definition.nodes[name], key, None)
        return definition

    def must_fit(self, shape: dict[str, Any]) -> None:
        """Raise `CheckpointMismatch` for another graph."""
        found = differences(self.state.told["graph"], shape)
        if found:
            raise CheckpointMismatch(self.path, "net_state.json", "the graph that was saved", "; ".join(found))

    def restore(self, net: "Net") -> None:
        """Put the state into a net of this graph."""
        try:
            restore(net, self.state)
        except (AttributeError, ImportError, EOFError) as error:
            raise CheckpointError(self.path, "packets.pkl", "what can be unpickled here", _told(error)) from error


def _without_functions(definition: NetDefinition, graph: Graph) -> NetDefinition:
    """The definition, with the nodes of a graph and the options that they had."""
    nodes = {
        name: replace(node, options=definition.nodes[name].options, meta=definition.nodes[name].meta)
        for name, node in described_graph(graph).nodes.items()
    }
    return replace(definition, nodes=nodes)


# %%
#|export
def load(
    path: str | os.PathLike[str],
    graph: Any,
    functions: Mapping[str, Any] | None,
    resolve: bool,
    key: Key,
    allow: Iterable[str] | None,
    options: dict[str, Any],
) -> "Net":
    """See `Net.load_checkpoint`."""
    checkpoint = _Checkpoint(path, key)
    assembly = None
    if graph is not None and not isinstance(graph, Graph):
        from netrun.flows import assembled  # points up

        assembly = assembled(graph)
        graph = assembly.graph
    if graph is not None:
        checkpoint.must_fit(shape_of(graph))
    given = functions or {}
    definition = checkpoint.definition(given)
    if assembly is not None:
        definition = _without_functions(definition, assembly.graph)
    meta = checkpoint.state.meta()
    net = definition.build(resolve, allow, **({} if definition.meta or not meta else {"meta": meta}), **options)
    checkpoint.must_fit(shape_of(net.graph))
    if assembly is not None:
        assembly.furnish(net)
    for name, some in given.items():
        net.set_node_exec(name, *(some if isinstance(some, tuple) else (some,)))
    checkpoint.restore(net)
    net._control.rest()
    return net


# %% [markdown]
# ## Saving by itself
#
# With a `checkpoint_path` the net is saved when a run has come to its end, and with `checkpoint_every` while it runs: the
# driver lets nothing begin until nothing runs, takes the copy, and goes on; a thread writes it. A disk that does not take
# it stops no net: a warning says so, and the next time is tried again.
#
# ```
#   running  ███████▁▁  copy  ███████████████▁▁  copy  ████
#   writing                 ────────                 ────────
# ```


# %%
#|export
class Autosave:
    """Saves a net now and then. `begun`: the attempts since it did last."""

    def __init__(self, net: "Net", path: str | os.PathLike[str], every: Any) -> None:
        self._net, self._path = net, path
        self._seconds, self._epochs = pace_of_saves(every)
        self._next: float | None = None  # when it is due
        self._writer: Thread | None = None
        self._shape: dict[str, Any] | None = None
        self._saved: Any = None  # what had happened when it was saved last
        self.begun = 0
        if every is not None:
            net._driver.saver = self
        at_rest = net._control.at_rest

        def rest(is_closed: bool, is_over: bool) -> None:
            at_rest(is_closed, is_over)
            self.rest()

        net._control.at_rest = rest

    def is_due(self, now: float) -> bool:
        """Whether it is time, and the last copy is written."""
        if self._next is None:
            self._next = now + self._seconds
        is_time = self.begun >= self._epochs or (self.begun > 0 and now >= self._next)
        return is_time and (self._writer is None or not self._writer.is_alive())

    def save(self) -> None:
        """Take a copy, and let it be written beside."""
        self.wait()
        snapshot = self._copied()
        if snapshot is not None:
            self._writer = Thread(target=self._write, args=(snapshot,), name="netrun checkpoint")
            self._writer.start()

    def rest(self) -> None:
        """A run has come to rest. At its end, and else if it is due, the net is saved before anybody goes on."""
        net = self._net
        if net._stage.is_open and not self.is_due(net._driver.clock.now()):
            return
        self.wait()
        if self._saved != self._happened():
            snapshot = self._copied()
            if snapshot is not None:
                self._write(snapshot)

    def wait(self) -> None:
        """Wait until what is being written is."""
        if self._writer is not None:
            self._writer.join()
            self._writer = None

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        if not has_folder(self._path):
            return
        self._saved = self._happened()  # what cannot be gone on from is not replaced by nothing
        checkpoint = _Checkpoint(self._path)
        checkpoint.must_fit(self._shape_of())
        checkpoint.restore(self._net)

    def _shape_of(self) -> dict[str, Any]:
        self._shape = self._shape or shape_of(self._net.graph)
        return self._shape

    def _happened(self) -> tuple[Any, ...]:
        return self.begun, self._net._ledger.next_numbers()

    def _copied(self) -> Snapshot | None:
        self.begun, self._next = 0, self._net._driver.clock.now() + self._seconds
        try:
            snapshot = _copy(self._net, self._path)
        except CheckpointError as error:
            self._warn(error)
            return None
        self._saved = self._happened()
        return snapshot

    def _write(self, snapshot: Snapshot) -> None:
        try:
            _write(self._net, snapshot, self._shape_of(), self._path)
        except Exception as error:
            self._saved = None
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        from logging import getLogger

        getLogger("netrun").error("the net goes on, but is not saved: %s", error, exc_info=error)


# %% [markdown]
# ## An example
#
# Three numbers go through a node that doubles them. The net is paused after the first, saved, and another one goes on.

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
def send_double(ctx, packets):
    ctx.send("out", 2 * ctx.consume_packet(packets["in"][0]))
    if ctx.epoch_id == first:
        net.pause()


net = Net(Graph([double], []))
net.set_node_exec("Double", send_double)
net.inject_packets("Double", "in", [1, 2, 3])
net.run_step(start_epochs=False)
first = net.get_startable_epochs()[0]
net.start()
net.save_checkpoint(f"{folder.name}/run")
print(sorted(os.listdir(f"{folder.name}/run")))

# %% [markdown]
# `send_double` is of this notebook, so no path names it, and it is given again.

# %%
again = Net.load_checkpoint(f"{folder.name}/run", functions={"Double": send_double})
assert again.state is NetState.PAUSED and again.get_startable_epochs() == net.get_startable_epochs()
again.start()
assert again.take_outputs("Double", "out") == [2, 4, 6]

# %% [markdown]
# A checkpoint of another graph is refused, in words:

# %%
try:
    Net.load_checkpoint(f"{folder.name}/run", graph=Graph([Node("Other")], []))
except CheckpointMismatch as error:
    print(error)
else:
    raise AssertionError("it does not fit")

# %% [markdown]
# A net that saves itself. After the first run another net, as in a new process, goes on where it was:


# %%
def saved_net():
    net = Net(Graph([double], []), checkpoint_path=f"{folder.name}/auto", checkpoint_every="1 epochs", max_epochs=2)
    net.set_node_exec("Double", lambda ctx, packets: ctx.send("out", 2 * ctx.consume_packet(packets["in"][0])))
    return net


net = saved_net()
net.inject_packets("Double", "in", [1, 2, 3])
try:
    net.start(resume=True)  # there is none yet
except EpochLimitReached as error:
    print(error)
again = saved_net()
again.start(resume=True)
assert again.take_outputs("Double", "out") == [2, 4, 6]
folder.cleanup()
