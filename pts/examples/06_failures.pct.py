# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Failures, retries and dead letters
#
# Payments are sent to a bank that is down now and then. A payment that fails is tried again twice; one that fails for good
# is put aside with all that it was given, and sent again when the reason is gone. The other payments go on.

# %%
from netrun import Net, node

attempts: list[str] = []


class BankDown(Exception): ...


@node(retries=2, retry_wait=0.01, retry_backoff=2.0, retry_on=BankDown)
def pay(invoice: str) -> str:
    attempts.append(invoice)
    if invoice == "INV-2" and attempts.count(invoice) < 3:
        raise BankDown("try again later")
    if "?" in invoice:
        raise ValueError(f"no such invoice: {invoice}")
    return f"paid {invoice}"


net = Net(pay, on_error="continue")
print(net.run(invoice=["INV-1", "INV-2", "INV-?", "INV-4"]))

# %% [markdown]
# `INV-2` took three attempts, while `INV-4` went ahead. `INV-?` had one: `retry_on` says what is worth another.

# %%
assert attempts.count("INV-2") == 3 and attempts.count("INV-?") == 1
(letter,) = net.dead_letter_queue
print(letter.node_name, letter.exception, letter.packet_values)

# %% [markdown]
# ## Again
#
# A dead letter goes back to where it came from, as it was or with another value.

# %%
net.redrive(letter, values={"invoice": ["INV-3"]})
net.start()
assert net.take_outputs("pay", "out") == ["paid INV-3"] and len(net.dead_letter_queue) == 0

# %% [markdown]
# `retries` makes a node's actions take effect when an attempt has succeeded, all or none. With `dead_letter_queue="file"` the
# letters survive a crash. Without `on_error="continue"` the first one pauses the net, and `run` raises, from the original:

# %%
from netrun import NodeExecutionFailed

try:
    Net(pay).run(invoice=["INV-?"])
except NodeExecutionFailed as error:
    print(error)
    assert isinstance(error.__cause__, ValueError)
else:
    raise AssertionError("not raised")
