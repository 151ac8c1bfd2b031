"""Views of a history: timeline, lineage, table, trace, spans."""

import asyncio
import itertools
import json
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from netrun import Net, PacketNotFoundError, TimelineRow
from tests.graphs import edge, entry, graph, node, nonempty
from tests.nets import chain, maps
from tests.test_history import mixed, take_all


def ran(net: Net, values: list[int]) -> Net:
    net.inject_packets("Source", "go", values)
    net.start()
    return net


# -- timeline ---------------------------------------------------------------------------------------------------------


def test_a_row_for_each_attempt() -> None:
    before = datetime.now(UTC)
    with mixed() as net:
        ran(net, [0, 1, 2, 3])
        rows = net.timeline()
    assert all(before <= row.begun <= row.ended <= datetime.now(UTC) for row in rows)
    by_epoch: dict[tuple[str, str], list[TimelineRow]] = defaultdict(list)
    for row in rows:
        by_epoch[row.node, row.epoch].append(row)
    told = {node: [] for node, _ in by_epoch}  # type: ignore[var-annotated]
    for (name, _), some in by_epoch.items():
        assert [row.attempt for row in some] == list(range(1, len(some) + 1))
        told[name].append([row.verdict for row in some])
    three = ["retry", "retry", "failed"]
    assert sorted(told["Deferred"]) == sorted([["finished"], ["retry", "finished"], ["cancelled"], three])
    assert sorted(told["Inline"]) == sorted([["finished"], ["failed"], ["cancelled"], ["failed"]])
    assert {row.worker is None for row in rows if row.node in ("Inline", "Deferred")} == {True}
    assert {(row.worker or "")[:3] for row in rows if row.node in ("Thread", "Process")} == {"io-", "cpu"}


def test_side_by_side_on_a_loop() -> None:
    async def wait(ctx: Any, packets: Any) -> None:
        await ctx.consume_packet(packets["in"][0])
        await asyncio.sleep(0.02)

    net = Net(chain("A"))
    net.set_node_exec("A", wait)
    net.inject_packets("A", "in", range(3))
    net.start()
    rows = net.timeline()
    assert max(row.begun for row in rows) < min(row.ended for row in rows)
    assert {one.data["carrier"] for one in net.history.get_entries() if one.entry_type == "epoch"} == {"loop"}


# -- lineage ----------------------------------------------------------------------------------------------------------


def diamond(**options: Any) -> Net:
    both = {"both": entry({"b": 1, "c": 1}, nonempty("b"))}
    nodes = [node("A", ["in"], ["b", "c"]), node("B", ["in"], ["out"]), node("C", ["in"], ["out"])]
    nodes.append(node("D", ["b", "c"], ["out"], entries=both))
    edges = [edge("A.b", "B.in"), edge("A.c", "C.in"), edge("B.out", "D.b"), edge("C.out", "D.c")]
    net = Net(graph(nodes, edges), **options)

    def a(ctx: Any, packets: Any) -> None:
        value = ctx.consume_packet(packets["in"][0])
        ctx.send("c", value)
        ctx.send("b", value)

    def passes_on(ctx: Any, packets: Any) -> None:
        ctx.load_output_port("out", packets["in"][0])
        ctx.send_output_salvo("out")

    net.set_node_exec("A", a)
    net.set_node_exec("B", passes_on)
    net.set_node_exec("C", maps(int))
    net.set_node_exec(
        "D", lambda ctx, p: ctx.send("out", sum(ctx.consume_packet(x) for some in p.values() for x in some))
    )
    return net


def test_lineage_of_a_diamond() -> None:
    net = diamond()
    (first,) = net.inject_packets("A", "in", [1])
    net.start()
    net.inject_packets("A", "in", [2])
    net.start()
    outlet = net._ledger.doors["D"].outs["out"]
    id = outlet.packets[0].id  # type: ignore[union-attr]
    lineage = net.lineage(id)
    assert lineage.is_whole
    assert lineage.packet_id == id
    assert [name for name, _ in lineage.epochs.values()] == ["A", "C", "D"], "B has passed a packet on, and made none"
    assert next(iter(lineage.packets)) == first
    assert lineage.packets[first] is None
    assert len(lineage.packets) == 5
    assert net.take_outputs("D", "out") == [2, 4]
    assert net.lineage(id) == lineage, "it has left the net"
    (name, salvo) = next(iter(lineage.epochs.values()))
    assert (name, salvo) == ("A", [first])


def test_lineage_where_history_is_short() -> None:
    net = diamond(history_max_size=12)
    net.inject_packets("A", "in", [1])
    net.start()
    id = net._ledger.doors["D"].outs["out"].packets[0].id  # type: ignore[union-attr]
    assert not net.lineage(id).is_whole
    (waiting,) = net.inject_packets("A", "in", [2])
    assert net.lineage(waiting).packets == {waiting: None}
    assert net.lineage(waiting).is_whole
    for unknown in ("p99", "nonsense", ""):
        with pytest.raises(PacketNotFoundError):
            net.lineage(unknown)


def test_lineage_of_a_loop_ends() -> None:
    net = Net(graph([node("A", ["in"], ["out"])], [edge("A.out", "A.in")]))

    def count(ctx: Any, packets: Any) -> None:
        number = ctx.consume_packet(packets["in"][0])
        if number:
            ctx.send("out", number - 1)

    net.set_node_exec("A", count)
    net.inject_packets("A", "in", [50])
    net.start()
    last = [one for one in net.history.get_events() if one.event_type == "PacketConsumed"][-1]
    lineage = net.lineage(last.data["packet_id"])
    assert (len(lineage.packets), len(lineage.epochs)) == (51, 50)


def test_lineage_of_what_was_given_back() -> None:
    """The packet is made anew in the simulator, outside; it still comes from where it came from."""
    net = Net(chain("A", "B"))
    calls = []

    def interrupted(ctx: Any, packets: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        ctx.send("out", ctx.consume_packet(packets["in"][0]))

    net.set_node_exec("A", maps(int))
    net.set_node_exec("B", interrupted)
    net.inject_packets("A", "in", [1])
    with pytest.raises(KeyboardInterrupt):
        net.start()
    net.start()
    id = net._ledger.doors["B"].outs["out"].packets[0].id  # type: ignore[union-attr]
    assert [name for name, _ in net.lineage(id).epochs.values()] == ["A", "B"]


# -- a table ----------------------------------------------------------------------------------------------------------


def test_a_table() -> None:
    pandas = pytest.importorskip("pandas")
    net = Net(chain("A", "B"))
    assert len(net.history.to_frame()) == 0
    assert "entry_type" in net.history.to_frame().columns
    net.set_node_exec("A", maps(int))
    net.inject_packets("A", "in", [1, 2])
    net.start()
    frame = net.history.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.id) == [one.id for one in net.history.get_entries()]
    assert (frame.groupby("entry_type").size() > 0).all()
    assert str(frame.timestamp.dt.tz) == "UTC"
    assert {"packet_id", "epoch_id", "verdict", "in_salvo"} <= set(frame.columns)


def test_without_pandas_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        Net(chain("A")).history.to_frame()
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r"pip install netrun\[otel\]"):
        Net(chain("A")).history.to_otel()


# -- a trace ----------------------------------------------------------------------------------------------------------


def trace_of(net: Net, path: Path) -> list[dict[str, Any]]:
    net.history.to_perfetto(path)
    trace = json.loads(path.read_text())
    assert set(trace) == {"traceEvents", "displayTimeUnit"}
    events: list[dict[str, Any]] = trace["traceEvents"]
    return events


REQUIRED = {"X": {"ts", "dur", "cat"}, "M": {"args"}, "s": {"ts", "id", "cat"}, "f": {"ts", "id", "cat", "bp"}}


def must_be_a_trace(events: list[dict[str, Any]]) -> None:
    """What the Trace Event format asks of events, and what a viewer needs to draw them right."""
    slices: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    flows: dict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
    for event in events:
        assert {"ph", "name", "pid", "tid"} | REQUIRED[event["ph"]] <= set(event)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        if event["ph"] == "X":
            assert event["dur"] > 0
            slices[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
        elif event["ph"] in "sf":
            assert event["ph"] not in flows[event["id"]]
            flows[event["id"]][event["ph"]] = event
    for some in slices.values():
        some.sort()
        assert all(ended <= begun for (_, ended), (begun, _) in itertools.pairwise(some)), "they overlap"
    for ends in flows.values():
        assert set(ends) == {"s", "f"}
        assert ends["s"]["name"] == ends["f"]["name"]
        assert ends["f"]["bp"] == "e"
        for event in ends.values():
            there = slices[event["pid"], event["tid"]]
            assert any(begun <= event["ts"] <= ended for begun, ended in there), "an arrow is bound to a slice"
    named = {(event["name"], event["pid"], event["tid"]) for event in events if event["ph"] == "M"}
    for process, thread in slices:
        assert ("process_name", process, 0) in named
        assert ("thread_name", process, thread) in named


def test_a_trace(tmp_path: Path) -> None:
    with mixed() as net:
        ran(net, [0, 1, 2, 3, 4, 5, 6] * 2)
        events = trace_of(net, tmp_path / "trace.json")
        rows = net.timeline()
    must_be_a_trace(events)
    names = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert sorted(names.values()) == ["Deferred", "Inline", "Process", "Sink", "Source", "Thread"]
    threads = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert {"inline", "io-1", "io-2", "io-3", "cpu-1", "cpu-2"} >= threads >= {"inline", "io-1", "cpu-1"}
    slices = [event for event in events if event["ph"] == "X"]
    assert len(slices) == len(rows)
    assert all(names[event["pid"]] == event["name"] for event in slices)
    arrows = [event for event in events if event["ph"] == "s"]
    packets = [
        one
        for one in net.history.get_events()
        if one.event_type == "PacketMoved" and one.data["from"]["kind"] == "Edge"
    ]
    assert len(arrows) == len({one.data["packet_id"] for one in packets})


def test_a_trace_of_tasks_side_by_side(tmp_path: Path) -> None:
    async def wait(ctx: Any, packets: Any) -> None:
        seconds = await ctx.consume_packet(packets["in"][0])
        await asyncio.sleep(seconds)
        await ctx.send("out", seconds / 2)

    net = Net(chain("A", "B"))
    net.set_node_exec("A", wait)
    net.set_node_exec("B", wait)
    net.inject_packets("A", "in", [0.03, 0.01, 0.02, 0.005])
    net.start()
    events = trace_of(net, tmp_path / "trace.json")
    must_be_a_trace(events)
    threads = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert {"loop", "loop 2", "loop 3", "loop 4"} <= threads
    assert sum(event["ph"] == "s" for event in events) == 4


def test_a_trace_of_nothing(tmp_path: Path) -> None:
    assert trace_of(Net(chain("A")), tmp_path / "trace.json") == []
    with pytest.raises(OSError, match="No such file"):
        Net(chain("A")).history.to_perfetto(tmp_path / "none" / "trace.json")


def test_a_trace_from_a_short_history(tmp_path: Path) -> None:
    """Arrows whose ends are not there any more are left out."""
    with mixed() as net:
        net.history._recorder.max_size = 60
        ran(net, [0, 1, 2, 3, 4, 5, 6] * 2)
        must_be_a_trace(trace_of(net, tmp_path / "trace.json"))


# -- spans ------------------------------------------------------------------------------------------------------------


def spans_of(net: Net) -> list[Any]:
    export: Any = pytest.importorskip("opentelemetry.sdk.trace.export")
    memory: Any = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    sdk: Any = pytest.importorskip("opentelemetry.sdk.trace")
    exporter, provider = memory.InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    net.history.to_otel(provider)
    return list(exporter.get_finished_spans())


def test_spans() -> None:
    with mixed() as net:
        ran(net, [0, 1, 3])
        ran(net, [0])
        spans = spans_of(net)
        rows = net.timeline()
    runs = [span for span in spans if span.name == "netrun run"]
    epochs = {span.attributes["netrun.epoch_id"]: span for span in spans if span.name != "netrun run"}
    assert len(runs) == 1, "the whole block is one run"
    assert len(epochs) == len(spans) - 1 == len({row.epoch for row in rows})
    for span in epochs.values():
        (run,) = [run for run in runs if run.context.span_id == span.parent.span_id]
        assert run.start_time <= span.start_time <= span.end_time <= run.end_time
        assert span.name == span.attributes["netrun.node_name"]
        assert (span.status.status_code.name == "ERROR") == (span.attributes["netrun.verdict"] == "failed")
    nodes = {span.context.span_id: span.name for span in epochs.values()}
    for span in epochs.values():
        senders = {nodes[link.context.span_id] for link in span.links}
        allowed = {"Source": set(), "Sink": {"Inline", "Deferred", "Thread", "Process"}}.get(span.name, {"Source"})
        assert senders <= allowed  # type: ignore[operator]
        assert senders or span.name in ("Source", "Sink")
        assert all(link.attributes["netrun.packet_id"].startswith("p") for link in span.links)
    tried = [span for span in epochs.values() if span.attributes["netrun.attempt"] == 3]
    assert [event.name for span in tried for event in span.events] == ["attempt failed"] * 3
    assert tried[0].attributes["netrun.verdict"] == "failed"
    assert tried[0].events[0].attributes["netrun.error"] == "ValueError: always"


def test_a_span_is_a_run_from_its_opening_to_its_close() -> None:
    """However often it rests meanwhile."""
    net = Net(chain("A"))
    net.set_node_exec("A", maps(int))

    def inject_and(act: Callable[[], Any]) -> None:
        net.inject_packets("A", "in", [1])
        act()

    inject_and(net.start)
    with net:
        inject_and(net.run_step)
        inject_and(net.start)
        inject_and(net.start)
    spans = spans_of(net)
    runs = [span.context.span_id for span in spans if span.name == "netrun run"]
    inside = [[span.parent.span_id for span in spans if span.name == "A"].count(run) for run in runs]
    assert sorted(inside) == [1, 3]


def test_spans_from_the_middle_of_a_run() -> None:
    net = Net(chain("A", "B"))
    seen: list[Any] = []

    def look(ctx: Any, packets: Any) -> None:
        take_all(ctx, packets)
        seen.extend(spans_of(net))

    net.set_node_exec("A", maps(int))
    net.set_node_exec("B", look)
    net.inject_packets("A", "in", [1])
    net.start()
    assert sorted(span.name for span in seen) == ["A", "netrun run"]
    assert spans_of(Net(chain("A"))) == []
