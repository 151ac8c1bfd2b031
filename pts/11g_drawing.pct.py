# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Drawing: a description to look at
#
# A text of many nodes is easier to read as a drawing. Three kinds are made of a description alone, without importing what
# it names: a tree of text, a Mermaid flowchart, and an SVG picture.

# %%
#|default_exp drawing

# %%
#|export
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from netrun.description import Description, EdgeDefinition

# %% [markdown]
# ## What is drawn
#
# Nodes, the edges between them, and the ends that are open: ports without an edge. The ports of a node whose factory is
# not asked are those that edges name.


# %%
#|exporti
class Plan(NamedTuple):
    """What is to be drawn, by node."""

    leaving: dict[str, list[EdgeDefinition]]
    open_inputs: dict[str, list[str]]
    open_outputs: dict[str, list[str]]


def plan_of(description: Description) -> Plan:
    """The edges and open ports of each node, in the order of the text."""
    leaving: dict[str, list[EdgeDefinition]] = {name: [] for name in description.nodes}
    for edge in description.edges:
        leaving[edge.source[0]].append(edge)
    sources, targets = ({getattr(edge, end) for edge in description.edges} for end in ("source", "target"))
    nodes = description.nodes.items()
    return Plan(
        leaving,
        {name: [port for port in node.in_ports if (name, port) not in targets] for name, node in nodes},
        {name: [port for port in node.out_ports if (name, port) not in sources] for name, node in nodes},
    )


def _roots(description: Description) -> list[str]:
    """The nodes to begin with: those that no edge leads to, then all."""
    reached = {edge.target[0] for edge in description.edges}
    return [name for name in description.nodes if name not in reached] + list(description.nodes)


# %% [markdown]
# ## A tree
#
# Each node is told once, below the first that leads to it. Very long chains go on at the margin.

# %%
#|exporti
_DEEPEST = 20


def tree(description: Description) -> str:
    """The net as a tree of text."""
    plan, told, lines = plan_of(description), set[str](), list[str]()
    roots = deque(_roots(description))
    while roots:
        root = roots.popleft()
        if root not in told:
            lines.append(_head(root, plan))
            _branches(root, plan, told, lines, roots)
    return "\n".join(lines)


def _head(name: str, plan: Plan) -> str:
    """A node, with the inputs that nothing leads to."""
    return f"{name} ({', '.join(plan.open_inputs[name])})" if plan.open_inputs[name] else name


def _branches(root: str, plan: Plan, told: set[str], lines: list[str], roots: deque[str]) -> None:
    """What a node leads to, and what these lead to."""
    told.add(root)
    waiting = [(each, "") for each in reversed(_ends(root, plan))]
    while waiting:
        (port, edge, is_last), indent = waiting.pop()
        branch = f"{indent}{'└─' if is_last else '├─'} {port} ─>"
        if edge is None:
            lines.append(branch)
            continue
        name, inner = edge.target[0], indent + ("   " if is_last else "│  ")
        is_new, is_deep = name not in told, len(inner) >= 3 * _DEEPEST
        more = "" if is_new and not is_deep else " (see there)"
        lines.append(f"{branch} {edge.target[1]} {_head(name, plan)}{more}")
        if is_new and is_deep:
            roots.appendleft(name)
        elif is_new:
            told.add(name)
            waiting += [(each, inner) for each in reversed(_ends(name, plan))]


def _ends(name: str, plan: Plan) -> list[tuple[str, EdgeDefinition | None, bool]]:
    """The output ports of a node, where each leads, and whether it is the last."""
    ends: list[tuple[str, EdgeDefinition | None]] = [(edge.source[1], edge) for edge in plan.leaving[name]]
    ends += [(port, None) for port in plan.open_outputs[name]]
    return [(*end, place == len(ends)) for place, end in enumerate(ends, start=1)]


# %%
from netrun.drawing import mermaid, svg, tree
from netrun.reading import read

DIAMOND = """
edges = [
    { from = "Find.file", to = "Parse.file" },
    { from = "Parse.defs", to = "Outline.defs" },
    { from = "Parse.text", to = "Measure.text" },
    { from = "Outline.outline", to = "Join.outline" },
    { from = "Measure.size", to = "Join.size" },
]
nodes.Find = { in_ports = ["root"], out_ports = ["file"] }
nodes.Parse = { in_ports = ["file"], out_ports = ["defs", "text"] }
nodes.Outline = { in_ports = ["defs"], out_ports = ["outline"] }
nodes.Measure = { in_ports = ["text"], out_ports = ["size"] }
nodes.Join = { in_ports = ["outline", "size"], out_ports = ["module"] }
"""
print(tree(read(DIAMOND)))
assert tree(read(DIAMOND)).splitlines()[1] == "└─ file ─> file Parse"


# %% [markdown]
# ## Mermaid
#
# Many tools draw this, on the pages of a repository for one.


# %%
#|export
def mermaid(description: Description) -> str:
    """The net as a Mermaid flowchart."""
    plan = plan_of(description)
    ids = {name: f"n{place}" for place, name in enumerate(description.nodes)}
    lines = ["flowchart LR", *(f'    {ids[name]}["{_label(name)}"]' for name in ids)]
    for edge in description.edges:
        label = edge.source[1] if edge.source[1] == edge.target[1] else f"{edge.source[1]} → {edge.target[1]}"
        lines.append(f'    {ids[edge.source[0]]} -- "{_label(label)}" --> {ids[edge.target[0]]}')
    for name, ports in plan.open_inputs.items():
        lines += [
            f'    {ids[name]}i{place}(( )) -- "{_label(port)}" --> {ids[name]}' for place, port in enumerate(ports)
        ]
    for name, ports in plan.open_outputs.items():
        lines += [
            f'    {ids[name]} -- "{_label(port)}" --> {ids[name]}o{place}(( ))' for place, port in enumerate(ports)
        ]
    return "\n".join(lines)


def _label(text: str) -> str:
    """A text as Mermaid takes it, in quotes: everything that could mean something is told by its number."""
    return "".join(each if each.isalnum() or each in " ._-→" else f"#{ord(each)};" for each in text) or " "


# %%
print(mermaid(read(DIAMOND)))
assert 'n0 -- "file" --> n1' in mermaid(read(DIAMOND))
assert "#34;" in mermaid(read("""nodes.'a"b' = {}"""))

# %% [markdown]
# ## SVG
#
# Nodes stand in columns, each to the right of all that lead to it; an edge that closes a cycle leads back.

# %%
#|exporti
_WIDE, _HIGH, _GAP, _SPACE = 150, 34, 110, 26


def _columns(description: Description, plan: Plan) -> dict[str, int]:
    """The column of each node."""
    counts = dict.fromkeys(description.nodes, 0)
    for edge in description.edges:
        counts[edge.target[0]] += edge.source[0] != edge.target[0]
    columns = dict.fromkeys(description.nodes, 0)
    done: set[str] = set()
    ready = deque(_roots(description))  # where only cycles are left, the next of all nodes
    while ready:
        name = ready.popleft()
        if name in done:
            continue
        done.add(name)
        for edge in plan.leaving[name]:
            target = edge.target[0]
            if target not in done:
                columns[target] = max(columns[target], columns[name] + 1)
                counts[target] -= 1
                if counts[target] == 0:
                    ready.appendleft(target)
    return columns


def _positions(columns: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """The upper left corner of each node."""
    rows: dict[int, int] = {}
    places = {}
    for name, column in columns.items():
        row = rows[column] = rows.get(column, -1) + 1
        places[name] = (_GAP + column * (_WIDE + _GAP), _SPACE + row * (_HIGH + _SPACE))
    return places


def _at(y: int, place: int, count: int) -> float:
    """The height of one of several ends at a node."""
    return y + _HIGH * (place + 1) / (count + 1)


# %%
#|export
def svg(description: Description) -> str:
    """The net as an SVG picture."""
    plan = plan_of(description)
    places = _positions(_columns(description, plan))
    arriving: dict[str, list[Any]] = {name: [*plan.open_inputs[name]] for name in places}
    for edge in description.edges:
        arriving[edge.target[0]].append(edge)
    width = max((x for x, _ in places.values()), default=0) + _WIDE + _GAP
    height = max((y for _, y in places.values()), default=0) + _HIGH + _SPACE
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0,0 L8,4 L0,8 z"/></marker></defs>',
            '<g fill="none" stroke="#555" marker-end="url(#arrow)">',
            *_paths(plan, places, arriving),
            "</g>",
            *(_box(name, x, y) for name, (x, y) in places.items()),
            *_words(plan, places, arriving),
            "</svg>",
        ]
    )


# %%
#|exporti
def _text(text: str, x: float, y: float, anchor: str, most: int) -> str:
    from html import escape

    shown = text if len(text) <= most else f"{text[: most - 1]}…"
    plain = "".join(each if each.isprintable() else " " for each in shown)
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(plain)}</text>'


def _box(name: str, x: int, y: int) -> str:
    rect = f'<rect x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}" rx="5" fill="#eef3f8" stroke="#357"/>'
    return rect + _text(name, x + _WIDE / 2, y + _HIGH / 2 + 4, "middle", 20)


def _paths(plan: Plan, places: Mapping[str, tuple[int, int]], arriving: Mapping[str, list[Any]]) -> Iterable[str]:
    """The lines of edges and open ends."""
    heights = {
        id(end): _at(places[name][1], i, len(ends)) for name, ends in arriving.items() for i, end in enumerate(ends)
    }
    for name, (x, y) in places.items():
        for place, _ in enumerate(plan.open_inputs[name]):
            height = _at(y, place, len(arriving[name]))
            yield f'<path d="M{x - 40},{height:g} H{x}"/>'
        ends = _ends(name, plan)
        for place, (_, edge, _) in enumerate(ends):
            right, height = x + _WIDE, _at(y, place, len(ends))
            if edge is None:
                yield f'<path d="M{right},{height:g} h40"/>'
            else:
                left, target = places[edge.target[0]][0], heights[id(edge)]
                bend = _GAP if left <= right else (left - right) / 2
                yield f'<path d="M{right},{height:g} C{right + bend:g},{height:g} {left - bend:g},{target:g} {left},{target:g}"/>'


def _words(plan: Plan, places: Mapping[str, tuple[int, int]], arriving: Mapping[str, list[Any]]) -> Iterable[str]:
    """The names of ports, at their ends."""
    for name, (x, y) in places.items():
        ends, outs = arriving[name], _ends(name, plan)
        for place, end in enumerate(ends):
            port = end if isinstance(end, str) else end.target[1]
            yield _text(port, x - 12, _at(y, place, len(ends)) - 3, "end", 8)
        for place, (port, _, _) in enumerate(outs):
            yield _text(port, x + _WIDE + 4, _at(y, place, len(outs)) - 3, "start", 8)


# %%
from xml.etree import ElementTree

picture = svg(read(DIAMOND))
assert len(ElementTree.fromstring(picture).findall("{http://www.w3.org/2000/svg}rect")) == 5
from IPython.display import SVG

SVG(picture)
