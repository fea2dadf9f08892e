"""Every figure has a caption, and who cannot see the figure gets it in words."""

import re
from pathlib import Path

import nbformat
import pytest
from docutils import nodes
from docutils.utils import new_document

from book.captions import caption_below

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("[0-9]*.ipynb"))


def has_picture(cell) -> bool:
    found = (
        kind for output in cell.get("outputs", []) for kind in output.get("data", ())
    )
    return any(kind.startswith("image/") for kind in found)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_paragraph_in_italics_follows_every_figure(path: Path):
    waiting = ""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown" and re.search(
            r"(?:^|\n\n)\*(?!\*)", cell.source
        ):
            waiting = ""
        elif has_picture(cell):
            assert not waiting, f"no caption below the figure of {waiting}"
            waiting = cell.source
    assert not waiting


def page(*parts: nodes.Node) -> list[nodes.image]:
    document = new_document("page")
    document += parts
    return list(document.findall(nodes.image))


def paragraph(kind: type[nodes.TextElement], text: str) -> nodes.paragraph:
    return nodes.paragraph("", "", kind("", text), nodes.Text(" more"))


def test_both_pictures_of_a_cell_get_the_caption_below_them():
    before = paragraph(nodes.emphasis, "Another figure.")
    plain = paragraph(nodes.strong, "Not italic.")
    caption = paragraph(nodes.emphasis, "Two lists,\nside by side.")
    later = paragraph(nodes.emphasis, "Later.")
    images = page(before, nodes.image(), nodes.image(), plain, caption, later)
    assert [caption_below(image) for image in images] == [
        "Two lists, side by side."
    ] * 2


def test_words_of_their_own_come_after_alt_text():
    (image,) = page(
        nodes.image(), paragraph(nodes.emphasis, "See x. Alt text: a line.")
    )
    assert caption_below(image) == "a line."
    (alone,) = page(nodes.image())
    assert caption_below(alone) == ""
