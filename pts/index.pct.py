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
import netrun.context
import netrun.control
import netrun.core
import netrun.failures
import netrun.net
import netrun.packets
import netrun.values
from netrun.packets import *  # netrun's own words first: a type checker keeps the first of two of the same name,
from netrun_sim import *  # type: ignore[assignment]
from netrun.packets import *  # Python the last
from netrun.core import *
from netrun.values import *
from netrun.context import *
from netrun.failures import *
from netrun.control import *
from netrun.net import *

__version__ = "0.1.0"
__all__ = [
    "__version__",
    *netrun.core.__all__,
    *netrun.packets.__all__,
    *netrun.values.__all__,
    *netrun.context.__all__,
    *netrun.failures.__all__,
    *netrun.control.__all__,
    *netrun.net.__all__,
]

# %% [markdown]
# # netrun
#
# **netrun runs graphs of Python functions.** You describe nodes with input and output ports, edges between them, and
# *salvo conditions*: when the packets at a node's ports start an *epoch*, one execution of the node, and when what it
# has made is sent on. `netrun_sim` moves the packets; netrun holds their values, calls your functions, and keeps count
# of everything, so that nothing is lost when something fails.
#
# ## Two commands
#
# ```
# make demo    # a net that reads, parses and counts the standard library of your Python
# make test    # every test: export, lint, types, notebooks, pytest
# ```
#
# Both need Python 3.11 or newer and `make`; what else they need they install into `.venv`. To use netrun in a project of
# yours, install it from a checkout or a wheel of it: `pip install ./netrun`.
#
# ## A first net
#
# Two nodes. `Count` has no input; its one epoch sends four numbers. Each of them starts an epoch of `Square`.

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
# | [00c_values](nbs/00c_values.ipynb) | what packets carry: values, value functions, files |
# | [00d_routing](nbs/00d_routing.ipynb) | when packets become epochs |
# | [00e_books](nbs/00e_books.ipynb), [00f_acts](nbs/00f_acts.ipynb), [00g_ledger](nbs/00g_ledger.ipynb) | the Ledger, the one owner of all state; commits that are all or nothing |
# | [01_context](nbs/01_context.ipynb) | what a node function acts with |
# | [02_execution](nbs/02_execution.ipynb) | attempts, outcomes, verdicts, the engine |
# | [02a_signals](nbs/02a_signals.ipynb) | what Ctrl-C and SIGTERM do |
# | [02b_driver](nbs/02b_driver.ipynb) | calling functions, waiting, start and stop functions |
# | [03_failures](nbs/03_failures.ipynb) | retries, dead letters, what an error does to the net |
# | [04_async](nbs/04_async.ipynb) | epochs side by side, on the caller's loop or on one of the run's own |
# | [05_remote](nbs/05_remote.ipynb), [05b_workers](nbs/05b_workers.ipynb), [05c_pools](nbs/05c_pools.ipynb) | an attempt as bytes; threads, processes and executors; many epochs at once |
# | [06_limits](nbs/06_limits.ipynb) | how often and how many at once |
# | [09_control](nbs/09_control.ipynb) | start, step, pause, resume, stop, poll; in the background |
# | [12_net](nbs/12_net.ipynb) | the face |
# | [examples](nbs/examples) | a census of the standard library |
#
# ## What works, and what is to come
#
# | | |
# |---|---|
# | graphs, values, lazy values, values in files | works |
# | contexts, deferred actions with all-or-nothing commits | works |
# | `start`, `run_step`, `run`, `pause`, `stop`, `with`; time-outs; start, stop and failure functions | works |
# | retries, dead letters, `redrive`, `on_error` | works |
# | async nodes side by side, `async_start` and its kin, cancellation | works |
# | `rate_limit_per_second`, `max_parallel_epochs`, `max_epochs` | works |
# | `start(threaded=True)`, `poll`, `wait_until_blocked`; SIGINT and SIGTERM | works |
# | thread pools, process pools with workers that may die, `concurrent.futures` executors | works |
# | Dask as an executor, tested | to come |
# | history, logs, port types, TOML, factories, checkpoints | to come |
#
# ## What it costs
#
# Python 3.11.7, 2 cores, netrun_sim 0.2.0:
#
# | case | N | netrun µs | floor µs | ratio | budget |  |
# |---|---:|---:|---:|---:|---:|---|
# | source → processor → sink, per epoch | 1,000 | 17.6 | 13.3 | 1.33 | 1.40 | ok |
# | source → processor → sink, per epoch | 10,000 | 18.8 | 13.4 | 1.40 | 1.40 | over |
# | source → processor → sink, per epoch | 100,000 | 18.0 | 12.2 | 1.48 | 1.40 | over |
# | flat: source → processor → sink, per epoch | 100,000 : 1,000 | 18.1 |  | 1.10 | 1.15 | ok |
# | source → processor → sink, per epoch, by create, load, send | 10,000 | 20.5 | 12.2 | 1.67 |  |  |
# | source → processor → sink, per epoch, processor deferred | 10,000 | 29.7 | 12.3 | 2.41 |  |  |
# | a source epoch for each packet, per epoch | 10,000 | 14.1 | 9.6 | 1.47 | 1.40 | over |
# | burst from one epoch, per packet | 100,000 | 18.4 | 12.4 | 1.46 |  |  |
# | flat: burst from one epoch, per packet | 100,000 : 10,000 | 18.7 |  | 1.12 | 1.15 | ok |
# | inject_packets, per packet | 100,000 | 13.0 | 7.8 | 1.66 |  |  |
# | flat: inject_packets, per packet | 100,000 : 10,000 | 13.3 |  | 1.05 | 1.15 | ok |
# | peak memory of a stream, per packet | 1,000,000 | 32.8 |  | 3 MB | 150 MB | ok |
# | chain of 1,000 nodes, per hop | 20 | 17.2 | 13.9 | 1.26 | 1.50 | ok |
# | chain of 1,000 nodes, per hop, floor by run_step | 20 | 16.9 | 20.6 | 0.82 |  |  |
# | chain, long over short, per hop | 10,000 : 10 | 22.6 |  | 1.24 | 1.30 | ok |
# | the floor of that, long over short | 10,000 : 10 |  | 18.0 | 1.36 |  |  |
# | diamond, per epoch | 10,000 | 23.5 | 16.3 | 1.44 | 1.50 | ok |
# | async epoch above an inline one | 10,000 | 19.1 | 12.5 | 6.59 µs | 25.00 µs | ok |
# | async epochs of 1 ms, 100 at a time : bare asyncio | 1,000 | 45.7 | 21.3 | 2.15 | 2.50 | ok |
# | python -c "import netrun" : pass |  | 70,065.8 | 9,945.1 | 0.070 s | 0.100 s | ok |
#
# `make bench` makes this table, on your machine, in a few minutes. The floor is the same packets and epochs on a bare
# `NetSim`: no values, no functions called, no ids, every event read, routed after each send. Ratios move
# with the machine; what is `over` is to be brought down.
