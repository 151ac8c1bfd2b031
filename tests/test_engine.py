"""The engine alone: outcomes told by hand, time turned by hand, no threads."""

from datetime import UTC, datetime, timedelta
from itertools import product
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netrun import EpochCancelled, EpochState, EpochTimeout, Graph, NetStateError, NodeConfig, PacketValueStore
from netrun.execution import Attempt, Ending, Engine, Outcome, Task, Verdict, outcome_of, verdict
from netrun.ledger import Ledger
from tests.nets import chain, contained, node

AT = datetime(2026, 1, 1, tzinfo=UTC)


def engine_of(*names, judge=None, **options):
    """An engine over nodes with an input `in` and an output `out`; every attempt is recorded unless said otherwise."""
    options = {"defer_net_actions": True, **options}
    ledger = Ledger(Graph([node(name, ["in"], ["out"]) for name in names], []), PacketValueStore())
    engine = Engine(ledger, {name: Task(name, NodeConfig(**options), exec_node_func=print) for name in names})
    engine.judge = judge
    heard = []
    engine.observe = lambda attempt, sentence, ending, error: heard.append((Outcome(attempt, ending, error), sentence))
    return ledger, engine, heard


def acts_of(engine, attempt):
    return engine.ledger if attempt.recording is None else attempt.recording


def consume_all(engine, attempt):
    """What the node function would do: consume its input. Returns the values."""
    return [acts_of(engine, attempt).consume(attempt, packet) for packet in attempt.epoch._entered]


def tell(engine, attempt, error=None, now=0.0, at=AT):
    """Tell the engine how an attempt ended."""
    outcome = Outcome(attempt, Ending.FINISHED) if error is None else outcome_of(attempt, error)
    failed = engine.conclude(outcome)
    return Verdict.COMMIT if failed is None else engine.settle(failed, now, at)


def begin_all(engine, now=0.0):
    attempts = []
    while (attempt := engine.begin(now)) is not None:
        attempts.append(attempt)
    return attempts


# the verdict

TABLE = [  # ending, acted, another attempt after, verdict
    (Ending.FINISHED, False, None, Verdict.COMMIT),
    (Ending.FINISHED, False, 2.5, Verdict.COMMIT),
    (Ending.FINISHED, True, None, Verdict.COMMIT),
    (Ending.FINISHED, True, 2.5, Verdict.COMMIT),
    (Ending.FAILED, False, None, Verdict.GIVE_UP),
    (Ending.FAILED, False, 0.0, Verdict.RETRY),
    (Ending.FAILED, False, 2.5, Verdict.RETRY),
    (Ending.FAILED, True, None, Verdict.GIVE_UP),
    (Ending.FAILED, True, 2.5, Verdict.RETRY),
    (Ending.TIMED_OUT, False, None, Verdict.GIVE_UP),
    (Ending.TIMED_OUT, False, 0.0, Verdict.RETRY),
    (Ending.TIMED_OUT, False, 2.5, Verdict.RETRY),
    (Ending.TIMED_OUT, True, None, Verdict.GIVE_UP),
    (Ending.TIMED_OUT, True, 2.5, Verdict.RETRY),
    (Ending.CANCELLED, False, None, Verdict.CANCEL),
    (Ending.CANCELLED, False, 2.5, Verdict.CANCEL),
    (Ending.CANCELLED, True, None, Verdict.CANCEL),
    (Ending.CANCELLED, True, 2.5, Verdict.CANCEL),
    (Ending.INTERRUPTED, False, None, Verdict.GIVE_BACK),
    (Ending.INTERRUPTED, False, 2.5, Verdict.GIVE_BACK),
    (Ending.INTERRUPTED, True, None, Verdict.CANCEL),
    (Ending.INTERRUPTED, True, 2.5, Verdict.CANCEL),
]


@pytest.mark.parametrize(("ending", "acted", "after", "expected"), TABLE)
def test_the_verdict_of_every_case(ending, acted, after, expected):
    """The whole table."""
    assert verdict(ending, acted=acted, retry_after=after) is expected


def test_the_table_is_complete():
    """An ending that is new must be added to it."""
    cases = {(ending, acted, after is None) for ending, acted, after, _ in TABLE}
    assert cases == set(product(Ending, (False, True), (False, True)))


def test_which_exception_ends_an_attempt_how():
    """Only the own epoch's cancellation is one; only two exceptions interrupt."""
    _, engine, _ = engine_of("A")
    engine.ledger.inject("A", "in", [1])
    attempt = engine.begin(0)
    own, other = EpochCancelled("A", attempt.epoch.id), EpochCancelled("A", "e99-x")
    cases = {own: Ending.CANCELLED, other: Ending.FAILED, KeyboardInterrupt(): Ending.INTERRUPTED}
    cases |= {SystemExit(3): Ending.INTERRUPTED, GeneratorExit(): Ending.FAILED, ValueError(): Ending.FAILED}
    for error, ending in cases.items():
        outcome = outcome_of(attempt, error)
        assert (outcome.ending, outcome.error, outcome.attempt) == (ending, error, attempt)


# outcomes in any order


def test_outcomes_may_come_in_any_order():
    """Three attempts run; the last is the first to end."""
    ledger, engine, heard = engine_of("A")
    ledger.inject("A", "in", "abc")
    attempts = begin_all(engine)
    assert [attempt.epoch._entered[0].id.split("-")[0] for attempt in attempts] == ["p1", "p2", "p3"]
    assert ledger.doors["A"].live == 3
    for attempt in reversed(attempts):
        (value,) = consume_all(engine, attempt)
        attempt.recording.send_value(attempt, "out", value.upper())
        assert tell(engine, attempt) is Verdict.COMMIT
        ledger.check()
    assert ledger.take_outputs("A", "out") == ["C", "B", "A"]
    assert [(outcome.attempt, sentence) for outcome, sentence in heard] == [
        (attempt, Verdict.COMMIT) for attempt in reversed(attempts)
    ]
    assert not engine.running


def test_failures_that_come_together_leave_as_one():
    """The first, in the order in which they were told, has the others; then there are none left."""
    ledger, engine, heard = engine_of("A", "B")
    ledger.inject("A", "in", [1, 2])
    ledger.inject("B", "in", [3])
    first, second, third = begin_all(engine)
    for attempt, error in [(third, LookupError("b")), (first, ValueError("a1")), (second, OSError("a2"))]:
        assert tell(engine, attempt, error) is Verdict.GIVE_UP
    assert engine.paused_by == "error"
    failure = engine.take_failures()
    assert (failure.node_name, failure.epoch_id, failure.attempts) == ("B", third.epoch.id, 1)
    assert failure.original_exception is failure.__cause__
    assert [repr(other.original_exception) for other in failure.others] == ["ValueError('a1')", "OSError('a2')"]
    assert "2 more epochs failed meanwhile" in str(failure)
    assert engine.take_failures() is None
    assert [sentence for _, sentence in heard] == [Verdict.GIVE_UP] * 3
    assert ledger._packets == {}
    assert len(ledger.values) == 0
    ledger.check()


def test_an_attempt_that_leaves_packets_fails_when_it_finishes():
    """Finished, says the carrier; the ledger says what was forgotten."""
    for deferred in (False, True):
        ledger, engine, heard = engine_of("A", defer_net_actions=deferred)
        (id,) = ledger.inject("A", "in", [1])
        attempt = engine.begin(0)
        assert tell(engine, attempt) is Verdict.GIVE_UP
        failure = engine.take_failures()
        assert id in str(failure) or deferred
        assert "A" in str(failure)
        assert [(outcome.ending, sentence) for outcome, sentence in heard] == [(Ending.FAILED, Verdict.GIVE_UP)]
        ledger.check()


# retries


def test_a_failed_attempt_is_made_again_when_the_judge_says_so():
    """After the named time, on the same epoch, with the record of what failed before."""
    ledger, engine, heard = engine_of("A", judge=lambda outcome: 2.0 if len(outcome.attempt.earlier) < 2 else None)
    ledger.inject("A", "in", ["v"])
    errors = [ValueError("one"), OSError("two"), KeyError("three")]
    attempt = engine.begin(0)
    epoch = attempt.epoch
    now, stamps = 0.0, []
    for number, error in enumerate(errors[:2]):
        assert consume_all(engine, attempt) == ["v"]
        attempt.recording.send_value(attempt, "out", "half done")
        before = set(ledger._packets)
        stamps.append(AT + timedelta(seconds=number))
        assert tell(engine, attempt, error, now, stamps[-1]) is Verdict.RETRY
        assert set(ledger._packets) == before, "something of a failed attempt is in the net"
        assert (len(engine.running), engine.deadline(), engine.paused_by) == (0, now + 2.0, None)
        assert engine.begin(now + 1.999) is None
        now += 2.0
        last, attempt = attempt, engine.begin(now)
        assert attempt is not last
        assert attempt.epoch is epoch
        assert list(attempt.earlier) == list(zip(stamps, errors, strict=False))[: number + 1]
        with pytest.raises(NetStateError, match="its attempt has ended"):
            last.recording.create(last, 1)
        ledger.check()
    assert tell(engine, attempt, errors[2], now) is Verdict.GIVE_UP
    assert engine.take_failures().attempts == 3
    assert [sentence for _, sentence in heard] == [Verdict.RETRY, Verdict.RETRY, Verdict.GIVE_UP]
    assert (ledger._packets, len(ledger.values), engine.deadline()) == ({}, 0, None)


def test_a_waiting_retry_holds_nobody_up():
    """Other epochs, of the same node too, run meanwhile."""
    ledger, engine, _ = engine_of("A", "B", judge=lambda outcome: 10.0)
    ledger.inject("A", "in", [1, 2])
    ledger.inject("B", "in", [3])
    first = engine.begin(0)
    assert tell(engine, first, ValueError()) is Verdict.RETRY
    others = begin_all(engine)
    assert [attempt.task.node_name for attempt in others] == ["A", "B"]
    for attempt in others:
        consume_all(engine, attempt)
        assert tell(engine, attempt) is Verdict.COMMIT
    assert engine.deadline() == 10.0
    again = engine.begin(10.0)
    assert again.epoch is first.epoch
    consume_all(engine, again)
    assert tell(engine, again, now=10.0) is Verdict.COMMIT
    ledger.check()


def test_retries_come_when_they_are_due_and_in_turn_when_together():
    """Earliest first; ties in the order in which they failed; before new epochs."""
    waits = iter([5.0, 3.0, 3.0])
    ledger, engine, _ = engine_of("A", judge=lambda outcome: next(waits))
    ledger.inject("A", "in", [0, 1, 2])
    attempts = begin_all(engine)
    for attempt in attempts:
        tell(engine, attempt, ValueError())
    assert engine.deadline() == 3.0
    ledger.inject("A", "in", [3])
    order = [attempt.epoch for attempt in begin_all(engine, 5.0)]
    assert order[:3] == [attempts[1].epoch, attempts[2].epoch, attempts[0].epoch]
    assert len(order) == 4


def test_each_attempt_calls_the_value_function_anew():
    """Nothing of the first attempt is reused."""
    calls = []

    def make():
        calls.append(None)
        return len(calls)

    ledger = Ledger(chain("A", "B"), PacketValueStore())
    config = NodeConfig(defer_net_actions=True)
    engine = Engine(ledger, {name: Task(name, config, exec_node_func=print) for name in "AB"})
    engine.judge = lambda outcome: 0.0
    ledger.inject("A", "in", [1])
    source = engine.begin(0)
    consume_all(engine, source)
    lazy = source.recording.create(source, func=make)
    source.recording.load(source, "out", lazy)
    source.recording.send(source, "out")
    tell(engine, source)
    for number in (1, 2):
        attempt = engine.begin(0)
        assert attempt.task.node_name == "B"
        assert consume_all(engine, attempt) == [number]
        assert attempt.values == {lazy: number}
        tell(engine, attempt, ValueError() if number == 1 else None)
        ledger.check()
    assert len(ledger.values) == 0


def test_a_commit_that_is_refused_can_be_tried_again():
    """Nothing of the attempt is in the net, so it has not acted: the judge decides."""
    ledger, engine, _ = engine_of("A", judge=lambda outcome: 1.0)
    ledger.inject("A", "in", [1])
    attempt = engine.begin(0)
    attempt.recording.send_value(attempt, "out", "x")
    assert tell(engine, attempt) is Verdict.RETRY  # it forgot its input
    assert ledger.take_outputs("A", "out") == []
    ledger.check()
    again = engine.begin(1.0)
    consume_all(engine, again)
    assert tell(engine, again, now=1.0) is Verdict.COMMIT
    ledger.check()


def test_an_attempt_that_acted_live_is_never_made_again():
    """The judge is not even asked."""
    asked = []
    ledger, engine, _ = engine_of("A", judge=lambda outcome: asked.append(outcome) or 0.0, defer_net_actions=False)
    ledger.inject("A", "in", [1, 2])
    acted, idle = engine.begin(0), engine.begin(0)
    ledger.send_value(acted, "out", "stays")
    assert tell(engine, acted, ValueError()) is Verdict.GIVE_UP
    assert asked == []
    assert tell(engine, idle, ValueError()) is Verdict.RETRY
    assert len(asked) == 1
    assert ledger.take_outputs("A", "out") == ["stays"]
    ledger.check()


def test_the_judge_is_not_asked_about_what_did_not_fail():
    """Finished, cancelled and interrupted attempts."""
    asked = []
    ledger, engine, heard = engine_of("A", judge=lambda outcome: asked.append(outcome) or 0.0)
    ledger.inject("A", "in", [1, 2, 3])
    done, cancelled, interrupted = begin_all(engine)
    consume_all(engine, done)
    assert tell(engine, done) is Verdict.COMMIT
    assert tell(engine, cancelled, EpochCancelled("A", cancelled.epoch.id)) is Verdict.CANCEL
    assert engine.paused_by is None
    assert tell(engine, interrupted, SystemExit()) is Verdict.GIVE_BACK
    assert asked == []
    assert engine.take_failures() is None
    assert [sentence for _, sentence in heard] == [Verdict.COMMIT, Verdict.CANCEL, Verdict.GIVE_BACK]
    ledger.check()


# admission


class Answers:
    """A limit that answers what a function says, and notes what it is told."""

    def __init__(self, admit):
        self.admit, self.told = admit, []

    def begun(self, attempt, now):
        self.told.append(("begun", attempt, now))

    def ended(self, attempt):
        self.told.append(("ended", attempt))


def limit(engine, name, admit):
    """Let a function say when an attempt of this node may begin."""
    answers = Answers(admit)
    engine.tasks[name].limits = (*engine.tasks[name].limits, answers)
    return answers


def test_a_limit_holds_one_node_back_until_its_moment():
    """And says when to look again; the order within the node stays, and the shelf is not asked about in vain."""
    moments, asked = {"A": 5.0, "B": None}, []
    ledger, engine, _ = engine_of("A", "B")
    for name in "AB":
        limit(engine, name, lambda now, name=name: asked.append((name, now)) or moments[name])
    ids = ledger.inject("A", "in", range(3))
    ledger.inject("B", "in", [3])
    assert [attempt.task.node_name for attempt in begin_all(engine)] == ["B"]
    assert asked == [("A", 0.0), ("B", 0.0)]
    assert engine.deadline() == 5.0
    ledger.check()
    assert begin_all(engine, 4.999) == []
    moments["A"] = 7.0
    assert begin_all(engine, 5.0) == []
    assert engine.deadline() == 7.0
    moments["A"] = None
    assert [attempt.epoch._entered[0].id for attempt in begin_all(engine, 7.0)] == ids
    assert engine.deadline() is None
    ledger.check()


def test_a_moment_that_is_over_admits():
    """A limit may answer with the past."""
    ledger, engine, _ = engine_of("A")
    limit(engine, "A", lambda now: now)
    ledger.inject("A", "in", [1])
    assert engine.begin(3.0) is not None


def test_all_limits_of_a_node_must_agree():
    """The latest moment counts, `inf` above all; and what is not admitted is not told of."""
    ledger, engine, _ = engine_of("A")
    moments = [3.0, inf]
    answers = [limit(engine, "A", lambda now, k=k: moments[k]) for k in range(2)]
    ledger.inject("A", "in", [1])
    assert (engine.begin(0.0), engine.deadline()) == (None, None)
    moments[1] = 2.0
    engine.try_again(engine.tasks["A"])
    assert (engine.begin(0.0), engine.deadline()) == (None, 3.0)
    assert [answer.told for answer in answers] == [[], []]
    attempt = engine.begin(3.0)
    assert [answer.told for answer in answers] == [[("begun", attempt, 3.0)]] * 2


@pytest.mark.parametrize("error", [None, ValueError(), KeyboardInterrupt(), EpochCancelled("A", "e0")])
def test_the_end_of_an_attempt_lets_the_next_one_be_tried(error):
    """However it ended, once; and its limits are those that it began with."""
    ledger, engine, _ = engine_of("A")
    full = [False]
    answers = limit(engine, "A", lambda now: inf if full[0] else None)
    ledger.inject("A", "in", [1, 2])
    attempt = engine.begin(0.0)
    full[0] = True
    assert engine.begin(0.0) is None
    engine.tasks["A"].limits = ()
    consume_all(engine, attempt)
    tell(engine, attempt, error)
    assert engine.conclude(Outcome(attempt, Ending.FINISHED)) is None
    assert answers.told == [("begun", attempt, 0.0), ("ended", attempt)]
    engine.resume()
    assert engine.begin(0.0) is not None
    ledger.check()


def test_the_next_attempt_at_an_epoch_comes_under_the_limits_too():
    """Those that are held come before what is new, in the order in which they were due; none is lost."""
    ledger, engine, _ = engine_of("A", judge=lambda outcome: 1.0)
    moment = [None]
    limit(engine, "A", lambda now: moment[0])
    ids = ledger.inject("A", "in", range(3))
    for attempt in begin_all(engine):
        tell(engine, attempt, ValueError())
    ids += ledger.inject("A", "in", [3])
    moment[0] = inf
    assert begin_all(engine, 1.0) == []
    assert engine.deadline() is None
    assert [retry.attempt.epoch._entered[0].id for retry in engine.waiting_retries()] == ids[:3]
    assert engine.could_begin()
    moment[0] = 4.0
    engine.try_again(engine.tasks["A"])
    assert begin_all(engine, 2.0) == []
    assert engine.deadline() == 4.0
    ledger.check()
    assert [attempt.epoch._entered[0].id for attempt in begin_all(engine, 4.0)] == ids


def test_retries_that_are_held_are_given_back_too():
    """When the net is stopped, with their order and their earlier attempts."""
    ledger, engine, _ = engine_of("A", judge=lambda outcome: outcome.attempt.epoch._number)
    limit(engine, "A", lambda now: None if now < 1 else inf)
    ledger.inject("A", "in", range(3))
    order = ledger.startable() or ledger.route() or ledger.startable()
    for attempt in begin_all(engine):
        tell(engine, attempt, ValueError())
    assert begin_all(engine, 2.0) == []  # two are due by now, and held
    engine.give_back_waiting()
    assert ledger.startable() == order
    assert engine.waiting_retries() == []
    ledger.check()
    assert len(engine.begin(0.5).earlier) == 1


def test_a_node_at_its_limit_costs_nothing_to_wait_for():
    """Each start asks about two epochs, however many wait; other nodes' epochs keep their places."""
    ledger, engine, _ = engine_of("A", "B")
    asked = []
    answers = limit(engine, "A", lambda now: asked.append(now) or float(len(answers.told)))
    begun, others = [], []
    ledger.inject("A", "in", range(2000))
    ledger.inject("B", "in", range(2000))
    for now in range(500):
        for attempt in begin_all(engine, float(now)):
            (begun if attempt.task.node_name == "A" else others).append(attempt)
    assert len(begun) == 500
    assert len(others) == 2000
    assert len(asked) == 1000
    assert [attempt.epoch._number for attempt in begun] == sorted(attempt.epoch._number for attempt in begun)
    ledger.check()


def test_what_becomes_startable_meanwhile_waits_behind_the_shelf():
    """Though its moment has come when it is looked at."""
    ledger, engine, _ = engine_of("A", "B")
    moment = [5.0]
    limit(engine, "A", lambda now: moment[0])
    ids = ledger.inject("A", "in", [1])
    assert engine.begin(0.0) is None
    ids += ledger.inject("A", "in", [2])
    moment[0] = None  # it would be admitted, but is younger than what is shelved
    assert engine.begin(1.0) is None
    assert [attempt.epoch._entered[0].id for attempt in begin_all(engine, 5.0)] == ids


# the budget


def test_the_budget_counts_epochs_not_attempts():
    """One more pauses the net, once; what has no function, or is not admitted, is not one more."""
    ledger, engine, _ = engine_of("A", "B", "C", judge=lambda outcome: 0.0)
    engine.tasks["B"].exec_node_func = None
    limit(engine, "C", lambda now: 9.0)
    engine.max_epochs = 2
    engine.count_anew()
    ledger.inject("B", "in", [1])
    ledger.inject("C", "in", [1])
    ledger.inject("A", "in", [1, 2])
    first = engine.begin(0.0)
    tell(engine, first, ValueError())
    assert engine.begin(0.0).epoch is first.epoch
    engine.begin(0.0)
    assert (engine.begin(0.0), engine.paused_by, engine.take_limit()) == (None, None, None)
    ledger.inject("A", "in", [3])
    assert (engine.begin(0.0), engine.paused_by) == (None, "limit")
    error = engine.take_limit()
    assert (error.limit, engine.take_limit()) == (2, None)
    assert "2 epochs" in str(error)
    ledger.check()
    engine.resume()
    assert engine.begin(0.0) is not None
    assert engine.begin(9.0).task.node_name == "C"
    assert engine.begin(9.0) is None
    assert engine.paused_by is None


# time-outs


@pytest.mark.parametrize("deferred", [False, True])
def test_an_attempt_expires_at_its_deadline(deferred):
    """Not before; its context is dead then, and its own outcome comes too late."""
    ledger, engine, heard = engine_of("A", timeout=2, defer_net_actions=deferred)
    ledger.inject("A", "in", ["v"])
    attempt = engine.begin(100.0)
    consume_all(engine, attempt)
    assert attempt.deadline == engine.deadline() == 102.0
    assert engine.expired(101.999) == []
    (late,) = engine.expired(102.0)
    assert (late.ending, str(late.error).count("2 s")) == (Ending.TIMED_OUT, 1)
    assert engine.settle(engine.conclude(late), 102.0, AT) is Verdict.GIVE_UP
    for outcome in (Outcome(attempt, Ending.FINISHED), Outcome(attempt, Ending.FAILED, ValueError()), late):
        assert engine.conclude(outcome) is None
    acts = acts_of(engine, attempt)
    for act in (
        lambda: acts.create(attempt, 1),
        lambda: acts.send_value(attempt, "out", 1),
        lambda: acts.consume(attempt, attempt.epoch._entered[0]),
        lambda: acts.load(attempt, "out", attempt.epoch._entered[0]),
        lambda: acts.send(attempt, "out"),
    ):
        with pytest.raises(EpochTimeout) as caught:
            act()
        assert caught.value.epoch_id == attempt.epoch.id
    failure = engine.take_failures()
    assert isinstance(failure.original_exception, EpochTimeout)
    assert [sentence for _, sentence in heard] == [Verdict.GIVE_UP]
    assert (len(ledger.values), engine.deadline(), engine.expired(1e9)) == (0, None, [])
    ledger.check()


def test_a_timed_out_attempt_can_be_retried():
    """The next attempt has its own deadline."""
    ledger, engine, _ = engine_of("A", timeout=2, judge=lambda outcome: 3.0)
    ledger.inject("A", "in", ["v"])
    engine.begin(0.0)
    (late,) = engine.expired(2.0)
    assert engine.settle(engine.conclude(late), 2.0, AT) is Verdict.RETRY
    assert engine.deadline() == 5.0
    again = engine.begin(6.0)
    assert (again.deadline, len(again.earlier), type(again.earlier[0][1])) == (8.0, 1, EpochTimeout)
    consume_all(engine, again)
    assert tell(engine, again, now=7.0) is Verdict.COMMIT
    ledger.check()


def test_the_earliest_moment_counts():
    """A running deadline, a retry, and a moment that a limit named."""
    ledger, engine, _ = engine_of("A", "B", timeout=9, judge=lambda outcome: 4.0)
    ledger.inject("A", "in", [1, 2])
    assert engine.deadline() is None
    first, _second = engine.begin(0), engine.begin(1)
    assert engine.deadline() == 9.0
    tell(engine, first, ValueError())
    assert engine.deadline() == 4.0
    limit(engine, "B", lambda now: 3.0)
    ledger.inject("B", "in", [1])
    assert engine.begin(0) is None
    assert engine.deadline() == 3.0
    engine.pause("user")
    assert engine.deadline() == 10.0  # only what runs
    engine.resume()
    assert engine.deadline() == 3.0


def test_attempts_that_expire_together_do_so_in_the_order_they_began():
    """The order is ours, in every process: so `others` is, too."""
    ledger, engine, _ = engine_of("A", timeout=1)
    ledger.inject("A", "in", range(50))
    attempts = begin_all(engine)
    assert [outcome.attempt for outcome in engine.expired(1.0)] == attempts


# waves, pauses, interrupts


def test_a_wave_starts_only_what_was_startable():
    """What is injected, or becomes startable, meanwhile waits."""
    ledger, engine, _ = engine_of("A")
    ledger.inject("A", "in", [1, 2])
    engine.begin_wave()
    first = engine.begin(0)
    ledger.inject("A", "in", [3])
    second = engine.begin(0)
    assert engine.begin(0) is None
    for attempt in (first, second):
        consume_all(engine, attempt)
        tell(engine, attempt)
    assert engine.begin(0) is None
    engine.end_wave()
    assert consume_all(engine, engine.begin(0)) == [3]


def test_a_wave_waits_for_its_retries():
    """A retry belongs to the wave that its epoch began in."""
    ledger, engine, _ = engine_of("A", judge=lambda outcome: 2.0)
    ledger.inject("A", "in", [1])
    engine.begin_wave()
    tell(engine, engine.begin(0), ValueError())
    assert (engine.begin(0), engine.deadline()) == (None, 2.0)
    again = engine.begin(2.0)
    consume_all(engine, again)
    assert tell(engine, again, now=2.0) is Verdict.COMMIT


def test_a_wave_waits_for_what_is_not_admitted_yet():
    """It belongs to the wave, like a retry; what came after its beginning does not, though it be admitted."""
    ledger, engine, _ = engine_of("A", "B")
    limit(engine, "A", lambda now: 5.0)
    first = ledger.inject("A", "in", [1])
    ledger.inject("B", "in", [2])
    engine.begin_wave()
    assert engine.begin(0).task.node_name == "B"
    ledger.inject("A", "in", [3])
    ledger.inject("B", "in", [4])
    assert (engine.begin(0), engine.deadline()) == (None, 5.0)
    ledger.check()
    assert engine.begin(5.0).epoch._entered[0].id == first[0]
    assert (engine.begin(5.0), engine.deadline()) == (None, None)
    engine.end_wave()
    assert [attempt.task.node_name for attempt in begin_all(engine, 5.0)] == ["A", "B"]
    ledger.check()


def test_a_wave_does_not_wait_for_a_moment_of_what_came_after_it():
    """What was to be looked at later is tried again at the beginning of a wave, and may lie beyond it."""
    ledger, engine, _ = engine_of("A")
    limit(engine, "A", lambda now: 5.0)
    ledger.inject("A", "in", [1])
    assert (engine.begin(0), engine.deadline()) == (None, 5.0)
    engine.begin_wave()
    assert engine.deadline() is None
    assert (engine.begin(0), engine.deadline()) == (None, 5.0)
    assert engine.begin(5.0) is not None
    assert engine.deadline() is None


def test_paused_begins_nothing_and_keeps_the_first_reason():
    """Neither new epochs nor retries."""
    ledger, engine, _ = engine_of("A", judge=lambda outcome: 0.0)
    ledger.inject("A", "in", [1, 2])
    tell(engine, engine.begin(0), ValueError())
    engine.pause("user")
    engine.pause("error")
    assert engine.paused_by == "user"
    assert (engine.begin(5.0), engine.deadline()) == (None, None)
    engine.resume()
    assert len(begin_all(engine, 5.0)) == 2
    ledger.check()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(2)])
@pytest.mark.parametrize("deferred", [False, True])
def test_an_interrupted_epoch_is_given_back_or_cancelled(error, deferred):
    """Given back at the front of the queue if the attempt had not acted, with its packets."""
    ledger, engine, heard = engine_of("A", defer_net_actions=deferred)
    ids = ledger.inject("A", "in", ["a", "b"])
    attempt = engine.begin(0)
    assert tell(engine, attempt, error) is Verdict.GIVE_BACK
    assert (engine.paused_by, ledger.doors["A"].live, attempt.epoch.state == EpochState.Startable) == ("error", 0, True)
    assert [ledger.get_epoch(id)._entered[0].id for id in ledger.startable()] == ids
    ledger.check()
    engine.resume()
    again = engine.begin(0)
    assert (again.epoch, list(again.earlier)) == (attempt.epoch, [])
    assert consume_all(engine, again) == ["a"]
    expected = Verdict.GIVE_BACK if deferred else Verdict.CANCEL
    assert tell(engine, again, error) is expected
    ledger.check()
    assert len(ledger.startable()) == (2 if deferred else 1)
    assert engine.take_failures() is None
    assert [sentence for _, sentence in heard] == [Verdict.GIVE_BACK, expected]


def test_an_interrupt_that_strikes_the_commit_itself_settles_the_epoch(monkeypatch):
    """Ctrl-C in the middle of a long commit: undone, and the epoch can run again."""
    ledger, engine, _ = engine_of("A")
    ledger.inject("A", "in", [1])
    attempt = engine.begin(0)
    consume_all(engine, attempt)

    def struck(*args):
        raise KeyboardInterrupt

    with contained(), monkeypatch.context() as patch:
        patch.setattr(ledger, "commit", struck)
        failed = engine.conclude(Outcome(attempt, Ending.FINISHED))
    assert isinstance(failed.error, KeyboardInterrupt)
    assert engine.settle(failed, 0.0, AT) is Verdict.GIVE_BACK
    ledger.check()
    assert len(ledger.startable()) == 1


def test_a_node_without_a_function_is_passed_over():
    """And its epoch is asked for no more until `unshelve`."""
    ledger, engine, _ = engine_of("A", "B")
    engine.tasks["A"].exec_node_func = None
    ledger.inject("A", "in", [1])
    ledger.inject("B", "in", [2])
    assert [attempt.task.node_name for attempt in begin_all(engine)] == ["B"]
    ledger.check()
    engine.tasks["A"].exec_node_func = print
    assert engine.begin(0) is None
    ledger.unshelve("A")
    assert engine.begin(0).task.node_name == "A"


def test_an_attempt_names_itself():
    """Node, epoch and number, for messages and thread names."""
    ledger, engine, _ = engine_of("A", judge=lambda outcome: 0.0)
    ledger.inject("A", "in", [1])
    attempt = engine.begin(0)
    assert str(attempt) == f"node 'A', epoch {attempt.epoch.id}, attempt 1"
    tell(engine, attempt, ValueError())
    assert str(engine.begin(0)) == f"node 'A', epoch {attempt.epoch.id}, attempt 2"
    assert isinstance(attempt, Attempt)


# anything in any order

STEPS = ["begin", "finish", "fail", "cancel", "interrupt", "forget", "tick", "late", "inject", "resume"]


@settings(max_examples=120, deadline=None)
@given(
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 7)), min_size=5, max_size=60),
)
def test_every_epoch_gets_exactly_one_final_verdict(deferred, script):
    """Whatever ends in whatever order: nothing is lost, nothing ends twice, the books are right after every step."""
    ledger, engine, heard = engine_of("A", "B", defer_net_actions=deferred, timeout=7)
    engine.judge = lambda outcome: 3.0 if len(outcome.attempt.earlier) < 2 else None
    now, running, over, outputs = 0.0, [], [], []
    begun, told = [], []
    ids = ledger.inject("A", "in", range(4)) + ledger.inject("B", "in", range(4))

    def end(attempt, ending):
        running.remove(attempt)
        over.append(attempt)
        told.append(attempt)
        acts = acts_of(engine, attempt)
        if ending == "finish":
            acts.send_value(attempt, "out", consume_all(engine, attempt)[0])
            assert tell(engine, attempt, now=now) is Verdict.COMMIT
        elif ending == "forget":
            tell(engine, attempt, now=now)
        else:
            if attempt.epoch.node_name == "A":
                acts.create(attempt, "dropped")
            errors = {
                "fail": ValueError(),
                "cancel": EpochCancelled(attempt.epoch.node_name, attempt.epoch.id),
                "interrupt": KeyboardInterrupt(),
            }
            tell(engine, attempt, errors[ending], now)

    for step, number in script:
        match step:
            case "begin":
                if (attempt := engine.begin(now)) is not None:
                    running.append(attempt)
                    begun.append(attempt)
            case "tick":
                now += number
                for outcome in engine.expired(now):
                    running.remove(outcome.attempt)
                    over.append(outcome.attempt)
                    told.append(outcome.attempt)
                    engine.settle(engine.conclude(outcome), now, AT)
            case "late":
                if over:
                    attempt = over[number % len(over)]
                    assert engine.conclude(Outcome(attempt, Ending.FINISHED)) is None
            case "inject":
                ids += ledger.inject("AB"[number % 2], "in", [number])
            case "resume":
                engine.resume()
            case _:
                if running:
                    end(running[number % len(running)], step)
        ledger.check()
        assert set(engine.running) == set(running)
    for _ in range(200):
        engine.resume()
        if running:
            end(running[0], "finish")
        elif (attempt := engine.begin(now)) is not None:
            running.append(attempt)
            begun.append(attempt)
        elif (moment := engine.deadline()) is not None:
            now = moment
        else:
            break
        ledger.check()
    assert [outcome.attempt for outcome, _ in heard] == told, "each attempt is observed once"
    assert set(told) == set(begun)
    final = [outcome.attempt.epoch for outcome, sentence in heard if sentence in FINAL]
    assert len(final) == len(set(final)) == len({attempt.epoch for attempt in begun}) == len(ids)
    for name in "AB":
        outputs += ledger.take_outputs(name, "out")
    assert len(outputs) == sum(sentence is Verdict.COMMIT for _, sentence in heard)
    assert (ledger._packets, len(ledger.values), ledger._epochs) == ({}, 0, {})


FINAL = (Verdict.COMMIT, Verdict.GIVE_UP, Verdict.CANCEL)
