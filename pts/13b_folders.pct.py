# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A checkpoint on disk
#
# A checkpoint is a folder of a few files and a manifest that has the hash of each, and of itself. The promises:
#
# - **The old one or the new one.** Whenever the writing ends, by an error, a crash or a power cut, one of the two is there in
#   full. Who reads meanwhile gets one of the two.
# - **One at a time.** Who saves into a folder that another thread or process is saving into waits until that is done.
# - **What is read is what was written.** A folder is read and checked as a whole before anybody looks into it. With a key,
#   only who has the key can have written it.
# - **What is yours stays.** A file is replaced or removed only if a manifest proves that netrun wrote it. The folder itself
#   stays where it is, with its mode; it may be a mount point, or the current directory.

# %%
#|default_exp folders

# %%
#|export
import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from stat import S_IMODE
from threading import get_ident
from typing import Any

from netrun.core import CheckpointCorrupt, CheckpointError, CheckpointMismatch, ConfigError, _told

# %% [markdown]
# ## The manifest
#
# ```json
# {"files": {"net_state.json": "<sha256>", …}, "format": 1, "omitted": […], "versions": {…},
#  "signature": "<HMAC-SHA256, with a key>", "sha256": "<of all that, without this line>"}
# ```
#
# It is JSON in one form only (sorted, no spaces), so that each changed byte shows.


# %%
#|export
FORMAT = 1
MANIFEST = "manifest.json"
NEEDED = ("net_state.json", "packets.pkl", "definition.toml")
FILES = (*NEEDED, "history.jsonl")
Key = bytes | str | None
FolderPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def _canonical(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _signature(key: bytes | str, manifest: Mapping[str, Any]) -> str:
    signed = {name: value for name, value in manifest.items() if name not in ("signature", "sha256")}
    return hmac.new(key.encode() if isinstance(key, str) else key, _canonical(signed), hashlib.sha256).hexdigest()


def _sum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical({name: manifest[name] for name in manifest if name != "sha256"})).hexdigest()


def manifest_of(files: Mapping[str, bytes], facts: Mapping[str, Any], key: Key = None) -> bytes:
    """The manifest of some files. `facts` go into it."""
    manifest = {"format": FORMAT, **facts, "files": {name: hashlib.sha256(files[name]).hexdigest() for name in files}}
    if key is not None:
        manifest["signature"] = _signature(key, manifest)
    return _canonical({**manifest, "sha256": _sum(manifest)})


# %%
some = dict.fromkeys(NEEDED, b"")
facts = {"omitted": [], "versions": {"netrun": "0.1.0"}}
manifest = manifest_of(some, facts, "secret")
assert json.loads(manifest)["files"]["packets.pkl"] == hashlib.sha256(b"").hexdigest()
assert json.loads(manifest)["signature"] != json.loads(manifest_of(some, facts, "guess"))["signature"]

# %% [markdown]
# A path and a key are looked at before anything else is done.


# %%
#|export
def check_key(key: Any) -> None:
    """Raise `ConfigError` for what is no key."""
    if key is not None and (not isinstance(key, (bytes, str)) or not key):
        raise ConfigError("the key of a checkpoint is bytes or a text, and not empty.")
    try:
        _ = key.encode() if isinstance(key, str) else key
    except UnicodeError:
        raise ConfigError("the key of a checkpoint has a character that is none (a lone surrogate).") from None


def folder_of(path: Any) -> str:
    """The folder that a path leads to, links followed. Raises `ConfigError` for what is no path."""
    try:
        folder = os.fsdecode(path)
        os.fsencode(folder)
    except (TypeError, UnicodeError):
        raise ConfigError(f"the folder of a checkpoint is a text or a path, not {path!r}.") from None
    if not folder or "\0" in folder:
        raise ConfigError(f"the folder of a checkpoint has a name, without NUL; {path!r} is none.")
    return os.path.realpath(folder)


# %%
for wrong in (3, None, "", "a\0b"):
    try:
        folder_of(wrong)
    except ConfigError as error:
        print(error)
    else:
        raise AssertionError(wrong)

# %% [markdown]
# ## How a save goes
#
# ```
#   make run/.netrun-…/, which holds the new files               run/packets.pkl    the old one
#     and a copy of the old manifest; all synced                 run/manifest.json  the old one
#   run/.netrun-…/manifest.json -> run/manifest.json, synced     run/manifest.json  THE NEW ONE
#   run/.netrun-…/packets.pkl   -> run/packets.pkl, and so on    run/packets.pkl    the new one
#   remove run/.netrun-…/
# ```
#
# Each `->` is a renaming, which is done as a whole or not at all. The third line decides: before it the folder is the old
# checkpoint, after it the new one, whose files are then found by their hashes, beside or already in their places. The next
# save does what a crash has kept the last one from doing.
#
# ## Reading


# %%
#|export
def has_folder(path: FolderPath) -> bool:
    """Whether there is a checkpoint to read, sound or not."""
    return not {*FILES, MANIFEST}.isdisjoint(_names_in(folder_of(path)))


def read_folder(path: FolderPath, key: Key = None) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the files of a checkpoint, checked. Raises `CheckpointError` where there is none or the key is not
    right, `CheckpointCorrupt` for a file that is not what was written, `CheckpointMismatch` for a newer format."""
    check_key(key)
    folder = folder_of(path)
    while True:
        raw = _raw_manifest(folder)
        try:
            manifest = _manifest(folder, raw)
            _must_be_signed(folder, manifest, key)
            return manifest, _checked_files(folder, manifest["files"])
        except CheckpointError:
            if raw == _raw_manifest(folder):  # else somebody has saved meanwhile
                raise


def _checked_files(folder: str, sums: Mapping[str, str]) -> dict[str, bytes]:
    """Beside first: a file moves from there to its place, and so it is not missed."""
    places = [*_besides(folder), folder]
    return {name: _checked_file(places, name, expected) for name, expected in sums.items()}


def _checked_file(places: list[str], name: str, expected: str) -> bytes:
    got = "it is missing"
    for place in places:
        content = _content(place, name)
        if content is not None:
            found = hashlib.sha256(content).hexdigest()
            if found == expected:
                return content
            got = f"it has {found}. Take another checkpoint"
    raise CheckpointCorrupt(places[-1], name, f"sha256 {expected}", got)


# %%
#|exporti
def _content(folder: str, name: str) -> bytes | None:
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(folder, name, "a file that can be read", _told(error)) from error


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        told = "it is a file" if isinstance(error, NotADirectoryError) else _told(error)
        raise CheckpointError(folder, None, "a folder that can be read", told) from error


# %% [markdown]
# A manifest is taken for one if its own hash is right and it says what one of this format says.


# %%
#|exporti
def _raw_manifest(folder: str) -> bytes:
    is_there = has_folder(folder)  # looked for first: no file is there before the manifest is
    raw = _content(folder, MANIFEST)
    if raw is None and is_there:
        raise CheckpointCorrupt(folder, MANIFEST, "a file", "it is missing")
    if raw is None:
        raise CheckpointError(folder, None, "a checkpoint", "there is none of this name")
    return raw


def _manifest(folder: str, raw: bytes) -> dict[str, Any]:
    """A manifest, if it is sound."""
    try:
        manifest = json.loads(raw)
        is_sound = manifest["sha256"] == _sum(manifest) and raw == _canonical(manifest)
    except (ValueError, KeyError, TypeError, RecursionError):
        is_sound = False
    if not is_sound:
        raise CheckpointCorrupt(folder, MANIFEST, "a manifest with the right sha256", "it is torn or was changed")
    number, versions = manifest.get("format"), manifest.get("versions")
    if type(number) is int and number > FORMAT:
        of = versions.get("netrun", "?") if isinstance(versions, dict) else "?"
        told = f"it has format {number}, of netrun {of}. Use that version"
        raise CheckpointMismatch(folder, MANIFEST, f"a format up to {FORMAT}", told)
    if type(number) is not int or number < 1 or not _says_all(manifest):
        expected = f"format 1 to {FORMAT}, versions, omitted, and the sums of {', '.join(NEEDED)}"
        raise CheckpointCorrupt(folder, MANIFEST, expected, "it says something else")
    return dict(manifest)


def _says_all(manifest: Mapping[str, Any]) -> bool:
    files, versions = manifest.get("files"), manifest.get("versions")
    return (
        isinstance(files, dict)
        and set(NEEDED) <= set(files) <= set(FILES)
        and all(isinstance(one, str) for one in files.values())
        and isinstance(versions, dict)
        and isinstance(manifest.get("omitted"), list)
    )


def _must_be_signed(folder: str, manifest: dict[str, Any], key: Key) -> None:
    signature = manifest.get("signature")
    if key is None and signature is not None:
        raise CheckpointError(
            folder, MANIFEST, "a key", "the checkpoint is signed. Give the key that it was saved with"
        )
    if key is not None and signature is None:
        raise CheckpointError(folder, MANIFEST, "a signature", "the checkpoint was saved without a key")
    if key is not None and not hmac.compare_digest(ascii(signature), ascii(_signature(key, manifest))):
        raise CheckpointError(folder, MANIFEST, "a signature by this key", "it is signed with another key")


# %% [markdown]
# ## Beside
#
# The folder of a save that is under way has a name that nobody comes by otherwise: a random text, and a hash of it. Where a
# save may look into such a folder, no other saver lives: it has the lock (below).


# %%
#|exporti
REPLACED = "replaced.json"  # the manifest that was there before; empty where there was none


def _mark(text: str) -> str:
    return hashlib.sha256(f"netrun checkpoint {text}".encode()).hexdigest()[:16]


def _new_beside(folder: str) -> str:
    text = os.urandom(8).hex()
    return os.path.join(folder, f".netrun-{text}-{_mark(text)}")


def _besides(folder: str) -> list[str]:
    """The folders in it that saves have made and not removed yet."""
    parts = [name.split("-") for name in _names_in(folder)]
    made = [each for each in parts if len(each) == 3 and each[0] == ".netrun" and each[2] == _mark(each[1])]
    return [os.path.join(folder, "-".join(each)) for each in made]


def _sums_of(raw: bytes | None) -> dict[str, str]:
    """The sums in a manifest, none if it is not sound."""
    try:
        return dict(_manifest("", raw or b"")["files"])
    except CheckpointError:
        return {}


def _sum_in(folder: str, name: str) -> str | None:
    """The sum of a file. None where there is nothing; what is no file, but a folder or a link, has none that fits."""
    path = os.path.join(folder, name)
    if not os.path.lexists(path):
        return None
    if os.path.islink(path) or not os.path.isfile(path):
        return "no file"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# %%
from tempfile import TemporaryDirectory

folder = TemporaryDirectory()
os.mkdir(_new_beside(folder.name))
os.mkdir(os.path.join(folder.name, ".netrun-mine-0"))
print(os.listdir(folder.name))
assert len(_besides(folder.name)) == 1

# %% [markdown]
# Settling: of what is beside, what the manifest asks for goes to its place, and the rest goes away. The manifest leaves a
# folder beside only by the renaming that decides; where it has, the disk must have that before anything is moved. A file in
# the way that neither manifest knows is somebody's: all stays as it is then.


# %%
#|exporti
def _settle(folder: str) -> None:
    """End what saves have begun. Raises `OSError`; to be called again does no harm."""
    sums = _sums_of(_content(folder, MANIFEST))
    for beside in _besides(folder):
        names = _names_in(beside)
        is_ours = set(names) <= {*FILES, MANIFEST, REPLACED}
        if is_ours and (MANIFEST in names or not names or _put_in_place(folder, beside, sums)):
            _remove(beside)


def _put_in_place(folder: str, beside: str, sums: Mapping[str, str]) -> bool:
    """Move the files that `sums` asks for to their places. False where something is in the way."""
    _sync_folder(folder)
    replaced = _sums_of(_content(beside, REPLACED))
    for name in FILES:
        place, here = os.path.join(folder, name), _sum_in(folder, name)
        if name in sums and _sum_in(beside, name) == sums[name]:
            if here not in (None, sums[name], replaced.get(name)):
                return False
            os.replace(os.path.join(beside, name), place)
        elif name not in sums and here is not None and here == replaced.get(name):
            os.unlink(place)
    _sync_folder(folder)
    return True


def _remove(beside: str) -> None:
    for name in _names_in(beside):
        os.unlink(os.path.join(beside, name))
    os.rmdir(beside)


# %%
_settle(folder.name)  # nothing was decided upon: it goes away
assert os.listdir(folder.name) == [".netrun-mine-0"]

# %% [markdown]
# ## The disk


# %%
#|exporti
def _write(path: str, content: bytes, mode: int) -> None:
    """Write a file, and wait until the disk has it."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)
    finally:
        os.close(file)


def _sync_folder(folder: str) -> None:
    """Wait until the disk has the names in a folder. Windows has no way to say that."""
    if os.name == "nt":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _make(folder: str, made: list[str]) -> None:
    """Make a folder, and those above it; `made` tells which."""
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for each in reversed(missing):
        try:
            os.mkdir(each)
        except FileExistsError:
            if not os.path.isdir(each):
                raise CheckpointError(each, None, "a folder", "it is a file") from None
        else:
            made.append(each)
        _sync_folder(os.path.dirname(each))


# %% [markdown]
# ## One at a time
#
# The lock is on the folder itself. It ends with the process that has it, however that ends; a process that was forked off
# meanwhile gives it up. Windows and some network disks know no such locks: there it is up to you that no two save to one
# folder.


# %%
#|exporti
_LOCKS: dict[int, int] = {}  # folders that are open for their lock, and the threads that opened them


def _leave_locks() -> None:
    """In a process that was forked off: they are the parent's."""
    while _LOCKS:
        os.close(_LOCKS.popitem()[0])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_locks)


@contextmanager
def _alone_in(folder: str) -> Iterator[None]:
    """The folder, made if there is none, and nobody else saves into it. If this fails, what was made goes again."""
    made: list[str] = []
    is_alone = False
    with _gone_if_it_fails(made):
        while not is_alone:
            _make(folder, made)
            with _locked(folder) as is_alone:
                if is_alone:
                    with _gone_if_it_fails(made):
                        yield


@contextmanager
def _gone_if_it_fails(made: list[str]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            while made:
                os.rmdir(made.pop())
        raise


@contextmanager
def _locked(folder: str) -> Iterator[bool]:
    """True while the folder is locked; False where it has gone away meanwhile."""
    if os.name == "nt":
        yield True
        return
    from fcntl import LOCK_UN, flock

    try:
        opened = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    _LOCKS[opened] = get_ident()
    try:
        _lock(folder, opened)
        yield os.path.isdir(folder) and os.path.samestat(os.stat(folder), os.fstat(opened))
    finally:
        del _LOCKS[opened]
        with suppress(OSError):  # a file system without locks
            flock(opened, LOCK_UN)
        with suppress(OSError):  # nothing was written by it
            os.close(opened)


def _lock(folder: str, opened: int) -> None:
    from fcntl import LOCK_EX, LOCK_NB, flock

    try:
        flock(opened, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        if list(_LOCKS.values()).count(get_ident()) > 1:  # in a signal handler, say: it would wait for itself
            told = "this thread is in the middle of another. Save when that has returned"
            raise CheckpointError(folder, None, "one save at a time", told) from None
        flock(opened, LOCK_EX)
    except OSError:  # a file system without locks
        return


# %%
from threading import Thread

path = os.path.join(folder.name, "checkpoint")
order = []


def second():
    with _alone_in(path):
        order.append("second")


thread = Thread(target=second)
with _alone_in(path):
    thread.start()
    order.append("first")
    try:
        second()  # as a signal handler would
    except CheckpointError as error:
        print(error)
thread.join()
assert order == ["first", "second"]

# %% [markdown]
# ## Writing
#
# A folder without a manifest is written to only if it is empty but for hidden files (`.DS_Store`, `.gitkeep`) and the
# `lost+found` of a disk.


# %%
#|export
def write_folder(path: FolderPath, files: Mapping[str, bytes], facts: Mapping[str, Any], key: Key = None) -> None:
    """Write a checkpoint. Raises `CheckpointError`, and then the one that was there is there, and nothing beside it."""
    folder = folder_of(path)
    try:
        with _alone_in(folder):
            replaced = _must_be_ours(folder, files)
            _save(folder, replaced, {**files, MANIFEST: manifest_of(files, facts, key)})
    except OSError as error:
        raise CheckpointError(folder, None, "a disk that takes it", _told(error)) from error


def _must_be_ours(folder: str, files: Mapping[str, bytes]) -> bytes:
    """The manifest that is there, or nothing. Raises `CheckpointError` where what is not netrun's would be written over."""
    names = _names_in(folder)
    raw = _content(folder, MANIFEST) if MANIFEST in names else None
    if raw is None:
        others = [name for name in names if not name.startswith(".") and name != "lost+found"]
        if others:
            told = f"it holds {others[0]!r}. Save to a folder of its own"
            raise CheckpointError(folder, None, "a checkpoint, an empty folder, or nothing", told)
    sums = {} if raw is None else _manifest(folder, raw)["files"]
    _settle(folder)
    for name in files:
        if _sum_in(folder, name) not in (None, sums.get(name)):
            told = "it is another, so it may be yours. Move it away, or save to another folder"
            raise CheckpointError(folder, name, "the file of the checkpoint that is there", told)
    return raw or b""


# %%
#|exporti
def _save(folder: str, replaced: bytes, files: Mapping[str, bytes]) -> None:
    beside = _new_beside(folder)
    mode = S_IMODE(os.stat(os.path.join(folder, MANIFEST)).st_mode) if replaced else 0o666
    try:
        os.mkdir(beside)
        for name, content in sorted({**files, REPLACED: replaced}.items(), key=lambda item: item[0] != MANIFEST):
            _write(os.path.join(beside, name), content, mode)
        _sync_folder(beside)
        _sync_folder(folder)
        _decide(folder, beside, bool(replaced))
        with suppress(OSError, CheckpointError):  # it is saved; the next save settles what is left
            _settle(folder)
    except BaseException:
        with suppress(OSError, CheckpointError):
            _settle(folder)
        raise


def _decide(folder: str, beside: str, has_old: bool) -> None:
    """The new manifest takes the place of the old one. If the disk does not take that, the old one has it again."""
    manifest = os.path.join(folder, MANIFEST)
    os.replace(os.path.join(beside, MANIFEST), manifest)
    try:
        _sync_folder(folder)
    except BaseException:
        if has_old:
            os.replace(os.path.join(beside, REPLACED), manifest)
        else:
            os.unlink(manifest)
        raise


# %%
write_folder(path, {**some, "packets.pkl": b"one"}, facts)
write_folder(path, {**some, "packets.pkl": b"two"}, facts, key="secret")
assert read_folder(path, "secret")[1]["packets.pkl"] == b"two"
assert sorted(os.listdir(path)) == sorted([*NEEDED, MANIFEST])

# %% [markdown]
# What is not right is told before anybody looks into it:

# %%
for key in (None, "guess"):
    try:
        read_folder(path, key)
    except CheckpointError as error:
        print(error)

# %% [markdown]
# Here the power is cut when the new manifest has its place, and the files have not. It is the new one that is read, and the
# next save clears away what was left.

# %%
from unittest.mock import patch

real = os.replace


def cut(source, target):
    if not target.endswith(MANIFEST):
        raise KeyboardInterrupt
    real(source, target)


try:
    with patch("os.replace", cut):
        write_folder(path, {**some, "packets.pkl": b"three"}, facts)
except KeyboardInterrupt:
    print(sorted(os.listdir(path)))
assert read_folder(path)[1]["packets.pkl"] == b"three"
write_folder(path, {**some, "packets.pkl": b"four"}, facts, key="secret")
assert sorted(os.listdir(path)) == sorted([*NEEDED, MANIFEST])

# %% [markdown]
# A file that was changed is found. It is none that netrun wrote any more, so it is not written over either:

# %%
with open(os.path.join(path, "packets.pkl"), "wb") as file:
    file.write(b"fouR")
try:
    read_folder(path, "secret")
except CheckpointCorrupt as error:
    print(error)
else:
    raise AssertionError("the change was not found")

try:
    write_folder(path, some, facts)
except CheckpointError as error:
    print(error)
else:
    raise AssertionError("it was written over")
folder.cleanup()
