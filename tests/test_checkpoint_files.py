"""Whatever happens to the files of a checkpoint, while they are written or after."""

import errno
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from netrun import (
    CheckpointCorrupt,
    CheckpointError,
    CheckpointMismatch,
    ConfigError,
    Graph,
    Net,
    NetNotPausedError,
    NetState,
    NetStateError,
    folders,
)
from netrun.folders import FILES, MANIFEST, _canonical, _sum, has_folder, read_folder, write_folder
from tests.disks import Disk, counted, interrupt, no_room, put, tree_of
from tests.nets import JumpingClock, chain, collects, environment, maps, node, python

GOLDEN = Path(__file__).parent / "golden" / "checkpoint-1"


def a_net(*values: Any) -> Net:
    """A net with these values before its first node."""
    net = Net(chain("A", "B"))
    net.inject_packets("A", "in", values)
    net.pause()
    return net


def inside(path: Any, **options: Any) -> list[Any]:
    """What comes out of a checkpoint of `a_net`."""
    net = Net.load_checkpoint(path, functions={name: maps(lambda value: value) for name in "AB"}, **options)
    net._ledger.check()
    assert (net.state, net.poll().paused_by) == (NetState.PAUSED, None)
    net.start()
    return net.take_outputs("B", "out")


# -- while it is written -----------------------------------------------------------------------------------------------

FACTS = {"omitted": [], "versions": {"netrun": "0.1.0"}}


def files(number: int, *left_out: str) -> dict[str, bytes]:
    """The files of a checkpoint, all of which tell its number."""
    return {name: f"{name} {number}".encode() for name in FILES if name not in left_out}


def write(path: Any, number: int, *left_out: str) -> None:
    """Save it."""
    write_folder(path, files(number, *left_out), FACTS)


def number_at(path: Any) -> int | None:
    """Which one is there, in all its files; None where there is none."""
    try:
        found = read_folder(path)[1]
    except CheckpointError as error:
        if type(error) is CheckpointError and "there is none" in str(error):
            return None
        raise
    (number,) = {int(content.split()[-1]) for content in found.values()}
    return number


def is_tidy(path: Any) -> bool:
    """Whether there are only the files of a checkpoint, if any."""
    return not os.path.exists(path) or set(os.listdir(path)) <= {*FILES, MANIFEST}


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that does not wait."""
    monkeypatch.setattr(os, "fsync", lambda opened: None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_call_the_old_or_the_new_one_loads(tmp_path: Path) -> None:
    """At each call that changes the disk; a write is done by half. The next save clears away what was left."""
    print_ = python(
        f"""
import os
from netrun import Net
from tests.disks import killed_at_each
os.fsync = lambda opened: None
from tests.test_checkpoint_files import a_net, inside, is_tidy

path = {str(tmp_path / "run")!r}
found = []
for number, name in killed_at_each(
    path, lambda: a_net(1, 2, 3).save_checkpoint(path), lambda: a_net(0).save_checkpoint(path)
):
    found.append(inside(path))
    assert found[-1] in ([0], [1, 2, 3]), (number, name, found[-1])
a_net(4).save_checkpoint(path)
assert os.listdir({str(tmp_path)!r}) == ["run"] and is_tidy(path)
changes = [a != b for a, b in zip(found, found[1:])]
assert found[0] == [0] and found[-1] == [1, 2, 3] and sum(changes) == 1, found
print(len(found))
""",
        measured=False,
    )
    assert int(print_) > 25


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_while_the_first_one_is_written_there_is_none_or_the_new_one(tmp_path: Path) -> None:
    """And the next save works."""
    python(
        f"""
import os, shutil
from netrun import CheckpointError
from tests.disks import killed_at_each
os.fsync = lambda opened: None
from tests.test_checkpoint_files import a_net, inside, is_tidy

path = {str(tmp_path / "run")!r}
found = []
for number, name in killed_at_each(path, lambda: a_net(1).save_checkpoint(path), lambda: shutil.rmtree(path, True)):
    try:
        found.append(inside(path))
    except CheckpointError as error:
        assert "there is none" in str(error), error
        found.append(None)
assert found[0] is None and found[-1] == [1] and all(one in (None, [1]) for one in found)
a_net(2).save_checkpoint(path)
assert inside(path) == [2] and is_tidy(path)
""",
        measured=False,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_again_while_it_clears_away_what_was_left(tmp_path: Path) -> None:
    """Twice in a row, at each two calls that change names: the one that was decided upon last loads, and the next save
    works."""
    python(
        f"""
import os
from unittest.mock import patch
from tests.disks import counted, die, killed_at_each
from tests.test_checkpoint_files import is_tidy, number_at, write

path = {str(tmp_path / "run")!r}
names = ("mkdir", "replace", "unlink", "rmdir")
with patch("os.fsync"):
    write(path, 0, "history.jsonl")
    with counted(names=names) as counts:
        write(path, 1)

    def prepare(first):
        write(path, 0, "history.jsonl")
        child = os.fork()
        if child == 0:
            with counted(first, die, names=names):
                write(path, 1)
        os.waitpid(child, 0)

    for first in range(1, len(counts.calls) + 1):
        prepare(first)
        before = number_at(path)
        assert before in (0, 1)
        again = lambda: write(path, 2, "history.jsonl")
        for number, name in killed_at_each(path, again, lambda: prepare(first), names):
            assert number_at(path) in (before, 2), (first, number, name)
    write(path, 3)
assert number_at(path) == 3 and is_tidy(path)
""",
        measured=False,
    )


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("left_out", [(), ("history.jsonl",)])
def test_when_the_power_is_cut_the_old_or_the_new_one_loads(
    tmp_path: Path, first: bool, left_out: tuple[str, ...]
) -> None:
    """At each moment, whatever the disk has of what was not synced; once the save has returned, the new one. And then
    the next save works, and clears away what was left."""
    root, path = str(tmp_path / "root"), tmp_path / "root" / "deep" / "run"
    os.mkdir(root)
    if not first:
        write(path, 0)
    disk = Disk(root)
    with disk.trace():
        write(path, 1, *left_out)
    old = None if first else 0
    found = []
    with patch("os.fsync"):
        for tree in disk.cuts:
            put(dict(tree), root)
            found.append(number_at(path))
            write(path, 2)
            assert number_at(path) == 2
            assert is_tidy(path)
        assert set(found) == {old, 1}
        for tree in disk.after_a_cut():
            put(tree, root)
            assert number_at(path) == 1
    assert len(found) > 30


def test_when_the_power_is_cut_after_a_kill_one_of_them_loads(tmp_path: Path) -> None:
    """A save was killed when it had decided and the disk did not have that yet; then the next one."""

    def killed(folder: str, beside: str, has_old: bool) -> None:
        os.replace(os.path.join(beside, MANIFEST), os.path.join(folder, MANIFEST))
        raise KeyboardInterrupt

    root, path = str(tmp_path / "root"), tmp_path / "root" / "run"
    os.mkdir(root)
    write(path, 0)
    disk = Disk(root)
    with disk.trace():
        with patch("netrun.folders._decide", killed), patch("netrun.folders._settle"), suppress(KeyboardInterrupt):
            write(path, 1)
        write(path, 2)
    found = set()
    with patch("os.fsync"):
        for tree in disk.cuts:
            put(dict(tree), root)
            found.add(number_at(path))
            write(path, 3)
            assert number_at(path) == 3
            assert is_tidy(path)
    assert found == {0, 1, 2}


def test_a_disk_that_fails_at_any_call_leaves_the_old_one_and_no_rubbish(tmp_path: Path, fast: None) -> None:
    """No room, or a failing fsync: an error that names the path. Once the new one is in place, no error."""
    path = tmp_path / "run"
    a_net(0).save_checkpoint(path)
    with counted() as counts:
        a_net(0).save_checkpoint(path)
    errors: list[bool] = []
    for fatal, name in enumerate(counts.calls, start=1):
        with counted(fatal, no_room):
            error = failure_of(lambda: a_net(1, 2, 3).save_checkpoint(path))
        errors.append(error is not None)
        assert os.listdir(tmp_path) == ["run"]
        if error is None:
            assert inside(path) == [1, 2, 3], name
            a_net(0).save_checkpoint(path)
        else:
            assert isinstance(error.__cause__, OSError)
            assert [part for part in (str(path), "No space left") if part not in str(error)] == []
            assert inside(path) == [0], name
        assert is_tidy(path), name
    is_decided = len(counts.calls) - errors[::-1].index(True)  # how many calls it takes until the disk has the new one
    assert is_decided > 20
    assert errors == [True] * is_decided + [False] * (len(errors) - is_decided)


def failure_of(save: Callable[[], None]) -> CheckpointError | None:
    """How a save failed, if it did."""
    try:
        save()
    except CheckpointError as error:
        return error
    return None


def test_a_disk_that_fails_from_some_call_on(tmp_path: Path, fast: None) -> None:
    """Then nothing can be cleared away, or put back; the next save does it."""
    path = tmp_path / "run"
    write(path, 0)
    with counted() as counts:
        write(path, 0)
    for fatal in range(1, len(counts.calls) + 1):
        with counted(fatal, no_room, on=True):
            error = failure_of(lambda: write(path, 1))
        assert number_at(path) in ((1,) if error is None else (0, 1))
        write(path, 0)
        assert is_tidy(path)


def test_a_disk_that_does_not_sync_any_more(tmp_path: Path, fast: None) -> None:
    """An error, the old one stays. There is something left only where it may be needed after a power cut."""
    path = tmp_path / "run"
    write(path, 0)
    with counted(names=("fsync",)) as counts:
        write(path, 0)
    tidy = []
    for fatal in range(1, len(counts.calls) + 1):
        with counted(fatal, no_room, on=True, names=("fsync",)):
            error = failure_of(lambda: write(path, 1))
        assert number_at(path) == (1 if error is None else 0)
        if error is not None:
            tidy.append(is_tidy(path))
        write(path, 0)
        assert is_tidy(path)
    assert tidy == [True] * (len(tidy) - 1) + [False]


def test_the_first_one_that_fails_leaves_nothing(tmp_path: Path, fast: None) -> None:
    """Not even the folder, nor those above it."""
    path = tmp_path / "deep" / "run"
    with counted() as counts:
        write(path, 0)
    failed = 0
    for fatal in range(1, len(counts.calls) + 1):
        shutil.rmtree(tmp_path / "deep", True)
        with counted(fatal, no_room):
            error = failure_of(lambda: write(path, 1))
        if error is None:
            assert number_at(path) == 1
        else:
            failed += 1
            assert os.listdir(tmp_path) == []
    assert failed > 20


@pytest.mark.parametrize("after", [True, False])
def test_ctrl_c_at_any_call_leaves_one_of_the_two_and_no_rubbish(tmp_path: Path, after: bool, fast: None) -> None:
    """Before the call or right after it. It stays Ctrl-C."""
    path = tmp_path / "run"
    write(path, 0)
    with counted() as counts:
        write(path, 0)
    found = []
    for fatal in range(1, len(counts.calls) + 1):
        with counted(fatal, interrupt, after=after), pytest.raises(KeyboardInterrupt):
            write(path, 1)
        found.append(number_at(path))
        assert is_tidy(path) or found[-1] == 1
        write(path, 0)
        assert is_tidy(path)
    assert (found[0], found[-1], set(found)) == (0, 1, {0, 1})


# -- two at once -------------------------------------------------------------------------------------------------------


def test_a_reader_at_any_moment_of_a_save_gets_the_old_or_the_new_one(tmp_path: Path, fast: None) -> None:
    """And a save at any moment of the reading."""
    path = tmp_path / "run"
    write(path, 0)
    with counted() as counts:
        write(path, 0)
    found = []
    for moment in range(1, len(counts.calls) + 1):
        write(path, 0)
        with counted(moment, lambda name: found.append(number_at(path)), after=True):
            write(path, 1)
    assert found == sorted(found, key=lambda number: number is not None and number)
    assert set(found) == {0, 1}
    for moment in range(6):
        looks = iter(range(moment + 1))

        def content(folder: str, name: str, looks: Iterator[int] = looks, moment: int = moment) -> bytes | None:
            if next(looks, None) == moment:
                write(path, 2)
            return read(folder, name)

        write(path, 0)
        with patch("netrun.folders._content", content):
            assert number_at(path) == (0 if moment == 5 else 2), moment


read = folders._content

SAVER = """
import sys
from tests.test_checkpoint_files import number_at, write

path, first, end = sys.argv[1], *map(int, sys.argv[2:])
print("here", flush=True)
sys.stdin.readline()
for number in range(first, end):
    write(path, number)
"""


def test_two_processes_that_save_and_one_that_reads(tmp_path: Path) -> None:
    """All saves are done, each reading is of one of them, each saver's in its order; what is there at the end is the
    last of one of the two."""
    path = tmp_path / "run"
    write(path, 1)
    savers = [begun(SAVER, path, first, first + 40) for first in (1000, 2000)]
    found = []
    for saver in savers:
        assert saver.stdin is not None
        saver.stdin.write("go\n")
        saver.stdin.flush()
    while any(saver.poll() is None for saver in savers):
        found.append(number_at(path))
    for saver in savers:
        assert saver.communicate() == ("", None)
        assert saver.returncode == 0
    assert number_at(path) in (1039, 2039)
    assert is_tidy(path)
    for first in (1000, 2000):
        of_one = [number for number in found if number is not None and first <= number < first + 1000]
        assert of_one == sorted(of_one)
        assert of_one != []


def begun(code: str, *arguments: Any) -> "subprocess.Popen[str]":
    """A process that runs this code, and has said that it is there."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment(False), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


def test_threads_that_save_to_one_folder_do_so_one_after_the_other(tmp_path: Path) -> None:
    """The first one too, which makes the folder."""
    path = tmp_path / "run"

    def save(first: int) -> None:
        for number in range(first, first + 10):
            write(path, number)

    with ThreadPoolExecutor(4) as threads:
        savers = [threads.submit(save, first) for first in (100, 200, 300, 400)]
        found = {number_at(path) for _ in range(100)}
    assert [saver.exception() for saver in savers] == [None] * 4
    assert all(number is None or number % 100 < 10 for number in found)
    assert number_at(path) in (109, 209, 309, 409)
    assert is_tidy(path)


class Held:
    """A save in a thread that stops at its first fsync of a file until it may go on."""

    def __init__(self, path: Any, number: int) -> None:
        self.is_there, self.may_go_on = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._save, args=(path, number))
        self.thread.start()
        assert self.is_there.wait(20)

    def _save(self, path: Any, number: int) -> None:
        real = folders._write

        def stop(*arguments: Any) -> None:
            real(*arguments)
            if threading.current_thread() is self.thread:
                self.is_there.set()
                assert self.may_go_on.wait(20)

        with patch("netrun.folders._write", stop):
            write(path, number)

    def end(self) -> None:
        """Let it go on."""
        self.may_go_on.set()
        self.thread.join()


def test_who_comes_second_waits(tmp_path: Path) -> None:
    """Until the first is done; who saves to another folder does not."""
    held = Held(tmp_path / "run", 1)
    write(tmp_path / "other", 5)
    second = threading.Thread(target=write, args=(tmp_path / "run", 2))
    second.start()
    second.join(0.1)
    assert second.is_alive()
    assert number_at(tmp_path / "run") is None
    held.end()
    second.join()
    assert number_at(tmp_path / "run") == 2


def test_a_save_in_the_middle_of_one_is_refused(tmp_path: Path) -> None:
    """In a signal handler it would wait for itself."""
    path = tmp_path / "run"
    write(path, 0)

    def save_too(name: str) -> None:
        write(tmp_path / "other", 5)
        with pytest.raises(CheckpointError, match="one save at a time; this thread is in the middle of another"):
            write(path, 2)

    with counted(8, save_too, after=True):
        write(path, 1)
    assert (number_at(path), number_at(tmp_path / "other")) == (1, 5)
    assert is_tidy(path)


def test_a_folder_that_goes_away_while_one_waits_for_it_is_made_anew(tmp_path: Path) -> None:
    """The first save fails, and removes what it made."""
    path = tmp_path / "run"
    held = Held(path, 1)
    second = threading.Thread(target=write, args=(path, 2))
    second.start()
    second.join(0.1)
    shutil.rmtree(path)
    with patch("threading.excepthook"):
        held.end()
    second.join()
    assert number_at(path) == 2
    write(path, 3)
    assert number_at(path) == 3


def test_what_a_save_that_fails_has_made_goes_before_anybody_else_comes(tmp_path: Path) -> None:
    """Who waits for the folder would lose it otherwise."""
    from fcntl import LOCK_EX, LOCK_NB, flock

    path, removed = tmp_path / "run", []
    rmdir = os.rmdir

    def look(name: str) -> None:
        opened = os.open(path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            flock(opened, LOCK_EX | LOCK_NB)
        os.close(opened)
        rmdir(name)
        removed.append(Path(name).name)

    with patch("netrun.folders._save", side_effect=OSError), patch("os.rmdir", look):
        assert failure_of(lambda: write(path, 1)) is not None
    assert removed == ["run"]


FORKED = """
import os, sys, threading, time
from netrun import folders
from tests.test_checkpoint_files import Held, write

path, dies = sys.argv[1], sys.argv[2] == "dies"
held = Held(path, 1)
child = os.fork()
if child == 0:
    assert folders._LOCKS == {}
    write(path + "2", 2)
    if dies:
        write(path, 3)
    print(os.getpid(), "here", flush=True)
    time.sleep(60)
    os._exit(0)
if dies:
    os.kill(os.getpid(), 9)
held.end()
write(path, 4)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("how", ["dies", "goes on"])
def test_a_process_that_was_forked_off_in_the_middle_of_a_save_holds_nobody_up(tmp_path: Path, how: str) -> None:
    """Nor is it held up: it saves elsewhere, and, when the one it comes from was killed, to the same folder."""
    path = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", FORKED, str(path), how], env=environment(False), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        child, told = process.stdout.readline().split()
        assert told == "here"
        process.wait(20)
        saver = threading.Thread(target=write, args=(path, 5), daemon=True)
        saver.start()
        saver.join(20)
        is_held_up = saver.is_alive()
        os.kill(int(child), signal.SIGKILL)
    assert not is_held_up
    assert (number_at(path), number_at(f"{path}2")) == (5, 2)
    assert is_tidy(path)


# -- what is yours -----------------------------------------------------------------------------------------------------


def make_things(root: Path) -> None:
    """What a user may have."""
    write(root / "elsewhere", 7)
    put(
        {
            "work": None, "work/thesis.txt": b"all of it",
            "own": None, "own/definition.toml": b"my net",
            "live": None, "live/history.jsonl": b"live",
            "odd": None, "odd/packets.pkl": None, "odd/packets.pkl/thesis.txt": b"all of it",
            "torn": None, "torn/manifest.json": b"{}", "torn/packets.pkl": b"",
            "file": b"more",
        },
        str(root / "things"),
    )  # fmt: skip
    for name, file in (("changed", "packets.pkl"), ("linked", "packets.pkl"), ("more", "history.jsonl")):
        write(root / "things" / name, 7, "history.jsonl")
        (root / "things" / name / file).unlink(missing_ok=True)
        if name == "linked":
            (root / "things" / name / file).symlink_to(root / "elsewhere" / file)
        else:
            (root / "things" / name / file).write_text("mine")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("work", "holds 'thesis.txt'. Save to a folder of its own"), ("own", "holds 'definition.toml'"),
        ("live", "holds 'history.jsonl'"), ("odd", "holds 'packets.pkl'"), ("file", "it is a file"),
        ("file/below", "it is a file"), ("torn", "it is torn or was changed"), ("changed", "it may be yours. Move it"),
        ("linked", "it may be yours"), ("more", "it may be yours"), ("", "a folder of its own"),
    ],
)  # fmt: skip
def test_something_else_is_not_written_over(tmp_path: Path, name: str, told: str) -> None:
    """Other folders, a file, and files of a checkpoint that are others now: an error, and nothing changes."""
    make_things(tmp_path)
    before = tree_of(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        write(tmp_path / "things" / name, 1)
    assert told in str(caught.value)
    assert tree_of(tmp_path) == before


def test_a_history_file_of_that_name_in_the_folder_stays(tmp_path: Path) -> None:
    """A net writes it: the save is refused, and the history goes on."""
    (tmp_path / "run").mkdir()
    net = Net(chain("A"), history_file=tmp_path / "run" / "history.jsonl")
    net.inject_packets("A", "in", [1])
    net.pause()
    with pytest.raises(CheckpointError, match=r"holds 'history.jsonl'. Save to a folder of its own"):
        net.save_checkpoint(tmp_path / "run")
    net.inject_packets("A", "in", [2])
    net.stop()
    assert net.history.error is None
    assert len(net.history.read(tmp_path / "run" / "history.jsonl")) == len(net.history)


def test_what_stands_beside_and_inside_stays(tmp_path: Path, fast: None) -> None:
    """Whatever it is called, through saves that succeed, fail and are ended."""
    write(tmp_path / "elsewhere", 7)
    mark = folders._mark("00")
    mine = [
        *("run.old/thesis.txt", "run.new/thesis.txt", "run/notes.txt", "run/.DS_Store", "run/.netrun-lock"),
        *("run/.netrun-00-0123456789abcdef/packets.pkl", f"run/.netrun-00-{mark}/thesis.txt"),
    ]
    write(tmp_path / "run", 0)
    for name in mine:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("all of it")
    for name in ("run.bak", "run.netrun"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    theirs = {f"{name}/{file}" for name in ("run", "elsewhere") for file in (*FILES, MANIFEST)}
    before = {name: content for name, content in tree_of(tmp_path).items() if name not in theirs}
    with counted() as counts:
        write(tmp_path / "run", 0)
    for fatal in range(1, len(counts.calls) + 1):
        for at in (no_room, interrupt):
            with counted(fatal, at), suppress(CheckpointError, KeyboardInterrupt):
                write(tmp_path / "run", fatal)
    write(tmp_path / "run", 1)
    after = tree_of(tmp_path)
    assert {name: after.get(name) for name in before} == before
    assert set(after) - set(before) == theirs
    assert (number_at(tmp_path / "run"), number_at(tmp_path / "elsewhere")) == (1, 7)


def test_a_file_that_came_into_the_way_after_a_crash_stays(tmp_path: Path) -> None:
    """The save was decided upon, but its files did not come to their places. All is found, nothing written over."""
    path = tmp_path / "run"
    write(path, 0)
    with patch("netrun.folders._put_in_place", side_effect=OSError):
        write(path, 1)
    assert (path / "packets.pkl").read_bytes() == files(0)["packets.pkl"]
    assert number_at(path) == 1
    (path / "packets.pkl").write_text("mine")
    before = tree_of(path)
    assert number_at(path) == 1
    with pytest.raises(CheckpointError, match="it may be yours"):
        write(path, 2)
    after = tree_of(path)
    assert {name for name in before if Path(name).name == "packets.pkl"} <= set(after)
    assert (after["packets.pkl"], number_at(path)) == (b"mine", 1)
    (path / "packets.pkl").unlink()
    write(path, 2)
    assert number_at(path) == 2
    assert is_tidy(path)


def test_moved_away_it_is_not_gone_on_from(tmp_path: Path) -> None:
    """Whatever it is called then, and also where a script makes the folder first."""
    write(tmp_path / "run", 0)
    for name in ("run.old", "run.new"):
        (tmp_path / "run").rename(tmp_path / name)
        assert not has_folder(tmp_path / "run")
        (tmp_path / "run").mkdir()
        assert not has_folder(tmp_path / "run")
        write(tmp_path / "run", 1)
        assert number_at(tmp_path / name) in (0, 1)
    assert [number_at(tmp_path / name) for name in ("run.old", "run.new", "run")] == [0, 1, 1]


def test_a_file_of_yours_that_a_checkpoint_may_have_and_has_not_stays(tmp_path: Path) -> None:
    """A history, say, of a net that keeps its own."""
    write(tmp_path / "run", 0, "history.jsonl")
    (tmp_path / "run" / "history.jsonl").write_text("mine")
    write(tmp_path / "run", 1, "history.jsonl")
    assert number_at(tmp_path / "run") == 1
    with pytest.raises(CheckpointError, match="it may be yours"):
        write(tmp_path / "run", 2)
    assert (tmp_path / "run" / "history.jsonl").read_text() == "mine"


def test_a_history_that_there_is_no_more_goes_away(tmp_path: Path) -> None:
    """It is netrun's own."""
    write(tmp_path / "run", 0)
    write(tmp_path / "run", 1, "history.jsonl")
    assert sorted(os.listdir(tmp_path / "run")) == sorted({*FILES, MANIFEST} - {"history.jsonl"})
    write(tmp_path / "run", 2)
    assert number_at(tmp_path / "run") == 2


# -- the folder --------------------------------------------------------------------------------------------------------


def test_the_folder_itself_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its mode and that of its files, so it may be a mount point or the current one; a folder that is empty but
    for hidden files and `lost+found` will do."""
    path = tmp_path / "run"
    path.mkdir(0o700)
    (path / "lost+found").mkdir()
    (path / ".gitkeep").touch()
    before = path.stat()
    write(path, 0)
    (path / "manifest.json").chmod(0o600)
    monkeypatch.chdir(path)
    tmp_path.chmod(0o500)
    write(".", 1)
    tmp_path.chmod(0o700)
    after = path.stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert {oct((path / name).stat().st_mode & 0o777) for name in (*FILES, MANIFEST)} == {"0o600"}
    assert (number_at("."), os.listdir("lost+found"), number_at(path)) == (1, [], 1)


def test_a_mount_point(tmp_path: Path) -> None:
    """As a container has them."""
    path = tmp_path / "disk"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", path], capture_output=True).returncode:
        pytest.skip("may not mount")
    try:
        write(path, 0)
        write(path, 1)
        assert number_at(path) == 1
    finally:
        subprocess.run(["umount", path], check=True)


def test_a_disk_without_locks_takes_it(tmp_path: Path) -> None:
    """Only then nobody waits."""
    with patch("fcntl.flock", side_effect=OSError(errno.ENOSYS, "not here")):
        write(tmp_path / "run", 0)
    assert number_at(tmp_path / "run") == 0


@pytest.mark.parametrize("path", [3, None, "", "a\0b", "\ud800", [], object()])
def test_what_is_no_path_is_refused(tmp_path: Path, path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own error, before anything is done."""
    monkeypatch.chdir(tmp_path)
    for use in (a_net(1).save_checkpoint, Net.load_checkpoint, has_folder):
        with pytest.raises(ConfigError, match="the folder of a checkpoint"):
            use(path)
    assert os.listdir(tmp_path) == []


def test_paths_of_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text, bytes, path objects, relative ones, with a slash at the end, as long as names may be."""
    monkeypatch.chdir(tmp_path)
    for path in ("run", b"by bytes", Path("mit leer zeichen ü"), "run/", "x" * 255, "./a/../b"):
        a_net(1).save_checkpoint(path)
        assert inside(path) == [1]
    assert sorted(os.listdir()) == sorted(["run", "by bytes", "mit leer zeichen ü", "x" * 255, "b"])


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is written."""
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "run")
    a_net(1).save_checkpoint(tmp_path / "link")
    a_net(2).save_checkpoint(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert inside(tmp_path / "deep" / "run") == inside(tmp_path / "link") == [2]


# -- after it was written ----------------------------------------------------------------------------------------------


class Canary:
    """Says that it was unpickled."""

    sang = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return sing, ()


def sing() -> str:
    """The canary sings."""
    Canary.sang += 1
    return "song"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small checkpoint, with a canary in it."""
    path = tmp_path / "run"
    net = Net(Graph([node("A", ["in"])], []))
    net.inject_packets("A", "in", [Canary()])
    net.pause()
    net.save_checkpoint(path)
    Canary.sang = 0
    return path


def damages(content: bytes) -> Iterator[bytes]:
    """Every truncation, and each byte with one bit flipped."""
    for length in range(len(content)):
        yield content[:length]
    for place in range(len(content)):
        for bit in (1 << place % 8, 0x20):
            yield content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]


def test_any_damage_is_found_before_anything_is_unpickled(small: Path) -> None:
    """In each file, by its name."""
    Net.load_checkpoint(small)
    assert Canary.sang == 1
    for file in sorted(small.iterdir()):
        content = file.read_bytes()
        for damaged in damages(content):
            file.write_bytes(damaged)
            with pytest.raises(CheckpointCorrupt) as caught:
                Net.load_checkpoint(small)
            assert caught.value.file == file.name
        file.unlink()
        with pytest.raises(CheckpointCorrupt, match="it is missing"):
            Net.load_checkpoint(small)
        file.write_bytes(content)
    assert Canary.sang == 1
    Net.load_checkpoint(small)


def test_a_file_of_another_checkpoint_is_found(small: Path, tmp_path: Path) -> None:
    """No mix of two."""
    a_net(1).save_checkpoint(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "packets.pkl", small)
    with pytest.raises(CheckpointCorrupt, match=r"packets\.pkl"):
        Net.load_checkpoint(small)


@pytest.mark.parametrize("saved", [None, "secret", b"\xff\x00"])
@pytest.mark.parametrize("given", [None, "secret", b"\xff\x00", "other"])
def test_only_the_right_key_opens(small: Path, saved: Any, given: Any) -> None:
    """A wrong, a missing and an unneeded one are errors before anything is unpickled."""
    net = Net.load_checkpoint(small)
    net.save_checkpoint(small, key=saved)
    Canary.sang = 0
    net = Net.load_checkpoint(small, key=saved)
    if saved != given:
        with pytest.raises(CheckpointError, match=r"key|signature") as caught:
            Net.load_checkpoint(small, key=given)
        assert not isinstance(caught.value, CheckpointCorrupt)
        assert Canary.sang <= 1


def test_who_changes_a_signed_one_needs_the_key(small: Path) -> None:
    """Right hashes do not help."""
    Net.load_checkpoint(small).save_checkpoint(small, key="secret")
    manifest = json.loads((small / "manifest.json").read_bytes())
    (small / "packets.pkl").write_bytes(pickle.dumps(Canary()))
    import hashlib

    manifest["files"]["packets.pkl"] = hashlib.sha256((small / "packets.pkl").read_bytes()).hexdigest()
    rewrite(small, manifest)
    Canary.sang = 0
    with pytest.raises(CheckpointError, match="another key"):
        Net.load_checkpoint(small, key="secret")
    assert Canary.sang == 0


def rewrite(path: Path, manifest: dict[str, Any]) -> None:
    """A manifest that is sound in itself."""
    (path / "manifest.json").write_bytes(_canonical({**manifest, "sha256": _sum(manifest)}))


@pytest.mark.parametrize("key", ["", b"", 3, "\ud800", ["a"]])
def test_a_bad_key_is_refused(tmp_path: Path, key: Any) -> None:
    """Before anything is written."""
    with pytest.raises(ConfigError, match="key"):
        a_net(1).save_checkpoint(tmp_path / "run", key=key)
    with pytest.raises(ConfigError, match="key"):
        Net.load_checkpoint(tmp_path / "run", key=key)
    assert os.listdir(tmp_path) == []


def test_a_newer_format_says_which_version_to_use(small: Path) -> None:
    """In a sound manifest; in a torn one it would be damage."""
    manifest = json.loads((small / "manifest.json").read_bytes())
    rewrite(small, {**manifest, "format": 2, "versions": {**manifest["versions"], "netrun": "9.9"}})
    with pytest.raises(CheckpointMismatch, match=r"up to 1; it has format 2, of netrun 9\.9"):
        Net.load_checkpoint(small)
    assert Canary.sang == 0


def test_where_there_is_none(tmp_path: Path) -> None:
    """It says so."""
    (tmp_path / "empty").mkdir()
    for name in ("nothing", "empty"):
        with pytest.raises(CheckpointError, match="there is none"):
            Net.load_checkpoint(tmp_path / name)


def without(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    """All but this."""
    return {key: value for key, value in manifest.items() if key != name}


ODD: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    **{f"no {name}": partial(without, name=name) for name in ("format", "files", "versions", "omitted")},
    **{
        f"format {number!r}": lambda told, number=number: {**told, "format": number}
        for number in ("1", 0, -1, 1.0, True, None, [1])
    },
    **{
        f"{name} {value!r}": lambda told, name=name, value=value: {**told, name: value}
        for name in ("files", "versions", "omitted")
        for value in (None, 3, "text", True)
    },
    "files in a list": lambda told: {**told, "files": list(told["files"])},
    "sums that are none": lambda told: {**told, "files": dict.fromkeys(told["files"], 3)},
    "a file elsewhere": lambda told: {**told, "files": {**told["files"], "../../etc/passwd": "0"}},
    **{
        f"without {name}": lambda told, name=name: {**told, "files": without(told["files"], name)}
        for name in folders.NEEDED
    },
}


@pytest.mark.parametrize("how", ODD)
def test_a_sound_manifest_that_says_something_odd(small: Path, how: str) -> None:
    """Is as good as none: nothing is unpickled, and nothing written over."""
    rewrite(small, ODD[how](json.loads((small / "manifest.json").read_bytes())))
    before = tree_of(small)
    for key in (None, "secret"):
        with pytest.raises(CheckpointCorrupt, match="it says something else") as caught:
            Net.load_checkpoint(small, key=key)
        assert caught.value.file == "manifest.json"
    with pytest.raises(CheckpointCorrupt):
        write(small, 1)
    assert tree_of(small) == before
    assert Canary.sang == 0


@pytest.mark.parametrize("signature", [3, "", "\xfc" * 64, "\ud800", ["a"], {}])
def test_an_odd_signature_is_a_wrong_one(small: Path, signature: Any) -> None:
    """Whatever it is."""
    rewrite(small, {**json.loads((small / "manifest.json").read_bytes()), "signature": signature})
    with pytest.raises(CheckpointError, match="signed with another key"):
        Net.load_checkpoint(small, key="secret")
    assert Canary.sang == 0


@pytest.mark.parametrize("versions", [None, [], {}, "9.9"])
def test_a_newer_format_may_say_something_else(small: Path, versions: Any) -> None:
    """It is told all the same, and not written over."""
    manifest = json.loads((small / "manifest.json").read_bytes())
    rewrite(small, {**without(manifest, "files"), "format": 7, "versions": versions})
    for use in (Net.load_checkpoint, partial(write, number=1)):
        with pytest.raises(CheckpointMismatch, match="it has format 7, of netrun"):
            use(small)


def test_an_old_one_loads() -> None:
    """What the first version of the format wrote (see `tests/golden/make.py`). That folder never changes."""
    log: list[Any] = []
    with patch("netrun.net.MonotonicClock", JumpingClock):
        net = Net.load_checkpoint(GOLDEN, functions={"B": collects(log), "C": collects(log)}, max_epochs=None)
    net._ledger.check()
    assert net.get_startable_epochs() == ["e4-golden00", "e5-golden00", "e6-golden00"]
    assert (net.meta, net.get_input_port_type("A", "in")) == ({"made": "for tests"}, "object")
    assert (net.poll().retrying, net.poll().nodes["B"].waiting_packets) == (1, 1)
    assert [entry.message for entry in net.get_node_log("A")] == ["1", "bad"]
    (letter,) = net.dead_letter_queue
    assert (letter.epoch_id, str(letter.exception), letter.packet_values) == (
        "e3-golden00",
        "not this",
        {"p3-golden00": "bad"},
    )
    assert net.history.get_entries()[0].id == "h1.1-golden00"
    ((_, earlier),) = next(iter(net._engine.waiting_retries())).attempt.earlier
    assert (type(earlier), earlier.args) == (OSError, (5, "not yet"))
    net.set_node_exec("A", maps(lambda value: value))
    net.start()
    assert log == [("B", {"in": [2, 2]}), ("B", {"in": [32, "more"]}), ("C", {"in": ["c"]})]


# -- another graph -----------------------------------------------------------------------------------------------------


def test_another_graph_is_refused_with_the_difference(tmp_path: Path) -> None:
    """In words."""
    a_net(1).save_checkpoint(tmp_path / "run")
    assert inside(tmp_path / "run", graph=chain("A", "B")) == [1]
    narrow = node("A", ["in"], ["out"], slots={"in": 2})
    others: list[tuple[Graph, list[str]]] = [
        (chain("A", "C"), ["node 'B' is in the checkpoint only", "node 'C' is in this graph only"]),
        (chain("A", "C"), ["edge 'A.out -> B.in' is in the checkpoint only"]),
        (Graph([narrow, node("B", ["in"], ["out"])], []), ["node 'A' has in_ports {'in': None}", "{'in': 2}"]),
    ]
    for graph, words in others:
        with pytest.raises(CheckpointMismatch) as caught:
            Net.load_checkpoint(tmp_path / "run", graph=graph)
        assert [word for word in words if word not in str(caught.value)] == []


# -- when it may be saved ----------------------------------------------------------------------------------------------


def test_a_net_that_is_not_at_rest_is_not_saved(tmp_path: Path) -> None:
    """New, in the middle of steps, from inside a node: an error, and nothing is written."""
    net = Net(chain("A"))
    path = tmp_path / "run"
    tried: list[str] = []

    def save() -> None:
        with pytest.raises(NetNotPausedError, match=r"pause\(wait=True\)"):
            net.save_checkpoint(path)
        tried.append("")

    save()
    net.set_node_exec("A", lambda ctx, packets: (save(), ctx.consume_packet(packets["in"][0])))
    net.inject_packets("A", "in", [1, 2])
    net.run_step()
    save()
    assert len(tried) == 4
    assert os.listdir(tmp_path) == []
    net.pause()
    net.save_checkpoint(path)
    net.stop()
    net.save_checkpoint(path)


def test_a_net_in_the_background_is_saved_when_it_is_paused(tmp_path: Path) -> None:
    """And goes on afterwards."""
    net = Net(chain("A"))
    net.set_node_exec("A", maps(lambda value: value + 1))
    net.start(threaded=True)
    net.inject_packets("A", "in", [1])
    assert net.wait_until_blocked(10)
    with pytest.raises(NetNotPausedError):
        net.save_checkpoint(tmp_path / "run")
    net.pause(wait=True)
    net.inject_packets("A", "in", [2])
    net.save_checkpoint(tmp_path / "run")
    net.resume()
    assert net.wait_until_blocked(10)
    assert net.take_outputs("A", "out") == [2, 3]
    net.stop()
    again = Net.load_checkpoint(tmp_path / "run", functions={"A": maps(lambda value: value + 10)})
    again.start()
    assert again.take_outputs("A", "out") == [2, 12]


def test_what_cannot_be_pickled_is_named(tmp_path: Path) -> None:
    """The packet, where it is, and its type; the old checkpoint stays."""
    a_net(0).save_checkpoint(tmp_path / "run")
    net = a_net(1, (number for number in [1]), 2)
    with pytest.raises(
        CheckpointError, match=r"packet p2-\w+ at A\.in carries, a generator, cannot be pickled"
    ) as caught:
        net.save_checkpoint(tmp_path / "run")
    assert isinstance(caught.value.__cause__, TypeError)
    assert inside(tmp_path / "run") == [0]


def test_what_cannot_be_unpickled_here_is_told(tmp_path: Path) -> None:
    """With the versions that it was saved with."""
    python(
        f"""
import sys, types
from tests.test_checkpoint_files import a_net
module = types.ModuleType("gone")
sys.modules["gone"] = module
class Thing: pass
Thing.__module__ = "gone"
module.Thing = Thing
a_net(Thing()).save_checkpoint({str(tmp_path / "run")!r})
"""
    )
    with pytest.raises(CheckpointError, match=r"No module named 'gone'. It was saved with cloudpickle") as caught:
        Net.load_checkpoint(tmp_path / "run")
    assert isinstance(caught.value.__cause__, ImportError)


# -- what is in it -----------------------------------------------------------------------------------------------------


def test_a_class_of_the_script_is_the_scripts_again(tmp_path: Path) -> None:
    """In a script that has it, it is that one; elsewhere the one that went along."""
    script = f"""
import sys
from netrun import Net
from tests.test_checkpoint_files import a_net, inside
class Order:
    def __init__(self, number): self.number = number
    def twice(self): return 2 * self.number
if sys.argv[1:] == ["save"]:
    net = a_net(Order(3))
    net.set_input_port_type("B", "in", Order)
    net.save_checkpoint({str(tmp_path / "run")!r})
else:
    (order,) = inside({str(tmp_path / "run")!r})
    assert type(order) is Order and order.twice() == 6
"""
    run = "import sys; sys.argv[1:] = {}; exec(compile({!r}, 'script.py', 'exec'))"
    python(run.format(["save"], script))
    python(run.format([], script))
    python(f"from tests.test_checkpoint_files import inside; assert inside({str(tmp_path / 'run')!r})[0].twice() == 6")


def test_functions_go_by_path_or_are_given(tmp_path: Path) -> None:
    """What has no path is listed."""
    net = Net(chain("A", "B"), meta={"odd": None, "n": 1})
    net.set_node_exec("A", partial(print))
    from tests.corpus_nodes import square

    net.set_node_exec("B", square)
    net.set_node_config("B", retries=1, defer_net_actions=True)
    net.inject_packets("B", "in", [3])
    net.pause()
    net.save_checkpoint(tmp_path / "run")
    omitted = json.loads((tmp_path / "run" / "manifest.json").read_bytes())["omitted"]
    assert omitted == ["nodes.A.exec_node_func"]
    again = Net.load_checkpoint(tmp_path / "run")
    assert again.meta == {"odd": None, "n": 1}
    assert again.get_node_config("B").retries == 1
    again.start()
    assert again.take_outputs("B", "out") == [9]
    unresolved = Net.load_checkpoint(tmp_path / "run", resolve=False)
    unresolved.start()
    assert len(unresolved.get_startable_epochs()) == 1
    with pytest.raises(ConfigError, match="'C'"):
        Net.load_checkpoint(tmp_path / "run", functions={"C": square})
    with pytest.raises(ImportError):
        Net.load_checkpoint(tmp_path / "run", allow=["nothing"])
    given = Net.load_checkpoint(tmp_path / "run", allow=["nothing"], functions={"B": (maps(str), None)})
    given.start()
    assert given.take_outputs("B", "out") == ["3"]


def test_dead_letters_and_values_in_files_go_on_from_there(tmp_path: Path) -> None:
    """What came into the files after the checkpoint, and will come again, is not there twice."""

    def fails(ctx: Any, packets: Any) -> None:
        raise ValueError("no")

    def net_in(**more: Any) -> Net:
        return Net(
            chain("A"), on_error="continue", dead_letter_queue="file", dead_letter_path=tmp_path / "letters",
            packet_storage_path=tmp_path / "values", history_file=tmp_path / "history", **more,
        )  # fmt: skip

    net = net_in()
    net.set_node_exec("A", fails)
    net.inject_packets("A", "in", [1, 2])
    net.start()
    net.inject_packets("A", "in", [3])
    net.save_checkpoint(tmp_path / "run")
    net.start()
    assert len(net.dead_letter_queue) == 3
    net.stop()
    again = Net.load_checkpoint(tmp_path / "run", functions={"A": fails})
    again._ledger.check()
    assert [list(letter.packet_values.values()) for letter in again.dead_letter_queue] == [[1], [2]]
    again.start()
    assert [list(letter.packet_values.values()) for letter in again.dead_letter_queue] == [[1], [2], [3]]
    again._ledger.check()
    again.stop()
    entries = again.history.read(tmp_path / "history")
    assert len({entry.id for entry in entries}) == len(entries)
    from netrun import DeadLetterQueue

    assert len(DeadLetterQueue("file", tmp_path / "letters")) == 3


def test_a_checkpoint_may_be_loaded_twice_beside_the_net(tmp_path: Path) -> None:
    """Three nets, each with all of it."""
    net = a_net(1, 2)
    net.save_checkpoint(tmp_path / "run")
    assert inside(tmp_path / "run") == inside(tmp_path / "run") == [1, 2]
    for name in "AB":
        net.set_node_exec(name, maps(lambda value: value))
    net.start()
    assert net.take_outputs("B", "out") == [1, 2]


def test_one_object_in_two_packets_is_one_object_again(tmp_path: Path) -> None:
    """As it was."""
    shared = [1]
    a_net(shared, shared).save_checkpoint(tmp_path / "run")
    one, other = inside(tmp_path / "run")
    assert one is other
    assert one == [1]


def test_a_net_that_something_has_been_in_does_not_resume(tmp_path: Path) -> None:
    """It says so, and is as it was."""
    a_net(1).save_checkpoint(tmp_path / "run")
    net = Net(chain("A", "B"), checkpoint_path=tmp_path / "run")
    net.inject_packets("A", "in", [5])
    with pytest.raises(NetStateError, match="something has been in this net"):
        net.start(resume=True)
    assert net.poll().waiting_packets == 1
    with pytest.raises(ConfigError, match="checkpoint_path"):
        Net(chain("A")).start(resume=True)
