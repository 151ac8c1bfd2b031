# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Net definitions
#
# A `NetDefinition` is a net as data: it comes from a text, or from a net, and becomes a text, or a net.
#
# ```
#             from_toml                     build
#   text  ───────────────>  NetDefinition  ───────>  Net
#         <───────────────                 <───────
#              to_toml                      net.to_toml()
# ```
#
# `from_toml` imports nothing and runs nothing. `build` imports what the paths name, and calls factories. `build(resolve=False)`
# does neither (but for the factories that come with netrun): the net has its graph and its options, and no functions.

# %%
#|default_exp dsl

# %%
#|export
import os
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

from netrun_sim import (
    Edge,
    Graph,
    MaxSalvos,
    MaxSalvosFinite,
    Node,
    PacketCount,
    PacketCountN,
    Port,
    PortRef,
    PortSlotSpec,
    PortSlotSpecFinite,
    PortType,
    SalvoCondition,
)

from netrun.checks import placing
from netrun.core import (
    ConfigError,
    DslError,
    DslFinding,
    FactoryError,
    GraphError,
    GraphFinding,
    ImportPathError,
    NetConfig,
    NodeConfig,
    brief,
)
from netrun.driver import are_same
from netrun.description import (
    NET_OPTIONS,
    NODE_OPTIONS,
    ConditionDefinition,
    Description,
    EdgeDefinition,
    NodeDefinition,
    PortDefinition,
    builtin_exception,
    is_path,
)
from netrun.expressions import finding_at, format_salvo_condition, parse_salvo_condition
from netrun.making import FUNCTIONS, args_as_text, factory_at, made_by_factory, make_node, spec_of, why_no_text
from netrun.paths import packages, path_of, resolve_path, why_no_path
from netrun.places import Path, Places
from netrun.reading import Findings, must_be_bounded, read
from netrun.writing import changed, text_of

if TYPE_CHECKING:
    from netrun.net import Net

# %% [markdown]
# ## A graph from a description, and back


# %%
#|exporti
def _sim_ports(ports: Mapping[str, PortDefinition]) -> dict[str, Port]:
    return {
        name: Port() if port.slots is None else Port(PortSlotSpec.finite(port.slots)) for name, port in ports.items()
    }


def _sim_condition(condition: ConditionDefinition, ports: Iterable[str]) -> SalvoCondition:
    takes = dict.fromkeys(ports) if condition.ports is None else condition.ports
    counts: Any = {port: PacketCount.all() if n is None else PacketCount.count(n) for port, n in takes.items()}
    most = MaxSalvos.infinite() if condition.max_salvos is None else MaxSalvos.finite(condition.max_salvos)
    return SalvoCondition(most, counts, parse_salvo_condition(condition.when))


def sim_node(name: str, node: NodeDefinition, spec: Mapping[str, Any]) -> Node:
    """The node of a graph. What the definition says takes the place of what the `spec` of its factory says."""
    words = {key: value for key, value in spec.items() if key != "name"}
    for side in ("in", "out"):
        ports = getattr(node, f"{side}_ports")
        if ports:
            words[f"{side}_ports"] = _sim_ports(ports)
        conditions = getattr(node, f"{side}_salvo_conditions")
        if conditions:
            there = words.get(f"{side}_ports") or {}
            words[f"{side}_salvo_conditions"] = {key: _sim_condition(each, there) for key, each in conditions.items()}
    return Node(name, **words)


def sim_edge(edge: EdgeDefinition) -> Edge:
    """The edge of a graph."""
    return Edge(
        PortRef(edge.source[0], PortType.Output, edge.source[1]),
        PortRef(edge.target[0], PortType.Input, edge.target[1]),
    )


# %%
#|exporti
def _described_ports(ports: Mapping[str, Port]) -> dict[str, PortDefinition]:
    specs = {name: ports[name].slots_spec for name in sorted(ports)}
    return {
        name: PortDefinition(spec.capacity if isinstance(spec, PortSlotSpecFinite) else None)
        for name, spec in specs.items()
    }


def _described_condition(condition: SalvoCondition, ports: Mapping[str, Any]) -> ConditionDefinition:
    counts = condition.ports
    takes = {name: count.count if isinstance(count, PacketCountN) else None for name, count in sorted(counts.items())}
    most = condition.max_salvos
    return ConditionDefinition(
        format_salvo_condition(condition.term),
        None if takes == dict.fromkeys(ports) else takes,
        most.max if isinstance(most, MaxSalvosFinite) else None,
    )


def described_node(node: Node) -> NodeDefinition:
    """What a node of a graph is, ports in the order of their names."""
    described = NodeDefinition(in_ports=_described_ports(node.in_ports), out_ports=_described_ports(node.out_ports))
    for side in ("in", "out"):
        ports = getattr(described, f"{side}_ports")
        conditions = getattr(node, f"{side}_salvo_conditions")
        setattr(
            described, f"{side}_salvo_conditions", {n: _described_condition(c, ports) for n, c in conditions.items()}
        )
    return described


def described_graph(graph: Graph) -> Description:
    """What a graph is. Its nodes are in the order of their names, since the simulator keeps no other."""
    nodes = {name: described_node(node) for name, node in sorted(graph.nodes().items())}
    ends = sorted(
        ((e.source.node_name, e.source.port_name), (e.target.node_name, e.target.port_name)) for e in graph.edges()
    )
    return Description(nodes=nodes, edges=[EdgeDefinition(source, target) for source, target in ends])


# %% [markdown]
# ## What paths name
#
# All paths are looked up, and all factories asked. What leads to nothing is told together.


# %%
#|exporti
class Resolver:
    """Finds what the paths of a text name."""

    def __init__(self, allow: Iterable[str] | None) -> None:
        self.allow = packages(allow)
        self.failed: list[tuple[Path, ImportPathError | FactoryError]] = []

    def named(self, path: Path, text: str, must_call: bool = True) -> Any:
        """What an import path names; None, and noted, if it is nothing that can be called."""
        try:
            found = resolve_path(text, self.allow)
        except ImportPathError as error:
            self.failed.append((path, error))
            return None
        if not callable(found):
            what = f"`{text}` is no function, but a {type(found).__name__}"
            self.failed.append((path, ImportPathError(text, [DslFinding(what)])))
        return found

    def exception(self, path: Path, name: str) -> Any:
        """An exception class by its name, or by its path."""
        return builtin_exception(name) or self.named(path, name)

    def check(self, definition: "NetDefinition") -> None:
        """Raise `ImportPathError` or `FactoryError`, whichever came first, with everything that failed."""
        if not self.failed:
            return
        wrong = Findings()
        for path, error in self.failed[:99]:
            wrong.value(path, error.findings[0].message if isinstance(error, ImportPathError) else str(error))
        first = self.failed[0][1]
        text, file = definition.text, definition.file
        found = wrong.in_text(text, definition.given) if text is not None else wrong.without_text()
        whole = (
            ImportPathError(str(first.path), found, file)
            if isinstance(first, ImportPathError)
            else FactoryError(first.path, first.what, found, file)
        )
        raise whole from (first.__cause__ or first)

    def port_type(self, path: Path, spec: Any) -> Any:
        """A port's type, with the class in place of its import path."""
        name = spec.get("class") if isinstance(spec, dict) else spec
        if not isinstance(name, str) or "." not in name:
            return spec
        found = self.named(path, name)
        return {**spec, "class": found} if isinstance(spec, dict) else found

    def node_options(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a node as `NodeConfig` takes them."""
        found = dict(options)
        if "retry_on" in found:
            given, path = found["retry_on"], ("nodes", name, "options", "retry_on")
            names = given if isinstance(given, list) else [given]
            found["retry_on"] = tuple(self.exception(path, each) for each in names)
        return found

    def net_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a net as `Net` takes them."""
        return {
            name: self.named(("net", name), value) if is_path(name, NET_OPTIONS[name], value) else value
            for name, value in options.items()
        }


# %% [markdown]
# ## What a net is as text
#
# A net remembers the definition that it was built from, and what it was built of. What is still the same keeps its words;
# the rest is looked at anew: functions by their paths, or by the factory that made them, options where they are no longer
# the default.


# %%
#|exporti
class Teller:
    """Puts what is in a net into words, and notes what has none."""

    def __init__(self) -> None:
        self.missing: dict[Path, str] = {}
        self.types_there: dict[tuple[str, str], Any] = {}  # those that the node last told gets from its factory

    def path(self, path: Path, thing: Any) -> str | None:
        """The import path of something."""
        problem = why_no_path(thing)
        if problem is None:
            return path_of(thing)
        self.missing[path] = problem
        return None

    def options(self, path: Path, config: Any, kinds: Mapping[str, str], named: Iterable[str] = ()) -> dict[str, Any]:
        """The options that are not the default, and those that are `named`."""
        told = {}
        for option in fields(config):
            value = getattr(config, option.name)
            if option.name not in kinds or value is None or (value == option.default and option.name not in named):
                if option.name in kinds and value is None and option.default is not None:
                    self.missing[*path, option.name] = "None has no place in a text"
                continue
            text = self._value((*path, option.name), kinds[option.name], value)
            if text is not None:
                told[option.name] = text
        return told

    def _value(self, path: Path, kind: str, value: Any) -> Any:
        if kind == "never":
            what = "a key has" if path[-1] == "checkpoint_key" else "executors have"
            self.missing[path] = f"{what} no place in a text"
            return None
        if kind == "exceptions":
            return self._exceptions(path, value)
        if callable(value):
            return self.path(path, value)
        text = (
            os.fspath(value) if isinstance(value, os.PathLike) else list(value) if isinstance(value, tuple) else value
        )
        return self.plain(path, text)

    def _exceptions(self, path: Path, classes: tuple[type[BaseException], ...]) -> Any:
        is_own = [builtin_exception(each.__name__) is each for each in classes]
        names = [each.__name__ if own else self.path(path, each) for each, own in zip(classes, is_own, strict=True)]
        return None if None in names else names[0] if len(names) == 1 else names

    def plain(self, path: Path, value: Any) -> Any:
        """A value as it is, if a text can hold it."""
        from datetime import date, datetime, time

        problem = why_no_text(value, (date, datetime, time, float))
        if problem is None:
            return value
        self.missing[path] = problem
        return None

    def functions(
        self, name: str, node: NodeDefinition, functions: tuple[Any, ...], said: Mapping[str, str | None]
    ) -> None:
        """Say what the functions of a node are: a factory's, or each by its path. What is `said` of one stays."""
        node.factory, node.factory_args = None, {}
        self.types_there = {}
        own: tuple[Any, ...] = (None,) * len(functions)  # those that the factory makes
        for made in made_by_factory(functions):
            args, problems = args_as_text(made)
            if described_node(Node(name, **{k: v for k, v in made.spec.items() if k != "name"})) == _graph_part(node):
                node.factory, node.factory_args = made.path, args
                self.missing |= {("nodes", name, "factory_args", arg): why for arg, why in problems.items()}
                self.types_there, own = dict(made.types), (functions[0], *made.functions[1:])
                for key in _GRAPH_PART:
                    setattr(node, key, {})
        for key, func, there in zip(FUNCTIONS, functions, own, strict=True):
            by_path = func is not None and func is not there
            path = said.get(key) or self.path(("nodes", name, key), func) if by_path else None
            setattr(node, key, path)

    def types(
        self, name: str, node: NodeDefinition, types: Mapping[tuple[str, str], Any], whole: NodeDefinition
    ) -> None:
        """Say what the types of a node's ports are."""
        for side in ("in_ports", "out_ports"):
            told = {}
            for port, there in (getattr(node, side) or getattr(whole, side)).items():
                spec = types.get((side, port))
                stays = bool(getattr(node, side)) and spec == self.types_there.get((side, port))
                text = there.type if stays else self._type(("nodes", name, side, port, "type"), spec)
                told[port] = PortDefinition(there.slots, text)
            setattr(node, side, told)

    def _type(self, path: Path, spec: Any) -> Any:
        if spec is None or isinstance(spec, str):
            return spec
        if isinstance(spec, dict):
            cls = self._type(path, spec["class"])
            return None if cls is None else {**spec, "class": cls}
        if isinstance(spec, type) and not hasattr(spec, "__origin__"):
            return self.path(path, spec)
        self.missing[path] = f"{spec} is no class, and has no path"
        return None


_GRAPH_PART = ("in_ports", "out_ports", "in_salvo_conditions", "out_salvo_conditions")


def _graph_part(node: NodeDefinition) -> NodeDefinition:
    """A node without anything but its ports and conditions."""
    return NodeDefinition(**{key: getattr(node, key) for key in _GRAPH_PART})


def definition_of(net: "Net") -> "NetDefinition":
    """What a net is now, as a definition. What has no words is in its `missing`."""
    base, built = net._definition, net._built
    graph = described_graph(net.graph) if base is None else None
    definition = NetDefinition() if base is None else replace(base)
    teller = Teller()
    definition.nodes = dict((graph or definition).nodes)
    if graph is not None:
        definition.edges = graph.edges
        definition.options = teller.options(("net",), net._config, NET_OPTIONS)
        definition.meta = teller.plain(("net", "meta"), net.meta) or {}
    else:
        definition.options = _told_again(teller, net, definition.options)
    for name, task in net._tasks.items():
        functions = tuple(getattr(task, key) for key in FUNCTIONS)
        old_functions, old_config, old_types = built.get(name, ((None,) * 4, NodeConfig(), {}))
        types = types_of(net, name)
        config = net.get_node_config(name)
        if are_same(functions, old_functions) and (config, types) == (old_config, old_types):
            continue
        teller.types_there = old_types
        node = definition.nodes[name] = replace(definition.nodes[name])
        if not are_same(functions, old_functions):
            if node.factory is not None:
                whole = described_node(net.graph.nodes()[name])
                node = definition.nodes[name] = replace(whole, options=node.options, meta=node.meta)
            said = {
                key: getattr(node, key) for key, a, b in zip(FUNCTIONS, functions, old_functions, strict=True) if a is b
            }
            teller.functions(name, node, functions, said)
        if types != teller.types_there:
            teller.types(name, node, types, described_node(net.graph.nodes()[name]))
        if config != old_config:
            same = {key: text for key, text in node.options.items() if _is_same(key, config, old_config)}
            others = {key: kind for key, kind in NODE_OPTIONS.items() if key not in same}
            told = same | teller.options(("nodes", name, "options"), config, others, node.options)
            node.options = {key: told[key] for key in node.options if key in told} | told  # in the order of before
    definition.missing = teller.missing
    return definition


def types_of(net: "Net", name: str) -> dict[tuple[str, str], Any]:
    """The types of a node's ports, as they were given."""
    door = net._ledger.doors[name]
    sides = {"in_ports": door.in_types, "out_ports": door.out_types}
    return {(side, port): found.spec for side, types in sides.items() for port, found in types.items()}


def _is_same(option: str, config: NodeConfig, other: NodeConfig) -> bool:
    return bool(getattr(config, option) == getattr(other, option))


def _told_again(teller: Teller, net: "Net", options: dict[str, Any]) -> dict[str, Any]:
    """The options of a net that was built from these, some of them perhaps overridden since."""
    told = {name: value for name, value in options.items() if name not in net._overridden}
    others = {name: NET_OPTIONS[name] for name in net._overridden if name in NET_OPTIONS}
    return told | teller.options(("net",), net._config, others)


# %% [markdown]
# ## Where in the text a graph is wrong


# %%
#|exporti
def placed(findings: list[GraphFinding], definition: "NetDefinition") -> list[GraphFinding]:
    """The findings about a graph, each with its place in the text that the graph comes from."""
    if definition.text is None or definition.given:
        return findings
    text, places = definition.text, Places(definition.text)
    edges: dict[tuple[str, str], int] = {}
    for index, edge in enumerate(definition.edges):
        (node, port), (other, into) = edge.source, edge.target
        edges[f"{node}.out.{port}", f"{other}.in.{into}"] = edges[f"{node}.{port}", f"{other}.{into}"] = index

    def place(finding: GraphFinding) -> str:
        span = places.value(_path_of(finding.details, edges))
        if span is None:
            return ""
        found = finding_at(text, "", *span)
        return found.place(definition.file) + found.lines()

    return [replace(finding, place=place(finding)) for finding in findings]


def _path_of(details: Mapping[str, Any], edges: Mapping[tuple[str, str], int]) -> Path:
    """The path of what a finding is about, as near as its details say."""
    ends = details.get("edge_source", details.get("source")), details.get("edge_target", details.get("target"))
    if ends in edges:
        return "edges", edges[ends]
    node = details.get("node_name")
    if node is None:
        return ()
    side = "in" if details.get("is_input_condition") else "out"
    condition = details.get("condition_name")
    return ("nodes", node) if condition is None else ("nodes", node, f"{side}_salvo_conditions", condition)


# %% [markdown]
# ## Building
#
# First everything that the text names is found, or told; then factories are asked, the graph is made, and the net.


# %%
#|exporti
_NONE = (None,) * len(FUNCTIONS)
_OF_A_FUNCTION = "netrun.factories.from_function"  # whose ports nobody knows before the function is imported


class Building:
    """Makes a net of a definition."""

    def __init__(self, definition: "NetDefinition", resolve: bool, allow: Iterable[str] | None) -> None:
        self.definition, self.resolve = definition, resolve
        self._resolver = Resolver(allow)

    def net(self, options: dict[str, Any]) -> "Net":
        """The net. Its `options` take the place of those of the definition."""
        from netrun.net import Net

        nodes = self.definition.nodes
        made = {name: self._made(name, node, str(node.factory)) for name, node in nodes.items() if node.factory}
        functions = {name: self._functions(name, node, made) for name, node in nodes.items() if self.resolve}
        configs = {name: self._config(name, node) for name, node in nodes.items() if node.options}
        net_options = self._net_options()
        types = {name: self._types(name, node, made) for name, node in nodes.items()}
        self._resolver.check(self.definition)
        specs = {name: spec for name, (spec, _, _) in made.items()}
        graph = Graph(
            [sim_node(name, node, specs.get(name, {})) for name, node in nodes.items()],
            [sim_edge(edge) for edge in self.definition.edges],
        )
        its_places = placing.set(lambda findings: placed(findings, self.definition))
        try:
            net = Net(graph, **{**net_options, "meta": self.definition.meta or None, **options})
        except GraphError as error:
            raise GraphError(placed(error.findings, self.definition), error.what) from error
        finally:
            placing.reset(its_places)
        for name, given in functions.items():
            if any(func is not None for func in given):
                net.set_node_exec(name, *given)
        for name, config in configs.items():
            net.set_node_config(name, **config)
        self._set_types(net, types)
        built = {
            name: (functions.get(name, _NONE), net.get_node_config(name), types_of(net, name) if types[name] else {})
            for name in nodes
        }
        net._remember(deepcopy(self.definition), built, options)
        return net

    def _set_types(self, net: "Net", types: Mapping[str, Mapping[tuple[str, str], Any]]) -> None:
        """Tell the net the types of its ports. Raises `GraphError` with all edges that join types which never meet."""
        wrong: list[GraphFinding] = []
        for name, given in types.items():
            for (side, port), spec in given.items():
                try:
                    (net.set_input_port_type if side == "in_ports" else net.set_output_port_type)(name, port, spec)
                except GraphError as error:
                    wrong += error.findings
        if wrong:
            raise GraphError(placed(wrong, self.definition))

    def _types(self, name: str, node: NodeDefinition, made: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
        """The types of a node's ports: those of the text, else those of its factory. Without imports, those without paths."""
        types: dict[tuple[str, str], Any] = {}
        for side in ("in_ports", "out_ports"):
            ports = getattr(node, side)
            if node.factory and not ports:
                types |= {place: spec for place, spec in made[name][2].items() if place[0] == side}
            for port, there in ports.items():
                spec = there.type
                if spec is not None and (self.resolve or "." not in str(spec)):
                    types[side, port] = self._resolver.port_type(("nodes", name, side, port, "type"), spec)
        return types

    def _made(self, name: str, node: NodeDefinition, path: str) -> tuple[dict[str, Any], tuple[Any, ...], Any]:
        """The spec, the functions and the types of ports that a node's factory makes."""
        try:
            if self.resolve:
                made = make_node(path, node.factory_args, self._resolver.allow)
                return made.spec, made.functions, made.types
            if path.startswith("netrun.factories.") and path != _OF_A_FUNCTION:
                return spec_of(path, factory_at(path), node.factory_args), _NONE, {}
        except ImportPathError as error:
            named = next((key for key, value in node.factory_args.items() if value == error.path), None)
            at = ("nodes", name, "factory") if named is None else ("nodes", name, "factory_args", named)
            self._resolver.failed.append((at, error))
            return {}, _NONE, {}
        except FactoryError as error:
            at = ("nodes", name, "factory_args") if node.factory_args else ("nodes", name, "factory")
            whole = FactoryError(path, f"node {name!r}: {error.what}")
            whole.__cause__ = error.__cause__ or error
            self._resolver.failed.append((at, whole))
            return {}, _NONE, {}
        if not node.in_ports and not node.out_ports:
            what = f"node {name!r}: its ports are not in the text, and resolve=False imports no factory"
            self._resolver.failed.append((("nodes", name, "factory"), FactoryError(path, what)))
        return {}, _NONE, {}

    def _functions(self, name: str, node: NodeDefinition, made: Mapping[str, Any]) -> tuple[Any, ...]:
        """The four functions of a node: those that the text names, else those of its factory."""
        from_factory = made[name][1] if node.factory else _NONE
        paths = [getattr(node, key) for key in FUNCTIONS]
        return tuple(
            func if path is None else self._resolver.named(("nodes", name, key), path)
            for key, path, func in zip(FUNCTIONS, paths, from_factory, strict=True)
        )

    def _config(self, name: str, node: NodeDefinition) -> dict[str, Any]:
        """The options of a node. Without imports there are no exception classes."""
        if self.resolve:
            return self._resolver.node_options(name, node.options)
        return {key: value for key, value in node.options.items() if NODE_OPTIONS[key] != "exceptions"}

    def _net_options(self) -> dict[str, Any]:
        """The options of the net. Without imports, those that are no import paths and do not need one."""
        options = self.definition.options
        if self.resolve:
            return self._resolver.net_options(options)
        plain = {key: value for key, value in options.items() if not is_path(key, NET_OPTIONS[key], value)}
        return {key: value for key, value in plain.items() if (key, value) != ("dead_letter_queue", "callback")}


# %% [markdown]
# ## A file, in full or not at all


# %%
#|exporti
_BOM = "\ufeff"  # what some editors put before a text


def text_in(path: str | os.PathLike[str]) -> str:
    """The text in a file. Raises `DslError` for one that is too large, or no text."""
    must_be_bounded(os.stat(path).st_size, "bytes", os.fspath(path))
    with open(path, encoding="utf-8", newline="") as file:
        try:
            return file.read()
        except UnicodeDecodeError as error:
            raise DslError([DslFinding(f"this is no text in UTF-8: {error.reason}")], os.fspath(path)) from None


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Write a text to a file. What was there is there until all of the new one is, also when several write at a time: each
    writes a file of its own beside it first. A link stays one, and the file's mode stays as it was. An `OSError` names
    `path`."""
    from secrets import token_hex
    from shutil import copymode

    target = os.path.realpath(path)
    beside = f"{target}.{token_hex(6)}.tmp"
    try:
        with open(beside, "x", encoding="utf-8", newline="") as file:
            file.write(text)
        if os.path.exists(target):
            copymode(target, beside)
        os.replace(beside, target)
    except BaseException as error:
        if os.path.exists(beside):
            os.remove(beside)
        if isinstance(error, OSError) and error.filename == beside:
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise


# %% [markdown]
# ## The definition


# %%
#|export
@dataclass
class NetDefinition(Description):
    """A net as data: `options` and `meta` of the net, `nodes` by name, `edges`.

    text, file: where it was read from, so that a save keeps what did not change. given: what took the place of what the
    text says. missing: what a net has that text cannot hold, with the reason, by its place.
    """

    text: str | None = field(default=None, repr=False, compare=False)
    file: str | None = field(default=None, compare=False)
    given: Mapping[Path, Any] = field(default_factory=dict, repr=False, compare=False)
    missing: dict[Path, str] = field(default_factory=dict, repr=False, compare=False)

    __repr__ = brief

    @classmethod
    def from_toml(cls, text: str, file: str | None = None, given: Mapping[Path, Any] | None = None) -> Self:
        """What a TOML text says. Imports nothing, runs nothing.

        file: what the text is called in messages. given: values that take the place of those in the text, by path, such as
        `{("nodes", "A", "options", "retries"): 3}`.

        Raises `DslError` with everything that is wrong with the text.
        """
        text = text.removeprefix(_BOM) if isinstance(text, str) else text
        said = read(text, file, given)
        return cls(said.options, said.meta, said.nodes, said.edges, text, file, dict(given or {}))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], given: Mapping[Path, Any] | None = None) -> Self:
        """What a TOML file says. Raises `DslError`, and `OSError` for a file that cannot be read."""
        return cls.from_toml(text_in(path), os.fspath(path), given)

    @classmethod
    def from_net(cls, net: "Net") -> "NetDefinition":
        """What a net is now: its graph, its options, the paths of its functions. What has none is in `missing`."""
        return definition_of(net)

    def to_toml(self, missing: str = "raise") -> str:
        """The TOML text. One that was loaded keeps its comments, its order and its layout where nothing changed.

        missing: "raise" a `DslError` that lists what text cannot hold (a lambda, an executor); or "omit" it, and say so in
        a comment.

        Raises `DslError` too where the definition is not one that could be read again.
        """
        if missing not in ("raise", "omit"):
            raise ConfigError(f"missing is 'raise' or 'omit', not {missing!r}.")
        if self.missing and missing == "raise":
            told = (
                f"{'.'.join(map(str, path))} cannot be written as text: {why}" for path, why in self.missing.items()
            )
            raise DslError([*map(DslFinding, told)])
        text = (
            text_of(self, self.missing)
            if self.text is None
            else changed(self.text, read(self.text), self, self.missing)
        )
        read(text)
        return text

    def save(self, path: str | os.PathLike[str], missing: str = "raise") -> None:
        """Write `to_toml` to a file, which is there in full or not at all."""
        write_whole(path, self.to_toml(missing))

    def build(self, resolve: bool = True, allow: Iterable[str] | None = None, **options: Any) -> "Net":
        """The net that this describes.

        resolve: False imports nothing and leaves the nodes without functions; only the factories that come with netrun are
            asked for ports. allow: the packages that paths may name; None: any. A definition from a stranger is code from
            a stranger, unless `allow` is given.
        options: options of `Net` that take the place of those in the definition, such as `executor_pools`.

        Raises `ImportPathError` with all paths that lead to nothing, `FactoryError`, `GraphError`, `ConfigError`.
        """
        return Building(self, resolve, allow).net(options)


# %% [markdown]
# ## A net from a text
#
# The functions are in a module of their own, here one that is made on the spot.

# %%
import sys
from types import ModuleType

from netrun import DslError, ImportPathError, Net
from netrun.dsl import NetDefinition

sys.modules["demo_nodes"] = nodes = ModuleType("demo_nodes")
exec(
    """
def count(ctx, packets):
    for number in range(4):
        ctx.send("out", number)

def square(number: int) -> int:
    return number**2
""",
    vars(nodes),
)

TEXT = """\
# Numbers, and their squares.
edges = [{ from = "Count.out", to = "Square.number" }]

[nodes.Count]
out_ports = ["out"]
out_salvo_conditions.send = { when = "nonempty(out)" }
exec_node_func = "demo_nodes.count"

[nodes.Square]  # a plain function
factory = "netrun.factories.from_function"
factory_args = { func = "demo_nodes.square" }
"""
net = Net.from_toml(TEXT)
assert net.run() == {"Square.out": [0, 1, 4, 9]}

# %% [markdown]
# What did not change is written as it was, comments and all. Only what changed differs.

# %%
assert net.to_toml() == TEXT
net.set_node_config("Square", timeout=5)
print(net.to_toml())
assert net.to_toml().startswith(TEXT)

# %% [markdown]
# A net that was made in Python has a text too, if its functions have paths. What has none is named; it can be left out.

# %%
from netrun import Graph, Node

spec, *functions = Net.from_factory("netrun.factories.batch", size=10)
net = Net(Graph([Node(name="Batch", **spec), Node("Odd")], []), max_epochs=100)
net.set_node_exec("Batch", *functions)
net.set_node_exec("Odd", lambda ctx, packets: None)
try:
    net.to_toml()
except DslError as error:
    print(error)
else:
    raise AssertionError("not refused")
print(net.to_toml(missing="omit"))
assert "factory_args = { size = 10 }" in net.to_toml(missing="omit")

# %% [markdown]
# Paths that lead to nothing are told together, each with its place. `allow` says what may be named.

# %%
for text, allow in [
    (TEXT.replace("demo_nodes.count", "demo_nodes.cuont").replace("nodes.square", "nodes.sqare"), None),
    (TEXT, ["myapp"]),
]:
    try:
        Net.from_toml(text, allow=allow)
    except ImportPathError as error:
        print(error, end="\n\n")
        assert len(error.findings) == 2
    else:
        raise AssertionError("not refused")
