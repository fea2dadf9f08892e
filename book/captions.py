"""Alternative text for the book's figures: a figure's caption is also read aloud.

The chapters put a caption below each figure, a paragraph that begins in italics. Who
cannot see the picture gets the same words, or those after "Alt text:" where the caption
has them; these are not shown then. An extension of Sphinx.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

WORDS = re.compile(r"\s*Alt\s+text:\s*")


def caption_below(image: nodes.image) -> nodes.emphasis | None:
    """The italics that the next paragraph begins with, if one does."""
    seen = False
    for node in image.document.findall():
        seen = seen or node is image
        if seen and isinstance(node, nodes.paragraph) and node.children:
            first = node.children[0]
            if isinstance(first, nodes.emphasis):
                return first
    return None


def words(caption: nodes.emphasis) -> str:
    """What is read aloud: the part after "Alt text:", or all of it."""
    return WORDS.split(caption.astext())[-1].replace("\n", " ")


def without_words(caption: nodes.emphasis) -> None:
    """Take "Alt text:" and what follows out of the caption."""
    found = False
    for text in list(caption.findall(nodes.Text)):
        kept = "" if found else WORDS.split(text)[0]
        found = found or kept != text
        siblings = text.parent  # whose `replace` would take the first equal text
        place = next(i for i, child in enumerate(siblings) if child is text)
        siblings[place] = nodes.Text(kept)


class Captions(SphinxPostTransform):
    """Gives every picture that says nothing the words of its caption."""

    default_priority = 700  # after MyST-NB has chosen which output to show

    def run(self, **_: Any) -> None:
        """Leave alone what has words of its own."""
        used = []
        for image in self.document.findall(nodes.image):
            caption = caption_below(image)
            if caption is not None and not image.get("alt"):
                image["alt"] = words(caption)
                used.append(caption)
        for caption in used:  # at last: a caption may serve several pictures
            without_words(caption)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_post_transform(Captions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
