"""What a program asks of the disk while it saves a net: every call counted, so that it can be ended at each of them."""

import errno
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

CALLS = ("mkdir", "open", "write", "fsync", "close", "rename", "replace", "unlink", "rmdir")


class Counted:
    """Stands in for the calls of `os`. Calls `at(name)` before number `fatal`; a write is done by half then. Or `after`
    it; or before each one from there on (`on`)."""

    def __init__(self, fatal: int, at: Any, after: bool, on: bool) -> None:
        self.fatal, self.at, self.after, self.on = fatal, at, after, on
        self.calls: list[str] = []

    def of(self, name: str) -> Any:
        """What stands in for this call."""
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            is_it = 0 < self.fatal <= len(self.calls) if self.on else len(self.calls) == self.fatal
            if is_it and not self.after:
                if name == "write":
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                self.at(name)
            result = real(*arguments, **options)
            if is_it and self.after:
                self.at(name)
            return result

        return call


@contextmanager
def counted(
    fatal: int = 0, at: Any = None, *, after: bool = False, on: bool = False, names: tuple[str, ...] = CALLS
) -> Iterator[Counted]:
    """Within this the calls of these names are counted."""
    counts = Counted(fatal, at, after, on)
    patches = [patch.object(os, name, counts.of(name)) for name in names]
    for each in patches:
        each.start()
    try:
        yield counts
    finally:
        for each in patches:
            each.stop()


def die(name: str) -> None:
    """As `kill -9` does it."""
    os.kill(os.getpid(), signal.SIGKILL)


def no_room(name: str) -> None:
    """The disk is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupt(name: str) -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


def killed_at_each(path: str, save: Any, prepare: Any, names: tuple[str, ...] = CALLS) -> Iterator[tuple[int, str]]:
    """Call `save` in forked processes, of which each is killed one call further on; `prepare` before each. Yields after
    each which call it was."""
    prepare()
    with counted(names=names) as counts:
        save()
    for fatal, name in enumerate(counts.calls, start=1):
        prepare()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                with counted(fatal, die, names=names):
                    save()
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        yield fatal, name


# -- power cuts --------------------------------------------------------------------------------------------------------

Tree = dict[str, bytes | None]  # what is on a disk: the content of each file, None for a folder


def tree_of(root: str | os.PathLike[str]) -> Tree:
    """All that is in a folder. A link is told by where it leads."""
    found: Tree = {}
    for path in sorted(Path(root).rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = b"-> " + os.fsencode(path.readlink())
        else:
            found[name] = None if path.is_dir() else path.read_bytes()
    return found


class Disk:
    """A disk that has only what was synced. `root` is what it had before. A renaming is on disk when the folder that it
    goes to is synced."""

    def __init__(self, root: str) -> None:
        self.root, self.before = root, tree_of(root)
        self.steps: list[Any] = []  # what happened to names: (folders, how)
        self.synced: list[tuple[int, str]] = []  # how many steps there were when this folder was synced
        self.contents: dict[int, list[Any]] = {}  # by file: what was written, and whether that was synced
        self.opened: dict[int, Any] = {}
        self.files: dict[str, int] = {}  # the new files, by their names now
        self.cuts: set[frozenset[Any]] = set()  # what may have been there after a cut at some moment

    def trace(self) -> Any:
        """Stands in for the calls of `os` while a program runs."""
        return patch.multiple(os, **{name: partial(getattr(self, name), getattr(os, name)) for name in
                                     ("open", "write", "fsync", "mkdir", "replace", "unlink", "rmdir")})  # fmt: skip

    def _name(self, path: Any) -> str:
        return os.path.relpath(path, self.root)

    def _step(self, path: Any, *how: Any) -> None:
        self.steps.append((os.path.dirname(self._name(path)) or ".", how))
        self._note()

    def _note(self) -> None:
        self.cuts |= {frozenset(tree.items()) for tree in self.after_a_cut()}

    def open(self, real: Any, path: Any, flags: int, *mode: int) -> int:
        """A new file is a step; a folder is opened to be synced."""
        opened: int = real(path, flags, *mode)
        self.opened[opened] = self._name(path)
        if flags & os.O_CREAT:
            self.opened[opened] = len(self.contents)
            self.contents[len(self.contents)] = [b"", False]
            self.files[self._name(path)] = self.opened[opened]
            self._step(path, "create", self._name(path), self.opened[opened])
        return opened

    def write(self, real: Any, opened: int, content: Any) -> int:
        """Not on disk yet."""
        self.contents[self.opened[opened]][0] += bytes(content)
        self._note()
        return int(real(opened, content))

    def fsync(self, real: Any, opened: int) -> None:
        """Of a file or of a folder."""
        what = self.opened[opened]
        if isinstance(what, int):
            self.contents[what][1] = True
        else:
            self.synced.append((len(self.steps), what))
        self._note()

    def mkdir(self, real: Any, path: Any) -> None:
        """A step."""
        real(path)
        self._step(path, "create", self._name(path), None)

    def replace(self, real: Any, source: Any, target: Any) -> None:
        """A step."""
        real(source, target)
        file = self.files[self._name(target)] = self.files.pop(self._name(source))
        self._step(target, "move", self._name(target), file, self._name(source))

    def unlink(self, real: Any, path: Any) -> None:
        """A step."""
        real(path)
        self._step(path, "remove", self._name(path))

    rmdir = unlink

    def after_a_cut(self) -> Iterator[Tree]:
        """What may be there if the power goes now: of the steps that are not synced all, none, each alone, all but
        each; of contents that are not synced all or nothing."""
        loose = [
            number
            for number, (folder, _) in enumerate(self.steps)
            if not any(synced == folder and number < until for until, synced in self.synced)
        ]
        kept = [set(loose), set(), *({number} for number in loose), *(set(loose) - {number} for number in loose)]
        for some in kept:
            steps = [how for number, (_, how) in enumerate(self.steps) if number not in loose or number in some]
            for with_contents in (True, False):
                yield self._tree(steps, with_contents)

    def _tree(self, steps: list[Any], with_contents: bool) -> Tree:
        tree = dict(self.before)
        for kind, name, *more in steps:
            if kind == "remove":
                tree.pop(name, None)
                continue
            file, *source = more
            content, is_synced = (None, True) if file is None else self.contents[file]
            tree[name] = content if is_synced or with_contents else b""
            for other in source:
                tree.pop(other, None)
        lost = [name for name in tree if any(str(above) not in tree for above in list(Path(name).parents)[:-1])]
        return {name: tree[name] for name in tree if name not in lost}


def put(tree: Tree, root: str) -> None:
    """Make a folder hold this, and nothing else."""
    shutil.rmtree(root, True)
    os.mkdir(root)
    for name in sorted(tree):
        content = tree[name]
        if content is None:
            os.mkdir(os.path.join(root, name))
        else:
            Path(root, name).write_bytes(content)
