"""`python -m tests.benchmarks [case ...] [--packets N]`: measure and print the table."""

import argparse
import os
import platform
import sys
from functools import partial
from importlib.metadata import version

from tests.benchmarks.cases import CASES, memory
from tests.benchmarks.table import Row, markdown


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="netrun against bare netrun_sim")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"any of {', '.join(CASES)}; all when left out")
    parser.add_argument("--packets", type=int, default=1_000_000, metavar="N", help="of the case memory")
    given = parser.parse_args()
    if unknown := [name for name in given.cases if name not in CASES]:
        parser.error(f"unknown case {unknown[0]!r}: choose from {', '.join(CASES)}")
    return given


def main() -> None:
    """Measure the cases that were asked for."""
    given = arguments()
    cases = {**CASES, "memory": partial(memory, given.packets)}
    rows: list[Row] = []
    for name in given.cases or cases:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        rows += cases[name]()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, netrun_sim {version('netrun-sim')}\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
