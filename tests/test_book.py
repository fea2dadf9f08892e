"""The book builds without a warning and without a network."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from book import tools

REPOSITORY = Path(__file__).parent.parent
TOC = yaml.safe_load((REPOSITORY / "book" / "_toc.yml").read_text())
PAGES = [TOC["root"]] + re.findall(r"file: (\S+)", yaml.dump(TOC))


def without_network() -> list[str]:
    """A prefix that runs a command in an empty network namespace, where allowed."""
    for prefix in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and not subprocess.run([*prefix, "true"]).returncode:
            return prefix
    return []


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    book = tmp_path_factory.mktemp("book") / "book"
    shutil.copytree(
        REPOSITORY / "book",
        book,
        ignore=shutil.ignore_patterns("_build", "chapters", "__pycache__"),
    )
    for included in ("CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(REPOSITORY / included, book.parent)
    notebooks = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
    tools.chapters(notebooks, book / "chapters")
    build = Path(sys.executable).with_name("jupyter-book")
    command = [build, "build", "-W", "-n", "--keep-going", book]
    done = subprocess.run(
        [*without_network(), *command],
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return book / "_build" / "html"


class Fetched(HTMLParser):
    """Collects what a browser loads by itself to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.images_without_text = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in {"script", "img", "iframe", "source", "video"}:
            self.addresses.append(values.get("src") or "")
        if tag == "link" and values.get("rel") in {"stylesheet", "preload", "icon"}:
            self.addresses.append(values.get("href") or "")


@pytest.mark.parametrize("page", ["index", *PAGES])
def test_a_page_is_there_and_loads_nothing_from_elsewhere(html: Path, page: str):
    parser = Fetched()
    parser.feed((html / f"{page}.html").read_text("utf-8"))
    outside = [a for a in parser.addresses if re.match(r"(https?:)?//", a)]
    assert outside == []


def test_styles_load_nothing_from_elsewhere(html: Path):
    for sheet in html.rglob("*.css"):
        found = re.findall(
            r"(?:url\(|@import )[\"']?https?:[^)\"']+", sheet.read_text()
        )
        assert not found, sheet.name


def test_formulas_are_set_by_the_mathjax_that_ships_with_the_book(html: Path):
    page = (html / "intro.html").read_text("utf-8")
    (address,) = re.findall(r'src="([^"]*mathjax[^"?]*)', page)
    assert (html / address).is_file()


def test_no_page_tells_where_it_was_built(html: Path):
    places = (str(REPOSITORY), str(html.parent), str(Path.home()) + "/")
    for page in html.rglob("*.html"):
        assert not any(place in page.read_text("utf-8") for place in places), page.name
