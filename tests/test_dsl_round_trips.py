"""Definitions as text and back, at random, and what random text is answered with."""

import datetime

import tomlkit
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from netrun import DslError, Net, NetDefinition
from netrun.core import write_ref
from netrun.description import ConditionDefinition, EdgeDefinition, NodeDefinition, PortDefinition, read_ref
from netrun.making import FUNCTIONS
from netrun.writing import changed, data_of, formatted, lines_of, text_of

words = st.sampled_from(["in", "out", "order", "notes", "count", "and", "true", "a.b", "my port", 'say "x"', "'", "\\",
                         "größe", "", "a-b", "1", "two\nlines", "#", "=", "[x]", "in.\"y\""])  # fmt: skip
texts = st.one_of(words, st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
names = st.one_of(words, st.text(st.characters(exclude_categories=["Cs"]), max_size=6))
leaves = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), texts,
    st.dates(), st.datetimes(), st.times(), st.datetimes(timezones=st.just(datetime.UTC)),
)  # fmt: skip
json = st.one_of(st.booleans(), st.integers(-1000, 1000), st.floats(allow_nan=False, allow_infinity=False), texts)


def nested(inner):
    """Lists and tables of these."""
    return st.recursive(
        inner,
        lambda more: st.one_of(st.lists(more, max_size=3), st.dictionaries(texts, more, max_size=3)),
        max_leaves=6,
    )


metas = st.dictionaries(texts, nested(leaves), max_size=3)
paths = st.sampled_from(["myapp.nodes.f", "a.b", "__main__.f", "größe.f"])
types = st.one_of(
    st.none(),
    st.sampled_from(
        ["int", "a.b.C", {"class": "int", "isinstance": False}, {"class": "a.C", "subclass": True}, {"class": "X"}]
    ),
)
slots = st.one_of(st.none(), st.integers(0, 2**63 - 1))


@st.composite
def conditions(draw, ports, side):
    """Conditions on these ports."""
    named = st.sampled_from(sorted(ports)) if ports else st.nothing()
    atoms = st.one_of(
        st.just("true"),
        st.just("false"),
        st.builds(_of_port, st.sampled_from(["nonempty", "full", "empty", "nonfull"]), named),
        st.builds(lambda port, sign, n: f"{_of_port('count', port)} {sign} {n}", named,
                  st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), st.integers(0, 9)),
    )  # fmt: skip
    when = draw(st.lists(atoms, min_size=1, max_size=8).map(" and ".join))
    takes = draw(st.one_of(st.none(), st.dictionaries(named, st.one_of(st.none(), st.integers(0, 9)))))
    most = 1 if side == "in" else draw(st.one_of(st.none(), st.integers(0, 9)))
    return ConditionDefinition(when, takes, most)


def _of_port(function, port):
    escaped = port.replace("\\", "\\\\").replace('"', '\\"')
    return f'{function}("{escaped}")'


def _normal(condition):
    from netrun.expressions import normal_form

    condition.when = normal_form(condition.when)
    return condition


node_options = st.fixed_dictionaries(
    {},
    optional={
        "defer_net_actions": st.just(True),
        "retry_wait": st.floats(0, 100),
        "retry_jitter": st.sampled_from([0, 0.5, 1]),
        "retry_on": st.sampled_from(["ValueError", ["KeyError", "myapp.Flaky"], "myapp.Flaky"]),
        "timeout": st.integers(1, 9),
        "pool": st.one_of(st.just("io"), st.just(["io", "cpu"])),
        "max_parallel_epochs": st.integers(1, 9),
        "dead_letter_queue": st.booleans(),
    },
)
net_options = st.fixed_dictionaries(
    {},
    optional={
        "on_error": st.sampled_from(["raise", "pause", "continue"]),
        "error_callback": paths,
        "max_epochs": st.integers(1, 99),
        "consumed_packet_storage": st.booleans(),
        "packet_storage_path": texts,
        "thread_pools": st.dictionaries(
            names, st.fixed_dictionaries({"size": st.integers(1, 9)}), min_size=1, max_size=2
        ),
        "process_pools": st.just({"cpu": {"size": 2, "start_method": "spawn"}}),
    },
)


@st.composite
def nodes(draw):
    """A node."""
    node = NodeDefinition(options=draw(node_options), meta=draw(metas))
    for side in ("in", "out"):
        ports = draw(st.dictionaries(names, st.builds(PortDefinition, slots, types), max_size=4))
        setattr(node, f"{side}_ports", ports)
        drawn = draw(st.dictionaries(names, conditions(ports, side).map(_normal), max_size=3))
        setattr(node, f"{side}_salvo_conditions", drawn)
    for key in draw(st.sets(st.sampled_from(FUNCTIONS))):
        setattr(node, key, draw(paths))
    if draw(st.booleans()):
        node.factory = draw(paths)
        node.factory_args = draw(st.dictionaries(texts, nested(json), max_size=3))
    return node


@st.composite
def definitions(draw):
    """A whole net."""
    definition = NetDefinition(draw(net_options), draw(metas), draw(st.dictionaries(names, nodes(), max_size=4)))
    outs = [(name, port) for name, node in definition.nodes.items() for port in node.out_ports]
    ins = [(name, port) for name, node in definition.nodes.items() for port in node.in_ports]
    if ins and outs:
        sources = draw(st.lists(st.sampled_from(outs), unique=True, max_size=6))
        targets = st.sampled_from(ins)
        definition.edges = [EdgeDefinition(source, draw(targets), draw(metas)) for source in sources]
    return definition


slow = settings(suppress_health_check=list(HealthCheck), max_examples=150)


def orders(definition):
    """The conditions of each node in their order, which decides what is tried first."""
    return {
        name: [list(node.in_salvo_conditions), list(node.out_salvo_conditions)]
        for name, node in definition.nodes.items()
    }


@slow
@given(definitions())
def test_a_definition_is_read_as_it_was_written(definition):
    """Equal, in the same order; the second text is the first."""
    text = definition.to_toml()
    again = NetDefinition.from_toml(text)
    assert again == definition
    assert orders(again) == orders(definition)
    assert lines_of(data_of(again)) == lines_of(data_of(definition))
    assert text_of(again) == text
    assert again.to_toml() == text
    assert formatted(again, text) == text


@slow
@given(definitions(), definitions())
def test_a_changed_text_says_what_is_new(one, other):
    """Whatever changes into whatever, by tomlkit or anew; and the text is TOML for tomlkit too."""
    text = "# first\n" + one.to_toml()
    new = changed(text, one, other)
    assert lines_of(data_of(NetDefinition.from_toml(new))) == lines_of(data_of(other))
    tomlkit.parse(new)


@given(names, names)
def test_a_port_is_named_in_one_text(node_name, port_name):
    """Whatever the names are."""
    assert read_ref(write_ref(node_name, port_name)) == (node_name, port_name)


pieces = st.sampled_from(
    ["[nodes.A]", "[[edges]]", "[net]", "in_ports", "options", "when", "=", "{", "}", "[", "]", '"', "'", '"""', "a",
     ".", ",", "\n", "#", " ", "nonempty(in)", "\\", "1", "-", "1979-05-27", "\r\n", "from = ", "true", "\x00",
     "\ud800", "nodes.A.in_ports = ", '["in"]', "meta", "e9"]
)  # fmt: skip


def refusal(text):
    """Why a text is refused, or None. `DslError` is the one way to say it."""
    try:
        NetDefinition.from_toml(text)
    except DslError as error:
        return error
    return None


def answered(text):
    """A text is read, or refused with places that are in it."""
    error = refusal(text)
    if error is not None:
        assert str(error)
        for finding in error.findings:
            assert finding.line is None or 1 <= finding.line <= text.count("\n") + 1


@settings(max_examples=400)
@given(st.one_of(st.text(), st.lists(pieces, max_size=30).map("".join)))
@example("a = '''\n\\")
@example("\ufeff[net]")
@example("[nodes.A]\rin_ports = []")
@example("x = 1e999\ny = 0x_1")
@example('[nodes."\\u0000"]')
def test_random_text_is_read_or_refused(text):
    """Nothing but `DslError`."""
    answered(text)


@settings(max_examples=300)
@given(st.data())
def test_a_net_with_a_mistake_is_read_or_refused(data):
    """A right text with a few characters changed."""
    text = """
edges = [{ from = "A.out", to = "B.in", meta = { a = 1 } }]
[net]
thread_pools.io = { size = 2 }
[nodes.A]
out_ports = ["out"]
out_salvo_conditions.send = { when = "nonempty(out) and count(out) >= 1", max_salvos = 2 }
options = { retries = 1, defer_net_actions = true, retry_on = ["ValueError"] }
[nodes.B]
in_ports.in = { slots = 3 }
exec_node_func = "a.b"
"""
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text = text[:at] + data.draw(st.one_of(pieces, st.just(""))) + text[at + data.draw(st.integers(0, 2)) :]
    answered(text)


@slow
@given(definitions())
def test_a_net_says_what_its_definition_says(definition):
    """Built without functions, as far as it can be: its graph told anew is the definition's."""
    for node in definition.nodes.values():
        node.factory, node.factory_args = None, {}
    definition.options.pop("packet_storage_path", None)
    definition.options["check"] = False
    try:
        net = definition.build(resolve=False)
    except ValueError:  # a graph that cannot be run, options that do not fit
        return
    assert Net.from_toml(definition.to_toml(), resolve=False).to_toml() == definition.to_toml()
    net._definition, net._built = None, {}
    told = NetDefinition.from_net(net)
    assert set(told.nodes) == set(definition.nodes)
    for name, node in definition.nodes.items():
        for side in ("in_ports", "out_ports"):
            assert getattr(told.nodes[name], side) == {
                port: PortDefinition(there.slots, None if "." in str(there.type) else there.type)
                for port, there in getattr(node, side).items()
            }
        assert list(told.nodes[name].in_salvo_conditions) == list(node.in_salvo_conditions)
    assert sorted((e.source, e.target) for e in told.edges) == sorted((e.source, e.target) for e in definition.edges)
