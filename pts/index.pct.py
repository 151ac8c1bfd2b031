# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %%
#|default_exp __init__

# %%
#|hide
#|export
from importlib import import_module
from sys import modules
from typing import TYPE_CHECKING, Any

import netrun.context
import netrun.control
import netrun.core
import netrun.failures
import netrun.history
import netrun.net
import netrun.packets
import netrun.prints
import netrun.values
import netrun.views
from netrun.packets import *  # netrun's own words first: a type checker keeps the first of two of the same name,
from netrun_sim import *  # type: ignore[assignment]
from netrun.packets import *  # Python the last
from netrun.core import *
from netrun.values import *
from netrun.context import *
from netrun.prints import LogEntry, current_epoch
from netrun.failures import *
from netrun.history import HistoryEntry
from netrun.views import *
from netrun.control import *
from netrun.net import *

if TYPE_CHECKING:  # nets of functions and nets as text are imported when they are used
    from netrun.build import FunctionNode as FunctionNode
    from netrun.build import node as node
    from netrun.flows import Flow as Flow
    from netrun.flows import round_robin as round_robin
    from netrun.dsl import NetDefinition as NetDefinition
    from netrun.expressions import format_salvo_condition as format_salvo_condition
    from netrun.expressions import parse_salvo_condition as parse_salvo_condition
    from netrun.functions import Batch as Batch
    from netrun.functions import Outputs as Outputs
    from netrun.functions import Skip as Skip
    from netrun.paths import resolve_path as resolve_path
    from netrun.show import Picture as Picture
    from netrun.show import picture as picture
    from netrun.why import Blockage as Blockage
    from netrun.why import Cause as Cause
    from netrun.why import Explanation as Explanation

_LATER = {
    "Batch": "netrun.functions",
    "Blockage": "netrun.why",
    "Cause": "netrun.why",
    "Explanation": "netrun.why",
    "Flow": "netrun.flows",
    "FunctionNode": "netrun.build",
    "Outputs": "netrun.functions",
    "Skip": "netrun.functions",
    "node": "netrun.build",
    "round_robin": "netrun.flows",
    "NetDefinition": "netrun.dsl",
    "format_salvo_condition": "netrun.expressions",
    "parse_salvo_condition": "netrun.expressions",
    "resolve_path": "netrun.paths",
    "Picture": "netrun.show",
    "picture": "netrun.show",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'netrun' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


def load_ipython_extension(ipython: Any) -> None:
    """Let graphs draw themselves: `%load_ext netrun`. Importing netrun in IPython does that too."""
    from netrun.show import draw_graphs

    draw_graphs(ipython)


if "IPython" in modules and (_shell := modules["IPython"].get_ipython()) is not None:
    load_ipython_extension(_shell)


__version__ = "0.1.0"
__all__ = [
    "__version__",
    *netrun.core.__all__,
    *netrun.packets.__all__,
    *netrun.values.__all__,
    *netrun.context.__all__,
    "LogEntry",
    "current_epoch",
    *netrun.failures.__all__,
    "HistoryEntry",
    *netrun.views.__all__,
    *netrun.control.__all__,
    *netrun.net.__all__,
    *_LATER,
]

# %% [markdown]
# # netrun
#
# **netrun runs graphs of Python functions**: one after the other, side by side, in threads, in processes, on a cluster;
# with retries, limits, a history and checkpoints, and with nothing lost when something fails.
#
# ```
# pip install ./netrun     # a checkout, or a wheel of it; Python 3.11 or newer
# ```

# %%
from netrun import Net, node


@node
def parse(line: str) -> int:
    return int(line)


@node
def square(number: int) -> int:
    return number**2


print(Net(parse >> square).run(line=["1", "2", "3"]))

# %%
#|hide
assert Net(parse >> square).run(line=["1", "2", "3"]) == {"square.out": [1, 4, 9]}

# %% [markdown]
# It prints `{'square.out': [1, 4, 9]}`. A net draws itself in Jupyter, and by `net.draw("net.svg")`, with what it has done
# and what waits where:
#
# ![Six nodes with the number of their finished and failed epochs, joined by edges](pts/docs/net.svg)
#
# What you get for `@node` and `>>`:
#
# | written | what it gives |
# |---|---|
# | `@node(retries=3, retry_wait=1.0)` | failed attempts are made again, and leave no trace; what is given up is a dead letter, not lost |
# | `async def`, `yield` | epochs side by side; each yielded value is a packet that others work on at once |
# | `@node(pool="cpu")`, `Net(..., process_pools={"cpu": {"size": 4}})` | other processes, threads, or a cluster |
# | `@node(rate_limit_per_second=10, timeout=5)` | limits, without polling |
# | `a >> [b, c] >> d` | fan out (both get the same object, not a copy), and in by name; types that can never meet are refused where it is written |
# | `net.why_blocked()` | why nothing more happens: `node 'parse' has no function: 2 epochs wait there` |
# | `net.run(..., progress=True)` | what each node is doing, while it does it |
# | `net.timeline()`, `net.history`, `net.get_node_log("a")` | what happened, when and where, and what was printed (`@node(echo_stdout=True)` prints it too) |
# | `net.to_toml()` | the net as a text that can be edited and run by the command `netrun` |
#
# Nodes have input and output ports, joined by edges. When the packets at a node's ports meet a *salvo condition*, they start
# an *epoch*: one execution of the node. `netrun_sim` moves the packets; netrun holds their values, calls your functions, and
# keeps count of everything, so that nothing is lost when something fails. More in [nets from functions](nbs/14b_build.ipynb)
# and the [examples](nbs/examples).
#
# ## Five nets in ten lines each
#
# Each can be pasted as it is, into a file or a notebook. What it prints stands behind its `print`.
#
# <details><summary>A chain</summary>
#
# ```python
# from netrun import Net, node
# @node
# def double(x: int) -> int: return 2 * x
# @node
# def describe(x: int) -> str: return f"value {x}"
# print(Net(double >> describe).run(x=[1, 2]))  # {'describe.out': ['value 2', 'value 4']}
# ```
#
# </details>
# <details><summary>A diamond</summary>
#
# ```python
# from netrun import Net, node
# @node
# def source(n: int): yield from range(n)
# @node
# def low(x: int) -> int: return x - 1
# @node
# def high(x: int) -> int: return x + 1
# @node
# def pair(low: int, high: int) -> tuple: return low, high
# print(Net(source >> [low, high] >> pair).run(n=[2]))  # {'pair.out': [(-1, 1), (0, 2)]}
# ```
#
# </details>
# <details><summary>An async fan-out: a hundred requests at the same time</summary>
#
# ```python
# import asyncio
# from netrun import Net, node
# @node
# def pages(n: int): yield from range(n)
# @node
# async def fetch(page: int) -> str:
#     await asyncio.sleep(0.1)  # stands for the request
#     return f"page {page}"
# fetched = Net(pages >> fetch).run(n=[100])["fetch.out"]
# print(len(fetched), fetched[0])  # 100 page 0
# ```
#
# </details>
# <details><summary>A process pool</summary>
#
# ```python
# import os
# from netrun import Net, node
# @node(pool="cpu")
# def squares(n: int) -> tuple: return sum(i * i for i in range(n)), os.getpid()
# net = Net(squares, process_pools={"cpu": {"size": 2}})
# sums, workers = zip(*net.run(n=[10, 100, 1000])["squares.out"])
# print(sorted(sums), os.getpid() in workers)  # [285, 328350, 332833500] False
# ```
#
# </details>
# <details><summary>A node that is tried again</summary>
#
# ```python
# from netrun import Net, node
# calls = []
# @node(retries=3, retry_wait=0.01)
# def flaky(x: int) -> int:
#     calls.append(x)
#     if len(calls) < 3: raise ConnectionError("not yet")
#     return x
# print(Net(flaky).run(x=[7]), calls)  # {'flaky.out': [7]} [7, 7, 7]
# ```
#
# </details>
#
# ## What is promised
#
# | whatever happens | what holds |
# |---|---|
# | a node fails, or runs out of time | its packets are in a dead letter, or tried again; a deferred attempt has left no trace |
# | Ctrl-C, SIGTERM | the net pauses, what runs may finish; nothing is lost, and `start()` goes on |
# | a worker process is killed | its epoch fails, and only that one; the pool has a new worker |
# | the power fails, the disk is full, a save is killed halfway | the last checkpoint loads, or the new one: never neither, never a mix |
# | the same net with the same packets once more | the epochs come in the same order |
# | a text or a checkpoint from a stranger | nothing that `allow=` does not name is imported; nothing that `key=` did not sign is unpickled |
#
# Each is a row of [the fault catalogue](nbs/13d_faults.ipynb) or of the chapters behind it, with the test that shows it.
#
# ## In a checkout
#
# ```
# make demo    # a net that reads, parses and counts the standard library of your Python
# make test    # every test: export, lint, types, notebooks, pytest
# make docs    # the book as a site, in build/site: every notebook as it runs, and the reference
# make bench   # what it costs, see below
# ```
#
# They need Python 3.11 or newer and `make`; what else they need they install into `.venv`.
#
# ## A graph by hand
#
# What `@node` makes of a function can be said in the words of `netrun_sim`, where more is wanted: several conditions, ports
# with few slots, functions that act through a context. Two nodes. `Count` has no input; its one epoch sends four numbers.
# Each of them starts an epoch of `Square`.

# %%
from netrun import *

any_at = lambda port: SalvoConditionTerm.port(port, PortState.non_empty())

count = Node(
    "Count",
    out_ports={"out": Port()},
    out_salvo_conditions={"send": SalvoCondition(MaxSalvos.infinite(), "out", any_at("out"))},
)
square = Node(
    "Square",
    in_ports={"in": Port()},
    out_ports={"out": Port()},
    in_salvo_conditions={"one": SalvoCondition(MaxSalvos.finite(1), {"in": PacketCount.count(1)}, any_at("in"))},
    out_salvo_conditions={"send": SalvoCondition(MaxSalvos.infinite(), "out", any_at("out"))},
)
graph = Graph(
    [count, square], [Edge(PortRef("Count", PortType.Output, "out"), PortRef("Square", PortType.Input, "in"))]
)


def send_numbers(ctx, packets):
    for number in range(4):
        ctx.send("out", number)


def send_square(ctx, packets):
    ctx.send("out", ctx.consume_packet(packets["in"][0]) ** 2)


net = Net(graph)
net.set_node_exec("Count", send_numbers)
net.set_node_exec("Square", send_square)
print(net.run())

# %%
#|hide
net.inject_source_epoch("Count")
net.start()
assert net.take_outputs("Square", "out") == [0, 1, 4, 9]

# %% [markdown]
# It prints `{'Square.out': [0, 1, 4, 9]}`: what was sent from the one output port that has no edge.
#
# ## The same net as text
#
# A net can be a TOML file that names its functions. This one is [first_net.toml](pts/examples/first_net.toml), its
# functions are in `first_net.py` beside it.
#
# ```toml
# # Numbers, and their squares.
# edges = [{ from = "Count.out", to = "Square.in" }]
#
# [nodes.Count]
# out_ports = ["out"]
# out_salvo_conditions.send = { when = "nonempty(out)" }
# exec_node_func = "first_net.send_numbers"
#
# [nodes.Square]
# in_ports = ["in"]
# out_ports = ["out"]
# in_salvo_conditions.one = { when = "nonempty(in)", ports = { in = 1 } }
# out_salvo_conditions.send = { when = "nonempty(out)" }
# exec_node_func = "first_net.send_square"
# ```
#
# ```
# netrun run pts/examples/first_net.toml     # prints what comes out, as JSON lines
# netrun show pts/examples/first_net.toml    # draws it
# netrun validate my_net.toml                # says everything that is wrong, with line and caret
# ```
#
# In Python it is `Net.from_toml(text)` or `Net.load_definition(path)`, and `net.to_toml()` the way back. Templates for
# common nodes are in [netrun.factories](nbs/10c_factories.ipynb); a text from a stranger is code from a stranger, unless
# `allow=["myapp"]` says what it may name.
#
# ## The house
#
# ```
#  user ──> Net (12) ──> Control (09) ──> Driver (02b) ──> Engine (02) ──> Ledger (00g) ──> NetSim, hidden
#           a face       the verbs        calls, waits     decides         owns                judges
#                                            │                                ▲
#                                            ▼ Attempt              actions, under one lock
#                                        a carrier ──> your function ──> context (01)
# ```
#
# The source is a book: the notebooks in `pts/`, numbered and read in order, are the library, its documentation and its
# first tests. `nbl export` makes `nbs/` and `src/netrun` from them; edit neither of these.
#
# | chapter | subject |
# |---|---|
# | [00_core](nbs/00_core.ipynb) | the words of `netrun_sim`, errors, node options |
# | [00b_packets](nbs/00b_packets.ipynb) | packets, epochs, and where they are |
# | [00ba_pickles](nbs/00ba_pickles.ipynb) | what users have made, as bytes |
# | [00c_values](nbs/00c_values.ipynb) | what packets carry: values, value functions, files |
# | [00d_routing](nbs/00d_routing.ipynb) | when packets become epochs |
# | [00e_books](nbs/00e_books.ipynb), [00f_acts](nbs/00f_acts.ipynb), [00g_ledger](nbs/00g_ledger.ipynb) | the Ledger, the one owner of all state; commits that are all or nothing |
# | [00h_checks](nbs/00h_checks.ipynb) | what can never work in a graph |
# | [01_context](nbs/01_context.ipynb) | what a node function acts with |
# | [01b_prints](nbs/01b_prints.ipynb) | what node functions print, and which epoch this is |
# | [02_execution](nbs/02_execution.ipynb) | attempts, outcomes, verdicts, the engine |
# | [02a_signals](nbs/02a_signals.ipynb) | what Ctrl-C and SIGTERM do |
# | [02b_driver](nbs/02b_driver.ipynb) | calling functions, waiting, start and stop functions |
# | [03_failures](nbs/03_failures.ipynb) | retries, dead letters, what an error does to the net |
# | [04_async](nbs/04_async.ipynb) | epochs side by side, on the caller's loop or on one of the run's own |
# | [05_remote](nbs/05_remote.ipynb), [05b_workers](nbs/05b_workers.ipynb), [05c_pools](nbs/05c_pools.ipynb) | an attempt as bytes; threads, processes and executors; many epochs at once |
# | [06_limits](nbs/06_limits.ipynb) | how often and how many at once |
# | [07_history](nbs/07_history.ipynb), [07b_views](nbs/07b_views.ipynb) | what happened: entries, files; timelines, lineage, traces, spans |
# | [08_port_types](nbs/08_port_types.ipynb) | what a port takes |
# | [09_control](nbs/09_control.ipynb) | start, step, pause, resume, stop, poll; in the background |
# | [10_paths](nbs/10_paths.ipynb), [10a_functions](nbs/10a_functions.ipynb) | functions by import path; how a typed function becomes a node |
# | [10b_making](nbs/10b_making.ipynb), [10c_factories](nbs/10c_factories.ipynb) | node templates, and those that come with netrun |
# | [11_expressions](nbs/11_expressions.ipynb) | salvo conditions as text |
# | [11b_places](nbs/11b_places.ipynb), [11c_description](nbs/11c_description.ipynb), [11d_reading](nbs/11d_reading.ipynb), [11e_writing](nbs/11e_writing.ipynb), [11f_dsl](nbs/11f_dsl.ipynb) | nets as TOML: where things stand, reading, writing, `NetDefinition` |
# | [11g_drawing](nbs/11g_drawing.ipynb), [11h_schema](nbs/11h_schema.ipynb) | what is drawn of a net, folded and laid out; the JSON Schema of a text |
# | [12_net](nbs/12_net.ipynb) | the face |
# | [13_states](nbs/13_states.ipynb), [13b_folders](nbs/13b_folders.ipynb), [13c_checkpoint](nbs/13c_checkpoint.ipynb), [13e_autosave](nbs/13e_autosave.ipynb) | a net at rest as data, on disk, and back; nets that save themselves |
# | [13d_faults](nbs/13d_faults.ipynb) | what can break, and what is promised then |
# | [14_flows](nbs/14_flows.ipynb), [14b_build](nbs/14b_build.ipynb) | nets from functions: `@node`, `>>`, `Flow` |
# | [15_show](nbs/15_show.ipynb), [15b_report](nbs/15b_report.ipynb) | pictures of nets; the report of what a net has done |
# | [15c_why](nbs/15c_why.ipynb) | what a net waits for, and the root of it |
# | [15d_progress](nbs/15d_progress.ipynb) | what a net is doing, while it does it |
# | [16_cli](nbs/16_cli.ipynb) | the command line |
#
# | example | about |
# |---|---|
# | [01_first_net](nbs/examples/01_first_net.ipynb), [02_graph_by_hand](nbs/examples/02_graph_by_hand.ipynb) | from functions; in the words of `netrun_sim` |
# | [03_async_http](nbs/examples/03_async_http.ipynb), [04_threads](nbs/examples/04_threads.ipynb), [05_processes](nbs/examples/05_processes.ipynb), [13_dask_cluster](nbs/examples/13_dask_cluster.ipynb) | many at once, in four ways |
# | [06_failures](nbs/examples/06_failures.ipynb), [07_rate_limits](nbs/examples/07_rate_limits.ipynb) | retries and dead letters; how often and how many |
# | [08_history](nbs/examples/08_history.ipynb), [09_port_types](nbs/examples/09_port_types.ipynb) | what happened; what fits |
# | [10_net_as_file](nbs/examples/10_net_as_file.ipynb), [11_factories](nbs/examples/11_factories.ipynb) | nets as texts, and nodes that differ in an argument |
# | [12_checkpoint_and_resume](nbs/examples/12_checkpoint_and_resume.ipynb) | a job that is stopped halfway and goes on |
# | [14_orders_into_sqlite](nbs/examples/14_orders_into_sqlite.ipynb), [15_stdlib_census](nbs/examples/15_stdlib_census.ipynb) | applications |
#
# ## What there is
#
# | | chapter |
# |---|---|
# | nets from typed functions: `@node`, `>>`, `Flow` | [14b_build](nbs/14b_build.ipynb) |
# | graphs in the words of `netrun_sim`; values, lazy values, values in files | [00d_routing](nbs/00d_routing.ipynb), [00c_values](nbs/00c_values.ipynb) |
# | contexts, deferred actions with all-or-nothing commits | [01_context](nbs/01_context.ipynb) |
# | `start`, `run_step`, `run`, `pause`, `stop`, `with`; time-outs; start, stop and failure functions | [12_net](nbs/12_net.ipynb), [02b_driver](nbs/02b_driver.ipynb) |
# | retries, dead letters, `redrive`, `on_error` | [03_failures](nbs/03_failures.ipynb) |
# | async nodes side by side, `async_start` and its kin, cancellation | [04_async](nbs/04_async.ipynb) |
# | thread pools; process pools whose workers may die; executors: the standard library's, loky's, Dask's (`netrun[dask]`) | [05c_pools](nbs/05c_pools.ipynb) |
# | `rate_limit_per_second`, `max_parallel_epochs`, `max_epochs` | [06_limits](nbs/06_limits.ipynb) |
# | history in memory and in a file, logs of prints, timelines, lineage, traces for Perfetto, OpenTelemetry (`netrun[otel]`) | [07_history](nbs/07_history.ipynb), [07b_views](nbs/07b_views.ipynb) |
# | port types, checked when values are consumed and loaded, and against each other | [08_port_types](nbs/08_port_types.ipynb) |
# | `start(threaded=True)`, `poll`, `wait_until_blocked`; SIGINT and SIGTERM | [09_control](nbs/09_control.ipynb), [02a_signals](nbs/02a_signals.ipynb) |
# | factories and templates; nets as TOML, salvo expressions | [10c_factories](nbs/10c_factories.ipynb), [11f_dsl](nbs/11f_dsl.ipynb) |
# | checkpoints, nets that save themselves, `start(resume=True)` | [13c_checkpoint](nbs/13c_checkpoint.ipynb), [13e_autosave](nbs/13e_autosave.ipynb) |
# | pictures in Jupyter and in files, `net.report("report.html")` | [15_show](nbs/15_show.ipynb), [15b_report](nbs/15b_report.ipynb) |
# | `net.why_blocked()`, `net.explain(node)`, `Net(graph, check=...)` | [15c_why](nbs/15c_why.ipynb), [00h_checks](nbs/00h_checks.ipynb) |
# | `start(progress=True)` on a terminal, in Jupyter, in logs | [15d_progress](nbs/15d_progress.ipynb) |
# | the command `netrun`: `run`, `validate`, `show`, `fmt`, `schema`, `history` | [16_cli](nbs/16_cli.ipynb) |
#
# ## What it costs
#
# Python 3.11.7, 2 cores, netrun_sim 0.2.0:
#
# | case | N | netrun µs | floor µs | ratio | budget |  |
# |---|---:|---:|---:|---:|---:|---|
# | source → processor → sink, per epoch | 1,000 | 17.2 | 13.4 | 1.28 | 1.40 | ok |
# | source → processor → sink, per epoch | 10,000 | 18.7 | 14.2 | 1.32 | 1.40 | ok |
# | source → processor → sink, per epoch | 100,000 | 19.4 | 12.8 | 1.51 | 1.40 | over |
# | flat: source → processor → sink, per epoch | 100,000 : 1,000 | 18.7 |  | 1.11 | 1.15 | ok |
# | source → processor → sink, per epoch, by create, load, send | 10,000 | 21.0 | 12.6 | 1.67 |  |  |
# | source → processor → sink, per epoch, processor deferred | 10,000 | 30.0 | 12.3 | 2.43 |  |  |
# | history in memory and capture of prints, as by default | 10,000 | 20.1 | 12.8 | 1.57 | 1.80 | ok |
# | history in memory : without | 10,000 | 19.2 | 16.2 | 1.20 | 1.25 | ok |
# | history in memory and in a file : without | 10,000 | 31.4 | 16.3 | 1.92 | 1.60 | over |
# | capture of prints : without | 10,000 | 16.4 | 16.3 | 1.01 | 1.05 | ok |
# | a source epoch for each packet, per epoch | 10,000 | 14.2 | 9.6 | 1.49 | 1.40 | over |
# | burst from one epoch, per packet | 100,000 | 17.9 | 12.5 | 1.42 |  |  |
# | flat: burst from one epoch, per packet | 100,000 : 10,000 | 17.3 |  | 1.12 | 1.15 | ok |
# | inject_packets, per packet | 100,000 | 12.0 | 7.8 | 1.53 |  |  |
# | flat: inject_packets, per packet | 100,000 : 10,000 | 11.9 |  | 1.02 | 1.15 | ok |
# | peak memory of a stream, per packet | 1,000,000 | 32.7 |  | 2 MB | 150 MB | ok |
# | peak memory of a stream with history, per packet | 1,000,000 | 37.7 |  | 4 MB | 150 MB | ok |
# | chain of 1,000 nodes, per hop | 20 | 17.0 | 14.9 | 1.15 | 1.50 | ok |
# | chain of 1,000 nodes, per hop, floor by run_step | 20 | 16.9 | 22.1 | 0.77 |  |  |
# | chain, long over short, per hop | 10,000 : 10 | 21.8 |  | 1.22 | 1.30 | ok |
# | the floor of that, long over short | 10,000 : 10 |  | 18.2 | 1.37 |  |  |
# | diamond, per epoch | 10,000 | 24.0 | 16.7 | 1.46 | 1.50 | ok |
# | async epoch above an inline one | 10,000 | 19.6 | 12.0 | 7.58 µs | 25.00 µs | ok |
# | async epochs of 1 ms, 100 at a time : bare asyncio | 1,000 | 34.8 | 21.7 | 1.58 | 2.50 | ok |
# | 200 calls at 50 a second : the ideal | 200 | 20,494.6 | 19,900.0 | 1.03 | 1.05 | ok |
# | CPU time of that : time | 200 |  |  | 0.01 | 0.05 | ok |
# | 200 async calls at 50 a second : the ideal | 200 | 20,566.5 | 19,900.0 | 1.03 | 1.05 | ok |
# | CPU time of that : time | 200 |  |  | 0.02 | 0.05 | ok |
# | start(threaded=True) : start(), per epoch | 10,000 | 18.5 | 18.8 | 1.01 | 1.20 | ok |
# | 8 threads, 1 ms of sleep : bare executor | 1,000 | 176.0 | 146.1 | 1.20 | 1.15 | over |
# | 2 processes, nothing to do : bare executor | 5,000 | 187.1 | 96.3 | 1.98 | 1.60 | over |
# | 2 processes, 5 ms of CPU : bare executor | 400 | 1,451.4 | 1,385.1 | 1.05 | 1.10 | ok |
# | 2 processes, 1 MB in and out : bare executor | 300 | 1,741.9 | 2,325.3 | 0.75 | 1.25 | ok |
# | four functions : by hand with contexts | 10,000 | 18.3 | 16.5 | 1.11 | 1.35 | ok |
# | four functions with type hints, both with port types : by hand with contexts | 10,000 | 25.4 | 24.1 | 1.07 | 1.35 | ok |
# | values of a generator, each used at once : by hand, async | 10,000 | 54.9 | 43.1 | 1.30 |  |  |
# | a net of TOML, parsed and built : tomlkit.parse, per node | 10,000 | 467.8 | 844.5 | 0.55 | 3.00 | ok |
# | the same, written again : tomlkit.parse, per node | 10,000 | 547.4 | 844.5 | 0.65 |  |  |
# | a checkpoint saved and loaded, numbers, per waiting packet | 100,000 | 1.9 | 2.7 | 0.72 | 3.00 | ok |
# | the copy that a save by itself takes, numbers | 100,000 |  |  | 0.009 s | 0.050 s | ok |
# | a checkpoint saved and loaded, lists, per waiting packet | 100,000 | 2.5 | 3.8 | 0.65 | 3.00 | ok |
# | the copy that a save by itself takes, lists | 100,000 |  |  | 0.021 s | 0.050 s | ok |
# | netrun --help : pass |  | 63,730.9 | 10,231.4 | 0.064 s | 0.250 s | ok |
# | python -c "import netrun" : pass |  | 56,356.0 | 10,521.9 | 0.056 s | 0.100 s | ok |
#
# And from a later run, when the same machine was slower (its floor was 20 µs in place of 13):
#
# | case | N | netrun µs | floor µs | ratio | budget |  |
# |---|---:|---:|---:|---:|---:|---|
# | start(progress=True) on a terminal : start(), per epoch | 100,000 | 37.5 | 37.7 | 1.00 | 1.03 | ok |
# | four functions with type hints : by hand with contexts, without port types | 10,000 | 40.3 | 26.1 | 1.55 |  |  |
# | how long a net that saves itself stands still, numbers | 100,000 |  |  | 0.003 s | 0.050 s | ok |
# | how long a net that saves itself stands still, lists | 100,000 |  |  | 0.002 s | 0.050 s | ok |
# | how long a net that saves itself stands still, objects of a script | 100,000 |  |  | 0.002 s | 0.050 s | ok |
# | report of 100,000 epochs, history in memory | 100,000 | 20.2 |  | 2.019 s | 5.000 s | ok |
# | size of that, history in memory | 100,000 |  |  | 1 MB | 10 MB | ok |
# | report of 100,000 epochs, history in a file | 100,000 | 16.6 |  | 1.658 s | 5.000 s | ok |
# | size of that, history in a file | 100,000 |  |  | 1 MB | 10 MB | ok |
#
# `make bench` makes this table, on your machine, in a few minutes. The floor is the same packets and epochs on a bare
# `NetSim`: no values, no functions called, no ids, every event read, routed after each send. History and the capture of
# prints, which are on by default, are left out but in the rows that name them. Ratios move with the machine: in that slower
# hour the first three rows were 1.40, 1.46 and 1.62. What is `over` is to be brought down.
