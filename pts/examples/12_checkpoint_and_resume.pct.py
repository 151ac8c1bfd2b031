# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Checkpoint and resume
#
# A long job that is stopped halfway goes on where it was: here the digests of some files, four of which are done when
# somebody stops the job.

# %%
import hashlib
import tempfile
from pathlib import Path

from netrun import Net, node

folder = tempfile.TemporaryDirectory()
files = [Path(folder.name) / f"part-{number}" for number in range(10)]
for number, file in enumerate(files):
    file.write_bytes(bytes([number]) * 100_000)

read: list[str] = []


@node
def digest(path: Path) -> str:
    read.append(path.name)
    if len(read) == 4:
        net.pause()  # as Ctrl-C does, or SIGTERM
    return hashlib.sha256(path.read_bytes()).hexdigest()


@node
def line(digest: str) -> str:
    return f"{digest[:12]}…"


job = digest >> line

# %% [markdown]
# With a `checkpoint_path` the net is saved whenever it comes to rest; with `checkpoint_every` also while it runs, so that
# not even a power cut costs more than what came since.

# %%
run = Path(folder.name) / "run"
net = Net(job, checkpoint_path=run, checkpoint_every="100 epochs")
net.inject_packets("digest", "path", files)
net.start()
print(f"{len(read)} of {len(files)} files read, then: {net.state.name}")
assert len(read) == 4 and (run / "manifest.json").exists()
net.stop()

# %% [markdown]
# The same script again, in another process or on another machine: `resume=True` goes on from the checkpoint, if there is
# one. Values, order, ids, retries under way, dead letters and history are as they were.

# %%
net = Net(job, checkpoint_path=run)
net.start(resume=True)
lines = net.take_outputs("line", "out")
print(*lines, sep="\n")
assert lines == [f"{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}…" for file in files]
assert read == [file.name for file in files], "no file is read twice"
net.stop()

# %% [markdown]
# By hand: save a net that rests, load it elsewhere. A checkpoint is code, since it is unpickled: with a `key` only one that
# was signed with it is loaded. Functions that have no import path, as those of a notebook, come with the flow.

# %%
from netrun import CheckpointError

net = Net(job)
net.inject_packets("digest", "path", files[:2])
net.pause(wait=True)
net.save_checkpoint(run, key="a secret")
try:
    Net.load_checkpoint(run, key="another one")
except CheckpointError as error:
    print(error)
else:
    raise AssertionError("not refused")

again = Net.load_checkpoint(run, job, key="a secret")
print(again.run())
folder.cleanup()
