# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A graph by hand
#
# A kitchen serves a table when each of its two guests has a plate, and at once if the bell rings, whatever is there. That is
# two conditions on one node, with ports that hold little; more than a function's parameters can say. So this graph is
# written in the words of `netrun_sim`.
#
# ```
#  ─ starters ─> ┐
#  ─ mains ────> ├ Table ─ served ─>
#  ─ bell ─────> ┘
# ```

# %%
from netrun import (
    Graph, MaxSalvos, Net, Node, PacketCount, Port, PortSlotSpec, SalvoCondition, format_salvo_condition,
    parse_salvo_condition,
)  # fmt: skip

ONE, ALL = PacketCount.count(1), PacketCount.all()
once = MaxSalvos.finite(1)
table = Node(
    "Table",
    in_ports={"starters": Port(PortSlotSpec.finite(2)), "mains": Port(), "bell": Port()},
    out_ports={"served": Port()},
    in_salvo_conditions={
        "bell": SalvoCondition(
            once, {"bell": ONE, "starters": ALL, "mains": ALL}, parse_salvo_condition("nonempty(bell)")
        ),
        "both": SalvoCondition(
            once, {"starters": ONE, "mains": ONE}, parse_salvo_condition("nonempty(starters) and nonempty(mains)")
        ),
    },
    out_salvo_conditions={
        "serve": SalvoCondition(MaxSalvos.infinite(), {"served": ALL}, parse_salvo_condition("nonempty(served)"))
    },
)

# %% [markdown]
# Conditions are tried in this order; the first that is met takes its packets and starts an epoch. `starters` holds two: what
# comes beyond waits before the port. A condition can be read as text too.

# %%
assert format_salvo_condition(table.in_salvo_conditions["both"].term) == "nonempty(starters) and nonempty(mains)"

# %% [markdown]
# The node's function gets a context and the packets by port. Only it decides what is consumed, and what is sent.


# %%
def serve(ctx, packets):
    plates = [ctx.consume_packet(packet) for port in ("starters", "mains") for packet in packets.get(port, [])]
    for bell in packets.get("bell", []):
        plates.append(f"({ctx.consume_packet(bell)})")
    ctx.send("served", " + ".join(plates))


net = Net(Graph([table], []))
net.set_node_exec("Table", serve)
assert net.run(starters=["soup", "salad", "olives"], mains=["pasta"]) == {"Table.served": ["soup + pasta"]}
assert net.poll().waiting_packets == 2
print(net.run(bell=["hurry"]))
