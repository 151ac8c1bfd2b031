"""Nets that save themselves, while they run and when they have."""

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from netrun import (
    CheckpointError,
    CheckpointMismatch,
    ConfigError,
    DeadLetterQueue,
    EpochLimitReached,
    Net,
    NetDefinition,
    NetStateError,
    autosave,
    states,
)
from netrun.checkpoint import copied, put, shape_of
from tests.carriers import CARRIERS, net_on, place_on
from tests.disks import no_room
from tests.nets import JumpingClock, chain, eventually, maps, python

SAVED = "netrun.checkpoint.write_folder"


def loaded(path: Any, func: Any = lambda value: value) -> Net:
    """A checkpoint of a chain of A and B, with functions."""
    net = Net.load_checkpoint(path, functions={name: maps(func) for name in "AB"}, checkpoint_path=None,
                              checkpoint_every=None)  # fmt: skip
    net._ledger.check()
    return net


def a_net(path: Any, every: Any = None, checkpoint_key: Any = None, **functions: Any) -> Net:
    """A chain of A and B that saves itself."""
    net = Net(chain("A", "B"), checkpoint_path=path, checkpoint_every=every, checkpoint_key=checkpoint_key)
    for name in "AB":
        net.set_node_exec(name, functions.get(name, maps(lambda value: value)))
    return net


@pytest.mark.parametrize("kill_at", [1, 2, 5, 9, 10])
def test_a_killed_process_goes_on_from_the_last_one(tmp_path: Path, kill_at: int) -> None:
    """With a save before each epoch no epoch that was saved is run again, and all comes out once."""
    code = f"""
import os, signal, sys
from tests.test_autosave import a_net
from tests.nets import maps
ran = open({str(tmp_path / "ran")!r}, "a")
def work(value):
    net._autosave.wait()
    ran.write(f"{{{{value}}}}\\n"); ran.flush()
    if value == {kill_at} and not {{again}}:
        os.kill(os.getpid(), signal.SIGKILL)
    return value
net = a_net({str(tmp_path / "run")!r}, "1 epochs", B=maps(work))
if not {{again}}:
    net.inject_packets("A", "in", range(1, 11))
net.start(resume={{again}})
print(net.take_outputs("B", "out"))
"""
    with pytest.raises(AssertionError) as killed:
        python(code.format(again=False), measured=False)
    assert "Traceback" not in str(killed.value)
    assert python(code.format(again=True)).strip() == str(list(range(1, 11)))
    ran = [int(line) for line in (tmp_path / "ran").read_text().splitlines()]
    assert ran == sorted([*range(1, 11), kill_at])


@pytest.mark.parametrize("carrier", [carrier for carrier in CARRIERS if carrier != "mixed"])
def test_the_engine_brings_rest_about_on_every_carrier(tmp_path: Path, carrier: str) -> None:
    """Each of the copies is of a whole net: what comes out of it is all of it, in order at each node."""
    from tests.carriers import Token, set_up

    path = tmp_path / "run"
    net = net_on(carrier, chain("A", "B"), checkpoint_path=path, checkpoint_every="3 epochs")
    for name in "AB":
        set_up(net, name, "pass", place_on(carrier, (False, None)), defer_net_actions=True, max_parallel_epochs=1)
    net.inject_packets("A", "in", [[Token("A.in", number)] for number in range(12)])
    copies: list[Any] = []
    from netrun.folders import write_folder

    def write(path: Any, *arguments: Any) -> None:
        write_folder(path, *arguments)
        copies.append(Net.load_checkpoint(path, resolve=False, executor_pools=net._config.executor_pools,
                                          checkpoint_path=None, checkpoint_every=None))  # fmt: skip

    with patch(SAVED, write):
        net.start()
    numbers = [token.number for (token,) in net.take_outputs("B", "out")]
    assert numbers == list(range(12))
    assert len(copies) > 1
    assert copies[0].get_startable_epochs() != []
    for copy in copies:
        copy._ledger.check()
        assert copy.poll().running == 0
        for name in "AB":
            copy.set_node_exec(name, maps(lambda value: value))
            copy.set_node_config(name, pool=None)
        copy.start()
        assert [token.number for (token,) in copy.take_outputs("B", "out")] == list(range(12))


def test_every_so_many_seconds(tmp_path: Path) -> None:
    """On the clock of the net, and once more at the end."""
    net = Net(chain("A"), checkpoint_path=tmp_path / "run", checkpoint_every=10)
    assert net._autosave is not None
    clock = net._driver.clock = JumpingClock(before_jump=net._autosave.wait)
    net.set_node_exec("A", maps(lambda value: value))
    net.set_node_config("A", rate_limit_per_second=1.0)
    net.inject_packets("A", "in", range(25))
    moments: list[float] = []
    write = net._autosave._write
    with patch.object(net._autosave, "_write", lambda snapshot: (moments.append(clock.time), write(snapshot))):
        net.start()
        net.start()
    assert [round(moment) for moment in moments] == [10, 20, 24]


def test_at_the_end_of_a_run_and_at_a_stop_but_not_at_each_step(tmp_path: Path) -> None:
    """Steps save when it is due."""
    net = a_net(tmp_path / "run")
    with patch(SAVED) as written:
        net.inject_packets("A", "in", [1, 2])
        while net.run_step():
            pass
        assert written.call_count == 0
        net.stop()
        assert written.call_count == 1
    net = a_net(tmp_path / "run")
    net.inject_packets("A", "in", [1])
    net.start()
    assert loaded(tmp_path / "run").take_outputs("B", "out") == [1]


def test_a_node_that_fails_leaves_a_checkpoint(tmp_path: Path) -> None:
    """Of the net as it is then."""
    net = a_net(tmp_path / "run", B=maps(lambda value: 1 / value))
    net.inject_packets("A", "in", [0, 1])
    with pytest.raises(Exception, match="division"):
        net.start()
    again = loaded(tmp_path / "run")
    assert len(again.dead_letter_queue) == 1
    again.start()
    assert again.take_outputs("B", "out") == [1]


def test_what_a_node_changes_while_it_is_written_is_not_in_the_copy(tmp_path: Path) -> None:
    """A list that a packet carries is as it was at the moment of rest."""
    may_write = threading.Event()
    put, first = autosave.put, []

    def late(net: Net, snapshot: Any, *arguments: Any) -> bool:
        may_write.wait(10)
        first.append(snapshot)
        return put(net, snapshot, *arguments) if len(first) == 1 else False

    def change(value: list[int]) -> list[int]:
        value.append(9)
        return value

    net = a_net(tmp_path / "run", "1 epochs", B=maps(change))
    net.inject_packets("A", "in", [[1], [2]])
    threading.Timer(0.2, may_write.set).start()
    with patch.object(autosave, "put", late):
        net.start()
    assert net.take_outputs("B", "out") == [[1, 9], [2, 9]]
    again = loaded(tmp_path / "run")
    again.start()
    assert again.take_outputs("B", "out") == [[1], [2]]


def test_the_net_goes_on_while_it_is_written(tmp_path: Path) -> None:
    """A slow disk holds nobody up; the next copy is taken when this one is written."""
    ended: list[float] = []
    copies: list[int] = []

    def write(*arguments: Any) -> None:
        copies.append(len(ended))
        time.sleep(0.2)

    def note(value: int) -> int:
        ended.append(time.monotonic())
        return value

    net = a_net(tmp_path / "run", "1 epochs", B=maps(note))
    net.inject_packets("A", "in", range(50))
    with patch(SAVED, write):
        net.start()
    assert len(ended) == 50
    assert len(copies) <= 3


def test_a_disk_that_takes_nothing_stops_no_net(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so, and it is tried again."""
    net = a_net(tmp_path / "run", "2 epochs")
    net.inject_packets("A", "in", range(3))
    with patch("os.fsync", no_room):
        net.start()
    assert "is not saved" in caplog.text
    assert "No space left" in caplog.text
    assert os.listdir(tmp_path) == []
    net.start()
    assert loaded(tmp_path / "run").take_outputs("B", "out") == [0, 1, 2]


def test_what_cannot_be_pickled_stops_no_net(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the packet."""
    net = a_net(tmp_path / "run", "1 epochs")
    net.inject_packets("A", "in", [threading.Lock(), 1])
    net.start()
    assert "a lock, cannot be pickled" in caplog.text
    assert len(net.take_outputs("B", "out")) == 2


@pytest.mark.parametrize("threaded", [False, True])
def test_resume(tmp_path: Path, threaded: bool) -> None:
    """Where there is none, it starts; where there is one, it goes on; also on a loop, and in the background."""
    net = a_net(tmp_path / "run")
    net.start(resume=True)
    net.inject_packets("A", "in", [1, 2])
    net.pause()
    net.save_checkpoint(tmp_path / "run")
    again = a_net(tmp_path / "run")
    if threaded:
        again.start(threaded=True, resume=True)
        assert again.wait_until_blocked(10)
    else:
        asyncio.run(again.async_start(resume=True))
    assert again.take_outputs("B", "out") == [1, 2]
    again.stop()


# -- what is new, and what is not ----------------------------------------------------------------------------------


def saved_in(path: Path, **options: Any) -> Net:
    """A net with two values that has run, and what it has saved."""
    net = a_net(path, **options)
    net.inject_packets("A", "in", [1, 2])
    net.start()
    return net


@pytest.mark.parametrize("ends", ["with", "stop", "start", "step"])
def test_a_net_that_nothing_was_in_leaves_the_checkpoint(tmp_path: Path, ends: str) -> None:
    """Also where its resume has failed, and whatever it does then."""
    path = tmp_path / "run"
    saved_in(path)
    other = Net(chain("A", "C"), checkpoint_path=path)
    if ends == "with":
        with pytest.raises(CheckpointMismatch), other:
            other.start(resume=True)
    elif ends == "stop":
        a_net(path).stop()
    elif ends == "start":
        a_net(path).start()
    else:
        with pytest.raises(CheckpointMismatch):
            other.start(resume=True)
        other.inject_packets("A", "in", [1])
        other.run_step()
        other.stop()
    assert loaded(path).take_outputs("B", "out") == [1, 2]


def test_a_resume_that_fails_is_told_when_something_new_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why the net is not saved."""
    saved_in(tmp_path / "run")
    other = Net(chain("A"), checkpoint_path=tmp_path / "run")
    other.set_node_exec("A", maps(lambda value: value))
    with pytest.raises(CheckpointMismatch):
        other.start(resume=True)
    other.inject_packets("A", "in", [3])
    other.start()
    other.stop()
    assert caplog.text.count("is not to be lost") == 1


def test_another_run_replaces_a_checkpoint_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its own it replaces without a word, and so does who goes on from it."""
    net = saved_in(tmp_path / "run")
    net.inject_packets("A", "in", [3])
    net.start()
    net.save_checkpoint(tmp_path / "run")
    net.inject_packets("A", "in", [4])
    net.stop()
    again = a_net(tmp_path / "run")
    again.start(resume=True)
    assert again.take_outputs("B", "out") == [1, 2, 3, 4]
    again.stop()
    assert caplog.text == ""
    saved_in(tmp_path / "run")
    assert "was replaced by its own" in caplog.text


def takes_outputs(net: Net) -> None:
    """Everything is taken."""
    assert net.take_outputs("B", "out") == [2]


def clears_letters(net: Net) -> None:
    """No letter is left."""
    net.dead_letter_queue.clear()


def consumes_another(net: Net) -> None:
    """An epoch ends that makes nothing."""
    net.start()


@pytest.mark.parametrize("does", [takes_outputs, clears_letters, consumes_another])
def test_what_made_no_packet_is_new_too(tmp_path: Path, does: Any) -> None:
    """A net that is stopped after it is saved as it is then."""

    def eats(ctx: Any, packets: Any) -> None:
        value = ctx.consume_packet(packets["in"][0])
        eaten.append(value)
        if value == 2:
            ctx.send("out", value)
        if value == 1:
            raise ValueError("no")

    eaten: list[int] = []
    path = tmp_path / "run"
    net = Net(chain("A", "B"), checkpoint_path=path, on_error="continue", max_epochs=5)
    net.set_node_exec("A", maps(lambda value: value))
    net.set_node_exec("B", eats)
    net.inject_packets("A", "in", [1, 2, 3])
    with pytest.raises(EpochLimitReached):
        net.start()
    assert eaten == [1, 2]
    does(net)
    net.stop()
    again = loaded(path)
    assert len(again.dead_letter_queue) == (does is not clears_letters)
    assert again.take_outputs("B", "out") == ([] if does is takes_outputs else [2])
    assert len(again.get_startable_epochs()) == (does is not consumes_another)


def test_a_letter_file_that_is_cleared_is_nothing_new_in_a_net_that_nothing_was_in(tmp_path: Path) -> None:
    """The checkpoint stays."""
    saved_in(tmp_path / "run")
    options = {"dead_letter_queue": "file", "dead_letter_path": tmp_path / "letters"}
    failing = Net(chain("A"), on_error="continue", **options)  # type: ignore[arg-type]
    failing.set_node_exec("A", maps(lambda value: 1 / value))
    failing.inject_packets("A", "in", [0])
    failing.start()
    other = Net(chain("A", "B"), checkpoint_path=tmp_path / "run", **options)  # type: ignore[arg-type]
    assert len(other.dead_letter_queue) == 1
    other.dead_letter_queue.clear()
    other.stop()
    assert loaded(tmp_path / "run").take_outputs("B", "out") == [1, 2]


def test_a_script_that_runs_twice(tmp_path: Path) -> None:
    """What goes in first goes in where there is no checkpoint; else it is in there, and so the mistake is told."""
    path = tmp_path / "run"
    assert not Net.has_checkpoint(path)
    saved_in(path)
    assert Net.has_checkpoint(path)
    again = a_net(path)
    again.inject_packets("A", "in", [1, 2])
    with pytest.raises(NetStateError, match="has_checkpoint"):
        again.start(resume=True)
    again.stop()
    assert loaded(path).take_outputs("B", "out") == [1, 2]


def test_the_functions_and_types_are_those_of_the_net_that_goes_on(tmp_path: Path) -> None:
    """Only what was in it comes from the checkpoint."""
    net = saved_in(tmp_path / "run")
    net.set_input_port_type("A", "in", int)
    net.inject_packets("A", "in", [5])
    net.stop()
    again = a_net(tmp_path / "run")
    again.set_input_port_type("A", "in", float)
    again.pause()
    with pytest.raises(Exception, match="takes float"):
        again.start(resume=True)
    assert again.get_input_port_type("A", "in") is float
    assert again.get_input_port_type("B", "in") is None


def test_a_key_signs_what_the_net_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it goes on from must be signed; a key is in no text."""
    net = saved_in(tmp_path / "run", checkpoint_key="secret")
    assert "secret" not in net.to_toml("omit") + repr(net._config)
    for key in (None, "guess"):
        with pytest.raises(CheckpointError, match=r"key|signed"):
            Net(chain("A", "B"), checkpoint_path=tmp_path / "run", checkpoint_key=key).start(resume=True)
    again = a_net(tmp_path / "run", checkpoint_key="secret")
    again.start(resume=True)
    assert again.take_outputs("B", "out") == [1, 2]
    again = Net.load_checkpoint(tmp_path / "run", resolve=False, key="secret")
    again.take_outputs("B", "out")
    again.stop()
    assert "signature" in (tmp_path / "run" / "manifest.json").read_text()
    for bad in ({"checkpoint_key": ""}, {"checkpoint_key": 3}):
        with pytest.raises(ConfigError, match="checkpoint_key"):
            Net(chain("A"), checkpoint_path=tmp_path / "x", **bad)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="needs a checkpoint_path"):
        Net(chain("A"), checkpoint_key="secret")


# -- rest that is sought --------------------------------------------------------------------------------------------


def test_a_net_that_idles_is_saved_when_it_is_time(tmp_path: Path) -> None:
    """In the background, with nothing to do."""
    net = a_net(tmp_path / "run", 0.05)
    net.start(threaded=True)
    net.inject_packets("A", "in", [1, 2])
    net.wait_until_blocked(10)
    manifest = tmp_path / "run" / "manifest.json"
    eventually(manifest.exists)
    net._autosave.wait()  # type: ignore[union-attr]
    assert net.take_outputs("B", "out") == [1, 2]
    before = manifest.read_bytes()
    eventually(lambda: manifest.exists() and manifest.read_bytes() != before)
    with patch(SAVED, side_effect=AssertionError("there is nothing new")):
        net.stop()
    assert loaded(tmp_path / "run").take_outputs("B", "out") == []


def test_a_net_that_waits_for_a_retry_is_saved_when_it_is_time(tmp_path: Path) -> None:
    """A copy comes after 10 s of 1000, and one at the end."""
    moments: list[float] = []

    def fails(value: int) -> int:
        raise OSError("not yet")

    net = Net(chain("A"), checkpoint_path=tmp_path / "run", checkpoint_every=10, on_error="continue")
    assert net._autosave is not None
    clock = net._driver.clock = JumpingClock(before_jump=net._autosave.wait)
    net.set_node_exec("A", maps(fails))
    net.set_node_config("A", retries=1, retry_wait=1000, defer_net_actions=True)
    net.inject_packets("A", "in", [1])
    with patch.object(net._autosave, "_write", lambda snapshot: moments.append(clock.time)):
        net.start()
    assert moments == [10, 1000]


def test_an_attempt_that_needs_others_does_not_hold_the_net(tmp_path: Path) -> None:
    """A producer in a pool that waits until its values were worked on."""
    net = Net(chain("A", "B"), thread_pools={"t": {"size": 1}}, checkpoint_path=tmp_path / "run",
              checkpoint_every="10 epochs")  # fmt: skip
    room, worked = threading.Semaphore(2), []

    def produce(ctx: Any, packets: Any) -> None:
        for number in range(ctx.consume_packet(packets["in"][0])):
            assert room.acquire(timeout=30)
            ctx.send("out", number)

    def work(value: int) -> int:
        worked.append(value)
        room.release()
        return value

    net.set_node_exec("A", produce)
    net.set_node_exec("B", maps(work))
    net.set_node_config("A", pool="t")
    net.inject_packets("A", "in", [60])
    net.start()
    assert worked == list(range(60))
    net.stop()
    assert loaded(tmp_path / "run").poll().nodes["B"].finished == 60


def test_rest_that_never_comes_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing begins for a twentieth of the time at the most, and the net goes on."""
    saver = Net(chain("A"), checkpoint_path=tmp_path / "run", checkpoint_every=1)._autosave
    assert saver is not None
    held, now = 0.0, 0.0
    saver.look(now, rests=False)
    saver.begun = 1
    while now < 1000:
        holds = saver.look(now, rests=False)
        moment = saver.looks_at()
        assert moment is not None
        assert moment > now
        held += (moment - now) * holds
        now = moment
    assert 0 < held < 60
    assert caplog.text.count("does not come to rest") == 1
    saver.begun = 0


# -- copies beside others --------------------------------------------------------------------------------------------


def test_an_older_copy_never_replaces_a_newer_one(tmp_path: Path) -> None:
    """However long the older one takes to be written."""
    net = a_net(tmp_path / "run")
    net.inject_packets("A", "in", [1])
    net.pause()
    older = copied(net, tmp_path / "run")
    net.inject_packets("A", "in", [2])
    net.save_checkpoint(tmp_path / "run")
    put(net, older, shape_of(net.graph), tmp_path / "run")
    assert loaded(tmp_path / "run").poll().waiting_packets == 2


def test_a_copy_holds_a_letter_or_its_packets(tmp_path: Path) -> None:
    """Whenever another thread redrives it."""
    for at in range(2):
        net = Net(chain("A"), on_error="continue")
        net.set_node_exec("A", maps(lambda value: 1 / value))
        net.inject_packets("A", "in", [0])
        net.start()
        (letter,) = net.dead_letter_queue
        redriven = threading.Thread(target=net.redrive, args=(letter,))
        name = ("_told_task", "_told_door")[at]
        real = getattr(states, name)

        def told(*arguments: Any, real: Any = real, redriven: Any = redriven) -> Any:
            if redriven.ident is None:
                redriven.start()
                redriven.join(0.2)
            return real(*arguments)

        with patch.object(states, name, told):
            net.save_checkpoint(tmp_path / str(at))
        redriven.join()
        again = Net.load_checkpoint(tmp_path / str(at), resolve=False)
        again._ledger.check()
        assert len(again.dead_letter_queue) + again.poll().waiting_packets == 1


ASKED, MAY_GO = threading.Event(), threading.Event()


def slow() -> int:
    """A value that takes its time."""
    ASKED.set()
    MAY_GO.wait(10)
    return 7


def test_a_letter_that_is_redriven_is_not_copied_with_its_packets(tmp_path: Path) -> None:
    """Between the two a copy waits."""
    net = Net(chain("A"), on_error="continue")
    net.set_node_exec("A", maps(lambda value: 1 / value))
    net.inject_packets("A", "in", [0])
    net.start()
    saver = threading.Thread(target=net.save_checkpoint, args=(tmp_path / "run",))
    remove = DeadLetterQueue.remove

    def slowly(queue: DeadLetterQueue, entry: Any) -> None:
        saver.start()
        saver.join(0.2)
        remove(queue, entry)

    with patch.object(DeadLetterQueue, "remove", slowly):
        net.redrive(next(iter(net.dead_letter_queue)))
    saver.join()
    again = Net.load_checkpoint(tmp_path / "run", resolve=False)
    assert (len(again.dead_letter_queue), again.poll().waiting_packets) == (0, 1)


def test_what_is_being_taken_out_is_in_a_copy(tmp_path: Path) -> None:
    """Until it is handed out it may come back."""

    def lazy(ctx: Any, packets: Any) -> None:
        ctx.consume_packet(packets["in"][0])
        ctx.load_output_port("out", ctx.create_packet_from_value_func(slow))
        ctx.send_output_salvo("out")

    net = Net(chain("A"))
    net.set_node_exec("A", lazy)
    net.inject_packets("A", "in", [1])
    net.start()
    taker = threading.Thread(target=net.take_outputs, args=("A", "out"))
    taker.start()
    assert ASKED.wait(10)
    net.save_checkpoint(tmp_path / "run")
    MAY_GO.set()
    taker.join()
    again = Net.load_checkpoint(tmp_path / "run", resolve=False)
    again._ledger.check()
    net.save_checkpoint(tmp_path / "run")
    assert len(again._ledger._packets) == 1
    assert len(Net.load_checkpoint(tmp_path / "run", resolve=False)._ledger._packets) == 0


def test_a_copy_that_fails_stops_no_net(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A value's file that somebody has removed, for instance; asked for by hand it is told."""
    net = Net(chain("A"), packet_storage_path=tmp_path / "values", checkpoint_path=tmp_path / "run")
    net.inject_packets("A", "in", [1])
    net.pause()
    for file in (tmp_path / "values").glob("*.pkl"):
        file.unlink()
    with pytest.raises(CheckpointError, match="No such file"):
        net.save_checkpoint(tmp_path / "run")
    net.start()
    assert "is not saved" in caplog.text


def test_files_of_values_that_go_while_they_are_copied(tmp_path: Path) -> None:
    """They stay until the copy is written, and no longer."""
    net = Net(chain("A"), packet_storage_path=tmp_path / "values")
    net.set_node_exec("A", lambda ctx, packets: ctx.consume_packet(packets["in"][0]))
    net.inject_packets("A", "in", [1, 2])
    net.pause()
    snapshot = copied(net, tmp_path / "run")
    net.start()
    assert len(list((tmp_path / "values").iterdir())) == 2
    put(net, snapshot, shape_of(net.graph), tmp_path / "run")
    assert list((tmp_path / "values").iterdir()) == []
    again = Net.load_checkpoint(tmp_path / "run", resolve=False)
    assert [again.value_store.get_value(packet.id) for packet in again._ledger._packets.values()] == [1, 2]


def test_a_loop_runs_while_the_end_is_written(tmp_path: Path) -> None:
    """On the caller's loop, too."""
    written, ran = threading.Event(), threading.Event()

    def write(*arguments: Any) -> None:
        assert ran.wait(10)
        written.set()

    async def other() -> None:
        ran.set()

    async def main() -> None:
        net = a_net(tmp_path / "run")
        net.inject_packets("A", "in", [1])
        with patch(SAVED, write):
            start = asyncio.create_task(net.async_start())
            while not start.done() and not net._autosave._is_writing:  # type: ignore[union-attr]
                await asyncio.sleep(0.001)
            await other()
            await start
        net.stop()

    asyncio.run(main())
    assert written.is_set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_was_forked_while_a_checkpoint_was_written_can_save(tmp_path: Path) -> None:
    """The lock of its parent's writer is not its own."""
    code = f"""
import os, threading
from unittest.mock import patch
from tests.test_autosave import a_net
from netrun.checkpoint import _writing
net = a_net({str(tmp_path / "own")!r})
net.inject_packets("A", "in", [1])
net.pause()
held, done = threading.Event(), threading.Event()
def hold():
    with _writing.lock:
        held.set()
        done.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    net.save_checkpoint({str(tmp_path / "run")!r})
    os._exit(0)
print(os.waitpid(child, 0)[1], os.path.isdir({str(tmp_path / "run")!r}))
done.set()
"""
    assert python(code, measured=False).strip() == "0 True"


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="needs signals")
def test_a_net_that_a_signal_pauses_is_saved(tmp_path: Path) -> None:
    """With what has not begun."""

    def work(value: int) -> int:
        if value == 2:
            signal.raise_signal(signal.SIGINT)
        return value

    net = a_net(tmp_path / "run", A=maps(work))
    net.inject_packets("A", "in", [1, 2, 3])
    net.start()
    assert net.poll().paused_by == "signal"
    again = loaded(tmp_path / "run")
    again.start()
    assert again.take_outputs("B", "out") == [1, 2, 3]


def test_the_options_are_checked_and_survive_as_text(tmp_path: Path) -> None:
    """A number of seconds, or so many epochs."""
    for every in (0, -1, True, "often", "0 epochs", "-3 epochs", "3 hours", float("nan")):
        with pytest.raises(ConfigError, match="checkpoint_every"):
            Net(chain("A"), checkpoint_path=tmp_path / "run", checkpoint_every=every)
    with pytest.raises(ConfigError, match="needs a checkpoint_path"):
        Net(chain("A"), checkpoint_every=3)
    with pytest.raises(ConfigError, match="must be a path"):
        Net(chain("A"), checkpoint_path=3)  # type: ignore[arg-type]
    net = Net(chain("A"), checkpoint_path=tmp_path / "run", checkpoint_every="7 epochs")
    again = NetDefinition.from_toml(net.to_toml()).build()
    assert (again._config.checkpoint_path, again._config.checkpoint_every) == (str(tmp_path / "run"), "7 epochs")


def test_what_was_set_aside_goes_on(tmp_path: Path) -> None:
    """Epochs that a limit holds are asked again, also where nothing of the node is set after the resume."""

    def limited() -> Net:
        net = Net(chain("A"), checkpoint_path=tmp_path / "run")
        net.set_node_exec("A", maps(lambda value: value))
        net.set_node_config("A", rate_limit_per_second=1.0)
        return net

    net = limited()
    net._driver.clock = JumpingClock(before_jump=net.pause)
    net.inject_packets("A", "in", [1, 2, 3])
    net.start()
    assert len(net._ledger.doors["A"].shelf) == 2
    again = limited()
    clock = again._driver.clock = JumpingClock()
    again.start(resume=True)
    assert again.take_outputs("A", "out") == [1, 2, 3]
    assert len(clock.jumps) == 1
