"""What packets carry: values and value functions, consumed ones that are kept, files that survive."""

import asyncio
import contextvars
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from netrun import ConfigError, PacketValueStore, ValueFunctionFailed
from netrun.values import run_coroutine


def names(folder: Path) -> list[str]:
    """The files of a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["memory", "files", "memory, kept", "files, kept"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PacketValueStore:
    """A store of each kind."""
    where = tmp_path if "files" in request.param else None
    return PacketValueStore(consumed_storage="kept" in request.param, storage_path=where)


def asked(store: PacketValueStore, call: str, id: str) -> Any:
    """What a method of the store answers; an async one is run."""
    answer = getattr(store, call)(id)
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


# -- direct values ----------------------------------------------------------------------------------------------------


def test_a_value_stays_until_it_is_consumed(store: PacketValueStore) -> None:
    """`get_value` looks, `consume` takes."""
    store.store_value("p1", [1, 2])
    assert store.get_value("p1") == store.get_value("p1") == [1, 2]
    assert store.has_value("p1")
    assert len(store) == 1
    assert store.ids() == ["p1"]
    assert store.consume("p1") == [1, 2]
    assert not store.has_value("p1")
    assert len(store) == 0
    assert store.ids() == []


@pytest.mark.parametrize("value", [None, False, 0, "", (), float("inf"), ...])
def test_any_value_is_a_value(store: PacketValueStore, value: Any) -> None:
    """None and its like are values as good as others."""
    store.store_value("p1", value)
    assert store.has_value("p1")
    assert store.get_value("p1") == value
    assert store.consume("p1") == value
    assert not store.has_value("p1")


def test_in_memory_the_very_object_comes_back() -> None:
    """No copy is made."""
    store, value = PacketValueStore(), object()
    store.store_value("p1", value)
    assert store.get_value("p1") is value
    assert store.consume("p1") is value


def test_a_later_value_replaces_an_earlier_one(store: PacketValueStore) -> None:
    """One id has one value."""
    store.store_value("p1", 1)
    store.store_value("p1", 2)
    assert len(store) == 1
    assert store.consume("p1") == 2


def test_a_value_replaces_a_function_and_a_function_a_value(store: PacketValueStore) -> None:
    """What was stored last is the packet's value, and the only one."""
    store.store_value_func("p1", lambda: "function")
    store.store_value("p1", "value")
    assert (len(store), store.ids(), store.get_value("p1")) == (1, ["p1"], "value")
    assert store.consume("p1") == "value"
    assert not store.has_value("p1")
    store.store_value("p2", "value")
    store.store_value_func("p2", lambda: "function")
    assert (len(store), store.ids(), store.get_value("p2")) == (1, ["p2"], "function")
    assert store.consume("p2") == "function"
    assert not store.has_value("p2")
    assert len(store) == 0


@pytest.mark.parametrize("call", ["get_value", "consume", "remove", "async_get_value", "async_consume"])
@pytest.mark.parametrize("past", ["unknown", "removed", "consumed"])
def test_what_is_not_there_is_a_key_error(store: PacketValueStore, call: str, past: str) -> None:
    """An id that is unknown, or was removed; and one that was consumed, for everything that needs an active value."""
    if past != "unknown":
        store.store_value("p9", 9)
        getattr(store, {"removed": "remove", "consumed": "consume"}[past])("p9")
    if past == "consumed" and store.get_consumed_value("p9") == 9 and "consume" not in call:
        return  # it is kept, and can be looked at and removed: see below
    with pytest.raises(KeyError, match="p9"):
        asked(store, call, "p9")
    assert len(store) == 0


def test_remove_forgets_values_functions_and_kept_values() -> None:
    """`remove` takes an id out of the store, whatever it has for it."""
    store = PacketValueStore(consumed_storage=True)
    store.store_value("value", 1)
    store.store_value_func("func", lambda: 2)
    store.store_value("kept", 3)
    store.consume("kept")
    for id in ("value", "func", "kept"):
        store.remove(id)
        with pytest.raises(KeyError):
            store.get_value(id)
    assert store.get_consumed_value("kept") is None
    assert len(store) == 0


# -- value functions --------------------------------------------------------------------------------------------------


def counting(kind: str, calls: list[int]) -> Any:
    """A sync or async value function that notes its calls."""

    def made() -> int:
        calls.append(len(calls) + 1)
        return len(calls) * 10

    async def async_made() -> int:
        await asyncio.sleep(0)
        return made()

    class AsyncCallable:
        async def __call__(self) -> int:
            return await async_made()

    return {"sync": made, "async": async_made, "async callable": AsyncCallable(), "lambda": lambda: async_made()}[kind]


KINDS = ["sync", "async", "async callable", "lambda"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_function_is_called_each_time(store: PacketValueStore, kind: str) -> None:
    """By a sync caller without a loop: nothing is remembered between two calls."""
    calls: list[int] = []
    store.store_value_func("p1", counting(kind, calls))
    assert calls == []
    assert (store.get_value("p1"), store.get_value("p1"), store.consume("p1")) == (10, 20, 30)
    assert calls == [1, 2, 3]
    assert not store.has_value("p1")


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_function_is_called_each_time_by_a_caller_on_a_loop(store: PacketValueStore, kind: str) -> None:
    """The async methods await it; the sync ones work while a loop is running, too."""
    calls: list[int] = []
    store.store_value_func("p1", counting(kind, calls))

    async def caller() -> tuple[int, ...]:
        return await store.async_get_value("p1"), store.get_value("p1"), await store.async_consume("p1")

    assert asyncio.run(caller()) == (10, 20, 30)
    assert not store.has_value("p1")


def test_an_async_value_function_is_awaited_on_the_callers_loop() -> None:
    """`async_get_value` uses the running loop; `get_value` inside it uses another one, in another thread."""
    store = PacketValueStore()

    async def where() -> tuple[int, Any]:
        return threading.get_ident(), asyncio.get_running_loop()

    async def caller() -> None:
        store.store_value_func("p1", where)
        here = (threading.get_ident(), asyncio.get_running_loop())
        assert await store.async_get_value("p1") == here
        ident, loop = store.get_value("p1")
        assert ident != here[0]
        assert loop is not here[1]

    asyncio.run(caller())


def test_context_variables_reach_a_value_function_in_another_thread() -> None:
    """A coroutine that runs in a thread of its own sees what the caller has set."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    async def look() -> str:
        return variable.get()

    async def caller() -> str:
        variable.set("seen")
        return run_coroutine(look())

    assert asyncio.run(caller()) == "seen"


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("call", ["get_value", "consume", "async_get_value", "async_consume"])
@pytest.mark.parametrize("on_loop", [False, True])
def test_a_value_function_that_raises(store: PacketValueStore, kind: str, call: str, on_loop: bool) -> None:
    """`ValueFunctionFailed`, chained from the original, for every way to ask; the packet keeps its function."""
    original = ZeroDivisionError("oh no")

    def fails() -> Any:
        raise original

    async def async_fails() -> Any:
        raise original

    store.store_value_func("p1", fails if kind == "sync" else async_fails)

    async def caller() -> Any:
        answer = getattr(store, call)("p1")
        return await answer if asyncio.iscoroutine(answer) else answer

    with pytest.raises(ValueFunctionFailed) as failed:
        _ = asyncio.run(caller()) if on_loop else asked(store, call, "p1")
    assert failed.value.packet_id == "p1"
    assert failed.value.original_exception is original
    assert failed.value.__cause__ is original
    assert "p1 raised ZeroDivisionError: oh no" in str(failed.value)
    assert store.has_value("p1")
    assert len(store) == 1


def test_an_interrupt_in_a_value_function_is_not_its_failure(store: PacketValueStore) -> None:
    """`KeyboardInterrupt` comes out as it is, from sync functions and from a loop in a thread."""

    def interrupted() -> Any:
        raise KeyboardInterrupt

    store.store_value_func("p1", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.consume("p1")
    assert store.has_value("p1")


def test_a_value_that_could_be_awaited_is_handed_out_as_it_is() -> None:
    """A direct value is never awaited, and a function's result only once."""
    store = PacketValueStore()

    class Awaitable:
        awaited = 0

        def __await__(self) -> Any:
            Awaitable.awaited += 1
            yield from ()
            return "inner"

    value = Awaitable()
    store.store_value("p1", value)
    assert store.get_value("p1") is value
    assert asyncio.run(store.async_get_value("p1")) is value
    assert store.consume("p1") is value
    assert Awaitable.awaited == 0

    async def gives_awaitable() -> Awaitable:
        return value

    store.store_value_func("p2", gives_awaitable)
    assert store.get_value("p2") is value
    assert asyncio.run(store.async_consume("p2")) is value
    assert Awaitable.awaited == 0


@pytest.mark.parametrize("wrong", [None, 3, "text"])
def test_a_value_function_must_be_callable(store: PacketValueStore, wrong: Any) -> None:
    """A mistake is told at once, not when somebody asks for the value."""
    with pytest.raises(TypeError, match=r"must be callable.*store_value takes values"):
        store.store_value_func("p1", wrong)
    assert not store.has_value("p1")


@pytest.mark.parametrize("error", [KeyError("inner"), StopIteration(), asyncio.CancelledError()])
def test_whatever_a_coroutine_raises_comes_out_of_another_thread(error: BaseException) -> None:
    """`run_coroutine` hands on the very exception, with and without a running loop."""

    async def fails() -> None:
        raise error

    async def caller() -> None:
        run_coroutine(fails())

    expected = RuntimeError if isinstance(error, StopIteration) else type(error)
    with pytest.raises(expected):
        run_coroutine(fails())
    with pytest.raises(expected):
        asyncio.run(caller())


# -- consumed values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [False, True])
def test_consumed_values_are_kept_up_to_a_limit(files: bool, tmp_path: Path) -> None:
    """The oldest go first, by the moment of consuming and not of storing."""
    store = PacketValueStore(True, 2, tmp_path if files else None)
    for id in ("p1", "p2", "p3", "p4"):
        store.store_value(id, id.upper())
    for id in ("p3", "p1"):
        store.consume(id)
    assert [store.get_consumed_value(id) for id in ("p1", "p2", "p3", "p4")] == ["P1", None, "P3", None]
    store.consume("p4")
    assert [store.get_consumed_value(id) for id in ("p1", "p2", "p3", "p4")] == ["P1", None, None, "P4"]
    store.consume("p2")
    assert [store.get_consumed_value(id) for id in ("p1", "p2", "p3", "p4")] == [None, "P2", None, "P4"]
    assert len(store) == 0
    if files:
        assert names(tmp_path) == ["p2.pkl", "p4.pkl"]


def test_consumed_values_are_kept_without_a_limit() -> None:
    """No limit, all are kept; a limit of 0, none."""
    for limit, kept in [(None, 500), (0, 0), (499, 499)]:
        store = PacketValueStore(True, limit)
        for number in range(500):
            store.store_value(f"p{number}", number)
            store.consume(f"p{number}")
        assert sum(store.get_consumed_value(f"p{number}") is not None for number in range(500)) == kept


@pytest.mark.parametrize("limit", [None, 0, 1])
def test_what_a_function_made_is_kept_too(limit: int | None) -> None:
    """The value that was consumed is kept, the function is not called for it again."""
    calls: list[int] = []
    store = PacketValueStore(True, limit)
    store.store_value_func("p1", counting("sync", calls))
    assert store.consume("p1") == 10
    assert store.get_consumed_value("p1") == (None if limit == 0 else 10)
    assert calls == [1]
    assert not store.has_value("p1")


def test_without_consumed_storage_nothing_is_kept() -> None:
    """`get_consumed_value` gives None, `get_value` knows the id no longer."""
    store = PacketValueStore()
    store.store_value("p1", 1)
    store.consume("p1")
    assert store.get_consumed_value("p1") is None
    with pytest.raises(KeyError):
        store.get_value("p1")


def test_get_value_falls_back_to_consumed_values() -> None:
    """Sync and async; an active value is not a consumed one."""
    store = PacketValueStore(consumed_storage=True)
    store.store_value("p1", 1)
    assert store.get_consumed_value("p1") is None
    store.consume("p1")
    assert store.get_value("p1") == 1
    assert asyncio.run(store.async_get_value("p1")) == 1
    with pytest.raises(KeyError, match="was consumed or removed"):
        store.consume("p1")
    assert store.get_consumed_value("p1") == 1, "a refused consume changes nothing"


@pytest.mark.parametrize("was", ["value", "function"])
def test_unconsume_makes_a_value_active_again(store: PacketValueStore, was: str) -> None:
    """It can be consumed once more, and counts."""
    if was == "value":
        store.store_value("p1", 5)
    else:
        store.store_value_func("p1", lambda: 5)
    store.unconsume("p1", store.consume("p1"))
    assert store.has_value("p1")
    assert store.get_consumed_value("p1") is None
    assert len(store) == 1
    assert store.consume("p1") == 5
    assert len(store) == 0


def test_unconsume_frees_a_place_for_kept_values() -> None:
    """What is active again does not count towards the limit."""
    store = PacketValueStore(True, 2)
    for id in ("p1", "p2"):
        store.store_value(id, id)
        store.consume(id)
    store.unconsume("p1", "p1")
    store.store_value("p3", "p3")
    store.consume("p3")
    assert [store.get_consumed_value(id) for id in ("p2", "p3")] == ["p2", "p3"]
    store.consume("p1")
    assert [store.get_consumed_value(id) for id in ("p1", "p2", "p3")] == ["p1", None, "p3"]


def test_mark_consumed_does_not_call_a_function_again(store: PacketValueStore) -> None:
    """Who knows the value already hands it over."""
    calls: list[int] = []
    store.store_value_func("p1", counting("sync", calls))
    store.mark_consumed("p1", "known")
    assert calls == []
    assert not store.has_value("p1")
    assert store.get_consumed_value("p1") in (None, "known")
    with pytest.raises(KeyError, match="p1"):
        store.mark_consumed("p1", "known")


@pytest.mark.parametrize("limit", [-1, 1.5, True, "3"])
def test_a_bad_limit_is_refused(limit: Any) -> None:
    """With a message that says what a limit is."""
    with pytest.raises(ConfigError, match="whole number from 0 on") as refused:
        PacketValueStore(True, limit)
    assert repr(limit) in str(refused.value)


def test_a_limit_needs_consumed_storage() -> None:
    """A limit that would limit nothing is a mistake."""
    with pytest.raises(ConfigError, match="needs consumed_storage=True"):
        PacketValueStore(consumed_storage_limit=3)


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_there_while_its_value_is(tmp_path: Path) -> None:
    """From `store_value` on, until `consume` or `remove`. Functions have none."""
    store = PacketValueStore(storage_path=tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    assert names(folder) == []
    store.store_value("p1-abc", {"rows": 3})
    store.store_value("p2-abc", 2)
    store.store_value_func("p3-abc", lambda: 3)
    assert names(folder) == ["p1-abc.pkl", "p2-abc.pkl"]
    store.get_value("p1-abc")
    assert names(folder) == ["p1-abc.pkl", "p2-abc.pkl"]
    store.consume("p1-abc")
    assert names(folder) == ["p2-abc.pkl"]
    store.remove("p2-abc")
    store.consume("p3-abc")
    assert names(folder) == []


def test_files_survive_to_another_store(tmp_path: Path) -> None:
    """A new store on the folder begins with what is there, local functions and classes included."""
    first = PacketValueStore(storage_path=tmp_path)
    first.store_value("p1", [1])
    first.store_value("p2", lambda x: x + 1)
    first.store_value("p3", 3)
    first.consume("p3")
    second = PacketValueStore(storage_path=str(tmp_path))
    assert second.ids() == ["p1", "p2"]
    assert len(second) == 2
    assert second.consume("p1") == [1]
    assert second.get_value("p2")(1) == 2
    assert names(tmp_path) == ["p2.pkl"]


def test_an_unconsumed_value_has_its_file_again(tmp_path: Path) -> None:
    """It survives as before."""
    store = PacketValueStore(storage_path=tmp_path)
    store.store_value("p1", 1)
    store.unconsume("p1", store.consume("p1"))
    assert PacketValueStore(storage_path=tmp_path).consume("p1") == 1


ODD_IDS = ["../x", "a/b", "..", ".", "a.pkl", "a.tmp", "%2F", "a b", "ü", "a\\b", "~", "*", "CON", "x\n", "a\0b"]


@pytest.mark.parametrize("id", ODD_IDS)
def test_odd_ids_stay_in_the_folder(tmp_path: Path, id: str) -> None:
    """Whatever the id, its file is in the folder, is found again, and is no other id's."""
    folder = tmp_path / "inner"
    store = PacketValueStore(storage_path=folder)
    store.store_value(id, "odd")
    store.store_value("x", "plain")
    assert len(names(folder)) == 2
    assert names(tmp_path) == ["inner"]
    again = PacketValueStore(storage_path=folder)
    assert sorted(again.ids()) == sorted([id, "x"])
    assert again.consume(id) == "odd"
    assert names(folder) == ["x.pkl"]


def test_all_odd_ids_have_files_of_their_own(tmp_path: Path) -> None:
    """No two of them meet in one file."""
    store = PacketValueStore(storage_path=tmp_path)
    for number, id in enumerate(ODD_IDS):
        store.store_value(id, number)
    assert [store.get_value(id) for id in ODD_IDS] == list(range(len(ODD_IDS)))
    assert len(names(tmp_path)) == len(ODD_IDS)


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    """What is no value file is not taken for one."""
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "p1.tmp").write_bytes(b"half")
    store = PacketValueStore(storage_path=tmp_path)
    assert store.ids() == []
    assert len(store) == 0


@pytest.mark.parametrize("before", [False, True])
def test_a_value_that_cannot_be_pickled_leaves_nothing(tmp_path: Path, before: bool) -> None:
    """The error comes out, no file is left behind, an earlier value stays."""
    store = PacketValueStore(storage_path=tmp_path)
    if before:
        store.store_value("p1", "old")
    with pytest.raises(TypeError, match="lock"):
        store.store_value("p1", threading.Lock())
    assert names(tmp_path) == (["p1.pkl"] if before else [])
    assert store.has_value("p1") is before
    assert not before or store.get_value("p1") == "old"


def test_a_consume_that_cannot_be_kept_changes_nothing(tmp_path: Path) -> None:
    """What a value function made is to be kept in a file and cannot be pickled: the packet keeps its function."""
    store = PacketValueStore(consumed_storage=True, storage_path=tmp_path)
    store.store_value_func("p1", threading.Lock)
    with pytest.raises(TypeError, match="lock"):
        store.consume("p1")
    assert store.has_value("p1")
    assert len(store) == 1
    assert store.get_consumed_value("p1") is None
    assert names(tmp_path) == []


FULL_DISK = """
    import resource, sys
    from pathlib import Path
    from netrun import PacketValueStore

    folder = Path(sys.argv[1])
    store = PacketValueStore(storage_path=folder)
    store.store_value("p1", "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    for id in ("p1", "p2"):
        try:
            store.store_value(id, "x" * 100_000)
        except OSError as error:
            print(type(error).__name__, error.errno)
    print(sorted(path.name for path in folder.iterdir()), store.ids(), store.get_value("p1"), len(store))
    store.store_value("p2", "small")
    print(store.consume("p2"))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
"""


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A write that fails half-way, for real: no file is cut off, none is left over, and the store works on."""
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines == ["OSError 27", "OSError 27", "['p1.pkl'] ['p1'] old 1", "small"]


CRASH = """
    import os, sys
    from netrun import PacketValueStore

    store = PacketValueStore(storage_path=sys.argv[1])
    store.store_value("p1", "old")
    os.replace = lambda *_: os._exit(9)
    store.store_value("p1", "new")
"""


def test_a_crash_while_storing_leaves_the_old_value(tmp_path: Path) -> None:
    """The process is gone in the middle of it; the next store finds the value of before, and stores anew."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(CRASH), str(tmp_path)], timeout=60)
    assert done.returncode == 9
    store = PacketValueStore(storage_path=tmp_path)
    assert store.ids() == ["p1"]
    assert store.get_value("p1") == "old"
    store.store_value("p1", "new")
    assert store.get_value("p1") == "new"
    assert names(tmp_path) == ["p1.pkl"]


# -- threads ----------------------------------------------------------------------------------------------------------


def race(act: Any, times: int) -> list[Any]:
    """`act(number)` by two threads at once for each number; all results, exceptions among them."""
    barrier = threading.Barrier(2)
    results: list[Any] = []

    def run() -> None:
        for number in range(times):
            barrier.wait(10)
            try:
                results.append(act(number))
            except Exception as error:
                results.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    return results


@pytest.mark.parametrize("lazy", [False, True])
def test_of_two_threads_one_consumes(store: PacketValueStore, lazy: bool) -> None:
    """Each value is consumed exactly once; the other thread gets a `KeyError`, and nothing else."""
    times = 200
    for number in range(times):
        if lazy:
            store.store_value_func(f"p{number}", lambda number=number: number)
        else:
            store.store_value(f"p{number}", number)
    results = race(lambda number: store.consume(f"p{number}"), times)
    assert sorted(result for result in results if not isinstance(result, Exception)) == list(range(times))
    assert {type(result) for result in results if isinstance(result, Exception)} == {KeyError}
    assert len(store) == 0


def test_a_value_that_another_thread_consumes_meanwhile_is_a_key_error(tmp_path: Path) -> None:
    """With files, in the moment between looking at the names and reading the file."""
    store = PacketValueStore(storage_path=tmp_path)
    store.store_value("p1", 1)
    path = store._values._path

    def path_after_another_thread_came(id: str) -> Path:
        store._values._path = path
        other = threading.Thread(target=store.consume, args=(id,))
        other.start()
        other.join()
        return Path(path(id))

    store._values._path = path_after_another_thread_came
    with pytest.raises(KeyError, match="p1"):
        store.consume("p1")
    assert len(store) == 0


def test_a_value_that_goes_between_two_looks_is_a_key_error(store: PacketValueStore) -> None:
    """Another thread takes it after `consume` has seen that it is there."""
    store.store_value("p1", 1)
    must_be_active = store._must_be_active

    def and_then_another_thread_comes(id: str) -> None:
        must_be_active(id)
        store._must_be_active = must_be_active  # type: ignore[method-assign]
        store.consume(id)
        store.remove(id) if store.get_consumed_value(id) else None

    store._must_be_active = and_then_another_thread_comes  # type: ignore[method-assign]
    with pytest.raises(KeyError, match="p1"):
        store.consume("p1")
    assert len(store) == 0


def test_a_value_function_runs_without_the_lock() -> None:
    """While it runs another thread uses the store."""
    store = PacketValueStore(consumed_storage=True)
    store.store_value("other", 1)

    def slow() -> Any:
        got: list[Any] = []
        thread = threading.Thread(target=lambda: got.append(store.consume("other")))
        thread.start()
        thread.join(10)
        return got

    store.store_value_func("p1", slow)
    assert store.consume("p1") == [1]


def test_a_value_stored_for_a_consumed_id_is_active_again() -> None:
    """And is not evicted as the old one would have been."""
    store = PacketValueStore(consumed_storage=True, consumed_storage_limit=1)
    store.store_value("a", 1)
    store.consume("a")
    store.store_value("a", 2)
    assert (store.has_value("a"), len(store), store.ids()) == (True, 1, ["a"])
    store.store_value("b", 3)
    store.consume("b")
    assert store.consume("a") == 2
