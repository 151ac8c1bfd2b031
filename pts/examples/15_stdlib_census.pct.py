# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A census of the standard library
#
# Every Python brings some hundred thousand lines of Python with it. This net reads all of them, parses each module, and
# counts what it finds. `make demo` runs this notebook as a script.
#
# ```
#                            ┌── text ─> Measure ── size ──┐
#                            │                             v
# ─ root ─> Find ─ file ─> Parse                          Join ─ module ─> Tally ─ sums ─> Report ─ census ─>
#                           │ │                            ^                ^ │              ^ ^
#                           │ └─ defs ─> Outline ─ outline ┘           end ─┘ └─── done ─────┘ │
#                           └──────────────────── failed ──────────────────────────────────────┘
# ```
#
# `Parse` fans out to two branches, which meet again in `Join`. `Tally` works in batches. What cannot be read or parsed is
# no exception here: it takes another way to the same report.

# %%
import ast
import platform
import sysconfig
import textwrap
import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from heapq import nlargest
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

from netrun import Edge, Graph, MaxSalvos, Net, Node, PacketCount, Port, PortRef, PortState, PortType
from netrun import SalvoCondition, SalvoConditionTerm

# %% [markdown]
# ## What is counted
#
# All counts are `Sums`, and sums add up: those of a module's two branches, of fifty modules, of the whole library.

# %%
TOP = 5


@dataclass
class Sums:
    """Counts, and the largest of what was counted."""

    counts: Counter = field(default_factory=Counter)
    names: Counter = field(default_factory=Counter)  # of functions
    largest: list = field(default_factory=list)  # (lines, module)
    longest: list = field(default_factory=list)  # (lines, function, module)

    def __add__(self, other):
        return Sums(
            self.counts + other.counts,
            self.names + other.names,
            nlargest(TOP, self.largest + other.largest),
            nlargest(TOP, self.longest + other.longest),
        )


# %%
both = Sums(Counter(lines=3), largest=[(3, "a")]) + Sums(Counter(lines=4), largest=[(4, "b")])
assert both.counts["lines"] == 7
assert both.largest == [(4, "b"), (3, "a")]

# %% [markdown]
# ## Find
#
# A packet for each file, of which only the path is known. `create_packet_from_value_func` gives it a function in place of
# a value: the file is read when `Parse` consumes the packet. Reading may fail, so `read` makes the failure a value like
# any other: a value function that raises leaves its packet unconsumed.
#
# Three folders are left out: `test` holds Python's own tests (bad syntax on purpose among them), `site-packages` and
# `dist-packages` what was installed.

# %%
LEFT_OUT = {"test", "site-packages", "dist-packages"}


class Source(NamedTuple):
    """A module's text, or why there is none."""

    module: str
    text: bytes
    error: OSError | None = None


def read(module, path):
    try:
        return Source(module, path.read_bytes())
    except OSError as error:
        return Source(module, b"", error)


# %%
def python_files(root):
    """The Python files below a folder, each with the name of its module, in order."""
    tops = [top for top in root.iterdir() if top.name not in LEFT_OUT]
    for path in sorted(path for top in tops for path in (top, *top.rglob("*.py")) if path.suffix == ".py"):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), path


# %%
def find(ctx, packets):
    root = ctx.consume_packet(packets["root"][0])
    for module, path in python_files(root):
        packet = ctx.create_packet_from_value_func(partial(read, module, path))
        ctx.load_output_port("file", packet)
        ctx.send_output_salvo("file")


# %% [markdown]
# ## Parse
#
# Epochs start oldest first, so what `Parse` sends waits until all files are parsed. The syntax trees of them all take more
# than 300 MB. So no tree leaves this node: what it sends on is a list of definitions, and the text.

# %%
KINDS = {ast.FunctionDef: "functions", ast.AsyncFunctionDef: "async functions", ast.ClassDef: "classes"}
BLOCKS = (ast.stmt, ast.excepthandler, ast.match_case)  # what definitions can be in


class Definition(NamedTuple):
    kind: str
    name: str
    lines: int
    documented: bool


def definition(node, name):
    lines = node.end_lineno - node.lineno + 1
    return Definition(KINDS[type(node)], name, lines, ast.get_docstring(node, clean=False) is not None)


# %%
def definitions(tree):
    """The functions and classes of a module, methods and nested ones too, as `Class.method`."""
    found, blocks = [], [(tree, "")]
    for block, prefix in blocks:  # which grows meanwhile
        for node in ast.iter_child_nodes(block):
            if type(node) in KINDS:
                found.append(definition(node, prefix + node.name))
                blocks.append((node, f"{prefix}{node.name}."))
            elif isinstance(node, BLOCKS):
                blocks.append((node, prefix))
    return found


# %%
tree = ast.parse("class A:\n  def f(self):\n    'Yes.'\n    if self:\n      async def g(): pass")
assert [d[:3] for d in definitions(tree)] == [
    ("classes", "A", 5),
    ("functions", "A.f", 4),
    ("async functions", "A.f.g", 1),
]
assert [d.documented for d in definitions(tree)] == [False, True, False]

# %% [markdown]
# One of two things happens to a module: a packet on `defs` and one on `text`, or one on `failed` that says why.


# %%
class Failure(NamedTuple):
    module: str
    lines: int
    reason: str


def parsed(source):
    if source.error is not None:
        raise source.error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in a string is a warning, and not ours
        return ast.parse(source.text)


def reason(error):
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}" if error.lineno else error.msg
    return f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"


def parse(ctx, packets):
    source = ctx.consume_packet(packets["file"][0])
    try:
        found = definitions(parsed(source))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        ctx.send("failed", Failure(source.module, len(source.text.splitlines()), reason(error)))
    else:
        ctx.send("defs", (source.module, found))
        ctx.send("text", (source.module, source.text))


# %% [markdown]
# ## Two branches and a join
#
# `Outline` looks at the definitions, `Measure` at the text.


# %%
def outline(ctx, packets):
    module, found = ctx.consume_packet(packets["defs"][0])
    functions = [d for d in found if d.kind != "classes"]
    counts = Counter(d.kind for d in found) + Counter(documented=sum(d.documented for d in functions))
    names = Counter(d.name.rpartition(".")[2] for d in functions)
    longest = nlargest(TOP, ((d.lines, d.name, module) for d in functions))
    ctx.send("outline", (module, Sums(counts, names, longest=longest)))


def measure(ctx, packets):
    module, text = ctx.consume_packet(packets["text"][0])
    lines = [line.strip() for line in text.splitlines()]
    comments = sum(line.startswith(b"#") for line in lines)
    counts = Counter(modules=1, lines=len(lines), blank=lines.count(b""), comments=comments)
    ctx.send("size", (module, Sums(counts, largest=[(len(lines), module)])))


# %% [markdown]
# `Join` starts an epoch when a packet waits at *each* of its ports, and takes one from each. They are of the same module,
# since packets keep their order on every edge, and each branch sends exactly one packet for each that it gets. Were that
# broken, the join would say so.


# %%
def join(ctx, packets):
    module, outlined = ctx.consume_packet(packets["outline"][0])
    measured_module, measured = ctx.consume_packet(packets["size"][0])
    assert module == measured_module, f"{module} met {measured_module}"
    ctx.send("module", outlined + measured)


# %% [markdown]
# ## Batches, and how they end
#
# `Tally` waits for fifty modules and adds them up. The last ones are fewer, and no node can know that they are the last.
# But the net can: when nothing more can happen, `start` and `run` return. A packet at `end` then makes `Tally` take what
# waits, however few, and tell `Report`, which takes all sums and all failures at once.


# %%
@dataclass
class Census:
    sums: Sums
    failures: list


def tally(ctx, packets):
    modules = [ctx.consume_packet(packet) for packet in packets.get("module", [])]
    ctx.send("sums", sum(modules, Sums()))
    for packet in packets.get("end", []):
        ctx.send("done", ctx.consume_packet(packet))


def report(ctx, packets):
    values = {port: [ctx.consume_packet(packet) for packet in taken] for port, taken in packets.items()}
    ctx.send("census", Census(sum(values["sums"], Sums()), sorted(values.get("failed", []))))


# %% [markdown]
# ## The graph
#
# Most nodes start an epoch for each packet that arrives, so that is what `node` makes when it is not given other entries.
# Each output port can be sent by itself. An edge has the same port name at both its ends.

# %%
ONE, ALL = PacketCount.count(1), PacketCount.all()


def at_least(number, port):
    return SalvoConditionTerm.port(port, PortState.equals_or_greater_than(number))


def entry(when, **takes):
    """An input condition: when it is met, and how many packets the epoch takes from which port."""
    return SalvoCondition(MaxSalvos.finite(1), takes, when)


def exit_of(port):
    return SalvoCondition(MaxSalvos.infinite(), port, at_least(1, port))


def node(name, inputs, outputs, **entries):
    return Node(
        name,
        in_ports={port: Port() for port in inputs},
        out_ports={port: Port() for port in outputs},
        in_salvo_conditions=entries or {port: entry(at_least(1, port), **{port: ONE}) for port in inputs},
        out_salvo_conditions={port: exit_of(port) for port in outputs},
    )


def edge(source, port, target):
    return Edge(PortRef(source, PortType.Output, port), PortRef(target, PortType.Input, port))


# %%
BATCH = 50
pair = SalvoConditionTerm.and_([at_least(1, "outline"), at_least(1, "size")])

NODES = [
    node("Find", ["root"], ["file"]),
    node("Parse", ["file"], ["defs", "text", "failed"]),
    node("Outline", ["defs"], ["outline"]),
    node("Measure", ["text"], ["size"]),
    node("Join", ["outline", "size"], ["module"], pair=entry(pair, outline=ONE, size=ONE)),
    node(
        "Tally",
        ["module", "end"],
        ["sums", "done"],
        batch=entry(at_least(BATCH, "module"), module=PacketCount.count(BATCH)),
        rest=entry(at_least(1, "end"), module=ALL, end=ONE),
    ),
    node(
        "Report",
        ["sums", "failed", "done"],
        ["census"],
        done=entry(at_least(1, "done"), sums=ALL, failed=ALL, done=ONE),
    ),
]

# %%
EDGES = [
    edge("Find", "file", "Parse"),
    edge("Parse", "defs", "Outline"),
    edge("Parse", "text", "Measure"),
    edge("Outline", "outline", "Join"),
    edge("Measure", "size", "Join"),
    edge("Join", "module", "Tally"),
    edge("Tally", "sums", "Report"),
    edge("Tally", "done", "Report"),
    edge("Parse", "failed", "Report"),
]

# %% [markdown]
# ## A meter
#
# The net's own figures are counted where the work is: around each node function. A packet is known by its id. The seconds
# of a node are those that its function took, sending included.


# %%
class Meter:
    """Counts the epochs and packets of each node, and its time."""

    def __init__(self):
        self.epochs, self.packets, self.seconds = Counter(), Counter(), Counter()
        self.ids = set()

    def around(self, func):
        def epoch(ctx, packets):
            began = perf_counter()
            func(ctx, packets)
            self.seconds[ctx.node_name] += perf_counter() - began
            self.epochs[ctx.node_name] += 1
            ids = [packet.id for taken in packets.values() for packet in taken]
            self.packets[ctx.node_name] += len(ids)
            self.ids.update(ids)

        return epoch


# %%
WORK = {
    "Find": find,
    "Parse": parse,
    "Outline": outline,
    "Measure": measure,
    "Join": join,
    "Tally": tally,
    "Report": report,
}


def census_net(meter):
    net = Net(Graph(NODES, EDGES))
    for name, func in WORK.items():
        net.set_node_exec(name, meter.around(func))
    return net


def take_census(net, root):
    """Run the net over a folder: all that can be done, and then the end."""
    net.run(root=[root])
    (census,) = net.run(end=[None])["Report.census"]  # that it comes is all that the packet says
    return census


# %% [markdown]
# ## Four small files
#
# A folder with known contents: two modules, a file that is not Python, and one that cannot be read, being a folder.

# %%
folder = TemporaryDirectory()
root = Path(folder.name)
(root / "good.py").write_text("# one\n\nasync def f():\n    pass\n")
(root / "bad.py").write_text("print 'hello'\n")
(root / "folder.py").mkdir()
(root / "package").mkdir()
(root / "package" / "__init__.py").write_text("class A:\n    def g(self): 'Yes.'\n")

# %%
net = census_net(Meter())
census = take_census(net, root)
counts = census.sums.counts
assert (counts["modules"], counts["lines"], counts["blank"], counts["comments"]) == (2, 6, 1, 1)
assert (counts["functions"], counts["async functions"], counts["classes"], counts["documented"]) == (1, 1, 1, 1)
assert [failure.module for failure in census.failures] == ["bad", "folder"]
assert census.sums.longest == [(2, "f", "good"), (1, "A.g", "package")]

# %% [markdown]
# The same net serves again. After its first wave `Find` has run and nothing has been read: a file that changes now is
# read as it is then.

# %%
net.inject_packets("Find", "root", [root])
net.run_step()
assert len(net.get_startable_epochs_by_node("Parse")) == 4

(root / "bad.py").write_text("print('hello')\n")
net.start()
(census,) = net.run(end=[None])["Report.census"]
assert [failure.module for failure in census.failures] == ["folder"]
assert census.sums.counts["modules"] == 3
net.stop()
folder.cleanup()

# %% [markdown]
# ## A table
#
# Text to the left, numbers to the right, and never wider than 80 columns.


# %%
def cell(value):
    text = f"{value:,}" if isinstance(value, int) else f"{value:.3f}" if isinstance(value, float) else value
    return text if len(text) <= 32 else f"{text[:14]}...{text[-15:]}"


def aligned(column):
    """The cells of a column, the head first, all of one width."""
    texts = [cell(value) for value in column]
    width = max(map(len, texts))
    return [text.ljust(width) if isinstance(column[-1], str) else text.rjust(width) for text in texts]


def table(*rows):
    """Rows of texts and numbers as lines. The first row is the head."""
    columns = [aligned(column) for column in zip(*rows, strict=True)]
    return ["  " + "   ".join(cells).rstrip() for cells in zip(*columns, strict=True)]


assert table(("module", "lines"), ("ast", 1_900)) == ["  module   lines", "  ast      1,900"]


# %%
def census_lines(census):
    sums, counts = census.sums, census.sums.counts
    functions = counts["functions"] + counts["async functions"]
    yield from table(
        ("modules parsed", counts["modules"], "", "functions", functions),
        ("lines", counts["lines"], "", "  of them async", counts["async functions"]),
        ("  of them blank", counts["blank"], "", "  with a docstring", counts["documented"]),
        ("  comments", counts["comments"], "", "classes", counts["classes"]),
    )
    yield ""
    yield from table(("largest modules", "lines"), *((module, lines) for lines, module in sums.largest))
    yield ""
    yield from table(
        ("longest functions", "in", "lines"), *((name, module, lines) for lines, name, module in sums.longest)
    )
    yield ""
    names = sorted(sums.names.items(), key=lambda item: (-item[1], item[0]))[:TOP]
    yield from table(("most common names", "functions"), *names)


# %%
def failure_lines(failures):
    if not failures:
        yield "  everything parsed"
    for failure in failures:
        yield f"  {failure.module}"[:80]
        yield from textwrap.wrap(failure.reason, 80, initial_indent="    ", subsequent_indent="    ")


# %%
def meter_lines(meter, packets, seconds):
    epochs, inside = meter.epochs.total(), meter.seconds.total()
    rows = [(name, meter.epochs[name], meter.packets[name], meter.seconds[name]) for name in WORK]
    yield from table(("node", "epochs", "packets in", "seconds"), *rows, ("all", epochs, meter.packets.total(), inside))
    yield ""
    yield f"  {packets:,} packets and {epochs:,} epochs in {seconds:.2f} s: {epochs / seconds:,.0f} epochs per second,"
    yield f"  {1e6 * (seconds - inside) / epochs:.0f} microseconds an epoch between the node functions."


# %% [markdown]
# ## The standard library

# %%
root = Path(sysconfig.get_path("stdlib"))
meter = Meter()
net = census_net(meter)

began = perf_counter()
census = take_census(net, root)
seconds = perf_counter() - began

packets = len(meter.ids) + 1  # the census itself went out of the net

# %%
sections = {
    f"THE STANDARD LIBRARY OF PYTHON {platform.python_version()}": census_lines(census),
    "WHAT COULD NOT BE PARSED": failure_lines(census.failures),
    "THE NET": meter_lines(meter, packets, seconds),
}
for title, lines in sections.items():
    print(f"{title} {'-' * (79 - len(title))}", "", *lines, "", sep="\n")
print(f"Left out: {', '.join(sorted(LEFT_OUT))}.")

# %% [markdown]
# ## Nothing was lost
#
# Every file is in the census or among the failures, and the lines are those that a plain loop finds.

# %%
files = list(python_files(root))
good, bad = census.sums.counts["modules"], len(census.failures)
assert good + bad == len(files)

lines = sum(len(read(module, path).text.splitlines()) for module, path in files)
assert census.sums.counts["lines"] + sum(failure.lines for failure in census.failures) == lines

# %% [markdown]
# The graph tells how many epochs and packets there must have been. No packet was seen twice, and none is left.

# %%
batches = good // BATCH + 1
assert meter.epochs.total() == 1 + (good + bad) + 3 * good + batches + 1
assert meter.packets.total() == len(meter.ids)
assert packets == 1 + (good + bad) + 5 * good + batches + bad + 2 + 1
assert net.get_startable_epochs() == []
assert len(net.value_store) == 0
