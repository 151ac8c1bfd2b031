"""Factories: the protocol and its mistakes; the templates that netrun ships, on every carrier and from text alone."""

import gc
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any, Optional

import pytest

from netrun import (
    DslError,
    FactoryError,
    Graph,
    GraphError,
    GraphWarning,
    ImportPathError,
    Net,
    NetDefinition,
    Node,
    NodeExecutionFailed,
    Port,
)
from netrun.making import callable_parameters, made_by_factory
from tests import corpus_nodes

CARRIERS = ["inline", "deferred", "timeout", "thread", "process", "executor"]


async def halve_later(number: int) -> float:
    """An async function."""
    return number / 2


async def is_even_later(number: int) -> bool:
    """An async predicate."""
    return number % 2 == 0


def note(x: int) -> None:
    """A function without a result."""


def fan(value: Any) -> str:
    """A chooser that is wrong."""
    return "nowhere"


def shout(text: str = "nothing", times: int = 1) -> str:
    """A function that needs no input."""
    return text.upper() * times


CASES = [
    ("from_function", {"func": "tests.corpus_nodes.add"}, {"left": [1, 2], "right": [5]}, {"out": [6, 12]}),
    ("from_function", {"func": "tests.test_factories.halve_later"}, {"number": [1, 2]}, {"out": [0.5, 1.0]}),
    ("from_function", {"func": "tests.test_factories.note"}, {"x": [1, 2]}, {}),
    ("from_function", {"func": "tests.test_factories.shout"}, {"text": ["a"], "times": [2, 3]},
     {"out": ["AA", "NOTHING" * 3]}),
    ("broadcast", {"outputs": 3}, {"in": ["a", "b"]}, {f"out{n}": ["a", "b"] for n in (1, 2, 3)}),
    ("broadcast", {"outputs": ["x", "y z"]}, {"in": [[1]]}, {"x": [[1]], "y z": [[1]]}),
    ("merge", {"inputs": 2}, {"in1": [1, 2], "in2": [3]}, {"out": [1, 2, 3]}),
    ("merge", {"inputs": ["a"]}, {"a": [None]}, {"out": [None]}),
    ("batch", {"size": 2}, {"in": [1, 2, 3, 4, 5]}, {"out": [[1, 2], [3, 4]]}),
    ("batch", {"size": 1}, {"in": [1]}, {"out": [[1]]}),
    ("split", {}, {"in": [[1, 2], [], (3,)]}, {"out": [1, 2, 3]}),
    ("filter", {"predicate": "tests.corpus_nodes.is_even"}, {"in": [1, 2, 3, 4]}, {"out": [2, 4]}),
    ("filter", {"predicate": "tests.test_factories.is_even_later"}, {"in": [1, 2, 3, 4]}, {"out": [2, 4]}),
    ("route", {"chooser": "tests.corpus_nodes.parity", "outputs": ["even", "odd"]}, {"in": [1, 2, 3]},
     {"even": [2], "odd": [1, 3]}),
]  # fmt: skip


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(("name", "args", "inputs", "outputs"), CASES)
def test_templates_from_text_alone(carrier, name, args, inputs, outputs):
    """What goes in and what comes out, wherever they run; the text is what it was."""
    definition = NetDefinition()
    definition.nodes["N"] = NetDefinition.from_toml(f'[nodes.N]\nfactory = "netrun.factories.{name}"').nodes["N"]
    definition.nodes["N"].factory_args = args
    more: dict[str, Any] = {}
    options = definition.nodes["N"].options
    if carrier == "deferred":
        options |= {"defer_net_actions": True, "retries": 1}
    elif carrier == "timeout":
        options["timeout"] = 30
    elif carrier in ("thread", "process"):
        definition.options[f"{carrier}_pools"] = {"p": {"size": 1}}
        options["pool"] = "p"
    elif carrier == "executor":
        more["executor_pools"] = {"p": ThreadPoolExecutor(1)}
        options["pool"] = "p"
    net = Net.from_toml(definition.to_toml(), **more)
    result = net.run({f"N.{port}": values for port, values in inputs.items()})
    assert {port: sorted(values, key=repr) for port, values in result.items()} == {
        f"N.{port}": sorted(values, key=repr) for port, values in outputs.items()
    }
    net.stop()
    net._ledger.check()
    if carrier != "executor":
        assert net.to_toml() == definition.to_toml()


def test_a_chooser_that_names_no_port_fails_its_epoch():
    """The message says which ports there are."""
    net = Net.from_toml(
        '[nodes.N]\nfactory = "netrun.factories.route"\n'
        'factory_args = { chooser = "tests.test_factories.fan", outputs = ["a", "b"] }'
    )
    with pytest.raises(
        NodeExecutionFailed, match="the chooser returned 'nowhere', which is no output port; there is a, b"
    ):
        net.run({"N.in": [1]})


def test_what_comes_too_late_for_a_batch_stays():
    """And is taken with the next."""
    net = Net.from_toml('[nodes.N]\nfactory = "netrun.factories.batch"\nfactory_args.size = 3')
    assert net.run({"N.in": [1, 2, 3, 4]}) == {"N.out": [[1, 2, 3]]}
    assert net.run({"N.in": [5, 6]}) == {"N.out": [[4, 5, 6]]}


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("broadcast", {}, "missing 1 required positional argument: 'outputs'"),
        ("broadcast", {"outputs": 0}, "outputs must be a number from 1 on, or a list of different names, not 0"),
        ("broadcast", {"outputs": True}, "not True"),
        ("broadcast", {"outputs": "ab"}, "not 'ab'"),
        ("broadcast", {"outputs": []}, "not []"),
        ("broadcast", {"outputs": ["a", "a"]}, "different names"),
        ("broadcast", {"outputs": ["a", 3]}, "different names"),
        ("broadcast", {"outputs": 2, "n": 3}, "unexpected keyword argument 'n'"),
        ("merge", {"inputs": 10**9}, "inputs must be a number from 1 on"),
        ("batch", {"size": 0}, "size must be a whole number from 1 on, not 0"),
        ("batch", {"size": "2"}, "not '2'"),
        ("batch", {"size": 2**70}, "size must be"),
        ("filter", {"predicate": 3}, "predicate must be a function that returns, or the import path of one, not 3"),
        ("route", {"chooser": None, "outputs": 2}, "chooser must be a function"),
        ("from_function", {"func": 3}, "a node is made of a function"),
        ("from_function", {"func": print}, "cannot be given by name, so it is no port"),
        ("from_function", {"func": lambda a, /: a}, "parameter 'a' of"),
        ("from_function", {"func": note, "when": "count(y) > 1"}, "has no parameter `y`"),
        ("from_function", {"func": max}, "are not known"),
    ],
)
def test_arguments_of_templates_are_checked(name, args, message):
    """With the factory's path in the message; from a text with the node's name too."""
    with pytest.raises(FactoryError) as caught:
        Net.from_factory(f"netrun.factories.{name}", **args)
    assert message in str(caught.value)
    assert caught.value.path == f"netrun.factories.{name}"
    assert str(caught.value).startswith(f"factory 'netrun.factories.{name}': ")


def module(**names: Any) -> ModuleType:
    """A module `made_up` with these names."""
    made = ModuleType("made_up")
    vars(made).update(names)
    sys.modules["made_up"] = made
    return made


@pytest.fixture(autouse=True)
def _no_module_is_left():
    yield
    sys.modules.pop("made_up", None)


def nothing(**args: Any) -> tuple[Any, ...]:
    """No functions."""
    return (None,) * 4


def test_a_module_is_a_factory():
    """Also one of a single name; its spec may hold a name, which a text's own takes the place of."""
    module(get_node_spec=lambda: {"name": "X"}, get_node_funcs=nothing)
    assert Net.from_factory("made_up") == ({"name": "X"}, None, None, None, None)
    net = Net.from_toml('[nodes.Y]\nfactory = "made_up"')
    assert list(net.graph.nodes()) == ["Y"]


def fails(**args: Any) -> Any:
    """A function of a factory that raises."""
    raise ZeroDivisionError("no")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({}, "has no function get_node_spec"),
        ({"get_node_spec": nothing}, "has no function get_node_funcs"),
        ({"get_node_spec": 3, "get_node_funcs": nothing}, "has no function get_node_spec"),
        ({"get_node_spec": lambda: None, "get_node_funcs": nothing}, "get_node_spec must return a dict"),
        ({"get_node_spec": lambda: {"ports": 1}, "get_node_funcs": nothing}, "get_node_spec must return a dict"),
        ({"get_node_spec": dict, "get_node_funcs": lambda: None}, "get_node_funcs must return exec_node_func"),
        ({"get_node_spec": dict, "get_node_funcs": lambda: (None,)}, "get_node_funcs must return exec_node_func"),
        ({"get_node_spec": fails, "get_node_funcs": nothing}, "fails raised ZeroDivisionError: no"),
        ({"get_node_spec": dict, "get_node_funcs": fails}, "fails raised ZeroDivisionError: no"),
    ],
)
def test_what_is_no_factory_is_told(names, message):
    """And what its code raised is chained."""
    module(**names)
    with pytest.raises(FactoryError) as caught:
        Net.from_factory("made_up")
    assert message in str(caught.value)
    with pytest.raises(FactoryError, match="node 'A'") as from_text:
        Net.from_toml('[nodes.A]\nfactory = "made_up"')
    if "fails" in message:
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert isinstance(from_text.value.__cause__, ZeroDivisionError)


def test_a_factory_that_cannot_be_found_is_told():
    """With its place in the text, together with others."""
    text = '[nodes.A]\nfactory = "nowhere_at_all.x"\n[nodes.B]\nexec_node_func = "also_nowhere.f"'
    with pytest.raises(ImportPathError) as caught:
        Net.from_toml(text)
    assert [finding.line for finding in caught.value.findings] == [2, 4]


def test_which_parameters_take_callables():
    """By their annotations: callables and classes, alone or among others. Others take text as it is."""

    def spec(
        a: Callable[..., Any], b: Callable[[int], int] | None, c: Optional[Callable], d: type, e: type[int] | str,  # noqa: UP045
        f: str, g: Any, h, i: "Callable[..., Any]",
    ):  # fmt: skip
        return {}

    factory = SimpleNamespace(get_node_spec=spec, get_node_funcs=nothing)
    assert callable_parameters(factory) == {*"abcdei"}


def test_text_stays_text_where_no_callable_is_asked_for():
    """Even when it looks like a path."""
    seen = []
    module(get_node_spec=lambda name: seen.append(name) or {}, get_node_funcs=nothing)
    Net.from_factory("made_up", name="os.path.join")
    assert seen == ["os.path.join"]


def added(factory: str, **args: Any) -> Net:
    """A net of one node that a factory made, in Python."""
    spec, *functions = Net.from_factory(factory, **args)
    net = Net(Graph([Node(**{"name": "N", **spec})], []))
    net.set_node_exec("N", *functions)
    return net


def test_a_net_made_in_python_names_its_factories():
    """With the arguments, callables by their paths; and the text makes the same net."""
    net = added("netrun.factories.route", chooser=corpus_nodes.parity, outputs=["even", "odd"])
    text = net.to_toml()
    assert text == (
        '[nodes.N]\nfactory = "netrun.factories.route"\n'
        'factory_args = { chooser = "tests.corpus_nodes.parity", outputs = ["even", "odd"] }\n'
    )
    assert Net.from_toml(text).run({"N.in": [1]}) == {"N.even": [], "N.odd": [1]}


def test_closures_of_a_factory_of_ones_own():
    """Have no paths, but their factory has."""
    net = added("tests.corpus_nodes.constant", value=3, through=str)
    text = net.to_toml()
    assert 'factory_args = { value = 3, through = "builtins.str" }' in text
    assert Net.from_toml(text).run() == {"N.out": ["3"]}
    assert added("tests.corpus_nodes.constant", value=3, through=None).to_toml().count("through") == 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "a object has no place in it"),
        ({1: 2}, "the key 1 is no text"),
        (float("nan"), "nan is no JSON"),
        (2**64, "more than 64 bits"),
        (corpus_nodes.add, "a function has no place in it"),
    ],
)
def test_arguments_that_are_no_json_are_told(value, message):
    """When the text is written; or left out, with a comment."""
    net = added("tests.corpus_nodes.constant", value=value)
    with pytest.raises(
        DslError, match="nodes.N.factory_args.value cannot be written as text: .*" + message.split("1")[0]
    ):
        net.to_toml()
    assert "# nodes.N.factory_args.value is left out: " in net.to_toml(missing="omit")


def test_a_callable_without_a_path_is_told():
    """As an argument too."""
    net = added("netrun.factories.filter", predicate=lambda value: True)
    with pytest.raises(DslError, match=r"predicate cannot be written as text: a lambda has no path"):
        net.to_toml()


def test_functions_of_a_factory_at_another_node_are_no_such_node():
    """Its ports are others than the factory's; and functions that were changed are no longer its."""
    _, *functions = Net.from_factory("netrun.factories.merge", inputs=2)
    net = Net(Graph([Node("N")], []))
    net.set_node_exec("N", *functions)
    with pytest.raises(DslError, match="an instance of partial has no path"):
        net.to_toml()
    net = added("netrun.factories.split")
    net.set_node_exec("N", corpus_nodes.square)
    assert "factory" not in net.to_toml()
    assert 'exec_node_func = "tests.corpus_nodes.square"' in net.to_toml()
    assert 'in_ports = ["in"]' in net.to_toml()


def test_what_a_text_says_beside_a_factory_takes_its_place():
    """Ports, conditions, functions; the rest is the factory's."""
    net = Net.from_toml(
        '[nodes.N]\nfactory = "tests.corpus_nodes.constant"\nfactory_args = { value = 1 }\n'
        'stop_node_func = "tests.corpus_nodes.end"\nin_ports = { go = { slots = 1 } }\n'
        'in_salvo_conditions.go = { when = "nonempty(go)" }\n'
    )
    task = net._tasks["N"]
    assert (task.start_node_func, task.stop_node_func) == (corpus_nodes.begin, corpus_nodes.end)
    assert net.graph.nodes()["N"].in_ports["go"].slots_spec.capacity == 1
    assert set(net.graph.nodes()["N"].out_ports) == {"out"}


def test_nothing_is_remembered_of_what_is_gone():
    """What a factory has made is known as long as the function lives."""
    _, run, *_ = Net.from_factory("netrun.factories.split")
    assert len(made_by_factory((run, None, None, None))) == 1
    gc.collect()
    known = len(made_by_factory.__globals__["_made"])
    del run
    gc.collect()
    assert len(made_by_factory.__globals__["_made"]) == known - 1
    assert made_by_factory((None,) * 4) == []
    assert made_by_factory(([],) * 4) == []


def test_the_same_function_from_two_factories():
    """Each node says the one whose ports it has."""
    run = partial(print)
    made = {"a": {"in_ports": {}}, "b": {"in_ports": {"x": Port()}}}
    module(get_node_spec=lambda kind: made[kind], get_node_funcs=lambda kind: (run, None, None, None))
    for kind in "ab":
        assert f'factory_args = {{ kind = "{kind}" }}' in added("made_up", kind=kind).to_toml()


def test_an_invalid_graph_from_factories_is_told():
    """By what the graph says of it."""
    with pytest.raises(GraphError, match="out3"):
        Net.from_toml(
            'edges = [{ from = "A.out3", to = "B.in" }]\n[nodes.A]\nfactory = "netrun.factories.broadcast"\n'
            'factory_args.outputs = 2\n[nodes.B]\nfactory = "netrun.factories.split"'
        )


class Order:
    """A class of one's own."""


def priced(order: Order, rate: float, note: "str | None" = None, tags: list[str] = (), rest: Any = 0) -> "int | Order":
    """A typed function."""
    return order


def test_hints_become_types_of_ports():
    """Whole numbers are floats, as type checkers have it; what means nothing to values is not checked."""
    net = Net.from_toml(
        '[nodes.N]\nfactory = "netrun.factories.from_function"\nfactory_args.func = "tests.test_factories.priced"'
    )
    assert net.get_input_port_type("N", "order") is Order
    assert net.get_input_port_type("N", "rate") == float | int
    assert net.get_input_port_type("N", "note") == str | None
    assert net.get_input_port_type("N", "tags") == list[str]
    assert net.get_input_port_type("N", "rest") is None
    assert net.get_output_port_type("N", "out") == int | Order
    assert "type" not in net.to_toml()
    with pytest.raises(NodeExecutionFailed, match="holds a str, the port takes"):
        net.run({"N.order": [Order()], "N.rate": ["much"]})
    assert net.run({"N.order": [Order()], "N.rate": [1]})["N.out"][0].__class__ is Order


def test_hints_that_never_meet_are_refused():
    """As soon as the net is built."""
    text = """
edges = [{ from = "A.out", to = "B.text" }]
[nodes.A]
factory = "netrun.factories.from_function"
factory_args.func = "tests.corpus_nodes.is_even"
[nodes.B]
factory = "netrun.factories.from_function"
factory_args.func = "tests.test_factories.shout"
"""
    with pytest.raises(GraphError, match=r"A\.out -> B\.text joins bool to str, which can never meet"):
        Net.from_toml(text)


def test_a_factory_may_type_its_ports():
    """By a third function; a text's own ports take the place of those of their side."""
    module(
        get_node_spec=lambda: {"in_ports": {"a": Port()}, "out_ports": {"b": Port()}},
        get_node_funcs=nothing,
        get_port_types=lambda: {"in_ports": {"a": int}, "out_ports": {"b": str}},
    )
    text = '[nodes.N]\nfactory = "made_up"\nin_ports.a = { type = "bool" }\n'
    with pytest.warns(GraphWarning, match="sends from port 'b'"):
        net = Net.from_toml(text)
    assert (net.get_input_port_type("N", "a"), net.get_output_port_type("N", "b")) == ("bool", str)
    assert net.to_toml() == text
    module(get_node_spec=dict, get_node_funcs=nothing, get_port_types=lambda: {"a": int})
    with pytest.raises(FactoryError, match="get_port_types must return a dict with in_ports, out_ports or both"):
        Net.from_factory("made_up")
