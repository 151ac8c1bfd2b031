"""Make the site of the documentation in `build/site`: the README, every notebook as it runs, and the public names.

`make docs` calls this. It needs no network; the site is read from a web server or from its files.
"""

import inspect
import json
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.commands.build import build
from mkdocs.config import load_config
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from nbconvert.filters import strip_ansi
from nbformat.validator import MissingIDFieldWarning

import netrun

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "docs"
PAGES = WORK / "pages"
SITE = ROOT / "build" / "site"
LIBRARY = "netrun."


def run(path: Path) -> Any:
    """A notebook with the outputs of its cells, and without what only nblite reads. Raises what a cell raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingIDFieldWarning)  # nblite gives cells no ids
        notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=120, resources=place, extra_arguments=["--log-level=ERROR"]).execute()
    notebook.cells = [cell for cell in notebook.cells if not cell.source.startswith("#|hide")]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = "\n".join(line for line in cell.source.split("\n") if not line.startswith("#|")).strip("\n")
            for output in cell.outputs:
                if output.output_type == "stream":
                    output.text = strip_ansi(output.text)
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    return notebook


def page(path: Path) -> Path:
    """Run a notebook, and write it as a page. Returns the page."""
    target = PAGES / "book" / path.relative_to(ROOT / "nbs").with_suffix(".md")
    text, resources = MarkdownExporter().from_notebook_node(
        run(path), {"output_files_dir": f"{path.stem}_files", "unique_key": path.stem}
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(linked(text, r"\]\(([\w/]+)\.ipynb\)", r"](\1.md)"))
    for name, content in resources["outputs"].items():
        file = target.parent / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    print(target.relative_to(PAGES), flush=True)
    return target


def linked(text: str, there: str, here: str) -> str:
    """The text with its links changed."""
    return re.sub(there, here, text)


def front() -> Iterator[Path]:
    """The README and the changelog, with their links to the pages."""
    for name, target in (("README.md", "index.md"), ("CHANGELOG.md", "changelog.md")):
        text = linked((ROOT / name).read_text(), r"\]\(nbs/([\w/]+)\.ipynb\)", r"](book/\1.md)")
        (PAGES / target).write_text(text)
        yield PAGES / target
    for file in [*(ROOT / "pts" / "examples").glob("first_net*"), ROOT / "pts" / "docs" / "net.svg"]:
        copy = PAGES / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)


def names() -> dict[str, list[str]]:
    """The public names of netrun, by module, in the order of the book."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(netrun.__all__):
        module = getattr(getattr(netrun, name), "__module__", None) or ""
        if module.startswith(LIBRARY):
            found.setdefault(module.removeprefix(LIBRARY), []).append(name)
    found["factories"] = list(import_module("netrun.factories").__all__)
    return found


def reference() -> Iterator[Path]:
    """A page for each module with public names, and one for what is `netrun_sim`'s."""
    folder = PAGES / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    for module, some in names().items():
        target = folder / f"{module}.md"
        parts = "".join(f"\n::: netrun.{module}.{name}\n" for name in some)
        target.write_text(f"# netrun.{module}\n{parts}")
        yield target
    sim = folder / "netrun_sim.md"
    sim.write_text("# netrun_sim\n\nThe words of the simulator, which `netrun` has too.\n" + "".join(map(told, SIM)))
    yield sim


SIM = [
    name
    for name in dict.fromkeys(netrun.__all__)
    if inspect.isclass(getattr(netrun, name)) and not getattr(netrun, name).__module__.startswith(LIBRARY)
]


def told(name: str) -> str:
    """A class of the simulator, with what it says of itself."""
    doc = inspect.getdoc(getattr(netrun, name)) or ""
    own = "" if doc == inspect.getdoc(Exception) else doc
    return f"\n## {name}\n\n{own}\n"


def main() -> None:
    """Make it all."""
    shutil.rmtree(WORK, ignore_errors=True)
    PAGES.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("style.css"), PAGES / "style.css")
    notebooks = sorted((ROOT / "nbs").glob("*.ipynb")) + sorted((ROOT / "nbs" / "examples").glob("*.ipynb"))
    with ThreadPoolExecutor(2) as pool:
        pages = list(pool.map(page, [path for path in notebooks if path.stem != "index"]))
    where = lambda paths: [str(path.relative_to(PAGES)) for path in paths]  # noqa: E731
    book = [path for path in pages if path.parent.name == "book"]
    nav = [
        *({"netrun" if path.stem == "index" else "Changes": path.name} for path in front()),
        {"Examples": where(path for path in pages if path not in book)},
        {"The book": where(book)},
        {"Reference": where(reference())},
    ]
    nav = [nav[0], *nav[2:], nav[1]]
    config = Path(__file__).with_name("mkdocs.yml").read_text() + f"nav: {json.dumps(nav)}\n"
    (WORK / "mkdocs.yml").write_text(config)
    build(load_config(str(WORK / "mkdocs.yml"), docs_dir=str(PAGES), site_dir=str(SITE), strict=True))
    print(f"the site is in {SITE.relative_to(ROOT)}, begin with index.html")


if __name__ == "__main__":
    sys.exit(main())
