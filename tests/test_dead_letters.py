"""What is left of an epoch that was given up: in memory, on disk, in a callback; and how it is tried again."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from netrun import (
    ConfigError,
    DeadLetterEntry,
    DeadLetterQueue,
    EpochTimeout,
    Graph,
    InputPortNotFoundError,
    Net,
    NetrunRuntimeError,
    NetStateError,
    NodeExecutionFailed,
)
from tests.graphs import nonempty
from tests.nets import ALL, JumpingClock, build, chain, contained, entry, node, python


def letter(epoch_id="e1-x", node_name="A", error=None, **parts):
    return DeadLetterEntry(
        epoch_id=epoch_id,
        node_name=node_name,
        exception=error or ValueError("no"),
        retry_count=0,
        retry_timestamps=[],
        retry_exceptions=[],
        input_packets=parts.pop("input_packets", {}),
        packet_values=parts.pop("packet_values", {}),
        timestamp=datetime(2026, 1, 2, tzinfo=UTC),
        **parts,
    )


def fails(ctx, packets):
    for some in packets.values():
        for packet in some:
            ctx.consume_packet(packet)
    raise ValueError("no")


def failing_net(graph=None, **options):
    net = Net(graph or chain("A"), on_error="continue", **options)
    net.set_node_exec("A", fails)
    return net


# what an entry says


def test_an_entry_tells_what_the_epoch_was_about() -> None:
    """Ids by port, values by id, the very exception, the time."""
    salvo = {"both": entry({"a": ALL, "b": ALL}, nonempty("b"))}
    net = failing_net(Graph([node("A", ["a", "b"], entries=salvo)], []))
    before = datetime.now(UTC)
    first = net.inject_packets("A", "a", ["x", "y"])
    second = net.inject_packets("A", "b", ["z"])
    (epoch_id,) = [net.run_step(start_epochs=False), *net.get_startable_epochs()][1:]
    net.start()
    (found,) = net.dead_letter_queue
    assert (found.epoch_id, found.node_name, found.reason) == (epoch_id, "A", "failed")
    assert found.input_packets == {"a": first, "b": second}
    assert found.packet_values == dict(zip(first + second, "xyz", strict=True))
    assert (type(found.exception), found.retry_count) == (ValueError, 0)
    assert before <= found.timestamp <= datetime.now(UTC)
    net._ledger.check()


def test_values_that_were_not_consumed_are_there_too_and_lazy_ones_uncalled() -> None:
    """The value function is kept, and called when the redriven packet is consumed."""
    called, graph = [], chain("S", "A")

    def source(ctx, packets):
        packet = ctx.create_packet_from_value_func(lambda: called.append("called") or "made")
        ctx.load_output_port("out", packet)
        ctx.send_output_salvo("out")

    def fail_at_once(ctx, packets):
        raise ValueError

    net = Net(graph, on_error="continue")
    net.set_node_exec("S", source)
    net.set_node_exec("A", fail_at_once)
    net.inject_source_epoch("S")
    net.start()
    net.inject_packets("A", "in", ["plain"])
    net.start()
    lazy, plain = net.dead_letter_queue
    assert (list(plain.packet_values.values()), lazy.packet_values, called) == (["plain"], {}, [])
    got = []
    net.set_node_exec("A", lambda ctx, packets: got.append(ctx.consume_packet(packets["in"][0])))
    net.redrive(lazy)
    net.redrive(plain)
    net.start()
    assert (got, called) == (["made", "plain"], ["called"])
    net._ledger.check()


@pytest.mark.parametrize(("acts", "letters"), [(False, 0), (True, 1)])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_epoch_leaves_one_only_if_it_had_acted(kind, acts: bool, letters: int) -> None:
    """Else it is startable again. The error callback hears nothing: nothing has failed."""
    heard = []

    def interrupted(ctx, packets):
        if acts:
            ctx.consume_packet(packets["in"][0])
        raise kind

    net = Net(chain("A"), error_callback=lambda *args: heard.append(args))
    net.set_node_exec("A", interrupted)
    net.inject_packets("A", "in", ["v"])
    with contained(), pytest.raises(kind):
        net.start()
    assert [entry.reason for entry in net.dead_letter_queue] == ["interrupted"] * letters
    assert len(net.get_startable_epochs()) == 1 - letters
    assert heard == []
    net._ledger.check()


def test_the_reason_of_a_time_out() -> None:
    """With its `EpochTimeout`."""
    release = threading.Event()
    net = build(chain("A"), JumpingClock(), A=lambda ctx, packets: release.wait(20))
    net.set_node_config("A", timeout=3)
    net.inject_packets("A", "in", ["v"])
    with pytest.raises(NodeExecutionFailed):
        net.start()
    release.set()
    (found,) = net.dead_letter_queue
    assert (found.reason, type(found.exception)) == ("timed out", EpochTimeout)
    assert list(found.packet_values.values()) == ["v"]


def test_a_node_may_opt_out() -> None:
    """Its epochs leave none; the callback is called all the same."""
    heard = []
    net = failing_net(error_callback=lambda *args: heard.append(args))
    net.set_node_config("A", dead_letter_queue=False)
    net.inject_packets("A", "in", [1])
    net.start()
    assert (len(net.dead_letter_queue), len(heard)) == (0, 1)


def test_the_limit_keeps_the_newest() -> None:
    """In memory and on disk; 0 keeps none."""
    net = failing_net(dead_letter_limit=2)
    net.inject_packets("A", "in", [1, 2, 3])
    net.start()
    assert [list(entry.packet_values.values()) for entry in net.dead_letter_queue] == [[2], [3]]
    nothing = DeadLetterQueue(limit=0)
    nothing.add(letter())
    assert len(nothing) == 0


def test_the_queue_by_itself() -> None:
    """All, by node, iteration over a copy, clear."""
    queue = DeadLetterQueue()
    for number, name in enumerate("ABA"):
        queue.add(letter(f"e{number}", name))
    assert [found.epoch_id for found in queue.get_by_node("A")] == ["e0", "e2"]
    assert [found.epoch_id for found in queue] == ["e0", "e1", "e2"]
    for found in queue:
        queue.remove(found)
    assert len(queue) == 0
    queue.remove(letter())
    queue.add(letter())
    queue.clear()
    assert queue.get_all() == []


@pytest.mark.parametrize(
    "options",
    [
        {"dead_letter_queue": "disk"},
        {"dead_letter_queue": "file"},
        {"dead_letter_path": "x"},
        {"dead_letter_queue": "callback"},
        {"dead_letter_callback": print},
        {"dead_letter_queue": print, "dead_letter_callback": print},
        {"dead_letter_queue": "callback", "dead_letter_callback": 3},
        {"dead_letter_limit": -1},
        {"dead_letter_limit": True},
        {"on_error": "ignore"},
        {"error_callback": "print"},
    ],
)
def test_options_that_do_not_fit_together(options) -> None:
    with pytest.raises(ConfigError):
        Net(chain("A"), **options)


@pytest.mark.parametrize("as_callable", [False, True])
def test_callback_mode_hands_over_and_keeps_nothing(as_callable: bool) -> None:
    """Given either way; what it was handed can be redriven."""
    got: list[DeadLetterEntry] = []
    options = (
        {"dead_letter_queue": got.append}
        if as_callable
        else {"dead_letter_queue": "callback", "dead_letter_callback": got.append}
    )
    net = failing_net(**options)
    net.inject_packets("A", "in", [1])
    net.start()
    assert (len(got), len(net.dead_letter_queue)) == (1, 0)
    net.redrive(got[0])
    assert len(net.get_startable_epochs()) == 0
    net.start()
    assert len(got) == 2


# redriving


def test_a_redriven_entry_succeeds_and_is_gone() -> None:
    """With its own values, in order, at their ports."""
    net = failing_net()
    net.inject_packets("A", "in", [1, 2])
    net.start()
    net.set_node_exec("A", lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["in"][0])))
    for found in net.dead_letter_queue:
        (id,) = net.redrive(found)
        assert net.get_packet(id).location.port_name == "in"
    assert len(net.dead_letter_queue) == 0
    net.start()
    assert net.take_outputs("A", "out") == [1, 2]
    net._ledger.check()


def test_redriving_a_source() -> None:
    """Its epoch had no packets: there is one again."""
    tries = []

    def source(ctx, packets):
        tries.append(packets)
        if len(tries) == 1:
            raise ValueError
        ctx.send("out", "made")

    net = Net(Graph([node("S", [], ["out"])], []), on_error="continue")
    net.set_node_exec("S", source)
    net.inject_source_epoch("S")
    net.start()
    assert net.redrive(net.dead_letter_queue.get_all()[0]) == []
    net.start()
    assert net.take_outputs("S", "out") == ["made"]


def test_what_redrive_refuses_changes_nothing() -> None:
    """A port that is not there, a second time, values that nobody knows, a stopped net."""
    net = failing_net()
    net.inject_packets("A", "in", [1])
    net.start()
    (found,) = net.dead_letter_queue
    with pytest.raises(InputPortNotFoundError):
        net.redrive(found, {"inn": [2]})
    unknown = letter("e9", input_packets={"in": ["p9"]})
    with pytest.raises(NetStateError, match=r"give it with values=\{'in'"):
        net.redrive(unknown)
    assert (len(net.dead_letter_queue), len(net.value_store)) == (1, 0)
    net.redrive(found, {"in": [2, 3]})
    assert len(net.value_store) == 2
    with pytest.raises(NetStateError, match="done already"):
        net.redrive(found)
    net.redrive(unknown, {"in": [4]})
    net.stop()
    with pytest.raises(NetStateError, match="stopped"):
        net.redrive(letter("e10"))


# files


def queue_at(folder: Path, **options) -> DeadLetterQueue:
    return DeadLetterQueue("file", folder / "letters.jsonl", **options)


class LocalError(Exception):
    """Of a test module, with state of its own."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def test_a_queue_on_an_existing_file_begins_with_what_it_holds(tmp_path: Path) -> None:
    """Everything of an entry comes back."""
    queue = queue_at(tmp_path)
    whole = letter(
        error=LocalError(7),
        input_packets={"in": ["p1", "p2"]},
        packet_values={"p1": {"rows": 3}},
        value_funcs={"p2": lambda: "late"},
        reason="timed out",
    )
    whole.retry_count, whole.retry_exceptions = 1, [KeyError("k")]
    whole.retry_timestamps = [datetime(2026, 1, 1, tzinfo=UTC)]
    queue.add(whole)
    (found,) = queue_at(tmp_path)
    for name in (
        "epoch_id node_name retry_count retry_timestamps input_packets packet_values timestamp reason".split()  # noqa: SIM905
    ):
        assert getattr(found, name) == getattr(whole, name), name
    assert (type(found.exception), found.exception.code) == (LocalError, 7)
    assert [repr(error) for error in found.retry_exceptions] == ["KeyError('k')"]
    assert found.value_funcs["p2"]() == "late"


def test_one_line_of_json_an_entry(tmp_path: Path) -> None:
    """With what a person or a tool wants to read."""
    queue_at(tmp_path).add(letter(packet_values={"p1": 1}))
    (line,) = (tmp_path / "letters.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert (record["type"], record["epoch_id"], record["node_name"]) == ("dead_letter", "e1-x", "A")
    assert record["exception"] == {"type": "ValueError", "text": "ValueError: no"}
    assert datetime.fromisoformat(record["timestamp"]) == datetime(2026, 1, 2, tzinfo=UTC)


def test_what_is_taken_out_is_gone_from_the_file(tmp_path: Path) -> None:
    """With its values; the last one leaves nothing behind. The limit holds on disk, too."""
    queue = queue_at(tmp_path, limit=2)
    for number in range(3):
        queue.add(letter(f"e{number}"))
    assert [found.epoch_id for found in queue_at(tmp_path)] == ["e1", "e2"]
    queue.remove(queue.get_all()[0])
    assert [found.epoch_id for found in queue_at(tmp_path)] == ["e2"]
    assert [path.name for path in (tmp_path / "letters.jsonl.values").iterdir()] == ["e2.pkl"]
    queue.clear()
    assert (tmp_path / "letters.jsonl").read_bytes() == b""
    assert list((tmp_path / "letters.jsonl.values").iterdir()) == []


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_torn_last_line_is_warned_of_and_cut_off(tmp_path: Path, cut: int) -> None:
    """Those before it are there, and what is added after it is whole."""
    queue = queue_at(tmp_path)
    queue.add(letter("e1"))
    queue.add(letter("e2"))
    path = tmp_path / "letters.jsonl"
    os.truncate(path, path.stat().st_size - cut)
    with pytest.warns(RuntimeWarning, match="torn"):
        again = queue_at(tmp_path)
    assert [found.epoch_id for found in again] == ["e1"]
    again.add(letter("e3"))
    assert [found.epoch_id for found in queue_at(tmp_path)] == ["e1", "e3"]


def test_rubbish_in_the_middle_costs_only_itself(tmp_path: Path) -> None:
    """Each bad line is warned of, by its number."""
    queue_at(tmp_path).add(letter("e1"))
    path = tmp_path / "letters.jsonl"
    path.write_text("not json\n[1]\n" + path.read_text())
    with pytest.warns(RuntimeWarning) as warned:
        assert [found.epoch_id for found in queue_at(tmp_path)] == ["e1"]
    assert [", line 1:" in str(warned[0].message), ", line 2:" in str(warned[1].message)] == [True, True]


class Unpicklable(Exception):
    """Holds what cannot be pickled."""

    def __reduce__(self):
        raise TypeError("not this one")


class OneWay:
    """Can be pickled, and not unpickled."""

    def __reduce__(self):
        return (_refuse, ())


def _refuse():
    raise RuntimeError("not here")


def test_what_cannot_be_pickled_is_told_and_costs_nothing_else(tmp_path: Path) -> None:
    """Its text stays in the line, the other values stay whole; so for what cannot be unpickled."""
    parts = {"packet_values": {"p1": 1, "p2": threading.Lock(), "p3": OneWay()}}
    queue = queue_at(tmp_path)
    with pytest.warns(RuntimeWarning, match="cannot be pickled"):
        queue.add(letter(error=Unpicklable("the text"), **parts))
    assert len(queue) == 1
    assert queue.error is None
    with pytest.warns(RuntimeWarning, match="not here"):
        (found,) = queue_at(tmp_path)
    assert found.packet_values == {"p1": 1}
    assert isinstance(found.exception, NetrunRuntimeError)
    assert "the text" in str(found.exception)


def test_a_lost_pickle_leaves_the_line(tmp_path: Path) -> None:
    """The exception is told by its text, the values are not known."""
    queue_at(tmp_path).add(letter(packet_values={"p1": 1}, input_packets={"in": ["p1"]}))
    (tmp_path / "letters.jsonl.values" / "e1-x.pkl").unlink()
    with pytest.warns(RuntimeWarning, match="cannot be read"):
        (found,) = queue_at(tmp_path)
    assert (str(found.exception), found.packet_values) == ("ValueError: no", {})


KILLED = """
import os, signal
from netrun import Net
from tests.nets import chain

def fails(ctx, packets):
    ctx.consume_packet(packets["in"][0])
    raise ValueError("no")

def die(error, node_name, epoch_id):
    os.kill(os.getpid(), signal.SIGKILL)

on_disk = {"dead_letter_queue": "file", "dead_letter_path": "letters.jsonl"}
net = Net(chain("A"), on_error="continue", error_callback=die, **on_disk)
net.set_node_exec("A", fails)
net.inject_packets("A", "in", ["precious"])
net.start()
"""


def test_an_entry_survives_kill_9_right_after_the_failure(tmp_path: Path) -> None:
    """The error callback comes after the letter and before the cancellation: killed there, the entry is on disk."""
    here = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here / "src"), str(here)])}
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, env=environment, timeout=60, check=False)
    assert done.returncode == -9
    (found,) = queue_at(tmp_path)
    assert list(found.packet_values.values()) == ["precious"]
    net = Net(chain("A"), dead_letter_queue="file", dead_letter_path=tmp_path / "letters.jsonl")
    net.set_node_exec("A", lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["in"][0])))
    net.redrive(net.dead_letter_queue.get_all()[0])
    net.start()
    assert net.take_outputs("A", "out") == ["precious"]
    assert list(queue_at(tmp_path)) == []


FULL = """
import resource, warnings
from netrun import Net
from tests.nets import chain

def fails(ctx, packets):
    ctx.consume_packet(packets["in"][0])
    raise ValueError("no")

net = Net(chain("A"), on_error="continue", dead_letter_queue="file", dead_letter_path="letters.jsonl")
net.set_node_exec("A", fails)
net.inject_packets("A", "in", ["small"])
net.start()
size = len(open("letters.jsonl").read())
resource.setrlimit(resource.RLIMIT_FSIZE, (size + ROOM, resource.RLIM_INFINITY))
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    net.inject_packets("A", "in", ["x" * BYTES, "after"])
    net.start()
assert "could not be written" in str(warned[0].message), warned
assert isinstance(net.dead_letter_queue.error, OSError)
assert [list(entry.packet_values.values())[0][:5] for entry in net.dead_letter_queue] == ["small", "xxxxx", "after"]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
net.inject_packets("A", "in", ["room again"])
net.start()
assert net.dead_letter_queue.error is None
print(len(net.dead_letter_queue))
"""


@pytest.mark.parametrize(("room", "size"), [(0, 10), (30, 10), (0, 5_000)])
def test_a_full_disk_costs_the_line_and_nothing_else(tmp_path: Path, room: int, size: int) -> None:
    """The pickle does not fit, or the line, or half of it: in memory it is, the net runs on, no rubbish stays."""
    code = FULL.replace("ROOM", str(room)).replace("BYTES", str(size))
    assert python(code, cwd=tmp_path, measured=False).strip() == "4"
    found = queue_at(tmp_path).get_all()
    assert [list(entry.packet_values.values()) for entry in found] == [["small"], ["room again"]]
    assert len(list((tmp_path / "letters.jsonl.values").iterdir())) == 2
