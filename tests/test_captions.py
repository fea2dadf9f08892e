"""Every figure has a caption, and who cannot see the figure gets it in words."""

import re
from pathlib import Path

import nbformat
import pytest
from docutils import nodes
from docutils.utils import new_document

from book.captions import caption_below, without_words, words

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
    found = [caption_below(image) for image in images]
    assert found == [caption.children[0]] * 2
    assert words(found[0]) == "Two lists, side by side."
    without_words(found[0])
    assert found[0].astext() == "Two lists,\nside by side."


def test_a_picture_without_a_caption_has_none():
    (alone,) = page(nodes.image())
    assert caption_below(alone) is None


def test_words_after_alt_text_are_read_aloud_and_not_shown():
    parts = [
        nodes.Text("See "),
        nodes.literal("", "x"),
        nodes.Text(" rise.\nAlt\ntext: a "),
        nodes.strong("", "thick"),
        nodes.Text(" line."),
    ]
    caption = nodes.emphasis("", "", *parts)
    assert words(caption) == "a thick line."
    without_words(caption)
    assert caption.astext() == "See x rise."


def test_lines_that_are_shown_keep_their_ends():
    lines = ["One for", "\n", "R1. Alt text: a", "\n", "line."]
    caption = nodes.emphasis("", "", *map(nodes.Text, lines))
    without_words(caption)
    assert caption.astext() == "One for\nR1."
