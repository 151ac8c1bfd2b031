# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The command line
#
# ```
# netrun run net.toml --input Square.in=@numbers.jsonl --output Square.out=-
# netrun validate net.toml
# netrun show net.toml
# netrun fmt net.toml
# netrun history history.jsonl --failed
# netrun schema > netrun.schema.json
# netrun completion bash > ~/.local/share/bash-completion/completions/netrun
# ```
#
# `python -m netrun` is the same. Values go in and come out as JSON, one a line. What is wrong is told on the error output,
# without a traceback.
#
# | exit code | |
# |---|---|
# | 0 | all went well |
# | 1 | a node failed, or another function of the net's; `fmt --check` found something to change |
# | 2 | the command line is not right |
# | 3 | the net is not right: its text, what it names, its graph |
# | 4 | a file cannot be read or written, or a value is no JSON |
# | 130 | interrupted by Ctrl-C (the net was paused first) |
# | 141 | whoever read the output went away |
#
# A command is one function here: what it needs it imports itself, so that `netrun --help` is quick.

# %%
#|default_exp cli

# %%
#|export
import os
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from netrun.core import (
    CheckpointError,
    ConfigError,
    DslError,
    EpochLimitReached,
    FactoryError,
    GraphError,
    GraphWarning,
    ImportPathError,
    NetrunError,
    NodeExecutionFailed,
    _told,
)

if TYPE_CHECKING:
    from netrun.dsl import NetDefinition
    from netrun.net import Net

# %% [markdown]
# ## What goes wrong
#
# A `Trouble` is a message and an exit code. Whatever netrun raises becomes one.

# %%
#|exporti
FAILED, USAGE, WRONG, DATA, INTERRUPTED, GONE = 1, 2, 3, 4, 130, 141


class Trouble(Exception):
    """Something that a command ends with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.message, self.code = message, code


def _say(message: str) -> None:
    """Tell something on the error output."""
    print(message, file=sys.stderr, flush=True)


def _where(error: BaseException | None) -> str:
    """The line of the user's code that an exception came from: neither netrun's nor Python's own."""
    if error is None or isinstance(error, NetrunError):
        return ""
    from traceback import extract_tb

    others = os.path.dirname(__file__), os.path.dirname(os.__file__)
    frames = [frame for frame in extract_tb(error.__traceback__) if not _is_in(frame.filename, others)]
    return f"\n  at {frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""


def _is_in(file: str, folders: tuple[str, ...]) -> bool:
    """Whether a file belongs to one of these folders, and is not of a package that was installed there."""
    return file.startswith(("<frozen", *folders)) and "-packages" not in file.removeprefix(folders[0])


def _trouble_of(error: BaseException) -> Trouble:
    """An exception as a message and an exit code."""
    if isinstance(error, Trouble):
        return error
    if isinstance(error, SystemExit):
        return Trouble(f"error: the net's own code called sys.exit({error.code!r}){_where(error)}", FAILED)
    if isinstance(error, NodeExecutionFailed):
        others = "".join(f"\nerror: {other}" for other in error.others)
        return Trouble(f"error: {error}{_where(error.original_exception)}{others}", FAILED)
    if isinstance(error, EpochLimitReached):
        return Trouble(f"error: {error}", FAILED)
    if isinstance(error, CheckpointError):
        return Trouble(f"error: {error}", DATA)
    if isinstance(error, (DslError, GraphError, ConfigError, FactoryError, ImportPathError)):
        is_of_a_file = isinstance(error, ConfigError) and isinstance(error.__cause__, OSError)  # of the history, say
        return Trouble(f"error: {error}{_where(error.__cause__)}", DATA if is_of_a_file else WRONG)
    if isinstance(error, OSError) and not isinstance(error, ImportError) and error.filename is not None:
        return Trouble(f"error: {error.filename}: {error.strerror or error}", DATA)
    if isinstance(error, OSError) and _is_of_here(error):
        _mute()
        return Trouble(f"error: the standard output: {error.strerror or error}", DATA)
    return Trouble(f"error: {_told(error)}{_where(error)}", FAILED)


def _is_of_here(error: BaseException) -> bool:
    """Whether an exception was raised by a line of this file, which is `print` where it has to do with no named file."""
    from traceback import walk_tb

    return [frame for frame, _ in walk_tb(error.__traceback__)][-1].f_code.co_filename == __file__


# %% [markdown]
# ## The net
#
# Import paths are found as Python finds them for a script: in the folder of the file, then in the current one.
# `--set nodes.A.options.retries=3` takes the place of what the file says.


# %%
#|exporti
def _standard_input() -> Any:
    """The standard input, which is UTF-8 as all TOML and JSON is."""
    if sys.stdin is None:
        raise Trouble("error: the standard input is closed", DATA)
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig")
    return sys.stdin


def _setting(text: str) -> tuple[tuple[str | int, ...], Any]:
    """The path and the value of a `--set`. A value that is no TOML is a text."""
    from netrun.reading import data_of

    key, sign, value = text.partition("=")
    try:
        data: Any = data_of(f"{key} = 0") if sign else {}
        path: tuple[str | int, ...] = ()
        while isinstance(data, dict):
            ((name, data),) = data.items()
            path += (name,)
    except (DslError, ValueError):
        raise Trouble(f"error: --set {text}: it has the form nodes.A.options.retries=3", USAGE) from None
    try:
        return path, data_of(f"x = {value}")["x"]
    except DslError:
        return path, value


def _definition(file: str, args: Namespace) -> "NetDefinition":
    """The definition that a command is about."""
    from netrun.dsl import NetDefinition, text_in

    given = dict(map(_setting, getattr(args, "set", ())))
    text = _standard_input().read() if file == "-" else text_in(file)
    _must_have_nodes(text.removeprefix("\ufeff"), file, given)
    if getattr(args, "history", None) is not None:
        given["net", "history_file"] = args.history
    if getattr(args, "checkpoint", None) is not None:
        given["net", "checkpoint_path"] = args.checkpoint
    return NetDefinition.from_toml(text, file, given)


def _must_have_nodes(text: str, file: str, given: dict[tuple[str | int, ...], Any]) -> None:
    """Refuse to set something of a node that there is not. A whole node may be set."""
    from netrun.expressions import did_you_mean
    from netrun.reading import data_of

    named = {str(path[1]): path for path in given if path[0] == "nodes" and len(path) > 2 and path[:2] not in given}
    nodes = data_of(text, file).get("nodes", {}) if named else {}
    for name, path in named.items():
        if isinstance(nodes, dict) and name not in nodes:
            what = f"there is no node `{name[:100]}`{did_you_mean(name, nodes)}"
            raise Trouble(f"error: --set {'.'.join(map(str, path))}: {what}", USAGE)


def _built(definition: "NetDefinition", file: str, args: Namespace, **options: Any) -> "Net":
    """The net, with the functions that it names."""
    folder = os.getcwd() if file == "-" else os.path.dirname(os.path.abspath(file))
    sys.path[:0] = list(dict.fromkeys([folder, os.getcwd()]))
    with _told_warnings():
        return definition.build(allow=args.allow, **options)


@contextmanager
def _told_warnings() -> Iterator[None]:
    """What a net warns of is told as everything else is."""
    import warnings

    with warnings.catch_warnings():
        show = warnings.showwarning

        def tell(message: Any, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, GraphWarning):
                _say(f"warning: {message}")
            else:
                show(message, category, *rest, **more)

        warnings.showwarning = tell
        yield


def _key(definition: "NetDefinition") -> dict[str, str]:
    """The key that signs what the net saves: never in a text or on a command line, which others can read."""
    key = os.environ.get("NETRUN_CHECKPOINT_KEY")
    return {"checkpoint_key": key} if key and definition.options.get("checkpoint_path") is not None else {}


def _in_threads(definition: "NetDefinition", count: int) -> None:
    """Let the nodes that have no pool run in one of threads."""
    pools = definition.options.setdefault("thread_pools", {})
    if count < 1 or "threads" in pools:
        raise Trouble("error: --threads needs a number from 1 on, and no pool of the name `threads`", USAGE)
    pools["threads"] = {"size": count}
    for node in definition.nodes.values():
        node.options.setdefault("pool", "threads")


# %% [markdown]
# ## Values in and out


# %%
#|exporti
def _port_and(what: str, option: str, text: str) -> tuple[str, str]:
    """The port, as `Net.run` knows it, and what it is to get or where it goes."""
    from netrun.core import write_ref
    from netrun.description import read_ref
    from netrun.expressions import Misread

    port, sign, rest = text.partition("=")
    try:
        names = read_ref(port if sign else "")
    except Misread:
        raise Trouble(f"error: {option} {text}: it has the form Node.port={what}", USAGE) from None
    return write_ref(*names), rest


def _json(text: str, place: str) -> Any:
    from json import loads

    try:
        return loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Trouble(f"error: {place}: this is no JSON: {error}", DATA) from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is none")


def _lines(file: Any, name: str) -> Iterator[Any]:
    """The values in a file, one a line. Empty lines are passed over."""
    try:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _json(line, f"{name}:{number}")
    except UnicodeDecodeError as error:
        raise Trouble(f"error: {name}: this is no text in UTF-8: {error.reason}", DATA) from None


def _inputs(ports: list[tuple[str, str]]) -> dict[str, list[Any]]:
    """The values for each port: JSON, a text, or `@` and a file."""
    inputs: dict[str, list[Any]] = {}
    for port, given in ports:
        values = inputs.setdefault(port, [])
        if given == "@":
            raise Trouble(f"error: --input {port}=@: the name of a file comes after the @", USAGE)
        if given == "@-":
            values += _lines(_standard_input(), "-")
        elif given.startswith("@"):
            with open(given[1:], encoding="utf-8-sig") as file:
                values += _lines(file, given[1:])
        else:
            values.append(_value(given))
    return inputs


def _value(text: str) -> Any:
    """JSON, or else the text itself."""
    try:
        return _json(text, "")
    except Trouble:
        return text


# %%
#|exporti
_ESCAPED = "backslashreplace"  # what an encoding does not have; in a JSON text \\ud800 says the same


class _Out:
    """Where the values of each output port go. Without `--output`, all of them to the standard output, with their port."""

    def __init__(self, texts: list[str]) -> None:
        self._names: dict[str, str] = {}
        self._files: dict[str, Any] = {}
        for text in texts:
            port, name = _port_and("- or file", "--output", text)
            if port in self._names:
                raise Trouble(f"error: --output {text}: {port} goes to {self._names[port]} already", USAGE)
            self._names[port] = name

    @property
    def ports(self) -> list[str] | None:
        """The ports to take from; None for all."""
        return list(self._names) or None

    def open(self, ending: ExitStack) -> None:
        """Open each file, once. What was in it is gone then."""
        opened: dict[str, Any] = {}
        for port, name in self._names.items():
            place = "-" if name == "-" else os.path.realpath(name)
            if place not in opened:
                opened[place] = sys.stdout if name == "-" else open(name, "w", encoding="utf-8", errors=_ESCAPED)  # noqa: SIM115
                if name != "-":
                    ending.callback(_closed, opened[place])
            self._files[port] = opened[place]

    def write(self, outputs: dict[str, list[Any]]) -> bool:
        """Write the values as JSON, one a line. What cannot be written is told. Returns whether all could."""
        written = [self._written(port, value) for port, values in outputs.items() for value in values]
        for file in {id(file): file for file in (sys.stdout, *self._files.values())}.values():
            try:
                file.flush()
            except BrokenPipeError:
                raise
            except OSError as error:
                written.append(_unwritten(file, error))
        return all(written)

    def _written(self, port: str, value: Any) -> bool:
        """Write a value. Returns whether it could be."""
        from json import dumps

        file: Any = self._files.get(port, sys.stdout)
        is_narrow = (file.encoding or "").lower() not in ("utf-8", "utf8")
        try:
            line = dumps(value if self._names else {port: value}, ensure_ascii=is_narrow, allow_nan=False)
        except Exception as error:  # a value may have code of its own
            _say(f"error: a {type(value).__name__} that came out at {port} cannot be written as JSON: {error}")
            return False
        try:
            print(line, file=file)
        except BrokenPipeError:
            raise
        except OSError as error:
            return _unwritten(file, error)
        return True


def _unwritten(file: Any, error: OSError) -> bool:
    """Say that a file takes no more."""
    _say(f"error: {'the standard output' if file is sys.stdout else file.name}: {error.strerror or error}")
    if file is sys.stdout:
        _mute()
    return False


def _closed(file: Any) -> None:
    """Close a file. What it did not take was told before."""
    with suppress(OSError):
        file.close()


def _mute() -> None:
    """Let the standard output go nowhere, so that nothing is complained of at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


# %% [markdown]
# ## run


# %%
#|exporti
def run(args: Namespace) -> int:
    """Run a net."""
    from netrun.core import write_ref
    from netrun.net import PortNames

    definition = _definition(args.file, args)
    if args.threads is not None:
        _in_threads(definition, args.threads)
    with ExitStack() as ending:
        net = _built(definition, args.file, args, **_key(definition))
        ending.callback(net.stop)
        ports = PortNames(net._ledger.doors)
        given = [_port_and("value or @file", "--input", text) for text in args.input]
        out = _Out(args.output)
        try:
            for name, _ in given:
                ports.input(name)
            taken = [ports.outlet(name) for name in out.ports] if out.ports else ports.outlets
        except ConfigError as error:
            raise Trouble(f"error: {error}", USAGE) from None
        inputs = _inputs(given)
        out.open(ending)
        try:
            _start(net, inputs, args.checkpoint, args.progress)
        finally:  # what came out is written, also where something failed; or it is in the checkpoint
            is_written = True
            if args.checkpoint is None or net.poll().paused_by is None:
                if args.checkpoint is not None:
                    net.stop()  # before anything is taken out: the same command again gives the same
                is_written = out.write({write_ref(*place): net.take_outputs(*place) for place in taken})
        return _told_rest(net) or (0 if is_written else DATA)


def _start(net: "Net", inputs: dict[str, list[Any]], checkpoint: str | None, progress: bool) -> None:
    """Run a net, from its checkpoint on if there is one."""
    if checkpoint is not None:
        from netrun.folders import has_folder

        if has_folder(checkpoint):
            passed_over = "; --input is passed over, it is in there" if inputs else ""
            _say(f"note: going on from checkpoint {checkpoint}{passed_over}")
            net.start(resume=True, progress=progress)
            return
    net.run(inputs, outputs=[], progress=progress)


def _told_rest(net: "Net") -> int:
    """Say what is left undone in the net."""
    status = net.poll()
    if net.history.error is not None:
        _say(f"note: the history file lacks {net.history.lost} entries: {net.history.error}")
    left = ", ".join(f"{node.startable} of {name}" for name, node in status.nodes.items() if node.startable)
    if status.paused_by == "signal":
        _say(f"interrupted: what had begun has ended{f'; epochs that did not start: {left}' if left else ''}")
        return INTERRUPTED
    if status.failed:
        failed = ", ".join(f"{node.failed} of {name}" for name, node in status.nodes.items() if node.failed)
        _say(f"error: epochs that failed: {failed}{_cause(net)}")
        return FAILED
    if left:
        _say(f"note: epochs that did not start: {left}. A node without exec_node_func keeps its epochs")
    elif status.waiting_packets:
        for node in [node for node in net.why_blocked() if node.status.waiting_packets][:5]:
            _say(f"note: {node.status.waiting_packets:,} packets are left at node {node.node_name!r}: {node.root}")
    return 0


def _cause(net: "Net") -> str:
    """The first failure of a net that did not raise it."""
    letters = net.dead_letter_queue.get_all()
    if not letters:
        return ""
    error = letters[0].exception
    return f"\n  the first: node {letters[0].node_name!r}: {_told(error)}{_where(error)}"


# %% [markdown]
# ## The other commands


# %%
#|exporti
def validate(args: Namespace) -> int:
    """Say everything that is wrong with a net, without running it."""
    code = 0
    for file in args.files:
        try:
            with _alone():
                told = _checked(file, args)
        except Exception as error:
            if args.traceback:
                raise
            trouble = _trouble_of(error)
            _say(trouble.message)
            code = max(code, trouble.code)
        else:
            print(told)
    return code


@contextmanager
def _alone() -> Iterator[None]:
    """What is imported from the folders that are looked in meanwhile is not there afterwards: the next net may have a
    module of the same name beside it."""
    path, known = sys.path[:], set(sys.modules)
    try:
        yield
    finally:
        folders = set(sys.path) - set(path)
        sys.path[:] = path
        new = sys.modules.keys() - known
        roots = {name for name in new if "." not in name and not folders.isdisjoint(_folders_of(sys.modules[name]))}
        for name in new:
            if name.partition(".")[0] in roots:
                del sys.modules[name]


def _folders_of(module: Any) -> Iterator[str]:
    """The folders that a module, or a package, stands in."""
    for place in [getattr(module, "__file__", None), *getattr(module, "__path__", ())]:
        if place is not None and not os.path.basename(place).startswith("__init__."):
            yield os.path.dirname(place)


_NO_FILES = {
    "packet_storage_path": None,
    "dead_letter_queue": "memory",
    "dead_letter_path": None,
    "dead_letter_callback": None,
    "history_file": None,
}


def _checked(file: str, args: Namespace) -> str:
    """What is in a net that is right. Opens none of its files."""
    from netrun.checks import graph_doubts

    definition = _definition(file, args)
    told = f"{file}: right: {len(definition.nodes)} nodes, {len(definition.edges)} edges"
    if args.no_resolve:
        return told
    net = _built(definition, file, args, **_NO_FILES)
    for name in definition.nodes:
        net._stage.must_have_pools(name, net.get_node_config(name))
    for doubt in graph_doubts(net.graph) if net._config.check != "error" else ():
        _say(f"note: {file}: {doubt.message}")
    idle = [name for name, task in net._tasks.items() if task.exec_node_func is None]
    return f"{told}; without a function: {', '.join(idle)}" if idle else told


def show(args: Namespace) -> int:
    """Draw a net. Imports nothing that it names."""
    from netrun.drawing import sketch_of, tree
    from netrun.show import picture

    definition = _definition(args.file, args)
    if args.mermaid or args.svg:
        drawn = picture(definition, None if args.all else 60)
        print(drawn.mermaid if args.mermaid else drawn.svg)
    else:
        print(tree(sketch_of(definition)))
    return 0


def fmt(args: Namespace) -> int:
    """Write nets in normal form."""
    from netrun.dsl import write_whole
    from netrun.writing import formatted

    code = 0
    for file in args.files:
        definition = _definition(file, args)
        text = definition.text or ""
        new = formatted(definition, text)
        new = new.replace("\n", "\r\n") if "\r\n" in text else new
        if file == "-":
            print(new, end="")
        elif new != text and args.check:
            print(f"{file}: not in normal form")
            code = FAILED
        elif new != text:
            write_whole(file, new)
            print(f"{file}: written anew")
    return code


def history(args: Namespace) -> int:
    """Tell the attempts at epochs that a history file holds."""
    from netrun.history import entry_of

    wrong, right = 0, 0
    with open(args.file, "rb") as file:
        for number, line in enumerate(_whole_lines(file, args.follow), start=1):
            try:
                entry = entry_of(line)
                told = _attempt_line(entry.data) if entry.entry_type == "epoch" else None
            except (ValueError, KeyError, TypeError, AttributeError):
                wrong += 1
                if right or wrong == 1:  # of a file that is no history, one line says it all
                    _say(f"note: {args.file}:{number}: this is no entry of a history")
                continue
            right += 1
            is_wanted = args.node in (None, entry.data.get("node_name"))
            if told is not None and is_wanted and not (args.failed and entry.data["error"] is None):
                print(told)
    return DATA if wrong and not right else 0


def _whole_lines(file: Any, follow: bool) -> Iterator[bytes]:
    """The lines of a file; and those that it gets, until interrupted."""
    from time import sleep

    line = b""
    while True:
        line += file.readline()
        if line.endswith(b"\n"):
            yield line
            line = b""
        elif follow:
            sys.stdout.flush()
            sleep(0.2)  # no system tells in the same way as another that a file has grown
        else:
            if line:
                yield line
            return


def _attempt_line(data: dict[str, Any]) -> str:
    """An attempt in a line: when it ended, how, how long it took, whose it was, where, and what went wrong."""
    from datetime import datetime

    begun, ended = (datetime.fromisoformat(data[name]) for name in ("begun", "ended"))
    where = data["carrier"] if data["worker"] is None else f"{data['carrier']} {data['worker']}"
    taken = f"{1000 * (ended - begun).total_seconds():10,.2f} ms"
    told = f"{ended:%Y-%m-%d %H:%M:%S.%f}  {data['verdict']:<10}{taken}  {data['node_name']} {data['epoch_id']}"
    error = "" if data["error"] is None else f": {' '.join(str(data['error']).split())}"
    return f"{told}, attempt {data['attempt']}, {where}{error}"


def schema(args: Namespace) -> int:
    """Print the JSON Schema of a net's TOML."""
    from json import dumps

    from netrun.schema import schema as made

    print(dumps(made(), indent=2))
    return 0


# %% [markdown]
# ## The arguments

# %%
#|exporti
_EPILOG = """\
values: `--input Node.port=3` is JSON, else a text; `@file.jsonl` a file of JSON lines, `@-` the standard input.
Without --output, all that comes out is printed as {"Node.port": value}, one a line.
With --checkpoint, what came out before an interruption is in the checkpoint, and is written at the end. It is signed and
must be signed where the environment variable NETRUN_CHECKPOINT_KEY has a key.

exit codes: 0 all went well, 1 a node failed, 2 the command line is not right, 3 the net is not right, 4 a file or a value
is not right, 130 interrupted: on the first Ctrl-C what has begun ends, on the second it is cancelled.

examples:
  netrun run net.toml
  netrun run net.toml --input Square.in=@numbers.jsonl --output Square.out=squares.jsonl
  echo '[1, 2]' | netrun run net.toml --input Split.in=@- --output Sum.out=-
  netrun run net.toml --checkpoint saved --output Square.out=squares.jsonl    # Ctrl-C, and the same again
  netrun run net.toml --set net.max_epochs=100 --set nodes.Square.options.timeout=2.5
"""


_FILE = "a TOML file; - reads the standard input"


def _first_small(text: str) -> str:
    return text[:1].lower() + text[1:].partition(".")[0]


def parser() -> ArgumentParser:
    """The arguments of all commands."""
    top = ArgumentParser("netrun", description="Run and look after nets that are written as TOML.")
    top.add_argument("--version", action="store_true", help="print the version and end")
    top.set_defaults(command=None)
    commands = top.add_subparsers(title="commands", metavar="COMMAND")

    def command(func: Callable[[Namespace], int], many: bool = False, file: str = _FILE, **more: Any) -> ArgumentParser:
        added = commands.add_parser(
            func.__name__, help=_first_small(func.__doc__ or ""), description=func.__doc__,
            formatter_class=RawDescriptionHelpFormatter, **more,
        )  # fmt: skip
        added.set_defaults(command=func)
        added.add_argument("--traceback", action="store_true", help="show Python's traceback of an error")
        if file:
            name = "files" if many else "file"
            added.add_argument(name, nargs="+" if many else None, help=file)
        return added

    runs = command(run, epilog=_EPILOG)
    runs.add_argument(
        "--input", action="append", default=[], metavar="NODE.PORT=VALUE|@FILE", help="values for an input port"
    )
    runs.add_argument(
        "--output", action="append", default=[], metavar="NODE.PORT=-|FILE", help="where values of an output port go"
    )
    runs.add_argument("--threads", type=int, metavar="N", help="run nodes that have no pool in N threads")
    runs.add_argument(
        "--checkpoint", metavar="FOLDER", help="save the net there when it is interrupted or ends, and go on from there"
    )
    runs.add_argument("--history", metavar="FILE", help="append what happens to a file, for `netrun history`")
    runs.add_argument("--progress", action="store_true", help="show what the net is doing, on the error output")
    checks = command(validate, many=True)
    checks.add_argument("--no-resolve", action="store_true", help="import nothing: check the text alone")
    shows = command(show)
    kinds = shows.add_mutually_exclusive_group()
    kinds.add_argument("--mermaid", action="store_true", help="as a Mermaid flowchart")
    kinds.add_argument("--svg", action="store_true", help="as an SVG picture")
    shows.add_argument("--all", action="store_true", help="fold nothing, however many nodes there are")
    command(fmt, many=True).add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if there is something to change"
    )
    tells = command(history, file="a file of JSON lines that a net has written")
    tells.add_argument("--node", metavar="NODE", help="those of one node")
    tells.add_argument("--failed", action="store_true", help="those that failed")
    tells.add_argument("--follow", action="store_true", help="go on with what is written to it, until Ctrl-C")
    command(schema, file="")
    command(completion, file="").add_argument("shell", choices=list(_COMPLETIONS), help="the shell")
    for each in (runs, checks):
        each.add_argument(
            "--allow",
            action="append",
            metavar="PACKAGE",
            help="what import paths may name; again for more (default: all)",
        )
    for each in (runs, checks, shows):
        each.add_argument(
            "--set", action="append", default=[], metavar="PATH=VALUE", help="take the place of what the file says"
        )
    return top


# %% [markdown]
# ## Completion
#
# The shells' own means, filled with the words of the parser above.


# %%
#|exporti
def completion(args: Namespace) -> int:
    """Print what completes commands and options in bash, zsh or fish."""
    print(_COMPLETIONS[args.shell](_words(parser())), end="")
    return 0


def _words(top: ArgumentParser) -> dict[str, tuple[str, list[tuple[str, str, bool]]]]:
    """Of each command: what it does, and its options, with what they do and whether they take a value."""
    commands: Any = next(action for action in top._actions if isinstance(action.choices, dict))
    described = {each.dest: each.help or "" for each in commands._get_subactions()}
    return {
        name: (
            described[name],
            [
                (each.option_strings[-1], str(each.help), each.nargs != 0)
                for each in command._actions
                if each.option_strings and each.help is not SUPPRESS
            ],
        )
        for name, command in commands.choices.items()
    }


def _bash(words: Any) -> str:
    cases = "".join(
        f"        {name}) options='{' '.join(option for option, _, _ in options)}' ;;\n"
        for name, (_, options) in words.items()
    )
    return f"""\
_netrun() {{
    local options=
    case "${{COMP_WORDS[1]}}" in
{cases}    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W '{" ".join(words)}' -- "$2"))
    elif [ "${{COMP_WORDS[1]}}" = completion ]; then
        COMPREPLY=($(compgen -W 'bash zsh fish' -- "$2"))
    elif [ "${{2#-}}" != "$2" ]; then
        COMPREPLY=($(compgen -W "$options" -- "$2"))
    fi
}}
complete -o default -F _netrun netrun
"""


def _zsh(words: Any) -> str:
    cases = "".join(
        f"        {name}) compadd -- {' '.join(option for option, _, _ in options)} ;;\n"
        for name, (_, options) in words.items()
    )
    return f"""\
#compdef netrun
_netrun() {{
    if (( CURRENT == 2 )); then
        compadd -- {" ".join(words)}
    elif [[ $words[2] == completion ]]; then
        compadd -- bash zsh fish
    elif [[ $PREFIX == -* ]]; then
        case $words[2] in
{cases}        esac
    else
        _files
    fi
}}
if [ "$funcstack[1]" = "_netrun" ]; then _netrun "$@"; else compdef _netrun netrun; fi
"""


def _fish(words: Any) -> str:
    lines = ["complete -c netrun -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'"]
    for name, (does, options) in words.items():
        lines.append(f"complete -c netrun -n __fish_use_subcommand -f -a {name} -d {_fish_text(does)}")
        for option, text, takes in options:
            value = " -r" if takes else ""
            lines.append(
                f"complete -c netrun -n '__fish_seen_subcommand_from {name}' -l {option[2:]}{value} -d {_fish_text(text)}"
            )
    return "\n".join(lines) + "\n"


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_COMPLETIONS: dict[str, Callable[[Any], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}

# %% [markdown]
# ## All together


# %%
#|export
def main(arguments: list[str] | None = None) -> int:
    """Run a command line, and return its exit code."""
    top = parser()
    args = top.parse_args(arguments)
    if args.version:
        from netrun import __version__

        print(f"netrun {__version__}")
        return 0
    if args.command is None:
        top.print_help()
        return USAGE
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        _say("error: the standard output is closed")
        return DATA
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED)
    try:
        code: int = args.command(args)
        return code if _is_flushed() else DATA
    except BrokenPipeError:
        _mute()  # whatever it was that raised this
        return GONE
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except (Exception, SystemExit) as error:
        if args.traceback:
            raise
        with suppress(BrokenPipeError):
            _is_flushed()
        trouble = _trouble_of(error)
        _say(trouble.message)
        return trouble.code


def _is_flushed() -> bool:
    """Whether the standard output has taken all that it was given. If not, that is told."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _mute()
        raise
    except OSError as error:
        return _unwritten(sys.stdout, error)
    return True


# %% [markdown]
# A net in a file, its functions in a module beside it:

# %%
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

folder = TemporaryDirectory()
(Path(folder.name) / "numbers_demo.py").write_text("def square(number: int) -> int:\n    return number**2\n")
(Path(folder.name) / "net.toml").write_text(
    """\
[nodes.Square]
factory = "netrun.factories.from_function"
factory_args = { func = "numbers_demo.square" }
"""
)


def netrun(*arguments, text=""):
    command = [sys.executable, "-m", "netrun", *arguments]
    done = subprocess.run(command, cwd=folder.name, input=text, capture_output=True, text=True)
    print(done.stdout + done.stderr)
    return done.returncode, done.stdout


assert netrun("run", "net.toml", "--input", "Square.number=@-", "--output", "Square.out=-", text="1\n2\n3\n") == (
    0,
    "1\n4\n9\n",
)
assert netrun("run", "net.toml", "--input", "Square.number=4") == (0, '{"Square.out": 16}\n')
assert netrun("show", "net.toml", "--mermaid")[0] == 0

# %% [markdown]
# What is wrong is told, and where.

# %%
assert netrun("run", "net.toml", "--input", "Square.number=four")[0] == 1
assert netrun("run", "net.toml", "--input", "Square.nummer=4")[0] == 2
assert netrun("validate", "net.toml", "--set", "nodes.Square.factory_args.func=numbers_demo.sqare")[0] == 3
assert netrun("run", "net.toml", "--input", "Square.number=@nothing.jsonl")[0] == 4
folder.cleanup()
