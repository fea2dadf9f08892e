"""Checks the built book in headless Chromium, as readers of all kinds meet it.

    python book/webcheck.py book/_build/html [PAGE ...]

Every page: no violation that axe-core finds, light or dark; no request to another
host; 2 MB at most, compressed; every picture has words; nothing in the console; no
sideways scrolling on a phone; no dead link or anchor. axe-core comes with the package
axe-playwright-python.
"""

import argparse
import functools
import gzip
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Response, sync_playwright

HEAVIEST = 2_000_000  # bytes of a page with all that it loads, as servers send it
TEXTS = (".css", ".html", ".js", ".json", ".svg")  # servers compress these
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync"]
MISSING = (
    "Chromium is missing; install it (Debian: apt-get install chromium) and try again."
)
# The theme's own faults: axe's rule, a part of the selector, and why it stays.
KNOWN = [
    (
        "region",
        ".sidebar-primary-item",
        "the theme puts the book's title in no landmark",
    ),
]
LEVELS = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']"
RULES = f"{{preload: false, runOnly: {LEVELS}}}"  # it would look for styles elsewhere


def chromium() -> str | None:
    """Where the browser is, None if there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def do_GET(self) -> None:
        """A file; browsers also ask for an icon of the site, which has none."""
        if self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Leave the terminal to what is wrong."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of this folder, on this machine only."""
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextmanager
def browser() -> Iterator[Browser]:
    """Headless Chromium of this machine.

    Raises:
        FileNotFoundError: there is none.
    """
    path = chromium()
    if path is None:
        raise FileNotFoundError(MISSING)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield found
        found.close()


@dataclass
class Traffic:
    """What a page loads and complains about.

    Attributes:
        home: address of the server.
        loaded: paths of the files that were sent.
        problems: one sentence each.
    """

    home: str
    loaded: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Listen to a page that is still empty."""
        page.on("response", self._answer)
        page.on("requestfailed", lambda r: self.problems.append(f"cannot load {r.url}"))
        page.on("pageerror", lambda e: self.problems.append(f"a script fails: {e}"))
        page.on("console", self._said)

    def _answer(self, response: Response) -> None:
        url = response.url
        if urlsplit(url).scheme in ("data", "blob"):
            return
        if not url.startswith(self.home):
            self.problems.append(f"asks another host: {url}")
        elif response.status >= 400:
            self.problems.append(f"gets {response.status} for {url}")
        else:
            self.loaded.add(unquote(urlsplit(url).path).lstrip("/"))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"the console says: {message.text}")


def axe_script() -> str:
    """axe-core, as its Python package carries it."""
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def violations(page: Page) -> list[str]:
    """What axe-core finds, without what is known of the theme."""
    found = page.evaluate(f"async () => (await axe.run({RULES})).violations")
    sentences = []
    for fault in found:
        for node in fault["nodes"]:
            place = " ".join(map(str, node["target"]))
            known = any(r == fault["id"] and s in place for r, s, _ in KNOWN)
            if not known:
                sentences.append(f"axe {fault['id']}: {place}")
    return sentences


@functools.cache
def weight(path: Path) -> int:
    """Bytes of a file as a server sends it."""
    content = path.read_bytes()
    return len(gzip.compress(content) if path.suffix in TEXTS else content)


def look(browser: Browser, folder: Path, home: str, name: str, axe: str) -> list[str]:
    """Everything that a browser can tell about one page."""
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    traffic = Traffic(home)
    traffic.watch(page)
    page.goto(home + name, wait_until="networkidle")
    found = []
    bytes_sent = sum(weight(folder / path) for path in traffic.loaded)
    if bytes_sent > HEAVIEST:
        found.append(f"weighs {bytes_sent / 1e6:.1f} MB")
    page.evaluate(axe)
    for theme in ("light", "dark"):
        page.evaluate("t => document.documentElement.dataset.theme = t", theme)
        page.wait_for_timeout(400)  # colours fade into each other
        found += [f"{theme}: {text}" for text in violations(page)]
    mute = "els => els.filter(e => !(e.alt || '').trim()).map(e => e.src)"
    found += [f"no words for {s}" for s in page.eval_on_selector_all("img", mute)]
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(100)
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > PHONE["width"]:
        found.append(f"is {wide} pixels wide on a phone of {PHONE['width']}")
    context.close()
    return [f"{name}: {text}" for text in [*traffic.problems, *found]]


class Anchors(HTMLParser):
    """Links and ids of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note them."""
        values = dict(attrs)
        self.ids |= {v for k in ("id", "name") if (v := values.get(k))}
        if tag == "a" and (target := values.get("href")):
            self.links.add(target)


@functools.cache
def anchors(page: Path) -> Anchors:
    """Links and ids of a file."""
    parser = Anchors()
    parser.feed(page.read_text("utf-8"))
    return parser


def dead_links(folder: Path, name: str) -> list[str]:
    """Links of a page to files and places in them that are not there."""
    found = []
    base = "http://book/"
    for link in sorted(anchors(folder / name).links):
        url, place = urldefrag(urljoin(base + name, link))
        if not url.startswith(base):
            continue  # another site, or mail
        target = folder / unquote(urlsplit(url).path).lstrip("/")
        target = target / "index.html" if target.is_dir() else target
        if not target.is_file():
            found.append(f"{name}: dead link {link}")
        elif (
            place
            and target.suffix == ".html"
            and (unquote(place) not in anchors(target).ids)
        ):
            found.append(f"{name}: no such place, {link}")
    return found


def check(folder: Path, names: list[str] | None = None) -> list[str]:
    """What is wrong with these pages, or with all; one sentence each."""
    names = names or sorted(str(p.relative_to(folder)) for p in folder.rglob("*.html"))
    names = [name for name in names if not name.startswith("_")]
    found = [text for name in names for text in dead_links(folder, name)]
    axe = axe_script()
    with served(folder) as home, browser() as chrome:
        for name in names:
            found += look(chrome, folder, home, name, axe)
    return found


def main() -> int:
    """Command line; prints what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("pages", nargs="*", help="such as explorer.html; default: all")
    arguments = parser.parse_args()
    if chromium() is None:
        print(MISSING, file=sys.stderr)
        return 1
    found = check(arguments.folder.resolve(), arguments.pages)
    for text in found:
        print(text, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
