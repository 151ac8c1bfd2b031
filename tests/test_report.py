"""Reports: what they show in a browser, offline; that nothing in them breaks them; that they stay small."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from threading import Barrier
from typing import Annotated

import pytest

from netrun import Batch, EventHistory, Net, node
from netrun.report import _MOST_LANES, _facts, _Lanes, write_report
from tests.browser import BROWSER, WHY_NOT, opened
from tests.nets import build, chain, maps, python

needs_browser = pytest.mark.skipif(BROWSER is None, reason=WHY_NOT)
EVIL = "</script><script>document.title='broken'</script><!-- <b>&amp; \u2028 漢字"


@node(retries=1)
def parse(line: str) -> int:
    print(f"parsing {line} {EVIL}")
    return int(line)


@node
def square(number: int) -> int:
    return number**2


@node(pool="io")
def store(number: int) -> None:
    print("stored", number)


@pytest.fixture
def net():
    """A net that has run: three values went through, two failed."""
    made = Net(parse >> square >> store, on_error="continue", thread_pools={"io": {"size": 2}}, meta={"name": EVIL})
    with made:
        made.run(line=["1", "2", "three", EVIL, "5"])
        yield made


def facts_in(path):
    """The facts in a report."""
    text = path.read_text("utf-8")
    (embedded,) = re.findall(r'<script type="application/json" id="facts">(.*)</script>\n<script>', text)
    return json.loads(embedded)


def test_the_page_is_whole_and_needs_nothing_else(net, tmp_path):
    """No address of another file in it; what is in it cannot end the element that it is in."""
    net.report(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    assert [url for url in re.findall(r"\w+://[^\"'\s<]+", text) if url != "http://www.w3.org/2000/svg"] == []
    assert not re.search(r"\b(src|href)\s*=|@import|\burl\(|\bfetch\(|XMLHttp", text)
    assert text.count("<script") == text.count("</script>") == 2
    assert text.endswith("</html>\n")
    assert facts_in(tmp_path / "report.html")["letters"][-1]["error"].endswith(repr(EVIL))


def test_the_facts_are_those_of_the_net(net):
    """Each attempt, each node's numbers, each dead letter, each line."""
    facts = _facts(net)
    rows = {row[0]: row[1:] for row in facts["rows"]}
    assert rows["parse"][:5] == [3, 2, 0, 2, 2]
    assert rows["square"][:5] == [3, 0, 0, 0, 0]
    assert facts["ended"] == [9, 2, 0]
    assert facts["busy"] == [0, 0]
    assert facts["state"] == "paused"
    attempts = facts["attempts"]
    assert sorted(attempts["verdict"]) == sorted("f" * 9 + "r" * 2 + "x" * 2)
    assert len(attempts["node"]) == len(attempts["took"]) == len(attempts["lane"]) == 13
    assert attempts["lanes"][-2:] == ["io-1", "io-2"] or set(attempts["lanes"]) == {"inline", "io-1"}
    assert sorted(attempts["attempt"]) == [1] * 11 + [2] * 2
    letter = facts["letters"][0]
    assert letter["node"] == "parse"
    assert letter["earlier"] == ["ValueError: invalid literal for int() with base 10: 'three'"]
    assert "in parse\n" in letter["trace"]
    assert letter["packets"][0][0] == "line"
    assert letter["packets"][0][2] == "'three'"
    assert len(facts["log"]["text"]) == facts["log"]["of"] == 7 + 3


def test_times_are_those_of_the_timeline(net):
    """Put together again."""
    attempts, rows = _facts(net)["attempts"], sorted(net.timeline(), key=lambda row: row.begun)
    at, number, found = 0, 0, []
    for k, step in enumerate(attempts["begun"]):
        at, number = at + step, number + attempts["epoch"][k]
        begun = datetime.fromtimestamp(attempts["start"] / 1000, UTC) + timedelta(microseconds=at)
        found.append((f"e{number}-{attempts['suffixes'][0]}", begun))
    assert [epoch for epoch, _ in found] == [row.epoch for row in rows]
    assert all(abs(begun - row.begun) < timedelta(microseconds=2) for (_, begun), row in zip(found, rows, strict=True))


def test_attempts_of_a_lane_do_not_overlap():
    """Up to the bound; the rest is in the last lane."""
    start, second = datetime.now(UTC), timedelta(seconds=1)
    lanes = _Lanes()
    taken = [lanes.take(start + k * second, start + (k + 7) * second) for k in range(100)]
    assert lanes.count == 7
    assert taken == [k % 7 for k in range(100)]
    crowd = _Lanes()
    assert [crowd.take(start, start + second) for _ in range(1_000)][-2:] == [_MOST_LANES - 1] * 2
    assert crowd.count == _MOST_LANES


def test_workers_of_later_starts_have_the_lanes_of_earlier_ones():
    """Each start makes new ones. Those that were there together do not share a lane, however many."""

    @node(pool="io")
    def waits(number: int) -> None:
        both.wait(10)

    both = Barrier(2)
    net = Net(waits, thread_pools={"io": {"size": 2}})
    for _ in range(20):
        net.run(number=[1, 2])
    net.stop()
    attempts = _facts(net)["attempts"]
    assert attempts["lanes"] == ["io-1 …", "io-2 …"]
    assert sorted(attempts["lane"]) == [0] * 20 + [1] * 20
    assert _facts(many_attempts(1_000, 300))["attempts"]["lanes"] == [f"io-{k}" for k in range(1, 301)]


def test_cancelled_epochs_have_a_column():
    """As in `poll`."""
    net = build(chain("A"), A=lambda ctx, packets: ctx.cancel_epoch())
    net.run({"A.in": [1]})
    assert _facts(net)["rows"][0][:4] == ["A", 0, 0, 1]


def test_a_history_file_has_all_of_it(tmp_path):
    """Though memory keeps the last entries only; other nets' entries in it are left out."""
    path = tmp_path / "history.jsonl"
    for _ in range(2):
        net = Net(parse >> square, history_file=path, history_max_size=20)
        net.run(line=["1"] * 50)
        net.stop()
    assert len(net.timeline()) < 10
    assert len(_facts(net)["attempts"]["took"]) == 100
    path.unlink()
    assert len(_facts(net)["attempts"]["took"]) == len(net.timeline())


def test_attempts_are_those_among_the_entries():
    """Whatever part of them history still has."""
    for size in (1, 7, 50, 333, 100_000):
        net = Net(parse >> square, history_max_size=size, on_error="continue")
        net.run(line=["1", "no"] * 200)
        told = [entry.data["epoch_id"] for entry in net.history.get_entries() if entry.entry_type == "epoch"]
        assert [row.epoch for row in net.timeline()] == told


def test_a_net_without_history_and_one_that_never_ran(tmp_path):
    """A report all the same."""
    silent = build(chain("A", "B"), A=maps(str), B=maps(str))
    silent._history = EventHistory(max_size=0)
    for net in (silent, Net(parse >> square, history_max_size=0)):
        net.run({"A.in": [1]} if net is silent else {"parse.line": ["1"]})
        net.report(tmp_path / "report.html")
        facts = facts_in(tmp_path / "report.html")
        assert facts["ended"][0] == 2
        assert facts["attempts"]["took"] == []
    Net(parse).report(tmp_path / "report.html")
    assert facts_in(tmp_path / "report.html")["title"] == "A net of 1 node"


class Spiteful:
    """Its text raises."""

    def __repr__(self):
        raise SystemError("no repr")


class Leaves:
    """Its text ends the program."""

    def __repr__(self):
        raise SystemExit


class Mute(Exception):
    """So does this one's."""

    def __str__(self):
        raise SystemError("no text")


@node
def spoils(values: Annotated[list[object], Batch(2)]) -> None:
    raise Mute


def test_values_and_errors_that_cannot_be_told(tmp_path):
    """They are the user's, and cost no report."""
    net = Net(spoils, on_error="continue")
    net.run(values=[Spiteful(), ["x" * 10**6, {"a": Spiteful()}]])
    net.run(values=[Leaves(), [Leaves()]])
    net.report(tmp_path / "report.html")
    letter, second = facts_in(tmp_path / "report.html")["letters"]
    assert "cannot be told" in letter["error"]
    assert "Spiteful" in letter["packets"][0][2]
    assert second["packets"][0][2] == "<Leaves, whose repr raised SystemExit>"
    assert (tmp_path / "report.html").stat().st_size < 100_000


def test_a_letter_from_a_file_says_that_its_traceback_is_lost(tmp_path):
    """What it was is there. (In processes of their own: with Dask's `tblib` imported a traceback can be pickled.)"""
    code = f"""
import sys
from netrun import Net
from netrun.report import _facts
from tests.test_report import parse
net = Net(parse, on_error="continue", dead_letter_queue="file", dead_letter_path={str(tmp_path / "letters.jsonl")!r})
net.run(line=sys.argv[1:])
(letter,) = _facts(net)["letters"]
print(letter["trace"])
"""
    first, second = python(code, arguments=["no"]), python(code)
    assert "ValueError: invalid literal" in first and "in parse\n" in first  # noqa: PT018
    assert "ValueError: invalid literal" in second and second.endswith("(no traceback is known)\n\n")  # noqa: PT018
    assert "in parse\n" not in second


def test_a_report_that_cannot_be_written_leaves_nothing(net, tmp_path):
    """What was there is there."""
    with pytest.raises(OSError, match="none"):
        net.report(tmp_path / "none" / "report.html")
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError, match=r"report\.html"):
        net.report(tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_long_logs_and_many_dead_letters_are_bounded():
    """It says how many there are."""

    @node
    def fails(number: int) -> None:
        for _ in range(40):
            print("x" * 3_000)
        raise ValueError("y" * 100_000)

    net = Net(fails, on_error="continue")
    net.run(number=range(300))
    facts = _facts(net)
    assert len(facts["letters"]) == 200
    assert facts["letters_of"] == 300
    assert sum(map(len, facts["log"]["text"])) <= 1_001_000
    assert len(facts["log"]["text"]) < facts["log"]["of"]
    assert max(len(letter["trace"]) for letter in facts["letters"]) < 21_000
    assert len(json.dumps(facts)) < 10_000_000


@needs_browser
def test_what_the_page_shows(net, tmp_path):
    """Every part of it, with nothing to complain of."""
    net.report(tmp_path / "report.html")
    page = opened(tmp_path / "report.html")
    assert page.complaints == []
    assert page.texts["tiles"].startswith("9epochs finished2failed0cancelled2dead letters")
    assert page.tags["nodes", "tr"] == 3
    assert page.tags["heads", "button"] == 12
    assert page.tags["letters", "details"] == 2
    assert "invalid literal" in page.texts["letters"]
    assert page.tags["lines", "tr"] == 10
    assert EVIL in page.texts["lines"]
    assert page.texts["linesof"] == "10 lines"
    assert page.texts["attemptsof"].startswith("13 attempts in ")
    assert float(page.of["chart"]["data-to"]) > 0
    assert page.texts["partly"] == ""
    assert 'data-node="square"' in page.dom
    assert "<title>broken" not in page.dom


ACTS = r"""
    const said = [], note = what => said.push(what), row = k => find("nodes").rows[k];
    const chart = find("chart"), box = chart.getBoundingClientRect(), end = Number(chart.dataset.to);
    const from = () => Number(chart.dataset.from), share = () => (Number(chart.dataset.to) - from()) / end;
    const place = x => ({clientX: box.left + x, clientY: box.top + 5, bubbles: true, cancelable: true});
    const at = (x, more) => ({...place(x), ...more});
    const point = (type, x) => chart.dispatchEvent(new PointerEvent(type, at(x)));
    const write = (id, text) => {
        find(id).value = text;
        find(id).dispatchEvent(new Event("input"));
        return wait(200);
    };
    for (const column of [2, 0, 0]) {
        find("heads").querySelectorAll("button")[column].click();
        note(row(0).cells[0].textContent);
    }
    note(document.querySelectorAll("th[aria-sort]").length);
    await write("seek", "SQ");
    note(find("nodes").rows.length);
    row(0).click();
    note(row(0).getAttribute("aria-selected"));
    note(find("chosen").textContent.slice(0, 11));
    row(0).click();
    note(find("chosen").textContent);
    await write("search", "stored");
    note(find("linesof").textContent);
    note(find("lines").rows.length);
    find("closer").click();
    note(Math.abs(share() - .5) < .01);
    chart.dispatchEvent(new WheelEvent("wheel", at(400, {deltaY: -300, ctrlKey: true})));
    note(Math.abs(share() - .5 / Math.E) < .01);
    chart.dispatchEvent(new WheelEvent("wheel", at(400, {deltaY: -300})));
    note(Math.abs(share() - .5 / Math.E) < .01);
    const before = from();
    point("pointerdown", 500);
    point("pointermove", 400);
    point("pointerup", 400);
    note(from() > before);
    chart.dispatchEvent(new KeyboardEvent("keydown", {key: "0"}));
    note(share() === 1 && from() === 0);
    for (let x = 117; x < box.width && find("tip").hidden; x++) point("pointermove", x);
    note(/^(parse|square)\ne\d+-\w+/.test(find("tip").textContent) && !find("tip").hidden);
    point("pointerleave", 0);
    note(find("tip").hidden);
    document.body.dataset.said = JSON.stringify(said);
"""


@needs_browser
def test_what_can_be_done_in_the_page(net, tmp_path):
    """Sort, find, choose, search, zoom, move, and look at an attempt."""
    net.report(tmp_path / "report.html")
    page = opened(tmp_path / "report.html", ACTS)
    assert page.complaints == []
    said = json.loads(unescape(re.search(r'data-said="([^"]*)"', page.dom)[1]))
    assert said[:5] == ["parse", "parse", "store", 1, 1]
    assert said[5:10] == ["true", "only square", "", "3 found in 10 lines", 3]
    assert said[10:] == [True] * 7


def many_attempts(count, workers=4):
    """A net that looks as if it had run so many epochs, in so many workers."""
    net = Net(parse >> square >> store, thread_pools={"io": {"size": 4}}, history_max_size=10 * count)
    history = net.history._recorder
    history._keep(history_chunk(count, net._ledger.suffix, workers))
    return net


def history_chunk(count, suffix, workers):
    """A chunk of history with nothing but attempts."""
    from netrun.history import Chunk

    start, lines = datetime(2026, 1, 1, tzinfo=UTC), []
    for k in range(count):
        begun, ended = (start + timedelta(microseconds=us) for us in (k * 25, k * 25 + 90 + k % 10))
        fine = k % 997
        told = {
            "type": "epoch",
            "id": f"h{k}.1{suffix}",
            "timestamp": ended.isoformat(),
            "epoch_id": f"e{k}{suffix}",
            "node_name": ("parse", "square", "store")[k % 3],
            "attempt": 1,
            "carrier": "thread",
            "worker": f"io-{k % workers + 1}",
            "begun": begun.isoformat(),
            "ended": ended.isoformat(),
            "verdict": "finished" if fine else "failed",
            "ending": "finished" if fine else "failed",
            "error": None if fine else "ValueError: no",
        }
        lines.append(json.dumps(told, separators=(",", ":")) + "\n")
    return Chunk(0, count, "".join(lines))


@needs_browser
def test_hundreds_of_workers_can_be_scrolled_through(tmp_path):
    """The canvas is as high as what is in view, and knows what is below the mouse."""
    write_report(many_attempts(900, 300), tmp_path / "report.html")
    act = """
    const chart = find("chart"), said = [chart.height <= 460 * devicePixelRatio, find("lanes").scrollHeight];
    find("lanes").scrollTop = 1e6;
    await wait(100);
    const box = chart.getBoundingClientRect(), told = new Set();
    for (let x = 117; x < box.width; x++) {
        const place = {clientX: box.left + x, clientY: box.bottom - 5, bubbles: true};
        chart.dispatchEvent(new PointerEvent("pointermove", place));
        if (!find("tip").hidden) told.add(find("tip").textContent.match(/e\\d+/)[0]);
    }
    document.body.dataset.said = JSON.stringify([...said, ...told]);
    """
    page = opened(tmp_path / "report.html", act)
    assert page.complaints == []
    assert page.texts["attemptsof"] == "900 attempts in 300 lanes"
    said = json.loads(unescape(re.search(r'data-said="([^"]*)"', page.dom)[1]))
    assert said == [True, 300 * 10 + 2, "e299", "e599", "e899"]


@needs_browser
@pytest.mark.parametrize("is_dark", [False, True])
def test_light_and_dark(net, tmp_path, is_dark):
    """The page, the picture and the timeline are what the reader prefers."""
    net.report(tmp_path / "report.html")
    act = """
    const seen = [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,
        getComputedStyle(document.querySelector(".netrun > rect")).fill];
    document.body.dataset.said = seen.map(colour => Math.max(...colour.match(/\\d+/g).map(Number)) < 128);
    """
    page = opened(tmp_path / "report.html", act, is_dark)
    dark = re.search(r'data-said="([^"]*)"', page.dom)[1].split(",")
    assert dark == (["true", "false", "true"] if is_dark else ["false", "true", "false"])


@needs_browser
def test_complaints_of_the_page_would_be_heard(net, tmp_path):
    """An error in a script; and a look at the network, which the page forbids itself."""
    net.report(tmp_path / "report.html")
    (error,) = opened(tmp_path / "report.html", "throw new Error('torn');").complaints
    assert "torn" in error
    refused = opened(
        tmp_path / "report.html", "fetch('http://127.0.0.1:9/').catch(() => 0); await wait(50);"
    ).complaints
    assert "Content Security Policy" in refused[0]


@needs_browser
def test_a_hundred_thousand_epochs(tmp_path):
    """They are all there, can be zoomed into down to one, and the file stays small."""
    write_report(many_attempts(100_000), tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 10_000_000
    act = """
    const chart = find("chart"), box = chart.getBoundingClientRect();
    for (let k = 0; k < 12; k++) { find("closer").click(); await wait(20); }
    for (let x = 117; x < box.width && find("tip").hidden; x++) {
        const place = {clientX: box.left + x, clientY: box.top + 5, bubbles: true};
        chart.dispatchEvent(new PointerEvent("pointermove", place));
    }
    """
    page = opened(tmp_path / "report.html", act)
    assert page.complaints == []
    assert page.texts["attemptsof"] == "100,000 attempts in 4 lanes"
    left, right = (float(page.of["chart"][f"data-{end}"]) for end in ("from", "to"))
    assert right - left == pytest.approx(2_500_000 / 2**12, rel=0.01)
    assert re.match(
        r"(parse|square|store)\ne\d+-\w+: (finished|failed)\n9\d µs, from 1.25 s on\n2026-01-01", page.texts["tip"]
    )
