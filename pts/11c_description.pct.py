# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The description of a net
#
# What a text says of a net, as plain data, is its description: nodes, their ports and conditions, edges, options. Functions
# are import paths in it, conditions are expressions in their normal form. The next chapters read a text into a
# description, and write one as a text; here are its parts, and the words that both share.

# %%
#|default_exp description

# %%
#|export
import re
from dataclasses import dataclass, field, fields
from typing import Any

from netrun.core import NetConfig, NodeConfig, brief
from netrun.expressions import Misread

# %% [markdown]
# ## The parts
#
# `None` for `slots` is no limit, for a count all packets that are there, for
# `max_salvos` no limit, and for the `ports` of a condition all ports of its side.


# %%
#|export
@dataclass(slots=True)
class PortDefinition:
    """A port: how many packets it holds at the most, and what it takes: the name of a class, its import path, or a table
    with that as `class` (see `Net.set_input_port_type`)."""

    slots: int | None = None
    type: str | dict[str, Any] | None = None

    __repr__ = brief


@dataclass(slots=True)
class ConditionDefinition:
    """A salvo condition: an expression, which ports it takes from and how many packets, how often it may be sent."""

    when: str
    ports: dict[str, int | None] | None = None
    max_salvos: int | None = None

    __repr__ = brief


@dataclass(slots=True)
class NodeDefinition:
    """A node. Functions and the factory are import paths."""

    factory: str | None = None
    factory_args: dict[str, Any] = field(default_factory=dict)
    in_ports: dict[str, PortDefinition] = field(default_factory=dict)
    out_ports: dict[str, PortDefinition] = field(default_factory=dict)
    in_salvo_conditions: dict[str, ConditionDefinition] = field(default_factory=dict)
    out_salvo_conditions: dict[str, ConditionDefinition] = field(default_factory=dict)
    exec_node_func: str | None = None
    start_node_func: str | None = None
    stop_node_func: str | None = None
    exec_failed_node_func: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    __repr__ = brief


@dataclass(slots=True)
class EdgeDefinition:
    """An edge, from a node's output port to a node's input port."""

    source: tuple[str, str]
    target: tuple[str, str]
    meta: dict[str, Any] = field(default_factory=dict)

    __repr__ = brief


@dataclass
class Description:
    """A net: its options (with the pools), its nodes and edges."""

    options: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, NodeDefinition] = field(default_factory=dict)
    edges: list[EdgeDefinition] = field(default_factory=list)


# %% [markdown]
# ## Which options text can hold
#
# The options are the fields of `NetConfig` and `NodeConfig`, so a new one is known here when it is known there. What a
# field is annotated with says what text stands for it: a callable goes by its import path, an exception class too (one of
# Python's own by its name alone).


# %%
#|exporti
Kind = str  # "callable", "exceptions", "table", "never" or "plain"


def _kind(option: Any) -> Kind:
    text = str(option.type)
    if option.name in ("executor_pools", "checkpoint_key"):  # objects of the user's, and a secret
        return "never"
    if "BaseException" in text:
        return "exceptions"
    return "callable" if "Callable" in text else "table" if "Mapping" in text else "plain"


NET_OPTIONS: dict[str, Kind] = {option.name: _kind(option) for option in fields(NetConfig) if option.name != "meta"}
NODE_OPTIONS: dict[str, Kind] = {option.name: _kind(option) for option in fields(NodeConfig)}


def is_path(name: str, kind: Kind, value: Any) -> bool:
    """Whether the text given for an option is an import path. A dead letter queue may be a word or a path."""
    return kind == "callable" and isinstance(value, str) and (name != "dead_letter_queue" or "." in value)


def builtin_exception(name: Any) -> type[BaseException] | None:
    """One of Python's own exceptions, by its name."""
    import builtins

    found = getattr(builtins, name, None) if isinstance(name, str) else None
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def own_exceptions() -> list[str]:
    """The names of Python's own exceptions."""
    import builtins

    return [name for name in vars(builtins) if builtin_exception(name)]


# %%
from netrun.description import NET_OPTIONS, NODE_OPTIONS

assert NODE_OPTIONS["retries"] == "plain" and NODE_OPTIONS["retry_on"] == "exceptions"
assert NET_OPTIONS["error_callback"] == "callable" and NET_OPTIONS["thread_pools"] == "table"

# %% [markdown]
# ## Names of ports
#
# `"Node.port"`. A name that holds a dot or a quote stands in double quotes, as in expressions.

# %%
#|exporti
_PART = r"\"(?:[^\"\\]|\\[\"\\])*+\"|[^.\"]+"
_REF = re.compile(rf"({_PART})\.({_PART})", re.DOTALL)


def read_ref(text: str) -> tuple[str, str]:
    """The node and the port that a text such as `Node.port` names. Raises `Misread`."""
    match = _REF.fullmatch(text)
    if match is None:
        more = (
            "put names that hold dots in double quotes, as in '\"a.b\".c'" if text.count(".") > 1 else "as in 'A.out'"
        )
        raise Misread(f"`{text[:100]}` does not name a port of a node: it has the form Node.port, {more}", 0, len(text))
    node_name, port_name = (re.sub(r"\\(.)", r"\1", part[1:-1]) if part[0] == '"' else part for part in match.groups())
    return node_name, port_name


# %%
from netrun.core import write_ref
from netrun.description import read_ref

assert read_ref("A.out") == ("A", "out") and read_ref('"a.b"."c d"') == ("a.b", "c d")
for names in [("A", "out"), ("a.b", 'x "y"'), ("", "in"), ("back\\", "my port")]:
    assert read_ref(write_ref(*names)) == names
