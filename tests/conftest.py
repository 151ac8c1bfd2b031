"""How the tests run: on a build machine property tests try the same examples every time, elsewhere new ones. No test
leaves a process or a worker's thread behind."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from tests.carriers import executor
from tests.nets import eventually

settings.register_profile("build", derandomize=True, deadline=None)
settings.register_profile("local", deadline=None)
settings.load_profile("build" if os.environ.get("CI") else "local")


def left_over() -> Callable[[], list[str]]:
    """What tells the processes and the workers' threads that were not there when this was called."""
    processes = set(multiprocessing.active_children())
    threads = set(threading.enumerate())

    def left() -> list[str]:
        new = [repr(process) for process in multiprocessing.active_children() if process not in processes]
        workers = (thread for thread in threading.enumerate() if thread.name.startswith("netrun p"))
        return new + [repr(thread) for thread in workers if thread not in threads]

    return left


@pytest.fixture
def everything_ends() -> Iterator[None]:
    """A test leaves no worker."""
    left = left_over()
    yield
    eventually(lambda: not left(), what=left)


@pytest.fixture(scope="module", autouse=True)
def _every_module_ends() -> Iterator[None]:
    """A module of tests leaves no worker; the executor that its nets share ends with it."""
    left = left_over()
    yield
    if executor.cache_info().currsize:
        executor().shutdown()
        executor.cache_clear()
    eventually(lambda: not left(), what=left)
