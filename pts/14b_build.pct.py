# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Build: nets from functions
#
# A graph spelled out in the words of `netrun_sim` says everything, and three nodes take 25 lines. Mostly the functions say it
# already. `@node` makes a node of one, as [the chapter on functions](10a_functions.ipynb) tells, and `>>` joins nodes:
#
# ```python
# from netrun import Net, node
#
# @node
# def double(x: int) -> int:
#     return 2 * x
#
# @node(pool="io", retries=2)
# def fetch(x: int) -> str:
#     return f"page {x}"
#
# net = Net(double >> fetch, thread_pools={"io": {"size": 8}})
# print(net.run(x=[1, 2, 3]))  # {'fetch.out': ['page 2', 'page 4', 'page 6']}
# ```
#
# | written | means |
# |---|---|
# | `a >> b` | an edge, where one free output of `a` meets one input of `b`; else an error that lists the candidates |
# | `a.out >> b.x` | this edge |
# | `a >> [b, c]` | each packet to both, by a `broadcast` node between, since an output port has one edge; both get the same object |
# | `a >> round_robin(b, c)` | packets to `b` and `c` in turn |
# | `[a, b] >> c` | `a` to the input of `c` that is called `a`, `b` to that called `b` |
# | `a >> [b, c] >> d` | all of that |
# | `Flow(a >> b, b.left >> c)` | several wirings as one |
# | `flow.named("left")` | the same once more: its nodes are called `left/a`, `left/b` ... |
#
# An edge whose two types can never meet is refused where it is written.
#
# A packet that goes to both is copied, its value is not: `b` and `c` get the very same object, as two functions do that are
# called with one. Where one of them changes it (a list that it appends to), the other may see that; let it change a copy. In
# a process pool each has a copy of its own.

# %%
#|default_exp build

# %%
#|export
import inspect
import pickle
import re
import sys
from collections.abc import Callable, Mapping
from functools import update_wrapper
from types import MethodType
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar, overload

from netrun.core import ConfigError, GraphError, NodeConfig, unknown_name
from netrun.driver import is_async
from netrun.flows import _HOOKS, End, Part, Ports, _refuse
from netrun.functions import (
    Decorated,
    Reading,
    at_path,
    by_path,
    conditions,
    label,
    parse_when,
    read,
    signature_of,
    takes_turns,
    type_of_hint,
)
from netrun.making import Made, make_node
from netrun.paths import found_at, loaded
from netrun.port_types import port_type
from netrun.remote import REDUCERS, to_bytes

# %% [markdown]
# ## Nodes of functions
#
# The decorated function is called as before. Its options are checked at once, its hints when it is first wired, since they may
# name what comes later in the module. A sync generator that is in no pool gets `max_parallel_epochs=1`, unless it is given
# another number: its epochs come one after the other, as those of a sync function do. One that never ends is an epoch that
# never ends, which `pause` waits for and `stop` ends.


# %%
#|exporti
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
_FACTORY = "netrun.factories.from_function"


class Settings(NamedTuple):
    """What `@node` was given: the options of the node as they were set, its other functions, and `when`."""

    options: Mapping[str, Any]
    hooks: Mapping[str, Any]
    when: str | None

    def changed(self, given: Mapping[str, Any]) -> "Settings":
        """These with some of them changed. Raises `ConfigError`."""
        known = {*NodeConfig.__slots__, *_HOOKS, "when"}
        for name in given:
            if name not in known:
                raise ConfigError(unknown_name("node option", name, known))
        hooks = {**self.hooks, **{name: given[name] for name in _HOOKS if name in given}}
        changes = {name: given[name] for name in given if name in NodeConfig.__slots__}
        lists = {name: tuple(value) for name, value in changes.items() if isinstance(value, list)}
        options = {**self.options, **changes, **lists}
        if options.get("retries"):
            options = {"defer_net_actions": True, **options}
        for name, func in hooks.items():
            if func is not None and not callable(func):
                raise ConfigError(f"{name} must be callable, not {func!r:.200}.")
        NodeConfig().merged(**options)
        if given.get("when") is not None:
            parse_when(given["when"])
        return Settings(options, hooks, given.get("when", self.when))


# %%
#|export
class FunctionNode(Part, Decorated, Generic[Parameters, Result]):
    """A function as a node: what `@node` makes. Called, it is the function. Its ports are its attributes: `fetch.url`,
    `fetch.out`; `fetch.port("named")` where one is called as a method is, or begins with an underscore."""

    def __init__(
        self, func: Callable[Parameters, Result], name: str, settings: Settings, names: Mapping[str, Any]
    ) -> None:
        update_wrapper(self, func, updated=())  # what an object has in it are no attributes of its node
        self.__isabstractmethod__ = getattr(func, "__isabstractmethod__", False)
        if isinstance(func, MethodType):
            self.__self__ = func.__self__
        if is_async(func) and hasattr(inspect, "markcoroutinefunction"):
            inspect.markcoroutinefunction(self)
        self._func: Callable[Parameters, Result] = func
        self._name, self._settings, self._names = name, settings, names
        self._reading: Reading | None = None
        self._static: FunctionNode[..., Any] | None = None  # of a static method, the same for all
        self._origin: Any = self

    @property
    def _options(self) -> Mapping[str, Any]:  # type: ignore[override]
        options = self._settings.options
        return {"max_parallel_epochs": 1, **options} if takes_turns(self._func) and "pool" not in options else options

    @property
    def _hooks(self) -> Mapping[str, Any]:  # type: ignore[override]
        return self._settings.hooks

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return self._func(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and (name == "out" or name in inspect.signature(self._func).parameters):
            end = f"{self._name}.{name}"
            raise AttributeError(f"{end} is a port, which cannot be set. An edge is written `other >> {end}`.")
        super().__setattr__(name, value)

    def __get__(self, instance: Any, owner: Any = None) -> "FunctionNode[..., Any]":
        """The method of an object or a class, as a node. What is bound, and to what, is the function's own to say."""
        bind = getattr(type(self._func), "__get__", None)
        func = self._func if bind is None else bind(self._func, instance, owner)
        if func is self._func:
            return self
        if isinstance(func, MethodType):
            return FunctionNode(func, self._name, self._settings, self._names)
        self._static = self._static or FunctionNode(func, self._name, self._settings, self._names)
        return self._static

    def named(self, name: str) -> "FunctionNode[Parameters, Result]":
        """The same function as another node."""
        return self._again(_checked_name(name), self._settings)

    def with_options(self, **options: Any) -> "FunctionNode[Parameters, Result]":
        """The same node with some of its options changed, see `node`. Raises `ConfigError`."""
        if "name" in options:
            raise ConfigError(f"another name makes another node: {self._name}.named({options['name']!r}).")
        return self._again(self._name, self._settings.changed(options))

    def port(self, name: str) -> End:
        """The port of this name. Raises `AttributeError`."""
        return self._flow._end(name)

    def _again(self, name: str, settings: Settings) -> "FunctionNode[Parameters, Result]":
        other: FunctionNode[Parameters, Result] = FunctionNode(self._func, name, settings, self._names)
        other._origin = self._origin
        return other

    _called = named

    def _read(self) -> Reading:
        if self._reading is None:
            try:
                reading = read(self._func, self._names)
                if next(iter(reading.inputs), None) == "self":
                    raise ConfigError(
                        f"{label(self._func)} is a method: take it from an object, as in `thing.{self._name}`."
                    )
                conditions(reading, self._settings.when)
                self._reading = reading
            except ConfigError as error:
                _refuse("Function", f"node {self._name!r}: {error.what}", node=self._name)
        return self._reading

    def _ports(self) -> Ports:
        reading = self._read()
        return Ports(
            {port: type_of_hint(each.hint) for port, each in reading.inputs.items()},
            {port: type_of_hint(hint) for port, hint in reading.outputs.items()},
            frozenset(port for port, each in reading.inputs.items() if not each.is_required),
        )

    def _make(self) -> Made:
        func = self._func if found_at(self._func) is not None else self._origin
        when = self._settings.when
        return make_node(_FACTORY, {"func": func} if when is None else {"func": func, "when": when})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FunctionNode) or (self._name, self._settings) != (other._name, other._settings):
            return False
        some, others = (
            (func.__self__, func.__func__) if isinstance(func, MethodType) else (func,)
            for func in (self._func, other._func)
        )
        return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))

    def __hash__(self) -> int:
        return hash(self._name)

    def _reduced(self) -> Any:
        """For pickle: the name by which it is found, or all that it is."""
        path = found_at(self)
        is_here = path is not None and path.startswith(f"{self.__module__}.") and loaded(path) is self
        return path[len(self.__module__) + 1 :] if path is not None and is_here else super().__reduce_ex__(4)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """What a script or a notebook defines is found nowhere by others, so it goes as cloudpickle has it."""
        if self.__module__ != "__main__":
            return self._reduced()
        return _unpickled, (to_bytes([self]),)

    def __getstate__(self) -> Any:
        origin = None if self._origin is self else self._origin
        return by_path(self._func), self._name, self._settings, self._names, origin

    def __setstate__(self, state: Any) -> None:
        func, name, settings, names, origin = state
        FunctionNode.__init__(self, at_path(func), name, settings, names)
        self._origin = self if origin is None else origin

    def __copy__(self) -> "FunctionNode[Parameters, Result]":
        return self  # it never changes

    def __deepcopy__(self, memo: Any) -> "FunctionNode[Parameters, Result]":
        return self

    def _base(self) -> str:
        name = getattr(self._func, "__name__", "")
        return name if name.isidentifier() else "node(f)"

    def _made_of(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self._options.items())
        return f"{label(self._func)}{f' with {options}' if options else ''}"

    def __repr__(self) -> str:
        try:
            ports = self._ports()
        except GraphError as error:
            return f"<{error.findings[0].message}>"
        inputs = ", ".join(_typed(port, spec) for port, spec in ports.inputs.items())
        outputs = ", ".join(_typed(port, spec) for port, spec in ports.outputs.items()) or "nothing"
        return f"<node {self._name}({inputs}) -> {outputs}>"


REDUCERS[FunctionNode] = FunctionNode._reduced


def _unpickled(pickled: bytes) -> Any:
    """What `to_bytes` was given."""
    return pickle.loads(pickled)[0]


def _typed(port: str, spec: Any) -> str:
    return port if spec is None else f"{port}: {port_type(spec)}"


# %%
#|export
@overload
def node(func: Callable[Parameters, Result], /, **options: Any) -> FunctionNode[Parameters, Result]: ...


@overload
def node(**options: Any) -> Callable[[Callable[Parameters, Result]], FunctionNode[Parameters, Result]]: ...


def node(func: Any = None, /, **options: Any) -> Any:
    """A function as a node of a net, by `@node`, `@node(retries=2)`, or `node(func, name="again")`.

    func: sync or async, a method, a partial, an object that can be called. Its parameters are input ports (optional ones
        where they have a default), what it returns goes out at `out`; several outputs, batches and generators: see the
        chapter on functions.
    options: those of `NodeConfig` (`retries` sets `defer_net_actions` by itself); `name` in place of the function's;
        `when`, a salvo expression such as `"nonempty(a) and count(b) >= 2"`, in place of "each required port has a packet";
        `start_node_func`, `stop_node_func`, `exec_failed_node_func` as in `Net.set_node_exec`.

    Raises `ConfigError` for unknown options, bad values, and parameters that cannot be given by name.
    """
    frame = sys._getframe(1)
    names = {} if frame.f_locals is frame.f_globals else frame.f_locals

    def made(func: Any) -> Any:
        return _node_of(func, dict(options), names)

    return made if func is None else made(func)


def _node_of(func: Any, options: dict[str, Any], names: Mapping[str, Any]) -> FunctionNode[..., Any]:
    name = _checked_name(options.pop("name")) if "name" in options else None
    if isinstance(func, str):
        raise ConfigError(f"a name is given as node(name={func!r}).")
    if isinstance(func, FunctionNode):
        again = func.with_options(**options)
        return again if name is None else again.named(name)
    plain = func.__func__ if isinstance(func, (staticmethod, classmethod)) else func
    try:
        signature = signature_of(plain)
        settings = Settings({}, {}, None).changed(options)
    except ConfigError as error:
        place = label(func) if callable(func) else "@node"
        raise ConfigError(error.what if place in error.what else f"{place}: {error.what}") from error.__cause__
    annotations = [*(each.annotation for each in signature.parameters.values()), signature.return_annotation]
    words = {word for each in annotations for word in re.findall(r"\w+", str(each))}
    return FunctionNode(func, name or _name_of(func), settings, {word: names[word] for word in words if word in names})


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"the name of a node is a text, not {name!r:.200}.")
    return name


def _name_of(func: Any) -> str:
    while hasattr(func, "func") and not hasattr(func, "__name__"):  # a partial
        func = func.func
    return str(getattr(func, "__name__", type(func).__name__))


# %%
from collections.abc import Iterator

from netrun import node


@node
def double(x: int) -> int:
    return 2 * x


@node(retries=2)
def describe(number: int, unit: str = "m") -> str:
    return f"{number} {unit}"


assert double(4) == 8 and describe.named("again")(3) == "3 m"
print(double, describe)

# %% [markdown]
# Methods are taken from an object, class and static methods from their class; `@node` stands above `@classmethod` and
# `@staticmethod`.


# %%
class Scale:
    factor = 2

    def __init__(self, offset: int) -> None:
        self.offset = offset

    @node
    def moved(self, x: int) -> int:
        return x + self.offset

    @node
    @classmethod
    def scaled(cls, x: int) -> int:
        return x * cls.factor


from netrun import Net

assert Net(Scale(3).moved >> Scale.scaled).run(x=[1]) == {"scaled.out": [8]}

# %% [markdown]
# A node can be pickled if its function can. It goes by the path at which it is found; what a script or a notebook defines, by
# value.

# %%
import pickle

again = pickle.loads(pickle.dumps(double.named("again") >> describe))
assert Net(again).run(x=[2]) == {"describe.out": ["4 m"]}

# %% [markdown]
# What there is not is answered with what there is, and options are checked where they are written.

# %%
from netrun import ConfigError

for wrong in [
    lambda: double.y,
    lambda: node(retrys=1)(len),
    lambda: node(print),
    lambda: double.with_options(timeout=-1),
]:
    try:
        wrong()
    except (AttributeError, ConfigError) as error:
        print(f"{type(error).__name__}: {error}")
    else:
        raise AssertionError("not refused")

# %% [markdown]
# ## A net of functions

# %%
from netrun import Flow, Net, Outputs, Skip, node, round_robin


@node
def numbers() -> Iterator[int]:
    yield from range(1, 5)


@node
def odd(x: int) -> int:
    return x if x % 2 else Skip


@node
def square(x: int) -> int:
    return x**2


@node
def together(odd: int, square: int) -> str:
    return f"{odd} and {square}"


net = Net(numbers >> [odd, square] >> together)
assert net.run() == {"together.out": ["1 and 1", "3 and 4"]}
print(numbers >> [odd, square] >> together)

# %% [markdown]
# A flow is used twice under two names; its free ports are its own.

# %%
twice = Flow(square >> double)
both = Net(Flow(numbers >> round_robin(twice.named("left"), twice.named("right"))))
assert both.run() == {"left/double.out": [2, 18], "right/double.out": [8, 32]}

# %% [markdown]
# Mistakes are told where they are written, with both ends and a way out.


# %%
from netrun import GraphError


@node
def shout(text: str) -> str:
    return text.upper()


@node
def add(x: int, y: int) -> int:
    return x + y


@node
def show(value) -> None:
    print(value)


for wrong in [
    lambda: double >> shout,
    lambda: double >> add,
    lambda: show >> double,
    lambda: double >> numbers,
    lambda: double >> len,
    lambda: [double, square] >> add,
    lambda: Flow(double >> add.x, double >> add.y),
    lambda: double.x >> square,
    lambda: Flow(square >> add.x, square.with_options(timeout=3) >> add.y),
    lambda: [double, square] >> together >> [add.x, add.y],
]:
    try:
        wrong()
    except GraphError as error:
        print(error, end="\n\n")
    else:
        raise AssertionError("not refused")
