# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Factories: the templates that come with netrun
#
# | template | arguments | what it does |
# |---|---|---|
# | `from_function` | `func` | a plain function becomes a node |
# | `broadcast` | `outputs` | each value to all outputs |
# | `merge` | `inputs` | several inputs, one output |
# | `batch` | `size` | so many values, one list |
# | `split` | | one list, many values |
# | `filter` | `predicate` | those values that it is true for |
# | `route` | `chooser`, `outputs` | each value to the output that is chosen |
#
# In a text they are `netrun.factories.broadcast` and so on; in Python too, by `Net.from_factory`. What each function node
# runs can be pickled if the function can, so they all work in every pool.

# %%
#|default_exp factories

# %%
#|export
import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from netrun_sim import MaxSalvos, PacketCount, Port, PortState, SalvoCondition, SalvoConditionTerm

from netrun.core import ConfigError, FactoryError
from netrun.driver import is_async, is_generator

# %% [markdown]
# ## Their ports and conditions
#
# Every output port is sent by itself, and unless said otherwise an epoch starts for each
# packet at any input port.


# %%
#|exporti
_SINGLE = MaxSalvos.finite(1)
Spec = dict[str, Any]
Functions = tuple[Any, Any, Any, Any]


def _holds(port: str, count: int = 1) -> SalvoConditionTerm:
    state = PortState.non_empty() if count == 1 else PortState.equals_or_greater_than(count)
    return SalvoConditionTerm.port(port, state)


def _takes(port: str, count: int = 1) -> SalvoCondition:
    """The input condition that takes so many packets from one port."""
    return SalvoCondition(_SINGLE, {port: PacketCount.count(count)}, _holds(port, count))


def _spec(inputs: Iterable[str], outputs: Iterable[str], entries: dict[str, SalvoCondition] | None = None) -> Spec:
    return {
        "in_ports": {port: Port() for port in inputs},
        "out_ports": {port: Port() for port in outputs},
        "in_salvo_conditions": {port: _takes(port) for port in inputs} if entries is None else entries,
        "out_salvo_conditions": {
            port: SalvoCondition(MaxSalvos.infinite(), {port: PacketCount.all()}, _holds(port)) for port in outputs
        },
    }


def _names(given: int | Sequence[str], stem: str) -> tuple[str, ...]:
    """The names of several ports, of which a list or a number was given."""
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= 10_000:
        return tuple(f"{stem}{number}" for number in range(1, given + 1))
    is_list = isinstance(given, (list, tuple)) and given and all(isinstance(name, str) and name for name in given)
    if not is_list or len(set(given)) < len(given):  # type: ignore[arg-type]
        raise FactoryError(
            "", f"{stem}puts must be a number from 1 on, or a list of different names, not {given!r:.200}"
        )
    return tuple(given)  # type: ignore[arg-type]


def _funcs(func: Callable[..., Any]) -> Functions:
    return func, None, None, None


def _callable(name: str, func: Any) -> None:
    if not callable(func) or is_generator(func):
        raise FactoryError("", f"{name} must be a function that returns, or the import path of one, not {func!r:.200}")


# %% [markdown]
# ## Templates that move packets
#
# They pass values on as they are: `broadcast` sends the same object to each output, so whoever gets it must not change
# it.


# %%
#|exporti
def _broadcast(ctx: Any, packets: Any, outputs: tuple[str, ...]) -> None:
    value = ctx.consume_packet(packets["in"][0])
    for port in outputs:
        ctx.send(port, value)


def _merge(ctx: Any, packets: Any) -> None:
    for taken in packets.values():
        for packet in taken:
            ctx.send("out", ctx.consume_packet(packet))


def _batch(ctx: Any, packets: Any) -> None:
    ctx.send("out", [ctx.consume_packet(packet) for packet in packets["in"]])


def _split(ctx: Any, packets: Any) -> None:
    for value in ctx.consume_packet(packets["in"][0]):
        ctx.send("out", value)


# %%
#|export
class broadcast:
    """One input `in`; each value is sent to all outputs. outputs: their names, or their number n for `out1` to `out<n>`."""

    @staticmethod
    def get_node_spec(outputs: int | Sequence[str]) -> Spec:
        """Its ports and conditions."""
        return _spec(["in"], _names(outputs, "out"))

    @staticmethod
    def get_node_funcs(outputs: int | Sequence[str]) -> Functions:
        """Its functions."""
        return _funcs(partial(_broadcast, outputs=_names(outputs, "out")))


class merge:
    """Several inputs; what comes in at any of them goes out at `out`, one by one. inputs: as `outputs` of `broadcast`."""

    @staticmethod
    def get_node_spec(inputs: int | Sequence[str]) -> Spec:
        """Its ports and conditions."""
        return _spec(_names(inputs, "in"), ["out"])

    @staticmethod
    def get_node_funcs(inputs: int | Sequence[str]) -> Functions:
        """Its functions."""
        return _funcs(partial(_merge))


class batch:
    """Waits for `size` values at `in`, and sends them as one list from `out`. Fewer than that stay where they are."""

    @staticmethod
    def get_node_spec(size: int) -> Spec:
        """Its ports and conditions."""
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size < 2**63:
            raise FactoryError("", f"size must be a whole number from 1 on, not {size!r:.200}")
        return _spec(["in"], ["out"], {"in": _takes("in", size)})

    @staticmethod
    def get_node_funcs(size: int) -> Functions:
        """Its functions."""
        return _funcs(partial(_batch))


class split:
    """Takes a list (or another iterable) at `in`, and sends each of its values from `out`, in order."""

    @staticmethod
    def get_node_spec() -> Spec:
        """Its ports and conditions."""
        return _spec(["in"], ["out"])

    @staticmethod
    def get_node_funcs() -> Functions:
        """Its functions."""
        return _funcs(partial(_split))


# %% [markdown]
# `Net.from_factory` gives what a graph and a net take.

# %%
from netrun import Edge, Graph, Net, Node, PortRef, PortType

spec, *functions = Net.from_factory("netrun.factories.broadcast", outputs=["left", "right"])
net = Net(Graph([Node(name="Copy", **spec)], []))
net.set_node_exec("Copy", *functions)
assert net.run({"Copy.in": ["x", "y"]}) == {"Copy.left": ["x", "y"], "Copy.right": ["x", "y"]}


# %% [markdown]
# The demos below run one node each.


# %%
def run_alone(factory, args, inputs):
    spec, *functions = Net.from_factory(f"netrun.factories.{factory}", **args)
    net = Net(Graph([Node(name="N", **spec)], []))
    net.set_node_exec("N", *functions)
    outputs = net.run({f"N.{port}": values for port, values in inputs.items()})
    return {name.removeprefix("N."): values for name, values in outputs.items()}


assert run_alone("merge", {"inputs": 2}, {"in1": [1, 2], "in2": [3]}) == {"out": [1, 2, 3]}
assert run_alone("batch", {"size": 2}, {"in": [1, 2, 3, 4, 5]}) == {"out": [[1, 2], [3, 4]]}
assert run_alone("split", {}, {"in": [[1, 2], [3]]}) == {"out": [1, 2, 3]}

# %% [markdown]
# ## Templates of a function
#
# `from_function` makes a node of a plain function: each parameter is an input port, and what it returns goes out at `out`.
# An epoch starts when each parameter without a default has a packet; a port whose parameter has a default is taken from
# if a packet is there. A function that is annotated to return None has no output port. It may be async. Its annotations
# become types of the ports, as far as values can be checked for them; `float` takes whole numbers too, as type checkers
# have it. (`Net.from_toml` sets them; `Net.from_factory` hands on the spec and the functions alone.)
#
# `filter` and `route` ask a function about each value.


# %%
#|exporti
Sends = Callable[[Any, Any], list[tuple[str, Any]]]  # of the values by port and the result: what is sent from where


def _apply(ctx: Any, packets: Any, ask: Callable[[Any], Any], sends: Sends) -> None:
    values = {port: ctx.consume_packet(taken[0]) for port, taken in packets.items()}
    for port, value in sends(values, ask(values)):
        ctx.send(port, value)


async def _apply_async(ctx: Any, packets: Any, ask: Callable[[Any], Any], sends: Sends) -> None:
    values = {port: await ctx.consume_packet(taken[0]) for port, taken in packets.items()}
    for port, value in sends(values, await ask(values)):
        await ctx.send(port, value)


def _applied(func: Callable[..., Any], ask: Callable[..., Any], sends: Sends) -> Functions:
    """The functions of a node that asks `func`, in the manner of `ask`."""
    return _funcs(partial(_apply_async if is_async(func) else _apply, ask=partial(ask, func), sends=sends))


def _by_name(func: Callable[..., Any], values: dict[str, Any]) -> Any:
    return func(**values)


def _of_one(func: Callable[..., Any], values: dict[str, Any]) -> Any:
    return func(values["in"])


def _result(values: Any, result: Any) -> list[tuple[str, Any]]:
    return [("out", result)]


def _nothing(values: Any, result: Any) -> list[tuple[str, Any]]:
    return []


def _if_true(values: Any, result: Any) -> list[tuple[str, Any]]:
    return [("out", values["in"])] if result else []


def _chosen(outputs: tuple[str, ...], values: Any, result: Any) -> list[tuple[str, Any]]:
    if result not in outputs:
        raise ValueError(
            f"the chooser returned {result!r:.200}, which is no output port; there is {', '.join(outputs)}"
        )
    return [(result, values["in"])]


# %%
#|exporti
def _parameters(func: Callable[..., Any]) -> dict[str, bool]:
    """The parameters of a function, and whether each is required."""
    try:
        parameters = inspect.signature(func).parameters.values()
    except (TypeError, ValueError) as error:
        raise FactoryError("", f"the parameters of {func!r:.200} are not known: {error}") from error
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise FactoryError(
                "", f"parameter {str(parameter)!r} of {func!r:.200} cannot be given by name, so it is no port"
            )
    return {parameter.name: parameter.default is parameter.empty for parameter in parameters}


def _returns_nothing(func: Callable[..., Any]) -> bool:
    returned = getattr(func, "__annotations__", {}).get("return", ...)
    return returned is None or returned == "None"


def _together(parameters: dict[str, bool]) -> dict[str, SalvoCondition]:
    """The condition that takes a packet from each port, if those that are required have one."""
    needed = [_holds(port) for port, is_required in parameters.items() if is_required]
    term = SalvoConditionTerm.and_(needed) if needed else SalvoConditionTerm.or_([_holds(port) for port in parameters])
    return (
        {"call": SalvoCondition(_SINGLE, dict.fromkeys(parameters, PacketCount.count(1)), term)} if parameters else {}
    )


# %%
#|exporti
_TOWER: dict[Any, Any] = {float: float | int, complex: complex | float | int}


def _checkable(hint: Any) -> Any:
    """An annotation as the type of a port, or None where values cannot be checked for it."""
    from netrun.port_types import port_type

    if get_origin(hint) in (Union, UnionType):
        parts = [_checkable(part) if part is not NoneType else part for part in get_args(hint)]
        return None if None in parts else Union[tuple(parts)]  # noqa: UP007
    try:
        return None if port_type(hint) is None else _TOWER.get(hint, hint)
    except (ConfigError, TypeError):
        return None


def _hints(func: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function that are types of ports; none, where they cannot be read."""
    try:
        hints = get_type_hints(func)
    except Exception:  # names that are known to type checkers only; then nothing is checked
        return {}
    return {name: checkable for name, hint in hints.items() if (checkable := _checkable(hint)) is not None}


# %%
#|export
class from_function:
    """A plain function: its parameters are input ports, and what it returns goes to `out`."""

    @staticmethod
    def get_node_spec(func: Callable[..., Any]) -> Spec:
        """Its ports and conditions."""
        _callable("func", func)
        parameters = _parameters(func)
        return _spec(parameters, [] if _returns_nothing(func) else ["out"], _together(parameters))

    @staticmethod
    def get_node_funcs(func: Callable[..., Any]) -> Functions:
        """Its functions."""
        return _applied(func, _by_name, _nothing if _returns_nothing(func) else _result)

    @staticmethod
    def get_port_types(func: Callable[..., Any]) -> dict[str, dict[str, Any]]:
        """The types of its ports."""
        hints, parameters = _hints(func), _parameters(func)
        returned = {} if _returns_nothing(func) or "return" not in hints else {"out": hints["return"]}
        return {"in_ports": {name: hints[name] for name in parameters if name in hints}, "out_ports": returned}


class filter:
    """Of the values at `in`, sends those from `out` for which `predicate(value)` is true; the others end here."""

    @staticmethod
    def get_node_spec(predicate: Callable[[Any], Any]) -> Spec:
        """Its ports and conditions."""
        return _spec(["in"], ["out"])

    @staticmethod
    def get_node_funcs(predicate: Callable[[Any], Any]) -> Functions:
        """Its functions."""
        _callable("predicate", predicate)
        return _applied(predicate, _of_one, _if_true)


class route:
    """Sends each value at `in` from the output port that `chooser(value)` names. outputs: as those of `broadcast`. A name
    that is none of them is a failure of the epoch."""

    @staticmethod
    def get_node_spec(chooser: Callable[[Any], str], outputs: int | Sequence[str]) -> Spec:
        """Its ports and conditions."""
        return _spec(["in"], _names(outputs, "out"))

    @staticmethod
    def get_node_funcs(chooser: Callable[[Any], str], outputs: int | Sequence[str]) -> Functions:
        """Its functions."""
        _callable("chooser", chooser)
        return _applied(chooser, _of_one, partial(_chosen, _names(outputs, "out")))


# %%
def power(base: int, exponent: int = 2) -> int:
    return base**exponent


assert run_alone("from_function", {"func": power}, {"base": [2, 3, 4], "exponent": [3]}) == {"out": [8, 9, 16]}
assert run_alone("filter", {"predicate": str.isupper}, {"in": ["A", "b", "C"]}) == {"out": ["A", "C"]}
assert run_alone("route", {"chooser": lambda value: value[0], "outputs": ["a", "b"]}, {"in": ["a1", "b1", "a2"]}) == {
    "a": ["a1", "a2"],
    "b": ["b1"],
}

# %% [markdown]
# Text stands for a callable where one is asked for. What a factory cannot use it says, and an error in its code is
# chained.

# %%
from netrun import FactoryError, ImportPathError

assert run_alone("filter", {"predicate": "builtins.bool"}, {"in": [0, 1, 2]}) == {"out": [1, 2]}
for factory, args in [
    ("broadcast", {"outputs": 0}),
    ("broadcast", {"outputs": ["a", "a"]}),
    ("broadcast", {"output": 2}),
    ("batch", {"size": "2"}),
    ("filter", {"predicate": "builtins.boool"}),
    ("from_function", {"func": print}),
    ("broadcasts", {}),
]:
    try:
        Net.from_factory(f"netrun.factories.{factory}", **args)
    except (FactoryError, ImportPathError) as error:
        print(f"{type(error).__name__}: {error}")
    else:
        raise AssertionError(factory)
