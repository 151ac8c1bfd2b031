# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Packet values
#
# The simulator moves packets that are nothing but ids. What a packet *carries* is in the `PacketValueStore`: a value, or
# a function that makes the value each time somebody asks. A packet that is consumed takes its value with it, unless the
# store is told to keep consumed values for looking at later.
#
# ```
#   store_value ─────┐                     ┌── get_value   looks, changes nothing
#                    ├─> active values ────┤
#   store_value_func ┘         │           └── consume ──> kept, when consumed_storage is on
#                              └────────────── unconsume <──┘      (oldest evicted over the limit)
# ```

# %%
#|default_exp values

# %%
#|export
import os
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from pathlib import Path
from threading import RLock
from typing import Any

from netrun.core import ConfigError, ValueFunctionFailed
from netrun.packets import NOTHING, Packet
from netrun.pickles import to_pickle

# %% [markdown]
# ## Value functions
#
# A value function may be sync or async. Whoever asks synchronously for the value of an async one waits for it: the
# coroutine runs on a loop of its own, in a thread of its own where this thread has a loop already, as in Jupyter.


# %%
#|exporti
def run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end and return its result, whether or not a loop is running in this thread."""
    import asyncio
    from contextvars import copy_context
    from threading import Thread

    if asyncio._get_running_loop() is None:
        return asyncio.run(coroutine)
    results: list[Any] = []

    def run() -> None:
        try:
            results.append((asyncio.run(coroutine), None))
        except BaseException as error:
            results.append((None, error))

    thread = Thread(target=copy_context().run, args=(run,), name="netrun coroutine")
    thread.start()
    thread.join()
    value, error = results[0]
    if error is not None:
        raise error
    return value


# %%
import asyncio


async def answer():
    await asyncio.sleep(0)
    return 42


assert run_coroutine(answer()) == 42  # a loop is running in this notebook

# %% [markdown]
# ## Files
#
# With a `storage_path` each value is one pickle file there, written beside and put in place, so that a crash leaves the
# old file or the new one, never half of it. A file stays as long as its value does. Memory holds the names only.


# %%
#|exporti
class _ValueFiles:
    """Values by id, each in a file of its own. The part of `dict` that the store needs."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._ids = {_from_file_name(path.stem): None for path in sorted(self._folder.glob("*.pkl"))}
        self._lock = RLock()
        self._holds = 0  # who is copying
        self._gone: set[str] = set()  # whose files are still there for that

    def _path(self, id: str) -> Path:
        from urllib.parse import quote

        return self._folder / f"{quote(id, safe='')}.pkl"

    def __setitem__(self, id: str, value: Any) -> None:
        self.write(id, to_pickle(value))

    def write(self, id: str, pickled: bytes) -> None:
        """Write what a file is to hold."""
        path = self._path(id)
        beside = path.with_suffix(".tmp")
        try:
            beside.write_bytes(pickled)
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        with self._lock:
            self._ids[id] = None
            self._gone.discard(id)

    def __getitem__(self, id: str) -> Any:
        import pickle

        return pickle.loads(self.pickled(id))

    def pickled(self, id: str) -> bytes:
        """What the file of a value holds."""
        if id not in self._ids:
            raise KeyError(id)
        try:
            return self._path(id).read_bytes()
        except FileNotFoundError:
            raise KeyError(id) from None  # another thread has just taken it

    def __delitem__(self, id: str) -> None:
        with self._lock:
            del self._ids[id]
            if self._holds:
                self._gone.add(id)
                return
        self._path(id).unlink(missing_ok=True)

    def hold(self) -> Callable[[], None]:
        """Keep the files of values that go from now on, until what this returns is called."""
        with self._lock:
            self._holds += 1
        return self._let_go

    def _let_go(self) -> None:
        with self._lock:
            self._holds -= 1
            gone, self._gone = ([], self._gone) if self._holds else (list(self._gone), set())
        for id in gone:
            self._path(id).unlink(missing_ok=True)

    def held(self, id: str) -> bytes:
        """What the file of a value holds, or of one that has gone since `hold`."""
        return self._path(id).read_bytes()

    def __contains__(self, id: str) -> bool:
        return id in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._ids))

    def __len__(self) -> int:
        return len(self._ids)


def _from_file_name(stem: str) -> str:
    from urllib.parse import unquote

    return unquote(stem)


# %% [markdown]
# ## Values that the packets carry
#
# In a net, a packet can carry its value itself: no dictionary to look into, which counts where a hundred thousand packets
# wait. That is so where values are in memory and are forgotten when they are consumed.


# %%
#|exporti
class _CarriedValues:
    """Values by id that are in the packets. The part of `dict` that the store needs."""

    def __init__(self, find: Callable[[str], Packet | None], packets: Collection[Packet]) -> None:
        self._find, self._packets = find, packets

    def __setitem__(self, id: str, value: Any) -> None:
        packet = self._find(id)
        if packet is None:
            raise KeyError(f"there is no packet {id!r} in the net to carry a value")
        packet._value = value

    def __getitem__(self, id: str) -> Any:
        packet = self._find(id)
        if packet is None or packet._value is NOTHING:
            raise KeyError(id)
        return packet._value

    def __delitem__(self, id: str) -> None:
        self[id] = NOTHING

    def __contains__(self, id: str) -> bool:
        packet = self._find(id)
        return packet is not None and packet._value is not NOTHING

    def __iter__(self) -> Iterator[str]:
        return iter([packet.id for packet in list(self._packets) if packet._value is not NOTHING])

    def __len__(self) -> int:
        return sum(packet._value is not NOTHING for packet in list(self._packets))


# %% [markdown]
# ## The store
#
# A value function runs **each time** a value is asked for: once for every `get_value`, and again for `consume` and for
# the next attempt of an epoch that failed. So it must be pure. When it raises, the packet keeps it, and the error is a
# `ValueFunctionFailed` that is chained from the original.


# %%
#|exporti
class StoredValues:
    """What the packets carry: how it gets in, and how it is looked at."""

    def __init__(
        self,
        consumed_storage: bool = False,
        consumed_storage_limit: int | None = None,
        storage_path: str | os.PathLike[str] | None = None,
    ) -> None:
        limit = consumed_storage_limit
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
            raise ConfigError(f"consumed_storage_limit must be a whole number from 0 on, or None, not {limit!r}.")
        if limit is not None and not consumed_storage:
            raise ConfigError("consumed_storage_limit says how much to keep: it needs consumed_storage=True.")
        self._limit = limit
        self._keeps = consumed_storage
        self._values: Any = {} if storage_path is None else _ValueFiles(storage_path)  # active ones, and those kept
        self._funcs: dict[str, Callable[[], Any]] = {}
        self._kept: dict[str, None] = {}  # ids of the consumed values, oldest first
        self._lock = RLock()

    @property
    def keeps(self) -> bool:
        """Whether values stay here when they are consumed."""
        return self._keeps

    def carry(self, find: Callable[[str], Packet | None], packets: Collection[Packet]) -> bool:
        """Let these packets carry their values from now on, if that is possible here. `find` gives one by its id."""
        if self._keeps or not isinstance(self._values, dict) or self._values:
            return False
        self._values = _CarriedValues(find, packets)
        return True

    def store_value(self, id: str, value: Any) -> None:
        """Make `value` the value of packet `id`. With files: raises what pickling or writing raises, and then stores
        nothing."""
        self._values[id] = value
        if self._funcs:
            self._funcs.pop(id, None)
        if self._kept:
            self._kept.pop(id, None)

    def store_value_func(self, id: str, func: Callable[[], Any]) -> None:
        """Make `func()` the value of packet `id`. Called each time the value is asked for, so it must be pure; it may be
        async. Raises `TypeError` if it cannot be called."""
        if not callable(func):
            raise TypeError(f"a value function must be callable, not {func!r}; store_value takes values.")
        with self._lock:
            self._kept.pop(id, None)
            if id in self._values:
                del self._values[id]
            self._funcs[id] = func

    def get_value(self, id: str) -> Any:
        """The value of packet `id`, which stays. Calls a value function afresh; falls back to consumed values. Raises
        `KeyError` for an unknown id, `ValueFunctionFailed` when the function raises."""
        if id in self._values:
            return self._values[id]
        value = self.call_function(id)
        return run_coroutine(awaited(id, value)) if _is_awaitable(value) else value

    async def async_get_value(self, id: str) -> Any:
        """`get_value` for callers on a loop: an async value function is awaited there."""
        if id in self._values:
            return self._values[id]
        value = self.call_function(id)
        return await awaited(id, value) if _is_awaitable(value) else value

    def peek(self, id: str) -> tuple[Any, Callable[[], Any] | None]:
        """The value of packet `id` and None, or its value function, uncalled. Raises `KeyError` where it has neither."""
        if id in self._funcs:
            return None, self._funcs[id]
        if id in self._values:
            return self._values[id], None
        raise _no_value(id)

    def is_lazy(self, id: str) -> bool:
        """Whether packet `id` has a value function."""
        return id in self._funcs

    def call_function(self, id: str) -> Any:
        """What the value function returns: an awaitable where it is async."""
        func = self._funcs.get(id)
        if func is None:
            raise _no_value(id)
        try:
            return func()
        except Exception as error:
            raise ValueFunctionFailed(id, error) from error


# %%
#|exporti
def _no_value(id: str) -> KeyError:
    return KeyError(f"packet {id!r} has no active value here: it is unknown, or was consumed or removed")


def _is_awaitable(value: Any) -> bool:
    return hasattr(value, "__await__")


async def awaited(id: str, awaitable: Any) -> Any:
    try:
        return await awaitable
    except Exception as error:
        raise ValueFunctionFailed(id, error) from error


# %%
#|export
class PacketValueStore(StoredValues):
    """What the packets carry, by packet id.

    consumed_storage: keep the values of consumed packets, for `get_consumed_value`.
    consumed_storage_limit: how many to keep at the most; the oldest go first. None keeps all of them.
    storage_path: a folder. Each value is a file `<id>.pkl` in it from `store_value` on, and gone when the value is; the
        store begins with the values that are there. Value functions stay in memory.

    `len()` counts the active values. All methods may be called from any thread. Raises `ConfigError` for a bad limit.
    """

    def consume(self, id: str) -> Any:
        """The value of packet `id`, which is active no longer. Raises as `get_value` does, and then changes nothing;
        `KeyError` also when the value was consumed before."""
        self._must_be_active(id)
        value = self.get_value(id)
        self.mark_consumed(id, value)
        return value

    async def async_consume(self, id: str) -> Any:
        """`consume` for callers on a loop."""
        self._must_be_active(id)
        value = await self.async_get_value(id)
        self.mark_consumed(id, value)
        return value

    def mark_consumed(self, id: str, value: Any) -> None:
        """Consume packet `id`, whose value is known to be `value`: a value function is not called again."""
        if not self._keeps:
            try:
                del self._values[id]
            except KeyError:
                if self._funcs.pop(id, None) is None:
                    raise _no_value(id) from None
            return
        with self._lock:
            self._must_be_active(id)
            if id in self._funcs:
                self._values[id] = value
                del self._funcs[id]
            self._kept[id] = None
            while self._limit is not None and len(self._kept) > self._limit:
                self.remove(next(iter(self._kept)))

    def must_be_keepable(self, id: str, value: Any) -> None:
        """Raise what pickling raises, where consuming packet `id` would have to write its value to a file and could
        not: it is best known before the packet has gone."""
        if self._keeps and id in self._funcs and isinstance(self._values, _ValueFiles):
            to_pickle(value)

    def unconsume(self, id: str, value: Any) -> None:
        """Make a consumed packet's value active again."""
        with self._lock:
            self._kept.pop(id, None)
            self.store_value(id, value)

    def has_value(self, id: str) -> bool:
        """Whether packet `id` has an active value or value function."""
        return (id in self._values and id not in self._kept) or id in self._funcs

    def get_consumed_value(self, id: str) -> Any:
        """The value that consumed packet `id` had, or None where it was not kept."""
        with self._lock:
            return self._values[id] if id in self._kept else None

    def remove(self, id: str) -> None:
        """Forget the value of packet `id`, active or consumed. Raises `KeyError` for an unknown id."""
        with self._lock:
            self._kept.pop(id, None)
            if self._funcs.pop(id, None) is None:
                if id not in self._values:
                    raise _no_value(id)
                del self._values[id]

    def files(self) -> _ValueFiles | None:
        """The files of the values; None where they are in memory."""
        return self._values if isinstance(self._values, _ValueFiles) else None

    def put_back(self, id: str, value: Any, pickled: bytes | None) -> None:
        """Make this the value of packet `id`, with what its file held. A file that holds that is left as it is."""
        files = self.files()
        if files is None or pickled is None:
            self.store_value(id, value)
        elif id not in files or files.held(id) != pickled:
            files.write(id, pickled)

    def copy(self) -> dict[str, Any]:
        """The values that are in memory, active or consumed, by packet id."""
        with self._lock:
            return dict(self._values)

    def held(self) -> RLock:
        """What to hold while nothing is to change here."""
        return self._lock

    def functions(self) -> dict[str, Callable[[], Any]]:
        """The value functions, by packet id."""
        with self._lock:
            return dict(self._funcs)

    def consumed(self) -> list[str]:
        """The packets whose values were consumed and are kept, oldest first."""
        with self._lock:
            return list(self._kept)

    def ids(self) -> list[str]:
        """The packets that have an active value."""
        with self._lock:
            return [id for id in self._values if id not in self._kept] + list(self._funcs)

    def __repr__(self) -> str:
        where = "in files" if isinstance(self._values, _ValueFiles) else "in memory"
        kept = f", {len(self._kept):,} consumed" if self._keeps else ""
        return f"<{type(self).__name__}: {len(self):,} values{kept}, {where}>"

    def __len__(self) -> int:
        with self._lock:
            return len(self._values) - len(self._kept) + len(self._funcs)

    def _must_be_active(self, id: str) -> None:
        if not self.has_value(id):
            raise _no_value(id)


# %% [markdown]
# Direct values and value functions, side by side:

# %%
store = PacketValueStore()
asked = []
store.store_value("p1", [1, 2])
store.store_value_func("p2", lambda: asked.append("p2") or "made")
store.store_value_func("p3", answer)

assert store.get_value("p1") == [1, 2] and store.get_value("p2") == "made" and store.get_value("p3") == 42
assert store.consume("p2") == "made" and asked == ["p2", "p2"]  # asked twice, called twice
assert await store.async_consume("p3") == 42
assert len(store) == 1 and store.has_value("p1") and not store.has_value("p2")

# %% [markdown]
# Consumed values, with a limit:

# %%
store = PacketValueStore(consumed_storage=True, consumed_storage_limit=2)
for id in ("p1", "p2", "p3"):
    store.store_value(id, id.upper())
    store.consume(id)
assert [store.get_consumed_value(id) for id in ("p1", "p2", "p3")] == [None, "P2", "P3"]
assert store.get_value("p3") == "P3" and not store.has_value("p3") and len(store) == 0
store.unconsume("p3", "P3")
assert store.has_value("p3") and store.consume("p3") == "P3"

# %% [markdown]
# Files, and what survives:

# %%
import tempfile

with tempfile.TemporaryDirectory() as folder:
    store = PacketValueStore(storage_path=folder)
    store.store_value("p1", {"rows": 3})
    assert [path.name for path in Path(folder).iterdir()] == ["p1.pkl"]
    again = PacketValueStore(storage_path=folder)  # another process, after a crash
    assert again.consume("p1") == {"rows": 3} and list(Path(folder).iterdir()) == []

# %% [markdown]
# The error paths. A value function that raises keeps its packet; unknown and consumed ids are a `KeyError`.

# %%
store = PacketValueStore()
store.store_value_func("p1", lambda: 1 / 0)
try:
    store.consume("p1")
except ValueFunctionFailed as error:
    assert isinstance(error.__cause__, ZeroDivisionError) and store.has_value("p1")
    print(error)

for call in (store.get_value, store.consume, store.remove):
    try:
        call("p9")
    except KeyError as error:
        print(error)
    else:
        raise AssertionError(f"{call} should not know p9")
try:
    PacketValueStore(consumed_storage_limit=3)
except ConfigError as error:
    print(error)
