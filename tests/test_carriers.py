"""Whatever is done to a net, on whatever carrier: nothing is lost, nothing comes twice, and the promised order holds.

What flows is tokens. A node may let a token pass, put some together to a bundle, or take a bundle apart; so each token
that was put in is taken out, inside, or in a dead letter, once. `CARRIER_EXAMPLES=1000` makes this longer.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from netrun import NodeExecutionFailed
from tests.carriers import CARRIERS, PLACES, Plan, Token, letters, net_on, place_on, plans, set_up
from tests.nets import eventually

EXAMPLES = int(os.environ.get("CARRIER_EXAMPLES", "0"))

# -- the same everywhere -----------------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES or 12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    plans(),
    st.lists(
        st.tuples(st.integers(0, 7), st.sampled_from(["well"] * 4 + ["once", "fail", "late", "slow"])), max_size=14
    ),
    st.integers(0, 2),
)
def test_the_same_comes_out_on_every_carrier(plan: Plan, given: list[tuple[int, str]], retries: int) -> None:
    """With one epoch of a node at a time: the same outputs, and the same dead letters, in the same order."""
    results = []
    for carrier in CARRIERS:
        net = net_on(carrier, plan.graph, on_error="continue")
        for number, (name, kind) in enumerate(plan.kinds.items()):
            place = place_on(carrier, PLACES[number * 3 % len(PLACES)])
            set_up(net, name, kind, place, max_parallel_epochs=1, retries=retries, defer_net_actions=True)
        for number, (port, fate) in enumerate(given):
            inlet = plan.inlets[port % len(plan.inlets)]
            net.inject_packets(*inlet, [[Token(".".join(inlet), number, fate)]])
        net.start()
        net._ledger.check()
        out = {outlet: net.take_outputs(*outlet) for outlet in plan.outlets}
        given_up = {
            name: [list(letter.packet_values.values()) for letter in net.dead_letter_queue.get_by_node(name)]
            for name in plan.kinds
        }
        results.append((out, given_up, net.get_startable_epochs()))
    for carrier, result in zip(CARRIERS, results, strict=True):
        assert result == results[0], carrier


# -- anything in any order ---------------------------------------------------------------------------------------------

FATES = st.sampled_from(["well"] * 12 + ["fail", "once", "late", "slow", "cancel", "exit", "hang"])


class Carriers(RuleBasedStateMachine):
    """A net on a carrier, to which everything is done that may be done to one."""

    def __init__(self, carrier: str) -> None:
        super().__init__()
        self.carrier = carrier

    @initialize(
        plan=plans(),
        ordered=st.booleans(),
        on_error=st.sampled_from(["continue", "continue", "pause", "raise"]),
        dice=st.lists(st.integers(0, 2**16), min_size=4, max_size=4),
        patient=st.booleans(),
        given=st.lists(st.lists(FATES, min_size=2, max_size=8), min_size=3, max_size=3),
    )
    def make(
        self, plan: Plan, ordered: bool, on_error: str, dice: list[int], patient: bool, given: list[list[str]]
    ) -> None:
        """A net that has something to do. `ordered`: one epoch of a node at a time, and nothing that runs out of time.
        Not `patient`: it is stopped in the midst of what it does."""
        self.plan, self.is_ordered, self.is_patient = plan, ordered, patient
        self.net = net_on(self.carrier, plan.graph, on_error=on_error)
        self.in_background = False
        self.injected: Counter[tuple[str, int]] = Counter()
        self.may_vanish: set[tuple[str, int]] = set()  # they may cancel their epochs
        self.out: list[Token] = []
        self.last: dict[Any, int] = {}  # the last token that came out, by its way
        self.disturbed: set[tuple[str, int]] = set()
        self.killed = False
        for (name, kind), die in zip(plan.kinds.items(), dice, strict=False):
            defers, rest = bool(die % 3), die // 3
            options = {"defer_net_actions": defers, "retries": rest % 3 if defers else 0}
            if ordered:
                options["max_parallel_epochs"] = 1
            elif rest % 5 == 0:
                options["timeout"] = 0.15
            set_up(self.net, name, kind, place_on(self.carrier, PLACES[die % len(PLACES)]), **options)
        for number, fates in enumerate(given):
            self.inject(number, fates)

    # what is done to it

    @rule(inlet=st.integers(0, 7), fates=st.lists(FATES, min_size=2, max_size=8))
    def inject_more(self, inlet: int, fates: list[str]) -> None:
        """Put more tokens in."""
        self.inject(inlet, fates)

    def inject(self, inlet: int, fates: list[str]) -> None:
        """Put tokens in."""
        port = self.plan.inlets[inlet % len(self.plan.inlets)]
        source = ".".join(port)
        tokens = []
        for fate in fates:
            number = sum(where == source for where, _ in self.injected)
            tokens.append(Token(source, number, "slow" if fate == "hang" and self.is_ordered else fate))
            self.injected[source, number] += 1
            if fate == "cancel":
                self.may_vanish.add((source, number))
            if fate not in ("well", "slow"):
                self.disturbed.add((source, number))
        self.net.inject_packets(*port, [[token] for token in tokens])

    @rule()
    def start(self) -> None:
        """Run until nothing more can happen."""
        if not self.in_background:
            self.does(self.net.start)

    @rule()
    def step(self) -> None:
        """Run a wave."""
        if not self.in_background:
            self.does(self.net.run_step)

    @rule()
    def go_to_background(self) -> None:
        """Run in the background from now on."""
        if not self.in_background:
            self.does(lambda: self.net.start(threaded=True))
            self.in_background = True

    @rule(wait=st.booleans())
    def pause(self, wait: bool) -> None:
        """Begin nothing more."""
        self.does(lambda: self.net.pause(wait=wait))
        if wait:
            self.count()

    @rule()
    def resume(self) -> None:
        """Lift the pause."""
        self.does(self.net.resume)

    @rule(moment=st.sampled_from([0.0, 0.001, 0.01, 0.05]))
    def let_run(self, moment: float) -> None:
        """Wait a little."""
        time.sleep(moment)

    @rule()
    def settle(self) -> None:
        """Wait until nothing more can happen."""
        assert self.does(lambda: self.net.wait_until_blocked(30)) is not False
        if self.net.poll().running == 0:
            self.count()

    @rule(which=st.integers(0, 7), die=st.integers(0, 2**8), most=st.integers(1, 3))
    def set_options(self, which: int, die: int, most: int) -> None:
        """Change a node's options, and in a mixed net its place."""
        name = list(self.plan.kinds)[which % len(self.plan.kinds)]
        defers = self.net.get_node_config(name).defer_net_actions
        options = {"rate_limit_per_second": [None, 300.0, 2000.0][die % 3]}
        if not self.is_ordered:
            options["max_parallel_epochs"] = [None, most][die % 2]
            options["retry_wait"] = [0.0, 0.01, 0.1][die // 2 % 3]
        if defers:
            options["retries"] = die // 4 % 3
        place = place_on(self.carrier, PLACES[die % len(PLACES)])
        set_up(self.net, name, self.plan.kinds[name], place, **{**options, "defer_net_actions": defers})

    @rule(heal=st.booleans())
    def redrive(self, heal: bool) -> None:
        """Try dead letters again, some of them healed."""
        for letter in list(self.net.dead_letter_queue):
            values = {
                port: [[self.again(token, heal) for token in letter.packet_values[id]] for id in ids]
                for port, ids in letter.input_packets.items()
            }
            self.net.redrive(letter, values)

    def again(self, token: Token, heal: bool) -> Token:
        """A token that is put back. Its place in the order is another one."""
        self.disturbed.add(token[:2])
        return token._replace(fate="well") if heal else token

    @rule(die=st.integers(0, 7))
    def kill_a_worker(self, die: int) -> None:
        """A process of the pool ends, whatever it does."""
        if self.carrier not in ("process", "mixed"):
            return
        pids = [child.pid for child in multiprocessing.active_children() if child.name.startswith("pp-")]
        if pids:
            self.killed = True
            with suppress(ProcessLookupError):
                os.kill(pids[die % len(pids)], signal.SIGKILL)

    @rule()
    def take(self) -> None:
        """Take what came out. In order, where that is promised."""
        for outlet in self.plan.outlets:
            for bundle in self.net.take_outputs(*outlet):
                self.out += bundle
                if self.is_ordered and not self.killed and not any(token[:2] in self.disturbed for token in bundle):
                    for token in bundle:
                        way = outlet, token.source, token.way
                        assert self.last.get(way, -1) < token.number, (outlet, bundle)
                        self.last[way] = token.number

    # what must hold

    def does(self, verb: Callable[[], Any]) -> Any:
        """Do it. That an epoch was given up is no error here."""
        try:
            return verb()
        except NodeExecutionFailed:
            return None

    @invariant()
    def in_the_foreground_it_is_at_rest(self) -> None:
        """So it can be looked at."""
        if hasattr(self, "net") and not self.in_background:
            self.count()

    def count(self) -> None:
        """Each token is out, inside or in a dead letter, once."""
        self.net._ledger.check()
        store = self.net.value_store
        inside = [token for id in store.ids() for token in store.get_value(id)]
        found = Counter(token[:2] for token in [*self.out, *inside, *letters(self.net)])
        assert found <= self.injected, f"more than once: {found - self.injected}"
        lost = {token for token in self.injected if token not in found}
        assert lost <= self.may_vanish, f"lost: {lost - self.may_vanish}"

    def finish(self) -> None:
        """Let it come to its end, whatever pauses it."""
        for _ in range(100):
            self.resume()
            if not self.in_background:
                self.does(self.net.start)
            self.settle()
            if self.net.poll().blocked and self.net.poll().paused_by is None:
                break
        status = self.net.poll()
        assert (status.running, status.startable, status.retrying) == (0, 0, 0)

    def teardown(self) -> None:
        """At the end everything comes to an end, and nobody is left."""
        if not hasattr(self, "net"):
            return
        if self.is_patient:
            self.finish()
        else:
            self.resume()
            self.go_to_background()
            self.inject(0, ["slow", "once", "slow", "well", "once", "slow"])
            time.sleep(0.005)
        self.does(self.net.stop)
        self.take()
        self.count()
        assert [self.net.get_running_epochs_count(name) for name in self.plan.kinds] == [0] * len(self.plan.kinds)
        eventually(lambda: not [child for child in multiprocessing.active_children() if child.name.startswith("pp-")])
        names = "netrun pt", "netrun pp", "netrun pe"
        eventually(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith(names)])


@pytest.mark.parametrize("carrier", CARRIERS)
def test_nothing_is_lost(carrier: str) -> None:
    """Not a token, whatever is done in whatever order."""
    some = settings(
        max_examples=EXAMPLES or 8, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(lambda: Carriers(carrier), settings=some)
