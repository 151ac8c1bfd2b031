# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Port types
#
# A port may say what it takes. A packet's value is checked when it is loaded into an output port that says so, and when it
# is consumed from an input port that does; before anything has changed, so a packet that is refused stays where it was.
#
# ```
#   A ── load into A.out: is it what A.out takes? ──> edge ──> consume from B.in: is it what B.in takes? ──> B
#              └──────── PacketTypeMismatch: node, port, packet, expected, got ────────┘
# ```
#
# | spec | takes |
# |---|---|
# | `"DataFrame"` | what has a class of this name among its class and the classes that this derives from |
# | `Order` | `isinstance(value, Order)` |
# | `{"class": Order, "isinstance": False}` | exactly an `Order`, nothing derived from it |
# | `{"class": Order, "subclass": True}` | a class: `Order`, or one derived from it |
# | `list[int]`, `int \| None`, `Literal["a", "b"]`, a protocol | as `typing` has it; of a generic the origin is checked: `list` |
# | `IO[str]`, `TextIO`, `BinaryIO` | everything: files are no instances of these |
# | `None` | everything: no check |
#
# In a table, `"class"` may be text too. So a spec of text and tables can be written in TOML.

# %%
#|default_exp port_types

# %%
#|export
import builtins
import types
import typing
from abc import ABCMeta
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from netrun_sim import InputPortNotFoundError, OutputPortNotFoundError

from netrun.core import ConfigError, GraphError, GraphFinding, told_type, unknown_name
from netrun.ledger import Ledger
from netrun.routing import Door, Wire

# %% [markdown]
# ## One thing that a port takes
#
# A class is given by itself, or by its name. `numpy.int64` is no `int`, and `True` is one: as Python has it.


# %%
#|exporti
class One(NamedTuple):
    """One kind of values: `instance` of a class, `exact`ly of it, a `subclass` of it, one of some `literal`s, or `any`."""

    kind: str
    what: Any = None  # a class or the name of one; for literals, the values

    def takes(self, value: Any) -> bool:
        """Whether a value is of this kind."""
        match self.kind:
            case "instance":
                return _is_a(type(value), self.what) if isinstance(self.what, str) else isinstance(value, self.what)
            case "exact":
                return _is_exactly(type(value), self.what)
            case "subclass":
                return isinstance(value, type) and _is_a(value, self.what)
            case "literal":
                return any(type(one) is type(value) and one == value for one in self.what)
        return True


def _is_a(cls: type, what: Any) -> bool:
    """Whether a class is another one, or derives from it."""
    if isinstance(what, str):
        return any(base.__name__ == what for base in type.mro(cls))
    return issubclass(cls, what)


def _known(what: Any) -> Any:
    """The class that a name stands for, where it is that of a builtin."""
    found = types.NoneType if what == "NoneType" else getattr(builtins, what, None) if isinstance(what, str) else what
    return found if isinstance(found, type) else what


def _is_exactly(cls: type, what: Any) -> bool:
    return cls.__name__ == what if isinstance(what, str) else cls is what


# %%
assert One("instance", int).takes(True) and not One("exact", int).takes(True)
assert One("instance", "int").takes(True) and not One("exact", "int").takes(True)
assert One("subclass", Exception).takes(KeyError) and not One("subclass", Exception).takes(KeyError())

# %% [markdown]
# ## From a spec to what it takes


# %%
#|export
@dataclass(frozen=True)
class PortSpec:
    """What a port takes: any of some kinds. `spec` is how it was given."""

    spec: Any
    kinds: tuple[One, ...]

    def takes(self, value: Any) -> bool:
        """Whether the port takes a value."""
        return any(kind.takes(value) for kind in self.kinds)

    def __str__(self) -> str:
        return told_type(self.spec)


def port_type(spec: Any) -> PortSpec | None:
    """What a spec says; None where it says nothing. Raises `ConfigError` for what is no spec."""
    if spec is None:
        return None
    spec = _own(spec)
    kinds = [_of_table(spec)] if isinstance(spec, dict) else list(_kinds(spec))
    return None if any(kind.kind == "any" for kind in kinds) else PortSpec(spec, tuple(kinds))


# %%
#|exporti
def _own(spec: Any) -> Any:
    """A table of our own, which nobody else changes."""
    return dict(spec) if isinstance(spec, dict) else spec


_OPTIONS = ("class", "isinstance", "subclass")


def _of_table(table: dict[str, Any]) -> One:
    for name in table:
        if name not in _OPTIONS:
            raise ConfigError(f"port type {table!r}: {unknown_name('option', name, _OPTIONS)}")
    exact, subclass = table.get("isinstance", True) is False, table.get("subclass", False)
    if "class" not in table or not all(isinstance(table.get(name, True), bool) for name in _OPTIONS[1:]):
        raise ConfigError(f"port type {table!r}: needs a 'class', and True or False for the rest.")
    if exact and subclass:
        raise ConfigError(
            f"port type {table!r}: 'isinstance': False is for values, 'subclass' for classes; choose one."
        )
    (kind, *others) = _kinds(table["class"])
    if others or kind.kind not in ("instance", "any"):
        raise ConfigError(f"port type {table!r}: 'class' must be one class, or the name of one.")
    what = object if kind.kind == "any" else kind.what
    try:
        _is_a(object, what)
    except TypeError as error:
        raise ConfigError(f"port type {table!r}: classes cannot be checked for it ({error}).") from error
    return One("subclass" if subclass else "exact", what) if subclass or exact else One("instance", what)


_NOMINAL = (typing.IO, typing.TextIO, typing.BinaryIO)  # which no file derives from


def _kinds(spec: Any) -> Iterable[One]:
    """The kinds of values that a class, a name or something of `typing` stands for."""
    if isinstance(spec, str):
        if not spec.isidentifier():
            raise ConfigError(f"port type {spec!r}: give the name of a class alone, such as 'DataFrame', or the class.")
        if spec in ("None", "Any"):
            return _kinds(None if spec == "None" else Any)
        return [One("instance", getattr(_known(spec), "__name__", spec))]  # "IOError" is another name of OSError
    if any(spec is each for each in (Any, object, *_NOMINAL)):
        return [One("any")]
    if spec is None:
        return [One("instance", type(None))]
    origin, arguments = typing.get_origin(spec), typing.get_args(spec)
    if origin in (typing.Union, types.UnionType):
        return [kind for argument in arguments for kind in _kinds(argument)]
    if origin is typing.Literal:
        return [One("literal", arguments)]
    meant = _meant(spec, origin, arguments)
    return _kinds(meant) if meant is not spec else [One("instance", _class(spec))]


def _meant(spec: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    """What something of `typing` stands for; itself, where it is a class."""
    if origin is typing.Annotated:
        return arguments[0]
    if origin is not None:
        return origin
    if isinstance(spec, typing.ForwardRef):
        return spec.__forward_arg__
    if isinstance(spec, typing.TypeVar):
        return typing.Union[spec.__constraints__] if spec.__constraints__ else spec.__bound__ or Any  # noqa: UP007
    if isinstance(spec, typing.NewType):
        return spec.__supertype__
    if type(spec).__name__ == "TypeAliasType":  # a `type X = ...`
        return spec.__value__
    return dict if typing.is_typeddict(spec) else spec


def _class(spec: Any) -> type:
    """A class that values can be checked for, or `ConfigError`."""
    if not isinstance(spec, type):
        raise ConfigError(f"port type {spec!r}: must be a class, the name of one, a table with 'class', or None.")
    try:
        isinstance(None, spec)
    except Exception as error:
        raise ConfigError(f"port type {spec!r}: values cannot be checked for it ({error}).") from error
    return spec


# %%
for spec, good, bad in [
    ("int", True, "1"),
    (int | None, None, 1.0),
    (list[int], ["not looked at"], (1,)),
    ({"class": int, "isinstance": False}, 1, True),
    ({"class": "Exception", "subclass": True}, KeyError, KeyError()),
    (typing.Literal["a", "b"], "a", "c"),
]:
    assert port_type(spec).takes(good) and not port_type(spec).takes(bad)
    print(port_type(spec))
assert port_type(None) is port_type(Any) is None
for bad in [5, "pandas.DataFrame", {"class": int, "exact": True}, {"isinstance": True}, {"class": int | str}]:
    try:
        port_type(bad)
    except ConfigError as error:
        print(error)
    else:
        raise AssertionError(f"{bad} was accepted")

# %% [markdown]
# ## Types that can never meet
#
# An edge joins two ports. If no value can be what both take, that is known when the second one is declared, and need not wait
# for the millionth packet.
#
# | | can meet when |
# |---|---|
# | two classes | a class that exists is or derives from both; or one is abstract, a protocol, or decides by itself what its instances are |
# | a class and a name | the name is not that of a builtin; else as two classes, and also when a class that exists has that name |
# | exactly a class, and another kind | the class is of that kind |
# | a class as a value, and a value | the value is a class, or what classes are instances of |
#
# So what both take is never refused, as far as the classes exist when the second port is declared.


# %%
#|export
def can_meet(one: PortSpec, other: PortSpec) -> bool:
    """Whether there can be a value that both take."""
    return any(_meet(a, b) for a in one.kinds for b in other.kinds)


# %%
#|exporti
def _meet(a: One, b: One) -> bool:
    if a.kind == "literal" or b.kind == "literal":
        literal, other = (a, b) if a.kind == "literal" else (b, a)
        return any(other.takes(value) for value in literal.what)
    if a.kind != b.kind and "subclass" in (a.kind, b.kind):  # the value is a class: what is that an instance of?
        a, b = One("instance", type), (b if a.kind == "subclass" else a)
    if a.kind == b.kind == "exact":
        return _same(a.what, b.what)
    if any(one.kind == "exact" and isinstance(_known(one.what), str) for one in (a, b)):
        return True
    if "exact" not in (a.kind, b.kind) and (_is_open(a.what) or _is_open(b.what)):
        return True
    return any(_fits(cls, a) and _fits(cls, b) for cls in chain(_classes(a), _classes(b)))


def _same(first: Any, second: Any) -> bool:
    """Whether two classes are the same, of which there may be only the name."""
    if isinstance(first, str) or isinstance(second, str):
        return bool(getattr(first, "__name__", first) == getattr(second, "__name__", second))
    return first is second


_BY_MRO: Any = type.__instancecheck__
_BY_CLASS: Any = (_BY_MRO, ABCMeta.__instancecheck__)  # of classes that look at a value's class alone


def _is_open(what: Any) -> bool:
    """Whether more may be of a class than derives from it: it decides by itself, or nothing is known but its name."""
    cls = _known(what)
    return isinstance(cls, str) or type(cls).__instancecheck__ is not _BY_MRO


def _fits(cls: type, one: One) -> bool:
    """Whether values whose class this is are of a kind (of a `subclass`, whether the class itself is)."""
    if one.kind == "exact":
        return _is_exactly(cls, one.what)
    if (
        isinstance(one.what, type) and type(one.what).__instancecheck__ not in _BY_CLASS
    ):  # a protocol: a value may have what its class has not
        return True
    return _is_a(cls, one.what)


def _classes(one: One) -> Iterable[type]:
    """The classes that exist and are of a kind."""
    cls = _known(one.what)
    if isinstance(cls, type):
        yield cls
        if one.kind != "exact":
            yield from _derived(cls)


def _derived(cls: type) -> set[type]:
    """The classes that exist and derive from this one."""
    found, new = set[type](), [cls]
    while new:
        fresh: set[type] = set(type.__subclasses__(new.pop())) - found
        found |= fresh
        new += fresh
    return found


# %%
class Base: ...


class Mixin: ...


meets = lambda one, other: can_meet(port_type(one), port_type(other))
assert meets(bool, "int") and meets(int | str, str | bytes) and meets("DataFrame", dict) and meets(typing.Sized, int)
assert not meets(int, str) and not meets("int", "str") and not meets(int | None, str) and not meets(Base, Mixin)


class Both(Base, Mixin): ...


assert meets(Base, Mixin)  # now there is one

# %% [markdown]
# ## Declaring


# %%
#|export
class PortTypes:
    """The types of a net's ports."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def set_input(self, node_name: str, port: str, spec: Any) -> Door:
        """Say what an input port takes. Raises `GraphError` when an edge into it can never bring such a value."""
        door, new = self._input(node_name, port), port_type(spec)
        sources = [wire.edge.source for wire in door.gates[port].wires if wire.edge is not None]
        for source in sources:
            self._must_meet(self._ledger.doors[source.node_name], source.port_name, door, port, target=new)
        door.in_types = _with(door.in_types, port, new)
        door.is_typed = self._is_typed(door)
        return door

    def set_output(self, node_name: str, port: str, spec: Any) -> Door:
        """Say what an output port takes. Raises `GraphError` when the port behind it never takes such a value."""
        door, new = self._output(node_name, port), port_type(spec)
        out = door.outs[port]
        if isinstance(out, Wire):
            self._must_meet(door, port, out.gate.door, out.gate.port, source=new)
        door.out_types = _with(door.out_types, port, new)
        if isinstance(out, Wire):
            out.gate.door.is_typed = self._is_typed(out.gate.door)
        return door

    def get_input(self, node_name: str, port: str) -> Any:
        """The spec of an input port, or None."""
        found = self._input(node_name, port).in_types.get(port)
        return None if found is None else _own(found.spec)

    def get_output(self, node_name: str, port: str) -> Any:
        """The spec of an output port, or None."""
        found = self._output(node_name, port).out_types.get(port)
        return None if found is None else _own(found.spec)

    def _input(self, node_name: str, port: str) -> Door:
        door = self._ledger.door(node_name)
        if port not in door.gates:
            raise InputPortNotFoundError(f"node {node_name!r}: {unknown_name('input port', port, door.gates)}")
        return door

    def _output(self, node_name: str, port: str) -> Door:
        door = self._ledger.door(node_name)
        if port not in door.outs:
            raise OutputPortNotFoundError(f"node {node_name!r}: {unknown_name('output port', port, door.outs)}")
        return door

    def _is_typed(self, door: Door) -> bool:
        """Whether what is consumed at a door is to be checked, for its own types or for those that it was sent from."""
        sources = [wire.edge.source for gate in door.gates.values() for wire in gate.wires if wire.edge is not None]
        behind = any(end.port_name in self._ledger.doors[end.node_name].out_types for end in sources)
        return behind or bool(door.in_types)

    def _must_meet(
        self, a: Door, out: str, b: Door, into: str, source: PortSpec | None = None, target: PortSpec | None = None
    ) -> None:
        source, target = source or a.out_types.get(out), target or b.in_types.get(into)
        if source is None or target is None or can_meet(source, target):
            return
        ends = f"{a.node_name}.{out}", f"{b.node_name}.{into}"
        text = (
            f"the edge {ends[0]} -> {ends[1]} joins {source} to {target}, which can never meet. Change one of the types"
        )
        details = {"source": ends[0], "target": ends[1], "source_type": str(source), "target_type": str(target)}
        raise GraphError([GraphFinding("PortTypesNeverMeet", text, details)])


def _with(there: dict[str, Any], port: str, new: PortSpec | None) -> dict[str, Any]:
    """These types with one of them changed, in a new dictionary: what has the old one keeps it."""
    return {name: one for name, one in {**there, port: new}.items() if one is not None}


# %% [markdown]
# ## Types at work
#
# `Parse` may send numbers only, and says so; so does `Add`.

# %%
from netrun import *


def stage(name):
    has_any = lambda port: SalvoConditionTerm.port(port, PortState.non_empty())
    return Node(
        name,
        in_ports={"in": Port()},
        out_ports={"out": Port()},
        in_salvo_conditions={"in": SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, has_any("in"))},
        out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", has_any("out"))},
    )


edge = Edge(PortRef("Parse", PortType.Output, "out"), PortRef("Add", PortType.Input, "in"))
net = Net(Graph([stage("Parse"), stage("Add")], [edge]), on_error="continue")
net.set_node_exec("Parse", lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["in"][0])))
net.set_node_exec("Add", lambda ctx, packets: ctx.send("out", 1 + ctx.consume_packet(packets["in"][0])))
net.set_output_port_type("Parse", "out", int | float)
net.set_input_port_type("Add", "in", "int")
net.inject_packets("Parse", "in", [1, "two", 3.0])
net.start()
assert net.take_outputs("Add", "out") == [2]
for letter in net.dead_letter_queue:
    print(letter.exception)
    assert isinstance(letter.exception, PacketTypeMismatch)

# %% [markdown]
# What can never be is refused where it is declared, and changes nothing:

# %%
try:
    net.set_input_port_type("Add", "in", list[int])
except GraphError as error:
    print(error)
assert net.get_input_port_type("Add", "in") == "int" and net.get_output_port_type("Add", "out") is None
