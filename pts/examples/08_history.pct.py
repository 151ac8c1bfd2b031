# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What happened: history, logs and traces
#
# A thumbnail of a picture was wrong this morning. Which epoch made it, from what, where, and what did it print?

# %%
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from netrun import EventHistory, Net, node

temporary = TemporaryDirectory()
folder = Path(temporary.name)


@node
def load(name: str) -> dict:
    print(f"loading {name}")
    return {"name": name, "width": 400 if name != "cat" else 0}


@node(pool="cpu")
def shrink(picture: dict) -> dict:
    if not picture["width"]:
        print("no width, so I make one up")
    return {**picture, "width": (picture["width"] or 13) // 4}


net = Net(load >> shrink, thread_pools={"cpu": {"size": 2}}, history_file=folder / "history.jsonl")
net.inject_packets("load", "name", ["dog", "cat", "owl"])
net.start()

# %% [markdown]
# The output packets are still there: those that were created and whose values are held. Each can be asked for what it comes
# from.

# %%
created = [entry.data["packet_id"] for entry in net.history.get_events() if entry.event_type == "PacketCreated"]
pictures = {id: net.value_store.get_value(id) for id in created if net.value_store.has_value(id)}
wrong = next(id for id, picture in pictures.items() if picture["name"] == "cat")
lineage = net.lineage(wrong)
print(lineage)

# %% [markdown]
# And what was printed, by node or by epoch:

# %%
for entry in net.get_node_log("shrink"):
    print(entry.epoch_id, entry.message)
assert [entry.message for entry in net.get_node_log("shrink")] == ["no width, so I make one up"]

# %% [markdown]
# ## Who worked when
#
# `timeline` has a row for each attempt. `to_perfetto` writes a file that [ui.perfetto.dev](https://ui.perfetto.dev) shows; `to_otel`
# makes spans (with `netrun[otel]`).

# %%
for row in net.timeline():
    print(row.node, row.worker, row.verdict)
net.history.to_perfetto(folder / "trace.json")
assert json.loads((folder / "trace.json").read_text())

# %% [markdown]
# All of it is in the file, a line of JSON each, and can be read when the net is long gone.

# %%
net.stop()
entries = EventHistory.read(folder / "history.jsonl")
print(len(entries), entries[0])
assert sum(entry.entry_type == "epoch" for entry in entries) == 6
