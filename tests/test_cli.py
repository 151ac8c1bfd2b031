"""The command line, as processes: pipes, files, Ctrl-C, mistakes, exit codes. No user's mistake ends in a traceback."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from netrun import NetDefinition
from netrun.reading import data_of
from netrun.schema import schema
from tests.nets import environment

CORPUS = Path(__file__).parent / "corpus"
NET = """\
# Numbers, and their squares.
edges = [{ from = "Count.out", to = "Square.in" }]

[nodes.Count]
out_ports = ["out"]
out_salvo_conditions.send = { when = "nonempty(out)" }
exec_node_func = "app.count"

[nodes.Square]
in_ports = ["in"]
out_ports = ["out"]
in_salvo_conditions.one = { when = "nonempty(in)", ports = { in = 1 } }
out_salvo_conditions.send = { when = "nonempty(out)" }
exec_node_func = "app.square"
"""
APP = """\
import sys
import time


def count(ctx, packets):
    for number in range(4):
        ctx.send("out", number)


def square(ctx, packets):
    value = ctx.consume_packet(packets["in"][0])
    ctx.send("out", value**2)


def slowly(ctx, packets):
    print("began", file=sys.stderr, flush=True)
    time.sleep(0.5)
    ctx.send("out", ctx.consume_packet(packets["in"][0]))


def for_ever(ctx, packets):
    print("began", file=sys.stderr, flush=True)
    time.sleep(60)


def odd(ctx, packets):
    ctx.send("out", {ctx.consume_packet(packets["in"][0])})


def where(ctx, packets):
    import threading

    ctx.consume_packet(packets["in"][0])
    ctx.send("out", threading.current_thread() is threading.main_thread())


def begin(net):
    raise OSError("no such database")


class Flaky(Exception):
    pass
"""
MODULE = [sys.executable, "-m", "netrun"]


@pytest.fixture
def folder(tmp_path):
    """A folder with a net and its functions."""
    (tmp_path / "net.toml").write_text(NET)
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def netrun(folder, *arguments, text="", env=None):
    """The exit code, and both outputs. No traceback is ever among them."""
    done = subprocess.run(
        [*MODULE, *arguments],
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        env={**environment(), **(env or {})},
    )
    assert "Traceback" not in done.stderr or "--traceback" in arguments
    return done.returncode, done.stdout, done.stderr


def test_a_net_runs(folder):
    """Its sources start once; all that comes out is told with its port."""
    assert netrun(folder, "run", "net.toml") == (0, "".join(f'{{"Square.out": {n}}}\n' for n in (0, 1, 4, 9)), "")


def test_the_command_is_the_module(folder):
    """`netrun` is installed beside the Python that runs this."""
    script = Path(sys.executable).parent / "netrun"
    done = subprocess.run(
        [script, "run", "net.toml", "--output", "Square.out=-"], cwd=folder, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "0\n1\n4\n9\n")


def test_values_come_from_a_pipe_and_go_into_files(folder):
    """As JSON lines; empty lines are nothing."""
    (folder / "more.jsonl").write_text("\n5\n\n6")
    code, out, err = netrun(
        folder, "run", "net.toml", "--input", "Square.in=@-", "--input", "Square.in=@more.jsonl", "--input",
        "Square.in=7",
        "--output", "Square.out=squares.jsonl", text="10\n11\n",
    )  # fmt: skip
    assert (code, out, err) == (0, "", "")
    assert (folder / "squares.jsonl").read_text().split() == ["100", "121", "25", "36", "49", "0", "1", "4", "9"]


def test_a_value_that_is_no_json_is_a_text(folder):
    """On the command line, where quotes are a nuisance."""
    (folder / "echo.toml").write_text(
        '[nodes.E]\nfactory = "netrun.factories.merge"\nfactory_args = { inputs = ["größe.x", "b"] }\n'
    )
    code, out, _ = netrun(
        folder, "run", "echo.toml", "--input", "E.b=häuser", "--input", 'E.b={"a": [1]}', "--input", 'E."größe.x"="3"',
        "--output", "E.out=-", env={"PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert (code, [json.loads(line) for line in out.splitlines()]) == (0, ["3", "häuser", {"a": [1]}])


def test_a_net_comes_from_the_standard_input(folder):
    """Its functions are looked for in the current folder."""
    assert netrun(folder, "run", "-", "--output", "Square.out=-", text=NET)[:2] == (0, "0\n1\n4\n9\n")


def test_functions_are_beside_the_file(folder, tmp_path_factory):
    """Wherever the command is called."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert netrun(elsewhere, "run", str(folder / "net.toml"))[0] == 0


def test_set_takes_the_place_of_what_the_file_says(folder):
    """As TOML, or as a text."""
    code, _, err = netrun(folder, "run", "net.toml", "--set", "net.max_epochs=3")
    assert code == 1
    assert err.startswith("error: 3 epochs were started in this run, as many as max_epochs allows")
    assert netrun(folder, "run", "net.toml", "--set", "nodes.Square.exec_node_func=app.odd")[0] == 4
    code, _, err = netrun(folder, "validate", "net.toml", "--set", "nodes.Square.options.retrys=3")
    assert (code, err) == (
        3, "error: net.toml: nodes.Square.options.retrys: unknown option `retrys`, did you mean `retries`?\n"
    )  # fmt: skip


def test_nodes_run_in_threads(folder):
    """All that have no pool."""
    setting = ("--set", "nodes.Square.exec_node_func=app.where", "--output", "Square.out=-")
    assert netrun(folder, "run", "net.toml", *setting)[1].split() == ["true"] * 4
    assert netrun(folder, "run", "net.toml", "--threads", "2", *setting)[1].split() == ["false"] * 4


def test_a_process_pool_finds_the_functions_too(folder):
    """Workers look where the command looks."""
    code, out, err = netrun(
        folder, "run", "net.toml", "--set", "net.process_pools.cpu.size=1", "--set", "nodes.Square.options.pool=cpu",
        "--output", "Square.out=-",
    )  # fmt: skip
    assert (code, out, err) == (0, "0\n1\n4\n9\n", "")


def test_a_failed_node_is_told_with_its_line(folder):
    """What came out before is written."""
    code, out, err = netrun(folder, "run", "net.toml", "--input", "Square.in=5", "--input", "Square.in=x")
    assert (code, out) == (1, '{"Square.out": 25}\n')
    assert "error: node 'Square'" in err
    assert "TypeError: unsupported operand" in err
    assert err.rstrip().endswith("app.py:12 in square") or "app.py:12 in square" in err
    code, _, err = netrun(folder, "run", "net.toml", "--input", "Square.in=x", "--traceback")
    assert code == 1
    assert "Traceback (most recent call last)" in err
    for mode in ("continue", "pause"):
        code, _, err = netrun(folder, "run", "net.toml", "--input", "Square.in=x", "--set", f"net.on_error={mode}")
        assert code == 1
        assert err.startswith(
            "error: epochs that failed: 1 of Square\n  the first: node 'Square': TypeError: unsupported"
        )


def test_a_start_function_that_raises_is_told_with_its_line(folder):
    """It is the user's code too."""
    code, _, err = netrun(folder, "run", "net.toml", "--set", "nodes.Square.start_node_func=app.begin")
    assert code == 1
    assert "OSError: no such database" in err
    assert "app.py:38 in begin" in err


def test_what_did_not_start_is_noted(folder):
    """The rest ran."""
    text = NET.replace('exec_node_func = "app.square"\n', "")
    code, out, err = netrun(folder, "run", "-", text=text)
    assert (code, out) == (0, "")
    assert err == "note: epochs that did not start: 4 of Square. A node without exec_node_func keeps its epochs\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run"], 2, "the following arguments are required: file"),
        (["fly"], 2, "invalid choice: 'fly'"),
        (["run", "net.toml", "--colour"], 2, "unrecognized arguments: --colour"),
        (["run", "net.toml", "--input", "Square.in"], 2, "it has the form Node.port=value or @file"),
        (["run", "net.toml", "--input", "Square=3"], 2, "it has the form Node.port=value or @file"),
        (["run", "net.toml", "--input", "Square.inn=3"], 2, "input port 'Square.inn'. Did you mean 'Square.in'?"),
        (["run", "net.toml", "--output", "Count.out=-"], 2, "there is no unconnected output port 'Count.out'"),
        (["run", "net.toml", "--output", "Square.out"], 2, "it has the form Node.port=- or file"),
        (["run", "net.toml", "--threads", "0"], 2, "--threads needs a number from 1 on"),
        (["run", "net.toml", "--threads", "x"], 2, "invalid int value: 'x'"),
        (["run", "net.toml", "--set", "x"], 2, "--set x: it has the form nodes.A.options.retries=3"),
        (["run", "net.toml", "--set", "a b=3"], 2, "--set a b=3: it has the form"),
        (["run", "net.toml", "--set", "=3"], 2, "--set =3: it has the form"),
        (["run", "net.toml", "--set", "node.A=3"], 3, "unknown key `node`, did you mean `nodes`?"),
        (["run", "net.toml", "--set", "nodes.Square=3"], 3, "nodes.Square: `Square` must be a table"),
        (["run", "net.toml", "--set", "nodes.Square.options.pool=io"], 3, "there is no pool 'io'"),
        (["run", "net.toml", "--allow", "other"], 3, "`app.count` is not in what may be named: other"),
        (["run", "net.toml", "--input", "Square.in=@nothing.jsonl"], 4, "nothing.jsonl: No such file or directory"),
        (["run", "net.toml", "--input", "Square.in=@app.py"], 4, "app.py:1: this is no JSON"),
        (["run", "net.toml", "--input", "Square.in=@latin"], 4, "latin: this is no text in UTF-8"),
        (["run", "net.toml", "--output", "Square.out=no/such/folder"], 4, "no/such/folder: No such file or directory"),
        (["run", "net.toml", "--set", "nodes.Square.exec_node_func=app.odd"], 4, "a set that came out at Square.out"),
        (["run", "nothing.toml"], 4, "nothing.toml: No such file or directory"),
        (["run", "."], 4, ".: Is a directory"),
        (["run", "latin"], 3, "latin: this is no text in UTF-8"),
        (["run", "app.py"], 3, "app.py:1:8: this is no TOML"),
        (["run", "net.toml", "--set", "nodes.Square.exec_node_func=app.sqare"], 3, "Did you mean 'square'?"),
        (["validate", "net.toml", "--set", "nodes.Square.options.pool=io"], 3, "there is no pool 'io'"),
        (["validate", "nothing.toml", "net.toml"], 4, "nothing.toml: No such file"),
        (["validate"], 2, "required: files"),
        (["show", "nothing.toml"], 4, "nothing.toml: No such file"),
        (["show", "app.py"], 3, "this is no TOML"),
        (["show", "net.toml", "--svg", "--mermaid"], 2, "not allowed with argument"),
        (["fmt", "app.py"], 3, "this is no TOML"),
        (["fmt", "nothing.toml"], 4, "nothing.toml: No such file"),
        (["schema", "x"], 2, "unrecognized arguments: x"),
        (["completion", "tcsh"], 2, "invalid choice: 'tcsh'"),
    ],
)  # fmt: skip
def test_mistakes_are_told(folder, arguments, code, message):
    """In a line or two, by the exit code that is documented."""
    (folder / "latin").write_bytes(b"\xff\xfe\n")
    done = netrun(folder, *arguments)
    assert (done[0], message in done[2]) == (code, True), done[2]


def test_a_wrong_net_is_told_in_full(folder):
    """With the file, the line, the place."""
    (folder / "net.toml").write_text(
        NET.replace("nonempty(in)", "nonempty(im)").replace("[nodes.Count]", "[nodes.Cuont]")
    )
    assert netrun(folder, "run", "net.toml") == (
        3,
        "",
        "error: 2 things are wrong\n"
        "net.toml:2:19: there is no node `Count`, did you mean `Cuont`?\n"
        '    edges = [{ from = "Count.out", to = "Square.in" }]\n'
        "                      ^^^^^^^^^^^\n"
        "net.toml:12:46: there is no input port `im`; there is `in`\n"
        '    in_salvo_conditions.one = { when = "nonempty(im)", ports = { in = 1 } }\n'
        "                                                 ^^\n",
    )


def test_packets_that_are_left_are_noted(folder):
    """And what they wait for."""
    (folder / "join.toml").write_text(
        '[nodes.J]\nin_ports = ["a", "b"]\nin_salvo_conditions.both = { when = "nonempty(a) and nonempty(b)" }\n'
    )
    code, out, err = netrun(folder, "run", "join.toml", "--input", "J.a=1", "--input", "J.a=2")
    assert (code, out) == (0, "")
    assert err.startswith("note: 2 packets are left at node 'J': node 'J' has 0 packets at port 'b'")


def test_validate(folder):
    """Each file: what is in it, or what is wrong. Nothing is run, no file of the net's is made."""
    (folder / "wrong.toml").write_text("[nodes.A]\nx = 1\n[nodes.A.options]\nretrys = 1\n")
    options = 'dead_letter_queue = "file"\ndead_letter_path = "dead.jsonl"\npacket_storage_path = "packets"\n'
    options += 'history_file = "h"\n'
    (folder / "files.toml").write_text(f"[net]\n{options}[nodes.A]\n")
    code, out, err = netrun(folder, "validate", "net.toml", "wrong.toml", "files.toml")
    assert (code, out) == (
        3, "net.toml: right: 2 nodes, 1 edges\nfiles.toml: right: 1 nodes, 0 edges; without a function: A\n"
    )  # fmt: skip
    assert err.startswith("error: 2 things are wrong\nwrong.toml:2:1: unknown key `x`")
    assert not (folder / "dead.jsonl").exists()
    assert not (folder / "packets").exists()
    assert not (folder / "h").exists()


NEVER = """\
edges = [{ from = "B.out", to = "B.in" }]
[nodes.A]
in_ports = { in = { slots = 3 } }
in_salvo_conditions.five = { when = "count(in) >= 5" }
[nodes.B]
in_ports = ["in"]
out_ports = ["out"]
in_salvo_conditions.one = { when = "nonempty(in)" }
out_salvo_conditions.out = { when = "nonempty(out)" }
"""


def test_what_can_never_work_is_told(folder):
    """By `validate` with what is doubtful, by `run` as far as it is certain; refused where the text asks for that."""
    (folder / "never.toml").write_text(NEVER)
    fault = "node 'A': input condition 'five' can never be met"
    code, out, err = netrun(folder, "validate", "never.toml")
    assert (code, out) == (0, "never.toml: right: 2 nodes, 1 edges; without a function: A, B\n")
    assert err.startswith(f"warning: something in this graph can never work:\n  - {fault}")
    assert "\nnote: never.toml: nothing in the graph starts the cycle of 'B'" in err
    code, out, err = netrun(folder, "run", "never.toml")
    assert (code, out) == (0, "")
    assert fault in err
    assert "Warning" not in err
    assert "cycle" not in err
    code, out, err = netrun(folder, "run", "never.toml", "--set", "net.check=error")
    assert (code, out) == (3, "")
    assert err.startswith(f'error: the graph is refused by check="error", 2 finding(s):\n  - {fault}')
    assert netrun(folder, "run", "never.toml", "--set", "net.check=false") == (0, "", "")


def test_validate_without_imports(folder):
    """The text alone."""
    (folder / "app.py").write_text("open('sang', 'w').close()\n")
    assert netrun(folder, "validate", "--no-resolve", "net.toml")[:2] == (0, "net.toml: right: 2 nodes, 1 edges\n")
    assert netrun(folder, "show", "net.toml")[0] == 0
    assert netrun(folder, "fmt", "--check", "net.toml")[0] == 0
    assert not (folder / "sang").exists()
    assert netrun(folder, "validate", "net.toml")[0] == 3


def test_show(folder):
    """As a tree, for Mermaid, as SVG."""
    assert netrun(folder, "show", "net.toml") == (0, "Count\n└─ out ─> in Square\n   └─ out ─>\n", "")
    assert 'n0 -- "out → in" --> n1' in netrun(folder, "show", "net.toml", "--mermaid")[1]
    assert netrun(folder, "show", "net.toml", "--svg")[1].startswith("<svg")


def test_show_folds_what_is_large(folder):
    """Unless all of it is asked for."""
    (folder / "large.toml").write_text("".join(f'[nodes.N{n}]\nin_ports = ["in"]\n' for n in range(100)))
    assert netrun(folder, "show", "large.toml", "--svg")[1].count("data-node") == 1
    assert netrun(folder, "show", "large.toml", "--svg", "--all")[1].count("data-node") == 100
    assert netrun(folder, "show", "large.toml", "--mermaid", "--all")[1].count("-->") == 100
    assert len(netrun(folder, "show", "large.toml")[1].splitlines()) == 100


def test_output_in_a_terminal_of_ascii(folder):
    """What cannot be shown there is no reason to fail."""
    code, out, _ = netrun(
        folder, "show", "net.toml", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    )
    assert code == 0
    assert "Count" in out


def test_fmt(folder):
    """In normal form, with its comments; a second time there is nothing to do."""
    messy = "# top\nnodes.A={in_ports=['in'] }   # tail\n"
    (folder / "messy.toml").write_text(messy)
    assert netrun(folder, "fmt", "--check", "messy.toml", "net.toml") == (1, "messy.toml: not in normal form\n", "")
    assert (folder / "messy.toml").read_text() == messy
    assert netrun(folder, "fmt", "messy.toml", "net.toml") == (0, "messy.toml: written anew\n", "")
    assert (folder / "messy.toml").read_text() == '# top\n[nodes.A]  # tail\nin_ports = ["in"]\n'
    assert netrun(folder, "fmt", "--check", "messy.toml") == (0, "", "")
    assert netrun(folder, "fmt", "-", text=messy)[1] == '# top\n[nodes.A]  # tail\nin_ports = ["in"]\n'


def test_the_schema_fits_the_corpus(folder):
    """Every right net; and it refuses what is of a wrong type or name."""
    made = json.loads(netrun(folder, "schema")[1])
    assert made == schema()
    jsonschema.Draft202012Validator.check_schema(made)
    validator = jsonschema.Draft202012Validator(made)
    for file in CORPUS.glob("valid/*.toml"):
        validator.validate(json.loads(json.dumps(data_of(file.read_bytes().decode()), default=str)))
    for name in ("unknown_top", "unknown_net_option", "unknown_node_key", "unknown_node_option",
                 "unknown_port_key", "unknown_condition_key", "unknown_edge_key", "unknown_pool_option",
                 "executor_pools", "checkpoint_key", "type_ports", "type_slots", "type_condition", "type_when",
                 "type_functions", "type_net", "type_node", "max_salvos", "condition_without_when",
                 "edge_without_end", "pool_without_size", "condition_counts"):  # fmt: skip
        data = json.loads(json.dumps(data_of((CORPUS / f"invalid/{name}.toml").read_text()), default=str))
        assert not validator.is_valid(data), name


def test_help_and_version(folder):
    """Every command is told of. Without one, the help is printed."""
    code, out, _ = netrun(folder, "--help")
    assert code == 0
    for command in ("run", "validate", "show", "fmt", "history", "schema", "completion"):
        assert command in out
        assert netrun(folder, command, "--help")[0] == 0
    assert netrun(folder)[0] == 2
    assert netrun(folder, "--version")[1].startswith("netrun ")


def interrupted(folder, function, times, *more):
    """What a net says that is interrupted when its function has begun, once or more often."""
    text = NET.replace("app.square", f"app.{function}")
    (folder / "net.toml").write_text(text)
    process = subprocess.Popen(
        [*MODULE, "run", "net.toml", "--output", "Square.out=-", *more], cwd=folder, env=environment(False), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr.readline() == "began\n"
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    return process.returncode, out, err


def test_ctrl_c_lets_end_what_has_begun(folder):
    """And says what did not start."""
    code, out, err = interrupted(folder, "slowly", 1)
    assert (code, out) == (130, "0\n")
    assert err.splitlines()[1] == "interrupted: what had begun has ended; epochs that did not start: 3 of Square"


def test_ctrl_c_twice_cancels(folder):
    """At once."""
    begun = time.monotonic()
    code, _, err = interrupted(folder, "for_ever", 2)
    assert (code, err.splitlines()[-1]) == (130, "interrupted")
    assert time.monotonic() - begun < 20


def test_after_ctrl_c_the_same_command_goes_on_from_the_checkpoint(folder):
    """All that comes out is written once, at the end; and again where it is asked for again."""
    saved = ["--checkpoint", "saved"]
    code, out, err = interrupted(folder, "slowly", 1, *saved)
    assert (code, out) == (130, "")
    again = ["run", "net.toml", "--output", "Square.out=-", *saved]
    for _ in range(2):
        code, out, err = netrun(folder, *again, "--input", "Square.in=7")
        assert (code, out) == (0, "0\n1\n2\n3\n")
        assert err.splitlines()[0] == "note: going on from checkpoint saved; --input is passed over, it is in there"
    manifest = folder / "saved" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-1])
    code, out, err = netrun(folder, *again)
    assert (code, out) == (4, "")
    assert "file manifest.json: expected" in err


def test_a_checkpoint_is_signed_with_the_key_of_the_environment(folder):
    """Who has another key, or none, cannot go on from it; and it stays as it was."""
    command = ["run", "net.toml", "--output", "Square.out=-", "--checkpoint", "saved"]
    key = {"NETRUN_CHECKPOINT_KEY": "secret"}
    assert netrun(folder, *command, env=key)[:2] == (0, "0\n1\n4\n9\n")
    manifest = (folder / "saved" / "manifest.json").read_text()
    assert "signature" in manifest
    for other in ({}, {"NETRUN_CHECKPOINT_KEY": "guess"}):
        code, _, err = netrun(folder, *command, env=other)
        assert code == 4
        assert "key" in err
        assert "secret" not in err
    assert (folder / "saved" / "manifest.json").read_text() == manifest
    assert netrun(folder, *command, env=key)[:2] == (0, "0\n1\n4\n9\n")


def test_ctrl_c_while_it_waits_for_input(folder):
    """No net runs yet."""
    process = subprocess.Popen(
        [*MODULE, "run", "net.toml", "--input", "Square.in=@-"], cwd=folder, env=environment(False), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


def test_a_reader_that_goes_away(folder):
    """As `head` does."""
    (folder / "numbers.jsonl").write_text("\n".join(map(str, range(20_000))))
    command = f"{sys.executable} -m netrun run net.toml --input Square.in=@numbers.jsonl; echo $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"({command}) | head -1"], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ('{"Square.out": 0}\n', "141\n")


def test_completion_in_bash(folder):
    """Commands, options, and files otherwise."""
    script = netrun(folder, "completion", "bash")[1]

    def completed(*words):
        given = " ".join(f"'{word}'" for word in words)
        asked = f"COMP_WORDS=({given}); COMP_CWORD={len(words) - 1}; _netrun netrun '{words[-1]}'"
        code = f"{script}\n{asked}; echo ${{COMPREPLY[@]}}"
        return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert completed("netrun", "v") == ["validate"]
    assert completed("netrun", "run", "--in") == ["--input"]
    assert completed("netrun", "completion", "z") == ["zsh"]
    assert completed("netrun", "run", "ne") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_in_other_shells(folder, shell):
    """Every command is in it; the shell finds nothing wrong with it, if it is here."""
    script = netrun(folder, "completion", shell)[1]
    for command in ("run", "validate", "show", "fmt", "history", "schema", "completion"):
        assert command in script
    if shutil.which(shell):
        subprocess.run([shell, "-n", "/dev/stdin"], input=script, text=True, check=True)


def test_the_first_net_of_the_readme():
    """It is a file that `netrun run` runs, with the result that the README tells."""
    file = Path(__file__).parents[1] / "pts" / "examples" / "first_net.toml"
    code, out, err = netrun(file.parent, "run", file.name)
    assert (code, err) == (0, "")
    outputs = {}
    for line in out.splitlines():
        for port, value in json.loads(line).items():
            outputs.setdefault(port, []).append(value)
    assert outputs == {"Square.out": [0, 1, 4, 9]}
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"`{outputs}`" in readme
    assert NetDefinition.from_file(file).to_toml() in readme


def test_a_history_is_written_and_told(folder):
    """Each attempt a line; those of one node, or those that failed."""
    assert netrun(folder, "run", "net.toml", "--history", "h.jsonl", "--input", "Square.in=x")[0] == 1
    assert netrun(folder, "run", "net.toml", "--history", "h.jsonl")[0] == 0
    code, out, err = netrun(folder, "history", "h.jsonl")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert sum(" Count e" in line for line in lines) >= 1
    assert len(lines) == len(set(lines))
    _, failed, _ = netrun(folder, "history", "h.jsonl", "--failed")
    (line,) = failed.splitlines()
    assert "failed" in line
    assert " Square e" in line
    assert line.endswith("attempt 1, inline: TypeError: unsupported operand type(s) for ** or pow(): 'str' and 'int'")
    _, one, _ = netrun(folder, "history", "h.jsonl", "--node", "Count")
    assert one.splitlines() == [line for line in lines if " Count e" in line]
    with open(folder / "h.jsonl", "a") as file:
        file.write('no JSON\n[]\n{"type": "epoch", "id": "x", "timestamp": "2026-01-01"}\n{"type": "ep')
    code, out, err = netrun(folder, "history", "h.jsonl")
    assert (code, out.splitlines()) == (0, lines)
    assert err.count("this is no entry of a history") == 4
    assert netrun(folder, "history", "nothing.jsonl")[0] == 4


def test_a_history_is_followed(folder):
    """What comes is told; Ctrl-C ends it. A line is waited for until it is whole."""
    assert netrun(folder, "run", "net.toml", "--history", "h.jsonl")[0] == 0
    text = (folder / "h.jsonl").read_text()
    (folder / "h.jsonl").write_text("")
    process = subprocess.Popen(
        [*MODULE, "history", "h.jsonl", "--follow"], cwd=folder, env=environment(False), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with open(folder / "h.jsonl", "a") as file:
        for part in (text[:50], text[50:]):
            file.write(part)
            file.flush()
            time.sleep(0.3)
    lines = [process.stdout.readline() for _ in range(5)]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "interrupted\n")
    assert [" Square e" in line for line in lines] == [False] + [True] * 4


def test_a_full_disk_is_told(folder):
    """Where there is a file that is always full."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    code, _, err = netrun(folder, "run", "net.toml", "--output", "Square.out=/dev/full")
    assert code in (1, 4)
    assert "No space left on device" in err


def test_two_ports_go_to_one_file(folder):
    """Nothing overwrites anything, whatever the file is called; one port goes to one file."""
    (folder / "two.toml").write_text(
        '[nodes.R]\nfactory = "netrun.factories.broadcast"\nfactory_args = { outputs = 2 }\n'
    )
    run = ("run", "two.toml", "--input", "R.in=1", "--input", "R.in=2")
    assert netrun(folder, *run, "--output", "R.out1=o", "--output", "R.out2=./o") == (0, "", "")
    assert (folder / "o").read_text() == "1\n2\n1\n2\n"
    code, _, err = netrun(folder, *run, "--output", "R.out1=p", "--output", "R.out1=q")
    assert (code, err) == (2, "error: --output R.out1=q: R.out1 goes to p already\n")
    assert not (folder / "p").exists()


@pytest.mark.parametrize(
    "wrong", [["--output", "Square.oot=x"], ["--input", "Square.inn=1"], ["--input", "Square.in=@no"]]
)
def test_a_mistake_empties_no_file(folder, wrong):
    """Files are opened when everything else is right."""
    (folder / "o").write_text("precious")
    assert netrun(folder, "run", "net.toml", "--output", "Square.out=o", *wrong)[0] in (2, 4)
    assert (folder / "o").read_text() == "precious"


def test_ports_whose_names_hold_dots(folder):
    """Each has a name of its own."""
    ports = """out_ports = ["%s"]\nout_salvo_conditions.s.when = 'nonempty("%s")'\nexec_node_func = "dots.%s"\n"""
    (folder / "dots.toml").write_text(
        '[nodes."a.b"]\n' + ports % ("c", "c", "f") + "[nodes.a]\n" + ports % ("b.c", "b.c", "g")
    )
    (folder / "dots.py").write_text(
        'def f(ctx, packets):\n    ctx.send("c", 1)\n\n\ndef g(ctx, packets):\n    ctx.send("b.c", 2)\n'
    )
    code, out, err = netrun(folder, "run", "dots.toml")
    assert (code, err) == (0, "")
    assert {name: value for line in out.splitlines() for name, value in json.loads(line).items()} == {
        '"a.b".c': 1, 'a."b.c"': 2,
    }  # fmt: skip
    assert netrun(folder, "run", "dots.toml", "--output", 'a."b.c"=-') == (0, "2\n", "")


def test_one_value_that_is_no_json_takes_no_other_with_it(folder):
    """The rest is written; a failed node is told before all else."""
    (folder / "app.py").write_text(
        "def count(ctx, packets):\n    for number in range(4):\n        ctx.send('out', number)\n\n\n"
        "def square(ctx, packets):\n    n = ctx.consume_packet(packets['in'][0])\n"
        "    ctx.send('out', {n} if n == 1 else 1 / (3 - n))\n"
    )
    code, out, err = netrun(folder, "run", "net.toml", "--output", "Square.out=-")
    assert (code, out.splitlines()) == (1, ["0.3333333333333333", "1.0"])
    assert "a set that came out at Square.out cannot be written as JSON" in err
    assert "ZeroDivisionError" in err


def test_not_a_number_is_no_json(folder):
    """On the command line it is a text, in a file a mistake."""
    (folder / "echo.toml").write_text('[nodes.E]\nfactory = "netrun.factories.merge"\nfactory_args = { inputs = 1 }\n')
    assert netrun(folder, "run", "echo.toml", "--input", "E.in1=NaN", "--output", "E.out=-") == (0, '"NaN"\n', "")
    code, _, err = netrun(folder, "run", "echo.toml", "--input", "E.in1=@-", text="Infinity\n")
    assert (code, err) == (4, "error: -:1: this is no JSON: Infinity is none\n")
    assert netrun(folder, "run", "echo.toml", "--input", "E.in1=@")[0] == 2


def test_a_net_that_exits(folder):
    """Does not end the command without a word."""
    (folder / "app.py").write_text("import sys\n\nsys.exit()\n")
    code, out, err = netrun(folder, "validate", "net.toml")
    assert (code, out) == (3, "")
    assert "importing `app` raised SystemExit" in err
    (folder / "app.py").write_text("import sys\n\n\ndef count(ctx, packets):\n    sys.exit(0)\n\n\nsquare = count\n")
    code, out, err = netrun(folder, "run", "net.toml")
    assert (code, out) == (1, "")
    assert "sys.exit(0)" in err
    assert "app.py:5 in count" in err


def test_each_net_is_checked_against_its_own_modules(folder):
    """Though those have the same name; in packages too."""
    for name in ("count", "tally"):
        (folder / name / "inner").mkdir(parents=True)
        (folder / name / "inner" / "__init__.py").write_text("")
        (folder / name / "inner" / "nodes.py").write_text(f"def {name}(ctx, packets):\n    pass\n")
        (folder / name / "net.toml").write_text(f'[nodes.A]\nexec_node_func = "inner.nodes.{name}"\n')
    files = ["count/net.toml", "tally/net.toml"]
    assert netrun(folder, "validate", *files)[::2] == (0, "")
    assert netrun(folder, "validate", *files, "--set", "nodes.A.exec_node_func=inner.nodes.count")[0] == 3


def test_set_invents_no_node(folder):
    """The nearest one is told. A whole node may be set."""
    code, _, err = netrun(folder, "validate", "net.toml", "--set", "nodes.Sqare.options.retries=3")
    assert (code, err) == (
        2, "error: --set nodes.Sqare.options.retries: there is no node `Sqare`, did you mean `Square`?\n"
    )  # fmt: skip
    assert netrun(folder, "validate", "net.toml", "--set", "nodes.New={}")[1].startswith("net.toml: right: 3 nodes")


def test_a_byte_order_mark(folder):
    """Is nothing: in a file, from a pipe, before values."""
    assert netrun(folder, "validate", "-", text="\ufeff" + NET)[:2] == (0, "-: right: 2 nodes, 1 edges\n")
    (folder / "values").write_text("\ufeff7\n", encoding="utf-8")
    run = ("run", "net.toml", "--output", "Square.out=-", "--input")
    assert netrun(folder, *run, "Square.in=@values")[1].split()[0] == "49"
    assert netrun(folder, *run, "Square.in=@-", text="\ufeff7\n")[1].split()[0] == "49"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("run net.toml >&-", 4, "error: the standard output is closed\n"),
        ("schema >&-", 4, "error: the standard output is closed\n"),
        ("show - <&-", 4, "error: the standard input is closed\n"),
        ("run net.toml --input Square.in=@- <&-", 4, "error: the standard input is closed\n"),
        ("run net.toml >/dev/full", 4, "error: the standard output: No space left on device\n"),
        ("schema >/dev/full", 4, "error: the standard output: No space left on device\n"),
        ("validate net.toml >/dev/full", 4, "error: the standard output: No space left on device\n"),
        ("run net.toml --output Square.out=/dev/full", 4, "error: /dev/full: No space left on device\n"),
        ("validate nothing.toml 2>&-", 4, ""),
    ],
)
def test_streams_that_are_closed_or_full(folder, line, code, message):
    """A line says so."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m netrun {line}', sys.executable],
        cwd=folder, capture_output=True, text=True, timeout=60, env=environment(),
    )  # fmt: skip
    assert (done.returncode, done.stderr, done.stdout) == (code, message, "")


def test_a_file_that_is_no_history_is_told_once(folder):
    """By the exit code for bad input."""
    code, out, err = netrun(folder, "history", "net.toml")
    assert (code, out) == (4, "")
    assert err == "note: net.toml:1: this is no entry of a history\n"


def test_a_history_that_cannot_be_a_file(folder):
    """Is told without a place in Python's own code, by the exit code for files."""
    (folder / "there").mkdir()
    code, out, err = netrun(folder, "run", "net.toml", "--history", "there")
    assert (code, out) == (4, "")
    (line,) = err.splitlines()
    assert line.startswith("error: history_file 'there' cannot be opened: IsADirectoryError")


def test_an_exception_of_pythons_own_modules_is_told_with_the_line_that_called_them(folder):
    """Not with a line of `json`."""
    (folder / "mine.py").write_text("import json\n\n\ndef work(ctx, packets):\n    json.loads('{')\n")
    text = '[nodes.A]\nout_ports = ["out"]\nout_salvo_conditions.s = { when = "nonempty(out)" }\n'
    (folder / "mine.toml").write_text(text + 'exec_node_func = "mine.work"\n')
    code, _, err = netrun(folder, "run", "mine.toml")
    assert code == 1
    assert err.splitlines()[-1].endswith("mine.py:5 in work")
