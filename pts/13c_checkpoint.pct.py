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
# functions that no import path names, which are given again. A value that a dead letter holds and that cannot be pickled is
# left out with a warning: to redrive it, give the value again. Everything else that cannot be pickled is a
# `CheckpointError`, and nothing is written.

# %%
#|default_exp checkpoint

# %%
#|export
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from importlib.metadata import version
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from netrun_sim import Graph

from netrun.core import (
    CheckpointCorrupt,
    CheckpointError,
    CheckpointMismatch,
    ConfigError,
    NetrunRuntimeError,
    _told,
    unknown_name,
)
from netrun.description import ConditionDefinition, NodeDefinition, PortDefinition
from netrun.dsl import NetDefinition, described_graph
from netrun.making import FUNCTIONS
from netrun.folders import MANIFEST, Key, check_key, folder_of, read_folder, write_folder
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
def copied(net: "Net", path: Any) -> Snapshot:
    """The state of a net at rest, or `CheckpointError` for what cannot be copied."""
    with _telling(path):
        return Snapshot(net)


@contextmanager
def _telling(path: Any) -> Iterator[None]:
    """What keeps a net from being copied is a `CheckpointError`: a value that cannot be pickled, or that has no file any
    more."""
    try:
        yield
    except CheckpointError:
        raise
    except Unpicklable as error:
        raise CheckpointError(
            folder_of(path), "packets.pkl", "values that can be pickled", str(error)
        ) from error.__cause__
    except Exception as error:
        raise CheckpointError(folder_of(path), "packets.pkl", "a net that can be copied", _told(error)) from error


# %% [markdown]
# A copy that was taken earlier never replaces a later one of the same net. What a net has written last, it knows again: what
# is there otherwise is somebody else's.


# %%
#|exporti
class _Writing:
    """One at a time. Of each net, by path: the number of the last copy that was written, and the manifest then."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.last: WeakKeyDictionary[Any, dict[str, tuple[int, bytes]]] = WeakKeyDictionary()

    def of(self, net: "Net", path: Any) -> tuple[int, bytes]:
        """What this net has written there last."""
        return self.last.setdefault(net, {}).get(folder_of(path), (0, b""))

    def note(self, net: "Net", path: Any, number: int) -> None:
        """What is there now is this net's."""
        self.last.setdefault(net, {})[folder_of(path)] = number, _manifest_at(path)


def _manifest_at(path: Any) -> bytes:
    with suppress(OSError), open(os.path.join(folder_of(path), MANIFEST), "rb") as file:
        return file.read()
    return b""


_writing = _Writing()
if hasattr(os, "register_at_fork"):  # a child has the lock as it was, and not the thread that would let go of it
    os.register_at_fork(after_in_child=lambda: setattr(_writing, "lock", RLock()))


def mark_at(net: "Net", path: Any) -> None:
    """The net goes on from what is there."""
    with _writing.lock:
        _writing.note(net, path, 0)


def put(net: "Net", snapshot: Snapshot, shape: dict[str, Any], path: Any, key: Key = None) -> bool:
    """Put a copy on disk, unless a later one is there. True where that replaced what this net has not written."""
    with _telling(path):
        definition = NetDefinition.from_net(net)
        files = snapshot.files(shape)
    files["definition.toml"] = definition.to_toml("omit").encode()
    kept = [where for where in definition.missing if where == ("net", "meta") or where[-1] in ("type", "retry_on")]
    omitted = [".".join(map(str, where)) for where in definition.missing if where not in kept]
    with _writing.lock:
        number, manifest = _writing.of(net, path)
        if snapshot.number < number:
            return False
        there = _manifest_at(path)
        write_folder(path, files, {"omitted": [*omitted, *snapshot.left_out], "versions": _versions()}, key)
        _writing.note(net, path, snapshot.number)
    return there not in (b"", manifest)


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
        snapshot = copied(net, path)
    put(net, snapshot, shape_of(net.graph), path, key)


# %% [markdown]
# ## Loading


# %%
#|exporti
_MOST = 10  # differences that are told


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
        if "definition.toml" not in self._files:
            raise CheckpointCorrupt(self.path, "definition.toml", "a file", "it is missing")

    def definition(self, functions: Mapping[str, Any], resolve: bool) -> NetDefinition:
        """The net, without the paths of functions that are given. A factory that cannot be asked is not: the ports that it
        gave are in the shape of the graph."""
        definition = NetDefinition.from_toml(self._files["definition.toml"].decode(), f"{self.path}/definition.toml")
        for name in functions:
            if name not in definition.nodes:
                raise ConfigError(f"functions: {unknown_name('node', name, definition.nodes)}")
            for key in FUNCTIONS:
                setattr(definition.nodes[name], key, None)
        for name, node in definition.nodes.items():
            is_whole = not any(left.startswith(f"nodes.{name}.factory_args.") for left in self.manifest["omitted"])
            if node.factory is not None and (name in functions or not resolve or not is_whole):
                definition.nodes[name] = _in_shape(node, self.state.told["graph"]["nodes"][name])
        return definition

    def tell_left_out(self, given: Iterable[str]) -> None:
        """Warn of options that no text can hold, and that are not given again."""
        left = [where for where in self.manifest["omitted"] if ".options." in where or where.startswith("net.")]
        left = [where for where in left if where not in {"net.checkpoint_key", *(f"net.{name}" for name in given)}]
        if left:
            from warnings import warn

            told = f"{self.path} could not hold {', '.join(left)}: the net has the default. Set it again"
            warn(told, RuntimeWarning, stacklevel=4)

    def must_fit(self, shape: dict[str, Any]) -> None:
        """Raise `CheckpointMismatch` for another graph."""
        found = differences(self.state.told["graph"], shape)
        if found:
            more = f"; and {len(found) - _MOST} more" if len(found) > _MOST else ""
            told = "; ".join(f"{each:.500}" for each in found[:_MOST]) + more
            raise CheckpointMismatch(self.path, "net_state.json", "the graph that was saved", told)

    def restore(self, net: "Net", with_types: bool = True) -> None:
        """Put the state into a net of this graph."""
        try:
            restore(net, self.state, with_types)
        except NetrunRuntimeError:
            raise
        except Exception as error:
            told = f"{_told(error)}. The net has a part of it only: build a new one"
            raise CheckpointError(self.path, "net_state.json", "a state that can be restored", told) from error


def _in_shape(node: NodeDefinition, shape: dict[str, Any]) -> NodeDefinition:
    """A node, with the ports and conditions of a shape in place of a factory."""
    told: dict[str, Any] = {}
    for side in ("in_ports", "out_ports"):
        told[side] = {port: PortDefinition(slots) for port, slots in shape[side].items()}
    for side in ("in_salvo_conditions", "out_salvo_conditions"):
        told[side] = {name: ConditionDefinition(when, ports, most) for name, when, ports, most in shape[side]}
    return replace(node, factory=None, factory_args={}, **told)


def _without_functions(definition: NetDefinition, graph: Graph) -> NetDefinition:
    """The definition, with the nodes of a graph and the options that they had."""
    nodes = {
        name: replace(node, options=definition.nodes[name].options, meta=definition.nodes[name].meta)
        for name, node in described_graph(graph).nodes.items()
    }
    return replace(definition, nodes=nodes)


def _give(net: "Net", name: str, given: Any) -> None:
    """Give a node what `functions` says: a function, several, or what `@node` has made."""
    from netrun.build import FunctionNode  # points up
    from netrun.flows import assembled

    if isinstance(given, FunctionNode):
        assembled(given.named(name)).furnish(net)
        return
    functions = given if isinstance(given, tuple) else (given,)
    if len(functions) > len(FUNCTIONS):
        raise ConfigError(f"functions: of node {name!r} there are {len(functions)}; it has {', '.join(FUNCTIONS)}.")
    net.set_node_exec(name, *functions)


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
    definition = checkpoint.definition(given, resolve)
    if assembly is not None:
        definition = _without_functions(definition, assembly.graph)
    meta = checkpoint.state.meta()
    if key is not None and definition.options.get("checkpoint_path") is not None:
        options.setdefault("checkpoint_key", key)
    checkpoint.tell_left_out(options)
    net = definition.build(resolve, allow, **({"meta": meta} if meta else {}) | options)
    checkpoint.must_fit(shape_of(net.graph))
    if assembly is not None:
        assembly.furnish(net)
    for name, some in given.items():
        _give(net, name, some)
    checkpoint.restore(net)
    net._control.rest()
    return net


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
folder.cleanup()
