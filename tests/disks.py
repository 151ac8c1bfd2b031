"""What a program asks of the disk while it saves a net: every call counted, so that it can be ended at each of them."""

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

CALLS = ("mkdir", "open", "write", "fsync", "close", "rename", "replace", "unlink", "rmdir")


class Counted:
    """Stands in for the calls of `os`. Calls `at(name)` before number `fatal`; a write is done by half then."""

    def __init__(self, fatal: int, at: Any) -> None:
        self.fatal, self.at, self.calls = fatal, at, list[str]()

    def of(self, name: str) -> Any:
        """What stands in for this call."""
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            if len(self.calls) == self.fatal:
                if name == "write":
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                self.at(name)
            return real(*arguments, **options)

        return call


@contextmanager
def counted(fatal: int = 0, at: Any = None) -> Iterator[Counted]:
    """Within this the calls are counted."""
    counts = Counted(fatal, at)
    patches = [patch.object(os, name, counts.of(name)) for name in CALLS]
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


def killed_at_each(path: str, save: Any, prepare: Any) -> Iterator[tuple[int, str]]:
    """Call `save` in forked processes, of which each is killed one call further on; `prepare` before each. Yields after
    each which call it was."""
    prepare()
    with counted() as counts:
        save()
    for fatal, name in enumerate(counts.calls, start=1):
        prepare()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                with counted(fatal, die):
                    save()
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        yield fatal, name
