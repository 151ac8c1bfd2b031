"""The rows that are printed."""

from collections.abc import Iterable
from typing import NamedTuple

HEADS = ("case", "N", "netrun µs", "floor µs", "ratio", "budget", "")


class Row(NamedTuple):
    """A figure and its budget, if it has one. `unit` is of both; a ratio has none."""

    case: str
    n: str
    netrun_us: float | None
    floor_us: float | None
    figure: float
    budget: float | None = None
    unit: str = ""

    def cells(self) -> list[str]:
        """The row as text."""
        verdict = "" if self.budget is None else "ok" if self.figure <= self.budget else "over"
        digits = 0 if self.unit == "MB" else 3 if self.unit == "s" else 2
        times = [_time(self.netrun_us), _time(self.floor_us)]
        return [self.case, self.n, *times, *(self._amount(x, digits) for x in (self.figure, self.budget)), verdict]

    def _amount(self, amount: float | None, digits: int) -> str:
        return "" if amount is None else f"{amount:,.{digits}f} {self.unit}".rstrip()


def _time(microseconds: float | None) -> str:
    return "" if microseconds is None else f"{microseconds:,.1f}"


def markdown(rows: Iterable[Row]) -> str:
    """The rows as an aligned Markdown table."""
    lines = [list(HEADS), *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    left = (0, len(HEADS) - 1)  # columns of words
    rule = ["-" * width if column in left else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    texts = [
        [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [texts[0], rule, *texts[1:]])
