# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Pictures: a net to look at
#
# A net, a flow, a node and a graph that end a cell in Jupyter draw themselves. `net.draw("net.svg")` writes the picture to a
# file, `net.draw("net.mmd")` the same as Mermaid. Nothing else is needed for it: no Graphviz, no network.
#
# ```
#   description, graph ──> sketch ──> fold ──> layout ──> SVG      (sketch, fold and layout: chapter 11g)
#   net ──> scene: what is where now ───────────────────────┘
# ```

# %%
#|default_exp show

# %%
#|export
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from netrun_sim import Graph

from netrun.control import NodeStatus
from netrun.core import ConfigError, GraphError
from netrun.description import Description
from netrun.drawing import (
    FOOT,
    HEAD,
    MARGIN,
    PAD,
    ROW,
    Box,
    Layout,
    Line,
    Place,
    Route,
    Side,
    Sketch,
    Spot,
    fold,
    layout,
    mermaid,
    more_of,
    port_y,
    sketch_of,
    title_of,
)

if TYPE_CHECKING:
    from netrun.net import Net

# %% [markdown]
# ## The scene
#
# What a net is doing now, as far as a picture shows it: what each node does, and how many packets are where.


# %%
#|exporti
class Actor(NamedTuple):
    """A node, or several that are folded into one: its numbers, its dead letters, and whether it can run."""

    status: NodeStatus
    letters: int = 0
    has_function: bool = True

    @property
    def state(self) -> str:
        """One of `STATES`."""
        status = self.status
        if status.running or status.retrying:
            return "running"
        if status.failed or self.letters:
            return "failed"
        if status.startable:
            return "startable"
        return "finished" if status.finished or status.cancelled else "never ran"


class Scene(NamedTuple):
    """What is where. `at_ports`: packets at input ports, and those that output ports without an edge have sent; `outside`:
    values that wait for a place at a port; `on_lines`: packets that wait on edges."""

    actors: dict[str, Actor]
    at_ports: Counter[tuple[Side, Place]]
    outside: Counter[tuple[Side, Place]]
    on_lines: Counter[tuple[Place, Place]]


STATES = ("never ran", "startable", "running", "finished", "failed")


def scene_of(net: "Net") -> Scene:
    """What a net is doing now. From any thread; changes nothing."""
    letters = Counter(entry.node_name for entry in net.dead_letter_queue)
    nodes = net.poll().nodes
    actors = {
        name: Actor(nodes[name], letters[name], task.exec_node_func is not None) for name, task in net._tasks.items()
    }
    crowds = net._ledger.crowds()
    at_ports = _on("in", crowds.inside) | _on("out", crowds.outlets)
    return Scene(actors, at_ports, _on("in", crowds.outside), crowds.edges)


def _on(side: Side, crowds: Counter[Place]) -> Counter[tuple[Side, Place]]:
    return Counter({(side, place): packets for place, packets in crowds.items()})


# %%
import netrun
from netrun.show import scene_of


@netrun.node
def join(left: int, right: int) -> int:
    return left + right


waiting = netrun.Net(join)
waiting.run(left=[1, 2, 3], right=[4])
scene = scene_of(waiting)
assert scene.actors["join"].state == "finished" and scene.actors["join"].status.finished == 1
assert scene.at_ports["in", ("join", "left")] == 2 and scene.at_ports["in", ("join", "right")] == 0

# %% [markdown]
# What is folded in a sketch is folded here too. A folded node does what any of its members does.


# %%
#|exporti
def folded_scene(scene: Scene, sketch: Sketch) -> Scene:
    """The scene by the boxes, ports and lines of a sketch."""
    ways = sketch.ways

    def by_way(counts: Counter[tuple[Side, Place]]) -> Counter[tuple[Side, Place]]:
        moved: Counter[tuple[Side, Place]] = Counter()
        for (side, place), packets in counts.items():
            moved[side, ways.get((side, place), place)] += packets
        return moved

    lines: Counter[tuple[Place, Place]] = Counter()
    for (source, target), packets in scene.on_lines.items():
        lines[ways.get(("out", source), source), ways.get(("in", target), target)] += packets
    actors = {name: _together(scene.actors[member] for member in box.members) for name, box in sketch.boxes.items()}
    return Scene(actors, by_way(scene.at_ports), by_way(scene.outside), lines)


def _together(actors: Iterable[Actor]) -> Actor:
    one, *others = actors
    if not others:
        return one
    every = [one, *others]
    sums = [sum(getattr(actor.status, name) for actor in every) for name in NodeStatus.__slots__]
    letters = sum(actor.letters for actor in every)
    return Actor(NodeStatus(*sums), letters, all(actor.has_function for actor in every))


# %% [markdown]
# ## Colours
#
# A picture has a ground of its own and two sets of colours, for light and for dark, so it can be read wherever it is put. They
# are plain CSS, which every program that draws SVG knows. A state is told by a word too.

# %%
#|exporti
_LIGHT = {
    "ground": "#ffffff",
    "box": "#f8fafc",
    "ink": "#1e293b",
    "soft": "#64748b",
    "rule": "#cbd5e1",
    "line": "#94a3b8",
    "never ran": "#94a3b8",
    "startable": "#2563eb",
    "running": "#c2740a",
    "finished": "#15803d",
    "failed": "#dc2626",
}
_DARK = {
    "ground": "#11161d",
    "box": "#1a212b",
    "ink": "#e2e8f0",
    "soft": "#94a3b8",
    "rule": "#334155",
    "line": "#64748b",
    "never ran": "#64748b",
    "startable": "#60a5fa",
    "running": "#f0b042",
    "finished": "#4ade80",
    "failed": "#f87171",
}
_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"


def _style() -> str:
    """The style of a picture, for light and dark."""
    plain = f".netrun text{{font-family:{_FONT}}}.netrun .name{{font-weight:600}}"
    return f"<style>{plain}{_rules(_LIGHT)}@media (prefers-color-scheme:dark){{{_rules(_DARK)}}}</style>"


def _rules(colours: dict[str, str]) -> str:
    """A class for each colour, to fill with, and one with `s-`, to draw lines with."""
    classes = {f"{name.split()[0]}": colour for name, colour in colours.items()}
    return "".join(
        f".netrun .{name}{{fill:{colour}}}.netrun .s-{name}{{stroke:{colour}}}" for name, colour in classes.items()
    )


# %% [markdown]
# ## Text
#
# How wide a text is can only be guessed without its font: an average for each character, and twice that for wide ones. What is
# longer than there is room for is cut; the whole of it is in the tooltip.


# %%
#|exporti
def _escaped(text: str) -> str:
    from html import escape

    return escape("".join(each if each.isprintable() else " " for each in text))


def _width(text: str, size: float) -> float:
    """About how wide a text is."""
    if text.isascii():
        return len(text) * size * 0.6
    from unicodedata import east_asian_width

    return sum(1.05 if east_asian_width(each) in "WF" else 0.6 for each in text) * size


def _cut(text: str, size: float, room: float) -> str:
    """A text that fits."""
    while text and _width(text, size) > room:
        text = text[: max(0, min(len(text) - 2, int(len(text) * room / _width(text, size))))] + "…"
        if len(text) == 1:
            break
    return text


def _text(text: str, x: float, y: float, size: float, kind: str, anchor: str = "start", room: float = 1e9) -> str:
    shown = _escaped(_cut(text, size, room))
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}" class="{kind}">{shown}</text>'


def _amount(number: int) -> str:
    """A number, short."""
    for unit, size in (("M", 1_000_000), ("k", 10_000)):
        if number >= size:
            return f"{number / (1_000_000 if unit == 'M' else 1_000):.3g}{unit}"
    return f"{number:,}"


# %%
from netrun.show import _amount, _cut, _width

assert [_amount(number) for number in (7, 9_999, 12_345, 2_500_000)] == ["7", "9,999", "12.3k", "2.5M"]
assert _cut("short", 11, 100) == "short" and len(_cut("a name without end" * 9, 11, 100)) < 20
assert _width("漢字", 10) > _width("ab", 10)

# %% [markdown]
# ## A box
#
# ```
#   ┌────────────────────────┐
#   │ ● Parse                │   the state, the name
#  ○│ file              defs │○  ports; beside them how many packets wait there
#   │                   text │○
#   │ 120 finished, 2 failed │   numbers of epochs
#   └────────────────────────┘
# ```
#
# A box whose node has no function has a dashed border. One of several nodes has a shadow.


# %%
#|exporti
def _numbers(box: Box, actor: Actor) -> str:
    """The line at the foot of a box."""
    names = ["running", "startable", "retrying", "failed", "cancelled", "finished"]
    told = [f"{_amount(getattr(actor.status, name))} {name}" for name in names if getattr(actor.status, name)]
    if len(box.members) > 1 and actor.status.waiting_packets:
        told.append(f"{_amount(actor.status.waiting_packets)} waiting")
    return ", ".join(told) or ("never ran" if actor.has_function else "no function")


def _box_width(box: Box, actor: Actor | None) -> float:
    """How wide a box is."""
    title = _width(title_of(box), 13.5) + 44 + (34 if actor is not None and actor.letters else 0)
    foot = 0 if actor is None else _width(_numbers(box, actor), 10.5) + 24
    return min(max(title, _side_width(box.inputs) + _side_width(box.outputs) + 44, foot, 112), 260)


def _side_width(ports: Iterable[str]) -> float:
    """How wide the names of the ports on a side may be."""
    return min(110, max((_width(port, 11) for port in ports), default=0))


def _box(name: str, box: Box, spot: Spot, scene: Scene | None, joined: set[tuple[Side, Place]]) -> Iterator[str]:
    """A node."""
    actor = None if scene is None else scene.actors[name]
    x, y, width, height = spot
    yield f"<g><title>{_escaped(_tooltip(box, actor))}</title>"
    state = "line" if actor is None else actor.state.split()[0]
    frame = f'width="{width:g}" height="{height:g}" rx="7" class="box s-{state}"'
    if len(box.members) > 1:
        yield f'<rect x="{x + 5:g}" y="{y + 5:g}" {frame} stroke-opacity=".45"/>'
    dashes = ' stroke-dasharray="5 3"' if actor is not None and not actor.has_function else ""
    yield f'<rect data-node="{_escaped(name)}" x="{x:g}" y="{y:g}" {frame} stroke-width="1.4"{dashes}/>'
    room, left = width - 24, x + 12
    if actor is not None:
        yield f'<circle cx="{x + 15:g}" cy="{y + HEAD / 2:g}" r="4" class="{state}"/>'
        left, room = x + 26, width - 38 - (34 if actor.letters else 0)
    yield _text(_title(box, room), left, y + HEAD / 2 + 4.5, 13, "name ink")
    if actor is not None and actor.letters:
        yield Pill(f"✕ {_amount(actor.letters)}", x + width - 8, y + HEAD / 2, "failed", "end").drawn()
    for side, ports in (("in", box.inputs), ("out", box.outputs)):
        room = width - 32 - _side_width(box.outputs if side == "in" else box.inputs)
        for port in ports:
            yield from _port(side, (name, port), spot, y + port_y(box, side, port), room, joined)
    if actor is not None:
        rows = max(len(box.inputs), len(box.outputs))
        at = y + HEAD + (ROW * rows + PAD if rows else 0)
        yield _text(_numbers(box, actor), x + 12, at + FOOT / 2 + 1, 10.5, "soft", room=width - 20)
    yield "</g>"


def _title(box: Box, room: float) -> str:
    """What a box is called, cut to fit; how many nodes it has is told in any case."""
    told = title_of(box)
    names, mark, number = told.rpartition(" (") if len(box.members) > 1 else (told, "", "")
    return _cut(names, 13, room - _width(mark + number, 13)) + mark + number


def _port(
    side: Side, place: Place, spot: Spot, y: float, room: float, joined: set[tuple[Side, Place]]
) -> Iterator[str]:
    """A port: filled where a line begins or ends."""
    x = spot.x if side == "in" else spot.x + spot.width
    yield f'<circle cx="{x:g}" cy="{y:g}" r="3.5" class="{"line" if (side, place) in joined else "ground"} s-line"/>'
    at, anchor = (x + 11, "start") if side == "in" else (x - 11, "end")
    yield _text(place[1], at, y + 4, 11, "soft", anchor, room)


def _tooltip(box: Box, actor: Actor | None) -> str:
    """All that is known of a box."""
    names = ", ".join(box.members[:20]) + (f" and {len(box.members) - 20:,} more" if len(box.members) > 20 else "")
    if actor is None:
        return names
    letters = f"; {actor.letters:,} dead letters" if actor.letters else ""
    return f"{names}: {actor.state}. {_numbers(box, actor)}{letters}{'' if actor.has_function else '; no function'}"


class Pill(NamedTuple):
    """A number on a coloured ground, to the right of a point, to the left of it, or about it."""

    text: str
    x: float
    y: float
    kind: str
    anchor: str

    @property
    def width(self) -> float:
        """About how wide it is."""
        return _width(self.text, 10.5) + 12

    def drawn(self) -> str:
        """As SVG."""
        width = self.width
        left = self.x - {"start": 0, "middle": width / 2, "end": width}[self.anchor]
        place = f'x="{left:g}" y="{self.y - 8:g}" width="{width:g}" height="16" rx="8"'
        number = _text(self.text, left + width / 2, self.y + 3.8, 10.5, "name ground", "middle")
        return f'<rect {place} class="{self.kind}"/>{number}'


# %%
from netrun.show import _numbers, _title

one, many = Box((), (), ("Parse",)), Box((), (), tuple(f"Parse{n}" for n in range(30)), "alike")
assert _numbers(one, Actor(NodeStatus(running=2, finished=12_345))) == "2 running, 12.3k finished"
assert _title(one, 100) == "Parse" and _title(many, 120).endswith("… (30 alike)")

# %% [markdown]
# ## Lines


# %%
#|exporti
def _path(route: Route) -> str:
    """A line, with the head of an arrow."""
    (x, y), *others = route.points
    way = [f"M{x:g},{y:g}"]
    if route.is_back:
        way += _corners(route.points)
    else:
        for place, (right, low) in enumerate(others):
            bend = (right - x) / 2
            level = f"H{right:g}"
            way.append(level if place % 2 else f"C{x + bend:g},{y:g} {right - bend:g},{low:g} {right:g},{low:g}")
            x, y = right, low
    right, low = route.points[-1]
    way.append(f"M{right - 9:g},{low - 4:g}L{right - 3:g},{low:g}L{right - 9:g},{low + 4:g}")
    (source, out), (target, into) = route.line.source, route.line.target
    told = _escaped(f"{source}.{out} → {target}.{into}{more_of(route.line)}")
    width = 1.4 if route.line.edges == 1 else 2.2
    return f'<path d="{"".join(way)}" stroke-width="{width}" class="s-line"><title>{told}</title></path>'


def _corners(points: list[tuple[float, float]]) -> Iterator[str]:
    """A way at right angles, its corners rounded."""
    for (a, b), (x, y), (c, d) in zip(points, points[1:], points[2:], strict=False):
        before, behind = _toward(x, y, a, b), _toward(x, y, c, d)
        yield f"L{before[0]:g},{before[1]:g}Q{x:g},{y:g} {behind[0]:g},{behind[1]:g}"
    yield f"L{points[-1][0]:g},{points[-1][1]:g}"


def _toward(x: float, y: float, a: float, b: float) -> tuple[float, float]:
    """A point a little way from a corner."""
    far = abs(a - x) + abs(b - y)
    part = min(6.0, far / 2) / far if far else 0
    return x + (a - x) * part, y + (b - y) * part


def _waiting(scene: Scene, sketch: Sketch, placed: Layout) -> Iterator[Pill]:
    """How many packets wait, beside their ports and on their lines."""
    for route in placed.routes:
        if packets := scene.on_lines[route.line.source, route.line.target]:
            (x, y), (right, low) = route.points[2:4] if route.is_back else route.points[:2]
            yield Pill(_amount(packets), (x + right) / 2, (y + low) / 2, "startable", "middle")
    for name, box in sketch.boxes.items():
        x, top, width, _ = placed.spots[name]
        for side, ports in (("in", box.inputs), ("out", box.outputs)):
            for port in ports:
                at, y = (side, (name, port)), top + port_y(box, side, port)
                told = _told_waiting(scene.at_ports[at], scene.outside[at])
                if told and side == "in":
                    yield Pill(told, x - 7, y, "startable", "end")
                elif told:
                    yield Pill(told, x + width + 7, y, "soft", "start")


def _told_waiting(here: int, outside: int) -> str:
    """How many packets wait at a port, and how many before it."""
    return " + ".join([_amount(here)] * bool(here or outside) + [_amount(outside)] * bool(outside))


# %% [markdown]
# ## The whole


# %%
#|exporti
def svg(sketch: Sketch, scene: Scene | None = None) -> str:
    """A sketch as an SVG picture; with a scene, what is going on in it."""
    scene = None if scene is None else folded_scene(scene, sketch)
    actors = {} if scene is None else scene.actors
    widths = {name: _box_width(box, actors.get(name)) for name, box in sketch.boxes.items()}
    placed = layout(sketch, widths, scene is not None)
    joined = {("out", line.source) for line in sketch.lines} | {("in", line.target) for line in sketch.lines}
    legend = [] if scene is None else [state for state in STATES if state in {a.state for a in actors.values()}]
    room = sum(_width(state, 11) + 32 for state in legend) + 2 * MARGIN
    width, height = max(placed.width, room), placed.height + (24 if legend else 0)
    pills = [] if scene is None else [*_waiting(scene, sketch, placed)]
    aside = max((pill.width for pill in pills), default=0)
    size = f'width="{width + 2 * aside:g}" height="{height:g}" viewBox="{-aside:g} 0 {width + 2 * aside:g} {height:g}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} class="netrun" role="img">',
        _style(),
        f'<rect x="{-aside:g}" width="{width + 2 * aside:g}" height="{height:g}" rx="10" class="ground"/>',
        '<g fill="none" stroke-linejoin="round" stroke-linecap="round">',
        *map(_path, placed.routes),
        "</g>",
    ]
    for name, box in sketch.boxes.items():
        parts += _box(name, box, placed.spots[name], scene, joined)
    if scene is not None:
        parts += [*(pill.drawn() for pill in pills), *_legend(legend, height - MARGIN)]
    return "\n".join([*parts, "</svg>"])


# %%
#|exporti
def _legend(states: list[str], y: float) -> Iterator[str]:
    """What the colours mean."""
    x = float(MARGIN)
    for state in states:
        yield f'<circle cx="{x + 4:g}" cy="{y:g}" r="4" class="{state.split()[0]}"/>'
        yield _text(state, x + 14, y + 4, 11, "soft")
        x += _width(state, 11) + 32


# %% [markdown]
# ## A picture of anything
#
# What Jupyter is given has the picture as an image within HTML first: JupyterLab would show the Mermaid text in place of plain
# SVG, without colours and numbers.


# %%
#|export
class Picture:
    """A net as a picture: `svg` and `mermaid` are its texts. Ends a cell of Jupyter well. See `picture`."""

    def __init__(self, svg: str, mermaid: str, told: str) -> None:
        self.svg, self.mermaid, self._told = svg, mermaid, told

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, which is there in full or not at all: SVG where its name ends in `.svg`, Mermaid in `.mmd` or
        `.mermaid`, Mermaid in Markdown in `.md`. Raises `ConfigError` for another ending, and `OSError`."""
        from netrun.dsl import write_whole

        ending = os.path.splitext(os.fspath(path))[1].lower()
        texts = {".svg": self.svg, ".mmd": self.mermaid, ".mermaid": self.mermaid}
        texts[".md"] = f"```mermaid\n{self.mermaid}\n```"
        if ending not in texts:
            raise ConfigError(f"a picture is written to a file that ends in {', '.join(texts)}, not to {str(path)!r}.")
        write_whole(path, f"{texts[ending]}\n")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from base64 import b64encode

        source = f"data:image/svg+xml;base64,{b64encode(self.svg.encode()).decode()}"
        return {
            "text/html": f'<img src="{source}" alt="{_escaped(self._told)}" style="max-width:none">',
            "image/svg+xml": self.svg,
            "text/vnd.mermaid": self.mermaid,
            "text/plain": self._told,
        }

    def __repr__(self) -> str:
        return f"<Picture of {self._told}>"


def picture(what: Any, most: int | None = 60) -> Picture:
    """What a net, a flow, a node, a graph or a `NetDefinition` looks like; a net with what is going on in it now.

    most: about how many boxes there are at the most. Beyond that rows of nodes, and nodes that are alike, are folded into
        one box, which says how many it has. None: nothing is folded.

    Raises `ConfigError` for what is none of these, `GraphError` for a flow that is no graph, and for a graph with an edge to
    a node that there is not. Other mistakes in a graph can be drawn.
    """
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise ConfigError(f"most is a number of boxes from 1 on, or None, not {most!r:.200}.")
    sketch, scene = fold(_sketch(what), most), None
    if hasattr(what, "_ledger"):
        scene = scene_of(what)
    return Picture(svg(sketch, scene), mermaid(sketch), repr(what))


def _sketch(what: Any) -> Sketch:
    if isinstance(what, (Graph, Description)):
        return sketch_of(what)
    if hasattr(what, "_ledger"):
        return sketch_of(what.graph)
    from netrun.flows import End, assembled

    if isinstance(what, End):
        raise ConfigError(f"{what!r} is a port, and no picture of its own: draw the node or the flow that it is of.")
    return sketch_of(assembled(what).graph)


# %% [markdown]
# In Jupyter a `Graph`, which is not netrun's own class, draws itself when netrun was imported there, or after
# `%load_ext netrun`; elsewhere `picture(graph)` does. One that cannot be drawn says why.


# %%
#|exporti
def draw_graphs(ipython: Any) -> None:
    """Let graphs draw themselves in an IPython shell."""
    ipython.display_formatter.mimebundle_formatter.for_type(Graph, _graph_bundle)


def _graph_bundle(graph: Graph) -> dict[str, str]:
    try:
        return picture(graph)._repr_mimebundle_()
    except GraphError as error:
        return {"text/plain": f"{graph!r}, which cannot be drawn: {error}"}


# %% [markdown]
# ## Pictures at work
#
# A description, before anything is imported; a flow; and a net that has run, of which one node has failed.

# %%
from xml.etree import ElementTree

from netrun import Net, node, picture
from netrun.dsl import NetDefinition

LOOP = """
edges = [
    { from = "Start.out", to = "Work.new" }, { from = "Work.out", to = "Check.in" },
    { from = "Check.again", to = "Work.old" },
]
nodes.Start = { out_ports = ["out"] }
nodes.Work = { in_ports = ["new", "old"], out_ports = ["out"] }
nodes.Check = { in_ports = ["in"], out_ports = ["again", "good"] }
"""
drawn = picture(NetDefinition.from_toml(LOOP))
assert ElementTree.fromstring(drawn.svg).get("class") == "netrun" and drawn.mermaid.startswith("flowchart LR")
drawn


# %%
@node
def parse(line: str) -> int:
    return int(line)


@node
def halve(number: int) -> float:
    return number / 2


@node
def invert(number: int) -> float:
    return 1 / number


@node
def add(halve: float, invert: float) -> float:
    return halve + invert


flow = parse >> [halve, invert] >> add
flow

# %%
net = Net(flow, on_error="continue")
net.run(line=["1", "2", "0", "4"])
bundle = net._repr_mimebundle_()
assert "3 finished" in bundle["image/svg+xml"] and "✕ 1" in bundle["image/svg+xml"]
net

# %% [markdown]
# Many nodes are folded. Another ending than these is refused, before anything is written.

# %%
import tempfile
from pathlib import Path

from netrun import ConfigError, Flow

wide = Net(Flow(*(parse.named(f"parse{n}") >> halve.named(f"halve{n}") for n in range(200))))
assert wide._repr_mimebundle_()["image/svg+xml"].count("data-node") == 2
assert "200 alike" in picture(wide).mermaid
with tempfile.TemporaryDirectory() as folder:
    net.draw(Path(folder) / "net.svg")
    net.draw(Path(folder) / "net.md")
    try:
        net.draw(Path(folder) / "net.png")
    except ConfigError as error:
        print(error)
    else:
        raise AssertionError("not refused")
    assert sorted(path.name for path in Path(folder).iterdir()) == ["net.md", "net.svg"]
picture(wide)
