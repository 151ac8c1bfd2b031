"""The words that netrun speaks with: names, errors, options."""

import inspect
import math
import pickle
from typing import Any

import netrun_sim
import pytest
from netrun_sim import netrun_sim as native

import netrun
from netrun import (
    CheckpointCorrupt,
    CheckpointError,
    CheckpointMismatch,
    ConfigError,
    DeferredPacketIdAccessError,
    DslError,
    DslFinding,
    EpochCancelled,
    EpochLimitReached,
    EpochTimeout,
    ExpressionError,
    FactoryError,
    GraphError,
    GraphFinding,
    ImportPathError,
    NetNotPausedError,
    NetrunError,
    NetrunRuntimeError,
    NetStateError,
    NodeConfig,
    NodeExecutionFailed,
    NotPicklable,
    PacketTypeMismatch,
    PacketValueStore,
    ValueFunctionFailed,
    WorkerDied,
    WorkerException,
)
from netrun.core import unknown_name
from netrun.ledger import Ledger
from tests.graphs import edge, graph, node

OWN = {"Packet", "PacketLocation", "Salvo", "Epoch"}
SIM_NAMES = {*netrun_sim.__all__, *(name for name in vars(native) if not name.startswith("_"))}

# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SIM_NAMES - OWN))
def test_every_name_of_the_simulator_is_netruns(name: str) -> None:
    """The same object, also by `from netrun import *`."""
    word = getattr(netrun_sim, name, None) or getattr(native, name)
    assert getattr(netrun, name) is word
    assert name in netrun.__all__ or name not in vars(native)


@pytest.mark.parametrize("name", sorted(OWN))
def test_four_words_are_netruns_own(name: str) -> None:
    """What users meet while a net runs has netrun's ids, so it is netrun's."""
    assert getattr(netrun, name) is not getattr(netrun_sim, name)
    assert getattr(netrun, name).__module__ == "netrun.packets"
    assert name in netrun.__all__


def test_a_star_import_gives_the_own_words() -> None:
    """`from netrun import *` and `netrun.x` are the same for every name."""
    names: dict[str, Any] = {}
    exec("from netrun import *", names)
    for name in netrun.__all__:
        assert names[name] is getattr(netrun, name), name
    assert names["Packet"] is netrun.packets.Packet
    assert {"Net", "NodeConfig", "Graph", "UndoError", "OrphanedPacketInfo"} <= set(names)
    assert not any(name.startswith("_") for name in netrun.__all__ if name != "__version__")


def test_the_error_classes_of_the_simulator_that_its_all_leaves_out_are_there() -> None:
    """`Undo…Error`, `Request…Error` and the like are caught by the same `except`."""
    left_out = SIM_NAMES - set(netrun_sim.__all__)
    assert left_out, "netrun_sim names everything by now: this and the introspection in core can go"
    errors = [getattr(netrun, name) for name in left_out if name.endswith("Error")]
    assert len(errors) >= 3
    assert all(issubclass(error, NetrunError) for error in errors)


# -- errors -----------------------------------------------------------------------------------------------------------

CAUSE = ValueError("bad line")

ERRORS: list[tuple[type[NetrunRuntimeError], dict[str, Any], list[str]]] = [
    (WorkerDied, {"node_name": "A", "epoch_id": "e1-x", "exitcode": -9}, ["node 'A'", "e1-x", "SIGKILL", "new worker"]),
    (
        NotPicklable,
        {"node_name": "A", "port_name": "in", "type_name": "lock"},
        ["node 'A'", "port 'in'", "a lock cannot be pickled", "inline or in threads"],
    ),
    (WorkerException, {"type_name": "Odd", "text": "why"}, ["Odd: why"]),
    (EpochLimitReached, {"limit": 5}, ["5 epochs were started", "counts anew", "max_epochs"]),
    (
        PacketTypeMismatch,
        {"packet_id": "p1-x", "expected_type": int, "actual_type": str, "port_name": "in", "node_name": "Parse"},
        ["node 'Parse'", "port 'in'", "packet p1-x", "holds a str", "takes int", "Send another value or change"],
    ),
    (
        PacketTypeMismatch,
        {"packet_id": "p1-x", "expected_type": "Table", "actual_type": str, "port_name": "in", "node_name": "Parse"},
        ["takes Table"],
    ),
    (
        ValueFunctionFailed,
        {"packet_id": "p1-x", "original_exception": CAUSE},
        ["packet p1-x raised ValueError: bad line", "can be consumed again"],
    ),
    (
        ValueFunctionFailed,
        {"packet_id": "p1-x", "original_exception": KeyboardInterrupt()},
        ["raised KeyboardInterrupt."],
    ),
    (
        NodeExecutionFailed,
        {"node_name": "Parse", "epoch_id": "e1-x", "original_exception": CAUSE, "attempts": 3},
        ["node 'Parse'", "epoch e1-x", "after 3 attempts", "ValueError: bad line", "start() goes on"],
    ),
    (
        EpochTimeout,
        {"node_name": "Parse", "epoch_id": "e1-x", "timeout_seconds": 2.5},
        ["node 'Parse'", "epoch e1-x", "2.5 s", "thread cannot be stopped", "Raise `timeout`"],
    ),
    (EpochCancelled, {"node_name": "Parse", "epoch_id": "e1-x"}, ["node 'Parse'", "epoch e1-x", "cancel_epoch()"]),
    (DeferredPacketIdAccessError, {}, ["no id and no location", "Pass the packet itself"]),
    (ConfigError, {"what": "timeout must be a number."}, ["timeout must be a number."]),
    (
        NetStateError,
        {"operation": "start()", "state": "the net is stopped"},
        ["start() is not possible: the net is stopped."],
    ),
    (
        NetNotPausedError,
        {"operation": "save_checkpoint", "state": "the net runs"},
        ["save_checkpoint is not possible: the net runs."],
    ),
    *(
        (
            error,
            {"path": "run", "file": "packets.pkl", "expected": "a file", "got": "it is missing. Take another"},
            ["checkpoint run, file packets.pkl: expected a file; it is missing. Take another."],
        )
        for error in (CheckpointError, CheckpointCorrupt, CheckpointMismatch)
    ),
    (
        GraphError,
        {
            "findings": [GraphFinding("NoNode", "no node 'B'", {"n": "B"}), GraphFinding("NoPort", "no port 'x'", {})],
            "what": "is refused",
        },
        ["the graph is refused, 2 finding(s)", "\n  - no node 'B' (NoNode)", "\n  - no port 'x' (NoPort)"],
    ),
    (
        DslError,
        {
            "findings": [DslFinding("unknown key `a`", 2, 3, "  a = 1\n  ^"), DslFinding("no place")],
            "source": "net.toml",
        },
        ["2 things are wrong\n", "net.toml:2:3: unknown key `a`\n      a = 1\n      ^\n", "net.toml: no place"],
    ),
    (
        ExpressionError,
        {"findings": [DslFinding("expected `)`", 1, 3, "a(\n  ^")], "source": None},
        ["line 1, column 3: expected `)`\n    a(\n      ^"],
    ),
    (FactoryError, {"path": "a.b", "what": "makes nothing"}, ["factory 'a.b': makes nothing"]),
    (
        ImportPathError,
        {"path": "a.b", "findings": [DslFinding("there is no module `a`", 4, 1, "a\n^")], "source": "net.toml"},
        ["net.toml:4:1: there is no module `a`\n    a\n    ^"],
    ),
]


each_error = pytest.mark.parametrize(("error", "arguments", "words"), ERRORS)


@each_error
def test_arguments_of_an_error_are_attributes_and_args(
    error: type, arguments: dict[str, Any], words: list[str]
) -> None:
    """In the order of the signature."""
    made = error(**arguments)
    assert made.args == tuple(arguments.values())
    assert {name: getattr(made, name) for name in arguments} == arguments
    assert error(*arguments.values()).args == made.args


@each_error
def test_the_text_of_an_error_says_where_what_and_what_to_do(error: type, arguments: dict, words: list[str]) -> None:
    """Names of node, epoch and packet, the cause, the remedy."""
    text = str(error(**arguments))
    assert [word for word in words if word not in text] == []


@each_error
def test_an_error_survives_pickling(error: type, arguments: dict[str, Any], words: list[str]) -> None:
    """Class, text and attributes."""
    made = error(**arguments)
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is error
    assert str(again) == str(made)
    assert list(map(repr, again.args)) == list(map(repr, made.args))
    assert repr(vars(again)) == repr(vars(made))


@each_error
def test_one_except_catches_all_errors(error: type, arguments: dict[str, Any], words: list[str]) -> None:
    """`NetrunError` is the simulator's base, `NetrunRuntimeError` the runtime's."""
    with pytest.raises(netrun_sim.NetrunError):
        raise error(**arguments)
    assert issubclass(error, NetrunRuntimeError)


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (ConfigError, ValueError),
        (GraphError, ValueError),
        (NetStateError, RuntimeError),
        (NetNotPausedError, NetStateError),
        (CheckpointCorrupt, CheckpointError),
        (CheckpointMismatch, CheckpointError),
        (DslError, ValueError),
        (ExpressionError, DslError),
        (FactoryError, ValueError),
        (ImportPathError, ImportError),
    ],
)
def test_some_errors_are_python_errors_too(error: type, base: type) -> None:
    """Who does not know netrun's classes catches what they mean."""
    assert issubclass(error, base)


def test_every_error_class_of_netrun_is_tried_above() -> None:
    """A new one wants its line in `ERRORS`."""
    there = {word for word in vars(netrun.core).values() if inspect.isclass(word) and word.__module__ == "netrun.core"}
    errors = {word for word in there if issubclass(word, Exception) and not issubclass(word, Warning)}
    assert errors - {NetrunRuntimeError} == {error for error, _, _ in ERRORS}


def test_the_text_of_a_users_error_leaves_a_terminal_alone() -> None:
    """What would move its cursor is written out; lines, tabs and other scripts are as they were."""
    said = "a\n\tb\u3000漢字 \x1b[2J\r\x07\x9b0m\x7f"
    text = str(NodeExecutionFailed("A", "e1", ValueError(said)))
    assert "ValueError: a\n\tb\u3000漢字 \\x1b[2J\\x0d\\x07\\x9b0m\\x7f. The" in text


def test_a_failed_node_tells_of_the_others() -> None:
    """`others` are in the text and survive pickling; one attempt is told as one."""
    failed = NodeExecutionFailed("A", "e1-x", CAUSE)
    assert failed.attempts == 1
    assert failed.others == []
    assert "after 1 attempt with" in str(failed)
    assert "others" not in str(failed)
    failed.others.append(NodeExecutionFailed("B", "e2-x", KeyError("k"), 2))
    assert "1 more epochs failed meanwhile: see `others`" in str(failed)
    again = pickle.loads(pickle.dumps(failed))
    assert [(other.node_name, other.attempts) for other in again.others] == [("B", 2)]


@pytest.mark.parametrize(
    "edges",
    [
        [edge("A.out", "X.in")],
        [edge("A.nope", "B.in")],
        [edge("A.out", "B.in"), edge("A.out", "A.in")],
    ],
    ids=["node", "port", "fan-out"],
)
def test_the_error_of_a_real_graph_can_be_pickled_and_compared(edges: list[Any]) -> None:
    """Its findings hold nothing that only the simulator knows."""
    with pytest.raises(GraphError) as refused:
        Ledger(graph([node("A", ["in"], ["out"]), node("B", ["in"])], edges), PacketValueStore())
    again = pickle.loads(pickle.dumps(refused.value))
    assert str(again) == str(refused.value)
    assert again.findings == refused.value.findings
    assert all(isinstance(finding.kind, str) and finding.message and finding.details for finding in again.findings)


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    """Sorted, the nearest first; and for none at all."""
    assert unknown_name("node", "Pars", ["Sum", "Parse"]) == (
        "there is no node 'Pars'. Did you mean 'Parse'? There is: 'Parse', 'Sum'."
    )
    assert unknown_name("node", "X", ["Sum", "Parse"]) == "there is no node 'X'. There is: 'Parse', 'Sum'."
    assert unknown_name("node", "X", []) == "there is no node 'X'. There is: none."
    assert unknown_name("node", None, {"B": 1, "A": 2}) == "there is no node None. There is: 'A', 'B'."


# -- options ----------------------------------------------------------------------------------------------------------


def test_options_are_merged() -> None:
    """A new config each time; what is not named stays."""
    first = NodeConfig()
    assert (first.defer_net_actions, first.timeout) == (False, None)
    second = first.merged(timeout=3)
    third = second.merged(defer_net_actions=True)
    assert (third.defer_net_actions, third.timeout) == (True, 3)
    assert third.merged(timeout=None) == NodeConfig(defer_net_actions=True)
    assert first == NodeConfig()
    assert second.merged() == second
    with pytest.raises(AttributeError):
        second.timeout = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timout": 3}, "no node option 'timout'. Did you mean 'timeout'?"),
        ({"colour": 3}, "no node option 'colour'. There is: "),
        ({"timeout": 0}, "timeout must be a number of seconds above 0, or None, not 0"),
        ({"timeout": -1.5}, "not -1.5"),
        ({"timeout": "2"}, "not '2'"),
        ({"timeout": True}, "not True"),
        ({"timeout": math.nan}, "not nan"),
        ({"timeout": math.inf}, "not inf"),
        ({"timeout": [1]}, "not [1]"),
        ({"defer_net_actions": 1}, "defer_net_actions must be True or False, not 1"),
        ({"defer_net_actions": None}, "not None"),
        ({"defer_net_actions": True, "timeout": 0}, "timeout must be"),
    ],
)
def test_a_bad_option_is_refused(options: dict[str, Any], words: str) -> None:
    """Unknown names with the nearest, bad values with what is allowed; the config stays as it was."""
    config = NodeConfig(timeout=2.5)
    with pytest.raises(ConfigError) as refused:
        config.merged(**options)
    assert words in str(refused.value)
    assert refused.value.what == str(refused.value)
    assert config == NodeConfig(timeout=2.5)


def test_a_config_can_be_pickled_and_printed() -> None:
    """It goes to workers one day."""
    config = NodeConfig(timeout=2.5, defer_net_actions=True)
    assert pickle.loads(pickle.dumps(config)) == config
    assert "timeout=2.5" in repr(config)
