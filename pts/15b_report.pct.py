# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The report: what a net has done
#
# `net.report("report.html")` writes one file that needs nothing else, not even a network: the picture of the net, who worked
# when, a table of its nodes, its dead letters with their tracebacks, and what was printed. It is for a person who was not
# there.
#
# ```
#   net ──> columns of numbers ──> JSON, in the page ──> drawn in the browser
# ```

# %%
#|default_exp report

# %%
#|export
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from netrun.core import _told
from netrun.drawing import natural
from netrun.show import _DARK, _FONT, _LIGHT, _escaped, picture
from netrun.views import TimelineRow, one_at_a_time, row_of

if TYPE_CHECKING:
    from netrun.failures import DeadLetterEntry
    from netrun.net import Net

# %% [markdown]
# ## Lanes
#
# Attempts are drawn in lanes. A worker has one, which is that of a later worker of its pool when it has done its last: each
# start makes new ones. What runs without workers (inline, on a loop) has as many as there were attempts at a time, up to a
# bound; beyond that they are drawn on each other in the last one.

# %%
#|exporti
_MOST_LANES = 48  # of one carrier
Attempts = list[tuple[TimelineRow, dict[str, Any]]]


class _Lanes:
    """The lanes of a pool or a carrier."""

    def __init__(self, most: int = _MOST_LANES) -> None:
        self.count, self._most = 0, most
        self._free: list[int] = []
        self._busy: list[tuple[datetime, int]] = []  # until when, and which

    def take(self, begun: datetime, ended: datetime) -> int:
        """The lane of an attempt, or of a worker. They come in the order in which they begin."""
        while self._busy and self._busy[0][0] <= begun:
            heappush(self._free, heappop(self._busy)[1])
        if not self._free and self.count == self._most:
            return self._most - 1
        if not self._free:
            self._free, self.count = [self.count], self.count + 1
        lane = heappop(self._free)
        heappush(self._busy, (ended, lane))
        return lane


def _in_lanes(attempts: Attempts) -> tuple[list[str], list[int]]:
    """The names of the lanes, and the lane of each attempt."""
    workers, heads = _lanes_of_workers(attempts)
    carriers: dict[str, _Lanes] = defaultdict(_Lanes)
    places = [
        workers[row.worker]
        if row.worker is not None
        else (data["carrier"], carriers[data["carrier"]].take(row.begun, row.ended))
        for row, data in attempts
    ]
    order = sorted(set(places), key=lambda place: (natural(place[0]), natural(heads.get(place, "")), place[1]))
    ranks = {place: rank for rank, place in enumerate(order)}
    return [heads.get(place, "" if place[1] else place[0]) for place in order], [ranks[place] for place in places]


def _lanes_of_workers(attempts: Attempts) -> tuple[dict[str, tuple[str, int]], dict[tuple[str, int], str]]:
    """The pool of each worker and its lane in it, and what these lanes are called: by the first worker."""
    lives: dict[str, tuple[datetime, datetime]] = {}
    for row, _ in attempts:
        if row.worker is not None:
            begun, ended = lives.get(row.worker, (row.begun, row.ended))
            lives[row.worker] = begun, max(ended, row.ended)
    pools: dict[str, _Lanes] = defaultdict(lambda: _Lanes(len(lives)))
    lives_in, heads = dict[str, tuple[str, int]](), dict[tuple[str, int], str]()
    for worker, life in lives.items():
        pool = re.sub(r"( \d+)?-\d+$", "-", worker)
        place = pool, pools[pool].take(*life)
        heads[place] = heads[place].removesuffix(" …") + " …" if place in heads else worker
        lives_in[worker] = place
    return lives_in, heads


# %%
from netrun.report import _Lanes

at = datetime.now(UTC)
lanes, second = _Lanes(), timedelta(seconds=1)
taken = [lanes.take(at + begin * second, at + end * second) for begin, end in [(0, 3), (1, 2), (2, 4), (3, 5)]]
assert taken == [0, 1, 1, 0]

from netrun.report import _in_lanes
from netrun.views import TimelineRow

worked = [("io-1", 0, 2), ("io-2", 1, 2), ("io-3", 5, 6), (None, 5, 6)]
rows = [
    TimelineRow("A", "e1", 1, who, at + begin * second, at + end * second, "finished") for who, begin, end in worked
]
assert _in_lanes([(row, {"carrier": "inline"}) for row in rows]) == (["inline", "io-1 …", "io-2"], [1, 2, 1, 0])

# %% [markdown]
# ## Attempts as columns
#
# A hundred thousand attempts are as many numbers in each of a few lists: which node, which lane, how long after the one before
# it began (in microseconds), how long it took, and how it ended, by a letter.

# %%
#|exporti
_VERDICTS = {"finished": "f", "retry": "r", "failed": "x", "cancelled": "c", "given back": "g"}
_MOST_ERRORS = 2_000
_MICROSECOND = timedelta(microseconds=1)


def _columns(attempts: Attempts, ranks: dict[str, int]) -> dict[str, Any]:
    """The attempts for the page, in the order in which they began. `ranks`: of the nodes."""
    names, lanes = _in_lanes(attempts)
    start = attempts[0][0].begun if attempts else datetime.now(UTC)
    begun = [(row.begun - start) // _MICROSECOND for row, _ in attempts]
    epochs = [row.epoch[1:].partition("-") for row, _ in attempts]
    suffixes = list(dict.fromkeys(suffix for _, _, suffix in epochs))
    errors = [(k, data["error"][:300]) for k, (_, data) in enumerate(attempts) if data["error"]]
    return {
        "start": start.timestamp() * 1000,
        "lanes": names,
        "suffixes": suffixes,
        "errors": dict(errors[-_MOST_ERRORS:]),
        "lane": lanes,
        "node": [ranks.get(row.node, -1) for row, _ in attempts],
        "begun": _steps(begun),
        "took": [max(0, (row.ended - row.begun) // _MICROSECOND) for row, _ in attempts],
        "verdict": "".join([_VERDICTS.get(row.verdict, "g") for row, _ in attempts]),
        "attempt": _unless_all([row.attempt for row, _ in attempts], 1),
        "epoch": _steps([int(number) for number, _, _ in epochs]),
        "suffix": _unless_all([suffixes.index(suffix) for _, _, suffix in epochs], 0),
    }


def _steps(numbers: Iterable[int]) -> list[int]:
    """How much each number is more than the one before."""
    steps, last = [], 0
    for number in numbers:
        steps.append(number - last)
        last = number
    return steps


def _unless_all(numbers: list[int], usual: int) -> list[int] | None:
    """The numbers, if any is another than the usual one."""
    return None if all(number == usual for number in numbers) else numbers


# %%
from netrun.report import _steps, _unless_all

assert _steps([3, 4, 4, 10]) == [3, 1, 0, 6] and _unless_all([1, 1], 1) is None

# %% [markdown]
# ## Nodes
#
# How many epochs a node has had is what `poll` says; how long they took is what the history has.


# %%
#|exporti
def _node_rows(net: "Net", attempts: Attempts) -> list[list[Any]]:
    """A row for each node: see the heads of the table in the page."""
    took, longest, counted, retries = Counter[str](), dict[str, int](), Counter[str](), Counter[str]()
    for row, _ in attempts:
        time = max(0, (row.ended - row.begun) // _MICROSECOND)
        took[row.node] += time
        counted[row.node] += 1
        longest[row.node] = max(longest.get(row.node, 0), time)
        retries[row.node] += row.verdict == "retry"
    letters = Counter(entry.node_name for entry in net.dead_letter_queue)
    rows = list[list[Any]]()
    for name, status in net.poll().nodes.items():
        mean = took[name] / counted[name] if counted[name] else 0
        now = status.running + status.retrying, status.startable, status.waiting_packets
        ended = status.finished, status.failed, status.cancelled, retries[name], letters[name]
        rows.append([name, *ended, *now, took[name], round(mean), longest.get(name, 0)])
    return rows


# %% [markdown]
# ## Dead letters, and logs
#
# Of both only the last, and of each only so much, so that the page stays small; it says how many there are. The `repr` of a
# value is code of the user's: whatever it does, the report is written. A dead letter that was read from a file has no traceback.

# %%
#|exporti
_MOST_LETTERS, _MOST_LINES, _MOST_CHARACTERS = 200, 5_000, 1_000_000
_LONGEST = 20_000  # characters of a traceback


def _letter(entry: "DeadLetterEntry") -> dict[str, Any]:
    """A dead letter for the page."""
    from traceback import format_exception

    trace = "".join(format_exception(entry.exception))
    if entry.exception.__traceback__ is None and entry.exception.__cause__ is None:
        trace += "(no traceback is known)\n"
    short = trace if len(trace) <= _LONGEST else f"{trace[: _LONGEST // 2]}\n…\n{trace[-_LONGEST // 2 :]}"
    packets = [
        [port, packet, _value(entry.packet_values[packet]) if packet in entry.packet_values else None]
        for port, ids in entry.input_packets.items()
        for packet in ids[:20]
    ]
    return {
        "node": entry.node_name,
        "epoch": entry.epoch_id,
        "reason": entry.reason,
        "at": _second(entry.timestamp),
        "error": _told(entry.exception)[:1_000],
        "trace": short,
        "packets": packets,
        "more": sum(map(len, entry.input_packets.values())) - len(packets),
        "earlier": [_told(error)[:300] for error in entry.retry_exceptions],
    }


def _value(value: Any) -> str:
    from reprlib import Repr

    short = Repr()
    short.maxstring = short.maxother = 300
    try:
        return short.repr(value)[:1_000]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too
        return f"<{type(value).__name__}, whose repr raised {_told(error)}>"[:300]


def _second(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _log(net: "Net", ranks: dict[str, int]) -> dict[str, Any]:
    """The last lines that were printed, by all nodes, as columns."""
    kept = ((ranks[name], log.last(_MOST_LINES)) for name, log in net._logs.items())
    lines = sorted(
        ((at, node, epoch, text) for node, last in kept for at, epoch, text in last), key=lambda line: line[0]
    )
    told, room = list[tuple[int, int, int, str]](), _MOST_CHARACTERS
    for at, node, epoch, text in reversed(lines[-_MOST_LINES:]):
        room -= min(len(text), 2_000)
        if room < 0:
            break
        told.append((round(at * 1000), node, epoch, text if len(text) <= 2_000 else f"{text[:2_000]}…"))
    told.reverse()
    columns = {
        "node": [line[1] for line in told],
        "epoch": [line[2] for line in told],
        "text": [line[3] for line in told],
    }
    return {"at": _steps(line[0] for line in told), **columns, "of": len(lines)}


# %%
class Shy:
    def __repr__(self):
        raise ValueError("not me")


from netrun.report import _value

assert "Shy" in _value(Shy()) and "Shy" in _value([Shy()]) and len(_value("x" * 10**6)) < 1_000

# %% [markdown]
# ## All of it


# %%
#|exporti
def _facts(net: "Net") -> dict[str, Any]:
    """What the page shows."""
    from netrun import __version__

    status = net.poll()
    attempts = one_at_a_time([(row_of(data), data) for data in net.history._told_attempts()])
    ranks = {name: rank for rank, name in enumerate(sorted(status.nodes, key=natural))}
    letters = list(net.dead_letter_queue)
    ended = max((row.ended for row, _ in attempts), default=None)
    return {
        "title": str(net.meta.get("name") or f"A net of {len(ranks):,} node{'s' * (len(ranks) != 1)}"),
        "made": _second(datetime.now(UTC)),
        "version": __version__,
        "state": status.state.name.lower() + (f" by {status.paused_by}" if status.paused_by else ""),
        "ended": [status.finished, status.failed, status.cancelled],
        "waiting": status.waiting_packets,
        "busy": [status.running + status.retrying, status.startable],
        "span": (ended - attempts[0][0].begun) // _MICROSECOND if ended is not None else 0,
        "nodes": list(ranks),
        "rows": _node_rows(net, attempts),
        "attempts": _columns(attempts, ranks),
        "letters": [_letter(entry) for entry in letters[-_MOST_LETTERS:]],
        "letters_of": len(letters),
        "log": _log(net, ranks),
    }


# %% [markdown]
# The facts stand in the page as JSON. No text in it can end the element that it stands in: `<` is written as a number, and so
# is every character that is not ASCII.


# %%
#|exporti
def _embedded(facts: Any) -> str:
    from json import dumps

    return dumps(facts, separators=(",", ":")).replace("<", "\\u003c")


# %%
from json import loads

from netrun.report import _embedded

assert "<" not in _embedded("</script><!--") and loads(_embedded("</script>é\ud800")) == "</script>é\ud800"

# %% [markdown]
# ## The look
#
# The colours of the pictures, as variables, for light and for dark.


# %%
#|exporti
_CSS = """
  * { box-sizing: border-box }
  html { color-scheme: light dark }
  body { margin: 0; background: var(--page); color: var(--ink); font: 14px/1.5 FONT }
  main { max-width: 1240px; margin: 0 auto; padding: 40px 28px 80px }
  h1 { font-size: 26px; line-height: 1.2; margin: 4px 0 6px; letter-spacing: -.01em; overflow-wrap: anywhere }
  h2 { font-size: 16px; margin: 0 }
  .soft, .note { color: var(--soft) }
  .note { font-size: 12.5px; margin: 8px 0 0 }
  .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 12px; margin: 24px 0 32px }
  .tile { background: var(--ground); border: 1px solid var(--rule); border-radius: 10px; padding: 12px 16px }
  .tile b { display: block; font-size: 22px; font-weight: 600; line-height: 1.3; font-variant-numeric: tabular-nums }
  .tile.bad b { color: var(--failed) }
  section { background: var(--ground); border: 1px solid var(--rule); border-radius: 12px; padding: 18px 20px; margin: 0 0 20px }
  header.bar { display: flex; align-items: center; gap: 12px; margin: 0 0 14px; flex-wrap: wrap }
  header.bar .soft { margin-right: auto; font-size: 12.5px }
  .picture { overflow: auto; max-height: 560px }
  .picture svg { display: block; max-width: none }
  button, input { font: inherit; font-size: 12.5px; color: inherit; background: var(--box); border: 1px solid var(--rule);
    border-radius: 7px; padding: 4px 10px }
  button { cursor: pointer } button:hover { border-color: var(--soft) }
  :focus-visible { outline: 2px solid var(--startable); outline-offset: 1px }
  input { width: 240px; max-width: 100% }
  .lanes { overflow-y: auto; max-height: 460px; overscroll-behavior: auto; border-radius: 6px }
  #chart { position: sticky; top: 0 }
  canvas { display: block; width: 100%; cursor: crosshair; touch-action: pan-y }
  canvas.axis { cursor: default }
  #tip { position: fixed; z-index: 9; pointer-events: none; background: var(--ink); color: var(--ground); border-radius: 8px;
    padding: 8px 11px; font-size: 12.5px; line-height: 1.45; max-width: 420px; overflow-wrap: anywhere; white-space: pre-line }
  .scroll { overflow: auto; max-height: 620px }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
  th, td { text-align: right; padding: 6px 10px; border-bottom: 1px solid var(--rule); white-space: nowrap }
  th:first-child, td:first-child { text-align: left; padding-left: 2px }
  td:first-child { max-width: 320px; overflow: hidden; text-overflow: ellipsis }
  th { position: sticky; top: 0; background: var(--ground); font-weight: 500; color: var(--soft); font-size: 12.5px }
  th button { all: unset; cursor: pointer; padding: 2px 0 } th button:focus-visible { outline: 2px solid var(--startable) }
  th[aria-sort] { color: var(--ink) }
  th[aria-sort=descending] button::after { content: " ↓" } th[aria-sort=ascending] button::after { content: " ↑" }
  tbody tr { cursor: pointer } tbody tr:hover td { background: var(--box) }
  tr[aria-selected=true] td { background: var(--box); font-weight: 600 }
  td.none { color: var(--rule) } td.bad { color: var(--failed); font-weight: 600 }
  .dot { display: inline-block; width: 9px; height: 9px; border-radius: 3px; margin-right: 9px }
  .tile span { font-size: 12.5px }
  #letters { max-height: 560px; overflow: auto }
  details { border-top: 1px solid var(--rule) }
  summary { cursor: pointer; padding: 10px 2px; overflow-wrap: anywhere }
  summary b { color: var(--failed); font-weight: 600 }
  pre, .log td, code { font: 12px/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
  pre { background: var(--box); border-radius: 8px; padding: 12px 14px; overflow: auto; max-height: 480px; margin: 0 0 12px }
  details p { margin: 0 0 8px 2px; overflow-wrap: anywhere }
  .log td { text-align: left; vertical-align: top; border: 0; padding: 2px 10px; color: var(--soft) }
  .log td:last-child { color: var(--ink); white-space: pre-wrap; overflow-wrap: anywhere; width: 100% }
  .log tr { cursor: default }
  @media print { .scroll, .picture, #letters { max-height: none } button, input { display: none } }
"""
_KINDS = ["#4477c8", "#d0832f", "#2f9c84", "#b0589c", "#7d6fd0", "#8f9a35", "#3a9fc0", "#a8735a"]


def _look() -> str:
    """The style of the page."""

    def variables(colours: dict[str, str], page: str) -> str:
        told = {**colours, "page": page, **{f"kind{k}": kind for k, kind in enumerate(_KINDS)}}
        return ":root{" + "".join(f"--{name.split()[0]}:{colour};" for name, colour in told.items()) + "}"

    dark = f"@media (prefers-color-scheme:dark){{{variables(_DARK, '#0b0f14')}}}"
    return variables(_LIGHT, "#f4f6f9") + dark + _CSS.replace("FONT", _FONT)


# %% [markdown]
# ## What the page does
#
# Its script has three parts. First, what the others use: everything is put into the page as text, never as HTML.

# %%
#|exporti
_TOOLS = r"""
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const find = id => document.getElementById(id);
  const make = (tag, props = {}, ...inner) => {
    const made = Object.assign(document.createElement(tag), props);
    made.append(...inner);
    return made;
  };
  const amount = n => n.toLocaleString("en-US");
  const plural = (n, word) => `${amount(n)} ${word}${n === 1 ? "" : "s"}`;
  const digits = (x, unit) => `${x < 10 ? x.toFixed(2) : x < 100 ? x.toFixed(1) : x.toFixed(0)} ${unit}`;
  function time(us) {
    if (us < 1e3) return `${Math.round(us)} µs`;
    if (us < 1e6) return digits(us / 1e3, "ms");
    if (us < 6e7) return digits(us / 1e6, "s");
    const s = Math.floor(us / 1e6), two = n => String(n).padStart(2, "0");
    return s < 3600 ? `${Math.floor(s / 60)} min ${two(s % 60)} s` : `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
  }
  const clock = ms => new Date(ms).toISOString().replace("T", " ").slice(0, 23);
  const sums = steps => { let at = 0; return Float64Array.from(steps, step => at += step); };
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const kind = node => `kind${((node % 8) + 8) % 8}`;
  const dot = node => { const made = make("span", {className: "dot"}); made.style.background = `var(--${kind(node)})`; return made; };
  const nodeName = node => facts.nodes[node] ?? "?";
  const later = (wait, act) => { let timer; return () => { clearTimeout(timer); timer = setTimeout(act, wait); }; };
  let only = -1;  // the node that was chosen, or -1
"""

# %% [markdown]
# The timeline is drawn on a canvas, which is as high as what is in view, since browsers draw nothing on one that is too high.
# Only what is in view is looked at, and what falls on a pixel that is drawn already is passed over; so a frame costs the same
# however much there is.

# %%
#|exporti
_TIMELINE = r"""
  const all = facts.attempts, many = all.took.length, begun = sums(all.begun), epochs = sums(all.epoch);
  const lanes = all.lanes.map(() => []);
  for (let k = 0; k < many; k++) lanes[all.lane[k]].push(k);
  const reach = lanes.map(lane => { let most = 0; return Float64Array.from(lane, k => most = Math.max(most, begun[k] + all.took[k])); });
  const end = Math.max(1, ...reach.map(ends => ends[ends.length - 1] ?? 0));
  const chart = find("chart"), axis = find("axis"), tip = find("tip"), room = find("lanes");
  const gutter = 116, high = lanes.length > 40 ? 10 : lanes.length > 12 ? 16 : 24, least = Math.min(20, end);
  let from = 0, to = end, wide = 0, waiting = false;
  find("tall").style.height = `${lanes.length * high + 2}px`;

  function canvas(element, height) {
    const ratio = devicePixelRatio || 1;
    element.width = wide * ratio;
    element.height = height * ratio;
    element.style.height = `${height}px`;
    const pen = element.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    return pen;
  }
  const scale = () => (wide - gutter) / (to - from);
  function first(numbers, least) {  // the place of the first number that is not below
    let low = 0, high = numbers.length;
    while (low < high) { const mid = (low + high) >> 1; if (numbers[mid] < least) low = mid + 1; else high = mid; }
    return low;
  }
  function draw() {
    waiting = false;
    wide = room.clientWidth;
    const above = room.scrollTop, seen = Math.max(1, room.clientHeight), pen = canvas(chart, seen), per = scale(), kinds = [...Array(8).keys()].map(k => colour(`kind${k}`));
    const [soft, rule, failed, retry] = ["soft", "rule", "failed", "running"].map(colour);
    pen.translate(0, -above);
    pen.font = pen.font.replace("12px", `${Math.min(12, high - 1)}px`);
    lanes.forEach((lane, row) => {
      if ((row + 1) * high < above || row * high > above + seen) return;
      const top = row * high + 2, tall = high - 3, marked = [];
      if (all.lanes[row]) {
        pen.fillStyle = rule;
        if (row) pen.fillRect(0, top - 2, wide, 1);
        pen.fillStyle = soft;
        pen.fillText(all.lanes[row].slice(0, 40), 2, top + Math.min(tall, 20) / 2 + 4, gutter - 12);
      }
      let drawn = -1, faint = -1;
      for (let place = first(reach[row], from); place < lane.length && begun[lane[place]] <= to; place++) {
        const k = lane[place], x = Math.floor(gutter + Math.max(0, begun[k] - from) * per);
        const right = Math.ceil(gutter + (Math.min(to, begun[k] + all.took[k]) - from) * per), size = Math.max(right - x, 1);
        if ((all.verdict[k] === "x" || all.verdict[k] === "r") && (only < 0 || all.node[k] === only)) marked.push([x, size, all.verdict[k]]);
        const isFaint = only >= 0 && all.node[k] !== only;
        if (right <= (isFaint ? faint : drawn)) continue;
        pen.globalAlpha = isFaint ? .13 : 1;
        pen.fillStyle = kinds[((all.node[k] % 8) + 8) % 8];
        pen.fillRect(x, top, size > 4 ? size - 1 : size, tall);
        if (isFaint) faint = x + 1;
        else drawn = x + 1;
      }
      pen.globalAlpha = 1;
      for (const [x, size, verdict] of marked) {
        pen.fillStyle = verdict === "x" ? failed : retry;
        pen.fillRect(x, top, Math.max(2, size > 4 ? size - 1 : size), tall);
      }
    });
    ticks();
  }
  function ticks() {
    const pen = canvas(axis, 26), per = scale(), rough = 110 / per, ten = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find(k => k * ten >= rough) * ten;
    pen.fillStyle = colour("soft");
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      const x = gutter + (at - from) * per;
      pen.fillRect(Math.round(x), 0, 1, 5);
      if (x < wide - 40) pen.fillText(time(at), x + 4, 17);
    }
  }
  function ask() { if (!waiting) { waiting = true; requestAnimationFrame(draw); } }
  function show(start, span) {
    span = Math.min(end, Math.max(least, span));
    from = Math.min(Math.max(0, start), end - span);
    to = from + span;
    tip.hidden = true;
    Object.assign(chart.dataset, {from, to});
    find("view").textContent = `${time(to - from)} in view, from ${time(from)} on`;
    ask();
  }
  function zoom(by, x = gutter + (wide - gutter) / 2) {
    const at = from + (x - gutter) / scale();
    show(at - (at - from) * by, (to - from) * by);
  }
  function told(k) {
    const words = {f: "finished", r: "failed, tried again", x: "failed", c: "cancelled", g: "given back"};
    const epoch = `e${epochs[k]}${all.suffixes[all.suffix ? all.suffix[k] : 0] ? "-" + all.suffixes[all.suffix ? all.suffix[k] : 0] : ""}`;
    const attempt = all.attempt ? all.attempt[k] : 1, error = all.errors[k];
    return `${nodeName(all.node[k])}\n${epoch}${attempt > 1 ? `, attempt ${attempt}` : ""}: ${words[all.verdict[k]]}\n`
      + `${time(all.took[k])}, from ${time(begun[k])} on\n${clock(all.start + begun[k] / 1e3)} UTC${error ? `\n${error}` : ""}`;
  }
  function under(event) {  // the attempt at a place, at most 3 pixels away
    const box = chart.getBoundingClientRect(), row = Math.floor((event.clientY - box.top + room.scrollTop) / high), x = event.clientX - box.left;
    if (x < gutter || !lanes[row]) return -1;
    const at = from + (x - gutter) / scale(), near = 3 / scale();
    for (let place = first(reach[row], at - near); place < lanes[row].length; place++) {
      const k = lanes[row][place];
      if (begun[k] > at + near) break;
      if (only < 0 || all.node[k] === only) return k;
    }
    return -1;
  }
  function hover(event) {
    const k = under(event);
    tip.hidden = k < 0;
    if (k < 0) return;
    tip.textContent = told(k);
    tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 12))}px`;
    tip.style.top = `${event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 12 : event.clientY + 18}px`;
  }
  let held = null;
  chart.addEventListener("pointerdown", event => { held = {x: event.clientX, from}; try { chart.setPointerCapture(event.pointerId); } catch { held.loose = true; } });
  chart.addEventListener("pointermove", event => held ? show(held.from - (event.clientX - held.x) / scale(), to - from) : hover(event));
  for (const over of ["pointerup", "pointercancel"]) chart.addEventListener(over, () => { held = null; });
  chart.addEventListener("pointerleave", () => { tip.hidden = true; });
  chart.addEventListener("dblclick", event => zoom(.4, event.clientX - chart.getBoundingClientRect().left));
  chart.addEventListener("wheel", event => {
    if (!(event.ctrlKey || event.metaKey || event.shiftKey)) return;
    event.preventDefault();
    zoom(Math.exp((event.deltaY || event.deltaX) / 300), event.clientX - chart.getBoundingClientRect().left);
  }, {passive: false});
  const keys = {"+": () => zoom(.5), "=": () => zoom(.5), "-": () => zoom(2), "0": () => show(0, end),
    ArrowLeft: () => show(from - (to - from) / 5, to - from), ArrowRight: () => show(from + (to - from) / 5, to - from)};
  chart.addEventListener("keydown", event => { if (keys[event.key] && !event.ctrlKey && !event.metaKey) { event.preventDefault(); keys[event.key](); } });
  find("closer").onclick = () => zoom(.5);
  find("farther").onclick = () => zoom(2);
  find("whole").onclick = () => show(0, end);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ask);
  room.addEventListener("scroll", () => { tip.hidden = true; ask(); });
  new ResizeObserver(ask).observe(room);
"""

# %% [markdown]
# Last, the tables. A click on a head sorts, one on a node shows its attempts alone. Of long tables only a part is in the page
# at a time; searching looks at all of it.

# %%
#|exporti
_TABLES = r"""
  const most = 400;
  const heads = ["node", "finished", "failed", "cancelled", "retries", "dead letters", "running", "startable", "waiting", "total time", "mean", "longest"];
  const isTime = column => column >= 9, isBad = column => column === 2 || column === 5;
  const ranks = new Map(facts.nodes.map((name, rank) => [name, rank]));
  let sorted = 0, isDown = false;

  function nodes() {
    const word = find("seek").value.toLowerCase(), way = isDown ? -1 : 1;
    const order = (a, b) => sorted ? way * (a[sorted] - b[sorted]) : way * (ranks.get(a[0]) - ranks.get(b[0]));
    const rows = facts.rows.filter(row => row[0].toLowerCase().includes(word)).sort(order);
    find("nodes").replaceChildren(...rows.slice(0, most).map(nodeRow));
    find("nodesof").textContent = rows.length > most ? `the first ${amount(most)} of ${amount(rows.length)}` : plural(rows.length, "node");
    document.querySelectorAll("#heads th").forEach((head, column) => {
      if (column === sorted) head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }
  function nodeRow(row) {
    const rank = ranks.get(row[0]);
    const cells = row.map((cell, column) => {
      if (!column) return make("td", {title: cell}, dot(rank), cell);
      const text = !cell ? "\u2013" : isTime(column) ? time(cell) : amount(cell);
      return make("td", {className: !cell ? "none" : isBad(column) ? "bad" : ""}, text);
    });
    const made = make("tr", {tabIndex: 0, onclick: () => choose(rank)}, ...cells);
    made.onkeydown = event => { if (event.key === "Enter") choose(rank); };
    made.setAttribute("aria-selected", rank === only);
    return made;
  }
  function choose(rank) {
    only = only === rank ? -1 : rank;
    find("chosen").textContent = only < 0 ? "" : `only ${nodeName(only)}; click it again for all`;
    nodes();
    ask();
  }
  heads.forEach((head, column) => {
    const act = () => { isDown = column === sorted ? !isDown : column > 0; sorted = column; nodes(); };
    find("heads").append(make("th", {scope: "col"}, make("button", {type: "button", onclick: act}, head)));
  });
  find("seek").oninput = later(80, nodes);

  for (const letter of [...facts.letters].reverse()) {
    const made = make("details", {}, make("summary", {}, make("b", {}, letter.node), ` ${letter.epoch} · ${letter.error} `,
      make("span", {className: "soft"}, `${letter.reason}, ${letter.at} UTC`)), make("pre", {}, letter.trace));
    for (const [port, id, value] of letter.packets) made.append(make("p", {}, make("span", {className: "soft"}, `${port}: ${id} `), make("code", {}, value ?? "(not known)")));
    if (letter.more) made.append(make("p", {className: "soft"}, `and ${plural(letter.more, "packet")} more`));
    letter.earlier.forEach((error, k) => made.append(make("p", {className: "soft"}, `attempt ${k + 1}: ${error}`)));
    find("letters").append(made);
  }
  const all_letters = facts.letters_of;
  find("lettersof").textContent = all_letters > facts.letters.length ? `the last ${amount(facts.letters.length)} of ${amount(all_letters)}` : all_letters ? "" : "none";

  const log = facts.log, moments = sums(log.at);
  function lines() {
    const word = find("search").value.toLowerCase(), shown = [];
    let found = 0;
    for (let k = log.text.length - 1; k >= 0; k--) {
      if (word && !log.text[k].toLowerCase().includes(word) && !nodeName(log.node[k]).toLowerCase().includes(word) && `e${log.epoch[k]}` !== word) continue;
      if (found++ < most) shown.push(k);
    }
    find("lines").replaceChildren(...shown.reverse().map(k => make("tr", {}, make("td", {}, clock(moments[k]).slice(11)),
      make("td", {}, nodeName(log.node[k])), make("td", {}, `e${log.epoch[k]}`), make("td", {}, log.text[k]))));
    const had = log.of > log.text.length ? `the last ${amount(log.text.length)} of ${amount(log.of)} lines` : plural(log.of, "line");
    find("linesof").textContent = !log.of ? "nothing was printed" : word ? `${amount(found)} found in ${had}${found > most ? `, the last ${most} shown` : ""}` : found > most ? `the last ${most} shown of ${had}` : had;
  }
  find("search").oninput = later(80, lines);

  const [finished, failed, cancelled] = facts.ended, partly = finished + failed + cancelled - new Set(epochs).size;
  const tiles = [[amount(finished), "epochs finished"], [amount(failed), "failed", failed], [amount(cancelled), "cancelled"], [amount(all_letters), "dead letters", all_letters],
    [amount(facts.busy[0]), "running"], [amount(facts.busy[1]), "startable"], [amount(facts.waiting), "packets waiting"], [facts.span ? time(facts.span) : "\u2013", "first to last"]];
  find("tiles").append(...tiles.map(([big, small, bad]) => make("div", {className: bad ? "tile bad" : "tile"}, make("b", {}, big), make("span", {className: "soft"}, small))));
  find("attemptsof").textContent = `${plural(many, "attempt")} in ${plural(lanes.length, "lane")}`;
  find("partly").textContent = partly > 0 ? `History has no more of ${plural(partly, "epoch")}. A net with history_file, or with a larger history_max_size, keeps more.` : "";
  find("timeline").hidden = !many;
  nodes();
  lines();
  show(0, end);
  draw();
"""

# %% [markdown]
# ## The page


# %%
#|exporti
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>{look}</style>
</head>
<body>
<main>
<div class="soft">netrun report</div>
<h1>{title}</h1>
<div class="soft">{told}</div>
<noscript><p>The rest of this page needs JavaScript.</p></noscript>
<div class="tiles" id="tiles"></div>
<section><header class="bar"><h2>Graph</h2></header><div class="picture">{picture}</div></section>
<section id="timeline"><header class="bar"><h2>Timeline</h2><span class="soft"><span id="attemptsof"></span> · <span id="view"></span></span>
<span id="chosen"></span><button id="closer" type="button" aria-label="zoom in">+</button>
<button id="farther" type="button" aria-label="zoom out">&minus;</button><button id="whole" type="button">all</button></header>
<canvas class="axis" id="axis"></canvas>
<div class="lanes" id="lanes"><div id="tall"><canvas id="chart" tabindex="0" role="img" aria-label="who worked when"></canvas></div></div>
<p class="note">Ctrl and the wheel zoom, or a double click; drag, or the arrow keys, to move. A click on a node in the table shows it alone.
Red: failed; amber: failed and tried again. <span id="partly"></span></p></section>
<section><header class="bar"><h2>Nodes</h2><span class="soft" id="nodesof"></span><input id="seek" type="search" placeholder="find a node" aria-label="find a node"></header>
<div class="scroll"><table><thead><tr id="heads"></tr></thead><tbody id="nodes"></tbody></table></div></section>
<section><header class="bar"><h2>Dead letters</h2><span class="soft" id="lettersof"></span></header><div id="letters"></div></section>
<section><header class="bar"><h2>Log</h2><span class="soft" id="linesof"></span><input id="search" type="search" placeholder="search" aria-label="search the log"></header>
<div class="scroll"><table class="log"><tbody id="lines"></tbody></table></div></section>
</main>
<div id="tip" role="status" hidden></div>
<script type="application/json" id="facts">{facts}</script>
<script>
(() => {{
"use strict";
{script}
}})();
</script>
</body>
</html>
"""


def _page(net: "Net") -> str:
    """The page of a net."""
    facts = _facts(net)
    return _PAGE.format(
        title=_escaped(facts["title"]),
        told=_escaped(f"{facts['state']} · made on {facts['made']} UTC · netrun {facts['version']}"),
        look=_look(),
        picture=picture(net).svg,
        facts=_embedded(facts),
        script=_TOOLS + _TIMELINE + _TABLES,
    )


# %%
#|exporti
def write_report(net: "Net", path: str | os.PathLike[str]) -> None:
    """Write the report of a net to a file: see `Net.report`."""
    from netrun.dsl import write_whole

    write_whole(path, _page(net))


# %% [markdown]
# ## A report
#
# What a page shows of a small net. The text of a value that would end the script ends nothing.

# %%
import tempfile
from pathlib import Path

import netrun


@netrun.node(retries=1)
def parse(line: str) -> int:
    print("parsing", line)
    return int(line)


net = netrun.Net(parse, on_error="continue", meta={"name": "Numbers"})
net.run(line=["1", "2", "</script>"])
with tempfile.TemporaryDirectory() as folder:
    net.report(Path(folder) / "report.html")
    page = (Path(folder) / "report.html").read_text("utf-8")
assert "<title>Numbers</title>" in page and page.count("</script>") == 2

from netrun.report import _facts

facts = _facts(net)
assert facts["attempts"]["verdict"] == "ffrx" and facts["log"]["text"][0] == "parsing 1"
print(facts["rows"], facts["letters"][0]["error"], sep="\n")

# %% [markdown]
# A file that cannot be written is an error of the system, and what was there is there.

# %%
try:
    net.report("/no/such/folder/report.html")
except OSError as error:
    print(error)
else:
    raise AssertionError("written")
