"""What a node function is handed: the same behaviour from both kinds of acting and both faces."""

import asyncio
import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from netrun import (
    AsyncNodeExecutionContext,
    CannotFinishNonEmptyEpochError,
    DeferredPacket,
    EpochCancelled,
    EpochState,
    EpochTimeout,
    MaxSalvosExceededError,
    NetrunError,
    NetStateError,
    NodeExecutionContext,
    NodeFailureContext,
    OutputPortFullError,
    OutputPortNotFoundError,
    Packet,
    PacketNotFoundError,
    PacketNotInAnyNodeError,
    SalvoConditionNotFoundError,
    SalvoConditionNotMetError,
    ValueFunctionFailed,
)
from netrun.acts import OVER
from netrun.books import Holder
from netrun.context import Recording
from netrun.ledger import Ledger
from tests.graphs import at_least, edge, entry, exit, graph, node, nonempty
from tests.ledgers import begin, dump, inside, ledger_of


class Bench:
    """A running epoch of `Work` on 1, 2 (`in`) and a lazy 3 (`side`), and a context of one kind and face on it.

    `call` calls a method of the context, whichever face it has; `end` finishes the attempt, whichever kind it is.
    """

    def __init__(self, kind: str, face: str) -> None:
        exits = {port: exit(port, nonempty(port)) for port in ("out", "free", "narrow")}
        exits["once"] = exit("once", nonempty("once"), max_salvos=1)
        exits["ambiguous1"] = exit("ambiguous", nonempty("ambiguous"))
        exits["ambiguous2"] = exit({"ambiguous": 2}, at_least("ambiguous", 2))
        exits["both"] = exit(["out", "pair"], nonempty("pair"))
        outs = {"out": None, "free": None, "narrow": 1, "once": None, "ambiguous": None, "pair": None}
        three = {"three": entry(["in", "side"], at_least("in", 2))}
        nodes = [
            node("Lazy", [], ["out"]),
            node("Work", ["in", "side"], outs, entries=three, exits=exits),
            node("Next", ["in"]),
        ]
        self.ledger = ledger_of(graph(nodes, [edge("Work.out", "Next.in"), edge("Lazy.out", "Work.side")]))
        self.calls: list[str] = []
        self.lazily(lambda: self.calls.append("called") or 3)
        self.ledger.inject("Work", "in", [1, 2])
        self.holder = begin(self.ledger)
        assert self.holder.epoch.node_name == "Work"
        self.one, self.two, self.lazy = inside(self.holder)
        self.kind, self.face = kind, face
        self.new_attempt()

    def lazily(self, func: Callable[[], Any]) -> None:
        self.ledger.create_epoch("Lazy")
        source = begin(self.ledger)
        self.ledger.load(source, "out", self.ledger.create(source, func=func))
        self.ledger.send(source, "out")
        self.ledger.finish(source)

    def new_attempt(self) -> None:
        self.recording = Recording(self.holder, self.ledger.values)
        acts: Ledger | Recording = self.ledger if self.kind == "live" else self.recording
        faces = {"sync": NodeExecutionContext, "async": AsyncNodeExecutionContext}
        self.ctx: Any = faces[self.face](self.holder, acts)

    def call(self, method: str, *arguments: Any) -> Any:
        answer = getattr(self.ctx, method)(*arguments)
        if self.face == "async":
            assert inspect.isawaitable(answer)
            return asyncio.run(answer)
        return answer

    def consume_all(self) -> list[Any]:
        return [self.call("consume_packet", packet) for packet in (self.one, self.two, self.lazy)]

    def end(self) -> None:
        if self.kind == "live":
            self.ledger.finish(self.holder)
        else:
            self.ledger.commit(self.holder, self.recording.commands)
        self.ledger.check()

    def traces(self) -> Any:
        """All that could have changed: the net, and what was written down."""
        return dump(self.ledger), list(self.recording.commands), dict(self.holder.values)


@pytest.fixture(params=["live", "recorded"])
def kind(request: pytest.FixtureRequest) -> Any:
    """The kind of acting."""
    return request.param


@pytest.fixture(params=["sync", "async"])
def bench(kind: str, request: pytest.FixtureRequest) -> Bench:
    """A bench of each kind and face."""
    return Bench(kind, request.param)


# -- operations -------------------------------------------------------------------------------------------------------


def test_a_value_is_consumed_once(bench: Bench) -> None:
    """Each packet gives its value; then it is in the epoch no longer."""
    assert bench.consume_all() == [1, 2, 3]
    assert bench.calls == ["called"]
    assert bench.holder.values == {bench.one: 1, bench.two: 2, bench.lazy: 3}
    for packet in (bench.one, bench.lazy):
        with pytest.raises(PacketNotInAnyNodeError, match=packet.id):
            bench.call("consume_packet", packet)
    bench.end()
    assert len(bench.ledger.values) == 0
    assert bench.holder.epoch.state == EpochState.Finished


def test_packets_are_created_loaded_and_sent(bench: Bench) -> None:
    """Direct and lazy, over an edge and to the outside, in order."""
    bench.consume_all()
    direct = bench.call("create_packet", "direct")
    lazy = bench.call("create_packet_from_value_func", lambda: bench.calls.append("made") or "lazy")
    assert isinstance(direct, Packet)
    assert isinstance(direct, DeferredPacket) is (bench.kind == "recorded")
    bench.call("load_output_port", "out", lazy)
    bench.call("load_output_port", "out", direct)
    bench.call("send_output_salvo", "out")
    bench.call("send", "free", "last")
    assert bench.calls == ["called"]
    bench.end()
    for packet, value in ((lazy, "lazy"), (direct, "direct")):
        following = begin(bench.ledger)
        assert following.epoch.node_name == "Next"
        assert inside(following) == [packet]
        assert bench.ledger.consume(following, packet) == value
        bench.ledger.finish(following)
    assert bench.calls == ["called", "made"]
    assert bench.ledger.take_outputs("Work", "free") == ["last"]
    bench.ledger.check()


def test_an_input_packet_is_passed_on_unread(bench: Bench) -> None:
    """It is the same packet, and its value function is not called for that."""
    bench.call("load_output_port", "out", bench.lazy)
    bench.call("send_output_salvo", "out")
    bench.call("consume_packet", bench.one)
    bench.call("consume_packet", bench.two)
    bench.end()
    following = begin(bench.ledger)
    assert inside(following) == [bench.lazy]
    assert bench.calls == []
    assert bench.ledger.consume(following, bench.lazy) == 3


def test_own_packets_are_consumed_from_inside_and_from_a_port(bench: Bench) -> None:
    """Direct, lazy and async lazy ones."""

    async def made() -> str:
        await asyncio.sleep(0)
        return "async"

    direct = bench.call("create_packet", "direct")
    lazy = bench.call("create_packet_from_value_func", lambda: "lazy")
    async_lazy = bench.call("create_packet_from_value_func", made)
    bench.call("load_output_port", "out", lazy)
    values = [bench.call("consume_packet", packet) for packet in (direct, lazy, async_lazy)]
    assert values == ["direct", "lazy", "async"]
    with pytest.raises(PacketNotInAnyNodeError):
        bench.call("consume_packet", lazy)
    bench.consume_all()
    bench.end()
    assert bench.ledger.startable() == []


def test_send_answers_with_the_packet(bench: Bench) -> None:
    """It has an id and a place, at once or after the commit."""
    bench.consume_all()
    sent = bench.call("send", "free", {"any": "value"})
    bench.end()
    assert bench.ledger.get_packet(sent.id) is sent
    assert (sent.location.kind, sent.location.port_name) == ("OutsideNet", "free")
    assert bench.ledger.take_outputs("Work", "free") == [{"any": "value"}]
    with pytest.raises(PacketNotFoundError):
        sent.location  # noqa: B018


def test_none_is_a_value(bench: Bench) -> None:
    """Sent, and created and consumed."""
    bench.consume_all()
    bench.call("send", "free", None)
    assert bench.call("consume_packet", bench.call("create_packet", None)) is None
    bench.end()
    assert bench.ledger.take_outputs("Work", "free") == [None]


def test_a_direct_value_is_never_called_or_awaited(bench: Bench) -> None:
    """Functions and awaitables are values like others when they are handed over as such."""

    async def coroutine_function() -> None:
        raise AssertionError("called")

    packet = bench.call("create_packet", coroutine_function)
    assert bench.call("consume_packet", packet) is coroutine_function


def test_nothing_of_a_recording_is_in_the_net_before_the_commit() -> None:
    """Everything a recorded context does leaves the net as it is; a live one acts at once."""
    for face in ("sync", "async"):
        bench = Bench("recorded", face)
        before = dump(bench.ledger)
        bench.consume_all()
        bench.call("send", "out", 1)
        bench.call("load_output_port", "pair", bench.call("create_packet", 1))
        assert dump(bench.ledger) == before
        assert not bench.holder.acted
        bench = Bench("live", face)
        bench.call("send", "out", 1)
        assert len(bench.ledger.startable("Next")) == 1
        assert bench.holder.acted


def test_each_attempt_reads_a_lazy_value_afresh(kind: str) -> None:
    """Two attempts that only look leave the packet there for the third."""
    bench = Bench("recorded", "sync")
    for _ in range(3):
        bench.new_attempt()
        assert bench.call("consume_packet", bench.lazy) == 3
    assert bench.calls == ["called"] * 3


# -- refusals ---------------------------------------------------------------------------------------------------------

OUTS = "There is: 'ambiguous', 'free', 'narrow', 'once', 'out', 'pair'."

REFUSALS: list[tuple[str, Callable[[Bench], Any], type[Exception], list[str]]] = [
    (
        "unknown port",
        lambda b: b.call("load_output_port", "ouut", b.one),
        OutputPortNotFoundError,
        ["no output port 'ouut'. Did you mean 'out'?", OUTS],
    ),
    ("an input port", lambda b: b.call("load_output_port", "in", b.one), OutputPortNotFoundError, [OUTS]),
    ("send, unknown port", lambda b: b.call("send", "fre", 1), OutputPortNotFoundError, ["mean 'free'?", OUTS]),
    (
        "unknown condition",
        lambda b: b.call("send_output_salvo", "bothh"),
        SalvoConditionNotFoundError,
        ["'bothh'. Did you mean 'both'?", "'ambiguous1', 'ambiguous2', 'both', 'free', 'narrow', 'once', 'out'"],
    ),
    (
        "send, no condition",
        lambda b: b.call("send", "pair", 1),
        SalvoConditionNotFoundError,
        ["exactly one condition that sends 'pair' alone", "'both' sends ['out', 'pair']", "Use create_packet"],
    ),
    (
        "send, several conditions",
        lambda b: b.call("send", "ambiguous", 1),
        SalvoConditionNotFoundError,
        ["'ambiguous1' sends ['ambiguous']", "'ambiguous2' sends ['ambiguous']"],
    ),
    (
        "foreign packet",
        lambda b: b.call("consume_packet", Packet(99, "-x")),
        PacketNotInAnyNodeError,
        ["Packet('p99-x') is not in this epoch"],
    ),
    (
        "foreign packet loaded",
        lambda b: b.call("load_output_port", "out", Packet(99, "-x")),
        PacketNotInAnyNodeError,
        ["Packet('p99-x') is not in this epoch"],
    ),
    ("no packet", lambda b: b.call("consume_packet", b.one.id), TypeError, ["one of the packets of this epoch"]),
    (
        "all packets",
        lambda b: b.call("consume_packet", b.holder.epoch.by_port()),
        TypeError,
        ["one of the packets of this epoch"],
    ),
    (
        "a list of packets",
        lambda b: b.call("load_output_port", "out", [b.one]),
        TypeError,
        ["one of the packets of this epoch"],
    ),
    ("no function", lambda b: b.call("create_packet_from_value_func", 3), TypeError, ["must be callable"]),
    ("None for a function", lambda b: b.call("create_packet_from_value_func", None), TypeError, ["must be callable"]),
]


@pytest.mark.parametrize(("act", "error", "words"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS])
def test_what_cannot_be_is_refused_at_once(
    bench: Bench, act: Callable[[Bench], Any], error: type[Exception], words: list[str]
) -> None:
    """By both kinds with the same class and words; nothing changes, nothing is written down."""
    before = bench.traces()
    with pytest.raises(error) as refused:
        act(bench)
    text = str(refused.value)
    assert [word for word in words if word not in text] == []
    if issubclass(error, NetrunError):
        assert text.startswith(f"node 'Work', epoch {bench.holder.epoch.id}, attempt 1: ")
    assert bench.traces() == before
    bench.ledger.check()


def test_a_packet_is_loaded_once(bench: Bench) -> None:
    """A second time is refused: it is in an output port already."""
    bench.call("load_output_port", "out", bench.one)
    before = bench.traces()
    with pytest.raises(NetrunError, match=f"(?s)attempt 1.*{bench.one.id}"):
        bench.call("load_output_port", "free", bench.one)
    assert bench.traces() == before


def test_a_sent_packet_is_in_the_epoch_no_longer(bench: Bench) -> None:
    """It can be neither consumed nor loaded."""
    bench.call("load_output_port", "free", bench.one)
    bench.call("send_output_salvo", "free")
    before = bench.traces()
    for act in (
        lambda: bench.call("consume_packet", bench.one),
        lambda: bench.call("load_output_port", "out", bench.one),
    ):
        with pytest.raises(PacketNotInAnyNodeError, match=bench.one.id):
            act()
    assert bench.traces() == before


def fill(bench: Bench) -> None:
    """Two packets into a port of one slot."""
    for _ in range(2):
        bench.call("load_output_port", "narrow", bench.call("create_packet", 1))


def send_nothing(bench: Bench) -> None:
    """A salvo whose term is not met."""
    bench.call("send_output_salvo", "both")


def send_twice(bench: Bench) -> None:
    """A salvo that may be sent once."""
    bench.call("send", "once", 1)
    bench.call("send", "once", 2)


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (fill, OutputPortFullError),
        (send_nothing, SalvoConditionNotMetError),
        (send_twice, MaxSalvosExceededError),
        (lambda bench: None, CannotFinishNonEmptyEpochError),
    ],
)
def test_what_the_simulator_judges_is_refused_by_both_kinds(
    bench: Bench, act: Callable[[Bench], Any], error: type[NetrunError]
) -> None:
    """By a live context at the call, by a recorded one at the commit; with the same class."""

    def attempt() -> None:
        act(bench)
        bench.end()

    with pytest.raises(error, match=f"node 'Work', epoch {bench.holder.epoch.id}, attempt 1"):
        attempt()
    bench.ledger.check()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_value_function_that_raises_leaves_the_packet(bench: Bench, asynchronous: bool) -> None:
    """Of an own packet: chained from the original, and the packet is still there."""
    original = ZeroDivisionError("oh no")

    def fails() -> None:
        raise original

    async def async_fails() -> None:
        raise original

    packet = bench.call("create_packet_from_value_func", async_fails if asynchronous else fails)
    before = bench.traces()
    with pytest.raises(ValueFunctionFailed, match="oh no") as failed:
        bench.call("consume_packet", packet)
    assert failed.value.__cause__ is original
    assert bench.traces() == before
    bench.call("load_output_port", "out", packet)


# -- a dead context ---------------------------------------------------------------------------------------------------

CALLS: list[tuple[str, Callable[[Bench], Any]]] = [
    ("create", lambda b: b.call("create_packet", 1)),
    ("create lazy", lambda b: b.call("create_packet_from_value_func", lambda: 1)),
    ("consume", lambda b: b.call("consume_packet", b.one)),
    ("consume lazy", lambda b: b.call("consume_packet", b.lazy)),
    ("load", lambda b: b.call("load_output_port", "out", b.one)),
    ("send salvo", lambda b: b.call("send_output_salvo", "out")),
    ("send", lambda b: b.call("send", "out", 1)),
]


@pytest.mark.parametrize("why", [OVER, EpochTimeout("Work", "e1-x", 2.0)], ids=["ended", "timed out"])
@pytest.mark.parametrize("act", [case[1] for case in CALLS], ids=[case[0] for case in CALLS])
def test_a_dead_context_changes_nothing(bench: Bench, act: Callable[[Bench], Any], why: Exception) -> None:
    """Every call raises why the attempt is over, calls no value function and writes nothing down."""
    bench.ledger.end_attempt(bench.holder, why)
    before = bench.traces()
    with pytest.raises(type(why)) as refused:
        act(bench)
    assert str(refused.value) == str(why)
    assert isinstance(refused.value, NetStateError | EpochTimeout)
    assert bench.traces() == before
    assert bench.calls == []
    bench.ledger.check()


@pytest.mark.parametrize("act", [case[1] for case in CALLS], ids=[case[0] for case in CALLS])
def test_a_context_is_dead_after_its_epoch_has_finished(bench: Bench, act: Callable[[Bench], Any]) -> None:
    """Somebody kept it: nothing more comes of it."""
    bench.consume_all()
    bench.end()
    before = bench.traces()
    with pytest.raises(NetStateError, match="its attempt has ended"):
        act(bench)
    assert bench.traces() == before


@pytest.mark.parametrize("act", [case[1] for case in CALLS], ids=[case[0] for case in CALLS])
@pytest.mark.parametrize("face", ["sync", "async"])
def test_nothing_is_written_down_once_a_recording_is_sealed(face: str, act: Callable[[Bench], Any]) -> None:
    """It is about to be played, and the function has left a thread behind that goes on."""
    bench = Bench("recorded", face)
    bench.consume_all()
    bench.recording.seal()
    before = bench.traces()
    with pytest.raises(NetStateError, match="its attempt has ended"):
        act(bench)
    assert bench.traces() == before
    bench.end()


def test_a_dead_context_still_answers_questions(bench: Bench) -> None:
    """Facts are no actions."""
    bench.ledger.end_attempt(bench.holder, OVER)
    assert bench.ctx.node_name == "Work"
    assert bench.ctx.epoch_id == bench.holder.epoch.id
    with pytest.raises(NetStateError):
        bench.ctx.cancel_epoch()


def test_an_attempt_that_ends_while_a_value_is_made_consumes_nothing(bench: Bench) -> None:
    """The function of a lazy value takes too long, and the attempt is over when it answers."""

    def slow() -> str:
        bench.ledger.end_attempt(bench.holder, EpochTimeout("Work", bench.holder.epoch.id, 1.0))
        return "late"

    packet = bench.call("create_packet_from_value_func", slow)
    before = bench.traces()
    with pytest.raises(EpochTimeout):
        bench.call("consume_packet", packet)
    assert bench.traces() == before
    bench.ledger.check()


def test_a_packet_that_is_consumed_while_its_value_is_made_is_consumed_once(bench: Bench) -> None:
    """Two threads of a function, or two tasks, take one packet: the second is refused."""

    def func() -> str:
        if not bench.calls:
            bench.calls.append("inner")
            if bench.kind == "live":
                assert bench.ledger.consume(bench.holder, packet) == "value"
            else:
                assert bench.recording.consume(bench.holder, packet) == "value"
        return "value"

    packet = bench.call("create_packet_from_value_func", func)
    with pytest.raises(PacketNotInAnyNodeError):
        bench.call("consume_packet", packet)
    bench.consume_all()
    bench.end()


# -- facts ------------------------------------------------------------------------------------------------------------


def test_a_context_knows_its_attempt(bench: Bench) -> None:
    """Node, epoch, and how the earlier attempts ended."""
    assert (bench.ctx.node_name, bench.ctx.epoch_id) == ("Work", bench.holder.epoch.id)
    assert (bench.ctx.retry_count, bench.ctx.retry_timestamps, bench.ctx.retry_exceptions) == (0, [], [])
    assert bench.ctx.idempotency_key == bench.holder.epoch.id
    name = {"sync": "NodeExecutionContext", "async": "AsyncNodeExecutionContext"}[bench.face]
    assert repr(bench.ctx) == f"<{name} of node 'Work', epoch {bench.holder.epoch.id}, attempt 1>"


def test_a_later_attempt_knows_the_earlier_ones(bench: Bench) -> None:
    """`retry_*` are as long as `retry_count`, new lists each time; the key stays the same."""
    moments = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)]
    errors = [ValueError("first"), KeyError("second")]
    key = bench.ctx.idempotency_key
    bench.holder = Holder(bench.holder.epoch, list(zip(moments, errors, strict=True)))
    bench.new_attempt()
    assert bench.ctx.retry_count == 2
    assert bench.ctx.retry_timestamps == moments
    assert bench.ctx.retry_exceptions == errors
    bench.ctx.retry_exceptions.clear()
    assert bench.ctx.retry_exceptions == errors
    assert bench.ctx.idempotency_key == key
    assert repr(bench.ctx).endswith("attempt 3>")
    with pytest.raises(OutputPortNotFoundError, match=r"attempt 3: "):
        bench.call("load_output_port", "nope", bench.one)


def test_the_key_is_another_ones_for_every_epoch() -> None:
    """Of the same node in one net, and of two nets."""
    benches = [Bench("live", "sync"), Bench("live", "sync")]
    keys = {bench.ctx.idempotency_key for bench in benches}
    benches[0].ledger.inject("Work", "in", [1, 2])
    keys.add(NodeExecutionContext(begin(benches[0].ledger), benches[0].ledger).idempotency_key)
    assert len(keys) == 3


def test_cancel_is_a_plain_call_that_raises(bench: Bench) -> None:
    """Also in the async face; it names node and epoch, and does nothing by itself."""
    before = bench.traces()
    with pytest.raises(EpochCancelled, match="node 'Work'") as cancelled:
        bench.ctx.cancel_epoch()
    assert cancelled.value.epoch_id == bench.holder.epoch.id
    assert bench.traces() == before


def test_both_faces_have_the_same_methods() -> None:
    """Same names and parameters; in the async one the packet operations are coroutine functions."""
    public = [name for name in vars(NodeExecutionContext) if not name.startswith("_")]
    assert public == [name for name in vars(AsyncNodeExecutionContext) if not name.startswith("_")]
    for name in public:
        ours, theirs = getattr(NodeExecutionContext, name), getattr(AsyncNodeExecutionContext, name)
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
        assert ours.__doc__
        assert theirs.__doc__
        assert inspect.iscoroutinefunction(theirs) is (name != "cancel_epoch")


def test_contexts_take_no_attributes(bench: Bench) -> None:
    """A slip of the pen is an error and not a new attribute."""
    with pytest.raises(AttributeError):
        bench.ctx.retry_cuont = 3


# -- the context of a failure -----------------------------------------------------------------------------------------


def test_a_failure_context_tells_what_was_tried(kind: str) -> None:
    """The salvo port by port, the values that were consumed, the exception; and no operations."""
    bench = Bench(kind, "sync")
    bench.call("consume_packet", bench.two)
    bench.call("consume_packet", bench.lazy)
    bench.ledger.end_attempt(bench.holder, OVER)
    error = ValueError("bad line")
    failure = NodeFailureContext(bench.holder, error)
    assert failure.exception is error
    assert failure.input_salvo == {"in": [bench.one, bench.two], "side": [bench.lazy]}
    assert failure.packet_values == {bench.two.id: 2, bench.lazy.id: 3}
    assert (failure.node_name, failure.epoch_id) == ("Work", bench.holder.epoch.id)
    assert (failure.retry_count, failure.retry_timestamps, failure.retry_exceptions) == (0, [], [])
    assert failure.idempotency_key == bench.ctx.idempotency_key
    assert repr(failure).startswith("<NodeFailureContext of node 'Work'")
    operations = {name for name in vars(NodeExecutionContext) if not name.startswith("_")}
    assert not any(hasattr(failure, name) for name in operations)
    failure.packet_values.clear()
    assert bench.holder.values, "what a failure function does to its dict is its own matter"
