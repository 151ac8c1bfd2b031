# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # An application: orders into a database
#
# Every night a folder of CSV files is read into SQLite. Bad lines must not stop the good ones, and must not be lost: they go
# to a file of their own, with the reason. A file that cannot be read at all is a dead letter.
#
# ```
#  ─ path ─> lines ─ line ─> parse ─ order ──> priced ──> store ─ stored ─>
#                              └──── rejected ──> reject
# ```

# %%
import csv
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from netrun import Flow, Net, Skip, node

temporary = TemporaryDirectory()
folder = Path(temporary.name)
(folder / "in").mkdir()
(folder / "in" / "monday.csv").write_text("id,what,number\n1,apple,3\n2,melon,one\n3,pear,2\n")
(folder / "in" / "tuesday.csv").write_text("id,what,number\n4,apple,1\n5,durian,1\n6,melon,4\n7,pear,\n")
(folder / "in" / "broken.csv").write_bytes(b"id,what\n\xff\xfe\n")
PRICES = {"apple": 0.5, "melon": 3.0, "pear": 0.75}

# %% [markdown]
# ## What goes through it


# %%
@dataclass(frozen=True)
class Line:
    file: str
    number: int
    fields: dict


@dataclass(frozen=True)
class Order:
    line: Line  # where it was read
    id: int
    what: str
    number: int
    costs: float = 0.0


class Rejection(NamedTuple):
    line: Line
    why: str


class ParseOutputs(NamedTuple):
    order: Order
    rejected: Rejection


# %% [markdown]
# ## Steps
#
# `parse` has two outputs, and sends from one of them. A class whose name ends with `Outputs` declares them, with their types.


# %%
@node
def lines(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8", newline="") as file:
        for number, fields in enumerate(csv.DictReader(file), 2):
            yield Line(path.name, number, fields)


@node
def parse(line: Line) -> ParseOutputs:
    try:
        order = Order(line, int(line.fields["id"]), line.fields["what"], int(line.fields["number"]))
        return ParseOutputs(order, Skip)
    except (KeyError, TypeError, ValueError) as error:
        return ParseOutputs(Skip, Rejection(line, str(error)))


class PricedOutputs(NamedTuple):
    order: Order
    rejected: Rejection


@node
def priced(order: Order) -> PricedOutputs:
    if order.what not in PRICES:
        return PricedOutputs(Skip, Rejection(order.line, f"no price for {order.what}"))
    return PricedOutputs(replace(order, costs=order.number * PRICES[order.what]), Skip)


# %% [markdown]
# `store` writes each order in a transaction. It is deferred and tried again if the database is locked; what an attempt that
# failed had inserted is rolled back. Orders are written by their id, so a night that is run twice changes nothing.

# %%
database = sqlite3.connect(folder / "orders.db", check_same_thread=False)
database.execute("create table orders (id integer primary key, what text, number integer, costs real)")


@node(retries=3, retry_wait=0.05, retry_on=sqlite3.OperationalError)
def store(order: Order) -> int:
    with database:
        row = order.id, order.what, order.number, order.costs
        database.execute("insert or replace into orders values (?, ?, ?, ?)", row)
    return order.id


@node
def reject(rejection: Rejection) -> None:
    with (folder / "rejected.jsonl").open("a") as file:
        file.write(
            json.dumps({"file": rejection.line.file, "line": rejection.line.number, "why": rejection.why}) + "\n"
        )


# %% [markdown]
# ## The net
#
# The types leave one way only to wire most of it. Two outputs lead to `reject`, which is fine: an input port may have many
# edges.

# %%
flow = Flow(lines >> parse, parse.order >> priced, priced >> store, parse.rejected >> reject, priced.rejected >> reject)
net = Net(flow, on_error="continue")
stored = net.run(path=sorted((folder / "in").glob("*.csv")))["store.out"]

# %%
assert stored == [1, 3, 4, 6]
assert database.execute("select sum(costs), count(*) from orders").fetchone() == (15.5, 4)
rejected = [json.loads(line) for line in (folder / "rejected.jsonl").read_text().splitlines()]
for each in rejected:
    print(each)
assert [(each["file"], each["line"], each["why"].split()[0]) for each in rejected] == [
    ("monday.csv", 3, "invalid"),
    ("tuesday.csv", 3, "no"),
    ("tuesday.csv", 5, "invalid"),
]
(letter,) = net.dead_letter_queue
print(letter.node_name, letter.packet_values, letter.exception)
assert isinstance(letter.exception, UnicodeDecodeError)

# %% [markdown]
# ## Mended, and again
#
# Somebody has mended the broken file; its letter is driven again.

# %%
(folder / "in" / "broken.csv").write_text("id,what,number\n8,pear,4\n")
net.redrive(letter)
net.start()
assert database.execute("select count(*) from orders").fetchone() == (5,) and len(net.dead_letter_queue) == 0
database.close()
