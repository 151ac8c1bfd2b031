# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Writing: a description as text
#
# A description is written as a person would write it: edges first, one a line; a node as one block; short tables within a
# line, long ones under a header of their own; nothing that says no more than the default. What is read again is equal.
#
# A text that was loaded is not written anew. What did not change in it stays as it is, with its comments, its order and
# its layout; only what changed is put in (`tomlkit` does that).

# %%
#|default_exp writing

# %%
#|export
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from netrun.core import write_ref
from netrun.making import FUNCTIONS
from netrun.places import Path, Places
from netrun.description import (
    ConditionDefinition,
    Description,
    EdgeDefinition,
    NodeDefinition,
    PortDefinition,
)
from netrun.reading import read

# %% [markdown]
# ## Plain data
#
# First the description becomes plain data in normal form: what is left out in it is the default.


# %%
#|exporti
def _ports(ports: Mapping[str, PortDefinition]) -> Any:
    if all(port == PortDefinition() for port in ports.values()):
        return list(ports)
    said = {name: {"slots": port.slots, "type": port.type} for name, port in ports.items()}
    return {name: {key: value for key, value in port.items() if value is not None} for name, port in said.items()}


def _takes(takes: Mapping[str, int | None]) -> Any:
    if any(count is not None for count in takes.values()):
        return {port: "all" if count is None else count for port, count in takes.items()}
    return next(iter(takes)) if len(takes) == 1 else list(takes)


def _condition(condition: ConditionDefinition, default: int | None) -> dict[str, Any]:
    data: dict[str, Any] = {"when": condition.when}
    if condition.ports is not None:
        data["ports"] = _takes(condition.ports)
    if condition.max_salvos != default:
        data["max_salvos"] = "infinite" if condition.max_salvos is None else condition.max_salvos
    return data


def node_data(node: NodeDefinition) -> dict[str, Any]:
    """A node as plain data."""
    data = {
        "factory": node.factory,
        "factory_args": node.factory_args,
        "in_ports": _ports(node.in_ports),
        "out_ports": _ports(node.out_ports),
        "in_salvo_conditions": {name: _condition(each, 1) for name, each in node.in_salvo_conditions.items()},
        "out_salvo_conditions": {name: _condition(each, None) for name, each in node.out_salvo_conditions.items()},
        **{name: getattr(node, name) for name in FUNCTIONS},
        "options": node.options,
        "meta": node.meta,
    }
    return {key: value for key, value in data.items() if value not in (None, {}, [])}


def edge_data(edge: EdgeDefinition) -> dict[str, Any]:
    """An edge as plain data."""
    ends = {"from": write_ref(*edge.source), "to": write_ref(*edge.target)}
    return {**ends, "meta": edge.meta} if edge.meta else ends


def data_of(description: Description) -> dict[str, Any]:
    """A description as plain data."""
    net = {**{key: value for key, value in description.options.items() if value != {}}, "meta": description.meta}
    data = {
        "edges": [edge_data(edge) for edge in description.edges],
        "net": {key: value for key, value in net.items() if value != {}},
        "nodes": {name: node_data(node) for name, node in description.nodes.items()},
    }
    return {key: value for key, value in data.items() if value}


# %% [markdown]
# ## Values
#
# A text that holds double quotes is written between single ones, where it can be.

# %%
#|exporti
WIDTH = 100  # columns that a line may take
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def key_text(key: str) -> str:
    """A key."""
    return key if _BARE.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    if re.search(r'["\\]', text) and not re.search(r"['\x00-\x1f\x7f]", text):
        return f"'{text}'"
    escaped = re.sub(r'["\\\x00-\x1f\x7f]', lambda match: _ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04x}", text)
    return f'"{escaped}"'


def value_text(value: Any) -> str:
    """A value within one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        parts = ", ".join(f"{key_text(key)} = {value_text(inner)}" for key, inner in value.items())
        return f"{{ {parts} }}" if parts else "{}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(value_text, value))}]"
    return str(value.isoformat())  # a date or time


# %%
from netrun.writing import value_text

assert value_text({"a b": [1, 2.5, True], "c": 'say "x"'}) == '{ "a b" = [1, 2.5, true], c = \'say "x"\' }'
assert value_text('it\'s "both"\n') == '"it\'s \\"both\\"\\n"'

# %% [markdown]
# ## Lines
#
# A table is a header and its lines. A table within it becomes a line, `key = { ... }`; a table of tables a line for each,
# `key.inner = { ... }`; and where one of these lines would be too long, tables with headers, after the lines. Every line
# knows its path, so that comments find their places.

# %%
#|exporti
Line = tuple[Path, str]


def _table(path: Path, data: Mapping[str, Any]) -> Iterator[Line]:
    """The lines of a table, those of tables with headers last. Conditions keep their order, since it decides which is
    tried first: where one of them needs a header, all have one."""
    later = []
    told = {key: None if _has_header((*path, key)) else _lines((*path, key), value) for key, value in data.items()}
    are_headed = None in told.values() and "".join(map(str, path[-1:])).endswith("_salvo_conditions")
    for key, value in data.items():
        lines = told[key]
        if lines is None or are_headed:
            later.append((key, value))
        else:
            yield from lines
    for key, value in later:
        yield from _headed((*path, key), value)


def _has_header(path: Path) -> bool:
    """Whether a table always has a header of its own: the net, its pools, the nodes."""
    is_pool = len(path) == 3 and path[0] == "net" and str(path[1]).endswith("_pools")
    return path in (("net",), ("nodes",)) or is_pool or (len(path) == 2 and path[0] == "nodes")


def _lines(path: Path, value: Any) -> list[Line] | None:
    """A value as lines without a header, or None where they would be too long."""
    name = key_text(str(path[-1]))
    if isinstance(value, Mapping):
        return _table_lines(path, name, value)
    line = f"{name} = {value_text(value)}"
    if isinstance(value, (list, tuple)) and (len(line) > WIDTH or (path == ("edges",) and len(value) > 1)):
        inner = [((*path, place), f"    {value_text(part)},") for place, part in enumerate(value)]
        return [(path, f"{name} = ["), *inner, (path, "]")]
    return [(path, line)]


def _table_lines(path: Path, name: str, value: Mapping[str, Any]) -> list[Line] | None:
    if any(_has_header((*path, key)) for key in value):
        return None
    if value and all(isinstance(inner, Mapping) for inner in value.values()):
        lines = [((*path, key), f"{name}.{key_text(key)} = {value_text(inner)}") for key, inner in value.items()]
    else:
        lines = [(path, f"{name} = {value_text(value)}")]
    return lines if all(len(line) <= WIDTH for _, line in lines) else None


def _headed(path: Path, value: Mapping[str, Any]) -> Iterator[Line]:
    """A table under a header. One that holds nothing but tables with headers needs none itself."""
    lines = list(_table(path, value))
    if not lines or not lines[0][1].startswith("\n"):
        header = ".".join(key_text(str(key)) for key in path)
        yield path, f"\n[{header}]"
    yield from lines


def _edge_tables(edges: list[dict[str, Any]]) -> Iterator[Line]:
    """Edges that are too long for a line each."""
    for place, edge in enumerate(edges):
        yield ("edges", place), "\n[[edges]]"
        for key, value in edge.items():
            lines = _lines(("edges", place, key), value)
            yield from lines or [(("edges", place, key), f"{key} = {value_text(value)}")]


def lines_of(data: Mapping[str, Any]) -> list[Line]:
    """A net's plain data as lines with their paths."""
    edges = data.get("edges", [])
    are_long = any(len(value_text(edge)) > WIDTH - 5 for edge in edges)
    top = {key: value for key, value in data.items() if key != "edges" or not are_long}
    return [*_table((), top), *(_edge_tables(edges) if are_long else ())]


# %% [markdown]
# ## Comments
#
# `netrun fmt` writes a text anew, in normal form, and takes its comments along: each to what it stood before or behind,
# else to the nearest that is still there. A note on what could not be written goes to its place in the same way.


# %%
#|exporti
def _at(path: Path, there: Mapping[Path, int]) -> int | None:
    """The number of the line where a path is written, or what is nearest around it."""
    while path and path not in there:
        path = path[:-1]
    return there.get(path)


def with_comments(lines: list[Line], before: Mapping[Path, list[str]], after: Mapping[Path, list[str]]) -> str:
    """The lines as a text, with comments before and behind them."""
    there: dict[Path, int] = {}
    for number, (path, _) in enumerate(lines):
        for length in range(len(path), 0, -1):
            there.setdefault(path[:length], number)
    above: dict[int | None, list[str]] = {}
    behind: dict[int | None, str] = {}
    for path, comments in before.items():
        above.setdefault(_at(path, there), []).extend(comments)
    for path, comments in after.items():
        at = _at(path, there)
        first = 0 if at is None or at in behind else 1  # a line has one comment behind it
        if first:
            behind[at] = comments[0]
        above.setdefault(at, []).extend(comments[first:])
    written = []
    for number, (_, line) in enumerate(lines):
        indent = re.match(r"\n? *", line)
        space = indent[0] if indent else ""
        for comment in above.get(number, ()):
            written.append(f"{space}{comment}")
            space = space.lstrip("\n")
            line = line.lstrip("\n") if not space.strip(" ") else line
        written.append(f"{line}  {behind[number]}" if number in behind else line)
    written += ["", *above[None]] if None in above else []
    return "\n".join(written).lstrip("\n") + "\n" if written else ""


def text_of(description: Description, notes: Mapping[Path, str] | None = None) -> str:
    """A description as a new text. `notes`: why something is left out, by its path."""
    before: dict[Path, list[str]] = {}
    for path, why in (notes or {}).items():
        before.setdefault(path[:2] if path[0] == "nodes" else path[:1], []).append(note(path, why))
    return with_comments(lines_of(data_of(description)), before, {})


def note(path: Path, why: str) -> str:
    """The comment on something that is left out."""
    return f"# {'.'.join(key_text(str(key)) for key in path)} is left out: {' '.join(why.split())}"


def formatted(description: Description, text: str) -> str:
    """A description in normal form, with the comments of the text that it was read from."""
    places = Places(text)
    moved = _moved(read(text).edges, description.edges)
    before, after = (_with_edges_moved(comments, moved) for comments in (places.before, places.after))
    return with_comments(lines_of(data_of(description)), before, after)


def _moved(was: Sequence[EdgeDefinition], now: Sequence[EdgeDefinition]) -> dict[int, int]:
    """Where each edge is now that was there before."""
    there = {(edge.source, edge.target): place for place, edge in enumerate(now)}
    ends = [(edge.source, edge.target) for edge in was]
    return {place: there[end] for place, end in enumerate(ends) if end in there}


def _with_edges_moved(comments: Mapping[Path, list[str]], moved: Mapping[int, int]) -> dict[Path, list[str]]:
    """Comments on edges by the places that those have now; on the list of them where one is gone."""
    found: dict[Path, list[str]] = {}
    for path, texts in comments.items():
        if path[:1] == ("edges",) and len(path) > 1:
            place = moved.get(int(path[1]))
            path = ("edges",) if place is None else ("edges", place, *path[2:])
        found.setdefault(path, []).extend(texts)
    return found


# %%
from netrun.reading import read
from netrun.writing import formatted, text_of

MESSY = """
# A net of two.
nodes.Square = {in_ports=["in"],    exec_node_func="myapp.square", in_salvo_conditions={one={when="((nonempty(in)))", ports=[  "in"]}}}
[nodes.Count]
  # what it is good for
  out_ports = ["out"]   # the only one
  options = {}
[[edges]]
from = "Count.out"
to = "Square.in"  # far
"""
print(formatted(read(MESSY), MESSY))
assert read(formatted(read(MESSY), MESSY)) == read(MESSY)
assert formatted(read(formatted(read(MESSY), MESSY)), formatted(read(MESSY), MESSY)) == formatted(read(MESSY), MESSY)

# %% [markdown]
# ## Changes in a text
#
# `changed` compares what a text said with what it is to say now, both as plain data, and touches in it only what differs.
# Notes on what is left out go to the end. The result is read again: if it did not say what it is to say, the text is
# written in normal form instead, with its comments.


# %%
#|exporti
def changed(text: str, old: Description, new: Description, notes: Mapping[Path, str] | None = None) -> str:
    """The text, saying what is new."""
    was, now, given = data_of(old), data_of(new), text
    if lines_of(was) != lines_of(now):
        text = _synced(text, was, now) or formatted(new, text)
    comments = [note(path, why) for path, why in (notes or {}).items()]
    missing = [f"{comment}\n" for comment in comments if comment not in text]
    text = "".join([text if text.endswith("\n") or not missing else f"{text}\n", *missing])
    return _with_ends_of(given, text)


def _with_ends_of(given: str, text: str) -> str:
    """The text with the ends of lines that a given one has throughout."""
    has_windows_ends = "\r\n" in given and not re.search(r"(?<!\r)\n", given)
    return re.sub(r"(?<!\r)\n", "\r\n", text) if has_windows_ends else text


def _synced(text: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The text with what differs put in, or None where tomlkit cannot do that."""
    import tomlkit

    try:
        document = tomlkit.parse(text)
        _sync((), document, was, now)
        synced = document.as_string()
        is_right = lines_of(data_of(read(synced))) == lines_of(now)
        return synced if is_right and _keeps_comments(text, synced, now) else None
    except Exception:  # whatever it is, there is another way to write the text, and no comment is lost on it
        return None


def _keeps_comments(text: str, synced: str, now: Mapping[str, Any]) -> bool:
    """Whether every comment is still there, but for those on what is gone."""
    places, left = Places(text), Places(synced)
    there = [comment for comments in (left.before, left.after) for texts in comments.values() for comment in texts]
    for comments in (places.before, places.after):
        for path, texts in comments.items():
            is_gone = path[:1] == ("edges",) or not _holds(now, path[:2])
            if not is_gone and any(comment not in there for comment in texts):
                return False
    return True


def _holds(data: Any, path: Path) -> bool:
    """Whether there is something at a path of names."""
    for name in path:
        if not isinstance(data, Mapping) or name not in data:
            return False
        data = data[name]
    return True


def _sync(path: Path, document: Any, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Make a tomlkit table that says what was say what is now."""
    for key in was.keys() - now.keys():
        del document[key]
    for key, value in now.items():
        if key in was and was[key] == value:
            continue
        inner, old = document.get(key), was.get(key)
        if isinstance(value, Mapping) and isinstance(inner, Mapping) and isinstance(old, Mapping):
            _sync((*path, key), inner, old, value)
        elif key == "edges" and not path and isinstance(inner, list) and old is not None:
            _sync_edges(inner, old, value)
        elif isinstance(inner, list) and isinstance(old, list) and isinstance(value, list) and _grew(old, value):
            for part in value[len(old) :]:
                inner.append(_item((*path, key, 0), part))
        else:
            document[key] = _item((*path, key), value)


def _grew(old: list[Any], new: list[Any]) -> bool:
    """Whether a list is another with more at its end."""
    return new[: len(old)] == old


def _sync_edges(document: Any, was: list[dict[str, Any]], now: list[dict[str, Any]]) -> None:
    """Take out the edges that are gone, say what is new of those that stay, and put the new ones at the end."""
    import tomlkit

    is_tables = isinstance(document, tomlkit.items.AoT)
    new = {(edge["from"], edge["to"]): edge for edge in now}
    old = [(edge["from"], edge["to"]) for edge in was]
    for place in reversed(range(len(was))):
        if old[place] not in new:
            del document[place]
        elif was[place] != new[old[place]]:
            if is_tables:
                _sync(("edges", place), document[place], was[place], new[old[place]])
            else:
                document[place] = tomlkit.value(value_text(new[old[place]]))
    for ends, edge in new.items():
        if ends not in old:
            document.append(tomlkit.item(edge) if is_tables else tomlkit.value(value_text(edge)))


def _item(path: Path, value: Any) -> Any:
    """A value for tomlkit, as it is written here."""
    import tomlkit

    if not _has_header(path):
        return tomlkit.value(value_text(value))
    table: Any = tomlkit.parse("".join(f"{line}\n" for _, line in _headed(path, value)))
    for key in path:
        table = table[key]
    return table


# %%
from netrun.writing import changed

TEXT = """\
# by hand
[nodes.A]  # the first
in_ports = [ 'in' ]
options = { timeout = 2, retries = 0 } # enough
"""
old = read(TEXT)
assert changed(TEXT, old, read(TEXT)) == TEXT
new = read(TEXT.replace("timeout = 2", "timeout = 3"))
assert changed(TEXT, old, new) == TEXT.replace("timeout = 2", "timeout = 3")

more = read(TEXT + "[nodes.B]\nin_ports = ['in']\noptions.retries = 0\n")
print(changed(TEXT, old, more))
assert changed(TEXT, old, more).startswith(TEXT)
