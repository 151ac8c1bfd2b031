"""Nets as definitions: what survives, what is changed in a text, what cannot be written, files."""

import dataclasses
import inspect
import os
import pickle
from pathlib import Path

import pytest

import netrun
from netrun import (
    ConfigError,
    DslError,
    FactoryError,
    Graph,
    GraphError,
    ImportPathError,
    Net,
    NetDefinition,
    NetrunError,
    Node,
)
from netrun.core import NetConfig, NodeConfig
from netrun.description import NET_OPTIONS, NODE_OPTIONS
from tests import corpus_nodes
from tests.graphs import at_least, chain, edge, graph, node
from tests.graphs import entry as entry_of

TEXT = """\
# The whole of it.
edges = [
    { from = "A.out", to = "B.in" },  # to B
    # and then
    { from = "B.out", to = "C.in" },
]

[net]
on_error = "continue"  # go on

# the first
[nodes.A]
out_ports = [ 'out' ]
out_salvo_conditions.send = { when = "(nonempty(out))" }
exec_node_func = "tests.corpus_nodes.count"
options = { timeout = 3, retries = 0 }

[nodes.B]
in_ports = ["in"]
out_ports = ["out"]
in_salvo_conditions.one = { when = "nonempty(in)", ports = { in = 1 } }
out_salvo_conditions.send = { when = "nonempty(out)" }

exec_node_func = "tests.corpus_nodes.Doubler.run"  # twice
[nodes.C]
in_ports = ["in"]
in_salvo_conditions.one = { when = "nonempty(in)" }
"""


class Mine:
    """A class whose functions and instances are given to nets."""

    def method(self, *args):
        """A method."""

    def __call__(self, *args):
        """An instance that can be called."""


def test_the_options_of_a_net_are_those_that_it_takes():
    """`NetConfig` lists the keywords of `Net`, with their defaults; a new one wants its line there."""
    keywords = {
        name: parameter.default
        for name, parameter in inspect.signature(Net.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert keywords == {field.name: field.default for field in dataclasses.fields(NetConfig)}
    assert {*NET_OPTIONS, "meta"} == set(keywords)
    assert set(NODE_OPTIONS) == {field.name for field in dataclasses.fields(NodeConfig)}


def test_only_what_changed_is_changed():
    """Line by line: comments, quotes, order and layout of the rest stay."""
    net = Net.from_toml(TEXT)
    net.set_node_config("A", timeout=4.5)
    net.set_node_exec("B", corpus_nodes.square, corpus_nodes.begin)
    before, after = TEXT.splitlines(), net.to_toml().splitlines()
    assert [line for line in after if line not in before] == [
        "options = { timeout = 4.5, retries = 0 }",
        'exec_node_func = "tests.corpus_nodes.square"  # twice',
        'start_node_func = "tests.corpus_nodes.begin"',
    ]
    assert len(after) == len(before) + 1
    assert NetDefinition.from_toml(net.to_toml()).nodes["B"].start_node_func == "tests.corpus_nodes.begin"


def test_an_option_that_is_the_default_again():
    """One that the text names stays named; one that it does not is gone."""
    net = Net.from_toml(TEXT)
    net.set_node_config("A", timeout=None, retries=1, defer_net_actions=True)
    net.set_node_config("A", retries=0, defer_net_actions=False)
    assert "options = { retries = 0 }" in net.to_toml().replace("{  ", "{ ")  # where the other one was


def test_a_definition_that_is_edited():
    """Nodes and edges come and go; the comments of what stays stay."""
    definition = NetDefinition.from_toml(TEXT)
    del definition.nodes["C"]
    del definition.edges[1]
    definition.nodes["D"] = NetDefinition.from_toml('[nodes.D]\nin_ports = ["in"]').nodes["D"]
    new = NetDefinition.from_toml(
        'edges=[{from="B.out",to="D.in"}]\n[nodes.B]\nout_ports=["out"]\n[nodes.D]\nin_ports=["in"]'
    )
    definition.edges += new.edges
    text = definition.to_toml()
    assert NetDefinition.from_toml(text) == definition
    for comment in ("# The whole of it.", "# to B", "# go on", "# the first", "# twice", "[ 'out' ]"):
        assert comment in text


def test_a_definition_that_makes_no_sense_is_refused():
    """As if it had been read."""
    definition = NetDefinition.from_toml(TEXT)
    definition.nodes["A"].options["timeout"] = -1
    definition.nodes["B"].in_salvo_conditions["one"].when = "nonempty(x"
    with pytest.raises(DslError) as caught:
        definition.to_toml()
    assert len(caught.value.findings) == 2
    assert "timeout = -1" in caught.value.findings[0].snippet


def test_a_net_does_not_change_with_its_definition():
    """It has its own."""
    definition = NetDefinition.from_toml(TEXT)
    net = definition.build()
    definition.nodes["A"].options["timeout"] = 99
    definition.nodes["A"].out_salvo_conditions.clear()
    assert net.to_toml() == TEXT


def test_a_graph_made_in_python():
    """Ports in the order of their names, all that is the default left out."""
    made = Node(
        "Join",
        in_ports={"b": netrun.Port(netrun.PortSlotSpec.finite(3)), "a": netrun.Port()},
        in_salvo_conditions={
            "z": entry_of({"a": 2, "b": None}, at_least("a", 2)),
            "y": entry_of(["a", "b"], at_least("b", 1)),
        },
    )
    assert Net(graph([made])).to_toml() == (
        "[nodes.Join]\nin_ports.a = {}\nin_ports.b = { slots = 3 }\n"
        'in_salvo_conditions.z = { when = "count(a) >= 2", ports = { a = 2, b = "all" } }\n'
        'in_salvo_conditions.y = { when = "count(b) >= 1" }\n'
    )


def test_the_same_graph_has_the_same_text():
    """In every process: the simulator's own order differs."""
    code = (
        "from tests.graphs import *; from netrun import Net; "
        "print(Net(graph([node('B', 'xyz', 'pqr'), node('A', 'uvw')], "
        "[edge('B.p', 'A.u'), edge('B.r', 'A.w'), edge('B.q', 'A.w')])).to_toml())"
    )
    from tests.nets import python

    assert len({python(code) for _ in range(4)}) == 1


def test_options_of_a_net_made_in_python(tmp_path):
    """Every one that text can hold survives, also what was given as a path or a callable."""
    net = Net(
        chain(2),
        on_error="pause",
        error_callback=corpus_nodes.tell,
        consumed_packet_storage=True,
        consumed_packet_storage_limit=5,
        packet_storage_path=tmp_path / "packets",
        dead_letter_queue=corpus_nodes.tell,
        max_epochs=7,
        handle_signals=False,
        thread_pools={"io": {"size": 2}},
        process_pools={"cpu": {"size": 1}},
        meta={"title": "x", "tags": ["a"]},
    )
    net.set_node_config(
        "N1", retries=2, defer_net_actions=True, retry_on=(KeyError, corpus_nodes.Flaky), pool=("io", "cpu"), timeout=3
    )
    text = net.to_toml()
    again = Net.from_toml(text)
    assert again.to_toml() == text
    assert again._config == dataclasses.replace(net._config, packet_storage_path=str(tmp_path / "packets"))
    assert again.get_node_config("N1") == net.get_node_config("N1")
    assert again.meta == {"title": "x", "tags": ["a"]}


def test_what_cannot_be_written_is_told_together():
    """Lambdas, closures, instances, methods, executors; and left out where that is wanted, with a comment each."""

    def inner(ctx, packets):
        pass

    class Local(Exception):
        pass

    from concurrent.futures import ThreadPoolExecutor

    net = Net(
        chain(3),
        error_callback=lambda *args: None,
        executor_pools={"x": ThreadPoolExecutor(1)},
        meta={"a": {1, 2}, "b": 3},
    )
    net.set_node_exec("N1", inner, Mine().method, Mine(), corpus_nodes.failed)
    net.set_node_config("N2", retry_on=Local)
    with pytest.raises(DslError) as caught:
        net.to_toml()
    assert {finding.message.split(" cannot be written as text: ")[0] for finding in caught.value.findings} == {
        "net.error_callback", "net.executor_pools", "net.meta", "nodes.N1.exec_node_func", "nodes.N1.start_node_func",
        "nodes.N1.stop_node_func", "nodes.N2.options.retry_on",
    }  # fmt: skip
    text = net.to_toml(missing="omit")
    assert text.count(" is left out: ") == 7
    assert 'exec_failed_node_func = "tests.corpus_nodes.failed"' in text
    again = NetDefinition.from_toml(text)
    assert again.nodes["N1"].exec_node_func is None
    assert again.to_toml() == text
    with pytest.raises(ConfigError, match="missing is 'raise' or 'omit', not 'skip'"):
        net.to_toml(missing="skip")


def test_what_is_left_out_of_a_text_that_was_loaded():
    """The key goes, a comment comes; once, however often it is saved."""
    net = Net.from_toml(TEXT)
    net.set_node_exec("B", lambda ctx, packets: None)
    text = net.to_toml(missing="omit")
    assert "Doubler" not in text
    assert text.endswith("# nodes.B.exec_node_func is left out: a lambda has no path\n")
    again = Net.from_toml(text)
    again.set_node_exec("B", lambda ctx, packets: None)
    assert again.to_toml(missing="omit") == text


def test_functions_that_were_not_resolved_stay_named():
    """Until another one is set."""
    net = Net.from_toml(TEXT, resolve=False)
    assert net._tasks["A"].exec_node_func is None
    assert net.to_toml() == TEXT
    net.set_node_exec("A", corpus_nodes.square)
    assert 'exec_node_func = "tests.corpus_nodes.square"' in net.to_toml()
    assert 'exec_node_func = "tests.corpus_nodes.Doubler.run"' in net.to_toml()


def test_options_that_take_the_place_of_the_texts():
    """Are in force, and are what is written."""
    net = Net.from_toml(TEXT, on_error="pause", max_epochs=3)
    assert 'on_error = "pause"  # go on\n' in net.to_toml()
    assert "max_epochs = 3\n" in net.to_toml()
    with pytest.raises(ConfigError, match="no option 'colour'"):
        Net.from_toml(TEXT, colour="red")


def test_a_function_by_another_name_keeps_it():
    """A module may give on what another has made."""
    corpus_nodes.alias = corpus_nodes.square
    try:
        text = TEXT.replace("tests.corpus_nodes.count", "tests.corpus_nodes.alias")
        assert Net.from_toml(text).to_toml() == text
    finally:
        del corpus_nodes.alias


def test_what_did_not_change_keeps_its_words():
    """An option in a list of one, an exception that was not looked for, a function by another name."""
    corpus_nodes.alias = corpus_nodes.begin
    try:
        text = (
            '[nodes.A]\nexec_node_func = "tests.corpus_nodes.count"\nstart_node_func = "tests.corpus_nodes.alias"\n'
            'options = { pool = ["io"], retry_on = ["KeyError"], timeout = 1 }\n'
        )
        for resolve in (True, False):
            net = Net.from_toml(text, resolve=resolve)
            net.set_node_config("A", timeout=2)
            assert net.to_toml() == text.replace("timeout = 1", "timeout = 2")
        net = Net.from_toml(text)
        net.set_node_exec("A", corpus_nodes.square, corpus_nodes.alias)
        assert net.to_toml() == text.replace("corpus_nodes.count", "corpus_nodes.square")
    finally:
        del corpus_nodes.alias


def test_what_a_path_names_must_be_of_use():
    """A function that can be called; an exception that is one."""
    with pytest.raises(netrun.ImportPathError, match=r"`tests\.corpus_nodes\.constant` is no function, but a Constant"):
        Net.from_toml('[nodes.A]\nexec_node_func = "tests.corpus_nodes.constant"')
    with pytest.raises(ConfigError, match="retry_on must be exception classes"):
        Net.from_toml('[nodes.A]\noptions.retry_on = "tests.corpus_nodes.add"')


def test_a_graph_that_cannot_be_run_is_told():
    """What only the graph knows."""
    with pytest.raises(GraphError, match="would make epochs for ever"):
        Net.from_toml('[nodes.A]\nin_ports = ["a", "b"]\nin_salvo_conditions.x = { when = "true", ports = "a" }')


def test_files(tmp_path):
    """Saved whole, loaded again; as it was, byte for byte."""
    file = tmp_path / "net.toml"
    text = TEXT.replace("\n", "\r\n")
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())  # as some editors begin a file
    net = Net.load_definition(file)
    net.save_definition(tmp_path / "again.toml")
    assert (tmp_path / "again.toml").read_bytes() == text.encode()
    net.set_node_exec("A", lambda ctx, packets: None)
    with pytest.raises(DslError):
        net.save_definition(tmp_path / "again.toml")
    assert (tmp_path / "again.toml").read_bytes() == text.encode()
    net.save_definition(tmp_path / "again.toml", missing="omit")
    written = (tmp_path / "again.toml").read_bytes()
    assert b"is left out" in written
    assert written.count(b"\n") == written.count(b"\r\n")
    assert sorted(os.listdir(tmp_path)) == ["again.toml", "net.toml"]
    with pytest.raises(FileNotFoundError):
        Net.load_definition(tmp_path / "nothing.toml")
    with pytest.raises(OSError, match=r"no_folder|Is a directory|No such"):
        net.save_definition(tmp_path / "no_folder" / "x.toml", missing="omit")
    (tmp_path / "bad.toml").write_text("[nodes.A]\nx = 1\n")
    with pytest.raises(DslError, match=r"bad\.toml:2:1: unknown key `x`"):
        Net.load_definition(tmp_path / "bad.toml")


def test_a_link_stays_one_and_a_mode_stays(tmp_path):
    """What is written is the file behind it."""
    (tmp_path / "real.toml").write_text(TEXT)
    (tmp_path / "real.toml").chmod(0o640)
    (tmp_path / "link.toml").symlink_to("real.toml")
    net = Net.load_definition(tmp_path / "link.toml")
    net.set_node_config("A", timeout=9)
    net.save_definition(tmp_path / "link.toml")
    assert (tmp_path / "link.toml").is_symlink()
    assert "timeout = 9" in (tmp_path / "real.toml").read_text()
    assert (tmp_path / "real.toml").stat().st_mode & 0o777 == 0o640


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    """And nothing beside it."""
    file = tmp_path / "net.toml"
    file.write_text(TEXT)

    def fails(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        Net.load_definition(file).save_definition(file)
    assert os.listdir(tmp_path) == ["net.toml"]
    assert Path(file).read_text() == TEXT


def test_definitions_run():
    """The same result as the net that was made in Python."""
    net = Net(graph([node("A", (), ["out"]), node("B", ["in"], ["out"])], [edge("A.out", "B.in")]))
    net.set_node_exec("A", corpus_nodes.count)
    net.set_node_exec("B", corpus_nodes.Doubler.run)
    assert Net.from_toml(net.to_toml()).run() == net.run() == {"B.out": [0, 2, 4, 6]}


def test_one_except_catches_all():
    """What a text, its paths and its factories can raise."""
    for text in ("x", "[nodes.A]\nexec_node_func = 'a.b'", "[nodes.A]\nfactory = 'netrun.factories.batch'"):
        with pytest.raises(NetrunError):
            Net.from_toml(text)


def test_a_text_must_be_a_text():
    """Another type is a mistake of the program."""
    with pytest.raises(TypeError, match="a net as text is a text, not b"):
        NetDefinition.from_toml(b"[net]")


def test_a_graph_with_a_name_that_text_cannot_hold():
    """Half of a surrogate pair is no character."""
    with pytest.raises(DslError, match="half of a surrogate pair"):
        Net(Graph([Node("A")], []), meta={"x": "\ud800"}).to_toml()


def test_types_of_ports_survive():
    """Names, classes, tables; what has no path is told."""
    net = Net(chain(2))
    net.set_output_port_type("N1", "out", "int")
    net.set_input_port_type("N2", "in", int)
    net.set_output_port_type("N2", "out", {"class": corpus_nodes.Flaky, "subclass": True})
    text = net.to_toml()
    assert 'out_ports.out = { type = "int" }' in text
    assert 'in_ports.in = { type = "builtins.int" }' in text
    assert 'out_ports.out = { type = { class = "tests.corpus_nodes.Flaky", subclass = true } }' in text
    again = Net.from_toml(text)
    assert again.to_toml() == text
    assert again.get_output_port_type("N2", "out") == {"class": corpus_nodes.Flaky, "subclass": True}
    again.set_input_port_type("N2", "in", None)
    assert 'in_ports = ["in"]' in again.to_toml()
    again.set_input_port_type("N1", "in", list[int])
    with pytest.raises(DslError, match=r"N1\.in_ports\.in\.type cannot be written as text: list\[int\] is no class"):
        again.to_toml()
    assert "# nodes.N1.in_ports.in.type is left out" in again.to_toml(missing="omit")


def test_types_that_never_meet_are_refused():
    """By the graph's own error."""
    net = Net(chain(2))
    text = net.to_toml().replace('out_ports = ["out"]', 'out_ports.out = { type = "int" }')
    with pytest.raises(GraphError, match="can never meet"):
        Net.from_toml(text.replace('in_ports = ["in"]', 'in_ports.in = { type = "str" }'))


def test_types_by_path_are_limited_and_told(tmp_path):
    """`allow` holds, a class that there is not is told with its place; without imports only names are set."""
    text = '[nodes.A]\nin_ports.a = { type = "decimal.Decimal" }\nin_ports.b = { type = "int" }\n'
    assert Net.from_toml(text).get_input_port_type("A", "a").__name__ == "Decimal"
    with pytest.raises(netrun.ImportPathError, match=r"line 2, column 23: `decimal\.Decimal` is not in"):
        Net.from_toml(text, allow=["tests"])
    net = Net.from_toml(text, resolve=False)
    assert (net.get_input_port_type("A", "a"), net.get_input_port_type("A", "b")) == (None, "int")
    assert net.to_toml() == text
    net.set_input_port_type("A", "b", "bool")
    assert net.to_toml() == text.replace('"int"', '"bool"')
    with pytest.raises(netrun.ImportPathError, match="Did you mean 'Decimal'"):
        Net.from_toml(text.replace("Decimal", "Decimul"))


def test_types_of_a_node_from_a_factory():
    """Those that were changed are written, beside the factory."""
    net = Net.from_toml(
        '[nodes.N]\nfactory = "netrun.factories.from_function"\nfactory_args.func = "tests.corpus_nodes.add"\n'
    )
    net.set_input_port_type("N", "left", "bool")
    again = Net.from_toml(net.to_toml())
    assert again.to_toml() == net.to_toml()
    assert again.get_input_port_type("N", "left") == "bool"
    assert again.run({"N.left": [True]}) == {"N.out": [11]}


def test_without_imports_a_function_has_the_ports_of_the_text():
    """A node of from_function builds where its ports are there, and is refused in plain words where they are not."""
    node = '[nodes.A]\nfactory = "netrun.factories.from_function"\nfactory_args = { func = "nowhere.f" }\n'
    net = Net.from_toml(node + 'in_ports = ["x"]\nin_salvo_conditions.x = { when = "nonempty(x)" }\n', resolve=False)
    assert list(net.graph.nodes()["A"].in_ports) == ["x"]
    with pytest.raises(FactoryError, match="its ports are not in the text"):
        Net.from_toml(node, resolve=False)


def test_a_byte_order_mark_is_nothing():
    """Neither in the text, nor for the places in it."""
    assert NetDefinition.from_toml("\ufeff[nodes.A]\n") == NetDefinition.from_toml("[nodes.A]\n")
    with pytest.raises(DslError, match=r"^line 1, column 1: unknown key `x`"):
        NetDefinition.from_toml("\ufeffx = 1\n")


COMMENTED = """\
edges = [
    { from = "A.x", to = "C.p" },  # of x
    # over y
    { from = "A.y", to = "C.q" },  # of y
]

[nodes.A]
out_ports = [
    "x",  # port x
    "y",  # port y
]

[nodes.C]
in_ports = ['p', 'q'] # kept   as it is
"""


def test_one_edge_changes_alone():
    """Its meta is put in; the rest of the text is as it was."""
    definition = NetDefinition.from_toml(COMMENTED)
    definition.edges[0].meta["a"] = 1
    assert definition.to_toml() == COMMENTED.replace('"C.p" }', '"C.p", meta = { a = 1 } }')


def test_edges_take_their_comments_along():
    """Where their order is another."""
    definition = NetDefinition.from_toml(COMMENTED)
    definition.edges.reverse()
    lines = definition.to_toml().split("\n")
    assert lines[1:4] == [
        "    # over y", '    { from = "A.y", to = "C.q" },  # of y', '    { from = "A.x", to = "C.p" },  # of x'
    ]  # fmt: skip


def test_ports_that_are_added_leave_the_comments_of_the_others():
    """In the list; and where a table takes its place."""
    definition = NetDefinition.from_toml(COMMENTED)
    definition.nodes["A"].out_ports["z"] = netrun.dsl.PortDefinition()
    text = definition.to_toml()
    assert "in_ports = ['p', 'q'] # kept   as it is" in text
    assert '"x",  # port x' in text
    assert '"y",  # port y' in text
    definition.nodes["A"].out_ports["z"].slots = 3
    text = definition.to_toml()
    assert "# port x" in text
    assert "# port y" in text


TWO_BATCHES = """\
[nodes.A]
factory = "netrun.factories.batch"
factory_args = { size = 2 }
[nodes.B]
factory = "netrun.factories.batch"
factory_args = { size = 3 }
"""


def test_all_factories_that_make_no_node_are_told_with_their_places() -> None:
    """And with them the paths that lead to nothing."""
    text = TWO_BATCHES.replace("= 2", "= 0").replace("{ size = 3", "{ sise = 3")
    with pytest.raises(FactoryError) as caught:
        NetDefinition.from_toml(text, "net.toml").build()
    assert str(caught.value).replace(". Did you mean 'size'?", "") == (  # which Python says from 3.13 on
        "net.toml:3:16: factory 'netrun.factories.batch': node 'A': size must be a whole number from 1 on, not 0\n"
        "    factory_args = { size = 0 }\n"
        "                   ^^^^^^^^^^^^\n"
        "net.toml:6:16: factory 'netrun.factories.batch': node 'B': get_node_spec raised TypeError: "
        "batch.get_node_spec() got an unexpected keyword argument 'sise'\n"
        "    factory_args = { sise = 3 }\n"
        "                   ^^^^^^^^^^^^"
    )
    assert (caught.value.path, len(caught.value.findings)) == ("netrun.factories.batch", 2)
    with pytest.raises(ImportPathError) as missing:
        Net.from_toml(text.replace("factories.batch", "factories.bach", 1).replace("sise = 3", "size = 0", 1))
    assert "line 6, column 16" in str(missing.value)
    assert "there is no name 'bach'. Did you mean 'batch'?" in str(missing.value)
    assert pickle.loads(pickle.dumps(caught.value)).findings == caught.value.findings


def test_all_edges_to_ports_that_a_factory_does_not_make_are_told_with_their_places() -> None:
    """Which ports there are is known only when the factory has been asked."""
    with pytest.raises(GraphError) as caught:
        Net.from_toml('edges = [{ from = "A.out", to = "B.inn" }, { from = "B.oout", to = "A.in" }]\n' + TWO_BATCHES)
    first, second = caught.value.findings
    assert first.place.startswith("line 1, column 10\n")
    assert second.place.startswith("line 1, column 44\n")
    assert second.place.endswith("\n    " + " " * 43 + "^" * 32)
    assert first.place in str(caught.value)


def test_all_edges_whose_types_never_meet_are_told_with_their_places() -> None:
    """Where both ends are edges of a text."""
    nodes = "".join(
        f'[nodes.{name}]\nin_ports.in.type = "int"\nout_ports.out.type = "str"\n'
        'in_salvo_conditions.one = { when = "nonempty(in)" }\nout_salvo_conditions.send = { when = "nonempty(out)" }\n'
        for name in "AB"
    )
    with pytest.raises(GraphError) as caught:
        Net.from_toml('edges = [{ from = "A.out", to = "B.in" }, { from = "B.out", to = "A.in" }]\n' + nodes)
    assert [finding.kind for finding in caught.value.findings] == ["PortTypesNeverMeet"] * 2
    assert sorted(finding.place.split("\n")[0] for finding in caught.value.findings) == [
        "line 1, column 10",
        "line 1, column 43",
    ]


def test_a_graph_that_is_no_text_has_no_places() -> None:
    """Its findings are as ever."""
    definition = NetDefinition.from_toml(TWO_BATCHES + '[[edges]]\nfrom = "A.out"\nto = "B.inn"\n')
    definition.text = None
    with pytest.raises(GraphError) as caught:
        definition.build()
    assert [finding.place for finding in caught.value.findings] == [""]
