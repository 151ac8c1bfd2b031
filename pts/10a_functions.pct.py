# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Functions: how a typed function becomes a node
#
# A plain function says nearly everything that a node needs to know. There is one way in which it is read, for `@node`,
# for `netrun.factories.from_function` and for a text alike:
#
# | in the function | in the node |
# |---|---|
# | a parameter | an input port of that name; with a default the port is optional |
# | `x: Annotated[list[int], Batch(5)]` | a port of which five packets are taken together; `list[int]` is one packet |
# | `ctx: NodeExecutionContext`, or `... \| None` | no port: it gets the context |
# | `-> int`, or nothing | the output port `out` |
# | `-> None` | no output port |
# | `-> Outputs["left", "right"]` | these output ports |
# | `-> SplitOutputs`, a NamedTuple or TypedDict with such a name; `-> Outputs[Pair]` | an output port for each field |
# | `yield`, `-> Iterator[int]`, `-> Iterator[Outputs["left", "right"]]` | each value is a packet of its own; a `return` with a value sends nothing |
# | type hints | port types |
#
# `return Skip` sends nothing, `return None` sends None.

# %%
#|default_exp functions

# %%
#|export
import builtins
import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import AsyncGeneratorType, CoroutineType, GeneratorType, MethodType, SimpleNamespace, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    NamedTuple,
    Never,
    NewType,
    NoReturn,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from netrun_sim import MaxSalvos, PacketCount, Port, PortState, SalvoCondition, SalvoConditionTerm

from netrun.context import AsyncNodeExecutionContext, NodeExecutionContext
from netrun.core import ConfigError, ExpressionError, told_type
from netrun.driver import is_async, is_generator
from netrun.paths import loaded
from netrun.port_types import port_type

# %% [markdown]
# ## Ports and conditions
#
# Every output port is sent by itself, and unless said otherwise an epoch starts for each packet at any input port.


# %%
#|exporti
_SINGLE = MaxSalvos.finite(1)
Spec = dict[str, Any]


def holds(port: str, count: int = 1) -> SalvoConditionTerm:
    """That there are so many packets at a port."""
    state = PortState.non_empty() if count == 1 else PortState.equals_or_greater_than(count)
    return SalvoConditionTerm.port(port, state)


def takes(counts: Mapping[str, int], term: SalvoConditionTerm) -> SalvoCondition:
    """The input condition that takes so many packets from each port, when the term is met."""
    return SalvoCondition(_SINGLE, {port: PacketCount.count(count) for port, count in counts.items()}, term)


def spec_of(inputs: Iterable[str], outputs: Iterable[str], entries: dict[str, SalvoCondition] | None = None) -> Spec:
    """The keywords of `Node`."""
    inputs = list(inputs)
    return {
        "in_ports": {port: Port() for port in inputs},
        "out_ports": {port: Port() for port in outputs},
        "in_salvo_conditions": {port: takes({port: 1}, holds(port)) for port in inputs} if entries is None else entries,
        "out_salvo_conditions": {
            port: SalvoCondition(MaxSalvos.infinite(), {port: PacketCount.all()}, holds(port)) for port in outputs
        },
    }


# %% [markdown]
# ## The words of annotations
#
# `Batch` and `Outputs` stand in annotations, `Skip` is returned. All are the same after pickling.


# %%
#|export
@dataclass(frozen=True)
class Batch:
    """In `Annotated[list[int], Batch(5)]`: the port's packets are taken five at a time, as a list. Fewer wait for more;
    where `when` or a default lets an epoch start with fewer, those that are there are taken. The hint is that of the
    list, so the packets here are ints."""

    size: int

    def __post_init__(self) -> None:
        if isinstance(self.size, bool) or not isinstance(self.size, int) or not 1 <= self.size < 2**63:
            raise ConfigError(f"the size of a Batch must be a whole number from 1 on, not {self.size!r:.200}.")


class _Skip:
    """What a function returns, or puts into its outputs, where nothing is to be sent."""

    def __repr__(self) -> str:
        return "Skip"

    def __reduce__(self) -> str:
        return "Skip"

    def __ror__(self, other: Any) -> Any:
        return other  # `-> int | Skip` is `-> int`: where nothing is sent, there is nothing to check

    __or__ = __ror__


Skip: Final[Any] = _Skip()


class Outputs(dict[str, Any]):
    """Several output ports. `-> Outputs["left", "right"]` declares them, and `return Outputs(left=1)` sends from those
    that are given. `-> Outputs[Pair]` declares a port for each field of a NamedTuple or TypedDict, which is returned."""

    def __class_getitem__(cls, ports: Any) -> Any:
        return Declared(ports if isinstance(ports, tuple) else (ports,))


class Declared:
    """What stands in the brackets of `Outputs[...]`."""

    def __init__(self, ports: tuple[Any, ...]) -> None:
        self.ports = ports

    def __repr__(self) -> str:
        return f"Outputs[{', '.join(repr(port) if isinstance(port, str) else told_type(port) for port in self.ports)}]"

    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007

    __ror__ = __or__


# %%
import pickle

from netrun.functions import Batch, Outputs, Skip

assert pickle.loads(pickle.dumps(Skip)) is Skip and (int | Skip) is int
assert Outputs(left=1) == {"left": 1} and Outputs["left", "right"].ports == ("left", "right")


# %% [markdown]
# ## What hints mean
#
# Annotations may be text, or hold some (`from __future__ import annotations`, names that come later in the module, classes of
# the function around it). A name that is imported for type checkers only stands for any class of that name.


# %%
#|exporti
def _bare(func: Any) -> Any:
    """The function that holds the annotations of what is called: within partials, methods, objects and wrappers."""
    while isinstance(func, partial):
        func = func.func
    if isinstance(func, type):
        func = func.__init__  # type: ignore[misc]
    elif not inspect.isroutine(func):
        func = type(func).__call__
    func = inspect.unwrap(func)
    return getattr(func, "__func__", func)


def label(func: Any) -> str:
    """What is called, and where it is written."""
    bare = _bare(func)
    name = getattr(func, "__name__", None) or getattr(bare, "__name__", None) or repr(func)
    code = getattr(bare, "__code__", None)
    return f"{name} ({code.co_filename.rpartition('/')[2]}, line {code.co_firstlineno})" if code else str(name)


class Unknown(NewType):
    """A name that leads to nothing, or an attribute of it: as a port type, any class of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(name, name)

    def __getattr__(self, name: str) -> "Unknown":
        if name.startswith("__"):
            raise AttributeError(name)
        return Unknown(name)

    def __getitem__(self, inner: Any) -> "Unknown":
        return self

    def __reduce__(self) -> Any:
        return Unknown, (self.__name__,)


class _Names(dict[str, Any]):
    """The names that the annotations of a function may use, besides its module's."""

    def __init__(self, bare: Any, names: Mapping[str, Any]) -> None:
        super().__init__(names)
        self.globals = getattr(bare, "__globals__", {})
        self.update({each.__name__: each for each in getattr(bare, "__type_params__", ())})
        cells = zip(
            getattr(getattr(bare, "__code__", None), "co_freevars", ()),
            getattr(bare, "__closure__", None) or (),
            strict=False,
        )
        for name, cell in cells:
            try:
                self[name] = cell.cell_contents
            except ValueError:  # nothing is in it yet
                continue

    def __missing__(self, name: str) -> Unknown:
        if name in self.globals or hasattr(builtins, name):
            raise KeyError(name)
        return Unknown(name)


def _meaning(func: Any, annotation: Any, where: str, names: Mapping[str, Any]) -> Any:
    """What an annotation stands for, the text in it too."""
    known = _Names(_bare(func), names)
    try:
        holder = SimpleNamespace(__annotations__={"it": annotation})
        hint = get_type_hints(holder, known.globals, known, include_extras=True)["it"]
    except Exception as error:
        if isinstance(error, AttributeError) and all(map(str.isidentifier, str(annotation).strip().split("."))):
            return annotation.strip().rpartition(".")[2]  # what a module has for type checkers only
        raise ConfigError(
            f"{label(func)}: the annotation {annotation!r} of {where} cannot be read: {error}. Define or import what it "
            "names where the function is."
        ) from error
    return hint.__name__ if isinstance(hint, Unknown) else hint


def _peeled(hint: Any) -> tuple[Any, list[Any]]:
    """A hint without its `Annotated` and `| None`; and what stood beside it, None for the latter."""
    beside: list[Any] = []
    while True:
        if get_origin(hint) is Annotated:
            beside += hint.__metadata__
            hint = get_args(hint)[0]
            continue
        others = [each for each in get_args(hint) if each is not type(None)]
        if get_origin(hint) not in (Union, UnionType) or len(others) != 1:
            return hint, beside
        beside.append(None)
        hint = others[0]


def _parts(hint: Any) -> Iterator[Any]:
    """A hint and all that is in it."""
    yield hint
    for each in get_args(hint):
        yield from _parts(each)


# %% [markdown]
# A hint becomes the port's type as far as values can be checked for it. As for type checkers, an int will do where a float
# is asked for; nothing is converted.


# %%
#|exporti
def _widened(hint: Any) -> Any:
    if hint is float:
        return int | float
    if hint is complex:
        return int | float | complex
    if get_origin(hint) in (Union, UnionType) and {float, complex}.intersection(get_args(hint)):
        return Union[tuple(map(_widened, get_args(hint)))]  # noqa: UP007
    return hint


def type_of_hint(hint: Any) -> Any:
    """The port type that a hint stands for, or None where no value can be checked for it."""
    if hint is inspect.Parameter.empty:
        return None
    hint = _widened(hint)
    try:
        return None if port_type(hint) is None else hint
    except ConfigError:
        return None


# %%
from typing import Any, Self

from netrun.functions import type_of_hint

assert type_of_hint(float) == int | float and type_of_hint(list[int]) == list[int]
assert type_of_hint(Any) is type_of_hint(Self) is None


# %% [markdown]
# ## Reading a function
#
# Everything that is read of it. What cannot be a node is refused, with the function's place and the way out.


# %%
#|exporti
class Input(NamedTuple):
    """An input port: what each of its packets is to be, whether the function must have it, and how many it takes."""

    hint: Any
    is_required: bool
    batch: int | None


class Reading(NamedTuple):
    """What a function says of its node. is_several: whether its outputs were declared as several; context: the parameter
    that gets the context."""

    func: Callable[..., Any]
    inputs: dict[str, Input]
    outputs: dict[str, Any]
    is_several: bool
    context: str | None


class Decorated(ABC):
    """What stands for a function, and is called as it is: `@node` makes one."""

    _func: Callable[..., Any]

    @abstractmethod
    def _read(self) -> Reading:
        """What the function says of its node."""
        ...


def read(func: Any, names: Mapping[str, Any] | None = None) -> Reading:
    """What a function says of its node. names: more names that its annotations may use. Raises `ConfigError`."""
    if isinstance(func, Decorated):
        return func._read()
    signature = signature_of(func)
    context, inputs = None, {}
    for parameter in signature.parameters.values():
        hint = _meaning(func, parameter.annotation, f"parameter {parameter.name!r}", names or {})
        if _is_context(hint):
            if context is not None:
                raise ConfigError(
                    f"{label(func)}: {context!r} gets the context already, and {parameter.name!r} would too."
                )
            context = parameter.name
        else:
            inputs[parameter.name] = _input(func, parameter, hint)
    outputs, is_several = _outputs(func, signature.return_annotation, names or {})
    return Reading(func, inputs, outputs, is_several, context)


def signature_of(func: Any) -> inspect.Signature:
    """The signature of a function whose parameters can all be given by name."""
    if not callable(func):
        raise ConfigError(f"a node is made of a function or something else that can be called, not {func!r:.200}.")
    try:
        signature = inspect.signature(func)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the parameters of {func!r:.200} are not known: {error}. Write a function around it."
        ) from error
    for parameter in signature.parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigError(
                f"{label(func)}: parameter {str(parameter)!r} of {func!r:.200} cannot be given by name, so it is no port. "
                "Write a function around it whose parameters have names."
            )
    return signature


# %%
#|exporti
def _is_context(hint: Any) -> bool:
    inner, _ = _peeled(hint)
    name = getattr(inner, "__name__", inner) if isinstance(inner, (str, Unknown)) else None
    return any(inner is each or name == each.__name__ for each in (NodeExecutionContext, AsyncNodeExecutionContext))


def _input(func: Any, parameter: inspect.Parameter, hint: Any) -> Input:
    is_required = parameter.default is parameter.empty
    if (parameter.name == "ctx" and hint is parameter.empty) or any(map(_is_context, _parts(hint))):
        raise ConfigError(
            f"{label(func)}: is `{parameter.name}` the context? Annotate it as `{parameter.name}: NodeExecutionContext`; with "
            "another annotation, `Any` for example, it is an input port."
        )
    inner, beside = _peeled(hint)
    batches: list[Any] = [each for each in beside if isinstance(each, Batch)]
    if not any(each is Batch or isinstance(each, Batch) for each in _parts(hint)):
        return Input(hint, is_required, None)
    origin = get_origin(inner) or inner
    is_list = isinstance(origin, type) and issubclass(list, origin) and origin is not object
    if len(batches) != 1 or not is_list:
        raise ConfigError(
            f"{label(func)}: parameter {parameter.name!r} with a Batch gets a list: annotate it as "
            "Annotated[list[int], Batch(5)], with the type of your values and your number."
        )
    return Input((get_args(inner) or (Any,))[0], is_required, batches[0].size)


# %%
#|exporti
def _outputs(func: Any, annotation: Any, names: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The output ports with their hints, and whether they were declared as several."""
    hint = func if isinstance(func, type) else _meaning(func, annotation, "what it returns", names)
    if is_generator(func):
        hint = _yielded(func, hint)
    elif any(hint is nothing for nothing in (type(None), NoReturn, Never)):
        return {}, False
    declared = _declared(func, hint)
    return ({"out": hint}, False) if declared is None else (declared, True)


def _yielded(func: Any, hint: Any) -> Any:
    """What a generator function yields."""
    if hint is inspect.Signature.empty or hint is Any:
        return Any
    kind = AsyncIterator if inspect.isasyncgenfunction(_bare(func)) else Iterator
    origin = get_origin(hint) or hint
    if not isinstance(origin, type) or not (issubclass(kind, origin) or issubclass(origin, kind)):
        raise ConfigError(
            f"{label(func)}: it yields, so it is annotated as `-> {kind.__name__}[...]` with the type of one value, or not "
            f"at all; not as {told_type(hint)}."
        )
    return (get_args(hint) or (Any,))[0]


def _declared(func: Any, hint: Any) -> dict[str, Any] | None:
    """The ports that were declared as several, or None."""
    inner, beside = _peeled(hint)
    if any(each is Outputs for each in _parts(hint)):
        raise ConfigError(f'{label(func)}: name the outputs: `-> Outputs["left", "right"]`.')
    is_named = isinstance(inner, type) and inner.__name__.endswith("Outputs")
    if not is_named and not any(isinstance(each, Declared) for each in _parts(hint)):
        return None
    found = _fields(inner) if is_named else _named(func, inner) if isinstance(inner, Declared) else {}
    if found == {} or (found and None in beside):
        raise ConfigError(
            f"{label(func)}: several outputs are declared alone, not within something else, and without `| None`: where "
            "nothing is to be sent, return Skip."
        )
    return found


def _named(func: Any, hint: Declared) -> dict[str, Any]:
    """The ports that are named in the brackets of `Outputs[...]`."""
    found = _fields(hint.ports[0]) if len(hint.ports) == 1 else None
    if found is not None:
        return found
    if not all(isinstance(port, str) and port for port in hint.ports) or len(set(hint.ports)) < len(hint.ports):
        raise ConfigError(
            f"{label(func)}: Outputs[...] takes different names of ports, or one NamedTuple or TypedDict; not "
            f"{', '.join(map(repr, hint.ports))}."
        )
    return dict.fromkeys(hint.ports, Any)


def _fields(cls: Any) -> dict[str, Any] | None:
    """The fields of a NamedTuple or TypedDict with their hints, or None for what is neither."""
    is_tuple = isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")
    if not is_tuple and not is_typeddict(cls):
        return None
    names = cls._fields if is_tuple else cls.__annotations__
    try:
        hints = get_type_hints(cls)
    except Exception:  # a hint that means nothing when it is read is not checked
        hints = {}
    return {name: hints.get(name, Any) for name in names}


# %%
from collections.abc import Iterator
from typing import Annotated, NamedTuple

from netrun import ConfigError, NodeExecutionContext
from netrun.functions import read


class SplitOutputs(NamedTuple):
    left: int
    right: str


def split(number: int, names: "Annotated[list[str], Batch(2)]" = (), *, ctx: NodeExecutionContext) -> SplitOutputs: ...
def upwards(start, count: int = 3) -> Iterator[int]:
    yield start


def hinted(order: "Order | None", ctx: NodeExecutionContext | None = None) -> "list[Nowhere]": ...  # noqa: F821


reading = read(hinted)
print(reading.inputs["order"].hint, reading.context, reading.outputs)
reading = read(split)
assert reading.inputs == {"number": (int, True, None), "names": (str, False, 2)} and reading.context == "ctx"
assert reading.outputs == {"left": int, "right": str}
assert read(upwards).outputs == {"out": int}


def starred(*numbers): ...
def counts(start) -> int:
    yield start


def batched(numbers: Annotated[int, Batch(2)]): ...
def unnamed(x) -> Outputs: ...
def perhaps(x) -> Outputs["left", "right"] | None: ...  # noqa: F821
def contexts(x, all: list[NodeExecutionContext]): ...


for bad in [starred, counts, batched, unnamed, perhaps, contexts, max, 3]:
    try:
        read(bad)
    except ConfigError as error:
        print(error)
    else:
        raise AssertionError(bad)


# %% [markdown]
# ## When an epoch starts
#
# When each required port has its packets; from an optional port a packet is taken if it is there. Where nothing is
# required, any packet starts one. `when` says it otherwise, in the language of [expressions](11_expressions.ipynb).


# %%
#|exporti
def conditions(reading: Reading, when: str | None) -> dict[str, SalvoCondition]:
    """The input conditions. Raises `ConfigError`, or `ExpressionError` for a `when` that says nothing."""
    inputs = reading.inputs
    if not inputs and when is not None:
        raise ConfigError(f"{label(reading.func)}: `when` is about input ports, and it has no parameters.")
    if not inputs:
        return {}
    needed = [holds(port, each.batch or 1) for port, each in inputs.items() if each.is_required]
    term = SalvoConditionTerm.and_(needed) if needed else SalvoConditionTerm.or_([holds(port) for port in inputs])
    if when is not None:
        term = _read_when(reading, when)
    return {"call": takes({port: each.batch or 1 for port, each in inputs.items()}, term)}


def parse_when(when: str) -> SalvoConditionTerm:
    """The term that a `when` says. Raises `ConfigError` for what is no text, `ExpressionError`."""
    from netrun.expressions import parse_salvo_condition  # points up

    if not isinstance(when, str):
        raise ConfigError(f"`when` is a text such as 'count(x) >= 2', not {when!r:.200}.")
    return parse_salvo_condition(when)


def _read_when(reading: Reading, when: str) -> SalvoConditionTerm:
    from netrun.expressions import did_you_mean, finding_at, read_condition  # points up

    term = parse_when(when)
    wrong = [
        finding_at(when, f"{label(reading.func)} has no parameter `{port}`{did_you_mean(port, reading.inputs)}", *place)
        for port, *place in read_condition(when)[1]
        if port not in reading.inputs
    ]
    if wrong:
        raise ExpressionError(wrong)
    return term


# %% [markdown]
# ## Calling it
#
# The node function consumes what came, calls the function, and sends what it returned. In a process pool it is pickled, by
# the function's path where it has one.


# %%
#|exporti
class Body:
    """The node function of a function."""

    def __init__(self, reading: Reading, when: str | None) -> None:
        self.func = reading.func
        self._name = label(self.func)
        self._outputs = tuple(reading.outputs)
        self._only = self._outputs[0] if self._outputs and not reading.is_several else None
        self._context = reading.context
        self._batches = frozenset(port for port, each in reading.inputs.items() if each.batch)
        required = [port for port, each in reading.inputs.items() if each.is_required]
        self._needed = frozenset(required if when is not None else ())
        self._is_plain = not (self._context or self._batches or self._needed)
        # a generator may be a value, but not where a wrapper has hidden that the function is one
        is_hidden = is_generator(_bare(self.func)) and not is_generator(self.func)
        self._unused = (CoroutineType, GeneratorType, AsyncGeneratorType) if is_hidden else (CoroutineType,)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "func": by_path(self.func)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, func=at_path(state["func"]))

    def __repr__(self) -> str:
        return f"<node function of {self._name}>"

    def arguments(self, ctx: Any, values: dict[str, list[Any]]) -> dict[str, Any]:
        """What the function is called with."""
        missing = self._needed.difference(values)
        if missing:
            raise TypeError(
                f"`when` has let an epoch start without a packet at {', '.join(sorted(missing))}, and {self._name} cannot "
                "be called without. Let `when` ask for it, or give the parameter a default."
            )
        named: dict[str, Any] = {port: taken if port in self._batches else taken[0] for port, taken in values.items()}
        if self._context is not None:
            named[self._context] = ctx
        return named

    def sends(self, result: Any) -> Iterable[tuple[str, Any]]:
        """What is sent from where."""
        if result is Skip:
            return ()
        kind = type(result)
        if kind in self._unused:
            way = "make it an `async def`"
            if hasattr(self.func, "__wrapped__"):
                way = "let what wraps the function be one of its kind, with `await`, `yield from` or `async for`"
            if kind is not AsyncGeneratorType:
                result.close()
            raise TypeError(f"what {self._name} returned, of type {kind.__name__}, is used by nobody: {way}.")
        if self._only is not None:
            if kind is Outputs:
                raise TypeError(
                    f"{self._name} returned {result!r:.200}, and declares no outputs: {_declaration(result)}"
                )
            return ((self._only, result),)
        if self._outputs:
            return self._several(result)
        if result is not None:
            raise TypeError(
                f"{self._name} is annotated to return None, so it has no output port, and returned {result!r:.200}. "
                "Annotate what it returns."
            )
        return ()

    def _several(self, result: Any) -> Iterable[tuple[str, Any]]:
        if isinstance(result, tuple) and hasattr(result, "_asdict"):
            result = result._asdict()
        ports = ", ".join(self._outputs)
        if not isinstance(result, Mapping):
            given = ", ".join(f"{port}=..." for port in self._outputs)
            raise TypeError(
                f"{self._name} has the outputs {ports}, and returned {result!r:.200}. Return Outputs({given}), or the "
                "NamedTuple or TypedDict that it is annotated with."
            )
        unknown = [port for port in result if port not in self._outputs]
        if unknown:
            raise TypeError(
                f"{self._name} returned something for {unknown[0]!r}, which is no output; there is {ports}."
            )
        return [(port, value) for port, value in result.items() if value is not Skip]


def _declaration(outputs: Outputs) -> str:
    return f"annotate it as `-> Outputs[{', '.join(map(repr, outputs))}]`."


# %%
#|exporti
class Hidden(NamedTuple):
    """Where a decorated function is: the node at `name` of a module or an object stands for it."""

    holder: Any
    name: str

    def find(self) -> Any:
        """The function."""
        found = import_module(self.holder) if isinstance(self.holder, str) else self.holder
        for part in self.name.split("."):
            found = getattr(found, part)
        return found._func


def by_path(func: Any) -> Any:
    """A function, or where it is if a decorator took its place there: pickle would look for it in vain."""
    name = getattr(func, "__qualname__", None)
    if isinstance(func, MethodType):
        holder, name, there = func.__self__, func.__name__, getattr(func.__self__, func.__name__, None)
    elif not isinstance(name, str) or func.__module__ == "__main__":
        return func
    else:
        holder, there = func.__module__, loaded(f"{func.__module__}.{name}")
    return Hidden(holder, name) if isinstance(there, Decorated) and there._func == func else func


def at_path(func: Any) -> Any:
    """The function that `by_path` was given."""
    return func.find() if isinstance(func, Hidden) else func


# %% [markdown]
# A sync function is called, an async one awaited. A generator is asked for one value after the other, and between two of
# them the loop runs, so that other nodes can work on what was sent. A node with a `timeout` asks in a thread, as a generator
# may block.


# %%
#|exporti
class _Call(Body):
    def __call__(self, ctx: Any, packets: dict[str, list[Any]]) -> None:
        consume = ctx.consume_packet
        if self._is_plain:
            result = self.func(**{port: consume(taken[0]) for port, taken in packets.items()})
        else:
            values = {port: [consume(packet) for packet in taken] for port, taken in packets.items()}
            result = self.func(**self.arguments(ctx, values))
        for port, value in self.sends(result):
            ctx.send(port, value)


class _AsyncCall(Body):
    async def __call__(self, ctx: Any, packets: dict[str, list[Any]]) -> None:
        result = await self.func(**self.arguments(ctx, await _consumed(ctx, packets)))
        for port, value in self.sends(result):
            await ctx.send(port, value)


class _Stream(Body):
    async def __call__(self, ctx: Any, packets: dict[str, list[Any]]) -> None:
        from asyncio import sleep

        values = await _consumed(ctx, packets)
        async with aclosing(self._values(ctx, values)) as stream:
            async for result in stream:
                for port, value in self.sends(result):
                    await ctx.send(port, value)
                await sleep(0)  # who waits for packets is woken,
                await sleep(0)  # and runs

    def _values(self, ctx: Any, values: dict[str, list[Any]]) -> Any:
        if inspect.isasyncgenfunction(_bare(self.func)):
            return self.func(**self.arguments(ctx, values))
        named = self.arguments(NodeExecutionContext(ctx._holder, ctx._net), values)
        return _steps(self.func(**named), in_thread=getattr(ctx._holder, "deadline", None) is not None)


async def _consumed(ctx: Any, packets: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {port: [await ctx.consume_packet(packet) for packet in taken] for port, taken in packets.items()}


_END = object()


async def _steps(values: Any, in_thread: bool) -> AsyncIterator[Any]:
    """The values of a sync generator."""
    from asyncio import to_thread

    try:
        while (value := await to_thread(next, values, _END) if in_thread else next(values, _END)) is not _END:
            yield value
    finally:
        if not values.gi_running:  # as it is in a thread that ran out of time
            values.close()


def takes_turns(func: Any) -> bool:
    """Whether this is a sync generator function, whose epochs would run side by side though nobody has made it async."""
    return is_generator(func) and not inspect.isasyncgenfunction(_bare(func))


def body_of(reading: Reading, when: str | None = None) -> Body:
    """The node function of what was read."""
    kind = _Stream if is_generator(reading.func) else _AsyncCall if is_async(reading.func) else _Call
    return kind(reading, when)


def types_of(reading: Reading) -> dict[str, dict[str, Any]]:
    """The types of the ports, where there is anything to check."""
    sides = {"in_ports": {port: each.hint for port, each in reading.inputs.items()}, "out_ports": reading.outputs}
    return {
        side: {port: spec for port, hint in hints.items() if (spec := type_of_hint(hint)) is not None}
        for side, hints in sides.items()
    }


# %% [markdown]
# Together, that is a node:

# %%
from netrun import Graph, Net, Node
from netrun.functions import body_of, conditions, spec_of, types_of


def alone(func, when=None):
    """A net of one node, `N`."""
    reading = read(func)
    net = Net(Graph([Node("N", **spec_of(reading.inputs, reading.outputs, conditions(reading, when)))], []))
    net.set_node_exec("N", body_of(reading, when))
    return net


def halves(numbers: Annotated[list[int], Batch(2)], scale: float = 1) -> Outputs["small", "large"]:  # noqa: F821
    low, high = sorted(numbers)
    return Outputs(small=low * scale) if low == high else Outputs(small=low * scale, large=high * scale)


net = alone(halves)
assert net.run(numbers=[3, 1, 2, 2, 9], scale=[10]) == {"N.small": [10, 2], "N.large": [30]}
assert types_of(read(halves)) == {"in_ports": {"numbers": int, "scale": int | float}, "out_ports": {}}

# %% [markdown]
# What a function returns against its annotation fails the epoch, and says so.

# %%
from netrun import NodeExecutionFailed


def note(x) -> None:
    return x


def pair(x) -> Outputs["a", "b"]:  # noqa: F821
    return x


async def later(x):
    return x


for func in [note, pair, lambda x: later(x)]:
    try:
        alone(func).run(x=[(1, 2)])
    except NodeExecutionFailed as error:
        print(error.original_exception)
    else:
        raise AssertionError(func)
