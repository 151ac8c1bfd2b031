"""A net that was saved, carried to another process and loaded goes on as if nothing had happened."""

import os
import pickle
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, assume, event, given, settings
from hypothesis import strategies as st

from netrun import (
    CheckpointError,
    CheckpointMismatch,
    ConfigError,
    EpochLimitReached,
    Graph,
    Net,
    NetNotPausedError,
    NetStateError,
)
from netrun import node as node_of_function
from netrun.states import Snapshot
from tests.carriers import CARRIERS, PLACES, Plan, Token, net_on, place_on, plans
from tests.carriers import set_up as set_up_node
from tests.graphs import at_least, edge, entry
from tests.nets import JumpingClock, chain, environment, join, maps, node
from tests.saved import outcome, set_up
from tests.test_routing_equals_netsim import can_run, graphs


class Elsewhere:
    """Another process, that loads checkpoints and runs them."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.saved"]
        here = Path(__file__).resolve().parents[1]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(), cwd=here
        )

    def go_on(self, path: str, at: float = 0.0, room: int = 1024, **options: Any) -> dict[str, Any]:
        """What comes of a checkpoint there, at a moment of the net's clock."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b64encode(pickle.dumps((path, at, room, options))).decode() + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = pickle.loads(b64decode(self.process.stdout.readline()))
        return answer


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    """One for all tests."""
    there = Elsewhere()
    yield there
    assert there.process.stdin is not None
    assert there.process.stdout is not None
    there.process.stdin.close()
    there.process.stdout.close()
    assert there.process.wait(30) == 0


FATES = st.sampled_from(["well"] * 4 + ["once", "once", "fail"])
GIVEN = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), FATES), min_size=4, max_size=12)
LATE = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), FATES), max_size=3)
NODE_OPTIONS = st.fixed_dictionaries(
    {"retries": st.integers(0, 2), "retry_wait": st.sampled_from([0.0, 1.5])},
    optional={"max_parallel_epochs": st.just(1), "rate_limit_per_second": st.just(2.0)},
)
EXAMPLES = int(os.environ.get("CHECKPOINT_EXAMPLES", "0"))
MOST = 40  # epochs of an example


def put_in(net: Net, given: list[Any]) -> None:
    """Inject values at ports by their number."""
    graph = net.graph
    inlets = [(name, port) for name, node in sorted(graph.nodes().items()) for port in sorted(node.in_ports)]
    for number, (port, steps, fate) in enumerate(given):
        net.inject_packets(*inlets[port % len(inlets)], [[steps, number, fate]])


def a_net(graph: Graph, given: list[Any], node_options: dict[str, Any], typed: int = -1, **options: Any) -> Net:
    """A net with its packets. `typed`: the number of an input port that takes numbers only."""
    net = Net(graph, on_error="continue", check=None, **options)
    for name in graph.nodes():
        net.set_node_config(name, defer_net_actions=True, **node_options)
    inlets = [(name, port) for name, node in sorted(graph.nodes().items()) for port in sorted(node.in_ports)]
    if typed >= 0:
        net.set_input_port_type(*inlets[typed % len(inlets)], int)
    put_in(net, given)
    set_up(net)
    return net


def run_until(net: Net, most: int) -> bool:
    """Start up to so many epochs. Whether there would have been more."""
    net._engine.max_epochs = most
    try:
        net.start()
    except EpochLimitReached:
        return True
    finally:
        net._engine.max_epochs = None
    return False


def has_in_it(net: Net) -> list[str]:
    """What there is in a net that is saved, in words."""
    state = Snapshot(net).state
    there = {
        **{name: state[name] for name in ("ready", "behind", "injected", "retries")},
        **{name: [name for door in state["doors"].values() if door[name]] for name in ("inbox", "lines", "shelf")},
        "letters": list(net.dead_letter_queue),
        "outlets": [door["outlets"] for door in state["doors"].values() if door["outlets"]],
        "pace": [name for name, node in state["nodes"].items() if node["began"]],
    }
    return [name for name, some in there.items() if some]


@settings(
    max_examples=EXAMPLES or 20, phases=[p for p in Phase if p != Phase.shrink], suppress_health_check=list(HealthCheck)
)
@given(
    graphs(),
    GIVEN,
    LATE,
    NODE_OPTIONS,
    st.sampled_from(["memory", "consumed", "files", "consumed files"]),
    st.sampled_from([2, 4, 1024]),
    st.sampled_from([-1, -1, 0, 1]),
)
def test_whenever_it_is_stopped_it_goes_on_the_same(
    elsewhere: Elsewhere,
    graph: Graph,
    given: list[Any],
    late: list[Any],
    node_options: dict[str, Any],
    storage: str,
    room: int,
    typed: int,
) -> None:
    """After k epochs, for every k, and with more put in then: outputs, letters, logs, times, history, ids and order as
    without the checkpoint, and where nothing was put in as in a run of one piece."""
    assume(can_run(graph))
    with TemporaryDirectory() as folder, patch("netrun.books.READY_LIMIT", room):
        options: dict[str, Any] = {}
        if "consumed" in storage:
            options["consumed_packet_storage"] = True
        whole = a_net(graph, given, node_options, typed, **options)
        assume(not run_until(whole, MOST))
        expected = outcome(whole)
        is_over = False
        for k in range(1, MOST + 2):
            if is_over:
                break
            if "files" in storage:
                options["packet_storage_path"] = f"{folder}/values{k}"
            net = a_net(graph, given, node_options, typed, **options)
            is_over = not run_until(net, k)
            put_in(net, late)
            before = net.poll()
            net.save_checkpoint(f"{folder}/{k}")
            assert net.poll() == before
            for what in has_in_it(net):
                event(what)
            at = net._driver.clock.now()
            net.start()
            here = outcome(net)
            assert elsewhere.go_on(f"{folder}/{k}", at, room) == here
            if not late:
                assert {**here, "closes": 1} == expected


def test_a_net_that_has_everything(elsewhere: Elsewhere, tmp_path: Path) -> None:
    """Piles, inboxes, lines, shelves, retries, letters, injected values, types, paces: all at once."""
    pairs = {"two": entry({"in": 2}, at_least("in", 2))}
    nodes = [
        node("A", ["in"], ["out", "on"]),
        node("B", ["in"], ["out"], slots={"in": 2}),
        node("C", ["in"], ["out"], slots={"in": 3}, entries=pairs),
        node("D", ["in"]),
    ]
    graph = Graph(nodes, [edge("A.out", "B.in"), edge("A.on", "C.in"), edge("B.out", "D.in")])
    with patch("netrun.books.READY_LIMIT", 3):
        net = a_net(graph, [], {"retries": 2, "retry_wait": 1.5})
        net.set_node_config("B", rate_limit_per_second=2.0)
        net.set_input_port_type("D", "in", int)
        fates = ["well", "once", "fail", "well"]
        given = [[2, number, fates[number % 4]] for number in range(24)]
        net.inject_packets("A", "in", given)
        net.inject_packets("C", "in", given[:7])
        seen: set[str] = set()
        saved = []
        for k in range(12):
            run_until(net, 7)
            net.inject_packets("BC"[k % 2], "in", given[k : k + 2])
            seen |= set(has_in_it(net))
            net.save_checkpoint(tmp_path / str(k))
            saved.append((k, net._driver.clock.now()))
        net.start()
        expected = outcome(net)
    assert seen >= {"ready", "behind", "injected", "retries", "inbox", "lines", "shelf", "letters", "outlets", "pace"}
    assert any("but D.in takes" in str(letter[2]) or letter[0] == "D" for letter in expected["letters"])
    last, at = saved[-1]
    assert elsewhere.go_on(str(tmp_path / str(last)), at, 3) == expected


def test_a_pile_of_startable_epochs_keeps_its_order(tmp_path: Path) -> None:
    """More than a queue takes: what waits at the doors comes in the same order as without the checkpoint."""
    pairs = {"two": entry({"in": 2}, at_least("in", 2))}
    nodes = [
        node("A", ["in"], ["out", "on"]),
        node("B", ["in"], ["out"], slots={"in": 3}),
        node("C", ["in"], ["out"], slots={"in": 2}, entries=pairs),
        join("J", ["x", "y"]),
    ]
    ends = [("A.out", "B.in"), ("A.on", "C.in"), ("B.out", "J.x"), ("C.out", "J.y")]
    graph = Graph(nodes, [edge(*pair) for pair in ends])

    def made(order: list[Any], path: Path | None = None) -> Net:
        def spread(ctx: Any, packets: Any) -> None:
            for number in range(ctx.consume_packet(packets["in"][0])):
                ctx.send("out", number)
                ctx.send("on", number)

        def passes(ctx: Any, packets: Any) -> None:
            values = [ctx.consume_packet(packet) for arrived in packets.values() for packet in arrived]
            order.append((ctx.node_name, values))
            if ctx.node_name != "J":
                ctx.send("out", values)

        functions = {"A": spread, "B": passes, "C": passes, "J": passes}
        net = Net(graph) if path is None else Net.load_checkpoint(path, resolve=False)
        for name, func in functions.items():
            net.set_node_exec(name, func)
        if path is None:
            net.inject_packets("A", "in", [1500, 5, 1000])
            net.inject_packets("B", "in", [-1] * 1200)
        return net

    whole: list[Any] = []
    made(whole).start()
    for stops in ([1], [200, 1], [1000, 1, 700], [2, 1, 700, 2]):
        order: list[Any] = []
        net = made(order)
        for stop in stops:
            assert run_until(net, stop)
            net.save_checkpoint(tmp_path / "run")
            net = made(order, tmp_path / "run")
        net.start()
        assert order == whole


def test_what_a_retry_is_told_of_its_packets(tmp_path: Path) -> None:
    """By which wire a packet came is known after a checkpoint, too."""

    def told(through: bool) -> str:
        def consumes(ctx: Any, packets: Any) -> None:
            if ctx.retry_count == 0:
                raise OSError("not yet")
            ctx.consume_packet(packets["in"][0])

        net = Net(chain("A", "B"), on_error="continue")
        net.set_node_exec("A", maps(str))
        net.set_node_exec("B", consumes)
        net.set_node_config("B", retries=1, retry_wait=1000, defer_net_actions=True)
        net.set_input_port_type("B", "in", int)
        clock = net._driver.clock = JumpingClock(before_jump=net.pause)
        net.inject_packets("A", "in", [1])
        net.start()
        if through:
            net.save_checkpoint(tmp_path / "run")
            net = Net.load_checkpoint(tmp_path / "run", resolve=False)
            net.set_node_exec("B", consumes)
        net._driver.clock = JumpingClock()
        net._driver.clock.time = clock.time if not through else 0.0
        net.start()
        (letter,) = net.dead_letter_queue
        return str(letter.exception).replace(net._ledger.suffix, "")

    assert "came from A.out" in told(through=False)
    assert told(through=True) == told(through=False)


def test_what_runs_is_not_saved(tmp_path: Path) -> None:
    """Where a node is at work, in the background or asks for it itself, nothing is written."""
    asked: list[type] = []

    def save(value: int) -> int:
        net.pause()
        try:
            net.save_checkpoint(tmp_path / "run")
        except NetNotPausedError as error:
            asked.append(type(error))
        return value

    net = Net(chain("A"))
    net.set_node_exec("A", maps(save))
    net.inject_packets("A", "in", [1])
    net.start()
    assert asked == [NetNotPausedError]
    assert os.listdir(tmp_path) == []


# -- on every carrier --------------------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES or 4, suppress_health_check=list(HealthCheck))
@given(
    plans(),
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["well"] * 4 + ["once", "fail", "late"])), max_size=10),
    st.integers(1, 6),
)
def test_on_every_carrier_nothing_is_lost_and_order_is_kept(plan: Plan, given: list[tuple[int, str]], k: int) -> None:
    """Stopped after about k epochs at a time, saved and loaded again and again: as inline, in one piece."""
    results = []
    for carrier in ["inline", *CARRIERS]:
        with TemporaryDirectory() as folder:
            net = on_carrier(carrier, plan)
            for number, (port, fate) in enumerate(given):
                inlet = plan.inlets[port % len(plan.inlets)]
                net.inject_packets(*inlet, [[Token(".".join(inlet), number, fate)]])
            while run_until(net, k if results else 10_000):
                net.save_checkpoint(f"{folder}/saved")
                net.stop()
                net = on_carrier(carrier, plan, f"{folder}/saved")
                net._ledger.check()
            net._ledger.check()
            out = {outlet: net.take_outputs(*outlet) for outlet in plan.outlets}
            given_up = {
                name: [list(letter.packet_values.values()) for letter in net.dead_letter_queue.get_by_node(name)]
                for name in plan.kinds
            }
            results.append((out, given_up, net.get_startable_epochs()))
            net.stop()
    for carrier, result in zip(["inline", *CARRIERS], results, strict=True):
        assert result == results[0], carrier


def on_carrier(carrier: str, plan: Plan, path: str | None = None) -> Net:
    """A net, new or from a checkpoint."""
    net = net_on(carrier, plan.graph, on_error="continue") if path is None else None
    if net is None:
        pools = net_on(carrier, plan.graph)._config.executor_pools
        net = Net.load_checkpoint(path, resolve=False, executor_pools=pools)  # type: ignore[arg-type]
    for number, (name, kind) in enumerate(plan.kinds.items()):
        place = place_on(carrier, PLACES[number * 3 % len(PLACES)])
        set_up_node(net, name, kind, place, max_parallel_epochs=1, retries=1, defer_net_actions=True)
    return net


def test_a_flow_gives_its_functions(tmp_path: Path) -> None:
    """Those of a script or a notebook have no import path."""
    factor = 3

    def made(name: str = "x") -> Any:
        @node_of_function
        def scale(x: int) -> int:
            return factor * x

        @node_of_function(retries=1)
        def tell(x: int) -> str:
            return str(x)

        return scale >> tell.named(name)

    net = Net(made())
    net.set_node_config("scale", max_parallel_epochs=2)
    net.inject_packets("scale", "x", [1, 2])
    net.pause(wait=True)
    net.save_checkpoint(tmp_path / "run")
    factor = 5
    again = Net.load_checkpoint(tmp_path / "run", made())
    assert again.run() == {"x.out": ["5", "10"]}
    assert again.get_node_config("scale").max_parallel_epochs == 2
    assert (again.get_node_config("x").retries, again.get_input_port_type("scale", "x")) == (1, int)
    with pytest.raises(CheckpointMismatch, match="'x' is in the checkpoint only"):
        Net.load_checkpoint(tmp_path / "run", made("y"))
    with pytest.raises(ConfigError, match="a net is made of a Graph, a Flow or a node"):
        Net.load_checkpoint(tmp_path / "run", 3)  # type: ignore[arg-type]
    again.pause(wait=True)
    again.save_checkpoint(tmp_path / "again")
    third = Net.load_checkpoint(tmp_path / "again", made())
    third.inject_packets("scale", "x", [2])
    assert third.run() == {"x.out": ["10"]}


# -- what goes along, and what does not --------------------------------------------------------------------------------


def test_a_net_of_the_scripts_own_nodes_can_be_looked_at(tmp_path: Path) -> None:
    """The ports that no factory can tell any more are in the checkpoint; functions are given as nodes, or plainly."""

    @node_of_function(retries=2)
    def scale(x: int) -> int:
        return 3 * x

    net = Net(scale)
    net.inject_packets("scale", "x", [1, 2])
    net.pause()
    net.save_checkpoint(tmp_path / "run")
    for options in ({}, {"resolve": False}, {"graph": net.graph}):
        look = Net.load_checkpoint(tmp_path / "run", **options)  # type: ignore[arg-type]
        look.run_step(start_epochs=False)
        assert len(look.get_startable_epochs()) == 2
        assert (look.get_input_port_type("scale", "x"), look.get_node_config("scale").retries) == (int, 2)
        assert look.start() is None
    again = Net.load_checkpoint(tmp_path / "run", functions={"scale": scale})
    assert again.run() == {"scale.out": [3, 6]}
    plain = {"scale": lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["x"][0]))}
    assert Net.load_checkpoint(tmp_path / "run", functions=plain).run() == {"scale.out": [1, 2]}
    with pytest.raises(ConfigError, match="there are 5"):
        Net.load_checkpoint(tmp_path / "run", functions={"scale": (None,) * 5})


def test_options_without_a_path(tmp_path: Path) -> None:
    """Exceptions to retry on go along; what was a function is told, unless it is given again."""

    class Local(Exception):
        pass

    net = Net(chain("A"), on_error="continue", error_callback=lambda *told: None, meta={"pair": (1, 2)})
    net.set_node_config("A", retries=3, retry_on=Local, defer_net_actions=True)
    net.pause()
    net.save_checkpoint(tmp_path / "run")
    with pytest.warns(RuntimeWarning, match="could not hold net.error_callback"):
        again = Net.load_checkpoint(tmp_path / "run", resolve=False)
    assert again.get_node_config("A").retry_on == (Local,)
    assert again.meta == {"pair": (1, 2)}
    Net.load_checkpoint(tmp_path / "run", resolve=False, error_callback=None)


class Boom:
    """Can be pickled, and not unpickled."""

    def __reduce__(self) -> Any:
        return int, ("x",)


@pytest.mark.parametrize("files", [False, True])
def test_what_cannot_be_unpickled_changes_no_net(tmp_path: Path, files: bool) -> None:
    """It is found before anything is put into the net."""
    options: dict[str, Any] = {"packet_storage_path": tmp_path / "values"} if files else {}
    net = Net(chain("A"), **options)
    net.inject_packets("A", "in", [1, Boom()])
    net.pause()
    net.save_checkpoint(tmp_path / "run")
    again = Net(chain("A"), checkpoint_path=tmp_path / "run")
    for _ in range(2):
        with pytest.raises(CheckpointError, match="invalid literal"):
            again.start(resume=True)
    assert again._ledger.next_numbers() == (1, 1)
    again._ledger.check()


def test_what_cannot_be_pickled_is_told_with_a_remedy(tmp_path: Path) -> None:
    """A packet, or what was consumed and is kept; a dead letter is saved without it."""
    lock = threading.Lock()
    net = Net(chain("A"), consumed_packet_storage=True, on_error="continue")
    net.set_node_exec("A", lambda ctx, packets: ctx.consume_packet(packets["in"][0]))
    (id,) = net.inject_packets("A", "in", [lock])
    net.start()
    with pytest.raises(CheckpointError, match=rf"value_store.remove\('{id}'\)"):
        net.save_checkpoint(tmp_path / "run")
    net.value_store.remove(id)
    net.save_checkpoint(tmp_path / "run")
    net.set_node_exec("A", maps(lambda value: 1 / 0))
    net.inject_packets("A", "in", [lock])
    net.start()
    net.value_store.remove(next(iter(net.value_store.consumed())))
    with pytest.warns(RuntimeWarning, match="a lock, cannot be pickled"):
        net.save_checkpoint(tmp_path / "run")
    (letter,) = net.dead_letter_queue
    assert f"dead_letters.{letter.epoch_id}" in (tmp_path / "run" / "manifest.json").read_text()
    again = Net.load_checkpoint(tmp_path / "run", resolve=False)
    (letter,) = again.dead_letter_queue
    with pytest.raises(NetStateError, match="give it with values="):
        again.redrive(letter)
    assert len(again.redrive(letter, {"in": [1]})) == 1


def test_a_look_changes_no_files_of_the_net_that_runs(tmp_path: Path) -> None:
    """Values and letters in files, that came after the checkpoint; who goes on from there has them as they were."""
    net = Net(chain("A"), packet_storage_path=tmp_path / "values", dead_letter_queue="file",
              dead_letter_path=tmp_path / "letters", on_error="continue")  # fmt: skip
    net.set_node_exec("A", maps(lambda value: 1 / value))
    net.inject_packets("A", "in", [0, 1])
    net.pause()
    net.save_checkpoint(tmp_path / "run")
    net.start()
    net.inject_packets("A", "in", [2, 4])

    def on_disk() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}

    before = on_disk()
    look = Net.load_checkpoint(tmp_path / "run", resolve=False)
    assert len(look.dead_letter_queue) == 0
    assert {path: content for path, content in on_disk().items() if path in before} == before
    net.start()
    assert net.take_outputs("A", "out") == [1, 0.5, 0.25]
    net.stop()
    look.set_node_exec("A", maps(lambda value: value))
    look.start()
    look._ledger.check()
    assert look.take_outputs("A", "out") == [0, 1]
    assert list((tmp_path / "values").iterdir()) == []
    assert (tmp_path / "letters").read_bytes() == b""


def test_classes_of_the_script_are_the_scripts_again(tmp_path: Path) -> None:
    """In packets, files, dead letters and retries; nested ones, too. Where there is no such class, it went along."""
    code = f"""
import sys
from dataclasses import dataclass
from enum import Enum
from netrun import Net
from tests.nets import chain, maps
if {{has}}:
    @dataclass
    class Order:
        number: int
        class Kind(Enum):
            NEW = 1
    class Bad(Exception):
        pass
def values(net):
    found = [net.value_store.get_value(packet.id) for packet in net._ledger._packets.values()]
    for letter in net.dead_letter_queue:
        found += [letter.exception, *letter.packet_values.values()]
    return found
if sys.argv[1:] == ["save"]:
    for storage in ("memory", "files"):
        options = {{{{"packet_storage_path": {str(tmp_path / "values")!r}}}}} if storage == "files" else {{{{}}}}
        net = Net(chain("A"), on_error="continue", **options)
        def fail(value):
            raise Bad(value.number)
        net.set_node_exec("A", maps(fail))
        net.inject_packets("A", "in", [Order(3)])
        net.start()
        net.inject_packets("A", "in", [Order(1), Order.Kind.NEW, [Order(2)]])
        net.save_checkpoint({str(tmp_path)!r} + "/" + storage)
        net.stop()
for storage in ("memory", "files"):
    net = Net.load_checkpoint({str(tmp_path)!r} + "/" + storage, resolve=False)
    one, kind, (other,), bad, lost = values(net)
    if {{has}}:
        assert (one, kind, other, lost) == (Order(1), Order.Kind.NEW, Order(2), Order(3))
        assert type(bad) is Bad and type(one) is Order
    assert one.number == 1 and kind.name == "NEW" and other.number == 2 and lost.number == 3 and bad.args == (3,)
print("well")
"""
    script = tmp_path / "script.py"
    for has, mode in ((True, "save"), (True, "load"), (False, "load")):
        script.write_text(code.format(has=has))
        here = Path(__file__).resolve().parents[1]
        ran = subprocess.run(
            [sys.executable, script, mode], env=environment(measured=False), cwd=here, capture_output=True, text=True
        )
        assert ran.stdout == "well\n", ran.stderr
