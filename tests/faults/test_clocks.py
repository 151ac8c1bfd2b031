"""The time of day is for stamps only."""

import time
from itertools import count
from unittest.mock import patch

from netrun import Net
from tests.nets import chain, maps


def test_a_clock_that_is_set_back_changes_nothing(tmp_path):
    """Retries, limits, history, logs and checkpoints with a time of day that runs backwards, an hour a look."""
    looks = count()
    real = time.time()

    def back() -> float:
        return real - 3600 * next(looks)

    def work(value: int) -> int:
        print(value)
        tried.append(value)
        if tried == [1]:
            raise ValueError
        return value

    tried: list[int] = []
    net = Net(chain("A"), history_file=tmp_path / "history", checkpoint_path=tmp_path / "run", checkpoint_every=0.001)
    net.set_node_exec("A", maps(work))
    net.set_node_config("A", retries=1, retry_wait=0.01, defer_net_actions=True, rate_limit_per_second=500.0)
    net.inject_packets("A", "in", [1, 2, 3])
    with patch("netrun.acts.time", back), patch("netrun.history.time", back), patch("netrun.prints.time", back):
        begun = time.monotonic()
        net.start()
        assert time.monotonic() - begun < 30
    assert sorted(net.take_outputs("A", "out")) == [1, 2, 3]
    assert sorted(tried) == [1, 1, 2, 3]
    assert len(net.get_node_log("A")) == 4
    stamps = [entry.timestamp for entry in net.history.get_entries() if entry.entry_type == "action"]
    assert stamps != sorted(stamps)
    net.stop()
