"""Pictures of nets: what goes on is in them, no name breaks them, and a file is written whole or not at all."""

import random
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from xml.etree import ElementTree

import pytest

from netrun import ConfigError, Edge, Flow, Graph, GraphError, Net, NetDefinition, PortRef, PortType, node, picture
from netrun.show import _DARK, _LIGHT, STATES, scene_of
from tests.graphs import edge
from tests.nets import build, chain, collects, join, maps, python
from tests.nets import node as sim_node

SVG = "{http://www.w3.org/2000/svg}"


def boxes(drawn):
    """Of each node in a picture: the class of its frame, the texts in it, and the whole element."""
    found = {}
    for group in ElementTree.fromstring(drawn.svg).findall(f"{SVG}g"):
        frame = [rect for rect in group.findall(f"{SVG}rect") if rect.get("data-node") is not None]
        if frame:
            texts = [text.text for text in group.findall(f"{SVG}text")]
            found[frame[0].get("data-node")] = frame[0].get("class").split()[1][2:], texts, group
    return found


def pills(drawn):
    """The numbers on the lines and beside the ports."""
    root = ElementTree.fromstring(drawn.svg)
    return sorted(text.text for text in root.findall(f"{SVG}text") if text.get("class") == "name ground")


def breaks(ctx, packets):
    raise ValueError("no")


def test_each_state_has_its_colour_and_its_word():
    """Of a node that never ran, of one whose epochs wait, of one that runs, has finished and has failed."""
    net = Net(chain("Ends", "Looks", "Breaks", "Idle"), on_error="continue")
    seen = []
    net.set_node_exec("Ends", maps(str))
    net.set_node_exec("Looks", lambda ctx, packets: (seen.append(picture(net)), maps(str)(ctx, packets)))
    net.set_node_exec("Breaks", breaks)
    net.inject_packets("Ends", "in", [1, 2])
    before = boxes(picture(net))
    assert {name: box[0] for name, box in before.items()} == dict.fromkeys(["Ends", "Looks", "Breaks", "Idle"], "never")
    assert "no function" in before["Idle"][1]
    assert before["Idle"][2].find(f"{SVG}rect").get("stroke-dasharray")
    assert before["Ends"][2].find(f"{SVG}rect").get("stroke-dasharray") is None
    net.start()
    during, after = boxes(seen[-1]), boxes(picture(net))
    assert during["Looks"][0] == "running"
    assert "1 running, 1 finished" in during["Looks"][1]
    assert {name: after[name][0] for name in after} == {
        "Ends": "finished",
        "Looks": "finished",
        "Breaks": "failed",
        "Idle": "never",
    }
    assert "2 finished" in after["Ends"][1]
    assert {"2 failed", "✕ 2"} <= set(after["Breaks"][1])
    words = re.findall(r'text-anchor="start" class="soft">([a-z ]+)</text>', picture(net).svg)
    assert {word for word in words if word in STATES} == {"never ran", "finished", "failed"}


def test_a_net_that_waits_for_a_function_is_startable():
    """Its packets are in epochs, no longer at its port."""
    net = build(chain("A", "B"), A=maps(str))
    net.run({"A.in": [1, 2, 3]})
    state, texts, _ = boxes(picture(net))["B"]
    assert state == "startable"
    assert "3 startable" in texts
    assert pills(picture(net)) == []


def test_waiting_packets_are_counted_where_they_are():
    """At a port, on an edge whose port is full, before a port, and at an output that nobody took from."""
    both = join("Both", ["left", "right"], ["out"])
    tight = sim_node(
        "Tight", ["in"], slots={"in": 2}, entries={"never": join("x", ["in"]).in_salvo_conditions["together"]}
    )
    graph = Graph(
        [sim_node("A", ["in"], ["out", "side"]), both, tight], [edge("A.out", "Both.left"), edge("A.side", "Tight.in")]
    )

    def sends(ctx, packets):
        for port in ("out", "side"):
            ctx.send(port, 1)
        ctx.consume_packet(packets["in"][0])

    net = build(graph, A=sends, Tight=collects([]))
    net.run({"A.in": range(5)})
    assert pills(picture(net)) == ["5"]
    door = net._ledger.doors["Tight"]
    assert not door.gates["in"].packets
    net.set_node_exec("Both", lambda ctx, packets: None)
    net.inject_packets("Both", "right", range(3))
    scene = scene_of(net)
    assert scene.at_ports["in", ("Both", "left")] == 5
    assert scene.at_ports["in", ("Both", "right")] + scene.outside["in", ("Both", "right")] == 3
    assert pills(picture(net)) in (["3", "5"], ["0 + 3", "5"])
    outputs = build(chain("A"), A=maps(str))
    outputs.inject_packets("A", "in", [1, 2])
    outputs.start()
    assert pills(picture(outputs)) == ["2"]
    outputs.take_outputs("A", "out")
    assert pills(picture(outputs)) == []


def test_a_full_port_keeps_packets_on_the_edge():
    """The line has their number; beyond the port's slots injected values wait outside."""
    both = join("Both", ["left", "right"])
    narrow = sim_node("Both", ["left", "right"], slots={"left": 2}, entries=both.in_salvo_conditions)
    net = build(Graph([sim_node("A", ["in"], ["out"]), narrow], [edge("A.out", "Both.left")]), A=maps(str))
    net.run({"A.in": range(5)})
    scene = scene_of(net)
    assert scene.at_ports["in", ("Both", "left")] == 2
    assert scene.on_lines[("A", "out"), ("Both", "left")] == 3
    assert pills(picture(net)) == ["2", "3"]
    alone = build(Graph([narrow], []))
    alone.inject_packets("Both", "left", range(12_000))
    assert pills(picture(alone)) == ["2 + 12k"]


def test_every_packet_that_waits_is_somewhere():
    """In the middle of a burst too, when most have not come to their port yet."""
    seen = []

    def bursts(ctx, packets):
        ctx.consume_packet(packets["in"][0])
        for k in range(20_000):
            ctx.send("out", k)

    def looks(ctx, packets):
        if ctx.consume_packet(packets["in"][0]) % 4_000 == 0:
            inside, outside, edges, _ = net._ledger.crowds()
            waits = net.poll().nodes["B"].waiting_packets
            seen.append((waits, inside["B", "in"] + outside["B", "in"] + edges[("A", "out"), ("B", "in")]))

    net = build(chain("A", "B"), A=bursts, B=looks)
    net.run({"A.in": [1]})
    assert len(seen) == 5
    assert max(seen)[0] > 1_000
    assert all(waits == found for waits, found in seen)


def test_what_is_folded_is_counted_together():
    """A hundred branches of which one fails."""
    names = [f"W{k}" for k in range(100)]
    workers = [sim_node(name, ["in"], ["out"]) for name in names]
    share = sim_node("Share", ["in"], [f"out{k}" for k in range(100)])
    edges = [edge(f"Share.out{k}", f"{name}.in") for k, name in enumerate(names)]
    edges += [edge(f"{name}.out", "Join.in") for name in names]
    net = Net(Graph([share, *workers, sim_node("Join", ["in"])], edges), on_error="continue")

    def shares(ctx, packets):
        for k in range(100):
            ctx.send(f"out{k}", k if k else ctx.consume_packet(packets["in"][0]))

    net.set_node_exec("Share", shares)
    for name in names:
        net.set_node_exec(name, breaks if name == "W7" else maps(str))
    net.run({"Share.in": [1]})
    found = boxes(picture(net))
    assert list(found) == ["Join", "Share", "W0"]
    state, texts, group = found["W0"]
    assert state == "failed"
    assert "1 failed, 99 finished" in texts
    assert "W0 … W99 (100 alike)" in texts
    assert len([rect for rect in group.findall(f"{SVG}rect") if "stroke-opacity" in rect.attrib]) == 1
    assert "out0 … out99" in found["Share"][1]
    assert "99 startable" in found["Join"][1]
    assert len(boxes(picture(net, most=None))) == 102
    assert "and 99 more" in picture(net).mermaid


def test_thousands_of_nodes_are_a_picture_that_can_be_read():
    """Of whatever shape the net is."""
    chance = random.Random(7)
    nodes, edges = {}, []
    for k in range(3_000):
        nodes[f"N{k}"] = ([f"i{k % 3}"], [f"o{n}" for n in range(chance.randrange(3))])
    for name, (_, outs) in nodes.items():
        for out in outs:
            other = f"N{chance.randrange(3_000)}"
            edges.append(edge(f"{name}.{out}", f"{other}.{nodes[other][0][0]}"))
    graph = Graph([sim_node(name, *ports) for name, ports in nodes.items()], edges)
    drawn = picture(graph)
    assert len(boxes(drawn)) <= 60
    assert len(drawn.svg) < 300_000
    assert (
        sum(
            int(number.replace(",", ""))
            for number in re.findall(r"\(([\d,]+) (?:nodes|alike|in a row)\)", svg_titles(drawn))
        )
        > 2_900
    )


def svg_titles(drawn):
    """What the boxes are called, in full."""
    return drawn.mermaid.replace("#40;", "(").replace("#41;", ")")


ODD = [
    "</text><script>",
    "\"quoted\" & 'so'",
    "a\u0001b\nc",
    "漢字" * 40,
    "x" * 500,
    " ",
    "#quot; %% --> ]",
    "{}",
]


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_any_name_can_be_drawn(name):
    """It is text in the picture, and within its box."""
    drawn = picture(Graph([sim_node(name, [name], [name + "'"])], [edge_of(name)]))
    root = ElementTree.fromstring(drawn.svg)
    assert not root.findall(f".//{SVG}script")
    assert float(root.get("width")) < 400
    assert len(drawn.mermaid.splitlines()) == 3


def edge_of(name):
    """A node's output led to its own input."""
    return Edge(PortRef(name, PortType.Output, name + "'"), PortRef(name, PortType.Input, name))


def test_the_least_nets():
    """None at all, and a node without ports."""
    assert boxes(picture(Graph([], []))) == {}
    assert picture(NetDefinition.from_toml("")).mermaid == "flowchart LR"
    assert list(boxes(picture(Graph([sim_node("Alone")], [])))) == ["Alone"]


@node
def half(number: int) -> float:
    return number / 2


@node
def text(half: float) -> str:
    return str(half)


def test_everything_that_is_a_net_draws_itself():
    """A node, a flow, a net; in Jupyter."""
    flow = half >> text
    for what in (half, flow, Flow(flow), Net(flow), picture(flow)):
        bundle = what._repr_mimebundle_()
        assert bundle["image/svg+xml"].startswith("<svg")
        assert bundle["text/vnd.mermaid"].startswith("flowchart")
        assert "data:image/svg+xml;base64," in bundle["text/html"]
    assert Net(flow)._repr_mimebundle_()["text/plain"].startswith("<Net CREATED")
    assert repr(picture(half)).startswith("<Picture of <node half")


SHELL = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("import netrun; graph = netrun.Graph([netrun.Node('A')], [])")
data, _ = shell.display_formatter.format(shell.user_ns["graph"])
print(sorted(data))
"""


def test_graphs_draw_themselves_in_ipython():
    """When netrun is imported in a shell, or loaded as an extension."""
    kinds = "['image/svg+xml', 'text/html', 'text/plain', 'text/vnd.mermaid']"
    assert python(SHELL).splitlines()[-1] == kinds
    before = "import netrun\n" + SHELL
    assert python(before).splitlines()[-1] == "['text/plain']"
    assert python(before.replace('cell("', 'cell("%load_ext netrun\\n')).splitlines()[-1] == kinds


def test_a_graph_with_an_edge_to_no_node_cannot_be_drawn():
    """Which says so, in a cell of Jupyter too. One whose edges lead to no port can."""
    lost = Graph([sim_node("A", ["in"], ["out"])], [edge("A.out", "Z.in"), edge("Y.out", "A.in")])
    with pytest.raises(GraphError, match="no node 'Z'") as raised:
        picture(lost)
    assert [finding.details["missing_node"] for finding in raised.value.findings] == ["Z", "Y"]
    shell = SHELL.replace("[])", "[netrun.Edge(*[netrun.PortRef(n, netrun.PortType.Output, 'p') for n in 'AZ'])])")
    told = python(shell + "print(data['text/plain'])").splitlines()
    assert "['text/plain']" in told
    assert "no node 'Z'" in told[-1]
    assert list(boxes(picture(Graph([sim_node("A")], [edge("A.out", "A.in")])))) == ["A"]


def test_importing_netrun_imports_no_drawing():
    """Nor IPython."""
    names = ["netrun.show", "netrun.drawing", "netrun.report", "IPython"]
    assert python(f"import sys, netrun; print([name for name in {names} if name in sys.modules])").strip() == "[]"


def test_a_picture_goes_to_a_file_by_its_ending(tmp_path):
    """In full; another ending, or a folder that is not there, leaves nothing behind."""
    net = Net(half >> text)
    for name in ("net.svg", "NET.SVG", "net.mmd", "net.mermaid", "net.md"):
        net.draw(tmp_path / name)
    assert ElementTree.parse(tmp_path / "net.svg").getroot().get("class") == "netrun"
    assert (tmp_path / "net.mmd").read_text() == picture(net).mermaid + "\n"
    assert (tmp_path / "net.md").read_text().startswith("```mermaid\nflowchart LR\n")
    there = sorted(tmp_path.iterdir())
    for name in ("net.png", "net", "svg", "net.svg.txt"):
        with pytest.raises(ConfigError, match=r"ends in \.svg, \.mmd, \.mermaid, \.md"):
            net.draw(tmp_path / name)
    (tmp_path / "folder.svg").mkdir()
    for path in (tmp_path / "none" / "net.svg", tmp_path / "folder.svg"):
        with pytest.raises(OSError, match=r"none|folder") as raised:
            net.draw(path)
        assert (raised.value.filename, raised.value.filename2) == (str(path), None)
    (tmp_path / "folder.svg").rmdir()
    assert sorted(tmp_path.iterdir()) == there


def test_several_threads_write_one_file(tmp_path):
    """Each of them all of it."""
    drawn, path = picture(half), tmp_path / "net.svg"
    with ThreadPoolExecutor(4) as threads:
        for written in [threads.submit(drawn.save, path) for _ in range(400)]:
            written.result()
    assert path.read_text() == drawn.svg + "\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("most", [0, -1, 1.5, "60", True])
def test_a_bad_number_of_boxes_is_refused(most):
    """Before anything is drawn."""
    with pytest.raises(ConfigError, match="most is a number of boxes"):
        picture(half, most)


def test_what_is_no_net_is_refused():
    """With the remedy."""
    with pytest.raises(ConfigError, match="not of 3"):
        picture(3)
    with pytest.raises(ConfigError, match="Write @node above it"):
        picture(print)
    for port in (half.number, half.out):
        with pytest.raises(ConfigError, match=r"half\.\w+> is a port"):
            picture(port)


def contrast(one, other):
    """How much two colours differ, from 1 to 21, as the WCAG count it."""

    def light(colour):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    less, more = sorted([light(one), light(other)])
    return (more + 0.05) / (less + 0.05)


@pytest.mark.parametrize("colours", [_LIGHT, _DARK], ids=["light", "dark"])
def test_everything_can_be_read(colours):
    """Text on its ground, and the colours of states."""
    for ground in ("ground", "box"):
        assert min(contrast(colours[text], colours[ground]) for text in ("ink", "soft")) >= 4.5
        assert min(contrast(colours[state], colours[ground]) for state in STATES if state != "never ran") >= 3


def test_a_net_that_runs_in_the_background_is_drawn():
    """It does not wait for that."""
    goes_on, runs = Event(), Event()
    net = build(chain("A"), A=lambda ctx, packets: (runs.set(), goes_on.wait(10), ctx.consume_packet(packets["in"][0])))
    net.inject_packets("A", "in", [1])
    net.start(threaded=True)
    try:
        assert runs.wait(10)
        assert boxes(picture(net))["A"][0] == "running"
    finally:
        goes_on.set()
        net.stop()
    assert boxes(picture(net))["A"][0] == "finished"
