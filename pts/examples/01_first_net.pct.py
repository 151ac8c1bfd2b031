# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A first net
#
# Which words are longest in a text? One function cuts the text into words, one measures, one keeps the best. `@node` makes a
# node of each: its parameters are input ports, what it returns goes out at `out`. `>>` joins them.

# %%
from collections.abc import Iterator
from typing import NamedTuple

from netrun import GraphError, Net, Skip, node


class Word(NamedTuple):
    text: str
    length: int


@node
def words(text: str) -> Iterator[str]:
    yield from text.split()


@node
def measure(word: str) -> Word:
    return Word(word, len(word))


@node
def long_ones(word: Word) -> str:
    return word.text if word.length > 5 else Skip


net = Net(words >> measure >> long_ones)
print(net.run(text=["the quick brown jumping fox", "considered harmless"]))

# %% [markdown]
# `words` yields: each word is a packet of its own, which `measure` works on before the next one is cut. `Skip` sends nothing.
# What was sent from an output port without an edge comes out of `run`.

# %%
assert net.run(text=["a considerable one"]) == {"long_ones.out": ["considerable"]}

# %% [markdown]
# The functions are still functions, which tests can call. And an edge that can never work is refused where it is written:

# %%
assert measure("fox") == Word("fox", 3)
try:
    measure >> measure.named("again")
except GraphError as error:
    print(error)
else:
    raise AssertionError("not refused")

# %% [markdown]
# ## Two ways, and together again
#
# A list on the right sends each packet both ways. On the left, each goes to the parameter that bears its name.


# %%
@node
def upper(word: str) -> str:
    return word.upper()


@node
def backwards(word: str) -> str:
    return word[::-1]


@node
def both(upper: str, backwards: str) -> str:
    return f"{upper} {backwards}"


print(Net(words >> [upper, backwards] >> both).run(text=["drawn onward"]))
assert Net(words >> [upper, backwards] >> both).run(text=["on no"]) == {"both.out": ["ON no", "NO on"]}
