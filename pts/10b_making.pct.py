# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Making nodes: the protocol of factories
#
# A factory makes nodes that differ in a few arguments. It is a module, or an object, with two functions:
#
# ```
# get_node_spec(**args)  -> dict      the keywords of `Node`: ports and conditions. `name` may be left out
# get_node_funcs(**args) -> tuple     (exec_node_func, start_node_func, stop_node_func, exec_failed_node_func)
# get_port_types(**args) -> dict      {"in_ports": {port: type}, "out_ports": {port: type}}; may be left out
# ```
#
# A text names a factory by its import path and gives the arguments, which must be JSON. Where a parameter is annotated as
# a callable (`func: Callable[..., Any]`), text stands for the import path of one.

# %%
#|default_exp making

# %%
#|export
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from math import isfinite
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints
from weakref import WeakKeyDictionary

from netrun.core import FactoryError, _told
from netrun.paths import path_of, resolve_path, why_no_path

# %% [markdown]
# ## Arguments that are callables


# %%
#|exporti
def _is_callable_hint(hint: Any) -> bool:
    """Whether an annotation asks for a callable (or class), perhaps among others."""
    origin = get_origin(hint) or hint
    return (
        origin is Callable or origin is type or any(map(_is_callable_hint, get_args(hint) if origin in _UNIONS else ()))
    )


_UNIONS = (Union, UnionType)


def callable_parameters(factory: Any) -> set[str]:
    """The names of a factory's parameters that are annotated as callables."""
    names = set()
    for func in (factory.get_node_spec, factory.get_node_funcs):
        try:
            hints = get_type_hints(func)
        except Exception:  # an annotation that means nothing when it is read says nothing of callables
            hints = getattr(func, "__annotations__", {})
        names |= {name for name, hint in hints.items() if name != "return" and _is_callable_hint(hint)}
    return names


def _with_callables(factory: Any, args: Mapping[str, Any], allow: Iterable[str] | None) -> dict[str, Any]:
    """The arguments, with callables where text stands for one."""
    named = callable_parameters(factory) if any(isinstance(value, str) for value in args.values()) else set()
    return {
        name: resolve_path(value, allow) if name in named and isinstance(value, str) else value
        for name, value in args.items()
    }


# %% [markdown]
# ## Making a node
#
# `make_node` calls both functions and checks what they give. It remembers what came from where, as long as the node
# function lives: so a net can be written as text again, with the factory and its arguments in place of the closures that
# it made.

# %%
#|exporti
FUNCTIONS = ("exec_node_func", "start_node_func", "stop_node_func", "exec_failed_node_func")
SPEC = ("name", "in_ports", "out_ports", "in_salvo_conditions", "out_salvo_conditions")
_OWN = "netrun.factories"  # what netrun ships may always be named: it runs only what it is given


class Made(NamedTuple):
    """What a factory has made, and from what."""

    path: str
    args: Mapping[str, Any]
    spec: dict[str, Any]
    functions: tuple[Any, Any, Any, Any]
    types: Mapping[tuple[str, str], Any] = {}  # by "in_ports" or "out_ports" and the port's name


_made: WeakKeyDictionary[Any, list[Made]] = WeakKeyDictionary()  # by node function


def factory_at(path: str, allow: Iterable[str] | None = None) -> Any:
    """The factory that a path names. Raises `ImportPathError`, or `FactoryError` for what is none."""
    is_own = isinstance(path, str) and path.startswith(f"{_OWN}.")
    factory = resolve_path(path, [_OWN] if is_own else allow, may_be_module=True)
    for name in ("get_node_spec", "get_node_funcs"):
        if not callable(getattr(factory, name, None)):
            raise FactoryError(path, f"has no function {name}; a factory is a module or an object that has it")
    return factory


def _call(path: str, func: Callable[..., Any], args: Mapping[str, Any]) -> Any:
    """What a function of a factory returns."""
    try:
        return func(**args)
    except FactoryError as error:
        raise FactoryError(path, error.what) from error
    except (Exception, SystemExit) as error:
        raise FactoryError(path, f"{getattr(func, '__name__', 'it')} raised {_told(error)}") from error


def spec_of(path: str, factory: Any, args: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of `Node` that a factory gives, checked."""
    spec = _call(path, factory.get_node_spec, args)
    if not isinstance(spec, Mapping) or set(spec) - set(SPEC):
        raise FactoryError(path, f"get_node_spec must return a dict with some of {', '.join(SPEC)}, not {spec!r:.200}")
    return dict(spec)


def make_node(path: str, args: Mapping[str, Any], allow: Iterable[str] | None = None) -> Made:
    """The spec and the functions of a node. Raises `ImportPathError`, or `FactoryError`, chained from what its code raised."""
    factory = factory_at(path, allow)
    given = _with_callables(factory, args, allow)
    spec = spec_of(path, factory, given)
    functions = _call(path, factory.get_node_funcs, given)
    if not isinstance(functions, (tuple, list)) or len(functions) != 4:
        raise FactoryError(
            path, f"get_node_funcs must return {', '.join(FUNCTIONS)}, each may be None; not {functions!r:.200}"
        )
    made = Made(path, dict(given), spec, tuple(functions), _types_of(path, factory, given))
    with suppress(TypeError):  # what cannot be referred to weakly, None too, is not known again
        kept = made._replace(functions=(None, *functions[1:]))  # what holds its own key would stay for ever
        _made.setdefault(functions[0], []).append(kept)
    return made


def _types_of(path: str, factory: Any, args: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """The types of ports that a factory gives, if it does."""
    if not hasattr(factory, "get_port_types"):
        return {}
    types = _call(path, factory.get_port_types, args)
    sides = ("in_ports", "out_ports")
    if not isinstance(types, Mapping) or any(side not in sides for side in types):
        raise FactoryError(
            path, f"get_port_types must return a dict with in_ports, out_ports or both, not {types!r:.200}"
        )
    return {(side, port): spec for side in types for port, spec in types[side].items()}


def made_by_factory(functions: tuple[Any, ...]) -> list[Made]:
    """What factories have made that has exactly these functions, or lacks some of them."""
    try:
        known = _made.get(functions[0], [])
    except TypeError:
        return []
    return [
        made
        for made in known
        if all(a is b or a is None for a, b in zip(made.functions, (None, *functions[1:]), strict=True))
    ]


# %% [markdown]
# Written as text, arguments are JSON, and callables their paths.


# %%
#|exporti
_DEEPEST = 32


def why_no_text(value: Any, more: tuple[type, ...] = (), depth: int = 0) -> str | None:
    """Why a value cannot stand in a text, or None if it can: numbers, texts, lists and dicts can, and `more`."""
    if depth > _DEEPEST:
        return f"it is nested more than {_DEEPEST} deep"
    if isinstance(value, Mapping):
        keys = [f"the key {key!r} is no text" for key in value if not isinstance(key, str)]
        inner = (why_no_text(part, more, depth + 1) for part in value.values())
        return keys[0] if keys else next(filter(None, inner), None)
    if isinstance(value, (list, tuple)):
        return next(filter(None, (why_no_text(part, more, depth + 1) for part in value)), None)
    if isinstance(value, float) and not isfinite(value) and float not in more:
        return f"{value} is no JSON"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "a number of more than 64 bits has no place in it"
    if value is None or not isinstance(value, (str, int, float, *more)):
        return f"{'None' if value is None else f'a {type(value).__name__}'} has no place in it"
    return None


def args_as_text(made: Made) -> tuple[dict[str, Any], dict[str, str]]:
    """The arguments of a factory as text can hold them; and, by name, why one cannot be."""
    texts: dict[str, Any] = {}
    problems: dict[str, str] = {}
    named = callable_parameters(factory_at(made.path))
    for name, value in made.args.items():
        problem = why_no_path(value) if callable(value) and name in named else why_no_text(value)
        if problem is None:
            texts[name] = path_of(value) if callable(value) else value
        elif value is not None:  # which is left out, as what has no value
            problems[name] = problem
    return texts, problems


# %%
from netrun.making import why_no_text

assert why_no_text({"a": [1, "b", {"c": 2.5}]}) is None
for value in [None, {1: 2}, [float("nan")], 2**64, print]:
    print(why_no_text(value))
    assert why_no_text(value) is not None

# %% [markdown]
# A factory of one's own is a module with two functions, or an object:

# %%
import sys
from types import ModuleType

from netrun import Net, Port


class Constant:
    """A source that sends one value."""

    def get_node_spec(self, value):
        return {"out_ports": {"out": Port()}}

    def get_node_funcs(self, value):
        return (lambda ctx, packets: print(value)), None, None, None


sys.modules["demo_factories"] = module = ModuleType("demo_factories")
module.constant = Constant()
spec, run, *others = Net.from_factory("demo_factories.constant", value=3)
assert list(spec) == ["out_ports"] and others == [None, None, None]
run(None, {})
