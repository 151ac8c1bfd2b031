"""A page in a headless Chromium: what it is when its scripts have run, and what they complained of."""

import os
import re
import shutil
import subprocess
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((found for found in map(shutil.which, NAMES) if found), None)
WHY_NOT = "there is no Chromium here: apt-get install chromium"


class Page(HTMLParser):
    """The texts of a page by the ids of their elements, and how many elements of each tag there are within each id."""

    def __init__(self, dom: str, complaints: list[str]) -> None:
        super().__init__()
        self.dom, self.complaints = dom, complaints
        self.texts: dict[str, str] = defaultdict(str)
        self.tags: dict[tuple[str, str], int] = {}
        self.of: dict[str, dict[str, str | None]] = {}
        self._open: list[tuple[str, str]] = []
        self.feed(dom)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        for _, name in self._open:
            self.tags[name, tag] = self.tags.get((name, tag), 0) + 1
        given = dict(attrs)
        if tag not in ("input", "meta", "br", "link"):
            self._open.append((tag, given.get("id") or ""))
        self.of[given.get("id") or ""] = given

    def handle_endtag(self, tag: str) -> None:
        """It ends."""
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        """A text is in all that is open."""
        for _, name in self._open:
            if name:
                self.texts[name] += data


def opened(path: Path, act: str = "", is_dark: bool = False, milliseconds: int = 4_000) -> Page:
    """A page when its scripts have run, seen by somebody who prefers light or dark. `act`: a script of the test's, run
    when the page's own have; it may `await`."""
    page, profile = path.with_suffix(".acted.html"), path.with_suffix(".profile")
    wait = "const wait = ms => new Promise(done => setTimeout(done, ms)), find = id => document.getElementById(id);"
    caught = "catch (error) { console.error(error.stack) }"
    script = f"<script>window.onload = async () => {{ {wait} try {{ {act} }} {caught} }}</script>"
    page.write_text(path.read_text("utf-8").replace("</body>", f"{script}</body>"), "utf-8")
    command = [
        str(BROWSER),
        "--headless",
        "--disable-gpu",
        "--no-first-run",
        "--window-size=1200,900",
        "--enable-logging=stderr",
        f"--user-data-dir={profile}",
        f"--virtual-time-budget={milliseconds}",
        f"--blink-settings=preferredColorScheme={0 if is_dark else 1}",
        "--dump-dom",
        page.as_uri(),
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.insert(1, "--no-sandbox")
    for is_last in (False, False, True):  # a browser may crash on a machine that it does not know
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=is_last)
        if done.returncode == 0 and "</html>" in done.stdout:
            break
        shutil.rmtree(profile, ignore_errors=True)
    return Page(done.stdout, re.findall(r'CONSOLE[^"]*"(.*?)", source', done.stderr, re.DOTALL))
