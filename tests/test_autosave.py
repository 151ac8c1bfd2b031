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

from netrun import ConfigError, Net, NetDefinition
from tests.carriers import CARRIERS, net_on, place_on
from tests.disks import no_room
from tests.nets import JumpingClock, chain, maps, python

SAVED = "netrun.checkpoint.write_folder"


def loaded(path: Any, func: Any = lambda value: value) -> Net:
    """A checkpoint of a chain of A and B, with functions."""
    net = Net.load_checkpoint(path, functions={name: maps(func) for name in "AB"}, checkpoint_path=None,
                              checkpoint_every=None)  # fmt: skip
    net._ledger.check()
    return net


def a_net(path: Any, every: Any = None, **functions: Any) -> Net:
    """A chain of A and B that saves itself."""
    net = Net(chain("A", "B"), checkpoint_path=path, checkpoint_every=every)
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
    from netrun.folders import write_folder

    def write(path: Any, *arguments: Any) -> None:
        may_write.wait(10)
        if not (tmp_path / "run").exists():
            write_folder(path, *arguments)

    def change(value: list[int]) -> list[int]:
        value.append(9)
        return value

    net = a_net(tmp_path / "run", "1 epochs", B=maps(change))
    net.inject_packets("A", "in", [[1], [2]])
    threading.Timer(0.2, may_write.set).start()
    with patch(SAVED, write):
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
