# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Port types
#
# Sensors send readings, and one of them sends text now and then. Hints are port types: what does not fit is stopped at the
# port, with the name of who sent it, and does not turn up three nodes later as a strange number.

# %%
from netrun import GraphError, Net, node


@node
def sensor(raw: str) -> float:
    return float(raw) if raw != "n/a" else raw  # a mistake


@node
def fahrenheit(celsius: float) -> float:
    return celsius * 9 / 5 + 32


net = Net(sensor >> fahrenheit, on_error="continue")
print(net.run(raw=["20", "n/a", "21.5"]))
for letter in net.dead_letter_queue:
    print(letter.exception)

# %% [markdown]
# An int will do for a float, as for type checkers. Nothing is converted: `fahrenheit` would get the int.
#
# What can never fit is refused when it is wired:


# %%
@node
def shout(text: str) -> str:
    return text.upper()


try:
    fahrenheit >> shout
except GraphError as error:
    print(error)
else:
    raise AssertionError("not refused")

# %% [markdown]
# Types can also be set on a net: a class, the name of one (for what you do not want to import), exactly a class, a class as
# the value.

# %%
net = Net(shout)
net.set_input_port_type("shout", "text", {"class": str, "isinstance": False})


class Special(str): ...


net.inject_packets("shout", "text", [Special("no subclass")])
try:
    net.start()
except Exception as error:
    print(error)
else:
    raise AssertionError("not refused")
