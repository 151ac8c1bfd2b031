"""start() works wherever it is called: in a script, in a thread, where a loop is running, and in a live kernel."""

import asyncio
import os
from pathlib import Path
from textwrap import dedent
from threading import Thread, current_thread

import pytest

import netrun
from netrun import NodeExecutionFailed
from tests.nets import build, chain, python

NET = dedent("""
    from netrun import *

    def any_at(port):
        return SalvoConditionTerm.port(port, PortState.non_empty())

    def node(name):
        return Node(
            name,
            in_ports={"in": Port()},
            out_ports={"out": Port()},
            in_salvo_conditions={"in": SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, any_at("in"))},
            out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", any_at("out"))},
        )

    edge = Edge(PortRef("Sync", PortType.Output, "out"), PortRef("Async", PortType.Input, "in"))
    net = Net(Graph([node("Sync"), node("Async")], [edge]))

    def double(ctx, packets):
        ctx.send("out", 2 * ctx.consume_packet(packets["in"][0]))

    async def add_one(ctx, packets):
        import asyncio
        await asyncio.sleep(0)
        await ctx.send("out", 1 + await ctx.consume_packet(packets["in"][0]))

    net.set_node_exec("Sync", double)
    net.set_node_exec("Async", add_one)
""")

RUN = dedent("""
    net.inject_packets("Sync", "in", [1, 2, 3])
    net.start()
    print(net.take_outputs("Async", "out"), net.state.name)
""")


def a_net(threads=None):
    """A sync node and an async one, both noting their thread."""
    threads = [] if threads is None else threads

    def double(ctx, packets):
        threads.append(current_thread())
        ctx.send("out", 2 * ctx.consume_packet(packets["in"][0]))

    async def add_one(ctx, packets):
        threads.append(current_thread())
        await asyncio.sleep(0)
        await ctx.send("out", 1 + await ctx.consume_packet(packets["in"][0]))

    return build(chain("A", "B"), A=double, B=add_one)


def test_in_a_script_outside_the_repository(tmp_path):
    """A fresh process that knows netrun and nothing else of this project."""
    script = tmp_path / "script.py"
    script.write_text(NET + RUN)
    code = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    assert python(code, cwd=tmp_path) == "[3, 5, 7] PAUSED\n"


def test_in_a_script_that_ends_while_a_late_function_still_runs(tmp_path):
    """Its thread does not keep the process alive."""
    code = NET + dedent("""
        import threading
        net.set_node_exec("Sync", lambda ctx, packets: threading.Event().wait())
        net.set_node_config("Sync", timeout=0.01)
        try:
            net.run({"Sync.in": [1]})
        except NodeExecutionFailed as error:
            print(type(error.original_exception).__name__)
    """)
    assert python(code, cwd=tmp_path) == "EpochTimeout\n"


def test_in_a_thread():
    """Everything runs in that thread."""
    threads, results = [], []
    net = a_net(threads)
    thread = Thread(target=lambda: results.append(net.run({"A.in": [1, 2]})))
    thread.start()
    thread.join(10)
    assert results == [{"B.out": [3, 5]}]
    assert set(threads) == {thread}


def test_without_a_loop_async_functions_run_in_the_callers_thread():
    """No helper thread where none is needed."""
    threads = []
    assert a_net(threads).run({"A.in": [1]}) == {"B.out": [3]}
    assert set(threads) == {current_thread()}


def test_where_a_loop_is_running():
    """The loop waits, and is as it was afterwards."""

    async def main():
        loop = asyncio.get_running_loop()
        net = a_net()
        out = net.run({"A.in": [1, 2]})
        assert asyncio.get_running_loop() is loop
        await asyncio.sleep(0)
        with net:
            net.inject_packets("A", "in", [3])
            while net.run_step():
                net._ledger.check()
        return out, net.take_outputs("B", "out")

    assert asyncio.run(main()) == ({"B.out": [3, 5]}, [7])


def test_inside_an_async_node_of_another_net():
    """Nets within nets."""

    async def outer(ctx, packets):
        values = a_net().run({"A.in": [await ctx.consume_packet(packets["in"][0])]})["B.out"]
        await ctx.send("out", values)

    assert build(chain("O"), O=outer).run({"O.in": [1, 2]}) == {"O.out": [[3], [5]]}


def test_a_failure_where_a_loop_is_running():
    """The same error as anywhere."""

    async def fail(ctx, packets):
        raise LookupError("async")

    async def main():
        build(chain("A"), A=fail).run({"A.in": [1]})

    with pytest.raises(NodeExecutionFailed) as caught:
        asyncio.run(main())
    assert isinstance(caught.value.original_exception, LookupError)


@pytest.mark.filterwarnings("default")
def test_in_a_live_kernel(tmp_path, monkeypatch):
    """A notebook's cells, in a Jupyter kernel whose loop is running."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(Path(netrun.__file__).parents[1]))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    assert os.environ["PYTHONPATH"]
    cells = [
        "import asyncio; assert asyncio.get_running_loop().is_running()",
        NET,
        RUN,
        "print(net.run({'Sync.in': [10]}))\nwith net:\n    print(net.run_step())",
        "await asyncio.sleep(0); print(net.state.name)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute(cwd=str(tmp_path))
    printed = ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]
    assert printed == ["", "", "[3, 5, 7] PAUSED\n", "{'Async.out': [21]}\nFalse\n", "STOPPED\n"]
