"""A net that was saved, carried to another process and loaded goes on as if nothing had happened."""

import os
import pickle
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, event, given, settings
from hypothesis import strategies as st

from netrun import CheckpointMismatch, ConfigError, EpochLimitReached, Graph, Net
from netrun import node as node_of_function
from tests.carriers import CARRIERS, PLACES, Plan, Token, net_on, place_on, plans
from tests.carriers import set_up as set_up_node
from tests.nets import environment
from tests.saved import functions_of, outcome, set_up
from tests.test_routing_equals_netsim import can_run, graphs


class Elsewhere:
    """Another process, that loads checkpoints and runs them."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.saved"]
        here = Path(__file__).resolve().parents[1]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(), cwd=here
        )

    def go_on(self, path: str, **options: Any) -> dict[str, Any]:
        """What comes of a checkpoint there."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b64encode(pickle.dumps((path, options))).decode() + "\n")
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


FATES = st.sampled_from(["well"] * 6 + ["once", "fail"])
GIVEN = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), FATES), min_size=1, max_size=7)
NODE_OPTIONS = st.fixed_dictionaries(
    {"retries": st.integers(0, 2), "retry_wait": st.sampled_from([0.0, 1.5])},
    optional={"max_parallel_epochs": st.just(1), "rate_limit_per_second": st.just(2.0)},
)
EXAMPLES = int(os.environ.get("CHECKPOINT_EXAMPLES", "0"))
MOST = 40  # epochs of an example


def a_net(graph: Graph, given: list[Any], node_options: dict[str, Any], **options: Any) -> Net:
    """A net with its packets."""
    net = Net(graph, on_error="continue", check=None, **options)
    inlets = [(name, port) for name, node in sorted(graph.nodes().items()) for port in sorted(node.in_ports)]
    for name, func in functions_of(graph).items():
        net.set_node_exec(name, func)
        net.set_node_config(name, defer_net_actions=True, **node_options)
    for number, (port, steps, fate) in enumerate(given):
        net.inject_packets(*inlets[port % len(inlets)], [[steps, number, fate]])
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


@settings(
    max_examples=EXAMPLES or 15, phases=[p for p in Phase if p != Phase.shrink], suppress_health_check=list(HealthCheck)
)
@given(graphs(), GIVEN, NODE_OPTIONS, st.sampled_from(["memory", "consumed", "files", "consumed files"]))
def test_whenever_it_is_stopped_it_goes_on_the_same(
    elsewhere: Elsewhere, graph: Graph, given: list[Any], node_options: dict[str, Any], storage: str
) -> None:
    """After k epochs, for every k: outputs, dead letters, logs, history, ids and order as in a run of one piece."""
    assume(can_run(graph))
    with TemporaryDirectory() as folder:
        options: dict[str, Any] = {}
        if "consumed" in storage:
            options["consumed_packet_storage"] = True
        whole = a_net(graph, given, node_options, **options)
        assume(not run_until(whole, MOST))
        expected = outcome(whole)
        is_over = False
        for k in range(1, MOST + 2):
            if is_over:
                break
            if "files" in storage:
                options["packet_storage_path"] = f"{folder}/values{k}"
            net = a_net(graph, given, node_options, **options)
            is_over = not run_until(net, k)
            before = net.poll()
            net.save_checkpoint(f"{folder}/{k}")
            assert net.poll() == before
            event("retries waiting" if before.retrying else "none waiting")
            net.start()
            assert outcome(net) == expected
            assert elsewhere.go_on(f"{folder}/{k}") == expected


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
