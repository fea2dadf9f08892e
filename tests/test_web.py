"""The book's widgets say what the library says, and its pages are fit for readers."""

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from book import mended, widgets
from reidlib.data.synthetic import World
from reidlib.shipped import shipped, shipped_digest

BOOK = Path(__file__).parent.parent / "book"
FRAGMENT = BOOK / "widgets" / "playground.html"


@pytest.fixture(scope="module")
def facts() -> dict:
    text = (BOOK / "widgets" / "explorer.html").read_text("utf-8")
    (data,) = re.findall(r'<script type="application/json">(.*)</script>', text)
    return json.loads(data)


def by_hand(query: str, camera: str, junk: str, ties: str) -> tuple[float, float]:
    """Rank-1 and step AP of a query, by a loop; nothing found: NaN."""
    person, own = widgets.QUERIES[query]
    best_first = ties == "best"
    listed = []
    rows = zip(widgets.SCORES[query], widgets.GALLERY, strict=True)
    for score, (pid, cam) in rows:
        same = cam == own and camera != "keep"
        if (pid == -1 and junk == "out") or (
            same and (pid == person or camera == "drop-all")
        ):
            continue
        match = pid == person
        listed.append((-score, match != best_first, match))
    hits, total = 0, 0.0
    verdicts = [match for *_, match in sorted(listed)]
    for place, match in enumerate(verdicts, 1):
        hits += match
        total += match * hits / place
    return (float(verdicts[0]), total / hits) if hits else (np.nan, np.nan)


@pytest.mark.parametrize("camera", widgets.CHOICES["same_camera"][1])
@pytest.mark.parametrize("junk", ["out", "in"])
@pytest.mark.parametrize("ties", ["worst", "best"])
def test_the_explorer_shows_what_a_loop_finds(
    facts: dict, camera: str, junk: str, ties: str
):
    found = facts["marks"][f"{camera} {junk} {ties} step first-match skip"]
    hand = [by_hand(query, camera, junk, ties) for query in widgets.QUERIES]
    shown = np.array(found[:-1], dtype=float)  # None becomes NaN
    np.testing.assert_allclose(shown, hand, atol=5e-5)
    means = [found[-1][0], found[-1][2]]
    np.testing.assert_allclose(means, np.nanmean(hand, axis=0), atol=1e-4)


def test_every_choice_of_the_explorer_moves_a_mark(facts: dict):
    names = [tuple(labels) for _, labels in widgets.CHOICES.values()]
    for place, labels in enumerate(names):
        for label in labels[1:]:
            moved = [
                marks != facts["marks"][" ".join([*k[:place], label, *k[place + 1 :]])]
                for key, marks in facts["marks"].items()
                if (k := key.split())[place] == labels[0]
            ]
            assert any(moved), label


def test_the_explorer_is_as_the_library_would_write_it_now():
    assert widgets.explorer() == (BOOK / "widgets" / "explorer.html").read_text("utf-8")


def test_the_playground_was_made_with_the_weights_that_ship():
    (digest,) = re.findall(r'data-weights="(\w+)"', FRAGMENT.read_text("utf-8"))
    assert digest == shipped_digest(), "run python book/widgets.py playground"


def test_the_sprite_is_light_and_shows_a_person_as_the_generator_draws_them():
    assert widgets.SPRITE.stat().st_size <= 250_000
    sheet = np.asarray(Image.open(widgets.SPRITE), dtype=float)
    phi, world = shipped(), World(0)
    row = widgets.person_row(phi, world, 2, [world.shot(2, 0)] * len(phi.poses))
    shown = 1 + len(phi.poses)  # truths need the bodies of 240 renderings
    buffer = io.BytesIO()
    widgets.tiled([row[:shown]]).save(buffer, "JPEG", quality=88)
    fresh = np.asarray(Image.open(buffer), dtype=float)
    height, width = fresh.shape[:2]
    kept = sheet[height : 2 * height, :width]
    assert (
        np.abs(kept - fresh).mean() < 2 < np.abs(sheet[:height, :width] - fresh).mean()
    )


def test_mending_a_page_twice_changes_nothing_more():
    page = '<table><th></th></table><script>const THEBE_JS_URL = "x";</script>'
    once = mended.mend(page)
    assert once == "<table><td></td></table>"
    assert mended.mend(once) == once


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book of the two widgets' pages, and the glossary that they link to."""
    book = tmp_path_factory.mktemp("web") / "book"
    for folder in ("widgets", "_static"):
        shutil.copytree(BOOK / folder, book / folder)
    for name in ("captions.py", "mended.py", "_config.yml", "references.bib"):
        shutil.copy(BOOK / name, book)
    for name in ("explorer", "playground"):
        text = (BOOK / f"{name}.md").read_text("utf-8")
        text = re.sub(r"\{term\}`(\w[\w ]*)`|\[\]\((chapters\S+)\)", r"\1\2", text)
        (book / f"{name}.md").write_text(text, encoding="utf-8")
    toc = "format: jb-book\nroot: explorer\nchapters: [{file: playground}]\n"
    (book / "_toc.yml").write_text(toc)
    build = Path(sys.executable).with_name("jupyter-book")
    done = subprocess.run([build, "build", "-q", book], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return book / "_build" / "html"


def test_the_widgets_work_in_a_browser_with_keys_alone(built: Path, facts: dict):
    webcheck = pytest.importorskip("book.webcheck", reason="needs the extra [web]")
    if webcheck.chromium() is None:
        pytest.skip(webcheck.MISSING)
    pages = ["explorer.html", "playground.html"]
    assert webcheck.check(built, pages) == []
    with webcheck.served(built) as home, webcheck.browser() as chrome:
        page = chrome.new_page()
        page.goto(home + "explorer.html")
        page.focus("input[name=same_camera]:checked")
        page.keyboard.press("ArrowDown")
        cells = page.locator("table.means tbody td").all_inner_texts()
        marks = facts["marks"]["keep out worst step first-match skip"][-1]
        assert cells == [widgets.shown(mark) for mark in marks]
        page.goto(home + "playground.html")
        page.focus("input[name=person]:checked")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        assert page.locator(".says").inner_text() == "Person 2 in pose 2."


def test_without_scripts_the_pages_show_a_still(built: Path):
    text = (built / "explorer.html").read_text("utf-8")
    assert re.search(r'<form class="needs-script" hidden', text)
    assert text.count("<td>match</td>") == 3  # two of A, one of B; C has none left
    page = (built / "playground.html").read_text("utf-8")
    assert re.search(r'<img src="_static/playground.jpg" alt="\w', page)
