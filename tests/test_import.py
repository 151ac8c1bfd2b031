"""What `import netrun` costs: nothing that only some nets need is imported with it."""

from tests.nets import python

HEAVY = [
    "asyncio",
    "concurrent.futures",
    "cloudpickle",
    "tomlkit",
    "tomllib",
    "argparse",
    "netrun.dsl",
    "netrun.paths",
    "netrun.build",
    "netrun.flows",
    "netrun.functions",
    "logging",
    "multiprocessing",
    "subprocess",
    "socket",
    "dask",
    "distributed",
]


def test_nothing_heavy_is_imported():
    """A fresh process, looked at after the import."""
    loaded = python(
        "import sys; before = set(sys.modules); import netrun; print(*(set(sys.modules) - before), sep='\\n')"
    )
    assert "netrun.net" in loaded.split()
    assert [name for name in HEAVY if name in loaded.split()] == []


def test_a_sync_net_runs_without_asyncio():
    """It is imported when a coroutine is to be run."""
    code = """
import sys
from tests.nets import build, chain, maps
net = build(chain("A", "B"), A=maps(str), B=maps(str))
print(net.run({"A.in": [1]}), "asyncio" in sys.modules)
async def later(ctx, packets):
    await ctx.send("out", await ctx.consume_packet(packets["in"][0]))
net.set_node_exec("A", later)
print(net.run({"A.in": [2]}), "asyncio" in sys.modules)
"""
    assert python(code).splitlines() == ["{'B.out': ['1']} False", "{'B.out': ['2']} True"]
