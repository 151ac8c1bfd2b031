# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Flows: wirings that are not a net yet
#
# `a >> b` is an edge, where one free output of `a` meets one input of `b`. This chapter knows what can stand beside `>>`, and
# which edge is meant; what nodes are made of is [the next one's](14b_build.ipynb).

# %%
#|default_exp flows

# %%
#|export
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from netrun_sim import Edge, Graph, Node, PortRef, PortType

from netrun.core import ConfigError, GraphError, GraphFinding, unknown_name
from netrun.functions import label
from netrun.making import Made, make_node
from netrun.port_types import can_meet, port_type

# %% [markdown]
# ## Ends
#
# `a.out` is an **end**: a port that an edge can begin or end at. Whether it is the input or the output of that name, the
# side of `>>` tells where it stands.


# %%
#|exporti
Place = tuple[str, str]  # a node and a port


def _refuse(kind: str, message: str, **details: Any) -> NoReturn:
    raise GraphError([GraphFinding(kind, message, details)])


def _told(place: Place) -> str:
    return ".".join(place)


class Wires:
    """What can stand beside `>>`."""

    def __rshift__(self, other: Any) -> "Flow":
        return _join(self, other)

    def __rrshift__(self, other: Any) -> "Flow":
        return _join(other, self)


class Drawn(Wires):
    """What is a net in itself, and draws itself in Jupyter."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from netrun.show import picture  # the next chapter

        return picture(self)._repr_mimebundle_(include, exclude)


class End(Wires):
    """A port, to begin or end an edge at."""

    def __init__(self, flow: "Flow", name: str, target: Place | None, source: Place | None) -> None:
        self._flow, self._name, self._target, self._source = flow, name, target, source

    def __repr__(self) -> str:
        place = self._target or self._source
        kinds = [kind for kind, there in (("input", self._target), ("output", self._source)) if there]
        return f"<{' and '.join(kinds)} {_told(place) if place else self._name}>"

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"{self!r} is a port, which cannot be called.")


# %%
from netrun import Flow, node


@node
def double(x: int) -> int:
    return 2 * x


@node
def add(x: int, y: int) -> int:
    return x + y


print(double.out, add.y)

# %% [markdown]
# ## Parts
#
# A **part** is a node that is not in a net yet: a name, ports with their types, options, and what makes it. The maker is always
# a [factory](10b_making.ipynb), so whatever is built here can be written as text too.


# %%
#|exporti
class Ports(NamedTuple):
    """The ports of a part with their types (None: any), and the inputs that need not have an edge."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]
    optional: frozenset[str]


_HOOKS = ("start_node_func", "stop_node_func", "exec_failed_node_func")


class Part(Drawn, ABC):
    """A node that is not in a net yet. _options: of its node; _hooks: its functions besides the one that is executed."""

    _name: str
    _options: Mapping[str, Any] = {}
    _hooks: Mapping[str, Any] = {}

    @abstractmethod
    def _ports(self) -> Ports:
        """Its ports."""
        ...

    @abstractmethod
    def _make(self) -> Made:
        """What its factory makes."""
        ...

    @abstractmethod
    def _called(self, name: str) -> "Part":
        """The same under another name."""
        ...

    @abstractmethod
    def _made_of(self) -> str:
        """What it is, for people."""
        ...

    @property
    def _flow(self) -> "Flow":
        ports = self._ports()
        side = Side(
            self._name,
            {port: (self._name, port) for port in ports.inputs},
            {port: (self._name, port) for port in ports.outputs},
        )
        return Flow._of({self._name: self}, {}, (side,), (side,))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self._flow._end(name)


class Template(Part):
    """A node that a factory makes, between those of the user's."""

    def __init__(self, name: str, path: str, args: Mapping[str, Any], ports: Ports) -> None:
        self._name, self._path, self._args, self._given = name, path, dict(args), ports

    def _ports(self) -> Ports:
        return self._given

    def _make(self) -> Made:
        return make_node(self._path, self._args)

    def _made_of(self) -> str:
        return f"one that {self._path} makes"

    def _called(self, name: str) -> "Part":
        return Template(name, self._path, self._args, self._given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and vars(self) == vars(other)

    __hash__ = object.__hash__


# %% [markdown]
# ## Flows
#
# A **flow** is parts and edges. It has two sides: where `>>` to it leads (its heads), and where `>>` goes on from (its tails).
# In a chain that is the first and the last; in a `Flow(...)` all ports that are free, or those that it exposes.


# %%
#|exporti
class Side(NamedTuple):
    """What stands beside a `>>`: by the name that it goes by, the inputs and outputs. Exact: one port was named."""

    name: str
    inputs: dict[str, Place]
    outputs: dict[str, Place]
    is_exact: bool = False

    def renamed(self, prefix: str) -> "Side":
        """The same in a flow that is named."""
        return Side(
            prefix,
            {port: (f"{prefix}/{place[0]}", place[1]) for port, place in self.inputs.items()},
            {port: (f"{prefix}/{place[0]}", place[1]) for port, place in self.outputs.items()},
            self.is_exact,
        )


# %%
#|export
class Flow(Drawn):
    """Several wirings as one: `Flow(a >> b, b.left >> c.x)`. `Net(flow)` runs it; `flow.named("left")` is the same once more,
    for a net that has it twice.

    wirings: nodes, flows, and what `>>` gives. The same node in several of them is one node.
    expose: the ports that it has for others, by name: `{"text": strip.text, "words": count.out}`. Without it they are all
        that are free, by the ports' names. They are attributes: `flow.text`.

    Raises `GraphError`.
    """

    def __init__(self, *wirings: Any, expose: Mapping[str, End] | None = None) -> None:
        nodes: dict[str, Part] = {}
        edges: dict[Place, Place] = {}
        for wiring in wirings:
            flow = _as_flow(wiring)
            nodes, edges = _merged(nodes, flow._nodes), _merged_edges(edges, flow._edges)
        self._nodes: dict[str, Part] = nodes
        self._edges: dict[Place, Place] = edges
        side = Side("flow", *(_free(nodes, edges) if expose is None else _exposed(nodes, edges, expose)))
        self._heads: tuple[Side, ...] = (side,)
        self._tails: tuple[Side, ...] = (side,)

    @classmethod
    def _of(
        cls,
        nodes: dict[str, Part],
        edges: dict[Place, Place],
        heads: tuple[Side, ...],
        tails: tuple[Side, ...],
    ) -> "Flow":
        flow = cls.__new__(cls)
        flow._nodes, flow._edges, flow._heads, flow._tails = nodes, edges, heads, tails
        return flow

    @property
    def graph(self) -> Graph:
        """The plain graph."""
        return Assembly(self).graph

    def named(self, name: str) -> "Flow":
        """The same once more, its nodes called `name/node`."""
        if not isinstance(name, str) or not name:
            raise ConfigError(f"the name of a flow is a text, not {name!r:.200}.")
        nodes = {f"{name}/{each}": part._called(f"{name}/{each}") for each, part in self._nodes.items()}
        edges = {(f"{name}/{a}", out): (f"{name}/{b}", into) for (a, out), (b, into) in self._edges.items()}
        heads, tails = (tuple(side.renamed(name) for side in sides) for sides in (self._heads, self._tails))
        return Flow._of(nodes, edges, heads, tails)

    def port(self, name: str) -> End:
        """The port of this name. Raises `AttributeError`."""
        return self._end(name)

    def _end(self, name: str) -> End:
        inputs = {port: place for side in self._heads for port, place in side.inputs.items()}
        outputs = {port: place for side in self._tails for port, place in side.outputs.items()}
        if name not in inputs and name not in outputs:
            what = next(iter(self._nodes)) if len(self._nodes) == 1 else "the flow"
            there = f"inputs {', '.join(inputs) or 'none'}; outputs {', '.join(outputs) or 'none'}"
            near = unknown_name("port", name, [*inputs, *outputs]).split(" There is: ")[0]
            raise AttributeError(f"{what}: {near} It has the {there}.")
        return End(self, name, inputs.get(name), outputs.get(name))

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a flow is neither true nor false. To join wirings write Flow(a >> b, c >> d), not `and` or `or`."
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"'Flow' object has no attribute {name!r}")
        return self._end(name)

    def __repr__(self) -> str:
        edges = [f"{_told(source)} >> {_told(target)}" for source, target in self._edges.items()]
        joined = {name for edge in self._edges.items() for name, _ in edge}
        return f"<Flow {', '.join([*edges, *(name for name in self._nodes if name not in joined)])}>"


# %%
#|exporti
def _merged(some: Mapping[str, Part], others: Mapping[str, Part]) -> dict[str, Part]:
    for name, part in others.items():
        if name in some and some[name] is not part and some[name] != part:
            _refuse(
                "DuplicateNode",
                f"two different nodes are called {name!r}: {some[name]._made_of()} and {part._made_of()}. Call one of them something "
                f'else: {name.rpartition("/")[2]}.named("...")',
                node=name,
            )
    return {**some, **others}


def _merged_edges(some: Mapping[Place, Place], others: Mapping[Place, Place]) -> dict[Place, Place]:
    for source, target in others.items():
        if some.get(source, target) != target:
            first, second = _told(some[source]), _told(target)
            _refuse(
                "SecondEdge",
                f"{_told(source)} >> {second}: {_told(source)} has an edge to {first} already, and an output port has one. "
                f"To send each packet to both write {source[0]} >> [{first}, {second}]",
                source=_told(source),
                target=second,
                first=first,
            )
    return {**some, **others}


def _free(nodes: Mapping[str, Part], edges: Mapping[Place, Place]) -> tuple[dict[str, Place], dict[str, Place]]:
    """The inputs and outputs without an edge: by the port's name, with the node's where several have it."""
    taken = {*edges, *edges.values()}
    sides = []
    for kind in (0, 1):
        places = [(name, port) for name, part in nodes.items() for port in part._ports()[kind] if (name, port) not in
                  (edges if kind else taken - set(edges))]  # fmt: skip
        names = [port for _, port in places]
        sides.append({place[1] if names.count(place[1]) == 1 else _told(place): place for place in places})
    return sides[0], sides[1]


def _exposed(
    nodes: Mapping[str, Part], edges: Mapping[Place, Place], expose: Mapping[str, End]
) -> tuple[dict[str, Place], dict[str, Place]]:
    inputs: dict[str, Place] = {}
    outputs: dict[str, Place] = {}
    for name, end in expose.items():
        if not isinstance(end, End):
            _refuse("Expose", f"expose takes ports such as node.out, not {end!r:.200} for {name!r}", name=name)
        for sides, place in ((inputs, end._target), (outputs, end._source)):
            if place is None:
                continue
            if place[0] not in nodes:
                _refuse(
                    "Expose", f"{_told(place)} cannot be exposed as {name!r}: {place[0]} is not in the flow", name=name
                )
            if place in edges:
                _refuse(
                    "Expose",
                    f"{_told(place)} cannot be exposed as {name!r}: it has an edge to {_told(edges[place])}",
                    name=name,
                )
            sides[name] = place
    return inputs, outputs


# %%
from netrun import Flow

twice = Flow(double >> double.named("again"), expose={"number": double.x, "result": double.named("again").out})
print(twice, twice.number)
graph = Flow(twice.named("left") >> add.x, twice.named("right") >> add.y).graph
assert sorted(graph.nodes()) == ["add", "left/again", "left/double", "right/again", "right/double"]

# %% [markdown]
# The same node in several wirings is one node, and an output port has one edge.

# %%
from netrun import GraphError

assert (
    len((double >> double.named("b") >> add.x).graph.nodes())
    == len(Flow(double, double >> add.x, add).graph.nodes()) + 1
)
for wrong in [
    lambda: Flow(double >> add.x, double >> add.y),
    lambda: Flow(double >> add.x, double.with_options(timeout=3) >> add.y),
    lambda: Flow(double, expose={"x": add.x}),
]:
    try:
        wrong()
    except GraphError as error:
        print(error)
    else:
        raise AssertionError("not refused")

# %% [markdown]
# ## Joining
#
# First what stands on both sides becomes a flow; then the two are merged, and the edges between them chosen.


# %%
#|exporti
class Turns:
    """What `round_robin` gives: several that take turns."""

    def __init__(self, targets: tuple[Any, ...]) -> None:
        self.targets = targets

    def __repr__(self) -> str:
        return f"<round_robin {', '.join(map(repr, self.targets))}>"

    def __rrshift__(self, other: Any) -> Flow:
        return _join(other, self)


def _as_flow(thing: Any, is_source: bool = False) -> Flow:
    """What stands beside `>>`, as a flow. is_source: on its left."""
    if isinstance(thing, Flow):
        return thing
    if isinstance(thing, Part):
        return thing._flow
    if isinstance(thing, End):
        return _of_end(thing, is_source)
    if isinstance(thing, (list, tuple)) and thing:
        return _of_list([_as_flow(each, is_source) for each in thing])
    if isinstance(thing, Turns) and not is_source:
        return _of_list([_as_flow(each) for each in thing.targets])
    if callable(thing) and not isinstance(thing, type):
        name = getattr(thing, "__name__", "it")
        _refuse("NotANode", f"{label(thing)} is a function and no node yet: write @node above it, or node({name})")
    what = "an empty list" if isinstance(thing, (list, tuple)) else f"{thing!r:.200}"
    _refuse(
        "NotANode",
        f"{what} cannot stand in a flow: that takes nodes, their ports, flows and lists of these, by their "
        "names and without a call",
    )


def _of_end(end: End, is_source: bool) -> Flow:
    flow, place = end._flow, end._source if is_source else end._target
    if place is None:
        here, needed, other = ("left", "output", "input") if is_source else ("right", "input", "output")
        ends = flow._tails if is_source else flow._heads
        there = [port for side in ends for port in (side.outputs if is_source else side.inputs)]
        _refuse(
            "WrongSide",
            f"{end!r} stands on the {here} of >>, where an {needed} belongs; the {needed}s there are: "
            f"{', '.join(there) or 'none'}",
            port=end._name,
            is_an=other,
        )
    exact = {end._name: place}
    if is_source:
        return Flow._of(flow._nodes, flow._edges, flow._heads, (Side(place[0], {}, exact, True),))
    return Flow._of(flow._nodes, flow._edges, (Side(place[0], exact, {}, True),), flow._tails)


def _of_list(flows: Sequence[Flow]) -> Flow:
    nodes: dict[str, Part] = {}
    edges: dict[Place, Place] = {}
    for flow in flows:
        nodes, edges = _merged(nodes, flow._nodes), _merged_edges(edges, flow._edges)
    heads = tuple(side for flow in flows for side in flow._heads)
    return Flow._of(nodes, edges, heads, tuple(side for flow in flows for side in flow._tails))


# %%
#|exporti
def _names(sides: Iterable[Side]) -> str:
    return f"[{', '.join(side.name for side in sides)}]"


class Pair(NamedTuple):
    """An edge that could be."""

    source: Place
    target: Place
    can_meet: bool
    is_needed: bool  # whether the target must have a packet

    def __str__(self) -> str:
        return f"{_told(self.source)} >> {_told(self.target)}"


class Choice:
    """Chooses edges, among these nodes and besides these edges."""

    def __init__(self, nodes: dict[str, Part], edges: dict[Place, Place]) -> None:
        self.nodes, self.edges = nodes, edges

    def add(self, source: Place, target: Place) -> None:
        """An edge."""
        self.edges = _merged_edges(self.edges, {source: target})

    def one(self, left: Side, right: Side) -> None:
        """The edge between two sides, where there is one that it can only be."""
        pair = self.choose(left, right, self.outputs(left, right), self.inputs(left, right))
        self.add(pair.source, pair.target)

    def outputs(self, left: Side, right: Side) -> list[Place]:
        """The outputs that have no edge, or the one that was named."""
        free = [place for place in left.outputs.values() if left.is_exact or place not in self.edges]
        if not free:
            there = (
                f"all of its outputs have an edge: {', '.join(left.outputs)}"
                if left.outputs
                else "it has no output port"
            )
            why = " (a function that is annotated `-> None` sends nothing)" if not left.outputs else ""
            _refuse(
                "NoOutput", f"{left.name} >> {right.name}: nothing can leave {left.name}, {there}{why}", node=left.name
            )
        return free

    def inputs(self, left: Side, right: Side) -> list[Place]:
        """The inputs that have no edge, or the one that was named."""
        taken = set(self.edges.values())
        free = [place for place in right.inputs.values() if right.is_exact or place not in taken]
        if not free:
            if right.inputs:
                ends = [f"{left.name} >> {_told(place)}" for place in right.inputs.values()]
                why = f"all of its inputs have an edge. To bring packets of both to one name it: {' or '.join(ends)}"
            else:
                why = "it has no input port: give its function a parameter"
            _refuse("NoInput", f"{left.name} >> {right.name}: nothing can enter {right.name}, {why}", node=right.name)
        return free

    def choose(self, left: Side, right: Side, sources: Iterable[Place], targets: Iterable[Place]) -> Pair:
        """The only pair that can meet. Inputs that need no packet count where there are no others."""
        pairs = [self.pair(source, target) for source in sources for target in targets]
        able = [pair for pair in pairs if pair.can_meet]
        able = [pair for pair in able if pair.is_needed] or able
        if not able:
            self._never_meet(left, right, pairs)
        if len(able) > 1:
            _refuse(
                "Ambiguous",
                f"{left.name} >> {right.name} could be {' or '.join(map(str, able))}. Write the one that you mean",
                candidates=[str(pair) for pair in able],
            )
        return able[0]

    def pair(self, source: Place, target: Place) -> Pair:
        """What is to be known of an edge that could be."""
        sent, taken = (None if spec is None else port_type(spec) for spec in self.types(source, target))
        meets = sent is None or taken is None or can_meet(sent, taken)
        return Pair(source, target, meets, target[1] not in self.nodes[target[0]]._ports().optional)

    def types(self, source: Place, target: Place) -> tuple[Any, Any]:
        """The types of both ends."""
        return self.nodes[source[0]]._ports().outputs[source[1]], self.nodes[target[0]]._ports().inputs[target[1]]

    def _never_meet(self, left: Side, right: Side, pairs: list[Pair]) -> NoReturn:
        told = []
        for pair in pairs:
            sent, taken = map(port_type, self.types(pair.source, pair.target))
            told.append(f"{pair} joins {sent} to {taken}")
        _refuse(
            "PortTypesNeverMeet",
            f"{'; '.join(told)}, which can never meet. Change one of the hints, or put a node between that converts",
            edges=[str(pair) for pair in pairs],
        )


# %% [markdown]
# One to several needs a node between, several to one needs names.


# %%
#|exporti
_SPREADS = {"broadcast": "copies", "round_robin": "turns"}


def _port_names(targets: Sequence[Place]) -> list[str]:
    """Names of outputs that lead to these: by the nodes, with the port where a node is there twice."""
    names = [name.rpartition("/")[2] for name, _ in targets]
    if len(set(names)) < len(names):
        names = [_told(place).replace(".", "_").replace("/", "_") for place in targets]
    return names


class Join(Choice):
    """Edges where there are several on a side."""

    def spread(self, left: Side, rights: Sequence[Side], factory: str) -> None:
        """Edges from one output to several inputs, through a node that a factory makes."""
        chosen = []
        for right in rights:
            chosen.append(self.choose(left, right, self.outputs(left, right), self.inputs(left, right)))
        sources = {pair.source for pair in chosen}
        if len(sources) > 1:
            _refuse(
                "Ambiguous",
                f"{left.name} >> {_names(rights)} begins at more than one output: {', '.join(map(str, chosen))}. Name the output "
                "on the left, or write an edge for each in one Flow(...)",
            )
        source = chosen[0].source
        targets = [pair.target for pair in chosen]
        if len(set(targets)) < len(targets):
            _refuse(
                "SameTarget", f"{left.name} >> {_names(rights)}: {_told(targets[0])} is there twice. Name its ports"
            )
        stem = source[0] if source[1] == "out" else f"{source[0]}_{source[1]}"
        name, names = f"{stem}_{_SPREADS[factory]}", _port_names(targets)
        sent = self.types(source, targets[0])[0]
        ports = Ports({"in": sent}, dict.fromkeys(names, sent), frozenset())
        part = Template(name, f"netrun.factories.{factory}", {"outputs": names}, ports)
        self.add(source, (name, "in"))
        self.nodes = _merged(self.nodes, {name: part})
        for port, target in zip(names, targets, strict=True):
            self.add((name, port), target)

    def by_name(self, lefts: Sequence[Side], right: Side) -> None:
        """Edges from several to the inputs of one, by names."""
        for left in lefts:
            outputs, inputs = self.outputs(left, right), right.inputs
            name = left.name.rpartition("/")[2]
            if name in inputs:
                pair = self.choose(left, right, outputs, [inputs[name]])
                self.add(pair.source, pair.target)
                continue
            bearing = [place for place in outputs if place[1] in inputs]
            if len(bearing) != 1:
                _refuse(
                    "NoSuchInput",
                    f"{_names(lefts)} >> {right.name}: {right.name} has no input called {left.name!r} as the node is, nor as its "
                    f"output ({', '.join(place[1] for place in outputs)}); its inputs are {', '.join(inputs)}. Name the ends: "
                    f"Flow({', '.join(f'{_told(outputs[0])} >> {right.name}.{port}' for port in list(inputs)[:1])}, ...)",
                    node=left.name,
                )
            pair = self.choose(left, right, bearing, [inputs[bearing[0][1]]])
            self.add(pair.source, pair.target)


# %%
#|exporti
def _join(left: Any, right: Any) -> Flow:
    """`left >> right`."""
    a, b = _as_flow(left, is_source=True), _as_flow(right)
    nodes = _merged(a._nodes, b._nodes)
    join = Join(nodes, _merged_edges(a._edges, b._edges))
    if len(a._tails) == 1 and len(b._heads) == 1:
        join.one(a._tails[0], b._heads[0])
    elif len(a._tails) == 1:
        join.spread(a._tails[0], b._heads, "round_robin" if isinstance(right, Turns) else "broadcast")
    elif len(b._heads) == 1:
        join.by_name(a._tails, b._heads[0])
    else:
        _refuse(
            "SeveralToSeveral",
            f"{_names(a._tails)} >> {_names(b._heads)}: several to several says not which to which. Write an edge for each, "
            "in one Flow(a >> c, b >> d)",
        )
    return Flow._of(join.nodes, join.edges, a._heads, b._tails)


# %% [markdown]
# `round_robin` is for the right of `>>`: it deals packets out, each to the next of the targets.


# %%
#|export
def round_robin(*targets: Any) -> Turns:
    """What packets go to in turn: `a >> round_robin(b, c)`. To share work among equals, `max_parallel_epochs` and pools do
    more."""
    if not targets:
        _refuse("NotANode", "round_robin needs the nodes that take turns: a >> round_robin(b, c)")
    return Turns(targets)


# %% [markdown]
# ## From a flow to a net
#
# Each part is made by its factory: the graph has what it says of ports and conditions, the net gets functions, options and
# types.


# %%
#|exporti
class Assembly:
    """The graph of a flow, and what its nodes do."""

    def __init__(self, flow: Flow) -> None:
        self._parts = flow._nodes
        self._made = {name: part._make() for name, part in flow._nodes.items()}
        nodes = [Node(name, **made.spec) for name, made in self._made.items()]
        self.graph = Graph(
            nodes,
            [
                Edge(PortRef(a, PortType.Output, out), PortRef(b, PortType.Input, into))
                for (a, out), (b, into) in flow._edges.items()
            ],
        )

    def furnish(self, net: Any) -> None:
        """Give the net's nodes their functions, options and types."""
        for name, part in self._parts.items():
            made, hooks = self._made[name], part._hooks
            net.set_node_exec(name, made.functions[0], *(hooks.get(hook) for hook in _HOOKS))
            if part._options:
                net.set_node_config(name, **part._options)
            for (side, port), spec in made.types.items():
                (net.set_input_port_type if side == "in_ports" else net.set_output_port_type)(name, port, spec)


def assembled(thing: Any) -> Assembly:
    """What a net is made of that was given something else than a graph."""
    if not isinstance(thing, (Wires, list, tuple)):
        is_function = callable(thing) and not isinstance(thing, type)
        what = f"{label(thing)}. Write @node above it" if is_function else f"{thing!r:.200}"
        raise ConfigError(f"a net is made of a Graph, a Flow or a node, not of {what}.")
    return Assembly(_as_flow(thing))
