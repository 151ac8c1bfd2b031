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
# A checkpoint is a folder of a few files and a manifest that has the hash of each, and of itself. Two promises:
#
# - **The old one or the new one.** Whenever the writing ends, by an error or by a crash, one of the two is there in full.
# - **What is read is what was written.** A folder is read and checked as a whole before anybody looks into it. With a key,
#   only who has the key can have written it.

# %%
#|default_exp folders

# %%
#|export
import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
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
FILES = ("net_state.json", "packets.pkl", "history.jsonl", "definition.toml")
Key = bytes | str | None


def _canonical(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _signature(key: bytes | str, manifest: Mapping[str, Any]) -> str:
    signed = {name: value for name, value in manifest.items() if name not in ("signature", "sha256")}
    return hmac.new(key.encode() if isinstance(key, str) else key, _canonical(signed), hashlib.sha256).hexdigest()


def _sum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical({name: manifest[name] for name in manifest if name != "sha256"})).hexdigest()


def check_key(key: Any) -> None:
    """Raise `ConfigError` for what is no key."""
    if key is not None and (not isinstance(key, (bytes, str)) or not key):
        raise ConfigError("the key of a checkpoint is bytes or a text, and not empty.")


def manifest_of(files: Mapping[str, bytes], facts: Mapping[str, Any], key: Key = None) -> bytes:
    """The manifest of some files. `facts` go into it."""
    manifest = {"format": FORMAT, **facts, "files": {name: hashlib.sha256(files[name]).hexdigest() for name in files}}
    if key is not None:
        manifest["signature"] = _signature(key, manifest)
    return _canonical({**manifest, "sha256": _sum(manifest)})


# %% [markdown]
# ## Reading
#
# Where a crash came between the two renamings of a save (below), the folder's name is missing and the old one is beside.


# %%
#|export
def has_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a checkpoint to read."""
    places = _Places(path)
    return bool(_names_in(places.path) or _names_in(places.old))


def read_folder(path: str | os.PathLike[str], key: Key = None) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the files of a checkpoint, checked. Raises `CheckpointError` where there is none or the key is not
    right, `CheckpointCorrupt` for a file that is not what was written, `CheckpointMismatch` for a newer format."""
    check_key(key)
    folder = _Places(path).readable()
    manifest = _manifest(folder, key)
    files: dict[str, bytes] = {}
    for name, expected in manifest["files"].items():
        files[name] = _content(folder, name)
        got = hashlib.sha256(files[name]).hexdigest()
        if got != expected:
            raise CheckpointCorrupt(folder, name, f"sha256 {expected}", f"it has {got}. Take another checkpoint")
    return manifest, files


def _content(folder: str, name: str) -> bytes:
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise CheckpointCorrupt(folder, name, "a file", "it is missing") from None
    except OSError as error:
        raise CheckpointError(folder, name, "a file that can be read", _told(error)) from error


def _manifest(folder: str, key: Key) -> dict[str, Any]:
    """The manifest, if it is sound and signed as it should be."""
    raw = _content(folder, MANIFEST)
    try:
        manifest = json.loads(raw)
        is_sound = manifest["sha256"] == _sum(manifest) and raw == _canonical(manifest)
    except (ValueError, KeyError, TypeError, RecursionError):
        is_sound = False
    if not is_sound:
        raise CheckpointCorrupt(folder, MANIFEST, "a manifest with the right sha256", "it is torn or was changed")
    if manifest["format"] > FORMAT:
        told = f"it has format {manifest['format']}, of netrun {manifest['versions']['netrun']}. Use that version"
        raise CheckpointMismatch(folder, MANIFEST, f"a format up to {FORMAT}", told)
    _must_be_signed(folder, manifest, key)
    if set(manifest["files"]) - set(FILES):
        raise CheckpointCorrupt(folder, MANIFEST, f"files among {', '.join(FILES)}", "it names others")
    return dict(manifest)


def _must_be_signed(folder: str, manifest: dict[str, Any], key: Key) -> None:
    signature = manifest.get("signature")
    if key is None and signature is not None:
        raise CheckpointError(
            folder, MANIFEST, "a key", "the checkpoint is signed. Give the key that it was saved with"
        )
    if key is not None and signature is None:
        raise CheckpointError(folder, MANIFEST, "a signature", "the checkpoint was saved without a key")
    if key is not None and not hmac.compare_digest(str(signature), _signature(key, manifest)):
        raise CheckpointError(folder, MANIFEST, "a signature by this key", "it is signed with another key")


# %% [markdown]
# ## Writing
#
# ```
#   write path.new, each file and the folder synced        crash: path is as it was
#   path     -> path.old                                   crash: path.old is read
#   path.new -> path, the folder above synced              crash: path is the new one
#   remove path.old
# ```
#
# What a crash has left beside is cleared away by the next save. A folder that is no checkpoint is never written over.


# %%
#|exporti
class _Places:
    """A checkpoint's folder, and the two beside it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.realpath(os.fspath(path))
        self.new, self.old = f"{self.path}.new", f"{self.path}.old"
        self.above = os.path.dirname(self.path)

    def readable(self) -> str:
        """The folder to read from. Raises `CheckpointError`."""
        for folder in (self.path, self.old):
            if os.path.isdir(folder):
                return folder
        raise CheckpointError(self.path, None, "a folder", "there is none of this name")

    def must_be_ours(self) -> None:
        """Raise `CheckpointError` where something else than a checkpoint would be written over."""
        for folder in (self.path, self.new, self.old):
            names = _names_in(folder)
            if not set(names) <= {*FILES, MANIFEST}:
                raise CheckpointError(
                    folder, None, "a checkpoint, an empty folder, or nothing", f"it holds {names[0]!r}"
                )

    def settle(self) -> None:
        """Clear away what a crash has left."""
        if os.path.isdir(self.old) and not os.path.isdir(self.path):
            os.rename(self.old, self.path)
        self.clear()

    def swap(self) -> None:
        """The new one takes the place of the old one. Raises what the disk says, and then the old one has it again."""
        if os.path.isdir(self.path):
            os.rename(self.path, self.old)
        try:
            os.rename(self.new, self.path)
            try:
                _sync_folder(self.above)
            except BaseException:
                os.rename(self.path, self.new)
                raise
        except BaseException:
            if os.path.isdir(self.old):
                os.rename(self.old, self.path)
            raise

    def clear(self) -> None:
        """Remove what is beside."""
        _remove(self.new)
        _remove(self.old)


def _names_in(folder: str) -> list[str]:
    if not os.path.lexists(folder):
        return []
    try:
        return sorted(os.listdir(folder), key=lambda name: name in (*FILES, MANIFEST))
    except NotADirectoryError:
        raise CheckpointError(folder, None, "a folder", "it is a file") from None


def _remove(folder: str) -> None:
    """Remove a folder of ours, if it is there."""
    for name in _names_in(folder):
        os.unlink(os.path.join(folder, name))
    if os.path.isdir(folder):
        os.rmdir(folder)


def _write(path: str, content: bytes) -> None:
    """Write a file, and wait until the disk has it."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
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


# %%
#|export
def write_folder(
    path: str | os.PathLike[str], files: Mapping[str, bytes], facts: Mapping[str, Any], key: Key = None
) -> None:
    """Write a checkpoint. Raises `CheckpointError`, and then the one that was there is there, and nothing beside it."""
    places = _Places(path)
    try:
        places.must_be_ours()
        if not os.path.isdir(places.above):
            os.makedirs(places.above)
        places.settle()
        try:
            os.mkdir(places.new)
            _fill(places.new, [*files.items(), (MANIFEST, manifest_of(files, facts, key))])
            places.swap()
        except BaseException:
            with suppress(OSError):
                places.settle()
            raise
        with suppress(OSError):  # it is written; the next save clears away what is left
            places.clear()
    except OSError as error:
        raise CheckpointError(places.path, None, "a disk that takes it", _told(error)) from error


def _fill(folder: str, files: Iterable[tuple[str, bytes]]) -> None:
    for name, content in files:
        _write(os.path.join(folder, name), content)
    _sync_folder(folder)


# %%
from tempfile import TemporaryDirectory

folder = TemporaryDirectory()
path = os.path.join(folder.name, "checkpoint")
facts = {"omitted": [], "versions": {"netrun": "0.1.0"}}
write_folder(path, {"packets.pkl": b"one"}, facts)
write_folder(path, {"packets.pkl": b"two"}, facts, key="secret")
assert read_folder(path, "secret")[1] == {"packets.pkl": b"two"} and os.listdir(folder.name) == ["checkpoint"]

# %% [markdown]
# What is not right is told before anybody looks into it:

# %%
for key in (None, "guess"):
    try:
        read_folder(path, key)
    except CheckpointError as error:
        print(error)
with open(os.path.join(path, "packets.pkl"), "wb") as file:
    file.write(b"twO")
try:
    read_folder(path, "secret")
except CheckpointCorrupt as error:
    print(error)
else:
    raise AssertionError("the change was not found")
folder.cleanup()
