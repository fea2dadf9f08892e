"""Alternative text for the book's figures: a figure's caption is also read aloud.

The chapters put a caption below each figure, a paragraph that begins in italics. A
browser that cannot show the picture gets the same words. An extension of Sphinx.
"""

from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform


def caption_below(node: nodes.Node) -> str:
    """The first paragraph in italics below a picture, before the next picture."""
    seen = False
    for other in node.document.findall():
        if other is node:
            seen = True
        elif seen and isinstance(other, nodes.image):
            break
        elif seen and isinstance(other, nodes.paragraph) and other.children:
            first = other.children[0]
            if isinstance(first, nodes.emphasis):
                return first.astext().replace("\n", " ")
    return ""


class Captions(SphinxPostTransform):
    """Gives every picture that says nothing the words of its caption."""

    default_priority = 700  # after MyST-NB has chosen which output to show

    def run(self, **_: Any) -> None:
        """Read the whole page once for each picture; there are a dozen."""
        for image in self.document.findall(nodes.image):
            if not image.get("alt") or image["alt"].startswith("../"):
                image["alt"] = caption_below(image)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_post_transform(Captions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
