"""Drawings of nets: everything is in them, whatever it is called and however it is joined."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from netrun.drawing import mermaid, svg, tree
from netrun.reading import read

FILES = sorted((Path(__file__).parent / "corpus" / "valid").glob("*.toml"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_node_and_every_edge_is_drawn(file):
    """In each of the three."""
    description = read(file.read_bytes().decode())
    drawn = tree(description)
    assert drawn.count(" ─> ") == len(description.edges)
    assert all(name in drawn for name in description.nodes)
    lines = mermaid(description).splitlines()
    assert len([line for line in lines if re.fullmatch(r' {4}n\d+\["[^"]*"\]', line)]) == len(description.nodes)
    assert len([line for line in lines if re.fullmatch(r' {4}n\d+ -- "[^"]*" --> n\d+', line)]) == len(
        description.edges
    )
    picture = ElementTree.fromstring(svg(description))
    assert len(picture.findall(f"{SVG}rect")) == len(description.nodes)
    assert len(picture.findall(f"{SVG}g/{SVG}path")) >= len(description.edges)


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
    assert tree(read(text)).splitlines() == [
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
    description = chain(3_000)
    lines = tree(description).splitlines()
    assert max(map(len, lines)) < 120
    assert sum(" ─> " in line for line in lines) == 2_999
    assert ElementTree.fromstring(svg(description)).get("width")
    assert mermaid(description).count("-->") == 2_999 + 2


def test_each_node_is_right_of_what_leads_to_it():
    """In the picture."""
    description = read((FILES[0].parent / "factories.toml").read_text())
    boxes = ElementTree.fromstring(svg(description)).findall(f"{SVG}rect")
    left = {name: float(box.get("x")) for name, box in zip(description.nodes, boxes, strict=True)}
    assert all(left[edge.source[0]] < left[edge.target[0]] for edge in description.edges)


def test_names_that_could_mean_something():
    """To Mermaid or in XML."""
    text = "[nodes.'\"]; --> <b>&amp; `x` #quot;']\nin_ports = ['</text>', \"a\\u0001\\nb\"]\n"
    description = read(text)
    assert "\n" not in mermaid(description).splitlines()[1].strip()
    assert "<" not in mermaid(description)
    assert ElementTree.fromstring(svg(description)) is not None
