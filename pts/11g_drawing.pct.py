# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Drawing: what is drawn, and where it stands
#
# A net of many nodes is easier to read as a drawing. A *sketch* is what is drawn: boxes with ports, and lines between them.
# It is made of a description (without importing what that names) or of a graph. Here it becomes a tree of text and a Mermaid
# flowchart, is folded where it is too large, and is laid out; [pictures](15_show.ipynb) are made of that.

# %%
#|default_exp drawing

# %%
#|export
import re
from bisect import bisect, insort
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from netrun_sim import Graph

from netrun.core import GraphError, GraphFinding
from netrun.description import Description

# %% [markdown]
# ## The sketch
#
# The ports of a node whose factory is not asked are those that edges name. A node that there is not cannot be drawn.


# %%
#|exporti
Place = tuple[str, str]  # a box, and a port of it


class Box(NamedTuple):
    """A node with its ports; or several that are folded into one. `how` says of those what they have in common."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    members: tuple[str, ...]
    how: str = ""


class Line(NamedTuple):
    """An edge; or as many as `edges` says, folded into one."""

    source: Place
    target: Place
    edges: int = 1


Side = str  # "in" or "out"
Ways = dict[tuple[Side, Place], Place]


class Sketch(NamedTuple):
    """What is to be drawn. `ways`: where the ports of the net are in it, if not where they were."""

    boxes: dict[str, Box]
    lines: list[Line]
    ways: Ways = {}  # noqa: RUF012


# %%
#|exporti
def sketch_of(what: Description | Graph) -> Sketch:
    """The sketch of a description, in the order of its text, or of a graph, which keeps no order: in that of the names.
    Raises `GraphError` with every edge from or to a node that there is not."""
    if isinstance(what, Graph):
        ends = ((edge.source, edge.target) for edge in what.edges())
        lines = [Line((a.node_name, a.port_name), (b.node_name, b.port_name)) for a, b in ends]
        nodes = sorted(what.nodes().items(), key=lambda item: natural(item[0]))
        sides = {
            name: (sorted(node.in_ports, key=natural), sorted(node.out_ports, key=natural)) for name, node in nodes
        }
        return _sketch(sides, sorted(lines, key=lambda line: [*map(natural, (*line.source, *line.target))]))
    ports = {name: (list(node.in_ports), list(node.out_ports)) for name, node in what.nodes.items()}
    return _sketch(ports, [Line(edge.source, edge.target) for edge in what.edges])


def natural(name: str) -> list[tuple[int, int, str]]:
    """What to sort names by, so that number 10 comes after number 9."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part[:18]), part) if part.isdecimal() else (1, 0, part) for part in parts]


def _sketch(ports: Mapping[str, tuple[list[str], list[str]]], lines: list[Line]) -> Sketch:
    if lost := [line for line in lines if not {line.source[0], line.target[0]} <= ports.keys()]:
        raise GraphError([_without_node(line, ports) for line in lost])
    inputs, outputs = ({name: dict.fromkeys(pair[k]) for name, pair in ports.items()} for k in (0, 1))
    for line in lines:
        outputs[line.source[0]].setdefault(line.source[1])
        inputs[line.target[0]].setdefault(line.target[1])
    return Sketch({name: Box(tuple(inputs[name]), tuple(outputs[name]), (name,)) for name in ports}, lines)


def _without_node(line: Line, ports: Iterable[str]) -> GraphFinding:
    source, target = ".".join(line.source), ".".join(line.target)
    missing = next(name for name, _ in (line.source, line.target) if name not in ports)
    details = {"edge_source": source, "edge_target": target, "missing_node": missing}
    return GraphFinding("EdgeReferencesNonexistentNode", f"edge {source} -> {target}: no node {missing!r}", details)


# %%
#|exporti
class Plan(NamedTuple):
    """The lines that leave each box, and the ports that no line leads to or from."""

    leaving: dict[str, list[Line]]
    open_inputs: dict[str, list[str]]
    open_outputs: dict[str, list[str]]


def plan_of(sketch: Sketch) -> Plan:
    """What there is at each box."""
    leaving: dict[str, list[Line]] = {name: [] for name in sketch.boxes}
    for line in sketch.lines:
        leaving[line.source[0]].append(line)
    sources, targets = {line.source for line in sketch.lines}, {line.target for line in sketch.lines}
    boxes = sketch.boxes.items()
    return Plan(
        leaving,
        {name: [port for port in box.inputs if (name, port) not in targets] for name, box in boxes},
        {name: [port for port in box.outputs if (name, port) not in sources] for name, box in boxes},
    )


def _roots(sketch: Sketch) -> list[str]:
    """The boxes to begin with: those that no line leads to, then all."""
    reached = {line.target[0] for line in sketch.lines}
    return [name for name in sketch.boxes if name not in reached] + list(sketch.boxes)


# %% [markdown]
# ## A tree
#
# Each node is told once, below the first that leads to it. Very long chains go on at the margin.

# %%
#|exporti
_DEEPEST = 20


def tree(sketch: Sketch) -> str:
    """The net as a tree of text."""
    plan, told, lines = plan_of(sketch), set[str](), list[str]()
    roots = deque(_roots(sketch))
    while roots:
        root = roots.popleft()
        if root not in told:
            lines.append(_head(root, plan))
            _branches(root, plan, told, lines, roots)
    return "\n".join(map(_shown, lines))


def _shown(line: str) -> str:
    """A line as a terminal may have it: a name does not move its cursor."""
    if line.isprintable():
        return line
    return "".join([each if each.isprintable() else each.encode("unicode_escape").decode() for each in line])


def _head(name: str, plan: Plan) -> str:
    """A node, with the inputs that nothing leads to."""
    return f"{name} ({', '.join(plan.open_inputs[name])})" if plan.open_inputs[name] else name


def _branches(root: str, plan: Plan, told: set[str], lines: list[str], roots: deque[str]) -> None:
    """What a node leads to, and what these lead to."""
    told.add(root)
    waiting = [(each, "") for each in reversed(_ends(root, plan))]
    while waiting:
        (port, line, is_last), indent = waiting.pop()
        branch = f"{indent}{'└─' if is_last else '├─'} {port} ─>"
        if line is None:
            lines.append(branch)
            continue
        name, inner = line.target[0], indent + ("   " if is_last else "│  ")
        is_new, is_deep = name not in told, len(inner) >= 3 * _DEEPEST
        more = "" if is_new and not is_deep else " (see there)"
        lines.append(f"{branch} {line.target[1]} {_head(name, plan)}{more}")
        if is_new and is_deep:
            roots.appendleft(name)
        elif is_new:
            told.add(name)
            waiting += [(each, inner) for each in reversed(_ends(name, plan))]


def _ends(name: str, plan: Plan) -> list[tuple[str, Line | None, bool]]:
    """The output ports of a node, where each leads, and whether it is the last."""
    ends: list[tuple[str, Line | None]] = [(line.source[1], line) for line in plan.leaving[name]]
    ends += [(port, None) for port in plan.open_outputs[name]]
    return [(*end, place == len(ends)) for place, end in enumerate(ends, start=1)]


# %%
from netrun.drawing import fold, layout, mermaid, sketch_of, tree
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
diamond = sketch_of(read(DIAMOND))
print(tree(diamond))
assert tree(diamond).splitlines()[1] == "└─ file ─> file Parse"


# %% [markdown]
# ## Mermaid
#
# Many tools draw this, on the pages of a repository for one.


# %%
#|exporti
def mermaid(sketch: Sketch) -> str:
    """The net as a Mermaid flowchart."""
    plan = plan_of(sketch)
    ids = {name: f"n{place}" for place, name in enumerate(sketch.boxes)}
    lines = ["flowchart LR", *(f'    {ids[name]}["{_label(title_of(box))}"]' for name, box in sketch.boxes.items())]
    for line in sketch.lines:
        (source, out), (target, into) = line.source, line.target
        label = (out if out == into else f"{out} → {into}") + more_of(line)
        lines.append(f'    {ids[source]} -- "{_label(label)}" --> {ids[target]}')
    for name, ports in plan.open_inputs.items():
        lines += [f'    {ids[name]}i{k}(( )) -- "{_label(port)}" --> {ids[name]}' for k, port in enumerate(ports)]
    for name, ports in plan.open_outputs.items():
        lines += [f'    {ids[name]} -- "{_label(port)}" --> {ids[name]}o{k}(( ))' for k, port in enumerate(ports)]
    return "\n".join(lines)


def more_of(line: Line) -> str:
    """How many edges a line stands for besides the first."""
    return f" and {line.edges - 1:,} more" if line.edges > 1 else ""


def title_of(box: Box) -> str:
    """What a box is called."""
    first, *others = box.members
    return f"{first} … {others[-1]} ({len(box.members):,} {box.how})" if others else first


def _label(text: str) -> str:
    """A text as Mermaid takes it, in quotes: everything that could mean something is told by its number."""
    return "".join(each if each.isalnum() or each in " ._-→…," else f"#{ord(each)};" for each in text) or " "


# %%
print(mermaid(diamond))
assert 'n0 -- "file" --> n1' in mermaid(diamond)
assert "#34;" in mermaid(sketch_of(read("""nodes.'a"b' = {}""")))

# %% [markdown]
# ## Columns
#
# Nodes stand in columns, each to the right of all that lead to it; a line that closes a cycle leads back. A cycle is
# entered at the node that something outside leads to.


# %%
#|exporti
def columns_of(sketch: Sketch) -> dict[str, int]:
    """The column of each box."""
    leaving = plan_of(sketch).leaving
    counts = dict.fromkeys(sketch.boxes, 0)
    for line in sketch.lines:
        counts[line.target[0]] += line.source[0] != line.target[0]
    columns, done, reached = dict.fromkeys(sketch.boxes, 0), set[str](), dict[str, None]()
    ready, later = deque(name for name, count in counts.items() if not count), iter(list(sketch.boxes))
    while len(done) < len(columns):
        name = ready.popleft() if ready else next(iter(reached), None) or next(later)
        reached.pop(name, None)
        if name in done:
            continue
        done.add(name)
        for target in (line.target[0] for line in leaving[name]):
            if target not in done:
                columns[target] = max(columns[target], columns[name] + 1)
                counts[target] -= 1
                reached[target] = None
                if not counts[target]:
                    ready.append(target)
    return _drawn_near(columns, sketch.lines)


def _drawn_near(columns: dict[str, int], lines: Iterable[Line]) -> dict[str, int]:
    """What nothing leads to stands beside the first that it leads to."""
    first, led_to = dict[str, int](), {line.target[0] for line in lines}
    for line in lines:
        first[line.source[0]] = min(first.get(line.source[0], len(columns)), columns[line.target[0]])
    return {
        name: max(column, first[name] - 1) if name in first and name not in led_to else column
        for name, column in columns.items()
    }


# %%
LOOP = """
edges = [
    { from = "Start.out", to = "Work.new" }, { from = "Work.out", to = "Check.in" },
    { from = "Check.again", to = "Work.old" }, { from = "Check.odd", to = "Check.in" },
]
nodes.Check = { in_ports = ["in"], out_ports = ["again", "good", "odd"] }
nodes.Start = { out_ports = ["out"] }
nodes.Work = { in_ports = ["new", "old"], out_ports = ["out"] }
"""
loop = sketch_of(read(LOOP))
assert columns_of(loop) == {"Start": 0, "Work": 1, "Check": 2}
assert set(columns_of(diamond).values()) == {0, 1, 2, 3}

# %% [markdown]
# ## Folding
#
# A picture of 500 boxes cannot be read. Where there are too many, first rows are folded (nodes each of which leads to the
# next one only), then nodes that are alike (the same ports, between the same neighbours), as long as that helps. What is
# still too much is folded column by column, and then whole columns. A folded box says how many nodes it has.

# %%
#|exporti
Groups = list[tuple[str, ...]]  # boxes that become one
_ROW, _ALIKE, _SOME = "in a row", "alike", "nodes"
_MOST_PORTS, _FAR = 12, 12


def fold(sketch: Sketch, most: int | None = 60) -> Sketch:
    """A sketch of not more than about so many boxes. None: as it is."""
    if most is None:
        return sketch
    while len(sketch.boxes) > most:
        if groups := _rows(sketch):
            sketch = _folded(sketch, groups, _ROW)
        elif groups := _alike(sketch):
            sketch = _folded(sketch, groups, _ALIKE)
        else:
            return _with_few_ports(_folded_by_column(sketch, most))
    return _with_few_ports(sketch)


def _folded_by_column(sketch: Sketch, most: int) -> Sketch:
    """The sketch with what is too much of its columns folded; with the more of it, the more tangled it is."""
    folded = _folded(sketch, _by_column(sketch, most), _SOME)
    while len(folded.lines) > 3 * len(folded.boxes) and most > 8:
        most //= 2
        folded = _folded(sketch, _by_column(sketch, most), _SOME)
    return folded


def _neighbours(sketch: Sketch) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Of each box, those before it and those behind it."""
    before, behind = ({name: set[str]() for name in sketch.boxes} for _ in range(2))
    for line in sketch.lines:
        before[line.target[0]].add(line.source[0])
        behind[line.source[0]].add(line.target[0])
    return before, behind


def _rows(sketch: Sketch) -> Groups:
    """Rows of three boxes and more that have one neighbour on each side."""
    before, behind = _neighbours(sketch)
    inner = {name for name in sketch.boxes if len(before[name]) == len(behind[name]) == 1}
    heads = [name for name in sketch.boxes if name in inner and next(iter(before[name])) not in inner]
    rows, seen = list[tuple[str, ...]](), set[str]()
    for name in [*heads, *sketch.boxes]:  # what has no head is a ring
        row = []
        while name in inner and name not in seen:
            seen.add(name)
            row.append(name)
            (name,) = behind[name]
        rows.append(tuple(row))
    return [row for row in rows if len(row) > 2]


def _alike(sketch: Sketch) -> Groups:
    """Three boxes and more that cannot be told apart but by their names: the same ports, and behind these, as far as
    `_FAR` lines away, neighbours that cannot be told apart either."""
    kinds: dict[str, Any] = {name: (box.inputs, box.outputs, box.how) for name, box in sketch.boxes.items()}
    count = 0
    for _ in range(_FAR):
        numbers = {kind: number for number, kind in enumerate(dict.fromkeys(kinds.values()))}
        kinds = {name: numbers[kind] for name, kind in kinds.items()}
        if len(numbers) == count:
            break
        count, around = len(numbers), {name: set[tuple[Side, str, int]]() for name in kinds}
        for line in sketch.lines:
            around[line.source[0]].add(("out", line.source[1], kinds[line.target[0]]))
            around[line.target[0]].add(("in", line.target[1], kinds[line.source[0]]))
        kinds = {name: (kind, frozenset(around[name])) for name, kind in kinds.items()}
    groups: dict[Any, list[str]] = {}
    for name, kind in kinds.items():
        groups.setdefault(kind, []).append(name)
    return [tuple(names) for names in groups.values() if len(names) > 2]


def _by_column(sketch: Sketch, most: int) -> Groups:
    """Of each column what is too much for it; whole columns, where there are too many of them."""
    columns: dict[int, list[str]] = {}
    for name, column in columns_of(sketch).items():
        columns.setdefault(column, []).append(name)
    if len(columns) <= most:
        own = max(0, most // len(columns) - 1)
        return [tuple(names[own:]) for names in columns.values() if len(names) > own + 1]
    bands: dict[int, list[str]] = {}
    for column in sorted(columns):
        bands.setdefault(column * most // (max(columns) + 1), []).extend(columns[column])
    return [tuple(names) for names in bands.values() if len(names) > 1]


# %% [markdown]
# A folded box keeps the ports that lead in and out. Several ports of a neighbour that lead to the same port of it are folded
# into one as well.


# %%
#|exporti
def _moved(sketch: Sketch, boxes: dict[str, Box], move: Callable[[Side, Place], Place]) -> Sketch:
    """The sketch of these boxes, its ports moved, and lines with the same ends made one."""
    lines: Counter[tuple[Place, Place]] = Counter()
    for line in sketch.lines:
        lines[move("out", line.source), move("in", line.target)] += line.edges
    there = {("in", (name, port)): (name, port) for name, box in sketch.boxes.items() for port in box.inputs}
    there |= {("out", (name, port)): (name, port) for name, box in sketch.boxes.items() for port in box.outputs}
    ways = {key: move(key[0], place) for key, place in (there | sketch.ways).items()}
    return Sketch(boxes, [Line(*ends, count) for ends, count in lines.items()], ways)


def _folded(sketch: Sketch, groups: Groups, how: str) -> Sketch:
    """The sketch with each group as one box. Lines within a group are left out."""
    heads = {name: group[0] for group in groups for name in group}

    def move(side: Side, place: Place) -> Place:
        name, port = place
        return (heads[name], "" if how == _SOME else port) if name in heads else place

    boxes = {name: box for name, box in sketch.boxes.items() if heads.get(name, name) == name}
    moved = _moved(sketch, boxes, move)
    lines = [line for line in moved.lines if line.source[0] != line.target[0] or line.source[0] not in heads]
    inputs, outputs = ({name: dict[str, None]() for name in boxes} for _ in range(2))
    for line in lines:
        outputs[line.source[0]][line.source[1]] = inputs[line.target[0]][line.target[1]] = None
    for group in groups:
        inner = [sketch.boxes[name] for name in group]
        told = how if all(len(box.members) == 1 for box in inner) else _SOME
        members = tuple(member for box in inner for member in box.members)
        used = tuple(inputs[group[0]]), tuple(outputs[group[0]])
        boxes[group[0]] = Box(*(inner[0][:2] if how == _ALIKE else used), members, told)
    return _with_fewer_ports(moved._replace(lines=lines), set(heads))


def _with_fewer_ports(sketch: Sketch, folded: set[str]) -> Sketch:
    """Ports that lead to one and the same port of a folded box are one."""
    kin: dict[tuple[Side, str, Place], list[str]] = {}
    for line in sketch.lines:
        if line.target[0] in folded:
            kin.setdefault(("out", line.source[0], line.target), []).append(line.source[1])
        if line.source[0] in folded:
            kin.setdefault(("in", line.target[0], line.source), []).append(line.target[1])
    new: dict[tuple[Side, Place], str] = {}
    for (side, name, _), ports in kin.items():
        if len(ports) > 2:
            new |= {(side, (name, port)): f"{ports[0]} … {ports[-1]}" for port in ports}
    return _renamed(sketch, new)


def _with_few_ports(sketch: Sketch) -> Sketch:
    """A box has no more than a dozen ports on a side; the rest is one."""
    new: dict[tuple[Side, Place], str] = {}
    for name, box in sketch.boxes.items():
        for side, ports in (("in", box.inputs), ("out", box.outputs)):
            rest = ports[_MOST_PORTS - 1 :]
            if len(rest) > 1:
                new |= {(side, (name, port)): f"… {len(rest):,} more" for port in rest}
    return _renamed(sketch, new)


def _renamed(sketch: Sketch, new: Mapping[tuple[Side, Place], str]) -> Sketch:
    """The sketch with other names of ports. What has one name is one port."""
    if not new:
        return sketch
    boxes = {
        name: box._replace(
            inputs=tuple(dict.fromkeys(new.get(("in", (name, port)), port) for port in box.inputs)),
            outputs=tuple(dict.fromkeys(new.get(("out", (name, port)), port) for port in box.outputs)),
        )
        for name, box in sketch.boxes.items()
    }
    return _moved(sketch, boxes, lambda side, place: (place[0], new.get((side, place), place[1])))


# %%
many = "".join(
    f"""
[nodes.Work{n}]
in_ports = ["in"]
out_ports = ["out"]
[[edges]]
from = "Share.out{n}"
to = "Work{n}.in"
[[edges]]
from = "Work{n}.out"
to = "Join.in"
"""
    for n in range(100)
)
outs = [f"out{n}" for n in range(100)]
wide = sketch_of(read(many + f"[nodes.Share]\nout_ports = {outs}\n[nodes.Join]\nin_ports = ['in']"))
folded = fold(wide)
assert {name: len(box.members) for name, box in folded.boxes.items()} == {"Work0": 100, "Share": 1, "Join": 1}
assert folded.boxes["Share"].outputs == ("out0 … out99",) and sum(line.edges for line in folded.lines) == 200
print(mermaid(folded))

# %% [markdown]
# ## The layout
#
# Boxes and bends of lines are *items* of columns. A line that spans several columns has an item in each that it passes, so
# nothing runs through a box. Then two things are done in turns, column by column, there and back: the items of a column are
# ordered by the mean of their neighbours' places (the barycentre), of which the order with the fewest crossings is kept; and
# they are moved as near to their neighbours as the others let them, so that lines are straight where they can be.
#
# The one pure library for this, grandalf, has not been kept since 2023; this is short enough to be our own.


# %%
#|exporti
HEAD, ROW, FOOT, PAD = 30, 18, 20, 6  # heights of a box's parts
SPACE, GAP, LANE, MARGIN = 22, 64, 12, 24
_SWEEPS, _MOST_BENDS, _MANY = 8, 4_000, 3_000


class Spot(NamedTuple):
    """Where a box stands."""

    x: float
    y: float
    width: float
    height: float


class Route(NamedTuple):
    """The way of a line: its points. Between the first two, the next two and so on it passes a gap; between these it runs
    level. `is_back`: it leads back, at right angles."""

    line: Line
    points: list[tuple[float, float]]
    is_back: bool


class Layout(NamedTuple):
    """Where everything is."""

    spots: dict[str, Spot]
    routes: list[Route]
    width: float
    height: float


# %%
#|exporti
class _Item:
    """A box or a bend in a column. `y` is its upper edge."""

    __slots__ = ("height", "left", "name", "right", "y")

    def __init__(self, name: str | None, height: float) -> None:
        self.name, self.height, self.y = name, height, 0.0
        self.left: list[tuple[_Item, float, float]] = []  # the items that lines come from: the heights of both ends
        self.right: list[tuple[_Item, float, float]] = []


def port_y(box: Box, side: str, port: str) -> float:
    """How far below its upper edge a box has a port."""
    ports = box.inputs if side == "in" else box.outputs
    return HEAD + PAD / 2 + ROW * (ports.index(port) + 0.5)


def height_of(box: Box, has_foot: bool) -> float:
    """The height of a box."""
    rows = max(len(box.inputs), len(box.outputs))
    return HEAD + (ROW * rows + PAD if rows else 0) + (FOOT if has_foot else 0)


# %%
#|exporti
def layout(sketch: Sketch, widths: Mapping[str, float], has_foot: bool = False) -> Layout:
    """Where each box of a sketch stands, and how the lines run. `widths`: of each box. `has_foot`: whether boxes have one."""
    placed = [_Placing(part, widths, has_foot).layout() for part in _parts(sketch)]
    return _packed(sorted(placed, key=lambda part: len(part.spots) == 1))


# %% [markdown]
# Parts that no line joins are laid out each by itself, and set in rows, like words; nodes that stand alone come last.


# %%
#|exporti
_PAGE = 1_100  # about how wide rows are


def _parts(sketch: Sketch) -> list[Sketch]:
    """The parts of a sketch that no line joins."""
    before, behind = _neighbours(sketch)
    part_of: dict[str, Sketch] = {}
    for first in sketch.boxes:
        found, part = [first], Sketch({}, [])
        while found:
            name = found.pop()
            if name not in part_of:
                part_of[name] = part
                found += (before[name] | behind[name]) - part_of.keys()
    for name, box in sketch.boxes.items():
        part_of[name].boxes[name] = box
    for line in sketch.lines:
        part_of[line.source[0]].lines.append(line)
    return list({id(part): part for part in part_of.values()}.values())


def _packed(parts: list[Layout]) -> Layout:
    """The layouts as one."""
    spots, routes, right, bottom = dict[str, Spot](), list[Route](), float(2 * MARGIN), float(2 * MARGIN)
    page, x, y = max([_PAGE, *(part.width for part in parts)]), 0.0, 0.0
    for part in parts:
        if x and x + part.width > page:
            x, y = 0.0, bottom - MARGIN
        for name, spot in part.spots.items():
            spots[name] = spot._replace(x=spot.x + x, y=spot.y + y)
        for route in part.routes:
            routes.append(route._replace(points=[(a + x, b + y) for a, b in route.points]))
        right, bottom = max(right, x + part.width), max(bottom, y + part.height)
        x += part.width
    return Layout(spots, routes, right, bottom)


# %%
#|exporti
class _Placing:
    """Places the parts of a sketch."""

    def __init__(self, sketch: Sketch, widths: Mapping[str, float], has_foot: bool) -> None:
        self.sketch, self.columns, self.widths = sketch, columns_of(sketch), widths
        self.loops = Counter(line.source[0] for line in sketch.lines if line.source[0] == line.target[0])
        self.heights = {name: height_of(box, has_foot) for name, box in sketch.boxes.items()}
        self.rows: list[list[_Item]] = [[] for _ in range(max(self.columns.values(), default=-1) + 1)]
        self.items: dict[str, _Item] = {}
        for name, column in self.columns.items():
            loops = self.loops[name]
            item = self.items[name] = _Item(name, self.heights[name] + (LANE * (loops + 0.5) if loops else 0))
            self.rows[column].append(item)
        self.bends: dict[int, list[_Item]] = {}  # of each line that goes on, by its place
        spans = sum(max(0, self._span(line) - 1) for line in sketch.lines)
        for place, line in enumerate(sketch.lines):
            if self._span(line) > 0:
                self._join(place, line, bends=spans <= _MOST_BENDS)

    def _span(self, line: Line) -> int:
        return self.columns[line.target[0]] - self.columns[line.source[0]]

    def _join(self, place: int, line: Line, bends: bool) -> None:
        """Join the ends of a line, by way of its bends."""
        begin, end = self.columns[line.source[0]], self.columns[line.target[0]]
        passed = [_Item(None, LANE) for _ in range(begin + 1, end)] if bends else []
        self.bends[place] = passed
        for column, bend in enumerate(passed, begin + 1):
            self.rows[column].append(bend)
        ends = self._ends(line)
        stops = [(self.items[line.source[0]], ends[0]), *((bend, LANE / 2) for bend in passed)]
        stops.append((self.items[line.target[0]], ends[1]))
        for (one, high), (other, low) in pairwise(stops):
            one.right.append((other, high, low))
            other.left.append((one, low, high))

    def _ends(self, line: Line) -> tuple[float, float]:
        """How far below the upper edges of its boxes a line begins and ends."""
        (source, out), (target, into) = line.source, line.target
        boxes = self.sketch.boxes
        return port_y(boxes[source], "out", out), port_y(boxes[target], "in", into)

    def layout(self) -> Layout:
        """The layout."""
        self._stack()
        self._order()
        for _ in range(_SWEEPS):
            self._settle()
        return self._placed()

    def _stack(self) -> None:
        for row in self.rows:
            y = 0.0
            for item in row:
                item.y, y = y, y + item.height + SPACE

    def _order(self) -> None:
        """Order the items of each column, with few crossings."""
        best, order = self._crossings(), [list(row) for row in self.rows]
        for sweep in range(_SWEEPS if len(self.columns) <= _MANY else 2):
            if not best:
                break
            is_forth = sweep % 2 == 0
            for row in self.rows if is_forth else reversed(self.rows):
                keys = {item: _mean(item.left if is_forth else item.right, item.y) for item in row}
                row.sort(key=keys.__getitem__)
                _spread(row)
            crossings = self._crossings()
            if crossings < best:
                best, order = crossings, [list(row) for row in self.rows]
        self.rows = order
        self._stack()

    def _crossings(self) -> int:
        """How many pairs of lines cross in the gaps."""
        total = 0
        for row in self.rows:
            seen: list[float] = []
            for _, end in sorted((item.y + high, other.y + low) for item in row for other, high, low in item.right):
                total += len(seen) - bisect(seen, end)
                insort(seen, end)
        return total

    def _settle(self) -> None:
        """Move all items near to their neighbours: forth by those on the left, back by those on the right."""
        for row in self.rows:
            _move(row, [_wanted(item, item.left) for item in row])
        for row in reversed(self.rows):
            _move(row, [_wanted(item, item.right or item.left) for item in row])

    def _placed(self) -> Layout:
        """Coordinates."""
        top = min((item.y for row in self.rows for item in row), default=0)
        xs, x = list[float](), float(MARGIN)
        wide = [max((self.widths[item.name] for item in row if item.name is not None), default=0) for row in self.rows]
        for width in wide:
            xs.append(x)
            x += width + GAP
        spots = {
            name: Spot(xs[self.columns[name]], MARGIN + item.y - top, self.widths[name], self.heights[name])
            for name, item in self.items.items()
        }
        bottom = MARGIN + max((item.y + item.height for row in self.rows for item in row), default=0) - top
        routes, lanes = list[Route](), Counter[str]()
        for place, line in enumerate(self.sketch.lines):
            a, b = spots[line.source[0]], spots[line.target[0]]
            begin, end = (a.x + a.width, a.y + self._ends(line)[0]), (b.x, b.y + self._ends(line)[1])
            if place in self.bends:
                column = self.columns[line.source[0]]
                points = [begin]
                for k, bend in enumerate(self.bends[place], column + 1):
                    y = MARGIN + bend.y - top + LANE / 2
                    points += [(xs[k], y), (xs[k] + wide[k], y)]
                routes.append(Route(line, [*points, end], False))
                continue
            own = line.source[0] if a is b else ""
            lanes[own] += 1
            y = (a.y + a.height if own else bottom + LANE / 2) + LANE * lanes[own] - LANE / 4
            aside = 10 + 3 * (lanes.total() % 5)
            out, into = begin[0] + aside, end[0] - aside - 2
            routes.append(Route(line, [begin, (out, begin[1]), (out, y), (into, y), (into, end[1]), end], True))
        height = bottom + (LANE * (lanes[""] + 0.5) if lanes[""] else 0) + MARGIN
        return Layout(spots, routes, max(x - GAP, MARGIN) + MARGIN, height)


# %% [markdown]
# How a column is moved: each item has a height that it wants; they keep their order and their distance. Where that does not
# fit, neighbours stand together, as near as they can be to what they want on average.


# %%
#|exporti
def _mean(ends: list[tuple[_Item, float, float]], other: float) -> float:
    """The mean height of the other ends."""
    return sum(item.y + far for item, _, far in ends) / len(ends) if ends else other


def _wanted(item: _Item, ends: list[tuple[_Item, float, float]]) -> float:
    """Where an item's lines would be level."""
    return sum(other.y + far - near for other, near, far in ends) / len(ends) if ends else item.y


def _spread(row: list[_Item]) -> None:
    """Stack a column in its new order, about where it was."""
    _move(row, [item.y for item in row])


def _move(row: list[_Item], wanted: list[float]) -> None:
    """Give each item the height that it wants, as far as the others let it."""
    offset, blocks = 0.0, list[list[float]]()  # of each block: the sum of what is wanted, less offsets, and how many
    offsets = []
    for item, want in zip(row, wanted, strict=True):
        offsets.append(offset)
        blocks.append([want - offset, 1])
        offset += item.height + (SPACE if item.name is not None else 0)
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    levels = [total / count for total, count in blocks for _ in range(int(count))]
    for item, own, level in zip(row, offsets, levels, strict=True):
        item.y = own + level


# %%
placed = layout(diamond, dict.fromkeys(diamond.boxes, 120))
assert placed.spots["Find"].x < placed.spots["Parse"].x < placed.spots["Outline"].x == placed.spots["Measure"].x
assert len(placed.routes) == 5 and not any(route.is_back for route in placed.routes)
(again, odd) = [route for route in layout(loop, dict.fromkeys(loop.boxes, 120)).routes if route.is_back]
assert again.line.source == ("Check", "again") and odd.line.target == ("Check", "in")
