"""Progress: on a terminal, in a log, in a notebook; and that the net never suffers from it."""

import asyncio
import contextlib
import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netrun import ConfigError, Net, NetState, NetStateError, NetStatus, NodeExecutionFailed, NodeStatus, node
from netrun.prints import routed
from netrun.progress import (
    Above,
    CellScreen,
    LogScreen,
    Look,
    Progress,
    Rates,
    Row,
    Terminal,
    TerminalScreen,
    fit,
    html_of,
    is_a_terminal,
    line_of,
    look_at,
    plain,
    screen_here,
    shown_rows,
    table_of,
    width_of,
)
from tests.nets import chain, environment, eventually, python

SCRIPT = """
import os, signal, sys, threading, time
from netrun import *
from tests.nets import chain

net = Net(chain("Read", "Store"), on_error="continue")

def work(ctx, packets):
    number = ctx.consume_packet(packets["in"][0])
    print(f"{ctx.node_name} has {number}")
    time.sleep(0.01)
    if number == 7:
        raise ValueError(f"no {number}")
    ctx.send("out", number)

for name in ("Read", "Store"):
    net.set_node_exec(name, work)
    net.set_node_config(name, echo_stdout=True)
net.inject_packets("Read", "in", range(30))
before = sys.stdout, sys.stderr
"""
AFTER = """
assert (sys.stdout, sys.stderr) == before, (sys.stdout, sys.stderr)
assert [thread.name for thread in threading.enumerate()] == ["MainThread"], threading.enumerate()
print("the end")
"""


def net_of(func: Callable[..., Any] | None = None, *names: str, **options: Any) -> Net:
    """A net of nodes in a row that have this function."""
    net = Net(chain(*(names or ("A",))), **options)
    for name in names or ("A",):
        net.set_node_exec(name, func or (lambda ctx, packets: ctx.send("out", ctx.consume_packet(packets["in"][0]))))
    return net


def watching() -> list[str]:
    """The threads that show progress."""
    return [thread.name for thread in threading.enumerate() if thread.name == "netrun progress"]


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """No thread, and the streams that were there."""
    before = sys.stdout, sys.stderr
    yield
    eventually(lambda: not watching(), what=watching)
    assert (sys.stdout, sys.stderr) == before


# -- a terminal --------------------------------------------------------------------------------------------------------


class Emulator:
    """What one sees of what is written to a terminal, as far as progress uses it. Anything else is an error."""

    def __init__(self) -> None:
        self.lines, self.row, self.column, self.saved = [""], 0, 0, (0, 0)

    def feed(self, text: str) -> "Emulator":
        for part in re.findall(r"\x1b\[\d*[A-Za-z]|\x1b[D78]|[^\x1b]|\x1b.*", text):
            if part in ("\n", "\x1bD"):
                self.row += 1
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif part == "\r":
                self.column = 0
            elif part.startswith("\x1b") and part.endswith("A"):
                self.row -= int(part[2:-1])
                assert self.row >= 0, "above the top"
            elif part == "\x1b7":
                self.saved = self.row, self.column
            elif part == "\x1b8":
                self.row, self.column = self.saved
            elif part == "\x1b[J":
                self.lines[self.row :] = [self.lines[self.row][: self.column]]
            else:
                assert part.isprintable(), repr(part)
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + part + line[self.column + 1 :]
                self.column += 1
        return self

    def seen(self) -> list[str]:
        return [line for line in self.lines if line]


def on_a_terminal(code: str, keys: Callable[[int, str], None] = lambda fd, text: None) -> tuple[str, int]:
    """What a fresh process writes to a terminal of 24 lines and 80 columns, and its exit code. `keys` is called with
    the terminal and what was written so far, and may type. The terminal's settings are the same afterwards."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen(
        [sys.executable, "-c", f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n{code}"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment(measured=False), "TERM": "xterm"},
        start_new_session=True,
    )
    written, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        readable, _, _ = select.select([ours], [], [], 0.05)
        if readable:
            written += os.read(ours, 65536)
        elif process.poll() is not None:
            break
        keys(ours, written.decode(errors="replace"))
    else:
        process.kill()
    code_of = process.wait()
    assert termios.tcgetattr(theirs) == before
    os.close(theirs)
    os.close(ours)
    text = written.decode()
    assert "\x1b[?" not in text  # no mode is set, the cursor not hidden
    return text, code_of


@pytest.mark.parametrize("how", ["start", "threaded", "async", "run"])
def test_on_a_terminal(how: str) -> None:
    """The table is drawn over itself; what nodes print is above it, whole and in order; so are errors. The last one
    stays."""
    verbs = {
        "start": "net.start(progress=True)",
        "threaded": "with net:\n    net.start(threaded=True, progress=True)\n    net.wait_until_blocked()",
        "async": "import asyncio; asyncio.run(net.async_start(progress=True))",
        "run": "net.run(progress=True)",
    }
    text, code = on_a_terminal(SCRIPT + verbs[how] + AFTER)
    assert code == 0, text
    assert "netrun RUNNING" in text
    seen = Emulator().feed(text).seen()
    told = [line for line in seen if " has " in line]
    assert told == [f"{n} has {i}" for n in ("Read", "Store") for i in range(30) if (n, i) != ("Store", 7)]
    (error,) = [line for line in seen if "ValueError" in line]
    assert re.fullmatch(r"netrun: node 'Read', epoch e\d+-\w+: ValueError: no 7", error)
    assert seen[-1] == "the end"
    table = seen[-5:-1]
    state = "STOPPED by user" if how == "threaded" else "PAUSED"
    assert re.fullmatch(rf"netrun {state} [\d.]+ s +finished +running +waiting +failed +per s", table[0])
    assert [re.split(r"  +", line.strip())[:5] for line in table[1:]] == [
        ["all nodes", "58", "0", "0", "1"],
        ["Read", "29", "0", "0", "1"],
        ["Store", "29", "0", "0", "0"],
    ]
    assert sum(line.startswith("netrun ") for line in seen) == 1


def test_lines_that_are_not_at_their_end() -> None:
    """The table waits for the end of a line that is printed in parts, and never comes into it. So does stderr."""
    code = (
        SCRIPT
        + """
def dots(ctx, packets):
    ctx.consume_packet(packets["in"][0])
    for _ in range(8):
        print(".", end="", flush=True)
        time.sleep(0.1)
    print()
    print("aside", file=sys.stderr)

net.set_node_exec("Store", dots)
net.inject_packets("Store", "in", [0])
net.set_node_exec("Read", None)
net.start(progress=True)
"""
    )
    text, exit_code = on_a_terminal(code + AFTER)
    assert exit_code == 0, text
    seen = Emulator().feed(text).seen()
    assert seen[:2] == ["." * 8, "aside"]
    assert "netrun RUNNING" not in text.partition("." * 8)[2].partition("\n")[0]


def test_an_error_is_told_when_the_line_has_ended() -> None:
    """Not in the middle of it, and it is not forgotten."""
    out = io.StringIO()
    screen = Terminal(out)
    screen.above(out, "half a ")
    wrong = Look("RUNNING", 1.0, Row("all", 0, 0, 0, 1, 0.0), [], ["it went wrong"])
    screen.show(1, wrong, False)
    assert out.getvalue() == "half a "
    screen.above(out, "line\n")
    screen.show(1, look(2.0), False)
    screen.show(1, look(3.0), True)
    seen = Emulator().feed(out.getvalue().replace("\n", "\r\n")).seen()
    assert seen[:2] == ["half a line", "it went wrong"]
    assert seen[2].startswith("netrun RUNNING 3.0 s")
    assert len(seen) == 4


@pytest.mark.parametrize(
    "say",
    [
        "subprocess.run(['echo', line])",
        "os.write(1, line.encode() + b'\\n')",
        "sys.stdout.buffer.write(line.encode() + b'\\n'); sys.stdout.buffer.flush()",
        "logging.warning(line)",
    ],
)
def test_what_goes_past_the_streams_is_not_erased(say: str) -> None:
    """Of what others write to the terminal each line stays, from its beginning and in order; what logging writes, with
    nothing of the table beside it."""
    code = f"""
import logging, subprocess
logging.basicConfig(format="%(message)s")
handler = logging.root.handlers[0]

def work(ctx, packets):
    number = ctx.consume_packet(packets["in"][0])
    time.sleep(0.15)
    line = f"line {{number}} of it"
    {say}

net.set_node_exec("Read", work)
net.start(progress=True)
assert handler.stream is before[1], handler.stream
"""
    text, exit_code = on_a_terminal(SCRIPT.replace("range(30)", "range(10)") + code + AFTER)
    assert exit_code == 0, text
    assert text.count("netrun RUNNING") > 2
    seen = Emulator().feed(text).seen()
    told = [line for line in seen if line.startswith("line ")]
    assert [line[:12] for line in told] == [f"line {n} of it" for n in range(10)]
    if "logging" in say:
        assert max(map(len, told)) == 12
    assert seen[-1] == "the end"
    assert re.search(r"all nodes +10 +0 +0 +0 ", seen[-4])


class Tty(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def terminal_here() -> Iterator[Tty]:
    """stdout and stderr are a terminal, and afterwards still this one."""
    tty = Tty()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.setattr(sys, "stdout", tty)
        patch.setattr(sys, "stderr", tty)
        yield tty
        assert (sys.stdout, sys.stderr) == (tty, tty)


def seen_on(tty: Tty) -> list[str]:
    """What one sees of it."""
    return Emulator().feed(tty.getvalue().replace("\n", "\r\n")).seen()


@pytest.mark.parametrize("first", [0, 1])
def test_nets_that_are_shown_at_the_same_time(first: int) -> None:
    """Whichever ends first: each has its table, nothing is torn, and the streams are those that were there."""

    def show(number: int, seconds: float, is_last: bool = False) -> None:
        both[number].show(look(seconds, rows=[Row(f"N{number}", 0, 0, 0, 0, 0.0)]), is_last)

    with terminal_here() as tty:
        for turn in range(3):
            both = [TerminalScreen(sys.stderr) for _ in range(2)]
            for screen in both:
                screen.open()
            with routed():
                for seconds in (1.0, 2.0):
                    show(0, seconds)
                    show(1, seconds)
                    print(f"printed {seconds}")
                show(0, 3.0)
                show(1, 3.0)
                now = [line.split()[0] for line in seen_on(tty)[-8:]]
                assert now == ["printed", "printed", "netrun", "all", "N0", "netrun", "all", "N1"]
                for number in (first, 1 - first):
                    show(number, 4.0, is_last=True)
                    both[number].close()
                    print("after")
            assert (sys.stdout, sys.stderr) == (tty, tty)
            last = ["netrun", "all", f"N{first}", "after", "netrun", "all", f"N{1 - first}", "after"]
            seen = seen_on(tty)
            assert [line.split()[0] for line in seen[10 * turn :]] == ["printed", "printed", *last]


def test_streams_that_somebody_else_wraps() -> None:
    """What they put back when nothing is shown any more lets everything through, and goes with the next progress."""
    with terminal_here() as tty:
        screen = TerminalScreen(sys.stderr)
        screen.open()
        with contextlib.redirect_stdout(io.StringIO()):
            screen.close()
        assert isinstance(sys.stdout, Above)
        print("let through")
        for _ in range(2):
            screen.open()
            screen.close()
        assert tty.getvalue() == "let through\n"


def test_a_line_of_others_that_has_not_ended_is_gone_on_with() -> None:
    """The cursor comes back to where it was."""
    tty = Tty()
    terminal = Terminal(tty)
    for part in ("one", " two", " three\n"):
        terminal.show(1, look(1.0), False)
        tty.write(part)
    terminal.show(1, look(1.0), True)
    assert Emulator().feed(tty.getvalue().replace("\n", "\r\n")).seen()[0].startswith("one two three")


def press(fd: int, text: str, pressed: list[str], after: str) -> None:
    """Type Ctrl-C when something was written, once."""
    if after in text and after not in pressed:
        pressed.append(after)
        os.write(fd, b"\x03")


def test_ctrl_c_pauses_and_then_interrupts() -> None:
    """As without progress: the first pauses, the second raises; the last table stays, and the streams are put back."""
    code = (
        SCRIPT
        + """
def slow(ctx, packets):
    print("begun", flush=True)
    time.sleep(30)

net.set_node_exec("Read", slow)
try:
    net.start(progress=True)
except KeyboardInterrupt:
    print("interrupted", net.poll().paused_by)
"""
    )
    pressed: list[str] = []

    def keys(fd: int, text: str) -> None:
        press(fd, text, pressed, "begun")
        press(fd, text, pressed, "netrun: SIGINT, so the net pauses")

    text, exit_code = on_a_terminal(code + AFTER, keys)
    assert exit_code == 0, text
    seen = Emulator().feed(text.replace("^C", "")).seen()
    assert [line for line in seen if line.startswith("netrun PAUSED")]
    assert seen[-2:] in (["interrupted error", "the end"], ["interrupted signal", "the end"])


def test_one_ctrl_c_only_pauses() -> None:
    """What runs has finished."""
    pressed: list[str] = []
    more = 'net.inject_packets("Read", "in", range(100, 1000))\n'
    text, exit_code = on_a_terminal(
        SCRIPT + more + "net.start(progress=True)\nprint('paused by', net.poll().paused_by)" + AFTER,
        lambda fd, text: press(fd, text, pressed, "Read has 10"),
    )
    assert exit_code == 0, text
    assert Emulator().feed(text.replace("^C", "")).seen()[-2:] == ["paused by signal", "the end"]


def test_a_process_that_is_killed_leaves_the_terminal_as_it_was() -> None:
    """Nothing was set, so nothing need be put back."""
    code = (
        SCRIPT
        + """
def die(ctx, packets):
    time.sleep(2)
    os.kill(os.getpid(), signal.SIGKILL)

net.set_node_exec("Read", die)
net.start(progress=True)
"""
    )
    text, exit_code = on_a_terminal(code)
    assert exit_code == -signal.SIGKILL
    assert "netrun RUNNING" in text


# -- a log -------------------------------------------------------------------------------------------------------------


def test_in_a_log() -> None:
    """stdout is what it is without; on stderr an error as it comes and a last line, and no control characters."""
    code = SCRIPT + "net.start(progress=True)" + AFTER
    env = {**environment(), "TERM": "xterm"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" has ") == 59
    assert "netrun" not in done.stdout
    error, last = done.stderr.splitlines()
    assert re.fullmatch(r"netrun: node 'Read', epoch e\d+-\w+: ValueError: no 7", error)
    numbers = "58 finished, 0 running, 0 waiting, 1 failed"
    assert re.fullmatch(rf"netrun PAUSED, [\d.]+ s: {numbers}, [\d.]+ per second", last)
    assert "\x1b" not in done.stderr


def test_a_line_now_and_then() -> None:
    """The first after a while, not with each look."""
    stream = io.StringIO()
    screen = LogScreen(stream)
    for tenth in range(0, 350):
        screen.show(look(tenth / 10), False)
    assert [line.partition(":")[0] for line in stream.getvalue().splitlines()] == [
        "netrun RUNNING, 10.0 s",
        "netrun RUNNING, 20.0 s",
        "netrun RUNNING, 30.0 s",
    ]


def test_on_the_command_line(tmp_path: Path) -> None:
    """`netrun run --progress`."""
    (tmp_path / "mine.py").write_text("def double(number: int) -> int:\n    return 2 * number\n")
    (tmp_path / "net.toml").write_text(
        '[nodes.D]\nfactory = "netrun.factories.from_function"\nfactory_args = { func = "mine.double" }\n'
    )
    command = [sys.executable, "-m", "netrun", "run", "net.toml", "--input", "D.number=4", "--progress"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, '{"D.out": 8}\n')
    assert "1 finished, 0 running, 0 waiting, 0 failed" in done.stderr


# -- a notebook --------------------------------------------------------------------------------------------------------


def test_in_a_notebook(tmp_path: Path) -> None:
    """One output under the cell, which is changed, beside what the nodes print; the last one is right."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    code = SCRIPT + "net.start(progress=True)\nassert (sys.stdout, sys.stderr) == before"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    paths = f"import sys; sys.path[:0] = {environment()['PYTHONPATH'].split(os.pathsep)!r}"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(paths))
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute(cwd=str(tmp_path))
    outputs = notebook.cells[1].outputs
    (shown,) = [output for output in outputs if output.output_type == "display_data"]
    assert "ValueError: no 7" in shown.data["text/plain"]
    assert re.search(r"all nodes +58 +0 +0 +1 ", shown.data["text/plain"])
    assert "<td>58</td><td>0</td><td>0</td><td>1</td>" in shown.data["text/html"]
    assert sum(output.text.count(" has ") for output in outputs if output.output_type == "stream") == 59


def test_what_a_cell_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is found by its shell, and texts are escaped."""
    html = html_of(look(1.0, rows=[Row("<b>", 1, 0, 0, 0, 0.0)]), ["<script>"])
    assert "&lt;b&gt;" in html
    assert "<script>" not in html

    class Shell:
        kernel = None

    class IPython:
        get_ipython = staticmethod(Shell)

    monkeypatch.setitem(sys.modules, "IPython", IPython)
    assert isinstance(screen_here(), CellScreen)


# -- what goes wrong ---------------------------------------------------------------------------------------------------


class Broken(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, error: Exception, tty: bool) -> None:
        super().__init__()
        self.error, self.tty = error, tty

    def isatty(self) -> bool:
        return self.tty

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize("tty", [True, False])
@pytest.mark.parametrize("error", [BrokenPipeError("gone"), ValueError("closed"), RuntimeError("odd")])
def test_a_stream_that_fails_does_not_stop_the_net(
    error: Exception, tty: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The net does what it does without; the log says why there is no progress."""
    broken = Broken(error, tty)
    net = net_of()
    net.inject_packets("A", "in", range(10))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", broken)
        net.start(progress=True)
        assert sys.stderr is broken
    assert net.take_outputs("A", "out") == list(range(10))
    (record,) = caplog.records
    assert "progress is not shown any more" in record.message
    assert str(error) in record.message


def test_a_screen_that_cannot_be_opened_does_not_stop_the_net(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does a machine that has no more threads."""
    net = net_of()
    net.inject_packets("A", "in", [1])
    with monkeypatch.context() as patch:
        patch.setattr(LogScreen, "open", lambda self: 1 / 0)
        net.start(progress=True)
    net.inject_packets("A", "in", [2])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda self: [][0])
        net.start(progress=True)
    assert net.take_outputs("A", "out") == [1, 2]
    assert ["division by zero" in record.message for record in caplog.records] == [True, False]
    assert net._aftermath.heard == []


def test_without_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to show it on."""
    net = net_of()
    net.inject_packets("A", "in", [1])
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", None)
        net.start(progress=True)
    assert net.take_outputs("A", "out") == [1]


def test_a_stream_that_blocks_does_not_hold_the_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads the terminal: the run ends all the same, after a while."""
    release = threading.Event()

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            release.wait(20)
            return len(text)

    monkeypatch.setattr(Progress, "LAST", 0.05)
    net = net_of()
    net.inject_packets("A", "in", [1])
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Stuck())
        begun = time.monotonic()
        net.start(progress=True)
        assert time.monotonic() - begun < 10
    assert net.take_outputs("A", "out") == [1]
    release.set()


def test_a_start_that_is_refused_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """And leaves nothing."""
    seen: list[str] = []

    def inside(ctx: Any, packets: dict[str, list[Any]]) -> None:
        ctx.consume_packet(packets["in"][0])
        with pytest.raises(NetStateError):
            net.start(progress=True)
        seen.extend(watching())

    net = net_of(inside)
    net.inject_packets("A", "in", [1])
    net.start()
    assert seen == []
    assert capsys.readouterr().err == ""


def test_a_run_that_raises_shows_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    """The error leaves, and was told."""

    def fail(ctx: Any, packets: dict[str, list[Any]]) -> None:
        raise KeyError("nothing there")

    net = net_of(fail)
    net.inject_packets("A", "in", [1])
    with pytest.raises(NodeExecutionFailed):
        net.start(progress=True)
    error, last = capsys.readouterr().err.splitlines()
    assert "KeyError: 'nothing there'" in error
    assert last.startswith("netrun PAUSED by error")


def test_a_flood_of_errors_is_told_in_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """And none is left out of the count."""

    def fail(ctx: Any, packets: dict[str, list[Any]]) -> None:
        raise ValueError("a text\nof two lines \x1b[2J" + "x" * 10_000)

    net = net_of(fail, on_error="continue")
    net.inject_packets("A", "in", range(500))
    net.start(progress=True)
    *told, last = capsys.readouterr().err.splitlines()
    more = sum(
        int(m[1].replace(",", "")) for line in told if (m := re.search(r"and ([\d,]+) more that were given up", line))
    )
    errors = [line for line in told if "ValueError" in line]
    assert len(errors) + more == 500
    assert len(told) < 100
    assert all(len(line) <= 300 for line in told)
    assert "500 failed" in last


@pytest.mark.parametrize("given", [[1, 2], "yes", 1, None])
def test_bad_values(given: Any) -> None:
    """Are refused before anything is done; `run` says what is meant where a port has this name."""
    net = net_of()
    net.inject_packets("A", "in", [1])
    for word in ("progress", "threaded", "resume"):
        with pytest.raises(ConfigError, match=f"^{word} must be True or False, not "):
            net.start(**{word: given})
    for word in ("progress", "resume"):
        with pytest.raises(ConfigError, match=f"^{word} must be True or False, not "):
            asyncio.run(net.async_start(**{word: given}))
    with pytest.raises(ConfigError, match=r"^`progress` of run takes True or False, not .*\.$"):
        net.run({"A.in": [2]}, progress=given)
    assert net.state is NetState.CREATED
    assert net.poll().waiting_packets == 1

    @node
    def g(progress: int) -> int:
        return progress

    with pytest.raises(ConfigError, match=r"The port of this name is given as \{'g\.progress': values\}"):
        Net(g).run(progress=given)


# -- in the background -------------------------------------------------------------------------------------------------


def test_in_the_background_it_ends_with_the_net(capsys: pytest.CaptureFixture[str]) -> None:
    """One thread, however often it is started; gone after `stop`."""
    net = net_of()
    net.start(threaded=True, progress=True)
    net.inject_packets("A", "in", range(5))
    net.wait_until_blocked()
    net.pause(wait=True)
    net.start(threaded=True, progress=True)  # lifts the pause
    assert watching() == ["netrun progress"]
    net.stop()
    assert watching() == []
    (last,) = capsys.readouterr().err.splitlines()
    assert "STOPPED" in last
    assert "5 finished" in last
    assert net._aftermath.heard == []


def test_a_net_that_is_stopped_from_inside(capsys: pytest.CaptureFixture[str]) -> None:
    """It ends by itself."""

    def end(ctx: Any, packets: dict[str, list[Any]]) -> None:
        ctx.consume_packet(packets["in"][0])
        net.stop()

    net = net_of(end)
    net.start(threaded=True, progress=True)
    net.inject_packets("A", "in", [1])
    eventually(lambda: net.state is NetState.STOPPED)
    eventually(lambda: not watching())
    assert "1 finished" in capsys.readouterr().err


def test_on_a_loop(capsys: pytest.CaptureFixture[str]) -> None:
    """Async nodes under `async_start`; cancelled, it ends too."""

    async def forever(ctx: Any, packets: dict[str, list[Any]]) -> None:
        await asyncio.sleep(3600)

    async def run() -> None:
        net = net_of(forever)
        net.inject_packets("A", "in", [1])
        task = asyncio.create_task(net.async_start(progress=True))
        while not net.poll().running:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        net.stop()

    asyncio.run(run())
    last = capsys.readouterr().err
    assert last.startswith("netrun PAUSED by interrupt")
    assert "0 finished, 0 running, 1 waiting, 0 failed" in last


def test_a_script_that_ends_with_a_net_in_the_background() -> None:
    """Its last numbers are shown."""
    code = SCRIPT + "net.start(threaded=True, progress=True)\nnet.wait_until_blocked()\nprint('the end')"
    text, exit_code = on_a_terminal(code)
    assert exit_code == 0, text
    seen = Emulator().feed(text).seen()
    assert seen[-5] == "the end"
    assert re.search("all nodes +58 +0 +0 +1 ", seen[-3])
    assert len(seen) == 59 + 1 + 5


# -- forks -------------------------------------------------------------------------------------------------------------


def test_a_process_that_is_forked_off_can_print() -> None:
    """Though another thread holds the lock of the terminal just then."""
    code = """
import io, os, threading, time
from netrun.progress import Above, Terminal

screen = Terminal(io.StringIO())
out = Above(screen, io.StringIO())
held, done = threading.Event(), threading.Event()

def hold():
    with screen._lock:
        held.set()
        done.wait(20)

threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if not child:
    out.write("from the child")
    os._exit(0 if out.real.getvalue() == "from the child" else 1)
for _ in range(1000):
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid:
        break
    time.sleep(0.01)
else:
    os.kill(child, 9)
    status = "it hangs"
done.set()
print(status)
"""
    assert python(code, PYTHONWARNINGS="ignore") == "0\n"


# -- words -------------------------------------------------------------------------------------------------------------


def look(seconds: float, rows: list[Row] | None = None) -> Look:
    """Something to show."""
    return Look("RUNNING", seconds, Row("all", 1234, 1, 2, 3, 4.5), rows or [])


def test_a_line() -> None:
    """All numbers, with their names."""
    assert line_of(look(2.5)) == (
        "netrun RUNNING, 2.5 s: 1,234 finished, 1 running, 2 waiting, 3 failed, 4.5 per second"
    )


@pytest.mark.parametrize("name", ["A", "x" * 200, "写" * 60, "a\nb\x1b[2J\r", "é" * 3])
@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_a_table_fits(name: str, columns: int) -> None:
    """In its columns and lines, whatever nodes are called, without control characters."""
    rows = [Row(f"{name}{number}", 10**number, 0, 0, 0, 1.5) for number in range(9)]
    for lines in (0, 1, 2, 3, 4, 8, 30):
        table = table_of(look(1.0, rows), columns, lines)
        assert len(table) <= lines
        assert all(width_of(line) < columns for line in table)
        assert all(line.isprintable() for line in table)


@pytest.mark.parametrize("state", ["PAUSED by interrupt", "STOPPED by user"])
def test_the_time_is_seen(state: str) -> None:
    """On 80 columns, with numbers of some size."""
    table = table_of(Look(state, 12345.6, Row("all", 999_999, 1, 99_999, 3, 4321.5), []), 80, 24)
    assert table[0].startswith(f"netrun {state} 12345.6 s ")


def test_a_net_that_is_not_there_yet_is_starting() -> None:
    """One that never was says so in the end."""
    assert look_at(NetStatus(), 0.0, Rates(), []).state == "STARTING"
    assert look_at(NetStatus(), 0.0, Rates(), [], is_last=True).state == "CREATED"


def test_the_liveliest_rows_are_shown() -> None:
    """In the order of the nodes."""
    rows = [Row(f"N{n}", 5, int(n in (3, 90)), 0, int(n == 50), 0.0) for n in range(100)]
    found, others = shown_rows(look(1.0, rows), 3)
    assert [row.name for row in found] == ["N3", "N50", "N90"]
    assert others == 97
    assert shown_rows(look(1.0, rows), 100) == (rows, 0)


def test_texts_fit() -> None:
    """Wide characters count twice."""
    assert fit("abc", 5) == "abc  "
    assert fit("abcdef", 4) == "abc…"
    assert width_of(fit("写写写写", 4)) == 4
    assert plain("a\tb\n\x07c") == "a b \\x07c"


def test_rates_are_those_of_the_last_seconds() -> None:
    """And in the end of the whole time."""
    rates = Rates()
    for second in range(20):
        finished = min(second, 10) * 100
        status = NetStatus(
            finished=finished, nodes={"A": NodeStatus(finished=finished, startable=1, waiting_packets=2)}
        )
        seen = look_at(status, float(second), rates, [])
        assert seen.rows[0].rate == seen.total.rate == (100 if 0 < second <= 10 else seen.total.rate)
        assert seen.rows[0].waiting == 3
    assert seen.total.rate == 0
    assert look_at(status, 20.0, rates, [], is_last=True).total.rate == 50


def test_what_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a closed stream, none, or one that cannot be drawn on."""

    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("TERM", raising=False)
    assert is_a_terminal(Tty())
    monkeypatch.setenv("TERM", "dumb")
    assert not is_a_terminal(Tty())
    closed = io.StringIO()
    closed.close()
    assert not is_a_terminal(None)
    assert not is_a_terminal(closed)


def test_above_is_as_the_stream_is() -> None:
    """What is not writing goes to the stream itself."""
    real = io.StringIO()
    above = Above(Terminal(io.StringIO()), real)
    above.writelines(["a\n", "b\n"])
    assert real.getvalue() == above.getvalue() == "a\nb\n"
    assert "StringIO" in repr(above)
