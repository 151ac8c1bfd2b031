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
from functools import reduce
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

        try:
            return picture(self)._repr_mimebundle_(include, exclude)
        except GraphError:  # hints cannot be read, which is what the text says
            return {"text/plain": repr(self)}


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


def _by_port(name: str) -> str:
    """How a port is reached whose name is hidden."""
    return "" if name.startswith("__") else f' A port of this name is .port("{name}").'


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

    def __dir__(self) -> list[str]:
        try:
            return [*super().__dir__(), *self._flow._free_names()]
        except GraphError:  # its hints cannot be read
            return [*super().__dir__()]

    def _base(self) -> str:
        """What it is called where it is written."""
        return self._name

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
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}.{_by_port(name)}")
        try:
            return self._flow._end(name)
        except GraphError as error:  # its hints cannot be read
            raise AttributeError(f"{name!r} is not known: {error}") from error


def _written(part: Part, port: str | None = None) -> str:
    """A node or a port of it, as one would write it."""
    name = part._name if part._name.isidentifier() else f'{part._base()}.named("{part._name}")'
    return name if port is None else f"{name}.{port}" if port.isidentifier() else f'{name}.port("{port}")'


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
        nodes, edges = _together(map(_as_flow, wirings))
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

    def _free_names(self) -> list[str]:
        """The names of its ports."""
        return [port for side in self._heads for port in side.inputs] + [
            port for side in self._tails for port in side.outputs
        ]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._free_names()]

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a flow is neither true nor false. To join wirings write Flow(a >> b, c >> d), not `and` or `or`."
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"'Flow' object has no attribute {name!r}.{_by_port(name)}")
        return self._end(name)

    def __repr__(self) -> str:
        edges = [f"{_told(source)} >> {_told(target)}" for source, target in self._edges.items()]
        joined = {name for edge in self._edges.items() for name, _ in edge}
        return f"<Flow {', '.join([*edges, *(name for name in self._nodes if name not in joined)])}>"


# %%
#|exporti
class Wiring(NamedTuple):
    """Nodes and edges."""

    nodes: dict[str, Part]
    edges: dict[Place, Place]

    def ends(self, source: Place) -> list[Place]:
        """Where an output leads, by way of a node that `>>` has put between."""
        target = self.edges[source]
        between = self.nodes.get(target[0])
        if not isinstance(between, Template):
            return [target]
        return [self.edges[between._name, port] for port in between._ports().outputs]

    def told(self, place: Place) -> str:
        """A port, as one would write it."""
        return _written(self.nodes[place[0]], place[1])

    def merged(self, others: "Wiring") -> "Wiring":
        """Both. A node that is in both is one node."""
        both = Wiring({**others.nodes, **self.nodes}, {})
        for source in others.edges:
            if source not in self.edges or isinstance(both.nodes[source[0]], Template):
                continue
            some, more = self.ends(source), others.ends(source)
            if self.edges[source] != others.edges[source] or some != more:
                _refuse_second(both, source, some, more)
        for name, part in others.nodes.items():
            there = self.nodes.get(name, part)
            if there is not part and there != part:
                _refuse(
                    "DuplicateNode",
                    f"two different nodes are called {name!r}: {there._made_of()} and {part._made_of()}. Call one of them "
                    f'something else: {part._base()}.named("...")',
                    node=name,
                )
        return Wiring({**self.nodes, **others.nodes}, {**self.edges, **others.edges})


def _refuse_second(both: Wiring, source: Place, some: list[Place], more: list[Place]) -> NoReturn:
    """An output has one edge."""
    first, second = [[both.told(place) for place in places] for places in (some, more)]
    new = [end for end in second if end not in first] or second
    is_only = len(both.nodes[source[0]]._ports().outputs) == 1
    begin = _written(both.nodes[source[0]]) if is_only else both.told(source)
    _refuse(
        "SecondEdge",
        f"{both.told(source)} >> {' and '.join(new)}: {both.told(source)} has an edge to {' and '.join(first)} already, and an "
        f"output port has one. To send each packet to all of them write {begin} >> [{', '.join(dict.fromkeys([*first, *second]))}]",
        source=_told(source),
        target=_told(more[0]),
        first=_told(some[0]),
    )


def _free(nodes: Mapping[str, Part], edges: Mapping[Place, Place]) -> tuple[dict[str, Place], dict[str, Place]]:
    """The inputs and outputs without an edge: by the port's name, with the node's where several have it."""
    sides = []
    for kind, taken in ((0, set(edges.values())), (1, set(edges))):
        places = [
            (name, port) for name, part in nodes.items() for port in part._ports()[kind] if (name, port) not in taken
        ]
        names = [port for _, port in places]
        sides.append({place[1] if names.count(place[1]) == 1 else _told(place): place for place in places})
    return sides[0], sides[1]


def _exposed(
    nodes: Mapping[str, Part], edges: Mapping[Place, Place], expose: Mapping[str, End]
) -> tuple[dict[str, Place], dict[str, Place]]:
    inputs: dict[str, Place] = {}
    outputs: dict[str, Place] = {}
    if not isinstance(expose, Mapping):
        _refuse("Expose", f'expose says names of ports, as in {{"text": node.x}}, not {expose!r:.200}')
    for name, end in expose.items():
        if not isinstance(name, str) or not name or name.startswith("_") or hasattr(Flow, name):
            _refuse(
                "Expose",
                f"{name!r} is no name for a port that is exposed: it is to be an attribute of the flow, so choose a word that "
                "begins with no underscore and is none of its methods",
                name=name,
            )
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
def _together(flows: Iterable[Flow]) -> Wiring:
    """The nodes and edges of flows."""
    return reduce(Wiring.merged, (Wiring(flow._nodes, flow._edges) for flow in flows), Wiring({}, {}))


class Turns:
    """What `round_robin` gives: several that take turns, on the right of `>>`."""

    def __init__(self, targets: tuple[Any, ...]) -> None:
        self._targets = [_as_flow(each, is_source=False) for each in targets]
        for flow in self._targets:
            if len(flow._heads) != 1:
                _refuse(
                    "SeveralInTurn",
                    f"round_robin lets one after the other have a packet, and {_names(flow._heads)} is several. Put a node before "
                    "them that sends to each, or name one port",
                )

    def __rrshift__(self, other: Any) -> Flow:
        return _join(other, self)

    def __repr__(self) -> str:
        return f"round_robin({', '.join(flow._heads[0].name for flow in self._targets)})"


def _as_flow(thing: Any, is_source: bool | None = None) -> Flow:
    """What stands beside `>>`, as a flow. is_source: on its left, or on its right; None: beside none."""
    if isinstance(thing, Flow):
        return thing
    if isinstance(thing, Part):
        return thing._flow
    if isinstance(thing, End):
        return thing._flow if is_source is None else _of_end(thing, is_source)
    if isinstance(thing, (list, tuple)) and thing:
        return _of_list([_as_flow(each, is_source) for each in thing])
    if isinstance(thing, Turns):
        _refuse("TurnsWithin", f"{thing!r} stands alone on the right of one >>: a >> {thing!r}")
    if callable(thing):
        name = getattr(thing, "__name__", "it")
        what = "class" if isinstance(thing, type) else "function"
        _refuse("NotANode", f"{label(thing)} is a {what} and no node yet: write @node above it, or node({name})")
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
    nodes, edges = _together(flows)
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
    text: str

    def __str__(self) -> str:
        return self.text


class Choice:
    """Chooses edges, besides those of a wiring."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring

    def add(self, edges: dict[Place, Place], nodes: dict[str, Part] | None = None) -> None:
        """More edges, and nodes."""
        self.wiring = self.wiring.merged(Wiring({**self.wiring.nodes, **(nodes or {})}, edges))

    def one(self, left: Side, right: Side) -> None:
        """The edge between two sides, where there is one that it can only be."""
        pair = self.choose(left, right, self.outputs(left, right), self.inputs(left, right))
        self.add({pair.source: pair.target})

    def outputs(self, left: Side, right: Side) -> list[Place]:
        """The outputs that have no edge, or the one that was named."""
        free = [place for place in left.outputs.values() if left.is_exact or place not in self.wiring.edges]
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
        taken = set(self.wiring.edges.values())
        free = [place for place in right.inputs.values() if right.is_exact or place not in taken]
        if not free:
            if right.inputs:
                ends = [f"{left.name} >> {self.wiring.told(place)}" for place in right.inputs.values()]
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
        is_needed = target[1] not in self.wiring.nodes[target[0]]._ports().optional
        return Pair(source, target, meets, is_needed, f"{self.wiring.told(source)} >> {self.wiring.told(target)}")

    def types(self, source: Place, target: Place) -> tuple[Any, Any]:
        """The types of both ends."""
        nodes = self.wiring.nodes
        return nodes[source[0]]._ports().outputs[source[1]], nodes[target[0]]._ports().inputs[target[1]]

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
# One to several needs a node between, several to one needs names. The node between sends the very object that came to each:
# copying values is not the runtime's to do.


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
        leads: dict[Place, Place] = {(name, port): target for port, target in zip(names, targets, strict=True)}
        self.add({source: (name, "in"), **leads}, {name: part})

    def by_name(self, lefts: Sequence[Side], right: Side) -> None:
        """Edges from several to the inputs of one, by names."""
        for left in lefts:
            outputs, inputs = self.outputs(left, right), right.inputs
            name = left.name.rpartition("/")[2]
            if name in inputs:
                pair = self.choose(left, right, outputs, [inputs[name]])
                self.add({pair.source: pair.target})
                continue
            bearing = [place for place in outputs if place[1] in inputs]
            if len(bearing) != 1:
                _refuse(
                    "NoSuchInput",
                    f"{_names(lefts)} >> {right.name}: {right.name} has no input called {left.name!r} as the node is, nor as its "
                    f"output ({', '.join(place[1] for place in outputs)}); its inputs are {', '.join(inputs)}. Name the ends: "
                    f"Flow({', '.join(f'{self.wiring.told(outputs[0])} >> {self.wiring.told(place)}' for place in list(inputs.values())[:1])}, ...)",
                    node=left.name,
                )
            pair = self.choose(left, right, bearing, [inputs[bearing[0][1]]])
            self.add({pair.source: pair.target})


# %%
#|exporti
def _join(left: Any, right: Any) -> Flow:
    """`left >> right`."""
    a = _as_flow(left, is_source=True)
    b = _of_list(right._targets) if isinstance(right, Turns) else _as_flow(right, is_source=False)
    join = Join(_together([a, b]))
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
    return Flow._of(*join.wiring, a._heads, b._tails)


# %% [markdown]
# `round_robin` is for the right of `>>`: it deals packets out, each to the next of the targets.


# %%
#|export
def round_robin(*targets: Any) -> Turns:
    """What packets go to in turn: `a >> round_robin(b, c)`, nodes or ports, alone on the right of a `>>`. To share work among
    equals, `max_parallel_epochs` and pools do more. A net that is resumed from a checkpoint begins with the first again.

    Raises `GraphError`.
    """
    if not targets:
        _refuse("NotANode", "round_robin needs the nodes that take turns: a >> round_robin(b, c)")
    return Turns(targets)


# %%
from netrun import round_robin

print(double >> round_robin(double.named("b"), add.x))
for wrong in [
    lambda: double >> [round_robin(double.named("b"), add.x), add.y],
    lambda: double >> round_robin([double.named("b"), add.x], add.y),
    lambda: Flow(round_robin(double, add)),
    lambda: Flow(double >> [add.x, double.named("b")], double.out >> add.y),
]:
    try:
        wrong()
    except GraphError as error:
        print(error)
    else:
        raise AssertionError("not refused")

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
        self.exposed = {name: place for side in flow._heads for name, place in side.inputs.items()}
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
