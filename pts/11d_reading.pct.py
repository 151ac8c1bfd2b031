# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Reading: a net as text
#
# A net can be written as TOML:
#
# ```toml
# edges = [
#     { from = "Count.out", to = "Square.in" },
# ]
#
# [net]
# on_error = "continue"
#
# [nodes.Count]
# out_ports = ["out"]
# out_salvo_conditions.send = { when = "nonempty(out)" }
# exec_node_func = "myapp.count"
#
# [nodes.Square]
# in_ports = ["in"]
# out_ports = ["out"]
# in_salvo_conditions.one = { when = "nonempty(in)", ports = { in = 1 } }
# out_salvo_conditions.send = { when = "nonempty(out)" }
# exec_node_func = "myapp.square"
# options = { retries = 2, defer_net_actions = true }
# ```
#
# This chapter turns such a text into plain data, the *description* of a net, or says everything that is wrong with it at
# once. Nothing is imported, no function is called.
#
# | table | keys |
# |---|---|
# | `[net]` | the options of `Net`; callables as import paths; `thread_pools.X`, `process_pools.X`, `meta` |
# | `[nodes.X]` | `in_ports`, `out_ports`: a list of names, or a table of `{ slots, type }`; a type is the name of a class, its import path, or a table of `class` with `isinstance = false` or `subclass = true` |
# | | `in_salvo_conditions.C`, `out_salvo_conditions.C`: `when`, `ports` (a name, a list, or a table of counts; all ports of that side when left out), `max_salvos` (a number or `"infinite"`) |
# | | `exec_node_func`, `start_node_func`, `stop_node_func`, `exec_failed_node_func`: import paths |
# | | `factory`, `factory_args`: what the table says beside them takes the place of what the factory says |
# | | `options`: those of `NodeConfig`; `meta` |
# | `edges`, `[[edges]]` | `from`, `to`: `"Node.port"`, names with dots in double quotes: `'"a.b".out'`; `meta` |

# %%
#|default_exp reading

# %%
#|export
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any

from netrun.core import ConfigError, DslError, DslFinding, NetConfig, NodeConfig, write_ref
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
    own_exceptions,
    read_ref,
)
from netrun.expressions import Misread, did_you_mean, finding_at, normal_form, read_condition
from netrun.making import FUNCTIONS, why_no_text
from netrun.paths import path_problem
from netrun.places import Path, Places

# %% [markdown]
# ## What is wrong
#
# Findings are noted by path while the data is gone through. Their places are looked up when there is one at all.


# %%
#|exporti
_KINDS = {
    dict: "a table",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


def _named_kind(value: Any) -> str:
    """What a value is, in words."""
    shown = f" ({value!r:.60})" if isinstance(value, (str, int, float)) else ""
    return "true or false" if isinstance(value, bool) else f"{_KINDS.get(type(value), 'a date or time')}{shown}"


_MOST = 100  # findings that are told


class Enough(Exception):
    """So much is wrong that nothing more is looked at."""


class Findings:
    """What is wrong with a text."""

    def __init__(self) -> None:
        self._noted: list[tuple[Path, str, str, tuple[int, int] | None]] = []

    def __bool__(self) -> bool:
        return bool(self._noted)

    def key(self, path: Path, message: str) -> None:
        """The key at this path is wrong."""
        self._note(path, "key", message, None)

    def value(self, path: Path, message: str, inside: tuple[int, int] | None = None) -> None:
        """The value at this path is wrong, or what is `inside` of it."""
        self._note(path, "value", message, inside)

    def _note(self, path: Path, what: str, message: str, inside: tuple[int, int] | None) -> None:
        self._noted.append((path, what, message, inside))
        if len(self._noted) == _MOST:
            raise Enough

    def without_text(self) -> list[DslFinding]:
        """All of them, of what was never a text."""
        return [DslFinding(f"{'.'.join(map(str, path))}: {message}") for path, _, message, _ in self._noted]

    def in_text(self, text: str, given: Iterable[Path] = ()) -> list[DslFinding]:
        """All of them with their places, in the order of the text. What is at the `given` paths is not in it."""
        places = Places(text)
        found = []
        for path, what, message, inside in self._noted:
            span = places.inside(path, *inside) if inside else places.key(path) if what == "key" else places.value(path)
            if span is None or any(path[: len(outside)] == outside for outside in given):
                found.append((len(text), DslFinding(f"{'.'.join(map(str, path))}: {message}")))
            else:
                found.append((span[0], finding_at(text, message, *span)))
        told = [finding for _, finding in sorted(found, key=lambda each: each[0])]
        more = [DslFinding(f"these are {_MOST} things; what else may be wrong was not looked at")]
        return told if len(told) < _MOST else told + more


# %% [markdown]
# ## Tables and values


# %%
#|exporti
class Tables:
    """Reads values of the types that are expected, and notes what is none."""

    def __init__(self) -> None:
        self.wrong = Findings()

    def a(self, type_: type, path: Path, value: Any, what: str = "") -> bool:
        """Whether a value is of this type."""
        fits = isinstance(value, type_) and not (type_ is int and isinstance(value, bool))
        if not fits:
            name = f"`{path[-1]}`" if isinstance(path[-1], str) else f"each of `{path[-2]}`"
            self.wrong.value(path, f"{name} must be {what or _KINDS[type_]}, not {_named_kind(value)}")
        return fits

    def table(self, path: Path, value: Any, known: Iterable[str] | None = None, word: str = "key") -> dict[str, Any]:
        """A table; an empty one where it is none. Keys that are not known are noted, and left out."""
        if not self.a(dict, path, value):
            return {}
        if known is None:
            return dict(value)
        known = list(known)
        for key in value:
            if key not in known:
                self.wrong.key((*path, key), f"unknown {word} `{key[:100]}`{did_you_mean(key, known)}")
        return {key: value[key] for key in value if key in known}

    def plain(self, path: Path, value: Any, more: tuple[type, ...] = ()) -> dict[str, Any]:
        """A table of whatever values."""
        table = self.table(path, value)
        problem = why_no_text(table, more)
        if problem is not None:
            self.wrong.value(path, f"`{path[-1]}`: {problem}")
            return {}
        return table

    def meta(self, path: Path, table: dict[str, Any]) -> dict[str, Any]:
        """What `meta` in a table says."""
        from datetime import date, datetime, time

        return self.plain((*path, "meta"), table.get("meta", {}), (date, datetime, time, float))

    def path(self, path: Path, value: Any, may_be_module: bool = False) -> str | None:
        """An import path."""
        if not self.a(str, path, value, "an import path"):
            return None
        problem = path_problem(value, may_be_module)
        if problem is not None:
            self.wrong.value(path, problem)
        return str(value)

    def whole(self, path: Path, value: Any, least: int, or_: str = "") -> int | None:
        """A whole number."""
        what = f"a whole number from {least} on{or_}"
        if not self.a(int, path, value, what):
            return None
        if not least <= value < 2**63:
            self.wrong.value(path, f"`{path[-1]}` must be {what}, not {value}")
            return None
        return int(value)


# %% [markdown]
# ## Options
#
# Options are checked by what checks them in Python: `NodeConfig`, `NetConfig`, the dead letter queue. Each names the
# option at the beginning of its message; that one is noted and left out, and the rest is checked again, until nothing is
# wrong with it.


# %%
#|exporti
_NOT_TEXT = {
    "executor_pools": "executors cannot be text: give them",
    "checkpoint_key": "a key is a secret, and no text is: give it",
}


class Options(Tables):
    """Reads options."""

    def checked(self, path: Path, options: dict[str, Any], check: Callable[..., Any]) -> None:
        """Note what `check(**options)` raises, option by option."""
        left = dict(options)
        while True:
            try:
                check(**left)
                return
            except ConfigError as error:
                message = _as_text(error.what)
                name = next((name for name in left if re.match(rf"`?{name}\b", message)), None)
                if name is None:
                    return self.wrong.value(path, message)
                self.wrong.value((*path, name), message)
                del left[name]

    def node_options(self, path: Path, value: Any) -> dict[str, Any]:
        """The options of a node."""
        options = self.table(path, value, NODE_OPTIONS, "option")
        plain = {name: value for name, value in options.items() if NODE_OPTIONS[name] == "plain"}
        self.checked(path, plain, NodeConfig().merged)
        for name in options.keys() - plain.keys():
            self._exceptions((*path, name), options[name])
        return options

    def _exceptions(self, path: Path, value: Any) -> None:
        """One exception class by its path, or several."""
        names = value if isinstance(value, list) else [value]
        for place, name in enumerate(names):
            at = (*path, place) if isinstance(value, list) else path
            if not self.a(str, at, name, "the name of an exception, or its import path"):
                continue
            if "." in name:
                self.path(at, name)
            elif builtin_exception(name) is None:
                hint = did_you_mean(name, own_exceptions())
                self.wrong.value(at, f"Python has no exception `{name[:100]}`{hint if 'mean' in hint else ''}")

    def net_options(self, path: Path, table: dict[str, Any]) -> dict[str, Any]:
        """The options of the net."""
        options = {name: value for name, value in table.items() if name != "meta"}
        for name, what in _NOT_TEXT.items():
            if options.pop(name, None) is not None:
                self.wrong.key((*path, name), f"{what} as `{name}=` in Python")
        for kind in ("thread_pools", "process_pools"):
            options[kind] = self._pools((*path, kind), options.get(kind, {}))
            if not options[kind]:
                del options[kind]
        for name in [name for name, kind in NET_OPTIONS.items() if kind == "callable" and name in options]:
            if not self.a(str, (*path, name), options[name], "an import path"):
                del options[name]
            elif is_path(name, "callable", options[name]):
                self.path((*path, name), options[name])
        self.checked(path, {name: _stand_in(name, value) for name, value in options.items()}, _check_net)
        self._together(path, options, _check_dead_letters, ("limit", "callback", "path", "queue"), "dead_letter")
        self._together(path, options, _check_store, ("storage_limit", "storage"), "consumed_packet")
        return options

    def _together(
        self, path: Path, options: dict[str, Any], check: Callable[..., Any], words: tuple[str, ...], stem: str
    ) -> None:
        """Note what `check` says of several options, at the one that it speaks of."""
        given = {word: options[f"{stem}_{word}"] for word in words if f"{stem}_{word}" in options}
        try:
            check(**{word: _stand_in(f"{stem}_{word}", value) for word, value in given.items()})
        except ConfigError as error:
            word = next((word for word in given if word in error.what), next(iter(given)))
            self.wrong.value((*path, f"{stem}_{word}"), _as_text(error.what))

    def _pools(self, path: Path, value: Any) -> dict[str, Any]:
        """Pools of one kind, by name."""
        from netrun.pools import check_pool

        pools = self.table(path, value)
        for name, options in pools.items():
            if self.a(dict, (*path, name), options):
                try:
                    check_pool(str(path[-1]), name, options)
                except ConfigError as error:
                    self.wrong.value((*path, name), _as_text(error.what))
        return {name: options for name, options in pools.items() if isinstance(options, dict)}


def _as_text(message: str) -> str:
    """What a check says, in the words of a text."""
    text = message.replace("True or False", "true or false").replace("=True", " = true").removesuffix(".")
    return text.replace(", or None,", ",").replace(" or None,", " or false,").replace(", not None", ", and is missing")


def _stand_in(name: str, value: Any) -> Any:
    """A value to check in place of one that is given by its path."""
    return print if is_path(name, NET_OPTIONS[name], value) else value


def _check_net(**options: Any) -> None:
    NetConfig(**options).verify()


def _check_dead_letters(queue: Any = "memory", path: Any = None, callback: Any = None, limit: Any = None) -> None:
    from netrun.failures import check_queue

    if callable(queue) and callback is not None:
        raise ConfigError("dead_letter_queue is a callable already: leave dead_letter_callback out")
    check_queue("callback" if callable(queue) else queue, path, queue if callable(queue) else callback, limit)


def _check_store(storage: Any = False, storage_limit: Any = None) -> None:
    from netrun.values import PacketValueStore

    try:
        PacketValueStore(storage, storage_limit)  # without a path it opens nothing
    except ConfigError as error:
        raise ConfigError(error.what.replace("consumed_", "consumed_packet_")) from None


# %% [markdown]
# ## Nodes


# %%
#|exporti
_SIDES = (("in_ports", "in_salvo_conditions", "input"), ("out_ports", "out_salvo_conditions", "output"))
NODE_KEYS = [item.name for item in fields(NodeDefinition)]


class Nodes(Options):
    """Reads nodes."""

    def node(self, path: Path, value: Any) -> NodeDefinition:
        """A node."""
        table = self.table(path, value, NODE_KEYS)
        node = NodeDefinition(options=self.node_options((*path, "options"), table.get("options", {})))
        if "factory" in table:
            node.factory = self.path((*path, "factory"), table["factory"], may_be_module=True)
        if "factory_args" in table:
            node.factory_args = self.plain((*path, "factory_args"), table["factory_args"])
            if "factory" not in table:
                self.wrong.key((*path, "factory_args"), "`factory_args` without a `factory`")
        for name in FUNCTIONS:
            if name in table:
                setattr(node, name, self.path((*path, name), table[name]))
        for ports_key, conditions_key, side in _SIDES:
            ports = self._ports((*path, ports_key), table.get(ports_key, []))
            setattr(node, ports_key, ports)
            known = None if node.factory and not ports else ports
            conditions = self._conditions((*path, conditions_key), table.get(conditions_key, {}), side, known)
            setattr(node, conditions_key, conditions)
        node.meta = self.meta(path, table)
        return node

    def _ports(self, path: Path, value: Any) -> dict[str, PortDefinition]:
        """Ports: a list of names, or a table."""
        if isinstance(value, list):
            ports: dict[str, PortDefinition] = {}
            for place, name in enumerate(value):
                if self.a(str, (*path, place), name, "the name of a port"):
                    if name in ports:
                        self.wrong.value((*path, place), f"port `{name}` is there twice")
                    ports[name] = PortDefinition()
            return ports
        if not self.a(dict, path, value, "a list of names, or a table"):
            return {}
        return {name: self._port((*path, name), port) for name, port in value.items()}

    def _port(self, path: Path, value: Any) -> PortDefinition:
        table = self.table(path, value, ["slots", "type"])
        slots = self.whole((*path, "slots"), table["slots"], 0) if "slots" in table else None
        return PortDefinition(slots, self._type((*path, "type"), table["type"]) if "type" in table else None)

    def _type(self, path: Path, value: Any) -> Any:
        """A port's type: a class by its name or its path, alone or in a table."""
        from netrun.port_types import port_type

        name = value.get("class") if isinstance(value, dict) else value
        if isinstance(name, str) and "." in name:
            if self.path((*path, "class") if isinstance(value, dict) else path, name) is None:
                return None
            value_there = {**value, "class": "found_later"} if isinstance(value, dict) else "found_later"
        else:
            value_there = value
        if isinstance(value, (str, dict)):
            try:
                port_type(value_there)
            except ConfigError as error:
                self.wrong.value(path, _as_text(error.what))
            return value
        self.a(str, path, value, "the name of a class, its import path, or a table with `class`")
        return None

    def _conditions(
        self, path: Path, value: Any, side: str, ports: dict[str, Any] | None
    ) -> dict[str, ConditionDefinition]:
        """The conditions of one side."""
        return {
            name: self._condition((*path, name), condition, side, ports)
            for name, condition in self.table(path, value).items()
        }

    def _condition(self, path: Path, value: Any, side: str, ports: dict[str, Any] | None) -> ConditionDefinition:
        table = self.table(path, value, ["when", "ports", "max_salvos"])
        condition = ConditionDefinition("true", max_salvos=1 if side == "input" else None)
        if "when" in table:
            condition.when = self._when((*path, "when"), table["when"], side, ports)
        elif isinstance(value, dict):
            self.wrong.key(path, f'condition `{path[-1]}` has no `when`, such as "nonempty(port)"')
        if "ports" in table:
            condition.ports = self._takes((*path, "ports"), table["ports"], side, ports)
        if "max_salvos" in table:
            condition.max_salvos = self._max_salvos((*path, "max_salvos"), table["max_salvos"], side)
        return condition

    def _when(self, path: Path, value: Any, side: str, ports: dict[str, Any] | None) -> str:
        """An expression, in its normal form."""
        if not self.a(str, path, value, 'an expression such as "nonempty(port)"'):
            return "true"
        try:
            named = read_condition(value)[1]
            for name, start, end in named:
                self._port_there(path, name, side, ports, (start, end))
            return normal_form(value)
        except Misread as wrong:
            self.wrong.value(path, wrong.message, (wrong.start, wrong.end))
            return "true"

    def _port_there(
        self, path: Path, name: str, side: str, ports: dict[str, Any] | None, inside: tuple[int, int] | None = None
    ) -> None:
        if ports is not None and name not in ports:
            what = f"there is no {side} port `{name[:100]}`{did_you_mean(name, ports)}"
            self.wrong.value(path, what, inside)

    def _takes(self, path: Path, value: Any, side: str, ports: dict[str, Any] | None) -> dict[str, int | None]:
        """Which ports a condition takes from: a name, a list of names, or a table of counts."""
        if isinstance(value, str):
            self._port_there(path, value, side, ports)
            return {value: None}
        if isinstance(value, list):
            names = [(place, name) for place, name in enumerate(value) if self.a(str, (*path, place), name, "a port")]
            for count, (place, name) in enumerate(names):
                self._port_there((*path, place), name, side, ports)
                if name in [before for _, before in names[:count]]:
                    self.wrong.value((*path, place), f"port `{name[:100]}` is there twice")
            return {name: None for _, name in names}
        if not self.a(dict, path, value, "the name of a port, a list of names, or a table of counts"):
            return {}
        for name in value:
            self._port_there((*path, name), name, side, ports)
        return {name: self._count((*path, name), count) for name, count in value.items()}

    def _count(self, path: Path, value: Any) -> int | None:
        return None if value == "all" else self.whole(path, value, 0, ', or "all"')

    def _max_salvos(self, path: Path, value: Any, side: str) -> int | None:
        if side == "output":
            return None if value == "infinite" else self.whole(path, value, 0, ', or "infinite"')
        if value != 1 or not isinstance(value, int) or isinstance(value, bool):
            self.wrong.value(
                path, f"an input condition makes one epoch at a time: `max_salvos` is 1, not {_named_kind(value)}"
            )
        return 1


# %% [markdown]
# ## Edges and the whole


# %%
#|exporti
class Reader(Nodes):
    """Reads a net."""

    def net(self, data: dict[str, Any]) -> Description:
        """Everything."""
        top = self.table((), data, ["net", "nodes", "edges"])
        table = self.table(("net",), top.get("net", {}), [*NET_OPTIONS, "meta"], "option")
        read = Description(self.net_options(("net",), table), self.meta(("net",), table))
        for name, node in self.table(("nodes",), top.get("nodes", {})).items():
            read.nodes[name] = self.node(("nodes", name), node)
        edges = top.get("edges", [])
        if self.a(list, ("edges",), edges):
            sources: dict[tuple[str, str], str] = {}
            for place, edge in enumerate(edges):
                self._edge(("edges", place), edge, read, sources)
        return read

    def _edge(self, path: Path, value: Any, read: Description, sources: dict[tuple[str, str], str]) -> None:
        if not isinstance(value, dict):
            self.wrong.value(
                path, f'an edge must be a table, such as {{ from = "A.out", to = "B.in" }}, not {_named_kind(value)}'
            )
            return
        table = self.table(path, value, ["from", "to", "meta"])
        source = self._end((*path, "from"), table, read.nodes, "output")
        target = self._end((*path, "to"), table, read.nodes, "input")
        if source is not None and source in sources:
            self.wrong.value(
                (*path, "from"),
                f"a second edge from `{write_ref(*source)}`, which leads to {sources[source]} already: an output port has one "
                "edge. A node of the factory netrun.factories.broadcast sends to several",
            )
        elif source is not None:
            sources[source] = f"`{write_ref(*target)}`" if target else "another port"
        read.edges.append(EdgeDefinition(source or ("", ""), target or ("", ""), self.meta(path, table)))

    def _end(
        self, path: Path, table: dict[str, Any], nodes: dict[str, NodeDefinition], side: str
    ) -> tuple[str, str] | None:
        """One end of an edge."""
        if path[-1] not in table:
            self.wrong.value(path[:-1], f"an edge without `{path[-1]}`")
            return None
        text = table[path[-1]]
        if not self.a(str, path, text, 'a port such as "Node.port"'):
            return None
        try:
            node_name, port_name = read_ref(text)
        except Misread as wrong:
            self.wrong.value(path, wrong.message)
            return None
        node = nodes.get(node_name)
        if node is None:
            self.wrong.value(path, f"there is no node `{node_name[:100]}`{did_you_mean(node_name, nodes)}")
        else:
            self._port_of(path, node_name, node, port_name, side)
        return node_name, port_name

    def _port_of(self, path: Path, node_name: str, node: NodeDefinition, port_name: str, side: str) -> None:
        ports, others = (node.in_ports, node.out_ports) if side == "input" else (node.out_ports, node.in_ports)
        if port_name in ports or (node.factory and not ports):
            return
        hint = (
            "; there is one of that name on the other side" if port_name in others else did_you_mean(port_name, ports)
        )
        self.wrong.value(path, f"node `{node_name}` has no {side} port `{port_name[:100]}`{hint}")


# %% [markdown]
# ## From a text
#
# Before anything is parsed the text is measured: a net of ten thousand nodes is a few megabytes, and a key of more than a
# few dozen names is not meant well.

# %%
#|exporti
_LARGEST = 10_000_000  # characters
_LONGEST_KEY = 64  # names joined by dots
_DOTS = re.compile(rf"^(?:[^.\n]*\.){{{_LONGEST_KEY}}}", re.MULTILINE)
_HUGE = re.compile(r"\b0[xob][0-9a-fA-F_]{3500,}")  # Python reads these, and cannot write them in decimal
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_PLAINER = [
    (r"Cannot declare \((.*)\) twice", "this table is declared twice"),
    (r"Cannot overwrite a value", "this key is given twice"),
    (r"Cannot mutate immutable namespace.*", "this table was completed before, and cannot be added to"),
]


def data_of(text: str, source: str | None = None) -> dict[str, Any]:
    """A TOML text as plain data. Raises `DslError`."""
    import tomllib

    _must_be_sound(text, source)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DslError([_syntax_finding(text, str(error))], source) from None
    except RecursionError:
        raise DslError([DslFinding("lists or tables are nested too deeply")], source) from None
    except ValueError:  # of what Python can read, but does not
        raise DslError([DslFinding("a number of too many digits")], source) from None
    if (match := _HUGE.search(text)) is not None and _holds_huge(data):
        raise DslError([finding_at(text, "a number of too many digits", *match.span())], source)
    return data


def _holds_huge(value: Any) -> bool:
    """Whether a number in data has more digits than Python writes."""
    if isinstance(value, (dict, list)):
        return any(map(_holds_huge, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and value.bit_length() > 14_000


def must_be_bounded(size: int, unit: str, source: str | None) -> None:
    """Raise `DslError` for a text that is too large."""
    if size > _LARGEST:
        raise DslError([DslFinding(f"{size:,} {unit} are more than the {_LARGEST:,} that are read")], source)


def _must_be_sound(text: str, source: str | None) -> None:
    if not isinstance(text, str):
        raise TypeError(f"a net as text is a text, not {text!r:.60}")
    must_be_bounded(len(text), "characters", source)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        at = finding_at(text, "half of a surrogate pair, which is no character", error.start, error.end)
        raise DslError([at._replace(snippet=ascii(at.snippet.split("\n")[0]))], source) from None
    if _DOTS.search(text) is not None:
        from netrun.places import longest_key

        long = longest_key(text, _LONGEST_KEY)
        if long is not None:
            raise DslError([finding_at(text, f"a key of more than {_LONGEST_KEY} names", *long)], source)


def _syntax_finding(text: str, message: str) -> DslFinding:
    """What the parser says, with the place."""
    match = _AT.search(message)
    said = message[: match.start()] if match else message
    for pattern, plainer in _PLAINER:
        said = re.sub(pattern, plainer, said)
    said = said[:1].lower() + said[1:]
    if match is None or match[1] is None:
        start = len(text.rstrip())
    else:
        lines = text.replace("\r\n", "\n").split("\n")
        start = sum(len(line) + 1 for line in lines[: int(match[1]) - 1]) + int(match[2]) - 1
        text = "\n".join(lines)
    return finding_at(text, f"this is no TOML: {said}", min(start, len(text)), start + 1)


def read(text: str, source: str | None = None, given: Mapping[Path, Any] | None = None) -> Description:
    """What a TOML text says of a net. `given`: values that take the place of what it says, by path. Raises `DslError`."""
    data = data_of(text, source)
    for path, value in (given or {}).items():
        _put(data, path, value)
    reader, description = Reader(), Description()
    with suppress(Enough):
        description = reader.net(data)
    if reader.wrong:
        raise DslError(reader.wrong.in_text(text, given or ()), source)
    return description


def _put(data: Any, path: Path, value: Any) -> None:
    """Put a value into data, making the tables that lead to it. One that is no table is replaced."""
    for name in path[:-1]:
        inner = data.get(name)
        data[name] = data = inner if isinstance(inner, dict) else {}
    data[path[-1]] = value


# %% [markdown]
# A text that is right, and one in which a few things are wrong. All of them are said.

# %%
from netrun import DslError
from netrun.reading import read

TEXT = """
edges = [{ from = "Count.out", to = "Square.in" }]

[nodes.Count]
out_ports = ["out"]
out_salvo_conditions.send = { when = "(nonempty(out))" }

[nodes.Square]
in_ports.in = { slots = 10 }
in_salvo_conditions.one = { when = "nonempty(in)", ports = { in = 1 } }
options.timeout = 2.5
"""
description = read(TEXT)
assert list(description.nodes) == ["Count", "Square"]
assert description.nodes["Count"].out_salvo_conditions["send"].when == "nonempty(out)"
assert description.nodes["Square"].in_ports["in"].slots == 10
assert description.edges[0].target == ("Square", "in")

# %%
try:
    read(TEXT.replace("Square.in", "Sqare.in").replace("slots = 10", 'slots = "10"').replace("timeout", "timout"))
except DslError as error:
    print(error)
    assert [finding.line for finding in error.findings] == [2, 9, 11]
    assert error.findings[2].message == "unknown option `timout`, did you mean `timeout`?"
else:
    raise AssertionError("not refused")
