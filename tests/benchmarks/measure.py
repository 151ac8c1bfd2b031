"""Measuring two workloads against each other."""

import gc
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple


class Workload(NamedTuple):
    """Something to be timed, once. What it needs has been built before."""

    run: Callable[[], None]
    left_over: Callable[[], int]  # what is still to be done afterwards: 0


class Side(NamedTuple):
    """One of the two that are compared.

    build: makes the workload anew.
    units: how many epochs, hops or packets it has.
    repeats: runs for one measurement, of which the median counts; for short ones.
    """

    build: Callable[[], Workload]
    units: int
    repeats: int = 1

    def microseconds(self) -> float:
        """Time for one unit."""
        return statistics.median(seconds(self.build()) for _ in range(self.repeats)) / self.units * 1e6


class Comparison(NamedTuple):
    """Medians over all pairs: the two times, and the ratio of each pair."""

    measured: float
    reference: float
    ratio: float


def seconds(workload: Workload) -> float:
    """Time a workload. Neither building it nor taking it down is counted."""
    gc.collect()
    begun = perf_counter()
    workload.run()
    elapsed = perf_counter() - begun
    if left := workload.left_over():
        raise RuntimeError(f"{left} epochs or values were left over")
    return elapsed


def compare(measured: Side, reference: Side, pairs: int) -> Comparison:
    """Measure both in turns, that many times."""
    times = [(measured.microseconds(), reference.microseconds()) for _ in range(pairs)]
    ratios = [one / other for one, other in times]
    ours, theirs = zip(*times, strict=True)
    return Comparison(statistics.median(ours), statistics.median(theirs), statistics.median(ratios))
