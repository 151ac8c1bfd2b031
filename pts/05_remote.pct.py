# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Remote: an attempt as bytes
#
# To run an attempt in another process, bytes go there and bytes come back. What a user has made (functions, values,
# exceptions) is pickled and unpickled on purpose, at places where a failure is the attempt's own and can be told, so that
# no object of a user's can break what carries the bytes.
#
# ```
#   here                                             there
#   code_of(task)   functions, ports ──once a worker──> Code
#   pack(attempt)   epoch, packets, values ───────────> run_packed: unpickle, call with a recorded context, pickle
#   replay(attempt) ledger's Recording <─────────────── what it would do, or how it failed
# ```
#
# The context there is the recorded one of [contexts](01_context.ipynb). What it wrote down is played here into a recording
# of the attempt's own, and committed like any other. Value functions travel as functions, and are called where the value
# is asked for.

# %%
#|default_exp remote

# %%
#|export
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from io import BytesIO
from types import CodeType, SimpleNamespace
from typing import Any, NamedTuple

from netrun.context import AsyncNodeExecutionContext, NodeExecutionContext, Recording
from netrun.core import NotPicklable, WorkerException
from netrun.acts import _ASK, OVER
from netrun.books import Holder
from netrun.execution import Attempt, Task
from netrun.ledger import Consume, Create, Load, Send
from netrun.packets import NOTHING, DeferredPacket, Epoch, Packet
from netrun.prints import CURRENT, NodeLog, routed
from netrun.routing import Exit
from netrun.values import PacketValueStore

# %% [markdown]
# ## Pickling
#
# cloudpickle carries functions and classes that are defined in a notebook or a script by value. It forgets in which file
# they were written, so this is told along: tracebacks in workers show it. Plain values do not need any of this, and most
# values are plain.


# %%
#|exporti
_PLAIN = {bytes, str, int, float, bool, type(None)}
REDUCERS: dict[type, Callable[[Any], Any]] = {}  # of what is pickled otherwise here than by other picklers


def to_bytes(things: Sequence[Any]) -> bytes:
    """Pickle what users have made."""
    if all(type(thing) in _PLAIN for thing in things):
        return pickle.dumps(things, 5)
    pickled = BytesIO()
    _pickler()(pickled).dump(things)
    return pickled.getvalue()


@cache
def _pickler() -> Any:
    """cloudpickle's class of picklers, with code that keeps the name of its file."""
    import cloudpickle

    table = cloudpickle.Pickler.dispatch_table
    reduce_code = table[CodeType]

    def with_its_file(code: CodeType) -> tuple[Any, ...]:
        make, facts = reduce_code(code)
        return make, tuple(code.co_filename if isinstance(it, str) and it == "<dynamic-code>" else it for it in facts)

    REDUCERS[CodeType] = with_its_file
    return type("Pickler", (cloudpickle.Pickler,), {"dispatch_table": table.new_child(REDUCERS)})


def _is_picklable(thing: Any) -> bool:
    try:
        to_bytes([thing])
    except Exception:
        return False
    return True


def pickled_for(node_name: str, named: Sequence[tuple[str, Any]]) -> bytes:
    """Pickle several things, each named by its port. Raises `NotPicklable` with the one that cannot be."""
    things = [thing for _, thing in named]
    try:
        return to_bytes(things)
    except Exception as error:
        port, thing = next((pair for pair in named if not _is_picklable(pair[1])), named[0])
        raise NotPicklable(node_name, port, type(thing).__name__) from error


# %%
from threading import Lock

for things in ([1, "a", b"b"], [lambda: 7, {"x": 1}]):
    assert len(pickle.loads(to_bytes(things))) == len(things)
seven = lambda: 7
(again,) = pickle.loads(to_bytes([seven]))
assert again() == 7 and again.__code__.co_filename == seven.__code__.co_filename
try:
    pickled_for("A", [("in", 1), ("side", Lock())])
except NotPicklable as error:
    print(error)

# %% [markdown]
# ## Exceptions
#
# An exception travels pickled if it survives that, with its text and its arguments; always as the name of its type, its text
# and its traceback, and the names of its classes, by which `retry_on` knows it. So one whose `__init__` or `__reduce__` breaks arrives all the same, and none says something else here
# than there. What the traceback said there is the `__cause__` here.


# %%
#|export
class WorkerTraceback(Exception):
    """What the traceback of an exception said in its worker. The text is its only argument."""

    def __str__(self) -> str:
        return f"\n\nin the worker:\n{self.args[0]}"


# %%
#|exporti
def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:
        return f"(its text cannot be told: {type(second).__name__})"


def _said_by(error: BaseException) -> tuple[str, str, str]:
    """What an exception says, without the addresses of objects. Raises what its arguments raise."""
    import re

    text, arguments = (re.sub("0x[0-9a-fA-F]+", "0x", said) for said in (_text_of(error), repr(error.args)))
    return type(error).__name__, text, arguments


def pack_exception(error: BaseException) -> tuple[Any, ...]:
    """An exception as builtins."""
    import traceback

    try:
        pickled = to_bytes([error])
        (again,) = pickle.loads(pickled)
        survives = _said_by(again) == _said_by(error)
    except Exception:
        survives = False
    try:
        trace = "".join(traceback.format_exception(error))
    except Exception:  # its text breaks, or that of one of its causes
        trace = "".join(traceback.format_tb(error.__traceback__))
    kinds = tuple(f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return pickled if survives else None, type(error).__qualname__, _text_of(error), trace, kinds


def unpack_exception(packed: tuple[Any, ...]) -> BaseException:
    """The exception again, or one that stands for it."""
    pickled, type_name, text, trace, kinds = packed
    error: BaseException = WorkerException(type_name, text, kinds)
    if pickled is not None:
        try:
            (error,) = pickle.loads(pickled)
        except Exception as broken:
            error.add_note(f"it could not be unpickled here: {broken!r}")
    error.__cause__ = WorkerTraceback(trace)
    return error


# %%
class Stubborn(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one}, {two}")


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


over_there = unpack_exception(pack_exception(raised(ValueError("bad line"))))
assert repr(over_there) == "ValueError('bad line')" and "raise error" in str(over_there.__cause__)
stand_in = unpack_exception(pack_exception(raised(Stubborn(1, 2))))
assert isinstance(stand_in, WorkerException) and stand_in.stands_for(Stubborn) and not stand_in.stands_for(OSError)
print(stand_in)


class NotReachable(Exception):
    def __init__(self, host):
        super().__init__(f"cannot reach {host}")  # pickle would call it with this text as the host


assert str(unpack_exception(pack_exception(raised(NotReachable("db7"))))) == "NotReachable: cannot reach db7"

# %% [markdown]
# ## A node's code
#
# What a worker must know of a node to run its epochs: the functions, and the names of its output ports and conditions. It
# goes to each worker once. The functions are unpickled when the first epoch is there, so that what goes wrong is told as
# its failure.


# %%
#|export
class Code(NamedTuple):
    """What a worker must know of a node."""

    node_name: str
    suffix: str
    is_async: bool
    functions: bytes  # the node function, its start and its stop function, and the types of its input and output ports
    exits: list[tuple[str, list[tuple[str, int | None]]]]
    senders: dict[str, str]
    outs: list[str]


def code_of(task: Task, epoch: Epoch, with_start: bool) -> bytes:
    """The code of a task, pickled. Raises `NotPicklable`."""
    door = epoch._door
    started = (task.start_node_func, task.stop_node_func) if with_start else (None, None)
    functions = [task.exec_node_func, *started, *task.types]
    pickled = pickled_for(task.node_name, [("function", func) for func in functions])
    exits = [(exit.name, exit.takes) for exit in door.exits.values()]
    senders = {port: exit.name for port, exit in door.senders.items()}
    code = Code(task.node_name, door.suffix, task.is_async, pickled, exits, senders, list(door.outs))
    return pickle.dumps(tuple(code), 5)


class RemoteNode:
    """A node, in a worker: its functions, and what takes the place of its door."""

    def __init__(self, pickled: bytes) -> None:
        self.code = Code(*pickle.loads(pickled))
        exits = {name: Exit(name, takes) for name, takes in self.code.exits}
        self.door = SimpleNamespace(
            node_name=self.code.node_name,
            suffix=self.code.suffix,
            registry={},
            outs=dict.fromkeys(self.code.outs),
            exits=exits,
            senders={port: exits[name] for port, name in self.code.senders.items()},
            in_types={},
            out_types={},
            is_typed=False,
        )
        self._functions: list[Any] | None = None
        self.before: Callable[[], object] = lambda: None  # called before each epoch, with its failures as the epoch's

    @property
    def functions(self) -> list[Any]:
        """The node function, its start and its stop function."""
        if self._functions is None:
            *functions, self.door.in_types, self.door.out_types = pickle.loads(self.code.functions)
            self.door.is_typed = bool(self.door.in_types)
            self._functions = functions
        return self._functions


# %% [markdown]
# ## There
#
# The message to a worker is a tuple of builtins, and beside it the pickled values. So is its answer.


# %%
#|export
def is_plain(attempt: Attempt) -> bool:
    """Whether all that the packets of an attempt carry is plain, so that pickling it calls no user's code."""
    return not attempt.earlier and all(type(packet._value) in _PLAIN for packet in attempt.epoch._entered)


def pack(attempt: Attempt, values: PacketValueStore) -> tuple[bytes, bytes]:
    """An attempt as a message and the pickled values. Raises `NotPicklable`, with the port."""
    epoch = attempt.epoch
    inputs: list[tuple[str, int, bool]] = []  # port, number, whether what goes with it is a function
    carried: list[tuple[str, Any]] = []
    for port, packets in epoch.by_port().items():
        for packet in packets:
            value, func = packet._value, None
            if value is NOTHING:
                value, func = values.peek(packet.id)
            inputs.append((port, packet._number, func is not None))
            carried.append((port, value if func is None else func))
    blob = pickled_for(attempt.task.node_name, carried) if carried else b""
    earlier = [(at, pack_exception(error)) for at, error in attempt.earlier]
    captures = attempt.log() is not None
    return pickle.dumps((epoch._number, epoch._condition, inputs, earlier, captures), 5), blob


Line = tuple[float, str]  # a moment, and what was printed
Tell = Callable[[Line], None]


class Answer(NamedTuple):
    """What a worker says of an attempt.

    commands: what it would do, each a verb and its arguments. Packets that came in are named by their places from 0 on,
        new ones by -1, -2 and so on.
    new: for each new packet, whether a value function goes with it.
    called: the consumed packets that had a value function, which has been called.
    failure: how it failed, if it did; the commands end there.
    printed: the lines that it has printed, each with its moment.

    Beside it go the values, or functions, of the new packets, then what the called functions gave.
    """

    commands: list[tuple[Any, ...]]
    new: list[bool]
    called: list[int]
    failure: tuple[Any, ...] | None
    printed: list[Line]


class _TellingLog(NodeLog):
    """Tells of each line at once, as long as its attempt lasts: a worker that dies has told what it had printed."""

    def __init__(self, node_name: str, tell: Tell) -> None:
        super().__init__(node_name, "")
        self.tell: Tell | None = tell

    def add(self, at: float, number: int, line: str) -> None:
        """A line was printed."""
        with self._lock:
            if self.tell is not None:
                self.tell((at, line))


class _RemoteHolder(Holder):
    """An attempt, in a worker. Its prints are told at once, or else kept until its answer is written."""

    __slots__ = ("_log",)

    def __init__(self, epoch: Epoch, earlier: Any, captures: bool, tell: Tell | None) -> None:
        super().__init__(epoch, earlier)
        self._log: NodeLog | None = None
        if captures:
            self._log = NodeLog(epoch.node_name, "") if tell is None else _TellingLog(epoch.node_name, tell)

    def log(self) -> NodeLog | None:
        """Where its prints go."""
        return self._log

    def lines(self) -> list[Line]:
        """The lines that it has printed and that were not told yet, with their moments. It is over."""
        if self._log is None:
            return []
        self._log.end_line(self)
        with self._log._lock:
            if isinstance(self._log, _TellingLog):
                self._log.tell = None
            return [(at, line) for at, _, line in self._log.lines or ()]


# %%
#|export
def run_packed(
    node: RemoteNode, message: bytes, blob: bytes, run: Callable[[Any], Any], tell: Tell | None = None
) -> tuple[bytes, bytes]:
    """Run an attempt in a worker: its answer, and the pickled values. `run` runs a coroutine. `tell` is called with each line
    that is printed; without it they are in the answer. Raises nothing."""
    recording = failure = holder = None
    try:
        number, condition, inputs, earlier, captures = pickle.loads(message)
        values = pickle.loads(blob) if blob else []
        epoch = _epoch_of(node, number, condition, inputs)
        holder = _RemoteHolder(epoch, [(at, unpack_exception(error)) for at, error in earlier], captures, tell)
        recording = Recording(holder, _store_of(epoch, inputs, values))
        node.before()
        with _printing(holder):
            exec_node_func = node.functions[0]
            if node.code.is_async:
                run(exec_node_func(AsyncNodeExecutionContext(holder, recording), epoch.by_port()))
            else:
                exec_node_func(NodeExecutionContext(holder, recording), epoch.by_port())
    except BaseException as error:
        failure = error
    if (
        recording is not None
    ):  # first, so that what a thread that was left behind does is there as a whole or not at all
        recording.seal()
    if holder is not None:
        holder.over = OVER
    printed = [] if holder is None else holder.lines()
    try:
        return _answer(node, recording, failure, printed)
    except BaseException as error:  # a value that cannot be pickled
        return _answer(node, None, error, printed)


@contextmanager
def _printing(holder: _RemoteHolder) -> Iterator[None]:
    """What is printed here is the holder's."""
    outside = CURRENT.set(holder)
    try:
        with routed() if holder.log() is not None else nullcontext():
            yield
    finally:
        CURRENT.reset(outside)


def _epoch_of(node: RemoteNode, number: int, condition: str, inputs: list[Any]) -> Epoch:
    many: dict[str, int] = {}
    for port, *_ in inputs:
        many[port] = many.get(port, 0) + 1
    parts = tuple((SimpleNamespace(port=port), n) for port, n in many.items())
    epoch = Epoch(number, node.door, condition, parts, [Packet(number, node.code.suffix) for _, number, _ in inputs])
    for packet in epoch._entered:
        packet._place = epoch
    return epoch


def _store_of(epoch: Epoch, inputs: list[Any], values: list[Any]) -> PacketValueStore:
    """Let the packets carry their values. Value functions are in a store."""
    store = _EMPTY
    for packet, (*_, is_func), value in zip(epoch._entered, inputs, values, strict=True):
        if is_func:
            store = PacketValueStore() if store is _EMPTY else store
            store.store_value_func(packet.id, value)
        else:
            packet._value = value
    return store


_EMPTY = PacketValueStore()


def _answer(
    node: RemoteNode, recording: Recording | None, failure: BaseException | None, printed: list[Line]
) -> tuple[bytes, bytes]:
    """The answer and its pickled values. Raises `NotPicklable`."""
    packed = None if failure is None else pack_exception(failure)
    if recording is None:
        return pickle.dumps(([], [], [], packed, printed), 5), b""
    new: list[DeferredPacket] = []
    places: dict[Packet, int] = {packet: k for k, packet in enumerate(recording.entered)}
    ports: dict[Packet, str] = {}
    commands: list[tuple[Any, ...]] = []
    called: dict[int, Any] = {}
    for command in recording.commands:
        match command:
            case Create(packet):
                new.append(packet)
                places[packet] = -len(new)
                commands.append(("create",))
            case Consume(packet, value):
                commands.append(("consume", places[packet]))
                if recording.has_func(packet):
                    called[places[packet]] = value
            case Load(packet, port):
                ports[packet] = port
                commands.append(("load", places[packet], port))
            case Send(exit):
                commands.append(("send", exit.name))
    carried = [(ports.get(packet, "none"), packet._value if packet._func is None else packet._func) for packet in new]
    carried += [("value function", value) for value in called.values()]
    blob = pickled_for(node.code.node_name, carried) if carried else b""
    has_func = [packet._func is not None for packet in new]
    return pickle.dumps((commands, has_func, list(called), packed, printed), 5), blob


# %% [markdown]
# ## And back
#
# The commands are written down in the attempt's own recording, which checks each of them again. Of an attempt that failed
# it gets those up to the failure, so that a dead letter knows what was consumed.


# %%
#|export
def replay(attempt: Attempt, answer: bytes, blob: bytes) -> None:
    """Write down in the attempt's recording what its worker says. Raises what it failed with there, and what unpickling
    raised here."""
    commands, has_func, called, failure, printed = Answer(*pickle.loads(answer))
    take_prints(attempt, printed)
    carried = pickle.loads(blob) if blob else []
    results = dict(zip(called, carried[len(has_func) :], strict=True))
    recording = attempt.recording
    assert recording is not None
    packets: dict[int, Packet] = dict(enumerate(attempt.epoch._entered))
    made = 0
    for verb, *arguments in commands:
        match verb:
            case "create":
                thing, is_func = carried[made], has_func[made]
                made += 1
                packets[-made] = recording.create(attempt, None if is_func else thing, thing if is_func else None)
            case "consume":
                (place,) = arguments
                recording.consume(attempt, packets[place], results.get(place, _ASK))
            case "load":
                place, port = arguments
                recording.load(attempt, port, packets[place])
            case "send":
                recording.send(attempt, *arguments)
    if failure is not None:
        raise unpack_exception(failure)


def take_prints(attempt: Attempt, printed: list[Line]) -> None:
    """What was printed there goes to the node's log here, and to stdout if it is to be echoed."""
    log = attempt.log()
    if log is not None:
        for at, line in printed:
            log.add(at, attempt.epoch._number, line)
        if log.echo and printed:
            with suppress(OSError, ValueError):  # closed, or a broken pipe
                print("\n".join([line for _, line in printed]), flush=True)


# %% [markdown]
# ## There and back
#
# Without any process: the bytes of an attempt, run here, and its answer replayed.

# %%
from netrun import *
from netrun.ledger import Ledger
from netrun.values import run_coroutine

nonempty = SalvoConditionTerm.port("in", PortState.non_empty())
sent = SalvoConditionTerm.port("out", PortState.non_empty())
graph = Graph(
    [
        Node(
            "Double",
            in_ports={"in": Port()},
            out_ports={"out": Port()},
            in_salvo_conditions={"in": SalvoCondition(MaxSalvos.finite(1), "in", nonempty)},
            out_salvo_conditions={"out": SalvoCondition(MaxSalvos.infinite(), "out", sent)},
        )
    ],
    [],
)


def there_and_back(exec_node_func, *values):
    """Run an attempt on these values over bytes. Returns what came out."""
    ledger = Ledger(graph, PacketValueStore())
    ledger.inject("Double", "in", values)
    task = Task("Double", NodeConfig(), exec_node_func=exec_node_func)
    ledger.route()
    attempt = Attempt(ledger.next(), task)
    ledger.start(attempt)
    attempt.recording = Recording(attempt, ledger.values)
    node = RemoteNode(code_of(task, attempt.epoch, with_start=False))
    message, blob = pack(attempt, ledger.values)
    replay(attempt, *run_packed(node, message, blob, run_coroutine))
    attempt.recording.commit(attempt, ledger)
    ledger.check()
    return ledger.take_outputs("Double", "out")


def double(ctx, packets):
    for packet in packets["in"]:
        ctx.send("out", 2 * ctx.consume_packet(packet))


assert there_and_back(double, 1, 2) == [2, 4]


def lazily(ctx, packets):
    number = ctx.consume_packet(packets["in"][0])
    packet = ctx.create_packet_from_value_func(lambda: number + 1)
    ctx.load_output_port("out", packet)
    ctx.send_output_salvo("out")


assert there_and_back(lazily, 1) == [2]

# %% [markdown]
# What goes wrong there is raised here:


# %%
def unpicklable(ctx, packets):
    ctx.consume_packet(packets["in"][0])
    ctx.send("out", Lock())


def stubborn(ctx, packets):
    raise Stubborn(1, 2)


for func, kind in [(unpicklable, NotPicklable), (stubborn, WorkerException)]:
    try:
        there_and_back(func, 1)
    except kind as error:
        print(f"{kind.__name__}: {error}")
    else:
        raise AssertionError("it was lost")
