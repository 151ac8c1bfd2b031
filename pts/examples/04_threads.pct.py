# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Threads: files that take long to read
#
# Checksums of many files. Reading waits for the disk, so four threads do it, each with a buffer of its own.

# %%
import hashlib
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from netrun import Net, node

folder = TemporaryDirectory()
for number in range(12):
    (Path(folder.name) / f"{number}.bin").write_bytes(bytes([number]) * 100_000)

# %% [markdown]
# `start_node_func` is called once in each thread, before the first epoch of the node there. What it opens belongs to that
# thread.

# %%
mine = threading.local()


def open_buffer(worker):
    mine.buffer = bytearray(1 << 16)


@node(pool="disk", start_node_func=open_buffer)
def checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while count := file.readinto(mine.buffer):
            digest.update(mine.buffer[:count])
    print(f"{path.name} in {threading.current_thread().name}")
    return digest.hexdigest()


net = Net(checksum, thread_pools={"disk": {"size": 4}})
sums = net.run(path=sorted(Path(folder.name).iterdir()))["checksum.out"]
assert len(set(sums)) == 12

# %% [markdown]
# What a node prints is in its log, each line with its epoch, though four threads have printed at once.

# %%
for entry in net.get_node_log("checksum")[:4]:
    print(entry.epoch_id, entry.message)
assert len(net.get_node_log("checksum")) == 12
