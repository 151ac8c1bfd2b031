"""Nodes on a Dask cluster: a scheduler and two worker processes, which talk over loopback."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netrun import Net, NodeExecutionFailed, NotPicklable, WorkerDied
from tests.nets import chain, python

distributed = pytest.importorskip("distributed", reason="distributed is not installed: pip install 'netrun[dask]'")

WORKERS = 2


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of the cluster."""
    threads = set(threading.enumerate())
    with (
        distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
    assert not [thread for thread in set(threading.enumerate()) - threads if not thread.daemon]


def clustered(client: Any, func: Callable[..., Any], values: Any, **options: Any) -> Net:
    """A net of one node on the cluster."""
    pool = {"executor": client.get_executor(), "size": 2 * WORKERS}
    net = Net(chain("A"), executor_pools={"cluster": pool}, **options)
    net.set_node_exec("A", func)
    net.set_node_config("A", pool="cluster")
    net.inject_packets("A", "in", values)
    return net


def test_it_runs_there_on_both_workers_at_once(client: Any, tmp_path: Path) -> None:
    """A barrier that only two at once can pass."""

    def meet(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        (tmp_path / f"{value}").touch()
        end = time.monotonic() + 20
        while len(list(tmp_path.iterdir())) < WORKERS:
            if time.monotonic() > end:
                raise TimeoutError("the other did not come")
            time.sleep(0.005)
        ctx.send("out", os.getpid())

    net = clustered(client, meet, range(WORKERS))
    net.start()
    pids = set(net.take_outputs("A", "out"))
    assert pids == set(client.run(os.getpid).values())
    assert os.getpid() not in pids


def test_an_executor_that_does_not_tell_its_size(client: Any) -> None:
    """It gets many at a time; every value comes out once, sync and async."""

    def double(ctx, packets):
        ctx.send("out", 2 * ctx.consume_packet(packets["in"][0]))

    async def double_later(ctx, packets):
        value = await ctx.consume_packet(packets["in"][0])
        await asyncio.sleep(0)
        await ctx.send("out", 2 * value)

    for func in (double, double_later):
        net = Net(chain("A"), executor_pools={"cluster": client.get_executor()})
        net.set_node_exec("A", func)
        net.set_node_config("A", pool="cluster")
        net.inject_packets("A", "in", range(100))
        net.start()
        assert sorted(net.take_outputs("A", "out")) == list(range(0, 200, 2))
        net._ledger.check()


def test_retries_failures_and_what_cannot_travel(client: Any) -> None:
    """As in any other pool, with the traceback from there."""

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if value == "flaky" and ctx.retry_count < 2:
            raise ValueError(ctx.retry_count)
        if value == "bad":
            raise LookupError(value)
        ctx.send("out", threading.Lock() if value == "lock" else value)

    net = clustered(client, work, ["flaky", "fine", "bad", "lock"], on_error="continue")
    net.set_node_config("A", retries=2, defer_net_actions=True)
    net.start()
    assert sorted(net.take_outputs("A", "out")) == ["fine", "flaky"]
    errors = {type(letter.exception): letter.exception for letter in net.dead_letter_queue}
    assert set(errors) == {LookupError, NotPicklable}
    assert f'File "{__file__}"' in str(errors[LookupError].__cause__)
    net._ledger.check()
    net = clustered(client, work, ["bad"])
    with pytest.raises(NodeExecutionFailed, match="bad"):
        net.start()


def test_it_mixes_with_other_carriers(client: Any) -> None:
    """Inline, threads and the cluster in one net."""

    def plus(ctx, packets):
        ctx.send("out", ctx.consume_packet(packets["in"][0]) + 1)

    net = Net(chain(*"ABC"), thread_pools={"io": {"size": 2}}, executor_pools={"cluster": client.get_executor()})
    for name, pool in zip("ABC", (None, "io", "cluster"), strict=True):
        net.set_node_exec(name, plus)
        net.set_node_config(name, pool=pool)
    net.inject_packets("A", "in", range(40))
    net.start()
    assert sorted(net.take_outputs("C", "out")) == list(range(3, 43))
    net._ledger.check()


def test_an_epoch_that_kills_its_workers_is_given_up(client: Any) -> None:
    """Dask tries it on others first; then it is `WorkerDied`, and the next epoch is fine."""

    def work(ctx, packets):
        value = ctx.consume_packet(packets["in"][0])
        if value == "die":
            os._exit(3)
        ctx.send("out", value)

    net = clustered(client, work, ["die"], on_error="continue")
    with net:
        net.start()
        (letter,) = net.dead_letter_queue
        assert isinstance(letter.exception, WorkerDied)
        assert letter.reason == "worker died"
        assert isinstance(letter.exception.__cause__, distributed.KilledWorker)
        assert "See what the executor says" in str(letter.exception)
        client.wait_for_workers(WORKERS, timeout=30)
        net.inject_packets("A", "in", range(4))
        net.start()
        assert sorted(net.take_outputs("A", "out")) == list(range(4))


STARTING = """
import os
from distributed import Client, LocalCluster
from netrun import Net
from tests.nets import chain

def note(what):
    def func(net):
        with open({path!r}, "a") as file:
            file.write(f"{{what}} {{os.getpid()}}\\n")
    return func

def work(ctx, packets):
    ctx.send("out", ctx.consume_packet(packets["in"][0]))

def main():
    options = dict(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        net = Net(chain("A"), executor_pools={{"cluster": client.get_executor()}})
        net.set_node_exec("A", work, note("start"), note("stop"))
        net.set_node_config("A", pool="cluster")
        net.inject_packets("A", "in", range(20))
        net.start()
        print(sorted(net.take_outputs("A", "out")))

if __name__ == "__main__":
    main()
"""


def test_start_and_stop_functions_once_in_each_worker(tmp_path: Path) -> None:
    """The stop functions when the workers end; and functions of a script travel by value."""
    path, script = tmp_path / "log", tmp_path / "script.py"
    script.write_text(STARTING.format(path=str(path)))
    told = python(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')", measured=False)
    assert told.strip() == str(list(range(20)))
    lines = path.read_text().splitlines()
    starts, stops = ({line.split()[1] for line in lines if line.startswith(what)} for what in ("start", "stop"))
    assert 1 <= len(starts) <= 2
    assert stops == starts
    assert len(lines) == 2 * len(starts)
