"""Drawings of nets: everything is in them, whatever it is called and however it is joined."""

import re
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netrun.drawing import Line, _sketch, columns_of, fold, layout, mermaid, port_y, sketch_of, tree
from netrun.reading import read
from netrun.show import svg

FILES = sorted((Path(__file__).parent / "corpus" / "valid").glob("*.toml"))
SVG = "{http://www.w3.org/2000/svg}"
TINY = 1e-6  # what sums of floats may differ by


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_node_and_every_edge_is_drawn(file):
    """In each of the three."""
    description = read(file.read_bytes().decode())
    sketch = sketch_of(description)
    drawn = tree(sketch)
    assert drawn.count(" ─> ") == len(description.edges)
    assert all(name in drawn for name in description.nodes)
    lines = mermaid(sketch).splitlines()
    assert len([line for line in lines if re.fullmatch(r' {4}n\d+\["[^"]*"\]', line)]) == len(description.nodes)
    assert len([line for line in lines if re.fullmatch(r' {4}n\d+ -- "[^"]*" --> n\d+', line)]) == len(
        description.edges
    )
    picture = ElementTree.fromstring(svg(sketch))
    assert [box.get("data-node") for box in picture.findall(f"{SVG}g/{SVG}rect")] == list(description.nodes)
    assert len(picture.findall(f"{SVG}g/{SVG}path")) == len(description.edges)


def test_a_name_does_not_move_the_cursor():
    """What a terminal would obey is written out."""
    text = '[nodes."A\\u001b[2J"]\nin_ports = ["a\\nb", "\u202e", "é"]\n'
    assert tree(sketch_of(read(text))) == "A\\x1b[2J (a\\nb, \\u202e, é)"


def test_each_node_is_told_once():
    """Elsewhere it is only named; a cycle ends."""
    text = """
edges = [
    { from = "A.x", to = "C.in" }, { from = "B.x", to = "C.in" },
    { from = "C.x", to = "D.in" }, { from = "D.x", to = "C.in" },
]
nodes.A = { out_ports = ["x"] }
nodes.B = { in_ports = ["go"], out_ports = ["x"] }
nodes.C = { in_ports = ["in"], out_ports = ["x"] }
nodes.D = { in_ports = ["in"], out_ports = ["x", "out"] }
nodes.Alone = {}
"""
    assert tree(sketch_of(read(text))).splitlines() == [
        "A",
        "└─ x ─> in C",
        "   └─ x ─> in D",
        "      ├─ x ─> in C (see there)",
        "      └─ out ─>",
        "B (go)",
        "└─ x ─> in C (see there)",
        "Alone",
    ]


def chain(length):
    """A chain of nodes, or a ring of them."""
    edges = "".join(f'{{ from = "N{n}.o", to = "N{n + 1}.i" }},\n' for n in range(length - 1))
    nodes = "".join(f'[nodes.N{n}]\nin_ports = ["i"]\nout_ports = ["o"]\n' for n in range(length))
    return read(f"edges = [\n{edges}]\n{nodes}")


def test_a_long_chain():
    """No line grows beyond a page, and nothing is too deep."""
    sketch = sketch_of(chain(3_000))
    lines = tree(sketch).splitlines()
    assert max(map(len, lines)) < 120
    assert sum(" ─> " in line for line in lines) == 2_999
    assert ElementTree.fromstring(svg(sketch)).get("width")
    assert mermaid(sketch).count("-->") == 2_999 + 2


def placed(sketch):
    """The layout, with boxes of one width."""
    return layout(sketch, dict.fromkeys(sketch.boxes, 100.0))


def overlapping(spots):
    """Pairs of boxes that stand on each other."""
    return [
        (a, b)
        for (a, one), (b, other) in combinations(spots.items(), 2)
        if one.x + TINY < other.x + other.width
        and other.x + TINY < one.x + one.width
        and one.y + TINY < other.y + other.height
        and other.y + TINY < one.y + one.height
    ]


@st.composite
def sketches(draw, most=25):
    """Graphs of all sorts, with cycles, self-loops, several edges between two nodes, and nodes by themselves."""
    size = draw(st.integers(1, most))
    ends = st.integers(0, size - 1)
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=2 * size))
    nodes = {f"N{n}": ([f"i{k}" for k in range(n % 3)], [f"o{k}" for k in range(n % 2)]) for n in range(size)}
    return _sketch(nodes, [Line((f"N{a}", f"x{place}"), (f"N{b}", f"y{b % 2}")) for place, (a, b) in enumerate(pairs)])


@given(sketches())
def test_boxes_stand_apart_and_lines_end_at_their_ports(sketch):
    """And nothing leaves the picture."""
    spots, routes, width, height = placed(sketch)
    assert spots.keys() == sketch.boxes.keys()
    assert overlapping(spots) == []
    assert sorted(route.line for route in routes) == sorted(sketch.lines)
    columns = columns_of(sketch)
    for line, points, is_back in routes:
        (source, out), (target, into) = line.source, line.target
        a, b = spots[source], spots[target]
        assert points[0] == pytest.approx((a.x + a.width, a.y + port_y(sketch.boxes[source], "out", out)))
        assert points[-1] == pytest.approx((b.x, b.y + port_y(sketch.boxes[target], "in", into)))
        assert is_back == (columns[source] >= columns[target])
        assert all(-TINY <= x <= width + TINY and -TINY <= y <= height + TINY for x, y in points)
    far = [(spot.x + spot.width, spot.y + spot.height) for spot in spots.values()]
    assert all(x <= width + TINY and y <= height + TINY for x, y in far)


@given(sketches())
def test_lines_pass_between_the_boxes(sketch):
    """The level parts of a line are in no box but where it begins and ends."""
    spots, routes, _, _ = placed(sketch)
    for line, points, _ in routes:
        for (x, y), (right, low) in pairwise(points):
            for name, spot in spots.items():
                is_in = spot.y + TINY < y < spot.y + spot.height - TINY and x < spot.x + spot.width and spot.x < right
                assert y != low or not is_in or name in (line.source[0], line.target[0]), (line, name)


@given(sketches(60), st.integers(1, 12))
def test_folding_keeps_every_node_and_every_edge_that_leads_out(sketch, most):
    """Each node is in one box; each edge between two boxes is in one line; there are few boxes."""
    folded = fold(sketch, most)
    box_of = {member: name for name, box in folded.boxes.items() for member in box.members}
    assert sorted(box_of) == sorted(sketch.boxes)
    assert sum(len(box.members) for box in folded.boxes.values()) == len(box_of)
    assert len(folded.boxes) <= max(most, 2)
    there = Counter()
    for line in folded.lines:
        there[line.source[0], line.target[0]] += line.edges
        assert line.source[1] in folded.boxes[line.source[0]].outputs
        assert line.target[1] in folded.boxes[line.target[0]].inputs
    edges = Counter((box_of[line.source[0]], box_of[line.target[0]]) for line in sketch.lines)
    assert {pair: n for pair, n in there.items() if pair[0] != pair[1]} == {
        pair: n for pair, n in edges.items() if pair[0] != pair[1]
    }
    for (side, place), (name, port) in folded.ways.items():
        assert name == box_of[place[0]]
        assert len(folded.boxes[name].members) > 1 or port in folded.boxes[name][side == "out"]


def test_a_cycle_is_entered_where_something_leads_into_it():
    """Whatever the order of the nodes."""
    text = """
edges = [
    { from = "Z.x", to = "C.in" }, { from = "C.x", to = "B.in" }, { from = "B.x", to = "A.in" },
    { from = "A.x", to = "C.in" },
]
"""
    nodes = "".join(f'[nodes.{name}]\nin_ports = ["in"]\nout_ports = ["x"]\n' for name in "ABCZ")
    sketch = sketch_of(read(text + nodes))
    assert columns_of(sketch) == {"Z": 0, "C": 1, "B": 2, "A": 3}
    assert [route.line.source[0] for route in placed(sketch).routes if route.is_back] == ["A"]


def test_lines_do_not_cross_where_they_need_not():
    """The order of the text is the worst one."""
    lines = [Line((f"A{n}", "o"), (f"B{9 - n}", "i")) for n in range(10)]
    sketch = _sketch({f"{letter}{n}": ([], []) for letter in "AB" for n in range(10)}, lines)
    spots = placed(sketch).spots
    assert all(spots[line.source[0]].y == spots[line.target[0]].y for line in lines)


def test_each_node_is_right_of_what_leads_to_it():
    """In the picture."""
    description = read((FILES[0].parent / "factories.toml").read_text())
    boxes = ElementTree.fromstring(svg(sketch_of(description))).findall(f"{SVG}g/{SVG}rect")
    left = {box.get("data-node"): float(box.get("x")) for box in boxes}
    assert all(left[edge.source[0]] < left[edge.target[0]] for edge in description.edges)


def test_names_that_could_mean_something():
    """To Mermaid or in XML."""
    text = "[nodes.'\"]; --> <b>&amp; `x` #quot;']\nin_ports = ['</text>', \"a\\u0001\\nb\"]\n"
    sketch = sketch_of(read(text))
    assert "\n" not in mermaid(sketch).splitlines()[1].strip()
    assert "<" not in mermaid(sketch)
    assert ElementTree.fromstring(svg(sketch)) is not None
