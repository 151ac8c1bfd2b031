"""The table of faults in the book names tests that there are."""

import re
from importlib import import_module
from pathlib import Path

PAGE = Path(__file__).parents[2] / "pts" / "13d_faults.pct.py"
ROWS = re.findall(r"^# \| (.+) \| (.+) \| `(.+)\.(\w+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_each_row_names_a_test():
    """Which is there, and is a test."""
    assert len(ROWS) >= 37
    for fault, _, module, test in ROWS:
        assert callable(getattr(import_module(f"tests.{module}"), test, None)), (fault, module, test)
        assert test.startswith("test_")
