"""Whatever happens to the files of a checkpoint, while they are written or after."""

import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
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
)
from netrun.folders import _canonical, _sum
from tests.disks import counted, no_room
from tests.nets import JumpingClock, chain, collects, maps, node, python

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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_call_the_old_or_the_new_one_loads(tmp_path: Path) -> None:
    """At each call that changes the disk; a write is done by half. The next save clears away what was left."""
    print_ = python(
        f"""
import os
from netrun import Net
from tests.disks import killed_at_each
from tests.test_checkpoint_files import a_net, inside

path = {str(tmp_path / "run")!r}
found = []
for number, name in killed_at_each(
    path, lambda: a_net(1, 2, 3).save_checkpoint(path), lambda: a_net(0).save_checkpoint(path)
):
    found.append(inside(path))
    assert found[-1] in ([0], [1, 2, 3]), (number, name, found[-1])
a_net(4).save_checkpoint(path)
assert os.listdir({str(tmp_path)!r}) == ["run"]
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
import shutil
from netrun import CheckpointError
from tests.disks import killed_at_each
from tests.test_checkpoint_files import a_net, inside

path = {str(tmp_path / "run")!r}
found = []
def prepare():
    shutil.rmtree(path, True)
    shutil.rmtree(path + ".new", True)
for number, name in killed_at_each(path, lambda: a_net(1).save_checkpoint(path), prepare):
    try:
        found.append(inside(path))
    except CheckpointError as error:
        assert "there is none" in str(error), error
        found.append(None)
assert found[0] is None and found[-1] == [1] and all(one in (None, [1]) for one in found)
a_net(2).save_checkpoint(path)
assert inside(path) == [2]
""",
        measured=False,
    )


def test_a_disk_that_fails_at_any_call_leaves_the_old_one_and_no_rubbish(tmp_path: Path) -> None:
    """No room, or a failing fsync: an error that names the path. What cannot be cleared away is no error."""
    path = tmp_path / "run"
    a_net(0).save_checkpoint(path)
    with counted() as counts:
        a_net(0).save_checkpoint(path)
    failed = 0
    for fatal, name in enumerate(counts.calls, start=1):
        with counted(fatal, no_room):
            error = failure_of(lambda: a_net(1, 2, 3).save_checkpoint(path))
        assert os.listdir(tmp_path) == ["run"] or error is None
        if error is None:
            assert name in ("unlink", "rmdir"), (fatal, name)
            assert inside(path) == [1, 2, 3]
            a_net(0).save_checkpoint(path)
            continue
        failed += 1
        assert isinstance(error.__cause__, OSError)
        assert [part for part in (str(path), "No space left") if part not in str(error)] == []
        assert inside(path) == [0], name
    assert failed > 20
    assert os.listdir(tmp_path) == ["run"]


def failure_of(save: Callable[[], None]) -> CheckpointError | None:
    """How a save failed, if it did."""
    try:
        save()
    except CheckpointError as error:
        return error
    return None


def test_the_first_one_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Not even the folder."""
    with counted() as counts:
        a_net(0).save_checkpoint(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    for fatal in range(1, len(counts.calls) + 1):
        with counted(fatal, no_room), pytest.raises(CheckpointError):
            a_net(1).save_checkpoint(tmp_path / "run")
        assert os.listdir(tmp_path) == []


def test_something_else_is_not_written_over(tmp_path: Path) -> None:
    """A folder with other files, a file, and what stands beside."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("all of it")
    (tmp_path / "file").write_text("more")
    (tmp_path / "run.new").mkdir()
    (tmp_path / "run.new" / "thesis.txt").write_text("all of it")
    for name, told in (("work", "thesis.txt"), ("file", "it is a file"), ("run", "thesis.txt")):
        with pytest.raises(CheckpointError, match=told):
            a_net(1).save_checkpoint(tmp_path / name)
    assert len(list(tmp_path.rglob("*.*"))) == 3
    (tmp_path / "empty").mkdir()
    a_net(1).save_checkpoint(tmp_path / "empty")
    assert inside(tmp_path / "empty") == [1]


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


@pytest.mark.parametrize("key", ["", b"", 3])
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
    with pytest.raises(CheckpointError, match="there is none"):
        Net.load_checkpoint(tmp_path / "nothing")


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
