"""Workers that die, hang or misbehave: it costs their own epoch, and nothing else."""

import ctypes
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from netrun import EpochTimeout, Net, NetStateError, NotPicklable, WorkerDied, WorkerException, workers
from tests.nets import chain, environment, eventually, python

FAULTS = ["exception", "exit", "_exit", "segfault", "kill", "hang", "unpicklable"]
PHASES = ["start", "unpickle", "body", "pickle", "stop"]


class Unpicklable(Exception):
    """An exception that holds something that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("it holds a lock")
        self.lock = threading.Lock()


def commit(fault: str) -> None:
    """What goes wrong, here and now."""
    match fault:
        case "exception":
            raise ValueError("boom")
        case "exit":
            sys.exit(5)
        case "_exit":
            os._exit(5)
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(3600)
        case "unpicklable":
            raise Unpicklable


class Bomb:
    """A value with a fault, that goes off when it is unpickled, or when it is pickled."""

    def __init__(self, fault: str, phase: str) -> None:
        self.fault, self.phase = fault, phase

    def __reduce__(self):
        if self.phase == "pickle":
            commit(self.fault)
        return _unpickled, (self.fault, self.phase)


def _unpickled(fault: str, phase: str) -> Bomb:
    if phase == "unpickle":
        commit(fault)
    return Bomb(fault, phase)


EXPECTED: dict[str, Any] = {
    "exception": (ValueError, "boom"),
    "exit": (SystemExit, "5"),
    "_exit": (WorkerDied, "with exit code 5"),
    "segfault": (WorkerDied, "by SIGSEGV (a crash in native code)"),
    "kill": (WorkerDied, "by SIGKILL (possibly out of memory)"),
    "hang": (EpochTimeout, "longer than its timeout of 0.5 s"),
    "unpicklable": (WorkerException, "it holds a lock"),
}


def expected(fault: str, phase: str) -> Any:
    """The class of the error, and a part of its text."""
    if phase == "pickle" and fault in ("exception", "unpicklable"):
        return NotPicklable, "port 'out': a Bomb cannot be pickled"
    if phase == "body" and fault == "unpicklable":
        return NotPicklable, "port 'out': a lock cannot be pickled"
    if phase == "stop" and fault == "hang":
        return NetStateError, "did not end within 0.5 s; it was killed"
    return EXPECTED[fault]


def faulty(pools: dict[str, Any], fault: str, phase: str, flag: Any) -> Net:
    """A net whose node has this fault in this phase, for the value "bad"; the start and stop functions as long as there
    is the flag file."""

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if phase == "body" and value == "bad":
            if fault != "unpicklable":
                commit(fault)
            value = threading.Lock()
        if phase == "pickle" and value == "bad":
            value = Bomb(fault, "pickle")
        ctx.send("out", value)

    def at(what):
        def func(net):
            if phase == what and flag.exists():
                commit(fault)

        return func

    net = Net(chain("A"), on_error="continue", **pools)
    net.set_node_exec("A", work, at("start"), at("stop"))
    net.set_node_config("A", pool="p", timeout=0.5 if fault == "hang" else 30)
    return net


@pytest.fixture(autouse=True)
def _stops_soon(everything_ends: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is left. Stop functions get less time than usual."""
    monkeypatch.setattr(workers, "STOP_WITHIN", 0.5)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_the_crash_matrix(method: str, phase: str, fault: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fault in each phase ends in its error, and the next epoch on the same pool succeeds."""
    if method == "spawn":
        monkeypatch.setattr(workers, "STOP_WITHIN", 0.5)
    flag = tmp_path / "flag"
    flag.touch()
    net = faulty({"process_pools": {"p": {"size": 1, "start_method": method}}}, fault, phase, flag)
    kind, text = expected(fault, phase)
    net.__enter__()
    if phase != "stop":
        net.set_node_config("A", timeout=30)
        if phase != "start":  # a process that is there already: the time-out is not about its start
            net.inject_packets("A", "in", ["warm"])
            net.start()
            assert net.take_outputs("A", "out") == ["warm"]
        net.set_node_config("A", timeout=0.5 if fault == "hang" else 30)
        net.inject_packets("A", "in", [Bomb(fault, "unpickle") if phase == "unpickle" else "bad"])
        net.start()
        (letter,) = net.dead_letter_queue
        assert isinstance(letter.exception, kind), letter
        assert text in str(letter.exception)
        if kind is WorkerDied:
            assert letter.reason == "worker died"
            assert letter.exception.epoch_id == letter.epoch_id
        flag.unlink()
    net.set_node_config("A", timeout=30)
    net.inject_packets("A", "in", ["fine"])
    net.start()
    assert net.take_outputs("A", "out") == ["fine"]
    net._ledger.check()
    if phase != "stop":
        net.stop()
        return
    with pytest.raises(kind) as caught:
        net.stop()
    assert text in str(caught.value)
    assert net.poll().state.name == "STOPPED"


@pytest.mark.parametrize("fault", ["exception", "exit", "hang", "unpicklable"])
@pytest.mark.parametrize("phase", ["start", "body", "stop"])
def test_the_same_in_threads(phase: str, fault: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it applies: nothing is pickled, and a thread that hangs is abandoned."""
    monkeypatch.setattr("netrun.pools.STOP_WITHIN", 0.0)
    naps = threading.Event()
    monkeypatch.setattr(time, "sleep", lambda seconds: naps.wait(20) if seconds == 3600 else naps.wait(seconds))
    flag = tmp_path / "flag"
    flag.touch()
    net = faulty({"thread_pools": {"p": {"size": 2}}}, fault, phase, flag)
    net.__enter__()
    if phase != "stop":
        net.inject_packets("A", "in", ["bad"])
        net.start()
        if phase == "body" and fault == "unpicklable":
            assert len(net.take_outputs("A", "out")) == 1
        else:
            (letter,) = net.dead_letter_queue
            kind = Unpicklable if fault == "unpicklable" else EXPECTED[fault][0]
            assert isinstance(letter.exception, kind)
        flag.unlink()
    net.inject_packets("A", "in", ["fine"])
    net.start()
    assert net.take_outputs("A", "out") == ["fine"]
    if phase == "stop":
        kind = {"hang": NetStateError, "unpicklable": Unpicklable}.get(fault) or EXPECTED[fault][0]
        monkeypatch.setattr("netrun.pools._MORE", 0.2)
        with pytest.raises(kind):
            net.stop()
    else:
        net.stop()
    naps.set()


@pytest.mark.parametrize("fault", ["exception", "exit", "unpicklable", "hang"])
@pytest.mark.parametrize("phase", ["start", "unpickle", "body", "pickle"])
def test_the_same_in_an_executor(phase: str, fault: str, tmp_path: Any) -> None:
    """What does not end its process leaves the executor whole. What hangs is abandoned."""
    flag = tmp_path / "flag"
    flag.touch()
    with ProcessPoolExecutor(2, multiprocessing.get_context("forkserver")) as executor:
        net = faulty({"executor_pools": {"p": executor}}, fault, phase, flag)
        net.__enter__()
        net.set_node_config("A", timeout=2 if fault == "hang" else 30)
        net.inject_packets("A", "in", [Bomb(fault, "unpickle") if phase == "unpickle" else "bad"])
        net.start()
        (letter,) = net.dead_letter_queue
        assert isinstance(letter.exception, expected(fault, phase)[0])
        flag.unlink()
        net.set_node_config("A", timeout=30)
        net.inject_packets("A", "in", ["fine"])
        net.start()
        assert net.take_outputs("A", "out") == ["fine"]
        net.stop()
        for process in list(executor._processes.values()):
            if fault == "hang":
                process.kill()


@pytest.mark.parametrize("fault", ["_exit", "segfault", "kill"])
@pytest.mark.parametrize("phase", ["start", "unpickle", "body", "pickle"])
def test_what_ends_a_process_breaks_its_executor(phase: str, fault: str, tmp_path: Any) -> None:
    """That is the executor's own way, and the error says so. netrun's process pools mend themselves."""
    flag = tmp_path / "flag"
    flag.touch()
    with ProcessPoolExecutor(1, multiprocessing.get_context("forkserver")) as executor:
        net = faulty({"executor_pools": {"p": executor}}, fault, phase, flag)
        net.inject_packets("A", "in", [Bomb(fault, "unpickle") if phase == "unpickle" else "bad", "fine"])
        net.start()
    died, broken = (letter.exception for letter in net.dead_letter_queue)
    assert isinstance(died, WorkerDied)
    assert isinstance(died.__cause__, BrokenProcessPool)
    assert isinstance(broken, WorkerDied)


STOPS_BADLY = """
from concurrent.futures import ProcessPoolExecutor
from netrun import Net
from tests.nets import chain, maps

def stop(net):
    raise OSError("cannot close")

if __name__ == "__main__":
    with ProcessPoolExecutor(1) as executor:
        net = Net(chain("A"), executor_pools={"p": executor})
        net.set_node_exec("A", maps(str), None, stop)
        net.set_node_config("A", pool="p")
        print(net.run({"A.in": [1]}))
"""


def test_a_stop_function_that_fails_in_an_executor_is_heard_of() -> None:
    """Its process ends with the executor, after the net: so the error goes to stderr."""
    done = subprocess.run(
        [sys.executable, "-c", STOPS_BADLY], env=environment(False), capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (0, "{'A.out': ['1']}\n")
    assert done.stderr.endswith("OSError: cannot close\nraised by the stop_node_func of node 'A'\n")


# -- deaths ------------------------------------------------------------------------------------------------------------


def test_a_death_costs_its_own_epoch_only() -> None:
    """The other worker's epoch goes on, and what waits is done."""

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if value == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        ctx.send("out", value)

    net = Net(chain("A"), on_error="continue", process_pools={"p": {"size": 2}})
    net.set_node_exec("A", work)
    net.set_node_config("A", pool="p")
    net.inject_packets("A", "in", [1, "die", 2, 3, "die", 4])
    net.start()
    assert sorted(net.take_outputs("A", "out")) == [1, 2, 3, 4]
    assert [letter.reason for letter in net.dead_letter_queue] == ["worker died"] * 2
    net._ledger.check()


def test_three_deaths_are_enough() -> None:
    """Whatever `retries` says: an epoch that kills its workers is given up."""
    net = Net(chain("A"), on_error="continue", process_pools={"p": {"size": 1}})
    net.set_node_exec("A", lambda ctx, packets: os._exit(3))
    net.set_node_config("A", pool="p", retries=50, defer_net_actions=True)
    net.inject_packets("A", "in", ["value"])
    net.start()
    (letter,) = net.dead_letter_queue
    assert (letter.reason, letter.retry_count, letter.exception.exitcode) == ("worker died", 2, 3)
    assert list(letter.packet_values.values()) == ["value"]


def test_a_worker_that_dies_idle_costs_nothing() -> None:
    """It is replaced before the next epoch."""

    def work(ctx, packets):
        ctx.send("out", (ctx.consume_packet(packets["in"][0]), os.getpid()))

    net = Net(chain("A"), process_pools={"p": {"size": 1}})
    net.set_node_exec("A", work)
    net.set_node_config("A", pool="p")
    with net:
        pids = []
        for number in range(3):
            net.inject_packets("A", "in", [number])
            net.start()
            ((value, pid),) = net.take_outputs("A", "out")
            assert value == number
            pids.append(pid)
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: not multiprocessing.active_children())
    assert len(set(pids)) == 3


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    """After a second; the net does not wait for that."""

    def stubborn(ctx, packets):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.1)

    net = Net(chain("A"), on_error="continue", process_pools={"p": {"size": 1}})
    net.set_node_exec("A", stubborn)
    net.set_node_config("A", pool="p", timeout=0.5)
    net.inject_packets("A", "in", [1])
    begun = time.monotonic()
    net.start()
    assert time.monotonic() - begun < 10
    assert isinstance(next(iter(net.dead_letter_queue)).exception, EpochTimeout)


def test_children_of_a_worker_do_not_hide_its_death() -> None:
    """A grandchild holds the pipe open."""

    def work(ctx, packets):
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        os._exit(7)

    net = Net(chain("A"), on_error="continue", process_pools={"p": {"size": 1}})
    net.set_node_exec("A", work)
    net.set_node_config("A", pool="p")
    net.inject_packets("A", "in", [1])
    begun = time.monotonic()
    net.start()
    assert time.monotonic() - begun < 4
    assert next(iter(net.dead_letter_queue)).exception.exitcode == 7


def test_a_function_that_forks_and_returns_twice_answers_once() -> None:
    """The child does not become a second worker on the same pipe."""

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        who = "child" if os.fork() == 0 else "parent"
        ctx.send("out", (value, who))

    net = Net(chain("A"), process_pools={"p": {"size": 1}})
    net.set_node_exec("A", work)
    net.set_node_config("A", pool="p", timeout=20)
    net.inject_packets("A", "in", range(10))
    net.start()
    assert net.take_outputs("A", "out") == [(number, "parent") for number in range(10)]


def test_a_worker_that_dies_before_it_is_ready_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has run nothing yet, so another one is started. If they all die so, the epoch has failed."""
    start, deaths = workers._start_process, 2

    def start_and_die(*arguments):
        nonlocal deaths
        process, connection = start(*arguments)
        if deaths:
            deaths -= 1
            process.kill()
            process.join()
            connection.close()
            connection, other = multiprocessing.Pipe()
            other.close()
        return process, connection

    monkeypatch.setattr(workers, "_start_process", start_and_die)
    net = Net(chain("A"), on_error="continue", process_pools={"p": {"size": 1}})
    net.set_node_exec("A", lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["in"][0])))
    net.set_node_config("A", pool="p")
    net.inject_packets("A", "in", ["value"])
    net.start()
    assert (net.take_outputs("A", "out"), deaths) == (["value"], 0)
    deaths = 3
    net.inject_packets("A", "in", ["value"])
    net.start()
    (letter,) = net.dead_letter_queue
    assert (type(letter.exception), letter.exception.exitcode, deaths) == (WorkerDied, -9, 0)


SLOW_START = """
from netrun import Net
from tests.nets import chain

def work(ctx, packets):
    ctx.send("out", ctx.consume_packet(packets["in"][0]))

net = Net(chain("A"), on_error="continue", process_pools={"p": {"size": 1, "start_method": "spawn"}})
net.set_node_exec("A", work)
net.set_node_config("A", pool="p", timeout=0.4)
net.inject_packets("A", "in", range(3))
net.start()
print(net.poll().finished, [type(letter.exception).__name__ for letter in net.dead_letter_queue])
"""


def test_a_time_out_shorter_than_the_start_of_a_process_does_not_start_it_for_ever(tmp_path: Any) -> None:
    """The attempt is over, the process is there for the next one."""
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep(1)")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    finished, _, errors = python(SLOW_START, PYTHONPATH=path, measured=False).strip().partition(" ")
    assert int(finished) >= 1
    assert errors.startswith("['EpochTimeout'")


def test_workers_are_killed_at_random() -> None:
    """Every output exactly once, with retries enough. `KILLED_EPOCHS` makes it longer."""
    epochs = int(os.environ.get("KILLED_EPOCHS", "300"))

    def work(ctx, packets):
        time.sleep(0.002)
        ctx.send("out", ctx.consume_packet(packets["in"][0]))

    net = Net(chain("A"), process_pools={"p": {"size": 2}})
    net.set_node_exec("A", work)
    net.set_node_config("A", pool="p", retries=100, defer_net_actions=True)
    net.inject_packets("A", "in", range(epochs))
    done = threading.Event()
    killed: list[int] = []
    dice = random.Random(3)

    def kill() -> None:
        while not done.wait(0.05):
            pids = [process.pid for process in multiprocessing.active_children() if process.name.startswith("p-")]
            if pids:
                killed.append(dice.choice(pids))
                try:
                    os.kill(killed[-1], signal.SIGKILL)
                except ProcessLookupError:
                    killed.pop()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        net.start()
    finally:
        done.set()
        killer.join()
    assert sorted(net.take_outputs("A", "out")) == list(range(epochs))
    assert len(killed) > 3
    net._ledger.check()


ORPHANS = """
import os, sys, time
from netrun import Net
from tests.nets import chain

def work(ctx, packets):
    with open({path!r}, "a") as file:
        file.write(f"{{os.getpid()}}\\n")
    if ctx.consume_packet(packets["in"][0]) == "busy":
        while True:
            pass

net = Net(chain("A"), process_pools={{"p": {{"size": 2, "start_method": "{method}"}}}})
net.set_node_exec("A", work)
net.set_node_config("A", pool="p")
net.__enter__()
net.inject_packets("A", "in", ["idle", "idle", "busy"])
net.start()
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn", "fork"])
def test_when_the_parent_is_killed_its_workers_end(method: str, tmp_path: Any) -> None:
    """Within two seconds, idle or in the middle of a function."""
    if method == "fork" and sys.version_info >= (3, 12):
        pytest.skip("Python warns of forking where there are threads")
    path = tmp_path / "pids"
    code = ORPHANS.format(path=str(path), method=method)
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment(False))
    eventually(lambda: path.exists() and len(path.read_text().split()) == 3, 30)
    parent.kill()
    parent.wait()
    begun = time.monotonic()
    pids = {int(pid) for pid in path.read_text().split()}
    eventually(lambda: not any(map(is_alive, pids)))
    assert time.monotonic() - begun < 2


def is_alive(pid: int) -> bool:
    """Whether a process runs (and is not just waiting to be noticed as dead)."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


FORGOTTEN = """
from netrun import Net
from tests.nets import chain
import time

def hang(ctx, packets):
    time.sleep(3600)

net = Net(chain("A"), on_error="continue", {kind}_pools={{"p": {{"size": 1}}}})
net.set_node_exec("A", hang)
net.set_node_config("A", pool="p", timeout={timeout})
net.inject_packets("A", "in", [1])
net.start(threaded=True)
while not getattr(net.poll(), {what!r}):
    time.sleep(0.01)
print("the end")
"""


@pytest.mark.parametrize("kind", ["thread", "process"])
@pytest.mark.parametrize("timeout", [None, 0.3])
def test_the_end_of_a_script_waits_for_no_worker(kind: str, timeout: float | None) -> None:
    """Running or abandoned, and nobody has called stop."""
    done = subprocess.run(
        [sys.executable, "-c", FORGOTTEN.format(kind=kind, timeout=timeout, what="failed" if timeout else "running")],
        env=environment(False),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")


FORKED = """
import os, signal, sys, time
from netrun import Net
from tests.nets import chain

def work(ctx, packets):
    ctx.send("out", (ctx.consume_packet(packets["in"][0]), os.getpid()))

net = Net(chain("A"), process_pools={"p": {"size": 1}})
net.set_node_exec("A", work)
net.set_node_config("A", pool="p")
with net:
    pids = set()
    for number in range(2):
        net.inject_packets("A", "in", [number])
        net.start()
        ((value, pid),) = net.take_outputs("A", "out")
        pids.add(pid)
        child = os.fork()
        if not child:
            sys.stderr = open(os.devnull, "w")  # what multiprocessing says of it
            sys.exit()
        os.waitpid(child, 0)
    print(len(pids))
    os.kill(pid, 0)
"""


def test_the_end_of_a_forked_child_leaves_the_workers_alone() -> None:
    """They are its parent's."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        env=environment(False),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


CTRL_C = """
import os, signal, sys, time
from netrun import Net
from tests.nets import chain

def slow(ctx, packets):
    value = ctx.consume_packet(packets["in"][0])
    time.sleep({seconds})
    ctx.send("out", value)

net = Net(chain("A"), process_pools={{"p": {{"size": 2}}}})
net.set_node_exec("A", slow)
net.set_node_config("A", pool="p")
net.inject_packets("A", "in", range(4))
import threading
def press():
    while net.poll().running < 2:
        time.sleep(0.01)
    time.sleep(0.5)
    for _ in range({presses}):
        os.killpg(0, signal.SIGINT)
        time.sleep(0.2)
threading.Thread(target=press, daemon=True).start()
try:
    net.start()
    print("returned", net.poll().finished, net.poll().startable)
except KeyboardInterrupt:
    print("raised", net.poll().finished, net.poll().startable)
net._ledger.check()
"""


@pytest.mark.parametrize(("presses", "seconds", "told"), [(1, 1, "returned 2 2"), (2, 3600, "raised 0 4")])
def test_ctrl_c_at_a_terminal_reaches_the_net_alone(presses: int, seconds: float, told: str) -> None:
    """The whole process group gets it, but workers ignore it: the first lets them finish, the second ends them."""
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C.format(presses=presses, seconds=seconds)],
        env=environment(False),
        capture_output=True,
        text=True,
        timeout=30,
        start_new_session=True,
    )
    assert (done.returncode, done.stdout.strip()) == (0, told), done.stderr
    assert done.stderr.startswith("netrun: SIGINT, so the net pauses: 2 running epochs finish")


CTRL_C_EARLY = """
import os, signal, sys, threading, time
from netrun import Net
from tests.nets import chain, maps

net = Net(chain("A"), handle_signals=False, process_pools={"p": {"size": 1}})
net.set_node_exec("A", maps(str))
net.set_node_config("A", pool="p")
net.inject_packets("A", "in", [1])

def press():
    while True:
        time.sleep(0.002)
        os.killpg(0, signal.SIGINT)

signal.signal(signal.SIGINT, lambda *_: None)  # here; what is started gets Python's own handler
threading.Thread(target=press, daemon=True).start()
net.start()
signal.signal(signal.SIGINT, signal.SIG_IGN)
print(net.take_outputs("A", "out"))
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_ctrl_c_while_the_processes_start_does_not_reach_them(method: str) -> None:
    """Neither the fork server nor a worker, at any moment."""
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C_EARLY.replace('"size": 1', f'"size": 1, "start_method": "{method}"')],
        env=environment(False),
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "['1']\n", "")


def test_the_text_of_a_death() -> None:
    """It says how, and what that may mean."""
    texts = {
        3: "with exit code 3 (it called os._exit",
        -9: "by SIGKILL (possibly out of memory)",
        -11: "by SIGSEGV (a crash in native code)",
        -15: "by SIGTERM",
        -64: "by ",
        None: "and how is not known",
    }
    for code, text in texts.items():
        assert text in str(WorkerDied("A", "e1", code))
    assert "stop_node_func" in str(WorkerDied("A", "", -9))
