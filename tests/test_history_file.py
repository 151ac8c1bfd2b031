"""The history file: whole lines, whatever happens to it."""

import itertools
import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from netrun import ConfigError, EventHistory, Net
from tests.histories import Replay
from tests.nets import chain, environment, eventually, maps, python


def net_with(path: Path | str, **options: Any) -> Net:
    net = Net(chain("A", "B"), history_file=path, **options)
    net.set_node_exec("A", maps(int))
    net.set_node_exec("B", maps(int))
    return net


def run(net: Net, *values: int) -> Net:
    net.inject_packets("A", "in", values)
    net.start()
    return net


def test_what_is_read_is_what_is_in_memory(tmp_path: Path) -> None:
    net = run(net_with(tmp_path / "deep" / "history.jsonl"), 1, 2, 3)
    entries = net.history.get_entries()
    assert EventHistory.read(tmp_path / "deep" / "history.jsonl") == entries != []
    run(net, 4)
    net.stop()
    again = EventHistory.read(tmp_path / "deep" / "history.jsonl")
    assert again == net.history.get_entries()
    assert len(again) > len(entries)
    assert Replay(net.graph, again).ids


def test_each_line_is_an_object_of_its_own(tmp_path: Path) -> None:
    run(net_with(tmp_path / "h"), 1).stop()
    for line in (tmp_path / "h").read_text().splitlines():
        record = json.loads(line)
        kind = record["type"]
        assert [*record][:3] == ["type", "id", "timestamp"]
        assert [*record][3] == {"action": "action", "event": "event", "epoch": "epoch_id"}[kind]
        assert ("action_id" in record) == (kind == "event")


def test_cut_at_every_byte_of_the_last_three_lines(tmp_path: Path) -> None:
    path, cut = tmp_path / "h", tmp_path / "cut"
    net = run(net_with(path), 1, 2)
    net.stop()
    entries, content = net.history.get_entries(), path.read_bytes()
    lines = content.splitlines(keepends=True)
    whole = b"".join(lines[:-3])
    for size in range(len(whole), len(content) + 1):
        cut.write_bytes(content[:size])
        complete = content[:size].count(b"\n")
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            assert EventHistory.read(cut) == entries[:complete]
        torn = not content[:size].endswith(b"\n")
        assert len(warned) == int(torn)
        assert not torn or "torn" in str(warned[0].message)


def test_a_torn_line_is_cut_off_when_the_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "h"
    run(net_with(path), 1).stop()
    whole = EventHistory.read(path)
    with path.open("ab") as file:
        file.write(b'{"type":"event","id":"h7')
    with pytest.warns(RuntimeWarning, match="torn"):
        net = net_with(path)
    run(net, 2).stop()
    entries = EventHistory.read(path)
    assert entries[: len(whole)] == whole
    assert entries[len(whole) :] == net.history.get_entries()
    assert len({one.id for one in entries}) == len(entries), "ids are unique over nets"


@pytest.mark.parametrize("content", [b"no newline at all", b"x" * 200_000, b"y" * 70_000 + b"\n" + b"z" * 70_000])
def test_a_file_with_a_long_torn_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "h"
    path.write_bytes(content)
    with pytest.warns(RuntimeWarning, match="torn"):
        net_with(path).stop()
    assert path.read_bytes() == content[: content.rfind(b"\n") + 1]


def test_a_line_that_is_no_entry_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "h"
    run(net_with(path), 1).stop()
    entries, lines = EventHistory.read(path), path.read_bytes().splitlines(keepends=True)
    bad = [
        b"{}\n",
        b"[" * 100_000 + b"\n",
        b"nonsense\n",
        b"\xff\xfe\n",
        b"\n",
        b"[1]\n",
        b'{"type":"event","id":"h","timestamp":7}\n',
    ]
    path.write_bytes(b"".join([lines[0], *bad, *lines[1:]]))
    with pytest.warns(RuntimeWarning, match=r"line 2 cannot be read .* …") as warned:
        assert EventHistory.read(path) == entries
    assert len(warned) == 1
    with pytest.raises(FileNotFoundError):
        EventHistory.read(tmp_path / "none")


def test_two_nets_on_one_file(tmp_path: Path) -> None:
    path = tmp_path / "h"
    first = net_with(path)
    (tmp_path / "link").symlink_to(path)
    for other in (path, str(path), tmp_path / "link", tmp_path / "x" / ".." / "h"):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(ConfigError, match="another net writes"):
            net_with(other)
    run(first, 1).stop()
    run(net_with(path), 2).stop()
    assert len({one.id.split("-")[1] for one in EventHistory.read(path)}) == 2


def test_a_net_of_another_process_on_the_file(tmp_path: Path) -> None:
    first = net_with(tmp_path / "h")
    code = f"""
from netrun import ConfigError
from tests.test_history_file import net_with
try:
    net_with({str(tmp_path / "h")!r})
except ConfigError as error:
    print("refused")
"""
    assert python(code) == "refused\n"
    first.stop()
    assert python(code) == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_a_forked_child_does_not_keep_the_file(tmp_path: Path) -> None:
    """Neither when the net has stopped, nor when its process was killed. As long as it runs, the file is its own."""
    path = tmp_path / "h"
    code = f"""
import multiprocessing, os, signal, sys, time
from tests.test_history_file import net_with
net = net_with({str(path)!r})
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
child.start()
try:
    net_with({str(path)!r})
except Exception as error:
    print(error, flush=True)
if sys.argv[1] == "stop":
    net.stop()
    net_with({str(path)!r}).stop()
    child.kill()
else:
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    for end in ("stop", "kill"):
        arguments = [sys.executable, "-c", code, end]
        with subprocess.Popen(arguments, env=environment(measured=False), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert "another net writes" in process.stdout.readline()
            orphan = process.stdout.readline()
            process.wait(30)
            try:
                assert process.returncode == (0 if end == "stop" else -signal.SIGKILL)
                net_with(path).stop()
            finally:
                if orphan:
                    os.kill(int(orphan), signal.SIGKILL)


@pytest.mark.parametrize("make", [lambda path: os.mkfifo(path), lambda path: path.mkdir()], ids=["FIFO", "folder"])
def test_what_is_no_file(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "h")
    for path in (tmp_path / "h", "a\0b"):
        with pytest.raises(ConfigError, match="cannot be opened"):
            net_with(path)


def test_a_net_that_is_gone_leaves_its_file(tmp_path: Path) -> None:
    net = run(net_with(tmp_path / "h", history_flush_on_pause=False, history_chunk_size=10_000), 1)
    ids = [one.id for one in net.history.get_entries()]
    del net
    import gc

    gc.collect()
    assert [one.id for one in EventHistory.read(tmp_path / "h")] == ids
    net_with(tmp_path / "h").stop()


def test_a_failing_construction_leaves_the_file_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        net_with(tmp_path / "h", on_error="perhaps")
    with pytest.raises(ConfigError, match="cannot be opened"):
        net_with(tmp_path)
    net_with(tmp_path / "h").stop()


# -- when it is written -----------------------------------------------------------------------------------------------


def lines_of(path: Path) -> int:
    content = path.read_bytes()
    assert content == b"" or content.endswith(b"\n"), "whole lines at a time"
    return content.count(b"\n")


def test_a_full_chunk_is_written(tmp_path: Path) -> None:
    path, seen = tmp_path / "h", []
    net = net_with(path, history_chunk_size=50, history_flush_on_pause=False)

    def look(ctx: Any, packets: Any) -> None:
        ctx.consume_packet(packets["in"][0])
        seen.append(lines_of(path))

    net.set_node_exec("A", look)
    run(net, *range(40))
    behind = [len(EventHistory.read(path)) - written for written in seen]
    steps = sorted({b - a for a, b in itertools.pairwise(seen)})
    assert steps[0] == 0
    assert 25 <= steps[-1] <= 100
    assert behind[-1] <= 100
    missing = len(net.history) - lines_of(path)
    assert 0 <= missing <= 100
    net.history.flush()
    assert lines_of(path) == len(net.history)
    net.stop()


@pytest.mark.parametrize("flushes", [True, False])
def test_at_a_pause(tmp_path: Path, flushes: bool) -> None:
    path = tmp_path / "h"
    net = net_with(path, history_flush_on_pause=flushes, history_chunk_size=10_000)
    run(net, 1)
    assert (lines_of(path) > 0) == flushes
    net.start(threaded=True)
    net.inject_packets("A", "in", [2])
    assert net.wait_until_blocked(10)
    assert (lines_of(path) == len(net.history)) == flushes or not flushes
    net.stop()
    assert lines_of(path) == len(net.history)


async def _async_run(net: Net) -> None:
    net.inject_packets("A", "in", [1])
    await net.async_start()


def test_at_a_pause_on_a_loop(tmp_path: Path) -> None:
    import asyncio

    net = net_with(tmp_path / "h", history_chunk_size=10_000)
    asyncio.run(_async_run(net))
    assert lines_of(tmp_path / "h") == len(net.history)
    net.stop()


def test_at_the_end_of_the_interpreter(tmp_path: Path) -> None:
    code = f"""
from tests.test_history_file import net_with, run
net = run(net_with({str(tmp_path / "h")!r}, history_flush_on_pause=False, history_chunk_size=10_000), 1, 2)
print(len(net.history._recorder._fresh))
"""
    assert int(python(code)) > 0
    kinds = [one.event_type for one in EventHistory.read(tmp_path / "h")]
    assert kinds.count("EpochFinished") == 4


def test_a_forked_child_does_not_write_what_is_its_parents(tmp_path: Path) -> None:
    code = f"""
import os
from tests.test_history_file import net_with, run
net = run(net_with({str(tmp_path / "h")!r}, history_flush_on_pause=False, history_chunk_size=10_000), 1)
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
"""
    python(code, measured=False)
    entries = EventHistory.read(tmp_path / "h")
    assert entries
    assert len({one.id for one in entries}) == len(entries)


def test_killed_in_the_middle(tmp_path: Path) -> None:
    """All lines but the last are whole, and in order, without a gap."""
    path = tmp_path / "h"
    code = f"""
from tests.test_history_file import net_with, run
net = net_with({str(path)!r})
while True:
    run(net, *range(50))
"""
    process = subprocess.Popen([sys.executable, "-c", code], env=environment(measured=False))
    try:
        eventually(lambda: path.exists() and path.stat().st_size > 100_000, 30)
    finally:
        process.kill()
        process.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        entries = EventHistory.read(path)
    numbers = [int(one.id.split(".")[0][1:]) for one in entries]
    assert sorted(set(numbers)) == list(range(1, numbers[-1] + 1))


# -- when it cannot be written ----------------------------------------------------------------------------------------


def test_a_file_that_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "h"
    net = run(net_with(path), 1)
    assert net.history.error is None
    path.unlink()
    before = len(net.history)
    with pytest.warns(RuntimeWarning, match="was removed") as warned:
        [run(net, number) for number in range(5)]
    assert len(warned) == 1
    assert isinstance(net.history.error, FileNotFoundError)
    assert net.history.lost == len(net.history) - before
    assert net.take_outputs("B", "out") == [1, 0, 1, 2, 3, 4]
    net.stop()
    assert not path.exists()


@pytest.mark.parametrize(
    "look",
    [lambda net: net.history.flush(), lambda net: net.start(), lambda net: net.stop(), lambda net: run(net, 2)],
    ids=["flush", "rest", "stop", "run"],
)
def test_a_file_that_is_removed_is_missed_at_once(tmp_path: Path, look: Any) -> None:
    net = run(net_with(tmp_path / "h"), 1)
    (tmp_path / "h").unlink()
    with pytest.warns(RuntimeWarning, match="was removed") as warned:
        look(net)
    net.stop()
    assert len(warned) == 1
    assert isinstance(net.history.error, FileNotFoundError)


def test_a_file_that_somebody_else_has_made_shorter(tmp_path: Path) -> None:
    """A write that fails is taken back to where it began, which is not where the last one ended."""
    code = f"""
import os, resource, warnings
from netrun import EventHistory
from tests.test_history_file import net_with, run
warnings.simplefilter("ignore")
path = {str(tmp_path / "h")!r}
net = run(net_with(path, history_chunk_size=10_000), *range(20))
os.truncate(path, 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
run(net, 1)
print(type(net.history.error).__name__, os.path.getsize(path))
"""
    assert python(code, measured=False) == "OSError 0\n"


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """The part of a write that went through is taken back, so that the lines stay whole. The net goes on."""
    code = f"""
import resource, warnings
from netrun import EventHistory
from tests.test_history_file import net_with, run
path = {str(tmp_path / "h")!r}
net = run(net_with(path), 1)
size = len(open(path, "rb").read())
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, resource.RLIM_INFINITY))
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    for number in range(5):
        run(net, number)
print(len(warned), type(net.history.error).__name__, net.history.lost > 0, net.take_outputs("B", "out"))
print(len(open(path, "rb").read()) - size)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
run(net, 9).stop()
entries = EventHistory.read(path)
print(len(entries) + net.history.lost == len(net.history), entries[-1].entry_type)
"""
    told, left, after = python(code).splitlines()
    assert told == "1 OSError True [1, 0, 1, 2, 3, 4]"
    assert left == "0"
    assert after == "True epoch"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that takes nothing")
def test_a_device_that_takes_nothing() -> None:
    net = net_with("/dev/full")
    with pytest.warns(RuntimeWarning, match="cannot be written") as warned:
        run(net, 1, 2).stop()
    assert len(warned) == 1
    assert net.history.lost == len(net.history) > 0
    assert isinstance(net.history.error, OSError)
