# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # More than one machine: a Dask cluster
#
# This example is for Jupyter, and needs `pip install "netrun[dask]"`. As a script it would not run: there Dask wants the lines
# that make the cluster, and all that uses them, below `if __name__ == "__main__":`, since its workers begin with importing
# the script.
#
# A node with a pool of `executor_pools` runs wherever that executor runs things. With
# [Dask](https://distributed.dask.org) that may be many machines. Here it is a scheduler and
# two worker processes on this one, which talk over loopback; `Client("tcp://scheduler:8786")` in place of the cluster is all
# that other machines take, besides netrun installed there.
#
# This net counts the primes below a number. The range is cut into pieces here, each piece is counted there, and the sum is
# made here again.
#
# ```
#   ─ number ─> Cut ─ piece ─> Count ─ primes ─> Sum ─ total ─>
#               here           on the cluster    here
# ```

# %%
import os

from distributed import Client, LocalCluster

from netrun import *

cluster = LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
client = Client(cluster)

# %% [markdown]
# ## The graph

# %%
PIECES = 20
any_at = lambda port: SalvoConditionTerm.port(port, PortState.non_empty())


def stage(name, takes, when):
    """A node with a port `in` and a port `out`."""
    return Node(
        name,
        in_ports={"in": Port()},
        out_ports={"out": Port()},
        in_salvo_conditions={"in": SalvoCondition(MaxSalvos.finite(1), {"in": takes}, when)},
        out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", any_at("out"))},
    )


def edge(source, target):
    return Edge(PortRef(source, PortType.Output, "out"), PortRef(target, PortType.Input, "in"))


all_there = SalvoConditionTerm.port("in", PortState.equals_or_greater_than(PIECES))
graph = Graph(
    [
        stage("Cut", PacketCount.count(1), any_at("in")),
        stage("Count", PacketCount.count(1), any_at("in")),
        stage("Sum", PacketCount.count(PIECES), all_there),
    ],
    [edge("Cut", "Count"), edge("Count", "Sum")],
)

# %% [markdown]
# ## What the nodes do
#
# `count` and `is_prime` are defined in this notebook, and travel to the workers by value.


# %%
def cut(ctx, packets):
    number = ctx.consume_packet(packets["in"][0])
    for piece in range(PIECES):
        ctx.send("out", range(number * piece // PIECES, number * (piece + 1) // PIECES))


def is_prime(number):
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def count(ctx, packets):
    numbers = ctx.consume_packet(packets["in"][0])
    if ctx.retry_count == 0 and 4_000 in numbers:
        raise ConnectionError("a service that this needs was away")
    ctx.send("out", (sum(map(is_prime, numbers)), os.getpid()))


def add_up(ctx, packets):
    counts, workers = zip(*map(ctx.consume_packet, packets["in"]), strict=True)
    ctx.send("out", (sum(counts), set(workers)))


# %% [markdown]
# ## The run
#
# Dask's executor does not say how many workers it has; `size` says how many epochs it gets at a time. A few more than it
# has workers keep them busy while results travel. Retries, limits and time-outs are those of any other node.

# %%
pool = {"executor": client.get_executor(), "size": 4}
net = Net(graph, executor_pools={"cluster": pool})
net.set_node_exec("Cut", cut)
net.set_node_exec("Count", count)
net.set_node_exec("Sum", add_up)
net.set_node_config("Count", pool="cluster", retries=2, defer_net_actions=True)

(total, workers), *others = net.run({"Cut.in": [50_000]})["Sum.out"]
print(f"{total:,} primes below 50,000, counted by {len(workers)} workers")

# %%
#|hide
assert total == 5_133 and not others
assert workers and workers <= set(client.run(os.getpid).values()) and os.getpid() not in workers

# %% [markdown]
# ## What goes wrong there
#
# An exception comes back with the traceback from the worker. When a worker dies, Dask gives all that it had to other
# workers; what was there at four deaths is given up, be it guilty or not, and the epoch has failed with `WorkerDied`. So an
# epoch may run more than once there, without a retry being counted; `ctx.idempotency_key` is the same each time.


# %%
def deadly(ctx, packets):
    os._exit(1)


net = Net(graph, executor_pools={"cluster": pool}, on_error="continue")
net.set_node_exec("Count", deadly)
net.set_node_config("Count", pool="cluster")
net.inject_packets("Count", "in", [range(100)])
net.start()
(letter,) = net.dead_letter_queue
assert isinstance(letter.exception, WorkerDied)
print(letter.exception)
print("Dask says:", type(letter.exception.__cause__).__name__)

# %% [markdown]
# The cluster is yours, so you end it; netrun closes no executor.

# %%
client.close()
cluster.close()
