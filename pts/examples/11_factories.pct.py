# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Factories: nodes that differ in an argument
#
# Three shops send their orders as CSV, with columns in different orders. One factory makes the three nodes that read them. A
# factory is a module (or an object) with two functions, so that a text can name it and give its arguments.

# %%
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from netrun import Net

temporary = TemporaryDirectory()
folder = Path(temporary.name)
(folder / "csv_reader.py").write_text(
    """
from functools import partial

from netrun import factories


def read(line: str, columns: list) -> dict:
    return dict(zip(columns, line.split(","), strict=True))


def get_node_spec(columns):
    return factories.from_function.get_node_spec(partial(read, columns=columns))


def get_node_funcs(columns):
    return factories.from_function.get_node_funcs(partial(read, columns=columns))
"""
)
sys.path.insert(0, str(folder))

# %%
TEXT = """
edges = [
    { from = "North.out", to = "All.in1" },
    { from = "South.out", to = "All.in2" },
]

[nodes.North]
factory = "csv_reader"
factory_args.columns = ["what", "price"]

[nodes.South]
factory = "csv_reader"
factory_args.columns = ["price", "what"]

[nodes.All]
factory = "netrun.factories.merge"
factory_args.inputs = 2
"""
net = Net.from_toml(TEXT)
orders = net.run({"North.line": ["melon,3"], "South.line": ["1,apple"]})["All.out"]
assert orders == [{"what": "melon", "price": "3"}, {"price": "1", "what": "apple"}]
assert net.to_toml() == TEXT

# %% [markdown]
# Templates that come with netrun: `from_function`, `broadcast`, `round_robin`, `merge`, `batch`, `split`, `filter`, `route`. A net
# of functions uses them too, which shows when it is written as text:

# %%
(folder / "shop.py").write_text(
    """
from netrun import node

@node
def price(order: dict) -> float:
    return float(order["price"])

@node(retries=2)
def bill(amount: float) -> str:
    return f"{amount:.2f}"

@node
def book(amount: float) -> None:
    print(amount)

flow = price >> [bill, book]
"""
)
import shop

text = Net(shop.flow).to_toml()
print(text)
assert Net.from_toml(text).run({"price.order": orders}) == {"bill.out": ["3.00", "1.00"]}
