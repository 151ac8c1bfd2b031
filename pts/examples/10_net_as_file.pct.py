# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A net as a file
#
# Orders come in as JSON lines. Each is priced, those that cost nothing are left out, large ones go one way and small ones
# another, and the small ones are put together in threes. The functions are plain Python and know nothing of netrun; the
# net is a file.

# %%
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from netrun import DslError, ImportPathError, Net

folder = TemporaryDirectory()
here = Path(folder.name)

# %% [markdown]
# ## Functions
#
# A module beside the file. Its functions can be tested, and used, without any net.

# %%
(here / "orders.py").write_text(
    """
PRICES = {"apple": 0.5, "melon": 3.0, "leaflet": 0.0}


def price(order):
    return {**order, "costs": PRICES[order["what"]] * order["number"]}


def costs_something(order):
    return order["costs"] > 0


def size(order):
    return "large" if order["costs"] >= 10 else "small"
"""
)

# %% [markdown]
# ## The net
#
# Every node comes from a template of `netrun.factories`, so there is hardly more to say than what is joined to what.

# %%
TEXT = """\
# Orders: priced, sorted by size, the small ones in threes.
edges = [
    { from = "Price.out", to = "Some.in" },
    { from = "Some.out", to = "Size.in" },
    { from = "Size.small", to = "Threes.in" },  # the large ones go out by themselves
]

[nodes.Price]
factory = "netrun.factories.from_function"
factory_args = { func = "orders.price" }
options = { retries = 2, retry_wait = 0.1, defer_net_actions = true }

[nodes.Some]
factory = "netrun.factories.filter"
factory_args = { predicate = "orders.costs_something" }

[nodes.Size]
factory = "netrun.factories.route"
factory_args = { chooser = "orders.size", outputs = ["small", "large"] }

[nodes.Threes]
factory = "netrun.factories.batch"
factory_args = { size = 3 }
"""
(here / "orders.toml").write_text(TEXT)

# %% [markdown]
# ## At the command line


# %%
def netrun(*arguments, text=""):
    done = subprocess.run(
        [sys.executable, "-m", "netrun", *arguments], cwd=here, input=text, capture_output=True, text=True
    )
    print(done.stdout + done.stderr)
    return done


assert netrun("validate", "orders.toml").returncode == 0
netrun("show", "orders.toml")

# %%
ORDERS = [
    {"what": "apple", "number": 4},
    {"what": "melon", "number": 20},
    {"what": "leaflet", "number": 100},
    {"what": "apple", "number": 1},
    {"what": "melon", "number": 2},
]
lines = "\n".join(map(json.dumps, ORDERS))
done = netrun("run", "orders.toml", "--input", "Price.order=@-", text=lines)
found = [json.loads(line) for line in done.stdout.splitlines()]
assert found[0] == {"Size.large": {"what": "melon", "number": 20, "costs": 60.0}}
assert [order["costs"] for order in found[1]["Threes.out"]] == [2.0, 0.5, 6.0]

# %% [markdown]
# What fails is told with the line of the function, and the exit code says that something did.

# %%
done = netrun("run", "orders.toml", "--input", 'Price.order={"what": "pear", "number": 1}')
assert done.returncode == 1 and "KeyError" in done.stderr and "orders.py" in done.stderr

# %% [markdown]
# ## In Python
#
# The same file. `allow` says what the text may name: a text that comes from elsewhere could otherwise name anything.

# %%
sys.path.insert(0, folder.name)
net = Net.load_definition(here / "orders.toml", allow=["orders"])
assert net.run({"Price.order": ORDERS})["Size.large"][0]["costs"] == 60
try:
    Net.from_toml(TEXT.replace("orders.costs_something", "os.remove"), allow=["orders"])
except ImportPathError as error:
    print(error)
else:
    raise AssertionError("not refused")

# %% [markdown]
# What is changed in Python can be saved. The rest of the file stays as it was, with its comments.

# %%
net.set_node_config("Price", retries=5)
net.save_definition(here / "orders.toml")
assert (here / "orders.toml").read_text() == TEXT.replace("retries = 2", "retries = 5")

# %% [markdown]
# ## Mistakes
#
# All of them are told at once, each with its place.

# %%
wrong = TEXT.replace("retries", "retrys").replace("Size.small", "Sise.small").replace("predicate =", "predicate:")
try:
    Net.from_toml(wrong)
except DslError as error:
    print(error)
else:
    raise AssertionError("not refused")
wrong = wrong.replace("predicate:", "predicate =")
try:
    Net.from_toml(wrong)
except DslError as error:
    print(error)
    assert [finding.line for finding in error.findings] == [5, 11]
else:
    raise AssertionError("not refused")
folder.cleanup()
